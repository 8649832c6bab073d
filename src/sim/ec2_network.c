/* Subnets, security groups and route tables. */
#include <inttypes.h>

#include "aws.h"
#include "catalog.h"
#include "describe.h"
#include "ec2.h"
#include "rows.h"
#include "sim.h"
#include "world_instances.h"
#include "world_resources.h"

uint64_t subnet_free(const struct sim *s, const struct subnet *subnet)
{
    int64_t room = subnet->room;
    for (size_t n = 0; n < s->n_instances; n++)
        room -= str_eq(s->instances[n]->subnet, subnet->id) && !instance_is(s->instances[n], "terminated");
    return room > 0 ? (uint64_t)room : 0;
}

bool subnet_check(struct call *c, const char *id)
{
    return IS_HERE(c, world_subnet(c->sim, id)) ||
           call_refuse(c, 400, "InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id);
}

bool group_check(struct call *c, const char *id)
{
    if (!str_starts(id, "sg-"))
        return call_refuse(c, 400, "InvalidGroupId.Malformed", "Invalid id: \"%s\" (expecting \"sg-...\")", id);
    return IS_HERE(c, world_group(c->sim, id)) ||
           call_refuse(c, 400, "InvalidGroup.NotFound", "The security group '%s' does not exist", id);
}

static const struct pairs *subnet_tags(const void *row)
{
    return &((const struct subnet *)row)->tags;
}

static void subnet_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    const struct subnet *n = row;
    const struct fact known[] = { { "subnet-id", n->id },
                                  { "availability-zone", n->zone },
                                  { "vpc-id", n->vpc },
                                  { "state", "available" },
                                  { "default-for-az", n->map_public ? "true" : "false" },
                                  { "map-public-ip-on-launch", n->map_public ? "true" : "false" } };
    facts_add(known, ARRAY_SIZE(known), name, ret);
}

static const struct resource subnet_resource = {
    .ids = "SubnetId",
    .set = "subnetSet",
    .filters = "subnet-id availability-zone vpc-id state default-for-az map-public-ip-on-launch",
    .values = subnet_values,
    .tags = subnet_tags,
    .check_id = subnet_check,
};

static void write_subnet(const struct sim *s, struct strbuf *out, const struct subnet *n)
{
    element_open(out, "item");
    element(out, "subnetId", n->id);
    element(out, "state", "available");
    element(out, "ownerId", sim_account);
    element(out, "vpcId", n->vpc);
    strbuf_addf(out, "<cidrBlock>10.0.%" PRId64 ".0/24</cidrBlock>", n->net);
    element_int(out, "availableIpAddressCount", (int64_t)subnet_free(s, n));
    element(out, "availabilityZone", n->zone);
    element_bool(out, "defaultForAz", n->map_public);
    element_bool(out, "mapPublicIpOnLaunch", n->map_public);
    tags_write(out, &n->tags);
    element_close(out, "item");
}

void ec2_describe_subnets(struct call *c)
{
    CLEANUP(listing_clear) struct listing l = { 0 };
    if (!listing_begin(c, &subnet_resource, &l))
        return;
    listing_open(c, &l);
    for (size_t i = 0; i < c->sim->n_subnets; i++) {
        const struct subnet *n = c->sim->subnets[i];
        if (str_eq(n->region, c->region) && listing_takes(c, &l, n->id, n))
            write_subnet(c->sim, &c->res->body, n);
    }
    listing_close(c, &l);
}

static const struct pairs *group_tags(const void *row)
{
    return &((const struct security_group *)row)->tags;
}

static void group_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    const struct security_group *g = row;
    const struct fact known[] = { { "group-id", g->id }, { "group-name", g->name }, { "vpc-id", g->vpc } };
    facts_add(known, ARRAY_SIZE(known), name, ret);
}

static const struct resource group_resource = {
    .ids = "GroupId",
    .set = "securityGroupInfo",
    .filters = "group-id group-name vpc-id",
    .values = group_values,
    .tags = group_tags,
    .check_id = group_check,
};

static void write_group(struct strbuf *out, const struct security_group *g)
{
    element_open(out, "item");
    element(out, "ownerId", sim_account);
    element(out, "groupId", g->id);
    element(out, "groupName", g->name);
    element(out, "groupDescription", "of the simulator");
    element(out, "vpcId", g->vpc);
    strbuf_adds(out, "<ipPermissions/><ipPermissionsEgress>");
    if (g->egress)
        strbuf_adds(out, "<item><ipProtocol>-1</ipProtocol><groups/><ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item>"
                         "</ipRanges><ipv6Ranges/><prefixListIds/></item>");
    strbuf_adds(out, "</ipPermissionsEgress>");
    tags_write(out, &g->tags);
    element_close(out, "item");
}

void ec2_describe_groups(struct call *c)
{
    CLEANUP(listing_clear) struct listing l = { 0 };
    if (!listing_begin(c, &group_resource, &l))
        return;
    listing_open(c, &l);
    for (size_t i = 0; i < c->sim->n_groups; i++) {
        const struct security_group *g = c->sim->groups[i];
        if (str_eq(g->region, c->region) && listing_takes(c, &l, g->id, g))
            write_group(&c->res->body, g);
    }
    listing_close(c, &l);
}

static const char *vpc_of(const struct call *c)
{
    size_t i = 0;
    while (!str_eq(c->sim->groups[i]->region, c->region))
        i++;
    return c->sim->groups[i]->vpc;
}

