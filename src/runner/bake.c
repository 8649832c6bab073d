#include "mayfly/runner/bake.h"

#include "mayfly/runner/tags.h"

enum {
    IMAGE_UNSEEN_MS = 60000, /* an image whose making was never confirmed is asked for again then */
    IMAGE_BUSY_MS = 5000,    /* the instance is in a state that passes */
    FIND_MS = 30000,         /* when all is undone, an image that may exist is looked for so long */
    RETRY_MS = 2000,
    PATIENCE_MS = 8000,   /* ends that fail for now are asked for again so long */
    HURRY_MS = 6500,      /* after a signal; GitHub kills after 10 s */
    HURRY_LOOK_MS = 4500, /* before the end: what CreateImage has not answered by then is looked for */
    HURRY_FIND_MS = 3000,
    GIVE_UP_MS = 500,
    LOST_MAX = 3, /* answers of PutParameter */
};
enum { LIST_OF_IMAGE, LIST_OF_OLD }; /* `who` of ACT_LEFTOVERS */

static void wake_at(struct bake *b, int64_t when)
{
    if (when < b->machine.wake)
        b->machine.wake = when;
}

static void tell(const struct bake *b, const char *who, const char *what)
{
    b->config->tell(b->config->ctx, who, what);
}

bool bake_is_proven(const struct bake *b)
{
    return b->phase > BAKE_KEEP;
}

/* The first failure is the one that is told. Before the image is proven all is undone. */
void bake_fail(struct bake *b, const struct error *why)
{
    if (b->error.domain == ERROR_NONE)
        error_copy(&b->error, why);
    if (bake_is_proven(b))
        b->phase = BAKE_DONE;
    else
        b->undoing = true;
}

/* --- removals: an image, then its snapshots -------------------------------------------------------------------------
 */

static void add_removal(struct bake *b, const char *id, const struct strlist *snapshots)
{
    b->removals = xreallocarray(b->removals, b->n_removals + 1, sizeof(*b->removals));
    struct bake_removal *r = &b->removals[b->n_removals++];
    *r = (struct bake_removal){ .id = xstrdup(id) };
    for (size_t i = 0; i < snapshots->n; i++)
        strlist_add(&r->snapshots, snapshots->v[i]);
}

static void work_removal(struct bake *b, size_t n, int64_t now, struct acts *acts)
{
    struct bake_removal *r = &b->removals[n];
    if (r->done || r->asked)
        return;
    if (now < r->ask_at) {
        wake_at(b, r->ask_at);
        return;
    }
    r->asked = true;
    acts_add(acts, (struct act){ .kind = ACT_REMOVE,
                                 .who = n,
                                 .region = b->config->image.region,
                                 .leftover = r->image_gone ? EC2_SNAPSHOT : EC2_IMAGE,
                                 .name = r->image_gone ? r->snapshots.v[r->next] : r->id });
}

static void answer_remove(struct bake *b, const struct event *e)
{
    struct bake_removal *r = &b->removals[e->who];
    r->asked = false;
    bool gone = e->outcome == OUTCOME_OK || ec2_leftover_is_gone(e->error);
    /* A snapshot is in use for a moment after its image has gone. */
    bool passes =
        !gone && (e->outcome == OUTCOME_THROTTLED || e->outcome == OUTCOME_AMBIGUOUS || ec2_leftover_is_used(e->error));
    if (r->give_up_at == 0)
        r->give_up_at = e->now + PATIENCE_MS;
    if (passes && e->now < r->give_up_at) {
        r->ask_at = e->now + RETRY_MS;
        return;
    }
    if (!gone && r->error.domain == ERROR_NONE)
        error_copy(&r->error, e->error);
    if (!gone && !r->image_gone) { /* which holds its snapshots */
        r->done = true;
        return;
    }
    r->next += r->image_gone;
    r->image_gone = true;
    r->give_up_at = 0;
    r->done = r->next == r->snapshots.n;
}

/* --- the image ------------------------------------------------------------------------------------------------------
 */

