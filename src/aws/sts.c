#include "mayfly/aws/sts.h"

#include "mayfly/aws/query.h"
#include "mayfly/codec/json.h"
#include "mayfly/codec/xml.h"

static struct aws_call *new_call(struct aws *aws, const char *region, const char *action, struct strbuf *body)
{
    return aws_call_new(aws, "sts", region, action, body);
}

static bool decode(const struct aws_call *c, const struct field *fields, void *out, struct arena *arena,
                   struct error *err)
{
    const struct strbuf *body = &c->call.exchange.response.body;
    AUTO_FREE char *what = aws_call_what(&c->call);
    AUTO_FREE char *root = xasprintf("%sResponse", c->call.name);
    return xml_decode(strbuf_str(body), body->len, root, fields, out, arena, what, err);
}

struct aws_call *sts_get_caller_identity_call(struct aws *aws, const char *region)
{
    struct strbuf body = STRBUF_INIT;
    query_begin(&body, "GetCallerIdentity", "2011-06-15");
    return new_call(aws, region, "GetCallerIdentity", &body);
}

static const struct field identity_fields[] = {
    { .path = "GetCallerIdentityResult/Account", .type = FIELD_STR, .offset = offsetof(struct sts_identity, account) },
    { .path = "GetCallerIdentityResult/Arn", .type = FIELD_STR, .offset = offsetof(struct sts_identity, arn) },
    { 0 },
};

bool sts_get_caller_identity_result(const struct aws_call *call, struct arena *arena, struct sts_identity *ret,
                                    struct error *err)
{
    struct sts_identity who = { 0 };
    if (!decode(call, identity_fields, &who, arena, err))
        return false;
    if (str_empty(who.account))
        return error_set(err, ERROR_PARSE, 0, "the answer to GetCallerIdentity names no account");
    *ret = who;
    return true;
}

struct aws_call *sts_decode_message_call(struct aws *aws, const char *region, const char *encoded)
{
    struct strbuf body = STRBUF_INIT;
    query_begin(&body, "DecodeAuthorizationMessage", "2011-06-15");
    query_add(&body, encoded, "EncodedMessage");
    return new_call(aws, region, "DecodeAuthorizationMessage", &body);
}

struct message {
    const char *json;
};
static const struct field message_fields[] = {
    { .path = "DecodeAuthorizationMessageResult/DecodedMessage",
      .type = FIELD_STR,
      .offset = offsetof(struct message, json) },
    { 0 },
};

static const struct field refusal_fields[] = {
    { .path = "explicitDeny", .type = FIELD_BOOL, .offset = offsetof(struct sts_refusal, explicit_deny) },
    { .path = "context/action", .type = FIELD_STR, .offset = offsetof(struct sts_refusal, action) },
    { .path = "context/resource", .type = FIELD_STR, .offset = offsetof(struct sts_refusal, resource) },
    { 0 },
};

bool sts_decode_message_result(const struct aws_call *call, struct arena *arena, struct sts_refusal *ret,
                               struct error *err)
{
    struct message message = { 0 };
    struct sts_refusal refusal = { 0 };
    if (!decode(call, message_fields, &message, arena, err))
        return false;
    const char *json = message.json ? message.json : "";
    if (!json_decode_text(json, strlen(json), refusal_fields, &refusal, arena, "the decoded message", err))
        return false;
    *ret = refusal;
    return true;
}
