#include "mayfly/github/auth.h"

#include "mayfly/net/url.h"
#include "mayfly/util/token.h"

enum { KEY_MAX = 32768 };

static const char enterprise_prefix[] = "enterprises/"; /* no owner can have this name: it is a page of GitHub's */

/* Names of owners and repositories: letters, digits, - _ and . */
static bool is_name(const char *s, size_t n)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    if (n == 0 || n > 100 || (s[0] == '.' && (n == 1 || (n == 2 && s[1] == '.')))) /* .github is a name */
        return false;
    for (size_t i = 0; i < n; i++)
        if (!strchr(plain, s[i]))
            return false;
    return true;
}

enum github_scope_kind github_scope_kind(const char *scope)
{
    return str_starts(scope, enterprise_prefix) ? GITHUB_ENTERPRISE
           : strchr(scope, '/')                 ? GITHUB_REPOSITORY
                                                : GITHUB_ORGANISATION;
}

char *github_scope_path(const char *scope)
{
    const char *slash = strchr(scope, '/');
    if (slash ? !is_name(scope, (size_t)(slash - scope)) || !is_name(slash + 1, strlen(slash + 1))
              : !is_name(scope, strlen(scope)))
        return NULL;
    if (str_ends(scope, ".git")) /* which GitHub gives to none */
        return NULL;
    static const char *const formats[] = {
        [GITHUB_REPOSITORY] = "/repos/", [GITHUB_ORGANISATION] = "/orgs/", [GITHUB_ENTERPRISE] = "/"
    };
    return xasprintf("%s%s", formats[github_scope_kind(scope)], scope);
}

bool github_scope_check(const char *scope, struct error *err)
{
    AUTO_FREE char *path = github_scope_path(scope);
    if (path)
        return true;
    error_set(err, ERROR_CONFIG, 0, "--repo: `%.120s` is neither OWNER/REPO nor an organization nor enterprises/NAME",
              scope);
    error_hint(err, "of https://github.com/octo/demo.git it is octo/demo");
    return false;
}

/* --- where the API is --------------------------------------------------------------------------------------------- */

/* GitHub's own hosts have an api.; a GitHub Enterprise Server has it below /api/v3. */
static char *api_of_server(const struct url *server)
{
    AUTO_FREE char *host = url_host_header(server);
    if (str_is_one_of(server->host, "github.com www.github.com"))
        return xstrdup("https://api.github.com");
    if (str_ends(server->host, ".ghe.com") || str_eq(server->host, "github.localhost"))
        return xasprintf("%s://api.%s", server->scheme, host);
    return xasprintf("%s://%s/api/v3", server->scheme, host);
}

static bool find_api(const char *(*getenv_fn)(const char *), char **ret, struct error *err)
{
    const char *api = getenv_fn("GITHUB_API_URL"), *server = getenv_fn("GITHUB_SERVER_URL");
    const char *name = str_empty(api) && !str_empty(server) ? "GITHUB_SERVER_URL" : "GITHUB_API_URL";
    const char *given = !str_empty(api) ? api : !str_empty(server) ? server : "https://api.github.com";
    AUTO_URL url = { 0 };
    if (!url_parse(given, name, &url, err))
        return false;
    if (!url_is_safe(&url)) {
        error_set(err, ERROR_CONFIG, 0, "%s: `%.200s` is neither https nor a loopback address", name, given);
        error_hint(err, "the token would cross the network in the clear: use https://");
        return false;
    }
    *ret = given == server ? api_of_server(&url) : xstrdup(given);
    for (size_t n = strlen(*ret); n > 0 && (*ret)[n - 1] == '/'; n--)
        (*ret)[n - 1] = '\0';
    return true;
}

/* --- the token ---------------------------------------------------------------------------------------------------- */

/* The first of these variables that is not blank: as everywhere, such a one counts as not given. */
static const char *first_of(const char *const *vars, size_t n, const char *(*getenv_fn)(const char *),
                            const char **ret_name)
{
    for (size_t i = 0; i < n; i++) {
        const char *value = getenv_fn(vars[i]);
        *ret_name = vars[i];
        if (!str_blank(value))
            return value;
    }
    return NULL;
}

/* What the step says, then what all have in common. The last is there without anybody having meant it. */
static const char *const token_vars[] = { "INPUT_GITHUB-TOKEN", "INPUT_GITHUB_TOKEN", "MAYFLY_GITHUB_TOKEN",
                                          "GITHUB_TOKEN" };
static const char *const key_vars[] = { "INPUT_APP-KEY", "INPUT_APP_KEY", "MAYFLY_APP_KEY" };

static bool find_token(const char *token_file, const char *(*getenv_fn)(const char *), struct secret *ret,
                       struct error *err)
{
    const char *name, *value;
    if (!str_empty(token_file))
        return token_read(token_file, TOKEN_WORD, "the GitHub token file", ret, err);
    value = first_of(token_vars, ARRAY_SIZE(token_vars), getenv_fn, &name);
    if (value) {
        AUTO_FREE char *what = xasprintf("the GitHub token from %s", name);
        return token_parse(value, strlen(value), TOKEN_WORD, what, ret, err);
    }
    error_set(err, ERROR_CONFIG, 0, "no GitHub token and no GitHub App");
    error_hint(err, "set MAYFLY_GITHUB_TOKEN (in the action github-token) to a token with `Administration: write` on "
                    "the repository (or `Self-hosted runners: write` on the organization), or give --app-id and "
                    "MAYFLY_APP_KEY (app-key); the GITHUB_TOKEN of a workflow cannot do this");
    return false;
}

