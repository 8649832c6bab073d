/* Instances that run their user-data for real: in bubblewrap, or, where that does not work, as a plain process of an
 * unprivileged user in a directory of its own. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "imds.h"
#include "sandbox.h"
#include "sim.h"
#include "text.h"
#include "world_instances.h"
#include "world_runners.h"

#include "mayfly/crypto/crypto.h"

enum { NOBODY = 65534, LOST_MS = 30000 };
static bool bubblewrap;

/* Runs argv to its end, output thrown away; true when it exits with 0. */
static bool run(char *const argv[])
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execvp(argv[0], argv);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool write_file(const char *dir, const char *name, mode_t mode, const void *bytes, size_t len, struct error *err)
{
    AUTO_FREE char *path = xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    if (!f)
        return error_errno(err, errno, "writing %s", path);
    bool ok = fwrite(bytes, 1, len, f) == len;
    ok = fclose(f) == 0 && ok && chmod(path, mode) == 0;
    return ok ? true : error_errno(err, errno, "writing %s", path);
}

static bool write_text(const char *dir, const char *name, mode_t mode, const char *text, struct error *err)
{
    return write_file(dir, name, mode, text, strlen(text), err);
}

static bool make_dirs(const char *root, const char *const *names, struct error *err)
{
    for (; *names; names++) {
        AUTO_FREE char *path = xasprintf("%s/%s", root, *names);
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return error_errno(err, errno, "making %s", path);
    }
    return true;
}

/* The runner program of this world: run.sh starts this very binary as `mayfly-sim runner`. */
static bool write_runner(const struct sim *s, const char *dir, struct error *err)
{
    static const char *const dirs[] = { "bin", NULL };
    AUTO_FREE char *script =
        xasprintf("#!/bin/sh\n# Stands in for the GitHub Actions runner.\ncd \"$(dirname \"$0\")\" || exit\n"
                  "exec bin/Runner.Listener run\n");
    AUTO_FREE char *listener = xasprintf("#!/bin/sh\nfor sim in /mayfly-sim/mayfly-sim '%s'; do\n"
                                         "\tif [ -x \"$sim\" ]; then exec \"$sim\" runner; fi\ndone\nexit 1\n",
                                         s->self);
    return make_dirs(dir, dirs, err) && write_text(dir, "run.sh", 0755, script, err) &&
           write_text(dir, "bin/Runner.Listener", 0755, listener, err);
}

bool sandbox_prepare(struct sim *s, struct error *err)
{
    static const char *const dirs[] = { "runner", NULL };
    AUTO_FREE char *runner = xasprintf("%s/runner", s->work_dir), *tarball = xasprintf("%s/runner.tar.gz", s->work_dir);
    AUTO_STRBUF hash = STRBUF_INIT;
    if (!make_dirs(s->work_dir, dirs, err) || !write_runner(s, runner, err))
        return false;
    char *tar[] = { (char *)"tar", (char *)"czf", tarball, (char *)"-C", runner, (char *)".", NULL };
    if (!run(tar))
        return error_set(err, ERROR_SYSTEM, 0, "tar could not pack the stand-in for the runner");
    if (!strbuf_read_file(&s->runner_tarball, tarball, "the runner's tarball", err))
        return false;
    crypto_sha256_hex(&hash, s->runner_tarball.data, s->runner_tarball.len);
    s->runner_sha256 = strbuf_steal(&hash);
    if (!s->options.sandbox)
        return true;
    char *probe[] = { (char *)"bwrap",
                      (char *)"--ro-bind",
                      (char *)"/",
                      (char *)"/",
                      (char *)"--unshare-pid",
                      (char *)"--dev",
                      (char *)"/dev",
                      (char *)"--proc",
                      (char *)"/proc",
                      (char *)"true",
                      NULL };
    bubblewrap = run(probe);
    fprintf(stderr, "mayfly-sim: instances run in %s\n",
            bubblewrap ? "bubblewrap sandboxes" : "plain processes: bwrap is missing or may not make namespaces here");
    return true;
}

static void add(struct strlist *argv, const char *a, const char *b, const char *c)
{
    strlist_add(argv, a);
    if (b)
        strlist_add(argv, b);
    if (c)
        strlist_add(argv, c);
}

/* A script names its own interpreter. */
static void add_user_data(const struct instance *i, const char *path, struct strlist *argv)
{
    AUTO_STRBUF script = STRBUF_MAX(USER_SCRIPT_MAX);
    if (!instance_script(i, &script) || !str_starts(strbuf_str(&script), "#!"))
        strlist_add(argv, "/bin/sh");
    strlist_add(argv, path);
}

