/* GitHub's REST API for self-hosted runners: its routes, and what every answer carries. */
#include <inttypes.h>
#include <strings.h>

#include "github.h"
#include "github_app.h"
#include "github_call.h"
#include "http.h"
#include "sim.h"
#include "to_json.h"

#include "mayfly/util/encode.h"

char *github_new_token(void)
{
    AUTO_STRBUF token = STRBUF_INIT;
    AUTO_FREE char *a = sim_random_id("ghs_1234_eyJ", 36), *b = sim_random_id(".", 64), *c = sim_random_id("_", 64);
    strbuf_adds(&token, a);
    while (token.len < SIM_TOKEN_LEN)
        strbuf_addf(&token, "%s%s", b, c);
    strbuf_truncate(&token, SIM_TOKEN_LEN);
    return strbuf_steal(&token);
}

/* --- scopes and routes -------------------------------------------------------------------------------------------- */

/* "/repos/o/r", "/orgs/o" or "/enterprises/o" at the front of path, owned; NULL when there is none such here. */
static char *scope_of(const struct sim *s, const char *path)
{
    static const char *const owners[] = { "orgs", "enterprises" };
    for (size_t i = 0; i < s->options.repos.n; i++) {
        const char *repo = s->options.repos.v[i]; /* or an organization */
        AUTO_FREE char *as_repo = xasprintf("/repos/%s", repo);
        if (strchr(repo, '/') && strncasecmp(path, as_repo, strlen(as_repo)) == 0 && path[strlen(as_repo)] == '/')
            return STEAL(as_repo);
        for (size_t o = 0; o < ARRAY_SIZE(owners); o++) {
            AUTO_FREE char *as_owner = xasprintf("/%s/%.*s", owners[o], (int)strcspn(repo, "/"), repo);
            if (strncasecmp(path, as_owner, strlen(as_owner)) == 0 && path[strlen(as_owner)] == '/')
                return STEAL(as_owner);
        }
    }
    return NULL;
}

/* What is served below a scope; N is a number. */
static const struct route {
    const char *method, *path, *action, *permission;
    void (*serve)(struct github_call *);
    const char *scope; /* "/repos/", "/orgs/"; NULL: any */
} routes[] = {
    { "GET", "/actions/runners", "list-runners", "administration=read", github_list_runners, NULL },
    { "POST", "/actions/runners/generate-jitconfig", "generate-jitconfig", "administration=write",
      github_generate_jitconfig, NULL },
    { "GET", "/actions/runners/downloads", "downloads", "administration=read", github_list_downloads, NULL },
    { "GET", "/actions/runners/N", "get-runner", "administration=read", github_get_runner, NULL },
    { "DELETE", "/actions/runners/N", "delete-runner", "administration=write", github_delete_runner, NULL },
    { "GET", "/actions/runner-groups", "list-runner-groups", "administration=read", github_list_groups, NULL },
    { "GET", "/actions/runs/N/jobs", "list-jobs", "actions=read", github_list_jobs, "/repos/" },
    { "GET", "/actions/runs/N/attempts/N/jobs", "list-attempt-jobs", "actions=read", github_list_jobs, "/repos/" },
    { "GET", "/actions/jobs/N", "get-job", "actions=read", github_get_job, "/repos/" },
};

/* Does the path have this shape? Its numbers go to ids. */
static bool path_fits(const char *shape, const char *path, int64_t ids[static 2])
{
    size_t n = 0;
    while (*shape) {
        if (*shape != 'N') {
            if (*shape++ != *path++)
                return false;
            continue;
        }
        uint64_t id;
        AUTO_FREE char *digits = xstrndup(path, strspn(path, "0123456789"));
        if (!parse_uint(digits, INT64_MAX, &id))
            return false;
        ids[n++] = (int64_t)id;
        path += strlen(digits);
        shape++;
    }
    return *path == '\0';
}

/* The route of a path below /api/v3, whatever the repository is; NULL: none. */
static const struct route *find_route(const char *method, const char *path, const char *scope, int64_t ids[static 2])
{
    const char *rest = scope ? path + strlen(scope) : strstr(path, "/actions/");
    for (size_t i = 0; rest && i < ARRAY_SIZE(routes); i++)
        if (str_eq(routes[i].method, method) && path_fits(routes[i].path, rest, ids) &&
            (!scope || !routes[i].scope || str_starts(scope, routes[i].scope)))
            return &routes[i];
    return NULL;
}

static const char *api_path(const struct request *r)
{
    return r->path + strlen("/api/v3");
}

char *github_action(const struct request *r)
{
    int64_t ids[2];
    const struct route *route = find_route(r->method, api_path(r), NULL, ids);
    const char *of_app = app_action(r->method, api_path(r));
    if (of_app)
        return xstrdup(of_app);
    return route ? xstrdup(route->action) : xasprintf("%s %s", r->method, api_path(r));
}

/* What follows Bearer; NULL: nothing. */
static const char *bearer_of(const struct request *r)
{
    const char *value = pairs_get(&r->headers, "authorization");
    size_t skip = !value ? 0 : strncasecmp(value, "Bearer ", 7) == 0 ? 7 : strncasecmp(value, "token ", 6) == 0 ? 6 : 0;
    return skip ? value + skip : NULL;
}

/* What runners are in a repository's administration is a permission of its own in an organization. Owned. */
static char *permission_of(const struct route *route, const char *scope)
{
    static const char repository[] = "administration=";
    bool renamed = str_starts(route->permission, repository) && !str_starts(scope, "/repos/");
    return renamed ? xasprintf("organization_self_hosted_runners=%s", route->permission + strlen(repository))
                   : xstrdup(route->permission);
}

