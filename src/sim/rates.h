/* Rate limits of the kind that a client should not meet. */
#ifndef MAYFLY_SIM_RATES_H
#define MAYFLY_SIM_RATES_H

#include "sim.h"

#include "mayfly/util/error.h"

struct bucket { /* of a region's RunInstances */
    char *region;
    int64_t tokens, at; /* thousandths; simulated ms */
};

/* May it be done now? If not, that is counted. */
bool rates_take_run(struct sim *s, const char *region);
/* *ret_wait: seconds until it may. */
bool rates_take_mint(struct sim *s, int64_t *ret_wait);
/* "PER_SECOND,BURST". */
bool rates_parse(const char *text, struct sim_options *ret, struct error *err);
void rates_clear(struct sim *s);

#endif
