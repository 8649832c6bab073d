#include "mayfly/aws/ec2.h"

#include <assert.h>

#include "ec2_call.h"
#include "mayfly/aws/query.h"
#include "mayfly/codec/xml.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/secret.h"

static const struct {
    const char *name;
    enum ec2_state state;
    bool live;
} states[] = {
    { "pending", EC2_PENDING, true },
    { "running", EC2_RUNNING, true },
    { "shutting-down", EC2_SHUTTING_DOWN, false },
    { "terminated", EC2_TERMINATED, false },
    { "stopping", EC2_STOPPING, true },
    { "stopped", EC2_STOPPED, true },
};

enum ec2_state ec2_state_parse(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(states); i++)
        if (str_eq(states[i].name, name))
            return states[i].state;
    return EC2_UNKNOWN;
}

const char *ec2_state_format(enum ec2_state state)
{
    for (size_t i = 0; i < ARRAY_SIZE(states); i++)
        if (states[i].state == state)
            return states[i].name;
    return "unknown";
}

bool ec2_state_is_live(enum ec2_state state)
{
    for (size_t i = 0; i < ARRAY_SIZE(states); i++)
        if (states[i].state == state)
            return states[i].live;
    return true; /* what is not known to be gone may cost money */
}

#define INSTANCE(path_, member, form_)                                                                                 \
    {                                                                                                                  \
        .path = (path_), .type = FIELD_STR, .offset = offsetof(struct ec2_instance, member), .form = (form_)           \
    }

static const struct field tag_fields[] = {
    { .path = "key", .type = FIELD_STR, .offset = offsetof(struct ec2_tag, key) },
    { .path = "value", .type = FIELD_STR, .offset = offsetof(struct ec2_tag, value) },
    { 0 },
};

static const struct field instance_fields[] = {
    INSTANCE("instanceId", id, FORM_INSTANCE),
    INSTANCE("imageId", image, FORM_IMAGE),
    INSTANCE("instanceType", type, FORM_TYPE),
    INSTANCE("placement/availabilityZone", zone, FORM_ZONE),
    INSTANCE("subnetId", subnet, FORM_SUBNET),
    INSTANCE("instanceLifecycle", lifecycle, FORM_WORD),
    INSTANCE("clientToken", client_token, FORM_WORD),
    INSTANCE("instanceState/name", state_name, FORM_WORD),
    INSTANCE("launchTime", launch_time, FORM_TIME),
    INSTANCE("stateReason/code", reason_code, FORM_WORD),
    INSTANCE("stateReason/message", reason_message, FORM_ANY),
    { .path = "tagSet/item",
      .type = FIELD_LIST,
      .offset = offsetof(struct ec2_instance, tags),
      .items = tag_fields,
      .item_size = sizeof(struct ec2_tag) },
    { 0 },
};

enum ec2_state ec2_instance_state(const struct ec2_instance *i)
{
    return ec2_state_parse(i->state_name);
}

int64_t ec2_instance_launched(const struct ec2_instance *i)
{
    int64_t t;
    return i->launch_time && clock_parse_rfc3339(i->launch_time, &t) ? t : 0;
}

const char *ec2_instance_tag(const struct ec2_instance *i, const char *key)
{
    for (size_t n = 0; n < i->tags.n; n++) {
        const struct ec2_tag *tag = FIELD_ROW(&i->tags, const struct ec2_tag, n);
        if (str_eq(tag->key, key))
            return tag->value ? tag->value : "";
    }
    return NULL;
}

bool ec2_decode(const struct aws_call *c, const struct field *fields, void *out, struct arena *arena, struct error *err)
{
    const struct strbuf *body = &c->call.exchange.response.body;
    AUTO_FREE char *what = aws_call_what(&c->call);
    AUTO_FREE char *root = xasprintf("%sResponse", c->call.name);
    return xml_decode(strbuf_str(body), body->len, root, fields, out, arena, what, err);
}

struct aws_call *ec2_call_new(struct aws *aws, const char *region, const char *action, struct strbuf *body)
{
    return aws_call_new(aws, "ec2", region, action, body);
}

struct aws_call *ec2_make_call_new(struct aws *aws, const char *region, const char *action, struct strbuf *body)
{
    struct aws_call *call = ec2_call_new(aws, region, action, body);
    call->call.makes = true;
    return call;
}

void ec2_make_dry(struct aws_call *call)
{
    query_add_bool(&call->body, true, "DryRun");
}

