#include "model.h"

#include <inttypes.h>

#include "mayfly/runner/tags.h"
#include "mayfly/util/encode.h"

enum {
    EPOCH = 1700000000, /* EC2's clock when the world begins */
    MAX_STEPS = 40000,
    MAX_IDLE_STEPS = 50, /* without anything done, at one moment */
    SIGNAL_LIMIT_MS = 8000,
};

struct flight {
    struct act act; /* strings copied */
    const char **ids;
    size_t n_ids;
    enum fault fault;
    bool had_effect, again; /* again: a record of this name was asked for before */
    int64_t effect_at, answer_at;
    enum outcome outcome;
    struct ec2_instance *instances;
    struct github_runner *runners;
    size_t n_instances, n_runners;
    struct model_record *record; /* minted, asked for or deleted */
    const char *jit;
    struct flight *next;
};

const char *fault_name(enum fault f)
{
    static const char *const names[FAULT_COUNT] = {
        "none",       "ambiguous-done",  "ambiguous-undone", "ambiguous-late", "slow",
        "throttled",  "failed",          "capacity",         "subnet-full",    "quota",
        "token-used", "token-used-busy", "stranger",         "get-404",        "list-lags",
        "invisible",  "unendable",       "dies-booting",     "dies-later",     "never-online",
        "slow-boot",  "record-dropped",  "busy-lies",        "signal",         "crash",
    };
    return names[f];
}

/* --- chance ------------------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t model_pick(const struct model *m, uint64_t place, uint64_t n)
{
    return mix(mix(m->seed) ^ mix(place * 0x2545f4914f6cdd1du + 1)) % n;
}

static int64_t between(const struct model *m, uint64_t place, int64_t from, int64_t to)
{
    return from + (int64_t)model_pick(m, place, (uint64_t)(to - from + 1));
}

static bool is_masked(const struct model *m, uint64_t key)
{
    for (size_t i = 0; i < m->n_masked; i++)
        if (m->masked[i] == key)
            return true;
    return false;
}

static void fire(struct model *m, enum fault f, uint64_t key, const char *where)
{
    m->fired = xreallocarray(m->fired, m->n_fired + 1, sizeof(*m->fired));
    m->fired[m->n_fired++] = (struct fired){ .fault = f, .key = key, .where = m->tracing ? xstrdup(where) : NULL };
    model_trace(m, "  ! %s: %s", fault_name(f), where);
}

bool model_fault(struct model *m, enum fault f, uint64_t place, unsigned per_mille, const char *where)
{
    uint64_t key = place << 8 | (uint64_t)f;
    if (!(m->swarm >> f & 1) || model_pick(m, key ^ 0xfa017, 1000) >= per_mille || is_masked(m, key))
        return false;
    fire(m, f, key, where);
    return true;
}

/* --- what is seen ------------------------------------------------------------------------------------------------- */

void model_trace(struct model *m, const char *fmt, ...)
{
    if (!m->tracing)
        return;
    va_list ap;
    strbuf_addf(&m->trace, "%9.3f ", (double)m->now / 1000);
    va_start(ap, fmt);
    strbuf_vaddf(&m->trace, fmt, ap);
    va_end(ap);
    strbuf_addc(&m->trace, '\n');
}

void model_break(struct model *m, int invariant, const char *fmt, ...)
{
    if (m->broken)
        return;
    va_list ap;
    m->broken = invariant;
    va_start(ap, fmt);
    m->violation = xvasprintf(fmt, ap);
    va_end(ap);
    model_trace(m, "VIOLATION of (%d): %s", invariant, m->violation);
}

static const char *const outcome_names[] = { "ok",    "not found",  "conflict",  "busy",      "capacity", "subnet full",
                                             "quota", "token used", "ambiguous", "throttled", "failed" };

/* --- the world ---------------------------------------------------------------------------------------------------- */

void model_init(struct model *m, uint64_t seed, const uint64_t *masked, size_t n_masked, bool tracing)
{
    static const unsigned rates[] = { 0, 10, 30, 80, 200, 400 };
    *m = (struct model){ .seed = seed,
                         .masked = masked,
                         .n_masked = n_masked,
                         .tracing = tracing,
                         .trace = STRBUF_INIT,
                         .signal_at = INT64_MAX,
                         .signalled_at = INT64_MAX,
                         .crash_after = INT64_MAX };
    m->per_mille = rates[model_pick(m, 'r', ARRAY_SIZE(rates))];
    /* Half of the kinds are missing in a seed: a kind that ends every launch early would hide what others do. */
    m->swarm = (uint32_t)model_pick(m, 's', UINT32_MAX);
    m->jobs = (size_t)model_pick(m, 'j', MAX_SLOTS + 1);
    m->now = between(m, 'n', 0, 1000000);
}

