/* AWS's Query protocol: what the services share. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "aws.h"
#include "http.h"
#include "rows.h"
#include "sim.h"
#include "to_json.h"
#include "world_resources.h"

#include "mayfly/util/clock.h"

enum { TOKEN_MAX = 64 };

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* XML 1.0 has no control characters. */
static void add_escaped(struct strbuf *out, const char *text)
{
    static const char *const entities[128] = {
        ['<'] = "&lt;", ['>'] = "&gt;", ['&'] = "&amp;", ['"'] = "&quot;", ['\r'] = "&#13;"
    };
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 128 && entities[c])
            strbuf_adds(out, entities[c]);
        else if (c < 32 && c != '\t' && c != '\n')
            strbuf_addc(out, '?');
        else
            strbuf_addc(out, *text);
    }
}

void element(struct strbuf *out, const char *name, const char *text)
{
    if (!text)
        return;
    strbuf_addf(out, "<%s>", name);
    add_escaped(out, text);
    strbuf_addf(out, "</%s>", name);
}

void element_int(struct strbuf *out, const char *name, int64_t n)
{
    strbuf_addf(out, "<%s>%" PRId64 "</%s>", name, n, name);
}

void element_bool(struct strbuf *out, const char *name, bool value)
{
    element(out, name, value ? "true" : "false");
}

void element_open(struct strbuf *out, const char *name)
{
    strbuf_addf(out, "<%s>", name);
}

void element_close(struct strbuf *out, const char *name)
{
    strbuf_addf(out, "</%s>", name);
}

char *element_date(int64_t ms)
{
    return xasprintf("%.19s.000Z", clock_rfc3339(ms / 1000).s);
}

void element_time(struct strbuf *out, const char *name, int64_t ms)
{
    AUTO_FREE char *at = element_date(ms);
    element(out, name, at);
}

