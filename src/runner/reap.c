#include "mayfly/runner/reap.h"

#include <inttypes.h>

#include "mayfly/util/encode.h"

enum { SUSPICIOUS_FROM = 5, MAX_DEFAULT = 20, HURRY_MS = 7000 };

/* --- the rules ---------------------------------------------------------------------------------------------------- */

static bool foreign(const struct reap_facts *f)
{
    return !f->ours;
}

static bool kept(const struct reap_facts *f)
{
    return f->keep;
}

static bool gone(const struct reap_facts *f)
{
    return !ec2_state_is_live(f->state);
}

static bool just_launched(const struct reap_facts *f)
{
    return f->age < REAP_LAUNCH_GRACE;
}

static bool past_deadline(const struct reap_facts *f)
{
    return f->age > f->limits.life;
}

static bool unknown(const struct reap_facts *f)
{
    return f->record == REAP_RECORD_UNKNOWN;
}

static bool busy(const struct reap_facts *f)
{
    return f->record == REAP_RECORD_BUSY;
}

static bool has_runner(const struct reap_facts *f)
{
    return f->record != REAP_RECORD_ABSENT;
}

static bool booting(const struct reap_facts *f)
{
    return f->age < f->limits.boot;
}

static bool always(const struct reap_facts *f UNUSED)
{
    return true;
}

/* The order is the policy. */
static const struct {
    bool (*matches)(const struct reap_facts *);
    enum reap_verdict verdict; /* REAP_MARK becomes REAP_TERMINATE once confirmed */
    const char *rule, *reason;
} rules[] = {
    { foreign, REAP_IGNORE, "foreign", "not of this fleet" },
    { kept, REAP_KEEP, "kept", "tagged " TAG_KEEP },
    { gone, REAP_KEEP, "gone", "ended already" },
    { just_launched, REAP_KEEP, "launch-grace", "launched moments ago" },
    { past_deadline, REAP_TERMINATE, "deadline", "past its deadline" },
    { unknown, REAP_KEEP, "unknown", "GitHub's word on its runner is not known" },
    { busy, REAP_KEEP, "busy", "runs a job" },
    { has_runner, REAP_KEEP, "runner", "has its runner" },
    { booting, REAP_KEEP, "boot-grace", "no runner yet, but young" },
    { always, REAP_MARK, "no-runner", "its runner is gone" },
};

enum reap_verdict reap_decide(const struct reap_facts *f, bool confirm, const char **ret_rule, const char **ret_reason)
{
    size_t i = 0;
    while (!rules[i].matches(f))
        i++;
    *ret_rule = rules[i].rule;
    *ret_reason = rules[i].reason;
    if (rules[i].verdict == REAP_MARK && (!confirm || f->marked_for >= REAP_CONFIRM))
        return REAP_TERMINATE;
    return rules[i].verdict;
}

/* --- the pass ----------------------------------------------------------------------------------------------------- */

void reap_clear(struct reap *r)
{
    for (size_t i = 0; i < r->n; i++) {
        pair_clear(&r->targets[i].pair);
        free(r->targets[i].runner);
        free(r->targets[i].launch_time);
        free(r->targets[i].mark);
        error_clear(&r->targets[i].error);
    }
    free(r->targets);
    for (size_t i = 0; i < r->n_ghosts; i++) {
        free(r->ghosts[i].name);
        free(r->ghosts[i].region);
        error_clear(&r->ghosts[i].error);
    }
    free(r->ghosts);
    strlist_clear(&r->fleet);
    strlist_clear(&r->states);
    error_clear(&r->error);
    error_clear(&r->list_error);
    *r = (struct reap){ 0 };
}

