/* The bake against a small cloud with a clock of its own: every action may fail in every way, and a signal may come at
 * any of them. And the payload, run by a shell. */
#include "mayfly/runner/bake.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mayfly/codec/gzip.h"
#include "mayfly/runner/payload.h"
#include "mayfly/runner/tags.h"
#include "testing.h"

/* --- the cloud ------------------------------------------------------------------------------------------------------
 */

#define NONCE "abcdefghijklmnopqrstuvwxyz"
#define NAME "mayfly-x-20231114221320-abcdef"
#define EPOCH "2023-11-14T22:13:20Z"
#define DEPRECATED_AT "2023-11-15T22:15:00Z" /* NOW, a day, and up to two minutes */
enum {
    NOW = 1700000000,
    BUILD_MS = 60000,
    SMOKE_MS = 20000,
    IMAGE_MS = 20000,
    TIMEOUT_MS = 3600000,
    DEPRECATE_AFTER = 86400
};

struct machine_of { /* what EC2 has of a builder or a smoke boot */
    bool exists, ended;
    int64_t launched;
    char token[64];
};

enum builder_way {
    WAY_WELL,
    WAY_FAILS,       /* a step fails */
    WAY_SILENT,      /* powers off without a word */
    WAY_WRONG_NONCE, /* somebody else's word */
    WAY_HANGS,
    WAY_WORD_ALONE, /* says that it is done and stays up */
    WAY_GONE,       /* is terminated under our feet */
};

struct world {
    struct bake b;
    struct bake_config config;
    struct plan plan;
    struct cell cells[3];
    struct image source;
    struct strlist groups, share;
    struct acts queue;
    struct arena arena;
    struct strbuf log, told;
    int64_t now;
    struct machine_of boxes[BAKE_BOXES];
    enum builder_way ways[BAKE_BOXES];
    bool image, limited, shared, image_fails, image_lags;
    size_t snapshots;
    int64_t image_at;
    const char *parameter, *previous;
    struct ec2_leftover old[7];
    size_t n_old;
    const char *used; /* an old image that an instance runs */
    size_t n;         /* actions so far */
    size_t fault_at;  /* from 1; 0: none */
    enum outcome fault;
    const char *fault_code;
    bool fault_has_effect, fault_for_ever;
    enum act_kind fault_kind, no_room; /* fault_kind: of fault_for_ever */
    size_t rooms;                      /* RunInstances that find none */
    size_t signal_at;
    int64_t signalled;
};

static void tell(void *ctx, const char *who, const char *what)
{
    struct world *w = ctx;
    strbuf_addf(&w->told, "%s: %s\n", who, what);
}

static void render(void *ctx, enum bake_role role, const struct cell *cell, const char *image,
                   struct arena *arena UNUSED, struct ec2_run *ret)
{
    struct world *w = ctx;
    ck_assert(w->image || role == BAKE_BUILDER);
    *ret = (struct ec2_run){ .region = cell->region, .type = cell->type, .image = image };
}

static void world_init(struct world *w)
{
    *w = (struct world){ .log = STRBUF_INIT, .told = STRBUF_INIT, .now = 1000, .snapshots = 0 };
    w->source = (struct image){ .id = "ami-source" };
    for (size_t i = 0; i < ARRAY_SIZE(w->cells); i++)
        w->cells[i] = (struct cell){ .region = "r",
                                     .subnet = i == 2 ? "s2" : "s1",
                                     .type = i ? "m7i.large" : "c7i.large",
                                     .image = &w->source,
                                     .security_groups = &w->groups };
    w->plan = (struct plan){ .cells = w->cells, .n = ARRAY_SIZE(w->cells) };
    w->parameter = "ami-0123456789abcdef0";
    w->config = (struct bake_config){ .name = "x",
                                      .fleet = "o/r",
                                      .nonce = NONCE,
                                      .image = { .region = "r", .name = NAME },
                                      .plan = &w->plan,
                                      .smoke = true,
                                      .parameter = "/p",
                                      .share = &w->share,
                                      .keep = 2,
                                      .deprecate_after = DEPRECATE_AFTER,
                                      .timeout_ms = TIMEOUT_MS,
                                      .render = render,
                                      .tell = tell,
                                      .ctx = w };
    strlist_add(&w->share, "123456789012");
}

static void world_clear(struct world *w)
{
    bake_clear(&w->b);
    strlist_clear(&w->share);
    acts_clear(&w->queue);
    arena_clear(&w->arena);
    strbuf_clear(&w->log);
    strbuf_clear(&w->told);
}

static const char *id_of(enum bake_role role)
{
    return role == BAKE_BUILDER ? "i-builder" : "i-smoke";
}

static int64_t span_of(enum bake_role role)
{
    return role == BAKE_BUILDER ? BUILD_MS : SMOKE_MS;
}

static const char *state_of(const struct world *w, enum bake_role role)
{
    const struct machine_of *m = &w->boxes[role];
    int64_t age = w->now - m->launched;
    bool ends = w->ways[role] != WAY_HANGS && w->ways[role] != WAY_WORD_ALONE;
    if (m->ended)
        return "terminated";
    if (w->ways[role] == WAY_GONE && age > 15000)
        return "shutting-down";
    if (ends && age > span_of(role) + 5000)
        return role == BAKE_BUILDER ? "stopped" : "terminated";
    return age < 8000 ? "pending" : "running";
}

