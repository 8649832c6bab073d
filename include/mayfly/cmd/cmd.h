/* The commands: each a table of options and a function. main.c dispatches. */
#ifndef MAYFLY_CMD_CMD_H
#define MAYFLY_CMD_CMD_H

#include "mayfly/codec/json.h"

#include "mayfly/github/app.h"
#include "mayfly/runner/drive.h"
#include "mayfly/util/opts.h"

enum { EXIT_PARTIAL = 3 };

struct common { /* options that every command takes */
    char *config, *runner, *region, *profile, *role_arn, *repo, *fleet, *github_token_file, *app_id, *app_key_file;
    char *trace, *log_format;
    bool json, verbose, help;
};
extern const struct opt common_opts[];

struct cmd { /* what a command runs with */
    const struct command *command;
    struct common common;
    struct strlist inputs; /* OPTION, INPUT, …: which input of the action has set an option */
    struct strlist rest;   /* arguments that are no options, of a command that takes them */
    const struct env *env;
    const char *(*getenv)(const char *name);
    int signal_fd;
    int64_t until;   /* the end of the command's time, monotonic ms: no call of the session goes on after; 0: none */
    int exit_status; /* of a run that succeeds; EXIT_PARTIAL: done in part */
};

struct command {
    const char *name, *summary;
    const char *arguments; /* what it takes besides options ("COMMAND…"), or NULL */
    const char *about;     /* a paragraph for --help */
    const struct opt *opts;
    const struct opt *more_opts; /* of the same options, or NULL */
    size_t options_size;
    int64_t limit_s; /* of the whole command, if its options give none; 0: none */
    bool reads_jobs; /* of workflow runs: a GitHub App needs a permission more for that */
    bool (*run)(struct cmd *cmd, void *options, struct error *err);
};

extern const struct command command_bake, command_doctor, command_policy, command_reap, command_start, command_status,
    command_stop;
/* All commands, NULL-terminated. */
extern const struct command *const commands[];

/* The configuration and connections of a run. */
struct session {
    struct aws_config aws_config;
    struct github_config github_config;
    struct aws aws;
    struct github github;
    struct github_app *app; /* or NULL */
    struct http *http;
    struct call_loop loop;
    struct cloud cloud;
    char *fleet;
};
#define AUTO_SESSION CLEANUP(session_close) struct session

/* Reads all settings, then fetches the AWS credentials: a wrong setting is reported before any request is made or a
 * credential_process is run. The session must not move. */
MUST_CHECK bool session_open(struct session *s, struct cmd *cmd, struct error *err);
/* Reads all settings without network access, for callers that check more before aws_creds_fetch. Each side has its own
 * error. Without --repo and --fleet, s->fleet is NULL. The session must not move. */
void session_read(struct session *s, struct cmd *cmd, struct error *ret_aws, struct error *ret_github);
/* session_open for whoever goes on with one side alone: what is wrong with each is told apart. Without --repo and
 * --fleet, s->fleet is NULL. */
void session_open_each(struct session *s, struct cmd *cmd, struct error *ret_aws, struct error *ret_github);
/* False, with an error, once a signal has come: nothing is to be begun any more. */
bool session_goes_on(const struct session *s, struct error *err);
/* Of an error that a lack of permission made: tells what is denied and why, as far as STS may be asked, a line each,
 * and makes the hint name the statement of the command's policy. Others are left alone. */
void session_explain(struct session *s, const char *command, struct error *err);
void session_close(struct session *s);

/* The regions that a command looks into: those of --regions, else its default one; and those of --places, as start
 * takes it. Each once. False, *ret as it comes: a name that is none. */
MUST_CHECK bool regions_find(const struct strlist *given, const char *places, const char *fallback, struct strlist *ret,
                             struct error *err);

/* Outputs, as soon as they are known: a step output when $GITHUB_OUTPUT is set, else `name=value` on stdout (not with
 * --json, whose object comes at the end). */
MUST_CHECK bool output_write(struct cmd *cmd, const char *name, const char *value, struct error *err);
/* Whether all that was printed on stdout is written: a full disk shows when the last bytes go. */
MUST_CHECK bool output_flush(struct error *err);
/* Appends Markdown to $GITHUB_STEP_SUMMARY, if set; a failure is a warning only. */
void summary_write(struct cmd *cmd, const char *markdown);
/* Prints a line on stdout, for what may hold the words of a server: without secrets and control characters. */
void print_line(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* The same of each line of a text, whose tabs stay. */
void print_lines(const char *text);
/* Prints a JSON object on one such line. */
void print_json(struct json_object *object);

#endif
