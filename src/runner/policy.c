#include "mayfly/runner/policy.h"

#include "mayfly/aws/config.h"
#include "mayfly/runner/tags.h"

enum { ENCODED_SHOWN = 2000 }; /* characters of a message */

#define OWN(what) "arn:{partition}:ec2:{region}:{account}:" what
#define SHARED(what) "arn:{partition}:ec2:{region}::" what /* images and snapshots belong to no account */

#define OWN_INSTANCES OWN("instance/*")
#define OWN_VOLUMES OWN("volume/*")
#define SPOT_REQUESTS OWN("spot-instances-request/*")
#define SNAPSHOTS SHARED("snapshot/*")
#define NETWORK OWN("subnet/{subnet}") " " OWN("security-group/{group}") " " OWN("network-interface/*")
#define PARAMETERS "arn:{partition}:ssm:{region}:{account}:parameter{parameter}"
#define KEYS "arn:{partition}:kms:{region}:{account}:key/{key} {keyarn}"
#define KEYS_BEHIND_ALIASES "arn:{partition}:kms:{region}:{account}:key/{aliaskey} {aliasarn}"
#define VIA_EC2 "ec2.{region}.amazonaws.com*" /* in China it ends with .cn */
#define PUBLISHED "arn:{partition}:ssm:{region}:{account}:parameter{published}"

/* Asked for in the request that makes the thing, or found on the thing. */
#define ASKED(tag) "aws:RequestTag/" tag
#define TAGGED(tag) "aws:ResourceTag/" tag

enum { CONDITIONS_MAX = 4 };

/* Resources and values are separated by single blanks. A template whose list is empty is left out, and so is a
 * statement without resources and a condition without values. */
