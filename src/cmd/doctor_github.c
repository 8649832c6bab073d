/* doctor: what GitHub is asked. */
#include <inttypes.h>

#include "mayfly/cmd/doctor.h"
#include "mayfly/util/encode.h"

/* --- the App ------------------------------------------------------------------------------------------------------ */

static bool judge_key(struct doctor *d, const struct github_call *call)
{
    AUTO_ERROR err = { 0 };
    struct github_app_about about;
    struct finding *f = finding_add(&d->findings, CHECK_APP, FINDING_OK, "signed as %s by its key, and showed it to %s",
                                    d->session.github_config.app_id, d->session.github_config.api_url);
    bool ok = doctor_answered(&call->call);
    if (ok && github_app_result(call, &d->arena, &about, &err)) {
        finding_result(f, "it is the App %" PRId64 " (%s) of %s", about.id, about.slug ? about.slug : "nameless",
                       about.owner ? about.owner : "an enterprise");
        return true;
    }
    f->status = FINDING_PROBLEM;
    doctor_tell_error(f, ok ? &err : &call->call.error);
    return false;
}

static void judge_app_token(struct doctor *d, const struct github_installation *i)
{
    struct finding *f =
        finding_add(&d->findings, CHECK_APP, FINDING_OK, "requested a token with the permissions that Mayfly needs");
    finding_result(f, "it has %s", i->token_may);
    if (!i->missing)
        return;
    f->status = FINDING_WARNING;
    finding_result(f, "it lacks %s, which reap needs for the jobs of private repositories", i->missing);
    finding_fix(f, "set it on the App's settings page > Permissions & events, then accept it%s%s",
                i->settings ? " at " : "", i->settings ? i->settings : "");
}

void doctor_judge_app(struct doctor *d, const struct github_call *about, const struct github_call *rate)
{
    const struct github_config *config = &d->session.github_config;
    struct github_installation i = github_app_installation(d->session.app, config);
    if (!judge_key(d, about))
        return;
    struct finding *f =
        finding_add(&d->findings, CHECK_APP, FINDING_OK, "looked for its installation on %s", config->scope);
    if (i.id == 0) {
        f->status = FINDING_PROBLEM;
        doctor_tell_error(f, i.why ? i.why : &rate->call.error);
        return;
    }
    finding_result(f, "number %" PRId64 ", for %s repositories", i.id, i.selection ? i.selection : "some");
    judge_app_token(d, &i);
}

/* --- the token ---------------------------------------------------------------------------------------------------- */

void doctor_judge_token(struct doctor *d, const struct github_call *call)
{
    const struct error *wrong = &call->call.error;
    struct github_rate rate;
    AUTO_ERROR err = { 0 };
    if (d->session.app && github_app_installation(d->session.app, &d->session.github_config).id == 0) {
        doctor_not_checked(d, CHECK_TOKEN, "the App's token", "it has none");
        return;
    }
    bool unlimited =
        wrong->domain == ERROR_GITHUB && call->class == GITHUB_NOT_FOUND; /* GitHub Enterprise Server may have none */
    struct finding *f =
        finding_add(&d->findings, CHECK_TOKEN, FINDING_OK, "showed it to %s", d->session.github_config.api_url);
    d->github = doctor_answered(&call->call) || unlimited;
    if (!d->github) {
        f->status = FINDING_PROBLEM;
        doctor_tell_error(f, wrong);
        return;
    }
    finding_result(f, "it is accepted");
    const char *scopes = http_header(&call->call.exchange.response, "X-OAuth-Scopes");
    if (!str_empty(scopes))
        finding_result(f, "with the scopes %s", scopes);
    if (unlimited)
        finding_result(finding_add(&d->findings, CHECK_RATE_LIMIT, FINDING_OK, "asked GitHub for the rate limit"),
                       "there is no limit");
    else if (github_rate_result(call, &d->arena, &rate, &err))
        doctor_rate(&d->findings, &rate, env_now(d->cmd->env) / 1000);
    else
        doctor_tell_error(
            finding_add(&d->findings, CHECK_RATE_LIMIT, FINDING_NOT_CHECKED, "asked GitHub for the rate limit"), &err);
}

/* --- what the token may do ---------------------------------------------------------------------------------------- */

static void judge_list(struct doctor *d, const struct github_call *call)
{
    struct field_list rows = { 0 };
    AUTO_ERROR err = { 0 };
    struct finding *f =
        finding_add(&d->findings, CHECK_GITHUB, FINDING_OK, "listed the runners of %s", d->session.github_config.scope);
    bool ok = doctor_answered(&call->call);
    if (ok && github_list_runners_result(call, &d->arena, &rows, &err)) {
        finding_result(f, "allowed, %zu on the first page", rows.n);
        return;
    }
    f->status = FINDING_PROBLEM;
    doctor_tell_error(f, ok ? &err : &call->call.error);
}

/* 422 is the answer to whom GitHub would let, had there been a name. */
static void judge_try(struct doctor *d, const struct github_call *call)
{
    const struct error *wrong = &call->call.error;
    struct finding *f =
        finding_add(&d->findings, CHECK_GITHUB, FINDING_OK, "requested an empty just-in-time configuration");
    if (wrong->domain == ERROR_GITHUB && wrong->status == 422) {
        finding_result(f, "allowed, rejected only as incomplete");
        return;
    }
    f->status = call->class == GITHUB_SERVER || call->class == GITHUB_THROTTLED ? FINDING_NOT_CHECKED : FINDING_PROBLEM;
    if (doctor_answered(&call->call))
        finding_result(f, "GitHub accepted an incomplete request");
    else
        doctor_tell_error(f, wrong);
}

