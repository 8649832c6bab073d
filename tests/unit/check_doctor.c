#include "mayfly/runner/doctor.h"
#include "mayfly/runner/policy.h"
#include "mayfly/util/clock.h"
#include "testing.h"

static const struct finding *last(const struct findings *f)
{
    ck_assert_uint_gt(f->n, 0);
    return &f->v[f->n - 1];
}

static void is_finding(const struct findings *f, enum finding_status status, const char *result, const char *fix)
{
    const struct finding *v = last(f);
    ck_assert_msg(v->status == status, "%s: %s: %s", v->did, finding_status_name(v->status), v->result);
    ck_assert_msg(strstr(v->result, result) != NULL, "no `%s` in: %s", result, v->result);
    if (fix)
        ck_assert_msg(v->fix && strstr(v->fix, fix), "no `%s` in: %s", fix, v->fix ? v->fix : "nothing");
    else
        ck_assert_msg(!v->fix, "a fix: %s", v->fix);
}

/* --- findings ----------------------------------------------------------------------------------------------------- */

START_TEST(settled)
{
    AUTO_FINDINGS f = { 0 };
    finding_result(finding_add(&f, CHECK_TOKEN, FINDING_OK, "showed it"), "good");
    finding_result(finding_add(&f, CHECK_TYPE, FINDING_AVOIDABLE, "looked"), "no");
    finding_result(finding_add(&f, CHECK_EGRESS, FINDING_OK, "read %s", "sg-1"), "all");
    finding_result(finding_add(&f, CHECK_EGRESS, FINDING_OK, "read %s", "sg-1"), "all");
    finding_result(finding_add(&f, CHECK_EGRESS, FINDING_OK, "read %s", "sg-2"), "all");
    finding_result(finding_add(&f, CHECK_OPTIONS, FINDING_OK, "read"), "well");
    findings_settle(&f, _i ? 1 : 0);
    ck_assert_uint_eq(f.n, 5); /* what is said twice is told once */
    ck_assert_int_eq(f.v[0].check, CHECK_OPTIONS);
    ck_assert_str_eq(f.v[2].did, "read sg-2");
    ck_assert_int_eq(f.v[3].status, _i ? FINDING_WARNING : FINDING_PROBLEM); /* elsewhere there is room, or nowhere */
    ck_assert_int_eq(f.v[4].check, CHECK_TOKEN);
    ck_assert_int_eq(findings_have_problem(&f), !_i);
}
END_TEST

START_TEST(lines)
{
    AUTO_FINDINGS f = { 0 };
    struct finding *v = finding_add(&f, CHECK_IMAGE, FINDING_PROBLEM, "looked");
    finding_result(v, "%s", "a\nb");
    finding_result(v, "c");
    finding_fix(v, "%s", "d\tx");
    finding_fix(v, "f");
    ck_assert_str_eq(v->result, "a b, c");
    ck_assert_str_eq(v->fix, "d x; f");
    for (int check = 0; check <= CHECK_RUNNER_GROUP; check++)
        ck_assert_msg(check_name((enum check)check) != NULL, "check %d has no name", check);
    ck_assert_str_eq(finding_status_name(FINDING_NOT_CHECKED), "not checked");
    ck_assert(!findings_have_problem(&(struct findings){ 0 }));
}
END_TEST

/* --- clock, limits, images ---------------------------------------------------------------------------------------- */

START_TEST(clocks)
{
    AUTO_FINDINGS f = { 0 };
    doctor_clock(&f, 0);
    is_finding(&f, FINDING_OK, "0 s", NULL);
    doctor_clock(&f, -60);
    is_finding(&f, FINDING_OK, "60 s ahead", NULL);
    doctor_clock(&f, 1000);
    is_finding(&f, FINDING_WARNING, "1000 s behind", "NTP");
    doctor_clock(&f, -61);
    is_finding(&f, FINDING_WARNING, "61 s ahead", "NTP");
}
END_TEST

START_TEST(limits_of_time)
{
    AUTO_FINDINGS f = { 0 };
    struct spec s = { .timeout = 600, .idle_limit = 1800, .max_lifetime = 21600 };
    doctor_limits(&f, &s);
    is_finding(&f, FINDING_OK, "--timeout 10m, --idle-limit 30m, --max-lifetime 6h", NULL);
    s.timeout = 119;
    doctor_limits(&f, &s);
    is_finding(&f, FINDING_WARNING, "119s", "--timeout");
    s.timeout = 600;
    s.idle_limit = 60;
    doctor_limits(&f, &s);
    is_finding(&f, FINDING_WARNING, "1m", "--idle-limit");
}
END_TEST

