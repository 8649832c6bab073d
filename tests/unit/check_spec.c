#include "mayfly/codec/gzip.h"
#include "mayfly/runner/params.h"
#include "mayfly/runner/plan.h"
#include "mayfly/runner/room.h"
#include "mayfly/runner/userdata.h"
#include "mayfly/util/encode.h"
#include "testing.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- what the user asked for -------------------------------------------------------------------------------------- */

/* Names that exist. Source: EC2 User Guide, "Instance type naming conventions", and the lists of types there. */
START_TEST(architectures)
{
    static const struct {
        const char *type;
        bool arm;
    } cases[] = {
        { "m7i.xlarge", false },         { "m7g.large", true },        { "c6gn.4xlarge", true },
        { "t4g.micro", true },           { "a1.large", true },         { "g5g.xlarge", true },
        { "g4dn.xlarge", false },        { "im4gn.large", true },      { "x2gd.medium", true },
        { "p5en.48xlarge", false },      { "u-6tb1.56xlarge", false }, { "hpc7g.4xlarge", true },
        { "is4gen.large", true },        { "m7a.large", false },       { "c7gd.metal", true },
        { "g6e.xlarge", false },         { "gr6.4xlarge", false },     { "g4ad.xlarge", false },
        { "t3a.nano", false },           { "x2iedn.xlarge", false },   { "c7i-flex.large", false },
        { "r8g.24xlarge", true },        { "i8ge.large", true },       { "m8gd.large", true },
        { "u7i-12tb.224xlarge", false }, { "hpc7a.96xlarge", false },  { "inf2.xlarge", false },
        { "trn1n.32xlarge", false },     { "m5zn.large", false },      { "a1.metal", true },
        { "p6-b200.48xlarge", false },   { "d3en.xlarge", false },
    };
    ck_assert_str_eq(spec_type_architecture(cases[_i].type), cases[_i].arm ? "arm64" : "x86_64");
}
END_TEST

START_TEST(labels_that_jobs_ask_for)
{
    static const char *const common[] = { "self-hosted", "Linux", "X64", "ARM64", "ubuntu-latest", "Ubuntu-24.04-arm" };
    static const char *const own[] = { "mayfly-1-1-abcdef", "linux-big", "gpu", "my-self-hosted", "ubuntu", "x" };
    for (size_t i = 0; i < ARRAY_SIZE(common); i++)
        ck_assert_msg(spec_label_is_common(common[i]), "%s", common[i]);
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        ck_assert_msg(!spec_label_is_common(own[i]), "%s", own[i]);
}
END_TEST

START_TEST(runner_architectures)
{
    ck_assert_str_eq(spec_runner_architecture("x86_64"), "x64");
    ck_assert_str_eq(spec_runner_architecture("arm64"), "arm64");
    ck_assert_ptr_null(spec_runner_architecture("i386"));
    ck_assert_ptr_null(spec_runner_architecture("arm64_mac"));
    ck_assert_ptr_null(spec_runner_architecture(NULL));
}
END_TEST

#define LIST(...)                                                                                                      \
    {                                                                                                                  \
        .v = (char *[]){ __VA_ARGS__ }, .n = ARRAY_SIZE(((char *[]){ __VA_ARGS__ }))                                   \
    }

#define AMI "ami-0123456789abcdef0"
#define ARM "ami-0123456789abcdef1"
#define SUBNET "subnet-0123456789abcdef0"
#define SG "sg-0123456789abcdef0"

static struct spec good_spec(void)
{
    static char ami[] = AMI, type[] = "m7i.xlarge", other[] = "m7a.xlarge", subnet[] = SUBNET, group[] = SG,
                on_demand[] = "on-demand";
    static char *images[] = { ami }, *types[] = { type, other }, *subnets[] = { subnet }, *groups[] = { group },
                *market[] = { on_demand };
    return (struct spec){ .images = { images, 1 },
                          .market = { market, 1 },
                          .count = 1,
                          .types = { types, 2 },
                          .subnets = { subnets, 1 },
                          .security_groups = { groups, 1 },
                          .timeout = 600,
                          .max_lifetime = 21600 };
}

#define X32 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

