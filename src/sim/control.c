/* /_sim: what tests and quickstart.sh ask of the simulator itself. */
#include "control.h"
#include "catalog.h"
#include "faults.h"
#include "github_app.h"
#include "held.h"
#include "http.h"
#include "imds.h"
#include "issuer.h"
#include "rows.h"
#include "sim.h"
#include "ssm.h"
#include "state.h"
#include "to_json.h"
#include "world.h"
#include "world_instances.h"
#include "world_resources.h"
#include "world_runners.h"

#include "mayfly/codec/json.h"
#include "mayfly/util/encode.h"

enum { CLOCK_MAX = 3650 * 86400, COPIES_MAX = 1000000 };

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

static void add_job(struct sim *s, const char *rest UNUSED, const struct request *r, struct response *res)
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
    ROW_ADD(s->jobs, s->n_jobs, j);
    respond_json(res, 201, state_job(j));
}

/* POST adds a fault or a list of them, PUT puts them in the place of those that are there. */
static void serve_faults(struct sim *s, const char *rest UNUSED, const struct request *r, struct response *res)
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
    int64_t seconds, n, ms, ec2_ms, github_ms;
    const char *status, *reason;
    bool busy, drop;
    bool has_status, has_busy;
};
static const struct field change_fields[] = {
    { .path = "advance_seconds", .type = FIELD_INT, .offset = offsetof(struct change, seconds) },
    { .path = "n", .type = FIELD_INT, .offset = offsetof(struct change, n) },
    { .path = "ms", .type = FIELD_INT, .offset = offsetof(struct change, ms) },
    { .path = "ec2_ms", .type = FIELD_INT, .offset = offsetof(struct change, ec2_ms) },
    { .path = "github_ms", .type = FIELD_INT, .offset = offsetof(struct change, github_ms) },
    { .path = "status", .type = FIELD_STR, .offset = offsetof(struct change, status) },
    { .path = "reason", .type = FIELD_STR, .offset = offsetof(struct change, reason) },
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

static void one_job(struct sim *s, const char *rest, const struct request *r UNUSED, struct response *res)
{
    uint64_t id;
    AUTO_FREE char *digits = xstrndup(rest, strcspn(rest, "/"));
    struct job *j = parse_uint(digits, INT64_MAX, &id) ? world_job(s, (int64_t)id) : NULL;
    const char *what = rest + strlen(digits);
    if (j && str_eq(what, "/cancel")) {
        if (!str_eq(j->status, "completed"))
            world_finish_job(s, j, "cancelled", true);
        respond_json(res, 200, state_job(j));
    } else if (j && *what == '\0')
        respond_json(res, 200, state_job(j));
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
        imds_user_data(i, res);
    else if (str_eq(what, "/poweroff") && post) {
        world_shutdown(s, i, "Client.InstanceInitiatedShutdown",
                       "Client.InstanceInitiatedShutdown: Instance initiated shutdown");
        respond_text(res, 200, "");
    } else if (str_eq(what, "/kill") && post) {
        world_kill(s, i);
        respond_text(res, 200, "");
    } else if (str_eq(what, "/interrupt") && post) { /* two minutes ahead, as EC2 warns */
        AUTO_ARENA arena = { 0 };
        struct change change = { .ms = 120 * 1000 };
        if (!take_change(r, &change, &arena, res))
            return;
        if (!world_end_reason(change.reason)) {
            respond_text(res, 400, "no such reason\n");
            return;
        }
        i->interrupt_at = sim_now(s) + change.ms;
        i->interrupt_reason = world_end_reason(change.reason);
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
    r->online_since = r->busy_since = 0;
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
    catalog_seed(s);
    app_reset(s);
    faults_clear(s);
    json_object_put(s->log);
    s->log = must(json_object_new_array());
    s->lag = (struct lag){ 0 };
    free(s->encryption.key);
    s->encryption = (struct encryption){ 0 };
    s->offset = s->rate_used = s->rate_reset = 0;
}

/* --- SSM's parameters --------------------------------------------------------------------------------------------- */

struct new_parameter {
    const char *name, *value, *type, *region; /* region NULL: every one */
};
#define PARAMETER_FIELD(member)                                                                                        \
    {                                                                                                                  \
        .path = #member, .type = FIELD_STR, .offset = offsetof(struct new_parameter, member)                           \
    }
static const struct field parameter_fields[] = {
    PARAMETER_FIELD(name), PARAMETER_FIELD(value), PARAMETER_FIELD(type), PARAMETER_FIELD(region), { 0 }
};

static struct json_object *parameters_json(const struct sim *s)
{
    struct json_object *rows = must(json_object_new_array());
    for (size_t i = 0; i < s->n_parameters; i++) {
        const struct parameter *p = s->parameters[i];
        struct json_object *o = json_add_row(rows);
        json_add_text(o, "region", p->region);
        json_add_text(o, "name", p->name);
        json_add_text(o, "value", p->value);
        json_add_text(o, "type", p->type);
        json_add_int(o, "version", p->version);
    }
    return rows;
}

static void change_parameter(struct sim *s, const struct new_parameter *n, bool remove)
{
    const char *region;
    for (size_t i = 0; (region = catalog_region(i)) != NULL; i++) {
        struct parameter *old = ssm_find(s, region, n->name);
        if (n->region && !str_eq(n->region, region))
            continue;
        if (!remove)
            ssm_put(s, region, n->name, n->type ? n->type : "String", n->value);
        else if (old)
            ssm_remove(s, old);
    }
}

/* PUT sets one, DELETE removes it, both in one region or in all. */
static void serve_ssm(struct sim *s, const char *rest UNUSED, const struct request *r, struct response *res)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct new_parameter n = { 0 };
    bool remove = str_eq(r->method, "DELETE");
    if (!str_eq(r->method, "GET")) {
        if (!json_decode_text(strbuf_str(&r->body), r->body.len, parameter_fields, &n, &arena, "the parameter", &err)) {
            respond_text(res, 400, err.message);
            return;
        }
        if (!n.name || (!n.value && !remove)) {
            respond_text(res, 400, "a parameter has a name and a value\n");
            return;
        }
        change_parameter(s, &n, remove);
    }
    respond_json(res, 200, parameters_json(s));
}

/* --- runner groups ------------------------------------------------------------------------------------------------ */

/* POST adds the groups of a list of names. */
static void serve_runner_groups(struct sim *s, const char *rest UNUSED, const struct request *r, struct response *res)
{
    AUTO_ERROR err = { 0 };
    AUTO_JSON *names = NULL;
    struct json_object *all = must(json_object_new_array());
    bool add = str_eq(r->method, "POST");
    if (add && !json_parse(strbuf_str(&r->body), r->body.len, "the names", &names, &err)) {
        json_object_put(all);
        respond_text(res, 400, err.message);
        return;
    }
    for (size_t i = 0; names && json_object_is_type(names, json_type_array) && i < json_object_array_length(names); i++)
        strlist_add(&s->runner_groups, json_object_get_string(json_object_array_get_idx(names, i)));
    for (size_t i = 0; i < s->runner_groups.n; i++)
        json_object_array_add(all, sim_text(s->runner_groups.v[i]));
    respond_json(res, add ? 201 : 200, all);
}

/* --- the network -------------------------------------------------------------------------------------------------- */

struct new_network {
    const char *route;
    int64_t room;
    bool map_public, egress;
};
static const struct field network_fields[] = {
    { .path = "route", .type = FIELD_STR, .offset = offsetof(struct new_network, route) },
    { .path = "room", .type = FIELD_INT, .offset = offsetof(struct new_network, room) },
    { .path = "map_public", .type = FIELD_BOOL, .offset = offsetof(struct new_network, map_public) },
    { .path = "egress", .type = FIELD_BOOL, .offset = offsetof(struct new_network, egress) },
    { 0 },
};

/* What the body does not name stays; false: it is refused. */
static bool take_network(const struct request *r, struct new_network *n, struct arena *arena, struct response *res)
{
    AUTO_ERROR err = { 0 };
    if (json_decode_text(strbuf_str(&r->body), r->body.len, network_fields, n, arena, "the network", &err))
        return true;
    respond_text(res, 400, err.message);
    return false;
}

/* The subnets of a region that follow its main route table have one route. */
static void set_route(struct sim *s, struct subnet *subnet, const char *route)
{
    for (size_t i = 0; i < s->n_subnets; i++) {
        struct subnet *n = s->subnets[i];
        if (n == subnet || (n->main && subnet->main && str_eq(n->region, subnet->region)))
            n->route = route;
    }
}

/* Settings that lead to each source of credentials, as environments; and every secret that they gave away. */
static void serve_sources(struct sim *s, const char *rest UNUSED, const struct request *r UNUSED, struct response *res)
{
    const char *u = s->base_url, *t = s->source_token;
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_addf(&text,
                "{\"instance\":{\"AWS_EC2_METADATA_SERVICE_ENDPOINT\":\"%s/imds/role\"},"
                "\"container\":{\"AWS_CONTAINER_CREDENTIALS_FULL_URI\":\"%s/credentials/container\","
                "\"AWS_CONTAINER_AUTHORIZATION_TOKEN\":\"%s\"},"
                "\"oidc\":{\"ACTIONS_ID_TOKEN_REQUEST_URL\":\"%s/oidc/token?api-version=2.0\","
                "\"ACTIONS_ID_TOKEN_REQUEST_TOKEN\":\"%s\"},"
                "\"sso\":{\"AWS_ENDPOINT_URL_SSO\":\"%s\",\"accessToken\":\"%s\"},\"secrets\":[\"%s\",\"%s\"",
                u, u, t, u, t, u, t, t, s->oidc_token ? s->oidc_token : t);
    for (size_t i = 0; i < s->n_issued; i++)
        strbuf_addf(&text, ",\"%s\",\"%s\"", s->issued[i].secret_key, s->issued[i].session_token);
    strbuf_adds(&text, "]}\n");
    respond_text(res, 200, strbuf_str(&text));
    res->content_type = "application/json";
}

struct new_image {
    bool keeps;
    struct field_list devices; /* const char * */
};
static const struct field new_image_fields[] = {
    { .path = "keeps", .type = FIELD_BOOL, .offset = offsetof(struct new_image, keeps) },
    { .path = "devices",
      .type = FIELD_LIST,
      .offset = offsetof(struct new_image, devices),
      .item_size = sizeof(const char *) },
    { 0 },
};

static void serve_image(struct sim *s, const char *rest, const struct request *r, struct response *res)
{
    struct image *i = world_image(s, rest);
    struct new_image want = { 0 };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    if (!i) {
        respond_text(res, 404, "no such image\n");
        return;
    }
    if (!json_decode_text(strbuf_str(&r->body), r->body.len, new_image_fields, &want, &arena, "the image", &err)) {
        respond_text(res, 400, err.message);
        return;
    }
    i->keeps = want.keeps;
    strlist_clear(&i->devices);
    for (size_t n = 0; n < want.devices.n; n++)
        strlist_add(&i->devices, *FIELD_ROW(&want.devices, const char *, n));
    respond_text(res, 200, "");
}

static void serve_subnet(struct sim *s, const char *rest, const struct request *r, struct response *res)
{
    static const char *const routes[] = { "igw", "nat", "none" };
    struct subnet *n = world_subnet(s, rest);
    AUTO_ARENA arena = { 0 };
    if (!n) {
        respond_text(res, 404, "no such subnet\n");
        return;
    }
    struct new_network want = { .route = n->route, .room = n->room, .map_public = n->map_public };
    if (!take_network(r, &want, &arena, res))
        return;
    size_t i = 0;
    while (i < ARRAY_SIZE(routes) && !str_eq(routes[i], want.route))
        i++;
    if (i == ARRAY_SIZE(routes)) {
        respond_text(res, 400, "a route is igw, nat or none\n");
        return;
    }
    set_route(s, n, routes[i]);
    n->room = want.room;
    n->map_public = want.map_public;
    respond_text(res, 200, "");
}

static void serve_group(struct sim *s, const char *rest, const struct request *r, struct response *res)
{
    struct security_group *g = world_group(s, rest);
    AUTO_ARENA arena = { 0 };
    struct new_network want = { .egress = g && g->egress };
    if (!g) {
        respond_text(res, 404, "no such security group\n");
        return;
    }
    if (!take_network(r, &want, &arena, res))
        return;
    g->egress = want.egress;
    respond_text(res, 200, "");
}

struct new_encryption {
    const char *key;
    bool by_default;
};
static const struct field encryption_fields[] = {
    { .path = "key", .type = FIELD_STR, .offset = offsetof(struct new_encryption, key) },
    { .path = "by_default", .type = FIELD_BOOL, .offset = offsetof(struct new_encryption, by_default) },
    { 0 },
};

static void serve_encryption(struct sim *s, const char *rest UNUSED, const struct request *r, struct response *res)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct new_encryption want = { 0 };
    if (!json_decode_text(strbuf_str(&r->body), r->body.len, encryption_fields, &want, &arena, "the encryption",
                          &err)) {
        respond_text(res, 400, err.message);
        return;
    }
    s->encryption.by_default = want.by_default;
    str_set(&s->encryption.key, want.key);
    respond_text(res, 200, "");
}

