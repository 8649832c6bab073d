#include "mayfly/github/app.h"
#include "mayfly/github/jobs.h"
#include "mayfly/github/runners.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/token.h"
#include "testing.h"

#include <stdio.h>
#include <unistd.h>

/* --- what answers mean -------------------------------------------------------------------------------------------- */

/* Source of the words: what GitHub was seen to answer. */
START_TEST(classes)
{
    static const struct {
        int status;
        const char *message;
        bool has_retry_after, out_of_quota;
        enum github_class class;
    } cases[] = {
        { 0, "", 0, 0, GITHUB_SERVER },
        { 400, "Problems parsing JSON", 0, 0, GITHUB_FATAL },
        { 401, "Bad credentials", 0, 0, GITHUB_FATAL },
        { 403, "Resource not accessible by integration", 0, 0, GITHUB_FATAL },
        { 403, "", 0, 0, GITHUB_FATAL },
        { 403, "API rate limit exceeded for installation ID 1234.", 0, 0, GITHUB_THROTTLED },
        { 403, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.", 0, 0,
          GITHUB_THROTTLED },
        { 403, "Forbidden", true, 0, GITHUB_THROTTLED },
        { 403, "Forbidden", 0, true, GITHUB_THROTTLED },
        { 404, "Not Found", 0, 0, GITHUB_NOT_FOUND },
        { 404, "Not Found", 0, true, GITHUB_NOT_FOUND },
        { 409, "Already exists - A runner with the name *** already exists.", 0, 0, GITHUB_CONFLICT },
        { 422, "Bad request - Runner X is currently running a job and cannot be deleted.", 0, 0, GITHUB_BUSY },
        { 422, "Bad request - Runner \"X\" is still running a job\"", 0, 0, GITHUB_BUSY },
        { 422, "Validation Failed", 0, 0, GITHUB_FATAL },
        { 422, "", 0, 0, GITHUB_FATAL },
        { 429, "", 0, 0, GITHUB_THROTTLED },
        { 500, "", 0, 0, GITHUB_SERVER },
        { 502, "Server Error", 0, 0, GITHUB_SERVER },
        { 503, "", 0, 0, GITHUB_SERVER },
        { 301, "Moved Permanently", 0, 0, GITHUB_FATAL },
    };
    ck_assert_int_eq(github_classify(GITHUB_AS_TOKEN, cases[_i].status, cases[_i].message, cases[_i].has_retry_after,
                                     cases[_i].out_of_quota),
                     cases[_i].class);
}
END_TEST

