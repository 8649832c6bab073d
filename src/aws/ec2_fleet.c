#include "mayfly/aws/ec2_fleet.h"

#include <assert.h>

#include "ec2_call.h"
#include "mayfly/aws/query.h"
#include "mayfly/codec/xml.h"

static const char version[] = "2016-11-15";

static struct aws_call *describe(struct aws *aws, const char *region, const char *action, const char *owner,
                                 const struct ec2_filter *filters, size_t n, const char *token)
{
    struct strbuf body = STRBUF_INIT;
    assert(n > 0);
    query_begin(&body, action, version);
    query_add(&body, owner, "Owner.1");
    ec2_add_filters(&body, filters, n);
    query_add_uint(&body, EC2_FLEET_PAGE, "MaxResults");
    query_add(&body, token, "NextToken");
    return aws_call_new(aws, "ec2", region, action, &body);
}

static bool decode(const struct aws_call *c, const struct field *fields, void *out, struct arena *arena,
                   struct error *err)
{
    const struct strbuf *body = &c->call.exchange.response.body;
    AUTO_FREE char *what = aws_call_what(&c->call);
    AUTO_FREE char *root = xasprintf("%sResponse", c->call.name);
    return xml_decode(strbuf_str(body), body->len, root, fields, out, arena, what, err);
}

struct aws_call *ec2_fleet_call(struct aws *aws, const char *region, const struct ec2_filter *filters, size_t n,
                                const char *token)
{
    return describe(aws, region, "DescribeInstances", NULL, filters, n, token);
}

struct aws_call *ec2_tag_many_call(struct aws *aws, const char *region, const struct strlist *ids, const char *key,
                                   const char *value)
{
    const char *action = value ? "CreateTags" : "DeleteTags";
    struct strbuf body = STRBUF_INIT;
    assert(ids->n > 0);
    query_begin(&body, action, version);
    query_add_list(&body, ids, "ResourceId");
    query_add(&body, key, "Tag.1.Key");
    query_add(&body, value, "Tag.1.Value");
    return aws_call_new(aws, "ec2", region, action, &body);
}

/* --- what is left behind ------------------------------------------------------------------------------------------ */

static const struct field tag_fields[] = {
    { .path = "key", .type = FIELD_STR, .offset = offsetof(struct ec2_tag, key) },
    { .path = "value", .type = FIELD_STR, .offset = offsetof(struct ec2_tag, value) },
    { 0 },
};

#define STR(path_, member, form_)                                                                                      \
    {                                                                                                                  \
        .path = (path_), .type = FIELD_STR, .offset = offsetof(struct ec2_leftover, member), .form = (form_)           \
    }
#define TAGS                                                                                                           \
    {                                                                                                                  \
        .path = "tagSet/item", .type = FIELD_LIST, .offset = offsetof(struct ec2_leftover, tags), .items = tag_fields, \
        .item_size = sizeof(struct ec2_tag)                                                                            \
    }
#define PAGE(path_, items_)                                                                                            \
    {                                                                                                                  \
        { .path = (path_),                                                                                             \
          .type = FIELD_LIST,                                                                                          \
          .offset = offsetof(struct ec2_leftovers, rows),                                                              \
          .items = (items_),                                                                                           \
          .item_size = sizeof(struct ec2_leftover) },                                                                  \
            { .path = "nextToken", .type = FIELD_STR, .offset = offsetof(struct ec2_leftovers, next_token) },          \
        {                                                                                                              \
            0                                                                                                          \
        }                                                                                                              \
    }

static const struct field volume_fields[] = { STR("volumeId", id, FORM_VOLUME),
                                              STR("status", state, FORM_WORD),
                                              STR("createTime", created, FORM_TIME),
                                              TAGS,
                                              { 0 } };
static const struct field spot_request_fields[] = { STR("spotInstanceRequestId", id, FORM_SPOT_REQUEST),
                                                    STR("state", state, FORM_WORD),
                                                    STR("createTime", created, FORM_TIME),
                                                    TAGS,
                                                    { 0 } };
static const struct field image_fields[] = { STR("imageId", id, FORM_IMAGE),
                                             STR("imageState", state, FORM_WORD),
                                             STR("creationDate", created, FORM_TIME),
                                             STR("name", name, FORM_ANY),
                                             STR("architecture", architecture, FORM_WORD),
                                             STR("stateReason/message", reason, FORM_ANY),
                                             STR("deprecationTime", deprecated, FORM_TIME),
                                             { .path = "blockDeviceMapping/item/ebs/snapshotId",
                                               .type = FIELD_LIST,
                                               .offset = offsetof(struct ec2_leftover, snapshots),
                                               .item_size = sizeof(const char *),
                                               .form = FORM_SNAPSHOT },
                                             TAGS,
                                             { 0 } };
