#include <inttypes.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mayfly/runner/reap_rows.h"
#include "testing.h"

static const struct limits all_limits[] = { { .boot = 600, .idle = 1800, .life = 21600 },
                                            { .boot = 30, .idle = 30, .life = 60 }, /* below the launch grace */
                                            { .boot = 3000, .idle = 100, .life = 10000 } };
static const struct limits limits = { .boot = 600, .idle = 1800, .life = 21600 };

/* --- the rules, beside the same rules written down in Python --------------------------------------------------------
 */

static int find_word(const char *const *words, size_t n, const char *word)
{
    size_t i = 0;
    while (i < n && strcmp(words[i], word) != 0)
        i++;
    if (i == n)
        ck_abort_msg("the table speaks of `%s`", word);
    return (int)i;
}

static const char *const record_words[] = { "unknown", "absent", "offline", "offline-busy", "online", "busy" };
static const char *const job_words[] = { "none", "queued", "running", "completed", "unknown" };
static const char *const console_words[] = { "unknown", "booting", "waiting", "working", "done" };
static const char *const verdict_words[] = { "ignore", "keep", "mark", "deregister", "terminate" };

/* What must hold whatever any table says; NULL: it does. No assertions: a million of them would take half a minute. */
static const char *broken_promise(const struct reap_facts *f, bool confirm, const struct reap_ruling *r)
{
    const bool live = f->state != EC2_SHUTTING_DOWN && f->state != EC2_TERMINATED;
    const bool may_end = f->ours && !f->keep && !f->no_time && live && f->age >= REAP_LAUNCH_GRACE;
    const bool late = may_end && f->age > f->limits.life;
    const bool ends = r->verdict >= REAP_MARK, acts = r->verdict >= REAP_DEREGISTER;
    const bool ec2_says_so = f->state == EC2_STOPPED || f->state == EC2_STOPPING;
    const bool console_says_so = f->witness != REAP_WITNESS_UNKNOWN && f->witness != REAP_WITNESS_WORKING;
    const bool counts = f->record != REAP_RECORD_OFFLINE_BUSY && f->state != EC2_STOPPED; /* the job's word */
    const struct {
        bool broken;
        const char *promise;
    } promises[] = {
        { strchr(r->rule, ' ') || !*r->reason, "rules have names and reasons" },
        { (r->verdict == REAP_IGNORE) == f->ours, "what is foreign, and only that, is ignored" },
        { ends && !may_end, "never what is kept, gone or young" },
        { r->late != late || (late && r->verdict != REAP_TERMINATE), "everything past its deadline, and it is said" },
        { ends && !late && f->builder, "no builder before its deadline" },
        { ends && !late && (f->record == REAP_RECORD_UNKNOWN || f->record == REAP_RECORD_BUSY),
          "no busy or unknown runner before its deadline" },
        { ends && !late && counts && (f->job == REAP_JOB_RUNNING || f->job == REAP_JOB_UNKNOWN),
          "no running or unknown job before its deadline" },
        { ends && !late && !ec2_says_so && !console_says_so && f->job != REAP_JOB_COMPLETED,
          "no end before the deadline by what GitHub says of the runner alone" },
        { acts && !late && confirm && !(str_eq(f->mark, r->rule) && f->marked_for >= 120),
          "not without an earlier pass that came to the same" },
        { r->verdict == REAP_MARK && !confirm, "no marks where none are asked for" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(promises); i++)
        if (promises[i].broken)
            return promises[i].promise;
    return NULL;
}

static FILE *open_table(pid_t *ret_pid)
{
    int ends[2];
    const char *srcdir = getenv("srcdir");
    AUTO_FREE char *path = xasprintf("%s/tests/unit/reap_table.py", srcdir ? srcdir : ".");
    ck_assert(pipe(ends) == 0);
    *ret_pid = fork();
    ck_assert(*ret_pid >= 0);
    if (*ret_pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execlp("python3", "python3", "-B", path, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    return fdopen(ends[0], "r");
}

START_TEST(every_combination_is_as_in_the_other_table)
{
    size_t n = 0;
    char line[400];
    int ended;
    pid_t pid;
    FILE *table = open_table(&pid);
    ck_assert_ptr_nonnull(table);
    while (fgets(line, sizeof(line), table)) {
        int ours, builder, keep, no_time, confirm, limits_index;
        char state[40], record[40], job[40], console[40], mark[40], verdict[40], rule[40];
        struct reap_facts f = { 0 };
        int got = /* NOLINTNEXTLINE(cert-err34-c): its numbers are python's */
            sscanf(line, "%d %d %d %39s %39s %39s %39s %d %" SCNd64 " %d %39s %" SCNd64 " %d %39s %39s", &ours,
                   &builder, &keep, state, record, job, console, &no_time, &f.age, &limits_index, mark, &f.marked_for,
                   &confirm, verdict, rule);
        if (got != 15)
            ck_abort_msg("the table says: %s", line);
        f.ours = ours;
        f.builder = builder;
        f.keep = keep;
        f.state = ec2_state_parse(state);
        f.record = (enum reap_record)find_word(record_words, ARRAY_SIZE(record_words), record);
        f.job = (enum reap_job)find_word(job_words, ARRAY_SIZE(job_words), job);
        f.witness = (enum reap_witness)find_word(console_words, ARRAY_SIZE(console_words), console);
        f.no_time = no_time;
        f.limits = all_limits[limits_index];
        f.mark = strcmp(mark, "-") == 0 ? NULL : mark;
        const struct reap_ruling r = reap_decide(&f, confirm);
        if (!str_eq(r.rule, rule) || !str_eq(verdict_words[r.verdict], verdict))
            ck_abort_msg("%s %s instead of: %s", verdict_words[r.verdict], r.rule, line);
        const char *broken = broken_promise(&f, confirm, &r);
        if (broken)
            ck_abort_msg("%s: %s", broken, line);
        n++;
    }
    fclose(table);
    ck_assert_msg(waitpid(pid, &ended, 0) == pid && ended == 0,
                  "the other table takes python3, which did not end well");
    ck_assert_uint_eq(n, 1162396);
}
END_TEST

/* Which rule names which case: a changed order shows here by name. */
START_TEST(rules_by_name)
{
#define LIVE .ours = true, .state = EC2_RUNNING, .age = 5000
#define DONE .witness = REAP_WITNESS_DONE
    static const struct {
        struct reap_facts f;
        enum reap_verdict verdict;
        const char *rule;
    } cases[] = {
        { { .ours = false, .keep = true, .age = 90000 }, REAP_IGNORE, "foreign" },
        { { .ours = true, .keep = true, .state = EC2_RUNNING, .age = 90000 }, REAP_KEEP, "kept" },
        { { .ours = true, .state = EC2_TERMINATED, .age = 90000 }, REAP_KEEP, "gone" },
        { { .ours = true, .state = EC2_PENDING, .record = REAP_RECORD_ABSENT, .age = 119 }, REAP_KEEP, "launch-grace" },
        { { .ours = true, .state = EC2_STOPPED, .age = 21601 }, REAP_TERMINATE, "deadline" },
        { { .ours = true, .state = EC2_STOPPING, .age = 21601 }, REAP_TERMINATE, "deadline" },
        { { .ours = true, .state = EC2_RUNNING, .record = REAP_RECORD_BUSY, .age = 21601 },
          REAP_TERMINATE,
          "deadline" },
        { { .ours = true, .builder = true, .state = EC2_STOPPED, .age = 21601 }, REAP_TERMINATE, "deadline" },
        { { .ours = true, .builder = true, .state = EC2_STOPPED, .age = 21600 }, REAP_KEEP, "builder" },
        { { .ours = true, .state = EC2_RUNNING, .record = REAP_RECORD_BUSY, .age = 21600 }, REAP_KEEP, "busy" },
        { { .ours = true, .state = EC2_RUNNING, .age = 21600 }, REAP_KEEP, "unknown" },
        { { .ours = true, .state = EC2_RUNNING, .record = REAP_RECORD_ABSENT, .age = 90000, .no_time = true },
          REAP_KEEP,
          "no-time" },
        { { LIVE, .record = REAP_RECORD_ABSENT }, REAP_KEEP, "unproven" }, /* GitHub's word alone */
        { { LIVE, .record = REAP_RECORD_OFFLINE }, REAP_KEEP, "unproven" },
        { { LIVE, .record = REAP_RECORD_ONLINE }, REAP_KEEP, "unproven" },
        { { LIVE, .record = REAP_RECORD_ONLINE, .witness = REAP_WITNESS_BOOTING }, REAP_KEEP, "unproven" },
        { { LIVE, .record = REAP_RECORD_ABSENT, .witness = REAP_WITNESS_WORKING }, REAP_KEEP, "at-work" },
        { { LIVE, .record = REAP_RECORD_OFFLINE, .witness = REAP_WITNESS_WORKING }, REAP_KEEP, "at-work" },
        { { LIVE, .record = REAP_RECORD_ONLINE, .witness = REAP_WITNESS_WORKING }, REAP_KEEP, "at-work" },
        { { LIVE, .record = REAP_RECORD_ABSENT, .witness = REAP_WITNESS_WORKING, .job = REAP_JOB_COMPLETED },
          REAP_MARK,
          "job-over" },
        { { .ours = true,
            .state = EC2_RUNNING,
            .age = 2700, /* boot, idle, and five minutes */
            .record = REAP_RECORD_ABSENT,
            .witness = REAP_WITNESS_WAITING },
          REAP_KEEP,
          "waiting" },
        { { LIVE, .record = REAP_RECORD_ABSENT, .witness = REAP_WITNESS_WAITING }, REAP_MARK, "no-runner" },
        { { LIVE, .record = REAP_RECORD_ABSENT, DONE, .mark = "no-runner", .marked_for = 179 },
          REAP_MARK,
          "no-runner" },
        { { LIVE, .record = REAP_RECORD_ABSENT, DONE, .mark = "no-runner", .marked_for = 180 },
          REAP_TERMINATE,
          "no-runner" },
        { { LIVE, .record = REAP_RECORD_ABSENT, DONE, .mark = "offline", .marked_for = 999 }, REAP_MARK, "no-runner" },
        { { LIVE, .record = REAP_RECORD_ABSENT, .job = REAP_JOB_RUNNING }, REAP_KEEP, "job-runs" },
        { { LIVE, .record = REAP_RECORD_ABSENT, .job = REAP_JOB_UNKNOWN, DONE }, REAP_KEEP, "job-unknown" },
        { { LIVE, .record = REAP_RECORD_OFFLINE, DONE, .mark = "offline", .marked_for = 119 }, REAP_MARK, "offline" },
        { { LIVE, .record = REAP_RECORD_OFFLINE, DONE, .mark = "offline", .marked_for = 120 },
          REAP_DEREGISTER,
          "offline" },
        { { LIVE, .record = REAP_RECORD_OFFLINE, .witness = REAP_WITNESS_BOOTING }, REAP_MARK, "offline" },
        { { LIVE, .record = REAP_RECORD_OFFLINE_BUSY, .mark = "died", .marked_for = 900 }, REAP_KEEP, "lost" },
        { { LIVE, .record = REAP_RECORD_OFFLINE_BUSY, .witness = REAP_WITNESS_WAITING }, REAP_KEEP, "lost" },
        { { LIVE, .record = REAP_RECORD_OFFLINE_BUSY, DONE, .mark = "died", .marked_for = 899 }, REAP_MARK, "died" },
        { { LIVE, .record = REAP_RECORD_OFFLINE_BUSY, DONE, .mark = "died", .marked_for = 900 },
          REAP_TERMINATE,
          "died" },
        { { LIVE, .record = REAP_RECORD_OFFLINE_BUSY, .job = REAP_JOB_COMPLETED }, REAP_MARK, "died" },
        { { LIVE, .record = REAP_RECORD_ONLINE, DONE, .mark = "idle", .marked_for = 599 }, REAP_MARK, "idle" },
        { { LIVE, .record = REAP_RECORD_ONLINE, DONE, .mark = "idle", .marked_for = 600 }, REAP_DEREGISTER, "idle" },
        { { LIVE, .record = REAP_RECORD_ONLINE, .job = REAP_JOB_QUEUED }, REAP_KEEP, "job-queued" },
        { { LIVE, .record = REAP_RECORD_ONLINE, .job = REAP_JOB_COMPLETED }, REAP_MARK, "job-over" },
        { { .ours = true, .state = EC2_RUNNING, .record = REAP_RECORD_ONLINE, .age = 1800 }, REAP_KEEP, "runner" },
        { { .ours = true, .state = EC2_STOPPED, .record = REAP_RECORD_ONLINE, .age = 5000 },
          REAP_KEEP,
          "stopped-online" },
        { { .ours = true, .state = EC2_STOPPED, .record = REAP_RECORD_ABSENT, .age = 300 }, REAP_MARK, "stopped" },
        { { .ours = true,
            .state = EC2_STOPPING,
            .record = REAP_RECORD_ABSENT,
            .age = 300,
            .mark = "stopping",
            .marked_for = 600 },
          REAP_TERMINATE,
          "stopping" },
        { { .ours = true, .state = EC2_RUNNING, .record = REAP_RECORD_ABSENT, .age = 599 }, REAP_KEEP, "boot-grace" },
        { { .ours = true, .state = EC2_RUNNING, .record = REAP_RECORD_ABSENT, .age = 200, .job = REAP_JOB_COMPLETED },
          REAP_MARK,
          "job-over" },
    };
#undef LIVE
#undef DONE
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct reap_facts f = cases[i].f;
        f.limits = limits;
        const struct reap_ruling r = reap_decide(&f, true);
        ck_assert_str_eq(r.rule, cases[i].rule);
        ck_assert_int_eq(r.verdict, cases[i].verdict);
    }
}
END_TEST

/* Jobs are read for what they could end, or save: not for what boots, is busy, or ends in any case. */
START_TEST(jobs_are_read_for_candidates_alone)
{
    static const struct {
        struct reap_facts f;
        bool needed;
    } cases[] = {
        { { .state = EC2_RUNNING, .record = REAP_RECORD_OFFLINE, .age = 500 }, false }, /* boots */
        { { .state = EC2_RUNNING, .record = REAP_RECORD_ONLINE, .age = 500 }, false },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_BUSY, .age = 5000 }, false },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_UNKNOWN, .age = 5000 }, false },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_OFFLINE_BUSY, .age = 500 }, false },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_OFFLINE_BUSY, .age = 5000 }, true }, /* its job may be over */
        { { .state = EC2_RUNNING, .record = REAP_RECORD_ABSENT, .age = 30000 }, false },     /* past its deadline */
        { { .state = EC2_STOPPED, .record = REAP_RECORD_ABSENT, .age = 5000 }, false },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_ABSENT, .age = 500 }, true }, /* its job may be over */
        { { .state = EC2_RUNNING, .record = REAP_RECORD_ABSENT, .age = 5000 }, true },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_OFFLINE, .age = 5000 }, true },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_ONLINE, .age = 1000 }, true },
        { { .state = EC2_STOPPING, .record = REAP_RECORD_ABSENT, .age = 5000 }, true },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct reap_facts f = cases[i].f;
        f.ours = true;
        f.limits = limits;
        ck_assert_msg(reap_needs_job(&f) == cases[i].needed, "case %zu", i);
    }
}
END_TEST