static void add_tags(struct strbuf *body, const struct ec2_run *run, unsigned spec, const char *resource)
{
    query_add(body, resource, "TagSpecification.%u.ResourceType", spec);
    for (size_t i = 0; i < run->n_tags; i++) {
        query_add(body, run->tags[i].key, "TagSpecification.%u.Tag.%zu.Key", spec, i + 1);
        query_add(body, run->tags[i].value, "TagSpecification.%u.Tag.%zu.Value", spec, i + 1);
    }
}

/* A public address can be asked for in the long form alone, and the two forms must not be mixed. */
static void add_network(struct strbuf *body, const struct ec2_run *run)
{
    if (run->public_ip == EC2_PUBLIC_IP_DEFAULT) {
        query_add(body, run->subnet, "SubnetId");
        query_add_list(body, run->security_groups, "SecurityGroupId");
        return;
    }
    query_add_uint(body, 0, "NetworkInterface.1.DeviceIndex");
    query_add(body, run->subnet, "NetworkInterface.1.SubnetId");
    query_add_list(body, run->security_groups, "NetworkInterface.1.SecurityGroupId");
    query_add_bool(body, run->public_ip == EC2_PUBLIC_IP_YES, "NetworkInterface.1.AssociatePublicIpAddress");
    query_add_bool(body, true, "NetworkInterface.1.DeleteOnTermination");
}

struct aws_call *ec2_run_instances_call(struct aws *aws, const struct ec2_run *run)
{
    struct strbuf body = STRBUF_INIT;
    body.secret = true;
    query_begin(&body, "RunInstances", EC2_VERSION);
    query_add(&body, run->image, "ImageId");
    query_add(&body, run->type, "InstanceType");
    query_add_uint(&body, 1, "MinCount");
    query_add_uint(&body, 1, "MaxCount");
    query_add(&body, run->client_token, "ClientToken");
    add_network(&body, run);
    query_add(&body, run->user_data, "UserData");
    query_add(&body, run->stops ? "stop" : "terminate", "InstanceInitiatedShutdownBehavior");
    for (size_t i = 0; run->params && i + 1 < run->params->n; i += 2)
        query_add(&body, run->params->v[i + 1], "%s", run->params->v[i]);
    if (run->instance_profile)
        query_add(&body, run->instance_profile, "IamInstanceProfile.%s",
                  str_starts(run->instance_profile, "arn:") ? "Arn" : "Name");
    if (run->spot) {
        query_add(&body, "spot", "InstanceMarketOptions.MarketType");
        query_add(&body, run->max_price, "InstanceMarketOptions.SpotOptions.MaxPrice");
        query_add(&body, "one-time", "InstanceMarketOptions.SpotOptions.SpotInstanceType");
        query_add(&body, "terminate", "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior");
    }
    add_tags(&body, run, 1, "instance");
    add_tags(&body, run, 2, "volume");
    if (run->spot)
        add_tags(&body, run, 3, "spot-instances-request");
    struct aws_call *call = ec2_make_call_new(aws, run->region, "RunInstances", &body);
    if (run->user_data) /* the runner's configuration is in it */
        secret_set(&call->secret, run->user_data, strlen(run->user_data));
    return call;
}

struct reservation {
    struct field_list instances;
};

static const struct field reservation_fields[] = {
    { .path = "instancesSet/item",
      .type = FIELD_LIST,
      .offset = offsetof(struct reservation, instances),
      .items = instance_fields,
      .item_size = sizeof(struct ec2_instance) },
    { 0 },
};

bool ec2_run_instances_result(const struct aws_call *call, struct arena *arena, struct ec2_instance *ret,
                              struct error *err)
{
    struct reservation r = { 0 };
    if (!ec2_decode(call, reservation_fields, &r, arena, err))
        return false;
    if (r.instances.n != 1 || str_empty(FIELD_ROW(&r.instances, struct ec2_instance, 0)->id))
        return error_set(err, ERROR_PARSE, 0, "the answer to RunInstances names %zu instances instead of one",
                         r.instances.n);
    const char *id = FIELD_ROW(&r.instances, struct ec2_instance, 0)->id;
    if (!ec2_id_is_valid(id, "i"))
        return error_set(err, ERROR_PARSE, 0,
                         "the answer to RunInstances names the instance `%.40s`, which is not an ID", id);
    *ret = *FIELD_ROW(&r.instances, struct ec2_instance, 0);
    return true;
}