/* One thing at a time is wrong. */
START_TEST(spec_refused)
{
    static const struct {
        const char *field, *value, *why;
    } cases[] = {
        { "types", NULL, "--types is missing" },
        { "types", "m7i", "--types: `m7i` is not an instance type" },
        { "types", "m7i.", "is not an instance type" },
        { "types", ".xlarge", "is not an instance type" },
        { "types", "M7I.xlarge", "is not an instance type" },
        { "types", "m7i.xlarge;reboot", "is not an instance type" },
        { "types", "m7i." X32 X32, "is not an instance type" },
        { "label", "two words", "--label: `two words` is not a label" },
        { "label", "a,b", "--label: `a,b` is not a label" },
        { "label", X32 X32 X32 "xxxxx", "is not a label" },
        { "labels", "a b", "--labels: `a b` is not a label" },
        { "name", "a/b", "--name: at most 64" },
        { "user", "a:b", "--user: `a:b` is not a user's name" },
        { "label", "a*", "--label: `a*` is not a label" },
        { "label", "-a", "--label: `-a` is not a label" },
        { "name", "a b", "--name: at most 64" },
        { "name", X32 X32 "x", "--name: at most 64" },
        { "user", "-root", "--user: `-root` is not a user's name" },
        { "user", "a b", "--user: `a b` is not a user's name" },
        { "user", X32 "x", "is not a user's name" },
        { "runner_dir", "relative/path", "--runner-dir: `relative/path` is not an absolute path" },
        { "market", NULL, "--market names none" },
        { "max_lifetime", "600", "--max-lifetime must be longer than --timeout" },
        { "fallback_label", "a b", "--fallback-label: `a b` is not a label" },
        { "min_count", "2", "--min-count must not be larger than --count" },
        { "max_price", "0.05", "--max-price applies to spot, which is not in --market" },
        { "max_price", "1e3", "--max-price: `1e3` is not a price" },
        { "max_price", "0.0", "is not a price" },
        { "max_price", ".", "is not a price" },
        { "device_name", "sda1", "--device-name: `sda1` is not a device" },
        { "pre_runner_script", "true", "exclude each other" }, /* beside a file */
        { "packages", "git --force", "--packages: `--force` is not the name of a package" },
        { "packages", "git nano-", "`nano-` is not the name" },
        { "packages", "[\"git\", {\"a\": 1}]", "`{ \"a\": 1 }` is not the name" },
        { "packages", "[[\"git\"]]", "`[ \"git\" ]` is not the name" },
        { "packages", "@", "`@` is not the name" },
        { "packages", "[\"git\"", "--packages is not JSON" },
        { "tags", "team", "--tags: `team` is not KEY=VALUE" },
        { "tags", "mayfly:fleet=mine", "are reserved" },
        { "tags", "aws:x=mine", "are reserved" },
        { "tags", "a=1,a=2", "--tags: `a` is there twice" },
        { "tags", "=1", "keys have 1 to 127 characters" },
        { "tags", "[{\"Key\": \"a\", \"value\": \"b\"}]", "--tags has an unknown member `value`" },
        { "tags", "[{\"Key\": \"a\", \"Value\": [1]}]", "`Value` is not a string, a number or a boolean" },
        { "tags", "[{\"Key\": \"a\", \"Value\": \"1\"},\n ]",
          "--tags is not JSON: unexpected character (line 2, column 2)" },
        { "tags", "Key=Name,Value=ci", "is how the AWS CLI writes a tag" },
        { "tags", "Value=ci,Key=Name", "is how the AWS CLI writes a tag" },
        { "tags", "[{\"Value\": \"b\"}]", "`Key` is missing" },
        { "volume_type", "gp2", "--volume-iops: volumes of type gp2 take none" }, /* beside 3000 of them */
        { "block_devices", "{}", "--block-devices: it is not a JSON list" },
        { "block_devices", "[{\"Ebs\": {\"VolumeSize\": 8}}]", "an entry has no DeviceName" },
        { "block_devices", "[{\"DeviceName\": \"/dev/sdb\", \"Ebs\": {\"VolumeSise\": 8}}]",
          "no member `Ebs.VolumeSise`" },
        { "block_devices", "[{\"DeviceName\": \"/dev/sdb\", \"Ebs\": {\"VolumeSize\": 0}}]", "from 1 to 65536" },
        { "block_devices", "[{\"DeviceName\": \"/dev/sdb\", \"Ebs\": {\"VolumeSize\": \"8 GB\"}}]",
          "`8 GB` is not a number" },
        { "block_devices", "[{\"DeviceName\": null, \"Ebs\": {\"VolumeSize\": 8}}]", "an entry has no DeviceName" },
        { "block_devices", "[{\"DeviceName\": \"/dev/sdb\", \"Ebs\": [8]}]", "no member `Ebs`" },
        { "block_devices", "[{\"DeviceName\": \"/dev/sdb\", \"Ebs\": {\"DeleteOnTermination\": \"False\"}}]",
          "outlive its instance" },
        { "block_devices", "[{\"DeviceName\": \"/dev/sdb\", \"Ebs\": {\"Encrypted\": \"maybe\"}}]",
          "not true or false" },
        { "block_devices", "[{\"DeviceName\": \"/dev/sdb\", \"Ebs\": {\"VolumeType\": \"gp4\"}}]",
          "is not one of: gp2" },
        { "block_devices", "[{\"DeviceName\": \"/dev/sdb\", \"Ebs\": {\"DeleteOnTermination\": false}}]",
          "outlive its instance" },
        { "block_devices", "[{\"DeviceName\": \"/dev/sdb\", \"Ebs.VolumeSize\": 8}]", "no member `Ebs.VolumeSize`" },
        { "block_devices", "[7]", "`7` is not an object" },
        { "metadata_options", "[]", "is not an object" },
        { "metadata_options", "{\"HttpEndpoint\": \"disabled\"}", "is not one of: enabled" },
        { "metadata_options", "{\"HttpPutResponseHopLimit\": 65}", "from 1 to 64" },
    };
    AUTO_ERROR err = { 0 };
    struct spec s = good_spec();
    AUTO_FREE char *value = cases[_i].value ? xstrdup(cases[_i].value) : NULL;
    struct strlist one = { &value, 1 }, two = { (char *[]){ value, s.types.v[1] }, 2 }, none = { 0 };
    const struct {
        const char *field;
        char **string;
        struct strlist *list;
    } fields[] = {
        { "types", NULL, &s.types },
        { "market", NULL, &s.market },
        { "fallback_label", &s.fallback_label, NULL },
        { "max_price", &s.max_price, NULL },
        { "device_name", &s.device_name, NULL },
        { "pre_runner_script", &s.pre_runner_script, NULL },
        { "packages", &s.packages, NULL },
        { "tags", &s.tags, NULL },
        { "volume_type", &s.volume_type, NULL },
        { "block_devices", &s.block_devices, NULL },
        { "metadata_options", &s.metadata_options, NULL },
        { "label", &s.label, NULL },
        { "labels", NULL, &s.labels },
        { "name", &s.name, NULL },
        { "user", &s.user, NULL },
        { "runner_dir", &s.runner_dir, NULL },
    };
    ASSERT_OK(spec_check(&s, &err), &err); /* so that what follows is the only thing wrong */
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        if (!str_eq(fields[i].field, cases[_i].field))
            continue;
        if (fields[i].string)
            *fields[i].string = value;
        else
            *fields[i].list = !value ? none : str_eq(cases[_i].field, "types") ? two : one;
    }
    if (str_eq(cases[_i].field, "max_lifetime"))
        s.max_lifetime = s.timeout;
    if (str_eq(cases[_i].field, "min_count"))
        s.min_count = 2;
    if (s.pre_runner_script)
        s.pre_runner_file = value;
    s.volume_iops = s.volume_type ? 3000 : 0;
    ck_assert(!spec_check(&s, &err));
    ck_assert_msg(strstr(err.message, cases[_i].why) != NULL, "%s", err.message);
    ck_assert_int_eq(err.domain, ERROR_USAGE);
}
END_TEST

/* --- the parameters of RunInstances ------------------------------------------------------------------------------- */

#define DEFAULT_METADATA                                                                                               \
    "MetadataOptions.HttpEndpoint=enabled MetadataOptions.HttpTokens=required "                                        \
    "MetadataOptions.HttpPutResponseHopLimit=1 "

START_TEST(parameters)
{
    static const struct {
        struct spec s;
        const char *want;
    } cases[] = {
        { { .count = 1 }, DEFAULT_METADATA },
        { { .volume_size = 50 },
          DEFAULT_METADATA "BlockDeviceMapping.1.DeviceName=/dev/root BlockDeviceMapping.1.Ebs.VolumeSize=50 "
                           "BlockDeviceMapping.1.Ebs.DeleteOnTermination=true " },
        { { .volume_type = (char *)"gp3",
            .volume_iops = 4000,
            .volume_throughput = 500,
            .volume_initialization_rate = 300,
            .volume_kms_key = (char *)"alias/k",
            .device_name = (char *)"/dev/sda1" },
          DEFAULT_METADATA
          "BlockDeviceMapping.1.DeviceName=/dev/sda1 BlockDeviceMapping.1.Ebs.VolumeType=gp3 "
          "BlockDeviceMapping.1.Ebs.Iops=4000 BlockDeviceMapping.1.Ebs.Throughput=500 "
          "BlockDeviceMapping.1.Ebs.VolumeInitializationRate=300 BlockDeviceMapping.1.Ebs.Encrypted=true "
          "BlockDeviceMapping.1.Ebs.KmsKeyId=alias/k BlockDeviceMapping.1.Ebs.DeleteOnTermination=true " },
        /* A further device, beside the options of the root volume. */
        { { .volume_size = 50,
            .block_devices = (char *)"[{\"DeviceName\": \"/dev/sdb\", \"VirtualName\": \"ephemeral0\"}]" },
          "BlockDeviceMapping.1.DeviceName=/dev/sdb BlockDeviceMapping.1.VirtualName=ephemeral0 " DEFAULT_METADATA
          "BlockDeviceMapping.2.DeviceName=/dev/root BlockDeviceMapping.2.Ebs.VolumeSize=50 "
          "BlockDeviceMapping.2.Ebs.DeleteOnTermination=true " },
        /* An entry for the root device wins over them. */
        { { .volume_size = 50,
            .block_devices = (char *)"[{\"DeviceName\": \"/dev/root\", \"Ebs\": {\"VolumeSize\": \"70\"}}]" },
          "BlockDeviceMapping.1.DeviceName=/dev/root BlockDeviceMapping.1.Ebs.VolumeSize=70 "
          "BlockDeviceMapping.1.Ebs.DeleteOnTermination=true " DEFAULT_METADATA },
        /* Numbers as text, text as booleans; null is what was not given. */
        { { .block_devices =
                (char *)"[{\"DeviceName\": \"/dev/sdb\", \"NoDevice\": null, \"Ebs\": {\"VolumeSize\": 70.0, "
                        "\"Iops\": null, \"Encrypted\": \"True\", \"DeleteOnTermination\": \"true\"}}]",
            .metadata_options = (char *)"{\"HttpPutResponseHopLimit\": \"2\", \"HttpTokens\": null}" },
          "BlockDeviceMapping.1.DeviceName=/dev/sdb BlockDeviceMapping.1.Ebs.VolumeSize=70 "
          "BlockDeviceMapping.1.Ebs.Encrypted=true BlockDeviceMapping.1.Ebs.DeleteOnTermination=true "
          "MetadataOptions.HttpPutResponseHopLimit=2 MetadataOptions.HttpEndpoint=enabled "
          "MetadataOptions.HttpTokens=required " },
        { { .metadata_options = (char *)"{\"HttpPutResponseHopLimit\": 2, \"InstanceMetadataTags\": \"enabled\"}" },
          "MetadataOptions.HttpPutResponseHopLimit=2 MetadataOptions.InstanceMetadataTags=enabled "
          "MetadataOptions.HttpEndpoint=enabled MetadataOptions.HttpTokens=required " },
        { { .placement_group = (char *)"pg", .tenancy = (char *)"dedicated", .cpu_credits = (char *)"standard" },
          DEFAULT_METADATA
          "Placement.GroupName=pg Placement.Tenancy=dedicated CreditSpecification.CpuCredits=standard " },
    };
    AUTO_ERROR err = { 0 };
    AUTO_STRLIST params = { 0 };
    AUTO_STRBUF got = STRBUF_INIT;
    ASSERT_OK(params_make(&cases[_i].s, "/dev/root", NULL, &params, &err), &err);
    for (size_t i = 0; i + 1 < params.n; i += 2)
        strbuf_addf(&got, "%s=%s ", params.v[i], params.v[i + 1]);
    ck_assert_str_eq(strbuf_str(&got), cases[_i].want);
}
END_TEST

