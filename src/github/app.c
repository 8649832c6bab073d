#include "mayfly/github/app.h"

#include <inttypes.h>

#include "mayfly/codec/json.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/log.h"
#include "mayfly/util/token.h"

enum {
    JWT_BACK = 60,   /* seconds: GitHub's clock may be behind */
    JWT_AHEAD = 540, /* GitHub takes 600, by its own clock */
    RENEW_EARLY_MS = 300 * 1000,
    CLOCK_STEP_MS = 5000,
    PAUSE_MS = 1000,
    PAUSE_MAX_MS = 30000, /* after a failure, and twice as long after each more */
    GIVE_UP_MS = 30000,   /* no attempt to get a token begins later: calls wait for it */
};

/* What Mayfly does with tokens. Source: GitHub Docs, "Permissions required for GitHub Apps". */
static const struct permission {
    const char *name, *level;
    unsigned kinds; /* of scopes, as bits */
    bool jobs;      /* for reading jobs only: what is public can be read without it */
} permissions[] = {
    { "administration", "write", 1u << GITHUB_REPOSITORY, false },
    { "organization_self_hosted_runners", "write", 1u << GITHUB_ORGANISATION, false },
    { "actions", "read", 1u << GITHUB_REPOSITORY | 1u << GITHUB_ORGANISATION, true },
};

struct installation {
    struct github_app *app;
    struct github_config config; /* of its scope; api_url is borrowed */
    struct github github;
    int64_t id;                 /* 0: to be asked for */
    char *selection, *settings; /* or NULL */
    bool may[ARRAY_SIZE(permissions)];
    struct secret token;
    int64_t renew_at, ends_at; /* monotonic ms */
    unsigned minted;           /* tokens so far */
    unsigned tries;            /* that have ended, with a token or an error */
    int64_t pause, not_before; /* ms after the newest failure, 0 without one; monotonic ms */
    struct error error;
    enum github_class class;
    char *token_may, *missing;
    struct github_call *call; /* in flight */
    struct call_ops ops;      /* the call's own, and `done` */
    struct installation *next;
};

struct github_app {
    const struct github_config *config;
    const struct env *env;
    bool jobs;
    bool hurry;
    int64_t ahead; /* ms that GitHub's clock is ahead of ours */
    struct installation *installations;
};

struct github_app *github_app_new(const struct github_config *config, const struct env *env, bool jobs)
{
    struct github_app *app = xcalloc(1, sizeof(*app));
    app->config = config;
    app->env = env;
    app->jobs = jobs;
    return app;
}

static void free_installation(struct installation *i)
{
    if (i->call)
        call_free(&i->call->call);
    char *owned[] = { i->config.scope, i->config.path, i->selection, i->settings, i->token_may, i->missing };
    for (size_t k = 0; k < ARRAY_SIZE(owned); k++)
        free(owned[k]);
    secret_clear(&i->token);
    error_clear(&i->error);
    free(i);
}

void github_app_free(struct github_app *app)
{
    while (app && app->installations) {
        struct installation *i = app->installations;
        app->installations = i->next;
        free_installation(i);
    }
    free(app);
}

static struct installation *installation_of(struct github_app *app, const struct github_config *config)
{
    for (struct installation *i = app->installations; i; i = i->next)
        if (str_eq(i->config.scope, config->scope))
            return i;
    struct installation *i = xcalloc(1, sizeof(*i));
    i->app = app;
    i->config = (struct github_config){ .api_url = config->api_url,
                                        .scope = xstrdup(config->scope),
                                        .path = xstrdup(config->path) };
    i->github = (struct github){ .config = &i->config, .env = app->env, .app = app, .remaining = -1 };
    i->next = app->installations;
    app->installations = i;
    return i;
}

void github_app_hurry(struct github_app *app)
{
    app->hurry = true;
}

/* --- the App's own token ------------------------------------------------------------------------------------------ */

static void add_part(struct strbuf *out, struct json_object *part)
{
    const char *json = json_object_to_json_string_ext(part, JSON_C_TO_STRING_PLAIN);
    encode_base64url(out, json, strlen(json));
}

