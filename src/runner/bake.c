#include "mayfly/runner/bake.h"

enum {
    HURRY_MS = 6500,     /* after a signal; GitHub kills after 10 s */
    HURRY_CUT_MS = 2000, /* and RunInstances not waited for any longer, but its instance looked for */
    GIVE_UP_MS = 500,
};

bool bake_is_proven(const struct bake *b)
{
    return bake_region_is_kept(b->home);
}

/* It cannot go on: the first reason is kept, and what is not proven is undone. */
static void fail(struct bake *b, const struct error *why)
{
    if (b->error.domain == ERROR_NONE)
        error_copy(&b->error, why);
    bake_region_fail(b->home, why);
}

static bool is_over(const struct bake *b)
{
    return b->error.domain != ERROR_NONE || b->home->phase == REGION_DONE;
}

static bool follow_box(struct bake *b, enum bake_role role, int64_t now)
{
    AUTO_ERROR why = { 0 };
    enum box_state state = bake_box_judge(&b->boxes[role], now, &why);
    if (state == BOX_FAILED)
        fail(b, &why);
    return state == BOX_DONE;
}

/* From the proven image, also where the home region comes to nothing now. True: they begin. */
static bool begin_copies(struct bake *b, int64_t now)
{
    if (!bake_is_proven(b) || b->hurry_until || b->n_regions == 1 || b->regions[1].phase != REGION_IDLE)
        return false;
    for (size_t i = 1; i < b->n_regions; i++)
        bake_region_make(&b->regions[i], b->home->image.id, now);
    b->machine.give_up = now + b->config->copy_timeout_ms - GIVE_UP_MS;
    return true;
}

/* True: another phase begins. */
static bool advance(struct bake *b, int64_t now)
{
    enum bake_phase before = b->phase;
    if (b->home->error.domain != ERROR_NONE)
        fail(b, &b->home->error);
    if (begin_copies(b, now))
        return true;
    if (is_over(b))
        return false;
    switch (b->phase) {
    case BAKE_BUILD:
        if (!follow_box(b, BAKE_BUILDER, now))
            break;
        bake_region_make(b->home, b->boxes[BAKE_BUILDER].pair.instance_id, now);
        b->boxes[BAKE_BUILDER].wanted = false;
        b->phase = BAKE_IMAGE;
        break;
    case BAKE_IMAGE:
        if (b->home->phase != REGION_MADE)
            break;
        b->boxes[BAKE_BUILDER].down = true;
        b->boxes[BAKE_SMOKE].wanted = true;
        str_set(&b->boxes[BAKE_SMOKE].image, b->home->image.id);
        b->phase = BAKE_PROVE;
        break;
    case BAKE_PROVE:
        if (b->config->smoke && !follow_box(b, BAKE_SMOKE, now))
            break;
        b->boxes[BAKE_SMOKE].down = true;
        b->boxes[BAKE_SMOKE].wanted = false;
        bake_region_keep(b->home);
        b->phase = BAKE_SPREAD;
        break;
    case BAKE_SPREAD:
        break;
    }
    return b->phase != before;
}

static void take_answer_of_box(struct bake *b, struct bake_box *x, const struct event *e)
{
    bake_box_answer(x, e);
    if (x->error.domain == ERROR_NONE)
        return;
    fail(b, &x->error);
    error_clear(&x->error);
}

static void take_answer(struct bake *b, const struct event *e)
{
    switch (e->act) {
    case ACT_RUN:
    case ACT_SETTLE:
    case ACT_LOOK:
    case ACT_CONSOLE:
    case ACT_TERMINATE:
        take_answer_of_box(b, &b->boxes[e->who], e);
        break;
    default:
        bake_region_answer(&b->regions[e->part], e);
    }
}

static void take_signal(struct bake *b, int64_t now)
{
    AUTO_ERROR err = { 0 };
    if (b->hurry_until)
        return;
    b->hurry_until = now + HURRY_MS;
    for (size_t i = 0; i < BAKE_BOXES; i++)
        b->boxes[i].hurry = true;
    b->machine.give_up = now;
    b->machine.cut_at = now + HURRY_CUT_MS;
    error_set(&err, ERROR_CANCELLED, 0, "interrupted by a signal");
    if (bake_is_proven(b) && bake_region_is_named(b->home) && !b->home->published)
        error_hint(&err, "the image %s is proven and stays, and %s may name it", b->home->image.id,
                   b->config->parameter);
    else if (bake_is_proven(b))
        error_hint(&err, "the image %s is proven and stays", b->home->image.id);
    fail(b, &err);
    for (size_t i = 0; i < b->n_regions; i++) {
        bake_region_hurry(&b->regions[i], b->hurry_until);
        if (b->regions[i].phase != REGION_IDLE)
            bake_region_fail(&b->regions[i], &err);
    }
}

