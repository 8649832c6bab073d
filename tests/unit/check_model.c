/* Deterministic simulation: launch and stop against the model of EC2 and GitHub, over many seeds (seeds.h). */
#include <inttypes.h>
#include <stdio.h>

#include "mayfly/runner/tags.h"
#include "seeds.h"
#include "testing.h"

enum {
    SEEDS = 20000,
    CHUNKS = 2,
    STOP_LIMIT_MS = 300000,
    QUIET_LAUNCH_MS = 90000, /* enough for a launch without faults */
    AGAIN_MS = 3000,         /* a stop that finds nothing looks again */
    STARTING_S = 120,        /* what a start may take beyond its time limit */
    DATE_LAG_MS = 31000,     /* of an answer's Date */
    OLD_MS = 1500000,        /* of what no start can be at work with any more */
};

static const char fleet[] = "o/r", scope[] = "o/r", run_id[] = "77", home[] = "us-east-1", away[] = "eu-west-1";

/* --- the launch --------------------------------------------------------------------------------------------------- */

struct scene {
    struct model *model;
    struct launch launch;
    struct launch_config config;
    struct plan plan;
    struct cell cells[MAX_CELLS];
    unsigned launched, taken_back; /* calls of them */
    char *announced[MAX_SLOTS];    /* the instances that the newest `launched` named */
    struct stop_config stop_config;
    struct strlist regions, ids, labels;
    bool is_signalled, crashed, wide; /* wide: stop searched all regions, too */
    struct limits limits;
};

static void render(void *ctx, const struct cell *cell, const char *runner_name, int64_t runner_id, const char *jit,
                   struct arena *arena, struct ec2_run *ret)
{
    const struct scene *s = ctx;
    const struct tag_values values = { .fleet = fleet,
                                       .scope = scope,
                                       .label = s->config.label,
                                       .runner = runner_name,
                                       .run = "77/1",
                                       .name = "a",
                                       .runner_id = runner_id,
                                       .limits = s->limits };
    struct ec2_tag *tags;
    *ret = (struct ec2_run){ .region = cell->region,
                             .image = cell->image->id,
                             .type = cell->type,
                             .subnet = cell->subnet,
                             .spot = cell->spot,
                             .user_data = arena_strdup(arena, jit) };
    tags_of_runner(&values, arena, &tags, &ret->n_tags);
    ret->tags = tags;
}

static bool launched(void *ctx, struct error *err UNUSED)
{
    struct scene *s = ctx;
    s->launched++;
    for (size_t i = 0; i < s->config.count; i++)
        if (!s->launch.slots[i].down && !s->launch.slots[i].pair.instance_id)
            model_break(s->model, 1, "outputs are written before instance %zu is known", i);
    for (size_t i = 0; i < s->config.count; i++)
        str_set(&s->announced[i], s->launch.slots[i].down ? NULL : s->launch.slots[i].pair.instance_id);
    return true;
}

static void taken_back(void *ctx, size_t slot, const struct error *why)
{
    struct scene *s = ctx;
    s->taken_back++;
    model_trace(s->model, "slot %zu: %s", slot, why->message);
}

