/* The reaper's rules: what an instance deserves, by what EC2, GitHub and the machine itself say of it. One table, whose
 * first row that matches decides; pure. reap_pass.h goes over a fleet with it.
 *
 * GitHub's word on a runner terminates nothing by itself before the deadline: `busy` may be false while a job runs,
 * `offline` may be a network's fault, and a record may be missing in every answer during an incident. There has to be a
 * second witness: EC2 (the machine is stopped, or is stopping), the job itself (the workflow run in the tag says that
 * this runner's job is completed), or the machine (what its console shows). */
#ifndef MAYFLY_RUNNER_REAP_H
#define MAYFLY_RUNNER_REAP_H

#include "mayfly/runner/tags.h"

/* What GitHub says of the instance's runner. Its word `busy` is false for up to a minute after a job began, at times
 * for longer, and a record whose machine died at work stays busy for about ten minutes. */
enum reap_record {
    REAP_RECORD_UNKNOWN, /* not asked, or could not be */
    REAP_RECORD_ABSENT,  /* its scope was read whole, and it is not there */
    REAP_RECORD_OFFLINE,
    REAP_RECORD_OFFLINE_BUSY,
    REAP_RECORD_ONLINE, /* and idle */
    REAP_RECORD_BUSY,   /* online, and runs a job */
    REAP_RECORD_COUNT,
};
const char *reap_record_name(enum reap_record r);

/* What the jobs of its workflow run say. */
enum reap_job {
    REAP_JOB_NONE,    /* none names this runner or waits for its label; a job of another run may be on it */
    REAP_JOB_QUEUED,  /* one waits for its label */
    REAP_JOB_RUNNING, /* on this runner */
    REAP_JOB_COMPLETED,
    REAP_JOB_UNKNOWN, /* could not be read; or GitHub does not know the run that launched the instance */
    REAP_JOB_COUNT,
};
const char *reap_job_name(enum reap_job j);

/* What the machine's console shows. */
enum reap_witness {
    REAP_WITNESS_UNKNOWN, /* nothing of ours, or it was not or could not be read */
    REAP_WITNESS_BOOTING, /* the runner was never started */
    REAP_WITNESS_WAITING, /* it was, and no job has begun */
    REAP_WITNESS_WORKING, /* a job has begun, and the runner has not ended */
    REAP_WITNESS_DONE,    /* the runner has ended, or the machine powers off: no job can begin any more */
    REAP_WITNESS_COUNT,
};
const char *reap_witness_name(enum reap_witness w);

/* Reads a console, whose beginning may be cut off; NULL-safe. A line that allows an end counts only where the boot
 * script writes it, at the beginning of a line; one that forbids it counts anywhere. */
enum reap_witness reap_read_console(const char *text);

struct reap_facts {
    bool ours;    /* carries the fleet's tag and a role that we end */
    bool builder; /* builds or proves an image: no runner, no job */
    bool keep;    /* TAG_KEEP */
    enum ec2_state state;
    enum reap_record record;
    enum reap_job job;
    enum reap_witness witness;
    bool no_time; /* no two clocks agree: nothing is known of any age */
    int64_t age;  /* seconds since launch, by the clocks that agree */
    struct limits limits;
    const char *mark;   /* the rule that an earlier pass came to, or NULL */
    int64_t marked_for; /* seconds since then */
};

enum reap_verdict {
    REAP_IGNORE, /* not ours */
    REAP_KEEP,
    REAP_MARK,       /* would be ended: a later pass has to agree */
    REAP_DEREGISTER, /* its registration is deleted, so that it gets no job any more; a later pass terminates it */
    REAP_TERMINATE,
};

struct reap_ruling {
    enum reap_verdict verdict;
    bool late;          /* past its deadline: ended whatever GitHub says */
    const char *rule;   /* static, without blanks */
    const char *reason; /* in words, static */
};

enum {
    REAP_LAUNCH_GRACE = 120, /* seconds in which tags and records may not be seen everywhere */
    REAP_IDLE_GRACE = 300,   /* from launch to its script: so late a machine may be to its idle limit */
};

/* The first rule that matches. Never terminates what is not ours, is kept, or is younger than the launch grace. Past
 * its deadline everything else goes. Before it nothing goes that GitHub calls busy and online, or whose job runs, or of
 * which a fact that the rules ask for is unknown, or for which GitHub's word is the only one; and with `confirm`
 * nothing that no earlier pass came to the same rule of, long enough ago. */
struct reap_ruling reap_decide(const struct reap_facts *f, bool confirm);

/* Would other words on its job change the verdict? Only then they are asked for. */
bool reap_needs_job(const struct reap_facts *f);
/* Would other words of its machine? */
bool reap_needs_witness(const struct reap_facts *f);

/* "no-runner@1700000000", owned; and back: *ret_rule (owned) and *ret_epoch, false when it has another form. */
char *reap_mark_format(const char *rule, int64_t epoch);
MUST_CHECK bool reap_mark_parse(const char *mark, char **ret_rule, int64_t *ret_epoch);

#endif
