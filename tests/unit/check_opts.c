#include "mayfly/util/opts.h"
#include "testing.h"

struct options {
    bool flag, other;
    char *subnet, *market, *token_file;
    struct strlist groups, colors;
    uint64_t count, free;
    int64_t timeout;
};

#define AT(member) .offset = offsetof(struct options, member)

static bool is_ok(const char *value)
{
    return str_starts(value, "ok");
}

static const struct opt_values ok = { is_ok, "what is ok" };

static const struct opt table[] = {
    { .name = "flag", .type = OPT_FLAG, AT(flag), .help = "A flag" },
    { .name = "other-flag", .type = OPT_FLAG, AT(other), .help = "Another", .fallback = "true" },
    { .name = "subnet-name",
      .type = OPT_STRING,
      AT(subnet),
      .arg = "NAME",
      .help = "A string",
      .fallback = "fallback",
      .vars = "OWN_VAR SECOND_VAR",
      .aliases = "subnet-alias ec2-subnet" },
    { .name = "market",
      .type = OPT_STRING,
      AT(market),
      .arg = "WHICH",
      .help = "A choice",
      .choices = "spot on-demand" },
    { .name = "groups",
      .type = OPT_LIST,
      AT(groups),
      .arg = "ID[,ID]",
      .help = "A list",
      .bits = OPT_CHECKOUT,
      .checkout = &ok },
    { .name = "colors", .type = OPT_LIST, AT(colors), .arg = "C[,C]", .help = "Choices", .choices = "red green" },
    { .name = "count",
      .type = OPT_NUMBER,
      AT(count),
      .arg = "N",
      .help = "A number",
      .fallback = "5",
      .min = 1,
      .max = 50,
      .bits = OPT_CHECKOUT_LOWER },
    { .name = "free-number", .type = OPT_NUMBER, AT(free), .arg = "N", .help = "Any number", .bits = OPT_CHECKOUT },
    { .name = "timeout",
      .type = OPT_SECONDS,
      AT(timeout),
      .arg = "TIME",
      .help = "A duration",
      .fallback = "10m",
      .aliases = "wait-minutes:m wait",
      .min = 60,
      .max = 3600,
      .bits = OPT_CHECKOUT_LOWER },
    { .name = "old-flag",
      .type = OPT_FLAG,
      .fallback = "true",
      .help = "there is no other way",
      .bits = OPT_NO_EFFECT },
    { .name = "old-number", .type = OPT_NUMBER, .arg = "N", .help = "nobody waits", .max = 9, .bits = OPT_NO_EFFECT },
    { .name = "token-file", .type = OPT_STRING, AT(token_file), .arg = "FILE", .help = "A secret" },
    { 0 },
};

static struct common {
    char *config;
    bool verbose;
} common;

static const struct opt common_table[] = {
    { .name = "config",
      .type = OPT_STRING,
      .offset = offsetof(struct common, config),
      .arg = "FILE",
      .help = "The file",
      .bits = OPT_FLAG_ONLY },
    { .name = "verbose", .type = OPT_FLAG, .offset = offsetof(struct common, verbose), .help = "More" },
    { 0 },
};

static const char *whose(const char *key)
{
    return opts_find(table, key) ? "test" : str_eq(key, "of-another-command") ? "other" : NULL;
}

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NONE ((const char *const[]){ NULL })

struct input {
    const char *const *args;
    const char *const *env;
    const char *file, *section;
    bool in_workspace; /* the file */
};

static struct options got;
static struct strlist rest, notices;

static void clear(void)
{
    opts_clear(table, &got);
    opts_clear(common_table, &common);
    strlist_clear(&rest);
    strlist_clear(&notices);
    got = (struct options){ 0 };
    common = (struct common){ 0 };
}