/* Every answer that a user can meet has something to do, and what GitHub says in words decides what. */
START_TEST(hints)
{
    static const struct {
        enum github_auth auth;
        int status;
        const char *message, *part;
    } cases[] = {
        { GITHUB_AS_TOKEN, 301, "Moved Permanently", "--repo" },
        { GITHUB_AS_TOKEN, 302, "", "--repo" },
        { GITHUB_AS_TOKEN, 307, "", "--repo" },
        { GITHUB_AS_TOKEN, 308, "", "--repo" },
        { GITHUB_AS_TOKEN, 400, "Problems parsing JSON", "report" },
        { GITHUB_AS_TOKEN, 400, "Body should be a JSON object", "report" },
        { GITHUB_AS_TOKEN, 400, "\"2020-01-01\" is not a supported API version", "too old or too new" },
        { GITHUB_AS_TOKEN, 401, "Bad credentials", "wrong, expired or revoked" },
        { GITHUB_AS_APP, 401, "'Expiration time' claim ('exp') is too far in the future", "clock" },
        { GITHUB_AS_APP, 401, "'Issued at' claim ('iat') must be an Integer", "clock" },
        { GITHUB_AS_APP, 401, "'Issuer' claim ('iss') must be an Integer", "the App ID" },
        { GITHUB_AS_APP, 401, "A JSON web token could not be decoded", "the key is not the App's" },
        { GITHUB_AS_APP, 401, "Bad credentials", "the key is not the App's" },
        { GITHUB_AS_INSTALLATION, 401, "Bad credentials", "still installed" },
        { GITHUB_AS_INSTALLATION, 403, "Resource not accessible by integration", "accept them" },
        { GITHUB_AS_INSTALLATION, 403, "", "accept them" },
        { GITHUB_AS_INSTALLATION, 404, "Not Found", "that the App has" },
        { GITHUB_AS_APP, 403, "This installation has been suspended", "unsuspend" },
        { GITHUB_AS_APP, 404, "Integration not found", "--app-id" },
        { GITHUB_AS_APP, 404, "Not Found", "not installed" },
        { GITHUB_AS_APP, 422, "The permissions requested are not granted to this installation.", "accept" },
        { GITHUB_AS_APP, 422,
          "There is at least one repository that does not exist or is not accessible to the parent "
          "installation.",
          "add it" },
        { GITHUB_AS_APP, 500, "Server Error", "githubstatus" },
        { GITHUB_AS_TOKEN, 403, "Resource not accessible by integration", "GITHUB_TOKEN" },
        { GITHUB_AS_TOKEN, 403, "Resource not accessible by personal access token", "Administration: write" },
        { GITHUB_AS_TOKEN, 403, "API rate limit exceeded for installation ID 1234.", "rate limit" },
        { GITHUB_AS_TOKEN, 403,
          "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.", "rate limit" },
        { GITHUB_AS_TOKEN, 403,
          "You have exceeded a secondary rate limit and have been temporarily blocked from content creation",
          "rate limit" },
        { GITHUB_AS_TOKEN, 403,
          "Resource protected by organization SAML enforcement. You must grant your Personal Access token access "
          "to this organization.",
          "single sign-on" },
        { GITHUB_AS_TOKEN, 403,
          "Although you appear to have the correct authorization credentials, the `octo` organization has an IP allow "
          "list enabled",
          "addresses" },
        { GITHUB_AS_TOKEN, 403,
          "`octo` forbids access via a personal access token (classic). Please use a GitHub App, OAuth App, or a "
          "personal access token with fine-grained permissions.",
          "no classic tokens" },
        { GITHUB_AS_TOKEN, 403,
          "`octo` forbids access via a personal access token with fine-grained permissions. Please use a GitHub App, "
          "or "
          "an OAuth App.",
          "--app-id" },
        { GITHUB_AS_TOKEN, 403,
          "The 'octo' organization forbids access via a fine-grained personal access tokens if the token's lifetime is "
          "greater than 366 days. Please adjust your token's lifetime at the following URL: https://github.com/x",
          "expires earlier" },
        { GITHUB_AS_TOKEN, 403,
          "The 'octo' organization forbids access via a personal access token (classic) if the token's lifetime is "
          "greater than 90 days.",
          "expires earlier" },
        { GITHUB_AS_TOKEN, 403, "Repository level self-hosted runners are disabled on this repository.", "--repo ORG" },
        { GITHUB_AS_TOKEN, 403,
          "Request forbidden by administrative rules. Please make sure your request has a User-Agent header", "proxy" },
        { GITHUB_AS_TOKEN, 403, "", "Administration: write" },
        { GITHUB_AS_TOKEN, 404, "Not Found", "the spelling" },
        { GITHUB_AS_TOKEN, 409, "Already exists - A runner with the name *** already exists.", "new name" },
        { GITHUB_AS_TOKEN, 410, "Gone", "update Mayfly" },
        { GITHUB_AS_TOKEN, 422, "Invalid Argument - Runner group 1 has reached max limit of 10000 runners.",
          "mayfly reap" },
        { GITHUB_AS_TOKEN, 422, "Invalid Argument - Runner group 7 does not exist.", "--runner-group" },
        { GITHUB_AS_TOKEN, 422, "Invalid request.", "--label" },
        { GITHUB_AS_TOKEN, 422, "Bad request - Runner X is currently running a job and cannot be deleted.",
          "runner is busy" },
        { GITHUB_AS_TOKEN, 429, "", "rate limit" },
        { GITHUB_AS_TOKEN, 500, "Server Error", "githubstatus" },
        { GITHUB_AS_TOKEN, 502, "", "githubstatus" },
        { GITHUB_AS_TOKEN, 503, "", "githubstatus" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *hint = github_hint(cases[i].auth, cases[i].status, cases[i].message);
        ck_assert_msg(hint && strstr(hint, cases[i].part), "%d %s: %s", cases[i].status, cases[i].message,
                      hint ? hint : "no hint");
    }
    ck_assert_ptr_null(github_hint(GITHUB_AS_TOKEN, 418, ""));
}
END_TEST

/* --- settings ----------------------------------------------------------------------------------------------------- */

START_TEST(scope_paths)
{
    static const struct {
        const char *scope, *path;
    } cases[] = {
        { "org", "/orgs/org" },
        { "owner/repo", "/repos/owner/repo" },
        { "enterprises/acme", "/enterprises/acme" },
        { "enterprises/", NULL },
        { "enterprises/a/b", NULL },
        { "enterprises", "/orgs/enterprises" },
        { "owner/.github", "/repos/owner/.github" },
        { "owner/a.b_c-d", "/repos/owner/a.b_c-d" },
        { "", NULL },
        { "/", NULL },
        { "owner/", NULL },
        { "/repo", NULL },
        { "owner/repo/", NULL },
        { "owner/repo/actions", NULL },
        { "owner/..", NULL },
        { "../repo", NULL },
        { ".", NULL },
        { "owner/.", NULL },
        { "owner/repo?x=1", NULL },
        { "owner/re po", NULL },
        { "owner/repo#x", NULL },
        { "owner/repo\n", NULL },
        { "owner/%2e%2e", NULL },
        { "https://github.com/owner/repo", NULL },
        { "owner/r\xc3\xa9po", NULL },
        { "owner/repo.git", NULL },
    };
    AUTO_FREE char *path = github_scope_path(cases[_i].scope);
    ck_assert_pstr_eq(path, cases[_i].path);
}
END_TEST

static bool load(const char *const *env, const char *repo, const char *token_file, struct github_config *c,
                 struct error *err)
{
    environment = env;
    const struct github_settings settings = { .repo = repo, .token_file = token_file };
    return github_config_load(&settings, fake_getenv, c, err);
}

START_TEST(token_from_the_environment)
{
    const struct {
        const char *const *env;
        const char *token, *why;
    } cases[] = {
        { ENV("INPUT_GITHUB-TOKEN", "a", "INPUT_GITHUB_TOKEN", "b", "MAYFLY_GITHUB_TOKEN", "c", "GITHUB_TOKEN", "d"),
          "a", NULL },
        { ENV("INPUT_GITHUB-TOKEN", "", "INPUT_GITHUB_TOKEN", "b", "MAYFLY_GITHUB_TOKEN", "c", "GITHUB_TOKEN", "d"),
          "b", NULL },
        { ENV("INPUT_GITHUB_TOKEN", "", "MAYFLY_GITHUB_TOKEN", "c", "GITHUB_TOKEN", "d"), "c", NULL },
        { ENV("GITHUB_TOKEN", "d"), "d", NULL },
        { ENV("GITHUB_TOKEN", ""), NULL, "no GitHub token" },
        { ENV("X", "x"), NULL, "no GitHub token" },
        { ENV("MAYFLY_GITHUB_TOKEN", " token\r\n\n"), "token", NULL }, /* as it was pasted */
        { ENV("MAYFLY_GITHUB_TOKEN", "a\r\nX-Evil: 1"), NULL, "from MAYFLY_GITHUB_TOKEN has more than one line" },
        { ENV("MAYFLY_GITHUB_TOKEN", "\n"), NULL, "no GitHub token" },
        { ENV("INPUT_GITHUB_TOKEN", " ", "GITHUB_TOKEN", "d"), "d", NULL },
        { ENV("GITHUB_TOKEN", "tok\x7f"), NULL, "from GITHUB_TOKEN has a control character" },
        { ENV("GITHUB_TOKEN", "t\xc3\xb6ken"), NULL, "from GITHUB_TOKEN has a character in it that is not ASCII" },
    };
    AUTO_ERROR err = { 0 };
    struct github_config c = { 0 };
    if (cases[_i].token) {
        ASSERT_OK(load(cases[_i].env, "o/r", NULL, &c, &err), &err);
        ck_assert_str_eq(c.token.value, cases[_i].token);
        github_config_clear(&c);
    } else {
        ASSERT_FAILS(load(cases[_i].env, "o/r", NULL, &c, &err), &err, cases[_i].why);
        ck_assert_ptr_null(c.api_url);
    }
}
END_TEST

/* The message of a refused token must not hold it. */
START_TEST(refused_token_is_not_shown)
{
    AUTO_ERROR err = { 0 };
    struct github_config c = { 0 };
    ck_assert(!load(ENV("GITHUB_TOKEN", "ghp_secret value"), "o/r", NULL, &c, &err));
    AUTO_FREE char *all = error_format(&err);
    ck_assert_ptr_null(strstr(all, "secret"));
    ck_assert_ptr_null(strstr(err.hint, "secret"));
}
END_TEST

static char path[] = "/tmp/mayfly-check-github.XXXXXX";

static void make_file(void)
{
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void remove_file(void)
{
    unlink(path);
}

static void write_file(const char *text, size_t len)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, len, f), len);
    ck_assert_int_eq(fclose(f), 0);
}

