#include "mayfly/runner/reap.h"
#include "mayfly/util/clock.h"
#include "testing.h"

/* --- the rules: every combination of the facts -------------------------------------------------------------------- */

static const struct limits limits = { .boot = 600, .idle = 1800, .life = 21600 };
/* Both below the launch grace, which comes first. */
static const struct limits tight = { .boot = 30, .idle = 30, .life = 60 };

static const enum ec2_state all_states[] = { EC2_UNKNOWN,    EC2_PENDING,  EC2_RUNNING, EC2_SHUTTING_DOWN,
                                             EC2_TERMINATED, EC2_STOPPING, EC2_STOPPED };
static const enum reap_record all_records[] = { REAP_RECORD_UNKNOWN, REAP_RECORD_ABSENT, REAP_RECORD_OFFLINE,
                                                REAP_RECORD_ONLINE, REAP_RECORD_BUSY };
/* Both sides of every threshold, and a clock that is behind. */
static const int64_t all_ages[] = { -5, 0, 119, 120, 121, 599, 600, 601, 1800, 21599, 21600, 21601, 1000000 };
static const int64_t all_marks[] = { -1, 0, 1, 179, 180, 181, 100000 };

static void check_facts(const struct reap_facts *f, bool confirm)
{
    const char *rule = NULL, *reason = NULL;
    enum reap_verdict v = reap_decide(f, confirm, &rule, &reason);
    const bool live = f->state != EC2_SHUTTING_DOWN && f->state != EC2_TERMINATED;
    const bool late = f->age > f->limits.life && f->age >= REAP_LAUNCH_GRACE;
    const bool may_end = f->ours && !f->keep && live && f->age >= REAP_LAUNCH_GRACE;
    ck_assert(rule && *rule && !strchr(rule, ' ') && reason && *reason);
    ck_assert((v == REAP_IGNORE) == !f->ours);
    if (v == REAP_TERMINATE || v == REAP_MARK)
        ck_assert(may_end);
    /* The one unconditional kill. */
    if (may_end && late) {
        ck_assert_int_eq(v, REAP_TERMINATE);
        ck_assert_str_eq(rule, "deadline");
    } else {
        ck_assert_str_ne(rule, "deadline");
        /* Before it only the proven absence of a runner counts, once it had the time to come. */
        if (v == REAP_TERMINATE || v == REAP_MARK) {
            ck_assert_int_eq(f->record, REAP_RECORD_ABSENT);
            ck_assert_int_ge(f->age, f->limits.boot);
        }
        if (v == REAP_TERMINATE && confirm)
            ck_assert_int_ge(f->marked_for, REAP_CONFIRM);
        if (v == REAP_MARK)
            ck_assert(confirm && f->marked_for < REAP_CONFIRM);
        if (may_end && f->record == REAP_RECORD_ABSENT && f->age >= f->limits.boot)
            ck_assert_int_ne(v, REAP_KEEP);
    }
}

START_TEST(every_combination_of_facts)
{
    size_t n = 0;
    for (unsigned bits = 0; bits < 16; bits++)
        for (size_t s = 0; s < ARRAY_SIZE(all_states); s++)
            for (size_t r = 0; r < ARRAY_SIZE(all_records); r++)
                for (size_t a = 0; a < ARRAY_SIZE(all_ages); a++)
                    for (size_t m = 0; m < ARRAY_SIZE(all_marks); m++, n++) {
                        const struct reap_facts f = { .ours = bits & 1,
                                                      .keep = bits & 2,
                                                      .state = all_states[s],
                                                      .record = all_records[r],
                                                      .age = all_ages[a],
                                                      .limits = bits & 8 ? tight : limits,
                                                      .marked_for = all_marks[m] };
                        check_facts(&f, bits & 4);
                    }
    ck_assert_uint_eq(n, 16 * 7 * 5 * 13 * 7);
}
END_TEST

