#include "reap_metrics.h"

#include "mayfly/util/lock.h"
#include "mayfly/util/log.h"

struct reap_options {
    struct fleet_options fleet;
    uint64_t max;
    int64_t image_retention;
    char *lock, *metrics;
    bool dry_run, no_confirm;
};

#define OPTIONS struct reap_options

static const struct opt reap_opts[] = {
    FLEET_OPTS(fleet),
    OPT_FLAG("dry-run", dry_run, "print what would be done, and do nothing"),
    OPT_FLAG("no-confirm", no_confirm, "act at once, without confirmation by a second pass"),
    OPT_NUMBER("max", max, "N",
               "terminate at most N instances before their deadline (default: half the fleet, at least 20)", .min = 1,
               .max = 100000),
    OPT_SECONDS("image-retention", image_retention, "DURATION",
                "also remove images of the fleet's own bakes that are older than this, with their snapshots; never the "
                "latest of a name, one that /mayfly/ami/NAME or its /previous parameter holds, or one that an instance "
                "uses (default: only images of unfinished bakes)",
                .min = 86400, .max = 366 * 86400),
    OPT_STRING("lock", lock, "FILE",
               "lock FILE during the pass; if another run holds the lock, do nothing and exit with status 75"),
    OPT_STRING("metrics", metrics, "FILE",
               "write metrics of the pass, successful or not, to FILE, for the textfile collector of Prometheus' "
               "node_exporter"),
    { 0 },
};

#undef OPTIONS

static void summarise(struct cmd *cmd, const struct fleet *f, const struct report *report)
{
    size_t removed = 0;
    for (size_t k = REPORT_LEFTOVER; k < REPORT_KINDS; k++)
        removed += report->gone[k];
    if (cmd->common.json) {
        struct json_object *o = row_new(f->reap.cloud_now, "pass");
        row_text(o, "fleet", f->config.fleet);
        row_number(o, "instances", (int64_t)f->reap.rows.n);
        row_number(o, "terminated", (int64_t)report->gone[REPORT_INSTANCE]);
        row_number(o, "deleted", (int64_t)report->gone[REPORT_RUNNER]);
        row_number(o, "removed", (int64_t)removed);
        json_object_object_add(o, "whole", must(json_object_new_boolean(cmd->exit_status == 0)));
        row_print(o);
    } else {
        log_info("fleet %s: %zu live instances checked, %zu terminated, %zu runner registrations without an instance "
                 "deleted, %zu leftovers removed",
                 f->config.fleet, f->reap.rows.n, report->gone[REPORT_INSTANCE], report->gone[REPORT_RUNNER], removed);
    }
}

static bool remove_leftovers(struct cmd *cmd, const struct reap_options *o, struct fleet *f, struct report *report,
                             struct error *err)
{
    CLEANUP(leftovers_clear) struct leftovers left = { 0 };
    const struct leftovers_config config = {
        .fleet = f->config.fleet, .regions = &f->regions, .retention = o->image_retention, .dry_run = o->dry_run
    };
    leftovers_init(&left, &config);
    drive(&f->session.cloud, &left.machine);
    report_leftovers(cmd, &left, report);
    return left.error.domain == ERROR_NONE || error_move(err, &left.error);
}

static bool pass(struct cmd *cmd, const struct reap_options *o, struct fleet *fleet, struct report *report,
                 struct error *err)
{
    if (!fleet_open(fleet, cmd, &o->fleet, err))
        return false;
    fleet->config.max = o->max;
    fleet->config.dry_run = o->dry_run;
    fleet->config.confirm = !o->no_confirm;
    bool ok = fleet_pass(fleet, err);
    if (fleet->reap.phase == REAP_ACTING) /* a signal may have come while it was under way */
        report_pass(cmd, fleet, report);
    if (!ok || !remove_leftovers(cmd, o, fleet, report, err))
        return false;
    if (!fleet_warn(fleet) || report_has_left(report))
        cmd->exit_status = EXIT_PARTIAL;
    summarise(cmd, fleet, report);
    return true;
}

static bool run(struct cmd *cmd, void *options, struct error *err)
{
    const struct reap_options *o = options;
    AUTO_ERROR unwritten = { 0 };
    AUTO_FLEET fleet = { 0 };
    CLEANUP(lock_release) int lock = -1;
    CLEANUP(metrics_clear) struct metrics metrics = { 0 };
    CLEANUP(report_clear) struct report report = { 0 };
    if ((!str_empty(o->lock) && !lock_take(o->lock, &lock, err)) || !metrics_open(&metrics, o->metrics, cmd->env, err))
        return false;
    bool ok = pass(cmd, o, &fleet, &report, err);
    int status = ok ? cmd->exit_status : error_exit_status(err);
    if (metrics_write(&metrics, &fleet, &report, ok, status, &unwritten))
        return ok;
    if (ok)
        return error_move(err, &unwritten);
    AUTO_FREE char *why = error_format(&unwritten);
    log_warn("%s", why);
    return false;
}

const struct command command_reap = {
    .name = "reap",
    .summary = "terminate what was left behind; run it from cron",
    .about = "Checks every live instance of the fleet. Terminates instances past their deadline, even busy ones,\n"
             "and instances whose runner is gone, never came online, is idle, died or stopped. The latter must\n"
             "be confirmed by a second pass, 2 to 15 minutes later depending on the rule, and by more than\n"
             "GitHub's word: by EC2, by the job in its workflow run, or by the instance's console. Instances\n"
             "with the tag mayfly:keep are left alone. Also deletes the fleet's runner registrations that are\n"
             "offline, older than an hour and without an instance; its unattached volumes and unfulfilled spot\n"
             "requests that are older than an hour; and images of unfinished bakes. With --json, each line is an\n"
             "object; the last one describes the pass.",
    .opts = reap_opts,
    .options_size = sizeof(struct reap_options),
    .reads_jobs = true,
    .limit_s = 1800,
    .run = run,
};
