/* Every option of every command takes every value alike, whichever way it comes: by a flag, by an input of the action,
 * by a variable, or out of a configuration file. */
#include <ctype.h>
#include <inttypes.h>

#include "mayfly/cmd/cmd.h"
#include "mayfly/runner/params.h"
#include "mayfly/runner/plan.h"
#include "mayfly/util/text.h"
#include "testing.h"

#define BOM "\xef\xbb\xbf"
#define NO NULL /* refused */

/* What a value is to an option of each type without choices or limits; of a list its parts, joined by |. */
static const struct row {
    const char *value, *flag, *string, *text, *list, *number, *seconds;
} rows[] = {
    /* numbers */
    { "5", NO, "5", "5", "5", "5", "5" },
    { "007", NO, "007", "007", "007", "7", "7" },
    { "0", "false", "0", "0", "0", "0", "0" },
    { "-0", NO, "-0", "-0", "-0", NO, NO },
    { "+5", NO, "+5", "+5", "+5", NO, NO },
    { "5.0", NO, "5.0", "5.0", "5.0", NO, NO },
    { "1e3", NO, "1e3", "1e3", "1e3", NO, NO },
    { "0x10", NO, "0x10", "0x10", "0x10", NO, NO },
    { "1,000", NO, "1,000", "1,000", "1|000", NO, NO },
    { "18446744073709551615", NO, "18446744073709551615", "18446744073709551615", "18446744073709551615",
      "18446744073709551615", NO },
    { "18446744073709551616", NO, "18446744073709551616", "18446744073709551616", "18446744073709551616", NO, NO },
    { "\xd9\xa5", NO, "\xd9\xa5", "\xd9\xa5", "\xd9\xa5", NO, NO }, /* ARABIC-INDIC DIGIT FIVE */
    /* booleans and null */
    { "true", "true", "true", "true", "true", NO, NO },
    { "True", "true", "True", "True", "True", NO, NO },
    { "TRUE", "true", "TRUE", "TRUE", "TRUE", NO, NO },
    { "yes", "true", "yes", "yes", "yes", NO, NO },
    { "on", "true", "on", "on", "on", NO, NO },
    { "1", "true", "1", "1", "1", "1", "1" },
    { "false", "false", "false", "false", "false", NO, NO },
    { "No", "false", "No", "No", "No", NO, NO },
    { "OFF", "false", "OFF", "OFF", "OFF", NO, NO },
    { "y", NO, "y", "y", "y", NO, NO },
    { "null", NO, "null", "null", "null", NO, NO },
    /* durations */
    { "90s", NO, "90s", "90s", "90s", NO, "90" },
    { "10m", NO, "10m", "10m", "10m", NO, "600" },
    { "2d", NO, "2d", "2d", "2d", NO, "172800" },
    { "1h30m", NO, "1h30m", "1h30m", "1h30m", NO, NO },
    { "1.5h", NO, "1.5h", "1.5h", "1.5h", NO, NO },
    { "90 s", NO, "90 s", "90 s", "90 s", NO, NO },
    { "90S", NO, "90S", "90S", "90S", NO, NO },
    { "PT1H", NO, "PT1H", "PT1H", "PT1H", NO, NO },
    { "s", NO, "s", "s", "s", NO, NO },
    /* lists */
    { "a,b", NO, "a,b", "a,b", "a|b", NO, NO },
    { "a, b", NO, "a, b", "a, b", "a|b", NO, NO },
    { "a,b,", NO, "a,b,", "a,b,", "a|b", NO, NO },
    { ",a,,b", NO, ",a,,b", ",a,,b", "a|b", NO, NO },
    { ",", NO, ",", ",", "", NO, NO },
    { "a,a", NO, "a,a", "a,a", "a|a", NO, NO },
    { "a\nb", NO, NO, "a\nb", "a|b", NO, NO },
    { "a\r\nb\r\n", NO, NO, "a\nb", "a|b", NO, NO },
    { "[]", NO, "[]", "[]", "", NO, NO },
    { "[\"a\",\"b\"]", NO, "[\"a\",\"b\"]", "[\"a\",\"b\"]", "a|b", NO, NO },
    { "[\"a\", \" b \", \"\"]", NO, "[\"a\", \" b \", \"\"]", "[\"a\", \" b \", \"\"]", "a|b", NO, NO },
    { "[\"a\",\n\"b\"]", NO, NO, "[\"a\",\n\"b\"]", "a|b", NO, NO },
    { "[1, 2]", NO, "[1, 2]", "[1, 2]", "1|2", NO, NO },
    { "[\"a\",]", NO, "[\"a\",]", "[\"a\",]", NO, NO, NO },
    { "[null]", NO, "[null]", "[null]", NO, NO, NO },
    /* what is around a value */
    { "  5\t", NO, "5", "5", "5", "5", "5" },
    { "\n5\n\n", NO, "5", "5", "5", "5", "5" },
    { "5\r\n", NO, "5", "5", "5", "5", "5" },
    { "90s\r\n", NO, "90s", "90s", "90s", NO, "90" },
    { " true\r\n", "true", "true", "true", "true", NO, NO },
    { BOM "5", NO, "5", "5", "5", "5", "5" },
    { " " BOM " true\r\n", "true", "true", "true", "true", NO, NO },
    { BOM "[\"a\"]", NO, "[\"a\"]", "[\"a\"]", "a", NO, NO },
    /* characters */
    { "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", NO, "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80",
      "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80", NO, NO },
    { "a\tb", NO, NO, "a\tb", "a\tb", NO, NO },
    { "a\xc2\xa0", NO, "a\xc2\xa0", "a\xc2\xa0", "a\xc2\xa0", NO, NO },
    { "a\x1b[0m", NO, NO, NO, NO, NO, NO },
    { "a\x7f", NO, NO, NO, NO, NO, NO },
    { "a\xc2\x9b", NO, NO, NO, NO, NO, NO },
    { "a\xff", NO, NO, NO, NO, NO, NO },
    /* NOLINTBEGIN(misc-misleading-bidirectional) */
    { "a\xe2\x80\xae"
      "b",
      NO, NO,
      "a\xe2\x80\xae"
      "b",
      NO, NO, NO }, /* RIGHT-TO-LEFT OVERRIDE */
    /* NOLINTEND(misc-misleading-bidirectional) */
    { "a=b:c", NO, "a=b:c", "a=b:c", "a=b:c", NO, NO },
    { "\"a\"", NO, "\"a\"", "\"a\"", "\"a\"", NO, NO },
    { "$HOME", NO, "$HOME", "$HOME", "$HOME", NO, NO },
};

