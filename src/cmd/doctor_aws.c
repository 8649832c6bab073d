/* doctor: what AWS is asked. */
#include <inttypes.h>

#include "mayfly/cmd/doctor.h"
#include "mayfly/runner/images.h"
#include "mayfly/runner/params.h"
#include "mayfly/runner/policy.h"
#include "mayfly/util/log.h"

enum { CELLS_TRIED = 12 }; /* of RunInstances, which takes 5 at once and 2 a second */

/* An id that no instance has. */
#define NOBODY "i-00000000000000000"

static struct place *find_place(const struct doctor *d, const char *region)
{
    size_t i = 0;
    while (!str_eq(d->places[i].region, region))
        i++;
    return &d->places[i];
}

/* Looks that a launch does not need: what may not be seen is no problem. */
static void tell_unseen(struct doctor *d, enum check check, const char *what, const struct aws_call *call)
{
    struct finding *f = finding_add(&d->findings, check, FINDING_NOT_CHECKED, "%s", what);
    if (!call)
        finding_result(f, "EC2 does not answer there");
    else
        doctor_tell_failure(d, f, call, "doctor");
}

void doctor_judge_identity(struct doctor *d, const struct aws_call *call)
{
    const struct aws_config *config = &d->session.aws_config;
    struct sts_identity who = { 0 };
    AUTO_ERROR err = { 0 };
    struct finding *f = finding_add(&d->findings, CHECK_CREDENTIALS, FINDING_OK, "asked STS who they are");
    if (!doctor_answered(&call->call)) {
        f->status = FINDING_PROBLEM;
        doctor_tell_failure(d, f, call, "start");
    } else if (!sts_get_caller_identity_result(call, &d->arena, &who, &err)) {
        f->status = FINDING_PROBLEM;
        doctor_tell_error(f, &err);
    } else {
        finding_result(f, "account %s", who.account);
        finding_result(f, "%s", who.arn ? who.arn : "without a name");
        d->start.account = xstrdup(who.account);
        d->aws = true;
    }
    AUTO_FREE char *from = creds_source_format(&config->source);
    finding_result(f, "from %s", from);
    if (d->session.aws.date)
        doctor_clock(&d->findings, d->session.aws.date - env_now(d->cmd->env) / 1000);
}

/* --- regions and permissions -------------------------------------------------------------------------------------- */

static void ask_region(struct doctor *d, struct place *p)
{
    char *fleet[] = { d->session.fleet }, *any[] = { (char *)"running" };
    const struct strlist fleets = { fleet, 1 }, states = { any, 1 };
    const struct ec2_filter filter = d->session.fleet
                                         ? (struct ec2_filter){ .name = "tag:" TAG_FLEET, .values = &fleets }
                                         : (struct ec2_filter){ .name = "instance-state-name", .values = &states };
    p->instances = doctor_ask(d, ec2_describe_instances_call(&d->session.aws, p->region, &filter, 1, NULL));
}

/* A region answers, be it with a refusal; only then the rest is asked there. */
static void judge_region(struct doctor *d, struct place *p)
{
    struct ec2_page page = { 0 };
    size_t skipped;
    AUTO_ERROR err = { 0 };
    const struct error *wrong = &p->instances->call.error;
    bool denied = aws_is_denial(wrong->code);
    struct finding *f = finding_add(&d->findings, CHECK_REGION, FINDING_OK, "asked EC2 of %s", p->region);
    p->dead = !doctor_answered(&p->instances->call) && !denied;
    if (p->dead) { /* elsewhere the credentials are taken */
        AUTO_FREE char *message = error_format(wrong);
        f->status = FINDING_PROBLEM;
        finding_result(f, "%s", message);
        finding_fix(f, "check that the region is spelled right and enabled for this account");
        return;
    }
    finding_result(f, "it answers");
    f = finding_add(&d->findings, CHECK_PERMISSION, FINDING_OK, "ec2:DescribeInstances in %s", p->region);
    if (denied) {
        f->status = FINDING_PROBLEM;
        doctor_tell_failure(d, f, p->instances, "start");
        return;
    }
    if (!ec2_describe_instances_rows(p->instances, &d->arena, &page, &skipped, &err)) {
        f->status = FINDING_PROBLEM;
        doctor_tell_error(f, &err);
        return;
    }
    finding_result(f, "allowed, %zu instances of the fleet", d->session.fleet ? page.instances.n : 0);
    for (size_t i = 0; d->session.fleet && i < page.instances.n && !p->instance; i++) {
        const struct ec2_instance *found = FIELD_ROW(&page.instances, const struct ec2_instance, i);
        p->instance = str_eq(ec2_instance_tag(found, TAG_FLEET), d->session.fleet) ? found->id : NULL;
    }
}