static void list_image(struct bake *b, struct acts *acts)
{
    b->image.looking = true;
    acts_add(acts, (struct act){ .kind = ACT_LEFTOVERS,
                                 .who = LIST_OF_IMAGE,
                                 .region = b->config->image.region,
                                 .leftover = EC2_IMAGE,
                                 .filters = b->by_name,
                                 .n_filters = 1,
                                 .by_page = true });
}

static void work_image(struct bake *b, int64_t now, struct acts *acts)
{
    if (b->image.asked || b->image.looking)
        return;
    if (now < b->image.ask_at) {
        wake_at(b, b->image.ask_at);
        return;
    }
    if (b->image.maybe) {
        b->image.ask_at = now + bake_ease(now - b->image.since);
        list_image(b, acts);
        return;
    }
    b->new_image = b->config->image;
    b->new_image.instance_id = b->boxes[BAKE_BUILDER].pair.instance_id;
    b->image.asked = true;
    acts_add(acts, (struct act){ .kind = ACT_IMAGE, .region = b->new_image.region, .image = &b->new_image });
}

static void may_exist(struct bake *b, int64_t now)
{
    b->image.maybe = true;
    b->image.since = b->image.ask_at = now;
}

static void answer_image(struct bake *b, const struct event *e)
{
    const char *code = e->outcome == OUTCOME_OK ? "" : e->error->code ? e->error->code : "";
    if (!b->image.asked) /* it was not waited for */
        return;
    b->image.asked = false;
    if (e->outcome == OUTCOME_OK) {
        str_set(&b->image.id, e->text);
        may_exist(b, e->now);
        AUTO_FREE char *what = xasprintf("%s, %s", e->text, b->config->image.name);
        tell(b, "image", what);
    } else if (e->outcome == OUTCOME_AMBIGUOUS || str_eq(code, "InvalidAMIName.Duplicate")) {
        b->image.unsure = true; /* nobody else has this name, so that an earlier attempt made it */
        may_exist(b, e->now);
    } else if (e->outcome == OUTCOME_THROTTLED || str_is_one_of(code, "IncorrectState IncorrectInstanceState")) {
        b->image.ask_at = e->now + IMAGE_BUSY_MS; /* until the deadline */
    } else {
        bake_fail(b, e->error);
    }
}

/* It is not in the list (yet). */
static void image_unseen(struct bake *b, int64_t now)
{
    AUTO_ERROR err = { 0 };
    if (b->undoing || now - b->image.since < IMAGE_UNSEEN_MS)
        return;
    if (b->image.unsure && !b->image.id) { /* its name makes it one and the same */
        b->image.maybe = b->image.unsure = false;
        return;
    }
    error_set(&err, ERROR_AWS, 0, "EC2 does not know the image %s, which it made", b->image.id);
    bake_fail(b, &err);
}

static void see_image(struct bake *b, const struct ec2_leftover *row)
{
    static const char *const ends[] = { "failed", "error", "invalid", "deregistered", "disabled" };
    b->image.listed = true;
    str_set(&b->image.id, row->id);
    strlist_clear(&b->image.snapshots);
    for (size_t i = 0; i < row->snapshots.n; i++)
        strlist_add(&b->image.snapshots, *FIELD_ROW(&row->snapshots, const char *, i));
    if (!str_eq(b->image.state, row->state) && row->state) {
        str_set(&b->image.state, row->state);
        tell(b, "image", row->state);
    }
    for (size_t i = 0; i < ARRAY_SIZE(ends) && !b->undoing; i++) {
        AUTO_ERROR err = { 0 };
        if (!str_eq(row->state, ends[i]))
            continue;
        error_set(&err, ERROR_AWS, 0, "the image %s is %s%s%s", row->id, row->state, row->reason ? ": " : "",
                  row->reason ? row->reason : "");
        error_hint(&err, "bake again; an encrypted volume needs a key that these credentials may use");
        bake_fail(b, &err);
    }
}

static void answer_list_of_image(struct bake *b, const struct event *e)
{
    bool seen = false;
    b->image.looking = e->kind == EVENT_PAGE;
    for (size_t i = 0; e->outcome == OUTCOME_OK && i < e->n_leftovers; i++) {
        if (!str_eq(e->leftovers[i].name, b->config->image.name))
            continue;
        see_image(b, &e->leftovers[i]);
        seen = true;
    }
    if (e->outcome == OUTCOME_FAILED && !b->undoing)
        bake_fail(b, e->error);
    else if (e->outcome == OUTCOME_OK && !seen && !b->image.listed && !b->image.looking)
        image_unseen(b, e->now);
}

