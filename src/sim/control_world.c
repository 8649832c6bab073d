/* What tests change in the world. */
#include "catalog.h"
#include "control_call.h"
#include "github_app.h"
#include "http.h"
#include "imds.h"
#include "rows.h"
#include "sim.h"
#include "state.h"
#include "to_json.h"
#include "world_instances.h"
#include "world_resources.h"
#include "world_runners.h"

#include "mayfly/codec/json.h"
#include "mayfly/util/encode.h"

enum { COPIES_MAX = 1000000, INTERRUPT_MS = 120 * 1000 };

static void take_list(struct strlist *to, const struct field_list *from)
{
    for (size_t i = 0; i < from->n; i++)
        strlist_add(to, *FIELD_ROW(from, const char *, i));
}

/* The id in front of the next slash, owned; *ret_what: the rest. */
static char *take_id(const struct control_call *c, const char **ret_what)
{
    size_t n = strcspn(c->rest, "/");
    *ret_what = c->rest + n;
    return xstrndup(c->rest, n);
}

/* --- jobs --------------------------------------------------------------------------------------------------------- */

struct new_job {
    const char *repository, *name;
    int64_t run_id, attempt, duration;
    struct field_list labels, commands;
};

#define FIELDS struct new_job
static const struct field new_job_fields[] = {
    F_REQUIRED(FIELD_STR, "repository", repository),
    F_REQUIRED(FIELD_STR, "name", name),
    F_INT("run_id", run_id),
    F_INT("run_attempt", attempt),
    F_INT("duration_ms", duration),
    { .path = "labels",
      .type = FIELD_LIST,
      .offset = offsetof(FIELDS, labels),
      .required = true,
      .item_size = sizeof(const char *) },
    F_STRINGS("commands", commands),
    { 0 },
};
#undef FIELDS

void control_add_job(struct control_call *c)
{
    AUTO_ERROR err = { 0 };
    AUTO_JSON *body = NULL;
    struct new_job n = { .run_id = 1, .attempt = 1, .duration = 1000 };
    if (!control_parse(c, "the job", &body))
        return;
    if (!json_decode(body, new_job_fields, &n, &c->arena, "the job", &err)) {
        control_refuse(c, 400, err.message);
        return;
    }
    struct job *j = xcalloc(1, sizeof(*j));
    j->id = ++c->sim->next_job;
    j->run_id = n.run_id;
    j->attempt = n.attempt;
    j->duration = n.duration;
    j->scope = xasprintf("/repos/%s", n.repository);
    j->name = xstrdup(n.name);
    j->status = "queued";
    j->created = sim_now(c->sim);
    j->log = STRBUF_MAX(1 << 20);
    take_list(&j->labels, &n.labels);
    take_list(&j->commands, &n.commands);
    pairs_take_json(&j->env, body, "env");
    ROW_ADD(c->sim->jobs, c->sim->n_jobs, j);
    respond_json(c->res, 201, state_job(j));
}

static void show_job(struct control_call *c, struct job *j)
{
    respond_json(c->res, 200, state_job(j));
}

static void show_log(struct control_call *c, struct job *j)
{
    respond_text(c->res, 200, strbuf_str(&j->log));
}

static void cancel(struct control_call *c, struct job *j)
{
    if (!str_eq(j->status, "completed"))
        world_finish_job(c->sim, j, "cancelled", true);
    show_job(c, j);
}

static const struct {
    const char *what;
    void (*serve)(struct control_call *, struct job *);
} of_jobs[] = {
    { "", show_job },
    { "/log", show_log },
    { "/cancel", cancel },
};

void control_one_job(struct control_call *c)
{
    uint64_t id;
    const char *what;
    AUTO_FREE char *digits = take_id(c, &what);
    struct job *j = parse_uint(digits, INT64_MAX, &id) ? world_job(c->sim, (int64_t)id) : NULL;
    for (size_t i = 0; j && i < ARRAY_SIZE(of_jobs); i++) {
        if (str_eq(of_jobs[i].what, what)) {
            of_jobs[i].serve(c, j);
            return;
        }
    }
    control_refuse(c, 404, "no such job\n");
}

/* --- instances ---------------------------------------------------------------------------------------------------- */

static void show_state(struct control_call *c, struct instance *i)
{
    respond_text(c->res, 200, i->state);
}

static void show_console(struct control_call *c, struct instance *i)
{
    respond_text(c->res, 200, strbuf_str(&i->console));
}

static void show_user_data(struct control_call *c, struct instance *i)
{
    imds_user_data(i, c->res);
}

