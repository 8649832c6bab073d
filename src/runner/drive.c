#include "mayfly/runner/drive.h"

#include "mayfly/aws/errors.h"
#include "mayfly/aws/ssm.h"
#include "mayfly/github/app.h"
#include "mayfly/runner/tags.h"
#include "mayfly/util/log.h"
#include "mayfly/util/signals.h"

enum {
    SCARCE = 500,          /* of GitHub's requests in an hour: others need some too */
    KEPT_MAX = 32 << 20,   /* bytes of the rows of a list that is handed over whole */
    END_MS = 60000,        /* no attempt to end something begins later: the machine decides anew */
    HURRY_END_MS = 2000,   /* after a signal, what ends something is not waited for any longer, but asked for again */
    SAME_SIGNAL_MS = 1000, /* timeout(1) sends two, and so do a terminal and its shell */
};

/* One action in flight. Actions of several pages go through several calls and keep their rows until the last, or hand
 * them over page by page. */
struct flight {
    struct act act;
    struct aws_call *aws; /* one of the two */
    struct github_call *github;
    struct call_ops ops; /* the call's own, but that judging counts */
    enum retry_class (*judge)(struct call *call, int64_t *ret_server_ms, struct error *err);
    struct tally *tally;
    struct github *via; /* what its scope is asked by */
    struct arena arena;
    const char *token; /* of the next page, in the arena */
    struct ec2_instance *instances;
    size_t n_instances;
    size_t n_skipped; /* of all pages */
    struct github_runner *runners;
    size_t n_runners;
    unsigned page;
    struct paging paging;
    char *name; /* of ACT_FIND and ACT_MINT */
    char *region, *repo;
    struct strlist values; /* of own_filter */
    struct ec2_filter own_filter;
    const struct ec2_filter *filters;
    size_t n_filters;
    struct flight *next;
};

/* GitHub's last answer about one runner: asked again with its ETag, an unchanged answer costs no rate limit. */
struct known_runner {
    int64_t id;
    char *etag;
    bool online, busy;
    struct known_runner *next;
};

/* Another scope than the configured one, asked with the same token, or as the same App. */
struct other_scope {
    struct github_config config; /* but for scope and path, borrowed from the configured one */
    struct github github;
    struct other_scope *next;
};

struct driver {
    struct cloud *cloud;
    struct machine *machine;
    struct flight *flights;
    struct known_runner *known;
    struct other_scope *scopes;
    int signal;          /* that the machine knows of; 0: none has come */
    int64_t signaled_at; /* monotonic ms */
    bool left;           /* another one has come: nothing is waited for any longer */
};

const char *service_name(enum service service)
{
    static const char *const names[] = { "ec2", "sts", "github" };
    return names[service];
}

/* The one rule of what a call's attempts may have done together: once the answer to one was lost, none to a later one
 * but what the call makes ends the doubt. The machine looks what became of it. */
static bool is_in_doubt(const struct call *call)
{
    return call->makes && call->ambiguous;
}

enum outcome drive_aws_outcome(const struct aws_call *call)
{
    const struct error *err = &call->call.error;
    if (err->domain == ERROR_NONE)
        return OUTCOME_OK;
    if (is_in_doubt(&call->call) && !aws_clears_token(err))
        return OUTCOME_AMBIGUOUS;
    /* It waited for credentials, or to be tried again, and a signal or the time ended that. */
    if (err->domain == ERROR_CANCELLED || err->domain == ERROR_TIMEOUT)
        return call->call.ambiguous ? OUTCOME_AMBIGUOUS : OUTCOME_THROTTLED;
    enum outcome outcome = outcome_of_class(aws_error_class(err));
    bool is_word = outcome != OUTCOME_THROTTLED && outcome != OUTCOME_FAILED;
    return call->call.ambiguous && !is_word ? OUTCOME_AMBIGUOUS : outcome;
}

