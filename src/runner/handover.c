#include "mayfly/runner/handover.h"

#include "mayfly/runner/launch.h"
#include "mayfly/runner/tags.h"

enum {
    PATIENCE_MS = 10000, /* what is not answered by then does not hold up a start whose runners are online */
    SHOWN_MS = 2000,     /* from its launch on, until EC2 shows an instance to everybody */
};

void handover_init(struct launch *l)
{
    struct handover *h = &l->handover;
    const struct launch_config *c = l->config;
    h->ids = xcalloc(l->n_regions, sizeof(*h->ids));
    strlist_add(&h->label, c->label ? c->label : "");
    strlist_add(&h->fleet, c->fleet ? c->fleet : "");
    strlist_split(&h->live, "pending running stopping stopped", " ");
    h->filters[0] = (struct ec2_filter){ .name = "tag:" TAG_FLEET, .values = &h->fleet };
    h->filters[1] = (struct ec2_filter){ .name = "tag:" TAG_LABEL, .values = &h->label };
    h->filters[2] = (struct ec2_filter){ .name = "instance-state-name", .values = &h->live };
}

void handover_clear(struct launch *l)
{
    struct handover *h = &l->handover;
    for (size_t i = 0; h->ids && i < l->n_regions; i++)
        strlist_clear(&h->ids[i]);
    free(h->ids);
    free(h->regions);
    free(h->rival);
    strlist_clear(&h->fleet);
    strlist_clear(&h->label);
    strlist_clear(&h->live);
    strlist_clear(&h->names);
    error_clear(&h->unclaimed);
    error_clear(&h->unmarked);
}

void handover_name(struct launch *l, const char *name)
{
    strlist_add(&l->handover.names, name);
}

static void look_up(struct launch *l, struct acts *acts)
{
    struct handover *h = &l->handover;
    str_set(&h->rival, NULL);
    for (size_t i = 0; i < l->n_regions; i++, h->in_flight++)
        acts_add(acts, (struct act){ .kind = ACT_SCAN,
                                     .who = i,
                                     .part = (size_t)h->phase,
                                     .region = l->regions[i].name,
                                     .filters = h->filters,
                                     .n_filters = ARRAY_SIZE(h->filters) });
}

static void mark(struct launch *l, struct acts *acts)
{
    struct handover *h = &l->handover;
    AUTO_STRLIST regions = { 0 };
    for (size_t i = 0; i < l->n_regions; i++) {
        for (size_t n = 0; n < l->config->count; n++)
            if (launch_slot_is_up(&l->slots[n]) && str_eq(l->slots[n].pair.region, l->regions[i].name))
                strlist_add(&h->ids[i], l->slots[n].pair.instance_id);
        if (h->ids[i].n > 0)
            strlist_add(&regions, l->regions[i].name);
    }
    AUTO_FREE char *all = strlist_join(&regions, " ");
    h->regions = xstrndup(all, TAG_VALUE_MAX);
    for (size_t i = 0; i < l->n_regions; i++) {
        if (h->ids[i].n == 0)
            continue;
        h->in_flight++;
        acts_add(acts, (struct act){ .kind = ACT_MARK,
                                     .who = i,
                                     .part = (size_t)h->phase,
                                     .region = l->regions[i].name,
                                     .ids = &h->ids[i],
                                     .tag = TAG_HANDED,
                                     .mark = h->regions });
    }
}

/* The newest of its instances is shown from this moment on. */
static int64_t shown_at(const struct launch *l)
{
    int64_t at = 0;
    for (size_t i = 0; i < l->config->count; i++)
        if (!l->slots[i].down && l->slots[i].launched_at + SHOWN_MS > at)
            at = l->slots[i].launched_at + SHOWN_MS;
    return at;
}

static void wake_at(struct launch *l, int64_t when)
{
    if (when < l->machine.wake)
        l->machine.wake = when;
}

static void go(struct launch *l, enum handover_phase phase, int64_t now)
{
    l->handover.phase = phase;
    l->handover.until = now + PATIENCE_MS < l->end_by ? now + PATIENCE_MS : l->end_by;
}

