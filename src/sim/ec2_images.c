/* Images: described, made from an instance, copied, deregistered. */
#include <inttypes.h>

#include "aws.h"
#include "catalog.h"
#include "describe.h"
#include "ec2.h"
#include "faults.h"
#include "http.h"
#include "rows.h"
#include "sim.h"
#include "world_instances.h"
#include "world_resources.h"

#include "mayfly/util/clock.h"

enum { IMAGE_NAME_MIN = 3, IMAGE_NAME_MAX = 128, IMAGE_DESCRIPTION_MAX = 255 };

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
                                  { "is-public", image_is_own(image) ? "false" : "true" } };
    facts_add(known, ARRAY_SIZE(known), name, ret);
}

bool owners_check(struct call *c, struct strlist *ret)
{
    static const char *const aliases[] = { "self", "amazon", "aws-marketplace", "aws-backup-vault" };
    call_list(c, "Owner", ret);
    for (size_t i = 0; i < ret->n; i++) {
        bool known = strlen(ret->v[i]) == strlen(sim_account) && strspn(ret->v[i], "0123456789") == strlen(ret->v[i]);
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
           (strlist_has(owners, "self") && image_is_own(image));
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
    element_bool(out, "isPublic", !image_is_own(image));
    element(out, "architecture", image->architecture);
    element(out, "imageType", "machine");
    element(out, "platform", image->platform);
    element(out, "name", image->name);
    element(out, "description", image->description);
    element(out, "rootDeviceType", "ebs");
    element(out, "rootDeviceName", image->root_device);
    element_open(out, "blockDeviceMapping");
    element_open(out, "item");
    element(out, "deviceName", image->root_device);
    element_open(out, "ebs");
    if (!image->is_copy || str_eq(image_state(s, image), "available")) /* EC2 names those of a copy when it is there */
        element(out, "snapshotId", image->snapshot);
    element_int(out, "volumeSize", image->gib);
    element_bool(out, "deleteOnTermination", !image->keeps);
    element(out, "volumeType", "gp3");
    const struct snapshot *snapshot = world_snapshot(s, image->snapshot);
    element_bool(out, "encrypted", snapshot && snapshot->encrypted);
    element_close(out, "ebs");
    element_close(out, "item");
    for (size_t i = 0; i < image->devices.n; i++) {
        element_open(out, "item");
        element(out, "deviceName", image->devices.v[i]);
        element_open(out, "ebs");
        element_int(out, "volumeSize", EXTRA_GIB);
        element_bool(out, "deleteOnTermination", !image->keeps);
        element(out, "volumeType", "gp3");
        element_bool(out, "encrypted", false);
        element_close(out, "ebs");
        element_close(out, "item");
    }
    if (image->devices.n > 0) /* stock images have some, after what is theirs */
        strbuf_adds(out, "<item><deviceName>/dev/sdb</deviceName><virtualName>ephemeral0</virtualName></item>"
                         "<item><deviceName>/dev/sdc</deviceName><noDevice></noDevice></item>");
    element_close(out, "blockDeviceMapping");
    if (str_eq(image_state(s, image), "failed")) {
        element_open(out, "stateReason");
        element(out, "code", image->failed);
        element(out, "message", image->failed);
        element_close(out, "stateReason");
    }
    element(out, "virtualizationType", "hvm");
    tags_write(out, &image->tags);
    element(out, "hypervisor", "xen");
    element_bool(out, "enaSupport", true);
    if (image->deprecated_at > 0)
        element_time(out, "deprecationTime", image->deprecated_at);
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

/* NULL: it is refused. */
static struct image *own_image(struct call *c, const char *id)
{
    struct image *image = image_check(c, id) ? world_image(c->sim, id) : NULL;
    if (!image || image_is_own(image))
        return image;
    call_refuse(c, 401, "AuthFailure", "Not authorized for image:%s", id);
    return NULL;
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
    if (!owners_check(c, &owners) || !listing_begin(c, &image_resource, &l))
        return;
    listing_open(c, &l);
    for (size_t i = 0; i < c->sim->n_images; i++) {
        const struct image *image = c->sim->images[i];
        if (str_eq(image->region, c->region) && has_owner(image, &owners) && listing_takes(c, &l, image->id, image))
            write_image(c->sim, &c->res->body, image);
    }
    listing_close(c, &l);
}

/* --- DeregisterImage ---------------------------------------------------------------------------------------------- */

/* One that another image has too is left. */
static void drop_snapshot(struct call *c, const char *id)
{
    struct strbuf *out = &c->res->body;
    struct snapshot *snapshot = world_snapshot(c->sim, id);
    bool used = snapshot_user(c->sim, id) != NULL;
    element_open(out, "item");
    element(out, "snapshotId", id);
    element(out, "returnCode", used || !snapshot ? "skipped" : "success");
    element_close(out, "item");
    if (!used && snapshot)
        world_remove_snapshot(c->sim, snapshot);
}

void ec2_deregister_image(struct call *c)
{
    const char *id = call_param(c, "ImageId");
    struct image *image = own_image(c, id);
    if (!image)
        return;
    if (!call_is_wet(c))
        return;
    AUTO_FREE char *snapshot = xstrdup(image->snapshot);
    world_remove_image(c->sim, image);
    call_begin(c);
    element_bool(&c->res->body, "return", true);
    element_open(&c->res->body, "deleteSnapshotResultSet");
    if (is_true(call_param(c, "DeleteAssociatedSnapshots")))
        drop_snapshot(c, snapshot);
    element_close(&c->res->body, "deleteSnapshotResultSet");
    call_end(c);
}

/* --- ModifyImageAttribute: who may launch it ---------------------------------------------------------------------- */

static bool check_account(struct call *c, const char *account)
{
    bool number = strlen(account) == strlen(sim_account) && strspn(account, "0123456789") == strlen(account);
    return number || call_refuse(c, 400, "InvalidAMIAttributeItemValue",
                                 "Invalid attribute item value \"%s\" for userId item type.", account);
}

void ec2_modify_image_attribute(struct call *c)
{
    const char *id = call_param(c, "ImageId"), *account;
    AUTO_STRLIST accounts = { 0 };
    struct image *image = own_image(c, id);
    if (!image)
        return;
    for (size_t n = 1;; n++) {
        AUTO_FREE char *name = xasprintf("LaunchPermission.Add.%zu.UserId", n);
        if ((account = call_param(c, name)) == NULL)
            break;
        if (!check_account(c, account))
            return;
        strlist_add(&accounts, account);
    }
    if (accounts.n == 0) {
        call_refuse(c, 400, "InvalidParameterCombination", "No attributes specified.");
        return;
    }
    if (!call_is_wet(c))
        return;
    for (size_t n = 0; n < accounts.n; n++)
        if (!strlist_has(&image->shared, accounts.v[n]))
            strlist_add(&image->shared, accounts.v[n]);
    call_return_true(c);
}

/* --- EnableImageDeprecation --------------------------------------------------------------------------------------- */

enum { DEPRECATION_MAX = 3653 * 86400 }; /* ten years, in seconds */

void ec2_enable_image_deprecation(struct call *c)
{
    const char *id = call_param(c, "ImageId"), *at = call_param(c, "DeprecateAt");
    int64_t seconds, now = sim_now(c->sim) / 1000;
    struct image *image = own_image(c, id);
    if (!image)
        return;
    if (!at) {
        call_refuse(c, 400, "MissingParameter", "The request must contain the parameter DeprecateAt");
        return;
    }
    if (!clock_parse_rfc3339(at, &seconds)) {
        call_refuse(c, 400, "InvalidParameterValue", "Value (%s) for parameter DeprecateAt is invalid.", at);
        return;
    }
    seconds = (seconds + 30) / 60 * 60; /* EC2 rounds to the nearest minute */
    if (seconds <= now || seconds > now + DEPRECATION_MAX) {
        call_refuse(c, 400, "InvalidParameterValue", "The date %s is in the past or more than ten years away.", at);
        return;
    }
    if (!call_is_wet(c))
        return;
    image->deprecated_at = seconds * 1000;
    call_return_true(c);
}

/* --- CreateImage, CopyImage --------------------------------------------------------------------------------------- */

static bool check_new_name(struct call *c)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789()[] ./-'@_";
    const char *name = call_param(c, "Name"), *description = call_param(c, "Description");
    if (!name)
        return call_refuse(c, 400, "MissingParameter", "The request must contain the parameter name");
    if (strlen(name) < IMAGE_NAME_MIN || strlen(name) > IMAGE_NAME_MAX || strspn(name, letters) != strlen(name))
        return call_refuse(c, 400, "InvalidAMIName.Malformed",
                           "AMI names must be between %d and %d characters long, and may contain letters, numbers, "
                           "'(', ')', '.', '-', '/' and '_'",
                           IMAGE_NAME_MIN, IMAGE_NAME_MAX);
    return !description || strlen(description) <= IMAGE_DESCRIPTION_MAX ||
           call_refuse(c, 400, "InvalidParameterValue", "The description is longer than %d characters",
                       IMAGE_DESCRIPTION_MAX);
}

static bool check_free_name(struct call *c)
{
    const char *name = call_param(c, "Name");
    for (size_t i = 0; i < c->sim->n_images; i++) {
        const struct image *old = c->sim->images[i];
        if (str_eq(old->region, c->region) && image_is_own(old) && str_eq(old->name, name))
            return call_refuse(c, 400, "InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name,
                               old->id);
    }
    return true;
}

static bool check_builder(struct call *c)
{
    AUTO_STRLIST ids = { 0 };
    const char *id = call_param(c, "InstanceId");
    if (!id)
        return call_refuse(c, 400, "MissingParameter", "The request must contain the parameter instanceId");
    strlist_add(&ids, id);
    if (!instances_check(c, &ids))
        return false;
    const struct instance *i = world_instance(c->sim, id);
    return instance_is(i, "running") || instance_is(i, "stopped") ||
           call_refuse(c, 400, "IncorrectState", "Instance is not in state 'running' or 'stopped'");
}

static const struct volume *root_of(const struct sim *s, const struct instance *i)
{
    for (size_t n = 0; n < s->n_volumes; n++)
        if (str_eq(s->volumes[n]->instance, i->id) && str_eq(s->volumes[n]->device, i->root_device))
            return s->volumes[n];
    return NULL;
}

/* A scripted fault of the service "builder": it fails, or is pending for long. */
static void spoil(struct call *c, struct image *image, const char *what)
{
    struct request making = *c->request;
    making.service = "builder";
    making.action = (char *)what;
    const struct fault *f = fault_due(c->sim, &making, FAULT_BEFORE);
    if (f && f->kind->effect == EFFECT_WAIT)
        image->available_at = f->ms < 0 ? INT64_MAX : image->created + f->ms;
    else if (f)
        image->failed = "Client.InternalError";
}

/* A pending one of the name that the request gives it, with a snapshot. what: for faults. */
static struct image *add_image(struct call *c, const char *what, const char *volume, int64_t gib)
{
    struct image *image = xcalloc(1, sizeof(*image));
    struct snapshot *snapshot = xcalloc(1, sizeof(*snapshot));
    image->id = sim_random_id("ami-", ID_DIGITS);
    str_set(&image->region, c->region);
    str_set(&image->name, call_param(c, "Name"));
    str_set(&image->description, call_param(c, "Description"));
    str_set(&image->owner, sim_account);
    image->gib = gib;
    image->created = sim_now(c->sim);
    image->available_at = image->created + c->sim->options.image_delay;
    spoil(c, image, what);
    snapshot->id = sim_random_id("snap-", ID_DIGITS);
    str_set(&snapshot->region, c->region);
    str_set(&snapshot->owner, sim_account);
    str_set(&snapshot->volume, volume);
    snapshot->gib = gib;
    snapshot->created = image->created;
    snapshot->completed_at = image->available_at;
    str_set(&image->snapshot, snapshot->id);
    ROW_ADD(c->sim->images, c->sim->n_images, image);
    ROW_ADD(c->sim->snapshots, c->sim->n_snapshots, snapshot);
    return image;
}

static void answer_image(struct call *c, const char *id)
{
    call_begin(c);
    element(&c->res->body, "imageId", id);
    call_end(c);
}

/* What the instance has beside its root is in the image as well, and stays or goes as it does there. */
static void take_volumes_of(const struct sim *s, const struct instance *i, struct image *image)
{
    for (size_t n = 0; n < s->n_volumes; n++) {
        const struct volume *v = s->volumes[n];
        if (!str_eq(v->instance, i->id))
            continue;
        image->keeps = image->keeps || !v->delete_on_termination;
        if (!str_eq(v->device, i->root_device))
            strlist_add(&image->devices, v->device);
    }
}

void ec2_create_image(struct call *c)
{
    CLEANUP(pairs_clear) struct pairs image_tags = { 0 };
    CLEANUP(pairs_clear) struct pairs snapshot_tags = { 0 };
    if (!check_builder(c) || !check_new_name(c) || !check_free_name(c) ||
        !tags_take(c, "image snapshot", "image", &image_tags) ||
        !tags_take(c, "image snapshot", "snapshot", &snapshot_tags) || !call_is_wet(c))
        return;
    const struct instance *i = world_instance(c->sim, call_param(c, "InstanceId"));
    const struct volume *root = root_of(c->sim, i);
    struct image *image = add_image(c, "image", root ? root->id : "vol-ffffffff", root ? root->size : 0);
    struct snapshot *snapshot = world_snapshot(c->sim, image->snapshot);
    str_set(&image->root_device, i->root_device);
    take_volumes_of(c->sim, i, image);
    image->architecture = i->architecture;
    image->baked = true; /* what else is an image made for? */
    snapshot->description = xasprintf("Created by CreateImage for %s", image->id);
    pairs_copy(&image->tags, &image_tags);
    pairs_copy(&snapshot->tags, &snapshot_tags);
    answer_image(c, image->id);
}

/* NULL: it is refused. */
static const struct image *check_source(struct call *c)
{
    const char *region = call_param(c, "SourceRegion"), *id = call_param(c, "SourceImageId");
    const struct image *image = world_image(c->sim, id);
    if (str_empty(region) || str_empty(id))
        call_refuse(c, 400, "MissingParameter", "The request must contain the parameter %s",
                    str_empty(region) ? "SourceRegion" : "SourceImageId");
    else if (!catalog_is_region(region))
        call_refuse(c, 400, "InvalidParameterValue", "Invalid source region: %s", region);
    else if (!aws_is_id(id, "ami-"))
        call_refuse(c, 400, "InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id);
    else if (!image || !str_eq(image->region, region) || c->request->hide)
        call_refuse(c, 400, "InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id);
    else if (!image_is_own(image))
        call_refuse(c, 400, "InvalidRequest", "You do not have permission to access the storage of this ami");
    else if (!str_eq(image_state(c->sim, image), "available"))
        call_refuse(c, 400, "InvalidAMIID.Unavailable", "The image id '[%s]' is not available", id);
    else if (!str_empty(call_param(c, "KmsKeyId")) && !is_true(call_param(c, "Encrypted")))
        call_refuse(c, 400, "InvalidParameterDependency",
                    "The parameter KmsKeyId requires the parameter Encrypted to be set.");
    else
        return image;
    return NULL;
}

/* Its tags are not copied. Unlike CreateImage it takes a name that is in use: the token alone makes it idempotent. */
void ec2_copy_image(struct call *c)
{
    CLEANUP(pairs_clear) struct pairs image_tags = { 0 };
    CLEANUP(pairs_clear) struct pairs snapshot_tags = { 0 };
    AUTO_FREE char *fingerprint = call_fingerprint(c);
    bool mismatch;
    if (!call_check_token(c))
        return;
    const struct client_token *token = call_find_token(c, "", fingerprint, &mismatch);
    if (token)
        answer_image(c, token->made);
    if (token || mismatch)
        return;
    const struct image *source = check_source(c);
    if (!source || !check_new_name(c) || !tags_take(c, "image snapshot", "image", &image_tags) ||
        !tags_take(c, "image snapshot", "snapshot", &snapshot_tags) || !call_is_wet(c))
        return;
    struct image *image = add_image(c, "copy", "vol-ffffffff", source->gib);
    struct snapshot *snapshot = world_snapshot(c->sim, image->snapshot);
    str_set(&image->root_device, source->root_device);
    image->architecture = source->architecture;
    image->baked = source->baked;
    image->is_copy = true;
    image->keeps = source->keeps;
    strlist_copy(&image->devices, &source->devices);
    const struct snapshot *original = world_snapshot(c->sim, source->snapshot);
    snapshot->encrypted = is_true(call_param(c, "Encrypted")) || (original && original->encrypted);
    snapshot->description = xasprintf("Copied for DestinationAmi %s from SourceAmi %s for SourceSnapshot %s. Task "
                                      "created on %" PRId64 ".",
                                      image->id, source->id, source->snapshot, image->created);
    pairs_copy(&image->tags, &image_tags);
    pairs_copy(&snapshot->tags, &snapshot_tags);
    call_keep_token(c, "", fingerprint, image->id);
    answer_image(c, image->id);
}
