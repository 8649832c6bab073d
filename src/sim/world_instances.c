/* Instances, from pending to terminated. */
#include <inttypes.h>
#include <stddef.h>

#include "rows.h"
#include "sim.h"
#include "text.h"
#include "world.h"
#include "world_instances.h"
#include "world_resources.h"
#include "world_runners.h"

#include "mayfly/codec/json.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"

/* Times of EC2, and of what GitHub sees of it, in simulated milliseconds. */
enum {
    GONE_AFTER_MS = 3600 * 1000, /* terminated instances stay listed that long */
    SHUTDOWN_SEEN_MS = 2000,     /* an orderly shutdown closes the runner's connection */
    DEATH_SEEN_MS = 30 * 1000,   /* a dead machine does not */
};

/* --- looking up --------------------------------------------------------------------------------------------------- */

bool instance_is(const struct instance *i, const char *state)
{
    return str_eq(i->state, state);
}

bool instance_is_live(const struct instance *i)
{
    return !instance_is(i, "terminated") && !instance_is(i, "shutting-down");
}

bool instance_is_seen(const struct sim *s, const struct instance *i)
{
    return sim_is_seen(s, i->launched, s->lag.ec2);
}

char *instance_address(const struct sim *s, const struct instance *i)
{
    const struct subnet *subnet = world_subnet(s, i->subnet);
    if (instance_is(i, "terminated") || !subnet)
        return NULL; /* what is gone has no network any more */
    return xasprintf("10.0.%" PRId64 ".%" PRId64, subnet->net, i->address);
}

char *instance_public_address(const struct instance *i)
{
    return i->public_address && instance_is(i, "running") ? xasprintf("203.0.113.%" PRId64, i->address) : NULL;
}

struct instance *world_instance(const struct sim *s, const char *id)
{
    return ROW_FIND(s->instances, s->n_instances, id);
}

/* --- ends --------------------------------------------------------------------------------------------------------- */

static void set_transition(struct sim *s, struct instance *i, const char *who)
{
    struct rfc3339_date at = clock_rfc3339(sim_now(s) / 1000);
    free(i->transition);
    i->transition = xasprintf("%s initiated (%.10s %.8s GMT)", who, at.s, at.s + 11);
}

void world_shutdown(struct sim *s, struct instance *i, const char *code, const char *message)
{
    if (!instance_is_live(i))
        return;
    bool guest = str_eq(code, "Client.InstanceInitiatedShutdown");
    if (guest && !instance_is(i, "running") && !instance_is(i, "pending"))
        return;
    struct runner *r = i->runner ? world_runner(s, i->runner) : NULL;
    if (r && !i->dead_at && str_eq(code, "Client.UserInitiatedShutdown"))
        world_note_killed(s, r, i, code);
    s->hooks->power_cut(s, i);
    i->state = guest && i->stop_on_shutdown ? "stopping" : "shutting-down";
    i->reason_code = code;
    i->reason_message = message;
    i->change_at = sim_now(s) + s->options.terminate_delay;
    set_transition(s, i, guest ? "Instance" : "User");
    if (r && !i->dead_at)
        world_lose_runner(s, r, SHUTDOWN_SEEN_MS);
}

void world_stop(struct sim *s, struct instance *i)
{
    struct runner *r = i->runner ? world_runner(s, i->runner) : NULL;
    s->hooks->power_cut(s, i);
    i->state = "stopping";
    i->reason_code = "Client.UserInitiatedShutdown";
    i->reason_message = "Client.UserInitiatedShutdown: User initiated shutdown";
    i->change_at = sim_now(s) + s->options.terminate_delay;
    set_transition(s, i, "User");
    if (r)
        world_lose_runner(s, r, SHUTDOWN_SEEN_MS);
}

void world_kill(struct sim *s, struct instance *i)
{
    struct runner *r = i->runner ? world_runner(s, i->runner) : NULL;
    i->dead_at = sim_now(s);
    s->hooks->power_cut(s, i);
    if (r)
        world_lose_runner(s, r, DEATH_SEEN_MS);
}

void world_power_off(struct sim *s, struct instance *i)
{
    world_shutdown(s, i, "Client.InstanceInitiatedShutdown",
                   "Client.InstanceInitiatedShutdown: Instance initiated shutdown");
}

/* Why EC2 ends instances by itself, as StateReason has it. Source: EC2 API, StateReason. */
static const struct end_reason {
    const char *code, *message;
} end_reasons[] = {
#define REASON(code, text)                                                                                             \
    {                                                                                                                  \
        code, code ": " text                                                                                           \
    }
    REASON("Server.SpotInstanceTermination", "Instance terminated by spot interruption"),
    REASON("Server.InsufficientInstanceCapacity",
           "There was insufficient capacity available to satisfy the launch request"),
    REASON("Server.InternalError", "An internal error caused the instance to terminate during launch"),
    REASON("Client.VolumeLimitExceeded", "The limit on the number of EBS volumes or total storage was exceeded"),
    REASON("Client.InternalError", "A client error caused the instance to terminate during launch"),
    REASON("Client.InvalidSnapshot.NotFound", "The specified snapshot was not found"),
#undef REASON
};

