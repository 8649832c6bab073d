/* The thin part between a state machine and the world: actions become calls, answers become events. */
#ifndef MAYFLY_RUNNER_DRIVE_H
#define MAYFLY_RUNNER_DRIVE_H

#include "mayfly/runner/clocks.h"
#include "mayfly/runner/cloud.h"

enum service { SERVICE_EC2, SERVICE_STS, SERVICE_GITHUB, SERVICE_COUNT };
const char *service_name(enum service service);

struct tally {            /* of what a service was asked */
    uint64_t requests;    /* attempts that came to an answer or to none */
    uint64_t retries;     /* those that were not the first of their call */
    uint64_t throttles;   /* those that were told to ask less */
    struct error trouble; /* why the newest question about progress (not an undo's) got no use; none: it was answered */
};
/* Frees what a tally owns. */
void tally_clear(struct tally *tally);

struct cloud { /* everything a command talks to; borrowed parts */
    struct aws *aws;
    struct github *github; /* NULL: no machine may ask for GitHub's actions */
    struct call_loop *loop;
    int signal_fd; /* readable once a signal has come; -1: none */
    struct tally tally[SERVICE_COUNT];
    struct clocks clocks; /* by the answers of all machines that were driven, and of what was asked beside them */
};

/* Runs the machine until it is done. The first signal becomes EVENT_SIGNAL; another one, from a second later on, ends
 * this at once, with the machine as it is then. What is in flight at the end is cancelled. After a signal signal_fd is
 * readable again. */
void drive(struct cloud *cloud, struct machine *machine);

/* Takes the Date of a call that is done and was answered with success for what EC2's or GitHub's clock says. */
void drive_tell_time(struct cloud *cloud, enum clock_source source, const struct call *call);

/* The outcome of a call that is done. Pure. */
enum outcome drive_aws_outcome(const struct aws_call *call);
enum outcome drive_github_outcome(const struct github_call *call);

#endif