static bool parse_with(const struct input *in, bool with_rest, struct error *err)
{
    AUTO_INI ini = { 0 };
    clear();
    environment = in->env ? in->env : NONE;
    if (in->file && !ini_parse(&ini, in->file, strlen(in->file), "mayfly.ini", err))
        return false;
    const struct opts_source source = { .command = "mayfly test",
                                        .args = (char *const *)(in->args ? in->args : NONE),
                                        .getenv = fake_getenv,
                                        .file = in->file ? &ini : NULL,
                                        .file_name = "mayfly.ini",
                                        .file_doubt = in->in_workspace ? "a reason" : NULL,
                                        .section = in->section,
                                        .whose = whose,
                                        .rest = with_rest ? &rest : NULL,
                                        .notices = &notices };
    const struct opt_set sets[] = { { table, &got }, { common_table, &common }, { 0 } };
    return opts_parse(sets, &source, err);
}

static bool parse(const struct input *in, struct error *err)
{
    return parse_with(in, false, err);
}

/* Every source at once; the row says down to which one they are there. */
START_TEST(precedence)
{
    static const char *const names[] = { "INPUT_SUBNET-NAME", "MAYFLY_SUBNET_NAME", "OWN_VAR", "SECOND_VAR" };
    static const char *const want[] = { "flag", "input", "mayfly", "own", "second", "section", "default", "fallback" };
    const char *env[9] = { NULL };
    AUTO_ERROR err = { 0 };
    size_t n = 0;
    for (int s = _i; s < 5; s++) {
        if (s == 0)
            continue;
        env[n++] = names[s - 1];
        env[n++] = want[s];
    }
    const struct input in = { .args = _i == 0 ? ARGS("--subnet-name", "flag") : NONE,
                              .env = env,
                              .section = "big",
                              .file = _i <= 5
                                          ? "[default]\nsubnet-name = default\n[runner big]\nsubnet-name = section\n"
                                      : _i == 6 ? "[default]\nsubnet-name = default\n[runner big]\nsubnet-name =\n"
                                                : "[default]\nsubnet-name =\n[runner big]\n[runner small]\n"
                                                  "subnet-name = no\n" };
    ASSERT_OK(parse(&in, &err), &err);
    ck_assert_str_eq(got.subnet, want[_i]);
    clear();
}
END_TEST

/* Empty, or blank, means not given: whatever comes next counts. */
START_TEST(empty_is_not_given)
{
    const struct {
        const char *const *env;
        const char *file, *want;
    } cases[] = {
        { ARGS("MAYFLY_SUBNET_NAME", "", "INPUT_SUBNET_NAME", "input"), NULL, "input" },
        { ARGS("MAYFLY_SUBNET_NAME", "mayfly", "INPUT_SUBNET_NAME", ""), NULL, "mayfly" },
        { ARGS("MAYFLY_SUBNET_NAME", "mayfly", "INPUT_SUBNET_NAME", " \n"), NULL, "mayfly" },
        { ARGS("MAYFLY_SUBNET_NAME", " ", "INPUT_SUBNET-NAME", "\t", "INPUT_EC2_SUBNET", "input"), NULL, "input" },
        { ARGS("INPUT_SUBNET_NAME", ""), NULL, "fallback" },
        { ARGS("INPUT_SUBNET_NAME", " \n"), NULL, "fallback" },
        { ARGS("INPUT_SUBNET_NAME", " \n"), "[default]\nsubnet-name = file\n", "file" },
        { ARGS("INPUT_SUBNET_NAME", "\n  padded \r\n"), NULL, "padded" },
        { ARGS("OWN_VAR", "", "SECOND_VAR", "second"), NULL, "second" },
        { NONE, "[default]\nsubnet-name =\n", "fallback" },
    };
    AUTO_ERROR err = { 0 };
    const struct input in = { .env = cases[_i].env, .file = cases[_i].file };
    ASSERT_OK(parse(&in, &err), &err);
    ck_assert_str_eq(got.subnet, cases[_i].want);
    clear();
}
END_TEST

