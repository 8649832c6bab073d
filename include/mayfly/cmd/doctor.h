/* doctor: its parts. doctor.c is the flow and what is told, doctor_aws.c and doctor_github.c what is asked of each. */
#ifndef MAYFLY_CMD_DOCTOR_H
#define MAYFLY_CMD_DOCTOR_H

#include "mayfly/cmd/start.h"
#include "mayfly/runner/doctor.h"

enum { DOCTOR_TRIALS = 3, DOCTOR_RIDDLES_MAX = 8 };

/* A region of the plan, and what EC2 is asked in it. */
struct place {
    const char *region;
    bool dead; /* EC2 does not answer there */
    struct aws_call *instances, *subnets, *groups, *offerings, *tables, *encryption, *key; /* NULL: not asked */
    struct aws_call *trials[DOCTOR_TRIALS];
    const char *instance; /* of the fleet, or NULL */
    struct volume_encryption encrypts;
    struct field_list subnet_rows, group_rows, offering_rows, table_rows;
};

struct doctor {
    struct cmd *cmd;
    struct session session;
    struct start start; /* the launch that is looked into */
    struct findings findings;
    struct arena arena;
    struct call **calls; /* owned, until the end; from `asked` on they have yet to run */
    size_t n, asked;
    struct riddle { /* a refusal that STS may explain */
        size_t finding;
        const struct aws_call *refused;
        struct aws_call *answer;
    } riddles[DOCTOR_RIDDLES_MAX];
    size_t n_riddles;
    struct error aws_error, github_error; /* of the settings */
    bool options, aws, github;            /* they work */
    const char *newest_runner;            /* that GitHub offers, or NULL */
    struct field_list downloads;          /* struct github_download */
    struct place *places;                 /* one a region of the plan */
    struct strlist keys;                  /* that the options encrypt volumes with, as params_keys has them */
    const char **image_ids;               /* of each image that is named by a parameter */
    bool *unusable;                       /* cells that would not take an instance */
    bool refused;                         /* RunInstances is, by a policy */
};

/* Adds a call to those that doctor_run runs next; it lives until the end. */
struct aws_call *doctor_ask(struct doctor *d, struct aws_call *call);
struct github_call *doctor_ask_github(struct doctor *d, struct github_call *call);
/* Runs what was asked to its end, each call whatever becomes of the others. False: a signal came. */
MUST_CHECK bool doctor_run(struct doctor *d, struct error *err);
/* The call was made, and succeeded. */
bool doctor_answered(const struct call *call);

void doctor_tell_error(struct finding *f, const struct error *err);
/* What a call that failed says; a refusal with the statement of the command's policy that it lacks. */
void doctor_tell_failure(struct doctor *d, struct finding *f, const struct aws_call *call, const char *command);
void doctor_not_checked(struct doctor *d, enum check check, const char *what, const char *why);

/* Who the credentials are; sets d->aws. */
void doctor_judge_identity(struct doctor *d, const struct aws_call *call);
/* Regions first; then images, the network and permissions, one question leading to the next. */
void doctor_ask_regions(struct doctor *d);
void doctor_judge_regions(struct doctor *d);
MUST_CHECK bool doctor_look_at_aws(struct doctor *d, struct error *err);
/* RunInstances as a dry run, in the cells of the plan; needs all images. */
MUST_CHECK bool doctor_try_launch(struct doctor *d, struct error *err);
/* Lets STS explain the refusals. */
MUST_CHECK bool doctor_solve_riddles(struct doctor *d, struct error *err);

/* Who the GitHub App is, where it is installed and what it may; rate: the first call with a token of it. */
void doctor_judge_app(struct doctor *d, const struct github_call *about, const struct github_call *rate);
/* Whether the token is accepted; sets d->github. */
void doctor_judge_token(struct doctor *d, const struct github_call *call);
/* What the token may do, the downloads, the runner group. */
MUST_CHECK bool doctor_look_at_github(struct doctor *d, struct error *err);

#endif
