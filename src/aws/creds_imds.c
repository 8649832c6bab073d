#include "creds_provider.h"

#include <curl/curl.h>
#include <strings.h>
#include <unistd.h>

#include "mayfly/net/url.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/log.h"

/* Version 2 of the instance metadata service alone: it never falls back to the first, which asks for no token.
 * Source: Amazon EC2 User Guide, "Use IMDS"; reference/c-style.md E. */

enum {
    TIMEOUT_S = 1,
    TIMEOUT_MAX = 60,
    ATTEMPTS = 2,
    ATTEMPTS_MAX = 100,
    /* Credentials that have ended are what there is while whoever renews them has trouble, and EC2 may take them yet:
     * the SDKs call it static stability. */
    STALE_LIFE = 900, /* s */
};

static const char *setting(const struct aws_creds_from *from, const char *variable, const char *key)
{
    const char *value = from->getenv(variable);
    return str_empty(value) ? aws_profile_get(from, key) : value;
}

/* A number from 1 to max; one that is not given stays as it is. */
static bool number(const struct aws_creds_from *from, const char *variable, const char *key, uint64_t max,
                   uint64_t *ret, struct error *err)
{
    const char *value = setting(from, variable, key);
    if (!value || (parse_uint(value, max, ret) && *ret > 0))
        return true;
    return error_set(err, ERROR_CONFIG, 0, "%s: `%.40s` is not a whole number from 1 to %d",
                     str_empty(from->getenv(variable)) ? key : variable, value, (int)max);
}

/* The mode of the endpoint; else the older setting. */
static bool is_ipv6(const struct aws_creds_from *from, bool *ret, struct error *err)
{
    static const char variable[] = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
    const char *mode = setting(from, variable, "ec2_metadata_service_endpoint_mode");
    const char *older = setting(from, "AWS_IMDS_USE_IPV6", "imds_use_ipv6");
    *ret = mode ? strcasecmp(mode, "ipv6") == 0 : older && strcasecmp(older, "true") == 0;
    if (!mode || *ret || strcasecmp(mode, "ipv4") == 0)
        return true;
    return error_set(err, ERROR_CONFIG, 0, "%s: `%.40s` is neither ipv4 nor ipv6", variable, mode);
}

