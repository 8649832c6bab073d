/* A GitHub App's way in. Its key signs short-lived JSON web tokens, by which it asks where it is installed and for
 * tokens of its installations, an hour each, narrowed to what Mayfly does; those are what calls carry.
 *
 * One struct github_app serves all scopes of a run: an installation and a token each. A token is fetched when the first
 * call needs it, once for all that wait; renewed 5 minutes before its end; and once more when GitHub takes it no
 * longer. When it cannot be had, the calls that come next wait for 1, 2, … 30 s before it is asked for again. Sources:
 * GitHub REST API, "GitHub Apps", version 2022-11-28; GitHub Docs, "Generating a JSON Web Token for a GitHub App". */
#ifndef MAYFLY_GITHUB_APP_H
#define MAYFLY_GITHUB_APP_H

#include "mayfly/github/call.h"

struct github_app;

/* config, which has an app_id, is borrowed. jobs: tokens shall also read the jobs of workflow runs, where the App may.
 */
struct github_app *github_app_new(const struct github_config *config, const struct env *env, bool jobs);
/* After the loop is cleared: it may hold calls of the App's own. */
void github_app_free(struct github_app *app);

/* Pure: the App's own token at `now` (seconds since 1970): RS256, from a minute ago, for 9 minutes. */
void github_app_jwt(const struct rsa_key *key, const char *app_id, int64_t now, struct secret *ret);

/* Pure: for how many ms no token is asked for after another failure; before: what it was after the one before it, 0:
 * there was none. */
int64_t github_app_pause(int64_t before);

/* Who the App is. */
struct github_call *github_app_call(struct github *g);
struct github_app_about { /* strings live in the decoder's arena */
    int64_t id;
    const char *slug, *owner; /* or NULL */
};
MUST_CHECK bool github_app_result(const struct github_call *call, struct arena *arena, struct github_app_about *ret,
                                  struct error *err);

/* The installation of a scope, as far as it was looked at. */
struct github_installation {
    int64_t id;              /* 0: not found yet */
    const char *selection;   /* "all" or "selected" repositories; or NULL; borrowed */
    const char *settings;    /* the page where its owner changes it; or NULL; borrowed */
    const char *token_may;   /* "administration: write, actions: read": what its token was asked for; NULL: none yet */
    const char *missing;     /* what it may not, but should, "actions: read"; or NULL */
    const struct error *why; /* no token could be had; or NULL */
};
struct github_installation github_app_installation(struct github_app *app, const struct github_config *config);

/* --- for call.c -----------------------------------------------------------------------------------------------------
 */

/* What has to be done before the scope's token can be had, or NULL. */
struct call *github_app_before(struct github_app *app, const struct github_config *config,
                               struct github_ticket *ticket);
/* The scope's token, borrowed until the loop goes on; NULL: there is none, *err says why and *ret_class how bad it is.
 */
const char *github_app_token(struct github_app *app, const struct github_config *config, struct github_ticket *ticket,
                             enum github_class *ret_class, struct error *err);
/* GitHub does not take that token any more. True: another may be had, once in the life of a ticket. */
bool github_app_renew(struct github_app *app, const struct github_config *config, struct github_ticket *ticket);
/* After a signal: tokens that are still good serve to their end. */
void github_app_hurry(struct github_app *app);
/* The App's own token now, by the clock as GitHub corrected it. */
void github_app_sign(struct github_app *app, struct secret *ret);
/* GitHub does not like the times in the App's own token. True: its clock (a Date header, or NULL) says another time. */
bool github_app_set_clock(struct github_app *app, const char *date);

#endif