/* Dashes and underscores, upper and lower case, and the names of another program. */
START_TEST(names)
{
    const struct input cases[] = {
        { .args = ARGS("--subnet-name", "x") },
        { .args = ARGS("--subnet-name=x") },
        { .args = ARGS("--subnet_name=x") },
        { .args = ARGS("--Subnet-Name", "x") },
        { .args = ARGS("--subnet-alias", "x") },
        { .args = ARGS("--ec2_subnet=x") },
        { .args = ARGS("--subnet-name", "first", "--ec2-subnet", "x") }, /* the last one counts */
        { .env = ARGS("MAYFLY_SUBNET_NAME", "x") },
        { .env = ARGS("MAYFLY_SUBNET-NAME", "x") },
        { .env = ARGS("INPUT_SUBNET-NAME", "x") },
        { .env = ARGS("INPUT_SUBNET_NAME", "x") },
        { .env = ARGS("INPUT_EC2-SUBNET", "x") },
        { .env = ARGS("INPUT_EC2_SUBNET", "x") },
        { .env = ARGS("INPUT_SUBNET_NAME", "x", "INPUT_EC2_SUBNET", "no") },  /* its own name first */
        { .env = ARGS("INPUT_EC2_SUBNET", "x", "MAYFLY_SUBNET_NAME", "no") }, /* but the step's first of all */
        { .env = ARGS("INPUT_EC2-SUBNET", "x", "MAYFLY_SUBNET_ALIAS", "no", "OWN_VAR", "no") },
        { .file = "[default]\nsubnet_name = x\n" },
        { .file = "[default]\nSubnet-Name = x\n" },
        { .file = "[default]\nec2-subnet = x\n" },
    };
    AUTO_ERROR err = { 0 };
    ASSERT_OK(parse(&cases[_i], &err), &err);
    ck_assert_str_eq(got.subnet, "x");
    clear();
}
END_TEST

START_TEST(values)
{
    AUTO_ERROR err = { 0 };
    const struct input in = { .args = ARGS("--flag", "--other-flag=no", "--market", "spot", "--groups", "a, b,,c\nd",
                                           "--colors=green", "--count=50", "--free-number", "18446744073709551615",
                                           "--timeout", "1h", "--subnet-name=a=b", "--verbose") };
    ASSERT_OK(parse(&in, &err), &err);
    ck_assert(got.flag && !got.other && common.verbose);
    ck_assert_str_eq(got.market, "spot");
    AUTO_FREE char *groups = strlist_join(&got.groups, "|");
    ck_assert_str_eq(groups, "a|b|c|d");
    ck_assert_str_eq(got.colors.v[0], "green");
    ck_assert_uint_eq(got.count, 50);
    ck_assert_uint_eq(got.free, UINT64_MAX);
    ck_assert_int_eq(got.timeout, 3600);
    ck_assert_str_eq(got.subnet, "a=b");
    clear();
    const struct input nothing = { 0 };
    ASSERT_OK(parse(&nothing, &err), &err);
    ck_assert(!got.flag && got.other);
    ck_assert_int_eq(got.timeout, 600);
    ck_assert_ptr_null(got.market);
    clear();
}
END_TEST

/* A list that is given again replaces the one before: a flag must be able to narrow what a file says. */
START_TEST(lists_replace)
{
    AUTO_ERROR err = { 0 };
    const struct input in = { .args = ARGS("--groups", "c"), .file = "[default]\ngroups = a, b\n" };
    ASSERT_OK(parse(&in, &err), &err);
    ck_assert_uint_eq(got.groups.n, 1);
    ck_assert_str_eq(got.groups.v[0], "c");
    clear();
}
END_TEST

