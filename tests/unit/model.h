/* A model of EC2 and GitHub in virtual time, for machines of runner/cloud.h: takes their actions, answers after delays,
 * lies and loses answers as both are known to do (reference: EC2 API, "Ensuring idempotency" and "Eventual
 * consistency"; GitHub's self-hosted runners API).
 *
 * Everything follows from the seed. Every decision is a hash of the seed and of its own place (which action, of which
 * slot, its ordinal number), not the next number of one stream: leaving out one fault leaves the others where they
 * were, which is what makes a failure shrink. */
#ifndef MAYFLY_TESTS_MODEL_H
#define MAYFLY_TESTS_MODEL_H

#include "mayfly/runner/launch.h"
#include "mayfly/runner/stop.h"

enum fault {
    FAULT_NONE,
    FAULT_AMBIGUOUS_DONE,   /* the answer is lost, the effect is there */
    FAULT_AMBIGUOUS_UNDONE, /* the answer is lost, and so was the request */
    FAULT_AMBIGUOUS_LATE,   /* the effect comes up to 5 s after the answer was given up */
    FAULT_SLOW,             /* 3 to 28 s */
    FAULT_THROTTLED,
    FAULT_FAILED,
    FAULT_CAPACITY,
    FAULT_SUBNET_FULL,
    FAULT_QUOTA,
    FAULT_TOKEN_USED,      /* launched by a try whose answer was lost, dead before the next try */
    FAULT_TOKEN_USED_BUSY, /* the same, and it had begun a job by then */
    FAULT_STRANGER,        /* somebody else's record has the name */
    FAULT_GET_404,         /* a replica that does not know the record */
    FAULT_LIST_LAGS,       /* a new record is missing in lists and searches for up to 8 s */
    FAULT_INVISIBLE,       /* a new instance is unknown to descriptions for up to 20 s */
    FAULT_UNENDABLE,       /* and to terminations: not the same replica */
    FAULT_DIES_BOOTING,
    FAULT_DIES_LATER,
    FAULT_NEVER_ONLINE,
    FAULT_SLOW_BOOT,
    FAULT_RECORD_DROPPED, /* GitHub forgets a record that never connected */
    FAULT_BUSY_LIES,      /* false for up to 60 s after the job began; a deletion then may succeed */
    FAULT_NO_RIGHTS,      /* the token may not: GitHub says 404 to all that stop asks */
    FAULT_REFUSED, /* any error of AWS's table, or one that nobody knows; often after an attempt whose answer was lost
                    */
    FAULT_TAKEN_BACK, /* EC2 ends an instance by itself, and says why */
    FAULT_SIGNAL,
    FAULT_CRASH,                         /* of the machine: it gets no further event */
    FAULT_SILENCE,                       /* after a signal, to all questions of a kind, in flight or to come */
    FAULT_OF_REAPERS,                    /* the following happen to reapers alone */
    FAULT_LIST_SKIPS = FAULT_OF_REAPERS, /* a record is missing in a list: another was deleted between two pages */
    FAULT_TAG_LAGS,                      /* descriptions show a tag's old value for up to 30 s */
    FAULT_BLIP,                          /* a runner that works is offline for up to 6 minutes */
    FAULT_HANGS,                         /* a machine: its runner goes offline for ever, and does not power off */
    FAULT_JOB_NOW,    /* a job begins on an idle runner just before a question about it takes effect; its flag lies */
    FAULT_OUTAGE,     /* GitHub answers nothing at all for a while */
    FAULT_STATE_LAGS, /* descriptions show what died as it was, for up to 30 s */
    FAULT_DATE_LAGS,  /* an answer's Date is up to 30 s old */
    FAULT_KEPT_NOW,   /* somebody tags an instance mayfly:keep just before a description of it */
    FAULT_FORGETS,    /* GitHub knows nothing for hours: no record, no run; jobs go on, and begin */
    FAULT_REGISTRATION_LIES, /* a record says idle, or offline and not busy, as long as its job runs */
    FAULT_OTHER_RUN,         /* its job is of a workflow run that launched nothing */
    FAULT_CONSOLE_LAGS,      /* by up to a minute */
    FAULT_CONSOLE_EMPTY,     /* of an instance: its console never shows a thing */
    FAULT_NO_IDLE_LIMIT,     /* its machine does not end itself when no job comes */
    FAULT_COUNT,
};
const char *fault_name(enum fault f);

