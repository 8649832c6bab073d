/* GitHub's REST API for self-hosted runners, and what the stand-in for the runner program talks to. */
#include <inttypes.h>
#include <strings.h>

#include "github.h"
#include "github_app.h"
#include "http.h"
#include "rates.h"
#include "rows.h"
#include "sim.h"
#include "to_json.h"
#include "world.h"
#include "world_instances.h"
#include "world_runners.h"

#include "mayfly/codec/json.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"

enum { NAME_MAX_LEN = 64, LABELS_MAX = 100, LABEL_MAX_LEN = 256, PAGE_DEFAULT = 30, PAGE_LIMIT = 100 };

void github_fail(struct response *res, int status, const char *message)
{
    struct json_object *o = must(json_object_new_object());
    AUTO_FREE char *number = xasprintf("%d", status);
    json_add_text(o, "message", message);
    json_add_text(o, "documentation_url", "https://docs.github.com/rest/actions/self-hosted-runners");
    json_add_text(o, "status", number); /* a string, as GitHub has it */
    str_set(&res->code, message);
    respond_json(res, status, o);
}

static void refuse(struct response *res, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void refuse(struct response *res, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *message = xvasprintf(fmt, ap);
    va_end(ap);
    github_fail(res, status, message);
}

static int64_t label_id(const struct sim *s, const char *label)
{
    size_t i = 0;
    while (i < s->labels.n && !str_eq(s->labels.v[i], label))
        i++;
    return (int64_t)i + 1;
}

/* GitHub's own labels cannot be removed. */
static bool is_own_label(const char *label)
{
    static const char *const own[] = { "self-hosted", "linux", "x64", "arm64" };
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        if (strcasecmp(own[i], label) == 0)
            return true;
    return false;
}

/* Is this runner lied about in this way? */
static bool is_lie(const struct request *q, const struct runner *r, const char *kind)
{
    return str_eq(q->lie, kind) && (!q->liar || strstr(r->name, q->liar));
}

/* Does the replica that answers know of it? */
static bool is_known(const struct sim *s, const struct request *q, const struct runner *r)
{
    return world_is_seen(s, r->created, s->lag.github) && !is_lie(q, r, "forgotten");
}

/* q NULL: as it is. */
static void add_runner_json(struct json_object *o, const struct sim *s, const struct request *q, const struct runner *r)
{
    bool online = r->online, busy = r->busy;
    if (q) {
        online = (online || is_lie(q, r, "idle")) && world_is_seen(s, r->online_since, s->lag.github) &&
                 !is_lie(q, r, "offline");
        busy =
            busy && world_is_seen(s, r->busy_since, s->lag.github) && !is_lie(q, r, "idle") && !is_lie(q, r, "offline");
    }
    json_add_int(o, "id", r->id);
    json_add_int(o, "runner_group_id", r->group);
    json_add_text(o, "name", r->name);
    json_add_text(o, "os", r->connected ? "linux" : "unknown");
    json_add_text(o, "status", online ? "online" : "offline");
    json_add_bool(o, "busy", busy);
    json_add_bool(o, "ephemeral", true);
    json_add_text(o, "version", r->connected ? "2.337.0" : NULL);
    struct json_object *labels = json_add_array(o, "labels");
    for (size_t i = 0; i < r->labels.n; i++) {
        struct json_object *label = json_add_row(labels);
        json_add_int(label, "id", label_id(s, r->labels.v[i]));
        json_add_text(label, "name", r->labels.v[i]);
        json_add_text(label, "type", is_own_label(r->labels.v[i]) ? "read-only" : "custom");
    }
}

/* --- generate-jitconfig ------------------------------------------------------------------------------------------- */

static struct json_object *encoded(struct json_object *file)
{
    AUTO_STRBUF out = STRBUF_INIT;
    const char *json = json_object_to_json_string_ext(file, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    encode_base64(&out, json, strlen(json));
    json_object_put(file);
    return sim_text(strbuf_str(&out));
}

static struct json_object *random_number(size_t bytes)
{
    if (bytes == 3)
        return sim_text("AQAB"); /* the exponent, 65537 */
    uint8_t random[256];
    AUTO_STRBUF out = STRBUF_INIT;
    env_system.random(NULL, random, sizeof(random));
    encode_base64(&out, random, bytes);
    return sim_text(strbuf_str(&out));
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
    struct json_object *credentials = must(json_object_new_object()), *rsa = must(json_object_new_object());
    AUTO_FREE char *id = xasprintf("%" PRId64, r->id), *broker = xasprintf("%s/runner/", s->base_url);
    json_add_text(runner, "AgentId", id);
    json_add_text(runner, "AgentName", r->name);
    json_add_text(runner, "DisableUpdate", "True");
    json_add_text(runner, "Ephemeral", "True");
    json_add_text(runner, "PoolId", "1");
    json_add_null(runner, "PoolName");
    json_add_text(runner, "ServerUrl", broker);
    json_add_text(runner, "WorkFolder", r->work_folder);
    json_add_text(runner, "GitHubUrl", s->base_url);
    json_add_text(runner, "ServerUrlV2", broker);
    json_add_text(runner, "UseV2Flow", "true");
    json_add_text(credentials, "Scheme", "OAuth");
    struct json_object *data = json_add_object(credentials, "Data");
    json_add_text(data, "ClientId", r->secret);
    json_add_text(data, "AuthorizationUrl", broker);
    json_add_text(data, "RequireFipsCryptography", "True");
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        json_object_object_add(rsa, numbers[i].name, random_number(numbers[i].bytes));
    json_object_object_add(files, ".runner", encoded(runner));
    json_object_object_add(files, ".credentials", encoded(credentials));
    json_object_object_add(files, ".credentials_rsaparams", encoded(rsa));
    return encoded(files);
}

struct github_call {
    struct sim *sim;
    const char *scope;
    const struct request *request;
    struct response *res;
    int64_t ids[2]; /* the numbers in the path */
};

/* --- generate-jitconfig, checked as GitHub's schema does ------------------------------------------------------------
 */

struct mint {
    const char *name, *work_folder;
    int64_t group;
    struct json_object *labels;
};

/* The complaints, one a line; empty: none. */
static void check_mint(struct json_object *body, struct mint *ret, struct strbuf *wrong)
{
    static const struct {
        const char *key, *kind;
        enum json_type type;
    } members[] = { { "name", "a string", json_type_string },
                    { "runner_group_id", "an integer", json_type_int },
                    { "labels", "an array", json_type_array } };
    struct json_object *values[ARRAY_SIZE(members)] = { 0 }, *folder = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        if (!json_object_object_get_ex(body, members[i].key, &values[i]))
            strbuf_addf(wrong, "\n\n\"%s\" wasn't supplied.", members[i].key);
        else if (!json_object_is_type(values[i], members[i].type))
            strbuf_addf(wrong, "\n\nFor 'properties/%s', %s is not %s.", members[i].key,
                        values[i] ? json_object_to_json_string(values[i]) : "nil", members[i].kind);
    }
    if (json_object_object_get_ex(body, "work_folder", &folder) && !json_object_is_type(folder, json_type_string))
        strbuf_adds(wrong, "\n\nFor 'properties/work_folder', it is not a string.");
    if (wrong->len > 0)
        return;
    ret->name = json_object_get_string(values[0]);
    ret->group = json_object_get_int64(values[1]);
    ret->labels = values[2];
    ret->work_folder = folder ? json_object_get_string(folder) : "_work";
    size_t n = json_object_array_length(ret->labels);
    if (*ret->name == '\0' || strlen(ret->name) > NAME_MAX_LEN)
        strbuf_addf(wrong, "\n\nFor 'properties/name', its length is not between 1 and %d.", NAME_MAX_LEN);
    if (ret->group < 1)
        strbuf_adds(wrong, "\n\nFor 'properties/runner_group_id', it is less than 1.");
    if (n == 0 || n > LABELS_MAX)
        strbuf_addf(wrong, "\n\nFor 'properties/labels', it has %zu items, not 1 to %d.", n, LABELS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct json_object *label = json_object_array_get_idx(ret->labels, i);
        int len = json_object_is_type(label, json_type_string) ? json_object_get_string_len(label) : 0;
        if (len == 0 || len > LABEL_MAX_LEN)
            strbuf_addf(wrong, "\n\nFor 'items', label %zu is not a string of 1 to %d characters.", i, LABEL_MAX_LEN);
    }
}

/* GitHub does not document either answer: an organisation's groups are looked up, a repository has but its own. */
static bool check_group(struct github_call *c, int64_t group)
{
    bool repository = str_starts(c->scope, "/repos/");
    if (group == 1 || (!repository && (size_t)group <= c->sim->runner_groups.n))
        return true;
    if (repository)
        refuse(c->res, 422, "Invalid Argument - Runner group %" PRId64 " does not exist.", group);
    else
        refuse(c->res, 404, "Not Found");
    return false;
}

/* The limit on what creates content. */
static bool check_rate(struct github_call *c)
{
    int64_t wait = 0;
    if (rates_take_mint(c->sim, &wait))
        return true;
    AUTO_FREE char *seconds = xasprintf("%" PRId64, wait);
    refuse(c->res, 403, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.");
    pairs_set(&c->res->headers, "Retry-After", seconds);
    return false;
}

static struct runner *add_runner(struct github_call *c, const struct mint *mint)
{
    struct sim *s = c->sim;
    struct runner *r = xcalloc(1, sizeof(*r));
    r->id = ++s->next_runner;
    r->group = mint->group;
    r->created = sim_now(s);
    r->scope = xstrdup(c->scope);
    r->name = xstrdup(mint->name);
    r->work_folder = xstrdup(mint->work_folder);
    r->secret = sim_random_id("", 64);
    for (size_t i = 0; i < json_object_array_length(mint->labels); i++)
        strlist_add(&r->labels, json_object_get_string(json_object_array_get_idx(mint->labels, i)));
    for (size_t i = 0; i < r->labels.n; i++)
        if (!strlist_has(&s->labels, r->labels.v[i]))
            strlist_add(&s->labels, r->labels.v[i]);
    ROW_ADD(s->runners, s->n_runners, r);
    return r;
}

static void generate_jitconfig(struct github_call *c)
{
    AUTO_ERROR err = { 0 };
    AUTO_JSON *body = NULL;
    AUTO_STRBUF wrong = STRBUF_MAX(4096);
    struct mint mint = { 0 };
    if (!check_rate(c))
        return;
    if (!json_parse(strbuf_str(&c->request->body), c->request->body.len, "the body", &body, &err)) {
        refuse(c->res, 400, "Problems parsing JSON");
        return;
    }
    if (!json_object_is_type(body, json_type_object)) {
        refuse(c->res, 400, "Body should be a JSON object");
        return;
    }
    check_mint(body, &mint, &wrong);
    if (wrong.len > 0) {
        refuse(c->res, 422, "Invalid request.%s", strbuf_str(&wrong));
        return;
    }
    if (!check_group(c, mint.group))
        return;
    for (size_t i = 0; i < c->sim->n_runners; i++) {
        const struct runner *r = c->sim->runners[i];
        if (strcasecmp(r->name, mint.name) == 0 && str_eq(r->scope, c->scope)) {
            refuse(c->res, 409, "Already exists - A runner with the name *** already exists.");
            return;
        }
    }
    const struct runner *runner = add_runner(c, &mint);
    struct json_object *o = must(json_object_new_object());
    add_runner_json(json_add_object(o, "runner"), c->sim, NULL, runner);
    json_object_object_add(o, "encoded_jit_config", jit_config(c->sim, runner));
    respond_json(c->res, 201, o);
}

/* --- pages -------------------------------------------------------------------------------------------------------- */

struct page {
    uint64_t page, per_page, total;
    bool empty; /* a scripted fault */
    struct json_object *rows;
};

static uint64_t query_number(const struct request *r, const char *name, uint64_t fallback)
{
    uint64_t n;
    const char *value = pairs_get(&r->query, name);
    return value && parse_uint(value, UINT32_MAX, &n) && n > 0 ? n : fallback;
}

static struct page page_begin(const struct github_call *c)
{
    struct page p = { .page = query_number(c->request, "page", 1),
                      .per_page = query_number(c->request, "per_page", PAGE_DEFAULT) };
    p.rows = must(json_object_new_array());
    p.empty = c->request->empty_page;
    if (c->request->loop)
        p.page = 1;
    if (p.per_page > PAGE_LIMIT)
        p.per_page = PAGE_LIMIT;
    return p;
}

static bool page_takes(struct page *p)
{
    uint64_t n = p->total++;
    return !p->empty && n >= (p->page - 1) * p->per_page && n < p->page * p->per_page;
}

static void add_link(const struct github_call *c, struct strbuf *out, uint64_t page, const char *rel)
{
    const struct pairs *query = &c->request->query;
    strbuf_addf(out, "%s<%s%s?", out->len ? ", " : "", c->sim->base_url, c->request->path);
    for (size_t i = 0; i < query->n; i++) {
        if (str_eq(query->v[2 * i], "page"))
            continue;
        encode_percent(out, query->v[2 * i]);
        strbuf_addc(out, '=');
        encode_percent(out, query->v[2 * i + 1]);
        strbuf_addc(out, '&');
    }
    strbuf_addf(out, "page=%" PRIu64 ">; rel=\"%s\"", page, rel);
}

/* Answers with the rows under `key`, and the Link header. */
static void page_end(struct github_call *c, struct page *p, const char *key)
{
    struct json_object *o = must(json_object_new_object());
    AUTO_STRBUF link = STRBUF_INIT;
    uint64_t last = p->total ? (p->total + p->per_page - 1) / p->per_page : 1;
    if (p->page > 1)
        add_link(c, &link, p->page - 1 < last ? p->page - 1 : last, "prev");
    if (c->request->loop || p->empty)
        add_link(c, &link, p->page, "next");
    else if (p->page < last) {
        add_link(c, &link, p->page + 1, "next");
        add_link(c, &link, last, "last");
    }
    if (p->page > 1)
        add_link(c, &link, 1, "first");
    if (link.len > 0)
        pairs_set(&c->res->headers, "Link", strbuf_str(&link));
    json_add_int(o, "total_count", (int64_t)p->total);
    json_object_object_add(o, key, p->rows);
    respond_json(c->res, 200, o);
}

/* --- records ------------------------------------------------------------------------------------------------------ */

static void list_runners(struct github_call *c)
{
    struct page page = page_begin(c);
    const char *name = pairs_get(&c->request->query, "name");
    for (size_t i = 0; i < c->sim->n_runners; i++) {
        const struct runner *r = c->sim->runners[i];
        if (str_eq(r->scope, c->scope) && (!name || strcasecmp(r->name, name) == 0) &&
            is_known(c->sim, c->request, r) && page_takes(&page))
            add_runner_json(json_add_row(page.rows), c->sim, c->request, r);
    }
    page_end(c, &page, "runners");
}

static struct runner *runner_of(struct github_call *c)
{
    struct runner *r = world_runner(c->sim, c->ids[0]);
    if (r && str_eq(r->scope, c->scope))
        return r;
    refuse(c->res, 404, "Not Found");
    return NULL;
}

static void get_runner(struct github_call *c)
{
    const struct runner *r = runner_of(c);
    if (!r)
        return;
    if (!is_known(c->sim, c->request, r)) {
        refuse(c->res, 404, "Not Found");
        return;
    }
    struct json_object *o = must(json_object_new_object());
    add_runner_json(o, c->sim, c->request, r);
    respond_json(c->res, 200, o);
}

static void delete_runner(struct github_call *c)
{
    struct runner *r = runner_of(c);
    if (!r)
        return;
    if (is_lie(c->request, r, "forgotten")) {
        refuse(c->res, 404, "Not Found");
        return;
    }
    if (r->busy && !is_lie(c->request, r, "idle")) {
        refuse(c->res, 422, "Bad request - Runner \"%s\" is currently running a job and cannot be deleted.", r->name);
        return;
    }
    world_note_killed(c->sim, r, NULL, "DELETE");
    world_remove_runner(c->sim, r);
    c->res->status = 204;
}

static void add_group(struct json_object *o, const struct github_call *c, int64_t id)
{
    AUTO_FREE char *url =
        xasprintf("%s/api/v3%s/actions/runner-groups/%" PRId64 "/runners", c->sim->base_url, c->scope, id);
    json_add_int(o, "id", id);
    json_add_text(o, "name", c->sim->runner_groups.v[id - 1]);
    json_add_text(o, "visibility", "all");
    json_add_bool(o, "default", id == 1);
    json_add_text(o, "runners_url", url);
    json_add_bool(o, "inherited", false);
    json_add_bool(o, "allows_public_repositories", false);
    json_add_bool(o, "restricted_to_workflows", false);
    json_add_array(o, "selected_workflows");
    json_add_bool(o, "workflow_restrictions_read_only", false);
}

static void list_groups(struct github_call *c)
{
    if (str_starts(c->scope, "/repos/")) {
        refuse(c->res, 404, "Not Found");
        return;
    }
    struct page page = page_begin(c);
    for (size_t i = 0; i < c->sim->runner_groups.n; i++)
        if (page_takes(&page))
            add_group(json_add_row(page.rows), c, (int64_t)i + 1);
    page_end(c, &page, "runner_groups");
}

/* --- runs and jobs ------------------------------------------------------------------------------------------------ */

static void add_job(struct json_object *o, const struct sim *s, const struct job *j)
{
    bool seen = world_is_seen(s, j->started, s->lag.github); /* else it is queued still */
    AUTO_FREE char *url = xasprintf("%s/api/v3%s/actions/jobs/%" PRId64, s->base_url, j->scope, j->id);
    AUTO_FREE char *run = xasprintf("%s/api/v3%s/actions/runs/%" PRId64, s->base_url, j->scope, j->run_id);
    AUTO_FREE char *html = xasprintf("%s%s/actions/runs/%" PRId64 "/job/%" PRId64, s->base_url,
                                     j->scope + strlen("/repos"), j->run_id, j->id);
    json_add_int(o, "id", j->id);
    json_add_int(o, "run_id", j->run_id);
    json_add_int(o, "run_attempt", j->attempt);
    json_add_text(o, "run_url", run);
    json_add_text(o, "node_id", "CR_simulated");
    json_add_text(o, "head_sha", "0a11ce0000000000000000000000000000000000");
    json_add_text(o, "head_branch", "main");
    json_add_text(o, "workflow_name", "CI");
    json_add_text(o, "name", j->name);
    json_add_text(o, "url", url);
    json_add_text(o, "html_url", html);
    json_add_text(o, "check_run_url", url);
    json_add_text(o, "status", seen ? j->status : "queued");
    json_add_text(o, "conclusion", seen ? j->conclusion : NULL);
    json_add_date(o, "created_at", j->created);
    json_add_date(o, "started_at", j->started ? j->started : j->created);
    json_add_date(o, "completed_at", j->completed);
    json_add_list(o, "labels", &j->labels);
    json_add_int(o, "runner_id", seen ? j->runner_id : 0);
    json_add_text(o, "runner_name", seen && j->runner_name ? j->runner_name : "");
    json_add_int(o, "runner_group_id", j->group);
    json_add_text(o, "runner_group_name", j->group ? s->runner_groups.v[j->group - 1] : "");
    json_add_array(o, "steps");
}

/* The last attempt of a run; 0: there is none such. */
static int64_t last_attempt(const struct github_call *c, int64_t run_id)
{
    int64_t last = 0;
    for (size_t i = 0; i < c->sim->n_jobs; i++) {
        const struct job *j = c->sim->jobs[i];
        if (j->run_id == run_id && str_eq(j->scope, c->scope) && j->attempt > last)
            last = j->attempt;
    }
    /* A workflow run that launched an instance is there, also when no job of it was queued here. */
    for (size_t i = 0; i < c->sim->n_instances; i++) {
        const struct pairs *tags = &c->sim->instances[i]->tags;
        const char *run = pairs_get(tags, "mayfly:run"), *repo = pairs_get(tags, "mayfly:repo");
        AUTO_FREE char *scope = xasprintf("/repos/%s", repo ? repo : "");
        AUTO_FREE char *begin = xasprintf("%" PRId64 "/", run_id);
        if (run && str_starts(run, begin) && strcasecmp(scope, c->scope) == 0)
            last = last > 0 ? last : 1;
    }
    return last;
}

static void list_jobs(struct github_call *c)
{
    bool all = str_eq(pairs_get(&c->request->query, "filter"), "all");
    int64_t last = last_attempt(c, c->ids[0]);
    if (last == 0 || c->ids[1] > last) {
        refuse(c->res, 404, "Not Found");
        return;
    }
    struct page page = page_begin(c);
    int64_t attempt = c->ids[1] ? c->ids[1] : last;
    for (size_t i = 0; i < c->sim->n_jobs; i++) {
        const struct job *j = c->sim->jobs[i];
        if (j->run_id == c->ids[0] && str_eq(j->scope, c->scope) && (j->attempt == attempt || (all && !c->ids[1])) &&
            page_takes(&page))
            add_job(json_add_row(page.rows), c->sim, j);
    }
    page_end(c, &page, "jobs");
}

static void get_job(struct github_call *c)
{
    const struct job *j = world_job(c->sim, c->ids[0]);
    if (!j || !str_eq(j->scope, c->scope)) {
        refuse(c->res, 404, "Not Found");
        return;
    }
    struct json_object *o = must(json_object_new_object());
    add_job(o, c->sim, j);
    respond_json(c->res, 200, o);
}

static void downloads(struct github_call *c)
{
    const struct sim *s = c->sim;
    static const char *const architectures[] = { "x64", "arm64" };
    struct json_object *rows = must(json_object_new_array());
    for (size_t i = 0; i < ARRAY_SIZE(architectures); i++) {
        AUTO_FREE char *file = xasprintf("actions-runner-linux-%s-2.337.0.tar.gz", architectures[i]);
        AUTO_FREE char *url = xasprintf("%s/dist/%s", s->base_url, file);
        struct json_object *o = json_add_row(rows);
        json_add_text(o, "os", "linux");
        json_add_text(o, "architecture", architectures[i]);
        json_add_text(o, "download_url", url);
        json_add_text(o, "filename", file);
        json_add_text(o, "sha256_checksum", s->runner_sha256);
    }
    respond_json(c->res, 200, rows);
}

/* --- scopes and routes -------------------------------------------------------------------------------------------- */

/* "/repos/o/r", "/orgs/o" or "/enterprises/o" at the front of path, owned; NULL when there is none such here. */
static char *scope_of(const struct sim *s, const char *path)
{
    static const char *const owners[] = { "orgs", "enterprises" };
    for (size_t i = 0; i < s->options.repos.n; i++) {
        const char *repo = s->options.repos.v[i]; /* or an organisation */
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
    { "GET", "/actions/runners", "list-runners", "administration=read", list_runners, NULL },
    { "POST", "/actions/runners/generate-jitconfig", "generate-jitconfig", "administration=write", generate_jitconfig,
      NULL },
    { "GET", "/actions/runners/downloads", "downloads", "administration=read", downloads, NULL },
    { "GET", "/actions/runners/N", "get-runner", "administration=read", get_runner, NULL },
    { "DELETE", "/actions/runners/N", "delete-runner", "administration=write", delete_runner, NULL },
    { "GET", "/actions/runner-groups", "list-runner-groups", "administration=read", list_groups, NULL },
    { "GET", "/actions/runs/N/jobs", "list-jobs", "actions=read", list_jobs, "/repos/" },
    { "GET", "/actions/runs/N/attempts/N/jobs", "list-attempt-jobs", "actions=read", list_jobs, "/repos/" },
    { "GET", "/actions/jobs/N", "get-job", "actions=read", get_job, "/repos/" },
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

/* What runners are in a repository's administration is a permission of its own in an organisation. Owned. */
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
        refuse(c->res, 403, "Resource not accessible by integration");
        return;
    }
    if (token && !app_token_opens(token, c->scope)) {
        refuse(c->res, 404, "Not Found");
        return;
    }
    pairs_set(&c->res->headers, "x-accepted-github-permissions", permission);
    if (token && !app_token_may(token, permission))
        refuse(c->res, 403, "Resource not accessible by integration");
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
        refuse(res, 403,
               "Request forbidden by administrative rules. Please make sure your request has a User-Agent header "
               "(https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required).");
    } else if (!is_api_version(pairs_get(&r->headers, "x-github-api-version"))) {
        refuse(res, 400, "\"%s\" is not a supported API version", pairs_get(&r->headers, "x-github-api-version"));
    } else if (app_serve(s, path, bearer, r, res)) {
        return;
    } else if (!token && !str_eq(bearer, s->github_token)) {
        refuse(res, 401, "Bad credentials");
    } else if (str_eq(path, "/rate_limit") && str_eq(r->method, "GET")) {
        rate_limit(s, r, res);
    } else if (s->rate_used >= s->options.rate_limit) {
        refuse(res, 403, "API rate limit exceeded for installation ID 1234.");
    } else {
        const struct route *route = scope ? find_route(r->method, path, scope, c.ids) : NULL;
        if (route)
            serve_route(&c, route, token);
        else
            refuse(res, 404, "Not Found");
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
    struct json_object *o = must(json_object_new_object());
    json_add_int(o, "id", j->id);
    json_add_text(o, "name", j->name);
    json_add_text(o, "repository", strchr(j->scope + 1, '/') + 1);
    json_add_int(o, "run_id", j->run_id);
    json_add_list(o, "commands", &j->commands);
    json_add_pairs(o, "env", &j->env);
    respond_json(res, 200, o);
}

void broker_serve(struct sim *s, const struct request *r, struct response *res)
{
    struct runner *runner = runner_by_secret(s, r);
    const char *what = r->path + strlen("/runner/");
    if (!runner) {
        refuse(res, 404, "The runner no longer exists on the server.");
        return;
    }
    struct job *job = runner->job ? world_job(s, runner->job) : NULL;
    res->status = 204;
    if (str_eq(what, "session")) {
        world_connect(s, runner);
    } else if (str_eq(what, "close")) {
        runner->online = false;
    } else if (str_eq(what, "message")) {
        if (job || world_assign_job(s, runner)) /* again, when the answer was lost */
            send_job(world_job(s, runner->job), res);
        else
            res->status = 202;
    } else if (str_eq(what, "console")) {
        res->status = 204; /* the instance's console is read from its pipe */
    } else if (str_eq(what, "log") && job) {
        strbuf_add(&job->log, strbuf_str(&r->body), r->body.len);
    } else if (str_eq(what, "complete") && job) {
        world_finish_job(s, job, str_eq(strbuf_str(&r->body), "Succeeded") ? "success" : "failure", true);
    } else {
        refuse(res, 404, "Not Found");
    }
}
