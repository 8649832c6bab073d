#include <inttypes.h>

#include "mayfly/aws/sts.h"
#include "mayfly/util/log.h"
#include "reap.h"

enum { SKEW_TOLD = 300, REGIONS_MAX = 255, STS_MS = 5000 };

/* One call, which may take so long and no longer. */
static bool run_briefly(struct call_loop *loop, struct call *call, int64_t ms, struct error *err)
{
    call_start(loop, call);
    if (call_loop_next(loop, env_mono(loop->env) + ms) == call)
        return call->error.domain == ERROR_NONE || error_move(err, &call->error);
    call_cancel(loop, call);
    return error_set(err, ERROR_TIMEOUT, 0, "%s: no answer within %d s", call->name, (int)(ms / 1000));
}

/* What the names of this fleet's runners begin with takes the account's number. Only records without an instance are
 * told by it: who cannot reach STS has them left alone, or tells them by the account of the instances. */
static char *ask_name_mark(struct session *session, struct error *err)
{
    AUTO_ARENA arena = { 0 };
    struct sts_identity who = { 0 };
    AUTO_CALL *call = &sts_get_caller_identity_call(&session->aws, session->aws_config.region)->call;
    bool ok = run_briefly(&session->loop, call, STS_MS, err) &&
              sts_get_caller_identity_result((struct aws_call *)call, &arena, &who, err);
    session->cloud.tally[SERVICE_STS].requests += call->attempts;
    session->cloud.tally[SERVICE_STS].retries += call->attempts > 1 ? call->attempts - 1 : 0;
    return ok ? runner_name_mark(who.account, session->fleet) : NULL;
}

bool fleet_open(struct fleet *f, struct cmd *cmd, const struct fleet_options *o, struct error *err)
{
    f->command = cmd->command->name;
    if (!session_open(&f->session, cmd, err) ||
        !regions_find(&o->regions, o->places, f->session.aws_config.region, &f->regions, err))
        return false;
    if (f->regions.n > REGIONS_MAX)
        return error_set(err, ERROR_USAGE, 0, "--regions: more than %d", REGIONS_MAX);
    f->name_mark = ask_name_mark(&f->session, &f->account_error);
    f->config = (struct reap_config){
        .fleet = f->session.fleet,
        .scope = f->session.github_config.scope,
        .name_mark = f->name_mark,
        .regions = &f->regions,
        .limits = { .boot = o->boot_grace, .idle = o->idle_limit, .life = o->max_lifetime },
        .confirm = true,
    };
    return true;
}

bool fleet_pass(struct fleet *f, struct error *err)
{
    reap_clear(&f->reap);
    f->session.cloud.clocks = (struct clocks){ 0 }; /* a watch goes on for days */
    reap_init(&f->reap, &f->config);
    drive(&f->session.cloud, &f->reap.machine);
    if (f->reap.error.domain != ERROR_NONE) {
        session_explain(&f->session, f->command, &f->reap.error);
        return error_move(err, &f->reap.error);
    }
    const struct env *env = f->session.aws.env; /* the last answer may be minutes old; it tells whole seconds */
    f->times = clocks_read(&f->session.cloud.clocks, env_mono(env), env_now(env));
    f->skew = (f->reap.cloud_ahead + env_mono(env) - env_now(env) + 500) / 1000;
    return true;
}

void fleet_close(struct fleet *f)
{
    reap_clear(&f->reap);
    session_close(&f->session);
    free(f->name_mark);
    error_clear(&f->account_error);
    strlist_clear(&f->regions);
}

static bool warn_scopes(const struct reap *r)
{
    bool whole = true;
    for (size_t i = 0; i < r->rows.scopes.n; i++) {
        const char *name = r->rows.scopes.v[i];
        if (r->scopes[i].error.domain) {
            AUTO_FREE char *why = error_format_hinted(&r->scopes[i].error);
            log_warn("for %s only deadlines are enforced, because GitHub could not be asked: %s", name, why);
            whole = false;
        }
        if (r->scopes[i].unclear) {
            log_warn("%zu runner registrations of %s cannot be read, so only deadlines are enforced for the instances "
                     "that they may belong to: %s",
                     r->scopes[i].unclear, name, r->scopes[i].an_unclear);
            whole = false;
        }
        if (r->scopes[i].suspicious) {
            log_warn("no instance of %s has a runner registration: the token or --repo is probably wrong, so only "
                     "deadlines are enforced",
                     name);
            whole = false;
        }
    }
    return whole;
}

/* An answer that is hours off was not made just now, or not by whom it seems to be. */
static bool warn_clocks(const struct fleet *f)
{
    AUTO_FREE char *clocks = clocks_format(&f->times);
    int64_t now;
    if (f->reap.rows.no_time || !clocks_agree(&f->times, &now)) {
        log_warn("nothing counts as past its deadline or old, because no two clocks agree within %d minutes: %s",
                 CLOCKS_TOLERANCE / 60, clocks);
        return false;
    }
    bool odd = clocks_is_odd(&f->times, CLOCK_EC2, now) || clocks_is_odd(&f->times, CLOCK_GITHUB, now);
    if (odd)
        log_warn("one clock is wrong, so the other two are used (does a proxy answer?): %s", clocks);
    else if (f->skew >= SKEW_TOLD || f->skew <= -SKEW_TOLD)
        log_warn("this machine's clock is %" PRId64 " s %s EC2's, which is used", f->skew < 0 ? -f->skew : f->skew,
                 f->skew > 0 ? "behind" : "ahead of");
    return !odd;
}

bool fleet_warn(const struct fleet *f)
{
    const struct reap *r = &f->reap;
    bool whole = warn_scopes(r);
    whole = warn_clocks(f) && whole;
    if (r->over_max)
        log_warn("more instances than --max allows would have been terminated, so only deadlines were enforced: check "
                 "reap --dry-run, then raise --max");
    for (size_t i = 0; i < r->unread.n; i++)
        log_warn("this fleet also has runners in %s, which is not checked: add it to --regions", r->unread.v[i]);
    if (!r->name_mark) {
        AUTO_FREE char *why = error_format(&f->account_error);
        log_warn("runner registrations without an instance are left alone, because the account is unknown: %s", why);
        whole = false;
    }
    if (r->malformed) {
        log_warn("%zu instances were skipped, because EC2's answer about them makes no sense: %s%s", r->malformed,
                 r->a_malformed, r->malformed > 1 ? " and others" : "");
        whole = false;
    }
    if (r->more_ghosts)
        log_warn("more than %d runner registrations have no instance: the next passes delete the rest",
                 REAP_GHOSTS_MAX);
    if (r->console_error.domain) {
        AUTO_FREE char *why = error_format_hinted(&r->console_error);
        log_warn(
            "what only GitHub calls idle or gone is kept until its deadline, because its console could not be read: %s",
            why);
        whole = false;
    }
    if (r->jobs_error.domain) {
        AUTO_FREE char *why = error_format(&r->jobs_error);
        log_warn("what may have a job is kept, because the jobs of its workflow run could not be read (the token needs "
                 "`Actions: read`): %s",
                 why);
        whole = false;
    }
    return whole;
}
