#include "sim.h"

#include <strings.h>

#include "mayfly/codec/json.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"

enum { GONE_AFTER_MS = 3600 * 1000, CONSOLE_JIT_MAX = 65536 };

const char *pairs_get(const struct pairs *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->v[2 * i], name))
            return p->v[2 * i + 1];
    return NULL;
}

void pairs_set(struct pairs *p, const char *name, const char *value)
{
    for (size_t i = 0; i < p->n; i++) {
        if (str_eq(p->v[2 * i], name)) {
            str_set(&p->v[2 * i + 1], value);
            return;
        }
    }
    p->v = xreallocarray(p->v, 2 * (p->n + 1), sizeof(*p->v));
    p->v[2 * p->n] = xstrdup(name);
    p->v[2 * p->n + 1] = xstrdup(value);
    p->n++;
}

void pairs_remove(struct pairs *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++) {
        if (!str_eq(p->v[2 * i], name))
            continue;
        free(p->v[2 * i]);
        free(p->v[2 * i + 1]);
        p->n--;
        memmove(&p->v[2 * i], &p->v[2 * i + 2], 2 * (p->n - i) * sizeof(*p->v));
        return;
    }
}

void pairs_clear(struct pairs *p)
{
    for (size_t i = 0; i < 2 * p->n; i++)
        free(p->v[i]);
    free(p->v);
    *p = (struct pairs){ 0 };
}

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

bool instance_is(const struct instance *i, const char *state)
{
    return str_eq(i->state, state);
}

bool instance_is_live(const struct instance *i)
{
    return !instance_is(i, "terminated") && !instance_is(i, "shutting-down");
}

struct instance *world_instance(struct sim *s, const char *id)
{
    for (size_t i = 0; i < s->n_instances; i++)
        if (str_eq(s->instances[i]->id, id))
            return s->instances[i];
    return NULL;
}

struct runner *world_runner(struct sim *s, int64_t id)
{
    for (size_t i = 0; i < s->n_runners; i++)
        if (s->runners[i]->id == id)
            return s->runners[i];
    return NULL;
}

struct job *world_job(struct sim *s, int64_t id)
{
    for (size_t i = 0; i < s->n_jobs; i++)
        if (s->jobs[i]->id == id)
            return s->jobs[i];
    return NULL;
}

static void free_runner(struct runner *r)
{
    free(r->scope);
    free(r->name);
    free(r->secret);
    strlist_clear(&r->labels);
    free(r);
}

void world_remove_runner(struct sim *s, struct runner *r)
{
    for (size_t i = 0; i < s->n_runners; i++) {
        if (s->runners[i] != r)
            continue;
        s->runners[i] = s->runners[--s->n_runners];
        free_runner(r);
        return;
    }
}

void world_shutdown(struct sim *s, struct instance *i, const char *code, const char *message)
{
    if (!instance_is_live(i))
        return;
    sandbox_kill(s, i);
    bool stop = i->stop_on_shutdown && str_eq(code, "Client.InstanceInitiatedShutdown");
    i->state = stop ? "stopping" : "shutting-down";
    i->reason_code = code;
    i->reason_message = message;
    i->change_at = sim_now(s) + s->options.terminate_delay;
    /* GitHub notices that a machine is gone when its connection stays silent. */
    struct runner *r = i->runner ? world_runner(s, i->runner) : NULL;
    if (r && r->online && r->offline_at == 0)
        r->offline_at = sim_now(s) + 2000;
}

void world_finish_job(struct sim *s, struct job *j, const char *conclusion)
{
    struct runner *r = world_runner(s, j->runner_id);
    j->status = "completed";
    j->conclusion = conclusion;
    j->completed = sim_now(s);
    if (r) /* a just-in-time runner does one job */
        world_remove_runner(s, r);
}

static bool has_label(const struct runner *r, const char *label)
{
    for (size_t i = 0; i < r->labels.n; i++)
        if (strcasecmp(r->labels.v[i], label) == 0)
            return true;
    return false;
}

static bool fits(const struct runner *r, const struct job *j)
{
    if (!str_eq(j->status, "queued") || j->labels.n == 0)
        return false;
    for (size_t i = 0; i < j->labels.n; i++)
        if (!has_label(r, j->labels.v[i]))
            return false;
    /* A runner of an organisation serves its repositories. */
    return str_eq(r->scope, j->scope) || (str_starts(r->scope, "/orgs/") && str_starts(j->scope, "/repos/") &&
                                          str_starts(j->scope + 7, r->scope + 6));
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
        str_set(&j->runner_name, r->name);
        r->busy = true;
        r->job = j->id;
        return true;
    }
    return false;
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
    const char *at = strstr(strbuf_str(&i->user_data), mark);
    if (!at)
        return 0;
    at += strlen(mark);
    if (!decode_base64(&outer, at, strcspn(at, "'")) ||
        !json_parse(strbuf_str(&outer), outer.len, "", &files, &ignored) ||
        !json_object_object_get_ex(files, ".runner", &member))
        return 0;
    const char *text = json_object_get_string(member);
    if (!decode_base64(&inner, text, strlen(text)) ||
        !json_parse(strbuf_str(&inner), inner.len, "", &runner, &ignored) ||
        !json_object_object_get_ex(runner, "AgentId", &agent) ||
        !parse_uint(json_object_get_string(agent), INT64_MAX, &id))
        return 0;
    return (int64_t)id;
}