/* As text, and as a workflow's outputs have lists. */
START_TEST(lists)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "a", "a" },
        { "a, b", "a|b" },
        { "a\nb\n", "a|b" },
        { "[\"a\"]", "a" },
        { "[\"a\",\"b\"]", "a|b" },
        { "[ \"a\" ,\n \"b c\" ]\n", "a|b c" },
        { "[]", "" },
        { "[ ]", "" },
        { "[\"a\"", NULL },
        { "[\"a\",", NULL },
        { "[\"a\",]", NULL },
        { "[,\"a\"]", NULL },
        { "[\"a\" \"b\"]", NULL },
        { "[\"a\"] b", NULL },
        { "[\"\"]", "" },
        { "[\" a \", \"\"]", "a" },
        { "[\"a", NULL },
        { "[\"a\\u0062\"]", NULL },
        { "[a]", NULL },
        { "[1, 23]", "1|23" },
        { "[-1]", NULL },
        { "[1.5]", NULL },
        { "[null]", NULL },
        { "[", NULL },
        { "[[\"a\"]]", NULL },
    };
    AUTO_ERROR err = { 0 };
    const struct input in = { .env = ARGS("INPUT_GROUPS", cases[_i].text) };
    if (cases[_i].want) {
        ASSERT_OK(parse(&in, &err), &err);
        AUTO_FREE char *joined = strlist_join(&got.groups, "|");
        ck_assert_str_eq(joined, cases[_i].want);
    } else {
        ASSERT_FAILS(parse(&in, &err), &err, "is not a list: A,B or [\"A\", \"B\"]");
    }
    clear();
}
END_TEST

/* An alias whose values are in minutes, from every source. */
START_TEST(units)
{
    const struct {
        struct input in;
        int64_t want;
        const char *message; /* instead */
    } cases[] = {
        { { .env = ARGS("INPUT_WAIT_MINUTES", "5") }, 300, NULL },
        { { .env = ARGS("INPUT_WAIT-MINUTES", " 5\n") }, 300, NULL },
        { { .env = ARGS("MAYFLY_WAIT_MINUTES", "5") }, 300, NULL },
        { { .env = ARGS("INPUT_WAIT", "5m") }, 300, NULL },
        { { .env = ARGS("INPUT_TIMEOUT", "90s", "INPUT_WAIT_MINUTES", "5") }, 90, NULL },
        { { .env = ARGS("INPUT_WAIT_MINUTES", "") }, 600, NULL },
        { { .args = ARGS("--wait-minutes", "5") }, 300, NULL },
        { { .args = ARGS("--wait-minutes=5", "--timeout=90s") }, 90, NULL },
        { { .args = ARGS("--timeout=90s", "--wait-minutes=5") }, 300, NULL },
        { { .file = "[default]\nwait_minutes = 5\n" }, 300, NULL },
        { { .env = ARGS("INPUT_WAIT_MINUTES", "5m") }, 300, NULL }, /* as parseInt() reads it, and so on */
        { { .env = ARGS("INPUT_WAIT_MINUTES", "7.5") }, 420, NULL },
        { { .env = ARGS("INPUT_WAIT_MINUTES", "007") }, 420, NULL },
        { { .env = ARGS("INPUT_WAIT_MINUTES", "0") }, 600, NULL },
        { { .env = ARGS("INPUT_WAIT_MINUTES", "0.5") }, 600, NULL },
        { { .env = ARGS("INPUT_WAIT_MINUTES", "five") },
          0,
          "--timeout (input wait-minutes): `five` is not a whole number" },
        { { .env = ARGS("INPUT_WAIT_MINUTES", "99999999999999999999") }, 0, "is not a whole number" },
        { { .env = ARGS("INPUT_WAIT_MINUTES", "-1") }, 0, "`-1` is not a whole number" },
        { { .env = ARGS("INPUT_WAIT_MINUTES", "61") }, 0, "61m is not between 1m and 1h" },
        { { .args = ARGS("--wait-minutes=") }, 0, "--timeout: `` is not a whole number" },
        { { .file = "[default]\nwait-minutes = m5\n" }, 0, "mayfly.ini:2: wait-minutes: `m5` is not a whole number" },
    };
    AUTO_ERROR err = { 0 };
    if (cases[_i].message) {
        ASSERT_FAILS(parse(&cases[_i].in, &err), &err, cases[_i].message);
    } else {
        ASSERT_OK(parse(&cases[_i].in, &err), &err);
        ck_assert_int_eq(got.timeout, cases[_i].want);
    }
    clear();
}
END_TEST