void aws_request_id(struct response *res, const char *name)
{
    AUTO_FREE char *hex = sim_random_id("", 32);
    AUTO_FREE char *id = xasprintf("%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    if (name)
        element(&res->body, name, id);
    pairs_set(&res->headers, "x-amzn-RequestId", id);
}

static void fail_ec2(struct response *res, const char *code, const char *message)
{
    strbuf_adds(&res->body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>");
    element(&res->body, "Code", code);
    element(&res->body, "Message", message);
    strbuf_adds(&res->body, "</Error></Errors>");
    aws_request_id(res, "RequestID");
    strbuf_adds(&res->body, "</Response>");
    res->content_type = "text/xml;charset=UTF-8";
}

static void fail_sts(struct response *res, int status, const char *code, const char *message)
{
    strbuf_adds(&res->body, "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>");
    element(&res->body, "Type", status < 500 ? "Sender" : "Receiver");
    element(&res->body, "Code", code);
    element(&res->body, "Message", message);
    strbuf_adds(&res->body, "</Error>");
    aws_request_id(res, "RequestId");
    strbuf_adds(&res->body, "</ErrorResponse>");
    res->content_type = "text/xml";
}

/* The framework's own errors have its name in front, and those of permission have a capital Message. */
static void fail_ssm(struct response *res, int status, const char *code, const char *message)
{
    bool own = str_eq(code, "SerializationException") || str_eq(code, "UnknownOperationException");
    struct json_object *o = must(json_object_new_object());
    AUTO_FREE char *type = xasprintf("%s%s", own ? "com.amazon.coral.service#" : "", code);
    json_add_text(o, "__type", type);
    if (!str_eq(code, "ParameterNotFound")) /* it says nothing else */
        json_add_text(o, str_eq(code, "AccessDeniedException") ? "Message" : "message", message);
    aws_request_id(res, NULL);
    respond_json(res, status, o);
    res->content_type = "application/x-amz-json-1.1";
}

void aws_fail(struct response *res, const char *service, int status, const char *code, const char *message)
{
    strbuf_truncate(&res->body, 0);
    str_set(&res->code, code);
    if (str_eq(service, "ssm"))
        fail_ssm(res, status, code, message);
    else if (str_eq(service, "sts"))
        fail_sts(res, status, code, message);
    else
        fail_ec2(res, code, message);
    res->status = status;
}

bool call_refuse(struct call *c, int status, const char *code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *message = xvasprintf(fmt, ap);
    va_end(ap);
    aws_fail(c->res, c->request->service, status, code, message);
    return false;
}

void call_begin(struct call *c)
{
    strbuf_addf(&c->res->body,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<%sResponse "
                "xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">",
                c->action);
    aws_request_id(c->res, "requestId");
}

void call_end(struct call *c)
{
    strbuf_addf(&c->res->body, "</%sResponse>", c->action);
}

void call_return_true(struct call *c)
{
    call_begin(c);
    element_bool(&c->res->body, "return", true);
    call_end(c);
}

/* --- parameters --------------------------------------------------------------------------------------------------- */

const char *call_param(const struct call *c, const char *name)
{
    return pairs_get(&c->request->form, name);
}

const char *call_param_n(const struct call *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *name = xvasprintf(fmt, ap);
    va_end(ap);
    return call_param(c, name);
}

bool call_has(const struct call *c, const char *prefix)
{
    for (size_t i = 0; i < c->request->form.n; i++)
        if (str_starts(c->request->form.v[2 * i], prefix))
            return true;
    return false;
}

void call_list(const struct call *c, const char *name, struct strlist *ret)
{
    size_t len = strlen(name);
    const struct pairs *form = &c->request->form;
    for (size_t i = 0; i < form->n; i++) {
        const char *rest = str_starts(form->v[2 * i], name) ? form->v[2 * i] + len : "";
        if (*rest == '.' && strspn(rest + 1, "0123456789") == strlen(rest + 1))
            strlist_add(ret, form->v[2 * i + 1]);
    }
}

bool is_true(const char *value)
{
    return str_eq(value, "true");
}

bool call_one_of(struct call *c, const char *name, const char *choices)
{
    const char *value = call_param(c, name);
    AUTO_STRLIST words = { 0 };
    strlist_split(&words, choices, " ");
    return !value || strlist_has(&words, value) ||
           call_refuse(c, 400, "InvalidParameterValue", "Value (%s) for parameter %s is invalid.", value, name);
}

bool call_check_token(struct call *c)
{
    const char *token = call_param(c, "ClientToken");
    return !token || (*token && strlen(token) <= TOKEN_MAX) ||
           call_refuse(c, 400, "InvalidParameterValue",
                       "Value (%s) for parameter clientToken is invalid. Length must be at most %d characters", token,
                       TOKEN_MAX);
}

char *call_fingerprint(const struct call *c)
{
    AUTO_STRBUF all = STRBUF_INIT;
    const struct pairs *form = &c->request->form;
    for (size_t i = 0; i < form->n; i++)
        if (!str_eq(form->v[2 * i], "ClientToken") && !str_eq(form->v[2 * i], "DryRun"))
            strbuf_addf(&all, "%s=%s\n", form->v[2 * i], form->v[2 * i + 1]);
    return strbuf_steal(&all);
}

const struct client_token *call_find_token(struct call *c, const char *zone, const char *fingerprint,
                                           bool *ret_mismatch)
{
    const char *token = call_param(c, "ClientToken");
    *ret_mismatch = false;
    for (size_t n = 0; token && n < c->sim->n_tokens; n++) {
        const struct client_token *t = &c->sim->tokens[n];
        if (!str_eq(t->token, token) || !str_eq(t->region, c->region) || !str_eq(t->zone, zone))
            continue;
        if (str_eq(t->parameters, fingerprint))
            return t;
        *ret_mismatch = !call_refuse(
            c, 400, "IdempotentParameterMismatch",
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).");
    }
    return NULL;
}

void call_keep_token(struct call *c, const char *zone, const char *fingerprint, const char *made)
{
    struct sim *s = c->sim;
    if (!call_param(c, "ClientToken"))
        return;
    struct client_token t = { .token = xstrdup(call_param(c, "ClientToken")),
                              .region = xstrdup(c->region),
                              .zone = xstrdup(zone),
                              .parameters = xstrdup(fingerprint),
                              .made = xstrdup(made) };
    ROW_ADD(s->tokens, s->n_tokens, t);
}

bool call_is_wet(struct call *c)
{
    return !is_true(call_param(c, "DryRun")) ||
           call_refuse(c, 412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
}

bool aws_is_id(const char *id, const char *prefix)
{
    size_t n = str_starts(id, prefix) ? strlen(id) - strlen(prefix) : 0;
    return (n == 8 || n == ID_DIGITS) && strspn(id + strlen(prefix), "0123456789abcdef") == n;
}
