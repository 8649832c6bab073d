#include "mayfly/crypto/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "mayfly/util/encode.h"

void crypto_sha256(const void *bytes, size_t len, uint8_t ret[static SHA256_LEN])
{
    if (EVP_Q_digest(NULL, "SHA256", NULL, bytes, len, ret, NULL) != 1)
        oom(); /* it has no other way to fail */
}

void crypto_sha256_hex(struct strbuf *out, const void *bytes, size_t len)
{
    uint8_t hash[SHA256_LEN];
    crypto_sha256(bytes, len, hash);
    encode_hex(out, hash, sizeof(hash));
}

void crypto_sha1_hex(struct strbuf *out, const void *bytes, size_t len)
{
    uint8_t hash[20];
    if (EVP_Q_digest(NULL, "SHA1", NULL, bytes, len, hash, NULL) != 1)
        oom();
    encode_hex(out, hash, sizeof(hash));
}

void crypto_hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len, uint8_t ret[static SHA256_LEN])
{
    if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, key_len, bytes, len, ret, SHA256_LEN, NULL) == NULL)
        oom();
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void crypto_wipe(void *bytes, size_t len)
{
    OPENSSL_cleanse(bytes, len);
}
