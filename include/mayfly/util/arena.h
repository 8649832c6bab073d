/* Allocations that die together: the strings and rows of one decoded page. */
#ifndef MAYFLY_UTIL_ARENA_H
#define MAYFLY_UTIL_ARENA_H

#include "mayfly/util/base.h"

struct arena_chunk;

struct arena { /* all zero: empty */
    struct arena_chunk *chunks;
    size_t used; /* of the newest chunk */
    size_t size; /* of all chunks */
};

#define AUTO_ARENA CLEANUP(arena_clear) struct arena

/* Zeroed memory, aligned for any type, valid until arena_clear. */
void *arena_alloc(struct arena *a, size_t size);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_strdup(struct arena *a, const char *s);
/* The bytes that it holds. */
size_t arena_size(const struct arena *a);
void arena_clear(struct arena *a);

#endif