static const char *wanted(const struct row *row, enum opt_type type)
{
    const char *const of[] = { [OPT_FLAG] = row->flag, [OPT_STRING] = row->string, [OPT_TEXT] = row->text,
                               [OPT_LIST] = row->list, [OPT_NUMBER] = row->number, [OPT_SECONDS] = row->seconds };
    return of[type];
}

/* --- the options ---------------------------------------------------------------------------------------------------
 */

struct option { /* and whose struct its field is in */
    const struct opt *opt;
    size_t size;
};

static struct option options[512];
static size_t n_options;

static void add_table(const struct opt *table, size_t size)
{
    for (const struct opt *o = table; o && o->name; o++) {
        ck_assert_uint_lt(n_options, ARRAY_SIZE(options));
        options[n_options++] = (struct option){ o, size };
    }
}

static void find_options(void)
{
    n_options = 0;
    add_table(common_opts, sizeof(struct common));
    for (const struct command *const *c = commands; *c; c++) {
        add_table((*c)->opts, (*c)->options_size);
        add_table((*c)->more_opts, (*c)->options_size);
    }
    ck_assert_uint_gt(n_options, 150);
}

/* --- the ways ------------------------------------------------------------------------------------------------------
 */

struct way {
    const char *name;
    const char *flag;           /* --NAME, or with its value: --NAME=VALUE */
    const char *value;          /* the next argument, or NULL */
    const char *variable;       /* or NULL */
    const char *file, *section; /* or NULL */
};

/* The variable of an option: dashes as they are, or as underscores. */
static char *variable(const char *prefix, const char *name, bool dashes)
{
    char *text = xasprintf("%s%s", prefix, name);
    for (char *p = text + strlen(prefix); *p; p++)
        *p = *p == '-' && !dashes ? '_' : (char)toupper((unsigned char)*p);
    return text;
}

