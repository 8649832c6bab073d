#include "mayfly/net/call.h"

#include <curl/curl.h>

#include "mayfly/net/url.h"
#include "mayfly/util/log.h"
#include "mayfly/util/text.h"

enum { TOLD_MS = 2000 }; /* a service that asks for more than this is told of */

static uint32_t random32(const struct env *env)
{
    uint32_t r;
    env->random(env->ctx, &r, sizeof(r));
    return r;
}

void call_start(struct call_loop *loop, struct call *call)
{
    call->next = loop->calls;
    loop->calls = call;
    call->state = CALL_WAITING;
    call->due = env_mono(loop->env);
    if (call->not_before > call->due)
        call->due = call->not_before;
}

static void unlink_call(struct call_loop *loop, struct call *call)
{
    for (struct call **at = &loop->calls; *at; at = &(*at)->next) {
        if (*at == call) {
            *at = call->next;
            break;
        }
    }
    call->next = NULL;
}

void call_cancel(struct call_loop *loop, struct call *call)
{
    http_cancel(loop->http, &call->exchange);
    unlink_call(loop, call);
    call->state = CALL_DONE;
}

void call_loop_clear(struct call_loop *loop)
{
    while (loop->calls)
        call_cancel(loop, loop->calls);
}

/* Something has to be done first. */
static bool block(struct call_loop *loop, struct call *call)
{
    struct call *first = call->ops->before ? call->ops->before(call) : NULL;
    if (!first)
        return false;
    if (first->state == CALL_NEW)
        call_start(loop, first);
    call->state = CALL_BLOCKED;
    return true;
}

static int64_t limit_of(const struct call_loop *loop, const struct call *call)
{
    return !loop->until || (call->until && call->until < loop->until) ? call->until : loop->until;
}

/* What the last attempt came to says more than the time. */
static void run_out(struct call *call)
{
    call->state = CALL_DONE;
    if (call->error.domain != ERROR_NONE)
        return;
    error_set(&call->error, ERROR_TIMEOUT, 0, "%s: there was no time left for it", call->name);
    call->error.try_later = true;
}

/* A call that others wait for is done; one that waited too long to be still wanted ends. */
static void unblock(struct call_loop *loop, struct call *done)
{
    int64_t now = env_mono(loop->env);
    done->ops->done(done);
    for (struct call *c = loop->calls; c; c = c->next) {
        if (c->state != CALL_BLOCKED)
            continue;
        c->due = now;
        c->state = CALL_WAITING;
        if (!c->give_up || now <= c->give_up)
            continue;
        error_clear(&c->error);
        run_out(c);
    }
}

static void attempt(struct call_loop *loop, struct call *call)
{
    if (block(loop, call))
        return;
    http_request_clear(&call->exchange.request);
    error_clear(&call->error);
    call->attempts++;
    call->refused = false;
    if (!call->ops->prepare(call, &call->exchange.request, &call->error)) {
        call->state = CALL_DONE;
        return;
    }
    call->exchange.request.fresh = call->makes;
    http_start(loop->http, &call->exchange);
    call->state = CALL_FLYING;
}

static void trace(const struct call *call, const char *code)
{
    const struct http_response *r = &call->exchange.response;
    log_debug("%s: attempt %u: %s%d%s%s in %lld ms", call->name, call->attempts, r->status ? "HTTP " : "no answer ",
              r->status ? r->status : r->curl_code, code ? " " : "", code ? code : "", (long long)r->took_ms);
    if (log_trace_enabled()) {
        AUTO_STRBUF line = STRBUF_INIT;
        strbuf_adds(&line, "{\"call\":");
        text_add_json(&line, call->name);
        strbuf_addf(&line, ",\"attempt\":%u,\"status\":%d,\"curl\":%d,\"code\":", call->attempts, r->status,
                    r->curl_code);
        text_add_json(&line, code ? code : "");
        strbuf_addf(&line, ",\"ms\":%lld}", (long long)r->took_ms);
        log_trace(strbuf_str(&line));
    }
}

