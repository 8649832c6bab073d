/* Machines that bake or prove an image, which no sandbox can. */
#ifndef MAYFLY_SIM_BUILDER_H
#define MAYFLY_SIM_BUILDER_H

#include "sim.h"
#include "world_instances.h"

void builder_boot(struct sim *s, struct instance *i);
void builder_tick(struct sim *s, struct instance *i, int64_t now);

#endif
