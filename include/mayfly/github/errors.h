/* What GitHub's error answers mean and what to do about each: one table. Pure.
 * Source: GitHub REST API, "Troubleshooting the REST API" and "Self-hosted runners"; texts as operators reported them.
 */
#ifndef MAYFLY_GITHUB_ERRORS_H
#define MAYFLY_GITHUB_ERRORS_H

#include "mayfly/util/base.h"

enum github_class {
    GITHUB_FATAL,
    GITHUB_NOT_FOUND, /* 404 */
    GITHUB_CONFLICT,  /* 409: the name exists already */
    GITHUB_BUSY,      /* 422: the runner is running a job */
    GITHUB_THROTTLED, /* 403 or 429 that speaks of a rate limit */
    GITHUB_SERVER,    /* 5xx, or no answer: the effect may have happened */
};

/* The class of an answer. http_status 0: there was none. message: of its body, "" if it has none. */
enum github_class github_classify(int http_status, const char *message, bool has_retry_after, bool out_of_quota);
/* What to do about it, static; NULL: nothing that is known. */
const char *github_hint(int http_status, const char *message);

#endif
