/* Who gives temporary credentials: STS, an instance's role, a container, the SSO portal; and the issuer of a workflow's
 * OIDC tokens. Only what they gave is accepted by the services, until it expires. */
#include <inttypes.h>

#include "aws.h"
#include "http.h"
#include "issuer.h"
#include "sim.h"
#include "sts.h"

#include "mayfly/util/encode.h"

enum { LIFE = 3600, OIDC_LIFE = 300, ISSUED_MAX = 1000, TOKEN_LEN = 900 };

static const char imds_prefix[] = "/imds/role/latest/", role_path[] = "meta-data/iam/security-credentials/";

const struct issued *issuer_find(const struct sim *s, const char *access_key)
{
    for (size_t i = 0; i < s->n_issued; i++)
        if (str_eq(s->issued[i].access_key, access_key))
            return &s->issued[i];
    return NULL;
}

/* As long as a real one. */
static char *long_token(const char *prefix)
{
    AUTO_STRBUF token = STRBUF_INIT;
    strbuf_adds(&token, prefix);
    while (token.len < TOKEN_LEN) {
        AUTO_FREE char *part = sim_random_id("", 64);
        strbuf_adds(&token, part);
    }
    return strbuf_steal(&token);
}

static const struct issued *issue(struct sim *s, const char *role, const char *session, int64_t seconds)
{
    if (s->n_issued == ISSUED_MAX)
        issuer_clear(s);
    s->issued = xreallocarray(s->issued, s->n_issued + 1, sizeof(*s->issued));
    struct issued *i = &s->issued[s->n_issued++];
    *i = (struct issued){ .access_key = sim_random_id("ASIA", 16),
                          .secret_key = sim_random_id("", 40),
                          .session_token = long_token("IQoJ"),
                          .arn = xasprintf("arn:aws:sts::%s:assumed-role/%s/%s", aws_account, role, session),
                          .expires =
                              sim_now(s) + (s->options.credential_life ? s->options.credential_life : seconds) * 1000 };
    return i;
}

void issuer_clear(struct sim *s)
{
    for (size_t i = 0; i < s->n_issued; i++) {
        free(s->issued[i].access_key);
        free(s->issued[i].secret_key);
        free(s->issued[i].session_token);
        free(s->issued[i].arn);
    }
    free(s->issued);
    s->issued = NULL;
    s->n_issued = 0;
}

/* --- STS ---------------------------------------------------------------------------------------------------------- */

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

static void answer(struct call *c, const char *role, const char *session, int64_t seconds)
{
    const struct issued *i = issue(c->sim, role, session, seconds);
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
static void assume(struct call *c)
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
        answer(c, role, session, (int64_t)seconds);
    }
}

void sts_assume_role(struct call *c)
{
    assume(c);
}

void sts_assume_role_with_web_identity(struct call *c)
{
    const char *token = call_param(c, "WebIdentityToken");
    if (!str_eq(token, c->sim->oidc_token))
        call_refuse(c, 400, "InvalidIdentityToken", "%s",
                    token && str_starts(token, "other-audience.") ? "Incorrect token audience"
                                                                  : "No OpenIDConnect provider found in your account");
    else if (sim_now(c->sim) > c->sim->oidc_until)
        call_refuse(c, 400, "ExpiredTokenException", "Token expired: current date/time must be before the expiration");
    else
        assume(c);
}

/* --- everything that is asked by GET ------------------------------------------------------------------------------ */

static bool bears(const struct request *r, const char *header, const char *prefix, const char *token)
{
    const char *value = pairs_get(&r->headers, header);
    return value && str_starts(value, prefix) && str_eq(value + strlen(prefix), token);
}

static void answer_json(const struct issued *i, const char *token_name, struct response *res)
{
    AUTO_FREE char *date = element_date(i->expires);
    AUTO_FREE char *text = xasprintf("{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"%s\","
                                     "\"SecretAccessKey\":\"%s\",\"%s\":\"%s\",\"Expiration\":\"%s\"}",
                                     i->access_key, i->secret_key, token_name, i->session_token, date);
    respond_text(res, 200, text);
    res->content_type = "application/json";
}

static void container(struct sim *s, const struct request *r, struct response *res)
{
    if (bears(r, "authorization", "", s->source_token))
        answer_json(issue(s, "container", "task", LIFE), "Token", res);
    else
        respond_text(res, 401, "{\"code\":\"Unauthorized\",\"message\":\"the authorization token is not the task's\"}");
}