void github_app_jwt(const struct rsa_key *key, const char *app_id, int64_t now, struct secret *ret)
{
    AUTO_JSON *header = must(json_object_new_object()), *claims = must(json_object_new_object());
    AUTO_STRBUF text = STRBUF_INIT, signature = STRBUF_INIT;
    text.secret = signature.secret = true;
    json_object_object_add(header, "alg", must(json_object_new_string("RS256")));
    json_object_object_add(header, "typ", must(json_object_new_string("JWT")));
    json_object_object_add(claims, "iat", must(json_object_new_int64(now - JWT_BACK)));
    json_object_object_add(claims, "exp", must(json_object_new_int64(now + JWT_AHEAD)));
    json_object_object_add(claims, "iss", must(json_object_new_string(app_id)));
    add_part(&text, header);
    strbuf_addc(&text, '.');
    add_part(&text, claims);
    rsa_sign(key, text.data, text.len, &signature);
    strbuf_addc(&text, '.');
    encode_base64url(&text, signature.data, signature.len);
    secret_set(ret, strbuf_str(&text), text.len);
}

void github_app_sign(struct github_app *app, struct secret *ret)
{
    int64_t now = (env_now(app->env) + app->ahead) / 1000;
    github_app_jwt(app->config->app_key, app->config->app_id, now, ret);
}

bool github_app_set_clock(struct github_app *app, const char *date)
{
    int64_t now;
    if (!date || !clock_parse_http(date, &now))
        return false;
    int64_t ahead = now * 1000 - env_now(app->env), change = ahead - app->ahead;
    if (change < -CLOCK_STEP_MS || change > CLOCK_STEP_MS) /* told once, not by each call that was in flight */
        log_warn("GitHub's clock and this machine's differ by %lld s: using GitHub's; set this machine's clock by NTP",
                 (long long)(ahead < 0 ? -ahead : ahead) / 1000);
    app->ahead = ahead;
    return true;
}

/* --- asking for a token ------------------------------------------------------------------------------------------- */

static void landed(struct call *call);

/* call: as the App, and harmless to repeat: a token that got lost ends by itself. */
static struct call *ask(struct installation *i, struct github_call *call)
{
    call->auth = GITHUB_AS_APP;
    call->call.makes = false;
    call->call.not_before = i->app->hurry ? 0 : i->not_before;
    call->call.give_up = env_mono(i->app->env) + GIVE_UP_MS + PAUSE_MAX_MS;
    call->call.tag = i;
    i->ops = *call->call.ops;
    i->ops.done = landed;
    call->call.ops = &i->ops;
    i->call = call;
    return &call->call;
}

static bool is_wanted(const struct installation *i, const struct permission *p)
{
    return (p->kinds & 1u << github_scope_kind(i->config.scope)) && (!p->jobs || i->app->jobs);
}

/* "administration: write, actions: read" of those that are wanted and granted, or wanted and not; owned, or NULL. */
static char *list_permissions(const struct installation *i, bool granted)
{
    AUTO_STRBUF text = STRBUF_INIT;
    for (size_t k = 0; k < ARRAY_SIZE(permissions); k++)
        if (is_wanted(i, &permissions[k]) && i->may[k] == granted)
            strbuf_addf(&text, "%s%s: %s", text.len ? ", " : "", permissions[k].name, permissions[k].level);
    return text.len ? strbuf_steal(&text) : NULL;
}

/* Narrowed to what Mayfly does, and to the one repository. */
static struct call *ask_for_token(struct installation *i)
{
    AUTO_FREE char *path = xasprintf("/app/installations/%" PRId64 "/access_tokens", i->id);
    AUTO_JSON *body = must(json_object_new_object());
    struct json_object *may = must(json_object_new_object());
    for (size_t k = 0; k < ARRAY_SIZE(permissions); k++)
        if (is_wanted(i, &permissions[k]) && i->may[k])
            json_object_object_add(may, permissions[k].name, must(json_object_new_string(permissions[k].level)));
    json_object_object_add(body, "permissions", may);
    if (github_scope_kind(i->config.scope) == GITHUB_REPOSITORY) {
        struct json_object *repositories = must(json_object_new_array());
        json_object_array_add(repositories, must(json_object_new_string(strchr(i->config.scope, '/') + 1)));
        json_object_object_add(body, "repositories", repositories);
    }
    return ask(i,
               github_call_new(&i->github, "POST", path, json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN)));
}

static struct call *ask_where(struct installation *i)
{
    AUTO_FREE char *path = xasprintf("%s/installation", i->config.path);
    return ask(i, github_call_new(&i->github, "GET", path, NULL));
}

/* --- the answers -------------------------------------------------------------------------------------------------- */

struct where {
    int64_t id;
    const char *selection, *settings, *suspended;
    const char *levels[ARRAY_SIZE(permissions)];
};
#define WHERE(json, member)                                                                                            \
    {                                                                                                                  \
        .path = (json), .type = FIELD_STR, .offset = offsetof(struct where, member)                                    \
    }