/* So are consoles: not where the deadline, EC2 or the job itself decides. */
START_TEST(consoles_are_read_for_candidates_alone)
{
    static const struct {
        struct reap_facts f;
        bool needed;
    } cases[] = {
        { { .state = EC2_RUNNING, .record = REAP_RECORD_OFFLINE, .age = 500 }, false }, /* boots */
        { { .state = EC2_RUNNING, .record = REAP_RECORD_ONLINE, .age = 1800 }, false },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_BUSY, .age = 5000 }, false },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_UNKNOWN, .age = 5000 }, false },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_ABSENT, .age = 30000 }, false }, /* past its deadline */
        { { .state = EC2_STOPPED, .record = REAP_RECORD_ABSENT, .age = 5000 }, false },
        { { .state = EC2_STOPPING, .record = REAP_RECORD_ABSENT, .age = 5000 }, false },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_ABSENT, .age = 5000, .job = REAP_JOB_COMPLETED }, false },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_ABSENT, .age = 5000, .job = REAP_JOB_RUNNING }, false },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_ONLINE, .age = 5000, .job = REAP_JOB_QUEUED }, false },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_ABSENT, .age = 5000 }, true },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_OFFLINE, .age = 5000 }, true },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_OFFLINE_BUSY, .age = 5000 }, true },
        { { .state = EC2_RUNNING, .record = REAP_RECORD_ONLINE, .age = 1801 }, true },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct reap_facts f = cases[i].f;
        f.ours = true;
        f.limits = limits;
        ck_assert_msg(reap_needs_witness(&f) == cases[i].needed, "case %zu", i);
    }
}
END_TEST

