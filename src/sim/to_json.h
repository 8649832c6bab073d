/* What the simulator says in JSON, and takes from it. */
#ifndef MAYFLY_SIM_TO_JSON_H
#define MAYFLY_SIM_TO_JSON_H

#include <json-c/json.h>

#include "mayfly/util/pairs.h"
#include "mayfly/util/strbuf.h"

/* Each adds a member to an object. Text NULL is null; date: ms as RFC 3339, 0 is null. */
void json_add_text(struct json_object *o, const char *key, const char *text);
void json_add_int(struct json_object *o, const char *key, int64_t n);
void json_add_bool(struct json_object *o, const char *key, bool value);
void json_add_date(struct json_object *o, const char *key, int64_t ms);
void json_add_null(struct json_object *o, const char *key);
void json_add_list(struct json_object *o, const char *key, const struct strlist *l);
void json_add_pairs(struct json_object *o, const char *key, const struct pairs *p); /* an object of strings */
/* A new object or array under a key; a new object at the end of an array. All borrowed. */
struct json_object *json_add_object(struct json_object *o, const char *key);
struct json_object *json_add_array(struct json_object *o, const char *key);
struct json_object *json_add_row(struct json_object *rows);

/* A JSON string of any bytes: what is not UTF-8 becomes '?'. NULL stays NULL. */
struct json_object *sim_text(const char *s);

/* Sets what the object under `key` has, values as text; nothing when there is no such object. */
void pairs_take_json(struct pairs *p, struct json_object *parent, const char *key);

#endif
