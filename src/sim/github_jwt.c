/* The App's JSON web tokens, judged as GitHub does. */
#include <openssl/evp.h>

#include "github_app.h"
#include "github_jwt.h"
#include "sim.h"

#include "mayfly/codec/json.h"
#include "mayfly/util/encode.h"

enum { JWT_MAX_S = 600 };

const char app_client_id[] = "Iv23liMayflySim0000";

static bool decode_part(const char *part, size_t len, struct strbuf *out)
{
    AUTO_STRBUF text = STRBUF_INIT;
    for (size_t i = 0; i < len; i++) {
        if (strchr("+/=", part[i]))
            return false;
        strbuf_addc(&text, part[i] == '-' ? '+' : part[i] == '_' ? '/' : part[i]);
    }
    while (text.len % 4)
        strbuf_addc(&text, '=');
    return decode_base64(out, strbuf_str(&text), text.len);
}

static struct json_object *parse_part(const char *part, size_t len)
{
    AUTO_STRBUF text = STRBUF_INIT;
    AUTO_ERROR ignored = { 0 };
    struct json_object *o = NULL;
    if (!decode_part(part, len, &text) || !json_parse(strbuf_str(&text), text.len, "", &o, &ignored))
        return NULL;
    return o;
}

static bool is_signed(const struct app *app, const char *text, size_t len, const struct strbuf *signature)
{
    EVP_MD_CTX *ctx = must(EVP_MD_CTX_new());
    bool ok = EVP_DigestVerifyInit_ex(ctx, NULL, "SHA256", NULL, NULL, app->key, NULL) == 1 &&
              EVP_DigestVerify(ctx, (const unsigned char *)strbuf_str(signature), signature->len,
                               (const unsigned char *)text, len) == 1;
    EVP_MD_CTX_free(ctx);
    return ok;
}

static int64_t claim(struct json_object *claims, const char *name)
{
    struct json_object *value = NULL;
    bool ok = json_object_object_get_ex(claims, name, &value) && json_object_is_type(value, json_type_int);
    return ok ? json_object_get_int64(value) : -1;
}

static bool is_ours(struct json_object *claims)
{
    struct json_object *value = NULL;
    AUTO_FREE char *digits = xasprintf("%d", APP_ID);
    const char *iss = json_object_object_get_ex(claims, "iss", &value) ? json_object_get_string(value) : NULL;
    return str_eq(iss, app_client_id) || str_eq(iss, digits);
}

const char *jwt_judge(const struct sim *s, const char *jwt, int *ret_status)
{
    static const char undecodable[] = "A JSON web token could not be decoded";
    size_t head = strcspn(jwt, "."), body = jwt[head] ? strcspn(jwt + head + 1, ".") : 0;
    const char *claims_at = jwt + head + 1, *signature_at = claims_at + body + 1;
    AUTO_STRBUF signature = STRBUF_INIT;
    *ret_status = 401;
    if (!jwt[head] || !claims_at[body])
        return undecodable;
    AUTO_JSON *header = parse_part(jwt, head), *claims = parse_part(claims_at, body);
    struct json_object *alg = NULL;
    if (!header || !claims || !json_object_object_get_ex(header, "alg", &alg) ||
        !str_eq(json_object_get_string(alg), "RS256") || !decode_part(signature_at, strlen(signature_at), &signature))
        return undecodable;
    if (!is_ours(claims)) {
        *ret_status = 404;
        return "Integration not found";
    }
    if (!is_signed(s->app, jwt, head + 1 + body, &signature))
        return undecodable;
    int64_t now = sim_now(s) / 1000, iat = claim(claims, "iat"), exp = claim(claims, "exp");
    if (iat < 0 || iat > now)
        return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
    if (exp <= now)
        return "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the "
               "assertion expires";
    return exp > now + JWT_MAX_S ? "'Expiration time' claim ('exp') is too far in the future" : NULL;
}
