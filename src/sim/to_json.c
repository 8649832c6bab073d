/* What the simulator says in JSON, and takes from it. */
#include "to_json.h"
#include "text.h"

#include "mayfly/util/clock.h"

struct json_object *sim_text(const char *s)
{
    if (!s)
        return NULL;
    AUTO_STRBUF clean = STRBUF_INIT;
    for (size_t i = 0, len = strlen(s); i < len;) {
        size_t n = utf8_length(s + i, len - i);
        strbuf_add(&clean, n ? s + i : "?", n ? n : 1);
        i += n ? n : 1;
    }
    return must(json_object_new_string(strbuf_str(&clean)));
}

void json_add_text(struct json_object *o, const char *key, const char *text)
{
    json_object_object_add(o, key, sim_text(text));
}

void json_add_int(struct json_object *o, const char *key, int64_t n)
{
    json_object_object_add(o, key, must(json_object_new_int64(n)));
}

void json_add_bool(struct json_object *o, const char *key, bool value)
{
    json_object_object_add(o, key, must(json_object_new_boolean(value)));
}

void json_add_date(struct json_object *o, const char *key, int64_t ms)
{
    json_add_text(o, key, ms ? clock_rfc3339(ms / 1000).s : NULL);
}

void json_add_null(struct json_object *o, const char *key)
{
    json_object_object_add(o, key, NULL);
}

struct json_object *json_add_object(struct json_object *o, const char *key)
{
    struct json_object *object = must(json_object_new_object());
    json_object_object_add(o, key, object);
    return object;
}

struct json_object *json_add_array(struct json_object *o, const char *key)
{
    struct json_object *array = must(json_object_new_array());
    json_object_object_add(o, key, array);
    return array;
}

struct json_object *json_add_row(struct json_object *rows)
{
    struct json_object *row = must(json_object_new_object());
    json_object_array_add(rows, row);
    return row;
}

void json_add_list(struct json_object *o, const char *key, const struct strlist *l)
{
    struct json_object *array = json_add_array(o, key);
    for (size_t i = 0; i < l->n; i++)
        json_object_array_add(array, sim_text(l->v[i]));
}

void json_add_pairs(struct json_object *o, const char *key, const struct pairs *p)
{
    struct json_object *object = json_add_object(o, key);
    for (size_t i = 0; i < p->n; i++)
        json_add_text(object, p->v[2 * i], p->v[2 * i + 1]);
}

void pairs_take_json(struct pairs *p, struct json_object *parent, const char *key)
{
    struct json_object *object = NULL;
    if (!json_object_object_get_ex(parent, key, &object) || !json_object_is_type(object, json_type_object))
        return;
    struct json_object_iterator at = json_object_iter_begin(object), end = json_object_iter_end(object);
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        const char *value = json_object_get_string(json_object_iter_peek_value(&at));
        pairs_set(p, json_object_iter_peek_name(&at), value ? value : "");
    }
}
