#include "mayfly/runner/stop.h"

#include "mayfly/runner/tags.h"
#include "mayfly/util/encode.h"

enum {
    HURRY_MS = 6500,
    HURRY_FENCE_MS = 1000,  /* after a signal; then what is known is terminated, fenced or not */
    HURRY_DELETE_MS = 3000, /* then a deletion is not waited for any longer, if its instance is gone */
    BOOT_LEAST_MS = 2500,   /* from `pending` to online, and more */
    AGAIN_MS = 3000,        /* one empty answer may be EC2's lag behind a launch */
};

void stop_clear(struct stop *s)
{
    for (size_t i = 0; i < s->n; i++) {
        pair_clear(&s->targets[i].pair);
        free(s->targets[i].label);
    }
    free(s->targets);
    for (size_t i = 0; i < ARRAY_SIZE(s->searches); i++)
        for (size_t v = 0; v < ARRAY_SIZE(s->searches[i].values); v++)
            strlist_clear(&s->searches[i].values[v]);
    error_clear(&s->error);
    *s = (struct stop){ 0 };
}

/* "<run id>/<attempt>": any attempt of the run up to this one; a later one has a stop of its own. */
static bool is_of_run(const struct ec2_instance *i, const struct stop_config *c)
{
    const char *run = ec2_instance_tag(i, TAG_RUN);
    size_t n = strlen(c->run_id);
    uint64_t attempt, newest;
    if (!run || strncmp(run, c->run_id, n) != 0 || run[n] != '/')
        return false;
    return str_empty(c->run_attempt) || !parse_uint(c->run_attempt, INT32_MAX, &newest) ||
           !parse_uint(run + n + 1, INT32_MAX, &attempt) || attempt <= newest;
}

static bool is_wanted(const struct stop *s, const struct ec2_instance *i)
{
    const struct stop_config *c = s->config;
    if (!s->by_run)
        return true;
    const char *role = ec2_instance_tag(i, TAG_ROLE);
    return str_eq(role, "runner") && is_of_run(i, c) &&
           (str_empty(c->name) || str_eq(ec2_instance_tag(i, TAG_NAME), c->name));
}

bool stop_knows(const struct stop *s, const char *id)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq(s->targets[i].pair.instance_id, id))
            return true;
    return false;
}

static void add_target(struct stop *s, const struct ec2_instance *i, const char *region, const struct event *e)
{
    uint64_t id;
    const char *runner_id = ec2_instance_tag(i, TAG_RUNNER_ID);
    bool live = ec2_state_is_live(ec2_instance_state(i));
    if (s->by_run && !live)
        return;
    if (stop_knows(s, i->id)) /* named by id and by label, or seen twice */
        return;
    s->targets = xreallocarray(s->targets, s->n + 1, sizeof(*s->targets));
    struct stop_target *t = &s->targets[s->n++];
    *t = (struct stop_target){ .already_gone = !live };
    str_set(&t->label, ec2_instance_tag(i, TAG_LABEL));
    str_set(&t->pair.name, ec2_instance_tag(i, TAG_RUNNER));
    str_set(&t->pair.instance_id, i->id);
    str_set(&t->pair.region, region);
    t->pair.instance = live ? INSTANCE_HAVE : INSTANCE_GONE;
    t->pair.boots_until = ec2_instance_state(i) == EC2_PENDING ? s->asked_at + BOOT_LEAST_MS : 0;
    t->pair.spare_busy = t->pair.must_fence = s->by_run && !s->config->force;
    int64_t age = e->no_time ? 0 : e->cloud_now - ec2_instance_launched(i);
    t->pair.young_until = e->now + (age < PAIR_YOUNG_MS / 1000 ? PAIR_YOUNG_MS - age * 1000 : 0);
    t->pair.find_until = e->now + (age < PAIR_FIND_MS / 1000 ? PAIR_FIND_MS - age * 1000 : 0);
    const char *scope = ec2_instance_tag(i, TAG_SCOPE); /* in whatever case: GitHub takes any */
    /* A record of another scope has an id of its own numbering: deleting by it could hit a stranger. */
    if (runner_id && parse_uint(runner_id, INT64_MAX, &id) && scope && strcasecmp(scope, s->config->scope) == 0) {
        t->pair.runner_id = (int64_t)id;
        t->pair.record = RECORD_HAVE;
    } else if (t->pair.must_fence) {
        t->pair.record = RECORD_STUCK;
        error_set(&t->pair.error, ERROR_CONFIG, 0, "its runner belongs to `%s`, not to `%s`",
                  scope ? scope : "(no scope)", s->config->scope);
        error_hint(&t->pair.error, "give --repo %s", scope ? scope : "its own");
    }
}

static void answer_scan(struct stop *s, const struct event *e)
{
    s->scanning--;
    if (e->outcome != OUTCOME_OK) {
        if (s->error.domain == ERROR_NONE)
            error_copy(&s->error, e->error);
        return;
    }
    for (size_t n = 0; n < e->n_instances; n++) {
        const struct ec2_instance *i = &e->instances[n];
        if (!is_wanted(s, i))
            continue;
        if (!s->config->force && !str_eq(ec2_instance_tag(i, TAG_FLEET), s->config->fleet)) {
            if (s->error.domain == ERROR_NONE) {
                error_set(&s->error, ERROR_CONFIG, 0, "instance %s does not belong to the fleet `%s`", i->id,
                          s->config->fleet);
                error_hint(&s->error, "check --instance and --fleet; --force ends it all the same");
            }
            continue;
        }
        add_target(s, i, s->config->regions->v[e->who / s->n_searches], e);
    }
}

