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

/* AssumeRole, or, with a token, AssumeRoleWithWebIdentity, which is not signed. Strings may be NULL but arn and
 * session_name. duration: seconds; 0: the role's default. */
struct sts_role {
    const char *arn, *session_name, *external_id, *token;
    int64_t duration;
};
struct aws_call *sts_assume_role_call(struct aws *aws, const char *region, const struct sts_role *role);
struct sts_credentials {
    const char *access_key_id, *secret_access_key, *session_token, *expiration;
};
MUST_CHECK bool sts_assume_role_result(const struct aws_call *call, struct arena *arena, struct sts_credentials *ret,
                                       struct error *err);

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
