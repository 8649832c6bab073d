#include "mayfly/runner/images.h"

#include "mayfly/aws/ec2.h"
#include "mayfly/aws/ssm.h"
#include "mayfly/runner/tags.h"

struct aws_call *image_describe_call(struct aws *aws, const char *region, const char *id)
{
    AUTO_STRLIST ids = { 0 };
    strlist_add(&ids, id);
    return ec2_describe_images_call(aws, region, &ids, NULL, NULL);
}

struct aws_call *image_find_call(struct aws *aws, const struct image *image)
{
    switch (image->kind) {
    case IMAGE_SSM:
        return ssm_get_parameter_call(aws, image->region, image->value);
    case IMAGE_NAME:
        return ec2_describe_images_call(aws, image->region, NULL, image->owner, image->value);
    case IMAGE_ID:
        break;
    }
    return image_describe_call(aws, image->region, image->ref);
}

bool image_take_answer(struct image *image, const char *id, const struct aws_call *answer, struct arena *arena,
                       struct error *err)
{
    struct field_list images = { 0 };
    return ec2_describe_images_result(answer, arena, &images, err) && image_take(image, id, &images, arena, err);
}

bool image_take_parameter(const struct image *image, const struct aws_call *answer, struct arena *arena,
                          const char **ret_id, struct error *err)
{
    const char *id;
    if (!ssm_get_parameter_result(answer, arena, &id, err))
        return false;
    if (!ec2_id_is_valid(id, "ami"))
        return error_set(err, ERROR_CONFIG, 0, "--image: the parameter %s in %s contains `%.60s`, not an image ID",
                         image->value, image->region, id);
    *ret_id = id;
    return true;
}

const struct github_download *image_find_download(const char *architecture, const struct field_list *rows,
                                                  struct error *err)
{
    const char *arch = spec_runner_architecture(architecture);
    for (size_t i = 0; i < rows->n; i++) {
        const struct github_download *row = FIELD_ROW(rows, const struct github_download, i);
        if (str_eq(row->os, "linux") && str_eq(row->architecture, arch) && !str_empty(row->sha256))
            return row;
    }
    error_set(err, ERROR_GITHUB, 0, "GitHub offers no runner for linux-%s with a checksum", arch);
    error_hint(err, "use an image that has the runner and the tag " TAG_RUNNER_VERSION);
    return NULL;
}
