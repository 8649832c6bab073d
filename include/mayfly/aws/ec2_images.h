/* EC2 for who makes images. Each operation is a pair, as in ec2.h; what there is is told by ec2_fleet.h's lists. */
#ifndef MAYFLY_AWS_EC2_IMAGES_H
#define MAYFLY_AWS_EC2_IMAGES_H

#include "mayfly/aws/ec2.h"

struct ec2_new_image { /* what CreateImage or CopyImage is asked for; all borrowed */
    const char *region, *name, *description;
    const char *instance_id;            /* of CreateImage: its disk */
    const char *source_region, *source; /* of CopyImage: an image's id */
    const char *client_token;           /* of CopyImage: at most 64 characters */
    const struct ec2_tag *tags;         /* of the image and of its snapshots */
    size_t n_tags;
};

/* Two of one name are refused (InvalidAMIName.Duplicate), so that asking again is safe. */
struct aws_call *ec2_create_image_call(struct aws *aws, const struct ec2_new_image *image);
/* *ret_id: in the arena. The image is pending. */
MUST_CHECK bool ec2_create_image_result(const struct aws_call *call, struct arena *arena, const char **ret_id,
                                        struct error *err);

/* Copies an image of another region, with its snapshots, into image->region. The same request with the same token makes
 * one copy and names it again; tags are not copied, these are the copy's from the start. The source stays as it is.
 * Source: botocore's service model of EC2; "Ensuring idempotency in Amazon EC2 API requests". */
struct aws_call *ec2_copy_image_call(struct aws *aws, const struct ec2_new_image *image);
/* As ec2_create_image_result. */
MUST_CHECK bool ec2_copy_image_result(const struct aws_call *call, struct arena *arena, const char **ret_id,
                                      struct error *err);

/* Lets other accounts launch it; at least one account, of 12 digits. */
struct aws_call *ec2_share_image_call(struct aws *aws, const char *region, const char *id,
                                      const struct strlist *accounts);

/* From then on other accounts no longer find it unless they ask for its id; whoever names it can launch it. The owner
 * finds it as before. at: RFC 3339, to come even when EC2 has rounded it to the nearest minute, at most 10 years. */
struct aws_call *ec2_deprecate_image_call(struct aws *aws, const char *region, const char *id, const char *at);

#endif
