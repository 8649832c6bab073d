/* What the simulator says in JSON, and takes from it. */
#ifndef MAYFLY_SIM_TO_JSON_H
#define MAYFLY_SIM_TO_JSON_H

#include <json-c/json.h>

#include "mayfly/util/pairs.h"
#include "mayfly/util/strbuf.h"

/* A JSON string of any bytes: what is not UTF-8 becomes '?'. NULL stays NULL. */
struct json_object *sim_text(const char *s);
struct json_object *pairs_json(const struct pairs *p); /* an object of strings */
struct json_object *list_json(const struct strlist *l);

/* Sets what the object under `key` has, values as text; nothing when there is no such object. */
void pairs_take_json(struct pairs *p, struct json_object *parent, const char *key);

#endif