/* Several starts of one run may have launched: without --name, which of them is meant is a guess. */
static void check_labels(struct stop *s)
{
    for (size_t i = 1; i < s->n && s->by_run && !s->config->force && str_empty(s->config->name); i++)
        if (!str_eq(s->targets[i].label, s->targets[0].label))
            s->several_labels = true;
}

/* Every instance that was named, or some of what was not named one by one. */
static bool is_found(const struct stop *s)
{
    for (size_t i = 0; i < s->config->instances->n; i++)
        if (!stop_knows(s, s->config->instances->v[i]))
            return false;
    return s->n > 0;
}

static void scanned(struct stop *s, int64_t now)
{
    check_labels(s);
    if (!s->again_at && s->error.domain == ERROR_NONE && !is_found(s))
        s->again_at = now + AGAIN_MS;
}

static void scan(struct stop *s, int64_t now, struct acts *acts)
{
    s->asked_at = now;
    s->scanning = s->config->regions->n * s->n_searches;
    for (size_t i = 0; i < s->scanning; i++) {
        const struct stop_search *search = &s->searches[i % s->n_searches];
        acts_add(acts, (struct act){ .kind = ACT_SCAN,
                                     .who = i,
                                     .region = s->config->regions->v[i / s->n_searches],
                                     .filters = search->filters,
                                     .n_filters = search->n_filters });
    }
}

static int64_t delete_until(const struct stop *s)
{
    return s->hurry_until - HURRY_MS + HURRY_DELETE_MS;
}

static bool is_settled(const struct stop *s, const struct pair *p, int64_t now)
{
    bool enough = s->hurry_until && now >= delete_until(s);
    return pair_is_settled(p) || (enough && p->record == RECORD_DELETING && p->instance == INSTANCE_GONE);
}

/* What was found is meant, whatever else there is. */
static bool is_named(const struct stop *s)
{
    return !s->by_run || s->config->force || !str_empty(s->config->name);
}

static void step(struct machine *m, const struct event *e, struct acts *acts)
{
    struct stop *s = (struct stop *)m;
    bool settled = true;
    m->wake = INT64_MAX;
    if (e->kind == EVENT_START) {
        scan(s, e->now, acts);
        return;
    }
    if (e->kind == EVENT_SIGNAL) {
        s->hurry_until = e->now + HURRY_MS;
        if (s->error.domain == ERROR_NONE)
            error_set(&s->error, ERROR_CANCELLED, 0, "interrupted by a signal");
    } else if (e->kind == EVENT_ANSWER && e->act == ACT_SCAN) {
        answer_scan(s, e);
        if (s->scanning == 0)
            scanned(s, e->now);
    } else if (e->kind == EVENT_ANSWER) {
        pair_answer(&s->targets[e->who].pair, e);
    }
    bool again = s->again_at && !s->scanned_again && !s->hurry_until;
    if (s->hurry_until)
        m->wake = e->now < delete_until(s) ? delete_until(s) : s->hurry_until;
    else if (again)
        m->wake = s->again_at;
    if (again && e->now >= s->again_at) {
        s->scanned_again = true;
        scan(s, e->now, acts);
    }
    if (s->scanning > 0 &&
        !(s->hurry_until &&
          is_named(s))) { /* after a signal too: the answer may be near, and what it shows can be ended in time */
        m->done = s->hurry_until && e->now >= s->hurry_until;
        return;
    }
    for (size_t i = 0; i < s->n && !s->several_labels; i++) {
        if (s->hurry_until)
            pair_hurry(&s->targets[i].pair, s->hurry_until - HURRY_MS + HURRY_FENCE_MS);
        pair_down(&s->targets[i].pair, i, e->now, acts, &m->wake);
        settled = settled && is_settled(s, &s->targets[i].pair, e->now);
    }
    m->done = (settled && !again && s->scanning == 0) || (s->hurry_until && e->now >= s->hurry_until);
}

/* A search by one filter, and one value or many. */
static void add_filter(struct stop_search *search, const char *name, const char *one, const struct strlist *many)
{
    struct strlist *values = &search->values[search->n_filters];
    if (one)
        strlist_add(values, one);
    for (size_t i = 0; many && i < many->n; i++)
        strlist_add(values, many->v[i]);
    search->filters[search->n_filters++] = (struct ec2_filter){ .name = name, .values = values };
}

bool stop_init(struct stop *s, const struct stop_config *config, struct error *err)
{
    static char *const live[] = { (char *)"pending", (char *)"running", (char *)"stopping", (char *)"stopped" };
    static const struct strlist states = { .v = (char **)live, .n = ARRAY_SIZE(live) };
    *s = (struct stop){ .machine = { .step = step, .wake = INT64_MAX }, .config = config };
    if (config->instances->n > 0)
        add_filter(&s->searches[s->n_searches++], "instance-id", NULL, config->instances);
    if (!str_empty(config->label)) {
        add_filter(&s->searches[s->n_searches], "tag:" TAG_FLEET, config->fleet, NULL);
        add_filter(&s->searches[s->n_searches++], "tag:" TAG_LABEL, config->label, NULL);
    }
    if (s->n_searches > 0)
        return true;
    if (str_empty(config->run_id)) {
        error_set(err, ERROR_USAGE, 0, "nothing to stop is named, and this is no workflow run");
        error_hint(err, "give --instance or --label; in a workflow GITHUB_RUN_ID says which run is meant");
        return false;
    }
    s->by_run = true;
    add_filter(&s->searches[s->n_searches], "tag:" TAG_FLEET, config->fleet, NULL);
    add_filter(&s->searches[s->n_searches++], "instance-state-name", NULL, &states);
    return true;
}
