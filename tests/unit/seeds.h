/* Many seeds of the model, or one of them.
 *
 * MAYFLY_MODEL_SEEDS=n plays n seeds (from MAYFLY_MODEL_FIRST on, which tests/unit/run makes of the commit),
 * MAYFLY_MODEL_SEED=n one of them with its trace, MAYFLY_MODEL_STATS=1 prints how often each fault happened. A seed
 * that breaks an invariant is printed with the least faults that break the same one, and fails the test. */
#ifndef MAYFLY_TESTS_SEEDS_H
#define MAYFLY_TESTS_SEEDS_H

#include "model.h"

struct seeds {
    void (*play)(struct model *m, void *counts); /* a whole life; counts: its own, or NULL: not to be counted */
    void *counts;
    uint64_t faults[FAULT_COUNT], n; /* that happened; seeds that were played */
};

/* Every `chunks`th of the seeds, from `chunk` on. False: there is nothing to conclude, one seed or few were asked for.
 */
bool seeds_play(struct seeds *s, uint64_t many, uint64_t chunk, uint64_t chunks);
/* The seed of MAYFLY_MODEL_SEED. */
void seeds_replay(const struct seeds *s);
/* The same seed is the same run, to the byte: without this nothing can be replayed. */
void seeds_compare(const struct seeds *s, uint64_t many);

#endif
