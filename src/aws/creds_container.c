#include "creds_provider.h"
#include "mayfly/net/url.h"

/* Plain http is for these alone. Source: AWS SDKs and Tools Reference Guide, "Container credential provider". */
static const char plain_hosts[] = "169.254.170.2 169.254.170.23 [fd00:ec2::23]";

static bool is_allowed(const char *url, struct error *err)
{
    AUTO_URL u = { 0 };
    if (!url_parse_with_query(url, "AWS_CONTAINER_CREDENTIALS_FULL_URI", &u, err))
        return false;
    if (url_is_safe(&u) || str_is_one_of(u.host, plain_hosts))
        return true;
    error_set(err, ERROR_CONFIG, 0, "AWS_CONTAINER_CREDENTIALS_FULL_URI: `%.200s` is not a trusted address", url);
    error_hint(err, "it must be https, a loopback address, 169.254.170.2, 169.254.170.23 or [fd00:ec2::23]");
    return false;
}

static enum found find(const struct aws_creds_from *from, struct creds_source *s, struct error *err)
{
    const char *relative = from->getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = from->getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (str_empty(relative) && str_empty(full))
        return ABSENT;
    free(s->url);
    s->url = str_empty(relative) ? xstrdup(full)
                                 : xasprintf("http://169.254.170.2%s%s", relative[0] == '/' ? "" : "/", relative);
    if (!is_allowed(s->url, err))
        return BROKEN;
    str_set(&s->token_file, from->getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"));
    str_set(&s->where, "the container's credentials");
    return FOUND;
}

/* The file is rewritten by whoever runs the container, so it is read each time. */
static bool authorize(struct aws *aws, const struct creds_source *s, struct strbuf *header, struct error *err)
{
    static const char variable[] = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
    AUTO_SECRET token = { 0 };
    const char *value = aws->config->getenv(variable);
    bool ok = !str_empty(s->token_file)
                  ? token_read(s->token_file, TOKEN_LINE, "the container's authorization token file", &token, err)
                  : str_blank(value) || token_parse(value, strlen(value), TOKEN_LINE, variable, &token, err);
    header->secret = true;
    if (!secret_is_set(&token))
        return ok;
    secrets_add(&aws->shown, token.value);
    strbuf_addf(header, "Authorization: %s", token.value);
    return true;
}

static bool fetch(struct aws *aws, const struct creds_source *s, struct aws_creds *ret, struct error *err)
{
    static const char what[] = "the container's credentials";
    AUTO_STRBUF header = STRBUF_INIT, body = STRBUF_INIT;
    int status = 0;
    if (!authorize(aws, s, &header, err))
        return false;
    const struct creds_question q = { .name = what,
                                      .method = "GET",
                                      .url = s->url,
                                      .headers = { header.len ? strbuf_str(&header) : NULL },
                                      .total_ms = 2000,
                                      .attempts = 3,
                                      .no_proxy = true };
    if (!creds_ask(aws, &q, &status, &body, err))
        return false;
    return status == 200 ? creds_decode(&body, what, ret, err) : creds_refused(what, status, &body, err);
}

const struct creds_provider creds_container = {
    .name = "container",
    .absent = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and …_FULL_URI are not set",
    .named = "EcsContainer",
    .find = find,
    .fetch = fetch,
};
