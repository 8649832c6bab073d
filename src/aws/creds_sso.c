#include "creds_provider.h"
#include "mayfly/codec/json.h"
#include "mayfly/crypto/crypto.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/home.h"

/* The value of the profile or of its [sso-session]. Where they differ, both are wrong. */
static bool setting(const struct aws_creds_from *from, const char *session, const char *key, char **ret,
                    struct error *err)
{
    const char *own = aws_profile_get(from, key);
    const char *its = session ? aws_section_get(from->config, "sso-session", session, key) : NULL;
    if (own && its && !str_eq(own, its))
        return error_set(err, ERROR_CONFIG, 0, "the profile `%s` and its sso-session `%s` differ in %s", from->profile,
                         session, key);
    if (!own && !its) {
        error_set(err, ERROR_CONFIG, 0, "the profile `%s` uses SSO and lacks %s", from->profile, key);
        error_hint(err, "`aws configure sso` writes a whole one");
        return false;
    }
    str_set(ret, its ? its : own);
    return true;
}

/* Where `aws sso login` leaves the token. */
static char *cache_file(const struct aws_creds_from *from, const char *key)
{
    AUTO_STRBUF path = STRBUF_INIT;
    AUTO_FREE char *home = home_directory(from->getenv);
    strbuf_addf(&path, "%s/.aws/sso/cache/", home ? home : "");
    crypto_sha1_hex(&path, key, strlen(key));
    strbuf_adds(&path, ".json");
    return strbuf_steal(&path);
}

static enum found find(const struct aws_creds_from *from, struct creds_source *s, struct error *err)
{
    if (!aws_profile_get(from, "sso_role_name") && !aws_profile_get(from, "sso_account_id"))
        return ABSENT;
    const char *session = aws_profile_get(from, "sso_session");
    AUTO_FREE char *start_url = NULL;
    if (session && !aws_section_exists(from->config, "sso-session", session)) {
        error_set(err, ERROR_CONFIG, 0, "the profile `%s` names the sso-session `%s`, which does not exist",
                  from->profile, session);
        return BROKEN;
    }
    if (!setting(from, session, "sso_start_url", &start_url, err) ||
        !setting(from, session, "sso_region", &s->sso_region, err) ||
        !setting(from, session, "sso_account_id", &s->sso_account_id, err) ||
        !setting(from, session, "sso_role_name", &s->sso_role_name, err))
        return BROKEN;
    if (!aws_region_check(s->sso_region, "sso_region", err))
        return BROKEN;
    s->token_file = cache_file(from, session ? session : start_url);
    str_set(&s->sso_session, session ? session : start_url);
    free(s->where);
    s->where = xasprintf("the SSO session `%s` by %s", s->sso_session, from->profile);
    return FOUND;
}

struct token {
    const char *access_token, *expires_at;
};
static const struct field token_fields[] = {
    { .path = "accessToken", .type = FIELD_STR, .offset = offsetof(struct token, access_token), .required = true },
    { .path = "expiresAt", .type = FIELD_STR, .offset = offsetof(struct token, expires_at), .required = true },
    { 0 },
};

bool creds_sso_token(const struct strbuf *json, const char *session, int64_t now, struct arena *arena, const char **ret,
                     struct error *err)
{
    static const char what[] = "the cached SSO token";
    struct token token = { 0 };
    int64_t expires = 0;
    if (!json_decode_text(strbuf_str(json), json->len, token_fields, &token, arena, what, err))
        return false;
    if (str_empty(token.access_token) || !creds_is_printable(token.access_token)) {
        error_set(err, ERROR_CONFIG, 0, "%s: accessToken is empty, or holds a blank or a control character", what);
        error_hint(err, "log in again: aws sso login");
        return false;
    }
    if (!clock_parse_lenient(token.expires_at, &expires))
        return error_set(err, ERROR_CONFIG, 0, "%s: expiresAt `%.40s` is no date with its time zone", what,
                         token.expires_at);
    if (expires <= now) {
        error_set(err, ERROR_CONFIG, 0, "the SSO session `%s` ended at %s", session, token.expires_at);
        error_hint(err, "log in again: aws sso login");
        return false;
    }
    *ret = token.access_token;
    return true;
}

static bool read_token(struct aws *aws, const struct creds_source *s, struct arena *arena, const char **ret,
                       struct error *err)
{
    AUTO_STRBUF text = STRBUF_MAX((size_t)1 << 20);
    text.secret = true;
    if (!strbuf_read_file(&text, s->token_file, "the cached SSO token", err)) {
        err->domain = ERROR_CONFIG;
        error_hint(err, "log in: aws sso login");
        return false;
    }
    return creds_sso_token(&text, s->sso_session, aws_now(aws), arena, ret, err);
}

static bool fetch(struct aws *aws, const struct creds_source *s, struct aws_creds *ret, struct error *err)
{
    static const char what[] = "the SSO portal";
    AUTO_ARENA arena = { 0 };
    AUTO_STRBUF url = STRBUF_INIT, header = STRBUF_INIT, body = STRBUF_INIT;
    AUTO_FREE char *endpoint = aws_endpoint(aws->config, "sso", s->sso_region);
    const char *token = NULL;
    int status = 0;
    if (!read_token(aws, s, &arena, &token, err))
        return false;
    strbuf_addf(&url, "%sfederation/credentials?role_name=", endpoint);
    encode_percent(&url, s->sso_role_name);
    strbuf_adds(&url, "&account_id=");
    encode_percent(&url, s->sso_account_id);
    header.secret = true;
    secret_hide(token);
    strbuf_addf(&header, "x-amz-sso_bearer_token: %s", token);
    const struct creds_question q = { .name = what,
                                      .method = "GET",
                                      .url = strbuf_str(&url),
                                      .headers = { strbuf_str(&header) },
                                      .total_ms = 5000,
                                      .attempts = 3 };
    if (!creds_ask(aws, &q, &status, &body, err))
        return false;
    if (status == 200)
        return creds_decode(&body, what, ret, err);
    creds_refused(what, status, &body, err);
    error_hint(err, "log in again (aws sso login), and check sso_account_id and sso_role_name");
    return false;
}

const struct creds_provider creds_sso = {
    .name = "SSO",
    .absent = "the profile has neither sso_account_id nor sso_role_name",
    .find = find,
    .fetch = fetch,
};