static void set_launch(struct scene *s)
{
    static const char *const subnets[] = { "subnet-a", "subnet-b", "subnet-c" };
    static const char *const types[] = { "m7i.large", "c7i.large" };
    static const struct image image = { .id = "ami-1" };
    struct model *m = s->model;
    s->plan = (struct plan){ .cells = s->cells, .n = 1 + (size_t)model_pick(m, 'c', MAX_CELLS) };
    for (size_t i = 0; i < s->plan.n; i++)
        s->cells[i] = (struct cell){ .region = model_pick(m, 'A' + i * 256, 4) ? home : away,
                                     .image = &image,
                                     .subnet = subnets[i % ARRAY_SIZE(subnets)],
                                     .type = types[i / ARRAY_SIZE(subnets) % ARRAY_SIZE(types)],
                                     .spot = i < model_pick(m, 'm', MAX_CELLS) };
    strlist_add(&s->labels, "mayfly-77-1-label");
    s->config = (struct launch_config){ .label = s->labels.v[0],
                                        .fleet = fleet,
                                        .labels = &s->labels,
                                        .runner_group = 1,
                                        .name_mark = "mf-abcdef-",
                                        .count = 1 + (size_t)model_pick(m, 'k', MAX_SLOTS),
                                        .plan = &s->plan,
                                        .timeout_ms = 20000 + (int64_t)model_pick(m, 't', 580000),
                                        .jobs_may_wait = model_pick(m, 'w' << 8, 3) == 0,
                                        .hands = model_pick(m, 'h' << 8, 8) > 0,
                                        .seed = m->seed,
                                        .render = render,
                                        .launched = launched,
                                        .taken_back = taken_back,
                                        .ctx = s };
    s->config.min_count = model_pick(m, 'n', 3) ? s->config.count : 1 + (size_t)model_pick(m, 'N', s->config.count);
    s->config.claims = s->config.jobs_may_wait && model_pick(m, 'l' << 8, 3) > 0;
    s->limits = LIMITS_DEFAULT;
    if (model_pick(m, 'b' << 8, 2)) /* never less than the time limit of the start */
        s->limits.boot = s->config.timeout_ms / 1000 + 1;
    m->label = s->config.label;
    m->spares_busy = true;
    m->fences = s->config.jobs_may_wait;
    m->end_by = m->now + s->config.timeout_ms + LAUNCH_OVERTIME_MS;
    m->hurry_from = m->now + s->config.timeout_ms - s->config.timeout_ms / 20;
}

/* Sooner rather than later: most happens in the first minute. */
static int64_t moment(const struct model *m, uint64_t place, int64_t most)
{
    return (int64_t)model_pick(m, place + 1, 1 + model_pick(m, place, (uint64_t)most));
}

/* Another start's instance, with a runner; `age`: since its launch, or less than nothing. */
static struct model_instance *add_others(struct model *m, const char *region, const struct ec2_tag *more, size_t n,
                                         int64_t age)
{
    const int64_t now = m->now;
    AUTO_FREE char *name = xasprintf("others-%zu", m->n_instances);
    m->now -= age;
    struct model_record *r = model_add_record(m, name, 0);
    AUTO_FREE char *id = xasprintf("%" PRId64, r->id);
    struct ec2_tag tags[16] = { { TAG_RUNNER_ID, id }, { TAG_RUNNER, name } };
    memcpy(&tags[2], more, n * sizeof(*more));
    struct model_instance *i = model_add_instance(m, region, "subnet-z", NULL, tags, n + 2);
    i->visible_at = i->visible_at > m->now ? i->visible_at : m->now;
    i->decor = r->decor = true;
    m->now = now;
    return i;
}

/* Other starts that take the label, or nearly: some seconds before this one, or while it is at work. */
static void add_rivals(struct scene *s)
{
    static const struct {
        const char *fleet, *label;
    } kinds[] = {
        { fleet, "mayfly-77-1-label" },
        { fleet, "mayfly-77-1-label" },
        { "other/fleet", "mayfly-77-1-label" },
        { fleet, "mayfly-77-1-other" },
    };
    struct model *m = s->model;
    for (size_t k = 0; k < ARRAY_SIZE(kinds) && s->config.claims; k++) {
        const uint64_t place = 'V' + k * 256;
        const struct ec2_tag tags[] = {
            { TAG_FLEET, kinds[k].fleet }, { TAG_SCOPE, scope },   { TAG_LABEL, kinds[k].label },
            { TAG_RUN, "79/1" },           { TAG_ROLE, "runner" }, { TAG_LIMITS, "boot=600,idle=1800" },
        };
        if (model_pick(m, place, 4) == 0)
            add_others(m, model_pick(m, place + 1, 2) ? home : away, tags, ARRAY_SIZE(tags),
                       5000 - moment(m, place + 2, 60000));
    }
}

static bool names(const char *text, const char *what)
{
    return text && what && strstr(text, what);
}

static const struct launch_slot *up_slot_of(const struct scene *s, const struct model_instance *i, int64_t runner_id)
{
    for (size_t n = 0; n < s->config.count; n++) {
        const struct launch_slot *slot = &s->launch.slots[n];
        if (launch_slot_is_up(slot) &&
            (i ? str_eq(slot->pair.instance_id, i->view.id) : slot->pair.runner_id == runner_id))
            return slot;
    }
    return NULL;
}

