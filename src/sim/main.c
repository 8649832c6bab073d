/* Options, what scripted faults do to a request, and the one loop in which requests are served and time passes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws.h"
#include "broker.h"
#include "builder.h"
#include "catalog.h"
#include "control.h"
#include "faults.h"
#include "github.h"
#include "github_app.h"
#include "held.h"
#include "http.h"
#include "imds.h"
#include "issuer.h"
#include "rates.h"
#include "sandbox.h"
#include "sim.h"
#include "ssm.h"
#include "standin.h"
#include "text.h"
#include "to_json.h"
#include "verify.h"
#include "world.h"
#include "world_instances.h"

#include "mayfly/codec/json.h"
#include "mayfly/net/server.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/opts.h"
#include "mayfly/version.h"

enum { HEAD_MAX = 64 << 10, BODY_MAX = 4 << 20, TICK_MS = 50, HTTP_DATE_MAX = 40 };

struct options {
    char *instances, *port_file, *env_file, *state_dir, *faults, *run_rate, *app_key, *app_public_key;
    struct strlist repos;
    uint64_t port, boot, online, idle_removal, terminate_delay, image_delay, bake, rate_limit, mint_rate,
        credential_life;
    int64_t app_token_life;
    bool no_auth, verbose, help, version;
};

#define ROW(member) .offset = offsetof(struct options, member)

static const struct opt options[] = {
    { .name = "port",
      .type = OPT_NUMBER,
      ROW(port),
      .arg = "N",
      .help = "port on 127.0.0.1; 0 takes a free one",
      .fallback = "0",
      .max = 65535 },
    { .name = "port-file", .type = OPT_STRING, ROW(port_file), .arg = "FILE", .help = "write the port there" },
    { .name = "env-file",
      .type = OPT_STRING,
      ROW(env_file),
      .arg = "FILE",
      .help = "write the settings there, for a shell to source" },
    { .name = "instances",
      .type = OPT_STRING,
      ROW(instances),
      .arg = "model|sandbox",
      .help = "model only lets time pass, sandbox runs the user-data",
      .fallback = "model",
      .choices = "model sandbox" },
    { .name = "repos",
      .type = OPT_LIST,
      ROW(repos),
      .arg = "OWNER[/REPO][,…]",
      .help = "repositories and organisations that exist besides octo/demo and octo",
      .aliases = "repo" },
    { .name = "boot",
      .type = OPT_NUMBER,
      ROW(boot),
      .arg = "MS",
      .help = "milliseconds from pending to running",
      .fallback = "1000",
      .max = 86400000 },
    { .name = "online",
      .type = OPT_NUMBER,
      ROW(online),
      .arg = "MS",
      .help = "milliseconds from running to a runner online (model)",
      .fallback = "1000",
      .max = 86400000 },
    { .name = "idle-removal",
      .type = OPT_NUMBER,
      ROW(idle_removal),
      .arg = "MS",
      .help = "milliseconds after which GitHub forgets an idle runner; 0: never",
      .fallback = "0",
      .max = UINT32_MAX },
    { .name = "terminate-delay",
      .type = OPT_NUMBER,
      ROW(terminate_delay),
      .arg = "MS",
      .help = "milliseconds from shutting-down to terminated",
      .fallback = "500",
      .max = 86400000 },
    { .name = "image-delay",
      .type = OPT_NUMBER,
      ROW(image_delay),
      .arg = "MS",
      .help = "milliseconds from CreateImage to an available image",
      .fallback = "1000",
      .max = 86400000 },
    { .name = "credential-life",
      .type = OPT_NUMBER,
      ROW(credential_life),
      .arg = "SECONDS",
      .help = "life of temporary credentials; 0: as asked for, else an hour",
      .fallback = "0",
      .max = 86400 },
    { .name = "bake",
      .type = OPT_NUMBER,
      ROW(bake),
      .arg = "MS",
      .help = "milliseconds that a builder takes, which is always modelled",
      .fallback = "1000",
      .max = 86400000 },
    { .name = "rate-limit",
      .type = OPT_NUMBER,
      ROW(rate_limit),
      .arg = "N",
      .help = "requests an hour that GitHub allows",
      .fallback = "5000",
      .max = UINT32_MAX },
    { .name = "run-rate",
      .type = OPT_STRING,
      ROW(run_rate),
      .arg = "PER_SECOND,BURST",
      .help = "RunInstances that EC2 allows in a region, as its 2,5; else any number" },
    { .name = "mint-rate",
      .type = OPT_NUMBER,
      ROW(mint_rate),
      .arg = "PER_MINUTE",
      .help = "just-in-time configurations that GitHub makes; 0: any number",
      .fallback = "0",
      .max = 1000000 },
    { .name = "app-key",
      .type = OPT_STRING,
      ROW(app_key),
      .arg = "FILE",
      .help = "play a GitHub App, installed everywhere: make its private key and write it there" },
    { .name = "app-public-key",
      .type = OPT_STRING,
      ROW(app_public_key),
      .arg = "FILE",
      .help = "play one whose public key is there, PEM" },
    { .name = "app-token-life",
      .type = OPT_SECONDS,
      ROW(app_token_life),
      .arg = "DURATION",
      .help = "how long the tokens of the App work",
      .fallback = "1h",
      .min = 1,
      .max = 86400 },
    { .name = "faults",
      .type = OPT_STRING,
      ROW(faults),
      .arg = "FILE",
      .help = "scripted faults, as PUT /_sim/faults takes them" },
    { .name = "state-dir",
      .type = OPT_STRING,
      ROW(state_dir),
      .arg = "DIR",
      .help = "where sandboxes live; else a temporary directory" },
    { .name = "no-auth", .type = OPT_FLAG, ROW(no_auth), .help = "accept any signature" },
    { .name = "verbose", .type = OPT_FLAG, ROW(verbose), .help = "tell every request, and every one that waits" },
    { .name = "help", .type = OPT_FLAG, ROW(help), .help = "print this help" },
    { .name = "version", .type = OPT_FLAG, ROW(version), .help = "print the version" },
    { 0 },
};

static const char *no_env(const char *name UNUSED)
{
    return NULL;
}

/* --- one request -------------------------------------------------------------------------------------------------- */

