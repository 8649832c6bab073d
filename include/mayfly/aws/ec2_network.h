/* EC2's network, where instance types are to be had, and how the account encrypts volumes: what a person gets wrong
 * about it. Reading only.
 *
 * Each operation is a pair, as in ec2.h, of one page: what is asked for by few values fits. Strings live in the arena
 * of the decoder; NULL when absent. */
#ifndef MAYFLY_AWS_EC2_NETWORK_H
#define MAYFLY_AWS_EC2_NETWORK_H

#include "mayfly/aws/ec2.h"

struct ec2_subnet {
    const char *id, *vpc, *zone, *state;
    int64_t free; /* addresses */
    bool maps_public;
};
/* By filter and not by id: an id that does not exist would hide the others. At least one id. */
struct aws_call *ec2_describe_subnets_call(struct aws *aws, const char *region, const struct strlist *ids);
/* Rows of struct ec2_subnet. */
MUST_CHECK bool ec2_describe_subnets_result(const struct aws_call *call, struct arena *arena, struct field_list *ret,
                                            struct error *err);

struct ec2_route {
    const char *to;     /* "0.0.0.0/0" */
    const char *target; /* "igw-…", "nat-…", "tgw-…", "eni-…", "local", … */
    const char *state;  /* "active", "blackhole" */
};
struct ec2_association {
    const char *subnet; /* NULL: the main table of its VPC */
    bool main;
};
struct ec2_route_table {
    const char *id, *vpc;
    struct field_list routes;       /* struct ec2_route */
    struct field_list associations; /* struct ec2_association */
};
/* Every table of these VPCs, of which there is at least one. */
struct aws_call *ec2_describe_route_tables_call(struct aws *aws, const char *region, const struct strlist *vpcs);
/* Rows of struct ec2_route_table. */
MUST_CHECK bool ec2_describe_route_tables_result(const struct aws_call *call, struct arena *arena,
                                                 struct field_list *ret, struct error *err);

struct ec2_permission {       /* one rule of a security group */
    const char *protocol;     /* "-1": all; "tcp", "udp", "icmp", a number */
    const char *from, *to;    /* ports; NULL: all */
    struct field_list cidrs;  /* const char *: "0.0.0.0/0" */
    struct field_list others; /* const char *: prefix lists and groups, whose addresses are not known here */
};
struct ec2_group {
    const char *id, *vpc;
    struct field_list egress; /* struct ec2_permission */
};
/* By filter and not by id. At least one id. */
struct aws_call *ec2_describe_groups_call(struct aws *aws, const char *region, const struct strlist *ids);
/* Rows of struct ec2_group. */
MUST_CHECK bool ec2_describe_groups_result(const struct aws_call *call, struct arena *arena, struct field_list *ret,
                                           struct error *err);

struct ec2_offering {
    const char *type, *zone;
};
/* In which zones of the region these types are offered. At least one type. */
struct aws_call *ec2_describe_offerings_call(struct aws *aws, const char *region, const struct strlist *types);
/* Rows of struct ec2_offering. */
MUST_CHECK bool ec2_describe_offerings_result(const struct aws_call *call, struct arena *arena, struct field_list *ret,
                                              struct error *err);

/* The regions that are enabled for the account: struct ec2_region rows. */
struct ec2_region {
    const char *name;
};
struct aws_call *ec2_describe_regions_call(struct aws *aws, const char *region);
MUST_CHECK bool ec2_describe_regions_result(const struct aws_call *call, struct arena *arena, struct field_list *ret,
                                            struct error *err);

/* Whether the account encrypts every new volume of the region, also those of a launch that asks for none.
 * Source: EC2 API, GetEbsEncryptionByDefault. */
struct aws_call *ec2_get_encryption_call(struct aws *aws, const char *region);
MUST_CHECK bool ec2_get_encryption_result(const struct aws_call *call, bool *ret, struct error *err);
/* The key of volumes that are encrypted without naming one: an ARN, or "alias/aws/ebs", AWS's own key of the account.
 * In the arena. Source: EC2 API, GetEbsDefaultKmsKeyId. */
struct aws_call *ec2_get_default_key_call(struct aws *aws, const char *region);
MUST_CHECK bool ec2_get_default_key_result(const struct aws_call *call, struct arena *arena, const char **ret,
                                           struct error *err);

#endif