/* Whatever does not belong to a slot that is up is gone, or told. */
static void check_left(struct scene *s)
{
    struct model *m = s->model;
    AUTO_FREE char *text = launch_leftovers(&s->launch);
    model_trace(m, "left over: %s", text ? text : "nothing");
    if (names(text, "(null)"))
        model_break(m, 2, "what is left over is told as: %s", text);
    if (text && !m->undo_trouble && !s->is_signalled)
        model_break(m, 2, "all went well on the way down, and this is left: %s", text);
    for (size_t i = 0; i < m->n_instances; i++) {
        const struct ec2_instance *v = &m->instances[i]->view;
        if (!m->instances[i]->decor && model_is_live(m, m->instances[i]) && !up_slot_of(s, m->instances[i], 0) &&
            !names(text, v->id) && !names(text, v->client_token))
            model_break(m, 2, "the launch is over and left %s behind; it names %s", v->id, text ? text : "nothing");
    }
    for (size_t r = 0; r < m->n_records; r++) {
        const struct model_record *record = m->records[r];
        const struct pair *p = &s->launch.slots[record->slot].pair;
        bool named = names(text, record->name) ||
                     (str_eq(p->name, record->name) && (names(text, p->instance_id) || names(text, p->client_token)));
        if (record->exists && !record->stranger && !record->decor && !up_slot_of(s, NULL, record->id) && !named)
            model_break(m, 2, "the launch is over and left runner %s behind; it names %s", record->name,
                        text ? text : "nothing");
    }
}

static void check_up(struct scene *s)
{
    struct model *m = s->model;
    size_t up = 0;
    if (s->launched < 1 || s->launched > 1 + s->taken_back)
        model_break(m, 1, "the launch succeeded, and its outputs were written %u times", s->launched);
    for (size_t n = 0; n < s->config.count; n++) {
        const struct pair *p = &s->launch.slots[n].pair;
        const struct model_instance *mine = NULL;
        if (!launch_slot_is_up(&s->launch.slots[n]))
            continue;
        up++;
        if (s->announced[n] && !str_eq(s->announced[n], p->instance_id))
            model_break(m, 1, "the outputs name %s instead of %s", s->announced[n], p->instance_id);
        for (size_t i = 0; i < m->n_instances; i++)
            if (str_eq(m->instances[i]->view.id, p->instance_id))
                mine = m->instances[i];
        if (!mine || p->instance != INSTANCE_HAVE || !mine->record || mine->record->id != p->runner_id)
            model_break(m, 1, "the launch succeeded, and slot %zu has no instance of its runner", n);
        else if (!mine->was_online || mine->ended)
            model_break(m, 1, "the launch succeeded, and %s %s", p->instance_id,
                        mine->ended ? "was ended" : "never came online");
        else if (!mine->record->exists && !mine->record->took_job)
            model_break(m, 1, "the launch succeeded, and runner %s is gone", p->name);
        else if (!strstr(p->name, mine->region))
            model_break(m, 1, "runner %s runs in %s: the reaper would look for it elsewhere", p->name, mine->region);
    }
    if (up < s->config.min_count)
        model_break(m, 1, "the launch succeeded with %zu runners of %zu", up, s->config.min_count);
    if ((up < s->config.count) != (s->launch.error.domain != ERROR_NONE))
        model_break(m, 1, "%zu of %zu runners are up, and there is %s error", up, s->config.count,
                    s->launch.error.domain ? "an" : "no");
}

/* What is handed out says so, or the launch says why it does not. */
static void check_handed(struct scene *s)
{
    struct model *m = s->model;
    bool must = s->config.hands && s->launch.handover.unmarked.domain == ERROR_NONE;
    for (size_t i = 0; i < m->n_instances; i++) {
        const char *regions = ec2_instance_tag(&m->instances[i]->view, TAG_HANDED);
        const bool up = !m->instances[i]->decor && up_slot_of(s, m->instances[i], 0);
        if (up && must && !names(regions, m->instances[i]->region))
            model_break(m, 10, "%s is handed out, and its tag says %s", m->instances[i]->view.id,
                        regions ? regions : "nothing");
        if (regions && !(up && s->config.hands))
            model_break(m, 10, "%s is tagged as handed out, and is not", m->instances[i]->view.id);
    }
}

