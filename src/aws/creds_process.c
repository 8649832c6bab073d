#include "creds_provider.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mayfly/codec/json.h"
#include "mayfly/util/signals.h"
#include "mayfly/util/words.h"

enum { OUTPUT_MAX = 64 * 1024, PROCESS_MS = 60000, END_POLL_MS = 10 };

static enum found find(const struct aws_creds_from *from, struct creds_source *s, struct error *err)
{
    const char *command = aws_profile_get(from, "credential_process");
    AUTO_STRLIST words = { 0 };
    if (!command)
        return ABSENT;
    if (!words_split(&words, command) || words.n == 0) {
        error_set(err, ERROR_CONFIG, 0, "the profile `%s`: credential_process has an open quote", from->profile);
        error_hint(err, "it is split into words as a shell does, but no shell runs it");
        return BROKEN;
    }
    str_set(&s->command, command);
    free(s->where);
    s->where = xasprintf("the credential_process of the profile `%s`", from->profile);
    return FOUND;
}

struct child {
    pid_t pid;
    int out; /* reads its standard output */
    int wake_fd;
    const struct env *env;
    int64_t began, until;
};

/* What is Mayfly's or the workflow's: its options, its App's key, and every token of GitHub, by which a command from a
 * file of AWS's could act as the job, or come by other credentials than its own. What it needs of them it can be given
 * under another name. */
static bool is_withheld(const char *variable)
{
    static const char *const own[] = { "MAYFLY_", "INPUT_" }, *const githubs[] = { "GITHUB_", "GH_", "ACTIONS_" };
    AUTO_FREE char *name = xstrndup(variable, strcspn(variable, "="));
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        if (str_starts(name, own[i]))
            return true;
    for (size_t i = 0; i < ARRAY_SIZE(githubs); i++)
        if (str_starts(name, githubs[i]) && strstr(name, "TOKEN"))
            return true;
    return false;
}

/* Our environment without that: an array that is owned, of strings that are not. */
static char **its_environment(void)
{
    size_t n = 0;
    while (environ[n])
        n++;
    char **own = xcalloc(n + 1, sizeof(*own));
    for (size_t i = 0, at = 0; i < n; i++)
        if (!is_withheld(environ[i]))
            own[at++] = environ[i];
    return own;
}

/* Starts it with its output on a pipe. What it says to people, on standard error, people see. */
static bool spawn(char **argv, struct child *c, struct error *err)
{
    int fds[2];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, ignored;
    AUTO_FREE char **variables = its_environment();
    if (pipe2(fds, O_CLOEXEC) != 0)
        return error_errno(err, errno, "making a pipe");
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    /* libcurl's connections are not for it; a kernel before 5.11 cannot */
    syscall(SYS_close_range, STDERR_FILENO + 1U, ~0U, CLOSE_RANGE_CLOEXEC);
    sigemptyset(&none);
    signals_ignored(&ignored);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none); /* ours are blocked, for the signalfd */
    posix_spawnattr_setsigdefault(&attr, &ignored);
    posix_spawnattr_setpgroup(&attr, 0); /* so that its children end with it */
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    int problem = posix_spawnp(&c->pid, argv[0], &actions, &attr, argv, variables);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    if (problem) {
        close(fds[0]);
        return error_errno(err, problem, "starting it");
    }
    c->out = fds[0];
    return true;
}

