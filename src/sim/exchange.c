/* A request on its way: its service, the faults before and after it, and how it leaves. */
#include <stdio.h>
#include <sys/socket.h>

#include "aws_serve.h"
#include "broker.h"
#include "control.h"
#include "exchange.h"
#include "faults.h"
#include "github.h"
#include "held.h"
#include "http.h"
#include "imds.h"
#include "issuer.h"
#include "sim.h"
#include "ssm.h"
#include "text.h"
#include "to_json.h"
#include "verify.h"
#include "world.h"

enum { HTTP_DATE_MAX = 40 };

/* --- services ----------------------------------------------------------------------------------------------------- */

static void route(struct sim *s, const struct request *r, struct response *res)
{
    static const struct {
        const char *service;
        void (*serve)(struct sim *, const struct request *, struct response *);
    } routes[] = {
        { "ec2", aws_serve },      { "sts", aws_serve },   { "ssm", ssm_serve },       { "github", github_serve },
        { "_sim", control_serve }, { "imds", imds_serve }, { "runner", broker_serve }, { "issuer", issuer_serve },
    };
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        if (str_eq(routes[i].service, r->service)) {
            routes[i].serve(s, r, res);
            return;
        }
    }
    res->content_type = "application/octet-stream";
    res->status = str_starts(r->path, "/dist/actions-runner-linux-") ? 200 : 404;
    if (res->status == 200)
        strbuf_add(&res->body, s->runner_tarball.data, s->runner_tarball.len);
}

/* Which service is asked, and for what. */
static void identify(struct request *r)
{
    static const struct {
        const char *prefix, *service;
    } prefixes[] = {
        { "/api/v3/", "github" }, { "/_sim/", "_sim" },          { "/imds/", "imds" },
        { "/runner/", "runner" }, { "/credentials/", "issuer" }, { "/federation/", "issuer" },
        { "/token", "issuer" },   { "/oidc/", "issuer" },        { "/imds/role/", "issuer" },
    };
    r->service = "dist";
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (str_starts(r->path, prefixes[i].prefix))
            r->service = prefixes[i].service;
    if (str_eq(r->path, "/") && str_eq(r->method, "POST")) {
        AUTO_FREE char *service = verify_scope(r, SCOPE_SERVICE);
        const char *target = pairs_get(&r->headers, "x-amz-target");
        if (target || str_eq(service, "ssm")) {
            r->service = "ssm";
            r->action = xstrdup(target && strchr(target, '.') ? strchr(target, '.') + 1 : "?");
            return;
        }
        r->form_ok = form_parse(strbuf_str(&r->body), r->body.len, &r->form);
        const char *action = pairs_get(&r->form, "Action");
        r->service = str_eq(service, "sts") || str_eq(action, "AssumeRoleWithWebIdentity") ? "sts" : "ec2";
        r->action = xstrdup(action ? action : "?");
    } else if (str_eq(r->service, "github")) {
        r->action = github_action(r);
    } else {
        r->action = xasprintf("%s %s", r->method, r->path);
    }
}

