/* EC2's Query protocol and STS's GetCallerIdentity. */
#include <ctype.h>
#include <fnmatch.h>

#include "sim.h"

#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"

enum { USER_DATA_MAX = 16384, PAGE_MIN = 5, PAGE_MAX = 1000, CONSOLE_MAX = 65536 };
static const char account[] = "123456789012";

static const struct image {
    const char *id, *name, *architecture, *runner_version;
} images[] = {
    { "ami-0a11ce00000000001", "ubuntu-noble-24.04-amd64-server", "x86_64", NULL },
    { "ami-0a11ce00000000002", "ubuntu-noble-24.04-arm64-server", "arm64", NULL },
    { "ami-0a11ce00000000003", "mayfly-amd64", "x86_64", "2.337.0" },
};
static const struct {
    const char *id, *zone;
} subnets[] = { { "subnet-0a11ce01", "a" }, { "subnet-0a11ce02", "b" }, { "subnet-0a11ce03", "c" } };
static const char *const groups[] = { "sg-0a11ce01", "sg-0a11ce02" };
static const struct {
    const char *family, *architecture;
} families[] = {
    { "t3", "x86_64" },  { "m5", "x86_64" },  { "c5", "x86_64" },  { "m6i", "x86_64" },  { "m7i", "x86_64" },
    { "c7i", "x86_64" }, { "m7a", "x86_64" }, { "c7a", "x86_64" }, { "g4dn", "x86_64" }, { "g5", "x86_64" },
    { "t4g", "arm64" },  { "m6g", "arm64" },  { "m7g", "arm64" },  { "c7g", "arm64" },   { "g5g", "arm64" },
};
static const char *const sizes[] = { "micro", "small", "medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge" };

struct call { /* one request to a service */
    struct sim *sim;
    struct pairs form;
    const char *action;
    char *region;
    struct response *res;
};

static void add_escaped(struct strbuf *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<':
            strbuf_adds(out, "&lt;");
            break;
        case '>':
            strbuf_adds(out, "&gt;");
            break;
        case '&':
            strbuf_adds(out, "&amp;");
            break;
        case '"':
            strbuf_adds(out, "&quot;");
            break;
        default:
            strbuf_addc(out, *text);
        }
    }
}

/* <name>text</name>; NULL text writes nothing. */
static void element(struct strbuf *out, const char *name, const char *text)
{
    if (!text)
        return;
    strbuf_addf(out, "<%s>", name);
    add_escaped(out, text);
    strbuf_addf(out, "</%s>", name);
}

static void request_id(struct strbuf *out, const char *name)
{
    AUTO_FREE char *id = sim_random_id("", 32);
    strbuf_addf(out, "<%s>%.8s-%.4s-%.4s-%.4s-%.12s</%s>", name, id, id + 8, id + 12, id + 16, id + 20, name);
}

