/* The GitHub App that the simulator plays, with --app-key or --app-public-key. */
#ifndef MAYFLY_SIM_GITHUB_APP_H
#define MAYFLY_SIM_GITHUB_APP_H

#include "http.h"
#include "sim.h"

#include "mayfly/util/error.h"

struct app_token;

/* When one of the files is named: the private key is written to the first, or the public one read from the second. */
bool app_open(struct sim *s, const char *key_file, const char *public_key_file, struct error *err);
void app_reset(struct sim *s);
void app_close(struct sim *s);
const char *app_client_id(void);
/* The name of a request to the App's own part of the API, static; NULL: it is none. */
const char *app_action(const char *method, const char *path);
/* Serves it. bearer: what stood behind Bearer, or NULL. False: it is none, or there is no App. */
bool app_serve(struct sim *s, const char *path, const char *bearer, const struct request *r, struct response *res);
/* A token that works; NULL: it does not. */
const struct app_token *app_token(const struct sim *s, const char *token);
/* scope: "/repos/octo/demo"; permission: "administration=write". */
bool app_token_opens(const struct app_token *t, const char *scope);
bool app_token_may(const struct app_token *t, const char *permission);
struct json_object *app_json(const struct sim *s);
bool app_change(struct sim *s, struct json_object *body, struct error *err);

#endif
