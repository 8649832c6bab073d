/* /_sim: what tests and quickstart.sh ask of the simulator itself. */
#include "control.h"
#include "catalog.h"
#include "control_call.h"
#include "faults.h"
#include "github_app.h"
#include "held.h"
#include "http.h"
#include "issued.h"
#include "sim.h"
#include "state.h"
#include "to_json.h"
#include "world.h"

#include "mayfly/codec/json.h"

enum { CLOCK_MAX = 3650 * 86400 };

/* --- what there is ------------------------------------------------------------------------------------------------ */

static void show_state(struct control_call *c)
{
    respond_json(c->res, 200, state_json(c->sim));
}

static void show_log(struct control_call *c)
{
    struct sim *s = c->sim;
    if (!control_is(c, "DELETE")) {
        respond_json(c->res, 200, json_object_get(s->log));
        return;
    }
    json_object_put(s->log);
    s->log = must(json_object_new_array());
}

static void show_held(struct control_call *c)
{
    respond_json(c->res, 200, held_json(c->sim));
}

/* Settings that lead to each source of credentials, as environments; and every secret that they gave away. */
static void show_sources(struct control_call *c)
{
    const struct sim *s = c->sim;
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
    respond_text(c->res, 200, strbuf_str(&text));
    c->res->content_type = "application/json";
}

/* --- how it behaves ----------------------------------------------------------------------------------------------- */

/* POST adds a fault or a list of them, PUT puts them in the place of those that are there. */
static void change_faults(struct control_call *c)
{
    AUTO_ERROR err = { 0 };
    AUTO_JSON *json = NULL;
    bool get = control_is(c, "GET"), remove = control_is(c, "DELETE");
    if (!get && !remove && !control_parse(c, "the faults", &json))
        return;
    if (remove || control_is(c, "PUT"))
        faults_clear(c->sim);
    if (json && !faults_add(c->sim, json, &err))
        control_refuse(c, 400, err.message);
    else
        respond_json(c->res, get || remove ? 200 : 201, faults_json(c->sim));
}

struct choice {
    int64_t n;
    bool drop;
};

#define FIELDS struct choice
static const struct field choice_fields[] = { F_INT("n", n), F_BOOL("drop", drop), { 0 } };
#undef FIELDS

static void release(struct control_call *c)
{
    struct choice want = { 0 };
    if (!control_take_some(c, choice_fields, &want))
        return;
    struct json_object *o = must(json_object_new_object());
    json_add_int(o, "released", (int64_t)held_release(c->sim, want.n, want.drop));
    respond_json(c->res, 200, o);
}

#define FIELDS struct lag
static const struct field lag_fields[] = { F_INT("ec2_ms", ec2), F_INT("github_ms", github), { 0 } };
#undef FIELDS

static void set_lag(struct control_call *c)
{
    struct lag want = c->sim->lag;
    if (control_take_some(c, lag_fields, &want))
        c->sim->lag = want;
}

struct advance {
    int64_t seconds;
};

#define FIELDS struct advance
static const struct field advance_fields[] = { F_INT("advance_seconds", seconds), { 0 } };
#undef FIELDS

static void move_clock(struct control_call *c)
{
    struct advance want = { 0 };
    if (!control_take_some(c, advance_fields, &want))
        return;
    if (want.seconds < -CLOCK_MAX || want.seconds > CLOCK_MAX)
        control_refuse(c, 400, "the clock moves by at most ten years\n");
    else
        c->sim->offset += want.seconds * 1000;
}

static void reset(struct control_call *c)
{
    struct sim *s = c->sim;
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

/* --- the table of requests ---------------------------------------------------------------------------------------- */

static const struct {
    const char *path; /* what ends in a slash has more behind it */
    bool changes;     /* only by POST and PUT */
    void (*serve)(struct control_call *);
    const char *help;
} routes[] = {
    { "state", false, show_state, "GET: all that is there" },
    { "log", false, show_log, "GET: the requests, DELETE: forgets them" },
    { "jobs", true, control_add_job,
      "POST {repository, name, labels, commands, run_id, duration_ms, env}: queues a job" },
    { "jobs/", false, control_one_job, "GET ID, GET ID/log, POST ID/cancel" },
    { "instances/", false, control_one_instance,
      "GET ID/state, ID/console, ID/user-data; POST ID/poweroff, ID/kill, ID/interrupt {ms, reason}" },
    { "copies", true, control_copies, "POST {n}: as many more of the newest instance, each with a runner; no volumes" },
    { "runners/", true, control_runner, "PUT ID {status, busy}" },
    { "runner-groups", false, control_runner_groups, "GET; POST [NAME, …] adds" },
    { "app", false, control_app,
      "GET; PUT {permissions: {NAME: LEVEL}, repositories: [OWNER/REPO, …], suspended, installed, revoke}" },
    { "ssm", false, control_ssm, "GET; PUT {name, value, type, region}; DELETE {name, region}; no region: all" },
    { "sources", false, show_sources,
      "GET: settings that lead to each source of credentials, and what they gave away" },
    { "images/", true, control_image, "PUT ID {keeps, devices: [NAME, …]}: whose volumes stay, and further ones" },
    { "subnets/", true, control_subnet, "PUT ID {route: igw|nat|none, map_public, room}" },
    { "security-groups/", true, control_security_group, "PUT ID {egress}" },
    { "encryption", true, control_encryption,
      "PUT {by_default, key}: of the account's new volumes; no key: AWS's own" },
    { "clock", true, move_clock, "POST {advance_seconds}" },
    { "lag", true, set_lag, "POST {ec2_ms, github_ms}: so long nobody sees what changed" },
    { "faults", false, change_faults, "GET; POST adds, PUT replaces, DELETE: {service, action, fault, nth, times, …}" },
    { "held", false, show_held, "GET: requests that wait" },
    { "release", true, release, "POST {n, drop}: lets them go on" },
    { "reset", true, reset, "POST: as at the beginning" },
};

void control_help(FILE *out)
{
    fprintf(out, "\nwhat a test may ask of /_sim/…:\n");
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++)
        fprintf(out, "  %-17s %s\n", routes[i].path, routes[i].help);
}

void control_serve(struct sim *s, const struct request *r, struct response *res)
{
    struct control_call c = { .sim = s, .request = r, .res = res };
    const char *what = r->path + strlen("/_sim/");
    bool change = control_is(&c, "POST") || control_is(&c, "PUT");
    AUTO_STRLIST known = { 0 };
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        const char *path = routes[i].path;
        bool fits = str_ends(path, "/") ? str_starts(what, path) : str_eq(what, path);
        strlist_add(&known, path);
        if (!fits || (routes[i].changes && !change))
            continue;
        c.rest = what + strlen(path);
        respond_text(res, 200, "");
        routes[i].serve(&c);
        arena_clear(&c.arena);
        return;
    }
    AUTO_FREE char *all = strlist_join(&known, ", ");
    AUTO_FREE char *message = xasprintf("the simulator knows %s\n", all);
    control_refuse(&c, 404, message);
}