/* The keys of all volumes, each once; "" for a volume that is encrypted and names none. */
START_TEST(keys_of_volumes)
{
#define DISK(name, ebs) "{\"DeviceName\": \"/dev/" name "\", \"Ebs\": {\"VolumeSize\": 8" ebs "}}"
#define WITH(key) ", \"Encrypted\": true, \"KmsKeyId\": \"" key "\""
    static const struct {
        struct spec s;
        const char *want; /* joined by | */
    } cases[] = {
        { { .count = 1 }, "-" },
        { { .volume_size = 50 }, "-" },
        { { .volume_encrypted = true }, "" },
        { { .volume_kms_key = (char *)"alias/k" }, "alias/k" },
        { { .block_devices = (char *)"[" DISK("sdf", ", \"Encrypted\": false") "]" }, "-" },
        { { .block_devices = (char *)"[" DISK("sdf", ", \"Encrypted\": true") "]" }, "" },
        { { .block_devices = (char *)"[" DISK("sdf", ", \"KmsKeyId\": \"0a1b\"") "]" }, "0a1b" },
        { { .volume_kms_key = (char *)"alias/k",
            .block_devices = (char *)"[" DISK("sdf", WITH("0a1b")) ", " DISK("sdg", WITH("alias/k")) "]" },
          "0a1b|alias/k" },
        { { .volume_encrypted = true, .block_devices = (char *)"[" DISK("sdf", WITH("0a1b")) "]" }, "0a1b|" },
        /* The entry for the root device overrides the options of the volume. */
        { { .volume_kms_key = (char *)"alias/k", .block_devices = (char *)"[" DISK("root", WITH("0a1b")) "]" },
          "0a1b" },
    };
    AUTO_ERROR err = { 0 };
    AUTO_STRLIST params = { 0 }, keys = { 0 };
    ASSERT_OK(params_make(&cases[_i].s, "/dev/root", NULL, &params, &err), &err);
    params_keys(&params, &keys);
    AUTO_FREE char *got = keys.n ? strlist_join(&keys, "|") : xstrdup("-");
    ck_assert_str_eq(got, cases[_i].want);
}
END_TEST

/* Every volume goes with its instance, whatever the image says of it; what the user says of one is not said twice. */
START_TEST(volumes_of_the_image)
{
    static const struct {
        const char *size, *block_devices, *want;
    } cases[] = {
        { NULL, NULL,
          DEFAULT_METADATA "1.DeviceName=/dev/root 1.Ebs.DeleteOnTermination=true "
                           "2.DeviceName=/dev/sdf 2.Ebs.VolumeSize=7 2.Ebs.DeleteOnTermination=true " },
        { "50", NULL,
          DEFAULT_METADATA "1.DeviceName=/dev/root 1.Ebs.VolumeSize=50 1.Ebs.DeleteOnTermination=true "
                           "2.DeviceName=/dev/sdf 2.Ebs.VolumeSize=7 2.Ebs.DeleteOnTermination=true " },
        { "50", "[{\"DeviceName\": \"/dev/sdf\", \"Ebs\": {\"VolumeSize\": 9}}]",
          "1.DeviceName=/dev/sdf 1.Ebs.VolumeSize=9 1.Ebs.DeleteOnTermination=true " DEFAULT_METADATA
          "2.DeviceName=/dev/root 2.Ebs.VolumeSize=50 2.Ebs.DeleteOnTermination=true " },
        { NULL,
          "[{\"DeviceName\": \"/dev/sdf\", \"NoDevice\": \"\"}, {\"DeviceName\": \"/dev/sdg\", \"Ebs\": "
          "{\"VolumeSize\": 9}}]",
          "1.DeviceName=/dev/sdf 1.NoDevice= 2.DeviceName=/dev/sdg 2.Ebs.VolumeSize=9 "
          "2.Ebs.DeleteOnTermination=true " DEFAULT_METADATA "3.DeviceName=/dev/root 3.Ebs.DeleteOnTermination=true " },
    };
    struct ec2_image_device devices[] = { { .name = "/dev/root" }, { .name = "/dev/sdf", .size = "7" } };
    const struct field_list volumes = { .rows = devices, .n = 2 };
    const struct spec s = { .volume_size = cases[_i].size ? 50 : 0, .block_devices = (char *)cases[_i].block_devices };
    AUTO_ERROR err = { 0 };
    AUTO_STRLIST params = { 0 };
    AUTO_STRBUF got = STRBUF_INIT;
    ASSERT_OK(params_make(&s, "/dev/root", &volumes, &params, &err), &err);
    for (size_t i = 0; i + 1 < params.n; i += 2) {
        static const char prefix[] = "BlockDeviceMapping.";
        const char *name = params.v[i] + (str_starts(params.v[i], prefix) ? strlen(prefix) : 0);
        strbuf_addf(&got, "%s=%s ", name, params.v[i + 1]);
    }
    ck_assert_str_eq(strbuf_str(&got), cases[_i].want);
}
END_TEST

START_TEST(own_tags)
{
    static const char *const texts[] = { "team=ci, cost=a=b,empty=", "team=ci\ncost=a=b\nempty=",
                                         "[{\"Key\": \"team\", \"Value\": \"ci\"}, {\"Key\": \"cost\", \"Value\": "
                                         "\"a=b\"}, {\"Key\": \"empty\"}]" };
    static const struct ec2_tag want[] = { { "team", "ci" }, { "cost", "a=b" }, { "empty", "" } };
    AUTO_ERROR err = { 0 };
    AUTO_ARENA arena = { 0 };
    struct field_list tags = { 0 };
    AUTO_FREE char *text = xstrdup(texts[_i]);
    const struct spec s = { .tags = text };
    ASSERT_OK(params_tags(&s, &arena, &tags, NULL, &err), &err);
    ck_assert_uint_eq(tags.n, 3);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_str_eq(FIELD_ROW(&tags, struct ec2_tag, i)->key, want[i].key);
        ck_assert_str_eq(FIELD_ROW(&tags, struct ec2_tag, i)->value, want[i].value);
    }
}
END_TEST

/* JSON as JavaScript's SDK takes it: numbers and booleans are text, null is what was not given, other members are left
 * out. EC2 counts characters. */