/* --- older images ---------------------------------------------------------------------------------------------------
 */

static int newest_first(const void *a, const void *b)
{
    const struct bake_old *x = a, *y = b;
    int by_date = strcmp(y->created ? y->created : "", x->created ? x->created : "");
    return by_date ? by_date : strcmp(y->id, x->id);
}

void bake_choose(struct bake_old *v, size_t n, size_t keep, const struct strlist *spared)
{
    size_t proven = 0;
    if (n > 0)
        qsort(v, n, sizeof(*v), newest_first);
    for (size_t i = 0; i < n; i++) {
        bool beyond = v[i].proven ? ++proven > keep : v[i].late;
        v[i].goes = beyond && !v[i].kept && !strlist_has(spared, v[i].id);
    }
}

static void take_old(struct bake *b, const struct ec2_leftover *row, int64_t cloud_now)
{
    struct limits limits = LIMITS_DEFAULT;
    const char *life = ec2_leftover_tag(row, TAG_LIMITS);
    int64_t created = ec2_leftover_created(row), age = created ? cloud_now - created : 0;
    if (!str_eq(ec2_leftover_tag(row, TAG_NAME), b->config->name))
        return;
    b->old = xreallocarray(b->old, b->n_old + 1, sizeof(*b->old));
    struct bake_old *o = &b->old[b->n_old++];
    *o = (struct bake_old){ .id = xstrdup(row->id),
                            .created = row->created ? xstrdup(row->created) : NULL,
                            .proven = !life,
                            .deprecated = !str_empty(row->deprecated),
                            .kept = ec2_leftover_tag(row, TAG_KEEP) != NULL };
    if (life && limits_parse(life, &limits))
        o->late = age > limits.life;
    for (size_t i = 0; i < row->snapshots.n; i++)
        strlist_add(&o->snapshots, *FIELD_ROW(&row->snapshots, const char *, i));
}

static void choose_old(struct bake *b)
{
    strlist_add(&b->spared, b->image.id);
    if (b->previous)
        strlist_add(&b->spared, b->previous);
    bake_choose(b->old, b->n_old, b->config->keep, &b->spared);
    for (size_t i = 0; i < b->n_old; i++)
        if (b->old[i].goes)
            strlist_add(&b->going, b->old[i].id);
}

/* What instances run, of whatever fleet, stays. */
static void remove_unused(struct bake *b, const struct event *e)
{
    for (size_t i = 0; i < e->n_instances; i++)
        if (e->instances[i].image)
            strlist_add(&b->spared, e->instances[i].image);
    for (size_t i = 0; i < b->n_old; i++) {
        AUTO_FREE char *what = xasprintf("%s goes", b->old[i].id);
        b->old[i].goes = b->old[i].goes && !strlist_has(&b->spared, b->old[i].id);
        if (!b->old[i].goes)
            continue;
        tell(b, "image", what);
        add_removal(b, b->old[i].id, &b->old[i].snapshots);
    }
}

int64_t bake_deprecate_at(int64_t now, int64_t after)
{
    return ((now + after) / 60 + 2) * 60;
}

/* One that is kept is not touched. */
static bool is_to_age(const struct bake *b, const struct bake_old *o)
{
    return o->proven && !o->goes && !o->kept && !o->deprecated && !str_eq(o->id, b->image.id);
}

/* True: there is one more. */
static bool next_to_age(struct bake *b)
{
    while (b->aging < b->n_old && !is_to_age(b, &b->old[b->aging]))
        b->aging++;
    return b->config->deprecate_after > 0 && b->aging < b->n_old;
}

static void take_deprecated(struct bake *b)
{
    struct bake_old *o = &b->old[b->aging];
    AUTO_FREE char *what = xasprintf("%s is deprecated from %s", o->id, b->deprecate_at.s);
    o->deprecated = true;
    tell(b, "image", what);
}

/* --- phases of one action
 * --------------------------------------------------------------------------------------------- */

