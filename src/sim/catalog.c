/* What is there from the beginning, the same in every region. */
#include "aws.h"

static const char *const regions[] = { "us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1" };
const struct image catalog_images[CATALOG_IMAGES] = {
    { "ami-0a11ce00000000001", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261101", "099720109477",
      "x86_64", NULL },
    { "ami-0a11ce00000000002", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20261101", "099720109477",
      "arm64", NULL },
    { "ami-0a11ce00000000003", "mayfly-amd64-20261101", aws_account, "x86_64", "2.337.0" },
};
const struct subnet catalog_subnets[CATALOG_SUBNETS] = { { "subnet-0a11ce01", "a", 1 },
                                                         { "subnet-0a11ce02", "b", 2 },
                                                         { "subnet-0a11ce03", "c", 3 } };
const struct group catalog_groups[CATALOG_GROUPS] = { { "sg-0a11ce01", "runners" }, { "sg-0a11ce02", "others" } };

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
} families[] = {
    { "t3", "x86_64", 0, NANO, X2 },     { "t3a", "x86_64", 0, NANO, X2 },   { "t4g", "arm64", 0, NANO, X2 },
    { "m5", "x86_64", 4, LARGE, X8 },    { "c5", "x86_64", 2, LARGE, X4 },   { "r5", "x86_64", 8, LARGE, X8 },
    { "m6i", "x86_64", 4, LARGE, X8 },   { "m6a", "x86_64", 4, LARGE, X8 },  { "c6i", "x86_64", 2, LARGE, X8 },
    { "c6a", "x86_64", 2, LARGE, X8 },   { "m7i", "x86_64", 4, LARGE, X8 },  { "m7a", "x86_64", 4, MEDIUM, X8 },
    { "c7i", "x86_64", 2, LARGE, X8 },   { "c7a", "x86_64", 2, MEDIUM, X8 }, { "r7i", "x86_64", 8, LARGE, X8 },
    { "g4dn", "x86_64", 4, XLARGE, X8 }, { "g5", "x86_64", 4, XLARGE, X8 },  { "m6g", "arm64", 4, MEDIUM, X8 },
    { "c6g", "arm64", 2, MEDIUM, X8 },   { "m7g", "arm64", 4, MEDIUM, X8 },  { "c7g", "arm64", 2, MEDIUM, X8 },
    { "r7g", "arm64", 8, MEDIUM, X8 },   { "g5g", "arm64", 2, XLARGE, X8 },
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
                                  .vcpus = gib && n == MEDIUM ? 1 : sizes[n].vcpus };
            ret->mib = gib ? gib * 1024 * ret->vcpus : sizes[n].mib;
            return true;
        }
    }
    return false;
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

bool catalog_is_region(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(regions); i++)
        if (str_eq(regions[i], name))
            return true;
    return false;
}

const struct image *catalog_image(const char *id)
{
    for (size_t i = 0; id && i < ARRAY_SIZE(catalog_images); i++)
        if (str_eq(catalog_images[i].id, id))
            return &catalog_images[i];
    return NULL;
}

const struct subnet *catalog_subnet(const char *id)
{
    for (size_t i = 0; id && i < ARRAY_SIZE(catalog_subnets); i++)
        if (str_eq(catalog_subnets[i].id, id))
            return &catalog_subnets[i];
    return NULL;
}

const struct group *catalog_group(const char *id)
{
    for (size_t i = 0; id && i < ARRAY_SIZE(catalog_groups); i++)
        if (str_eq(catalog_groups[i].id, id))
            return &catalog_groups[i];
    return NULL;
}