START_TEST(consoles_are_read)
{
    static const struct {
        const char *text;
        enum reap_witness witness;
    } cases[] = {
#define BOOT "[ 0.0] Linux\nmayfly: phase booting (1.00s)\r\nmayfly: version 1, runner r\n"
#define START BOOT "mayfly: phase runner-ready (2.00s)\nmayfly: phase runner-starting (3.00s)\n"
#define JOB START "mayfly: phase docker-ready (4.00s)\nmayfly: phase job-started (5.00s)\n"
        { NULL, REAP_WITNESS_UNKNOWN },
        { "", REAP_WITNESS_UNKNOWN },
        { "[ 0.0] Linux\nlogin: ", REAP_WITNESS_UNKNOWN },
        { "mayfly: phase docker-ready (4.00s)\n", REAP_WITNESS_UNKNOWN }, /* what came before it is cut off */
        { "se runner-starting (3.00s)\nmayfly: phase docker-ready (4.00s)\n", REAP_WITNESS_UNKNOWN },
        { BOOT, REAP_WITNESS_BOOTING },
        { BOOT "mayfly: failed: packages (exit 100)\n", REAP_WITNESS_BOOTING },
        { BOOT "mayfly: failed: packages (exit 100)\nmayfly: phase poweroff (9.00s)\n", REAP_WITNESS_DONE },
        { START, REAP_WITNESS_WAITING },
        { START "mayfly: no job within 1800s\n", REAP_WITNESS_WAITING },
        { START "2026-11-30 12:00:00Z: Listening for Jobs\n", REAP_WITNESS_WAITING },
        { START "[12.3] kernel: mayfly: phase job-started (5.00s)\n", REAP_WITNESS_WORKING }, /* within a line, too */
        { START "2026-11-30 12:00:00Z: Running job: build\n", REAP_WITNESS_WORKING }, /* the runner's own word */
        { JOB, REAP_WITNESS_WORKING },
        { "mayfly: phase job-started (5.00s)\n", REAP_WITNESS_WORKING },
        { JOB "mayfly: phase runner-exited 0 (6.00s)\n", REAP_WITNESS_DONE },
        { JOB "mayfly: phase poweroff (6.00s)\n", REAP_WITNESS_DONE },
        { "mayfly: phase poweroff (6.00s)\n", REAP_WITNESS_DONE },
        /* A job can have names; those of its end count at the beginning of a line alone. */
        { START "Z: Running job: mayfly: phase runner-exited 0 (1s)\n", REAP_WITNESS_WORKING },
        { START "Z: Running job: mayfly: phase poweroff\n", REAP_WITNESS_WORKING },
        { "x: mayfly: phase runner-starting (3.00s)\n", REAP_WITNESS_UNKNOWN },
        /* What ran before the last job began says nothing of it. */
        { JOB "mayfly: phase runner-exited 0 (6.00s)\nmayfly: phase job-started (7.00s)\n", REAP_WITNESS_WORKING },
#undef BOOT
#undef START
#undef JOB
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        enum reap_witness w = reap_read_console(cases[i].text);
        ck_assert_msg(w == cases[i].witness, "case %zu: %s", i, reap_witness_name(w));
    }
}
END_TEST