/* As it stands in a file: further lines are indented. */
static char *in_file(const char *section, const char *name, const char *value)
{
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_addf(&text, "[%s]\r\n%s = ", section, name);
    for (; *value; value++)
        strbuf_adds(&text, *value == '\n' ? "\n   " : (char[]){ *value, '\0' });
    strbuf_adds(&text, "\n[runner other]\n");
    return strbuf_steal(&text);
}

static const char *whose(const char *key UNUSED)
{
    return "start";
}

static char *field_as_text(const struct opt *o, const void *base)
{
    const void *field = (const char *)base + o->offset;
    switch (o->type) {
    case OPT_FLAG:
        return xstrdup(*(const bool *)field ? "true" : "false");
    case OPT_STRING:
    case OPT_TEXT: {
        AUTO_STRBUF text = STRBUF_INIT;
        for (const char *p = *(char *const *)field; p && *p; p++)
            if (!str_starts(p, "\r\n")) /* which a file does not keep */
                strbuf_addc(&text, *p);
        return strbuf_steal(&text);
    }
    case OPT_LIST:
        return strlist_join(field, "|");
    case OPT_NUMBER:
        return xasprintf("%" PRIu64, *(const uint64_t *)field);
    case OPT_SECONDS:
        return xasprintf("%" PRId64, *(const int64_t *)field);
    }
    return NULL;
}

/* The option by one way, as text; NULL: refused. */
static char *take(const struct option *option, const struct way *way, const char *value, struct error *err)
{
    const struct opt table[] = { *option->opt, { 0 } };
    AUTO_FREE void *base = xcalloc(1, option->size);
    AUTO_INI ini = { 0 };
    const struct opt_set sets[] = { { table, base }, { 0 } };
    const char *args[] = { way->flag, way->value, NULL };
    environment = way->variable ? ENV(way->variable, value) : ENV(NULL);
    struct opts_source source = { .command = "mayfly test",
                                  .args = (char *const *)args,
                                  .getenv = fake_getenv,
                                  .section = way->section,
                                  .file_name = "mayfly.ini",
                                  .whose = whose };
    if (way->file) {
        if (!ini_parse(&ini, way->file, strlen(way->file), "mayfly.ini", err))
            return NULL;
        source.file = &ini;
    }
    char *text = opts_parse(sets, &source, err) ? field_as_text(option->opt, base) : NULL;
    opts_clear(table, base);
    return text;
}

static void compare(const struct option *option, const struct row *row, const struct way *way, const char *first)
{
    const struct opt *o = option->opt;
    AUTO_ERROR err = { 0 };
    AUTO_FREE char *got = take(option, way, row->value, &err);
    const char *want = wanted(row, o->type);
    if (o->bits & OPT_NO_EFFECT) {
        ck_assert_msg(got != NULL, "--%s `%s` by %s: %s", o->name, row->value, way->name, err.message);
        return;
    }
    ck_assert_msg(str_eq(got, first), "--%s `%s`: `%s` by %s, `%s` by --%s=VALUE", o->name, row->value,
                  got ? got : err.message, way->name, first ? first : "(refused)", o->name);
    if (o->choices || (!got && (o->min || o->max) && strstr(err.message, "is not between")))
        return;
    ck_assert_msg(str_eq(got, want), "--%s `%s` by %s: `%s`, wanted `%s`", o->name, row->value, way->name,
                  got ? got : err.message, want ? want : "(refused)");
}

static void try_option(const struct option *option, const struct row *row)
{
    const struct opt *o = option->opt;
    AUTO_ERROR ignored = { 0 };
    AUTO_FREE char *joined = xasprintf("--%s=%s", o->name, row->value);
    AUTO_FREE char *flag = xasprintf("--%s", o->name);
    AUTO_FREE char *input = variable("INPUT_", o->name, false);
    AUTO_FREE char *input_dashes = variable("INPUT_", o->name, true);
    AUTO_FREE char *own = variable("MAYFLY_", o->name, false);
    AUTO_FREE char *more = o->vars ? xstrndup(o->vars, strcspn(o->vars, " ")) : NULL;
    AUTO_FREE char *file = in_file("default", o->name, row->value);
    AUTO_FREE char *section = in_file("runner ci", o->name, row->value);
    const struct way ways[] = {
        { .name = "--NAME=VALUE", .flag = joined },
        { .name = "--NAME VALUE", .flag = flag, .value = row->value },
        { .name = "an input", .variable = input },
        { .name = "an input with dashes", .variable = input_dashes },
        { .name = "its variable", .variable = own },
        { .name = "another variable", .variable = more },
        { .name = "the file", .file = file },
        { .name = "a section of the file", .file = section, .section = "ci" },
    };
    AUTO_FREE char *first = take(option, &ways[0], row->value, &ignored);
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        bool elsewhere = !ways[i].flag;
        if ((elsewhere && (o->bits & OPT_FLAG_ONLY)) || (elsewhere && !ways[i].variable && !ways[i].file) ||
            (ways[i].value && o->type == OPT_FLAG))
            continue;
        compare(option, row, &ways[i], first);
    }
}