static bool check_new_group(struct call *c, const char *name)
{
    const char *vpc = call_param(c, "VpcId");
    if (str_empty(name) || str_empty(call_param(c, "GroupDescription")))
        return call_refuse(c, 400, "MissingParameter", "The request must contain the parameter %s",
                           str_empty(name) ? "GroupName" : "GroupDescription");
    if (vpc && !str_eq(vpc, vpc_of(c)))
        return call_refuse(c, 400, "InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", vpc);
    for (size_t i = 0; i < c->sim->n_groups; i++)
        if (str_eq(c->sim->groups[i]->region, c->region) && str_eq(c->sim->groups[i]->name, name))
            return call_refuse(c, 400, "InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'",
                               name, vpc_of(c));
    return true;
}

/* In the region's one VPC. As at AWS, everything may go out and nothing comes in. */
void ec2_create_group(struct call *c)
{
    const char *name = call_param(c, "GroupName");
    if (!check_new_group(c, name) || !call_is_wet(c))
        return;
    struct security_group *row = xcalloc(1, sizeof(*row));
    row->id = sim_random_id("sg-", ID_DIGITS);
    str_set(&row->vpc, vpc_of(c));
    str_set(&row->region, c->region);
    str_set(&row->name, name);
    row->egress = true;
    ROW_ADD(c->sim->groups, c->sim->n_groups, row);
    call_begin(c);
    element(&c->res->body, "groupId", row->id);
    call_end(c);
}

/* --- route tables ------------------------------------------------------------------------------------------------- */

/* A subnet that has none of its own follows the main table of its VPC. */
struct table {
    char *id;
    const char *vpc, *subnet, *route; /* subnet NULL: the main one */
};

static void table_clear(struct table *t)
{
    free(t->id);
}

static void table_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    const struct table *t = row;
    const struct fact known[] = { { "route-table-id", t->id },
                                  { "vpc-id", t->vpc },
                                  { "association.subnet-id", t->subnet },
                                  { "association.main", t->subnet ? "false" : "true" },
                                  { "route.destination-cidr-block", str_eq(t->route, "none") ? NULL : "0.0.0.0/0" } };
    facts_add(known, ARRAY_SIZE(known), name, ret);
}

static const struct resource table_resource = {
    .ids = "RouteTableId",
    .set = "routeTableSet",
    .filters = "route-table-id vpc-id association.subnet-id association.main route.destination-cidr-block",
    .values = table_values,
};

static void write_route(struct strbuf *out, const char *to, const char *kind, const char *gateway)
{
    element_open(out, "item");
    element(out, "destinationCidrBlock", to);
    element(out, kind, gateway);
    element(out, "state", "active");
    element(out, "origin", str_eq(gateway, "local") ? "CreateRouteTable" : "CreateRoute");
    element_close(out, "item");
}

static void write_table(struct strbuf *out, const struct table *t)
{
    const char *rest = t->vpc + strlen("vpc-");
    AUTO_FREE char *gateway = xasprintf("%s-%s", t->route, rest), *association = xasprintf("rtbassoc-%s", t->id + 4);
    element_open(out, "item");
    element(out, "routeTableId", t->id);
    element(out, "vpcId", t->vpc);
    element(out, "ownerId", sim_account);
    element_open(out, "routeSet");
    write_route(out, "10.0.0.0/16", "gatewayId", "local");
    if (!str_eq(t->route, "none"))
        write_route(out, "0.0.0.0/0", str_eq(t->route, "nat") ? "natGatewayId" : "gatewayId", gateway);
    element_close(out, "routeSet");
    element_open(out, "associationSet");
    element_open(out, "item");
    element(out, "routeTableAssociationId", association);
    element(out, "routeTableId", t->id);
    element(out, "subnetId", t->subnet);
    element_bool(out, "main", !t->subnet);
    strbuf_adds(out, "<associationState><state>associated</state></associationState>");
    element_close(out, "item");
    element_close(out, "associationSet");
    strbuf_adds(out, "<propagatingVgwSet/><tagSet/>");
    element_close(out, "item");
}

void ec2_describe_route_tables(struct call *c)
{
    CLEANUP(listing_clear) struct listing l = { 0 };
    bool main = false;
    if (!listing_begin(c, &table_resource, &l))
        return;
    listing_open(c, &l);
    for (size_t i = 0; i < c->sim->n_subnets; i++) {
        const struct subnet *n = c->sim->subnets[i];
        if (!str_eq(n->region, c->region) || (n->main && main))
            continue;
        main = main || n->main;
        CLEANUP(table_clear)
        struct table t = { .id = xasprintf("rtb-%s", n->id + strlen("subnet-")),
                           .vpc = n->vpc,
                           .subnet = n->main ? NULL : n->id,
                           .route = n->route };
        if (listing_takes(c, &l, t.id, &t))
            write_table(&c->res->body, &t);
    }
    listing_close(c, &l);
}

/* --- DescribeRegions ---------------------------------------------------------------------------------------------- */

static void region_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    const struct fact known[] = { { "region-name", row }, { "opt-in-status", "opt-in-not-required" } };
    facts_add(known, ARRAY_SIZE(known), name, ret);
}

static const struct resource region_resource = {
    .ids = "RegionName", .set = "regionInfo", .filters = "region-name opt-in-status", .values = region_values
};

void ec2_describe_regions(struct call *c)
{
    CLEANUP(listing_clear) struct listing l = { 0 };
    struct strbuf *out = &c->res->body;
    const char *name;
    if (!listing_begin(c, &region_resource, &l))
        return;
    listing_open(c, &l);
    for (size_t n = 0; (name = catalog_region(n)) != NULL; n++) {
        if (!listing_takes(c, &l, name, name))
            continue;
        AUTO_FREE char *endpoint = xasprintf("ec2.%s.amazonaws.com", name);
        element_open(out, "item");
        element(out, "optInStatus", "opt-in-not-required");
        element(out, "regionName", name);
        element(out, "regionEndpoint", endpoint);
        element_close(out, "item");
    }
    listing_close(c, &l);
}
