/* EC2 and STS. */
#ifndef MAYFLY_SIM_AWS_SERVE_H
#define MAYFLY_SIM_AWS_SERVE_H

#include "http.h"
#include "sim.h"

void aws_serve(struct sim *s, const struct request *r, struct response *res);

#endif