void model_clear(struct model *m)
{
    for (size_t i = 0; i < m->n_fired; i++)
        free(m->fired[i].where);
    while (m->flights) {
        struct flight *next = m->flights->next;
        free(m->flights);
        m->flights = next;
    }
    free(m->fired);
    free(m->records);
    free(m->instances);
    free(m->tokens);
    free(m->violation);
    strbuf_clear(&m->trace);
    arena_clear(&m->arena);
    *m = (struct model){ 0 };
}

bool model_is_live(const struct model *m, const struct model_instance *i)
{
    return m->now < i->dead_at;
}

static const char *state_of(const struct model *m, const struct model_instance *i)
{
    return m->now - 30000 >= i->dead_at ? "terminated"
           : m->now >= i->dead_at       ? "shutting-down"
           : m->now >= i->running_at    ? "running"
                                        : "pending";
}

static const char *say(struct model *m, const char *fmt, const char *s, size_t n)
{
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_addf(&text, "%s %s #%zu", fmt, s, n);
    return arena_strdup(&m->arena, strbuf_str(&text));
}

struct model_record *model_add_record(struct model *m, const char *name, size_t slot)
{
    struct model_record *r = arena_alloc(&m->arena, sizeof(*r));
    uint64_t place = (uint64_t)(m->n_records + 1) << 20;
    m->records = xreallocarray(m->records, m->n_records + 1, sizeof(struct model_record *));
    m->records[m->n_records++] = r;
    *r = (struct model_record){
        .id = (int64_t)(1000 + m->n_records), .name = arena_strdup(&m->arena, name), .slot = slot, .exists = true
    };
    if (model_fault(m, FAULT_LIST_LAGS, place, m->per_mille * 2, "a new record"))
        r->listed_at = m->now + between(m, place, 100, 8000);
    return r;
}

static struct model_record *find_record(const struct model *m, int64_t id)
{
    for (size_t i = 0; i < m->n_records; i++)
        if (m->records[i]->id == id)
            return m->records[i];
    return NULL;
}

static struct model_record *find_record_named(const struct model *m, const char *name)
{
    for (size_t i = 0; i < m->n_records; i++)
        if (m->records[i]->exists && str_eq(m->records[i]->name, name))
            return m->records[i];
    return NULL;
}

static struct model_instance *find_instance(const struct model *m, const char *id)
{
    for (size_t i = 0; i < m->n_instances; i++)
        if (str_eq(m->instances[i]->view.id, id))
            return m->instances[i];
    return NULL;
}

struct model_instance *model_add_instance(struct model *m, const char *region, const char *subnet, const char *token,
                                          const struct ec2_tag *tags, size_t n_tags)
{
    struct model_instance *i = arena_alloc(&m->arena, sizeof(*i));
    uint64_t place = (uint64_t)(m->n_instances + 1) << 24, runner_id = 0;
    AUTO_FREE char *id = xasprintf("i-%017zx", m->n_instances + 1);
    AUTO_FREE char *zone = xasprintf("zone-of-%s", subnet);
    m->instances = xreallocarray(m->instances, m->n_instances + 1, sizeof(struct model_instance *));
    m->instances[m->n_instances++] = i;
    i->region = arena_strdup(&m->arena, region);
    i->view = (struct ec2_instance){
        .id = arena_strdup(&m->arena, id),
        .subnet = arena_strdup(&m->arena, subnet),
        .zone = arena_strdup(&m->arena, zone),
        .client_token = token ? arena_strdup(&m->arena, token) : NULL,
        .launch_time = arena_strdup(&m->arena, clock_rfc3339(EPOCH + m->now / 1000).s),
    };
    for (size_t t = 0; t < n_tags; t++)
        *(struct ec2_tag *)field_list_add(&i->view.tags, sizeof(struct ec2_tag), &m->arena) =
            (struct ec2_tag){ arena_strdup(&m->arena, tags[t].key), arena_strdup(&m->arena, tags[t].value) };
    const char *tag = ec2_instance_tag(&i->view, TAG_RUNNER_ID);
    if (tag && parse_uint(tag, INT64_MAX, &runner_id))
        i->record = find_record(m, (int64_t)runner_id);

    const char *what = m->tracing ? say(m, "instance", id, i->record ? i->record->slot : 0) : "";
    i->launched_at = m->now;
    i->running_at = m->now + between(m, place, 1000, 15000);
    i->dead_at = INT64_MAX;
    for (size_t e = 0; e < AT_COUNT; e++)
        i->at[e] = INT64_MAX;
    i->at[AT_ONLINE] = i->running_at + between(m, place + 1, 500, 50000);
    if (model_fault(m, FAULT_SLOW_BOOT, place, m->per_mille, what))
        i->at[AT_ONLINE] += between(m, place + 2, 10000, 400000);
    if (model_fault(m, FAULT_NEVER_ONLINE, place, m->per_mille, what))
        i->at[AT_ONLINE] = INT64_MAX;
    if (model_fault(m, FAULT_DIES_BOOTING, place, m->per_mille, what))
        i->at[AT_DIES] = m->now + between(m, place + 3, 1, 40000);
    else if (model_fault(m, FAULT_DIES_LATER, place, m->per_mille, what))
        i->at[AT_DIES] = m->now + between(m, place + 3, 40000, 300000);
    if (model_fault(m, FAULT_RECORD_DROPPED, place, m->per_mille, what))
        i->at[AT_DROP] = m->now + between(m, place + 4, 1, 60000);
    if (model_fault(m, FAULT_INVISIBLE, place, m->per_mille * 2, what))
        i->visible_at = m->now + between(m, place + 5, 100, 20000);
    if (model_fault(m, FAULT_UNENDABLE, place, m->per_mille * 2, what))
        i->endable_at = m->now + between(m, place + 10, 100, 20000);
    return i;
}

