/* SSM Parameter Store: where the newest image of a kind is written down. JSON 1.1 protocol, API version 2014-11-06. */
#ifndef MAYFLY_AWS_SSM_H
#define MAYFLY_AWS_SSM_H

#include "mayfly/aws/call.h"
#include "mayfly/util/arena.h"

/* name: "/mayfly/ami/arm64". Needs ssm:GetParameter. */
struct aws_call *ssm_get_parameter_call(struct aws *aws, const char *region, const char *name);
/* *ret: the value, in the arena. */
MUST_CHECK bool ssm_get_parameter_result(const struct aws_call *call, struct arena *arena, const char **ret,
                                         struct error *err);

/* Makes the parameter, or gives it a new value. image: its value is an image's id, which AWS then checks. Needs
 * ssm:PutParameter, and with image ec2:DescribeImages. */
struct aws_call *ssm_put_parameter_call(struct aws *aws, const char *region, const char *name, const char *value,
                                        bool image);

#endif
