#include "mayfly/aws/ec2_network.h"

#include "ec2_call.h"
#include "mayfly/aws/query.h"

struct rows {
    struct field_list list;
};

#define STR(path_, struct_, member, form_)                                                                             \
    {                                                                                                                  \
        .path = (path_), .type = FIELD_STR, .offset = offsetof(struct_, member), .form = (form_)                       \
    }
#define ROWS(path_, struct_, member, fields, row)                                                                      \
    {                                                                                                                  \
        .path = (path_), .type = FIELD_LIST, .offset = offsetof(struct_, member), .items = (fields),                   \
        .item_size = sizeof(row)                                                                                       \
    }
#define STRINGS(path_, struct_, member, form_)                                                                         \
    {                                                                                                                  \
        .path = (path_), .type = FIELD_LIST, .offset = offsetof(struct_, member), .item_size = sizeof(const char *),   \
        .form = (form_)                                                                                                \
    }

/* A description by one filter, and the rows of its answer. */
static struct aws_call *describe(struct aws *aws, const char *region, const char *action, const char *filter,
                                 const struct strlist *values)
{
    const struct ec2_filter by = { .name = filter, .values = values };
    struct strbuf body = STRBUF_INIT;
    query_begin(&body, action, EC2_VERSION);
    ec2_add_filters(&body, &by, 1);
    return ec2_call_new(aws, region, action, &body);
}

static bool take_rows(const struct aws_call *call, const struct field *fields, struct arena *arena,
                      struct field_list *ret, struct error *err)
{
    struct rows rows = { 0 };
    if (!ec2_decode(call, fields, &rows, arena, err))
        return false;
    *ret = rows.list;
    return true;
}

/* --- subnets ------------------------------------------------------------------------------------------------------ */

static const struct field subnet_fields[] = {
    STR("subnetId", struct ec2_subnet, id, FORM_SUBNET),
    STR("vpcId", struct ec2_subnet, vpc, FORM_VPC),
    STR("availabilityZone", struct ec2_subnet, zone, FORM_ZONE),
    STR("state", struct ec2_subnet, state, FORM_WORD),
    { .path = "availableIpAddressCount", .type = FIELD_INT, .offset = offsetof(struct ec2_subnet, free) },
    { .path = "mapPublicIpOnLaunch", .type = FIELD_BOOL, .offset = offsetof(struct ec2_subnet, maps_public) },
    { 0 },
};
static const struct field subnets_fields[] = {
    ROWS("subnetSet/item", struct rows, list, subnet_fields, struct ec2_subnet),
    { 0 },
};

struct aws_call *ec2_describe_subnets_call(struct aws *aws, const char *region, const struct strlist *ids)
{
    return describe(aws, region, "DescribeSubnets", "subnet-id", ids);
}

bool ec2_describe_subnets_result(const struct aws_call *call, struct arena *arena, struct field_list *ret,
                                 struct error *err)
{
    return take_rows(call, subnets_fields, arena, ret, err);
}

/* --- route tables ------------------------------------------------------------------------------------------------- */

/* A route has one target, in an element of its kind; a NAT instance is named by its interface too. */
static const struct field route_fields[] = {
    STR("destinationCidrBlock", struct ec2_route, to, FORM_ADDRESSES),
    STR("gatewayId", struct ec2_route, target, FORM_WORD),
    STR("natGatewayId", struct ec2_route, target, FORM_WORD),
    STR("transitGatewayId", struct ec2_route, target, FORM_WORD),
    STR("vpcPeeringConnectionId", struct ec2_route, target, FORM_WORD),
    STR("networkInterfaceId", struct ec2_route, target, FORM_WORD),
    STR("localGatewayId", struct ec2_route, target, FORM_WORD),
    STR("carrierGatewayId", struct ec2_route, target, FORM_WORD),
    STR("state", struct ec2_route, state, FORM_WORD),
    { 0 },
};
static const struct field association_fields[] = {
    STR("subnetId", struct ec2_association, subnet, FORM_SUBNET),
    { .path = "main", .type = FIELD_BOOL, .offset = offsetof(struct ec2_association, main) },
    { 0 },
};
static const struct field table_fields[] = {
    STR("routeTableId", struct ec2_route_table, id, FORM_WORD),
    STR("vpcId", struct ec2_route_table, vpc, FORM_VPC),
    ROWS("routeSet/item", struct ec2_route_table, routes, route_fields, struct ec2_route),
    ROWS("associationSet/item", struct ec2_route_table, associations, association_fields, struct ec2_association),
    { 0 },
};
static const struct field tables_fields[] = {
    ROWS("routeTableSet/item", struct rows, list, table_fields, struct ec2_route_table),
    { 0 },
};

struct aws_call *ec2_describe_route_tables_call(struct aws *aws, const char *region, const struct strlist *vpcs)
{
    return describe(aws, region, "DescribeRouteTables", "vpc-id", vpcs);
}

bool ec2_describe_route_tables_result(const struct aws_call *call, struct arena *arena, struct field_list *ret,
                                      struct error *err)
{
    return take_rows(call, tables_fields, arena, ret, err);
}

