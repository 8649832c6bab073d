/* Signature Version 4, checked from the request as it came, by code that shares nothing with the signer. */
#include "sim.h"

#include "mayfly/crypto/crypto.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"

enum { SKEW_MAX = 900 };

/* The value of NAME=value in the Authorization header, up to a comma or blank; owned, or NULL. */
static char *part(const char *authorization, const char *name)
{
    const char *at = strstr(authorization, name);
    return at ? xstrndup(at + strlen(name), strcspn(at + strlen(name), ", ")) : NULL;
}

static void canonical_request(struct strbuf *out, const struct request *r, const struct strlist *signed_names,
                              const char *signed_list)
{
    AUTO_STRBUF hash = STRBUF_INIT;
    strbuf_addf(out, "%s\n%s\n\n", r->method, r->path);
    for (size_t i = 0; i < signed_names->n; i++) {
        const char *value = pairs_get(&r->headers, signed_names->v[i]);
        strbuf_addf(out, "%s:%s\n", signed_names->v[i], value ? value : "");
    }
    crypto_sha256_hex(&hash, strbuf_str(&r->body), r->body.len);
    strbuf_addf(out, "\n%s\n%s", signed_list, strbuf_str(&hash));
}

static void derive(const char *secret, const struct strlist *scope, uint8_t key[static SHA256_LEN])
{
    AUTO_FREE char *seed = xasprintf("AWS4%s", secret);
    crypto_hmac_sha256(seed, strlen(seed), scope->v[1], strlen(scope->v[1]), key);
    for (size_t i = 2; i < 5; i++)
        crypto_hmac_sha256(key, SHA256_LEN, scope->v[i], strlen(scope->v[i]), key);
}

/* "20260102T030405Z" to seconds; -1 when malformed. */
static int64_t amz_time(const char *s)
{
    int64_t t;
    if (!s || strlen(s) != 16)
        return -1;
    AUTO_FREE char *rfc = xasprintf("%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", s, s + 4, s + 6, s + 9, s + 11, s + 13);
    return clock_parse_rfc3339(rfc, &t) ? t : -1;
}

static bool must_be_signed(const struct strlist *names, const struct request *r)
{
    static const char *const required[] = { "host", "x-amz-date", "content-type", "x-amz-security-token" };
    for (size_t i = 0; i < ARRAY_SIZE(required); i++)
        if (pairs_get(&r->headers, required[i]) && !strlist_has(names, required[i]))
            return false;
    for (size_t i = 1; i < names->n; i++)
        if (strcmp(names->v[i - 1], names->v[i]) >= 0)
            return false;
    return true;
}

bool verify_signature(const struct sim *s, const struct request *r, char **ret_service, char **ret_region,
                      const char **ret_code, int *ret_status)
{
    const char *authorization = pairs_get(&r->headers, "authorization");
    const char *date = pairs_get(&r->headers, "x-amz-date"), *token = pairs_get(&r->headers, "x-amz-security-token");
    *ret_code = "MissingAuthenticationToken";
    *ret_status = 403;
    if (!authorization || !str_starts(authorization, "AWS4-HMAC-SHA256 "))
        return false;
    AUTO_FREE char *credential = part(authorization, "Credential="), *list = part(authorization, "SignedHeaders=");
    AUTO_FREE char *signature = part(authorization, "Signature=");
    AUTO_STRLIST scope = { 0 }, names = { 0 };
    if (credential)
        strlist_split(&scope, credential, "/");
    if (list)
        strlist_split(&names, list, ";");
    *ret_code = "IncompleteSignature";
    *ret_status = 400;
    int64_t when = amz_time(date);
    if (!signature || scope.n != 5 || names.n == 0 || when < 0 || strncmp(date, scope.v[1], 8) != 0 ||
        !str_eq(scope.v[4], "aws4_request") || !must_be_signed(&names, r))
        return false;
    *ret_service = xstrdup(scope.v[3]);
    *ret_region = xstrdup(scope.v[2]);
    if (s->options.no_auth)
        return true;
    bool ec2 = str_eq(scope.v[3], "ec2");
    int64_t skew = when - sim_now(s) / 1000;
    *ret_status = ec2 ? 401 : 403;
    *ret_code = ec2 ? "AuthFailure" : "InvalidClientTokenId";
    if (!str_eq(scope.v[0], s->access_key) || !str_eq(token ? token : "", s->session_token))
        return false;
    AUTO_STRBUF canonical = STRBUF_INIT, to_sign = STRBUF_INIT, hex = STRBUF_INIT;
    uint8_t key[SHA256_LEN], mac[SHA256_LEN];
    canonical_request(&canonical, r, &names, list);
    strbuf_addf(&to_sign, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n", date, scope.v[1], scope.v[2], scope.v[3]);
    crypto_sha256_hex(&to_sign, canonical.data, canonical.len);
    derive(s->secret_key, &scope, key);
    crypto_hmac_sha256(key, sizeof(key), to_sign.data, to_sign.len, mac);
    encode_hex(&hex, mac, sizeof(mac));
    *ret_code = ec2 ? "AuthFailure" : "SignatureDoesNotMatch";
    if (strlen(signature) != hex.len || !crypto_equal(signature, hex.data, hex.len))
        return false;
    *ret_code = ec2 ? "RequestExpired" : "SignatureDoesNotMatch";
    *ret_status = ec2 ? 400 : 403;
    return skew >= -SKEW_MAX && skew <= SKEW_MAX;
}
