/* The GitHub side's settings: where the API is, which scope, and a token or an App. */
#ifndef MAYFLY_GITHUB_AUTH_H
#define MAYFLY_GITHUB_AUTH_H

#include "mayfly/crypto/rsa.h"
#include "mayfly/util/secret.h"

/* Where runners belong. */
enum github_scope_kind { GITHUB_REPOSITORY, GITHUB_ORGANISATION, GITHUB_ENTERPRISE };

struct github_config { /* owned */
    char *api_url;     /* "https://api.github.com", without a slash at the end */
    char *scope;       /* "owner/repo", "org" or "enterprises/name": the default fleet */
    char *path;        /* "/repos/owner/repo", "/orgs/org" or "/enterprises/name" */
    struct secret token;
    char *app_id; /* a GitHub App's client ID or app ID, instead of the token; or NULL */
    struct rsa_key *app_key;
};

/* "owner/repo", "org" or "enterprises/name" to its API path, owned; NULL when it is none of them. */
char *github_scope_path(const char *scope);
/* Is it one of them? */
MUST_CHECK bool github_scope_check(const char *scope, struct error *err);
/* Of a scope that has a path. */
enum github_scope_kind github_scope_kind(const char *scope);

/* What the flags say; NULL or "": nothing. */
struct github_settings {
    const char *repo;       /* the scope; else GITHUB_REPOSITORY */
    const char *token_file; /* wins over INPUT_GITHUB-TOKEN, MAYFLY_GITHUB_TOKEN and GITHUB_TOKEN */
    const char *app_id;
    const char *app_key_file; /* PEM; wins over INPUT_APP-KEY and MAYFLY_APP_KEY */
};

/* An App and a token at once are refused, but for GITHUB_TOKEN, which is there in many steps. The API is at
 * GITHUB_API_URL, or that of GITHUB_SERVER_URL, or GitHub's own; https or loopback. */
MUST_CHECK bool github_config_load(const struct github_settings *settings, const char *(*getenv_fn)(const char *),
                                   struct github_config *ret, struct error *err);
void github_config_clear(struct github_config *c);

#endif
