#include "mayfly/util/arena.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/file.h"
#include "mayfly/util/home.h"
#include "mayfly/util/log.h"
#include "mayfly/util/secret.h"
#include "mayfly/util/text.h"
#include "testing.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- buffers and lists -------------------------------------------------------------------------------------------- */

/* Nothing can be undone then, but what may be left can be named. */
START_TEST(out_of_memory)
{
    int fds[2];
    char text[256] = "";
    ck_assert_int_eq(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(fds[1], STDERR_FILENO);
        oom_explain("stop --label x");
        oom();
    }
    close(fds[1]);
    ck_assert_int_gt(read(fds[0], text, sizeof(text) - 1), 0);
    for (size_t n = strlen(text); n < sizeof(text) - 1; n = strlen(text))
        if (read(fds[0], text + n, sizeof(text) - 1 - n) <= 0)
            break;
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    close(fds[0]);
    ck_assert(WIFSIGNALED(status));
    ck_assert_str_eq(text, "mayfly: out of memory\nhint: stop --label x\n");
}
END_TEST

START_TEST(strbuf_ceiling)
{
    AUTO_STRBUF sb = STRBUF_MAX(10);
    ck_assert_str_eq(strbuf_str(&sb), "");
    strbuf_adds(&sb, "12345");
    strbuf_addf(&sb, "%s", "67890");
    ck_assert(!sb.overflow && sb.len == 10);
    strbuf_add(&sb, "", 0);
    ck_assert(!sb.overflow);
    strbuf_addc(&sb, 'x');
    ck_assert(sb.overflow);
    ck_assert_str_eq(strbuf_str(&sb), "1234567890");
    strbuf_clear(&sb);
    ck_assert(!sb.overflow && sb.len == 0 && sb.max == 10);
    strbuf_adds(&sb, "12345678901234567890"); /* what fits is kept */
    ck_assert(sb.overflow);
    ck_assert_str_eq(strbuf_str(&sb), "1234567890");
}
END_TEST

START_TEST(strbuf_bytes)
{
    AUTO_STRBUF sb = STRBUF_INIT;
    strbuf_add(&sb, "a\0b", 3);
    ck_assert_uint_eq(sb.len, 3);
    ck_assert(memcmp(sb.data, "a\0b", 4) == 0);
    strbuf_truncate(&sb, 7); /* longer than it is: nothing */
    ck_assert_uint_eq(sb.len, 3);
    strbuf_truncate(&sb, 1);
    ck_assert_str_eq(strbuf_str(&sb), "a");
    for (int i = 0; i < 1000; i++)
        strbuf_addf(&sb, "%d,", i);
    ck_assert_uint_eq(sb.len, 1 + 10 * 2 + 90 * 3 + 900 * 4);
    AUTO_FREE char *s = strbuf_steal(&sb);
    ck_assert_ptr_nonnull(strstr(s, ",999,"));
    ck_assert_str_eq(strbuf_str(&sb), "");
    AUTO_FREE char *empty = strbuf_steal(&sb);
    ck_assert_str_eq(empty, "");
}
END_TEST

/* A secret buffer grows by copy and keeps being secret after it is cleared. */
START_TEST(strbuf_secret)
{
    AUTO_STRBUF sb = STRBUF_INIT;
    sb.secret = true;
    for (int i = 0; i < 1000; i++)
        strbuf_addc(&sb, (char)('a' + i % 26));
    ck_assert_uint_eq(sb.len, 1000);
    ck_assert_int_eq(sb.data[999], 'a' + 999 % 26);
    strbuf_clear(&sb);
    ck_assert(sb.secret && sb.data == NULL);
}
END_TEST

START_TEST(lists)
{
    static const struct {
        const char *s, *want;
    } cases[] = {
        { "", "" },           { ",", "" },          { "a", "a" },          { "a,b", "a|b" },
        { " a , b ", "a|b" }, { "a,,b,", "a|b" },   { "a\nb\r\n", "a|b" }, { "a b", "a b" },
        { "\t\n, \r", "" },   { ",a,\n,b", "a|b" }, { "a,a", "a|a" },
    };
    AUTO_STRLIST l = { 0 }, more = { 0 };
    strlist_split(&l, cases[_i].s, ",\n");
    AUTO_FREE char *joined = strlist_join(&l, "|");
    ck_assert_str_eq(joined, cases[_i].want);
    strlist_add(&more, "first");
    strlist_copy(&more, &l);
    AUTO_FREE char *both = strlist_join(&more, "|");
    ck_assert(str_starts(both, "first") && (l.n == 0 || str_eq(both + strlen("first|"), joined)));
    ck_assert_int_eq(strlist_has(&l, "a"), strchr(cases[_i].want, 'a') && !str_eq(cases[_i].want, "a b"));
}
END_TEST

START_TEST(strings)
{
    char *s = NULL;
    str_set(&s, "abc");
    str_set(&s, s); /* itself */
    ck_assert_str_eq(s, "abc");
    str_set(&s, NULL);
    ck_assert_ptr_null(s);
    ck_assert(str_eq(NULL, NULL) && !str_eq("", NULL) && !str_eq(NULL, "") && str_eq("a", "a") && !str_eq("a", "A"));
    ck_assert(str_empty(NULL) && str_empty("") && !str_empty(" "));
    ck_assert(str_starts("abc", "ab") && str_starts("abc", "") && !str_starts("a", "ab"));
    ck_assert(str_ends("abc", "bc") && str_ends("abc", "") && !str_ends("c", "bc"));
}
END_TEST