enum outcome drive_github_outcome(const struct github_call *call)
{
    if (call->call.error.domain == ERROR_NONE)
        return OUTCOME_OK;
    if (is_in_doubt(&call->call))
        return OUTCOME_AMBIGUOUS;
    if (call->call.error.domain == ERROR_TIMEOUT) /* it waited for a token, and was never sent */
        return OUTCOME_THROTTLED;
    switch (call->class) {
    case GITHUB_NOT_FOUND:
        return OUTCOME_NOT_FOUND;
    case GITHUB_CONFLICT:
        return OUTCOME_CONFLICT;
    case GITHUB_BUSY:
        return OUTCOME_BUSY;
    case GITHUB_THROTTLED:
        return OUTCOME_THROTTLED;
    case GITHUB_SERVER:
        return call->call.ambiguous ? OUTCOME_AMBIGUOUS : OUTCOME_THROTTLED;
    default:
        return OUTCOME_FAILED;
    }
}

static struct known_runner *find_known(struct driver *d, int64_t id)
{
    struct known_runner *k = d->known;
    while (k && k->id != id)
        k = k->next;
    return k;
}

static struct call *flight_call(const struct flight *f)
{
    return f->aws ? &f->aws->call : &f->github->call;
}

static void free_flight(struct flight *f)
{
    call_free(flight_call(f));
    arena_clear(&f->arena);
    free(f->instances);
    free(f->runners);
    free(f->name);
    free(f->region);
    free(f->repo);
    strlist_clear(&f->values);
    free(f);
}

/* Asks for the instances whose `name` is the one value, or any of the many. */
static void filter_by(struct flight *f, const char *name, const char *one, const struct strlist *many)
{
    if (one)
        strlist_add(&f->values, one);
    for (size_t i = 0; many && i < many->n; i++)
        strlist_add(&f->values, many->v[i]);
    f->own_filter = (struct ec2_filter){ .name = name, .values = &f->values };
    f->filters = &f->own_filter;
    f->n_filters = 1;
}

static struct aws_call *describe(struct driver *d, const struct flight *f, const char *token)
{
    struct aws *aws = d->cloud->aws;
    if (f->act.kind == ACT_LEFTOVERS)
        return ec2_list_leftovers_call(aws, f->region, f->act.leftover, f->filters, f->n_filters, token);
    if (f->act.by_page)
        return ec2_fleet_call(aws, f->region, f->filters, f->n_filters, token);
    return ec2_describe_instances_call(aws, f->region, f->filters, f->n_filters, token);
}

/* The next page of a list of GitHub's. */
static struct github_call *list(struct flight *f)
{
    f->page++;
    if (f->act.kind == ACT_JOBS)
        return github_list_jobs_call(f->via, f->repo, f->act.run_id, f->page);
    return github_list_runners_call(f->via, f->page, NULL);
}

static struct github *github_of(struct driver *d, const char *scope)
{
    const struct github *own = d->cloud->github;
    if (!own || !scope || str_eq(scope, own->config->scope))
        return d->cloud->github;
    for (struct other_scope *o = d->scopes; o; o = o->next)
        if (str_eq(o->config.scope, scope))
            return &o->github;
    struct other_scope *o = xcalloc(1, sizeof(*o));
    o->config = *own->config;
    o->config.scope = xstrdup(scope);
    o->config.path = must(github_scope_path(scope));
    o->github = (struct github){ .config = &o->config, .env = own->env, .app = own->app, .remaining = -1 };
    o->next = d->scopes;
    d->scopes = o;
    return &o->github;
}

/* Does it bring a launch on? When it runs out of time, what these were told is the cause. */
static bool is_progress(enum act_kind kind)
{
    return kind == ACT_MINT || kind == ACT_GET || kind == ACT_LIST || kind == ACT_RUN || kind == ACT_LOOK;
}

void tally_clear(struct tally *tally)
{
    error_clear(&tally->trouble);
    *tally = (struct tally){ 0 };
}

