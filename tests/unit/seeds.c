#include "seeds.h"

#include <inttypes.h>
#include <stdio.h>

#include "mayfly/util/encode.h"
#include "testing.h"

enum { ENOUGH = 1000 }; /* seeds, for every fault to have happened */

static void print_model(uint64_t seed, const struct model *m)
{
    printf("seed %" PRIu64 ": (%d) %s\nthe faults that it takes:\n", seed, m->broken, m->violation);
    for (size_t i = 0; i < m->n_fired; i++)
        printf("  %s: %s\n", fault_name(m->fired[i].fault), m->fired[i].where);
    printf("%s", strbuf_str(&m->trace));
    fflush(stdout);
}

/* Leaves out one fault after the other, as long as the same invariant breaks. */
static void fail_with(const struct seeds *s, uint64_t seed, struct model *m)
{
    uint64_t *masked = NULL;
    size_t n = 0;
    for (size_t i = 0; i < m->n_fired;) {
        struct model without;
        masked = xreallocarray(masked, n + 1, sizeof(*masked));
        masked[n] = m->fired[i].key;
        model_init(&without, seed, masked, n + 1, false);
        s->play(&without, NULL);
        bool smaller = without.broken == m->broken;
        model_clear(smaller ? m : &without);
        i = smaller ? 0 : i + 1;
        n += smaller;
        if (smaller)
            *m = without;
    }
    model_clear(m);
    model_init(m, seed, masked, n, true);
    s->play(m, NULL);
    print_model(seed, m);
    ck_abort_msg("seed %" PRIu64 ": (%d) %s", seed, m->broken, m->violation);
}

static uint64_t number_of(const char *name, uint64_t fallback)
{
    uint64_t n = fallback;
    const char *text = getenv(name);
    if (!str_empty(text))
        ck_assert_msg(parse_uint(text, UINT64_MAX / 2, &n), "%s is not a number", name);
    return n;
}

static void play(struct seeds *s, uint64_t seed)
{
    struct model m;
    model_init(&m, seed, NULL, 0, false);
    s->play(&m, s->counts);
    s->n++;
    for (size_t i = 0; i < m.n_fired; i++)
        s->faults[m.fired[i].fault]++;
    if (m.broken)
        fail_with(s, seed, &m);
    model_clear(&m);
}

bool seeds_play(struct seeds *s, uint64_t many, uint64_t chunk, uint64_t chunks)
{
    uint64_t n = number_of("MAYFLY_MODEL_SEEDS", many), first = number_of("MAYFLY_MODEL_FIRST", 1);
    if (getenv("MAYFLY_MODEL_SEED"))
        return false;
    for (uint64_t i = chunk; i < n; i += chunks)
        play(s, first + i);
    for (enum fault f = FAULT_NONE + 1; f < FAULT_COUNT && getenv("MAYFLY_MODEL_STATS"); f++)
        printf("  %-17s %" PRIu64 "\n", fault_name(f), s->faults[f]);
    fflush(stdout);
    return s->n >= ENOUGH;
}

void seeds_replay(const struct seeds *s)
{
    struct model m;
    uint64_t seed = number_of("MAYFLY_MODEL_SEED", 0);
    if (!getenv("MAYFLY_MODEL_SEED"))
        return;
    model_init(&m, seed, NULL, 0, true);
    s->play(&m, NULL);
    printf("%s", strbuf_str(&m.trace));
    fflush(stdout);
    if (m.broken)
        fail_with(s, seed, &m);
    model_clear(&m);
}

void seeds_compare(const struct seeds *s, uint64_t many)
{
    for (uint64_t seed = 1; seed <= many; seed++) {
        struct model a, b;
        model_init(&a, seed, NULL, 0, true);
        model_init(&b, seed, NULL, 0, true);
        s->play(&a, NULL);
        s->play(&b, NULL);
        ck_assert_str_eq(strbuf_str(&a.trace), strbuf_str(&b.trace));
        model_clear(&a);
        model_clear(&b);
    }
}
