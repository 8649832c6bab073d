/* The GitHub side's settings: where the API is, which scope, and the token. */
#ifndef MAYFLY_GITHUB_AUTH_H
#define MAYFLY_GITHUB_AUTH_H

#include "mayfly/util/secret.h"

struct github_config { /* owned strings */
    char *api_url;     /* "https://api.github.com", without a slash at the end */
    char *scope;       /* "owner/repo", or "org": the default fleet */
    char *path;        /* "/repos/owner/repo" or "/orgs/org" */
    struct secret token;
};

/* "owner/repo" or "org" to its API path, owned; NULL when it is neither. */
char *github_scope_path(const char *scope);

/* token_file: a path, or NULL; it wins over MAYFLY_GITHUB_TOKEN, INPUT_GITHUB-TOKEN and GITHUB_TOKEN. repo: the scope
 * by flag, or NULL for GITHUB_REPOSITORY. The API is at GITHUB_API_URL, which must be https or loopback. */
MUST_CHECK bool github_config_load(const char *repo, const char *token_file, const char *(*getenv_fn)(const char *),
                                   struct github_config *ret, struct error *err);
void github_config_clear(struct github_config *c);

#endif
