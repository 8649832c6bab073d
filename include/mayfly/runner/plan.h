/* The plan of a launch: the cells to try, in order. Pure. */
#ifndef MAYFLY_RUNNER_PLAN_H
#define MAYFLY_RUNNER_PLAN_H

#include "mayfly/util/strbuf.h"

struct cell { /* one place to try; strings borrowed from the options */
    const char *region, *subnet, *type, *image;
    bool spot;
};

struct plan {
    struct cell *cells;
    size_t n;
};

/* Markets outermost, so that `spot, on-demand` tries spot everywhere first; then types in their order; then subnets. */
void plan_make(struct plan *ret, const char *region, const char *image, const struct strlist *markets,
               const struct strlist *types, const struct strlist *subnets);
void plan_clear(struct plan *plan);
/* "spot" or "on-demand". */
const char *cell_market(const struct cell *c);

#endif