#define X10 "xxxxxxxxxx"
#define X100 X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define X520 X100 X100 X100 X100 X100 X10 X10

START_TEST(token_from_a_file)
{
    static const struct {
        const char *text, *token, *why;
    } cases[] = {
        { "token", "token", NULL },
        { "token\n", "token", NULL }, /* as every editor leaves it */
        { X520 "\n", X520, NULL },    /* the longest kind there is */
        { "\t token\r\n\n", "token", NULL },
        { "one\ntwo\n", NULL, "has more than one line" },
        { "", NULL, "is empty" },
        { "\n", NULL, "is empty" },
    };
    AUTO_ERROR err = { 0 };
    struct github_config c = { 0 };
    const char *const *env = ENV("MAYFLY_GITHUB_TOKEN", "env"); /* which a file beats */
    write_file(cases[_i].text, strlen(cases[_i].text));
    if (cases[_i].token) {
        ASSERT_OK(load(env, "o/r", path, &c, &err), &err);
        ck_assert_str_eq(c.token.value, cases[_i].token);
        github_config_clear(&c);
    } else {
        ck_assert(!load(env, "o/r", path, &c, &err));
        ck_assert_msg(strstr(err.message, cases[_i].why) != NULL, "%s", err.message);
        ck_assert_int_eq(err.domain, ERROR_CONFIG);
    }
}
END_TEST

START_TEST(token_file_that_is_none)
{
    static const struct {
        const char *path, *why;
    } cases[] = { { "/tmp", "directory" }, { "/nonexistent/token", "No such file" }, { "/dev/null", "is empty" } };
    AUTO_ERROR err = { 0 };
    struct github_config c = { 0 };
    ck_assert(!load(ENV("GITHUB_TOKEN", "env"), "o/r", cases[_i].path, &c, &err));
    ck_assert_msg(strstr(err.message, cases[_i].why) != NULL, "%s", err.message);
    ck_assert_int_eq(err.domain, ERROR_CONFIG);
}
END_TEST

START_TEST(token_files_of_other_contents)
{
    AUTO_ERROR err = { 0 };
    struct github_config c = { 0 };
    static char big[TOKEN_MAX + 1];
    memset(big, 'x', sizeof(big));
    write_file(big, sizeof(big));
    ASSERT_FAILS(load(ENV("X", "x"), "o/r", path, &c, &err), &err, "is larger than 65536 bytes");
    write_file("tok\0en", 6);
    ASSERT_FAILS(load(ENV("X", "x"), "o/r", path, &c, &err), &err, "NUL byte");
}
END_TEST