static void power_off(struct control_call *c, struct instance *i)
{
    world_power_off(c->sim, i);
}

static void kill_silently(struct control_call *c, struct instance *i)
{
    world_kill(c->sim, i);
}

struct interruption {
    int64_t ms;
    const char *reason;
};

#define FIELDS struct interruption
static const struct field interruption_fields[] = { F_INT("ms", ms), F_STR("reason", reason), { 0 } };
#undef FIELDS

/* Two minutes ahead, as EC2 warns. */
static void interrupt(struct control_call *c, struct instance *i)
{
    struct interruption want = { .ms = INTERRUPT_MS };
    if (!control_take_some(c, interruption_fields, &want))
        return;
    const char *reason = world_end_reason(want.reason);
    if (!reason) {
        control_refuse(c, 400, "no such reason\n");
        return;
    }
    i->interrupt_at = sim_now(c->sim) + want.ms;
    i->interrupt_reason = reason;
}

static const struct {
    const char *what;
    bool post;
    void (*serve)(struct control_call *, struct instance *);
} of_instances[] = {
    { "/state", false, show_state },  { "/console", false, show_console }, { "/user-data", false, show_user_data },
    { "/poweroff", true, power_off }, { "/kill", true, kill_silently },    { "/interrupt", true, interrupt },
};

void control_one_instance(struct control_call *c)
{
    const char *what;
    AUTO_FREE char *id = take_id(c, &what);
    struct instance *i = world_instance(c->sim, id);
    for (size_t n = 0; i && n < ARRAY_SIZE(of_instances); n++) {
        if (str_eq(of_instances[n].what, what) && (!of_instances[n].post || control_is(c, "POST"))) {
            of_instances[n].serve(c, i);
            return;
        }
    }
    control_refuse(c, 404, i ? "no such thing\n" : "no such instance\n");
}

struct copies {
    int64_t n;
};

#define FIELDS struct copies
static const struct field copies_fields[] = { F_INT("n", n), { 0 } };
#undef FIELDS

void control_copies(struct control_call *c)
{
    struct sim *s = c->sim;
    struct copies want = { 0 };
    if (!control_take_some(c, copies_fields, &want))
        return;
    if (want.n < 0 || want.n > COPIES_MAX || s->n_instances == 0 ||
        !world_copy(s, s->instances[s->n_instances - 1], (size_t)want.n))
        control_refuse(c, 400, "up to a million copies of an instance that has a runner\n");
}

/* --- runners ------------------------------------------------------------------------------------------------------ */

struct new_state {
    const char *status;
    bool busy;
};

#define FIELDS struct new_state
static const struct field new_state_fields[] = { F_STR("status", status), F_BOOL("busy", busy), { 0 } };
#undef FIELDS

void control_runner(struct control_call *c)
{
    uint64_t id;
    struct runner *r = parse_uint(c->rest, INT64_MAX, &id) ? world_runner(c->sim, (int64_t)id) : NULL;
    struct new_state want = { .status = r && r->online ? "online" : "offline", .busy = r && r->busy };
    if (!control_take_some(c, new_state_fields, &want))
        return;
    if (!r) {
        control_refuse(c, 404, "no such runner\n");
        return;
    }
    r->online_since = r->busy_since = 0;
    r->online = str_eq(want.status, "online");
    r->connected = r->connected || r->online;
    r->offline_at = 0;
    r->busy = want.busy;
}

/* POST adds the groups of a list of names. */
void control_runner_groups(struct control_call *c)
{
    AUTO_JSON *names = NULL;
    struct strlist *groups = &c->sim->runner_groups;
    bool add = control_is(c, "POST");
    if (add && !control_parse(c, "the names", &names))
        return;
    for (size_t i = 0; names && json_object_is_type(names, json_type_array) && i < json_object_array_length(names); i++)
        strlist_add(groups, json_object_get_string(json_object_array_get_idx(names, i)));
    struct json_object *all = must(json_object_new_array());
    for (size_t i = 0; i < groups->n; i++)
        json_object_array_add(all, sim_text(groups->v[i]));
    respond_json(c->res, add ? 201 : 200, all);
}

void control_app(struct control_call *c)
{
    AUTO_ERROR err = { 0 };
    AUTO_JSON *body = NULL;
    if (!c->sim->app)
        control_refuse(c, 404, "there is no App without --app-key\n");
    else if (control_is(c, "GET"))
        respond_json(c->res, 200, app_json(c->sim));
    else if (!control_parse(c, "the App", &body))
        return;
    else if (app_change(c->sim, body, &err))
        respond_json(c->res, 200, app_json(c->sim));
    else
        control_refuse(c, 400, err.message);
}

