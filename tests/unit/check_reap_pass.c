#include <inttypes.h>

#include "mayfly/runner/reap_pass.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"
#include "testing.h"

/* --- a small world that answers ----------------------------------------------------------------------------------- */

#define FLEET "org/repo"
enum { NOW = 1700000000, MAX = 260 };

/* Borrowed strings of one instance; zero means the usual. */
struct box {
    const char *id, *region, *state, *fleet, *scope, *repo, *role, *limits, *keep, *mark, *runner_id, *runner, *run,
        *label, *more, *console; /* console: the usual is a machine that hangs when its runner has ended */
    int64_t age;
};

struct record {
    const char *scope; /* or NULL: FLEET's */
    struct github_runner r;
};

struct job {
    int64_t run_id;
    const char *status, *runner, *label; /* status: NULL: it makes no sense */
};

struct fault {
    enum act_kind kind;
    enum outcome outcome;
    const char *of; /* its id or region or scope, or NULL: of every one */
    int64_t nth;    /* from 1; 0: each time */
};

struct world {
    struct reap reap;
    struct reap_config config;
    struct strlist regions;
    struct box boxes[MAX];
    size_t n_boxes;
    struct record records[MAX];
    size_t n_records;
    struct job jobs[8];
    size_t n_jobs;
    struct fault faults[8];
    size_t n_faults;
    void (*before)(struct world *w, const struct act *a); /* what happens just before an answer */
    enum act_kind held;                                   /* is not answered */
    size_t skipped;                                       /* instances without an id, in each scan by page */
    bool paged;                                           /* every row comes on a page of its own */
    bool logs_consoles, no_time;
    struct acts queue;
    struct strbuf log; /* "scan list look:i-1 …" */
    size_t in_flight, most_in_flight, seen[ACT_COUNT];
    struct arena arena;
    int64_t now; /* monotonic */
};

static void world_init(struct world *w)
{
    *w = (struct world){ .config = { .fleet = FLEET,
                                     .scope = FLEET,
                                     .name_mark = "mf-abcdef-",
                                     .regions = &w->regions,
                                     .limits = { .boot = 600, .idle = 1800, .life = 21600 },
                                     .confirm = true },
                         .log = STRBUF_INIT };
    strlist_add(&w->regions, "us-east-1");
}

static void world_clear(struct world *w)
{
    reap_clear(&w->reap);
    strlist_clear(&w->regions);
    acts_clear(&w->queue);
    strbuf_clear(&w->log);
    arena_clear(&w->arena);
}

static void put(struct world *w, struct box b)
{
    ck_assert_uint_lt(w->n_boxes, MAX);
    w->boxes[w->n_boxes++] = b;
}

static void put_record(struct world *w, int64_t id, const char *name, const char *status, bool busy)
{
    ck_assert_uint_lt(w->n_records, MAX);
    w->records[w->n_records++] =
        (struct record){ .r = { .id = id, .name = name, .status = status ? status : "offline", .busy = busy } };
}

static void put_fault(struct world *w, enum act_kind kind, enum outcome outcome, const char *of, int64_t nth)
{
    w->faults[w->n_faults++] = (struct fault){ kind, outcome, of, nth };
}

static struct box *find_box(struct world *w, const char *id)
{
    for (size_t i = 0; i < w->n_boxes; i++)
        if (str_eq(w->boxes[i].id, id))
            return &w->boxes[i];
    return NULL;
}

static struct record *find_record(struct world *w, const char *scope, int64_t id)
{
    for (size_t i = 0; i < w->n_records; i++)
        if (w->records[i].r.id == id && str_eq(w->records[i].scope ? w->records[i].scope : FLEET, scope))
            return &w->records[i];
    return NULL;
}

static const char * or (const char *s, const char *otherwise)
{
    return s ? s : otherwise;
}

static struct ec2_instance view(struct world *w, const struct box *b)
{
    const struct ec2_tag tags[] = {
        { TAG_FLEET, or (b->fleet, FLEET) },
        { TAG_SCOPE, or (b->scope, FLEET) },
        { TAG_ROLE, or (b->role, "runner") },
        { TAG_RUNNER, or (b->runner, b->id) },
        { TAG_RUNNER_ID, or (b->runner_id, "7") },
        { TAG_REPO, b->repo },
        { TAG_LIMITS, b->limits },
        { TAG_KEEP, b->keep },
        { TAG_MARK, b->mark },
        { TAG_RUN, b->run },
        { TAG_LABEL, b->label },
        { "other", b->more },
    };
    struct ec2_instance i = { .id = b->id, .state_name = or (b->state, "running") };
    i.launch_time = arena_strdup(&w->arena, clock_rfc3339(NOW - b->age).s);
    for (size_t t = 0; t < ARRAY_SIZE(tags); t++)
        if (tags[t].value)
            *(struct ec2_tag *)field_list_add(&i.tags, sizeof(struct ec2_tag), &w->arena) = tags[t];
    return i;
}

static bool passes(const struct world *w, const struct act *a, const struct ec2_instance *i, const struct box *b)
{
    if (!str_eq(or (b->region, w->regions.v[0]), a->region) || (a->kind == ACT_LOOK && !strlist_has(a->ids, b->id)))
        return false;
    for (size_t f = 0; f < a->n_filters; f++) {
        const char *name = a->filters[f].name;
        const char *value = str_eq(name, "instance-state-name") ? i->state_name : ec2_instance_tag(i, name + 4);
        if (!value || !strlist_has(a->filters[f].values, value))
            return false;
    }
    return true;
}

static void describe(struct world *w, const struct act *a, struct event *e)
{
    struct ec2_instance *rows = arena_alloc(&w->arena, (w->n_boxes + 1) * sizeof(*rows));
    for (size_t n = 0; n < w->n_boxes; n++) {
        const struct ec2_instance i = view(w, &w->boxes[n]);
        if (passes(w, a, &i, &w->boxes[n]))
            rows[e->n_instances++] = i;
    }
    e->instances = rows;
}

static void list(struct world *w, const struct act *a, struct event *e)
{
    struct github_runner *rows = arena_alloc(&w->arena, (w->n_records + 1) * sizeof(*rows));
    for (size_t n = 0; n < w->n_records; n++) {
        const struct record *r = &w->records[n];
        bool hit = a->kind == ACT_LIST || r->r.id == a->runner_id;
        if (r->r.id && hit && str_eq(or (r->scope, FLEET), a->scope))
            rows[e->n_runners++] = r->r;
    }
    e->runners = rows;
    if (a->kind == ACT_GET && e->n_runners == 0)
        e->outcome = OUTCOME_NOT_FOUND;
}

static void list_jobs(struct world *w, const struct act *a, struct event *e)
{
    struct github_job *rows = arena_alloc(&w->arena, (w->n_jobs + 1) * sizeof(*rows));
    for (size_t n = 0; n < w->n_jobs; n++) {
        if (w->jobs[n].run_id != a->run_id)
            continue;
        struct github_job *j = &rows[e->n_jobs++];
        *j = (struct github_job){ .id = 1,
                                  .status = w->jobs[n].status,
                                  .runner_name = w->jobs[n].runner,
                                  .unclear = w->jobs[n].status ? NULL : "it makes no sense" };
        *(const char **)field_list_add(&j->labels, sizeof(const char *), &w->arena) = w->jobs[n].label;
    }
    e->jobs = rows;
    if (e->n_jobs == 0)
        e->outcome = OUTCOME_NOT_FOUND;
}

static void terminate(struct world *w, const struct act *a, struct event *e)
{
    struct ec2_change *rows = arena_alloc(&w->arena, a->ids->n * sizeof(*rows));
    for (size_t i = 0; i < a->ids->n; i++) {
        find_box(w, a->ids->v[i])->state = "shutting-down";
        rows[e->n_changes++] = (struct ec2_change){ .id = a->ids->v[i], .state_name = "shutting-down" };
    }
    e->changes = rows;
}

static void log_act(struct world *w, const struct act *a)
{
    strbuf_addf(&w->log, "%s%s", w->log.len ? " " : "", act_name(a->kind));
    if (a->runner_id)
        strbuf_addf(&w->log, ":%" PRId64, a->runner_id);
    if (a->run_id)
        strbuf_addf(&w->log, ":%" PRId64, a->run_id);
    if (a->instance_id)
        strbuf_addf(&w->log, ":%s", a->instance_id);
    for (size_t i = 0; a->ids && i < a->ids->n; i++)
        strbuf_addf(&w->log, "%s%s", i ? "," : ":", a->ids->v[i]);
    if (a->kind == ACT_MARK)
        strbuf_addf(&w->log, "=%s", a->mark ? a->mark : "");
}

static void read_console(struct world *w, const struct act *a, struct event *e)
{
    const struct box *b = find_box(w, a->instance_id);
    e->text = b && b->console ? b->console : "mayfly: phase poweroff (9.00s)\n";
}

static enum outcome drawn(struct world *w, const struct act *a)
{
    w->seen[a->kind]++;
    for (size_t i = 0; i < w->n_faults; i++) {
        const struct fault *f = &w->faults[i];
        bool of = !f->of || str_eq(f->of, a->region) || str_eq(f->of, a->scope) || str_eq(f->of, a->instance_id) ||
                  (a->ids && strlist_has(a->ids, f->of));
        if (f->kind == a->kind && of && (f->nth == 0 || (size_t)f->nth == w->seen[a->kind]))
            return f->outcome;
    }
    return OUTCOME_OK;
}

