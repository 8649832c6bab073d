#include "mayfly/runner/plan.h"
#include "mayfly/runner/spec.h"
#include "mayfly/runner/userdata.h"
#include "mayfly/util/encode.h"
#include "testing.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- what the user asked for -------------------------------------------------------------------------------------- */

/* Names that exist. Source: EC2 User Guide, "Instance type naming conventions", and the lists of types there. */
START_TEST(architectures)
{
    static const struct {
        const char *type;
        bool arm;
    } cases[] = {
        { "m7i.xlarge", false },         { "m7g.large", true },        { "c6gn.4xlarge", true },
        { "t4g.micro", true },           { "a1.large", true },         { "g5g.xlarge", true },
        { "g4dn.xlarge", false },        { "im4gn.large", true },      { "x2gd.medium", true },
        { "p5en.48xlarge", false },      { "u-6tb1.56xlarge", false }, { "hpc7g.4xlarge", true },
        { "is4gen.large", true },        { "m7a.large", false },       { "c7gd.metal", true },
        { "g6e.xlarge", false },         { "gr6.4xlarge", false },     { "g4ad.xlarge", false },
        { "t3a.nano", false },           { "x2iedn.xlarge", false },   { "c7i-flex.large", false },
        { "r8g.24xlarge", true },        { "i8ge.large", true },       { "m8gd.large", true },
        { "u7i-12tb.224xlarge", false }, { "hpc7a.96xlarge", false },  { "inf2.xlarge", false },
        { "trn1n.32xlarge", false },     { "m5zn.large", false },      { "a1.metal", true },
        { "p6-b200.48xlarge", false },   { "d3en.xlarge", false },
    };
    ck_assert_str_eq(spec_type_architecture(cases[_i].type), cases[_i].arm ? "arm64" : "x86_64");
}
END_TEST

START_TEST(runner_architectures)
{
    ck_assert_str_eq(spec_runner_architecture("x86_64"), "x64");
    ck_assert_str_eq(spec_runner_architecture("arm64"), "arm64");
    ck_assert_ptr_null(spec_runner_architecture("i386"));
    ck_assert_ptr_null(spec_runner_architecture("arm64_mac"));
    ck_assert_ptr_null(spec_runner_architecture(NULL));
}
END_TEST

#define LIST(...)                                                                                                      \
    {                                                                                                                  \
        .v = (char *[]){ __VA_ARGS__ }, .n = ARRAY_SIZE(((char *[]){ __VA_ARGS__ }))                                   \
    }

static struct spec good_spec(void)
{
    static char ami[] = "ami-0123456789abcdef0", type[] = "m7i.xlarge", other[] = "m7a.xlarge",
                subnet[] = "subnet-0123456789abcdef0", group[] = "sg-0123456789abcdef0";
    static char *types[] = { type, other }, *subnets[] = { subnet }, *groups[] = { group };
    return (struct spec){ .image = ami,
                          .types = { types, 2 },
                          .subnets = { subnets, 1 },
                          .security_groups = { groups, 1 },
                          .timeout = 600,
                          .max_lifetime = 21600 };
}

#define X32 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