/* Which rule names which case: a changed order shows here by name. */
START_TEST(rules_by_name)
{
    static const struct {
        struct reap_facts f;
        enum reap_verdict verdict;
        const char *rule;
    } cases[] = {
        { { .ours = false, .keep = true, .age = 90000 }, REAP_IGNORE, "foreign" },
        { { .ours = true, .keep = true, .state = EC2_RUNNING, .age = 90000 }, REAP_KEEP, "kept" },
        { { .ours = true, .state = EC2_TERMINATED, .age = 90000 }, REAP_KEEP, "gone" },
        { { .ours = true, .state = EC2_SHUTTING_DOWN, .age = 90000 }, REAP_KEEP, "gone" },
        { { .ours = true, .state = EC2_PENDING, .record = REAP_RECORD_ABSENT, .age = 119 }, REAP_KEEP, "launch-grace" },
        { { .ours = true, .state = EC2_STOPPED, .age = 21601 }, REAP_TERMINATE, "deadline" },
        { { .ours = true, .state = EC2_RUNNING, .record = REAP_RECORD_BUSY, .age = 21601 },
          REAP_TERMINATE,
          "deadline" },
        { { .ours = true, .state = EC2_RUNNING, .record = REAP_RECORD_BUSY, .age = 21600 }, REAP_KEEP, "busy" },
        { { .ours = true, .state = EC2_RUNNING, .record = REAP_RECORD_UNKNOWN, .age = 21600 }, REAP_KEEP, "unknown" },
        { { .ours = true, .state = EC2_RUNNING, .record = REAP_RECORD_ONLINE, .age = 5000 }, REAP_KEEP, "runner" },
        { { .ours = true, .state = EC2_RUNNING, .record = REAP_RECORD_OFFLINE, .age = 5000 }, REAP_KEEP, "runner" },
        { { .ours = true, .state = EC2_RUNNING, .record = REAP_RECORD_ABSENT, .age = 599 }, REAP_KEEP, "boot-grace" },
        { { .ours = true, .state = EC2_RUNNING, .record = REAP_RECORD_ABSENT, .age = 600, .marked_for = -1 },
          REAP_MARK,
          "no-runner" },
        { { .ours = true, .state = EC2_UNKNOWN, .record = REAP_RECORD_ABSENT, .age = 600, .marked_for = 180 },
          REAP_TERMINATE,
          "no-runner" },
    };
    const char *rule, *reason;
    struct reap_facts f = cases[_i].f;
    f.limits = limits;
    ck_assert_int_eq(reap_decide(&f, true, &rule, &reason), cases[_i].verdict);
    ck_assert_str_eq(rule, cases[_i].rule);
}
END_TEST

/* --- the pass: a world of our own that answers by hand ------------------------------------------------------------ */

#define FLEET "org/repo"
enum { NOW = 1700000000, MAX = 64 };

/* Borrowed strings of one instance; zero means the usual. */
struct box {
    const char *id, *state, *fleet, *scope, *role, *limits, *keep, *mark, *runner_id, *runner;
    int64_t age;
};

struct world {
    struct reap reap;
    struct reap_config config;
    struct strlist regions;
    struct acts acts;
    struct arena arena;
    struct error error;
    int64_t now; /* monotonic */
};

static void world_init(struct world *w)
{
    *w = (struct world){ .config = { .fleet = FLEET,
                                     .scope = FLEET,
                                     .name_mark = "mf-abcdef-",
                                     .regions = &w->regions,
                                     .limits = { .boot = 600, .idle = 1800, .life = 21600 },
                                     .confirm = true } };
    strlist_add(&w->regions, "us-east-1");
    error_set(&w->error, ERROR_NET, 7, "no answer");
}

static void world_clear(struct world *w)
{
    reap_clear(&w->reap);
    strlist_clear(&w->regions);
    acts_clear(&w->acts);
    arena_clear(&w->arena);
    error_clear(&w->error);
}

/* What came of one step replaces what came of the one before. */
static void feed(struct world *w, struct event e)
{
    acts_clear(&w->acts);
    e.now = w->now;
    if (e.kind == EVENT_ANSWER && e.outcome != OUTCOME_OK)
        e.error = &w->error;
    w->reap.machine.step(&w->reap.machine, &e, &w->acts);
}

static void start(struct world *w)
{
    reap_init(&w->reap, &w->config);
    feed(w, (struct event){ .kind = EVENT_START });
    ck_assert_uint_eq(w->acts.n, w->regions.n);
    for (size_t i = 0; i < w->acts.n; i++)
        ck_assert_int_eq(w->acts.v[i].kind, ACT_SCAN);
}

static struct ec2_instance instance(struct world *w, const struct box *b)
{
    const char *runner = b->runner ? b->runner : b->id;
    const struct ec2_tag tags[] = {
        { TAG_FLEET, b->fleet ? b->fleet : FLEET },
        { TAG_SCOPE, b->scope ? b->scope : FLEET },
        { TAG_ROLE, b->role ? b->role : "runner" },
        { TAG_RUNNER, runner },
        { TAG_RUNNER_ID, b->runner_id ? b->runner_id : "7" },
        { TAG_LIMITS, b->limits },
        { TAG_KEEP, b->keep },
        { TAG_MARK, b->mark },
    };
    struct ec2_instance i = { .id = b->id, .state_name = b->state ? b->state : "running" };
    const struct rfc3339_date launched = clock_rfc3339(NOW - b->age);
    i.launch_time = arena_strdup(&w->arena, launched.s);
    for (size_t t = 0; t < ARRAY_SIZE(tags); t++)
        if (tags[t].value)
            *(struct ec2_tag *)field_list_add(&i.tags, sizeof(struct ec2_tag), &w->arena) = tags[t];
    return i;
}