static const struct end_reason *find_reason(const char *code)
{
    for (size_t i = 0; i < ARRAY_SIZE(end_reasons); i++)
        if (!code || str_eq(end_reasons[i].code, code))
            return &end_reasons[i];
    return NULL;
}

const char *world_end_reason(const char *code)
{
    const struct end_reason *reason = find_reason(code);
    return reason ? reason->code : NULL;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

#define INSTANCE_STRING(member) offsetof(struct instance, member)
static const size_t instance_strings[] = {
    INSTANCE_STRING(id),          INSTANCE_STRING(reservation),   INSTANCE_STRING(region),
    INSTANCE_STRING(image),       INSTANCE_STRING(type),          INSTANCE_STRING(subnet),
    INSTANCE_STRING(zone),        INSTANCE_STRING(client_token),  INSTANCE_STRING(spot_request),
    INSTANCE_STRING(profile),     INSTANCE_STRING(key_name),      INSTANCE_STRING(http_tokens),
    INSTANCE_STRING(transition),  INSTANCE_STRING(http_endpoint), INSTANCE_STRING(metadata_tags),
    INSTANCE_STRING(root_device), INSTANCE_STRING(imds_token),    INSTANCE_STRING(sandbox_dir),
    INSTANCE_STRING(http_ipv6),   INSTANCE_STRING(tenancy),       INSTANCE_STRING(placement_group),
    INSTANCE_STRING(host),        INSTANCE_STRING(credits),       INSTANCE_STRING(nonce),
};

static char **instance_string(struct instance *i, size_t n)
{
    return (char **)(void *)((char *)i + instance_strings[n]);
}

static void free_instance(struct instance *i)
{
    for (size_t n = 0; n < ARRAY_SIZE(instance_strings); n++)
        free(*instance_string(i, n));
    strlist_clear(&i->groups);
    strlist_clear(&i->steps);
    pairs_clear(&i->tags);
    strbuf_clear(&i->user_data);
    strbuf_clear(&i->console);
    free(i);
}

/* A tag that names the runner names the other one. */
static void copy_tags(struct pairs *to, const struct pairs *from, const struct runner *was, const struct runner *is)
{
    AUTO_FREE char *was_id = xasprintf("%" PRId64, was->id), *is_id = xasprintf("%" PRId64, is->id);
    *to = (struct pairs){ 0 };
    for (size_t t = 0; t < from->n; t++) {
        const char *value = from->v[2 * t + 1];
        pairs_add(to, from->v[2 * t], str_eq(value, was->name) ? is->name : str_eq(value, was_id) ? is_id : value);
    }
}

bool world_copy(struct sim *s, const struct instance *like, size_t n)
{
    const struct runner *runner = s->options.sandbox ? NULL : world_runner(s, like->runner);
    for (size_t c = 0; runner && c < n; c++) {
        struct instance *i = xcalloc(1, sizeof(*i));
        const struct runner *r = world_copy_runner(s, runner);
        *i = *like;
        for (size_t k = 0; k < ARRAY_SIZE(instance_strings); k++)
            *instance_string(i, k) = *instance_string(i, k) ? xstrdup(*instance_string(i, k)) : NULL;
        free(i->id);
        free(i->reservation);
        i->id = sim_random_id("i-", strlen(like->id) - strlen("i-"));
        i->reservation = sim_random_id("r-", strlen(like->reservation) - strlen("r-"));
        i->runner = r->id;
        i->user_data = STRBUF_INIT;
        i->console = STRBUF_MAX(SIM_CONSOLE_MAX);
        i->groups = i->steps = (struct strlist){ 0 };
        strlist_copy(&i->groups, &like->groups);
        strlist_copy(&i->steps, &like->steps);
        copy_tags(&i->tags, &like->tags, runner, r);
        ROW_ADD(s->instances, s->n_instances, i);
    }
    return runner != NULL;
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* The id in the just-in-time configuration of a user-data: all that model mode reads of it. */
static int64_t read_runner_id(const struct instance *i)
{
    static const char mark[] = "\nMAYFLY_JIT='";
    AUTO_STRBUF outer = STRBUF_INIT, inner = STRBUF_INIT;
    AUTO_ERROR ignored = { 0 };
    AUTO_JSON *files = NULL, *runner = NULL;
    struct json_object *member = NULL, *agent = NULL;
    uint64_t id;
    const char *data = strbuf_str(&i->user_data), *at = strstr(data, mark);
    if (at)
        at += strlen(mark);
    else if (str_starts(data, mark + 1))
        at = data + strlen(mark) - 1;
    if (!at)
        return 0;
    if (!decode_base64(&outer, at, strcspn(at, "'")) ||
        !json_parse(strbuf_str(&outer), outer.len, "", &files, &ignored) ||
        !json_object_object_get_ex(files, ".runner", &member) || !json_object_is_type(member, json_type_string))
        return 0;
    const char *text = json_object_get_string(member);
    if (!decode_base64(&inner, text, strlen(text)) ||
        !json_parse(strbuf_str(&inner), inner.len, "", &runner, &ignored) ||
        !json_object_object_get_ex(runner, "AgentId", &agent) || !json_object_is_type(agent, json_type_string) ||
        !parse_uint(json_object_get_string(agent), INT64_MAX, &id))
        return 0;
    return (int64_t)id;
}

/* The machine is up and its user-data runs. */
static void boot(struct sim *s, struct instance *i)
{
    i->state = "running";
    i->reason_code = i->reason_message = NULL;
    i->runner = read_runner_id(i);
    if (s->hooks->boot(s, i))
        return;
    AUTO_FREE char *line =
        xasprintf("[    0.000000] Linux version 6.8.0-sim (%s)\nmayfly: phase booting (1.00s)\n%s", i->id,
                  i->runner || i->nonce ? "" : "mayfly-sim: no MAYFLY_JIT in the user-data\n");
    strbuf_add_tail(&i->console, line, strlen(line));
}

/* Model mode: what a machine whose user-data starts a runner does. */
static void tick_model(struct sim *s, struct instance *i, int64_t now)
{
    static const char started[] = "mayfly: phase runner-starting (2.00s)\n\xe2\x88\x9a Connected to GitHub\n",
                      took_job[] = "mayfly: phase job-started (3.00s)\n",
                      ended[] = "mayfly: phase runner-exited 0 (4.00s)\nmayfly: phase poweroff (4.00s)\n";
    if (!instance_is(i, "running") || i->dead_at || !i->runner || now < i->running_at + s->options.online)
        return;
    struct runner *r = world_runner(s, i->runner);
    if (!r) { /* its record is gone: the program ends */
        strbuf_add_tail(&i->console, ended, sizeof(ended) - 1);
        world_power_off(s, i);
        return;
    }
    if (!r->connected) {
        world_connect(s, r);
        strbuf_add_tail(&i->console, started, strlen(started));
    }
    if (world_assign_job(s, r))
        strbuf_add_tail(&i->console, took_job, sizeof(took_job) - 1);
    struct job *j = r->job ? world_job(s, r->job) : NULL;
    if (!j || now < j->started + j->duration)
        return;
    for (size_t c = 0; c < j->commands.n; c++)
        strbuf_addf(&j->log, "%s\n", j->commands.v[c]);
    world_finish_job(s, j, "success", true);
    strbuf_add_tail(&i->console, ended, sizeof(ended) - 1);
    world_power_off(s, i);
}

static void tick_instance(struct sim *s, struct instance *i, int64_t now)
{
    if (instance_is(i, "pending") && now >= i->running_at)
        boot(s, i);
    if (i->interrupt_at && now >= i->interrupt_at && instance_is_live(i))
        world_shutdown(s, i, i->interrupt_reason, find_reason(i->interrupt_reason)->message);
    if (instance_is(i, "shutting-down") && now >= i->change_at) {
        i->state = "terminated";
        world_detach_volumes(s, i->id);
    } else if (instance_is(i, "stopping") && now >= i->change_at) {
        i->state = "stopped";
    }
    if (!s->options.sandbox)
        tick_model(s, i, now);
    s->hooks->tick(s, i, now);
}

void instances_tick(struct sim *s, int64_t now)
{
    for (size_t n = 0; n < s->n_instances;) {
        struct instance *i = s->instances[n];
        tick_instance(s, i, now);
        if (instance_is(i, "terminated") && now > i->change_at + GONE_AFTER_MS) {
            ROW_REMOVE(s->instances, s->n_instances, i, free_instance);
        } else {
            n++;
        }
    }
}

int64_t instances_next(const struct sim *s, int64_t now)
{
    int64_t next = INT64_MAX;
    for (size_t n = 0; n < s->n_instances; n++) {
        const struct instance *i = s->instances[n];
        if (instance_is(i, "terminated")) {
            next = world_earlier(next, now, i->change_at + GONE_AFTER_MS + 1);
            continue;
        }
        next = world_earlier(next, now, i->running_at);
        next = world_earlier(next, now, i->running_at + s->options.online);
        next = world_earlier(next, now, i->change_at);
        next = world_earlier(next, now, i->interrupt_at);
        next = world_earlier(next, now, i->step_at);
    }
    return next;
}

void instances_clear(struct sim *s)
{
    for (size_t i = 0; i < s->n_instances; i++)
        s->hooks->power_cut(s, s->instances[i]);
    ROW_CLEAR(s->instances, s->n_instances, free_instance);
}