static const struct field where_fields[] = {
    { .path = "id", .type = FIELD_ID, .offset = offsetof(struct where, id), .required = true },
    WHERE("repository_selection", selection),
    WHERE("html_url", settings),
    WHERE("suspended_at", suspended),
    /* in the order of the table above */
    WHERE("permissions/administration", levels[0]),
    WHERE("permissions/organization_self_hosted_runners", levels[1]),
    WHERE("permissions/actions", levels[2]),
    { 0 },
};

struct minted {
    const char *token, *expires_at;
};
static const struct field minted_fields[] = {
    { .path = "token", .type = FIELD_STR, .offset = offsetof(struct minted, token), .required = true },
    { .path = "expires_at", .type = FIELD_STR, .offset = offsetof(struct minted, expires_at), .required = true },
    { 0 },
};

/* Fails when something that is wanted for more than jobs is not granted. */
static bool check_permissions(const struct installation *i, struct error *err)
{
    for (size_t k = 0; k < ARRAY_SIZE(permissions); k++) {
        const struct permission *p = &permissions[k];
        if (!is_wanted(i, p) || i->may[k] || p->jobs)
            continue;
        error_set(err, ERROR_GITHUB, 403, "the GitHub App's installation on `%s` lacks the permission `%s: %s`",
                  i->config.scope, p->name, p->level);
        error_hint(err, "set it on the App's settings page > Permissions & events, then accept it as the owner%s%s",
                   i->settings ? " at " : "", i->settings ? i->settings : "");
        return false;
    }
    return true;
}

static bool take_where(struct installation *i, const struct github_call *c, struct error *err)
{
    AUTO_ARENA arena = { 0 };
    struct where w = { 0 };
    if (!github_call_decode(c, where_fields, &w, &arena, err))
        return false;
    str_set(&i->selection, w.selection);
    str_set(&i->settings, w.settings);
    for (size_t k = 0; k < ARRAY_SIZE(permissions); k++)
        i->may[k] = str_eq(w.levels[k], "write") || str_eq(w.levels[k], permissions[k].level);
    str_set(&i->token_may, NULL);
    str_set(&i->missing, NULL);
    i->token_may = list_permissions(i, true);
    i->missing = list_permissions(i, false);
    if (w.suspended) {
        error_set(err, ERROR_GITHUB, 403, "the GitHub App's installation on `%s` is suspended since %.40s",
                  i->config.scope, w.suspended);
        error_hint(err, "its owner can unsuspend it%s%s", i->settings ? " at " : "", i->settings ? i->settings : "");
        return false;
    }
    if (!check_permissions(i, err))
        return false;
    i->id = w.id;
    return true;
}

static bool take_token(struct installation *i, const struct github_call *c, struct error *err)
{
    AUTO_ARENA arena = { 0 };
    struct minted m = { 0 };
    int64_t expires, now = 0;
    const char *date = http_header(&c->call.exchange.response, "Date");
    if (!github_call_decode(c, minted_fields, &m, &arena, err))
        return false;
    if (!token_is_word(m.token) || !clock_parse_rfc3339(m.expires_at, &expires))
        return error_set(err, ERROR_PARSE, 0, "GitHub's answer to %s has no token, or no expiry time", c->call.name);
    if (!date || !clock_parse_http(date, &now)) /* how long it lives is by GitHub's clock */
        now = (env_now(i->app->env) + i->app->ahead) / 1000;
    if (expires <= now) {
        error_set(err, ERROR_PARSE, 0, "GitHub's answer to %s has a token that expired at %.40s", c->call.name,
                  m.expires_at);
        error_hint(err, "check any proxy in between that may cache answers");
        return false;
    }
    int64_t life = (expires - now) * 1000;
    secret_set(&i->token, m.token, strlen(m.token));
    i->minted++;
    i->ends_at = env_mono(i->app->env) + life;
    i->renew_at = i->ends_at - (life > 2 * RENEW_EARLY_MS ? RENEW_EARLY_MS : life / 2);
    log_debug("GitHub App: a token for %s, for %lld s: %s", i->config.scope, (long long)life / 1000,
              i->token_may ? i->token_may : "");
    return true;
}

int64_t github_app_pause(int64_t before)
{
    int64_t next = before ? 2 * before : PAUSE_MS;
    return next < PAUSE_MAX_MS ? next : PAUSE_MAX_MS;
}

