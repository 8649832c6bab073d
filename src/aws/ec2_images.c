#include "mayfly/aws/ec2_images.h"

#include <assert.h>

#include "ec2_call.h"
#include "mayfly/aws/query.h"

static void add_tags(struct strbuf *body, const struct ec2_new_image *image, unsigned spec, const char *resource)
{
    query_add(body, resource, "TagSpecification.%u.ResourceType", spec);
    for (size_t i = 0; i < image->n_tags; i++) {
        query_add(body, image->tags[i].key, "TagSpecification.%u.Tag.%zu.Key", spec, i + 1);
        query_add(body, image->tags[i].value, "TagSpecification.%u.Tag.%zu.Value", spec, i + 1);
    }
}

struct aws_call *ec2_create_image_call(struct aws *aws, const struct ec2_new_image *image)
{
    struct strbuf body = STRBUF_INIT;
    query_begin(&body, "CreateImage", EC2_VERSION);
    query_add(&body, image->instance_id, "InstanceId");
    query_add(&body, image->name, "Name");
    query_add(&body, image->description, "Description");
    add_tags(&body, image, 1, "image");
    add_tags(&body, image, 2, "snapshot");
    return ec2_make_call_new(aws, image->region, "CreateImage", &body);
}

struct aws_call *ec2_copy_image_call(struct aws *aws, const struct ec2_new_image *image)
{
    struct strbuf body = STRBUF_INIT;
    query_begin(&body, "CopyImage", EC2_VERSION);
    query_add(&body, image->source_region, "SourceRegion");
    query_add(&body, image->source, "SourceImageId");
    query_add(&body, image->name, "Name");
    query_add(&body, image->description, "Description");
    query_add(&body, image->client_token, "ClientToken");
    add_tags(&body, image, 1, "image");
    add_tags(&body, image, 2, "snapshot");
    return ec2_make_call_new(aws, image->region, "CopyImage", &body);
}

struct created {
    const char *id;
};

static const struct field created_fields[] = {
    { .path = "imageId", .type = FIELD_STR, .offset = offsetof(struct created, id), .form = FORM_IMAGE },
    { 0 },
};

bool ec2_create_image_result(const struct aws_call *call, struct arena *arena, const char **ret_id, struct error *err)
{
    struct created created = { 0 };
    if (!ec2_decode(call, created_fields, &created, arena, err))
        return false;
    if (str_empty(created.id))
        return error_set(err, ERROR_PARSE, 0, "the answer to %s names no image", call->call.name);
    *ret_id = created.id;
    return true;
}

bool ec2_copy_image_result(const struct aws_call *call, struct arena *arena, const char **ret_id, struct error *err)
{
    return ec2_create_image_result(call, arena, ret_id, err);
}

struct aws_call *ec2_share_image_call(struct aws *aws, const char *region, const char *id,
                                      const struct strlist *accounts)
{
    struct strbuf body = STRBUF_INIT;
    assert(accounts->n > 0);
    query_begin(&body, "ModifyImageAttribute", EC2_VERSION);
    query_add(&body, id, "ImageId");
    for (size_t i = 0; i < accounts->n; i++)
        query_add(&body, accounts->v[i], "LaunchPermission.Add.%zu.UserId", i + 1);
    return ec2_call_new(aws, region, "ModifyImageAttribute", &body);
}

struct aws_call *ec2_deprecate_image_call(struct aws *aws, const char *region, const char *id, const char *at)
{
    struct strbuf body = STRBUF_INIT;
    query_begin(&body, "EnableImageDeprecation", EC2_VERSION);
    query_add(&body, id, "ImageId");
    query_add(&body, at, "DeprecateAt");
    return ec2_call_new(aws, region, "EnableImageDeprecation", &body);
}
