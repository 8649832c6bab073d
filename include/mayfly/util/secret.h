/* A value that must not be seen: wiped when freed, kept out of core dumps, replaced by *** wherever log.h writes and in
 * every error, for as long as one secret has it. */
#ifndef MAYFLY_UTIL_SECRET_H
#define MAYFLY_UTIL_SECRET_H

#include "mayfly/util/strbuf.h"

struct secret {  /* all zero: none */
    char *value; /* NUL-terminated */
};

/* Replaces *s by a copy of len bytes and registers it for redaction. */
void secret_set(struct secret *s, const char *value, size_t len);
bool secret_is_set(const struct secret *s);
/* Wipes it. A value that no other secret has is then no longer redacted, and nowhere in memory. */
void secret_clear(struct secret *s);
#define AUTO_SECRET CLEANUP(secret_clear) struct secret

struct secrets { /* all zero: none */
    struct secret *v;
    size_t n;
};

/* Adds a copy of the value, NUL-terminated, unless it is there already. */
void secrets_add(struct secrets *list, const char *value);
void secrets_clear(struct secrets *list);

/* How many values are registered for redaction. */
size_t secret_count(void);

/* Replaces every registered secret of 6 or more characters in sb by "***": also in base64, wherever the secret is in
 * what was encoded, escaped for a URL, JSON or XML, and several of these in each other; also parts of one that has 12
 * characters or more, since a server may have cut its answer: its beginning (12) or any 23 (most from 16 on). What cuts
 * a text that may hold a secret redacts it first. */
void secret_redact(struct strbuf *sb);

/* For the whole process: no core dumps, not traceable by processes of the same user. Call once, first. */
void secret_protect_process(void);
/* Forgets what was registered for redaction, wiping it. At the end of the process, and in tests. */
void secret_forget_all(void);

#endif