static void answer_boxes(struct world *w, enum act_kind act, size_t who, const struct box *boxes, size_t n)
{
    struct ec2_instance rows[MAX];
    ck_assert_uint_le(n, MAX);
    for (size_t i = 0; i < n; i++)
        rows[i] = instance(w, &boxes[i]);
    feed(w, (struct event){
                .kind = EVENT_ANSWER, .act = act, .who = who, .instances = rows, .n_instances = n, .cloud_now = NOW });
}

static void answer(struct world *w, enum act_kind act, size_t who, enum outcome outcome)
{
    feed(w, (struct event){ .kind = EVENT_ANSWER, .act = act, .who = who, .outcome = outcome });
}

static void answer_records(struct world *w, const struct github_runner *rows, size_t n)
{
    feed(w, (struct event){ .kind = EVENT_ANSWER, .act = ACT_LIST, .runners = rows, .n_runners = n });
}

/* Starts, shows the boxes, and asks for the list of records. */
static void scan(struct world *w, const struct box *boxes, size_t n)
{
    start(w);
    answer_boxes(w, ACT_SCAN, 0, boxes, n);
    ck_assert_uint_eq(w->acts.n, 1);
    ck_assert_int_eq(w->acts.v[0].kind, ACT_LIST);
}

static const struct act *only_act(const struct world *w, enum act_kind kind)
{
    ck_assert_uint_eq(w->acts.n, 1);
    ck_assert_str_eq(act_name(w->acts.v[0].kind), act_name(kind));
    return &w->acts.v[0];
}

static void is_over(const struct world *w)
{
    ck_assert_uint_eq(w->acts.n, 0);
    ck_assert(w->reap.machine.done);
}

static const struct box orphan = { .id = "i-1", .age = 5000 };
static const struct box overdue = { .id = "i-1", .age = 30000 };

START_TEST(scan_asks_for_the_fleet_in_every_region)
{
    struct world w;
    world_init(&w);
    strlist_add(&w.regions, "eu-central-1");
    start(&w);
    ck_assert_str_eq(w.acts.v[1].region, "eu-central-1");
    ck_assert_uint_eq(w.acts.v[1].n_filters, 2);
    ck_assert_str_eq(w.acts.v[1].filters[0].name, "tag:mayfly:fleet");
    ck_assert_str_eq(w.acts.v[1].filters[0].values->v[0], FLEET);
    ck_assert_str_eq(w.acts.v[1].filters[1].name, "instance-state-name");
    ck_assert_uint_eq(w.acts.v[1].filters[1].values->n, 4);
    /* No decision before the last region has answered. */
    answer_boxes(&w, ACT_SCAN, 1, &overdue, 1);
    ck_assert_uint_eq(w.acts.n, 0);
    ck_assert(!w.reap.machine.done);
    answer_boxes(&w, ACT_SCAN, 0, NULL, 0);
    only_act(&w, ACT_LIST);
    ck_assert_str_eq(w.reap.targets[0].pair.region, "eu-central-1");
    world_clear(&w);
}
END_TEST

START_TEST(scan_error_means_no_action)
{
    static const enum outcome bad[] = { OUTCOME_AMBIGUOUS, OUTCOME_THROTTLED, OUTCOME_FAILED };
    struct world w;
    world_init(&w);
    strlist_add(&w.regions, "eu-central-1");
    start(&w);
    /* One region with much to end, in either order. */
    if (_i % 2)
        answer(&w, ACT_SCAN, 0, bad[_i / 2]);
    else
        answer_boxes(&w, ACT_SCAN, 1, &overdue, 1);
    ck_assert(!w.reap.machine.done && w.acts.n == 0);
    if (_i % 2)
        answer_boxes(&w, ACT_SCAN, 1, &overdue, 1);
    else
        answer(&w, ACT_SCAN, 0, bad[_i / 2]);
    is_over(&w);
    ck_assert_int_eq(w.reap.error.domain, ERROR_NET);
    world_clear(&w);
}
END_TEST