START_TEST(where_the_api_is)
{
    static const struct {
        const char *url, *want, *why;
    } cases[] = {
        { "", "https://api.github.com", NULL },
        { "https://api.github.com", "https://api.github.com", NULL },
        { "https://github.example.com/api/v3", "https://github.example.com/api/v3", NULL },
        { "https://github.example.com/api/v3//", "https://github.example.com/api/v3", NULL },
        { "http://127.0.0.1:4000/", "http://127.0.0.1:4000", NULL },
        { "http://localhost:4000", "http://localhost:4000", NULL },
        { "http://github.example.com", NULL, "neither https nor a loopback address" },
        { "https://user:pw@github.example.com", NULL, "a URL of scheme, host, port and path" },
        { "https://github.example.com/?a=b", NULL, "a URL of scheme, host, port and path" },
        { "github.example.com", NULL, "is not a URL" },
        { "file:///etc/passwd", NULL, "neither http:// nor https://" },
    };
    AUTO_ERROR err = { 0 };
    struct github_config c = { 0 };
    const char *const *env = ENV("GITHUB_TOKEN", "t", "GITHUB_API_URL", cases[_i].url);
    if (cases[_i].want) {
        ASSERT_OK(load(env, "o/r", NULL, &c, &err), &err);
        ck_assert_str_eq(c.api_url, cases[_i].want);
        github_config_clear(&c);
    } else {
        ASSERT_FAILS(load(env, "o/r", NULL, &c, &err), &err, cases[_i].why);
    }
}
END_TEST

/* Source: GitHub Docs: `https://HOST/api/v3` of an Enterprise Server, `https://api.SUB.ghe.com` with data residency. */
START_TEST(where_the_api_of_a_server_is)
{
    static const struct {
        const char *server, *api, *want, *why;
    } cases[] = {
        { "https://github.com", "", "https://api.github.com", NULL },
        { "https://github.com/", "", "https://api.github.com", NULL },
        { "https://www.github.com", "", "https://api.github.com", NULL },
        { "https://octo.ghe.com", "", "https://api.octo.ghe.com", NULL },
        { "https://github.example.com", "", "https://github.example.com/api/v3", NULL },
        { "https://github.example.com:8443/", "", "https://github.example.com:8443/api/v3", NULL },
        { "https://ghe.com.example.com", "", "https://ghe.com.example.com/api/v3", NULL },
        { "https://notghe.com", "", "https://notghe.com/api/v3", NULL },
        { "http://127.0.0.1:4000", "", "http://127.0.0.1:4000/api/v3", NULL },
        { "https://github.example.com", "https://other.example.com/api/v3", "https://other.example.com/api/v3", NULL },
        { "http://github.example.com", "", NULL, "GITHUB_SERVER_URL: `http://github.example.com` is neither https" },
        { "github.example.com", "", NULL, "GITHUB_SERVER_URL: `github.example.com` is not a URL" },
    };
    AUTO_ERROR err = { 0 };
    struct github_config c = { 0 };
    const char *const *env =
        ENV("GITHUB_TOKEN", "t", "GITHUB_SERVER_URL", cases[_i].server, "GITHUB_API_URL", cases[_i].api);
    if (cases[_i].want) {
        ASSERT_OK(load(env, "o/r", NULL, &c, &err), &err);
        ck_assert_str_eq(c.api_url, cases[_i].want);
        github_config_clear(&c);
    } else {
        ASSERT_FAILS(load(env, "o/r", NULL, &c, &err), &err, cases[_i].why);
    }
}
END_TEST

START_TEST(which_repository)
{
    AUTO_ERROR err = { 0 };
    struct github_config c = { 0 };
    const char *const *env = ENV("GITHUB_TOKEN", "t", "GITHUB_REPOSITORY", "env/repo");
    ASSERT_OK(load(env, NULL, NULL, &c, &err), &err);
    ck_assert_str_eq(c.path, "/repos/env/repo");
    github_config_clear(&c);
    ASSERT_OK(load(env, "org", NULL, &c, &err), &err);
    ck_assert_str_eq(c.path, "/orgs/org");
    ck_assert_str_eq(c.scope, "org");
    github_config_clear(&c);
    ASSERT_OK(load(env, "enterprises/acme", NULL, &c, &err), &err);
    ck_assert_str_eq(c.path, "/enterprises/acme");
    ck_assert_int_eq(github_scope_kind(c.scope), GITHUB_ENTERPRISE);
    github_config_clear(&c);
    ASSERT_FAILS(load(env, "a/b/c", NULL, &c, &err), &err, "`a/b/c` is neither OWNER/REPO nor an organization");
    ASSERT_FAILS(load(ENV("GITHUB_TOKEN", "t"), NULL, NULL, &c, &err), &err, "no GitHub repository or organization");
}
END_TEST

/* --- requests and answers ----------------------------------------------------------------------------------------- */

static const struct github_config repo = { .path = (char *)"/repos/o/r" };
static struct github github = { .config = &repo, .env = &env_system };

static void is_call(struct github_call *c, const char *method, const char *want, const char *body, bool once)
{
    ck_assert_str_eq(c->method, method);
    ck_assert_str_eq(c->path, want);
    ck_assert_pstr_eq(c->body, body);
    ck_assert_int_eq(c->call.makes, once);
    call_free(&c->call);
}

START_TEST(requests)
{
    const struct strlist labels = { .v = (char *[]){ "mayfly-1", "a\"b" }, .n = 2 };
    is_call(github_jit_call(&github, "mf-1", 1, &labels), "POST", "/repos/o/r/actions/runners/generate-jitconfig",
            "{\"name\":\"mf-1\",\"runner_group_id\":1,\"labels\":[\"mayfly-1\",\"a\\\"b\"],\"work_folder\":\"_work\"}",
            true);
    is_call(github_get_runner_call(&github, 42), "GET", "/repos/o/r/actions/runners/42", NULL, false);
    is_call(github_delete_runner_call(&github, INT64_MAX), "DELETE", "/repos/o/r/actions/runners/9223372036854775807",
            NULL, false);
    is_call(github_list_runners_call(&github, 3, NULL), "GET", "/repos/o/r/actions/runners?per_page=100&page=3", NULL,
            false);
    is_call(github_list_runners_call(&github, 1, "a&b"), "GET",
            "/repos/o/r/actions/runners?per_page=100&page=1&name=a%26b", NULL, false);
    is_call(github_list_groups_call(&github, 1, NULL), "GET", "/repos/o/r/actions/runner-groups?per_page=100&page=1",
            NULL, false);
    is_call(github_list_groups_call(&github, 2, "a&b"), "GET",
            "/repos/o/r/actions/runner-groups?per_page=100&page=2&visible_to_repository=a%26b", NULL, false);
    is_call(github_rate_call(&github), "GET", "/rate_limit", NULL, false);
    is_call(github_try_jit_call(&github), "POST", "/repos/o/r/actions/runners/generate-jitconfig", "{}", true);
    is_call(github_downloads_call(&github), "GET", "/repos/o/r/actions/runners/downloads", NULL, false);
}
END_TEST

