/* /_sim: what tests and quickstart.sh ask of the simulator itself; and the instance metadata service. */
#include <inttypes.h>

#include "sim.h"

#include "mayfly/codec/json.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"

enum { CLOCK_MAX = 3650 * 86400 };

static struct json_object *text(const char *s)
{
    return sim_text(s);
}

static struct json_object *number(int64_t n)
{
    return must(json_object_new_int64(n));
}

static struct json_object *pairs_json(const struct pairs *p)
{
    struct json_object *o = must(json_object_new_object());
    for (size_t i = 0; i < p->n; i++)
        json_object_object_add(o, p->v[2 * i], text(p->v[2 * i + 1]));
    return o;
}

static struct json_object *list_json(const struct strlist *l)
{
    struct json_object *o = must(json_object_new_array());
    for (size_t i = 0; i < l->n; i++)
        json_object_array_add(o, text(l->v[i]));
    return o;
}

static struct json_object *job_json(const struct job *j)
{
    struct json_object *o = must(json_object_new_object());
    json_object_object_add(o, "id", number(j->id));
    json_object_object_add(o, "run_id", number(j->run_id));
    json_object_object_add(o, "name", text(j->name));
    json_object_object_add(o, "run_attempt", number(j->attempt));
    json_object_object_add(o, "repository", text(j->scope + strlen("/repos/")));
    json_object_object_add(o, "labels", list_json(&j->labels));
    json_object_object_add(o, "runner_id", number(j->runner_id));
    json_object_object_add(o, "status", text(j->status));
    json_object_object_add(o, "conclusion", text(j->conclusion));
    json_object_object_add(o, "runner_name", text(j->runner_name));
    json_object_object_add(o, "log", text(strbuf_str(&j->log)));
    return o;
}

static struct json_object *instance_json(const struct instance *i)
{
    struct json_object *o = must(json_object_new_object());
    json_object_object_add(o, "id", text(i->id));
    json_object_object_add(o, "state", text(i->state));
    json_object_object_add(o, "reason", text(i->reason_code));
    json_object_object_add(o, "dead", must(json_object_new_boolean(i->dead_at != 0)));
    json_object_object_add(o, "reservation", text(i->reservation));
    json_object_object_add(o, "profile", text(i->profile));
    json_object_object_add(o, "runner_id", number(i->runner));
    json_object_object_add(o, "console", text(strbuf_str(&i->console)));
    json_object_object_add(o, "image", text(i->image));
    json_object_object_add(o, "type", text(i->type));
    json_object_object_add(o, "zone", text(i->zone));
    json_object_object_add(o, "subnet", text(i->subnet));
    json_object_object_add(o, "lifecycle", text(i->spot_request ? "spot" : "on-demand"));
    json_object_object_add(o, "client_token", text(i->client_token));
    json_object_object_add(o, "launched", text(clock_rfc3339(i->launched / 1000).s));
    json_object_object_add(o, "launched_ms", number(i->launched));
    json_object_object_add(o, "changed_ms", number(i->change_at)); /* 0: no state has passed */
    json_object_object_add(o, "user_data_bytes", number((int64_t)i->user_data.len));
    json_object_object_add(o, "tags", pairs_json(&i->tags));
    return o;
}

/* The array under key, made if there is none. */
static struct json_object *array_of(struct json_object *o, const char *key)
{
    struct json_object *array = NULL;
    if (!json_object_object_get_ex(o, key, &array)) {
        array = must(json_object_new_array());
        json_object_object_add(o, key, array);
    }
    return array;
}

/* The object of a region, made if there is none. */
static struct json_object *region_of(struct json_object *regions, const char *name)
{
    struct json_object *region = NULL;
    if (!json_object_object_get_ex(regions, name, &region)) {
        region = must(json_object_new_object());
        json_object_object_add(regions, name, region);
        array_of(region, "instances");
        array_of(region, "volumes");
        array_of(region, "spot_requests");
        array_of(region, "client_tokens");
    }
    return region;
}