static const struct statement {
    const char *sid;
    bool deny;
    const char *resources;
    struct {
        const char *test, *key, *values;
    } conditions[CONDITIONS_MAX];
} statements[] = {
    { .sid = "Read", .resources = "*" },
    { .sid = "ReadParameter", .resources = PARAMETERS },
    { .sid = "ReadPublished", .resources = PUBLISHED },
    { .sid = "Explain", .resources = "*" },
    { .sid = "RunInto",
      .resources = SHARED("image/{image}") " " SNAPSHOTS " " NETWORK " " OWN("placement-group/{placement}") },
    { .sid = "RunInstance",
      .resources = OWN_INSTANCES,
      .conditions = { { "StringEquals", ASKED(TAG_FLEET), "{fleet}" },
                      { "StringEquals", ASKED(TAG_ROLE), "runner" },
                      { "StringEquals", "ec2:MetadataHttpTokens", "required" },
                      { "StringLike", "ec2:InstanceType", "{type}" } } },
    { .sid = "RunTagged",
      .resources = OWN_VOLUMES " " SPOT_REQUESTS,
      .conditions = { { "StringEquals", ASKED(TAG_FLEET), "{fleet}" } } },
    { .sid = "TagOnCreate",
      .resources = OWN_INSTANCES " " OWN_VOLUMES " " SPOT_REQUESTS,
      .conditions = { { "StringEquals", "ec2:CreateAction", "RunInstances" },
                      { "StringEquals", ASKED(TAG_FLEET), "{fleet}" } } },
    { .sid = "PassRunnerRole",
      .resources = "{role}",
      .conditions = { { "StringEquals", "iam:PassedToService", "ec2.amazonaws.com" } } },
    /* EC2 does these in the name of whoever launches. IAM knows keys by their ARNs: an alias is a condition on the key
     * behind it, which keys that are named otherwise must not have to meet. Source: EBS User Guide, "Requirements for
     * Amazon EBS encryption"; KMS Developer Guide, "Use aliases to control access to KMS keys". */
    { .sid = "UseKey", .resources = KEYS, .conditions = { { "StringLike", "kms:ViaService", VIA_EC2 } } },
    { .sid = "UseKeyByAlias",
      .resources = KEYS_BEHIND_ALIASES,
      .conditions = { { "StringLike", "kms:ViaService", VIA_EC2 },
                      { "ForAnyValue:StringEquals", "kms:ResourceAliases", "{alias}" } } },
    { .sid = "GrantKey",
      .resources = KEYS,
      .conditions = { { "StringLike", "kms:ViaService", VIA_EC2 }, { "Bool", "kms:GrantIsForAWSResource", "true" } } },
    { .sid = "GrantKeyByAlias",
      .resources = KEYS_BEHIND_ALIASES,
      .conditions = { { "StringLike", "kms:ViaService", VIA_EC2 },
                      { "Bool", "kms:GrantIsForAWSResource", "true" },
                      { "ForAnyValue:StringEquals", "kms:ResourceAliases", "{alias}" } } },
    { .sid = "EndOwn", .resources = OWN_INSTANCES, .conditions = { { "StringEquals", TAGGED(TAG_FLEET), "{fleet}" } } },
    /* Only the mark: who could set mayfly:fleet could end a stranger's machine. Without tag keys DeleteTags would
     * remove all of them, which the Null test refuses. */
    { .sid = "MarkOwn",
      .resources = OWN_INSTANCES,
      .conditions = { { "StringEquals", TAGGED(TAG_FLEET), "{fleet}" },
                      { "ForAllValues:StringEquals", "aws:TagKeys", TAG_MARK },
                      { "Null", "aws:TagKeys", "false" } } },
    /* Only the mark of a start that succeeded; as with MarkOwn. */
    { .sid = "HandOver",
      .resources = OWN_INSTANCES,
      .conditions = { { "StringEquals", TAGGED(TAG_FLEET), "{fleet}" },
                      { "ForAllValues:StringEquals", "aws:TagKeys", TAG_HANDED },
                      { "Null", "aws:TagKeys", "false" } } },
    { .sid = "RemoveOwn",
      .resources = OWN_VOLUMES " " SPOT_REQUESTS,
      .conditions = { { "StringEquals", TAGGED(TAG_FLEET), "{fleet}" } } },
    { .sid = "LeaveKept", .deny = true, .resources = "*", .conditions = { { "Null", TAGGED(TAG_KEEP), "false" } } },
    { .sid = "BakeFrom", .resources = "arn:{partition}:ssm:{region}::parameter/aws/service/*" },
    { .sid = "BakeInto", .resources = SHARED("image/*") " " SNAPSHOTS " " NETWORK },
    { .sid = "BakeInstance",
      .resources = OWN_INSTANCES " " OWN_VOLUMES,
      .conditions = { { "StringEquals", ASKED(TAG_FLEET), "{fleet}" },
                      { "StringEquals", ASKED(TAG_ROLE), "bake smoke" } } },
    { .sid = "BakeOwn",
      .resources = OWN_INSTANCES,
      .conditions = { { "StringEquals", TAGGED(TAG_FLEET), "{fleet}" },
                      { "StringEquals", TAGGED(TAG_ROLE), "bake smoke" } } },
    { .sid = "BakeImage",
      .resources = SHARED("image/*") " " SNAPSHOTS,
      .conditions = { { "StringEquals", ASKED(TAG_FLEET), "{fleet}" }, { "StringEquals", ASKED(TAG_ROLE), "bake" } } },
    { .sid = "BakeTag",
      .resources = OWN_INSTANCES " " OWN_VOLUMES " " SHARED("image/*") " " SNAPSHOTS,
      .conditions = { { "StringEquals", "ec2:CreateAction", "RunInstances CreateImage CopyImage" },
                      { "StringEquals", ASKED(TAG_FLEET), "{fleet}" },
                      { "StringEquals", ASKED(TAG_ROLE), "bake smoke" } } },
    /* Of the image that is copied, the copy and their snapshots. Whether the tags of the request or of the resource are
     * known at each of these, the reference does not say; what makes a copy ours are its tags, by BakeTag. */
    { .sid = "BakeCopy", .resources = SHARED("image/*") " " SNAPSHOTS },
    { .sid = "BakeRemove",
      .resources = SHARED("image/*") " " SNAPSHOTS,
      .conditions = { { "StringEquals", TAGGED(TAG_FLEET), "{fleet}" },
                      { "StringEquals", TAGGED(TAG_ROLE), "bake" } } },
    /* Only the mark of an unproven image; as with MarkOwn. */
    { .sid = "BakeProven",
      .resources = SHARED("image/*") " " SNAPSHOTS,
      .conditions = { { "StringEquals", TAGGED(TAG_FLEET), "{fleet}" },
                      { "StringEquals", TAGGED(TAG_ROLE), "bake" },
                      { "ForAllValues:StringEquals", "aws:TagKeys", TAG_LIMITS },
                      { "Null", "aws:TagKeys", "false" } } },
    { .sid = "BakeParameter", .resources = PUBLISHED },
};