/* The call as it is once the body has come. */
static struct github_call *answered(struct github_call *c, const char *body)
{
    c->call.exchange.response.body = STRBUF_INIT;
    strbuf_adds(&c->call.exchange.response.body, body);
    return c;
}

START_TEST(list_of_runners)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct field_list rows = { 0 };
    AUTO_CALL *a = &answered(github_list_runners_call(&github, 1, NULL),
                             "{\"total_count\":2,\"runners\":[{\"id\":1,\"name\":\"a\",\"os\":\"linux\",\"status\":"
                             "\"online\",\"busy\":true,\"labels\":[]},{\"id\":2,\"name\":\"b\",\"status\":\"offline\","
                             "\"busy\":false}]}")
                        ->call;
    ASSERT_OK(github_list_runners_result((struct github_call *)a, &arena, &rows, &err), &err);
    ck_assert_uint_eq(rows.n, 2);
    const struct github_runner *r = FIELD_ROW(&rows, const struct github_runner, 0);
    ck_assert(r->id == 1 && r->busy && github_runner_is_online(r));
    ck_assert(!r[1].busy && !github_runner_is_online(&r[1]));
    ck_assert_str_eq(r[1].name, "b");
}
END_TEST

START_TEST(rate_limit)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct github_rate rate = { 0 };
    AUTO_CALL *a =
        &answered(github_rate_call(&github),
                  "{\"resources\":{\"core\":{\"limit\":5000,\"used\":1,\"remaining\":4999,\"reset\":1700000000},"
                  "\"search\":{\"limit\":30}},\"rate\":{}}")
             ->call;
    ASSERT_OK(github_rate_result((struct github_call *)a, &arena, &rate, &err), &err);
    ck_assert(rate.limit == 5000 && rate.remaining == 4999 && rate.reset == 1700000000);
    AUTO_CALL *b = &answered(github_rate_call(&github), "{\"resources\":{}}")->call;
    ASSERT_FAILS(github_rate_result((struct github_call *)b, &arena, &rate, &err), &err, "resources/core/limit");
}
END_TEST

/* A page that lacks what decisions rest on is no page: an empty object is not an empty fleet. */
START_TEST(list_of_runners_refused)
{
    static const struct {
        const char *body, *why;
    } cases[] = {
        { "{}", "`runners` is missing" },
        { "{\"runners\":null}", "`runners` is missing" },
        { "{\"runners\":[", "cut off" },
        { "<html>", "GitHub's answer to GET /repos/o/r/actions/runners is not JSON" },
    };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct field_list rows = { 0 };
    AUTO_CALL *a = &answered(github_list_runners_call(&github, 1, NULL), cases[_i].body)->call;
    ASSERT_FAILS(github_list_runners_result((struct github_call *)a, &arena, &rows, &err), &err, cases[_i].why);
    ck_assert_uint_eq(rows.n, 0);
}
END_TEST

static char *base64(const char *s)
{
    AUTO_STRBUF out = STRBUF_INIT;
    encode_base64(&out, s, strlen(s));
    return strbuf_steal(&out);
}

/* name: of the record. runner: the text of the configuration's `.runner` file, not yet encoded. */
static bool jit_of(const char *name, const char *runner, struct github_jit *ret, struct arena *arena, struct error *err)
{
    const struct strlist labels = { 0 };
    AUTO_FREE char *file = base64(runner);
    AUTO_FREE char *files =
        xasprintf("{\".runner\":\"%s\",\".credentials\":\"eA==\",\".credentials_rsaparams\":\"eA==\"}", file);
    AUTO_FREE char *encoded = base64(files);
    AUTO_FREE char *body = xasprintf("{\"runner\":{\"id\":7,\"name\":\"%s\",\"status\":\"offline\",\"busy\":false},"
                                     "\"encoded_jit_config\":\"%s\"}",
                                     name, encoded);
    AUTO_CALL *a = &answered(github_jit_call(&github, "mf-1", 1, &labels), body)->call;
    return github_jit_result((struct github_call *)a, "mf-1", arena, ret, err);
}

static bool jit(const char *runner, struct github_jit *ret, struct arena *arena, struct error *err)
{
    return jit_of("mf-1", runner, ret, arena, err);
}