START_TEST(empty_fleet_may_have_ghosts)
{
    struct world w;
    world_init(&w);
    scan(&w, NULL, 0);
    answer_records(&w, NULL, 0);
    is_over(&w);
    ck_assert_int_eq(w.reap.error.domain, ERROR_NONE);
    world_clear(&w);
}
END_TEST

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
        { { .name = GHOST, .status = "online" }, { 0 }, false },
        { { .name = GHOST, .busy = true }, { 0 }, false },
        { { .name = "mf-abcdeg-us-east-1-s44qug-abcdefghij" }, { 0 }, false }, /* another fleet's mark */
        { { .name = "mf-abcdef-us-west-2-s44qug-abcdefghij" }, { 0 }, false }, /* a region that nobody read */
        { { .name = "mf-abcdef-us-east-1-s44u4w-abcdefghij" }, { 0 }, false }, /* 49 minutes old */
        { { .name = "mf-abcdef-us-east-1-s44zzz-abcdefghij" }, { 0 }, false }, /* from the future */
        { { .name = "mf-abcdef-us-east-1-S44QUG-abcdefghij" }, { 0 }, false }, /* no time at all */
        { { .name = "mf-abcdef-s44qug-abcdefghij" }, { 0 }, false },           /* no region */
        { { .name = "mf-abcdef-" }, { 0 }, false },
        { { .name = "my-own-runner" }, { 0 }, false },
        { { .name = GHOST }, { .id = "i-1", .age = 300, .runner = GHOST }, false },
        { { .name = GHOST }, { .id = "i-1", .age = 300, .runner = GHOST, .state = "stopped" }, false },
        { { .name = GHOST }, { .id = "i-1", .age = 300, .runner = "another" }, true },
    };
    struct world w;
    struct github_runner record = cases[_i].record;
    record.id = 99;
    record.status = record.status ? record.status : "offline";
    world_init(&w);
    scan(&w, &cases[_i].box, cases[_i].box.id ? 1 : 0);
    answer_records(&w, &record, 1);
    if (cases[_i].ghost) {
        ck_assert_str_eq(only_act(&w, ACT_SCAN)->region, "us-east-1");
        answer_boxes(&w, ACT_SCAN, 0, &cases[_i].box, cases[_i].box.id ? 1 : 0);
        ck_assert_int_eq(only_act(&w, ACT_DELETE)->runner_id, 99);
        answer(&w, ACT_DELETE, w.acts.v[0].who, OUTCOME_OK);
    }
    is_over(&w);
    ck_assert_uint_eq(w.reap.n_ghosts, cases[_i].ghost);
    ck_assert(!cases[_i].ghost || w.reap.ghosts[0].ended);
    world_clear(&w);
}
END_TEST

/* An instance of it was launched meanwhile; EC2 cannot be read again; it is a rehearsal; somebody else deleted it;
 * GitHub says that it runs a job. */
START_TEST(ghost_is_judged_twice)
{
    static const struct box box = { .id = "i-1", .age = 3, .runner = GHOST };
    const struct github_runner record = { .id = 99, .name = GHOST, .status = "offline" };
    static const enum outcome deletion[] = { [3] = OUTCOME_NOT_FOUND, [4] = OUTCOME_BUSY };
    struct world w;
    world_init(&w);
    strlist_add(&w.regions, "eu-central-1");
    w.config.dry_run = _i == 2;
    start(&w);
    answer_boxes(&w, ACT_SCAN, 0, NULL, 0);
    answer_boxes(&w, ACT_SCAN, 1, NULL, 0);
    answer_records(&w, &record, 1);
    ck_assert_str_eq(only_act(&w, ACT_SCAN)->region, "us-east-1");
    if (_i == 1)
        answer(&w, ACT_SCAN, 0, OUTCOME_FAILED);
    else
        answer_boxes(&w, ACT_SCAN, 0, &box, _i == 0);
    if (_i >= 3) {
        ck_assert(!w.reap.machine.done);
        answer(&w, ACT_DELETE, only_act(&w, ACT_DELETE)->who, deletion[_i]);
    }
    is_over(&w);
    ck_assert(w.reap.ghosts[0].absent == (_i >= 2));
    ck_assert(w.reap.ghosts[0].ended == (_i == 3));
    ck_assert_int_eq(w.reap.ghosts[0].error.domain, _i == 1 || _i == 4 ? ERROR_NET : ERROR_NONE);
    world_clear(&w);
}
END_TEST

START_TEST(list_error_leaves_only_deadlines)
{
    static const struct box boxes[] = { { .id = "i-1", .age = 5000, .mark = "no-runner@1699999000" },
                                        { .id = "i-2", .age = 30000 } };
    struct world w;
    world_init(&w);
    scan(&w, boxes, 2);
    answer(&w, ACT_LIST, 0, OUTCOME_FAILED);
    const struct act *a = only_act(&w, ACT_DELETE);
    ck_assert_uint_eq(a->who, 1);
    ck_assert_int_eq(w.reap.list_error.domain, ERROR_NET);
    ck_assert_str_eq(w.reap.targets[0].rule, "unknown");
    world_clear(&w);
}
END_TEST

START_TEST(overdue_is_ended_whatever_github_says)
{
    static const enum outcome says[] = { OUTCOME_OK,        OUTCOME_NOT_FOUND, OUTCOME_BUSY,
                                         OUTCOME_AMBIGUOUS, OUTCOME_THROTTLED, OUTCOME_FAILED };
    const struct github_runner busy = { .id = 7, .name = "i-1", .status = "online", .busy = true };
    struct world w;
    world_init(&w);
    scan(&w, &overdue, 1);
    answer_records(&w, &busy, 1);
    ck_assert_int_eq(only_act(&w, ACT_DELETE)->runner_id, 7);
    answer(&w, ACT_DELETE, 0, says[_i]);
    ck_assert_str_eq(only_act(&w, ACT_LOOK)->instance_id, "i-1");
    answer_boxes(&w, ACT_LOOK, 0, &overdue, 1);
    ck_assert_str_eq(only_act(&w, ACT_TERMINATE)->instance_id, "i-1");
    answer(&w, ACT_TERMINATE, 0, OUTCOME_OK);
    is_over(&w);
    ck_assert(w.reap.targets[0].ended);
    world_clear(&w);
}
END_TEST