/* What is done to an instance later: how its permission is tried, and what its lack means. */
static const struct trial {
    const char *action, *command;
    enum finding_status lack;
    const char *meaning;
} trials[DOCTOR_TRIALS] = {
    { "ec2:TerminateInstances", "start", FINDING_PROBLEM, "a failed launch could not be undone" },
    { "ec2:GetConsoleOutput", "start", FINDING_WARNING, "a failed launch could not show its console" },
    { "ec2:CreateTags", "reap", FINDING_WARNING, "the reaper could not tag; a launch does not need it" },
};

static struct aws_call *trial_call(struct doctor *d, const struct trial *t, const char *region, const char *id)
{
    struct aws *aws = &d->session.aws;
    AUTO_STRLIST ids = { 0 };
    strlist_add(&ids, id);
    if (str_ends(t->action, "TerminateInstances"))
        return ec2_terminate_instances_call(aws, region, &ids);
    if (str_ends(t->action, "GetConsoleOutput"))
        return ec2_get_console_output_call(aws, region, id, true);
    return ec2_tag_call(aws, region, id, TAG_MARK, "doctor");
}

static void ask_trials(struct doctor *d, struct place *p)
{
    for (size_t i = 0; i < ARRAY_SIZE(trials); i++) {
        p->trials[i] = doctor_ask(d, trial_call(d, &trials[i], p->region, p->instance ? p->instance : NOBODY));
        ec2_make_dry(p->trials[i]);
    }
}

/* IAM may ask for an instance's tag, which one that does not exist cannot have: its refusal proves nothing. */
static void judge_trial(struct doctor *d, const struct place *p, const struct trial *t, const struct aws_call *call)
{
    const struct error *wrong = &call->call.error;
    enum aws_class class = aws_error_class(wrong);
    struct finding *f = finding_add(&d->findings, CHECK_PERMISSION, FINDING_OK, "%s in %s, dry run on %s", t->action,
                                    p->region, p->instance ? p->instance : "an instance that does not exist");
    if (doctor_answered(&call->call) || class == AWS_DRY_RUN || class == AWS_NOT_FOUND) {
        finding_result(f, "allowed");
    } else if (!aws_is_denial(wrong->code)) {
        f->status = FINDING_NOT_CHECKED;
        doctor_tell_error(f, wrong);
    } else if (p->instance || aws_denial_is_explicit(&call->denial)) {
        f->status = t->lack;
        doctor_tell_failure(d, f, call, t->command);
        finding_result(f, "%s", t->meaning);
    } else {
        f->status = FINDING_NOT_CHECKED;
        doctor_tell_failure(d, f, call, t->command);
        finding_result(f, "which is inconclusive: the policy may require the fleet's tag");
        finding_fix(f, "check again while the fleet has an instance");
    }
}

/* --- images ------------------------------------------------------------------------------------------------------- */

static void tell_image(struct doctor *d, const struct image *image, const struct error *err)
{
    struct finding *f = finding_add(&d->findings, CHECK_IMAGE, err ? FINDING_PROBLEM : FINDING_OK,
                                    "looked for %s in %s", image->ref, image->region);
    if (err) {
        doctor_tell_error(f, err);
        return;
    }
    finding_result(f, "%s, available, %s", image->id, image->architecture);
}

/* The answer about an image; a parameter's names the image that is described next. */
static struct aws_call *judge_image(struct doctor *d, struct image *image, const struct aws_call *call, const char **id)
{
    AUTO_ERROR err = { 0 };
    bool parameter = image->kind == IMAGE_SSM && !*id;
    struct finding *f;
    if (!doctor_answered(&call->call)) {
        f = finding_add(&d->findings, parameter ? CHECK_PARAMETER : CHECK_IMAGE, FINDING_PROBLEM, "looked for %s in %s",
                        image->ref, image->region);
        doctor_tell_failure(d, f, call, "start");
        return NULL;
    }
    if (!parameter) {
        bool ok = image_take_answer(image, *id ? *id : image->ref, call, &d->start.arena, &err);
        tell_image(d, image, ok ? NULL : &err);
        return NULL;
    }
    f = finding_add(&d->findings, CHECK_PARAMETER, FINDING_OK, "read %s in %s", image->value, image->region);
    if (!image_take_parameter(image, call, &d->start.arena, id, &err)) {
        f->status = FINDING_PROBLEM;
        doctor_tell_error(f, &err);
        return NULL;
    }
    finding_result(f, "%s", *id);
    return doctor_ask(d, image_describe_call(&d->session.aws, image->region, *id));
}

