/* What a user gave reaches the machine byte for byte, and no shell ever takes it for a command: the scripts of the
 * user-data and of a bake, with random values, run by sh and by bash.
 *
 * usage: quote SECONDS DIR    MAYFLY_FUZZ_SEED=n runs that seed alone. DIR is empty. */
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mayfly/codec/gzip.h"
#include "mayfly/runner/payload.h"
#include "mayfly/util/encode.h"

enum { VALUES = 5, VALUE_MAX = 80 };

static const char *dir;
static uint32_t state;

static uint32_t any(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % below;
}

/* A value of bytes, and of what a shell would like to see; not the whole nonce, which nobody can guess. */
static char *value(void)
{
    static const char *const bait[] = { "'",
                                        "''",
                                        "\"",
                                        "\\",
                                        "\\'",
                                        "$(kill $$)",
                                        "`kill $$`",
                                        "${x:?}",
                                        "$$",
                                        "\n",
                                        "\r\n",
                                        "';kill $$;'",
                                        "'\nkill $$\n'",
                                        "END-n0nc",
                                        "\nEND-n0nc\n",
                                        "<<'X'\n",
                                        "#",
                                        " ",
                                        "\t",
                                        "*",
                                        "~",
                                        "!!",
                                        "%s",
                                        "&",
                                        "\\\n",
                                        "-n",
                                        "\x81",
                                        "\x88",
                                        "\xff" };
    AUTO_STRBUF s = STRBUF_INIT;
    for (uint32_t n = any(12); n > 0 && s.len < VALUE_MAX; n--) {
        if (any(3))
            strbuf_adds(&s, bait[any(ARRAY_SIZE(bait))]);
        else
            strbuf_addc(&s, (char)(1 + any(255)));
    }
    return strbuf_steal(&s);
}

/* In the child: becomes the shell, in the directory, both its outputs into fd. */
_Noreturn static void become(const char *shell, int fd)
{
    char path[] = "PATH=/usr/bin:/bin", *environment[] = { path, NULL };
    char name[] = "script", *args[] = { (char *)shell, name, NULL };
    if (chdir(dir) == 0 && dup2(fd, STDOUT_FILENO) >= 0 && dup2(fd, STDERR_FILENO) >= 0)
        execvpe(shell, args, environment);
    _exit(127);
}

