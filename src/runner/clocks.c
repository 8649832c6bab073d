#include "mayfly/runner/clocks.h"

#include "mayfly/util/strbuf.h"

void clocks_add(struct clocks *c, enum clock_source source, int64_t date, int64_t mono)
{
    struct clock_samples *s = &c->of[source];
    if (date <= 0 || date > INT64_MAX / 2000)
        return;
    s->ahead[s->next] = date * 1000 - mono;
    s->next = (s->next + 1) % CLOCKS_KEPT;
    s->n += s->n < CLOCKS_KEPT;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

struct clock_times clocks_read(const struct clocks *c, int64_t mono, int64_t own)
{
    struct clock_times t = { .at[CLOCK_OWN] = own / 1000 };
    for (size_t k = 0; k < CLOCK_OWN; k++) {
        struct clock_samples s = c->of[k];
        if (s.n == 0)
            continue;
        qsort(s.ahead, s.n, sizeof(s.ahead[0]), by_value);
        t.at[k] = (s.ahead[(s.n - 1) / 2] + mono) / 1000; /* of two the earlier */
    }
    return t;
}

static bool near(int64_t a, int64_t b)
{
    return a > b ? a - b <= CLOCKS_TOLERANCE : b - a <= CLOCKS_TOLERANCE;
}

bool clocks_agree(const struct clock_times *t, int64_t *ret_now)
{
    static const enum clock_source pairs[][2] = { { CLOCK_EC2, CLOCK_GITHUB },
                                                  { CLOCK_EC2, CLOCK_OWN },
                                                  { CLOCK_GITHUB, CLOCK_OWN } };
    int64_t earliest = 0;
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        int64_t a = t->at[pairs[i][0]], b = t->at[pairs[i][1]];
        if (a > 0 && b > 0 && near(a, b)) {
            *ret_now = a < b ? a : b;
            return true;
        }
    }
    for (size_t k = 0; k < CLOCK_SOURCES; k++)
        if (t->at[k] > 0 && (earliest == 0 || t->at[k] < earliest))
            earliest = t->at[k];
    *ret_now = earliest;
    return false;
}

bool clocks_is_odd(const struct clock_times *t, enum clock_source source, int64_t now)
{
    return t->at[source] > 0 && !near(t->at[source], now);
}

char *clocks_format(const struct clock_times *t)
{
    static const char *const whose[] = { "EC2's clock says", "GitHub's", "this machine's" };
    AUTO_STRBUF text = STRBUF_INIT;
    for (size_t k = 0; k < CLOCK_SOURCES; k++)
        strbuf_addf(&text, "%s%s %s", k ? ", " : "", whose[k], t->at[k] > 0 ? clock_rfc3339(t->at[k]).s : "nothing");
    return strbuf_steal(&text);
}
