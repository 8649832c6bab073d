/* The requests that wait. */
#ifndef MAYFLY_SIM_HELD_H
#define MAYFLY_SIM_HELD_H

#include <json-c/json.h>

#include "sim.h"

struct json_object *held_json(const struct sim *s);
/* Lets one (n) or all (0) of them go on; drop: their connection is closed instead, and what has had no effect has none.
 * Returns how many. */
size_t held_release(struct sim *s, int64_t n, bool drop);

#endif