static void log_request(struct sim *s, const struct exchange *x)
{
    enum { LOG_MAX = 50000 };
    const struct request *r = &x->request;
    AUTO_FREE char *region = verify_scope(r, SCOPE_REGION);
    struct json_object *o = must(json_object_new_object());
    json_add_int(o, "n", x->n);
    json_add_int(o, "time", sim_now(s));
    json_add_text(o, "service", r->service);
    json_add_text(o, "method", r->method);
    json_add_text(o, "path", r->path);
    json_add_text(o, "action", r->action);
    json_add_text(o, "region", region);
    json_add_int(o, "status", x->ending == END_ANSWER || x->ending == END_CUT ? x->response.status : 0);
    json_add_text(o, "code", x->response.code);
    json_add_text(o, "fault", x->fault);
    if (json_object_array_length(s->log) >= LOG_MAX)
        json_object_array_del_idx(s->log, 0, LOG_MAX / 2);
    json_object_array_add(s->log, o);
    if (s->options.verbose)
        fprintf(stderr, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
}

/* --- where every response leaves ---------------------------------------------------------------------------------- */

/* What a fault does to an exchange. The service's own code runs afterwards unless x->served. */
static void apply_fault(struct sim *s, struct exchange *x, const struct fault *f)
{
    struct response *res = &x->response;
    x->fault = f->kind->name;
    switch (f->kind->effect) {
    case EFFECT_ERROR:
    case EFFECT_STATUS:
        fault_answer(f, &x->request, res);
        x->served = true;
        break;
    case EFFECT_HIDE:
        x->request.hide = true;
        if (str_eq(x->request.service, "github")) {
            fault_answer(f, &x->request, res);
            x->served = true;
        }
        break;
    case EFFECT_EMPTY_PAGE:
        x->request.empty_page = true;
        break;
    case EFFECT_LOOP:
        x->request.loop = true;
        break;
    case EFFECT_DATE:
        x->date = f->seconds;
        break;
    case EFFECT_LIE:
        x->request.lie = f->kind->name;
        x->request.liar = f->runner;
        break;
    case EFFECT_CLOSE:
        x->ending = END_CLOSE;
        break;
    case EFFECT_RESET:
        x->ending = END_RESET;
        break;
    case EFFECT_CUT:
        x->ending = END_CUT;
        break;
    case EFFECT_GARBAGE:
        strbuf_truncate(&res->body, 0);
        strbuf_add(&res->body, "\x80\xff<{[\"\x01 garbage", 14);
        break;
    case EFFECT_WAIT:
        held_add(s, x, f);
        break;
    }
}

static void http_date(const struct sim *s, int64_t ahead, char out[static HTTP_DATE_MAX])
{
    time_t t = (time_t)(sim_now(s) / 1000 + ahead);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, HTTP_DATE_MAX, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

/* Gives half of a body whose length was announced whole. */
static size_t half_body(void *ctx, uint64_t at, char *out, size_t max)
{
    const struct response *res = ctx;
    size_t half = res->body.len / 2, n = at < half ? half - (size_t)at : 0;
    n = n < max ? n : max;
    memcpy(out, res->body.data + at, n);
    return n;
}

static enum server_verdict send_response(const struct sim *s, struct exchange *x, struct server_response *out)
{
    char date[HTTP_DATE_MAX];
    struct response *res = &x->response;
    http_date(s, x->date, date);
    pairs_add(&out->headers, "Date", date);
    pairs_copy(&out->headers, &res->headers);
    out->status = res->status;
    out->content_type = res->content_type;
    if (x->ending == END_CUT && res->body.len > 1) {
        out->read = half_body;
        out->read_ctx = res;
        out->length = res->body.len;
    } else {
        strbuf_clear(&out->body);
        out->body = res->body;
        res->body = STRBUF_INIT;
    }
    return SERVER_ANSWER;
}

static enum server_verdict finish(struct sim *s, struct exchange *x, struct server_response *out)
{
    if (!str_eq(x->request.service, "_sim"))
        log_request(s, x);
    if (x->ending == END_RESET) {
        /* Linux resets a connection that is taken apart so; a close would say goodbye first. */
        const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
        (void)connect(server_socket(x->http), &nowhere, sizeof(nowhere));
    }
    return x->ending == END_CLOSE || x->ending == END_RESET ? SERVER_CLOSE : send_response(s, x, out);
}

/* Does it only look? Other requests may change what happens next. */
static bool only_reads(const struct request *r)
{
    return (str_eq(r->service, "ec2") && str_starts(r->action, "Describe")) ||
           (str_eq(r->service, "github") && str_eq(r->method, "GET"));
}

/* Goes on with an exchange from where it stands; called again when one that waited is let go on. */
static enum server_verdict advance(struct sim *s, struct exchange *x, struct server_response *out)
{
    bool scripted = !str_eq(x->request.service, "_sim");
    const struct fault *f;
    if (!x->judged_before) {
        x->judged_before = true;
        if (scripted && (f = fault_due(s, &x->request, FAULT_BEFORE)) != NULL)
            apply_fault(s, x, f);
        if (x->waits)
            return SERVER_WAIT;
    }
    if (x->ending != END_ANSWER && !x->served)
        return finish(s, x, out);
    if (!x->served) {
        world_tick(s);
        if (x->request.body.overflow)
            respond_text(&x->response, 413, "the body is too long\n");
        else
            route(s, &x->request, &x->response);
        x->served = true;
        if (!only_reads(&x->request))
            s->quiet_until = 0;
        world_tick(s);
    }
    if (!x->judged_after) {
        x->judged_after = true;
        if (str_eq(x->request.service, "github"))
            github_finish(s, &x->request, &x->response);
        if (scripted && (f = fault_due(s, &x->request, FAULT_AFTER)) != NULL)
            apply_fault(s, x, f);
        if (x->waits)
            return SERVER_WAIT;
    }
    return finish(s, x, out);
}

/* --- from its beginning to its end -------------------------------------------------------------------------------- */

/* The server's request as the services see it: the same texts, and what the simulator found out about them. */
static struct exchange *begin(struct sim *s, struct server_request *http)
{
    struct exchange *x = xcalloc(1, sizeof(*x));
    x->http = http;
    x->n = ++s->next_request;
    x->request = (struct request){ .method = http->method,
                                   .path = http->path,
                                   .raw_path = http->raw_path,
                                   .query = http->query,
                                   .headers = http->headers,
                                   .body = http->body };
    x->response = (struct response){ .status = 404, .body = STRBUF_INIT };
    identify(&x->request);
    return x;
}

enum server_verdict exchange_serve(void *ctx, struct server_request *http, struct server_response *out)
{
    if (!http->state)
        http->state = begin(ctx, http);
    return advance(ctx, http->state, out);
}

void exchange_forget(void *ctx, struct server_request *http)
{
    struct exchange *x = http->state;
    held_remove(ctx, x);
    pairs_clear(&x->request.form);
    free(x->request.action);
    strbuf_clear(&x->response.body);
    pairs_clear(&x->response.headers);
    free(x->response.code);
    free(x);
}