/* What means nothing here refuses no value; one that asks for something else than there is makes a notice. */
START_TEST(no_effect)
{
    const struct {
        struct input in;
        const char *notice;
    } cases[] = {
        { { 0 }, "" },
        { { .env = ARGS("INPUT_OLD_FLAG", "true") }, "" },
        { { .env = ARGS("INPUT_OLD_FLAG", "") }, "" },
        { { .env = ARGS("INPUT_OLD_FLAG", "false") },
          "--old-flag (input old-flag) has no effect: there is no other way" },
        { { .args = ARGS("--old-flag=no") }, "--old-flag has no effect: there is no other way" },
        { { .args = ARGS("--old-flag") }, "" },
        { { .env = ARGS("MAYFLY_OLD_NUMBER", "0") }, "" },
        { { .env = ARGS("MAYFLY_OLD_NUMBER", "3") },
          "--old-number (from the environment) has no effect: nobody waits" },
        { { .file = "[default]\nold-number = 3\n" }, "mayfly.ini:2: old-number has no effect: nobody waits" },
        { { .env = ARGS("INPUT_OLD_FLAG", "perhaps") },
          "--old-flag (input old-flag) has no effect: there is no other way" },
        { { .env = ARGS("INPUT_OLD_NUMBER", "30s") }, "--old-number (input old-number) has no effect: nobody waits" },
        { { .env = ARGS("INPUT_OLD_NUMBER", "2.5") }, "--old-number (input old-number) has no effect: nobody waits" },
        { { .env = ARGS("INPUT_OLD_NUMBER", "10") }, "--old-number (input old-number) has no effect: nobody waits" },
    };
    static const struct options nothing = { .other = true, .timeout = 600, .count = 5 };
    AUTO_ERROR err = { 0 };
    ASSERT_OK(parse(&cases[_i].in, &err), &err);
    AUTO_FREE char *all = strlist_join(&notices, "|");
    ck_assert_str_eq(all, cases[_i].notice);
    ck_assert_str_eq(got.subnet, "fallback");
    base_free_pointer(&got.subnet);
    ck_assert_mem_eq(&got, &nothing, sizeof(got));
    clear();
}
END_TEST

