/* A request to /_sim: its body, and refusals. */
#include "control_call.h"
#include "http.h"

#include "mayfly/codec/json.h"

bool control_refuse(struct control_call *c, int status, const char *message)
{
    respond_text(c->res, status, message);
    return false;
}

bool control_parse(struct control_call *c, const char *what, struct json_object **ret)
{
    AUTO_ERROR err = { 0 };
    const struct strbuf *body = &c->request->body;
    return json_parse(strbuf_str(body), body->len, what, ret, &err) || control_refuse(c, 400, err.message);
}

bool control_take(struct control_call *c, const struct field *fields, void *ret, const char *what)
{
    AUTO_ERROR err = { 0 };
    const struct strbuf *body = &c->request->body;
    return json_decode_text(strbuf_str(body), body->len, fields, ret, &c->arena, what, &err) ||
           control_refuse(c, 400, err.message);
}

bool control_take_some(struct control_call *c, const struct field *fields, void *ret)
{
    return c->request->body.len == 0 || control_take(c, fields, ret, "the body");
}

bool control_is(const struct control_call *c, const char *method)
{
    return str_eq(c->request->method, method);
}
