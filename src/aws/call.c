#include "mayfly/aws/call.h"

#include "mayfly/aws/creds_fetch.h"
#include "mayfly/aws/sigv4.h"
#include "mayfly/codec/json.h"
#include "mayfly/codec/xml.h"
#include "mayfly/net/url.h"
#include "mayfly/util/log.h"

enum {
    CORRECTIONS_MAX = 2,
    SKEW_MIN = 240, /* seconds of difference below which a refused signature is not the clock's fault */
    TOTAL_MS = 60000,
    DENIALS_MAX = 3,
};

/* RunInstances gets 2 requests a second: throttling is waited out longer than failures. */
static const struct retry_policy policy = {
    .max_attempts = 4, .base_ms = 500, .throttle_ms = 1000, .cap_ms = 20000, .server_cap_ms = 60000
};

/* EC2 <Response><Errors><Error>, STS <ErrorResponse><Error>, and moto's <ErrorResponse><Errors><Error>. */
struct envelope {
    const char *code, *message, *request_id;
};
static const struct field envelope_fields[] = {
    { .path = "Errors/Error/Code", .type = FIELD_STR, .offset = offsetof(struct envelope, code) },
    { .path = "Errors/Error/Message", .type = FIELD_STR, .offset = offsetof(struct envelope, message) },
    { .path = "Error/Code", .type = FIELD_STR, .offset = offsetof(struct envelope, code) },
    { .path = "Error/Message", .type = FIELD_STR, .offset = offsetof(struct envelope, message) },
    { .path = "RequestID", .type = FIELD_STR, .offset = offsetof(struct envelope, request_id) },
    { .path = "RequestId", .type = FIELD_STR, .offset = offsetof(struct envelope, request_id) },
    { 0 },
};

/* {"__type": "com.amazonaws.ssm#ParameterNotFound", "message": …}; services differ in the case of `message`. */
struct json_envelope {
    const char *type, *message, *Message;
};
static const struct field json_envelope_fields[] = {
    { .path = "__type", .type = FIELD_STR, .offset = offsetof(struct json_envelope, type) },
    { .path = "message", .type = FIELD_STR, .offset = offsetof(struct json_envelope, message) },
    { .path = "Message", .type = FIELD_STR, .offset = offsetof(struct json_envelope, Message) },
    { 0 },
};

static bool prepare(struct call *call, struct http_request *q, struct error *err)
{
    struct aws_call *c = (struct aws_call *)call;
    if (!c->anonymous && !aws_creds_renew(c->aws, err))
        return error_prefix(err, "%s", call->name);
    const struct aws_creds *creds = &c->aws->config->creds;
    AUTO_FREE char *endpoint = aws_endpoint(c->aws->config, c->service, c->region);
    AUTO_URL url = { 0 };
    if (!url_parse(endpoint, "the endpoint", &url, err))
        return false;
    AUTO_FREE char *host = url_host_header(&url);
    q->method = "POST";
    q->url = xstrdup(endpoint);
    q->total_ms = TOTAL_MS;
    q->max_body = c->max_body;
    q->body = STRBUF_INIT;
    q->body.secret = true; /* user-data carries the runner's credentials */
    strbuf_add(&q->body, strbuf_str(&c->body), c->body.len);
    const struct sigv4_key key = { creds->access_key_id, creds->secret_access_key.value, creds->session_token.value };
    const struct sigv4_request request = {
        .method = "POST",
        .path = "/",
        .query = "",
        .host = host,
        .content_type = c->target ? "application/x-amz-json-1.1" : "application/x-www-form-urlencoded; charset=utf-8",
        .target = c->target,
        .body = strbuf_str(&c->body),
        .body_len = c->body.len,
    };
    if (c->anonymous) {
        AUTO_FREE char *type = xasprintf("Content-Type: %s", request.content_type);
        strlist_add(&q->headers, type);
        return true;
    }
    c->signed_skew = c->aws->skew;
    c->signed_fetched = c->aws->creds_fetched;
    const struct sigv4_scope scope = { c->region, c->service, env_now(c->aws->env) / 1000 + c->signed_skew };
    if (secret_is_set(&creds->session_token)) /* an answer may repeat it after others have taken its place */
        secret_set(&q->secret, key.session_token, strlen(key.session_token));
    sigv4_sign(&q->headers, &key, &request, &scope);
    return true;
}

