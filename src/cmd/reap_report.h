/* What a pass of the reaper did, for people and for programs. */
#ifndef MAYFLY_CMD_REAP_REPORT_H
#define MAYFLY_CMD_REAP_REPORT_H

#include "mayfly/runner/reap_leftovers.h"
#include "reap.h"

/* How many came to what; names are static. */
struct counts {
    struct {
        const char *name;
        size_t n;
    } v[40];
    size_t n;
};
void counts_add(struct counts *c, const char *name);
size_t counts_of(const struct counts *c, const char *name);

struct report {
    struct counts instances, rules; /* instances by what was done, and by rule */
    struct counts runners;          /* records without instance */
    struct counts leftovers[EC2_KIND_COUNT];
    bool left; /* something is left that should have gone */
};

/* One line each, text or JSON. */
void report_pass(struct cmd *cmd, const struct fleet *f, struct report *ret);
void report_leftovers(struct cmd *cmd, const struct leftovers *l, struct report *ret);

#endif
