#include "mayfly/util/ini.h"
#include "testing.h"

/* A file as `section|key|value|line;` for every entry. */
static char *dump(const struct ini *ini)
{
    AUTO_STRBUF out = STRBUF_INIT;
    for (size_t i = 0; i < ini->n; i++)
        strbuf_addf(&out, "%s|%s|%s|%u;", ini->entries[i].section, ini->entries[i].key, ini->entries[i].value,
                    ini->entries[i].line);
    return strbuf_steal(&out);
}

START_TEST(texts)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "", "" },
        { "\n\n", "" },
        { "\xef\xbb\xbf", "" },
        { "[a]\nk=v", "a|k|v|2;" }, /* without the last line break */
        { "[a]\nk = v\n", "a|k|v|2;" },
        { "[ a ]\n\tk\t=\tv\t\n", "a|k|v|2;" },
        { "\xef\xbb\xbf[a]\r\nk = v\r\nl = w\r\n", "a|k|v|2;a|l|w|3;" },
        { "[profile x y]\nk=v\n", "profile x y|k|v|2;" },
        { "[a]\nKey_Name-1 = V\n", "a|key_name-1|V|2;" },
        { "[a]\nrole:x = y\n", "a|role|x = y|2;" }, /* the first of the two splits, as Python's configparser does it */
        { "[a]\nk: v\nl : w=x\nm=:\nn:=\n", "a|k|v|2;a|l|w=x|3;a|m|:|4;a|n|=|5;" },
        { "[a]\nk = https://x:1/ # c\n", "a|k|https://x:1/|2;" },
        /* No comment begins within quotes. */
        { "[a]\nk = sh -c \"X=1 ; exec y\" # c\n", "a|k|sh -c \"X=1 ; exec y\"|2;" },
        { "[a]\nk = x 'vault #7' ; c\n", "a|k|x 'vault #7'|2;" },
        { "[a]\nk = \"a \\\" # b\" # c\n", "a|k|\"a \\\" # b\"|2;" },
        { "[a]\nk = [{\"Key\": \"a # b\"}] # c\n", "a|k|[{\"Key\": \"a # b\"}]|2;" },
        { "[a]\nk = don't # c, isn't it\n", "a|k|don't|2;" },
        { "[a]\nk = an open \" # c\n", "a|k|an open \"|2;" },
        { "[a]\nk =\n  a \"b # c\" # d\n", "a|k|\na \"b # c\"|2;" },
        { "[a]\ncredential_process = x y # z ; a\nk = v # c\n", "a|credential_process|x y # z ; a|2;a|k|v|3;" },
        { "[a]\nCredential_Process : x\n  y # z\n", "a|credential_process|x\ny # z|2;" },
        { "[a]\nk = a=b==\n", "a|k|a=b==|2;" }, /* the first = splits: keys end in = often */
        { "[a]\nk =\n", "a|k||2;" },
        { "[a]\nk =   \nl=1\n", "a|k||2;a|l|1|3;" },
        { "# c\n; c\n[a] # c\n  # c\nk = v\n", "a|k|v|5;" },
        { "[a] ; c\nk = v # c\nl = v ; c\n", "a|k|v|2;a|l|v|3;" },
        { "[a]\nk = v#no ;x\n", "a|k|v#no|2;" },
        { "[a]\nk = v#no;x\n", "a|k|v#no;x|2;" },
        { "[a]\nk = v\t# c\n", "a|k|v|2;" },
        { "[a]\nk = # c\n", "a|k||2;" },
        { "[a]\nk =#v\n", "a|k|#v|2;" },
        { "[a]\nk = a b  c\n", "a|k|a b  c|2;" },
        { "[a]\nk = \"v\"\n", "a|k|\"v\"|2;" }, /* quotes are part of a value */
        { "[a]\ns3 =\n  x = 1\n\ty = 2 # c\nk = v\n", "a|s3|\nx = 1\ny = 2|2;a|k|v|5;" },
        { "[a]\nk = a,\n  b,\n\n  # c\n  c\n", "a|k|a,\nb,\nc|2;" },
        { "[a]\nk = v\n  [b]\n", "a|k|v\n[b]|2;" }, /* an indented line is never a section */
        { "[a]\n  k = v\n  l = w\n", "a|k|v|2;a|l|w|3;" },
        { "[a]\n  k = v\n   l = w\n m = x\n", "a|k|v\nl = w|2;a|m|x|4;" },
        { "[a]\nk = v\n[b]\n  l = w\n", "a|k|v|2;b|l|w|4;" }, /* a section ends what an indented line continues */
        { "[a]\nk = 1\nk = 2\n", "a|k|2|3;" },
        { "[a]\nk = 1\n[b]\nk = 2\n[a]\nl = 3\n", "a|k|1|2;b|k|2|4;a|l|3|6;" },
        { "[a]\nk = 1\nK = 2\n", "a|k|2|3;" },
        { "[a]\nk = 1\n  x\nl = 2\nk = 3\n  y\n[b]\nk = 4\n[a]\nl = 5\n", "a|k|3\ny|5;a|l|5|10;b|k|4|8;" },
        { "[a]\nk =\n  x\nk = 1\n", "a|k|1|4;" },
        { "[]\nk = v\n", "|k|v|2;" },
        { "[a]\nk = \xc3\xa9\n", "a|k|\xc3\xa9|2;" },
    };
    AUTO_INI ini = { 0 };
    AUTO_ERROR err = { 0 };
    ASSERT_OK(ini_parse(&ini, cases[_i].text, strlen(cases[_i].text), "f", &err), &err);
    AUTO_FREE char *got = dump(&ini);
    ck_assert_str_eq(got, cases[_i].want);
}
END_TEST