static bool decode_json_envelope(const struct aws_call *c, struct arena *arena, struct envelope *e, struct error *err)
{
    const struct http_response *r = &c->call.exchange.response;
    const char *header = http_header(r, "x-amzn-ErrorType");
    struct json_envelope j = { 0 };
    AUTO_FREE char *what = aws_call_what(&c->call);
    if (!json_decode_text(strbuf_str(&r->body), r->body.len, json_envelope_fields, &j, arena, what, err))
        return false;
    const char *type = j.type ? j.type : header;
    const char *hash = type ? strrchr(type, '#') : NULL;
    if (hash)
        type = hash + 1;
    e->code = type ? arena_strndup(arena, type, strcspn(type, ":")) : NULL;
    e->message = j.message ? j.message : j.Message;
    e->request_id = http_header(r, "x-amzn-RequestId");
    return true;
}

static bool decode_envelope(const struct aws_call *c, struct arena *arena, struct envelope *e)
{
    const struct http_response *r = &c->call.exchange.response;
    AUTO_ERROR bad = { 0 };
    AUTO_FREE char *what = aws_call_what(&c->call);
    bool ok = c->target ? decode_json_envelope(c, arena, e, &bad)
                        : xml_decode(strbuf_str(&r->body), r->body.len, NULL, envelope_fields, e, arena, what, &bad);
    return ok && e->code;
}

/* Who may not do what, without the encoded part; what mends it is said by the action, if the message names it. */
static void take_denial(struct aws_call *c, const struct envelope *e, struct error *err)
{
    struct aws_denial *d = &c->denial;
    aws_denial_clear(d);
    AUTO_FREE char *plain = aws_denial_parse(e->message, d);
    error_set(err, ERROR_AWS, c->call.exchange.response.status, "%s", str_empty(plain) ? "(no message)" : plain);
    aws_denial_copy(&c->aws->denied, d);
    if (aws_denial_is_explicit(d))
        error_hint(err,
                   "an explicit deny in a policy overrides every allow: the owner of that policy has to change it");
    else if (d->action)
        error_hint(err, "`mayfly policy COMMAND` prints the statement that allows %s", d->action);
}

static void decode_error(struct aws_call *c, struct error *err)
{
    const struct http_response *r = &c->call.exchange.response;
    AUTO_ARENA arena = { 0 };
    struct envelope e = { 0 };
    if (!decode_envelope(c, &arena, &e)) {
        error_set(err, ERROR_AWS, r->status, "HTTP %d without an AWS error in it", r->status);
        if (r->status < 500)
            error_hint(err, "the answer did not come from AWS: check the endpoint and any proxy in between");
        return;
    }
    if (aws_is_denial(e.code) && !str_empty(e.message))
        take_denial(c, &e, err);
    else
        error_set(err, ERROR_AWS, r->status, "%s", str_empty(e.message) ? "(no message)" : e.message);
    error_code(err, e.code, e.request_id);
    const char *hint = aws_hint(c->call.name, e.code, e.message);
    if (hint)
        error_hint(err, "%s", hint);
}

/* A signature refused for its time is the clock's fault when Date says so: adopt AWS's clock and sign again. That Date
 * may be a proxy's, so that the next refusal may correct it once more. */
static bool correct_clock(struct aws_call *c, int64_t date)
{
    int64_t skew = date - env_now(c->aws->env) / 1000;
    int64_t change = skew - c->signed_skew; /* another call may have corrected it meanwhile */
    if (c->corrections >= CORRECTIONS_MAX || date == 0 || (change > -SKEW_MIN && change < SKEW_MIN))
        return false;
    log_debug("%s: AWS's clock differs from this machine's by %lld s: signing with AWS's time", c->call.name,
              (long long)skew);
    c->aws->skew = skew;
    c->corrections++;
    return true;
}

/* Credentials that ended early, or while the request was under way: renewed, unless another call's refusal has done
 * that meanwhile, and signed again, once. */