static enum retry_class judge_and_count(struct call *call, int64_t *ret_server_ms, struct error *err)
{
    const struct flight *f = call->tag;
    enum retry_class class = f->judge(call, ret_server_ms, err);
    f->tally->requests++;
    f->tally->retries += call->attempts > 1;
    f->tally->throttles += class == RETRY_THROTTLE;
    bool useless = class != RETRY_NEVER || err->domain == ERROR_NET || (f->github && f->github->class == GITHUB_SERVER);
    if (is_progress(f->act.kind) && (useless || err->domain == ERROR_NONE)) {
        error_clear(&f->tally->trouble);
        if (err->domain != ERROR_NONE)
            error_copy(&f->tally->trouble, err);
    }
    return class;
}

static void launch_call(struct driver *d, struct flight *f)
{
    struct call *call = flight_call(f);
    f->judge = call->ops->judge;
    f->ops = *call->ops;
    f->ops.judge = judge_and_count;
    f->tally = &d->cloud->tally[f->aws ? SERVICE_EC2 : SERVICE_GITHUB];
    call->ops = &f->ops;
    call->tag = f;
    call_start(d->cloud->loop, call);
}

/* An App's token opens its own scope alone; a workflow run may be elsewhere. */
static const char *scope_to_ask(const struct driver *d, const struct act *a)
{
    const struct github *own = d->cloud->github;
    if (a->kind != ACT_JOBS || !own || !own->app)
        return a->scope;
    size_t n = strlen(own->config->scope);
    return strncasecmp(a->repo, own->config->scope, n) == 0 && a->repo[n] == '/' ? NULL : a->repo;
}

/* The call that an action begins with. */
static void make_call(struct driver *d, struct flight *f)
{
    struct aws *aws = d->cloud->aws;
    const struct act *a = &f->act;
    struct github *github = github_of(d, scope_to_ask(d, a));
    f->via = github;
    switch (a->kind) {
    case ACT_MINT:
        f->github = github_jit_call(github, a->name, d->machine->runner_group, d->machine->labels);
        break;
    case ACT_FIND:
        f->github = github_list_runners_call(github, 1, a->name);
        break;
    case ACT_LIST:
    case ACT_JOBS:
        f->github = list(f);
        break;
    case ACT_GET: {
        struct known_runner *k = a->scope ? NULL : find_known(d, a->runner_id);
        f->github = github_get_runner_call(github, a->runner_id);
        if (k)
            str_set(&f->github->etag, k->etag);
        break;
    }
    case ACT_DELETE:
        f->github = github_delete_runner_call(github, a->runner_id);
        f->github->call.give_up = env_mono(d->cloud->loop->env) + END_MS;
        break;
    case ACT_RUN: {
        struct ec2_run run = { 0 };
        d->machine->render(d->machine, a->who, &f->arena, &run);
        f->aws = ec2_run_instances_call(aws, &run);
        break;
    }
    case ACT_SETTLE:
        filter_by(f, "client-token", a->client_token, NULL);
        f->aws = describe(d, f, NULL);
        break;
    case ACT_LOOK:
        filter_by(f, "instance-id", a->instance_id, a->ids);
        f->aws = describe(d, f, NULL);
        break;
    case ACT_SCAN:
    case ACT_LEFTOVERS:
        f->filters = a->filters;
        f->n_filters = a->n_filters;
        f->aws = describe(d, f, NULL);
        break;
    case ACT_TERMINATE: {
        AUTO_STRLIST one = { 0 };
        if (!a->ids)
            strlist_add(&one, a->instance_id);
        f->aws = ec2_terminate_instances_call(aws, a->region, a->ids ? a->ids : &one);
        f->aws->call.give_up = env_mono(d->cloud->loop->env) + END_MS;
        break;
    }
    case ACT_CONSOLE:
        f->aws = ec2_get_console_output_call(aws, a->region, a->instance_id, !a->old);
        break;
    case ACT_MARK:
        f->aws = ec2_tag_many_call(aws, a->region, a->ids, a->tag ? a->tag : TAG_MARK, a->mark);
        break;
    case ACT_REMOVE:
        f->aws = ec2_remove_leftover_call(aws, a->region, a->leftover, a->name);
        break;
    case ACT_IMAGE:
        f->aws = ec2_create_image_call(aws, a->image);
        break;
    case ACT_COPY:
        f->aws = ec2_copy_image_call(aws, a->image);
        break;
    case ACT_SHARE:
        f->aws = ec2_share_image_call(aws, a->region, a->name, a->ids);
        break;
    case ACT_DEPRECATE:
        f->aws = ec2_deprecate_image_call(aws, a->region, a->name, a->mark);
        break;
    case ACT_GET_PARAMETER:
        f->aws = ssm_get_parameter_call(aws, a->region, a->name);
        break;
    case ACT_PUT_PARAMETER:
        f->aws = ssm_put_parameter_call(aws, a->region, a->name, a->mark, true);
        break;
    case ACT_NONE:
        break;
    }
    launch_call(d, f);
}

