/* What the simulator says in JSON, and takes from it. */
#include "to_json.h"
#include "text.h"

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

struct json_object *pairs_json(const struct pairs *p)
{
    struct json_object *o = must(json_object_new_object());
    for (size_t i = 0; i < p->n; i++)
        json_object_object_add(o, p->v[2 * i], sim_text(p->v[2 * i + 1]));
    return o;
}

struct json_object *list_json(const struct strlist *l)
{
    struct json_object *o = must(json_object_new_array());
    for (size_t i = 0; i < l->n; i++)
        json_object_array_add(o, sim_text(l->v[i]));
    return o;
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
