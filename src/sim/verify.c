/* Signature Version 4, checked from the request as it came, by code that shares nothing with the signer. */
#include <ctype.h>

#include "http.h"
#include "issued.h"
#include "sim.h"
#include "verify.h"

#include "mayfly/crypto/crypto.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"

enum { SKEW_MAX = 900 };
static const char algorithm[] = "AWS4-HMAC-SHA256";

/* What AWS answers: EC2, the other Query services and those of JSON have codes and statuses of their own. */
enum refusal { R_MISSING, R_INCOMPLETE, R_KEY, R_TOKEN, R_SIGNATURE, R_EXPIRED, R_ENDED };
static const struct {
    struct refusal_code {
        const char *code;
        int status;
    } ec2, query, json;
    const char *message;
} refusals[] = {
    [R_MISSING] = { { "MissingAuthenticationToken", 403 },
                    { "MissingAuthenticationToken", 403 },
                    { "MissingAuthenticationTokenException", 400 },
                    "Request is missing Authentication Token" },
    [R_INCOMPLETE] = { { "IncompleteSignature", 400 },
                       { "IncompleteSignature", 400 },
                       { "IncompleteSignatureException", 400 },
                       "The request signature does not conform to AWS standards" },
    [R_KEY] = { { "AuthFailure", 401 },
                { "InvalidClientTokenId", 403 },
                { "UnrecognizedClientException", 400 },
                "AWS was not able to validate the provided access credentials" },
    [R_TOKEN] = { { "AuthFailure", 401 },
                  { "InvalidClientTokenId", 403 },
                  { "UnrecognizedClientException", 400 },
                  "AWS was not able to validate the provided access credentials" },
    [R_SIGNATURE] = { { "AuthFailure", 401 },
                      { "SignatureDoesNotMatch", 403 },
                      { "InvalidSignatureException", 400 },
                      "AWS was not able to validate the provided access credentials" },
    [R_EXPIRED] = { { "RequestExpired", 400 },
                    { "SignatureDoesNotMatch", 403 },
                    { "InvalidSignatureException", 400 },
                    "Signature expired: the request has expired" },
    [R_ENDED] = { { "RequestExpired", 400 },
                  { "ExpiredToken", 403 },
                  { "ExpiredTokenException", 400 },
                  "The security token included in the request is expired" },
};

/* The value of NAME=value in the Authorization header, up to a comma or blank; owned, or NULL. */
static char *part(const char *authorization, const char *name)
{
    const char *at = authorization ? strstr(authorization, name) : NULL;
    return at ? xstrndup(at + strlen(name), strcspn(at + strlen(name), ", ")) : NULL;
}

/* Trimmed, and runs of blanks made one. */
static void canonical_value(struct strbuf *out, const char *value)
{
    bool blank = false, begun = false;
    for (; *value; value++) {
        if (*value == ' ' || *value == '\t') {
            blank = true;
            continue;
        }
        if (blank && begun)
            strbuf_addc(out, ' ');
        strbuf_addc(out, *value);
        blank = false;
        begun = true;
    }
}