/* First a mark, and no second one while it is young. */
START_TEST(mark_then_confirm)
{
    static const struct {
        const char *mark;
        enum act_kind want; /* ACT_NONE: wait */
    } cases[] = {
        { NULL, ACT_MARK },
        { "no-runner@1699999821", ACT_NONE },  /* 179 s */
        { "no-runner@1700000000", ACT_NONE },  /* this second */
        { "no-runner@1699999820", ACT_GET },   /* 180 s */
        { "no-runner@1600000000", ACT_GET },   /* long ago */
        { "no-runner@1700000001", ACT_MARK },  /* the future: no word to rely on */
        { "idle@1600000000", ACT_MARK },       /* another rule */
        { "no-runner2@1600000000", ACT_MARK }, /* not even a rule */
        { "no-runner@", ACT_MARK },
        { "no-runner@16e8", ACT_MARK },
        { "no-runner@-1600000000", ACT_MARK },
        { "no-runner", ACT_MARK },
        { "", ACT_MARK },
    };
    struct box b = orphan;
    struct world w;
    b.mark = cases[_i].mark;
    world_init(&w);
    scan(&w, &b, 1);
    answer_records(&w, NULL, 0);
    if (cases[_i].want == ACT_NONE) {
        is_over(&w);
    } else if (cases[_i].want == ACT_MARK) {
        ck_assert_str_eq(only_act(&w, ACT_MARK)->mark, "no-runner@1700000000");
        ck_assert(!w.reap.machine.done);
        answer(&w, ACT_MARK, 0, OUTCOME_OK);
        is_over(&w);
    } else {
        only_act(&w, cases[_i].want);
    }
    ck_assert(!w.reap.targets[0].ended);
    world_clear(&w);
}
END_TEST

START_TEST(no_confirm_ends_at_first_sight)
{
    struct world w;
    world_init(&w);
    w.config.confirm = false;
    scan(&w, &orphan, 1);
    answer_records(&w, NULL, 0);
    only_act(&w, ACT_GET);
    world_clear(&w);
}
END_TEST

START_TEST(mark_is_cleared_when_the_runner_is_there)
{
    static const struct github_runner records[] = { { .id = 7, .name = "i-1", .status = "online" },
                                                    { .id = 7, .name = "i-1", .status = "offline" },
                                                    { .id = 7, .name = "i-1", .status = "online", .busy = true } };
    struct box b = orphan;
    struct world w;
    b.mark = "no-runner@1600000000";
    world_init(&w);
    scan(&w, &b, 1);
    answer_records(&w, &records[_i], 1);
    const struct act *a = only_act(&w, ACT_MARK);
    ck_assert_ptr_null(a->mark);
    ck_assert_str_eq(a->instance_id, "i-1");
    answer(&w, ACT_MARK, 0, OUTCOME_OK);
    is_over(&w);
    world_clear(&w);
}
END_TEST

static void confirmed(struct world *w, struct box *b)
{
    *b = orphan;
    b->mark = "no-runner@1600000000";
    world_init(w);
    scan(w, b, 1);
    answer_records(w, NULL, 0);
    ck_assert_int_eq(only_act(w, ACT_GET)->runner_id, 7);
}

START_TEST(kill_reads_the_record_again)
{
    static const struct github_runner records[] = { { .id = 7, .name = "i-1", .status = "online", .busy = true },
                                                    { .id = 7, .name = "i-1", .status = "offline" },
                                                    { .id = 7, .name = "someone-else", .status = "online" } };
    struct world w;
    struct box b;
    confirmed(&w, &b);
    feed(&w, (struct event){ .kind = EVENT_ANSWER, .act = ACT_GET, .runners = &records[_i], .n_runners = 1 });
    if (_i < 2) { /* it is there after all */
        is_over(&w);
        ck_assert_int_eq(w.reap.targets[0].verdict, REAP_KEEP);
    } else { /* ids are counted per tenant: a record of another name is another runner's */
        only_act(&w, ACT_LOOK);
    }
    ck_assert(!w.reap.targets[0].ended);
    world_clear(&w);
}
END_TEST