START_TEST(jit_configuration)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct github_jit got = { 0 };
    ASSERT_OK(jit("{\"AgentName\":\"mf-1\",\"Ephemeral\":\"True\"}", &got, &arena, &err), &err);
    ck_assert_int_eq(got.runner.id, 7);
    ASSERT_OK(jit("\xef\xbb\xbf{\"AgentName\":\"mf-1\"}", &got, &arena, &err), &err); /* the byte order mark is real */
    ASSERT_FAILS(jit("{\"AgentName\":\"mf-2\",\"Ephemeral\":\"True\"}", &got, &arena, &err), &err,
                 "is for the runner `mf-2`, not `mf-1`");
    ASSERT_FAILS(jit("{\"AgentName\":\"mf-1\",\"Ephemeral\":\"False\"}", &got, &arena, &err), &err,
                 "more than one job");
    ASSERT_FAILS(jit_of("mf-2", "{\"AgentName\":\"mf-1\"}", &got, &arena, &err), &err,
                 "names the runner `mf-2`, not `mf-1`");
    ASSERT_FAILS(jit("{}", &got, &arena, &err), &err, "`AgentName` is missing");
    ASSERT_FAILS(jit("not json", &got, &arena, &err), &err, "is not JSON");
}
END_TEST

/* An answer of another form is an error that says so, never an empty list. */
START_TEST(answers_of_another_form)
{
    static const struct {
        const char *files, *why; /* files: the configuration's, not yet encoded; NULL: what is not base64 at all */
    } configurations[] = {
        { NULL, "the just-in-time configuration is not base64" },
        { "not json", "the just-in-time configuration" },
        { "{\".credentials\":\"eA==\"}", "`.runner` is missing" },
        { "{\".runner\":\"*\",\".credentials\":\"eA==\",\".credentials_rsaparams\":\"eA==\"}",
          "`.runner` is not base64" },
    };
    const struct strlist labels = { 0 };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct field_list rows;
    struct github_runner runner;
    for (size_t i = 0; i < ARRAY_SIZE(configurations); i++) {
        struct github_jit got;
        AUTO_FREE char *encoded = configurations[i].files ? base64(configurations[i].files) : xstrdup("*");
        AUTO_FREE char *body =
            xasprintf("{\"runner\":{\"id\":7,\"name\":\"mf-1\",\"status\":\"offline\",\"busy\":false},"
                      "\"encoded_jit_config\":\"%s\"}",
                      encoded);
        AUTO_CALL *a = &answered(github_jit_call(&github, "mf-1", 1, &labels), body)->call;
        ASSERT_FAILS(github_jit_result((struct github_call *)a, "mf-1", &arena, &got, &err), &err,
                     configurations[i].why);
    }
    AUTO_CALL *one = &answered(github_get_runner_call(&github, 7), "{\"id\":7}")->call;
    ASSERT_FAILS(github_get_runner_result((struct github_call *)one, &arena, &runner, &err), &err, "is missing");
    AUTO_CALL *downloads = &answered(github_downloads_call(&github), "{\"total_count\":0}")->call;
    ASSERT_FAILS(github_downloads_result((struct github_call *)downloads, &arena, &rows, &err), &err,
                 "a list was expected");
    AUTO_CALL *download = &answered(github_downloads_call(&github), "[{\"os\":7}]")->call;
    ASSERT_OK(github_downloads_result((struct github_call *)download, &arena, &rows, &err), &err);
    ck_assert_uint_eq(rows.n, 0);
    AUTO_CALL *groups = &answered(github_list_groups_call(&github, 1, NULL), "{}")->call;
    ASSERT_FAILS(github_list_groups_result((struct github_call *)groups, &arena, &rows, &err), &err, "is missing");
    AUTO_CALL *jobs = &answered(github_list_jobs_call(&github, "o/r", 1, 1), "{}")->call;
    ASSERT_FAILS(github_list_jobs_result((struct github_call *)jobs, &arena, &rows, &err), &err, "is missing");
}
END_TEST

/* Of a row that makes no sense what can be known is; the others are as ever. */
START_TEST(rows_that_make_no_sense)
{
    static const struct {
        const char *row;
        int64_t id;
        const char *name, *why;
    } cases[] = {
        { "{\"id\":7,\"name\":\"a\",\"status\":\"online\"}", 7, "a", "`busy` is missing" },
        { "{\"id\":0,\"name\":\"a\",\"status\":\"online\",\"busy\":true}", 0, "a", "`id` is not" },
        { "{\"id\":7,\"name\":[],\"status\":\"online\",\"busy\":true}", 7, NULL, "`name` is not" },
        { "{\"id\":\"7\"}", 0, NULL, "`id` is not" },
        { "{\"id\":7,\"name\":\"a\",\"status\":1,\"busy\":true}", 7, "a", "`status` is not a string" },
        { "{\"id\":7,\"name\":\"a\",\"status\":\"on line\",\"busy\":true}", 7, "a", "`status` is not of its form" },
        { "{\"name\":\"a\",\"status\":\"online\",\"busy\":true}", 0, "a", "`id` is missing" },
        { "{}", 0, NULL, "`id` is missing" },
        { "null", 0, NULL, "an object was expected" },
        { "[1]", 0, NULL, "an object was expected" },
    };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct field_list rows = { 0 };
    AUTO_FREE char *body = xasprintf("{\"runners\":[{\"id\":1,\"name\":\"x\",\"status\":\"online\",\"busy\":true},%s,"
                                     "{\"id\":2,\"name\":\"y\",\"status\":\"offline\",\"busy\":false}]}",
                                     cases[_i].row);
    AUTO_CALL *a = &answered(github_list_runners_call(&github, 1, NULL), body)->call;
    ASSERT_OK(github_list_runners_result((struct github_call *)a, &arena, &rows, &err), &err);
    ck_assert_uint_eq(rows.n, 3);
    const struct github_runner *r = rows.rows;
    ck_assert(r[0].id == 1 && r[0].busy && !r[0].unclear);
    ck_assert(r[2].id == 2 && str_eq(r[2].name, "y") && !r[2].unclear);
    ck_assert_int_eq(r[1].id, cases[_i].id);
    ck_assert(cases[_i].name ? str_eq(r[1].name, cases[_i].name) : !r[1].name);
    ck_assert(r[1].unclear && strstr(r[1].unclear, cases[_i].why));
}
END_TEST