static void die(struct model *m, struct model_instance *i, int64_t when)
{
    if (when < i->dead_at)
        i->dead_at = when;
    if (m->now >= i->dead_at && i->record)
        i->record->online = false;
}

/* A job begins: only a runner that is online, and whose record exists, gets one. */
static void job_begins(struct model *m, struct model_instance *i, uint64_t place)
{
    struct model_record *r = i->record;
    if (!r->exists || !r->online || m->jobs == 0)
        return;
    m->jobs--;
    r->busy = r->took_job = true;
    r->lies_to = m->now;
    if (model_fault(m, FAULT_BUSY_LIES, place, m->per_mille * 2, i->view.id)) {
        r->lies_to = m->now + between(m, place + 6, 1000, 60000);
        r->lies_fully = model_pick(m, place + 7, 2);
    }
    i->at[AT_JOB_END] = m->now + between(m, place + 8, 2000, 600000);
    model_trace(m, "  * %s begins a job", i->view.id);
}

static void instance_event(struct model *m, struct model_instance *i, size_t n, int what)
{
    uint64_t place = (uint64_t)(n + 1) << 24;
    struct model_record *r = i->record;
    i->at[what] = INT64_MAX;
    if (!model_is_live(m, i))
        return;
    switch (what) {
    case AT_ONLINE:
        if (r && r->exists) {
            i->was_online = r->online = true;
            i->at[AT_JOB] = m->now + between(m, place + 9, 0, 40000);
            model_trace(m, "  * %s is online", i->view.id);
        } else {
            die(m, i, m->now + 300000); /* the box powers off; slowly, so that it hides no leak */
        }
        break;
    case AT_JOB:
        job_begins(m, i, place);
        break;
    case AT_JOB_END:
        r->exists = r->online = r->busy = false;
        die(m, i, m->now + 2000);
        model_trace(m, "  * %s ends its job", i->view.id);
        break;
    case AT_DIES:
        die(m, i, m->now);
        model_trace(m, "  * %s dies", i->view.id);
        break;
    case AT_DROP:
        if (r && !r->online && !r->busy) {
            r->exists = false;
            model_trace(m, "  * GitHub drops runner %" PRId64, r->id);
        }
        break;
    default:
        break;
    }
}

/* --- actions take effect ------------------------------------------------------------------------------------------ */

static void show_instance(struct model *m, struct flight *f, const struct model_instance *i)
{
    f->instances[f->n_instances] = i->view;
    f->instances[f->n_instances++].state_name = state_of(m, i);
}

static bool matches(const struct model *m, const struct model_instance *i, const struct flight *f)
{
    const struct act *a = &f->act;
    if (a->kind == ACT_SETTLE)
        return str_eq(i->view.client_token, a->client_token);
    if (a->kind == ACT_LOOK) {
        for (size_t n = 0; n < f->n_ids; n++)
            if (str_eq(f->ids[n], i->view.id))
                return true;
        return false;
    }
    for (size_t n = 0; n < a->n_filters; n++) {
        const struct ec2_filter *filter = &a->filters[n];
        const char *value = str_starts(filter->name, "tag:")              ? ec2_instance_tag(&i->view, filter->name + 4)
                            : str_eq(filter->name, "instance-id")         ? i->view.id
                            : str_eq(filter->name, "instance-state-name") ? state_of(m, i)
                                                                          : NULL;
        if (!value || !strlist_has(filter->values, value))
            return false;
    }
    return true;
}

