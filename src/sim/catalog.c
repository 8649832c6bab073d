/* What is there from the beginning: the same in every region, with ids of its own in each. */
#include "catalog.h"
#include "aws.h"
#include "rows.h"
#include "sim.h"
#include "world_resources.h"

#include "mayfly/util/clock.h"

/* A region's place is the digit R in its ids. */
static const char *const regions[] = { "us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1" };

enum { STOCK_GIB = 8, BAKED_GIB = 10 };

#define CANONICAL "099720109477"
#define AMAZON "137112412989"
#define STRANGER "999999999999"
#define NOBLE "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-"

/* More than one of a name, so that the choice of the newest by name and owner can go wrong. Image N is
 * ami-0a11ce0000000R, R, and N in three hexadecimal digits. */
static const struct {
    const char *name, *owner, *alias, *architecture, *created, *baked, *failed; /* baked: the runner's version */
} images[] = {
    { NOBLE "amd64-server-20261101", CANONICAL, "amazon", "x86_64", "2026-11-01T06:12:33Z", NULL, NULL },
    { NOBLE "arm64-server-20261101", CANONICAL, "amazon", "arm64", "2026-11-01T06:21:07Z", NULL, NULL },
    { "mayfly-amd64-20261101", sim_account, NULL, "x86_64", "2026-11-01T12:00:00Z", "2.337.0", NULL },
    { "mayfly-arm64-20261101", sim_account, NULL, "arm64", "2026-11-01T12:10:00Z", "2.337.0", NULL },
    { "mayfly-amd64-20261015", sim_account, NULL, "x86_64", "2026-10-15T12:00:00Z", "2.336.0", NULL },
    { NOBLE "amd64-server-20261001", CANONICAL, "amazon", "x86_64", "2026-10-01T05:58:01Z", NULL, NULL },
    { NOBLE "amd64-server-20260901", CANONICAL, "amazon", "x86_64", "2026-09-01T06:02:44Z", NULL, NULL },
    { NOBLE "arm64-server-20261001", CANONICAL, "amazon", "arm64", "2026-10-01T06:05:59Z", NULL, NULL },
    { NOBLE "arm64-server-20260901", CANONICAL, "amazon", "arm64", "2026-09-01T06:11:10Z", NULL, NULL },
    { "al2023-ami-2023.9.20261020.0-kernel-6.12-x86_64", AMAZON, "amazon", "x86_64", "2026-10-20T19:40:00Z", NULL,
      NULL },
    { "al2023-ami-2023.9.20261020.0-kernel-6.12-arm64", AMAZON, "amazon", "arm64", "2026-10-20T19:41:00Z", NULL, NULL },
    /* Newer than the others: another release, */
    { "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20261105", CANONICAL, "amazon", "x86_64",
      "2026-11-05T06:00:00Z", NULL, NULL },
    /* the name that is looked for, by someone else, */
    { NOBLE "amd64-server-20261110", STRANGER, NULL, "x86_64", "2026-11-10T23:59:59Z", NULL, NULL },
    /* and a build that failed. */
    { "mayfly-amd64-20261115", sim_account, NULL, "x86_64", "2026-11-15T12:00:00Z", "2.337.0", "Client.InternalError" },
    { "Windows_Server-2022-English-Full-Base-2026.11.12", AMAZON, "amazon", "x86_64", "2026-11-12T03:00:00Z", NULL,
      NULL },
};

/* Subnet N of a region is subnet-0a11ceRN; group N is sg-0a11ceRN; the VPC is vpc-0a11ceR1. */
static const struct {
    const char *zone, *route;
    bool map_public, main;
} subnets[] = {
    { "a", "igw", true, false },
    { "b", "igw", true, true },
    { "c", "nat", false, false },
};
static const struct {
    const char *name;
    bool egress;
} groups[] = { { "runners", true }, { "closed", false } };

/* Parameters of SSM, each the id of an image. */
static const struct {
    const char *name;
    size_t image;
} parameters[] = {
    { "/mayfly/ami/amd64", 3 },
    { "/mayfly/ami/arm64", 4 },
    { "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id", 1 },
    { "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id", 2 },
    { "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", 10 },
    { "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64", 11 },
};

/* At GitHub; the id is the place, from 1. */
static const char *const runner_groups[] = { "Default", "gpu", "builders" };

static int64_t milliseconds(const char *rfc3339)
{
    int64_t seconds = 0;
    return clock_parse_rfc3339(rfc3339, &seconds) ? seconds * 1000 : 0;
}

static char *image_id(size_t region, size_t number)
{
    return xasprintf("ami-0a11ce0000000%zu%03zx", region, number);
}

