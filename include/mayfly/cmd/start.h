/* start: its parts. start.c is the flow, start_opts.c the table, start_prepare.c what is read, asked and rendered (also
 * for doctor), start_report.c what a person and a workflow get. */
#ifndef MAYFLY_CMD_START_H
#define MAYFLY_CMD_START_H

#include "mayfly/cmd/cmd.h"
#include "mayfly/runner/launch.h"
#include "mayfly/runner/userdata.h"

extern const struct opt start_opts[]; /* of struct spec */

/* The runner to download for one architecture, where the image has none. */
struct download {
    const char *architecture; /* EC2's word */
    const char *url, *sha256;
};

/* One start, from its options to its result. */
struct start {
    struct cmd *cmd;
    const struct spec *spec;
    struct session *session;
    struct launch_config config;
    struct launch launch;
    struct plan plan;
    struct strlist *params; /* of RunInstances, for each image of the plan */
    struct strlist labels, packages;
    struct field_list own_tags;
    struct tag_values tags;
    struct userdata userdata;
    struct download downloads[2];
    size_t n_downloads;
    char *label, *run, *name_mark, *account;
    int64_t runner_group;
    struct strbuf pre_runner;
    struct error lost; /* why the first of the images that are left out is */
    struct arena arena;
    int64_t began;    /* monotonic ms */
    bool told_limits; /* that an instance terminates itself */
};

void start_init(struct start *s, struct cmd *cmd, const struct spec *spec, struct session *session);
void start_clear(struct start *s);

/* What the options say by themselves, asking nobody: the plan's sites and images to look up, the scripts, the label,
 * the templates of tags and user-data. The session needs its region and its fleet. */
MUST_CHECK bool start_read(struct start *s, struct error *err);
/* What AWS and GitHub have to say before the first effect: the account, the images, the runner to download, the group.
 */
MUST_CHECK bool start_ask(struct start *s, struct error *err);
/* What the images' answers make sure of: the plan's cells, their volumes, the exact size of their user-data. */
MUST_CHECK bool start_fit(struct start *s, struct error *err);

/* The runner for an image that has none. rows: struct github_download. */
MUST_CHECK bool start_take_download(struct start *s, const struct image *image, const struct field_list *rows,
                                    struct error *err);

/* The parameters of RunInstances for one runner in one cell; ctx: the start. For launch_config.render. */
void start_render(void *ctx, const struct cell *cell, const char *runner_name, int64_t runner_id, const char *jit,
                  struct arena *arena, struct ec2_run *ret);

const struct cell *start_cell(const struct start *s, size_t slot);
/* The user-data of an image of the plan, but for what belongs to one runner. */
struct userdata start_userdata(const struct start *s, const struct image *image);
/* The first slot that is up, or the first at all. */
size_t start_first(const struct start *s);

/* The plan and the user-data, for --dry-run. */
void start_print_plan(const struct start *s);
/* Outputs about the instances. */
MUST_CHECK bool start_write_outputs(struct start *s, struct error *err);
/* The step summary with its timeline. why: NULL, or what went wrong. */
void start_write_summary(struct start *s, bool ok, const struct error *why);
/* The result as one JSON object. */
void start_print_result(const struct start *s);
/* Adds to *err what the console says, for a person who asks why the runner never came. */
void start_explain(const struct start *s, struct error *err);
/* Seconds from the command's begin, one decimal, owned; "-" for what did not happen. */
char *start_seconds(const struct start *s, int64_t mono);

#endif
