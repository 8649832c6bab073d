#include <inttypes.h>

#include "mayfly/aws/sts.h"
#include "mayfly/cmd/cmd.h"
#include "mayfly/runner/reap.h"
#include "mayfly/util/log.h"

struct reap_options {
    struct strlist regions;
    int64_t boot_grace, max_lifetime;
    uint64_t max;
    bool dry_run, no_confirm;
};

#define ROW(member) .offset = offsetof(struct reap_options, member)

static const struct opt reap_opts[] = {
    { .name = "regions",
      .type = OPT_LIST,
      ROW(regions),
      .arg = "REGION[,REGION…]",
      .help = "regions to look at; else the one of --region" },
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
    { .name = "boot-grace",
      .type = OPT_SECONDS,
      ROW(boot_grace),
      .arg = "DURATION",
      .help = "for a runner to come, where the instance's tag does not say",
      .fallback = "10m",
      .min = 120,
      .max = 86400 },
    { .name = "max-lifetime",
      .type = OPT_SECONDS,
      ROW(max_lifetime),
      .arg = "DURATION",
      .help = "of an instance, where its tag does not say",
      .fallback = "6h",
      .min = 600,
      .max = 30 * 86400 },
    { 0 },
};

static const char *done(const struct reap *r, const struct reap_target *t)
{
    if (t->error.domain)
        return "failed";
    if (t->ended)
        return "ended";
    switch (t->verdict) {
    case REAP_TERMINATE:
        return r->config->dry_run ? "would end" : "not ended";
    case REAP_MARK:
        return r->config->dry_run ? "would mark" : "marked";
    default:
        return "kept";
    }
}

static size_t report_ghosts(struct cmd *cmd, const struct reap *r, struct json_object *rows)
{
    size_t deleted = 0;
    for (size_t i = 0; i < r->n_ghosts; i++) {
        const struct reap_ghost *g = &r->ghosts[i];
        const char *what = g->error.domain ? "failed" : g->ended ? "deleted" : g->absent ? "would delete" : "kept";
        AUTO_FREE char *why =
            g->error.domain ? error_format(&g->error)
                            : xstrdup(g->absent || g->ended ? "no instance has it" : "an instance has it after all");
        deleted += g->ended;
        if (cmd->common.json) {
            struct json_object *row = must(json_object_new_object());
            json_object_object_add(row, "runner", must(json_object_new_string(g->name)));
            json_object_object_add(row, "runner-id", must(json_object_new_int64(g->runner_id)));
            json_object_object_add(row, "region", must(json_object_new_string(g->region)));
            json_object_object_add(row, "age", must(json_object_new_int64(g->age)));
            json_object_object_add(row, "done", must(json_object_new_string(what)));
            json_object_object_add(row, "rule", must(json_object_new_string("ghost")));
            json_object_object_add(row, "reason", must(json_object_new_string(why)));
            json_object_array_add(rows, row);
        } else {
            printf("%s runner %s: %s (ghost, age %" PRId64 " s)\n", what, g->name, why, g->age);
        }
    }
    return deleted;
}

static void report(struct cmd *cmd, const struct reap *r)
{
    AUTO_JSON *object = must(json_object_new_object());
    struct json_object *rows = must(json_object_new_array()), *ghosts = must(json_object_new_array());
    size_t ended = 0, deleted = report_ghosts(cmd, r, ghosts);
    for (size_t i = 0; i < r->n; i++) {
        const struct reap_target *t = &r->targets[i];
        AUTO_FREE char *why = t->error.domain ? error_format(&t->error) : xstrdup(t->reason);
        ended += t->ended;
        if (cmd->common.json) {
            struct json_object *row = must(json_object_new_object());
            json_object_object_add(row, "instance", must(json_object_new_string(t->pair.instance_id)));
            json_object_object_add(row, "region", must(json_object_new_string(t->pair.region)));
            json_object_object_add(row, "runner", must(json_object_new_string(t->runner ? t->runner : "")));
            json_object_object_add(row, "state", must(json_object_new_string(ec2_state_format(t->facts.state))));
            json_object_object_add(row, "age", must(json_object_new_int64(t->facts.age)));
            json_object_object_add(row, "done", must(json_object_new_string(done(r, t))));
            json_object_object_add(row, "rule", must(json_object_new_string(t->rule)));
            json_object_object_add(row, "reason", must(json_object_new_string(why)));
            json_object_array_add(rows, row);
        } else {
            printf("%s %s: %s (%s, %s, age %" PRId64 " s)\n", done(r, t), t->pair.instance_id, why, t->rule,
                   ec2_state_format(t->facts.state), t->facts.age);
        }
    }
    json_object_object_add(object, "fleet", must(json_object_new_string(r->config->fleet)));
    json_object_object_add(object, "instances", rows);
    json_object_object_add(object, "runners", ghosts);
    json_object_object_add(object, "ended", must(json_object_new_int64((int64_t)ended)));
    json_object_object_add(object, "deleted", must(json_object_new_int64((int64_t)deleted)));
    if (cmd->common.json)
        print_json(object);
    else
        log_info("fleet %s: %zu live instances looked at, %zu ended, %zu runner records without instance deleted",
                 r->config->fleet, r->n, ended, deleted);
}