static void add_image(struct sim *s, size_t region, size_t n)
{
    struct image *i = xcalloc(1, sizeof(*i));
    struct snapshot *disk = xcalloc(1, sizeof(*disk));
    i->id = image_id(region, n + 1);
    i->snapshot = xasprintf("snap-%s", i->id + strlen("ami-"));
    str_set(&i->region, regions[region]);
    str_set(&i->name, images[n].name);
    str_set(&i->owner, images[n].owner);
    str_set(&i->root_device, str_starts(images[n].name, "al2023") ? "/dev/xvda" : "/dev/sda1");
    i->alias = images[n].alias;
    i->architecture = images[n].architecture;
    i->failed = images[n].failed;
    i->platform = str_starts(i->name, "Windows_") ? "windows" : NULL;
    i->baked = images[n].baked != NULL;
    i->gib = i->baked ? BAKED_GIB : STOCK_GIB;
    i->created = i->available_at = milliseconds(images[n].created);
    if (i->baked) {
        pairs_add(&i->tags, "Name", i->name);
        pairs_add(&i->tags, "mayfly:runner-version", images[n].baked);
    }
    str_set(&disk->id, i->snapshot);
    str_set(&disk->region, i->region);
    str_set(&disk->owner, i->owner);
    str_set(&disk->volume, "vol-ffffffff");
    disk->description = xasprintf("of %s", i->id);
    disk->gib = i->gib;
    disk->created = disk->completed_at = i->created;
    pairs_copy(&disk->tags, &i->tags);
    ROW_ADD(s->images, s->n_images, i);
    ROW_ADD(s->snapshots, s->n_snapshots, disk);
}

static void add_subnet(struct sim *s, size_t region, size_t n)
{
    struct subnet *row = xcalloc(1, sizeof(*row));
    row->id = xasprintf("subnet-0a11ce%zu%zu", region, n + 1);
    row->vpc = xasprintf("vpc-0a11ce%zu1", region);
    row->zone = xasprintf("%s%s", regions[region], subnets[n].zone);
    str_set(&row->region, regions[region]);
    row->net = (int64_t)n + 1;
    row->room = SUBNET_SIZE;
    row->map_public = subnets[n].map_public;
    row->route = subnets[n].route;
    row->main = subnets[n].main;
    AUTO_FREE char *name = xasprintf("runners-%s", subnets[n].zone);
    pairs_add(&row->tags, "Name", name);
    ROW_ADD(s->subnets, s->n_subnets, row);
}

static void add_group(struct sim *s, size_t region, size_t n)
{
    struct security_group *row = xcalloc(1, sizeof(*row));
    row->id = xasprintf("sg-0a11ce%zu%zu", region, n + 1);
    row->vpc = xasprintf("vpc-0a11ce%zu1", region);
    str_set(&row->region, regions[region]);
    str_set(&row->name, groups[n].name);
    row->egress = groups[n].egress;
    pairs_add(&row->tags, "Name", row->name);
    ROW_ADD(s->groups, s->n_groups, row);
}

static void add_parameter(struct sim *s, size_t region, size_t n)
{
    AUTO_FREE char *id = image_id(region, parameters[n].image);
    str_set(&world_put_parameter(s, regions[region], parameters[n].name, "String", id)->data_type, "aws:ec2:image");
}

void catalog_seed(struct sim *s)
{
    for (size_t n = 0; n < ARRAY_SIZE(runner_groups); n++)
        strlist_add(&s->runner_groups, runner_groups[n]);
    for (size_t r = 0; r < ARRAY_SIZE(regions); r++) {
        for (size_t n = 0; n < ARRAY_SIZE(subnets); n++)
            add_subnet(s, r, n);
        for (size_t n = 0; n < ARRAY_SIZE(groups); n++)
            add_group(s, r, n);
        for (size_t n = 0; n < ARRAY_SIZE(images); n++)
            add_image(s, r, n);
        for (size_t n = 0; n < ARRAY_SIZE(parameters); n++)
            add_parameter(s, r, n);
    }
}

void catalog_help(FILE *out)
{
    fprintf(out, "\nwhat every region has (R:");
    for (size_t r = 0; r < ARRAY_SIZE(regions); r++)
        fprintf(out, "%s %s %zu", r ? "," : "", regions[r], r);
    fprintf(out, "):\n");
    for (size_t n = 0; n < ARRAY_SIZE(subnets); n++)
        fprintf(out, "  subnet-0a11ceR%zu        zone %s, to the internet by %s%s\n", n + 1, subnets[n].zone,
                subnets[n].route, subnets[n].map_public ? ", with public addresses" : "");
    for (size_t n = 0; n < ARRAY_SIZE(groups); n++)
        fprintf(out, "  sg-0a11ceR%zu            %s, %s egress\n", n + 1, groups[n].name,
                groups[n].egress ? "any" : "no");
    fprintf(out, "  h-0a11ceR1             a dedicated host\n  %s, %s   a placement group and a key pair\n",
            SIM_PLACEMENT_GROUP, SIM_KEY);
    for (size_t n = 0; n < ARRAY_SIZE(parameters); n++)
        fprintf(out, "  ssm:%s  ami-0a11ce0000000R%03zx\n", parameters[n].name, parameters[n].image);
    for (size_t n = 0; n < ARRAY_SIZE(images); n++)
        fprintf(out, "  ami-0a11ce0000000R%03zx  %s%s%s\n", n + 1, images[n].name,
                images[n].owner == sim_account ? "" : " of ", images[n].owner == sim_account ? "" : images[n].owner);
}

