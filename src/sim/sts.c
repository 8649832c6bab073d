/* STS. */
#include "sts.h"
#include "aws.h"
#include "http.h"
#include "issued.h"
#include "sim.h"
#include "to_json.h"
#include "verify.h"

#include "mayfly/util/encode.h"

enum { LIFE = 3600 };

/* What an encoded message begins with, so that another one is not taken for ours. */
static const char mark[] = "simulated+";

#define CALLER "arn:aws:sts::%s:assumed-role/mayfly/simulator"

static void sts_begin(struct call *c)
{
    strbuf_addf(&c->res->body, "<%sResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><%sResult>", c->action,
                c->action);
}

static void sts_end(struct call *c)
{
    strbuf_addf(&c->res->body, "</%sResult><ResponseMetadata>", c->action);
    aws_request_id(c->res, "RequestId");
    strbuf_addf(&c->res->body, "</ResponseMetadata></%sResponse>", c->action);
}

static void get_caller_identity(struct call *c)
{
    AUTO_FREE char *key = verify_scope(c->request, SCOPE_KEY), *plain = xasprintf(CALLER, sim_account);
    const struct issued *issued = issued_find(c->sim, key);
    sts_begin(c);
    element(&c->res->body, "Arn", issued ? issued->arn : plain);
    element(&c->res->body, "UserId", "AROASIMULATED00000001:simulator");
    element(&c->res->body, "Account", sim_account);
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

/* --- roles -------------------------------------------------------------------------------------------------------- */

/* The name in "arn:aws:iam::123456789012:role/NAME", which the account may have, or NULL. */
static const char *role_name(const char *arn)
{
    const char *slash = arn && str_starts(arn, "arn:aws:iam::") ? strrchr(arn, '/') : NULL;
    return slash && strstr(arn, ":role/") ? slash + 1 : NULL;
}

static bool check_session(struct call *c, const char *session)
{
    size_t n = session ? strspn(session, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+=,.@-") : 0;
    if (n >= 2 && n <= 64 && session[n] == '\0')
        return true;
    return call_refuse(c, 400, "ValidationError", "1 validation error detected: Value at 'roleSessionName' failed");
}

static void answer_role(struct call *c, const char *role, const char *session, int64_t seconds)
{
    const struct issued *i = issued_add(c->sim, role, session, seconds);
    AUTO_FREE char *date = element_date(i->expires);
    struct strbuf *out = &c->res->body;
    sts_begin(c);
    element_open(out, "Credentials");
    element(out, "AccessKeyId", i->access_key);
    element(out, "SecretAccessKey", i->secret_key);
    element(out, "SessionToken", i->session_token);
    element(out, "Expiration", date);
    element_close(out, "Credentials");
    element_open(out, "AssumedRoleUser");
    element(out, "Arn", i->arn);
    element_close(out, "AssumedRoleUser");
    sts_end(c);
}

/* A role named forbidden trusts nobody. */
static void assume_role(struct call *c)
{
    const char *arn = call_param(c, "RoleArn"), *session = call_param(c, "RoleSessionName");
    const char *role = role_name(arn), *duration = call_param(c, "DurationSeconds");
    uint64_t seconds = LIFE;
    if (!role) {
        call_refuse(c, 400, "ValidationError", "%s is invalid", arn ? arn : "null");
    } else if (duration && (!parse_uint(duration, 43200, &seconds) || seconds < 900)) {
        call_refuse(c, 400, "ValidationError", "The requested DurationSeconds exceeds the limits of this role.");
    } else if (!check_session(c, session)) {
        return;
    } else if (str_eq(role, "forbidden")) {
        call_refuse(c, 403, "AccessDenied", "Not authorized to perform sts:%s", c->action);
    } else {
        answer_role(c, role, session, (int64_t)seconds);
    }
}

static void assume_role_with_web_identity(struct call *c)
{
    const char *token = call_param(c, "WebIdentityToken");
    if (!str_eq(token, c->sim->oidc_token))
        call_refuse(c, 400, "InvalidIdentityToken", "%s",
                    token && str_starts(token, "other-audience.") ? "Incorrect token audience"
                                                                  : "No OpenIDConnect provider found in your account");
    else if (sim_now(c->sim) > c->sim->oidc_until)
        call_refuse(c, 400, "ExpiredTokenException", "Token expired: current date/time must be before the expiration");
    else
        assume_role(c);
}

const struct action sts_actions[] = {
    { "AssumeRole", assume_role, "RoleArn RoleSessionName ExternalId DurationSeconds#" },
    { "AssumeRoleWithWebIdentity", assume_role_with_web_identity,
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
    AUTO_FREE char *caller = xasprintf(CALLER, sim_account);
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
    AUTO_FREE char *resource = xasprintf("arn:aws:%s:%s:%s:%s", r->service, region ? region : "", sim_account,
                                         str_eq(r->action, "RunInstances") ? "instance/*" : "*");
    AUTO_FREE char *why = xasprintf("User: " CALLER " is not authorized to perform: %s on resource: %s because no "
                                    "identity-based policy allows the %s action",
                                    sim_account, action, resource, action);
    if (!str_eq(r->service, "ec2"))
        return STEAL(why);
    if (str_starts(r->action, "Describe"))
        return xasprintf("You are not authorized to perform this operation. %s", why);
    AUTO_FREE char *encoded = encode_denial(action, resource);
    return xasprintf("You are not authorized to perform this operation. %s. Encoded authorization failure message: %s",
                     why, encoded);
}
