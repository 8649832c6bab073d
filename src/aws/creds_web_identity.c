#include "creds_provider.h"
#include "mayfly/codec/json.h"
#include "mayfly/net/url.h"
#include "mayfly/util/encode.h"

/* --- a token in a file: IRSA and whatever else writes one ----------------------------------------------------------
 */

static const char *setting(const struct aws_creds_from *from, const char *variable, const char *key)
{
    const char *value = from->profile_given ? NULL : from->getenv(variable);
    return str_empty(value) ? aws_profile_get(from, key) : value;
}

static enum found find_file(const struct aws_creds_from *from, struct creds_source *s, struct error *err)
{
    const char *file = setting(from, "AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file");
    const char *arn = setting(from, "AWS_ROLE_ARN", "role_arn");
    if (!file)
        return ABSENT;
    if (!arn) {
        error_set(err, ERROR_CONFIG, 0, "there is a web identity token file but no role to assume with it");
        error_hint(err, "set AWS_ROLE_ARN, or role_arn in the profile `%s`", from->profile);
        return BROKEN;
    }
    if (!creds_role_read(from, &s->role, err))
        return BROKEN;
    str_set(&s->role.arn, arn);
    str_set(&s->role.session_name, setting(from, "AWS_ROLE_SESSION_NAME", "role_session_name"));
    str_set(&s->token_file, file);
    free(s->where);
    s->where = xasprintf("the web identity token file `%s`", file);
    return FOUND;
}

static bool fetch_file(struct aws *aws, const struct creds_source *s, struct aws_creds *ret, struct error *err)
{
    AUTO_SECRET token = { 0 };
    if (!token_read(s->token_file, TOKEN_WORD, "the web identity token file", &token, err))
        return false;
    secrets_add(&aws->shown, token.value);
    return creds_assume_with_token(aws, &s->role, token.value, ret, err);
}

const struct creds_provider creds_web_identity = {
    .name = "web identity",
    .absent = "neither AWS_WEB_IDENTITY_TOKEN_FILE nor web_identity_token_file is set",
    .find = find_file,
    .fetch = fetch_file,
};

/* --- the OIDC token of a workflow step -----------------------------------------------------------------------------
 */

static enum found find_oidc(const struct aws_creds_from *from, struct creds_source *s, struct error *err)
{
    const char *url = from->getenv("ACTIONS_ID_TOKEN_REQUEST_URL");
    if (str_empty(from->role_arn) || str_empty(url) || from->profile_given)
        return ABSENT;
    if (str_empty(from->getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))) {
        error_set(err, ERROR_CONFIG, 0,
                  "ACTIONS_ID_TOKEN_REQUEST_URL is set and ACTIONS_ID_TOKEN_REQUEST_TOKEN is not");
        error_hint(err, "pass both to the step, or neither");
        return BROKEN;
    }
    AUTO_URL u = { 0 };
    if (!url_parse_with_query(url, "ACTIONS_ID_TOKEN_REQUEST_URL", &u, err))
        return BROKEN;
    if (!url_is_safe(&u)) {
        error_set(err, ERROR_CONFIG, 0, "ACTIONS_ID_TOKEN_REQUEST_URL is neither https nor a loopback address");
        return BROKEN;
    }
    str_set(&s->role.arn, from->role_arn);
    str_set(&s->url, url);
    str_set(&s->where, "the workflow's OIDC token");
    return FOUND;
}

struct oidc {
    const char *value;
};
static const struct field oidc_fields[] = {
    { .path = "value", .type = FIELD_STR, .offset = offsetof(struct oidc, value), .required = true },
    { 0 },
};

static bool fetch_oidc(struct aws *aws, const struct creds_source *s, struct aws_creds *ret, struct error *err)
{
    static const char what[] = "GitHub's OIDC token";
    AUTO_STRBUF header = STRBUF_INIT, body = STRBUF_INIT;
    AUTO_ARENA arena = { 0 };
    struct oidc oidc = { 0 };
    int status = 0;
    AUTO_FREE char *audience = aws_oidc_audience(aws->config->region);
    AUTO_FREE char *url = xasprintf("%s%caudience=%s", s->url, strchr(s->url, '?') ? '&' : '?', audience);
    static const char variable[] = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";
    const char *given = aws->config->getenv(variable);
    AUTO_SECRET token = { 0 }, identity = { 0 };
    if (!token_parse(given, strlen(given), TOKEN_WORD, variable, &token, err))
        return false;
    header.secret = true;
    secrets_add(&aws->shown, token.value);
    strbuf_addf(&header, "Authorization: Bearer %s", token.value);
    const struct creds_question q = {
        .name = what, .method = "GET", .url = url, .headers = { strbuf_str(&header) }, .total_ms = 5000, .attempts = 4
    };
    if (!creds_ask(aws, &q, &status, &body, err))
        return false;
    if (status != 200) {
        creds_refused(what, status, &body, err);
        error_hint(err, "the job needs `permissions: id-token: write`");
        return false;
    }
    if (!json_decode_text(strbuf_str(&body), body.len, oidc_fields, &oidc, &arena, what, err))
        return false;
    if (!token_parse(oidc.value, strlen(oidc.value), TOKEN_WORD, what, &identity, err))
        return false;
    secrets_add(&aws->shown, identity.value);
    return creds_assume_with_token(aws, &s->role, identity.value, ret, err);
}

const struct creds_provider creds_oidc = {
    .name = "OIDC of a workflow",
    .absent = "no --role-arn, or the job has no `permissions: id-token: write`, or --profile was given",
    .find = find_oidc,
    .fetch = fetch_oidc,
};