START_TEST(refused)
{
    const struct {
        struct input in;
        const char *message, *hint;
    } cases[] = {
        { { .args = ARGS("--cuont", "1") }, "unknown option `--cuont`", "did you mean --count?" },
        { { .args = ARGS("--subnet-nam=x") }, "unknown option `--subnet-nam`", "did you mean --subnet-name?" },
        { { .args = ARGS("--conifg", "x") }, "unknown option `--conifg`", "did you mean --config?" },
        { { .args = ARGS("--ec2-subnte", "x") }, "unknown option `--ec2-subnte`", "did you mean --subnet-name?" },
        { { .args = ARGS("--token", "x") }, "unknown option `--token`", "did you mean --token-file?" },
        { { .args = ARGS("--tok", "x") }, "unknown option `--tok`", "`mayfly test --help` lists all options" },
        { { .args = ARGS("--of-another-command") },
          "unknown option `--of-another-command`",
          "`mayfly other` has such an option" },
        { { .args = ARGS("--zzzzzz") }, "unknown option `--zzzzzz`", "`mayfly test --help` lists all options" },
        { { .args = ARGS("--=x") }, "unknown option `--`", NULL },
        { { .args = ARGS("--subnet-name") }, "--subnet-name needs a value: NAME", NULL },
        { { .args = ARGS("word") }, "unexpected argument `word`", "--name VALUE" },
        { { .args = ARGS("--flag", "false") }, "unexpected argument `false`", "switches --name or --name=false" },
        { { .args = ARGS("-f") }, "unexpected argument `-f`", NULL },
        { { .args = ARGS("--") }, "unexpected argument `--`", NULL },
        { { .args = ARGS("--count", "0") }, "--count: 0 is not between 1 and 50", NULL },
        { { .args = ARGS("--count", "51") }, "--count: 51 is not between 1 and 50", NULL },
        { { .args = ARGS("--count", "-1") }, "--count: `-1` is not a number", NULL },
        { { .args = ARGS("--count", "1e1") }, "--count: `1e1` is not a number", NULL },
        { { .args = ARGS("--count", "") }, "--count: `` is not a number", NULL },
        { { .args = ARGS("--count", "1 1") }, "--count: `1 1` is not a number", NULL },
        { { .args = ARGS("--free-number", "18446744073709551616") }, "is not a number", NULL },
        { { .args = ARGS("--timeout", "10x") }, "--timeout: `10x` is not a duration", NULL },
        { { .args = ARGS("--timeout", "59s") }, "--timeout: 59s is not between 1m and 1h", NULL },
        { { .args = ARGS("--timeout", "2h") }, "--timeout: 2h is not between 1m and 1h", NULL },
        { { .args = ARGS("--market", "Spot") }, "--market: `Spot` is not one of: spot on-demand", NULL },
        { { .args = ARGS("--market", "spot on-demand") }, "is not one of: spot on-demand", NULL },
        { { .args = ARGS("--market", "spo") }, "is not one of: spot on-demand", NULL },
        { { .args = ARGS("--colors", "red,blue") }, "--colors: `blue` is not one of: red green", NULL },
        { { .args = ARGS("--flag=maybe") }, "--flag: `maybe` is not true or false", NULL },
        { { .args = ARGS("--subnet-name", "a\nb") }, "--subnet-name: the value holds a control character", NULL },
        { { .args = ARGS("--subnet-name", "a\xc2\x9b") }, "--subnet-name: the value holds a control character", NULL },
        { { .args = ARGS("--subnet-name", "a\xff") }, "--subnet-name: the value is not UTF-8", NULL },
        { { .args = ARGS("--groups", "[\"a\", \"\xe2\x80\"]") }, "--groups: the value is not UTF-8", NULL },
        { { .args = ARGS("--groups", "a,\x1b") }, "--groups: the value holds a control character", NULL },
        { { .env = ARGS("MAYFLY_COUNT", "x") }, "--count (from the environment): `x` is not a number", NULL },
        { { .env = ARGS("INPUT_EC2_SUBNET", "a\nb") }, "--subnet-name (input ec2-subnet): the value", NULL },
        { { .env = ARGS("OWN_VAR", "a\tb") }, "--subnet-name (from OWN_VAR): the value holds", NULL },
        { { .file = "[default]\n\ncount = x\n" }, "mayfly.ini:3: count: `x` is not a number", NULL },
        { { .file = "[default]\nsubnets = x\n" }, "mayfly.ini:2: unknown key `subnets`", NULL },
        { { .file = "[default]\nmarkt = spot\n" }, "mayfly.ini:2: unknown key `markt`", "did you mean market?" },
        { { .file = "[runner other]\nsubnets = x\n" }, "mayfly.ini:2: unknown key `subnets`", NULL },
        { { .file = "[defaults]\n" }, "unknown section [defaults]", NULL },
        { { .file = "[runner]\n" }, "unknown section [runner]", NULL },
        { { .file = "[default]\n", .section = "big" }, "mayfly.ini has no section [runner big]", NULL },
        { { .file = "[default]\ntoken-file = /x\n", .in_workspace = true },
          "mayfly.ini:2: `token-file` may not be set by a file in the workspace (a reason)",
          "flag, an input of the step or the variable MAYFLY_TOKEN_FILE" },
        { { .file = "[default]\ncount = 6\n", .in_workspace = true },
          "mayfly.ini:2: `count` may not be set by a file in the workspace (a reason) to `6`, more than 5",
          "pull request" },
        { { .file = "[default]\nwait-minutes = 11\n", .in_workspace = true },
          "`timeout` may not be set by a file in the workspace (a reason) to `11`, more than 10m",
          NULL },
        { { .file = "[default]\ntimeout = 1s\n", .in_workspace = true }, "1s is not between 1m and 1h", NULL },
        { { .file = "[default]\ngroups = ok-1, b\n", .in_workspace = true },
          "`groups` may not be set by a file in the workspace (a reason) to `ok-1, b`, only to what is ok",
          NULL },
        { { .file = "[default]\nold-flag = true\n", .in_workspace = true }, "`old-flag` may not be set", NULL },
        { { .file = "[runner big]\ntoken_file = /x\n", .section = "big", .in_workspace = true },
          "mayfly.ini:2: `token-file` may not be set by a file in the workspace",
          "pull request" },
    };
    AUTO_ERROR err = { 0 };
    ck_assert(!parse(&cases[_i].in, &err));
    ck_assert_msg(strstr(err.message, cases[_i].message) != NULL, "%s", err.message);
    ck_assert(err.domain == ERROR_USAGE || err.domain == ERROR_CONFIG);
    if (cases[_i].hint)
        ck_assert_msg(err.hint && strstr(err.hint, cases[_i].hint), "%s", err.hint);
    clear();
}
END_TEST