START_TEST(image_ages)
{
    static const struct {
        const char *created;
        enum finding_status status;
        const char *result, *fix;
    } cases[] = {
        { "2026-11-21T00:00:00.000Z", FINDING_OK, "0 days", NULL },
        { "2026-10-22T00:00:00.000Z", FINDING_OK, "30 days", NULL },
        { "2026-10-21T00:00:00.000Z", FINDING_WARNING, "31 days", "soon" },
        { "2026-09-22T00:00:00.000Z", FINDING_WARNING, "60 days", "soon" },
        { "2026-09-21T00:00:00.000Z", FINDING_WARNING, "61 days", "two months" },
        { "2027-01-01T00:00:00.000Z", FINDING_OK, "0 days", NULL }, /* a clock that is off is told elsewhere */
        { "yesterday", FINDING_NOT_CHECKED, "does not say", NULL },
        { NULL, FINDING_NOT_CHECKED, "does not say", NULL },
    };
    int64_t now;
    AUTO_FINDINGS f = { 0 };
    const struct image image = { .id = "ami-1", .region = "us-east-1", .created = cases[_i].created };
    ck_assert(clock_parse_rfc3339("2026-11-21T12:00:00Z", &now));
    doctor_image_age(&f, &image, now);
    is_finding(&f, cases[_i].status, cases[_i].result, cases[_i].fix);
}
END_TEST

START_TEST(runner_versions)
{
    static const struct {
        const char *own, *newest;
        enum finding_status status;
        const char *result, *fix;
    } cases[] = {
        { "2.337.0", "2.337.0", FINDING_OK, "it is the latest", NULL },
        { "2.338.0", "2.337.0", FINDING_OK, "it is the latest", NULL },
        { "2.336.0", "2.337.0", FINDING_WARNING, "behind 2.337.0", "30 days" },
        { "2.99.9", "2.337.0", FINDING_WARNING, "behind", "30 days" }, /* numbers, not text */
        { "2.337", "2.337.1", FINDING_WARNING, "behind", "30 days" },
        { "1.400.0", "2.337.0", FINDING_WARNING, "behind", "30 days" },
        { "", "2.337.0", FINDING_WARNING, "behind", "30 days" },
        { "2.337.0", NULL, FINDING_NOT_CHECKED, "does not say", NULL },
        { NULL, "2.337.0", FINDING_OK, "2.337.0 is downloaded at boot", NULL },
        { NULL, NULL, FINDING_OK, "downloaded at boot", NULL },
    };
    AUTO_FINDINGS f = { 0 };
    const struct image image = { .id = "ami-1", .has_runner = cases[_i].own != NULL, .runner_version = cases[_i].own };
    doctor_runner_version(&f, &image, cases[_i].newest);
    is_finding(&f, cases[_i].status, cases[_i].result, cases[_i].fix);
}
END_TEST

START_TEST(newest_runner)
{
    AUTO_ARENA arena = { 0 };
    struct github_download rows[] = {
        { .os = "linux", .url = "https://x/v2.99.0/actions-runner-linux-x64-2.99.0.tar.gz" },
        { .os = "linux", .url = "https://x/v2.337.1/actions-runner-linux-arm64-2.337.1.tar.gz" },
        { .os = "win", .url = "https://x/actions-runner-win-x64.zip" },
        { .os = "osx", .url = NULL },
    };
    const struct field_list all = { .rows = rows, .n = 4 }, none = { .rows = rows + 2, .n = 2 };
    ck_assert_str_eq(doctor_newest_runner(&all, &arena), "2.337.1");
    ck_assert_ptr_null(doctor_newest_runner(&none, &arena));
}
END_TEST

/* --- the network -------------------------------------------------------------------------------------------------- */

static const struct site site = { .region = "us-east-1",
                                  .subnet = "subnet-1",
                                  .security_groups = { .v = (char *[]){ "sg-1", "sg-2" }, .n = 2 } };
static const struct ec2_subnet public_subnet = { "subnet-1", "vpc-1", "us-east-1a", "available", 5, true };
static const struct ec2_subnet private_subnet = { "subnet-1", "vpc-1", "us-east-1a", "available", 5, false };

