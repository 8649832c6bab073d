/* Subnets and security groups. */
#include <inttypes.h>

#include "aws.h"

uint64_t subnet_free(const struct call *c, const char *subnet)
{
    uint64_t taken = 0;
    for (size_t n = 0; n < c->sim->n_instances; n++) {
        const struct instance *i = c->sim->instances[n];
        taken += str_eq(i->region, c->region) && str_eq(i->subnet, subnet) && !instance_is(i, "terminated");
    }
    return taken < SUBNET_SIZE ? SUBNET_SIZE - taken : 0;
}

static void subnet_values(const struct call *c, const void *row, const char *name, struct strlist *ret)
{
    const struct subnet *n = row;
    AUTO_FREE char *zone = xasprintf("%s%s", c->region, n->zone);
    const struct fact known[] = {
        { "subnet-id", n->id }, { "availability-zone", zone }, { "vpc-id", aws_vpc }, { "state", "available" }
    };
    facts_add(known, ARRAY_SIZE(known), name, ret);
}

static bool check_subnet(struct call *c, const char *id)
{
    return catalog_subnet(id) ||
           call_refuse(c, 400, "InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id);
}

static const struct resource subnet_resource = {
    .ids = "SubnetId",
    .set = "subnetSet",
    .filters = "subnet-id availability-zone vpc-id state",
    .values = subnet_values,
    .check_id = check_subnet,
};

static void write_subnet(const struct call *c, const struct subnet *n)
{
    struct strbuf *out = &c->res->body;
    element_open(out, "item");
    element(out, "subnetId", n->id);
    element(out, "state", "available");
    element(out, "ownerId", aws_account);
    element(out, "vpcId", aws_vpc);
    strbuf_addf(out, "<cidrBlock>10.0.%" PRId64 ".0/24</cidrBlock>", n->net);
    element_int(out, "availableIpAddressCount", (int64_t)subnet_free(c, n->id));
    strbuf_addf(out, "<availabilityZone>%s%s</availabilityZone>", c->region, n->zone);
    element_bool(out, "defaultForAz", true);
    element_bool(out, "mapPublicIpOnLaunch", true);
    strbuf_adds(out, "<tagSet/></item>");
}

void ec2_describe_subnets(struct call *c)
{
    CLEANUP(listing_clear) struct listing l = { 0 };
    if (!listing_begin(c, &subnet_resource, &l))
        return;
    listing_open(c, &l);
    for (size_t i = 0; i < ARRAY_SIZE(catalog_subnets); i++)
        if (listing_takes(c, &l, catalog_subnets[i].id, &catalog_subnets[i]))
            write_subnet(c, &catalog_subnets[i]);
    listing_close(c, &l);
}

static void group_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    const struct group *g = row;
    const struct fact known[] = { { "group-id", g->id }, { "group-name", g->name }, { "vpc-id", aws_vpc } };
    facts_add(known, ARRAY_SIZE(known), name, ret);
}

static bool check_group(struct call *c, const char *id)
{
    return catalog_group(id) ||
           call_refuse(c, 400, "InvalidGroup.NotFound", "The security group '%s' does not exist", id);
}

static const struct resource group_resource = {
    .ids = "GroupId",
    .set = "securityGroupInfo",
    .filters = "group-id group-name vpc-id",
    .values = group_values,
    .check_id = check_group,
};

static void write_group(struct strbuf *out, const struct group *g)
{
    element_open(out, "item");
    element(out, "ownerId", aws_account);
    element(out, "groupId", g->id);
    element(out, "groupName", g->name);
    element(out, "groupDescription", "of the simulator");
    element(out, "vpcId", aws_vpc);
    strbuf_adds(out, "<ipPermissions/><ipPermissionsEgress/><tagSet/></item>");
}

void ec2_describe_groups(struct call *c)
{
    CLEANUP(listing_clear) struct listing l = { 0 };
    if (!listing_begin(c, &group_resource, &l))
        return;
    listing_open(c, &l);
    for (size_t i = 0; i < ARRAY_SIZE(catalog_groups); i++)
        if (listing_takes(c, &l, catalog_groups[i].id, &catalog_groups[i]))
            write_group(&c->res->body, &catalog_groups[i]);
    listing_close(c, &l);
}