/* What the shell prints of the script. False: it failed. */
static bool run(const char *shell, const struct strbuf *script, struct strbuf *ret)
{
    char buf[4096];
    int fds[2], status = -1;
    AUTO_FREE char *path = xasprintf("%s/script", dir);
    FILE *f = fopen(path, "w");
    if (!f || fwrite(strbuf_str(script), 1, script->len, f) != script->len || fclose(f) != 0 || pipe(fds) != 0)
        return false;
    pid_t pid = fork();
    if (pid == 0)
        become(shell, fds[1]);
    close(fds[1]);
    for (ssize_t n; (n = read(fds[0], buf, sizeof(buf))) > 0;)
        strbuf_add(ret, buf, (size_t)n);
    close(fds[0]);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* Do both shells print it? */
static bool prints(const struct strbuf *script, const struct strbuf *want)
{
    static const char *const shells[] = { "sh", "bash" };
    for (size_t i = 0; i < ARRAY_SIZE(shells); i++) {
        AUTO_STRBUF got = STRBUF_INIT;
        if (run(shells[i], script, &got) && got.len == want->len &&
            memcmp(strbuf_str(&got), strbuf_str(want), got.len) == 0)
            continue;
        fprintf(stderr, "%s does not get what was given; the script is %s/script\n", shells[i], dir);
        return false;
    }
    return true;
}

/* Replaces what is behind the block of assignments, of `tail` bytes, by a command that prints the variables. */
static void print_instead(struct strbuf *script, size_t tail, const char *const *names, size_t n)
{
    strbuf_truncate(script, script->len - tail);
    strbuf_adds(script, "printf '%s\\0'");
    for (size_t i = 0; i < n; i++)
        strbuf_addf(script, " \"$%s\"", names[i]);
    strbuf_addc(script, '\n');
}

static size_t tail_behind(const struct strbuf *script, const char *last)
{
    const char *at = strstr(strbuf_str(script), last);
    if (!at)
        abort();
    return (size_t)(strbuf_str(script) + script->len - at) - strlen(last);
}

static void expect(struct strbuf *want, const char *s)
{
    strbuf_add(want, s, strlen(s) + 1);
}

static bool user_data(char *const *v)
{
    static const char *const names[] = { "MAYFLY_JIT",  "MAYFLY_RUNNER_NAME", "MAYFLY_RUNNER_DIR",
                                         "MAYFLY_USER", "MAYFLY_PACKAGES",    "MAYFLY_PRE_RUNNER" };
    char *words[] = { v[3], v[4] };
    const struct strlist packages = { words, ARRAY_SIZE(words) };
    const struct userdata none = { 0 }, u = {
        .jit = v[0], .runner_name = v[1], .runner_dir = v[2], .user = v[3], .packages = &packages, .pre_runner = v[4]
    };
    AUTO_STRBUF empty = STRBUF_INIT, script = STRBUF_INIT, want = STRBUF_INIT, pre_runner = STRBUF_INIT;
    userdata_render(&empty, &none);
    userdata_render(&script, &u);
    print_instead(&script, tail_behind(&empty, "MAYFLY_DEBUG=''\n"), names, ARRAY_SIZE(names));
    for (size_t i = 0; i < 4; i++)
        expect(&want, v[i]);
    AUTO_FREE char *list = xasprintf("%s\n%s", v[3], v[4]);
    expect(&want, list);
    encode_base64(&pre_runner, v[4], strlen(v[4]));
    expect(&want, strbuf_str(&pre_runner));
    return prints(&script, &want);
}

static bool smoke(char *const *v)
{
    static const char *const names[] = { "MAYFLY_NONCE", "MAYFLY_IMAGE", "MAYFLY_ARCH", "MAYFLY_RUNNER_URL" };
    const struct strlist steps = { 0 };
    const struct payload none = { .steps = &steps },
                         p = { .nonce = v[0], .name = v[1], .arch = v[2], .runner_url = v[3], .steps = &steps };
    AUTO_STRBUF empty = STRBUF_INIT, script = STRBUF_INIT, want = STRBUF_INIT;
    payload_smoke(&empty, &none);
    payload_smoke(&script, &p);
    print_instead(&script, tail_behind(&empty, "MAYFLY_DEBUG=''\n"), names, ARRAY_SIZE(names));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        expect(&want, v[i]);
    return prints(&script, &want);
}

/* A recipe of one's own comes out of its here-document as it is, with a line break at its end. But for %: see
 * add_file of payload.c. */
static bool recipe(char *const *v)
{
    static const char home[] = "/run/mayfly-bake", last[] = "exec sh /run/mayfly-bake/main.sh\n";
    char *own_step[] = { (char *)"own-1" }, *own_text[] = { v[0] };
    for (char *c = v[0]; *c; c++)
        if (*c == '%')
            *c = '?';
    const struct strlist steps = { own_step, 1 }, own = { own_text, 1 };
    const struct payload p = { .nonce = "n0nce", .steps = &steps, .own = &own };
    AUTO_STRBUF packed = STRBUF_INIT, plain = STRBUF_INIT, script = STRBUF_INIT, want = STRBUF_INIT;
    payload_recipe(&packed, &p);
    if (!gzip_decompress(&plain, packed.data, packed.len) || !str_ends(strbuf_str(&plain), last))
        return false;
    strbuf_truncate(&plain, plain.len - strlen(last));
    for (const char *at = strbuf_str(&plain), *next; at; at = next) {
        next = strstr(at, home);
        strbuf_add(&script, at, next ? (size_t)(next - at) : strlen(at));
        if (next) {
            strbuf_adds(&script, "bake");
            next += strlen(home);
        }
    }
    strbuf_adds(&script, "cat steps/own-1.sh\n");
    strbuf_adds(&want, v[0]);
    if (*v[0] && !str_ends(v[0], "\n"))
        strbuf_addc(&want, '\n');
    return prints(&script, &want);
}

static bool play(uint32_t seed)
{
    char *v[VALUES];
    state = seed * 2654435761u | 1;
    for (size_t i = 0; i < VALUES; i++)
        v[i] = value();
    bool ok = user_data(v) && smoke(v) && recipe(v);
    for (size_t i = 0; i < VALUES; i++)
        free(v[i]);
    return ok;
}

int main(int argc, char *argv[])
{
    const char *only = getenv("MAYFLY_FUZZ_SEED");
    uint32_t seed = only ? (uint32_t)strtoul(only, NULL, 10) : 1, n = 0;
    if (argc != 3)
        return 2;
    time_t end = time(NULL) + strtol(argv[1], NULL, 10);
    dir = argv[2];
    bool ok = true;
    do
        ok = play(seed++);
    while (++n && ok && !only && (n < 20 || time(NULL) < end));
    if (ok)
        printf("ok - fuzz: quote (%u runs)\n", n);
    else
        printf("not ok - fuzz: quote: MAYFLY_FUZZ_SEED=%u\n", seed - 1);
    return ok ? 0 : 1;
}