static void feed(struct world *w, struct event e)
{
    AUTO_ERROR err = { 0 };
    struct acts acts = { 0 };
    e.now = w->now;
    if (e.outcome != OUTCOME_OK) {
        error_set(&err, ERROR_NET, 7, "no answer");
        e.error = &err;
        e.n_instances = e.n_runners = e.n_jobs = e.n_changes = 0;
    }
    w->reap.machine.step(&w->reap.machine, &e, &acts);
    w->in_flight -= e.kind == EVENT_ANSWER;
    for (size_t i = 0; i < acts.n; i++) {
        if (acts.v[i].kind != ACT_CONSOLE || w->logs_consoles)
            log_act(w, &acts.v[i]);
        acts_add(&w->queue, acts.v[i]);
    }
    w->in_flight += acts.n;
    w->most_in_flight = w->in_flight > w->most_in_flight ? w->in_flight : w->most_in_flight;
    acts_clear(&acts);
}

/* One row a page: the last comes with the answer, or an empty answer does. */
static void feed_pages(struct world *w, struct event e)
{
    size_t n = e.n_instances + e.n_runners + e.n_jobs;
    struct event page = e;
    for (size_t i = 0; i < n; i++) {
        page.kind = EVENT_PAGE;
        page.outcome = OUTCOME_OK;
        page.instances = e.n_instances ? e.instances + i : NULL;
        page.runners = e.n_runners ? e.runners + i : NULL;
        page.jobs = e.n_jobs ? e.jobs + i : NULL;
        page.n_instances = e.n_instances > 0;
        page.n_runners = e.n_runners > 0;
        page.n_jobs = e.n_jobs > 0;
        feed(w, page);
    }
    e.n_instances = e.n_runners = e.n_jobs = 0;
    feed(w, e);
}

static void answer(struct world *w, struct act a)
{
    struct event e = { .kind = EVENT_ANSWER, .act = a.kind, .who = a.who };
    e.no_time = w->no_time;
    if (w->before)
        w->before(w, &a);
    e.cloud_now = NOW + w->now / 1000;
    enum outcome outcome = drawn(w, &a);
    switch (a.kind) {
    case ACT_SCAN:
    case ACT_LOOK:
        describe(w, &a, &e);
        break;
    case ACT_LIST:
    case ACT_GET:
        list(w, &a, &e);
        break;
    case ACT_JOBS:
        list_jobs(w, &a, &e);
        break;
    case ACT_CONSOLE:
        read_console(w, &a, &e);
        break;
    case ACT_DELETE:
        if (outcome == OUTCOME_OK && find_record(w, a.scope, a.runner_id))
            find_record(w, a.scope, a.runner_id)->r.id = 0;
        else if (outcome == OUTCOME_OK)
            e.outcome = OUTCOME_NOT_FOUND;
        break;
    case ACT_TERMINATE:
        if (outcome == OUTCOME_OK)
            terminate(w, &a, &e);
        break;
    default:
        break;
    }
    if (outcome != OUTCOME_OK)
        e.outcome = outcome;
    e.n_skipped = a.kind == ACT_SCAN && a.by_page ? w->skipped : 0;
    if (a.by_page && w->paged)
        feed_pages(w, e);
    else
        feed(w, e);
}

/* Answers whatever is asked, in its order, until nothing is; held actions stay in the queue. */
static void go(struct world *w)
{
    for (size_t i = 0; i < w->queue.n && !w->reap.machine.done;) {
        if (w->queue.v[i].kind == w->held) {
            i++;
            continue;
        }
        struct act a = w->queue.v[i];
        memmove(&w->queue.v[i], &w->queue.v[i + 1], (w->queue.n - i - 1) * sizeof(a));
        w->queue.n--;
        answer(w, a);
        i = 0;
    }
}

static void start(struct world *w)
{
    reap_init(&w->reap, &w->config);
    feed(w, (struct event){ .kind = EVENT_START });
    go(w);
}

/* A whole pass. */
static void pass(struct world *w)
{
    start(w);
    ck_assert_msg(w->reap.machine.done, "not done after: %s", strbuf_str(&w->log));
    ck_assert_uint_eq(w->queue.n, 0);
}

static void did(const struct world *w, const char *log)
{
    ck_assert_str_eq(strbuf_str(&w->log), log);
}

static const struct reap_target *target(const struct world *w, const char *id)
{
    for (size_t i = 0; i < w->reap.n; i++)
        if (str_eq(w->reap.rows.v[w->reap.targets[i].row].id, id))
            return &w->reap.targets[i];
    ck_abort_msg("%s was not looked at closely: %s", id, strbuf_str(&w->log));
    return NULL;
}

static size_t count_ended(const struct world *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->reap.n; i++)
        n += w->reap.targets[i].ended;
    return n;
}

static const struct box orphan = { .id = "i-1", .age = 5000 };
static const struct box overdue = { .id = "i-1", .age = 30000 };
#define OLD "@1600000000" /* a mark that is old enough for any rule */

/* --- reading ------------------------------------------------------------------------------------------------------ */

START_TEST(scan_asks_for_the_fleet_in_every_region)
{
    struct world w;
    world_init(&w);
    strlist_add(&w.regions, "eu-central-1");
    w.held = ACT_SCAN;
    start(&w);
    did(&w, "scan scan");
    const struct act *a = &w.queue.v[1];
    ck_assert_str_eq(a->region, "eu-central-1");
    ck_assert(a->by_page);
    ck_assert_uint_eq(a->n_filters, 2);
    ck_assert_str_eq(a->filters[0].name, "tag:mayfly:fleet");
    ck_assert_str_eq(a->filters[0].values->v[0], FLEET);
    ck_assert_str_eq(a->filters[1].name, "instance-state-name");
    ck_assert_uint_eq(a->filters[1].values->n, 4);
    world_clear(&w);
}
END_TEST

/* One region or one page that fails, before or after others showed much to end. */
START_TEST(scan_error_means_no_action)
{
    static const enum outcome bad[] = { OUTCOME_AMBIGUOUS, OUTCOME_THROTTLED, OUTCOME_FAILED };
    struct world w;
    world_init(&w);
    strlist_add(&w.regions, "eu-central-1");
    put(&w, overdue);
    put(&w, (struct box){ .id = "i-2", .region = "eu-central-1", .age = 30000 });
    put_fault(&w, ACT_SCAN, bad[_i % 3], w.regions.v[_i / 3 % 2], 0);
    w.paged = _i / 6;
    pass(&w);
    did(&w, "scan scan");
    ck_assert_int_eq(w.reap.error.domain, ERROR_NET);
    world_clear(&w);
}
END_TEST

START_TEST(empty_fleet_may_have_ghosts)
{
    struct world w;
    world_init(&w);
    pass(&w);
    did(&w, "scan list");
    ck_assert_int_eq(w.reap.error.domain, ERROR_NONE);
    world_clear(&w);
}
END_TEST

/* One that makes no sense is passed over, and told; the others have their ends. */
START_TEST(what_is_malformed_does_not_spoil_the_pass)
{
    static const struct box bad[] = {
        { .id = "i-0123456789abcdef0123", .age = 30000 }, /* longer than ids are */
        { .id = "vol-1", .age = 30000 },
        { .id = "i-1; x", .age = 30000 },
        { .id = "i-2", .age = NOW }, /* launched in 1970 */
        { .id = "i-2", .age = 30000, .state = "exploded" },
    };
    struct world w;
    world_init(&w);
    put(&w, bad[_i]);
    put(&w, overdue);
    pass(&w);
    did(&w, "scan list look:i-1 get:7 delete:7 look:i-1 terminate:i-1");
    ck_assert_int_eq(w.reap.error.domain, ERROR_NONE);
    ck_assert_uint_eq(w.reap.malformed, _i == 4 ? 0 : 1); /* EC2 filters by state */
    ck_assert(target(&w, "i-1")->ended);
    world_clear(&w);
}
END_TEST

/* A record that makes no sense keeps what it may belong to until its deadline, and nothing else. */
START_TEST(a_senseless_record_keeps_its_own)
{
    struct world w;
    world_init(&w);
    put(&w, (struct box){ .id = "i-1", .age = 5000, .mark = "no-runner" OLD });
    put(&w, (struct box){ .id = "i-2", .age = 5000, .runner_id = "9", .mark = "no-runner" OLD });
    put(&w, (struct box){ .id = "i-3", .age = 30000, .runner_id = "10" });
    put_record(&w, 9, _i % 2 ? NULL : "i-2", "online", false);
    put_record(&w, 10, NULL, NULL, false);
    w.records[0].r.unclear = w.records[1].r.unclear = "`busy` is missing";
    w.paged = _i / 2;
    pass(&w);
    ck_assert_uint_eq(w.reap.scopes[0].unclear, 2);
    ck_assert_str_eq(w.reap.scopes[0].an_unclear, "`busy` is missing");
    ck_assert_uint_eq(w.reap.n_ghosts, 0);
    ck_assert(target(&w, "i-1")->ended);
    ck_assert_str_eq(find_box(&w, "i-2")->state ? find_box(&w, "i-2")->state : "running", "running");
    ck_assert(target(&w, "i-3")->ended);
    world_clear(&w);
}
END_TEST

/* An instance without an id does not end the page; a record that may be its own is no ghost. */
START_TEST(an_instance_without_an_id_is_told)
{
    struct world w;
    world_init(&w);
    put(&w, overdue);
    w.skipped = 2;
    pass(&w);
    did(&w, "scan list look:i-1 get:7 delete:7 look:i-1 terminate:i-1");
    ck_assert_uint_eq(w.reap.malformed, 2);
    ck_assert_str_eq(w.reap.a_malformed, "one without an id in us-east-1");
    world_clear(&w);
}
END_TEST