static void add_regions(const struct sim *s, struct json_object *regions)
{
    for (size_t n = 0; n < s->n_instances; n++)
        json_object_array_add(array_of(region_of(regions, s->instances[n]->region), "instances"),
                              instance_json(s->instances[n]));
    for (size_t n = 0; n < s->n_volumes; n++) {
        const struct volume *v = s->volumes[n];
        struct json_object *o = must(json_object_new_object());
        json_object_object_add(o, "id", text(v->id));
        json_object_object_add(o, "instance", text(v->instance));
        json_object_object_add(o, "state", text(v->instance ? "in-use" : "available"));
        json_object_object_add(o, "size", number(v->size));
        json_object_object_add(o, "tags", pairs_json(&v->tags));
        json_object_array_add(array_of(region_of(regions, v->region), "volumes"), o);
    }
    for (size_t n = 0; n < s->n_spot_requests; n++) {
        const struct spot_request *q = s->spot_requests[n];
        struct json_object *o = must(json_object_new_object());
        json_object_object_add(o, "id", text(q->id));
        json_object_object_add(o, "instance", text(q->instance));
        json_object_object_add(o, "tags", pairs_json(&q->tags));
        json_object_array_add(array_of(region_of(regions, q->region), "spot_requests"), o);
    }
    for (size_t n = 0; n < s->n_tokens; n++) {
        const struct client_token *t = &s->tokens[n];
        struct json_object *o = must(json_object_new_object());
        json_object_object_add(o, "token", text(t->token));
        json_object_object_add(o, "zone", text(t->zone));
        json_object_object_add(o, "reservation", text(t->reservation));
        json_object_array_add(array_of(region_of(regions, t->region), "client_tokens"), o);
    }
}

static void state(struct sim *s, struct response *res)
{
    struct json_object *o = must(json_object_new_object()), *regions = must(json_object_new_object());
    json_object_object_add(o, "time", text(clock_rfc3339(sim_now(s) / 1000).s));
    json_object_object_add(o, "time_ms", number(sim_now(s)));
    json_object_object_add(o, "regions", regions);
    add_regions(s, regions);
    struct json_object *runners = array_of(o, "runners"), *jobs = array_of(o, "jobs");
    for (size_t n = 0; n < s->n_runners; n++) {
        const struct runner *r = s->runners[n];
        struct json_object *row = must(json_object_new_object());
        json_object_object_add(row, "id", number(r->id));
        json_object_object_add(row, "name", text(r->name));
        json_object_object_add(row, "scope", text(r->scope));
        json_object_object_add(row, "status", text(r->online ? "online" : "offline"));
        json_object_object_add(row, "busy", must(json_object_new_boolean(r->busy)));
        json_object_object_add(row, "labels", list_json(&r->labels));
        json_object_array_add(runners, row);
    }
    for (size_t n = 0; n < s->n_jobs; n++)
        json_object_array_add(jobs, job_json(s->jobs[n]));
    respond_json(res, 200, o);
}

struct new_job {
    const char *repository, *name;
    int64_t run_id, attempt, duration;
    struct field_list labels, commands;
};
static const struct field new_job_fields[] = {
    { .path = "repository", .type = FIELD_STR, .offset = offsetof(struct new_job, repository), .required = true },
    { .path = "name", .type = FIELD_STR, .offset = offsetof(struct new_job, name), .required = true },
    { .path = "run_id", .type = FIELD_INT, .offset = offsetof(struct new_job, run_id) },
    { .path = "run_attempt", .type = FIELD_INT, .offset = offsetof(struct new_job, attempt) },
    { .path = "duration_ms", .type = FIELD_INT, .offset = offsetof(struct new_job, duration) },
    { .path = "labels",
      .type = FIELD_LIST,
      .offset = offsetof(struct new_job, labels),
      .required = true,
      .item_size = sizeof(char *) },
    { .path = "commands",
      .type = FIELD_LIST,
      .offset = offsetof(struct new_job, commands),
      .item_size = sizeof(char *) },
    { 0 },
};

