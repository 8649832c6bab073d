#include <inttypes.h>

#include "mayfly/aws/sts.h"
#include "mayfly/cmd/cmd.h"
#include "mayfly/runner/launch.h"
#include "mayfly/runner/spec.h"
#include "mayfly/runner/userdata.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/log.h"
#include "mayfly/version.h"

enum { CONSOLE_TAIL = 20, PRE_RUNNER_MAX = 16384 };

#define ROW(member) .offset = offsetof(struct spec, member)

static const struct opt start_opts[] = {
    { .name = "image",
      .type = OPT_STRING,
      ROW(image),
      .arg = "AMI",
      .help = "image to launch",
      .aliases = "ec2-image-id" },
    { .name = "types",
      .type = OPT_LIST,
      ROW(types),
      .arg = "TYPE[,TYPE…]",
      .help = "instance types, in the order to try",
      .aliases = "ec2-instance-type" },
    { .name = "subnets",
      .type = OPT_LIST,
      ROW(subnets),
      .arg = "ID[,ID…]",
      .help = "subnets, in the order to try",
      .aliases = "subnet-id" },
    { .name = "security-groups",
      .type = OPT_LIST,
      ROW(security_groups),
      .arg = "ID[,ID…]",
      .help = "security groups",
      .aliases = "security-group-id" },
    { .name = "market",
      .type = OPT_LIST,
      ROW(market),
      .arg = "MARKET[,MARKET]",
      .help = "spot or on-demand, in the order to try",
      .fallback = "on-demand",
      .choices = "spot on-demand",
      .aliases = "market-type" },
    { .name = "label",
      .type = OPT_STRING,
      ROW(label),
      .arg = "LABEL",
      .help = "the label that jobs ask for; without it a fresh one is made, which nobody else can use" },
    { .name = "labels",
      .type = OPT_LIST,
      ROW(labels),
      .arg = "LABEL[,LABEL…]",
      .help = "further labels; any job that asks for a subset of them may take the runner" },
    { .name = "count",
      .type = OPT_NUMBER,
      ROW(count),
      .arg = "N",
      .help = "runners to start under the label",
      .fallback = "1",
      .min = 1,
      .max = 100 },
    { .name = "timeout",
      .type = OPT_SECONDS,
      ROW(timeout),
      .arg = "DURATION",
      .help = "for the whole start, until the runners are online",
      .fallback = "10m",
      .min = 10,
      .max = 3600 },
    { .name = "max-lifetime",
      .type = OPT_SECONDS,
      ROW(max_lifetime),
      .arg = "DURATION",
      .help = "after which the instance ends, whatever it does",
      .fallback = "6h",
      .min = 60,
      .max = 5 * 86400 },
    { .name = "idle-limit",
      .type = OPT_SECONDS,
      ROW(idle_limit),
      .arg = "DURATION",
      .help = "after which a runner without a job ends",
      .fallback = "30m",
      .min = 60,
      .max = 5 * 86400 },
    { .name = "runner-group",
      .type = OPT_NUMBER,
      ROW(runner_group),
      .arg = "ID",
      .help = "runner group's number",
      .fallback = "1",
      .min = 1,
      .max = INT32_MAX,
      .aliases = "runner-group-id" },
    { .name = "name",
      .type = OPT_STRING,
      ROW(name),
      .arg = "NAME",
      .help = "tells several starts of one workflow run apart, for stop --name" },
    { .name = "instance-profile",
      .type = OPT_STRING,
      ROW(instance_profile),
      .arg = "NAME|ARN",
      .help = "IAM instance profile; best none: jobs can use it",
      .aliases = "iam-role-name" },
    { .name = "runner-dir",
      .type = OPT_STRING,
      ROW(runner_dir),
      .arg = "DIR",
      .help = "where the image has the runner; else /opt/actions-runner",
      .aliases = "runner-home-dir" },
    { .name = "user",
      .type = OPT_STRING,
      ROW(user),
      .arg = "USER",
      .help = "who runs the runner; else `runner`",
      .aliases = "run-runner-as-user" },
    { .name = "pre-runner-file",
      .type = OPT_STRING,
      ROW(pre_runner_file),
      .arg = "FILE",
      .help = "bash script that runs as root before the runner",
      .bits = OPT_TRUSTED },
    { .name = "dry-run", .type = OPT_FLAG, ROW(dry_run), .help = "print the plan and the user-data, launch nothing" },
    { 0 },
};

