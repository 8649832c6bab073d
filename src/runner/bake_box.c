#include "mayfly/runner/bake_box.h"

#include "mayfly/aws/errors.h"
#include "mayfly/crypto/crypto.h"
#include "mayfly/runner/bake.h"

enum {
    EASE_MIN_MS = 300,
    EASE_MAX_MS = 10000,
    VANISHED_MS = 120000,
    CONSOLE_LAG_MS = 120000, /* a console may be this late after the end */
    NO_ROOM_MS = 60000,      /* the smoke boot is tried again */
    UNSEEN_MS = 60000,       /* what was made a moment ago may be unknown to a part of EC2 so long */
    UNSEEN_AGAIN_MS = 5000,
    ATTEMPTS = 5,
    TOLD_MAX = 500,
    TAIL = 30, /* lines of output of a step that failed */
};

static const struct {
    const char *who, *label, *word; /* word: of the console's last lines */
} boxes[] = {
    [BAKE_BUILDER] = { "builder", "the builder", "bake" },
    [BAKE_SMOKE] = { "smoke", "the smoke boot", "smoke" },
};

int64_t bake_ease(int64_t passed)
{
    return passed / 10 < EASE_MIN_MS ? EASE_MIN_MS : passed / 10 > EASE_MAX_MS ? EASE_MAX_MS : passed / 10;
}

bool bake_is_unseen(const char *call, const struct error *err, int64_t now, int64_t *until)
{
    if (!aws_is_unseen(call, err))
        return false;
    if (*until == 0)
        *until = now + UNSEEN_MS;
    return now < *until;
}

static void wake_at(struct bake *b, int64_t when)
{
    if (when < b->machine.wake)
        b->machine.wake = when;
}

/* --- launching ---------------------------------------------------------------------------------------------------- */

static const struct cell *cell_of(const struct bake *b, const struct bake_box *x)
{
    return &b->config->plan->cells[x->cell];
}

/* The same for a retry of the same attempt in the same cell, another for everything else. */
static void new_client_token(struct bake *b, enum bake_role role)
{
    struct bake_box *x = &b->boxes[role];
    const struct cell *c = cell_of(b, x);
    AUTO_FREE char *input = xasprintf("%s\n%s\n%u\n%s\n%s\n%s\n%s", b->config->image.name, boxes[role].who, x->attempt,
                                      c->region, c->subnet, c->type, b->home->image.id ? b->home->image.id : "");
    AUTO_STRBUF token = STRBUF_INIT;
    crypto_sha256_hex(&token, input, strlen(input));
    strbuf_truncate(&token, 40);
    free(x->pair.client_token);
    x->pair.client_token = xasprintf("mf-%s", strbuf_str(&token));
}

/* The image is worth waiting for. */
static void again_in_a_minute(struct bake *b, enum bake_role role, const char *why, int64_t now)
{
    AUTO_FREE char *what = xasprintf("%s; again in a minute", why);
    b->boxes[role].ask_at = now + NO_ROOM_MS;
    b->config->tell(b->config->ctx, boxes[role].who, what);
}

static void no_room(struct bake *b, enum bake_role role, const struct event *e)
{
    struct bake_box *x = &b->boxes[role];
    AUTO_ERROR err = { 0 };
    if (role == BAKE_SMOKE) {
        room_clear(&x->room);
        room_init(&x->room, b->config->plan);
        x->cell = 0;
        x->attempt++;
        again_in_a_minute(b, role, "no cell of the plan has room", e->now);
        return;
    }
    error_copy(&err, e->error);
    error_prefix(&err, "no cell of the plan has room (%zu in it)", b->config->plan->n);
    err.domain = ERROR_CAPACITY;
    err.try_later = err.no_room = true;
    bake_fail(b, &err);
}

static void launched(struct bake *b, enum bake_role role, const struct event *e)
{
    struct bake_box *x = &b->boxes[role];
    str_set(&x->pair.instance_id, e->instances[0].id);
    x->pair.instance = INSTANCE_HAVE;
    x->pair.young_until = e->now + PAIR_YOUNG_MS;
    x->pair.wait_until = 0;
    x->launched_at = x->seen_at = e->now;
    x->follow_at = e->now + EASE_MIN_MS;
    x->state = EC2_PENDING;
    AUTO_FREE char *what = xasprintf("%s, %s in %s", x->pair.instance_id, cell_of(b, x)->type, cell_of(b, x)->subnet);
    b->config->tell(b->config->ctx, boxes[role].who, what);
}

