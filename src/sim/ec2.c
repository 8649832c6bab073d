/* EC2's Query protocol and STS's GetCallerIdentity. */
#include <ctype.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>

#include "sim.h"

#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"

enum {
    USER_DATA_MAX = 16384,
    PAGE_MIN = 5,
    PAGE_MAX = 1000,
    TOKEN_MAX = 64,
    TAGS_MAX = 50,
    TAG_KEY_MAX = 128,
    TAG_VALUE_MAX = 256,
    SUBNET_SIZE = 250,
    RESERVATION_MAX = 100,
    ROOT_GIB = 8,
    ID_DIGITS = 17
};
static const char account[] = "123456789012", vpc[] = "vpc-0a11ce01", root_device[] = "/dev/sda1";

/* --- what is there from the beginning, the same in every region --------------------------------------------------- */

static const char *const regions[] = { "us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1" };
static const struct image {
    const char *id, *name, *owner, *architecture, *runner_version;
} images[] = {
    { "ami-0a11ce00000000001", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20261101", "099720109477",
      "x86_64", NULL },
    { "ami-0a11ce00000000002", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20261101", "099720109477",
      "arm64", NULL },
    { "ami-0a11ce00000000003", "mayfly-amd64-20261101", account, "x86_64", "2.337.0" },
};
static const struct subnet {
    const char *id, *zone;
    int64_t net;
} subnets[] = { { "subnet-0a11ce01", "a", 1 }, { "subnet-0a11ce02", "b", 2 }, { "subnet-0a11ce03", "c", 3 } };
static const struct group {
    const char *id, *name;
} groups[] = { { "sg-0a11ce01", "runners" }, { "sg-0a11ce02", "others" } };

static const struct {
    const char *name;
    int64_t vcpus, mib; /* mib: of the burstable families, which have no fixed ratio */
} sizes[] = { { "nano", 2, 512 },      { "micro", 2, 1024 },     { "small", 2, 2048 },
              { "medium", 2, 4096 },   { "large", 2, 8192 },     { "xlarge", 4, 16384 },
              { "2xlarge", 8, 32768 }, { "4xlarge", 16, 65536 }, { "8xlarge", 32, 131072 } };
enum { NANO, MICRO, SMALL, MEDIUM, LARGE, XLARGE, X2, X4, X8 };
static const struct {
    const char *family, *architecture;
    int64_t gib_per_vcpu; /* 0: burstable */
    size_t first, last;   /* of sizes */
} families[] = {
    { "t3", "x86_64", 0, NANO, X2 },     { "t3a", "x86_64", 0, NANO, X2 },   { "t4g", "arm64", 0, NANO, X2 },
    { "m5", "x86_64", 4, LARGE, X8 },    { "c5", "x86_64", 2, LARGE, X4 },   { "r5", "x86_64", 8, LARGE, X8 },
    { "m6i", "x86_64", 4, LARGE, X8 },   { "m6a", "x86_64", 4, LARGE, X8 },  { "c6i", "x86_64", 2, LARGE, X8 },
    { "c6a", "x86_64", 2, LARGE, X8 },   { "m7i", "x86_64", 4, LARGE, X8 },  { "m7a", "x86_64", 4, MEDIUM, X8 },
    { "c7i", "x86_64", 2, LARGE, X8 },   { "c7a", "x86_64", 2, MEDIUM, X8 }, { "r7i", "x86_64", 8, LARGE, X8 },
    { "g4dn", "x86_64", 4, XLARGE, X8 }, { "g5", "x86_64", 4, XLARGE, X8 },  { "m6g", "arm64", 4, MEDIUM, X8 },
    { "c6g", "arm64", 2, MEDIUM, X8 },   { "m7g", "arm64", 4, MEDIUM, X8 },  { "c7g", "arm64", 2, MEDIUM, X8 },
    { "r7g", "arm64", 8, MEDIUM, X8 },   { "g5g", "arm64", 2, XLARGE, X8 },
};

struct type {
    const char *architecture;
    int64_t vcpus, mib;
};

static bool find_type(const char *name, struct type *ret)
{
    const char *dot = strchr(name, '.');
    for (size_t f = 0; dot && f < ARRAY_SIZE(families); f++) {
        if (strlen(families[f].family) != (size_t)(dot - name) || !str_starts(name, families[f].family))
            continue;
        for (size_t n = families[f].first; n <= families[f].last; n++) {
            int64_t gib = families[f].gib_per_vcpu;
            if (!str_eq(dot + 1, sizes[n].name))
                continue;
            *ret = (struct type){ .architecture = families[f].architecture,
                                  .vcpus = gib && n == MEDIUM ? 1 : sizes[n].vcpus };
            ret->mib = gib ? gib * 1024 * ret->vcpus : sizes[n].mib;
            return true;
        }
    }
    return false;
}

static const struct image *find_image(const char *id)
{
    for (size_t i = 0; id && i < ARRAY_SIZE(images); i++)
        if (str_eq(images[i].id, id))
            return &images[i];
    return NULL;
}

bool image_is_baked(const char *id)
{
    const struct image *image = find_image(id);
    return image && image->runner_version;
}

static const struct subnet *find_subnet(const char *id)
{
    for (size_t i = 0; id && i < ARRAY_SIZE(subnets); i++)
        if (str_eq(subnets[i].id, id))
            return &subnets[i];
    return NULL;
}

