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

struct bake_config {            /* borrowed, valid as long as the bake */
    const char *name, *fleet;   /* whose older images are looked for: TAG_NAME, TAG_FLEET */
    const char *nonce;          /* of the console's last word */
    struct ec2_new_image image; /* but for instance_id; its name is nobody else's */
    const struct plan *plan;    /* at least one cell, of one region */
    bool smoke;
    const char *parameter; /* where the image is published; the one of before goes to PARAMETER/previous; or NULL */
    const struct strlist *share;  /* with these accounts; or NULL */
    size_t keep;                  /* so many images of the name are kept, the new one counted; 0: all */
    int64_t deprecate_after;      /* seconds; older images that stay are deprecated so long after this one; 0: never */
    int64_t timeout_s;            /* as it was asked for: what is told */
    int64_t timeout_ms;           /* from the start of the machine to a proven image */
    const struct strlist *copies; /* further regions, each once, not the home region; or NULL */
    int64_t copy_timeout_ms;      /* from then on, until each copy is available */
    /* The parameters of RunInstances; image: of the smoke boot, NULL: the cell's. Strings go into the arena. */
    void (*render)(void *ctx, enum bake_role role, const struct cell *cell, const char *image, struct arena *arena,
                   struct ec2_run *ret);
    /* Progress, for a person. who: "builder", "image", "smoke", or a region of the copies. */
    void (*tell)(void *ctx, const char *who, const char *what);
    void *ctx;
};

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

/* It cannot go on: the first reason is told, and what is not proven is undone. */
void bake_fail(struct bake *b, const struct error *why);

#endif
