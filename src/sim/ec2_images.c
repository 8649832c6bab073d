/* Images. */
#include "aws.h"

const char *image_state(const struct sim *s, const struct image *image)
{
    return image->failed ? "failed" : sim_now(s) < image->available_at ? "pending" : "available";
}

static bool is_public(const struct image *image)
{
    return !str_eq(image->owner, aws_account);
}

static const struct pairs *image_tags(const void *row)
{
    return &((const struct image *)row)->tags;
}

static void image_values(const struct call *c, const void *row, const char *name, struct strlist *ret)
{
    const struct image *image = row;
    AUTO_FREE char *created = element_date(image->created);
    const struct fact known[] = { { "name", image->name },
                                  { "image-id", image->id },
                                  { "architecture", image->architecture },
                                  { "state", image_state(c->sim, image) },
                                  { "owner-id", image->owner },
                                  { "owner-alias", image->alias },
                                  { "creation-date", created },
                                  { "description", image->description },
                                  { "root-device-name", image->root_device },
                                  { "root-device-type", "ebs" },
                                  { "block-device-mapping.snapshot-id", image->snapshot },
                                  { "virtualization-type", "hvm" },
                                  { "hypervisor", "xen" },
                                  { "image-type", "machine" },
                                  { "is-public", is_public(image) ? "true" : "false" } };
    facts_add(known, ARRAY_SIZE(known), name, ret);
}

static bool check_owners(struct call *c, struct strlist *ret)
{
    static const char *const aliases[] = { "self", "amazon", "aws-marketplace", "aws-backup-vault" };
    call_list(c, "Owner", ret);
    for (size_t i = 0; i < ret->n; i++) {
        bool known = strlen(ret->v[i]) == strlen(aws_account) && strspn(ret->v[i], "0123456789") == strlen(ret->v[i]);
        for (size_t a = 0; a < ARRAY_SIZE(aliases); a++)
            known = known || str_eq(aliases[a], ret->v[i]);
        if (!known)
            return call_refuse(c, 400, "InvalidUserID.Malformed", "Invalid user id: \"%s\"", ret->v[i]);
    }
    return true;
}

static bool has_owner(const struct image *image, const struct strlist *owners)
{
    return owners->n == 0 || strlist_has(owners, image->owner) || (image->alias && strlist_has(owners, image->alias)) ||
           (strlist_has(owners, "self") && str_eq(image->owner, aws_account));
}

static void write_image(const struct sim *s, struct strbuf *out, const struct image *image)
{
    element_open(out, "item");
    element(out, "imageId", image->id);
    strbuf_addf(out, "<imageLocation>%s/%s</imageLocation>", image->owner, image->name);
    element(out, "imageState", image_state(s, image));
    element(out, "imageOwnerId", image->owner);
    element(out, "imageOwnerAlias", image->alias);
    element_time(out, "creationDate", image->created);
    element_bool(out, "isPublic", is_public(image));
    element(out, "architecture", image->architecture);
    element(out, "imageType", "machine");
    element(out, "name", image->name);
    element(out, "description", image->description);
    element(out, "rootDeviceType", "ebs");
    element(out, "rootDeviceName", image->root_device);
    element_open(out, "blockDeviceMapping");
    element_open(out, "item");
    element(out, "deviceName", image->root_device);
    element_open(out, "ebs");
    element(out, "snapshotId", image->snapshot);
    element_int(out, "volumeSize", image->gib);
    element_bool(out, "deleteOnTermination", true);
    element(out, "volumeType", "gp3");
    element_bool(out, "encrypted", false);
    element_close(out, "ebs");
    element_close(out, "item");
    element_close(out, "blockDeviceMapping");
    if (image->failed) {
        element_open(out, "stateReason");
        element(out, "code", image->failed);
        element(out, "message", image->failed);
        element_close(out, "stateReason");
    }
    element(out, "virtualizationType", "hvm");
    tags_write(out, &image->tags);
    element(out, "hypervisor", "xen");
    element_bool(out, "enaSupport", true);
    element(out, "imdsSupport", "v2.0");
    element_close(out, "item");
}

bool image_check(struct call *c, const char *id)
{
    if (str_empty(id))
        return call_refuse(c, 400, "MissingParameter", "The request must contain the parameter ImageId");
    if (!aws_is_id(id, "ami-"))
        return call_refuse(c, 400, "InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id);
    return IS_HERE(c, world_image(c->sim, id)) ||
           call_refuse(c, 400, "InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id);
}

static const struct resource image_resource = {
    .ids = "ImageId",
    .set = "imagesSet",
    .filters = "name image-id architecture state owner-id owner-alias creation-date description root-device-name "
               "root-device-type block-device-mapping.snapshot-id virtualization-type hypervisor image-type is-public",
    .values = image_values,
    .tags = image_tags,
    .check_id = image_check,
};

void ec2_describe_images(struct call *c)
{
    CLEANUP(listing_clear) struct listing l = { 0 };
    AUTO_STRLIST owners = { 0 };
    if (!check_owners(c, &owners) || !listing_begin(c, &image_resource, &l))
        return;
    listing_open(c, &l);
    for (size_t i = 0; i < c->sim->n_images; i++) {
        const struct image *image = c->sim->images[i];
        if (str_eq(image->region, c->region) && has_owner(image, &owners) && listing_takes(c, &l, image->id, image))
            write_image(c->sim, &c->res->body, image);
    }
    listing_close(c, &l);
}
