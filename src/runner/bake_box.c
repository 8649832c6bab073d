#include "mayfly/runner/bake_box.h"

#include "mayfly/aws/errors.h"

enum {
    VANISHED_MS = 120000,
    CONSOLE_LAG_MS = 120000, /* a console may be this late after the end */
    NO_ROOM_MS = 60000,      /* the smoke boot is tried again */
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

static void fail(struct bake_box *x, const struct error *why)
{
    error_copy(&x->error, why);
}

/* --- launching ---------------------------------------------------------------------------------------------------- */

static const struct cell *cell_of(const struct bake_box *x)
{
    return &x->config->plan->cells[x->cell];
}

/* The same for a retry of the same attempt in the same cell, another for everything else. */
static void new_client_token(struct bake_box *x)
{
    const struct cell *c = cell_of(x);
    AUTO_FREE char *input = xasprintf("%s\n%s\n%u\n%s\n%s\n%s\n%s", x->config->image.name, boxes[x->role].who,
                                      x->attempt, c->region, c->subnet, c->type, x->image ? x->image : "");
    free(x->pair.client_token);
    x->pair.client_token = bake_client_token(input);
}

/* The image is worth waiting for. */
static void again_in_a_minute(struct bake_box *x, const char *why, int64_t now)
{
    AUTO_FREE char *what = xasprintf("%s; again in a minute", why);
    x->ask_at = now + NO_ROOM_MS;
    x->config->tell(x->config->ctx, boxes[x->role].who, what);
}

static void no_room(struct bake_box *x, const struct event *e)
{
    AUTO_ERROR err = { 0 };
    if (x->role == BAKE_SMOKE) {
        room_clear(&x->room);
        room_init(&x->room, x->config->plan);
        x->cell = 0;
        x->attempt++;
        again_in_a_minute(x, "no cell of the plan has room", e->now);
        return;
    }
    error_copy(&err, e->error);
    error_prefix(&err, "no cell of the plan has room (%zu in it)", x->config->plan->n);
    err.domain = ERROR_CAPACITY;
    err.try_later = err.no_room = true;
    fail(x, &err);
}

static void launched(struct bake_box *x, const struct event *e)
{
    str_set(&x->pair.instance_id, e->instances[0].id);
    x->pair.instance = INSTANCE_HAVE;
    x->pair.young_until = e->now + PAIR_YOUNG_MS;
    x->pair.wait_until = 0;
    x->launched_at = x->seen_at = e->now;
    x->follow_at = e->now + bake_ease(0);
    x->state = EC2_PENDING;
    AUTO_FREE char *what = xasprintf("%s, %s in %s", x->pair.instance_id, cell_of(x)->type, cell_of(x)->subnet);
    x->config->tell(x->config->ctx, boxes[x->role].who, what);
}

/* The smoke boot's image was made a moment ago. */
static void refused(struct bake_box *x, const struct event *e)
{
    AUTO_ERROR err = { 0 };
    if (x->role != BAKE_SMOKE || !aws_is_unseen("RunInstances", e->error)) {
        fail(x, e->error);
        return;
    }
    bool first = x->unseen_until == 0;
    if (bake_is_unseen("RunInstances", e->error, e->now, &x->unseen_until)) {
        AUTO_FREE char *what = xasprintf("%s for the new image; asked again for a minute", e->error->code);
        if (first)
            x->config->tell(x->config->ctx, boxes[x->role].who, what);
        x->ask_at = e->now + UNSEEN_AGAIN_MS;
        return;
    }
    error_copy(&err, e->error);
    str_set(&err.hint, NULL); /* of an image that was named */
    error_hint(&err, "run the bake again: for a minute, EC2 did not find the image that it had just created");
    fail(x, &err);
}

static void answer_run(struct bake_box *x, const struct event *e)
{
    struct pair *p = &x->pair;
    p->instance = INSTANCE_NONE;
    switch (e->outcome) {
    case OUTCOME_OK:
        launched(x, e);
        return;
    case OUTCOME_CAPACITY:
    case OUTCOME_SUBNET_FULL:
    case OUTCOME_QUOTA:
        room_rule_out(&x->room, x->cell, e->outcome);
        if (!x->down && !room_find(&x->room, &x->cell))
            no_room(x, e);
        return;
    case OUTCOME_TOKEN_USED:
        if (++x->attempt >= ATTEMPTS)
            fail(x, e->error);
        return;
    case OUTCOME_AMBIGUOUS:
        pair_lost_launch(p, e);
        if (x->hurry) /* it was waited for */
            p->wait_until = e->now;
        return;
    case OUTCOME_THROTTLED:
        if (x->role == BAKE_SMOKE)
            again_in_a_minute(x, e->error->message, e->now);
        else
            fail(x, e->error);
        return;
    default:
        refused(x, e);
    }
}

static void answer_settle(struct bake_box *x, const struct event *e)
{
    pair_answer(&x->pair, e);
    if (x->pair.instance == INSTANCE_HAVE) {
        launched(x, e);
    } else if (x->pair.instance == INSTANCE_STUCK) {
        AUTO_ERROR err = { 0 };
        error_copy(&err, &x->pair.error);
        error_prefix(&err, "the outcome of RunInstances is unknown");
        fail(x, &err);
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
static void tell_news(struct bake_box *x)
{
    static const char phase[] = "phase ", smoke[] = "smoke ";
    const char *line;
    size_t len;
    for (const char *at = x->console; next_line(&at, &line, &len) && x->told.n < TOLD_MAX;) {
        size_t skip = line_starts(line, len, phase) ? strlen(phase) : line_starts(line, len, smoke) ? strlen(smoke) : 0;
        AUTO_FREE char *news = xstrndup(line + skip, len - skip);
        if (skip == 0 || str_starts(news, "ok ") || strlist_has(&x->told, news))
            continue;
        strlist_add(&x->told, news);
        x->config->tell(x->config->ctx, boxes[x->role].who, news);
    }
}

/* Without its state or its console it cannot be followed; once it is done, that is nothing any more. The next answer
 * may be readable. */
static void lost_sight(struct bake_box *x, const struct event *e)
{
    if (e->outcome != OUTCOME_FAILED || !x->wanted)
        return;
    if (e->error->domain != ERROR_PARSE || e->now - x->seen_at > VANISHED_MS / 2)
        fail(x, e->error);
}

static void answer_console(struct bake_box *x, const struct event *e)
{
    x->reading = false;
    if (e->outcome == OUTCOME_FAILED && !x->old_console && str_eq(e->error->code, "UnsupportedOperation")) {
        x->old_console = true;
        return;
    }
    lost_sight(x, e);
    x->read_late = x->read_late || (x->reading_late && e->outcome == OUTCOME_OK);
    if (e->outcome != OUTCOME_OK || str_empty(e->text))
        return;
    str_set(&x->console, e->text);
    tell_news(x);
}

static void answer_look(struct bake_box *x, const struct event *e)
{
    x->looking = false;
    lost_sight(x, e);
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

void bake_box_answer(struct bake_box *x, const struct event *e)
{
    switch (e->act) {
    case ACT_RUN:
        answer_run(x, e);
        break;
    case ACT_SETTLE:
        answer_settle(x, e);
        break;
    case ACT_LOOK:
        answer_look(x, e);
        break;
    case ACT_CONSOLE:
        answer_console(x, e);
        break;
    default:
        pair_answer(&x->pair, e);
    }
}

static void follow(struct bake_box *x, int64_t now, struct acts *acts, int64_t *wake)
{
    struct pair *p = &x->pair;
    if (now < x->follow_at) {
        bake_wake_at(wake, x->follow_at);
        return;
    }
    x->follow_at = now + bake_ease(now - x->launched_at);
    bake_wake_at(wake, x->follow_at);
    if (!x->looking && x->off_at == 0) {
        x->looking = true;
        acts_add(acts,
                 (struct act){ .kind = ACT_LOOK, .who = x->role, .region = p->region, .instance_id = p->instance_id });
    }
    if (!x->reading && x->state != EC2_PENDING) {
        x->reading = true;
        x->reading_late = x->off_at != 0;
        acts_add(acts, (struct act){ .kind = ACT_CONSOLE,
                                     .who = x->role,
                                     .region = p->region,
                                     .instance_id = p->instance_id,
                                     .old = x->old_console });
    }
}

void bake_box_up(struct bake_box *x, int64_t now, struct acts *acts, int64_t *wake)
{
    struct pair *p = &x->pair;
    if (p->instance == INSTANCE_NONE && now < x->ask_at) {
        bake_wake_at(wake, x->ask_at);
    } else if (p->instance == INSTANCE_NONE) {
        str_set(&p->region, cell_of(x)->region);
        new_client_token(x);
        p->instance = INSTANCE_ASKED;
        acts_add(acts,
                 (struct act){ .kind = ACT_RUN, .who = x->role, .region = p->region, .client_token = p->client_token });
    } else if (p->instance == INSTANCE_UNSURE && now < p->wait_until) {
        bake_wake_at(wake, p->wait_until);
    } else if (p->instance == INSTANCE_UNSURE) {
        p->instance = INSTANCE_LOOKING;
        acts_add(acts, (struct act){
                           .kind = ACT_SETTLE, .who = x->role, .region = p->region, .client_token = p->client_token });
    } else if (p->instance == INSTANCE_HAVE) {
        follow(x, now, acts, wake);
    }
}

void bake_box_init(struct bake_box *x, const struct bake_config *config, enum bake_role role)
{
    *x = (struct bake_box){ .config = config, .role = role };
    room_init(&x->room, config->plan);
}

void bake_box_clear(struct bake_box *x)
{
    pair_clear(&x->pair);
    room_clear(&x->room);
    strlist_clear(&x->told);
    free(x->image);
    free(x->reason);
    free(x->console);
    error_clear(&x->error);
}

/* --- judging ------------------------------------------------------------------------------------------------------ */

/* "failed: docker (exit 100)" of the console, owned, or NULL; its output before it is told. */
static char *find_failure(const struct bake_box *x)
{
    AUTO_FREE char *mark = xasprintf("%s failed: ", boxes[x->role].word);
    AUTO_STRLIST output = { 0 };
    const char *line, *at = x->console;
    size_t len;
    while (at && next_line(&at, &line, &len)) {
        if (line_starts(line, len, "| ")) {
            AUTO_FREE char *text = xstrndup(line, len);
            strlist_add(&output, text);
        } else if (line_starts(line, len, mark)) {
            for (size_t i = output.n > TAIL ? output.n - TAIL : 0; i < output.n; i++)
                x->config->tell(x->config->ctx, boxes[x->role].who, output.v[i]);
            return xstrndup(line + strlen(mark), len - strlen(mark));
        }
    }
    return NULL;
}

bool bake_box_says_done(const struct bake_box *x)
{
    const char *console = x->console;
    AUTO_FREE char *mark = xasprintf("mayfly: %s ok %s", boxes[x->role].word, x->config->nonce);
    return console && strstr(console, mark);
}

static enum box_state failed(struct error *ret_why, const char *role, const char *what)
{
    error_set(ret_why, ERROR_AWS, 0, "%s %s", role, what);
    return BOX_FAILED;
}

enum box_state bake_box_judge(const struct bake_box *x, int64_t now, struct error *ret_why)
{
    const char *label = boxes[x->role].label;
    if (x->pair.instance != INSTANCE_HAVE)
        return BOX_WORKS;
    AUTO_FREE char *failure = find_failure(x);
    if (failure) {
        error_set(ret_why, ERROR_AWS, 0, "%s failed: %s", label, failure);
        error_hint(ret_why, "the lines above are the last that it printed; --verbose prints its whole console");
        return BOX_FAILED;
    }
    /* The builder has to be off as well: only then its disk is whole. */
    if (bake_box_says_done(x) && (x->role == BAKE_SMOKE || x->state == EC2_STOPPED))
        return BOX_DONE;
    if (now - x->seen_at > VANISHED_MS && x->off_at == 0 && !x->looking)
        return failed(ret_why, label, "is no longer visible");
    if (x->off_at == 0)
        return BOX_WORKS;
    if (x->role == BAKE_BUILDER && x->state != EC2_STOPPED) {
        error_set(ret_why, ERROR_AWS, 0, "%s is %s%s%s", label, ec2_state_format(x->state), x->reason ? ": " : "",
                  x->reason ? x->reason : "");
        ret_why->try_later = str_starts(x->reason ? x->reason : "", "Server.");
        return BOX_FAILED;
    }
    if (now - x->off_at < (x->read_late ? CONSOLE_LAG_MS : 2 * CONSOLE_LAG_MS))
        return BOX_WORKS;
    failed(ret_why, label, "powered off without saying that it is done");
    error_hint(ret_why, "look at its console: it crashed, or the recipe powers off");
    return BOX_FAILED;
}
