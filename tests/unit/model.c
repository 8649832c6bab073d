#include "model.h"

#include <inttypes.h>

#include "mayfly/aws/call.h"
#include "mayfly/runner/drive.h"
#include "mayfly/runner/tags.h"
#include "mayfly/util/encode.h"

enum {
    MAX_STEPS = 40000,
    MAX_IDLE_STEPS = 50, /* without anything done, at one moment */
    SIGNAL_LIMIT_MS = 8000,
    SIGNAL_KILL_MS = 3000,
};

struct flight {
    struct act act; /* strings copied */
    size_t of;      /* the machine */
    int64_t sent_at;
    const char **ids;
    size_t n_ids;
    enum fault fault;
    bool cut;               /* not waited for */
    bool had_effect, again; /* again: a record of this name was asked for before */
    int64_t effect_at, answer_at;
    enum outcome outcome;
    struct ec2_instance *instances;
    struct github_runner *runners;
    size_t n_instances, n_runners;
    struct github_job *jobs;
    struct ec2_change *changes;
    size_t n_jobs, n_changes;
    struct model_record *record; /* minted, asked for or deleted */
    const char *code;            /* of FAULT_REFUSED: AWS's */
    const char *jit, *text;
    struct flight *next;
};

const char *fault_name(enum fault f)
{
    static const char *const names[FAULT_COUNT] = {
        "none",        "ambiguous-done", "ambiguous-undone", "ambiguous-late",
        "slow",        "throttled",      "failed",           "capacity",
        "subnet-full", "quota",          "token-used",       "token-used-busy",
        "stranger",    "get-404",        "list-lags",        "invisible",
        "unendable",   "dies-booting",   "dies-later",       "never-online",
        "slow-boot",   "record-dropped", "busy-lies",        "no-rights",
        "refused",     "taken-back",     "signal",           "crash",
        "silence",     "list-skips",     "tag-lags",         "blip",
        "hangs",       "job-now",        "outage",           "state-lags",
        "date-lags",   "kept-now",       "forgets",          "registration-lies",
        "other-run",   "console-lags",   "console-empty",    "no-idle-limit",
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
                         .second_at = INT64_MAX,
                         .signal_at = INT64_MAX,
                         .signalled_at = INT64_MAX,
                         .hurry_from = INT64_MAX,
                         .crash_after = INT64_MAX };
    m->per_mille = rates[model_pick(m, 'r', ARRAY_SIZE(rates))];
    /* Half of the kinds are missing in a seed: a kind that ends every launch early would hide what others do. */
    m->swarm = model_pick(m, 's', UINT32_MAX) | model_pick(m, 'S', UINT32_MAX) << 32;
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

bool model_waits(const struct model *m, const struct model_instance *i)
{
    return i->queued_at && m->now >= i->queued_at && i->at[AT_JOB] < INT64_MAX;
}

static const char *state_of(const struct model *m, const struct model_instance *i)
{
    return i->halted && m->now < i->dead_at ? i->halted
           : m->now - 30000 >= i->dead_at   ? "terminated"
           : m->now >= i->dead_at           ? "shutting-down"
           : m->now >= i->running_at        ? "running"
                                            : "pending";
}

/* What descriptions say. */
static const char *state_seen(const struct model *m, const struct model_instance *i)
{
    return m->now >= i->dead_at && m->now < i->death_seen_at ? "running" : state_of(m, i);
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
    *r = (struct model_record){ .id = (int64_t)(1000 + m->n_records),
                                .name = arena_strdup(&m->arena, name),
                                .slot = slot,
                                .exists = true,
                                .born_at = m->now };
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

static const struct {
    const char *code;
    bool final;
} reasons[] = {
    { "Server.SpotInstanceTermination", false },
    { "Server.InsufficientInstanceCapacity", false },
    { "Server.InternalError", false },
    { "Client.VolumeLimitExceeded", false },
    { "Client.InternalError", true },
    { "Client.InvalidSnapshot.NotFound", true },
    { "Client.UserInitiatedShutdown", true },
    { "Client.InstanceInitiatedShutdown", true },
    { "Server.NobodyKnowsThis", true },
};

static bool is_final(const char *reason)
{
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if (str_eq(reasons[i].code, reason))
            return reasons[i].final;
    return true;
}

struct model_instance *model_add_instance(struct model *m, const char *region, const char *subnet, const char *token,
                                          const struct ec2_tag *tags, size_t n_tags)
{
    struct model_instance *i = arena_alloc(&m->arena, sizeof(*i));
    uint64_t place = (uint64_t)(m->n_instances + 1) << 24, runner_id = 0;
    /* Which of two launched in one second has the lower id is chance. */
    AUTO_FREE char *id = xasprintf("i-%017zx", model_pick(m, 'i', 2) ? m->n_instances + 1 : 0xfff - m->n_instances);
    AUTO_FREE char *zone = xasprintf("zone-of-%s", subnet);
    m->instances = xreallocarray(m->instances, m->n_instances + 1, sizeof(struct model_instance *));
    m->instances[m->n_instances++] = i;
    i->region = arena_strdup(&m->arena, region);
    i->view = (struct ec2_instance){
        .id = arena_strdup(&m->arena, id),
        .subnet = arena_strdup(&m->arena, subnet),
        .zone = arena_strdup(&m->arena, zone),
        .client_token = token ? arena_strdup(&m->arena, token) : NULL,
        .launch_time = arena_strdup(&m->arena, clock_rfc3339(MODEL_EPOCH + m->now / 1000).s),
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
    i->at[AT_ONLINE] = i->running_at + between(m, place + 1, 3000, 50000);
    if (model_fault(m, FAULT_SLOW_BOOT, place, m->per_mille, what))
        i->at[AT_ONLINE] += between(m, place + 2, 10000, 400000);
    if (model_fault(m, FAULT_NEVER_ONLINE, place, m->per_mille, what))
        i->at[AT_ONLINE] = INT64_MAX;
    if (model_fault(m, FAULT_TAKEN_BACK, place, m->per_mille, what)) {
        i->at[AT_DIES] = m->now + between(m, place + 3, 1, 40000);
        i->reason = reasons[model_pick(m, place + 15, ARRAY_SIZE(reasons))].code;
    } else if (model_fault(m, FAULT_DIES_BOOTING, place, m->per_mille, what))
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
    if (when < i->dead_at) {
        i->dead_at = when;
        if (m->reaps && model_fault(m, FAULT_STATE_LAGS, (uint64_t)i->launched_at, m->per_mille * 2, i->view.id))
            i->death_seen_at = when + between(m, (uint64_t)i->launched_at, 100, 30000);
    }
    if (m->now >= i->dead_at && i->record)
        i->record->online = false;
}

bool model_forgets(const struct model *m, int64_t when)
{
    return when >= m->forgets_from && when < m->forgets_to;
}

/* A job begins: only a runner that is online, and whose record exists, gets one. */
static void job_begins(struct model *m, struct model_instance *i, uint64_t place)
{
    struct model_record *r = i->record;
    /* A machine without its idle limit, a GitHub that hides it and gives it a job, and all at this moment: what is left
     * is too little. */
    bool hidden = model_forgets(m, m->now) && i->at[AT_IDLE] == INT64_MAX;
    if (!r->exists || !r->online || m->jobs == 0 || i->hung || r->took_job || hidden)
        return;
    m->jobs--;
    r->busy = r->took_job = true;
    r->lies_to = m->now;
    if (model_fault(m, FAULT_BUSY_LIES, place, m->per_mille * 2, i->view.id)) {
        r->lies_to = m->now + between(m, place + 6, 1000, 60000);
        r->lies_fully = model_pick(m, place + 7, 2);
    }
    i->at[AT_JOB_END] = m->now + between(m, place + 8, 2000, m->job_ms ? m->job_ms : 600000);
    i->at[AT_IDLE] = INT64_MAX;
    i->job_at = m->now + between(m, place + 16, 500, 8000); /* until its hook runs */
    if (m->reaps && model_fault(m, FAULT_REGISTRATION_LIES, place + 17, m->per_mille * 2, i->view.id)) {
        r->lies_to = i->at[AT_JOB_END];
        r->lies_fully = model_pick(m, place + 18, 2);
        r->says_offline = model_pick(m, place + 19, 2);
    }
    r->other_run = m->reaps && model_fault(m, FAULT_OTHER_RUN, place + 20, m->per_mille * 2, i->view.id);
    if (m->reaps && model_fault(m, FAULT_BLIP, place + 11, m->per_mille * 2, i->view.id))
        i->at[AT_BLIP] = m->now + between(m, place + 12, 1, i->at[AT_JOB_END] - m->now);
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
        if (r && r->exists && !i->hung) {
            i->was_online = r->online = true;
            i->started_at = m->now;
            if (i->idle_ms)
                i->at[AT_IDLE] = m->now + i->idle_ms;
            if (!m->reaps) /* there the test says when */
                i->at[AT_JOB] = m->now + between(m, place + 9, 0, 40000);
            model_trace(m, "  * %s is online", i->view.id);
        } else {
            die(m, i,
                i->stays ? INT64_MAX : m->now + 300000); /* the box powers off; slowly, so that it hides no leak */
        }
        break;
    case AT_JOB:
        job_begins(m, i, place);
        break;
    case AT_JOB_END:
        r->exists = r->online = r->busy = false;
        r->job_over = true;
        r->says_offline = false;
        i->done_at = i->exited_at = m->now;
        if (!i->stays)
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
    case AT_BLIP:
        if (r->busy && !i->hung) {
            r->online = false;
            i->unheard_at = m->now;
            i->at[AT_BACK] = m->now + between(m, place + 13, 1000, 360000);
            model_trace(m, "  * %s is not heard of", i->view.id);
        }
        break;
    case AT_BACK:
        r->online = r->exists && !i->hung;
        break;
    case AT_HANG: /* its job, if it has one, is over when GitHub says so, some ten minutes later */
        i->hung = true;
        i->done_at = m->now;
        i->at[AT_JOB_END] = INT64_MAX;
        if (r) {
            r->online = false;
            r->lets_go = model_pick(m, place + 15, 2);
            i->at[AT_UNLOCK] = m->now + between(m, place + 14, 480000, 2400000);
        }
        model_trace(m, "  * %s hangs", i->view.id);
        break;
    case AT_IDLE: /* the machine tells its runner to leave; GitHub keeps the record */
        if (i->hung || r->took_job)
            break;
        r->online = false;
        i->done_at = i->exited_at = m->now;
        if (!i->stays)
            die(m, i, m->now + 2000);
        model_trace(m, "  * %s ends at its idle limit", i->view.id);
        break;
    case AT_UNLOCK: /* the job is given up, and its runner's flag at once, or later */
        if (r->busy && !r->job_over && model_pick(m, place + 21, 2)) {
            r->job_over = true;
            i->at[AT_UNLOCK] = m->now + between(m, place + 22, 2400000, 7200000);
            break;
        }
        r->job_over = r->job_over || r->busy;
        r->busy = false;
        break;
    default:
        break;
    }
}

/* --- actions take effect ------------------------------------------------------------------------------------------ */

static void add_tag(struct model *m, struct field_list *tags, const char *key, const char *value)
{
    *(struct ec2_tag *)field_list_add(tags, sizeof(struct ec2_tag), &m->arena) = (struct ec2_tag){ key, value };
}

static void show_instance(struct model *m, struct flight *f, const struct model_instance *i)
{
    struct ec2_instance *v = &f->instances[f->n_instances++];
    *v = i->view;
    v->state_name = state_seen(m, i);
    v->reason_code = m->now >= i->dead_at ? i->reason : NULL;
    if (m->now >= i->mark_seen_at)
        return;
    v->tags = (struct field_list){ 0 };
    for (size_t t = 0; t < i->view.tags.n; t++) {
        struct ec2_tag tag = *FIELD_ROW(&i->view.tags, struct ec2_tag, t);
        if (str_eq(tag.key, i->lagging))
            tag.value = i->old_mark;
        if (tag.value)
            add_tag(m, &v->tags, tag.key, tag.value);
    }
}

static bool is_in_filter(const struct ec2_filter *filter, const char *value)
{
    for (size_t n = 0; value && n < filter->values->n; n++) {
        const char *wanted = filter->values->v[n];
        const size_t len = strlen(wanted);
        if (filter->pattern ? len > 0 && wanted[len - 1] == '*' && strncmp(value, wanted, len - 1) == 0
                            : str_eq(value, wanted))
            return true;
    }
    return false;
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
                            : str_eq(filter->name, "instance-state-name") ? state_seen(m, i)
                                                                          : NULL;
        if (!is_in_filter(filter, value))
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
            i->told_final = i->told_final || (f->act.kind == ACT_LOOK && m->now >= i->dead_at && is_final(i->reason));
            if (f->act.kind == ACT_LOOK)
                i->looked_at[f->of] = m->now;
        }
    }
}

