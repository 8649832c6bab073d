#include "mayfly/aws/creds_fetch.h"

#include "creds_provider.h"
#include "mayfly/codec/json.h"
#include "mayfly/util/log.h"
#include "mayfly/version.h"

enum { RENEW_BEFORE = 300 /* s */, AGAIN_MS = 60000, PATIENCE_MS = 10000, HURRY_MS = 1500, BODY_MAX = 64 * 1024 };

/* --- a question over HTTP ----------------------------------------------------------------------------------------- */

struct asking {       /* a call without signature */
    struct call call; /* first */
    const struct creds_question *q;
    struct retry_policy policy;
};

/* Trouble of theirs, which passes: it may be asked again. */
static bool is_passing(int status)
{
    return status == 429 || status >= 500;
}

static bool prepare(struct call *call, struct http_request *r, struct error *err UNUSED)
{
    const struct creds_question *q = ((struct asking *)call)->q;
    r->method = q->method;
    r->url = xstrdup(q->url);
    r->connect_ms = r->total_ms = q->total_ms;
    r->max_body = BODY_MAX;
    r->no_proxy = q->no_proxy;
    if (q->body) {
        r->body = STRBUF_INIT;
        r->body.secret = true;
        strbuf_add(&r->body, strbuf_str(q->body), q->body->len);
    }
    for (size_t i = 0; i < ARRAY_SIZE(q->headers) && q->headers[i]; i++)
        strlist_add(&r->headers, q->headers[i]);
    return true;
}

static enum retry_class judge(struct call *call, int64_t *ret_server_ms UNUSED, struct error *err)
{
    const struct creds_question *q = ((struct asking *)call)->q;
    const int status = call->exchange.response.status;
    if (status == 0) {
        enum retry_class class = call_no_answer(call, err);
        error_prefix(err, "%s", q->name);
        return class;
    }
    if (!is_passing(status))
        return RETRY_NEVER;
    creds_refused(q->name, status, &call->exchange.response.body, err);
    err->try_later = true;
    return RETRY_TRANSIENT;
}

static void free_nothing(struct call *call UNUSED)
{
}

/* A token out of a file or an answer must not add headers of its own. */
static bool check_headers(const struct creds_question *q, struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(q->headers) && q->headers[i]; i++)
        if (strpbrk(q->headers[i], "\r\n"))
            return error_set(err, ERROR_CONFIG, 0, "%s: the token holds a line break", q->name);
    return true;
}

bool creds_ask(struct aws *aws, const struct creds_question *q, int *ret_status, struct strbuf *ret_body,
               struct error *err)
{
    if (!check_headers(q, err))
        return false;
    static const struct call_ops ops = { .prepare = prepare, .judge = judge, .free = free_nothing };
    struct asking a = {
        .call = { .ops = &ops, .name = xstrdup(q->name) },
        .q = q,
        .policy = { .max_attempts = q->attempts, .base_ms = 100, .throttle_ms = 500, .cap_ms = 2000 },
    };
    a.call.policy = &a.policy;
    bool ok = call_run(aws->creds_loop, &a.call, err);
    if (ok) {
        const struct http_response *r = &a.call.exchange.response;
        *ret_status = r->status;
        strbuf_clear(ret_body);
        ret_body->secret = true;
        strbuf_add(ret_body, strbuf_str(&r->body), r->body.len);
    }
    call_clear(&a.call);
    return ok;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

struct answer {
    const char *id, *secret, *token, *expiration, *code, *message;
    int64_t expiration_ms;
};
#define ROW(p, t, member)                                                                                              \
    {                                                                                                                  \
        .path = (p), .type = (t), .offset = offsetof(struct answer, member)                                            \
    }
static const struct field answer_fields[] = {
    ROW("AccessKeyId", FIELD_STR, id),
    ROW("SecretAccessKey", FIELD_STR, secret),
    ROW("Token", FIELD_STR, token),
    ROW("SessionToken", FIELD_STR, token),
    ROW("Expiration", FIELD_STR, expiration),
    ROW("roleCredentials/accessKeyId", FIELD_STR, id),
    ROW("roleCredentials/secretAccessKey", FIELD_STR, secret),
    ROW("roleCredentials/sessionToken", FIELD_STR, token),
    ROW("roleCredentials/expiration", FIELD_INT, expiration_ms),
    ROW("Code", FIELD_STR, code),
    ROW("Message", FIELD_STR, message),
    { 0 },
};
static const struct field refusal_fields[] = {
    ROW("code", FIELD_STR, code),
    ROW("message", FIELD_STR, message),
    ROW("Code", FIELD_STR, code),
    ROW("Message", FIELD_STR, message),
    ROW("__type", FIELD_STR, code),
    ROW("error", FIELD_STR, code),
    ROW("error_description", FIELD_STR, message),
    { 0 },
};
#undef ROW

bool creds_decode(const struct strbuf *json, const char *what, struct aws_creds *ret, struct error *err)
{
    AUTO_ARENA arena = { 0 };
    struct answer a = { 0 };
    struct aws_creds got = { 0 };
    if (!json_decode_text(strbuf_str(json), json->len, answer_fields, &a, &arena, what, err))
        return false;
    if (a.code && !str_eq(a.code, "Success")) /* IMDS says so with a 200 */
        return error_set(err, ERROR_CONFIG, 0, "%s: %.80s: %.200s", what, a.code,
                         a.message ? a.message : "(no message)");
    got.expires = a.expiration_ms / 1000;
    if (a.expiration && !clock_parse_lenient(a.expiration, &got.expires))
        return error_set(err, ERROR_PARSE, 0, "%s: Expiration `%.40s` is no date with its time zone", what,
                         a.expiration);
    enum found found = creds_take(a.id, a.secret, a.token, what, &got, err);
    if (found != FOUND) {
        aws_creds_clear(&got);
        return found == BROKEN ? false : error_set(err, ERROR_PARSE, 0, "%s: no AccessKeyId in it", what);
    }
    *ret = got;
    return true;
}

bool creds_refused(const char *what, int status, const struct strbuf *json, struct error *err)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR none = { 0 };
    struct answer a = { 0 };
    if (!json_decode_text(strbuf_str(json), json->len, refusal_fields, &a, &arena, what, &none))
        a = (struct answer){ 0 };
    error_set(err, is_passing(status) ? ERROR_AWS : ERROR_CONFIG, status, "%s: HTTP %d%s%.80s%s%.200s", what, status,
              a.code ? " " : "", a.code ? a.code : "", a.message ? ": " : "", a.message ? a.message : "");
    return false;
}

