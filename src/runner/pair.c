#include "mayfly/runner/pair.h"

static void wake_at(int64_t *wake, int64_t when)
{
    if (when < *wake)
        *wake = when;
}

/* Nothing is left to do about the record. */
static bool record_is_settled(const struct pair *p)
{
    return p->record == RECORD_NONE || p->record == RECORD_GONE || p->record == RECORD_BUSY ||
           p->record == RECORD_STUCK;
}

/* The record is out of the way: no job can come any more, or none that we may stop. */
static bool is_fenced(const struct pair *p)
{
    return record_is_settled(p) || (p->refuted && !p->must_fence);
}

static bool is_spared(const struct pair *p)
{
    return (p->record == RECORD_BUSY && p->spare_busy) || (p->record == RECORD_STUCK && p->must_fence);
}

void pair_down_record(struct pair *p, size_t who, int64_t now, struct acts *acts, int64_t *wake)
{
    if (p->record == RECORD_UNSURE && now < p->find_at) {
        wake_at(wake, p->find_at);
    } else if (p->record == RECORD_UNSURE) {
        p->find_at = now;
        acts_add(acts, (struct act){ .kind = ACT_FIND, .who = who, .name = p->name });
        p->record = RECORD_FINDING;
    } else if (p->record == RECORD_HAVE && now < p->delete_at) {
        wake_at(wake, p->delete_at);
    } else if (p->record == RECORD_HAVE) {
        acts_add(acts, (struct act){ .kind = ACT_DELETE, .who = who, .runner_id = p->runner_id });
        p->record = RECORD_DELETING;
        if (p->fence_until == 0)
            p->fence_until = now + PAIR_FENCE_MS;
    }
}

/* Has the fence been waited for long enough? A runner that was never online has no job to lose. */
static bool may_skip_fence(const struct pair *p, int64_t now, int64_t *wake)
{
    int64_t until = p->must_fence ? 0 : p->fence_until;
    if (p->hurry_at && (until == 0 || p->hurry_at < until))
        until = p->hurry_at;
    if (until == 0)
        return false;
    if (now < until) {
        wake_at(wake, until);
        return false;
    }
    return !p->must_fence || now < p->boots_until;
}

void pair_lost_record(struct pair *p, int64_t now)
{
    p->find_until = now + PAIR_FIND_MS;
    p->runner_id = 0;
    p->absences = 0;
    p->refuted = false;
}

void pair_take_record(struct pair *p, int64_t runner_id, int64_t now)
{
    pair_lost_record(p, now);
    p->record = RECORD_HAVE;
    p->runner_id = runner_id;
    p->delete_at = p->fence_until = p->give_up_at = 0;
}

void pair_doubt_record(struct pair *p, int64_t now)
{
    p->record = RECORD_UNSURE;
    p->find_at = now;
}

void pair_saw_record(struct pair *p)
{
    p->absences = 0;
    p->refuted = false;
}

void pair_hurry(struct pair *p, int64_t until)
{
    if (p->hurry_at == 0 || until < p->hurry_at)
        p->hurry_at = until;
}

static void down_instance(struct pair *p, size_t who, int64_t now, struct acts *acts, int64_t *wake)
{
    if (p->instance == INSTANCE_UNSURE) {
        acts_add(acts,
                 (struct act){ .kind = ACT_SETTLE, .who = who, .region = p->region, .client_token = p->client_token });
        p->instance = INSTANCE_LOOKING;
    } else if (p->instance == INSTANCE_HAVE && !is_spared(p) && (is_fenced(p) || may_skip_fence(p, now, wake))) {
        acts_add(acts,
                 (struct act){ .kind = ACT_TERMINATE, .who = who, .region = p->region, .instance_id = p->instance_id });
        p->instance = INSTANCE_ENDING;
    }
}

void pair_down(struct pair *p, size_t who, int64_t now, struct acts *acts, int64_t *wake)
{
    /* What is to be deleted need not be looked for first, and a deletion is refused while a job runs. */
    if (p->record == RECORD_UNSURE && p->runner_id && !p->refuted)
        p->record = RECORD_HAVE;
    pair_down_record(p, who, now, acts, wake);
    if (p->instance != INSTANCE_UNSURE && p->instance != INSTANCE_HAVE)
        return;
    if (now < p->wait_until)
        wake_at(wake, p->wait_until);
    else
        down_instance(p, who, now, acts, wake);
}

static void keep_error(struct pair *p, const struct error *err)
{
    if (err && p->error.domain == ERROR_NONE)
        error_copy(&p->error, err);
}

void pair_lost_launch(struct pair *p, const struct event *e)
{
    p->instance = INSTANCE_UNSURE;
    p->unsure_until = e->now + PAIR_UNSURE_MS;
    p->wait_until = e->now + PAIR_LOOK_MS;
    keep_error(p, e->error);
}

/* Where no job can be lost, one search beside the refused deletion is enough. */
bool pair_is_absent(const struct pair *p)
{
    return p->absences >= (p->must_fence || !p->refuted ? PAIR_ABSENCES : 1);
}

