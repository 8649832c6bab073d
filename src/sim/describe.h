/* Describe actions: filters and pages. */
#ifndef MAYFLY_SIM_DESCRIBE_H
#define MAYFLY_SIM_DESCRIBE_H

#include "aws.h"

/* What can be described. */
struct resource {
    const char *ids;     /* the parameter that names them, "VolumeId" */
    const char *set;     /* the element around the rows */
    const char *filters; /* their names, besides tag:KEY and tag-key */
    /* Appends what the filter `name` looks at in a row. */
    void (*values)(const struct call *c, const void *row, const char *name, struct strlist *ret);
    const struct pairs *(*tags)(const void *row);     /* NULL: has none */
    bool (*check_id)(struct call *c, const char *id); /* NULL: they are checked elsewhere */
    uint64_t most;                                    /* of MaxResults; 0: 1000 */
};

struct listing { /* one Describe action under way */
    const struct resource *resource;
    struct strlist ids; /* that were asked for; empty: all */
    struct filter *filters;
    size_t n_filters;
    uint64_t max, from, seen; /* max 0: all */
};

/* Checks ids, page and filters; false: the request is refused. */
bool listing_begin(struct call *c, const struct resource *resource, struct listing *ret);
void listing_open(struct call *c, const struct listing *l);
/* Is this row asked for, and on this page? */
bool listing_takes(struct call *c, struct listing *l, const char *id, const void *row);
void listing_close(struct call *c, const struct listing *l);
void listing_clear(struct listing *l);

struct fact { /* what a filter may look at */
    const char *name, *value;
};
/* The value of the fact of this name, unless it is NULL. */
void facts_add(const struct fact *facts, size_t n, const char *name, struct strlist *ret);

#endif
