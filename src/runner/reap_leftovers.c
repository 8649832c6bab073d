#include "mayfly/runner/reap_leftovers.h"

#include "mayfly/runner/tags.h"

enum { AT_ONCE = 8, HURRY_MS = 7000 };

/* --- the rules ---------------------------------------------------------------------------------------------------- */

static bool is_image(enum ec2_kind kind)
{
    return kind == EC2_IMAGE || kind == EC2_SNAPSHOT;
}

struct leftover_ruling leftover_decide(const struct leftover_facts *f, int64_t retention)
{
    const int64_t grace = is_image(f->kind) ? retention : REAP_LEFTOVER_GRACE;
    const struct {
        bool matches;
        struct leftover_ruling ruling;
    } rules[] = {
        { !f->ours, { false, "foreign", "not of this fleet" } },
        { f->keep, { false, "kept", "tagged " TAG_KEEP } },
        { !f->idle, { false, "in-use", "in use" } },
        { f->age < 0, { false, "ageless", "of unknown age" } },
        { f->unproven && f->age <= f->life, { false, "unproven", "a bake is creating it" } },
        { f->unproven, { true, "unproven", "left by an unfinished bake" } },
        { is_image(f->kind) && retention == 0, { false, "no-retention", "no --image-retention was given" } },
        { f->age <= grace, { false, "young", "young" } },
        { f->newest, { false, "newest", "the latest of its name" } },
        { f->kind == EC2_VOLUME, { true, "unattached", "not attached" } },
        { f->kind == EC2_SPOT_REQUEST, { true, "open", "never fulfilled" } },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
        if (rules[i].matches)
            return rules[i].ruling;
    return (struct leftover_ruling){ true, "retention", "older than the retention" };
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *filter, *state; /* the states in which nothing uses it, where EC2 can filter by them */
} kinds[] = {
    [EC2_VOLUME] = { "status", "available" },
    [EC2_SPOT_REQUEST] = { "state", "open" },
    [EC2_IMAGE] = { NULL, NULL },
    [EC2_SNAPSHOT] = { "status", "completed error" },
};

static void set_filters(struct leftovers *l)
{
    strlist_clear(&l->state);
    l->filters[0] = (struct ec2_filter){ .name = "tag:" TAG_FLEET, .values = &l->fleet };
    l->filters[1] = (struct ec2_filter){ .name = "tag:" TAG_ROLE, .values = &l->role };
    if (is_image(l->kind) && l->config->retention == 0)
        l->filters[1] = (struct ec2_filter){ .name = "tag-key", .values = &l->limits };
    if (is_image(l->kind) || !kinds[l->kind].filter)
        return;
    strlist_split(&l->state, kinds[l->kind].state, " ");
    l->filters[1] = (struct ec2_filter){ .name = kinds[l->kind].filter, .values = &l->state };
}

static bool begin_list(struct leftovers *l, struct acts *acts)
{
    if (l->phase != LEFTOVERS_LISTING || l->region == l->config->regions->n)
        return false;
    acts_add(acts, (struct act){ .kind = ACT_LEFTOVERS,
                                 .who = l->region,
                                 .region = l->config->regions->v[l->region],
                                 .leftover = l->kind,
                                 .filters = l->filters,
                                 .n_filters = 2,
                                 .by_page = true });
    l->region++;
    return true;
}

static struct leftover_facts facts_of(const struct leftovers *l, const struct ec2_leftover *row)
{
    const char *state = kinds[l->kind].state, *limits_tag = ec2_leftover_tag(row, TAG_LIMITS);
    struct limits limits = LIMITS_DEFAULT;
    const bool baked = str_eq(ec2_leftover_tag(row, TAG_ROLE), "bake");
    int64_t created = ec2_leftover_created(row);
    if (limits_tag && !limits_parse(limits_tag, &limits))
        limits = LIMITS_DEFAULT;
    return (struct leftover_facts){
        .kind = l->kind,
        .ours = str_eq(ec2_leftover_tag(row, TAG_FLEET), l->config->fleet) && (baked || !is_image(l->kind)),
        .keep = ec2_leftover_tag(row, TAG_KEEP) != NULL,
        .unproven = limits_tag && is_image(l->kind),
        .life = limits.life,
        .idle = !state || str_is_one_of(row->state ? row->state : "", state),
        .age = created > 0 && created <= l->cloud_now && !l->no_time ? l->cloud_now - created : -1,
    };
}

/* Images of one TAG_NAME follow each other; without it, "mayfly-cuda-20261101" and "mayfly-cuda-20261102" do. */
static char *group_of(const struct ec2_leftover *row)
{
    AUTO_STRBUF group = STRBUF_INIT;
    const char *name = ec2_leftover_tag(row, TAG_NAME);
    if (!str_empty(name)) {
        strbuf_addf(&group, "%s %s", name, row->architecture ? row->architecture : "");
        return strbuf_steal(&group);
    }
    size_t n = row->name ? strlen(row->name) : 0;
    while (n > 0 && strchr("0123456789-._:TZ", row->name[n - 1]))
        n--;
    strbuf_addf(&group, "%.*s %s", (int)n, row->name ? row->name : "", row->architecture ? row->architecture : "");
    return strbuf_steal(&group);
}

static void take(struct leftovers *l, const struct ec2_leftover *row, size_t region)
{
    const struct leftover_facts f = facts_of(l, row);
    const struct leftover_ruling r = leftover_decide(&f, l->config->retention);
    if (l->kind != EC2_IMAGE && !r.remove && !f.keep) /* a young image may be what makes an older one go */
        return;
    if (l->kind != EC2_IMAGE && l->n - l->first == REAP_LEFTOVERS_MAX) {
        l->more[l->kind] = true;
        return;
    }
    const char *name = l->kind == EC2_IMAGE ? ec2_leftover_tag(row, TAG_NAME) : NULL;
    AUTO_FREE char *parameter = str_empty(name) ? NULL : image_parameter(name);
    l->v = xreallocarray(l->v, l->n + 1, sizeof(*l->v));
    l->v[l->n++] = (struct leftover){ .id = xstrdup(row->id),
                                      .group = l->kind == EC2_IMAGE ? group_of(row) : NULL,
                                      .works = str_eq(row->state, "available") && !f.unproven,
                                      .names = { parameter ? xstrdup(parameter) : NULL,
                                                 parameter ? image_parameter_before(parameter) : NULL },
                                      .region = region,
                                      .facts = f,
                                      .ruling = r };
}

static void answer_list(struct leftovers *l, const struct event *e)
{
    if (e->outcome != OUTCOME_OK) {
        if (l->errors[l->kind].domain == ERROR_NONE)
            error_copy(&l->errors[l->kind], e->error);
        return;
    }
    l->cloud_now = e->cloud_now;
    l->no_time = e->no_time;
    for (size_t i = 0; i < e->n_leftovers; i++)
        take(l, &e->leftovers[i], e->who);
}

/* --- who goes ----------------------------------------------------------------------------------------------------- */

static bool is_newest(const struct leftovers *l, const struct leftover *image)
{
    if (!image->works)
        return false;
    for (size_t i = l->first; i < l->n; i++) {
        const struct leftover *other = &l->v[i];
        if (other != image && other->works && other->region == image->region && other->facts.ours &&
            other->facts.age >= 0 && str_eq(other->group, image->group) && other->facts.age < image->facts.age)
            return false;
    }
    return true;
}

/* Everything of this kind is known: who goes? A list that broke off may lack what makes an image the second newest
 * only, which keeps more, not less. */
static void judge(struct leftovers *l)
{
    size_t todo = 0;
    for (size_t i = l->first; i < l->n; i++) {
        struct leftover *o = &l->v[i];
        o->facts.newest = l->kind == EC2_IMAGE && is_newest(l, o);
        o->ruling = leftover_decide(&o->facts, l->config->retention);
        if (!o->ruling.remove)
            continue;
        if (todo++ == REAP_LEFTOVERS_MAX) {
            l->more[l->kind] = true;
            break;
        }
        o->stage = LEFTOVER_TODO;
        if (l->kind == EC2_IMAGE && !o->facts.unproven)
            strlist_add(&l->going, o->id);
    }
}

/* --- what is needed ----------------------------------------------------------------------------------------------- */

static const struct leftover_ruling used = { false, "in-use", "an instance uses it" };
static const struct leftover_ruling published = { false, "published", "its SSM parameter contains it, or did before" };

static void keep(struct leftover *o, struct leftover_ruling ruling)
{
    o->stage = LEFTOVER_DONE;
    o->ruling = ruling;
}

static void fail(struct leftover *o, const struct error *err)
{
    o->stage = LEFTOVER_DONE;
    error_copy(&o->error, err);
}

static bool begin_use(struct leftovers *l, struct acts *acts)
{
    if (l->phase != LEFTOVERS_USED || l->region == l->config->regions->n)
        return false;
    acts_add(acts, (struct act){ .kind = ACT_SCAN,
                                 .who = l->region,
                                 .region = l->config->regions->v[l->region],
                                 .filters = l->by_use,
                                 .n_filters = ARRAY_SIZE(l->by_use),
                                 .by_page = true });
    l->region++;
    return true;
}

/* Instances of whatever fleet. */
static void answer_use(struct leftovers *l, const struct event *e)
{
    for (size_t i = l->first; i < l->n; i++) {
        struct leftover *o = &l->v[i];
        if (o->stage != LEFTOVER_TODO || o->region != e->who || o->facts.unproven)
            continue;
        AUTO_ERROR no_id = { 0 };
        if (e->outcome != OUTCOME_OK)
            fail(o, e->error);
        else if (e->n_skipped && !ec2_no_id(&no_id)) /* nor its image */
            fail(o, &no_id);
        for (size_t n = 0; n < e->n_instances && o->stage == LEFTOVER_TODO; n++)
            if (str_eq(e->instances[n].image, o->id))
                keep(o, used);
    }
}

/* One that is not there names nothing; what one says that could not be read is not known. */
static void answer_parameter(struct leftover *o, const struct event *e)
{
    bool absent = e->outcome != OUTCOME_OK && str_eq(e->error->code, "ParameterNotFound");
    o->stage = LEFTOVER_TODO;
    o->asked++;
    if (e->outcome == OUTCOME_OK && str_eq(e->text, o->id))
        keep(o, published);
    else if (e->outcome != OUTCOME_OK && !absent)
        fail(o, e->error);
}

/* The next parameter that may name it. */
static const char *next_name(const struct leftover *o)
{
    return o->asked < ARRAY_SIZE(o->names) && !o->facts.unproven ? o->names[o->asked] : NULL;
}

/* --- removing ----------------------------------------------------------------------------------------------------- */

static bool begin_removal(struct leftovers *l, struct acts *acts)
{
    for (size_t i = l->first; l->phase == LEFTOVERS_REMOVING && !l->hurry_until && i < l->n; i++) {
        struct leftover *o = &l->v[i];
        const char *name = next_name(o);
        if (o->stage != LEFTOVER_TODO)
            continue;
        o->stage = name ? LEFTOVER_READING : l->config->dry_run ? LEFTOVER_DONE : LEFTOVER_REMOVING;
        if (o->stage == LEFTOVER_DONE)
            continue;
        acts_add(acts, (struct act){ .kind = name ? ACT_GET_PARAMETER : ACT_REMOVE,
                                     .who = i,
                                     .region = l->config->regions->v[o->region],
                                     .leftover = l->kind,
                                     .name = name ? name : o->id });
        return true;
    }
    return false;
}

static void answer_removal(struct leftover *o, const struct event *e)
{
    o->stage = LEFTOVER_DONE;
    o->removed = e->outcome == OUTCOME_OK || ec2_leftover_is_gone(e->error);
    if (o->removed)
        return;
    if (ec2_leftover_is_used(e->error))
        o->ruling = (struct leftover_ruling){ false, "in-use", "in use" };
    else
        error_copy(&o->error, e->error);
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

static bool next_kind(struct leftovers *l)
{
    if (l->kind == EC2_SNAPSHOT)
        return false;
    l->kind++;
    l->region = 0;
    l->phase = LEFTOVERS_LISTING;
    l->first = l->n;
    set_filters(l);
    return true;
}

static void answer(struct leftovers *l, const struct event *e)
{
    if (e->act == ACT_LEFTOVERS)
        answer_list(l, e);
    else if (e->act == ACT_SCAN)
        answer_use(l, e);
    else if (e->act == ACT_GET_PARAMETER)
        answer_parameter(&l->v[e->who], e);
    else
        answer_removal(&l->v[e->who], e);
}

/* The next phase of this kind, or the first of the next. False: that was all. */
static bool next_phase(struct leftovers *l)
{
    if (l->phase == LEFTOVERS_REMOVING)
        return next_kind(l);
    if (l->phase == LEFTOVERS_LISTING)
        judge(l);
    l->region = 0;
    l->phase =
        l->phase == LEFTOVERS_LISTING && l->going.n > 0 && l->kind == EC2_IMAGE ? LEFTOVERS_USED : LEFTOVERS_REMOVING;
    return true;
}

static void step(struct machine *m, const struct event *e, struct acts *acts)
{
    struct leftovers *l = (struct leftovers *)m;
    if (e->kind == EVENT_SIGNAL) {
        l->hurry_until = e->now + HURRY_MS;
        if (l->error.domain == ERROR_NONE)
            error_set(&l->error, ERROR_CANCELLED, 0, "interrupted by a signal");
    } else if (e->kind == EVENT_PAGE || e->kind == EVENT_ANSWER) {
        l->in_flight -= e->kind == EVENT_ANSWER;
        answer(l, e);
    }
    for (bool more = !l->hurry_until; more;) {
        while (l->in_flight < AT_ONCE && (begin_list(l, acts) || begin_use(l, acts) || begin_removal(l, acts)))
            l->in_flight++;
        more = l->in_flight == 0 && next_phase(l);
    }
    /* After a signal only a removal that is under way is waited for. */
    bool removing = false;
    for (size_t i = l->first; l->phase == LEFTOVERS_REMOVING && i < l->n; i++)
        removing = removing || l->v[i].stage == LEFTOVER_REMOVING;
    m->done = l->in_flight == 0 || (l->hurry_until && (!removing || e->now >= l->hurry_until));
    m->wake = l->hurry_until ? l->hurry_until : INT64_MAX;
}

void leftovers_init(struct leftovers *l, const struct leftovers_config *config)
{
    *l = (struct leftovers){ .machine = { .step = step, .wake = INT64_MAX }, .config = config };
    strlist_add(&l->fleet, config->fleet);
    strlist_add(&l->role, "bake");
    strlist_add(&l->limits, TAG_LIMITS);
    strlist_split(&l->live, "pending running stopping stopped", " ");
    l->by_use[0] = (struct ec2_filter){ .name = "image-id", .values = &l->going };
    l->by_use[1] = (struct ec2_filter){ .name = "instance-state-name", .values = &l->live };
    set_filters(l);
}

void leftovers_clear(struct leftovers *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->v[i].id);
        free(l->v[i].group);
        free(l->v[i].names[0]);
        free(l->v[i].names[1]);
        error_clear(&l->v[i].error);
    }
    for (size_t k = 0; k < EC2_KIND_COUNT; k++)
        error_clear(&l->errors[k]);
    free(l->v);
    strlist_clear(&l->fleet);
    strlist_clear(&l->role);
    strlist_clear(&l->limits);
    strlist_clear(&l->state);
    strlist_clear(&l->going);
    strlist_clear(&l->live);
    error_clear(&l->error);
    *l = (struct leftovers){ 0 };
}