static const struct field snapshot_fields[] = { STR("snapshotId", id, FORM_SNAPSHOT),
                                                STR("status", state, FORM_WORD),
                                                STR("startTime", created, FORM_TIME),
                                                STR("description", description, FORM_ANY),
                                                TAGS,
                                                { 0 } };

static const struct {
    const char *name;
    const char *describe, *owner;
    struct field page[3];
    const char *remove, *remove_id;
} kinds[] = {
    [EC2_VOLUME] = { "volume", "DescribeVolumes", NULL, PAGE("volumeSet/item", volume_fields), "DeleteVolume",
                     "VolumeId" },
    [EC2_SPOT_REQUEST] = { "spot request", "DescribeSpotInstanceRequests", NULL,
                           PAGE("spotInstanceRequestSet/item", spot_request_fields), "CancelSpotInstanceRequests",
                           "SpotInstanceRequestId.1" },
    [EC2_IMAGE] = { "image", "DescribeImages", "self", PAGE("imagesSet/item", image_fields), "DeregisterImage",
                    "ImageId" },
    [EC2_SNAPSHOT] = { "snapshot", "DescribeSnapshots", "self", PAGE("snapshotSet/item", snapshot_fields),
                       "DeleteSnapshot", "SnapshotId" },
};

const char *ec2_kind_name(enum ec2_kind kind)
{
    return kinds[kind].name;
}

int64_t ec2_leftover_created(const struct ec2_leftover *l)
{
    int64_t t;
    return l->created && clock_parse_rfc3339(l->created, &t) ? t : 0;
}

const char *ec2_leftover_tag(const struct ec2_leftover *l, const char *key)
{
    for (size_t n = 0; n < l->tags.n; n++) {
        const struct ec2_tag *tag = FIELD_ROW(&l->tags, const struct ec2_tag, n);
        if (str_eq(tag->key, key))
            return tag->value ? tag->value : "";
    }
    return NULL;
}

struct aws_call *ec2_list_leftovers_call(struct aws *aws, const char *region, enum ec2_kind kind,
                                         const struct ec2_filter *filters, size_t n, const char *token)
{
    return describe(aws, region, kinds[kind].describe, kinds[kind].owner, filters, n, token);
}

bool ec2_list_leftovers_result(const struct aws_call *call, enum ec2_kind kind, struct arena *arena,
                               struct ec2_leftovers *ret, struct error *err)
{
    struct ec2_leftovers page = { 0 };
    if (!decode(call, kinds[kind].page, &page, arena, err))
        return false;
    for (size_t i = 0; i < page.rows.n; i++)
        if (str_empty(FIELD_ROW(&page.rows, struct ec2_leftover, i)->id))
            return error_set(err, ERROR_PARSE, 0, "the answer to %s has a %s without an id", call->call.name,
                             kinds[kind].name);
    if (str_empty(page.next_token))
        page.next_token = NULL;
    *ret = page;
    return true;
}

struct aws_call *ec2_remove_leftover_call(struct aws *aws, const char *region, enum ec2_kind kind, const char *id)
{
    struct strbuf body = STRBUF_INIT;
    query_begin(&body, kinds[kind].remove, version);
    query_add(&body, id, "%s", kinds[kind].remove_id);
    return aws_call_new(aws, "ec2", region, kinds[kind].remove, &body);
}

struct removal {
    const char *done, *state; /* state: of a spot request */
};

static const struct field removal_fields[] = {
    { .path = "return", .type = FIELD_STR, .offset = offsetof(struct removal, done) },
    { .path = "spotInstanceRequestSet/item/state", .type = FIELD_STR, .offset = offsetof(struct removal, state) },
    { 0 },
};

bool ec2_remove_leftover_result(const struct aws_call *call, enum ec2_kind kind, struct error *err)
{
    AUTO_ARENA arena = { 0 };
    struct removal r = { 0 };
    if (!decode(call, removal_fields, &r, &arena, err))
        return false;
    const char *says = kind == EC2_SPOT_REQUEST ? r.state : r.done ? r.done : "true"; /* by its model it says nothing */
    if (str_is_one_of(says ? says : "", kind == EC2_SPOT_REQUEST ? "cancelled closed completed" : "true"))
        return true;
    return error_set(err, ERROR_PARSE, 0, "the answer to %s says `%.40s`", call->call.name, says ? says : "nothing");
}

bool ec2_leftover_is_gone(const struct error *err)
{
    return err->code && str_ends(err->code, ".NotFound");
}

bool ec2_leftover_is_used(const struct error *err)
{
    return str_eq(err->code, "InvalidSnapshot.InUse") || str_eq(err->code, "VolumeInUse");
}