/* One start, from its options to its result. */
struct start {
    struct cmd *cmd;
    const struct spec *spec;
    struct session *session;
    struct launch_config config;
    struct launch launch;
    struct plan plan;
    struct strlist labels;
    struct tag_values tags;
    struct userdata userdata;
    char *label, *run, *name_prefix, *account;
    struct strbuf pre_runner;
    struct arena arena;
    struct error output_error;
    int64_t began; /* monotonic ms */
};

static void start_clear(struct start *s)
{
    launch_clear(&s->launch);
    plan_clear(&s->plan);
    strlist_clear(&s->labels);
    free(s->label);
    free(s->run);
    free(s->name_prefix);
    free(s->account);
    strbuf_clear(&s->pre_runner);
    arena_clear(&s->arena);
    error_clear(&s->output_error);
}

static bool make_label(struct start *s)
{
    uint8_t random[6];
    const char *run_id = s->cmd->getenv("GITHUB_RUN_ID"), *attempt = s->cmd->getenv("GITHUB_RUN_ATTEMPT");
    if (!str_empty(run_id))
        s->run = xasprintf("%s/%s", run_id, str_empty(attempt) ? "1" : attempt);
    s->cmd->env->random(s->cmd->env->ctx, random, sizeof(random));
    s->label = str_empty(s->spec->label) ? label_make(run_id, attempt, env_now(s->cmd->env) / 1000, random)
                                         : xstrdup(s->spec->label);
    strlist_add(&s->labels, s->label);
    for (size_t i = 0; i < s->spec->labels.n; i++)
        strlist_add(&s->labels, s->spec->labels.v[i]);
    return s->spec->labels.n > 0;
}

/* The runner for the image's architecture, unless the image has one. */
static bool take_download(struct start *s, const struct ec2_image *image, const struct github_call *downloads,
                          struct error *err)
{
    struct field_list rows = { 0 };
    const char *arch = spec_runner_architecture(image->architecture);
    const struct ec2_instance tagged = { .tags = image->tags };
    if (ec2_instance_tag(&tagged, TAG_RUNNER_VERSION))
        return true;
    if (!github_downloads_result(downloads, &s->arena, &rows, err))
        return false;
    for (size_t i = 0; i < rows.n; i++) {
        const struct github_download *d = FIELD_ROW(&rows, const struct github_download, i);
        if (!str_eq(d->os, "linux") || !str_eq(d->architecture, arch))
            continue;
        if (str_empty(d->sha256))
            break;
        s->userdata.runner_url = d->url;
        s->userdata.runner_sha256 = d->sha256;
        return true;
    }
    error_set(err, ERROR_GITHUB, 0, "GitHub offers no runner for linux-%s with a checksum", arch);
    error_hint(err, "use an image that has the runner and the tag " TAG_RUNNER_VERSION);
    return false;
}

static bool check_label_is_free(const struct aws_call *call, const char *label, struct error *err)
{
    AUTO_ARENA arena = { 0 };
    struct ec2_page page;
    if (!ec2_describe_instances_result(call, &arena, &page, err))
        return false;
    if (page.instances.n == 0)
        return true;
    error_set(err, ERROR_CONFIG, 0, "--label: instance %s of this fleet carries the label `%s` already",
              FIELD_ROW(&page.instances, const struct ec2_instance, 0)->id, label);
    error_hint(err, "a job could land on either: leave --label away for a fresh one, or stop --label %s first", label);
    return false;
}

