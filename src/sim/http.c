/* Whole answers. */
#include "http.h"

void respond_json(struct response *res, int status, struct json_object *object)
{
    res->status = status;
    res->content_type = "application/json; charset=utf-8";
    strbuf_adds(&res->body,
                json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(object);
}

void respond_text(struct response *res, int status, const char *body)
{
    res->status = status;
    res->content_type = "text/plain; charset=utf-8";
    strbuf_truncate(&res->body, 0);
    strbuf_adds(&res->body, body);
}