/* Also after pages on which records were seen: what was seen counts for nothing. */
START_TEST(list_error_leaves_only_deadlines)
{
    struct world w;
    world_init(&w);
    put(&w, (struct box){ .id = "i-1", .age = 5000, .mark = "no-runner" OLD });
    put(&w, (struct box){ .id = "i-2", .age = 30000 });
    put(&w, (struct box){ .id = "i-3", .age = 5000, .runner_id = "9" });
    put_record(&w, 9, "i-3", "offline", false);
    put_fault(&w, ACT_LIST, OUTCOME_FAILED, NULL, 0);
    w.paged = _i;
    pass(&w);
    did(&w, "scan list look:i-2 look:i-2 terminate:i-2"); /* and GitHub is not asked to delete */
    ck_assert_int_eq(w.reap.scopes[0].error.domain, ERROR_NET);
    for (size_t i = 0; i < w.reap.rows.n; i++)
        ck_assert_int_eq(w.reap.rows.v[i].record, REAP_RECORD_UNKNOWN);
    world_clear(&w);
}
END_TEST

START_TEST(each_instance_is_judged_by_its_own_scope)
{
    struct world w;
    world_init(&w);
    put(&w, (struct box){ .id = "i-1", .age = 5000, .mark = "no-runner" OLD });
    put(&w, (struct box){ .id = "i-2", .age = 5000, .scope = "other", .mark = "no-runner" OLD });
    put(&w, (struct box){ .id = "i-4", .age = 5000, .scope = "OTHER", .mark = "no-runner" OLD }); /* the same */
    put(&w, (struct box){ .id = "i-3", .age = 5000, .scope = "third/repo", .mark = "no-runner" OLD });
    put_record(&w, 7, "i-2", "online", true);
    w.records[0].scope = "other";
    put_fault(&w, ACT_LIST, OUTCOME_FAILED, "third/repo", 0);
    pass(&w);
    ck_assert_uint_eq(w.seen[ACT_LIST], 3);
    ck_assert_uint_eq(count_ended(&w), 2);
    ck_assert(target(&w, "i-1")->ended && target(&w, "i-4")->ended);
    ck_assert_str_eq(target(&w, "i-2")->ruling.rule, "busy");
    world_clear(&w);
}
END_TEST

/* Each row on a page of its own gives the same. */
START_TEST(pages_change_nothing)
{
    struct world w;
    world_init(&w);
    w.paged = true;
    put(&w, (struct box){ .id = "i-1", .age = 5000, .run = "5/1", .mark = "no-runner" OLD });
    put(&w, (struct box){ .id = "i-2", .age = 30000, .runner_id = "8" });
    put(&w, (struct box){ .id = "i-3", .age = 5000, .runner_id = "9" });
    put_record(&w, 9, "i-3", "online", true);
    put_record(&w, 8, "i-2", "online", false);
    w.jobs[w.n_jobs++] = (struct job){ 5, "completed", "i-0", "x" };
    w.jobs[w.n_jobs++] = (struct job){ 5, "queued", "", "y" };
    pass(&w);
    did(&w, "scan list look:i-1,i-2 jobs:5 get:8 get:7 delete:8 delete:7 jobs:5 look:i-2,i-1 terminate:i-2,i-1");
    world_clear(&w);
}
END_TEST

/* --- what becomes of an instance ---------------------------------------------------------------------------------- */

/* No record: first a mark, and no second one while it is young. */
START_TEST(mark_then_confirm)
{
    static const struct {
        const char *mark, *then;
    } cases[] = {
        { NULL, "mark:i-1=no-runner@1700000000" },
        { "no-runner@1699999821", "" },                                      /* 179 s */
        { "no-runner@1700000000", "" },                                      /* this second */
        { "no-runner@1699999820", "get:7 delete:7 look:i-1 terminate:i-1" }, /* 180 s */
        { "no-runner@1600000000", "get:7 delete:7 look:i-1 terminate:i-1" }, /* long ago */
        { "no-runner@1700000001", "mark:i-1=no-runner@1700000000" },         /* the future: no word to rely on */
        { "idle@1600000000", "mark:i-1=no-runner@1700000000" },              /* another rule */
        { "no-runner2@1600000000", "mark:i-1=no-runner@1700000000" },        /* not even a rule */
        { "no-runner@", "mark:i-1=no-runner@1700000000" },
        { "no-runner@16e8", "mark:i-1=no-runner@1700000000" },
        { "no-runner@-1600000000", "mark:i-1=no-runner@1700000000" },
        { "no-runner", "mark:i-1=no-runner@1700000000" },
        { "", "mark:i-1=no-runner@1700000000" },
    };
    struct box b = orphan;
    struct world w;
    AUTO_FREE char *log = xasprintf("scan list look:i-1%s%s", *cases[_i].then ? " " : "", cases[_i].then);
    b.mark = cases[_i].mark;
    world_init(&w);
    put(&w, b);
    pass(&w);
    did(&w, log);
    world_clear(&w);
}
END_TEST

/* Every rule through the whole machine, as a first sight and as an old one. */
#define DEREGISTER "get:7 delete:7 mark:i-1=no-runner@1700000000"
START_TEST(every_rule_has_its_way)
{
    static const struct {
        struct box box;
        const char *status; /* of its record; NULL: none */
        bool busy;
        const char *rule, *first, *then; /* first: what comes of it; then: with an old mark of this rule */
    } cases[] = {
        { { .state = "stopped" }, NULL, false, "stopped", "mark", "get:7 delete:7 look:i-1 terminate:i-1" },
        { { .state = "stopped" }, "offline", true, "stopped", "mark", "get:7 delete:7 look:i-1 terminate:i-1" },
        { { .state = "stopped" }, "online", false, "stopped-online", "", "" },
        { { .state = "stopping" }, NULL, false, "stopping", "mark", "get:7 delete:7 look:i-1 terminate:i-1" },
        { { 0 }, "offline", true, "died", "mark", "get:7 delete:7 look:i-1 terminate:i-1" },
        { { 0 }, "offline", false, "offline", "mark", DEREGISTER },
        { { .state = "pending" }, "offline", false, "offline", "mark", DEREGISTER },
        { { 0 }, NULL, false, "no-runner", "mark", "get:7 delete:7 look:i-1 terminate:i-1" },
        { { 0 }, "online", false, "idle", "mark", DEREGISTER },
        { { 0 }, "online", true, "busy", "", "" },
        { { .limits = "idle=5000" }, "online", false, "runner", "", "" },
        { { .limits = "boot=5001" }, "offline", false, "boot-grace", "", "" },
        { { .limits = "boot=5001" }, NULL, false, "boot-grace", "", "" },
        { { .keep = "" }, NULL, false, "kept", "", "" },
        { { .role = "bake" }, NULL, false, "builder", "", "" },
        { { .role = "other" }, NULL, false, "foreign", "", "" },
        { { .limits = "life=4999" }, "online", true, "deadline", "get:7 delete:7 look:i-1 terminate:i-1", "" },
        { { .limits = "life=4999", .role = "smoke", .state = "stopped" },
          NULL,
          false,
          "deadline",
          "get:7 delete:7 look:i-1 terminate:i-1",
          "" },
    };
    struct world w;
    bool second = _i % 2;
    struct box b = cases[_i / 2].box;
    AUTO_FREE char *mark = xasprintf("%s" OLD, cases[_i / 2].rule);
    world_init(&w);
    b.id = "i-1";
    b.age = 5000;
    b.mark = second ? mark : NULL;
    if (cases[_i / 2].status)
        put_record(&w, 7, "i-1", cases[_i / 2].status, cases[_i / 2].busy);
    put(&w, b);
    pass(&w);
    const char *then = second && *cases[_i / 2].then ? cases[_i / 2].then : cases[_i / 2].first;
    AUTO_FREE char *marking = xasprintf("mark:i-1=%s@1700000000", cases[_i / 2].rule);
    if (str_eq(then, "mark"))
        then = marking;
    else if (!*then && second && !str_eq(cases[_i / 2].rule, "foreign"))
        then = "mark:i-1="; /* what made an earlier pass suspect it is over */
    const char *log = strbuf_str(&w.log);
    ck_assert_msg(str_ends(log, then), "%s: %s instead of %s", cases[_i / 2].rule, log, then);
    if (!*then)
        ck_assert_uint_eq(w.seen[ACT_MARK] + w.seen[ACT_TERMINATE] + w.seen[ACT_DELETE], 0);
    if (w.reap.n && w.reap.targets[0].deregistered)
        ck_assert_str_eq(then, DEREGISTER);
    else if (w.reap.n)
        ck_assert_str_eq(w.reap.targets[0].ruling.rule, cases[_i / 2].rule);
    world_clear(&w);
}
END_TEST

/* The tags decide, and where they say nothing, the flags. */
START_TEST(limits_travel_with_the_instance)
{
    static const struct {
        const char *limits, *rule;
    } cases[] = {
        { NULL, "no-runner" },
        { "life=4999", "deadline" },
        { "life=90000", "no-runner" },
        { "boot=6000", "boot-grace" },
        { "boot=x,life=1", "no-runner" }, /* malformed: the default ones */
        { "life=4999,new=1", "deadline" },
    };
    struct world w;
    world_init(&w);
    w.config.dry_run = w.config.closely = true;
    put(&w, (struct box){ .id = "i-1", .age = 5000, .limits = cases[_i].limits });
    pass(&w);
    ck_assert_str_eq(target(&w, "i-1")->ruling.rule, cases[_i].rule);
    world_clear(&w);
}
END_TEST