/* A reaper's mark, as the test judges by it. */
static void keep_mark(struct model *m, const struct flight *f, struct model_instance *i)
{
    const char *at = f->act.mark ? strchr(f->act.mark, '@') : NULL;
    if (i->n_marks && i->marks[(i->n_marks - 1) % ARRAY_SIZE(i->marks)].gone_at == INT64_MAX)
        i->marks[(i->n_marks - 1) % ARRAY_SIZE(i->marks)].gone_at = m->now;
    if (!at)
        return;
    AUTO_FREE char *rule = xstrndup(f->act.mark, (size_t)(at - f->act.mark));
    i->marks[i->n_marks++ % ARRAY_SIZE(i->marks)] =
        (struct model_mark){ .rule = arena_strdup(&m->arena, rule), .asked_at = f->sent_at, .gone_at = INT64_MAX };
}

/* The tag as a whole is replaced, or taken away. */
static void set_tag(struct model *m, const struct flight *f, struct model_instance *i, uint64_t place)
{
    struct field_list tags = { 0 };
    const char *key = f->act.tag ? f->act.tag : TAG_MARK;
    i->lagging = key;
    i->old_mark = ec2_instance_tag(&i->view, key);
    i->mark_seen_at = m->now;
    if ((i->old_mark || f->act.tag) && model_fault(m, FAULT_TAG_LAGS, place, m->per_mille * 2, i->view.id))
        i->mark_seen_at += between(m, (uint64_t)m->now, 100, 30000);
    for (size_t t = 0; t < i->view.tags.n; t++) {
        const struct ec2_tag *tag = FIELD_ROW(&i->view.tags, struct ec2_tag, t);
        if (!str_eq(tag->key, key))
            add_tag(m, &tags, tag->key, tag->value);
    }
    if (f->act.mark)
        add_tag(m, &tags, key, f->act.mark);
    i->view.tags = tags;
}

