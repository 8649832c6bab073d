/* One pass of the reaper over a fleet. A pure state machine.
 *
 * It reads every region whole, then every scope of GitHub's that the instances belong to, page by page, keeping 48
 * bytes of each instance. Those that do not simply stay are looked at closely: their tags, the jobs of their workflow
 * runs and their consoles where the rules ask for them. Only then, with the whole fleet judged, something is ended,
 * each step of it re-read right before. A region that cannot be read whole ends the pass without any decision; a scope
 * that cannot be read whole leaves its instances' records unknown. Two passes at once are harmless. */
#ifndef MAYFLY_RUNNER_REAP_PASS_H
#define MAYFLY_RUNNER_REAP_PASS_H

#include "mayfly/runner/cloud.h"
#include "mayfly/runner/reap_rows.h"

struct reap_config {       /* borrowed, valid as long as the pass */
    const char *fleet;     /* not empty */
    const char *scope;     /* read in any case: it may have ghosts */
    const char *name_mark; /* of this fleet's runner names: runner_name_mark(); NULL: by its instances' account */
    const struct strlist *regions; /* 1 to 255 */
    struct limits limits;          /* of instances without the tag */
    uint64_t max;                  /* ended before their deadline in one pass; 0: half the fleet or 20, the larger */
    bool dry_run, confirm;
    bool closely; /* look at every instance closely */
};

enum reap_stage {
    REAP_UNSEEN,  /* not looked at yet */
    REAP_SEEN,    /* and not judged yet */
    REAP_TODO,    /* to be ended, and nothing done for it yet */
    REAP_READING, /* the record, once more */
    REAP_FENCING, /* deleting the record */
    REAP_ASKING,  /* for its job, once more: from now on it gets none */
    REAP_HEARING, /* for its console, once more */
    REAP_FENCED,  /* to be looked at once more */
    REAP_LOOKING,
    REAP_CLEARED, /* to be ended now */
    REAP_ENDING,
    REAP_TO_MARK, /* or to be unmarked */
    REAP_MARKING,
    REAP_DONE, /* nothing to do, or all done */
    REAP_STAGE_COUNT,
};

/* An instance that is looked at closely. */
struct reap_target {
    size_t row;
    char *runner, *label, *repo, *type, *zone, *lifecycle; /* what its tags and EC2 say; NULL when absent */
    char *launch_time;
    char *mark_rule; /* of facts.mark */
    int64_t run_id;  /* 0: of no workflow run */
    uint64_t tags;   /* a fingerprint of all but the mark */
    struct reap_facts facts;
    struct reap_ruling ruling;
    enum reap_stage stage;
    bool has_mark;     /* whatever it says */
    bool held;         /* would be ended, but for --max */
    bool alone;        /* not in a batch: the one that it was in failed as a whole */
    bool fenced;       /* its record was deleted by us */
    bool deregistered; /* and that is all that this pass does */
    bool ended;
    struct error error; /* why it could not be looked at, ended or marked */
};

struct reap_scope {
    size_t records;
    size_t unclear;     /* of them: GitHub's answer on them makes no sense; what they could be of is unknown */
    char *an_unclear;   /* why one of them does not; owned, or NULL */
    bool suspicious;    /* no runner has a record: rather a wrong token than a finished fleet; so all are unknown */
    struct error error; /* it could not be read whole: so all are unknown */
};

/* A runner record of ours without an instance: a launch died between its two effects, or an instance vanished. It is
 * deleted when its name bears our mark, its region is read in this pass, it is older than REAP_GHOST_AGE and offline,
 * and EC2, asked again after GitHub, has no instance of that runner. One that is online is told only. One that is
 * offline and yet runs a job, by GitHub's word, GitHub refuses to delete: it is told, and tried for an hour of each day
 * of its age, so that nobody has to remember when it was. */
struct reap_ghost {
    char *name;
    size_t region, scope;
    int64_t runner_id;
    int64_t age; /* seconds, by its name */
    bool online;
    bool locked; /* offline, and busy */
    enum { REAP_GHOST_FOUND, REAP_GHOST_LOOKING, REAP_GHOST_ABSENT, REAP_GHOST_DELETING, REAP_GHOST_DONE } stage;
    bool absent; /* when EC2 was asked again: it is a ghost */
    bool ended;
    struct error error;
};
/* Is this the hour in which one that is locked is tried? Of others: always. */
bool reap_ghost_is_due(const struct reap_ghost *g);

enum {
    REAP_GHOST_AGE = 3600,
    REAP_LOCKED_EVERY = 86400,
    REAP_LOCKED_FOR = 3600,
    REAP_GHOSTS_MAX = 1000 /* in one pass */,
    REAP_UNREAD_MAX = 8,
    REAP_CONSOLES_MAX = 200 /* in one pass */
};

struct reap_batch; /* of instances for one call */
struct reap_run;   /* a workflow run whose jobs are read */

struct reap {
    struct machine machine; /* first */
    const struct reap_config *config;
    enum reap_phase { REAP_SCANNING, REAP_LISTING, REAP_CLOSE, REAP_JOBS, REAP_CONSOLES, REAP_ACTING } phase;
    struct ec2_filter filters[2];
    struct strlist fleet, states;
    size_t in_flight, next; /* actions; and what the phase begins with next */
    struct reap_rows rows;
    struct reap_scope *scopes; /* of rows.scopes */
    struct reap_target *targets;
    size_t n;
    struct reap_run *runs;
    size_t n_runs;
    struct reap_ghost *ghosts;
    size_t n_ghosts;
    char *name_mark;       /* NULL: not known, so that no ghost is */
    size_t malformed;      /* instances that were passed over: what EC2 says of them makes no sense */
    char *a_malformed;     /* one of them; owned */
    bool more_ghosts;      /* than one pass deletes */
    struct strlist unread; /* regions of runners of ours that this pass does not read; 8 at most */
    struct reap_batch **batches;
    size_t n_batches;
    size_t staged[REAP_STAGE_COUNT]; /* targets */
    int64_t flush_at;                /* what is fenced goes on then at the latest */
    bool over_max;                   /* so nothing but the deadline was enforced */
    int64_t cloud_now;   /* when all was read, by two clocks that agree, seconds since 1970: ages are told by it */
    int64_t cloud_ahead; /* that clock less the monotonic one, milliseconds: a mark tells when it is made, so that a
                            pass that takes long does not shorten the window */
    int64_t hurry_until;
    struct error error;         /* no pass at all */
    size_t consoles;            /* read so far, or asked for */
    struct error jobs_error;    /* the first of reading jobs */
    struct error console_error; /* the first of reading consoles, of those that say more than that there is none */
};

void reap_init(struct reap *r, const struct reap_config *config);
void reap_clear(struct reap *r);

#endif