/* --- the network -------------------------------------------------------------------------------------------------- */

static void ask_network(struct doctor *d, struct place *p)
{
    const struct plan *plan = &d->start.plan;
    struct aws *aws = &d->session.aws;
    AUTO_STRLIST subnets = { 0 }, groups = { 0 };
    for (size_t i = 0; i < plan->n_sites; i++) {
        const struct site *site = &plan->sites[i];
        if (!str_eq(site->region, p->region))
            continue;
        if (!strlist_has(&subnets, site->subnet))
            strlist_add(&subnets, site->subnet);
        for (size_t g = 0; g < site->security_groups.n; g++)
            if (!strlist_has(&groups, site->security_groups.v[g]))
                strlist_add(&groups, site->security_groups.v[g]);
    }
    if (subnets.n > 0)
        p->subnets = doctor_ask(d, ec2_describe_subnets_call(aws, p->region, &subnets));
    if (groups.n > 0)
        p->groups = doctor_ask(d, ec2_describe_groups_call(aws, p->region, &groups));
    if (d->start.spec->types.n > 0)
        p->offerings = doctor_ask(d, ec2_describe_offerings_call(aws, p->region, &d->start.spec->types));
    p->encryption = doctor_ask(d, ec2_get_encryption_call(aws, p->region));
}

/* The rows of an answer. One that cannot be read counts as one that did not come. */
static void take_rows(struct doctor *d, struct aws_call *call,
                      bool (*result)(const struct aws_call *, struct arena *, struct field_list *, struct error *),
                      struct field_list *ret)
{
    if (doctor_answered(&call->call) && !result(call, &d->arena, ret, &call->call.error))
        error_prefix(&call->call.error, "%s", call->call.name);
}

static void take_network(struct doctor *d, struct place *p)
{
    AUTO_STRLIST vpcs = { 0 };
    if (p->groups)
        take_rows(d, p->groups, ec2_describe_groups_result, &p->group_rows);
    if (p->offerings)
        take_rows(d, p->offerings, ec2_describe_offerings_result, &p->offering_rows);
    if (p->subnets)
        take_rows(d, p->subnets, ec2_describe_subnets_result, &p->subnet_rows);
    for (size_t i = 0; i < p->subnet_rows.n; i++) {
        const char *vpc = FIELD_ROW(&p->subnet_rows, const struct ec2_subnet, i)->vpc;
        if (vpc && !strlist_has(&vpcs, vpc))
            strlist_add(&vpcs, vpc);
    }
    if (vpcs.n > 0)
        p->tables = doctor_ask(d, ec2_describe_route_tables_call(&d->session.aws, p->region, &vpcs));
}

/* Marks what is known not to work: of a subnet, and of a type in it unless that is NULL. */
static void rule_out(struct doctor *d, const char *subnet, const char *type)
{
    for (size_t i = 0; d->unusable && i < d->start.plan.n; i++)
        if (str_eq(d->start.plan.cells[i].subnet, subnet) && (!type || str_eq(d->start.plan.cells[i].type, type)))
            d->unusable[i] = true;
}

static void judge_types(struct doctor *d, const struct place *p, const struct site *site,
                        const struct ec2_subnet *subnet)
{
    const struct strlist *types = &d->start.spec->types;
    for (size_t t = 0; t < types->n; t++)
        if (!doctor_type(&d->findings, subnet, p->region, types->v[t], &p->offering_rows))
            rule_out(d, site->subnet, types->v[t]);
}