enum ending { END_ANSWER, END_CLOSE, END_RESET, END_CUT };

struct exchange {
    struct request request;
    struct response response;
    struct server_request *http;
    bool judged_before, served, judged_after;
    enum ending ending;
    const char *fault; /* static: what happened to it, for the log */
    /* While it waits: */
    struct exchange *next;
    int64_t n, until; /* until: simulated ms, INT64_MAX: until it is released */
    int64_t date;     /* seconds that its Date is ahead */
    bool waits, close_then;
};

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

/* --- requests that wait ------------------------------------------------------------------------------------------- */

static struct json_object *held_row(const struct exchange *x)
{
    struct json_object *o = must(json_object_new_object());
    json_add_int(o, "n", x->n);
    json_add_text(o, "service", x->request.service);
    json_add_text(o, "action", x->request.action);
    json_add_text(o, "method", x->request.method);
    json_add_text(o, "path", x->request.path);
    json_add_text(o, "when", x->served ? "after" : "before");
    json_add_text(o, "fault", x->fault);
    return o;
}

static void hold(struct sim *s, struct exchange *x, const struct fault *f)
{
    x->waits = true;
    x->close_then = f->kind->close;
    x->until = f->ms >= 0 ? sim_now(s) + f->ms : INT64_MAX;
    x->next = s->held;
    s->held = x;
    if (s->options.verbose) { /* who reads this need not ask for /_sim/held again and again */
        struct json_object *row = held_row(x);
        fprintf(stderr, "%s\n", json_object_to_json_string_ext(row, JSON_C_TO_STRING_PLAIN));
        json_object_put(row);
    }
}

static void unlink_held(struct sim *s, const struct exchange *x)
{
    struct exchange **at = &s->held;
    while (*at && *at != x)
        at = &(*at)->next;
    if (*at)
        *at = x->next;
}

