#include "mayfly/util/clock.h"
#include "testing.h"

/* --- dates, both ways --------------------------------------------------------------------------------------------- */

START_TEST(formats)
{
    static const struct {
        int64_t seconds;
        const char *amz, *rfc3339;
    } cases[] = {
        { 0, "19700101T000000Z", "1970-01-01T00:00:00Z" },
        { 951782400, "20000229T000000Z", "2000-02-29T00:00:00Z" },
        { 1767323045, "20260102T030405Z", "2026-01-02T03:04:05Z" },
        { 1798761599, "20261231T235959Z", "2026-12-31T23:59:59Z" },
        { 2147483648, "20380119T031408Z", "2038-01-19T03:14:08Z" }, /* past 32 bits */
        { 4102444800, "21000101T000000Z", "2100-01-01T00:00:00Z" },
    };
    int64_t back = -1;
    ck_assert_str_eq(clock_amz_date(cases[_i].seconds).s, cases[_i].amz);
    ck_assert_str_eq(clock_rfc3339(cases[_i].seconds).s, cases[_i].rfc3339);
    ck_assert(clock_parse_rfc3339(cases[_i].rfc3339, &back));
    ck_assert_int_eq(back, cases[_i].seconds);
}
END_TEST

/* Every day and odd second of 60 years comes back as it went. */
START_TEST(round_trip)
{
    for (int64_t t = 0; t < (int64_t)60 * 366 * 86400; t += 86399) {
        int64_t back = -1;
        ck_assert(clock_parse_rfc3339(clock_rfc3339(t).s, &back));
        ck_assert_int_eq(back, t);
    }
}
END_TEST

START_TEST(rfc3339)
{
    static const struct {
        const char *s;
        int64_t want; /* -1: malformed */
    } cases[] = {
        { "2026-01-02T03:04:05Z", 1767323045 },
        { "2026-01-02T03:04:05.000Z", 1767323045 },
        { "2026-01-02T03:04:05.999999999Z", 1767323045 },
        { "2026-01-02T03:04:05+00:00", 1767323045 },
        { "2026-01-02T04:04:05+01:00", 1767323045 },
        { "2026-01-01T21:34:05-05:30", 1767323045 },
        { "2026-01-02T04:04:05.5+01:00", 1767323045 },
        { "2024-02-29T00:00:00Z", 1709164800 },
        { "2016-12-31T23:59:60Z", 1483228800 }, /* a leap second */
        { "", -1 },
        { "2026-01-02", -1 },
        { "2026-01-02T03:04:05", -1 },
        { "2026-01-02T03:04Z", -1 },
        { "2026-01-02 03:04:05Z", -1 },
        { "2026-01-02T03:04:05Z ", -1 },
        { " 2026-01-02T03:04:05Z", -1 },
        { "2026-01-02T03:04:05.Z", -1 },
        { "2026-01-02T03:04:05,5Z", -1 },
        { "2026-1-2T03:04:05Z", -1 },
        { "2026-00-02T03:04:05Z", -1 },
        { "2026-13-02T03:04:05Z", -1 },
        { "2026-01-00T03:04:05Z", -1 },
        { "2026-01-32T03:04:05Z", -1 },
        { "2026-02-29T03:04:05Z", -1 },
        { "2026-04-31T03:04:05Z", -1 },
        { "2100-02-29T03:04:05Z", -1 },
        { "2026-01-02T24:00:00Z", -1 },
        { "2026-01-02T03:60:05Z", -1 },
        { "2026-01-02T03:04:61Z", -1 },
        { "2026-01-02T03:04:05+0100", -1 },
        { "2026-01-02T03:04:05+24:00", -1 },
        { "2026-01-02T03:04:05+01:60", -1 },
        { "2026-01-02T03:04:05+01:00Z", -1 },
        { "1969-12-31T23:59:59Z", -1 },
        { "-026-01-02T03:04:05Z", -1 },
        { "2026-01-02T03:04:05Z\n", -1 },
    };
    int64_t t = -77;
    ck_assert_int_eq(clock_parse_rfc3339(cases[_i].s, &t), cases[_i].want >= 0);
    ck_assert_int_eq(t, cases[_i].want >= 0 ? cases[_i].want : -77);
}
END_TEST

