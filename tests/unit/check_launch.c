/* The launch's clockwork: how soon it sees a runner, and how many requests it makes, with a cloud that always answers.
 * What goes wrong is the model's (check_model.c). */
#include "mayfly/runner/launch.h"

#include <stdio.h>

#include "mayfly/aws/errors.h"
#include "mayfly/runner/drive.h"
#include "mayfly/runner/tags.h"

#include "testing.h"

enum { LATENCY_MS = 40, COUNT_MAX = 100, ACTS_MAX = 4000, NEVER = 1000000000 };

struct world {
    struct launch launch;
    struct launch_config config;
    struct plan plan;
    struct cell cells[2];
    struct strlist labels;
    int64_t now, online_after; /* ms; of an instance, from its launch */
    int64_t run_at[COUNT_MAX]; /* 0: not yet */
    char ids[COUNT_MAX][24];
    struct {
        struct act act;
        int64_t due;
    } queue[ACTS_MAX + 1]; /* and one to swap by */
    size_t queued, answered;
    int64_t scan_ms, mark_ms;     /* how much longer the first look for the label takes, and a tag; or NEVER */
    char shown_id[24], *shown_as; /* by that look: the first instance as it was when the look began */
    size_t n_scans, n_marks;
    int64_t mints[COUNT_MAX], runs[ACTS_MAX], asked_at[ACTS_MAX]; /* when they were asked for */
    size_t n_mints, n_runs, n_gets, n_lists;
    unsigned pages;    /* of a list */
    bool full;         /* the first cell has no capacity */
    bool blind;        /* GitHub knows no runner by its id */
    bool dropped;      /* nor by its name */
    const char *taken; /* EC2 ends what is in the first cell, for this reason */
    enum outcome deletion;
    unsigned nth_mint[COUNT_MAX], nth_run[COUNT_MAX];
    size_t n_finds, n_deletes, n_taken_back, n_launched;
    int64_t found_at[ACTS_MAX];
};

static const struct image image = { .id = "ami-1" };

static struct world *world_new(size_t count, int64_t online_after)
{
    struct world *w = xcalloc(1, sizeof(*w));
    strlist_add(&w->labels, "label");
    w->now = 1000;
    w->pages = 1;
    w->online_after = online_after;
    w->cells[0] = (struct cell){ .region = "us-east-1", .subnet = "subnet-a", .type = "m7i.large", .image = &image };
    w->cells[1] = w->cells[0];
    w->cells[1].subnet = "subnet-b";
    w->plan = (struct plan){ .cells = w->cells, .n = 2 };
    w->config = (struct launch_config){ .label = "label",
                                        .labels = &w->labels,
                                        .name_mark = "mf-abcdef-",
                                        .count = count,
                                        .min_count = count,
                                        .plan = &w->plan,
                                        .timeout_ms = 3600000,
                                        .timeout_s = 3600,
                                        .seed = (uint64_t)online_after };
    launch_init(&w->launch, &w->config);
    return w;
}

static void world_free(struct world *w)
{
    launch_clear(&w->launch);
    strlist_clear(&w->labels);
    free(w->shown_as);
    free(w);
}

static void begin_scan(struct world *w)
{
    if (w->n_scans++)
        return;
    w->queue[w->queued - 1].due += w->scan_ms;
    snprintf(w->shown_id, sizeof(w->shown_id), "%s", w->launch.slots[0].pair.instance_id);
    str_set(&w->shown_as, w->launch.slots[0].pair.name);
}

static void step(struct world *w, struct event *e)
{
    struct acts acts = { 0 };
    e->now = w->now;
    w->launch.machine.step(&w->launch.machine, e, &acts);
    for (size_t i = 0; i < acts.n; i++) {
        ck_assert_uint_lt(w->queued, ACTS_MAX);
        w->queue[w->queued].act = acts.v[i];
        w->queue[w->queued++].due = w->now + LATENCY_MS;
        switch (acts.v[i].kind) {
        case ACT_MINT:
            w->mints[w->n_mints++] = w->now;
            break;
        case ACT_RUN:
            w->runs[w->n_runs++] = w->now;
            break;
        case ACT_GET:
            w->asked_at[w->n_gets++] = w->now;
            break;
        case ACT_LIST:
            w->n_lists++;
            break;
        case ACT_FIND:
            w->found_at[w->n_finds++] = w->now;
            break;
        case ACT_DELETE:
            w->n_deletes++;
            break;
        case ACT_SCAN:
            begin_scan(w);
            break;
        case ACT_MARK:
            w->n_marks++;
            w->queue[w->queued - 1].due += w->mark_ms;
            break;
        default:
            break;
        }
    }
    acts_clear(&acts);
}

