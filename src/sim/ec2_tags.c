/* Tags: in answers, in TagSpecification, and by CreateTags, DeleteTags and DescribeTags. */
#include "aws.h"

enum { TAG_KEY_MAX = 128, TAG_VALUE_MAX = 256 };

void tags_write(struct strbuf *out, const struct pairs *tags)
{
    element_open(out, "tagSet");
    for (size_t i = 0; i < tags->n; i++) {
        element_open(out, "item");
        element(out, "key", tags->v[2 * i]);
        element(out, "value", tags->v[2 * i + 1]);
        element_close(out, "item");
    }
    element_close(out, "tagSet");
}

static size_t utf8_count(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static bool check_tag(struct call *c, const char *key, const char *value)
{
    if (*key == '\0' || utf8_count(key) > TAG_KEY_MAX)
        return call_refuse(c, 400, "InvalidParameterValue", "Tag key exceeds the maximum length of %d characters",
                           TAG_KEY_MAX);
    if (utf8_count(value) > TAG_VALUE_MAX)
        return call_refuse(c, 400, "InvalidParameterValue", "Tag value exceeds the maximum length of %d characters",
                           TAG_VALUE_MAX);
    if (str_starts(key, "aws:"))
        return call_refuse(c, 400, "InvalidParameterValue",
                           "Value ( %s ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for "
                           "internal use",
                           key);
    return true;
}

bool tags_take(struct call *c, const char *resource, bool spot, struct pairs *ret)
{
    static const char *const kinds[] = { "instance", "volume", "spot-instances-request", "network-interface" };
    const char *type, *key;
    for (unsigned s = 1; (type = call_param_n(c, "TagSpecification.%u.ResourceType", s)) != NULL; s++) {
        bool known = false;
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
            known = known || str_eq(kinds[k], type);
        if (!known || (str_eq(type, "spot-instances-request") && !spot))
            return call_refuse(c, 400, "InvalidParameterValue",
                               "'%s' is not a valid taggable resource type for this operation.", type);
        struct pairs *into = str_eq(type, resource) ? ret : NULL;
        for (unsigned t = 1; (key = call_param_n(c, "TagSpecification.%u.Tag.%u.Key", s, t)) != NULL; t++) {
            const char *value = call_param_n(c, "TagSpecification.%u.Tag.%u.Value", s, t);
            if (!check_tag(c, key, value ? value : ""))
                return false;
            if (into && pairs_get(into, key))
                return call_refuse(c, 400, "InvalidParameterValue", "Duplicate tag key '%s' specified.", key);
            if (into)
                pairs_add(into, key, value ? value : "");
        }
    }
    return ret->n <= TAGS_MAX ||
           call_refuse(c, 400, "TagLimitExceeded", "The maximum number of Tags for a resource has been reached.");
}

/* --- CreateTags, DeleteTags, DescribeTags ------------------------------------------------------------------------- */

/* The tags of a resource, or NULL, and the answer is written. */
static struct pairs *tags_of(struct call *c, const char *id)
{
    struct instance *i = world_instance(c->sim, id);
    struct volume *v = world_volume(c->sim, id);
    struct spot_request *q = spot_request_find(c->sim, id);
    const char *region = i ? i->region : v ? v->region : q ? q->region : NULL;
    if (str_eq(region, c->region) && !c->request->hide)
        return i ? &i->tags : v ? &v->tags : &q->tags;
    if (str_starts(id, "i-"))
        call_refuse(c, 400, "InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id);
    else if (str_starts(id, "vol-"))
        call_refuse(c, 400, "InvalidVolume.NotFound", "The volume '%s' does not exist.", id);
    else if (str_starts(id, "sir-"))
        call_refuse(c, 400, "InvalidSpotInstanceRequestID.NotFound", "The spot instance request ID '%s' does not exist",
                    id);
    else
        call_refuse(c, 400, "InvalidID", "The ID '%s' is not valid", id);
    return NULL;
}

static void delete_tag(const struct call *c, struct pairs *tags, unsigned n)
{
    const char *key = call_param_n(c, "Tag.%u.Key", n), *value = call_param_n(c, "Tag.%u.Value", n);
    if (!value || str_eq(value, pairs_get(tags, key)))
        pairs_remove(tags, key);
}

static bool create_tag(struct call *c, struct pairs *tags, unsigned n)
{
    const char *key = call_param_n(c, "Tag.%u.Key", n), *value = call_param_n(c, "Tag.%u.Value", n);
    if (tags->n >= TAGS_MAX && !pairs_get(tags, key))
        return call_refuse(c, 400, "TagLimitExceeded", "The maximum number of Tags for a resource has been reached.");
    pairs_set(tags, key, value ? value : "");
    return true;
}

void ec2_change_tags(struct call *c)
{
    AUTO_STRLIST ids = { 0 };
    bool create = str_eq(c->action, "CreateTags");
    const char *key;
    unsigned n_tags = 0;
    call_list(c, "ResourceId", &ids);
    for (; (key = call_param_n(c, "Tag.%u.Key", n_tags + 1)) != NULL; n_tags++) {
        const char *value = call_param_n(c, "Tag.%u.Value", n_tags + 1);
        if (!check_tag(c, key, value ? value : ""))
            return;
    }
    if (ids.n == 0 || ids.n > PAGE_MAX || (create && n_tags == 0)) {
        call_refuse(c, 400, ids.n > PAGE_MAX ? "InvalidParameterValue" : "MissingParameter",
                    "The request must contain the parameter %s", ids.n == 0 ? "resourceIdSet" : "tagSet");
        return;
    }
    for (size_t n = 0; n < ids.n; n++)
        if (!tags_of(c, ids.v[n]))
            return;
    if (!call_is_wet(c))
        return;
    for (size_t n = 0; n < ids.n; n++) {
        struct pairs *tags = tags_of(c, ids.v[n]);
        if (!create && n_tags == 0)
            pairs_clear(tags);
        for (unsigned t = 1; t <= n_tags; t++) {
            if (!create)
                delete_tag(c, tags, t);
            else if (!create_tag(c, tags, t))
                return;
        }
    }
    call_return_true(c);
}

struct tag_row {
    const char *id, *kind, *key, *value;
};

static void tag_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    const struct tag_row *t = row;
    const struct fact known[] = {
        { "resource-id", t->id }, { "resource-type", t->kind }, { "key", t->key }, { "value", t->value }
    };
    facts_add(known, ARRAY_SIZE(known), name, ret);
}

static const struct resource tag_resource = { .set = "tagSet",
                                              .filters = "resource-id resource-type key value",
                                              .values = tag_values };

static void write_tag_rows(struct call *c, struct listing *l, const char *id, const char *kind,
                           const struct pairs *tags)
{
    struct strbuf *out = &c->res->body;
    for (size_t i = 0; i < tags->n; i++) {
        struct tag_row row = { id, kind, tags->v[2 * i], tags->v[2 * i + 1] };
        if (!listing_takes(c, l, NULL, &row))
            continue;
        element_open(out, "item");
        element(out, "resourceId", row.id);
        element(out, "resourceType", row.kind);
        element(out, "key", row.key);
        element(out, "value", row.value);
        element_close(out, "item");
    }
}

void ec2_describe_tags(struct call *c)
{
    const struct sim *s = c->sim;
    CLEANUP(listing_clear) struct listing l = { 0 };
    if (!listing_begin(c, &tag_resource, &l))
        return;
    listing_open(c, &l);
    for (size_t n = 0; n < s->n_instances; n++)
        if (str_eq(s->instances[n]->region, c->region))
            write_tag_rows(c, &l, s->instances[n]->id, "instance", &s->instances[n]->tags);
    for (size_t n = 0; n < s->n_volumes; n++)
        if (str_eq(s->volumes[n]->region, c->region))
            write_tag_rows(c, &l, s->volumes[n]->id, "volume", &s->volumes[n]->tags);
    for (size_t n = 0; n < s->n_spot_requests; n++)
        if (str_eq(s->spot_requests[n]->region, c->region))
            write_tag_rows(c, &l, s->spot_requests[n]->id, "spot-instances-request", &s->spot_requests[n]->tags);
    listing_close(c, &l);
}