/* What is no list is none for anybody. */
START_TEST(lists_that_are_none)
{
    static const char *const bodies[] = { "{}", "{\"runners\":{}}", "[]", "{\"runners\":[", "" };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct field_list rows = { 0 };
    AUTO_CALL *a = &answered(github_list_runners_call(&github, 1, NULL), bodies[_i])->call;
    ASSERT_FAILS(github_list_runners_result((struct github_call *)a, &arena, &rows, &err), &err, "GitHub's answer to");
    ck_assert_uint_eq(rows.n, 0);
}
END_TEST

/* Nothing has the number 0, none below it, and none that a reader of JSON could round. */
START_TEST(numbers_that_are_none)
{
    static const char *const ids[] = { "0",
                                       "-1",
                                       "-9223372036854775808",
                                       "9007199254740993",
                                       "9223372036854775807",
                                       "99999999999999999999",
                                       "1.5",
                                       "\"7\"",
                                       "true",
                                       "null",
                                       "[7]" };
    const char *id = ids[_i];
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    const struct strlist labels = { 0 };
    struct field_list rows = { 0 };
    struct github_runner runner = { 0 };
    struct github_app_about about = { 0 };
    struct github_jit got = { 0 };
    AUTO_FREE char *one = xasprintf("{\"id\":%s,\"name\":\"a\",\"status\":\"online\",\"busy\":false}", id);
    AUTO_FREE char *jobs = xasprintf("{\"jobs\":[{\"id\":%s,\"status\":\"queued\"}]}", id);
    AUTO_FREE char *groups = xasprintf("{\"runner_groups\":[{\"id\":%s,\"name\":\"a\"}]}", id);
    AUTO_FREE char *jit_body = xasprintf("{\"runner\":%s,\"encoded_jit_config\":\"\"}", one);
    AUTO_CALL *a = &answered(github_get_runner_call(&github, 7), one)->call;
    AUTO_CALL *b = &answered(github_jit_call(&github, "a", 1, &labels), jit_body)->call;
    AUTO_CALL *c = &answered(github_list_jobs_call(&github, "o/r", 1, 1), jobs)->call;
    AUTO_CALL *d = &answered(github_list_groups_call(&github, 1, NULL), groups)->call;
    AUTO_CALL *e = &answered(github_app_call(&github), one)->call;
    ASSERT_FAILS(github_get_runner_result((struct github_call *)a, &arena, &runner, &err), &err, "`id` is ");
    ASSERT_FAILS(github_jit_result((struct github_call *)b, "a", &arena, &got, &err), &err, "`runner/id` is ");
    ASSERT_OK(github_list_jobs_result((struct github_call *)c, &arena, &rows, &err), &err);
    ck_assert(strstr(FIELD_ROW(&rows, const struct github_job, 0)->unclear, "`id` is "));
    ASSERT_OK(github_list_groups_result((struct github_call *)d, &arena, &rows, &err), &err);
    ck_assert(strstr(FIELD_ROW(&rows, const struct github_group, 0)->unclear, "`id` is "));
    ASSERT_FAILS(github_app_result((struct github_call *)e, &arena, &about, &err), &err, "`id` is ");
}
END_TEST

START_TEST(numbers_that_are_some)
{
    static const char *const ids[] = { "1", "9007199254740992" };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct github_runner runner = { 0 };
    AUTO_FREE char *one = xasprintf("{\"id\":%s,\"name\":\"a\",\"status\":\"online\",\"busy\":false}", ids[_i]);
    AUTO_CALL *a = &answered(github_get_runner_call(&github, 7), one)->call;
    ASSERT_OK(github_get_runner_result((struct github_call *)a, &arena, &runner, &err), &err);
    ck_assert_int_eq(runner.id, strtoll(ids[_i], NULL, 10));
}
END_TEST

/* As GitHub writes it, with all that is not read. */
START_TEST(page_of_jobs_with_many_steps)
{
    enum { STEPS = 400 };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF body = STRBUF_INIT;
    struct field_list rows = { 0 };
    strbuf_addf(&body, "{\"total_count\":%d,\"jobs\":[", GITHUB_JOBS_PAGE);
    for (int job = 0; job < GITHUB_JOBS_PAGE; job++) {
        strbuf_addf(&body,
                    "%s{\"id\":%d,\"run_id\":29679449526,\"workflow_name\":\"CI\",\"head_branch\":\"main\","
                    "\"run_url\":\"https://api.github.com/repos/octo/demo/actions/runs/29679449526\",\"run_attempt\":1,"
                    "\"node_id\":\"MDg6Q2hlY2tSdW4zOTk0NDQ0OTY=\",\"head_sha\":"
                    "\"f83a356604ae3c5d03e1b46ef4d1ca77d64a90b0\",\"url\":"
                    "\"https://api.github.com/repos/octo/demo/actions/jobs/399444496\",\"html_url\":"
                    "\"https://github.com/octo/demo/runs/29679449526/jobs/399444496\",\"status\":\"in_progress\","
                    "\"conclusion\":null,\"created_at\":\"2020-01-20T17:42:40Z\",\"started_at\":"
                    "\"2020-01-20T17:42:40Z\",\"completed_at\":null,\"name\":\"build\",\"labels\":[\"mine\"],"
                    "\"runner_id\":1,\"runner_name\":\"mf-1\",\"runner_group_id\":1,\"runner_group_name\":\"Default\","
                    "\"steps\":[",
                    job ? "," : "", 1 + job);
        for (int step = 0; step < STEPS; step++)
            strbuf_addf(&body,
                        "%s{\"name\":\"Run %0160d\",\"status\":\"completed\",\"conclusion\":\"success\",\"number\":%d,"
                        "\"started_at\":\"2020-01-20T09:42:40.000-08:00\",\"completed_at\":"
                        "\"2020-01-20T09:42:41.000-08:00\"}",
                        step ? "," : "", step, step + 1);
        strbuf_adds(&body, "]}");
    }
    strbuf_adds(&body, "]}");
    ck_assert_uint_lt(body.len, HTTP_LIST_MAX);
    AUTO_CALL *a = &answered(github_list_jobs_call(&github, "o/r", 1, 1), strbuf_str(&body))->call;
    ASSERT_OK(github_list_jobs_result((struct github_call *)a, &arena, &rows, &err), &err);
    ck_assert_uint_eq(rows.n, GITHUB_JOBS_PAGE);
    ck_assert(github_job_has_label(FIELD_ROW(&rows, const struct github_job, 7), "mine"));
}
END_TEST

