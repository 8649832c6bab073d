/* What a pass of the reaper did, for people and for programs. */
#ifndef MAYFLY_CMD_REAP_REPORT_H
#define MAYFLY_CMD_REAP_REPORT_H

#include "mayfly/runner/reap_leftovers.h"
#include "reap.h"

/* What there is to end, delete or remove: instances, records without one, and each kind of leftovers. */
enum { REPORT_INSTANCE, REPORT_RUNNER, REPORT_LEFTOVER, REPORT_KINDS = REPORT_LEFTOVER + EC2_KIND_COUNT };
const char *report_kind_name(size_t kind);

struct report {
    struct report_count { /* instances by what was done and by the rule that said so; both static */
        const char *done, *rule;
        size_t n;
    } * counts;
    size_t n_counts;
    size_t gone[REPORT_KINDS]; /* ended, deleted, removed */
    size_t left[REPORT_KINDS]; /* should have gone, and is still there */
    bool unseen;               /* there may be more that should have gone */
};
void report_clear(struct report *r);
/* Is something left that should have gone? */
bool report_has_left(const struct report *r);

/* One line each, text or JSON. */
void report_pass(struct cmd *cmd, const struct fleet *f, struct report *ret);
void report_leftovers(struct cmd *cmd, const struct leftovers *l, struct report *ret);

/* Why a record without an instance goes or stays; owned. */
char *report_ghost_reason(const struct reap_ghost *g);

/* A line of JSON: an object with a time (seconds since 1970) and a kind, what is added to it (NULL is left out), and
 * its end. */
struct json_object *row_new(int64_t now, const char *kind);
void row_text(struct json_object *row, const char *key, const char *value);
void row_number(struct json_object *row, const char *key, int64_t value);
void row_print(struct json_object *row);

#endif