static void describe(struct model *m, struct flight *f)
{
    f->instances = arena_alloc(&m->arena, (m->n_instances + 1) * sizeof(*f->instances));
    for (size_t n = 0; n < m->n_instances; n++) {
        struct model_instance *i = m->instances[n];
        if (m->now >= i->visible_at && str_eq(i->region, f->act.region) && matches(m, i, f)) {
            show_instance(m, f, i);
            i->scanned = i->scanned || f->act.kind == ACT_SCAN;
        }
    }
}

static void show_record(const struct model *m, struct flight *f, const struct model_record *r)
{
    f->runners[f->n_runners++] = (struct github_runner){ .id = r->id,
                                                         .name = r->name,
                                                         .status = r->online ? "online" : "offline",
                                                         .busy = r->busy && m->now >= r->lies_to };
}

static void list_records(struct model *m, struct flight *f)
{
    f->runners = arena_alloc(&m->arena, (m->n_records + 1) * sizeof(*f->runners));
    for (size_t n = 0; n < m->n_records; n++) {
        const struct model_record *r = m->records[n];
        if (r->exists && m->now >= r->listed_at && (f->act.kind == ACT_LIST || str_eq(r->name, f->act.name)))
            show_record(m, f, r);
    }
}

static void mint(struct model *m, struct flight *f)
{
    if (f->fault == FAULT_STRANGER && !f->again) /* nobody takes a random name just after we asked for it */
        model_add_record(m, f->act.name, 0)->stranger = true;
    if (find_record_named(m, f->act.name)) {
        f->outcome = OUTCOME_CONFLICT;
        return;
    }
    f->record = model_add_record(m, f->act.name, f->act.who);
    f->runners = arena_alloc(&m->arena, sizeof(*f->runners));
    show_record(m, f, f->record);
    AUTO_FREE char *jit = xasprintf("jit-%" PRId64, f->record->id);
    f->jit = arena_strdup(&m->arena, jit);
}

static void delete_record(struct model *m, struct flight *f)
{
    struct model_record *r = f->record;
    bool lies = r && m->now < r->lies_to && r->lies_fully;
    if (!r || !r->exists) {
        f->outcome = OUTCOME_NOT_FOUND;
    } else if (r->busy && !lies) {
        f->outcome = OUTCOME_BUSY;
    } else {
        r->exists = r->online = false;
    }
}

static void check_tags(struct model *m, const struct model_instance *i)
{
    const struct ec2_instance *v = &i->view;
    struct limits limits = { 0 };
    const char *text = ec2_instance_tag(v, TAG_LIMITS);
    if (!ec2_instance_tag(v, TAG_FLEET) || !ec2_instance_tag(v, TAG_SCOPE) || !ec2_instance_tag(v, TAG_RUN) ||
        !str_eq(ec2_instance_tag(v, TAG_LABEL), m->label) || !str_eq(ec2_instance_tag(v, TAG_ROLE), "runner") ||
        !text || !limits_parse(text, &limits) || limits.life <= 0 || limits.boot <= 0)
        model_break(m, 8, "instance %s lacks the tags by which stop and reap would find it", v->id);
    if (!i->record || !str_eq(i->record->name, ec2_instance_tag(v, TAG_RUNNER)))
        model_break(m, 8, "instance %s names no runner of its own", v->id);
}

static const char *parameters_of(struct model *m, const struct ec2_run *run)
{
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_addf(&text, "%s %s %s %s %d %s", run->region, run->image, run->type, run->subnet, run->spot, run->user_data);
    for (size_t t = 0; t < run->n_tags; t++)
        strbuf_addf(&text, " %s=%s", run->tags[t].key, run->tags[t].value);
    return arena_strdup(&m->arena, strbuf_str(&text));
}

static void check_token(struct model *m, const struct ec2_run *run)
{
    const char *parameters = parameters_of(m, run);
    for (size_t t = 0; t < m->n_tokens; t++) {
        if (!str_eq(m->tokens[t].token, run->client_token))
            continue;
        if (!str_eq(m->tokens[t].parameters, parameters))
            model_break(m, 7, "token %s with other parameters: %s, then %s", run->client_token, m->tokens[t].parameters,
                        parameters);
        return;
    }
    m->tokens = xreallocarray(m->tokens, m->n_tokens + 1, sizeof(*m->tokens));
    m->tokens[m->n_tokens].token = arena_strdup(&m->arena, run->client_token);
    m->tokens[m->n_tokens++].parameters = parameters;
}

