/* Who gives temporary credentials besides STS. */
#ifndef MAYFLY_SIM_ISSUER_H
#define MAYFLY_SIM_ISSUER_H

#include "http.h"
#include "sim.h"

void issuer_serve(struct sim *s, const struct request *r, struct response *res);

#endif
