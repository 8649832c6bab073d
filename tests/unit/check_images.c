#include "mayfly/runner/images.h"
#include "testing.h"

#define AMI "ami-0123456789abcdef0"

static struct aws_config no_config = { 0 };
static struct aws no_aws = { .config = &no_config, .env = &env_system };

static struct call *answered(struct aws_call *call, const char *body)
{
    call->call.exchange.response.body = STRBUF_INIT;
    strbuf_adds(&call->call.exchange.response.body, body);
    return &call->call;
}

START_TEST(what_is_asked_first)
{
    static const struct {
        struct image image;
        const char *name, *in_body;
    } cases[] = {
        { { .kind = IMAGE_ID, .region = "eu-west-1", .ref = AMI }, "DescribeImages", "&ImageId.1=" AMI },
        { { .kind = IMAGE_SSM, .region = "eu-west-1", .ref = "ssm:/x", .value = "/x" },
          "GetParameter",
          "{\"Name\":\"\\/x\"}" },
        { { .kind = IMAGE_NAME, .region = "eu-west-1", .ref = "name:a*@self", .value = "a*", .owner = "self" },
          "DescribeImages",
          "&Owner.1=self" },
    };
    struct aws_call *call = image_find_call(&no_aws, &cases[_i].image);
    AUTO_CALL *owned = &call->call;
    ck_assert_str_eq(owned->name, cases[_i].name);
    ck_assert_str_eq(call->region, "eu-west-1");
    ck_assert_ptr_nonnull(strstr(strbuf_str(&call->body), cases[_i].in_body));
}
END_TEST

START_TEST(a_parameter_holds_an_id)
{
    static const struct {
        const char *body, *id, *why;
    } cases[] = {
        { "{\"Parameter\":{\"Value\":\"" AMI "\"}}", AMI, NULL },
        { "{\"Parameter\":{\"Value\":\"i-0123456789abcdef0\"}}", NULL,
          "--image: the parameter /x in eu-west-1 contains `i-0123456789abcdef0`, not an image ID" },
        { "{\"Parameter\":{\"Value\":\"\"}}", NULL, "" },
        { "<html>", NULL, "GetParameter" },
    };
    const struct image image = { .kind = IMAGE_SSM, .region = "eu-west-1", .ref = "ssm:/x", .value = "/x" };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    const char *id = NULL;
    AUTO_CALL *call = answered(image_find_call(&no_aws, &image), cases[_i].body);
    const struct aws_call *answer = (struct aws_call *)call;
    if (cases[_i].why) {
        ASSERT_FAILS(image_take_parameter(&image, answer, &arena, &id, &err), &err, cases[_i].why);
        ck_assert_ptr_null(id);
        return;
    }
    ASSERT_OK(image_take_parameter(&image, answer, &arena, &id, &err), &err);
    ck_assert_str_eq(id, cases[_i].id);
}
END_TEST

START_TEST(an_answer_fills_the_image_in)
{
    static const char body[] =
        "<DescribeImagesResponse><imagesSet><item><imageId>" AMI "</imageId><imageState>available</imageState>"
        "<architecture>arm64</architecture><rootDeviceName>/dev/sda1</rootDeviceName></item></imagesSet>"
        "</DescribeImagesResponse>";
    struct image image = { .kind = IMAGE_ID, .region = "eu-west-1", .ref = AMI };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    AUTO_CALL *call = answered(image_describe_call(&no_aws, "eu-west-1", AMI), body);
    AUTO_CALL *empty = answered(image_describe_call(&no_aws, "eu-west-1", AMI),
                                "<DescribeImagesResponse><imagesSet/></DescribeImagesResponse>");
    ASSERT_FAILS(image_take_answer(&image, AMI, (struct aws_call *)empty, &arena, &err), &err, "there is no image");
    ck_assert_ptr_null(image.id);
    ASSERT_OK(image_take_answer(&image, AMI, (struct aws_call *)call, &arena, &err), &err);
    ck_assert_str_eq(image.id, AMI);
    ck_assert_str_eq(image.architecture, "arm64");
}
END_TEST

START_TEST(the_runner_to_download)
{
    struct github_download rows[] = {
        { .os = "win", .architecture = "x64", .url = "windows", .sha256 = "1" },
        { .os = "linux", .architecture = "x64", .url = "unsigned", .sha256 = "" },
        { .os = "linux", .architecture = "arm64", .url = "arm", .sha256 = "2" },
        { .os = "linux", .architecture = "x64", .url = "intel", .sha256 = "3" },
    };
    const struct field_list all = { .rows = rows, .n = 4 }, no_arm = { .rows = rows, .n = 2 };
    AUTO_ERROR err = { 0 };
    ck_assert_str_eq(image_find_download("arm64", &all, &err)->url, "arm");
    ck_assert_str_eq(image_find_download("x86_64", &all, &err)->url, "intel");
    ASSERT_FAILS(image_find_download("arm64", &no_arm, &err), &err, "no runner for linux-arm64 with a checksum");
    ASSERT_FAILS(image_find_download("x86_64", &no_arm, &err), &err, "no runner for linux-x64 with a checksum");
}
END_TEST

static TCase *images(void)
{
    TCase *t = tcase_create("images");
    tcase_add_loop_test(t, what_is_asked_first, 0, 3);
    tcase_add_loop_test(t, a_parameter_holds_an_id, 0, 4);
    tcase_add_test(t, an_answer_fills_the_image_in);
    tcase_add_test(t, the_runner_to_download);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { images };
    return run_suite("images", all, ARRAY_SIZE(all));
}