/* The installation is known, or a token is there, or neither can be had. */
static void landed(struct call *call)
{
    struct installation *i = call->tag;
    struct github_call *c = i->call;
    bool found = i->id != 0;
    i->class = c->class;
    error_clear(&i->error);
    i->call = NULL;
    if (call->error.domain != ERROR_NONE) {
        error_copy(&i->error, &call->error);
    } else {
        i->class = GITHUB_FATAL;
        if (found)
            (void)take_token(i, c, &i->error);
        else
            (void)take_where(i, c, &i->error);
    }
    if (i->error.domain != ERROR_NONE) {
        log_debug("GitHub App: no token for %s: %s", i->config.scope, i->error.message);
        error_prefix(&i->error,
                     found ? "getting a token of the GitHub App" : "looking for the GitHub App's installation");
        i->id = 0; /* it may have moved: look again the next time */
        i->pause = github_app_pause(i->pause);
        i->not_before = env_mono(i->app->env) + i->pause;
    } else if (found) {
        i->pause = i->not_before = 0;
    }
    if (found || i->error.domain != ERROR_NONE)
        i->tries++;
    call_free(call);
}

/* --- for the calls ------------------------------------------------------------------------------------------------ */

struct call *github_app_before(struct github_app *app, const struct github_config *config, struct github_ticket *ticket)
{
    struct installation *i = installation_of(app, config);
    bool fresh = secret_is_set(&i->token) && env_mono(app->env) < (app->hurry ? i->ends_at : i->renew_at);
    if (github_scope_kind(config->scope) == GITHUB_ENTERPRISE || (ticket->waits && i->tries != ticket->before) ||
        (!ticket->waits && fresh))
        return NULL;
    if (!ticket->waits)
        ticket->before = i->tries;
    ticket->waits = true;
    return i->call ? &i->call->call : i->id ? ask_for_token(i) : ask_where(i);
}

const char *github_app_token(struct github_app *app, const struct github_config *config, struct github_ticket *ticket,
                             enum github_class *ret_class, struct error *err)
{
    const struct installation *i = installation_of(app, config);
    bool failed = ticket->waits && i->error.domain != ERROR_NONE;
    ticket->waits = false;
    ticket->used = i->minted;
    if (secret_is_set(&i->token) && (!failed || env_mono(app->env) < i->ends_at))
        return i->token.value; /* one that could not be renewed is good to its end */
    if (github_scope_kind(config->scope) == GITHUB_ENTERPRISE)
        error_set(err, ERROR_CONFIG, 0, "a GitHub App cannot manage the runners of an enterprise (%s)", config->scope);
    else
        error_copy(err, &i->error);
    /* What a 404 or 422 says here is said about the App, not about a runner. */
    bool later = i->class == GITHUB_SERVER || i->class == GITHUB_THROTTLED;
    *ret_class = later ? i->class : GITHUB_FATAL;
    return NULL;
}

bool github_app_renew(struct github_app *app, const struct github_config *config, struct github_ticket *ticket)
{
    struct installation *i = installation_of(app, config);
    if (ticket->renewed)
        return false;
    ticket->renewed = true;
    if (ticket->used == i->minted) /* else there is a newer one already */
        secret_clear(&i->token);
    return true;
}

/* --- for the doctor ----------------------------------------------------------------------------------------------- */

struct github_call *github_app_call(struct github *g)
{
    struct github_call *c = github_call_new(g, "GET", "/app", NULL);
    c->auth = GITHUB_AS_APP;
    return c;
}

bool github_app_result(const struct github_call *call, struct arena *arena, struct github_app_about *ret,
                       struct error *err)
{
    static const struct field fields[] = {
        { .path = "id", .type = FIELD_ID, .offset = offsetof(struct github_app_about, id), .required = true },
        { .path = "slug", .type = FIELD_STR, .offset = offsetof(struct github_app_about, slug) },
        { .path = "owner/login", .type = FIELD_STR, .offset = offsetof(struct github_app_about, owner) },
        { 0 },
    };
    struct github_app_about about = { 0 };
    if (!github_call_decode(call, fields, &about, arena, err))
        return false;
    *ret = about;
    return true;
}

struct github_installation github_app_installation(struct github_app *app, const struct github_config *config)
{
    const struct installation *i = installation_of(app, config);
    return (struct github_installation){ .id = i->id,
                                         .selection = i->selection,
                                         .settings = i->settings,
                                         .token_may = i->token_may,
                                         .missing = i->missing,
                                         .why = i->error.domain == ERROR_NONE ? NULL : &i->error };
}