static void let_go(struct sim *s, struct exchange *x, bool drop)
{
    unlink_held(s, x);
    x->waits = false;
    if (drop)
        x->ending = END_CLOSE;
    server_resume(x->http);
}

struct json_object *held_json(const struct sim *s)
{
    struct json_object *rows = must(json_object_new_array());
    for (const struct exchange *x = s->held; x; x = x->next)
        json_object_array_add(rows, held_row(x));
    return rows;
}

size_t held_release(struct sim *s, int64_t n, bool drop)
{
    size_t released = 0;
    for (struct exchange *x = s->held, *next; x; x = next) {
        next = x->next;
        if (n && x->n != n)
            continue;
        let_go(s, x, drop);
        released++;
    }
    return released;
}

static void held_tick(struct sim *s)
{
    int64_t now = sim_now(s);
    for (struct exchange *x = s->held, *next; x; x = next) {
        next = x->next;
        if (now >= x->until)
            let_go(s, x, x->close_then);
    }
}

static int64_t held_next(const struct sim *s)
{
    int64_t next = INT64_MAX;
    for (const struct exchange *x = s->held; x; x = x->next)
        if (x->until < next)
            next = x->until;
    return next;
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
        hold(s, x, f);
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

static enum server_verdict serve(void *ctx, struct server_request *http, struct server_response *out)
{
    if (!http->state)
        http->state = begin(ctx, http);
    return advance(ctx, http->state, out);
}

static void forget(void *ctx, struct server_request *http)
{
    struct exchange *x = http->state;
    unlink_held(ctx, x);
    pairs_clear(&x->request.form);
    free(x->request.action);
    strbuf_clear(&x->response.body);
    pairs_clear(&x->response.headers);
    free(x->response.code);
    free(x);
}

/* --- the program -------------------------------------------------------------------------------------------------- */

/* "ghs_…", opaque, of the length GitHub's have had since 2026: with dots and underscores. */
static char *make_token(void)
{
    AUTO_STRBUF token = STRBUF_INIT;
    AUTO_FREE char *a = sim_random_id("ghs_1234_eyJ", 36), *b = sim_random_id(".", 64), *c = sim_random_id("_", 64);
    strbuf_adds(&token, a);
    while (token.len < SIM_TOKEN_LEN)
        strbuf_addf(&token, "%s%s", b, c);
    strbuf_truncate(&token, SIM_TOKEN_LEN);
    return strbuf_steal(&token);
}

/* How a client comes to GitHub: by the token, or as the App. */
static char *github_settings(const struct sim *s, const struct options *o)
{
    AUTO_FREE char *key = str_empty(o->app_key) ? NULL : realpath(o->app_key, NULL);
    if (!s->app)
        return xasprintf("MAYFLY_GITHUB_TOKEN=%s\n", s->github_token);
    return xasprintf("MAYFLY_APP_ID=%s\n%s%s%s", app_client_id(), key ? "MAYFLY_APP_KEY_FILE=" : "", key ? key : "",
                     key ? "\n" : "");
}

static bool write_settings(const struct sim *s, const struct options *o, struct error *err)
{
    const char *repository = "octo/demo";
    for (size_t i = s->options.repos.n; i-- > 0;)
        repository = strchr(s->options.repos.v[i], '/') ? s->options.repos.v[i] : repository;
    AUTO_FREE char *github = github_settings(s, o);
    AUTO_FREE char *text =
        xasprintf("AWS_ENDPOINT_URL=%s\nAWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\nAWS_SESSION_TOKEN=%s\n"
                  "AWS_REGION=us-east-1\nGITHUB_API_URL=%s/api/v3\nGITHUB_SERVER_URL=%s\nGITHUB_REPOSITORY=%s\n"
                  "AWS_EC2_METADATA_SERVICE_ENDPOINT=%s/imds/none\n%s",
                  s->base_url, s->access_key, s->secret_key, s->session_token, s->base_url, s->base_url, repository,
                  s->base_url, github);
    AUTO_FREE char *port = xasprintf("%u\n", s->port);
    const char *const files[][2] = { { o->env_file, text }, { o->port_file, port } };
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        if (str_empty(files[i][0]))
            continue;
        /* Renamed into place: who waits for the file never reads half of it. */
        AUTO_FREE char *part = xasprintf("%s.part", files[i][0]);
        int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        ssize_t n = fd < 0 ? -1 : write(fd, files[i][1], strlen(files[i][1]));
        if (fd >= 0)
            close(fd);
        if (n != (ssize_t)strlen(files[i][1]) || rename(part, files[i][0]) != 0)
            return error_errno(err, errno, "writing %s", files[i][0]);
    }
    printf("mayfly-sim: listening on %s\n", s->base_url);
    if (str_empty(o->env_file))
        printf("%s", text);
    else
        printf("mayfly-sim: its settings are in %s: set -a; . %s; set +a\n", o->env_file, o->env_file);
    fflush(stdout);
    return true;
}

