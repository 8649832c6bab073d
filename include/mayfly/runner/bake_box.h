/* The builder and the smoke boot of a bake: launched somewhere in the plan, followed by state and console, and judged
 * by what they say. Parts of the state machine of bake.h. */
#ifndef MAYFLY_RUNNER_BAKE_BOX_H
#define MAYFLY_RUNNER_BAKE_BOX_H

#include "mayfly/runner/bake_part.h"
#include "mayfly/runner/pair.h"
#include "mayfly/runner/room.h"

struct bake_box {
    const struct bake_config *config;
    enum bake_role role;
    char *image;        /* of the smoke boot: the new one; NULL: the cell's */
    bool wanted;        /* the bake waits for what it does */
    bool hurry;         /* after a signal */
    struct error error; /* why the bake cannot go on, until its owner has taken it */
    struct pair pair;
    struct room room;
    size_t cell;
    unsigned attempt;     /* part of the client token */
    bool down;            /* the goal */
    int64_t ask_at;       /* RunInstances is not asked before */
    int64_t unseen_until; /* its image was not seen, and may be until then; 0: it was */
    int64_t launched_at, seen_at, follow_at;
    bool looking, reading, reading_late; /* in flight; late: asked for when the box was off already */
    bool old_console;                    /* the type cannot tell its newest */
    enum ec2_state state;
    int64_t off_at; /* seen off; 0: not yet */
    bool read_late;
    char *reason; /* why EC2 says that it is off, or NULL */
    char *console;
    struct strlist told; /* lines of it */
};

enum box_state { BOX_WORKS, BOX_DONE, BOX_FAILED };

void bake_box_init(struct bake_box *x, const struct bake_config *config, enum bake_role role);
void bake_box_clear(struct bake_box *x);
/* Asks for the next thing on the way to its being done; lowers *wake to when it wants to be called again. */
void bake_box_up(struct bake_box *x, int64_t now, struct acts *acts, int64_t *wake);
/* Takes the answer to one of its actions. */
void bake_box_answer(struct bake_box *x, const struct event *e);
/* Done: the builder has said so with the nonce and is stopped, the smoke boot has said so. Failed: *ret_why is set. */
enum box_state bake_box_judge(const struct bake_box *x, int64_t now, struct error *ret_why);
/* Its console has the word; that of a builder counts once it is stopped. */
bool bake_box_says_done(const struct bake_box *x);

#endif