START_TEST(homes)
{
    static const struct {
        const char *path, *want;
    } cases[] = {
        { "", "" },
        { "/x", "/x" },
        { "~/x", "/h/x" },
        { "$HOME/x", "/h/x" },
        { "${HOME}/x", "/h/x" },
        { "/a/$V_1.b", "/a/v.b" },
        { "/a/${V_1}b", "/a/vb" },
        { "$V_1b/x", "$V_1b/x" },
        { "~", "~" },
        { "a~/x", "a~/x" },
        { "$", "$" },
        { "${HOME/x", "${HOME/x" },
        { "$$HOME", "$/h" },
        { "$NONE/x", "$NONE/x" },
        { "${}", "${}" },
        { "$T/x", "/h/x" },
        { "$E/x", "/x" },
        { "~root/x", "~root/x" },
    };
    environment = ENV("HOME", "/h", "V_1", "v", "T", "~", "E", "");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *got = home_expand(cases[i].path, fake_getenv);
        ck_assert_str_eq(got, cases[i].want);
    }
    const struct passwd *me = getpwuid(geteuid());
    const char *const *const unset[] = { ENV("A", "b"), ENV("HOME", "") };
    for (size_t i = 0; me && i < ARRAY_SIZE(unset); i++) {
        environment = unset[i];
        AUTO_FREE char *home = home_directory(fake_getenv), *file = home_expand("~/x", fake_getenv);
        AUTO_FREE char *want = xasprintf("%s/x", me->pw_dir);
        ck_assert_str_eq(home, me->pw_dir);
        ck_assert_str_eq(file, want);
    }
}
END_TEST

START_TEST(arena)
{
    AUTO_ARENA a = { 0 };
    char *last = NULL;
    for (size_t i = 0; i < 2000; i++) {
        size_t size = i % 97 == 0 ? 100000 : i % 31;
        char *p = arena_alloc(&a, size);
        ck_assert_uint_eq((uintptr_t)p % _Alignof(max_align_t), 0);
        bool zero = true;
        for (size_t n = 0; n < size; n++)
            zero = zero && p[n] == 0;
        ck_assert(zero);
        memset(p, 'x', size); /* what comes next must be zero all the same */
        last = arena_strndup(&a, "abcdef", 3);
    }
    ck_assert_str_eq(last, "abc");
    ck_assert_str_eq(arena_strdup(&a, ""), "");
}
END_TEST

/* --- encodings ---------------------------------------------------------------------------------------------------- */

/* RFC 4648 section 10, and every length there and back. */
START_TEST(base64_vectors)
{
    static const struct {
        const char *plain, *encoded;
    } cases[] = { { "", "" },
                  { "f", "Zg==" },
                  { "fo", "Zm8=" },
                  { "foo", "Zm9v" },
                  { "foob", "Zm9vYg==" },
                  { "fooba", "Zm9vYmE=" },
                  { "foobar", "Zm9vYmFy" },
                  { "\xfb\xff\xbf", "+/+/" } };
    AUTO_STRBUF encoded = STRBUF_INIT, plain = STRBUF_INIT;
    encode_base64(&encoded, cases[_i].plain, strlen(cases[_i].plain));
    ck_assert_str_eq(strbuf_str(&encoded), cases[_i].encoded);
    ck_assert(decode_base64(&plain, cases[_i].encoded, strlen(cases[_i].encoded)));
    ck_assert_str_eq(strbuf_str(&plain), cases[_i].plain);
}
END_TEST

START_TEST(base64_round_trip)
{
    unsigned char bytes[300];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 167 + 13);
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        AUTO_STRBUF encoded = STRBUF_INIT, plain = STRBUF_INIT;
        encode_base64(&encoded, bytes, n);
        ck_assert_uint_eq(encoded.len, (n + 2) / 3 * 4);
        ck_assert(decode_base64(&plain, strbuf_str(&encoded), encoded.len));
        ck_assert_uint_eq(plain.len, n);
        ck_assert(n == 0 || memcmp(plain.data, bytes, n) == 0);
        /* Cut off anywhere but between two groups it is malformed. */
        for (size_t cut = encoded.len > 8 ? encoded.len - 8 : 0; cut < encoded.len; cut++) {
            AUTO_STRBUF part = STRBUF_INIT;
            ck_assert_int_eq(decode_base64(&part, encoded.data, cut), cut % 4 == 0);
        }
    }
}
END_TEST

START_TEST(base64_malformed)
{
    static const struct {
        const char *s;
        size_t len; /* 0: strlen */
        bool ok;
    } cases[] = {
        { "Zm9v\nZm9v\r\n", 0, true },
        { " Z m\t9 v ", 0, true },
        { "Zg=\n=", 0, true },
        { "Zg==\n", 0, true },
        { "Z", 0, false },
        { "Zg", 0, false },
        { "Zg=", 0, false },
        { "Zg===", 0, false },
        { "=", 0, false },
        { "==", 0, false },
        { "====", 0, false },
        { "=Zg=", 0, false },
        { "Z===", 0, false },
        { "Zg==Zg==", 0, false },
        { "Zg=A", 0, false },
        { "Zm9v=", 0, false },
        { "Zm9v====", 0, false },
        { "Zm9-", 0, false }, /* the alphabet of URLs */
        { "Zm9_", 0, false },
        { "Zm9\x80", 0, false },
        { "Zm9v.", 0, false },
        { "Zm9\0", 4, false },
        { "Zm9v\0", 5, false },
    };
    AUTO_STRBUF out = STRBUF_INIT;
    size_t len = cases[_i].len ? cases[_i].len : strlen(cases[_i].s);
    strbuf_adds(&out, "kept");
    ck_assert_int_eq(decode_base64(&out, cases[_i].s, len), cases[_i].ok);
    ck_assert(cases[_i].ok ? out.len > 4 : str_eq(strbuf_str(&out), "kept"));
}
END_TEST

