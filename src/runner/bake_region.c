#include "mayfly/runner/bake_region.h"

#include "mayfly/aws/errors.h"
#include "mayfly/runner/bake.h"
#include "mayfly/runner/tags.h"

enum {
    IMAGE_UNSEEN_MS = 60000, /* an image whose making was never confirmed is asked for again then */
    IMAGE_BUSY_MS = 5000,    /* what it is made from is in a state that passes */
    FIND_MS = 30000,         /* when all is undone, an image that may exist is looked for so long */
    RETRY_MS = 2000,
    AGAIN_MS = 60000,     /* so long what keeps, shares and publishes is asked for again when it is refused for now */
    PATIENCE_MS = 8000,   /* ends that fail for now are asked for again so long */
    HURRY_LOOK_MS = 5000, /* before the end: what was asked for and not answered by then is looked for */
    HURRY_FIND_MS = 3750, /* before the end: what is known by then goes, whatever else is not */
    LOST_MAX = 3,         /* answers of PutParameter */
};
enum { LIST_OF_IMAGE, LIST_OF_OLD, LIST_OF_SNAPSHOTS }; /* `who` of ACT_LEFTOVERS */

bool bake_region_is_kept(const struct bake_region *r)
{
    return r->phase > REGION_KEEP;
}

bool bake_region_is_named(const struct bake_region *r)
{
    return r->named || (r->asked && r->asked_in == REGION_PUBLISH);
}

static bool has_failed(const struct bake_region *r)
{
    return r->error.domain != ERROR_NONE;
}

/* What has failed stays as it is, or is undone; which of them, and whether there is something to save, is told by the
 * answer to its publication. */
static void decide(struct bake_region *r)
{
    bool stays = bake_is_copy(&r->part) ? r->named || r->phase > REGION_PUBLISH : bake_region_is_kept(r);
    if (!has_failed(r) || r->undoing || r->phase == REGION_DONE || (r->phase == REGION_PUBLISH && r->asked))
        return;
    if (r->published)
        error_clear(&r->error);
    if (stays)
        r->phase = r->published && r->previous ? REGION_SAVE : REGION_DONE;
    else
        r->undoing = true;
}

void bake_region_fail(struct bake_region *r, const struct error *why)
{
    if (r->phase == REGION_SAVE) /* which is soon over */
        return;
    if (r->phase > REGION_SAVE) {
        r->phase = REGION_DONE;
        return;
    }
    if (!has_failed(r))
        error_copy(&r->error, why);
    decide(r);
}

void bake_region_hurry(struct bake_region *r, int64_t until)
{
    r->part.hurry_until = until;
}

/* --- removals: an image, then its snapshots -------------------------------------------------------------------------
 */

static void add_removal(struct bake_region *r, const char *id, const struct strlist *snapshots)
{
    r->removals = xreallocarray(r->removals, r->n_removals + 1, sizeof(*r->removals));
    struct bake_removal *x = &r->removals[r->n_removals++];
    *x = (struct bake_removal){ .id = xstrdup(id) };
    for (size_t i = 0; i < snapshots->n; i++)
        strlist_add(&x->snapshots, snapshots->v[i]);
}

static void work_removal(struct bake_region *r, size_t n, int64_t now, struct acts *acts, int64_t *wake)
{
    struct bake_removal *x = &r->removals[n];
    if (x->done || x->asked)
        return;
    if (now < x->ask_at) {
        bake_wake_at(wake, x->ask_at);
        return;
    }
    x->asked = true;
    bake_ask(&r->part, acts,
             (struct act){ .kind = ACT_REMOVE,
                           .who = n,
                           .leftover = x->image_gone ? EC2_SNAPSHOT : EC2_IMAGE,
                           .name = x->image_gone ? x->snapshots.v[x->next] : x->id });
}

static void answer_remove(struct bake_region *r, const struct event *e)
{
    struct bake_removal *x = &r->removals[e->who];
    x->asked = false;
    bool gone = e->outcome == OUTCOME_OK || ec2_leftover_is_gone(e->error);
    /* A snapshot is in use for a moment after its image has gone. */
    bool passes =
        !gone && (e->outcome == OUTCOME_THROTTLED || e->outcome == OUTCOME_AMBIGUOUS || ec2_leftover_is_used(e->error));
    if (x->give_up_at == 0)
        x->give_up_at = e->now + PATIENCE_MS;
    if (passes && e->now < x->give_up_at) {
        x->ask_at = e->now + RETRY_MS;
        return;
    }
    if (!gone && x->error.domain == ERROR_NONE)
        error_copy(&x->error, e->error);
    if (!gone && !x->image_gone) { /* which holds its snapshots */
        x->done = true;
        return;
    }
    x->next += x->image_gone;
    x->image_gone = true;
    x->give_up_at = 0;
    x->done = x->next == x->snapshots.n;
}

