#include "mayfly/cmd/start.h"

#include <inttypes.h>

#include "mayfly/aws/ssm.h"
#include "mayfly/aws/sts.h"
#include "mayfly/runner/params.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/log.h"
#include "mayfly/version.h"

enum { PRE_RUNNER_MAX = 16384 };

static void start_clear(struct start *s)
{
    launch_clear(&s->launch);
    for (size_t i = 0; s->params && i < s->plan.n_images; i++)
        strlist_clear(&s->params[i]);
    free(s->params);
    plan_clear(&s->plan);
    strlist_clear(&s->labels);
    strlist_clear(&s->packages);
    free(s->label);
    free(s->run);
    free(s->name_mark);
    free(s->account);
    strbuf_clear(&s->pre_runner);
    arena_clear(&s->arena);
}

const struct cell *start_cell(const struct start *s, size_t slot)
{
    return &s->plan.cells[s->launch.slots[slot].cell];
}

static void make_label(struct start *s)
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
}

/* --- everything that must be known before the first effect -------------------------------------------------------- */

struct questions { /* calls to run at once, owned */
    struct call **v;
    size_t n;
};

static size_t ask(struct questions *q, struct call *call)
{
    q->v = xreallocarray(q->v, q->n + 1, sizeof(*q->v));
    q->v[q->n] = call;
    return q->n++;
}

static size_t ask_aws(struct questions *q, struct aws_call *call)
{
    return ask(q, &call->call);
}

static const struct aws_call *aws_answer(const struct questions *q, size_t n)
{
    return (const struct aws_call *)q->v[n];
}

static void questions_clear(struct questions *q)
{
    for (size_t i = 0; i < q->n; i++)
        call_free(q->v[i]);
    free(q->v);
}
#define AUTO_QUESTIONS CLEANUP(questions_clear) struct questions

/* --timeout is of the whole start. */
static bool run_questions(struct start *s, const struct questions *q, struct error *err)
{
    for (size_t i = 0; i < q->n; i++)
        q->v[i]->give_up = s->began + s->spec->timeout * 1000;
    return call_run_all(&s->session->loop, q->v, q->n, err);
}

static struct aws_call *find_label_call(const struct start *s, const char *region, const char *token)
{
    char *fleet[] = { s->session->fleet }, *label[] = { s->label };
    char *live[] = { (char *)"pending", (char *)"running", (char *)"stopping", (char *)"stopped" };
    const struct strlist fleets = { fleet, 1 }, labels = { label, 1 }, states = { live, ARRAY_SIZE(live) };
    const struct ec2_filter filters[] = { { "tag:" TAG_FLEET, &fleets },
                                          { "tag:" TAG_LABEL, &labels },
                                          { "instance-state-name", &states } };
    return ec2_describe_instances_call(&s->session->aws, region, filters, ARRAY_SIZE(filters), token);
}

/* Follows the pages: one may be empty and still have a next. */
static bool check_label_is_free(struct start *s, const struct aws_call *call, const char *region, struct error *err)
{
    AUTO_ARENA arena = { 0 };
    AUTO_CALL *next = NULL;
    struct ec2_page page;
    const char *label = s->label;
    if (!ec2_describe_instances_result(call, &arena, &page, err))
        return false;
    while (page.instances.n == 0 && page.next_token) {
        call_free(next);
        next = &find_label_call(s, region, page.next_token)->call;
        if (!call_run(&s->session->loop, next, err) ||
            !ec2_describe_instances_result((struct aws_call *)next, &arena, &page, err))
            return false;
    }
    if (page.instances.n == 0)
        return true;
    error_set(err, ERROR_CONFIG, 0, "--label: instance %s of this fleet carries the label `%s` already",
              FIELD_ROW(&page.instances, const struct ec2_instance, 0)->id, label);
    error_hint(err, "a job could land on either: leave --label away for a fresh one, or stop --label %s first", label);
    return false;
}

static struct aws_call *describe_image(const struct start *s, const char *region, const char *id)
{
    AUTO_STRLIST ids = { 0 };
    strlist_add(&ids, id);
    return ec2_describe_images_call(&s->session->aws, region, &ids, NULL, NULL);
}

static struct aws_call *find_image_call(const struct start *s, const struct image *image)
{
    struct aws *aws = &s->session->aws;
    switch (image->kind) {
    case IMAGE_SSM:
        return ssm_get_parameter_call(aws, image->region, image->value);
    case IMAGE_NAME:
        return ec2_describe_images_call(aws, image->region, NULL, image->owner, image->value);
    case IMAGE_ID:
        break;
    }
    return describe_image(s, image->region, image->ref);
}