static bool is_rival(const struct model_instance *i)
{
    return i->decor && str_eq(ec2_instance_tag(&i->view, TAG_FLEET), fleet) &&
           str_eq(ec2_instance_tag(&i->view, TAG_LABEL), "mayfly-77-1-label");
}

/* One order for all, told from EC2's words only. */
static bool was_before(const struct model_instance *a, const struct model_instance *b)
{
    int by_time = strcmp(a->view.launch_time, b->view.launch_time);
    return by_time ? by_time < 0 : strcmp(a->view.id, b->view.id) < 0;
}

static const struct model_instance *oldest_up(const struct scene *s)
{
    const struct model_instance *oldest = NULL;
    for (size_t i = 0; i < s->model->n_instances; i++) {
        const struct model_instance *mine = s->model->instances[i];
        if (!mine->decor && up_slot_of(s, mine, 0) && (!oldest || was_before(mine, oldest)))
            oldest = mine;
    }
    return oldest;
}

/* Of all that have the label the oldest keeps it. */
static void check_claim(struct scene *s)
{
    struct model *m = s->model;
    const struct model_instance *mine = oldest_up(s);
    const bool looked = s->config.claims && s->launch.handover.unclaimed.domain == ERROR_NONE;
    if (looked && m->last_looks < s->launch.n_regions)
        model_break(m, 11, "the launch succeeded, and only %zu of %zu regions answered whose the label is",
                    m->last_looks, s->launch.n_regions);
    for (size_t i = 0; i < m->n_instances && looked && mine; i++) {
        const struct model_instance *other = m->instances[i];
        if (is_rival(other) && other->told_rival && model_is_live(m, other) && was_before(other, mine))
            model_break(m, 11, "the launch succeeded, and %s has its label, and is older than %s", other->view.id,
                        mine->view.id);
    }
}

/* Only to one that is older than some of its own. */
static void check_given_way(struct scene *s)
{
    struct model *m = s->model;
    const struct model_instance *other = NULL;
    bool older = false;
    if (!names(s->launch.error.message, "is older"))
        return;
    for (size_t i = 0; i < m->n_instances; i++)
        if (is_rival(m->instances[i]) && m->instances[i]->told_rival &&
            names(s->launch.error.message, m->instances[i]->view.id))
            other = m->instances[i];
    for (size_t i = 0; i < m->n_instances; i++)
        older = older || (other && !m->instances[i]->decor && was_before(other, m->instances[i]));
    if (!older || !s->config.claims)
        model_break(m, 11, "the launch gives way to nobody: %s", s->launch.error.message);
}

static void check_down(struct scene *s)
{
    if (s->launch.error.domain == ERROR_NONE)
        model_break(s->model, 2, "the launch failed without an error");
}

static void check_once(struct scene *s)
{
    struct model *m = s->model;
    for (size_t n = 0; n < s->config.count; n++) {
        size_t live = 0;
        for (size_t i = 0; i < m->n_instances; i++)
            live += !m->instances[i]->decor && m->instances[i]->slot == n && model_is_live(m, m->instances[i]);
        if (live > 1)
            model_break(m, 3, "slot %zu has %zu instances", n, live);
    }
}

static void run_launch(struct scene *s)
{
    struct model *m = s->model;
    bool waited_for = m->jobs > 0; /* a job that ends between two questions takes its runner's record along */
    set_launch(s);
    add_rivals(s);
    launch_init(&s->launch, &s->config);
    if (m->per_mille && model_fault(m, FAULT_SIGNAL, 1, 300, "the launch"))
        m->signal_at = m->now + moment(m, 'S', s->config.timeout_ms + 60000);
    if (m->per_mille && model_fault(m, FAULT_CRASH, 1, 300, "the launch"))
        m->crash_after = 1 + moment(m, 'C', 200);
    model_run(m, &s->launch.machine);
    s->is_signalled = m->signalled_at < INT64_MAX;
    s->crashed = !s->launch.machine.done;
    if (m->broken)
        return;
    check_once(s);
    if (s->crashed) {
        model_trace(m, "the machine is gone");
    } else {
        check_left(s);
        if (launch_succeeded(&s->launch)) {
            check_up(s);
            check_handed(s);
            check_claim(s);
        } else {
            check_down(s);
            check_given_way(s);
        }
    }
    if (!s->crashed && m->n_fired == 0 && !waited_for && s->config.timeout_ms >= QUIET_LAUNCH_MS &&
        !launch_succeeded(&s->launch) && !names(s->launch.error.message, "is older"))
        model_break(m, 1, "nothing went wrong, and the launch failed: %s", s->launch.error.message);
}

