/* Rate limits of the kind that a client should not meet: EC2's bucket of RunInstances in each region, and GitHub's of
 * just-in-time configurations in each minute. Both are off unless the options say otherwise. */

#include "rates.h"
#include "rows.h"
#include "sim.h"

#include "mayfly/util/encode.h"

enum { RATE_MAX = 1000000, TOKEN = 1000, MINUTE_MS = 60000 };

bool rates_parse(const char *text, struct sim_options *ret, struct error *err)
{
    AUTO_STRLIST parts = { 0 };
    uint64_t rate, burst;
    if (str_empty(text))
        return true;
    strlist_split(&parts, text, ",");
    if (parts.n != 2 || !parse_uint(parts.v[0], RATE_MAX, &rate) || !parse_uint(parts.v[1], RATE_MAX, &burst) ||
        burst == 0)
        return error_set(err, ERROR_USAGE, 0, "--run-rate: `%s` is not PER_SECOND,BURST", text);
    ret->run_rate = (int64_t)rate;
    ret->run_burst = (int64_t)burst;
    return true;
}

/* The bucket of a region, refilled up to now. */
static struct bucket *bucket_of(struct sim *s, const char *region)
{
    size_t i = 0;
    while (i < s->n_buckets && !str_eq(s->buckets[i].region, region))
        i++;
    int64_t now = sim_now(s), most = s->options.run_burst * TOKEN;
    if (i == s->n_buckets) {
        struct bucket fresh = { .region = xstrdup(region), .tokens = most, .at = now };
        ROW_ADD(s->buckets, s->n_buckets, fresh);
    }
    struct bucket *b = &s->buckets[i];
    if (now > b->at) /* a rate per second is as many thousandths per millisecond */
        b->tokens += (now - b->at) * s->options.run_rate;
    b->at = now;
    b->tokens = b->tokens < most ? b->tokens : most;
    return b;
}

bool rates_take_run(struct sim *s, const char *region)
{
    if (!s->options.run_burst)
        return true;
    struct bucket *b = bucket_of(s, region);
    if (b->tokens < TOKEN) {
        s->refused_runs++;
        return false;
    }
    b->tokens -= TOKEN;
    return true;
}

/* The times of the last ones are a ring, the oldest at the place that is written next. */
bool rates_take_mint(struct sim *s, int64_t *ret_wait)
{
    int64_t now = sim_now(s);
    size_t most = (size_t)s->options.mint_rate;
    if (most == 0)
        return true;
    if (!s->mints)
        s->mints = xcalloc(most, sizeof(*s->mints));
    int64_t *oldest = &s->mints[s->next_mint];
    if (*oldest && now < *oldest + MINUTE_MS && now >= *oldest) {
        s->refused_mints++;
        *ret_wait = (*oldest + MINUTE_MS - now + 999) / 1000;
        return false;
    }
    *oldest = now;
    s->next_mint = (s->next_mint + 1) % most;
    return true;
}

void rates_clear(struct sim *s)
{
    for (size_t i = 0; i < s->n_buckets; i++)
        free(s->buckets[i].region);
    free(s->buckets);
    free(s->mints);
    s->buckets = NULL;
    s->mints = NULL;
    s->n_buckets = s->next_mint = 0;
    s->refused_runs = s->refused_mints = 0;
}
