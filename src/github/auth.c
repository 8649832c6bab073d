#include "mayfly/github/auth.h"

#include "mayfly/net/url.h"

enum { TOKEN_MAX = 4096 };

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

char *github_scope_path(const char *scope)
{
    const char *slash = strchr(scope, '/');
    if (!slash)
        return is_name(scope, strlen(scope)) ? xasprintf("/orgs/%s", scope) : NULL;
    if (!is_name(scope, (size_t)(slash - scope)) || !is_name(slash + 1, strlen(slash + 1)))
        return NULL;
    return xasprintf("/repos/%s", scope);
}

static bool take_token(const char *value, size_t len, const char *where, struct secret *ret, struct error *err)
{
    for (size_t i = 0; i < len; i++) {
        if (value[i] <= ' ' || value[i] > '~') {
            error_set(err, ERROR_CONFIG, 0,
                      "the GitHub token from %s holds a blank, a line break or a control character", where);
            error_hint(err, "often a line break was pasted with it: set the token again without it");
            return false;
        }
    }
    secret_set(ret, value, len);
    return true;
}

static bool token_from_file(const char *path, struct secret *ret, struct error *err)
{
    AUTO_STRBUF text = STRBUF_MAX(TOKEN_MAX);
    text.secret = true;
    if (!strbuf_read_file(&text, path, "the GitHub token file", err)) {
        err->domain = ERROR_CONFIG;
        error_hint(err, "--github-token-file names a file that this user can read and that holds the token alone");
        return false;
    }
    if (text.len > 0 && text.data[text.len - 1] == '\n') /* every editor ends a file with one */
        strbuf_truncate(&text, text.len - 1);
    if (text.len == 0)
        return error_set(err, ERROR_CONFIG, 0, "the GitHub token file `%s` is empty", path);
    return take_token(strbuf_str(&text), text.len, "the token file", ret, err);
}

static bool find_token(const char *token_file, const char *(*getenv_fn)(const char *), struct secret *ret,
                       struct error *err)
{
    static const char *const vars[] = { "MAYFLY_GITHUB_TOKEN", "INPUT_GITHUB-TOKEN", "INPUT_GITHUB_TOKEN",
                                        "GITHUB_TOKEN" };
    if (!str_empty(token_file))
        return token_from_file(token_file, ret, err);
    for (size_t i = 0; i < ARRAY_SIZE(vars); i++) {
        const char *value = getenv_fn(vars[i]);
        if (!str_empty(value))
            return take_token(value, strlen(value), vars[i], ret, err);
    }
    error_set(err, ERROR_CONFIG, 0, "no GitHub token");
    error_hint(err, "set MAYFLY_GITHUB_TOKEN to a token with `Administration: write` on the repository (or "
                    "`Self-hosted runners: write` on the organisation); the GITHUB_TOKEN of a workflow cannot do this");
    return false;
}

static bool fill(const char *repo, const char *token_file, const char *(*getenv_fn)(const char *),
                 struct github_config *c, struct error *err)
{
    AUTO_URL url = { 0 };
    const char *api = getenv_fn("GITHUB_API_URL");
    if (str_empty(api))
        api = "https://api.github.com";
    if (!url_parse(api, "GITHUB_API_URL", &url, err))
        return false;
    if (!url_is_safe(&url)) {
        error_set(err, ERROR_CONFIG, 0, "GITHUB_API_URL: `%.200s` is neither https nor a loopback address", api);
        error_hint(err, "the token would cross the network in the clear: use https://");
        return false;
    }
    c->api_url = xstrdup(api);
    for (size_t n = strlen(c->api_url); n > 0 && c->api_url[n - 1] == '/'; n--)
        c->api_url[n - 1] = '\0';
    if (str_empty(repo))
        repo = getenv_fn("GITHUB_REPOSITORY");
    if (str_empty(repo)) {
        error_set(err, ERROR_CONFIG, 0, "no GitHub repository or organisation");
        error_hint(err, "give --repo OWNER/REPO, --repo ORG, or set GITHUB_REPOSITORY");
        return false;
    }
    c->path = github_scope_path(repo);
    if (!c->path)
        return error_set(err, ERROR_CONFIG, 0, "--repo: `%.120s` is neither OWNER/REPO nor an organisation", repo);
    c->scope = xstrdup(repo);
    return find_token(token_file, getenv_fn, &c->token, err);
}

bool github_config_load(const char *repo, const char *token_file, const char *(*getenv_fn)(const char *),
                        struct github_config *ret, struct error *err)
{
    struct github_config c = { 0 };
    if (!fill(repo, token_file, getenv_fn, &c, err)) {
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
    *c = (struct github_config){ 0 };
}