static void judge_site(struct doctor *d, const struct site *site)
{
    const struct place *p = find_place(d, site->region);
    const struct ec2_subnet *subnet = doctor_find_subnet(&p->subnet_rows, site->subnet);
    bool seen = doctor_answered(p->subnets ? &p->subnets->call : NULL);
    if (!seen)
        tell_unseen(d, CHECK_SUBNET, site->subnet, p->subnets);
    else if (!subnet && doctor_find_subnet(&p->subnet_rows, NULL))
        doctor_not_checked(d, CHECK_SUBNET, site->subnet, "EC2's answer has a subnet without an id, which may be this");
    else if (!doctor_subnet(&d->findings, site, subnet, d->start.spec->count))
        rule_out(d, site->subnet, NULL);
    if (!subnet)
        doctor_not_checked(d, CHECK_ROUTE, site->subnet, "the subnet is not known");
    else if (!doctor_answered(p->tables ? &p->tables->call : NULL))
        tell_unseen(d, CHECK_ROUTE, site->subnet, p->tables);
    else
        doctor_route(&d->findings, site, subnet, &p->table_rows, spec_public_ip(d->start.spec));
    if (!doctor_answered(p->groups ? &p->groups->call : NULL))
        tell_unseen(d, CHECK_EGRESS, site->subnet, p->groups);
    else
        doctor_egress(&d->findings, site, subnet, &p->group_rows);
    if (!subnet || !subnet->zone)
        doctor_not_checked(d, CHECK_TYPE, site->subnet, "its zone is not known");
    else if (!doctor_answered(p->offerings ? &p->offerings->call : NULL))
        tell_unseen(d, CHECK_TYPE, site->subnet, p->offerings);
    else
        judge_types(d, p, site, subnet);
}

/* --- encryption --------------------------------------------------------------------------------------------------- */

/* Those of the volumes that the options name. */
static void find_keys(struct doctor *d)
{
    AUTO_STRLIST params = { 0 };
    AUTO_ERROR told = { 0 }; /* by the check of the options */
    if (params_make(d->start.spec, "/dev/sda1", NULL, &params, &told))
        params_keys(&params, &d->keys);
}

/* The default key matters only where something is encrypted with it. */
static void take_encryption(struct doctor *d, struct place *p)
{
    struct call *call = &p->encryption->call;
    if (doctor_answered(call) && !ec2_get_encryption_result(p->encryption, &p->encrypts.by_default, &call->error))
        error_prefix(&call->error, "%s", call->name);
    if (p->encrypts.by_default || strlist_has(&d->keys, ""))
        p->key = doctor_ask(d, ec2_get_default_key_call(&d->session.aws, p->region));
}

static void judge_encryption(struct doctor *d, struct place *p)
{
    p->encrypts.number = d->start.account;
    struct call *call = p->key ? &p->key->call : NULL;
    if (doctor_answered(call) && !ec2_get_default_key_result(p->key, &d->arena, &p->encrypts.key, &call->error))
        error_prefix(&call->error, "%s", call->name);
    if (call && !doctor_answered(call))
        tell_unseen(d, CHECK_ENCRYPTION, "the account's default key", p->key);
    if (!doctor_answered(&p->encryption->call))
        tell_unseen(d, CHECK_ENCRYPTION, "the account's encryption by default", p->encryption);
    if (doctor_answered(&p->encryption->call) || d->keys.n > 0)
        doctor_encryption(&d->findings, p->region, &d->keys, &p->encrypts);
}

/* --- the flow ----------------------------------------------------------------------------------------------------- */

void doctor_ask_regions(struct doctor *d)
{
    for (size_t i = 0; i < d->start.plan.regions.n; i++)
        ask_region(d, &d->places[i]);
}

void doctor_judge_regions(struct doctor *d)
{
    for (size_t i = 0; i < d->start.plan.regions.n; i++)
        judge_region(d, &d->places[i]);
}

/* Every image once, then those that a parameter names. */
static bool look_at_images(struct doctor *d, struct aws_call **calls, struct error *err)
{
    struct plan *plan = &d->start.plan;
    AUTO_FREE struct aws_call **described = xcalloc(plan->n_images, sizeof(*described));
    for (size_t i = 0; i < plan->n_images; i++)
        if (calls[i])
            described[i] = judge_image(d, &plan->images[i], calls[i], &d->image_ids[i]);
    if (!doctor_run(d, err))
        return false;
    for (size_t i = 0; i < plan->n_images; i++)
        if (described[i])
            judge_image(d, &plan->images[i], described[i], &d->image_ids[i]);
    for (size_t i = 0; i < plan->n_images; i++) {
        if (!plan->images[i].id)
            continue;
        doctor_image_age(&d->findings, &plan->images[i], aws_now(&d->session.aws));
        doctor_runner_version(&d->findings, &plan->images[i], d->newest_runner);
    }
    return true;
}

