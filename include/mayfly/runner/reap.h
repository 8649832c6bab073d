/* The reaper: one pass over the fleet. What is past its deadline goes; what has no runner any more goes once two passes
 * agree; runner records that no instance belongs to (ghosts) go. Pure: the rules are a table, the pass is a state
 * machine. */
#ifndef MAYFLY_RUNNER_REAP_H
#define MAYFLY_RUNNER_REAP_H

#include "mayfly/runner/pair.h"
#include "mayfly/runner/tags.h"

enum reap_record {                      /* what GitHub says of the instance's runner */
                   REAP_RECORD_UNKNOWN, /* not asked, or could not be: no reason to kill */
                   REAP_RECORD_ABSENT,
                   REAP_RECORD_OFFLINE,
                   REAP_RECORD_ONLINE,
                   REAP_RECORD_BUSY, /* says that it runs a job, online or not */
};

struct reap_facts {
    bool ours; /* carries the fleet's tag and a role that we end */
    bool keep; /* TAG_KEEP */
    enum ec2_state state;
    enum reap_record record;
    int64_t age; /* seconds since launch, by EC2's clock */
    struct limits limits;
    int64_t marked_for; /* seconds since an earlier pass came to the same rule; -1: it did not */
};

enum reap_verdict {
    REAP_IGNORE, /* not ours */
    REAP_KEEP,
    REAP_MARK, /* would be killed: a later pass has to agree */
    REAP_TERMINATE,
};

enum { REAP_LAUNCH_GRACE = 120, REAP_CONFIRM = 180, REAP_GHOST_AGE = 3600 }; /* seconds */

/* The first rule that matches. *ret_rule: its name, static, without blanks; *ret_reason: in words, static. Never
 * terminates what is not ours, kept, busy before its deadline, or of unknown record before its deadline; always what is
 * past its deadline, whatever GitHub says. */
enum reap_verdict reap_decide(const struct reap_facts *f, bool confirm, const char **ret_rule, const char **ret_reason);

struct reap_config { /* borrowed, valid as long as the pass */
    const char *fleet, *scope;
    const char *name_mark; /* of this fleet's runner names: runner_name_mark() */
    const struct strlist *regions;
    struct limits limits; /* of instances without the tag */
    uint64_t max;         /* kills before their deadline in one pass; 0: half the fleet or 20, the larger */
    bool dry_run, confirm;
};

struct reap_target {
    struct pair pair;
    char *runner, *launch_time, *mark;
    struct reap_facts facts;
    enum reap_verdict verdict;
    const char *rule, *reason; /* static */
    enum {
        REAP_IDLE,    /* nothing to do, or all done */
        REAP_READING, /* the record, once more, before the kill */
        REAP_FENCING, /* deleting the record */
        REAP_LOOKING, /* at the instance, once more */
        REAP_ENDING,
        REAP_MARKING,
    } stage;
    bool ended;
    struct error error; /* why it could not be ended */
};

/* A runner record of ours without an instance: a launch died between its two effects, or an instance vanished. It is
 * deleted when its name bears our mark, its region is read in this pass, it is older than REAP_GHOST_AGE and offline,
 * and EC2, read again after GitHub, still has no instance of that runner. */
struct reap_ghost {
    char *name, *region;
    int64_t runner_id;
    int64_t age; /* seconds, by its name */
    bool absent; /* in the second reading too */
    bool deleting, ended;
    struct error error;
};

struct reap {
    struct machine machine; /* first */
    const struct reap_config *config;
    struct ec2_filter filters[2];
    struct strlist fleet, states;
    size_t scanning;
    bool listing, acting;
    bool suspicious; /* no runner has a record: rather a wrong token than a finished fleet */
    bool over_max;   /* so nothing but the deadline was enforced */
    struct reap_target *targets;
    size_t n;
    struct reap_ghost *ghosts;
    size_t n_ghosts;
    size_t rereading; /* regions */
    int64_t cloud_now;
    int64_t hurry_until;
    struct error error;      /* no pass at all */
    struct error list_error; /* GitHub could not be asked: records unknown */
};

void reap_init(struct reap *r, const struct reap_config *config);
void reap_clear(struct reap *r);

#endif
