/* Volumes. */
#include <inttypes.h>

#include "aws.h"
#include "describe.h"
#include "ec2.h"
#include "world_resources.h"

static const struct pairs *volume_tags(const void *row)
{
    return &((const struct volume *)row)->tags;
}

static void volume_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    const struct volume *v = row;
    AUTO_FREE char *size = xasprintf("%" PRId64, v->size), *created = element_date(v->created);
    const struct fact known[] = { { "volume-id", v->id },
                                  { "status", v->instance ? "in-use" : "available" },
                                  { "attachment.instance-id", v->instance },
                                  { "availability-zone", v->zone },
                                  { "volume-type", v->type },
                                  { "size", size },
                                  { "create-time", created },
                                  { "snapshot-id", v->snapshot },
                                  { "encrypted", v->encrypted ? "true" : "false" } };
    facts_add(known, ARRAY_SIZE(known), name, ret);
}

static bool check_volume_id(struct call *c, const char *id)
{
    if (!id)
        return call_refuse(c, 400, "MissingParameter", "The request must contain the parameter volume");
    if (!aws_is_id(id, "vol-"))
        return call_refuse(c, 400, "InvalidParameterValue",
                           "Value (%s) for parameter volumeId is invalid. Expected: 'vol-...'.", id);
    return IS_HERE(c, world_volume(c->sim, id)) ||
           call_refuse(c, 400, "InvalidVolume.NotFound", "The volume '%s' does not exist.", id);
}

/* 0 writes nothing. */
static void element_some(struct strbuf *out, const char *name, int64_t n)
{
    if (n)
        element_int(out, name, n);
}

static void write_volume(struct strbuf *out, const struct volume *v)
{
    element_open(out, "item");
    element(out, "volumeId", v->id);
    element_int(out, "size", v->size);
    element(out, "snapshotId", v->snapshot ? v->snapshot : "");
    element(out, "availabilityZone", v->zone);
    element(out, "status", v->instance ? "in-use" : "available");
    element_time(out, "createTime", v->created);
    element_open(out, "attachmentSet");
    if (v->instance) {
        element_open(out, "item");
        element(out, "volumeId", v->id);
        element(out, "instanceId", v->instance);
        element(out, "device", v->device);
        element(out, "status", "attached");
        element_time(out, "attachTime", v->created);
        element_bool(out, "deleteOnTermination", v->delete_on_termination);
        element_close(out, "item");
    }
    element_close(out, "attachmentSet");
    tags_write(out, &v->tags);
    element(out, "volumeType", v->type);
    element_bool(out, "encrypted", v->encrypted);
    element(out, "kmsKeyId", v->kms_key);
    element_some(out, "iops", v->iops);
    element_some(out, "throughput", v->throughput);
    element_some(out, "volumeInitializationRate", v->rate);
    element_close(out, "item");
}

static const struct resource volume_resource = {
    .ids = "VolumeId",
    .set = "volumeSet",
    .filters = "volume-id status attachment.instance-id availability-zone volume-type size create-time snapshot-id "
               "encrypted",
    .values = volume_values,
    .tags = volume_tags,
    .check_id = check_volume_id,
};

void ec2_describe_volumes(struct call *c)
{
    CLEANUP(listing_clear) struct listing l = { 0 };
    if (!listing_begin(c, &volume_resource, &l))
        return;
    listing_open(c, &l);
    for (size_t n = 0; n < c->sim->n_volumes; n++) {
        const struct volume *v = c->sim->volumes[n];
        if (str_eq(v->region, c->region) && listing_takes(c, &l, v->id, v))
            write_volume(&c->res->body, v);
    }
    listing_close(c, &l);
}

void ec2_delete_volume(struct call *c)
{
    const char *id = call_param(c, "VolumeId");
    if (!check_volume_id(c, id))
        return;
    struct volume *v = world_volume(c->sim, id);
    if (v->instance) {
        call_refuse(c, 400, "VolumeInUse", "Volume %s is currently attached to %s", v->id, v->instance);
        return;
    }
    if (!call_is_wet(c))
        return;
    world_remove_volume(c->sim, v);
    call_return_true(c);
}

/* --- encryption --------------------------------------------------------------------------------------------------- */

void ec2_get_encryption(struct call *c)
{
    if (!call_is_wet(c))
        return;
    call_begin(c);
    element_bool(&c->res->body, "ebsEncryptionByDefault", c->sim->encryption.by_default);
    call_end(c);
}

void ec2_get_default_key(struct call *c)
{
    if (!call_is_wet(c))
        return;
    call_begin(c);
    element(&c->res->body, "kmsKeyId", c->sim->encryption.key ? c->sim->encryption.key : "alias/aws/ebs");
    call_end(c);
}
