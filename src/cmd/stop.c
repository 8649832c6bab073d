#include "mayfly/runner/stop.h"
#include "mayfly/cmd/cmd.h"
#include "mayfly/runner/tags.h"
#include "mayfly/util/log.h"

struct stop_options {
    struct strlist instances, regions;
    char *label, *name, *places;
    bool force;
};

#define ROW(member) .offset = offsetof(struct stop_options, member)

static const struct opt stop_opts[] = {
    { .name = "instance",
      .type = OPT_LIST,
      ROW(instances),
      .arg = "ID[,ID…]",
      .help = "instances to end",
      .aliases = "ec2-instance-id",
      .bits = OPT_ONCE },
    { .name = "label", .type = OPT_STRING, ROW(label), .arg = "LABEL", .help = "end all instances of this label" },
    { .name = "name",
      .type = OPT_STRING,
      ROW(name),
      .arg = "NAME",
      .help = "without --instance and --label: only what start --name NAME of this workflow run launched" },
    { .name = "regions",
      .type = OPT_LIST,
      ROW(regions),
      .arg = "REGION[,REGION…]",
      .help = "regions to search; else the one of --region",
      .bits = OPT_CHECKOUT | OPT_ONCE },
    { .name = "places",
      .type = OPT_TEXT,
      ROW(places),
      .arg = "JSON",
      .help = "as of start: its regions are searched too",
      .aliases = "availability-zones-config",
      .bits = OPT_CHECKOUT },
    { .name = "force", .type = OPT_FLAG, ROW(force), .help = "also what runs a job or belongs to another fleet" },
    { 0 },
};

static bool check(const struct stop_options *o, struct error *err)
{
    for (size_t i = 0; i < o->instances.n; i++) {
        if (ec2_id_is_valid(o->instances.v[i], "i"))
            continue;
        error_set(err, ERROR_USAGE, 0, "--instance: `%.60s` is not an id", o->instances.v[i]);
        error_hint(err, "instance ids look like i-0123456789abcdef0");
        return false;
    }
    if (!str_empty(o->label) && !label_is_valid(o->label))
        return error_set(err, ERROR_USAGE, 0, "--label: `%.120s` is not a label", o->label);
    return true;
}

/* Where it was looked for: in the wrong region, too, nothing is left. */
static void tell_of_missing(const struct stop *s)
{
    const struct strlist *ids = s->config->instances;
    AUTO_FREE char *regions = strlist_join(s->config->regions, ", ");
    if (s->n == 0)
        log_info("nothing to stop: no such instance is left in %s", regions);
    for (size_t i = 0; i < ids->n && s->n > 0; i++)
        if (!stop_knows(s, ids->v[i]))
            log_info("no longer in %s: %s", regions, ids->v[i]);
}

static void report(struct cmd *cmd, const struct stop *s)
{
    AUTO_JSON *object = must(json_object_new_object());
    struct json_object *ended = must(json_object_new_array()), *kept = must(json_object_new_array());
    for (size_t i = 0; i < s->n; i++) {
        const struct stop_target *t = &s->targets[i];
        bool gone = t->pair.instance == INSTANCE_GONE;
        json_object_array_add(gone ? ended : kept, must(json_object_new_string(t->pair.instance_id)));
        if (gone)
            log_info("%s %s", t->already_gone ? "was gone already:" : "ended", t->pair.instance_id);
        else if (s->several_labels)
            log_warn("left alone: %s (label %s)", t->pair.instance_id, t->label ? t->label : "none");
        else if (t->pair.record == RECORD_BUSY)
            log_warn("left alone: %s runs a job; stop --force ends it", t->pair.instance_id);
        else if (t->pair.record == RECORD_STUCK && t->pair.must_fence)
            log_warn("left alone: %s may run a job, since GitHub could not be asked; stop --force ends it",
                     t->pair.instance_id);
        else
            log_warn("left behind, for its own deadline and the reaper: %s", t->pair.instance_id);
    }
    if (s->several_labels)
        log_warn("this workflow run has instances under several labels: give --name, --label or --instance");
    else if (s->error.domain == ERROR_NONE)
        tell_of_missing(s);
    json_object_object_add(object, "ended", ended);
    json_object_object_add(object, "kept", kept);
    if (cmd->common.json)
        print_json(object);
}

static bool finish(const struct stop *s, struct error *err)
{
    if (s->error.domain != ERROR_NONE) {
        error_copy(err, &s->error);
        return false;
    }
    for (size_t i = 0; i < s->n; i++) {
        const struct pair *p = &s->targets[i].pair;
        if (p->instance == INSTANCE_STUCK) {
            error_copy(err, &p->error);
            error_hint(err, "run stop again; the instance ends itself at its deadline, and the reaper watches");
            return error_prefix(err, "instance %s is still there", p->instance_id);
        }
        if (p->record == RECORD_STUCK && p->must_fence) {
            error_copy(err, &p->error);
            error_hint(err, "run stop again: the instance was left alone, since its runner may be busy");
            return error_prefix(err, "instance %s is still there", p->instance_id);
        }
        if (p->record == RECORD_STUCK) {
            AUTO_FREE char *why = error_format(&p->error);
            log_warn("the record of the runner on %s is still there: %s", p->instance_id, why);
        }
    }
    return true;
}

static bool run(struct cmd *cmd, void *options, struct error *err)
{
    const struct stop_options *o = options;
    AUTO_SESSION session = { 0 };
    CLEANUP(stop_clear) struct stop stop = { 0 };
    AUTO_STRLIST regions = { 0 };
    if (!check(o, err) || !session_open(&session, cmd, err))
        return false;
    if (!regions_find(&o->regions, o->places, session.aws_config.region, &regions, err))
        return false;
    const struct stop_config config = {
        .fleet = session.fleet,
        .scope = session.github_config.scope,
        .regions = &regions,
        .instances = &o->instances,
        .label = o->label,
        .run_id = cmd->getenv("GITHUB_RUN_ID"),
        .run_attempt = cmd->getenv("GITHUB_RUN_ATTEMPT"),
        .name = o->name,
        .force = o->force,
    };
    if (!stop_init(&stop, &config, err))
        return false;
    drive(&session.cloud, &stop.machine);
    report(cmd, &stop);
    return finish(&stop, err);
}

const struct command command_stop = {
    .name = "stop",
    .summary = "end what a start launched",
    .about =
        "Ends instances by --instance or --label, runner record first. With neither it looks for this workflow run,\n"
        "so that it works after a start that died before it wrote an output; there it leaves a busy runner alone.\n"
        "What is already gone counts as success.",
    .opts = stop_opts,
    .options_size = sizeof(struct stop_options),
    .run = run,
};