static void answered(struct call_loop *loop, struct call *call)
{
    const struct http_response *r = &call->exchange.response;
    int64_t server_ms = -1;
    error_clear(&call->error);
    enum retry_class class = call->ops->judge(call, &server_ms, &call->error);
    trace(call, call->error.code);
    if (call->error.domain == ERROR_NONE) {
        call->state = CALL_DONE;
        return;
    }
    if (r->status == 0 ? r->maybe_sent : !call->refused)
        call->ambiguous = true;
    int64_t delay = retry_decide(call->policy, class, call->attempts, server_ms, random32(loop->env));
    int64_t due = env_mono(loop->env) + delay;
    int64_t limit = limit_of(loop, call);
    if (delay < 0 || (call->give_up && due > call->give_up) || (limit && due >= limit)) {
        call->state = CALL_DONE;
        return;
    }
    if (server_ms >= TOLD_MS && env_mono(loop->env) >= loop->quiet_until) {
        AUTO_FREE char *why = error_format(&call->error);
        log_info("%s: trying again in %lld s", why, (long long)delay / 1000);
        loop->quiet_until = due;
    } else {
        log_debug("%s: trying again in %lld ms", call->name, (long long)delay);
    }
    call->due = due;
    call->state = CALL_WAITING;
}

/* give_up was moved while the call waited to be tried again. What may have had its effect is still worth the answer. */
static bool gave_up(const struct call *call)
{
    return call->attempts > 0 && !call->ambiguous && call->give_up && call->due > call->give_up;
}

/* One that is done and that the owner waits for, out of the loop. */
static struct call *take_done(struct call_loop *loop)
{
    struct call *call = loop->calls;
    while (call && (call->state != CALL_DONE || call->ops->done))
        call = call->next;
    if (call)
        unlink_call(loop, call);
    return call;
}

struct call *call_loop_next(struct call_loop *loop, int64_t until)
{
    for (;;) {
        struct call *done = take_done(loop); /* what is known already counts before a signal */
        if (done)
            return done;
        if (loop->wake_fd >= 0 && http_readable(loop->wake_fd)) /* answers that keep coming must not hide it */
            return NULL;
        int64_t now = env_mono(loop->env), wake = until;
        bool again = false; /* the list has changed */
        for (struct call *c = loop->calls, *next; c && !again; c = next) {
            next = c->next;
            const int64_t limit = limit_of(loop, c);
            if (limit && now >= limit && c->state == CALL_FLYING) {
                http_expire(loop->http, &c->exchange);
                answered(loop, c);
            } else if (limit && now >= limit && (c->state == CALL_WAITING || c->state == CALL_BLOCKED)) {
                run_out(c);
            } else if (c->state == CALL_WAITING && gave_up(c)) {
                c->state = CALL_DONE;
            } else if (c->state == CALL_WAITING && c->due <= now) {
                attempt(loop, c);
                again = c->state == CALL_BLOCKED;
            }
            if (c->state == CALL_DONE) {
                if (c->ops->done) {
                    unlink_call(loop, c);
                    unblock(loop, c);
                }
                again = true;
            }
            if (!again && c->state == CALL_WAITING && c->due < wake)
                wake = c->due;
            if (!again && limit && limit < wake)
                wake = limit;
        }
        if (again)
            continue;
        struct http_exchange *x = http_wait(loop->http, wake > now ? wake - now : 0, loop->wake_fd);
        if (x) {
            for (struct call *c = loop->calls; c; c = c->next)
                if (&c->exchange == x)
                    answered(loop, c);
            continue;
        }
        if (env_mono(loop->env) >= until)
            return NULL;
    }
}

bool call_run_all(struct call_loop *loop, struct call *const *calls, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++)
        call_start(loop, calls[i]);
    for (size_t done = 0; done < n && err->domain == ERROR_NONE; done++) {
        const struct call *call = call_loop_next(loop, INT64_MAX);
        if (!call)
            error_set(err, ERROR_CANCELLED, 0, "interrupted by a signal");
        else if (call->error.domain != ERROR_NONE)
            error_copy(err, &call->error);
    }
    for (size_t i = 0; i < n && err->domain != ERROR_NONE; i++)
        call_cancel(loop, calls[i]);
    return err->domain == ERROR_NONE;
}

bool call_run(struct call_loop *loop, struct call *call, struct error *err)
{
    return call_run_all(loop, &call, 1, err);
}

void call_clear(struct call *call)
{
    http_request_clear(&call->exchange.request);
    http_response_clear(&call->exchange.response);
    error_clear(&call->error);
    free(call->name);
}

void call_free(struct call *call)
{
    if (call)
        call->ops->free(call);
}

void call_free_pointer(struct call **call)
{
    call_free(STEAL(*call));
}

#define TLS CURLE_PEER_FAILED_VERIFICATION

