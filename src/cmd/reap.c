#include "reap_report.h"

#include "mayfly/util/log.h"

struct reap_options {
    struct fleet_options fleet;
    uint64_t max;
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
    { 0 },
};

static void finish(struct cmd *cmd, const struct fleet *f)
{
    struct report report = { 0 };
    const size_t n = f->reap.rows.n;
    report_pass(cmd, f, &report);
    bool whole = fleet_warn(f);
    size_t ended = counts_of(&report.instances, "ended"), deleted = counts_of(&report.runners, "deleted");
    if (!whole || report.left)
        cmd->exit_status = EXIT_PARTIAL;
    if (cmd->common.json) {
        AUTO_JSON *o = must(json_object_new_object());
        json_object_object_add(o, "time", must(json_object_new_string(clock_rfc3339(f->reap.cloud_now).s)));
        json_object_object_add(o, "kind", must(json_object_new_string("pass")));
        json_object_object_add(o, "fleet", must(json_object_new_string(f->config.fleet)));
        json_object_object_add(o, "instances", must(json_object_new_int64((int64_t)n)));
        json_object_object_add(o, "ended", must(json_object_new_int64((int64_t)ended)));
        json_object_object_add(o, "deleted", must(json_object_new_int64((int64_t)deleted)));
        print_json(o);
    } else {
        log_info("fleet %s: %zu live instances looked at, %zu ended, %zu runner records without instance deleted",
                 f->config.fleet, n, ended, deleted);
    }
}

static bool run(struct cmd *cmd, void *options, struct error *err)
{
    const struct reap_options *o = options;
    AUTO_FLEET fleet = { 0 };
    if (!fleet_open(&fleet, cmd, &o->fleet, err))
        return false;
    fleet.config.max = o->max;
    fleet.config.dry_run = o->dry_run;
    fleet.config.confirm = !o->no_confirm;
    if (!fleet_pass(&fleet, err))
        return false;
    finish(cmd, &fleet);
    return true;
}

const struct command command_reap = {
    .name = "reap",
    .summary = "end what nothing else ended, from cron",
    .about =
        "Looks at every live instance of the fleet. Ends what is past its deadline, whatever it does, and what has\n"
        "no runner any more, whose runner never came, idles, died or stopped, once a later pass agrees (2 to 15\n"
        "minutes later, by the rule). Instances with the tag mayfly:keep are left alone. Deletes runner records of "
        "the\n"
        "fleet that are offline, older than an hour, and that no instance belongs to. With --json, every line is an\n"
        "object; the last tells of the pass.",
    .opts = reap_opts,
    .options_size = sizeof(struct reap_options),
    .run = run,
};