static bool take_image(struct start *s, struct image *image, const char *id, const struct aws_call *answer,
                       struct error *err)
{
    struct field_list images = { 0 };
    return ec2_describe_images_result(answer, &s->arena, &images, err) &&
           image_take(image, id, &images, &s->arena, err);
}

/* answers[first + i] is about image i. A parameter names an image, which has yet to be described. */
static bool take_images(struct start *s, const struct questions *answers, size_t first, struct error *err)
{
    AUTO_QUESTIONS more = { 0 };
    size_t n = 0;
    const char **ids = arena_alloc(&s->arena, (s->plan.n_images + 1) * sizeof(*ids));
    for (size_t i = 0; i < s->plan.n_images; i++) {
        struct image *image = &s->plan.images[i];
        const struct aws_call *answer = aws_answer(answers, first + i);
        if (image->kind != IMAGE_SSM) {
            if (!take_image(s, image, image->ref, answer, err))
                return false;
            continue;
        }
        if (!ssm_get_parameter_result(answer, &s->arena, &ids[i], err))
            return false;
        if (!ec2_id_is_valid(ids[i], "ami")) {
            error_set(err, ERROR_CONFIG, 0, "--image: the parameter %s in %s holds `%.60s`, not an image's id",
                      image->value, image->region, ids[i]);
            return false;
        }
        ask_aws(&more, describe_image(s, image->region, ids[i]));
    }
    if (more.n == 0)
        return true;
    if (!run_questions(s, &more, err))
        return false;
    for (size_t i = 0; i < s->plan.n_images; i++)
        if (s->plan.images[i].kind == IMAGE_SSM &&
            !take_image(s, &s->plan.images[i], ids[i], aws_answer(&more, n++), err))
            return false;
    return true;
}

/* The runner for each architecture of which an image has none. */
static bool take_downloads(struct start *s, const struct github_call *answer, struct error *err)
{
    struct field_list rows = { 0 };
    for (size_t i = 0; i < s->plan.n_images; i++) {
        const struct image *image = &s->plan.images[i];
        const char *arch = spec_runner_architecture(image->architecture);
        const struct github_download *found = NULL;
        bool known = image->has_runner;
        for (size_t d = 0; d < s->n_downloads; d++)
            known = known || str_eq(s->downloads[d].architecture, image->architecture);
        if (known)
            continue;
        if (!rows.rows && !github_downloads_result(answer, &s->arena, &rows, err))
            return false;
        for (size_t r = 0; r < rows.n && !found; r++) {
            const struct github_download *row = FIELD_ROW(&rows, const struct github_download, r);
            if (str_eq(row->os, "linux") && str_eq(row->architecture, arch) && !str_empty(row->sha256))
                found = row;
        }
        if (!found) {
            error_set(err, ERROR_GITHUB, 0, "GitHub offers no runner for linux-%s with a checksum", arch);
            error_hint(err, "use an image that has the runner and the tag " TAG_RUNNER_VERSION);
            return false;
        }
        s->downloads[s->n_downloads++] = (struct download){ image->architecture, found->url, found->sha256 };
    }
    return true;
}

/* The runner group by its number, or by its name, which an organisation's have. */
static bool take_runner_group(struct start *s, struct error *err)
{
    const char *name = s->spec->runner_group;
    uint64_t id;
    bool more = true;
    AUTO_ARENA arena = { 0 };
    if (parse_uint(name, INT32_MAX, &id)) {
        s->runner_group = (int64_t)id;
        return true;
    }
    if (strchr(s->session->github_config.scope, '/')) {
        error_set(err, ERROR_CONFIG, 0, "--runner-group: a repository has no group `%.60s`", name);
        error_hint(err, "runner groups belong to organisations: give --repo ORG, or leave --runner-group away");
        return false;
    }
    for (unsigned page = 1; more; page++) {
        struct field_list rows = { 0 };
        AUTO_CALL *call = &github_list_groups_call(&s->session->github, page)->call;
        if (!call_run(&s->session->loop, call, err) ||
            !github_list_groups_result((struct github_call *)call, &arena, &rows, err))
            return false;
        for (size_t i = 0; i < rows.n; i++) {
            const struct github_group *group = FIELD_ROW(&rows, const struct github_group, i);
            if (str_eq(group->name, name)) {
                s->runner_group = group->id;
                return true;
            }
        }
        more = github_call_has_next((struct github_call *)call);
    }
    error_set(err, ERROR_CONFIG, 0, "--runner-group: %s has no group `%.60s`", s->session->github_config.scope, name);
    error_hint(err, "the group must exist and be visible to the token");
    return false;
}

