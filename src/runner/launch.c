#include "mayfly/runner/launch.h"

#include "mayfly/aws/errors.h"
#include "mayfly/crypto/crypto.h"
#include "mayfly/runner/tags.h"
#include "mayfly/util/encode.h"

enum {
    MINT_TRIES = 5,
    MINT_BACKOFF_MS = 1000,
    JIT_FRESH_MS = 60000, /* an older configuration is not tried in another cell: GitHub forgets idle records */
    LOOK_MS = 2000,       /* EC2, until the instance runs */
    LOOK_RUNNING_MS = 5000,
    ASK_MS = 850, /* GitHub, in the first minute; with 100 ms of jitter a runner is seen within a second */
    ASK_LATER_MS = 4500,
    ASK_JITTER_MS = 100,
    ASK_EACH_MS = 80, /* many at once are followed by as many silences: GitHub grants 900 points a minute */
    EASE_AFTER_MS = 60000,
    LIST_ABOVE = 2,  /* so many runners are asked for one by one */
    HURRY_MS = 6000, /* after a signal, for calls in flight; GitHub kills after 10 s */
    HURRY_ENDING_MS = 1000,
    RANDOM_CHARS = 10,
    VANISHED_MS = 120000,
    SETTLED_MS = 10000, /* a record younger than this may be missing from one of GitHub's replicas */
    GIVE_UP_MS = 500,
    UNDO_PART = 20, /* of the time is kept for undoing, */
    UNDO_MS = 8000, /* at most */
    UNDO_KILL_MS = 3000,
    UNDO_FENCE_MS = 700,
    SPARE_MS = 60000,
    HURRY_FENCE_MS = 1000, /* after a signal; then what is known is terminated, fenced or not */
    HURRY_CUT_MS = 2500,   /* and RunInstances not waited for any longer, but its instance looked for */
    HURRY_DELETE_MS = 3000,
    HURRY_LOOK_MS = 500,
    BOOT_LEAST_MS = 2500, /* from `pending` to online, and more: a kernel has to boot and a runner to say hello */
    /* EC2 grants RunInstances a burst of 5 and 2 a second in a region; GitHub grants 900 points a minute, of which a
     * POST costs 5, and more than 166 configurations a minute have been refused. The burst keeps one back for calls
     * that the network bunches. */
    RUN_EVERY_MS = 510,
    RUN_BURST = 4,
    MINT_EVERY_MS = 400,
    MINT_BURST = 20,
    MINT_AHEAD = 20, /* configurations that wait for their instance: GitHub drops those that wait for minutes */
};

/* A bucket of `burst` tokens, one more every `every` ms, as the time at which it will be full again (GCRA). Takes one,
 * or says through *wake when there will be one. */
static bool rate_take(int64_t *full_at, int64_t now, int64_t every, int64_t burst, int64_t *wake)
{
    int64_t full = *full_at > now ? *full_at : now;
    int64_t next = full - (burst - 1) * every;
    if (now < next) {
        if (next < *wake)
            *wake = next;
        return false;
    }
    *full_at = full + every;
    return true;
}

