/* Tokens of the App's installations: what they may, and how they are narrowed. */
#include <strings.h>

#include "github.h"
#include "github_app.h"
#include "github_call.h"
#include "http.h"
#include "sim.h"
#include "to_json.h"

#include "mayfly/codec/json.h"

void app_token_clear(struct app_token *t)
{
    free(t->token);
    free(t->account);
    strlist_clear(&t->repositories);
    pairs_clear(&t->permissions);
}

static int level(const char *word)
{
    return str_eq(word, "read") ? 1 : str_eq(word, "write") ? 2 : str_eq(word, "admin") ? 3 : 0;
}

static struct app_token *find_token(const struct sim *s, const char *token)
{
    for (size_t i = 0; s->app && i < s->app->n_tokens; i++)
        if (str_eq(s->app->tokens[i].token, token))
            return &s->app->tokens[i];
    return NULL;
}

const struct app_token *app_token(const struct sim *s, const char *token)
{
    const struct app_token *t = find_token(s, token);
    bool live = t && !t->revoked && sim_now(s) < t->expires && !s->app->suspended && !s->app->uninstalled;
    return live ? t : NULL;
}

bool app_token_opens(const struct app_token *t, const char *scope)
{
    const char *owner = strchr(scope + 1, '/') + 1;
    size_t n = strcspn(owner, "/");
    if (strlen(t->account) != n || strncasecmp(owner, t->account, n) != 0)
        return false;
    if (!str_starts(scope, "/repos/") || t->repositories.n == 0)
        return true;
    for (size_t i = 0; i < t->repositories.n; i++)
        if (strcasecmp(t->repositories.v[i], owner + n + 1) == 0)
            return true;
    return false;
}

bool app_token_may(const struct app_token *t, const char *permission)
{
    AUTO_FREE char *name = xstrndup(permission, strcspn(permission, "="));
    return level(pairs_get(&t->permissions, name)) >= level(permission + strlen(name) + 1);
}

/* As GitHub's have been since 2026: "ghs_", the App's number, and what looks like a JSON web token. */
static char *make_token(void)
{
    AUTO_STRBUF token = STRBUF_INIT;
    strbuf_addf(&token, "ghs_%d_eyJ", APP_ID);
    while (token.len < SIM_TOKEN_LEN) {
        AUTO_FREE char *more = sim_random_id("", 32);
        strbuf_adds(&token, more);
    }
    strbuf_truncate(&token, SIM_TOKEN_LEN);
    token.data[60] = token.data[340] = '.';
    token.data[400] = '_';
    return strbuf_steal(&token);
}

/* Takes what the body narrows the permissions to. */
static bool narrow_permissions(const struct app_call *a, struct json_object *body, struct app_token *t)
{
    struct json_object *wanted = NULL;
    const struct pairs *granted = &a->sim->app->permissions;
    if (!json_object_object_get_ex(body, "permissions", &wanted)) {
        pairs_copy(&t->permissions, granted);
        return true;
    }
    pairs_take_json(&t->permissions, body, "permissions");
    for (size_t i = 0; i < t->permissions.n; i++) {
        if (level(t->permissions.v[2 * i + 1]) > 0 &&
            level(t->permissions.v[2 * i + 1]) <= level(pairs_get(granted, t->permissions.v[2 * i])))
            continue;
        github_fail(a->res, 422, "The permissions requested are not granted to this installation.");
        return false;
    }
    if (pairs_get(granted, "metadata")) /* comes with all others */
        pairs_set(&t->permissions, "metadata", "read");
    return true;
}

bool app_is_installed_on(const struct sim *s, const char *repo)
{
    bool exists = false, selected = s->app->repositories.n == 0;
    for (size_t i = 0; i < s->options.repos.n; i++)
        exists = exists || strcasecmp(s->options.repos.v[i], repo) == 0;
    for (size_t i = 0; i < s->app->repositories.n; i++)
        selected = selected || strcasecmp(s->app->repositories.v[i], repo) == 0;
    return exists && selected;
}

static bool narrow_repositories(const struct app_call *a, struct json_object *body, struct app_token *t)
{
    struct json_object *wanted = NULL;
    if (!json_object_object_get_ex(body, "repositories", &wanted) || !json_object_is_type(wanted, json_type_array)) {
        for (size_t i = 0; i < a->sim->app->repositories.n; i++)
            strlist_add(&t->repositories, strchr(a->sim->app->repositories.v[i], '/') + 1);
        return true;
    }
    for (size_t i = 0; i < json_object_array_length(wanted); i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(wanted, i));
        AUTO_FREE char *repo = xasprintf("%s/%s", t->account, name ? name : "");
        if (!app_is_installed_on(a->sim, repo)) {
            github_fail(a->res, 422,
                        "There is at least one repository that does not exist or is not accessible to the parent "
                        "installation.");
            return false;
        }
        strlist_add(&t->repositories, name);
    }
    return true;
}

void app_create_token(struct app_call *a)
{
    struct app *app = a->sim->app;
    AUTO_JSON *body = NULL;
    AUTO_ERROR err = { 0 };
    if (app->suspended) {
        github_fail(a->res, 403, "This installation has been suspended");
        return;
    }
    if (a->request->body.len > 0 &&
        !json_parse(strbuf_str(&a->request->body), a->request->body.len, "the body", &body, &err)) {
        github_fail(a->res, 400, "Problems parsing JSON");
        return;
    }
    struct app_token t = { .account = xstrdup(a->account) };
    if (!narrow_permissions(a, body, &t) || !narrow_repositories(a, body, &t)) {
        app_token_clear(&t);
        return;
    }
    t.token = make_token();
    t.expires = sim_now(a->sim) + a->sim->options.app_token_life;
    app->tokens = xreallocarray(app->tokens, app->n_tokens + 1, sizeof(*app->tokens));
    app->tokens[app->n_tokens++] = t;
    struct json_object *o = must(json_object_new_object());
    json_add_text(o, "token", t.token);
    json_add_date(o, "expires_at", t.expires);
    json_add_pairs(o, "permissions", &t.permissions);
    json_add_text(o, "repository_selection", t.repositories.n ? "selected" : "all");
    respond_json(a->res, 201, o);
}