/* --- security groups ---------------------------------------------------------------------------------------------- */

/* Ports are text: ICMP's are -1. */
static const struct field permission_fields[] = {
    STR("ipProtocol", struct ec2_permission, protocol, FORM_WORD),
    STR("fromPort", struct ec2_permission, from, FORM_WORD),
    STR("toPort", struct ec2_permission, to, FORM_WORD),
    STRINGS("ipRanges/item/cidrIp", struct ec2_permission, cidrs, FORM_ADDRESSES),
    STRINGS("prefixListIds/item/prefixListId", struct ec2_permission, others, FORM_WORD),
    STRINGS("groups/item/groupId", struct ec2_permission, others, FORM_GROUP),
    { 0 },
};
static const struct field group_fields[] = {
    STR("groupId", struct ec2_group, id, FORM_GROUP),
    STR("vpcId", struct ec2_group, vpc, FORM_VPC),
    ROWS("ipPermissionsEgress/item", struct ec2_group, egress, permission_fields, struct ec2_permission),
    { 0 },
};
static const struct field groups_fields[] = {
    ROWS("securityGroupInfo/item", struct rows, list, group_fields, struct ec2_group),
    { 0 },
};

struct aws_call *ec2_describe_groups_call(struct aws *aws, const char *region, const struct strlist *ids)
{
    return describe(aws, region, "DescribeSecurityGroups", "group-id", ids);
}

bool ec2_describe_groups_result(const struct aws_call *call, struct arena *arena, struct field_list *ret,
                                struct error *err)
{
    return take_rows(call, groups_fields, arena, ret, err);
}

/* --- offerings ---------------------------------------------------------------------------------------------------- */

static const struct field offering_fields[] = {
    STR("instanceType", struct ec2_offering, type, FORM_TYPE),
    STR("location", struct ec2_offering, zone, FORM_ZONE),
    { 0 },
};
static const struct field offerings_fields[] = {
    ROWS("instanceTypeOfferingSet/item", struct rows, list, offering_fields, struct ec2_offering),
    { 0 },
};

struct aws_call *ec2_describe_offerings_call(struct aws *aws, const char *region, const struct strlist *types)
{
    struct aws_call *call = describe(aws, region, "DescribeInstanceTypeOfferings", "instance-type", types);
    query_add(&call->body, "availability-zone", "LocationType");
    return call;
}

bool ec2_describe_offerings_result(const struct aws_call *call, struct arena *arena, struct field_list *ret,
                                   struct error *err)
{
    return take_rows(call, offerings_fields, arena, ret, err);
}

/* --- regions ------------------------------------------------------------------------------------------------------ */

static const struct field region_fields[] = {
    STR("regionName", struct ec2_region, name, FORM_ZONE),
    { 0 },
};
static const struct field regions_fields[] = {
    ROWS("regionInfo/item", struct rows, list, region_fields, struct ec2_region),
    { 0 },
};

/* A call without parameters. */
static struct aws_call *plain_call(struct aws *aws, const char *region, const char *action)
{
    struct strbuf body = STRBUF_INIT;
    query_begin(&body, action, EC2_VERSION);
    return ec2_call_new(aws, region, action, &body);
}

struct aws_call *ec2_describe_regions_call(struct aws *aws, const char *region)
{
    return plain_call(aws, region, "DescribeRegions");
}

bool ec2_describe_regions_result(const struct aws_call *call, struct arena *arena, struct field_list *ret,
                                 struct error *err)
{
    return take_rows(call, regions_fields, arena, ret, err);
}

/* --- encryption --------------------------------------------------------------------------------------------------- */

struct word {
    const char *text;
};
static const struct field encryption_fields[] = { STR("ebsEncryptionByDefault", struct word, text, FORM_WORD), { 0 } };
static const struct field key_fields[] = { STR("kmsKeyId", struct word, text, FORM_KEY), { 0 } };

/* The one word of an answer, which must be there. */
static bool take_word(const struct aws_call *call, const struct field *fields, struct arena *arena, const char **ret,
                      struct error *err)
{
    struct word word = { 0 };
    if (!ec2_decode(call, fields, &word, arena, err))
        return false;
    if (str_empty(word.text))
        return error_set(err, ERROR_PARSE, 0, "the answer to %s has no %s", call->call.name, fields->path);
    *ret = word.text;
    return true;
}

struct aws_call *ec2_get_encryption_call(struct aws *aws, const char *region)
{
    return plain_call(aws, region, "GetEbsEncryptionByDefault");
}

bool ec2_get_encryption_result(const struct aws_call *call, bool *ret, struct error *err)
{
    AUTO_ARENA arena = { 0 };
    const char *text;
    if (!take_word(call, encryption_fields, &arena, &text, err))
        return false;
    *ret = str_eq(text, "true");
    return true;
}

struct aws_call *ec2_get_default_key_call(struct aws *aws, const char *region)
{
    return plain_call(aws, region, "GetEbsDefaultKmsKeyId");
}

bool ec2_get_default_key_result(const struct aws_call *call, struct arena *arena, const char **ret, struct error *err)
{
    return take_word(call, key_fields, arena, ret, err);
}