static void add_job(struct sim *s, const struct request *r, struct response *res)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    AUTO_JSON *body = NULL;
    struct new_job n = { .run_id = 1, .attempt = 1, .duration = 1000 };
    if (!json_parse(strbuf_str(&r->body), r->body.len, "the job", &body, &err) ||
        !json_decode(body, new_job_fields, &n, &arena, "the job", &err)) {
        respond_text(res, 400, err.message);
        return;
    }
    struct job *j = xcalloc(1, sizeof(*j));
    j->id = ++s->next_job;
    j->run_id = n.run_id;
    j->attempt = n.attempt;
    j->duration = n.duration;
    j->scope = xasprintf("/repos/%s", n.repository);
    j->name = xstrdup(n.name);
    j->status = "queued";
    j->created = sim_now(s);
    j->log = STRBUF_MAX(1 << 20);
    for (size_t i = 0; i < n.labels.n; i++)
        strlist_add(&j->labels, *FIELD_ROW(&n.labels, const char *, i));
    for (size_t i = 0; i < n.commands.n; i++)
        strlist_add(&j->commands, *FIELD_ROW(&n.commands, const char *, i));
    pairs_take_json(&j->env, body, "env");
    s->jobs = xreallocarray(s->jobs, s->n_jobs + 1, sizeof(*s->jobs));
    s->jobs[s->n_jobs++] = j;
    respond_json(res, 201, job_json(j));
}

/* POST adds a fault or a list of them, PUT puts them in the place of those that are there. */
static void change_faults(struct sim *s, const struct request *r, struct response *res)
{
    AUTO_ERROR err = { 0 };
    AUTO_JSON *json = NULL;
    bool get = str_eq(r->method, "GET"), remove = str_eq(r->method, "DELETE");
    if (!get && !remove && !json_parse(strbuf_str(&r->body), r->body.len, "the faults", &json, &err)) {
        respond_text(res, 400, err.message);
        return;
    }
    if (remove || str_eq(r->method, "PUT"))
        faults_clear(s);
    if (json && !faults_add(s, json, &err))
        respond_text(res, 400, err.message);
    else
        respond_json(res, get || remove ? 200 : 201, faults_json(s));
}

/* What the small requests have in their bodies. */
struct change {
    int64_t seconds, n, ms;
    const char *status;
    bool busy, drop;
    bool has_status, has_busy;
};
static const struct field change_fields[] = {
    { .path = "advance_seconds", .type = FIELD_INT, .offset = offsetof(struct change, seconds) },
    { .path = "n", .type = FIELD_INT, .offset = offsetof(struct change, n) },
    { .path = "ms", .type = FIELD_INT, .offset = offsetof(struct change, ms) },
    { .path = "status", .type = FIELD_STR, .offset = offsetof(struct change, status) },
    { .path = "busy", .type = FIELD_BOOL, .offset = offsetof(struct change, busy) },
    { .path = "drop", .type = FIELD_BOOL, .offset = offsetof(struct change, drop) },
    { 0 },
};

/* An empty body changes nothing. */
static bool take_change(const struct request *r, struct change *ret, struct arena *arena, struct response *res)
{
    AUTO_ERROR err = { 0 };
    AUTO_JSON *body = NULL;
    if (r->body.len == 0)
        return true;
    if (!json_parse(strbuf_str(&r->body), r->body.len, "the body", &body, &err) ||
        !json_decode(body, change_fields, ret, arena, "the body", &err)) {
        respond_text(res, 400, err.message);
        return false;
    }
    ret->has_status = json_object_object_get_ex(body, "status", NULL);
    ret->has_busy = json_object_object_get_ex(body, "busy", NULL);
    return true;
}

static void one_job(struct sim *s, const char *rest, struct response *res)
{
    uint64_t id;
    AUTO_FREE char *digits = xstrndup(rest, strcspn(rest, "/"));
    struct job *j = parse_uint(digits, INT64_MAX, &id) ? world_job(s, (int64_t)id) : NULL;
    const char *what = rest + strlen(digits);
    if (j && str_eq(what, "/cancel")) {
        if (!str_eq(j->status, "completed"))
            world_finish_job(s, j, "cancelled", true);
        respond_json(res, 200, job_json(j));
    } else if (j && *what == '\0')
        respond_json(res, 200, job_json(j));
    else if (j && str_eq(what, "/log"))
        respond_text(res, 200, strbuf_str(&j->log));
    else
        respond_text(res, 404, "no such job\n");
}