START_TEST(coerced_tags)
{
    static const struct {
        const char *value, *want;
    } cases[] = { { "17", "17" },
                  { "-1", "-1" },
                  { "12345678901234567", "12345678901234567" },
                  { "1.0", "1" },
                  { "1.50", "1.5" },
                  { "1e3", "1000" },
                  { "0.1", "0.1" },
                  { "true", "true" },
                  { "false", "false" },
                  { "null", "" },
                  { "\"\"", "" },
                  { "\"1, \\u00fc\"", "1, \u00fc" },
                  { "1, \"PropagateAtLaunch\": true", "1" } };
    AUTO_ERROR err = { 0 };
    AUTO_ARENA arena = { 0 };
    AUTO_STRLIST warnings = { 0 };
    struct field_list tags = { 0 };
    AUTO_FREE char *text = xasprintf("\n [{\"Key\": 7, \"Value\": %s}]", cases[_i].value);
    const struct spec s = { .tags = text };
    ASSERT_OK(params_tags(&s, &arena, &tags, &warnings, &err), &err);
    ck_assert_str_eq(FIELD_ROW(&tags, struct ec2_tag, 0)->key, "7");
    ck_assert_str_eq(FIELD_ROW(&tags, struct ec2_tag, 0)->value, cases[_i].want);
    ck_assert_uint_eq(warnings.n, strstr(text, "Propagate") != NULL);
    if (warnings.n)
        ck_assert_str_eq(warnings.v[0], "--tags: the member `PropagateAtLaunch` is ignored");
}
END_TEST

START_TEST(tags_count_characters)
{
    AUTO_STRBUF text = STRBUF_INIT;
    AUTO_ERROR err = { 0 };
    AUTO_ARENA arena = { 0 };
    struct field_list tags = { 0 };
    size_t keys = _i % 2 ? 127 : 128, values = _i < 2 ? 256 : 257;
    for (size_t i = 0; i < keys; i++)
        strbuf_adds(&text, "\u00fc");
    strbuf_addc(&text, '=');
    for (size_t i = 0; i < values; i++)
        strbuf_adds(&text, "\U0001f41d");
    const struct spec s = { .tags = text.data };
    ck_assert_int_eq(params_tags(&s, &arena, &tags, NULL, &err), keys == 127 && values == 256);
}
END_TEST

START_TEST(package_names)
{
    static const char *const texts[] = { "git docker.io=24.0~1", "git,docker.io=24.0~1",
                                         "[\"git\", \"docker.io=24.0~1\"]", "[\"git\", [\"docker.io\", \"24.0~1\"]]" };
    AUTO_ERROR err = { 0 };
    AUTO_STRLIST packages = { 0 };
    AUTO_FREE char *text = xstrdup(texts[_i]);
    const struct spec s = { .packages = text };
    ASSERT_OK(params_packages(&s, &packages, &err), &err);
    AUTO_FREE char *got = strlist_join(&packages, "|");
    ck_assert_str_eq(got, "git|docker.io=24.0~1");
}
END_TEST

/* --- the plan ----------------------------------------------------------------------------------------------------- */

/* What a person would write, split at blanks. */
struct words {
    const char *regions, *images, *subnets, *groups, *places, *order, *market, *types;
};

static struct spec spec_of(const struct words *w)
{
    struct spec s = { .places = w->places ? xstrdup(w->places) : NULL };
    const struct {
        const char *words;
        struct strlist *list;
    } lists[] = { { w->regions, &s.regions },
                  { w->images, &s.images },
                  { w->subnets, &s.subnets },
                  { w->groups, &s.security_groups },
                  { w->order, &s.order },
                  { w->market ? w->market : "on-demand", &s.market },
                  { w->types ? w->types : "m7i.large", &s.types } };
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        strlist_split(lists[i].list, lists[i].words ? lists[i].words : "", " ");
    return s;
}

static void spec_free(struct spec *s)
{
    struct strlist *const lists[] = { &s->regions, &s->images, &s->subnets, &s->security_groups,
                                      &s->order,   &s->market, &s->types };
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        strlist_clear(lists[i]);
    free(s->places);
}

#define HOME "us-east-1"
#define AWAY "us-west-2"

START_TEST(sites_refused)
{
    static const struct {
        struct words w;
        const char *why;
    } cases[] = {
        { { .subnets = SUBNET, .groups = SG }, "--image is missing" },
        { { .images = AMI, .groups = SG }, "--subnets is missing" },
        { { .images = AMI, .subnets = SUBNET }, "--security-groups is missing" },
        { { .images = "ami-123", .subnets = SUBNET, .groups = SG }, "--image: `ami-123` is not an image" },
        { { .images = "ssm:name", .subnets = SUBNET, .groups = SG }, "`ssm:name` is not an image" },
        { { .images = "name:ubuntu-*", .subnets = SUBNET, .groups = SG }, "is not name:PATTERN@OWNER" },
        { { .images = "name:ubuntu-*@canonical", .subnets = SUBNET, .groups = SG }, "is not name:PATTERN@OWNER" },
        { { .images = "name:*@self", .subnets = SUBNET, .groups = SG }, "is not name:PATTERN@OWNER" },
        { { .images = AMI, .subnets = SG, .groups = SG }, "--subnets: `" SG "` is not an id" },
        { { .images = AMI, .subnets = SUBNET, .groups = "default" }, "--security-groups: `default` is not an id" },
        { { .images = AMI, .subnets = AWAY "/" SUBNET, .groups = SG },
          "--subnets names the region us-west-2, which is not in the plan" },
        { { .regions = "here", .images = AMI, .subnets = SUBNET, .groups = SG }, "`here` is not the name of" },
        { { .regions = HOME " " AWAY, .images = AMI, .subnets = SUBNET, .groups = SG },
          "--image names nothing in the region us-west-2" },
        { { .regions = HOME " " AWAY, .images = "ssm:/x", .subnets = SUBNET, .groups = SG },
          "--subnets names nothing in the region us-west-2" },
        { { .regions = HOME " " AWAY, .images = "ssm:/x", .subnets = SUBNET " " AWAY "/" SUBNET, .groups = SG },
          "--security-groups names nothing in the region us-west-2" },
        { { .places = "{}" }, "--places is not a list" },
        { { .places = "[]" }, "--image is missing" },
        { { .places = "[" }, "--places is not JSON" },
        { { .places = "[{\"subnetId\": \"" SUBNET "\"}]" }, "`securityGroupId` is missing" },
        { { .places = "[{\"subnetId\": \"" SUBNET "\", \"securityGroupId\": \"" SG "\"}]" }, "--image is missing" },
        { { .places = "[{\"subnet\": \"" SUBNET "\"}]" }, "--places has an unknown member `subnet`" },
        { { .places = "[{\"subnetId\": \"x\", \"securityGroupId\": \"" SG "\"}]" }, "--places: `x` is not an id" },
        { { .places = "[{\"region\": \"x\", \"subnetId\": \"" SUBNET "\", \"securityGroupId\": \"" SG "\"}]" },
          "--places: `x` is not the name" },
    };
    AUTO_ERROR err = { 0 };
    CLEANUP(plan_clear) struct plan plan = { 0 };
    CLEANUP(spec_free) struct spec s = spec_of(&cases[_i].w);
    ck_assert(!plan_sites(&plan, &s, HOME, &err));
    ck_assert_int_eq(err.domain, ERROR_USAGE);
    ck_assert_msg(strstr(err.message, cases[_i].why) != NULL, "%s", err.message);
}
END_TEST

#define KEY_OF(region) "arn:aws:kms:" region ":123456789012:key/0a1b"
#define PLACE(region) "{\"region\": \"" region "\", \"subnetId\": \"" SUBNET "\", \"securityGroupId\": \"" SG "\"}"

