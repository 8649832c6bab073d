/* Makes each request to AWS that Mayfly can send, for tests/contract/serialize: reads one JSON object a line from
 * stdin, the builder's name in `call` and its arguments beside it; prints one object a line with what would be sent.
 * Test only. */
#include <stdio.h>

#include "mayfly/aws/ec2_fleet.h"
#include "mayfly/aws/ec2_images.h"
#include "mayfly/aws/ec2_network.h"
#include "mayfly/aws/ssm.h"
#include "mayfly/aws/sts.h"
#include "mayfly/cmd/start.h"
#include "mayfly/codec/json.h"
#include "mayfly/runner/params.h"

struct filter {
    const char *name;
    struct field_list values; /* const char * */
};

struct args { /* of all builders; each takes its own */
    const char *call, *access_key, *secret_key, *session_token, *region;
    int64_t time;
    const char *id, *name, *value, *key, *owner, *description, *token, *at, *kind, *encoded;
    const char *image, *type, *subnet, *client_token, *max_price, *source_region, *user_data, *public_ip,
        *instance_profile, *device;
    const char *arn, *session_name, *external_id, *web_token;
    int64_t duration;
    bool latest, spot, stops, dry, is_image;
    struct field_list ids, groups, options, volumes; /* const char * */
    struct field_list tags;                          /* struct ec2_tag */
    struct field_list filters;                       /* struct filter */
};

#define FIELD(of, member, type_)                                                                                       \
    {                                                                                                                  \
        .path = #member, .type = (type_), .offset = offsetof(struct of, member)                                        \
    }
#define STR(member) FIELD(args, member, FIELD_STR)
#define BOOL(member) FIELD(args, member, FIELD_BOOL)
#define ROWS(of, member, items_, row)                                                                                  \
    {                                                                                                                  \
        .path = #member, .type = FIELD_LIST, .offset = offsetof(struct of, member), .items = (items_),                 \
        .item_size = sizeof(row)                                                                                       \
    }

static const struct field tag_fields[] = { FIELD(ec2_tag, key, FIELD_STR), FIELD(ec2_tag, value, FIELD_STR), { 0 } };
static const struct field filter_fields[] = { FIELD(filter, name, FIELD_STR),
                                              ROWS(filter, values, NULL, const char *),
                                              { 0 } };
static const struct field fields[] = {
    STR(call),
    STR(access_key),
    STR(secret_key),
    STR(session_token),
    STR(region),
    FIELD(args, time, FIELD_INT),
    STR(id),
    STR(name),
    STR(value),
    STR(key),
    STR(owner),
    STR(description),
    STR(token),
    STR(at),
    STR(kind),
    STR(encoded),
    STR(image),
    STR(type),
    STR(subnet),
    STR(client_token),
    STR(source_region),
    STR(max_price),
    STR(user_data),
    STR(public_ip),
    STR(instance_profile),
    STR(device),
    STR(arn),
    STR(session_name),
    STR(external_id),
    STR(web_token),
    FIELD(args, duration, FIELD_INT),
    BOOL(latest),
    BOOL(spot),
    BOOL(stops),
    BOOL(dry),
    BOOL(is_image),
    ROWS(args, ids, NULL, const char *),
    ROWS(args, groups, NULL, const char *),
    ROWS(args, options, NULL, const char *),
    ROWS(args, volumes, NULL, const char *),
    ROWS(args, tags, tag_fields, struct ec2_tag),
    ROWS(args, filters, filter_fields, struct filter),
    { 0 },
};

static struct strlist strings(const struct field_list *rows)
{
    struct strlist list = { 0 };
    for (size_t i = 0; i < rows->n; i++)
        strlist_add(&list, *FIELD_ROW(rows, const char *, i));
    return list;
}

/* --- the builders ------------------------------------------------------------------------------------------------- */

static const char *no_variables(const char *name UNUSED)
{
    return NULL;
}

/* What the options of start make of it. */
static struct strlist params_of(const struct args *a)
{
    struct strlist params = { 0 };
    AUTO_STRLIST options = strings(&a->options);
    AUTO_ERROR err = { 0 };
    struct spec spec = { 0 };
    char **argv = xcalloc(options.n + 1, sizeof(*argv));
    for (size_t i = 0; i < options.n; i++)
        argv[i] = options.v[i];
    struct ec2_image_device *devices = xcalloc(a->volumes.n + 1, sizeof(*devices));
    for (size_t i = 0; i < a->volumes.n; i++)
        devices[i].name = *FIELD_ROW(&a->volumes, const char *, i);
    const struct field_list volumes = { .rows = devices, .n = a->volumes.n };
    const struct opt_set sets[] = { { start_opts, &spec }, { NULL, NULL } };
    const struct opts_source source = {
        .command = "mayfly start", .args = argv, .getenv = no_variables, .whose = no_variables
    };
    if (!opts_parse(sets, &source, &err) || !params_make(&spec, a->device, &volumes, &params, &err)) {
        fprintf(stderr, "request: %s\n", err.message);
        exit(1);
    }
    opts_clear(start_opts, &spec);
    free(devices);
    free(argv);
    return params;
}

