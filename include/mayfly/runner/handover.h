/* The last steps of a launch that is about to succeed: its label is looked up once more, since another start may have
 * taken it at the same moment, and its instances are marked as handed out, which a stop whose outputs are empty spares.
 * Pure. */
#ifndef MAYFLY_RUNNER_HANDOVER_H
#define MAYFLY_RUNNER_HANDOVER_H

#include "mayfly/runner/cloud.h"

struct launch;

enum handover_phase { HANDOVER_IDLE, HANDOVER_EARLY, HANDOVER_READY, HANDOVER_LAST, HANDOVER_MARKING, HANDOVER_DONE };

struct handover {
    enum handover_phase phase;
    size_t in_flight;
    int64_t until; /* answers are waited for until then */
    struct strlist fleet, label, live;
    struct strlist names; /* that its runners had: also of what was replaced, which an old answer may show */
    struct ec2_filter filters[3];
    struct strlist *ids; /* one a region: what is marked */
    char *regions;       /* the value of the tag: where the launch has instances */
    /* The oldest instance of others under this label, and of this launch, as EC2 shows them. */
    char *rival;
    int64_t rival_launched;
    struct error unclaimed, unmarked; /* why the label was not looked up, or an instance perhaps not marked */
};

void handover_init(struct launch *l);
void handover_clear(struct launch *l);
/* A runner of the launch is to have this name. */
void handover_name(struct launch *l, const char *name);
/* Begins what there is to do before the launch may end; called in every step of one that is not undone. settled: all
 * its runners are online. True: nothing is left to do. */
bool handover_step(struct launch *l, bool settled, int64_t now, struct acts *acts);
/* Takes the answer to one of its actions. False: an older instance of another start has the label. */
MUST_CHECK bool handover_answer(struct launch *l, const struct event *e, struct error *err);

#endif