static bool removals_done(const struct bake_region *r)
{
    for (size_t i = 0; i < r->n_removals; i++)
        if (!r->removals[i].done)
            return false;
    return true;
}

/* --- the image ------------------------------------------------------------------------------------------------------
 */

static void list_image(struct bake_region *r, int64_t now, struct acts *acts)
{
    r->image.looking = true;
    r->image.looked_at = now;
    bake_ask(&r->part, acts,
             (struct act){ .kind = ACT_LEFTOVERS,
                           .who = LIST_OF_IMAGE,
                           .leftover = EC2_IMAGE,
                           .filters = r->by_name,
                           .n_filters = 1,
                           .by_page = true });
}

static void work_image(struct bake_region *r, int64_t now, struct acts *acts, int64_t *wake)
{
    if (r->image.asked || r->image.looking)
        return;
    if (now < r->image.ask_at) {
        bake_wake_at(wake, r->image.ask_at);
        return;
    }
    if (r->image.maybe) {
        r->image.ask_at = now + bake_ease(now - r->image.since);
        list_image(r, now, acts);
        return;
    }
    r->image.asked = true;
    bake_ask(&r->part, acts,
             (struct act){ .kind = bake_is_copy(&r->part) ? ACT_COPY : ACT_IMAGE, .image = &r->new_image });
}

static void may_exist(struct bake_region *r, int64_t now)
{
    r->image.maybe = true;
    r->image.since = r->image.ask_at = now;
}

/* What it is made from is not ready or not seen everywhere yet, or EC2 has enough to do. */
static bool is_busy(struct bake_region *r, const struct event *e)
{
    return bake_is_unseen(bake_is_copy(&r->part) ? "CopyImage" : "CreateImage", e->error, e->now,
                          &r->image.unseen_until) ||
           aws_error_class(e->error) == AWS_BUSY;
}

/* Also what it is refused with for now. */
static void told_state(struct bake_region *r, const char *state)
{
    if (str_empty(state) || str_eq(r->image.state, state))
        return;
    str_set(&r->image.state, state);
    bake_tell(&r->part, state);
}

static void answer_image(struct bake_region *r, const struct event *e)
{
    const char *code = e->outcome == OUTCOME_OK ? "" : e->error->code ? e->error->code : "";
    if (!r->image.asked) /* it was not waited for */
        return;
    r->image.asked = false;
    if (e->outcome == OUTCOME_OK) {
        str_set(&r->image.id, e->text);
        may_exist(r, e->now);
        AUTO_FREE char *what = xasprintf("%s, %s", e->text, r->part.config->image.name);
        bake_tell(&r->part, what);
    } else if (e->outcome == OUTCOME_AMBIGUOUS || str_eq(code, "InvalidAMIName.Duplicate")) {
        r->image.unsure = r->image.lost = true; /* nobody else has this name, so that an earlier attempt made it */
        may_exist(r, e->now);
    } else if (e->outcome == OUTCOME_THROTTLED || is_busy(r, e)) {
        told_state(r, code);
        r->image.ask_at = e->now + IMAGE_BUSY_MS; /* until the deadline */
    } else {
        if (r->image.lost) { /* what refuses this attempt does not undo that one */
            r->image.unsure = true;
            may_exist(r, e->now);
        }
        bake_region_fail(r, e->error);
    }
}

/* It is not in the list (yet). */
static void image_unseen(struct bake_region *r, int64_t now)
{
    AUTO_ERROR err = { 0 };
    if (r->undoing || now - r->image.since < IMAGE_UNSEEN_MS)
        return;
    if (r->image.unsure && !r->image.id) { /* its name makes it one and the same */
        r->image.maybe = r->image.unsure = false;
        return;
    }
    error_set(&err, ERROR_AWS, 0, "EC2 does not find the image %s, which it created", r->image.id);
    bake_region_fail(r, &err);
}