/* A key's ARN has to be of every region where the plan launches, wherever that comes from. */
START_TEST(keys_of_regions)
{
    static const struct {
        struct words w;
        const char *key, *why; /* why NULL: it is */
    } cases[] = {
        { { .images = AMI, .subnets = SUBNET, .groups = SG }, KEY_OF(HOME), NULL },
        { { .images = AMI, .subnets = SUBNET, .groups = SG }, "alias/ci", NULL },
        { { .images = AMI, .subnets = SUBNET, .groups = SG }, KEY_OF(AWAY), "is not one of us-east-1" },
        { { .regions = AWAY, .images = AWAY "/" AMI, .subnets = AWAY "/" SUBNET, .groups = AWAY "/" SG },
          KEY_OF(HOME),
          "is not one of us-west-2" },
        { { .regions = HOME " " AWAY, .images = "ssm:/x" }, KEY_OF(HOME), "is not one of us-west-2" },
        { { .places = "[" PLACE(AWAY) "]", .images = "ssm:/x" }, KEY_OF(AWAY), NULL },
        { { .places = "[" PLACE(AWAY) "]", .images = "ssm:/x" }, KEY_OF(HOME), "is not one of us-west-2" },
        { { .places = "[" PLACE(HOME) "," PLACE(AWAY) "]", .images = "ssm:/x" },
          KEY_OF(HOME),
          "is not one of us-west-2" },
    };
    AUTO_ERROR err = { 0 };
    AUTO_FREE char *block_devices =
        xasprintf("[{\"DeviceName\": \"/dev/sdf\", \"Ebs\": {\"VolumeSize\": 8, \"Encrypted\": true, "
                  "\"KmsKeyId\": \"%s\"}}]",
                  cases[_i].key);
    for (unsigned further = 0; further < 2; further++) {
        CLEANUP(plan_clear) struct plan plan = { 0 };
        CLEANUP(spec_free) struct spec s = spec_of(&cases[_i].w);
        s.volume_kms_key = further ? NULL : (char *)cases[_i].key;
        s.block_devices = further ? block_devices : NULL;
        if (cases[_i].why)
            ASSERT_FAILS(plan_sites(&plan, &s, HOME, &err), &err, cases[_i].why);
        else
            ASSERT_OK(plan_sites(&plan, &s, HOME, &err), &err);
    }
}
END_TEST

/* The order of the cells, each as market, region, image, type, subnet: one character or a few of each. */
START_TEST(plan_order)
{
    static const struct {
        struct words w;
        const char *want;
    } cases[] = {
        { { .images = AMI, .subnets = SUBNET, .groups = SG }, "oe0i0" },
        /* Spot everywhere first. */
        { { .images = AMI,
            .subnets = SUBNET " subnet-00000001",
            .groups = SG,
            .market = "spot on-demand",
            .types = "m7i.large m7a.large" },
          "se0i0 se0i1 se0a0 se0a1 oe0i0 oe0i1 oe0a0 oe0a1" },
        { { .images = AMI,
            .subnets = SUBNET " subnet-00000001",
            .groups = SG,
            .market = "spot on-demand",
            .types = "m7i.large m7a.large",
            .order = "type subnet" },
          "se0i0 oe0i0 se0i1 oe0i1 se0a0 oe0a0 se0a1 oe0a1" },
        /* Two regions, in the order of --regions; a parameter is looked up in each. */
        { { .regions = AWAY " " HOME,
            .images = "ssm:/x",
            .subnets = SUBNET " " AWAY "/subnet-00000001",
            .groups = SG " " AWAY "/sg-00000001",
            .market = "spot on-demand" },
          "sw0i1 se0i0 ow0i1 oe0i0" },
        { { .regions = AWAY " " HOME,
            .images = AMI " " AWAY "/" AMI,
            .subnets = SUBNET " " AWAY "/subnet-00000001",
            .groups = SG " " AWAY "/sg-00000001",
            .market = "spot on-demand",
            .order = "region,market" },
          "sw0i1 ow0i1 se0i0 oe0i0" },
        { { .regions = HOME " " AWAY,
            .images = "ssm:/x ssm:/y",
            .subnets = SUBNET " " AWAY "/subnet-00000001",
            .groups = SG " " AWAY "/sg-00000001",
            .order = "image region" },
          "oe0i0 ow0i1 oe0i0 ow0i1" },
        /* Each type with the image of its architecture. */
        { { .images = AMI " " ARM, .subnets = SUBNET, .groups = SG, .types = "m7g.large m7i.large c7g.large" },
          "oe0i0 oe1g0 oe1g0" },
        { { .images = AMI " " ARM,
            .subnets = SUBNET,
            .groups = SG,
            .types = "m7g.large m7i.large c7g.large",
            .order = "type" },
          "oe1g0 oe0i0 oe1g0" },
        /* machulav's list of places: its order is the plan's. */
        { { .places = "[{\"region\": \"us-west-2\", \"imageId\": \"" AMI "\", \"subnetId\": \"subnet-00000001\", "
                      "\"securityGroupId\": \"" SG "\"}, {\"imageId\": \"ami-00000000\", \"subnetId\": \"" SUBNET
                      "\", \"securityGroupId\": \"" SG ",sg-00000001\"}]",
            .groups = "sg-99999999" },
          "ow0i1 oe0i0" },
        /* It wins over what it stands instead of: another region's image, one that fits no type. */
        { { .places = "[{\"region\": \"us-west-2\", \"imageId\": \"" AMI "\", \"subnetId\": \"subnet-00000001\", "
                      "\"securityGroupId\": \"" SG "\"}]",
            .images = ARM,
            .subnets = SUBNET,
            .groups = "sg-99999999" },
          "ow0i1" },
        /* A place without an image has the one of --image. */
        { { .places = "[{\"imageId\": null, \"subnetId\": \"" SUBNET "\", \"securityGroupId\": \"" SG "\"}]",
            .images = AMI },
          "oe0i0" },
        /* An empty list is what was not given. */
        { { .places = "[]", .images = AMI, .subnets = SUBNET, .groups = SG }, "oe0i0" },
        { { .images = "resolve:ssm:/x", .subnets = SUBNET, .groups = SG }, "oe0i0" },
    };
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF got = STRBUF_INIT;
    CLEANUP(plan_clear) struct plan plan = { 0 };
    CLEANUP(spec_free) struct spec s = spec_of(&cases[_i].w);
    strlist_clear(&s.order);
    strlist_split(&s.order, cases[_i].w.order ? cases[_i].w.order : "", ", ");
    ASSERT_OK(plan_sites(&plan, &s, HOME, &err), &err);
    for (size_t i = 0; i < plan.n_images; i++) {
        bool arm = str_eq(plan.images[i].ref, ARM);
        plan.images[i].id = arm ? "ami-1" : "ami-0";
        plan.images[i].architecture = arm ? "arm64" : "x86_64";
    }
    ASSERT_OK(plan_cells(&plan, &s, &err), &err);
    for (size_t i = 0; i < plan.n; i++) {
        const struct cell *c = &plan.cells[i];
        strbuf_addf(&got, "%s%c%c%s%c%c", i ? " " : "", cell_market(c)[0], c->region[3], c->image->id + 4, c->type[2],
                    c->subnet[strlen(c->subnet) - 1]);
        ck_assert_str_eq(c->image->region, c->region);
        ck_assert_uint_ge(c->security_groups->n, 1);
    }
    ck_assert_str_eq(strbuf_str(&got), cases[_i].want);
}
END_TEST