START_TEST(percent)
{
    AUTO_STRBUF out = STRBUF_INIT;
    encode_percent(&out, "AZaz09-_.~ !\"#$%&'()*+,/:;<=>?@[\\]^`{|}\x7f\x01\n\xc3\xa9");
    ck_assert_str_eq(strbuf_str(&out), "AZaz09-_.~%20%21%22%23%24%25%26%27%28%29%2A%2B%2C%2F%3A%3B%3C%3D%3E%3F%40%5B%5C"
                                       "%5D%5E%60%7B%7C%7D%7F%01%0A%C3%A9");
}
END_TEST

START_TEST(other_encodings)
{
    AUTO_STRBUF hex = STRBUF_INIT, b36 = STRBUF_INIT, b32 = STRBUF_INIT;
    encode_hex(&hex, "\x00\x0f\xf0\xff\x1a", 5);
    ck_assert_str_eq(strbuf_str(&hex), "000ff0ff1a");
    static const uint64_t numbers[] = { 0, 35, 36, 1700000000, UINT64_MAX };
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        encode_base36(&b36, numbers[i]);
        strbuf_addc(&b36, ' ');
    }
    ck_assert_str_eq(strbuf_str(&b36), "0 z 10 s44we8 3w5e11264sgsf ");
    uint64_t n = 7;
    ck_assert(decode_base36("s44we8", &n) && n == 1700000000);
    ck_assert(decode_base36("zzzzzzzzzzzz", &n) && n == 4738381338321616895);
    ck_assert(!decode_base36("", &n) && !decode_base36("A", &n) && !decode_base36("zzzzzzzzzzzzz", &n));
    encode_random32(&b32, (const uint8_t[]){ 0, 25, 26, 31, 32, 255 }, 6);
    ck_assert_str_eq(strbuf_str(&b32), "az27a7");
}
END_TEST

START_TEST(numbers)
{
    static const struct {
        const char *s;
        uint64_t max, want;
        bool ok;
    } cases[] = {
        { "0", 0, 0, true },
        { "1", 0, 0, false },
        { "9", 5, 0, false },
        { "10", 10, 10, true },
        { "11", 10, 0, false },
        { "19", 18, 0, false },
        { "0007", 10, 7, true },
        { "18446744073709551615", UINT64_MAX, UINT64_MAX, true },
        { "18446744073709551616", UINT64_MAX, 0, false },
        { "99999999999999999999", UINT64_MAX, 0, false },
        { "184467440737095516150", UINT64_MAX, 0, false },
        { "9223372036854775807", INT64_MAX, INT64_MAX, true },
        { "9223372036854775808", INT64_MAX, 0, false },
        { "", 10, 0, false },
        { NULL, 10, 0, false },
        { "-0", 10, 0, false },
        { "+1", 10, 0, false },
        { " 1", 10, 0, false },
        { "1 ", 10, 0, false },
        { "1\n", 10, 0, false },
        { "0x1", 10, 0, false },
        { "1a", 10, 0, false },
        { "1.0", 10, 0, false },
    };
    uint64_t n = 77;
    ck_assert_int_eq(parse_uint(cases[_i].s, cases[_i].max, &n), cases[_i].ok);
    ck_assert_uint_eq(n, cases[_i].ok ? cases[_i].want : 77);
}
END_TEST

/* --- errors ------------------------------------------------------------------------------------------------------- */

START_TEST(error_in_words)
{
    AUTO_ERROR err = { 0 };
    ck_assert(!error_set(&err, ERROR_AWS, 403, "You are not\r\nallowed\tto\x1b[31m do \x7fit"));
    AUTO_FREE char *bare = error_format(&err);
    ck_assert_str_eq(bare, "You are not  allowed to [31m do  it");
    err.code = xstrdup("UnauthorizedOperation");
    err.request_id = xstrdup("8f77");
    ck_assert(!error_prefix(&err, "RunInstances"));
    ck_assert(!error_prefix(&err, "launching in %s", "subnet\n1"));
    error_hint(&err, "first\n%d", 1);
    error_hint(&err, "second");
    AUTO_FREE char *all = error_format(&err);
    ck_assert_str_eq(all, "launching in subnet 1: RunInstances: UnauthorizedOperation: You are not  allowed to [31m do "
                          " it (request 8f77)");
    ck_assert_str_eq(err.hint, "first 1"); /* the nearest place knows best */
}
END_TEST

START_TEST(error_ownership)
{
    AUTO_ERROR a = { 0 }, b = { 0 }, c = { 0 };
    error_errno(&a, ENOENT, "reading `%s`", "/x");
    ck_assert_str_eq(a.message, "reading `/x`: No such file or directory");
    ck_assert_int_eq(a.status, ENOENT);
    a.try_later = true;
    error_prefix(&a, "outer");
    error_hint(&a, "hint");
    error_copy(&b, &a);
    ck_assert(b.message != a.message && str_eq(b.message, a.message) && str_eq(b.hint, a.hint) && b.try_later &&
              str_eq(b.context, "outer: "));
    ck_assert(!error_move(&c, &a));
    ck_assert(a.domain == ERROR_NONE && a.message == NULL && c.domain == ERROR_SYSTEM);
}
END_TEST

