/* The one error type, and the one convention.
 *
 * A fallible function returns bool and takes `struct error *err` last. It sets *err exactly when it returns false, and
 * leaves its ret_ parameters untouched then. err is never NULL. Libraries never print an error: main does. */
#ifndef MAYFLY_UTIL_ERROR_H
#define MAYFLY_UTIL_ERROR_H

#include "mayfly/util/base.h"

enum error_domain {
    ERROR_NONE = 0,
    ERROR_USAGE,     /* argv is wrong */
    ERROR_CONFIG,    /* a setting, a file or a credential is wrong or missing */
    ERROR_SYSTEM,    /* the operating system refused; status is an errno */
    ERROR_NET,       /* no answer; status is a CURLcode */
    ERROR_AWS,       /* AWS answered with an error; status is the HTTP status */
    ERROR_GITHUB,    /* GitHub answered with an error; status is the HTTP status */
    ERROR_PARSE,     /* an answer or a file has the wrong form */
    ERROR_TIMEOUT,   /* a limit of our own ran out */
    ERROR_CANCELLED, /* a signal; status is its number */
    ERROR_CAPACITY,  /* no cell of the plan had capacity or quota */
};

enum { ERROR_TEXT_MAX = 4096 }; /* bytes of a message, of a hint, and of what error_format makes of them */

struct error { /* all zero: no error; the strings are owned */
    enum error_domain domain;
    int status;
    bool try_later;   /* the same command may well work later: exit status 75 */
    bool no_room;     /* no capacity, no quota or too many requests: the job may run elsewhere */
    char *context;    /* "launching in subnet-1: ", outermost first, or NULL */
    char *code;       /* "UnauthorizedOperation", or NULL */
    char *message;    /* one line */
    char *hint;       /* what to do, or NULL */
    char *request_id; /* of AWS or GitHub, or NULL */
};

#define AUTO_ERROR CLEANUP(error_clear) struct error

/* Sets *err, which must be empty. Always returns false, so that a caller can return it. Control characters in the
 * formatted message are replaced by spaces: an error is one line, whatever a server put into it. Secrets are redacted,
 * here and in all that is added. */
bool error_set(struct error *err, enum error_domain domain, int status, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* error_set with ERROR_SYSTEM, the given errno and ": strerror" appended. */
bool error_errno(struct error *err, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Puts "what: " before all that will be printed. Always returns false. */
bool error_prefix(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Sets the hint unless there is one already: the place nearest to the cause knows best. */
void error_hint(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* What the service calls the error, and its number of the request; either may be NULL. */
void error_code(struct error *err, const char *code, const char *request_id);

/* Moves *from into *to, which must be empty. Always returns false. */
bool error_move(struct error *to, struct error *from);
/* *to, which must be empty, becomes a deep copy. */
void error_copy(struct error *to, const struct error *from);
/* Frees the strings and makes *err empty. */
void error_clear(struct error *err);

/* "[context: ][code: ]message[ (request id)]", owned by the caller. */
char *error_format(const struct error *err);
/* The same with "; hint" after it: for a warning, which is one line. */
char *error_format_hinted(const struct error *err);
/* The exit status of a command that ended with *err: 0, 1, 2 (usage, configuration) or 75 (try again later). */
int error_exit_status(const struct error *err);

#endif
