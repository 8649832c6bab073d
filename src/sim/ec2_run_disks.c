/* The block devices of a RunInstances. */
#include <inttypes.h>
#include <stdio.h>

#include "aws.h"
#include "ec2_run.h"
#include "sim.h"
#include "world_resources.h"

#include "mayfly/util/encode.h"

enum {
    NOT_GIVEN = -1,
    MAPPINGS_MAX = 64,
    RATE_MIN = 100,
    RATE_MAX = 300,
    GP3_THROUGHPUT = 125,
    GP3_THROUGHPUT_MAX = 2000
};

static const struct volume_type {
    const char *name;
    int64_t min_gib, max_gib;
    int64_t min_iops, max_iops, iops_per_gib; /* 0: takes none */
    bool needs_iops, boots;
} volume_types[] = {
    { "gp3", 1, 65536, 3000, 80000, 500, false, true }, { "gp2", 1, 16384, 0, 0, 0, false, true },
    { "io1", 4, 16384, 100, 64000, 50, true, true },    { "io2", 4, 65536, 100, 256000, 1000, true, true },
    { "standard", 1, 1024, 0, 0, 0, false, true },      { "st1", 125, 16384, 0, 0, 0, false, false },
    { "sc1", 125, 16384, 0, 0, 0, false, false },
};

static const struct volume_type *find_type(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(volume_types); i++)
        if (str_eq(volume_types[i].name, name))
            return &volume_types[i];
    return NULL;
}

/* --- a mapping's parameters --------------------------------------------------------------------------------------- */

static const char *mapping(const struct call *c, unsigned n, const char *name)
{
    return call_param_n(c, "BlockDeviceMapping.%u.%s", n, name);
}

/* Its number, or the fallback. Whether it is one has been checked. */
static int64_t mapping_number(const struct call *c, unsigned n, const char *name, int64_t fallback)
{
    uint64_t number;
    const char *value = mapping(c, n, name);
    return value && parse_uint(value, INT64_MAX, &number) ? (int64_t)number : fallback;
}