static void fail(struct call *c, int status, const char *code, const char *fmt, ...) PRINTF_LIKE(4, 5);
static void fail(struct call *c, int status, const char *code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *message = xvasprintf(fmt, ap);
    va_end(ap);
    struct strbuf *out = &c->res->body;
    bool sts = str_eq(c->res->service, "sts");
    strbuf_clear(out);
    strbuf_adds(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    strbuf_adds(out,
                sts ? "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>"
                    : "<Response><Errors><Error>");
    element(out, "Code", code);
    element(out, "Message", message);
    strbuf_adds(out, sts ? "</Error>" : "</Error></Errors>");
    request_id(out, sts ? "RequestId" : "RequestID");
    strbuf_adds(out, sts ? "</ErrorResponse>" : "</Response>");
    c->res->status = status;
    str_set(&c->res->code, code);
}

static const char *param(const struct call *c, const char *name)
{
    return pairs_get(&c->form, name);
}

static const char *param_n(const struct call *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static const char *param_n(const struct call *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *name = xvasprintf(fmt, ap);
    va_end(ap);
    return param(c, name);
}

static void list_param(const struct call *c, const char *name, struct strlist *ret)
{
    const char *value;
    for (unsigned i = 1; (value = param_n(c, "%s.%u", name, i)) != NULL; i++)
        strlist_add(ret, value);
}

static void begin(struct call *c)
{
    strbuf_addf(&c->res->body,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<%sResponse "
                "xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">",
                c->action);
    request_id(&c->res->body, "requestId");
}

static void end(struct call *c)
{
    strbuf_addf(&c->res->body, "</%sResponse>", c->action);
}

static void tag_set(struct strbuf *out, const struct pairs *tags)
{
    strbuf_adds(out, "<tagSet>");
    for (size_t i = 0; i < tags->n; i++) {
        strbuf_adds(out, "<item>");
        element(out, "key", tags->v[2 * i]);
        element(out, "value", tags->v[2 * i + 1]);
        strbuf_adds(out, "</item>");
    }
    strbuf_adds(out, "</tagSet>");
}

static int state_code(const char *state)
{
    static const struct {
        const char *name;
        int code;
    } codes[] = { { "pending", 0 },     { "running", 16 },  { "shutting-down", 32 },
                  { "terminated", 48 }, { "stopping", 64 }, { "stopped", 80 } };
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (str_eq(codes[i].name, state))
            return codes[i].code;
    return 0;
}

static void state_element(struct strbuf *out, const char *name, const char *state)
{
    strbuf_addf(out, "<%s><code>%d</code><name>%s</name></%s>", name, state_code(state), state, name);
}

static void write_instance(struct strbuf *out, const struct instance *i)
{
    strbuf_adds(out, "<item>");
    element(out, "instanceId", i->id);
    element(out, "imageId", i->image);
    state_element(out, "instanceState", i->state);
    element(out, "privateDnsName", instance_is_live(i) ? "ip-10-0-0-4.ec2.internal" : "");
    element(out, "amiLaunchIndex", "0");
    element(out, "instanceType", i->type);
    element(out, "launchTime", clock_rfc3339(i->launched / 1000).s);
    strbuf_adds(out, "<placement>");
    element(out, "availabilityZone", i->zone);
    strbuf_adds(out, "<tenancy>default</tenancy></placement><monitoring><state>disabled</state></monitoring>");
    if (instance_is_live(i))
        element(out, "subnetId", i->subnet);
    if (i->reason_code) {
        strbuf_adds(out, "<stateReason>");
        element(out, "code", i->reason_code);
        element(out, "message", i->reason_message);
        strbuf_adds(out, "</stateReason>");
    }
    element(out, "architecture", "x86_64");
    element(out, "rootDeviceName", "/dev/sda1");
    strbuf_adds(out, "<blockDeviceMapping>");
    if (i->volume) {
        strbuf_adds(out, "<item><deviceName>/dev/sda1</deviceName><ebs>");
        element(out, "volumeId", i->volume);
        strbuf_addf(out, "<status>attached</status><deleteOnTermination>%s</deleteOnTermination></ebs></item>",
                    i->keep_volume ? "false" : "true");
    }
    strbuf_adds(out, "</blockDeviceMapping>");
    element(out, "instanceLifecycle", i->spot_request ? "spot" : NULL);
    element(out, "spotInstanceRequestId", i->spot_request);
    element(out, "clientToken", i->client_token ? i->client_token : "");
    tag_set(out, &i->tags);
    strbuf_adds(out, "</item>");
}

/* --- RunInstances ------------------------------------------------------------------------------------------------- */

static const struct image *find_image(const char *id)
{
    for (size_t i = 0; id && i < ARRAY_SIZE(images); i++)
        if (str_eq(images[i].id, id))
            return &images[i];
    return NULL;
}

/* The architecture of a type, or NULL: no such type. */
static const char *type_architecture(const char *type)
{
    const char *dot = strchr(type, '.');
    for (size_t f = 0; dot && f < ARRAY_SIZE(families); f++) {
        if (strlen(families[f].family) != (size_t)(dot - type) || !str_starts(type, families[f].family))
            continue;
        for (size_t n = 0; n < ARRAY_SIZE(sizes); n++)
            if (str_eq(dot + 1, sizes[n]))
                return families[f].architecture;
    }
    return NULL;
}

static void take_tags(const struct call *c, const char *resource, struct pairs *ret)
{
    const char *type;
    for (unsigned s = 1; (type = param_n(c, "TagSpecification.%u.ResourceType", s)) != NULL; s++) {
        const char *key;
        for (unsigned t = 1;
             str_eq(type, resource) && (key = param_n(c, "TagSpecification.%u.Tag.%u.Key", s, t)) != NULL; t++) {
            const char *value = param_n(c, "TagSpecification.%u.Tag.%u.Value", s, t);
            pairs_set(ret, key, value ? value : "");
        }
    }
}

static bool check_image_id(struct call *c, const char *id)
{
    if (str_empty(id))
        fail(c, 400, "MissingParameter", "The request must contain the parameter ImageId");
    else if (!str_starts(id, "ami-"))
        fail(c, 400, "InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id);
    else if (!find_image(id))
        fail(c, 400, "InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id);
    else
        return true;
    return false;
}

static bool check_run(struct call *c, const char *subnet, const struct strlist *sgs, char *ret_zone)
{
    const char *image = param(c, "ImageId"), *type = param(c, "InstanceType");
    const char *min = param(c, "MinCount"), *max = param(c, "MaxCount"), *token = param(c, "ClientToken");
    if (!check_image_id(c, image))
        return false;
    if (!str_eq(min, "1") || !str_eq(max, "1"))
        return fail(c, 400, "InvalidParameterValue", "this simulator launches one instance a request"), false;
    if (token && strlen(token) > 64)
        return fail(c, 400, "InvalidParameterValue", "Client token is longer than 64 characters"), false;
    const char *architecture = type_architecture(type ? type : "");
    if (!architecture)
        return fail(c, 400, "InvalidParameterValue", "Invalid value '%s' for InstanceType.", type ? type : ""), false;
    if (!str_eq(architecture, find_image(image)->architecture))
        return fail(c, 400, "InvalidParameterValue",
                    "The architecture '%s' of the specified instance type does not match the architecture '%s' of the "
                    "specified AMI. Specify an instance type and an AMI that have matching architectures, and try "
                    "again.",
                    architecture, find_image(image)->architecture),
               false;
    *ret_zone = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(subnets); i++)
        if (str_eq(subnets[i].id, subnet))
            *ret_zone = subnets[i].zone[0];
    if (!*ret_zone)
        return fail(c, 400, "InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", subnet ? subnet : ""),
               false;
    for (size_t i = 0; i < sgs->n; i++) {
        bool known = false;
        for (size_t g = 0; g < ARRAY_SIZE(groups); g++)
            known = known || str_eq(groups[g], sgs->v[i]);
        if (!known)
            return fail(c, 400, "InvalidGroup.NotFound", "The security group '%s' does not exist", sgs->v[i]), false;
    }
    return true;
}

/* Every parameter but the token and DryRun: what must be the same when a token comes again. */
static char *fingerprint(const struct call *c)
{
    AUTO_STRBUF all = STRBUF_INIT;
    for (size_t i = 0; i < c->form.n; i++)
        if (!str_eq(c->form.v[2 * i], "ClientToken") && !str_eq(c->form.v[2 * i], "DryRun"))
            strbuf_addf(&all, "%s=%s\n", c->form.v[2 * i], c->form.v[2 * i + 1]);
    return strbuf_steal(&all);
}

static void answer_run(struct call *c, const struct instance *i)
{
    struct strbuf *out = &c->res->body;
    AUTO_FREE char *reservation = sim_random_id("r-", 17);
    begin(c);
    element(out, "reservationId", reservation);
    element(out, "ownerId", account);
    strbuf_adds(out, "<groupSet/><instancesSet>");
    write_instance(out, i);
    strbuf_adds(out, "</instancesSet>");
    end(c);
}

static void add_volume(struct call *c, struct instance *i)
{
    const char *keep = NULL;
    for (unsigned n = 1; param_n(c, "BlockDeviceMapping.%u.DeviceName", n); n++)
        if (!keep)
            keep = param_n(c, "BlockDeviceMapping.%u.Ebs.DeleteOnTermination", n);
    i->volume = sim_random_id("vol-", 17);
    i->keep_volume = str_eq(keep, "false");
    take_tags(c, "volume", &i->volume_tags);
}

static void run_instances(struct call *c)
{
    const char *subnet = param(c, "SubnetId"), *token = param(c, "ClientToken"), *data = param(c, "UserData");
    AUTO_STRLIST sgs = { 0 };
    char zone;
    if (param(c, "NetworkInterface.1.DeviceIndex")) {
        if (subnet || param(c, "SecurityGroupId.1")) {
            fail(c, 400, "InvalidParameterCombination",
                 "Network interfaces and an instance-level subnet ID may not be specified on the same request");
            return;
        }
        subnet = param(c, "NetworkInterface.1.SubnetId");
        list_param(c, "NetworkInterface.1.SecurityGroupId", &sgs);
    } else {
        list_param(c, "SecurityGroupId", &sgs);
    }
    if (!check_run(c, subnet, &sgs, &zone))
        return;
    AUTO_STRBUF user_data = STRBUF_INIT;
    if (data && !decode_base64(&user_data, data, strlen(data))) {
        fail(c, 400, "InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.");
        return;
    }
    if (user_data.len > USER_DATA_MAX) {
        fail(c, 400, "InvalidParameterValue", "User data is limited to %d bytes", USER_DATA_MAX);
        return;
    }
    AUTO_FREE char *all = fingerprint(c), *az = xasprintf("%s%c", c->region, zone);
    for (size_t n = 0; token && n < c->sim->n_instances; n++) { /* tokens are zonal */
        const struct instance *i = c->sim->instances[n];
        if (!str_eq(i->client_token, token) || !str_eq(i->zone, az))
            continue;
        if (!str_eq(i->parameters, all))
            fail(c, 400, "IdempotentParameterMismatch",
                 "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).");
        else if (instance_is(i, "terminated"))
            fail(c, 400, "IdempotentInstanceTerminated",
                 "The client token you have provided is associated with a resource that is already deleted.");
        else
            answer_run(c, i);
        return;
    }
    if (str_eq(param(c, "DryRun"), "true")) {
        fail(c, 412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
        return;
    }
    struct instance *i = xcalloc(1, sizeof(*i));
    i->id = sim_random_id("i-", 17);
    str_set(&i->region, c->region);
    str_set(&i->image, param(c, "ImageId"));
    str_set(&i->type, param(c, "InstanceType"));
    str_set(&i->subnet, subnet);
    str_set(&i->client_token, token);
    i->zone = STEAL(az);
    i->parameters = STEAL(all);
    i->baked = find_image(i->image)->runner_version != NULL;
    i->stop_on_shutdown = !str_eq(param(c, "InstanceInitiatedShutdownBehavior"), "terminate");
    i->user_data = user_data;
    user_data = STRBUF_INIT;
    i->console = STRBUF_MAX(CONSOLE_MAX);
    i->console_fd = -1;
    i->state = "pending";
    i->launched = sim_now(c->sim);
    i->running_at = i->launched + c->sim->options.boot;
    take_tags(c, "instance", &i->tags);
    add_volume(c, i);
    if (str_eq(param(c, "InstanceMarketOptions.MarketType"), "spot"))
        i->spot_request = sim_random_id("sir-", 8);
    c->sim->instances = xreallocarray(c->sim->instances, c->sim->n_instances + 1, sizeof(*c->sim->instances));
    c->sim->instances[c->sim->n_instances++] = i;
    answer_run(c, i);
}

/* --- descriptions ------------------------------------------------------------------------------------------------- */

/* The value that a filter looks at; NULL: the instance has none. *ret_known: there is such a filter. */
static const char *filter_value(const struct instance *i, const char *name, bool *ret_known)
{
    const struct {
        const char *name, *value;
    } known[] = {
        { "instance-id", i->id },         { "instance-state-name", i->state }, { "client-token", i->client_token },
        { "subnet-id", i->subnet },       { "instance-type", i->type },        { "image-id", i->image },
        { "availability-zone", i->zone },
    };
    *ret_known = true;
    if (str_starts(name, "tag:"))
        return pairs_get(&i->tags, name + 4);
    for (size_t n = 0; n < ARRAY_SIZE(known); n++)
        if (str_eq(known[n].name, name))
            return known[n].value;
    *ret_known = false;
    return NULL;
}

/* -1: no such filter, and the answer is written. */
static int matches_filters(struct call *c, const struct instance *i)
{
    const char *name;
    for (unsigned f = 1; (name = param_n(c, "Filter.%u.Name", f)) != NULL; f++) {
        bool known, hit = false;
        const char *value = filter_value(i, name, &known), *pattern;
        if (!known)
            return fail(c, 400, "InvalidParameterValue", "The filter '%s' is invalid", name), -1;
        for (unsigned v = 1; (pattern = param_n(c, "Filter.%u.Value.%u", f, v)) != NULL; v++)
            hit = hit || (value && fnmatch(pattern, value, FNM_NOESCAPE) == 0);
        if (!hit)
            return 0;
    }
    return 1;
}

static bool check_instance_ids(struct call *c, const struct strlist *ids)
{
    for (size_t n = 0; n < ids->n; n++) {
        const struct instance *i = world_instance(c->sim, ids->v[n]);
        if (!str_starts(ids->v[n], "i-")) {
            fail(c, 400, "InvalidInstanceID.Malformed", "Invalid id: \"%s\"", ids->v[n]);
            return false;
        }
        if (!i || !str_eq(i->region, c->region)) {
            fail(c, 400, "InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", ids->v[n]);
            return false;
        }
    }
    return true;
}

static void describe_instances(struct call *c)
{
    AUTO_STRLIST ids = { 0 };
    AUTO_STRBUF rows = STRBUF_INIT;
    uint64_t max = UINT64_MAX, from = 0, seen = 0;
    const char *max_text = param(c, "MaxResults"), *token = param(c, "NextToken");
    list_param(c, "InstanceId", &ids);
    if (max_text && (!parse_uint(max_text, PAGE_MAX, &max) || max < PAGE_MIN || ids.n > 0)) {
        fail(c, 400, ids.n ? "InvalidParameterCombination" : "InvalidParameterValue",
             "The parameter MaxResults cannot be used with this request");
        return;
    }
    if (token && !(str_starts(token, "page+/") && parse_uint(token + 6, UINT32_MAX, &from))) {
        fail(c, 400, "InvalidParameterValue", "Invalid value for NextToken");
        return;
    }
    if (!check_instance_ids(c, &ids))
        return;
    for (size_t n = 0; n < c->sim->n_instances; n++) {
        const struct instance *i = c->sim->instances[n];
        if (!str_eq(i->region, c->region) || (ids.n > 0 && !strlist_has(&ids, i->id)))
            continue;
        int hit = matches_filters(c, i);
        if (hit < 0)
            return;
        if (!hit || seen++ < from || seen - from > max)
            continue;
        strbuf_addf(&rows, "<item><reservationId>r-%s</reservationId><ownerId>%s</ownerId><groupSet/><instancesSet>",
                    i->id + 2, account);
        write_instance(&rows, i);
        strbuf_adds(&rows, "</instancesSet></item>");
    }
    begin(c);
    strbuf_addf(&c->res->body, "<reservationSet>%s</reservationSet>", strbuf_str(&rows));
    if (max != UINT64_MAX && seen > from + max)
        strbuf_addf(&c->res->body, "<nextToken>page+/%llu</nextToken>", (unsigned long long)(from + max));
    end(c);
}

static void change_states(struct call *c)
{
    struct strbuf *out = &c->res->body;
    AUTO_STRLIST ids = { 0 };
    bool terminate = str_eq(c->action, "TerminateInstances");
    list_param(c, "InstanceId", &ids);
    if (ids.n == 0) {
        fail(c, 400, "MissingParameter", "The request must contain the parameter InstanceId");
        return;
    }
    if (!check_instance_ids(c, &ids))
        return;
    begin(c);
    strbuf_adds(out, "<instancesSet>");
    for (size_t n = 0; n < ids.n; n++) {
        struct instance *i = world_instance(c->sim, ids.v[n]);
        const char *before = i->state;
        if (terminate && (instance_is(i, "stopped") || instance_is(i, "stopping")))
            i->state = "running"; /* so that world_shutdown takes it on */
        if (terminate)
            world_shutdown(c->sim, i, "Client.UserInitiatedShutdown",
                           "Client.UserInitiatedShutdown: User initiated shutdown");
        else if (instance_is(i, "running")) {
            i->state = "stopping";
            i->change_at = sim_now(c->sim) + c->sim->options.terminate_delay;
        }
        strbuf_adds(out, "<item>");
        element(out, "instanceId", i->id);
        state_element(out, "currentState", i->state);
        state_element(out, "previousState", before);
        strbuf_adds(out, "</item>");
    }
    strbuf_adds(out, "</instancesSet>");
    end(c);
}

static void change_tags(struct call *c)
{
    AUTO_STRLIST ids = { 0 };
    const char *key;
    list_param(c, "ResourceId", &ids);
    if (!check_instance_ids(c, &ids))
        return;
    for (size_t n = 0; n < ids.n; n++) {
        struct instance *i = world_instance(c->sim, ids.v[n]);
        for (unsigned t = 1; (key = param_n(c, "Tag.%u.Key", t)) != NULL; t++) {
            const char *value = param_n(c, "Tag.%u.Value", t);
            if (str_starts(key, "aws:")) {
                fail(c, 400, "InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use");
                return;
            }
            if (str_eq(c->action, "CreateTags"))
                pairs_set(&i->tags, key, value ? value : "");
            else if (!value || str_eq(value, pairs_get(&i->tags, key)))
                pairs_remove(&i->tags, key);
        }
    }
    begin(c);
    strbuf_adds(&c->res->body, "<return>true</return>");
    end(c);
}

static void describe_images(struct call *c)
{
    struct strbuf *out = &c->res->body;
    AUTO_STRLIST ids = { 0 };
    list_param(c, "ImageId", &ids);
    for (size_t i = 0; i < ids.n; i++)
        if (!check_image_id(c, ids.v[i]))
            return;
    begin(c);
    strbuf_adds(out, "<imagesSet>");
    for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
        struct pairs tags = { 0 };
        if (ids.n > 0 && !strlist_has(&ids, images[i].id))
            continue;
        strbuf_adds(out, "<item>");
        element(out, "imageId", images[i].id);
        element(out, "imageState", "available");
        element(out, "imageOwnerId", account);
        element(out, "name", images[i].name);
        element(out, "architecture", images[i].architecture);
        element(out, "rootDeviceName", "/dev/sda1");
        element(out, "creationDate", "2026-11-01T00:00:00.000Z");
        if (images[i].runner_version)
            pairs_set(&tags, "mayfly:runner-version", images[i].runner_version);
        tag_set(out, &tags);
        pairs_clear(&tags);
        strbuf_adds(out, "</item>");
    }
    strbuf_adds(out, "</imagesSet>");
    end(c);
}

static void get_console_output(struct call *c)
{
    AUTO_STRLIST ids = { 0 };
    AUTO_STRBUF text = STRBUF_INIT;
    const char *id = param(c, "InstanceId");
    if (id)
        strlist_add(&ids, id);
    if (ids.n == 0 || !check_instance_ids(c, &ids))
        return;
    const struct instance *i = world_instance(c->sim, id);
    encode_base64(&text, strbuf_str(&i->console), i->console.len);
    begin(c);
    element(&c->res->body, "instanceId", id);
    element(&c->res->body, "timestamp", clock_rfc3339(sim_now(c->sim) / 1000).s);
    element(&c->res->body, "output", strbuf_str(&text));
    end(c);
}

static void describe_subnets(struct call *c)
{
    begin(c);
    strbuf_adds(&c->res->body, "<subnetSet>");
    for (size_t i = 0; i < ARRAY_SIZE(subnets); i++)
        strbuf_addf(&c->res->body,
                    "<item><subnetId>%s</subnetId><state>available</state><availabilityZone>%s%s</availabilityZone>"
                    "<availableIpAddressCount>250</availableIpAddressCount></item>",
                    subnets[i].id, c->region, subnets[i].zone);
    strbuf_adds(&c->res->body, "</subnetSet>");
    end(c);
}

static void get_caller_identity(struct call *c)
{
    strbuf_addf(&c->res->body,
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
                "<GetCallerIdentityResult><Arn>arn:aws:iam::%s:user/mayfly</Arn><UserId>AIDASIMULATED</UserId>"
                "<Account>%s</Account></GetCallerIdentityResult><ResponseMetadata>",
                account, account);
    request_id(&c->res->body, "RequestId");
    strbuf_adds(&c->res->body, "</ResponseMetadata></GetCallerIdentityResponse>");
}

/* What is served, and the parameters each takes, numbers written as N: EC2 refuses unknown ones too. */
static const struct {
    const char *service, *action;
    void (*serve)(struct call *);
    const char *parameters;
} actions[] = {
    { "ec2", "RunInstances", run_instances,
      "ImageId InstanceType MinCount MaxCount ClientToken SubnetId SecurityGroupId.N UserData DryRun EbsOptimized "
      "InstanceInitiatedShutdownBehavior MetadataOptions.HttpEndpoint MetadataOptions.HttpTokens "
      "MetadataOptions.HttpPutResponseHopLimit IamInstanceProfile.Name IamInstanceProfile.Arn "
      "InstanceMarketOptions.MarketType InstanceMarketOptions.SpotOptions.SpotInstanceType "
      "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior InstanceMarketOptions.SpotOptions.MaxPrice "
      "TagSpecification.N.ResourceType TagSpecification.N.Tag.N.Key TagSpecification.N.Tag.N.Value "
      "BlockDeviceMapping.N.DeviceName BlockDeviceMapping.N.Ebs.VolumeSize BlockDeviceMapping.N.Ebs.VolumeType "
      "BlockDeviceMapping.N.Ebs.DeleteOnTermination NetworkInterface.N.DeviceIndex NetworkInterface.N.SubnetId "
      "NetworkInterface.N.SecurityGroupId.N NetworkInterface.N.AssociatePublicIpAddress" },
    { "ec2", "DescribeInstances", describe_instances,
      "InstanceId.N Filter.N.Name Filter.N.Value.N MaxResults NextToken" },
    { "ec2", "TerminateInstances", change_states, "InstanceId.N" },
    { "ec2", "StopInstances", change_states, "InstanceId.N Force Hibernate" },
    { "ec2", "CreateTags", change_tags, "ResourceId.N Tag.N.Key Tag.N.Value" },
    { "ec2", "DeleteTags", change_tags, "ResourceId.N Tag.N.Key Tag.N.Value" },
    { "ec2", "DescribeImages", describe_images, "ImageId.N Owner.N Filter.N.Name Filter.N.Value.N IncludeDeprecated" },
    { "ec2", "GetConsoleOutput", get_console_output, "InstanceId Latest" },
    { "ec2", "DescribeSubnets", describe_subnets, "SubnetId.N" },
    { "sts", "GetCallerIdentity", get_caller_identity, "" },
};

/* "Filter.1.Value.2" as "Filter.N.Value.N", in the list? */
static bool is_parameter(const char *list, const char *name)
{
    AUTO_STRBUF shape = STRBUF_INIT;
    AUTO_STRLIST known = { 0 };
    for (; *name; name++) {
        if (isdigit((unsigned char)*name) && shape.len > 0 && shape.data[shape.len - 1] == '.') {
            strbuf_addc(&shape, 'N');
            name += strspn(name, "0123456789") - 1;
        } else {
            strbuf_addc(&shape, *name);
        }
    }
    strlist_split(&known, list, " ");
    return strlist_has(&known, strbuf_str(&shape));
}

static void serve(struct call *c)
{
    for (size_t a = 0; a < ARRAY_SIZE(actions); a++) {
        if (!str_eq(actions[a].service, c->res->service) || !str_eq(actions[a].action, c->action))
            continue;
        for (size_t i = 0; i < c->form.n; i++) {
            const char *name = c->form.v[2 * i];
            if (str_eq(name, "Action") || str_eq(name, "Version") || is_parameter(actions[a].parameters, name))
                continue;
            fail(c, 400, "UnknownParameter", "The parameter %s is not recognized", name);
            return;
        }
        struct fault *f = sim_fault(c->sim, c->res->service, c->action);
        if (f && str_eq(f->kind, "error")) {
            fail(c, (int)f->status, f->code, "%s", f->message);
            return;
        }
        actions[a].serve(c);
        if (f && str_eq(f->kind, "lost"))
            c->res->drop = true;
        if (f && str_eq(f->kind, "cut"))
            strbuf_truncate(&c->res->body, c->res->body.len / 2);
        return;
    }
    fail(c, 400, "InvalidAction", "The action %s is not valid for this web service.", c->action);
}

void aws_serve(struct sim *s, const struct request *r, struct response *res)
{
    AUTO_FREE char *service = NULL, *region = NULL;
    const char *code;
    int status;
    struct call c = { .sim = s, .res = res };
    bool verified = verify_signature(s, r, &service, &region, &code, &status);
    bool sts = str_eq(service, "sts");
    res->service = sts ? "sts" : "ec2";
    res->content_type = "text/xml;charset=UTF-8";
    res->status = 200;
    if (!form_parse(strbuf_str(&r->body), r->body.len, &c.form))
        fail(&c, 400, "MalformedQueryString", "The request body is no form");
    else if ((c.action = param(&c, "Action")) == NULL ||
             !str_eq(param(&c, "Version"), sts ? "2011-06-15" : "2016-11-15"))
        fail(&c, 400, "InvalidAction", "The request names no Action of this Version");
    else if (!verified)
        fail(&c, status, code, "AWS was not able to validate the provided access credentials");
    else {
        c.region = region;
        serve(&c);
    }
    str_set(&res->action, c.action ? c.action : "?");
    pairs_clear(&c.form);
}