static void serve_app(struct sim *s, const char *rest UNUSED, const struct request *r, struct response *res)
{
    AUTO_ERROR err = { 0 };
    AUTO_JSON *body = NULL;
    bool ok = true;
    if (!s->app) {
        respond_text(res, 404, "there is no App without --app-key\n");
        return;
    }
    if (!str_eq(r->method, "GET"))
        ok = json_parse(strbuf_str(&r->body), r->body.len, "the App", &body, &err) && app_change(s, body, &err);
    if (ok)
        respond_json(res, 200, app_json(s));
    else
        respond_text(res, 400, err.message);
}

/* --- the table of requests ---------------------------------------------------------------------------------------- */

static void serve_state(struct sim *s, const char *rest UNUSED, const struct request *r UNUSED, struct response *res)
{
    respond_json(res, 200, state_json(s));
}

static void serve_log(struct sim *s, const char *rest UNUSED, const struct request *r, struct response *res)
{
    if (!str_eq(r->method, "DELETE")) {
        respond_json(res, 200, json_object_get(s->log));
        return;
    }
    json_object_put(s->log);
    s->log = must(json_object_new_array());
    respond_text(res, 200, "");
}

static void serve_held(struct sim *s, const char *rest UNUSED, const struct request *r UNUSED, struct response *res)
{
    respond_json(res, 200, held_json(s));
}