START_TEST(marks_are_written_and_read)
{
    static const char *const bad[] = {
        "", "no-runner", "no-runner@", "no-runner@16e8", "no-runner@-1", "no-runner@1 "
    };
    AUTO_FREE char *mark = reap_mark_format("no-runner", 1700000000), *rule = NULL;
    int64_t epoch = 0;
    ck_assert_str_eq(mark, "no-runner@1700000000");
    ck_assert(reap_mark_parse(mark, &rule, &epoch));
    ck_assert_str_eq(rule, "no-runner");
    ck_assert_int_eq(epoch, 1700000000);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg(!reap_mark_parse(bad[i], &rule, &epoch), "%s", bad[i]);
}
END_TEST

/* --- many instances in little room ----------------------------------------------------------------------------------
 */

enum { NOW = 1700000000 };

static struct ec2_instance instance(struct arena *arena, const char *id, const char *scope, const char *runner_id,
                                    const char *runner)
{
    const struct ec2_tag tags[] = { { "mayfly:fleet", "o/r" },   { "mayfly:role", "runner" },
                                    { "mayfly:scope", scope },   { "mayfly:runner-id", runner_id },
                                    { "mayfly:runner", runner }, { "mayfly:limits", "boot=700" } };
    struct ec2_instance i = { .id = id, .state_name = "running", .launch_time = "2023-11-14T20:13:20.000Z" }; /* 2 h */
    for (size_t t = 0; t < ARRAY_SIZE(tags); t++)
        if (tags[t].value)
            *(struct ec2_tag *)field_list_add(&i.tags, sizeof(struct ec2_tag), arena) = tags[t];
    return i;
}