/* --- fetching and renewing ---------------------------------------------------------------------------------------- */

/* Nobody renews the variables of this process, and the one of their end may be a left-over: AWS decides. */
static void check_end(const struct aws *aws, const struct creds_source *s)
{
    if (s->keys.expires && s->keys.expires <= aws_now(aws))
        log_warn(
            "AWS_CREDENTIAL_EXPIRATION says that the credentials in the environment expired at %s: trying them anyway",
            clock_rfc3339(s->keys.expires).s);
}

static bool fetch(struct aws *aws, struct aws_creds *creds, struct error *err)
{
    const struct creds_source *s = &aws->config->source;
    check_end(aws, s);
    if (s->provider->fetch && !s->provider->fetch(aws, s, creds, err))
        return false;
    if (!s->provider->fetch && creds_take(s->keys.access_key_id, s->keys.secret_access_key.value,
                                          s->keys.session_token.value, s->where, creds, err) != FOUND)
        return false;
    for (size_t i = 0; i < s->n_roles; i++)
        if (!creds_assume(aws, &s->roles[i], creds, err))
            return false;
    return true;
}

bool aws_creds_fetch(struct aws *aws, struct error *err)
{
    struct aws_creds creds = { 0 };
    struct secrets before = aws->shown;
    struct http *http = http_new("mayfly/" MAYFLY_VERSION, aws->config->ca_bundle);
    struct call_loop loop = { .http = http, .env = aws->env, .wake_fd = aws->wake_fd, .until = aws->until };
    aws->shown = (struct secrets){ 0 };
    aws->creds_loop = &loop;
    bool ok = fetch(aws, &creds, err);
    aws->creds_loop = NULL;
    http_free(http);
    if (!ok) {
        if (err->domain != ERROR_CANCELLED)
            error_hint(err, "`mayfly doctor --credentials` shows where credentials were looked for");
        aws_creds_clear(&creds);
        for (size_t i = 0; i < before.n; i++) /* the credentials of before stay in use */
            secrets_add(&aws->shown, before.v[i].value);
        secrets_clear(&before);
        return false;
    }
    secrets_clear(&before);
    log_debug("credentials from %s, %s", aws->config->source.where,
              creds.expires ? clock_rfc3339(creds.expires).s : "which do not expire");
    aws_creds_clear(&aws->config->creds);
    aws->config->creds = creds;
    aws->creds_refused = false;
    aws->creds_fetched++;
    return true;
}

/* With a limit of its own; 0: none. */
static bool fetch_within(struct aws *aws, int64_t ms, struct error *err)
{
    const int64_t before = aws->until, until = env_mono(aws->env) + ms;
    if (ms && (before == 0 || until < before))
        aws->until = until;
    bool ok = aws_creds_fetch(aws, err);
    aws->until = before;
    return ok;
}

bool aws_creds_renew(struct aws *aws, struct error *err)
{
    const struct aws_creds *creds = &aws->config->creds;
    const int64_t left = creds->expires - aws_now(aws), mono = env_mono(aws->env);
    AUTO_ERROR problem = { 0 };
    if (!aws->config->source.provider ||
        (!aws->creds_refused && (creds->expires == 0 || left > RENEW_BEFORE || mono < aws->renew_after)))
        return true;
    const bool good = !aws->creds_refused && left > 0;
    if (aws->hurry && good)
        return true;
    if (aws->hurry && aws->hurried)
        return error_set(err, ERROR_TIMEOUT, 0,
                         "the AWS credentials have expired, and there is no time left to renew them");
    aws->hurried = aws->hurry;
    aws->renew_after = mono + AGAIN_MS;
    if (fetch_within(aws, aws->hurry ? HURRY_MS : good ? PATIENCE_MS : 0, &problem))
        return true;
    if (!good)
        return error_move(err, &problem);
    AUTO_FREE char *why = error_format(&problem);
    log_warn("the AWS credentials expire in %lld s and could not be renewed: %s", (long long)left, why);
    return true;
}