static struct github_runner runner(const struct world *w, size_t who)
{
    bool online = w->run_at[who] && w->now - w->run_at[who] >= w->online_after;
    return (struct github_runner){ .id = 1000 + (int64_t)(who + w->nth_mint[who] * COUNT_MAX),
                                   .name = "",
                                   .status = online ? "online" : "offline" };
}

static struct ec2_instance instance(struct world *w, size_t who)
{
    bool taken = w->taken && w->launch.slots && w->launch.slots[who].cell == 0;
    snprintf(w->ids[who], sizeof(w->ids[who]), "i-%zu%s", who, w->nth_run[who] > 1 ? "-again" : "");
    return (struct ec2_instance){ .id = w->ids[who],
                                  .zone = "us-east-1a",
                                  .launch_time = "2002-02-02T00:00:00Z",
                                  .state_name = taken ? "shutting-down" : "running",
                                  .reason_code = taken ? w->taken : NULL };
}

static void answer(struct world *w, const struct act *act)
{
    struct github_runner runners[COUNT_MAX];
    struct ec2_instance instances[COUNT_MAX];
    AUTO_ERROR err = { 0 };
    struct ec2_tag tags[] = { { TAG_FLEET, "fleet" }, { TAG_LABEL, "label" }, { TAG_RUNNER, w->shown_as } };
    struct event e = { .kind = EVENT_ANSWER,
                       .act = act->kind,
                       .who = act->who,
                       .part = act->part,
                       .runners = runners,
                       .instances = instances,
                       .n_runners = 1,
                       .jit = "jit",
                       .pages = w->pages };
    switch (act->kind) {
    case ACT_MINT:
        w->nth_mint[act->who]++;
        runners[0] = runner(w, act->who);
        break;
    case ACT_GET:
        runners[0] = runner(w, act->who);
        e.outcome = w->blind ? OUTCOME_NOT_FOUND : OUTCOME_OK;
        break;
    case ACT_FIND:
        runners[0] = runner(w, act->who);
        e.n_runners = !w->dropped;
        break;
    case ACT_DELETE:
        e.outcome = w->deletion;
        break;
    case ACT_TERMINATE:
    case ACT_CONSOLE:
    case ACT_MARK:
        break;
    case ACT_SCAN:
        instances[e.n_instances++] = (struct ec2_instance){ .id = w->shown_id,
                                                            .state_name = "running",
                                                            .launch_time = "2001-01-01T00:00:00Z",
                                                            .tags = { .rows = tags, .n = ARRAY_SIZE(tags) } };
        break;
    case ACT_LIST:
        e.n_runners = w->config.count;
        for (size_t i = 0; i < e.n_runners; i++)
            runners[i] = runner(w, i);
        break;
    case ACT_RUN:
        if (w->full && w->launch.slots[act->who].cell == 0) {
            error_set(&err, ERROR_AWS, 500, "no room");
            e.outcome = OUTCOME_CAPACITY;
            e.error = &err;
            break;
        }
        w->run_at[act->who] = w->now;
        w->nth_run[act->who]++;
        instances[0] = instance(w, act->who);
        e.n_instances = 1;
        break;
    case ACT_LOOK:
        for (size_t i = 0; i < w->config.count; i++)
            if (w->run_at[i])
                instances[e.n_instances++] = instance(w, i);
        break;
    default:
        ck_abort_msg("a launch without trouble asks for: %s", act_name(act->kind));
    }
    if (e.outcome != OUTCOME_OK && err.domain == ERROR_NONE) {
        error_set(&err, ERROR_GITHUB, 404, "the world says no");
        e.error = &err;
    }
    step(w, &e);
}

/* Puts what is answered first in front of all that is in flight. */
static int64_t first_due(struct world *w)
{
    size_t first = w->answered;
    if (w->answered == w->queued)
        return INT64_MAX;
    for (size_t i = first + 1; i < w->queued; i++)
        if (w->queue[i].due < w->queue[first].due)
            first = i;
    for (size_t i = first; i > w->answered; i--) {
        w->queue[ACTS_MAX] = w->queue[i];
        w->queue[i] = w->queue[i - 1];
        w->queue[i - 1] = w->queue[ACTS_MAX];
    }
    return w->queue[w->answered].due;
}

/* Until the machine is done; time jumps from one event to the next. */
static void run_to_its_end(struct world *w)
{
    struct event start = { .kind = EVENT_START }, time = { .kind = EVENT_TIME };
    step(w, &start);
    while (!w->launch.machine.done) {
        int64_t due = first_due(w);
        if (due <= w->launch.machine.wake) {
            w->now = due;
            answer(w, &w->queue[w->answered++].act);
        } else {
            ck_assert_int_lt(w->launch.machine.wake, INT64_MAX);
            ck_assert_int_gt(w->launch.machine.wake, w->now);
            w->now = w->launch.machine.wake;
            step(w, &time);
        }
    }
}