START_TEST(kill_stops_when_the_record_cannot_be_read)
{
    static const enum outcome bad[] = { OUTCOME_AMBIGUOUS, OUTCOME_THROTTLED, OUTCOME_FAILED };
    struct world w;
    struct box b;
    confirmed(&w, &b);
    answer(&w, ACT_GET, 0, bad[_i]);
    is_over(&w);
    ck_assert(!w.reap.targets[0].ended);
    ck_assert_int_eq(w.reap.targets[0].error.domain, ERROR_NET);
    world_clear(&w);
}
END_TEST

/* What must be as it was when it was listed. */
START_TEST(kill_reads_the_instance_again)
{
    static const struct box changed[] = {
        { .id = "i-1", .age = 5001 },
        { .id = "i-1", .age = 5000, .keep = "" },
        { .id = "i-1", .age = 5000, .fleet = "other/repo" },
        { .id = "i-1", .age = 5000, .role = "bake" },
        { .id = "i-1", .age = 5000, .state = "terminated" },
        { .id = "i-1", .age = 5000, .state = "shutting-down" },
    };
    struct world w;
    struct box b;
    confirmed(&w, &b);
    answer(&w, ACT_GET, 0, OUTCOME_NOT_FOUND);
    only_act(&w, ACT_LOOK);
    if ((size_t)_i < ARRAY_SIZE(changed))
        answer_boxes(&w, ACT_LOOK, 0, &changed[_i], 1);
    else if ((size_t)_i == ARRAY_SIZE(changed))
        answer_boxes(&w, ACT_LOOK, 0, NULL, 0);
    else
        answer(&w, ACT_LOOK, 0, OUTCOME_FAILED);
    is_over(&w);
    ck_assert(!w.reap.targets[0].ended);
    world_clear(&w);
}
END_TEST

START_TEST(kill_goes_through)
{
    static const struct {
        enum outcome outcome;
        bool ended;
    } cases[] = {
        { OUTCOME_OK, true }, { OUTCOME_NOT_FOUND, true }, { OUTCOME_FAILED, false }, { OUTCOME_AMBIGUOUS, false }
    };
    struct world w;
    struct box b;
    confirmed(&w, &b);
    answer(&w, ACT_GET, 0, OUTCOME_NOT_FOUND);
    ck_assert_str_eq(only_act(&w, ACT_LOOK)->region, "us-east-1");
    answer_boxes(&w, ACT_LOOK, 0, &b, 1);
    ck_assert_str_eq(only_act(&w, ACT_TERMINATE)->region, "us-east-1");
    answer(&w, ACT_TERMINATE, 0, cases[_i].outcome);
    is_over(&w);
    ck_assert_int_eq(w.reap.targets[0].ended, cases[_i].ended);
    ck_assert_int_eq(w.reap.targets[0].error.domain, cases[_i].ended ? ERROR_NONE : ERROR_NET);
    world_clear(&w);
}
END_TEST

/* What carries other tags is judged by its tags. */
START_TEST(tags_decide)
{
    static const struct {
        struct box box;
        const char *rule;
    } cases[] = {
        { { .id = "i-1", .age = 90000, .fleet = "other/repo" }, "foreign" },
        { { .id = "i-1", .age = 90000, .role = "bake" }, "foreign" },
        { { .id = "i-1", .age = 90000, .keep = "" }, "kept" },
        { { .id = "i-1", .age = 90000, .keep = "yes", .limits = "life=1" }, "kept" },
        { { .id = "i-1", .age = 5000, .limits = "life=4999" }, "deadline" },
        { { .id = "i-1", .age = 30000, .limits = "life=90000" }, "no-runner" },
        { { .id = "i-1", .age = 5000, .limits = "boot=6000" }, "boot-grace" },
        { { .id = "i-1", .age = 5000, .limits = "boot=x,life=1" }, "no-runner" }, /* malformed: the default ones */
        { { .id = "i-1", .age = 5000, .scope = "org/other" }, "unknown" },
        { { .id = "i-1", .age = 5000, .runner_id = "0" }, "unknown" },
        { { .id = "i-1", .age = 5000, .runner_id = "-7" }, "unknown" },
        { { .id = "i-1", .age = 5000, .runner = "" }, "unknown" },
        { { .id = "i-1", .age = 5000, .runner_id = "9223372036854775808" }, "unknown" },
        { { .id = "i-1", .age = 5000, .state = "stopped" }, "no-runner" },
        { { .id = "i-1", .age = -3000 }, "launch-grace" },
    };
    struct world w;
    world_init(&w);
    w.config.dry_run = true;
    scan(&w, &cases[_i].box, 1);
    answer_records(&w, NULL, 0);
    ck_assert_str_eq(w.reap.targets[0].rule, cases[_i].rule);
    is_over(&w);
    world_clear(&w);
}
END_TEST

START_TEST(record_of_the_same_id_and_another_name_is_no_record)
{
    const struct github_runner records[] = { { .id = 9, .name = "x", .status = "online" },
                                             { .id = 7, .name = "someone-else", .status = "online", .busy = true },
                                             { .id = 3, .name = "y", .status = "online" } };
    struct world w;
    world_init(&w);
    scan(&w, &orphan, 1);
    answer_records(&w, records, 3);
    only_act(&w, ACT_MARK);
    world_clear(&w);
}
END_TEST