/* What each command asks AWS for, and which statement allows it. */
static const struct {
    const char *action, *sid, *commands;
} actions[] = {
    { "ec2:DescribeInstances", "Read", "start stop reap status bake doctor" },
    { "ec2:DescribeRegions", "Read", "stop" },
    { "ec2:DescribeImages", "Read", "start reap bake doctor" },
    { "ec2:DescribeSnapshots", "Read", "reap bake" },
    { "ec2:DescribeSubnets", "Read", "doctor" },
    { "ec2:DescribeRouteTables", "Read", "doctor" },
    { "ec2:DescribeSecurityGroups", "Read", "doctor" },
    { "ec2:DescribeInstanceTypeOfferings", "Read", "doctor" },
    { "ec2:GetEbsEncryptionByDefault", "Read", "doctor" },
    { "ec2:GetEbsDefaultKmsKeyId", "Read", "doctor" },
    { "ec2:DescribeVolumes", "Read", "reap" },
    { "ec2:DescribeSpotInstanceRequests", "Read", "reap" },
    { "ssm:GetParameter", "ReadParameter", "start doctor" },
    { "ssm:GetParameter", "ReadPublished", "reap bake" },
    { "ssm:GetParameter", "BakeFrom", "bake" },
    { "sts:DecodeAuthorizationMessage", "Explain", "doctor" },
    { "ec2:RunInstances", "RunInto", "start" },
    { "ec2:RunInstances", "RunInstance", "start" },
    { "ec2:RunInstances", "RunTagged", "start" },
    { "ec2:CreateTags", "TagOnCreate", "start" },
    { "ec2:CreateTags", "HandOver", "start" },
    { "iam:PassRole", "PassRunnerRole", "start" },
    { "kms:Decrypt", "UseKey", "start bake" },
    { "kms:DescribeKey", "UseKey", "start bake" },
    { "kms:GenerateDataKeyWithoutPlaintext", "UseKey", "start bake" },
    { "kms:ReEncryptFrom", "UseKey", "start bake" },
    { "kms:ReEncryptTo", "UseKey", "start bake" },
    { "kms:Decrypt", "UseKeyByAlias", "start bake" },
    { "kms:DescribeKey", "UseKeyByAlias", "start bake" },
    { "kms:GenerateDataKeyWithoutPlaintext", "UseKeyByAlias", "start bake" },
    { "kms:ReEncryptFrom", "UseKeyByAlias", "start bake" },
    { "kms:ReEncryptTo", "UseKeyByAlias", "start bake" },
    { "kms:CreateGrant", "GrantKey", "start bake" },
    { "kms:CreateGrant", "GrantKeyByAlias", "start bake" },
    { "ec2:TerminateInstances", "EndOwn", "start stop reap" },
    { "ec2:GetConsoleOutput", "EndOwn", "start reap status bake" },
    { "ec2:CreateTags", "MarkOwn", "reap" },
    { "ec2:DeleteTags", "MarkOwn", "reap" },
    { "ec2:DeleteVolume", "RemoveOwn", "reap" },
    { "ec2:CancelSpotInstanceRequests", "RemoveOwn", "reap" },
    { "ec2:TerminateInstances", "LeaveKept", "reap" },
    { "ec2:DeleteVolume", "LeaveKept", "reap" },
    { "ec2:RunInstances", "BakeInto", "bake" },
    { "ec2:RunInstances", "BakeInstance", "bake" },
    { "ec2:TerminateInstances", "BakeOwn", "bake" },
    { "ec2:CreateImage", "BakeOwn", "bake" },
    { "ec2:CreateImage", "BakeImage", "bake" },
    { "ec2:CopyImage", "BakeCopy", "bake" },
    { "ec2:CreateTags", "BakeTag", "bake" },
    { "ec2:DeregisterImage", "BakeRemove", "reap bake" },
    { "ec2:DeleteSnapshot", "BakeRemove", "reap bake" },
    { "ec2:DeregisterImage", "LeaveKept", "reap" },
    { "ec2:DeleteSnapshot", "LeaveKept", "reap" },
    { "ec2:DeleteTags", "BakeProven", "bake" },
    { "ec2:ModifyImageAttribute", "BakeRemove", "bake" },
    { "ec2:EnableImageDeprecation", "BakeRemove", "bake" },
    { "ssm:PutParameter", "BakeParameter", "bake" },
};