START_TEST(exit_statuses)
{
    static const struct {
        enum error_domain domain;
        bool try_later;
        int status;
    } cases[] = {
        { ERROR_NONE, false, 0 },      { ERROR_USAGE, false, 2 },    { ERROR_CONFIG, false, 2 },
        { ERROR_CONFIG, true, 2 },     { ERROR_SYSTEM, false, 1 },   { ERROR_NET, false, 1 },
        { ERROR_NET, true, 75 },       { ERROR_AWS, false, 1 },      { ERROR_AWS, true, 75 },
        { ERROR_GITHUB, true, 75 },    { ERROR_PARSE, false, 1 },    { ERROR_TIMEOUT, false, 1 },
        { ERROR_CANCELLED, false, 1 }, { ERROR_CAPACITY, true, 75 },
    };
    const struct error err = { .domain = cases[_i].domain, .try_later = cases[_i].try_later };
    ck_assert_int_eq(error_exit_status(&err), cases[_i].status);
}
END_TEST

/* --- files -------------------------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/check_util.XXXXXX";

static char *in_folder(const char *name)
{
    return xasprintf("%s/%s", folder, name);
}

static void make_folder(void)
{
    memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
    static const char *const names[] = { "plain", "pipe", "link", "dangling", "to-null", "dir", "socket" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        AUTO_FREE char *path = in_folder(names[i]);
        if (unlink(path) != 0)
            (void)rmdir(path);
    }
    ck_assert_int_eq(rmdir(folder), 0);
}

START_TEST(files_to_write)
{
    AUTO_FREE char *plain = in_folder("plain"), *link = in_folder("link"), *dangling = in_folder("dangling"),
                   *to_null = in_folder("to-null"), *dir = in_folder("dir"), *pipe = in_folder("pipe");
    AUTO_STRBUF text = STRBUF_INIT;
    AUTO_ERROR err = { 0 };
    struct stat st;
    int fd = -1;
    ck_assert_int_eq(symlink("plain", link) | symlink("nothing", dangling) | symlink("/dev/null", to_null) |
                         mkdir(dir, 0700) | mkfifo(pipe, 0600),
                     0);
    ASSERT_OK(file_put(plain, "the file", FILE_APPEND, 0640, "one\n", 4, &err), &err);
    ASSERT_OK(file_put(link, "the file", FILE_APPEND, 0640, "two\n", 4, &err), &err);
    ASSERT_OK(strbuf_read_file(&text, plain, "the file", &err), &err);
    ck_assert_str_eq(strbuf_str(&text), "one\ntwo\n");
    ASSERT_OK(file_put(plain, "the file", FILE_REPLACE, 0640, "new\n", 4, &err), &err);
    strbuf_truncate(&text, 0);
    ASSERT_OK(strbuf_read_file(&text, plain, "the file", &err), &err);
    ck_assert_str_eq(strbuf_str(&text), "new\n");
    ASSERT_OK(file_put(to_null, "the file", FILE_REPLACE, 0640, "x", 1, &err), &err);
    ASSERT_OK(file_put("/dev/null", "the file", FILE_REPLACE, 0640, "x", 1, &err), &err);
    ck_assert(stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode));
    ASSERT_FAILS(file_put("/dev/full", "the file", FILE_REPLACE, 0640, "x", 1, &err), &err, "No space left");
    ASSERT_FAILS(file_put(dangling, "the file", FILE_APPEND, 0640, "x", 1, &err), &err,
                 "is a symbolic link to nothing");
    ASSERT_FAILS(file_put(dir, "the file", FILE_APPEND, 0640, "x", 1, &err), &err, "is a directory");
    ASSERT_FAILS(file_put(pipe, "the file", FILE_APPEND, 0640, "x", 1, &err), &err, "is a pipe that nobody reads");
    int reader = open(pipe, O_RDONLY | O_NONBLOCK);
    ASSERT_OK(file_open(pipe, "the file", FILE_REPLACE, 0640, &fd, &err), &err);
    ck_assert(file_write(fd, "told", 4));
    char bytes[5] = "";
    ck_assert_int_eq(read(reader, bytes, 4), 4);
    ck_assert_str_eq(bytes, "told");
    close(fd);
    close(reader);
}
END_TEST

/* Somebody else's link, or one to somebody else's file. Root alone can make them. */
START_TEST(links_of_others)
{
    AUTO_FREE char *plain = in_folder("plain"), *link = in_folder("link");
    AUTO_ERROR err = { 0 };
    static const struct {
        uid_t of_link, of_file;
        bool ok;
    } cases[] = { { 0, 0, true }, { 65534, 0, false }, { 0, 65534, false }, { 65534, 65534, false } };
    if (geteuid() != 0)
        return;
    ASSERT_OK(file_put(plain, "it", FILE_APPEND, 0640, "mine", 4, &err), &err);
    ck_assert_int_eq(symlink(plain, link) | lchown(link, cases[_i].of_link, 0) | chown(plain, cases[_i].of_file, 0), 0);
    ck_assert(file_put(link, "it", FILE_REPLACE, 0640, "x", 1, &err) == cases[_i].ok);
    ck_assert(cases[_i].ok || strstr(err.message, "another user's"));
    AUTO_STRBUF text = STRBUF_INIT;
    AUTO_ERROR none = { 0 };
    ASSERT_OK(strbuf_read_file(&text, plain, "it", &none), &none);
    ck_assert_str_eq(strbuf_str(&text), cases[_i].ok ? "x" : "mine");
}
END_TEST

