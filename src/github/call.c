#include "mayfly/github/call.h"

#include "mayfly/codec/json.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/log.h"

enum { TOTAL_MS = 30000, SECONDARY_LIMIT_MS = 60000 };

static const struct retry_policy policy = {
    .max_attempts = 4, .base_ms = 500, .throttle_ms = 1000, .cap_ms = 20000, .server_cap_ms = 120000
};

static bool prepare(struct call *call, struct http_request *q, struct error *err UNUSED)
{
    struct github_call *c = (struct github_call *)call;
    const struct github_config *config = c->github->config;
    q->method = c->method;
    q->url = xasprintf("%s%s", config->api_url, c->path);
    q->total_ms = TOTAL_MS;
    q->fresh = c->once;
    strlist_add(&q->headers, "Accept: application/vnd.github+json");
    strlist_add(&q->headers, "X-GitHub-Api-Version: 2022-11-28");
    AUTO_STRBUF authorization = STRBUF_INIT;
    authorization.secret = true;
    strbuf_adds(&authorization, "Authorization: Bearer ");
    strbuf_adds(&authorization, config->token.value);
    strlist_add(&q->headers, strbuf_str(&authorization));
    if (c->etag) {
        AUTO_FREE char *match = xasprintf("If-None-Match: %s", c->etag);
        strlist_add(&q->headers, match);
    }
    q->body = STRBUF_INIT;
    if (c->body) {
        strlist_add(&q->headers, "Content-Type: application/json");
        strbuf_adds(&q->body, c->body);
    }
    return true;
}

/* The error's message, and whatever "errors" holds: a string, strings, or objects with a message. Owned. */
static char *decode_message(const struct http_response *r)
{
    AUTO_ERROR bad = { 0 };
    AUTO_JSON *object = NULL;
    AUTO_STRBUF text = STRBUF_MAX(1000);
    struct json_object *message = NULL, *errors = NULL;
    if (!json_parse(strbuf_str(&r->body), r->body.len, "", &object, &bad) ||
        !json_object_is_type(object, json_type_object))
        return xasprintf("HTTP %d without a GitHub error in it", r->status);
    if (json_object_object_get_ex(object, "message", &message) && json_object_is_type(message, json_type_string))
        strbuf_adds(&text, json_object_get_string(message));
    if (json_object_object_get_ex(object, "errors", &errors))
        strbuf_addf(&text, " %s", json_object_to_json_string_ext(errors, JSON_C_TO_STRING_PLAIN));
    return strbuf_steal(&text);
}

static int64_t header_number(const struct http_response *r, const char *name)
{
    const char *value = http_header(r, name);
    uint64_t n;
    return value && parse_uint(value, INT64_MAX / 1000000, &n) ? (int64_t)n : -1;
}

/* GitHub's order: Retry-After; else, with nothing left, the reset; else a minute. */
static int64_t wait_ms(const struct github_call *c, const struct http_response *r)
{
    int64_t seconds = header_number(r, "Retry-After");
    if (seconds >= 0)
        return seconds * 1000;
    if (header_number(r, "x-ratelimit-remaining") == 0) {
        int64_t reset = header_number(r, "x-ratelimit-reset") * 1000 - env_now(c->github->env);
        return reset > 0 ? reset : 1000;
    }
    return SECONDARY_LIMIT_MS;
}

static void add_hint(struct error *err, const struct http_response *r, const char *message)
{
    const char *hint = github_hint(r->status, message), *needs = http_header(r, "X-Accepted-GitHub-Permissions");
    bool permission = r->status == 403 || r->status == 404;
    if (hint)
        error_hint(err, "%s%s%s", hint, permission && needs ? ". GitHub asks for: " : "",
                   permission && needs ? needs : "");
}

static enum retry_class judge(struct call *call, int64_t *ret_server_ms, struct error *err)
{
    struct github_call *c = (struct github_call *)call;
    const struct http_response *r = &call->exchange.response;
    if (r->status == 0) {
        enum retry_class class = call_no_answer(call, err);
        error_prefix(err, "GitHub: %s", call->name);
        c->class = GITHUB_SERVER;
        return c->once && r->maybe_sent ? RETRY_NEVER : class;
    }
    int64_t remaining = header_number(r, "x-ratelimit-remaining");
    if (remaining >= 0)
        c->github->remaining = remaining;
    if ((r->status >= 200 && r->status < 300) || (r->status == 304 && c->etag))
        return RETRY_NEVER;
    AUTO_FREE char *message = decode_message(r);
    error_set(err, ERROR_GITHUB, r->status, "HTTP %d: %s", r->status, message);
    error_prefix(err, "GitHub: %s", call->name);
    str_set(&err->request_id, http_header(r, "X-GitHub-Request-Id"));
    c->class = github_classify(r->status, message, http_header(r, "Retry-After"), remaining == 0);
    if (c->class == GITHUB_THROTTLED) {
        err->try_later = err->no_room = true;
        *ret_server_ms = wait_ms(c, r);
        error_hint(err, "GitHub's rate limit is used up: try again in %lld s",
                   (long long)(*ret_server_ms + 999) / 1000);
        return RETRY_THROTTLE;
    }
    if (c->class == GITHUB_SERVER) {
        err->try_later = true;
        add_hint(err, r, message);
        call->ambiguous = call->ambiguous || c->once; /* the record may exist */
        return c->once ? RETRY_NEVER : RETRY_TRANSIENT;
    }
    add_hint(err, r, message);
    return RETRY_NEVER;
}

static void free_call(struct call *call)
{
    struct github_call *c = (struct github_call *)call;
    call_clear(call);
    free(c->path);
    free(c->body);
    free(c->etag);
    free(c);
}

static const struct call_ops ops = { .prepare = prepare, .judge = judge, .free = free_call };

struct github_call *github_call_new(struct github *github, const char *method, const char *path, const char *body)
{
    struct github_call *c = xcalloc(1, sizeof(*c));
    size_t bare = strcspn(path, "?");
    c->call = (struct call){ .ops = &ops, .policy = &policy, .name = xasprintf("%s %.*s", method, (int)bare, path) };
    c->github = github;
    c->method = method;
    c->path = xstrdup(path);
    c->body = body ? xstrdup(body) : NULL;
    c->once = str_eq(method, "POST");
    return c;
}

bool github_call_unchanged(const struct github_call *call)
{
    return call->call.exchange.response.status == 304;
}

bool github_call_has_next(const struct github_call *call)
{
    const char *link = http_header(&call->call.exchange.response, "Link");
    return link && strstr(link, "rel=\"next\"");
}