static void show_box(struct world *w, const struct act *a, struct event *e)
{
    enum bake_role role = str_eq(a->instance_id, "i-builder") ? BAKE_BUILDER : BAKE_SMOKE;
    struct ec2_instance *i = arena_alloc(&w->arena, sizeof(*i));
    if (a->kind == ACT_SETTLE) {
        role = str_eq(a->client_token, w->boxes[BAKE_BUILDER].token) ? BAKE_BUILDER : BAKE_SMOKE;
        if (!str_eq(a->client_token, w->boxes[role].token))
            return;
    }
    if (!w->boxes[role].exists)
        return;
    *i = (struct ec2_instance){ .id = id_of(role), .state_name = state_of(w, role) };
    e->instances = i;
    e->n_instances = 1;
}

static void show_console(struct world *w, const struct act *a, struct event *e)
{
    enum bake_role role = (enum bake_role)a->who;
    const char *word = role == BAKE_BUILDER ? "bake" : "smoke";
    int64_t age = w->now - w->boxes[role].launched;
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_adds(&text, "Linux version 6\r\nmayfly: phase bake-base (9.1s)\r\n");
    if (age > span_of(role)) {
        if (w->ways[role] == WAY_FAILS)
            strbuf_addf(&text,
                        "mayfly: | mayfly: %s ok %s\r\nmayfly: | E: broken\r\nmayfly: %s failed: docker (exit 100)\r\n",
                        word, "x", word);
        else if (w->ways[role] == WAY_WRONG_NONCE)
            strbuf_addf(&text, "mayfly: %s ok zzzzzzzzzzzzzzzzzzzzzzzzzz\r\n", word);
        else if (w->ways[role] == WAY_WELL || w->ways[role] == WAY_WORD_ALONE)
            strbuf_addf(&text, "mayfly: %s ok %s", word, NONCE); /* the last line may lack its end */
    }
    e->text = arena_strdup(&w->arena, strbuf_str(&text));
}

static void show_image(struct world *w, struct event *e)
{
    struct ec2_leftover *row = arena_alloc(&w->arena, sizeof(*row));
    const char **snapshot = arena_alloc(&w->arena, sizeof(*snapshot));
    if (!w->image || (w->image_lags && w->now - w->image_at < 5000))
        return;
    *snapshot = "snap-new";
    bool ready = w->now - w->image_at > IMAGE_MS;
    *row = (struct ec2_leftover){ .id = "ami-new", .name = NAME, .reason = "no key", .snapshots = { snapshot, 1, 1 } };
    row->state = !ready ? "pending" : w->image_fails ? "failed" : "available";
    e->leftovers = row;
    e->n_leftovers = 1;
}

static void put_old(struct world *w, const char *id, const char *created, const char *limits, const char *keep)
{
    struct ec2_leftover *row = &w->old[w->n_old++];
    const char **snapshot = arena_alloc(&w->arena, sizeof(*snapshot));
    const struct ec2_tag tags[] = { { TAG_NAME, "x" }, { TAG_LIMITS, limits }, { TAG_KEEP, keep } };
    *snapshot = arena_strdup(&w->arena, id + 1);
    *row = (struct ec2_leftover){ .id = id, .created = created, .state = "available", .snapshots = { snapshot, 1, 1 } };
    for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
        if (tags[i].value)
            *(struct ec2_tag *)field_list_add(&row->tags, sizeof(struct ec2_tag), &w->arena) = tags[i];
}

static void show_used(struct world *w, const struct act *a, struct event *e)
{
    struct ec2_instance *i = arena_alloc(&w->arena, sizeof(*i));
    ck_assert_str_eq(a->filters[0].name, "image-id");
    if (!w->used || !strlist_has(a->filters[0].values, w->used))
        return;
    *i = (struct ec2_instance){ .id = "i-other", .image = w->used };
    e->instances = i;
    e->n_instances = 1;
}

static void run_box(struct world *w, const struct act *a, struct event *e)
{
    AUTO_ARENA arena = { 0 };
    struct ec2_run run = { 0 };
    struct machine_of *m = &w->boxes[a->who];
    struct ec2_instance *i = arena_alloc(&w->arena, sizeof(*i));
    w->b.machine.render(&w->b.machine, a->who, &arena, &run);
    ck_assert_str_eq(run.client_token, a->client_token);
    ck_assert(a->who == BAKE_BUILDER || str_eq(run.image, "ami-new"));
    if (w->rooms > 0) {
        w->rooms--;
        e->outcome = OUTCOME_CAPACITY;
        return;
    }
    ck_assert_msg(!m->exists || str_eq(m->token, a->client_token), "a second %s", id_of((enum bake_role)a->who));
    if (!m->exists)
        *m = (struct machine_of){ .exists = true, .launched = w->now };
    snprintf(m->token, sizeof(m->token), "%s", a->client_token);
    *i = (struct ec2_instance){ .id = id_of((enum bake_role)a->who), .state_name = "pending" };
    e->instances = i;
    e->n_instances = 1;
}

static void remove_leftover(struct world *w, const struct act *a, struct event *e, struct error *err)
{
    if (str_eq(a->name, "ami-new")) {
        ck_assert_msg(!bake_is_proven(&w->b), "a proven image is removed");
        w->image = false;
    } else if (str_eq(a->name, "snap-new")) {
        if (w->image) {
            e->outcome = OUTCOME_FAILED;
            error_set(err, ERROR_AWS, 400, "in use");
            err->code = xstrdup("InvalidSnapshot.InUse");
            return;
        }
        w->snapshots = 0;
    }
    for (size_t i = 0; i < w->n_old; i++)
        if (str_eq(w->old[i].id, a->name))
            w->old[i].state = "gone";
}

