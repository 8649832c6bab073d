#include "../../src/aws/creds_provider.h"
#include "mayfly/aws/creds_fetch.h"
#include "mayfly/util/words.h"
#include "testing.h"

#include <unistd.h>

#define NO_ENV ((const char *const[]){ NULL })
#define NO_IMDS ENV("AWS_EC2_METADATA_DISABLED", "true")

/* --- static keys -------------------------------------------------------------------------------------------------- */

#define KEYS(id) "aws_access_key_id = " id "\naws_secret_access_key = secret-of-" id "\n"

struct creds_case {
    const char *const *env;
    const char *config, *credentials, *profile; /* profile: by flag */
    const char *id;                             /* or NULL: fails */
    const char *why;                            /* the token when it succeeds, or NULL; else a part of the message */
};

static const struct creds_case creds_cases[] = {
    { ENV("AWS_ACCESS_KEY_ID", "E", "AWS_SECRET_ACCESS_KEY", "secret-of-E"), "", "", NULL, "E", NULL },
    { ENV("AWS_ACCESS_KEY_ID", "E", "AWS_SECRET_ACCESS_KEY", "secret-of-E", "AWS_SESSION_TOKEN", "T"), "", "", NULL,
      "E", "T" },
    { ENV("AWS_ACCESS_KEY_ID", "E", "AWS_SECRET_ACCESS_KEY", "secret-of-E", "AWS_SESSION_TOKEN", ""), "", "", NULL, "E",
      NULL },
    /* The environment beats AWS_PROFILE and the default profile, and a profile by flag beats the environment. */
    { ENV("AWS_ACCESS_KEY_ID", "E", "AWS_SECRET_ACCESS_KEY", "secret-of-E", "AWS_PROFILE", "p"), "",
      "[p]\n" KEYS("P") "[default]\n" KEYS("D"), NULL, "E", NULL },
    { ENV("AWS_ACCESS_KEY_ID", "E", "AWS_SECRET_ACCESS_KEY", "secret-of-E"), "", "[p]\n" KEYS("P"), "p", "P", NULL },
    { ENV("AWS_PROFILE", "q"), "", "[p]\n" KEYS("P") "[q]\n" KEYS("Q"), "p", "P", NULL },
    { ENV("AWS_PROFILE", "q"), "", "[p]\n" KEYS("P") "[q]\n" KEYS("Q"), NULL, "Q", NULL },
    { ENV("AWS_PROFILE", ""), "", "[default]\n" KEYS("D"), NULL, "D", NULL },
    { NO_ENV, "", "[default]\n" KEYS("D") "aws_session_token = T\n", NULL, "D", "T" },
    /* Sections of the config file. */
    { NO_ENV, "[default]\n" KEYS("C"), "", NULL, "C", NULL },
    { NO_ENV, "[profile default]\n" KEYS("C"), "", NULL, "C", NULL },
    { NO_ENV, "[default]\n" KEYS("C") "[profile default]\n" KEYS("CP"), "", NULL, "CP", NULL },
    { NO_ENV, "[default]\n" KEYS("C") "[profile default]\naws_access_key_id =\naws_secret_access_key =\n", "", NULL,
      "C", NULL },
    { NO_ENV, "[profile p]\n" KEYS("P"), "", "p", "P", NULL },
    { NO_ENV, "[p]\n" KEYS("P"), "", "p", NULL, "there is no AWS profile `p`" },
    { NO_ENV, "[profile default]\n" KEYS("C"), "[default]\n" KEYS("D"), NULL, "D", NULL },
    /* A token of the config file does not belong to a key of the credentials file. */
    { NO_ENV, "[default]\n" KEYS("C") "aws_session_token = T\n", "[default]\n" KEYS("D"), NULL, "D", NULL },
    { NO_ENV, "[default]\nregion = us-east-1\n", "[default]\n" KEYS("D"), NULL, "D", NULL },
    /* What is absent, and what is broken. */
    { NO_IMDS, "", "", NULL, NULL, "no AWS credentials found" },
    { NO_IMDS, "[default]\nregion = us-east-1\n", "", NULL, NULL, "no AWS credentials found" },
    { ENV("AWS_DEFAULT_PROFILE", "p", "AWS_PROFILE", "q"), "", "[p]\n" KEYS("P") "[q]\n" KEYS("Q"), NULL, "P", NULL },
    { ENV("AWS_DEFAULT_PROFILE", "p"), "", "[p]\n" KEYS("P") "[q]\n" KEYS("Q"), "q", "Q", NULL },
    { ENV("AWS_DEFAULT_PROFILE", "", "AWS_PROFILE", "q"), "", "[q]\n" KEYS("Q"), NULL, "Q", NULL },
    { ENV("AWS_DEFAULT_PROFILE", "nope"), "", "[default]\n" KEYS("D"), NULL, NULL, "there is no AWS profile `nope`" },
    /* The session token by its older name. */
    { ENV("AWS_ACCESS_KEY_ID", "E", "AWS_SECRET_ACCESS_KEY", "secret-of-E", "AWS_SECURITY_TOKEN", "T"), "", "", NULL,
      "E", "T" },
    { ENV("AWS_ACCESS_KEY_ID", "E", "AWS_SECRET_ACCESS_KEY", "secret-of-E", "AWS_SECURITY_TOKEN", "T",
          "AWS_SESSION_TOKEN", "S"),
      "", "", NULL, "E", "T" },
    { ENV("AWS_ACCESS_KEY_ID", "E", "AWS_SECRET_ACCESS_KEY", "secret-of-E", "AWS_SECURITY_TOKEN", "",
          "AWS_SESSION_TOKEN", "S"),
      "", "", NULL, "E", "S" },
    { NO_ENV, "", "[default]\n" KEYS("D") "aws_security_token = T\n", NULL, "D", "T" },
    { NO_ENV, "[default]\n" KEYS("C") "aws_security_token: T\naws_session_token: S\n", "", NULL, "C", "T" },
    { ENV("AWS_PROFILE", "nope"), "", "[default]\n" KEYS("D"), NULL, NULL, "there is no AWS profile `nope`" },
    { NO_ENV, "", "[default]\n" KEYS("D"), "nope", NULL, "there is no AWS profile `nope`" },
    { ENV("AWS_ACCESS_KEY_ID", "E"), "", "[default]\n" KEYS("D"), NULL, NULL, "the secret access key is missing" },
    { ENV("AWS_SECRET_ACCESS_KEY", "s"), "", "[default]\n" KEYS("D"), NULL, NULL, "the access key id is missing" },
    { ENV("AWS_ACCESS_KEY_ID", "", "AWS_SECRET_ACCESS_KEY", ""), "", "[default]\n" KEYS("D"), NULL, "D", NULL },
    { NO_ENV, "", "[default]\naws_access_key_id = A\n", NULL, NULL,
      "the profile `default` are incomplete: the secret access key is missing" },
    { ENV("AWS_ACCESS_KEY_ID", "E\n", "AWS_SECRET_ACCESS_KEY", "s"), "", "", NULL, NULL, "a line break" },
    { ENV("AWS_ACCESS_KEY_ID", "E", "AWS_SECRET_ACCESS_KEY", "s\r"), "", "", NULL, NULL, "a line break" },
    { ENV("AWS_ACCESS_KEY_ID", "E", "AWS_SECRET_ACCESS_KEY", "s s"), "", "", NULL, NULL, "a blank" },
    { ENV("AWS_ACCESS_KEY_ID", "E", "AWS_SECRET_ACCESS_KEY", "s", "AWS_SESSION_TOKEN", "t\nX-Evil: 1"), "", "", NULL,
      NULL, "a control character" },
    { ENV("AWS_ACCESS_KEY_ID", "E\x7f", "AWS_SECRET_ACCESS_KEY", "s"), "", "", NULL, NULL, "a control character" },
    { ENV("AWS_ACCESS_KEY_ID", "\xc3\xa9", "AWS_SECRET_ACCESS_KEY", "s"), "", "", NULL, NULL, "a control character" },
};