static void answer_find(struct pair *p, const struct event *e)
{
    bool proves = p->find_at >= p->find_until;
    p->absences += proves && e->outcome == OUTCOME_OK && e->n_runners == 0;
    if (e->outcome == OUTCOME_OK && e->n_runners > 0) {
        p->runner_id = e->runners[0].id;
        p->record = RECORD_HAVE;
        pair_saw_record(p);
    } else if (p->runner_id && !p->refuted && (e->outcome != OUTCOME_OK || pair_is_absent(p))) {
        p->record = RECORD_HAVE; /* its deletion has the last word */
    } else if (pair_is_absent(p)) {
        p->record = RECORD_GONE;
    } else if (e->outcome == OUTCOME_OK || !proves) {
        p->record = RECORD_UNSURE;
        p->find_at = e->now + PAIR_LOOK_MS;
    } else if (e->outcome == OUTCOME_NOT_FOUND && !p->must_fence) {
        p->record = RECORD_GONE;
    } else {
        p->record = RECORD_STUCK;
        keep_error(p, e->error);
    }
}

static bool has_patience(struct pair *p, int64_t now)
{
    if (p->give_up_at == 0)
        p->give_up_at = now + PAIR_PATIENCE_MS;
    return now < p->give_up_at;
}

/* Is it worth asking again? What is left behind costs money. */
static bool may_try_again(struct pair *p, const struct event *e)
{
    return has_patience(p, e->now) && (e->outcome == OUTCOME_THROTTLED || e->outcome == OUTCOME_AMBIGUOUS);
}

static void answer_delete(struct pair *p, const struct event *e)
{
    bool absent = e->outcome == OUTCOME_NOT_FOUND;
    if (e->outcome == OUTCOME_OK || (absent && pair_is_absent(p))) {
        p->record = RECORD_GONE;
    } else if (absent && !p->name && !p->must_fence) {
        p->record = RECORD_GONE;
    } else if (absent && p->name && has_patience(p, e->now)) {
        p->refuted = true;
        pair_doubt_record(p, e->now);
    } else if (e->outcome == OUTCOME_BUSY) {
        p->record = RECORD_BUSY;
    } else if (may_try_again(p, e)) {
        p->record = RECORD_HAVE;
        p->delete_at = e->now + PAIR_LOOK_MS;
    } else {
        p->record = RECORD_STUCK;
        keep_error(p, e->error);
    }
}

static void answer_settle(struct pair *p, const struct event *e)
{
    if (e->outcome == OUTCOME_OK && e->n_instances > 0) {
        str_set(&p->instance_id, e->instances[0].id);
        p->instance = INSTANCE_HAVE;
        error_clear(&p->error); /* of the lost answer */
    } else if (e->now < p->unsure_until) {
        p->instance = INSTANCE_UNSURE;
        p->wait_until = e->now + PAIR_LOOK_MS;
    } else { /* an empty answer is never proof */
        p->instance = INSTANCE_STUCK;
        keep_error(p, e->error);
    }
}

static void answer_terminate(struct pair *p, const struct event *e)
{
    if (e->outcome == OUTCOME_OK) {
        p->instance = INSTANCE_GONE;
    } else if (e->outcome == OUTCOME_NOT_FOUND && e->now < p->young_until) {
        p->instance = INSTANCE_HAVE;
        p->wait_until = e->now + PAIR_LOOK_MS;
    } else if (e->outcome == OUTCOME_NOT_FOUND) {
        p->instance = INSTANCE_GONE;
    } else if (may_try_again(p, e)) {
        p->instance = INSTANCE_HAVE;
        p->wait_until = e->now + PAIR_LOOK_MS;
    } else {
        p->instance = INSTANCE_STUCK;
        keep_error(p, e->error);
    }
}

void pair_answer(struct pair *p, const struct event *e)
{
    switch (e->act) {
    case ACT_FIND:
        answer_find(p, e);
        break;
    case ACT_DELETE:
        answer_delete(p, e);
        break;
    case ACT_SETTLE:
        answer_settle(p, e);
        break;
    case ACT_TERMINATE:
        answer_terminate(p, e);
        break;
    default:
        break;
    }
}

bool pair_is_settled(const struct pair *p)
{
    bool instance_settled = p->instance == INSTANCE_NONE || p->instance == INSTANCE_GONE ||
                            p->instance == INSTANCE_STUCK || (p->instance == INSTANCE_HAVE && is_spared(p));
    return record_is_settled(p) && instance_settled;
}

bool pair_is_gone(const struct pair *p)
{
    return (p->record == RECORD_NONE || p->record == RECORD_GONE) &&
           (p->instance == INSTANCE_NONE || p->instance == INSTANCE_GONE);
}

void pair_clear(struct pair *p)
{
    free(p->name);
    free(p->region);
    free(p->instance_id);
    free(p->client_token);
    error_clear(&p->error);
    *p = (struct pair){ 0 };
}
