#include "mayfly/github/errors.h"

#define HINT_PERMISSION                                                                                                \
    "is --repo spelled right, and does the token have `Administration: write` on the repository (or `Self-hosted "     \
    "runners: write` on the organisation)? GitHub answers 404 for what a token may not see"
#define HINT_BUG "this should not happen: run again with --trace FILE, and report it"
#define HINT_MOVED "the repository was renamed or moved: give its new name with --repo"
#define HINT_GITHUB "GitHub failed: see https://www.githubstatus.com and try again in a minute"

/* The first row that fits; texts before their status alone. */
static const struct {
    int status;       /* 500: and all above */
    const char *text; /* part of the message, or NULL */
    enum github_class class;
    const char *hint;
} answers[] = {
    { 301, NULL, GITHUB_FATAL, HINT_MOVED },
    { 302, NULL, GITHUB_FATAL, HINT_MOVED },
    { 307, NULL, GITHUB_FATAL, HINT_MOVED },
    { 308, NULL, GITHUB_FATAL, HINT_MOVED },
    { 400, NULL, GITHUB_FATAL, HINT_BUG },
    { 401, NULL, GITHUB_FATAL, "the token is wrong, expired or revoked: make a new one and set MAYFLY_GITHUB_TOKEN" },
    { 403, "rate limit", GITHUB_THROTTLED, NULL },
    { 403, "Resource not accessible", GITHUB_FATAL,
      "the token lacks a permission: `Administration: write` on the repository, or `Self-hosted runners: write` on the "
      "organisation; the workflow's own GITHUB_TOKEN can never have it" },
    { 403, "SAML", GITHUB_FATAL, "authorise the token for the organisation's single sign-on, in its settings" },
    { 403, "IP allow list", GITHUB_FATAL, "the organisation allows only some addresses: run from one of them" },
    { 403, "disabled", GITHUB_FATAL,
      "self-hosted runners are switched off here: allow them in the organisation's settings, Actions, Runners" },
    { 403, NULL, GITHUB_FATAL, HINT_PERMISSION },
    { 404, NULL, GITHUB_NOT_FOUND, HINT_PERMISSION },
    { 409, NULL, GITHUB_CONFLICT, "a runner of this name exists already" },
    { 410, NULL, GITHUB_FATAL, "this version of GitHub's API is gone: use a newer Mayfly" },
    { 415, NULL, GITHUB_FATAL, HINT_BUG },
    { 422, "running a job", GITHUB_BUSY, "the runner has a job" },
    { 422, "max limit", GITHUB_FATAL,
      "the runner group is full: `mayfly reap` deletes records without an instance, and other groups have room" },
    { 422, NULL, GITHUB_FATAL, "GitHub refused a value: look at --label, --labels and --runner-group" },
    { 429, NULL, GITHUB_THROTTLED, NULL },
    { 500, NULL, GITHUB_SERVER, HINT_GITHUB },
};

static size_t find(int status, const char *message)
{
    size_t i = 0;
    while (i < ARRAY_SIZE(answers) && !((answers[i].status == status || (answers[i].status == 500 && status >= 500)) &&
                                        (!answers[i].text || strstr(message, answers[i].text))))
        i++;
    return i;
}

enum github_class github_classify(int http_status, const char *message, bool has_retry_after, bool out_of_quota)
{
    size_t i = find(http_status, message);
    if (http_status == 0)
        return GITHUB_SERVER;
    if (http_status == 403 && (has_retry_after || out_of_quota))
        return GITHUB_THROTTLED;
    return i < ARRAY_SIZE(answers) ? answers[i].class : GITHUB_FATAL;
}

const char *github_hint(int http_status, const char *message)
{
    size_t i = find(http_status, message);
    return i < ARRAY_SIZE(answers) ? answers[i].hint : NULL;
}
