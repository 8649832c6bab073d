/* The stop: ends what a start launched. A pure state machine.
 *
 * Named by instance, label or both, it ends all that is named. Unnamed, it looks for this workflow run, and spares what
 * is busy: another start of the same run may own it. Named by outputs that are empty, it ends only what no start of
 * this run has handed out: a start that died made it. */
#ifndef MAYFLY_RUNNER_STOP_H
#define MAYFLY_RUNNER_STOP_H

#include "mayfly/runner/pair.h"

struct stop_config { /* borrowed, valid as long as the stop */
    const char *fleet, *scope;
    const struct strlist *regions;   /* searched, at least one */
    const struct strlist *instances; /* ids, or empty */
    const char *label;               /* or NULL */
    /* Of the workflow run, and --name; used when nothing is named. May be NULL. */
    const char *run_id, *run_attempt, *name;
    const char *repo; /* of the workflow run, or NULL */
    bool force;       /* also what is not ours, or is busy */
    bool empty;       /* outputs were given and are empty: only what no finished start handed out */
    bool wide; /* everywhere, after a search of what was configured: what is not ours is looked at, too, and a region
                  that cannot be searched is no error */
};

struct stop_target {
    struct pair pair;
    char *label;
    char *handed; /* the regions of its launch, once that has succeeded; or NULL */
    bool already_gone;
};

struct stop {
    struct machine machine; /* first */
    const struct stop_config *config;
    struct stop_search {
        struct ec2_filter filters[2];
        size_t n_filters;
        struct strlist values[2];
    } searches[2]; /* each made in every region */
    size_t n_searches;
    size_t scanning; /* searches not answered yet */
    struct stop_target *targets;
    size_t n;
    int64_t asked_at; /* for the newest search */
    int64_t again_at; /* not all was found: once more then; 0: it was */
    bool scanned_again;
    bool by_run;         /* nothing was named */
    bool several_labels; /* so nothing was touched: --name must say which */
    int64_t hurry_until;
    struct strlist starting; /* launched so lately, and not handed out, that their start may be at work: left alone */
    struct strlist handed;   /* by a start of this run: another job's, and left alone */
    struct strlist unread;   /* of a wide search: regions that could not be searched */
    struct error unread_why; /* the first of them */
    char *stranger;          /* of a wide search: an instance that is meant, and belongs to another fleet; or NULL */
    char *strange_fleet;
    struct error error;
};

/* False, *s unusable, when the configuration names nothing at all. */
MUST_CHECK bool stop_init(struct stop *s, const struct stop_config *config, struct error *err);
void stop_clear(struct stop *s);
/* A search has shown this instance, and it is meant. */
bool stop_knows(const struct stop *s, const char *id);
/* Was it not found, or not all of it, in the regions that were searched? Then they were perhaps the wrong ones. */
bool stop_misses(const struct stop *s);

#endif
