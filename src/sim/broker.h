/* What the stand-in for the runner program talks to. */
#ifndef MAYFLY_SIM_BROKER_H
#define MAYFLY_SIM_BROKER_H

#include "http.h"
#include "sim.h"

void broker_serve(struct sim *s, const struct request *r, struct response *res);

#endif