static struct aws_call *find_label_call(const struct start *s)
{
    char *fleet[] = { s->session->fleet }, *label[] = { s->label };
    char *live[] = { (char *)"pending", (char *)"running", (char *)"stopping", (char *)"stopped" };
    const struct strlist fleets = { fleet, 1 }, labels = { label, 1 }, states = { live, ARRAY_SIZE(live) };
    const struct ec2_filter filters[] = { { "tag:" TAG_FLEET, &fleets },
                                          { "tag:" TAG_LABEL, &labels },
                                          { "instance-state-name", &states } };
    return ec2_describe_instances_call(&s->session->aws, s->session->aws_config.region, filters, ARRAY_SIZE(filters),
                                       NULL);
}

/* Everything that must be known before the first effect, asked at once. */
static bool ask_first(struct start *s, struct error *err)
{
    struct session *session = s->session;
    const char *region = session->aws_config.region;
    struct sts_identity who = { 0 };
    struct field_list images = { 0 };
    CLEANUP(call_free_pointer) struct call *identity = &sts_get_caller_identity_call(&session->aws, region)->call;
    CLEANUP(call_free_pointer)
    struct call *image = &ec2_describe_images_call(&session->aws, region, s->spec->image)->call;
    CLEANUP(call_free_pointer) struct call *downloads = &github_downloads_call(&session->github)->call;
    CLEANUP(call_free_pointer) struct call *label = str_empty(s->spec->label) ? NULL : &find_label_call(s)->call;
    struct call *const all[] = { identity, image, downloads, label };
    if (!call_run_all(&session->loop, all, label ? 4 : 3, err) ||
        !sts_get_caller_identity_result((struct aws_call *)identity, &s->arena, &who, err) ||
        !ec2_describe_images_result((struct aws_call *)image, &s->arena, &images, err) ||
        !spec_check_image(s->spec, &images, err) ||
        !take_download(s, FIELD_ROW(&images, const struct ec2_image, 0), (struct github_call *)downloads, err))
        return false;
    s->account = xstrdup(who.account);
    return !label || check_label_is_free((struct aws_call *)label, s->label, err);
}

static void render(void *ctx, const struct cell *cell, const char *runner_name, int64_t runner_id, const char *jit,
                   struct arena *arena, struct ec2_run *ret)
{
    struct start *s = ctx;
    AUTO_STRBUF script = STRBUF_INIT, encoded = STRBUF_INIT;
    struct userdata userdata = s->userdata;
    struct tag_values values = s->tags;
    struct ec2_tag *tags;
    size_t n_tags;
    script.secret = encoded.secret = true;
    userdata.jit = jit;
    userdata.runner_name = values.runner = runner_name;
    values.runner_id = runner_id;
    userdata_render(&script, &userdata);
    encode_base64(&encoded, strbuf_str(&script), script.len);
    tags_of_runner(&values, arena, &tags, &n_tags);
    *ret = (struct ec2_run){
        .region = cell->region,
        .image = cell->image,
        .type = cell->type,
        .subnet = cell->subnet,
        .spot = cell->spot,
        .security_groups = &s->spec->security_groups,
        .instance_profile = s->spec->instance_profile,
        .user_data = arena_strdup(arena, strbuf_str(&encoded)),
        .tags = tags,
        .n_tags = n_tags,
    };
}

static const struct cell *slot_cell(const struct start *s, size_t i)
{
    return &s->plan.cells[s->launch.slots[i].cell];
}

static struct json_object *instance_ids(const struct start *s)
{
    struct json_object *ids = must(json_object_new_array());
    for (size_t i = 0; i < s->spec->count; i++)
        if (s->launch.slots[i].pair.instance_id)
            json_object_array_add(ids, must(json_object_new_string(s->launch.slots[i].pair.instance_id)));
    return ids;
}