/* Records come in any order; every instance finds its own. */
START_TEST(records_are_matched_in_any_order)
{
    static const struct box boxes[] = { { .id = "a", .runner_id = "5", .age = 5000 },
                                        { .id = "b", .runner_id = "1", .age = 5000 },
                                        { .id = "c", .runner_id = "9", .age = 5000 },
                                        { .id = "d", .runner_id = "4", .age = 5000 } };
    const struct github_runner records[] = { { .id = 9, .name = "c", .status = "online" },
                                             { .id = 1, .name = "b", .status = "offline" },
                                             { .id = 5, .name = "a", .status = "offline", .busy = true } };
    struct world w;
    world_init(&w);
    w.config.dry_run = true;
    scan(&w, boxes, 4);
    answer_records(&w, records, 3);
    ck_assert_int_eq(w.reap.targets[0].facts.record, REAP_RECORD_BUSY);
    ck_assert_int_eq(w.reap.targets[1].facts.record, REAP_RECORD_OFFLINE);
    ck_assert_int_eq(w.reap.targets[2].facts.record, REAP_RECORD_ONLINE);
    ck_assert_int_eq(w.reap.targets[3].facts.record, REAP_RECORD_ABSENT);
    world_clear(&w);
}
END_TEST

static size_t count_acts(const struct world *w, enum act_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < w->acts.n; i++)
        n += w->acts.v[i].kind == kind;
    return n;
}

/* n orphans that an earlier pass has marked, in out. */
static void make_orphans(struct box *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = orphan;
        out[i].mark = "no-runner@1600000000";
    }
}

/* Five running instances past their boot grace, none with a record: a wrong token, not a finished fleet. */
START_TEST(fleet_without_any_record_is_suspicious)
{
    struct box boxes[6];
    const struct github_runner one = { .id = 7, .name = "i-1", .status = "offline" };
    struct world w;
    make_orphans(boxes, 6);
    world_init(&w);
    if (_i == 0) { /* four are not enough */
        scan(&w, boxes, 4);
        answer_records(&w, NULL, 0);
        ck_assert(!w.reap.suspicious);
        ck_assert_uint_eq(count_acts(&w, ACT_GET), 4);
    } else if (_i == 1) { /* five are; what is overdue goes all the same; no mark is touched */
        boxes[4].age = 30000;
        scan(&w, boxes, 5);
        answer_records(&w, NULL, 0);
        ck_assert(w.reap.suspicious);
        ck_assert_uint_eq(only_act(&w, ACT_DELETE)->who, 4);
    } else if (_i == 2) { /* one record proves the token */
        boxes[0].runner_id = "8";
        boxes[1].runner_id = "8";
        boxes[2].runner_id = "8";
        boxes[3].runner_id = "8";
        scan(&w, boxes, 5);
        answer_records(&w, &one, 1);
        ck_assert(!w.reap.suspicious);
        ck_assert_uint_eq(count_acts(&w, ACT_GET), 4);
    } else { /* young and stopped ones do not count */
        boxes[4].age = 600;
        boxes[5].state = "stopped";
        scan(&w, boxes, 6);
        answer_records(&w, NULL, 0);
        ck_assert(!w.reap.suspicious);
    }
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
        { 20, 0, 0, false },  { 21, 0, 0, true },                        /* 20 ... */
        { 24, 24, 0, false }, { 25, 24, 0, true }, { 26, 26, 0, false }, /* ... or half of the fleet */
    };
    struct box boxes[MAX];
    /* A record that nobody's tag names keeps the pass from being suspicious: the last box has one. */
    const struct github_runner one = { .id = 8, .name = "i-1", .status = "online" };
    struct world w;
    size_t n = cases[_i].orphans;
    make_orphans(boxes, n);
    for (size_t i = 0; i < cases[_i].overdue; i++)
        boxes[n++] = overdue;
    if (cases[_i].overdue) {
        boxes[n - 1].runner_id = "8";
    } else { /* of another fleet: not counted as ours, yet proof of the token */
        boxes[n] = orphan;
        boxes[n].runner_id = "8";
        boxes[n++].fleet = "other/repo";
    }
    world_init(&w);
    w.config.max = cases[_i].max;
    scan(&w, boxes, n);
    answer_records(&w, &one, 1);
    ck_assert(!w.reap.suspicious);
    ck_assert_int_eq(w.reap.over_max, cases[_i].over);
    ck_assert_uint_eq(count_acts(&w, ACT_GET), cases[_i].over ? 0 : cases[_i].orphans);
    ck_assert_uint_eq(count_acts(&w, ACT_DELETE), cases[_i].overdue);
    ck_assert_uint_eq(count_acts(&w, ACT_MARK), 0);
    world_clear(&w);
}
END_TEST

