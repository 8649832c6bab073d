/* Instances that run their user-data for real. */
#ifndef MAYFLY_SIM_SANDBOX_H
#define MAYFLY_SIM_SANDBOX_H

#include "sim.h"
#include "world_instances.h"

#include "mayfly/util/error.h"

bool sandbox_prepare(struct sim *s, struct error *err); /* the runner's tarball */
void sandbox_start(struct sim *s, struct instance *i);
void sandbox_kill(struct sim *s, struct instance *i);
/* Reads consoles, notices ends. */
void sandbox_poll(struct sim *s);

#endif