START_TEST(files_to_read)
{
    AUTO_FREE char *dir = in_folder("dir"), *pipe = in_folder("pipe");
    AUTO_STRBUF text = STRBUF_MAX(100);
    AUTO_ERROR err = { 0 };
    ck_assert_int_eq(mkdir(dir, 0700) | mkfifo(pipe, 0600), 0);
    ASSERT_FAILS(strbuf_read_file(&text, dir, "the file", &err), &err, "Is a directory");
    ASSERT_FAILS(strbuf_read_file(&text, "/dev/zero", "the file", &err), &err, "is larger than 100 bytes");
    strbuf_clear(&text);
    text.overflow = false;
    ASSERT_OK(strbuf_read_file(&text, "/dev/null", "the file", &err), &err);
    ck_assert_uint_eq(text.len, 0);
    int both = open(pipe, O_RDWR); /* a pipe of a shell's <(…): its writer is gone when it is read to the end */
    ck_assert_int_eq(write(both, "token\n", 6), 6);
    int writer = open(pipe, O_WRONLY), reader = open(pipe, O_RDONLY | O_NONBLOCK);
    close(both);
    close(writer);
    AUTO_FREE char *path = xasprintf("/proc/self/fd/%d", reader);
    ASSERT_OK(strbuf_read_file(&text, path, "the file", &err), &err);
    ck_assert_str_eq(strbuf_str(&text), "token\n");
    close(reader);
    AUTO_STRBUF never = STRBUF_MAX(100);
    ASSERT_FAILS(strbuf_read_file(&never, pipe, "the file", &err), &err, "nothing was written to it for 5 s");
}
END_TEST

/* --- secrets and logs --------------------------------------------------------------------------------------------- */

static char *redacted(const char *text)
{
    AUTO_STRBUF sb = STRBUF_INIT;
    strbuf_adds(&sb, text);
    secret_redact(&sb);
    ck_assert_uint_eq(sb.len, strlen(strbuf_str(&sb)));
    return strbuf_steal(&sb);
}

START_TEST(redaction)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "", "" },
        { "nothing here", "nothing here" },
        { "ghp_secret", "***" },
        { "a ghp_secret b", "a *** b" },
        { "ghp_secretghp_secret ghp_secret", "*** ***" },
        { "ghp_secre ghp_Secret", "ghp_secre ghp_Secret" },
        { "AAAAAAA", "***A" },            /* six of the seven */
        { "short tiny", "short tiny" },   /* fewer than six characters would garble every line */
        { "ghp_secret.and.more", "***" }, /* one secret begins another: the longer one goes whole */
    };
    struct secret a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
    secret_set(&a, "ghp_secret", 10);
    secret_set(&a, "ghp_secret and what is not part of it", 10);
    secret_set(&b, "tiny", 4);
    secret_set(&c, "AAAAAA", 6);
    secret_set(&d, "ghp_secret.and.more", 19);
    ck_assert_str_eq(a.value, "ghp_secret");
    AUTO_FREE char *got = redacted(cases[_i].text);
    ck_assert_str_eq(got, cases[_i].want);
    AUTO_ERROR err = { 0 };
    error_set(&err, ERROR_NET, 0, "%s", cases[_i].text);
    struct secret same = { 0 };
    secret_set(&same, a.value, strlen(a.value));
    secret_clear(&a);
    ck_assert(!secret_is_set(&a) && secret_is_set(&b));
    AUTO_FREE char *still = redacted(cases[_i].text); /* another secret has the same value */
    ck_assert_str_eq(still, cases[_i].want);
    secret_clear(&same);
    secret_clear(&b);
    secret_clear(&c);
    secret_clear(&d);
    ck_assert_uint_eq(secret_count(), 0);
    ck_assert_str_eq(err.message, cases[_i].want); /* it may be printed when the secret is gone */
    AUTO_FREE char *plain = redacted(cases[_i].text);
    ck_assert_str_eq(plain, cases[_i].text);
}
END_TEST

/* Of many secrets of all lengths those that are left are known, wherever the others were among them. */
START_TEST(secrets_that_go)
{
    struct secret secrets[200] = { 0 }, twin = { 0 };
    AUTO_ERROR err = { 0 };
    const size_t n = ARRAY_SIZE(secrets);
    for (size_t i = 0; i < n; i++) {
        AUTO_STRBUF value = STRBUF_INIT;
        while (value.len < 6 + i * 3)
            strbuf_addf(&value, "%08x", (unsigned)((i + 1) * (value.len + 7)) * 2654435761U);
        secret_set(&secrets[i], strbuf_str(&value), value.len);
    }
    secret_set(&twin, secrets[3].value, strlen(secrets[3].value));
    ck_assert_uint_eq(secret_count(), n);
    for (size_t gone = 0; gone < n; gone++) {
        AUTO_FREE char *text = xasprintf("it is %s.", secrets[gone * 7 % n].value);
        if (gone == 5)
            error_set(&err, ERROR_NET, 0, "%s", text);
        secret_clear(&secrets[gone * 7 % n]);
        for (size_t i = 0; i < n; i++) {
            AUTO_FREE char *got = secrets[i].value ? redacted(secrets[i].value) : NULL;
            ck_assert_str_eq(got ? got : "***", "***");
        }
        AUTO_FREE char *seen = redacted(text);
        ck_assert_str_eq(seen, gone * 7 % n == 3 ? "it is ***." : text);
    }
    ck_assert_uint_eq(secret_count(), 1);
    ck_assert_str_eq(err.message, "it is ***.");
    secret_clear(&twin);
    ck_assert_uint_eq(secret_count(), 0);
    error_code(&err, "Code", NULL);
    error_clear(&err);
}
END_TEST