static void run(struct world *w)
{
    run_to_its_end(w);
    ck_assert(launch_succeeded(&w->launch));
}

/* With the runner online T seconds after the launch, the launch ends within T + 1 s up to a minute, then T + 5 s. Where
 * a job may wait for it, it must not come and go unseen: a second then, too. */
static void see_the_runner_soon(int64_t online, bool jobs_may_wait)
{
    struct world *w = world_new(1, online);
    bool eager = online < 59000 || jobs_may_wait;
    w->config.jobs_may_wait = jobs_may_wait;
    run(w);
    int64_t late = w->now - w->run_at[0] - online;
    ck_assert_int_ge(late, 0);
    ck_assert_int_le(late, eager ? 1000 : 5000);
    /* A question a second in the first minute, one in five later; all but the last cost no rate limit. */
    ck_assert_uint_le(w->n_gets, (size_t)(eager ? online / 850 + 2 : 72 + (online - 60000) / 4500 + 2));
    world_free(w);
}

START_TEST(sees_the_runner_soon)
{
    for (int64_t t = 2000; t <= 300000; t += 1009)
        see_the_runner_soon(t, _i == 1);
}
END_TEST

/* Does a bucket of `burst` tokens with one more every `every` ms ever run dry? */
static void stays_within(const int64_t *times, size_t n, double burst, double every)
{
    double tokens = burst;
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            tokens += (double)(times[i] - times[i - 1]) / every;
        tokens = tokens > burst ? burst : tokens;
        ck_assert_msg(tokens >= 1, "request %zu at %lld ms finds the bucket dry", i, (long long)times[i]);
        tokens -= 1;
    }
}

/* EC2: 5 at once and 2 a second. GitHub: 80 in any minute. A hundred runners take as long as one and what that forces.
 */
START_TEST(a_hundred_stay_below_the_limits)
{
    struct world *w = world_new(COUNT_MAX, 20000);
    w->full = _i == 1;
    run(w);
    ck_assert_uint_eq(w->n_mints, COUNT_MAX);
    stays_within(w->runs, w->n_runs, 5, 500);
    stays_within(w->mints, w->n_mints, 21, 60000.0 / 146);
    ck_assert_int_le(w->now - 1000, (COUNT_MAX - 4) * 510 + 20000 + 3000);
    /* What one slot learns of a cell, the others need not ask again: but for those in flight at the time. */
    ck_assert_uint_le(w->n_runs, COUNT_MAX + (w->full ? 4 : 0));
    ck_assert_uint_le(w->n_gets, 100);
    world_free(w);
}
END_TEST

/* In an organization with ten thousand others a list is dearer than a question for each: 900 a minute are granted. */
START_TEST(a_hundred_among_ten_thousand)
{
    struct world *w = world_new(COUNT_MAX, 60000);
    w->pages = 100;
    run(w);
    ck_assert_uint_gt(w->n_gets, COUNT_MAX);
    stays_within(w->asked_at, w->n_gets, COUNT_MAX, 60000.0 / 900);
    world_free(w);
}
END_TEST

/* --- what got lost ------------------------------------------------------------------------------------------------ */

/* Time passes until it asks for this. */
static const struct act *asks(struct world *w, enum act_kind kind)
{
    while (w->queued == w->answered) {
        struct event time = { .kind = EVENT_TIME };
        ck_assert_int_lt(w->launch.machine.wake, INT64_MAX);
        w->now = w->launch.machine.wake;
        step(w, &time);
    }
    const struct act *act = &w->queue[w->answered++].act;
    ck_assert_msg(act->kind == kind, "%s instead of %s", act_name(act->kind), act_name(kind));
    return act;
}

static void answers(struct world *w, enum act_kind kind, enum outcome outcome, const struct github_runner *found)
{
    AUTO_ERROR err = { 0 };
    struct event e = { .kind = EVENT_ANSWER,
                       .act = kind,
                       .outcome = outcome,
                       .error = &err,
                       .runners = found,
                       .n_runners = found != NULL };
    error_set(&err, ERROR_GITHUB, 409, "it exists");
    step(w, &e);
}

/* The answer to a mint is lost, and then its name is taken: by a runner that is online, so it is not the lost one. */
START_TEST(a_name_that_a_runner_has)
{
    struct world *w = world_new(1, 1000);
    struct event start = { .kind = EVENT_START };
    const struct github_runner other = { .id = 9, .name = "", .status = "online" };
    step(w, &start);
    AUTO_FREE char *name = xstrdup(asks(w, ACT_MINT)->name);
    answers(w, ACT_MINT, OUTCOME_AMBIGUOUS, NULL);
    ck_assert_str_eq(asks(w, ACT_MINT)->name, name);
    answers(w, ACT_MINT, OUTCOME_CONFLICT, NULL);
    ck_assert_str_eq(asks(w, ACT_FIND)->name, name);
    answers(w, ACT_FIND, OUTCOME_OK, &other);
    ck_assert_str_ne(asks(w, ACT_MINT)->name, name);
    world_free(w);
}
END_TEST