bool policy_is_for(const char *command)
{
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
        if (str_is_one_of(command, actions[i].commands))
            return true;
    return false;
}

/* --- templates ---------------------------------------------------------------------------------------------------- */

/* What the templates' lists hold, made ready from the scope. */
struct lists {
    struct strlist partition, account, fleet, region, subnet, group, image, parameter, published, type, placement, role;
    struct strlist key, keyarn, alias, aliaskey, aliasarn;
};

static void fill(struct strlist *ret, const struct strlist *given, const char *placeholder)
{
    for (size_t i = 0; given && i < given->n; i++)
        strlist_add(ret, given->v[i]);
    if (ret->n == 0 && placeholder)
        strlist_add(ret, placeholder);
}

static void fill_one(struct strlist *ret, const char *given, const char *placeholder)
{
    strlist_add(ret, str_empty(given) ? placeholder : given);
}

/* "us-west-2/ami-…" to "ami-…"; parameters begin with a slash, so that they stay whole. */
static const char *without_region(const char *value)
{
    size_t n = strcspn(value, "/");
    AUTO_FREE char *region = xstrndup(value, n);
    return value[n] == '/' && aws_region_is_valid(region) ? value + n + 1 : value;
}

/* Ids without a region are of the default one, as start takes them. */
static void fill_ids(struct strlist *ret, const struct strlist *given, const char *region, const char *placeholder)
{
    for (size_t i = 0; given && i < given->n; i++) {
        bool whole = !region || without_region(given->v[i]) != given->v[i];
        AUTO_FREE char *id = whole ? xstrdup(given->v[i]) : xasprintf("%s/%s", region, given->v[i]);
        strlist_add(ret, id);
    }
    if (ret->n == 0)
        strlist_add(ret, placeholder);
}

/* Ids alone restrict the images: a parameter or a name may mean any. What a bake publishes in its own parameters, or in
 * one that is named here, the reaper looks up whatever images a start is given. */
static void fill_images(const struct strlist *images, const char *region, struct lists *l)
{
    bool ids = true;
    for (size_t i = 0; images && i < images->n; i++) {
        const char *ref = without_region(images->v[i]);
        AUTO_FREE char *prefix = xstrndup(images->v[i], (size_t)(ref - images->v[i]));
        AUTO_FREE char *parameter = xasprintf("%s%s", prefix, str_starts(ref, "ssm:") ? ref + strlen("ssm:") : "");
        ids = ids && str_starts(ref, "ami-");
        if (!str_starts(ref, "ssm:"))
            continue;
        AUTO_FREE char *before = image_parameter_before(parameter);
        strlist_add(&l->parameter, parameter);
        if (!str_starts(ref, "ssm:/aws/")) {
            strlist_add(&l->published, parameter);
            strlist_add(&l->published, before);
        }
    }
    strlist_add(&l->published, "/mayfly/*");
    if (!images || images->n == 0)
        strlist_add(&l->parameter, "/mayfly/*");
    fill_ids(&l->image, ids ? images : NULL, region, "*");
}

static void fill_roles(const struct strlist *roles, struct lists *l)
{
    for (size_t i = 0; roles && i < roles->n; i++) {
        AUTO_FREE char *arn = xasprintf("arn:%s:iam::%s:role/%s", l->partition.v[0], l->account.v[0], roles->v[i]);
        strlist_add(&l->role, str_starts(roles->v[i], "arn:") ? roles->v[i] : arn);
    }
}

static void fill_once(struct strlist *ret, const char *value)
{
    if (!strlist_has(ret, value))
        strlist_add(ret, value);
}

/* "arn:aws:kms:eu-west-1:123456789012:alias/ci" stands for a key of the same region and account. */
static void fill_alias(const char *key, struct lists *l)
{
    static const char mark[] = ":alias/";
    const char *at = strstr(key, mark);
    fill_once(&l->alias, at ? at + 1 : key);
    AUTO_FREE char *keys = at ? xasprintf("%.*s:key/*", (int)(at - key), key) : xstrdup("*");
    fill_once(at ? &l->aliasarn : &l->aliaskey, keys);
}

static void fill_keys(const struct strlist *keys, struct lists *l)
{
    for (size_t i = 0; keys && i < keys->n; i++) {
        const char *key = keys->v[i];
        if (str_starts(key, "alias/") || strstr(key, ":alias/"))
            fill_alias(key, l);
        else if (!str_empty(key))
            fill_once(str_starts(key, "arn:") ? &l->keyarn : &l->key, key);
    }
}

