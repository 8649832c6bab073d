/* Options, the HTTP server, and the one loop in which requests are served and time passes. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim.h"

#include "mayfly/codec/json.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/opts.h"
#include "mayfly/version.h"

enum { BODY_MAX = 4 << 20, TICK_MS = 50, HTTP_DATE_MAX = 40 };

struct options {
    char *instances, *port_file, *env_file, *state_dir;
    struct strlist repos;
    uint64_t port, boot, online, terminate_delay;
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
      .arg = "OWNER/REPO[,…]",
      .help = "repositories that exist",
      .fallback = "octo/demo" },
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
    { .name = "terminate-delay",
      .type = OPT_NUMBER,
      ROW(terminate_delay),
      .arg = "MS",
      .help = "milliseconds from shutting-down to terminated",
      .fallback = "500",
      .max = 86400000 },
    { .name = "state-dir",
      .type = OPT_STRING,
      ROW(state_dir),
      .arg = "DIR",
      .help = "where sandboxes live; else a temporary directory" },
    { .name = "no-auth", .type = OPT_FLAG, ROW(no_auth), .help = "accept any signature" },
    { .name = "verbose", .type = OPT_FLAG, ROW(verbose), .help = "tell every request" },
    { .name = "help", .type = OPT_FLAG, ROW(help), .help = "print this help" },
    { .name = "version", .type = OPT_FLAG, ROW(version), .help = "print the version" },
    { 0 },
};

static const char *no_env(const char *name UNUSED)
{
    return NULL;
}

bool form_parse(const char *text, size_t len, struct pairs *ret)
{
    const char *end = text + len;
    while (text < end) {
        AUTO_STRBUF name = STRBUF_INIT, value = STRBUF_INIT;
        struct strbuf *side = &name;
        for (; text < end && *text != '&'; text++) {
            if (*text == '=' && side == &name) {
                side = &value;
            } else if (*text == '%') {
                char hex[3] = { 0 };
                if (end - text < 3 || !isxdigit((unsigned char)text[1]) || !isxdigit((unsigned char)text[2]))
                    return false;
                memcpy(hex, text + 1, 2);
                strbuf_addc(side, (char)strtol(hex, NULL, 16));
                text += 2;
            } else {
                strbuf_addc(side, *text == '+' ? ' ' : *text);
            }
        }
        pairs_set(ret, strbuf_str(&name), strbuf_str(&value));
        text += text < end;
    }
    return true;
}

static void route(struct sim *s, const struct request *r, struct response *res)
{
    static const struct {
        const char *prefix;
        void (*serve)(struct sim *, const struct request *, struct response *);
    } routes[] = {
        { "/api/v3/", github_serve },
        { "/_sim/", control_serve },
        { "/imds/", imds_serve },
        { "/runner/", broker_serve },
    };
    if (str_eq(r->path, "/") && str_eq(r->method, "POST")) {
        aws_serve(s, r, res);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        if (str_starts(r->path, routes[i].prefix)) {
            routes[i].serve(s, r, res);
            return;
        }
    }
    res->service = "dist";
    res->content_type = "application/octet-stream";
    res->status = str_starts(r->path, "/dist/") ? 200 : 404;
    if (res->status == 200)
        strbuf_add(&res->body, s->runner_tarball.data, s->runner_tarball.len);
}

static void log_request(struct sim *s, const struct request *r, const struct response *res)
{
    struct json_object *o = must(json_object_new_object());
    json_object_object_add(o, "n", must(json_object_new_int64(++s->next_request)));
    json_object_object_add(o, "time", must(json_object_new_int64(sim_now(s))));
    json_object_object_add(o, "service", must(json_object_new_string(res->service)));
    json_object_object_add(o, "method", must(json_object_new_string(r->method)));
    json_object_object_add(o, "path", must(json_object_new_string(r->path)));
    json_object_object_add(o, "action", res->action ? must(json_object_new_string(res->action)) : NULL);
    json_object_object_add(o, "status", must(json_object_new_int(res->drop ? 0 : res->status)));
    json_object_object_add(o, "code", res->code ? must(json_object_new_string(res->code)) : NULL);
    json_object_array_add(s->log, o);
    if (s->options.verbose)
        fprintf(stderr, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
}

/* --- libmicrohttpd ------------------------------------------------------------------------------------------------ */

static enum MHD_Result take_pair(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
    AUTO_FREE char *lower = xstrdup(name);
    for (char *p = lower; kind == MHD_HEADER_KIND && *p; p++)
        *p = (char)tolower((unsigned char)*p);
    pairs_set(ctx, lower, value ? value : "");
    return MHD_YES;
}