/* More than was kept for it before it was known: nothing is launched, and the record goes. */
START_TEST(a_configuration_without_room)
{
    struct world *w = world_new(1, 1000);
    struct event start = { .kind = EVENT_START };
    w->config.jit_max = strlen("jit") - 1;
    step(w, &start);
    answer(w, asks(w, ACT_MINT));
    asks(w, ACT_DELETE);
    answers(w, ACT_DELETE, OUTCOME_OK, NULL);
    ck_assert(w->launch.machine.done && !launch_succeeded(&w->launch));
    ck_assert_str_eq(w->launch.error.message,
                     "GitHub's just-in-time configuration has 3 bytes, and the user-data has room for 2");
    world_free(w);
}
END_TEST

static void fails(struct world *w, enum act_kind kind, enum outcome outcome, const char *why)
{
    AUTO_ERROR err = { 0 };
    struct event e = { .kind = EVENT_ANSWER, .act = kind, .outcome = outcome, .error = &err };
    error_set(&err, ERROR_AWS, 0, "%s", why);
    step(w, &e);
}

/* The answer to RunInstances was lost, which was settled; what is told at the end is what went wrong then. */
START_TEST(a_failure_that_was_settled)
{
    struct world *w = world_new(1, 3600000);
    struct event start = { .kind = EVENT_START }, sig = { .kind = EVENT_SIGNAL };
    const struct ec2_instance found = instance(w, 0);
    struct event settled = { .kind = EVENT_ANSWER, .act = ACT_SETTLE, .instances = &found, .n_instances = 1 };
    step(w, &start);
    answer(w, asks(w, ACT_MINT));
    asks(w, ACT_RUN);
    fails(w, ACT_RUN, OUTCOME_AMBIGUOUS, "no answer from EC2");
    asks(w, ACT_SETTLE);
    step(w, &settled);
    step(w, &sig);
    asks(w, ACT_DELETE);
    answers(w, ACT_DELETE, OUTCOME_OK, NULL);
    asks(w, ACT_TERMINATE);
    fails(w, ACT_TERMINATE, OUTCOME_FAILED, "it is protected");
    AUTO_FREE char *left = launch_leftovers(&w->launch);
    ck_assert(w->launch.machine.done);
    ck_assert_str_eq(left, "instance i-0: it is protected");
    world_free(w);
}
END_TEST

/* Nothing is answered any more, from the registration or the launch on; a signal comes just before the time is over,
 * during the undoing, or never. The command's limit holds. */
START_TEST(a_late_signal)
{
    static const int64_t signals[] = { 9000, 11900, 13000, INT64_MAX / 2 };
    struct world *w = world_new(1, 3600000);
    const int64_t begin = w->now, signal_at = begin + signals[_i / 2];
    struct event start = { .kind = EVENT_START }, sig = { .kind = EVENT_SIGNAL }, time = { .kind = EVENT_TIME };
    bool signalled = false;
    w->config.timeout_ms = 12000;
    w->config.jobs_may_wait = true;
    step(w, &start);
    if (_i % 2)
        answer(w, asks(w, ACT_MINT));
    while (!w->launch.machine.done) {
        bool now = !signalled && signal_at <= w->launch.machine.wake;
        ck_assert_int_lt(w->launch.machine.wake, INT64_MAX);
        w->now = now ? signal_at : w->launch.machine.wake;
        step(w, now ? &sig : &time);
        signalled = signalled || now;
    }
    ck_assert_int_le(w->now - begin, 12000 + LAUNCH_OVERTIME_MS);
    world_free(w);
}
END_TEST

/* EC2 launched it, and a while later knows nothing of it. */
START_TEST(an_instance_that_vanishes)
{
    struct world *w = world_new(1, 3600000);
    struct event start = { .kind = EVENT_START }, time = { .kind = EVENT_TIME };
    step(w, &start);
    for (bool vanished = false; !vanished;) {
        if (w->answered == w->queued || w->queue[w->answered].due > w->launch.machine.wake) {
            w->now = w->launch.machine.wake;
            step(w, &time);
            continue;
        }
        const struct act act = w->queue[w->answered++].act;
        w->now = w->now > w->queue[w->answered - 1].due ? w->now : w->queue[w->answered - 1].due;
        if (act.kind == ACT_LOOK)
            answers(w, ACT_LOOK, OUTCOME_OK, NULL);
        else
            answer(w, &act);
        vanished = w->launch.undoing;
        ck_assert_int_lt(w->now, 600000);
    }
    ck_assert_ptr_nonnull(strstr(w->launch.error.message, "EC2 does not know instance i-0, which it launched"));
    world_free(w);
}
END_TEST

