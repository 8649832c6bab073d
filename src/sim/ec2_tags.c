/* Tags: in answers, in TagSpecification, and by CreateTags, DeleteTags and DescribeTags. */
#include "aws.h"
#include "describe.h"
#include "ec2.h"
#include "sim.h"
#include "world_instances.h"
#include "world_resources.h"

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

bool tags_take(struct call *c, const char *kinds, const char *kind, struct pairs *ret)
{
    AUTO_STRLIST known = { 0 };
    const char *type, *key;
    strlist_split(&known, kinds, " ");
    for (unsigned s = 1; (type = call_param_n(c, "TagSpecification.%u.ResourceType", s)) != NULL; s++) {
        if (!strlist_has(&known, type))
            return call_refuse(c, 400, "InvalidParameterValue",
                               "'%s' is not a valid taggable resource type for this operation.", type);
        bool ours = str_eq(type, kind);
        for (unsigned t = 1; (key = call_param_n(c, "TagSpecification.%u.Tag.%u.Key", s, t)) != NULL; t++) {
            const char *value = call_param_n(c, "TagSpecification.%u.Tag.%u.Value", s, t);
            if (!check_tag(c, key, value ? value : ""))
                return false;
            if (ours && pairs_get(ret, key))
                return call_refuse(c, 400, "InvalidParameterValue", "Duplicate tag key '%s' specified.", key);
            if (ours)
                pairs_add(ret, key, value ? value : "");
        }
    }
    return ret->n <= TAGS_MAX ||
           call_refuse(c, 400, "TagLimitExceeded", "The maximum number of Tags for a resource has been reached.");
}

/* --- CreateTags, DeleteTags, DescribeTags ------------------------------------------------------------------------- */

/* The tags of a resource of this region, or NULL. */
static struct pairs *find_tags(const struct call *c, const char *id)
{
    const struct sim *s = c->sim;
    struct instance *i = world_instance(s, id);
    struct volume *v = world_volume(s, id);
    struct spot_request *q = world_spot_request(s, id);
    struct image *image = world_image(s, id);
    struct snapshot *snapshot = world_snapshot(s, id);
    struct subnet *subnet = world_subnet(s, id);
    struct security_group *group = world_group(s, id);
    const struct {
        const char *region;
        struct pairs *tags;
    } found[] = {
        { i ? i->region : NULL, i ? &i->tags : NULL },
        { v ? v->region : NULL, v ? &v->tags : NULL },
        { q ? q->region : NULL, q ? &q->tags : NULL },
        { image ? image->region : NULL, image ? &image->tags : NULL },
        { snapshot ? snapshot->region : NULL, snapshot ? &snapshot->tags : NULL },
        { subnet ? subnet->region : NULL, subnet ? &subnet->tags : NULL },
        { group ? group->region : NULL, group ? &group->tags : NULL },
    };
    for (size_t n = 0; !c->request->hide && n < ARRAY_SIZE(found); n++)
        if (found[n].tags && str_eq(found[n].region, c->region))
            return found[n].tags;
    return NULL;
}

/* The same, and the answer is written when there is none. */
static struct pairs *tags_of(struct call *c, const char *id)
{
    static const struct {
        const char *prefix, *code, *thing, *rest;
    } missing[] = {
        { "i-", "InvalidInstanceID.NotFound", "instance ID", "does not exist" },
        { "vol-", "InvalidVolume.NotFound", "volume", "does not exist." },
        { "sir-", "InvalidSpotInstanceRequestID.NotFound", "spot instance request ID", "does not exist" },
        { "ami-", "InvalidAMIID.NotFound", "image ID", "does not exist" },
        { "snap-", "InvalidSnapshot.NotFound", "snapshot", "does not exist." },
        { "subnet-", "InvalidSubnetID.NotFound", "subnet ID", "does not exist" },
        { "sg-", "InvalidGroup.NotFound", "security group", "does not exist" },
        { "", "InvalidID", "ID", "is not valid" },
    };
    struct pairs *tags = find_tags(c, id);
    size_t m = 0;
    while (!tags && !str_starts(id, missing[m].prefix))
        m++;
    if (!tags)
        call_refuse(c, 400, missing[m].code, "The %s '%s' %s", missing[m].thing, id, missing[m].rest);
    return tags;
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

#define TAG_ROWS(rows, n_rows, kind)                                                                                   \
    do {                                                                                                               \
        for (size_t n = 0; n < (n_rows); n++)                                                                          \
            if (str_eq((rows)[n]->region, c->region))                                                                  \
                write_tag_rows(c, &l, (rows)[n]->id, kind, &(rows)[n]->tags);                                          \
    } while (0)

void ec2_describe_tags(struct call *c)
{
    const struct sim *s = c->sim;
    CLEANUP(listing_clear) struct listing l = { 0 };
    if (!listing_begin(c, &tag_resource, &l))
        return;
    listing_open(c, &l);
    TAG_ROWS(s->images, s->n_images, "image");
    TAG_ROWS(s->instances, s->n_instances, "instance");
    TAG_ROWS(s->groups, s->n_groups, "security-group");
    TAG_ROWS(s->snapshots, s->n_snapshots, "snapshot");
    TAG_ROWS(s->spot_requests, s->n_spot_requests, "spot-instances-request");
    TAG_ROWS(s->subnets, s->n_subnets, "subnet");
    TAG_ROWS(s->volumes, s->n_volumes, "volume");
    listing_close(c, &l);
}