/* One thing at a time is wrong. */
START_TEST(spec_refused)
{
    static const struct {
        const char *field, *value, *why;
    } cases[] = {
        { "image", NULL, "--image is missing" },
        { "image", "", "--image is missing" },
        { "types", NULL, "--types is missing" },
        { "subnets", NULL, "--subnets is missing" },
        { "groups", NULL, "--security-groups is missing" },
        { "image", "ami-123", "--image: `ami-123` is not an id" },
        { "image", "i-0123456789abcdef0", "--image: `i-0123456789abcdef0` is not an id" },
        { "subnets", "sg-0123456789abcdef0", "--subnets: `sg-0123456789abcdef0` is not an id" },
        { "subnets", "subnet-0123456789ABCDEF0", "is not an id" },
        { "groups", "default", "--security-groups: `default` is not an id" },
        { "types", "m7i", "--types: `m7i` is not an instance type" },
        { "types", "m7i.", "is not an instance type" },
        { "types", ".xlarge", "is not an instance type" },
        { "types", "M7I.xlarge", "is not an instance type" },
        { "types", "m7i.xlarge;reboot", "is not an instance type" },
        { "types", "m7i." X32 X32, "is not an instance type" },
        { "types", "m7g.xlarge", "have different architectures" }, /* beside m7a.xlarge */
        { "label", "two words", "--label: `two words` is not a label" },
        { "label", "a,b", "--label: `a,b` is not a label" },
        { "label", X32 X32 X32 "xxxxx", "is not a label" },
        { "labels", "a b", "--labels: `a b` is not a label" },
        { "name", "a b", "--name: at most 64" },
        { "name", X32 X32 "x", "--name: at most 64" },
        { "user", "-root", "--user: `-root` is not a user's name" },
        { "user", "a b", "--user: `a b` is not a user's name" },
        { "user", X32 "x", "is not a user's name" },
        { "runner_dir", "relative/path", "--runner-dir: `relative/path` is not an absolute path" },
        { "max_lifetime", "600", "--max-lifetime must be longer than --timeout" },
    };
    AUTO_ERROR err = { 0 };
    struct spec s = good_spec();
    AUTO_FREE char *value = cases[_i].value ? xstrdup(cases[_i].value) : NULL;
    struct strlist one = { &value, 1 }, two = { (char *[]){ value, s.types.v[1] }, 2 }, none = { 0 };
    const struct {
        const char *field;
        char **string;
        struct strlist *list;
    } fields[] = {
        { "image", &s.image, NULL },
        { "types", NULL, &s.types },
        { "subnets", NULL, &s.subnets },
        { "groups", NULL, &s.security_groups },
        { "label", &s.label, NULL },
        { "labels", NULL, &s.labels },
        { "name", &s.name, NULL },
        { "user", &s.user, NULL },
        { "runner_dir", &s.runner_dir, NULL },
    };
    ASSERT_OK(spec_check(&s, &err), &err); /* so that what follows is the only thing wrong */
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        if (!str_eq(fields[i].field, cases[_i].field))
            continue;
        if (fields[i].string)
            *fields[i].string = value;
        else
            *fields[i].list = !value ? none : str_eq(cases[_i].field, "types") ? two : one;
    }
    if (str_eq(cases[_i].field, "max_lifetime"))
        s.max_lifetime = s.timeout;
    ck_assert(!spec_check(&s, &err));
    ck_assert_msg(strstr(err.message, cases[_i].why) != NULL, "%s", err.message);
    ck_assert_int_eq(err.domain, ERROR_USAGE);
}
END_TEST

START_TEST(image_fits)
{
    static const struct {
        struct ec2_image image;
        size_t n;
        const char *why; /* NULL: it fits */
    } cases[] = {
        { { .id = "ami-0123456789abcdef0", .state = "available", .architecture = "x86_64" }, 1, NULL },
        { { 0 }, 0, "there is no image ami-0123456789abcdef0 in this region" },
        { { .id = "ami-1", .state = "available", .architecture = "x86_64" }, 1, "there is no image" },
        { { .id = "ami-0123456789abcdef0", .state = "pending", .architecture = "x86_64" },
          1,
          "is pending, not available" },
        { { .id = "ami-0123456789abcdef0", .architecture = "x86_64" }, 1, "is in no state" },
        { { .id = "ami-0123456789abcdef0", .state = "available", .architecture = "i386" },
          1,
          "there is no runner for the architecture i386" },
        { { .id = "ami-0123456789abcdef0", .state = "available" }, 1, "the architecture (none)" },
        { { .id = "ami-0123456789abcdef0", .state = "available", .architecture = "arm64" },
          1,
          "--types: m7i.xlarge is x86_64, and the image ami-0123456789abcdef0 is arm64" },
    };
    AUTO_ERROR err = { 0 };
    struct ec2_image image = cases[_i].image;
    const struct field_list images = { .rows = &image, .n = cases[_i].n };
    struct spec s = good_spec();
    if (cases[_i].why)
        ASSERT_FAILS(spec_check_image(&s, &images, &err), &err, cases[_i].why);
    else
        ASSERT_OK(spec_check_image(&s, &images, &err), &err);
}
END_TEST

/* --- the plan ----------------------------------------------------------------------------------------------------- */

