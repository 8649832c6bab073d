/* Tokens: what a file, a variable or an answer holds of one. A token is one line of printable ASCII; what editors and
 * shells put around it (a byte order mark, blanks, line breaks of either kind) is not part of it. */
#ifndef MAYFLY_UTIL_TOKEN_H
#define MAYFLY_UTIL_TOKEN_H

#include "mayfly/util/secret.h"

enum { TOKEN_MAX = 64 * 1024 }; /* bytes of a file; the longest known are some KiB */

enum token_form {
    TOKEN_WORD, /* without a blank in it: a bearer token */
    TOKEN_LINE, /* the value of a header, like "Basic dXNlcg==" */
};

/* The token in some bytes. `what` names them in the error, which never shows any of them. Pure but for the registering
 * of the secret. */
MUST_CHECK bool token_parse(const char *bytes, size_t len, enum token_form form, const char *what, struct secret *ret,
                            struct error *err);
/* The token in a file, or in what a pipe or device gives in time (file.h). `what` is "the web identity token file"; the
 * path follows it in the error, whose domain is ERROR_CONFIG. */
MUST_CHECK bool token_read(const char *path, enum token_form form, const char *what, struct secret *ret,
                           struct error *err);
/* May it be sent as it is? Printable ASCII without blanks, and not empty. NULL is none. */
bool token_is_word(const char *token);

#endif