static bool add(struct reap_rows *rows, struct arena *arena, const char *id, const char *scope, const char *runner_id,
                const char *runner)
{
    const struct ec2_instance i = instance(arena, id, scope, runner_id, runner);
    const struct reap_facts f = reap_read_instance(&i, "o/r", limits, NOW);
    return reap_rows_add(rows, &i, &f, 3);
}

static const struct reap_row *row_of(const struct reap_rows *rows, const char *id)
{
    for (size_t i = 0; i < rows->n; i++)
        if (str_eq(rows->v[i].id, id))
            return &rows->v[i];
    ck_abort_msg("no row %s", id);
    return NULL;
}

START_TEST(rows_are_small)
{
    ck_assert_uint_le(sizeof(struct reap_row), 48);
}
END_TEST

START_TEST(rows_keep_what_instances_say)
{
    AUTO_ARENA arena = { 0 };
    CLEANUP(reap_rows_clear) struct reap_rows rows = { 0 };
    ck_assert(add(&rows, &arena, "i-0123456789abcdef0", "o/r", "7", "one"));
    ck_assert(!add(&rows, &arena, "i-0123456789abcdef01", "o/r", "7", "one")); /* longer than ids are */
    const struct reap_row *row = row_of(&rows, "i-0123456789abcdef0");
    const struct reap_facts f = reap_row_facts(&rows, row, NOW);
    ck_assert(f.ours && !f.keep && !f.builder);
    ck_assert_int_eq(f.state, EC2_RUNNING);
    ck_assert_int_eq(f.record, REAP_RECORD_UNKNOWN);
    ck_assert_int_eq(f.age, 7200);
    ck_assert_int_eq(f.limits.boot, 700);
    ck_assert_int_eq(f.limits.life, limits.life);
    ck_assert_uint_eq(row->region, 3);
    ck_assert_str_eq(reap_row_scope(&rows, row), "o/r");
}
END_TEST

