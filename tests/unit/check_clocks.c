#include "mayfly/runner/clocks.h"
#include "testing.h"

enum { NOW = 1700000000, HOUR = 3600 };

/* Three clocks, 0: unknown. */
START_TEST(two_that_agree_decide)
{
    static const struct {
        int64_t ec2, github, own;
        bool agree;
        int64_t now;
    } cases[] = {
        { NOW, NOW, NOW, true, NOW },
        { NOW + 2, NOW, NOW, true, NOW }, /* the earlier of EC2's and GitHub's */
        { NOW, NOW + 2, NOW - 9, true, NOW },
        { NOW + 7 * HOUR, NOW, NOW, true, NOW }, /* one is wrong, in any direction */
        { NOW + 24 * HOUR, NOW, NOW + 300, true, NOW },
        { NOW + 8760 * HOUR, NOW, NOW, true, NOW },
        { NOW - 8760 * HOUR, NOW, NOW, true, NOW },
        { NOW, NOW + 7 * HOUR, NOW, true, NOW },
        { NOW, NOW - 7 * HOUR, NOW, true, NOW },
        { NOW, NOW, NOW + 7 * HOUR, true, NOW },
        { NOW, NOW, NOW - 7 * HOUR, true, NOW },
        { NOW, NOW + 300, NOW + HOUR, true, NOW }, /* five minutes, and one second more */
        { NOW, NOW + 301, NOW + HOUR, false, NOW },
        { NOW, NOW + 301, NOW + 302, true, NOW + 301 },
        { NOW, NOW + HOUR, NOW + 2 * HOUR, false, NOW },
        { NOW + HOUR, 0, NOW, false, NOW }, /* GitHub could not be asked */
        { NOW + 10, 0, NOW, true, NOW },
        { 0, NOW, NOW + 10, true, NOW },
        { 0, 0, NOW, false, NOW },
        { NOW, 0, 0, false, NOW },
        { 0, 0, 0, false, 0 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct clock_times t = { .at = { cases[i].ec2, cases[i].github, cases[i].own } };
        int64_t now = -1;
        ck_assert_msg(clocks_agree(&t, &now) == cases[i].agree && now == cases[i].now, "case %zu: %lld", i,
                      (long long)now);
    }
}
END_TEST

static struct clock_times read_at(const struct clocks *c, int64_t mono)
{
    return clocks_read(c, mono, (int64_t)NOW * 1000 + mono);
}

/* Many answers of a source, one or some of them wrong; they come at different moments. */
START_TEST(one_wrong_date_does_not_count)
{
    static const int64_t wrong[] = { 7 * HOUR, -7 * HOUR, 8760 * HOUR, -(int64_t)NOW };
    for (size_t k = 0; k < ARRAY_SIZE(wrong); k++)
        for (size_t n = 1; n <= 100; n++)
            for (size_t at = 0; at < n && n > 2; at += 7) {
                struct clocks c = { 0 };
                for (size_t i = 0; i < n; i++)
                    clocks_add(&c, CLOCK_EC2, NOW + (int64_t)i + (i == at ? wrong[k] : 0), (int64_t)i * 1000);
                ck_assert_int_eq(read_at(&c, (int64_t)n * 1000).at[CLOCK_EC2], NOW + (int64_t)n);
            }
}
END_TEST

/* Of two the earlier counts, since what is younger stays. */
START_TEST(of_two_dates_the_earlier_counts)
{
    struct clocks c = { 0 };
    clocks_add(&c, CLOCK_GITHUB, NOW + 7 * HOUR, 0);
    clocks_add(&c, CLOCK_GITHUB, NOW, 0);
    ck_assert_int_eq(read_at(&c, 0).at[CLOCK_GITHUB], NOW);
    ck_assert_int_eq(read_at(&c, 0).at[CLOCK_EC2], 0);
    ck_assert_int_eq(read_at(&c, 0).at[CLOCK_OWN], NOW);
}
END_TEST

START_TEST(what_is_no_date_does_not_count)
{
    struct clocks c = { 0 };
    clocks_add(&c, CLOCK_EC2, 0, 0);
    clocks_add(&c, CLOCK_EC2, -NOW, 0);
    clocks_add(&c, CLOCK_EC2, INT64_MAX, 0);
    ck_assert_int_eq(read_at(&c, 0).at[CLOCK_EC2], 0);
}
END_TEST

START_TEST(the_odd_one_is_named)
{
    const struct clock_times t = { .at = { NOW + 7 * HOUR, NOW, 0 } };
    AUTO_FREE char *text = clocks_format(&t);
    ck_assert(clocks_is_odd(&t, CLOCK_EC2, NOW));
    ck_assert(!clocks_is_odd(&t, CLOCK_GITHUB, NOW));
    ck_assert(!clocks_is_odd(&t, CLOCK_OWN, NOW));
    ck_assert_str_eq(text,
                     "EC2's clock says 2023-11-15T05:13:20Z, GitHub's 2023-11-14T22:13:20Z, this machine's nothing");
}
END_TEST

static TCase *clocks(void)
{
    TCase *t = tcase_create("clocks");
    tcase_add_test(t, two_that_agree_decide);
    tcase_add_test(t, one_wrong_date_does_not_count);
    tcase_add_test(t, of_two_dates_the_earlier_counts);
    tcase_add_test(t, what_is_no_date_does_not_count);
    tcase_add_test(t, the_odd_one_is_named);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { clocks };
    return run_suite("clocks", all, ARRAY_SIZE(all));
}