/* --- the stop ----------------------------------------------------------------------------------------------------- */

static bool is_tagged(const struct model_instance *i, const char *key, const char *value)
{
    return str_eq(ec2_instance_tag(&i->view, key), value);
}

/* Did no finished start hand it out, and can none that is at work have launched it, which ends before its instance's
 * boot limit and what its undoing takes? */
static bool is_orphan(const struct model_instance *i, int64_t when)
{
    struct limits l = LIMITS_DEFAULT;
    return limits_parse(ec2_instance_tag(&i->view, TAG_LIMITS), &l) && !ec2_instance_tag(&i->view, TAG_HANDED) &&
           when - i->launched_at >= (l.boot + STARTING_S) * 1000 - 1000;
}

/* Of the run, and not of an attempt after this one. */
static bool is_of_run(const struct model_instance *i, const struct stop_config *c)
{
    const char *run = ec2_instance_tag(&i->view, TAG_RUN);
    return str_starts(run, "77/") && (!c->run_attempt || strcmp(run + 3, c->run_attempt) <= 0);
}

/* What stop is asked to end, told from the tags and the time of its launch. */
static bool is_meant_at(const struct model *m, const struct model_instance *i, int64_t when)
{
    const struct scene *s = m->ctx;
    const struct stop_config *c = &s->stop_config;
    if (strlist_has(&s->regions, i->region) == false)
        return false;
    bool by_id = strlist_has(c->instances, i->view.id) && (c->force || is_tagged(i, TAG_FLEET, fleet));
    if (c->instances->n > 0 && (by_id || !c->label))
        return by_id;
    if (!is_tagged(i, TAG_FLEET, fleet))
        return false;
    if (c->label)
        return is_tagged(i, TAG_LABEL, c->label);
    return is_of_run(i, c) && is_tagged(i, TAG_ROLE, "runner") && (!c->name || is_tagged(i, TAG_NAME, c->name)) &&
           (!c->empty || is_orphan(i, when));
}

static bool is_meant(const struct model *m, const struct model_instance *i)
{
    return is_meant_at(m, i, m->now);
}

/* Others' instances, each near to ours in one way. */
static void add_decor(struct scene *s)
{
    static const struct {
        const char *region, *fleet, *scope, *label, *run, *role, *name;
    } kinds[] = {
        { home, "other/fleet", scope, "mayfly-77-1-label", "77/1", "runner", "a" },
        { home, fleet, scope, "mayfly-77-1-other", "77/1", "runner", "b" },
        { home, fleet, scope, "mayfly-778-1-label", "778/1", "runner", "a" },
        { home, fleet, "o/other", "mayfly-77-1-label", "77/1", "runner", "a" }, /* its runner's id is of that scope */
        { away, fleet, scope, "mayfly-77-1-label", "77/2", "runner", "a" },
        { home, fleet, scope, "mayfly-77-1-label", "77/1", "bake", "a" },
        { home, fleet, scope, "mayfly-77-2-label", "77/2", "runner", "a" },
        { away, fleet, scope, "mayfly-77-1-other", "77/1", "runner", "a" },
    };
    struct model *m = s->model;
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        if (model_pick(m, 'D' + k * 256, 4) > 0)
            continue;
        const struct ec2_tag tags[] = {
            { TAG_FLEET, kinds[k].fleet },        { TAG_SCOPE, kinds[k].scope },
            { TAG_LABEL, kinds[k].label },        { TAG_RUN, kinds[k].run },
            { TAG_ROLE, kinds[k].role },          { TAG_NAME, kinds[k].name },
            { TAG_LIMITS, "boot=600,idle=1800" }, { TAG_HANDED, kinds[k].region },
        };
        const bool handed = model_pick(m, 'd' + k * 256, 2), old = model_pick(m, 'O' + k * 256, 2);
        struct model_instance *i = add_others(m, kinds[k].region, tags, ARRAY_SIZE(tags) - !handed,
                                              old ? (int64_t)model_pick(m, 'o' + k * 256, OLD_MS) : 0);
        i->record->stranger = !str_eq(kinds[k].scope, scope);
    }
}

