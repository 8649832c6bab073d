#include "mayfly/runner/stop.h"

#include "mayfly/runner/tags.h"
#include "mayfly/util/encode.h"

enum {
    HURRY_MS = 6500,
    HURRY_FENCE_MS = 1000,  /* after a signal; then what is known is terminated, fenced or not */
    HURRY_DELETE_MS = 3000, /* then a deletion is not waited for any longer, if its instance is gone */
    BOOT_LEAST_MS = 2500,   /* from `pending` to online, and more */
    STARTING_S = 120,       /* beyond the time limit of a start, for its undoing */
    AGAIN_MS = 3000,        /* one empty answer may be EC2's lag behind a launch */
};

void stop_clear(struct stop *s)
{
    for (size_t i = 0; i < s->n; i++) {
        pair_clear(&s->targets[i].pair);
        free(s->targets[i].label);
        free(s->targets[i].handed);
    }
    free(s->targets);
    for (size_t i = 0; i < ARRAY_SIZE(s->searches); i++)
        for (size_t v = 0; v < ARRAY_SIZE(s->searches[i].values); v++)
            strlist_clear(&s->searches[i].values[v]);
    strlist_clear(&s->starting);
    strlist_clear(&s->handed);
    strlist_clear(&s->unread);
    free(s->stranger);
    free(s->strange_fleet);
    error_clear(&s->unread_why);
    error_clear(&s->error);
    *s = (struct stop){ 0 };
}

/* "<run id>/<attempt>": any attempt of the run up to this one; a later one has a stop of its own. */
static bool is_of_run(const struct ec2_instance *i, const struct stop_config *c)
{
    const char *run = ec2_instance_tag(i, TAG_RUN);
    const char *slash = run ? strrchr(run, '/') : NULL;
    uint64_t attempt, newest;
    if (!slash || str_empty(c->run_id) || (size_t)(slash - run) != strlen(c->run_id) ||
        strncmp(run, c->run_id, (size_t)(slash - run)) != 0)
        return false;
    return str_empty(c->run_attempt) || !parse_uint(c->run_attempt, INT32_MAX, &newest) ||
           !parse_uint(slash + 1, INT32_MAX, &attempt) || attempt <= newest;
}

/* Nobody else makes such labels; run ids are counted by each GitHub. */
static bool is_meant_elsewhere(const struct stop *s, const struct ec2_instance *i)
{
    const struct stop_config *c = s->config;
    const char *repo = ec2_instance_tag(i, TAG_REPO);
    if (!ec2_state_is_live(ec2_instance_state(i)))
        return false;
    if (!s->by_run && (str_starts(c->label, "mayfly-") || str_empty(c->run_id)))
        return true;
    return is_of_run(i, c) && (str_empty(repo) || str_empty(c->repo) || strcasecmp(repo, c->repo) == 0);
}

/* May the start that launched it still be at work? It undoes by itself what it does not hand out. */
static bool may_be_starting(const struct ec2_instance *i, int64_t cloud_now)
{
    struct limits limits = LIMITS_DEFAULT;
    const char *tag = ec2_instance_tag(i, TAG_LIMITS);
    if (tag && !limits_parse(tag, &limits))
        limits = LIMITS_DEFAULT;
    return cloud_now - ec2_instance_launched(i) < limits.boot + STARTING_S;
}

/* What no finished start has handed out, and none that is at work will. */
static bool is_orphan(struct stop *s, const struct ec2_instance *i, int64_t cloud_now)
{
    bool handed = ec2_instance_tag(i, TAG_HANDED) != NULL;
    if (!s->config->empty || !ec2_state_is_live(ec2_instance_state(i)))
        return true;
    if (!handed && !may_be_starting(i, cloud_now))
        return true;
    struct strlist *spared = handed ? &s->handed : &s->starting;
    if (!strlist_has(spared, i->id))
        strlist_add(spared, i->id);
    return false;
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
    str_set(&t->handed, ec2_instance_tag(i, TAG_HANDED));
    str_set(&t->label, ec2_instance_tag(i, TAG_LABEL));
    str_set(&t->pair.name, ec2_instance_tag(i, TAG_RUNNER));
    str_set(&t->pair.instance_id, i->id);
    str_set(&t->pair.region, region);
    t->pair.instance = live ? INSTANCE_HAVE : INSTANCE_GONE;
    t->pair.boots_until = ec2_instance_state(i) == EC2_PENDING ? s->asked_at + BOOT_LEAST_MS : 0;
    t->pair.spare_busy = t->pair.must_fence = s->by_run && !s->config->force;
    int64_t age = e->no_time ? 0 : e->cloud_now - ec2_instance_launched(i);
    age = age < 0 ? 0 : age; /* else a wrong clock would make it young for hours */
    t->pair.young_until = e->now + (age < PAIR_YOUNG_MS / 1000 ? PAIR_YOUNG_MS - age * 1000 : 0);
    t->pair.find_until = e->now + (age < PAIR_FIND_MS / 1000 ? PAIR_FIND_MS - age * 1000 : 0);
    const char *scope = ec2_instance_tag(i, TAG_SCOPE); /* in whatever case: GitHub takes any */
    /* A record of another scope has an id of its own numbering: deleting by it could hit a stranger. */
    if (runner_id && parse_uint(runner_id, FIELD_ID_MAX, &id) && id > 0 && scope &&
        strcasecmp(scope, s->config->scope) == 0) {
        t->pair.runner_id = (int64_t)id;
        t->pair.record = RECORD_HAVE;
    } else if (t->pair.must_fence) {
        t->pair.record = RECORD_STUCK;
        error_set(&t->pair.error, ERROR_CONFIG, 0, "its runner belongs to `%s`, not to `%s`",
                  scope ? scope : "(no scope)", s->config->scope);
        error_hint(&t->pair.error, "give --repo %s", scope ? scope : "its own");
    }
}