/* What tags and state say; the record comes later. */
static struct reap_facts instance_facts(const struct reap *r, const struct ec2_instance *i, int64_t now)
{
    struct reap_facts f = { .state = ec2_instance_state(i), .limits = r->config->limits, .marked_for = -1 };
    const char *role = ec2_instance_tag(i, TAG_ROLE), *limits = ec2_instance_tag(i, TAG_LIMITS);
    int64_t launched = ec2_instance_launched(i);
    f.ours = str_eq(ec2_instance_tag(i, TAG_FLEET), r->config->fleet) && str_eq(role, "runner") && launched > 0;
    f.keep = ec2_instance_tag(i, TAG_KEEP) != NULL;
    f.age = now - launched;
    if (limits && !limits_parse(limits, &f.limits))
        f.limits = r->config->limits;
    return f;
}

static void add_target(struct reap *r, const struct ec2_instance *i, const char *region)
{
    uint64_t id;
    const char *runner_id = ec2_instance_tag(i, TAG_RUNNER_ID);
    r->targets = xreallocarray(r->targets, r->n + 1, sizeof(*r->targets));
    struct reap_target *t = &r->targets[r->n++];
    *t = (struct reap_target){ .facts = instance_facts(r, i, r->cloud_now) };
    str_set(&t->pair.instance_id, i->id);
    str_set(&t->pair.region, region);
    str_set(&t->runner, ec2_instance_tag(i, TAG_RUNNER));
    str_set(&t->launch_time, i->launch_time);
    str_set(&t->mark, ec2_instance_tag(i, TAG_MARK));
    t->pair.instance = INSTANCE_HAVE;
    /* A record of another scope is not ours to judge by, and an id without its name could be anybody's. */
    if (runner_id && !str_empty(t->runner) && parse_uint(runner_id, INT64_MAX, &id) &&
        str_eq(ec2_instance_tag(i, TAG_SCOPE), r->config->scope))
        t->pair.runner_id = (int64_t)id;
}

static void answer_scan(struct reap *r, const struct event *e)
{
    r->scanning--;
    if (e->outcome != OUTCOME_OK) { /* a fleet half seen is no ground for decisions */
        if (r->error.domain == ERROR_NONE)
            error_copy(&r->error, e->error);
        return;
    }
    if (e->cloud_now > r->cloud_now)
        r->cloud_now = e->cloud_now;
    for (size_t i = 0; i < e->n_instances; i++)
        add_target(r, &e->instances[i], r->config->regions->v[e->who]);
}

static enum reap_record record_of(const struct github_runner *r)
{
    return r->busy ? REAP_RECORD_BUSY : github_runner_is_online(r) ? REAP_RECORD_ONLINE : REAP_RECORD_OFFLINE;
}

static int by_id(const void *a, const void *b)
{
    int64_t x = ((const struct github_runner *)a)->id, y = ((const struct github_runner *)b)->id;
    return x < y ? -1 : x > y;
}

static void match_records(struct reap *r, const struct event *e)
{
    struct github_runner *sorted = xcalloc(e->n_runners, sizeof(*sorted));
    size_t old = 0, old_absent = 0;
    if (e->n_runners)
        memcpy(sorted, e->runners, e->n_runners * sizeof(*sorted));
    qsort(sorted, e->n_runners, sizeof(*sorted), by_id);
    for (size_t i = 0; i < r->n; i++) {
        struct reap_target *t = &r->targets[i];
        if (t->pair.runner_id == 0)
            continue;
        const struct github_runner key = { .id = t->pair.runner_id };
        const struct github_runner *found = bsearch(&key, sorted, e->n_runners, sizeof(*sorted), by_id);
        /* Ids are counted per tenant: a record of the same id and another name is another runner. */
        if (found && !str_eq(found->name, t->runner))
            found = NULL;
        t->facts.record = found ? record_of(found) : REAP_RECORD_ABSENT;
        bool running = t->facts.state == EC2_RUNNING && t->facts.age > t->facts.limits.boot;
        old += running;
        old_absent += running && !found;
    }
    r->suspicious = old >= SUSPICIOUS_FROM && old_absent == old;
    for (size_t i = 0; i < r->n && r->suspicious; i++)
        r->targets[i].facts.record = REAP_RECORD_UNKNOWN;
    free(sorted);
}

