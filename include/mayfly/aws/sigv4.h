/* AWS Signature Version 4, for the requests Mayfly sends: POST with a body, to a path without characters that need
 * encoding. Pure: the time is an argument.
 * Source: AWS General Reference, "Create a signed AWS API request"; checked against botocore in tests/contract. */
#ifndef MAYFLY_AWS_SIGV4_H
#define MAYFLY_AWS_SIGV4_H

#include "mayfly/crypto/crypto.h"

struct sigv4_key {
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token; /* NULL: long-term keys */
};

struct sigv4_request {
    const char *method; /* "POST" */
    const char *path;   /* "/" */
    const char *query;  /* in canonical form: sorted, encoded; "" for POST */
    const char *host;   /* with a port that is not the scheme's own, exactly as sent */
    const char *content_type;
    const char *target; /* X-Amz-Target of the JSON protocols, or NULL */
    const void *body;
    size_t body_len;
};

struct sigv4_scope {
    const char *region;
    const char *service;
    int64_t time; /* seconds since 1970 */
};

/* The canonical request: its SHA-256 is what is signed. Blanks at the ends of header values are cut, runs of inner ones
 * folded. */
void sigv4_canonical(struct strbuf *out, const struct sigv4_key *key, const struct sigv4_request *r,
                     const struct sigv4_scope *scope);

/* The signing key: HMAC chain over date, region, service and "aws4_request". */
void sigv4_signing_key(const char *secret_access_key, const struct sigv4_scope *scope, uint8_t ret[static SHA256_LEN]);

/* Appends every header that the signed request is sent with: Host, Content-Type, X-Amz-Date, X-Amz-Security-Token,
 * X-Amz-Target and Authorization. */
void sigv4_sign(struct strlist *headers, const struct sigv4_key *key, const struct sigv4_request *r,
                const struct sigv4_scope *scope);

#endif