START_TEST(lenient)
{
    static const struct {
        const char *s;
        int64_t want; /* -1: malformed */
    } cases[] = {
        { "2026-01-02T03:04:05Z", 1767323045 },
        { "2026-01-02 03:04:05+00:00", 1767323045 }, /* Python's str() of a time */
        { "2026-01-02 03:04:05.123456+00:00", 1767323045 },
        { "2026-01-02T03:04:05,5Z", 1767323045 },
        { "2026-01-02t03:04:05z", 1767323045 },
        { "2026-01-02T03:04:05+0000", 1767323045 },
        { "2026-01-02T04:04:05+01", 1767323045 },
        { "2026-01-01T21:34:05-0530", 1767323045 },
        { "2026-01-02T03:04:05UTC", 1767323045 },
        { "2026-01-02 03:04:05 UTC", 1767323045 },
        { "2026-01-02 03:04:05 GMT", 1767323045 },
        { "2026-01-02 03:04:05 +0000", 1767323045 },
        { "20260102T030405Z", 1767323045 },
        { "2026-01-02T03:04Z", 1767323040 },
        { " 2026-01-02T03:04:05Z\r\n", 1767323045 },
        { "Fri, 02 Jan 2026 03:04:05 GMT", 1767323045 },
        { "2026-01-02T03:04:05", -1 }, /* of which zone? */
        { "2026-01-02 03:04:05.5", -1 },
        { "2026-01-02", -1 },
        { "2026-01-02Z", -1 },
        { "2026-01-02T", -1 },
        { "2026-01-02T03Z", -1 },
        { "2026-01-02T03:Z", -1 },
        { "2026-01-02T03:04:Z", -1 },
        { "2026-01-02T03:04:05.Z", -1 },
        { "2026-01-02T03:04:05.1.2Z", -1 },
        { "2026-01-02T03:0405Z", -1 },
        { "2026-0102T03:04:05Z", -1 },
        { "2026-02-29 03:04:05Z", -1 },
        { "2026-13-02 03:04:05Z", -1 },
        { "2026-01-02 24:04:05Z", -1 },
        { "2026-01-02 03:04:05+24:00", -1 },
        { "2026-01-02 03:04:05+1:00", -1 },
        { "2026-01-02 03:04:05+01:", -1 },
        { "2026-01-02 03:04:05+01:00 x", -1 },
        { "2026-01-02 03:04:05 EST", -1 },
        { "2026-01-02 03:04:05 utc+1", -1 },
        { "1767323045", -1 },
        { "tomorrow", -1 },
        { "", -1 },
        { " ", -1 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t t = -77;
        ck_assert_msg(clock_parse_lenient(cases[i].s, &t) == (cases[i].want >= 0), "`%s`", cases[i].s);
        ck_assert_int_eq(t, cases[i].want >= 0 ? cases[i].want : -77);
    }
}
END_TEST

START_TEST(http)
{
    static const struct {
        const char *s;
        int64_t want;
    } cases[] = {
        { "Fri, 02 Jan 2026 03:04:05 GMT", 1767323045 },
        { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
        { "Thu, 31 Dec 2026 23:59:59 GMT", 1798761599 },
        { "Thu, 29 Feb 2024 00:00:00 GMT", 1709164800 },
        { "", -1 },
        { "Fri", -1 },
        { "Fri,", -1 },
        { "Fri, ", -1 },
        { "Fri, 2 Jan 2026 03:04:05 GMT", -1 },
        { "Fri, 02 jan 2026 03:04:05 GMT", -1 },
        { "Fri, 02 Foo 2026 03:04:05 GMT", -1 },
        { "Fri, 30 Feb 2026 03:04:05 GMT", -1 },
        { "Fri, 02 Jan 26 03:04:05 GMT", -1 },
        { "Fri, 02 Jan 2026 03:04:05 UTC", -1 },
        { "Fri, 02 Jan 2026 03:04:05", -1 },
        { "Fri, 02 Jan 2026 03:04:05 GMT ", -1 },
        { "Friday, 02-Jan-26 03:04:05 GMT", -1 },
        { "Fri Jan  2 03:04:05 2026", -1 },
        { "2026-01-02T03:04:05Z", -1 },
    };
    int64_t t = -77;
    ck_assert_int_eq(clock_parse_http(cases[_i].s, &t), cases[_i].want >= 0);
    ck_assert_int_eq(t, cases[_i].want >= 0 ? cases[_i].want : -77);
}
END_TEST

/* --- durations ---------------------------------------------------------------------------------------------------- */

START_TEST(durations)
{
    static const struct {
        const char *s;
        int64_t want;
        const char *shortest;
    } cases[] = {
        { "0", 0, "0s" },
        { "0s", 0, "0s" },
        { "1", 1, "1s" },
        { "90", 90, "90s" },
        { "90s", 90, "90s" },
        { "600", 600, "10m" },
        { "10m", 600, "10m" },
        { "60m", 3600, "1h" },
        { "6h", 21600, "6h" },
        { "24h", 86400, "1d" },
        { "366d", 31622400, "366d" },
        { "31622400s", 31622400, "366d" },
        { "007", 7, "7s" },
        { "367d", -1, NULL },
        { "31622401", -1, NULL },
        { "99999999999999999999", -1, NULL },
        { "18446744073709551616s", -1, NULL },
        { "", -1, NULL },
        { "s", -1, NULL },
        { "m", -1, NULL },
        { "-1", -1, NULL },
        { "+1", -1, NULL },
        { "1.5h", -1, NULL },
        { "1h30m", -1, NULL },
        { "10 m", -1, NULL },
        { " 10m", -1, NULL },
        { "10m ", -1, NULL },
        { "10M", -1, NULL },
        { "10ms", -1, NULL },
        { "1w", -1, NULL },
        { "ten", -1, NULL },
    };
    int64_t seconds = -77;
    ck_assert_int_eq(clock_parse_duration(cases[_i].s, &seconds), cases[_i].want >= 0);
    ck_assert_int_eq(seconds, cases[_i].want >= 0 ? cases[_i].want : -77);
    if (cases[_i].shortest) {
        AUTO_FREE char *text = clock_format_duration(seconds);
        ck_assert_str_eq(text, cases[_i].shortest);
    }
}
END_TEST

/* The real sources at least move the right way. */
START_TEST(system_clock)
{
    unsigned char a[32] = { 0 }, b[32] = { 0 };
    int64_t mono = env_mono(&env_system);
    ck_assert_int_gt(env_now(&env_system), (int64_t)1700000000 * 1000);
    ck_assert_int_ge(env_mono(&env_system), mono);
    env_system.random(NULL, a, sizeof(a));
    env_system.random(NULL, b, sizeof(b));
    ck_assert(memcmp(a, b, sizeof(a)) != 0);
}
END_TEST

static TCase *cases(void)
{
    TCase *t = tcase_create("clock");
    tcase_add_loop_test(t, formats, 0, 6);
    tcase_add_test(t, round_trip);
    tcase_add_loop_test(t, rfc3339, 0, 36);
    tcase_add_test(t, lenient);
    tcase_add_loop_test(t, http, 0, 19);
    tcase_add_loop_test(t, durations, 0, 31);
    tcase_add_test(t, system_clock);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { cases };
    return run_suite("clock", all, ARRAY_SIZE(all));
}
