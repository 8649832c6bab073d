/* mayfly-agent: what a baked image runs instead of cloud-init. It fetches the user-data from the instance metadata
 * service (IMDSv2), runs it, watches for the interruption of a spot instance, and sees to it that the machine is off
 * when nothing is left to run. One file and libc only, because a builder compiles it; whole-line comments only, because
 * the payload of a bake leaves them out. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

#define HEAD_MAX 8192
/* EC2 takes 16 KiB of user-data; a megabyte is room for what gzip makes of it. */
#define BODY_MAX 65536
#define SCRIPT_MAX (1 << 20)
#define TOKEN_MAX 256

enum { RETRY_MS = 50, SILENCE_MS = 1000, REQUEST_MS = 5000, NO_USER_DATA_MS = 5000 };

struct options {
    struct sockaddr_in endpoint;
    const char *run_dir, *state_dir;
    /* seconds: until the user-data is there, for the script, without a unit after it, between looks */
    int limit, script_limit, grace, poll;
};

struct answer {
    int status;
    const char *body;
    size_t len;
};

enum http { HTTP_MORE, HTTP_BAD, HTTP_DONE };

/* Decimal digits and nothing else, up to max. */
static bool parse_number(const char *s, size_t len, size_t max, size_t *ret)
{
    size_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9' || value > max)
            return false;
        value = value * 10 + (size_t)(s[i] - '0');
    }
    if (len == 0 || value > max)
        return false;
    *ret = value;
    return true;
}

/* The value of a header line, without the blanks around it, if the line is of that name. */
static const char *header_is(const char *line, size_t len, const char *name, size_t *ret_len)
{
    size_t n = strlen(name);
    if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
        return NULL;
    const char *value = line + n + 1, *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *ret_len = (size_t)(end - value);
    return value;
}

/* What has come so far of an answer (RFC 9112): a status line, headers, a body of Content-Length, or up to the end of
 * the connection. Strict: what IMDS never sends, a chunked body for one, is bad. A null byte has to follow buf, and the
 * body is part of it. */
static enum http http_parse(const char *buf, size_t len, bool eof, struct answer *ret)
{
    const char *end = memmem(buf, len < HEAD_MAX ? len : HEAD_MAX, "\r\n\r\n", 4);
    if (!end)
        return len >= HEAD_MAX || eof ? HTTP_BAD : HTTP_MORE;
    size_t head = (size_t)(end - buf) + 4, status, body = 0;
    if (memchr(buf, '\0', head) || head < 13 ||
        (strncmp(buf, "HTTP/1.1 ", 9) != 0 && strncmp(buf, "HTTP/1.0 ", 9) != 0) ||
        !parse_number(buf + 9, 3, 599, &status) || status < 100 || (buf[12] != ' ' && buf[12] != '\r'))
        return HTTP_BAD;
    bool known = false;
    for (const char *line = strstr(buf, "\r\n") + 2; line < end;) {
        const char *stop = strstr(line, "\r\n");
        size_t n, value;
        const char *s = header_is(line, (size_t)(stop - line), "content-length", &n);
        if (s) {
            if (!parse_number(s, n, BODY_MAX, &value) || (known && value != body))
                return HTTP_BAD;
            known = true;
            body = value;
        }
        if (header_is(line, (size_t)(stop - line), "transfer-encoding", &n) || *line == ' ' || *line == '\t')
            return HTTP_BAD;
        line = stop + 2;
    }
    size_t have = len - head;
    if (have > BODY_MAX || (known && have < body && eof))
        return HTTP_BAD;
    if (known ? have < body : !eof)
        return HTTP_MORE;
    *ret = (struct answer){ .status = (int)status, .body = buf + head, .len = known ? body : have };
    return HTTP_DONE;
}

/* Whether text consists of printable ASCII without blanks: it goes into a header, or on the console. */
static bool is_plain(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (s[i] <= ' ' || s[i] > '~')
            return false;
    }
    return len > 0;
}