/* GitHub's 404 for a runner, once or ever again, says nothing while a list still shows it. */
START_TEST(a_404_is_no_proof)
{
    struct world *w = world_new(_i == 2 ? 4 : 1, 30000);
    w->blind = true;
    w->config.jobs_may_wait = _i == 1;
    run(w);
    ck_assert(w->n_finds > 0 || w->n_lists > 0);
    ck_assert_uint_eq(w->n_deletes, 0);
    world_free(w);
}
END_TEST

/* A record is gone when two lists that could be read, some time apart, do not have it either; and its deletion says so,
 * too. */
START_TEST(a_record_that_is_gone)
{
    static const struct {
        enum outcome deletion;
        enum instance_state instance;
    } cases[] = {
        { OUTCOME_NOT_FOUND, INSTANCE_GONE },
        { OUTCOME_OK, INSTANCE_GONE },
        { OUTCOME_BUSY, INSTANCE_HAVE }, /* it is there after all, and works */
    };
    struct world *w = world_new(1, 3600000);
    w->blind = w->dropped = w->config.jobs_may_wait = true;
    w->deletion = cases[_i].deletion;
    run_to_its_end(w);
    ck_assert(!launch_succeeded(&w->launch));
    ck_assert_ptr_nonnull(strstr(w->launch.error.message, "GitHub removed the record of runner"));
    ck_assert_uint_ge(w->n_finds, 2);
    ck_assert_int_ge(w->found_at[w->n_finds - 1] - w->found_at[w->n_finds - 2], 2000);
    ck_assert_uint_eq(w->n_deletes, 1);
    ck_assert_int_eq(w->launch.slots[0].pair.instance, cases[_i].instance);
    world_free(w);
}
END_TEST

/* --- what EC2 takes back ------------------------------------------------------------------------------------------ */

static void count_taken(void *ctx, size_t slot UNUSED, const struct error *why)
{
    struct world *w = ctx;
    w->n_taken_back++;
    ck_assert_ptr_nonnull(strstr(why->message, w->taken));
}

static bool count_launched(void *ctx, struct error *err UNUSED)
{
    struct world *w = ctx;
    w->n_launched++;
    return true;
}

static struct world *world_of_taken(size_t count, const char *reason, size_t cells)
{
    struct world *w = world_new(count, 20000);
    w->taken = reason;
    w->plan.n = cells;
    w->config.taken_back = count_taken;
    w->config.launched = count_launched;
    w->config.ctx = w;
    return w;
}

static const struct {
    const char *reason;
    bool final;
} reasons[] = {
    { "Server.SpotInstanceTermination", false },
    { "Server.SpotInstanceShutdown", false },
    { "Server.InsufficientInstanceCapacity", false },
    { "Server.InternalError", false },
    { "Client.VolumeLimitExceeded", false },
    { "Client.InternalError", true },
    { "Client.InvalidSnapshot.NotFound", true },
    { "Client.UserInitiatedShutdown", true },
    { "Client.InstanceInitiatedShutdown", true },
    { "Client.InstanceTerminated", true },
    { "Server.SomethingNew", true },
    { "Somebody.InsufficientInstanceCapacity", true },
    { "nonsense", true },
};

/* The next cell is tried, with a new configuration, and the outputs name what is there in the end. */
START_TEST(taken_back_from_the_first_cell)
{
    const char *reason = reasons[_i % (int)ARRAY_SIZE(reasons)].reason;
    bool final = reasons[_i % (int)ARRAY_SIZE(reasons)].final;
    size_t count = _i < (int)ARRAY_SIZE(reasons) ? 1 : 4;
    struct world *w = world_of_taken(count, reason, 2);
    w->cells[1].spot = str_eq(reason, "Client.VolumeLimitExceeded"); /* a quota is of a market */
    run_to_its_end(w);
    if (final) {
        ck_assert(!launch_succeeded(&w->launch));
        ck_assert_uint_eq(w->n_runs, count);
        ck_assert(!w->launch.error.no_room);
        ck_assert_ptr_nonnull(strstr(w->launch.error.message, reason));
    } else {
        ck_assert(launch_succeeded(&w->launch));
        ck_assert_uint_eq(w->n_taken_back, count);
        ck_assert_uint_eq(w->n_mints, 2 * count);
        ck_assert_uint_eq(w->n_deletes, count);
        ck_assert_uint_eq(w->n_launched, 2);
        for (size_t i = 0; i < count; i++) {
            ck_assert_uint_eq(w->launch.slots[i].cell, 1);
            ck_assert_ptr_nonnull(strstr(w->launch.slots[i].pair.instance_id, "-again"));
        }
    }
    world_free(w);
}
END_TEST