/* Another machine: it knows nothing. */
static void forget(struct model *m)
{
    m->silent = 0;
    m->scan_failed = false;
    m->kills = m->deletes = 0;
    for (size_t i = 0; i < m->n_instances; i++) {
        m->instances[i]->known_at = 0;
        m->instances[i]->end_asked = m->instances[i]->scanned = false;
    }
    for (size_t i = 0; i < m->n_records; i++) {
        struct model_record *r = m->records[i];
        r->fence_asked = 0;
        r->fence_answered = r->fenced = r->told_deleted = r->told_busy = r->refused_busy = false;
    }
}

static void set_stop(struct scene *s)
{
    struct model *m = s->model;
    struct stop_config *c = &s->stop_config;
    strlist_add(&s->regions, home);
    if (model_pick(m, 'R', 2))
        strlist_add(&s->regions, away);
    *c = (struct stop_config){ .fleet = fleet,
                               .scope = scope,
                               .regions = &s->regions,
                               .instances = &s->ids,
                               .run_id = run_id,
                               .run_attempt = (const char *const[]){ NULL, "1", "2" }[model_pick(m, 'a' << 8, 3)],
                               .force = model_pick(m, 'f', 4) == 0 };
    switch (model_pick(m, 'w', 7)) {
    case 0:
        c->label = s->config.label;
        break;
    case 1:
        c->name = "a";
        break;
    case 2:
        c->label = model_pick(m, 'W', 2) ? s->config.label : NULL;
        for (size_t i = 0; i < m->n_instances; i++)
            if (model_pick(m, 'I' + i * 256, 2))
                strlist_add(&s->ids, m->instances[i]->view.id);
        break;
    case 3:
    case 4:
        c->empty = true;
        c->name = model_pick(m, 'W', 4) ? NULL : "a";
        break;
    default:
        break;
    }
    m->phase = 1;
    m->ctx = s;
    m->may_touch = is_meant;
    m->spares_busy = m->fences = c->instances->n == 0 && !c->label && !c->force;
    m->end_by = m->now + STOP_LIMIT_MS;
    m->signal_at = m->crash_after = m->hurry_from = INT64_MAX;
    forget(m);
    if (m->per_mille && model_fault(m, FAULT_SIGNAL, 2, 200, "the stop"))
        m->signal_at = m->now + moment(m, 'T', 60000);
    m->no_rights = m->per_mille && model_fault(m, FAULT_NO_RIGHTS, 3, 100, "the stop");
}

static const struct stop_target *find_target(const struct stop *stop, const char *id)
{
    for (size_t i = 0; i < stop->n; i++)
        if (str_eq(stop->targets[i].pair.instance_id, id))
            return &stop->targets[i];
    return NULL;
}

/* What lives on, and what is said of it. */
static void check_stopped(struct scene *s, const struct stop *stop, const struct model_instance *i)
{
    struct model *m = s->model;
    const char *id = i->view.id;
    const struct stop_target *t = find_target(stop, id);
    bool live = model_is_live(m, i);
    if (!t) {
        if (live && i->scanned)
            model_break(m, 8, "stop saw %s and left it without a word", id);
        const int64_t again = stop->config->wide ? 0 : AGAIN_MS;
        if (live && stop->n == 0 && m->signalled_at == INT64_MAX && i->visible_at < m->began_at + again)
            model_break(m, 8, "stop found nothing, and %s was to be seen from %lld ms on", id,
                        (long long)(i->visible_at - m->began_at));
        return; /* EC2 did not show it: it has its tags, and the reaper */
    }
    bool spared = m->spares_busy && (t->pair.record == RECORD_BUSY || t->pair.record == RECORD_STUCK);
    if (live && t->pair.instance == INSTANCE_GONE)
        model_break(m, 8, "stop says that %s is gone, and it is not", id);
    else if (live && t->pair.instance == INSTANCE_STUCK && t->pair.error.domain == ERROR_NONE)
        model_break(m, 8, "stop could not end %s and has no error for it", id);
    else if (live && t->pair.instance != INSTANCE_GONE && t->pair.instance != INSTANCE_STUCK && !spared)
        model_break(m, 8, "stop left %s alone", id);
    if (m->no_rights && !m->spares_busy) /* what is named ends, whatever becomes of the record */
        return;
    if (i->record && i->record->exists && t->pair.record == RECORD_GONE)
        model_break(m, 8, "stop says that runner %s is gone, and it is not", i->record->name);
    else if (i->record && i->record->exists && !i->record->stranger && t->pair.record != RECORD_STUCK &&
             t->pair.record != RECORD_BUSY)
        model_break(m, 8, "stop left runner %s alone", i->record->name);
}