START_TEST(refused)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "k = v\n", "f:1: a key before the first section" },
        { "\n  k = v\n", "f:2: a key before the first section" },
        { "[a]\nk\n", "f:2: neither a section nor `key = value`" },
        { "[a]\n= v\n", "f:2: neither a section nor `key = value`" },
        { "[a]\n: v\n", "f:2: neither a section nor `key = value`" },
        { "[a\nk = v\n", "f:1: a section without its `]`" },
        { "[a]\n[b", "f:2: a section without its `]`" },
        { "[a] b\n", "f:1: text after the section's `]`" },
        { "[a]\nok = 1\n\nbad\n", "f:4: neither" },
    };
    AUTO_INI ini = { 0 };
    AUTO_ERROR err = { 0 };
    ASSERT_FAILS(ini_parse(&ini, cases[_i].text, strlen(cases[_i].text), "f", &err), &err, cases[_i].why);
    ck_assert(ini.n == 0 && ini.sections.n == 0 && ini.entries == NULL);
}
END_TEST

START_TEST(nul_byte)
{
    static const char text[] = "[a]\nk = v\0w\n";
    AUTO_INI ini = { 0 };
    AUTO_ERROR err = { 0 };
    ASSERT_FAILS(ini_parse(&ini, text, sizeof(text) - 1, "f", &err), &err, "f has a NUL byte in it");
}
END_TEST

/* A session token has 900 bytes; other parsers cut lines at 200. */
START_TEST(long_values)
{
    static const size_t lengths[] = { 199, 200, 900, 4096, 100000 };
    AUTO_INI ini = { 0 };
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF value = STRBUF_INIT, text = STRBUF_INIT;
    for (size_t i = 0; i < lengths[_i]; i++)
        strbuf_addc(&value, (char)('a' + i % 26));
    strbuf_addf(&text, "[a]\naws_session_token = %s\nk = v\n", strbuf_str(&value));
    ASSERT_OK(ini_parse(&ini, strbuf_str(&text), text.len, "f", &err), &err);
    ck_assert_str_eq(ini_get(&ini, "a", "aws_session_token"), strbuf_str(&value));
    ck_assert_str_eq(ini_get(&ini, "a", "k"), "v");
}
END_TEST

