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

struct aws_call *sts_assume_role_call(struct aws *aws, const char *region, const struct sts_role *role)
{
    struct strbuf body = STRBUF_INIT;
    const char *action = role->token ? "AssumeRoleWithWebIdentity" : "AssumeRole";
    body.secret = true;
    query_begin(&body, action, "2011-06-15");
    query_add(&body, role->arn, "RoleArn");
    query_add(&body, role->session_name, "RoleSessionName");
    query_add(&body, role->token ? NULL : role->external_id, "ExternalId"); /* of AssumeRole alone */
    query_add(&body, role->token, "WebIdentityToken");
    if (role->duration)
        query_add_uint(&body, (uint64_t)role->duration, "DurationSeconds");
    struct aws_call *call = new_call(aws, region, action, &body);
    call->anonymous = role->token;
    return call;
}

#define CREDENTIALS(action, member, name)                                                                              \
    {                                                                                                                  \
        .path = action "Result/Credentials/" name, .type = FIELD_STR,                                                  \
        .offset = offsetof(struct sts_credentials, member)                                                             \
    }
#define ALL_CREDENTIALS(action)                                                                                        \
    CREDENTIALS(action, access_key_id, "AccessKeyId"), CREDENTIALS(action, secret_access_key, "SecretAccessKey"),      \
        CREDENTIALS(action, session_token, "SessionToken"), CREDENTIALS(action, expiration, "Expiration")
static const struct field credentials_fields[] = {
    ALL_CREDENTIALS("AssumeRole"),
    ALL_CREDENTIALS("AssumeRoleWithWebIdentity"),
    { 0 },
};

bool sts_assume_role_result(const struct aws_call *call, struct arena *arena, struct sts_credentials *ret,
                            struct error *err)
{
    struct sts_credentials got = { 0 };
    if (!decode(call, credentials_fields, &got, arena, err))
        return false;
    if (str_empty(got.access_key_id) || str_empty(got.session_token) || str_empty(got.expiration))
        return error_set(err, ERROR_PARSE, 0, "the answer to %s holds no credentials", call->call.name);
    *ret = got;
    return true;
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
