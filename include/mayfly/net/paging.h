/* The one place that says whether a list goes on: what a server says about further pages is not taken for granted.
 * Pure.
 *
 * A list ends in an error, and nothing is decided by it, when what names the next page comes back, when page after page
 * has no rows, and when there are more pages or rows than anybody has. */
#ifndef MAYFLY_NET_PAGING_H
#define MAYFLY_NET_PAGING_H

#include "mayfly/util/error.h"

enum {
    PAGING_PAGES = 1000,  /* of one list */
    PAGING_EMPTY = 100,   /* pages without a row, one after the other; EC2 has some when it filters */
    PAGING_ROWS = 100000, /* of all pages */
};

struct paging { /* all zero: before the first page */
    unsigned pages, empty;
    size_t rows;
    uint64_t mark;         /* of the page that later ones are compared with (R. P. Brent's way to find a cycle) */
    unsigned steps, power; /* since that page; until another takes its place */
};

/* A page with so many rows came, which says that there is a next one. mark: what names that next page, or the page
 * itself where pages are counted: the same bytes mean the same page. what: of whose list, for the error. True: ask for
 * it. */
MUST_CHECK bool paging_next(struct paging *p, size_t rows, const void *mark, size_t mark_len, const char *what,
                            struct error *err);

#endif