START_TEST(accepted)
{
    const struct {
        struct input in;
        const char *token_file, *config;
    } cases[] = {
        { { .file = "[default]\ntoken-file = /x\n" }, "/x", NULL },
        { { .file = "[default]\nof-another-command = 1\n" }, NULL, NULL },
        { { .file = "[default]\ncount = 5\ntimeout = 10m\ngroups = ok-1, ok-2\n", .in_workspace = true }, NULL, NULL },
        { { .file = "[default]\nwait-minutes = 9\nfree-number = 999\n", .in_workspace = true }, NULL, NULL },
        { { .file = "[default]\nof-another-command = 1\n[runner x]\ntoken-file = /x\n", .in_workspace = true },
          NULL,
          NULL },
        { { .file = "[default]\ncount = 50\ntimeout = 1h\ngroups = b\ntoken-file = /x\n" }, "/x", NULL },
        /* What it may not set does no harm where something else counts. */
        { { .args = ARGS("--count=50"), .file = "[default]\ncount = 6\n", .in_workspace = true }, NULL, NULL },
        { { .env = ARGS("INPUT_TOKEN_FILE", "/y"), .file = "[default]\ntoken-file = /x\n", .in_workspace = true },
          "/y",
          NULL },
        { { .env = ARGS("MAYFLY_TOKEN_FILE", "/y"), .in_workspace = true }, "/y", NULL },
        { { .args = ARGS("--token-file=") }, "", NULL },
        { { .env = ARGS("MAYFLY_CONFIG", "no", "INPUT_CONFIG", "no") }, NULL, NULL }, /* from argv alone */
        { { .args = ARGS("--config", "yes") }, NULL, "yes" },
    };
    AUTO_ERROR err = { 0 };
    ASSERT_OK(parse(&cases[_i].in, &err), &err);
    ck_assert_pstr_eq(got.token_file, cases[_i].token_file);
    ck_assert_pstr_eq(common.config, cases[_i].config);
    clear();
}
END_TEST