static void begin(struct driver *d, const struct act *act)
{
    struct flight *f = xcalloc(1, sizeof(*f));
    log_debug("action: %s %zu%s%s", act_name(act->kind), act->who, act->instance_id ? " " : "",
              act->instance_id ? act->instance_id : "");
    f->act = *act;
    str_set(&f->name, act->name);
    str_set(&f->region, act->region);
    str_set(&f->repo, act->repo);
    f->next = d->flights;
    d->flights = f;
    make_call(d, f);
}

static void keep_instances(struct flight *f, const struct field_list *rows)
{
    if (rows->n == 0)
        return;
    f->instances = xreallocarray(f->instances, f->n_instances + rows->n, sizeof(*f->instances));
    memcpy(f->instances + f->n_instances, rows->rows, rows->n * sizeof(*f->instances));
    f->n_instances += rows->n;
}

/* Drops what the filters do not ask for exactly: EC2 reads their values as patterns, and whatever answers may be wrong.
 * What is left is compacted in place. */
static void drop_strangers(const struct flight *f, struct field_list *rows, size_t size)
{
    size_t kept = 0;
    for (size_t i = 0; i < rows->n; i++) {
        char *row = (char *)rows->rows + i * size;
        bool taken = f->act.kind == ACT_LEFTOVERS
                         ? ec2_filters_take_leftover(f->filters, f->n_filters, (const struct ec2_leftover *)row)
                         : ec2_filters_take(f->filters, f->n_filters, (const struct ec2_instance *)row);
        if (taken)
            memmove((char *)rows->rows + kept++ * size, row, size);
    }
    if (kept < rows->n)
        log_warn("%s: EC2's answer in %s has %zu rows that were not asked for, which are ignored", flight_call(f)->name,
                 f->region, rows->n - kept);
    rows->n = kept;
}

static void keep_runner(struct flight *f, const struct github_runner *r)
{
    f->runners = xreallocarray(f->runners, f->n_runners + 1, sizeof(*f->runners));
    f->runners[f->n_runners++] = *r;
}

static void remember(struct driver *d, const struct flight *f, const struct github_runner *r)
{
    const char *etag = http_header(&flight_call(f)->exchange.response, "ETag");
    struct known_runner *k = find_known(d, f->act.runner_id);
    if (!etag)
        return;
    if (!k) {
        k = xcalloc(1, sizeof(*k));
        k->id = f->act.runner_id;
        k->next = d->known;
        d->known = k;
    }
    str_set(&k->etag, etag);
    k->online = github_runner_is_online(r);
    k->busy = r->busy;
}

/* Who takes a list page by page judges each row by itself, also what makes no sense. Who waits for runners takes such a
 * row for none, and asks for it alone; for who looks for a name it may be the one. */
