#include "mayfly/runner/policy.h"

#include "mayfly/cmd/cmd.h"
#include "mayfly/runner/tags.h"

struct policy_options {
    struct strlist regions, subnets, security_groups, images, types, placement_groups, roles;
    char *kms_key, *account, *partition, *subject, *owner_id, *repo_id;
};

#define ROW(member) .offset = offsetof(struct policy_options, member)

static const struct opt policy_opts[] = {
    { .name = "account", .type = OPT_STRING, ROW(account), .arg = "NUMBER", .help = "the account's 12 digits" },
    { .name = "partition",
      .type = OPT_STRING,
      ROW(partition),
      .arg = "PARTITION",
      .help = "else what the region says",
      .choices = "aws aws-cn aws-us-gov aws-eusc aws-iso aws-iso-b" },
    { .name = "regions",
      .type = OPT_LIST,
      ROW(regions),
      .arg = "REGION[,REGION…]",
      .help = "regions; else the one of --region" },
    { .name = "subnets",
      .type = OPT_LIST,
      ROW(subnets),
      .arg = "ID[,ID…]",
      .help = "subnets to launch into; REGION/ID for one region of several",
      .aliases = "subnet-id" },
    { .name = "security-groups",
      .type = OPT_LIST,
      ROW(security_groups),
      .arg = "ID[,ID…]",
      .help = "security groups to launch with; REGION/ID for one region of several",
      .aliases = "security-group-id" },
    { .name = "image",
      .type = OPT_LIST,
      ROW(images),
      .arg = "IMAGE[,IMAGE…]",
      .help = "as of start: ids restrict the images, ssm:/parameter the parameters",
      .aliases = "ec2-image-id" },
    { .name = "types",
      .type = OPT_LIST,
      ROW(types),
      .arg = "PATTERN[,PATTERN…]",
      .help = "instance types to allow, m7i.*; else any",
      .aliases = "ec2-instance-type" },
    { .name = "placement-group",
      .type = OPT_LIST,
      ROW(placement_groups),
      .arg = "NAME",
      .help = "placement group to launch into" },
    { .name = "volume-kms-key",
      .type = OPT_STRING,
      ROW(kms_key),
      .arg = "KEY",
      .help = "key of encrypted volumes: id, alias/NAME or ARN" },
    { .name = "pass-role",
      .type = OPT_LIST,
      ROW(roles),
      .arg = "NAME|ARN",
      .help = "role of start's --instance-profile, to be given to instances" },
    { .name = "subject",
      .type = OPT_STRING,
      ROW(subject),
      .arg = "SUBJECT",
      .help = "of trust: which workflows; environment:NAME, pull_request, * for all",
      .fallback = "ref:refs/heads/main" },
    { .name = "owner-id",
      .type = OPT_STRING,
      ROW(owner_id),
      .arg = "NUMBER",
      .help = "of trust: GitHub's number of the owner, see gh api repos/OWNER/REPO" },
    { .name = "repo-id",
      .type = OPT_STRING,
      ROW(repo_id),
      .arg = "NUMBER",
      .help = "of trust: GitHub's number of the repository" },
    { 0 },
};

#undef ROW

static bool is_number(const char *s, size_t min, size_t max)
{
    size_t n = strspn(s, "0123456789");
    return n >= min && n <= max && s[n] == '\0';
}

static bool check_ids(const struct strlist *ids, const char *option, const char *kind, struct error *err)
{
    for (size_t i = 0; i < ids->n; i++) {
        const char *slash = strchr(ids->v[i], '/'), *id = slash ? slash + 1 : ids->v[i];
        if (ec2_id_is_valid(id, kind))
            continue;
        error_set(err, ERROR_USAGE, 0, "--%s: `%.60s` is not an id", option, ids->v[i]);
        error_hint(err, "ids look like %s-0123456789abcdef0", kind);
        return false;
    }
    return true;
}

static bool check(const struct policy_options *o, const struct strlist *regions, struct error *err)
{
    const struct {
        const char *option, *value, *what;
        size_t min, max;
    } numbers[] = { { "account", o->account, "an account's 12 digits", 12, 12 },
                    { "owner-id", o->owner_id, "a number, as `gh api repos/OWNER/REPO` tells it", 1, 20 },
                    { "repo-id", o->repo_id, "a number, as `gh api repos/OWNER/REPO` tells it", 1, 20 } };
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (!str_empty(numbers[i].value) && !is_number(numbers[i].value, numbers[i].min, numbers[i].max))
            return error_set(err, ERROR_USAGE, 0, "--%s: `%.40s` is not %s", numbers[i].option, numbers[i].value,
                             numbers[i].what);
    for (size_t i = 0; i < regions->n; i++)
        if (!aws_region_check(regions->v[i], "--regions", err))
            return false;
    if (str_empty(o->subject) || (!strpbrk(o->subject, ":*") && !str_eq(o->subject, "pull_request"))) {
        error_set(err, ERROR_USAGE, 0, "--subject: `%.120s` is what no workflow presents", o->subject);
        error_hint(err, "write ref:refs/heads/main, environment:NAME, pull_request, or * for all");
        return false;
    }
    if (strstr(o->subject, "${"))
        return error_set(err, ERROR_USAGE, 0, "--subject: `%.120s` holds a variable of IAM's, ${…}", o->subject);
    return check_ids(&o->subnets, "subnets", "subnet", err) &&
           check_ids(&o->security_groups, "security-groups", "sg", err);
}