/* What keeps the pass from being whole. */
static void judge(struct cmd *cmd, const struct reap *r)
{
    if (r->list_error.domain) {
        AUTO_FREE char *why = error_format(&r->list_error);
        log_warn("only deadlines were enforced, since GitHub could not be asked: %s", why);
        cmd->exit_status = EXIT_PARTIAL;
    }
    if (r->suspicious) {
        log_warn("no instance of the fleet has a runner record: a wrong token or --repo is likelier than a finished "
                 "fleet, so only deadlines were enforced");
        cmd->exit_status = EXIT_PARTIAL;
    }
    if (r->over_max) {
        log_warn("more instances than --max allows would have been ended, so only deadlines were enforced: look at "
                 "reap --dry-run, then raise --max");
        cmd->exit_status = EXIT_PARTIAL;
    }
    for (size_t i = 0; i < r->n; i++)
        if (r->targets[i].error.domain)
            cmd->exit_status = EXIT_PARTIAL;
    for (size_t i = 0; i < r->n_ghosts; i++)
        if (r->ghosts[i].error.domain)
            cmd->exit_status = EXIT_PARTIAL;
}

/* What the names of this fleet's runners begin with: it takes the account's number. */
static char *ask_name_mark(struct session *session, struct error *err)
{
    AUTO_ARENA arena = { 0 };
    struct sts_identity who = { 0 };
    AUTO_CALL *call = &sts_get_caller_identity_call(&session->aws, session->aws_config.region)->call;
    if (!call_run(&session->loop, call, err) ||
        !sts_get_caller_identity_result((struct aws_call *)call, &arena, &who, err))
        return NULL;
    return runner_name_mark(who.account, session->fleet);
}

static bool run(struct cmd *cmd, void *options, struct error *err)
{
    const struct reap_options *o = options;
    AUTO_SESSION session = { 0 };
    AUTO_FREE char *name_mark = NULL;
    CLEANUP(reap_clear) struct reap reap = { 0 };
    for (size_t i = 0; i < o->regions.n; i++)
        if (!aws_region_is_valid(o->regions.v[i]))
            return error_set(err, ERROR_USAGE, 0, "--regions: `%.40s` is not the name of an AWS region",
                             o->regions.v[i]);
    if (!session_open(&session, cmd, err) || !(name_mark = ask_name_mark(&session, err)))
        return false;
    char *default_region[] = { session.aws_config.region };
    const struct strlist one = { default_region, 1 };
    const struct reap_config config = {
        .fleet = session.fleet,
        .scope = session.github_config.scope,
        .name_mark = name_mark,
        .regions = o->regions.n ? &o->regions : &one,
        .limits = { .boot = o->boot_grace, .idle = LIMITS_DEFAULT.idle, .life = o->max_lifetime },
        .max = o->max,
        .dry_run = o->dry_run,
        .confirm = !o->no_confirm,
    };
    reap_init(&reap, &config);
    drive(&session.cloud, &reap.machine);
    if (reap.error.domain != ERROR_NONE)
        return error_move(err, &reap.error);
    report(cmd, &reap);
    judge(cmd, &reap);
    return true;
}

const struct command command_reap = {
    .name = "reap",
    .summary = "end what nothing else ended, from cron",
    .about =
        "Looks at every live instance of the fleet. Ends what is past its deadline, whatever it does, and what has\n"
        "no runner any more once a second pass, three minutes later or more, agrees. Instances with the tag\n"
        "mayfly:keep are left alone. Deletes runner records of the fleet that are offline, older than an hour, and\n"
        "that no instance belongs to.",
    .opts = reap_opts,
    .options_size = sizeof(struct reap_options),
    .run = run,
};
