/* Time, randomness and sleep, as arguments; and the date formats of AWS, HTTP and GitHub. */
#ifndef MAYFLY_UTIL_CLOCK_H
#define MAYFLY_UTIL_CLOCK_H

#include "mayfly/util/error.h"

/* What a program takes from outside. Tests put their own here, so that they run at any hour in no time. */
struct env {
    int64_t (*now)(void *ctx);                          /* wall clock, milliseconds since 1970 */
    int64_t (*mono)(void *ctx);                         /* milliseconds, never goes back */
    void (*random)(void *ctx, void *bytes, size_t len); /* unpredictable bytes */
    void *ctx;
};

/* The real ones. */
extern const struct env env_system;

static inline int64_t env_now(const struct env *e)
{
    return e->now(e->ctx);
}

static inline int64_t env_mono(const struct env *e)
{
    return e->mono(e->ctx);
}

/* Seconds since 1970 as "20260102T030405Z" (SigV4). */
struct amz_date {
    char s[17];
};
struct amz_date clock_amz_date(int64_t seconds);

/* Seconds since 1970 as "2026-01-02T03:04:05Z" (RFC 3339). */
struct rfc3339_date {
    char s[21];
};
struct rfc3339_date clock_rfc3339(int64_t seconds);

/* "2026-01-02T03:04:05[.digits]Z" to seconds since 1970; also an offset such as +01:00. False for anything else. */
MUST_CHECK bool clock_parse_rfc3339(const char *s, int64_t *ret);
/* "Fri, 02 Jan 2026 03:04:05 GMT" (RFC 9110 IMF-fixdate) to seconds since 1970. False for anything else. */
MUST_CHECK bool clock_parse_http(const char *s, int64_t *ret);
/* What the programs and services that give credentials write for the end of them, as botocore reads it: RFC 3339 or its
 * basic form (20260102T030405Z), with a blank for the T, a small t or z, UTC or GMT for the Z, an offset without its
 * colon or minutes, no seconds; or clock_parse_http's. A time without a zone is none. */
MUST_CHECK bool clock_parse_lenient(const char *s, int64_t *ret);
/* "90s", "10m", "6h", "2d" or a plain number of seconds. False for anything else, and past 366 days. */
MUST_CHECK bool clock_parse_duration(const char *s, int64_t *ret_seconds);
/* The shortest exact form of clock_parse_duration: 600 -> "10m". Owned by the caller. */
char *clock_format_duration(int64_t seconds);

#endif
