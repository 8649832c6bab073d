/* Which cells of a plan may still have room, told from the answers to RunInstances. Pure. */
#ifndef MAYFLY_RUNNER_ROOM_H
#define MAYFLY_RUNNER_ROOM_H

#include "mayfly/runner/cloud.h"
#include "mayfly/runner/plan.h"

struct room {
    const struct plan *plan; /* borrowed */
    bool *ruled_out;         /* for each cell */
};

void room_init(struct room *r, const struct plan *plan);
void room_clear(struct room *r);
/* The cell has none: OUTCOME_CAPACITY, OUTCOME_QUOTA or OUTCOME_SUBNET_FULL. What that says of the others: quota is of
 * a market in a region, and a smaller type may still fit; addresses are of a subnet. */
void room_rule_out(struct room *r, size_t failed, enum outcome outcome);
/* Moves *cell to the first, from there on, that may have room; false: none is left. */
MUST_CHECK bool room_find(const struct room *r, size_t *cell);

#endif