/* Only where no cell is left the label is given away, as after RunInstances' own refusal. */
START_TEST(taken_back_from_the_last_cell)
{
    struct world *w = world_of_taken(1, reasons[_i].reason, 1);
    run_to_its_end(w);
    ck_assert(!launch_succeeded(&w->launch));
    ck_assert_uint_eq(w->n_runs, 1);
    ck_assert_int_eq(w->launch.error.no_room, !reasons[_i].final);
    ck_assert_int_eq(w->launch.error.domain, reasons[_i].final ? ERROR_AWS : ERROR_CAPACITY);
    AUTO_FREE char *left = launch_leftovers(&w->launch);
    ck_assert_ptr_null(left);
    world_free(w);
}
END_TEST

/* With or without a console, what EC2 says of the end comes first. */
static struct world *world_of_claims(size_t n_cells, const char *taken)
{
    struct world *w = taken ? world_of_taken(1, taken, n_cells) : world_new(1, 30000);
    w->config.fleet = "fleet";
    w->config.claims = w->config.hands = true;
    launch_clear(&w->launch);
    launch_init(&w->launch, &w->config);
    return w;
}

/* A look for the label that began when the first instance was there is answered when it has been replaced. */
START_TEST(gives_no_label_away_to_what_it_replaced)
{
    struct world *w = world_of_claims(2, "Server.SpotInstanceTermination");
    w->scan_ms = 5000;
    run_to_its_end(w);
    ck_assert_msg(launch_succeeded(&w->launch), "%s", w->launch.error.message);
    ck_assert_uint_eq(w->n_taken_back, 1);
    ck_assert_uint_eq(w->n_scans, 2);
    ck_assert_uint_eq(w->n_marks, 1);
    ck_assert_int_eq(w->launch.handover.unclaimed.domain, ERROR_NONE);
    ck_assert_int_eq(w->launch.handover.unmarked.domain, ERROR_NONE);
    world_free(w);
}
END_TEST

/* No answer holds up a launch whose runner is online, and none is passed over in silence. */
START_TEST(says_what_was_not_answered)
{
    struct world *w = world_of_claims(2, NULL);
    w->online_after = _i ? 30000 : 1000;
    w->scan_ms = _i ? 0 : NEVER;
    w->mark_ms = _i ? NEVER : 0;
    run(w);
    const struct handover *h = &w->launch.handover;
    ck_assert_int_eq(h->unclaimed.domain, _i ? ERROR_NONE : ERROR_TIMEOUT);
    ck_assert_int_eq(h->unmarked.domain, _i ? ERROR_TIMEOUT : ERROR_NONE);
    world_free(w);
}
END_TEST

START_TEST(hints_of_taken_back)
{
    static const struct {
        const char *reason, *part;
        size_t cells;
    } cases[] = {
        { "Server.SpotInstanceTermination", "on-demand", 1 },    { "Server.InternalError", "host failed", 1 },
        { "Client.VolumeLimitExceeded", "EBS volume quota", 1 }, { "Client.InternalError", "KMS", 2 },
        { "Client.InstanceInitiatedShutdown", NULL, 2 },
    };
    struct world *w = world_of_taken(1, cases[_i].reason, cases[_i].cells);
    run_to_its_end(w);
    const char *hint = w->launch.error.hint;
    ck_assert(!launch_succeeded(&w->launch));
    ck_assert_msg(cases[_i].part ? hint && strstr(hint, cases[_i].part) : !hint, "%s: %s", cases[_i].reason,
                  hint ? hint : "no hint");
    world_free(w);
}
END_TEST

/* What the last lines of a console say of a runner that ended. */
START_TEST(consoles)
{
    static const struct {
        const char *console, *phase, *status;
        bool deprecated, second;
    } cases[] = {
        { "mayfly: phase runner-exited 7 (4.00s)\r\nmayfly: phase poweroff (4.01s)\r\n", "poweroff", "7", true, false },
        { "An error occurred: Runner version v2.317.0 is deprecated and cannot receive messages.\n"
          "mayfly: phase runner-exited 0 (4.00s)\nmayfly: phase poweroff (4.01s)\n",
          "poweroff", "0", true, false },
        { "mayfly: phase runner-exited 1 (4.00s)\nmayfly: phase poweroff (4.01s)\n", "poweroff", "1", false, false },
        { "mayfly: phase runner-exited 77 (4.00s)\n", "runner-exited", "77", false, false },
        { "mayfly: phase docker-ready (4.00s)\n", "docker-ready", NULL, false, false },
        { "image v2 is deprecated\n", NULL, NULL, false, false },
        { "mayfly: failed: second boot (a machine runs one job)\r\n", NULL, NULL, false, true },
        { "mayfly: phase booting (2.00s)\nmayfly: failed: second boot (old /run/mayfly)\n", "booting", NULL, false,
          true },
        { "\033[0;1;39mmayfly-guard.service: Failed with result 'exit-code'.\r\n", NULL, NULL, false, true },
        { "[  OK  ] Started mayfly-guard.service - Mayfly: no second boot.\r\n", NULL, NULL, false, false },
        { "", NULL, NULL, false, false },
    };
    AUTO_FREE char *phase = launch_console_phase(cases[_i].console), *status = launch_console_exit(cases[_i].console);
    ck_assert_pstr_eq(phase, cases[_i].phase);
    ck_assert_pstr_eq(status, cases[_i].status);
    ck_assert(launch_console_is_deprecated(cases[_i].console) == cases[_i].deprecated);
    ck_assert(launch_console_is_second_boot(cases[_i].console) == cases[_i].second);
}
END_TEST