/* Each by its own scope; ids are counted per tenant, so a name must fit too; any order. */
START_TEST(rows_find_their_records)
{
    AUTO_ARENA arena = { 0 };
    CLEANUP(reap_rows_clear) struct reap_rows rows = { 0 };
    const struct github_runner busy = { .id = 7, .name = "seven", .status = "offline", .busy = true };
    const struct github_runner other = { .id = 9, .name = "somebody", .status = "online" };
    ck_assert(add(&rows, &arena, "i-9", "o/r", "9", "nine"));
    ck_assert(add(&rows, &arena, "i-7x", "org", "7", "seven"));
    ck_assert(add(&rows, &arena, "i-7", "o/r", "7", "seven"));
    ck_assert(add(&rows, &arena, "i-8", "o/r", "8", "eight"));
    ck_assert(add(&rows, &arena, "i-none", NULL, "1", "none"));
    ck_assert(add(&rows, &arena, "i-odd", "../../user", "1", "odd"));
    ck_assert(add(&rows, &arena, "i-nameless", "o/r", "7", ""));
    reap_rows_sort(&rows);
    size_t scope = reap_rows_scope(&rows, "o/r");
    ck_assert_uint_eq(rows.scopes.n, 2);
    ck_assert(reap_rows_match(&rows, scope, &busy));
    ck_assert(!reap_rows_match(&rows, scope, &other));
    ck_assert(reap_rows_settle(&rows, scope, NOW));
    ck_assert_int_eq(row_of(&rows, "i-7")->record, REAP_RECORD_OFFLINE_BUSY);
    ck_assert_int_eq(row_of(&rows, "i-8")->record, REAP_RECORD_ABSENT);
    ck_assert_int_eq(row_of(&rows, "i-9")->record, REAP_RECORD_ABSENT);
    ck_assert_int_eq(row_of(&rows, "i-7x")->record, REAP_RECORD_UNKNOWN); /* its scope was not read */
    ck_assert_int_eq(row_of(&rows, "i-none")->record, REAP_RECORD_UNKNOWN);
    ck_assert_int_eq(row_of(&rows, "i-odd")->record, REAP_RECORD_UNKNOWN);
    ck_assert_int_eq(row_of(&rows, "i-nameless")->record, REAP_RECORD_UNKNOWN);
    reap_rows_forget(&rows, scope);
    ck_assert_int_eq(row_of(&rows, "i-7")->record, REAP_RECORD_UNKNOWN);
}
END_TEST