START_TEST(records_that_cannot_be_asked_for_are_unknown)
{
    static const struct box cases[] = {
        { .runner_id = "0" },  { .runner_id = "-7" }, { .runner_id = "9223372036854775808" },
        { .runner = "" },      { .scope = "" },       { .scope = "a/b/c" },
        { .scope = "../user" }
    };
    struct world w;
    struct box b = cases[_i];
    world_init(&w);
    b.id = "i-1";
    b.age = 5000;
    w.config.closely = true;
    put(&w, b);
    pass(&w);
    did(&w, "scan list look:i-1");
    ck_assert_str_eq(target(&w, "i-1")->ruling.rule, "unknown");
    world_clear(&w);
}
END_TEST

START_TEST(overdue_is_ended_whatever_github_says)
{
    static const enum outcome says[] = { OUTCOME_OK,        OUTCOME_NOT_FOUND, OUTCOME_BUSY,
                                         OUTCOME_AMBIGUOUS, OUTCOME_THROTTLED, OUTCOME_FAILED };
    struct world w;
    world_init(&w);
    put(&w, overdue);
    put_record(&w, 7, "i-1", "online", true);
    put_fault(&w, ACT_DELETE, says[_i], NULL, 0);
    pass(&w);
    did(&w, "scan list look:i-1 get:7 delete:7 look:i-1 terminate:i-1");
    ck_assert(target(&w, "i-1")->ended);
    world_clear(&w);
}
END_TEST

/* Another's record of its runner's id is let be, and what cannot be read holds nothing back. */
START_TEST(overdue_and_its_record)
{
    struct world w;
    world_init(&w);
    put(&w, overdue);
    put_record(&w, 7, _i ? "i-1" : "somebody", "online", true);
    if (_i)
        put_fault(&w, ACT_GET, OUTCOME_FAILED, NULL, 0);
    pass(&w);
    did(&w, _i ? "scan list look:i-1 get:7 look:i-1 terminate:i-1" : "scan list look:i-1 look:i-1 terminate:i-1");
    ck_assert(target(&w, "i-1")->ended);
    world_clear(&w);
}
END_TEST

START_TEST(no_confirm_ends_at_first_sight)
{
    struct world w;
    world_init(&w);
    w.config.confirm = false;
    put(&w, orphan);
    pass(&w);
    did(&w, "scan list look:i-1 get:7 delete:7 look:i-1 terminate:i-1");
    world_clear(&w);
}
END_TEST

/* --- jobs --------------------------------------------------------------------------------------------------------- */

START_TEST(jobs_save_and_condemn)
{
    static const struct {
        const char *status; /* of the record */
        struct job job;
        const char *rule;
    } cases[] = {
        { NULL, { 5, "in_progress", "i-1", "x" }, "job-runs" },
        { "online", { 5, "in_progress", "i-1", "x" }, "job-runs" },
        { "offline", { 5, "in_progress", "i-1", "x" }, "job-runs" },
        { "offline", { 5, "waiting", "i-1", "x" }, "job-runs" }, /* whatever it is: it is not over */
        { "online", { 5, "completed", "i-1", "x" }, "job-over" },
        { NULL, { 5, "completed", "i-1", "x" }, "job-over" },
        { "online", { 5, "in_progress", "i-2", "mine" }, "idle" }, /* of another runner */
        { "online", { 5, "queued", "", "mine" }, "job-queued" },
        { "online", { 5, "queued", NULL, "mine" }, "job-queued" },
        { "online", { 5, "queued", "", "other" }, "idle" },
        { "online", { 5, "waiting", "", "mine" }, "idle" }, /* may wait for days for somebody's approval */
        { NULL, { 5, "queued", "", "mine" }, "no-runner" },
        { "online", { 5, NULL, "i-1", "mine" }, "job-unknown" },
        { "online", { 5, NULL, NULL, "mine" }, "job-unknown" },
        { "online", { 5, NULL, "i-2", "mine" }, "idle" },
    };
    struct world w;
    world_init(&w);
    put(&w, (struct box){ .id = "i-1", .age = 5000, .run = "5/2", .label = "mine" });
    if (cases[_i].status)
        put_record(&w, 7, "i-1", cases[_i].status, false);
    w.jobs[w.n_jobs++] = cases[_i].job;
    pass(&w);
    ck_assert_uint_eq(w.seen[ACT_JOBS], 1);
    ck_assert_str_eq(target(&w, "i-1")->ruling.rule, cases[_i].rule);
    world_clear(&w);
}
END_TEST

/* Unreadable is unknown; and a run that launched the instance and is not there is a contradiction, not "no job". */
START_TEST(jobs_that_cannot_be_read)
{
    static const struct {
        struct box box;
        enum outcome outcome;
        size_t asked;
        const char *rule;
    } cases[] = {
        { { .run = "5/1" }, OUTCOME_FAILED, 1, "job-unknown" },
        { { .run = "5/1" }, OUTCOME_THROTTLED, 1, "job-unknown" },
        { { .run = "5/1" }, OUTCOME_NOT_FOUND, 1, "job-unknown" },
        { { .run = "5/1", .repo = FLEET }, OUTCOME_NOT_FOUND, 1, "job-unknown" },
        { { .run = "5/1", .repo = "org/other" }, OUTCOME_NOT_FOUND, 1, "job-unknown" },
        { { .run = "5/1", .repo = "org" }, OUTCOME_OK, 0, "job-unknown" }, /* an organization has no runs */
        { { .run = "5/1", .repo = "../../x/y" }, OUTCOME_OK, 0, "job-unknown" },
        { { .run = NULL }, OUTCOME_FAILED, 0, "no-runner" }, /* no workflow run started it */
        { { .run = "x/1" }, OUTCOME_FAILED, 0, "no-runner" },
    };
    struct world w;
    struct box b = cases[_i].box;
    world_init(&w);
    b.id = "i-1";
    b.age = 5000;
    b.mark = "no-runner" OLD;
    put(&w, b);
    put_fault(&w, ACT_JOBS, cases[_i].outcome, NULL, 0);
    pass(&w);
    bool unknown = str_eq(cases[_i].rule, "job-unknown");
    ck_assert_uint_eq(w.seen[ACT_JOBS], cases[_i].asked);
    ck_assert_str_eq(target(&w, "i-1")->ruling.rule, cases[_i].rule);
    ck_assert(target(&w, "i-1")->ended != unknown);
    ck_assert_uint_eq(w.seen[ACT_MARK], 0); /* the mark stays: nothing is known that contradicts it */
    ck_assert((w.reap.jobs_error.domain != ERROR_NONE) == (unknown && cases[_i].asked));
    world_clear(&w);
}
END_TEST

START_TEST(each_run_is_read_once)
{
    struct world w;
    world_init(&w);
    put(&w, (struct box){ .id = "i-1", .age = 5000, .run = "5/1" });
    put(&w, (struct box){ .id = "i-2", .age = 5000, .run = "6/1" });
    put(&w, (struct box){ .id = "i-3", .age = 5000, .run = "5/2" });
    put(&w, (struct box){ .id = "i-4", .age = 5000, .run = "5/1", .repo = "org/other" });
    put(&w, (struct box){ .id = "i-5", .age = 30000, .run = "8/1" }); /* past its deadline: not asked */
    w.jobs[w.n_jobs++] = (struct job){ 5, "in_progress", "i-3", "x" };
    put_record(&w, 9, "keeps it from being suspicious", "online", true);
    put(&w, (struct box){ .id = "i-6", .age = 5000, .runner_id = "9", .runner = "keeps it from being suspicious" });
    pass(&w);
    ck_assert_uint_eq(w.seen[ACT_JOBS], 3);
    ck_assert_str_eq(target(&w, "i-1")->ruling.rule, "no-runner");
    ck_assert_str_eq(target(&w, "i-3")->ruling.rule, "job-runs");
    world_clear(&w);
}
END_TEST

/* --- one end ------------------------------------------------------------------------------------------------------ */

/* At READING the world may be another than it was listed. */
static void runner_comes_back(struct world *w, const struct act *a)
{
    if (a->kind == ACT_GET)
        put_record(w, 7, "i-1", "online", true);
}

static void stranger_takes_the_id(struct world *w, const struct act *a)
{
    if (a->kind == ACT_GET)
        put_record(w, 7, "somebody", "online", true);
}

START_TEST(the_record_is_read_again)
{
    struct world w;
    struct box b = orphan;
    b.mark = "no-runner" OLD;
    world_init(&w);
    put(&w, b);
    w.before = _i ? stranger_takes_the_id : runner_comes_back;
    pass(&w);
    /* Ids are counted per tenant: a record of another name is another runner's, and is not deleted. */
    did(&w, _i ? "scan list look:i-1 get:7 look:i-1 terminate:i-1" : "scan list look:i-1 get:7 mark:i-1=");
    ck_assert_str_eq(target(&w, "i-1")->ruling.rule, _i ? "no-runner" : "busy");
    world_clear(&w);
}
END_TEST

static void a_job_begins(struct world *w, const struct act *a)
{
    if (a->kind == ACT_DELETE)
        w->jobs[w->n_jobs++] = (struct job){ 5, "in_progress", "i-1", "x" };
}

/* A job that began just before the record went, and the busy flag did not know: the workflow run does. */
START_TEST(jobs_are_read_again_behind_the_fence)
{
    struct world w;
    world_init(&w);
    put(&w, (struct box){ .id = "i-1", .age = 5000, .run = "5/1", .mark = "no-runner" OLD });
    w.jobs[w.n_jobs++] = (struct job){ 5, "queued", "", "y" };
    w.before = _i == 1 ? a_job_begins : NULL;
    w.paged = true;
    if (_i == 2)
        put_fault(&w, ACT_JOBS, OUTCOME_FAILED, NULL, 2);
    pass(&w);
    did(&w, _i == 2   ? "scan list look:i-1 jobs:5 get:7 delete:7 jobs:5"
            : _i == 1 ? "scan list look:i-1 jobs:5 get:7 delete:7 jobs:5 mark:i-1="
                      : "scan list look:i-1 jobs:5 get:7 delete:7 jobs:5 look:i-1 terminate:i-1");
    ck_assert_str_eq(target(&w, "i-1")->ruling.rule, _i == 0 ? "no-runner" : _i == 1 ? "job-runs" : "job-unknown");
    ck_assert((w.reap.jobs_error.domain != ERROR_NONE) == (_i == 2));
    world_clear(&w);
}
END_TEST

