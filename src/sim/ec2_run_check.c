/* RunInstances: what EC2 checks before it does anything. */
#include "aws.h"
#include "catalog.h"
#include "ec2.h"
#include "ec2_run.h"
#include "sim.h"
#include "world_resources.h"

#include "mayfly/util/encode.h"

enum { USER_DATA_MAX = 16384, RESERVATION_MAX = 100 };

void run_clear(struct run *r)
{
    strlist_clear(&r->groups);
    strbuf_clear(&r->user_data);
    pairs_clear(&r->tags);
    pairs_clear(&r->volume_tags);
    pairs_clear(&r->spot_tags);
    free(r->token_zone);
    free(r->parameters);
    free(r->profile);
    free(r->disks);
}

static bool check_counts(struct call *c, struct run *r)
{
    const char *min = call_param(c, "MinCount"), *max = call_param(c, "MaxCount");
    if (!min || !max)
        return call_refuse(c, 400, "MissingParameter", "The request must contain the parameter %s",
                           min ? "MaxCount" : "MinCount");
    if (!parse_uint(min, 1u << 20, &r->min) || !parse_uint(max, 1u << 20, &r->max) || r->min == 0 || r->min > r->max)
        return call_refuse(
            c, 400, "InvalidParameterValue",
            "Value (%s) for parameter maxCount is invalid. Must be at least 1 and no less than minCount.", max);
    if (r->min > RESERVATION_MAX)
        return call_refuse(c, 400, "InstanceLimitExceeded",
                           "You have requested more instances (%s) than your current instance limit of %d allows", min,
                           RESERVATION_MAX);
    if (r->max > RESERVATION_MAX)
        r->max = RESERVATION_MAX;
    return true;
}

static bool check_type(struct call *c, struct run *r)
{
    const char *type = call_param(c, "InstanceType");
    if (!type)
        type = "m1.small"; /* EC2's own default, which is gone */
    if (!catalog_type(type, &r->type))
        return call_refuse(c, 400, "InvalidParameterValue", "Invalid value '%s' for InstanceType.", type);
    if (str_eq(r->type.architecture, r->image->architecture))
        return true;
    return call_refuse(
        c, 400, "InvalidParameterValue",
        "The architecture '%s' of the specified instance type does not match the architecture '%s' of the "
        "specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. "
        "You can use 'describe-instance-types' or 'describe-images' to discover the architecture of the "
        "instance type or AMI.",
        r->type.architecture, r->image->architecture);
}

/* The first subnet of the region, or of a zone; NULL: there is none such. */
static const struct subnet *default_subnet(const struct call *c, const char *zone)
{
    for (size_t i = 0; i < c->sim->n_subnets; i++) {
        const struct subnet *n = c->sim->subnets[i];
        if (IS_HERE(c, n) && (!zone || str_eq(n->zone, zone)))
            return n;
    }
    return NULL;
}

static void add_default_group(const struct call *c, struct strlist *ret)
{
    for (size_t i = 0; ret->n == 0 && i < c->sim->n_groups; i++)
        if (str_eq(c->sim->groups[i]->region, c->region))
            strlist_add(ret, c->sim->groups[i]->id);
}

/* The network interface that is asked for instead of a subnet and groups. */
static bool check_interface(struct call *c)
{
    bool subnet = call_param(c, "SubnetId") != NULL;
    if (subnet || call_has(c, "SecurityGroupId."))
        return call_refuse(c, 400, "InvalidParameterCombination",
                           "Network interfaces and an instance-level %s may not be specified on the same request",
                           subnet ? "subnet ID" : "security groups");
    if (!str_eq(call_param(c, "NetworkInterface.1.DeviceIndex"), "0"))
        return call_refuse(c, 400, "InvalidParameterCombination",
                           "A device index of 0 must be specified for the first network interface");
    return !call_has(c, "NetworkInterface.2.") ||
           call_refuse(c, 400, "UnsupportedOperation", "The simulator gives an instance one network interface");
}

static bool check_groups(struct call *c, struct run *r)
{
    for (size_t i = 0; i < r->groups.n; i++)
        if (!group_check(c, r->groups.v[i]))
            return false;
    if (r->groups.n == 0)
        add_default_group(c, &r->groups);
    return true;
}

/* Types that are not everywhere. */
static bool check_offer(struct call *c, const struct run *r)
{
    AUTO_STRBUF others = STRBUF_INIT;
    if (catalog_offers(&r->type, r->subnet->zone))
        return true;
    for (size_t i = 0; i < c->sim->n_subnets; i++) {
        const struct subnet *n = c->sim->subnets[i];
        if (str_eq(n->region, c->region) && catalog_offers(&r->type, n->zone))
            strbuf_addf(&others, "%s%s", others.len ? ", " : "", n->zone);
    }
    return call_refuse(c, 400, "Unsupported",
                       "Your requested instance type (%s) is not supported in your requested Availability Zone (%s). "
                       "Please retry your request by not specifying an Availability Zone or choosing %s.",
                       call_param(c, "InstanceType"), r->subnet->zone, strbuf_str(&others));
}

