/* Requests that wait, because a scripted fault holds them. */
#ifndef MAYFLY_SIM_HELD_H
#define MAYFLY_SIM_HELD_H

#include <json-c/json.h>

#include "exchange.h"
#include "faults.h"
#include "sim.h"

void held_add(struct sim *s, struct exchange *x, const struct fault *f);
/* Whether it waits or not. */
void held_remove(struct sim *s, const struct exchange *x);
struct json_object *held_json(const struct sim *s);
/* Lets one (n) or all (0) of them go on; drop: their connection is closed instead, and what has had no effect has none.
 * Returns how many. */
size_t held_release(struct sim *s, int64_t n, bool drop);
/* Lets those go on whose time has come. */
void held_tick(struct sim *s);
/* When that is next, simulated ms; INT64_MAX: never. */
int64_t held_next(const struct sim *s);

#endif
