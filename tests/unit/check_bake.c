/* The bake against a small cloud with a clock of its own: every action may fail in every way, and a signal may come at
 * any of them. */
#include "mayfly/runner/bake.h"

#include <inttypes.h>
#include <stdio.h>

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
    DEPRECATE_AFTER = 86400,
    COPY_TIMEOUT_MS = 1800000,
    OUTAGE_AT_MS = 20000,
    OUTAGE_MS = 200000,
    PLACES = 3, /* the home region, and those of copies */
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

struct place { /* what a region has */
    bool image, limited, shared, image_fails, image_lags;
    size_t snapshots;
    int64_t image_at;
    const char *parameter, *previous;
    struct ec2_leftover old[7];
    size_t n_old;
    const char *used; /* an old image that an instance runs */
    char token[64];   /* of its copy */
    bool taken;       /* EC2 takes no token for an answer: the name is taken */
};
static const char *const regions[PLACES] = { "r", "s", "t" };

struct world {
    struct bake b;
    struct bake_config config;
    struct plan plan;
    struct cell cells[3];
    struct image source;
    struct strlist groups, share, copies;
    struct acts queue;
    struct arena arena;
    struct strbuf log, told;
    int64_t now;
    struct machine_of boxes[BAKE_BOXES];
    enum builder_way ways[BAKE_BOXES];
    struct place at[PLACES];
    size_t n;        /* actions so far */
    size_t fault_at; /* from 1; 0: none */
    enum outcome fault;
    const char *fault_code, *fault_message;
    bool fault_smoke;                 /* of RunInstances: of the smoke boot alone */
    int64_t faulted;                  /* when the first of them was */
    size_t fault_too, without_effect; /* without_effect: so many faults, whatever fault_has_effect says */
    bool fault_has_effect, fault_for_ever, fault_once; /* fault_once: the first of that kind */
    bool fault_rest;                                   /* all from fault_too on */
    enum act_kind fault_kind, no_room;                 /* fault_kind: of fault_for_ever */
    size_t fault_part;                                 /* and in this region alone; 0: in all */
    size_t rooms;                                      /* RunInstances that find none */
    int64_t outage;                                    /* ms, in which nobody can be looked at */
    size_t signal_at;
    int64_t signalled;
    bool quick;      /* its machines */
    bool mute;       /* from the signal on nothing is answered */
    bool unreadable; /* the faults: answers of no known form */
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
    ck_assert(w->at[0].image || role == BAKE_BUILDER);
    *ret = (struct ec2_run){ .region = cell->region, .type = cell->type, .image = image };
}

static void world_init(struct world *w)
{
    *w = (struct world){ .log = STRBUF_INIT, .told = STRBUF_INIT, .now = 1000 };
    w->source = (struct image){ .id = "ami-source" };
    for (size_t i = 0; i < ARRAY_SIZE(w->cells); i++)
        w->cells[i] = (struct cell){ .region = "r",
                                     .subnet = i == 2 ? "s2" : "s1",
                                     .type = i ? "m7i.large" : "c7i.large",
                                     .image = &w->source,
                                     .security_groups = &w->groups };
    w->plan = (struct plan){ .cells = w->cells, .n = ARRAY_SIZE(w->cells) };
    for (size_t i = 0; i < PLACES; i++) {
        w->at[i].parameter = "ami-0123456789abcdef0";
        w->at[i].previous = "ami-0fedcba9876543210";
    }
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
                                      .timeout_s = TIMEOUT_MS / 1000,
                                      .timeout_ms = TIMEOUT_MS,
                                      .copies = &w->copies,
                                      .copy_timeout_ms = COPY_TIMEOUT_MS,
                                      .render = render,
                                      .tell = tell,
                                      .ctx = w };
    strlist_add(&w->share, "123456789012");
}

static void world_clear(struct world *w)
{
    bake_clear(&w->b);
    strlist_clear(&w->share);
    strlist_clear(&w->copies);
    acts_clear(&w->queue);
    arena_clear(&w->arena);
    strbuf_clear(&w->log);
    strbuf_clear(&w->told);
}

static const char *id_of(enum bake_role role)
{
    return role == BAKE_BUILDER ? "i-builder" : "i-smoke";
}

static int64_t span_of(const struct world *w, enum bake_role role)
{
    return w->quick ? 0 : role == BAKE_BUILDER ? BUILD_MS : SMOKE_MS;
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
    if (ends && age > span_of(w, role) + 5000)
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
    strbuf_adds(&text, "Linux version 6\r\n\r\nip-10-0-0-1 login: mayfly: phase bake-base (9.1s)\r\n");
    if (age > span_of(w, role)) {
        if (w->ways[role] == WAY_FAILS)
            strbuf_addf(&text,
                        "mayfly: | mayfly: %s ok %s\r\nmayfly: | E: broken\r\nip-10-0-0-1 login: mayfly: %s failed: "
                        "docker (exit 100)\r\n",
                        word, "x", word);
        else if (w->ways[role] == WAY_WRONG_NONCE)
            strbuf_addf(&text, "mayfly: %s ok zzzzzzzzzzzzzzzzzzzzzzzzzz\r\n", word);
        else if (w->ways[role] == WAY_WELL || w->ways[role] == WAY_WORD_ALONE)
            strbuf_addf(&text, "mayfly: %s ok %s", word, NONCE); /* the last line may lack its end */
    }
    e->text = arena_strdup(&w->arena, strbuf_str(&text));
}

static void show_image(struct world *w, const struct act *a, struct event *e)
{
    const struct place *p = &w->at[a->part];
    struct ec2_leftover *row = arena_alloc(&w->arena, sizeof(*row));
    const char **snapshot = arena_alloc(&w->arena, sizeof(*snapshot));
    if (!p->image || (p->image_lags && w->now - p->image_at < 5000))
        return;
    *snapshot = "snap-new";
    bool ready = w->now - p->image_at > IMAGE_MS;
    *row = (struct ec2_leftover){ .id = "ami-new", .name = NAME, .reason = "no key", .snapshots = { snapshot, 1, 1 } };
    if (a->part > 0 && (!ready || p->image_fails)) /* EC2 names those of a copy when it is there */
        row->snapshots.n = 0;
    row->state = !ready ? "pending" : p->image_fails ? "failed" : "available";
    e->leftovers = row;
    e->n_leftovers = 1;
}