static void lists_fill(const struct policy_scope *s, struct lists *l)
{
    fill_one(&l->partition, s->partition, "aws");
    fill_one(&l->account, s->account, "ACCOUNT");
    fill_one(&l->fleet, s->fleet, "FLEET");
    fill(&l->region, s->regions, "REGION");
    fill_ids(&l->subnet, s->subnets, s->region, "subnet-ID");
    fill_ids(&l->group, s->security_groups, s->region, "sg-ID");
    fill_images(s->images, s->region, l);
    fill(&l->type, s->types, NULL);
    fill(&l->placement, s->placement_groups, NULL);
    fill_roles(s->roles, l);
    fill_keys(s->kms_keys, l);
}

static void lists_clear(struct lists *l)
{
    struct strlist *const all[] = { &l->partition, &l->account,   &l->fleet,     &l->region,   &l->subnet,    &l->group,
                                    &l->image,     &l->parameter, &l->published, &l->type,     &l->placement, &l->role,
                                    &l->key,       &l->keyarn,    &l->alias,     &l->aliaskey, &l->aliasarn };
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        strlist_clear(all[i]);
}
#define AUTO_LISTS CLEANUP(lists_clear) struct lists

static const struct strlist *find_list(const struct lists *l, const char *name)
{
    const struct {
        const char *name;
        const struct strlist *list;
    } all[] = { { "{partition}", &l->partition },
                { "{account}", &l->account },
                { "{fleet}", &l->fleet },
                { "{region}", &l->region },
                { "{subnet}", &l->subnet },
                { "{group}", &l->group },
                { "{image}", &l->image },
                { "{parameter}", &l->parameter },
                { "{published}", &l->published },
                { "{type}", &l->type },
                { "{placement}", &l->placement },
                { "{role}", &l->role },
                { "{key}", &l->key },
                { "{keyarn}", &l->keyarn },
                { "{alias}", &l->alias },
                { "{aliaskey}", &l->aliaskey },
                { "{aliasarn}", &l->aliasarn } };
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (str_eq(all[i].name, name))
            return all[i].list;
    return NULL;
}

/* `text` with its first {name} replaced; owned. */
static char *replace(const char *text, size_t from, size_t len, const char *value)
{
    return xasprintf("%.*s%s%s", (int)from, text, value, text + from + len);
}

/* A value of its own region settles the {region} before it; a parameter of AWS's own belongs to no account. */
static char *put_value(const char *text, size_t from, size_t len, const char *value)
{
    const char *bare = without_region(value), *at = strstr(text, "{region}");
    AUTO_FREE char *replaced = replace(text, from, len, bare);
    const char *account = str_starts(bare, "/aws/") ? strstr(replaced, "{account}") : NULL;
    if (account) {
        char *public = replace(replaced, (size_t)(account - replaced), strlen("{account}"), "");
        free(replaced);
        replaced = public;
    }
    if (bare == value || !at || at >= text + from)
        return STEAL(replaced);
    AUTO_FREE char *region = xstrndup(value, (size_t)(bare - value - 1));
    return replace(replaced, (size_t)(at - text), strlen("{region}"), region);
}

/* Adds what the template stands for, the product of its lists. The last {name} first: what belongs to a region comes
 * behind it. */
static void expand(const struct lists *l, const char *text, struct strlist *ret)
{
    const char *open = strrchr(text, '{');
    if (!open) {
        if (!strlist_has(ret, text))
            strlist_add(ret, text);
        return;
    }
    size_t from = (size_t)(open - text), len = strcspn(open, "}") + 1;
    AUTO_FREE char *name = xstrndup(open, len);
    const struct strlist *values = find_list(l, name);
    for (size_t i = 0; values && i < values->n; i++) {
        AUTO_FREE char *next = put_value(text, from, len, values->v[i]);
        expand(l, next, ret);
    }
}

static void expand_all(const struct lists *l, const char *templates, struct strlist *ret)
{
    AUTO_STRLIST parts = { 0 };
    strlist_split(&parts, templates, " ");
    for (size_t i = 0; i < parts.n; i++)
        expand(l, parts.v[i], ret);
}

/* --- documents ---------------------------------------------------------------------------------------------------- */