/* An App's token is for its own installation, as far as its permissions go; it sees nothing else. */
static void serve_route(struct github_call *c, const struct route *route, const struct app_token *token)
{
    AUTO_FREE char *permission = permission_of(route, c->scope);
    if (token && str_starts(c->scope, "/enterprises/")) {
        github_refuse(c->res, 403, "Resource not accessible by integration");
        return;
    }
    if (token && !app_token_opens(token, c->scope)) {
        github_refuse(c->res, 404, "Not Found");
        return;
    }
    pairs_set(&c->res->headers, "x-accepted-github-permissions", permission);
    if (token && !app_token_may(token, permission))
        github_refuse(c->res, 403, "Resource not accessible by integration");
    else
        route->serve(c);
}

static bool is_api_version(const char *version)
{
    return !version || str_eq(version, "2022-11-28") || str_eq(version, "2026-03-10");
}

static void rate_limit(struct sim *s, const struct request *r, struct response *res)
{
    struct json_object *o = must(json_object_new_object()), *resources = json_add_object(o, "resources");
    struct json_object *core = json_add_object(resources, "core");
    json_add_int(core, "limit", s->options.rate_limit);
    json_add_int(core, "used", s->rate_used);
    json_add_int(core, "remaining", s->options.rate_limit - s->rate_used);
    json_add_int(core, "reset", s->rate_reset);
    json_object_object_add(resources, "search", json_object_get(core)); /* of its own at GitHub; nobody here searches */
    if (!str_eq(pairs_get(&r->headers, "x-github-api-version"), "2026-03-10"))
        json_object_object_add(o, "rate", json_object_get(core));
    respond_json(res, 200, o);
}

/* A window of an hour, from the first request in it. */
static void tick_rate(struct sim *s)
{
    if (sim_now(s) / 1000 < s->rate_reset)
        return;
    s->rate_reset = sim_now(s) / 1000 + 3600;
    s->rate_used = 0;
}

void github_serve(struct sim *s, const struct request *r, struct response *res)
{
    const char *path = api_path(r);
    AUTO_FREE char *scope = scope_of(s, path);
    struct github_call c = { .sim = s, .scope = scope, .request = r, .res = res };
    const char *bearer = bearer_of(r);
    const struct app_token *token = bearer ? app_token(s, bearer) : NULL;
    tick_rate(s);
    if (str_empty(pairs_get(&r->headers, "user-agent"))) {
        github_refuse(
            res, 403,
            "Request forbidden by administrative rules. Please make sure your request has a User-Agent header "
            "(https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required).");
    } else if (!is_api_version(pairs_get(&r->headers, "x-github-api-version"))) {
        github_refuse(res, 400, "\"%s\" is not a supported API version",
                      pairs_get(&r->headers, "x-github-api-version"));
    } else if (app_serve(s, path, bearer, r, res)) {
        return;
    } else if (!token && !str_eq(bearer, s->github_token)) {
        github_refuse(res, 401, "Bad credentials");
    } else if (str_eq(path, "/rate_limit") && str_eq(r->method, "GET")) {
        rate_limit(s, r, res);
    } else if (s->rate_used >= s->options.rate_limit) {
        github_refuse(res, 403, "API rate limit exceeded for installation ID 1234.");
    } else {
        const struct route *route = scope ? find_route(r->method, path, scope, c.ids) : NULL;
        if (route)
            serve_route(&c, route, token);
        else
            github_refuse(res, 404, "Not Found");
    }
}

/* A weak hash is enough: equal bodies have equal tags. */
static void add_etag(const struct request *r, struct response *res)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < res->body.len; i++)
        hash = (hash ^ (unsigned char)res->body.data[i]) * 1099511628211u;
    AUTO_FREE char *etag = xasprintf("W/\"%016" PRIx64 "\"", hash);
    const char *match = pairs_get(&r->headers, "if-none-match");
    pairs_set(&res->headers, "ETag", etag);
    pairs_set(&res->headers, "Cache-Control", "private, max-age=60, s-maxage=60");
    if (match && strstr(match, etag + strlen("W/"))) {
        res->status = 304;
        strbuf_truncate(&res->body, 0);
    }
}

void github_finish(struct sim *s, const struct request *r, struct response *res)
{
    tick_rate(s);
    if (res->status == 200 && str_eq(r->method, "GET"))
        add_etag(r, res);
    if (res->status != 304 && res->status != 401 && !str_eq(api_path(r), "/rate_limit") &&
        s->rate_used < s->options.rate_limit)
        s->rate_used++;
    AUTO_FREE char *id = sim_random_id("", 20);
    const struct {
        const char *name;
        int64_t n;
    } numbers[] = { { "x-ratelimit-limit", s->options.rate_limit },
                    { "x-ratelimit-used", s->rate_used },
                    { "x-ratelimit-remaining", s->options.rate_limit - s->rate_used },
                    { "x-ratelimit-reset", s->rate_reset } };
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        AUTO_FREE char *value = xasprintf("%" PRId64, numbers[i].n);
        if (!pairs_get(&res->headers, numbers[i].name))
            pairs_set(&res->headers, numbers[i].name, value);
    }
    pairs_set(&res->headers, "x-ratelimit-resource", "core");
    pairs_set(&res->headers, "x-github-request-id", id);
    pairs_set(&res->headers, "x-github-media-type", "github.v3; format=json");
    pairs_set(&res->headers, "X-GitHub-Api-Version-Selected",
              pairs_get(&r->headers, "x-github-api-version") ? pairs_get(&r->headers, "x-github-api-version")
                                                             : "2022-11-28");
}