/* What a record that makes no sense could be of is unknown; what has a record of its own is not. */
START_TEST(rows_of_records_that_make_no_sense)
{
    static const struct {
        struct github_runner record;
        const char *unknown;
    } cases[] = {
        { { .id = 8, .name = "eight" }, "i-8" },
        { { .id = 8 }, "i-8" },
        { { .name = "eight" }, "i-8" },
        { { .name = "" }, "i-8 i-9" },
        { { .id = 0 }, "i-8 i-9" },
        { { .id = 7 }, "" },
        { { .id = 4711 }, "" },
        { { .name = "stranger" }, "" },
    };
    AUTO_ARENA arena = { 0 };
    CLEANUP(reap_rows_clear) struct reap_rows rows = { 0 };
    const struct github_runner seven = { .id = 7, .name = "seven", .status = "online" };
    const char *const ids[] = { "i-8", "i-9" };
    ck_assert(add(&rows, &arena, "i-7", "o/r", "7", "seven"));
    ck_assert(add(&rows, &arena, "i-8", "o/r", "8", "eight"));
    ck_assert(add(&rows, &arena, "i-9", "o/r", "9", "nine"));
    ck_assert(add(&rows, &arena, "i-8x", "org", "8", "eight"));
    reap_rows_sort(&rows);
    size_t scope = reap_rows_scope(&rows, "o/r"), other = reap_rows_scope(&rows, "org");
    reap_rows_blur(&rows, scope, &cases[_i].record);
    ck_assert(reap_rows_match(&rows, scope, &seven));
    ck_assert(reap_rows_settle(&rows, scope, NOW));
    ck_assert(reap_rows_settle(&rows, other, NOW));
    ck_assert_int_eq(row_of(&rows, "i-7")->record, REAP_RECORD_ONLINE);
    ck_assert_int_eq(row_of(&rows, "i-8x")->record, REAP_RECORD_ABSENT);
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        ck_assert_int_eq(row_of(&rows, ids[i])->record,
                         strstr(cases[_i].unknown, ids[i]) ? REAP_RECORD_UNKNOWN : REAP_RECORD_ABSENT);
}
END_TEST