static void run_instance(struct model *m, struct flight *f, const struct ec2_run *run)
{
    AUTO_FREE char *zone = xasprintf("zone-of-%s", run->subnet);
    struct model_instance *i = NULL;
    f->instances = arena_alloc(&m->arena, sizeof(*f->instances));
    for (size_t n = 0; n < m->n_instances && !i; n++) /* tokens are zonal */
        if (str_eq(m->instances[n]->view.client_token, run->client_token) && str_eq(m->instances[n]->view.zone, zone))
            i = m->instances[n];
    if (i && !model_is_live(m, i)) {
        f->outcome = OUTCOME_TOKEN_USED;
        return;
    }
    if (!i) {
        for (size_t n = 0; n < m->n_instances; n++)
            if (!m->instances[n]->decor && m->instances[n]->slot == f->act.who && model_is_live(m, m->instances[n]))
                model_break(m, 3, "slot %zu gets a second instance beside %s", f->act.who, m->instances[n]->view.id);
        i = model_add_instance(m, run->region, run->subnet, run->client_token, run->tags, run->n_tags);
        i->slot = f->act.who;
        check_tags(m, i);
    }
    if (f->fault == FAULT_TOKEN_USED || f->fault == FAULT_TOKEN_USED_BUSY) {
        f->outcome = OUTCOME_TOKEN_USED;
        die(m, i, m->now);
        if (f->fault == FAULT_TOKEN_USED_BUSY && i->record && i->record->exists)
            i->record->busy = i->record->took_job = true; /* GitHub takes minutes to see that it died */
        return;
    }
    show_instance(m, f, i);
}

static void terminate(struct model *m, struct flight *f)
{
    struct model_instance *i = find_instance(m, f->act.instance_id);
    if (!i || m->now < i->endable_at || m->now - 3600000 > i->dead_at) {
        f->outcome = OUTCOME_NOT_FOUND;
    } else if (model_is_live(m, i)) {
        die(m, i, m->now);
        i->ended = true;
    }
}

static void take_effect(struct model *m, struct flight *f)
{
    static const enum outcome plain[FAULT_COUNT] = {
        [FAULT_THROTTLED] = OUTCOME_THROTTLED,
        [FAULT_FAILED] = OUTCOME_FAILED,
        [FAULT_CAPACITY] = OUTCOME_CAPACITY,
        [FAULT_SUBNET_FULL] = OUTCOME_SUBNET_FULL,
        [FAULT_QUOTA] = OUTCOME_QUOTA,
        [FAULT_GET_404] = OUTCOME_NOT_FOUND,
        [FAULT_AMBIGUOUS_UNDONE] = OUTCOME_AMBIGUOUS,
    };
    f->had_effect = true;
    f->outcome = plain[f->fault];
    if (f->outcome != OUTCOME_OK)
        return;
    switch (f->act.kind) {
    case ACT_MINT:
        mint(m, f);
        break;
    case ACT_FIND:
    case ACT_LIST:
        list_records(m, f);
        break;
    case ACT_GET:
        f->runners = arena_alloc(&m->arena, sizeof(*f->runners));
        if (f->record && f->record->exists)
            show_record(m, f, f->record);
        else
            f->outcome = OUTCOME_NOT_FOUND;
        break;
    case ACT_DELETE:
        delete_record(m, f);
        break;
    case ACT_TERMINATE:
        terminate(m, f);
        break;
    case ACT_SETTLE:
    case ACT_LOOK:
    case ACT_SCAN:
        describe(m, f);
        break;
    default:
        break;
    }
}

/* RunInstances is rendered when it is asked for, since the machine moves on; it takes effect later. */
struct run_flight {
    struct flight flight; /* first */
    struct ec2_run run;
};

static void flight_effect(struct model *m, struct flight *f)
{
    take_effect(m, f);
    if (f->act.kind == ACT_RUN && f->outcome == OUTCOME_OK)
        run_instance(m, f, &((struct run_flight *)f)->run);
    if (f->fault == FAULT_AMBIGUOUS_DONE || f->fault == FAULT_AMBIGUOUS_LATE)
        f->outcome = OUTCOME_AMBIGUOUS;
}

/* --- actions are sent --------------------------------------------------------------------------------------------- */