struct aws_call *ec2_describe_instances_call(struct aws *aws, const char *region, const struct ec2_filter *filters,
                                             size_t n, const char *token)
{
    struct strbuf body = STRBUF_INIT;
    assert(n > 0);
    query_begin(&body, "DescribeInstances", EC2_VERSION);
    ec2_add_filters(&body, filters, n);
    query_add_uint(&body, EC2_PAGE_MAX, "MaxResults");
    query_add(&body, token, "NextToken");
    return ec2_call_new(aws, region, "DescribeInstances", &body);
}

/* reservationSet/item holds instancesSet/item; the rows of all reservations are what is wanted. */
static const struct field page_reservation_fields[] = {
    { .path = "reservationSet/item/instancesSet/item",
      .type = FIELD_LIST,
      .offset = offsetof(struct ec2_page, instances),
      .items = instance_fields,
      .item_size = sizeof(struct ec2_instance) },
    { .path = "reservationSet/item/ownerId",
      .type = FIELD_STR,
      .offset = offsetof(struct ec2_page, owner),
      .form = FORM_WORD },
    { .path = "nextToken", .type = FIELD_STR, .offset = offsetof(struct ec2_page, next_token) },
    { 0 },
};

bool ec2_describe_instances_rows(const struct aws_call *call, struct arena *arena, struct ec2_page *ret,
                                 size_t *ret_skipped, struct error *err)
{
    struct ec2_page page = { 0 };
    size_t kept = 0;
    if (!ec2_decode(call, page_reservation_fields, &page, arena, err))
        return false;
    struct ec2_instance *rows = page.instances.rows;
    for (size_t i = 0; i < page.instances.n; i++)
        if (!str_empty(rows[i].id))
            rows[kept++] = rows[i];
    if (str_empty(page.next_token))
        page.next_token = NULL;
    *ret_skipped = page.instances.n - kept;
    page.instances.n = kept;
    *ret = page;
    return true;
}

bool ec2_no_id(struct error *err)
{
    return error_set(err, ERROR_PARSE, 0, "the answer to DescribeInstances has an instance without an id");
}

bool ec2_describe_instances_result(const struct aws_call *call, struct arena *arena, struct ec2_page *ret,
                                   struct error *err)
{
    struct ec2_page page;
    size_t skipped;
    if (!ec2_describe_instances_rows(call, arena, &page, &skipped, err))
        return false;
    if (skipped)
        return ec2_no_id(err);
    *ret = page;
    return true;
}

struct aws_call *ec2_terminate_instances_call(struct aws *aws, const char *region, const struct strlist *ids)
{
    struct strbuf body = STRBUF_INIT;
    assert(ids->n > 0);
    query_begin(&body, "TerminateInstances", EC2_VERSION);
    query_add_list(&body, ids, "InstanceId");
    return ec2_call_new(aws, region, "TerminateInstances", &body);
}

struct changes {
    struct field_list rows;
};

static const struct field change_fields[] = {
    { .path = "instanceId", .type = FIELD_STR, .offset = offsetof(struct ec2_change, id), .form = FORM_INSTANCE },
    { .path = "currentState/name",
      .type = FIELD_STR,
      .offset = offsetof(struct ec2_change, state_name),
      .form = FORM_WORD },
    { 0 },
};

static const struct field changes_fields[] = {
    { .path = "instancesSet/item",
      .type = FIELD_LIST,
      .offset = offsetof(struct changes, rows),
      .items = change_fields,
      .item_size = sizeof(struct ec2_change) },
    { 0 },
};

bool ec2_terminate_instances_result(const struct aws_call *call, struct arena *arena, struct field_list *ret_changes,
                                    struct error *err)
{
    struct changes changes = { 0 };
    if (!ec2_decode(call, changes_fields, &changes, arena, err))
        return false;
    *ret_changes = changes.rows;
    return true;
}

struct aws_call *ec2_describe_images_call(struct aws *aws, const char *region, const struct strlist *ids,
                                          const char *owner, const char *name)
{
    struct strbuf body = STRBUF_INIT;
    assert(ids ? ids->n > 0 : owner && name);
    query_begin(&body, "DescribeImages", EC2_VERSION);
    if (ids)
        query_add_list(&body, ids, "ImageId");
    query_add(&body, owner, "Owner.1");
    if (name) {
        query_add(&body, "name", "Filter.1.Name");
        query_add(&body, name, "Filter.1.Value.1");
    }
    return ec2_call_new(aws, region, "DescribeImages", &body);
}

struct images {
    struct field_list rows;
};

#define DEVICE(path_, member)                                                                                          \
    {                                                                                                                  \
        .path = (path_), .type = FIELD_STR, .offset = offsetof(struct ec2_image_device, member)                        \
    }