/* A record that makes no sense proves nothing. */
START_TEST(a_scope_of_senseless_records_is_suspicious)
{
    AUTO_ARENA arena = { 0 };
    CLEANUP(reap_rows_clear) struct reap_rows rows = { 0 };
    const struct github_runner senseless = { .id = 7 };
    for (int n = 0; n < 6; n++) {
        AUTO_FREE char *id = xasprintf("i-%d", n), *runner = xasprintf("%d", 7 + n);
        ck_assert(add(&rows, &arena, id, "o/r", runner, runner));
    }
    reap_rows_sort(&rows);
    reap_rows_blur(&rows, 0, &senseless);
    ck_assert(!reap_rows_settle(&rows, 0, NOW));
}
END_TEST

/* Thousands in pages of any size, among them several of one record. */
START_TEST(rows_take_thousands)
{
    enum { N = 5000 };
    AUTO_ARENA arena = { 0 };
    CLEANUP(reap_rows_clear) struct reap_rows rows = { 0 };
    for (unsigned n = 0; n < N; n++) {
        unsigned k = n * 7919 % N;
        AUTO_FREE char *id = xasprintf("i-%017x", n), *runner_id = xasprintf("%u", k / 2 + 1),
                       *name = xasprintf("r%u", k / 2 + 1);
        ck_assert(add(&rows, &arena, id, "o/r", arena_strdup(&arena, runner_id), arena_strdup(&arena, name)));
    }
    reap_rows_sort(&rows);
    for (unsigned k = 1; k <= N / 2; k += 2) {
        AUTO_FREE char *name = xasprintf("r%u", k);
        const struct github_runner r = { .id = k, .name = name, .status = "online" };
        ck_assert(reap_rows_match(&rows, 0, &r));
    }
    ck_assert(reap_rows_settle(&rows, 0, NOW));
    for (size_t i = 0; i < rows.n; i++)
        ck_assert_int_eq(rows.v[i].record, rows.v[i].runner_id % 2 ? REAP_RECORD_ONLINE : REAP_RECORD_ABSENT);
    ck_assert_uint_eq(rows.n_limits, 1);
}
END_TEST

/* Five running instances past their boot grace, none with a record: a wrong token, not a finished fleet. */
START_TEST(a_scope_without_any_record_is_suspicious)
{
    AUTO_ARENA arena = { 0 };
    CLEANUP(reap_rows_clear) struct reap_rows rows = { 0 };
    for (int n = 0; n < 4 + _i; n++) {
        AUTO_FREE char *id = xasprintf("i-%d", n);
        ck_assert(add(&rows, &arena, id, "o/r", "7", "seven"));
    }
    reap_rows_sort(&rows);
    ck_assert(reap_rows_settle(&rows, 0, NOW) == (_i == 0));
    ck_assert_int_eq(rows.v[0].record, _i == 0 ? REAP_RECORD_ABSENT : REAP_RECORD_UNKNOWN);
}
END_TEST

static TCase *rules(void)
{
    TCase *t = tcase_create("rules");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, every_combination_is_as_in_the_other_table);
    tcase_add_test(t, rules_by_name);
    tcase_add_test(t, jobs_are_read_for_candidates_alone);
    tcase_add_test(t, consoles_are_read_for_candidates_alone);
    tcase_add_test(t, consoles_are_read);
    tcase_add_test(t, marks_are_written_and_read);
    return t;
}

static TCase *rows(void)
{
    TCase *t = tcase_create("rows");
    tcase_add_test(t, rows_are_small);
    tcase_add_test(t, rows_keep_what_instances_say);
    tcase_add_test(t, rows_find_their_records);
    tcase_add_loop_test(t, rows_of_records_that_make_no_sense, 0, 8);
    tcase_add_test(t, a_scope_of_senseless_records_is_suspicious);
    tcase_add_test(t, rows_take_thousands);
    tcase_add_loop_test(t, a_scope_without_any_record_is_suspicious, 0, 2);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { rules, rows };
    return run_suite("reap", all, ARRAY_SIZE(all));
}