static void cannot_read(struct stop *s, const char *region, const struct error *why)
{
    if (!s->config->wide && s->error.domain == ERROR_NONE)
        error_copy(&s->error, why);
    if (!s->config->wide || strlist_has(&s->unread, region))
        return;
    if (s->unread.n == 0)
        error_copy(&s->unread_why, why);
    strlist_add(&s->unread, region);
}

static void answer_scan(struct stop *s, const struct event *e)
{
    s->scanning--;
    const char *region = s->config->regions->v[e->who / s->n_searches];
    AUTO_ERROR no_id = { 0 };
    if (e->outcome != OUTCOME_OK)
        cannot_read(s, region, e->error);
    else if (e->n_skipped && !ec2_no_id(&no_id)) /* it may be meant; the others are ended all the same */
        cannot_read(s, region, &no_id);
    if (e->outcome != OUTCOME_OK)
        return;
    for (size_t n = 0; n < e->n_instances; n++) {
        const struct ec2_instance *i = &e->instances[n];
        if (!is_wanted(s, i))
            continue;
        const char *fleet = ec2_instance_tag(i, TAG_FLEET);
        bool is_named = strlist_has(s->config->instances, i->id);
        if (!str_eq(fleet, s->config->fleet) && !is_named) { /* a wide search shows what others have */
            if (!s->stranger && is_meant_elsewhere(s, i)) {
                str_set(&s->stranger, i->id);
                str_set(&s->strange_fleet, fleet ? fleet : "");
            }
            continue;
        }
        if (!s->config->force && !str_eq(fleet, s->config->fleet)) {
            if (s->error.domain == ERROR_NONE) {
                error_set(&s->error, ERROR_CONFIG, 0, "instance %s does not belong to the fleet `%s`", i->id,
                          s->config->fleet);
                error_hint(&s->error, "check --instance and --fleet; --force terminates it anyway");
            }
            continue;
        }
        if (is_orphan(s, i, e->cloud_now))
            add_target(s, i, region, e);
    }
}

/* Several starts of one run may have launched: without --name, which of them is meant is a guess. */
static void check_labels(struct stop *s)
{
    for (size_t i = 1; i < s->n && s->by_run && !s->config->force && !s->config->empty && str_empty(s->config->name);
         i++)
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

static bool is_searched(const struct stop *s, const struct stop_target *t)
{
    AUTO_STRLIST regions = { 0 };
    if (!t->handed)
        return t->already_gone;
    strlist_split(&regions, t->handed, " ");
    for (size_t i = 0; i < regions.n; i++)
        if (!strlist_has(s->config->regions, regions.v[i]))
            return false;
    return true;
}

bool stop_misses(const struct stop *s)
{
    bool handed = true, labelled = false;
    if (s->error.domain != ERROR_NONE || s->several_labels || s->hurry_until)
        return false;
    for (size_t i = 0; i < s->config->instances->n; i++)
        if (!stop_knows(s, s->config->instances->v[i]))
            return true;
    for (size_t i = 0; i < s->n; i++) {
        labelled = labelled || str_eq(s->targets[i].label, s->config->label);
        handed = handed && is_searched(s, &s->targets[i]);
    }
    if (!str_empty(s->config->label)) /* a launch may be in several regions; it says in which once it has succeeded */
        return !labelled || !handed;
    return s->by_run && (s->n == 0 || s->config->empty);
}

static void scanned(struct stop *s, int64_t now)
{
    check_labels(s);
    if (!s->again_at && s->error.domain == ERROR_NONE && !s->config->wide && !is_found(s))
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
        if (!config->wide)
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
    if (config->wide) {
        AUTO_STRBUF run = STRBUF_INIT;
        ec2_escape(&run, config->run_id);
        strbuf_adds(&run, "/*");
        add_filter(&s->searches[s->n_searches], "tag:" TAG_RUN, strbuf_str(&run), NULL);
        s->searches[s->n_searches].filters[0].pattern = true;
    } else {
        add_filter(&s->searches[s->n_searches], "tag:" TAG_FLEET, config->fleet, NULL);
    }
    add_filter(&s->searches[s->n_searches++], "instance-state-name", NULL, &states);
    return true;
}
