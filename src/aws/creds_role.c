#include "creds_provider.h"
#include "mayfly/aws/sts.h"
#include "mayfly/util/encode.h"

enum {
    DURATION_MIN = 900,
    DURATION_MAX = 43200,
    CHAIN_MAX = 20,
    GIVE_UP_MS = 15000, /* nothing else makes progress meanwhile */
};

/* A new role or provider is not known everywhere for some seconds, and a workflow has nobody to try again. */
static const struct retry_policy patient = {
    .max_attempts = 8, .base_ms = 500, .throttle_ms = 1000, .cap_ms = 4000, .server_cap_ms = 15000
};

bool creds_role_read(const struct aws_creds_from *from, struct creds_role *ret, struct error *err)
{
    const char *duration = aws_profile_get(from, "duration_seconds");
    uint64_t seconds = 0;
    if (duration && (!parse_uint(duration, DURATION_MAX, &seconds) || seconds < DURATION_MIN))
        return error_set(err, ERROR_CONFIG, 0,
                         "the profile `%s`: duration_seconds = %.40s is not a number from %d to %d", from->profile,
                         duration, DURATION_MIN, DURATION_MAX);
    str_set(&ret->arn, aws_profile_get(from, "role_arn"));
    str_set(&ret->session_name, aws_profile_get(from, "role_session_name"));
    str_set(&ret->external_id, aws_profile_get(from, "external_id"));
    ret->duration = (int64_t)seconds;
    return true;
}

static bool has_role(const struct aws_creds_from *from)
{
    return aws_profile_get(from, "role_arn") && !aws_profile_get(from, "web_identity_token_file");
}

static bool has_keys(const struct aws_creds_from *from)
{
    return aws_profile_get(from, "aws_access_key_id") || aws_profile_get(from, "aws_secret_access_key");
}

static enum found broken(struct error *err, const struct aws_creds_from *from, const char *what, const char *hint)
{
    error_set(err, ERROR_CONFIG, 0, "the profile `%s` %s", from->profile, what);
    error_hint(err, "%s", hint);
    return BROKEN;
}

static enum found use(const struct creds_provider *p, const struct aws_creds_from *from, struct creds_source *s,
                      struct error *err)
{
    enum found found = p->find(from, s, err);
    if (found == FOUND)
        s->provider = p;
    return found;
}

/* credential_source = Environment, Ec2InstanceMetadata or EcsContainer. */
static enum found find_named(const struct aws_creds_from *from, const char *name, struct creds_source *s,
                             struct error *err)
{
    static const struct creds_provider *const named[] = { &creds_environment, &creds_imds, &creds_container };
    struct aws_creds_from any = *from;
    any.profile_given = false; /* the profile itself asks for the environment */
    for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
        if (!str_eq(named[i]->named, name))
            continue;
        enum found found = use(named[i], &any, s, err);
        if (found != ABSENT)
            return found;
        AUTO_FREE char *what = xasprintf("takes its credentials from %s, and there are none", name);
        return broken(err, from, what, named[i]->absent);
    }
    return broken(err, from, "has an unknown credential_source",
                  "it is Environment, Ec2InstanceMetadata or EcsContainer");
}

static enum found find_in_profile(const struct aws_creds_from *from, struct creds_source *s, struct error *err)
{
    for (size_t i = 0; creds_of_profile[i]; i++) {
        enum found found = use(creds_of_profile[i], from, s, err);
        if (found != ABSENT)
            return found;
    }
    return broken(err, from, "is another profile's source and has no credentials",
                  "give it keys, a role_arn with a source_profile, an SSO session or a credential_process");
}

static bool push(const struct aws_creds_from *from, struct creds_source *s, struct error *err)
{
    struct creds_role role = { 0 };
    if (!creds_role_read(from, &role, err))
        return false;
    s->roles = xreallocarray(s->roles, s->n_roles + 1, sizeof(*s->roles));
    memmove(s->roles + 1, s->roles, s->n_roles * sizeof(*s->roles)); /* the one that is read last is assumed first */
    s->roles[0] = role;
    s->n_roles++;
    return true;
}