START_TEST(plan_refused)
{
    static const struct {
        struct words w;
        const char *why;
    } cases[] = {
        { { .images = AMI, .types = "m7i.large m7g.large" },
          "--types: m7g.large is arm64, and the image ami-0 is x86_64" },
        { { .images = AMI " " ARM, .types = "m7i.large" }, "--image: ami-1 is arm64, and no type is" },
        { { .images = AMI, .order = "type market type" }, "--order names type twice" },
    };
    AUTO_ERROR err = { 0 };
    CLEANUP(plan_clear) struct plan plan = { 0 };
    struct words w = cases[_i].w;
    w.subnets = SUBNET;
    w.groups = SG;
    CLEANUP(spec_free) struct spec s = spec_of(&w);
    ASSERT_OK(plan_sites(&plan, &s, HOME, &err), &err);
    for (size_t i = 0; i < plan.n_images; i++) {
        plan.images[i].id = i ? "ami-1" : "ami-0";
        plan.images[i].architecture = i ? "arm64" : "x86_64";
    }
    ASSERT_FAILS(plan_cells(&plan, &s, &err), &err, cases[_i].why);
    ck_assert_uint_eq(plan.n, 0);
}
END_TEST

/* Of a plan with these types in two markets and two subnets: which are left after a refusal of the first on demand? */
START_TEST(what_a_refusal_rules_out)
{
    static const struct {
        enum outcome outcome;
        const char *types, *left;
    } cases[] = {
        { OUTCOME_CAPACITY, "m7i.large", "s0m7i.large s1m7i.large o1m7i.large" },
        { OUTCOME_SUBNET_FULL, "m7i.large", "s1m7i.large o1m7i.large" },
        { OUTCOME_QUOTA, "m7i.large", "s0m7i.large s1m7i.large" },
        { OUTCOME_QUOTA, "m7i.large c7i.large m7i.xlarge t3.metal", "s s s s s s s s" },
        { OUTCOME_QUOTA, "m7i.16xlarge m7i.large c7i.24xlarge t3.medium r7i.metal-48xl",
          "s s s s s s s s s s o0m7i.large o0t3.medium o1m7i.large o1t3.medium" },
        { OUTCOME_QUOTA, "g5.2xlarge g5.xlarge p5.48xlarge m7i.large vt1.24xlarge",
          "s s s s s s s s s s o0g5.xlarge o0p5.48xlarge o0m7i.large o1g5.xlarge o1p5.48xlarge o1m7i.large" },
    };
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF got = STRBUF_INIT;
    CLEANUP(plan_clear) struct plan plan = { 0 };
    CLEANUP(room_clear) struct room room = { 0 };
    const struct words w = { .images = AMI,
                             .subnets = SUBNET " subnet-00000001",
                             .groups = SG,
                             .market = "spot on-demand",
                             .order = "market subnet",
                             .types = cases[_i].types };
    CLEANUP(spec_free) struct spec s = spec_of(&w);
    ASSERT_OK(plan_sites(&plan, &s, HOME, &err), &err);
    plan.images[0].id = "ami-0";
    plan.images[0].architecture = "x86_64";
    ASSERT_OK(plan_cells(&plan, &s, &err), &err);
    room_init(&room, &plan);
    size_t first = 0;
    while (plan.cells[first].spot)
        first++;
    room_rule_out(&room, first, cases[_i].outcome);
    for (size_t i = 0; room_find(&room, &i); i++) {
        const struct cell *c = &plan.cells[i];
        strbuf_addf(&got, "%s%s", got.len ? " " : "", c->spot ? "s" : "o");
        if (!c->spot || s.types.n == 1)
            strbuf_addf(&got, "%c%s", str_eq(c->subnet, SUBNET) ? '0' : '1', c->type);
    }
    ck_assert_str_eq(strbuf_str(&got), cases[_i].left);
}
END_TEST

START_TEST(image_fits)
{
    static const struct {
        struct ec2_image image;
        size_t n;
        const char *why; /* NULL: it fits */
    } cases[] = {
        { { .id = AMI, .state = "available", .architecture = "x86_64" }, 1, NULL },
        { { 0 }, 0, "there is no image " AMI " in us-east-1" },
        { { .id = "ami-1", .state = "available", .architecture = "x86_64" }, 1, "there is no image" },
        { { .id = AMI, .state = "pending", .architecture = "x86_64" }, 1, "is pending, not available" },
        { { .id = AMI, .architecture = "x86_64" }, 1, "is in no state" },
        { { .id = AMI, .state = "available", .architecture = "i386" }, 1, "no runner for the architecture i386" },
        { { .id = AMI, .state = "available" }, 1, "the architecture (none)" },
        { { .id = AMI, .state = "available", .architecture = "x86_64", .platform = "windows" },
          1,
          AMI " is a windows image, and Mayfly runs Linux only" },
    };
    AUTO_ERROR err = { 0 };
    AUTO_ARENA arena = { 0 };
    struct ec2_image row = cases[_i].image;
    const struct field_list rows = { .rows = &row, .n = cases[_i].n };
    struct image image = { .region = HOME, .ref = AMI };
    if (cases[_i].why) {
        ASSERT_FAILS(image_take(&image, AMI, &rows, &arena, &err), &err, cases[_i].why);
        ck_assert_ptr_null(image.id);
    } else {
        ASSERT_OK(image_take(&image, AMI, &rows, &arena, &err), &err);
        ck_assert_str_eq(image.root_device, "/dev/sda1");
    }
}
END_TEST

START_TEST(devices_of_an_image)
{
    struct ec2_image_device devices[] = {
        { .name = "/dev/sda1", .snapshot = "snap-1", .size = "8", .type = "gp3", .deletes = "false" },
        { .name = "/dev/sdb", .virtual_name = "ephemeral0" },
        { .name = "/dev/sdc", .no_device = "" },
        { .name = "/dev/sdd", .deletes = "true" },
        { .name = "/dev/sde" },
        { .size = "8" },
        { .name = "/dev/sdf", .size = "100" },
    };
    struct ec2_image row = { .id = AMI,
                             .state = "available",
                             .architecture = "x86_64",
                             .devices = { devices, ARRAY_SIZE(devices), ARRAY_SIZE(devices) } };
    AUTO_ERROR err = { 0 };
    AUTO_ARENA arena = { 0 };
    const struct field_list rows = { .rows = &row, .n = 1 };
    struct image image = { .region = HOME, .ref = AMI };
    ASSERT_OK(image_take(&image, AMI, &rows, &arena, &err), &err);
    AUTO_STRBUF got = STRBUF_INIT;
    for (size_t i = 0; i < image.volumes.n; i++)
        strbuf_addf(&got, "%s %s ", FIELD_ROW(&image.volumes, struct ec2_image_device, i)->name,
                    FIELD_ROW(&image.volumes, struct ec2_image_device, i)->size);
    ck_assert_str_eq(strbuf_str(&got), "/dev/sda1 8 /dev/sdf 100 ");
}
END_TEST

/* Of those that are there, and that a bake has proven. */
START_TEST(newest_image_wins)
{
    struct ec2_tag limits = { TAG_LIMITS, "life=5400" };
    struct ec2_image rows[] = {
        { .id = "ami-1", .state = "available", .architecture = "arm64", .created = "2026-10-01T00:00:00.000Z" },
        { .id = "ami-2",
          .state = "available",
          .architecture = "arm64",
          .root_device = "/dev/xvda",
          .created = "2026-11-01T00:00:00.000Z" },
        { .id = "ami-3", .state = "pending", .architecture = "arm64", .created = "2026-11-20T00:00:00.000Z" },
        { .id = "ami-4", .state = "available", .architecture = "arm64" },
        { .id = "ami-5",
          .state = "available",
          .architecture = "arm64",
          .created = "2026-11-21T00:00:00.000Z",
          .tags = { &limits, 1, 1 } },
    };
    AUTO_ERROR err = { 0 };
    AUTO_ARENA arena = { 0 };
    const struct field_list all = { .rows = rows, .n = 5 }, pending = { .rows = &rows[2], .n = 1 };
    struct image image = { .region = HOME, .ref = "name:x*@self", .kind = IMAGE_NAME };
    ASSERT_OK(image_take(&image, NULL, &all, &arena, &err), &err);
    ck_assert_str_eq(image.id, "ami-2");
    ck_assert_str_eq(image.root_device, "/dev/xvda");
    ck_assert(!image.has_runner);
    ASSERT_FAILS(image_take(&image, NULL, &pending, &arena, &err), &err, "there is no image name:x*@self in us-east-1");
}
END_TEST

