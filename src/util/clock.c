#include "mayfly/util/clock.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <time.h>

#include "mayfly/util/encode.h"

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t system_now(void *ctx UNUSED)
{
    return read_clock(CLOCK_REALTIME);
}

static int64_t system_mono(void *ctx UNUSED)
{
    return read_clock(CLOCK_MONOTONIC);
}

static void system_random(void *ctx UNUSED, void *bytes, size_t len)
{
    if (RAND_bytes(bytes, (int)len) != 1) {
        fputs("mayfly: the system gives no random bytes\n", stderr);
        abort();
    }
}

const struct env env_system = { .now = system_now, .mono = system_mono, .random = system_random };

static struct tm utc(int64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm = { 0 };
    gmtime_r(&t, &tm);
    return tm;
}

struct amz_date clock_amz_date(int64_t seconds)
{
    struct tm tm = utc(seconds);
    struct amz_date d = { "" };
    strftime(d.s, sizeof(d.s), "%Y%m%dT%H%M%SZ", &tm);
    return d;
}

struct rfc3339_date clock_rfc3339(int64_t seconds)
{
    struct tm tm = utc(seconds);
    struct rfc3339_date d = { "" };
    strftime(d.s, sizeof(d.s), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return d;
}

/* Exactly n digits at *s, within limits; moves *s. */
static bool digits(const char **s, int n, int min, int max, int *ret)
{
    int v = 0;
    for (int i = 0; i < n; i++, (*s)++) {
        if (**s < '0' || **s > '9')
            return false;
        v = v * 10 + (**s - '0');
    }
    *ret = v;
    return v >= min && v <= max;
}

static bool expect(const char **s, const char *text)
{
    if (!str_starts(*s, text))
        return false;
    *s += strlen(text);
    return true;
}

/* Does the month have that day? */
static bool is_day(int year, int month, int day)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= days[month - 1] + (month == 2 && leap);
}

static int64_t to_epoch(int year, int month, int day, int hour, int minute, int second)
{
    struct tm tm = {
        .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_sec = second
    };
    return (int64_t)timegm(&tm);
}

bool clock_parse_rfc3339(const char *s, int64_t *ret)
{
    int year, month, day, hour, minute, second, offset = 0;
    if (!digits(&s, 4, 1970, 9999, &year) || !expect(&s, "-") || !digits(&s, 2, 1, 12, &month) || !expect(&s, "-") ||
        !digits(&s, 2, 1, 31, &day) || !expect(&s, "T") || !digits(&s, 2, 0, 23, &hour) || !expect(&s, ":") ||
        !digits(&s, 2, 0, 59, &minute) || !expect(&s, ":") || !digits(&s, 2, 0, 60, &second))
        return false;
    if (*s == '.') {
        s++;
        if (*s < '0' || *s > '9')
            return false;
        while (*s >= '0' && *s <= '9')
            s++;
    }
    if (*s == '+' || *s == '-') {
        int sign = *s++ == '+' ? 1 : -1, h, m;
        if (!digits(&s, 2, 0, 23, &h) || !expect(&s, ":") || !digits(&s, 2, 0, 59, &m))
            return false;
        offset = sign * (h * 3600 + m * 60);
    } else if (!expect(&s, "Z")) {
        return false;
    }
    if (*s != '\0' || !is_day(year, month, day))
        return false;
    *ret = to_epoch(year, month, day, hour, minute, second) - offset;
    return true;
}

bool clock_parse_http(const char *s, int64_t *ret)
{
    static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
    int year, month = 0, day, hour, minute, second;
    if (strnlen(s, 5) < 5)
        return false;
    s += 3; /* the name of the day says nothing new */
    if (!expect(&s, ", ") || !digits(&s, 2, 1, 31, &day) || !expect(&s, " "))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(months) && month == 0; i++)
        if (expect(&s, months[i]))
            month = (int)i + 1;
    if (month == 0 || !expect(&s, " ") || !digits(&s, 4, 1970, 9999, &year) || !expect(&s, " ") ||
        !digits(&s, 2, 0, 23, &hour) || !expect(&s, ":") || !digits(&s, 2, 0, 59, &minute) || !expect(&s, ":") ||
        !digits(&s, 2, 0, 60, &second) || !str_eq(s, " GMT") || !is_day(year, month, day))
        return false;
    *ret = to_epoch(year, month, day, hour, minute, second);
    return true;
}

