/* What time it is. By the time things are done that cannot be undone, so one clock alone decides nothing: a proxy may
 * answer with a Date of its own, and this machine's clock may be wrong. Two that agree do. Pure. */
#ifndef MAYFLY_RUNNER_CLOCKS_H
#define MAYFLY_RUNNER_CLOCKS_H

#include "mayfly/util/clock.h"

enum clock_source { CLOCK_EC2, CLOCK_GITHUB, CLOCK_OWN, CLOCK_SOURCES };

enum {
    CLOCKS_TOLERANCE = 300, /* seconds by which clocks that agree may differ */
    CLOCKS_KEPT = 31,
};

/* The Date headers of the newest answers, less the monotonic clock. Zero: none yet. */
struct clocks {
    struct clock_samples {
        int64_t ahead[CLOCKS_KEPT]; /* milliseconds */
        size_t n, next;
    } of[CLOCK_OWN];
};

struct clock_times {
    int64_t at[CLOCK_SOURCES]; /* seconds since 1970; 0: unknown */
};

/* source: EC2 or GitHub. date: of a success, seconds since 1970. mono: when it came, milliseconds. */
void clocks_add(struct clocks *c, enum clock_source source, int64_t date, int64_t mono);
/* What each clock says at `mono`; one wrong Date among several does not count. own: this machine's, milliseconds. */
struct clock_times clocks_read(const struct clocks *c, int64_t mono, int64_t own);
/* *ret_now: the earlier of two clocks that agree, EC2's and GitHub's first. False when no two do; *ret_now then is the
 * earliest of all, for display only. */
bool clocks_agree(const struct clock_times *t, int64_t *ret_now);
/* Is this clock known, and far from `now`? */
bool clocks_is_odd(const struct clock_times *t, enum clock_source source, int64_t now);
/* "EC2's clock says 2026-01-02T03:04:05Z, GitHub's nothing, this machine's 2026-…"; owned by the caller. */
char *clocks_format(const struct clock_times *t);

#endif