static struct aws_call *run_instances(struct aws *aws, const struct args *a)
{
    AUTO_STRLIST groups = strings(&a->groups);
    AUTO_STRLIST params = params_of(a);
    const struct ec2_run run = { .region = a->region,
                                 .image = a->image,
                                 .type = a->type,
                                 .subnet = a->subnet,
                                 .client_token = a->client_token,
                                 .security_groups = &groups,
                                 .spot = a->spot,
                                 .stops = a->stops,
                                 .max_price = a->max_price,
                                 .user_data = a->user_data,
                                 .public_ip = !a->public_ip                ? EC2_PUBLIC_IP_DEFAULT
                                              : str_eq(a->public_ip, "no") ? EC2_PUBLIC_IP_NO
                                                                           : EC2_PUBLIC_IP_YES,
                                 .params = &params,
                                 .tags = a->tags.rows,
                                 .n_tags = a->tags.n,
                                 .instance_profile = a->instance_profile };
    struct aws_call *call = ec2_run_instances_call(aws, &run);
    if (a->dry)
        ec2_make_dry(call);
    return call;
}

static enum ec2_kind kind_of(const struct args *a)
{
    enum ec2_kind kind = 0;
    while (kind + 1 < EC2_KIND_COUNT && !str_eq(ec2_kind_name(kind), a->kind))
        kind++;
    return kind;
}

/* Calls `make` with the filters of *a, as struct ec2_filter. */
#define FILTERED(function, make, ...)                                                                                  \
    static struct aws_call *function(struct aws *aws, const struct args *a)                                            \
    {                                                                                                                  \
        struct ec2_filter filters[8] = { 0 };                                                                          \
        struct strlist values[8] = { 0 };                                                                              \
        size_t n = a->filters.n < ARRAY_SIZE(filters) ? a->filters.n : ARRAY_SIZE(filters);                            \
        for (size_t i = 0; i < n; i++) {                                                                               \
            const struct filter *f = FIELD_ROW(&a->filters, const struct filter, i);                                   \
            values[i] = strings(&f->values);                                                                           \
            filters[i] = (struct ec2_filter){ .name = f->name, .values = &values[i] };                                 \
        }                                                                                                              \
        struct aws_call *call = make(aws, a->region, __VA_ARGS__);                                                     \
        for (size_t i = 0; i < n; i++)                                                                                 \
            strlist_clear(&values[i]);                                                                                 \
        return call;                                                                                                   \
    }
FILTERED(describe_instances, ec2_describe_instances_call, filters, n, a->token)
FILTERED(fleet, ec2_fleet_call, filters, n, a->token)
FILTERED(list_leftovers, ec2_list_leftovers_call, kind_of(a), filters, n, a->token)

/* Calls `make` with the ids of *a. */
#define LISTED(function, make, ...)                                                                                    \
    static struct aws_call *function(struct aws *aws, const struct args *a)                                            \
    {                                                                                                                  \
        AUTO_STRLIST ids = strings(&a->ids);                                                                           \
        return make(aws, a->region, __VA_ARGS__);                                                                      \
    }
LISTED(terminate_instances, ec2_terminate_instances_call, &ids)
LISTED(describe_images, ec2_describe_images_call, ids.n ? &ids : NULL, a->owner, a->name)
LISTED(tag_many, ec2_tag_many_call, &ids, a->key, a->value)
LISTED(share_image, ec2_share_image_call, a->id, &ids)
LISTED(describe_subnets, ec2_describe_subnets_call, &ids)
LISTED(describe_route_tables, ec2_describe_route_tables_call, &ids)
LISTED(describe_groups, ec2_describe_groups_call, &ids)
static struct aws_call *describe_regions(struct aws *aws, const struct args *a)
{
    return ec2_describe_regions_call(aws, a->region);
}
static struct aws_call *get_encryption(struct aws *aws, const struct args *a)
{
    return ec2_get_encryption_call(aws, a->region);
}
static struct aws_call *get_default_key(struct aws *aws, const struct args *a)
{
    return ec2_get_default_key_call(aws, a->region);
}
LISTED(describe_offerings, ec2_describe_offerings_call, &ids)
/* And those that take none. */
LISTED(get_console_output, ec2_get_console_output_call, a->id, a->latest)
LISTED(tag, ec2_tag_call, a->id, a->key, a->value)
LISTED(remove_leftover, ec2_remove_leftover_call, kind_of(a), a->id)
LISTED(deprecate_image, ec2_deprecate_image_call, a->id, a->at)
LISTED(get_parameter, ssm_get_parameter_call, a->name)
LISTED(put_parameter, ssm_put_parameter_call, a->name, a->value, a->is_image)
LISTED(decode_message, sts_decode_message_call, a->encoded)

static struct aws_call *create_image(struct aws *aws, const struct args *a)
{
    const struct ec2_new_image image = { .region = a->region,
                                         .instance_id = a->id,
                                         .name = a->name,
                                         .description = a->description,
                                         .tags = a->tags.rows,
                                         .n_tags = a->tags.n };
    return ec2_create_image_call(aws, &image);
}

