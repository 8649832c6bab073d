/* The GitHub App that the simulator plays, with --app-key or --app-public-key. */
#ifndef MAYFLY_SIM_GITHUB_APP_H
#define MAYFLY_SIM_GITHUB_APP_H

#include <openssl/evp.h>

#include "http.h"
#include "sim.h"

#include "mayfly/util/error.h"

enum { APP_ID = 4711 };

struct app_token {
    char *token, *account;       /* account: "octo" */
    struct strlist repositories; /* names without the owner; none: all of them */
    struct pairs permissions;
    int64_t expires; /* simulated ms */
    bool revoked;
};

struct app {
    EVP_PKEY *key;               /* the public half is enough */
    struct pairs permissions;    /* of every installation */
    struct strlist repositories; /* selected ones, "octo/demo"; none: all of them */
    bool suspended, uninstalled;
    int64_t since; /* simulated ms of the last change */
    struct app_token *tokens;
    size_t n_tokens;
};

struct app_call { /* one request to the App's own part of the API */
    struct sim *sim;
    const struct request *request;
    struct response *res;
    const char *account; /* in the path, or of the installation in it */
    const char *repo;    /* "octo/demo", or NULL */
};

/* When one of the files is named: the private key is written to the first, or the public one read from the second. */
bool app_open(struct sim *s, const char *key_file, const char *public_key_file, struct error *err);
void app_reset(struct sim *s);
void app_close(struct sim *s);
/* The name of a request to the App's own part of the API, static; NULL: it is none. */
const char *app_action(const char *method, const char *path);
/* Serves it. bearer: what stood behind Bearer, or NULL. False: it is none, or there is no App. */
bool app_serve(struct sim *s, const char *path, const char *bearer, const struct request *r, struct response *res);
struct json_object *app_json(const struct sim *s);
bool app_change(struct sim *s, struct json_object *body, struct error *err);

/* --- github_app_tokens.c ------------------------------------------------------------------------------------------ */

/* A token that works; NULL: it does not. */
const struct app_token *app_token(const struct sim *s, const char *token);
/* scope: "/repos/octo/demo": does the token open it at all? permission: "administration=write". */
bool app_token_opens(const struct app_token *t, const char *scope);
bool app_token_may(const struct app_token *t, const char *permission);
/* Is there such a repository, and is the App installed on it? */
bool app_is_installed_on(const struct sim *s, const char *repo);
void app_create_token(struct app_call *a);
void app_token_clear(struct app_token *t);

#endif