/* "no-runner@1700000000": how long ago the same rule was found, or -1. */
static int64_t marked_for(const struct reap_target *t, const char *rule, int64_t now)
{
    size_t n = strlen(rule);
    uint64_t epoch;
    if (!t->mark || strncmp(t->mark, rule, n) != 0 || t->mark[n] != '@' ||
        !parse_uint(t->mark + n + 1, INT64_MAX, &epoch) || (int64_t)epoch > now)
        return -1;
    return now - (int64_t)epoch;
}

static void decide(struct reap *r)
{
    uint64_t early = 0, live = 0;
    for (size_t i = 0; i < r->n; i++) {
        struct reap_target *t = &r->targets[i];
        t->verdict = reap_decide(&t->facts, true, &t->rule, &t->reason);
        t->facts.marked_for = marked_for(t, t->rule, r->cloud_now);
        t->verdict = reap_decide(&t->facts, r->config->confirm, &t->rule, &t->reason);
        live += t->facts.ours;
        early += t->verdict == REAP_TERMINATE && !str_eq(t->rule, "deadline");
    }
    uint64_t max = r->config->max ? r->config->max : live / 2 > MAX_DEFAULT ? live / 2 : MAX_DEFAULT;
    r->over_max = early > max;
    for (size_t i = 0; i < r->n && r->over_max; i++) {
        struct reap_target *t = &r->targets[i];
        if (t->verdict == REAP_TERMINATE && !str_eq(t->rule, "deadline"))
            t->verdict = REAP_KEEP;
    }
}

/* The first action for each target. */
static void act(struct reap *r, struct acts *acts)
{
    for (size_t i = 0; i < r->n; i++) {
        struct reap_target *t = &r->targets[i];
        const struct pair *p = &t->pair;
        if (t->verdict == REAP_TERMINATE && str_eq(t->rule, "deadline") && p->runner_id) {
            t->stage = REAP_FENCING;
            acts_add(acts, (struct act){ .kind = ACT_DELETE, .who = i, .runner_id = p->runner_id });
        } else if (t->verdict == REAP_TERMINATE && p->runner_id) {
            t->stage = REAP_READING;
            acts_add(acts, (struct act){ .kind = ACT_GET, .who = i, .runner_id = p->runner_id });
        } else if (t->verdict == REAP_TERMINATE) {
            t->stage = REAP_LOOKING;
            acts_add(acts,
                     (struct act){ .kind = ACT_LOOK, .who = i, .region = p->region, .instance_id = p->instance_id });
        } else if (t->verdict == REAP_MARK && t->facts.marked_for < 0) {
            free(t->mark);
            t->mark = xasprintf("%s@%" PRId64, t->rule, r->cloud_now);
            t->stage = REAP_MARKING;
            acts_add(
                acts,
                (struct act){
                    .kind = ACT_MARK, .who = i, .region = p->region, .instance_id = p->instance_id, .mark = t->mark });
        } else if (t->verdict == REAP_KEEP && t->facts.ours && t->mark && !r->over_max &&
                   t->facts.record != REAP_RECORD_UNKNOWN) {
            t->stage = REAP_MARKING; /* what made an earlier pass suspect it is over */
            acts_add(acts,
                     (struct act){ .kind = ACT_MARK, .who = i, .region = p->region, .instance_id = p->instance_id });
        }
    }
}

static void spare(struct reap_target *t, const char *reason)
{
    t->stage = REAP_IDLE;
    t->verdict = REAP_KEEP;
    t->reason = reason;
}

static void give_up(struct reap_target *t, const struct error *err)
{
    t->stage = REAP_IDLE;
    error_copy(&t->error, err);
}

/* Is it still the instance that was judged? */
static bool is_unchanged(const struct reap *r, const struct reap_target *t, const struct event *e)
{
    if (e->n_instances != 1 || !str_eq(e->instances[0].launch_time, t->launch_time))
        return false;
    struct reap_facts now = instance_facts(r, &e->instances[0], r->cloud_now);
    return now.ours && !now.keep && ec2_state_is_live(now.state);
}

