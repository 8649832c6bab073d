#include "mayfly/runner/policy.h"
#include "testing.h"

#include <ctype.h>

static const char *const documents[] = { "start", "stop", "reap", "status", "bake", "doctor", "trust" };

static struct json_object *make(const char *commands, const struct policy_scope *scope)
{
    static const struct policy_scope none = { 0 };
    AUTO_STRLIST named = { 0 };
    strlist_split(&named, commands, " ");
    return policy_make(&named, scope ? scope : &none);
}

static struct json_object *trust(const char *repo, const char *subject)
{
    const struct policy_trust t = { .repo = repo, .subject = subject };
    return policy_trust_make(&t);
}

/* The examples are what the program prints: whoever changes the table writes them anew with
 * `mayfly policy NAME >examples/iam/NAME.json`. */
START_TEST(examples)
{
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF text = STRBUF_INIT;
    const char *name = documents[_i], *srcdir = getenv("srcdir");
    AUTO_FREE char *path = xasprintf("%s/examples/iam/%s.json", srcdir ? srcdir : ".", name);
    AUTO_JSON *want = str_eq(name, "trust") ? trust(NULL, "ref:refs/heads/main") : make(name, NULL);
    ASSERT_OK(strbuf_read_file(&text, path, "the example", &err), &err);
    AUTO_FREE char *printed =
        xasprintf("%s\n", json_object_to_json_string_ext(want, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                                   JSON_C_TO_STRING_NOSLASHESCAPE));
    ck_assert_str_eq(strbuf_str(&text), printed);
}
END_TEST

static struct json_object *member(struct json_object *o, const char *key)
{
    struct json_object *value = NULL;
    json_object_object_get_ex(o, key, &value);
    return value;
}

static const char *text_of(struct json_object *o, const char *key)
{
    return json_object_get_string(member(o, key));
}

/* The statement of this name, or NULL. */
static struct json_object *statement(struct json_object *document, const char *sid)
{
    struct json_object *list = member(document, "Statement");
    for (size_t i = 0; i < json_object_array_length(list); i++)
        if (str_eq(text_of(json_object_array_get_idx(list, i), "Sid"), sid))
            return json_object_array_get_idx(list, i);
    return NULL;
}

static size_t count(struct json_object *document)
{
    return json_object_array_length(member(document, "Statement"));
}

/* A managed policy takes 6144 characters, blanks not counted; names of statements are letters and digits, each once. */
START_TEST(what_iam_takes)
{
    AUTO_JSON *all = make("start stop reap doctor", NULL), *bake = make("bake", NULL);
    struct json_object *const each[] = { all, bake };
    for (size_t d = 0; d < ARRAY_SIZE(each); d++) {
        struct json_object *list = member(each[d], "Statement");
        ck_assert_uint_lt(strlen(json_object_to_json_string_ext(each[d], JSON_C_TO_STRING_PLAIN)), 6144);
        for (size_t i = 0; i < json_object_array_length(list); i++) {
            const char *sid = text_of(json_object_array_get_idx(list, i), "Sid");
            for (const char *c = sid; *c; c++)
                ck_assert(isalnum((unsigned char)*c));
            for (size_t k = 0; k < i; k++)
                ck_assert_str_ne(sid, text_of(json_object_array_get_idx(list, k), "Sid"));
        }
    }
}
END_TEST

/* The one or several strings of a member, joined by commas; owned. */
static char *texts_of(struct json_object *o, const char *name)
{
    struct json_object *v = o ? member(o, name) : NULL;
    AUTO_STRLIST all = { 0 };
    for (size_t i = 0; json_object_is_type(v, json_type_array) && i < json_object_array_length(v); i++)
        strlist_add(&all, json_object_get_string(json_object_array_get_idx(v, i)));
    if (json_object_is_type(v, json_type_string))
        strlist_add(&all, json_object_get_string(v));
    return strlist_join(&all, ",");
}

#define KEY(account, id) "arn:aws:kms:eu-west-1:" account ":key/" id

/* A statement of keys, which is there exactly if it has resources. */
static void is_about_keys(struct json_object *document, const char *sid, const char *resources, const char *aliases)
{
    struct json_object *s = statement(document, sid), *conditions = s ? member(s, "Condition") : NULL;
    AUTO_FREE char *got = texts_of(s, "Resource"), *actions = texts_of(s, "Action");
    AUTO_FREE char *behind =
        texts_of(conditions ? member(conditions, "ForAnyValue:StringEquals") : NULL, "kms:ResourceAliases");
    AUTO_FREE char *grants = texts_of(conditions ? member(conditions, "Bool") : NULL, "kms:GrantIsForAWSResource");
    AUTO_FREE char *via = texts_of(conditions ? member(conditions, "StringLike") : NULL, "kms:ViaService");
    bool grant = str_starts(sid, "Grant");
    ck_assert_str_eq(got, resources);
    ck_assert_str_eq(behind, aliases);
    ck_assert_int_eq(s != NULL, !str_empty(resources));
    if (!s)
        return;
    ck_assert_str_eq(via, "ec2.eu-west-1.amazonaws.com*");
    ck_assert_str_eq(grants, grant ? "true" : "");
    ck_assert_int_eq(str_eq(actions, "kms:CreateGrant"), grant);
}