static bool has_mapping(const struct call *c, unsigned n, const char *below)
{
    AUTO_FREE char *prefix = xasprintf("BlockDeviceMapping.%u.%s", n, below);
    return call_has(c, prefix);
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

static bool check_device(struct call *c, const struct run *r, unsigned n, const char *device)
{
    if (!device)
        return call_refuse(c, 400, "MissingParameter", "The request must contain the parameter deviceName");
    if (!str_starts(device, "/dev/sd") && !str_starts(device, "/dev/xvd") && !str_starts(device, "xvd"))
        return call_refuse(c, 400, "InvalidParameterValue",
                           "Value (%s) for parameter device is invalid. %s is not a valid EBS device name.", device,
                           device);
    for (unsigned before = 1; before < n; before++)
        if (str_eq(mapping(c, before, "DeviceName"), device))
            return call_refuse(c, 400, "InvalidBlockDeviceMapping",
                               "The device '%s' is used in more than one block-device mapping", device);
    if (str_eq(device, r->image->root_device) && !has_mapping(c, n, "Ebs."))
        return call_refuse(c, 400, "InvalidBlockDeviceMapping", "The root device '%s' has to be an EBS volume", device);
    return true;
}

static bool check_size(struct call *c, const struct disk *d, const struct volume_type *type)
{
    const struct snapshot *snapshot = d->snapshot ? world_snapshot(c->sim, d->snapshot) : NULL;
    if (d->snapshot && !IS_HERE(c, snapshot))
        return call_refuse(c, 400, "InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", d->snapshot);
    if (d->size == NOT_GIVEN)
        return call_refuse(c, 400, "MissingParameter", "The request must contain the parameter size or snapshotId");
    if (snapshot && d->size > 0 && d->size < snapshot->gib)
        return call_refuse(c, 400, "InvalidBlockDeviceMapping",
                           "Volume of size %" PRId64 "GB is smaller than snapshot '%s', expect size>= %" PRId64 "GB",
                           d->size, d->snapshot, snapshot->gib);
    if (d->size < type->min_gib)
        return call_refuse(c, 400, "InvalidParameterValue",
                           "Volume of %" PRId64 "GiB is too small for volume type %s; minimum is %" PRId64 "GiB.",
                           d->size, type->name, type->min_gib);
    if (d->size > type->max_gib)
        return call_refuse(c, 400, "InvalidParameterValue",
                           "Volume of %" PRId64 "GiB is too large for volume type %s; maximum is %" PRId64 "GiB.",
                           d->size, type->name, type->max_gib);
    return true;
}

static bool check_iops(struct call *c, const struct disk *d, const struct volume_type *type)
{
    if (type->needs_iops && !d->iops)
        return call_refuse(c, 400, "MissingParameter", "The request must contain the parameter iops for %s volumes",
                           type->name);
    if (!d->iops)
        return true;
    if (!type->max_iops)
        return call_refuse(c, 400, "InvalidParameterCombination", "The parameter iops is not supported for %s volumes.",
                           type->name);
    if (d->iops < type->min_iops || d->iops > type->max_iops)
        return call_refuse(c, 400, "InvalidParameterValue", "Volume iops of %" PRId64 " is too %s; %s is %" PRId64 ".",
                           d->iops, d->iops < type->min_iops ? "low" : "high",
                           d->iops < type->min_iops ? "minimum" : "maximum",
                           d->iops < type->min_iops ? type->min_iops : type->max_iops);
    /* 3000 come with a gp3 volume of any size. */
    return d->iops <= type->iops_per_gib * d->size || (str_eq(type->name, "gp3") && d->iops <= type->min_iops) ||
           call_refuse(c, 400, "InvalidParameterValue",
                       "Iops to volume size ratio of %.1f is too high; maximum is %" PRId64,
                       (double)d->iops / (double)d->size, type->iops_per_gib);
}

/* MiB/s; a quarter of one for each operation per second is the most. */
static bool check_throughput(struct call *c, const struct disk *d, const struct volume_type *type)
{
    if (!d->throughput)
        return true;
    if (!str_eq(type->name, "gp3"))
        return call_refuse(c, 400, "InvalidParameterCombination",
                           "The parameter throughput is not supported for %s volumes.", type->name);
    if (d->throughput < GP3_THROUGHPUT || d->throughput > GP3_THROUGHPUT_MAX)
        return call_refuse(c, 400, "InvalidParameterValue", "Throughput of %" PRId64 " is not between %d and %d MiBps.",
                           d->throughput, GP3_THROUGHPUT, GP3_THROUGHPUT_MAX);
    int64_t iops = d->iops ? d->iops : type->min_iops;
    return d->throughput * 4 <= iops ||
           call_refuse(c, 400, "InvalidParameterValue",
                       "Throughput (MiBps) to iops ratio of %.2f is too high; maximum is 0.25 MiBps per iops.",
                       (double)d->throughput / (double)iops);
}

static bool check_disk(struct call *c, const struct run *r, const struct disk *d)
{
    const struct volume_type *type = find_type(d->type);
    if (!type)
        return call_refuse(c, 400, "InvalidParameterValue",
                           "Value (%s) for parameter volumeType is invalid. %s is not a valid volume type.", d->type,
                           d->type);
    if (!type->boots && str_eq(d->device, r->image->root_device))
        return call_refuse(c, 400, "InvalidParameterValue", "The volume type %s cannot be used for the root device",
                           d->type);
    if (d->kms_key && !d->encrypted)
        return call_refuse(c, 400, "InvalidParameterDependency",
                           "The parameter KmsKeyId requires the parameter Encrypted to be set.");
    if (d->rate && !d->snapshot)
        return call_refuse(c, 400, "InvalidParameterCombination",
                           "The parameter volumeInitializationRate requires a snapshot");
    if (d->rate && (d->rate < RATE_MIN || d->rate > RATE_MAX))
        return call_refuse(c, 400, "InvalidParameterValue",
                           "Value (%" PRId64 ") for parameter volumeInitializationRate is invalid. It is %d to %d.",
                           d->rate, RATE_MIN, RATE_MAX);
    return check_size(c, d, type) && check_iops(c, d, type) && check_throughput(c, d, type);
}

/* --- from the request --------------------------------------------------------------------------------------------- */

static void take_mapping(const struct call *c, unsigned n, struct disk *d)
{
    const struct snapshot *snapshot;
    const char *type = mapping(c, n, "Ebs.VolumeType"), *from = mapping(c, n, "Ebs.SnapshotId");
    const char *deletes = mapping(c, n, "Ebs.DeleteOnTermination");
    int64_t usual = d->size ? d->size : NOT_GIVEN;
    d->snapshot = from ? from : d->snapshot;
    snapshot = world_snapshot(c->sim, d->snapshot);
    d->type = type ? type : d->type;
    d->size = mapping_number(c, n, "Ebs.VolumeSize", snapshot ? snapshot->gib : usual);
    d->iops = mapping_number(c, n, "Ebs.Iops", 0);
    d->throughput = mapping_number(c, n, "Ebs.Throughput", 0);
    d->rate = mapping_number(c, n, "Ebs.VolumeInitializationRate", 0);
    d->encrypted = is_true(mapping(c, n, "Ebs.Encrypted"));
    d->kms_key = mapping(c, n, "Ebs.KmsKeyId");
    d->keep = deletes ? str_eq(deletes, "false") : d->keep;
}

/* One that makes no volume: an instance store, or none of what the image has. */
static bool check_virtual(struct call *c, unsigned n)
{
    const char *name = mapping(c, n, "VirtualName");
    uint64_t number;
    if (mapping(c, n, "NoDevice") || has_mapping(c, n, "Ebs."))
        return true;
    if (!name)
        return call_refuse(c, 400, "MissingParameter", "The request must contain the parameter ebs");
    return (str_starts(name, "ephemeral") && parse_uint(name + strlen("ephemeral"), 23, &number)) ||
           call_refuse(c, 400, "InvalidBlockDeviceMapping", "The virtual name '%s' is not valid", name);
}

static struct disk *add_disk(struct run *r, const char *device, const char *type)
{
    r->disks = xreallocarray(r->disks, r->n_disks + 1, sizeof(*r->disks));
    r->disks[r->n_disks] = (struct disk){ .device = device, .type = type };
    return &r->disks[r->n_disks++];
}

/* The one that the image or an earlier mapping has, or NULL. */
static struct disk *find_disk(struct run *r, const char *device)
{
    for (size_t i = 0; i < r->n_disks; i++)
        if (str_eq(r->disks[i].device, device))
            return &r->disks[i];
    return NULL;
}

/* What the account and the type give without being asked. */
static void set_defaults(const struct encryption *e, struct disk *d)
{
    d->encrypted = d->encrypted || e->by_default;
    d->kms_key = d->encrypted && !d->kms_key ? e->key : d->kms_key;
    if (!str_eq(d->type, "gp3"))
        return;
    d->iops = d->iops ? d->iops : find_type("gp3")->min_iops;
    d->throughput = d->throughput ? d->throughput : GP3_THROUGHPUT;
}

bool run_check_disks(struct call *c, struct run *r)
{
    struct disk *root = add_disk(r, r->image->root_device, "gp3");
    root->snapshot = r->image->snapshot;
    root->size = r->image->gib;
    root->keep = r->image->keeps;
    for (size_t i = 0; i < r->image->devices.n; i++) {
        struct disk *d = add_disk(r, r->image->devices.v[i], "gp3");
        d->size = EXTRA_GIB;
        d->keep = r->image->keeps;
    }
    for (unsigned n = 1; n <= MAPPINGS_MAX; n++) {
        const char *device = mapping(c, n, "DeviceName");
        if (!has_mapping(c, n, ""))
            continue;
        if (!check_device(c, r, n, device) || !check_virtual(c, n))
            return false;
        struct disk *d = find_disk(r, device);
        if (!has_mapping(c, n, "Ebs.") || mapping(c, n, "NoDevice")) {
            if (d && d != r->disks)
                *d = r->disks[--r->n_disks];
            continue;
        }
        d = d ? d : add_disk(r, device, "gp2");
        take_mapping(c, n, d);
        if (!check_disk(c, r, d))
            return false;
    }
    for (size_t i = 0; i < r->n_disks; i++)
        set_defaults(&c->sim->encryption, &r->disks[i]);
    return true;
}