/* What a stranger fills a file of the largest size with takes no longer than other files of it: a test that takes a
 * quadratic number of steps ends by its time limit. */
START_TEST(large_files)
{
    enum { SIZE = 1 << 20 };
    AUTO_INI ini = { 0 };
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF text = STRBUF_INIT, title = STRBUF_INIT;
    size_t lines = 0;
    while (title.len < SIZE / 4)
        strbuf_addc(&title, 't');
    strbuf_addf(&text, "[%s]\nkey = v\n", _i == 4 ? strbuf_str(&title) : "a");
    for (; text.len < SIZE; lines++) {
        switch (_i) {
        case 0:
        case 4:
            strbuf_addf(&text, "%zx=\n", lines); /* many keys; their section's name is long */
            break;
        case 1:
            strbuf_addf(&text, "[%zx]\n", lines);
            break;
        case 2:
            strbuf_adds(&text, " x\n"); /* one value of many lines */
            break;
        case 3:
            strbuf_adds(&text, "[a]\nk=\n"); /* the same over and over */
            break;
        }
    }
    ASSERT_OK(ini_parse(&ini, strbuf_str(&text), text.len, "f", &err), &err);
    static const size_t few[] = { 0, 1, 1, 2, 0 };
    ck_assert_uint_eq(ini.n, few[_i] ? few[_i] : lines + 1);
    ck_assert_uint_eq(ini.sections.n, _i == 1 ? lines + (lines <= 10) : 1);
    if (_i == 2)
        ck_assert_uint_eq(strlen(ini_get(&ini, "a", "key")), 1 + 2 * lines);
}
END_TEST

START_TEST(lookups)
{
    static const char text[] = "[a]\nk = v\n[empty]\n[a]\n";
    AUTO_INI ini = { 0 };
    AUTO_ERROR err = { 0 };
    ASSERT_OK(ini_parse(&ini, text, strlen(text), "f", &err), &err);
    ck_assert_uint_eq(ini.sections.n, 2);
    ck_assert(ini_has_section(&ini, "empty") && !ini_has_section(&ini, "A"));
    ck_assert_str_eq(ini_get(&ini, "a", "k"), "v");
    ck_assert_ptr_null(ini_get(&ini, "a", "K"));
    ck_assert_ptr_null(ini_get(&ini, "empty", "k"));
    ck_assert_ptr_null(ini_get(&ini, "b", "k"));
}
END_TEST

/* Cut off at every byte, read from a copy of exactly that size: an answer or an error, and nothing beyond the end. */
START_TEST(cut_off_anywhere)
{
    static const char text[] = "\xef\xbb\xbf[profile a] # c\r\nk = v ; c\r\n  sub = x\r\n[b]\nl==\n";
    for (size_t n = 0; n <= strlen(text); n++) {
        AUTO_INI ini = { 0 };
        AUTO_ERROR err = { 0 };
        AUTO_FREE char *copy = xmalloc(n ? n : 1);
        memcpy(copy, text, n);
        bool ok = ini_parse(&ini, copy, n, "f", &err);
        ck_assert(ok == (err.domain == ERROR_NONE));
        ck_assert(ok || ini.n == 0);
    }
}
END_TEST

static TCase *cases(void)
{
    TCase *t = tcase_create("ini");
    tcase_add_loop_test(t, texts, 0, 46);
    tcase_add_loop_test(t, refused, 0, 9);
    tcase_add_test(t, nul_byte);
    tcase_add_loop_test(t, long_values, 0, 5);
    tcase_add_loop_test(t, large_files, 0, 5);
    tcase_add_test(t, lookups);
    tcase_add_test(t, cut_off_anywhere);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { cases };
    return run_suite("ini", all, ARRAY_SIZE(all));
}
