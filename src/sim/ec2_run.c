/* RunInstances. */
#include <inttypes.h>
#include <stdio.h>

#include "aws.h"

#include "mayfly/util/encode.h"

enum { USER_DATA_MAX = 16384, TOKEN_MAX = 64, RESERVATION_MAX = 100 };

struct run { /* a RunInstances, all checked */
    const struct image *image;
    const struct subnet *subnet;
    struct type type;
    struct strlist groups;
    struct strbuf user_data;
    struct pairs tags, volume_tags, spot_tags;
    uint64_t min, max, hops;
    bool spot, one_time, associate_public;
    char *zone, *token_zone, *parameters, *profile;
};

static void run_clear(struct run *r)
{
    strlist_clear(&r->groups);
    strbuf_clear(&r->user_data);
    pairs_clear(&r->tags);
    pairs_clear(&r->volume_tags);
    pairs_clear(&r->spot_tags);
    free(r->zone);
    free(r->token_zone);
    free(r->parameters);
    free(r->profile);
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

/* Where it goes: a network interface, a subnet, a zone, or the default subnet. */
static bool check_place(struct call *c, struct run *r)
{
    const char *subnet = call_param(c, "SubnetId"), *zone = call_param(c, "Placement.AvailabilityZone");
    bool interface = call_has(c, "NetworkInterface.");
    if (interface && (subnet || call_has(c, "SecurityGroupId.") || call_has(c, "SecurityGroup.")))
        return call_refuse(c, 400, "InvalidParameterCombination",
                           "Network interfaces and an instance-level %s may not be specified on the same request",
                           subnet ? "subnet ID" : "security groups");
    if (interface) {
        if (!str_eq(call_param(c, "NetworkInterface.1.DeviceIndex"), "0"))
            return call_refuse(c, 400, "InvalidParameterCombination",
                               "A device index of 0 must be specified for the first network interface");
        subnet = call_param(c, "NetworkInterface.1.SubnetId");
        r->associate_public = is_true(call_param(c, "NetworkInterface.1.AssociatePublicIpAddress"));
    }
    call_list(c, interface ? "NetworkInterface.1.SecurityGroupId" : "SecurityGroupId", &r->groups);
    if (subnet && !subnet_check(c, subnet))
        return false;
    r->subnet = subnet ? world_subnet(c->sim, subnet) : default_subnet(c, zone);
    if (!r->subnet || (zone && !str_eq(zone, r->subnet->zone)))
        return call_refuse(c, 400, "InvalidParameterValue", "Invalid availability zone: [%s]", zone);
    r->zone = xstrdup(r->subnet->zone);
    r->token_zone = xstrdup(zone || subnet ? r->zone : ""); /* without a place, tokens are regional */
    for (size_t i = 0; i < r->groups.n; i++)
        if (!group_check(c, r->groups.v[i]))
            return false;
    if (r->groups.n == 0)
        add_default_group(c, &r->groups);
    return true;
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
    return true;
}

static bool check_options(struct call *c, struct run *r)
{
    const char *hops = call_param(c, "MetadataOptions.HttpPutResponseHopLimit"), *key = call_param(c, "KeyName");
    const char *name = call_param(c, "IamInstanceProfile.Name"), *arn = call_param(c, "IamInstanceProfile.Arn");
    const char *token = call_param(c, "ClientToken");
    r->hops = 1;
    if (token && (strlen(token) > TOKEN_MAX || *token == '\0'))
        return call_refuse(c, 400, "InvalidParameterValue",
                           "Value (%s) for parameter clientToken is invalid. Length must be at most %d characters",
                           token, TOKEN_MAX);
    if (hops && (!parse_uint(hops, 64, &r->hops) || r->hops == 0))
        return call_refuse(c, 400, "InvalidParameterValue",
                           "Value (%s) for parameter HttpPutResponseHopLimit is invalid.", hops);
    if (name && arn)
        return call_refuse(
            c, 400, "InvalidParameterCombination",
            "The parameters iamInstanceProfile.arn and iamInstanceProfile.name may not be used together");
    if (key && !str_eq(key, "sim-key"))
        return call_refuse(c, 400, "InvalidKeyPair.NotFound", "The key pair '%s' does not exist", key);
    if (arn && !str_starts(arn, "arn:aws:iam::"))
        return call_refuse(
            c, 400, "InvalidParameterValue",
            "Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN", arn);
    if (name || arn)
        r->profile = name ? xasprintf("arn:aws:iam::%s:instance-profile/%s", aws_account, name) : xstrdup(arn);
    return call_one_of(c, "InstanceInitiatedShutdownBehavior", "stop terminate") &&
           call_one_of(c, "MetadataOptions.HttpTokens", "optional required") &&
           call_one_of(c, "MetadataOptions.HttpEndpoint", "enabled disabled") &&
           call_one_of(c, "MetadataOptions.HttpProtocolIpv6", "enabled disabled") &&
           call_one_of(c, "MetadataOptions.InstanceMetadataTags", "enabled disabled") &&
           call_one_of(c, "Placement.Tenancy", "default dedicated host") && check_market(c, r);
}

static bool check_devices(struct call *c, const struct image *image)
{
    const char *device;
    for (unsigned n = 1; call_has(c, "BlockDeviceMapping.") && n <= 64; n++) {
        AUTO_FREE char *type = xasprintf("BlockDeviceMapping.%u.Ebs.VolumeType", n);
        AUTO_FREE char *below = xasprintf("BlockDeviceMapping.%u.", n);
        if (!call_has(c, below))
            break;
        if ((device = call_param_n(c, "BlockDeviceMapping.%u.DeviceName", n)) == NULL)
            return call_refuse(c, 400, "MissingParameter", "The request must contain the parameter deviceName");
        const char *size = call_param_n(c, "BlockDeviceMapping.%u.Ebs.VolumeSize", n);
        uint64_t gib;
        if (size && (!parse_uint(size, 65536, &gib) || gib == 0))
            return call_refuse(c, 400, "InvalidParameterValue", "Value (%s) for parameter volumeSize is invalid.",
                               size);
        if (size && gib < (uint64_t)image->gib && str_eq(device, image->root_device))
            return call_refuse(c, 400, "InvalidBlockDeviceMapping",
                               "Volume of size %sGB is smaller than snapshot '%s', expect size>= %" PRId64 "GB", size,
                               image->snapshot, image->gib);
        if (!call_one_of(c, type, "standard io1 io2 gp2 gp3 sc1 st1"))
            return false;
    }
    return true;
}

/* Every parameter but the token and DryRun: what must be the same when a token comes again. */
static char *fingerprint(const struct call *c)
{
    AUTO_STRBUF all = STRBUF_INIT;
    const struct pairs *form = &c->request->form;
    for (size_t i = 0; i < form->n; i++)
        if (!str_eq(form->v[2 * i], "ClientToken") && !str_eq(form->v[2 * i], "DryRun"))
            strbuf_addf(&all, "%s=%s\n", form->v[2 * i], form->v[2 * i + 1]);
    return strbuf_steal(&all);
}

static bool check_run(struct call *c, struct run *r)
{
    const char *image = call_param(c, "ImageId");
    if (!image_check(c, image))
        return false;
    r->image = world_image(c->sim, image);
    r->parameters = fingerprint(c);
    bool spot = str_eq(call_param(c, "InstanceMarketOptions.MarketType"), "spot");
    const char *kinds =
        spot ? "instance volume network-interface spot-instances-request" : "instance volume network-interface";
    if (!str_eq(image_state(c->sim, r->image), "available"))
        return call_refuse(c, 400, "InvalidAMIID.Unavailable", "The image id '[%s]' is not available", image);
    return check_counts(c, r) && check_type(c, r) && check_place(c, r) && check_user_data(c, r) &&
           check_options(c, r) && check_devices(c, r->image) && tags_take(c, kinds, "instance", &r->tags) &&
           tags_take(c, kinds, "volume", &r->volume_tags) &&
           tags_take(c, kinds, "spot-instances-request", &r->spot_tags);
}

static void answer_run(struct call *c, const char *reservation)
{
    struct strbuf *out = &c->res->body;
    call_begin(c);
    element(out, "reservationId", reservation);
    element(out, "ownerId", aws_account);
    strbuf_adds(out, "<groupSet/><instancesSet>");
    for (size_t n = 0; n < c->sim->n_instances; n++)
        if (str_eq(c->sim->instances[n]->reservation, reservation))
            instance_write(c->sim, out, c->sim->instances[n]);
    strbuf_adds(out, "</instancesSet>");
    call_end(c);
}

/* The token again: the same instances again. True: it was there, and the request is answered. */
static bool answer_token(struct call *c, const struct run *r)
{
    const char *token = call_param(c, "ClientToken");
    for (size_t n = 0; token && n < c->sim->n_tokens; n++) {
        const struct client_token *t = &c->sim->tokens[n];
        if (!str_eq(t->token, token) || !str_eq(t->region, c->region) || !str_eq(t->zone, r->token_zone))
            continue;
        bool there = false;
        for (size_t i = 0; i < c->sim->n_instances; i++)
            there = there || (str_eq(c->sim->instances[i]->reservation, t->reservation) &&
                              !instance_is(c->sim->instances[i], "terminated"));
        if (!str_eq(t->parameters, r->parameters))
            call_refuse(
                c, 400, "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).");
        else if (!there)
            call_refuse(c, 400, "IdempotentInstanceTerminated",
                        "The client token you have provided is associated with a resource that is already deleted.");
        else
            answer_run(c, t->reservation);
        return true;
    }
    return false;
}

static void set_volume(const struct call *c, struct volume *v, unsigned n)
{
    const char *size = call_param_n(c, "BlockDeviceMapping.%u.Ebs.VolumeSize", n);
    const char *type = call_param_n(c, "BlockDeviceMapping.%u.Ebs.VolumeType", n);
    const char *deletes = call_param_n(c, "BlockDeviceMapping.%u.Ebs.DeleteOnTermination", n);
    uint64_t gib;
    if (size && parse_uint(size, 65536, &gib))
        v->size = (int64_t)gib;
    if (type)
        str_set(&v->type, type);
    if (deletes)
        v->delete_on_termination = is_true(deletes);
}

static void add_volumes(struct call *c, const struct run *r, const struct instance *i)
{
    struct volume *root = world_add_volume(c->sim, c->region, r->zone, i->id);
    const char *device;
    str_set(&root->device, r->image->root_device);
    str_set(&root->type, "gp3");
    root->size = r->image->gib;
    pairs_copy(&root->tags, &r->volume_tags);
    for (unsigned n = 1; (device = call_param_n(c, "BlockDeviceMapping.%u.DeviceName", n)) != NULL; n++) {
        struct volume *v = root;
        if (call_param_n(c, "BlockDeviceMapping.%u.NoDevice", n) ||
            call_param_n(c, "BlockDeviceMapping.%u.VirtualName", n))
            continue;
        if (!str_eq(device, r->image->root_device)) {
            v = world_add_volume(c->sim, c->region, r->zone, i->id);
            str_set(&v->device, device);
            str_set(&v->type, "gp2");
            pairs_copy(&v->tags, &r->volume_tags);
        }
        set_volume(c, v, n);
    }
}

static char *add_spot_request(struct call *c, const struct run *r, const struct instance *i)
{
    struct sim *s = c->sim;
    struct spot_request *q = xcalloc(1, sizeof(*q));
    q->id = sim_random_id("sir-", 8);
    str_set(&q->region, c->region);
    str_set(&q->instance, i->id);
    str_set(&q->type, i->type);
    str_set(&q->image, i->image);
    q->created = sim_now(s);
    pairs_copy(&q->tags, &r->spot_tags);
    ROW_ADD(s->spot_requests, s->n_spot_requests, q);
    return xstrdup(q->id);
}

static void set_or(char **p, const char *value, const char *fallback)
{
    str_set(p, value ? value : fallback);
}

static void add_instance(struct call *c, const struct run *r, const char *reservation, int64_t index)
{
    struct sim *s = c->sim;
    struct instance *i = xcalloc(1, sizeof(*i));
    i->id = sim_random_id("i-", ID_DIGITS);
    i->address = 4 + s->next_instance++ % SUBNET_SIZE;
    i->index = index;
    str_set(&i->reservation, reservation);
    str_set(&i->region, c->region);
    str_set(&i->image, r->image->id);
    str_set(&i->type, call_param(c, "InstanceType"));
    str_set(&i->subnet, r->subnet->id);
    str_set(&i->zone, r->zone);
    str_set(&i->client_token, call_param(c, "ClientToken"));
    str_set(&i->profile, r->profile);
    str_set(&i->key_name, call_param(c, "KeyName"));
    str_set(&i->root_device, r->image->root_device);
    set_or(&i->http_tokens, call_param(c, "MetadataOptions.HttpTokens"), "optional");
    set_or(&i->http_endpoint, call_param(c, "MetadataOptions.HttpEndpoint"), "enabled");
    set_or(&i->metadata_tags, call_param(c, "MetadataOptions.InstanceMetadataTags"), "disabled");
    for (size_t g = 0; g < r->groups.n; g++)
        strlist_add(&i->groups, r->groups.v[g]);
    i->architecture = r->type.architecture;
    i->vcpus = r->type.vcpus;
    i->hops = (int64_t)r->hops;
    i->associate_public = r->associate_public;
    i->protect = is_true(call_param(c, "DisableApiTermination"));
    i->baked = r->image->baked;
    i->stop_on_shutdown = !r->one_time && !str_eq(call_param(c, "InstanceInitiatedShutdownBehavior"), "terminate");
    i->user_data = STRBUF_INIT;
    strbuf_add(&i->user_data, r->user_data.data, r->user_data.len);
    i->console = STRBUF_MAX(SIM_CONSOLE_MAX);
    i->console_fd = -1;
    i->state = "pending";
    i->reason_code = i->reason_message = "pending";
    i->launched = sim_now(s);
    i->running_at = i->launched + s->options.boot;
    pairs_copy(&i->tags, &r->tags);
    add_volumes(c, r, i);
    if (r->spot)
        i->spot_request = add_spot_request(c, r, i);
    ROW_ADD(s->instances, s->n_instances, i);
}

static void remember_token(struct call *c, const struct run *r, const char *reservation)
{
    struct sim *s = c->sim;
    if (!call_param(c, "ClientToken"))
        return;
    struct client_token t = { .token = xstrdup(call_param(c, "ClientToken")),
                              .region = xstrdup(c->region),
                              .zone = xstrdup(r->token_zone),
                              .parameters = xstrdup(r->parameters),
                              .reservation = xstrdup(reservation) };
    ROW_ADD(s->tokens, s->n_tokens, t);
}

void ec2_run_instances(struct call *c)
{
    CLEANUP(run_clear) struct run r = { 0 };
    if (!check_run(c, &r) || answer_token(c, &r) || !call_is_wet(c))
        return;
    uint64_t room = subnet_free(c->sim, r.subnet);
    if (room < r.min) {
        call_refuse(c, 400, "InsufficientFreeAddressesInSubnet",
                    "There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.",
                    r.subnet->id);
        return;
    }
    AUTO_FREE char *reservation = sim_random_id("r-", ID_DIGITS);
    for (uint64_t n = 0; n < (r.max < room ? r.max : room); n++)
        add_instance(c, &r, reservation, (int64_t)n);
    remember_token(c, &r, reservation);
    answer_run(c, reservation);
}
