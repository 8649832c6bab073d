/* STS: who these credentials are, and why a request was refused. */
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

/* What a refusal's encoded message says; NULL when it does not. */
struct sts_refusal {
    bool explicit_deny; /* a statement denies it; else none allows it */
    const char *action, *resource;
};
/* encoded: of struct aws_denial. Needs sts:DecodeAuthorizationMessage. */
struct aws_call *sts_decode_message_call(struct aws *aws, const char *region, const char *encoded);
MUST_CHECK bool sts_decode_message_result(const struct aws_call *call, struct arena *arena, struct sts_refusal *ret,
                                          struct error *err);

#endif