static void launched(void *ctx)
{
    struct start *s = ctx;
    AUTO_JSON *ids = instance_ids(s);
    const struct launch_slot *first = &s->launch.slots[0];
    const struct {
        const char *name, *value;
    } outputs[] = {
        { "ec2-instance-id", first->pair.instance_id },
        { "ec2-instance-ids", json_object_to_json_string_ext(ids, JSON_C_TO_STRING_PLAIN) },
        { "runner-name", first->pair.name },
        { "instance-type", slot_cell(s, 0)->type },
        { "market", cell_market(slot_cell(s, 0)) },
    };
    for (size_t i = 0; i < ARRAY_SIZE(outputs) && s->output_error.domain == ERROR_NONE; i++)
        if (!output_write(s->cmd, outputs[i].name, outputs[i].value, &s->output_error))
            log_warn("the output %s could not be written", outputs[i].name);
    for (size_t i = 0; i < s->spec->count; i++)
        log_info("launched %s (%s, %s, %s) for runner %s", s->launch.slots[i].pair.instance_id, slot_cell(s, i)->type,
                 cell_market(slot_cell(s, i)), s->launch.slots[i].zone ? s->launch.slots[i].zone : "zone unknown",
                 s->launch.slots[i].pair.name);
}

static void print_plan(const struct start *s)
{
    AUTO_STRBUF script = STRBUF_INIT;
    struct userdata userdata = s->userdata;
    userdata.runner_name = "RUNNER-NAME";
    userdata.jit = "JIT-CONFIGURATION";
    userdata_render(&script, &userdata);
    size_t size = script.len - strlen(userdata.jit) + USERDATA_JIT_RESERVE;
    if (s->cmd->common.json) {
        AUTO_JSON *object = must(json_object_new_object());
        struct json_object *cells = must(json_object_new_array());
        for (size_t i = 0; i < s->plan.n; i++) {
            struct json_object *cell = must(json_object_new_object());
            json_object_object_add(cell, "region", must(json_object_new_string(s->plan.cells[i].region)));
            json_object_object_add(cell, "type", must(json_object_new_string(s->plan.cells[i].type)));
            json_object_object_add(cell, "subnet", must(json_object_new_string(s->plan.cells[i].subnet)));
            json_object_object_add(cell, "market", must(json_object_new_string(cell_market(&s->plan.cells[i]))));
            json_object_object_add(cell, "image", must(json_object_new_string(s->plan.cells[i].image)));
            json_object_array_add(cells, cell);
        }
        json_object_object_add(object, "label", must(json_object_new_string(s->label)));
        json_object_object_add(object, "count", must(json_object_new_int64((int64_t)s->spec->count)));
        json_object_object_add(object, "plan", cells);
        json_object_object_add(object, "user-data", must(json_object_new_string(strbuf_str(&script))));
        json_object_object_add(object, "user-data-bytes", must(json_object_new_int64((int64_t)size)));
        print_json(object);
        return;
    }
    printf("label: %s\ncount: %" PRIu64 "\nplan:\n", s->label, s->spec->count);
    for (size_t i = 0; i < s->plan.n; i++)
        printf("  %zu. %s %s in %s of %s, image %s\n", i + 1, s->plan.cells[i].type, cell_market(&s->plan.cells[i]),
               s->plan.cells[i].subnet, s->plan.cells[i].region, s->plan.cells[i].image);
    printf("user-data (%zu of %d bytes, %d of them kept for the just-in-time configuration):\n%s", size, USERDATA_MAX,
           USERDATA_JIT_RESERVE, strbuf_str(&script));
}

/* Seconds from the command's begin, one decimal, owned; "-" for what did not happen. */
static char *at(const struct start *s, int64_t mono)
{
    return mono ? xasprintf("%.1f s", (double)(mono - s->began) / 1000) : xstrdup("-");
}

static void write_summary(struct start *s, bool ok)
{
    AUTO_STRBUF md = STRBUF_INIT;
    strbuf_addf(&md, "### Mayfly: %s `%s`\n\n", ok ? "started" : "could not start", s->label);
    strbuf_adds(&md, "| runner | instance | type | market | zone | configured | launched | running | online |\n"
                     "|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < s->spec->count; i++) {
        const struct launch_slot *slot = &s->launch.slots[i];
        AUTO_FREE char *minted = at(s, slot->minted_at), *launched_at = at(s, slot->launched_at);
        AUTO_FREE char *running = at(s, slot->running_at), *online = at(s, slot->online_at);
        strbuf_addf(&md, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", slot->pair.name ? slot->pair.name : "-",
                    slot->pair.instance_id ? slot->pair.instance_id : "-", slot_cell(s, i)->type,
                    cell_market(slot_cell(s, i)), slot->zone ? slot->zone : "-", minted, launched_at, running, online);
    }
    strbuf_adds(&md, "\nSeconds since the start of this command.\n");
    if (!ok) {
        AUTO_FREE char *why = error_format(&s->launch.error);
        strbuf_addf(&md, "\nIt failed: `%s`\n", why);
    }
    secret_redact(&md);
    summary_write(s->cmd, strbuf_str(&md));
}