/* The string of that key in a flat JSON object, of a plain value; for {"action":"terminate","time":"…"}. */
static bool json_string(const char *json, const char *key, char *ret, size_t size)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "\"%s\"", key);
    const char *s = strstr(json, quoted);
    if (!s)
        return false;
    s += strlen(quoted);
    s += strspn(s, " \t\r\n");
    if (*s++ != ':')
        return false;
    s += strspn(s, " \t\r\n");
    size_t len = *s == '"' ? strcspn(s + 1, "\"\\") : 0;
    if (len >= size || !is_plain(s + 1, len) || s[len + 1] != '"')
        return false;
    snprintf(ret, size, "%.*s", (int)len, s + 1);
    return true;
}

/* http://ADDRESS[:PORT] */
static bool endpoint_parse(const char *s, struct sockaddr_in *ret)
{
    char host[INET_ADDRSTRLEN];
    struct sockaddr_in endpoint = { .sin_family = AF_INET };
    size_t port = 80;
    if (strncmp(s, "http://", 7) != 0)
        return false;
    s += 7;
    size_t len = strcspn(s, ":/");
    if (len >= sizeof host)
        return false;
    snprintf(host, sizeof host, "%.*s", (int)len, s);
    s += len;
    if (*s == ':') {
        len = strcspn(++s, "/");
        if (!parse_number(s, len, 65535, &port) || port == 0)
            return false;
        s += len;
    }
    if ((*s && strcmp(s, "/") != 0) || inet_pton(AF_INET, host, &endpoint.sin_addr) != 1)
        return false;
    endpoint.sin_port = htons((in_port_t)port);
    *ret = endpoint;
    return true;
}

/* Milliseconds since power-on. */
static long uptime_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A line on the console, which is what a person reads of a machine that nobody can log in to. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char text[512] = "mayfly: ";
    va_list args;
    va_start(args, format);
    vsnprintf(text + 8, sizeof text - 9, format, args);
    va_end(args);
    size_t len = strlen(text);
    text[len++] = '\n';
    int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len)
        (void)!write(STDOUT_FILENO, text, len);
    if (fd >= 0)
        close(fd);
}

static void phase(const char *name)
{
    long ms = uptime_ms();
    say("phase %s (%ld.%02lds)", name, ms / 1000, ms % 1000 / 10);
}

/* Runs a command and waits for it. Its status as the shell has it. */
static int run(const char *const argv[])
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid < 0 ? 126 : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Forced, which under systemd is still clean: an orderly one waits for whatever is left. */
_Noreturn static void power_off(void)
{
    phase("poweroff");
    if (run((const char *[]){ "poweroff", "-f", NULL }) != 0 && access("/run/systemd/system", F_OK) == 0) {
        sync();
        reboot(RB_POWER_OFF);
    }
    exit(1);
}

__attribute__((format(printf, 2, 3))) _Noreturn static void die(const char *what, const char *format, ...)
{
    char why[256];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    say("failed: %s (%s)", what, why);
    power_off();
}

/* Waits until fd is ready, at most so many milliseconds, and not beyond `until`. */
static bool ready(int fd, short events, long patience, long until)
{
    struct pollfd p = { .fd = fd, .events = events };
    long left = until - uptime_ms();
    return left > 0 && poll(&p, 1, (int)(left < patience ? left : patience)) == 1;
}

static bool exchange(int fd, const struct sockaddr_in *to, const char *request, char *buf, size_t size,
                     struct answer *ret)
{
    /* Short at first, since an answer may get lost while the network comes up. */
    static long patience = SILENCE_MS;
    long until = uptime_ms() + REQUEST_MS;
    int error = 0;
    socklen_t error_len = sizeof error;
    size_t sent = 0, want = strlen(request), len = 0;
    if (connect(fd, (const struct sockaddr *)to, sizeof *to) < 0 &&
        (errno != EINPROGRESS || !ready(fd, POLLOUT, SILENCE_MS, until) ||
         getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) < 0 || error))
        return false;
    while (sent < want) {
        ssize_t n = ready(fd, POLLOUT, SILENCE_MS, until) ? send(fd, request + sent, want - sent, MSG_NOSIGNAL) : -1;
        if (n < 0)
            return false;
        sent += (size_t)n;
    }
    for (;;) {
        ssize_t n = ready(fd, POLLIN, patience, until) ? recv(fd, buf + len, size - 1 - len, 0) : -1;
        if (n < 0) {
            patience = patience < REQUEST_MS ? 2 * patience : patience;
            return false;
        }
        len += (size_t)n;
        buf[len] = '\0';
        enum http state = http_parse(buf, len, n == 0, ret);
        if (state != HTTP_MORE)
            return state == HTTP_DONE;
    }
}

