/* Who gives temporary credentials. */
#ifndef MAYFLY_SIM_ISSUER_H
#define MAYFLY_SIM_ISSUER_H

#include "http.h"
#include "sim.h"

struct issued { /* temporary credentials that somebody was given */
    char *access_key, *secret_key, *session_token, *arn;
    int64_t expires; /* simulated ms */
};

/* The credentials with this key, or NULL. */
const struct issued *issuer_find(const struct sim *s, const char *access_key);
void issuer_clear(struct sim *s);
void issuer_serve(struct sim *s, const struct request *r, struct response *res);

#endif
