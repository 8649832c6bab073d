/* What time does to all that exists. */
#ifndef MAYFLY_SIM_WORLD_H
#define MAYFLY_SIM_WORLD_H

#include "sim.h"

/* What others do in the world, which knows none of them: main.c, which knows all, hangs them in. */
struct world_hooks {
    /* A machine came up. True: somebody plays it; else the model does. */
    bool (*boot)(struct sim *s, struct instance *i);
    /* Time has passed for a machine. */
    void (*tick)(struct sim *s, struct instance *i, int64_t now);
    /* Its power is cut. */
    void (*power_cut)(struct sim *s, struct instance *i);
    /* Before time passes, where instances run in a sandbox. */
    void (*poll)(struct sim *s);
    /* The world becomes empty. */
    void (*clear)(struct sim *s);
};

void world_tick(struct sim *s);
/* The next moment at which something happens by itself, simulated ms; INT64_MAX: never. */
int64_t world_next(const struct sim *s);
void world_clear(struct sim *s);

/* The earlier one of next and when, if that is after now. */
static inline int64_t world_earlier(int64_t next, int64_t now, int64_t when)
{
    return when > now && when < next ? when : next;
}

#endif