static uint64_t next_random(struct launch *l) /* splitmix64 */
{
    uint64_t z = (l->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static const struct cell *slot_cell(const struct launch *l, const struct launch_slot *s)
{
    return &l->config->plan->cells[s->cell];
}

static struct launch_region *find_region(struct launch *l, const char *name)
{
    size_t i = 0;
    while (!str_eq(l->regions[i].name, name))
        i++;
    return &l->regions[i];
}

/* The name tells the region in which the reaper has to look before it may call the record a ghost. */
static void new_name(struct launch *l, struct launch_slot *s)
{
    AUTO_STRBUF name = STRBUF_INIT;
    AUTO_FREE char *prefix = runner_name_prefix(l->config->name_mark, slot_cell(l, s)->region, l->config->epoch);
    uint8_t random[RANDOM_CHARS];
    for (size_t i = 0; i < sizeof(random); i++)
        random[i] = (uint8_t)(next_random(l) >> 32);
    str_set(&s->region, slot_cell(l, s)->region);
    strbuf_addf(&name, "%s-", prefix);
    encode_random32(&name, random, sizeof(random));
    str_set(&s->pair.name, strbuf_str(&name));
    handover_name(l, s->pair.name);
    s->mint_lost = false;
}

/* The same for a retry of the same attempt in the same cell, another for everything else. */
static void new_client_token(const struct launch *l, struct launch_slot *s)
{
    const struct cell *c = slot_cell(l, s);
    AUTO_FREE char *input = xasprintf("%s\n%s\n%u\n%s\n%s\n%s\n%s\n%d", l->config->label, s->pair.name, s->attempt,
                                      c->region, c->subnet, c->type, c->image ? c->image->id : "", c->spot);
    AUTO_STRBUF token = STRBUF_INIT;
    crypto_sha256_hex(&token, input, strlen(input));
    strbuf_truncate(&token, 40);
    free(s->pair.client_token);
    s->pair.client_token = xasprintf("mf-%s", strbuf_str(&token));
}

void launch_clear(struct launch *l)
{
    for (size_t i = 0; l->slots && i < l->config->count; i++) {
        pair_clear(&l->slots[i].pair);
        secret_clear(&l->slots[i].jit);
        free(l->slots[i].zone);
        free(l->slots[i].region);
    }
    free(l->slots);
    handover_clear(l);
    for (size_t i = 0; i < l->n_regions; i++)
        strlist_clear(&l->regions[i].ids);
    free(l->regions);
    room_clear(&l->room);
    free(l->console);
    error_clear(&l->error);
    *l = (struct launch){ 0 };
}

bool launch_slot_is_up(const struct launch_slot *s)
{
    return s->online && !s->down;
}

bool launch_succeeded(const struct launch *l)
{
    size_t up = 0;
    for (size_t i = 0; i < l->config->count; i++)
        up += launch_slot_is_up(&l->slots[i]);
    return !l->undoing && up >= l->config->min_count;
}

static void all_down(struct launch *l)
{
    l->undoing = true;
    for (size_t i = 0; i < l->config->count; i++)
        l->slots[i].down = true;
}

/* The failure that ends the launch is the one that is told; until then, the first of a slot. */
static void tell(struct launch *l, const struct error *why, bool ends)
{
    if (l->undoing || (l->error.domain != ERROR_NONE && !ends))
        return;
    error_clear(&l->error);
    error_copy(&l->error, why);
}

static void fail(struct launch *l, const struct error *why)
{
    tell(l, why, true);
    all_down(l);
}

/* One runner less; the others go on while they are enough. */
static void fail_slot(struct launch *l, struct launch_slot *s, const struct error *why)
{
    size_t left = 0;
    s->down = s->failed = true;
    for (size_t i = 0; i < l->config->count; i++)
        left += !l->slots[i].down;
    tell(l, why, left < l->config->min_count);
    if (left < l->config->min_count)
        all_down(l);
}

static void want_console(struct launch *l, size_t who)
{
    if (!l->console_wanted && !l->console_asked) { /* the first failure's */
        l->console_wanted = true;
        l->console_of = who;
    }
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* What was kept for it before it was known may be too little. */
static bool check_jit(const struct launch *l, const char *jit, struct error *err)
{
    size_t n = strlen(jit);
    if (l->config->jit_max == 0 || n <= l->config->jit_max)
        return true;
    error_set(err, ERROR_CONFIG, 0,
              "GitHub's just-in-time configuration has %zu bytes, and the user-data has room for %zu", n,
              l->config->jit_max);
    error_hint(err, "shorten the pre-runner script, or put what it does into the image");
    return false;
}

static void answer_mint(struct launch *l, struct launch_slot *s, const struct event *e)
{
    struct pair *p = &s->pair;
    AUTO_ERROR err = { 0 };
    switch (e->outcome) {
    case OUTCOME_OK:
        pair_take_record(p, e->runners[0].id, e->now);
        if (!check_jit(l, e->jit, &err)) {
            fail(l, &err);
            return;
        }
        secret_set(&s->jit, e->jit, strlen(e->jit));
        s->minted_at = e->now;
        s->cell_tried = s->stale = s->mint_lost = s->taken_back = false;
        s->attempt++;
        return;
    case OUTCOME_CONFLICT: /* ours only if an answer for this very name was lost */
        if (s->mint_lost) {
            p->record = RECORD_UNSURE;
            pair_lost_record(p, e->now);
            s->replace = true;
        } else {
            p->record = RECORD_NONE;
            new_name(l, s);
        }
        break;
    case OUTCOME_AMBIGUOUS:
        s->mint_lost = true;
        pair_lost_record(p, e->now);
        p->record = s->down ? RECORD_UNSURE : RECORD_NONE;
        break;
    case OUTCOME_THROTTLED:
        p->record = RECORD_NONE;
        fail_slot(l, s, e->error);
        return;
    default:
        p->record = RECORD_NONE;
        fail(l, e->error);
        return;
    }
    if (++s->mint_failures >= MINT_TRIES) {
        if (s->mint_lost)
            p->record = RECORD_UNSURE;
        fail_slot(l, s, e->error);
        return;
    }
    s->mint_at = e->now + (e->outcome == OUTCOME_AMBIGUOUS ? MINT_BACKOFF_MS << (s->mint_failures - 1) : 0);
}

static void took_instance(struct launch *l, struct launch_slot *s, const struct ec2_instance *i, int64_t now)
{
    str_set(&s->pair.instance_id, i->id);
    str_set(&s->zone, i->zone);
    s->launch_time = ec2_instance_launched(i);
    s->pair.instance = INSTANCE_HAVE;
    s->pair.young_until = now + PAIR_YOUNG_MS;
    s->pair.wait_until = 0;
    s->pair.boots_until = s->asked_at + BOOT_LEAST_MS;
    s->launched_at = now;
    struct launch_region *region = find_region(l, s->pair.region);
    if (region->look_at == 0)
        region->look_at = l->hurry_until ? now : now + LOOK_MS;
    if (l->ask_at == 0)
        l->ask_at = now + ASK_MS;
}

/* why: what the last cell said, or NULL when it was told to another slot. */
static void no_room(struct launch *l, struct launch_slot *s, const struct error *why)
{
    AUTO_ERROR err = { 0 };
    if (why) {
        error_copy(&err, why);
        error_prefix(&err, "no cell of the plan has room (%zu in it)", l->config->plan->n);
    } else {
        error_set(&err, ERROR_CAPACITY, 0, "no cell of the plan has room (%zu in it)", l->config->plan->n);
    }
    err.domain = ERROR_CAPACITY;
    err.try_later = err.no_room = true;
    fail_slot(l, s, &err);
}

static void answer_run(struct launch *l, struct launch_slot *s, const struct event *e)
{
    struct pair *p = &s->pair;
    p->instance = INSTANCE_NONE;
    switch (e->outcome) {
    case OUTCOME_OK:
        took_instance(l, s, &e->instances[0], e->now);
        return;
    case OUTCOME_CAPACITY:
    case OUTCOME_SUBNET_FULL:
    case OUTCOME_QUOTA:
        s->cell_tried = true;
        room_rule_out(&l->room, s->cell, e->outcome);
        if (!s->down && !room_find(&l->room, &s->cell))
            no_room(l, s, e->error);
        return;
    case OUTCOME_TOKEN_USED: /* an instance of ours that is gone, or a request that EC2 took for another */
        s->stale = true;     /* its runner may have been used: mint again */
        if (++s->mint_failures >= MINT_TRIES)
            fail_slot(l, s, e->error);
        return;
    case OUTCOME_THROTTLED:
        fail_slot(l, s, e->error);
        return;
    case OUTCOME_AMBIGUOUS:
        pair_lost_launch(p, e);
        return;
    default:
        fail(l, e->error);
        return;
    }
}

static void answer_settle(struct launch *l, struct launch_slot *s, const struct event *e)
{
    pair_answer(&s->pair, e);
    if (s->pair.instance == INSTANCE_HAVE)
        took_instance(l, s, &e->instances[0], e->now);
    else if (s->pair.instance == INSTANCE_STUCK && !s->down) {
        /* No other cell: a slot follows one pair, and this one's instance may yet appear. */
        AUTO_ERROR err = { 0 };
        error_copy(&err, &s->pair.error);
        error_prefix(&err, "the outcome of RunInstances is unknown");
        err.try_later = err.try_later || err.no_room;
        err.no_room = false; /* that was said of the last attempt alone */
        fail_slot(l, s, &err);
    }
}

static void slot_online(struct launch_slot *s, int64_t now, bool busy)
{
    if (!s->online)
        s->online_at = now;
    s->online = true;
    s->busy = s->busy || busy;
    s->pair.must_fence = true; /* it may have begun a job since */
    s->down = false;
}

/* GitHub has no such record any more. */
static void lost_runner(struct launch *l, struct launch_slot *s)
{
    if (s->online || s->down)
        return;
    AUTO_ERROR err = { 0 };
    error_set(&err, ERROR_GITHUB, 404, "GitHub removed the record of runner %s before it was seen online",
              s->pair.name);
    error_hint(&err, "%ssomebody deleted it, or GitHub dropped it while the instance booted: start again",
               l->config->jobs_may_wait ? "a job that waited for its label may have ended already; else " : "");
    err.try_later = true;
    want_console(l, (size_t)(s - l->slots));
    fail_slot(l, s, &err);
}

/* Its runner came before EC2 took the instance back: it may have had a job, and another machine would not go on with
 * it. */
static void came_and_went(struct launch *l, struct launch_slot *s)
{
    AUTO_ERROR err = { 0 };
    s->replace = s->taken_back = false;
    error_set(&err, ERROR_AWS, 0, "EC2 took the instance of runner %s back when it was online", s->pair.name);
    error_hint(&err, "a job that it had begun has failed: run it again");
    err.try_later = true;
    fail_slot(l, s, &err);
}

static void answer_delete(struct launch *l, struct launch_slot *s, const struct event *e)
{
    pair_answer(&s->pair, e);
    if (s->taken_back && s->came && !s->down) {
        came_and_went(l, s);
        return;
    }
    if (s->taken_back && !s->down && e->outcome == OUTCOME_NOT_FOUND && l->config->jobs_may_wait) {
        s->replace = s->taken_back = false; /* its runner may have come and taken a job */
        lost_runner(l, s);
        return;
    }
    if (s->pair.record == RECORD_BUSY && s->pair.instance == INSTANCE_HAVE && l->timed_out && !l->undoing &&
        !s->failed) {
        slot_online(s, e->now, true); /* it runs a job: it came online after all */
    } else if (s->replace && !s->down && s->pair.record != RECORD_HAVE && s->pair.record != RECORD_UNSURE) {
        /* HAVE: it is asked for again; UNSURE: it is looked up first */
        s->replace = false;
        if (s->pair.record == RECORD_GONE) {
            s->pair.record = RECORD_NONE;
            new_name(l, s);
        } else if (s->pair.record == RECORD_BUSY) { /* of an instance that is gone */
            AUTO_ERROR err = { 0 };
            error_set(&err, ERROR_GITHUB, 422, "the instance of runner %s ended, and GitHub says that it runs a job",
                      s->pair.name);
            err.try_later = true;
            fail_slot(l, s, &err);
        } else {
            fail_slot(l, s, &s->pair.error);
        }
    }
}

static bool has_runner(const struct launch_slot *s)
{
    enum record_state r = s->pair.record;
    return r == RECORD_HAVE || r == RECORD_DELETING || r == RECORD_UNSURE || r == RECORD_FINDING;
}

static bool waits_for_runner(const struct launch_slot *s)
{
    return s->pair.record == RECORD_HAVE && s->pair.instance == INSTANCE_HAVE && !s->online && !s->down;
}

/* After a signal: while nothing is heard of the deletion, only an instance that has not booted may go. */
static bool wants_look(const struct launch *l, const struct launch_slot *s)
{
    return !l->hurry_until ? waits_for_runner(s)
                           : has_runner(s) && s->pair.instance == INSTANCE_HAVE && s->pair.must_fence && !s->running;
}

static void saw_runner(struct launch_slot *s, const struct github_runner *r, int64_t now)
{
    pair_saw_record(&s->pair);
    if (!github_runner_is_online(r))
        return;
    s->came = s->came || s->taken_back;
    s->pair.must_fence = true; /* it may run a job, even if it is on its way down */
    s->busy = s->busy || r->busy;
    if (waits_for_runner(s))
        slot_online(s, now, r->busy);
}

/* What a search by name says of a record that GitHub did not know by its id, while its runner is waited for. */
static void answer_doubt(struct launch *l, struct launch_slot *s, const struct event *e,
                         const struct github_runner *found)
{
    struct pair *p = &s->pair;
    if (e->outcome != OUTCOME_OK) { /* it says nothing */
        p->record = RECORD_HAVE;
        if (e->outcome == OUTCOME_FAILED && !l->undoing)
            fail(l, e->error);
        return;
    }
    pair_answer(p, e);
    if (found) {
        saw_runner(s, found, e->now);
    } else if (pair_is_absent(p)) {
        lost_runner(l, s);
    }
}

static void answer_find(struct launch *l, struct launch_slot *s, const struct event *e)
{
    const struct github_runner *found = e->outcome == OUTCOME_OK && e->n_runners > 0 ? &e->runners[0] : NULL;
    if (found && found->id == s->pair.runner_id && github_runner_is_online(found)) {
        s->pair.must_fence = true; /* it may run a job */
        s->came = s->came || s->taken_back;
        s->busy = s->busy || found->busy;
    }
    if (!s->down && !s->replace) {
        answer_doubt(l, s, e, found);
        return;
    }
    /* Only a record that never connected may be the lost one of ours. */
    if (found && !s->down && s->mint_lost && github_runner_is_online(found)) {
        s->pair.record = RECORD_NONE;
        s->replace = false;
        new_name(l, s);
        return;
    }
    pair_answer(&s->pair, e);
    if (s->down || !s->replace || s->pair.record == RECORD_HAVE || s->pair.record == RECORD_UNSURE)
        return;
    s->replace = false;
    if (s->pair.record == RECORD_STUCK) {
        fail_slot(l, s, &s->pair.error);
        return;
    }
    s->pair.record = RECORD_NONE;
    new_name(l, s);
}

static void answer_ask(struct launch *l, const struct event *e)
{
    if (e->act == ACT_LIST)
        l->listing = false;
    else
        l->slots[e->who].asking = false;
    bool current = e->act == ACT_LIST || l->slots[e->who].asked_id == l->slots[e->who].pair.runner_id;
    if (e->scarce || e->outcome == OUTCOME_THROTTLED)
        l->spare_until = e->now + SPARE_MS;
    if (e->act == ACT_LIST) {
        l->list_pages = e->outcome == OUTCOME_OK ? e->pages : l->list_pages;
        /* A record that a list does not show may be newer than the list: only a question by id proves absence. */
        for (size_t i = 0; i < l->config->count && e->outcome == OUTCOME_OK; i++)
            l->slots[i].missing = e->now - l->slots[i].minted_at >= SETTLED_MS;
        for (size_t r = 0; r < e->n_runners; r++)
            for (size_t i = 0; i < l->config->count; i++)
                if (has_runner(&l->slots[i]) && l->slots[i].pair.runner_id == e->runners[r].id)
                    saw_runner(&l->slots[i], &e->runners[r], e->now), l->slots[i].missing = false;
    } else if (e->outcome == OUTCOME_OK && current) {
        saw_runner(&l->slots[e->who], &e->runners[0], e->now);
    } else if (e->outcome == OUTCOME_NOT_FOUND && current && waits_for_runner(&l->slots[e->who]) &&
               e->now - l->slots[e->who].minted_at >= SETTLED_MS) {
        pair_doubt_record(&l->slots[e->who].pair, e->now);
    } else if (e->outcome == OUTCOME_FAILED && !l->undoing) {
        fail(l, e->error);
    }
}

/* What EC2 ended by itself, as RunInstances would have refused it; OUTCOME_FAILED: the launch ends with it. */
static enum outcome why_taken_back(const struct ec2_instance *i)
{
    /* Stopped: it has to be ended. */
    return ec2_state_is_live(ec2_instance_state(i)) ? OUTCOME_FAILED
                                                    : outcome_of_class(aws_state_reason_class(i->reason_code));
}

/* The instance is gone. Its runner never came, which the deletion of the record makes sure of; then another is launched
 * in the next cell. */
static void taken_back(struct launch *l, struct launch_slot *s, enum outcome outcome, const struct error *why)
{
    struct pair *p = &s->pair;
    room_rule_out(&l->room, s->cell, outcome);
    if (!room_find(&l->room, &s->cell)) {
        p->instance = INSTANCE_GONE;
        no_room(l, s, why);
        return;
    }
    if (l->config->taken_back)
        l->config->taken_back(l->config->ctx, (size_t)(s - l->slots), why);
    str_set(&p->instance_id, NULL);
    str_set(&s->zone, NULL);
    p->instance = INSTANCE_NONE;
    s->launched_at = s->running_at = 0;
    s->running = s->announced = l->announced = false;
    s->replace = s->taken_back = true;
    s->came = false;
}

static void ended_early(struct launch *l, struct launch_slot *s, const struct ec2_instance *i)
{
    enum outcome outcome = why_taken_back(i);
    bool told = i->reason_code && i->reason_message && str_starts(i->reason_message, i->reason_code);
    AUTO_ERROR err = { 0 };
    error_set(&err, ERROR_AWS, 0, "instance %s is %s before its runner came online%s%s%s%s", i->id, i->state_name,
              i->reason_code && !told ? ": " : "", i->reason_code && !told ? i->reason_code : "",
              i->reason_message ? ": " : "", i->reason_message ? i->reason_message : "");
    err.try_later = str_starts(i->reason_code ? i->reason_code : "", "Server.");
    const char *hint = aws_state_reason_hint(i->reason_code);
    if (hint)
        error_hint(&err, "%s", hint);
    if (outcome != OUTCOME_FAILED) {
        taken_back(l, s, outcome, &err);
        return;
    }
    want_console(l, (size_t)(s - l->slots));
    fail_slot(l, s, &err);
}

static void answer_look(struct launch *l, const struct event *e)
{
    struct launch_region *region = &l->regions[e->who];
    region->looking = false;
    if (e->outcome == OUTCOME_FAILED && !l->undoing)
        fail(l, e->error);
    if (e->outcome != OUTCOME_OK)
        return;
    for (size_t n = 0; n < l->config->count; n++) {
        struct launch_slot *s = &l->slots[n];
        const struct ec2_instance *found = NULL;
        if (!wants_look(l, s) || !strlist_has(&region->ids, s->pair.instance_id))
            continue;
        for (size_t i = 0; i < e->n_instances && !found; i++)
            if (str_eq(e->instances[i].id, s->pair.instance_id))
                found = &e->instances[i];
        if (l->hurry_until) {
            s->running = s->running || (found && ec2_instance_state(found) == EC2_RUNNING);
            if (found && ec2_instance_state(found) == EC2_PENDING)
                s->pair.boots_until = region->asked_at + BOOT_LEAST_MS;
            continue;
        }
        if (!found) {
            if (e->n_skipped == 0 && e->now - s->launched_at > VANISHED_MS) {
                AUTO_ERROR err = { 0 };
                error_set(&err, ERROR_AWS, 0, "EC2 does not know instance %s, which it launched", s->pair.instance_id);
                fail_slot(l, s, &err);
            }
            continue;
        }
        enum ec2_state state = ec2_instance_state(found);
        if (state == EC2_RUNNING && !s->running) {
            s->running = true;
            s->running_at = e->now;
        } else if (state != EC2_RUNNING && state != EC2_PENDING) {
            ended_early(l, s, found);
        }
    }
}

static void answer_console(struct launch *l, const struct event *e)
{
    l->console_wanted = false;
    if (e->outcome == OUTCOME_OK && !str_empty(e->text))
        str_set(&l->console, e->text);
}

static void answer_handover(struct launch *l, const struct event *e)
{
    AUTO_ERROR err = { 0 };
    if (!handover_answer(l, e, &err))
        fail(l, &err);
}

static void take_answer(struct launch *l, const struct event *e)
{
    switch (e->act) {
    case ACT_MINT:
        answer_mint(l, &l->slots[e->who], e);
        break;
    case ACT_RUN:
        answer_run(l, &l->slots[e->who], e);
        break;
    case ACT_SETTLE:
        answer_settle(l, &l->slots[e->who], e);
        break;
    case ACT_DELETE:
        answer_delete(l, &l->slots[e->who], e);
        break;
    case ACT_FIND:
        answer_find(l, &l->slots[e->who], e);
        break;
    case ACT_GET:
    case ACT_LIST:
        answer_ask(l, e);
        break;
    case ACT_LOOK:
        answer_look(l, e);
        break;
    case ACT_CONSOLE:
        answer_console(l, e);
        break;
    case ACT_SCAN:
    case ACT_MARK:
        answer_handover(l, e);
        break;
    default:
        pair_answer(&l->slots[e->who].pair, e);
        break;
    }
}

/* --- what is next ------------------------------------------------------------------------------------------------- */

static void wake_at(struct launch *l, int64_t when)
{
    if (when < l->machine.wake)
        l->machine.wake = when;
}

/* Configurations that wait for their instance, or are on their way. */
static size_t minted_ahead(const struct launch *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->config->count; i++) {
        const struct pair *p = &l->slots[i].pair;
        n += (p->record == RECORD_MINTING || p->record == RECORD_HAVE) && p->instance == INSTANCE_NONE;
    }
    return n;
}

static void up(struct launch *l, size_t who, int64_t now, struct acts *acts)
{
    struct launch_slot *s = &l->slots[who];
    struct pair *p = &s->pair;
    if (p->instance == INSTANCE_NONE && !s->replace && !room_find(&l->room, &s->cell)) {
        no_room(l, s, NULL); /* other slots have found out */
        return;
    }
    /* What is begun now would not be answered in time. */
    bool late = l->machine.give_up && now >= l->machine.give_up;
    if (late && p->instance == INSTANCE_NONE && (p->record == RECORD_NONE || p->record == RECORD_HAVE) && !s->replace)
        return;
    if (p->record == RECORD_NONE && p->instance == INSTANCE_NONE) {
        if (now < s->mint_at) {
            wake_at(l, s->mint_at);
            return;
        }
        if (minted_ahead(l) >= MINT_AHEAD ||
            !rate_take(&l->mint_rate, now, MINT_EVERY_MS, MINT_BURST, &l->machine.wake))
            return;
        if (!p->name || (!s->mint_lost && !str_eq(s->region, slot_cell(l, s)->region)))
            new_name(l, s);
        p->record = RECORD_MINTING;
        acts_add(acts, (struct act){ .kind = ACT_MINT, .who = who, .name = p->name });
    } else if (s->replace || p->record == RECORD_UNSURE) {
        pair_down_record(p, who, now, acts, &l->machine.wake);
    } else if (p->record == RECORD_HAVE && p->instance == INSTANCE_NONE) {
        bool moved = !str_eq(s->region, slot_cell(l, s)->region);
        if (s->stale || moved || (s->cell_tried && now - s->minted_at > JIT_FRESH_MS)) {
            s->replace = true;
            pair_down_record(p, who, now, acts, &l->machine.wake);
            return;
        }
        if (!rate_take(&find_region(l, s->region)->run_rate, now, RUN_EVERY_MS, RUN_BURST, &l->machine.wake))
            return;
        new_client_token(l, s);
        str_set(&p->region, slot_cell(l, s)->region);
        p->instance = INSTANCE_ASKED;
        s->asked_at = now;
        acts_add(acts,
                 (struct act){ .kind = ACT_RUN, .who = who, .region = p->region, .client_token = p->client_token });
    } else if (p->instance == INSTANCE_UNSURE) {
        if (now < p->wait_until) {
            wake_at(l, p->wait_until);
            return;
        }
        p->instance = INSTANCE_LOOKING;
        acts_add(acts,
                 (struct act){ .kind = ACT_SETTLE, .who = who, .region = p->region, .client_token = p->client_token });
    }
}

static void down(struct launch *l, size_t who, int64_t now, struct acts *acts)
{
    struct launch_slot *s = &l->slots[who];
    if (s->mint_lost && s->pair.record == RECORD_NONE) {
        s->pair.record = RECORD_UNSURE;
        s->mint_lost = false;
    }
    if (l->hurry_until || l->timed_out) /* nobody could send a job to a fresh label before the start is over */
        s->pair.must_fence = l->config->jobs_may_wait || s->busy;
    if (l->hurry_until)
        pair_hurry(&s->pair, l->hurry_until - HURRY_MS + HURRY_FENCE_MS);
    if (l->undoing || l->timed_out) {
        int64_t until = l->end_by - UNDO_KILL_MS, least = l->deadline + UNDO_FENCE_MS;
        pair_hurry(&s->pair, until > least ? until : least);
    }
    pair_down(&s->pair, who, now, acts, &l->machine.wake);
}

static void look(struct launch *l, size_t n, int64_t now, struct acts *acts)
{
    struct launch_region *region = &l->regions[n];
    bool all_running = true;
    if (l->hurry_until && region->look_at > now + HURRY_LOOK_MS)
        region->look_at = now;
    if (region->looking || region->look_at == 0 || (l->hurry_until && now >= l->machine.cut_at))
        return;
    if (now < region->look_at) {
        wake_at(l, region->look_at);
        return;
    }
    strlist_clear(&region->ids);
    for (size_t i = 0; i < l->config->count; i++) {
        const struct launch_slot *s = &l->slots[i];
        if (!wants_look(l, s) || !str_eq(s->pair.region, region->name))
            continue;
        strlist_add(&region->ids, s->pair.instance_id);
        all_running = all_running && s->running;
    }
    if (region->ids.n == 0) {
        region->look_at = 0; /* until the next instance */
        return;
    }
    region->looking = true;
    region->asked_at = now;
    region->look_at = now + (l->hurry_until ? HURRY_LOOK_MS : all_running ? LOOK_RUNNING_MS : LOOK_MS);
    acts_add(acts, (struct act){ .kind = ACT_LOOK, .who = n, .region = region->name, .ids = &region->ids });
}

static void poll_github(struct launch *l, int64_t now, struct acts *acts)
{
    size_t waiting = 0, asked = 0;
    int64_t newest = 0;
    if (l->listing || l->ask_at == 0)
        return;
    if (now < l->ask_at) {
        wake_at(l, l->ask_at);
        return;
    }
    for (size_t i = 0; i < l->config->count; i++) {
        if (!waits_for_runner(&l->slots[i]))
            continue;
        waiting++;
        newest = l->slots[i].launched_at > newest ? l->slots[i].launched_at : newest;
    }
    if (waiting == 0)
        return;
    /* A short job that waited takes the record along before it is seen, if questions are seldom. */
    bool eager = (now - newest < EASE_AFTER_MS || l->config->jobs_may_wait) && now >= l->spare_until;
    if (waiting > LIST_ABOVE && l->list_pages < waiting) {
        l->listing = true;
        asked = l->list_pages;
        acts_add(acts, (struct act){ .kind = ACT_LIST });
    }
    for (size_t i = 0; i < l->config->count; i++) {
        if (waits_for_runner(&l->slots[i]) && !l->slots[i].asking && (!l->listing || l->slots[i].missing)) {
            l->slots[i].asking = true;
            l->slots[i].asked_id = l->slots[i].pair.runner_id;
            asked++;
            acts_add(acts, (struct act){ .kind = ACT_GET, .who = i, .runner_id = l->slots[i].pair.runner_id });
        }
    }
    int64_t pause = eager ? ASK_MS : ASK_LATER_MS, least = (int64_t)asked * ASK_EACH_MS;
    l->ask_at = now + (pause > least ? pause : least) + (int64_t)(next_random(l) % ASK_JITTER_MS);
}

static void announce(struct launch *l)
{
    AUTO_ERROR err = { 0 };
    size_t have = 0;
    if (l->announced || l->undoing)
        return;
    for (size_t i = 0; i < l->config->count; i++) {
        if (l->slots[i].down)
            continue;
        if (l->slots[i].pair.instance != INSTANCE_HAVE)
            return;
        have++;
    }
    if (have < l->config->min_count)
        return;
    l->announced = true;
    if (l->config->launched && !l->config->launched(l->config->ctx, &err))
        fail(l, &err);
    for (size_t i = 0; i < l->config->count; i++)
        l->slots[i].announced = !l->slots[i].down;
}

static void time_out(struct launch *l, int64_t now)
{
    AUTO_ERROR err = { 0 };
    size_t waiting = l->config->count;
    if (l->undoing || l->timed_out || now < l->deadline)
        return;
    l->timed_out = true;
    for (size_t i = l->config->count; i-- > 0;) {
        if (!l->slots[i].online && !l->slots[i].down)
            waiting = i;
    }
    if (waiting == l->config->count)
        return; /* those that count are online, the others on their way down */
    const struct launch_slot *s = &l->slots[waiting];
    error_set(&err, ERROR_TIMEOUT, 0, "%s after %lld s",
              s->pair.instance == INSTANCE_HAVE && s->running ? "the instance runs, but its runner did not come online"
              : s->pair.instance == INSTANCE_HAVE             ? "the instance did not start to run"
                                                              : "no instance could be launched",
              (long long)l->config->timeout_s);
    if (s->pair.instance == INSTANCE_HAVE)
        want_console(l, waiting);
    error_clear(&l->error);
    error_move(&l->error, &err);
    for (size_t i = 0; i < l->config->count; i++)
        l->slots[i].down = !l->slots[i].online || l->slots[i].down;
}

/* After a timeout what is not online goes down, but a refused deletion may yet prove it online. Once too few can be,
 * all go down. */
static void judge_timeout(struct launch *l)
{
    size_t hopeful = 0;
    if (!l->timed_out || l->undoing)
        return;
    for (size_t i = 0; i < l->config->count; i++) {
        const struct launch_slot *s = &l->slots[i];
        hopeful += !s->down || (s->pair.instance == INSTANCE_HAVE && has_runner(s));
    }
    if (hopeful < l->config->min_count)
        all_down(l);
}

static void take_signal(struct launch *l, int64_t now)
{
    AUTO_ERROR err = { 0 };
    if (l->hurry_until)
        return;
    l->hurry_until = now + HURRY_MS;
    l->machine.cut_at = now + HURRY_CUT_MS;
    error_set(&err, ERROR_CANCELLED, 0, "interrupted by a signal");
    fail(l, &err);
}

/* How long a call in flight is waited for: after a signal, an end that is under way a little longer, but a deletion
 * not for long when its instance is gone; a signal never makes the time limit longer. */
static int64_t patience(const struct launch *l, const struct launch_slot *s)
{
    const struct pair *p = &s->pair;
    int64_t until = l->end_by;
    if (l->hurry_until) {
        bool ending = p->record == RECORD_DELETING || p->instance == INSTANCE_ENDING;
        until = l->hurry_until + (ending ? HURRY_ENDING_MS : 0);
        if (p->record == RECORD_DELETING && (p->instance == INSTANCE_NONE || p->instance == INSTANCE_GONE))
            until = l->hurry_until - HURRY_MS + HURRY_DELETE_MS;
    }
    return until < l->end_by ? until : l->end_by;
}

static bool is_settled(const struct launch *l, const struct launch_slot *s, int64_t now)
{
    if (now >= patience(l, s))
        return true;
    return s->down ? pair_is_settled(&s->pair) : s->online;
}

static void finish(struct launch *l, int64_t now, struct acts *acts)
{
    bool settled = true;
    for (size_t i = 0; i < l->config->count; i++) {
        if (is_settled(l, &l->slots[i], now))
            continue;
        settled = false;
        wake_at(l, patience(l, &l->slots[i]));
    }
    size_t up = 0;
    for (size_t i = 0; i < l->config->count; i++)
        up += launch_slot_is_up(&l->slots[i]);
    bool over = l->undoing || (settled && up < l->config->min_count) || handover_step(l, settled, now, acts);
    if (!settled || !over)
        return;
    if (l->console_wanted && !l->hurry_until && l->console_asked && now < l->end_by) {
        wake_at(l, l->end_by);
        return;
    }
    if (up == l->config->count)
        error_clear(&l->error); /* it came online while it was being undone */
    l->machine.done = true;
}

static void step(struct machine *m, const struct event *e, struct acts *acts)
{
    struct launch *l = (struct launch *)m;
    if (e->kind == EVENT_START) {
        l->started_at = e->now;
        int64_t kept = l->config->timeout_ms / UNDO_PART;
        l->deadline = e->now + l->config->timeout_ms - (kept < UNDO_MS ? kept : UNDO_MS);
        l->end_by = e->now + l->config->timeout_ms + LAUNCH_OVERTIME_MS;
        m->cut_at = m->give_up = l->deadline - GIVE_UP_MS; /* so that the cause is told, and not the time */
    } else if (e->kind == EVENT_SIGNAL) {
        take_signal(l, e->now);
    } else if (e->kind == EVENT_ANSWER) {
        take_answer(l, e);
    }
    time_out(l, e->now);
    judge_timeout(l);

    m->wake = l->undoing || l->timed_out ? INT64_MAX : l->deadline;
    if (l->console_wanted && !l->console_asked && !l->hurry_until) {
        struct pair *p = &l->slots[l->console_of].pair;
        l->console_asked = true;
        acts_add(acts,
                 (struct act){
                     .kind = ACT_CONSOLE, .who = l->console_of, .region = p->region, .instance_id = p->instance_id });
    }
    for (size_t i = 0; i < l->config->count; i++)
        if (!l->slots[i].down)
            up(l, i, e->now, acts); /* may find that no cell is left, and take slots down */
    announce(l);
    for (size_t i = 0; i < l->config->count; i++)
        if (l->slots[i].down)
            down(l, i, e->now, acts);
    for (size_t i = 0; i < l->n_regions && (l->hurry_until || (!l->undoing && !l->timed_out)); i++)
        look(l, i, e->now, acts);
    if (!l->undoing && !l->timed_out)
        poll_github(l, e->now, acts);
    if (l->undoing && e->now < m->give_up)
        m->give_up = e->now;
    finish(l, e->now, acts);
}

static void render(const struct machine *m, size_t who, struct arena *arena, struct ec2_run *ret)
{
    const struct launch *l = (const struct launch *)m;
    const struct launch_slot *s = &l->slots[who];
    l->config->render(l->config->ctx, slot_cell(l, s), s->pair.name, s->pair.runner_id, s->jit.value, arena, ret);
    ret->client_token = s->pair.client_token;
}

void launch_init(struct launch *l, const struct launch_config *config)
{
    *l = (struct launch){
        .machine = { .step = step,
                     .render = render,
                     .labels = config->labels,
                     .runner_group = config->runner_group,
                     .wake = INT64_MAX },
        .config = config,
        .slots = xcalloc(config->count, sizeof(struct launch_slot)),
        .random = config->seed,
    };
    room_init(&l->room, config->plan);
    l->regions = xcalloc(config->plan->n, sizeof(*l->regions));
    for (size_t i = 0; i < config->plan->n; i++) {
        size_t r = 0;
        while (r < l->n_regions && !str_eq(l->regions[r].name, config->plan->cells[i].region))
            r++;
        if (r == l->n_regions)
            l->regions[l->n_regions++].name = config->plan->cells[i].region;
    }
    handover_init(l);
    for (size_t i = 0; i < config->count; i++) {
        l->slots[i].pair.spare_busy = true;
        l->slots[i].pair.must_fence = config->jobs_may_wait;
    }
}

char *launch_leftovers(const struct launch *l)
{
    AUTO_STRBUF text = STRBUF_INIT;
    for (size_t i = 0; i < l->config->count; i++) {
        const struct launch_slot *s = &l->slots[i];
        const struct pair *p = &s->pair;
        if (!s->down || pair_is_gone(p))
            continue;
        const char *sep = text.len ? "; " : "";
        AUTO_FREE char *why = p->error.domain ? error_format(&p->error) : NULL;
        if (p->record == RECORD_BUSY && p->instance == INSTANCE_HAVE)
            strbuf_addf(&text, "%sinstance %s runs a job and was left alone", sep, p->instance_id);
        else if (p->must_fence && p->record != RECORD_GONE && p->instance == INSTANCE_HAVE)
            strbuf_addf(&text, "%sinstance %s may run a job and was left alone%s%s", sep, p->instance_id,
                        why ? ": " : "", why ? why : "");
        else if (p->instance_id && p->instance != INSTANCE_GONE)
            strbuf_addf(&text, "%sinstance %s%s%s", sep, p->instance_id, why ? ": " : "", why ? why : "");
        else if (p->instance != INSTANCE_NONE && p->instance != INSTANCE_GONE)
            strbuf_addf(&text, "%san instance that may exist (client token %s)%s%s", sep, p->client_token,
                        why ? ": " : "", why ? why : "");
        else
            strbuf_addf(&text, "%srunner %s%s%s", sep, p->name, why ? ": " : "", why ? why : "");
    }
    return text.len ? strbuf_steal(&text) : NULL;
}

/* What a runner ends with that GitHub calls deprecated, where ACTIONS_RUNNER_RETURN_VERSION_DEPRECATED_EXIT_CODE is
 * set. Source: actions/runner, src/Runner.Common/Constants.cs. */
#define RUNNER_DEPRECATED "7"

/* What follows the last `mark` of a console, up to any of `ends`; owned, or NULL. */
static char *last_after(const char *console, const char *mark, const char *ends)
{
    const char *last = NULL;
    for (const char *at = console; at && (at = strstr(at, mark)) != NULL; at++)
        last = at + strlen(mark);
    return last ? xstrndup(last, strcspn(last, ends)) : NULL;
}

char *launch_console_phase(const char *console)
{
    return last_after(console, "mayfly: phase ", " \r\n");
}

char *launch_console_exit(const char *console)
{
    return last_after(console, "mayfly: phase runner-exited ", " \r\n");
}

bool launch_console_is_deprecated(const char *console)
{
    AUTO_FREE char *status = launch_console_exit(console);
    return str_eq(status, RUNNER_DEPRECATED) ||
           (strstr(console, "Runner version v") && strstr(console, "is deprecated and cannot receive messages"));
}

char *launch_console_failure(const char *console)
{
    return last_after(console, "mayfly: failed: ", "\r\n");
}

bool launch_console_is_second_boot(const char *console)
{
    AUTO_FREE char *failure = launch_console_failure(console);
    /* Its own line may not have reached the console. */
    return (failure && str_starts(failure, "second boot")) || strstr(console, "mayfly-guard.service: Failed");
}