START_TEST(plan_order)
{
    const struct strlist markets = LIST("spot", "on-demand"), types = LIST("a", "b"), subnets = LIST("1", "2", "3");
    AUTO_STRBUF got = STRBUF_INIT;
    struct plan plan;
    plan_make(&plan, "us-east-1", "ami-1", &markets, &types, &subnets);
    ck_assert_uint_eq(plan.n, 12);
    for (size_t i = 0; i < plan.n; i++) {
        ck_assert_str_eq(plan.cells[i].region, "us-east-1");
        ck_assert_str_eq(plan.cells[i].image, "ami-1");
        strbuf_addf(&got, "%c%s%s ", cell_market(&plan.cells[i])[0], plan.cells[i].type, plan.cells[i].subnet);
    }
    ck_assert_str_eq(strbuf_str(&got), "sa1 sa2 sa3 sb1 sb2 sb3 oa1 oa2 oa3 ob1 ob2 ob3 ");
    plan_clear(&plan);
    ck_assert_uint_eq(plan.n, 0);
}
END_TEST

/* --- tags, labels and names --------------------------------------------------------------------------------------- */

START_TEST(limits)
{
    static const struct {
        const char *s;
        int64_t boot, idle, life; /* boot -1: malformed */
    } cases[] = {
        { "boot=1,idle=2,life=3", 1, 2, 3 },
        { "life=3, idle=2 ,boot=1", 1, 2, 3 },
        { "", 600, 1800, 21600 },
        { "life=7", 600, 1800, 7 },
        { "life=7,unknown=x,future", 600, 1800, 7 },
        { "life=1,life=2", 600, 1800, 2 },
        { "life=2147483647", 600, 1800, 2147483647 },
        { "life=2147483648", -1, 0, 0 },
        { "life=", -1, 0, 0 },
        { "life=-1", -1, 0, 0 },
        { "life=6h", -1, 0, 0 },
        { "boot=5,life=x", -1, 0, 0 },
    };
    struct limits l = LIMITS_DEFAULT;
    bool ok = cases[_i].boot >= 0;
    ck_assert_int_eq(limits_parse(cases[_i].s, &l), ok);
    ck_assert_int_eq(l.boot, ok ? cases[_i].boot : 600);
    ck_assert_int_eq(l.idle, ok ? cases[_i].idle : 1800);
    ck_assert_int_eq(l.life, ok ? cases[_i].life : 21600);
    struct limits back = { 0 };
    AUTO_FREE char *text = limits_format(&l);
    ck_assert(limits_parse(text, &back));
    ck_assert(back.boot == l.boot && back.idle == l.idle && back.life == l.life);
}
END_TEST

START_TEST(tags_of_a_runner)
{
    AUTO_ARENA arena = { 0 };
    AUTO_STRBUF got = STRBUF_INIT;
    struct ec2_tag *tags;
    size_t n;
    const struct tag_values v = { .fleet = "o/r",
                                  .scope = "o/r",
                                  .label = "mayfly-1",
                                  .runner = "mf-1",
                                  .run = "",
                                  .runner_id = 7,
                                  .version = "1.0",
                                  .limits = { 1, 2, 3 } };
    tags_of_runner(&v, &arena, &tags, &n);
    for (size_t i = 0; i < n; i++)
        strbuf_addf(&got, "%s=%s ", tags[i].key, tags[i].value);
    ck_assert_str_eq(strbuf_str(&got), "Name=mf-1 mayfly:fleet=o/r mayfly:scope=o/r mayfly:label=mayfly-1 "
                                       "mayfly:runner=mf-1 mayfly:runner-id=7 mayfly:role=runner "
                                       "mayfly:limits=boot=1,idle=2,life=3 mayfly:version=1.0 ");
}
END_TEST

/* GitHub takes names of 64 characters: the longest region, a far epoch, a dash and 8 random ones more. */
START_TEST(runner_names)
{
    static const char *const regions[] = { "us-east-1",      "us-gov-west-1",  "ap-southeast-4",
                                           "ap-northeast-3", "us-isob-east-1", "eusc-de-east-1" };
    AUTO_FREE char *mark = runner_name_mark("123456789012", "org/repo");
    AUTO_FREE char *same = runner_name_mark("123456789012", "org/repo");
    AUTO_FREE char *other = runner_name_mark("123456789013", "org/repo");
    AUTO_FREE char *moved = runner_name_mark("123456789012", "org/other");
    ck_assert_str_eq(mark, same);
    ck_assert_str_ne(mark, other);
    ck_assert_str_ne(mark, moved);
    ck_assert_uint_eq(strlen(mark), strlen("mf-123456-"));
    AUTO_FREE char *prefix = runner_name_prefix(mark, regions[_i], INT64_C(253402300799));
    ck_assert(str_starts(prefix, mark) && strstr(prefix, regions[_i]));
    ck_assert_uint_le(strlen(prefix) + 1 + 8, 64);
    ck_assert(label_is_valid(prefix));
}
END_TEST

