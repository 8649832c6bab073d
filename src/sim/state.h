/* All that is there, as JSON. */
#ifndef MAYFLY_SIM_STATE_H
#define MAYFLY_SIM_STATE_H

#include <json-c/json.h>

#include "sim.h"
#include "world_runners.h"

struct json_object *state_json(const struct sim *s);
struct json_object *state_job(const struct job *j);

#endif
