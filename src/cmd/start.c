#include "mayfly/cmd/start.h"

#include <inttypes.h>

#include "mayfly/util/clock.h"
#include "mayfly/util/log.h"

const struct cell *start_cell(const struct start *s, size_t slot)
{
    return &s->plan.cells[s->launch.slots[slot].cell];
}

static bool launched(void *ctx, struct error *err)
{
    struct start *s = ctx;
    if (!start_write_outputs(s, err))
        return false;
    for (size_t i = 0; i < s->spec->count; i++) {
        const struct launch_slot *slot = &s->launch.slots[i];
        if (slot->pair.instance_id && !slot->down && !slot->announced)
            log_info("launched %s (%s, %s, %s) for runner %s", slot->pair.instance_id, start_cell(s, i)->type,
                     cell_market(start_cell(s, i)), slot->zone ? slot->zone : "zone unknown", slot->pair.name);
    }
    if (s->told_limits) /* an instance was taken back, and this is about the one in its place */
        return true;
    s->told_limits = true;
    AUTO_FREE char *life = clock_format_duration(s->spec->max_lifetime);
    AUTO_FREE char *idle = clock_format_duration(s->spec->idle_limit);
    log_info("an instance terminates itself after its job, after %s, or after %s without a job", life, idle);
    return true;
}

static void taken_back(void *ctx, size_t slot UNUSED, const struct error *why)
{
    const struct start *s = ctx;
    AUTO_FREE char *text = error_format(why);
    log_warn("%s; trying another of the %zu cells", text, s->plan.n);
}

/* Fewer runners than asked for, but enough: the outputs name those that are left. */
static bool tell_of_partial(struct start *s, struct error *err)
{
    size_t up = 0;
    for (size_t i = 0; i < s->spec->count; i++)
        up += launch_slot_is_up(&s->launch.slots[i]);
    if (up == s->spec->count)
        return true;
    AUTO_FREE char *why = error_format(&s->launch.error);
    log_warn("%zu of %" PRIu64 " runners are online, which --min-count allows; the others: %s", up, s->spec->count,
             why);
    if (start_write_outputs(s, err))
        return true;
    error_hint(err, "the runners are online nevertheless: `mayfly stop --label %s` terminates them", s->label);
    return false;
}

/* Does the workflow use the names of machulav/ec2-github-runner, whose runner takes jobs until it is stopped? */
static bool comes_from_machulav(const struct start *s)
{
    const struct strlist *inputs = &s->cmd->inputs;
    for (size_t i = 0; i + 1 < inputs->n; i += 2)
        if (!str_eq(inputs->v[i], inputs->v[i + 1]) && opts_find(start_opts, inputs->v[i]))
            return true;
    return false;
}

static void warn_of_one_job(const struct start *s)
{
    const char *use_jit = s->spec->use_jit;
    if (str_eq(use_jit, "true") || !(use_jit || comes_from_machulav(s)))
        return;
    log_warn(
        "each runner takes one job, and then its instance terminates: set `count` to the number of jobs that use the "
        "label, or `use-jit: true` when one job does");
}

static void warn_of_handover(const struct handover *h)
{
    AUTO_FREE char *unclaimed = error_format(&h->unclaimed), *unmarked = error_format(&h->unmarked);
    if (h->unclaimed.domain != ERROR_NONE)
        log_warn("another start may have taken the label too, because it could not be looked up again: %s", unclaimed);
    if (h->unmarked.domain != ERROR_NONE)
        log_warn("the tag " TAG_HANDED " could not be set, so that a stop of this run whose outputs are empty may "
                 "terminate the instance when it has no job: %s",
                 unmarked);
}

static bool launch(struct start *s, struct error *err)
{
    s->config.labels = &s->labels;
    for (size_t i = 0; i < s->plan.n_images; i++) {
        const struct userdata userdata = start_userdata(s, &s->plan.images[i]);
        size_t room = userdata_room(&userdata);
        s->config.jit_max = i == 0 || room < s->config.jit_max ? room : s->config.jit_max;
    }
    s->config.timeout_s = s->spec->timeout;
    s->config.jobs_may_wait = !str_empty(s->spec->label) || s->spec->labels.n > 0;
    s->config.timeout_ms = s->spec->timeout * 1000 - (env_mono(s->cmd->env) - s->began);
    s->cmd->env->random(s->cmd->env->ctx, &s->config.seed, sizeof(s->config.seed));
    launch_init(&s->launch, &s->config);
    s->session->loop.until = s->session->aws.until = s->cmd->until + LAUNCH_OVERTIME_MS;
    AUTO_FREE char *on_oom = xasprintf(
        "instances may have been launched that nobody waits for: `mayfly stop --label %s` terminates them", s->label);
    oom_explain(on_oom);
    drive(&s->session->cloud, &s->launch.machine);
    oom_explain("");
    bool ok = launch_succeeded(&s->launch);
    AUTO_FREE char *left = launch_leftovers(&s->launch);
    start_write_summary(s, ok, &s->launch.error);
    if (left)
        log_warn("left behind, until their deadline or the reaper: %s", left);
    warn_of_handover(&s->launch.handover);
    if (ok)
        return tell_of_partial(s, err);
    error_copy(err, &s->launch.error);
    start_explain(s, err);
    return false;
}

