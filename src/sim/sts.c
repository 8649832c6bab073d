/* STS. */
#include "sts.h"
#include "aws.h"
#include "http.h"
#include "issuer.h"
#include "to_json.h"
#include "verify.h"

#include "mayfly/util/encode.h"

/* What an encoded message begins with, so that another one is not taken for ours. */
static const char mark[] = "simulated+";

#define CALLER "arn:aws:sts::%s:assumed-role/mayfly/simulator"

void sts_begin(struct call *c)
{
    strbuf_addf(&c->res->body, "<%sResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><%sResult>", c->action,
                c->action);
}

void sts_end(struct call *c)
{
    strbuf_addf(&c->res->body, "</%sResult><ResponseMetadata>", c->action);
    aws_request_id(c->res, "RequestId");
    strbuf_addf(&c->res->body, "</ResponseMetadata></%sResponse>", c->action);
}

static void get_caller_identity(struct call *c)
{
    AUTO_FREE char *key = verify_scope(c->request, SCOPE_KEY), *plain = xasprintf(CALLER, aws_account);
    const struct issued *issued = issuer_find(c->sim, key);
    sts_begin(c);
    element(&c->res->body, "Arn", issued ? issued->arn : plain);
    element(&c->res->body, "UserId", "AROASIMULATED00000001:simulator");
    element(&c->res->body, "Account", aws_account);
    sts_end(c);
}

static void decode_authorization_message(struct call *c)
{
    AUTO_STRBUF text = STRBUF_INIT;
    const char *message = call_param(c, "EncodedMessage");
    size_t skip = strlen(mark);
    if (!message) {
        call_refuse(c, 400, "ValidationError",
                    "1 validation error detected: Value null at 'encodedMessage' failed to satisfy constraint: Member "
                    "must not be null");
        return;
    }
    if (!str_starts(message, mark) || !decode_base64(&text, message + skip, strlen(message + skip))) {
        call_refuse(c, 400, "InvalidAuthorizationMessageException", "Message is not valid");
        return;
    }
    sts_begin(c);
    element(&c->res->body, "DecodedMessage", strbuf_str(&text));
    sts_end(c);
}

const struct action sts_actions[] = {
    { "AssumeRole", sts_assume_role, "RoleArn RoleSessionName ExternalId DurationSeconds#" },
    { "AssumeRoleWithWebIdentity", sts_assume_role_with_web_identity,
      "RoleArn RoleSessionName WebIdentityToken DurationSeconds#" },
    { "GetCallerIdentity", get_caller_identity, "" },
    { "DecodeAuthorizationMessage", decode_authorization_message, "EncodedMessage" },
    { 0 },
};

/* --- denials ------------------------------------------------------------------------------------------------------ */

static char *encode_denial(const char *action, const char *resource)
{
    struct json_object *o = must(json_object_new_object());
    AUTO_STRBUF out = STRBUF_INIT;
    AUTO_FREE char *caller = xasprintf(CALLER, aws_account);
    json_add_bool(o, "allowed", false);
    json_add_bool(o, "explicitDeny", false);
    struct json_object *context = json_add_object(o, "context"), *principal = json_add_object(context, "principal");
    json_add_text(principal, "id", "AROASIMULATED00000001:simulator");
    json_add_text(principal, "arn", caller);
    json_add_text(context, "action", action);
    json_add_text(context, "resource", resource);
    const char *json = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    strbuf_adds(&out, mark);
    encode_base64(&out, json, strlen(json));
    json_object_put(o);
    return strbuf_steal(&out);
}

/* Only EC2 encodes, and not what merely reads. */
char *aws_denial(const struct request *r)
{
    AUTO_FREE char *region = verify_scope(r, SCOPE_REGION);
    AUTO_FREE char *action = xasprintf("%s:%s", r->service, r->action);
    AUTO_FREE char *resource = xasprintf("arn:aws:%s:%s:%s:%s", r->service, region ? region : "", aws_account,
                                         str_eq(r->action, "RunInstances") ? "instance/*" : "*");
    AUTO_FREE char *why = xasprintf("User: " CALLER " is not authorized to perform: %s on resource: %s because no "
                                    "identity-based policy allows the %s action",
                                    aws_account, action, resource, action);
    if (!str_eq(r->service, "ec2"))
        return STEAL(why);
    if (str_starts(r->action, "Describe"))
        return xasprintf("You are not authorized to perform this operation. %s", why);
    AUTO_FREE char *encoded = encode_denial(action, resource);
    return xasprintf("You are not authorized to perform this operation. %s. Encoded authorization failure message: %s",
                     why, encoded);
}