START_TEST(an_end_stops_when_github_does_not_answer)
{
    static const enum outcome bad[] = { OUTCOME_AMBIGUOUS, OUTCOME_THROTTLED, OUTCOME_FAILED };
    struct world w;
    struct box b = orphan;
    b.mark = "offline" OLD;
    world_init(&w);
    put(&w, b);
    put_record(&w, 7, "i-1", "offline", false);
    put_fault(&w, _i < 3 ? ACT_GET : ACT_DELETE, bad[_i % 3], NULL, 0);
    pass(&w);
    did(&w, _i < 3 ? "scan list look:i-1 get:7" : "scan list look:i-1 get:7 delete:7");
    ck_assert_int_eq(target(&w, "i-1")->error.domain, ERROR_NET);
    world_clear(&w);
}
END_TEST

/* The record of a runner that died at work is let go of later: its mark stays. */
START_TEST(an_end_stops_when_the_runner_is_busy)
{
    struct world w;
    struct box b = orphan;
    b.mark = _i ? "died" OLD : "offline" OLD;
    world_init(&w);
    put(&w, b);
    put_record(&w, 7, "i-1", "offline", _i);
    put_fault(&w, ACT_DELETE, OUTCOME_BUSY, NULL, 0);
    pass(&w);
    did(&w, _i ? "scan list look:i-1 get:7 delete:7" : "scan list look:i-1 get:7 delete:7 mark:i-1=");
    ck_assert_str_eq(target(&w, "i-1")->ruling.rule, "refused");
    ck_assert_int_eq(target(&w, "i-1")->error.domain, ERROR_NONE);
    world_clear(&w);
}
END_TEST

static char ids[MAX][12];

static void put_many(struct world *w, size_t n, struct box like)
{
    for (size_t i = 0; i < n; i++) {
        AUTO_FREE char *id = xasprintf("i-%05zu", i);
        memcpy(ids[i], id, strlen(id) + 1);
        like.id = ids[i];
        put(w, like);
    }
}

/* --- the second witness ------------------------------------------------------------------------------------------- */

#define STARTED "mayfly: phase booting (1.00s)\nmayfly: phase runner-starting (2.00s)\n"
#define AT_WORK STARTED "mayfly: phase job-started (3.00s)\n"

/* GitHub says online and idle, offline, or nothing at all: what the machine says decides, before the deadline. */
START_TEST(github_alone_ends_nothing)
{
    static const struct {
        const char *status, *console, *rule, *then; /* then: with an old mark of the rule that GitHub's word would be */
    } cases[] = {
        { "online", AT_WORK, "at-work", "console:i-1 mark:i-1=" },
        { "offline", AT_WORK, "at-work", "console:i-1 mark:i-1=" },
        { NULL, AT_WORK, "at-work", "console:i-1 mark:i-1=" },
        { "online", "", "unproven", "console:i-1" }, /* what is not known changes nothing */
        { "offline", "", "unproven", "console:i-1" },
        { NULL, "", "unproven", "console:i-1" },
        { "online", STARTED, "no-runner", "console:i-1 get:7 delete:7 mark:i-1=no-runner@1700000000" },
        { "offline", STARTED, "no-runner", "console:i-1 get:7 delete:7 mark:i-1=no-runner@1700000000" },
        { NULL, STARTED, "no-runner", "console:i-1 get:7 delete:7 console:i-1 look:i-1 terminate:i-1" },
    };
    struct world w;
    const char *status = cases[_i].status;
    world_init(&w);
    w.logs_consoles = true;
    put(&w, (struct box){ .id = "i-1",
                          .age = 5000,
                          .console = cases[_i].console,
                          .mark = !status                    ? "no-runner" OLD
                                  : str_eq(status, "online") ? "idle" OLD
                                                             : "offline" OLD });
    if (status)
        put_record(&w, 7, "i-1", status, false);
    pass(&w);
    AUTO_FREE char *log = xasprintf("scan list look:i-1 %s", cases[_i].then);
    did(&w, log);
    ck_assert_str_eq(target(&w, "i-1")->ruling.rule, cases[_i].rule);
    world_clear(&w);
}
END_TEST

static void a_job_is_printed(struct world *w, const struct act *a)
{
    if (a->kind == ACT_DELETE)
        w->boxes[0].console = AT_WORK;
}

/* What the console shows behind the fence counts, not what it showed before. */
START_TEST(consoles_are_read_again_behind_the_fence)
{
    static const enum outcome bad[] = { OUTCOME_OK, OUTCOME_FAILED, OUTCOME_THROTTLED, OUTCOME_NOT_FOUND };
    struct world w;
    world_init(&w);
    w.logs_consoles = true;
    put(&w, (struct box){ .id = "i-1", .age = 5000, .console = STARTED, .mark = "no-runner" OLD });
    w.before = _i == 0 ? a_job_is_printed : NULL;
    if (_i > 0)
        put_fault(&w, ACT_CONSOLE, bad[_i], NULL, 2);
    pass(&w);
    did(&w, _i == 0 ? "scan list look:i-1 console:i-1 get:7 delete:7 console:i-1 mark:i-1="
                    : "scan list look:i-1 console:i-1 get:7 delete:7 console:i-1");
    ck_assert_str_eq(target(&w, "i-1")->ruling.rule, _i == 0 ? "at-work" : "unproven");
    ck_assert((w.reap.console_error.domain != ERROR_NONE) == (_i == 1 || _i == 2));
    world_clear(&w);
}
END_TEST

/* A fleet of any size, of which GitHub knows nothing at all: all work, and all stay. */
START_TEST(github_that_forgets_ends_nothing)
{
    struct world w;
    world_init(&w);
    put_many(&w, (size_t)_i, (struct box){ .age = 5000, .console = AT_WORK, .mark = "no-runner" OLD });
    for (size_t i = 0; i < (size_t)_i; i += 2)
        w.boxes[i].run = "5/1"; /* of which there are no jobs */
    pass(&w);
    ck_assert_uint_eq(w.seen[ACT_TERMINATE] + w.seen[ACT_DELETE], 0);
    world_clear(&w);
}
END_TEST

/* The deadline asks nobody. */
START_TEST(consoles_are_not_asked_of_what_is_overdue)
{
    struct world w;
    struct box b = overdue;
    b.console = AT_WORK;
    world_init(&w);
    put(&w, b);
    pass(&w);
    ck_assert_uint_eq(w.seen[ACT_CONSOLE], 0);
    ck_assert(target(&w, "i-1")->ended);
    world_clear(&w);
}
END_TEST

START_TEST(no_more_consoles_than_a_pass_may_read)
{
    struct world w;
    world_init(&w);
    put_many(&w, 230, (struct box){ .age = 5000, .console = AT_WORK });
    put_record(&w, 8, "proof", "online", true);
    put(&w, (struct box){ .id = "i-proof", .age = 5000, .runner = "proof", .runner_id = "8" });
    pass(&w);
    ck_assert_uint_eq(w.seen[ACT_CONSOLE], REAP_CONSOLES_MAX);
    ck_assert_uint_le(w.most_in_flight, 16);
    ck_assert_uint_eq(w.seen[ACT_MARK], 0);
    world_clear(&w);
}
END_TEST

static struct box after;

static void changes_at_the_last_look(struct world *w, const struct act *a)
{
    if (a->kind == ACT_LOOK && w->seen[ACT_LOOK] == 1)
        w->boxes[0] = after;
}

/* What must be as it was when it was judged. */
START_TEST(the_instance_is_looked_at_again)
{
    static const struct box changed[] = {
        { .id = "i-1", .age = 5001 },
        { .id = "i-1", .age = 5000, .keep = "" },
        { .id = "i-1", .age = 5000, .fleet = "other/repo" },
        { .id = "i-1", .age = 5000, .role = "bake" },
        { .id = "i-1", .age = 5000, .more = "a tag that is not ours" },
        { .id = "i-1", .age = 5000, .limits = "life=1" },
        { .id = "i-1", .age = 5000, .state = "terminated" },
        { .id = "i-1", .age = 5000, .state = "shutting-down" },
        { .id = "i-1", .age = 5000, .state = "stopped" },
        { .id = "i-2", .age = 5000 },
    };
    struct world w;
    struct box b = orphan;
    b.mark = "no-runner" OLD;
    world_init(&w);
    put(&w, b);
    after = changed[_i];
    after.mark = "idle" OLD; /* another reaper may have marked it meanwhile: that alone is no change */
    w.before = changes_at_the_last_look;
    pass(&w);
    did(&w, "scan list look:i-1 get:7 delete:7 look:i-1 mark:i-1=");
    ck_assert_uint_eq(w.seen[ACT_TERMINATE], 0);
    world_clear(&w);
}
END_TEST

static void changes_at_the_first_look(struct world *w, const struct act *a)
{
    if (a->kind == ACT_LOOK && w->seen[ACT_LOOK] == 0)
        w->boxes[0] = after;
}

/* What is not what was listed is left to the next pass: it has vanished, or its id is another's. */
START_TEST(another_instance_than_listed)
{
    static const struct box others[] = { { .id = "i-1", .age = 4000 }, { .id = "i-2", .age = 30000 } };
    struct world w;
    world_init(&w);
    put(&w, overdue);
    after = others[_i];
    w.before = changes_at_the_first_look;
    pass(&w);
    did(&w, "scan list look:i-1");
    ck_assert_str_eq(target(&w, "i-1")->ruling.rule, "changed");
    ck_assert_uint_eq(count_ended(&w), 0);
    world_clear(&w);
}
END_TEST