/* What is late counts no more, and that is to be known. */
static void give_up(struct handover *h)
{
    struct error *problem = h->phase == HANDOVER_MARKING ? &h->unmarked : &h->unclaimed;
    if (h->in_flight > 0 && h->phase >= HANDOVER_LAST && problem->domain == ERROR_NONE)
        error_set(problem, ERROR_TIMEOUT, 0, "EC2 did not answer in time");
    h->in_flight = 0;
}

bool handover_step(struct launch *l, bool settled, int64_t now, struct acts *acts)
{
    struct handover *h = &l->handover;
    if (h->phase == HANDOVER_IDLE && l->announced && l->config->claims) {
        if (now < shown_at(l)) {
            wake_at(l, shown_at(l));
        } else {
            go(l, settled ? HANDOVER_LAST : HANDOVER_EARLY, now);
            look_up(l, acts);
        }
    }
    bool waits = h->in_flight > 0 && now < h->until;
    if (h->phase == HANDOVER_EARLY && !waits)
        h->phase = HANDOVER_READY;
    if (!settled || h->phase == HANDOVER_DONE)
        return h->phase == HANDOVER_DONE;
    if (waits || (h->phase == HANDOVER_IDLE && l->config->claims)) {
        wake_at(l, waits ? h->until : shown_at(l));
        return false;
    }
    give_up(h);
    if (h->phase < HANDOVER_LAST && l->config->claims) {
        go(l, HANDOVER_LAST, now);
        look_up(l, acts);
    } else if (h->phase < HANDOVER_MARKING && l->config->hands) {
        go(l, HANDOVER_MARKING, now);
        mark(l, acts);
    } else {
        h->phase = HANDOVER_DONE;
        return true;
    }
    wake_at(l, h->until);
    return false;
}

/* One order for all that look: by the time of the launch, then by id. */
static bool is_older(int64_t a, const char *a_id, int64_t b, const char *b_id)
{
    return a != b ? a < b : strcmp(a_id, b_id) < 0;
}

static bool is_own(const struct launch *l, const struct ec2_instance *i)
{
    for (size_t n = 0; n < l->config->count; n++)
        if (str_eq(l->slots[n].pair.instance_id, i->id))
            return true;
    return strlist_has(&l->handover.names, ec2_instance_tag(i, TAG_RUNNER));
}

static bool is_first(const struct launch *l)
{
    const struct handover *h = &l->handover;
    for (size_t n = 0; n < l->config->count; n++) {
        const struct launch_slot *s = &l->slots[n];
        if (!s->down && s->pair.instance == INSTANCE_HAVE &&
            is_older(s->launch_time, s->pair.instance_id, h->rival_launched, h->rival))
            return true;
    }
    return false;
}

static void take_rivals(struct launch *l, const struct event *e)
{
    struct handover *h = &l->handover;
    for (size_t i = 0; i < e->n_instances; i++) {
        const struct ec2_instance *other = &e->instances[i];
        if (is_own(l, other) || !ec2_state_is_live(ec2_instance_state(other)) ||
            !ec2_filters_take(h->filters, ARRAY_SIZE(h->filters), other))
            continue;
        int64_t launched = ec2_instance_launched(other);
        if (h->rival && !is_older(launched, other->id, h->rival_launched, h->rival))
            continue;
        str_set(&h->rival, other->id);
        h->rival_launched = launched;
    }
}

bool handover_answer(struct launch *l, const struct event *e, struct error *err)
{
    struct handover *h = &l->handover;
    struct error *problem = e->act == ACT_MARK ? &h->unmarked : &h->unclaimed;
    if (h->in_flight > 0 && e->part == (size_t)h->phase)
        h->in_flight--;
    if (e->outcome != OUTCOME_OK) {
        if (problem->domain == ERROR_NONE && (e->act == ACT_MARK || h->phase == HANDOVER_LAST))
            error_copy(problem, e->error);
        return true;
    }
    if (e->act == ACT_MARK || l->undoing)
        return true;
    take_rivals(l, e);
    if (e->n_skipped && problem->domain == ERROR_NONE && h->phase == HANDOVER_LAST)
        (void)ec2_no_id(problem);
    if (!h->rival || is_first(l))
        return true;
    error_set(err, ERROR_CONFIG, 0, "--label: instance %s of this fleet carries the label `%s` too, and is older",
              h->rival, l->config->label);
    error_hint(err, "another start took the label at the same moment: give each start its own, or omit --label");
    return false;
}
