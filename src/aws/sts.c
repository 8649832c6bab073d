#include "mayfly/aws/sts.h"

#include "mayfly/aws/query.h"
#include "mayfly/codec/xml.h"

struct aws_call *sts_get_caller_identity_call(struct aws *aws, const char *region)
{
    struct strbuf body = STRBUF_INIT;
    query_begin(&body, "GetCallerIdentity", "2011-06-15");
    return aws_call_new(aws, "sts", region, "GetCallerIdentity", &body);
}

static const struct field fields[] = {
    { .path = "GetCallerIdentityResult/Account", .type = FIELD_STR, .offset = offsetof(struct sts_identity, account) },
    { .path = "GetCallerIdentityResult/Arn", .type = FIELD_STR, .offset = offsetof(struct sts_identity, arn) },
    { 0 },
};

bool sts_get_caller_identity_result(const struct aws_call *call, struct arena *arena, struct sts_identity *ret,
                                    struct error *err)
{
    const struct strbuf *body = &call->call.exchange.response.body;
    struct sts_identity who = { 0 };
    AUTO_FREE char *what = aws_call_what(&call->call);
    if (!xml_decode(strbuf_str(body), body->len, "GetCallerIdentityResponse", fields, &who, arena, what, err))
        return false;
    if (str_empty(who.account))
        return error_set(err, ERROR_PARSE, 0, "%s names no account", what);
    *ret = who;
    return true;
}
