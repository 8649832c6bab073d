/* What exists, and what time does to it. */
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "builder.h"
#include "rates.h"
#include "rows.h"
#include "sandbox.h"
#include "sim.h"
#include "ssm.h"
#include "text.h"
#include "to_json.h"
#include "world.h"
#include "world_instances.h"
#include "world_resources.h"
#include "world_runners.h"

#include "mayfly/codec/json.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"

/* Times of GitHub and EC2, in simulated milliseconds. */
enum {
    GONE_AFTER_MS = 3600 * 1000,      /* terminated instances stay listed that long */
    SHUTDOWN_SEEN_MS = 2000,          /* an orderly shutdown closes the runner's connection */
    DEATH_SEEN_MS = 30 * 1000,        /* a dead machine does not */
    LOCK_MS = 600 * 1000,             /* the job of a dead machine fails then */
    NEVER_CAME_MS = 24 * 3600 * 1000, /* a just-in-time record that nothing connected to goes */
};

int64_t sim_now(const struct sim *s)
{
    return env_now(&env_system) + s->offset;
}

char *sim_random_id(const char *prefix, size_t hex_digits)
{
    uint8_t random[32];
    AUTO_STRBUF id = STRBUF_INIT;
    env_system.random(NULL, random, sizeof(random));
    strbuf_adds(&id, prefix);
    encode_hex(&id, random, (hex_digits + 1) / 2);
    strbuf_truncate(&id, strlen(prefix) + hex_digits);
    return strbuf_steal(&id);
}

/* --- looking up --------------------------------------------------------------------------------------------------- */

bool instance_is(const struct instance *i, const char *state)
{
    return str_eq(i->state, state);
}

bool instance_is_live(const struct instance *i)
{
    return !instance_is(i, "terminated") && !instance_is(i, "shutting-down");
}

bool world_is_seen(const struct sim *s, int64_t since, int64_t lag)
{
    return since == 0 || sim_now(s) >= since + lag;
}