static void sso(struct sim *s, const struct request *r, struct response *res)
{
    const char *role = pairs_get(&r->query, "role_name"), *account = pairs_get(&r->query, "account_id");
    if (!bears(r, "x-amz-sso_bearer_token", "", s->source_token)) {
        respond_text(res, 401,
                     "{\"__type\":\"UnauthorizedException\",\"message\":\"Session token not found or invalid\"}");
        return;
    }
    if (!str_eq(account, aws_account) || str_empty(role)) {
        respond_text(res, 403, "{\"__type\":\"ForbiddenException\",\"message\":\"No access\"}");
        return;
    }
    const struct issued *i = issue(s, role, "sso", LIFE);
    AUTO_FREE char *text =
        xasprintf("{\"roleCredentials\":{\"accessKeyId\":\"%s\",\"secretAccessKey\":\"%s\",\"sessionToken\":\"%s\","
                  "\"expiration\":%" PRId64 "}}",
                  i->access_key, i->secret_key, i->session_token, i->expires);
    respond_text(res, 200, text);
}

/* CreateToken of the OIDC service, of the one client that has logged in. */
static void sso_token(struct sim *s, const struct request *r, struct response *res)
{
    AUTO_FREE char *refresh = xasprintf("\"refreshToken\": \"refresh-%s\"", s->source_token);
    const char *body = strbuf_str(&r->body), *type = pairs_get(&r->headers, "content-type");
    if (!str_eq(r->method, "POST") || !str_eq(type, "application/json") ||
        !strstr(body, "\"grantType\": \"refresh_token\"") || !strstr(body, "\"clientId\": \"client\"") ||
        !strstr(body, "\"clientSecret\": \"client-secret\"") || !strstr(body, refresh)) {
        respond_text(res, 400,
                     "{\"error\":\"invalid_grant\",\"error_description\":\"Invalid refresh token provided\"}");
        return;
    }
    AUTO_FREE char *text = xasprintf("{\"accessToken\":\"%s\",\"expiresIn\":3600,\"tokenType\":\"Bearer\","
                                     "\"refreshToken\":\"refresh-%s\"}",
                                     s->source_token, s->source_token);
    respond_text(res, 200, text);
}

static void oidc(struct sim *s, const struct request *r, struct response *res)
{
    const char *audience = pairs_get(&r->query, "audience");
    if (!bears(r, "authorization", "Bearer ", s->source_token)) {
        respond_text(res, 401, "{\"message\":\"the token is not the job's\"}");
        return;
    }
    /* The same for all jobs, so that what one got stays good when another asks. */
    if (str_eq(audience, "sts.amazonaws.com") && sim_now(s) >= s->oidc_until) {
        free(s->oidc_token);
        s->oidc_token = long_token("eyJ0eXAiOiJKV1Qi.");
        s->oidc_until = sim_now(s) + OIDC_LIFE * 1000;
    }
    AUTO_FREE char *text = xasprintf("{\"count\":400,\"value\":\"%s\"}",
                                     str_eq(audience, "sts.amazonaws.com") ? s->oidc_token : "other-audience.x");
    respond_text(res, 200, text);
}

/* The instance metadata service of an instance that has a role, as this machine would see it. */
static void instance_role(struct sim *s, const struct request *r, struct response *res)
{
    const char *path = r->path + strlen(imds_prefix);
    bool get = str_eq(r->method, "GET");
    if (str_eq(path, "api/token") && str_eq(r->method, "PUT") &&
        pairs_get(&r->headers, "x-aws-ec2-metadata-token-ttl-seconds"))
        respond_text(res, 200, s->source_token);
    else if (!bears(r, "x-aws-ec2-metadata-token", "", s->source_token))
        respond_text(res, 401, "");
    else if (get && str_eq(path, role_path))
        respond_text(res, 200, "instance-role\n");
    else if (get && str_starts(path, role_path) && str_eq(path + strlen(role_path), "instance-role"))
        answer_json(issue(s, "instance-role", "i-0123456789abcdef0", LIFE), "Token", res);
    else
        respond_text(res, 404, "");
}

void issuer_serve(struct sim *s, const struct request *r, struct response *res)
{
    static const struct {
        const char *path;
        void (*serve)(struct sim *, const struct request *, struct response *);
    } routes[] = {
        { "/credentials/container", container },
        { "/federation/credentials", sso },
        { "/oidc/token", oidc },
        { "/token", sso_token },
        { imds_prefix, instance_role },
    };
    res->content_type = "application/json";
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        if (str_starts(r->path, routes[i].path)) {
            routes[i].serve(s, r, res);
            return;
        }
    }
    respond_text(res, 404, "");
}
