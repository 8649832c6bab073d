/* AWS's dialect of INI, as `~/.aws/config` has it, also used for mayfly.ini. Pure.
 *
 *   [section name]           blanks around the name are dropped
 *   key = value              the first `=` or `:` splits; both sides are trimmed; keys are lower-cased
 *   # comment, ; comment     whole lines; after a value only when a blank precedes the mark, and it is not in quotes;
 *                            never after the command of credential_process
 *     sub = value            a line that is indented deeper than the key above belongs to it: appended to its value
 *                            after a line break
 *
 * A byte order mark and CRLF line ends are accepted. Lines have no length limit (a session token has 900 bytes).
 * A section or key that comes again adds to, or replaces, what was there. Takes O(n log n) of its bytes: a file may be
 * somebody else's. */
#ifndef MAYFLY_UTIL_INI_H
#define MAYFLY_UTIL_INI_H

#include "mayfly/util/strbuf.h"

struct ini_entry {
    const char *section; /* one of the sections below: equal ones are the same pointer */
    char *key;
    char *value;
    unsigned line; /* where the key stands, from 1 */
};

struct ini { /* all zero: empty */
    struct ini_entry *entries;
    size_t n;
    struct strlist sections; /* every section that was opened, empty ones included, each once */
};

#define AUTO_INI CLEANUP(ini_clear) struct ini

/* Parses len bytes of text into *ini, which must be empty. On an error `name` and the line are in the message, and *ini
 * is empty again. */
MUST_CHECK bool ini_parse(struct ini *ini, const char *text, size_t len, const char *name, struct error *err);
/* The value, borrowed, or NULL. */
const char *ini_get(const struct ini *ini, const char *section, const char *key);
bool ini_has_section(const struct ini *ini, const char *section);
void ini_clear(struct ini *ini);

#endif