static struct aws_call *copy_image(struct aws *aws, const struct args *a)
{
    const struct ec2_new_image image = { .region = a->region,
                                         .source_region = a->source_region,
                                         .source = a->id,
                                         .client_token = a->client_token,
                                         .name = a->name,
                                         .description = a->description,
                                         .tags = a->tags.rows,
                                         .n_tags = a->tags.n };
    return ec2_copy_image_call(aws, &image);
}

static struct aws_call *get_caller_identity(struct aws *aws, const struct args *a)
{
    return sts_get_caller_identity_call(aws, a->region);
}

static struct aws_call *assume_role(struct aws *aws, const struct args *a)
{
    const struct sts_role role = { a->arn, a->session_name, a->external_id, a->web_token, a->duration };
    return sts_assume_role_call(aws, a->region, &role);
}

static const struct {
    const char *name; /* of the function in include/mayfly/aws */
    struct aws_call *(*make)(struct aws *aws, const struct args *a);
} builders[] = {
    { "ec2_run_instances_call", run_instances },
    { "ec2_describe_instances_call", describe_instances },
    { "ec2_terminate_instances_call", terminate_instances },
    { "ec2_describe_images_call", describe_images },
    { "ec2_get_console_output_call", get_console_output },
    { "ec2_tag_call", tag },
    { "ec2_fleet_call", fleet },
    { "ec2_tag_many_call", tag_many },
    { "ec2_list_leftovers_call", list_leftovers },
    { "ec2_remove_leftover_call", remove_leftover },
    { "ec2_create_image_call", create_image },
    { "ec2_copy_image_call", copy_image },
    { "ec2_share_image_call", share_image },
    { "ec2_deprecate_image_call", deprecate_image },
    { "ec2_describe_subnets_call", describe_subnets },
    { "ec2_describe_route_tables_call", describe_route_tables },
    { "ec2_describe_groups_call", describe_groups },
    { "ec2_describe_offerings_call", describe_offerings },
    { "ec2_describe_regions_call", describe_regions },
    { "ec2_get_encryption_call", get_encryption },
    { "ec2_get_default_key_call", get_default_key },
    { "ssm_get_parameter_call", get_parameter },
    { "ssm_put_parameter_call", put_parameter },
    { "sts_get_caller_identity_call", get_caller_identity },
    { "sts_assume_role_call", assume_role },
    { "sts_decode_message_call", decode_message },
};

static struct aws_call *build(struct aws *aws, const struct args *a)
{
    for (size_t i = 0; i < ARRAY_SIZE(builders); i++)
        if (str_eq(builders[i].name, a->call))
            return builders[i].make(aws, a);
    fprintf(stderr, "request: there is no builder %s\n", a->call);
    exit(1);
}

/* --- the request -------------------------------------------------------------------------------------------------- */

static int64_t fixed_now(void *ctx)
{
    return *(const int64_t *)ctx * 1000;
}

static void print(const struct aws_call *call, const struct http_request *q)
{
    AUTO_JSON *o = must(json_object_new_object());
    struct json_object *headers = must(json_object_new_array());
    for (size_t i = 0; i < q->headers.n; i++)
        json_object_array_add(headers, must(json_object_new_string(q->headers.v[i])));
    json_object_object_add(o, "name", must(json_object_new_string(call->call.name)));
    json_object_object_add(o, "method", must(json_object_new_string(q->method)));
    json_object_object_add(o, "url", must(json_object_new_string(q->url)));
    json_object_object_add(o, "headers", headers);
    json_object_object_add(o, "body", must(json_object_new_string_len(strbuf_str(&q->body), (int)q->body.len)));
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
}

/* As the loop of all calls prepares an attempt. */
static bool answer(const char *line, size_t len, struct error *err)
{
    AUTO_ARENA arena = { 0 };
    struct args a = { 0 };
    struct http_request q = { 0 };
    if (!json_decode_text(line, len, fields, &a, &arena, "the line", err))
        return false;
    const struct env env = { .now = fixed_now, .mono = fixed_now, .ctx = &a.time };
    struct aws_config config = { .creds = { .access_key_id = (char *)a.access_key,
                                            .secret_access_key = { (char *)a.secret_key },
                                            .session_token = { (char *)a.session_token } } };
    struct aws aws = { .config = &config, .env = &env, .wake_fd = -1 };
    struct aws_call *call = build(&aws, &a);
    bool ok = call->call.ops->prepare(&call->call, &q, err);
    if (ok)
        print(call, &q);
    http_request_clear(&q);
    call_free(&call->call);
    return ok;
}

int main(void)
{
    AUTO_FREE char *line = NULL;
    size_t size = 0;
    for (ssize_t n; (n = getline(&line, &size, stdin)) > 0;) {
        AUTO_ERROR err = { 0 };
        if (!answer(line, (size_t)n, &err)) {
            fprintf(stderr, "request: %s\n", err.message);
            return 1;
        }
    }
    return 0;
}