static void judge_downloads(struct doctor *d, const struct github_call *call)
{
    AUTO_ERROR err = { 0 };
    struct finding *f = finding_add(&d->findings, CHECK_GITHUB, FINDING_OK, "asked which runners can be downloaded");
    bool ok = doctor_answered(&call->call);
    if (ok && github_downloads_result(call, &d->arena, &d->downloads, &err)) {
        d->newest_runner = doctor_newest_runner(&d->downloads, &d->arena);
        finding_result(f, "%s", d->newest_runner ? d->newest_runner : "its version is unknown");
        return;
    }
    f->status = FINDING_PROBLEM;
    doctor_tell_error(f, ok ? &err : &call->call.error);
}

/* --- the runner group --------------------------------------------------------------------------------------------- */

static bool is_group(const struct github_group *g, const char *wanted)
{
    uint64_t id;
    return !g->unclear && (parse_uint(wanted, INT32_MAX, &id) ? g->id == (int64_t)id : str_eq(g->name, wanted));
}

/* Looks through the pages; *ret_found: it is among the groups. False: GitHub failed, *refused is why. */
static bool find_group(struct doctor *d, const char *visible_to, bool *ret_found, struct error *refused)
{
    struct paging paging = { 0 };
    bool more = true, found = false;
    for (unsigned page = 1; more && !found; page++) {
        struct field_list rows = { 0 };
        struct github_call *call = doctor_ask_github(d, github_list_groups_call(&d->session.github, page, visible_to));
        if (!doctor_run(d, refused))
            return false;
        if (!doctor_answered(&call->call)) {
            error_copy(refused, &call->call.error);
            return false;
        }
        if (!github_list_groups_result(call, &d->arena, &rows, refused))
            return false;
        for (size_t i = 0; i < rows.n; i++)
            found = found || is_group(FIELD_ROW(&rows, const struct github_group, i), d->start.spec->runner_group);
        if (!github_call_turn(call, &paging, rows.n, &more, refused))
            return false;
    }
    *ret_found = found;
    return true;
}

/* "demo" of octo/demo when it is the organization's and the workflow's repository; owned, or NULL. */
static char *repository_of(struct doctor *d)
{
    const char *repo = d->cmd->getenv("GITHUB_REPOSITORY"), *org = d->session.github_config.scope;
    size_t n = strlen(org);
    return repo && str_starts(repo, org) && repo[n] == '/' ? xstrdup(repo + n + 1) : NULL;
}

static void judge_group_of_owner(struct doctor *d, struct finding *f)
{
    const char *scope = d->session.github_config.scope;
    AUTO_FREE char *repo = repository_of(d);
    AUTO_ERROR err = { 0 };
    bool found = false, visible = true;
    if (!find_group(d, NULL, &found, &err) || (found && repo && !find_group(d, repo, &visible, &err))) {
        f->status = FINDING_PROBLEM;
        doctor_tell_error(f, &err);
    } else if (!found) {
        f->status = FINDING_PROBLEM;
        finding_result(f, "%s has no such group, or the token cannot see it", scope);
        finding_fix(f, "give a group from its settings, under Actions > Runner groups");
    } else if (!visible) {
        f->status = FINDING_PROBLEM;
        finding_result(f, "it is not available to the repository %s", repo);
        finding_fix(f,
                    "allow that repository to use the group (public ones need an extra permission), or give another");
    } else {
        finding_result(f, "found%s%s", repo ? ", and available to the repository " : "", repo ? repo : "");
    }
}

static void judge_group(struct doctor *d)
{
    const char *name = d->start.spec->runner_group;
    uint64_t id;
    struct finding *f = finding_add(&d->findings, CHECK_RUNNER_GROUP, FINDING_OK, "looked for the group %s", name);
    if (github_scope_kind(d->session.github_config.scope) != GITHUB_REPOSITORY) {
        judge_group_of_owner(d, f);
    } else if (!parse_uint(name, INT32_MAX, &id)) {
        f->status = FINDING_PROBLEM;
        finding_result(f, "runners of a repository have no named groups");
        finding_fix(f, "give --repo ORG, or omit --runner-group");
    } else if (id != 1) {
        f->status = FINDING_WARNING;
        finding_result(f, "a repository has group 1 only");
        finding_fix(f, "omit --runner-group");
    } else {
        finding_result(f, "a repository's own");
    }
}

bool doctor_look_at_github(struct doctor *d, struct error *err)
{
    struct github *g = &d->session.github;
    struct github_call *list = doctor_ask_github(d, github_list_runners_call(g, 1, NULL));
    struct github_call *try = doctor_ask_github(d, github_try_jit_call(g));
    struct github_call *downloads = doctor_ask_github(d, github_downloads_call(g));
    if (!doctor_run(d, err))
        return false;
    judge_list(d, list);
    judge_try(d, try);
    judge_downloads(d, downloads);
    judge_group(d);
    return true;
}