static void make_image(struct world *w, const struct act *a, struct event *e, struct error *err)
{
    ck_assert_str_eq(a->image->instance_id, "i-builder");
    ck_assert_str_eq(state_of(w, BAKE_BUILDER), "stopped");
    if (w->image) {
        e->outcome = OUTCOME_FAILED;
        error_set(err, ERROR_AWS, 400, "there is one of that name");
        err->code = xstrdup("InvalidAMIName.Duplicate");
        return;
    }
    w->image = w->limited = true;
    w->snapshots = 1;
    w->image_at = w->now;
    e->text = "ami-new";
}

static void deprecate(struct world *w, const struct act *a)
{
    ck_assert_msg(str_eq(w->parameter, "ami-new") || !w->config.parameter, "what is not replaced is deprecated");
    for (size_t i = 0; i < w->n_old; i++)
        if (str_eq(w->old[i].id, a->name))
            w->old[i].deprecated = arena_strdup(&w->arena, a->mark);
}

static void put_parameter(struct world *w, const struct act *a)
{
    ck_assert_msg(w->image && !w->limited, "published before it was proven");
    if (str_eq(a->name, "/p"))
        w->parameter = a->mark;
    else if (str_eq(a->name, "/p/previous"))
        w->previous = a->mark;
    else
        ck_abort_msg("a parameter %s", a->name);
}

static void have_effect(struct world *w, const struct act *a, struct event *e, struct error *err)
{
    switch (a->kind) {
    case ACT_RUN:
        run_box(w, a, e);
        break;
    case ACT_SETTLE:
    case ACT_LOOK:
        show_box(w, a, e);
        break;
    case ACT_CONSOLE:
        show_console(w, a, e);
        break;
    case ACT_TERMINATE:
        w->boxes[str_eq(a->instance_id, "i-builder") ? BAKE_BUILDER : BAKE_SMOKE].ended = true;
        break;
    case ACT_IMAGE:
        make_image(w, a, e, err);
        break;
    case ACT_LEFTOVERS:
        if (a->who == 0)
            show_image(w, e);
        else
            e->leftovers = w->old, e->n_leftovers = w->n_old;
        break;
    case ACT_SCAN:
        show_used(w, a, e);
        break;
    case ACT_REMOVE:
        remove_leftover(w, a, e, err);
        break;
    case ACT_MARK:
        ck_assert(str_eq(a->tag, TAG_LIMITS) && !a->mark && strlist_has(a->ids, "ami-new") &&
                  strlist_has(a->ids, "snap-new"));
        w->limited = false;
        break;
    case ACT_SHARE:
        w->shared = true;
        break;
    case ACT_DEPRECATE:
        deprecate(w, a);
        break;
    case ACT_GET_PARAMETER:
        if (w->parameter) {
            e->text = w->parameter;
            break;
        }
        e->outcome = OUTCOME_FAILED;
        error_set(err, ERROR_AWS, 400, "no such parameter");
        err->code = xstrdup("ParameterNotFound");
        break;
    case ACT_PUT_PARAMETER:
        put_parameter(w, a);
        break;
    default:
        ck_abort_msg("action %s", act_name(a->kind));
    }
}

static void feed(struct world *w, struct event *e)
{
    e->now = w->now;
    e->cloud_now = NOW;
    w->b.machine.step(&w->b.machine, e, &w->queue);
}

static void answer(struct world *w, const struct act *a)
{
    AUTO_ERROR err = { 0 };
    struct event e = { .kind = EVENT_ANSWER, .act = a->kind, .who = a->who };
    bool fault = w->n == w->fault_at || (w->fault_for_ever && a->kind == w->fault_kind);
    strbuf_addf(&w->log, "%s%s", w->log.len ? " " : "", act_name(a->kind));
    w->now += 50;
    bool gone = fault && w->fault == OUTCOME_NOT_FOUND && (a->kind == ACT_TERMINATE || a->kind == ACT_REMOVE);
    if (!fault || w->fault_has_effect || gone)
        have_effect(w, a, &e, &err);
    if (fault) {
        e = (struct event){ .kind = EVENT_ANSWER, .act = a->kind, .who = a->who, .outcome = w->fault };
        error_clear(&err);
        error_set(&err, ERROR_AWS, 500, "scripted");
        str_set(&err.code, w->fault_code);
    } else if (e.outcome != OUTCOME_OK && err.domain == ERROR_NONE) {
        error_set(&err, ERROR_AWS, 500, "no room");
    }
    e.error = &err;
    feed(w, &e);
}

/* Until it is done; it must come to that by itself. */
static void bake(struct world *w)
{
    struct event start = { .kind = EVENT_START };
    size_t next = 0;
    bake_init(&w->b, &w->config);
    feed(w, &start);
    while (!w->b.machine.done) {
        ck_assert_msg(w->now < 4 * TIMEOUT_MS, "it does not end: %s", strbuf_str(&w->log));
        if (w->signal_at && w->n >= w->signal_at && !w->signalled) {
            struct event signal = { .kind = EVENT_SIGNAL };
            w->signalled = w->now;
            feed(w, &signal);
            continue;
        }
        if (next < w->queue.n) {
            struct act a = w->queue.v[next++];
            w->n++;
            answer(w, &a);
            continue;
        }
        struct event time = { .kind = EVENT_TIME };
        ck_assert_msg(w->b.machine.wake < INT64_MAX, "nothing will ever happen: %s", strbuf_str(&w->log));
        w->now = w->b.machine.wake > w->now ? w->b.machine.wake : w->now + 1;
        feed(w, &time);
    }
}

static bool is_live(const struct world *w, enum bake_role role)
{
    return w->boxes[role].exists && !str_eq(state_of(w, role), "terminated");
}

