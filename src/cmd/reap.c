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

#define ROW(member) .offset = offsetof(struct reap_options, member)

static const struct opt reap_opts[] = {
    FLEET_OPTS(struct reap_options, fleet),
    { .name = "dry-run", .type = OPT_FLAG, ROW(dry_run), .help = "tell what would be done, do nothing" },
    { .name = "no-confirm",
      .type = OPT_FLAG,
      ROW(no_confirm),
      .help = "act at first sight, without a second pass that agrees" },
    { .name = "max",
      .type = OPT_NUMBER,
      ROW(max),
      .arg = "N",
      .help = "end at most N before their deadline; else half the fleet or 20, the larger",
      .min = 1,
      .max = 100000 },
    { .name = "image-retention",
      .type = OPT_SECONDS,
      ROW(image_retention),
      .arg = "DURATION",
      .help =
          "also remove images of the fleet's own bakes that are older, with their snapshots, but never the newest of "
          "a name, what /mayfly/ami/NAME or its /previous names, or what an instance runs; without it only those go "
          "that a bake began and never got done with",
      .min = 86400,
      .max = 366 * 86400 },
    { .name = "lock",
      .type = OPT_STRING,
      ROW(lock),
      .arg = "FILE",
      .help = "hold this file's lock; while another run holds it, do nothing and exit with status 75" },
    { .name = "metrics",
      .type = OPT_STRING,
      ROW(metrics),
      .arg = "FILE",
      .help = "write what came of the pass there, also when it failed, for the textfile collector of Prometheus' "
              "node_exporter" },
    { 0 },
};

static void summarise(struct cmd *cmd, const struct fleet *f, const struct report *report)
{
    size_t removed = 0;
    for (size_t k = REPORT_LEFTOVER; k < REPORT_KINDS; k++)
        removed += report->gone[k];
    if (cmd->common.json) {
        struct json_object *o = row_new(f->reap.cloud_now, "pass");
        row_text(o, "fleet", f->config.fleet);
        row_number(o, "instances", (int64_t)f->reap.rows.n);
        row_number(o, "ended", (int64_t)report->gone[REPORT_INSTANCE]);
        row_number(o, "deleted", (int64_t)report->gone[REPORT_RUNNER]);
        row_number(o, "removed", (int64_t)removed);
        json_object_object_add(o, "whole", must(json_object_new_boolean(cmd->exit_status == 0)));
        row_print(o);
    } else {
        log_info("fleet %s: %zu live instances looked at, %zu ended, %zu runner records without instance deleted, %zu "
                 "leftovers removed",
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
    .summary = "end what nothing else ended, from cron",
    .about =
        "Looks at every live instance of the fleet. Ends what is past its deadline, whatever it does, and what has\n"
        "no runner any more, whose runner never came, idles, died or stopped, once a later pass agrees (2 to 15\n"
        "minutes later, by the rule), and never by GitHub's word alone: EC2, the job of its workflow run or its\n"
        "console has to say so, too. Instances with the tag mayfly:keep are left alone. Deletes runner records of "
        "the\n"
        "fleet that are offline, older than an hour, and that no instance belongs to; volumes of the fleet that "
        "nothing\n"
        "is attached to and spot requests that nothing came of, older than an hour; images that a bake began and\n"
        "never got done with. With --json, every line is an object; the last tells of the pass.",
    .opts = reap_opts,
    .options_size = sizeof(struct reap_options),
    .reads_jobs = true,
    .limit_s = 1800,
    .run = run,
};