/* --- the App ------------------------------------------------------------------------------------------------------ */

static bool read_key(const char *pem, size_t len, const char *what, struct rsa_key **ret, struct error *err)
{
    if (rsa_key_read(pem, len, what, ret, err))
        return true;
    error_hint(err, "GitHub gives it out once, as a .pem file: the App's settings page > Private keys > Generate a "
                    "private key");
    return false;
}

static bool find_key(const char *file, const char *(*getenv_fn)(const char *), struct rsa_key **ret, struct error *err)
{
    const char *name, *value;
    AUTO_STRBUF text = STRBUF_MAX(KEY_MAX);
    text.secret = true;
    if (!str_empty(file)) {
        AUTO_FREE char *what = xasprintf("the GitHub App's key in `%s`", file);
        if (!strbuf_read_file(&text, file, "the GitHub App's key file", err)) {
            err->domain = ERROR_CONFIG;
            error_hint(err, "--app-key-file names a file that this user can read: the App's private key, .pem");
            return false;
        }
        return read_key(strbuf_str(&text), text.len, what, ret, err);
    }
    value = first_of(key_vars, ARRAY_SIZE(key_vars), getenv_fn, &name);
    if (value) {
        AUTO_FREE char *what = xasprintf("the GitHub App's key from %s", name);
        return read_key(value, strlen(value), what, ret, err);
    }
    error_set(err, ERROR_CONFIG, 0, "--app-id without the GitHub App's private key");
    error_hint(err, "set MAYFLY_APP_KEY to the text of its .pem file, or give --app-key-file");
    return false;
}

static bool find_app(const struct github_settings *s, const char *(*getenv_fn)(const char *), struct github_config *c,
                     struct error *err)
{
    const char *name = "--github-token-file";
    if (!is_name(s->app_id, strlen(s->app_id))) {
        error_set(err, ERROR_CONFIG, 0, "--app-id: `%.120s` is neither a client ID nor an app ID", s->app_id);
        error_hint(err, "both are on the App's settings page: `Iv23li…`, or a number");
        return false;
    }
    /* GITHUB_TOKEN, the last, is not meant by anybody. */
    if (!str_empty(s->token_file) || first_of(token_vars, ARRAY_SIZE(token_vars) - 1, getenv_fn, &name)) {
        error_set(err, ERROR_CONFIG, 0, "both a GitHub App (--app-id) and a token (%s) are given", name);
        error_hint(err, "use only one of them");
        return false;
    }
    if (github_scope_kind(c->scope) == GITHUB_ENTERPRISE) {
        error_set(err, ERROR_CONFIG, 0, "a GitHub App cannot manage the runners of an enterprise (%s)", c->scope);
        error_hint(err, "only tokens can do that: set MAYFLY_GITHUB_TOKEN to a classic one with "
                        "`manage_runners:enterprise`, or give --repo ORG");
        return false;
    }
    c->app_id = xstrdup(s->app_id);
    return find_key(s->app_key_file, getenv_fn, &c->app_key, err);
}

/* The App's key alone means that its id was forgotten. */
static bool check_no_app(const struct github_settings *s, const char *(*getenv_fn)(const char *), struct error *err)
{
    const char *name = "--app-key-file";
    if (str_empty(s->app_key_file) && !first_of(key_vars, ARRAY_SIZE(key_vars), getenv_fn, &name))
        return true;
    error_set(err, ERROR_CONFIG, 0, "a GitHub App's key (%s) without the App's ID", name);
    error_hint(err, "give --app-id, or MAYFLY_APP_ID: the client ID on the App's settings page");
    return false;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static bool fill(const struct github_settings *s, const char *(*getenv_fn)(const char *), struct github_config *c,
                 struct error *err)
{
    const char *repo = str_empty(s->repo) ? getenv_fn("GITHUB_REPOSITORY") : s->repo;
    if (!find_api(getenv_fn, &c->api_url, err))
        return false;
    if (str_empty(repo)) {
        error_set(err, ERROR_CONFIG, 0, "no GitHub repository or organization");
        error_hint(err, "give --repo OWNER/REPO, --repo ORG, --repo enterprises/NAME, or set GITHUB_REPOSITORY");
        return false;
    }
    if (!github_scope_check(repo, err))
        return false;
    c->path = github_scope_path(repo);
    c->scope = xstrdup(repo);
    if (!str_empty(s->app_id))
        return find_app(s, getenv_fn, c, err);
    return check_no_app(s, getenv_fn, err) && find_token(s->token_file, getenv_fn, &c->token, err);
}

bool github_config_load(const struct github_settings *settings, const char *(*getenv_fn)(const char *),
                        struct github_config *ret, struct error *err)
{
    struct github_config c = { 0 };
    if (!fill(settings, getenv_fn, &c, err)) {
        github_config_clear(&c);
        return false;
    }
    *ret = c;
    return true;
}

void github_config_clear(struct github_config *c)
{
    free(c->api_url);
    free(c->scope);
    free(c->path);
    secret_clear(&c->token);
    free(c->app_id);
    rsa_key_free(c->app_key);
    *c = (struct github_config){ 0 };
}
