/* /_sim: what tests and quickstart.sh ask of the simulator itself; and the instance metadata service. */
#include <inttypes.h>

#include "sim.h"

#include "mayfly/codec/json.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"

static struct json_object *text(const char *s)
{
    return s ? must(json_object_new_string(s)) : NULL;
}

static struct json_object *number(int64_t n)
{
    return must(json_object_new_int64(n));
}

static void plain(struct response *res, int status, const char *body)
{
    res->status = status;
    res->content_type = "text/plain; charset=utf-8";
    strbuf_adds(&res->body, body);
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
    json_object_object_add(o, "labels", list_json(&j->labels));
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
    json_object_object_add(o, "image", text(i->image));
    json_object_object_add(o, "type", text(i->type));
    json_object_object_add(o, "zone", text(i->zone));
    json_object_object_add(o, "subnet", text(i->subnet));
    json_object_object_add(o, "lifecycle", text(i->spot_request ? "spot" : "on-demand"));
    json_object_object_add(o, "client_token", text(i->client_token));
    json_object_object_add(o, "launched", text(clock_rfc3339(i->launched / 1000).s));
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

static void state(struct sim *s, struct response *res)
{
    struct json_object *o = must(json_object_new_object()), *regions = must(json_object_new_object());
    json_object_object_add(o, "time", text(clock_rfc3339(sim_now(s) / 1000).s));
    json_object_object_add(o, "regions", regions);
    for (size_t n = 0; n < s->n_instances; n++) {
        const struct instance *i = s->instances[n];
        struct json_object *region = NULL;
        if (!json_object_object_get_ex(regions, i->region, &region)) {
            region = must(json_object_new_object());
            json_object_object_add(regions, i->region, region);
        }
        json_object_array_add(array_of(region, "instances"), instance_json(i));
        struct json_object *volumes = array_of(region, "volumes");
        if (i->volume) {
            struct json_object *v = must(json_object_new_object());
            json_object_object_add(v, "id", text(i->volume));
            json_object_object_add(v, "instance", text(i->id));
            json_object_object_add(v, "tags", pairs_json(&i->volume_tags));
            json_object_array_add(volumes, v);
        }
    }
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
    int64_t run_id, duration;
    struct field_list labels, commands;
};
static const struct field new_job_fields[] = {
    { .path = "repository", .type = FIELD_STR, .offset = offsetof(struct new_job, repository), .required = true },
    { .path = "name", .type = FIELD_STR, .offset = offsetof(struct new_job, name), .required = true },
    { .path = "run_id", .type = FIELD_INT, .offset = offsetof(struct new_job, run_id) },
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
    struct new_job n = { .duration = 1000 };
    if (!json_decode_text(strbuf_str(&r->body), r->body.len, new_job_fields, &n, &arena, "the job", &err)) {
        plain(res, 400, err.message);
        return;
    }
    struct job *j = xcalloc(1, sizeof(*j));
    j->id = ++s->next_job;
    j->run_id = n.run_id;
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
    s->jobs = xreallocarray(s->jobs, s->n_jobs + 1, sizeof(*s->jobs));
    s->jobs[s->n_jobs++] = j;
    respond_json(res, 201, job_json(j));
}

struct new_fault {
    const char *service, *action, *fault, *code, *message;
    int64_t skip, times, status;
};
#define FAULT(name, field_type, member)                                                                                \
    {                                                                                                                  \
        .path = name, .type = field_type, .offset = offsetof(struct new_fault, member)                                 \
    }
static const struct field new_fault_fields[] = {
    FAULT("service", FIELD_STR, service), FAULT("action", FIELD_STR, action),   FAULT("fault", FIELD_STR, fault),
    FAULT("code", FIELD_STR, code),       FAULT("message", FIELD_STR, message), FAULT("skip", FIELD_INT, skip),
    FAULT("times", FIELD_INT, times),     FAULT("status", FIELD_INT, status),   { 0 },
};

/* One fault: {"service", "action", "fault": error | lost | cut, "skip": 0, "times": 1, "status", "code", "message"}. */
static void add_fault(struct sim *s, const struct request *r, struct response *res)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct new_fault n = { .times = 1, .status = 500, .code = NULL, .message = "scripted" };
    if (!json_decode_text(strbuf_str(&r->body), r->body.len, new_fault_fields, &n, &arena, "the fault", &err) ||
        !n.service || !n.action || !n.fault) {
        plain(res, 400, err.message ? err.message : "service, action and fault are needed");
        return;
    }
    struct fault f = { .skip = n.skip, .times = n.times, .status = n.status };
    str_set(&f.service, n.service);
    str_set(&f.action, n.action);
    str_set(&f.kind, n.fault);
    str_set(&f.code, n.code);
    str_set(&f.message, n.message);
    s->faults = xreallocarray(s->faults, s->n_faults + 1, sizeof(*s->faults));
    s->faults[s->n_faults++] = f;
    plain(res, 201, "");
}

struct change {
    int64_t seconds;
    const char *status;
    bool busy;
};
static const struct field change_fields[] = {
    { .path = "advance_seconds", .type = FIELD_INT, .offset = offsetof(struct change, seconds) },
    { .path = "status", .type = FIELD_STR, .offset = offsetof(struct change, status) },
    { .path = "busy", .type = FIELD_BOOL, .offset = offsetof(struct change, busy) },
    { 0 },
};

