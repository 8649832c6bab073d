#include "mayfly/util/token.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mayfly/util/text.h"
#include "testing.h"

#define B(text) text, sizeof(text) - 1
#define BOM "\xef\xbb\xbf"

/* What editors, shells and other programs make of a token, and what is none. */
static const struct {
    const char *bytes;
    size_t len;
    const char *word, *line; /* the token of each form, or NULL: it is none */
    const char *complaint;   /* of the word */
} rows[] = {
    { B("eyJ.a-b_c="), "eyJ.a-b_c=", "eyJ.a-b_c=", NULL },
    { B("token\n"), "token", "token", NULL },
    { B("token\r\n\r\n"), "token", "token", NULL },
    { B(" \t\n token \n "), "token", "token", NULL },
    { B(BOM "token"), "token", "token", NULL },
    { B(BOM " token\r\n"), "token", "token", NULL },
    { B("\"token\""), "\"token\"", "\"token\"", NULL },
    { B("Basic dXNlcg=="), NULL, "Basic dXNlcg==", "it has a blank in it" },
    { B("two\twords"), NULL, "two\twords", "it has a blank in it" },
    { B(""), NULL, NULL, "it is empty" },
    { B("\r\n \t"), NULL, NULL, "it is empty" },
    { B(BOM), NULL, NULL, "it is empty" },
    { B("secret\nX-Evil: 1"), NULL, NULL, "it has more than one line" },
    { B("secret\rX"), NULL, NULL, "it has more than one line" },
    { B("secret\n# comment"), NULL, NULL, "it has more than one line" },
    { B("t\xc3\xb6ken"), NULL, NULL, "it has a character in it that is not ASCII" },
    { B("\xe2\x80\x9ctoken\xe2\x80\x9d"), NULL, NULL, "it has a character in it that is not ASCII" },
    { B("token\xc2\xa0"), NULL, NULL, "it has a character in it that is not ASCII" },
    { B("token" BOM), NULL, NULL, "it has a character in it that is not ASCII" },
    { B("to\xffken"), NULL, NULL, "it has a character in it that is not ASCII" },
    { B("\x1b[0mtoken"), NULL, NULL, "it has a control character in it" },
    { B("tok\x7f"), NULL, NULL, "it has a control character in it" },
    { B("a b\n\x1b"), NULL, NULL, "it has a control character in it" },
    { B("token\0"), NULL, NULL, "it has a NUL byte in it" },
    { B("\xff\xfet\0o\0k\0"), NULL, NULL, "it is UTF-16, and UTF-8 is needed" },
    { B("\xfe\xff\0t\0o\0k"), NULL, NULL, "it is UTF-16, and UTF-8 is needed" },
    { B("t\0o\0k\0"), NULL, NULL, "it is UTF-16, and UTF-8 is needed" },
};

START_TEST(parse)
{
    const char *const want[] = { [TOKEN_WORD] = rows[_i].word, [TOKEN_LINE] = rows[_i].line };
    for (size_t form = 0; form < ARRAY_SIZE(want); form++) {
        AUTO_ERROR err = { 0 };
        AUTO_SECRET token = { 0 };
        bool ok = token_parse(rows[_i].bytes, rows[_i].len, (enum token_form)form, "it", &token, &err);
        ck_assert_pstr_eq(token.value, want[form]);
        ck_assert_int_eq(ok, want[form] != NULL);
        ck_assert(!ok || form != TOKEN_WORD || token_is_word(token.value));
        if (ok)
            continue;
        ck_assert_msg(str_starts(err.message, rows[_i].complaint), "%s", err.message);
        ck_assert_int_eq(err.domain, ERROR_CONFIG);
        ck_assert_ptr_nonnull(err.hint);
        ck_assert_ptr_null(strstr(err.message, "secret"));
        ck_assert_ptr_null(strstr(err.hint, "secret"));
    }
}
END_TEST

START_TEST(word)
{
    ck_assert(token_is_word("a"));
    ck_assert(!token_is_word(NULL));
    ck_assert(!token_is_word(""));
    ck_assert(!token_is_word("a "));
    ck_assert(!token_is_word("a\xc2\xa0"));
}
END_TEST

static char dir[] = "/tmp/mayfly-check-token.XXXXXX";

