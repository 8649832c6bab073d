#include "mayfly/codec/json.h"

#include "mayfly/util/strbuf.h"

/* GitHub's and AWS's answers nest to 6. */
enum { DEPTH_MAX = 32 };

void json_put(struct json_object **object)
{
    json_object_put(*object);
}

static void free_tokener(struct json_tokener **tok)
{
    json_tokener_free(*tok);
}

bool json_parse(const char *bytes, size_t len, const char *what, struct json_object **ret, struct error *err)
{
    CLEANUP(free_tokener) struct json_tokener *tok = must(json_tokener_new_ex(DEPTH_MAX));
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    AUTO_JSON *object = len > INT32_MAX ? NULL : json_tokener_parse_ex(tok, bytes, (int)len);
    enum json_tokener_error e = json_tokener_get_error(tok);
    if (e != json_tokener_success || object == NULL || json_tokener_get_parse_end(tok) < len)
        return error_set(err, ERROR_PARSE, 0, "%s is not JSON: %s", what,
                         len == 0                     ? "it is empty"
                         : e == json_tokener_continue ? "it is cut off"
                         : e == json_tokener_success  ? "it is null or something follows it"
                                                      : json_tokener_error_desc(e));
    *ret = STEAL(object);
    return true;
}

static bool wrong_type(const struct field *f, const char *what, const char *want, struct error *err)
{
    return error_set(err, ERROR_PARSE, 0, "%s has the wrong form: `%s` is not %s", what, f->path, want);
}

/* The value at a path, or NULL. */
static struct json_object *lookup(struct json_object *object, const char *path)
{
    while (object && *path) {
        size_t n = strcspn(path, "/");
        AUTO_FREE char *name = xstrndup(path, n);
        struct json_object *member = NULL;
        if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, name, &member))
            return NULL;
        object = member;
        path += n + (path[n] == '/');
    }
    return object;
}

static bool decode_list(struct json_object *value, const struct field *f, struct field_list *list, struct arena *arena,
                        const char *what, struct error *err)
{
    if (!json_object_is_type(value, json_type_array))
        return wrong_type(f, what, "a list", err);
    size_t n = json_object_array_length(value);
    for (size_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(value, i);
        void *row = field_list_add(list, f->item_size, arena);
        if (f->items) {
            if (!json_decode(item, f->items, row, arena, what, err))
                return false;
        } else {
            if (!json_object_is_type(item, json_type_string))
                return wrong_type(f, what, "a list of strings", err);
            *(const char **)row = arena_strdup(arena, json_object_get_string(item));
        }
    }
    return true;
}

bool json_decode(struct json_object *object, const struct field *fields, void *out, struct arena *arena,
                 const char *what, struct error *err)
{
    if (!json_object_is_type(object, json_type_object))
        return error_set(err, ERROR_PARSE, 0, "%s has the wrong form: an object was expected", what);
    for (const struct field *f = fields; f->path; f++) {
        struct json_object *value = lookup(object, f->path);
        void *at = (char *)out + f->offset;
        if (!value) {
            if (f->required)
                return error_set(err, ERROR_PARSE, 0, "%s has the wrong form: `%s` is missing", what, f->path);
            continue;
        }
        switch (f->type) {
        case FIELD_STR:
            if (!json_object_is_type(value, json_type_string))
                return wrong_type(f, what, "a string", err);
            *(const char **)at = arena_strdup(arena, json_object_get_string(value));
            break;
        case FIELD_INT:
            if (!json_object_is_type(value, json_type_int))
                return wrong_type(f, what, "a whole number", err);
            *(int64_t *)at = json_object_get_int64(value);
            break;
        case FIELD_BOOL:
            if (!json_object_is_type(value, json_type_boolean))
                return wrong_type(f, what, "true or false", err);
            *(bool *)at = json_object_get_boolean(value);
            break;
        case FIELD_LIST:
            if (!decode_list(value, f, at, arena, what, err))
                return false;
            break;
        }
    }
    return true;
}

bool json_decode_text(const char *bytes, size_t len, const struct field *fields, void *out, struct arena *arena,
                      const char *what, struct error *err)
{
    AUTO_JSON *object = NULL;
    return json_parse(bytes, len, what, &object, err) && json_decode(object, fields, out, arena, what, err);
}

bool json_check_members(struct json_object *object, const struct field *fields, const char *what, struct error *err)
{
    if (!json_object_is_type(object, json_type_object))
        return error_set(err, ERROR_PARSE, 0, "%s has the wrong form: an object was expected", what);
    json_object_object_foreach(object, key, value)
    {
        size_t n = strlen(key);
        const struct field *f = fields;
        (void)value;
        while (f->path && !(str_starts(f->path, key) && (f->path[n] == '\0' || f->path[n] == '/')))
            f++;
        if (f->path)
            continue;
        AUTO_STRBUF names = STRBUF_INIT;
        for (f = fields; f->path; f++)
            strbuf_addf(&names, "%s%s", names.len ? ", " : "", f->path);
        error_set(err, ERROR_PARSE, 0, "%s has a member `%.60s` that means nothing here", what, key);
        error_hint(err, "there are: %s", strbuf_str(&names));
        return false;
    }
    return true;
}