/* What to do where no answer came: the first row that fits. part: what is in libcurl's words, NULL: anything. */
static const struct trouble {
    int code;
    bool proxy; /* the proxy could not be reached, rather than the server */
    const char *part;
    enum retry_class class;
    const char *hint;
} troubles[] = {
    { CURLE_COULDNT_CONNECT, true, NULL, RETRY_TRANSIENT,
      "the proxy does not answer: check HTTPS_PROXY, and list in NO_PROXY what needs no proxy" },
    { CURLE_COULDNT_CONNECT, false, NULL, RETRY_TRANSIENT,
      "nothing listens there, or a firewall blocks it: check the endpoint and the port" },
    { CURLE_COULDNT_RESOLVE_HOST, false, NULL, RETRY_TRANSIENT,
      "the host name is unknown: check the region and the endpoint's spelling" },
    { CURLE_COULDNT_RESOLVE_PROXY, false, NULL, RETRY_TRANSIENT, "the proxy's name is unknown: check HTTPS_PROXY" },
    { CURLE_SSL_CACERT_BADFILE, false, NULL, RETRY_NEVER,
      "the file of trusted certificates is missing, unreadable or not PEM: check AWS_CA_BUNDLE, or ca_bundle of the "
      "profile" },
    { CURLE_SSL_CONNECT_ERROR, false, NULL, RETRY_TRANSIENT,
      "TLS could not be negotiated: check that the port speaks TLS, and any proxy in between" },
    { TLS, false, "expired", RETRY_NEVER,
      "the server's certificate has expired: check this machine's clock, then have the operator of the server or proxy "
      "renew it" },
    { TLS, false, "not yet valid", RETRY_NEVER, "this machine's clock is behind: set it by NTP" },
    { TLS, false, "subject name", RETRY_NEVER,
      "the certificate is for another server: check the endpoint's name, and any proxy in between" },
    { TLS, false, "does not match", RETRY_NEVER,
      "the certificate is for another server: check the endpoint's name, and any proxy in between" },
    { TLS, false, NULL, RETRY_NEVER,
      "the server's certificate is not trusted: set AWS_CA_BUNDLE if a proxy re-signs TLS" },
};

#undef TLS

enum retry_class call_trouble(int curl_code, int proxy_status, bool proxy, const char *problem, const char **ret_hint)
{
    if (proxy_status >= 300) {
        *ret_hint = proxy_status == 407 ? "the proxy asks for a user and a password: put them in HTTPS_PROXY"
                                        : "the proxy refuses to connect there: check HTTPS_PROXY and NO_PROXY";
        return proxy_status < 500 ? RETRY_NEVER : RETRY_TRANSIENT;
    }
    for (size_t i = 0; i < ARRAY_SIZE(troubles); i++) {
        const struct trouble *t = &troubles[i];
        if (t->code == curl_code && (!t->proxy || proxy) && (!t->part || strstr(problem, t->part))) {
            *ret_hint = t->hint;
            return t->class;
        }
    }
    *ret_hint = "check the network path to the host";
    return RETRY_TRANSIENT;
}

/* libcurl names whom it could not connect to: is it another than the server? */
static bool is_of_proxy(const struct url *u, const char *problem)
{
    const char *port = u->port ? u->port : str_eq(u->scheme, "https") ? "443" : "80";
    const char *host = u->host + (u->host[0] == '[');
    AUTO_FREE char *server = xasprintf("to %.*s port %s ", (int)strcspn(host, "]"), host, port);
    return strstr(problem, " port ") && (!strstr(problem, server) || strstr(problem, " via "));
}

enum retry_class call_no_answer(const struct call *call, struct error *err)
{
    const struct http_response *r = &call->exchange.response;
    AUTO_URL url = { 0 };
    AUTO_ERROR ignored = { 0 };
    AUTO_FREE char *host = NULL;
    AUTO_FREE char *base = xstrndup(call->exchange.request.url, strcspn(call->exchange.request.url, "?"));
    if (url_parse(base, "", &url, &ignored))
        host = url_host_header(&url);
    error_set(err, ERROR_NET, r->curl_code, "no answer from %s: %s", host ? host : base, r->problem);
    err->try_later = true;
    if (r->no_descriptors) {
        error_hint(err, "this process cannot open more files: raise `ulimit -n`");
        return RETRY_TRANSIENT;
    }
    if (r->curl_code == CURLE_WRITE_ERROR) {
        /* Our own ceiling; that of all answers together is kept when they come one by one. */
        err->try_later = !r->body.overflow && r->head <= HTTP_HEAD_MAX;
        return err->try_later ? RETRY_TRANSIENT : RETRY_NEVER;
    }
    const char *hint;
    enum retry_class class =
        call_trouble(r->curl_code, r->proxy_status, host && is_of_proxy(&url, r->problem), r->problem, &hint);
    error_hint(err, "%s", hint);
    err->try_later = class != RETRY_NEVER;
    return class;
}