static void one_instance(struct sim *s, const char *rest, const struct request *r, struct response *res)
{
    AUTO_FREE char *id = xstrndup(rest, strcspn(rest, "/"));
    struct instance *i = world_instance(s, id);
    const char *what = rest + strlen(id);
    bool post = str_eq(r->method, "POST");
    if (!i)
        respond_text(res, 404, "no such instance\n");
    else if (str_eq(what, "/state"))
        respond_text(res, 200, i->state);
    else if (str_eq(what, "/console"))
        respond_text(res, 200, strbuf_str(&i->console));
    else if (str_eq(what, "/user-data"))
        respond_text(res, 200, strbuf_str(&i->user_data));
    else if (str_eq(what, "/poweroff") && post) {
        world_shutdown(s, i, "Client.InstanceInitiatedShutdown",
                       "Client.InstanceInitiatedShutdown: Instance initiated shutdown");
        respond_text(res, 200, "");
    } else if (str_eq(what, "/kill") && post) {
        world_kill(s, i);
        respond_text(res, 200, "");
    } else if (str_eq(what, "/interrupt") && post) { /* two minutes ahead, as EC2 warns */
        i->interrupt_at = sim_now(s) + 120 * 1000;
        respond_text(res, 200, "");
    } else
        respond_text(res, 404, "no such thing\n");
}

static void change_runner(struct sim *s, const char *rest, const struct change *c, struct response *res)
{
    uint64_t id;
    struct runner *r = parse_uint(rest, INT64_MAX, &id) ? world_runner(s, (int64_t)id) : NULL;
    if (!r) {
        respond_text(res, 404, "no such runner\n");
        return;
    }
    if (c->has_status)
        r->online = str_eq(c->status, "online");
    r->connected = r->connected || r->online;
    r->offline_at = 0;
    if (c->has_busy)
        r->busy = c->busy;
    respond_text(res, 200, "");
}

static void reset(struct sim *s)
{
    held_release(s, 0, true);
    world_clear(s);
    faults_clear(s);
    json_object_put(s->log);
    s->log = must(json_object_new_array());
    s->offset = s->rate_used = s->rate_reset = 0;
}

void control_serve(struct sim *s, const struct request *r, struct response *res)
{
    const char *what = r->path + strlen("/_sim/");
    bool post = str_eq(r->method, "POST") || str_eq(r->method, "PUT");
    AUTO_ARENA arena = { 0 };
    struct change change = { 0 };
    if (str_eq(what, "state")) {
        state(s, res);
    } else if (str_eq(what, "log") && str_eq(r->method, "DELETE")) {
        json_object_put(s->log);
        s->log = must(json_object_new_array());
        respond_text(res, 200, "");
    } else if (str_eq(what, "log")) {
        respond_json(res, 200, json_object_get(s->log));
    } else if (str_eq(what, "jobs") && post) {
        add_job(s, r, res);
    } else if (str_eq(what, "faults")) {
        change_faults(s, r, res);
    } else if (str_eq(what, "held")) {
        respond_json(res, 200, held_json(s));
    } else if (str_eq(what, "reset") && post) {
        reset(s);
        respond_text(res, 200, "");
    } else if (str_starts(what, "jobs/")) {
        one_job(s, what + 5, res);
    } else if (str_starts(what, "instances/")) {
        one_instance(s, what + 10, r, res);
    } else if (post && (str_eq(what, "clock") || str_eq(what, "release") || str_starts(what, "runners/"))) {
        if (!take_change(r, &change, &arena, res))
            return;
        if (str_starts(what, "runners/")) {
            change_runner(s, what + 8, &change, res);
        } else if (str_eq(what, "release")) {
            struct json_object *o = must(json_object_new_object());
            json_object_object_add(o, "released", number((int64_t)held_release(s, change.n, change.drop)));
            respond_json(res, 200, o);
        } else if (change.seconds < -CLOCK_MAX || change.seconds > CLOCK_MAX) {
            respond_text(res, 400, "the clock moves by at most ten years\n");
        } else {
            s->offset += change.seconds * 1000;
            respond_text(res, 200, "");
        }
    } else {
        respond_text(res, 404,
                     "the simulator knows state, log, jobs, instances, runners, clock, faults, held, release and "
                     "reset\n");
    }
}