static bool take_runner(struct flight *f, const struct github_runner *r, struct error *err)
{
    bool is_other = r->name && !str_eq(r->name, f->name);
    if (f->act.kind == ACT_LIST ? r->unclear && !f->act.by_page : is_other)
        return true;
    if (f->act.kind == ACT_FIND && r->unclear)
        return error_set(err, ERROR_PARSE, 0, "%s", r->unclear);
    keep_runner(f, r);
    return true;
}

/* Reads the answer into the flight. *ret_more: another page was asked for, and the flight goes on. */
static bool decode(struct driver *d, struct flight *f, struct event *e, bool *ret_more, struct error *err)
{
    struct field_list rows = { 0 };
    struct github_runner runner = { 0 };
    struct github_jit jit = { 0 };
    struct ec2_instance instance = { 0 };
    struct ec2_page page = { 0 };
    struct ec2_leftovers leftovers = { 0 };
    AUTO_STRBUF text = STRBUF_INIT;
    size_t skipped = 0;
    switch (f->act.kind) {
    case ACT_MINT:
        if (!github_jit_result(f->github, f->name, &f->arena, &jit, err))
            return false;
        keep_runner(f, &jit.runner);
        e->jit = jit.encoded;
        return true;
    case ACT_GET:
        if (github_call_unchanged(f->github)) {
            struct known_runner *k = find_known(d, f->act.runner_id);
            runner = (struct github_runner){
                .id = f->act.runner_id, .name = "", .status = k->online ? "online" : "offline", .busy = k->busy
            };
        } else {
            if (!github_get_runner_result(f->github, &f->arena, &runner, err))
                return false;
            if (!f->act.scope) /* ids are counted per tenant */
                remember(d, f, &runner);
        }
        keep_runner(f, &runner);
        return true;
    case ACT_FIND:
    case ACT_LIST:
        if (!github_list_runners_result(f->github, &f->arena, &rows, err))
            return false;
        for (size_t i = 0; i < rows.n; i++)
            if (!take_runner(f, FIELD_ROW(&rows, const struct github_runner, i), err))
                return false;
        e->pages = f->page;
        return f->act.kind == ACT_FIND || github_call_turn(f->github, &f->paging, rows.n, ret_more, err);
    case ACT_JOBS:
        if (!github_list_jobs_result(f->github, &f->arena, &rows, err))
            return false;
        e->jobs = rows.rows;
        e->n_jobs = rows.n;
        return github_call_turn(f->github, &f->paging, rows.n, ret_more, err);
    case ACT_RUN:
        if (!ec2_run_instances_result(f->aws, &f->arena, &instance, err))
            return false;
        rows = (struct field_list){ .rows = &instance, .n = 1 };
        keep_instances(f, &rows);
        return true;
    case ACT_SETTLE:
    case ACT_LOOK:
    case ACT_SCAN:
        if (!ec2_describe_instances_rows(f->aws, &f->arena, &page, &skipped, err))
            return false;
        f->n_skipped += skipped;
        e->n_skipped = f->act.by_page ? skipped : f->n_skipped;
        drop_strangers(f, &page.instances, sizeof(struct ec2_instance));
        keep_instances(f, &page.instances);
        e->account = page.owner;
        f->token = page.next_token;
        return aws_call_turn(&f->aws->call, &f->paging, page.instances.n + skipped, f->token, ret_more, err);
    case ACT_LEFTOVERS:
        if (!ec2_list_leftovers_result(f->aws, f->act.leftover, &f->arena, &leftovers, err))
            return false;
        drop_strangers(f, &leftovers.rows, sizeof(struct ec2_leftover));
        e->leftovers = leftovers.rows.rows;
        e->n_leftovers = leftovers.rows.n;
        f->token = leftovers.next_token;
        return aws_call_turn(&f->aws->call, &f->paging, leftovers.rows.n, f->token, ret_more, err);
    case ACT_REMOVE:
        return ec2_remove_leftover_result(f->aws, f->act.leftover, err);
    case ACT_TERMINATE:
        if (!ec2_terminate_instances_result(f->aws, &f->arena, &rows, err))
            return false;
        e->changes = rows.rows;
        e->n_changes = rows.n;
        return true;
    case ACT_CONSOLE:
        if (!ec2_get_console_output_result(f->aws, &text, err))
            return false;
        e->text = arena_strdup(&f->arena, strbuf_str(&text));
        return true;
    case ACT_IMAGE:
        return ec2_create_image_result(f->aws, &f->arena, &e->text, err);
    case ACT_COPY:
        return ec2_copy_image_result(f->aws, &f->arena, &e->text, err);
    case ACT_GET_PARAMETER:
        return ssm_get_parameter_result(f->aws, &f->arena, &e->text, err);
    case ACT_DELETE:
    case ACT_MARK:
    case ACT_SHARE:
    case ACT_DEPRECATE:
    case ACT_PUT_PARAMETER:
    case ACT_NONE:
        return true;
    }
    return true;
}