static void print_result(struct start *s)
{
    AUTO_JSON *object = must(json_object_new_object());
    struct json_object *runners = must(json_object_new_array());
    for (size_t i = 0; i < s->spec->count; i++) {
        const struct launch_slot *slot = &s->launch.slots[i];
        struct json_object *r = must(json_object_new_object());
        const struct {
            const char *key;
            int64_t mono;
        } times[] = { { "configured", slot->minted_at },
                      { "launched", slot->launched_at },
                      { "running", slot->running_at },
                      { "online", slot->online_at } };
        json_object_object_add(r, "runner-name", must(json_object_new_string(slot->pair.name)));
        json_object_object_add(r, "runner-id", must(json_object_new_int64(slot->pair.runner_id)));
        json_object_object_add(r, "ec2-instance-id", must(json_object_new_string(slot->pair.instance_id)));
        json_object_object_add(r, "instance-type", must(json_object_new_string(slot_cell(s, i)->type)));
        json_object_object_add(r, "market", must(json_object_new_string(cell_market(slot_cell(s, i)))));
        json_object_object_add(r, "zone", must(json_object_new_string(slot->zone ? slot->zone : "")));
        for (size_t t = 0; t < ARRAY_SIZE(times); t++)
            if (times[t].mono)
                json_object_object_add(r, times[t].key,
                                       must(json_object_new_double((double)(times[t].mono - s->began) / 1000)));
        json_object_array_add(runners, r);
    }
    json_object_object_add(object, "label", must(json_object_new_string(s->label)));
    json_object_object_add(object, "region", must(json_object_new_string(s->session->aws_config.region)));
    json_object_object_add(object, "ec2-instance-id",
                           must(json_object_new_string(s->launch.slots[0].pair.instance_id)));
    json_object_object_add(object, "ec2-instance-ids", instance_ids(s));
    json_object_object_add(object, "runners", runners);
    print_json(object);
}

/* What the console says, for a person who asks why the runner never came. */
static void explain(const struct start *s, struct error *err)
{
    if (!s->launch.console) {
        if (err->domain == ERROR_TIMEOUT)
            error_hint(err, "the console shows nothing yet: allow more with --timeout, and check that the subnet has a "
                            "way out to GitHub");
        return;
    }
    AUTO_STRLIST lines = { 0 };
    strlist_split(&lines, s->launch.console, "\n");
    size_t from = lines.n > CONSOLE_TAIL ? lines.n - CONSOLE_TAIL : 0;
    log_info("the end of the console of %s:", s->launch.slots[s->launch.console_of].pair.instance_id);
    for (size_t i = from; i < lines.n; i++)
        log_info("  | %s", lines.v[i]);
    AUTO_FREE char *phase = launch_console_phase(s->launch.console);
    if (phase)
        error_hint(err, "the last phase its console shows is `%s`", phase);
    else
        error_hint(err, "its console shows no phase of Mayfly's: the image may not run user-data (no cloud-init?)");
}

static bool launch(struct start *s, struct error *err)
{
    s->config = (struct launch_config){
        .label = s->label,
        .labels = &s->labels,
        .runner_group = (int64_t)s->spec->runner_group,
        .name_prefix = s->name_prefix,
        .count = s->spec->count,
        .plan = &s->plan,
        .timeout_ms = s->spec->timeout * 1000 - (env_mono(s->cmd->env) - s->began),
        .render = render,
        .launched = launched,
        .ctx = s,
    };
    s->cmd->env->random(s->cmd->env->ctx, &s->config.seed, sizeof(s->config.seed));
    launch_init(&s->launch, &s->config);
    drive(&s->session->cloud, &s->launch.machine);
    bool ok = launch_succeeded(&s->launch);
    write_summary(s, ok);
    if (ok)
        return s->output_error.domain == ERROR_NONE || error_move(err, &s->output_error);
    AUTO_FREE char *left = launch_leftovers(&s->launch);
    if (left)
        log_warn("left behind, for their own deadline and the reaper: %s", left);
    error_copy(err, &s->launch.error);
    explain(s, err);
    return false;
}

