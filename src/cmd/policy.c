#include "mayfly/runner/policy.h"

#include "mayfly/cmd/cmd.h"
#include "mayfly/runner/params.h"
#include "mayfly/runner/tags.h"
#include "mayfly/util/log.h"

struct policy_options {
    struct strlist regions, subnets, security_groups, images, types, placement_groups, roles, kms_keys;
    char *block_devices, *account, *partition, *subject, *owner_id, *repo_id;
};

#define OPTIONS struct policy_options

static const struct opt policy_opts[] = {
    OPT_STRING("account", account, "NUMBER", "AWS account ID, 12 digits"),
    OPT_STRING("partition", partition, "PARTITION", "AWS partition (default: the region's)",
               .choices = "aws aws-cn aws-us-gov aws-eusc aws-iso aws-iso-b"),
    OPT_LIST("regions", regions, "REGION[,REGION…]", "regions to allow (default: --region)"),
    OPT_LIST("subnets", subnets, "ID[,ID…]", "subnets to launch into; REGION/ID for one of several regions",
             .aliases = "subnet-id"),
    OPT_LIST("security-groups", security_groups, "ID[,ID…]",
             "security groups to launch with; REGION/ID for one of several regions", .aliases = "security-group-id"),
    OPT_LIST("image", images, "IMAGE[,IMAGE…]",
             "as for `start`; IDs restrict the images, ssm:/NAME restricts the parameters", .aliases = "ec2-image-id"),
    OPT_LIST("types", types, "PATTERN[,PATTERN…]", "instance types to allow, such as m7i.* (default: any)",
             .aliases = "ec2-instance-type"),
    OPT_LIST("placement-group", placement_groups, "NAME", "placement group to launch into"),
    OPT_LIST("volume-kms-key", kms_keys, "KEY[,KEY…]", "KMS keys of encrypted volumes: ID, alias/NAME or ARN"),
    OPT_TEXT("block-devices", block_devices, "JSON", "as for `start`; its KMS keys are allowed",
             .aliases = "block-device-mappings"),
    OPT_LIST("pass-role", roles, "NAME|ARN", "role that `start --instance-profile` passes to instances"),
    OPT_STRING("subject", subject, "SUBJECT",
               "for trust: workflows to accept, such as environment:NAME, pull_request, or * for all",
               .fallback = "ref:refs/heads/main"),
    OPT_STRING("owner-id", owner_id, "NUMBER",
               "for trust: GitHub's numeric ID of the owner; see gh api repos/OWNER/REPO"),
    OPT_STRING("repo-id", repo_id, "NUMBER", "for trust: GitHub's numeric ID of the repository"),
    { 0 },
};

#undef OPTIONS

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
                    { "owner-id", o->owner_id, "a number, as `gh api repos/OWNER/REPO` prints it", 1, 20 },
                    { "repo-id", o->repo_id, "a number, as `gh api repos/OWNER/REPO` prints it", 1, 20 } };
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (!str_empty(numbers[i].value) && !is_number(numbers[i].value, numbers[i].min, numbers[i].max))
            return error_set(err, ERROR_USAGE, 0, "--%s: `%.40s` is not %s", numbers[i].option, numbers[i].value,
                             numbers[i].what);
    for (size_t i = 0; i < regions->n; i++)
        if (!aws_region_check(regions->v[i], "--regions", err))
            return false;
    if (str_empty(o->subject) || (!strpbrk(o->subject, ":*") && !str_eq(o->subject, "pull_request"))) {
        error_set(err, ERROR_USAGE, 0, "--subject: `%.120s` is not what a workflow presents", o->subject);
        error_hint(err, "write ref:refs/heads/main, environment:NAME, pull_request, or * for all");
        return false;
    }
    if (strstr(o->subject, "${"))
        return error_set(err, ERROR_USAGE, 0, "--subject: `%.120s` contains an IAM variable, ${…}", o->subject);
    return check_ids(&o->subnets, "subnets", "subnet", err) &&
           check_ids(&o->security_groups, "security-groups", "sg", err);
}

/* A policy's strings are patterns of * and ?, and hold variables, ${…}: a fleet is one name. */
static bool check_fleet(const char *fleet, struct error *err)
{
    if (str_empty(fleet) || (!strpbrk(fleet, "*?") && !strstr(fleet, "${")))
        return true;
    error_set(err, ERROR_USAGE, 0, "--fleet: `%.120s` is a pattern, but a policy is for one fleet", fleet);
    error_hint(err, "give the fleet's exact name, without *, ? or ${; print one policy for each fleet");
    return false;
}

static bool check_commands(const struct strlist *named, struct error *err)
{
    static const char hint[] = "for example `mayfly policy start stop`; the commands are start, stop, reap, status, "
                               "bake, doctor, and trust by itself";
    if (named->n == 0) {
        error_set(err, ERROR_USAGE, 0, "no command given to print the policy of");
        error_hint(err, "%s", hint);
        return false;
    }
    for (size_t i = 0; i < named->n; i++) {
        if (policy_is_for(named->v[i]) || (named->n == 1 && str_eq(named->v[i], "trust")))
            continue;
        if (str_eq(named->v[i], "trust"))
            error_set(err, ERROR_USAGE, 0, "trust is a separate document: print it by itself");
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

/* Those that are named, and those of --block-devices. */
static bool find_keys(const struct policy_options *o, struct strlist *ret, struct error *err)
{
    const struct spec spec = { .block_devices = o->block_devices };
    AUTO_STRLIST params = { 0 };
    for (size_t i = 0; i < o->kms_keys.n; i++)
        strlist_add(ret, o->kms_keys.v[i]);
    if (!params_make(&spec, "/dev/sda1", NULL, &params, err))
        return false;
    params_keys(&params, ret);
    if (strlist_has(ret, "") && o->kms_keys.n == 0)
        log_warn("a volume of --block-devices is encrypted with the account's default key: `mayfly doctor` names it, "
                 "--volume-kms-key KEY allows it");
    return true;
}

static bool run(struct cmd *cmd, void *options, struct error *err)
{
    const struct policy_options *o = options;
    const char *repo = first_of(cmd->common.repo, cmd->getenv("GITHUB_REPOSITORY"));
    AUTO_FREE char *fleet = str_empty(repo) ? NULL : fleet_of_scope(repo);
    AUTO_STRLIST regions = { 0 }, keys = { 0 };
    for (size_t i = 0; i < o->regions.n; i++)
        strlist_add(&regions, o->regions.v[i]);
    if (regions.n == 0 && !str_empty(cmd->common.region))
        strlist_add(&regions, cmd->common.region);
    if (!check_commands(&cmd->rest, err) || !check(o, &regions, err) || !check_fleet(cmd->common.fleet, err) ||
        !find_keys(o, &keys, err) ||
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
        .kms_keys = &keys,
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
    .summary = "print a least-privilege IAM policy",
    .about = "Prints a least-privilege IAM policy, as JSON, for the given commands: start, stop, reap, status,\n"
             "bake, doctor. What the options do not set appears as ACCOUNT, REGION, subnet-ID, sg-ID and FLEET.\n"
             "doctor also makes the requests of start, as dry runs: name both. `mayfly policy trust` prints who\n"
             "may assume the role: the workflows of --repo, under the names that GitHub gives them. Makes no\n"
             "requests and needs no credentials.",
    .opts = policy_opts,
    .options_size = sizeof(struct policy_options),
    .run = run,
};