static void serve_reset(struct sim *s, const char *rest UNUSED, const struct request *r UNUSED, struct response *res)
{
    reset(s);
    respond_text(res, 200, "");
}

static void serve_runner(struct sim *s, const char *rest, const struct request *r, struct response *res)
{
    AUTO_ARENA arena = { 0 };
    struct change change = { 0 };
    if (take_change(r, &change, &arena, res))
        change_runner(s, rest, &change, res);
}

static void serve_release(struct sim *s, const char *rest UNUSED, const struct request *r, struct response *res)
{
    AUTO_ARENA arena = { 0 };
    struct change change = { 0 };
    if (!take_change(r, &change, &arena, res))
        return;
    struct json_object *o = must(json_object_new_object());
    int64_t n = (int64_t)held_release(s, change.n, change.drop);
    json_add_int(o, "released", n);
    respond_json(res, 200, o);
}

static void serve_lag(struct sim *s, const char *rest UNUSED, const struct request *r, struct response *res)
{
    AUTO_ARENA arena = { 0 };
    struct change change = { .ec2_ms = s->lag.ec2, .github_ms = s->lag.github };
    if (!take_change(r, &change, &arena, res))
        return;
    s->lag = (struct lag){ .ec2 = change.ec2_ms, .github = change.github_ms };
    respond_text(res, 200, "");
}

