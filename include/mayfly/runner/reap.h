/* The reaper's rules: what an instance deserves, told from what EC2 and GitHub say of it. One table, whose first row
 * that matches decides; pure. reap_pass.h goes over a fleet with it. */
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
    REAP_JOB_NONE,    /* none names this runner or waits for its label; or there is no such run */
    REAP_JOB_QUEUED,  /* one waits for its label */
    REAP_JOB_RUNNING, /* on this runner */
    REAP_JOB_COMPLETED,
    REAP_JOB_UNKNOWN, /* could not be read */
    REAP_JOB_COUNT,
};
const char *reap_job_name(enum reap_job j);

struct reap_facts {
    bool ours;    /* carries the fleet's tag and a role that we end */
    bool builder; /* builds or proves an image: no runner, no job */
    bool keep;    /* TAG_KEEP */
    enum ec2_state state;
    enum reap_record record;
    enum reap_job job;
    int64_t age; /* seconds since launch, by EC2's clock */
    struct limits limits;
    const char *mark;   /* the rule that an earlier pass came to, or NULL */
    int64_t marked_for; /* seconds since then */
};

enum reap_verdict {
    REAP_IGNORE, /* not ours */
    REAP_KEEP,
    REAP_MARK, /* would be ended: a later pass has to agree */
    REAP_TERMINATE,
};

struct reap_ruling {
    enum reap_verdict verdict;
    bool late;          /* past its deadline: ended whatever GitHub says */
    const char *rule;   /* static, without blanks */
    const char *reason; /* in words, static */
};

enum { REAP_LAUNCH_GRACE = 120 }; /* seconds in which tags and records may not be seen everywhere */

/* The first rule that matches. Never terminates what is not ours, is kept, or is younger than the launch grace. Past
 * its deadline everything else goes. Before it nothing goes that GitHub calls busy and online, or whose job runs, or of
 * which a fact that the rules ask for is unknown; and with `confirm` nothing that no earlier pass came to the same rule
 * of, long enough ago. */
struct reap_ruling reap_decide(const struct reap_facts *f, bool confirm);

/* Would other words on its job change the verdict? Only then they are asked for. */
bool reap_needs_job(const struct reap_facts *f);

/* "no-runner@1700000000", owned; and back: *ret_rule (owned) and *ret_epoch, false when it has another form. */
char *reap_mark_format(const char *rule, int64_t epoch);
MUST_CHECK bool reap_mark_parse(const char *mark, char **ret_rule, int64_t *ret_epoch);

#endif
