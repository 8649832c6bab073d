#include "mayfly/runner/reap.h"

#include <inttypes.h>

#include "mayfly/util/encode.h"

static bool foreign(const struct reap_facts *f)
{
    return !f->ours;
}

static bool kept(const struct reap_facts *f)
{
    return f->keep;
}

static bool gone(const struct reap_facts *f)
{
    return !ec2_state_is_live(f->state);
}

static bool just_launched(const struct reap_facts *f)
{
    return f->age < REAP_LAUNCH_GRACE;
}

static bool past_deadline(const struct reap_facts *f)
{
    return f->age > f->limits.life;
}

static bool builder(const struct reap_facts *f)
{
    return f->builder;
}

static bool record_unknown(const struct reap_facts *f)
{
    return f->record == REAP_RECORD_UNKNOWN;
}

static bool busy(const struct reap_facts *f)
{
    return f->record == REAP_RECORD_BUSY;
}

static bool stopped_online(const struct reap_facts *f)
{
    return f->state == EC2_STOPPED && f->record == REAP_RECORD_ONLINE;
}

static bool stopped(const struct reap_facts *f)
{
    return f->state == EC2_STOPPED;
}

/* A runner that died at work leaves a job that runs for GitHub for a while: there the job says nothing. */
static bool job_counts(const struct reap_facts *f)
{
    return f->record != REAP_RECORD_OFFLINE_BUSY;
}

static bool job_runs(const struct reap_facts *f)
{
    return job_counts(f) && f->job == REAP_JOB_RUNNING;
}

static bool job_unknown(const struct reap_facts *f)
{
    return job_counts(f) && f->job == REAP_JOB_UNKNOWN;
}

static bool stopping(const struct reap_facts *f)
{
    return f->state == EC2_STOPPING;
}

static bool booting(const struct reap_facts *f)
{
    return f->age < f->limits.boot;
}

/* A record outlives its job by moments: while it is there, the boot grace holds. */
static bool job_over(const struct reap_facts *f)
{
    return job_counts(f) && f->job == REAP_JOB_COMPLETED && (f->record == REAP_RECORD_ABSENT || !booting(f));
}

static bool died(const struct reap_facts *f)
{
    return f->record == REAP_RECORD_OFFLINE_BUSY;
}

static bool offline(const struct reap_facts *f)
{
    return f->record == REAP_RECORD_OFFLINE;
}

static bool absent(const struct reap_facts *f)
{
    return f->record == REAP_RECORD_ABSENT;
}

static bool job_queued(const struct reap_facts *f)
{
    return f->job == REAP_JOB_QUEUED;
}

static bool within_idle_limit(const struct reap_facts *f)
{
    return f->age <= f->limits.idle;
}

static bool idle(const struct reap_facts *f UNUSED)
{
    return true; /* online, no job, and older than the idle limit: nothing else is left */
}

enum { WINDOW_OF_BOOT = -1, WINDOW_OF_BOOT_MIN = 300 };

/* The order is the policy. */
static const struct {
    bool (*matches)(const struct reap_facts *);
    enum reap_verdict verdict; /* REAP_MARK becomes REAP_TERMINATE once confirmed */
    int64_t window;            /* seconds from the mark to the end */
    const char *rule, *reason;
} rules[] = {
    { foreign, REAP_IGNORE, 0, "foreign", "not of this fleet, or of a role that is not ours to end" },
    { kept, REAP_KEEP, 0, "kept", "tagged " TAG_KEEP },
    { gone, REAP_KEEP, 0, "gone", "ended already" },
    { just_launched, REAP_KEEP, 0, "launch-grace", "launched moments ago" },
    { past_deadline, REAP_TERMINATE, 0, "deadline", "past its deadline" },
    { builder, REAP_KEEP, 0, "builder", "builds or proves an image" },
    { record_unknown, REAP_KEEP, 0, "unknown", "GitHub's word on its runner is not known" },
    { busy, REAP_KEEP, 0, "busy", "runs a job" },
    { stopped_online, REAP_KEEP, 0, "stopped-online", "stopped, and yet its runner is online: one of both is old" },
    { stopped, REAP_MARK, 300, "stopped", "stopped, and a machine for one job never starts again" },
    { job_runs, REAP_KEEP, 0, "job-runs", "its job runs" },
    { job_unknown, REAP_KEEP, 0, "job-unknown", "the jobs of its workflow run could not be read" },
    { stopping, REAP_MARK, 600, "stopping", "does not get done with stopping" },
    { job_over, REAP_MARK, 180, "job-over", "its job is over" },
    { booting, REAP_KEEP, 0, "boot-grace", "young: its runner may still come, or get its job" },
    { died, REAP_MARK, 900, "died", "its runner went offline at work" },
    { offline, REAP_MARK, 120, "offline", "its runner is offline" },
    { absent, REAP_MARK, 180, "no-runner", "its runner is gone" },
    { job_queued, REAP_KEEP, 0, "job-queued", "a job waits for it" },
    { within_idle_limit, REAP_KEEP, 0, "runner", "has its runner" },
    /* It may have come online as late as its boot limit allows: so much longer it is watched. */
    { idle, REAP_MARK, WINDOW_OF_BOOT, "idle", "idle for longer than its limit" },
};

static int64_t window_of(size_t i, const struct reap_facts *f)
{
    if (rules[i].window != WINDOW_OF_BOOT)
        return rules[i].window;
    return f->limits.boot > WINDOW_OF_BOOT_MIN ? f->limits.boot : WINDOW_OF_BOOT_MIN;
}

struct reap_ruling reap_decide(const struct reap_facts *f, bool confirm)
{
    size_t i = 0;
    while (!rules[i].matches(f))
        i++;
    struct reap_ruling r = { rules[i].verdict, rules[i].verdict == REAP_TERMINATE, rules[i].rule, rules[i].reason };
    bool confirmed = str_eq(f->mark, r.rule) && f->marked_for >= window_of(i, f);
    if (r.verdict == REAP_MARK && (confirmed || !confirm))
        r.verdict = REAP_TERMINATE;
    return r;
}

bool reap_needs_job(const struct reap_facts *f)
{
    struct reap_facts other = *f;
    other.job = REAP_JOB_NONE;
    enum reap_verdict v = reap_decide(&other, true).verdict;
    for (int j = REAP_JOB_NONE + 1; j < REAP_JOB_COUNT; j++) {
        other.job = (enum reap_job)j;
        if (reap_decide(&other, true).verdict != v)
            return true;
    }
    return false;
}

char *reap_mark_format(const char *rule, int64_t epoch)
{
    return xasprintf("%s@%" PRId64, rule, epoch);
}

bool reap_mark_parse(const char *mark, char **ret_rule, int64_t *ret_epoch)
{
    uint64_t epoch;
    const char *at = strrchr(mark, '@');
    if (!at || !parse_uint(at + 1, INT64_MAX, &epoch))
        return false;
    *ret_rule = xstrndup(mark, (size_t)(at - mark));
    *ret_epoch = (int64_t)epoch;
    return true;
}

const char *reap_record_name(enum reap_record r)
{
    static const char *const names[] = { "unknown", "absent", "offline", "offline, busy", "online", "online, busy" };
    return names[r];
}

const char *reap_job_name(enum reap_job j)
{
    static const char *const names[] = { "none", "queued", "in progress", "completed", "unknown" };
    return names[j];
}