static void powers_off(struct world *w, const struct act *a)
{
    if (a->kind == ACT_LOOK && w->seen[ACT_LOOK] == 1)
        w->boxes[0].state = "shutting-down";
}

/* Without its record a runner exits, and its machine powers off: that was our doing too. */
START_TEST(a_fence_may_be_enough)
{
    struct world w;
    struct box b = orphan;
    b.mark = "died" OLD;
    world_init(&w);
    put(&w, b);
    put_record(&w, 7, "i-1", "offline", true);
    w.before = powers_off;
    pass(&w);
    did(&w, "scan list look:i-1 get:7 delete:7 look:i-1");
    ck_assert(target(&w, "i-1")->ended);
    ck_assert_str_eq(target(&w, "i-1")->ruling.rule, "died");
    world_clear(&w);
}
END_TEST

START_TEST(an_end_stops_when_ec2_does_not_answer)
{
    struct world w;
    world_init(&w);
    put(&w, overdue);
    put_fault(&w, ACT_LOOK, OUTCOME_FAILED, NULL, _i + 1);
    pass(&w);
    did(&w, _i ? "scan list look:i-1 get:7 delete:7 look:i-1" : "scan list look:i-1");
    ck_assert_int_eq(target(&w, "i-1")->error.domain, ERROR_NET);
    world_clear(&w);
}
END_TEST

START_TEST(an_end_goes_through)
{
    static const struct {
        enum outcome outcome;
        bool ended;
    } cases[] = { { OUTCOME_OK, true },
                  { OUTCOME_NOT_FOUND, true },
                  { OUTCOME_FAILED, false },
                  { OUTCOME_AMBIGUOUS, false },
                  { OUTCOME_THROTTLED, false } };
    struct world w;
    world_init(&w);
    put(&w, overdue);
    put_fault(&w, ACT_TERMINATE, cases[_i].outcome, NULL, 0);
    pass(&w);
    did(&w, "scan list look:i-1 get:7 delete:7 look:i-1 terminate:i-1");
    ck_assert(target(&w, "i-1")->ended == cases[_i].ended);
    ck_assert((target(&w, "i-1")->error.domain == ERROR_NONE) == cases[_i].ended);
    world_clear(&w);
}
END_TEST

/* TerminateInstances may say OK and mean something else. */
START_TEST(the_answer_is_read)
{
    struct world w;
    const struct ec2_change changes[] = { { .id = "i-1", .state_name = "running" },
                                          { .id = "i-2", .state_name = "terminated" } };
    world_init(&w);
    put(&w, overdue);
    w.held = ACT_TERMINATE;
    start(&w);
    feed(&w, (struct event){ .kind = EVENT_ANSWER,
                             .act = ACT_TERMINATE,
                             .who = w.queue.v[0].who,
                             .changes = &changes[_i],
                             .n_changes = 1 });
    ck_assert(w.reap.machine.done);
    ck_assert(!target(&w, "i-1")->ended);
    ck_assert_int_eq(target(&w, "i-1")->error.domain, ERROR_AWS);
    world_clear(&w);
}
END_TEST

/* Hundreds at once: few requests in flight, ids in batches, each in its region. */
START_TEST(ends_come_in_batches)
{
    struct world w;
    struct box b = overdue;
    world_init(&w);
    strlist_add(&w.regions, "eu-central-1");
    put_many(&w, 250, b);
    w.boxes[0].runner_id = "8";
    put_record(&w, 8, ids[0], "online", true); /* proves the token */
    for (size_t i = 0; i < 20; i++)
        w.boxes[i * 7].region = "eu-central-1";
    pass(&w);
    ck_assert_uint_eq(count_ended(&w), 250);
    ck_assert_uint_eq(w.seen[ACT_DELETE], 250);
    ck_assert_uint_le(w.seen[ACT_TERMINATE], 8);
    ck_assert_uint_le(w.most_in_flight, 16);
    world_clear(&w);
}
END_TEST

/* One that EC2 does not take must not spoil what the others are in for. */
START_TEST(one_bad_id_does_not_spoil_a_batch)
{
    struct world w;
    static const enum outcome outcomes[] = { OUTCOME_NOT_FOUND, OUTCOME_FAILED, OUTCOME_AMBIGUOUS };
    world_init(&w);
    put_many(&w, 10, overdue);
    put_fault(&w, ACT_TERMINATE, outcomes[_i], ids[4], 0);
    pass(&w);
    ck_assert_uint_eq(w.seen[ACT_TERMINATE], 11);
    ck_assert_uint_eq(count_ended(&w), _i == 0 ? 10 : 9);
    ck_assert((target(&w, ids[4])->error.domain == ERROR_NONE) == (_i == 0));
    world_clear(&w);
}
END_TEST

/* What is told to ask less does not ask ten times as much. */
START_TEST(a_throttled_batch_stays_whole)
{
    struct world w;
    world_init(&w);
    put_many(&w, 10, overdue);
    put_fault(&w, ACT_TERMINATE, OUTCOME_THROTTLED, NULL, 0);
    pass(&w);
    ck_assert_uint_eq(w.seen[ACT_TERMINATE], 1);
    ck_assert_uint_eq(count_ended(&w), 0);
    world_clear(&w);
}
END_TEST

/* Where no two clocks agree nothing is overdue, nothing is marked, and no mark is taken off. */
START_TEST(without_a_time_nothing_is_done)
{
    struct world w;
    struct box b = _i ? orphan : overdue;
    b.mark = _i == 2 ? "no-runner" OLD : NULL;
    world_init(&w);
    w.no_time = true;
    put(&w, b);
    put_record(&w, 9, "mf-abcdef-us-east-1-rsxyz0-abc", "offline", false); /* a ghost, by a clock */
    pass(&w);
    ck_assert_uint_eq(w.seen[ACT_TERMINATE] + w.seen[ACT_MARK] + w.seen[ACT_DELETE] + w.seen[ACT_GET], 0);
    ck_assert_uint_eq(w.reap.n_ghosts, 0);
    ck_assert(w.reap.rows.no_time);
    world_clear(&w);
}
END_TEST

static void github_is_slow(struct world *w, const struct act *a)
{
    if (a->kind == ACT_LIST)
        w->now += 90500;
}

/* The window of a mark begins when GitHub was asked, not when the pass began. */
START_TEST(a_mark_tells_when_it_was_made)
{
    struct world w;
    world_init(&w);
    put(&w, orphan);
    w.before = github_is_slow;
    pass(&w);
    did(&w, "scan list look:i-1 mark:i-1=no-runner@1700000090");
    world_clear(&w);
}
END_TEST

START_TEST(marks_come_in_batches)
{
    struct world w;
    world_init(&w);
    put_many(&w, 150, orphan);
    for (size_t i = 0; i < 150; i++)
        w.boxes[i].runner_id = i < 120 ? "7" : "8";
    put_record(&w, 8, ids[149], "offline", false); /* proves the token */
    put_fault(&w, ACT_MARK, OUTCOME_NOT_FOUND, ids[3], 0);
    pass(&w);
    ck_assert_uint_eq(w.seen[ACT_MARK], 3 + 100);
    for (size_t i = 0; i < w.reap.n; i++)
        ck_assert_int_eq(w.reap.targets[i].error.domain, ERROR_NONE);
    world_clear(&w);
}
END_TEST

/* GitHub hangs over one record: what is ready goes on after two seconds. */
START_TEST(the_slow_do_not_hold_the_others)
{
    struct world w;
    world_init(&w);
    put_many(&w, 3, overdue);
    w.held = ACT_DELETE;
    start(&w);
    ck_assert_uint_eq(w.queue.n, 3);
    for (int i = 0; i < 2; i++) {
        struct act a = w.queue.v[0];
        memmove(&w.queue.v[0], &w.queue.v[1], --w.queue.n * sizeof(a));
        answer(&w, a);
    }
    ck_assert_uint_eq(w.seen[ACT_LOOK], 1);
    w.now = w.reap.machine.wake;
    ck_assert_int_eq(w.now, 2000);
    feed(&w, (struct event){ .kind = EVENT_TIME });
    go(&w);
    ck_assert_uint_eq(count_ended(&w), 2);
    ck_assert(!w.reap.machine.done);
    w.held = ACT_NONE;
    go(&w);
    ck_assert(w.reap.machine.done);
    ck_assert_uint_eq(count_ended(&w), 3);
    world_clear(&w);
}
END_TEST

/* --- what bounds a pass ------------------------------------------------------------------------------------------- */

START_TEST(fleet_without_any_record_is_suspicious)
{
    struct world w;
    struct box b = orphan;
    b.mark = "no-runner" OLD;
    world_init(&w);
    put_many(&w, _i == 0 ? 4 : 5, b);
    if (_i == 1) /* what is overdue goes all the same; no mark is touched */
        w.boxes[4].age = 30000;
    if (_i == 2) { /* one record proves the token */
        w.boxes[4].runner_id = "8";
        put_record(&w, 8, ids[4], "online", true);
    }
    if (_i == 3) /* young and stopped ones do not count */
        w.boxes[4].state = "stopped";
    pass(&w);
    ck_assert(w.reap.scopes[0].suspicious == (_i == 1));
    ck_assert_uint_eq(count_ended(&w), _i == 1 ? 1 : 4);
    ck_assert_uint_eq(w.seen[ACT_GET], _i == 1 ? 0 : 4);
    world_clear(&w);
}
END_TEST