bool doctor_look_at_aws(struct doctor *d, struct error *err)
{
    struct plan *plan = &d->start.plan;
    AUTO_FREE struct aws_call **images = xcalloc(plan->n_images, sizeof(struct aws_call *));
    find_keys(d);
    for (size_t i = 0; i < plan->n_images; i++)
        if (!find_place(d, plan->images[i].region)->dead)
            images[i] = doctor_ask(d, image_find_call(&d->session.aws, &plan->images[i]));
    for (size_t i = 0; i < plan->regions.n; i++) {
        if (d->places[i].dead)
            continue;
        ask_network(d, &d->places[i]);
        ask_trials(d, &d->places[i]);
    }
    if (!doctor_run(d, err))
        return false;
    for (size_t i = 0; i < plan->regions.n; i++) {
        if (d->places[i].dead)
            continue;
        take_network(d, &d->places[i]);
        take_encryption(d, &d->places[i]);
        for (size_t t = 0; t < DOCTOR_TRIALS; t++)
            judge_trial(d, &d->places[i], &trials[t], d->places[i].trials[t]);
    }
    if (!look_at_images(d, images, err)) /* which runs what take_network asked, too */
        return false;
    for (size_t i = 0; i < plan->regions.n; i++) {
        if (d->places[i].tables)
            take_rows(d, d->places[i].tables, ec2_describe_route_tables_result, &d->places[i].table_rows);
        if (!d->places[i].dead)
            judge_encryption(d, &d->places[i]);
    }
    return true;
}

/* --- the launch --------------------------------------------------------------------------------------------------- */

static bool all_images_known(const struct plan *plan)
{
    for (size_t i = 0; i < plan->n_images; i++)
        if (!plan->images[i].id)
            return false;
    return plan->n_images > 0;
}

/* The size of each image's user-data; false: one is too large. */
static bool judge_user_data(struct doctor *d)
{
    bool fits = true;
    for (size_t i = 0; i < d->start.plan.n_images; i++) {
        const struct image *image = &d->start.plan.images[i];
        struct userdata userdata = start_userdata(&d->start, image);
        AUTO_ERROR err = { 0 };
        bool ok = userdata_check(&userdata, &err);
        struct finding *f = finding_add(&d->findings, CHECK_USER_DATA, ok ? FINDING_OK : FINDING_PROBLEM,
                                        "rendered it for %s", image->id);
        fits = fits && ok;
        if (ok)
            finding_result(f, "%zu of %d bytes, %d of them kept for the just-in-time configuration",
                           userdata_size(&userdata), USERDATA_MAX, USERDATA_JIT_RESERVE);
        else
            doctor_tell_error(f, &err);
    }
    return fits;
}

/* The very parameters that start would send, but for the runner's name and its configuration, of which there is none.
 */
static struct aws_call *launch_call(struct doctor *d, const struct cell *cell, struct arena *arena)
{
    AUTO_STRBUF jit = STRBUF_INIT;
    struct ec2_run run;
    for (size_t i = 0; i < USERDATA_JIT_RESERVE; i++)
        strbuf_addc(&jit, 'x');
    AUTO_FREE char *name = xasprintf("%s%s", d->start.name_mark, "doctor");
    start_render(&d->start, cell, name, 0, strbuf_str(&jit), arena, &run);
    struct aws_call *call = ec2_run_instances_call(&d->session.aws, &run);
    ec2_make_dry(call);
    return call;
}

static void judge_launch(struct doctor *d, size_t n, const struct aws_call *call)
{
    const struct cell *cell = &d->start.plan.cells[n];
    struct finding *f = finding_add(&d->findings, CHECK_LAUNCH, FINDING_OK, "dry run of %s %s in %s of %s with %s",
                                    cell->type, cell_market(cell), cell->subnet, cell->region, cell->image->id);
    switch (aws_error_class(&call->call.error)) {
    case AWS_DRY_RUN:
        finding_result(f, "EC2 would do it");
        return;
    case AWS_CAPACITY:
    case AWS_SUBNET_FULL:
    case AWS_QUOTA:
        f->status = FINDING_AVOIDABLE;
        break;
    case AWS_THROTTLE:
    case AWS_SERVER:
        f->status = FINDING_NOT_CHECKED;
        doctor_tell_error(f, &call->call.error);
        return;
    default:
        f->status = FINDING_PROBLEM;
        break;
    }
    d->unusable[n] = !aws_is_denial(call->call.error.code);
    doctor_tell_failure(d, f, call, "start");
}