START_TEST(made_labels)
{
    static const struct {
        const char *run, *attempt, *want;
    } cases[] = {
        { "4711", "2", "mayfly-4711-2-abcdef" }, { "4711", NULL, "mayfly-4711-1-abcdef" },
        { "4711", "", "mayfly-4711-1-abcdef" },  { NULL, "2", "mayfly-s44we8-abcdef" },
        { "", NULL, "mayfly-s44we8-abcdef" },
    };
    AUTO_FREE char *label =
        label_make(cases[_i].run, cases[_i].attempt, 1700000000, (const uint8_t[]){ 0, 1, 2, 3, 4, 5 });
    ck_assert_str_eq(label, cases[_i].want);
    ck_assert(label_is_valid(label));
}
END_TEST

START_TEST(labels)
{
    static const struct {
        const char *label;
        bool valid;
    } cases[] = {
        { "a", true },
        { "mayfly-1_2.3-A", true },
        { X32 X32 X32 "xxxx", true },
        { X32 X32 X32 "xxxxx", false },
        { "", false },
        { "a b", false },
        { "a,b", false },
        { "a\n", false },
        { "a/b", false },
        { "\xc3\xa9", false },
        { "$(id)", false },
    };
    ck_assert_int_eq(label_is_valid(cases[_i].label), cases[_i].valid);
}
END_TEST

/* --- the user-data ------------------------------------------------------------------------------------------------ */

