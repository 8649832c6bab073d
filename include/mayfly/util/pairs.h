/* Ordered names and values: headers, query parameters, tags. */
#ifndef MAYFLY_UTIL_PAIRS_H
#define MAYFLY_UTIL_PAIRS_H

#include <stddef.h>

struct pairs { /* all zero: empty */
    char **v;  /* name, value, name, value, …; owned */
    size_t n;  /* of pairs */
};

/* The value of the first pair with this name, borrowed, or NULL. Names compare byte by byte. */
const char *pairs_get(const struct pairs *p, const char *name);
/* Replaces the value, or appends. */
void pairs_set(struct pairs *p, const char *name, const char *value);
/* Appends without looking for the name. */
void pairs_add(struct pairs *p, const char *name, const char *value);
void pairs_remove(struct pairs *p, const char *name);
void pairs_clear(struct pairs *p);
/* Appends all of another's. */
void pairs_copy(struct pairs *to, const struct pairs *from);

#endif