static void loop(struct sim *s, struct server *server, int signals)
{
    for (;;) {
        struct pollfd fds[] = { { .fd = server_fd(server), .events = POLLIN }, { .fd = signals, .events = POLLIN } };
        int64_t next = world_next(s), held = held_next(s), http = server_timeout(server);
        int64_t wait = (held < next ? held : next) - sim_now(s);
        if (http >= 0 && http < wait)
            wait = http;
        if (s->options.sandbox && wait > TICK_MS) /* consoles and ends of sandboxes */
            wait = TICK_MS;
        poll(fds, 2, wait < 0 ? 0 : wait > 60000 ? 60000 : (int)wait);
        if (fds[1].revents)
            return;
        world_tick(s);
        held_tick(s);
        server_run(server);
    }
}

static bool run(struct sim *s, const struct options *o, struct error *err)
{
    sigset_t set;
    const struct server_config config = { .port = (uint16_t)o->port,
                                          .head_max = HEAD_MAX,
                                          .body_max = BODY_MAX,
                                          .long_bodies = true, /* they are logged, and faults apply to them */
                                          .no_date = true,
                                          .serve = serve,
                                          .forget = forget,
                                          .ctx = s };
    struct server *server = server_new(&config, err);
    if (!server) {
        error_hint(err, "another process has the port: --port 0 takes a free one");
        return false;
    }
    s->port = server_port(server);
    s->base_url = xasprintf("http://127.0.0.1:%u", s->port);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    bool ok = sandbox_prepare(s, err) && write_settings(s, o, err);
    if (ok)
        loop(s, server, signals);
    held_release(s, 0, true); /* and each is logged */
    server_run(server);
    server_free(server);
    close(signals);
    return ok;
}

static void remove_dir(const char *dir)
{
    char *argv[] = { (char *)"rm", (char *)"-rf", (char *)dir, NULL };
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[0], argv);
        _exit(127);
    }
}

static bool load_faults(struct sim *s, const char *path, struct error *err)
{
    AUTO_STRBUF text = STRBUF_MAX(BODY_MAX);
    AUTO_JSON *json = NULL;
    if (str_empty(path))
        return true;
    return strbuf_read_file(&text, path, "the faults", err) &&
           json_parse(strbuf_str(&text), text.len, path, &json, err) && faults_add(s, json, err);
}

/* --- what happens in the world --------------------------------------------------------------------------------------
 */

static bool boot(struct sim *s, struct instance *i)
{
    builder_boot(s, i);
    if (!s->options.sandbox || i->nonce)
        return false;
    sandbox_start(s, i);
    return true;
}

static void clear(struct sim *s)
{
    ssm_clear(s);
    rates_clear(s);
}

static const struct world_hooks hooks = {
    .boot = boot, .tick = builder_tick, .power_cut = sandbox_kill, .poll = sandbox_poll, .clear = clear
};