START_TEST(arguments_that_are_no_options)
{
    AUTO_ERROR err = { 0 };
    const struct input in = { .args = ARGS("one", "--flag", "two", "-") };
    ASSERT_OK(parse_with(&in, true, &err), &err);
    AUTO_FREE char *joined = strlist_join(&rest, "|");
    ck_assert_str_eq(joined, "one|two|-");
    ck_assert(got.flag);
    const struct input dash = { .args = ARGS("-x") };
    ASSERT_FAILS(parse_with(&dash, true, &err), &err, "unexpected argument `-x`");
    clear();
}
END_TEST

START_TEST(booleans)
{
    static const struct {
        const char *word;
        bool value;
    } cases[] = { { "true", true },   { "TRUE", true }, { "1", true },  { "yes", true },
                  { "false", false }, { "0", false },   { "No", false } };
    AUTO_ERROR err = { 0 };
    const struct input in = { .env = ARGS("INPUT_OTHER_FLAG", cases[_i].word) };
    ASSERT_OK(parse(&in, &err), &err);
    ck_assert_int_eq(got.other, cases[_i].value);
    clear();
}
END_TEST

START_TEST(peek)
{
    const struct opt config = { .name = "config", .type = OPT_STRING };
    const struct {
        const char *const *args;
        const char *const *env;
        const char *want;
    } cases[] = {
        { ARGS("--config", "a"), NONE, "a" },
        { ARGS("--config=a", "--config", "b"), NONE, "b" },
        { ARGS("--config=a"), ARGS("MAYFLY_CONFIG", "e"), "a" },
        { NONE, ARGS("MAYFLY_CONFIG", "e", "INPUT_CONFIG", "f"), "f" },
        { NONE, ARGS("MAYFLY_CONFIG", "e", "INPUT_CONFIG", " "), "e" },
        { NONE, ARGS("MAYFLY_CONFIG", "e"), "e" },
        { NONE, NONE, NULL },
        { NONE,
          ARGS("MAYFLY_CONFIG", "\xef\xbb\xbf"
                                "e\r\n"),
          "e" },
        { ARGS("--config", " a "), NONE, "a" },
        { ARGS("--config"), NONE, NULL },
        { ARGS("config", "--confi=g"), NONE, NULL },
    };
    environment = cases[_i].env;
    const struct opts_source source = { .args = (char *const *)cases[_i].args, .getenv = fake_getenv };
    AUTO_FREE char *found = opts_peek(&config, &source);
    ck_assert_pstr_eq(found, cases[_i].want);
}
END_TEST

/* Every row that has an effect is in the help, with its default. */
START_TEST(help)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    opts_help(out, table);
    fclose(out);
    for (const struct opt *o = table; o->name; o++) {
        AUTO_FREE char *name = xasprintf("  --%s ", o->name);
        ck_assert_int_eq(strstr(text, name) != NULL, !(o->bits & OPT_NO_EFFECT));
    }
    ck_assert_ptr_nonnull(strstr(text, "A duration (default: 10m) *\n"));
    ck_assert_ptr_nonnull(strstr(text, "A secret\n"));
    free(text);
}
END_TEST

static TCase *cases(void)
{
    TCase *t = tcase_create("opts");
    tcase_add_loop_test(t, precedence, 0, 8);
    tcase_add_loop_test(t, empty_is_not_given, 0, 10);
    tcase_add_loop_test(t, names, 0, 19);
    tcase_add_test(t, values);
    tcase_add_test(t, lists_replace);
    tcase_add_loop_test(t, refused, 0, 51);
    tcase_add_loop_test(t, lists, 0, 25);
    tcase_add_loop_test(t, units, 0, 21);
    tcase_add_loop_test(t, no_effect, 0, 13);
    tcase_add_loop_test(t, accepted, 0, 12);
    tcase_add_test(t, arguments_that_are_no_options);
    tcase_add_loop_test(t, booleans, 0, 7);
    tcase_add_loop_test(t, peek, 0, 11);
    tcase_add_test(t, help);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { cases };
    return run_suite("opts", all, ARRAY_SIZE(all));
}