/* What must hold however it ended: either the image is proven, or nothing is left but what is told. */
static void check_end(struct world *w)
{
    AUTO_FREE char *left = bake_leftovers(&w->b);
    const char *what = strbuf_str(&w->log);
    for (int i = 0; i < BAKE_BOXES; i++)
        ck_assert_msg(!is_live(w, (enum bake_role)i) || left, "%s lives: %s", id_of((enum bake_role)i), what);
    if (bake_is_proven(&w->b)) {
        ck_assert_msg(w->image && !w->limited && w->snapshots == 1, "%s", what);
        ck_assert_msg(w->b.error.domain == ERROR_NONE || !str_eq(w->parameter, "ami-new") || w->signalled, "%s", what);
    } else {
        ck_assert_msg(w->b.error.domain != ERROR_NONE, "%s", what);
        ck_assert_msg((!w->image && w->snapshots == 0) || left, "an image is left: %s", what);
        ck_assert_msg(!str_eq(w->parameter, "ami-new"), "published: %s", what);
        ck_assert_msg(w->limited || !w->image || left, "%s", what);
    }
    if (w->signalled)
        ck_assert_msg(w->now - w->signalled <= 8000, "%" PRId64 " ms: %s", w->now - w->signalled, what);
}

/* --- the bake -------------------------------------------------------------------------------------------------------
 */

START_TEST(a_bake)
{
    struct world w;
    world_init(&w);
    bake(&w);
    check_end(&w);
    ck_assert_msg(w.b.error.domain == ERROR_NONE && bake_is_proven(&w.b), "%s", strbuf_str(&w.told));
    ck_assert_str_eq(w.parameter, "ami-new");
    ck_assert_str_eq(w.previous, "ami-0123456789abcdef0");
    ck_assert_str_eq(w.b.home.previous, w.previous);
    ck_assert(w.shared);
    ck_assert_str_eq(strbuf_str(&w.told),
                     "builder: i-builder, c7i.large in s1\nbuilder: bake-base (9.1s)\nimage: ami-new, " NAME
                     "\nimage: pending\nimage: available\nsmoke: i-smoke, c7i.large in s1\nsmoke: bake-base (9.1s)\n"
                     "image: published in /p\n");
    world_clear(&w);
}
END_TEST

/* For most of a builder's hour it looks every ten seconds, not every one. */
START_TEST(it_looks_less_and_less)
{
    ck_assert_int_eq(bake_ease(0), 300);
    ck_assert_int_eq(bake_ease(50000), 5000);
    ck_assert_int_eq(bake_ease(3600000), 10000);
    struct world w;
    world_init(&w);
    bake(&w);
    ck_assert_uint_lt(w.n, 160);
    world_clear(&w);
}
END_TEST

START_TEST(without_the_extras)
{
    struct world w;
    world_init(&w);
    w.config.smoke = false;
    w.config.parameter = NULL;
    w.config.share = NULL;
    w.config.keep = 0;
    w.config.deprecate_after = 0;
    put_old(&w, "ami-1", "2023-11-01T00:00:00.000Z", NULL, NULL);
    bake(&w);
    ck_assert_ptr_null(w.old[0].deprecated);
    ck_assert_str_eq(w.old[0].state, "available");
    check_end(&w);
    ck_assert(bake_is_proven(&w.b) && w.b.error.domain == ERROR_NONE && !w.boxes[BAKE_SMOKE].exists);
    ck_assert_str_eq(w.parameter, "ami-0123456789abcdef0");
    world_clear(&w);
}
END_TEST

START_TEST(the_first_publication_has_nothing_to_save)
{
    struct world w;
    world_init(&w);
    w.parameter = NULL;
    bake(&w);
    ck_assert_str_eq(w.parameter, "ami-new");
    ck_assert_ptr_null(w.previous);
    world_clear(&w);
}
END_TEST

static const struct {
    enum bake_role role;
    enum builder_way way;
    const char *says;
} ends[] = {
    { BAKE_BUILDER, WAY_FAILS, "the builder failed: docker (exit 100)" },
    { BAKE_BUILDER, WAY_SILENT, "the builder powered off without saying" },
    { BAKE_BUILDER, WAY_WRONG_NONCE, "the builder powered off without saying" },
    { BAKE_BUILDER, WAY_HANGS, "the builder is not done after 3600 s; it came to bake-base (9.1s)" },
    { BAKE_BUILDER, WAY_WORD_ALONE, "the builder is not done after 3600 s" },
    { BAKE_BUILDER, WAY_GONE, "the builder is shutting-down" },
    { BAKE_SMOKE, WAY_FAILS, "the smoke boot failed: docker (exit 100)" },
    { BAKE_SMOKE, WAY_SILENT, "the smoke boot powered off without saying" },
    { BAKE_SMOKE, WAY_WRONG_NONCE, "the smoke boot powered off without saying" },
    { BAKE_SMOKE, WAY_HANGS, "the smoke boot is not done after 3600 s" },
    { BAKE_SMOKE, WAY_GONE, "the smoke boot powered off without saying" },
};

/* `stopped` alone is never success. */
START_TEST(a_bad_end)
{
    struct world w;
    world_init(&w);
    w.ways[ends[_i].role] = ends[_i].way;
    bake(&w);
    check_end(&w);
    AUTO_FREE char *left = bake_leftovers(&w.b);
    ck_assert_msg(w.b.error.message && strstr(w.b.error.message, ends[_i].says), "%s", w.b.error.message);
    ck_assert(!bake_is_proven(&w.b) && !w.image && w.snapshots == 0);
    ck_assert_ptr_null(left);
    ck_assert(!w.boxes[BAKE_SMOKE].exists || ends[_i].role == BAKE_SMOKE);
    if (ends[_i].way == WAY_FAILS)
        ck_assert_ptr_nonnull(strstr(strbuf_str(&w.told), "| E: broken\n"));
    world_clear(&w);
}
END_TEST