START_TEST(values)
{
    find_options();
    for (size_t i = 0; i < n_options; i++)
        try_option(&options[i], &rows[_i]);
}
END_TEST

/* What is empty or blank is not given, from wherever it comes but a flag: that is the empty text or list, or refused.
 */
START_TEST(nothing)
{
    static const char *const empty[] = { "", " ", "\r\n", "\t \n" };
    find_options();
    for (size_t i = 0; i < n_options; i++) {
        const struct opt *o = options[i].opt;
        const bool is_text = o->type == OPT_STRING || o->type == OPT_TEXT || o->type == OPT_LIST;
        AUTO_ERROR none = { 0 }, err = { 0 };
        AUTO_FREE char *flag = xasprintf("--%s=%s", o->name, empty[_i]);
        AUTO_FREE char *input = variable("INPUT_", o->name, false);
        AUTO_FREE char *own = variable("MAYFLY_", o->name, false);
        AUTO_FREE char *file = in_file("default", o->name, empty[_i]);
        const struct way ways[] = { { .variable = input }, { .variable = own }, { .file = file } };
        if (o->bits & OPT_NO_EFFECT)
            continue;
        AUTO_FREE char *want = take(&options[i], &(struct way){ 0 }, NULL, &none);
        for (size_t w = 0; w < ARRAY_SIZE(ways); w++) {
            AUTO_FREE char *got = take(&options[i], &ways[w], empty[_i], &none);
            ck_assert_msg(str_eq(got, want), "--%s, %zu: `%s`", o->name, w, got ? got : none.message);
        }
        AUTO_FREE char *got = take(&options[i], &(struct way){ .flag = flag }, NULL, &err);
        const char *wanted_flag = o->empty ? want : is_text && (!o->choices || o->type == OPT_LIST) ? "" : NULL;
        ck_assert_msg(str_eq(got, wanted_flag), "%s: `%s`", flag, got ? got : err.message);
    }
}
END_TEST

/* yes and no, true and false: an option that has one pair of these words for its choices takes all words. */
START_TEST(words_of_choices)
{
    static const struct {
        const char *choices, *value, *want;
    } cases[] = {
        { "yes no", "true", "yes" },      { "yes no", "No", "no" },           { "yes no", "0", "no" },
        { "true false", "on", "true" },   { "true false", "False", "false" }, { "yes no", "maybe", NULL },
        { "spot on-demand", "on", NULL }, { "spot on-demand", "SPOT", NULL },
    };
    const struct opt opt = {
        .name = "x", .type = OPT_STRING, .choices = cases[_i].choices, .arg = "WORD", .help = "A choice"
    };
    const struct option option = { &opt, sizeof(char *) };
    AUTO_ERROR err = { 0 };
    AUTO_FREE char *got = take(&option, &(struct way){ .variable = "MAYFLY_X" }, cases[_i].value, &err);
    ck_assert_pstr_eq(got, cases[_i].want);
}
END_TEST

/* --- in JSON -------------------------------------------------------------------------------------------------------
 */

/* Within JSON what is around a value is part of it, and only UTF-8 can be written. */
static bool stands_in_json(const char *value)
{
    size_t n = strlen(value);
    bool utf8 = true;
    for (const char *p = value; *p && utf8; p += text_char(p))
        utf8 = text_char(p) > 0;
    return utf8 && !text_mark(value, n) && !strchr(" \t\r\n", *value) && !strchr(" \t\r\n", value[n - 1]);
}