/* A list of them: each once, and nothing is left of it. */
START_TEST(lists_of_secrets)
{
    struct secrets list = { 0 };
    struct secret s = { 0 };
    secrets_add(&list, "of-the-environment");
    secrets_add(&list, "of-a-file");
    secrets_add(&list, "of-the-environment");
    ck_assert_uint_eq(list.n, 2);
    secret_set(&s, "of-the-environment", 18);
    ck_assert_uint_eq(secret_count(), 2);
    AUTO_FREE char *got = redacted("it is of-the-environment, of-a-file");
    ck_assert_str_eq(got, "it is ***, ***");
    secrets_clear(&list);
    ck_assert_uint_eq(list.n, 0);
    ck_assert_uint_eq(secret_count(), 1);
    secret_clear(&s);
    ck_assert_uint_eq(secret_count(), 0);
}
END_TEST

/* Text like a just-in-time configuration: base64 of something that says other things everywhere. */
static char *make_jit(unsigned seed)
{
    AUTO_STRBUF plain = STRBUF_INIT, jit = STRBUF_INIT;
    for (unsigned i = 0; i < 100; i++)
        strbuf_addf(&plain, "{\"%u\":%u}", i * seed % 977, (i + seed) * 2654435761U);
    encode_base64(&jit, strbuf_str(&plain), plain.len);
    return strbuf_steal(&jit);
}

static void wrap_base64(struct strbuf *sb, const char *before)
{
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_addf(&text, "%s%s'\n", before, strbuf_str(sb));
    strbuf_truncate(sb, 0);
    encode_base64(sb, strbuf_str(&text), text.len);
}

enum escape { PLAIN, URL_UPPER, URL_LOWER, JSON, XML_DECIMAL, XML_HEX, ESCAPES };

static void escape_all(struct strbuf *sb, enum escape escape)
{
    AUTO_STRBUF text = STRBUF_INIT;
    for (const char *c = strbuf_str(sb); *c; c++) {
        unsigned n = (unsigned)*c;
        if (escape == PLAIN || !strchr("+/=%&", *c))
            strbuf_addc(&text, *c);
        else if (escape == URL_UPPER)
            strbuf_addf(&text, "%%%02X", n);
        else if (escape == URL_LOWER)
            strbuf_addf(&text, "%%%02x", n);
        else if (escape == JSON)
            strbuf_addf(&text, "\\u%04x", n);
        else
            strbuf_addf(&text, escape == XML_HEX ? "&#x%02x;" : "&#%u;", n);
    }
    strbuf_truncate(sb, 0);
    strbuf_adds(sb, strbuf_str(&text));
}

/* How many characters of text stand somewhere in the original, in pieces of 24: what a reader could put together. */
static size_t left_of(const char *text, const char *original)
{
    size_t left = 0;
    for (size_t i = 0; i + 24 <= strlen(text); i++)
        left += memmem(original, strlen(original), text + i, 24) != NULL;
    return left;
}

START_TEST(redaction_of_what_encodes_a_secret)
{
    struct secrets hidden = { 0 };
    static const char *const starts[] = { "", "M", "MA", "MAY", "#!/bin/sh\nMAYFLY_JIT='" };
    AUTO_FREE char *jit = make_jit(3), *other = make_jit(5);
    secrets_add(&hidden, other);
    secrets_add(&hidden, jit);
    for (size_t layers = 0; layers <= 2; layers++)
        for (size_t b = 0; b < ARRAY_SIZE(starts); b++)
            for (enum escape e = PLAIN; e < ESCAPES; e++) {
                AUTO_STRBUF sent = STRBUF_INIT;
                strbuf_adds(&sent, jit);
                for (size_t i = 0; i < layers; i++)
                    wrap_base64(&sent, starts[b]);
                escape_all(&sent, e);
                AUTO_FREE char *text =
                    xasprintf("Value (%s) for parameter userData is invalid: see the manual", strbuf_str(&sent));
                AUTO_FREE char *got = redacted(text);
                ck_assert_msg(left_of(got, strbuf_str(&sent)) <= 24 * layers * (strlen(starts[b]) + 2),
                              "layers %zu, before %zu, escape %d: %s", layers, b, (int)e, got);
                ck_assert(strlen(got) < 60 + 5 * (layers + 1) * (strlen(starts[b]) + 2));
                ck_assert(str_starts(got, "Value (") &&
                          str_ends(got, ") for parameter userData is invalid: see the manual"));
                ck_assert_ptr_nonnull(strstr(got, "***"));
            }
    secrets_clear(&hidden);
    ck_assert_uint_eq(secret_count(), 0);
}
END_TEST

/* Servers and we ourselves cut texts: what is left of a secret is hidden too. */
START_TEST(redaction_of_parts)
{
    struct secrets hidden = { 0 };
    AUTO_FREE char *jit = make_jit(3);
    secrets_add(&hidden, jit);
    for (size_t from = 0; from < 200; from++)
        for (size_t len = 12; len < 80; len += 7) {
            AUTO_FREE char *part = xstrndup(jit + from, len), *text = xasprintf("got %s", part);
            AUTO_FREE char *got = redacted(text);
            if (from == 0 || len >= 23)
                ck_assert_str_eq(got, "got ***");
        }
    AUTO_FREE char *first = xstrndup(jit, 11);
    AUTO_FREE char *kept = redacted(first);
    ck_assert_str_eq(kept, first);
    secrets_clear(&hidden);
    ck_assert_uint_eq(secret_count(), 0);
}
END_TEST