static void http_date(const struct sim *s, char out[static HTTP_DATE_MAX])
{
    time_t t = (time_t)(sim_now(s) / 1000);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, HTTP_DATE_MAX, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static enum MHD_Result send_response(const struct sim *s, struct MHD_Connection *connection, struct response *res)
{
    char date[HTTP_DATE_MAX];
    struct MHD_Response *out = must(MHD_create_response_from_buffer(
        res->body.len, (void *)(uintptr_t)strbuf_str(&res->body), MHD_RESPMEM_MUST_COPY));
    http_date(s, date);
    MHD_add_response_header(out, "Date", date);
    if (res->content_type)
        MHD_add_response_header(out, "Content-Type", res->content_type);
    for (size_t i = 0; i < res->headers.n; i++)
        MHD_add_response_header(out, res->headers.v[2 * i], res->headers.v[2 * i + 1]);
    enum MHD_Result queued = MHD_queue_response(connection, (unsigned)res->status, out);
    MHD_destroy_response(out);
    return queued;
}

static enum MHD_Result serve(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                             const char *version UNUSED, const char *bytes, size_t *len, void **con)
{
    struct sim *s = ctx;
    struct request *r = *con;
    if (!r) {
        r = *con = xcalloc(1, sizeof(*r));
        r->body = STRBUF_MAX(BODY_MAX);
        return MHD_YES;
    }
    if (*len > 0) {
        strbuf_add(&r->body, bytes, *len);
        *len = 0;
        return MHD_YES;
    }
    struct response res = { .status = 404, .service = "?", .body = STRBUF_INIT };
    r->method = method;
    r->path = url;
    MHD_get_connection_values(connection, MHD_HEADER_KIND, take_pair, &r->headers);
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, take_pair, &r->query);
    world_tick(s);
    if (r->body.overflow)
        res.status = 413;
    else
        route(s, r, &res);
    world_tick(s);
    if (!str_starts(r->path, "/_sim/"))
        log_request(s, r, &res);
    enum MHD_Result result = res.drop ? MHD_NO : send_response(s, connection, &res);
    strbuf_clear(&res.body);
    pairs_clear(&res.headers);
    free(res.action);
    free(res.code);
    return result;
}

static void completed(void *ctx UNUSED, struct MHD_Connection *connection UNUSED, void **con,
                      enum MHD_RequestTerminationCode why UNUSED)
{
    struct request *r = *con;
    if (!r)
        return;
    strbuf_clear(&r->body);
    pairs_clear(&r->headers);
    pairs_clear(&r->query);
    free(r);
    *con = NULL;
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

static bool write_settings(const struct sim *s, const struct options *o, struct error *err)
{
    AUTO_FREE char *text =
        xasprintf("AWS_ENDPOINT_URL=%s\nAWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\nAWS_SESSION_TOKEN=%s\n"
                  "AWS_REGION=us-east-1\nGITHUB_API_URL=%s/api/v3\nGITHUB_SERVER_URL=%s\nGITHUB_REPOSITORY=%s\n"
                  "MAYFLY_GITHUB_TOKEN=%s\n",
                  s->base_url, s->access_key, s->secret_key, s->session_token, s->base_url, s->base_url,
                  s->options.repos.v[0], s->github_token);
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

static void loop(struct sim *s, struct MHD_Daemon *daemon, int signals)
{
    int epoll = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    for (;;) {
        struct pollfd fds[] = { { .fd = epoll, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
        MHD_UNSIGNED_LONG_LONG mhd;
        int64_t wait = world_next(s) - sim_now(s);
        if (MHD_get_timeout(daemon, &mhd) == MHD_YES && (int64_t)mhd < wait)
            wait = (int64_t)mhd;
        if (s->options.sandbox && wait > TICK_MS) /* consoles and ends of sandboxes */
            wait = TICK_MS;
        poll(fds, 2, wait < 0 ? 0 : wait > 60000 ? 60000 : (int)wait);
        if (fds[1].revents)
            return;
        world_tick(s);
        MHD_run(daemon);
    }
}

static bool run(struct sim *s, const struct options *o, struct error *err)
{
    sigset_t set;
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)o->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_SUPPRESS_DATE_NO_CLOCK, 0, NULL, NULL, serve, s, MHD_OPTION_SOCK_ADDR,
                         &address, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)65536, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_END);
    if (!daemon) {
        error_errno(err, errno, "listening on 127.0.0.1:%u", (unsigned)o->port);
        error_hint(err, "another process has the port: --port 0 takes a free one");
        return false;
    }
    socklen_t size = sizeof(address);
    getsockname(MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd, (struct sockaddr *)&address, &size);
    s->port = ntohs(address.sin_port);
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
        loop(s, daemon, signals);
    world_clear(s);
    MHD_stop_daemon(daemon);
    close(signals);
    return ok;
}

static void remove_dir(const char *dir)
{
    char *argv[] = { (char *)"rm", (char *)"-rf", (char *)(uintptr_t)dir, NULL };
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[0], argv);
        _exit(127);
    }
}

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
    s->github_token = make_token();
    s->runner_tarball = STRBUF_INIT;
    s->log = must(json_object_new_array());
    s->options = (struct sim_options){ .sandbox = str_eq(o->instances, "sandbox"),
                                       .verbose = o->verbose,
                                       .no_auth = o->no_auth,
                                       .boot = (int64_t)o->boot,
                                       .online = (int64_t)o->online,
                                       .terminate_delay = (int64_t)o->terminate_delay };
    for (size_t i = 0; i < o->repos.n; i++)
        strlist_add(&s->options.repos, o->repos.v[i]);
    return true;
}

static void close_sim(struct sim *s, const struct options *o)
{
    char *owned[] = { s->self,          s->base_url,     s->access_key,   s->secret_key,
                      s->session_token, s->github_token, s->runner_sha256 };
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
    struct sim s = { 0 };
    const struct opt_set sets[] = { { options, &o }, { 0 } };
    const struct opts_source source = { .command = "mayfly-sim", .args = argv + 1, .getenv = no_env };
    if (argc == 2 && str_eq(argv[1], "runner"))
        return standin_main();
    bool ok = opts_parse(sets, &source, &err);
    if (ok && o.help) {
        printf("usage: mayfly-sim [OPTIONS]\n\nPlays EC2, STS, IMDS and GitHub on a loopback port.\n\noptions:\n");
        opts_help(stdout, options);
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