static void serve_copies(struct sim *s, const char *rest UNUSED, const struct request *r, struct response *res)
{
    AUTO_ARENA arena = { 0 };
    struct change change = { 0 };
    if (!take_change(r, &change, &arena, res))
        return;
    bool copied = change.n >= 0 && change.n <= COPIES_MAX && s->n_instances > 0 &&
                  world_copy(s, s->instances[s->n_instances - 1], (size_t)change.n);
    respond_text(res, copied ? 200 : 400, copied ? "" : "up to a million copies of an instance that has a runner\n");
}

static void serve_clock(struct sim *s, const char *rest UNUSED, const struct request *r, struct response *res)
{
    AUTO_ARENA arena = { 0 };
    struct change change = { 0 };
    if (!take_change(r, &change, &arena, res))
        return;
    if (change.seconds < -CLOCK_MAX || change.seconds > CLOCK_MAX) {
        respond_text(res, 400, "the clock moves by at most ten years\n");
        return;
    }
    s->offset += change.seconds * 1000;
    respond_text(res, 200, "");
}

static const struct {
    const char *path; /* what ends in a slash has more behind it */
    bool changes;     /* only by POST and PUT */
    void (*serve)(struct sim *, const char *rest, const struct request *, struct response *);
    const char *help;
} routes[] = {
    { "state", false, serve_state, "GET: all that is there" },
    { "log", false, serve_log, "GET: the requests, DELETE: forgets them" },
    { "jobs", true, add_job, "POST {repository, name, labels, commands, run_id, duration_ms, env}: queues a job" },
    { "jobs/", false, one_job, "GET ID, GET ID/log, POST ID/cancel" },
    { "instances/", false, one_instance,
      "GET ID/state, ID/console, ID/user-data; POST ID/poweroff, ID/kill, ID/interrupt {ms, reason}" },
    { "copies", true, serve_copies, "POST {n}: as many more of the newest instance, each with a runner; no volumes" },
    { "runners/", true, serve_runner, "PUT ID {status, busy}" },
    { "runner-groups", false, serve_runner_groups, "GET; POST [NAME, …] adds" },
    { "app", false, serve_app,
      "GET; PUT {permissions: {NAME: LEVEL}, repositories: [OWNER/REPO, …], suspended, installed, revoke}" },
    { "ssm", false, serve_ssm, "GET; PUT {name, value, type, region}; DELETE {name, region}; no region: all" },
    { "sources", false, serve_sources,
      "GET: settings that lead to each source of credentials, and what they gave away" },
    { "images/", true, serve_image, "PUT ID {keeps, devices: [NAME, …]}: whose volumes stay, and further ones" },
    { "subnets/", true, serve_subnet, "PUT ID {route: igw|nat|none, map_public, room}" },
    { "security-groups/", true, serve_group, "PUT ID {egress}" },
    { "encryption", true, serve_encryption, "PUT {by_default, key}: of the account's new volumes; no key: AWS's own" },
    { "clock", true, serve_clock, "POST {advance_seconds}" },
    { "lag", true, serve_lag, "POST {ec2_ms, github_ms}: so long nobody sees what changed" },
    { "faults", false, serve_faults, "GET; POST adds, PUT replaces, DELETE: {service, action, fault, nth, times, …}" },
    { "held", false, serve_held, "GET: requests that wait" },
    { "release", true, serve_release, "POST {n, drop}: lets them go on" },
    { "reset", true, serve_reset, "POST: as at the beginning" },
};

void control_help(FILE *out)
{
    fprintf(out, "\nwhat a test may ask of /_sim/…:\n");
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
        fprintf(out, "  %-17s %s\n", routes[i].path, routes[i].help);
}

void control_serve(struct sim *s, const struct request *r, struct response *res)
{
    const char *what = r->path + strlen("/_sim/");
    bool change = str_eq(r->method, "POST") || str_eq(r->method, "PUT");
    AUTO_STRLIST known = { 0 };
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        const char *path = routes[i].path;
        bool fits = str_ends(path, "/") ? str_starts(what, path) : str_eq(what, path);
        strlist_add(&known, path);
        if (!fits || (routes[i].changes && !change))
            continue;
        routes[i].serve(s, what + strlen(path), r, res);
        return;
    }
    AUTO_FREE char *all = strlist_join(&known, ", ");
    AUTO_FREE char *message = xasprintf("the simulator knows %s\n", all);
    respond_text(res, 404, message);
}
