/* A runner record and its instance, and the one safe way to end both: the record first, since a runner without a record
 * gets no job, then the instance. launch undoes with it, stop and reap end with it. Pure. */
#ifndef MAYFLY_RUNNER_PAIR_H
#define MAYFLY_RUNNER_PAIR_H

#include "mayfly/runner/cloud.h"

enum record_state {
    RECORD_NONE,     /* there is none, or none that is ours to end */
    RECORD_MINTING,  /* asked for */
    RECORD_UNSURE,   /* asked for, and the answer was lost */
    RECORD_FINDING,  /* looking it up by name */
    RECORD_HAVE,     /* runner_id is known */
    RECORD_DELETING, /* asked for */
    RECORD_GONE,     /* deleted, or was not there */
    RECORD_BUSY,     /* deletion refused: it runs a job */
    RECORD_STUCK,    /* could not be deleted */
};

enum instance_state {
    INSTANCE_NONE,
    INSTANCE_ASKED,   /* RunInstances is in flight */
    INSTANCE_UNSURE,  /* asked for, and the answer was lost */
    INSTANCE_LOOKING, /* looking it up by client token */
    INSTANCE_HAVE,    /* instance_id is known */
    INSTANCE_ENDING,  /* TerminateInstances is in flight */
    INSTANCE_GONE,
    INSTANCE_STUCK, /* could not be ended, or could not be found */
};

struct pair {   /* owned strings */
    char *name; /* the runner's; NULL: not known */
    int64_t runner_id;
    char *region, *instance_id, *client_token;
    enum record_state record;
    enum instance_state instance;
    int64_t young_until;  /* NotFound before this moment may be EC2's lag */
    int64_t unsure_until; /* looks by client token end then */
    int64_t find_until;   /* a search by name from before that does not show it proves nothing: lists lag */
    int64_t find_at;      /* when the search was asked for, or will be */
    int64_t wait_until;   /* nothing is asked of EC2 before */
    int64_t delete_at;    /* the deletion is not asked for before */
    int64_t fence_until;  /* the deletion is waited for until then, unless must_fence; 0: not asked for yet */
    int64_t hurry_at;     /* there is no more time than until shortly after; 0: there is */
    int64_t boots_until;  /* its runner cannot be online before: EC2 has just shown it pending */
    int64_t give_up_at;   /* ends that fail for now are asked for again until then; 0: none has failed yet */
    bool spare_busy;      /* a record that is busy keeps its instance */
    bool must_fence;      /* a record that is not known to be deleted keeps its instance */
    unsigned absences;    /* searches in a row that GitHub answered without the record */
    bool refuted;         /* its deletion found none, and no search has shown it since */
    struct error error;   /* the first thing that went wrong on the way down */
};

enum {
    PAIR_YOUNG_MS = 120000,
    PAIR_UNSURE_MS = 30000,
    PAIR_FIND_MS = 15000,
    PAIR_LOOK_MS = 2000,
    PAIR_FENCE_MS = 10000,
    PAIR_PATIENCE_MS = 8000, /* on top of the retries of each call */
    PAIR_ABSENCES = 2,       /* so many searches, PAIR_LOOK_MS apart, prove that a record is gone */
};

/* Asks for the next things on the way down, if any; lowers *wake to when it wants to be called again. */
void pair_down(struct pair *p, size_t who, int64_t now, struct acts *acts, int64_t *wake);
/* A new record was made; what was tried with an earlier one is forgotten. */
void pair_take_record(struct pair *p, int64_t runner_id, int64_t now);
/* It may have been made, or was just made: searches from before PAIR_FIND_MS have passed may miss it. */
void pair_lost_record(struct pair *p, int64_t now);
/* GitHub does not know the record by its id. One such answer may be that of a replica, or for want of a right: the
 * record is searched for by name (ACT_FIND), until pair_is_absent. */
void pair_doubt_record(struct pair *p, int64_t now);
/* It was seen: what spoke against it counts no longer. */
void pair_saw_record(struct pair *p);
/* So many searches have missed it that it is gone; only a deletion that is refused may still say otherwise. */
bool pair_is_absent(const struct pair *p);
/* The part of pair_down that ends the record, or searches for one that is in doubt. */
void pair_down_record(struct pair *p, size_t who, int64_t now, struct acts *acts, int64_t *wake);
/* There is less time: from `until` on the instance goes, whatever became of the record, unless must_fence; and then,
 * too, while its runner cannot be online yet. Of several such times the earliest holds. */
void pair_hurry(struct pair *p, int64_t until);
/* RunInstances may have had its effect. */
void pair_lost_launch(struct pair *p, const struct event *event);
/* Takes the answer to one of pair_down's actions. */
void pair_answer(struct pair *p, const struct event *event);
/* Nothing is left to do: ended, spared or stuck. */
bool pair_is_settled(const struct pair *p);
/* Neither record nor instance is left. */
bool pair_is_gone(const struct pair *p);
void pair_clear(struct pair *p);

#endif