START_TEST(find_credentials)
{
    const struct creds_case *c = &creds_cases[_i];
    AUTO_INI config = { 0 }, credentials = { 0 };
    AUTO_ERROR err = { 0 };
    struct creds_source got = { 0 };
    environment = c->env;
    ASSERT_OK(ini_parse(&config, c->config, strlen(c->config), "config", &err), &err);
    ASSERT_OK(ini_parse(&credentials, c->credentials, strlen(c->credentials), "credentials", &err), &err);
    const char *variable = aws_profile_variable(fake_getenv);
    const struct aws_creds_from from = { .getenv = fake_getenv,
                                         .config = &config,
                                         .credentials = &credentials,
                                         .profile = c->profile ? c->profile
                                                    : variable ? fake_getenv(variable)
                                                               : "default",
                                         .profile_given = c->profile };
    if (c->id) {
        AUTO_FREE char *secret = xasprintf("secret-of-%s", c->id);
        ASSERT_OK(aws_creds_find(&from, &got, &err), &err);
        ck_assert_str_eq(got.keys.access_key_id, c->id);
        ck_assert_str_eq(got.keys.secret_access_key.value, secret);
        ck_assert_pstr_eq(got.keys.session_token.value, c->why);
    } else {
        ASSERT_FAILS(aws_creds_find(&from, &got, &err), &err, c->why);
        ck_assert_ptr_null(got.keys.access_key_id);
    }
    creds_source_clear(&got);
    secret_forget_all();
}
END_TEST