static void skip(const char **s, const char *of)
{
    *s += strspn(*s, of);
}

/* A number of two digits, before which `mark` stands when it does between the others. */
static bool part(const char **s, const char *mark, int min, int max, int *ret)
{
    return expect(s, mark) && digits(s, 2, min, max, ret);
}

/* Z, UTC, GMT, +01:00, +0100, +01. */
static bool zone(const char **s, int *ret_offset)
{
    int sign = **s == '-' ? -1 : 1, hour, minute = 0;
    *ret_offset = 0;
    if (expect(s, "Z") || expect(s, "z") || expect(s, "UTC") || expect(s, "GMT"))
        return true;
    if ((!expect(s, "+") && !expect(s, "-")) || !digits(s, 2, 0, 23, &hour))
        return false;
    if (**s != '\0' && !part(s, **s == ':' ? ":" : "", 0, 59, &minute))
        return false;
    *ret_offset = sign * (hour * 3600 + minute * 60);
    return true;
}

bool clock_parse_lenient(const char *s, int64_t *ret)
{
    static const char blanks[] = " \t\r\n";
    int year, month, day, hour, minute, second = 0, offset;
    skip(&s, blanks);
    AUTO_FREE char *text = xstrdup(s);
    for (size_t n = strlen(text); n > 0 && strchr(blanks, text[n - 1]); n--)
        text[n - 1] = '\0';
    if (clock_parse_http(text, ret))
        return true;
    s = text;
    if (!digits(&s, 4, 1970, 9999, &year))
        return false;
    const char *dash = *s == '-' ? "-" : "";
    if (!part(&s, dash, 1, 12, &month) || !part(&s, dash, 1, 31, &day) || !is_day(year, month, day))
        return false;
    if (*s == 'T' || *s == 't')
        s++;
    else if (*s == ' ')
        skip(&s, " ");
    else
        return false;
    if (!digits(&s, 2, 0, 23, &hour))
        return false;
    const char *colon = *s == ':' ? ":" : "";
    if (!part(&s, colon, 0, 59, &minute))
        return false;
    if ((*colon ? *s == ':' : *s >= '0' && *s <= '9') && !part(&s, colon, 0, 60, &second))
        return false;
    if ((*s == '.' || *s == ',') && s[1] >= '0' && s[1] <= '9') {
        s++;
        skip(&s, "0123456789");
    }
    skip(&s, " ");
    if (!zone(&s, &offset) || *s != '\0')
        return false;
    *ret = to_epoch(year, month, day, hour, minute, second) - offset;
    return true;
}

static const struct {
    char unit;
    int64_t seconds;
} units[] = { { 'd', 86400 }, { 'h', 3600 }, { 'm', 60 }, { 's', 1 } };

bool clock_parse_duration(const char *s, int64_t *ret_seconds)
{
    const int64_t max = 366 * 86400;
    size_t len = strlen(s);
    int64_t unit = 1;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (len > 1 && s[len - 1] == units[i].unit) {
            unit = units[i].seconds;
            len--;
            break;
        }
    }
    AUTO_FREE char *number = xstrndup(s, len);
    uint64_t n;
    if (!parse_uint(number, (uint64_t)(max / unit), &n))
        return false;
    *ret_seconds = (int64_t)n * unit;
    return true;
}

char *clock_format_duration(int64_t seconds)
{
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (seconds != 0 && seconds % units[i].seconds == 0)
            return xasprintf("%lld%c", (long long)(seconds / units[i].seconds), units[i].unit);
    return xstrdup("0s");
}