static void unlink_flight(struct driver *d, struct flight *f)
{
    struct flight **at = &d->flights;
    while (*at != f) /* NOLINT(clang-analyzer-core.NullDereference): it is one of them */
        at = &(*at)->next;
    *at = f->next;
}

static bool polls(const struct flight *f)
{
    return f->act.kind == ACT_GET || f->act.kind == ACT_LIST || f->act.kind == ACT_LOOK;
}

/* May be asked for twice, and leaves something behind if it is not heard. */
static bool removes(const struct flight *f)
{
    return f->act.kind == ACT_TERMINATE || f->act.kind == ACT_REMOVE;
}

/* The machine's limit holds for what is on its way, too: it may have changed its mind. */
static void limit_flight(const struct driver *d, struct flight *f, int64_t now)
{
    struct call *call = flight_call(f);
    if (call->makes)
        call->give_up = d->machine->give_up;
    if (call->makes || polls(f))
        call->until = d->machine->cut_at;
    else if (d->signal && removes(f) && call->until == 0)
        call->until = now + HURRY_END_MS;
}

static void step(struct driver *d, struct event *e)
{
    struct acts acts = { 0 };
    e->now = env_mono(d->cloud->loop->env);
    d->machine->step(d->machine, e, &acts);
    for (size_t i = 0; i < acts.n; i++)
        begin(d, &acts.v[i]);
    acts_clear(&acts);
    for (struct flight *f = d->flights; f; f = f->next)
        limit_flight(d, f, e->now);
}

/* Asks for the next page; this one is handed over and forgotten, if the machine wants it so. */
static void turn_page(struct driver *d, struct flight *f, struct event *e)
{
    struct call *old = flight_call(f);
    if (f->aws)
        f->aws = describe(d, f, f->token);
    else
        f->github = list(f);
    call_free(old);
    launch_call(d, f);
    if (!f->act.by_page)
        return;
    e->kind = EVENT_PAGE;
    e->error = NULL;
    step(d, e);
    arena_clear(&f->arena);
    f->n_instances = f->n_runners = 0;
}

void drive_tell_time(struct cloud *cloud, enum clock_source source, const struct call *call)
{
    const char *header = http_header(&call->exchange.response, "Date");
    int64_t date;
    if (header && clock_parse_http(header, &date))
        clocks_add(&cloud->clocks, source, date, env_mono(cloud->loop->env));
}

/* A failure's Date may be a proxy's. */
static void tell_time(struct driver *d, const struct flight *f, struct event *e)
{
    const struct env *env = d->cloud->loop->env;
    if (e->outcome == OUTCOME_OK && (f->github || str_eq(f->aws->service, "ec2")))
        drive_tell_time(d->cloud, f->github ? CLOCK_GITHUB : CLOCK_EC2, flight_call(f));
    const struct clock_times t = clocks_read(&d->cloud->clocks, env_mono(env), env_now(env));
    e->no_time = !clocks_agree(&t, &e->cloud_now);
}