/* The smoke boot's image was made a moment ago. */
static void refused(struct bake *b, enum bake_role role, const struct event *e)
{
    struct bake_box *x = &b->boxes[role];
    AUTO_ERROR err = { 0 };
    if (role != BAKE_SMOKE || !aws_is_unseen("RunInstances", e->error)) {
        bake_fail(b, e->error);
        return;
    }
    bool first = x->unseen_until == 0;
    if (bake_is_unseen("RunInstances", e->error, e->now, &x->unseen_until)) {
        AUTO_FREE char *what = xasprintf("%s for the new image; asked again for a minute", e->error->code);
        if (first)
            b->config->tell(b->config->ctx, boxes[role].who, what);
        x->ask_at = e->now + UNSEEN_AGAIN_MS;
        return;
    }
    error_copy(&err, e->error);
    str_set(&err.hint, NULL); /* of an image that was named */
    error_hint(&err, "bake again: EC2 did not see the image that it had just made, for a minute");
    bake_fail(b, &err);
}

static void answer_run(struct bake *b, enum bake_role role, const struct event *e)
{
    struct bake_box *x = &b->boxes[role];
    struct pair *p = &x->pair;
    p->instance = INSTANCE_NONE;
    switch (e->outcome) {
    case OUTCOME_OK:
        launched(b, role, e);
        return;
    case OUTCOME_CAPACITY:
    case OUTCOME_SUBNET_FULL:
    case OUTCOME_QUOTA:
        room_rule_out(&x->room, x->cell, e->outcome);
        if (!x->down && !room_find(&x->room, &x->cell))
            no_room(b, role, e);
        return;
    case OUTCOME_TOKEN_USED:
        if (++x->attempt >= ATTEMPTS)
            bake_fail(b, e->error);
        return;
    case OUTCOME_AMBIGUOUS:
        pair_lost_launch(p, e);
        if (b->hurry_until) /* it was waited for */
            p->wait_until = e->now;
        return;
    case OUTCOME_THROTTLED:
        if (role == BAKE_SMOKE)
            again_in_a_minute(b, role, e->error->message, e->now);
        else
            bake_fail(b, e->error);
        return;
    default:
        refused(b, role, e);
    }
}

static void answer_settle(struct bake *b, enum bake_role role, const struct event *e)
{
    struct bake_box *x = &b->boxes[role];
    pair_answer(&x->pair, e);
    if (x->pair.instance == INSTANCE_HAVE) {
        launched(b, role, e);
    } else if (x->pair.instance == INSTANCE_STUCK) {
        AUTO_ERROR err = { 0 };
        error_copy(&err, &x->pair.error);
        error_prefix(&err, "the outcome of RunInstances is unknown");
        bake_fail(b, &err);
    }
}

/* --- following ---------------------------------------------------------------------------------------------------- */

/* What the next line of ours says, if it has ended with a line break; false at the end. Others may have written before
 * it: a login prompt has no end. */
static bool next_line(const char **at, const char **ret, size_t *ret_len)
{
    static const char ours[] = "mayfly: ";
    const char *begin = strstr(*at, ours), *end = begin ? strchr(begin, '\n') : NULL;
    if (!end)
        return false;
    *ret = begin + strlen(ours);
    *ret_len = (size_t)(end - *ret);
    while (*ret_len > 0 && (*ret)[*ret_len - 1] == '\r')
        --*ret_len;
    *at = end + 1;
    return true;
}

static bool line_starts(const char *line, size_t len, const char *prefix)
{
    return len >= strlen(prefix) && memcmp(line, prefix, strlen(prefix)) == 0;
}

