/* The clock of the measuring programs: milliseconds, never set back. */
#ifndef NOW_H
#define NOW_H

#include <time.h>

static inline double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

#endif
