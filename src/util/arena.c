#include "mayfly/util/arena.h"

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    max_align_t data[];
};

enum { CHUNK = 16 * 1024 };

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    if (size > SIZE_MAX / 2)
        oom();
    size = (size + align - 1) / align * align;
    if (!a->chunks || a->chunks->size - a->used < size) {
        size_t want = size > CHUNK ? size : CHUNK;
        struct arena_chunk *c = xcalloc(1, sizeof(*c) + want);
        c->next = a->chunks;
        c->size = want;
        a->chunks = c;
        a->used = 0;
        a->size += want;
    }
    void *p = (char *)a->chunks->data + a->used;
    a->used += size;
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    n = strnlen(s, n);
    char *copy = arena_alloc(a, n + 1);
    memcpy(copy, s, n);
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

size_t arena_size(const struct arena *a)
{
    return a->size;
}

void arena_clear(struct arena *a)
{
    while (a->chunks) {
        struct arena_chunk *next = a->chunks->next;
        explicit_bzero(a->chunks->data, a->chunks->size); /* tokens and JIT configurations are decoded into arenas */
        free(a->chunks);
        a->chunks = next;
    }
    a->used = a->size = 0;
}
