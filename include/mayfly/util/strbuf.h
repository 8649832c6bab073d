/* A growing, NUL-terminated byte buffer with a ceiling.
 *
 * A buffer that would grow past its ceiling keeps what it has, drops the rest and sets `overflow`, which whoever filled
 * it from outside must look at. STRBUF_INIT has a ceiling of 64 MiB. */
#ifndef MAYFLY_UTIL_STRBUF_H
#define MAYFLY_UTIL_STRBUF_H

#include "mayfly/util/error.h"

struct strbuf {
    char *data; /* never NULL after the first append; NUL-terminated; may hold NUL bytes */
    size_t len;
    size_t size;
    size_t max;
    bool overflow;
    bool secret; /* wipe the bytes when growing and clearing */
};

#define STRBUF_INIT ((struct strbuf){ .max = (size_t)64 << 20 })
#define STRBUF_MAX(n) ((struct strbuf){ .max = (n) })
#define AUTO_STRBUF CLEANUP(strbuf_clear) struct strbuf

void strbuf_add(struct strbuf *sb, const void *bytes, size_t len);
void strbuf_adds(struct strbuf *sb, const char *s);
void strbuf_addc(struct strbuf *sb, char c);
void strbuf_addf(struct strbuf *sb, const char *fmt, ...) PRINTF_LIKE(2, 3);
void strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
/* Keeps the first len bytes. */
void strbuf_truncate(struct strbuf *sb, size_t len);
/* The bytes as a C string, "" when empty; borrowed. */
const char *strbuf_str(const struct strbuf *sb);
/* The bytes as an owned C string, never NULL; the buffer is empty afterwards and keeps its ceiling. */
char *strbuf_steal(struct strbuf *sb);
/* Frees the bytes; the buffer is empty and usable afterwards, with the same ceiling. */
void strbuf_clear(struct strbuf *sb);

/* Appends the whole of a file. `what` names it in the error ("the configuration file"). Fails past the ceiling. */
MUST_CHECK bool strbuf_read_file(struct strbuf *sb, const char *path, const char *what, struct error *err);
/* The same of a text, without the byte order mark that an editor may have put before it. UTF-16 and NUL bytes are an
 * error. The buffer must be empty. */
MUST_CHECK bool strbuf_read_text(struct strbuf *sb, const char *path, const char *what, struct error *err);

/* A list of owned strings. */
struct strlist {
    char **v;
    size_t n;
};

#define AUTO_STRLIST CLEANUP(strlist_clear) struct strlist

void strlist_add(struct strlist *l, const char *s);
/* Appends all of another's. */
void strlist_copy(struct strlist *to, const struct strlist *from);
/* Adds the parts of s between separators (any of `seps`), trimmed of blanks, empty ones left out. */
void strlist_split(struct strlist *l, const char *s, const char *seps);
bool strlist_has(const struct strlist *l, const char *s);
/* The strings with sep between them; owned by the caller. */
char *strlist_join(const struct strlist *l, const char *sep);
void strlist_clear(struct strlist *l);

#endif
