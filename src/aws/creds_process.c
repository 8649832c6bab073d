#include "creds_provider.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mayfly/util/words.h"

enum { OUTPUT_MAX = 64 * 1024, PROCESS_MS = 60000 };

extern char **environ;

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

/* Starts it with its output on a pipe. What it says to people, on standard error, people see. */
static bool spawn(char **argv, pid_t *ret_pid, int *ret_fd, struct error *err)
{
    int fds[2];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    if (pipe2(fds, O_CLOEXEC) != 0)
        return error_errno(err, errno, "making a pipe");
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none); /* ours are blocked, for the signalfd */
    posix_spawnattr_setpgroup(&attr, 0);      /* so that its children end with it */
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
    int problem = posix_spawnp(ret_pid, argv[0], &actions, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    if (problem) {
        close(fds[0]);
        return error_errno(err, problem, "starting `%s`", argv[0]);
    }
    *ret_fd = fds[0];
    return true;
}

/* Reads to the end of its output. False: it took too long, or said too much. */
static bool read_all(int fd, const struct env *env, struct strbuf *out)
{
    int64_t until = env_mono(env) + PROCESS_MS;
    for (;;) {
        char bytes[4096];
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int64_t left = until - env_mono(env);
        if (left <= 0 || out->overflow)
            return false;
        if (poll(&p, 1, (int)left) <= 0)
            continue;
        ssize_t n = read(fd, bytes, sizeof(bytes));
        if (n == 0)
            return true;
        if (n < 0 && errno != EINTR)
            return false;
        strbuf_add(out, bytes, n > 0 ? (size_t)n : 0);
    }
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool run(char **argv, const struct env *env, struct strbuf *out, struct error *err)
{
    pid_t pid;
    int fd;
    if (!spawn(argv, &pid, &fd, err))
        return false;
    bool whole = read_all(fd, env, out);
    close(fd);
    if (!whole)
        kill(-pid, SIGKILL);
    int status = wait_for(pid);
    if (!whole)
        return error_set(err, ERROR_CONFIG, 0, "`%s` did not end within %d s, or printed more than %d bytes", argv[0],
                         PROCESS_MS / 1000, OUTPUT_MAX);
    if (status != 0)
        return error_set(err, ERROR_CONFIG, 0, "`%s` ended with status %d", argv[0], status);
    return true;
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
    if (run(argv, aws->env, &out, err) && creds_decode(&out, "the output of credential_process", ret, err))
        return true;
    if (err->domain != ERROR_CONFIG) {
        err->domain = ERROR_CONFIG;
        error_hint(err, "it prints one JSON object: Version 1, AccessKeyId, SecretAccessKey, SessionToken, Expiration");
    }
    return error_prefix(err, "credential_process");
}

const struct creds_provider creds_process = {
    .name = "credential_process",
    .absent = "the profile has none",
    .find = find,
    .fetch = fetch,
};