/* Who launches with a key needs it, through EC2 only; grants are for EC2's own use. A key that is named by its id or
 * ARN need not have an alias that another one is named by. */
START_TEST(some_keys)
{
    static const struct {
        const char *keys, *resources, *behind, *aliases;
    } cases[] = {
        { "0a1b", KEY("1", "0a1b"), "", "" },
        { "mrk-1", KEY("1", "mrk-1"), "", "" },
        { KEY("2", "0a1b"), KEY("2", "0a1b"), "", "" },
        { "alias/ci", "", KEY("1", "*"), "alias/ci" },
        { "arn:aws:kms:eu-west-1:2:alias/ci", "", KEY("2", "*"), "alias/ci" },
        { "alias/ci alias/disk", "", KEY("1", "*"), "alias/ci,alias/disk" },
        { "0a1b alias/ci " KEY("2", "0a1b"), KEY("1", "0a1b") "," KEY("2", "0a1b"), KEY("1", "*"), "alias/ci" },
        { "alias/ci arn:aws:kms:eu-west-1:2:alias/ci", "", KEY("1", "*") "," KEY("2", "*"), "alias/ci" },
        { "", "", "", "" },
    };
    const struct strlist regions = { .v = (char *[]){ "eu-west-1" }, .n = 1 };
    AUTO_STRLIST keys = { 0 };
    strlist_split(&keys, cases[_i].keys, " ");
    strlist_add(&keys, ""); /* the account's default key, which has no name here */
    const struct policy_scope scope = { .account = "1", .regions = &regions, .kms_keys = &keys };
    AUTO_JSON *document = make("start", &scope), *stop = make("stop reap status doctor", &scope);
    is_about_keys(document, "UseKey", cases[_i].resources, "");
    is_about_keys(document, "GrantKey", cases[_i].resources, "");
    is_about_keys(document, "UseKeyByAlias", cases[_i].behind, cases[_i].aliases);
    is_about_keys(document, "GrantKeyByAlias", cases[_i].behind, cases[_i].aliases);
    ck_assert_ptr_null(statement(stop, "UseKey"));
    ck_assert_ptr_null(statement(stop, "UseKeyByAlias"));
    ck_assert_str_eq(policy_statement("start", "kms:CreateGrant", KEY("1", "0a1b")), "GrantKey");
    ck_assert_ptr_null(policy_statement("stop", "kms:CreateGrant", NULL));
}
END_TEST

/* Several commands make one policy, in which nothing stands twice. */
START_TEST(several_commands)
{
    AUTO_JSON *start = make("start stop", NULL), *stop = make("stop", NULL), *both = make("stop start stop", NULL);
    ck_assert_uint_eq(count(stop), 2);
    ck_assert_uint_eq(count(both), count(start));
    ck_assert_str_eq(text_of(statement(stop, "EndOwn"), "Action"), "ec2:TerminateInstances");
    ck_assert_ptr_null(statement(stop, "RunInto"));
    ck_assert(json_object_equal(start, both));
}
END_TEST

/* stop and reap must not be able to launch, tag or delete what is not the fleet's; and nothing may set the fleet. */
START_TEST(least)
{
    static const char *const free_reads[] = { "ec2:Describe", "sts:Decode" };
    for (size_t n = 0; n < 5; n++) {
        AUTO_JSON *policy = make(documents[n], NULL);
        struct json_object *list = member(policy, "Statement");
        for (size_t i = 0; i < json_object_array_length(list); i++) {
            struct json_object *s = json_object_array_get_idx(list, i);
            const char *actions = text_of(s, "Action"), *conditions = text_of(s, "Condition");
            bool read = false;
            for (size_t r = 0; r < ARRAY_SIZE(free_reads); r++)
                read = read || strstr(actions, free_reads[r]);
            if (read || str_eq(text_of(s, "Effect"), "Deny") || strstr(actions, "Parameter"))
                continue;
            ck_assert_msg(!str_eq(text_of(s, "Resource"), "*"), "%s: %s on anything", documents[n], actions);
            if (strstr(actions, "Terminate") || strstr(actions, "Delete") || strstr(actions, "Tags"))
                ck_assert_msg(conditions && strstr(conditions, "mayfly:fleet"), "%s: %s", documents[n], actions);
            if (strstr(actions, "CreateTags"))
                ck_assert_msg(strstr(conditions, "ec2:CreateAction") || strstr(conditions, "aws:TagKeys"), "%s: %s",
                              documents[n], actions);
        }
    }
}
END_TEST