/* A policy's strings are patterns of * and ?, and hold variables, ${…}: a fleet is one name. */
static bool check_fleet(const char *fleet, struct error *err)
{
    if (str_empty(fleet) || (!strpbrk(fleet, "*?") && !strstr(fleet, "${")))
        return true;
    error_set(err, ERROR_USAGE, 0, "--fleet: `%.120s` is a pattern, and a policy is for one fleet", fleet);
    error_hint(err, "give the fleet's own name, which has no *, ? or ${ in it; print one policy for each fleet");
    return false;
}

static bool check_commands(const struct strlist *named, struct error *err)
{
    static const char hint[] =
        "mayfly policy start stop; there are start, stop, reap, status, bake, doctor, and trust by itself";
    if (named->n == 0) {
        error_set(err, ERROR_USAGE, 0, "no command is named whose policy to print");
        error_hint(err, "%s", hint);
        return false;
    }
    for (size_t i = 0; i < named->n; i++) {
        if (policy_is_for(named->v[i]) || (named->n == 1 && str_eq(named->v[i], "trust")))
            continue;
        if (str_eq(named->v[i], "trust"))
            error_set(err, ERROR_USAGE, 0, "trust is a document of its own: print it by itself");
        else
            error_set(err, ERROR_USAGE, 0, "there is no policy for `%.40s`", named->v[i]);
        error_hint(err, "%s", hint);
        return false;
    }
    return true;
}

static const char *first_of(const char *a, const char *b)
{
    return str_empty(a) ? b : a;
}

static bool run(struct cmd *cmd, void *options, struct error *err)
{
    const struct policy_options *o = options;
    const char *repo = first_of(cmd->common.repo, cmd->getenv("GITHUB_REPOSITORY"));
    AUTO_FREE char *fleet = str_empty(repo) ? NULL : fleet_of_scope(repo);
    AUTO_STRLIST regions = { 0 };
    for (size_t i = 0; i < o->regions.n; i++)
        strlist_add(&regions, o->regions.v[i]);
    if (regions.n == 0 && !str_empty(cmd->common.region))
        strlist_add(&regions, cmd->common.region);
    if (!check_commands(&cmd->rest, err) || !check(o, &regions, err) || !check_fleet(cmd->common.fleet, err) ||
        (!str_empty(repo) && !github_scope_check(repo, err))) /* `*` would trust all of GitHub */
        return false;
    const char *partition = first_of(o->partition, regions.n ? aws_partition(regions.v[0]) : NULL);
    const struct policy_scope scope = {
        .partition = partition,
        .account = o->account,
        .fleet = first_of(cmd->common.fleet, fleet),
        .regions = &regions,
        .region = first_of(cmd->common.region, regions.n ? regions.v[0] : NULL),
        .subnets = &o->subnets,
        .security_groups = &o->security_groups,
        .images = &o->images,
        .types = &o->types,
        .placement_groups = &o->placement_groups,
        .kms_key = o->kms_key,
        .roles = &o->roles,
    };
    /* Workflows run in repositories, also those of an enterprise. */
    bool enterprise = repo && github_scope_kind(repo) == GITHUB_ENTERPRISE;
    const struct policy_trust trust = { .partition = partition,
                                        .account = o->account,
                                        .repo = enterprise ? cmd->getenv("GITHUB_REPOSITORY") : repo,
                                        .owner_id = o->owner_id,
                                        .repo_id = o->repo_id,
                                        .subject = o->subject };
    AUTO_JSON *document = str_eq(cmd->rest.v[0], "trust") ? policy_trust_make(&trust) : policy_make(&cmd->rest, &scope);
    if (cmd->common.json)
        print_json(document);
    else
        printf("%s\n", json_object_to_json_string_ext(document, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                                    JSON_C_TO_STRING_NOSLASHESCAPE));
    return true;
}

const struct command command_policy = {
    .name = "policy",
    .arguments = "COMMAND…",
    .summary = "print the least IAM policy for commands",
    .about =
        "Prints the least IAM policy for the commands named, as JSON: start, stop, reap, status, bake, doctor. What\n"
        "the options do not say stands there as ACCOUNT, REGION, subnet-ID, sg-ID and FLEET. doctor also asks, as dry\n"
        "runs, what start asks: name both. `mayfly policy trust` prints who may take the role on: the workflows of\n"
        "--repo, by the names that GitHub gives them. Asks nobody; needs no credentials.",
    .opts = policy_opts,
    .options_size = sizeof(struct policy_options),
    .run = run,
};