static const enum fault faults_of[ACT_MARK + 1][14] = {
    [ACT_MINT] = { FAULT_AMBIGUOUS_DONE, FAULT_AMBIGUOUS_UNDONE, FAULT_AMBIGUOUS_DONE, FAULT_STRANGER, FAULT_STRANGER,
                   FAULT_SLOW, FAULT_THROTTLED, FAULT_FAILED },
    [ACT_FIND] = { FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_FAILED, FAULT_SLOW },
    [ACT_LIST] = { FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_THROTTLED, FAULT_SLOW, FAULT_FAILED },
    [ACT_GET] = { FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_THROTTLED, FAULT_SLOW, FAULT_FAILED, FAULT_GET_404 },
    [ACT_DELETE] = { FAULT_AMBIGUOUS_DONE, FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_FAILED, FAULT_SLOW },
    [ACT_RUN] = { FAULT_AMBIGUOUS_DONE, FAULT_AMBIGUOUS_DONE, FAULT_AMBIGUOUS_UNDONE, FAULT_AMBIGUOUS_LATE, FAULT_SLOW,
                  FAULT_CAPACITY, FAULT_CAPACITY, FAULT_SUBNET_FULL, FAULT_QUOTA, FAULT_TOKEN_USED,
                  FAULT_TOKEN_USED_BUSY, FAULT_THROTTLED, FAULT_FAILED },
    [ACT_SETTLE] = { FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_FAILED, FAULT_SLOW },
    [ACT_LOOK] = { FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_THROTTLED, FAULT_SLOW, FAULT_FAILED },
    [ACT_SCAN] = { FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_FAILED, FAULT_SLOW },
    [ACT_TERMINATE] = { FAULT_AMBIGUOUS_DONE, FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_FAILED, FAULT_SLOW },
    [ACT_CONSOLE] = { FAULT_FAILED, FAULT_SLOW },
};

static enum fault draw(struct model *m, const struct act *a, uint64_t place)
{
    size_t n = 0;
    const enum fault *faults = faults_of[a->kind];
    if (m->per_mille == 0)
        return FAULT_NONE;
    while (n < ARRAY_SIZE(faults_of[0]) && faults[n])
        n++;
    /* What is asked every second must not be the first thing to fail in every launch. */
    bool poll = a->kind == ACT_GET || a->kind == ACT_LIST || a->kind == ACT_LOOK;
    enum fault f = n ? faults[model_pick(m, place ^ 0xd4a3, n)] : FAULT_NONE;
    if (f && model_fault(m, f, place, poll ? m->per_mille / 10 : m->per_mille,
                         m->tracing ? say(m, "on", act_name(a->kind), a->who) : ""))
        return f;
    return FAULT_NONE;
}

static void check_delete(struct model *m, const struct act *a)
{
    struct model_record *r = find_record(m, a->runner_id);
    m->deletes++;
    if (r && r->fence_asked == 0)
        r->fence_asked = m->now;
    if (!r || r->stranger)
        model_break(m, 8, "deletes runner %" PRId64 ", which is not its own", a->runner_id);
    for (size_t n = 0; r && m->may_touch && n < m->n_instances; n++)
        if (m->instances[n]->record == r && !m->may_touch(m, m->instances[n]))
            model_break(m, 8, "deletes the runner of %s, which is not meant", m->instances[n]->view.id);
}

static void check_terminate(struct model *m, const struct act *a)
{
    const struct model_instance *i = find_instance(m, a->instance_id);
    m->kills++;
    if (!i || (m->may_touch ? !m->may_touch(m, i) : i->decor)) {
        model_break(m, 8, "terminates %s, which is not meant", a->instance_id);
        return;
    }
    const struct model_record *r = i->record;
    /* stop does not know a record of another scope. */
    bool waited = r && r->fence_asked && m->now - r->fence_asked >= (m->signalled_at < INT64_MAX ? 0 : PAIR_FENCE_MS);
    if (r && !r->fence_answered && !waited && (!m->may_touch || str_eq(ec2_instance_tag(&i->view, TAG_SCOPE), "o/r")))
        model_break(m, 5, "terminates %s before the deletion of its runner was answered", a->instance_id);
    if (r && m->may_touch && m->spares_busy && !r->fenced && !r->stranger)
        model_break(m, 4, "terminates %s, whose runner may run a job", a->instance_id);
    if (r && m->spares_busy && r->refused_busy)
        model_break(m, 4, "terminates %s, whose runner could not be deleted since it runs a job", a->instance_id);
    if (r && m->spares_busy && r->told_busy && r->busy && model_is_live(m, i))
        model_break(m, 4, "terminates %s, whose runner was seen to be busy and is", a->instance_id);
}

static void check_run(struct model *m, const struct act *a, const struct ec2_run *run)
{
    check_token(m, run);
    if (!str_eq(run->client_token, a->client_token))
        model_break(m, 7, "asks with token %s and renders %s", a->client_token, run->client_token);
    if (m->unsure_token[a->who] && !str_eq(m->unsure_token[a->who], a->client_token))
        model_break(m, 3, "slot %zu is launched again while the outcome of %s is unknown", a->who,
                    m->unsure_token[a->who]);
}

static const char *copy(struct model *m, const char *s)
{
    return s ? arena_strdup(&m->arena, s) : NULL;
}

