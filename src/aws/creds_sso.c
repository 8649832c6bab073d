#include "creds_provider.h"

#include <stdlib.h>

#include "mayfly/codec/json.h"
#include "mayfly/crypto/crypto.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/file.h"
#include "mayfly/util/home.h"
#include "mayfly/util/log.h"
#include "mayfly/util/text.h"

enum { RENEW_BEFORE = 900 }; /* s, as botocore */

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
        error_hint(err, "`aws configure sso` writes a complete one");
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
    s->sso_start_url = STEAL(start_url);
    s->sso_renews = session; /* the older form has no refresh token */
    free(s->where);
    s->where = xasprintf("the SSO session `%s` by %s", s->sso_session, from->profile);
    return FOUND;
}

struct token {
    const char *access_token, *expires_at, *refresh_token, *client_id, *client_secret, *registration_expires_at;
};
#define MEMBER(json, member)                                                                                           \
    {                                                                                                                  \
        .path = (json), .type = FIELD_STR, .offset = offsetof(struct token, member)                                    \
    }
static const struct field token_fields[] = {
    { .path = "accessToken", .type = FIELD_STR, .offset = offsetof(struct token, access_token), .required = true },
    { .path = "expiresAt", .type = FIELD_STR, .offset = offsetof(struct token, expires_at), .required = true },
    MEMBER("refreshToken", refresh_token),
    MEMBER("clientId", client_id),
    MEMBER("clientSecret", client_secret),
    MEMBER("registrationExpiresAt", registration_expires_at),
    { 0 },
};
#undef MEMBER

static const char what_cache[] = "the cached SSO token";

static bool decode_token(const struct strbuf *json, struct arena *arena, struct token *ret, int64_t *ret_expires,
                         struct error *err)
{
    if (!json_decode_text(strbuf_str(json), json->len, token_fields, ret, arena, what_cache, err))
        return false;
    if (!token_is_word(ret->access_token)) {
        error_set(err, ERROR_CONFIG, 0, "%s: accessToken is empty, or holds a blank or a control character",
                  what_cache);
        error_hint(err, "log in again: aws sso login");
        return false;
    }
    if (!clock_parse_lenient(ret->expires_at, ret_expires))
        return error_set(err, ERROR_CONFIG, 0, "%s: expiresAt `%.40s` is no date with its time zone", what_cache,
                         ret->expires_at);
    return true;
}

static bool check_end(const struct token *token, int64_t expires, const char *session, int64_t now, struct error *err)
{
    if (expires > now)
        return true;
    error_set(err, ERROR_CONFIG, 0, "the SSO session `%s` expired at %s", session, token->expires_at);
    error_hint(err, "log in again: aws sso login");
    return false;
}

bool creds_sso_token(const struct strbuf *json, const char *session, int64_t now, struct arena *arena, const char **ret,
                     struct error *err)
{
    struct token token = { 0 };
    int64_t expires = 0;
    if (!decode_token(json, arena, &token, &expires, err) || !check_end(&token, expires, session, now, err))
        return false;
    *ret = token.access_token;
    return true;
}

/* --- renewing: CreateToken of the OIDC service, as botocore's SSOTokenProvider does it ------------------------------
 */

/* Is there all that it takes, and does the registration of the client that logged in still hold? */
static bool may_renew(const struct token *t, int64_t now)
{
    const char *const needed[] = { t->refresh_token, t->client_id, t->client_secret };
    int64_t until;
    for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
        if (!token_is_word(needed[i]))
            return false;
    return t->registration_expires_at && clock_parse_lenient(t->registration_expires_at, &until) && until > now;
}

static void add_member(struct strbuf *out, const char *name, const char *value)
{
    strbuf_addf(out, "%s\"%s\": ", out->len > 1 ? ", " : "", name);
    text_add_json(out, value);
}

struct renewed {
    const char *access_token, *refresh_token;
    int64_t seconds;
};
static const struct field renewed_fields[] = {
    { .path = "accessToken", .type = FIELD_STR, .offset = offsetof(struct renewed, access_token), .required = true },
    { .path = "expiresIn", .type = FIELD_INT, .offset = offsetof(struct renewed, seconds), .required = true },
    { .path = "refreshToken", .type = FIELD_STR, .offset = offsetof(struct renewed, refresh_token) },
    { 0 },
};