bool instance_is_seen(const struct sim *s, const struct instance *i)
{
    return world_is_seen(s, i->launched, s->lag.ec2);
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

struct volume *world_volume(const struct sim *s, const char *id)
{
    return ROW_FIND(s->volumes, s->n_volumes, id);
}

struct subnet *world_subnet(const struct sim *s, const char *id)
{
    return ROW_FIND(s->subnets, s->n_subnets, id);
}

struct security_group *world_group(const struct sim *s, const char *id)
{
    return ROW_FIND(s->groups, s->n_groups, id);
}

struct image *world_image(const struct sim *s, const char *id)
{
    return ROW_FIND(s->images, s->n_images, id);
}

struct snapshot *world_snapshot(const struct sim *s, const char *id)
{
    return ROW_FIND(s->snapshots, s->n_snapshots, id);
}

struct spot_request *world_spot_request(const struct sim *s, const char *id)
{
    return ROW_FIND(s->spot_requests, s->n_spot_requests, id);
}

struct runner *world_runner(const struct sim *s, int64_t id)
{
    size_t low = 0, high = s->n_runners; /* they are in the order of their ids */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->runners[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->n_runners && s->runners[low]->id == id ? s->runners[low] : NULL;
}

struct job *world_job(const struct sim *s, int64_t id)
{
    for (size_t i = 0; i < s->n_jobs; i++)
        if (s->jobs[i]->id == id)
            return s->jobs[i];
    return NULL;
}

/* --- volumes ------------------------------------------------------------------------------------------------------ */

struct volume *world_add_volume(struct sim *s, const char *region, const char *zone, const char *instance)
{
    struct volume *v = xcalloc(1, sizeof(*v));
    v->id = sim_random_id("vol-", 17);
    str_set(&v->region, region);
    str_set(&v->zone, zone);
    str_set(&v->instance, instance);
    v->size = 8;
    v->created = sim_now(s);
    v->delete_on_termination = true;
    ROW_ADD(s->volumes, s->n_volumes, v);
    return v;
}

static void free_strings(char *const *owned, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(owned[i]);
}

static void free_volume(struct volume *v)
{
    char *owned[] = { v->id, v->region, v->zone, v->instance, v->device, v->type, v->kms_key, v->snapshot };
    free_strings(owned, ARRAY_SIZE(owned));
    pairs_clear(&v->tags);
    free(v);
}

void world_remove_volume(struct sim *s, struct volume *v)
{
    ROW_REMOVE(s->volumes, s->n_volumes, v, free_volume);
}

static void detach_volumes(struct sim *s, const struct instance *i)
{
    for (size_t n = 0; n < s->n_volumes;) {
        struct volume *v = s->volumes[n];
        if (!str_eq(v->instance, i->id)) {
            n++;
        } else if (v->delete_on_termination) {
            world_remove_volume(s, v);
        } else {
            str_set(&v->instance, NULL);
            n++;
        }
    }
}

/* --- subnets, groups, images, snapshots --------------------------------------------------------------------------- */

static void free_subnet(struct subnet *n)
{
    char *owned[] = { n->id, n->region, n->zone, n->vpc };
    free_strings(owned, ARRAY_SIZE(owned));
    pairs_clear(&n->tags);
    free(n);
}

static void free_group(struct security_group *g)
{
    char *owned[] = { g->id, g->region, g->vpc, g->name };
    free_strings(owned, ARRAY_SIZE(owned));
    pairs_clear(&g->tags);
    free(g);
}

static void free_image(struct image *i)
{
    char *owned[] = { i->id, i->region, i->name, i->description, i->owner, i->snapshot, i->root_device };
    free_strings(owned, ARRAY_SIZE(owned));
    strlist_clear(&i->shared);
    strlist_clear(&i->devices);
    pairs_clear(&i->tags);
    free(i);
}

static void free_snapshot(struct snapshot *n)
{
    char *owned[] = { n->id, n->region, n->owner, n->volume, n->description };
    free_strings(owned, ARRAY_SIZE(owned));
    pairs_clear(&n->tags);
    free(n);
}

void world_remove_image(struct sim *s, struct image *image)
{
    ROW_REMOVE(s->images, s->n_images, image, free_image);
}

void world_remove_snapshot(struct sim *s, struct snapshot *snapshot)
{
    ROW_REMOVE(s->snapshots, s->n_snapshots, snapshot, free_snapshot);
}

/* --- runners and jobs --------------------------------------------------------------------------------------------- */

static void free_runner(struct runner *r)
{
    free(r->scope);
    free(r->name);
    free(r->secret);
    free(r->work_folder);
    strlist_clear(&r->labels);
    free(r);
}

void world_remove_runner(struct sim *s, struct runner *r)
{
    ROW_REMOVE(s->runners, s->n_runners, r, free_runner);
}

void world_connect(struct sim *s, struct runner *r)
{
    r->connected = r->online = true;
    r->offline_at = r->unlock_at = 0;
    r->idle_since = r->online_since = sim_now(s);
}

void world_finish_job(struct sim *s, struct job *j, const char *conclusion, bool remove)
{
    struct runner *r = world_runner(s, j->runner_id);
    j->status = "completed";
    j->conclusion = conclusion;
    j->completed = sim_now(s);
    if (!r || r->job != j->id)
        return;
    r->busy = false;
    r->job = 0;
    r->idle_since = sim_now(s);
    if (remove)
        world_remove_runner(s, r);
}

static bool has_label(const struct runner *r, const char *label)
{
    for (size_t i = 0; i < r->labels.n; i++)
        if (strcasecmp(r->labels.v[i], label) == 0)
            return true;
    return false;
}

/* A runner of an organisation or an enterprise serves its repositories. */
static bool serves(const struct runner *r, const struct job *j)
{
    static const char *const owners[] = { "/orgs/", "/enterprises/" };
    if (str_eq(r->scope, j->scope))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
        if (!str_starts(r->scope, owners[i]) || !str_starts(j->scope, "/repos/"))
            continue;
        const char *owner = r->scope + strlen(owners[i]), *repo = j->scope + strlen("/repos/");
        return str_starts(repo, owner) && repo[strlen(owner)] == '/';
    }
    return false;
}

static bool fits(const struct runner *r, const struct job *j)
{
    if (!str_eq(j->status, "queued") || j->labels.n == 0)
        return false;
    for (size_t i = 0; i < j->labels.n; i++)
        if (!has_label(r, j->labels.v[i]))
            return false;
    return serves(r, j);
}

bool world_assign_job(struct sim *s, struct runner *r)
{
    for (size_t i = 0; i < s->n_jobs && r->online && !r->busy; i++) {
        struct job *j = s->jobs[i];
        if (!fits(r, j))
            continue;
        j->status = "in_progress";
        j->started = sim_now(s);
        j->runner_id = r->id;
        j->group = r->group;
        str_set(&j->runner_name, r->name);
        r->busy = true;
        r->busy_since = j->started;
        r->job = j->id;
        return true;
    }
    return false;
}

/* The machine of this runner is gone; GitHub sees it after a while. */
static void lose_runner(struct sim *s, struct runner *r, int64_t seen_ms)
{
    int64_t now = sim_now(s);
    if (r->online && r->offline_at == 0)
        r->offline_at = now + seen_ms;
    if (r->busy && r->unlock_at == 0)
        r->unlock_at = now + LOCK_MS;
}

/* True when the record is gone. */
static bool tick_runner(struct sim *s, struct runner *r, int64_t now)
{
    if (r->offline_at && now >= r->offline_at) {
        r->online = false;
        r->offline_at = 0;
    }
    if (r->unlock_at && now >= r->unlock_at) {
        struct job *j = r->job ? world_job(s, r->job) : NULL;
        r->unlock_at = 0;
        if (j)
            world_finish_job(s, j, "failure", false);
        r->busy = false;
    }
    bool idle = r->online && !r->busy && s->options.idle_removal && now >= r->idle_since + s->options.idle_removal;
    if (!idle && (r->connected || now < r->created + NEVER_CAME_MS))
        return false;
    world_remove_runner(s, r);
    return true;
}

/* --- instances ---------------------------------------------------------------------------------------------------- */

static void set_transition(struct sim *s, struct instance *i, const char *who)
{
    struct rfc3339_date at = clock_rfc3339(sim_now(s) / 1000);
    free(i->transition);
    i->transition = xasprintf("%s initiated (%.10s %.8s GMT)", who, at.s, at.s + 11);
}

void world_note_killed(struct sim *s, const struct runner *r, const struct instance *i, const char *how)
{
    const struct job *j = r->job ? world_job(s, r->job) : NULL;
    if (!j)
        return;
    struct json_object *o = must(json_object_new_object());
    json_object_object_add(o, "job", must(json_object_new_int64(j->id)));
    json_object_object_add(o, "runner", sim_text(r->name));
    json_object_object_add(o, "instance", sim_text(i ? i->id : NULL));
    json_object_object_add(o, "age_ms", i ? must(json_object_new_int64(sim_now(s) - i->launched)) : NULL);
    json_object_object_add(o, "how", sim_text(how));
    json_object_array_add(s->killed, o);
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
    sandbox_kill(s, i);
    i->state = guest && i->stop_on_shutdown ? "stopping" : "shutting-down";
    i->reason_code = code;
    i->reason_message = message;
    i->change_at = sim_now(s) + s->options.terminate_delay;
    set_transition(s, i, guest ? "Instance" : "User");
    if (r && !i->dead_at)
        lose_runner(s, r, SHUTDOWN_SEEN_MS);
}

void world_stop(struct sim *s, struct instance *i)
{
    struct runner *r = i->runner ? world_runner(s, i->runner) : NULL;
    sandbox_kill(s, i);
    i->state = "stopping";
    i->reason_code = "Client.UserInitiatedShutdown";
    i->reason_message = "Client.UserInitiatedShutdown: User initiated shutdown";
    i->change_at = sim_now(s) + s->options.terminate_delay;
    set_transition(s, i, "User");
    if (r)
        lose_runner(s, r, SHUTDOWN_SEEN_MS);
}

void world_kill(struct sim *s, struct instance *i)
{
    struct runner *r = i->runner ? world_runner(s, i->runner) : NULL;
    i->dead_at = sim_now(s);
    sandbox_kill(s, i);
    if (r)
        lose_runner(s, r, DEATH_SEEN_MS);
}

void world_power_off(struct sim *s, struct instance *i)
{
    world_shutdown(s, i, "Client.InstanceInitiatedShutdown",
                   "Client.InstanceInitiatedShutdown: Instance initiated shutdown");
}

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
    builder_boot(s, i);
    if (s->options.sandbox && !i->nonce) {
        sandbox_start(s, i);
        return;
    }
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

/* Why EC2 ends instances by itself, as StateReason has it. Source: EC2 API, StateReason. */
static const char *const end_reasons[] = {
    "Server.SpotInstanceTermination: Instance terminated by spot interruption",
    "Server.InsufficientInstanceCapacity: There was insufficient capacity available to satisfy the launch request",
    "Server.InternalError: An internal error caused the instance to terminate during launch",
    "Client.VolumeLimitExceeded: The limit on the number of EBS volumes or total storage was exceeded",
    "Client.InternalError: A client error caused the instance to terminate during launch",
    "Client.InvalidSnapshot.NotFound: The specified snapshot was not found",
};
static const char *const end_codes[] = {
    "Server.SpotInstanceTermination", "Server.InsufficientInstanceCapacity",
    "Server.InternalError",           "Client.VolumeLimitExceeded",
    "Client.InternalError",           "Client.InvalidSnapshot.NotFound",
};

const char *world_end_reason(const char *code)
{
    for (size_t i = 0; i < ARRAY_SIZE(end_codes); i++)
        if (!code || str_eq(end_codes[i], code))
            return end_codes[i];
    return NULL;
}

static const char *end_message(const char *code)
{
    size_t i = 0;
    while (!str_eq(end_codes[i], code))
        i++;
    return end_reasons[i];
}

static void tick_instance(struct sim *s, struct instance *i, int64_t now)
{
    if (instance_is(i, "pending") && now >= i->running_at)
        boot(s, i);
    if (i->interrupt_at && now >= i->interrupt_at && instance_is_live(i)) {
        world_shutdown(s, i, i->interrupt_reason, end_message(i->interrupt_reason));
    }
    if (instance_is(i, "shutting-down") && now >= i->change_at) {
        i->state = "terminated";
        detach_volumes(s, i);
    } else if (instance_is(i, "stopping") && now >= i->change_at) {
        i->state = "stopped";
    }
    if (!s->options.sandbox)
        tick_model(s, i, now);
    builder_tick(s, i, now);
}

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

/* --- copies ------------------------------------------------------------------------------------------------------- */

static void copy_list(struct strlist *to, const struct strlist *from)
{
    *to = (struct strlist){ 0 };
    for (size_t i = 0; i < from->n; i++)
        strlist_add(to, from->v[i]);
}

/* Its name ends in other digits, as many as the end of the other had. */
static struct runner *copy_runner(struct sim *s, const struct runner *like)
{
    struct runner *r = xcalloc(1, sizeof(*r));
    const char *end = strrchr(like->name, '-');
    size_t begin = end ? (size_t)(end + 1 - like->name) : 0;
    *r = *like;
    r->id = ++s->next_runner;
    r->scope = xstrdup(like->scope);
    r->name = xasprintf("%.*s%0*" PRId64, (int)begin, like->name, (int)strlen(like->name + begin), r->id);
    r->secret = sim_random_id("", 64);
    r->work_folder = like->work_folder ? xstrdup(like->work_folder) : NULL;
    copy_list(&r->labels, &like->labels);
    ROW_ADD(s->runners, s->n_runners, r);
    return r;
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
        const struct runner *r = copy_runner(s, runner);
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
        copy_list(&i->groups, &like->groups);
        copy_list(&i->steps, &like->steps);
        copy_tags(&i->tags, &like->tags, runner, r);
        ROW_ADD(s->instances, s->n_instances, i);
    }
    return runner != NULL;
}