/* Where it goes: a network interface, a subnet, a zone, or the default subnet. */
static bool check_place(struct call *c, struct run *r)
{
    const char *subnet = call_param(c, "SubnetId"), *zone = call_param(c, "Placement.AvailabilityZone");
    bool interface = call_has(c, "NetworkInterface.");
    if (interface && !check_interface(c))
        return false;
    if (interface)
        subnet = call_param(c, "NetworkInterface.1.SubnetId");
    if (subnet && !subnet_check(c, subnet))
        return false;
    r->subnet = subnet ? world_subnet(c->sim, subnet) : default_subnet(c, zone);
    if (!r->subnet || (zone && !str_eq(zone, r->subnet->zone)))
        return call_refuse(c, 400, "InvalidParameterValue", "Invalid availability zone: [%s]", zone);
    const char *open = call_param(c, "NetworkInterface.1.AssociatePublicIpAddress");
    r->public_address = open ? is_true(open) : r->subnet->map_public;
    r->token_zone = xstrdup(zone || subnet ? r->subnet->zone : ""); /* without a place, tokens are regional */
    call_list(c, interface ? "NetworkInterface.1.SecurityGroupId" : "SecurityGroupId", &r->groups);
    return check_groups(c, r) && check_offer(c, r);
}

/* On which hardware. */
static bool check_placement(struct call *c, const struct run *r)
{
    const char *group = call_param(c, "Placement.GroupName"), *host = call_param(c, "Placement.HostId");
    const char *tenancy = call_param(c, "Placement.Tenancy");
    AUTO_FREE char *there = catalog_host(c->region);
    if (!call_one_of(c, "Placement.Tenancy", "default dedicated host"))
        return false;
    if (group && !str_eq(group, SIM_PLACEMENT_GROUP))
        return call_refuse(c, 400, "InvalidPlacementGroup.Unknown", "The Placement Group '%s' is unknown.", group);
    if (host && !aws_is_id(host, "h-"))
        return call_refuse(c, 400, "InvalidHostID.Malformed", "Invalid id: \"%s\" (expecting \"h-...\")", host);
    if (host && !str_eq(host, there))
        return call_refuse(c, 400, "InvalidHostID.NotFound", "The host ID '%s' does not exist", host);
    if (host && !str_eq(tenancy, "host"))
        return call_refuse(c, 400, "InvalidParameterCombination", "A host ID needs the tenancy host");
    return !r->spot || !str_eq(tenancy, "host") ||
           call_refuse(c, 400, "InvalidParameterCombination", "Spot Instances do not run on Dedicated Hosts");
}

static bool check_user_data(struct call *c, struct run *r)
{
    const char *data = call_param(c, "UserData");
    r->user_data = STRBUF_INIT;
    if (data && !decode_base64(&r->user_data, data, strlen(data)))
        return call_refuse(c, 400, "InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.");
    return r->user_data.len <= USER_DATA_MAX ||
           call_refuse(c, 400, "InvalidParameterValue", "User data is limited to %d bytes", USER_DATA_MAX);
}

static bool check_market(struct call *c, struct run *r)
{
    const char *kind = call_param(c, "InstanceMarketOptions.SpotOptions.SpotInstanceType");
    const char *interruption = call_param(c, "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior");
    r->spot = str_eq(call_param(c, "InstanceMarketOptions.MarketType"), "spot");
    r->one_time = r->spot && !str_eq(kind, "persistent");
    if (!call_one_of(c, "InstanceMarketOptions.MarketType", "spot") ||
        !call_one_of(c, "InstanceMarketOptions.SpotOptions.SpotInstanceType", "one-time persistent") ||
        !call_one_of(c, "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior", "terminate stop hibernate"))
        return false;
    if (!r->spot && call_has(c, "InstanceMarketOptions.SpotOptions."))
        return call_refuse(c, 400, "InvalidParameterCombination",
                           "SpotOptions may only be specified with MarketType spot");
    if (r->one_time && interruption && !str_eq(interruption, "terminate"))
        return call_refuse(c, 400, "InvalidParameterCombination",
                           "The instance interruption behavior '%s' is not supported with a one-time Spot request",
                           interruption);
    return spot_check_price(c, &r->type);
}