static void begin(struct bake *b, struct acts *acts, struct act act)
{
    if (b->asked)
        return;
    b->asked = true;
    b->asked_in = b->phase;
    act.region = b->config->image.region;
    acts_add(acts, act);
}

static void begin_keep(struct bake *b, struct acts *acts)
{
    strlist_clear(&b->ids);
    strlist_add(&b->ids, b->image.id);
    for (size_t i = 0; i < b->image.snapshots.n; i++)
        strlist_add(&b->ids, b->image.snapshots.v[i]);
    begin(b, acts, (struct act){ .kind = ACT_MARK, .tag = TAG_LIMITS, .ids = &b->ids });
}

static void prune_failed(struct bake *b, const struct error *why)
{
    error_copy(&b->pruning, why);
    if (b->phase == BAKE_DEPRECATE)
        error_prefix(&b->pruning, "the image %s could not be deprecated", b->old[b->aging].id);
    else
        error_prefix(&b->pruning, "older images could not be looked at");
    b->phase = BAKE_DONE;
}

static void published(struct bake *b)
{
    b->published = true;
    b->phase = BAKE_LIST;
    AUTO_FREE char *what = xasprintf("published in %s", b->config->parameter);
    tell(b, "image", what);
}

static void answer_parameter(struct bake *b, const struct event *e)
{
    AUTO_ERROR err = { 0 };
    bool absent = b->phase == BAKE_READ && e->outcome != OUTCOME_OK && str_eq(e->error->code, "ParameterNotFound");
    if (b->phase != BAKE_READ && e->outcome == OUTCOME_AMBIGUOUS && ++b->lost_answers < LOST_MAX) {
        b->phase = BAKE_READ;
    } else if (e->outcome != OUTCOME_OK && !absent) {
        error_copy(&err, e->error);
        error_prefix(&err, "the image %s is proven, but not published in %s", b->image.id, b->config->parameter);
        bake_fail(b, &err);
    } else if (b->phase == BAKE_PUBLISH || (!absent && b->phase == BAKE_READ && str_eq(e->text, b->image.id))) {
        published(b);
    } else if (b->phase == BAKE_SAVE) {
        b->phase = BAKE_PUBLISH;
    } else if (!absent && ec2_id_is_valid(e->text, "ami")) {
        str_set(&b->previous, e->text);
        b->phase = BAKE_SAVE;
    } else {
        b->phase = BAKE_PUBLISH;
    }
}

/* The answer to the one action of the phase. */
static void answer_phase(struct bake *b, const struct event *e)
{
    b->asked = e->kind == EVENT_PAGE;
    if (b->undoing || b->phase != b->asked_in) { /* a signal came */
        b->published = b->published || (b->asked_in == BAKE_PUBLISH && e->outcome == OUTCOME_OK);
        return;
    }
    bool gone = b->phase == BAKE_DEPRECATE && e->outcome != OUTCOME_OK && ec2_leftover_is_gone(e->error);
    if (e->outcome != OUTCOME_OK && b->phase >= BAKE_LIST && !gone) {
        prune_failed(b, e->error);
        return;
    }
    switch (b->phase) {
    case BAKE_KEEP:
    case BAKE_SHARE:
        if (e->outcome != OUTCOME_OK)
            bake_fail(b, e->error);
        else
            b->phase++;
        break;
    case BAKE_READ:
    case BAKE_SAVE:
    case BAKE_PUBLISH:
        answer_parameter(b, e);
        break;
    case BAKE_LIST:
        for (size_t i = 0; i < e->n_leftovers; i++)
            take_old(b, &e->leftovers[i], e->cloud_now);
        if (b->asked)
            break;
        b->deprecate_at = clock_rfc3339(bake_deprecate_at(e->cloud_now, b->config->deprecate_after));
        if (b->config->keep > 0)
            choose_old(b);
        b->phase = b->going.n ? BAKE_USED : BAKE_REMOVE;
        break;
    case BAKE_USED:
        remove_unused(b, e);
        b->phase = BAKE_REMOVE;
        break;
    case BAKE_DEPRECATE:
        if (gone)
            b->aging++;
        else
            take_deprecated(b);
        break;
    default:
        break;
    }
}