/* --- time --------------------------------------------------------------------------------------------------------- */

static void earlier(int64_t *next, int64_t now, int64_t when)
{
    if (when > now && when < *next)
        *next = when;
}

/* What world_tick does at some moment after now. */
static int64_t next_after(const struct sim *s, int64_t now)
{
    int64_t next = INT64_MAX;
    for (size_t n = 0; n < s->n_instances; n++) {
        const struct instance *i = s->instances[n];
        if (instance_is(i, "terminated")) {
            earlier(&next, now, i->change_at + GONE_AFTER_MS + 1);
            continue;
        }
        earlier(&next, now, i->running_at);
        earlier(&next, now, i->running_at + s->options.online);
        earlier(&next, now, i->change_at);
        earlier(&next, now, i->interrupt_at);
        earlier(&next, now, i->step_at);
    }
    for (size_t n = 0; n < s->n_jobs; n++)
        if (str_eq(s->jobs[n]->status, "in_progress"))
            earlier(&next, now, s->jobs[n]->started + s->jobs[n]->duration);
    for (size_t n = 0; n < s->n_runners; n++) {
        const struct runner *r = s->runners[n];
        earlier(&next, now, r->offline_at);
        earlier(&next, now, r->unlock_at);
        if (!r->connected)
            earlier(&next, now, r->created + NEVER_CAME_MS);
        if (s->options.idle_removal)
            earlier(&next, now, r->idle_since + s->options.idle_removal);
    }
    return next;
}