/* One string by itself, several as a list. */
static struct json_object *strings(const struct strlist *l)
{
    struct json_object *list = must(json_object_new_array());
    if (l->n == 1) {
        json_object_put(list);
        return must(json_object_new_string(l->v[0]));
    }
    for (size_t i = 0; i < l->n; i++)
        json_object_array_add(list, must(json_object_new_string(l->v[i])));
    return list;
}

static void add_string(struct json_object *o, const char *key, const char *value)
{
    json_object_object_add(o, key, must(json_object_new_string(value)));
}

static struct json_object *document(struct json_object *list)
{
    struct json_object *o = must(json_object_new_object());
    add_string(o, "Version", "2012-10-17");
    json_object_object_add(o, "Statement", list);
    return o;
}

/* Tests of the same name share one object. */
static void add_condition(struct json_object *conditions, const char *test, const char *key,
                          const struct strlist *values)
{
    struct json_object *keys = NULL;
    if (!json_object_object_get_ex(conditions, test, &keys)) {
        keys = must(json_object_new_object());
        json_object_object_add(conditions, test, keys);
    }
    json_object_object_add(keys, key, strings(values));
}

static struct json_object *conditions_of(const struct statement *s, const struct lists *l)
{
    struct json_object *conditions = must(json_object_new_object());
    for (size_t i = 0; i < CONDITIONS_MAX && s->conditions[i].test; i++) {
        AUTO_STRLIST values = { 0 };
        expand_all(l, s->conditions[i].values, &values);
        if (values.n > 0)
            add_condition(conditions, s->conditions[i].test, s->conditions[i].key, &values);
    }
    return conditions;
}

static void collect_actions(const struct statement *s, const struct strlist *commands, struct strlist *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
        for (size_t c = 0; c < commands->n && str_eq(actions[i].sid, s->sid); c++)
            if (str_is_one_of(commands->v[c], actions[i].commands) && !strlist_has(ret, actions[i].action))
                strlist_add(ret, actions[i].action);
}

static void add_statement(struct json_object *list, const struct statement *s, const struct strlist *commands,
                          const struct lists *l)
{
    AUTO_STRLIST allowed = { 0 }, resources = { 0 };
    collect_actions(s, commands, &allowed);
    expand_all(l, s->resources, &resources);
    if (allowed.n == 0 || resources.n == 0)
        return;
    struct json_object *o = must(json_object_new_object()), *conditions = conditions_of(s, l);
    add_string(o, "Sid", s->sid);
    add_string(o, "Effect", s->deny ? "Deny" : "Allow");
    json_object_object_add(o, "Action", strings(&allowed));
    json_object_object_add(o, "Resource", strings(&resources));
    if (json_object_object_length(conditions) > 0)
        json_object_object_add(o, "Condition", conditions);
    else
        json_object_put(conditions);
    json_object_array_add(list, o);
}

struct json_object *policy_make(const struct strlist *commands, const struct policy_scope *scope)
{
    AUTO_LISTS lists = { 0 };
    struct json_object *list = must(json_object_new_array());
    lists_fill(scope, &lists);
    for (size_t i = 0; i < ARRAY_SIZE(statements); i++)
        add_statement(list, &statements[i], commands, &lists);
    return document(list);
}

/* The two names of a repository's workflows: by words, and by words with GitHub's numbers. An organization stands for
 * all of its repositories. */
static void add_subjects(const struct policy_trust *t, struct strlist *ret)
{
    const char *repo = str_empty(t->repo) ? "OWNER/REPO" : t->repo;
    const char *owner_id = str_empty(t->owner_id) ? "OWNER-ID" : t->owner_id;
    const char *repo_id = str_empty(t->repo_id) ? "REPO-ID" : t->repo_id;
    const char *slash = strchr(repo, '/');
    AUTO_FREE char *owner = xstrndup(repo, strcspn(repo, "/"));
    AUTO_FREE char *words = xasprintf("repo:%s/%s:%s", owner, slash ? slash + 1 : "*", t->subject);
    AUTO_FREE char *numbers = slash ? xasprintf("repo:%s@%s/%s@%s:%s", owner, owner_id, slash + 1, repo_id, t->subject)
                                    : xasprintf("repo:%s@%s/*:%s", owner, owner_id, t->subject);
    strlist_add(ret, words);
    strlist_add(ret, numbers);
}

#define GITHUB_OIDC "token.actions.githubusercontent.com"

