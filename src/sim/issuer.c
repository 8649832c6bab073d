/* Who else gives temporary credentials: an instance's role, a container, the SSO portal; and the issuer of a workflow's
 * OIDC tokens. */
#include <inttypes.h>

#include "aws.h"
#include "http.h"
#include "issued.h"
#include "issuer.h"
#include "sim.h"

enum { LIFE = 3600, OIDC_LIFE = 300 };

static const char imds_prefix[] = "/imds/role/latest/", role_path[] = "meta-data/iam/security-credentials/";

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
        answer_json(issued_add(s, "container", "task", LIFE), "Token", res);
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
    if (!str_eq(account, sim_account) || str_empty(role)) {
        respond_text(res, 403, "{\"__type\":\"ForbiddenException\",\"message\":\"No access\"}");
        return;
    }
    const struct issued *i = issued_add(s, role, "sso", LIFE);
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
        s->oidc_token = issued_token("eyJ0eXAiOiJKV1Qi.");
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
        answer_json(issued_add(s, "instance-role", "i-0123456789abcdef0", LIFE), "Token", res);
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
