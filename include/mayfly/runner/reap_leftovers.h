/* What instances and bakes of a fleet leave behind: volumes that nothing is attached to, spot requests that nothing
 * came of, images with their snapshots that a bake began and never got done with, and, where a retention is given, old
 * ones that no instance runs and that are not published. A pure state machine.
 *
 * Only what carries the fleet's tag is ever removed. */
#ifndef MAYFLY_RUNNER_REAP_LEFTOVERS_H
#define MAYFLY_RUNNER_REAP_LEFTOVERS_H

#include "mayfly/runner/cloud.h"

enum { REAP_LEFTOVER_GRACE = 3600, REAP_LEFTOVERS_MAX = 200 /* of a kind in one pass */ };

struct leftovers_config {          /* borrowed, valid as long as the pass */
    const char *fleet;             /* not empty */
    const struct strlist *regions; /* at least one */
    int64_t retention;             /* seconds; of images and snapshots; 0: those that are done are left alone */
    bool dry_run;
};

/* What is known of one. */
struct leftover_facts {
    enum ec2_kind kind;
    bool ours;     /* carries the fleet's tag; images and snapshots: and the role bake */
    bool keep;     /* TAG_KEEP */
    bool idle;     /* its state is one in which nothing uses it */
    bool unproven; /* image, snapshot: TAG_LIMITS says until when a bake may be at it */
    int64_t life;  /* seconds; how long that is */
    bool newest;   /* image: the newest that works of its name and architecture */
    int64_t age;   /* seconds since it was made, by the clocks that agree; -1: unknown */
};

struct leftover_ruling {
    bool remove;
    const char *rule, *reason; /* static */
};

/* Pure: the first rule that matches. */
struct leftover_ruling leftover_decide(const struct leftover_facts *f, int64_t retention);

struct leftover {
    char *id, *group; /* group: images that follow each other; or NULL */
    bool works;       /* image: is available and proven */
    char *names[2];   /* image: the parameters that may name it: what is published, and what was before; or NULL */
    size_t asked;     /* so many of them did not */
    size_t region;
    struct leftover_facts facts;
    struct leftover_ruling ruling;
    enum { LEFTOVER_KEPT, LEFTOVER_TODO, LEFTOVER_READING, LEFTOVER_REMOVING, LEFTOVER_DONE } stage;
    bool removed;
    struct error error;
};

struct leftovers {
    struct machine machine; /* first */
    const struct leftovers_config *config;
    enum ec2_kind kind; /* one after the other: an image before its snapshots */
    struct strlist fleet, role, limits, state, going, live;
    struct ec2_filter filters[2], by_use[2];
    size_t region, in_flight, first; /* the region to be asked next; actions; the kind's first of v */
    enum { LEFTOVERS_LISTING, LEFTOVERS_USED, LEFTOVERS_REMOVING } phase; /* used: which images do instances run? */
    struct leftover *v; /* those that go, those that are told, and images */
    size_t n;
    bool more[EC2_KIND_COUNT]; /* than one pass removes */
    int64_t cloud_now;
    bool no_time; /* no two clocks agree: no age is known */
    int64_t hurry_until;
    struct error errors[EC2_KIND_COUNT]; /* the first of listing this kind */
    struct error error;                  /* interrupted */
};

void leftovers_init(struct leftovers *l, const struct leftovers_config *config);
void leftovers_clear(struct leftovers *l);

#endif
