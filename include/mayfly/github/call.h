/* One request to GitHub's REST API, retried as its answers ask for. */
#ifndef MAYFLY_GITHUB_CALL_H
#define MAYFLY_GITHUB_CALL_H

#include "mayfly/codec/field.h"
#include "mayfly/github/auth.h"
#include "mayfly/net/call.h"
#include "mayfly/net/paging.h"

struct github_app;

struct github { /* borrowed; must outlive its calls */
    const struct github_config *config;
    const struct env *env;
    struct github_app *app; /* whose tokens the calls carry; NULL: config->token */
    int64_t remaining;      /* the newest x-ratelimit-remaining, or -1 */
    bool worked;            /* GitHub has taken the token in this run */
    bool managed;           /* and given it what is of runners */
};

/* What an error answer means. */
enum github_class {
    GITHUB_FATAL,
    GITHUB_NOT_FOUND, /* 404 */
    GITHUB_CONFLICT,  /* 409: the name exists already */
    GITHUB_BUSY,      /* 422: the runner is running a job */
    GITHUB_THROTTLED, /* 403 or 429 that speaks of a rate limit */
    GITHUB_SERVER,    /* 5xx, or no answer: the effect may have happened */
};

/* As whom a call comes. */
enum github_auth {
    GITHUB_AS_TOKEN = 1,        /* of the configuration */
    GITHUB_AS_INSTALLATION = 2, /* of the App, in the scope */
    GITHUB_AS_APP = 4,          /* the App itself */
};

/* Where a call stands with the App's token. */
struct github_ticket {
    bool waits;      /* for a token that was not there when it asked */
    bool renewed;    /* its token was refused once */
    unsigned before; /* how many tokens had been tried for by then */
    unsigned used;   /* the number of the token that it carries */
};

struct github_call {
    struct call call;
    struct github *github;
    const char *method; /* static */
    char *path;         /* owned, from "/repos" on, with its query */
    char *body;         /* owned JSON, or NULL */
    char *etag;         /* owned: sent as If-None-Match; a 304 then counts as success */
    enum github_auth auth;
    struct github_ticket ticket;
    bool corrected;          /* the clock was, once */
    unsigned refusals;       /* that were not taken for an answer */
    enum github_class class; /* of a call that is done and failed */
};

/* method is static; path and body (JSON, or NULL) are copied. GET and DELETE are repeated after failures of the network
 * and the server; POST makes something (call.makes) and is not: its caller settles it. Rate limits are waited out by
 * all. */
struct github_call *github_call_new(struct github *github, const char *method, const char *path, const char *body);
/* The answer was 304: what If-None-Match named is still true. */
bool github_call_unchanged(const struct github_call *call);
/* Is there a page after this one, which has so many rows? *ret_more says so: by a Link header with rel="next", whose
 * URL nobody follows. False: the list does not end. */
MUST_CHECK bool github_call_turn(const struct github_call *call, struct paging *paging, size_t rows, bool *ret_more,
                                 struct error *err);
/* A list in an answer, of whose rows each is read by itself: one that makes no sense must not hide the others. */
struct github_rows {
    const char *member; /* of the answer, which has the list; NULL: the answer is the list */
    const struct field *row;
    size_t size;    /* of a row */
    size_t unclear; /* where in it a const char * says why it makes no sense: what can be read of it is there all the
                       same, the rest is zero; NULL: it makes sense */
};
MUST_CHECK bool github_call_rows(const struct github_call *call, const struct github_rows *what, struct arena *arena,
                                 struct field_list *ret_rows, struct error *err);
/* Fills out from the answer, an object, by the table. */
MUST_CHECK bool github_call_decode(const struct github_call *call, const struct field *fields, void *out,
                                   struct arena *arena, struct error *err);

/* Pure: the class of an answer. */
enum github_class github_classify(enum github_auth auth, int http_status, const char *message, bool has_retry_after,
                                  bool out_of_quota);
/* Pure: what to do about an answer, static; NULL: nothing is known. */
const char *github_hint(enum github_auth auth, int http_status, const char *message);

#endif
