/* The options of start. */
#include "mayfly/cmd/start.h"

#include "mayfly/runner/plan.h"

#define OPTIONS struct spec

/* What a file in a checkout may name. An image is all that runs before the job, with the just-in-time configuration and
 * whatever --instance-profile gives: so not one that a stranger made public. A label is no other runner's: a job that
 * asks for it would go there, to a machine that is kept for something else. */
static bool is_own_label(const char *label)
{
    return str_starts(label, "mayfly-") || str_starts(label, "mf-");
}

static const struct opt_values own_images = { image_is_own, "ssm:/PARAMETER outside /aws/, or name:PATTERN@self" };
static const struct opt_values own_places = { places_are_own,
                                              "places whose imageId is ssm:/PARAMETER outside /aws/, or "
                                              "name:PATTERN@self" };
static const struct opt_values own_labels = { is_own_label, "a label that begins with mayfly- or mf-" };

const struct opt start_opts[] = {
    OPT_LIST("image", images, "IMAGE[,IMAGE…]",
             "ami-…, ssm:/PARAMETER, or name:PATTERN@OWNER (latest match); one image per architecture",
             .aliases = "ec2-image-id", .bits = OPT_CHECKOUT, .checkout = &own_images),
    OPT_LIST("types", types, "TYPE[,TYPE…]", "instance types, in the order to try", .aliases = "ec2-instance-type",
             .bits = OPT_CHECKOUT),
    OPT_LIST("subnets", subnets, "ID[,ID…]", "subnets, in the order to try; REGION/ID for a region other than --region",
             .aliases = "subnet-id", .bits = OPT_CHECKOUT),
    OPT_LIST("security-groups", security_groups, "ID[,ID…]",
             "security groups; REGION/ID for a region other than --region", .aliases = "security-group-id",
             .bits = OPT_CHECKOUT),
    OPT_LIST("market", market, "MARKET[,MARKET]", "spot or on-demand, in the order to try", .fallback = "on-demand",
             .choices = "spot on-demand", .aliases = "market-type", .bits = OPT_CHECKOUT),
    OPT_LIST("regions", regions, "REGION[,REGION…]", "regions, in the order to try (default: --region)",
             .bits = OPT_CHECKOUT),
    OPT_TEXT("places", places, "JSON",
             "places to launch in, instead of --image, --subnets and --security-groups: [{\"region\", \"imageId\", "
             "\"subnetId\", \"securityGroupId\"}, …]",
             .aliases = "availability-zones-config", .bits = OPT_CHECKOUT, .checkout = &own_places),
    OPT_LIST("order", order, "WORD[,WORD…]",
             "nesting order of the plan, outermost first (default: market,region,image,type,subnet)",
             .choices = "market region image type subnet", .bits = OPT_CHECKOUT),
    OPT_STRING("label", label, "LABEL", "label for `runs-on` (default: a new, unguessable one)", .bits = OPT_CHECKOUT,
               .checkout = &own_labels),
    OPT_LIST("labels", labels, "LABEL[,LABEL…]",
             "additional labels; any job whose labels are a subset of the runner's may take it", .bits = OPT_CHECKOUT,
             .checkout = &own_labels),
    OPT_NUMBER("count", count, "N", "number of runners to start under the label", .fallback = "1", .min = 1, .max = 100,
               .bits = OPT_CHECKOUT_LOWER),
    OPT_NUMBER("min-count", min_count, "N",
               "succeed, with a warning, if at least this many runners come online (default: --count)", .min = 1,
               .max = 100),
    OPT_STRING("fallback-label", fallback_label, "LABEL",
               "label to output, with exit status 0, if there is no capacity or quota; for example ubuntu-latest"),
    OPT_SECONDS("timeout", timeout, "DURATION", "give up if the runners are not online after this long",
                .fallback = "10m", .aliases = "startup-timeout-minutes:m", .min = 10, .max = 3600,
                .bits = OPT_CHECKOUT_LOWER),
    OPT_SECONDS("max-lifetime", max_lifetime, "DURATION", "terminate the instance after this long, even if it is busy",
                .fallback = "6h", .min = 60, .max = 5 * 86400, .bits = OPT_CHECKOUT_LOWER),
    OPT_SECONDS("idle-limit", idle_limit, "DURATION", "terminate an instance whose runner has been idle this long",
                .fallback = "30m", .min = 60, .max = 5 * 86400, .bits = OPT_CHECKOUT_LOWER),
    OPT_STRING("runner-group", runner_group, "ID|NAME", "runner group: an ID, or a name for organizations",
               .fallback = "1", .aliases = "runner-group-id"),
    OPT_STRING("name", name, "NAME",
               "name of this start, so that `stop --name` can select it among several in one workflow run"),
    OPT_STRING("instance-profile", instance_profile, "NAME|ARN",
               "IAM instance profile (recommended: none, since jobs can use it)", .aliases = "iam-role-name"),
    OPT_TEXT("tags", tags, "KEY=VALUE,…|JSON", "additional tags for the instance, its volumes and spot request",
             .aliases = "aws-resource-tags"),
    OPT_STRING("public-ip", public_ip, "yes|no", "assign a public IPv4 address (default: the subnet's setting)",
               .choices = "yes no"),
    OPT_STRING("max-price", max_price, "DOLLARS",
               "maximum spot price per hour (recommended: none; the on-demand price is the cap)"),
    OPT_STRING("placement-group", placement_group, "NAME", "placement group to launch into"),
    OPT_STRING("tenancy", tenancy, "default|dedicated", "instance tenancy", .choices = "default dedicated"),
    OPT_STRING("cpu-credits", cpu_credits, "standard|unlimited", "CPU credit mode of burstable types (t3, t4g)",
               .choices = "standard unlimited"),
    OPT_NUMBER("volume-size", volume_size, "GIB", "root volume size in GiB (default: the image's)",
               .aliases = "ec2-volume-size", .min = 1, .max = 65536, .bits = OPT_CHECKOUT),
    OPT_STRING("volume-type", volume_type, "TYPE", "root volume type (default: the image's)",
               .choices = "gp2 gp3 io1 io2 st1 sc1 standard", .aliases = "ec2-volume-type", .bits = OPT_CHECKOUT),
    OPT_NUMBER("volume-iops", volume_iops, "N", "root volume IOPS", .min = 100, .max = 256000, .bits = OPT_CHECKOUT),
    OPT_NUMBER("volume-throughput", volume_throughput, "MIB", "root volume throughput in MiB/s (gp3)", .min = 125,
               .max = 2000, .bits = OPT_CHECKOUT),
    OPT_NUMBER("volume-initialization-rate", volume_initialization_rate, "MIB",
               "rate in MiB/s at which the root volume is filled from its snapshot (billed separately)", .min = 100,
               .max = 300),
    OPT_FLAG("volume-encrypted", volume_encrypted, "encrypt the root volume", .bits = OPT_CHECKOUT),
    OPT_STRING("volume-kms-key", volume_kms_key, "KEY", "KMS key to encrypt the root volume with"),
    OPT_STRING("device-name", device_name, "DEVICE",
               "device that the --volume-… options apply to (default: the image's root device)",
               .aliases = "ec2-device-name"),
    OPT_TEXT("block-devices", block_devices, "JSON",
             "additional volumes, as AWS's BlockDeviceMappings; an entry for the root device overrides --volume-…",
             .aliases = "block-device-mappings"),
    OPT_TEXT("metadata-options", metadata_options, "JSON",
             "as AWS's MetadataOptions (default: session tokens required, hop limit 1)"),
    OPT_STRING("runner-dir", runner_dir, "DIR", "directory of the runner in the image (default: /opt/actions-runner)",
               .aliases = "runner-home-dir"),
    OPT_STRING("user", user, "USER", "user to run the runner as (default: runner)", .aliases = "run-runner-as-user"),
    OPT_STRING("pre-runner-file", pre_runner_file, "FILE",
               "bash script to run as root before the runner, in its directory; if a command fails, the start fails"),
    OPT_TEXT("pre-runner-script", pre_runner_script, "SCRIPT",
             "like --pre-runner-file, with the script itself as the value"),
    OPT_TEXT("packages", packages, "NAME[,NAME…]",
             "packages to install before the runner starts (slow: prefer baking them into the image)"),
    OPT_FLAG("dry-run", dry_run, "print the plan and the user-data, and launch nothing"),
    OPT_STRING("use-jit", use_jit, "true",
               "for workflows of machulav/ec2-github-runner; all runners of Mayfly are just-in-time",
               .choices = "true false"),
    /* Inputs of machulav/ec2-github-runner that mean nothing here. */
    { .name = "run-runner-as-service",
      .type = OPT_FLAG,
      .help = "a just-in-time runner takes one job and exits; on the instance it is a systemd unit anyway",
      .fallback = "false",
      .bits = OPT_NO_EFFECT },
    { .name = "startup-quiet-period-seconds",
      .type = OPT_NUMBER,
      .arg = "N",
      .help = "Mayfly checks as soon as the instance is running",
      .bits = OPT_NO_EFFECT },
    { .name = "startup-retry-interval-seconds",
      .type = OPT_NUMBER,
      .arg = "N",
      .help = "Mayfly checks every second at first, then as often as GitHub's rate limit allows",
      .bits = OPT_NO_EFFECT },
    { 0 },
};

#undef OPTIONS