START_TEST(redaction_of_a_key_and_of_much)
{
    struct secrets hidden = { 0 };
    static const char pem[] = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAwF3tVqN7vjk2l\nQ9Zr8m1pXo5s7uC0eYt2\n";
    AUTO_STRBUF much = STRBUF_INIT;
    secrets_add(&hidden, pem);
    AUTO_FREE char *head = redacted("give it from -----BEGIN RSA PRIVATE KEY----- on"),
                   *line = redacted("MIIEowIBAAKCAQEAwF3tVqN7vjk2l"),
                   *one_line =
                       redacted("-----BEGIN RSA PRIVATE KEY----- MIIEowIBAAKCAQEAwF3tVqN7vjk2l Q9Zr8m1pXo5s7uC0eYt2");
    ck_assert_str_eq(head, "give it from -----BEGIN RSA PRIVATE KEY----- on");
    ck_assert_str_eq(line, "***");
    ck_assert_str_eq(one_line, "-----BEGIN RSA PRIVATE KEY----- *** ***");
    secrets_add(&hidden, "a-long-enough-secret");
    while (much.len < 700000) /* longer than a window: nothing is cut, nothing is missed */
        strbuf_adds(&much, much.len % 3 ? "a-long-enough-secret, " : "some words, ");
    AUTO_FREE char *got = redacted(strbuf_str(&much));
    ck_assert_ptr_null(strstr(got, "long"));
    ck_assert(str_ends(got, ", ") && strlen(got) > 100000);
    secrets_clear(&hidden);
    ck_assert_uint_eq(secret_count(), 0);
}
END_TEST

static int64_t dawn(void *ctx UNUSED)
{
    return 1767323045999;
}
static const struct env at_dawn = { .now = dawn };

#define DAWN "{\"time\":\"2026-01-02T03:04:05Z\",\"level\":"
static const char *const logged[] = {
    [LOG_TEXT] = "token is ***\nwarning: two lines \"100%\"\nmayfly:  [31mred    ***\nbroken\nhint: mend it\n",
    [LOG_ACTIONS] = "token is ***\n::warning::two lines \"100%25\"\n::error::mayfly:  [31mred    ***\n"
                    "::error::broken\nhint: mend it\n",
    [LOG_JSON] = DAWN "\"info\",\"message\":\"token is ***\"}\n" DAWN
                      "\"warning\",\"message\":\"two lines \\\"100%\\\"\"}\n" DAWN
                      "\"error\",\"message\":\"mayfly:  [31mred    ***\"}\n" DAWN
                      "\"error\",\"message\":\"broken\",\"hint\":\"mend it\"}\n",
};

START_TEST(logs)
{
    char *text = NULL;
    size_t len = 0;
    struct secret s = { 0 };
    FILE *out = open_memstream(&text, &len);
    secret_set(&s, "ghp_secret", 10);
    log_init(LOG_INFO, out, (enum log_format)_i, &at_dawn);
    log_debug("not shown");
    log_info("token is %s", s.value);
    log_warn("two\nlines \"100%%\"");
    log_error("mayfly: \x1b[31mred \xc2\x9b ghp_secret", NULL);
    log_error("broken", "mend it");
    log_close();
    fclose(out);
    ck_assert_str_eq(text, logged[_i]);
    log_init(LOG_INFO, NULL, LOG_TEXT, NULL);
    free(text);
    secret_clear(&s);
    secret_forget_all();
    AUTO_FREE char *escaped = log_escape_command("a%b\r\nc::d");
    ck_assert_str_eq(escaped, "a%25b%0D%0Ac::d");
}
END_TEST

/* --- text of others ---------------------------------------------------------------------------------------------- */

static const struct {
    const char *text, *clean, *narrow, *json, *code;
} texts[] = {
    { "", "", "", "\"\"", "` `" },
    { "plain", "plain", "plain", "\"plain\"", "`plain`" },
    { "a\nb\tc\x1b[2J\x7f", "a b c [2J ", "a?b?c?[2J?", "\"a\\u000ab\\u0009c\\u001b[2J\\u007f\"", "`a b c [2J `" },
    { "\xc2\x9b"
      "2J",
      "  2J", "??2J", "\"\\u009b2J\"", "`  2J`" },
    { "\x9b"
      "2J",
      "?2J", "?2J", "\"\\ufffd2J\"", "`?2J`" },
    { "say \"\\\"", "say \"\\\"", "say \"\\\"", "\"say \\\"\\\\\\\"\"", "`say \"?\"`" },
    { "a`b|c\\|d", "a`b|c\\|d", "a`b|c\\|d", "\"a`b|c\\\\|d\"", "`a'b?c??d`" },
    { "\xc3\xbc\xe2\x80\xa6\xf0\x9f\xa6\x9f", "\xc3\xbc\xe2\x80\xa6\xf0\x9f\xa6\x9f", "?????????",
      "\"\xc3\xbc\xe2\x80\xa6\xf0\x9f\xa6\x9f\"", "`\xc3\xbc\xe2\x80\xa6\xf0\x9f\xa6\x9f`" },
    { "\xc0\x9b", "??", "??", "\"\\ufffd\\ufffd\"", "`??`" },               /* longer than needed */
    { "\xed\xa0\x80", "???", "???", "\"\\ufffd\\ufffd\\ufffd\"", "`???`" }, /* half of a surrogate */
    { "\xf4\x90\x80\x80", "????", "????", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"", "`????`" },
    { "cut \xe2\x80", "cut ??", "cut ??", "\"cut \\ufffd\\ufffd\"", "`cut ??`" },
    /* NOLINTBEGIN(misc-misleading-bidirectional) */
    { "a\xe2\x80\xae"
      "b\xe2\x81\xa9",
      "a   b   ", "a???b???", "\"a\\u202eb\\u2069\"", "`a   b   `" },
    /* NOLINTEND(misc-misleading-bidirectional) */
    { "\t::error::a ::b", " :.error::a ::b", "?::error::a ::b", "\"\\u0009::error::a ::b\"", "` :.error::a ::b`" },
    { "###[add-mask]i-1 ##[", "###(add-mask]i-1 ##(", "###(add-mask]i-1 ##(", "\"#\\u0023#[add-mask]i-1 \\u0023#[\"",
      "`###(add-mask]i-1 ##(`" },
};

