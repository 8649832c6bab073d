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

static bool timeless(const struct reap_facts *f)
{
    return f->no_time;
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

/* A runner that died at work leaves a job that runs for GitHub for a while: there only the job's end says something. */
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

static bool lost(const struct reap_facts *f)
{
    return f->record == REAP_RECORD_OFFLINE_BUSY;
}

static bool died(const struct reap_facts *f)
{
    return lost(f) && (f->job == REAP_JOB_COMPLETED || f->witness == REAP_WITNESS_DONE);
}

static bool job_queued(const struct reap_facts *f)
{
    return f->record == REAP_RECORD_ONLINE && f->job == REAP_JOB_QUEUED;
}

static bool within_idle_limit(const struct reap_facts *f)
{
    return f->record == REAP_RECORD_ONLINE && f->age <= f->limits.idle;
}

static bool works(const struct reap_facts *f)
{
    return f->witness == REAP_WITNESS_WORKING;
}

/* A runner that is online was started, whatever an old console shows. */
static bool unproven(const struct reap_facts *f)
{
    return f->witness == REAP_WITNESS_UNKNOWN ||
           (f->witness == REAP_WITNESS_BOOTING && f->record == REAP_RECORD_ONLINE);
}

/* Until then the machine ends itself if no job comes. Later it has a job, which it would have printed, or it hangs. */
static bool waiting(const struct reap_facts *f)
{
    return f->witness == REAP_WITNESS_WAITING && f->age <= f->limits.boot + f->limits.idle + REAP_IDLE_GRACE;
}

static bool offline(const struct reap_facts *f)
{
    return f->record == REAP_RECORD_OFFLINE;
}

static bool absent(const struct reap_facts *f)
{
    return f->record == REAP_RECORD_ABSENT;
}

static bool idle(const struct reap_facts *f UNUSED)
{
    return true; /* online, no job, and older than the idle limit: nothing else is left */
}

enum { WINDOW_OF_BOOT = -1, WINDOW_OF_BOOT_MIN = 300 };

/* The order is the policy. Who says that nothing runs there any more, for the rules that end something early:
 *
 *   rule         GitHub's record      and the second witness
 *   stopped      not online           EC2: it is stopped
 *   stopping     not busy             EC2: it has been stopping for ten minutes
 *   job-over     not busy             the workflow run in its tag: this runner's job is completed
 *   died         offline, busy        the same, or its console: the runner has ended
 *   offline      offline, not busy    its console: never started, ended, or without a job and past its own idle limit
 *   no-runner    absent               the same
 *   idle         online, not busy     its console: ended, or without a job and past its own idle limit
 *
 * A console may be some seconds old, and a job that has just begun prints nothing yet. So what offline and idle come to
 * first loses its registration only. From then on no job can begin; no-runner reads the console again minutes later. */
static const struct {
    bool (*matches)(const struct reap_facts *);
    enum reap_verdict verdict; /* REAP_MARK becomes `then` once confirmed */
    int64_t window;            /* seconds from the mark to what comes then */
    enum reap_verdict then;
    const char *rule, *reason;
} rules[] = {
    { foreign, REAP_IGNORE, 0, REAP_IGNORE, "foreign", "not of this fleet, or of a role that the reaper leaves alone" },
    { kept, REAP_KEEP, 0, REAP_KEEP, "kept", "tagged " TAG_KEEP },
    { gone, REAP_KEEP, 0, REAP_KEEP, "gone", "already terminated" },
    { timeless, REAP_KEEP, 0, REAP_KEEP, "no-time", "no two clocks agree on the time" },
    { just_launched, REAP_KEEP, 0, REAP_KEEP, "launch-grace", "launched moments ago" },
    { past_deadline, REAP_TERMINATE, 0, REAP_TERMINATE, "deadline", "past its deadline" },
    { builder, REAP_KEEP, 0, REAP_KEEP, "builder", "building or testing an image" },
    { record_unknown, REAP_KEEP, 0, REAP_KEEP, "unknown", "the state of its runner is unknown" },
    { busy, REAP_KEEP, 0, REAP_KEEP, "busy", "runs a job" },
    { stopped_online, REAP_KEEP, 0, REAP_KEEP, "stopped-online",
      "stopped although its runner is online: one of the two answers is stale" },
    { stopped, REAP_MARK, 300, REAP_TERMINATE, "stopped", "stopped, and a machine for one job is never started again" },
    { job_runs, REAP_KEEP, 0, REAP_KEEP, "job-runs", "its job is running" },
    { job_unknown, REAP_KEEP, 0, REAP_KEEP, "job-unknown", "the jobs of its workflow run could not be read" },
    { stopping, REAP_MARK, 600, REAP_TERMINATE, "stopping", "stuck in stopping" },
    { job_over, REAP_MARK, 180, REAP_TERMINATE, "job-over", "its job has finished" },
    { booting, REAP_KEEP, 0, REAP_KEEP, "boot-grace", "young: its runner may still come, or get its job" },
    { died, REAP_MARK, 900, REAP_TERMINATE, "died", "its runner went offline while busy, and its job has finished" },
    { lost, REAP_KEEP, 0, REAP_KEEP, "lost", "its runner went offline while busy: its job may still be running" },
    { job_queued, REAP_KEEP, 0, REAP_KEEP, "job-queued", "a job is waiting for it" },
    { within_idle_limit, REAP_KEEP, 0, REAP_KEEP, "runner", "has its runner" },
    { works, REAP_KEEP, 0, REAP_KEEP, "at-work", "its console shows a job that has not finished" },
    { unproven, REAP_KEEP, 0, REAP_KEEP, "unproven",
      "only GitHub says that no job is running, and its console does not: kept until its deadline" },
    { waiting, REAP_KEEP, 0, REAP_KEEP, "waiting", "its console shows an idle runner, within its idle limit" },
    { offline, REAP_MARK, 120, REAP_DEREGISTER, "offline", "its runner is offline" },
    { absent, REAP_MARK, 180, REAP_TERMINATE, "no-runner", "its runner is gone" },
    /* It may have come online as late as its boot limit allows: so much longer it is watched. */
    { idle, REAP_MARK, WINDOW_OF_BOOT, REAP_DEREGISTER, "idle", "idle for longer than its limit" },
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
    if (r.verdict == REAP_MARK && !confirm)
        r.verdict = REAP_TERMINATE;
    else if (r.verdict == REAP_MARK && confirmed)
        r.verdict = rules[i].then;
    return r;
}

/* Does anything that the jobs, or the console, may say lead to another verdict? */
static bool changes(const struct reap_facts *f, enum reap_verdict v)
{
    return reap_decide(f, true).verdict != v;
}

bool reap_needs_witness(const struct reap_facts *f)
{
    struct reap_facts other = *f;
    other.witness = REAP_WITNESS_UNKNOWN;
    enum reap_verdict v = reap_decide(&other, true).verdict;
    bool needed = false;
    for (int w = REAP_WITNESS_UNKNOWN + 1; w < REAP_WITNESS_COUNT && !needed; w++) {
        other.witness = (enum reap_witness)w;
        needed = changes(&other, v);
    }
    return needed;
}

bool reap_needs_job(const struct reap_facts *f)
{
    struct reap_facts other = *f;
    for (int w = REAP_WITNESS_UNKNOWN; w < REAP_WITNESS_COUNT; w++) {
        other.witness = (enum reap_witness)w;
        other.job = REAP_JOB_NONE;
        enum reap_verdict v = reap_decide(&other, true).verdict;
        for (int j = REAP_JOB_NONE + 1; j < REAP_JOB_COUNT; j++) {
            other.job = (enum reap_job)j;
            if (changes(&other, v))
                return true;
        }
    }
    return false;
}

/* --- the machine's word ------------------------------------------------------------------------------------------- */

/* The last of it that begins a line, or NULL. */
static const char *last_line(const char *text, const char *line)
{
    const char *last = NULL;
    for (const char *at = text; (at = strstr(at, line)) != NULL; at++)
        if (at == text || at[-1] == '\n' || at[-1] == '\r')
            last = at;
    return last;
}

static const char *last_of(const char *text, const char *part)
{
    const char *last = NULL;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        last = at;
    return last;
}

/* EC2 keeps the end of a console: where one of our lines is still there, so are all that came after it. */
enum reap_witness reap_read_console(const char *text)
{
    static const char *const begins[] = { "mayfly: phase job-started", "Running job: " }; /* ours; the runner's */
    static const char *const ends[] = { "mayfly: phase runner-exited", "mayfly: phase poweroff" };
    const char *began = NULL, *ended = NULL;
    for (size_t i = 0; text && i < ARRAY_SIZE(begins); i++) {
        const char *at = last_of(text, begins[i]), *end = last_line(text, ends[i]);
        began = at > began ? at : began;
        ended = end > ended ? end : ended;
    }
    if (ended && ended > began)
        return REAP_WITNESS_DONE;
    if (began)
        return REAP_WITNESS_WORKING;
    if (text && last_line(text, "mayfly: phase runner-starting"))
        return REAP_WITNESS_WAITING;
    return text && last_line(text, "mayfly: phase booting") ? REAP_WITNESS_BOOTING : REAP_WITNESS_UNKNOWN;
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

const char *reap_witness_name(enum reap_witness w)
{
    static const char *const names[] = { "unknown", "booting", "waiting", "working", "done" };
    return names[w];
}
