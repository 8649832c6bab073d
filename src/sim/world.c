/* What time does to all that exists. */
#include "world.h"
#include "sim.h"
#include "world_instances.h"
#include "world_resources.h"
#include "world_runners.h"

static int64_t next_after(const struct sim *s, int64_t now)
{
    int64_t instances = instances_next(s, now), runners = runners_next(s, now);
    return instances < runners ? instances : runners;
}

void world_tick(struct sim *s)
{
    int64_t now = sim_now(s);
    if (s->options.sandbox)
        s->hooks->poll(s);
    else if (now < s->quiet_until)
        return;
    runners_tick(s, now);
    instances_tick(s, now);
    s->quiet_until = next_after(s, now);
}

int64_t world_next(const struct sim *s)
{
    return s->quiet_until ? s->quiet_until : next_after(s, sim_now(s));
}

void world_clear(struct sim *s)
{
    instances_clear(s);
    runners_clear(s);
    resources_clear(s);
    s->hooks->clear(s);
}