void world_tick(struct sim *s)
{
    int64_t now = sim_now(s);
    if (s->options.sandbox)
        sandbox_poll(s);
    else if (now < s->quiet_until)
        return;
    for (size_t i = 0; i < s->n_runners;)
        if (!tick_runner(s, s->runners[i], now))
            i++;
    for (size_t n = 0; n < s->n_instances;) {
        struct instance *i = s->instances[n];
        tick_instance(s, i, now);
        if (instance_is(i, "terminated") && now > i->change_at + GONE_AFTER_MS) {
            ROW_REMOVE(s->instances, s->n_instances, i, free_instance);
        } else {
            n++;
        }
    }
    s->quiet_until = next_after(s, now);
}

int64_t world_next(const struct sim *s)
{
    return s->quiet_until ? s->quiet_until : next_after(s, sim_now(s));
}

static void free_job(struct job *j)
{
    free(j->scope);
    free(j->name);
    free(j->runner_name);
    strlist_clear(&j->labels);
    strlist_clear(&j->commands);
    pairs_clear(&j->env);
    strbuf_clear(&j->log);
    free(j);
}

static void free_spot_request(struct spot_request *r)
{
    char *owned[] = { r->id, r->region, r->instance, r->type, r->image, r->price };
    free_strings(owned, ARRAY_SIZE(owned));
    pairs_clear(&r->tags);
    free(r);
}