START_TEST(an_image_that_fails)
{
    struct world w;
    world_init(&w);
    w.image_fails = true;
    bake(&w);
    check_end(&w);
    ck_assert_ptr_nonnull(strstr(w.b.error.message, "the image ami-new is failed: no key"));
    ck_assert(!w.image && w.snapshots == 0 && !w.boxes[BAKE_SMOKE].exists);
    world_clear(&w);
}
END_TEST

/* CreateImage whose answer never came: the name settles it, whether it had its effect or not. */
START_TEST(a_lost_image)
{
    struct world w;
    world_init(&w);
    bake(&w);
    size_t at = 0;
    AUTO_STRLIST acts = { 0 };
    strlist_split(&acts, strbuf_str(&w.log), " ");
    while (!str_eq(acts.v[at], "image"))
        at++;
    world_clear(&w);
    world_init(&w);
    w.fault_at = at + 1;
    w.fault = OUTCOME_AMBIGUOUS;
    w.fault_has_effect = _i & 1;
    w.image_lags = _i & 2;
    bake(&w);
    check_end(&w);
    ck_assert_msg(w.b.error.domain == ERROR_NONE && bake_is_proven(&w.b), "%s", w.b.error.message);
    world_clear(&w);
}
END_TEST

/* An old type without Nitro: its newest console cannot be had, the one of its last stop can. */
START_TEST(an_old_console)
{
    struct world w;
    world_init(&w);
    w.fault_at = 6; /* run, look, look, …: the first console */
    bake(&w);
    AUTO_STRLIST acts = { 0 };
    strlist_split(&acts, strbuf_str(&w.log), " ");
    size_t at = 0;
    while (!str_eq(acts.v[at], "console"))
        at++;
    world_clear(&w);
    world_init(&w);
    w.fault_at = at + 1;
    w.fault = OUTCOME_FAILED;
    w.fault_code = "UnsupportedOperation";
    bake(&w);
    ck_assert(w.b.boxes[BAKE_BUILDER].old_console && bake_is_proven(&w.b));
    world_clear(&w);
}
END_TEST

START_TEST(capacity)
{
    struct world w;
    world_init(&w);
    w.rooms = (size_t)_i;
    bake(&w);
    check_end(&w);
    ck_assert(bake_is_proven(&w.b) == (_i < 3));
    if (_i == 3)
        ck_assert(w.b.error.domain == ERROR_CAPACITY && w.b.error.try_later);
    else
        ck_assert_uint_eq(w.b.boxes[BAKE_BUILDER].cell, (size_t)_i);
    world_clear(&w);
}
END_TEST

static const struct {
    enum outcome outcome;
    bool has_effect;
} faults[] = {
    { OUTCOME_FAILED, false },     { OUTCOME_AMBIGUOUS, false }, { OUTCOME_AMBIGUOUS, true },
    { OUTCOME_THROTTLED, false },  { OUTCOME_NOT_FOUND, false }, { OUTCOME_CAPACITY, false },
    { OUTCOME_TOKEN_USED, false },
};

/* With an image that goes, and one that is deprecated. */
static void world_with_older(struct world *w)
{
    world_init(w);
    put_old(w, "ami-new", EPOCH, NULL, NULL);
    put_old(w, "ami-4", "2023-11-04T00:00:00.000Z", NULL, NULL);
    put_old(w, "ami-3", "2023-11-03T00:00:00.000Z", NULL, NULL);
}

static size_t count_actions(void)
{
    struct world w;
    world_with_older(&w);
    bake(&w);
    size_t n = w.n;
    ck_assert(str_eq(w.old[2].state, "gone") && str_eq(w.old[1].deprecated, DEPRECATED_AT));
    world_clear(&w);
    return n;
}

/* Every way to fail, at every action. */
START_TEST(a_fault_anywhere)
{
    size_t n = count_actions();
    for (size_t at = 1; at <= n; at++) {
        struct world w;
        world_with_older(&w);
        w.fault_at = at;
        w.fault = faults[_i].outcome;
        w.fault_has_effect = faults[_i].has_effect;
        bake(&w);
        check_end(&w);
        world_clear(&w);
    }
}
END_TEST

/* A signal at every action, and then an answer to the one in flight, or none; and with a fault before it. */
START_TEST(a_signal_anywhere)
{
    size_t n = count_actions();
    for (size_t at = 1; at <= n; at++) {
        struct world w;
        world_with_older(&w);
        w.signal_at = at;
        if (_i > 0) {
            w.fault_at = at + (size_t)_i;
            w.fault = OUTCOME_AMBIGUOUS;
            w.fault_has_effect = true;
        }
        bake(&w);
        check_end(&w);
        world_clear(&w);
    }
}
END_TEST

/* What cannot be ended is told. */
START_TEST(ends_that_fail)
{
    static const enum act_kind kinds[] = { ACT_TERMINATE, ACT_REMOVE };
    struct world w;
    world_init(&w);
    w.ways[BAKE_SMOKE] = WAY_FAILS;
    w.fault_for_ever = true;
    w.fault_kind = kinds[_i % 2];
    w.fault = _i < 2 ? OUTCOME_FAILED : OUTCOME_THROTTLED;
    bake(&w);
    check_end(&w);
    AUTO_FREE char *left = bake_leftovers(&w.b);
    ck_assert_ptr_nonnull(left);
    ck_assert_ptr_nonnull(strstr(left, _i % 2 == 0 ? "instance i-builder: scripted" : "image ami-new: scripted"));
    world_clear(&w);
}
END_TEST

/* --- older images ---------------------------------------------------------------------------------------------------
 */

