/* Instance types, and where they are to be had. */
#include <inttypes.h>

#include "aws.h"
#include "catalog.h"
#include "describe.h"
#include "ec2.h"
#include "world_resources.h"

static void type_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    struct type type = { 0 };
    if (!catalog_type(row, &type))
        return;
    AUTO_FREE char *vcpus = xasprintf("%" PRId64, type.vcpus), *mib = xasprintf("%" PRId64, type.mib);
    const struct fact known[] = { { "instance-type", row },
                                  { "processor-info.supported-architecture", type.architecture },
                                  { "vcpu-info.default-vcpus", vcpus },
                                  { "memory-info.size-in-mib", mib },
                                  { "current-generation", "true" },
                                  { "burstable-performance-supported", type.burstable ? "true" : "false" } };
    facts_add(known, ARRAY_SIZE(known), name, ret);
    if (str_eq(name, "supported-usage-class"))
        strlist_split(ret, "on-demand spot", " ");
}

static bool check_type(struct call *c, const char *name)
{
    struct type type;
    return catalog_type(name, &type) ||
           call_refuse(c, 400, "InvalidInstanceType", "The following supplied instance types do not exist: [%s]", name);
}

static const struct resource type_resource = {
    .ids = "InstanceType",
    .set = "instanceTypeSet",
    .filters = "instance-type processor-info.supported-architecture vcpu-info.default-vcpus memory-info.size-in-mib "
               "current-generation burstable-performance-supported supported-usage-class",
    .values = type_values,
    .check_id = check_type,
    .most = 100,
};

static void write_type(struct strbuf *out, const char *name)
{
    struct type type = { 0 };
    if (!catalog_type(name, &type))
        return;
    element_open(out, "item");
    element(out, "instanceType", name);
    element_bool(out, "currentGeneration", true);
    strbuf_adds(out, "<supportedUsageClasses><item>on-demand</item><item>spot</item></supportedUsageClasses>");
    strbuf_addf(out,
                "<processorInfo><supportedArchitectures><item>%s</item></supportedArchitectures></processorInfo>"
                "<vCpuInfo><defaultVCpus>%" PRId64 "</defaultVCpus></vCpuInfo><memoryInfo><sizeInMiB>%" PRId64
                "</sizeInMiB></memoryInfo>",
                type.architecture, type.vcpus, type.mib);
    element_bool(out, "bareMetal", false);
    element_bool(out, "burstablePerformanceSupported", type.burstable);
    element_close(out, "item");
}

void ec2_describe_types(struct call *c)
{
    CLEANUP(listing_clear) struct listing l = { 0 };
    if (!listing_begin(c, &type_resource, &l))
        return;
    listing_open(c, &l);
    for (size_t n = 0;; n++) {
        AUTO_FREE char *name = catalog_type_name(n);
        if (!name)
            break;
        if (listing_takes(c, &l, name, name))
            write_type(&c->res->body, name);
    }
    listing_close(c, &l);
}

/* --- DescribeInstanceTypeOfferings -------------------------------------------------------------------------------- */

struct offer {
    const char *type, *location;
};

static void offer_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    const struct offer *o = row;
    const struct fact known[] = { { "instance-type", o->type }, { "location", o->location } };
    facts_add(known, ARRAY_SIZE(known), name, ret);
}

static const struct resource offer_resource = { .set = "instanceTypeOfferingSet",
                                                .filters = "instance-type location",
                                                .values = offer_values };

static void offer(struct call *c, struct listing *l, const char *type, const char *kind, const char *location)
{
    struct strbuf *out = &c->res->body;
    const struct offer row = { type, location };
    if (!listing_takes(c, l, NULL, &row))
        return;
    element_open(out, "item");
    element(out, "instanceType", type);
    element(out, "locationType", kind);
    element(out, "location", location);
    element_close(out, "item");
}

static void offer_zones(struct call *c, struct listing *l, const char *name)
{
    struct type type = { 0 };
    for (size_t i = 0; catalog_type(name, &type) && i < c->sim->n_subnets; i++) {
        const struct subnet *n = c->sim->subnets[i]; /* there is one in each zone */
        if (str_eq(n->region, c->region) && catalog_offers(&type, n->zone))
            offer(c, l, name, "availability-zone", n->zone);
    }
}

void ec2_describe_offerings(struct call *c)
{
    CLEANUP(listing_clear) struct listing l = { 0 };
    bool zones = str_eq(call_param(c, "LocationType"), "availability-zone");
    if (!call_one_of(c, "LocationType", "region availability-zone") || !listing_begin(c, &offer_resource, &l))
        return;
    listing_open(c, &l);
    for (size_t n = 0;; n++) {
        AUTO_FREE char *name = catalog_type_name(n);
        if (!name)
            break;
        if (zones)
            offer_zones(c, &l, name);
        else
            offer(c, &l, name, "region", c->region);
    }
    listing_close(c, &l);
}