static void bubblewrap_argv(const struct sim *s, const struct instance *i, const char *dir, struct strlist *argv)
{
    static const char *const merged[] = { "bin", "sbin", "lib", "lib64", "lib32" };
    static const char *const etc[] = { "ssl",    "ca-certificates", "alternatives",        "ld.so.cache",
                                       "pam.d",  "security",        "login.defs",          "default",
                                       "shells", "nsswitch.conf",   "ca-certificates.conf" };
    static const char *const writable[] = { "etc", "opt", "home", "var" };
    static const char *const capabilities[] = { "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID",
                                                "CAP_KILL",  "CAP_SETGID",       "CAP_SETUID", "CAP_AUDIT_WRITE" };
    add(argv, "bwrap", "--die-with-parent", "--unshare-pid");
    add(argv, "--unshare-ipc", "--unshare-uts", NULL);
    add(argv, "--hostname", "ip-10-0-0-4", "--clearenv");
    add(argv, "--ro-bind", "/usr", "/usr");
    for (size_t n = 0; n < ARRAY_SIZE(merged); n++) {
        AUTO_FREE char *path = xasprintf("/%s", merged[n]), *target = xasprintf("usr/%s", merged[n]);
        struct stat st;
        if (lstat(path, &st) == 0)
            add(argv, S_ISLNK(st.st_mode) ? "--symlink" : "--ro-bind", S_ISLNK(st.st_mode) ? target : path, path);
    }
    for (size_t n = 0; n < ARRAY_SIZE(writable); n++) {
        AUTO_FREE char *from = xasprintf("%s/%s", dir, writable[n]), *to = xasprintf("/%s", writable[n]);
        add(argv, "--bind", from, to);
    }
    for (size_t n = 0; n < ARRAY_SIZE(etc); n++) {
        AUTO_FREE char *path = xasprintf("/etc/%s", etc[n]);
        add(argv, "--ro-bind-try", path, path);
    }
    AUTO_FREE char *bin = xasprintf("%s/bin", dir), *power = xasprintf("%s/power", dir);
    add(argv, "--perms", "0755", NULL); /* the runner's own user comes through here */
    add(argv, "--dir", "/mayfly-sim", NULL);
    add(argv, "--perms", "1777", NULL);
    add(argv, "--tmpfs", "/tmp", NULL);
    add(argv, "--tmpfs", "/run", NULL);
    add(argv, "--tmpfs", "/root", NULL);
    add(argv, "--dev", "/dev", NULL);
    add(argv, "--proc", "/proc", NULL);
    add(argv, "--ro-bind", bin, "/mayfly-sim/bin");
    add(argv, "--bind", power, "/mayfly-sim/power");
    add(argv, "--ro-bind", s->self, "/mayfly-sim/mayfly-sim");
    for (size_t n = 0; n < ARRAY_SIZE(capabilities) && getuid() == 0; n++)
        add(argv, "--cap-add", capabilities[n], NULL);
    add(argv, "--setenv", "PATH", "/mayfly-sim/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    add(argv, "--setenv", "HOME", "/root");
    add(argv, "--chdir", "/", NULL);
    add_user_data(i, "/var/lib/cloud/user-data", argv);
}

static bool make_root(const struct sim *s, const struct instance *i, const char *dir, struct error *err)
{
    static const char *const dirs[] = { "",        "etc",     "opt",     "opt/actions-runner",
                                        "home",    "var",     "var/lib", "var/lib/cloud",
                                        "var/tmp", "var/log", "bin",     "power",
                                        "run",     NULL };
    /* Ends everything: the namespace's first process goes when the script does, and the group in a plain process. */
    static const char power_off[] = "#!/bin/sh\nd=/mayfly-sim/power\n[ -d $d ] || d=$(dirname \"$0\")/../power\n"
                                    ": >\"$d/off\"\n[ -d /mayfly-sim ] && kill -KILL -1\nkill -KILL 0\n";
    static const char systemctl[] = "#!/bin/sh\ncase \" $* \" in\n*' poweroff '* | *' halt '* | *' reboot '*) exec "
                                    "\"$(dirname \"$0\")/poweroff\" ;;\nesac\n"
                                    "echo 'systemctl: there is no systemd in this sandbox' >&2\nexit 1\n";
    static const char *const names[] = { "bin/poweroff", "bin/shutdown", "bin/halt", "bin/reboot" };
    AUTO_FREE char *runner = xasprintf("%s/opt/actions-runner", dir);
    AUTO_STRBUF script = STRBUF_MAX(USER_SCRIPT_MAX);
    if (!instance_script(i, &script))
        return error_set(err, ERROR_PARSE, 0, "the user-data cannot be decompressed");
    if (!make_dirs(dir, dirs, err) ||
        !write_text(dir, "etc/passwd", 0644,
                    "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
                    err) ||
        !write_text(dir, "etc/group", 0644, "root:x:0:\nnogroup:x:65534:\n", err) ||
        !write_text(dir, "etc/hosts", 0644, "127.0.0.1 localhost\n", err) ||
        !write_text(dir, "etc/shadow", 0640, "root:*:20000:0:99999:7:::\n", err) ||
        !write_text(dir, "etc/gshadow", 0640, "root:*::\n", err) ||
        !write_file(dir, "var/lib/cloud/user-data", 0700, strbuf_str(&script), script.len, err))
        return false;
    for (size_t n = 0; n < ARRAY_SIZE(names); n++)
        if (!write_text(dir, names[n], 0755, power_off, err))
            return false;
    if (!write_text(dir, "bin/systemctl", 0755, systemctl, err))
        return false;
    return i->baked ? write_runner(s, runner, err) : rmdir(runner) == 0 || errno == ENOENT;
}

/* In the child: becomes the instance. */
static _Noreturn void become(const struct sim *s, const struct instance *i, const char *dir, int console)
{
    AUTO_STRLIST argv = { 0 };
    int null = open("/dev/null", O_RDONLY);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    dup2(null, 0);
    dup2(console, 1);
    dup2(console, 2);
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    if (bubblewrap) {
        bubblewrap_argv(s, i, dir, &argv);
    } else {
        AUTO_FREE char *path = xasprintf("%s/bin:/usr/local/bin:/usr/bin:/bin", dir);
        AUTO_FREE char *script = xasprintf("%s/var/lib/cloud/user-data", dir);
        clearenv();
        setenv("PATH", path, 1);
        setenv("MAYFLY_ROOT", dir, 1);
        setenv("HOME", dir, 1);
        if (getuid() == 0 && (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
            _exit(126);
        add_user_data(i, script, &argv);
    }
    char **v = xcalloc(argv.n + 1, sizeof(*v));
    memcpy(v, argv.v, argv.n * sizeof(*v));
    execvp(v[0], v);
    _exit(127);
}

void sandbox_start(struct sim *s, struct instance *i)
{
    AUTO_ERROR err = { 0 };
    AUTO_FREE char *dir = xasprintf("%s/%s", s->work_dir, i->id);
    int console[2];
    if (!make_root(s, i, dir, &err) || pipe2(console, O_CLOEXEC) != 0) {
        fprintf(stderr, "mayfly-sim: %s: %s\n", i->id, err.message ? err.message : strerror(errno));
        return;
    }
    if (!bubblewrap && getuid() == 0) {
        char *chown[] = { (char *)"chown", (char *)"-R", (char *)"65534:65534", dir, NULL };
        (void)run(chown);
    }
    fcntl(console[0], F_SETFL, O_NONBLOCK);
    pid_t pid = fork();
    if (pid == 0)
        become(s, i, dir, console[1]);
    close(console[1]);
    if (pid < 0) {
        close(console[0]);
        return;
    }
    i->sandbox = pid;
    i->console_fd = console[0];
    i->sandbox_dir = STEAL(dir);
}

/* The last CONSOLE bytes, as EC2 keeps them. */
static void read_console(struct instance *i)
{
    char chunk[4096];
    ssize_t n;
    while (i->console_fd >= 0 && (n = read(i->console_fd, chunk, sizeof(chunk))) > 0)
        strbuf_add_tail(&i->console, chunk, (size_t)n);
}

static void clean_up(struct instance *i)
{
    char *rm[] = { (char *)"rm", (char *)"-rf", i->sandbox_dir, NULL };
    read_console(i);
    close(i->console_fd);
    i->console_fd = -1;
    i->sandbox = 0;
    (void)run(rm);
}

void sandbox_kill(struct sim *s, struct instance *i)
{
    (void)s;
    if (!i->sandbox)
        return;
    kill(-i->sandbox, SIGKILL);
    kill(i->sandbox, SIGKILL);
    waitpid(i->sandbox, NULL, 0);
    clean_up(i);
}

/* The user-data has ended without a power-off: the machine stays, what it had started is gone with it. */
static void stay_on(const struct sim *s, struct instance *i)
{
    static const char line[] = "mayfly-sim: the user-data has ended, the machine stays on\n";
    struct runner *r = i->runner ? world_runner(s, i->runner) : NULL;
    strbuf_add_tail(&i->console, line, strlen(line));
    if (r && r->online && r->offline_at == 0)
        r->offline_at = sim_now(s) + LOST_MS;
}

void sandbox_poll(struct sim *s)
{
    for (size_t n = 0; n < s->n_instances; n++) {
        struct instance *i = s->instances[n];
        if (!i->sandbox)
            continue;
        read_console(i);
        if (waitpid(i->sandbox, NULL, WNOHANG) != i->sandbox)
            continue;
        AUTO_FREE char *mark = xasprintf("%s/power/off", i->sandbox_dir);
        bool off = access(mark, F_OK) == 0;
        kill(-i->sandbox, SIGKILL);
        clean_up(i);
        if (off)
            world_shutdown(s, i, "Client.InstanceInitiatedShutdown", "Instance initiated shutdown");
        else
            stay_on(s, i);
    }
}