START_TEST(filled_in)
{
    char *regions[] = { (char *)"us-gov-west-1", (char *)"us-gov-east-1" };
    char *subnets[] = { (char *)"subnet-1", (char *)"us-gov-east-1/subnet-2" }, *groups[] = { (char *)"sg-1" };
    char *images[] = { (char *)"ami-1", (char *)"us-gov-east-1/ami-2" };
    char *types[] = { (char *)"m7i.*", (char *)"c7i.*" }, *placement[] = { (char *)"pg" };
    char *roles[] = { (char *)"runner", (char *)"arn:aws-us-gov:iam::1:role/other" };
    const struct strlist region_list = { regions, 2 }, subnet_list = { subnets, 2 }, group_list = { groups, 1 };
    const struct strlist image_list = { images, 2 }, type_list = { types, 2 }, placement_list = { placement, 1 };
    const struct strlist role_list = { roles, 2 };
    const struct policy_scope scope = { .partition = "aws-us-gov",
                                        .account = "123456789012",
                                        .fleet = "octo/demo",
                                        .regions = &region_list,
                                        .region = "us-gov-west-1",
                                        .subnets = &subnet_list,
                                        .security_groups = &group_list,
                                        .images = &image_list,
                                        .types = &type_list,
                                        .placement_groups = &placement_list,
                                        .roles = &role_list };
    AUTO_JSON *policy = make("start", &scope);
    const char *into = text_of(statement(policy, "RunInto"), "Resource");
    static const char *const there[] = {
        "\"arn:aws-us-gov:ec2:us-gov-west-1:123456789012:subnet\\/subnet-1\"",
        "\"arn:aws-us-gov:ec2:us-gov-east-1:123456789012:subnet\\/subnet-2\"",
        "\"arn:aws-us-gov:ec2:us-gov-west-1:123456789012:security-group\\/sg-1\"",
        "\"arn:aws-us-gov:ec2:us-gov-west-1::image\\/ami-1\"",
        "\"arn:aws-us-gov:ec2:us-gov-east-1::image\\/ami-2\"",
        "\"arn:aws-us-gov:ec2:us-gov-east-1:123456789012:placement-group\\/pg\"",
    };
    for (size_t i = 0; i < ARRAY_SIZE(there); i++)
        ck_assert_msg(strstr(into, there[i]) != NULL, "no %s in %s", there[i], into);
    ck_assert_ptr_null(strstr(into, "us-gov-east-1:123456789012:subnet\\/subnet-1"));
    ck_assert_ptr_nonnull(strstr(text_of(statement(policy, "RunInstance"), "Condition"), "\"m7i.*\""));
    ck_assert_ptr_nonnull(strstr(text_of(statement(policy, "RunInstance"), "Condition"), "octo\\/demo"));
    ck_assert_ptr_nonnull(strstr(text_of(statement(policy, "PassRunnerRole"), "Resource"),
                                 "arn:aws-us-gov:iam::123456789012:role\\/runner"));
    ck_assert_ptr_null(statement(policy, "ReadParameter")); /* no image is named by one */
    const char *whole = json_object_to_json_string_ext(policy, JSON_C_TO_STRING_PLAIN);
    static const char *const placeholders[] = { "ACCOUNT", "REGION", "FLEET", "subnet-ID", "sg-ID", "{", "}" };
    for (size_t i = 0; i < 5; i++)
        ck_assert_ptr_null(strstr(whole, placeholders[i]));
}
END_TEST

START_TEST(parameters)
{
    char *images[] = { (char *)"ssm:/mayfly/ami/amd64", (char *)"us-west-2/ssm:/aws/service/x", (char *)"ami-1" };
    char *regions[] = { (char *)"us-east-1", (char *)"us-west-2" };
    const struct strlist image_list = { images, 3 }, region_list = { regions, 2 };
    const struct policy_scope scope = { .images = &image_list, .regions = &region_list };
    AUTO_JSON *policy = make("start", &scope);
    AUTO_JSON *want =
        json_tokener_parse("[\"arn:aws:ssm:us-east-1:ACCOUNT:parameter/mayfly/ami/amd64\","
                           " \"arn:aws:ssm:us-west-2:ACCOUNT:parameter/mayfly/ami/amd64\","
                           " \"arn:aws:ssm:us-west-2::parameter/aws/service/x\"]"); /* AWS's own are no account's */
    ck_assert(json_object_equal(member(statement(policy, "ReadParameter"), "Resource"), want));
    ck_assert_ptr_nonnull(strstr(text_of(statement(policy, "RunInto"), "Resource"), "image\\/*\""));
}
END_TEST