/* A name is one of IAM's, an ARN is of this account; which exist, the simulator does not know. */
static bool check_profile(struct call *c, struct run *r)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+=,.@_-";
    const char *name = call_param(c, "IamInstanceProfile.Name"), *arn = call_param(c, "IamInstanceProfile.Arn");
    if (name && *name == '\0') /* as Packer sends it */
        name = NULL;
    AUTO_FREE char *prefix = xasprintf("arn:aws:iam::%s:instance-profile/", sim_account);
    if (name && arn)
        return call_refuse(
            c, 400, "InvalidParameterCombination",
            "The parameters iamInstanceProfile.arn and iamInstanceProfile.name may not be used together");
    if (name && (strlen(name) > 128 || strspn(name, letters) != strlen(name)))
        return call_refuse(
            c, 400, "InvalidParameterValue",
            "Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", name);
    if (arn && !str_starts(arn, prefix))
        return call_refuse(
            c, 400, "InvalidParameterValue",
            "Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN", arn);
    if (name || arn)
        r->profile = name ? xasprintf("%s%s", prefix, name) : xstrdup(arn);
    return true;
}

/* Tags that an instance can read of itself have keys that fit into a path. */
static bool check_readable_tags(struct call *c, const struct run *r)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+=,.@:";
    bool readable = str_eq(call_param(c, "MetadataOptions.InstanceMetadataTags"), "enabled");
    for (size_t i = 0; readable && i < r->tags.n; i++) {
        const char *key = r->tags.v[2 * i];
        if (strspn(key, letters) != strlen(key) || str_eq(key, ".") || str_eq(key, "..") || str_eq(key, "_index"))
            return call_refuse(c, 400, "InvalidParameterValue",
                               "'%s' is not a valid tag key. Tag keys must match pattern "
                               "([0-9a-zA-Z\\-_+=,.@:]{1,255}), and must not be a reserved name ('.', '..', '_index')",
                               key);
    }
    return true;
}

static bool check_metadata(struct call *c, struct run *r)
{
    const char *hops = call_param(c, "MetadataOptions.HttpPutResponseHopLimit");
    r->hops = 1;
    if (hops && (!parse_uint(hops, 64, &r->hops) || r->hops == 0))
        return call_refuse(c, 400, "InvalidParameterValue",
                           "Value (%s) for parameter HttpPutResponseHopLimit is invalid.", hops);
    return call_one_of(c, "MetadataOptions.HttpTokens", "optional required") &&
           call_one_of(c, "MetadataOptions.HttpEndpoint", "enabled disabled") &&
           call_one_of(c, "MetadataOptions.HttpProtocolIpv6", "enabled disabled") &&
           call_one_of(c, "MetadataOptions.InstanceMetadataTags", "enabled disabled");
}

static bool check_options(struct call *c, const struct run *r)
{
    const char *key = call_param(c, "KeyName"), *credits = call_param(c, "CreditSpecification.CpuCredits");
    if (key && !str_eq(key, SIM_KEY))
        return call_refuse(c, 400, "InvalidKeyPair.NotFound", "The key pair '%s' does not exist", key);
    if (!call_one_of(c, "CreditSpecification.CpuCredits", "standard unlimited"))
        return false;
    if (str_eq(credits, "unlimited") && !r->type.burstable)
        return call_refuse(c, 400, "InstanceCreditSpecification.NotSupported",
                           "The %s instance type does not support T2 Unlimited.", call_param(c, "InstanceType"));
    if (r->spot && is_true(call_param(c, "DisableApiTermination")))
        return call_refuse(c, 400, "InvalidParameterCombination",
                           "Termination protection cannot be enabled for Spot Instances");
    return call_one_of(c, "InstanceInitiatedShutdownBehavior", "stop terminate");
}

static bool check_tags(struct call *c, struct run *r)
{
    const char *kinds =
        r->spot ? "instance volume network-interface spot-instances-request" : "instance volume network-interface";
    return tags_take(c, kinds, "instance", &r->tags) && tags_take(c, kinds, "volume", &r->volume_tags) &&
           tags_take(c, kinds, "spot-instances-request", &r->spot_tags) && check_readable_tags(c, r);
}

static bool check_image(struct call *c, struct run *r)
{
    const char *id = call_param(c, "ImageId");
    if (!image_check(c, id))
        return false;
    r->image = world_image(c->sim, id);
    return str_eq(image_state(c->sim, r->image), "available") ||
           call_refuse(c, 400, "InvalidAMIID.Unavailable", "The image id '[%s]' is not available", id);
}

bool run_check(struct call *c, struct run *r)
{
    r->parameters = call_fingerprint(c);
    return check_image(c, r) && check_counts(c, r) && check_type(c, r) && call_check_token(c) && check_market(c, r) &&
           check_place(c, r) && check_placement(c, r) && check_user_data(c, r) && check_profile(c, r) &&
           check_metadata(c, r) && check_options(c, r) && run_check_disks(c, r) && check_tags(c, r);
}