static bool renew(struct aws_call *c)
{
    if (c->renewed || c->anonymous || !c->aws->config->creds.expires || !c->aws->config->source.provider)
        return false;
    c->renewed = true;
    if (c->signed_fetched == c->aws->creds_fetched)
        c->aws->creds_refused = true;
    return true;
}

static enum retry_class judge(struct call *call, int64_t *ret_server_ms UNUSED, struct error *err)
{
    struct aws_call *c = (struct aws_call *)call;
    const struct http_response *r = &call->exchange.response;
    if (r->status == 0) {
        enum retry_class class = call_no_answer(call, err);
        error_prefix(err, "%s", call->name);
        return class;
    }
    const char *date_header = http_header(r, "Date");
    int64_t date = 0;
    if (date_header && !clock_parse_http(date_header, &date))
        date = 0;
    if (r->status == 200) {
        if (date) /* a failure may be a proxy's, with a clock of its own */
            c->aws->date = date;
        return RETRY_NEVER;
    }
    decode_error(c, err);
    error_prefix(err, "%s", call->name);
    call->refused = aws_is_refusal(err) || (!call->makes && r->status < 500);
    switch (aws_error_class(err)) {
    case AWS_CAPACITY:
    case AWS_SUBNET_FULL:
    case AWS_QUOTA:
        err->no_room = true;
        return RETRY_NEVER;
    case AWS_THROTTLE:
        err->try_later = err->no_room = true;
        error_hint(err, "%s", aws_class_hint(AWS_THROTTLE));
        return RETRY_THROTTLE;
    case AWS_SERVER:
        err->try_later = true;
        error_hint(err, "%s", aws_class_hint(AWS_SERVER));
        return RETRY_TRANSIENT;
    case AWS_EXPIRED:
        return correct_clock(c, date) || renew(c) ? RETRY_NOW : RETRY_NEVER;
    case AWS_BUSY: /* a denial is one for good, most times */
        return aws_is_denial(err->code) && call->attempts >= DENIALS_MAX ? RETRY_NEVER : RETRY_TRANSIENT;
    default:
        /* A launch is asked for with an image that DescribeImages has shown: the two disagree for a moment. */
        return str_eq(call->name, "RunInstances") && str_eq(err->code, "InvalidAMIID.NotFound") ? RETRY_TRANSIENT
                                                                                                : RETRY_NEVER;
    }
}

static void free_call(struct call *call)
{
    struct aws_call *c = (struct aws_call *)call;
    call_clear(call);
    free(c->region);
    strbuf_clear(&c->body);
    secret_clear(&c->secret);
    aws_denial_clear(&c->denial);
    free(c);
}

static const struct call_ops ops = { .prepare = prepare, .judge = judge, .free = free_call };

struct aws_call *aws_call_new(struct aws *aws, const char *service, const char *region, const char *action,
                              struct strbuf *body)
{
    struct aws_call *c = xcalloc(1, sizeof(*c));
    c->call = (struct call){ .ops = &ops, .policy = &policy, .name = xstrdup(action) };
    c->aws = aws;
    c->service = service;
    c->region = xstrdup(region);
    c->max_body = str_starts(action, "Describe") || str_starts(action, "Terminate") ? HTTP_LIST_MAX : HTTP_BODY_MAX;
    c->body = *body;
    *body = STRBUF_INIT;
    return c;
}

struct aws_call *aws_json_call_new(struct aws *aws, const char *service, const char *region, const char *target,
                                   struct strbuf *body)
{
    const char *dot = strchr(target, '.');
    struct aws_call *c = aws_call_new(aws, service, region, dot ? dot + 1 : target, body);
    c->target = target;
    return c;
}

bool aws_call_turn(const struct call *call, struct paging *paging, size_t rows, const char *token, bool *ret_more,
                   struct error *err)
{
    AUTO_FREE char *what = aws_call_what(call);
    if (token && !paging_next(paging, rows, token, strlen(token), what, err))
        return false;
    *ret_more = token != NULL;
    return true;
}

char *aws_call_what(const struct call *call)
{
    return xasprintf("the answer to %s", call->name);
}

int64_t aws_now(const struct aws *aws)
{
    return env_now(aws->env) / 1000 + aws->skew;
}

void aws_clear(struct aws *aws)
{
    aws_denial_clear(&aws->denied);
    secrets_clear(&aws->shown);
}
