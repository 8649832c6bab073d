/* The bake: a builder that makes itself ready and powers off, the image of its disk, a smoke boot that proves the
 * image, its publication, the end of older ones, and copies of it in other regions. A pure state machine.
 *
 * The builder's word counts, not its state: it is done when it is stopped and its console has said so with the nonce.
 * Until the image is proven everything is undone when something goes wrong; whatever dies in between carries
 * TAG_LIMITS, also the image and its snapshots, so that the reaper ends it. */
#ifndef MAYFLY_RUNNER_BAKE_H
#define MAYFLY_RUNNER_BAKE_H

#include "mayfly/runner/bake_box.h"
#include "mayfly/runner/bake_region.h"

struct bake {
    struct machine machine; /* first */
    const struct bake_config *config;
    enum bake_phase {
        BAKE_BUILD,
        BAKE_IMAGE,  /* make it, wait for it */
        BAKE_PROVE,  /* boot it */
        BAKE_SPREAD, /* it stays, is published and copied */
    } phase;
    struct bake_box boxes[BAKE_BOXES];
    struct bake_region *regions, *home; /* one or more; home: the first */
    size_t n_regions;
    int64_t deadline;    /* of the proof */
    int64_t hurry_until; /* after a signal; 0: none */
    struct error error;  /* why it failed; ERROR_NONE: it did not */
};

void bake_init(struct bake *b, const struct bake_config *config);
void bake_clear(struct bake *b);
/* The image is proven and stays. */
bool bake_is_proven(const struct bake *b);
/* What could not be undone or ended, in words, owned; NULL: nothing is left. */
char *bake_leftovers(const struct bake *b);

#endif