static void show_snapshots(struct world *w, const struct act *a, struct event *e)
{
    struct ec2_leftover *row = arena_alloc(&w->arena, 3 * sizeof(*row));
    ck_assert(a->n_filters == 2 && str_eq(a->filters[0].name, "tag:" TAG_FLEET));
    ck_assert_str_eq(a->filters[1].name, "description");
    ck_assert_str_eq(a->filters[1].values->v[0], "*ami-new*");
    /* A stranger's, and one that speaks of another image, come along. */
    static struct ec2_tag ours = { TAG_FLEET, NULL }, theirs = { TAG_FLEET, "o*" };
    ours.value = a->filters[0].values->v[0];
    row[0] = (struct ec2_leftover){ .id = "snap-new", .description = "Created for ami-new", .tags = { &ours, 1, 1 } };
    row[1] = (struct ec2_leftover){ .id = "snap-other", .description = "for ami-old", .tags = { &ours, 1, 1 } };
    row[2] = (struct ec2_leftover){ .id = "snap-theirs", .description = "for ami-new", .tags = { &theirs, 1, 1 } };
    e->leftovers = row;
    e->n_leftovers = w->at[a->part].snapshots ? 3 : 0;
}

static void put_old_at(struct world *w, size_t at, const char *id, const char *created, const char *limits,
                       const char *keep)
{
    struct ec2_leftover *row = &w->at[at].old[w->at[at].n_old++];
    const char **snapshot = arena_alloc(&w->arena, sizeof(*snapshot));
    const struct ec2_tag tags[] = { { TAG_NAME, "x" }, { TAG_LIMITS, limits }, { TAG_KEEP, keep } };
    *snapshot = arena_strdup(&w->arena, id + 1);
    *row = (struct ec2_leftover){ .id = id, .created = created, .state = "available", .snapshots = { snapshot, 1, 1 } };
    for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
        if (tags[i].value)
            *(struct ec2_tag *)field_list_add(&row->tags, sizeof(struct ec2_tag), &w->arena) = tags[i];
}

static void put_old(struct world *w, const char *id, const char *created, const char *limits, const char *keep)
{
    put_old_at(w, 0, id, created, limits, keep);
}

/* With an image that goes, and one that is deprecated. */
static void world_with_older(struct world *w)
{
    world_init(w);
    put_old(w, "ami-new", EPOCH, NULL, NULL);
    put_old(w, "ami-4", "2023-11-04T00:00:00.000Z", NULL, NULL);
    put_old(w, "ami-3", "2023-11-03T00:00:00.000Z", NULL, NULL);
}

static void show_used(struct world *w, const struct act *a, struct event *e)
{
    const struct place *p = &w->at[a->part];
    struct ec2_instance *i = arena_alloc(&w->arena, sizeof(*i));
    ck_assert_str_eq(a->filters[0].name, "image-id");
    if (!p->used || !strlist_has(a->filters[0].values, p->used))
        return;
    *i = (struct ec2_instance){ .id = "i-other", .image = p->used };
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
    struct place *p = &w->at[a->part];
    if (str_eq(a->name, "ami-new")) {
        ck_assert_msg(!bake_is_proven(&w->b) || a->part > 0, "a proven image is removed");
        ck_assert_msg(!str_eq(p->parameter, "ami-new"), "what is published is removed");
        p->image = false;
    } else if (str_eq(a->name, "snap-new")) {
        if (p->image) {
            e->outcome = OUTCOME_FAILED;
            error_set(err, ERROR_AWS, 400, "in use");
            err->code = xstrdup("InvalidSnapshot.InUse");
            return;
        }
        p->snapshots = 0;
    }
    for (size_t i = 0; i < p->n_old; i++)
        if (str_eq(p->old[i].id, a->name))
            p->old[i].state = "gone";
}

static void make_image(struct world *w, const struct act *a, struct event *e, struct error *err)
{
    struct place *p = &w->at[a->part];
    ck_assert_str_eq(a->image->region, regions[a->part]);
    if (a->kind == ACT_IMAGE) {
        ck_assert_str_eq(a->image->instance_id, "i-builder");
        ck_assert_str_eq(state_of(w, BAKE_BUILDER), "stopped");
    } else {
        ck_assert(str_eq(a->image->source_region, "r") && str_eq(a->image->source, "ami-new"));
        ck_assert_msg(w->at[0].image && !w->at[0].limited, "a copy of what is not proven");
        ck_assert(!p->token[0] || str_eq(p->token, a->image->client_token));
        snprintf(p->token, sizeof(p->token), "%s", a->image->client_token);
    }
    if (p->image && (a->kind == ACT_IMAGE || p->taken)) {
        e->outcome = OUTCOME_FAILED;
        error_set(err, ERROR_AWS, 400, "there is one of that name");
        err->code = xstrdup("InvalidAMIName.Duplicate");
        return;
    }
    p->image = p->limited = true;
    p->snapshots = 1;
    if (p->image_at == 0)
        p->image_at = w->now;
    e->text = "ami-new";
}

static void deprecate(struct world *w, const struct act *a)
{
    struct place *p = &w->at[a->part];
    ck_assert_msg(str_eq(p->parameter, "ami-new") || !w->config.parameter, "what is not replaced is deprecated");
    for (size_t i = 0; i < p->n_old; i++)
        if (str_eq(p->old[i].id, a->name))
            p->old[i].deprecated = arena_strdup(&w->arena, a->mark);
}

static void put_parameter(struct world *w, const struct act *a)
{
    struct place *p = &w->at[a->part];
    ck_assert_msg(p->image && !p->limited, "published before it was proven");
    if (str_eq(a->name, "/p"))
        p->parameter = a->mark;
    else if (str_eq(a->name, "/p/previous"))
        p->previous = a->mark;
    else
        ck_abort_msg("a parameter %s", a->name);
}