/* --- tags, labels and names --------------------------------------------------------------------------------------- */

START_TEST(limits)
{
    static const struct {
        const char *s;
        int64_t boot, idle, life; /* boot -1: malformed */
    } cases[] = {
        { "boot=1,idle=2,life=3", 1, 2, 3 },
        { "life=3, idle=2 ,boot=1", 1, 2, 3 },
        { "", 600, 1800, 21600 },
        { "life=7", 600, 1800, 7 },
        { "life=7,unknown=x,future", 600, 1800, 7 },
        { "life=1,life=2", 600, 1800, 2 },
        { "life=2147483647", 600, 1800, 2147483647 },
        { "life=2147483648", -1, 0, 0 },
        { "life=", -1, 0, 0 },
        { "life=-1", -1, 0, 0 },
        { "life=6h", -1, 0, 0 },
        { "boot=5,life=x", -1, 0, 0 },
    };
    struct limits l = LIMITS_DEFAULT;
    bool ok = cases[_i].boot >= 0;
    ck_assert_int_eq(limits_parse(cases[_i].s, &l), ok);
    ck_assert_int_eq(l.boot, ok ? cases[_i].boot : 600);
    ck_assert_int_eq(l.idle, ok ? cases[_i].idle : 1800);
    ck_assert_int_eq(l.life, ok ? cases[_i].life : 21600);
    struct limits back = { 0 };
    AUTO_FREE char *text = limits_format(&l);
    ck_assert(limits_parse(text, &back));
    ck_assert(back.boot == l.boot && back.idle == l.idle && back.life == l.life);
}
END_TEST

START_TEST(tags_of_a_runner)
{
    AUTO_ARENA arena = { 0 };
    AUTO_STRBUF got = STRBUF_INIT;
    struct ec2_tag *tags;
    size_t n;
    const struct tag_values v = { .fleet = "o/r",
                                  .scope = "o/r",
                                  .label = "mayfly-1",
                                  .runner = "mf-1",
                                  .run = "",
                                  .runner_id = 7,
                                  .version = "1.0",
                                  .limits = { 1, 2, 3 } };
    tags_of_runner(&v, &arena, &tags, &n);
    for (size_t i = 0; i < n; i++)
        strbuf_addf(&got, "%s=%s ", tags[i].key, tags[i].value);
    ck_assert_str_eq(strbuf_str(&got), "Name=mf-1 mayfly:fleet=o/r mayfly:scope=o/r mayfly:label=mayfly-1 "
                                       "mayfly:runner=mf-1 mayfly:runner-id=7 mayfly:role=runner "
                                       "mayfly:limits=boot=1,idle=2,life=3 mayfly:version=1.0 ");
}
END_TEST

/* GitHub takes names of 64 characters: the longest region, a far epoch, a dash and 8 random ones more. */
START_TEST(runner_names)
{
    static const char *const regions[] = { "us-east-1",      "us-gov-west-1",  "ap-southeast-4",
                                           "ap-northeast-3", "us-isob-east-1", "eusc-de-east-1" };
    AUTO_FREE char *mark = runner_name_mark("123456789012", "org/repo");
    AUTO_FREE char *same = runner_name_mark("123456789012", "org/repo");
    AUTO_FREE char *other = runner_name_mark("123456789013", "org/repo");
    AUTO_FREE char *moved = runner_name_mark("123456789012", "org/other");
    ck_assert_str_eq(mark, same);
    ck_assert_str_ne(mark, other);
    ck_assert_str_ne(mark, moved);
    ck_assert_uint_eq(strlen(mark), strlen("mf-123456-"));
    AUTO_FREE char *prefix = runner_name_prefix(mark, regions[_i], INT64_C(253402300799));
    ck_assert(str_starts(prefix, mark) && strstr(prefix, regions[_i]));
    ck_assert_uint_le(strlen(prefix) + 1 + 8, 64);
    ck_assert(name_is_valid(prefix));
}
END_TEST

START_TEST(made_labels)
{
    static const struct {
        const char *run, *attempt, *want;
    } cases[] = {
        { "4711", "2", "mayfly-4711-2-abcdef" }, { "4711", NULL, "mayfly-4711-1-abcdef" },
        { "4711", "", "mayfly-4711-1-abcdef" },  { NULL, "2", "mayfly-s44we8-abcdef" },
        { "", NULL, "mayfly-s44we8-abcdef" },
    };
    AUTO_FREE char *label =
        label_make(cases[_i].run, cases[_i].attempt, 1700000000, (const uint8_t[]){ 0, 1, 2, 3, 4, 5 });
    ck_assert_str_eq(label, cases[_i].want);
    ck_assert(label_is_valid(label));
}
END_TEST

START_TEST(labels)
{
    static const struct {
        const char *label;
        bool valid;
    } cases[] = {
        { "a", true },
        { "mayfly-1_2.3-A", true },
        { X32 X32 X32 "xxxx", true },
        { X32 X32 X32 "xxxxx", false },
        { "", false },
        { "a b", false },
        { "a,b", false },
        { "a\n", false },
        { "a*", false },
        { "a?", false },
        { "a\\", false },
        { "a'", false },
        { "a\"", false },
        { "a`", false },
        { "a|b", false },
        { "<a>", false },
        { "-a", false },
        { "a\x7f", false },
        { "a/b", true },
        { "run:17", true },
        { "feature/x@1+2=3#4~5", true },
        { "#1", true },
        { "\xc3\xa9", false },
        { "$(id)", false },
    };
    ck_assert_int_eq(label_is_valid(cases[_i].label), cases[_i].valid);
    ck_assert(!cases[_i].valid || name_is_valid(cases[_i].label) == !strpbrk(cases[_i].label, "/:@+=#~"));
}
END_TEST

/* --- the user-data ------------------------------------------------------------------------------------------------ */