static void land(struct driver *d, struct flight *f)
{
    AUTO_ERROR err = { 0 };
    bool more = false;
    struct event e = { .kind = EVENT_ANSWER, .act = f->act.kind, .who = f->act.who, .part = f->act.part };
    struct call *call = flight_call(f);
    e.outcome = f->aws ? drive_aws_outcome(f->aws) : drive_github_outcome(f->github);
    e.error = &call->error;
    tell_time(d, f, &e);
    e.scarce = f->github && d->cloud->github->remaining >= 0 && d->cloud->github->remaining < SCARCE;
    if (e.outcome == OUTCOME_OK && !decode(d, f, &e, &more, &err)) {
        /* The call had its effect, and what it was cannot be read. */
        e.outcome = call->makes ? OUTCOME_AMBIGUOUS : OUTCOME_FAILED;
        e.error = &err;
    }
    e.instances = f->instances;
    e.n_instances = f->n_instances;
    e.runners = f->runners;
    e.n_runners = f->n_runners;
    if (more && arena_size(&f->arena) > KEPT_MAX) {
        error_set(&err, ERROR_PARSE, 0, "the answers to %s hold more than %d bytes", call->name, KEPT_MAX);
        e.outcome = OUTCOME_FAILED;
        e.error = &err;
        more = false;
    }
    if (more) {
        turn_page(d, f, &e);
        return;
    }
    unlink_flight(d, f);
    step(d, &e);
    free_flight(f);
}

/* The first one is undone, which must be able to wait, and to renew credentials; another one is obeyed at once. */
static void take_signal(struct driver *d)
{
    struct cloud *cloud = d->cloud;
    struct event signal = { .kind = EVENT_SIGNAL };
    const int64_t now = env_mono(cloud->loop->env);
    const int taken = signals_take(cloud->signal_fd);
    if (d->signal) {
        d->left = now - d->signaled_at >= SAME_SIGNAL_MS;
        return;
    }
    d->signal = taken;
    d->signaled_at = now;
    cloud->aws->wake_fd = -1;
    cloud->aws->hurry = true;
    if (cloud->github && cloud->github->app)
        github_app_hurry(cloud->github->app);
    step(d, &signal);
}

void drive(struct cloud *cloud, struct machine *machine)
{
    struct driver d = { .cloud = cloud, .machine = machine };
    struct event start = { .kind = EVENT_START };
    const int wake_fd = cloud->loop->wake_fd, aws_wake_fd = cloud->aws->wake_fd;
    cloud->loop->wake_fd = cloud->signal_fd;
    step(&d, &start);
    while (!machine->done && !d.left) {
        struct call *call = call_loop_next(cloud->loop, machine->wake);
        if (call) {
            land(&d, call->tag);
        } else if (http_readable(cloud->signal_fd)) {
            take_signal(&d);
        } else {
            struct event time = { .kind = EVENT_TIME };
            step(&d, &time);
        }
    }
    while (d.flights) {
        struct flight *f = d.flights;
        d.flights = f->next;
        const struct call *call = flight_call(f);
        if (is_progress(f->act.kind) && call->state == CALL_FLYING && f->tally->trouble.domain == ERROR_NONE)
            error_set(&f->tally->trouble, ERROR_NET, 0, "%s: no answer yet", call->name);
        call_cancel(cloud->loop, flight_call(f));
        free_flight(f);
    }
    while (d.scopes) {
        struct other_scope *next = d.scopes->next;
        free(d.scopes->config.scope);
        free(d.scopes->config.path);
        free(d.scopes);
        d.scopes = next;
    }
    while (d.known) {
        struct known_runner *next = d.known->next;
        free(d.known->etag);
        free(d.known);
        d.known = next;
    }
    cloud->loop->wake_fd = wake_fd;
    cloud->aws->wake_fd = aws_wake_fd;
    if (d.signal) /* what is asked after this is not waited for either */
        signals_put_back(d.signal);
}