static void save(const struct creds_source *s, const struct token *t)
{
    AUTO_ERROR problem = { 0 };
    AUTO_STRBUF text = STRBUF_INIT;
    text.secret = true;
    strbuf_addc(&text, '{');
    add_member(&text, "startUrl", s->sso_start_url);
    add_member(&text, "region", s->sso_region);
    add_member(&text, "accessToken", t->access_token);
    add_member(&text, "expiresAt", t->expires_at);
    add_member(&text, "clientId", t->client_id);
    add_member(&text, "clientSecret", t->client_secret);
    add_member(&text, "registrationExpiresAt", t->registration_expires_at);
    if (t->refresh_token)
        add_member(&text, "refreshToken", t->refresh_token);
    strbuf_addc(&text, '}');
    /* The cache is the AWS CLI's, too. */
    if (!file_swap(s->token_file, "the cached SSO token", 0600, text.data, text.len, &problem))
        log_warn("the renewed SSO token could not be saved, so `aws sso login` is due sooner: %s", problem.message);
}

static bool renew(struct aws *aws, const struct creds_source *s, struct token *t, struct arena *arena,
                  struct error *err)
{
    static const char what[] = "renewing the SSO session";
    AUTO_STRBUF body = STRBUF_INIT, answer = STRBUF_INIT;
    AUTO_FREE char *endpoint = aws_endpoint(aws->config, "sso_oidc", s->sso_region);
    AUTO_FREE char *url = xasprintf("%stoken", endpoint);
    struct renewed r = { 0 };
    int status = 0;
    body.secret = true;
    secrets_add(&aws->shown, t->client_secret);
    secrets_add(&aws->shown, t->refresh_token);
    strbuf_addc(&body, '{');
    add_member(&body, "grantType", "refresh_token");
    add_member(&body, "clientId", t->client_id);
    add_member(&body, "clientSecret", t->client_secret);
    add_member(&body, "refreshToken", t->refresh_token);
    strbuf_addc(&body, '}');
    const struct creds_question q = { .name = what,
                                      .method = "POST",
                                      .url = url,
                                      .headers = { "Content-Type: application/json" },
                                      .body = &body,
                                      .total_ms = 5000,
                                      .attempts = 3 };
    if (!creds_ask(aws, &q, &status, &answer, err))
        return false;
    if (status != 200) {
        creds_refused(what, status, &answer, err);
        error_hint(err, "log in again: aws sso login");
        return false;
    }
    if (!json_decode_text(strbuf_str(&answer), answer.len, renewed_fields, &r, arena, what, err))
        return false;
    if (!token_is_word(r.access_token) || r.seconds <= 0 || r.seconds > 366 * 86400)
        return error_set(err, ERROR_PARSE, 0, "%s: the answer has no usable accessToken", what);
    secrets_add(&aws->shown, r.access_token);
    t->access_token = r.access_token;
    t->expires_at = arena_strdup(arena, clock_rfc3339(aws_now(aws) + r.seconds).s);
    t->refresh_token = r.refresh_token; /* without one it cannot be renewed again */
    if (r.refresh_token)
        secrets_add(&aws->shown, r.refresh_token);
    save(s, t);
    return true;
}

static bool read_token(struct aws *aws, const struct creds_source *s, struct arena *arena, const char **ret,
                       struct error *err)
{
    AUTO_STRBUF text = STRBUF_MAX((size_t)1 << 20);
    AUTO_ERROR problem = { 0 };
    struct token token = { 0 };
    int64_t expires = 0;
    const int64_t now = aws_now(aws);
    text.secret = true;
    if (!strbuf_read_file(&text, s->token_file, what_cache, err)) {
        err->domain = ERROR_CONFIG;
        error_hint(err, "log in: aws sso login");
        return false;
    }
    if (!decode_token(&text, arena, &token, &expires, err))
        return false;
    secrets_add(&aws->shown, token.access_token);
    *ret = token.access_token;
    if (expires - now >= RENEW_BEFORE || !s->sso_renews || !may_renew(&token, now))
        return check_end(&token, expires, s->sso_session, now, err);
    if (renew(aws, s, &token, arena, &problem)) {
        *ret = token.access_token;
        return true;
    }
    if (expires <= now || problem.domain == ERROR_CANCELLED)
        return error_move(err, &problem);
    log_debug("the SSO token is valid until %s and was not renewed: %s", token.expires_at, problem.message);
    return true;
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