/* What a policy refuses in one cell it refuses in the others of the region, and start stops there. */
static void give_region_up(struct doctor *d, struct place *p)
{
    p->dead = d->refused = true;
}

/* One after the other: RunInstances is what EC2 allows least of. */
static bool try_cells(struct doctor *d, struct error *err)
{
    size_t picked[CELLS_TRIED];
    size_t n = doctor_pick(&d->start.plan, CELLS_TRIED, picked);
    for (size_t i = 0; i < n; i++) {
        const struct cell *cell = &d->start.plan.cells[picked[i]];
        AUTO_ARENA arena = { 0 };
        struct place *p = find_place(d, cell->region);
        if (p->dead)
            continue;
        struct aws_call *call = doctor_ask(d, launch_call(d, cell, &arena));
        if (!doctor_run(d, err))
            return false;
        judge_launch(d, picked[i], call);
        if (aws_is_denial(call->call.error.code))
            give_region_up(d, p);
    }
    return true;
}

bool doctor_try_launch(struct doctor *d, struct error *err)
{
    struct start *s = &d->start;
    AUTO_ERROR unfit = { 0 };
    static const char what[] = "the dry run of RunInstances";
    const char *why = !d->options                   ? "the options do not make a plan"
                      : !all_images_known(&s->plan) ? "not all images are known"
                                                    : NULL;
    for (size_t i = 0; i < s->plan.n_images && !why; i++) {
        AUTO_ERROR none = { 0 };
        if (d->github && d->downloads.n && !start_take_download(s, &s->plan.images[i], &d->downloads, &none))
            doctor_tell_error(
                finding_add(&d->findings, CHECK_GITHUB, FINDING_PROBLEM, "looked for a runner to download"), &none);
    }
    if (!why && !judge_user_data(d))
        why = "the user-data is too large";
    if (!why && !start_fit(s, &unfit)) {
        doctor_tell_error(finding_add(&d->findings, CHECK_PLACES, FINDING_PROBLEM, "combined the options into places"),
                          &unfit);
        why = "the options do not make a plan";
    }
    d->unusable = why ? NULL : xcalloc(s->plan.n, sizeof(*d->unusable));
    for (size_t i = 0; i < s->plan.n && d->unusable; i++)
        d->unusable[i] = find_place(d, s->plan.cells[i].region)->dead;
    for (size_t i = 0; i < s->plan.n_sites; i++)
        judge_site(d, &s->plan.sites[i]);
    if (!why && !d->session.fleet)
        why = "without --repo the fleet's tag is unknown, which the policy may require";
    if (why) {
        doctor_not_checked(d, CHECK_LAUNCH, what, why);
        return true;
    }
    s->name_mark = runner_name_mark(s->account, d->session.fleet);
    return try_cells(d, err);
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

bool doctor_solve_riddles(struct doctor *d, struct error *err)
{
    for (size_t i = 0; i < d->n_riddles; i++) {
        struct riddle *r = &d->riddles[i];
        log_debug("the encoded message: %s", r->refused->denial.encoded);
        r->answer =
            doctor_ask(d, sts_decode_message_call(&d->session.aws, r->refused->region, r->refused->denial.encoded));
    }
    if (!doctor_run(d, err))
        return false;
    for (size_t i = 0; i < d->n_riddles; i++) {
        const struct riddle *r = &d->riddles[i];
        struct finding *f = &d->findings.v[r->finding];
        struct sts_refusal refusal;
        AUTO_ERROR unread = { 0 };
        if (doctor_answered(&r->answer->call) && sts_decode_message_result(r->answer, &d->arena, &refusal, &unread)) {
            AUTO_FREE char *decoded = policy_decoded(&refusal);
            finding_result(f, "%s", decoded);
        } else {
            AUTO_FREE char *command = policy_decode_command(&r->refused->denial);
            finding_fix(f, "for more: %s", command);
        }
    }
    return true;
}