/* One request to IMDS, after one for a token if there is none; false if no answer came, or no sound one. The answer is
 * in a static buffer, with a null byte behind it. */
static bool imds(const struct sockaddr_in *to, const char *path, struct answer *ret)
{
    static char token[TOKEN_MAX + 1], buf[HEAD_MAX + BODY_MAX + 2];
    char request[1024];
    for (int attempt = 0; attempt < 4; attempt++) {
        bool want_token = !token[0];
        if (want_token)
            snprintf(request, sizeof request,
                     "PUT /latest/api/token HTTP/1.1\r\nHost: imds\r\nX-aws-ec2-metadata-token-ttl-seconds: 21600\r\n"
                     "Content-Length: 0\r\nConnection: close\r\n\r\n");
        else
            snprintf(
                request, sizeof request,
                "GET /latest/%s HTTP/1.1\r\nHost: imds\r\nX-aws-ec2-metadata-token: %s\r\nConnection: close\r\n\r\n",
                path, token);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        bool done = fd >= 0 && exchange(fd, to, request, buf, sizeof buf, ret);
        if (fd >= 0)
            close(fd);
        if (!done || (want_token && ret->status == 200 && (ret->len > TOKEN_MAX || !is_plain(ret->body, ret->len))))
            return false;
        if (want_token && ret->status != 200)
            return true;
        buf[ret->body - buf + (ptrdiff_t)ret->len] = '\0';
        if (want_token)
            snprintf(token, sizeof token, "%s", ret->body);
        else if (ret->status == 401)
            token[0] = '\0';
        else
            return true;
    }
    return false;
}

/* Asks until it is there, from before the network is up. A machine without user-data gets 404s: not believed at once.
 */
static void fetch(const struct options *o, const char *path, long until, struct answer *ret)
{
    int status = 0;
    long missing = 0;
    for (;;) {
        bool came = imds(&o->endpoint, path, ret);
        if (came && ret->status == 200)
            return;
        if (came)
            status = ret->status;
        if (!came || status != 404)
            missing = 0;
        else if (!missing)
            missing = uptime_ms();
        else if (uptime_ms() - missing > NO_USER_DATA_MS)
            die("user-data", "the metadata service has no %s", path);
        if (uptime_ms() > until) {
            if (status)
                die("user-data", "no %s within %d s, last HTTP %d", path, o->limit, status);
            else
                die("user-data", "no %s within %d s, no answer", path, o->limit);
        }
        usleep(RETRY_MS * 1000);
    }
}

static bool write_file(const char *path, mode_t mode, const char *data, size_t len)
{
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return false;
    bool good = true;
    while (good && len > 0) {
        ssize_t n = write(fd, data, len);
        good = n > 0;
        data += n;
        len -= (size_t)n;
    }
    good = good && fsync(fd) == 0;
    return close(fd) == 0 && good;
}

/* A machine runs one job: the second boot of the same instance, after a panic say, is its end. Its id tells it from
 * another instance whose disk was made from this one's. */
static void check_first_boot(const struct options *o, const char *id)
{
    char path[512], old[64] = "";
    snprintf(path, sizeof path, "%s/instance-id", o->state_dir);
    FILE *f = fopen(path, "re");
    if (f) {
        if (!fgets(old, sizeof old, f))
            old[0] = '\0';
        fclose(f);
    }
    if (strcmp(old, id) == 0)
        die("second boot", "a machine runs one job");
    mkdir(o->state_dir, 0755);
    if (!write_file(path, 0644, id, strlen(id)))
        die("user-data", "%s: %s", path, strerror(errno));
}

/* Whether the file begins as a script does. */
static bool is_script(const char *path)
{
    char begin[2] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is = fd >= 0 && read(fd, begin, 2) == 2 && memcmp(begin, "#!", 2) == 0;
    if (fd >= 0)
        close(fd);
    return is;
}

