/* Instances: how they are described, and how their states change. */
#include <inttypes.h>
#include <stdio.h>

#include "aws.h"
#include "describe.h"
#include "ec2.h"
#include "sim.h"
#include "world_instances.h"
#include "world_resources.h"

#include "mayfly/util/encode.h"

/* --- one instance as XML ------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    int code;
} state_codes[] = { { "pending", 0 },     { "running", 16 },  { "shutting-down", 32 },
                    { "terminated", 48 }, { "stopping", 64 }, { "stopped", 80 } };

/* What a lagging replica shows. */
static const char *shown_state(const struct sim *s, const struct instance *i)
{
    bool ends = instance_is(i, "shutting-down") || instance_is(i, "stopping") || instance_is(i, "terminated");
    int64_t changed = ends ? i->change_at - s->options.terminate_delay : i->running_at;
    if (instance_is(i, "pending") || sim_is_seen(s, changed, s->lag.ec2))
        return i->state;
    return ends ? "running" : "pending";
}

static int state_code(const char *state)
{
    for (size_t i = 0; i < ARRAY_SIZE(state_codes); i++)
        if (str_eq(state_codes[i].name, state))
            return state_codes[i].code;
    return 0;
}

static void state_element(struct strbuf *out, const char *name, const char *state)
{
    strbuf_addf(out, "<%s><code>%d</code><name>%s</name></%s>", name, state_code(state), state, name);
}

static void write_groups(const struct sim *s, struct strbuf *out, const struct strlist *ids)
{
    element_open(out, "groupSet");
    for (size_t i = 0; i < ids->n; i++) {
        const struct security_group *g = world_group(s, ids->v[i]);
        element_open(out, "item");
        element(out, "groupId", ids->v[i]);
        element(out, "groupName", g ? g->name : "");
        element_close(out, "item");
    }
    element_close(out, "groupSet");
}

static void write_volumes(const struct sim *s, struct strbuf *out, const struct instance *i)
{
    element_open(out, "blockDeviceMapping");
    for (size_t n = 0; n < s->n_volumes; n++) {
        const struct volume *v = s->volumes[n];
        if (!str_eq(v->instance, i->id))
            continue;
        strbuf_adds(out, "<item>");
        element(out, "deviceName", v->device);
        element_open(out, "ebs");
        element(out, "volumeId", v->id);
        element(out, "status", instance_is(i, "pending") ? "attaching" : "attached");
        element_time(out, "attachTime", v->created);
        element_bool(out, "deleteOnTermination", v->delete_on_termination);
        element_close(out, "ebs");
        strbuf_adds(out, "</item>");
    }
    element_close(out, "blockDeviceMapping");
}

static void write_interface(const struct sim *s, struct strbuf *out, const struct instance *i, const char *address)
{
    const struct subnet *subnet = world_subnet(s, i->subnet);
    AUTO_FREE char *open = instance_public_address(i);
    strbuf_adds(out, "<networkInterfaceSet><item>");
    strbuf_addf(out, "<networkInterfaceId>eni-%s</networkInterfaceId>", i->id + 2);
    element(out, "subnetId", i->subnet);
    element(out, "vpcId", subnet ? subnet->vpc : NULL);
    element(out, "ownerId", sim_account);
    element(out, "status", "in-use");
    element(out, "privateIpAddress", address);
    write_groups(s, out, &i->groups);
    strbuf_addf(out,
                "<attachment><attachmentId>eni-attach-%s</attachmentId><deviceIndex>0</deviceIndex><status>attached"
                "</status><deleteOnTermination>true</deleteOnTermination></attachment>",
                i->id + 2);
    if (open)
        strbuf_addf(out, "<association><publicIp>%s</publicIp><ipOwnerId>amazon</ipOwnerId></association>", open);
    strbuf_adds(out, "</item></networkInterfaceSet>");
}