START_TEST(trusted)
{
    static const struct {
        const char *repo, *subject, *test, *words, *numbers;
    } cases[] = {
        { "octo/demo", "ref:refs/heads/main", "StringEquals", "repo:octo/demo:ref:refs/heads/main",
          "repo:octo@OWNER-ID/demo@REPO-ID:ref:refs/heads/main" },
        { "octo/demo", "*", "StringLike", "repo:octo/demo:*", "repo:octo@OWNER-ID/demo@REPO-ID:*" },
        { "octo", "environment:prod", "StringLike", "repo:octo/*:environment:prod",
          "repo:octo@OWNER-ID/*:environment:prod" },
    };
    AUTO_JSON *document = trust(cases[_i].repo, cases[_i].subject);
    struct json_object *conditions = member(statement(document, "GitHubActions"), "Condition");
    struct json_object *sub = member(member(conditions, cases[_i].test), "token.actions.githubusercontent.com:sub");
    ck_assert_uint_eq(json_object_array_length(sub), 2);
    ck_assert_str_eq(json_object_get_string(json_object_array_get_idx(sub, 0)), cases[_i].words);
    ck_assert_str_eq(json_object_get_string(json_object_array_get_idx(sub, 1)), cases[_i].numbers);
    ck_assert_str_eq(text_of(member(conditions, "StringEquals"), "token.actions.githubusercontent.com:aud"),
                     "sts.amazonaws.com");
}
END_TEST

#define ARN(what) "arn:aws:ec2:us-east-1:123456789012:" what

START_TEST(which_statement)
{
    static const struct {
        const char *command, *action, *resource, *sid;
    } cases[] = {
        { "start", "ec2:RunInstances", ARN("instance/*"), "RunInstance" },
        { "start", "ec2:RunInstances", ARN("volume/*"), "RunTagged" },
        { "start", "ec2:RunInstances", ARN("subnet/subnet-0a11ce01"), "RunInto" },
        { "start", "ec2:RunInstances", "arn:aws:ec2:us-east-1::image/ami-1", "RunInto" },
        { "start", "ec2:RunInstances", NULL, "RunInto" },
        { "start", "ec2:RunInstances", ARN("key-pair/mine"), NULL }, /* Mayfly gives none */
        { "start", "ec2:CreateTags", ARN("instance/*"), "TagOnCreate" },
        { "reap", "ec2:CreateTags", ARN("instance/i-1"), "MarkOwn" },
        { "start", "ec2:DescribeImages", "*", "Read" },
        { "start", "ec2:DescribeImages", NULL, "Read" },
        { "stop", "ec2:TerminateInstances", ARN("instance/i-1"), "EndOwn" },
        { "reap", "ec2:TerminateInstances", ARN("instance/i-1"), "EndOwn" },
        { "start", "ssm:GetParameter", "arn:aws:ssm:us-east-1:1:parameter/mayfly/ami", "ReadParameter" },
        { "start", "iam:PassRole", "arn:aws:iam::1:role/runner", "PassRunnerRole" },
        { "stop", "ec2:RunInstances", NULL, NULL },
        { "stop", "ec2:TerminateInstances", ARN("*"), "EndOwn" },
        { "start", "ec2:NoSuchThing", NULL, NULL },
    };
    ck_assert_pstr_eq(policy_statement(cases[_i].command, cases[_i].action, cases[_i].resource), cases[_i].sid);
}
END_TEST

START_TEST(commands_with_a_policy)
{
    for (size_t i = 0; i + 1 < ARRAY_SIZE(documents); i++)
        ck_assert(policy_is_for(documents[i]));
    ck_assert(!policy_is_for("trust"));
    ck_assert(!policy_is_for("serve"));
    ck_assert(!policy_is_for(""));
}
END_TEST

static TCase *policy_cases(void)
{
    TCase *t = tcase_create("policy");
    tcase_add_loop_test(t, examples, 0, ARRAY_SIZE(documents));
    tcase_add_test(t, what_iam_takes);
    tcase_add_test(t, several_commands);
    tcase_add_loop_test(t, some_keys, 0, 9);
    tcase_add_test(t, least);
    tcase_add_test(t, filled_in);
    tcase_add_test(t, parameters);
    tcase_add_loop_test(t, trusted, 0, 3);
    tcase_add_loop_test(t, which_statement, 0, 17);
    tcase_add_test(t, commands_with_a_policy);
    return t;
}

int main(void)
{
    static TCase *(*const cases[])(void) = { policy_cases };
    return run_suite("policy", cases, ARRAY_SIZE(cases));
}