static bool ask_first(struct start *s, struct error *err)
{
    struct session *session = s->session;
    struct sts_identity who = { 0 };
    AUTO_QUESTIONS q = { 0 };
    size_t identity = ask_aws(&q, sts_get_caller_identity_call(&session->aws, session->aws_config.region));
    size_t downloads = ask(&q, &github_downloads_call(&session->github)->call);
    size_t images = q.n;
    for (size_t i = 0; i < s->plan.n_images; i++)
        ask_aws(&q, find_image_call(s, &s->plan.images[i]));
    size_t labels = q.n;
    for (size_t i = 0; i < s->plan.regions.n && !str_empty(s->spec->label); i++)
        ask_aws(&q, find_label_call(s, s->plan.regions.v[i], NULL));
    if (!run_questions(s, &q, err) || !sts_get_caller_identity_result(aws_answer(&q, identity), &s->arena, &who, err) ||
        !take_images(s, &q, images, err) || !take_downloads(s, (const struct github_call *)q.v[downloads], err) ||
        !take_runner_group(s, err))
        return false;
    for (size_t i = labels; i < q.n; i++)
        if (!check_label_is_free(s, aws_answer(&q, i), s->plan.regions.v[i - labels], err))
            return false;
    s->account = xstrdup(who.account);
    return true;
}

/* --- the launch --------------------------------------------------------------------------------------------------- */

struct userdata start_userdata(const struct start *s, const struct image *image)
{
    struct userdata userdata = s->userdata;
    for (size_t i = 0; i < s->n_downloads && !image->has_runner; i++) {
        if (!str_eq(s->downloads[i].architecture, image->architecture))
            continue;
        userdata.runner_url = s->downloads[i].url;
        userdata.runner_sha256 = s->downloads[i].sha256;
    }
    return userdata;
}

static void render(void *ctx, const struct cell *cell, const char *runner_name, int64_t runner_id, const char *jit,
                   struct arena *arena, struct ec2_run *ret)
{
    struct start *s = ctx;
    AUTO_STRBUF script = STRBUF_INIT, encoded = STRBUF_INIT;
    struct userdata userdata = start_userdata(s, cell->image);
    struct tag_values values = s->tags;
    const char *public_ip = s->spec->public_ip;
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
        .image = cell->image->id,
        .type = cell->type,
        .subnet = cell->subnet,
        .spot = cell->spot,
        .max_price = str_empty(s->spec->max_price) ? NULL : s->spec->max_price,
        .security_groups = cell->security_groups,
        .instance_profile = str_empty(s->spec->instance_profile) ? NULL : s->spec->instance_profile,
        .user_data = arena_strdup(arena, strbuf_str(&encoded)),
        .public_ip = str_empty(public_ip)       ? EC2_PUBLIC_IP_DEFAULT
                     : str_eq(public_ip, "yes") ? EC2_PUBLIC_IP_YES
                                                : EC2_PUBLIC_IP_NO,
        .params = &s->params[cell->image - s->plan.images],
        .tags = tags,
        .n_tags = n_tags,
    };
}

static bool launched(void *ctx, struct error *err)
{
    struct start *s = ctx;
    if (!start_write_outputs(s, err))
        return false;
    for (size_t i = 0; i < s->spec->count; i++) {
        const struct launch_slot *slot = &s->launch.slots[i];
        if (slot->pair.instance_id && !slot->down)
            log_info("launched %s (%s, %s, %s) for runner %s", slot->pair.instance_id, start_cell(s, i)->type,
                     cell_market(start_cell(s, i)), slot->zone ? slot->zone : "zone unknown", slot->pair.name);
    }
    return true;
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
    error_hint(err, "the runners are online all the same: mayfly stop --label %s ends them", s->label);
    return false;
}

static bool launch(struct start *s, struct error *err)
{
    s->config.labels = &s->labels;
    s->config.timeout_s = s->spec->timeout;
    s->config.jobs_may_wait = !str_empty(s->spec->label) || s->spec->labels.n > 0;
    s->config.timeout_ms = s->spec->timeout * 1000 - (env_mono(s->cmd->env) - s->began);
    s->cmd->env->random(s->cmd->env->ctx, &s->config.seed, sizeof(s->config.seed));
    launch_init(&s->launch, &s->config);
    drive(&s->session->cloud, &s->launch.machine);
    bool ok = launch_succeeded(&s->launch);
    AUTO_FREE char *left = launch_leftovers(&s->launch);
    start_write_summary(s, ok, &s->launch.error);
    if (left)
        log_warn("left behind, for their own deadline and the reaper: %s", left);
    if (ok)
        return tell_of_partial(s, err);
    error_copy(err, &s->launch.error);
    start_explain(s, err);
    return false;
}