static void write_metadata_options(struct strbuf *out, const struct instance *i)
{
    element_open(out, "metadataOptions");
    element(out, "state", instance_is(i, "pending") ? "pending" : "applied");
    element(out, "httpTokens", i->http_tokens);
    element_int(out, "httpPutResponseHopLimit", i->hops);
    element(out, "httpEndpoint", i->http_endpoint);
    element(out, "httpProtocolIpv6", i->http_ipv6);
    element(out, "instanceMetadataTags", i->metadata_tags);
    element_close(out, "metadataOptions");
}

static void write_network(const struct sim *s, struct strbuf *out, const struct instance *i)
{
    AUTO_FREE char *address = instance_address(s, i), *open = instance_public_address(i);
    const struct subnet *subnet = world_subnet(s, i->subnet);
    if (address) {
        element(out, "subnetId", i->subnet);
        element(out, "vpcId", subnet->vpc);
        element(out, "privateIpAddress", address);
        element(out, "ipAddress", open);
        write_groups(s, out, &i->groups);
        write_interface(s, out, i, address);
    }
    AUTO_FREE char *name =
        address ? xasprintf("ip-10-0-%" PRId64 "-%" PRId64 ".ec2.internal", subnet->net, i->address) : xstrdup("");
    element(out, "privateDnsName", name);
    element(out, "dnsName", "");
}

static void write_placement(struct strbuf *out, const struct instance *i)
{
    element_open(out, "placement");
    element(out, "availabilityZone", i->zone);
    element(out, "groupName", i->placement_group ? i->placement_group : "");
    element(out, "tenancy", i->tenancy);
    element(out, "hostId", i->host);
    element_close(out, "placement");
}

static void write_reason(struct strbuf *out, const struct instance *i)
{
    element(out, "reason", i->transition ? i->transition : "");
    if (!i->reason_code)
        return;
    element_open(out, "stateReason");
    element(out, "code", i->reason_code);
    element(out, "message", i->reason_message);
    element_close(out, "stateReason");
}

static void write_profile(struct strbuf *out, const struct instance *i)
{
    if (!i->profile)
        return;
    element_open(out, "iamInstanceProfile");
    element(out, "arn", i->profile);
    element(out, "id", "AIPASIMULATED00000001");
    element_close(out, "iamInstanceProfile");
}

void instance_write(const struct sim *s, struct strbuf *out, const struct instance *i)
{
    element_open(out, "item");
    element(out, "instanceId", i->id);
    element(out, "imageId", i->image);
    state_element(out, "instanceState", shown_state(s, i));
    element(out, "keyName", i->key_name);
    element_int(out, "amiLaunchIndex", i->index);
    strbuf_adds(out, "<productCodes/>");
    element(out, "instanceType", i->type);
    element_time(out, "launchTime", i->launched);
    write_placement(out, i);
    strbuf_addf(out, "<monitoring><state>%s</state></monitoring>", i->monitoring ? "enabled" : "disabled");
    write_network(s, out, i);
    element_bool(out, "sourceDestCheck", true);
    write_reason(out, i);
    element(out, "architecture", i->architecture);
    element(out, "rootDeviceType", "ebs");
    element(out, "rootDeviceName", i->root_device);
    write_volumes(s, out, i);
    element(out, "virtualizationType", "hvm");
    element(out, "clientToken", i->client_token ? i->client_token : "");
    tags_write(out, &i->tags);
    element(out, "hypervisor", "xen");
    write_profile(out, i);
    element(out, "instanceLifecycle", i->spot_request ? "spot" : NULL);
    element(out, "spotInstanceRequestId", i->spot_request);
    element_bool(out, "ebsOptimized", i->ebs_optimized);
    element_bool(out, "enaSupport", true);
    strbuf_addf(out, "<cpuOptions><coreCount>%" PRId64 "</coreCount><threadsPerCore>1</threadsPerCore></cpuOptions>",
                i->vcpus);
    write_metadata_options(out, i);
    element_close(out, "item");
}