/* One id that EC2 does not know yet, and none is tagged. */
static void mark_instances(struct model *m, struct flight *f)
{
    for (size_t n = 0; n < f->n_ids; n++)
        if (!m->reaps && m->now < find_instance(m, f->ids[n])->visible_at)
            f->outcome = OUTCOME_NOT_FOUND;
    for (size_t n = 0; n < f->n_ids && f->outcome == OUTCOME_OK; n++) {
        struct model_instance *i = find_instance(m, f->ids[n]);
        if (!f->act.tag)
            keep_mark(m, f, i);
        set_tag(m, f, i, (uint64_t)m->now << 8 | n);
    }
}

/* What the machine has printed, up to a moment. A runner whose record is gone ends by itself, soon. */
static void read_console(struct model *m, struct flight *f)
{
    const struct model_instance *i = find_instance(m, f->act.instance_id);
    const uint64_t place = (uint64_t)m->now << 8 | 'c';
    AUTO_STRBUF text = STRBUF_INIT;
    int64_t as_of = m->now;
    if (!i || !model_is_live(m, i)) {
        f->outcome = i ? OUTCOME_OK : OUTCOME_NOT_FOUND;
        f->text = "";
        return;
    }
    if (model_fault(m, FAULT_CONSOLE_LAGS, place, m->per_mille * 2, i->view.id))
        as_of -= between(m, place, 1, 60000);
    const struct {
        int64_t at;
        const char *line;
    } lines[] = {
        { i->running_at + 1, "[ 0.0] Linux\nmayfly: phase booting (1s)\n" },
        { i->started_at, "mayfly: phase runner-starting (2s)\n" },
        { i->job_at, "mayfly: phase job-started (3s)\n" },
        { i->exited_at, "mayfly: phase runner-exited 0 (4s)\nmayfly: phase poweroff (4s)\n" },
    };
    for (size_t n = 0; n < ARRAY_SIZE(lines); n++)
        if (lines[n].at && lines[n].at <= as_of && !(i->hung && n > 0 && lines[n].at > i->done_at))
            strbuf_adds(&text, lines[n].line);
    bool empty = model_fault(m, FAULT_CONSOLE_EMPTY, (uint64_t)i->launched_at << 8 | 'e', m->per_mille, i->view.id);
    f->text = empty ? "" : arena_strdup(&m->arena, strbuf_str(&text));
}

static bool is_of_run(const struct model_instance *i, const struct act *a)
{
    AUTO_FREE char *run = xasprintf("%" PRId64 "/1", a->run_id);
    return str_eq(ec2_instance_tag(&i->view, TAG_RUN), run) && str_eq(ec2_instance_tag(&i->view, TAG_REPO), a->repo);
}

/* The jobs of the workflow run: what a runner took, and what became of it; and what waits for a label. */
static void list_jobs(struct model *m, struct flight *f)
{
    f->jobs = arena_alloc(&m->arena, (m->n_instances + 1) * sizeof(*f->jobs));
    for (size_t n = 0; n < m->n_instances; n++) {
        const struct model_instance *i = m->instances[n];
        const struct model_record *r = i->record;
        if (!r || !is_of_run(i, &f->act) || !(r->took_job || model_waits(m, i)) || r->other_run)
            continue;
        struct github_job *job = &f->jobs[f->n_jobs++];
        *job = (struct github_job){ .id = r->id, .status = "queued" };
        if (r->took_job) {
            job->status = r->job_over ? "completed" : "in_progress";
            job->runner_name = r->name;
        }
        *(const char **)field_list_add(&job->labels, sizeof(const char *), &m->arena) =
            ec2_instance_tag(&i->view, TAG_LABEL);
    }
    f->outcome = model_forgets(m, m->now) ? OUTCOME_NOT_FOUND : OUTCOME_OK;
    f->n_jobs = model_forgets(m, m->now) ? 0 : f->n_jobs;
}

static void show_record(const struct model *m, struct flight *f, const struct model_record *r)
{
    f->runners[f->n_runners++] = (struct github_runner){ .id = r->id,
                                                         .name = r->name,
                                                         .status = r->online && !r->says_offline ? "online" : "offline",
                                                         .busy = r->busy && m->now >= r->lies_to };
}

static bool is_in_scope(const struct model_record *r, const char *scope)
{
    return str_eq(r->scope ? r->scope : "o/r", scope ? scope : "o/r");
}

static void list_records(struct model *m, struct flight *f)
{
    f->runners = arena_alloc(&m->arena, (m->n_records + 1) * sizeof(*f->runners));
    for (size_t n = 0; n < m->n_records; n++) {
        const struct model_record *r = m->records[n];
        if (!is_in_scope(r, f->act.scope) || model_forgets(m, m->now))
            continue;
        if (m->reaps && f->act.kind == ACT_LIST && !r->stranger &&
            model_fault(m, FAULT_LIST_SKIPS, (uint64_t)m->now << 8 | n, m->per_mille / 2, r->name))
            continue;
        if (r->exists && m->now >= r->listed_at && (f->act.kind == ACT_LIST || str_eq(r->name, f->act.name)))
            show_record(m, f, r);
    }
}

