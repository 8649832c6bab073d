/* The launch: N runners under one label, from nothing to online, or back to nothing. A pure state machine.
 *
 * Every runner is a slot with a goal, up or down. After every event each slot is looked at afresh: what it has, and
 * what is next towards its goal. A slot that fails goes down by the way of pair.h; when fewer than min_count are left,
 * all go down. */
#ifndef MAYFLY_RUNNER_LAUNCH_H
#define MAYFLY_RUNNER_LAUNCH_H

#include "mayfly/runner/handover.h"
#include "mayfly/runner/pair.h"
#include "mayfly/runner/room.h"
#include "mayfly/util/secret.h"

struct launch_config { /* borrowed, valid as long as the launch */
    const char *label;
    const char *fleet; /* of claims */
    bool claims;       /* the label is the user's: of two starts that take it at one moment, the younger gives way */
    bool hands;        /* instances are tagged once the launch has succeeded */
    const struct strlist *labels; /* what the runners carry: the label, and more if the user said so */
    int64_t runner_group;
    const char *name_mark;   /* runner names are this, the cell's region, epoch and random characters */
    int64_t epoch;           /* of the launch, seconds since 1970, by AWS's clock as the reaper counts the age */
    size_t count, min_count; /* min_count: the launch succeeds with this many; at least 1 */
    const struct plan *plan; /* at least one cell */
    int64_t timeout_ms;      /* of the whole launch, but for LAUNCH_OVERTIME_MS */
    int64_t timeout_s;       /* of the whole start, as the user gave it: for messages */
    size_t jit_max;          /* bytes of a configuration that the user-data has room for; 0: whatever comes */
    bool jobs_may_wait;      /* the label is not fresh: a runner may get a job the moment it is online */
    uint64_t seed;           /* of names and jitter */
    /* The parameters of RunInstances for one slot; strings go into the arena. */
    void (*render)(void *ctx, const struct cell *cell, const char *runner_name, int64_t runner_id, const char *jit,
                   struct arena *arena, struct ec2_run *ret);
    /* All instances that will be are known: the time to write outputs. Once, and again after one was replaced that EC2
     * took back. Its failure is the launch's. */
    bool (*launched)(void *ctx, struct error *err);
    /* EC2 took the slot's instance back before its runner came; another cell is tried. NULL: nobody wants to know. */
    void (*taken_back)(void *ctx, size_t slot, const struct error *why);
    void *ctx;
};

enum { LAUNCH_OVERTIME_MS = 1500 }; /* what undoing may take on top */

struct launch_slot {
    struct pair pair;
    bool down;   /* the goal */
    bool failed; /* by itself: it does not come back */
    struct secret jit;
    size_t cell;      /* index into the plan: being tried, or taken */
    bool cell_tried;  /* an earlier cell was asked with this configuration */
    bool stale;       /* this configuration must not be used again */
    unsigned attempt; /* of minting; part of the client token */
    unsigned mint_failures;
    bool mint_lost;  /* an answer for this very name was lost */
    bool replace;    /* the record is being deleted to be minted again */
    bool taken_back; /* since EC2 ended its instance */
    bool came;       /* its runner was seen online after all */
    bool announced;  /* `launched` was called with this instance */
    int64_t mint_at; /* not before */
    char *region;    /* that the runner's name tells */
    bool running, online, busy;
    bool asking;                                           /* ACT_GET is in flight, */
    int64_t asked_id;                                      /* of this runner */
    bool missing;                                          /* from the newest list: to be asked for by id */
    int64_t asked_at;                                      /* RunInstances, of an instance that is there */
    int64_t minted_at, launched_at, running_at, online_at; /* monotonic ms; 0: not yet */
    int64_t launch_time;                                   /* EC2's, seconds since 1970; 0: not told */
    char *zone;
};

/* What has been asked of one region. */
struct launch_region {
    const char *name;
    int64_t run_rate; /* of RunInstances: see rate_take */
    int64_t look_at;  /* next look at EC2; 0: nothing to look at yet */
    int64_t asked_at; /* the newest look */
    bool looking;
    struct strlist ids; /* of the look in flight */
};

struct launch {
    struct machine machine; /* first */
    const struct launch_config *config;
    struct launch_slot *slots;
    struct launch_region *regions;
    size_t n_regions;
    struct room room;
    struct handover handover;
    int64_t mint_rate; /* of generate-jitconfig: see rate_take */
    uint64_t random;
    int64_t started_at;
    int64_t deadline;    /* what is not online then goes down */
    int64_t end_by;      /* and this is the end of that, whatever hangs */
    int64_t ask_at;      /* next question to GitHub; 0: nothing to ask yet */
    bool listing;        /* ACT_LIST is in flight */
    int64_t spare_until; /* GitHub wants fewer questions until then */
    unsigned list_pages; /* of the newest ACT_LIST; 0: never listed */
    bool announced, timed_out;
    bool undoing;        /* all go down */
    int64_t hurry_until; /* after a signal: calls in flight are waited for until then; 0: no signal */
    bool console_wanted, console_asked;
    size_t console_of;  /* slot */
    char *console;      /* the tail of its console, or NULL */
    struct error error; /* why it failed; ERROR_NONE: it did not */
};

void launch_init(struct launch *l, const struct launch_config *config);
void launch_clear(struct launch *l);
/* After machine.done: at least min_count slots are online. With fewer than count, l->error says why. */
bool launch_succeeded(const struct launch *l);
/* The slot is online and stays. */
bool launch_slot_is_up(const struct launch_slot *s);
/* What a failed launch could not undo, in words for a person ("i-0abc (its termination failed: …)"), owned; NULL when
 * nothing is left. */
char *launch_leftovers(const struct launch *l);
/* The last phase that a console shows ("docker-ready"), owned, or NULL. */
char *launch_console_phase(const char *console);
/* The exit status that its runner ended with ("7"), owned, or NULL: it did not end, or not by itself. */
char *launch_console_exit(const char *console);
/* Did GitHub refuse the runner since it is too old? */
bool launch_console_is_deprecated(const char *console);
/* Why boot.sh gave up, in its own words ("pre-runner script (exit 7)"), owned, or NULL. */
char *launch_console_failure(const char *console);
/* Was it powered off since a machine of this disk had a job already? It was booted again, or its image was made of such
 * a machine. */
bool launch_console_is_second_boot(const char *console);

#endif