/* --- IMDSv2 ------------------------------------------------------------------------------------------------------- */

static void new_token(struct sim *s, struct instance *i, const struct request *r, struct response *res)
{
    const char *ttl = pairs_get(&r->headers, "x-aws-ec2-metadata-token-ttl-seconds");
    uint64_t seconds;
    if (pairs_get(&r->headers, "x-forwarded-for")) {
        respond_text(res, 403, "");
    } else if (!ttl || !parse_uint(ttl, 21600, &seconds) || seconds == 0) {
        respond_text(res, 400, "");
    } else {
        free(i->imds_token);
        i->imds_token = sim_random_id("AQAEA", 51);
        i->imds_until = sim_now(s) + (int64_t)seconds * 1000;
        pairs_set(&res->headers, "X-aws-ec2-metadata-token-ttl-seconds", ttl);
        respond_text(res, 200, i->imds_token);
    }
}

static void metadata(const struct sim *s, const struct instance *i, const char *path, struct response *res)
{
    AUTO_FREE char *index = xasprintf("%" PRId64, i->index);
    AUTO_FREE char *action = i->interrupt_at ? xasprintf("{\"action\":\"terminate\",\"time\":\"%s\"}",
                                                         clock_rfc3339(i->interrupt_at / 1000).s)
                                             : NULL;
    AUTO_FREE char *document = xasprintf(
        "{\"accountId\":\"123456789012\",\"architecture\":\"%s\",\"availabilityZone\":\"%s\",\"imageId\":\"%s\","
        "\"instanceId\":\"%s\",\"instanceType\":\"%s\",\"pendingTime\":\"%s\",\"region\":\"%s\"}",
        i->architecture, i->zone, i->image, i->id, i->type, clock_rfc3339(i->launched / 1000).s, i->region);
    const struct {
        const char *path, *value;
    } known[] = {
        { "user-data", i->user_data.len ? strbuf_str(&i->user_data) : NULL },
        { "meta-data/", "ami-id\nami-launch-index\ninstance-id\ninstance-life-cycle\ninstance-type\nplacement/\n" },
        { "meta-data/ami-id", i->image },
        { "meta-data/ami-launch-index", index },
        { "meta-data/instance-id", i->id },
        { "meta-data/instance-type", i->type },
        { "meta-data/instance-life-cycle", i->spot_request ? "spot" : "on-demand" },
        { "meta-data/placement/availability-zone", i->zone },
        { "meta-data/placement/region", i->region },
        { "meta-data/spot/instance-action", action },
        { "dynamic/instance-identity/document", document },
    };
    (void)s;
    for (size_t n = 0; n < ARRAY_SIZE(known); n++) {
        if (!str_eq(known[n].path, path) || !known[n].value)
            continue;
        respond_text(res, 200, known[n].value);
        return;
    }
    respond_text(res, 404, "");
}

void imds_serve(struct sim *s, const struct request *r, struct response *res)
{
    const char *rest = r->path + strlen("/imds/");
    AUTO_FREE char *id = xstrndup(rest, strcspn(rest, "/"));
    struct instance *i = world_instance(s, id);
    const char *path = rest + strlen(id), *token = pairs_get(&r->headers, "x-aws-ec2-metadata-token");
    if (!i || !instance_is(i, "running") || !str_starts(path, "/latest/"))
        respond_text(res, 404, "");
    else if (str_eq(i->http_endpoint, "disabled"))
        respond_text(res, 403, "");
    else if (str_eq(path, "/latest/api/token") && str_eq(r->method, "PUT"))
        new_token(s, i, r, res);
    else if (str_eq(path, "/latest/api/token") || !str_eq(r->method, "GET"))
        respond_text(res, 405, "");
    else if (!token || !str_eq(token, i->imds_token) || sim_now(s) >= i->imds_until)
        respond_text(res, 401, "");
    else
        metadata(s, i, path + strlen("/latest/"), res);
}