static bool open_sim(struct sim *s, const struct options *o, struct error *err)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        return error_errno(err, errno, "reading /proc/self/exe");
    self[n] = '\0';
    s->self = xstrdup(self);
    s->work_dir = str_empty(o->state_dir) ? xstrdup("/tmp/mayfly-sim-XXXXXX") : xstrdup(o->state_dir);
    if (str_empty(o->state_dir) ? mkdtemp(s->work_dir) == NULL : mkdir(s->work_dir, 0755) != 0 && errno != EEXIST)
        return error_errno(err, errno, "making the directory %s", s->work_dir);
    chmod(s->work_dir, 0755); /* instances of another user run in it */
    s->access_key = sim_random_id("ASIA", 16);
    s->secret_key = sim_random_id("", 40);
    s->session_token = sim_random_id("IQoJ", 60);
    s->source_token = sim_random_id("src.", 40);
    s->github_token = make_token();
    s->runner_tarball = STRBUF_INIT;
    s->log = must(json_object_new_array());
    s->options = (struct sim_options){ .sandbox = str_eq(o->instances, "sandbox"),
                                       .verbose = o->verbose,
                                       .no_auth = o->no_auth,
                                       .boot = (int64_t)o->boot,
                                       .online = (int64_t)o->online,
                                       .idle_removal = (int64_t)o->idle_removal,
                                       .credential_life = (int64_t)o->credential_life,
                                       .rate_limit = (int64_t)o->rate_limit,
                                       .image_delay = (int64_t)o->image_delay,
                                       .bake = (int64_t)o->bake,
                                       .mint_rate = (int64_t)o->mint_rate,
                                       .app_token_life = o->app_token_life * 1000,
                                       .terminate_delay = (int64_t)o->terminate_delay };
    for (size_t i = 0; i < o->repos.n; i++)
        strlist_add(&s->options.repos, o->repos.v[i]);
    if (!strlist_has(&s->options.repos, "octo/demo"))
        strlist_add(&s->options.repos, "octo/demo");
    catalog_seed(s);
    return rates_parse(o->run_rate, &s->options, err) && app_open(s, o->app_key, o->app_public_key, err) &&
           load_faults(s, o->faults, err);
}

static void close_sim(struct sim *s, const struct options *o)
{
    char *owned[] = { s->self,         s->base_url,      s->access_key,   s->secret_key, s->session_token,
                      s->github_token, s->runner_sha256, s->source_token, s->oidc_token, s->encryption.key };
    issuer_clear(s);
    faults_clear(s);
    app_close(s);
    world_clear(s);
    if (s->work_dir && str_empty(o->state_dir))
        remove_dir(s->work_dir);
    for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
        free(owned[i]);
    free(s->work_dir);
    strbuf_clear(&s->runner_tarball);
    strlist_clear(&s->options.repos);
    json_object_put(s->log);
}

int main(int argc, char **argv)
{
    AUTO_ERROR err = { 0 };
    struct options o = { 0 };
    struct sim s = { .hooks = &hooks };
    const struct opt_set sets[] = { { options, &o }, { 0 } };
    const struct opts_source source = { .command = "mayfly-sim", .args = argv + 1, .getenv = no_env };
    if (argc == 2 && str_eq(argv[1], "runner"))
        return standin_main();
    bool ok = opts_parse(sets, &source, &err);
    if (ok && o.help) {
        printf("usage: mayfly-sim [OPTIONS]\n\nPlays EC2, STS, SSM, IMDS and GitHub on a loopback port.\n\noptions:\n");
        opts_help(stdout, options);
        control_help(stdout);
        faults_help(stdout);
        catalog_help(stdout);
    } else if (ok && o.version) {
        printf("mayfly-sim %s\n", MAYFLY_VERSION);
    } else if (ok) {
        ok = open_sim(&s, &o, &err) && run(&s, &o, &err);
    }
    if (!ok) {
        AUTO_FREE char *message = error_format(&err);
        fprintf(stderr, "mayfly-sim: %s\n", message);
        if (err.hint)
            fprintf(stderr, "hint: %s\n", err.hint);
    }
    close_sim(&s, &o);
    opts_clear(options, &o);
    return error_exit_status(&err);
}
