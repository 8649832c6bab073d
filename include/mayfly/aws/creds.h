/* Where AWS credentials come from, as AWS's own tools do it: a table of providers, tried in order, then the roles that
 * are assumed with what was found.
 *
 * Finding is pure: it reads settings and decides, once, at the start. Fetching asks the service or the program that has
 * the credentials, at the start and again before they expire. A provider whose settings are absent lets the next one
 * try; one that is there and broken stops with its error. */
#ifndef MAYFLY_AWS_CREDS_H
#define MAYFLY_AWS_CREDS_H

#include "mayfly/util/ini.h"
#include "mayfly/util/secret.h"

struct aws_creds {
    char *access_key_id;
    struct secret secret_access_key;
    struct secret session_token; /* unset for long-term keys */
    int64_t expires;             /* seconds since 1970; 0: never */
};

/* What finding may look at. */
struct aws_creds_from {
    const char *(*getenv)(const char *name);
    const struct ini *config;      /* ~/.aws/config, parsed; may be empty */
    const struct ini *credentials; /* ~/.aws/credentials, parsed; may be empty */
    const char *profile;           /* the name in force */
    bool profile_given;            /* it was asked for by flag: then the environment's keys do not count */
    const char *role_arn;          /* --role-arn, or NULL */
};

struct creds_role { /* owned strings; NULL: not given, but arn */
    char *arn, *session_name, *external_id;
    int64_t duration; /* seconds; 0: the role's default */
};

struct creds_provider;

/* Which provider it is, and what it needs to fetch. Owned strings; NULL where the provider has no such thing. */
struct creds_source {
    const struct creds_provider *provider;
    char *where;            /* "the profile `ci`" */
    struct aws_creds keys;  /* of static keys */
    struct creds_role role; /* of a web identity */
    char *token_file;       /* of a web identity, an SSO session or a container */
    char *command;          /* credential_process */
    char *url;              /* of a container, of the instance metadata service */
    long imds_ms;           /* of one question to the instance metadata service */
    unsigned imds_attempts;
    char *sso_region, *sso_account_id, *sso_role_name, *sso_session, *sso_start_url;
    bool sso_renews;          /* there is an [sso-session], whose token may be renewed */
    struct creds_role *roles; /* then assumed, one with the credentials of the one before */
    size_t n_roles;
    struct strlist passed_over; /* "environment: AWS_ACCESS_KEY_ID is not set" */
};

/* Decides. Reads no file and asks nobody. */
MUST_CHECK bool aws_creds_find(const struct aws_creds_from *from, struct creds_source *ret, struct error *err);
/* "the profile `ci`, then the role arn:aws:iam::1:role/x", owned. */
char *creds_source_format(const struct creds_source *source);
/* The provider's: "web identity"; static. */
const char *creds_source_name(const struct creds_source *source);
void creds_source_clear(struct creds_source *s);

void aws_creds_clear(struct aws_creds *c);

/* One value of a profile, borrowed, or NULL: the credentials file wins over the config file, and there [profile
 * default] over [default]. Empty counts as absent. */
const char *aws_profile_get(const struct aws_creds_from *from, const char *key);
/* The variable that names the profile: AWS_DEFAULT_PROFILE, else AWS_PROFILE, as botocore has it; NULL: neither. */
const char *aws_profile_variable(const char *(*getenv_fn)(const char *));
/* Does either file have the profile? */
bool aws_profile_exists(const struct aws_creds_from *from);
/* A value of the config file's [TYPE NAME] ("sso-session", "services"), borrowed, or NULL. */
const char *aws_section_get(const struct ini *config, const char *type, const char *name, const char *key);
bool aws_section_exists(const struct ini *config, const char *type, const char *name);

#endif
