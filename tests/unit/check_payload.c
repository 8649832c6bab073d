/* The payload of a bake, run by a shell. */
#include "mayfly/runner/payload.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mayfly/codec/gzip.h"
#include "testing.h"

#define NONCE "abcdefghijklmnopqrstuvwxyz"

static struct payload payload_of(struct strlist *steps, struct strlist *own)
{
    return (
        struct payload){ .nonce = NONCE, .name = "it's", .arch = "amd64", .steps = steps, .own = own, .life = 5400 };
}

static void unzip(const struct strbuf *zipped, struct strbuf *ret)
{
    ck_assert(gzip_is(zipped->data, zipped->len));
    ck_assert(gzip_decompress(ret, zipped->data, zipped->len));
}

/* Replaces every `from`; owned. */
static char *replaced(const char *text, const char *from, const char *to)
{
    AUTO_STRBUF out = STRBUF_INIT;
    for (const char *at; (at = strstr(text, from)) != NULL; text = at + strlen(from)) {
        strbuf_add(&out, text, (size_t)(at - text));
        strbuf_adds(&out, to);
    }
    strbuf_adds(&out, text);
    return strbuf_steal(&out);
}

/* Its exit status. */
static int shell(const char *script, const char *log)
{
    int status;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (freopen(log, "w", stdout))
            execl("/bin/sh", "sh", script, (char *)NULL);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void write_script(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

/* Runs the script under a directory of its own, main.sh being a stand-in that tells what it was given. */
static void run_script(const char *script, const char *directory, struct strbuf *ret_out)
{
    AUTO_FREE char *moved = replaced(script, "/run/mayfly-bake", directory);
    AUTO_FREE char *main_sh = xasprintf("%s/main.sh", directory);
    AUTO_FREE char *exec_line = xasprintf("exec sh %s\n", main_sh);
    AUTO_FREE char *standin = xasprintf("printf '%%s|' \"$MAYFLY_NONCE\" \"$MAYFLY_IMAGE\" \"$MAYFLY_STEPS\" "
                                        "\"$MAYFLY_LIFE_SECONDS\" \"$MAYFLY_RUNNER_URL\"; exit 0\n");
    AUTO_FREE char *whole = replaced(moved, exec_line, standin);
    AUTO_FREE char *path = xasprintf("%s.sh", directory);
    write_script(path, whole);
    AUTO_FREE char *log = xasprintf("%s.log", directory);
    AUTO_ERROR err = { 0 };
    ck_assert_int_eq(shell(path, log), 0);
    ASSERT_OK(strbuf_read_file(ret_out, log, "the log", &err), &err);
}

static void has_file(const char *directory, const char *name, const char *want)
{
    AUTO_STRBUF text = STRBUF_INIT;
    AUTO_ERROR err = { 0 };
    AUTO_FREE char *path = xasprintf("%s/%s", directory, name);
    ASSERT_OK(strbuf_read_file(&text, path, "the file", &err), &err);
    ck_assert_str_eq(strbuf_str(&text), want);
}

/* Recipes that would like to end their here-document, or to run outside of it. */
static const char *const hostile[] = {
    "echo plain\n",
    "no line break at the end",
    "END-"
    "\nEND-abc\nrm -rf /\n",
    "E\xc3\xa9\nEND-\xc3\xa9\n", /* dash */
    "cat <<'END'\nEND\n$(touch /tmp/mayfly-escaped) `touch /tmp/mayfly-escaped` ${x} \\\n'\"\n",
    "\n\n\n",
    "END-" NONCE "X\n XEND-" NONCE "\n END-" NONCE "\nEND-" NONCE " \n", /* the nonce, and yet not the line */
    "\xff\xfe \xc3\x28 \r\n\t\x01",
};

START_TEST(a_shell_unpacks_it)
{
    AUTO_STRLIST steps = { 0 }, own = { 0 };
    AUTO_STRBUF zipped = STRBUF_INIT, script = STRBUF_INIT, out = STRBUF_INIT;
    char directory[] = "/tmp/mayfly-bake-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(directory));
    strlist_split(&steps, "base agent own-1 seal", " ");
    strlist_add(&own, hostile[_i]);
    struct payload p = payload_of(&steps, &own);
    payload_render(&zipped, &p);
    ck_assert_uint_le(zipped.len, USERDATA_MAX);
    unzip(&zipped, &script);
    ck_assert_msg(str_starts(strbuf_str(&script), "#!/bin/sh\n"), "cloud-init runs nothing else");
    run_script(strbuf_str(&script), directory, &out);
    ck_assert_str_eq(strbuf_str(&out), NONCE "|it's|base agent own-1 seal|5400||");
    AUTO_FREE char *want = xasprintf("%s%s", hostile[_i], str_ends(hostile[_i], "\n") ? "" : "\n");
    has_file(directory, "steps/own-1.sh", want);
    AUTO_FREE char *check =
        xasprintf("cd %s && test -s main.sh && test -s versions && test -s steps/base.sh && test -s agent/agent.c &&\n"
                  "test -n \"$(ls units)\" && test ! -e steps/docker.sh && test ! -e /tmp/mayfly-escaped &&\n"
                  "sh -n main.sh && cd / && rm -rf %s %s.log\n",
                  directory, directory, directory);
    AUTO_FREE char *path = xasprintf("%s.sh", directory);
    write_script(path, check);
    ck_assert_int_eq(shell(path, "/dev/null"), 0);
    unlink(path);
}
END_TEST

/* Whoever fetches it gets the same files, and the assignments from the stub. */
START_TEST(the_recipe_by_itself)
{
    AUTO_STRLIST steps = { 0 }, own = { 0 };
    AUTO_STRBUF zipped = STRBUF_INIT, again = STRBUF_INIT, script = STRBUF_INIT, stub = STRBUF_INIT;
    strlist_split(&steps, "base docker seal", " ");
    struct payload p = payload_of(&steps, &own);
    payload_recipe(&zipped, &p);
    payload_recipe(&again, &p);
    ck_assert(zipped.len == again.len && memcmp(zipped.data, again.data, again.len) == 0);
    unzip(&zipped, &script);
    ck_assert_ptr_null(strstr(strbuf_str(&script), "export MAYFLY_NONCE"));
    ck_assert_ptr_nonnull(strstr(strbuf_str(&script), "cat >steps/docker.sh <<"));
    ck_assert_ptr_null(strstr(strbuf_str(&script), "agent.c")); /* no step needs it */
    payload_fetch(&stub, &p, "https://example.com/a'b", "00ff");
    ck_assert(str_starts(strbuf_str(&stub), "#!/bin/sh\nexport MAYFLY_NONCE='" NONCE "'\n"));
    ck_assert_ptr_nonnull(strstr(strbuf_str(&stub), "export MAYFLY_PAYLOAD_URL='https://example.com/a'\\''b'\n"));
    ck_assert_ptr_nonnull(strstr(strbuf_str(&stub), "sha256sum -c -"));
    ck_assert_ptr_nonnull(strstr(strbuf_str(&stub), "bake failed: payload"));
}
END_TEST

START_TEST(steps_and_versions)
{
    static const char *const known[] = { "base", "docker", "runner", "agent", "cuda", "prune", "seal", "python", "go" };
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        ck_assert_msg(payload_has_step(known[i], 0), "%s", known[i]);
    ck_assert(!payload_has_step("main", 0) && !payload_has_step("../main", 0) && !payload_has_step("", 0));
    ck_assert(payload_has_step("own-1", 1) && !payload_has_step("own-2", 1) && !payload_has_step("own-1", 0));
    AUTO_FREE char *version = payload_version("RUNNER_VERSION");
    AUTO_FREE char *none = payload_version("RUNNER");
    ck_assert(version && strspn(version, "0123456789.") == strlen(version));
    ck_assert_ptr_null(none);
    AUTO_FREE char *all = payload_steps();
    ck_assert_ptr_nonnull(strstr(all, "base, docker"));
}
END_TEST

START_TEST(gzip_of_others)
{
    AUTO_STRBUF zipped = STRBUF_INIT, out = STRBUF_INIT, small = STRBUF_MAX(10);
    gzip_compress(&zipped, "hello hello hello", 17);
    ck_assert(gzip_decompress(&out, zipped.data, zipped.len));
    ck_assert_str_eq(strbuf_str(&out), "hello hello hello");
    ck_assert(!gzip_decompress(&small, zipped.data, zipped.len)); /* past its ceiling */
    for (size_t n = 0; n < zipped.len; n++) {
        AUTO_STRBUF part = STRBUF_INIT;
        ck_assert_msg(!gzip_decompress(&part, zipped.data, n), "cut at %zu", n);
    }
    zipped.data[zipped.len - 5] ^= 1; /* its checksum */
    AUTO_STRBUF wrong = STRBUF_INIT;
    ck_assert(!gzip_decompress(&wrong, zipped.data, zipped.len));
    ck_assert(!gzip_is("#!", 2) && !gzip_is("\x1f", 1));
}
END_TEST

static TCase *payloads(void)
{
    TCase *t = tcase_create("payloads");
    tcase_add_loop_test(t, a_shell_unpacks_it, 0, ARRAY_SIZE(hostile));
    tcase_add_test(t, the_recipe_by_itself);
    tcase_add_test(t, steps_and_versions);
    tcase_add_test(t, gzip_of_others);
    return t;
}

int main(void)
{
    static TCase *(*const cases[])(void) = { payloads };
    return run_suite("payload", cases, ARRAY_SIZE(cases));
}