struct fired { /* a fault that happened */
    enum fault fault;
    uint64_t key; /* its place */
    char *where;
};

/* What a reaper was told of a runner in its pass. */
struct model_told {
    bool listed; /* its scope was read whole */
    bool read;   /* it was asked for by its id, and answered: then, */
    bool busy, busy_offline;
    bool fenced;
    bool jobs_read, jobs_read_again; /* of its workflow run; and asked for behind the fence */
    bool job_runs;                   /* by the last answer */
    int64_t delete_at;               /* the deletion was answered; 0: not yet */
};

struct model_mark { /* that was put on an instance */
    const char *rule;
    int64_t asked_at, gone_at; /* INT64_MAX: not yet */
};

struct model_record {
    int64_t id;
    const char *name;
    size_t slot;
    bool stranger, exists, online, busy, took_job;
    bool decor;                 /* its instance is */
    bool lies_fully;            /* while the flag lies, deletion succeeds too */
    bool says_offline;          /* by FAULT_REGISTRATION_LIES, as long as its job runs */
    bool other_run;             /* its job is of none that launched anything */
    const char *scope;          /* or NULL: the configured one */
    bool job_over;              /* it had a job */
    bool lets_go;               /* it is busy by its flag alone, and deletion succeeds */
    int64_t born_at;            /* by its name */
    struct model_told told[2];  /* by reaper */
    int64_t listed_at, lies_to; /* in lists from then on; the flag tells the truth from then on */
    /* What the machine under test was told. */
    int64_t fence_asked;                                  /* when its deletion was asked for first; 0: not yet */
    bool fence_answered, fenced, told_busy, refused_busy; /* fenced: its deletion was confirmed */
    bool told_deleted;                                    /* by the answer to it */
    bool told_online;
};

enum { AT_ONLINE, AT_JOB, AT_JOB_END, AT_DIES, AT_DROP, AT_BLIP, AT_BACK, AT_HANG, AT_UNLOCK, AT_IDLE, AT_COUNT };

struct model_instance {
    struct ec2_instance view; /* as launched: without a state */
    const char *region;
    size_t slot;
    struct model_record *record;
    bool decor;      /* not of the launch: another start's, or put there for stop */
    bool told_rival; /* an answer to a look for the launch's label showed it */
    int64_t launched_at, running_at, dead_at, visible_at, endable_at, mark_seen_at;
    struct model_mark marks[16]; /* the newest, in turn */
    size_t n_marks;              /* ever */
    const char *lagging;         /* the key of a tag whose old value, or NULL: */
    const char *old_mark;        /* is seen until mark_seen_at */
    int64_t death_seen_at;
    int64_t unheard_at;            /* GitHub did not hear of its runner then; 0: never */
    int64_t kept_at, looked_at[2]; /* tagged mayfly:keep after its launch; last described by its id; 0: not yet */
    int64_t queued_at;             /* its job waits from then on, until AT_JOB; 0: it does not wait */
    bool hung;                     /* nothing works on it any more */
    bool stays;                    /* when its runner is done, it does not power off */
    int64_t done_at;               /* its job, or its work; 0: not yet */
    int64_t idle_ms;               /* its idle limit; 0: it has none */
    int64_t booted_at, started_at, job_at, exited_at; /* when its console shows it; 0: not yet */
    const char *halted;                               /* "stopped", "stopping" or NULL */
    const char *reason;                               /* stateReason, once it is dead; or NULL */
    bool told_final;                                  /* the machine read that there is no use in another */
    int64_t at[AT_COUNT];                             /* INT64_MAX: not to come */
    int64_t known_at;                                 /* the machine has its id since then; 0: not yet */
    bool end_asked;                                   /* for, by TerminateInstances */
    bool was_online, scanned, ended; /* scanned: an answer to ACT_SCAN showed it; ended: by TerminateInstances */
};

struct flight; /* an action on its way */

enum { MODEL_EPOCH = 1700000000 /* EC2's clock when the world begins */ };
enum { MAX_SLOTS = 4, MAX_CELLS = 6, WHO_COUNT = 16, PHASE_COUNT = 16 };