static const struct field image_device_fields[] = {
    DEVICE("deviceName", name),
    DEVICE("virtualName", virtual_name),
    DEVICE("noDevice", no_device),
    DEVICE("ebs/snapshotId", snapshot),
    DEVICE("ebs/volumeSize", size),
    DEVICE("ebs/volumeType", type),
    DEVICE("ebs/deleteOnTermination", deletes),
    { 0 },
};
#undef DEVICE

static const struct field image_fields[] = {
    { .path = "imageId", .type = FIELD_STR, .offset = offsetof(struct ec2_image, id), .form = FORM_IMAGE },
    { .path = "name", .type = FIELD_STR, .offset = offsetof(struct ec2_image, name) },
    { .path = "imageState", .type = FIELD_STR, .offset = offsetof(struct ec2_image, state), .form = FORM_WORD },
    { .path = "architecture",
      .type = FIELD_STR,
      .offset = offsetof(struct ec2_image, architecture),
      .form = FORM_WORD },
    { .path = "platform", .type = FIELD_STR, .offset = offsetof(struct ec2_image, platform) },
    { .path = "rootDeviceName", .type = FIELD_STR, .offset = offsetof(struct ec2_image, root_device) },
    { .path = "creationDate", .type = FIELD_STR, .offset = offsetof(struct ec2_image, created), .form = FORM_TIME },
    { .path = "tagSet/item",
      .type = FIELD_LIST,
      .offset = offsetof(struct ec2_image, tags),
      .items = tag_fields,
      .item_size = sizeof(struct ec2_tag) },
    { .path = "blockDeviceMapping/item",
      .type = FIELD_LIST,
      .offset = offsetof(struct ec2_image, devices),
      .items = image_device_fields,
      .item_size = sizeof(struct ec2_image_device) },
    { 0 },
};

static const struct field images_fields[] = {
    { .path = "imagesSet/item",
      .type = FIELD_LIST,
      .offset = offsetof(struct images, rows),
      .items = image_fields,
      .item_size = sizeof(struct ec2_image) },
    { 0 },
};

bool ec2_describe_images_result(const struct aws_call *call, struct arena *arena, struct field_list *ret_images,
                                struct error *err)
{
    struct images images = { 0 };
    if (!ec2_decode(call, images_fields, &images, arena, err))
        return false;
    *ret_images = images.rows;
    return true;
}

struct aws_call *ec2_get_console_output_call(struct aws *aws, const char *region, const char *id, bool latest)
{
    struct strbuf body = STRBUF_INIT;
    query_begin(&body, "GetConsoleOutput", EC2_VERSION);
    query_add(&body, id, "InstanceId");
    if (latest)
        query_add_bool(&body, true, "Latest");
    return ec2_call_new(aws, region, "GetConsoleOutput", &body);
}

struct console {
    const char *output;
};

static const struct field console_fields[] = {
    { .path = "output", .type = FIELD_STR, .offset = offsetof(struct console, output) },
    { 0 },
};

bool ec2_get_console_output_result(const struct aws_call *call, struct strbuf *ret, struct error *err)
{
    AUTO_ARENA arena = { 0 };
    struct console console = { 0 };
    if (!ec2_decode(call, console_fields, &console, &arena, err))
        return false;
    size_t start = ret->len;
    if (console.output && !decode_base64(ret, console.output, strlen(console.output)))
        return error_set(err, ERROR_PARSE, 0, "the answer to GetConsoleOutput is not base64");
    for (size_t i = start; i < ret->len; i++)
        if (ret->data[i] == '\0')
            ret->data[i] = ' ';
    return true;
}

struct aws_call *ec2_tag_call(struct aws *aws, const char *region, const char *id, const char *key, const char *value)
{
    const char *action = value ? "CreateTags" : "DeleteTags";
    struct strbuf body = STRBUF_INIT;
    query_begin(&body, action, EC2_VERSION);
    query_add(&body, id, "ResourceId.1");
    query_add(&body, key, "Tag.1.Key");
    query_add(&body, value, "Tag.1.Value");
    return ec2_call_new(aws, region, action, &body);
}

bool ec2_id_is_valid(const char *id, const char *kind)
{
    size_t n = strlen(kind);
    if (!str_starts(id, kind) || id[n] != '-')
        return false;
    size_t digits = strspn(id + n + 1, "0123456789abcdef");
    return (digits == 8 || digits == 17) && id[n + 1 + digits] == '\0';
}
