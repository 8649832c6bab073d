/* Where AWS credentials come from: a table of sources, tried in order.
 *
 * An explicitly named profile, then the environment, then the profile of AWS_PROFILE or `default`. A source that is
 * absent lets the next one try; one that is there and broken stops with its error. */
#ifndef MAYFLY_AWS_CREDS_H
#define MAYFLY_AWS_CREDS_H

#include "mayfly/util/ini.h"
#include "mayfly/util/secret.h"

struct aws_creds {
    char *access_key_id;
    struct secret secret_access_key;
    struct secret session_token; /* unset for long-term keys */
    const char *source;          /* "environment", "profile" */
};

/* What the sources may look at. */
struct aws_creds_from {
    const char *(*getenv)(const char *name);
    const struct ini *config;      /* ~/.aws/config, parsed; may be empty */
    const struct ini *credentials; /* ~/.aws/credentials, parsed; may be empty */
    const char *profile;           /* the name in force */
    bool profile_given;            /* it was asked for by flag */
};

MUST_CHECK bool aws_creds_find(const struct aws_creds_from *from, struct aws_creds *ret, struct error *err);
void aws_creds_clear(struct aws_creds *c);

/* One value of a profile, borrowed, or NULL: the credentials file wins over the config file, and there [profile
 * default] over [default]. Empty counts as absent. */
const char *aws_profile_get(const struct aws_creds_from *from, const char *key);
/* Does either file have the profile? */
bool aws_profile_exists(const struct aws_creds_from *from);

#endif