struct model {
    uint64_t seed;
    const uint64_t *masked; /* faults that are left out */
    size_t n_masked;
    bool tracing;
    struct strbuf trace;
    struct fired *fired;
    size_t n_fired;

    /* What the seed chose. */
    unsigned per_mille; /* faults per opportunity */
    uint64_t swarm;     /* which kinds there are at all */
    size_t jobs;        /* in the queue for the launch's label */
    const char *label, *name_prefix;

    int64_t now;
    unsigned phase; /* 0: the launch, 1: the stop after it; or the pass of a reaper */
    unsigned nth[PHASE_COUNT][ACT_COUNT][WHO_COUNT];
    struct arena arena;
    struct flight *flights;
    struct model_record **records;
    size_t n_records;
    struct model_instance **instances;
    size_t n_instances;
    struct {
        const char *token, *parameters;
    } * tokens;
    size_t n_tokens;
    const char *asked_name[MAX_SLOTS];   /* the newest name that a record was asked for */
    const char *unsure_token[MAX_SLOTS]; /* RunInstances whose outcome the machine does not know */

    struct machine *machines[2]; /* under test now; NULL: it crashed or is done; or there is no second */
    int64_t second_at;           /* the second begins then */
    bool spares_busy;            /* the machine must not end what runs a job, */
    bool fences;                 /* nor what is not known to run none */
    bool (*may_touch)(const struct model *m, const struct model_instance *i); /* or NULL: all that is no decor */
    void *ctx;
    int64_t hurry_from;                           /* the machine has no time left to wait for fences */
    uint64_t silent;                              /* kinds of actions, as bits, that are answered no more */
    int64_t signal_at, signalled_at, crash_after; /* INT64_MAX: never; crash_after: steps */
    bool reaps;                                   /* the machines are reapers: */
    /* NULL: it may; else why not. `of`: which of both. mark: NULL takes it away. */
    const char *(*reap_may_end)(struct model *m, size_t of, const struct model_instance *i);
    const char *(*reap_may_mark)(struct model *m, size_t of, const struct model_instance *i, const char *mark);
    const char *(*reap_may_delete)(struct model *m, size_t of, const struct model_record *r);
    bool blind[2];                  /* a region could not be read */
    bool ec2_failed[2];             /* in some call */
    int64_t date_ahead[2];          /* EC2's clock as it was told, less the model's; ms */
    int64_t began_at;               /* the run */
    int64_t outage_from, outage_to; /* of GitHub */
    int64_t forgets_from, forgets_to;
    bool no_rights; /* from now on */
    int64_t job_ms; /* the longest job */
    int64_t steps, idle_steps, end_by;
    size_t kills, deletes;
    bool scan_failed;
    size_t last_looks; /* for the launch's label, that were answered well */
    bool undo_trouble; /* something else than OK came back on the way down, or its way there was unclear */

    int broken; /* the invariant, from 1; 0: none */
    char *violation;
};

void model_init(struct model *m, uint64_t seed, const uint64_t *masked, size_t n_masked, bool tracing);
void model_clear(struct model *m);

/* A number below n that only the seed and the place decide. */
uint64_t model_pick(const struct model *m, uint64_t place, uint64_t n);
/* Does this fault happen here? per_mille: how often, where it can. */
bool model_fault(struct model *m, enum fault f, uint64_t place, unsigned per_mille, const char *where);
void model_trace(struct model *m, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The first violation counts. */
void model_break(struct model *m, int invariant, const char *fmt, ...) PRINTF_LIKE(3, 4);

bool model_is_live(const struct model *m, const struct model_instance *i);
/* Does GitHub know nothing then? */
bool model_forgets(const struct model *m, int64_t when);
/* Does a job wait for its label? */
bool model_waits(const struct model *m, const struct model_instance *i);
struct model_record *model_add_record(struct model *m, const char *name, size_t slot);
struct model_instance *model_add_instance(struct model *m, const char *region, const char *subnet, const char *token,
                                          const struct ec2_tag *tags, size_t n_tags);

/* Runs the machine to its end, its crash, or the first violation. What is in flight then takes its effect. */
void model_run(struct model *m, struct machine *machine);
/* The same with two, the second of which begins later. */
void model_run_two(struct model *m, struct machine *first, struct machine *second, int64_t later_ms);
/* Lets time pass, with nobody watching. */
void model_pass(struct model *m, int64_t ms);

#endif