/* Also of an image that is going already: after a signal that does not wait for its snapshots. */
static void take_snapshot(struct bake_region *r, const char *id)
{
    if (strlist_has(&r->image.snapshots, id))
        return;
    strlist_add(&r->image.snapshots, id);
    for (size_t i = 0; i < r->n_removals; i++) {
        struct bake_removal *x = &r->removals[i];
        if (!str_eq(x->id, r->image.id))
            continue;
        strlist_add(&x->snapshots, id);
        x->done = x->done && !x->image_gone;
    }
}

static void see_image(struct bake_region *r, const struct ec2_leftover *row)
{
    static const char *const ends[] = { "failed", "error", "invalid", "deregistered", "disabled" };
    r->image.listed = true;
    str_set(&r->image.id, row->id);
    for (size_t i = 0; i < row->snapshots.n; i++)
        take_snapshot(r, *FIELD_ROW(&row->snapshots, const char *, i));
    told_state(r, row->state);
    for (size_t i = 0; i < ARRAY_SIZE(ends) && !r->undoing; i++) {
        AUTO_ERROR err = { 0 };
        if (!str_eq(row->state, ends[i]))
            continue;
        error_set(&err, ERROR_AWS, 0, "the image %s is %s%s%s", row->id, row->state, row->reason ? ": " : "",
                  row->reason ? row->reason : "");
        error_hint(&err, "run the bake again; an encrypted volume needs a key that these credentials may use");
        bake_region_fail(r, &err);
    }
}