/* Tells the phases, and the smoke boot's findings, each once: a console keeps its last 64 KB. */
static void tell_news(struct bake *b, enum bake_role role)
{
    static const char phase[] = "phase ", smoke[] = "smoke ";
    struct bake_box *x = &b->boxes[role];
    const char *line;
    size_t len;
    for (const char *at = x->console; next_line(&at, &line, &len) && x->told.n < TOLD_MAX;) {
        size_t skip = line_starts(line, len, phase) ? strlen(phase) : line_starts(line, len, smoke) ? strlen(smoke) : 0;
        AUTO_FREE char *news = xstrndup(line + skip, len - skip);
        if (skip == 0 || str_starts(news, "ok ") || strlist_has(&x->told, news))
            continue;
        strlist_add(&x->told, news);
        b->config->tell(b->config->ctx, boxes[role].who, news);
    }
}

/* Without its state or its console it cannot be followed; once it is done, that is nothing any more. The next answer
 * may be readable. */
static void lost_sight(struct bake *b, enum bake_role role, const struct event *e)
{
    if (e->outcome != OUTCOME_FAILED || b->phase != (role == BAKE_BUILDER ? BAKE_BUILD : BAKE_PROVE))
        return;
    if (e->error->domain != ERROR_PARSE || e->now - b->boxes[role].seen_at > VANISHED_MS / 2)
        bake_fail(b, e->error);
}

static void answer_console(struct bake *b, enum bake_role role, const struct event *e)
{
    struct bake_box *x = &b->boxes[role];
    x->reading = false;
    if (e->outcome == OUTCOME_FAILED && !x->old_console && str_eq(e->error->code, "UnsupportedOperation")) {
        x->old_console = true;
        return;
    }
    lost_sight(b, role, e);
    x->read_late = x->read_late || (x->reading_late && e->outcome == OUTCOME_OK);
    if (e->outcome != OUTCOME_OK || str_empty(e->text))
        return;
    str_set(&x->console, e->text);
    tell_news(b, role);
}

static void answer_look(struct bake *b, enum bake_role role, const struct event *e)
{
    struct bake_box *x = &b->boxes[role];
    x->looking = false;
    lost_sight(b, role, e);
    if (e->outcome != OUTCOME_OK && e->outcome != OUTCOME_FAILED) /* nobody said that it is not there */
        x->seen_at = e->now;
    for (size_t i = 0; e->outcome == OUTCOME_OK && i < e->n_instances; i++) {
        const struct ec2_instance *found = &e->instances[i];
        if (!str_eq(found->id, x->pair.instance_id))
            continue;
        x->seen_at = e->now;
        x->state = ec2_instance_state(found);
        str_set(&x->reason, found->reason_message ? found->reason_message : found->reason_code);
    }
    bool off = x->state == EC2_STOPPED || x->state == EC2_SHUTTING_DOWN || x->state == EC2_TERMINATED;
    if (off && x->off_at == 0) {
        x->off_at = e->now;
        x->follow_at = e->now; /* for its last words */
    }
}

void bake_box_answer(struct bake *b, enum bake_role role, const struct event *e)
{
    switch (e->act) {
    case ACT_RUN:
        answer_run(b, role, e);
        break;
    case ACT_SETTLE:
        answer_settle(b, role, e);
        break;
    case ACT_LOOK:
        answer_look(b, role, e);
        break;
    case ACT_CONSOLE:
        answer_console(b, role, e);
        break;
    default:
        pair_answer(&b->boxes[role].pair, e);
    }
}

static void follow(struct bake *b, enum bake_role role, int64_t now, struct acts *acts)
{
    struct bake_box *x = &b->boxes[role];
    struct pair *p = &x->pair;
    if (now < x->follow_at) {
        wake_at(b, x->follow_at);
        return;
    }
    x->follow_at = now + bake_ease(now - x->launched_at);
    wake_at(b, x->follow_at);
    if (!x->looking && x->off_at == 0) {
        x->looking = true;
        acts_add(acts,
                 (struct act){ .kind = ACT_LOOK, .who = role, .region = p->region, .instance_id = p->instance_id });
    }
    if (!x->reading && x->state != EC2_PENDING) {
        x->reading = true;
        x->reading_late = x->off_at != 0;
        acts_add(acts, (struct act){ .kind = ACT_CONSOLE,
                                     .who = role,
                                     .region = p->region,
                                     .instance_id = p->instance_id,
                                     .old = x->old_console });
    }
}