static struct flight *new_flight(struct model *m, const struct act *a)
{
    struct run_flight *f = xcalloc(1, sizeof(*f));
    f->flight.act = *a;
    f->flight.act.region = copy(m, a->region);
    f->flight.act.name = copy(m, a->name);
    f->flight.act.client_token = copy(m, a->client_token);
    f->flight.act.instance_id = copy(m, a->instance_id);
    if (a->ids) {
        f->flight.ids = arena_alloc(&m->arena, a->ids->n * sizeof(const char *));
        for (size_t i = 0; i < a->ids->n; i++)
            f->flight.ids[f->flight.n_ids++] = copy(m, a->ids->v[i]);
    }
    if (a->kind == ACT_RUN) {
        m->machine->render(m->machine, a->who, &m->arena, &f->run);
        f->run.client_token = copy(m, f->run.client_token);
        check_run(m, a, &f->run);
    }
    if (a->kind == ACT_MINT) {
        f->flight.again = str_eq(m->asked_name[a->who], a->name);
        m->asked_name[a->who] = f->flight.act.name;
    }
    if (a->kind == ACT_GET || a->kind == ACT_DELETE)
        f->flight.record = find_record(m, a->runner_id);
    return &f->flight;
}

static void send(struct model *m, const struct act *a)
{
    size_t who = a->who % WHO_COUNT;
    uint64_t place = (uint64_t)1 << 40 | (uint64_t)m->phase << 36 | (uint64_t)a->kind << 28 | (uint64_t)who << 20 |
                     m->nth[m->phase][a->kind][who]++;
    model_trace(m, "> %s %zu %s%s%s", act_name(a->kind), a->who, a->name ? a->name : "",
                a->client_token ? a->client_token : "", a->instance_id ? a->instance_id : "");
    struct flight *f = new_flight(m, a);
    if (a->kind == ACT_DELETE)
        check_delete(m, a);
    if (a->kind == ACT_TERMINATE)
        check_terminate(m, a);
    f->fault = draw(m, a, place);
    int64_t most = f->fault == FAULT_SLOW ? 28000 : a->kind == ACT_RUN ? 2500 : 700;
    f->answer_at = m->now + between(m, place + 1, f->fault == FAULT_SLOW ? 3000 : 20, most);
    f->effect_at = between(m, place + 2, m->now + 10, f->answer_at);
    if (f->fault == FAULT_AMBIGUOUS_LATE)
        f->effect_at = f->answer_at + between(m, place + 3, 1, 5000);
    f->next = m->flights;
    m->flights = f;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void step(struct model *m, const struct event *e)
{
    struct acts acts = { 0 };
    if (e->kind == EVENT_SIGNAL)
        m->signalled_at = m->now;
    m->machine->step(m->machine, e, &acts);
    for (size_t i = 0; i < acts.n && !m->broken; i++)
        send(m, &acts.v[i]);
    m->idle_steps = acts.n > 0 || e->kind != EVENT_TIME || m->machine->wake > m->now ? 0 : m->idle_steps + 1;
    acts_clear(&acts);
    if (++m->steps > MAX_STEPS || m->idle_steps > MAX_IDLE_STEPS)
        model_break(m, 6, "%lld steps, and no end", (long long)m->steps);
    if (m->now > m->end_by)
        model_break(m, 6, "not done in time");
    if (m->signalled_at < INT64_MAX && m->now > m->signalled_at + SIGNAL_LIMIT_MS)
        model_break(m, 6, "not done within 8 s of the signal");
    if (m->machine->done || m->steps > m->crash_after)
        m->machine = NULL;
}

/* What the machine knows from now on. */
static void note(struct model *m, const struct flight *f)
{
    size_t who = f->act.who;
    if (f->act.kind == ACT_DELETE && f->record) {
        f->record->fence_answered = true;
        f->record->fenced = f->outcome == OUTCOME_OK || f->outcome == OUTCOME_NOT_FOUND;
        f->record->refused_busy = f->record->refused_busy || f->outcome == OUTCOME_BUSY;
    } else if (f->act.kind == ACT_RUN) {
        m->unsure_token[who] = f->outcome == OUTCOME_AMBIGUOUS ? f->act.client_token : NULL;
    } else if (f->act.kind == ACT_SETTLE && f->n_instances > 0) {
        m->unsure_token[who] = NULL;
    }
    for (size_t i = 0; f->outcome == OUTCOME_OK && i < f->n_runners; i++)
        if (f->runners[i].busy)
            find_record(m, f->runners[i].id)->told_busy = true;
    m->scan_failed = m->scan_failed || (f->act.kind == ACT_SCAN && f->outcome != OUTCOME_OK);
    bool ends = f->act.kind == ACT_DELETE || f->act.kind == ACT_TERMINATE || f->act.kind == ACT_FIND ||
                f->act.kind == ACT_SETTLE;
    bool unclear = (f->act.kind == ACT_RUN || f->act.kind == ACT_MINT) && f->outcome == OUTCOME_AMBIGUOUS;
    if ((ends && f->outcome != OUTCOME_OK && f->outcome != OUTCOME_NOT_FOUND) || unclear)
        m->undo_trouble = true;
}

static void answer(struct model *m, struct flight *f)
{
    AUTO_ERROR err = { 0 };
    struct event e = { .kind = EVENT_ANSWER,
                       .now = m->now,
                       .act = f->act.kind,
                       .who = f->act.who,
                       .outcome = f->outcome,
                       .error = &err,
                       .pages = f->act.kind == ACT_LIST ? 1 + (unsigned)model_pick(m, 'p', 4) : 0,
                       .jit = f->jit,
                       .text = "mayfly: phase boot\n",
                       .cloud_now = EPOCH + m->now / 1000 };
    if (f->outcome == OUTCOME_OK) {
        e.instances = f->instances;
        e.n_instances = f->n_instances;
        e.runners = f->runners;
        e.n_runners = f->n_runners;
    } else {
        error_set(&err, ERROR_NET, 0, "the model says %s", outcome_names[f->outcome]);
    }
    model_trace(m, "< %s %zu %s", act_name(f->act.kind), f->act.who, outcome_names[f->outcome]);
    note(m, f);
    step(m, &e);
}

/* --- time --------------------------------------------------------------------------------------------------------- */

static void unlink_flight(struct model *m, struct flight *f)
{
    struct flight **at = &m->flights;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
}

/* Does what comes next, up to `until`; false: nothing does. */
static bool next_event(struct model *m, int64_t until)
{
    struct flight *flight = NULL;
    size_t instance = 0;
    int what = -1;
    int64_t at = until;
    for (struct flight *f = m->flights; f; f = f->next) {
        int64_t when = f->answer_at;
        if (!f->had_effect && f->effect_at < when)
            when = f->effect_at;
        if (when < at) {
            at = when;
            flight = f;
        }
    }
    for (size_t i = 0; i < m->n_instances; i++)
        for (int e = 0; e < AT_COUNT; e++)
            if (m->instances[i]->at[e] < at) {
                at = m->instances[i]->at[e];
                instance = i;
                what = e;
            }
    if (what >= 0)
        flight = NULL;
    int64_t wake = m->machine ? m->machine->wake : INT64_MAX;
    bool signal = m->machine && m->signal_at < at && m->signal_at <= wake;
    bool time = !signal && wake < at;
    at = signal ? m->signal_at : time ? wake : at;
    if (at >= until)
        return false;
    m->now = at > m->now ? at : m->now;
    if (signal || time) {
        struct event e = { .kind = signal ? EVENT_SIGNAL : EVENT_TIME, .now = m->now };
        if (signal) {
            m->signal_at = INT64_MAX;
            model_trace(m, "  ! a signal");
        }
        step(m, &e);
    } else if (what >= 0) {
        instance_event(m, m->instances[instance], instance, what);
    } else if (!flight->had_effect && flight->effect_at <= at) {
        flight_effect(m, flight);
        if (flight->answer_at == INT64_MAX) { /* it was given up */
            unlink_flight(m, flight);
            free(flight);
        }
    } else if (!flight->had_effect) { /* given up before its effect */
        struct flight lost = *flight;
        lost.outcome = OUTCOME_AMBIGUOUS;
        flight->answer_at = INT64_MAX;
        if (m->machine)
            answer(m, &lost);
    } else {
        unlink_flight(m, flight);
        if (m->machine)
            answer(m, flight);
        free(flight);
    }
    return true;
}

/* Nobody waits any more, and it happens all the same. */
static void land_flights(struct model *m)
{
    while (m->flights) {
        struct flight *f = m->flights;
        m->flights = f->next;
        if (!f->had_effect)
            flight_effect(m, f);
        free(f);
    }
}

void model_run(struct model *m, struct machine *machine)
{
    struct event start = { .kind = EVENT_START, .now = m->now };
    m->machine = machine;
    m->steps = m->idle_steps = 0;
    m->signalled_at = INT64_MAX;
    step(m, &start);
    while (m->machine && !m->broken)
        if (!next_event(m, INT64_MAX)) {
            model_break(m, 6, "waits for nothing");
            break;
        }
    if (!m->broken && m->now > m->end_by)
        model_break(m, 6, "not done in time");
    m->machine = NULL;
    if (!m->broken)
        land_flights(m);
}

void model_pass(struct model *m, int64_t ms)
{
    int64_t until = m->now + ms;
    while (next_event(m, until))
        ;
    m->now = until;
}