/* --- instances ---------------------------------------------------------------------------------------------------- */

static const struct pairs *instance_tags(const void *row)
{
    return &((const struct instance *)row)->tags;
}

static void instance_values(const struct call *c, const void *row, const char *name, struct strlist *ret)
{
    const struct instance *i = row;
    const struct subnet *subnet = world_subnet(c->sim, i->subnet);
    const char *state = shown_state(c->sim, i);
    AUTO_FREE char *code = xasprintf("%d", state_code(state));
    const struct fact known[] = {
        { "instance-id", i->id },
        { "instance-state-name", state },
        { "instance-state-code", code },
        { "client-token", i->client_token },
        { "subnet-id", i->subnet },
        { "instance-type", i->type },
        { "image-id", i->image },
        { "availability-zone", i->zone },
        { "reservation-id", i->reservation },
        { "architecture", i->architecture },
        { "vpc-id", subnet ? subnet->vpc : NULL },
        { "owner-id", sim_account },
        { "instance-lifecycle", i->spot_request ? "spot" : NULL },
        { "spot-instance-request-id", i->spot_request },
        { "state-reason-code", i->reason_code },
        { "key-name", i->key_name },
    };
    facts_add(known, ARRAY_SIZE(known), name, ret);
    for (size_t g = 0; str_eq(name, "instance.group-id") && g < i->groups.n; g++)
        strlist_add(ret, i->groups.v[g]);
}

static const struct resource instance_resource = {
    .ids = "InstanceId",
    .set = "reservationSet",
    .filters = "instance-id instance-state-name instance-state-code client-token subnet-id instance-type image-id "
               "availability-zone reservation-id architecture vpc-id owner-id instance-lifecycle "
               "spot-instance-request-id state-reason-code key-name instance.group-id",
    .values = instance_values,
    .tags = instance_tags,
};

bool instances_check(struct call *c, const struct strlist *ids)
{
    AUTO_STRLIST missing = { 0 };
    for (size_t n = 0; n < ids->n; n++) {
        if (!aws_is_id(ids->v[n], "i-"))
            return call_refuse(c, 400, "InvalidInstanceID.Malformed", "Invalid id: \"%s\"", ids->v[n]);
        const struct instance *i = world_instance(c->sim, ids->v[n]);
        if (!IS_HERE(c, i) || !instance_is_seen(c->sim, i))
            strlist_add(&missing, ids->v[n]);
    }
    if (missing.n == 0)
        return true;
    AUTO_FREE char *all = strlist_join(&missing, ", ");
    return call_refuse(c, 400, "InvalidInstanceID.NotFound",
                       missing.n == 1 ? "The instance ID '%s' does not exist" : "The instance IDs '%s' do not exist",
                       all);
}

void ec2_describe_instances(struct call *c)
{
    CLEANUP(listing_clear) struct listing l = { 0 };
    struct strbuf *out = &c->res->body;
    if (!listing_begin(c, &instance_resource, &l) || !instances_check(c, &l.ids))
        return;
    listing_open(c, &l);
    const char *reservation = NULL;
    for (size_t n = 0; n < c->sim->n_instances; n++) {
        const struct instance *i = c->sim->instances[n];
        if (!str_eq(i->region, c->region) || !instance_is_seen(c->sim, i) || !listing_takes(c, &l, i->id, i))
            continue;
        if (!str_eq(reservation, i->reservation)) {
            if (reservation)
                strbuf_adds(out, "</instancesSet></item>");
            strbuf_adds(out, "<item>");
            element(out, "reservationId", i->reservation);
            element(out, "ownerId", sim_account);
            strbuf_adds(out, "<groupSet/><instancesSet>");
            reservation = i->reservation;
        }
        instance_write(c->sim, out, i);
    }
    if (reservation)
        strbuf_adds(out, "</instancesSet></item>");
    listing_close(c, &l);
}

