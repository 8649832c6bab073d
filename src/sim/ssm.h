/* SSM's parameters. */
#ifndef MAYFLY_SIM_SSM_H
#define MAYFLY_SIM_SSM_H

#include "http.h"
#include "sim.h"

void ssm_serve(struct sim *s, const struct request *r, struct response *res);

#endif