static void free_token(struct client_token *t)
{
    char *owned[] = { t->token, t->region, t->zone, t->parameters, t->made };
    free_strings(owned, ARRAY_SIZE(owned));
}

/* Frees an array that each() was called on the rows of, and makes it empty. */
#define CLEAR_ARRAY(array, n, each)                                                                                    \
    do {                                                                                                               \
        for (size_t at_ = 0; at_ < (n); at_++)                                                                         \
            each((array)[at_]);                                                                                        \
        base_free_pointer(&(array));                                                                                   \
        (array) = NULL;                                                                                                \
        (n) = 0;                                                                                                       \
    } while (0)

void world_clear(struct sim *s)
{
    for (size_t i = 0; i < s->n_instances; i++)
        sandbox_kill(s, s->instances[i]);
    CLEAR_ARRAY(s->subnets, s->n_subnets, free_subnet);
    CLEAR_ARRAY(s->groups, s->n_groups, free_group);
    CLEAR_ARRAY(s->images, s->n_images, free_image);
    CLEAR_ARRAY(s->snapshots, s->n_snapshots, free_snapshot);
    CLEAR_ARRAY(s->instances, s->n_instances, free_instance);
    CLEAR_ARRAY(s->volumes, s->n_volumes, free_volume);
    CLEAR_ARRAY(s->spot_requests, s->n_spot_requests, free_spot_request);
    CLEAR_ARRAY(s->runners, s->n_runners, free_runner);
    CLEAR_ARRAY(s->jobs, s->n_jobs, free_job);
    for (size_t i = 0; i < s->n_tokens; i++)
        free_token(&s->tokens[i]);
    free(s->tokens);
    s->tokens = NULL;
    s->n_tokens = 0;
    ssm_clear(s);
    rates_clear(s);
    strlist_clear(&s->runner_groups);
    strlist_clear(&s->labels);
}
