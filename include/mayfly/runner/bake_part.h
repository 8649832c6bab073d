/* What the parts of a bake share: its configuration, and the small things that each of them does. */
#ifndef MAYFLY_RUNNER_BAKE_PART_H
#define MAYFLY_RUNNER_BAKE_PART_H

#include "mayfly/runner/cloud.h"
#include "mayfly/runner/plan.h"

enum bake_role { BAKE_BUILDER, BAKE_SMOKE, BAKE_BOXES };

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

/* One region of a bake. */
struct bake_part {
    const struct bake_config *config;
    size_t n; /* of its actions; 0: the home region, others are those of config->copies in their order */
    const char *region;
    int64_t hurry_until; /* after a signal: all is to be over by then; 0: there was none */
};

/* Is its image a copy of the home region's? */
bool bake_is_copy(const struct bake_part *p);
/* Reports progress: of the image, or of a copy by its region. */
void bake_tell(const struct bake_part *p, const char *what);
/* Adds an action in its region. */
void bake_ask(const struct bake_part *p, struct acts *acts, struct act act);
/* Lowers *wake to `when`. */
void bake_wake_at(int64_t *wake, int64_t when);

/* EC2 refuses what it may not have seen everywhere yet. True: it is to be asked for again, for a minute from the first
 * such refusal, *until; false: that is over, or the refusal is another one. */
bool bake_is_unseen(const char *call, const struct error *err, int64_t now, int64_t *until);
/* Milliseconds until the next look: a tenth of those that have passed, within bounds. */
int64_t bake_ease(int64_t passed);
/* The client token of what `input` describes, owned: the same input, the same token. */
char *bake_client_token(const char *input);
/* Appends what could not be undone or removed, in words. why: ERROR_NONE when it is not known. */
void bake_add_leftover(struct strbuf *text, const char *what, const char *id, const struct error *why);

#endif
