#include "mayfly/aws/sigv4.h"

#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"

static const char algorithm[] = "AWS4-HMAC-SHA256";

/* The headers that are signed, in the order of their lower-case names. */
struct signed_header {
    const char *name;
    const char *wire_name;
    const char *value; /* NULL: not sent */
};
enum { SIGNED_HEADERS = 5 };

static void list_headers(struct signed_header h[static SIGNED_HEADERS], const struct sigv4_key *key,
                         const struct sigv4_request *r, const struct amz_date *date)
{
    const struct signed_header all[SIGNED_HEADERS] = {
        { "content-type", "Content-Type", r->content_type },
        { "host", "Host", r->host },
        { "x-amz-date", "X-Amz-Date", date->s },
        { "x-amz-security-token", "X-Amz-Security-Token", key->session_token },
        { "x-amz-target", "X-Amz-Target", r->target },
    };
    memcpy(h, all, sizeof(all));
}

static void add_trimmed(struct strbuf *out, const char *value)
{
    bool blank = false, any = false;
    for (; *value; value++) {
        if (*value == ' ' || *value == '\t') {
            blank = any;
            continue;
        }
        if (blank)
            strbuf_addc(out, ' ');
        strbuf_addc(out, *value);
        blank = false;
        any = true;
    }
}

static void add_signed_names(struct strbuf *out, const struct signed_header *h)
{
    bool first = true;
    for (size_t i = 0; i < SIGNED_HEADERS; i++) {
        if (!h[i].value)
            continue;
        strbuf_addf(out, "%s%s", first ? "" : ";", h[i].name);
        first = false;
    }
}

void sigv4_canonical(struct strbuf *out, const struct sigv4_key *key, const struct sigv4_request *r,
                     const struct sigv4_scope *scope)
{
    struct amz_date date = clock_amz_date(scope->time);
    struct signed_header h[SIGNED_HEADERS];
    list_headers(h, key, r, &date);
    strbuf_addf(out, "%s\n%s\n%s\n", r->method, r->path, r->query);
    for (size_t i = 0; i < SIGNED_HEADERS; i++) {
        if (!h[i].value)
            continue;
        strbuf_addf(out, "%s:", h[i].name);
        add_trimmed(out, h[i].value);
        strbuf_addc(out, '\n');
    }
    strbuf_addc(out, '\n');
    add_signed_names(out, h);
    strbuf_addc(out, '\n');
    crypto_sha256_hex(out, r->body, r->body_len);
}

void sigv4_signing_key(const char *secret_access_key, const struct sigv4_scope *scope, uint8_t ret[static SHA256_LEN])
{
    struct amz_date date = clock_amz_date(scope->time);
    AUTO_STRBUF first = STRBUF_INIT;
    first.secret = true;
    strbuf_adds(&first, "AWS4");
    strbuf_adds(&first, secret_access_key);
    crypto_hmac_sha256(first.data, first.len, date.s, 8, ret);
    crypto_hmac_sha256(ret, SHA256_LEN, scope->region, strlen(scope->region), ret);
    crypto_hmac_sha256(ret, SHA256_LEN, scope->service, strlen(scope->service), ret);
    crypto_hmac_sha256(ret, SHA256_LEN, "aws4_request", strlen("aws4_request"), ret);
}

void sigv4_sign(struct strlist *headers, const struct sigv4_key *key, const struct sigv4_request *r,
                const struct sigv4_scope *scope)
{
    struct amz_date date = clock_amz_date(scope->time);
    struct signed_header h[SIGNED_HEADERS];
    list_headers(h, key, r, &date);

    AUTO_STRBUF canonical = STRBUF_INIT, to_sign = STRBUF_INIT, authorization = STRBUF_INIT;
    AUTO_FREE char *credential = xasprintf("%.8s/%s/%s/aws4_request", date.s, scope->region, scope->service);
    canonical.secret = true; /* it holds the session token */
    sigv4_canonical(&canonical, key, r, scope);
    strbuf_addf(&to_sign, "%s\n%s\n%s\n", algorithm, date.s, credential);
    crypto_sha256_hex(&to_sign, canonical.data, canonical.len);

    uint8_t signing_key[SHA256_LEN], signature[SHA256_LEN];
    sigv4_signing_key(key->secret_access_key, scope, signing_key);
    crypto_hmac_sha256(signing_key, sizeof(signing_key), to_sign.data, to_sign.len, signature);
    crypto_wipe(signing_key, sizeof(signing_key));

    for (size_t i = 0; i < SIGNED_HEADERS; i++) {
        if (!h[i].value)
            continue;
        AUTO_STRBUF line = STRBUF_INIT;
        line.secret = true; /* the session token's */
        strbuf_addf(&line, "%s: %s", h[i].wire_name, h[i].value);
        strlist_add(headers, strbuf_str(&line));
    }
    strbuf_addf(&authorization, "Authorization: %s Credential=%s/%s, SignedHeaders=", algorithm, key->access_key_id,
                credential);
    add_signed_names(&authorization, h);
    strbuf_adds(&authorization, ", Signature=");
    encode_hex(&authorization, signature, sizeof(signature));
    strlist_add(headers, strbuf_str(&authorization));
}