START_TEST(max_bounds_what_is_ended_early)
{
    static const struct {
        size_t orphans, overdue;
        uint64_t max;
        bool over;
    } cases[] = {
        { 3, 0, 3, false },   { 4, 0, 3, true },                         /* --max */
        { 3, 30, 3, false },  { 4, 30, 3, true },                        /* deadlines do not count */
        { 19, 0, 0, false },  { 20, 0, 0, false }, { 21, 0, 0, true },   /* 20 ... */
        { 24, 24, 0, false }, { 25, 24, 0, true }, { 26, 26, 0, false }, /* ... or half of the fleet */
    };
    struct world w;
    struct box b = orphan;
    b.mark = "no-runner" OLD;
    world_init(&w);
    put_many(&w, cases[_i].orphans + cases[_i].overdue, b);
    for (size_t i = 0; i < cases[_i].overdue; i++)
        w.boxes[i].age = 30000;
    put_record(&w, 8, "proof", "online", true);
    put(&w, (struct box){ .id = "i-proof", .age = 5000, .runner = "proof", .runner_id = "8", .role = "none" });
    w.config.max = cases[_i].max;
    pass(&w);
    ck_assert_int_eq(w.reap.over_max, cases[_i].over);
    ck_assert_uint_eq(count_ended(&w), cases[_i].overdue + (cases[_i].over ? 0 : cases[_i].orphans));
    ck_assert_uint_eq(w.seen[ACT_MARK], 0);
    world_clear(&w);
}
END_TEST

START_TEST(dry_run_does_nothing)
{
    struct world w;
    world_init(&w);
    w.config.dry_run = true;
    put(&w, (struct box){ .id = "i-1", .age = 30000 });
    put(&w, (struct box){ .id = "i-2", .age = 5000, .run = "5/1" });
    put(&w, (struct box){ .id = "i-3", .age = 5000, .mark = "no-runner" OLD });
    w.jobs[w.n_jobs++] = (struct job){ 5, "queued", "", "y" };
    pass(&w);
    did(&w, "scan list look:i-1,i-2,i-3 jobs:5");
    ck_assert_int_eq(target(&w, "i-1")->ruling.verdict, REAP_TERMINATE);
    ck_assert_int_eq(target(&w, "i-2")->ruling.verdict, REAP_MARK);
    ck_assert_int_eq(target(&w, "i-3")->ruling.verdict, REAP_TERMINATE);
    world_clear(&w);
}
END_TEST

START_TEST(closely_is_all_of_them)
{
    struct world w;
    world_init(&w);
    w.config.dry_run = w.config.closely = true;
    put(&w, (struct box){ .id = "i-1", .age = 50 });
    put(&w, (struct box){ .id = "i-2", .age = 5000, .run = "5/1" });
    put_record(&w, 7, "i-2", "online", true);
    pass(&w);
    did(&w, "scan list look:i-1,i-2");
    ck_assert_str_eq(target(&w, "i-1")->ruling.rule, "launch-grace");
    ck_assert_str_eq(target(&w, "i-2")->ruling.rule, "busy");
    ck_assert_int_eq(target(&w, "i-2")->run_id, 5);
    world_clear(&w);
}
END_TEST

/* --- two at once -------------------------------------------------------------------------------------------------- */

static void another_reaper_was_faster(struct world *w, const struct act *a)
{
    if (a->kind == ACT_LOOK && w->seen[ACT_LOOK] == (size_t)(a->who > 0))
        find_box(w, "i-1")->state = "shutting-down";
}

START_TEST(another_reaper_may_be_faster)
{
    struct world w;
    world_init(&w);
    put(&w, overdue);
    w.before = another_reaper_was_faster;
    pass(&w);
    ck_assert_uint_eq(w.seen[ACT_TERMINATE], 0);
    ck_assert_int_eq(target(&w, "i-1")->error.domain, ERROR_NONE);
    ck_assert_int_eq(target(&w, "i-1")->ruling.verdict, REAP_KEEP);
    world_clear(&w);
}
END_TEST

/* --- signals ------------------------------------------------------------------------------------------------------ */

START_TEST(signal_before_the_decision_ends_at_once)
{
    static const enum act_kind held[] = { ACT_SCAN, ACT_LIST, ACT_LOOK, ACT_JOBS };
    struct world w;
    world_init(&w);
    put(&w, overdue);
    put(&w, (struct box){ .id = "i-2", .age = 5000, .run = "5/1" });
    w.held = held[_i];
    start(&w);
    size_t asked = w.log.len;
    feed(&w, (struct event){ .kind = EVENT_SIGNAL });
    ck_assert(w.reap.machine.done);
    ck_assert_uint_eq(w.log.len, asked);
    ck_assert_int_eq(w.reap.error.domain, ERROR_CANCELLED);
    world_clear(&w);
}
END_TEST

/* An end that is under way is finished, but not waited for without end; no other is begun. */
START_TEST(signal_during_an_end)
{
    struct world w;
    world_init(&w);
    put_many(&w, 40, overdue);
    w.boxes[0].runner_id = "8";
    put_record(&w, 8, ids[0], "online", true); /* proves the token */
    w.held = ACT_DELETE;
    w.now = 1000;
    start(&w);
    ck_assert_uint_eq(w.in_flight, 16);
    feed(&w, (struct event){ .kind = EVENT_SIGNAL });
    ck_assert(!w.reap.machine.done);
    ck_assert_int_eq(w.reap.machine.wake, 1000 + 7000);
    if (_i == 0) {
        w.held = ACT_NONE;
        go(&w);
        ck_assert_uint_eq(count_ended(&w), 16);
    } else {
        w.now = w.reap.machine.wake;
        feed(&w, (struct event){ .kind = EVENT_TIME });
        ck_assert_uint_eq(count_ended(&w), 0);
    }
    ck_assert(w.reap.machine.done);
    ck_assert_int_eq(w.reap.error.domain, ERROR_CANCELLED);
    world_clear(&w);
}
END_TEST

/* What has lost its record does not wait for what GitHub does not answer: there may be no time after that. */
START_TEST(signal_leaves_nothing_half_ended)
{
    struct world w;
    world_init(&w);
    put_many(&w, 2, overdue);
    w.boxes[1].runner_id = "8";
    put_record(&w, 7, ids[0], "offline", false);
    put_record(&w, 8, ids[1], "offline", false);
    w.held = ACT_DELETE;
    w.now = 1000;
    start(&w);
    ck_assert_uint_eq(w.in_flight, 2);
    struct act first = w.queue.v[0];
    memmove(w.queue.v, w.queue.v + 1, --w.queue.n * sizeof(first));
    answer(&w, first);
    ck_assert_uint_eq(w.in_flight, 1);
    feed(&w, (struct event){ .kind = EVENT_SIGNAL });
    go(&w);
    ck_assert_uint_eq(count_ended(&w), 1);
    ck_assert(!w.reap.machine.done);
    w.now = w.reap.machine.wake;
    feed(&w, (struct event){ .kind = EVENT_TIME });
    ck_assert(w.reap.machine.done);
    world_clear(&w);
}
END_TEST

/* --- ghosts ------------------------------------------------------------------------------------------------------- */

/* 1700000000 is s44we8; two hours before, nearly s44qug. */
#define GHOST "mf-abcdef-us-east-1-s44qug-abcdefghij"

START_TEST(ghosts_are_told_from_runners)
{
    static const struct {
        struct github_runner record;
        struct box box;
        bool ghost;
    } cases[] = {
        { { .name = GHOST }, { 0 }, true },
        { { .name = "mf-abcdeg-us-east-1-s44qug-abcdefghij" }, { 0 }, false }, /* another fleet's mark */
        { { .name = "mf-abcdef-us-west-2-s44qug-abcdefghij" }, { 0 }, false }, /* a region that nobody read */
        { { .name = "mf-abcdef-us-east-1-s44u4w-abcdefghij" }, { 0 }, false }, /* 49 minutes old */
        { { .name = "mf-abcdef-us-east-1-s44zzz-abcdefghij" }, { 0 }, false }, /* from the future */
        { { .name = "mf-abcdef-us-east-1-S44QUG-abcdefghij" }, { 0 }, false }, /* no time at all */
        { { .name = "mf-abcdef-s44qug-abcdefghij" }, { 0 }, false },           /* no region */
        { { .name = "mf-abcdef-" }, { 0 }, false },
        { { .name = "my-own-runner" }, { 0 }, false },
        { { .name = GHOST }, { .id = "i-1", .age = 300, .runner = GHOST, .runner_id = "99" }, false },
        { { .name = GHOST },
          { .id = "i-1", .age = 300, .runner = GHOST, .runner_id = "99", .state = "stopped" },
          false },
        { { .name = GHOST }, { .id = "i-1", .age = 300, .runner = "another" }, true },
    };
    struct world w;
    world_init(&w);
    put_record(&w, 99, cases[_i].record.name, "offline", cases[_i].record.busy);
    if (cases[_i].box.id)
        put(&w, cases[_i].box);
    pass(&w);
    ck_assert_uint_eq(w.reap.n_ghosts, cases[_i].ghost);
    ck_assert_uint_eq(w.reap.unread.n, str_starts(cases[_i].record.name, "mf-abcdef-us-west-2-"));
    ck_assert_uint_eq(w.seen[ACT_DELETE], cases[_i].ghost);
    if (cases[_i].ghost)
        ck_assert(str_ends(strbuf_str(&w.log), "scan delete:99") && w.reap.ghosts[0].ended);
    world_clear(&w);
}
END_TEST

static void ghost_is_born(struct world *w, const struct act *a)
{
    if (a->kind == ACT_SCAN && w->seen[ACT_SCAN] == 2)
        put(w, (struct box){ .id = "i-1", .age = 3, .runner = GHOST, .fleet = "some/other" });
}

