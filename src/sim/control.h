/* /_sim: what tests ask of the simulator itself. */
#ifndef MAYFLY_SIM_CONTROL_H
#define MAYFLY_SIM_CONTROL_H

#include <stdio.h>

#include "http.h"
#include "sim.h"

/* Tells what /_sim knows. */
void control_help(FILE *out);
void control_serve(struct sim *s, const struct request *r, struct response *res);

#endif
