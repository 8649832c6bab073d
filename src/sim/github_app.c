/* The GitHub App that the simulator plays, with --app-key or --app-public-key: its JSON web tokens, its installations
 * on every owner there is, and the tokens of those. Source: GitHub REST API, "GitHub Apps"; the words of refusals as
 * users of it reported them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <strings.h>
#include <unistd.h>

#include "github_app.h"
#include "github_call.h"
#include "github_jwt.h"
#include "http.h"
#include "sim.h"
#include "to_json.h"

#include "mayfly/codec/json.h"
#include "mayfly/util/encode.h"

enum { KEY_BITS = 2048, FIRST_INSTALLATION = 1001, KEY_MAX = 65536 };

static const char slug[] = "mayfly-sim";

/* --- from its beginning to its end -------------------------------------------------------------------------------- */

static void grant_all(struct app *app)
{
    static const char *const all[][2] = { { "actions", "read" },
                                          { "administration", "write" },
                                          { "metadata", "read" },
                                          { "organization_self_hosted_runners", "write" } };
    pairs_clear(&app->permissions);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        pairs_set(&app->permissions, all[i][0], all[i][1]);
}

static bool write_key(EVP_PKEY *key, const char *path, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "writing the App's key to %s", path);
    BIO *bio = must(BIO_new_fd(fd, BIO_CLOSE));
    /* PKCS#1, as GitHub gives them out */
    bool ok = PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
    BIO_free(bio);
    return ok || error_set(err, ERROR_SYSTEM, 0, "the App's key cannot be written to %s", path);
}

static bool read_public_key(const char *path, EVP_PKEY **ret, struct error *err)
{
    AUTO_STRBUF text = STRBUF_MAX(KEY_MAX);
    if (!strbuf_read_file(&text, path, "the App's public key", err))
        return false;
    BIO *bio = must(BIO_new_mem_buf(strbuf_str(&text), (int)text.len));
    *ret = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return *ret || error_set(err, ERROR_CONFIG, 0, "%s holds no public key in PEM form", path);
}

bool app_open(struct sim *s, const char *key_file, const char *public_key_file, struct error *err)
{
    if (str_empty(key_file) && str_empty(public_key_file))
        return true;
    s->app = xcalloc(1, sizeof(*s->app));
    grant_all(s->app);
    s->app->since = sim_now(s);
    if (!str_empty(public_key_file))
        return read_public_key(public_key_file, &s->app->key, err);
    s->app->key = must(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)KEY_BITS));
    return write_key(s->app->key, key_file, err);
}

void app_reset(struct sim *s)
{
    struct app *app = s->app;
    if (!app)
        return;
    for (size_t i = 0; i < app->n_tokens; i++)
        app_token_clear(&app->tokens[i]);
    free(app->tokens);
    strlist_clear(&app->repositories);
    pairs_clear(&app->permissions);
    *app = (struct app){ .key = app->key, .since = sim_now(s) };
    grant_all(app);
}

void app_close(struct sim *s)
{
    if (!s->app)
        return;
    app_reset(s);
    pairs_clear(&s->app->permissions);
    EVP_PKEY_free(s->app->key);
    free(s->app);
    s->app = NULL;
}

/* --- what it is made of ------------------------------------------------------------------------------------------- */

static void add_account(struct json_object *o, const struct sim *s, const char *login)
{
    static const char *const urls[] = { "followers_url", "following_url",     "gists_url",  "starred_url",
                                        "repos_url",     "subscriptions_url", "events_url", "received_events_url",
                                        "url",           "organizations_url", "html_url",   "avatar_url" };
    AUTO_FREE char *url = xasprintf("%s/api/v3/users/%s", s->base_url, login);
    json_add_text(o, "login", login);
    json_add_int(o, "id", 1);
    json_add_text(o, "node_id", "O_simulated");
    json_add_text(o, "gravatar_id", "");
    json_add_text(o, "type", "Organization");
    json_add_bool(o, "site_admin", false);
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
        json_add_text(o, urls[i], url);
}

/* The owner of "octo/demo" or "octo", owned. */
static char *owner_of(const char *repo)
{
    return xstrndup(repo, strcspn(repo, "/"));
}