/* What /bin/sh makes of the script: its output, at most 64 KiB. */
static char *run_shell(const char *script, size_t len)
{
    char file[] = "/tmp/mayfly-check-spec.XXXXXX";
    int fd = mkstemp(file), out[2];
    AUTO_STRBUF got = STRBUF_MAX(65536);
    ck_assert(fd >= 0 && write(fd, script, len) == (ssize_t)len && close(fd) == 0 && pipe(out) == 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execl("/bin/sh", "sh", "-eu", file, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    char chunk[4096];
    for (ssize_t n; (n = read(out[0], chunk, sizeof(chunk))) > 0;)
        strbuf_add(&got, chunk, (size_t)n);
    close(out[0]);
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    unlink(file);
    ck_assert_int_eq(status, 0);
    return strbuf_steal(&got);
}

/* The block of assignments: what comes before ami/boot.sh. */
static size_t length_of_assignments(const struct strbuf *script)
{
    const char *last = strstr(strbuf_str(script), "\nMAYFLY_DEBUG=");
    ck_assert_ptr_nonnull(last);
    return (size_t)(strchr(last + 1, '\n') + 1 - script->data);
}

static const char *const odd[] = {
    "plain",
    "",
    "two words",
    "it's",
    "'",
    "''",
    "'\\''",
    "\"double\" $HOME `id` $(id) ${x} \\ \\n !! # ; & | < > * ? [a] ~ {a,b}",
    "'; echo pwned; '",
    "line\nbreak\n",
    "\n\nleading",
    "tab\there\r",
    "-n",
    "-e \\t",
    "%s%n",
    "\xc3\xa9\xff\x01",
    "=a=b",
};

START_TEST(values_reach_the_shell_unread)
{
    AUTO_STRBUF script = STRBUF_INIT, want = STRBUF_INIT;
    const char *value = odd[_i];
    const struct strlist packages = LIST((char *)"one", (char *)value);
    const struct userdata u = { .jit = value,
                                .runner_name = value,
                                .runner_url = value,
                                .runner_sha256 = value,
                                .runner_dir = value,
                                .user = value,
                                .pre_runner = value,
                                .packages = &packages,
                                .limits = { .boot = 1, .idle = 22, .life = 333 },
                                .debug = true };
    userdata_render(&script, &u);
    strbuf_truncate(&script, length_of_assignments(&script));
    strbuf_adds(&script, "for v in \"$MAYFLY_JIT\" \"$MAYFLY_RUNNER_NAME\" \"$MAYFLY_RUNNER_URL\" "
                         "\"$MAYFLY_RUNNER_SHA256\" \"$MAYFLY_RUNNER_DIR\" \"$MAYFLY_USER\" \"$MAYFLY_PACKAGES\" "
                         "\"$MAYFLY_BOOT_SECONDS\" \"$MAYFLY_IDLE_SECONDS\" \"$MAYFLY_LIFE_SECONDS\" "
                         "\"$MAYFLY_DEBUG\" \"$MAYFLY_PRE_RUNNER\"; do printf '<%s>' \"$v\"; done\n");
    for (int i = 0; i < 6; i++)
        strbuf_addf(&want, "<%s>", value);
    strbuf_addf(&want, "<one\n%s><1><22><333><1><", value);
    encode_base64(&want, value, strlen(value));
    strbuf_addc(&want, '>');
    AUTO_FREE char *got = run_shell(strbuf_str(&script), script.len);
    ck_assert_str_eq(got, strbuf_str(&want));
}
END_TEST

START_TEST(userdata_begins_and_ends)
{
    AUTO_STRBUF script = STRBUF_INIT;
    const struct userdata u = { 0 };
    userdata_render(&script, &u);
    ck_assert(str_starts(strbuf_str(&script), "#!/bin/sh\n"));
    ck_assert(str_ends(strbuf_str(&script), "\n"));
    ck_assert_uint_gt(script.len, length_of_assignments(&script) + 1000); /* boot.sh is there */
    ck_assert_ptr_nonnull(strstr(strbuf_str(&script), "\nMAYFLY_JIT=''\n"));
    ck_assert_ptr_nonnull(strstr(strbuf_str(&script), "\nMAYFLY_DEBUG=''\n"));
}
END_TEST

/* To the byte: what fits passes, one byte more does not; and room is kept for a configuration not yet known. */
/* What gzip cannot shorten by more than a quarter, as a configuration is. */
static void add_noise(struct strbuf *out, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t x = 1;
    for (; n > 0; n--) {
        x = x * 1664525u + 1013904223u;
        strbuf_addc(out, digits[x >> 26]);
    }
}

/* A script that is too long is compressed; what does not fit then is refused. */
START_TEST(userdata_limit)
{
    static const struct {
        size_t script;
        bool packed, fits;
    } cases[] = { { 0, false, true },   { 1000, false, true }, { 3000, true, true },
                  { 6800, true, true }, { 9000, true, false }, { 16000, true, false } };
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF pre_runner = STRBUF_INIT, jit = STRBUF_INIT, script = STRBUF_INIT, packed = STRBUF_INIT,
                back = STRBUF_MAX(1 << 20);
    add_noise(&pre_runner, cases[_i].script);
    struct userdata u = { .pre_runner = strbuf_str(&pre_runner) };
    ck_assert_int_eq(userdata_check(&u, &err), cases[_i].fits);
    ck_assert_int_eq(userdata_room(&u) >= USERDATA_JIT_RESERVE - RUNNER_NAME_MAX, cases[_i].fits);
    if (!cases[_i].fits) {
        ck_assert(strstr(err.message, "bytes compressed, and EC2 accepts 16384") != NULL);
        return;
    }
    add_noise(&jit, userdata_room(&u)); /* the longest that may come */
    u.jit = strbuf_str(&jit);
    u.runner_name = "mf-0123456789-us-gov-west-1-0123456-0123456789abcdef0123456789ab";
    ck_assert_uint_eq(strlen(u.runner_name), RUNNER_NAME_MAX);
    userdata_render(&script, &u);
    userdata_pack(&packed, &script);
    ck_assert_uint_le(packed.len, USERDATA_MAX);
    ck_assert_uint_le(packed.len, userdata_size(&u));
    jit.len = USERDATA_JIT_RESERVE;
    jit.data[jit.len] = '\0';
    script.len = packed.len = 0;
    userdata_render(&script, &u);
    userdata_pack(&packed, &script);
    ck_assert_int_eq(gzip_is(packed.data, packed.len), cases[_i].packed);
    if (cases[_i].packed) {
        ck_assert(gzip_decompress(&back, packed.data, packed.len));
        ck_assert_str_eq(strbuf_str(&back), strbuf_str(&script));
    } else {
        ck_assert_str_eq(strbuf_str(&packed), strbuf_str(&script));
    }
}
END_TEST

static TCase *specs(void)
{
    TCase *t = tcase_create("spec");
    tcase_add_loop_test(t, architectures, 0, 32);
    tcase_add_test(t, labels_that_jobs_ask_for);
    tcase_add_test(t, runner_architectures);
    tcase_add_loop_test(t, spec_refused, 0, 65);
    tcase_add_loop_test(t, parameters, 0, 8);
    tcase_add_loop_test(t, keys_of_volumes, 0, 10);
    tcase_add_loop_test(t, volumes_of_the_image, 0, 4);
    tcase_add_loop_test(t, own_tags, 0, 3);
    tcase_add_loop_test(t, coerced_tags, 0, 13);
    tcase_add_loop_test(t, tags_count_characters, 0, 4);
    tcase_add_loop_test(t, package_names, 0, 4);
    return t;
}

static TCase *plans(void)
{
    TCase *t = tcase_create("plan");
    tcase_add_loop_test(t, sites_refused, 0, 23);
    tcase_add_loop_test(t, keys_of_regions, 0, 8);
    tcase_add_loop_test(t, plan_order, 0, 13);
    tcase_add_loop_test(t, plan_refused, 0, 3);
    tcase_add_loop_test(t, image_fits, 0, 8);
    tcase_add_loop_test(t, what_a_refusal_rules_out, 0, 6);
    tcase_add_test(t, devices_of_an_image);
    tcase_add_test(t, newest_image_wins);
    return t;
}

static TCase *names(void)
{
    TCase *t = tcase_create("names");
    tcase_add_loop_test(t, limits, 0, 12);
    tcase_add_test(t, tags_of_a_runner);
    tcase_add_loop_test(t, runner_names, 0, 6);
    tcase_add_loop_test(t, made_labels, 0, 5);
    tcase_add_loop_test(t, labels, 0, 24);
    return t;
}

static TCase *userdata(void)
{
    TCase *t = tcase_create("userdata");
    tcase_add_loop_test(t, values_reach_the_shell_unread, 0, ARRAY_SIZE(odd));
    tcase_add_test(t, userdata_begins_and_ends);
    tcase_add_loop_test(t, userdata_limit, 0, 6);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { specs, plans, names, userdata };
    return run_suite("spec", all, ARRAY_SIZE(all));
}