/* Where a job may have waited for it, only GitHub's word that the record was there and is deleted says that it did not
 * come. */
START_TEST(taken_back_with_its_job)
{
    static const struct {
        enum outcome deletion;
        const char *why;
    } cases[] = {
        { OUTCOME_BUSY, "GitHub says that it runs a job" },
        { OUTCOME_NOT_FOUND, "GitHub removed the record of runner" },
    };
    struct world *w = world_of_taken(1, "Server.SpotInstanceTermination", 2);
    w->config.jobs_may_wait = w->dropped = true;
    w->deletion = cases[_i].deletion;
    run_to_its_end(w);
    ck_assert(!launch_succeeded(&w->launch));
    ck_assert_uint_eq(w->n_runs, 1);
    ck_assert_ptr_nonnull(strstr(w->launch.error.message, cases[_i].why));
    world_free(w);
}
END_TEST

/* --- what the driver makes of an answer --------------------------------------------------------------------------- */

START_TEST(outcomes_of_aws)
{
    static const struct {
        enum error_domain domain;
        const char *code;
        int status;
        bool ambiguous;
        enum outcome want;
    } cases[] = {
        { ERROR_NONE, NULL, 0, false, OUTCOME_OK },
        { ERROR_NET, NULL, 7, false, OUTCOME_THROTTLED }, /* nobody answered, nothing was sent: later */
        { ERROR_NET, NULL, 28, true, OUTCOME_AMBIGUOUS },
        { ERROR_AWS, "InternalError", 500, true, OUTCOME_AMBIGUOUS },
        { ERROR_AWS, "RequestLimitExceeded", 503, false, OUTCOME_THROTTLED },
        { ERROR_AWS, "RequestLimitExceeded", 503, true, OUTCOME_AMBIGUOUS }, /* an earlier attempt was lost */
        { ERROR_AWS, "InsufficientInstanceCapacity", 500, false, OUTCOME_CAPACITY },
        { ERROR_AWS, "VcpuLimitExceeded", 400, false, OUTCOME_QUOTA },
        { ERROR_AWS, "InsufficientFreeAddressesInSubnet", 400, false, OUTCOME_SUBNET_FULL },
        { ERROR_AWS, "InvalidInstanceID.NotFound", 400, false, OUTCOME_NOT_FOUND },
        { ERROR_AWS, "IdempotentParameterMismatch", 400, false, OUTCOME_TOKEN_USED },
        { ERROR_AWS, "UnauthorizedOperation", 403, false, OUTCOME_FAILED },
        { ERROR_AWS, "UnauthorizedOperation", 403, true, OUTCOME_AMBIGUOUS },
        { ERROR_AWS, "InvalidInstanceID.NotFound", 400, true, OUTCOME_NOT_FOUND }, /* it makes nothing */
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct aws_call call = { .call = { .ambiguous = cases[i].ambiguous } };
        if (cases[i].domain)
            error_set(&call.call.error, cases[i].domain, cases[i].status, "x");
        str_set(&call.call.error.code, cases[i].code);
        ck_assert_msg(drive_aws_outcome(&call) == cases[i].want, "case %zu: %d", i, drive_aws_outcome(&call));
        error_clear(&call.call.error);
    }
    for (unsigned c = AWS_FATAL; c <= AWS_DRY_RUN; c++) /* no refusal is a success */
        ck_assert_msg(outcome_of_class((enum aws_class)c) != OUTCOME_OK, "class %u", c);
}
END_TEST

static enum outcome outcome_of(const char *code, bool lost)
{
    struct aws_call call = { .call = { .makes = true } };
    error_set(&call.call.error, ERROR_AWS, code ? 400 : 403, "no");
    str_set(&call.call.error.code, code);
    call.call.ambiguous = lost || !aws_is_refusal(&call.call.error);
    enum outcome outcome = drive_aws_outcome(&call);
    error_clear(&call.call.error);
    return outcome;
}

/* Once the answer to an attempt was lost, no refusal of a later one takes back what it may have launched: no code of
 * the table, none that nobody knows, nor an answer without one. */