/* By gzip itself; it may write so much and no more. */
static int gunzip(const char *packed, const char *path)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit size = { SCRIPT_MAX, SCRIPT_MAX };
        int in = open(packed, O_RDONLY), out = open(path, O_WRONLY);
        if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || setrlimit(RLIMIT_FSIZE, &size) < 0)
            _exit(126);
        execlp("gzip", "gzip", "-dc", (char *)NULL);
        _exit(127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* Into a file of tmpfs that root alone may read: it holds the runner's credential. */
static void unpack(const struct options *o, const struct answer *data, const char *path)
{
    char packed[512];
    bool is_gzip = data->len >= 2 && memcmp(data->body, "\x1f\x8b", 2) == 0;
    snprintf(packed, sizeof packed, "%s.gz", path);
    mkdir(o->run_dir, 0700);
    if ((is_gzip && !write_file(packed, 0400, data->body, data->len)) ||
        !write_file(path, 0500, data->body, is_gzip ? 0 : data->len))
        die("user-data", "%s: %s", path, strerror(errno));
    int status = is_gzip ? gunzip(packed, path) : 0;
    unlink(packed);
    if (status != 0)
        die("user-data", "gzip: status %d", status);
    if (!is_script(path))
        die("user-data", "it is no script");
}

/* Not by the file's own mode: /run may be mounted noexec. */
static pid_t start_script(const char *path)
{
    static const char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                       "HOME=/root", "LANG=C.UTF-8", NULL };
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, 0) < 0 || chdir("/") < 0)
        _exit(126);
    execle("/bin/sh", "sh", path, (char *)NULL, env);
    _exit(127);
}

/* Sends a signal (0: none) to the processes of that name; whether there was one. */
static bool signal_all(const char *name, int sig)
{
    bool found = false;
    DIR *proc = opendir("/proc");
    for (struct dirent *e; proc && (e = readdir(proc));) {
        char path[300], comm[32] = "";
        size_t pid;
        if (!parse_number(e->d_name, strlen(e->d_name), 1 << 30, &pid))
            continue;
        snprintf(path, sizeof path, "/proc/%s/comm", e->d_name);
        FILE *f = fopen(path, "re");
        if (f && fgets(comm, sizeof comm, f)) {
            comm[strcspn(comm, "\n")] = '\0';
            if (strcmp(comm, name) == 0 && kill((pid_t)pid, sig) == 0)
                found = true;
        }
        if (f)
            fclose(f);
    }
    if (proc)
        closedir(proc);
    return found;
}

/* As boot.sh sees it: its job-started hook wrote, or the runner has a worker. */
static bool has_job(void)
{
    struct stat s;
    return (stat("/run/mayfly/job", &s) == 0 && s.st_size > 0) || signal_all("Runner.Worker", 0);
}

/* A job goes on: most end within the two minutes that are left, and none is better off killed now. A runner without one
 * leaves before it gets one; the job stays queued for another machine. */
static void watch_spot(const struct options *o)
{
    static bool interrupted, left, recommended;
    char time[64], action[32];
    struct answer a;
    if (!interrupted && imds(&o->endpoint, "meta-data/spot/instance-action", &a) && a.status == 200 &&
        json_string(a.body, "time", time, sizeof time) && json_string(a.body, "action", action, sizeof action)) {
        interrupted = true;
        say("spot interruption at %s (%s), %s", time, action, has_job() ? "a job runs on" : "no job runs");
    }
    if (!interrupted && !recommended && imds(&o->endpoint, "meta-data/events/recommendations/rebalance", &a) &&
        a.status == 200 && json_string(a.body, "noticeTime", time, sizeof time)) {
        recommended = true;
        say("spot rebalance recommendation of %s", time);
    }
    if (interrupted && !left && !has_job())
        left = signal_all("Runner.Listener", SIGINT) || signal_all("run.sh", SIGINT);
}

/* The units that user-data may leave behind, which end the machine by themselves: boot.sh's and a bake's. */
static bool has_unit(void)
{
    static const char *const argv[] = { "systemctl",           "-q", "is-active", "mayfly-runner.service",
                                        "mayfly-bake.service", NULL };
    return run(argv) == 0;
}