static void time_out(struct bake *b, int64_t now)
{
    static const char *const waits[] = { "the builder is not done", "the image is not available",
                                         "the smoke boot is not done" };
    AUTO_ERROR err = { 0 };
    if (is_over(b) || b->phase == BAKE_SPREAD || now < b->deadline)
        return;
    const struct strlist *told = &b->boxes[b->phase == BAKE_PROVE ? BAKE_SMOKE : BAKE_BUILDER].told;
    bool stays_up = b->phase == BAKE_BUILD && bake_box_says_done(&b->boxes[BAKE_BUILDER]);
    error_set(&err, ERROR_TIMEOUT, 0, "%s after %lld s%s%s",
              stays_up ? "the builder says that it is done, and is not stopped" : waits[b->phase],
              (long long)b->config->timeout_s, told->n ? "; it came to " : "", told->n ? told->v[told->n - 1] : "");
    if (stays_up)
        error_hint(&err, "run the bake again: its system did not power off, or EC2 did not notice");
    error_hint(&err, "give more time with --bake-timeout, or a larger type with --types");
    fail(b, &err);
}

static void work_boxes(struct bake *b, int64_t now, struct acts *acts)
{
    for (size_t i = 0; i < BAKE_BOXES; i++) {
        struct bake_box *x = &b->boxes[i];
        if (x->down || is_over(b))
            pair_down(&x->pair, i, now, acts, &b->machine.wake);
        else if (x->wanted)
            bake_box_up(x, now, acts, &b->machine.wake);
    }
}

static bool is_settled(const struct bake *b)
{
    for (size_t i = 0; i < BAKE_BOXES; i++)
        if (!pair_is_settled(&b->boxes[i].pair))
            return false;
    for (size_t i = 0; i < b->n_regions; i++)
        if (!bake_region_is_settled(&b->regions[i]))
            return false;
    return is_over(b);
}

static void step(struct machine *m, const struct event *e, struct acts *acts)
{
    struct bake *b = (struct bake *)m;
    if (e->kind == EVENT_START) {
        b->deadline = e->now + b->config->timeout_ms;
        m->give_up = b->deadline - GIVE_UP_MS;
    } else if (e->kind == EVENT_SIGNAL) {
        take_signal(b, e->now);
    } else if (e->kind == EVENT_ANSWER || e->kind == EVENT_PAGE) {
        take_answer(b, e);
    }
    m->wake = INT64_MAX;
    do
        for (size_t i = 0; i < b->n_regions; i++)
            bake_region_advance(&b->regions[i], e->now, acts, &m->wake);
    while (advance(b, e->now));
    time_out(b, e->now); /* after what has just come */
    work_boxes(b, e->now, acts);
    for (size_t i = 0; i < b->n_regions; i++)
        bake_region_end(&b->regions[i], e->now, acts, &m->wake);
    if (!is_over(b) && b->phase != BAKE_SPREAD)
        bake_wake_at(&m->wake, b->deadline);
    if (b->hurry_until)
        bake_wake_at(&m->wake, b->hurry_until);
    m->done = is_settled(b) || (b->hurry_until && e->now >= b->hurry_until);
}

static void render(const struct machine *m, size_t who, struct arena *arena, struct ec2_run *ret)
{
    const struct bake *b = (const struct bake *)m;
    const struct bake_box *x = &b->boxes[who];
    b->config->render(b->config->ctx, (enum bake_role)who, &b->config->plan->cells[x->cell], x->image, arena, ret);
    ret->client_token = x->pair.client_token;
}

void bake_init(struct bake *b, const struct bake_config *config)
{
    *b = (struct bake){ .machine = { .step = step, .render = render, .wake = INT64_MAX }, .config = config };
    for (size_t i = 0; i < BAKE_BOXES; i++)
        bake_box_init(&b->boxes[i], config, (enum bake_role)i);
    b->boxes[BAKE_BUILDER].wanted = true;
    b->n_regions = 1 + (config->copies ? config->copies->n : 0);
    b->regions = b->home = xcalloc(b->n_regions, sizeof(*b->regions));
    for (size_t i = 0; i < b->n_regions; i++)
        bake_region_init(&b->regions[i], config, i);
}

void bake_clear(struct bake *b)
{
    for (size_t i = 0; i < BAKE_BOXES; i++)
        bake_box_clear(&b->boxes[i]);
    for (size_t i = 0; i < b->n_regions; i++)
        bake_region_clear(&b->regions[i]);
    free(b->regions);
    error_clear(&b->error);
    *b = (struct bake){ 0 };
}

char *bake_leftovers(const struct bake *b)
{
    AUTO_STRBUF text = STRBUF_INIT;
    for (size_t i = 0; i < BAKE_BOXES; i++) {
        const struct pair *p = &b->boxes[i].pair;
        if (pair_is_gone(p))
            continue;
        if (p->instance_id)
            bake_add_leftover(&text, "instance", p->instance_id, &p->error);
        else
            bake_add_leftover(&text, "an instance that may exist, client token", p->client_token, &p->error);
    }
    for (size_t i = 0; i < b->n_regions; i++)
        bake_region_leftovers(&b->regions[i], &text);
    return text.len ? strbuf_steal(&text) : NULL;
}