static void answer_list_of_image(struct bake_region *r, const struct event *e)
{
    bool seen = false;
    r->image.looking = e->kind == EVENT_PAGE;
    for (size_t i = 0; e->outcome == OUTCOME_OK && i < e->n_leftovers; i++) {
        if (!str_eq(e->leftovers[i].name, r->part.config->image.name))
            continue;
        see_image(r, &e->leftovers[i]);
        seen = true;
    }
    if (e->outcome == OUTCOME_FAILED && e->error->domain != ERROR_PARSE && !r->undoing)
        bake_region_fail(r, e->error);
    else if (e->outcome == OUTCOME_OK && !seen && !r->image.listed && !r->image.looking)
        image_unseen(r, e->now);
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

static void take_old(struct bake_region *r, const struct ec2_leftover *row, const struct event *e)
{
    struct limits limits = LIMITS_DEFAULT;
    const char *life = ec2_leftover_tag(row, TAG_LIMITS);
    int64_t created = ec2_leftover_created(row), age = created && !e->no_time ? e->cloud_now - created : 0;
    if (!str_eq(ec2_leftover_tag(row, TAG_NAME), r->part.config->name))
        return;
    r->old = xreallocarray(r->old, r->n_old + 1, sizeof(*r->old));
    struct bake_old *o = &r->old[r->n_old++];
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

static void choose_old(struct bake_region *r)
{
    strlist_add(&r->spared, r->image.id);
    if (r->previous)
        strlist_add(&r->spared, r->previous);
    bake_choose(r->old, r->n_old, r->part.config->keep, &r->spared);
    for (size_t i = 0; i < r->n_old; i++)
        if (r->old[i].goes)
            strlist_add(&r->going, r->old[i].id);
}

/* What instances run, of whatever fleet, stays. */
static void remove_unused(struct bake_region *r, const struct event *e)
{
    for (size_t i = 0; i < e->n_instances; i++)
        if (e->instances[i].image)
            strlist_add(&r->spared, e->instances[i].image);
    for (size_t i = 0; i < r->n_old; i++) {
        AUTO_FREE char *what = xasprintf("%s goes", r->old[i].id);
        r->old[i].goes = r->old[i].goes && !strlist_has(&r->spared, r->old[i].id);
        if (!r->old[i].goes)
            continue;
        bake_tell(&r->part, what);
        add_removal(r, r->old[i].id, &r->old[i].snapshots);
    }
}

int64_t bake_deprecate_at(int64_t now, int64_t after)
{
    return ((now + after) / 60 + 2) * 60;
}

/* One that is kept is not touched. */
static bool is_to_age(const struct bake_region *r, const struct bake_old *o)
{
    return o->proven && !o->goes && !o->kept && !o->deprecated && !str_eq(o->id, r->image.id);
}

/* True: there is one more. */
static bool next_to_age(struct bake_region *r)
{
    while (r->aging < r->n_old && !is_to_age(r, &r->old[r->aging]))
        r->aging++;
    return r->part.config->deprecate_after > 0 && r->aging < r->n_old;
}

static void take_deprecated(struct bake_region *r)
{
    struct bake_old *o = &r->old[r->aging];
    AUTO_FREE char *what = xasprintf("%s is deprecated from %s", o->id, r->deprecate_at.s);
    o->deprecated = true;
    bake_tell(&r->part, what);
}

/* --- phases of one action
 * --------------------------------------------------------------------------------------------- */

static void begin(struct bake_region *r, struct acts *acts, struct act act)
{
    if (r->asked)
        return;
    r->asked = true;
    r->asked_in = r->phase;
    bake_ask(&r->part, acts, act);
}

static void begin_keep(struct bake_region *r, struct acts *acts)
{
    strlist_clear(&r->ids);
    strlist_add(&r->ids, r->image.id);
    for (size_t i = 0; i < r->image.snapshots.n; i++)
        strlist_add(&r->ids, r->image.snapshots.v[i]);
    begin(r, acts, (struct act){ .kind = ACT_MARK, .tag = TAG_LIMITS, .ids = &r->ids });
}

/* At home the image stays before its publication is tried, as it can be launched by its id; a copy only with it. */
static enum bake_region_phase after_share(const struct bake_region *r)
{
    return bake_is_copy(&r->part) ? REGION_READ : REGION_KEEP;
}

static void not_shared(struct bake_region *r, const struct error *why)
{
    AUTO_FREE char *accounts = strlist_join(r->part.config->share, ", ");
    AUTO_ERROR err = { 0 };
    error_copy(&err, why);
    error_prefix(&err, "sharing the image %s with %.200s", r->image.id, accounts);
    bake_region_fail(r, &err);
}

static void prune_failed(struct bake_region *r, const struct error *why)
{
    error_copy(&r->pruning, why);
    if (r->asked_in == REGION_SAVE)
        error_prefix(&r->pruning, "%s does not name %s, which was published before", r->previous_name, r->previous);
    else if (r->asked_in == REGION_DEPRECATE)
        error_prefix(&r->pruning, "the image %s could not be deprecated", r->old[r->aging].id);
    else
        error_prefix(&r->pruning, "older images could not be checked");
    r->phase = REGION_DONE;
}

static void published(struct bake_region *r)
{
    r->published = r->named = true;
    r->lost_answers = 0;
    r->phase = r->previous ? REGION_SAVE : REGION_LIST;
    AUTO_FREE char *what = xasprintf("published in %s", r->part.config->parameter);
    bake_tell(&r->part, what);
}

/* Nor is it known not to be, if an answer was lost. */
static void not_published(struct bake_region *r, const struct error *why)
{
    const char *parameter = r->part.config->parameter;
    AUTO_ERROR err = { 0 };
    error_copy(&err, why);
    if (r->named) {
        str_set(&err.hint, NULL); /* that of the lost answer */
        error_hint(&err, "`aws ssm get-parameter --name %s` shows what it contains", parameter);
    }
    if (bake_is_copy(&r->part))
        error_prefix(&err, r->named ? "publishing in %s" : "not published in %s", parameter);
    else if (r->named)
        error_prefix(&err, "the image %s is proven, and %s may name it", r->image.id, parameter);
    else
        error_prefix(&err, "the image %s is proven, but not published in %s", r->image.id, parameter);
    bake_region_fail(r, &err);
}

static void answer_parameter(struct bake_region *r, const struct event *e)
{
    bool absent = r->phase == REGION_READ && e->outcome != OUTCOME_OK && str_eq(e->error->code, "ParameterNotFound");
    if (r->phase == REGION_PUBLISH && e->outcome == OUTCOME_AMBIGUOUS) {
        r->lost_answers++;
        error_clear(&r->lost);
        error_copy(&r->lost, e->error);
        r->phase = REGION_READ;
    } else if (e->outcome != OUTCOME_OK && !absent) {
        not_published(r, e->error);
    } else if (r->phase == REGION_PUBLISH || (!absent && str_eq(e->text, r->image.id))) {
        published(r);
    } else if (r->lost_answers == LOST_MAX) {
        not_published(r, &r->lost);
    } else {
        if (!absent && ec2_id_is_valid(e->text, "ami"))
            str_set(&r->previous, e->text);
        r->phase = bake_is_copy(&r->part) ? REGION_KEEP : REGION_PUBLISH;
    }
}

/* Will what was asked for be answered otherwise in a while? All of it may be asked for twice, but for a publication. */
static bool is_refused_for_now(const struct bake_region *r, const struct event *e)
{
    if (r->phase > REGION_PUBLISH || e->outcome == OUTCOME_OK)
        return false;
    if (e->outcome == OUTCOME_THROTTLED || (e->outcome == OUTCOME_AMBIGUOUS && r->phase != REGION_PUBLISH))
        return true;
    /* It was listed as available: not every part of EC2 has seen it. */
    return (r->phase == REGION_SHARE && aws_is_unseen("ModifyImageAttribute", e->error)) ||
           (r->phase == REGION_KEEP && aws_is_unseen("DeleteTags", e->error));
}

/* The answer to the one action of the phase. */
static void answer_phase(struct bake_region *r, const struct event *e)
{
    r->asked = e->kind == EVENT_PAGE;
    if (r->asked_in == REGION_PUBLISH && (e->outcome == OUTCOME_OK || e->outcome == OUTCOME_AMBIGUOUS))
        r->named = true;
    if (has_failed(r) || r->phase != r->asked_in) { /* a signal came */
        r->published = r->published || (r->asked_in == REGION_PUBLISH && e->outcome == OUTCOME_OK);
        return;
    }
    if (is_refused_for_now(r, e)) {
        r->again_until = r->again_until ? r->again_until : e->now + AGAIN_MS;
        r->again_at = e->now + RETRY_MS;
        if (e->now < r->again_until)
            return;
    }
    r->again_at = r->again_until = 0;
    if (r->phase == REGION_SAVE && e->outcome == OUTCOME_AMBIGUOUS && ++r->lost_answers < LOST_MAX)
        return; /* it is asked for again */
    bool gone = r->phase == REGION_DEPRECATE && e->outcome != OUTCOME_OK && ec2_leftover_is_gone(e->error);
    AUTO_ERROR no_id = { 0 };
    if (e->outcome != OUTCOME_OK && r->phase >= REGION_SAVE && !gone) {
        prune_failed(r, e->error);
        return;
    }
    if (r->phase == REGION_USED && e->n_skipped && !ec2_no_id(&no_id)) { /* nor its image */
        prune_failed(r, &no_id);
        return;
    }
    switch (r->phase) {
    case REGION_KEEP:
        if (e->outcome != OUTCOME_OK)
            bake_region_fail(r, e->error);
        else
            r->phase = !bake_is_copy(&r->part) ? REGION_READ : r->part.config->parameter ? REGION_PUBLISH : REGION_LIST;
        break;
    case REGION_SHARE:
        if (e->outcome != OUTCOME_OK)
            not_shared(r, e->error);
        else
            r->phase = after_share(r);
        break;
    case REGION_READ:
    case REGION_PUBLISH:
        answer_parameter(r, e);
        break;
    case REGION_SAVE:
        r->phase = r->part.hurry_until ? REGION_DONE : REGION_LIST;
        break;
    case REGION_LIST:
        for (size_t i = 0; i < e->n_leftovers; i++)
            take_old(r, &e->leftovers[i], e);
        if (r->asked)
            break;
        r->deprecate_at = clock_rfc3339(bake_deprecate_at(e->cloud_now, r->part.config->deprecate_after));
        if (r->part.config->keep > 0)
            choose_old(r);
        r->phase = r->going.n ? REGION_USED : REGION_REMOVE;
        break;
    case REGION_USED:
        remove_unused(r, e);
        r->phase = REGION_REMOVE;
        break;
    case REGION_DEPRECATE:
        if (gone)
            r->aging++;
        else
            take_deprecated(r);
        break;
    default:
        break;
    }
}

/* --- undoing --------------------------------------------------------------------------------------------------------
 */

static bool is_found_out(const struct bake_region *r)
{
    return !r->image.asked && !r->image.looking && !r->image.maybe;
}

/* Until a copy is available, DescribeImages names no snapshots of it, though they are there; their descriptions name
 * it. Source: https://github.com/lstein/LibVM-EC2-Perl/pull/17; "Copied for DestinationAmi ami-… from SourceAmi …". */
static void list_snapshots(struct bake_region *r, int64_t now, struct acts *acts)
{
    AUTO_FREE char *description = xasprintf("*%s*", r->image.id);
    strlist_add(&r->description, description);
    r->image.sought = r->image.looking = true;
    r->image.looked_at = now;
    bake_ask(&r->part, acts,
             (struct act){ .kind = ACT_LEFTOVERS,
                           .who = LIST_OF_SNAPSHOTS,
                           .leftover = EC2_SNAPSHOT,
                           .filters = r->of_image,
                           .n_filters = ARRAY_SIZE(r->of_image),
                           .by_page = true });
}

static void answer_list_of_snapshots(struct bake_region *r, const struct event *e)
{
    r->image.looking = e->kind == EVENT_PAGE;
    for (size_t i = 0; e->outcome == OUTCOME_OK && i < e->n_leftovers; i++) {
        const struct ec2_leftover *l = &e->leftovers[i];
        if (str_eq(ec2_leftover_tag(l, TAG_FLEET), r->part.config->fleet) && l->description &&
            strstr(l->description, r->image.id))
            take_snapshot(r, l->id);
    }
}

/* Its snapshots are not known, nor that it has none. */
static bool has_unknown_snapshots(const struct bake_region *r)
{
    return r->image.id && r->image.snapshots.n == 0 && (!r->image.listed || str_eq(r->image.state, "pending"));
}

/* After a signal: what is not answered soon is not waited for, but looked for, and then looked for again. */
static void stop_waiting(struct bake_region *r, int64_t now, int64_t *wake)
{
    const int64_t look_at = r->part.hurry_until - HURRY_LOOK_MS, find_at = r->part.hurry_until - HURRY_FIND_MS;
    const int64_t since = r->image.looked_at;
    const int64_t until = r->image.asked || since < look_at ? look_at : since < find_at ? find_at : r->part.hurry_until;
    if (!r->image.asked && !r->image.looking)
        return;
    if (now < until) {
        bake_wake_at(wake, until);
        return;
    }
    if (r->image.asked) {
        r->image.asked = false;
        r->image.unsure = true;
        may_exist(r, now);
    }
    r->image.looking = false;
    r->image.ask_at = now;
}

/* An image that was never listed is looked for, since its snapshots are not known. */
static void undo_image(struct bake_region *r, int64_t now, struct acts *acts, int64_t *wake)
{
    if (r->part.hurry_until)
        stop_waiting(r, now, wake);
    if (r->image.asked || r->image.looking || !r->image.maybe)
        return;
    if (r->find_until == 0)
        r->find_until = now + FIND_MS;
    if (r->part.hurry_until && r->find_until > r->part.hurry_until - HURRY_FIND_MS)
        r->find_until = r->part.hurry_until - HURRY_FIND_MS;
    if (!r->image.listed && now < r->find_until) {
        if (now >= r->image.ask_at) {
            r->image.ask_at = now + bake_ease(0);
            list_image(r, now, acts);
        }
        bake_wake_at(wake, r->image.ask_at);
        return;
    }
    if (r->image.id && r->image.snapshots.n == 0 && !r->image.sought) {
        list_snapshots(r, now, acts);
        if (!r->part.hurry_until)
            return;
    }
    r->image.maybe = false;
    if (r->image.id)
        add_removal(r, r->image.id, &r->image.snapshots);
}

/* --- the whole
 * -------------------------------------------------------------------------------------------------------- */

/* Does what the phase asks for. True: another one begins. */
static bool advance(struct bake_region *r, int64_t now, struct acts *acts, int64_t *wake)
{
    const struct bake_config *c = r->part.config;
    enum bake_region_phase before = r->phase;
    if (r->again_at > now && !r->asked) {
        bake_wake_at(wake, r->again_at);
        return false;
    }
    switch (r->phase) {
    case REGION_MAKE:
        if (str_eq(r->image.state, "available"))
            r->phase = REGION_MADE;
        else
            work_image(r, now, acts, wake);
        break;
    case REGION_KEEP:
        begin_keep(r, acts);
        break;
    case REGION_SHARE:
        if (c->share && c->share->n > 0)
            begin(r, acts, (struct act){ .kind = ACT_SHARE, .name = r->image.id, .ids = c->share });
        else
            r->phase = after_share(r);
        break;
    case REGION_READ:
        if (c->parameter)
            begin(r, acts, (struct act){ .kind = ACT_GET_PARAMETER, .name = c->parameter });
        else
            r->phase = bake_is_copy(&r->part) ? REGION_KEEP : REGION_LIST;
        break;
    case REGION_PUBLISH:
        begin(r, acts, (struct act){ .kind = ACT_PUT_PARAMETER, .name = c->parameter, .mark = r->image.id });
        break;
    case REGION_SAVE:
        begin(r, acts, (struct act){ .kind = ACT_PUT_PARAMETER, .name = r->previous_name, .mark = r->previous });
        break;
    case REGION_LIST:
        if (c->keep == 0 && c->deprecate_after == 0)
            r->phase = REGION_DONE;
        else
            begin(r, acts,
                  (struct act){ .kind = ACT_LEFTOVERS,
                                .who = LIST_OF_OLD,
                                .leftover = EC2_IMAGE,
                                .filters = r->by_tags,
                                .n_filters = ARRAY_SIZE(r->by_tags),
                                .by_page = true });
        break;
    case REGION_USED:
        begin(r, acts, (struct act){ .kind = ACT_SCAN, .filters = r->by_use, .n_filters = ARRAY_SIZE(r->by_use) });
        break;
    case REGION_REMOVE:
        if (removals_done(r))
            r->phase = REGION_DEPRECATE;
        break;
    case REGION_DEPRECATE:
        if (r->asked || next_to_age(r))
            begin(r, acts,
                  (struct act){ .kind = ACT_DEPRECATE, .name = r->old[r->aging].id, .mark = r->deprecate_at.s });
        else
            r->phase = REGION_DONE;
        break;
    case REGION_MADE:
        if (bake_is_copy(&r->part))
            r->phase = REGION_SHARE;
        break;
    case REGION_IDLE:
    case REGION_DONE:
        break;
    }
    return r->phase != before && !has_failed(r);
}

static void time_out(struct bake_region *r, int64_t now, int64_t *wake)
{
    AUTO_ERROR err = { 0 };
    if (!bake_is_copy(&r->part) || r->phase != REGION_MAKE || has_failed(r))
        return;
    if (now < r->deadline) {
        bake_wake_at(wake, r->deadline);
        return;
    }
    error_set(&err, ERROR_TIMEOUT, 0, "the copy is not available after %lld s%s%s",
              (long long)(r->part.config->copy_timeout_ms / 1000), r->image.state ? "; the last from EC2: " : "",
              r->image.state ? r->image.state : "");
    error_hint(&err, "give it more by --copy-timeout");
    bake_region_fail(r, &err);
}

void bake_region_advance(struct bake_region *r, int64_t now, struct acts *acts, int64_t *wake)
{
    decide(r);
    while (!has_failed(r) && advance(r, now, acts, wake))
        continue;
    time_out(r, now, wake);
}

void bake_region_end(struct bake_region *r, int64_t now, struct acts *acts, int64_t *wake)
{
    if (r->undoing)
        undo_image(r, now, acts, wake);
    for (size_t i = 0; i < r->n_removals; i++)
        work_removal(r, i, now, acts, wake);
}

/* Of what has failed only the answer to a publication matters. */
static bool waits_for_answer(const struct bake_region *r)
{
    return r->asked && (!has_failed(r) || r->asked_in == REGION_PUBLISH || r->asked_in == REGION_SAVE);
}

bool bake_region_is_settled(const struct bake_region *r)
{
    bool over = r->undoing ? is_found_out(r) : r->phase == REGION_IDLE || r->phase == REGION_DONE;
    return over && !waits_for_answer(r) && removals_done(r);
}

/* The same copy has the same, however often it is asked for. */
static void new_client_token(struct bake_region *r)
{
    AUTO_FREE char *input = xasprintf("%s\n%s\n%s", r->new_image.name, r->new_image.region, r->new_image.source);
    r->client_token = bake_client_token(input);
    r->new_image.client_token = r->client_token;
}

void bake_region_make(struct bake_region *r, const char *source, int64_t now)
{
    r->phase = REGION_MAKE;
    r->began = now;
    if (!bake_is_copy(&r->part)) {
        r->new_image.instance_id = source;
        return;
    }
    r->deadline = now + r->part.config->copy_timeout_ms;
    r->new_image.source_region = r->part.config->image.region;
    r->new_image.source = source;
    new_client_token(r);
}

void bake_region_keep(struct bake_region *r)
{
    r->phase = REGION_SHARE;
}

void bake_region_answer(struct bake_region *r, const struct event *e)
{
    if (e->act == ACT_IMAGE || e->act == ACT_COPY)
        answer_image(r, e);
    else if (e->act == ACT_REMOVE)
        answer_remove(r, e);
    else if (e->act == ACT_LEFTOVERS && e->who == LIST_OF_IMAGE)
        answer_list_of_image(r, e);
    else if (e->act == ACT_LEFTOVERS && e->who == LIST_OF_SNAPSHOTS)
        answer_list_of_snapshots(r, e);
    else
        answer_phase(r, e);
}

void bake_region_init(struct bake_region *r, const struct bake_config *config, size_t part)
{
    static const char *const live[] = { "pending", "running", "stopping", "stopped" };
    *r = (struct bake_region){ .part = { .config = config, .n = part }, .new_image = config->image };
    if (bake_is_copy(&r->part))
        r->new_image.region = config->copies->v[part - 1];
    r->part.region = r->new_image.region;
    for (size_t i = 0; i < ARRAY_SIZE(live); i++)
        strlist_add(&r->live, live[i]);
    strlist_add(&r->name, config->image.name);
    strlist_add(&r->fleet, config->fleet);
    strlist_add(&r->role, "bake");
    strlist_add(&r->kind, config->name);
    if (config->parameter)
        r->previous_name = image_parameter_before(config->parameter);
    r->by_name[0] = (struct ec2_filter){ .name = "name", .values = &r->name };
    r->by_tags[0] = (struct ec2_filter){ .name = "tag:" TAG_FLEET, .values = &r->fleet };
    r->by_tags[1] = (struct ec2_filter){ .name = "tag:" TAG_ROLE, .values = &r->role };
    r->by_tags[2] = (struct ec2_filter){ .name = "tag:" TAG_NAME, .values = &r->kind };
    r->of_image[0] = (struct ec2_filter){ .name = "tag:" TAG_FLEET, .values = &r->fleet };
    r->of_image[1] = (struct ec2_filter){ .name = "description", .values = &r->description, .pattern = true };
    r->by_use[0] = (struct ec2_filter){ .name = "image-id", .values = &r->going };
    r->by_use[1] = (struct ec2_filter){ .name = "instance-state-name", .values = &r->live };
}

void bake_region_clear(struct bake_region *r)
{
    struct strlist *const lists[] = {
        &r->image.snapshots, &r->spared, &r->going, &r->name, &r->fleet, &r->role, &r->kind, &r->live, &r->ids,
        &r->description
    };
    char *const texts[] = { r->image.id, r->image.state, r->previous, r->previous_name, r->client_token };
    for (size_t i = 0; i < r->n_old; i++) {
        free(r->old[i].id);
        free(r->old[i].created);
        strlist_clear(&r->old[i].snapshots);
    }
    for (size_t i = 0; i < r->n_removals; i++) {
        free(r->removals[i].id);
        strlist_clear(&r->removals[i].snapshots);
        error_clear(&r->removals[i].error);
    }
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        strlist_clear(lists[i]);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
    free(r->old);
    free(r->removals);
    error_clear(&r->error);
    error_clear(&r->pruning);
    error_clear(&r->lost);
    *r = (struct bake_region){ 0 };
}

static void add_leftover(const struct bake_region *r, struct strbuf *text, const char *what, const char *id,
                         const struct error *why)
{
    AUTO_FREE char *there = bake_is_copy(&r->part) ? xasprintf("%s in %s", id, r->new_image.region) : xstrdup(id);
    bake_add_leftover(text, what, there, why);
}

void bake_region_leftovers(const struct bake_region *r, struct strbuf *text)
{
    if (r->undoing && (r->image.maybe || r->image.asked || (r->image.unsure && !r->image.id)))
        add_leftover(r, text, "an image that may exist", r->part.config->image.name, &(struct error){ 0 });
    else if (r->undoing && has_unknown_snapshots(r))
        add_leftover(r, text, "snapshots that nobody could look up, of", r->image.id, &(struct error){ 0 });
    for (size_t i = 0; i < r->n_removals; i++) {
        const struct bake_removal *x = &r->removals[i];
        if (!x->image_gone)
            add_leftover(r, text, "image", x->id, &x->error);
        else if (!x->done || x->error.domain != ERROR_NONE)
            add_leftover(r, text, "snapshots of", x->id, &x->error);
    }
}