START_TEST(subnets_with_room)
{
    AUTO_FINDINGS f = { 0 };
    struct ec2_subnet n = public_subnet;
    const struct field_list rows = { .rows = &n, .n = 1 };
    ck_assert(doctor_subnet(&f, &site, &n, 5));
    is_finding(&f, FINDING_OK, "zone us-east-1a, 5 addresses free", NULL);
    ck_assert(doctor_subnet(&f, &site, &n, 6));
    is_finding(&f, FINDING_WARNING, "5 addresses", "--count 6");
    n.free = 0;
    ck_assert(!doctor_subnet(&f, &site, &n, 1));
    is_finding(&f, FINDING_AVOIDABLE, "0 addresses", "--subnets");
    ck_assert(!doctor_subnet(&f, &site, NULL, 1));
    is_finding(&f, FINDING_PROBLEM, "no such subnet", "describe-subnets");
    ck_assert_ptr_eq(doctor_find_subnet(&rows, "subnet-1"), &n);
    ck_assert_ptr_null(doctor_find_subnet(&rows, "subnet-2"));
}
END_TEST

START_TEST(routes)
{
    static const struct {
        const char *target, *state;
        bool public;
        enum ec2_public_ip asked;
        enum finding_status status;
        const char *result, *fix;
    } cases[] = {
        { "igw-1", "active", true, EC2_PUBLIC_IP_DEFAULT, FINDING_OK, "by igw-1, with a public address", NULL },
        { "igw-1", "active", false, EC2_PUBLIC_IP_YES, FINDING_OK, "with a public address", NULL },
        { "igw-1", "active", false, EC2_PUBLIC_IP_DEFAULT, FINDING_PROBLEM, "GitHub cannot be reached",
          "--public-ip yes" },
        { "igw-1", "active", true, EC2_PUBLIC_IP_NO, FINDING_PROBLEM, "without a public address", "NAT gateway" },
        { "nat-1", "active", false, EC2_PUBLIC_IP_DEFAULT, FINDING_OK, "by nat-1", NULL },
        { "nat-1", "active", true, EC2_PUBLIC_IP_NO, FINDING_OK, "by nat-1", NULL },
        { "nat-1", "blackhole", false, EC2_PUBLIC_IP_DEFAULT, FINDING_PROBLEM, "which is gone", "exists" },
        { "tgw-1", "active", false, EC2_PUBLIC_IP_DEFAULT, FINDING_OK, "nothing can be checked from here", NULL },
        { NULL, "active", true, EC2_PUBLIC_IP_DEFAULT, FINDING_PROBLEM, "GitHub cannot be reached", "NAT gateway" },
    };
    AUTO_FINDINGS f = { 0 };
    struct ec2_route own[] = { { "10.0.0.0/16", "local", "active" },
                               { "0.0.0.0/0", cases[_i].target, cases[_i].state } };
    struct ec2_route other[] = { { "0.0.0.0/0", "igw-other", "active" } };
    struct ec2_association mine = { "subnet-1", false }, main = { NULL, true }, theirs = { "subnet-9", false };
    struct ec2_route_table tables[] = {
        { "rtb-3", "vpc-1", { .rows = other, .n = 1 }, { .rows = &theirs, .n = 1 } },
        { "rtb-2", "vpc-1", { .rows = other, .n = 1 }, { .rows = &main, .n = 1 } },
        { "rtb-1", "vpc-1", { .rows = own, .n = cases[_i].target ? 2 : 1 }, { .rows = &mine, .n = 1 } },
    };
    const struct field_list rows = { .rows = tables, .n = 3 };
    doctor_route(&f, &site, cases[_i].public ? &public_subnet : &private_subnet, &rows, cases[_i].asked);
    is_finding(&f, cases[_i].status, cases[_i].result, cases[_i].fix);
}
END_TEST

/* Without a table of its own a subnet follows the main one of its VPC, and of no other. */
START_TEST(main_table)
{
    AUTO_FINDINGS f = { 0 };
    struct ec2_route nat = { "0.0.0.0/0", "nat-main", "active" };
    struct ec2_association main = { "", true };
    struct ec2_route_table table = { "rtb-1", "vpc-1", { .rows = &nat, .n = 1 }, { .rows = &main, .n = 1 } };
    const struct field_list rows = { .rows = &table, .n = 1 };
    doctor_route(&f, &site, &private_subnet, &rows, EC2_PUBLIC_IP_DEFAULT);
    is_finding(&f, FINDING_OK, "nat-main", NULL);
    table.vpc = "vpc-2";
    doctor_route(&f, &site, &private_subnet, &rows, EC2_PUBLIC_IP_DEFAULT);
    is_finding(&f, FINDING_PROBLEM, "GitHub cannot be reached", "NAT gateway");
}
END_TEST