/* The path as it was sent, encoded once more; AWS's Query services are only ever asked at "/". */
static void canonical_uri(struct strbuf *out, const struct request *r)
{
    const char *path = r->raw_path ? r->raw_path : r->path;
    AUTO_FREE char *bare = xstrndup(path, strcspn(path, "?"));
    for (const char *p = bare; *p;) {
        size_t n = strcspn(p, "/");
        AUTO_FREE char *segment = xstrndup(p, n);
        encode_percent(out, segment);
        p += n;
        if (*p == '/') {
            strbuf_addc(out, '/');
            p++;
        }
    }
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void canonical_query(struct strbuf *out, const struct request *r)
{
    AUTO_STRLIST parts = { 0 };
    for (size_t i = 0; i < r->query.n; i++) {
        AUTO_STRBUF one = STRBUF_INIT;
        encode_percent(&one, r->query.v[2 * i]);
        strbuf_addc(&one, '=');
        encode_percent(&one, r->query.v[2 * i + 1]);
        strlist_add(&parts, strbuf_str(&one));
    }
    if (parts.n)
        qsort(parts.v, parts.n, sizeof(*parts.v), compare_strings);
    for (size_t i = 0; i < parts.n; i++)
        strbuf_addf(out, "%s%s", i ? "&" : "", parts.v[i]);
}

static void canonical_request(struct strbuf *out, const struct request *r, const struct strlist *names,
                              const char *signed_list)
{
    strbuf_addf(out, "%s\n", r->method);
    canonical_uri(out, r);
    strbuf_addc(out, '\n');
    canonical_query(out, r);
    strbuf_addc(out, '\n');
    for (size_t i = 0; i < names->n; i++) {
        const char *value = pairs_get(&r->headers, names->v[i]);
        strbuf_addf(out, "%s:", names->v[i]);
        canonical_value(out, value ? value : "");
        strbuf_addc(out, '\n');
    }
    strbuf_addf(out, "\n%s\n", signed_list);
    crypto_sha256_hex(out, strbuf_str(&r->body), r->body.len);
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
    AUTO_FREE char *rfc =
        xasprintf("%.4s-%.2s-%.2s%.1s%.2s:%.2s:%.2s%s", s, s + 4, s + 6, s + 8, s + 9, s + 11, s + 13, s + 15);
    return clock_parse_rfc3339(rfc, &t) ? t : -1;
}

/* host and every x-amz-* header must be among the signed ones, and those must be sorted and there. AWS lets
 * content-type go unsigned, and so does this. */
static bool signs_enough(const struct strlist *names, const struct request *r)
{
    if (!strlist_has(names, "host"))
        return false;
    for (size_t i = 0; i < r->headers.n; i++)
        if (str_starts(r->headers.v[2 * i], "x-amz-") && !strlist_has(names, r->headers.v[2 * i]))
            return false;
    for (size_t i = 0; i < names->n; i++)
        if (!pairs_get(&r->headers, names->v[i]) || (i > 0 && strcmp(names->v[i - 1], names->v[i]) >= 0))
            return false;
    return true;
}

static bool is_signature(const char *secret, const struct request *r, const struct strlist *scope,
                         const struct strlist *names, const char *list, const char *signature)
{
    AUTO_STRBUF canonical = STRBUF_INIT, to_sign = STRBUF_INIT, hex = STRBUF_INIT;
    uint8_t key[SHA256_LEN], mac[SHA256_LEN];
    canonical_request(&canonical, r, names, list);
    strbuf_addf(&to_sign, "%s\n%s\n%s/%s/%s/aws4_request\n", algorithm, pairs_get(&r->headers, "x-amz-date"),
                scope->v[1], scope->v[2], scope->v[3]);
    crypto_sha256_hex(&to_sign, canonical.data, canonical.len);
    derive(secret, scope, key);
    crypto_hmac_sha256(key, sizeof(key), to_sign.data, to_sign.len, mac);
    encode_hex(&hex, mac, sizeof(mac));
    return strlen(signature) == hex.len && crypto_equal(signature, hex.data, hex.len);
}

char *verify_scope(const struct request *r, enum scope_part which)
{
    AUTO_FREE char *credential = part(pairs_get(&r->headers, "authorization"), "Credential=");
    AUTO_STRLIST scope = { 0 };
    if (credential)
        strlist_split(&scope, credential, "/");
    return scope.n == 5 ? xstrdup(scope.v[which]) : NULL;
}

/* -1: nothing to refuse. */
static int judge(const struct sim *s, const struct request *r, char **ret_region)
{
    const char *authorization = pairs_get(&r->headers, "authorization");
    const char *date = pairs_get(&r->headers, "x-amz-date"), *token = pairs_get(&r->headers, "x-amz-security-token");
    if (!authorization)
        return R_MISSING;
    AUTO_FREE char *credential = part(authorization, "Credential="), *list = part(authorization, "SignedHeaders=");
    AUTO_FREE char *signature = part(authorization, "Signature=");
    AUTO_STRLIST scope = { 0 }, names = { 0 };
    if (credential)
        strlist_split(&scope, credential, "/");
    if (list)
        strlist_split(&names, list, ";");
    int64_t when = amz_time(date);
    if (!str_starts(authorization, algorithm) || !signature || scope.n != 5 || names.n == 0)
        return R_INCOMPLETE;
    *ret_region = xstrdup(scope.v[2]);
    if (s->options.no_auth)
        return -1;
    if (when < 0 || strlen(scope.v[1]) != 8 || strncmp(date, scope.v[1], 8) != 0 ||
        !str_eq(scope.v[4], "aws4_request") || !signs_enough(&names, r))
        return R_INCOMPLETE;
    const struct issued *issued = issued_find(s, scope.v[0]);
    if (!issued && !str_eq(scope.v[0], s->access_key))
        return R_KEY;
    if (!str_eq(token ? token : "", issued ? issued->session_token : s->session_token))
        return R_TOKEN;
    if (!is_signature(issued ? issued->secret_key : s->secret_key, r, &scope, &names, list, signature))
        return R_SIGNATURE;
    if (issued && sim_now(s) >= issued->expires)
        return R_ENDED;
    int64_t skew = when - sim_now(s) / 1000;
    return skew < -SKEW_MAX || skew > SKEW_MAX ? R_EXPIRED : -1;
}

bool verify_signature(const struct sim *s, const struct request *r, char **ret_region, const char **ret_code,
                      const char **ret_message, int *ret_status)
{
    int refusal = judge(s, r, ret_region);
    if (refusal < 0)
        return true;
    const struct refusal_code *said = str_eq(r->service, "ssm")   ? &refusals[refusal].json
                                      : str_eq(r->service, "sts") ? &refusals[refusal].query
                                                                  : &refusals[refusal].ec2;
    *ret_code = said->code;
    *ret_status = said->status;
    *ret_message = refusals[refusal].message;
    return false;
}