/* --- the whole
 * -------------------------------------------------------------------------------------------------------- */

static bool follow_box(struct bake *b, enum bake_role role, int64_t now)
{
    AUTO_ERROR why = { 0 };
    enum box_state state = bake_box_judge(b, role, now, &why);
    if (state == BOX_FAILED)
        bake_fail(b, &why);
    return state == BOX_DONE;
}

static bool removals_done(const struct bake *b)
{
    for (size_t i = 0; i < b->n_removals; i++)
        if (!b->removals[i].done)
            return false;
    return true;
}

/* Does what the phase asks for. True: another one begins. */
static bool advance(struct bake *b, int64_t now, struct acts *acts)
{
    const struct bake_config *c = b->config;
    enum bake_phase before = b->phase;
    switch (b->phase) {
    case BAKE_BUILD:
        b->phase += follow_box(b, BAKE_BUILDER, now);
        break;
    case BAKE_IMAGE:
        if (str_eq(b->image.state, "available")) {
            b->boxes[BAKE_BUILDER].down = true;
            b->phase = c->smoke ? BAKE_PROVE : BAKE_KEEP;
        } else {
            work_image(b, now, acts);
        }
        break;
    case BAKE_PROVE:
        if (follow_box(b, BAKE_SMOKE, now)) {
            b->boxes[BAKE_SMOKE].down = true;
            b->phase = BAKE_KEEP;
        }
        break;
    case BAKE_KEEP:
        begin_keep(b, acts);
        break;
    case BAKE_SHARE:
        if (c->share && c->share->n > 0)
            begin(b, acts, (struct act){ .kind = ACT_SHARE, .name = b->image.id, .ids = c->share });
        else
            b->phase = c->parameter ? BAKE_READ : BAKE_LIST;
        break;
    case BAKE_READ:
        if (c->parameter)
            begin(b, acts, (struct act){ .kind = ACT_GET_PARAMETER, .name = c->parameter });
        else
            b->phase = BAKE_LIST;
        break;
    case BAKE_SAVE:
        begin(b, acts, (struct act){ .kind = ACT_PUT_PARAMETER, .name = b->previous_name, .mark = b->previous });
        break;
    case BAKE_PUBLISH:
        begin(b, acts, (struct act){ .kind = ACT_PUT_PARAMETER, .name = c->parameter, .mark = b->image.id });
        break;
    case BAKE_LIST:
        if (c->keep == 0 && c->deprecate_after == 0)
            b->phase = BAKE_DONE;
        else
            begin(b, acts,
                  (struct act){ .kind = ACT_LEFTOVERS,
                                .who = LIST_OF_OLD,
                                .leftover = EC2_IMAGE,
                                .filters = b->by_tags,
                                .n_filters = ARRAY_SIZE(b->by_tags),
                                .by_page = true });
        break;
    case BAKE_USED:
        begin(b, acts, (struct act){ .kind = ACT_SCAN, .filters = b->by_use, .n_filters = ARRAY_SIZE(b->by_use) });
        break;
    case BAKE_REMOVE:
        if (removals_done(b))
            b->phase = BAKE_DEPRECATE;
        break;
    case BAKE_DEPRECATE:
        if (b->asked || next_to_age(b))
            begin(b, acts,
                  (struct act){ .kind = ACT_DEPRECATE, .name = b->old[b->aging].id, .mark = b->deprecate_at.s });
        else
            b->phase = BAKE_DONE;
        break;
    case BAKE_DONE:
        break;
    }
    return b->phase != before && !b->undoing;
}

static void take_answer(struct bake *b, const struct event *e)
{
    switch (e->act) {
    case ACT_RUN:
    case ACT_SETTLE:
    case ACT_LOOK:
    case ACT_CONSOLE:
    case ACT_TERMINATE:
        bake_box_answer(b, (enum bake_role)e->who, e);
        break;
    case ACT_IMAGE:
        answer_image(b, e);
        break;
    case ACT_REMOVE:
        answer_remove(b, e);
        break;
    case ACT_LEFTOVERS:
        if (e->who == LIST_OF_IMAGE) {
            answer_list_of_image(b, e);
            break;
        }
        answer_phase(b, e);
        break;
    default:
        answer_phase(b, e);
    }
}