START_TEST(egress)
{
    static const struct {
        const char *protocol, *from, *to, *cidr, *other;
        enum finding_status status;
        const char *result;
    } cases[] = {
        { "-1", NULL, NULL, "0.0.0.0/0", NULL, FINDING_OK, "everywhere" },
        { "tcp", "443", "443", "0.0.0.0/0", NULL, FINDING_OK, "everywhere" },
        { "tcp", "0", "65535", "0.0.0.0/0", NULL, FINDING_OK, "everywhere" },
        { "6", "80", "8080", "0.0.0.0/0", NULL, FINDING_OK, "everywhere" },
        { "tcp", "80", "80", "0.0.0.0/0", NULL, FINDING_PROBLEM, "no security group allows outbound HTTPS" },
        { "tcp", "444", "65535", "0.0.0.0/0", NULL, FINDING_PROBLEM, "GitHub cannot be reached" },
        { "udp", "443", "443", "0.0.0.0/0", NULL, FINDING_PROBLEM, "no security group" },
        { "icmp", "-1", "-1", "0.0.0.0/0", NULL, FINDING_PROBLEM, "no security group" },
        { "tcp", "443", "443", "140.82.112.0/20", NULL, FINDING_WARNING, "some addresses" },
        { "-1", NULL, NULL, NULL, "pl-1", FINDING_WARNING, "some addresses" },
        { "tcp", "443", "443", NULL, NULL, FINDING_PROBLEM, "no security group" }, /* for IPv6 alone */
    };
    AUTO_FINDINGS f = { 0 };
    const char *cidr = cases[_i].cidr, *other = cases[_i].other;
    struct ec2_permission rule = { .protocol = cases[_i].protocol,
                                   .from = cases[_i].from,
                                   .to = cases[_i].to,
                                   .cidrs = { .rows = &cidr, .n = cidr != NULL },
                                   .others = { .rows = &other, .n = other != NULL } };
    struct ec2_group groups[] = { { "sg-1", "vpc-1", { 0 } }, { "sg-2", "vpc-1", { .rows = &rule, .n = 1 } } };
    const struct field_list rows = { .rows = groups, .n = 2 };
    doctor_egress(&f, &site, &public_subnet, &rows);
    is_finding(&f, cases[_i].status, cases[_i].result, cases[_i].status == FINDING_OK ? NULL : "");
}
END_TEST

START_TEST(groups_that_do_not_fit)
{
    AUTO_FINDINGS f = { 0 };
    struct ec2_group groups[] = { { "sg-1", "vpc-1", { 0 } }, { "sg-2", "vpc-2", { 0 } } };
    struct field_list rows = { .rows = groups, .n = 2 };
    doctor_egress(&f, &site, &public_subnet, &rows);
    is_finding(&f, FINDING_PROBLEM, "sg-2 is of another VPC than subnet-1", "--security-groups");
    rows.n = 1;
    doctor_egress(&f, &site, NULL, &rows);
    is_finding(&f, FINDING_PROBLEM, "there is no sg-2", "--security-groups");
}
END_TEST

START_TEST(types_in_a_zone)
{
    AUTO_FINDINGS f = { 0 };
    struct ec2_offering offers[] = { { "m7i.large", "us-east-1a" }, { "g5.xlarge", "us-east-1b" } };
    const struct field_list rows = { .rows = offers, .n = 2 };
    ck_assert(doctor_type(&f, &public_subnet, "us-east-1", "m7i.large", &rows));
    is_finding(&f, FINDING_OK, "it is", NULL);
    ck_assert(!doctor_type(&f, &public_subnet, "us-east-1", "g5.xlarge", &rows));
    is_finding(&f, FINDING_AVOIDABLE, "in other zones of us-east-1", "other zones");
    ck_assert(!doctor_type(&f, &public_subnet, "us-east-1", "m7i.lrage", &rows));
    is_finding(&f, FINDING_AVOIDABLE, "nor anywhere", "the spelling");
}
END_TEST

START_TEST(rates)
{
    AUTO_FINDINGS f = { 0 };
    struct github_rate rate = { 5000, 4999, 1000 };
    doctor_rate(&f, &rate, 900);
    is_finding(&f, FINDING_OK, "4999 of 5000", NULL);
    rate.remaining = 499;
    doctor_rate(&f, &rate, 900);
    is_finding(&f, FINDING_WARNING, "499 of", "wait 100 s");
    rate.remaining = 0;
    doctor_rate(&f, &rate, 2000);
    is_finding(&f, FINDING_PROBLEM, "0 of", "wait 0 s");
}
END_TEST