/* --- how long to wait --------------------------------------------------------------------------------------------- */

static int64_t at_noon(void *ctx UNUSED)
{
    return (int64_t)1767268800 * 1000; /* 2026-01-01 12:00:00 UTC */
}

static const struct {
    const char *headers[4];
    int64_t want_ms;
} limits[] = {
    { { "Retry-After: 7", "x-ratelimit-remaining: 0", "x-ratelimit-reset: 1767268830" }, 7000 },
    { { "x-ratelimit-remaining: 0", "x-ratelimit-reset: 1767268830" }, 30000 },
    { { "x-ratelimit-remaining: 0", "x-ratelimit-reset: 1767268799" }, 1000 },
    /* of a machine whose clock is an hour behind, and ahead, of GitHub's */
    { { "x-ratelimit-remaining: 0", "x-ratelimit-reset: 1767272430", "Date: Thu, 01 Jan 2026 13:00:00 GMT" }, 30000 },
    { { "x-ratelimit-remaining: 0", "x-ratelimit-reset: 1767265230", "Date: Thu, 01 Jan 2026 11:00:00 GMT" }, 30000 },
    { { "x-ratelimit-remaining: 0", "x-ratelimit-reset: 1767268830", "Date: yesterday" }, 30000 },
    { { "x-ratelimit-remaining: 0" }, 60000 },
    { { "x-ratelimit-remaining: 4000", "x-ratelimit-reset: 1767268830" }, 60000 },
    { { "Retry-After: Thu, 01 Jan 2026 12:00:30 GMT" }, 60000 }, /* GitHub gives seconds alone */
    { { NULL }, 60000 },
};

START_TEST(waits)
{
    const struct env noon = { .now = at_noon };
    struct github g = { .config = &repo, .env = &noon };
    AUTO_ERROR err = { 0 };
    AUTO_CALL *c = &answered(github_rate_call(&g), "{\"message\":\"API rate limit exceeded\"}")->call;
    int64_t ms = -1;
    c->exchange.response.status = 403;
    for (size_t i = 0; i < ARRAY_SIZE(limits[_i].headers) && limits[_i].headers[i]; i++)
        strlist_add(&c->exchange.response.headers, limits[_i].headers[i]);
    ck_assert_int_eq(c->ops->judge(c, &ms, &err), RETRY_THROTTLE);
    ck_assert_int_eq(ms, limits[_i].want_ms);
}
END_TEST

static TCase *pure(void)
{
    TCase *t = tcase_create("pure");
    tcase_add_loop_test(t, classes, 0, 21);
    tcase_add_loop_test(t, scope_paths, 0, 26);
    tcase_add_loop_test(t, token_from_the_environment, 0, 12);
    tcase_add_test(t, refused_token_is_not_shown);
    tcase_add_loop_test(t, token_file_that_is_none, 0, 3);
    tcase_add_loop_test(t, where_the_api_is, 0, 11);
    tcase_add_loop_test(t, where_the_api_of_a_server_is, 0, 12);
    tcase_add_test(t, which_repository);
    tcase_add_test(t, hints);
    tcase_add_test(t, requests);
    tcase_add_test(t, rate_limit);
    tcase_add_loop_test(t, waits, 0, ARRAY_SIZE(limits));
    tcase_add_test(t, list_of_runners);
    tcase_add_loop_test(t, list_of_runners_refused, 0, 4);
    tcase_add_test(t, jit_configuration);
    tcase_add_test(t, answers_of_another_form);
    tcase_add_test(t, page_of_jobs_with_many_steps);
    tcase_add_loop_test(t, rows_that_make_no_sense, 0, 10);
    tcase_add_loop_test(t, lists_that_are_none, 0, 5);
    tcase_add_loop_test(t, numbers_that_are_none, 0, 11);
    tcase_add_loop_test(t, numbers_that_are_some, 0, 2);
    return t;
}

static TCase *files(void)
{
    TCase *t = tcase_create("files");
    tcase_add_checked_fixture(t, make_file, remove_file);
    tcase_add_loop_test(t, token_from_a_file, 0, 7);
    tcase_add_test(t, token_files_of_other_contents);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { pure, files };
    return run_suite("github", all, ARRAY_SIZE(all));
}