static void make_dir(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
    static const char *const names[] = { "plain", "large", "pipe" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        AUTO_FREE char *path = xasprintf("%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

static char *put(const char *name, const char *bytes, size_t len)
{
    char *path = xasprintf("%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, len, f), len);
    ck_assert_int_eq(fclose(f), 0);
    return path;
}

START_TEST(read_files)
{
    AUTO_ERROR err = { 0 };
    AUTO_SECRET token = { 0 };
    AUTO_FREE char *large = xmalloc(TOKEN_MAX + 1);
    memset(large, 'x', TOKEN_MAX + 1);
    AUTO_FREE char *path = put("plain", B(BOM "token\r\n"));
    ASSERT_OK(token_read(path, TOKEN_WORD, "the file", &token, &err), &err);
    ck_assert_str_eq(token.value, "token");
    AUTO_FREE char *again = put("plain", B("a\nb"));
    ck_assert(!token_read(path, TOKEN_WORD, "the file", &token, &err));
    AUTO_FREE char *want = xasprintf("the file `%s` has more than one line", path);
    ck_assert_str_eq(err.message, want);
    error_clear(&err);
    AUTO_FREE char *over = put("large", large, TOKEN_MAX + 1);
    ASSERT_FAILS(token_read(over, TOKEN_WORD, "the file", &token, &err), &err, "is larger than 65536 bytes");
}
END_TEST

/* What is no file answers in time, with what to do. A pipe that nobody writes takes FILE_WAIT_MS, which check_util.c
 * waits for; here its writer is gone. */
START_TEST(read_others)
{
    AUTO_FREE char *pipe = xasprintf("%s/pipe", dir);
    AUTO_FREE char *none = xasprintf("%s/none", dir);
    ck_assert_int_eq(mkfifo(pipe, 0600), 0);
    int writer = open(pipe, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq((int)write(writer, "token\n", 6), 6);
    const struct {
        const char *path, *why;
    } others[] = {
        { dir, "Is a directory" },
        { none, "No such file" },
        { "/dev/zero", "is larger than 65536 bytes" },
        { "/dev/null", "`/dev/null` is empty" },
    };
    AUTO_SECRET token = { 0 };
    AUTO_ERROR err = { 0 };
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        ck_assert(!token_read(others[i].path, TOKEN_WORD, "the file", &token, &err));
        ck_assert_msg(strstr(err.message, others[i].why) != NULL, "%s", err.message);
        ck_assert_int_eq(err.domain, ERROR_CONFIG);
        ck_assert_ptr_nonnull(err.hint);
        error_clear(&err);
    }
    int reader = open(pipe, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* keeps what was written */
    close(writer);
    ASSERT_OK(token_read(pipe, TOKEN_WORD, "the file", &token, &err), &err);
    ck_assert_str_eq(token.value, "token");
    close(reader);
}
END_TEST

/* Scripts and recipes: the same beginning of a text, and its lines. */
START_TEST(texts)
{
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF text = STRBUF_INIT, wide = STRBUF_INIT;
    AUTO_FREE char *path = put("plain", B(BOM "a\r\nb\rc\r\n\r"));
    ASSERT_OK(strbuf_read_text(&text, path, "the script", &err), &err);
    ck_assert_str_eq(strbuf_str(&text), "a\r\nb\rc\r\n\r");
    ck_assert_uint_eq(text.len, 9);
    ck_assert(text_drop_returns(&text));
    ck_assert_str_eq(strbuf_str(&text), "a\nb\rc\n\r");
    ck_assert(!text_drop_returns(&text));
    ck_assert(!text_drop_returns(&wide));
    AUTO_FREE char *other = put("plain", B("\xff\xfe#\0!\0"));
    ASSERT_FAILS(strbuf_read_text(&wide, other, "the script", &err), &err, "plain` is UTF-16, and UTF-8 is needed");
}
END_TEST

static TCase *cases(void)
{
    TCase *t = tcase_create("token");
    tcase_add_unchecked_fixture(t, make_dir, remove_dir);
    tcase_add_loop_test(t, parse, 0, ARRAY_SIZE(rows));
    tcase_add_test(t, word);
    tcase_add_test(t, read_files);
    tcase_add_test(t, read_others);
    tcase_add_test(t, texts);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { cases };
    return run_suite("token", all, ARRAY_SIZE(all));
}
