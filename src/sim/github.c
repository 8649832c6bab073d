/* GitHub's REST API for self-hosted runners, and what the stand-in for the runner program talks to. */
#include <inttypes.h>

#include "sim.h"

#include "mayfly/codec/json.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"

enum { RATE_LIMIT = 5000, NAME_MAX_LEN = 64, LABELS_MAX = 100, PAGE_DEFAULT = 30, PAGE_LIMIT = 100 };

static struct json_object *text(const char *s)
{
    return must(json_object_new_string(s));
}

void respond_json(struct response *res, int status, struct json_object *object)
{
    res->status = status;
    res->content_type = "application/json; charset=utf-8";
    strbuf_adds(&res->body,
                json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(object);
}

static void refuse(struct response *res, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void refuse(struct response *res, int status, const char *fmt, ...)
{
    struct json_object *o = must(json_object_new_object());
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *message = xvasprintf(fmt, ap);
    va_end(ap);
    AUTO_FREE char *number = xasprintf("%d", status);
    json_object_object_add(o, "message", text(message));
    json_object_object_add(o, "documentation_url", text("https://docs.github.com/rest/actions/self-hosted-runners"));
    json_object_object_add(o, "status", text(number)); /* a string, as GitHub has it */
    str_set(&res->code, message);
    respond_json(res, status, o);
}

static struct json_object *runner_json(const struct runner *r)
{
    struct json_object *o = must(json_object_new_object()), *labels = must(json_object_new_array());
    for (size_t i = 0; i < r->labels.n; i++) {
        struct json_object *label = must(json_object_new_object());
        json_object_object_add(label, "id", must(json_object_new_int64((int64_t)i + 1)));
        json_object_object_add(label, "name", text(r->labels.v[i]));
        json_object_object_add(label, "type", text("custom"));
        json_object_array_add(labels, label);
    }
    json_object_object_add(o, "id", must(json_object_new_int64(r->id)));
    json_object_object_add(o, "runner_group_id", must(json_object_new_int64(r->group)));
    json_object_object_add(o, "name", text(r->name));
    json_object_object_add(o, "os", text(r->online || r->busy ? "linux" : "unknown"));
    json_object_object_add(o, "status", text(r->online ? "online" : "offline"));
    json_object_object_add(o, "busy", must(json_object_new_boolean(r->busy)));
    json_object_object_add(o, "ephemeral", must(json_object_new_boolean(true)));
    json_object_object_add(o, "version", r->online ? text("2.337.0") : NULL);
    json_object_object_add(o, "labels", labels);
    return o;
}

/* --- generate-jitconfig ------------------------------------------------------------------------------------------- */

static struct json_object *encoded(struct json_object *file)
{
    AUTO_STRBUF out = STRBUF_INIT;
    const char *json = json_object_to_json_string_ext(file, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    encode_base64(&out, json, strlen(json));
    json_object_put(file);
    return text(strbuf_str(&out));
}

static struct json_object *random_number(size_t bytes)
{
    uint8_t random[256];
    AUTO_STRBUF out = STRBUF_INIT;
    env_system.random(NULL, random, sizeof(random));
    encode_base64(&out, random, bytes);
    return text(strbuf_str(&out));
}

/* base64(JSON{file: base64(content)}), in the shape and size of GitHub's. */
static struct json_object *jit_config(const struct sim *s, const struct runner *r)
{
    static const struct {
        const char *name;
        size_t bytes;
    } numbers[] = { { "d", 256 },        { "dp", 128 },      { "dq", 128 }, { "exponent", 3 },
                    { "inverseQ", 128 }, { "modulus", 256 }, { "p", 128 },  { "q", 128 } };
    struct json_object *files = must(json_object_new_object()), *runner = must(json_object_new_object());
    struct json_object *credentials = must(json_object_new_object()), *data = must(json_object_new_object());
    struct json_object *rsa = must(json_object_new_object());
    AUTO_FREE char *id = xasprintf("%" PRId64, r->id), *broker = xasprintf("%s/runner/", s->base_url);
    json_object_object_add(runner, "AgentId", text(id));
    json_object_object_add(runner, "AgentName", text(r->name));
    json_object_object_add(runner, "DisableUpdate", text("True"));
    json_object_object_add(runner, "Ephemeral", text("True"));
    json_object_object_add(runner, "PoolId", text("1"));
    json_object_object_add(runner, "PoolName", NULL);
    json_object_object_add(runner, "ServerUrl", text(broker));
    json_object_object_add(runner, "WorkFolder", text("_work"));
    json_object_object_add(runner, "GitHubUrl", text(s->base_url));
    json_object_object_add(runner, "ServerUrlV2", text(broker));
    json_object_object_add(runner, "UseV2Flow", text("true"));
    json_object_object_add(data, "ClientId", text(r->secret));
    json_object_object_add(data, "AuthorizationUrl", text(broker));
    json_object_object_add(data, "RequireFipsCryptography", text("True"));
    json_object_object_add(credentials, "Scheme", text("OAuth"));
    json_object_object_add(credentials, "Data", data);
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        json_object_object_add(rsa, numbers[i].name, random_number(numbers[i].bytes));
    json_object_object_add(files, ".runner", encoded(runner));
    json_object_object_add(files, ".credentials", encoded(credentials));
    json_object_object_add(files, ".credentials_rsaparams", encoded(rsa));
    return encoded(files);
}

struct mint {
    const char *name;
    int64_t group;
    struct field_list labels;
};
static const struct field mint_fields[] = {
    { .path = "name", .type = FIELD_STR, .offset = offsetof(struct mint, name), .required = true },
    { .path = "runner_group_id", .type = FIELD_INT, .offset = offsetof(struct mint, group), .required = true },
    { .path = "labels",
      .type = FIELD_LIST,
      .offset = offsetof(struct mint, labels),
      .required = true,
      .item_size = sizeof(char *) },
    { 0 },
};

static void generate_jitconfig(struct sim *s, const char *scope, const struct request *r, struct response *res)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct mint mint = { 0 };
    AUTO_JSON *body = NULL;
    if (!json_parse(strbuf_str(&r->body), r->body.len, "the body", &body, &err)) {
        refuse(res, 400, "Problems parsing JSON");
        return;
    }
    if (!json_decode(body, mint_fields, &mint, &arena, "Invalid request.", &err)) {
        refuse(res, 422, "%s", err.message);
        return;
    }
    if (str_empty(mint.name) || strlen(mint.name) > NAME_MAX_LEN || mint.labels.n == 0 || mint.labels.n > LABELS_MAX) {
        refuse(res, 422, "Invalid request. The name or the labels have the wrong length.");
        return;
    }
    for (size_t i = 0; i < s->n_runners; i++) {
        if (str_eq(s->runners[i]->name, mint.name) && str_eq(s->runners[i]->scope, scope)) {
            refuse(res, 409, "Already exists - A runner with the name *** already exists.");
            return;
        }
    }
    struct runner *runner = xcalloc(1, sizeof(*runner));
    runner->id = ++s->next_runner;
    runner->group = mint.group;
    runner->scope = xstrdup(scope);
    runner->name = xstrdup(mint.name);
    runner->secret = sim_random_id("", 64);
    for (size_t i = 0; i < mint.labels.n; i++)
        strlist_add(&runner->labels, *FIELD_ROW(&mint.labels, const char *, i));
    s->runners = xreallocarray(s->runners, s->n_runners + 1, sizeof(*s->runners));
    s->runners[s->n_runners++] = runner;
    struct json_object *o = must(json_object_new_object());
    json_object_object_add(o, "runner", runner_json(runner));
    json_object_object_add(o, "encoded_jit_config", jit_config(s, runner));
    respond_json(res, 201, o);
}

/* --- records ------------------------------------------------------------------------------------------------------ */

static uint64_t query_number(const struct request *r, const char *name, uint64_t fallback)
{
    uint64_t n;
    const char *value = pairs_get(&r->query, name);
    return value && parse_uint(value, UINT32_MAX, &n) && n > 0 ? n : fallback;
}

static void list_runners(struct sim *s, const char *scope, const struct request *r, struct response *res)
{
    uint64_t page = query_number(r, "page", 1), per_page = query_number(r, "per_page", PAGE_DEFAULT), total = 0;
    const char *name = pairs_get(&r->query, "name");
    struct json_object *o = must(json_object_new_object()), *rows = must(json_object_new_array());
    if (per_page > PAGE_LIMIT)
        per_page = PAGE_LIMIT;
    for (size_t i = 0; i < s->n_runners; i++) {
        const struct runner *runner = s->runners[i];
        if (!str_eq(runner->scope, scope) || (name && !str_eq(runner->name, name)))
            continue;
        if (total >= (page - 1) * per_page && total < page * per_page)
            json_object_array_add(rows, runner_json(runner));
        total++;
    }
    uint64_t last = total ? (total + per_page - 1) / per_page : 1;
    if (page < last) {
        AUTO_FREE char *link =
            xasprintf("<%s%s?per_page=%" PRIu64 "&page=%" PRIu64 ">; rel=\"next\", <%s%s?per_page=%" PRIu64
                      "&page=%" PRIu64 ">; rel=\"last\"",
                      s->base_url, r->path, per_page, page + 1, s->base_url, r->path, per_page, last);
        pairs_set(&res->headers, "Link", link);
    }
    json_object_object_add(o, "total_count", must(json_object_new_int64((int64_t)total)));
    json_object_object_add(o, "runners", rows);
    respond_json(res, 200, o);
}

static void one_runner(struct sim *s, const char *scope, int64_t id, const struct request *r, struct response *res)
{
    struct runner *runner = world_runner(s, id);
    if (!runner || !str_eq(runner->scope, scope)) {
        refuse(res, 404, "Not Found");
    } else if (str_eq(r->method, "GET")) {
        respond_json(res, 200, runner_json(runner));
    } else if (runner->busy) {
        refuse(res, 422, "Bad request - Runner \"%s\" is currently running a job and cannot be deleted.", runner->name);
    } else {
        world_remove_runner(s, runner);
        res->status = 204;
    }
}

static void downloads(struct sim *s, struct response *res)
{
    static const char *const architectures[] = { "x64", "arm64" };
    struct json_object *rows = must(json_object_new_array());
    for (size_t i = 0; i < ARRAY_SIZE(architectures); i++) {
        AUTO_FREE char *file = xasprintf("actions-runner-linux-%s-2.337.0.tar.gz", architectures[i]);
        AUTO_FREE char *url = xasprintf("%s/dist/%s", s->base_url, file);
        struct json_object *o = must(json_object_new_object());
        json_object_object_add(o, "os", text("linux"));
        json_object_object_add(o, "architecture", text(architectures[i]));
        json_object_object_add(o, "download_url", text(url));
        json_object_object_add(o, "filename", text(file));
        json_object_object_add(o, "sha256_checksum", text(s->runner_sha256));
        json_object_array_add(rows, o);
    }
    respond_json(res, 200, rows);
}

/* "/repos/o/r" or "/orgs/o" at the front of path, owned; NULL when there is none such here. */
static char *scope_of(const struct sim *s, const char *path)
{
    for (size_t i = 0; i < s->options.repos.n; i++) {
        const char *repo = s->options.repos.v[i];
        AUTO_FREE char *as_repo = xasprintf("/repos/%s/", repo);
        AUTO_FREE char *as_org = xasprintf("/orgs/%.*s/", (int)strcspn(repo, "/"), repo);
        const char *hit = str_starts(path, as_repo) ? as_repo : str_starts(path, as_org) ? as_org : NULL;
        if (hit)
            return xstrndup(hit, strlen(hit) - 1);
    }
    return NULL;
}

static void route(struct sim *s, const struct request *r, const char *path, struct response *res)
{
    AUTO_FREE char *scope = scope_of(s, path);
    static const char runners[] = "/actions/runners";
    if (!scope || !str_starts(path + strlen(scope), runners)) {
        refuse(res, 404, "Not Found");
        return;
    }
    const char *rest = path + strlen(scope) + strlen(runners);
    bool get = str_eq(r->method, "GET");
    uint64_t id;
    if (*rest == '\0' && get)
        list_runners(s, scope, r, res);
    else if (str_eq(rest, "/downloads") && get)
        downloads(s, res);
    else if (str_eq(rest, "/generate-jitconfig") && str_eq(r->method, "POST"))
        generate_jitconfig(s, scope, r, res);
    else if (*rest == '/' && parse_uint(rest + 1, INT64_MAX, &id) && (get || str_eq(r->method, "DELETE")))
        one_runner(s, scope, (int64_t)id, r, res);
    else
        refuse(res, 404, "Not Found");
}

static bool is_authorized(const struct sim *s, const struct request *r)
{
    const char *value = pairs_get(&r->headers, "authorization");
    size_t skip = !value ? 0 : str_starts(value, "Bearer ") ? 7 : str_starts(value, "token ") ? 6 : 0;
    return skip && str_eq(value + skip, s->github_token);
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
    if (str_eq(match, etag)) {
        res->status = 304;
        strbuf_truncate(&res->body, 0);
    }
}

/* The name by which a fault is asked for: the last word of the path, or "get-runner", "delete-runner", "list-runners".
 */
static const char *action_of(const struct request *r)
{
    const char *last = strrchr(r->path, '/') + 1;
    if (str_eq(last, "runners"))
        return "list-runners";
    if (*last >= '0' && *last <= '9')
        return str_eq(r->method, "DELETE") ? "delete-runner" : "get-runner";
    return last;
}

static void add_rate(struct sim *s, struct response *res)
{
    if (res->status != 304)
        s->rate_used++;
    AUTO_FREE char *used = xasprintf("%" PRId64, s->rate_used);
    AUTO_FREE char *left = xasprintf("%" PRId64, s->rate_used < RATE_LIMIT ? RATE_LIMIT - s->rate_used : 0);
    AUTO_FREE char *reset = xasprintf("%" PRId64, (sim_now(s) / 3600000 + 1) * 3600);
    AUTO_FREE char *id = sim_random_id("", 20);
    pairs_set(&res->headers, "x-ratelimit-limit", "5000");
    pairs_set(&res->headers, "x-ratelimit-used", used);
    pairs_set(&res->headers, "x-ratelimit-remaining", left);
    pairs_set(&res->headers, "x-ratelimit-reset", reset);
    pairs_set(&res->headers, "x-ratelimit-resource", "core");
    pairs_set(&res->headers, "x-github-request-id", id);
    pairs_set(&res->headers, "x-accepted-github-permissions", "administration=write");
}

void github_serve(struct sim *s, const struct request *r, struct response *res)
{
    res->service = "github";
    struct fault *f = NULL;
    if (str_empty(pairs_get(&r->headers, "user-agent"))) {
        refuse(res, 403,
               "Request forbidden by administrative rules. Please make sure your request has a User-Agent header");
    } else if (!is_authorized(s, r)) {
        refuse(res, 401, "Bad credentials");
    } else if ((f = sim_fault(s, "github", action_of(r))) != NULL && str_eq(f->kind, "error")) {
        if (f->code)
            pairs_set(&res->headers, "Retry-After", f->code);
        refuse(res, (int)f->status, "%s", f->message ? f->message : "Server Error");
    } else {
        route(s, r, r->path + strlen("/api/v3"), res);
    }
    if (f && str_eq(f->kind, "lost"))
        res->drop = true;
    if (f && str_eq(f->kind, "cut"))
        strbuf_truncate(&res->body, res->body.len / 2);
    if (res->status == 200 && str_eq(r->method, "GET"))
        add_etag(r, res);
    add_rate(s, res);
}

/* --- the stand-in's protocol -------------------------------------------------------------------------------------- */

static struct runner *runner_by_secret(struct sim *s, const struct request *r)
{
    const char *value = pairs_get(&r->headers, "authorization");
    for (size_t i = 0; value && str_starts(value, "Bearer ") && i < s->n_runners; i++)
        if (str_eq(s->runners[i]->secret, value + 7))
            return s->runners[i];
    return NULL;
}

static void send_job(const struct job *j, struct response *res)
{
    struct json_object *o = must(json_object_new_object()), *commands = must(json_object_new_array());
    struct json_object *env = must(json_object_new_object());
    for (size_t i = 0; i < j->commands.n; i++)
        json_object_array_add(commands, text(j->commands.v[i]));
    for (size_t i = 0; i < j->env.n; i++)
        json_object_object_add(env, j->env.v[2 * i], text(j->env.v[2 * i + 1]));
    json_object_object_add(o, "id", must(json_object_new_int64(j->id)));
    json_object_object_add(o, "name", text(j->name));
    json_object_object_add(o, "repository", text(strchr(j->scope + 1, '/') + 1));
    json_object_object_add(o, "run_id", must(json_object_new_int64(j->run_id)));
    json_object_object_add(o, "commands", commands);
    json_object_object_add(o, "env", env);
    respond_json(res, 200, o);
}

void broker_serve(struct sim *s, const struct request *r, struct response *res)
{
    struct runner *runner = runner_by_secret(s, r);
    const char *what = r->path + strlen("/runner/");
    res->service = "runner";
    if (!runner) {
        refuse(res, 404, "The runner no longer exists on the server.");
        return;
    }
    struct job *job = runner->job ? world_job(s, runner->job) : NULL;
    res->status = 204;
    if (str_eq(what, "session")) {
        runner->online = true;
        runner->offline_at = 0;
    } else if (str_eq(what, "close")) {
        runner->online = false;
    } else if (str_eq(what, "message")) {
        if (world_assign_job(s, runner))
            send_job(world_job(s, runner->job), res);
        else
            res->status = 202;
    } else if (str_eq(what, "log") && job) {
        strbuf_add(&job->log, strbuf_str(&r->body), r->body.len);
    } else if (str_eq(what, "complete") && job) {
        world_finish_job(s, job, str_eq(strbuf_str(&r->body), "Succeeded") ? "success" : "failure");
    } else {
        refuse(res, 404, "Not Found");
    }
}
