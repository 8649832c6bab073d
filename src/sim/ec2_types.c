/* Instance types. */
#include <inttypes.h>

#include "aws.h"

static void type_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    struct type type;
    if (str_eq(name, "instance-type"))
        strlist_add(ret, row);
    else if (catalog_type(row, &type))
        strlist_add(ret, type.architecture);
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
    .filters = "instance-type processor-info.supported-architecture",
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
