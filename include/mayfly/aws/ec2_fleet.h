/* EC2 for who goes over a whole fleet: instances in pages small enough to be judged one by one, tags and terminations
 * for many at once, and what instances and bakes leave behind. */
#ifndef MAYFLY_AWS_EC2_FLEET_H
#define MAYFLY_AWS_EC2_FLEET_H

#include "mayfly/aws/ec2.h"

enum { EC2_FLEET_PAGE = 200 }; /* rows: about 1.5 MB of instances, of which real ones take 8 KB each */

/* ec2_describe_instances_call with such pages; its result is ec2_describe_instances_result's. */
struct aws_call *ec2_fleet_call(struct aws *aws, const char *region, const struct ec2_filter *filters, size_t n,
                                const char *token);

/* Sets one tag on all of at least one resource; value NULL removes the tag. */
struct aws_call *ec2_tag_many_call(struct aws *aws, const char *region, const struct strlist *ids, const char *key,
                                   const char *value);

enum ec2_kind { EC2_VOLUME, EC2_SPOT_REQUEST, EC2_IMAGE, EC2_SNAPSHOT, EC2_KIND_COUNT };

/* "volume": for people. */
const char *ec2_kind_name(enum ec2_kind kind);

struct ec2_leftover { /* strings live in the arena of the decoder; NULL when absent */
    const char *id, *state, *created, *name, *architecture; /* name and architecture: of an image */
    const char *reason;                                     /* why an image failed */
    const char *deprecated;                                 /* since or from when an image is */
    const char *description;                                /* of a snapshot */
    struct field_list snapshots;                            /* of an image: const char *, ids */
    struct field_list tags;                                 /* struct ec2_tag */
};

/* Seconds since 1970, or 0 when absent or malformed. */
int64_t ec2_leftover_created(const struct ec2_leftover *l);
/* The value of a tag, or NULL. */
const char *ec2_leftover_tag(const struct ec2_leftover *l, const char *key);

/* One page; images and snapshots: this account's own alone. token: of the page before, or NULL. n is at least 1. */
struct aws_call *ec2_list_leftovers_call(struct aws *aws, const char *region, enum ec2_kind kind,
                                         const struct ec2_filter *filters, size_t n, const char *token);
struct ec2_leftovers {
    struct field_list rows;
    const char *next_token; /* NULL: the last page */
};
MUST_CHECK bool ec2_list_leftovers_result(const struct aws_call *call, enum ec2_kind kind, struct arena *arena,
                                          struct ec2_leftovers *ret, struct error *err);

/* DeleteVolume, CancelSpotInstanceRequests, DeregisterImage, DeleteSnapshot. */
struct aws_call *ec2_remove_leftover_call(struct aws *aws, const char *region, enum ec2_kind kind, const char *id);
/* Fails when the answer does not say that it is done. */
MUST_CHECK bool ec2_remove_leftover_result(const struct aws_call *call, enum ec2_kind kind, struct error *err);

/* The error of a removal says that it was not there any more. */
bool ec2_leftover_is_gone(const struct error *err);
/* The error of a removal says that something uses it: an image its snapshot, an instance its volume. */
bool ec2_leftover_is_used(const struct error *err);

#endif