static void take_signal(struct bake *b, int64_t now)
{
    AUTO_ERROR err = { 0 };
    if (b->hurry_until)
        return;
    b->hurry_until = now + HURRY_MS;
    error_set(&err, ERROR_CANCELLED, 0, "interrupted by a signal");
    if (bake_is_proven(b))
        error_hint(&err, "the image %s is proven and stays", b->image.id);
    bake_fail(b, &err);
}

static void time_out(struct bake *b, int64_t now)
{
    static const char *const waits[] = { "the builder is not done", "the image is not available",
                                         "the smoke boot is not done" };
    AUTO_ERROR err = { 0 };
    if (b->undoing || b->phase >= BAKE_KEEP || now < b->deadline)
        return;
    const struct strlist *told = &b->boxes[b->phase == BAKE_PROVE ? BAKE_SMOKE : BAKE_BUILDER].told;
    error_set(&err, ERROR_TIMEOUT, 0, "%s after %lld s%s%s", waits[b->phase], (long long)(b->config->timeout_ms / 1000),
              told->n ? "; it came to " : "", told->n ? told->v[told->n - 1] : "");
    error_hint(&err, "give it more by --bake-timeout, or a larger type by --types");
    bake_fail(b, &err);
}

/* An image that was never listed is looked for, since its snapshots are not known. True: nothing is left to find out.
 */
static bool undo_image(struct bake *b, int64_t now, struct acts *acts)
{
    int64_t look_at = b->hurry_until ? b->hurry_until - HURRY_LOOK_MS : INT64_MAX;
    if (b->image.asked && now >= look_at) {
        b->image.asked = false;
        b->image.unsure = true;
        may_exist(b, now);
    }
    if (b->image.asked && b->hurry_until)
        wake_at(b, look_at);
    if (b->image.asked || b->image.looking)
        return false;
    if (!b->image.maybe)
        return true;
    if (b->find_until == 0)
        b->find_until = now + FIND_MS;
    if (b->hurry_until && b->find_until > b->hurry_until - HURRY_FIND_MS)
        b->find_until = b->hurry_until - HURRY_FIND_MS;
    if (!b->image.listed && now < b->find_until) {
        if (now >= b->image.ask_at) {
            b->image.ask_at = now + bake_ease(0);
            list_image(b, acts);
        }
        wake_at(b, b->image.ask_at);
        return false;
    }
    b->image.maybe = false;
    if (b->image.id)
        add_removal(b, b->image.id, &b->image.snapshots);
    return true;
}

static bool boxes_settled(const struct bake *b)
{
    for (size_t i = 0; i < BAKE_BOXES; i++)
        if (!pair_is_settled(&b->boxes[i].pair))
            return false;
    return true;
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
    while (!b->undoing && advance(b, e->now, acts))
        continue;
    time_out(b, e->now); /* after what has just come */
    bool ends = b->undoing || b->phase == BAKE_DONE;
    for (size_t i = 0; i < BAKE_BOXES; i++) {
        bool wanted = (i == BAKE_BUILDER && b->phase == BAKE_BUILD) || (i == BAKE_SMOKE && b->phase == BAKE_PROVE);
        if (b->boxes[i].down || ends)
            pair_down(&b->boxes[i].pair, i, e->now, acts, &m->wake);
        else if (wanted)
            bake_box_up(b, (enum bake_role)i, e->now, acts);
    }
    bool found = !b->undoing || undo_image(b, e->now, acts);
    for (size_t i = 0; i < b->n_removals; i++)
        work_removal(b, i, e->now, acts);
    if (!ends && b->phase < BAKE_KEEP)
        wake_at(b, b->deadline);
    if (b->hurry_until)
        wake_at(b, b->hurry_until);
    m->done = (ends && found && !b->asked && boxes_settled(b) && removals_done(b)) ||
              (b->hurry_until && e->now >= b->hurry_until);
}

