/* The words that the state machines speak: actions they want done, events that tell what came of them.
 *
 * launch, stop, reap and bake are pure: step(state, event) appends actions. drive.c turns actions into calls to EC2 and
 * GitHub and answers into events; tests/unit turns them into a model of both. A machine never blocks, reads no clock
 * and asks for no randomness. */
#ifndef MAYFLY_RUNNER_CLOUD_H
#define MAYFLY_RUNNER_CLOUD_H

#include "mayfly/aws/ec2_fleet.h"
#include "mayfly/aws/ec2_images.h"
#include "mayfly/aws/errors.h"
#include "mayfly/github/jobs.h"
#include "mayfly/github/runners.h"

enum act_kind {
    ACT_NONE,
    ACT_MINT,          /* name, labels of the launch: generate-jitconfig */
    ACT_FIND,          /* name: the runner record of this name */
    ACT_GET,           /* runner_id */
    ACT_LIST,          /* every runner record of the scope, all pages */
    ACT_DELETE,        /* runner_id */
    ACT_RUN,           /* RunInstances for slot `who`; the driver renders it from the machine */
    ACT_SETTLE,        /* client_token: DescribeInstances */
    ACT_LOOK,          /* ids: DescribeInstances by instance-id */
    ACT_SCAN,          /* filters: DescribeInstances, all pages */
    ACT_TERMINATE,     /* instance_id, or ids */
    ACT_CONSOLE,       /* instance_id */
    ACT_MARK,          /* ids, tag, mark (NULL removes it) */
    ACT_JOBS,          /* repo, run_id: the jobs of a workflow run; by_page alone */
    ACT_LEFTOVERS,     /* leftover, filters: what there is of this kind; by_page alone */
    ACT_REMOVE,        /* leftover, name: its id */
    ACT_IMAGE,         /* image: CreateImage */
    ACT_COPY,          /* image: CopyImage */
    ACT_SHARE,         /* name: an image's id, ids: accounts that may launch it */
    ACT_DEPRECATE,     /* name: an image's id, mark: from when, RFC 3339 */
    ACT_GET_PARAMETER, /* name */
    ACT_PUT_PARAMETER, /* name, mark: its value, an image's id */
};

enum { ACT_COUNT = ACT_PUT_PARAMETER + 1 };

struct act {
    enum act_kind kind;
    size_t who;         /* the machine's own index; comes back in the event */
    size_t part;        /* of a machine in parts: which; comes back too */
    const char *region; /* strings are borrowed until the machine's next step; filters live as long as the machine */
    const char *name, *client_token, *instance_id, *mark;
    const char *tag;   /* of ACT_MARK: its key; NULL: the reaper's */
    const char *scope; /* of ACT_LIST, ACT_GET and ACT_DELETE: another than the configured one; or NULL */
    const char *repo;
    int64_t runner_id, run_id;
    enum ec2_kind leftover;
    const struct ec2_new_image *image;
    bool old;     /* of ACT_CONSOLE: as of the last stop, where the type cannot tell the newest */
    bool by_page; /* of lists: EVENT_PAGE for each page but the last, which is the answer */
    const struct strlist *ids;
    const struct ec2_filter *filters;
    size_t n_filters;
};

struct acts { /* a growing list */
    struct act *v;
    size_t n;
};

void acts_add(struct acts *acts, struct act act);
void acts_clear(struct acts *acts);

enum outcome {
    OUTCOME_OK,
    OUTCOME_NOT_FOUND, /* 404, InvalidInstanceID.NotFound */
    OUTCOME_CONFLICT,  /* 409: the name exists */
    OUTCOME_BUSY,      /* 422: runs a job */
    OUTCOME_CAPACITY,  /* try another cell */
    OUTCOME_SUBNET_FULL,
    OUTCOME_QUOTA,
    OUTCOME_TOKEN_USED, /* the client token is spent: ask with another */
    OUTCOME_AMBIGUOUS,  /* the effect may have happened */
    OUTCOME_THROTTLED,  /* no effect, not now: too many requests, no answer, a failure of theirs; retries are used up */
    OUTCOME_FAILED,     /* no effect; final */
};

/* What a class of refusals is to a machine, where no attempt was lost; also of the reason for which EC2 took an
 * instance back (aws_state_reason_class). */
enum outcome outcome_of_class(enum aws_class class);

enum event_kind {
    EVENT_START,
    EVENT_TIME,   /* the machine's `wake` has come */
    EVENT_ANSWER, /* to an action; where pages came before, its last one, or the failure that makes them worthless */
    EVENT_PAGE,   /* rows of an action by page; more will come */
    EVENT_SIGNAL, /* SIGINT, SIGTERM, SIGHUP */
};

struct event { /* borrowed, valid during the step */
    enum event_kind kind;
    int64_t now; /* monotonic, milliseconds */
    enum act_kind act;
    size_t who, part;
    enum outcome outcome;
    const struct error *error; /* when the outcome is not OK */
    const struct ec2_instance *instances;
    size_t n_instances;
    size_t n_skipped;    /* instances that have no id: by page, or of all pages */
    const char *account; /* of an instance in this answer, or NULL */
    const struct github_runner *runners;
    size_t n_runners;
    const struct github_job *jobs;
    size_t n_jobs;
    const struct ec2_leftover *leftovers;
    size_t n_leftovers;
    const struct ec2_change *changes; /* of ACT_TERMINATE */
    size_t n_changes;
    unsigned pages;    /* of ACT_LIST */
    bool scarce;       /* few of GitHub's requests are left in this hour: ask seldom */
    const char *jit;   /* of ACT_MINT */
    const char *text;  /* of ACT_CONSOLE; of ACT_IMAGE and ACT_COPY: the id; of ACT_GET_PARAMETER: the value */
    int64_t cloud_now; /* the time that two clocks agree on (clocks.h), seconds since 1970; of answers */
    bool no_time;      /* no two do: cloud_now is nothing to judge by */
};

/* What the driver and the model need of a machine. */
struct machine {
    void (*step)(struct machine *m, const struct event *event, struct acts *acts);
    /* The parameters of ACT_RUN for slot `who`; strings go into the arena. Only machines that launch set it. */
    void (*render)(const struct machine *m, size_t who, struct arena *arena, struct ec2_run *ret);
    const struct strlist *labels; /* of ACT_MINT */
    int64_t runner_group;         /* of ACT_MINT */
    int64_t give_up; /* no attempt to make something begins after it, but of what may be there already, monotonic ms; 0:
                        no limit. May move. */
    int64_t cut_at;  /* what makes or asks something and is in flight then is not waited for any longer; 0: no limit.
                        May move. */
    int64_t wake;    /* when EVENT_TIME is wanted at the latest, monotonic milliseconds; INT64_MAX: never */
    bool done;
};

/* "RunInstances": for logs. */
const char *act_name(enum act_kind kind);

#endif