static void have_effect(struct world *w, const struct act *a, struct event *e, struct error *err)
{
    struct place *p = &w->at[a->part];
    ck_assert(!a->region || str_eq(a->region, regions[a->part]));
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
    case ACT_COPY:
        make_image(w, a, e, err);
        break;
    case ACT_LEFTOVERS:
        if (a->leftover == EC2_SNAPSHOT)
            show_snapshots(w, a, e);
        else if (a->who == 0)
            show_image(w, a, e);
        else
            e->leftovers = p->old, e->n_leftovers = p->n_old;
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
        p->limited = false;
        break;
    case ACT_SHARE:
        p->shared = true;
        break;
    case ACT_DEPRECATE:
        deprecate(w, a);
        break;
    case ACT_GET_PARAMETER:
        if (p->parameter) {
            e->text = p->parameter;
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
    struct event e = { .kind = EVENT_ANSWER, .act = a->kind, .who = a->who, .part = a->part };
    int64_t passed = w->now - OUTAGE_AT_MS;
    bool out = a->kind == ACT_LOOK && passed > 0 && passed < w->outage;
    if (out)
        w->fault = OUTCOME_AMBIGUOUS;
    bool fault = out || w->n == w->fault_at ||
                 (w->fault_too && (w->fault_rest ? w->n >= w->fault_too : w->n == w->fault_too)) ||
                 ((w->fault_for_ever || w->fault_once) && a->kind == w->fault_kind &&
                  (!w->fault_smoke || a->who == BAKE_SMOKE) && (w->fault_part == 0 || a->part == w->fault_part));
    strbuf_addf(&w->log, "%s%s%s", w->log.len ? " " : "", a->part ? regions[a->part] : "", act_name(a->kind));
    w->fault_once = w->fault_once && !fault;
    if (fault && w->faulted == 0)
        w->faulted = w->now;
    w->now += 50;
    bool gone = fault && w->fault == OUTCOME_NOT_FOUND && (a->kind == ACT_TERMINATE || a->kind == ACT_REMOVE);
    bool idle = fault && w->without_effect > 0;
    w->without_effect -= idle;
    if (!fault || (w->fault_has_effect && !idle) || gone)
        have_effect(w, a, &e, &err);
    if (fault) {
        e = (struct event){ .kind = EVENT_ANSWER, .act = a->kind, .who = a->who, .part = a->part, .outcome = w->fault };
        error_clear(&err);
        error_set(&err, w->unreadable ? ERROR_PARSE : ERROR_AWS, 500, "%s",
                  w->fault_message ? w->fault_message : "scripted");
        error_hint(&err, "a hint of its own");
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
        if (next < w->queue.n && !(w->mute && w->signalled)) {
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

/* What a bake replaces is named as what was before, unless that is told; until then the one before that is. */
static void check_way_back(const struct world *w, size_t i)
{
    const struct place *p = &w->at[i];
    const struct bake_region *r = &w->b.regions[i];
    bool published = str_eq(p->parameter, "ami-new"), saved = str_eq(p->previous, "ami-0123456789abcdef0");
    const char *what = strbuf_str(&w->log);
    ck_assert_msg(!saved || published, "%s: the way back is lost: %s", regions[i], what);
    ck_assert_msg(!r->published || saved || !r->previous || r->pruning.domain, "%s: it is not saved: %s", regions[i],
                  what);
    ck_assert_msg(saved || p->n_old < 3 || str_eq(p->old[2].state, "available") || !r->previous,
                  "%s: older ones go: %s", regions[i], what);
}

/* A copy is published, or it is gone, or that is told. What is published is there, and stays. */
static void check_copy(struct world *w, size_t i, const char *left)
{
    const struct place *p = &w->at[i];
    const struct bake_region *r = &w->b.regions[i];
    const char *what = strbuf_str(&w->log);
    bool published = str_eq(p->parameter, "ami-new");
    ck_assert_msg(!published || (p->image && !p->limited && p->snapshots == 1), "%s: %s", regions[i], what);
    ck_assert_msg(!r->published || published, "%s: %s", regions[i], what);
    if (!p->image && p->snapshots == 0)
        ck_assert_msg(r->error.domain != ERROR_NONE || !bake_is_proven(&w->b) || w->signalled, "%s: %s", regions[i],
                      what);
    else if (!published)
        ck_assert_msg(left || (r->error.domain != ERROR_NONE && r->named), "%s, a copy is left: %s", regions[i], what);
    ck_assert_msg(!p->image || bake_is_proven(&w->b), "%s: %s", regions[i], what);
}

/* What must hold however it ended: either the image is proven, or nothing is left but what is told. */
static void check_end(struct world *w)
{
    AUTO_FREE char *left = bake_leftovers(&w->b);
    const char *what = strbuf_str(&w->log);
    for (int i = 0; i < BAKE_BOXES; i++)
        ck_assert_msg(!is_live(w, (enum bake_role)i) || left, "%s lives: %s", id_of((enum bake_role)i), what);
    if (bake_is_proven(&w->b)) {
        ck_assert_msg(w->at[0].image && !w->at[0].limited && w->at[0].snapshots == 1, "%s", what);
        ck_assert_msg(w->b.error.domain == ERROR_NONE || !str_eq(w->at[0].parameter, "ami-new") || w->signalled ||
                          bake_region_is_named(w->b.home),
                      "%s", what);
    } else {
        ck_assert_msg(w->b.error.domain != ERROR_NONE, "%s", what);
        ck_assert_msg((!w->at[0].image && w->at[0].snapshots == 0) || left, "an image is left: %s", what);
        ck_assert_msg(!str_eq(w->at[0].parameter, "ami-new"), "published: %s", what);
        ck_assert_msg(w->at[0].limited || !w->at[0].image || left, "%s", what);
    }
    for (size_t i = 1; i < w->b.n_regions; i++)
        check_copy(w, i, left);
    for (size_t i = 0; i < w->b.n_regions; i++)
        check_way_back(w, i);
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
    ck_assert_str_eq(w.at[0].parameter, "ami-new");
    ck_assert_str_eq(w.at[0].previous, "ami-0123456789abcdef0");
    ck_assert_str_eq(w.b.home->previous, w.at[0].previous);
    ck_assert(w.at[0].shared);
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
    ck_assert_ptr_null(w.at[0].old[0].deprecated);
    ck_assert_str_eq(w.at[0].old[0].state, "available");
    check_end(&w);
    ck_assert(bake_is_proven(&w.b) && w.b.error.domain == ERROR_NONE && !w.boxes[BAKE_SMOKE].exists);
    ck_assert_str_eq(w.at[0].parameter, "ami-0123456789abcdef0");
    world_clear(&w);
}
END_TEST

START_TEST(the_first_publication_has_nothing_to_save)
{
    struct world w;
    world_init(&w);
    w.at[0].parameter = NULL;
    bake(&w);
    ck_assert_str_eq(w.at[0].parameter, "ami-new");
    ck_assert_str_eq(w.at[0].previous, "ami-0fedcba9876543210");
    world_clear(&w);
}
END_TEST

/* Each answer to its publication is lost; that of the first, or only the last, had its effect, or none had. */
START_TEST(it_may_be_published)
{
    struct world w;
    world_with_older(&w);
    w.fault_for_ever = w.fault_has_effect = true;
    w.fault_kind = ACT_PUT_PARAMETER;
    w.fault = OUTCOME_AMBIGUOUS;
    w.without_effect = _i == 0 ? 99 : _i == 1 ? 2 : 0;
    bake(&w);
    check_end(&w);
    AUTO_FREE char *why = error_format(&w.b.error);
    ck_assert(bake_is_proven(&w.b) && w.b.home->named && w.at[0].image);
    ck_assert_str_eq(w.at[0].parameter, _i ? "ami-new" : "ami-0123456789abcdef0");
    ck_assert(w.b.home->published == (_i > 0) && (w.b.error.domain == ERROR_NONE) == (_i > 0));
    ck_assert_msg(_i || strstr(why, "the image ami-new is proven, and /p may name it: scripted"), "%s", why);
    ck_assert_str_eq(w.at[0].old[2].state, "available"); /* since what was before could not be saved */
    world_clear(&w);
}
END_TEST

/* The parameter cannot be read back. */
START_TEST(nobody_knows_whether_it_is_published)
{
    struct world w;
    world_with_older(&w);
    bake(&w);
    AUTO_STRLIST acts = { 0 };
    size_t at = 0;
    strlist_split(&acts, strbuf_str(&w.log), " ");
    while (!str_eq(acts.v[at], "put-parameter"))
        at++;
    world_clear(&w);
    world_with_older(&w);
    w.fault_at = at + 1;
    w.fault_too = at + 2;
    w.fault_rest = _i < 2; /* else it is asked for again, and known */
    w.fault = OUTCOME_AMBIGUOUS;
    w.fault_has_effect = _i % 2;
    bake(&w);
    check_end(&w);
    if (_i >= 2) {
        ck_assert(w.b.error.domain == ERROR_NONE && w.b.home->published);
        world_clear(&w);
        return;
    }
    AUTO_FREE char *why = error_format(&w.b.error);
    ck_assert_msg(strstr(why, "the image ami-new is proven, and /p may name it: scripted"), "%s", why);
    ck_assert_str_eq(w.b.error.hint, "`aws ssm get-parameter --name /p` shows what it contains");
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
    { BAKE_BUILDER, WAY_WORD_ALONE, "the builder says that it is done, and is not stopped after 3600 s" },
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
    ck_assert(!bake_is_proven(&w.b) && !w.at[0].image && w.at[0].snapshots == 0);
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
    w.at[0].image_fails = true;
    bake(&w);
    check_end(&w);
    ck_assert_ptr_nonnull(strstr(w.b.error.message, "the image ami-new is failed: no key"));
    ck_assert(!w.at[0].image && w.at[0].snapshots == 0 && !w.boxes[BAKE_SMOKE].exists);
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
    w.at[0].image_lags = _i & 2;
    bake(&w);
    check_end(&w);
    ck_assert_msg(w.b.error.domain == ERROR_NONE && bake_is_proven(&w.b), "%s", w.b.error.message);
    world_clear(&w);
}
END_TEST

/* What CreateImage is refused with for now. */
START_TEST(an_image_that_has_to_wait)
{
    static const char *const codes[] = { "IncorrectInstanceState", "SnapshotCreationPerVolumeRateExceeded",
                                         "ConcurrentCreateImageNoRebootLimitExceeded" };
    struct world w;
    world_init(&w);
    bake(&w);
    AUTO_STRLIST acts = { 0 };
    size_t at = 0;
    strlist_split(&acts, strbuf_str(&w.log), " ");
    while (!str_eq(acts.v[at], "image"))
        at++;
    world_clear(&w);
    world_init(&w);
    w.fault_at = at + 1;
    w.fault = OUTCOME_FAILED;
    w.fault_code = codes[_i];
    bake(&w);
    check_end(&w);
    ck_assert_msg(w.b.error.domain == ERROR_NONE && bake_is_proven(&w.b), "%s", w.b.error.message);
    world_clear(&w);
}
END_TEST

/* What EC2 says of what was made or changed a moment ago and is not seen everywhere yet. */
static const struct unseen {
    enum act_kind kind;
    enum outcome outcome;
    const char *code, *message;
} unseens[] = {
    { ACT_IMAGE, OUTCOME_FAILED, "InvalidParameterValue", "Instance is not in state running or stopped" },
    { ACT_IMAGE, OUTCOME_NOT_FOUND, "InvalidInstanceID.NotFound", NULL },
    { ACT_RUN, OUTCOME_FAILED, "InvalidAMIID.NotFound", NULL },
    { ACT_RUN, OUTCOME_FAILED, "InvalidAMIID.Unavailable", NULL },
    { ACT_RUN, OUTCOME_NOT_FOUND, "InvalidSnapshot.NotFound", NULL },
    { ACT_SHARE, OUTCOME_FAILED, "InvalidAMIID.NotFound", NULL },
    { ACT_MARK, OUTCOME_FAILED, "InvalidAMIID.NotFound", NULL },
    { ACT_MARK, OUTCOME_NOT_FOUND, "InvalidSnapshot.NotFound", NULL },
    { ACT_MARK, OUTCOME_FAILED, "InvalidID", NULL },
}, finals[] = {
    { ACT_IMAGE, OUTCOME_FAILED, "InvalidParameterValue", "Value (x) for parameter name is invalid" },
    { ACT_IMAGE, OUTCOME_FAILED, "InvalidAMIID.NotFound", NULL },
    { ACT_RUN, OUTCOME_FAILED, "InvalidParameterValue", "Instance is not in state running or stopped" },
    { ACT_RUN, OUTCOME_FAILED, "InvalidKeyPair.NotFound", NULL },
    { ACT_SHARE, OUTCOME_FAILED, "InvalidParameterValue", "Instance is not in state running or stopped" },
    { ACT_MARK, OUTCOME_FAILED, "UnauthorizedOperation", NULL },
};

static void bake_refused(struct world *w, const struct unseen *u, bool for_ever)
{
    world_init(w);
    w->fault_for_ever = for_ever;
    w->fault_once = !for_ever;
    w->fault_smoke = u->kind == ACT_RUN;
    w->fault_kind = u->kind;
    w->fault = u->outcome;
    w->fault_code = u->code;
    w->fault_message = u->message;
    bake(w);
    check_end(w);
    ck_assert_int_gt(w->faulted, 0);
}

/* It is asked for again: once is nothing, and a minute of it is the end, with everything undone. */
START_TEST(what_is_not_seen_yet)
{
    const struct unseen *u = &unseens[_i];
    struct world w;
    bake_refused(&w, u, false);
    ck_assert_msg(w.b.error.domain == ERROR_NONE && bake_is_proven(&w.b), "%s", w.b.error.message);
    ck_assert_int_lt(w.now - w.faulted, 60000);
    world_clear(&w);
    bake_refused(&w, u, true);
    ck_assert_msg(str_eq(w.b.error.code, u->code) && !bake_is_proven(&w.b), "%s", w.b.error.message);
    ck_assert_int_ge(w.now - w.faulted, 60000);
    ck_assert_int_lt(w.now - w.faulted, 90000);
    if (u->kind == ACT_RUN)
        ck_assert_str_eq(w.b.error.hint,
                         "run the bake again: for a minute, EC2 did not find the image that it had just created");
    world_clear(&w);
}
END_TEST

/* Of anything else it is final at once. */
START_TEST(what_will_not_be_seen)
{
    struct world w;
    bake_refused(&w, &finals[_i], true);
    ck_assert_msg(str_eq(w.b.error.code, finals[_i].code) && !bake_is_proven(&w.b), "%s", w.b.error.message);
    ck_assert_int_lt(w.now - w.faulted, 50000);
    world_clear(&w);
}
END_TEST

/* The builder's image was not made in this run. */
START_TEST(a_builder_without_an_image)
{
    struct world w;
    world_init(&w);
    w.fault_for_ever = true;
    w.fault_kind = ACT_RUN;
    w.fault = OUTCOME_FAILED;
    w.fault_code = "InvalidAMIID.NotFound";
    bake(&w);
    check_end(&w);
    ck_assert_msg(str_eq(w.b.error.code, "InvalidAMIID.NotFound") && w.n == 1, "%s", strbuf_str(&w.log));
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

/* EC2 cannot be reached for a while: whoever is not seen then is not gone. */
START_TEST(an_outage)
{
    struct world w;
    world_init(&w);
    w.outage = OUTAGE_MS;
    bake(&w);
    check_end(&w);
    ck_assert_msg(w.b.error.domain == ERROR_NONE && bake_is_proven(&w.b), "%s", w.b.error.message);
    world_clear(&w);
}
END_TEST

/* One look among hundreds that nobody can read is asked for again. */
START_TEST(an_unreadable_look)
{
    struct world w;
    AUTO_STRLIST acts = { 0 };
    world_init(&w);
    bake(&w);
    strlist_split(&acts, strbuf_str(&w.log), " ");
    world_clear(&w);
    for (size_t at = 0; at < acts.n && !str_eq(acts.v[at], "mark"); at++) {
        if (!str_is_one_of(acts.v[at], "look console leftovers"))
            continue;
        world_init(&w);
        w.fault_at = at + 1;
        w.fault = OUTCOME_FAILED;
        w.unreadable = true;
        bake(&w);
        check_end(&w);
        ck_assert_msg(w.b.error.domain == ERROR_NONE && bake_is_proven(&w.b), "%s: %s", acts.v[at], w.b.error.message);
        world_clear(&w);
    }
}
END_TEST

/* And if nobody can read any, that is told. */
START_TEST(unreadable_looks)
{
    struct world w;
    world_init(&w);
    w.fault_for_ever = w.unreadable = true;
    w.fault_kind = ACT_LOOK;
    w.fault = OUTCOME_FAILED;
    bake(&w);
    check_end(&w);
    ck_assert_msg(str_eq(w.b.error.message, "scripted") && w.now < 200000, "%s", w.b.error.message);
    world_clear(&w);
}
END_TEST

/* The image is worth waiting for. */
START_TEST(a_smoke_boot_that_has_to_wait)
{
    struct world w;
    world_init(&w);
    bake(&w);
    AUTO_STRLIST acts = { 0 };
    size_t at = 1;
    strlist_split(&acts, strbuf_str(&w.log), " ");
    while (!str_eq(acts.v[at], "run"))
        at++;
    world_clear(&w);
    world_init(&w);
    w.fault_at = at + 1;
    w.fault = OUTCOME_THROTTLED;
    bake(&w);
    check_end(&w);
    ck_assert_msg(w.b.error.domain == ERROR_NONE && bake_is_proven(&w.b), "%s", w.b.error.message);
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

static size_t count_actions(void)
{
    struct world w;
    world_with_older(&w);
    bake(&w);
    size_t n = w.n;
    ck_assert(str_eq(w.at[0].old[2].state, "gone") && str_eq(w.at[0].old[1].deprecated, DEPRECATED_AT));
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

/* A signal at that action; later > 0: and the answer so many actions later is lost. */
static void bake_with_signal(struct world *w, size_t at, size_t later)
{
    w->signal_at = at;
    if (later > 0) {
        w->fault_at = at + later;
        w->fault = OUTCOME_AMBIGUOUS;
        w->fault_has_effect = true;
    }
    bake(w);
    check_end(w);
}

/* A signal at every action, and then an answer to the one in flight, or a lost one after it. */
START_TEST(a_signal_anywhere)
{
    size_t n = count_actions();
    for (size_t at = 1; at <= n; at++) {
        struct world w;
        world_with_older(&w);
        bake_with_signal(&w, at, (size_t)_i);
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
    w.at[0].used = "ami-1";
    bake(&w);
    check_end(&w);
    ck_assert(w.b.error.domain == ERROR_NONE);
    ck_assert_str_eq(w.at[0].old[0].state, "available");
    ck_assert_str_eq(w.at[0].old[1].state, "available");
    ck_assert_str_eq(w.at[0].old[2].state, "available");
    ck_assert_str_eq(w.at[0].old[3].state, _i == 1 ? "available" : "gone");
    ck_assert_str_eq(w.at[0].old[4].state, "available");
    ck_assert_str_eq(w.at[0].old[5].state, "gone");
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
    w.at[0].old[6].deprecated = "2023-11-08T00:00:00.000Z"; /* by the bake after it: that is not put off */
    w.at[0].used = "ami-1";                                 /* beyond --keep, and it stays */
    bake(&w);
    check_end(&w);
    ck_assert(w.b.error.domain == ERROR_NONE && w.b.home->pruning.domain == ERROR_NONE);
    for (size_t i = 0; i < w.at[0].n_old; i++) {
        ck_assert_str_eq(w.at[0].old[i].state, "available");
        ck_assert_pstr_eq(w.at[0].old[i].deprecated, want[i]);
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
    ck_assert(bake_is_proven(&w.b) && w.b.home->published && w.b.error.domain == ERROR_NONE);
    ck_assert((w.b.home->pruning.domain == ERROR_NONE) == (_i == 0));
    AUTO_FREE char *why = error_format(&w.b.home->pruning);
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

/* --- copies ---------------------------------------------------------------------------------------------------------
 */

static void world_with_copies(struct world *w)
{
    world_with_older(w);
    w->config.smoke = false; /* which copies know nothing of */
    w->quick = true;
    for (size_t i = 1; i < PLACES; i++) {
        strlist_add(&w->copies, regions[i]);
        put_old_at(w, i, "ami-new", EPOCH, NULL, NULL);
        put_old_at(w, i, "ami-4", "2023-11-04T00:00:00.000Z", NULL, NULL);
        put_old_at(w, i, "ami-3", "2023-11-03T00:00:00.000Z", NULL, NULL);
    }
}

/* All that a bake does in a region was done there. */
static void check_done(const struct world *w, size_t i)
{
    const struct place *p = &w->at[i];
    ck_assert_msg(w->b.regions[i].error.domain == ERROR_NONE, "%s: %s", regions[i], w->b.regions[i].error.message);
    ck_assert(w->b.regions[i].published && p->image && !p->limited && p->shared);
    ck_assert_str_eq(p->parameter, "ami-new");
    ck_assert_str_eq(p->previous, "ami-0123456789abcdef0");
    ck_assert_str_eq(p->old[1].deprecated, DEPRECATED_AT);
    ck_assert_str_eq(p->old[2].state, "gone");
}

/* Nothing of this bake is there, and nothing else was touched. */
static void check_undone(const struct world *w, size_t i)
{
    const struct place *p = &w->at[i];
    AUTO_FREE char *left = bake_leftovers(&w->b);
    bool told = left && strstr(left, "snapshots that nobody could look up, of ami-new in s");
    ck_assert_int_ne(w->b.regions[i].error.domain, ERROR_NONE);
    ck_assert(!p->image && (p->snapshots == 0 || told));
    ck_assert_str_eq(p->parameter, "ami-0123456789abcdef0");
    ck_assert_str_eq(p->old[2].state, "available");
    ck_assert_ptr_null(p->old[1].deprecated);
}

static void fault_in_s(struct world *w, enum act_kind kind, enum outcome outcome, const char *code)
{
    w->fault_for_ever = true;
    w->fault_kind = kind;
    w->fault_part = 1;
    w->fault = outcome;
    w->fault_code = code;
}

START_TEST(copies)
{
    struct world w;
    world_with_copies(&w);
    bake(&w);
    check_end(&w);
    ck_assert_int_eq(w.b.error.domain, ERROR_NONE);
    for (size_t i = 0; i < PLACES; i++)
        check_done(&w, i);
    ck_assert(strlen(w.at[1].token) <= 64 && !str_eq(w.at[1].token, w.at[2].token));
    const char *told = strbuf_str(&w.told);
    ck_assert_ptr_nonnull(strstr(told, "\ns: ami-new, " NAME "\n"));
    ck_assert_ptr_nonnull(strstr(told, "\nt: available\n"));
    ck_assert_ptr_nonnull(strstr(told, "\ns: published in /p\n"));
    ck_assert_ptr_nonnull(strstr(told, "\nt: ami-3 goes\n"));
    world_clear(&w);
}
END_TEST

/* Copying takes as long as the longest, not as long as all. */
START_TEST(copies_go_at_once)
{
    struct world one, two;
    world_with_copies(&one);
    world_with_copies(&two);
    strlist_clear(&one.copies);
    strlist_add(&one.copies, "s");
    bake(&one);
    bake(&two);
    ck_assert_int_lt(two.now - one.now, IMAGE_MS / 2);
    world_clear(&one);
    world_clear(&two);
}
END_TEST

/* The other regions are done all the same, and so is the home region. */
static const struct {
    enum act_kind kind;
    enum outcome outcome;
    const char *code, *says;
} bad_copies[] = {
    { ACT_COPY, OUTCOME_FAILED, "UnauthorizedOperation", "UnauthorizedOperation: scripted" },
    { ACT_COPY, OUTCOME_FAILED, "OptInRequired", "OptInRequired" },
    { ACT_COPY, OUTCOME_TOKEN_USED, "IdempotentParameterMismatch", "IdempotentParameterMismatch" },
    { ACT_COPY, OUTCOME_FAILED, "InvalidAMIID.NotFound", "InvalidAMIID.NotFound" },
    { ACT_COPY, OUTCOME_FAILED, "ResourceLimitExceeded",
      "the copy is not available after 1800 s; the last from EC2: ResourceLimitExceeded" },
    { ACT_COPY, OUTCOME_THROTTLED, "RequestLimitExceeded", "the last from EC2: RequestLimitExceeded" },
    { ACT_COPY, OUTCOME_AMBIGUOUS, NULL, "the copy is not available after 1800 s" },
    { ACT_LEFTOVERS, OUTCOME_FAILED, "UnauthorizedOperation", "UnauthorizedOperation" },
    { ACT_LEFTOVERS, OUTCOME_THROTTLED, "RequestLimitExceeded", "the copy is not available after 1800 s" },
    { ACT_MARK, OUTCOME_FAILED, "UnauthorizedOperation", "UnauthorizedOperation" },
    { ACT_SHARE, OUTCOME_FAILED, "InvalidAMIAttributeItemValue", "InvalidAMIAttributeItemValue" },
    { ACT_GET_PARAMETER, OUTCOME_FAILED, "AccessDeniedException", "not published in /p: AccessDeniedException" },
    { ACT_PUT_PARAMETER, OUTCOME_FAILED, "AccessDeniedException", "not published in /p: AccessDeniedException" },
    { ACT_PUT_PARAMETER, OUTCOME_THROTTLED, "ThrottlingException", "not published in /p: ThrottlingException" },
};

START_TEST(a_copy_fails)
{
    struct world w;
    world_with_copies(&w);
    fault_in_s(&w, bad_copies[_i].kind, bad_copies[_i].outcome, bad_copies[_i].code);
    bake(&w);
    check_end(&w);
    ck_assert_int_eq(w.b.error.domain, ERROR_NONE);
    check_done(&w, 0);
    check_done(&w, 2);
    check_undone(&w, 1);
    ck_assert_msg(w.at[1].limited == (w.at[1].image_at > 0 && bad_copies[_i].kind != ACT_PUT_PARAMETER),
                  "a reaper would not have known it");
    AUTO_FREE char *why = error_format(&w.b.regions[1].error);
    ck_assert_msg(strstr(why, bad_copies[_i].says), "%s", why);
    AUTO_FREE char *left = bake_leftovers(&w.b);
    /* where it cannot be listed, nobody knows whether one was made and which snapshots it has */
    ck_assert_msg(!left || bad_copies[_i].kind == ACT_LEFTOVERS || bad_copies[_i].outcome == OUTCOME_AMBIGUOUS, "%s",
                  left);
    world_clear(&w);
}
END_TEST

START_TEST(a_copy_that_becomes_nothing)
{
    struct world w;
    world_with_copies(&w);
    w.at[1].image_fails = _i == 0;
    w.at[1].image_at = _i == 1 ? 100 * TIMEOUT_MS : 0; /* pending for ever */
    bake(&w);
    check_end(&w);
    check_done(&w, 0);
    check_done(&w, 2);
    check_undone(&w, 1);
    AUTO_FREE char *why = error_format(&w.b.regions[1].error), *left = bake_leftovers(&w.b);
    ck_assert_msg(strstr(why, _i ? "the copy is not available after 1800 s" : "ami-new is failed: no key"), "%s", why);
    ck_assert_ptr_null(left);
    world_clear(&w);
}
END_TEST

/* CopyImage whose answer never came, with its effect or without; seen at once or late; EC2 knows its token, or says
 * that the name is taken. */
START_TEST(a_lost_copy)
{
    struct world w;
    AUTO_STRLIST acts = { 0 };
    size_t at = 0;
    world_with_copies(&w);
    bake(&w);
    strlist_split(&acts, strbuf_str(&w.log), " ");
    while (!str_eq(acts.v[at], "scopy"))
        at++;
    world_clear(&w);
    world_with_copies(&w);
    w.fault_at = at + 1;
    w.fault = OUTCOME_AMBIGUOUS;
    w.fault_has_effect = _i & 1;
    w.at[1].image_lags = _i & 2;
    w.at[1].taken = _i & 4;
    bake(&w);
    check_end(&w);
    for (size_t i = 0; i < PLACES; i++)
        check_done(&w, i);
    world_clear(&w);
}
END_TEST

/* Another region may see the new image a little later. */
START_TEST(a_source_that_is_not_seen_yet)
{
    struct world w;
    world_with_copies(&w);
    bake(&w);
    AUTO_STRLIST acts = { 0 };
    size_t at = 0;
    strlist_split(&acts, strbuf_str(&w.log), " ");
    while (!str_eq(acts.v[at], "tcopy"))
        at++;
    world_clear(&w);
    world_with_copies(&w);
    w.fault_at = at + 1;
    w.fault = OUTCOME_FAILED;
    w.fault_code = _i ? "InvalidAMIID.Unavailable" : "InvalidAMIID.NotFound";
    bake(&w);
    check_end(&w);
    check_done(&w, 2);
    world_clear(&w);
}
END_TEST

/* What its parameter may name is never removed. */
START_TEST(a_copy_that_may_be_published)
{
    struct world w;
    world_with_copies(&w);
    w.at[1].parameter = NULL; /* nothing to save: the first is the publication */
    fault_in_s(&w, ACT_PUT_PARAMETER, OUTCOME_AMBIGUOUS, NULL);
    w.fault_has_effect = _i;
    bake(&w);
    check_end(&w);
    check_done(&w, 2);
    ck_assert(w.at[1].image && !w.at[1].limited && w.b.regions[1].named);
    ck_assert(w.b.regions[1].published == (_i == 1)); /* it is read back */
    ck_assert((w.b.regions[1].error.domain == ERROR_NONE) == (_i == 1));
    world_clear(&w);
}
END_TEST

/* By the last request: it is known not to be published, and goes. */
START_TEST(a_copy_that_is_refused_last)
{
    struct world w;
    world_with_copies(&w);
    w.at[1].parameter = NULL;
    fault_in_s(&w, ACT_PUT_PARAMETER, OUTCOME_FAILED, "AccessDeniedException");
    bake(&w);
    check_end(&w);
    check_done(&w, 2);
    ck_assert(!w.at[1].limited && !w.at[1].image && w.at[1].snapshots == 0 && !w.at[1].parameter);
    world_clear(&w);
}
END_TEST

/* It is proven: what goes wrong at home then keeps nobody else from having it. */
START_TEST(home_is_not_published)
{
    struct world w;
    world_with_copies(&w);
    bake(&w);
    AUTO_STRLIST acts = { 0 };
    size_t at = 0;
    strlist_split(&acts, strbuf_str(&w.log), " ");
    while (!str_eq(acts.v[at], _i ? "put-parameter" : "get-parameter"))
        at++;
    world_clear(&w);
    world_with_copies(&w);
    w.fault_at = at + 1;
    w.fault = OUTCOME_FAILED;
    bake(&w);
    check_end(&w);
    ck_assert(bake_is_proven(&w.b) && w.b.error.domain != ERROR_NONE && !w.b.home->published);
    check_done(&w, 1);
    check_done(&w, 2);
    world_clear(&w);
}
END_TEST

/* Until the mark is off that the reaper goes by, whatever is refused undoes the image; what passes is asked for again.
 */
START_TEST(home_is_not_kept)
{
    static const struct {
        enum outcome outcome;
        const char *code;
        bool passes;
    } refusals[] = {
        { OUTCOME_FAILED, "InvalidAMIAttributeItemValue", false }, { OUTCOME_FAILED, "UnauthorizedOperation", false },
        { OUTCOME_FAILED, "InvalidAMIID.NotFound", true },         { OUTCOME_FAILED, "InvalidAMIID.Unavailable", true },
        { OUTCOME_THROTTLED, "RequestLimitExceeded", true },       { OUTCOME_AMBIGUOUS, NULL, true },
    };
    static const enum act_kind kinds[] = { ACT_SHARE, ACT_MARK };
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        for (size_t f = 0; f < ARRAY_SIZE(refusals); f++) {
            struct world w;
            world_with_copies(&w);
            fault_in_s(&w, kinds[k], refusals[f].outcome, refusals[f].code);
            w.fault_part = 0;
            w.fault_for_ever = _i == 0;
            w.fault_once = _i == 1;
            bake(&w);
            check_end(&w);
            AUTO_FREE char *left = bake_leftovers(&w.b);
            AUTO_FREE char *why = error_format(&w.b.error);
            ck_assert_msg(!left, "%s", left);
            if (_i == 1 && refusals[f].passes) {
                ck_assert_msg(w.b.error.domain == ERROR_NONE, "%s", why);
                for (size_t i = 0; i < PLACES; i++)
                    check_done(&w, i);
            } else {
                check_undone(&w, 0);
                ck_assert_ptr_null(strstr(strbuf_str(&w.log), "copy"));
                ck_assert_ptr_null(strstr(strbuf_str(&w.log), "parameter"));
                ck_assert_msg(k || strstr(why, "sharing the image ami-new with 123456789012: "), "%s", why);
                ck_assert(kinds[k] == ACT_MARK || w.at[0].limited);
            }
            world_clear(&w);
        }
    }
}
END_TEST

/* What is not proven is nowhere copied to. */
START_TEST(no_copies_of_the_unproven)
{
    struct world w;
    world_with_copies(&w);
    w.config.smoke = true;
    w.quick = false;
    w.ways[ends[_i].role] = ends[_i].way;
    bake(&w);
    check_end(&w);
    ck_assert_ptr_null(strstr(strbuf_str(&w.log), "copy"));
    ck_assert(w.b.regions[1].error.domain == ERROR_NONE && w.b.regions[1].phase == REGION_IDLE);
    world_clear(&w);
}
END_TEST

START_TEST(copies_without_extras)
{
    struct world w;
    world_with_copies(&w);
    w.config.parameter = NULL;
    w.config.share = NULL;
    w.config.keep = 0;
    w.config.deprecate_after = 0;
    bake(&w);
    ck_assert(w.b.error.domain == ERROR_NONE && bake_is_proven(&w.b));
    for (size_t i = 1; i < PLACES; i++) {
        ck_assert(w.at[i].image && !w.at[i].limited && w.b.regions[i].error.domain == ERROR_NONE);
        ck_assert(!w.b.regions[i].published && !w.at[i].shared);
    }
    world_clear(&w);
}
END_TEST

/* How many actions there are until the first copy is asked for, and in all. */
static size_t count_copying(size_t *ret_first)
{
    struct world w;
    AUTO_STRLIST acts = { 0 };
    world_with_copies(&w);
    bake(&w);
    size_t n = w.n;
    strlist_split(&acts, strbuf_str(&w.log), " ");
    *ret_first = 0;
    while (!str_eq(acts.v[*ret_first], "scopy"))
        ++*ret_first;
    world_clear(&w);
    return n;
}

/* Every way to fail, at every action from there on: of the three regions two are done, or home is not published. */
START_TEST(a_fault_anywhere_in_copying)
{
    size_t first, n = count_copying(&first);
    for (size_t at = first; at <= n; at++) {
        struct world w;
        size_t done = 0;
        world_with_copies(&w);
        w.fault_at = at;
        w.fault = faults[_i].outcome;
        w.fault_has_effect = faults[_i].has_effect;
        bake(&w);
        check_end(&w);
        for (size_t i = 0; i < PLACES; i++)
            done += str_eq(w.at[i].parameter, "ami-new");
        ck_assert_msg(done >= PLACES - 1, "%zu regions done: %s", done, strbuf_str(&w.log));
        world_clear(&w);
    }
}
END_TEST

/* As a_signal_anywhere. What is published stays, what is not is undone in time. */
START_TEST(a_signal_anywhere_in_copying)
{
    size_t first, n = count_copying(&first);
    for (size_t at = first - 5; at <= n; at++) {
        struct world w;
        world_with_copies(&w);
        bake_with_signal(&w, at, (size_t)_i);
        ck_assert_msg(w.b.error.domain == (w.signalled ? ERROR_CANCELLED : ERROR_NONE), "at %zu of %zu", at, n);
        world_clear(&w);
    }
}
END_TEST

/* Nothing answers after the signal: it ends in time, and says what may be left. */
START_TEST(a_signal_and_no_answer)
{
    size_t first, n = count_copying(&first);
    for (size_t at = first; at <= n; at += 3) {
        struct world w;
        world_with_copies(&w);
        w.signal_at = at;
        w.mute = true;
        bake(&w);
        ck_assert_int_le(w.now - w.signalled, 8000);
        AUTO_FREE char *left = bake_leftovers(&w.b);
        for (size_t i = 1; i < PLACES; i++) {
            const struct bake_region *r = &w.b.regions[i];
            bool there = w.at[i].image && !str_eq(w.at[i].parameter, "ami-new");
            ck_assert_msg(!there || left || bake_region_is_named(r), "%s: %s", regions[i], strbuf_str(&w.log));
        }
        world_clear(&w);
    }
}
END_TEST

static TCase *bakes(void)
{
    TCase *t = tcase_create("bakes");
    tcase_add_test(t, a_bake);
    tcase_add_test(t, it_looks_less_and_less);
    tcase_add_test(t, without_the_extras);
    tcase_add_test(t, the_first_publication_has_nothing_to_save);
    tcase_add_loop_test(t, it_may_be_published, 0, 3);
    tcase_add_loop_test(t, nobody_knows_whether_it_is_published, 0, 4);
    tcase_add_loop_test(t, a_bad_end, 0, ARRAY_SIZE(ends));
    tcase_add_test(t, an_image_that_fails);
    tcase_add_loop_test(t, a_lost_image, 0, 4);
    tcase_add_loop_test(t, an_image_that_has_to_wait, 0, 3);
    tcase_add_loop_test(t, what_is_not_seen_yet, 0, ARRAY_SIZE(unseens));
    tcase_add_loop_test(t, what_will_not_be_seen, 0, ARRAY_SIZE(finals));
    tcase_add_test(t, a_builder_without_an_image);
    tcase_add_test(t, an_old_console);
    tcase_add_test(t, an_outage);
    tcase_add_test(t, an_unreadable_look);
    tcase_add_test(t, unreadable_looks);
    tcase_add_test(t, a_smoke_boot_that_has_to_wait);
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

static TCase *copying(void)
{
    TCase *t = tcase_create("copying");
    tcase_add_test(t, copies);
    tcase_add_test(t, copies_go_at_once);
    tcase_add_loop_test(t, a_copy_fails, 0, ARRAY_SIZE(bad_copies));
    tcase_add_loop_test(t, a_copy_that_becomes_nothing, 0, 2);
    tcase_add_loop_test(t, a_lost_copy, 0, 8);
    tcase_add_loop_test(t, a_source_that_is_not_seen_yet, 0, 2);
    tcase_add_loop_test(t, a_copy_that_may_be_published, 0, 2);
    tcase_add_test(t, a_copy_that_is_refused_last);
    tcase_add_loop_test(t, home_is_not_published, 0, 2);
    tcase_add_loop_test(t, home_is_not_kept, 0, 2);
    tcase_add_loop_test(t, no_copies_of_the_unproven, 0, ARRAY_SIZE(ends));
    tcase_add_test(t, copies_without_extras);
    tcase_add_loop_test(t, a_fault_anywhere_in_copying, 0, ARRAY_SIZE(faults));
    tcase_add_loop_test(t, a_signal_anywhere_in_copying, 0, 4);
    tcase_add_test(t, a_signal_and_no_answer);
    tcase_set_timeout(t, 60);
    return t;
}

int main(void)
{
    static TCase *(*const cases[])(void) = { bakes, copying };
    return run_suite("bake", cases, ARRAY_SIZE(cases));
}