/* --- SSM's parameters --------------------------------------------------------------------------------------------- */

struct new_parameter {
    const char *name, *value, *type, *region; /* region NULL: every one */
};

#define FIELDS struct new_parameter
static const struct field parameter_fields[] = {
    F_STR("name", name), F_STR("value", value), F_STR("type", type), F_STR("region", region), { 0 },
};
#undef FIELDS

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
        struct parameter *old = world_parameter(s, region, n->name);
        if (n->region && !str_eq(n->region, region))
            continue;
        if (!remove)
            world_put_parameter(s, region, n->name, n->type ? n->type : "String", n->value);
        else if (old)
            world_remove_parameter(s, old);
    }
}

/* PUT sets one, DELETE removes it, both in one region or in all. */
void control_ssm(struct control_call *c)
{
    struct new_parameter n = { 0 };
    bool get = control_is(c, "GET"), remove = control_is(c, "DELETE");
    if (!get && !control_take(c, parameter_fields, &n, "the parameter"))
        return;
    if (!get && (!n.name || (!n.value && !remove))) {
        control_refuse(c, 400, "a parameter has a name and a value\n");
        return;
    }
    if (!get)
        change_parameter(c->sim, &n, remove);
    respond_json(c->res, 200, parameters_json(c->sim));
}

/* --- images and the network --------------------------------------------------------------------------------------- */

struct new_image {
    bool keeps;
    struct field_list devices; /* const char * */
};

#define FIELDS struct new_image
static const struct field new_image_fields[] = { F_BOOL("keeps", keeps), F_STRINGS("devices", devices), { 0 } };
#undef FIELDS

void control_image(struct control_call *c)
{
    struct image *i = world_image(c->sim, c->rest);
    struct new_image want = { 0 };
    if (!i) {
        control_refuse(c, 404, "no such image\n");
        return;
    }
    if (!control_take(c, new_image_fields, &want, "the image"))
        return;
    i->keeps = want.keeps;
    strlist_clear(&i->devices);
    take_list(&i->devices, &want.devices);
}

struct new_network {
    const char *route;
    int64_t room;
    bool map_public, egress;
};

#define FIELDS struct new_network
static const struct field network_fields[] = {
    F_STR("route", route), F_INT("room", room), F_BOOL("map_public", map_public), F_BOOL("egress", egress), { 0 },
};
#undef FIELDS

/* The subnets of a region that follow its main route table have one route. */
static void set_route(struct sim *s, struct subnet *subnet, const char *route)
{
    for (size_t i = 0; i < s->n_subnets; i++) {
        struct subnet *n = s->subnets[i];
        if (n == subnet || (n->main && subnet->main && str_eq(n->region, subnet->region)))
            n->route = route;
    }
}

void control_subnet(struct control_call *c)
{
    static const char *const routes[] = { "igw", "nat", "none" };
    struct subnet *n = world_subnet(c->sim, c->rest);
    if (!n) {
        control_refuse(c, 404, "no such subnet\n");
        return;
    }
    struct new_network want = { .route = n->route, .room = n->room, .map_public = n->map_public };
    if (!control_take(c, network_fields, &want, "the network"))
        return;
    size_t i = 0;
    while (i < ARRAY_SIZE(routes) && !str_eq(routes[i], want.route))
        i++;
    if (i == ARRAY_SIZE(routes)) {
        control_refuse(c, 400, "a route is igw, nat or none\n");
        return;
    }
    set_route(c->sim, n, routes[i]);
    n->room = want.room;
    n->map_public = want.map_public;
}

void control_security_group(struct control_call *c)
{
    struct security_group *g = world_group(c->sim, c->rest);
    struct new_network want = { .egress = g && g->egress };
    if (!g)
        control_refuse(c, 404, "no such security group\n");
    else if (control_take(c, network_fields, &want, "the network"))
        g->egress = want.egress;
}

struct new_encryption {
    const char *key;
    bool by_default;
};

#define FIELDS struct new_encryption
static const struct field encryption_fields[] = { F_STR("key", key), F_BOOL("by_default", by_default), { 0 } };
#undef FIELDS

void control_encryption(struct control_call *c)
{
    struct new_encryption want = { 0 };
    if (!control_take(c, encryption_fields, &want, "the encryption"))
        return;
    c->sim->encryption.by_default = want.by_default;
    str_set(&c->sim->encryption.key, want.key);
}