static bool prepare(struct start *s, struct error *err)
{
    const struct spec *spec = s->spec;
    struct session *session = s->session;
    const char *repo = s->cmd->getenv("GITHUB_REPOSITORY");
    if (!str_empty(spec->pre_runner_file) &&
        !strbuf_read_file(&s->pre_runner, spec->pre_runner_file, "the pre-runner script", err)) {
        err->domain = ERROR_CONFIG;
        return false;
    }
    bool extra_labels = make_label(s);
    const struct limits limits = { .boot = spec->timeout > LIMITS_DEFAULT.boot ? spec->timeout : LIMITS_DEFAULT.boot,
                                   .idle = spec->idle_limit,
                                   .life = spec->max_lifetime };
    s->userdata = (struct userdata){ .runner_dir = spec->runner_dir,
                                     .user = spec->user,
                                     .pre_runner = s->pre_runner.len ? strbuf_str(&s->pre_runner) : NULL,
                                     .limits = limits,
                                     .debug = s->cmd->common.verbose };
    s->tags = (struct tag_values){ .fleet = session->fleet,
                                   .scope = session->github_config.scope,
                                   .repo = str_empty(repo) ? NULL : repo,
                                   .label = s->label,
                                   .run = s->run,
                                   .name = spec->name,
                                   .version = MAYFLY_VERSION,
                                   .limits = limits };
    plan_make(&s->plan, session->aws_config.region, spec->image, &spec->market, &spec->types, &spec->subnets);
    if (!userdata_check(&s->userdata, err) || !ask_first(s, err) || !userdata_check(&s->userdata, err))
        return false;
    if (extra_labels)
        log_warn("--labels: any job that asks for a subset of these labels may take the runner");
    AUTO_FREE char *mark = runner_name_mark(s->account, session->fleet);
    s->name_prefix = runner_name_prefix(mark, session->aws_config.region, env_now(s->cmd->env) / 1000);
    return true;
}

static bool run(struct cmd *cmd, void *options, struct error *err)
{
    const struct spec *spec = options;
    AUTO_SESSION session;
    CLEANUP(start_clear)
    struct start s = { .cmd = cmd,
                       .spec = spec,
                       .session = &session,
                       .pre_runner = STRBUF_MAX(PRE_RUNNER_MAX),
                       .began = env_mono(cmd->env) };
    session = (struct session){ 0 };
    if (!spec_check(spec, err) || !session_open(&session, cmd, err) || !prepare(&s, err))
        return false;
    if (spec->dry_run) {
        print_plan(&s);
        return true;
    }
    /* Before the first effect: a stop after a start that dies now still finds its instances by the label. */
    if (!output_write(cmd, "label", s.label, err) || !output_write(cmd, "region", session.aws_config.region, err))
        return false;
    if (!launch(&s, err))
        return false;
    for (size_t i = 0; i < spec->count; i++) {
        AUTO_FREE char *online = at(&s, s.launch.slots[i].online_at);
        log_info("runner %s is online after %s", s.launch.slots[i].pair.name, online);
    }
    if (cmd->common.json)
        print_result(&s);
    return true;
}

const struct command command_start = {
    .name = "start",
    .summary = "launch instances with one runner each, wait until they are online",
    .about =
        "Launches --count instances whose user-data starts a just-in-time runner, under a label of their own, and\n"
        "waits until GitHub shows them online. Every failure, timeout or signal undoes what was done.\n"
        "Outputs: label, region, ec2-instance-id, ec2-instance-ids, runner-name, instance-type, market.",
    .opts = start_opts,
    .options_size = sizeof(struct spec),
    .run = run,
};