static void render(const struct machine *m, size_t who, struct arena *arena, struct ec2_run *ret)
{
    const struct bake *b = (const struct bake *)m;
    const struct bake_box *x = &b->boxes[who];
    b->config->render(b->config->ctx, (enum bake_role)who, &b->config->plan->cells[x->cell],
                      who == BAKE_SMOKE ? b->image.id : NULL, arena, ret);
    ret->client_token = x->pair.client_token;
}

void bake_init(struct bake *b, const struct bake_config *config)
{
    static const char *const live[] = { "pending", "running", "stopping", "stopped" };
    *b = (struct bake){ .machine = { .step = step, .render = render, .wake = INT64_MAX }, .config = config };
    for (size_t i = 0; i < BAKE_BOXES; i++)
        room_init(&b->boxes[i].room, config->plan);
    for (size_t i = 0; i < ARRAY_SIZE(live); i++)
        strlist_add(&b->live, live[i]);
    strlist_add(&b->name, config->image.name);
    strlist_add(&b->fleet, config->fleet);
    strlist_add(&b->role, "bake");
    strlist_add(&b->kind, config->name);
    if (config->parameter)
        b->previous_name = xasprintf("%s/previous", config->parameter);
    b->by_name[0] = (struct ec2_filter){ "name", &b->name };
    b->by_tags[0] = (struct ec2_filter){ "tag:" TAG_FLEET, &b->fleet };
    b->by_tags[1] = (struct ec2_filter){ "tag:" TAG_ROLE, &b->role };
    b->by_tags[2] = (struct ec2_filter){ "tag:" TAG_NAME, &b->kind };
    b->by_use[0] = (struct ec2_filter){ "image-id", &b->going };
    b->by_use[1] = (struct ec2_filter){ "instance-state-name", &b->live };
}

void bake_clear(struct bake *b)
{
    struct strlist *const lists[] = {
        &b->image.snapshots, &b->spared, &b->going, &b->name, &b->fleet, &b->role, &b->kind, &b->live, &b->ids
    };
    char *const texts[] = { b->image.id, b->image.state, b->previous, b->previous_name };
    for (size_t i = 0; i < BAKE_BOXES; i++) {
        pair_clear(&b->boxes[i].pair);
        room_clear(&b->boxes[i].room);
        strlist_clear(&b->boxes[i].told);
        free(b->boxes[i].reason);
        free(b->boxes[i].console);
    }
    for (size_t i = 0; i < b->n_old; i++) {
        free(b->old[i].id);
        free(b->old[i].created);
        strlist_clear(&b->old[i].snapshots);
    }
    for (size_t i = 0; i < b->n_removals; i++) {
        free(b->removals[i].id);
        strlist_clear(&b->removals[i].snapshots);
        error_clear(&b->removals[i].error);
    }
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        strlist_clear(lists[i]);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
    free(b->old);
    free(b->removals);
    error_clear(&b->error);
    error_clear(&b->pruning);
    *b = (struct bake){ 0 };
}

static void add_left(struct strbuf *text, const char *what, const char *id, const struct error *why)
{
    AUTO_FREE char *formatted = why->domain ? error_format(why) : NULL;
    strbuf_addf(text, "%s%s %s%s%s", text->len ? "; " : "", what, id, formatted ? ": " : "",
                formatted ? formatted : "");
}

char *bake_leftovers(const struct bake *b)
{
    AUTO_STRBUF text = STRBUF_INIT;
    for (size_t i = 0; i < BAKE_BOXES; i++) {
        const struct pair *p = &b->boxes[i].pair;
        if (pair_is_gone(p))
            continue;
        if (p->instance_id)
            add_left(&text, "instance", p->instance_id, &p->error);
        else
            add_left(&text, "an instance that may exist, client token", p->client_token, &p->error);
    }
    if (b->undoing && (b->image.maybe || b->image.asked || (b->image.unsure && !b->image.id)))
        add_left(&text, "an image that may exist", b->config->image.name, &(struct error){ 0 });
    for (size_t i = 0; i < b->n_removals; i++) {
        const struct bake_removal *r = &b->removals[i];
        if (!r->image_gone)
            add_left(&text, "image", r->id, &r->error);
        else if (!r->done || r->error.domain != ERROR_NONE)
            add_left(&text, "snapshots of", r->id, &r->error);
    }
    return text.len ? strbuf_steal(&text) : NULL;
}