START_TEST(dry_run_does_nothing)
{
    static const struct box boxes[] = { { .id = "i-1", .age = 30000 },
                                        { .id = "i-2", .age = 5000 },
                                        { .id = "i-3", .age = 5000, .mark = "no-runner@1600000000" } };
    struct world w;
    world_init(&w);
    w.config.dry_run = true;
    scan(&w, boxes, 3);
    answer_records(&w, NULL, 0);
    is_over(&w);
    ck_assert_int_eq(w.reap.targets[0].verdict, REAP_TERMINATE);
    ck_assert_int_eq(w.reap.targets[1].verdict, REAP_MARK);
    ck_assert_int_eq(w.reap.targets[2].verdict, REAP_TERMINATE);
    world_clear(&w);
}
END_TEST

START_TEST(signal_before_the_decision_ends_at_once)
{
    struct world w;
    world_init(&w);
    if (_i == 0)
        start(&w);
    else
        scan(&w, &overdue, 1);
    feed(&w, (struct event){ .kind = EVENT_SIGNAL });
    is_over(&w);
    ck_assert_int_eq(w.reap.error.domain, ERROR_CANCELLED);
    world_clear(&w);
}
END_TEST

/* A kill that is under way is finished, but not waited for without end. */
START_TEST(signal_during_a_kill)
{
    struct world w;
    world_init(&w);
    scan(&w, &overdue, 1);
    answer_records(&w, NULL, 0);
    only_act(&w, ACT_DELETE);
    w.now = 1000;
    feed(&w, (struct event){ .kind = EVENT_SIGNAL });
    ck_assert(!w.reap.machine.done);
    ck_assert_int_le(w.reap.machine.wake, 1000 + 8000);
    if (_i == 0) {
        answer(&w, ACT_DELETE, 0, OUTCOME_OK);
        only_act(&w, ACT_LOOK);
        answer_boxes(&w, ACT_LOOK, 0, &overdue, 1);
        only_act(&w, ACT_TERMINATE);
        ck_assert_int_le(w.reap.machine.wake, 1000 + 8000);
        answer(&w, ACT_TERMINATE, 0, OUTCOME_OK);
        ck_assert(w.reap.targets[0].ended);
    } else {
        w.now = w.reap.machine.wake;
        feed(&w, (struct event){ .kind = EVENT_TIME });
        ck_assert(!w.reap.targets[0].ended);
    }
    is_over(&w);
    ck_assert_int_eq(w.reap.error.domain, ERROR_CANCELLED);
    world_clear(&w);
}
END_TEST

static TCase *rules(void)
{
    TCase *t = tcase_create("rules");
    tcase_add_test(t, every_combination_of_facts);
    tcase_add_loop_test(t, rules_by_name, 0, 14);
    return t;
}

static TCase *pass(void)
{
    TCase *t = tcase_create("pass");
    tcase_add_test(t, scan_asks_for_the_fleet_in_every_region);
    tcase_add_loop_test(t, scan_error_means_no_action, 0, 6);
    tcase_add_test(t, empty_fleet_may_have_ghosts);
    tcase_add_loop_test(t, ghosts_are_told_from_runners, 0, 14);
    tcase_add_loop_test(t, ghost_is_judged_twice, 0, 5);
    tcase_add_test(t, list_error_leaves_only_deadlines);
    tcase_add_loop_test(t, overdue_is_ended_whatever_github_says, 0, 6);
    tcase_add_loop_test(t, mark_then_confirm, 0, 13);
    tcase_add_test(t, no_confirm_ends_at_first_sight);
    tcase_add_loop_test(t, mark_is_cleared_when_the_runner_is_there, 0, 3);
    tcase_add_loop_test(t, kill_reads_the_record_again, 0, 3);
    tcase_add_loop_test(t, kill_stops_when_the_record_cannot_be_read, 0, 3);
    tcase_add_loop_test(t, kill_reads_the_instance_again, 0, 8);
    tcase_add_loop_test(t, kill_goes_through, 0, 4);
    tcase_add_loop_test(t, tags_decide, 0, 15);
    tcase_add_test(t, record_of_the_same_id_and_another_name_is_no_record);
    tcase_add_test(t, records_are_matched_in_any_order);
    tcase_add_loop_test(t, fleet_without_any_record_is_suspicious, 0, 4);
    tcase_add_loop_test(t, max_bounds_what_is_ended_early, 0, 9);
    tcase_add_test(t, dry_run_does_nothing);
    tcase_add_loop_test(t, signal_before_the_decision_ends_at_once, 0, 2);
    tcase_add_loop_test(t, signal_during_a_kill, 0, 2);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { rules, pass };
    return run_suite("reap", all, ARRAY_SIZE(all));
}
