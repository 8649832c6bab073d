/* What the files of EC2 share. */
#ifndef MAYFLY_SIM_EC2_H
#define MAYFLY_SIM_EC2_H

#include "aws.h"
#include "catalog.h"
#include "world_instances.h"
#include "world_resources.h"

extern const struct action ec2_actions[];

/* --- ec2_tags.c --------------------------------------------------------------------------------------------------- */

void tags_write(struct strbuf *out, const struct pairs *tags);
/* The tags that the request gives to one kind of resource, all of them checked; kinds: those it may tag. */
bool tags_take(struct call *c, const char *kinds, const char *kind, struct pairs *ret);

/* --- checks ------------------------------------------------------------------------------------------------------- */

void instance_write(const struct sim *s, struct strbuf *out, const struct instance *i);
/* The ids that are malformed, or not there, are named all at once, as EC2 does. */
bool instances_check(struct call *c, const struct strlist *ids);
/* Is there this image in the region? */
bool image_check(struct call *c, const char *id);
/* The owners that the request names; false: one is none. */
bool owners_check(struct call *c, struct strlist *ret);
/* Addresses that nothing has. */
uint64_t subnet_free(const struct sim *s, const struct subnet *subnet);
bool subnet_check(struct call *c, const char *id);
bool group_check(struct call *c, const char *id);
/* MaxPrice, if any, must reach what spot costs now. */
bool spot_check_price(struct call *c, const struct type *type);
/* The most that a request pays, dollars an hour; owned. */
char *spot_ceiling(const char *max_price, const struct type *type);

/* --- actions ------------------------------------------------------------------------------------------------------ */

void ec2_run_instances(struct call *c);
void ec2_describe_instances(struct call *c);
void ec2_change_states(struct call *c);
void ec2_get_console_output(struct call *c);
void ec2_change_tags(struct call *c);
void ec2_describe_tags(struct call *c);
void ec2_describe_volumes(struct call *c);
void ec2_delete_volume(struct call *c);
void ec2_describe_spot_requests(struct call *c);
void ec2_describe_images(struct call *c);
void ec2_describe_subnets(struct call *c);
void ec2_describe_groups(struct call *c);
void ec2_create_group(struct call *c);
void ec2_describe_types(struct call *c);
void ec2_describe_offerings(struct call *c);
void ec2_describe_regions(struct call *c);
void ec2_get_encryption(struct call *c);
void ec2_get_default_key(struct call *c);
void ec2_describe_route_tables(struct call *c);
void ec2_describe_snapshots(struct call *c);
void ec2_delete_snapshot(struct call *c);
void ec2_deregister_image(struct call *c);
void ec2_create_image(struct call *c);
void ec2_copy_image(struct call *c);
void ec2_modify_image_attribute(struct call *c);
void ec2_enable_image_deprecation(struct call *c);
void ec2_cancel_spot_requests(struct call *c);

#endif
