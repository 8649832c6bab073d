/* SHA-256, HMAC-SHA-256 and, for names of files, SHA-1, by OpenSSL's EVP. Pure. */
#ifndef MAYFLY_CRYPTO_CRYPTO_H
#define MAYFLY_CRYPTO_CRYPTO_H

#include "mayfly/util/strbuf.h"

enum { SHA256_LEN = 32 };

void crypto_sha256(const void *bytes, size_t len, uint8_t ret[static SHA256_LEN]);
/* Appends the lower-case hexadecimal SHA-256 of the bytes. */
void crypto_sha256_hex(struct strbuf *out, const void *bytes, size_t len);
/* Of names that AWS's tools derive by it; it protects nothing. */
void crypto_sha1_hex(struct strbuf *out, const void *bytes, size_t len);
void crypto_hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len, uint8_t ret[static SHA256_LEN]);
/* Compares in constant time. */
bool crypto_equal(const void *a, const void *b, size_t len);
/* Overwrites the bytes with zeros, for real. */
void crypto_wipe(void *bytes, size_t len);

#endif