static void one_job(struct sim *s, const char *rest, struct response *res)
{
    uint64_t id;
    AUTO_FREE char *digits = xstrndup(rest, strcspn(rest, "/"));
    struct job *j = parse_uint(digits, INT64_MAX, &id) ? world_job(s, (int64_t)id) : NULL;
    const char *what = rest + strlen(digits);
    if (j && *what == '\0')
        respond_json(res, 200, job_json(j));
    else if (j && str_eq(what, "/log"))
        plain(res, 200, strbuf_str(&j->log));
    else
        plain(res, 404, "no such job\n");
}

static void one_instance(struct sim *s, const char *rest, const struct request *r, struct response *res)
{
    AUTO_FREE char *id = xstrndup(rest, strcspn(rest, "/"));
    struct instance *i = world_instance(s, id);
    const char *what = rest + strlen(id);
    bool post = str_eq(r->method, "POST");
    if (!i)
        plain(res, 404, "no such instance\n");
    else if (str_eq(what, "/state"))
        plain(res, 200, i->state);
    else if (str_eq(what, "/console"))
        plain(res, 200, strbuf_str(&i->console));
    else if (str_eq(what, "/user-data"))
        plain(res, 200, strbuf_str(&i->user_data));
    else if (str_eq(what, "/poweroff") && post) {
        world_shutdown(s, i, "Client.InstanceInitiatedShutdown", "Instance initiated shutdown");
        plain(res, 200, "");
    } else if (str_eq(what, "/kill") && post) {
        struct runner *runner = i->runner ? world_runner(s, i->runner) : NULL;
        i->dead_at = sim_now(s);
        sandbox_kill(s, i);
        if (runner) /* GitHub notices after a while; busy stays */
            runner->offline_at = sim_now(s) + 30000;
        plain(res, 200, "");
    } else
        plain(res, 404, "no such thing\n");
}

static void change_runner(struct sim *s, const char *rest, const struct change *c, struct response *res)
{
    uint64_t id;
    struct runner *r = parse_uint(rest, INT64_MAX, &id) ? world_runner(s, (int64_t)id) : NULL;
    if (!r) {
        plain(res, 404, "no such runner\n");
        return;
    }
    r->online = str_eq(c->status, "online");
    r->offline_at = 0;
    r->busy = c->busy;
    plain(res, 200, "");
}

void control_serve(struct sim *s, const struct request *r, struct response *res)
{
    const char *what = r->path + strlen("/_sim/");
    bool post = str_eq(r->method, "POST") || str_eq(r->method, "PUT");
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct change change = { 0 };
    res->service = "_sim";
    if (str_eq(what, "state")) {
        state(s, res);
    } else if (str_eq(what, "log") && str_eq(r->method, "DELETE")) {
        json_object_put(s->log);
        s->log = must(json_object_new_array());
        plain(res, 200, "");
    } else if (str_eq(what, "log")) {
        respond_json(res, 200, json_object_get(s->log));
    } else if (str_eq(what, "jobs") && post) {
        add_job(s, r, res);
    } else if (str_eq(what, "faults") && post) {
        add_fault(s, r, res);
    } else if (str_starts(what, "jobs/")) {
        one_job(s, what + 5, res);
    } else if (str_starts(what, "instances/")) {
        one_instance(s, what + 10, r, res);
    } else if (post && (str_eq(what, "clock") || str_starts(what, "runners/"))) {
        if (!json_decode_text(strbuf_str(&r->body), r->body.len, change_fields, &change, &arena, "the body", &err)) {
            plain(res, 400, err.message);
        } else if (*what == 'r') {
            change_runner(s, what + 8, &change, res);
        } else {
            s->offset += change.seconds * 1000;
            plain(res, 200, "");
        }
    } else {
        plain(res, 404, "the simulator knows state, log, jobs, instances, runners, clock and faults\n");
    }
}

/* --- IMDSv2 ------------------------------------------------------------------------------------------------------- */

void imds_serve(struct sim *s, const struct request *r, struct response *res)
{
    const char *rest = r->path + strlen("/imds/");
    AUTO_FREE char *id = xstrndup(rest, strcspn(rest, "/"));
    AUTO_FREE char *token = xasprintf("imds-%s", id);
    const struct instance *i = world_instance(s, id);
    const char *path = rest + strlen(id), *ttl = pairs_get(&r->headers, "x-aws-ec2-metadata-token-ttl-seconds");
    uint64_t seconds;
    res->service = "imds";
    if (!i || !instance_is(i, "running")) {
        plain(res, 404, "");
    } else if (str_eq(path, "/latest/api/token")) {
        if (!str_eq(r->method, "PUT"))
            plain(res, 405, "");
        else if (!ttl || !parse_uint(ttl, 21600, &seconds) || seconds == 0)
            plain(res, 400, "");
        else
            plain(res, 200, token);
    } else if (!str_eq(pairs_get(&r->headers, "x-aws-ec2-metadata-token"), token)) {
        plain(res, 401, "");
    } else if (str_eq(path, "/latest/user-data")) {
        plain(res, i->user_data.len ? 200 : 404, strbuf_str(&i->user_data));
    } else if (str_eq(path, "/latest/meta-data/instance-id")) {
        plain(res, 200, i->id);
    } else if (str_eq(path, "/latest/meta-data/instance-type")) {
        plain(res, 200, i->type);
    } else if (str_eq(path, "/latest/meta-data/placement/availability-zone")) {
        plain(res, 200, i->zone);
    } else if (str_eq(path, "/latest/meta-data/placement/region")) {
        plain(res, 200, i->region);
    } else {
        plain(res, 404, "");
    }
}