/* --- every other source ------------------------------------------------------------------------------------------- */

struct source_case {
    const char *const *env;
    const char *config, *flag, *role_arn; /* the profile and the role by flag, or NULL */
    const char *want;                     /* creds_source_format(), or a part of the error's message */
    bool fails;
};

#define ROLE(name) "arn:aws:iam::1:role/" name
#define WITH_ROLE(name, source) "[profile " name "]\nrole_arn = " ROLE(name) "\nsource_profile = " source "\n"
#define TOKEN_FILE "AWS_WEB_IDENTITY_TOKEN_FILE", "/t", "AWS_ROLE_ARN", "arn:aws:iam::1:role/w"
#define OIDC "ACTIONS_ID_TOKEN_REQUEST_URL", "https://oidc.example.com/t?a=1", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t"

static const struct source_case source_cases[] = {
    { NO_ENV, "", NULL, NULL, "the instance's role", false },
    { ENV("AWS_EC2_METADATA_DISABLED", "false"), "", NULL, NULL, "the instance's role", false },
    { ENV("AWS_EC2_METADATA_SERVICE_ENDPOINT", "not a url"), "", NULL, NULL, "AWS_EC2_METADATA_SERVICE_ENDPOINT",
      true },
    /* Its settings. */
    { ENV("AWS_METADATA_SERVICE_TIMEOUT", "5", "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "3"), "", NULL, NULL,
      "the instance's role", false },
    { ENV("AWS_METADATA_SERVICE_TIMEOUT", "1.5"), "", NULL, NULL,
      "AWS_METADATA_SERVICE_TIMEOUT: `1.5` is not a whole number from 1 to 60", true },
    { ENV("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "0"), "", NULL, NULL,
      "AWS_METADATA_SERVICE_NUM_ATTEMPTS: `0` is not a whole number from 1 to 100", true },
    { NO_ENV, "[default]\nmetadata_service_timeout = ten\n", NULL, NULL, "metadata_service_timeout: `ten`", true },
    { ENV("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv5"), "", NULL, NULL, "`ipv5` is neither ipv4 nor ipv6", true },
    /* A uses `aws login`. */
    { NO_ENV, "[profile a]\nlogin_session = x\n", "a", NULL, "uses `aws login`", true },
    { NO_ENV, "[profile a]\nlogin_session = x\ncredential_process = /bin/x\n", "a", NULL,
      "the credential_process of the profile `a`", false },
    { NO_ENV, "[profile a]\nlogin_session = x\n" KEYS("A"), "a", NULL, "the profile `a`", false },
    { NO_ENV, WITH_ROLE("a", "b") "[profile b]\nlogin_session = x\n", "a", NULL, "uses `aws login`", true },
    /* Containers. */
    { ENV("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"), "", NULL, NULL, "the container's credentials", false },
    { ENV("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1"), "", NULL, NULL,
      "the container's credentials", false },
    { ENV("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:80/v1?q=1"), "", NULL, NULL,
      "the container's credentials", false },
    { ENV("AWS_CONTAINER_CREDENTIALS_FULL_URI", "https://example.com/v1"), "", NULL, NULL,
      "the container's credentials", false },
    { ENV("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/v1"), "", NULL, NULL, "is not a trusted address",
      true },
    { ENV("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.169.254/v1"), "", NULL, NULL,
      "is not a trusted address", true },
    { ENV("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.2.example.com/v1"), "", NULL, NULL,
      "is not a trusted address", true },
    /* Web identities. */
    { ENV(TOKEN_FILE), "", NULL, NULL, "the web identity token file `/t` with the role " ROLE("w"), false },
    { ENV("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), "", NULL, NULL, "no role to assume", true },
    { ENV(TOKEN_FILE), "[profile p]\nregion = us-east-1\n", "p", NULL, "the instance's role", false },
    { NO_ENV, "[profile p]\nrole_arn = " ROLE("p") "\nweb_identity_token_file = /f\n", "p", NULL,
      "the web identity token file `/f` with the role " ROLE("p"), false },
    { ENV(TOKEN_FILE), "[default]\nsource_profile = k\nrole_arn = " ROLE("d") "\n[profile k]\n" KEYS("K"), NULL, NULL,
      "the profile `k`, then the role " ROLE("d"), false },
    /* The workflow's own. */
    { ENV(OIDC), "", NULL, ROLE("o"), "the workflow's OIDC token with the role " ROLE("o"), false },
    { ENV(OIDC, "AWS_ACCESS_KEY_ID", "E", "AWS_SECRET_ACCESS_KEY", "s"), "", NULL, ROLE("o"),
      "the workflow's OIDC token with the role " ROLE("o"), false },
    { ENV(OIDC, "AWS_ACCESS_KEY_ID", "E", "AWS_SECRET_ACCESS_KEY", "s"), "", NULL, NULL,
      "the environment (AWS_ACCESS_KEY_ID, …)", false },
    { ENV("AWS_ACCESS_KEY_ID", "E", "AWS_SECRET_ACCESS_KEY", "s"), "", NULL, ROLE("o"),
      "the environment (AWS_ACCESS_KEY_ID, …), then the role " ROLE("o"), false },
    { ENV(OIDC), "[profile p]\n" KEYS("P"), "p", ROLE("o"), "the profile `p`, then the role " ROLE("o"), false },
    { ENV("ACTIONS_ID_TOKEN_REQUEST_URL", "https://x.example.com/"), "", NULL, ROLE("o"),
      "ACTIONS_ID_TOKEN_REQUEST_TOKEN is not", true },
    { ENV("ACTIONS_ID_TOKEN_REQUEST_URL", "http://x.example.com/", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t"), "", NULL,
      ROLE("o"), "neither https nor a loopback", true },
    /* Roles of profiles. */
    { NO_ENV, WITH_ROLE("a", "b") WITH_ROLE("b", "c") "[profile c]\n" KEYS("C"), "a", NULL,
      "the profile `c`, then the role " ROLE("b") ", then the role " ROLE("a"), false },
    { NO_ENV, WITH_ROLE("a", "a") KEYS("A"), "a", NULL, "the profile `a`, then the role " ROLE("a"), false },
    { NO_ENV, WITH_ROLE("a", "a"), "a", NULL, "is its own source_profile", true },
    { NO_ENV, WITH_ROLE("a", "b") WITH_ROLE("b", "a"), "a", NULL, "is its own source_profile", true },
    { NO_ENV, WITH_ROLE("a", "b") WITH_ROLE("b", "c") WITH_ROLE("c", "b"), "a", NULL, "is its own source_profile",
      true },
    { NO_ENV, WITH_ROLE("a", "none"), "a", NULL, "names the source_profile `none`, which does not exist", true },
    { NO_ENV, WITH_ROLE("a", "b") "[profile b]\nregion = us-east-1\n", "a", NULL,
      "the profile `b` is another profile's "
      "source and has no credentials",
      true },
    { NO_ENV, "[profile a]\nrole_arn = " ROLE("a") "\n", "a", NULL, "neither source_profile nor credential_source",
      true },
    { NO_ENV, WITH_ROLE("a", "a") "credential_source = Environment\n", "a", NULL,
      "both source_profile and credential_source", true },
    { NO_ENV, WITH_ROLE("a", "a") "mfa_serial = x\n", "a", NULL, "MFA code", true },
    { NO_ENV, WITH_ROLE("a", "a") KEYS("A") "duration_seconds = 899\n", "a", NULL, "not a number from 900 to 43200",
      true },
    { NO_ENV, WITH_ROLE("a", "a") KEYS("A") "duration_seconds = 900\n", "a", NULL,
      "the profile `a`, then the role " ROLE("a"), false },
    { ENV("AWS_ACCESS_KEY_ID", "E", "AWS_SECRET_ACCESS_KEY", "s"),
      "[profile a]\nrole_arn = " ROLE("a") "\ncredential_source = Environment\n", "a", NULL,
      "the environment (AWS_ACCESS_KEY_ID, …), then the role " ROLE("a"), false },
    { NO_ENV, "[profile a]\nrole_arn = " ROLE("a") "\ncredential_source = Environment\n", "a", NULL,
      "takes its credentials from Environment, and there are none", true },
    { NO_ENV, "[profile a]\nrole_arn = " ROLE("a") "\ncredential_source = Ec2InstanceMetadata\n", "a", NULL,
      "the instance's role, then the role " ROLE("a"), false },
    { NO_ENV, "[profile a]\nrole_arn = " ROLE("a") "\ncredential_source = ec2InstanceMetadata\n", "a", NULL,
      "unknown credential_source", true },
    /* SSO and programs. */
    { ENV("HOME", "/h"),
      "[profile a]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n[sso-session s]\nsso_start_url = u\n"
      "sso_region = us-east-1\n",
      "a", NULL, "the SSO session `s` by a", false },
    { ENV("HOME", "/h"), "[profile a]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n", "a", NULL,
      "names the sso-session `s`, which does not exist", true },
    { ENV("HOME", "/h"), "[profile a]\nsso_start_url = u\nsso_account_id = 1\nsso_region = us-east-1\n", "a", NULL,
      "lacks sso_role_name", true },
    { NO_ENV, "[profile a]\ncredential_process = /bin/x --y\n", "a", NULL, "the credential_process of the profile `a`",
      false },
    { NO_ENV, "[profile a]\ncredential_process = /bin/x 'y\n", "a", NULL, "an open quote", true },
    { NO_ENV, "[profile a]\ncredential_process = /bin/x\n" KEYS("A"), "a", NULL,
      "the credential_process of the profile `a`", false },
};

START_TEST(find_sources)
{
    const struct source_case *c = &source_cases[_i];
    AUTO_INI config = { 0 }, credentials = { 0 };
    AUTO_ERROR err = { 0 };
    struct creds_source got = { 0 };
    environment = c->env;
    ASSERT_OK(ini_parse(&config, c->config, strlen(c->config), "config", &err), &err);
    const struct aws_creds_from from = { .getenv = fake_getenv,
                                         .config = &config,
                                         .credentials = &credentials,
                                         .profile = c->flag ? c->flag : "default",
                                         .profile_given = c->flag,
                                         .role_arn = c->role_arn };
    if (c->fails) {
        ASSERT_FAILS(aws_creds_find(&from, &got, &err), &err, c->want);
    } else {
        ASSERT_OK(aws_creds_find(&from, &got, &err), &err);
        AUTO_FREE char *text = creds_source_format(&got);
        ck_assert_str_eq(text, c->want);
    }
    creds_source_clear(&got);
    secret_forget_all();
}
END_TEST

/* --- what is fetched ---------------------------------------------------------------------------------------------- */

START_TEST(sso_tokens)
{
    static const struct {
        const char *json, *why; /* NULL: taken */
    } cases[] = {
        { "{\"accessToken\":\"aoa\",\"expiresAt\":\"2026-01-02T03:04:06Z\"}", NULL },
        { "{\"accessToken\":\"aoa\",\"expiresAt\":\"2026-01-02T03:04:06UTC\"}", NULL }, /* older AWS CLIs */
        { "{\"accessToken\":\"aoa\",\"expiresAt\":\"2026-01-02T03:04:05Z\"}", "the SSO session `main` expired" },
        { "{\"accessToken\":\"aoa\",\"expiresAt\":\"soon\"}", "`soon` is no date" },
        { "{\"accessToken\":\"aoa\"}", "expiresAt" },
        { "{\"accessToken\":\"\",\"expiresAt\":\"2999-01-01T00:00:00Z\"}", "accessToken is empty" },
        { "{\"accessToken\":\"a\\r\\nb: c\",\"expiresAt\":\"2999-01-01T00:00:00Z\"}", "holds a blank" },
        { "[]", "the cached SSO token" },
    };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF json = STRBUF_INIT;
    const char *token = NULL;
    strbuf_adds(&json, cases[_i].json);
    bool ok = creds_sso_token(&json, "main", 1767323045, &arena, &token, &err);
    if (cases[_i].why) {
        ASSERT_FAILS(ok, &err, cases[_i].why);
        ck_assert_ptr_null(token);
    } else {
        ASSERT_OK(ok, &err);
        ck_assert_str_eq(token, "aoa");
    }
}
END_TEST

/* --- words -------------------------------------------------------------------------------------------------------- */

START_TEST(words)
{
    static const struct {
        const char *line, *want; /* joined by |; NULL: fails */
    } cases[] = {
        { "", "" },
        { "a", "a" },
        { "  a \t b\n c ", "a|b|c" },
        { "'a b' \"c d\"", "a b|c d" },
        { "a' 'b\" \"c", "a b c" },
        { "''", "" },
        { "a '' b", "a||b" },
        { "\"a\\\"b\\\\c\\d\"", "a\"b\\c\\d" },
        { "'a\\b'", "a\\b" },
        { "a\\ b", "a b" },
        { "$HOME `id` ;", "$HOME|`id`|;" },
        { "'a", NULL },
        { "\"a", NULL },
        { "a\\", NULL },
    };
    AUTO_STRLIST got = { 0 };
    bool ok = words_split(&got, cases[_i].line);
    ck_assert_int_eq(ok, cases[_i].want != NULL);
    if (ok) {
        AUTO_FREE char *joined = strlist_join(&got, "|");
        ck_assert_str_eq(joined, cases[_i].want);
    }
}
END_TEST

/* --- the answers -------------------------------------------------------------------------------------------------- */

#define TWO_KEYS "\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\""

static const struct {
    const char *json;
    const char *why; /* a part of the message, or NULL: they are credentials */
    int64_t expires;
} answers[] = {
    { "{" TWO_KEYS ",\"Token\":\"T\",\"Expiration\":\"2026-01-02T03:04:05Z\",\"Code\":\"Success\"}", NULL, 1767323045 },
    { "{" TWO_KEYS "}", NULL, 0 },
    { "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"EC2 cannot assume the role x\"}",
      "the role: AssumeRoleUnauthorizedAccess: EC2 cannot assume the role x", 0 },
    { "{\"Code\":\"Failed\"," TWO_KEYS "}", "the role: Failed: (no message)", 0 },
    { "{" TWO_KEYS ",\"Expiration\":\"tomorrow\"}", "Expiration `tomorrow` is no date", 0 },
    { "{\"Token\":\"T\"}", "no AccessKeyId in it", 0 },
    { "{\"AccessKeyId\":\"A\"}", "the secret access key is missing", 0 },
    { "{\"AccessKeyId\":\"A\\r\\nX: 1\",\"SecretAccessKey\":\"S\"}", "a line break", 0 },
    { "[]", "the role", 0 },
    { "<html>", "the role", 0 },
};

START_TEST(decode_answers)
{
    AUTO_STRBUF json = STRBUF_INIT;
    AUTO_ERROR err = { 0 };
    struct aws_creds creds = { 0 };
    strbuf_adds(&json, answers[_i].json);
    bool ok = creds_decode(&json, "the role", &creds, &err);
    ck_assert_msg(ok == !answers[_i].why, "%s: %s", answers[_i].json, err.message);
    if (ok) {
        ck_assert_str_eq(creds.access_key_id, "A");
        ck_assert_str_eq(creds.secret_access_key.value, "S");
        ck_assert_int_eq(creds.expires, answers[_i].expires);
    } else {
        ck_assert_msg(strstr(err.message, answers[_i].why), "%s: %s", answers[_i].json, err.message);
        ck_assert_ptr_null(creds.access_key_id);
    }
    aws_creds_clear(&creds);
}
END_TEST

START_TEST(tell_refusals)
{
    static const struct {
        int status;
        const char *body, *want;
        enum error_domain domain;
    } cases[] = {
        { 403, "{\"message\":\"No access\",\"__type\":\"ForbiddenException\"}",
          "it: HTTP 403 ForbiddenException: No access", ERROR_CONFIG },
        { 400, "{\"code\":\"X\"}", "it: HTTP 400 X", ERROR_CONFIG },
        { 404, "<html>", "it: HTTP 404", ERROR_CONFIG },
        { 503, "", "it: HTTP 503", ERROR_AWS },
        { 429, "{\"Message\":\"slowly\"}", "it: HTTP 429: slowly", ERROR_AWS },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_STRBUF json = STRBUF_INIT;
        AUTO_ERROR err = { 0 };
        strbuf_adds(&json, cases[i].body);
        ck_assert(!creds_refused("it", cases[i].status, &json, &err));
        ck_assert_str_eq(err.message, cases[i].want);
        ck_assert_int_eq(err.domain, cases[i].domain);
    }
}
END_TEST

static TCase *credentials(void)
{
    TCase *t = tcase_create("credentials");
    tcase_add_loop_test(t, find_credentials, 0, ARRAY_SIZE(creds_cases));
    tcase_add_loop_test(t, find_sources, 0, ARRAY_SIZE(source_cases));
    tcase_add_loop_test(t, sso_tokens, 0, 8);
    tcase_add_loop_test(t, words, 0, 14);
    tcase_add_loop_test(t, decode_answers, 0, ARRAY_SIZE(answers));
    tcase_add_test(t, tell_refusals);
    return t;
}

int main(void)
{
    TCase *(*const cases[])(void) = { credentials };
    return run_suite("creds", cases, ARRAY_SIZE(cases));
}
