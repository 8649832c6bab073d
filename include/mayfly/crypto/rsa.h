/* RSA private keys in PEM form, and RS256 signatures (RFC 7518, RSASSA-PKCS1-v1_5 with SHA-256), by OpenSSL. Pure. */
#ifndef MAYFLY_CRYPTO_RSA_H
#define MAYFLY_CRYPTO_RSA_H

#include "mayfly/util/strbuf.h"

struct rsa_key; /* wiped when freed */

#define AUTO_RSA_KEY CLEANUP(rsa_key_free_pointer) struct rsa_key

/* Reads a private key: PKCS#1 ("BEGIN RSA PRIVATE KEY", as GitHub gives them out) or PKCS#8 ("BEGIN PRIVATE KEY").
 * Line breaks may be LF, CRLF, the two characters \n, or blanks, as CI systems store them; or all of it is base64. Keys
 * with a passphrase, of another kind, of fewer than 2048 bits, or that cannot verify what they sign are refused. `what`
 * names the key in errors, ERROR_CONFIG, which never hold any of it. The caller frees *ret. */
MUST_CHECK bool rsa_key_read(const char *pem, size_t len, const char *what, struct rsa_key **ret, struct error *err);
void rsa_key_free(struct rsa_key *key);
void rsa_key_free_pointer(struct rsa_key **key);

/* Appends the RS256 signature of the bytes. */
void rsa_sign(const struct rsa_key *key, const void *bytes, size_t len, struct strbuf *out);

#endif
