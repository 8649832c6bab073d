#include "mayfly/codec/json.h"

#include <inttypes.h>

#include "mayfly/util/opts.h"
#include "mayfly/util/text.h"

/* GitHub's and AWS's answers nest to 6. */
enum { DEPTH_MAX = 32 };

enum { OBJECT_COST = 900, LIST_COST = 400, MEMBER_COST = 160 };

void json_put(struct json_object **object)
{
    json_object_put(*object);
}

static void free_tokener(struct json_tokener **tok)
{
    json_tokener_free(*tok);
}

/* Where the parser gave up, as an editor counts it; owned. */
static char *position(const char *bytes, size_t end)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < end; i++) {
        line += bytes[i] == '\n';
        column = bytes[i] == '\n' ? 1 : column + ((bytes[i] & 0xc0) != 0x80);
    }
    return xasprintf(" (line %zu, column %zu)", line, column);
}

/* What json-c needs for a text, at most: measured, and counted before it is built, since an object of two bytes takes
 * 700. Commas and braces inside strings count as well: that is on the safe side. */
static size_t cost_of(const char *bytes, size_t len)
{
    size_t cost = 2 * len;
    for (size_t i = 0; i < len; i++)
        cost += bytes[i] == '{' ? OBJECT_COST : bytes[i] == '[' ? LIST_COST : bytes[i] == ',' ? MEMBER_COST : 0;
    return cost;
}

bool json_parse(const char *bytes, size_t len, const char *what, struct json_object **ret, struct error *err)
{
    if (cost_of(bytes, len) > JSON_MEMORY_MAX)
        return error_set(err, ERROR_PARSE, 0, "%s is too large: it would take more than %d bytes of memory", what,
                         JSON_MEMORY_MAX);
    CLEANUP(free_tokener) struct json_tokener *tok = must(json_tokener_new_ex(DEPTH_MAX));
    json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    AUTO_JSON *object = len > INT32_MAX ? NULL : json_tokener_parse_ex(tok, bytes, (int)len);
    enum json_tokener_error e = json_tokener_get_error(tok);
    size_t end = json_tokener_get_parse_end(tok);
    if (e != json_tokener_success || object == NULL || end < len) {
        bool broken = e != json_tokener_success && e != json_tokener_continue && end < len;
        AUTO_FREE char *where = broken ? position(bytes, end) : xstrdup("");
        return error_set(err, ERROR_PARSE, 0, "%s is not JSON: %s%s", what,
                         len == 0                     ? "it is empty"
                         : e == json_tokener_continue ? "it is cut off"
                         : e == json_tokener_success  ? "it is null or something follows it"
                                                      : json_tokener_error_desc(e),
                         where);
    }
    *ret = STEAL(object);
    return true;
}

/* Of the string or name: a control character that no option may have, a NUL among them, which would cut it. */
static bool is_broken(const char *s, size_t len)
{
    if (strlen(s) != len)
        return true;
    for (; *s; s += text_char(s)) {
        int control = text_control(s);
        if (text_char(s) == 0 || (control >= 0 && control <= 0x9f && !strchr("\t\r\n", *s)))
            return true;
    }
    return false;
}

static bool has_broken(struct json_object *value)
{
    bool broken = false;
    if (json_object_is_type(value, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(value) && !broken; i++)
            broken = has_broken(json_object_array_get_idx(value, i));
    } else if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, name, member)
        {
            broken = broken || is_broken(name, strlen(name)) || has_broken(member);
        }
    } else if (json_object_is_type(value, json_type_string)) {
        broken = is_broken(json_object_get_string(value), (size_t)json_object_get_string_len(value));
    }
    return broken;
}

bool json_parse_option(const char *text, const char *what, struct json_object **ret, struct error *err)
{
    AUTO_JSON *object = NULL;
    if (!json_parse(text, strlen(text), what, &object, err)) {
        err->domain = ERROR_USAGE;
        return false;
    }
    if (has_broken(object))
        return error_set(err, ERROR_USAGE, 0, "%s: a value holds a control character", what);
    *ret = STEAL(object);
    return true;
}

/* The shortest digits that mean the same number, whole ones without a point. */
static char *double_as_text(double d)
{
    char text[40];
    if (d > -1e15 && d < 1e15 && d == (double)(int64_t)d)
        return xasprintf("%" PRId64, (int64_t)d);
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, d);
        if (strtod(text, NULL) == d)
            break;
    }
    return xstrdup(text);
}

char *json_as_text(struct json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_string:
    case json_type_boolean:
    case json_type_int:
        return xstrdup(json_object_get_string(value));
    case json_type_double:
        return double_as_text(json_object_get_double(value));
    case json_type_null:
    case json_type_object:
    case json_type_array:
        break;
    }
    return NULL;
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

/* json-c makes what is too large the largest that there is. */
static bool is_id(struct json_object *value)
{
    int64_t n = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0;
    return n >= 1 && n <= FIELD_ID_MAX;
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
        if (arena_size(arena) > 2 * (size_t)FIELD_DECODED_MAX)
            return error_set(err, ERROR_PARSE, 0, "%s holds more than %d bytes", what, FIELD_DECODED_MAX);
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
            if (!form_is(f->form, json_object_get_string(value)))
                return wrong_type(f, what, "of its form", err);
            *(const char **)at = arena_strdup(arena, json_object_get_string(value));
            break;
        case FIELD_TEXT: {
            AUTO_FREE char *text = json_as_text(value);
            if (!text)
                return wrong_type(f, what, "a string, a number or a boolean", err);
            *(const char **)at = arena_strdup(arena, text);
            break;
        }
        case FIELD_INT:
            if (!json_object_is_type(value, json_type_int))
                return wrong_type(f, what, "a whole number", err);
            *(int64_t *)at = json_object_get_int64(value);
            break;
        case FIELD_ID:
            if (!is_id(value))
                return wrong_type(f, what, "an id from 1 to 2^53", err);
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

bool json_check_members(struct json_object *object, const struct field *fields, const char *what,
                        struct strlist *warnings, struct error *err)
{
    if (!json_object_is_type(object, json_type_object))
        return error_set(err, ERROR_PARSE, 0, "%s has the wrong form: an object was expected", what);
    json_object_object_foreach(object, key, value)
    {
        size_t n = strlen(key);
        const struct field *f = fields;
        const char *nearest = NULL;
        (void)value;
        for (; f->path && !(str_starts(f->path, key) && (f->path[n] == '\0' || f->path[n] == '/')); f++)
            nearest = opts_nearest(key, nearest, f->path);
        if (f->path)
            continue;
        if (nearest) {
            error_set(err, ERROR_PARSE, 0, "%s has an unknown member `%.60s`", what, key);
            error_hint(err, "did you mean %s?", nearest);
            return false;
        }
        if (warnings) {
            AUTO_FREE char *warning = xasprintf("%s: the member `%.60s` is ignored", what, key);
            strlist_add(warnings, warning);
        }
    }
    return true;
}