/* The profile with a role that *from is at: where does it lead? *from goes on to its source_profile. */
static enum found step(struct aws_creds_from *from, const struct strlist *visited, struct creds_source *s,
                       struct error *err)
{
    const char *source = aws_profile_get(from, "source_profile"), *named = aws_profile_get(from, "credential_source");
    if (aws_profile_get(from, "mfa_serial"))
        return broken(err, from, "requires an MFA code (mfa_serial)",
                      "Mayfly cannot prompt: get session credentials another way and pass their keys");
    if (!source == !named)
        return broken(err, from,
                      source ? "has both source_profile and credential_source"
                             : "has a role_arn and neither source_profile nor credential_source",
                      "give exactly one of them, which says whose credentials assume the role");
    if (!push(from, s, err))
        return BROKEN;
    if (named)
        return find_named(from, named, s, err);
    struct aws_creds_from next = *from;
    next.profile = source;
    next.profile_given = true;
    if (!aws_profile_exists(&next)) {
        AUTO_FREE char *what = xasprintf("names the source_profile `%s`, which does not exist", source);
        return broken(err, from, what, "look at ~/.aws/config and ~/.aws/credentials");
    }
    /* One that names itself has keys, and does not mean its own role. */
    if (strlist_has(visited, source) && (!str_eq(source, from->profile) || !has_keys(&next)))
        return broken(err, from, "is its own source_profile, directly or through others",
                      "the chain must end at credentials");
    *from = next;
    return ABSENT;
}

static enum found find(const struct aws_creds_from *start, struct creds_source *s, struct error *err)
{
    AUTO_STRLIST visited = { 0 };
    struct aws_creds_from from = *start;
    if (!has_role(&from))
        return ABSENT;
    do {
        strlist_add(&visited, from.profile);
        enum found found = visited.n > CHAIN_MAX ? broken(err, start, "leads through too many profiles", "shorten it")
                                                 : step(&from, &visited, s, err);
        if (found != ABSENT)
            return found;
    } while (has_role(&from) && !has_keys(&from));
    return find_in_profile(&from, s, err);
}

const struct creds_provider creds_role_of_profile = {
    .name = "role of a profile",
    .absent = "the profile has no role_arn, or it is for a web identity",
    .find = find,
};

/* --- fetching ----------------------------------------------------------------------------------------------------- */

static const char hint_trust[] =
    "the role trusts other workflows, usually those on main: `mayfly policy trust --subject` with pull_request, "
    "environment:NAME, ref:refs/heads/NAME or * prints what its trust policy must allow";
static const char hint_keys[] =
    "the keys that assume the role are wrong or deleted, or belong to an account in which the region of this STS is "
    "not enabled: enable it there, or give the role's own credentials";
static const char hint_assume[] =
    "the role's trust policy must name who assumes it, and their own policy must allow sts:AssumeRole for the role";

/* STS with these credentials, or with a token and none. */
static bool assume(struct aws *aws, const struct creds_role *role, const struct aws_creds *creds, const char *token,
                   struct aws_creds *ret, struct error *err)
{
    AUTO_ARENA arena = { 0 };
    struct aws_config config = *aws->config;
    struct aws with = { .config = &config, .env = aws->env, .skew = aws->skew };
    struct sts_credentials answer = { 0 };
    struct aws_creds got = { 0 };
    const char *region = config.region ? config.region : "us-east-1", *run = config.getenv("GITHUB_RUN_ID");
    AUTO_FREE char *session = xasprintf("mayfly%s%.20s", str_empty(run) ? "" : "-", run ? run : "");
    const struct sts_role asked = { role->arn, role->session_name ? role->session_name : session, role->external_id,
                                    token, role->duration };
    config.source = (struct creds_source){ 0 }; /* so that these are not renewed on the way */
    config.creds = *creds;
    AUTO_CALL *call = &sts_assume_role_call(&with, region, &asked)->call;
    call->policy = &patient;
    call->give_up = env_mono(aws->env) + GIVE_UP_MS;
    bool ok =
        call_run(aws->creds_loop, call, err) && sts_assume_role_result((struct aws_call *)call, &arena, &answer, err) &&
        creds_take(answer.access_key_id, answer.secret_access_key, answer.session_token, "STS", &got, err) == FOUND;
    if (ok && !clock_parse_lenient(answer.expiration, &got.expires))
        ok = error_set(err, ERROR_PARSE, 0, "STS: Expiration `%.40s` is no date", answer.expiration);
    aws->skew = with.skew;
    aws_clear(&with);
    if (!ok) {
        aws_creds_clear(&got);
        if (aws_is_denial(err->code)) /* not what a command's own policy has to allow */
            str_set(&err->hint, token ? hint_trust : hint_assume);
        else if (!token && str_eq(err->code, "InvalidClientTokenId"))
            str_set(&err->hint, hint_keys);
        return error_prefix(err, "assuming the role %s", role->arn);
    }
    *ret = got;
    return true;
}

bool creds_assume(struct aws *aws, const struct creds_role *role, struct aws_creds *creds, struct error *err)
{
    struct aws_creds got = { 0 };
    if (!assume(aws, role, creds, NULL, &got, err))
        return false;
    aws_creds_clear(creds);
    *creds = got;
    return true;
}

bool creds_assume_with_token(struct aws *aws, const struct creds_role *role, const char *token, struct aws_creds *ret,
                             struct error *err)
{
    return assume(aws, role, &(struct aws_creds){ 0 }, token, ret, err);
}