/* Waits up to ms for something to read at fd (-1: for nothing). False: its time is over, or a signal came. */
static bool wait_on(const struct child *c, int fd, int ms, struct error *err)
{
    struct pollfd p[] = { { .fd = c->wake_fd, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
    int64_t left = c->until - env_mono(c->env);
    if (left <= 0)
        return error_set(err, ERROR_CONFIG, 0, "it did not exit within %lld s",
                         (long long)(c->until - c->began + 999) / 1000);
    if (poll(p, ARRAY_SIZE(p), left < ms ? (int)left : ms) > 0 && p[0].revents)
        return error_set(err, ERROR_CANCELLED, 0, "interrupted by a signal");
    return true;
}

static bool read_all(const struct child *c, struct strbuf *out, struct error *err)
{
    while (wait_on(c, c->out, PROCESS_MS, err)) {
        char bytes[4096];
        ssize_t n = read(c->out, bytes, sizeof(bytes));
        if (n == 0)
            return true;
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return error_errno(err, errno, "reading its output");
        strbuf_add(out, bytes, n > 0 ? (size_t)n : 0);
        explicit_bzero(bytes, sizeof(bytes));
        if (out->overflow)
            return error_set(err, ERROR_CONFIG, 0, "it printed more than %d bytes", OUTPUT_MAX);
    }
    return false;
}

/* It may close its output long before it ends. */
static bool wait_for(const struct child *c, int *ret_status, struct error *err)
{
    int status = 0;
    for (;;) {
        pid_t got = waitpid(c->pid, &status, WNOHANG);
        if (got < 0 && errno != EINTR)
            return error_errno(err, errno, "waiting for it to exit");
        if (got > 0)
            break;
        if (!wait_on(c, -1, END_POLL_MS, err))
            return false;
    }
    *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
}

static bool run(char **argv, const struct aws *aws, struct strbuf *out, struct error *err)
{
    struct child c = { .wake_fd = aws->wake_fd, .env = aws->env, .began = env_mono(aws->env) };
    c.until = c.began + PROCESS_MS;
    if (aws->until && aws->until < c.until)
        c.until = aws->until;
    int status = 0;
    if (!spawn(argv, &c, err))
        return error_prefix(err, "`%s`", argv[0]);
    bool ok = read_all(&c, out, err) && wait_for(&c, &status, err);
    close(c.out);
    if (!ok) {
        kill(-c.pid, SIGKILL);
        while (waitpid(c.pid, NULL, 0) < 0 && errno == EINTR)
            ;
        return error_prefix(err, "`%s`", argv[0]);
    }
    return status == 0 || error_set(err, ERROR_CONFIG, 0, "`%s` exited with status %d", argv[0], status);
}

struct output {
    int64_t version;
};
static const struct field output_fields[] = {
    { .path = "Version", .type = FIELD_INT, .offset = offsetof(struct output, version) },
    { 0 },
};

bool creds_process_decode(const struct strbuf *out, struct aws_creds *ret, struct error *err)
{
    static const char what[] = "its output";
    AUTO_ARENA arena = { 0 };
    struct output o = { 0 };
    if (!json_decode_text(strbuf_str(out), out->len, output_fields, &o, &arena, what, err))
        return false;
    if (o.version != 1)
        return error_set(err, ERROR_PARSE, 0, "%s: Version is not 1", what);
    return creds_decode(out, what, ret, err);
}

static bool fetch(struct aws *aws, const struct creds_source *s, struct aws_creds *ret, struct error *err)
{
    AUTO_STRLIST words = { 0 };
    AUTO_STRBUF out = STRBUF_MAX(OUTPUT_MAX);
    out.secret = true;
    if (!words_split(&words, s->command))
        return error_set(err, ERROR_CONFIG, 0, "credential_process has an open quote");
    AUTO_FREE char **argv = xcalloc(words.n + 1, sizeof(*argv));
    memcpy(argv, words.v, words.n * sizeof(*argv));
    if (run(argv, aws, &out, err) && creds_process_decode(&out, ret, err))
        return true;
    if (err->domain == ERROR_PARSE)
        error_hint(err, "it prints one JSON object: Version 1, AccessKeyId, SecretAccessKey, SessionToken, Expiration");
    if (err->domain != ERROR_CANCELLED)
        err->domain = ERROR_CONFIG;
    return error_prefix(err, "credential_process");
}

const struct creds_provider creds_process = {
    .name = "credential_process",
    .absent = "the profile has none",
    .find = find,
    .fetch = fetch,
};
