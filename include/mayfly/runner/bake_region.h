/* The image of a bake in one region: made, shared and kept once it is proven, published; and the end of older ones of
 * its name. A part of the state machine of bake.h, one for each region, each by itself.
 *
 * In the home region it is made from the builder and stays once it is proven. In others it is a copy of that, of the
 * same bytes and as good as proven; it carries TAG_LIMITS until it is about to be published, and is undone if it cannot
 * be. */
#ifndef MAYFLY_RUNNER_BAKE_REGION_H
#define MAYFLY_RUNNER_BAKE_REGION_H

#include "mayfly/runner/bake_part.h"
#include "mayfly/util/clock.h"

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
/* When what is replaced at `now` (EC2's clock) is deprecated: in a minute or two more than `after`, all seconds, so
 * that it is to come when the request arrives, however EC2 rounds. Pure. */
int64_t bake_deprecate_at(int64_t now, int64_t after);

struct bake_region {
    struct bake_part part;
    struct ec2_new_image new_image; /* what is asked for */
    char *client_token;             /* of a copy */
    int64_t began, deadline;        /* of the making; the deadline of a copy alone */
    enum bake_region_phase {
        REGION_IDLE,  /* there is nothing to make it from */
        REGION_MAKE,  /* and wait for it */
        REGION_MADE,  /* to be proven */
        REGION_SHARE, /* while it can still be undone */
        REGION_KEEP,  /* take TAG_LIMITS away: from here on it stays; copies come here from REGION_READ */
        REGION_READ,  /* the parameter */
        REGION_PUBLISH,
        REGION_SAVE, /* what it was: not before it is something else, or what the last bake saved would be lost */
        REGION_LIST, /* the images of the name */
        REGION_USED, /* which of them instances run */
        REGION_REMOVE,
        REGION_DEPRECATE, /* one by one, what stays */
        REGION_DONE,
    } phase;
    struct {
        char *id;
        struct strlist snapshots;
        bool asked, maybe, looking, listed; /* asked: it is being asked for; maybe: it may exist */
        bool unsure;                        /* no answer named it */
        bool lost;                          /* the answer to some attempt was */
        bool sought;                        /* its snapshots, by their description */
        int64_t since, ask_at;              /* since: it may exist */
        int64_t looked_at;                  /* the last time that it, or its snapshots, were looked for */
        int64_t unseen_until;               /* what it is made from was not seen, and may be until then; 0: it was */
        char *state;                        /* the last told */
    } image;
    bool asked;                      /* a phase's one action is in flight */
    enum bake_region_phase asked_in; /* whose */
    int64_t again_at, again_until;   /* it was refused for now and is asked for again; 0: it was not */
    char *previous, *previous_name;  /* what the parameter was, or NULL; where that is kept */
    bool published;
    bool named;            /* an answer left that it may be named by the parameter: it has to be there */
    unsigned lost_answers; /* of PutParameter: what came of a publication is read */
    struct error lost;     /* why the last one was */
    struct bake_old *old;
    size_t n_old;
    size_t aging; /* of old: the one that is being deprecated */
    struct rfc3339_date deprecate_at;
    struct strlist spared, going;                                     /* ids */
    struct ec2_filter by_name[1], by_tags[3], by_use[2], of_image[2]; /* of_image: snapshots */
    struct strlist name, fleet, role, kind, live, ids, description;
    struct bake_removal *removals; /* the undone image is one */
    size_t n_removals;
    bool undoing;
    int64_t find_until;   /* an image that may exist is looked for until then */
    struct error error;   /* why it failed; ERROR_NONE: it did not */
    struct error pruning; /* why older images are as they were */
};

/* part: 0 is the home region, others are those of config->copies in their order. */
void bake_region_init(struct bake_region *r, const struct bake_config *config, size_t part);
void bake_region_clear(struct bake_region *r);

/* It can be made now, from this instance, or as a copy of this image of the home region. */
void bake_region_make(struct bake_region *r, const char *source, int64_t now);
/* It is proven, or was not to be: it goes on from REGION_MADE, as copies do by themselves. */
void bake_region_keep(struct bake_region *r);
/* Takes the answer to one of its actions, or a page of it. */
void bake_region_answer(struct bake_region *r, const struct event *e);
/* It cannot go on: the first reason is told, and what does not stay is undone. Once it is published that only ends its
 * work on older ones. */
void bake_region_fail(struct bake_region *r, const struct error *why);
/* All is to be over by then. */
void bake_region_hurry(struct bake_region *r, int64_t until);
/* Asks for the next things; lowers *wake to when it wants to be called again. */
void bake_region_advance(struct bake_region *r, int64_t now, struct acts *acts, int64_t *wake);
/* Asks for the next removals, of older images or of what is undone; after bake_region_advance. */
void bake_region_end(struct bake_region *r, int64_t now, struct acts *acts, int64_t *wake);
/* Nothing is left to do, or nothing can be begun. */
bool bake_region_is_settled(const struct bake_region *r);
/* Of the home region: the image is proven and stays. */
bool bake_region_is_kept(const struct bake_region *r);
/* The parameter names the image, or may: also when its publication was not answered. */
bool bake_region_is_named(const struct bake_region *r);
/* Appends what could not be undone or removed, in words. */
void bake_region_leftovers(const struct bake_region *r, struct strbuf *text);

#endif