/* --- instance types ----------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int64_t vcpus, mib; /* mib: of the burstable families, which have no fixed ratio */
} sizes[] = { { "nano", 2, 512 },      { "micro", 2, 1024 },     { "small", 2, 2048 },
              { "medium", 2, 4096 },   { "large", 2, 8192 },     { "xlarge", 4, 16384 },
              { "2xlarge", 8, 32768 }, { "4xlarge", 16, 65536 }, { "8xlarge", 32, 131072 } };
enum { NANO, MICRO, SMALL, MEDIUM, LARGE, XLARGE, X2, X4, X8 };
static const struct {
    const char *family, *architecture;
    int64_t gib_per_vcpu; /* 0: burstable */
    size_t first, last;   /* of sizes */
    const char *zones;    /* that have it; NULL: all */
} families[] = {
    { "t3", "x86_64", 0, NANO, X2, NULL },   { "t3a", "x86_64", 0, NANO, X2, NULL },
    { "t4g", "arm64", 0, NANO, X2, NULL },   { "m5", "x86_64", 4, LARGE, X8, NULL },
    { "c5", "x86_64", 2, LARGE, X4, NULL },  { "r5", "x86_64", 8, LARGE, X8, NULL },
    { "m6i", "x86_64", 4, LARGE, X8, NULL }, { "m6a", "x86_64", 4, LARGE, X8, NULL },
    { "c6i", "x86_64", 2, LARGE, X8, NULL }, { "c6a", "x86_64", 2, LARGE, X8, NULL },
    { "m7i", "x86_64", 4, LARGE, X8, NULL }, { "m7a", "x86_64", 4, MEDIUM, X8, NULL },
    { "c7i", "x86_64", 2, LARGE, X8, NULL }, { "c7a", "x86_64", 2, MEDIUM, X8, NULL },
    { "r7i", "x86_64", 8, LARGE, X8, NULL }, { "g4dn", "x86_64", 4, XLARGE, X8, "ab" },
    { "g5", "x86_64", 4, XLARGE, X8, "ab" }, { "m6g", "arm64", 4, MEDIUM, X8, NULL },
    { "c6g", "arm64", 2, MEDIUM, X8, NULL }, { "m7g", "arm64", 4, MEDIUM, X8, NULL },
    { "c7g", "arm64", 2, MEDIUM, X8, NULL }, { "r7g", "arm64", 8, MEDIUM, X8, NULL },
    { "g5g", "arm64", 2, XLARGE, X8, "ab" },
};

bool catalog_type(const char *name, struct type *ret)
{
    const char *dot = strchr(name, '.');
    for (size_t f = 0; dot && f < ARRAY_SIZE(families); f++) {
        if (strlen(families[f].family) != (size_t)(dot - name) || !str_starts(name, families[f].family))
            continue;
        for (size_t n = families[f].first; n <= families[f].last; n++) {
            int64_t gib = families[f].gib_per_vcpu;
            if (!str_eq(dot + 1, sizes[n].name))
                continue;
            *ret = (struct type){ .architecture = families[f].architecture,
                                  .vcpus = gib && n == MEDIUM ? 1 : sizes[n].vcpus,
                                  .zones = families[f].zones,
                                  .burstable = gib == 0 };
            ret->mib = gib ? gib * 1024 * ret->vcpus : sizes[n].mib;
            return true;
        }
    }
    return false;
}

bool catalog_offers(const struct type *type, const char *zone)
{
    return !type->zones || strchr(type->zones, zone[strlen(zone) - 1]);
}

char *catalog_type_name(size_t n)
{
    for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
        size_t count = families[f].last - families[f].first + 1;
        if (n < count)
            return xasprintf("%s.%s", families[f].family, sizes[families[f].first + n].name);
        n -= count;
    }
    return NULL;
}

const char *catalog_region(size_t n)
{
    return n < ARRAY_SIZE(regions) ? regions[n] : NULL;
}

char *catalog_host(const char *region)
{
    size_t r = 0;
    while (r < ARRAY_SIZE(regions) && !str_eq(regions[r], region))
        r++;
    return xasprintf("h-0a11ce%zu1", r);
}

bool catalog_is_region(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(regions); i++)
        if (str_eq(regions[i], name))
            return true;
    return false;
}
