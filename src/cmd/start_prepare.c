/* start: what is made of its options and asked before its first effect. doctor shares it. */
#include "mayfly/aws/sts.h"
#include "mayfly/cmd/start.h"
#include "mayfly/runner/images.h"
#include "mayfly/runner/params.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/log.h"
#include "mayfly/util/text.h"
#include "mayfly/version.h"

enum {
    PRE_RUNNER_MAX = 16384,
    LATE_MS = 3000, /* so much longer the image of a place is waited for once another place can be used */
};

void start_init(struct start *s, struct cmd *cmd, const struct spec *spec, struct session *session)
{
    *s = (struct start){ .cmd = cmd,
                         .spec = spec,
                         .session = session,
                         .pre_runner = STRBUF_MAX(PRE_RUNNER_MAX),
                         .began = env_mono(cmd->env) };
}

void start_clear(struct start *s)
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
    error_clear(&s->lost);
    strbuf_clear(&s->pre_runner);
    arena_clear(&s->arena);
}

/* --- the options by themselves ------------------------------------------------------------------------------------ */

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

static bool read_pre_runner(struct start *s, struct error *err)
{
    const struct spec *spec = s->spec;
    if (!str_empty(spec->pre_runner_script))
        strbuf_adds(&s->pre_runner, spec->pre_runner_script);
    if (!str_empty(spec->pre_runner_file) &&
        !strbuf_read_text(&s->pre_runner, spec->pre_runner_file, "the pre-runner script", err)) {
        err->domain = ERROR_CONFIG;
        return false;
    }
    if (text_drop_returns(&s->pre_runner))
        strlist_add(&s->plan.warnings, "the pre-runner script has Windows line endings, which are converted");
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

bool start_read(struct start *s, struct error *err)
{
    const struct spec *spec = s->spec;
    if (!plan_sites(&s->plan, spec, s->session->aws_config.region, err) || !read_pre_runner(s, err) ||
        !params_tags(spec, &s->arena, &s->own_tags, &s->plan.warnings, err) ||
        !params_packages(spec, &s->packages, err))
        return false;
    make_label(s);
    fill_templates(s);
    return true;
}

/* --- everything that must be known before the first effect -------------------------------------------------------- */

enum need {
    NEEDED,
    ONE_OF, /* one of all that say so is enough */
    SPARE,  /* it goes without */
};

struct question {
    enum need need;
    enum clock_source clock; /* whose the answer's Date is; CLOCK_OWN: nobody's that counts */
};

struct questions { /* calls to run at once, owned */
    struct call **v;
    struct question *about;
    size_t n;
};

static size_t ask(struct questions *q, struct call *call, enum need need, enum clock_source clock)
{
    q->v = xreallocarray(q->v, q->n + 1, sizeof(*q->v));
    q->about = xreallocarray(q->about, q->n + 1, sizeof(*q->about));
    q->v[q->n] = call;
    q->about[q->n] = (struct question){ need, clock };
    return q->n++;
}

static size_t ask_aws(struct questions *q, struct aws_call *call, enum need need)
{
    return ask(q, &call->call, need, str_eq(call->service, "ec2") ? CLOCK_EC2 : CLOCK_OWN);
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
    free(q->about);
}
#define AUTO_QUESTIONS CLEANUP(questions_clear) struct questions

static struct question question_of(const struct questions *q, const struct call *call)
{
    size_t i = 0;
    while (q->v[i] != call)
        i++;
    return q->about[i];
}

static size_t count(const struct questions *q, enum need need)
{
    size_t n = 0;
    for (size_t i = 0; i < q->n; i++)
        n += q->about[i].need == need;
    return n;
}

/* Runs them all, within --timeout, which is of the whole start. What is wrong with one that is not needed stays in its
 * call. */
static bool run_questions(struct start *s, const struct questions *q, struct error *err)
{
    struct call_loop *loop = &s->session->loop;
    size_t needed = count(q, NEEDED), one_of = count(q, ONE_OF), open = q->n;
    int64_t until = INT64_MAX;
    bool enough = one_of == 0;
    for (size_t i = 0; i < q->n; i++) {
        q->v[i]->give_up = s->began + s->spec->timeout * 1000;
        call_start(loop, q->v[i]);
    }
    while (open > 0 && err->domain == ERROR_NONE) {
        struct call *call = call_loop_next(loop, until);
        if (!call && env_mono(loop->env) >= until)
            break;
        if (!call) {
            error_set(err, ERROR_CANCELLED, 0, "interrupted by a signal");
            break;
        }
        struct question asked = question_of(q, call);
        enum need need = asked.need;
        if (call->error.domain == ERROR_NONE && asked.clock != CLOCK_OWN)
            drive_tell_time(&s->session->cloud, asked.clock, call);
        open--;
        needed -= need == NEEDED;
        one_of -= need == ONE_OF;
        if (need == NEEDED && call->error.domain != ERROR_NONE)
            error_copy(err, &call->error);
        enough = enough || (need == ONE_OF && call->error.domain == ERROR_NONE);
        if (needed == 0 && (enough || one_of == 0) && until == INT64_MAX)
            until = env_mono(loop->env) + LATE_MS;
    }
    for (size_t i = 0; i < q->n && open > 0; i++) {
        bool done = q->v[i]->state == CALL_DONE; /* the loop holds it all the same, unless it was returned */
        call_cancel(loop, q->v[i]);
        if (done)
            continue;
        error_clear(&q->v[i]->error);
        error_set(&q->v[i]->error, ERROR_NET, 0, "%s: no answer in time", q->v[i]->name);
        q->v[i]->error.try_later = true;
    }
    return err->domain == ERROR_NONE;
}

struct label_search {
    struct strlist fleet, label, live;
    struct ec2_filter filters[3];
};

/* Borrows from the start. */
static void make_label_search(const struct start *s, struct label_search *ret)
{
    strlist_add(&ret->fleet, s->session->fleet);
    strlist_add(&ret->label, s->label);
    strlist_split(&ret->live, "pending running stopping stopped", " ");
    ret->filters[0] = (struct ec2_filter){ .name = "tag:" TAG_FLEET, .values = &ret->fleet };
    ret->filters[1] = (struct ec2_filter){ .name = "tag:" TAG_LABEL, .values = &ret->label };
    ret->filters[2] = (struct ec2_filter){ .name = "instance-state-name", .values = &ret->live };
}

static void label_search_clear(struct label_search *search)
{
    strlist_clear(&search->fleet);
    strlist_clear(&search->label);
    strlist_clear(&search->live);
}
#define AUTO_LABEL_SEARCH CLEANUP(label_search_clear) struct label_search

static struct aws_call *find_label_call(const struct start *s, const char *region, const char *token)
{
    AUTO_LABEL_SEARCH search = { 0 };
    make_label_search(s, &search);
    return ec2_describe_instances_call(&s->session->aws, region, search.filters, ARRAY_SIZE(search.filters), token);
}

/* Follows the pages: one may be empty and still have a next. */
static bool check_label_is_free(struct start *s, const struct aws_call *call, const char *region, struct error *err)
{
    AUTO_ARENA arena = { 0 };
    AUTO_CALL *next = NULL;
    AUTO_LABEL_SEARCH search = { 0 };
    struct ec2_page page;
    struct paging paging = { 0 };
    bool more = false;
    make_label_search(s, &search);
    for (;;) {
        if (!ec2_describe_instances_result(call, &arena, &page, err))
            return false;
        for (size_t i = 0; i < page.instances.n; i++) {
            const struct ec2_instance *found = FIELD_ROW(&page.instances, const struct ec2_instance, i);
            if (!ec2_filters_take(search.filters, ARRAY_SIZE(search.filters), found))
                continue;
            error_set(err, ERROR_CONFIG, 0, "--label: instance %s of this fleet carries the label `%s` already",
                      found->id, s->label);
            error_hint(
                err, "a job could run on either: omit --label to get a new one, or run `mayfly stop --label %s` first",
                s->label);
            return false;
        }
        if (!aws_call_turn(&call->call, &paging, page.instances.n, page.next_token, &more, err))
            return false;
        if (!more)
            return true;
        struct call *turned = &find_label_call(s, region, page.next_token)->call;
        call_free(next);
        next = turned;
        if (!call_run(&s->session->loop, next, err))
            return false;
        call = (struct aws_call *)next;
    }
}

/* The place, or the image, is not tried: another one may do. */
static void lose_image(struct start *s, const struct image *image, struct error *why)
{
    AUTO_FREE char *text = error_format(why);
    AUTO_FREE char *warning = xasprintf("image %s of %s is skipped: %s", image->ref, image->region, text);
    strlist_add(&s->plan.warnings, warning);
    if (s->lost.domain == ERROR_NONE)
        error_move(&s->lost, why);
    error_clear(why);
}

static bool is_answered(const struct call *call, struct error *err)
{
    if (call->error.domain == ERROR_NONE)
        return true;
    error_copy(err, &call->error);
    return false;
}

/* answers[first + i] is about image i. A parameter names an image, which has yet to be described. One image that can be
 * used is enough. */
static bool take_images(struct start *s, const struct questions *answers, size_t first, struct error *err)
{
    AUTO_QUESTIONS more = { 0 };
    size_t n = 0;
    const char **ids = arena_alloc(&s->arena, (s->plan.n_images + 1) * sizeof(*ids));
    for (size_t i = 0; i < s->plan.n_images; i++) {
        AUTO_ERROR why = { 0 };
        struct image *image = &s->plan.images[i];
        const struct aws_call *answer = aws_answer(answers, first + i);
        ids[i] = NULL;
        if (!is_answered(&answer->call, &why) ||
            (image->kind == IMAGE_SSM ? !image_take_parameter(image, answer, &s->arena, &ids[i], &why)
                                      : !image_take_answer(image, image->ref, answer, &s->arena, &why)))
            lose_image(s, image, &why);
        else if (ids[i])
            ask_aws(&more, image_describe_call(&s->session->aws, image->region, ids[i]), ONE_OF);
    }
    if (more.n > 0 && !run_questions(s, &more, err))
        return false;
    for (size_t i = 0; i < s->plan.n_images; i++) {
        AUTO_ERROR why = { 0 };
        if (!ids[i])
            continue;
        const struct aws_call *answer = aws_answer(&more, n++);
        if (!is_answered(&answer->call, &why) ||
            !image_take_answer(&s->plan.images[i], ids[i], answer, &s->arena, &why))
            lose_image(s, &s->plan.images[i], &why);
    }
    plan_drop_images(&s->plan);
    if (s->plan.n_images > 0)
        return true;
    strlist_clear(&s->plan.warnings);
    return error_move(err, &s->lost);
}

bool start_take_download(struct start *s, const struct image *image, const struct field_list *rows, struct error *err)
{
    for (size_t d = 0; d < s->n_downloads; d++)
        if (str_eq(s->downloads[d].architecture, image->architecture))
            return true;
    if (image->has_runner)
        return true;
    const struct github_download *row = image_find_download(image->architecture, rows, err);
    if (!row)
        return false;
    s->downloads[s->n_downloads++] = (struct download){ image->architecture, row->url, row->sha256 };
    return true;
}

/* The runner for each architecture of which an image has none. */
static bool take_downloads(struct start *s, const struct github_call *answer, struct error *err)
{
    struct field_list rows = { 0 };
    if (!github_downloads_result(answer, &s->arena, &rows, err))
        return false;
    for (size_t i = 0; i < s->plan.n_images; i++)
        if (!start_take_download(s, &s->plan.images[i], &rows, err))
            return false;
    return true;
}

/* The runner group by its number, or by its name, which an organization's have. */
static bool take_runner_group(struct start *s, struct error *err)
{
    const char *name = s->spec->runner_group;
    uint64_t id;
    struct paging paging = { 0 };
    bool more = true;
    AUTO_ARENA arena = { 0 };
    if (parse_uint(name, INT32_MAX, &id)) {
        s->runner_group = (int64_t)id;
        return true;
    }
    if (github_scope_kind(s->session->github_config.scope) == GITHUB_REPOSITORY) {
        error_set(err, ERROR_CONFIG, 0, "--runner-group: a repository has no group `%.60s`", name);
        error_hint(err, "runner groups belong to organizations: give --repo ORG, or omit --runner-group");
        return false;
    }
    for (unsigned page = 1; more; page++) {
        struct field_list rows = { 0 };
        AUTO_CALL *call = &github_list_groups_call(&s->session->github, page, NULL)->call;
        if (!call_run(&s->session->loop, call, err) ||
            !github_list_groups_result((struct github_call *)call, &arena, &rows, err))
            return false;
        for (size_t i = 0; i < rows.n; i++) {
            const struct github_group *group = FIELD_ROW(&rows, const struct github_group, i);
            if (!str_eq(group->name, name))
                continue;
            if (group->unclear)
                return error_set(err, ERROR_PARSE, 0, "%s", group->unclear);
            s->runner_group = group->id;
            return true;
        }
        if (!github_call_turn((struct github_call *)call, &paging, rows.n, &more, err))
            return false;
    }
    error_set(err, ERROR_CONFIG, 0, "--runner-group: %s has no group `%.60s`", s->session->github_config.scope, name);
    error_hint(err, "the group must exist and be visible to the token");
    return false;
}

/* The account is part of the runners' names, by which the reaper knows registrations without an instance. */
static bool take_account(struct start *s, const struct aws_call *answer, struct error *err)
{
    AUTO_ERROR why = { 0 };
    struct sts_identity who = { 0 };
    bool known = is_answered(&answer->call, &why) && sts_get_caller_identity_result(answer, &s->arena, &who, &why);
    if (!known && !why.try_later)
        return error_move(err, &why);
    if (!known) {
        AUTO_FREE char *text = error_format(&why);
        log_warn("the account is unknown, so `mayfly reap` will not find a registration whose instance is gone, which "
                 "GitHub removes after a day: %s",
                 text);
    }
    s->account = xstrdup(known ? who.account : "");
    return true;
}

bool start_ask(struct start *s, struct error *err)
{
    struct session *session = s->session;
    AUTO_QUESTIONS q = { 0 };
    size_t identity = ask_aws(&q, sts_get_caller_identity_call(&session->aws, session->aws_config.region), SPARE);
    size_t downloads = ask(&q, &github_downloads_call(&session->github)->call, NEEDED, CLOCK_GITHUB);
    size_t images = q.n;
    for (size_t i = 0; i < s->plan.n_images; i++)
        ask_aws(&q, image_find_call(&s->session->aws, &s->plan.images[i]), ONE_OF);
    size_t labels = q.n;
    for (size_t i = 0; i < s->plan.regions.n && !str_empty(s->spec->label); i++)
        ask_aws(&q, find_label_call(s, s->plan.regions.v[i], NULL), NEEDED);
    if (!run_questions(s, &q, err) || !take_account(s, aws_answer(&q, identity), err) ||
        !take_images(s, &q, images, err) || !take_downloads(s, (const struct github_call *)q.v[downloads], err) ||
        !take_runner_group(s, err))
        return false;
    for (size_t i = labels; i < q.n; i++)
        if (!check_label_is_free(s, aws_answer(&q, i), s->plan.regions.v[i - labels], err))
            return false;
    return true;
}

/* --- what is sent ------------------------------------------------------------------------------------------------- */

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

void start_render(void *ctx, const struct cell *cell, const char *runner_name, int64_t runner_id, const char *jit,
                  struct arena *arena, struct ec2_run *ret)
{
    const struct start *s = ctx;
    AUTO_STRBUF script = STRBUF_INIT, packed = STRBUF_INIT, encoded = STRBUF_INIT;
    struct userdata userdata = start_userdata(s, cell->image);
    struct tag_values values = s->tags;
    struct ec2_tag *tags;
    size_t n_tags;
    script.secret = packed.secret = encoded.secret = true;
    userdata.jit = jit;
    userdata.runner_name = values.runner = runner_name;
    values.runner_id = runner_id;
    userdata_render(&script, &userdata);
    userdata_pack(&packed, &script);
    encode_base64(&encoded, strbuf_str(&packed), packed.len);
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
        .public_ip = spec_public_ip(s->spec),
        .params = &s->params[cell->image - s->plan.images],
        .tags = tags,
        .n_tags = n_tags,
    };
}
/* The options of the volume make a second one where --device-name is not what the image boots from. */
static void warn_of_device(struct start *s)
{
    const char *device = s->spec->device_name;
    for (size_t i = 0; i < s->plan.n_images && !str_empty(device) && s->spec->volume_size; i++) {
        const struct image *image = &s->plan.images[i];
        if (str_eq(device, image->root_device))
            continue;
        AUTO_FREE char *warning = xasprintf("--device-name: the root device of %s is %s, so %s is another volume",
                                            image->id, image->root_device, device);
        strlist_add(&s->plan.warnings, warning);
    }
}

/* What the images' answers make sure of: their cells, their volumes, the exact size of their user-data. */
bool start_fit(struct start *s, struct error *err)
{
    if (!plan_cells(&s->plan, s->spec, err)) {
        if (s->lost.domain == ERROR_NONE)
            return false;
        error_clear(err);
        return error_move(err, &s->lost);
    }
    s->params = xcalloc(s->plan.n_images, sizeof(*s->params));
    warn_of_device(s);
    for (size_t i = 0; i < s->plan.n_images; i++) {
        struct userdata userdata = start_userdata(s, &s->plan.images[i]);
        if (!params_make(s->spec, s->plan.images[i].root_device, &s->plan.images[i].volumes, &s->params[i], err) ||
            !userdata_check(&userdata, err))
            return false;
    }
    return true;
}
