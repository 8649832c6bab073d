/* The simulator from its beginning to its end, and the one loop in which requests are served and time passes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builder.h"
#include "catalog.h"
#include "control.h"
#include "exchange.h"
#include "faults.h"
#include "github.h"
#include "github_app.h"
#include "github_jwt.h"
#include "held.h"
#include "issued.h"
#include "options.h"
#include "rates.h"
#include "sandbox.h"
#include "sim.h"
#include "standin.h"
#include "world.h"
#include "world_instances.h"

#include "mayfly/codec/json.h"
#include "mayfly/net/server.h"
#include "mayfly/version.h"

enum { HEAD_MAX = 64 << 10, BODY_MAX = 4 << 20, TICK_MS = 50 };

/* --- what the world asks others for ------------------------------------------------------------------------------- */

static bool boot(struct sim *s, struct instance *i)
{
    builder_boot(s, i);
    if (!s->options.sandbox || i->nonce)
        return false;
    sandbox_start(s, i);
    return true;
}

static const struct world_hooks hooks = {
    .boot = boot, .tick = builder_tick, .power_cut = sandbox_kill, .poll = sandbox_poll, .clear = rates_clear
};

/* --- running ------------------------------------------------------------------------------------------------------ */

/* How a client comes to GitHub: by the token, or as the App. */
static char *github_settings(const struct sim *s, const struct options *o)
{
    AUTO_FREE char *key = str_empty(o->app_key) ? NULL : realpath(o->app_key, NULL);
    if (!s->app)
        return xasprintf("MAYFLY_GITHUB_TOKEN=%s\n", s->github_token);
    return xasprintf("MAYFLY_APP_ID=%s\n%s%s%s", app_client_id, key ? "MAYFLY_APP_KEY_FILE=" : "", key ? key : "",
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
                                          .serve = exchange_serve,
                                          .forget = exchange_forget,
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

/* --- beginning and end -------------------------------------------------------------------------------------------- */

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
    s->github_token = github_new_token();
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
    strlist_copy(&s->options.repos, &o->repos);
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
    issued_clear(s);
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
    if (argc == 2 && str_eq(argv[1], "runner"))
        return standin_main();
    bool ok = options_parse(argv + 1, &o, &err);
    if (ok && o.help) {
        options_help(stdout);
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
    options_clear(&o);
    return error_exit_status(&err);
}
