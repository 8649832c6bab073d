/* Self-hosted runners of a scope: just-in-time configurations, records, downloads.
 * Source: GitHub REST API, "Self-hosted runners", version 2022-11-28. */
#ifndef MAYFLY_GITHUB_RUNNERS_H
#define MAYFLY_GITHUB_RUNNERS_H

#include "mayfly/codec/field.h"
#include "mayfly/github/call.h"

struct github_runner { /* strings live in the decoder's arena */
    int64_t id;
    const char *name, *status; /* status: "online" or "offline" */
    bool busy;
    const char *unclear; /* why GitHub's answer on it makes no sense: then what is not known is 0 or NULL; NULL: it
                            makes sense */
};

bool github_runner_is_online(const struct github_runner *r);

struct github_jit {
    struct github_runner runner;
    const char *encoded; /* a secret, about 4 KB */
};

/* Asks for the configuration of one runner. Never repeated after a lost answer: the record may exist, and the caller
 * must settle that (409 tells). */
struct github_call *github_jit_call(struct github *g, const char *name, int64_t runner_group,
                                    const struct strlist *labels);
/* Also checks that the configuration decodes and is for this name and an ephemeral runner. */
MUST_CHECK bool github_jit_result(const struct github_call *call, const char *name, struct arena *arena,
                                  struct github_jit *ret, struct error *err);

struct github_call *github_get_runner_call(struct github *g, int64_t id);
MUST_CHECK bool github_get_runner_result(const struct github_call *call, struct arena *arena, struct github_runner *ret,
                                         struct error *err);

/* Page 1, 2, … of 100; name: only records of this name, or NULL. */
struct github_call *github_list_runners_call(struct github *g, unsigned page, const char *name);
/* Rows of struct github_runner; what makes no sense is a row that is `unclear`. */
MUST_CHECK bool github_list_runners_result(const struct github_call *call, struct arena *arena,
                                           struct field_list *ret_rows, struct error *err);

struct github_call *github_delete_runner_call(struct github *g, int64_t id);

struct github_download {
    const char *os, *architecture, *url, *sha256;
    const char *unclear; /* NULL */
};
struct github_call *github_downloads_call(struct github *g);
/* Rows of struct github_download, those that make sense. */
MUST_CHECK bool github_downloads_result(const struct github_call *call, struct arena *arena,
                                        struct field_list *ret_rows, struct error *err);

/* A runner group of an organization. */
struct github_group {
    int64_t id;
    const char *name;
    const char *unclear; /* as a runner's */
};
/* Page 1, 2, … of 100; visible_to: only groups that this repository of the organization ("demo") may use, or NULL. */
struct github_call *github_list_groups_call(struct github *g, unsigned page, const char *visible_to);
/* Rows of struct github_group. */
MUST_CHECK bool github_list_groups_result(const struct github_call *call, struct arena *arena,
                                          struct field_list *ret_rows, struct error *err);

/* What is left of the requests that the token has in an hour. Asking costs none. */
struct github_rate {
    int64_t limit, remaining;
    int64_t reset; /* seconds since 1970 */
};
struct github_call *github_rate_call(struct github *g);
MUST_CHECK bool github_rate_result(const struct github_call *call, struct arena *arena, struct github_rate *ret,
                                   struct error *err);

/* Asks for a just-in-time configuration without saying for which runner: GitHub cannot make one, and refuses with 422
 * whom it would let, with 403 or 404 whom it would not. */
struct github_call *github_try_jit_call(struct github *g);

#endif