static void look(struct reap_target *t, size_t who, struct acts *acts)
{
    t->stage = REAP_LOOKING;
    acts_add(acts, (struct act){
                       .kind = ACT_LOOK, .who = who, .region = t->pair.region, .instance_id = t->pair.instance_id });
}

static void go_on(struct reap *r, const struct event *e, struct acts *acts)
{
    struct reap_target *t = &r->targets[e->who];
    switch (t->stage) {
    case REAP_READING:
        if (e->outcome == OUTCOME_NOT_FOUND)
            look(t, e->who, acts);
        else if (e->outcome == OUTCOME_OK && !str_eq(e->runners[0].name, t->runner))
            look(t, e->who, acts);
        else if (e->outcome == OUTCOME_OK)
            spare(t, "its runner is there after all");
        else
            give_up(t, e->error);
        break;
    case REAP_FENCING: /* past the deadline nothing that GitHub says holds the end back */
        look(t, e->who, acts);
        break;
    case REAP_LOOKING:
        if (e->outcome != OUTCOME_OK) {
            give_up(t, e->error);
        } else if (!is_unchanged(r, t, e)) {
            spare(t, "changed since it was listed");
        } else {
            t->stage = REAP_ENDING;
            acts_add(acts, (struct act){ .kind = ACT_TERMINATE,
                                         .who = e->who,
                                         .region = t->pair.region,
                                         .instance_id = t->pair.instance_id });
        }
        break;
    case REAP_ENDING:
        if (e->outcome == OUTCOME_OK || e->outcome == OUTCOME_NOT_FOUND) {
            t->stage = REAP_IDLE;
            t->ended = true;
        } else {
            give_up(t, e->error);
        }
        break;
    case REAP_MARKING:
        if (e->outcome == OUTCOME_OK)
            t->stage = REAP_IDLE;
        else
            give_up(t, e->error);
        break;
    case REAP_IDLE:
        break;
    }
}

/* --- ghosts ------------------------------------------------------------------------------------------------------- */

static void find_ghosts(struct reap *r, const struct event *e)
{
    for (size_t i = 0; i < e->n_runners; i++) {
        const struct github_runner *record = &e->runners[i];
        AUTO_FREE char *region = NULL;
        int64_t epoch;
        if (record_of(record) != REAP_RECORD_OFFLINE ||
            !runner_name_parse(record->name, r->config->name_mark, &region, &epoch) ||
            r->cloud_now - epoch <= REAP_GHOST_AGE || !strlist_has(r->config->regions, region))
            continue;
        bool has_instance = false;
        for (size_t t = 0; t < r->n && !has_instance; t++)
            has_instance = str_eq(r->targets[t].runner, record->name);
        if (has_instance)
            continue;
        r->ghosts = xreallocarray(r->ghosts, r->n_ghosts + 1, sizeof(*r->ghosts));
        struct reap_ghost *g = &r->ghosts[r->n_ghosts++];
        *g = (struct reap_ghost){ .runner_id = record->id, .age = r->cloud_now - epoch, .region = STEAL(region) };
        str_set(&g->name, record->name);
    }
}

static void scan_region(struct reap *r, size_t i, struct acts *acts)
{
    acts_add(acts, (struct act){ .kind = ACT_SCAN,
                                 .who = i,
                                 .region = r->config->regions->v[i],
                                 .filters = r->filters,
                                 .n_filters = ARRAY_SIZE(r->filters) });
}

static bool has_ghosts(const struct reap *r, const char *region)
{
    for (size_t g = 0; g < r->n_ghosts; g++)
        if (str_eq(r->ghosts[g].region, region))
            return true;
    return false;
}

/* Between the first reading and GitHub's list an instance may have been launched. */
static void reread(struct reap *r, struct acts *acts)
{
    for (size_t i = 0; i < r->config->regions->n; i++) {
        if (!has_ghosts(r, r->config->regions->v[i]))
            continue;
        r->rereading++;
        scan_region(r, i, acts);
    }
}