START_TEST(no_refusal_ends_a_doubt)
{
    size_t n = 0;
    for (const char *code; (code = aws_known_code(n)) != NULL; n++) {
        enum outcome want = str_eq(code, "IdempotentInstanceTerminated") ? OUTCOME_TOKEN_USED : OUTCOME_AMBIGUOUS;
        ck_assert_msg(outcome_of(code, true) == want, "%s: %d", code, outcome_of(code, true));
    }
    ck_assert_uint_gt(n, 100);
    ck_assert_int_eq(outcome_of("NobodyKnowsThis", true), OUTCOME_AMBIGUOUS);
    ck_assert_int_eq(outcome_of(NULL, true), OUTCOME_AMBIGUOUS);
}
END_TEST

/* A refusal of the only attempt is what it says; what does not speak of it, or is not AWS's word, is none. */
START_TEST(what_is_no_refusal)
{
    static const struct {
        const char *code;
        enum outcome want;
    } cases[] = {
        { "IdempotentParameterMismatch", OUTCOME_AMBIGUOUS },
        { "InternalError", OUTCOME_AMBIGUOUS },
        { "PriorRequestNotComplete", OUTCOME_AMBIGUOUS },
        { "RequestTimeout", OUTCOME_AMBIGUOUS },
        { NULL, OUTCOME_AMBIGUOUS }, /* a proxy's page */
        { "IdempotentInstanceTerminated", OUTCOME_TOKEN_USED },
        { "RequestLimitExceeded", OUTCOME_THROTTLED },
        { "InsufficientInstanceCapacity", OUTCOME_CAPACITY },
        { "VcpuLimitExceeded", OUTCOME_QUOTA },
        { "UnauthorizedOperation", OUTCOME_FAILED },
        { "NobodyKnowsThis", OUTCOME_FAILED },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        ck_assert_msg(outcome_of(cases[i].code, false) == cases[i].want, "case %zu: %d", i,
                      outcome_of(cases[i].code, false));
}
END_TEST

/* The same of a configuration whose answer was lost. */
START_TEST(outcomes_of_github)
{
    static const enum outcome heard[] = {
        [GITHUB_FATAL] = OUTCOME_FAILED, [GITHUB_NOT_FOUND] = OUTCOME_NOT_FOUND, [GITHUB_CONFLICT] = OUTCOME_CONFLICT,
        [GITHUB_BUSY] = OUTCOME_BUSY,    [GITHUB_THROTTLED] = OUTCOME_THROTTLED, [GITHUB_SERVER] = OUTCOME_THROTTLED,
    };
    for (size_t i = 0; i < ARRAY_SIZE(heard); i++) {
        struct github_call call = { .call = { .makes = true }, .class = (enum github_class)i };
        error_set(&call.call.error, ERROR_GITHUB, 403, "no");
        ck_assert_int_eq(drive_github_outcome(&call), heard[i]);
        call.call.ambiguous = true;
        ck_assert_int_eq(drive_github_outcome(&call), OUTCOME_AMBIGUOUS);
        error_clear(&call.call.error);
    }
}
END_TEST

static TCase *clockwork(void)
{
    TCase *t = tcase_create("clockwork");
    tcase_add_loop_test(t, sees_the_runner_soon, 0, 2);
    tcase_add_loop_test(t, a_hundred_stay_below_the_limits, 0, 2);
    tcase_add_test(t, a_hundred_among_ten_thousand);
    tcase_add_test(t, a_name_that_a_runner_has);
    tcase_add_test(t, a_configuration_without_room);
    tcase_add_test(t, a_failure_that_was_settled);
    tcase_add_loop_test(t, a_late_signal, 0, 8);
    tcase_add_test(t, an_instance_that_vanishes);
    tcase_add_loop_test(t, a_404_is_no_proof, 0, 3);
    tcase_add_loop_test(t, a_record_that_is_gone, 0, 3);
    tcase_add_loop_test(t, taken_back_from_the_first_cell, 0, 2 * ARRAY_SIZE(reasons));
    tcase_add_loop_test(t, taken_back_from_the_last_cell, 0, ARRAY_SIZE(reasons));
    tcase_add_loop_test(t, taken_back_with_its_job, 0, 2);
    tcase_add_test(t, gives_no_label_away_to_what_it_replaced);
    tcase_add_loop_test(t, says_what_was_not_answered, 0, 2);
    tcase_add_loop_test(t, hints_of_taken_back, 0, 5);
    tcase_add_loop_test(t, consoles, 0, 11);
    tcase_add_test(t, outcomes_of_aws);
    tcase_add_test(t, no_refusal_ends_a_doubt);
    tcase_add_test(t, what_is_no_refusal);
    tcase_add_test(t, outcomes_of_github);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { clockwork };
    return run_suite("launch", all, ARRAY_SIZE(all));
}
