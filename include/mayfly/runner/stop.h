/* The stop: ends what a start launched. A pure state machine.
 *
 * Named by instance, label or both, it ends all that is named. Unnamed, it looks for this workflow run, and spares what
 * is busy: another start of the same run may own it. */
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
    bool force; /* also what is not ours, or is busy */
};

struct stop_target {
    struct pair pair;
    char *label;
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
    struct error error;
};

/* False, *s unusable, when the configuration names nothing at all. */
MUST_CHECK bool stop_init(struct stop *s, const struct stop_config *config, struct error *err);
void stop_clear(struct stop *s);
/* A search has shown this instance, and it is meant. */
bool stop_knows(const struct stop *s, const char *id);

#endif