static void answer_reread(struct reap *r, const struct event *e, struct acts *acts)
{
    r->rereading--;
    for (size_t n = 0; n < r->n_ghosts; n++) {
        struct reap_ghost *g = &r->ghosts[n];
        if (!str_eq(g->region, r->config->regions->v[e->who]))
            continue;
        if (e->outcome != OUTCOME_OK) {
            error_copy(&g->error, e->error);
            continue;
        }
        g->absent = true;
        for (size_t i = 0; i < e->n_instances && g->absent; i++)
            g->absent = !str_eq(ec2_instance_tag(&e->instances[i], TAG_RUNNER), g->name);
        if (!g->absent || r->config->dry_run || r->hurry_until)
            continue;
        g->deleting = true;
        acts_add(acts, (struct act){ .kind = ACT_DELETE, .who = r->n + n, .runner_id = g->runner_id });
    }
}

static void answer_ghost(struct reap_ghost *g, const struct event *e)
{
    g->deleting = false;
    g->ended = e->outcome == OUTCOME_OK || e->outcome == OUTCOME_NOT_FOUND;
    if (!g->ended)
        error_copy(&g->error, e->error);
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

static bool is_finished(const struct reap *r)
{
    for (size_t i = 0; i < r->n_ghosts; i++)
        if (r->ghosts[i].deleting)
            return false;
    if (r->rereading > 0)
        return false;
    for (size_t i = 0; i < r->n; i++)
        if (r->targets[i].stage != REAP_IDLE)
            return false;
    return true;
}

static void step(struct machine *m, const struct event *e, struct acts *acts)
{
    struct reap *r = (struct reap *)m;
    m->wake = INT64_MAX;
    if (e->kind == EVENT_START) {
        r->scanning = r->config->regions->n;
        for (size_t i = 0; i < r->config->regions->n; i++)
            scan_region(r, i, acts);
        return;
    }
    if (e->kind == EVENT_SIGNAL) { /* a kill that is under way is finished, if it can be soon */
        r->hurry_until = e->now + HURRY_MS;
        if (r->error.domain == ERROR_NONE)
            error_set(&r->error, ERROR_CANCELLED, 0, "interrupted by a signal");
        m->done = !r->acting;
    } else if (e->kind == EVENT_ANSWER && e->act == ACT_SCAN && r->acting) {
        answer_reread(r, e, acts);
    } else if (e->kind == EVENT_ANSWER && e->act == ACT_SCAN) {
        answer_scan(r, e);
        if (r->scanning > 0)
            return;
        m->done = r->error.domain != ERROR_NONE;
        r->listing = !m->done;
        if (r->listing)
            acts_add(acts, (struct act){ .kind = ACT_LIST });
        return;
    } else if (e->kind == EVENT_ANSWER && e->act == ACT_LIST) {
        r->listing = false;
        if (e->outcome == OUTCOME_OK) {
            match_records(r, e);
            find_ghosts(r, e);
        } else {
            error_copy(&r->list_error, e->error);
        }
        decide(r);
        r->acting = true;
        if (!r->config->dry_run)
            act(r, acts);
        reread(r, acts);
    } else if (e->kind == EVENT_ANSWER && e->who >= r->n) {
        answer_ghost(&r->ghosts[e->who - r->n], e);
    } else if (e->kind == EVENT_ANSWER) {
        go_on(r, e, acts);
    }
    if (r->hurry_until)
        m->wake = r->hurry_until;
    if (r->acting && (is_finished(r) || (r->hurry_until && e->now >= r->hurry_until)))
        m->done = true;
}

void reap_init(struct reap *r, const struct reap_config *config)
{
    static const char *const live[] = { "pending", "running", "stopping", "stopped" };
    *r = (struct reap){ .machine = { .step = step, .wake = INT64_MAX }, .config = config };
    strlist_add(&r->fleet, config->fleet);
    for (size_t i = 0; i < ARRAY_SIZE(live); i++)
        strlist_add(&r->states, live[i]);
    r->filters[0] = (struct ec2_filter){ "tag:" TAG_FLEET, &r->fleet };
    r->filters[1] = (struct ec2_filter){ "instance-state-name", &r->states };
}