/* The reaper judges by the name how old a record without an instance is: one wrong Date must not put it into the
 * future. Where no two clocks agree, EC2's is the one that most readers of the name have. */
static int64_t name_time(const struct start *s)
{
    const struct env *env = s->cmd->env;
    const struct clock_times t = clocks_read(&s->session->cloud.clocks, env_mono(env), env_now(env));
    int64_t now;
    if (clocks_agree(&t, &now))
        return now;
    return t.at[CLOCK_EC2] ? t.at[CLOCK_EC2] : t.at[CLOCK_OWN];
}

static bool prepare(struct start *s, struct error *err)
{
    const struct spec *spec = s->spec;
    if (!start_read(s, err) || !userdata_check(&s->userdata, err) || !start_ask(s, err) || !start_fit(s, err) ||
        !session_goes_on(s->session, err))
        return false;
    for (size_t i = 0; i < s->plan.warnings.n; i++)
        log_warn("%s", s->plan.warnings.v[i]);
    warn_of_one_job(s);
    if (spec->labels.n > 0)
        log_warn("--labels: any job that asks for a subset of these labels may take the runner");
    if (spec_label_is_common(s->label))
        log_warn("--label: jobs ask for `%s` anyway, and any of them may take the runner", s->label);
    s->name_mark = runner_name_mark(s->account, s->session->fleet);
    s->config = (struct launch_config){
        .label = s->label,
        .fleet = s->session->fleet,
        .claims = !str_empty(spec->label),
        .hands = true,
        .runner_group = s->runner_group,
        .name_mark = s->name_mark,
        .epoch = name_time(s),
        .count = spec->count,
        .min_count = spec->min_count ? spec->min_count : spec->count,
        .plan = &s->plan,
        .render = start_render,
        .launched = launched,
        .taken_back = taken_back,
        .ctx = s,
    };
    return true;
}

/* The workflow goes on, on somebody else's machine: for want of room, and for nothing that has to be mended. */
static bool fall_back(struct start *s, struct error *why, struct error *err)
{
    const char *label = s->spec->fallback_label;
    session_explain(s->session, "start", why);
    if (str_empty(label) || !why->no_room || s->spec->dry_run)
        return error_move(err, why);
    AUTO_STRBUF text = STRBUF_INIT;
    AUTO_FREE char *formatted = error_format(why);
    strbuf_adds(&text, formatted);
    secret_redact(&text);
    const char *message = strbuf_str(&text);
    log_warn("falling back to the label `%s`: %s", label, message);
    if (s->cmd->common.json) {
        AUTO_JSON *object = must(json_object_new_object());
        json_object_object_add(object, "label", must(json_object_new_string(label)));
        json_object_object_add(object, "fallback", must(json_object_new_boolean(true)));
        json_object_object_add(object, "reason", must(json_object_new_string(message)));
        print_json(object);
    }
    return output_write(s->cmd, "label", label, err) && output_write(s->cmd, "fallback", "true", err);
}

static bool run(struct cmd *cmd, void *options, struct error *err)
{
    const struct spec *spec = options;
    AUTO_SESSION session = { 0 };
    AUTO_ERROR why = { 0 };
    CLEANUP(start_clear) struct start s;
    start_init(&s, cmd, spec, &session);
    cmd->until = s.began + spec->timeout * 1000;
    if (!spec_check(spec, err) || !session_open(&session, cmd, err))
        return false;
    if (!prepare(&s, &why))
        return fall_back(&s, &why, err);
    if (spec->dry_run) {
        start_print_plan(&s);
        return true;
    }
    /* Before the first effect: a stop after a start that dies now still finds its instances by the label. */
    if (!output_write(cmd, "label", s.label, err) || !output_write(cmd, "region", s.plan.cells[0].region, err))
        return false;
    if (!launch(&s, &why))
        return fall_back(&s, &why, err);
    for (size_t i = 0; i < spec->count; i++) {
        AUTO_FREE char *online = start_seconds(&s, s.launch.slots[i].online_at);
        if (launch_slot_is_up(&s.launch.slots[i]))
            log_info("runner %s is online after %s", s.launch.slots[i].pair.name, online);
    }
    if (!cmd->common.json)
        return true;
    start_print_result(&s);
    if (output_flush(err))
        return true;
    error_hint(err, "`mayfly stop --label %s` terminates what was launched", s.label);
    return false;
}

const struct command command_start = {
    .name = "start",
    .summary = "launch instances with one runner each, and wait until they are online",
    .about = "Launches --count instances whose user-data starts a just-in-time runner under a label of their\n"
             "own, and waits until GitHub reports them online. On failure, timeout or a signal everything is\n"
             "undone.\n"
             "Outputs: label, region, ec2-instance-id, ec2-instance-ids, runner-name, instance-type, market,\n"
             "fallback.",
    .opts = start_opts,
    .options_size = sizeof(struct spec),
    .run = run,
};
