/* Text that came from outside. */
#ifndef MAYFLY_SIM_TEXT_H
#define MAYFLY_SIM_TEXT_H

#include "mayfly/util/pairs.h"
#include "mayfly/util/strbuf.h"

enum { SIM_FORM_MAX = 4096 };

/* "a=b&c=d" into pairs, + and %XX decoded; false when malformed, too long, or not UTF-8 text. */
bool form_parse(const char *text, size_t len, struct pairs *ret);
bool is_utf8(const char *bytes, size_t len);
/* The length of the UTF-8 character at bytes, or 0: it is none. NUL is none. */
size_t utf8_length(const char *bytes, size_t left);
/* Appends to a buffer that keeps its last bytes when full, as EC2 keeps a console. */
void strbuf_add_tail(struct strbuf *sb, const char *bytes, size_t len);

#endif