static enum found find(const struct aws_creds_from *from, struct creds_source *s, struct error *err)
{
    uint64_t timeout = TIMEOUT_S, attempts = ATTEMPTS;
    bool ipv6 = false;
    const char *disabled = from->getenv("AWS_EC2_METADATA_DISABLED");
    const char *endpoint = setting(from, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
    if (disabled && strcasecmp(disabled, "true") == 0)
        return ABSENT;
    if (!is_ipv6(from, &ipv6, err) ||
        !number(from, "AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout", TIMEOUT_MAX, &timeout, err) ||
        !number(from, "AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts", ATTEMPTS_MAX, &attempts,
                err))
        return BROKEN;
    s->imds_ms = (long)timeout * 1000;
    s->imds_attempts = (unsigned)attempts;
    if (!endpoint)
        endpoint = ipv6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
    AUTO_URL u = { 0 };
    if (!url_parse(endpoint, "AWS_EC2_METADATA_SERVICE_ENDPOINT", &u, err))
        return BROKEN;
    AUTO_FREE char *host = url_host_header(&u);
    free(s->url);
    s->url = xasprintf("%s://%s%s%slatest/", u.scheme, host, u.path, str_ends(u.path, "/") ? "" : "/");
    str_set(&s->where, "the instance's role");
    return FOUND;
}

static bool ask(struct aws *aws, const struct creds_source *s, const char *method, const char *path, const char *header,
                int *ret_status, struct strbuf *ret, struct error *err)
{
    AUTO_FREE char *url = xasprintf("%s%s", s->url, path);
    const struct creds_question q = { .name = "the instance metadata service",
                                      .method = method,
                                      .url = url,
                                      .headers = { header },
                                      .total_ms = s->imds_ms,
                                      .attempts = s->imds_attempts,
                                      .no_proxy = true };
    return creds_ask(aws, &q, ret_status, ret, err);
}

/* Where packets of a metadata service go one hop further than to the instance itself. */
static bool is_in_container(const struct aws *aws)
{
    static const char *const marks[] = { "/.dockerenv", "/run/.containerenv" };
    bool found = !str_empty(aws->config->getenv("KUBERNETES_SERVICE_HOST"));
    for (size_t i = 0; i < ARRAY_SIZE(marks) && !found; i++)
        found = access(marks[i], F_OK) == 0;
    return found;
}

/* Nothing there that speaks version 2: this is no EC2 instance, and there are no credentials at all. */
static bool nothing_found(const struct aws *aws, const struct creds_source *s, const char *problem, struct error *err)
{
    const bool too_far = err->domain == ERROR_NET && err->status == CURLE_OPERATION_TIMEDOUT && is_in_container(aws);
    AUTO_STRBUF tried = STRBUF_INIT;
    for (size_t i = 0; i < s->passed_over.n; i++)
        strbuf_addf(&tried, "%.*s, ", (int)strcspn(s->passed_over.v[i], ":"), s->passed_over.v[i]);
    error_clear(err);
    error_set(err, ERROR_CONFIG, 0, "no AWS credentials: tried %sinstance metadata (%s)", strbuf_str(&tried), problem);
    if (too_far)
        error_hint(
            err,
            "in a container on EC2, let the instance answer over two hops: aws ec2 modify-instance-metadata-options "
            "--instance-id ID --http-put-response-hop-limit 2; elsewhere give --role-arn (a workflow), keys or a "
            "profile: `mayfly doctor --credentials` shows where they were looked for");
    error_hint(err,
               "in a workflow give --role-arn with `permissions: id-token: write`, or use "
               "aws-actions/configure-aws-credentials before; elsewhere set AWS_ACCESS_KEY_ID and "
               "AWS_SECRET_ACCESS_KEY, or --profile; `mayfly doctor --credentials` shows where they were looked for");
    return false;
}

static bool get_session(struct aws *aws, const struct creds_source *s, struct strbuf *ret_header, struct error *err)
{
    AUTO_STRBUF token = STRBUF_INIT;
    int status = 0;
    if (!ask(aws, s, "PUT", "api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600", &status, &token, err)) {
        /* It was there before, or a signal came: then this says nothing of what there is. */
        if (err->domain == ERROR_CANCELLED || aws->creds_fetched > 0)
            return false;
        AUTO_FREE char *problem = xstrdup(err->message);
        return nothing_found(aws, s, problem, err);
    }
    if (status != 200) {
        AUTO_FREE char *problem = xasprintf("HTTP %d", status);
        return nothing_found(aws, s, problem, err);
    }
    AUTO_SECRET session = { 0 };
    if (!token_parse(strbuf_str(&token), token.len, TOKEN_WORD, "its session token", &session, err)) {
        AUTO_FREE char *problem = xstrdup(err->message);
        return nothing_found(aws, s, problem, err);
    }
    ret_header->secret = true;
    secrets_add(&aws->shown, session.value);
    strbuf_addf(ret_header, "X-aws-ec2-metadata-token: %s", session.value);
    return true;
}

static bool fetch(struct aws *aws, const struct creds_source *s, struct aws_creds *ret, struct error *err)
{
    static const char what[] = "the instance's role", path[] = "meta-data/iam/security-credentials/";
    AUTO_STRBUF header = STRBUF_INIT, role = STRBUF_INIT, body = STRBUF_INIT;
    int status = 0;
    if (!get_session(aws, s, &header, err) || !ask(aws, s, "GET", path, strbuf_str(&header), &status, &role, err))
        return false;
    size_t n = strcspn(strbuf_str(&role), "\r\n");
    strbuf_truncate(&role, n);
    if (status != 200 || n == 0 || strpbrk(strbuf_str(&role), " /?#%")) {
        error_set(err, ERROR_CONFIG, 0, "this instance has no role (HTTP %d)", status);
        error_hint(err, "attach an instance profile, or set AWS_EC2_METADATA_DISABLED=true and give credentials");
        return false;
    }
    AUTO_FREE char *its = xasprintf("%s%s", path, strbuf_str(&role));
    if (!ask(aws, s, "GET", its, strbuf_str(&header), &status, &body, err))
        return false;
    if (status != 200)
        return creds_refused(what, status, &body, err);
    if (!creds_decode(&body, what, ret, err))
        return false;
    const int64_t now = aws_now(aws);
    if (ret->expires && ret->expires <= now) {
        log_debug("%s: its credentials expired at %s: using them anyway", what, clock_rfc3339(ret->expires).s);
        ret->expires = now + STALE_LIFE;
    }
    return true;
}

const struct creds_provider creds_imds = {
    .name = "instance metadata",
    .absent = "AWS_EC2_METADATA_DISABLED is true",
    .named = "Ec2InstanceMetadata",
    .find = find,
    .fetch = fetch,
};