/* Until the script has ended, and what it left behind too. */
_Noreturn static void watch(const struct options *o, pid_t script, const char *path, const sigset_t *signals)
{
    long until = uptime_ms() + o->script_limit * 1000L, seen = 0;
    bool running = true;
    for (;;) {
        int status, sig = sigtimedwait(signals, NULL, &(struct timespec){ .tv_sec = o->poll });
        if (sig == SIGTERM || sig == SIGINT)
            exit(0);
        if (running && waitpid(script, &status, WNOHANG) == script) {
            running = false;
            seen = uptime_ms();
            unlink(path);
            if (WIFSIGNALED(status))
                die("user-data", "signal %d", WTERMSIG(status));
            if (WEXITSTATUS(status) != 0)
                die("user-data", "exit %d", WEXITSTATUS(status));
            continue;
        }
        if (sig == SIGCHLD)
            continue;
        if (running && uptime_ms() > until) {
            kill(-script, SIGKILL);
            die("user-data", "not done after %d s", o->script_limit);
        }
        if (!running && has_unit())
            seen = uptime_ms();
        if (!running && uptime_ms() - seen > o->grace * 1000L)
            power_off();
        watch_spot(o);
    }
}

static const char help[] =
    "usage: mayfly-agent [OPTION…]\n"
    "Fetches the user-data of this EC2 instance, runs it, and powers off when no part of it is running.\n\n"
    "  --endpoint URL           the instance metadata service (http://169.254.169.254)\n"
    "  --run-dir DIRECTORY      for the user-data, in a tmpfs (/run/mayfly-agent)\n"
    "  --state-dir DIRECTORY    remembers the instance, on the disk (/var/lib/mayfly)\n"
    "  --limit SECONDS          until the user-data is there (120)\n"
    "  --script-limit SECONDS   for the user-data itself, not for units that it starts (3600)\n"
    "  --grace SECONDS          from its end to a power-off, if no unit of it runs (30)\n"
    "  --poll SECONDS           between two looks at units and spot notices (5)\n"
    "  --version, --help\n";

/* False with an exit status when that is all: a mistake, --help, --version. */
static bool parse_options(int argc, char *argv[], struct options *o, int *ret_status)
{
    const struct {
        const char *name, **text;
        int *seconds;
    } table[] = {
        { "--run-dir", &o->run_dir, NULL }, { "--state-dir", &o->state_dir, NULL },
        { "--limit", NULL, &o->limit },     { "--script-limit", NULL, &o->script_limit },
        { "--grace", NULL, &o->grace },     { "--poll", NULL, &o->poll },
    };
    size_t rows = sizeof table / sizeof *table;
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];
        size_t row = 0, seconds = 0;
        *ret_status = 0;
        if (strcmp(name, "--help") == 0 || strcmp(name, "--version") == 0) {
            fputs(name[2] == 'h' ? help : "mayfly-agent " PACKAGE_VERSION "\n", stdout);
            return false;
        }
        while (row < rows && strcmp(table[row].name, name) != 0)
            row++;
        bool good = value && (row < rows || strcmp(name, "--endpoint") == 0);
        if (good && row == rows)
            good = endpoint_parse(value, &o->endpoint);
        else if (good && table[row].text)
            *table[row].text = value;
        else if (good && (good = parse_number(value, strlen(value), 1000000, &seconds)))
            *table[row].seconds = (int)seconds;
        if (!good) {
            fprintf(stderr, "mayfly-agent: %s: %s\n", name, value ? "no such option, or not its value" : "no value");
            *ret_status = 2;
            return false;
        }
    }
    return true;
}

int main(int argc, char *argv[])
{
    struct options o = { .run_dir = "/run/mayfly-agent",
                         .state_dir = "/var/lib/mayfly",
                         .limit = 120,
                         .script_limit = 3600,
                         .grace = 30,
                         .poll = 5 };
    struct answer a;
    char path[500];
    int status;
    endpoint_parse("http://169.254.169.254", &o.endpoint);
    if (!parse_options(argc, argv, &o, &status))
        return status;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    phase("agent");
    long until = uptime_ms() + o.limit * 1000L;
    fetch(&o, "meta-data/instance-id", until, &a);
    if (a.len >= 64 || !is_plain(a.body, a.len))
        die("user-data", "a strange instance-id");
    check_first_boot(&o, a.body);
    fetch(&o, "user-data", until, &a);
    snprintf(path, sizeof path, "%s/user-data", o.run_dir);
    unpack(&o, &a, path);
    phase("user-data");
    sigprocmask(SIG_BLOCK, &signals, NULL);
    pid_t script = start_script(path);
    if (script < 0)
        die("user-data", "fork: %s", strerror(errno));
    watch(&o, script, path, &signals);
}
