/* STS: who these credentials are. */
#ifndef MAYFLY_AWS_STS_H
#define MAYFLY_AWS_STS_H

#include "mayfly/aws/call.h"
#include "mayfly/util/arena.h"

struct sts_identity {
    const char *account, *arn;
};

struct aws_call *sts_get_caller_identity_call(struct aws *aws, const char *region);
MUST_CHECK bool sts_get_caller_identity_result(const struct aws_call *call, struct arena *arena,
                                               struct sts_identity *ret, struct error *err);

#endif
