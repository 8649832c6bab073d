/* Splitting a line into words as a POSIX shell does, without any expansion. Pure. */
#ifndef MAYFLY_UTIL_WORDS_H
#define MAYFLY_UTIL_WORDS_H

#include "mayfly/util/strbuf.h"

/* Blanks and line breaks part words; '…' holds anything, "…" anything with \" and \\, and a backslash outside of quotes
 * the character behind it. False, with the words so far, when a quote is not closed or a backslash ends the line. */
MUST_CHECK bool words_split(struct strlist *ret, const char *line);

#endif
