/* Images. */
#include "aws.h"

static void image_tags_of(const struct image *image, struct pairs *ret)
{
    if (!image->runner_version)
        return;
    pairs_add(ret, "Name", image->name);
    pairs_add(ret, "mayfly:runner-version", image->runner_version);
}

static void image_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    const struct image *image = row;
    const struct fact known[] = { { "name", image->name },
                                  { "image-id", image->id },
                                  { "architecture", image->architecture },
                                  { "state", "available" },
                                  { "owner-id", image->owner },
                                  { "root-device-type", "ebs" },
                                  { "virtualization-type", "hvm" },
                                  { "image-type", "machine" },
                                  { "is-public", str_eq(image->owner, aws_account) ? "false" : "true" } };
    facts_add(known, ARRAY_SIZE(known), name, ret);
}

/* The tags of images are made anew, hence one at a time. */
static struct pairs image_tag_pairs;
static const struct pairs *image_tags(const void *row)
{
    pairs_clear(&image_tag_pairs);
    image_tags_of(row, &image_tag_pairs);
    return &image_tag_pairs;
}

static bool has_owner(const struct image *image, const struct strlist *owners)
{
    if (owners->n == 0)
        return true;
    for (size_t i = 0; i < owners->n; i++)
        if (str_eq(owners->v[i], image->owner) || (str_eq(owners->v[i], "self") && str_eq(image->owner, aws_account)))
            return true;
    return false;
}

static void write_image(struct strbuf *out, const struct image *image)
{
    element_open(out, "item");
    element(out, "imageId", image->id);
    element(out, "imageLocation", image->name);
    element(out, "imageState", "available");
    element(out, "imageOwnerId", image->owner);
    element(out, "creationDate", "2026-11-01T00:00:00.000Z");
    element_bool(out, "isPublic", !str_eq(image->owner, aws_account));
    element(out, "architecture", image->architecture);
    element(out, "imageType", "machine");
    element(out, "name", image->name);
    element(out, "rootDeviceType", "ebs");
    element(out, "rootDeviceName", aws_root_device);
    strbuf_addf(out,
                "<blockDeviceMapping><item><deviceName>%s</deviceName><ebs><snapshotId>snap-%s</snapshotId><volumeSize>"
                "%d</volumeSize><deleteOnTermination>true</deleteOnTermination><volumeType>gp3</volumeType><encrypted>"
                "false</encrypted></ebs></item></blockDeviceMapping>",
                aws_root_device, image->id + strlen("ami-"), ROOT_GIB);
    element(out, "virtualizationType", "hvm");
    tags_write(out, image_tags(image));
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
    if (!catalog_image(id))
        return call_refuse(c, 400, "InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id);
    return true;
}

static const struct resource image_resource = {
    .ids = "ImageId",
    .set = "imagesSet",
    .filters = "name image-id architecture state owner-id root-device-type virtualization-type image-type is-public",
    .values = image_values,
    .tags = image_tags,
    .check_id = image_check,
};

void ec2_describe_images(struct call *c)
{
    CLEANUP(listing_clear) struct listing l = { 0 };
    AUTO_STRLIST owners = { 0 };
    call_list(c, "Owner", &owners);
    if (!listing_begin(c, &image_resource, &l))
        return;
    listing_open(c, &l);
    for (size_t i = 0; i < ARRAY_SIZE(catalog_images); i++) {
        const struct image *image = &catalog_images[i];
        if (has_owner(image, &owners) && listing_takes(c, &l, image->id, image))
            write_image(&c->res->body, image);
    }
    listing_close(c, &l);
}