#define DRY "a dry run does not ask KMS"
#define PRINTS(key) "`mayfly policy start --volume-kms-key " key "` prints"
static const struct {
    struct volume_encryption account;
    const char *key; /* of the options, or NULL */
    size_t n;        /* findings */
    enum finding_status status;
    const char *result, *fix; /* of the last one */
    bool shared;
} encryptions[] = {
    { { false, NULL, "1" }, NULL, 1, FINDING_OK, "the account encrypts none by default", NULL, false },
    { { true, "alias/aws/ebs", "1" }, NULL, 1, FINDING_OK, "alias/aws/ebs, AWS's own key", NULL, false },
    { { true, "arn:aws:kms:r:1:alias/aws/ebs", "1" }, NULL, 1, FINDING_OK, "AWS's own key", NULL, false },
    { { true, "arn:aws:kms:r:1:key/0a", "1" },
      NULL,
      1,
      FINDING_NOT_CHECKED,
      "arn:aws:kms:r:1:key/0a, " DRY,
      PRINTS("arn:aws:kms:r:1:key/0a"),
      false },
    { { true, "arn:aws:kms:r:2:key/0a", "1" }, NULL, 1, FINDING_NOT_CHECKED, DRY, "let the account 1 use it", true },
    { { true, "arn:aws:kms:r:2:key/0a", NULL },
      NULL,
      1,
      FINDING_NOT_CHECKED,
      DRY,
      PRINTS("arn:aws:kms:r:2:key/0a"),
      false },
    { { true, NULL, "1" }, NULL, 1, FINDING_NOT_CHECKED, "the account's default key, " DRY, PRINTS("KEY"), false },
    { { false, NULL, "1" }, "alias/ci", 1, FINDING_NOT_CHECKED, "alias/ci, " DRY, PRINTS("alias/ci"), false },
    { { false, NULL, "1" }, "arn:aws:kms:r:2:key/0a", 1, FINDING_NOT_CHECKED, DRY, "let the account 1 use it", true },
    { { false, "alias/aws/ebs", "1" }, "", 1, FINDING_OK, "alias/aws/ebs, AWS's own key", NULL, false },
    { { false, NULL, "1" }, "", 1, FINDING_NOT_CHECKED, "the account's default key, " DRY, PRINTS("KEY"), false },
    { { true, "alias/aws/ebs", "1" }, "alias/ci", 2, FINDING_NOT_CHECKED, "alias/ci", PRINTS("alias/ci"), false },
};
START_TEST(encryption)
{
    AUTO_FINDINGS f = { 0 };
    char *given[] = { (char *)encryptions[_i].key };
    const struct strlist keys = { .v = given, .n = given[0] ? 1 : 0 };
    doctor_encryption(&f, "r", &keys, &encryptions[_i].account);
    ck_assert_uint_eq(f.n, encryptions[_i].n);
    ck_assert_str_eq(last(&f)->did, "checked which key encrypts volumes in r");
    is_finding(&f, encryptions[_i].status, encryptions[_i].result, encryptions[_i].fix);
    ck_assert_int_eq(last(&f)->fix && strstr(last(&f)->fix, "of another account"), encryptions[_i].shared);
}
END_TEST

/* --- which cells to try ------------------------------------------------------------------------------------------- */

/* 2 markets x 3 types x 3 subnets, in the plan's order. */
START_TEST(picks)
{
    static const char *const types[] = { "a", "b", "c" }, *const subnets[] = { "1", "2", "3" };
    struct image image = { .region = "r" };
    struct cell cells[18];
    struct plan plan = { .cells = cells, .n = 18 };
    size_t picked[18], seen_types = 0, seen_subnets = 0, seen_markets = 0, most = (size_t)_i;
    for (size_t i = 0; i < 18; i++)
        cells[i] = (struct cell){
            .region = "r", .type = types[i / 3 % 3], .subnet = subnets[i % 3], .image = &image, .spot = i < 9
        };
    size_t n = doctor_pick(&plan, most, picked);
    ck_assert_uint_eq(n, most < 18 ? most : 18);
    for (size_t i = 0; i < n; i++) {
        const struct cell *c = &cells[picked[i]];
        ck_assert(i == 0 || picked[i] > picked[i - 1]); /* in order, none twice */
        seen_types |= (size_t)1 << (c->type[0] - 'a');
        seen_subnets |= (size_t)1 << (c->subnet[0] - '1');
        seen_markets |= c->spot ? 1 : 2;
    }
    if (most >= 6)
        ck_assert_msg(seen_types == 7 && seen_subnets == 7 && seen_markets == 3, "%zu: %zu %zu %zu", most, seen_types,
                      seen_subnets, seen_markets);
}
END_TEST