/* The number of an owner's installation: where the owner first is among what exists; 0: nowhere. */
static int64_t installation_id(const struct sim *s, const char *account)
{
    for (size_t i = 0; i < s->options.repos.n; i++) {
        AUTO_FREE char *owner = owner_of(s->options.repos.v[i]);
        if (strcasecmp(owner, account) == 0)
            return FIRST_INSTALLATION + (int64_t)i;
    }
    return 0;
}

static struct json_object *installation_json(const struct sim *s, const char *account)
{
    const struct app *app = s->app;
    struct json_object *o = must(json_object_new_object());
    int64_t id = installation_id(s, account);
    AUTO_FREE char *base = xasprintf("%s/api/v3/app/installations/%" PRId64, s->base_url, id);
    AUTO_FREE char *tokens = xasprintf("%s/access_tokens", base);
    AUTO_FREE char *html = xasprintf("%s/organizations/%s/settings/installations/%" PRId64, s->base_url, account, id);
    AUTO_FREE char *repositories = xasprintf("%s/api/v3/installation/repositories", s->base_url);
    json_add_int(o, "id", id);
    json_add_text(o, "client_id", app_client_id);
    add_account(json_add_object(o, "account"), s, account);
    json_add_text(o, "access_tokens_url", tokens);
    json_add_text(o, "repositories_url", repositories);
    json_add_text(o, "html_url", html);
    json_add_int(o, "app_id", APP_ID);
    json_add_text(o, "app_slug", slug);
    json_add_int(o, "target_id", 1);
    json_add_text(o, "target_type", "Organization");
    json_add_text(o, "repository_selection", app->repositories.n ? "selected" : "all");
    json_add_pairs(o, "permissions", &app->permissions);
    json_add_array(o, "events");
    json_add_null(o, "single_file_name");
    json_add_date(o, "created_at", app->since);
    json_add_date(o, "updated_at", app->since);
    json_add_date(o, "suspended_at", app->suspended ? app->since : 0);
    if (app->suspended)
        add_account(json_add_object(o, "suspended_by"), s, account);
    else
        json_add_null(o, "suspended_by");
    return o;
}

static struct json_object *about_json(const struct sim *s)
{
    struct json_object *o = must(json_object_new_object());
    AUTO_FREE char *html = xasprintf("%s/apps/%s", s->base_url, slug);
    json_add_int(o, "id", APP_ID);
    json_add_text(o, "client_id", app_client_id);
    json_add_text(o, "slug", slug);
    json_add_text(o, "node_id", "A_simulated");
    add_account(json_add_object(o, "owner"), s, "octo");
    json_add_text(o, "name", "Mayfly");
    json_add_null(o, "description");
    json_add_text(o, "external_url", html);
    json_add_text(o, "html_url", html);
    json_add_date(o, "created_at", s->app->since);
    json_add_date(o, "updated_at", s->app->since);
    json_add_pairs(o, "permissions", &s->app->permissions);
    json_add_array(o, "events");
    return o;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static void get_app(struct app_call *a)
{
    respond_json(a->res, 200, about_json(a->sim));
}

static void get_installation(struct app_call *a)
{
    if (!a->sim->app->uninstalled && (!a->repo || app_is_installed_on(a->sim, a->repo)))
        respond_json(a->res, 200, installation_json(a->sim, a->account));
    else
        github_fail(a->res, 404, "Not Found");
}

static const struct {
    const char *method, *prefix, *suffix, *action;
    void (*serve)(struct app_call *);
} routes[] = {
    { "GET", "/app", "", "get-app", get_app },
    { "GET", "/repos/", "/installation", "get-installation", get_installation },
    { "GET", "/orgs/", "/installation", "get-installation", get_installation },
    { "POST", "/app/installations/", "/access_tokens", "create-token", app_create_token },
};

/* The number of the route of a path below /api/v3; ARRAY_SIZE(routes): none. *ret_middle, owned, takes what is between.
 */
static size_t find_route(const char *method, const char *path, char **ret_middle)
{
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        size_t prefix = strlen(routes[i].prefix), suffix = strlen(routes[i].suffix), n = strlen(path);
        bool fits = *routes[i].suffix ? n > prefix + suffix : n == prefix;
        if (!str_eq(routes[i].method, method) || !fits || !str_starts(path, routes[i].prefix) ||
            !str_ends(path, routes[i].suffix))
            continue;
        *ret_middle = xstrndup(path + prefix, n - prefix - suffix);
        return i;
    }
    return ARRAY_SIZE(routes);
}