/* An instance of it was launched meanwhile, whatever its other tags; EC2 cannot be asked again; it is a rehearsal;
 * somebody else deleted it; GitHub says that it runs a job; it is online, which is told only. */
START_TEST(ghost_is_judged_twice)
{
    struct world w;
    world_init(&w);
    strlist_add(&w.regions, "eu-central-1");
    put_record(&w, 99, GHOST, _i == 5 ? "online" : "offline", false);
    w.before = _i == 0 ? ghost_is_born : NULL;
    w.config.dry_run = _i == 2;
    if (_i == 1)
        put_fault(&w, ACT_SCAN, OUTCOME_FAILED, NULL, 3);
    if (_i == 3 || _i == 4)
        put_fault(&w, ACT_DELETE, _i == 3 ? OUTCOME_NOT_FOUND : OUTCOME_BUSY, NULL, 0);
    pass(&w);
    const struct reap_ghost *g = &w.reap.ghosts[0];
    ck_assert_uint_eq(w.seen[ACT_DELETE], _i == 3 || _i == 4);
    ck_assert(g->absent == (_i >= 2));
    ck_assert(g->ended == (_i == 3));
    ck_assert_int_eq(g->error.domain, _i == 1 || _i == 4 ? ERROR_NET : ERROR_NONE);
    world_clear(&w);
}
END_TEST

/* Offline, and yet it runs a job by GitHub's word, which refuses its deletion: that is no error. */
START_TEST(locked_ghosts_are_tried_daily)
{
    enum { DAY = 86400, HOUR = 3600 };
    static const struct {
        int64_t age;
        enum outcome outcome;
        bool tried, ended, failed, is_dry;
    } cases[] = {
        { 2 * HOUR, OUTCOME_OK, false, false, false, false },
        { DAY - 1, OUTCOME_OK, false, false, false, false },
        { DAY, OUTCOME_BUSY, true, false, false, false },
        { DAY, OUTCOME_OK, true, true, false, false },
        { DAY + HOUR - 1, OUTCOME_NOT_FOUND, true, true, false, false },
        { DAY + HOUR, OUTCOME_OK, false, false, false, false },
        { 30 * DAY + 60, OUTCOME_BUSY, true, false, false, false },
        { DAY, OUTCOME_FAILED, true, false, true, false },
        { DAY, OUTCOME_OK, false, false, false, true },
    };
    struct world w;
    AUTO_STRBUF name = STRBUF_INIT;
    world_init(&w);
    strbuf_adds(&name, "mf-abcdef-us-east-1-");
    encode_base36(&name, (uint64_t)(1700000000 - cases[_i].age));
    strbuf_adds(&name, "-abcdefghij");
    put_record(&w, 99, strbuf_str(&name), "offline", true);
    put_fault(&w, ACT_DELETE, cases[_i].outcome, NULL, 0);
    w.config.dry_run = cases[_i].is_dry;
    pass(&w);
    ck_assert_uint_eq(w.reap.n_ghosts, 1);
    const struct reap_ghost *g = &w.reap.ghosts[0];
    ck_assert(g->locked && !g->online && g->absent);
    ck_assert_int_eq(g->age, cases[_i].age);
    ck_assert_uint_eq(w.seen[ACT_DELETE], cases[_i].tried);
    ck_assert_int_eq(g->ended, cases[_i].ended);
    ck_assert_int_eq(g->error.domain != ERROR_NONE, cases[_i].failed);
    world_clear(&w);
}
END_TEST

/* Asked for by name, a hundred at a time; and no more of them than one pass may delete. */
START_TEST(many_ghosts)
{
    static char names[MAX][60];
    struct world w;
    world_init(&w);
    for (size_t i = 0; i < 250; i++) {
        AUTO_FREE char *name = xasprintf("mf-abcdef-us-east-1-s44qug-%010zu", i);
        memcpy(names[i], name, strlen(name) + 1);
        put_record(&w, (int64_t)(100 + i), names[i], "offline", false);
    }
    put(&w, (struct box){ .id = "i-1", .age = 5000, .runner = names[17], .fleet = "some/other" });
    pass(&w);
    ck_assert_uint_eq(w.seen[ACT_SCAN], 1 + 3);
    ck_assert_uint_eq(w.seen[ACT_DELETE], 249);
    ck_assert_uint_le(w.most_in_flight, 16);
    world_clear(&w);
}
END_TEST

START_TEST(ghosts_of_a_scope_half_read_are_forgotten)
{
    struct world w;
    world_init(&w);
    w.paged = true;
    put_record(&w, 99, GHOST, "offline", false);
    put_fault(&w, ACT_LIST, OUTCOME_FAILED, NULL, 0);
    pass(&w);
    did(&w, "scan list");
    ck_assert_uint_eq(w.reap.n_ghosts, 0);
    world_clear(&w);
}
END_TEST

static TCase *reading(void)
{
    TCase *t = tcase_create("reading");
    tcase_add_test(t, scan_asks_for_the_fleet_in_every_region);
    tcase_add_loop_test(t, scan_error_means_no_action, 0, 12);
    tcase_add_test(t, empty_fleet_may_have_ghosts);
    tcase_add_loop_test(t, what_is_malformed_does_not_spoil_the_pass, 0, 5);
    tcase_add_loop_test(t, a_senseless_record_keeps_its_own, 0, 4);
    tcase_add_test(t, an_instance_without_an_id_is_told);
    tcase_add_loop_test(t, list_error_leaves_only_deadlines, 0, 2);
    tcase_add_test(t, each_instance_is_judged_by_its_own_scope);
    tcase_add_test(t, pages_change_nothing);
    return t;
}

static TCase *judging(void)
{
    TCase *t = tcase_create("judging");
    tcase_add_loop_test(t, mark_then_confirm, 0, 13);
    tcase_add_loop_test(t, every_rule_has_its_way, 0, 36);
    tcase_add_loop_test(t, limits_travel_with_the_instance, 0, 6);
    tcase_add_loop_test(t, records_that_cannot_be_asked_for_are_unknown, 0, 7);
    tcase_add_loop_test(t, overdue_is_ended_whatever_github_says, 0, 6);
    tcase_add_loop_test(t, overdue_and_its_record, 0, 2);
    tcase_add_test(t, no_confirm_ends_at_first_sight);
    tcase_add_loop_test(t, jobs_save_and_condemn, 0, 15);
    tcase_add_loop_test(t, jobs_that_cannot_be_read, 0, 9);
    tcase_add_test(t, each_run_is_read_once);
    return t;
}

static TCase *ending(void)
{
    TCase *t = tcase_create("ending");
    tcase_add_loop_test(t, the_record_is_read_again, 0, 2);
    tcase_add_loop_test(t, jobs_are_read_again_behind_the_fence, 0, 3);
    tcase_add_loop_test(t, an_end_stops_when_github_does_not_answer, 0, 6);
    tcase_add_loop_test(t, an_end_stops_when_the_runner_is_busy, 0, 2);
    tcase_add_loop_test(t, github_alone_ends_nothing, 0, 9);
    tcase_add_loop_test(t, consoles_are_read_again_behind_the_fence, 0, 4);
    tcase_add_loop_test(t, github_that_forgets_ends_nothing, 1, 7);
    tcase_add_test(t, consoles_are_not_asked_of_what_is_overdue);
    tcase_add_loop_test(t, without_a_time_nothing_is_done, 0, 3);
    tcase_add_test(t, no_more_consoles_than_a_pass_may_read);
    tcase_add_loop_test(t, another_instance_than_listed, 0, 2);
    tcase_add_loop_test(t, the_instance_is_looked_at_again, 0, 10);
    tcase_add_test(t, a_fence_may_be_enough);
    tcase_add_loop_test(t, an_end_stops_when_ec2_does_not_answer, 0, 2);
    tcase_add_loop_test(t, an_end_goes_through, 0, 5);
    tcase_add_loop_test(t, the_answer_is_read, 0, 2);
    tcase_add_test(t, ends_come_in_batches);
    tcase_add_loop_test(t, one_bad_id_does_not_spoil_a_batch, 0, 3);
    tcase_add_test(t, a_throttled_batch_stays_whole);
    tcase_add_test(t, a_mark_tells_when_it_was_made);
    tcase_add_test(t, marks_come_in_batches);
    tcase_add_test(t, the_slow_do_not_hold_the_others);
    return t;
}

static TCase *bounds(void)
{
    TCase *t = tcase_create("bounds");
    tcase_add_loop_test(t, fleet_without_any_record_is_suspicious, 0, 4);
    tcase_add_loop_test(t, max_bounds_what_is_ended_early, 0, 10);
    tcase_add_test(t, dry_run_does_nothing);
    tcase_add_test(t, closely_is_all_of_them);
    tcase_add_test(t, another_reaper_may_be_faster);
    tcase_add_loop_test(t, signal_before_the_decision_ends_at_once, 0, 4);
    tcase_add_loop_test(t, signal_during_an_end, 0, 2);
    tcase_add_test(t, signal_leaves_nothing_half_ended);
    return t;
}

static TCase *ghosts(void)
{
    TCase *t = tcase_create("ghosts");
    tcase_add_loop_test(t, ghosts_are_told_from_runners, 0, 12);
    tcase_add_loop_test(t, locked_ghosts_are_tried_daily, 0, 9);
    tcase_add_loop_test(t, ghost_is_judged_twice, 0, 6);
    tcase_add_test(t, many_ghosts);
    tcase_add_test(t, ghosts_of_a_scope_half_read_are_forgotten);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { reading, judging, ending, bounds, ghosts };
    return run_suite("reap_pass", all, ARRAY_SIZE(all));
}
