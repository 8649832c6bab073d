/* Temporary credentials that somebody was given. */
#ifndef MAYFLY_SIM_ISSUED_H
#define MAYFLY_SIM_ISSUED_H

#include "sim.h"

struct issued {
    char *access_key, *secret_key, *session_token, *arn;
    int64_t expires; /* simulated ms */
};

/* The credentials with this key, or NULL. */
const struct issued *issued_find(const struct sim *s, const char *access_key);
/* New ones, for so many seconds unless the options say otherwise; borrowed. */
const struct issued *issued_add(struct sim *s, const char *role, const char *session, int64_t seconds);
/* As long as a real token. Owned. */
char *issued_token(const char *prefix);
void issued_clear(struct sim *s);

#endif