/* What /bin/sh makes of the script: its output, at most 64 KiB. */
static char *run_shell(const char *script, size_t len)
{
    char file[] = "/tmp/mayfly-check-spec.XXXXXX";
    int fd = mkstemp(file), out[2];
    AUTO_STRBUF got = STRBUF_MAX(65536);
    ck_assert(fd >= 0 && write(fd, script, len) == (ssize_t)len && close(fd) == 0 && pipe(out) == 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execl("/bin/sh", "sh", "-eu", file, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    char chunk[4096];
    for (ssize_t n; (n = read(out[0], chunk, sizeof(chunk))) > 0;)
        strbuf_add(&got, chunk, (size_t)n);
    close(out[0]);
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    unlink(file);
    ck_assert_int_eq(status, 0);
    return strbuf_steal(&got);
}

/* The block of assignments: what comes before ami/boot.sh. */
static size_t length_of_assignments(const struct strbuf *script)
{
    const char *last = strstr(strbuf_str(script), "\nMAYFLY_DEBUG=");
    ck_assert_ptr_nonnull(last);
    return (size_t)(strchr(last + 1, '\n') + 1 - script->data);
}

static const char *const odd[] = {
    "plain",
    "",
    "two words",
    "it's",
    "'",
    "''",
    "'\\''",
    "\"double\" $HOME `id` $(id) ${x} \\ \\n !! # ; & | < > * ? [a] ~ {a,b}",
    "'; echo pwned; '",
    "line\nbreak\n",
    "\n\nleading",
    "tab\there\r",
    "-n",
    "-e \\t",
    "%s%n",
    "\xc3\xa9\xff\x01",
    "=a=b",
};

START_TEST(values_reach_the_shell_unread)
{
    AUTO_STRBUF script = STRBUF_INIT, want = STRBUF_INIT;
    const char *value = odd[_i];
    const struct strlist packages = LIST((char *)"one", (char *)value);
    const struct userdata u = { .jit = value,
                                .runner_name = value,
                                .runner_url = value,
                                .runner_sha256 = value,
                                .runner_dir = value,
                                .user = value,
                                .pre_runner = value,
                                .packages = &packages,
                                .limits = { .boot = 1, .idle = 22, .life = 333 },
                                .debug = true };
    userdata_render(&script, &u);
    strbuf_truncate(&script, length_of_assignments(&script));
    strbuf_adds(&script, "for v in \"$MAYFLY_JIT\" \"$MAYFLY_RUNNER_NAME\" \"$MAYFLY_RUNNER_URL\" "
                         "\"$MAYFLY_RUNNER_SHA256\" \"$MAYFLY_RUNNER_DIR\" \"$MAYFLY_USER\" \"$MAYFLY_PACKAGES\" "
                         "\"$MAYFLY_BOOT_SECONDS\" \"$MAYFLY_IDLE_SECONDS\" \"$MAYFLY_LIFE_SECONDS\" "
                         "\"$MAYFLY_DEBUG\" \"$MAYFLY_PRE_RUNNER\"; do printf '<%s>' \"$v\"; done\n");
    for (int i = 0; i < 6; i++)
        strbuf_addf(&want, "<%s>", value);
    strbuf_addf(&want, "<one\n%s><1><22><333><1><", value);
    encode_base64(&want, value, strlen(value));
    strbuf_addc(&want, '>');
    AUTO_FREE char *got = run_shell(strbuf_str(&script), script.len);
    ck_assert_str_eq(got, strbuf_str(&want));
}
END_TEST

START_TEST(userdata_begins_and_ends)
{
    AUTO_STRBUF script = STRBUF_INIT;
    const struct userdata u = { 0 };
    userdata_render(&script, &u);
    ck_assert(str_starts(strbuf_str(&script), "#!/bin/sh\n"));
    ck_assert(str_ends(strbuf_str(&script), "\n"));
    ck_assert_uint_gt(script.len, length_of_assignments(&script) + 1000); /* boot.sh is there */
    ck_assert_ptr_nonnull(strstr(strbuf_str(&script), "\nMAYFLY_JIT=''\n"));
    ck_assert_ptr_nonnull(strstr(strbuf_str(&script), "\nMAYFLY_DEBUG=''\n"));
}
END_TEST

/* To the byte: what fits passes, one byte more does not; and room is kept for a configuration not yet known. */
START_TEST(userdata_limit)
{
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF script = STRBUF_INIT, filler = STRBUF_INIT;
    struct userdata u = { .jit = "" };
    userdata_render(&script, &u);
    size_t room = USERDATA_MAX - script.len;
    ck_assert_uint_lt(script.len, USERDATA_MAX - USERDATA_JIT_RESERVE); /* else nothing could be launched */
    if (_i == 1) {
        u.jit = NULL;
        room -= USERDATA_JIT_RESERVE;
    }
    for (size_t i = 0; i < room; i++)
        strbuf_addc(&filler, 'x');
    u.user = strbuf_str(&filler);
    ASSERT_OK(userdata_check(&u, &err), &err);
    strbuf_addc(&filler, 'x');
    u.user = strbuf_str(&filler);
    ASSERT_FAILS(userdata_check(&u, &err), &err, "the user-data would have 16385 bytes, and EC2 takes 16384");
}
END_TEST

static TCase *specs(void)
{
    TCase *t = tcase_create("spec");
    tcase_add_loop_test(t, architectures, 0, 32);
    tcase_add_test(t, runner_architectures);
    tcase_add_loop_test(t, spec_refused, 0, 28);
    tcase_add_loop_test(t, image_fits, 0, 8);
    tcase_add_test(t, plan_order);
    return t;
}

static TCase *names(void)
{
    TCase *t = tcase_create("names");
    tcase_add_loop_test(t, limits, 0, 12);
    tcase_add_test(t, tags_of_a_runner);
    tcase_add_loop_test(t, runner_names, 0, 6);
    tcase_add_loop_test(t, made_labels, 0, 5);
    tcase_add_loop_test(t, labels, 0, 11);
    return t;
}

static TCase *userdata(void)
{
    TCase *t = tcase_create("userdata");
    tcase_add_loop_test(t, values_reach_the_shell_unread, 0, ARRAY_SIZE(odd));
    tcase_add_test(t, userdata_begins_and_ends);
    tcase_add_loop_test(t, userdata_limit, 0, 2);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { specs, names, userdata };
    return run_suite("spec", all, ARRAY_SIZE(all));
}