/* "before" VALUE "after"; owned. */
static char *json_with(const char *before, const char *value, const char *after)
{
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_adds(&text, before);
    text_add_json(&text, value);
    strbuf_adds(&text, after);
    return strbuf_steal(&text);
}

static char *member_as_text(const char *name, const char *value)
{
    AUTO_FREE char *before = xasprintf("[{\"DeviceName\": \"/dev/sdf\", \"Ebs\": {\"%s\": ", name);
    AUTO_FREE char *wanted_name = xasprintf("BlockDeviceMapping.1.Ebs.%s", name);
    const struct spec s = { .block_devices = json_with(before, value, "}}]") };
    AUTO_ERROR err = { 0 };
    AUTO_STRLIST params = { 0 };
    char *found = NULL;
    if (params_make(&s, "/dev/root", NULL, &params, &err))
        for (size_t i = 0; i < params.n && !found; i += 2)
            found = str_eq(params.v[i], wanted_name) ? xstrdup(params.v[i + 1]) : NULL;
    free(s.block_devices);
    return found;
}

/* Numbers and words for booleans in JSON's strings are what they are to an option. */
START_TEST(members)
{
    const struct row *row = &rows[_i];
    if (!stands_in_json(row->value))
        return;
    AUTO_FREE char *flag = member_as_text("Encrypted", row->value);
    AUTO_FREE char *number = member_as_text("VolumeSize", row->value);
    ck_assert_pstr_eq(flag, row->flag);
    bool in_range = row->number && strlen(row->number) < 5 && !str_eq(row->number, "0");
    ck_assert_int_eq(number != NULL, in_range);
    ck_assert(!number || strtoul(number, NULL, 10) == strtoul(row->number, NULL, 10));
}
END_TEST

static char *tag_as_text(const char *text)
{
    AUTO_FREE char *copy = xstrdup(text);
    const struct spec s = { .tags = copy };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct field_list tags = { 0 };
    bool ok = params_tags(&s, &arena, &tags, NULL, &err);
    ck_assert_int_eq(err.domain, ok ? ERROR_NONE : ERROR_USAGE);
    return ok && tags.n == 1 ? xstrdup(FIELD_ROW(&tags, const struct ec2_tag, 0)->value) : NULL;
}

/* A tag's value as KEY=VALUE and in JSON. */
START_TEST(tags)
{
    const struct row *row = &rows[_i];
    if (!stands_in_json(row->value) || strpbrk(row->value, ",\n"))
        return;
    AUTO_FREE char *plain = xasprintf("k=%s", row->value);
    AUTO_FREE char *json = json_with("[{\"Key\": \"k\", \"Value\": ", row->value, "}]");
    AUTO_FREE char *by_plain = row->text ? tag_as_text(plain) : NULL; /* the option refuses it before */
    AUTO_FREE char *by_json = tag_as_text(json);
    ck_assert_pstr_eq(by_json, by_plain);
}
END_TEST

/* What an escape writes is not cut off, nor let through. */
START_TEST(escapes)
{
    static const char *const written[] = { "\\u0000", "\\u001b", "\\u007f", "\\u009b" };
    AUTO_FREE char *json = xasprintf("[{\"Key\": \"k\", \"Value\": \"a%sb\"}]", written[_i]);
    AUTO_FREE char *tag = tag_as_text(json);
    ck_assert_pstr_eq(tag, NULL);
    AUTO_FREE char *place = xasprintf("[{\"region\": \"us-east-1%s\"}]", written[_i]);
    AUTO_STRLIST regions = { 0 };
    AUTO_ERROR err = { 0 };
    ASSERT_FAILS(plan_place_regions(place, &regions, &err), &err, "--places: a value holds a control character");
}
END_TEST

static TCase *cases(void)
{
    TCase *t = tcase_create("ways");
    tcase_add_loop_test(t, values, 0, ARRAY_SIZE(rows));
    tcase_add_loop_test(t, nothing, 0, 4);
    tcase_add_loop_test(t, words_of_choices, 0, 8);
    tcase_add_loop_test(t, members, 0, ARRAY_SIZE(rows));
    tcase_add_loop_test(t, tags, 0, ARRAY_SIZE(rows));
    tcase_add_loop_test(t, escapes, 0, 4);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { cases };
    return run_suite("ways", all, ARRAY_SIZE(all));
}
