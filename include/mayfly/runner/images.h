/* Looking up an image reference: the requests, and what their answers mean. Pure: the caller runs the calls.
 *
 * The first call answers for a reference, except for an IMAGE_SSM: that one's parameter holds an ID, which a second
 * call describes. */
#ifndef MAYFLY_RUNNER_IMAGES_H
#define MAYFLY_RUNNER_IMAGES_H

#include "mayfly/aws/call.h"
#include "mayfly/github/runners.h"
#include "mayfly/runner/plan.h"

/* The first request for a reference; owned, as every call. */
struct aws_call *image_find_call(struct aws *aws, const struct image *image);
/* Describes the image with this ID. */
struct aws_call *image_describe_call(struct aws *aws, const char *region, const char *id);

/* The ID in the parameter of an IMAGE_SSM; *ret_id lives in the arena. ERROR_CONFIG: the value is not an image's ID. */
MUST_CHECK bool image_take_parameter(const struct image *image, const struct aws_call *answer, struct arena *arena,
                                     const char **ret_id, struct error *err);
/* image_take for an answer to DescribeImages; id: the reference, or for an IMAGE_SSM the ID from its parameter. */
MUST_CHECK bool image_take_answer(struct image *image, const char *id, const struct aws_call *answer,
                                  struct arena *arena, struct error *err);

/* The runner to download for EC2's `architecture`: the one of rows, struct github_download, for that architecture of
 * Linux that has a checksum. NULL and ERROR_GITHUB: there is none. */
MUST_CHECK const struct github_download *image_find_download(const char *architecture, const struct field_list *rows,
                                                             struct error *err);

#endif
