#include "mayfly/net/paging.h"

/* FNV-1a. Whoever makes two pages collide gets an error early. */
static uint64_t hash_of(const unsigned char *bytes, size_t len)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
    return h ? h : 1;
}

/* Is it the page that was kept? At each power of two a later one is kept, so that a cycle of any length is found. */
static bool comes_back(struct paging *p, uint64_t mark)
{
    if (p->mark == mark)
        return true;
    if (p->steps == p->power) {
        p->mark = mark;
        p->power = p->power ? p->power * 2 : 1;
        p->steps = 0;
    }
    p->steps++;
    return false;
}

static bool endless(const char *what, struct error *err, const char *why, unsigned long n)
{
    if (n)
        error_set(err, ERROR_PARSE, 0, "%s does not end: %lu %s", what, n, why);
    else
        error_set(err, ERROR_PARSE, 0, "%s does not end: %s", what, why);
    error_hint(err, "check the endpoint and any proxy in between: an incomplete list decides nothing");
    return false;
}

bool paging_next(struct paging *p, size_t rows, const void *mark, size_t mark_len, const char *what, struct error *err)
{
    p->pages++;
    p->empty = rows ? 0 : p->empty + 1;
    p->rows += rows;
    if (p->rows > PAGING_ROWS)
        return endless(what, err, "rows came, and more would follow", (unsigned long)p->rows);
    if (p->empty >= PAGING_EMPTY)
        return endless(what, err, "pages in a row were empty", p->empty);
    if (p->pages >= PAGING_PAGES)
        return endless(what, err, "pages came, and more would follow", p->pages);
    if (mark_len && comes_back(p, hash_of(mark, mark_len)))
        return endless(what, err, "the same page came again", 0);
    return true;
}