/* What a stop with empty outputs leaves alone, it names, and says why. */
static void check_spared(struct scene *s, const struct stop *stop)
{
    struct model *m = s->model;
    for (size_t n = 0; n < m->n_instances; n++) {
        const struct model_instance *i = m->instances[n];
        const bool handed = strlist_has(&stop->handed, i->view.id), starting = strlist_has(&stop->starting, i->view.id);
        if ((handed || starting) && !s->stop_config.empty)
            model_break(m, 12, "stop spares %s, and its outputs were not empty", i->view.id);
        if (handed && !ec2_instance_tag(&i->view, TAG_HANDED))
            model_break(m, 12, "stop says that %s was handed out, and it was not", i->view.id);
        if (starting && is_orphan(i, m->began_at - DATE_LAG_MS))
            model_break(m, 12, "stop says that the start of %s may be at work, and it cannot be", i->view.id);
    }
    if (stop->stranger && (!stop->config->wide || str_eq(stop->strange_fleet, fleet)))
        model_break(m, 12, "stop says that %s is of another fleet", stop->stranger);
}

static void check_stop(struct scene *s, const struct stop *stop)
{
    struct model *m = s->model;
    bool several = false;
    for (size_t i = 1; i < stop->n; i++)
        several = several || !str_eq(stop->targets[i].label, stop->targets[0].label);
    bool must_ask = several && stop->by_run && !s->stop_config.name && !s->stop_config.force && !s->stop_config.empty;
    if (must_ask && m->kills + m->deletes > 0)
        model_break(m, 8, "several labels, no name, and stop ended something");
    if (m->signalled_at == INT64_MAX && must_ask != stop->several_labels)
        model_break(m, 8, "stop says %s", stop->several_labels ? "several labels" : "one label");
    if (m->scan_failed && stop->error.domain == ERROR_NONE && stop->unread.n == 0)
        model_break(m, 8, "a region could not be searched, and stop does not say so");
    check_spared(s, stop);
    if (stop->error.domain != ERROR_NONE || stop->unread.n > 0 || must_ask)
        return;
    for (size_t i = 0; i < m->n_instances; i++)
        if (is_meant_at(m, m->instances[i], m->began_at - DATE_LAG_MS))
            check_stopped(s, stop, m->instances[i]);
}

/* The second search of the command, in all regions, for what is not found in those that were configured. */
static void run_wide(struct scene *s, const struct stop *first)
{
    struct model *m = s->model;
    CLEANUP(stop_clear) struct stop stop = { 0 };
    AUTO_ERROR err = { 0 };
    if (!stop_misses(first))
        return;
    if (!strlist_has(&s->regions, away))
        strlist_add(&s->regions, away);
    s->stop_config.wide = true;
    s->wide = true;
    m->phase = 2;
    m->end_by = m->now + STOP_LIMIT_MS;
    forget(m);
    model_trace(m, "stop: in all regions");
    if (!stop_init(&stop, &s->stop_config, &err)) {
        model_break(m, 8, "stop refuses: %s", err.message);
        return;
    }
    model_run(m, &stop.machine);
    if (!m->broken)
        check_stop(s, &stop);
}