START_TEST(older_images_go)
{
    struct world w;
    world_init(&w);
    w.config.keep = 2;
    put_old(&w, "ami-new", EPOCH, NULL, NULL);
    put_old(&w, "ami-4", "2023-11-04T00:00:00.000Z", NULL, NULL);
    put_old(&w, "ami-0123456789abcdef0", "2023-11-03T00:00:00.000Z", NULL, NULL); /* what was published before */
    put_old(&w, "ami-2", "2023-11-02T00:00:00.000Z", NULL, _i == 1 ? "" : NULL);
    put_old(&w, "ami-1", "2023-11-01T00:00:00.000Z", NULL, NULL);
    put_old(&w, "ami-0", "2023-11-01T00:00:00.000Z", "life=5400", NULL);
    w.used = "ami-1";
    bake(&w);
    check_end(&w);
    ck_assert(w.b.error.domain == ERROR_NONE);
    ck_assert_str_eq(w.old[0].state, "available");
    ck_assert_str_eq(w.old[1].state, "available");
    ck_assert_str_eq(w.old[2].state, "available");
    ck_assert_str_eq(w.old[3].state, _i == 1 ? "available" : "gone");
    ck_assert_str_eq(w.old[4].state, "available");
    ck_assert_str_eq(w.old[5].state, "gone");
    world_clear(&w);
}
END_TEST

/* What stays of the older ones is deprecated, once; never the new one, one that is kept or one being made. */
START_TEST(older_images_are_deprecated)
{
    static const char *const want[] = {
        NULL, DEPRECATED_AT, DEPRECATED_AT, NULL, DEPRECATED_AT, NULL, "2023-11-08T00:00:00.000Z"
    };
    struct world w;
    world_init(&w);
    w.config.keep = _i ? 3 : 0; /* 0: all stay, and are deprecated all the same */
    put_old(&w, "ami-new", EPOCH, NULL, NULL);
    put_old(&w, "ami-4", "2023-11-04T00:00:00.000Z", NULL, NULL);
    put_old(&w, "ami-0123456789abcdef0", "2023-11-03T00:00:00.000Z", NULL, NULL);
    put_old(&w, "ami-2", "2023-11-02T00:00:00.000Z", NULL, "");
    put_old(&w, "ami-1", "2023-11-01T00:00:00.000Z", NULL, NULL);
    put_old(&w, "ami-0", EPOCH, "life=5400", NULL);
    put_old(&w, "ami-5", "2023-11-05T00:00:00.000Z", NULL, NULL);
    w.old[6].deprecated = "2023-11-08T00:00:00.000Z"; /* by the bake after it: that is not put off */
    w.used = "ami-1";                                 /* beyond --keep, and it stays */
    bake(&w);
    check_end(&w);
    ck_assert(w.b.error.domain == ERROR_NONE && w.b.home.pruning.domain == ERROR_NONE);
    for (size_t i = 0; i < w.n_old; i++) {
        ck_assert_str_eq(w.old[i].state, "available");
        ck_assert_pstr_eq(w.old[i].deprecated, want[i]);
    }
    ck_assert_ptr_nonnull(strstr(strbuf_str(&w.told), "image: ami-4 is deprecated from " DEPRECATED_AT "\n"));
    world_clear(&w);
}
END_TEST

/* One that has just gone is no failure; anything else is told, and the new image is there all the same. */
START_TEST(a_deprecation_fails)
{
    static const char *const codes[] = { "InvalidAMIID.NotFound", "UnauthorizedOperation" };
    struct world w;
    world_init(&w);
    put_old(&w, "ami-new", EPOCH, NULL, NULL);
    put_old(&w, "ami-4", "2023-11-04T00:00:00.000Z", NULL, NULL);
    w.fault_for_ever = true;
    w.fault_kind = ACT_DEPRECATE;
    w.fault = OUTCOME_FAILED;
    w.fault_code = codes[_i];
    bake(&w);
    check_end(&w);
    ck_assert(bake_is_proven(&w.b) && w.b.home.published && w.b.error.domain == ERROR_NONE);
    ck_assert((w.b.home.pruning.domain == ERROR_NONE) == (_i == 0));
    AUTO_FREE char *why = error_format(&w.b.home.pruning);
    ck_assert_msg(_i == 0 || strstr(why, "ami-4 could not be deprecated: UnauthorizedOperation: scripted"), "%s", why);
    world_clear(&w);
}
END_TEST

/* However EC2 rounds, and a minute on its way: it is to come, and not much later than asked. */
START_TEST(the_time_of_a_deprecation)
{
    for (int64_t now = NOW; now < NOW + 60; now++)
        for (int64_t after = 1; after < 200; after += 7) {
            int64_t at = bake_deprecate_at(now, after);
            ck_assert(at % 60 == 0 && at - now > 60 && at - now - after > 60 && at - now - after <= 120);
        }
}
END_TEST

/* Exhaustively over small lists: exactly the newest `keep` proven ones stay, and what is spared, kept or being made. */
START_TEST(choosing)
{
    enum { N = 5 };
    for (unsigned bits = 0; bits < 1u << (2 * N); bits++)
        for (size_t keep = 1; keep <= 3; keep++) {
            struct bake_old v[N];
            AUTO_STRLIST spared = { 0 };
            char ids[N][4];
            strlist_add(&spared, "a3");
            for (unsigned i = 0; i < N; i++) {
                unsigned two = bits >> (2 * i) & 3;
                snprintf(ids[i], sizeof(ids[i]), "a%u", i);
                v[(i * 3) % N] = (struct bake_old){ .id = ids[i],
                                                    .created = (char *)(i < 2    ? "2023-01-01"
                                                                        : i == 2 ? "2023-02-01"
                                                                                 : NULL),
                                                    .proven = two != 1,
                                                    .kept = two == 2,
                                                    .late = two == 1 && i % 2 };
            }
            bake_choose(v, N, keep, &spared);
            size_t proven = 0;
            for (size_t i = 0; i < N; i++) {
                bool beyond = v[i].proven && ++proven > keep;
                ck_assert(i == 0 ||
                          strcmp(v[i - 1].created ? v[i - 1].created : "", v[i].created ? v[i].created : "") >= 0);
                ck_assert(v[i].goes ==
                          ((beyond || (!v[i].proven && v[i].late)) && !v[i].kept && !str_eq(v[i].id, "a3")));
            }
        }
}
END_TEST

