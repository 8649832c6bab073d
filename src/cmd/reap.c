#include "reap_report.h"

#include "mayfly/util/log.h"

struct reap_options {
    struct fleet_options fleet;
    uint64_t max;
    int64_t image_retention;
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
      .help = "also remove images of the fleet's own bakes that are older, but never the newest of a name, and their "
              "snapshots; without it only those go that a bake began and never got done with",
      .min = 86400,
      .max = 366 * 86400 },
    { 0 },
};

static void add_number(struct json_object *o, const char *key, size_t n)
{
    json_object_object_add(o, key, must(json_object_new_int64((int64_t)n)));
}

static void summarise(struct cmd *cmd, const struct fleet *f, const struct report *report)
{
    size_t ended = counts_of(&report->instances, "ended"), deleted = counts_of(&report->runners, "deleted"),
           removed = 0;
    for (size_t k = 0; k < EC2_KIND_COUNT; k++)
        removed += counts_of(&report->leftovers[k], "removed");
    if (cmd->common.json) {
        AUTO_JSON *o = must(json_object_new_object());
        json_object_object_add(o, "time", must(json_object_new_string(clock_rfc3339(f->reap.cloud_now).s)));
        json_object_object_add(o, "kind", must(json_object_new_string("pass")));
        json_object_object_add(o, "fleet", must(json_object_new_string(f->config.fleet)));
        add_number(o, "instances", f->reap.rows.n);
        add_number(o, "ended", ended);
        add_number(o, "deleted", deleted);
        add_number(o, "removed", removed);
        json_object_object_add(o, "whole", must(json_object_new_boolean(cmd->exit_status == 0)));
        print_json(o);
    } else {
        log_info("fleet %s: %zu live instances looked at, %zu ended, %zu runner records without instance deleted, %zu "
                 "leftovers removed",
                 f->config.fleet, f->reap.rows.n, ended, deleted, removed);
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

static bool run(struct cmd *cmd, void *options, struct error *err)
{
    const struct reap_options *o = options;
    struct report report = { 0 };
    AUTO_FLEET fleet = { 0 };
    if (!fleet_open(&fleet, cmd, &o->fleet, err))
        return false;
    fleet.config.max = o->max;
    fleet.config.dry_run = o->dry_run;
    fleet.config.confirm = !o->no_confirm;
    if (!fleet_pass(&fleet, err))
        return false;
    report_pass(cmd, &fleet, &report);
    if (!remove_leftovers(cmd, o, &fleet, &report, err))
        return false;
    if (!fleet_warn(&fleet) || report.left)
        cmd->exit_status = EXIT_PARTIAL;
    summarise(cmd, &fleet, &report);
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
        "fleet that are offline, older than an hour, and that no instance belongs to; volumes of the fleet that "
        "nothing\n"
        "is attached to and spot requests that nothing came of, older than an hour; images that a bake began and\n"
        "never got done with. With --json, every line is an object; the last tells of the pass.",
    .opts = reap_opts,
    .options_size = sizeof(struct reap_options),
    .run = run,
};