static const struct group *find_group(const char *id)
{
    for (size_t i = 0; id && i < ARRAY_SIZE(groups); i++)
        if (str_eq(groups[i].id, id))
            return &groups[i];
    return NULL;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

struct call { /* one request to a service */
    struct sim *sim;
    const struct request *request;
    const char *action;
    char *region;
    struct response *res;
};

/* XML 1.0 has no control characters. */
static void add_escaped(struct strbuf *out, const char *text)
{
    static const char *const entities[128] = {
        ['<'] = "&lt;", ['>'] = "&gt;", ['&'] = "&amp;", ['"'] = "&quot;", ['\r'] = "&#13;"
    };
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 128 && entities[c])
            strbuf_adds(out, entities[c]);
        else if (c < 32 && c != '\t' && c != '\n')
            strbuf_addc(out, '?');
        else
            strbuf_addc(out, *text);
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

static void element_int(struct strbuf *out, const char *name, int64_t n)
{
    strbuf_addf(out, "<%s>%" PRId64 "</%s>", name, n, name);
}

static void element_bool(struct strbuf *out, const char *name, bool value)
{
    element(out, name, value ? "true" : "false");
}

static void open_element(struct strbuf *out, const char *name)
{
    strbuf_addf(out, "<%s>", name);
}

static void close_element(struct strbuf *out, const char *name)
{
    strbuf_addf(out, "</%s>", name);
}

static void element_time(struct strbuf *out, const char *name, int64_t ms)
{
    AUTO_FREE char *at = xasprintf("%.19s.000Z", clock_rfc3339(ms / 1000).s);
    element(out, name, at);
}

/* A new request id, in the body and as a header. */
static void request_id(struct response *res, const char *name)
{
    AUTO_FREE char *hex = sim_random_id("", 32);
    AUTO_FREE char *id = xasprintf("%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    element(&res->body, name, id);
    pairs_set(&res->headers, "x-amzn-RequestId", id);
}

void aws_fail(struct response *res, const char *service, int status, const char *code, const char *message)
{
    struct strbuf *out = &res->body;
    bool sts = str_eq(service, "sts");
    strbuf_truncate(out, 0);
    strbuf_adds(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    strbuf_adds(out, sts ? "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error>"
                         : "<Response><Errors><Error>");
    if (sts)
        element(out, "Type", status < 500 ? "Sender" : "Receiver");
    element(out, "Code", code);
    element(out, "Message", message);
    strbuf_adds(out, sts ? "</Error>" : "</Error></Errors>");
    request_id(res, sts ? "RequestId" : "RequestID");
    strbuf_adds(out, sts ? "</ErrorResponse>" : "</Response>");
    res->status = status;
    res->content_type = sts ? "text/xml" : "text/xml;charset=UTF-8";
    str_set(&res->code, code);
}

/* Always false, so that a check can return it. */
static bool fail(struct call *c, int status, const char *code, const char *fmt, ...) PRINTF_LIKE(4, 5);
static bool fail(struct call *c, int status, const char *code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *message = xvasprintf(fmt, ap);
    va_end(ap);
    aws_fail(c->res, c->request->service, status, code, message);
    return false;
}

static void begin(struct call *c)
{
    strbuf_addf(&c->res->body,
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<%sResponse "
                "xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">",
                c->action);
    request_id(c->res, "requestId");
}

static void end(struct call *c)
{
    strbuf_addf(&c->res->body, "</%sResponse>", c->action);
}

/* --- parameters --------------------------------------------------------------------------------------------------- */

static const char *param(const struct call *c, const char *name)
{
    return pairs_get(&c->request->form, name);
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

/* Is there a parameter below this name, such as "NetworkInterface.1."? */
static bool has_params(const struct call *c, const char *prefix)
{
    for (size_t i = 0; i < c->request->form.n; i++)
        if (str_starts(c->request->form.v[2 * i], prefix))
            return true;
    return false;
}

static void list_param(const struct call *c, const char *name, struct strlist *ret)
{
    const char *value;
    for (unsigned i = 1; (value = param_n(c, "%s.%u", name, i)) != NULL; i++)
        strlist_add(ret, value);
}

static bool is_true(const char *value)
{
    return str_eq(value, "true");
}

/* What must be one of some words; absent is allowed. */
static bool one_of(struct call *c, const char *name, const char *choices)
{
    const char *value = param(c, name);
    AUTO_STRLIST words = { 0 };
    strlist_split(&words, choices, " ");
    return !value || strlist_has(&words, value) ||
           fail(c, 400, "InvalidParameterValue", "Value (%s) for parameter %s is invalid.", value, name);
}

/* DryRun, at the point where all is checked and nothing has happened. True: go on. */
static bool wet_run(struct call *c)
{
    return !is_true(param(c, "DryRun")) ||
           fail(c, 412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
}

/* Ids of one kind: "i-" and 8 or 17 hexadecimal digits. */
static bool is_id(const char *id, const char *prefix)
{
    size_t n = str_starts(id, prefix) ? strlen(id) - strlen(prefix) : 0;
    return (n == 8 || n == ID_DIGITS) && strspn(id + strlen(prefix), "0123456789abcdef") == n;
}

/* --- tags --------------------------------------------------------------------------------------------------------- */

static void tag_set(struct strbuf *out, const struct pairs *tags)
{
    open_element(out, "tagSet");
    for (size_t i = 0; i < tags->n; i++) {
        open_element(out, "item");
        element(out, "key", tags->v[2 * i]);
        element(out, "value", tags->v[2 * i + 1]);
        close_element(out, "item");
    }
    close_element(out, "tagSet");
}

static size_t utf8_count(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

static bool check_tag(struct call *c, const char *key, const char *value)
{
    if (*key == '\0' || utf8_count(key) > TAG_KEY_MAX)
        return fail(c, 400, "InvalidParameterValue", "Tag key exceeds the maximum length of %d characters",
                    TAG_KEY_MAX);
    if (utf8_count(value) > TAG_VALUE_MAX)
        return fail(c, 400, "InvalidParameterValue", "Tag value exceeds the maximum length of %d characters",
                    TAG_VALUE_MAX);
    if (str_starts(key, "aws:"))
        return fail(c, 400, "InvalidParameterValue",
                    "Value ( %s ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for "
                    "internal use",
                    key);
    return true;
}

/* The tags of one kind of resource, all of them checked. */
static bool take_tags(struct call *c, const char *resource, bool spot, struct pairs *ret)
{
    static const char *const kinds[] = { "instance", "volume", "spot-instances-request", "network-interface" };
    const char *type, *key;
    for (unsigned s = 1; (type = param_n(c, "TagSpecification.%u.ResourceType", s)) != NULL; s++) {
        bool known = false;
        for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
            known = known || str_eq(kinds[k], type);
        if (!known || (str_eq(type, "spot-instances-request") && !spot))
            return fail(c, 400, "InvalidParameterValue",
                        "'%s' is not a valid taggable resource type for this operation.", type);
        struct pairs *into = str_eq(type, resource) ? ret : NULL;
        for (unsigned t = 1; (key = param_n(c, "TagSpecification.%u.Tag.%u.Key", s, t)) != NULL; t++) {
            const char *value = param_n(c, "TagSpecification.%u.Tag.%u.Value", s, t);
            if (!check_tag(c, key, value ? value : ""))
                return false;
            if (into && pairs_get(into, key))
                return fail(c, 400, "InvalidParameterValue", "Duplicate tag key '%s' specified.", key);
            if (into)
                pairs_add(into, key, value ? value : "");
        }
    }
    return ret->n <= TAGS_MAX ||
           fail(c, 400, "TagLimitExceeded", "The maximum number of Tags for a resource has been reached.");
}

/* --- one instance as XML ------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    int code;
} state_codes[] = { { "pending", 0 },     { "running", 16 },  { "shutting-down", 32 },
                    { "terminated", 48 }, { "stopping", 64 }, { "stopped", 80 } };

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

static void group_set(struct strbuf *out, const struct strlist *ids)
{
    open_element(out, "groupSet");
    for (size_t i = 0; i < ids->n; i++) {
        const struct group *g = find_group(ids->v[i]);
        open_element(out, "item");
        element(out, "groupId", ids->v[i]);
        element(out, "groupName", g ? g->name : "");
        close_element(out, "item");
    }
    close_element(out, "groupSet");
}

static void write_volumes(const struct sim *s, struct strbuf *out, const struct instance *i)
{
    open_element(out, "blockDeviceMapping");
    for (size_t n = 0; n < s->n_volumes; n++) {
        const struct volume *v = s->volumes[n];
        if (!str_eq(v->instance, i->id))
            continue;
        strbuf_adds(out, "<item>");
        element(out, "deviceName", v->device);
        open_element(out, "ebs");
        element(out, "volumeId", v->id);
        element(out, "status", instance_is(i, "pending") ? "attaching" : "attached");
        element_time(out, "attachTime", v->created);
        element_bool(out, "deleteOnTermination", v->delete_on_termination);
        close_element(out, "ebs");
        strbuf_adds(out, "</item>");
    }
    close_element(out, "blockDeviceMapping");
}

static void write_interface(struct strbuf *out, const struct instance *i, const char *address)
{
    strbuf_adds(out, "<networkInterfaceSet><item>");
    strbuf_addf(out, "<networkInterfaceId>eni-%s</networkInterfaceId>", i->id + 2);
    element(out, "subnetId", i->subnet);
    element(out, "vpcId", vpc);
    element(out, "ownerId", account);
    element(out, "status", "in-use");
    element(out, "privateIpAddress", address);
    group_set(out, &i->groups);
    strbuf_addf(out,
                "<attachment><attachmentId>eni-attach-%s</attachmentId><deviceIndex>0</deviceIndex><status>attached"
                "</status><deleteOnTermination>true</deleteOnTermination></attachment></item></networkInterfaceSet>",
                i->id + 2);
}

static void write_metadata_options(struct strbuf *out, const struct instance *i)
{
    open_element(out, "metadataOptions");
    element(out, "state", instance_is(i, "pending") ? "pending" : "applied");
    element(out, "httpTokens", i->http_tokens);
    element_int(out, "httpPutResponseHopLimit", i->hops);
    element(out, "httpEndpoint", i->http_endpoint);
    element(out, "httpProtocolIpv6", "disabled");
    element(out, "instanceMetadataTags", i->metadata_tags);
    close_element(out, "metadataOptions");
}

static void write_instance(const struct sim *s, struct strbuf *out, const struct instance *i)
{
    bool there = !instance_is(i, "terminated"); /* what is gone has no network any more */
    const struct subnet *subnet = find_subnet(i->subnet);
    AUTO_FREE char *address = xasprintf("10.0.%" PRId64 ".%" PRId64, subnet ? subnet->net : 0, i->address);
    AUTO_FREE char *name =
        xasprintf("ip-10-0-%" PRId64 "-%" PRId64 ".ec2.internal", subnet ? subnet->net : 0, i->address);
    AUTO_FREE char *open = xasprintf("203.0.113.%" PRId64, i->address);
    open_element(out, "item");
    element(out, "instanceId", i->id);
    element(out, "imageId", i->image);
    state_element(out, "instanceState", i->state);
    element(out, "privateDnsName", there ? name : "");
    element(out, "dnsName", "");
    element(out, "reason", i->transition ? i->transition : "");
    element(out, "keyName", i->key_name);
    element_int(out, "amiLaunchIndex", i->index);
    strbuf_adds(out, "<productCodes/>");
    element(out, "instanceType", i->type);
    element_time(out, "launchTime", i->launched);
    open_element(out, "placement");
    element(out, "availabilityZone", i->zone);
    strbuf_adds(out, "<groupName/><tenancy>default</tenancy></placement>");
    strbuf_adds(out, "<monitoring><state>disabled</state></monitoring>");
    if (there) {
        element(out, "subnetId", i->subnet);
        element(out, "vpcId", vpc);
        element(out, "privateIpAddress", address);
        if (i->associate_public && instance_is(i, "running"))
            element(out, "ipAddress", open);
    }
    element_bool(out, "sourceDestCheck", true);
    if (there)
        group_set(out, &i->groups);
    if (i->reason_code) {
        open_element(out, "stateReason");
        element(out, "code", i->reason_code);
        element(out, "message", i->reason_message);
        close_element(out, "stateReason");
    }
    element(out, "architecture", i->architecture);
    element(out, "rootDeviceType", "ebs");
    element(out, "rootDeviceName", i->root_device);
    write_volumes(s, out, i);
    element(out, "virtualizationType", "hvm");
    element(out, "clientToken", i->client_token ? i->client_token : "");
    tag_set(out, &i->tags);
    element(out, "hypervisor", "xen");
    if (there)
        write_interface(out, i, address);
    if (i->profile) {
        open_element(out, "iamInstanceProfile");
        element(out, "arn", i->profile);
        element(out, "id", "AIPASIMULATED00000001");
        close_element(out, "iamInstanceProfile");
    }
    element(out, "instanceLifecycle", i->spot_request ? "spot" : NULL);
    element(out, "spotInstanceRequestId", i->spot_request);
    element_bool(out, "ebsOptimized", false);
    element_bool(out, "enaSupport", true);
    strbuf_addf(out, "<cpuOptions><coreCount>%" PRId64 "</coreCount><threadsPerCore>1</threadsPerCore></cpuOptions>",
                i->vcpus);
    write_metadata_options(out, i);
    close_element(out, "item");
}

/* --- RunInstances ------------------------------------------------------------------------------------------------- */

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

static bool check_image_id(struct call *c, const char *id)
{
    if (str_empty(id))
        return fail(c, 400, "MissingParameter", "The request must contain the parameter ImageId");
    if (!is_id(id, "ami-"))
        return fail(c, 400, "InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id);
    if (!find_image(id))
        return fail(c, 400, "InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id);
    return true;
}

static bool check_counts(struct call *c, struct run *r)
{
    const char *min = param(c, "MinCount"), *max = param(c, "MaxCount");
    if (!min || !max)
        return fail(c, 400, "MissingParameter", "The request must contain the parameter %s",
                    min ? "MaxCount" : "MinCount");
    if (!parse_uint(min, 1u << 20, &r->min) || !parse_uint(max, 1u << 20, &r->max) || r->min == 0 || r->min > r->max)
        return fail(c, 400, "InvalidParameterValue",
                    "Value (%s) for parameter maxCount is invalid. Must be at least 1 and no less than minCount.", max);
    if (r->min > RESERVATION_MAX)
        return fail(c, 400, "InstanceLimitExceeded",
                    "You have requested more instances (%s) than your current instance limit of %d allows", min,
                    RESERVATION_MAX);
    if (r->max > RESERVATION_MAX)
        r->max = RESERVATION_MAX;
    return true;
}

static bool check_type(struct call *c, struct run *r)
{
    const char *type = param(c, "InstanceType");
    if (!type)
        type = "m1.small"; /* EC2's own default, which is gone */
    if (!find_type(type, &r->type))
        return fail(c, 400, "InvalidParameterValue", "Invalid value '%s' for InstanceType.", type);
    if (str_eq(r->type.architecture, r->image->architecture))
        return true;
    return fail(c, 400, "InvalidParameterValue",
                "The architecture '%s' of the specified instance type does not match the architecture '%s' of the "
                "specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. "
                "You can use 'describe-instance-types' or 'describe-images' to discover the architecture of the "
                "instance type or AMI.",
                r->type.architecture, r->image->architecture);
}

/* Where it goes: a network interface, a subnet, a zone, or the default subnet. */
static bool check_place(struct call *c, struct run *r)
{
    const char *subnet = param(c, "SubnetId"), *zone = param(c, "Placement.AvailabilityZone");
    bool interface = has_params(c, "NetworkInterface.");
    if (interface && (subnet || has_params(c, "SecurityGroupId.") || has_params(c, "SecurityGroup.")))
        return fail(c, 400, "InvalidParameterCombination",
                    "Network interfaces and an instance-level %s may not be specified on the same request",
                    subnet ? "subnet ID" : "security groups");
    if (interface) {
        if (!str_eq(param(c, "NetworkInterface.1.DeviceIndex"), "0"))
            return fail(c, 400, "InvalidParameterCombination",
                        "A device index of 0 must be specified for the first network interface");
        subnet = param(c, "NetworkInterface.1.SubnetId");
        r->associate_public = is_true(param(c, "NetworkInterface.1.AssociatePublicIpAddress"));
    }
    list_param(c, interface ? "NetworkInterface.1.SecurityGroupId" : "SecurityGroupId", &r->groups);
    if (subnet && !find_subnet(subnet))
        return fail(c, 400, "InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", subnet);
    r->token_zone = xstrdup(""); /* without a place, tokens are regional */
    r->subnet = find_subnet(subnet ? subnet : subnets[0].id);
    for (size_t i = 0; !subnet && zone && i < ARRAY_SIZE(subnets); i++)
        if (str_starts(zone, c->region) && str_eq(zone + strlen(c->region), subnets[i].zone))
            r->subnet = &subnets[i];
    r->zone = xasprintf("%s%s", c->region, r->subnet->zone);
    if (zone && !str_eq(zone, r->zone))
        return fail(c, 400, "InvalidParameterValue", "Invalid availability zone: [%s]", zone);
    if (zone || subnet)
        str_set(&r->token_zone, r->zone);
    for (size_t i = 0; i < r->groups.n; i++) {
        if (!str_starts(r->groups.v[i], "sg-"))
            return fail(c, 400, "InvalidGroupId.Malformed", "Invalid id: \"%s\" (expecting \"sg-...\")",
                        r->groups.v[i]);
        if (!find_group(r->groups.v[i]))
            return fail(c, 400, "InvalidGroup.NotFound", "The security group '%s' does not exist", r->groups.v[i]);
    }
    if (r->groups.n == 0)
        strlist_add(&r->groups, groups[0].id);
    return true;
}

static bool check_user_data(struct call *c, struct run *r)
{
    const char *data = param(c, "UserData");
    r->user_data = STRBUF_INIT;
    if (data && !decode_base64(&r->user_data, data, strlen(data)))
        return fail(c, 400, "InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.");
    return r->user_data.len <= USER_DATA_MAX ||
           fail(c, 400, "InvalidParameterValue", "User data is limited to %d bytes", USER_DATA_MAX);
}

static bool check_market(struct call *c, struct run *r)
{
    const char *kind = param(c, "InstanceMarketOptions.SpotOptions.SpotInstanceType");
    const char *interruption = param(c, "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior");
    r->spot = str_eq(param(c, "InstanceMarketOptions.MarketType"), "spot");
    r->one_time = r->spot && !str_eq(kind, "persistent");
    if (!one_of(c, "InstanceMarketOptions.MarketType", "spot") ||
        !one_of(c, "InstanceMarketOptions.SpotOptions.SpotInstanceType", "one-time persistent") ||
        !one_of(c, "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior", "terminate stop hibernate"))
        return false;
    if (!r->spot && has_params(c, "InstanceMarketOptions.SpotOptions."))
        return fail(c, 400, "InvalidParameterCombination", "SpotOptions may only be specified with MarketType spot");
    if (r->one_time && interruption && !str_eq(interruption, "terminate"))
        return fail(c, 400, "InvalidParameterCombination",
                    "The instance interruption behavior '%s' is not supported with a one-time Spot request",
                    interruption);
    return true;
}

static bool check_options(struct call *c, struct run *r)
{
    const char *hops = param(c, "MetadataOptions.HttpPutResponseHopLimit"), *key = param(c, "KeyName");
    const char *name = param(c, "IamInstanceProfile.Name"), *arn = param(c, "IamInstanceProfile.Arn");
    const char *token = param(c, "ClientToken");
    r->hops = 1;
    if (token && (strlen(token) > TOKEN_MAX || *token == '\0'))
        return fail(c, 400, "InvalidParameterValue",
                    "Value (%s) for parameter clientToken is invalid. Length must be at most %d characters", token,
                    TOKEN_MAX);
    if (hops && (!parse_uint(hops, 64, &r->hops) || r->hops == 0))
        return fail(c, 400, "InvalidParameterValue", "Value (%s) for parameter HttpPutResponseHopLimit is invalid.",
                    hops);
    if (name && arn)
        return fail(c, 400, "InvalidParameterCombination",
                    "The parameters iamInstanceProfile.arn and iamInstanceProfile.name may not be used together");
    if (key && !str_eq(key, "sim-key"))
        return fail(c, 400, "InvalidKeyPair.NotFound", "The key pair '%s' does not exist", key);
    if (arn && !str_starts(arn, "arn:aws:iam::"))
        return fail(c, 400, "InvalidParameterValue",
                    "Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN",
                    arn);
    if (name || arn)
        r->profile = name ? xasprintf("arn:aws:iam::%s:instance-profile/%s", account, name) : xstrdup(arn);
    return one_of(c, "InstanceInitiatedShutdownBehavior", "stop terminate") &&
           one_of(c, "MetadataOptions.HttpTokens", "optional required") &&
           one_of(c, "MetadataOptions.HttpEndpoint", "enabled disabled") &&
           one_of(c, "MetadataOptions.HttpProtocolIpv6", "enabled disabled") &&
           one_of(c, "MetadataOptions.InstanceMetadataTags", "enabled disabled") &&
           one_of(c, "Placement.Tenancy", "default dedicated host") && check_market(c, r);
}

static bool check_devices(struct call *c)
{
    const char *device;
    for (unsigned n = 1; has_params(c, "BlockDeviceMapping.") && n <= 64; n++) {
        AUTO_FREE char *type = xasprintf("BlockDeviceMapping.%u.Ebs.VolumeType", n);
        AUTO_FREE char *below = xasprintf("BlockDeviceMapping.%u.", n);
        if (!has_params(c, below))
            break;
        if ((device = param_n(c, "BlockDeviceMapping.%u.DeviceName", n)) == NULL)
            return fail(c, 400, "MissingParameter", "The request must contain the parameter deviceName");
        const char *size = param_n(c, "BlockDeviceMapping.%u.Ebs.VolumeSize", n);
        uint64_t gib;
        if (size && (!parse_uint(size, 65536, &gib) || gib == 0))
            return fail(c, 400, "InvalidParameterValue", "Value (%s) for parameter volumeSize is invalid.", size);
        if (size && gib < ROOT_GIB && str_eq(device, root_device))
            return fail(c, 400, "InvalidBlockDeviceMapping",
                        "Volume of size %sGB is smaller than snapshot 'snap-0a11ce00000000001', expect size>= %dGB",
                        size, ROOT_GIB);
        if (!one_of(c, type, "standard io1 io2 gp2 gp3 sc1 st1"))
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
    const char *image = param(c, "ImageId");
    if (!check_image_id(c, image))
        return false;
    r->image = find_image(image);
    r->parameters = fingerprint(c);
    return check_counts(c, r) && check_type(c, r) && check_place(c, r) && check_user_data(c, r) &&
           check_options(c, r) && check_devices(c) && take_tags(c, "instance", r->spot, &r->tags) &&
           take_tags(c, "volume", r->spot, &r->volume_tags) &&
           take_tags(c, "spot-instances-request", r->spot, &r->spot_tags);
}

static void answer_run(struct call *c, const char *reservation)
{
    struct strbuf *out = &c->res->body;
    begin(c);
    element(out, "reservationId", reservation);
    element(out, "ownerId", account);
    strbuf_adds(out, "<groupSet/><instancesSet>");
    for (size_t n = 0; n < c->sim->n_instances; n++)
        if (str_eq(c->sim->instances[n]->reservation, reservation))
            write_instance(c->sim, out, c->sim->instances[n]);
    strbuf_adds(out, "</instancesSet>");
    end(c);
}

/* The token again: the same instances again. True: it was there, and the request is answered. */
static bool answer_token(struct call *c, const struct run *r)
{
    const char *token = param(c, "ClientToken");
    for (size_t n = 0; token && n < c->sim->n_tokens; n++) {
        const struct client_token *t = &c->sim->tokens[n];
        if (!str_eq(t->token, token) || !str_eq(t->region, c->region) || !str_eq(t->zone, r->token_zone))
            continue;
        bool there = false;
        for (size_t i = 0; i < c->sim->n_instances; i++)
            there = there || (str_eq(c->sim->instances[i]->reservation, t->reservation) &&
                              !instance_is(c->sim->instances[i], "terminated"));
        if (!str_eq(t->parameters, r->parameters))
            fail(c, 400, "IdempotentParameterMismatch",
                 "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).");
        else if (!there)
            fail(c, 400, "IdempotentInstanceTerminated",
                 "The client token you have provided is associated with a resource that is already deleted.");
        else
            answer_run(c, t->reservation);
        return true;
    }
    return false;
}

static void copy_pairs(struct pairs *to, const struct pairs *from)
{
    for (size_t i = 0; i < from->n; i++)
        pairs_add(to, from->v[2 * i], from->v[2 * i + 1]);
}

static void set_volume(const struct call *c, struct volume *v, unsigned n)
{
    const char *size = param_n(c, "BlockDeviceMapping.%u.Ebs.VolumeSize", n);
    const char *type = param_n(c, "BlockDeviceMapping.%u.Ebs.VolumeType", n);
    const char *deletes = param_n(c, "BlockDeviceMapping.%u.Ebs.DeleteOnTermination", n);
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
    str_set(&root->device, root_device);
    str_set(&root->type, "gp3");
    root->size = ROOT_GIB;
    copy_pairs(&root->tags, &r->volume_tags);
    for (unsigned n = 1; (device = param_n(c, "BlockDeviceMapping.%u.DeviceName", n)) != NULL; n++) {
        struct volume *v = root;
        if (param_n(c, "BlockDeviceMapping.%u.NoDevice", n) || param_n(c, "BlockDeviceMapping.%u.VirtualName", n))
            continue;
        if (!str_eq(device, root_device)) {
            v = world_add_volume(c->sim, c->region, r->zone, i->id);
            str_set(&v->device, device);
            str_set(&v->type, "gp2");
            copy_pairs(&v->tags, &r->volume_tags);
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
    copy_pairs(&q->tags, &r->spot_tags);
    s->spot_requests = xreallocarray(s->spot_requests, s->n_spot_requests + 1, sizeof(struct spot_request *));
    s->spot_requests[s->n_spot_requests++] = q;
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
    str_set(&i->type, param(c, "InstanceType"));
    str_set(&i->subnet, r->subnet->id);
    str_set(&i->zone, r->zone);
    str_set(&i->client_token, param(c, "ClientToken"));
    str_set(&i->profile, r->profile);
    str_set(&i->key_name, param(c, "KeyName"));
    str_set(&i->root_device, root_device);
    set_or(&i->http_tokens, param(c, "MetadataOptions.HttpTokens"), "optional");
    set_or(&i->http_endpoint, param(c, "MetadataOptions.HttpEndpoint"), "enabled");
    set_or(&i->metadata_tags, param(c, "MetadataOptions.InstanceMetadataTags"), "disabled");
    for (size_t g = 0; g < r->groups.n; g++)
        strlist_add(&i->groups, r->groups.v[g]);
    i->architecture = r->type.architecture;
    i->vcpus = r->type.vcpus;
    i->hops = (int64_t)r->hops;
    i->associate_public = r->associate_public;
    i->protect = is_true(param(c, "DisableApiTermination"));
    i->baked = r->image->runner_version != NULL;
    i->stop_on_shutdown = !r->one_time && !str_eq(param(c, "InstanceInitiatedShutdownBehavior"), "terminate");
    i->user_data = STRBUF_INIT;
    strbuf_add(&i->user_data, r->user_data.data, r->user_data.len);
    i->console = STRBUF_MAX(SIM_CONSOLE_MAX);
    i->console_fd = -1;
    i->state = "pending";
    i->reason_code = i->reason_message = "pending";
    i->launched = sim_now(s);
    i->running_at = i->launched + s->options.boot;
    copy_pairs(&i->tags, &r->tags);
    add_volumes(c, r, i);
    if (r->spot)
        i->spot_request = add_spot_request(c, r, i);
    s->instances = xreallocarray(s->instances, s->n_instances + 1, sizeof(struct instance *));
    s->instances[s->n_instances++] = i;
}

static void remember_token(struct call *c, const struct run *r, const char *reservation)
{
    struct sim *s = c->sim;
    if (!param(c, "ClientToken"))
        return;
    struct client_token t = { .token = xstrdup(param(c, "ClientToken")),
                              .region = xstrdup(c->region),
                              .zone = xstrdup(r->token_zone),
                              .parameters = xstrdup(r->parameters),
                              .reservation = xstrdup(reservation) };
    s->tokens = xreallocarray(s->tokens, s->n_tokens + 1, sizeof(*s->tokens));
    s->tokens[s->n_tokens++] = t;
}

static uint64_t free_addresses(const struct call *c, const char *subnet)
{
    uint64_t taken = 0;
    for (size_t n = 0; n < c->sim->n_instances; n++) {
        const struct instance *i = c->sim->instances[n];
        taken += str_eq(i->region, c->region) && str_eq(i->subnet, subnet) && !instance_is(i, "terminated");
    }
    return taken < SUBNET_SIZE ? SUBNET_SIZE - taken : 0;
}

static void run_instances(struct call *c)
{
    CLEANUP(run_clear) struct run r = { 0 };
    if (!check_run(c, &r) || answer_token(c, &r) || !wet_run(c))
        return;
    uint64_t room = free_addresses(c, r.subnet->id);
    if (room < r.min) {
        fail(c, 400, "InsufficientFreeAddressesInSubnet",
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

/* --- filters and pages -------------------------------------------------------------------------------------------- */

/* Appends what the filter `name` looks at in a row. */
typedef void filter_values(const struct call *c, const void *row, const char *name, struct strlist *ret);

/* A table row of what can be described. */
struct resource {
    const char *filters; /* their names, besides tag:KEY and tag-key */
    filter_values *values;
    const struct pairs *(*tags)(const void *row); /* NULL: has none */
};

static bool check_filters(struct call *c, const struct resource *resource)
{
    AUTO_STRLIST known = { 0 };
    const char *name;
    strlist_split(&known, resource->filters, " ");
    for (unsigned f = 1; (name = param_n(c, "Filter.%u.Name", f)) != NULL; f++) {
        bool tag = resource->tags && (str_starts(name, "tag:") || str_eq(name, "tag-key"));
        if (!tag && !strlist_has(&known, name))
            return fail(c, 400, "InvalidParameterValue", "The filter '%s' is invalid", name);
        if (!param_n(c, "Filter.%u.Value.1", f))
            return fail(c, 400, "InvalidParameterValue", "The filter '%s' has no values", name);
    }
    return true;
}

static void row_values(const struct call *c, const struct resource *resource, const void *row, const char *name,
                       struct strlist *ret)
{
    const struct pairs *tags = resource->tags ? resource->tags(row) : NULL;
    const char *value = tags && str_starts(name, "tag:") ? pairs_get(tags, name + strlen("tag:")) : NULL;
    if (value)
        strlist_add(ret, value);
    for (size_t i = 0; tags && str_eq(name, "tag-key") && i < tags->n; i++)
        strlist_add(ret, tags->v[2 * i]);
    if (!str_starts(name, "tag"))
        resource->values(c, row, name, ret);
}

/* * and ? are wildcards, \ takes away their meaning, and nothing else has one. */
static bool matches(const char *pattern, const char *value)
{
    AUTO_STRBUF glob = STRBUF_INIT;
    for (; *pattern; pattern++) {
        if (*pattern == '[')
            strbuf_addc(&glob, '\\');
        strbuf_addc(&glob, *pattern);
    }
    return fnmatch(strbuf_str(&glob), value, 0) == 0;
}

static bool passes(const struct call *c, const struct resource *resource, const void *row)
{
    const char *name, *pattern;
    if (c->request->hide)
        return false;
    for (unsigned f = 1; (name = param_n(c, "Filter.%u.Name", f)) != NULL; f++) {
        AUTO_STRLIST values = { 0 };
        bool hit = false;
        row_values(c, resource, row, name, &values);
        for (unsigned v = 1; !hit && (pattern = param_n(c, "Filter.%u.Value.%u", f, v)) != NULL; v++)
            for (size_t i = 0; !hit && i < values.n; i++)
                hit = matches(pattern, values.v[i]);
        if (!hit)
            return false;
    }
    return true;
}

struct page {
    uint64_t max, from, seen; /* max 0: all */
};
static const char page_mark[] = "AQIC+/"; /* what a token begins with, so that it has to be encoded in a request */

static bool page_begin(struct call *c, size_t n_ids, uint64_t most, struct page *ret)
{
    const char *max = param(c, "MaxResults"), *token = param(c, "NextToken");
    AUTO_STRBUF text = STRBUF_INIT;
    AUTO_FREE char *want = xasprintf("%s/%s/", c->region, c->action);
    if (max && n_ids > 0)
        return fail(c, 400, "InvalidParameterCombination",
                    "The parameter maxResults cannot be used with the parameter ids");
    if (max && (!parse_uint(max, most, &ret->max) || ret->max < PAGE_MIN))
        return fail(c, 400, "InvalidParameterValue",
                    "Value ( %s ) for parameter maxResults is invalid. Expecting a value between %d and %" PRIu64 ".",
                    max, PAGE_MIN, most);
    size_t skip = strlen(page_mark);
    if (token &&
        !(str_starts(token, page_mark) && decode_base64(&text, token + skip, strlen(token + skip)) &&
          str_starts(strbuf_str(&text), want) && parse_uint(strbuf_str(&text) + strlen(want), UINT32_MAX, &ret->from)))
        return fail(c, 400, "InvalidParameterValue", "Unable to parse pagination token");
    return true;
}

/* Is the next row on this page? */
static bool page_takes(const struct call *c, struct page *p)
{
    uint64_t n = p->seen++;
    return !c->request->empty_page && n >= p->from && (p->max == 0 || n < p->from + p->max);
}

static void page_end(struct call *c, const struct page *p)
{
    uint64_t next = c->request->empty_page ? p->from : p->from + p->max;
    if (!c->request->empty_page && (p->max == 0 || p->seen <= next))
        return;
    AUTO_FREE char *text = xasprintf("%s/%s/%" PRIu64, c->region, c->action, next);
    AUTO_STRBUF token = STRBUF_INIT;
    strbuf_adds(&token, page_mark);
    encode_base64(&token, text, strlen(text));
    element(&c->res->body, "nextToken", strbuf_str(&token));
}

/* --- instances ---------------------------------------------------------------------------------------------------- */

static const struct pairs *instance_tags(const void *row)
{
    return &((const struct instance *)row)->tags;
}

static void add_if(struct strlist *ret, const char *value)
{
    if (value)
        strlist_add(ret, value);
}

static void instance_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    const struct instance *i = row;
    AUTO_FREE char *code = xasprintf("%d", state_code(i->state));
    const struct {
        const char *name, *value;
    } known[] = {
        { "instance-id", i->id },
        { "instance-state-name", i->state },
        { "instance-state-code", code },
        { "client-token", i->client_token },
        { "subnet-id", i->subnet },
        { "instance-type", i->type },
        { "image-id", i->image },
        { "availability-zone", i->zone },
        { "reservation-id", i->reservation },
        { "architecture", i->architecture },
        { "vpc-id", vpc },
        { "owner-id", account },
        { "instance-lifecycle", i->spot_request ? "spot" : NULL },
        { "spot-instance-request-id", i->spot_request },
        { "state-reason-code", i->reason_code },
        { "key-name", i->key_name },
    };
    for (size_t n = 0; n < ARRAY_SIZE(known); n++)
        if (str_eq(known[n].name, name))
            add_if(ret, known[n].value);
    for (size_t g = 0; str_eq(name, "instance.group-id") && g < i->groups.n; g++)
        strlist_add(ret, i->groups.v[g]);
}

static const struct resource instance_resource = {
    "instance-id instance-state-name instance-state-code client-token subnet-id instance-type image-id "
    "availability-zone reservation-id architecture vpc-id owner-id instance-lifecycle spot-instance-request-id "
    "state-reason-code key-name instance.group-id",
    instance_values, instance_tags
};

/* The ids that are malformed, or not there, are named all at once, as EC2 does. */
static bool check_instance_ids(struct call *c, const struct strlist *ids)
{
    AUTO_STRLIST missing = { 0 };
    for (size_t n = 0; n < ids->n; n++) {
        const struct instance *i = world_instance(c->sim, ids->v[n]);
        if (!is_id(ids->v[n], "i-"))
            return fail(c, 400, "InvalidInstanceID.Malformed", "Invalid id: \"%s\"", ids->v[n]);
        if (!i || !str_eq(i->region, c->region) || c->request->hide)
            strlist_add(&missing, ids->v[n]);
    }
    if (missing.n == 0)
        return true;
    AUTO_FREE char *all = strlist_join(&missing, ", ");
    return fail(c, 400, "InvalidInstanceID.NotFound",
                missing.n == 1 ? "The instance ID '%s' does not exist" : "The instance IDs '%s' do not exist", all);
}

static void describe_instances(struct call *c)
{
    AUTO_STRLIST ids = { 0 };
    struct page page = { 0 };
    struct strbuf *out = &c->res->body;
    list_param(c, "InstanceId", &ids);
    if (!page_begin(c, ids.n, PAGE_MAX, &page) || !check_filters(c, &instance_resource) || !check_instance_ids(c, &ids))
        return;
    begin(c);
    open_element(out, "reservationSet");
    const char *reservation = NULL;
    for (size_t n = 0; n < c->sim->n_instances; n++) {
        const struct instance *i = c->sim->instances[n];
        if (!str_eq(i->region, c->region) || (ids.n > 0 && !strlist_has(&ids, i->id)) ||
            !passes(c, &instance_resource, i) || !page_takes(c, &page))
            continue;
        if (!str_eq(reservation, i->reservation)) {
            if (reservation)
                strbuf_adds(out, "</instancesSet></item>");
            strbuf_adds(out, "<item>");
            element(out, "reservationId", i->reservation);
            element(out, "ownerId", account);
            strbuf_adds(out, "<groupSet/><instancesSet>");
            reservation = i->reservation;
        }
        write_instance(c->sim, out, i);
    }
    if (reservation)
        strbuf_adds(out, "</instancesSet></item>");
    close_element(out, "reservationSet");
    page_end(c, &page);
    end(c);
}

static bool refuse_state(struct call *c, const struct instance *i, const char *what)
{
    return fail(c, 400, "IncorrectInstanceState", "The instance '%s' is not in a state from which it can be %s.", i->id,
                what);
}

static bool can_terminate(struct call *c, const struct instance *i)
{
    return !i->protect || !instance_is_live(i) ||
           fail(c, 400, "OperationNotPermitted",
                "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and "
                "try again.",
                i->id);
}

static bool can_stop(struct call *c, const struct instance *i)
{
    if (i->spot_request)
        return fail(c, 400, "UnsupportedOperation",
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

static void change_states(struct call *c)
{
    struct strbuf *out = &c->res->body;
    AUTO_STRLIST ids = { 0 };
    size_t change = 0;
    while (!str_eq(changes[change].action, c->action))
        change++;
    list_param(c, "InstanceId", &ids);
    if (ids.n == 0) {
        fail(c, 400, "MissingParameter", "The request must contain the parameter InstanceId");
        return;
    }
    if (!check_instance_ids(c, &ids))
        return;
    for (size_t n = 0; n < ids.n; n++) /* one that cannot, and none does */
        if (!changes[change].can(c, world_instance(c->sim, ids.v[n])))
            return;
    if (!wet_run(c))
        return;
    begin(c);
    open_element(out, "instancesSet");
    for (size_t n = 0; n < ids.n; n++) {
        struct instance *i = world_instance(c->sim, ids.v[n]);
        const char *before = i->state;
        changes[change].apply(c->sim, i);
        open_element(out, "item");
        element(out, "instanceId", i->id);
        state_element(out, "currentState", i->state);
        state_element(out, "previousState", before);
        close_element(out, "item");
    }
    close_element(out, "instancesSet");
    end(c);
}

static void get_console_output(struct call *c)
{
    AUTO_STRLIST ids = { 0 };
    AUTO_STRBUF text = STRBUF_INIT;
    const char *id = param(c, "InstanceId");
    if (!id) {
        fail(c, 400, "MissingParameter", "The request must contain the parameter InstanceId");
        return;
    }
    strlist_add(&ids, id);
    if (!check_instance_ids(c, &ids) || !wet_run(c))
        return;
    const struct instance *i = world_instance(c->sim, id);
    encode_base64(&text, strbuf_str(&i->console), i->console.len);
    begin(c);
    element(&c->res->body, "instanceId", id);
    element_time(&c->res->body, "timestamp", sim_now(c->sim));
    element(&c->res->body, "output", strbuf_str(&text));
    end(c);
}

/* --- CreateTags, DeleteTags, DescribeTags ------------------------------------------------------------------------- */

static struct spot_request *find_spot_request(const struct sim *s, const char *id)
{
    for (size_t i = 0; i < s->n_spot_requests; i++)
        if (str_eq(s->spot_requests[i]->id, id))
            return s->spot_requests[i];
    return NULL;
}

/* The tags of a resource, or NULL, and the answer is written. */
static struct pairs *tags_of(struct call *c, const char *id)
{
    struct instance *i = world_instance(c->sim, id);
    struct volume *v = world_volume(c->sim, id);
    struct spot_request *q = find_spot_request(c->sim, id);
    const char *region = i ? i->region : v ? v->region : q ? q->region : NULL;
    if (str_eq(region, c->region) && !c->request->hide)
        return i ? &i->tags : v ? &v->tags : &q->tags;
    if (str_starts(id, "i-"))
        fail(c, 400, "InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id);
    else if (str_starts(id, "vol-"))
        fail(c, 400, "InvalidVolume.NotFound", "The volume '%s' does not exist.", id);
    else if (str_starts(id, "sir-"))
        fail(c, 400, "InvalidSpotInstanceRequestID.NotFound", "The spot instance request ID '%s' does not exist", id);
    else
        fail(c, 400, "InvalidID", "The ID '%s' is not valid", id);
    return NULL;
}

static void delete_tag(const struct call *c, struct pairs *tags, unsigned n)
{
    const char *key = param_n(c, "Tag.%u.Key", n), *value = param_n(c, "Tag.%u.Value", n);
    if (!value || str_eq(value, pairs_get(tags, key)))
        pairs_remove(tags, key);
}

static bool create_tag(struct call *c, struct pairs *tags, unsigned n)
{
    const char *key = param_n(c, "Tag.%u.Key", n), *value = param_n(c, "Tag.%u.Value", n);
    if (tags->n >= TAGS_MAX && !pairs_get(tags, key))
        return fail(c, 400, "TagLimitExceeded", "The maximum number of Tags for a resource has been reached.");
    pairs_set(tags, key, value ? value : "");
    return true;
}

static void change_tags(struct call *c)
{
    AUTO_STRLIST ids = { 0 };
    bool create = str_eq(c->action, "CreateTags");
    const char *key;
    unsigned n_tags = 0;
    list_param(c, "ResourceId", &ids);
    for (; (key = param_n(c, "Tag.%u.Key", n_tags + 1)) != NULL; n_tags++) {
        const char *value = param_n(c, "Tag.%u.Value", n_tags + 1);
        if (!check_tag(c, key, value ? value : ""))
            return;
    }
    if (ids.n == 0 || ids.n > PAGE_MAX || (create && n_tags == 0)) {
        fail(c, 400, ids.n > PAGE_MAX ? "InvalidParameterValue" : "MissingParameter",
             "The request must contain the parameter %s", ids.n == 0 ? "resourceIdSet" : "tagSet");
        return;
    }
    for (size_t n = 0; n < ids.n; n++)
        if (!tags_of(c, ids.v[n]))
            return;
    if (!wet_run(c))
        return;
    for (size_t n = 0; n < ids.n; n++) {
        struct pairs *tags = tags_of(c, ids.v[n]);
        if (!create && n_tags == 0)
            pairs_clear(tags);
        for (unsigned t = 1; t <= n_tags; t++) {
            if (!create)
                delete_tag(c, tags, t);
            else if (!create_tag(c, tags, t))
                return;
        }
    }
    begin(c);
    strbuf_adds(&c->res->body, "<return>true</return>");
    end(c);
}

struct tag_row {
    const char *id, *kind, *key, *value;
};

static void tag_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    const struct tag_row *t = row;
    const struct {
        const char *name, *value;
    } known[] = { { "resource-id", t->id }, { "resource-type", t->kind }, { "key", t->key }, { "value", t->value } };
    for (size_t n = 0; n < ARRAY_SIZE(known); n++)
        if (str_eq(known[n].name, name))
            add_if(ret, known[n].value);
}

static const struct resource tag_resource = { "resource-id resource-type key value", tag_values, NULL };

static void write_tag_rows(struct call *c, struct page *page, const char *id, const char *kind,
                           const struct pairs *tags)
{
    struct strbuf *out = &c->res->body;
    for (size_t i = 0; i < tags->n; i++) {
        struct tag_row row = { id, kind, tags->v[2 * i], tags->v[2 * i + 1] };
        if (!passes(c, &tag_resource, &row) || !page_takes(c, page))
            continue;
        open_element(out, "item");
        element(out, "resourceId", row.id);
        element(out, "resourceType", row.kind);
        element(out, "key", row.key);
        element(out, "value", row.value);
        close_element(out, "item");
    }
}

static void describe_tags(struct call *c)
{
    const struct sim *s = c->sim;
    struct page page = { 0 };
    if (!page_begin(c, 0, PAGE_MAX, &page) || !check_filters(c, &tag_resource))
        return;
    begin(c);
    open_element(&c->res->body, "tagSet");
    for (size_t n = 0; n < s->n_instances; n++)
        if (str_eq(s->instances[n]->region, c->region))
            write_tag_rows(c, &page, s->instances[n]->id, "instance", &s->instances[n]->tags);
    for (size_t n = 0; n < s->n_volumes; n++)
        if (str_eq(s->volumes[n]->region, c->region))
            write_tag_rows(c, &page, s->volumes[n]->id, "volume", &s->volumes[n]->tags);
    for (size_t n = 0; n < s->n_spot_requests; n++)
        if (str_eq(s->spot_requests[n]->region, c->region))
            write_tag_rows(c, &page, s->spot_requests[n]->id, "spot-instances-request", &s->spot_requests[n]->tags);
    close_element(&c->res->body, "tagSet");
    page_end(c, &page);
    end(c);
}

/* --- volumes ------------------------------------------------------------------------------------------------------ */

static const struct pairs *volume_tags(const void *row)
{
    return &((const struct volume *)row)->tags;
}

static void volume_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    const struct volume *v = row;
    const struct {
        const char *name, *value;
    } known[] = { { "volume-id", v->id },
                  { "status", v->instance ? "in-use" : "available" },
                  { "attachment.instance-id", v->instance },
                  { "availability-zone", v->zone },
                  { "volume-type", v->type } };
    for (size_t n = 0; n < ARRAY_SIZE(known); n++)
        if (str_eq(known[n].name, name))
            add_if(ret, known[n].value);
}

static const struct resource volume_resource = {
    "volume-id status attachment.instance-id availability-zone volume-type", volume_values, volume_tags
};

static bool check_volume_id(struct call *c, const char *id)
{
    const struct volume *v = id ? world_volume(c->sim, id) : NULL;
    if (!id)
        return fail(c, 400, "MissingParameter", "The request must contain the parameter volume");
    if (!is_id(id, "vol-"))
        return fail(c, 400, "InvalidParameterValue",
                    "Value (%s) for parameter volumeId is invalid. Expected: 'vol-...'.", id);
    return (v && str_eq(v->region, c->region)) ||
           fail(c, 400, "InvalidVolume.NotFound", "The volume '%s' does not exist.", id);
}

static void write_volume(struct strbuf *out, const struct volume *v)
{
    open_element(out, "item");
    element(out, "volumeId", v->id);
    element_int(out, "size", v->size);
    element(out, "snapshotId", "");
    element(out, "availabilityZone", v->zone);
    element(out, "status", v->instance ? "in-use" : "available");
    element_time(out, "createTime", v->created);
    open_element(out, "attachmentSet");
    if (v->instance) {
        open_element(out, "item");
        element(out, "volumeId", v->id);
        element(out, "instanceId", v->instance);
        element(out, "device", v->device);
        element(out, "status", "attached");
        element_time(out, "attachTime", v->created);
        element_bool(out, "deleteOnTermination", v->delete_on_termination);
        close_element(out, "item");
    }
    close_element(out, "attachmentSet");
    tag_set(out, &v->tags);
    element(out, "volumeType", v->type);
    element_bool(out, "encrypted", false);
    close_element(out, "item");
}

static void describe_volumes(struct call *c)
{
    AUTO_STRLIST ids = { 0 };
    struct page page = { 0 };
    list_param(c, "VolumeId", &ids);
    if (!page_begin(c, ids.n, PAGE_MAX, &page) || !check_filters(c, &volume_resource))
        return;
    for (size_t n = 0; n < ids.n; n++)
        if (!check_volume_id(c, ids.v[n]))
            return;
    begin(c);
    open_element(&c->res->body, "volumeSet");
    for (size_t n = 0; n < c->sim->n_volumes; n++) {
        const struct volume *v = c->sim->volumes[n];
        if (str_eq(v->region, c->region) && (ids.n == 0 || strlist_has(&ids, v->id)) &&
            passes(c, &volume_resource, v) && page_takes(c, &page))
            write_volume(&c->res->body, v);
    }
    close_element(&c->res->body, "volumeSet");
    page_end(c, &page);
    end(c);
}

static void delete_volume(struct call *c)
{
    const char *id = param(c, "VolumeId");
    if (!check_volume_id(c, id))
        return;
    struct volume *v = world_volume(c->sim, id);
    if (v->instance) {
        fail(c, 400, "VolumeInUse", "Volume %s is currently attached to %s", v->id, v->instance);
        return;
    }
    if (!wet_run(c))
        return;
    world_remove_volume(c->sim, v);
    begin(c);
    strbuf_adds(&c->res->body, "<return>true</return>");
    end(c);
}

/* --- spot requests ------------------------------------------------------------------------------------------------ */

static const char *spot_state(const struct call *c, const struct spot_request *q)
{
    const struct instance *i = world_instance(c->sim, q->instance);
    return i && instance_is_live(i) ? "active" : "closed";
}

static const struct pairs *spot_tags(const void *row)
{
    return &((const struct spot_request *)row)->tags;
}

static void spot_values(const struct call *c, const void *row, const char *name, struct strlist *ret)
{
    const struct spot_request *q = row;
    const struct {
        const char *name, *value;
    } known[] = { { "spot-instance-request-id", q->id },
                  { "instance-id", q->instance },
                  { "state", spot_state(c, q) } };
    for (size_t n = 0; n < ARRAY_SIZE(known); n++)
        if (str_eq(known[n].name, name))
            add_if(ret, known[n].value);
}

static const struct resource spot_resource = { "spot-instance-request-id instance-id state", spot_values, spot_tags };

static void write_spot_request(struct call *c, const struct spot_request *q)
{
    struct strbuf *out = &c->res->body;
    bool active = str_eq(spot_state(c, q), "active");
    open_element(out, "item");
    element(out, "spotInstanceRequestId", q->id);
    element(out, "type", "one-time");
    element(out, "state", active ? "active" : "closed");
    open_element(out, "status");
    element(out, "code", active ? "fulfilled" : "instance-terminated-by-user");
    element(out, "message", active ? "Your Spot request is fulfilled." : "Spot Instance terminated.");
    close_element(out, "status");
    open_element(out, "launchSpecification");
    element(out, "imageId", q->image);
    element(out, "instanceType", q->type);
    close_element(out, "launchSpecification");
    element(out, "instanceId", q->instance);
    element_time(out, "createTime", q->created);
    element(out, "productDescription", "Linux/UNIX");
    tag_set(out, &q->tags);
    element(out, "instanceInterruptionBehavior", "terminate");
    close_element(out, "item");
}

static void describe_spot_requests(struct call *c)
{
    AUTO_STRLIST ids = { 0 };
    struct page page = { 0 };
    list_param(c, "SpotInstanceRequestId", &ids);
    if (!page_begin(c, ids.n, PAGE_MAX, &page) || !check_filters(c, &spot_resource))
        return;
    for (size_t n = 0; n < ids.n; n++) {
        const struct spot_request *q = find_spot_request(c->sim, ids.v[n]);
        if (q && str_eq(q->region, c->region))
            continue;
        fail(c, 400, "InvalidSpotInstanceRequestID.NotFound", "The spot instance request ID '%s' does not exist",
             ids.v[n]);
        return;
    }
    begin(c);
    open_element(&c->res->body, "spotInstanceRequestSet");
    for (size_t n = 0; n < c->sim->n_spot_requests; n++) {
        const struct spot_request *q = c->sim->spot_requests[n];
        if (str_eq(q->region, c->region) && (ids.n == 0 || strlist_has(&ids, q->id)) && passes(c, &spot_resource, q) &&
            page_takes(c, &page))
            write_spot_request(c, q);
    }
    close_element(&c->res->body, "spotInstanceRequestSet");
    page_end(c, &page);
    end(c);
}

/* --- what is there from the beginning ----------------------------------------------------------------------------- */

static void image_tags_of(const struct image *image, struct pairs *ret)
{
    if (!image->runner_version)
        return;
    pairs_add(ret, "Name", image->name);
    pairs_add(ret, "mayfly:runner-version", image->runner_version);
}

static void image_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    const struct image *image = row;
    const struct {
        const char *name, *value;
    } known[] = { { "name", image->name },
                  { "image-id", image->id },
                  { "architecture", image->architecture },
                  { "state", "available" },
                  { "owner-id", image->owner },
                  { "root-device-type", "ebs" },
                  { "virtualization-type", "hvm" },
                  { "image-type", "machine" },
                  { "is-public", str_eq(image->owner, account) ? "false" : "true" } };
    for (size_t n = 0; n < ARRAY_SIZE(known); n++)
        if (str_eq(known[n].name, name))
            add_if(ret, known[n].value);
}

/* The tags of images are made anew, hence one at a time. */
static struct pairs image_tag_pairs;
static const struct pairs *image_tags(const void *row)
{
    pairs_clear(&image_tag_pairs);
    image_tags_of(row, &image_tag_pairs);
    return &image_tag_pairs;
}

static const struct resource image_resource = {
    "name image-id architecture state owner-id root-device-type virtualization-type image-type is-public", image_values,
    image_tags
};

static bool has_owner(const struct image *image, const struct strlist *owners)
{
    if (owners->n == 0)
        return true;
    for (size_t i = 0; i < owners->n; i++)
        if (str_eq(owners->v[i], image->owner) || (str_eq(owners->v[i], "self") && str_eq(image->owner, account)))
            return true;
    return false;
}

static void write_image(struct strbuf *out, const struct image *image)
{
    open_element(out, "item");
    element(out, "imageId", image->id);
    element(out, "imageLocation", image->name);
    element(out, "imageState", "available");
    element(out, "imageOwnerId", image->owner);
    element(out, "creationDate", "2026-11-01T00:00:00.000Z");
    element_bool(out, "isPublic", !str_eq(image->owner, account));
    element(out, "architecture", image->architecture);
    element(out, "imageType", "machine");
    element(out, "name", image->name);
    element(out, "rootDeviceType", "ebs");
    element(out, "rootDeviceName", root_device);
    strbuf_addf(out,
                "<blockDeviceMapping><item><deviceName>%s</deviceName><ebs><snapshotId>snap-%s</snapshotId><volumeSize>"
                "%d</volumeSize><deleteOnTermination>true</deleteOnTermination><volumeType>gp3</volumeType><encrypted>"
                "false</encrypted></ebs></item></blockDeviceMapping>",
                root_device, image->id + strlen("ami-"), ROOT_GIB);
    element(out, "virtualizationType", "hvm");
    tag_set(out, image_tags(image));
    element(out, "hypervisor", "xen");
    element_bool(out, "enaSupport", true);
    element(out, "imdsSupport", "v2.0");
    close_element(out, "item");
}

static void describe_images(struct call *c)
{
    AUTO_STRLIST ids = { 0 }, owners = { 0 };
    struct page page = { 0 };
    list_param(c, "ImageId", &ids);
    list_param(c, "Owner", &owners);
    if (!page_begin(c, 0, PAGE_MAX, &page) || !check_filters(c, &image_resource))
        return;
    for (size_t i = 0; i < ids.n; i++)
        if (!check_image_id(c, ids.v[i]))
            return;
    begin(c);
    open_element(&c->res->body, "imagesSet");
    for (size_t i = 0; i < ARRAY_SIZE(images); i++)
        if ((ids.n == 0 || strlist_has(&ids, images[i].id)) && has_owner(&images[i], &owners) &&
            passes(c, &image_resource, &images[i]) && page_takes(c, &page))
            write_image(&c->res->body, &images[i]);
    close_element(&c->res->body, "imagesSet");
    page_end(c, &page);
    end(c);
}

static void subnet_values(const struct call *c, const void *row, const char *name, struct strlist *ret)
{
    const struct subnet *n = row;
    AUTO_FREE char *zone = xasprintf("%s%s", c->region, n->zone);
    const struct {
        const char *name, *value;
    } known[] = { { "subnet-id", n->id }, { "availability-zone", zone }, { "vpc-id", vpc }, { "state", "available" } };
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (str_eq(known[i].name, name))
            add_if(ret, known[i].value);
}

static const struct resource subnet_resource = { "subnet-id availability-zone vpc-id state", subnet_values, NULL };

static void describe_subnets(struct call *c)
{
    struct strbuf *out = &c->res->body;
    AUTO_STRLIST ids = { 0 };
    struct page page = { 0 };
    list_param(c, "SubnetId", &ids);
    if (!page_begin(c, ids.n, PAGE_MAX, &page) || !check_filters(c, &subnet_resource))
        return;
    for (size_t i = 0; i < ids.n; i++) {
        if (find_subnet(ids.v[i]))
            continue;
        fail(c, 400, "InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", ids.v[i]);
        return;
    }
    begin(c);
    open_element(out, "subnetSet");
    for (size_t i = 0; i < ARRAY_SIZE(subnets); i++) {
        if ((ids.n > 0 && !strlist_has(&ids, subnets[i].id)) || !passes(c, &subnet_resource, &subnets[i]) ||
            !page_takes(c, &page))
            continue;
        open_element(out, "item");
        element(out, "subnetId", subnets[i].id);
        element(out, "state", "available");
        element(out, "ownerId", account);
        element(out, "vpcId", vpc);
        strbuf_addf(out, "<cidrBlock>10.0.%" PRId64 ".0/24</cidrBlock>", subnets[i].net);
        element_int(out, "availableIpAddressCount", (int64_t)free_addresses(c, subnets[i].id));
        strbuf_addf(out, "<availabilityZone>%s%s</availabilityZone>", c->region, subnets[i].zone);
        element_bool(out, "defaultForAz", true);
        element_bool(out, "mapPublicIpOnLaunch", true);
        strbuf_adds(out, "<tagSet/></item>");
    }
    close_element(out, "subnetSet");
    page_end(c, &page);
    end(c);
}

static void group_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    const struct group *g = row;
    const struct {
        const char *name, *value;
    } known[] = { { "group-id", g->id }, { "group-name", g->name }, { "vpc-id", vpc } };
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (str_eq(known[i].name, name))
            add_if(ret, known[i].value);
}

static const struct resource group_resource = { "group-id group-name vpc-id", group_values, NULL };

static void describe_security_groups(struct call *c)
{
    struct strbuf *out = &c->res->body;
    AUTO_STRLIST ids = { 0 };
    struct page page = { 0 };
    list_param(c, "GroupId", &ids);
    if (!page_begin(c, ids.n, PAGE_MAX, &page) || !check_filters(c, &group_resource))
        return;
    for (size_t i = 0; i < ids.n; i++) {
        if (find_group(ids.v[i]))
            continue;
        fail(c, 400, "InvalidGroup.NotFound", "The security group '%s' does not exist", ids.v[i]);
        return;
    }
    begin(c);
    open_element(out, "securityGroupInfo");
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        if ((ids.n > 0 && !strlist_has(&ids, groups[i].id)) || !passes(c, &group_resource, &groups[i]) ||
            !page_takes(c, &page))
            continue;
        open_element(out, "item");
        element(out, "ownerId", account);
        element(out, "groupId", groups[i].id);
        element(out, "groupName", groups[i].name);
        element(out, "groupDescription", "of the simulator");
        element(out, "vpcId", vpc);
        strbuf_adds(out, "<ipPermissions/><ipPermissionsEgress/><tagSet/></item>");
    }
    close_element(out, "securityGroupInfo");
    page_end(c, &page);
    end(c);
}

static void type_values(const struct call *c UNUSED, const void *row, const char *name, struct strlist *ret)
{
    struct type type;
    if (str_eq(name, "instance-type"))
        strlist_add(ret, row);
    else if (find_type(row, &type))
        strlist_add(ret, type.architecture);
}

static const struct resource type_resource = { "instance-type processor-info.supported-architecture", type_values,
                                               NULL };

static void write_type(struct strbuf *out, const char *name)
{
    struct type type = { 0 };
    if (!find_type(name, &type))
        return;
    open_element(out, "item");
    element(out, "instanceType", name);
    element_bool(out, "currentGeneration", true);
    strbuf_adds(out, "<supportedUsageClasses><item>on-demand</item><item>spot</item></supportedUsageClasses>");
    strbuf_addf(out,
                "<processorInfo><supportedArchitectures><item>%s</item></supportedArchitectures></processorInfo>"
                "<vCpuInfo><defaultVCpus>%" PRId64 "</defaultVCpus></vCpuInfo><memoryInfo><sizeInMiB>%" PRId64
                "</sizeInMiB></memoryInfo>",
                type.architecture, type.vcpus, type.mib);
    close_element(out, "item");
}

static void describe_instance_types(struct call *c)
{
    AUTO_STRLIST ids = { 0 };
    struct page page = { 0 };
    struct type type;
    list_param(c, "InstanceType", &ids);
    if (!page_begin(c, ids.n, 100, &page) || !check_filters(c, &type_resource))
        return;
    for (size_t i = 0; i < ids.n; i++) {
        if (find_type(ids.v[i], &type))
            continue;
        fail(c, 400, "InvalidInstanceType", "The following supplied instance types do not exist: [%s]", ids.v[i]);
        return;
    }
    begin(c);
    open_element(&c->res->body, "instanceTypeSet");
    for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
        for (size_t n = families[f].first; n <= families[f].last; n++) {
            AUTO_FREE char *name = xasprintf("%s.%s", families[f].family, sizes[n].name);
            if ((ids.n == 0 || strlist_has(&ids, name)) && passes(c, &type_resource, name) && page_takes(c, &page))
                write_type(&c->res->body, name);
        }
    }
    close_element(&c->res->body, "instanceTypeSet");
    page_end(c, &page);
    end(c);
}

static void get_caller_identity(struct call *c)
{
    strbuf_addf(&c->res->body,
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
                "<GetCallerIdentityResult><Arn>arn:aws:sts::%s:assumed-role/mayfly/simulator</Arn>"
                "<UserId>AROASIMULATED00000001:simulator</UserId><Account>%s</Account></GetCallerIdentityResult>"
                "<ResponseMetadata>",
                account, account);
    request_id(c->res, "RequestId");
    strbuf_adds(&c->res->body, "</ResponseMetadata></GetCallerIdentityResponse>");
}

/* --- the table of actions ----------------------------------------------------------------------------------------- */

#define FILTERS "Filter.N.Name Filter.N.Value.N "
#define PAGES "MaxResults# NextToken "

/* What is served, and the parameters each takes, numbers in their names written as N, since EC2 refuses unknown ones.
 * `?` marks a boolean, `#` a number. DryRun goes with every action of EC2. */
static const struct action {
    const char *service, *name;
    void (*serve)(struct call *);
    const char *parameters;
} actions[] = {
    { "ec2", "RunInstances", run_instances,
      "ImageId InstanceType MinCount# MaxCount# ClientToken KeyName SubnetId SecurityGroupId.N UserData EbsOptimized? "
      "DisableApiTermination? InstanceInitiatedShutdownBehavior Monitoring.Enabled? "
      "MetadataOptions.HttpEndpoint MetadataOptions.HttpTokens MetadataOptions.HttpPutResponseHopLimit# "
      "MetadataOptions.HttpProtocolIpv6 MetadataOptions.InstanceMetadataTags "
      "IamInstanceProfile.Name IamInstanceProfile.Arn Placement.AvailabilityZone Placement.Tenancy "
      "CreditSpecification.CpuCredits CpuOptions.CoreCount# CpuOptions.ThreadsPerCore# "
      "PrivateDnsNameOptions.HostnameType MaintenanceOptions.AutoRecovery "
      "InstanceMarketOptions.MarketType InstanceMarketOptions.SpotOptions.SpotInstanceType "
      "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior InstanceMarketOptions.SpotOptions.MaxPrice "
      "TagSpecification.N.ResourceType TagSpecification.N.Tag.N.Key TagSpecification.N.Tag.N.Value "
      "BlockDeviceMapping.N.DeviceName BlockDeviceMapping.N.VirtualName BlockDeviceMapping.N.NoDevice "
      "BlockDeviceMapping.N.Ebs.VolumeSize# BlockDeviceMapping.N.Ebs.VolumeType BlockDeviceMapping.N.Ebs.Iops# "
      "BlockDeviceMapping.N.Ebs.Throughput# BlockDeviceMapping.N.Ebs.Encrypted? BlockDeviceMapping.N.Ebs.KmsKeyId "
      "BlockDeviceMapping.N.Ebs.SnapshotId BlockDeviceMapping.N.Ebs.DeleteOnTermination? "
      "NetworkInterface.N.DeviceIndex# NetworkInterface.N.SubnetId NetworkInterface.N.SecurityGroupId.N "
      "NetworkInterface.N.AssociatePublicIpAddress? NetworkInterface.N.DeleteOnTermination? "
      "NetworkInterface.N.Description" },
    { "ec2", "DescribeInstances", describe_instances, "InstanceId.N " FILTERS PAGES },
    { "ec2", "TerminateInstances", change_states, "InstanceId.N Force? SkipOsShutdown?" },
    { "ec2", "StopInstances", change_states, "InstanceId.N Force? Hibernate? SkipOsShutdown?" },
    { "ec2", "StartInstances", change_states, "InstanceId.N" },
    { "ec2", "GetConsoleOutput", get_console_output, "InstanceId Latest?" },
    { "ec2", "CreateTags", change_tags, "ResourceId.N Tag.N.Key Tag.N.Value" },
    { "ec2", "DeleteTags", change_tags, "ResourceId.N Tag.N.Key Tag.N.Value" },
    { "ec2", "DescribeTags", describe_tags, FILTERS PAGES },
    { "ec2", "DescribeVolumes", describe_volumes, "VolumeId.N " FILTERS PAGES },
    { "ec2", "DeleteVolume", delete_volume, "VolumeId" },
    { "ec2", "DescribeSpotInstanceRequests", describe_spot_requests, "SpotInstanceRequestId.N " FILTERS PAGES },
    { "ec2", "DescribeImages", describe_images,
      "ImageId.N Owner.N ExecutableBy.N IncludeDeprecated? IncludeDisabled? " FILTERS PAGES },
    { "ec2", "DescribeSubnets", describe_subnets, "SubnetId.N " FILTERS PAGES },
    { "ec2", "DescribeSecurityGroups", describe_security_groups, "GroupId.N " FILTERS PAGES },
    { "ec2", "DescribeInstanceTypes", describe_instance_types, "InstanceType.N " FILTERS PAGES },
    { "sts", "GetCallerIdentity", get_caller_identity, "" },
};

/* "Filter.1.Value.2" as "Filter.N.Value.N"; owned. */
static char *shape_of(const char *name)
{
    AUTO_STRBUF shape = STRBUF_INIT;
    for (; *name; name++) {
        if (isdigit((unsigned char)*name) && shape.len > 0 && shape.data[shape.len - 1] == '.') {
            strbuf_addc(&shape, 'N');
            name += strspn(name, "0123456789") - 1;
        } else {
            strbuf_addc(&shape, *name);
        }
    }
    return strbuf_steal(&shape);
}

static bool check_value(struct call *c, const char *name, const char *value, char type)
{
    uint64_t n;
    if ((type == '?' && !is_true(value) && !str_eq(value, "false")) ||
        (type == '#' && !parse_uint(value, INT64_MAX, &n)))
        return fail(c, 400, "InvalidParameterValue", "Value (%s) for parameter %s is invalid.", value, name);
    return true;
}

static bool check_parameters(struct call *c, const struct action *action)
{
    const struct pairs *form = &c->request->form;
    AUTO_STRLIST known = { 0 };
    strlist_split(&known, action->parameters, " ");
    strlist_split(&known, str_eq(action->service, "ec2") ? "Action Version DryRun?" : "Action Version", " ");
    for (size_t i = 0; i < form->n; i++) {
        const char *name = form->v[2 * i], *value = form->v[2 * i + 1];
        AUTO_FREE char *shape = shape_of(name);
        size_t len = strlen(shape), k = 0;
        for (; k < known.n; k++) {
            const char *rest = known.v[k] + len;
            if (strncmp(known.v[k], shape, len) == 0 && (*rest == '\0' || ((*rest == '?' || *rest == '#') && !rest[1])))
                break;
        }
        if (k == known.n)
            return fail(c, 400, "UnknownParameter", "The parameter %s is not recognized", name);
        if (!check_value(c, name, value, known.v[k][len]))
            return false;
        for (size_t d = 0; d < i; d++)
            if (str_eq(form->v[2 * d], name))
                return fail(c, 400, "MalformedQueryString", "The parameter %s is given twice", name);
    }
    return true;
}

static bool is_region(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(regions); i++)
        if (str_eq(regions[i], name))
            return true;
    return false;
}

static void dispatch(struct call *c)
{
    const char *version = str_eq(c->request->service, "sts") ? "2011-06-15" : "2016-11-15";
    if (!str_eq(param(c, "Version"), version)) {
        fail(c, 400, "InvalidAction", "Could not find operation %s for version %s", c->action,
             param(c, "Version") ? param(c, "Version") : "(none)");
        return;
    }
    for (size_t a = 0; a < ARRAY_SIZE(actions); a++) {
        if (!str_eq(actions[a].service, c->request->service) || !str_eq(actions[a].name, c->action))
            continue;
        if (check_parameters(c, &actions[a]))
            actions[a].serve(c);
        return;
    }
    fail(c, 400, "InvalidAction", "The action %s is not valid for this web service.", c->action);
}

void aws_serve(struct sim *s, const struct request *r, struct response *res)
{
    AUTO_FREE char *region = NULL;
    const char *code = NULL, *message = NULL;
    int status = 0;
    struct call c = { .sim = s, .request = r, .res = res };
    res->content_type = str_eq(r->service, "sts") ? "text/xml" : "text/xml;charset=UTF-8";
    res->status = 200;
    pairs_set(&res->headers, "Server", "AmazonEC2");
    if (!verify_signature(s, r, &region, &code, &message, &status))
        fail(&c, status, code, "%s", message);
    else if (!r->form_ok)
        fail(&c, 400, "MalformedQueryString", "The request body is no form");
    else if (!is_region(region))
        fail(&c, 401, "AuthFailure", "Credential should be scoped to a valid region.");
    else if ((c.action = param(&c, "Action")) == NULL)
        fail(&c, 400, "MissingAction", "The request must contain the parameter Action");
    else {
        c.region = region;
        dispatch(&c);
    }
}