/* --- refusals ----------------------------------------------------------------------------------------------------- */

START_TEST(refusals)
{
    struct aws_denial d = { .action = (char *)"ec2:RunInstances",
                            .resource = (char *)"arn:aws:ec2:us-east-1:1:volume/*",
                            .reason = (char *)"no identity-based policy allows it",
                            .encoded = (char *)"abc" };
    AUTO_FREE char *what = policy_denied(&d), *advice = policy_advice(&d, "start");
    AUTO_FREE char *command = policy_decode_command(&d), *other = policy_advice(&d, "stop");
    ck_assert_str_eq(what, "ec2:RunInstances on arn:aws:ec2:us-east-1:1:volume/* is denied: no identity-based policy "
                           "allows it");
    ck_assert_str_eq(advice, "the statement RunTagged of `mayfly policy start` allows it");
    ck_assert_str_eq(other, "`mayfly policy stop` prints what the policy must allow");
    ck_assert_ptr_nonnull(strstr(command, "aws sts decode-authorization-message"));
    ck_assert(str_ends(command, " --encoded-message abc"));
    d.reason = (char *)"with an explicit deny in a service control policy";
    AUTO_FREE char *forbidden = policy_advice(&d, "start");
    ck_assert_ptr_nonnull(strstr(forbidden, "the owner of that policy"));
    const struct aws_denial nothing = { 0 };
    ck_assert_ptr_null(policy_denied(&nothing));
    ck_assert_ptr_null(policy_decode_command(&nothing));
}
END_TEST

START_TEST(long_messages)
{
    AUTO_STRBUF message = STRBUF_INIT;
    for (size_t i = 0; i < 10000; i++)
        strbuf_addc(&message, 'x');
    const struct aws_denial d = { .encoded = message.data };
    AUTO_FREE char *command = policy_decode_command(&d);
    ck_assert_uint_lt(strlen(command), 2300);
    ck_assert_ptr_nonnull(strstr(command, "10000 characters"));
}
END_TEST

START_TEST(decoded)
{
    const struct sts_refusal none = { false, "ec2:CreateTags", "arn:x" }, all = { true, NULL, NULL };
    AUTO_FREE char *implicit = policy_decoded(&none), *explicit = policy_decoded(&all);
    ck_assert_str_eq(implicit, "decoded: implicit deny (no statement allows it) of ec2:CreateTags on arn:x");
    ck_assert_str_eq(explicit, "decoded: explicit deny of ? on ?");
}
END_TEST

static TCase *findings_cases(void)
{
    TCase *t = tcase_create("findings");
    tcase_add_loop_test(t, settled, 0, 2);
    tcase_add_test(t, lines);
    return t;
}

static TCase *judgements(void)
{
    TCase *t = tcase_create("judgements");
    tcase_add_test(t, clocks);
    tcase_add_test(t, limits_of_time);
    tcase_add_loop_test(t, image_ages, 0, 8);
    tcase_add_loop_test(t, runner_versions, 0, 10);
    tcase_add_test(t, newest_runner);
    tcase_add_test(t, subnets_with_room);
    tcase_add_loop_test(t, routes, 0, 9);
    tcase_add_test(t, main_table);
    tcase_add_loop_test(t, egress, 0, 11);
    tcase_add_test(t, groups_that_do_not_fit);
    tcase_add_test(t, types_in_a_zone);
    tcase_add_loop_test(t, encryption, 0, 12);
    tcase_add_test(t, rates);
    tcase_add_loop_test(t, picks, 1, 20);
    return t;
}

static TCase *refusals_cases(void)
{
    TCase *t = tcase_create("refusals");
    tcase_add_test(t, refusals);
    tcase_add_test(t, long_messages);
    tcase_add_test(t, decoded);
    return t;
}

int main(void)
{
    static TCase *(*const cases[])(void) = { findings_cases, judgements, refusals_cases };
    return run_suite("doctor", cases, ARRAY_SIZE(cases));
}
