/* doctor: what stands between these options and a launch. It asks, and changes nothing. */
#include "mayfly/cmd/doctor.h"
#include "mayfly/runner/policy.h"

#include <inttypes.h>

#include "mayfly/aws/sts.h"
#include "mayfly/util/log.h"

enum {
    EXIT_PROBLEM = 1,
    ANSWER_MS = 30000, /* no attempt of a question begins later */
};

static void doctor_clear(struct doctor *d)
{
    for (size_t i = 0; i < d->n; i++)
        call_free(d->calls[i]);
    free(d->calls);
    start_clear(&d->start);
    session_close(&d->session);
    findings_clear(&d->findings);
    arena_clear(&d->arena);
    error_clear(&d->aws_error);
    error_clear(&d->github_error);
    free(d->places);
    strlist_clear(&d->keys);
    free(d->image_ids);
    free(d->unusable);
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

static void add_call(struct doctor *d, struct call *call)
{
    d->calls = xreallocarray(d->calls, d->n + 1, sizeof(struct call *));
    d->calls[d->n++] = call;
}

struct aws_call *doctor_ask(struct doctor *d, struct aws_call *call)
{
    add_call(d, &call->call);
    return call;
}

struct github_call *doctor_ask_github(struct doctor *d, struct github_call *call)
{
    add_call(d, &call->call);
    return call;
}

/* Runs what was asked to its end, each call whatever the others say. False: a signal came. */
bool doctor_run(struct doctor *d, struct error *err)
{
    struct call_loop *loop = &d->session.loop;
    bool interrupted = false;
    for (size_t i = d->asked; i < d->n; i++) {
        d->calls[i]->give_up = env_mono(d->cmd->env) + ANSWER_MS;
        call_start(loop, d->calls[i]);
    }
    for (size_t i = d->asked; i < d->n && !interrupted; i++)
        interrupted = !call_loop_next(loop, INT64_MAX);
    for (size_t i = d->asked; i < d->n && interrupted; i++)
        call_cancel(loop, d->calls[i]);
    d->asked = d->n;
    return !interrupted || error_set(err, ERROR_CANCELLED, 0, "interrupted by a signal");
}

bool doctor_answered(const struct call *call)
{
    return call && call->error.domain == ERROR_NONE;
}

/* --- telling ------------------------------------------------------------------------------------------------------ */

void doctor_tell_error(struct finding *f, const struct error *err)
{
    AUTO_FREE char *message = error_format(err);
    finding_result(f, "%s", message);
    if (err->hint)
        finding_fix(f, "%s", err->hint);
}

/* What a call that failed says; a refusal with the statement of the command's policy that it lacks. */
void doctor_tell_failure(struct doctor *d, struct finding *f, const struct aws_call *call, const char *command)
{
    const struct error *err = &call->call.error;
    if (!aws_is_denial(err->code)) {
        doctor_tell_error(f, err);
        return;
    }
    AUTO_FREE char *what = policy_denied(&call->denial), *advice = policy_advice(&call->denial, command);
    AUTO_FREE char *message = error_format(err);
    finding_result(f, "%s", what ? what : message);
    finding_fix(f, "%s", advice);
    if (call->denial.encoded && d->n_riddles < DOCTOR_RIDDLES_MAX)
        d->riddles[d->n_riddles++] = (struct riddle){ .finding = (size_t)(f - d->findings.v), .refused = call };
}

void doctor_not_checked(struct doctor *d, enum check check, const char *what, const char *why)
{
    finding_result(finding_add(&d->findings, check, FINDING_NOT_CHECKED, "%s", what), "%s", why);
}

/* --- the options -------------------------------------------------------------------------------------------------- */

/* Without credentials there is no region either, and the options would go unread. */
static void find_region(struct doctor *d)
{
    const char *const names[] = { d->cmd->common.region, d->cmd->getenv("AWS_REGION"),
                                  d->cmd->getenv("AWS_DEFAULT_REGION") };
    for (size_t i = 0; i < ARRAY_SIZE(names) && !d->session.aws_config.region; i++)
        if (!str_empty(names[i]) && aws_region_is_valid(names[i]))
            d->session.aws_config.region = xstrdup(names[i]);
}

static void read_options(struct doctor *d)
{
    struct start *s = &d->start;
    AUTO_ERROR wrong = { 0 }, unread = { 0 };
    bool ok = spec_check(s->spec, &wrong);
    struct finding *f = finding_add(&d->findings, CHECK_OPTIONS, ok ? FINDING_OK : FINDING_PROBLEM, "read the options");
    if (!ok)
        doctor_tell_error(f, &wrong);
    if (!d->session.aws_config.region) {
        f->status = FINDING_NOT_CHECKED;
        finding_result(f, "IDs need a region");
    } else if (!start_read(s, &unread)) {
        f->status = FINDING_PROBLEM;
        if (!wrong.message || !str_eq(wrong.message, unread.message))
            doctor_tell_error(f, &unread);
    }
    d->options = f->status == FINDING_OK;
    if (d->options)
        finding_result(f, "%zu types, %zu subnets, %zu images, regions: %zu", s->spec->types.n, s->plan.n_sites,
                       s->plan.n_images, s->plan.regions.n);
    doctor_limits(&d->findings, s->spec);
    d->places = xcalloc(s->plan.regions.n, sizeof(*d->places));
    d->image_ids = xcalloc(s->plan.n_images, sizeof(*d->image_ids));
    for (size_t i = 0; i < s->plan.regions.n; i++)
        d->places[i].region = s->plan.regions.v[i];
}

/* --- the flow ----------------------------------------------------------------------------------------------------- */

/* Both sides at once: what they say first decides what they are asked further. */
static bool ask_who(struct doctor *d, bool github, struct error *err)
{
    struct session *s = &d->session;
    struct aws_call *identity = NULL;
    struct github_call *rate = NULL, *app = NULL;
    if (d->aws_error.domain == ERROR_NONE)
        identity = doctor_ask(d, sts_get_caller_identity_call(&s->aws, s->aws_config.region));
    if (github && d->github_error.domain == ERROR_NONE)
        rate = doctor_ask_github(d, github_rate_call(&s->github));
    if (d->github_error.domain == ERROR_NONE && s->app)
        app = doctor_ask_github(d, github_app_call(&s->github));
    if (!doctor_run(d, err))
        return false;
    if (identity)
        doctor_judge_identity(d, identity);
    else
        doctor_tell_error(
            finding_add(&d->findings, CHECK_CREDENTIALS, FINDING_PROBLEM, "looked for credentials and a region"),
            &d->aws_error);
    if (app)
        doctor_judge_app(d, app, rate);
    if (rate)
        doctor_judge_token(d, rate);
    else if (github)
        doctor_tell_error(
            finding_add(&d->findings, CHECK_TOKEN, FINDING_PROBLEM, "looked for the repository and a token or an App"),
            &d->github_error);
    return true;
}

/* Nothing is asked of who did not let us in. */
static bool look(struct doctor *d, struct error *err)
{
    if (!d->aws)
        doctor_not_checked(d, CHECK_REGION, "regions, permissions, images, network, launch",
                           "the credentials do not work");
    else
        doctor_ask_regions(d);
    if (!doctor_run(d, err))
        return false;
    if (d->aws)
        doctor_judge_regions(d);
    if (!d->github)
        doctor_not_checked(d, CHECK_GITHUB, "permissions, runner group, rate limit", "the token does not work");
    else if (!doctor_look_at_github(d, err))
        return false;
    return !d->aws || (doctor_look_at_aws(d, err) && doctor_try_launch(d, err) && doctor_solve_riddles(d, err));
}

static size_t count_usable(const struct doctor *d)
{
    size_t n = 0;
    for (size_t i = 0; d->unusable && i < d->start.plan.n; i++)
        n += !d->unusable[i];
    return n;
}

static void tell_places(struct doctor *d, size_t usable)
{
    if (!d->unusable)
        return;
    struct finding *f =
        finding_add(&d->findings, CHECK_PLACES, usable ? FINDING_OK : FINDING_PROBLEM, "went through the plan");
    if (d->refused) {
        f->status = FINDING_NOT_CHECKED;
        finding_result(f, "a policy blocks all of them");
        return;
    }
    finding_result(f, "%zu of %zu places would accept an instance, as far as can be checked", usable, d->start.plan.n);
    if (usable == 0)
        finding_fix(f, "see above, or widen the plan with --types, --subnets, --market, --regions");
}

/* subject: what they are about, before "work" or "fail". */
static void print_findings(const struct findings *f, const char *subject)
{
    size_t counts[FINDING_NOT_CHECKED + 1] = { 0 };
    for (size_t i = 0; i < f->n; i++) {
        const struct finding *v = &f->v[i];
        counts[v->status]++;
        print_line("%-11s %s: %s: %s%s%s", finding_status_name(v->status), check_name(v->check), v->did,
                   v->result ? v->result : "OK", v->fix ? " -- fix: " : "", v->fix ? v->fix : "");
    }
    printf("%s %s: %zu ok, %zu warnings, %zu problems, %zu not checked\n", subject,
           findings_have_problem(f) ? "fail" : "work", counts[FINDING_OK], counts[FINDING_WARNING],
           counts[FINDING_PROBLEM], counts[FINDING_NOT_CHECKED]);
}

static void print_findings_json(const struct findings *f)
{
    AUTO_JSON *object = must(json_object_new_object());
    struct json_object *rows = must(json_object_new_array());
    for (size_t i = 0; i < f->n; i++) {
        const struct finding *v = &f->v[i];
        const struct {
            const char *key, *value;
        } members[] = { { "status", finding_status_name(v->status) },
                        { "check", check_name(v->check) },
                        { "did", v->did },
                        { "result", v->result },
                        { "fix", v->fix } };
        struct json_object *row = must(json_object_new_object());
        for (size_t m = 0; m < ARRAY_SIZE(members); m++)
            if (members[m].value)
                json_object_object_add(row, members[m].key, must(json_object_new_string(members[m].value)));
        json_object_array_add(rows, row);
    }
    json_object_object_add(object, "ok", must(json_object_new_boolean(!findings_have_problem(f))));
    json_object_object_add(object, "checks", rows);
    print_json(object);
}

struct doctor_options {
    struct spec spec; /* first: the options of start */
    bool credentials;
};

#define OPTIONS struct doctor_options

static const struct opt doctor_opts[] = {
    OPT_FLAG("credentials", credentials,
             "only show where AWS credentials were looked for, which were used, and whose they are",
             .bits = OPT_FLAG_ONLY),
    { 0 },
};

#undef OPTIONS

/* What was passed over and why, what was taken, and who that is. */
static bool tell_credentials(struct doctor *d, struct error *err)
{
    const struct strlist *passed_over = &d->session.aws_config.source.passed_over;
    for (size_t i = 0; i < passed_over->n; i++) {
        const char *line = passed_over->v[i];
        size_t n = strcspn(line, ":");
        finding_result(finding_add(&d->findings, CHECK_CREDENTIALS, FINDING_OK, "passed over %.*s", (int)n, line), "%s",
                       line + n + strspn(line + n, ": "));
    }
    return ask_who(d, false, err);
}

static bool finish(struct doctor *d, size_t usable, const char *subject)
{
    findings_settle(&d->findings, usable);
    if (d->cmd->common.json)
        print_findings_json(&d->findings);
    else
        print_findings(&d->findings, subject);
    d->cmd->exit_status = findings_have_problem(&d->findings) ? EXIT_PROBLEM : 0;
    return true;
}

static bool run(struct cmd *cmd, void *options, struct error *err)
{
    const struct doctor_options *o = options;
    CLEANUP(doctor_clear) struct doctor d = { .cmd = cmd };
    session_open_each(&d.session, cmd, &d.aws_error, &d.github_error);
    find_region(&d);
    start_init(&d.start, cmd, &o->spec, &d.session);
    if (o->credentials)
        return tell_credentials(&d, err) && finish(&d, 1, "the credentials");
    read_options(&d);
    if (!ask_who(&d, true, err) || !look(&d, err))
        return false;
    size_t usable = count_usable(&d);
    tell_places(&d, usable);
    return finish(&d, usable, "a launch would");
}

const struct command command_doctor = {
    .name = "doctor",
    .summary = "check that `start` with these options would work; launches nothing",
    .about = "Takes the options of start and checks credentials, clock, permissions (with EC2's dry runs),\n"
             "images, subnets, routes, security groups, types, user-data, and the GitHub token or App and its\n"
             "limits. Prints a line for each: ok, warning, problem or not checked; what was checked, the result,\n"
             "and what to do. Changes nothing. Exit status 1 if a launch would fail. `mayfly policy start\n"
             "doctor` prints the permissions it needs.",
    .opts = start_opts,
    .more_opts = doctor_opts,
    .options_size = sizeof(struct doctor_options),
    .reads_jobs = true,
    .limit_s = 300,
    .run = run,
};