static void run_stop(struct scene *s)
{
    struct model *m = s->model;
    CLEANUP(stop_clear) struct stop stop = { 0 };
    AUTO_ERROR err = { 0 };
    add_decor(s);
    model_pass(m, moment(m, 'P', model_pick(m, 'p', 3) ? 120000 : OLD_MS));
    set_stop(s);
    model_trace(m, "stop: %s%s%s%s%s, %zu instances named", s->stop_config.label ? "by label" : "",
                s->stop_config.name ? "by name" : "", s->stop_config.force ? " force" : "",
                s->regions.n > 1 ? " in two regions" : "", s->stop_config.empty ? " empty" : "", s->ids.n);
    if (!stop_init(&stop, &s->stop_config, &err)) {
        model_break(m, 8, "stop refuses: %s", err.message);
        return;
    }
    model_run(m, &stop.machine);
    if (!m->broken)
        check_stop(s, &stop);
    if (!m->broken)
        run_wide(s, &stop);
}

/* --- one seed ----------------------------------------------------------------------------------------------------- */

struct counts {
    uint64_t up, down, crashed, stopped, signalled, gave_way, wide, empty;
};

static void count(const struct scene *s, bool stopped, struct counts *c)
{
    bool up = !s->crashed && launch_succeeded(&s->launch);
    c->up += up;
    c->down += !s->crashed && !up;
    c->crashed += s->crashed;
    c->stopped += stopped;
    c->wide += s->wide;
    c->empty += s->stop_config.empty;
    c->signalled += s->is_signalled;
    c->gave_way += names(s->launch.error.message, "is older");
}

static void play(struct model *m, void *counts)
{
    struct scene s = { .model = m };
    run_launch(&s);
    model_trace(m, "%zu runners, %zu cells, timeout %lld s: %s", s.config.count, s.plan.n,
                (long long)s.config.timeout_ms / 1000,
                s.crashed                     ? "crashed"
                : launch_succeeded(&s.launch) ? "succeeded"
                                              : s.launch.error.message);
    bool stops = !m->broken && (s.crashed || model_pick(m, 'X', 2));
    if (stops)
        run_stop(&s);
    if (counts)
        count(&s, stops, counts);
    launch_clear(&s.launch);
    for (size_t i = 0; i < MAX_SLOTS; i++)
        free(s.announced[i]);
    strlist_clear(&s.regions);
    strlist_clear(&s.ids);
    strlist_clear(&s.labels);
    secret_forget_all();
}

/* --- the suite ---------------------------------------------------------------------------------------------------- */

START_TEST(seeds)
{
    struct counts c = { 0 };
    struct seeds s = { .play = play, .counts = &c };
    bool enough = seeds_play(&s, SEEDS, (uint64_t)_i, CHUNKS);
    if (getenv("MAYFLY_MODEL_STATS"))
        printf("seeds %" PRIu64 ", up %" PRIu64 ", down %" PRIu64 ", crashed %" PRIu64 ", signalled %" PRIu64
               ", stops %" PRIu64 ", gave way %" PRIu64 ", empty %" PRIu64 ", wide %" PRIu64 "\n",
               s.n, c.up, c.down, c.crashed, c.signalled, c.stopped, c.gave_way, c.empty, c.wide);
    if (!enough)
        return;
    /* A model whose faults never happen proves nothing. */
    for (enum fault f = FAULT_NONE + 1; f < FAULT_OF_REAPERS; f++)
        ck_assert_msg(s.faults[f] > 0, "%s never happened", fault_name(f));
    ck_assert_uint_gt(c.up, s.n / 20);
    ck_assert_uint_gt(c.down, s.n / 20);
    ck_assert_uint_gt(c.crashed, s.n / 50);
    ck_assert_uint_gt(c.gave_way, s.n / 200);
    ck_assert_uint_gt(c.empty, s.n / 20);
    ck_assert_uint_gt(c.wide, s.n / 20);
}
END_TEST

static const struct seeds uncounted = { .play = play };

START_TEST(replay)
{
    seeds_replay(&uncounted);
}
END_TEST

START_TEST(seeds_are_deterministic)
{
    seeds_compare(&uncounted, 50);
}
END_TEST

static TCase *model_case(void)
{
    TCase *tc = tcase_create("model");
    tcase_set_timeout(tc, 0); /* as long as the seeds take */
    tcase_add_loop_test(tc, seeds, 0, CHUNKS);
    tcase_add_test(tc, replay);
    tcase_add_test(tc, seeds_are_deterministic);
    return tc;
}

int main(void)
{
    static TCase *(*const cases[])(void) = { model_case };
    return run_suite("model", cases, ARRAY_SIZE(cases));
}