/* --- the payload ----------------------------------------------------------------------------------------------------
 */

static struct payload payload_of(struct strlist *steps, struct strlist *own)
{
    return (
        struct payload){ .nonce = NONCE, .name = "it's", .arch = "amd64", .steps = steps, .own = own, .life = 5400 };
}

static void unzip(const struct strbuf *zipped, struct strbuf *ret)
{
    ck_assert(gzip_is(zipped->data, zipped->len));
    ck_assert(gzip_decompress(ret, zipped->data, zipped->len));
}

/* Replaces every `from`; owned. */
static char *replaced(const char *text, const char *from, const char *to)
{
    AUTO_STRBUF out = STRBUF_INIT;
    for (const char *at; (at = strstr(text, from)) != NULL; text = at + strlen(from)) {
        strbuf_add(&out, text, (size_t)(at - text));
        strbuf_adds(&out, to);
    }
    strbuf_adds(&out, text);
    return strbuf_steal(&out);
}

/* Its exit status. */
static int shell(const char *script, const char *log)
{
    int status;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (freopen(log, "w", stdout))
            execl("/bin/sh", "sh", script, (char *)NULL);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void write_script(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

/* Runs the script under a directory of its own, main.sh being a stand-in that tells what it was given. */
static void run_script(const char *script, const char *directory, struct strbuf *ret_out)
{
    AUTO_FREE char *moved = replaced(script, "/run/mayfly-bake", directory);
    AUTO_FREE char *main_sh = xasprintf("%s/main.sh", directory);
    AUTO_FREE char *exec_line = xasprintf("exec sh %s\n", main_sh);
    AUTO_FREE char *standin = xasprintf("printf '%%s|' \"$MAYFLY_NONCE\" \"$MAYFLY_IMAGE\" \"$MAYFLY_STEPS\" "
                                        "\"$MAYFLY_LIFE_SECONDS\" \"$MAYFLY_RUNNER_URL\"; exit 0\n");
    AUTO_FREE char *whole = replaced(moved, exec_line, standin);
    AUTO_FREE char *path = xasprintf("%s.sh", directory);
    write_script(path, whole);
    AUTO_FREE char *log = xasprintf("%s.log", directory);
    AUTO_ERROR err = { 0 };
    ck_assert_int_eq(shell(path, log), 0);
    ASSERT_OK(strbuf_read_file(ret_out, log, "the log", &err), &err);
}

static void has_file(const char *directory, const char *name, const char *want)
{
    AUTO_STRBUF text = STRBUF_INIT;
    AUTO_ERROR err = { 0 };
    AUTO_FREE char *path = xasprintf("%s/%s", directory, name);
    ASSERT_OK(strbuf_read_file(&text, path, "the file", &err), &err);
    ck_assert_str_eq(strbuf_str(&text), want);
}

/* Recipes that would like to end their here-document, or to run outside of it. */
static const char *const hostile[] = {
    "echo plain\n",
    "no line break at the end",
    "END-"
    "\nEND-abc\nrm -rf /\n",
    "E\xc3\xa9\nEND-\xc3\xa9\n", /* dash */
    "cat <<'END'\nEND\n$(touch /tmp/mayfly-escaped) `touch /tmp/mayfly-escaped` ${x} \\\n'\"\n",
    "\n\n\n",
    "END-" NONCE "X\n XEND-" NONCE "\n END-" NONCE "\nEND-" NONCE " \n", /* the nonce, and yet not the line */
    "\xff\xfe \xc3\x28 \r\n\t\x01",
};

START_TEST(a_shell_unpacks_it)
{
    AUTO_STRLIST steps = { 0 }, own = { 0 };
    AUTO_STRBUF zipped = STRBUF_INIT, script = STRBUF_INIT, out = STRBUF_INIT;
    char directory[] = "/tmp/mayfly-bake-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(directory));
    strlist_split(&steps, "base agent own-1 seal", " ");
    strlist_add(&own, hostile[_i]);
    struct payload p = payload_of(&steps, &own);
    payload_render(&zipped, &p);
    ck_assert_uint_le(zipped.len, USERDATA_MAX);
    unzip(&zipped, &script);
    ck_assert_msg(str_starts(strbuf_str(&script), "#!/bin/sh\n"), "cloud-init runs nothing else");
    run_script(strbuf_str(&script), directory, &out);
    ck_assert_str_eq(strbuf_str(&out), NONCE "|it's|base agent own-1 seal|5400||");
    AUTO_FREE char *want = xasprintf("%s%s", hostile[_i], str_ends(hostile[_i], "\n") ? "" : "\n");
    has_file(directory, "steps/own-1.sh", want);
    AUTO_FREE char *check =
        xasprintf("cd %s && test -s main.sh && test -s versions && test -s steps/base.sh && test -s agent/agent.c &&\n"
                  "test -n \"$(ls units)\" && test ! -e steps/docker.sh && test ! -e /tmp/mayfly-escaped &&\n"
                  "sh -n main.sh && cd / && rm -rf %s %s.log\n",
                  directory, directory, directory);
    AUTO_FREE char *path = xasprintf("%s.sh", directory);
    write_script(path, check);
    ck_assert_int_eq(shell(path, "/dev/null"), 0);
    unlink(path);
}
END_TEST

/* Whoever fetches it gets the same files, and the assignments from the stub. */
START_TEST(the_recipe_by_itself)
{
    AUTO_STRLIST steps = { 0 }, own = { 0 };
    AUTO_STRBUF zipped = STRBUF_INIT, again = STRBUF_INIT, script = STRBUF_INIT, stub = STRBUF_INIT;
    strlist_split(&steps, "base docker seal", " ");
    struct payload p = payload_of(&steps, &own);
    payload_recipe(&zipped, &p);
    payload_recipe(&again, &p);
    ck_assert(zipped.len == again.len && memcmp(zipped.data, again.data, again.len) == 0);
    unzip(&zipped, &script);
    ck_assert_ptr_null(strstr(strbuf_str(&script), "export MAYFLY_NONCE"));
    ck_assert_ptr_nonnull(strstr(strbuf_str(&script), "cat >steps/docker.sh <<"));
    ck_assert_ptr_null(strstr(strbuf_str(&script), "agent.c")); /* no step needs it */
    payload_fetch(&stub, &p, "https://example.com/a'b", "00ff");
    ck_assert(str_starts(strbuf_str(&stub), "#!/bin/sh\nexport MAYFLY_NONCE='" NONCE "'\n"));
    ck_assert_ptr_nonnull(strstr(strbuf_str(&stub), "export MAYFLY_PAYLOAD_URL='https://example.com/a'\\''b'\n"));
    ck_assert_ptr_nonnull(strstr(strbuf_str(&stub), "sha256sum -c -"));
    ck_assert_ptr_nonnull(strstr(strbuf_str(&stub), "bake failed: payload"));
}
END_TEST

START_TEST(steps_and_versions)
{
    static const char *const known[] = { "base", "docker", "runner", "agent", "cuda", "prune", "seal", "python", "go" };
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        ck_assert_msg(payload_has_step(known[i], 0), "%s", known[i]);
    ck_assert(!payload_has_step("main", 0) && !payload_has_step("../main", 0) && !payload_has_step("", 0));
    ck_assert(payload_has_step("own-1", 1) && !payload_has_step("own-2", 1) && !payload_has_step("own-1", 0));
    AUTO_FREE char *version = payload_version("RUNNER_VERSION");
    AUTO_FREE char *none = payload_version("RUNNER");
    ck_assert(version && strspn(version, "0123456789.") == strlen(version));
    ck_assert_ptr_null(none);
    AUTO_FREE char *all = payload_steps();
    ck_assert_ptr_nonnull(strstr(all, "base, docker"));
}
END_TEST

START_TEST(gzip_of_others)
{
    AUTO_STRBUF zipped = STRBUF_INIT, out = STRBUF_INIT, small = STRBUF_MAX(10);
    gzip_compress(&zipped, "hello hello hello", 17);
    ck_assert(gzip_decompress(&out, zipped.data, zipped.len));
    ck_assert_str_eq(strbuf_str(&out), "hello hello hello");
    ck_assert(!gzip_decompress(&small, zipped.data, zipped.len)); /* past its ceiling */
    for (size_t n = 0; n < zipped.len; n++) {
        AUTO_STRBUF part = STRBUF_INIT;
        ck_assert_msg(!gzip_decompress(&part, zipped.data, n), "cut at %zu", n);
    }
    zipped.data[zipped.len - 5] ^= 1; /* its checksum */
    AUTO_STRBUF wrong = STRBUF_INIT;
    ck_assert(!gzip_decompress(&wrong, zipped.data, zipped.len));
    ck_assert(!gzip_is("#!", 2) && !gzip_is("\x1f", 1));
}
END_TEST

static TCase *bakes(void)
{
    TCase *t = tcase_create("bakes");
    tcase_add_test(t, a_bake);
    tcase_add_test(t, it_looks_less_and_less);
    tcase_add_test(t, without_the_extras);
    tcase_add_test(t, the_first_publication_has_nothing_to_save);
    tcase_add_loop_test(t, a_bad_end, 0, ARRAY_SIZE(ends));
    tcase_add_test(t, an_image_that_fails);
    tcase_add_loop_test(t, a_lost_image, 0, 4);
    tcase_add_test(t, an_old_console);
    tcase_add_loop_test(t, capacity, 0, 4);
    tcase_add_loop_test(t, a_fault_anywhere, 0, ARRAY_SIZE(faults));
    tcase_add_loop_test(t, a_signal_anywhere, 0, 4);
    tcase_add_loop_test(t, ends_that_fail, 0, 4);
    tcase_add_loop_test(t, older_images_go, 0, 2);
    tcase_add_loop_test(t, older_images_are_deprecated, 0, 2);
    tcase_add_loop_test(t, a_deprecation_fails, 0, 2);
    tcase_add_test(t, the_time_of_a_deprecation);
    tcase_add_test(t, choosing);
    tcase_set_timeout(t, 60);
    return t;
}

static TCase *payloads(void)
{
    TCase *t = tcase_create("payloads");
    tcase_add_loop_test(t, a_shell_unpacks_it, 0, ARRAY_SIZE(hostile));
    tcase_add_test(t, the_recipe_by_itself);
    tcase_add_test(t, steps_and_versions);
    tcase_add_test(t, gzip_of_others);
    return t;
}

int main(void)
{
    static TCase *(*const cases[])(void) = { bakes, payloads };
    return run_suite("bake", cases, ARRAY_SIZE(cases));
}