static bool read_pre_runner(struct start *s, struct error *err)
{
    const struct spec *spec = s->spec;
    if (!str_empty(spec->pre_runner_script))
        strbuf_adds(&s->pre_runner, spec->pre_runner_script);
    if (!str_empty(spec->pre_runner_file) &&
        !strbuf_read_file(&s->pre_runner, spec->pre_runner_file, "the pre-runner script", err)) {
        err->domain = ERROR_CONFIG;
        return false;
    }
    if (strlen(strbuf_str(&s->pre_runner)) != s->pre_runner.len)
        return error_set(err, ERROR_CONFIG, 0, "the pre-runner script holds a NUL byte");
    return true;
}

static void fill_templates(struct start *s)
{
    const struct spec *spec = s->spec;
    const char *repo = s->cmd->getenv("GITHUB_REPOSITORY");
    const struct limits limits = { .boot = spec->timeout > LIMITS_DEFAULT.boot ? spec->timeout : LIMITS_DEFAULT.boot,
                                   .idle = spec->idle_limit,
                                   .life = spec->max_lifetime };
    s->userdata = (struct userdata){ .runner_dir = spec->runner_dir,
                                     .user = spec->user,
                                     .pre_runner = s->pre_runner.len ? strbuf_str(&s->pre_runner) : NULL,
                                     .packages = &s->packages,
                                     .limits = limits,
                                     .debug = s->cmd->common.verbose };
    s->tags = (struct tag_values){ .fleet = s->session->fleet,
                                   .scope = s->session->github_config.scope,
                                   .repo = str_empty(repo) ? NULL : repo,
                                   .label = s->label,
                                   .run = s->run,
                                   .name = spec->name,
                                   .version = MAYFLY_VERSION,
                                   .limits = limits,
                                   .more = &s->own_tags };
}

/* What the images' answers make sure of: their cells, their volumes, the exact size of their user-data. */
static bool fit_images(struct start *s, struct error *err)
{
    if (!plan_cells(&s->plan, s->spec, err))
        return false;
    s->params = xcalloc(s->plan.n_images, sizeof(*s->params));
    for (size_t i = 0; i < s->plan.n_images; i++) {
        struct userdata userdata = start_userdata(s, &s->plan.images[i]);
        if (!params_make(s->spec, s->plan.images[i].root_device, &s->params[i], err) || !userdata_check(&userdata, err))
            return false;
    }
    return true;
}

static bool prepare(struct start *s, struct error *err)
{
    const struct spec *spec = s->spec;
    if (!plan_sites(&s->plan, spec, s->session->aws_config.region, err) || !read_pre_runner(s, err) ||
        !params_tags(spec, &s->arena, &s->own_tags, err) || !params_packages(spec, &s->packages, err))
        return false;
    make_label(s);
    fill_templates(s);
    if (!userdata_check(&s->userdata, err) || !ask_first(s, err) || !fit_images(s, err))
        return false;
    if (spec->labels.n > 0)
        log_warn("--labels: any job that asks for a subset of these labels may take the runner");
    s->name_mark = runner_name_mark(s->account, s->session->fleet);
    s->config = (struct launch_config){
        .label = s->label,
        .runner_group = s->runner_group,
        .name_mark = s->name_mark,
        .epoch = env_now(s->cmd->env) / 1000,
        .count = spec->count,
        .min_count = spec->min_count ? spec->min_count : spec->count,
        .plan = &s->plan,
        .render = render,
        .launched = launched,
        .ctx = s,
    };
    return true;
}

/* The workflow goes on, on somebody else's machine: for want of room, and for nothing that has to be mended. */
static bool fall_back(struct start *s, struct error *why, struct error *err)
{
    const char *label = s->spec->fallback_label;
    if (str_empty(label) || !why->no_room || s->spec->dry_run)
        return error_move(err, why);
    AUTO_STRBUF text = STRBUF_INIT;
    AUTO_FREE char *formatted = error_format(why);
    strbuf_adds(&text, formatted);
    secret_redact(&text);
    const char *message = strbuf_str(&text);
    log_warn("no runner of our own, so the label is `%s`: %s", label, message);
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
    AUTO_SESSION session;
    AUTO_ERROR why = { 0 };
    CLEANUP(start_clear)
    struct start s = { .cmd = cmd,
                       .spec = spec,
                       .session = &session,
                       .pre_runner = STRBUF_MAX(PRE_RUNNER_MAX),
                       .began = env_mono(cmd->env) };
    session = (struct session){ 0 };
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
    if (cmd->common.json)
        start_print_result(&s);
    return true;
}

const struct command command_start = {
    .name = "start",
    .summary = "launch instances with one runner each, wait until they are online",
    .about =
        "Launches --count instances whose user-data starts a just-in-time runner, under a label of their own, and\n"
        "waits until GitHub shows them online. Every failure, timeout or signal undoes what was done.\n"
        "Outputs: label, region, ec2-instance-id, ec2-instance-ids, runner-name, instance-type, market, fallback.",
    .opts = start_opts,
    .options_size = sizeof(struct spec),
    .run = run,
};