struct json_object *policy_trust_make(const struct policy_trust *t)
{
    struct json_object *list = must(json_object_new_array()), *o = must(json_object_new_object());
    struct json_object *principal = must(json_object_new_object()), *conditions = must(json_object_new_object());
    AUTO_STRLIST subjects = { 0 }, audience = { 0 };
    AUTO_FREE char *provider =
        xasprintf("arn:%s:iam::%s:oidc-provider/" GITHUB_OIDC, str_empty(t->partition) ? "aws" : t->partition,
                  str_empty(t->account) ? "ACCOUNT" : t->account);
    add_subjects(t, &subjects);
    strlist_add(&audience, "sts.amazonaws.com");
    add_string(principal, "Federated", provider);
    add_condition(conditions, "StringEquals", GITHUB_OIDC ":aud", &audience);
    add_condition(conditions, strpbrk(subjects.v[0], "*?") ? "StringLike" : "StringEquals", GITHUB_OIDC ":sub",
                  &subjects);
    add_string(o, "Sid", "GitHubActions");
    add_string(o, "Effect", "Allow");
    json_object_object_add(o, "Principal", principal);
    add_string(o, "Action", "sts:AssumeRoleWithWebIdentity");
    json_object_object_add(o, "Condition", conditions);
    json_object_array_add(list, o);
    return document(list);
}

/* --- hints -------------------------------------------------------------------------------------------------------- */

/* "instance" of "arn:aws:ec2:us-east-1:123456789012:instance/i-1"; *ret_len 0: it has no such part. */
static const char *kind_of(const char *arn, size_t *ret_len)
{
    for (unsigned colons = 0; colons < 5; colons++) {
        arn = strchr(arn, ':');
        if (!arn) {
            *ret_len = 0;
            return "";
        }
        arn++;
    }
    *ret_len = *arn == '*' ? 0 : strcspn(arn, "/{ ");
    return arn;
}

static bool is_about(const struct statement *s, const char *resource)
{
    AUTO_STRLIST templates = { 0 };
    size_t n = 0, m = 0;
    const char *kind = resource ? kind_of(resource, &n) : "";
    strlist_split(&templates, s->resources, " ");
    for (size_t i = 0; i < templates.n && n > 0; i++) {
        const char *own = kind_of(templates.v[i], &m);
        if (m == 0 || (m == n && strncmp(own, kind, n) == 0))
            return true;
    }
    return n == 0;
}

static const struct statement *find_statement(const char *sid)
{
    size_t i = 0;
    while (!str_eq(statements[i].sid, sid))
        i++;
    return &statements[i];
}

const char *policy_statement(const char *command, const char *action, const char *resource)
{
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        const struct statement *s = find_statement(actions[i].sid);
        if (str_eq(actions[i].action, action) && str_is_one_of(command, actions[i].commands) && !s->deny &&
            is_about(s, resource))
            return s->sid;
    }
    return NULL;
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

char *policy_denied(const struct aws_denial *d)
{
    if (!d->action)
        return NULL;
    return xasprintf("%s%s%s is denied%s%s", d->action, d->resource ? " on " : "", d->resource ? d->resource : "",
                     d->reason ? ": " : "", d->reason ? d->reason : "");
}

char *policy_advice(const struct aws_denial *d, const char *command)
{
    const char *sid = d->action ? policy_statement(command, d->action, d->resource) : NULL;
    if (aws_denial_is_explicit(d))
        return xstrdup("an explicit deny in a policy overrides every allow: the owner of that policy has to change it");
    if (sid)
        return xasprintf("the statement %s of `mayfly policy %s` allows it", sid, command);
    return xasprintf("`mayfly policy %s` prints what the policy must allow", command);
}

char *policy_decoded(const struct sts_refusal *r)
{
    return xasprintf("decoded: %s of %s on %s",
                     r->explicit_deny ? "explicit deny" : "implicit deny (no statement allows it)",
                     r->action ? r->action : "?", r->resource ? r->resource : "?");
}

char *policy_decode_command(const struct aws_denial *d)
{
    size_t n = d->encoded ? strlen(d->encoded) : 0;
    AUTO_FREE char *cut = n > ENCODED_SHOWN ? xasprintf("… (%zu characters; --verbose prints them all)", n) : NULL;
    if (n == 0)
        return NULL;
    return xasprintf(
        "aws sts decode-authorization-message --query DecodedMessage --output text --encoded-message %.*s%s",
        ENCODED_SHOWN, d->encoded, cut ? cut : "");
}
