/* The bake: a builder that makes itself ready and powers off, the image of its disk, a smoke boot that proves the
 * image, its publication, and the end of older ones. A pure state machine.
 *
 * The builder's word counts, not its state: it is done when it is stopped and its console has said so with the nonce.
 * Until the image is proven everything is undone when something goes wrong; whatever dies in between carries
 * TAG_LIMITS, also the image and its snapshots, so that the reaper ends it. */
#ifndef MAYFLY_RUNNER_BAKE_H
#define MAYFLY_RUNNER_BAKE_H

#include "mayfly/runner/bake_box.h"
#include "mayfly/util/clock.h"

struct bake_config {            /* borrowed, valid as long as the bake */
    const char *name, *fleet;   /* whose older images are looked for: TAG_NAME, TAG_FLEET */
    const char *nonce;          /* of the console's last word */
    struct ec2_new_image image; /* but for instance_id; its name is nobody else's */
    const struct plan *plan;    /* at least one cell, of one region */
    bool smoke;
    const char *parameter; /* where the image is published; the one of before goes to PARAMETER/previous; or NULL */
    const struct strlist *share; /* with these accounts; or NULL */
    size_t keep;                 /* so many images of the name are kept, the new one counted; 0: all */
    int64_t deprecate_after;     /* seconds; older images that stay are deprecated so long after this one; 0: never */
    int64_t timeout_ms;          /* from the start to a proven image */
    /* The parameters of RunInstances; image: of the smoke boot, NULL: the cell's. Strings go into the arena. */
    void (*render)(void *ctx, enum bake_role role, const struct cell *cell, const char *image, struct arena *arena,
                   struct ec2_run *ret);
    /* Progress, for a person. who: "builder", "image", "smoke". */
    void (*tell)(void *ctx, const char *who, const char *what);
    void *ctx;
};

/* An image that goes, and then its snapshots. */
struct bake_removal {
    char *id;
    struct strlist snapshots;
    size_t next; /* snapshot */
    bool image_gone, asked, done;
    int64_t ask_at, give_up_at;
    struct error error; /* why it is not gone */
};

/* An image of the name, as its tags say. */
struct bake_old {
    char *id, *created;
    struct strlist snapshots;
    bool proven; /* without TAG_LIMITS */
    bool kept;   /* TAG_KEEP */
    bool late;   /* and older than that says */
    bool goes;
    bool deprecated; /* from then on or already: it is said once, by the bake that replaces it */
};

/* Which of the images go: the proven ones beyond the `keep` newest, and those that were never proven and are late;
 * never one that is kept or one of the spared ids. Pure. */
void bake_choose(struct bake_old *v, size_t n, size_t keep, const struct strlist *spared);

struct bake {
    struct machine machine; /* first */
    const struct bake_config *config;
    struct ec2_new_image new_image;
    enum bake_phase {
        BAKE_BUILD,
        BAKE_IMAGE, /* make it, wait for it */
        BAKE_PROVE, /* boot it */
        BAKE_KEEP,  /* take TAG_LIMITS away: from here on it stays */
        BAKE_SHARE,
        BAKE_READ, /* the parameter */
        BAKE_SAVE, /* what it was */
        BAKE_PUBLISH,
        BAKE_LIST, /* the images of the name */
        BAKE_USED, /* which of them instances run */
        BAKE_REMOVE,
        BAKE_DEPRECATE, /* one by one, what stays */
        BAKE_DONE,
    } phase;
    struct bake_box boxes[BAKE_BOXES];
    struct {
        char *id;
        struct strlist snapshots;
        bool asked, maybe, looking, listed; /* asked: CreateImage is in flight; maybe: it may exist */
        bool unsure;                        /* no answer named it */
        int64_t since, ask_at;              /* since: it may exist */
        char *state;                        /* the last told */
    } image;
    bool asked;               /* a phase's one action is in flight */
    enum bake_phase asked_in; /* whose */
    int64_t deadline;
    char *previous, *previous_name; /* what the parameter was, or NULL; where that is kept */
    bool published;
    unsigned lost_answers; /* of PutParameter: what came of them is read */
    struct bake_old *old;
    size_t n_old;
    size_t aging; /* of old: the one that is being deprecated */
    struct rfc3339_date deprecate_at;
    struct strlist spared, going; /* ids */
    struct ec2_filter by_name[1], by_tags[3], by_use[2];
    struct strlist name, fleet, role, kind, live, ids;
    struct bake_removal *removals; /* the undone image is one */
    size_t n_removals;
    bool undoing;
    int64_t find_until;   /* an image that may exist is looked for until then */
    int64_t hurry_until;  /* after a signal; 0: none */
    struct error error;   /* why it failed; ERROR_NONE: it did not */
    struct error pruning; /* why older images are as they were */
};

void bake_init(struct bake *b, const struct bake_config *config);
void bake_clear(struct bake *b);
/* When what is replaced at `now` (EC2's clock) is deprecated: in a minute or two more than `after`, all seconds, so
 * that it is to come when the request arrives, however EC2 rounds. Pure. */
int64_t bake_deprecate_at(int64_t now, int64_t after);
/* The image is proven and stays. */
bool bake_is_proven(const struct bake *b);
/* What could not be undone or ended, in words, owned; NULL: nothing is left. */
char *bake_leftovers(const struct bake *b);

/* It cannot go on: the first reason is told, and what is not proven is undone. */
void bake_fail(struct bake *b, const struct error *why);

#endif
