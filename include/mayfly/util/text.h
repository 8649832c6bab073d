/* Text that others wrote: files of any editor made fit to be read; tags, names, messages of servers made fit for a
 * terminal, a log, a table; pure. */
#ifndef MAYFLY_UTIL_TEXT_H
#define MAYFLY_UTIL_TEXT_H

#include "mayfly/util/strbuf.h"

/* Bytes of UTF-8's byte order mark, which editors on Windows put before a text; 0: there is none. */
size_t text_mark(const char *bytes, size_t len);
/* Moves past that mark. False, for bytes that are no text to be read: UTF-16, or a NUL byte among them. `what` names
 * them in the error. */
MUST_CHECK bool text_begin(const char **bytes, size_t *len, const char *what, struct error *err);

/* Makes CRLF LF, for programs that take a carriage return for part of a word. Was there one? */
bool text_drop_returns(struct strbuf *text);

/* Bytes of the character that s begins with, 1 to 4; 0: it is not UTF-8 (RFC 3629), or s is empty. */
size_t text_char(const char *s);
/* Characters of a UTF-8 text, as AWS counts them. */
size_t text_length(const char *s);
/* The number of the control character that s begins with: C0, DEL, C1 as UTF-8 writes them, and what turns the
 * direction of text or separates lines (U+061C, U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069); or -1. */
int text_control(const char *s);

/* Does s begin with "##["? GitHub's runner obeys ##[add-mask]… and ##[set-output name=…]… wherever it stands in a line
 * that a step prints. Source: actions/runner, ActionCommand.cs, TryParse. */
bool text_is_command(const char *s);
/* Replaces, in place, control characters by blanks, what is not UTF-8 by `?`, "##[" by "##(", and "::" at the beginning
 * by ":.": what is left is one line, and commands neither a terminal nor GitHub's runner. */
void text_clean(char *s);
/* The same with all but the printable characters of ASCII by `?`: a byte is a column then. */
void text_narrow(char *s);

/* Appends s as a string of JSON, quotes included; what is not UTF-8 becomes U+FFFD. Neither control characters nor DEL
 * nor "##[" come through as they are. */
void text_add_json(struct strbuf *out, const char *s);
/* Appends s as Markdown's code, in which nothing means anything; it does not break out of a cell of a table either. */
void text_add_code(struct strbuf *out, const char *s);

#endif