const char *app_action(const char *method, const char *path)
{
    AUTO_FREE char *middle = NULL;
    size_t i = find_route(method, path, &middle);
    return i < ARRAY_SIZE(routes) ? routes[i].action : NULL;
}

/* Who has the installation, or is in the path; owned, NULL: nobody who exists. */
static char *account_of(const struct sim *s, const char *middle)
{
    uint64_t id;
    if (!parse_uint(middle, INT64_MAX, &id)) {
        AUTO_FREE char *owner = owner_of(middle);
        return installation_id(s, owner) ? STEAL(owner) : NULL;
    }
    for (size_t i = 0; i < s->options.repos.n; i++) {
        AUTO_FREE char *owner = owner_of(s->options.repos.v[i]);
        if (installation_id(s, owner) == (int64_t)id)
            return STEAL(owner);
    }
    return NULL;
}

bool app_serve(struct sim *s, const char *path, const char *bearer, const struct request *r, struct response *res)
{
    AUTO_FREE char *middle = NULL;
    size_t i = s->app ? find_route(r->method, path, &middle) : ARRAY_SIZE(routes);
    if (i == ARRAY_SIZE(routes))
        return false;
    int status;
    const char *wrong = jwt_judge(s, bearer ? bearer : "", &status);
    AUTO_FREE char *account = account_of(s, middle);
    struct app_call a = {
        .sim = s, .request = r, .res = res, .account = account, .repo = strchr(middle, '/') ? middle : NULL
    };
    if (wrong)
        github_fail(res, status, wrong);
    else if (*middle && (!account || s->app->uninstalled))
        github_fail(res, 404, "Not Found");
    else
        routes[i].serve(&a);
    return true;
}

/* --- what a test may change --------------------------------------------------------------------------------------- */

struct json_object *app_json(const struct sim *s)
{
    const struct app *app = s->app;
    struct json_object *o = must(json_object_new_object());
    json_add_text(o, "client_id", app_client_id);
    json_add_int(o, "id", APP_ID);
    json_add_pairs(o, "permissions", &app->permissions);
    json_add_list(o, "repositories", &app->repositories);
    json_add_bool(o, "suspended", app->suspended);
    json_add_bool(o, "installed", !app->uninstalled);
    struct json_object *tokens = json_add_array(o, "tokens");
    for (size_t i = 0; i < app->n_tokens; i++) {
        struct app_token *t = &app->tokens[i];
        struct json_object *row = json_add_row(tokens);
        json_add_text(row, "token", t->token);
        json_add_text(row, "account", t->account);
        json_add_list(row, "repositories", &t->repositories);
        json_add_pairs(row, "permissions", &t->permissions);
        json_add_date(row, "expires_at", t->expires);
        json_add_bool(row, "works", app_token(s, t->token) != NULL);
    }
    return o;
}

struct change {
    bool suspended, installed, revoke;
    struct field_list repositories;
};

#define FIELDS struct change
static const struct field change_fields[] = {
    F_BOOL("suspended", suspended),
    F_BOOL("installed", installed),
    F_BOOL("revoke", revoke),
    F_STRINGS("repositories", repositories),
    { 0 },
};
#undef FIELDS

bool app_change(struct sim *s, struct json_object *body, struct error *err)
{
    struct app *app = s->app;
    AUTO_ARENA arena = { 0 };
    struct change want = { .suspended = app->suspended, .installed = !app->uninstalled };
    if (!json_decode(body, change_fields, &want, &arena, "the App", err))
        return false;
    app->suspended = want.suspended;
    app->uninstalled = !want.installed;
    app->since = sim_now(s);
    for (size_t i = 0; want.revoke && i < app->n_tokens; i++)
        app->tokens[i].revoked = true;
    if (json_object_object_get_ex(body, "permissions", NULL)) {
        pairs_clear(&app->permissions);
        pairs_take_json(&app->permissions, body, "permissions");
    }
    if (json_object_object_get_ex(body, "repositories", NULL)) {
        strlist_clear(&app->repositories);
        for (size_t i = 0; i < want.repositories.n; i++)
            strlist_add(&app->repositories, *FIELD_ROW(&want.repositories, const char *, i));
    }
    return true;
}