START_TEST(error_ceiling)
{
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_adds(&text, "x");
    while (text.len < 9000)
        strbuf_adds(&text, "\xc3\xa9");
    (void)error_set(&err, ERROR_AWS, 500, "%s", strbuf_str(&text));
    (void)error_prefix(&err, "%s", strbuf_str(&text));
    error_hint(&err, "%s", strbuf_str(&text));
    AUTO_FREE char *formatted = error_format(&err);
    const char *const cut[] = { err.message, err.context, err.hint, formatted };
    for (size_t i = 0; i < ARRAY_SIZE(cut); i++) {
        ck_assert_uint_le(strlen(cut[i]), ERROR_TEXT_MAX);
        ck_assert_uint_gt(strlen(cut[i]), ERROR_TEXT_MAX - 4);
        ck_assert(str_ends(cut[i], " [cut]"));
        ck_assert_ptr_null(strchr(cut[i], '?')); /* no half of a character */
    }
}
END_TEST

START_TEST(text_of_others)
{
    AUTO_FREE char *clean = xstrdup(texts[_i].text), *narrow = xstrdup(texts[_i].text);
    AUTO_STRBUF json = STRBUF_INIT, code = STRBUF_INIT;
    text_clean(clean);
    text_narrow(narrow);
    text_add_json(&json, texts[_i].text);
    text_add_code(&code, texts[_i].text);
    ck_assert_str_eq(clean, texts[_i].clean);
    ck_assert_str_eq(narrow, texts[_i].narrow);
    ck_assert_str_eq(strbuf_str(&json), texts[_i].json);
    ck_assert_str_eq(strbuf_str(&code), texts[_i].code);
}
END_TEST

/* Every character of Unicode that is none of the surrogates is one, and nothing else is. */
START_TEST(all_characters)
{
    for (uint32_t c = 1; c <= 0x110000; c++) {
        char s[5] = { 0 };
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        static const unsigned char first[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
        for (size_t i = n; i > 0; i--)
            s[i - 1] = (char)((i > 1 ? 0x80 : first[n]) | (c >> (6 * (n - i)) & (i > 1 ? 0x3f : 0x7f)));
        bool wrong = (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff;
        if (text_char(s) != (wrong ? 0 : n))
            ck_abort_msg("U+%04X: %zu", c, text_char(s));
        bool control = c < ' ' || (c >= 0x7f && c <= 0x9f) || c == 0x61c || c == 0x200e || c == 0x200f ||
                       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
        if (text_control(s) != (control ? (int)c : -1))
            ck_abort_msg("U+%04X: control %d", c, text_control(s));
    }
}
END_TEST

static TCase *buffers(void)
{
    TCase *t = tcase_create("buffers");
    tcase_add_test(t, out_of_memory);
    tcase_add_test(t, strbuf_ceiling);
    tcase_add_test(t, strbuf_bytes);
    tcase_add_test(t, strbuf_secret);
    tcase_add_loop_test(t, lists, 0, 11);
    tcase_add_test(t, homes);
    tcase_add_test(t, strings);
    tcase_add_test(t, arena);
    tcase_add_test(t, error_ceiling);
    tcase_add_loop_test(t, text_of_others, 0, ARRAY_SIZE(texts));
    tcase_add_test(t, all_characters);
    return t;
}

static TCase *encodings(void)
{
    TCase *t = tcase_create("encodings");
    tcase_add_loop_test(t, base64_vectors, 0, 8);
    tcase_add_test(t, base64_round_trip);
    tcase_add_loop_test(t, base64_malformed, 0, 23);
    tcase_add_test(t, percent);
    tcase_add_test(t, other_encodings);
    tcase_add_loop_test(t, numbers, 0, 23);
    return t;
}

static TCase *errors(void)
{
    TCase *t = tcase_create("errors");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, error_in_words);
    tcase_add_test(t, error_ownership);
    tcase_add_loop_test(t, exit_statuses, 0, 14);
    tcase_add_loop_test(t, redaction, 0, 9);
    tcase_add_test(t, secrets_that_go);
    tcase_add_test(t, lists_of_secrets);
    tcase_add_test(t, redaction_of_what_encodes_a_secret);
    tcase_add_test(t, redaction_of_parts);
    tcase_add_test(t, redaction_of_a_key_and_of_much);
    tcase_add_loop_test(t, logs, 0, 3);
    return t;
}

static TCase *file_cases(void)
{
    TCase *t = tcase_create("files");
    tcase_add_checked_fixture(t, make_folder, remove_folder);
    tcase_set_timeout(t, 30);
    tcase_add_test(t, files_to_write);
    tcase_add_loop_test(t, links_of_others, 0, 4);
    tcase_add_test(t, files_to_read);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { buffers, encodings, errors, file_cases };
    return run_suite("util", all, ARRAY_SIZE(all));
}