static void tick_instance(struct sim *s, struct instance *i, int64_t now)
{
    if (instance_is(i, "pending") && now >= i->running_at) {
        i->state = "running";
        i->runner = read_runner_id(i);
        if (s->options.sandbox)
            sandbox_start(s, i);
    }
    if (instance_is(i, "shutting-down") && now >= i->change_at) {
        i->state = "terminated";
        if (!i->keep_volume)
            base_free_pointer(&i->volume);
    } else if (instance_is(i, "stopping") && now >= i->change_at) {
        i->state = "stopped";
    }
    if (s->options.sandbox || !instance_is(i, "running") || i->dead_at)
        return;
    struct runner *r = i->runner ? world_runner(s, i->runner) : NULL;
    if (!r) {
        if (i->runner && now >= i->running_at + s->options.online) /* its record is gone: the program ends */
            world_shutdown(s, i, "Client.InstanceInitiatedShutdown", "Instance initiated shutdown");
        return;
    }
    if (!r->online && now >= i->running_at + s->options.online) {
        r->online = true;
        strbuf_adds(&i->console, "mayfly: phase runner-starting\n");
    }
    world_assign_job(s, r);
    struct job *j = r->job ? world_job(s, r->job) : NULL;
    if (j && now >= j->started + j->duration) {
        for (size_t c = 0; c < j->commands.n; c++)
            strbuf_addf(&j->log, "%s\n", j->commands.v[c]);
        world_finish_job(s, j, "success");
        world_shutdown(s, i, "Client.InstanceInitiatedShutdown", "Instance initiated shutdown");
    }
}

static void free_instance(struct instance *i)
{
    char *owned[] = { i->id,           i->region,     i->image,        i->type,    i->subnet, i->zone,
                      i->client_token, i->parameters, i->spot_request, i->profile, i->volume, i->sandbox_dir };
    for (size_t n = 0; n < ARRAY_SIZE(owned); n++)
        free(owned[n]);
    pairs_clear(&i->tags);
    pairs_clear(&i->volume_tags);
    strbuf_clear(&i->user_data);
    strbuf_clear(&i->console);
    free(i);
}

void world_tick(struct sim *s)
{
    int64_t now = sim_now(s);
    if (s->options.sandbox)
        sandbox_poll(s);
    for (size_t i = 0; i < s->n_runners; i++) {
        struct runner *r = s->runners[i];
        if (r->offline_at && now >= r->offline_at)
            r->online = false;
    }
    for (size_t n = 0; n < s->n_instances;) {
        struct instance *i = s->instances[n];
        tick_instance(s, i, now);
        if (instance_is(i, "terminated") && now > i->change_at + GONE_AFTER_MS && !i->volume) {
            free_instance(i);
            s->instances[n] = s->instances[--s->n_instances];
        } else {
            n++;
        }
    }
}

static void earlier(int64_t *next, int64_t now, int64_t when)
{
    if (when > now && when < *next)
        *next = when;
}

int64_t world_next(const struct sim *s)
{
    int64_t next = INT64_MAX, now = sim_now(s);
    for (size_t n = 0; n < s->n_instances; n++) {
        const struct instance *i = s->instances[n];
        if (!instance_is(i, "terminated")) {
            earlier(&next, now, i->running_at);
            earlier(&next, now, i->running_at + s->options.online);
            earlier(&next, now, i->change_at);
        }
    }
    for (size_t n = 0; n < s->n_jobs; n++)
        if (str_eq(s->jobs[n]->status, "in_progress"))
            earlier(&next, now, s->jobs[n]->started + s->jobs[n]->duration);
    for (size_t n = 0; n < s->n_runners; n++)
        earlier(&next, now, s->runners[n]->offline_at);
    return next;
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

void world_clear(struct sim *s)
{
    for (size_t i = 0; i < s->n_instances; i++) {
        sandbox_kill(s, s->instances[i]);
        free_instance(s->instances[i]);
    }
    for (size_t i = 0; i < s->n_runners; i++)
        free_runner(s->runners[i]);
    for (size_t i = 0; i < s->n_jobs; i++)
        free_job(s->jobs[i]);
    for (size_t i = 0; i < s->n_faults; i++) {
        char *owned[] = { s->faults[i].service, s->faults[i].action, s->faults[i].kind, s->faults[i].code,
                          s->faults[i].message };
        for (size_t n = 0; n < ARRAY_SIZE(owned); n++)
            free(owned[n]);
    }
    free(s->instances);
    free(s->runners);
    free(s->jobs);
    free(s->faults);
    s->instances = NULL;
    s->runners = NULL;
    s->jobs = NULL;
    s->faults = NULL;
    s->n_instances = s->n_runners = s->n_jobs = s->n_faults = 0;
}

struct fault *sim_fault(struct sim *s, const char *service, const char *action)
{
    for (size_t i = 0; i < s->n_faults; i++) {
        struct fault *f = &s->faults[i];
        if (!str_eq(f->service, service) || !str_eq(f->action, action) || f->times == 0)
            continue;
        if (f->skip-- > 0)
            continue;
        f->times--;
        return f;
    }
    return NULL;
}