static void mint(struct model *m, struct flight *f)
{
    if (f->fault == FAULT_STRANGER && !f->again && !f->cut) /* nobody takes a random name just after we asked for it */
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

/* A runner that runs no job notices within a minute that it is not known any more, and its machine powers off. */
static void end_listener(struct model *m, const struct model_record *r)
{
    for (size_t n = 0; m->reaps && n < m->n_instances; n++) {
        struct model_instance *i = m->instances[n];
        if (i->record == r && i->was_online && !r->took_job && !i->hung && model_is_live(m, i))
            i->at[AT_IDLE] = m->now + between(m, (uint64_t)m->now, 1000, 50000);
    }
}

static void delete_record(struct model *m, struct flight *f)
{
    struct model_record *r = f->record;
    bool lies = r && m->now < r->lies_to && r->lies_fully;
    if (!r || !r->exists || model_forgets(m, f->sent_at)) {
        f->outcome = OUTCOME_NOT_FOUND;
    } else if (r->busy && !lies && !r->lets_go) {
        f->outcome = OUTCOME_BUSY;
    } else {
        r->exists = r->online = false;
        end_listener(m, r);
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

/* What is the outcome of a call whose last answer this is, and some attempt of which may have had its effect? */
static enum outcome outcome_of(const char *code, bool lost)
{
    struct aws_call call = { .call = { .makes = true } };
    error_set(&call.call.error, ERROR_AWS, 400, "the model says no");
    str_set(&call.call.error.code, code);
    call.call.ambiguous = lost || !aws_is_refusal(&call.call.error);
    enum outcome outcome = drive_aws_outcome(&call);
    error_clear(&call.call.error);
    return outcome;
}

/* A retry is refused, with whatever AWS may say, which is not the truth about the attempt before it. */
static void refuse(struct model *m, struct flight *f, bool lost)
{
    bool spent = str_eq(f->code, "IdempotentInstanceTerminated");
    f->outcome = outcome_of(f->code, lost);
    for (size_t n = 0; n < m->n_instances && spent; n++) /* this is */
        if (str_eq(m->instances[n]->view.client_token, f->act.client_token))
            die(m, m->instances[n], m->now);
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

/* One id that is not found, and none is terminated. */
static void terminate(struct model *m, struct flight *f)
{
    f->changes = arena_alloc(&m->arena, f->n_ids * sizeof(*f->changes));
    for (size_t n = 0; n < f->n_ids; n++) {
        const struct model_instance *i = find_instance(m, f->ids[n]);
        if (!i || m->now < i->endable_at || m->now - 3600000 > i->dead_at)
            f->outcome = OUTCOME_NOT_FOUND;
    }
    for (size_t n = 0; n < f->n_ids && f->outcome == OUTCOME_OK; n++) {
        struct model_instance *i = find_instance(m, f->ids[n]);
        if (model_is_live(m, i)) {
            die(m, i, m->now);
            i->ended = true;
        }
        f->changes[f->n_changes++] = (struct ec2_change){ .id = i->view.id, .state_name = state_of(m, i) };
    }
}

/* A list that breaks off has shown some of its pages. */
static void show_pages(struct model *m, struct flight *f)
{
    if (f->act.kind == ACT_SCAN)
        describe(m, f);
    else if (f->act.kind == ACT_LIST)
        list_records(m, f);
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
    if (plain[f->fault] != OUTCOME_OK && f->act.by_page)
        show_pages(m, f);
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
        if (f->record && f->record->exists && !model_forgets(m, m->now))
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
    case ACT_MARK:
        mark_instances(m, f);
        break;
    case ACT_JOBS:
        list_jobs(m, f);
        break;
    case ACT_CONSOLE:
        if (m->reaps)
            read_console(m, f);
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

/* The worst moment for a job to begin. */
static void begin_job_now(struct model *m, const struct flight *f)
{
    const uint64_t place = (uint64_t)m->now << 8 | f->act.who % 256;
    bool asks = f->act.kind == ACT_GET || f->act.kind == ACT_DELETE || f->act.kind == ACT_LIST ||
                f->act.kind == ACT_JOBS || f->act.kind == ACT_LOOK || f->act.kind == ACT_TERMINATE;
    for (size_t n = 0; asks && n < m->n_instances; n++) {
        struct model_instance *i = m->instances[n];
        struct model_record *r = i->record;
        if (!r || !r->exists || !r->online || r->took_job || i->hung || !model_is_live(m, i) ||
            (f->record && f->record != r) || !model_fault(m, FAULT_JOB_NOW, place, m->per_mille * 2, i->view.id))
            continue;
        i->at[AT_JOB] = INT64_MAX;
        job_begins(m, i, place);
        if (r->took_job && r->lies_to < m->now + 60000) {
            r->lies_to = m->now + between(m, place, 1000, 60000);
            r->lies_fully = true;
        }
    }
}

static void keep_now(struct model *m, const struct flight *f)
{
    for (size_t n = 0; n < f->n_ids && f->act.kind == ACT_LOOK; n++) {
        struct model_instance *i = find_instance(m, f->ids[n]);
        if (i->kept_at || !model_fault(m, FAULT_KEPT_NOW, (uint64_t)m->now << 8 | n, m->per_mille / 4, i->view.id))
            continue;
        i->kept_at = m->now;
        add_tag(m, &i->view.tags, TAG_KEEP, "");
    }
}

static bool is_of_github(enum act_kind kind)
{
    return kind == ACT_GET || kind == ACT_LIST || kind == ACT_DELETE || kind == ACT_JOBS || kind == ACT_MINT ||
           kind == ACT_FIND;
}

static void flight_effect(struct model *m, struct flight *f)
{
    if (m->reaps) {
        begin_job_now(m, f);
        keep_now(m, f);
    }
    if (is_of_github(f->act.kind) && m->now >= m->outage_from && m->now < m->outage_to)
        f->fault = FAULT_THROTTLED;
    if (is_of_github(f->act.kind) && m->no_rights)
        f->fault = FAULT_GET_404;
    take_effect(m, f);
    const uint64_t place = (uint64_t)f->sent_at << 8 | f->act.who % 256;
    bool lost = f->fault == FAULT_REFUSED && model_pick(m, place ^ 0x1057, 4) > 0;
    bool heard = f->fault == FAULT_REFUSED && !lost && outcome_of(f->code, false) != OUTCOME_AMBIGUOUS;
    if (f->act.kind == ACT_RUN && f->outcome == OUTCOME_OK && !heard &&
        !(f->fault == FAULT_REFUSED && model_pick(m, place ^ 0xdead, 3) == 0))
        run_instance(m, f, &((struct run_flight *)f)->run);
    if (f->fault == FAULT_REFUSED)
        refuse(m, f, lost);
    if (f->fault == FAULT_AMBIGUOUS_DONE || f->fault == FAULT_AMBIGUOUS_LATE)
        f->outcome = OUTCOME_AMBIGUOUS;
}

/* --- actions are sent --------------------------------------------------------------------------------------------- */

static const enum fault faults_of[ACT_COUNT][16] = {
    [ACT_MINT] = { FAULT_AMBIGUOUS_DONE, FAULT_AMBIGUOUS_UNDONE, FAULT_AMBIGUOUS_DONE, FAULT_STRANGER, FAULT_STRANGER,
                   FAULT_SLOW, FAULT_THROTTLED, FAULT_FAILED },
    [ACT_FIND] = { FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_FAILED, FAULT_SLOW },
    [ACT_LIST] = { FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_THROTTLED, FAULT_SLOW, FAULT_FAILED },
    [ACT_GET] = { FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_THROTTLED, FAULT_SLOW, FAULT_FAILED, FAULT_GET_404 },
    [ACT_DELETE] = { FAULT_AMBIGUOUS_DONE, FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_FAILED, FAULT_SLOW,
                     FAULT_GET_404 },
    [ACT_RUN] = { FAULT_AMBIGUOUS_DONE, FAULT_AMBIGUOUS_DONE, FAULT_AMBIGUOUS_UNDONE, FAULT_AMBIGUOUS_LATE, FAULT_SLOW,
                  FAULT_CAPACITY, FAULT_CAPACITY, FAULT_SUBNET_FULL, FAULT_QUOTA, FAULT_TOKEN_USED,
                  FAULT_TOKEN_USED_BUSY, FAULT_THROTTLED, FAULT_FAILED, FAULT_REFUSED, FAULT_REFUSED },
    [ACT_SETTLE] = { FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_FAILED, FAULT_SLOW },
    [ACT_LOOK] = { FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_THROTTLED, FAULT_SLOW, FAULT_FAILED },
    [ACT_SCAN] = { FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_FAILED, FAULT_SLOW },
    [ACT_TERMINATE] = { FAULT_AMBIGUOUS_DONE, FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_FAILED, FAULT_SLOW },
    [ACT_CONSOLE] = { FAULT_FAILED, FAULT_SLOW },
    [ACT_MARK] = { FAULT_AMBIGUOUS_DONE, FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_FAILED, FAULT_SLOW },
    [ACT_JOBS] = { FAULT_AMBIGUOUS_UNDONE, FAULT_THROTTLED, FAULT_FAILED, FAULT_SLOW },
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
    bool poll = m->reaps ? false : a->kind == ACT_GET || a->kind == ACT_LIST || a->kind == ACT_LOOK;
    enum fault f = n ? faults[model_pick(m, place ^ 0xd4a3, n)] : FAULT_NONE;
    if (m->reaps && f == FAULT_GET_404 && a->kind == ACT_DELETE)
        return FAULT_NONE;
    if (f && model_fault(m, f, place, poll ? m->per_mille / 10 : m->per_mille,
                         m->tracing ? say(m, "on", act_name(a->kind), a->who) : ""))
        return f;
    return FAULT_NONE;
}

static void check_delete(struct model *m, size_t of, const struct act *a)
{
    struct model_record *r = find_record(m, a->runner_id);
    m->deletes++;
    if (m->reaps) {
        const char *why = r ? m->reap_may_delete(m, of, r) : "there is none";
        if (why)
            model_break(m, 8, "deletes runner %" PRId64 ": %s", a->runner_id, why);
        return;
    }
    if (r && r->fence_asked == 0)
        r->fence_asked = m->now;
    if (!r || r->stranger || (r->decor && !m->may_touch))
        model_break(m, 8, "deletes runner %" PRId64 ", which is not its own", a->runner_id);
    for (size_t n = 0; r && m->may_touch && n < m->n_instances; n++)
        if (m->instances[n]->record == r && !m->may_touch(m, m->instances[n]))
            model_break(m, 8, "deletes the runner of %s, which is not meant", m->instances[n]->view.id);
}

static void check_ends(struct model *m, size_t of, const struct act *a)
{
    for (size_t n = 0; n < a->ids->n; n++) {
        const struct model_instance *i = find_instance(m, a->ids->v[n]);
        const char *why = !i                    ? "there is none"
                          : a->kind == ACT_MARK ? m->reap_may_mark(m, of, i, a->mark)
                                                : m->reap_may_end(m, of, i);
        if (why)
            model_break(m, 4, "%s %s: %s", act_name(a->kind), a->ids->v[n], why);
    }
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
    const bool hurry = m->signalled_at < INT64_MAX;
    find_instance(m, a->instance_id)->end_asked = true;
    /* stop does not know a record of another scope. */
    bool waited = hurry || m->now >= m->hurry_from || (r && r->fence_asked && m->now - r->fence_asked >= PAIR_FENCE_MS);
    if (r && !r->fence_answered && !waited && (!m->may_touch || str_eq(ec2_instance_tag(&i->view, TAG_SCOPE), "o/r")))
        model_break(m, 5, "terminates %s before the deletion of its runner was answered", a->instance_id);
    if (r && m->fences && !r->fenced && !r->stranger && (!(hurry || m->now >= m->hurry_from) || r->busy))
        model_break(m, 4, "terminates %s, whose runner may run a job", a->instance_id);
    if (r && m->spares_busy && r->refused_busy)
        model_break(m, 4, "terminates %s, whose runner could not be deleted since it runs a job", a->instance_id);
    if (r && m->spares_busy && r->told_busy && r->busy && model_is_live(m, i))
        model_break(m, 4, "terminates %s, whose runner was seen to be busy and is", a->instance_id);
}

/* Only a launch tags, and only what it hands out. */
static void check_mark(struct model *m, const struct act *a)
{
    if (m->may_touch || !str_eq(a->tag, TAG_HANDED))
        model_break(m, 8, "sets the tag %s", a->tag ? a->tag : TAG_MARK);
    for (size_t n = 0; n < a->ids->n; n++) {
        const struct model_instance *i = find_instance(m, a->ids->v[n]);
        if (!i || i->decor || !i->was_online || i->end_asked)
            model_break(m, 1, "hands out %s, which is not up or not its own", a->ids->v[n]);
    }
}

static void check_run(struct model *m, const struct act *a, const struct ec2_run *run)
{
    check_token(m, run);
    if (!str_eq(run->client_token, a->client_token))
        model_break(m, 7, "asks with token %s and renders %s", a->client_token, run->client_token);
    if (m->unsure_token[a->who] && !str_eq(m->unsure_token[a->who], a->client_token))
        model_break(m, 3, "slot %zu is launched again while the outcome of %s is unknown", a->who,
                    m->unsure_token[a->who]);
    for (size_t n = 0; n < m->n_instances; n++) {
        const struct model_instance *i = m->instances[n];
        const struct model_record *r = i->record;
        if (i->decor || i->slot != a->who)
            continue;
        if (i->told_final)
            model_break(m, 3, "slot %zu is launched again, and %s ended for good: %s", a->who, i->view.id,
                        i->reason ? i->reason : "no reason");
        if (r && (r->told_online || r->told_busy || r->refused_busy) && i->reason)
            model_break(m, 4, "slot %zu is launched again, and the runner of %s had come", a->who, i->view.id);
    }
}

static const char *copy(struct model *m, const char *s)
{
    return s ? arena_strdup(&m->arena, s) : NULL;
}

static struct flight *new_flight(struct model *m, size_t of, const struct act *a)
{
    struct run_flight *f = xcalloc(1, sizeof(*f));
    f->flight.act = *a;
    f->flight.of = of;
    f->flight.act.scope = copy(m, a->scope);
    f->flight.act.mark = copy(m, a->mark);
    f->flight.act.tag = copy(m, a->tag);
    f->flight.act.repo = copy(m, a->repo);
    f->flight.act.region = copy(m, a->region);
    f->flight.act.name = copy(m, a->name);
    f->flight.act.client_token = copy(m, a->client_token);
    f->flight.act.instance_id = copy(m, a->instance_id);
    if (a->ids) {
        f->flight.ids = arena_alloc(&m->arena, a->ids->n * sizeof(const char *));
        for (size_t i = 0; i < a->ids->n; i++)
            f->flight.ids[f->flight.n_ids++] = copy(m, a->ids->v[i]);
    } else if (a->instance_id) {
        f->flight.ids = arena_alloc(&m->arena, sizeof(const char *));
        f->flight.ids[f->flight.n_ids++] = f->flight.act.instance_id;
    }
    if (a->kind == ACT_RUN) {
        m->machines[of]->render(m->machines[of], a->who, &m->arena, &f->run);
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

static void trace_act(struct model *m, size_t of, const struct act *a)
{
    AUTO_STRBUF ids = STRBUF_INIT;
    if (!m->tracing)
        return;
    for (size_t i = 0; a->ids && i < a->ids->n; i++)
        strbuf_addf(&ids, " %s", a->ids->v[i]);
    if (a->runner_id)
        strbuf_addf(&ids, " runner %" PRId64, a->runner_id);
    model_trace(m, "%s> %s %zu %s%s%s%s%s%s", of ? "second " : "", act_name(a->kind), a->who, a->name ? a->name : "",
                a->client_token ? a->client_token : "", a->instance_id ? a->instance_id : "", strbuf_str(&ids),
                a->mark ? " = " : "", a->mark ? a->mark : "");
}

/* No answer comes; what was asked for may be done all the same. */
static void silence(const struct model *m, struct flight *f)
{
    f->answer_at = INT64_MAX;
    if (!f->had_effect && model_pick(m, (uint64_t)f->effect_at, 2))
        f->had_effect = true; /* it never has */
}

static void fall_silent(struct model *m)
{
    for (int kind = ACT_NONE + 1; kind < ACT_COUNT && !m->reaps; kind++)
        if (faults_of[kind][0] && model_fault(m, FAULT_SILENCE, (uint64_t)m->phase << 8 | (uint64_t)kind,
                                              m->per_mille * 2, act_name((enum act_kind)kind)))
            m->silent |= (uint64_t)1 << kind;
    for (struct flight *f = m->flights; f; f = f->next)
        if (m->silent >> f->act.kind & 1)
            silence(m, f);
}

/* What the driver does with a machine's cut_at. */
static void cut_flights(struct model *m, size_t of, int64_t cut_at)
{
    for (struct flight *f = m->flights; f && cut_at; f = f->next) {
        bool asks = f->act.kind == ACT_RUN || f->act.kind == ACT_MINT || f->act.kind == ACT_GET ||
                    f->act.kind == ACT_LIST || f->act.kind == ACT_LOOK;
        bool given_up = f->answer_at == INT64_MAX && !(m->silent >> f->act.kind & 1);
        if (f->of != of || !asks || f->cut || f->answer_at <= cut_at || given_up)
            continue;
        struct model_record *taken = f->fault == FAULT_STRANGER ? find_record_named(m, f->act.name) : NULL;
        if (taken && taken->stranger) { /* a lost answer and a stranger of just that name would be too much */
            taken->stranger = false;
            taken->slot = f->act.who;
        }
        f->answer_at = cut_at > m->now ? cut_at : m->now;
        f->cut = true;
    }
}

/* Whatever hangs: what is known and cannot run a job is ended. */
static void check_hurry(struct model *m)
{
    for (size_t n = 0; n < m->n_instances && !m->reaps; n++) {
        const struct model_instance *i = m->instances[n];
        const struct model_record *r = i->record;
        if (!i->known_at || i->end_asked || !model_is_live(m, i) || m->now < i->known_at + SIGNAL_KILL_MS ||
            m->now < m->signalled_at + SIGNAL_KILL_MS)
            continue;
        bool may_run_job = r && (m->fences || r->told_busy || r->refused_busy) && !r->told_deleted;
        if (!may_run_job)
            model_break(m, 9, "%s is not terminated within 3 s of the signal", i->view.id);
    }
}

static void send(struct model *m, size_t of, const struct act *a)
{
    size_t who = a->who % WHO_COUNT;
    uint64_t place = (uint64_t)1 << 40 | (uint64_t)m->phase << 36 | (uint64_t)a->kind << 28 | (uint64_t)who << 20 |
                     m->nth[m->phase][a->kind][who]++;
    trace_act(m, of, a);
    struct flight *f = new_flight(m, of, a);
    if (a->kind == ACT_DELETE)
        check_delete(m, of, a);
    bool begins = a->kind == ACT_SCAN || a->kind == ACT_LIST || a->kind == ACT_GET || a->kind == ACT_MARK;
    if (m->reaps && of == 0 && m->signalled_at < INT64_MAX && begins)
        model_break(m, 6, "begins with %s after a signal", act_name(a->kind));
    if (m->reaps && (a->kind == ACT_TERMINATE || a->kind == ACT_MARK))
        check_ends(m, of, a);
    else if (a->kind == ACT_TERMINATE)
        check_terminate(m, a);
    else if (a->kind == ACT_MARK)
        check_mark(m, a);
    f->sent_at = m->now;
    f->fault = draw(m, a, place);
    if (f->fault == FAULT_REFUSED) {
        size_t n = 0;
        while (aws_known_code(n))
            n++;
        f->code = aws_known_code((size_t)model_pick(m, place + 4, n + 1));
        f->code = f->code ? f->code : "NobodyKnowsThis";
    }
    int64_t most = f->fault == FAULT_SLOW ? 28000 : a->kind == ACT_RUN ? 2500 : 700;
    f->answer_at = m->now + between(m, place + 1, f->fault == FAULT_SLOW ? 3000 : 20, most);
    f->effect_at = between(m, place + 2, m->now + 10, f->answer_at);
    if (f->fault == FAULT_AMBIGUOUS_LATE)
        f->effect_at = f->answer_at + between(m, place + 3, 1, 5000);
    if (m->silent >> a->kind & 1)
        silence(m, f);
    f->next = m->flights;
    m->flights = f;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void step(struct model *m, size_t of, const struct event *e)
{
    struct acts acts = { 0 };
    struct machine *machine = m->machines[of];
    if (e->kind == EVENT_SIGNAL) {
        m->signalled_at = m->now;
        fall_silent(m);
    }
    machine->step(machine, e, &acts);
    for (size_t i = 0; i < acts.n && !m->broken; i++)
        send(m, of, &acts.v[i]);
    m->idle_steps = acts.n > 0 || e->kind != EVENT_TIME || machine->wake > m->now ? 0 : m->idle_steps + 1;
    acts_clear(&acts);
    cut_flights(m, of, machine->cut_at);
    if (m->signalled_at < INT64_MAX)
        check_hurry(m);
    if (++m->steps > MAX_STEPS || m->idle_steps > MAX_IDLE_STEPS)
        model_break(m, 6, "%lld steps, and no end", (long long)m->steps);
    if (m->now > m->end_by && m->signalled_at == INT64_MAX)
        model_break(m, 6, "not done in time");
    if (of == 0 && m->signalled_at < INT64_MAX && m->now > m->signalled_at + SIGNAL_LIMIT_MS)
        model_break(m, 6, "not done within 8 s of the signal");
    if (machine->done || (of == 0 && m->steps > m->crash_after))
        m->machines[of] = NULL;
}

static bool answered(const struct flight *f)
{
    return f->outcome == OUTCOME_OK || f->outcome == OUTCOME_NOT_FOUND;
}

static void note_jobs(struct model *m, const struct flight *f)
{
    for (size_t n = 0; n < m->n_instances; n++) {
        struct model_record *r = m->instances[n]->record;
        if (!r || !is_of_run(m->instances[n], &f->act))
            continue;
        struct model_told *told = &r->told[f->of];
        if (!answered(f))
            continue;
        told->jobs_read = true;
        told->jobs_read_again = told->jobs_read_again || (told->delete_at && f->sent_at >= told->delete_at);
        told->job_runs = false;
        for (size_t j = 0; j < f->n_jobs && f->outcome == OUTCOME_OK; j++)
            if (str_eq(f->jobs[j].runner_name, r->name) && str_eq(f->jobs[j].status, "in_progress"))
                told->job_runs = true;
    }
}

/* What a reaper knows from now on. */
static void note_reaper(struct model *m, const struct flight *f)
{
    struct model_told *told = f->record ? &f->record->told[f->of] : NULL;
    const struct github_runner *r = f->n_runners ? f->runners : NULL;
    m->ec2_failed[f->of] = m->ec2_failed[f->of] || (!is_of_github(f->act.kind) && f->outcome != OUTCOME_OK);
    m->blind[f->of] = m->blind[f->of] || (f->act.kind == ACT_SCAN && f->act.by_page && f->outcome != OUTCOME_OK);
    for (size_t n = 0; n < m->n_records && f->act.kind == ACT_LIST; n++)
        if (is_in_scope(m->records[n], f->act.scope))
            m->records[n]->told[f->of].listed = f->outcome == OUTCOME_OK;
    if (f->act.kind == ACT_JOBS)
        note_jobs(m, f);
    if (told && f->act.kind == ACT_GET) {
        told->read = answered(f);
        told->busy = f->outcome == OUTCOME_OK && r->busy && github_runner_is_online(r);
        told->busy_offline = f->outcome == OUTCOME_OK && r->busy && !github_runner_is_online(r);
    }
    if (told && f->act.kind == ACT_DELETE) {
        told->fenced = answered(f);
        told->delete_at = m->now;
    }
}

/* What a launch reads of its label. */
static void note_rivals(struct model *m, const struct flight *f)
{
    m->last_looks += f->outcome == OUTCOME_OK && f->act.part == HANDOVER_LAST;
    for (size_t n = 0; n < f->n_instances && f->outcome == OUTCOME_OK; n++)
        if (ec2_state_is_live(ec2_instance_state(&f->instances[n])))
            find_instance(m, f->instances[n].id)->told_rival = true;
}

/* What the machine knows from now on. */
static void note(struct model *m, const struct flight *f)
{
    size_t who = f->act.who;
    if (m->reaps) {
        note_reaper(m, f);
        return;
    }
    if (f->act.kind == ACT_DELETE && f->record) {
        f->record->fence_answered = true;
        f->record->told_deleted = f->record->told_deleted || f->outcome == OUTCOME_OK;
        f->record->fenced = f->outcome == OUTCOME_OK || (f->outcome == OUTCOME_NOT_FOUND && !f->record->exists);
        f->record->refused_busy = f->record->refused_busy || f->outcome == OUTCOME_BUSY;
    } else if (f->act.kind == ACT_RUN) {
        m->unsure_token[who] = f->outcome == OUTCOME_AMBIGUOUS ? f->act.client_token : NULL;
    } else if (f->act.kind == ACT_SETTLE && f->n_instances > 0) {
        m->unsure_token[who] = NULL;
    }
    if (f->act.kind == ACT_SCAN && !m->may_touch)
        note_rivals(m, f);
    bool knows =
        f->act.kind == ACT_RUN || f->act.kind == ACT_SETTLE || (f->act.kind == ACT_SCAN && m->may_touch != NULL);
    for (size_t n = 0; knows && f->outcome == OUTCOME_OK && n < f->n_instances; n++) {
        struct model_instance *i = find_instance(m, f->instances[n].id);
        if (!i->known_at && (!m->may_touch || m->may_touch(m, i)))
            i->known_at = m->now;
    }
    /* A list that lies does not make it so. */
    for (size_t n = 0; f->act.kind == ACT_FIND && f->outcome == OUTCOME_OK && n < m->n_records; n++)
        if (str_eq(m->records[n]->name, f->act.name) && !m->records[n]->exists)
            m->records[n]->fenced = true;
    for (size_t i = 0; f->outcome == OUTCOME_OK && i < f->n_runners; i++)
        if (f->runners[i].busy)
            find_record(m, f->runners[i].id)->told_busy = true;
    for (size_t i = 0; f->outcome == OUTCOME_OK && i < f->n_runners; i++)
        if (github_runner_is_online(&f->runners[i]) && !find_record(m, f->runners[i].id)->fenced)
            find_record(m, f->runners[i].id)->told_online = true; /* what comes after its deletion is old news */
    m->scan_failed = m->scan_failed || (f->act.kind == ACT_SCAN && f->outcome != OUTCOME_OK);
    bool ends = f->act.kind == ACT_DELETE || f->act.kind == ACT_TERMINATE || f->act.kind == ACT_FIND ||
                f->act.kind == ACT_SETTLE;
    bool unclear = (f->act.kind == ACT_RUN || f->act.kind == ACT_MINT) && f->outcome == OUTCOME_AMBIGUOUS;
    /* What is too young to be seen, or gone by one answer alone: there may be no time to ask again. */
    bool lied = f->outcome == OUTCOME_NOT_FOUND && (f->act.kind == ACT_TERMINATE || f->act.kind == ACT_DELETE);
    if ((ends && f->outcome != OUTCOME_OK && f->outcome != OUTCOME_NOT_FOUND) || unclear || lied)
        m->undo_trouble = true;
}

/* Half of the rows come on a page before the answer; of a list that fails, none comes with the answer. */
static void turn_page(struct model *m, size_t of, struct event *e)
{
    const size_t instances = e->n_instances / 2, runners = e->n_runners / 2, jobs = e->n_jobs / 2;
    const bool ok = e->outcome == OUTCOME_OK;
    struct event page = *e;
    page.kind = EVENT_PAGE;
    page.outcome = OUTCOME_OK;
    page.error = NULL;
    page.n_instances = instances;
    page.n_runners = runners;
    page.n_jobs = jobs;
    step(m, of, &page);
    e->instances = instances ? e->instances + instances : e->instances;
    e->runners = runners ? e->runners + runners : e->runners;
    e->jobs = jobs ? e->jobs + jobs : e->jobs;
    e->n_instances = ok ? e->n_instances - instances : 0;
    e->n_runners = ok ? e->n_runners - runners : 0;
    e->n_jobs = ok ? e->n_jobs - jobs : 0;
}

/* EC2's clock, by the Dates that the machine was told. */
static int64_t date_of(struct model *m, const struct flight *f)
{
    int64_t date = MODEL_EPOCH + m->now / 1000;
    if ((m->reaps || m->may_touch) &&
        model_fault(m, FAULT_DATE_LAGS, (uint64_t)m->now << 8 | f->act.who % 256, m->per_mille, "a Date"))
        date -= between(m, (uint64_t)m->now, 1, 30);
    const int64_t ahead = date * 1000 - m->now; /* time goes on between its answers */
    if (!is_of_github(f->act.kind) && ahead > m->date_ahead[f->of])
        m->date_ahead[f->of] = ahead;
    return (m->date_ahead[f->of] + m->now) / 1000;
}

static void answer(struct model *m, struct flight *f)
{
    AUTO_ERROR err = { 0 };
    if (f->cut)
        f->outcome = OUTCOME_AMBIGUOUS;
    struct event e = { .kind = EVENT_ANSWER,
                       .now = m->now,
                       .act = f->act.kind,
                       .who = f->act.who,
                       .part = f->act.part,
                       .outcome = f->outcome,
                       .error = &err,
                       .pages = f->act.kind == ACT_LIST ? 1 + (unsigned)model_pick(m, 'p', 4) : 0,
                       .jit = f->jit,
                       .text = f->text ? f->text : "mayfly: phase boot\n",
                       .cloud_now = date_of(m, f) };
    if (f->outcome == OUTCOME_OK || f->act.by_page) {
        e.instances = f->instances;
        e.n_instances = f->n_instances;
        e.runners = f->runners;
        e.n_runners = f->n_runners;
        e.jobs = f->jobs;
        e.n_jobs = f->n_jobs;
        e.changes = f->changes;
        e.n_changes = f->n_changes;
    }
    if (f->outcome != OUTCOME_OK)
        error_set(&err, f->code ? ERROR_AWS : ERROR_NET, 0, "the model says %s", outcome_names[f->outcome]);
    if (f->outcome != OUTCOME_OK)
        str_set(&err.code, f->code);
    model_trace(m, "< %s %zu %s %s", act_name(f->act.kind), f->act.who, outcome_names[f->outcome],
                f->code ? f->code : "");
    note(m, f);
    if (f->act.by_page)
        turn_page(m, f->of, &e);
    if (m->machines[f->of])
        step(m, f->of, &e);
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
    size_t of = 0;
    int64_t wake = m->machines[0] ? m->machines[0]->wake : INT64_MAX;
    bool signal = m->machines[0] && m->signal_at < at && m->signal_at <= wake;
    int64_t second = m->machines[1] ? m->second_at < INT64_MAX ? m->second_at : m->machines[1]->wake : INT64_MAX;
    if (second < wake && !signal) {
        wake = second;
        of = 1;
    }
    bool time = !signal && wake < at;
    at = signal ? m->signal_at : time ? wake : at;
    if (at >= until)
        return false;
    m->now = at > m->now ? at : m->now;
    if (signal || time) {
        bool starts = of == 1 && m->second_at < INT64_MAX;
        struct event e = { .kind = signal ? EVENT_SIGNAL : starts ? EVENT_START : EVENT_TIME, .now = m->now };
        if (signal) {
            m->signal_at = INT64_MAX;
            model_trace(m, "  ! a signal");
        }
        if (starts)
            m->second_at = INT64_MAX;
        step(m, of, &e);
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
        if (m->machines[flight->of])
            answer(m, &lost);
    } else {
        unlink_flight(m, flight);
        if (m->machines[flight->of])
            answer(m, flight);
        free(flight);
    }
    return true;
}

static bool was_deleted(const struct model *m, const char *name)
{
    for (size_t i = 0; i < m->n_records; i++)
        if (str_eq(m->records[i]->name, name) && m->records[i]->fence_answered)
            return true;
    return false;
}

/* Nobody waits any more, and it happens all the same. */
static void land_flights(struct model *m)
{
    while (m->flights) {
        struct flight *f = m->flights;
        m->flights = f->next;
        m->undo_trouble = m->undo_trouble || f->act.kind == ACT_DELETE || f->act.kind == ACT_TERMINATE ||
                          f->act.kind == ACT_FIND || f->act.kind == ACT_SETTLE;
        /* A configuration that nobody waited for may come after all that had its name was deleted: GitHub drops it. */
        bool stray = f->act.kind == ACT_MINT && f->cut && was_deleted(m, f->act.name);
        if (!f->had_effect && !stray)
            flight_effect(m, f);
        free(f);
    }
}

void model_run(struct model *m, struct machine *machine)
{
    model_run_two(m, machine, NULL, 0);
}

void model_run_two(struct model *m, struct machine *first, struct machine *second, int64_t later_ms)
{
    struct event start = { .kind = EVENT_START, .now = m->now };
    m->machines[0] = first;
    m->machines[1] = second;
    m->second_at = second ? m->now + later_ms : INT64_MAX;
    m->steps = m->idle_steps = 0;
    m->signalled_at = INT64_MAX;
    m->began_at = m->now;
    m->blind[0] = m->blind[1] = m->ec2_failed[0] = m->ec2_failed[1] = false;
    for (size_t n = 0; n < m->n_instances; n++)
        m->instances[n]->looked_at[0] = m->instances[n]->looked_at[1] = 0;
    m->date_ahead[0] = m->date_ahead[1] = INT64_MIN / 2;
    for (size_t n = 0; n < m->n_records; n++)
        memset(m->records[n]->told, 0, sizeof(m->records[n]->told));
    step(m, 0, &start);
    while ((m->machines[0] || m->machines[1]) && !m->broken)
        if (!next_event(m, INT64_MAX)) {
            model_break(m, 6, "waits for nothing");
            break;
        }
    if (!m->broken && m->now > m->end_by && m->signalled_at == INT64_MAX)
        model_break(m, 6, "not done in time");
    m->machines[0] = m->machines[1] = NULL;
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