static bool refuse_state(struct call *c, const struct instance *i, const char *what)
{
    return call_refuse(c, 400, "IncorrectInstanceState", "The instance '%s' is not in a state from which it can be %s.",
                       i->id, what);
}

static bool can_terminate(struct call *c, const struct instance *i)
{
    return !i->protect || !instance_is_live(i) ||
           call_refuse(
               c, 400, "OperationNotPermitted",
               "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and "
               "try again.",
               i->id);
}

static bool can_stop(struct call *c, const struct instance *i)
{
    if (i->spot_request)
        return call_refuse(
            c, 400, "UnsupportedOperation",
            "You can't stop the Spot Instance '%s' because it is associated with a one-time Spot Instance "
            "request. You can only stop Spot Instances associated with persistent Spot Instance requests.",
            i->id);
    return instance_is(i, "running") || instance_is(i, "stopping") || instance_is(i, "stopped") ||
           refuse_state(c, i, "stopped");
}

static bool can_start(struct call *c, const struct instance *i)
{
    return instance_is(i, "stopped") || instance_is(i, "running") || instance_is(i, "pending") ||
           refuse_state(c, i, "started");
}

static void terminate(struct sim *s, struct instance *i)
{
    world_shutdown(s, i, "Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown");
}

static void stop(struct sim *s, struct instance *i)
{
    if (instance_is(i, "running"))
        world_stop(s, i);
}

static void start(struct sim *s, struct instance *i)
{
    if (!instance_is(i, "stopped"))
        return;
    i->state = "pending";
    i->reason_code = i->reason_message = "pending";
    i->change_at = i->dead_at = 0;
    i->launched = sim_now(s);
    i->running_at = i->launched + s->options.boot;
}

static const struct {
    const char *action;
    bool (*can)(struct call *, const struct instance *);
    void (*apply)(struct sim *, struct instance *);
} changes[] = {
    { "TerminateInstances", can_terminate, terminate },
    { "StopInstances", can_stop, stop },
    { "StartInstances", can_start, start },
};

void ec2_change_states(struct call *c)
{
    struct strbuf *out = &c->res->body;
    AUTO_STRLIST ids = { 0 };
    size_t change = 0;
    while (!str_eq(changes[change].action, c->action))
        change++;
    call_list(c, "InstanceId", &ids);
    if (ids.n == 0) {
        call_refuse(c, 400, "MissingParameter", "The request must contain the parameter InstanceId");
        return;
    }
    if (!instances_check(c, &ids))
        return;
    for (size_t n = 0; n < ids.n; n++) /* one that cannot, and none does */
        if (!changes[change].can(c, world_instance(c->sim, ids.v[n])))
            return;
    if (!call_is_wet(c))
        return;
    call_begin(c);
    element_open(out, "instancesSet");
    for (size_t n = 0; n < ids.n; n++) {
        struct instance *i = world_instance(c->sim, ids.v[n]);
        const char *before = i->state;
        changes[change].apply(c->sim, i);
        element_open(out, "item");
        element(out, "instanceId", i->id);
        state_element(out, "currentState", i->state);
        state_element(out, "previousState", before);
        element_close(out, "item");
    }
    element_close(out, "instancesSet");
    call_end(c);
}

void ec2_get_console_output(struct call *c)
{
    AUTO_STRLIST ids = { 0 };
    AUTO_STRBUF text = STRBUF_INIT;
    const char *id = call_param(c, "InstanceId");
    if (!id) {
        call_refuse(c, 400, "MissingParameter", "The request must contain the parameter InstanceId");
        return;
    }
    strlist_add(&ids, id);
    if (!instances_check(c, &ids) || !call_is_wet(c))
        return;
    const struct instance *i = world_instance(c->sim, id);
    encode_base64(&text, strbuf_str(&i->console), i->console.len);
    call_begin(c);
    element(&c->res->body, "instanceId", id);
    element_time(&c->res->body, "timestamp", sim_now(c->sim));
    element(&c->res->body, "output", strbuf_str(&text));
    call_end(c);
}