void bake_box_up(struct bake *b, enum bake_role role, int64_t now, struct acts *acts)
{
    struct bake_box *x = &b->boxes[role];
    struct pair *p = &x->pair;
    if (p->instance == INSTANCE_NONE && now < x->ask_at) {
        wake_at(b, x->ask_at);
    } else if (p->instance == INSTANCE_NONE) {
        str_set(&p->region, cell_of(b, x)->region);
        new_client_token(b, role);
        p->instance = INSTANCE_ASKED;
        acts_add(acts,
                 (struct act){ .kind = ACT_RUN, .who = role, .region = p->region, .client_token = p->client_token });
    } else if (p->instance == INSTANCE_UNSURE && now < p->wait_until) {
        wake_at(b, p->wait_until);
    } else if (p->instance == INSTANCE_UNSURE) {
        p->instance = INSTANCE_LOOKING;
        acts_add(acts,
                 (struct act){ .kind = ACT_SETTLE, .who = role, .region = p->region, .client_token = p->client_token });
    } else if (p->instance == INSTANCE_HAVE) {
        follow(b, role, now, acts);
    }
}

/* --- judging ------------------------------------------------------------------------------------------------------ */

/* "failed: docker (exit 100)" of the console, owned, or NULL; its output before it is told. */
static char *find_failure(struct bake *b, enum bake_role role)
{
    AUTO_FREE char *mark = xasprintf("%s failed: ", boxes[role].word);
    AUTO_STRLIST output = { 0 };
    const char *line, *at = b->boxes[role].console;
    size_t len;
    while (at && next_line(&at, &line, &len)) {
        if (line_starts(line, len, "| ")) {
            AUTO_FREE char *text = xstrndup(line, len);
            strlist_add(&output, text);
        } else if (line_starts(line, len, mark)) {
            for (size_t i = output.n > TAIL ? output.n - TAIL : 0; i < output.n; i++)
                b->config->tell(b->config->ctx, boxes[role].who, output.v[i]);
            return xstrndup(line + strlen(mark), len - strlen(mark));
        }
    }
    return NULL;
}

bool bake_box_says_done(const struct bake *b, enum bake_role role)
{
    const char *console = b->boxes[role].console;
    AUTO_FREE char *mark = xasprintf("mayfly: %s ok %s", boxes[role].word, b->config->nonce);
    return console && strstr(console, mark);
}

static enum box_state failed(struct error *ret_why, const char *role, const char *what)
{
    error_set(ret_why, ERROR_AWS, 0, "%s %s", role, what);
    return BOX_FAILED;
}

enum box_state bake_box_judge(struct bake *b, enum bake_role role, int64_t now, struct error *ret_why)
{
    struct bake_box *x = &b->boxes[role];
    const char *label = boxes[role].label;
    if (x->pair.instance != INSTANCE_HAVE)
        return BOX_WORKS;
    AUTO_FREE char *failure = find_failure(b, role);
    if (failure) {
        error_set(ret_why, ERROR_AWS, 0, "%s failed: %s", label, failure);
        error_hint(ret_why,
                   "the lines above are the end of what it printed; --verbose prints everything on its console");
        return BOX_FAILED;
    }
    /* The builder has to be off as well: only then its disk is whole. */
    if (bake_box_says_done(b, role) && (role == BAKE_SMOKE || x->state == EC2_STOPPED))
        return BOX_DONE;
    if (now - x->seen_at > VANISHED_MS && x->off_at == 0 && !x->looking)
        return failed(ret_why, label, "is no longer visible");
    if (x->off_at == 0)
        return BOX_WORKS;
    if (role == BAKE_BUILDER && x->state != EC2_STOPPED) {
        error_set(ret_why, ERROR_AWS, 0, "%s is %s%s%s", label, ec2_state_format(x->state), x->reason ? ": " : "",
                  x->reason ? x->reason : "");
        ret_why->try_later = str_starts(x->reason ? x->reason : "", "Server.");
        return BOX_FAILED;
    }
    if (now - x->off_at < (x->read_late ? CONSOLE_LAG_MS : 2 * CONSOLE_LAG_MS))
        return BOX_WORKS;
    failed(ret_why, label, "powered off without saying that it is done");
    error_hint(ret_why, "a crash, or a recipe that powers off: its console is what there is to look at");
    return BOX_FAILED;
}
