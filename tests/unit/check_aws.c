#include "mayfly/aws/config.h"
#include "mayfly/aws/ec2_fleet.h"
#include "mayfly/aws/ec2_images.h"
#include "mayfly/aws/ec2_network.h"
#include "mayfly/aws/errors.h"
#include "mayfly/aws/query.h"
#include "mayfly/aws/ssm.h"
#include "mayfly/aws/sts.h"
#include "testing.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- what errors mean --------------------------------------------------------------------------------------------- */

START_TEST(classes)
{
    static const struct {
        const char *code, *message;
        int status;
        enum aws_class class;
    } cases[] = {
        /* The code decides before the status: capacity comes as 500, throttling as 503. */
        { "InsufficientInstanceCapacity", "", 500, AWS_CAPACITY },
        { "InsufficientInstanceCapacity", "", 400, AWS_CAPACITY },
        { "UnfulfillableCapacity", "", 500, AWS_CAPACITY },
        { "InsufficientReservedInstancesCapacity", "", 500, AWS_CAPACITY },
        { "SpotMaxPriceTooLow", "", 400, AWS_CAPACITY },
        { "Unsupported", "", 400, AWS_CAPACITY },
        { "UnsupportedOperation", "", 400, AWS_FATAL },
        { "InsufficientFreeAddressesInSubnet", "", 400, AWS_SUBNET_FULL },
        { "VcpuLimitExceeded", "", 400, AWS_QUOTA },
        { "MaxSpotInstanceCountExceeded", "", 400, AWS_QUOTA },
        { "InstanceLimitExceeded", "", 500, AWS_QUOTA },
        { "RequestLimitExceeded", "", 503, AWS_THROTTLE },
        { "Throttling", "", 400, AWS_THROTTLE },
        { "ThrottlingException", "", 400, AWS_THROTTLE },
        { "SlowDown", "", 503, AWS_THROTTLE },
        { "InternalError", "", 500, AWS_SERVER },
        { "Unavailable", "", 503, AWS_SERVER },
        { "ServiceUnavailable", "", 400, AWS_SERVER },
        { "InvalidInstanceID.NotFound", "", 400, AWS_NOT_FOUND },
        { "InvalidAMIID.NotFound", "", 400, AWS_FATAL },
        { "IncorrectInstanceState", "", 400, AWS_BUSY },
        { "TooManyUpdates", "", 400, AWS_BUSY },
        { "RequestExpired", "", 400, AWS_EXPIRED },
        { "AuthFailure", "", 401, AWS_EXPIRED },
        { "SignatureDoesNotMatch", "", 403, AWS_EXPIRED },
        { "AuthFailure.ServiceLinkedRoleCreationNotPermitted", "", 403, AWS_FATAL },
        { "InvalidClientTokenId", "", 403, AWS_FATAL },
        { "UnauthorizedOperation", "", 403, AWS_FATAL },
        { "IdempotentParameterMismatch", "", 400, AWS_TOKEN_USED },
        { "IdempotentInstanceTerminated", "", 400, AWS_TOKEN_USED },
        { "DryRunOperation", "", 412, AWS_DRY_RUN },
        /* An instance profile takes seconds to be seen; any other bad parameter stays bad. */
        { "InvalidParameterValue",
          "Value (x) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance "
          "Profile name",
          400, AWS_BUSY },
        { "InvalidParameterValue", "Value () for parameter groupId is invalid", 400, AWS_FATAL },
        { "InvalidParameterValue", NULL, 400, AWS_FATAL },
        /* Without a code that is known the status decides. */
        { "", "", 400, AWS_FATAL },
        { "", "", 403, AWS_FATAL },
        { "", "", 429, AWS_THROTTLE },
        { "", "", 500, AWS_SERVER },
        { "", "", 503, AWS_SERVER },
        { "SomethingNew", "", 502, AWS_SERVER },
        { "SomethingNew", "", 400, AWS_FATAL },
        { "insufficientinstancecapacity", "", 400, AWS_FATAL }, /* codes have one spelling */
    };
    ck_assert_int_eq(aws_classify(cases[_i].code, cases[_i].message, cases[_i].status), cases[_i].class);
}
END_TEST

START_TEST(class_of_an_error)
{
    AUTO_ERROR err = { 0 };
    error_set(&err, ERROR_NET, 28, "timeout");
    ck_assert_int_eq(aws_error_class(&err), AWS_SERVER);
    error_clear(&err);
    error_set(&err, ERROR_AWS, 500, "no capacity");
    ck_assert_int_eq(aws_error_class(&err), AWS_SERVER);
    err.code = xstrdup("InsufficientInstanceCapacity");
    ck_assert_int_eq(aws_error_class(&err), AWS_CAPACITY);
    ck_assert_ptr_nonnull(strstr(aws_hint("RunInstances", "UnauthorizedOperation", ""), "policy"));
    ck_assert_ptr_nonnull(strstr(aws_hint("RunInstances", "InvalidSubnetID.NotFound", ""), "--subnets"));
    ck_assert_ptr_null(aws_hint("RunInstances", "SomethingNew", ""));
    ck_assert_ptr_null(aws_hint("RunInstances", "", ""));
}
END_TEST

/* Every code that a user can meet, as the reference of EC2, STS and SSM has them. */
static const char *const reference[] = {
    /* capacity */
    "InsufficientInstanceCapacity",
    "InsufficientCapacity",
    "InsufficientHostCapacity",
    "InsufficientCapacityOnHost",
    "InsufficientReservedInstanceCapacity",
    "InsufficientReservedInstancesCapacity",
    "ReservationCapacityExceeded",
    "UnfulfillableCapacity",
    "InsufficientVolumeCapacity",
    "SpotMaxPriceTooLow",
    "Unsupported",
    "InsufficientFreeAddressesInSubnet",
    /* quota */
    "VcpuLimitExceeded",
    "InstanceLimitExceeded",
    "MaxSpotInstanceCountExceeded",
    "VolumeLimitExceeded",
    "MaxIOPSLimitExceeded",
    "MaxFleetCountExceeded",
    "NetworkInterfaceLimitExceeded",
    /* throttle */
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    "EC2ThrottledException",
    "RequestThrottled",
    "SlowDown",
    "TooManyRequestsException",
    "BandwidthLimitExceeded",
    /* server */
    "InternalError",
    "InternalFailure",
    "ServiceUnavailable",
    "Unavailable",
    "RequestTimeout",
    /* consistency */
    "InvalidInstanceID.NotFound",
    "InvalidGroup.NotFound",
    "InvalidSpotInstanceRequestID.NotFound",
    "InvalidParameterValue",
    /* permission */
    "UnauthorizedOperation",
    "AccessDenied",
    "AccessDeniedException",
    /* credentials */
    "AuthFailure",
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "UnrecognizedClientException",
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidSecurity.RequestHasExpired",
    "RequestTimeTooSkewed",
    /* web identity */
    "InvalidIdentityToken",
    "IDPRejectedClaim",
    "IDPCommunicationError",
    /* account */
    "OptInRequired",
    "PendingVerification",
    "Blocked",
    "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
    /* request */
    "InvalidAMIID.NotFound",
    "InvalidAMIID.Malformed",
    "InvalidAMIID.Unavailable",
    "InvalidSubnetID.NotFound",
    "InvalidKeyPair.NotFound",
    "InvalidParameterCombination",
    "InvalidParameter",
    "MissingParameter",
    "InvalidBlockDeviceMapping",
    "TagLimitExceeded",
    "InvalidTagKey.Malformed",
    "UnsupportedOperation",
    "InvalidUserData.Malformed",
    "ParameterNotFound",
    /* idempotency, protection, busy, dry run */
    "IdempotentParameterMismatch",
    "IdempotentInstanceTerminated",
    "OperationNotPermitted",
    "IncorrectInstanceState",
    "IncorrectState",
    "ConcurrentTagAccess",
    "ConcurrentCreateImageNoRebootLimitExceeded",
    "InvalidSnapshot.InUse",
    "SnapshotCreationPerVolumeRateExceeded",
    "ResourceLimitExceeded",
    "DryRunOperation",
};

/* A code of the table has its class whatever the HTTP status, and something to do. */
START_TEST(words_for_every_code)
{
    const char *hint = aws_hint("RunInstances", reference[_i], "");
    ck_assert_msg(hint && strlen(hint) > 10, "%s has no hint", reference[_i]);
    ck_assert_msg(aws_classify(reference[_i], "", 400) == aws_classify(reference[_i], "", 503), "%s has no class",
                  reference[_i]);
}
END_TEST

/* One code, several meanings. */
START_TEST(words_by_message)
{
    ck_assert_ptr_nonnull(strstr(aws_hint("RunInstances", "InvalidParameterValue",
                                          "Value (x) for parameter iamInstanceProfile.name is invalid."),
                                 "--instance-profile"));
    ck_assert_ptr_nonnull(
        strstr(aws_hint("RunInstances", "InvalidParameterValue", "User data is limited to 16384 bytes"), "pre-runner"));
    ck_assert_ptr_nonnull(strstr(aws_hint("RunInstances", "InvalidParameterValue", NULL), "--types"));
    /* What passes, by its message. */
    static const struct {
        const char *code, *message;
        enum aws_class want;
    } cases[] = {
        { "InvalidIdentityToken",
          "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity "
          "documentation for requirements",
          AWS_SERVER },
        { "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://x", AWS_FATAL },
        { "InvalidIdentityToken", "Incorrect token audience", AWS_FATAL },
        { "IDPCommunicationError", "x", AWS_SERVER },
        { "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", AWS_BUSY },
        { "AccessDenied", "User: u is not authorized to perform: sts:AssumeRole on resource: r", AWS_BUSY },
        { "AccessDenied",
          "User: u is not authorized to perform: sts:AssumeRole on resource: r with an explicit deny in a service "
          "control policy",
          AWS_FATAL },
        { "AccessDenied", "User: u is not authorized to perform: sts:GetCallerIdentity", AWS_FATAL },
        { "RegionDisabledException", "STS is not activated in this region", AWS_FATAL },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        ck_assert_msg(aws_classify(cases[i].code, cases[i].message, 400) == cases[i].want, "case %zu", i);
    for (size_t class = AWS_FATAL + 1; class <= AWS_DRY_RUN; class ++)
        ck_assert_ptr_nonnull(aws_class_hint((enum aws_class) class));
    ck_assert_ptr_null(aws_class_hint(AWS_FATAL));
}
END_TEST

/* One code, several calls. */
START_TEST(words_by_call)
{
    static const struct {
        const char *call, *code, *message, *part;
    } cases[] = {
        { "ModifyImageAttribute", "InvalidParameter", "Snapshots encrypted with the AWS Managed CMK can't be shared",
          "customer managed key" },
        { "ModifyImageAttribute", "InvalidParameter", "something else", "--share" },
        { "ModifyImageAttribute", "InvalidAMIAttributeItemValue", "Invalid attribute item value \"1\" for userId",
          "account ID" },
        { "ModifyImageAttribute", "InvalidUserID.Malformed", "x", "--share" },
        { "DescribeImages", "InvalidUserID.Malformed", "x", "--image" },
        { "RunInstances", "InvalidParameter", "Security group sg-1 and subnet subnet-1 belong to different networks.",
          "--subnets" },
        { "CopyImage", "InvalidParameter", "x", "this call rejects" },
        { "CreateTags", "InvalidParameterValue", "x", "this call rejects" },
        { "DescribeInstances", "InvalidParameterCombination", "x", "this call rejects" },
        { "StopInstances", "UnsupportedOperation", "x", "this call rejects" },
        { "RunInstances", "UnsupportedOperation", "x", "architecture" },
        { "RunInstances", "OptInRequired",
          "In order to use this AWS Marketplace product you need to accept terms and subscribe. To do so please visit "
          "https://aws.amazon.com/marketplace/pp?sku=x",
          "accept the terms" },
        { "RunInstances", "OptInRequired", "You are not subscribed to this service.", "region or service" },
        { "RunInstances", "InvalidParameterCombination",
          "The specified instance type is not eligible for Free Tier. For a list of Free Tier instance types, run "
          "'describe-instance-types' with the filter 'free-tier-eligible=true'.",
          "upgrade the plan" },
        { "RunInstances", "InvalidParameterCombination", "The specified image is not eligible for Free Tier.",
          "upgrade the plan" },
        { "RunInstances", "InvalidParameterCombination", "x", "--tenancy" },
        { "RunInstances", "VPCIdNotSpecified", "No default VPC for this user", "--subnets" },
        { "RunInstances", "MissingInput", "No subnets found for the default VPC 'vpc-1'. Please specify a subnet.",
          "--subnets" },
        { "RunInstances", "AuthFailure", "Not authorized for images: [ami-1]", "share it" },
        { "RunInstances", "AuthFailure", "AWS was not able to validate the provided access credentials", "access key" },
        { NULL, "InvalidParameter", NULL, "this call rejects" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *hint = aws_hint(cases[i].call, cases[i].code, cases[i].message);
        ck_assert_msg(hint && strstr(hint, cases[i].part), "case %zu: %s", i, hint ? hint : "no hint");
    }
    ck_assert_int_eq(aws_classify("AuthFailure", "Not authorized for images: [ami-1]", 401), AWS_FATAL);
}
END_TEST

/* Why EC2 ended an instance: what to do about it; NULL: the console says more. */
START_TEST(words_for_reasons)
{
    static const struct {
        const char *reason, *part;
    } cases[] = {
        { "Server.SpotInstanceTermination", "on-demand" },
        { "Server.SpotInstanceShutdown", "on-demand" },
        { "Server.InternalError", "host failed" },
        { "Server.InsufficientInstanceCapacity", "--types" },
        { "Server.InsufficientFreeAddressesInSubnet", "address" },
        { "Client.InternalError", "KMS" },
        { "Client.InvalidKMSKey.InvalidState", "KMS" },
        { "Client.InvalidKMSKey.NotFoundException", "KMS" },
        { "Client.VolumeLimitExceeded", "EBS volume quota" },
        { "Client.InstanceLimitExceeded", "other market" },
        { "Client.InvalidSnapshot.NotFound", "snapshot" },
        { "Client.UserInitiatedShutdown", "CloudTrail" },
        { "Client.InstanceInitiatedShutdown", NULL },
        { "Client.SomethingNew", NULL },
        { "Somebody.InternalError", NULL },
        { "", NULL },
        { NULL, NULL },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *hint = aws_state_reason_hint(cases[i].reason);
        ck_assert_msg(cases[i].part ? hint && strstr(hint, cases[i].part) : !hint, "%s: %s", cases[i].reason,
                      hint ? hint : "no hint");
    }
}
END_TEST

/* --- refusals ----------------------------------------------------------------------------------------------------- */

START_TEST(refusals)
{
    static const struct {
        const char *message, *plain, *action, *resource, *reason, *encoded;
        bool is_explicit;
    } cases[] = {
        { "You are not authorized to perform this operation. User: arn:aws:iam::1:user/u is not authorized to perform: "
          "ec2:RunInstances on resource: arn:aws:ec2:us-east-1:1:instance/* because no identity-based policy allows "
          "the "
          "ec2:RunInstances action. Encoded authorization failure message: 4GIOHlTkIaWHQD0Q0m6X",
          "You are not authorized to perform this operation. User: arn:aws:iam::1:user/u is not authorized to perform: "
          "ec2:RunInstances on resource: arn:aws:ec2:us-east-1:1:instance/* because no identity-based policy allows "
          "the "
          "ec2:RunInstances action",
          "ec2:RunInstances", "arn:aws:ec2:us-east-1:1:instance/*",
          "no identity-based policy allows the ec2:RunInstances action", "4GIOHlTkIaWHQD0Q0m6X", false },
        { "User: u is not authorized to perform: ec2:CreateTags on resource: arn:x with an explicit deny in a service "
          "control policy",
          "User: u is not authorized to perform: ec2:CreateTags on resource: arn:x with an explicit deny in a service "
          "control policy",
          "ec2:CreateTags", "arn:x", "with an explicit deny in a service control policy", NULL, true },
        { "User: u is not authorized to perform: ec2:DescribeImages",
          "User: u is not authorized to perform: ec2:DescribeImages", "ec2:DescribeImages", NULL, NULL, NULL, false },
        { "You are not authorized to perform this operation. Encoded authorization failure message: abc",
          "You are not authorized to perform this operation", NULL, NULL, NULL, "abc", false },
        { "Not allowed.", "Not allowed", NULL, NULL, NULL, NULL, false },
        { "", "", NULL, NULL, NULL, NULL, false },
        { "not authorized to perform: ", "not authorized to perform:", NULL, NULL, NULL, NULL, false },
    };
    struct aws_denial d = { 0 }, copy = { 0 };
    AUTO_FREE char *plain = aws_denial_parse(cases[_i].message, &d);
    ck_assert_str_eq(plain, cases[_i].plain);
    ck_assert_pstr_eq(d.action, cases[_i].action);
    ck_assert_pstr_eq(d.resource, cases[_i].resource);
    ck_assert_pstr_eq(d.reason, cases[_i].reason);
    ck_assert_pstr_eq(d.encoded, cases[_i].encoded);
    ck_assert_int_eq(aws_denial_is_explicit(&d), cases[_i].is_explicit);
    aws_denial_copy(&copy, &d);
    aws_denial_copy(&copy, &copy);
    ck_assert_pstr_eq(copy.encoded, cases[_i].encoded);
    aws_denial_clear(&d);
    aws_denial_clear(&copy);
}
END_TEST

START_TEST(refusing_codes)
{
    ck_assert(aws_is_denial("UnauthorizedOperation") && aws_is_denial("AccessDenied"));
    ck_assert(aws_is_denial("AccessDeniedException") && !aws_is_denial("AuthFailure"));
    ck_assert(!aws_is_denial("") && !aws_is_denial(NULL) && !aws_is_denial("Access"));
}
END_TEST

/* --- bodies of requests ------------------------------------------------------------------------------------------- */

static struct aws_config no_config;
static struct aws no_aws = { .config = &no_config, .env = &env_system };

static void has_body(struct aws_call *call, const char *name, const char *body)
{
    ck_assert_str_eq(call->call.name, name);
    ck_assert_str_eq(call->region, "us-east-1");
    ck_assert_str_eq(strbuf_str(&call->body), body);
    call_free(&call->call);
}

#define TAGS(n, resource)                                                                                              \
    "&TagSpecification." n ".ResourceType=" resource "&TagSpecification." n ".Tag.1.Key=Name"                          \
    "&TagSpecification." n ".Tag.1.Value=r%201"                                                                        \
    "&TagSpecification." n ".Tag.2.Key=mayfly%3Afleet&TagSpecification." n ".Tag.2.Value=org%2Frepo"

#define RUN_HEAD                                                                                                       \
    "Action=RunInstances&Version=2016-11-15&ImageId=ami-0abc&InstanceType=c7i.large&MinCount=1&MaxCount=1"             \
    "&ClientToken=mf-4711-1&SubnetId=subnet-1&SecurityGroupId.1=sg-1&SecurityGroupId.2=sg-2"                           \
    "&UserData=IyEvYmluL2Jhc2gKZWNobyAiaGkgJiDDqSIK%2B%2F%3D%3D&InstanceInitiatedShutdownBehavior=terminate"           \
    "&MetadataOptions.HttpTokens=required&Placement.Tenancy=default"

#define RUN_LONG(public_ip)                                                                                            \
    "Action=RunInstances&Version=2016-11-15&ImageId=ami-0abc&InstanceType=c7i.large&MinCount=1&MaxCount=1"             \
    "&ClientToken=mf-4711-1&NetworkInterface.1.DeviceIndex=0&NetworkInterface.1.SubnetId=subnet-1"                     \
    "&NetworkInterface.1.SecurityGroupId.1=sg-1&NetworkInterface.1.SecurityGroupId.2=sg-2"                             \
    "&NetworkInterface.1.AssociatePublicIpAddress=" public_ip "&NetworkInterface.1.DeleteOnTermination=true"           \
    "&UserData=IyEvYmluL2Jhc2gKZWNobyAiaGkgJiDDqSIK%2B%2F%3D%3D&InstanceInitiatedShutdownBehavior=terminate"           \
    "&MetadataOptions.HttpTokens=required&Placement.Tenancy=default"

#define SPOT                                                                                                           \
    "&InstanceMarketOptions.MarketType=spot&InstanceMarketOptions.SpotOptions.SpotInstanceType=one-time"               \
    "&InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior=terminate"

/* Parameter names and encoding as botocore makes them (but %20 where it has +, which is the same to AWS). */
START_TEST(run_instances)
{
    static const struct {
        bool spot, dry_run;
        const char *profile, *body, *max_price;
        int public_ip;
    } cases[] = {
        { false, false, NULL, RUN_HEAD TAGS("1", "instance") TAGS("2", "volume"), NULL, 0 },
        { true, false, NULL,
          RUN_HEAD SPOT TAGS("1", "instance") TAGS("2", "volume") TAGS("3", "spot-instances-request"), NULL, 0 },
        { false, true, "runner-profile",
          RUN_HEAD "&IamInstanceProfile.Name=runner-profile" TAGS("1", "instance") TAGS("2", "volume") "&DryRun=true",
          NULL, 0 },
        { true, false, "arn:aws:iam::1:instance-profile/p",
          RUN_HEAD "&IamInstanceProfile.Arn=arn%3Aaws%3Aiam%3A%3A1%3Ainstance-profile%2Fp" SPOT TAGS("1", "instance")
              TAGS("2", "volume") TAGS("3", "spot-instances-request"),
          NULL, 0 },
        { true, false, NULL,
          RUN_HEAD "&InstanceMarketOptions.MarketType=spot&InstanceMarketOptions.SpotOptions.MaxPrice=0.05"
                   "&InstanceMarketOptions.SpotOptions.SpotInstanceType=one-time"
                   "&InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior=terminate" TAGS("1", "instance")
                       TAGS("2", "volume") TAGS("3", "spot-instances-request"),
          "0.05", EC2_PUBLIC_IP_DEFAULT },
        { false, false, NULL, RUN_LONG("true") TAGS("1", "instance") TAGS("2", "volume"), NULL, EC2_PUBLIC_IP_YES },
        { false, false, NULL, RUN_LONG("false") TAGS("1", "instance") TAGS("2", "volume"), NULL, EC2_PUBLIC_IP_NO },
    };
    const struct strlist params = {
        .v = (char *[]){ "MetadataOptions.HttpTokens", "required", "Placement.Tenancy", "default" }, .n = 4
    };
    const struct strlist groups = { .v = (char *[]){ "sg-1", "sg-2" }, .n = 2 };
    const struct ec2_tag tags[] = { { "Name", "r 1" }, { "mayfly:fleet", "org/repo" } };
    const struct ec2_run run = { .region = "us-east-1",
                                 .image = "ami-0abc",
                                 .type = "c7i.large",
                                 .subnet = "subnet-1",
                                 .client_token = "mf-4711-1",
                                 .security_groups = &groups,
                                 .spot = cases[_i].spot,
                                 .user_data = "IyEvYmluL2Jhc2gKZWNobyAiaGkgJiDDqSIK+/==",
                                 .tags = tags,
                                 .n_tags = 2,
                                 .instance_profile = cases[_i].profile,
                                 .max_price = cases[_i].max_price,
                                 .public_ip = (enum ec2_public_ip)cases[_i].public_ip,
                                 .params = &params };
    struct aws_call *call = ec2_run_instances_call(&no_aws, &run);
    if (cases[_i].dry_run)
        ec2_make_dry(call);
    has_body(call, "RunInstances", cases[_i].body);
}
END_TEST

START_TEST(describe_instances)
{
    const struct strlist repos = { .v = (char *[]){ "org/repo", "a b" }, .n = 2 };
    const struct strlist live = { .v = (char *[]){ "pending", "running" }, .n = 2 };
    const struct ec2_filter filters[] = { { .name = "tag:mayfly:repo", .values = &repos },
                                          { .name = "instance-state-name", .values = &live } };
    has_body(ec2_describe_instances_call(&no_aws, "us-east-1", filters, 2, "abc+/="), "DescribeInstances",
             "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=tag%3Amayfly%3Arepo"
             "&Filter.1.Value.1=org%2Frepo&Filter.1.Value.2=a%20b&Filter.2.Name=instance-state-name"
             "&Filter.2.Value.1=pending&Filter.2.Value.2=running&MaxResults=200&NextToken=abc%2B%2F%3D");
    has_body(ec2_describe_instances_call(&no_aws, "us-east-1", filters + 1, 1, NULL), "DescribeInstances",
             "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=instance-state-name"
             "&Filter.1.Value.1=pending&Filter.1.Value.2=running&MaxResults=200");
}
END_TEST

/* A name with characters of EC2's pattern language means itself; a pattern stays one. */
START_TEST(filters_are_literal)
{
    const struct strlist names = { .v = (char *[]){ "a*", "?", "\\*[x]" }, .n = 3 };
    struct ec2_filter filter = { .name = "tag:mayfly:fleet", .values = &names };
    has_body(ec2_describe_instances_call(&no_aws, "us-east-1", &filter, 1, NULL), "DescribeInstances",
             "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=tag%3Amayfly%3Afleet"
             "&Filter.1.Value.1=a%5C%2A&Filter.1.Value.2=%5C%3F&Filter.1.Value.3=%5C%5C%5C%2A%5Bx%5D&MaxResults=200");
    has_body(ec2_list_leftovers_call(&no_aws, "us-east-1", EC2_IMAGE, &filter, 1, NULL), "DescribeImages",
             "Action=DescribeImages&Version=2016-11-15&Owner.1=self&Filter.1.Name=tag%3Amayfly%3Afleet"
             "&Filter.1.Value.1=a%5C%2A&Filter.1.Value.2=%5C%3F&Filter.1.Value.3=%5C%5C%5C%2A%5Bx%5D&MaxResults=200");
    filter.pattern = true;
    has_body(ec2_fleet_call(&no_aws, "us-east-1", &filter, 1, NULL), "DescribeInstances",
             "Action=DescribeInstances&Version=2016-11-15&Filter.1.Name=tag%3Amayfly%3Afleet"
             "&Filter.1.Value.1=a%2A&Filter.1.Value.2=%3F&Filter.1.Value.3=%5C%2A%5Bx%5D&MaxResults=200");
}
END_TEST

static const struct {
    const char *name, *value;
    bool taken, leftover; /* of the instance below; of the leftover below */
} exact[] = {
    { "tag:mayfly:fleet", "abc", true, true },
    { "tag:mayfly:fleet", "a*", false, false },
    { "tag:mayfly:fleet", "ABC", false, false },
    { "tag:mayfly:fleet", "*", false, false },
    { "tag:mayfly:label", "abc", false, false },
    { "tag-key", "mayfly:fleet", true, true },
    { "tag-key", "mayfly:limits", false, false },
    { "instance-id", "i-1", true, true },
    { "instance-id", "i-?", false, true },
    { "client-token", "t", true, true },
    { "client-token", "tt", false, true },
    { "image-id", "ami-1", true, true },
    { "image-id", "ami-2", false, true },
    { "instance-state-name", "stopped", true, true },
    { "name", "image 1", true, true },
    { "name", "image*", true, false },
};

/* What a row does not say itself is not compared: "name" is of images, "instance-id" of instances. */
START_TEST(answers_are_compared)
{
    struct ec2_tag tags[] = { { "Name", NULL }, { "mayfly:fleet", "abc" } };
    const struct field_list list = { .rows = tags, .n = 2 };
    const struct ec2_instance instance = {
        .id = "i-1", .image = "ami-1", .client_token = "t", .state_name = "running", .tags = list
    };
    const struct ec2_leftover image = { .id = "ami-1", .name = "image 1", .tags = list };
    const struct strlist values = { .v = (char *[]){ (char *)exact[_i].value, "other" }, .n = 2 };
    const struct ec2_filter filters[] = { { .name = "tag:Name", .values = &values, .pattern = true },
                                          { .name = exact[_i].name, .values = &values } };
    ck_assert_int_eq(ec2_filters_take(filters, 2, &instance), exact[_i].taken);
    ck_assert_int_eq(ec2_filters_take_leftover(filters, 2, &image), exact[_i].leftover);
}
END_TEST

START_TEST(other_requests)
{
    const struct strlist ids = { .v = (char *[]){ "i-1", "i-2" }, .n = 2 };
    has_body(ec2_terminate_instances_call(&no_aws, "us-east-1", &ids), "TerminateInstances",
             "Action=TerminateInstances&Version=2016-11-15&InstanceId.1=i-1&InstanceId.2=i-2");
    has_body(ec2_describe_images_call(&no_aws, "us-east-1", &ids, NULL, NULL), "DescribeImages",
             "Action=DescribeImages&Version=2016-11-15&ImageId.1=i-1&ImageId.2=i-2");
    has_body(ec2_describe_images_call(&no_aws, "us-east-1", NULL, "self", "al2023-ami-2023*-x86_64"), "DescribeImages",
             "Action=DescribeImages&Version=2016-11-15&Owner.1=self&Filter.1.Name=name"
             "&Filter.1.Value.1=al2023-ami-2023%2A-x86_64");
    has_body(ssm_get_parameter_call(&no_aws, "us-east-1", "/x"), "GetParameter", "{\"Name\":\"\\/x\"}");
    has_body(ec2_get_console_output_call(&no_aws, "us-east-1", "i-1", true), "GetConsoleOutput",
             "Action=GetConsoleOutput&Version=2016-11-15&InstanceId=i-1&Latest=true");
    has_body(ec2_get_console_output_call(&no_aws, "us-east-1", "i-1", false), "GetConsoleOutput",
             "Action=GetConsoleOutput&Version=2016-11-15&InstanceId=i-1");
    has_body(ec2_tag_call(&no_aws, "us-east-1", "i-1", "k:1", "x y"), "CreateTags",
             "Action=CreateTags&Version=2016-11-15&ResourceId.1=i-1&Tag.1.Key=k%3A1&Tag.1.Value=x%20y");
    has_body(ec2_tag_call(&no_aws, "us-east-1", "i-1", "k", ""), "CreateTags",
             "Action=CreateTags&Version=2016-11-15&ResourceId.1=i-1&Tag.1.Key=k&Tag.1.Value=");
    has_body(ec2_tag_call(&no_aws, "us-east-1", "i-1", "k", NULL), "DeleteTags",
             "Action=DeleteTags&Version=2016-11-15&ResourceId.1=i-1&Tag.1.Key=k");
    has_body(sts_get_caller_identity_call(&no_aws, "us-east-1"), "GetCallerIdentity",
             "Action=GetCallerIdentity&Version=2011-06-15");
    /* An external id is of AssumeRole alone. */
    struct sts_role role = { "r", "s", "x", NULL, 900 };
    has_body(sts_assume_role_call(&no_aws, "us-east-1", &role), "AssumeRole",
             "Action=AssumeRole&Version=2011-06-15&RoleArn=r&RoleSessionName=s&ExternalId=x&DurationSeconds=900");
    role.token = "t";
    has_body(sts_assume_role_call(&no_aws, "us-east-1", &role), "AssumeRoleWithWebIdentity",
             "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=r&RoleSessionName=s&WebIdentityToken=t"
             "&DurationSeconds=900");
}
END_TEST

/* Bodies as botocore writes them: reference, 1.2. */
START_TEST(bodies_of_a_bake)
{
    const struct ec2_tag tags[] = { { "k", "v" }, { "e", "" } };
    const struct ec2_new_image image = { .region = "us-east-1",
                                         .instance_id = "i-1",
                                         .name = "mayfly-x (1)",
                                         .description = "d",
                                         .tags = tags,
                                         .n_tags = ARRAY_SIZE(tags) };
    const struct strlist accounts = { .v = (char *[]){ "123456789012", "210987654321" }, .n = 2 };
    has_body(ec2_create_image_call(&no_aws, &image), "CreateImage",
             "Action=CreateImage&Version=2016-11-15&InstanceId=i-1&Name=mayfly-x%20%281%29&Description=d"
             "&TagSpecification.1.ResourceType=image&TagSpecification.1.Tag.1.Key=k&TagSpecification.1.Tag.1.Value=v"
             "&TagSpecification.1.Tag.2.Key=e&TagSpecification.1.Tag.2.Value="
             "&TagSpecification.2.ResourceType=snapshot&TagSpecification.2.Tag.1.Key=k&TagSpecification.2.Tag.1.Value=v"
             "&TagSpecification.2.Tag.2.Key=e&TagSpecification.2.Tag.2.Value=");
    const struct ec2_new_image copy = { .region = "us-east-1",
                                        .source_region = "eu-west-1",
                                        .source = "ami-1",
                                        .name = "mayfly-x",
                                        .description = "d",
                                        .client_token = "mf-1",
                                        .tags = tags,
                                        .n_tags = 1 };
    has_body(
        ec2_copy_image_call(&no_aws, &copy), "CopyImage",
        "Action=CopyImage&Version=2016-11-15&SourceRegion=eu-west-1&SourceImageId=ami-1&Name=mayfly-x&Description=d"
        "&ClientToken=mf-1"
        "&TagSpecification.1.ResourceType=image&TagSpecification.1.Tag.1.Key=k&TagSpecification.1.Tag.1.Value=v"
        "&TagSpecification.2.ResourceType=snapshot&TagSpecification.2.Tag.1.Key=k&TagSpecification.2.Tag.1.Value=v");
    has_body(ec2_share_image_call(&no_aws, "us-east-1", "ami-1", &accounts), "ModifyImageAttribute",
             "Action=ModifyImageAttribute&Version=2016-11-15&ImageId=ami-1&LaunchPermission.Add.1.UserId=123456789012"
             "&LaunchPermission.Add.2.UserId=210987654321");
    has_body(ec2_deprecate_image_call(&no_aws, "us-east-1", "ami-1", "2026-01-02T03:04:00Z"), "EnableImageDeprecation",
             "Action=EnableImageDeprecation&Version=2016-11-15&ImageId=ami-1&DeprecateAt=2026-01-02T03%3A04%3A00Z");
    has_body(ssm_put_parameter_call(&no_aws, "us-east-1", "/x", "ami-1", true), "PutParameter",
             "{\"Name\":\"\\/x\",\"Value\":\"ami-1\",\"Type\":\"String\",\"DataType\":\"aws:ec2:image\","
             "\"Overwrite\":true}");
}
END_TEST

/* A value cannot become a parameter of its own. */
/* What doctor asks: by filter, so that one id that is wrong does not hide the others. */
START_TEST(network_requests)
{
    const struct strlist two = { .v = (char *[]){ "a-1", "a-2" }, .n = 2 };
#define BY(action, filter)                                                                                             \
    "Action=" action "&Version=2016-11-15&Filter.1.Name=" filter "&Filter.1.Value.1=a-1&Filter.1.Value.2=a-2"
    has_body(ec2_describe_subnets_call(&no_aws, "us-east-1", &two), "DescribeSubnets",
             BY("DescribeSubnets", "subnet-id"));
    has_body(ec2_describe_groups_call(&no_aws, "us-east-1", &two), "DescribeSecurityGroups",
             BY("DescribeSecurityGroups", "group-id"));
    has_body(ec2_describe_route_tables_call(&no_aws, "us-east-1", &two), "DescribeRouteTables",
             BY("DescribeRouteTables", "vpc-id"));
    has_body(ec2_describe_offerings_call(&no_aws, "us-east-1", &two), "DescribeInstanceTypeOfferings",
             BY("DescribeInstanceTypeOfferings", "instance-type") "&LocationType=availability-zone");
    has_body(ec2_get_encryption_call(&no_aws, "us-east-1"), "GetEbsEncryptionByDefault",
             "Action=GetEbsEncryptionByDefault&Version=2016-11-15");
    has_body(ec2_get_default_key_call(&no_aws, "us-east-1"), "GetEbsDefaultKmsKeyId",
             "Action=GetEbsDefaultKmsKeyId&Version=2016-11-15");
    has_body(sts_decode_message_call(&no_aws, "us-east-1", "a+b/c="), "DecodeAuthorizationMessage",
             "Action=DecodeAuthorizationMessage&Version=2011-06-15&EncodedMessage=a%2Bb%2Fc%3D");
    struct aws_call *dry = ec2_tag_call(&no_aws, "us-east-1", "i-1", "k", "v");
    ec2_make_dry(dry);
    has_body(dry, "CreateTags",
             "Action=CreateTags&Version=2016-11-15&ResourceId.1=i-1&Tag.1.Key=k&Tag.1.Value=v&DryRun=true");
}
END_TEST

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* The call as it is once the body has come. */
static struct aws_call *answered(struct aws_call *c, const char *body)
{
    c->call.exchange.response.body = STRBUF_INIT;
    strbuf_adds(&c->call.exchange.response.body, body);
    return c;
}

static const struct strlist one_id = { .v = (char *[]){ "x" }, .n = 1 };

START_TEST(answer_of_route_tables)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct field_list rows = { 0 };
    AUTO_CALL *c =
        &answered(
             ec2_describe_route_tables_call(&no_aws, "us-east-1", &one_id),
             "<DescribeRouteTablesResponse><routeTableSet><item><routeTableId>rtb-1</routeTableId><vpcId>vpc-1"
             "</vpcId><routeSet><item><destinationCidrBlock>10.0.0.0/16</destinationCidrBlock><gatewayId>local"
             "</gatewayId><state>active</state></item><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock>"
             "<natGatewayId>nat-1</natGatewayId><state>blackhole</state></item><item><destinationIpv6CidrBlock>::/0"
             "</destinationIpv6CidrBlock><gatewayId>igw-1</gatewayId></item></routeSet><associationSet><item>"
             "<routeTableId>rtb-1</routeTableId><main>true</main></item><item><subnetId>subnet-1</subnetId><main>"
             "false</main></item></associationSet></item><item><routeTableId>rtb-2</routeTableId></item>"
             "</routeTableSet></DescribeRouteTablesResponse>")
             ->call;
    ASSERT_OK(ec2_describe_route_tables_result((struct aws_call *)c, &arena, &rows, &err), &err);
    ck_assert_uint_eq(rows.n, 2);
    const struct ec2_route_table *t = FIELD_ROW(&rows, const struct ec2_route_table, 0);
    ck_assert_uint_eq(t->routes.n, 3);
    const struct ec2_route *r = FIELD_ROW(&t->routes, const struct ec2_route, 0);
    ck_assert_str_eq(r[0].target, "local");
    ck_assert_str_eq(r[1].to, "0.0.0.0/0");
    ck_assert_str_eq(r[1].target, "nat-1");
    ck_assert_str_eq(r[1].state, "blackhole");
    ck_assert_ptr_null(r[2].to); /* a way for IPv6 is none to GitHub */
    const struct ec2_association *a = FIELD_ROW(&t->associations, const struct ec2_association, 0);
    ck_assert(a[0].main && !a[0].subnet && !a[1].main);
    ck_assert_str_eq(a[1].subnet, "subnet-1");
}
END_TEST

START_TEST(answer_of_groups)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct field_list rows = { 0 };
    AUTO_CALL *c =
        &answered(ec2_describe_groups_call(&no_aws, "us-east-1", &one_id),
                  "<DescribeSecurityGroupsResponse><securityGroupInfo><item><groupId>sg-1</groupId><vpcId>vpc-1</vpcId>"
                  "<ipPermissions><item><ipProtocol>tcp</ipProtocol></item></ipPermissions><ipPermissionsEgress><item>"
                  "<ipProtocol>tcp</ipProtocol><fromPort>443</fromPort><toPort>443</toPort><groups><item><groupId>sg-2"
                  "</groupId></item></groups><ipRanges><item><cidrIp>10.0.0.0/8</cidrIp></item><item><cidrIp>0.0.0.0/0"
                  "</cidrIp><description>all</description></item></ipRanges><prefixListIds><item><prefixListId>pl-1"
                  "</prefixListId></item></prefixListIds></item><item><ipProtocol>icmp</ipProtocol><fromPort>-1"
                  "</fromPort><toPort>-1</toPort><groups/><ipRanges/></item></ipPermissionsEgress></item>"
                  "</securityGroupInfo></DescribeSecurityGroupsResponse>")
             ->call;
    ASSERT_OK(ec2_describe_groups_result((struct aws_call *)c, &arena, &rows, &err), &err);
    ck_assert_uint_eq(rows.n, 1);
    const struct ec2_group *g = FIELD_ROW(&rows, const struct ec2_group, 0);
    ck_assert_str_eq(g->id, "sg-1"); /* and not a group that a rule names */
    ck_assert_uint_eq(g->egress.n, 2);
    const struct ec2_permission *p = FIELD_ROW(&g->egress, const struct ec2_permission, 0);
    ck_assert_uint_eq(p[0].cidrs.n, 2);
    ck_assert_uint_eq(p[0].others.n, 2);
    ck_assert_str_eq(*FIELD_ROW(&p[0].cidrs, const char *, 1), "0.0.0.0/0");
    ck_assert_str_eq(p[1].from, "-1");
}
END_TEST

START_TEST(answers_of_subnets_and_offerings)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct field_list rows = { 0 };
    AUTO_CALL *subnets = &answered(ec2_describe_subnets_call(&no_aws, "us-east-1", &one_id),
                                   "<DescribeSubnetsResponse><subnetSet><item><subnetId>subnet-1</subnetId><vpcId>vpc-1"
                                   "</vpcId><availableIpAddressCount>7</availableIpAddressCount><availabilityZone>"
                                   "us-east-1a</availabilityZone><mapPublicIpOnLaunch>true</mapPublicIpOnLaunch></item>"
                                   "</subnetSet></DescribeSubnetsResponse>")
                              ->call;
    AUTO_CALL *offerings =
        &answered(ec2_describe_offerings_call(&no_aws, "us-east-1", &one_id),
                  "<DescribeInstanceTypeOfferingsResponse><instanceTypeOfferingSet><item><instanceType>m7i.large"
                  "</instanceType><locationType>availability-zone</locationType><location>us-east-1a</location></item>"
                  "</instanceTypeOfferingSet></DescribeInstanceTypeOfferingsResponse>")
             ->call;
    ASSERT_OK(ec2_describe_subnets_result((struct aws_call *)subnets, &arena, &rows, &err), &err);
    const struct ec2_subnet *n = FIELD_ROW(&rows, const struct ec2_subnet, 0);
    ck_assert(rows.n == 1 && n->free == 7 && n->maps_public);
    ASSERT_OK(ec2_describe_offerings_result((struct aws_call *)offerings, &arena, &rows, &err), &err);
    ck_assert_str_eq(FIELD_ROW(&rows, const struct ec2_offering, 0)->zone, "us-east-1a");
}
END_TEST

/* As EC2's reference has them. */
START_TEST(answers_of_encryption)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    const char *key = NULL;
    bool on = !_i;
    AUTO_CALL *encryption =
        &answered(ec2_get_encryption_call(&no_aws, "us-east-1"),
                  _i ? "<GetEbsEncryptionByDefaultResponse><requestId>r</requestId><ebsEncryptionByDefault>true"
                       "</ebsEncryptionByDefault></GetEbsEncryptionByDefaultResponse>"
                     : "<GetEbsEncryptionByDefaultResponse><requestId>r</requestId><ebsEncryptionByDefault>false"
                       "</ebsEncryptionByDefault></GetEbsEncryptionByDefaultResponse>")
             ->call;
    AUTO_CALL *keys =
        &answered(ec2_get_default_key_call(&no_aws, "us-east-1"),
                  "<GetEbsDefaultKmsKeyIdResponse><requestId>r</requestId><kmsKeyId>arn:aws:kms:us-east-1:"
                  "123456789012:key/0a1b</kmsKeyId></GetEbsDefaultKmsKeyIdResponse>")
             ->call;
    ASSERT_OK(ec2_get_encryption_result((struct aws_call *)encryption, &on, &err), &err);
    ck_assert_int_eq(on, _i);
    ASSERT_OK(ec2_get_default_key_result((struct aws_call *)keys, &arena, &key, &err), &err);
    ck_assert_str_eq(key, "arn:aws:kms:us-east-1:123456789012:key/0a1b");
}
END_TEST

/* A serial line may have null bytes on it: what comes behind one counts. */
START_TEST(console)
{
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF text = STRBUF_INIT;
    AUTO_CALL *c = &answered(ec2_get_console_output_call(&no_aws, "us-east-1", "i-1", true),
                             "<GetConsoleOutputResponse><output>YQAAYg==\n</output></GetConsoleOutputResponse>")
                        ->call;
    ASSERT_OK(ec2_get_console_output_result((struct aws_call *)c, &text, &err), &err);
    ck_assert_str_eq(strbuf_str(&text), "a  b");
}
END_TEST

START_TEST(decoded_message)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct sts_refusal refusal = { 0 };
#define DECODED(json)                                                                                                  \
    "<DecodeAuthorizationMessageResponse><DecodeAuthorizationMessageResult><DecodedMessage>" json                      \
    "</DecodedMessage></DecodeAuthorizationMessageResult></DecodeAuthorizationMessageResponse>"
    AUTO_CALL *c = &answered(sts_decode_message_call(&no_aws, "us-east-1", "x"),
                             DECODED("{\"allowed\":false,\"explicitDeny\":true,\"matchedStatements\":{\"items\":[]},"
                                     "\"context\":{\"principal\":{\"id\":\"A\"},\"action\":\"ec2:CreateTags\","
                                     "\"resource\":\"arn:x\",\"conditions\":{\"items\":[]}}}"))
                        ->call;
    ASSERT_OK(sts_decode_message_result((struct aws_call *)c, &arena, &refusal, &err), &err);
    ck_assert(refusal.explicit_deny);
    ck_assert_str_eq(refusal.action, "ec2:CreateTags");
    ck_assert_str_eq(refusal.resource, "arn:x");
    AUTO_CALL *bad = &answered(sts_decode_message_call(&no_aws, "us-east-1", "x"), DECODED("nonsense"))->call;
    ASSERT_FAILS(sts_decode_message_result((struct aws_call *)bad, &arena, &refusal, &err), &err,
                 "the decoded message");
}
END_TEST

/* An answer of another form is an error that names the request, never an empty list or a thing without a name. */
#define REFUSES(make, read, body, text)                                                                                \
    do {                                                                                                               \
        AUTO_CALL *call_ = &answered(make, body)->call;                                                                \
        const struct aws_call *c = (struct aws_call *)call_;                                                           \
        ASSERT_FAILS(read, &err, text);                                                                                \
    } while (0)

START_TEST(answers_of_another_form)
{
    static const struct ec2_run launch = { .region = "us-east-1", .type = "m7i.large", .security_groups = &one_id };
    static const struct ec2_new_image image = { .region = "us-east-1" };
    static const struct sts_role role = { .arn = "arn", .session_name = "me" };
    static const struct ec2_filter filter = { .name = "n", .values = &one_id };
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF text = STRBUF_INIT;
    struct aws *a = &no_aws;
    const char r[] = "us-east-1", *word;
    bool on;
    struct ec2_instance instance;
    struct ec2_page instances;
    struct ec2_leftovers page;
    struct field_list rows;
    struct sts_identity who;
    struct sts_credentials keys;
    struct sts_refusal refusal;

#define RUN(body, why)                                                                                                 \
    REFUSES(ec2_run_instances_call(a, &launch), ec2_run_instances_result(c, &arena, &instance, &err), body, why)
    RUN("<html><body>", "RunInstances");
    RUN("<RunInstancesResponse/>", "RunInstances names 0 instances instead of one");
    RUN("<RunInstancesResponse><instancesSet><item/></instancesSet></RunInstancesResponse>", "instead of one");
    RUN("<RunInstancesResponse><instancesSet><item><instanceId/></item></instancesSet></RunInstancesResponse>",
        "instead of one");
    REFUSES(ec2_describe_instances_call(a, r, &filter, 1, NULL),
            ec2_describe_instances_result(c, &arena, &instances, &err),
            "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId></instanceId></item>"
            "</instancesSet></item></reservationSet></DescribeInstancesResponse>",
            "an instance without an id");
    RUN("<RunInstancesResponse><instancesSet><item><instanceId>i-1</instanceId></item><item><instanceId>i-2</"
        "instanceId>"
        "</item></instancesSet></RunInstancesResponse>",
        "names 2 instances");
    REFUSES(ec2_terminate_instances_call(a, r, &one_id), ec2_terminate_instances_result(c, &arena, &rows, &err), "",
            "TerminateInstances");
    REFUSES(ec2_get_console_output_call(a, r, "i-1", false), ec2_get_console_output_result(c, &text, &err), "{}",
            "GetConsoleOutput");
    REFUSES(ec2_get_console_output_call(a, r, "i-1", false), ec2_get_console_output_result(c, &text, &err),
            "<GetConsoleOutputResponse><output>a*b</output></GetConsoleOutputResponse>", "is not base64");
    REFUSES(ec2_list_leftovers_call(a, r, EC2_VOLUME, &filter, 1, NULL),
            ec2_list_leftovers_result(c, EC2_VOLUME, &arena, &page, &err), "", "DescribeVolumes");
    REFUSES(ec2_list_leftovers_call(a, r, EC2_VOLUME, &filter, 1, NULL),
            ec2_list_leftovers_result(c, EC2_VOLUME, &arena, &page, &err),
            "<DescribeVolumesResponse><volumeSet><item><status>available</status></item></volumeSet>"
            "</DescribeVolumesResponse>",
            "a volume without an id");
    REFUSES(ec2_list_leftovers_call(a, r, EC2_SNAPSHOT, &filter, 1, NULL),
            ec2_list_leftovers_result(c, EC2_SNAPSHOT, &arena, &page, &err),
            "<DescribeSnapshotsResponse><snapshotSet><item><snapshotId>snap-1&#10;</snapshotId></item></snapshotSet>"
            "</DescribeSnapshotsResponse>",
            "a snapshot without an id");
    REFUSES(ec2_list_leftovers_call(a, r, EC2_SPOT_REQUEST, &filter, 1, NULL),
            ec2_list_leftovers_result(c, EC2_SPOT_REQUEST, &arena, &page, &err),
            "<DescribeSpotInstanceRequestsResponse><spotInstanceRequestSet><item><spotInstanceRequestId>i-1"
            "</spotInstanceRequestId></item></spotInstanceRequestSet></DescribeSpotInstanceRequestsResponse>",
            "a spot request without an id");
    REFUSES(ec2_create_image_call(a, &image), ec2_create_image_result(c, &arena, &word, &err),
            "<CreateImageResponse><imageId>ami-1&#13;::error::x</imageId></CreateImageResponse>", "names no image");
    REFUSES(ec2_remove_leftover_call(a, r, EC2_VOLUME, "vol-1"), ec2_remove_leftover_result(c, EC2_VOLUME, &err), "",
            "DeleteVolume");
    REFUSES(ec2_create_image_call(a, &image), ec2_create_image_result(c, &arena, &word, &err), "", "CreateImage");
    REFUSES(ec2_create_image_call(a, &image), ec2_create_image_result(c, &arena, &word, &err), "<CreateImageResponse/>",
            "names no image");
    REFUSES(ec2_describe_groups_call(a, r, &one_id), ec2_describe_groups_result(c, &arena, &rows, &err), "",
            "DescribeSecurityGroups");
    REFUSES(ec2_get_encryption_call(a, r), ec2_get_encryption_result(c, &on, &err), "", "GetEbsEncryptionByDefault");
    REFUSES(ec2_get_encryption_call(a, r), ec2_get_encryption_result(c, &on, &err),
            "<GetEbsEncryptionByDefaultResponse><ebsEncryp", "GetEbsEncryptionByDefault");
    REFUSES(ec2_get_encryption_call(a, r), ec2_get_encryption_result(c, &on, &err),
            "<GetEbsEncryptionByDefaultResponse/>", "has no ebsEncryptionByDefault");
    REFUSES(ec2_get_default_key_call(a, r), ec2_get_default_key_result(c, &arena, &word, &err),
            "<GetEbsDefaultKmsKeyIdResponse><kmsKeyId></kmsKeyId></GetEbsDefaultKmsKeyIdResponse>", "has no kmsKeyId");
    REFUSES(ssm_get_parameter_call(a, r, "/x"), ssm_get_parameter_result(c, &arena, &word, &err), "<html>",
            "GetParameter");
    REFUSES(sts_get_caller_identity_call(a, r), sts_get_caller_identity_result(c, &arena, &who, &err), "",
            "GetCallerIdentity");
    REFUSES(sts_get_caller_identity_call(a, r), sts_get_caller_identity_result(c, &arena, &who, &err),
            "<GetCallerIdentityResponse/>", "names no account");
    REFUSES(sts_assume_role_call(a, r, &role), sts_assume_role_result(c, &arena, &keys, &err), "", "AssumeRole");
    REFUSES(sts_assume_role_call(a, r, &role), sts_assume_role_result(c, &arena, &keys, &err), "<AssumeRoleResponse/>",
            "AssumeRole holds no credentials");
    REFUSES(sts_decode_message_call(a, r, "x"), sts_decode_message_result(c, &arena, &refusal, &err), "",
            "DecodeAuthorizationMessage");
}
END_TEST

START_TEST(query_encodes)
{
    AUTO_STRBUF body = STRBUF_INIT;
    query_begin(&body, "X", "1");
    query_add(&body, "a&Action=TerminateInstances\n%=+~_-.é", "V.%d", 1);
    query_add(&body, NULL, "None");
    query_add_uint(&body, UINT64_MAX, "N");
    query_add_bool(&body, false, "B");
    ck_assert_str_eq(strbuf_str(&body), "Action=X&Version=1&V.1=a%26Action%3DTerminateInstances%0A%25%3D%2B~_-.%C3%A9"
                                        "&N=18446744073709551615&B=false");
}
END_TEST

START_TEST(ids)
{
    static const struct {
        const char *id, *kind;
        bool valid;
    } cases[] = {
        { "i-12345678", "i", true },
        { "i-0123456789abcdef0", "i", true },
        { "ami-0123456789abcdef0", "ami", true },
        { "subnet-12345678", "subnet", true },
        { "i-1234567", "i", false },
        { "i-123456789", "i", false },
        { "i-0123456789abcdef", "i", false },
        { "i-0123456789abcdef01", "i", false },
        { "i-0123456789ABCDEF0", "i", false },
        { "i-0123456789abcdefg", "i", false },
        { "i-12345678 ", "i", false },
        { "i-12345678,i-12345678", "i", false },
        { "i12345678", "i", false },
        { "12345678", "i", false },
        { "ami-12345678", "i", false },
        { "i-12345678", "ami", false },
        { "i-", "i", false },
        { "", "i", false },
        { "mi-12345678", "i", false },
    };
    ck_assert_int_eq(ec2_id_is_valid(cases[_i].id, cases[_i].kind), cases[_i].valid);
}
END_TEST

START_TEST(states)
{
    static const struct {
        const char *name;
        enum ec2_state state;
        bool live;
    } cases[] = {
        { "pending", EC2_PENDING, true },
        { "running", EC2_RUNNING, true },
        { "shutting-down", EC2_SHUTTING_DOWN, 0 },
        { "terminated", EC2_TERMINATED, 0 },
        { "stopping", EC2_STOPPING, true },
        { "stopped", EC2_STOPPED, true },
        { "Running", EC2_UNKNOWN, true },
        { "", EC2_UNKNOWN, true },
        { NULL, EC2_UNKNOWN, true },
    };
    ck_assert_int_eq(ec2_state_parse(cases[_i].name), cases[_i].state);
    ck_assert_int_eq(ec2_state_is_live(cases[_i].state), cases[_i].live);
    if (cases[_i].state != EC2_UNKNOWN)
        ck_assert_str_eq(ec2_state_format(cases[_i].state), cases[_i].name);
}
END_TEST

/* --- credentials -------------------------------------------------------------------------------------------------- */

/* --- the whole configuration -------------------------------------------------------------------------------------- */

#define CREDS "AWS_ACCESS_KEY_ID", "E", "AWS_SECRET_ACCESS_KEY", "secret"

static struct strlist warnings;

static bool load(const char *const *env, const char *region, struct aws_config *c, struct error *err)
{
    environment = env;
    strlist_clear(&warnings);
    return aws_config_load(&(struct aws_flags){ .region = region }, fake_getenv, c, &warnings, err);
}

START_TEST(endpoints)
{
    static const struct {
        const char *url, *want, *why;
    } cases[] = {
        { "http://127.0.0.1:4566", "http://127.0.0.1:4566/", NULL },
        { "http://127.9.9.9", "http://127.9.9.9/", NULL },
        { "http://localhost:1/", "http://localhost:1/", NULL },
        { "http://[::1]:5000", "http://[::1]:5000/", NULL },
        { "https://ec2.example.com", "https://ec2.example.com/", NULL },
        { "https://ec2.example.com:443", "https://ec2.example.com/", NULL },
        { "", "https://ec2.us-east-1.amazonaws.com/", NULL },
        { "http://ec2.us-east-1.amazonaws.com", NULL, "neither https nor a loopback address" },
        { "http://128.0.0.1", NULL, "neither https nor a loopback address" },
        { "http://169.254.169.254", NULL, "neither https nor a loopback address" },
        { "http://127.0.0.1.example.com", NULL, "neither https nor a loopback address" },
        { "http://localhost.example.com", NULL, "neither https nor a loopback address" },
        { "http://[::2]", NULL, "neither https nor a loopback address" },
        { "https://ec2.example.com/path", NULL, "has a path" },
        { "https://user@ec2.example.com", NULL, "a URL of scheme, host, port and path" },
        { "https://ec2.example.com/?q=1", NULL, "a URL of scheme, host, port and path" },
        { "ec2.example.com", NULL, "is not a URL" },
        { "ftp://127.0.0.1", NULL, "neither http:// nor https://" },
    };
    static const char *const vars[] = { "AWS_ENDPOINT_URL_EC2", "AWS_ENDPOINT_URL" };
    for (size_t v = 0; v < ARRAY_SIZE(vars); v++) {
        AUTO_ERROR err = { 0 };
        struct aws_config c = { 0 };
        const char *const *env = ENV(CREDS, "AWS_REGION", "us-east-1", vars[v], cases[_i].url);
        if (cases[_i].why) {
            ASSERT_FAILS(load(env, NULL, &c, &err), &err, cases[_i].why);
            continue;
        }
        ASSERT_OK(load(env, NULL, &c, &err), &err);
        AUTO_FREE char *ec2 = aws_endpoint(&c, "ec2", "us-east-1");
        AUTO_FREE char *sts = aws_endpoint(&c, "sts", "us-east-1");
        ck_assert_str_eq(ec2, cases[_i].want);
        if (v == 0 || !*cases[_i].url)
            ck_assert_str_eq(sts, "https://sts.us-east-1.amazonaws.com/");
        else
            ck_assert_str_eq(sts, ec2);
        aws_config_clear(&c);
    }
}
END_TEST

START_TEST(endpoint_of_a_service_wins)
{
    AUTO_ERROR err = { 0 };
    struct aws_config c = { 0 };
    ASSERT_OK(load(ENV(CREDS, "AWS_ENDPOINT_URL", "http://127.0.0.1:1", "AWS_ENDPOINT_URL_STS", "http://127.0.0.1:2"),
                   "us-east-1", &c, &err),
              &err);
    AUTO_FREE char *ec2 = aws_endpoint(&c, "ec2", "us-east-1");
    AUTO_FREE char *sts = aws_endpoint(&c, "sts", "us-east-1");
    ck_assert_str_eq(ec2, "http://127.0.0.1:1/");
    ck_assert_str_eq(sts, "http://127.0.0.1:2/");
    aws_config_clear(&c);
    ASSERT_OK(
        load(ENV(CREDS, "AWS_ENDPOINT_URL", "http://evil.example.com", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"),
             "us-east-1", &c, &err),
        &err);
    ck_assert_ptr_null(c.endpoints[0]);
    aws_config_clear(&c);
}
END_TEST

/* Source: botocore's partitions.json. */
START_TEST(partitions)
{
    static const struct {
        const char *region, *url;
    } cases[] = {
        { "us-east-1", "https://ec2.us-east-1.amazonaws.com/" },
        { "ap-southeast-4", "https://ec2.ap-southeast-4.amazonaws.com/" },
        { "us-gov-west-1", "https://ec2.us-gov-west-1.amazonaws.com/" },
        { "cn-north-1", "https://ec2.cn-north-1.amazonaws.com.cn/" },
        { "us-iso-east-1", "https://ec2.us-iso-east-1.c2s.ic.gov/" },
        { "us-isob-east-1", "https://ec2.us-isob-east-1.sc2s.sgov.gov/" },
        { "eusc-de-east-1", "https://ec2.eusc-de-east-1.amazonaws.eu/" },
    };
    AUTO_FREE char *url = aws_endpoint(&no_config, "ec2", cases[_i].region);
    ck_assert_str_eq(url, cases[_i].url);
}
END_TEST

START_TEST(regions)
{
    static const struct {
        const char *region;
        bool valid;
    } cases[] = {
        { "us-east-1", true },
        { "ap-southeast-4", true },
        { "us-gov-west-1", true },
        { "", false },
        { "us", false },
        { "us east 1", false },
        { "US-EAST-1", false },
        { "us-east-1/", false },
        { "us-east-1.evil.com", false },
        { "-us-east-1", false },
        { "us-east-1-", false },
        { "useast1", false },
        { "us-east-1\n", false },
        { "us-east-1a", false }, /* zones */
        { "us-west-2-lax-1a", false },
        { "a-region-whose-name-is-much-too-long", false },
    };
    ck_assert_int_eq(aws_region_is_valid(cases[_i].region), cases[_i].valid);
}
END_TEST

/* Files of a test, under a directory that is gone afterwards. */
static char dir[64];

static void make_files(void)
{
    static const char config[] = "[default]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:7\n"
                                 "ca_bundle = /ca.pem\n[profile p]\nregion = eu-west-2\n";
    static const char credentials[] = "[p]\naws_access_key_id = P\naws_secret_access_key = secret\n";
    snprintf(dir, sizeof(dir), "/tmp/mayfly-check-aws.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    AUTO_FREE char *aws = xasprintf("%s/.aws", dir), *a = xasprintf("%s/.aws/config", dir),
                   *b = xasprintf("%s/.aws/credentials", dir);
    ck_assert_int_eq(mkdir(aws, 0700), 0);
    FILE *f = fopen(a, "w");
    ck_assert(f && fputs(config, f) >= 0 && fclose(f) == 0);
    f = fopen(b, "w");
    ck_assert(f && fputs(credentials, f) >= 0 && fclose(f) == 0);
}

static void remove_files(void)
{
    AUTO_FREE char *aws = xasprintf("%s/.aws", dir), *a = xasprintf("%s/.aws/config", dir),
                   *b = xasprintf("%s/.aws/credentials", dir);
    unlink(a);
    unlink(b);
    rmdir(aws);
    rmdir(dir);
}

START_TEST(region_precedence)
{
    const struct {
        const char *flag;
        const char *const *env;
        const char *want;
    } cases[] = {
        { "us-west-1", ENV(CREDS, "HOME", dir, "AWS_REGION", "us-west-2", "AWS_DEFAULT_REGION", "us-east-2"),
          "us-west-1" },
        { NULL, ENV(CREDS, "HOME", dir, "AWS_REGION", "us-west-2", "AWS_DEFAULT_REGION", "us-east-2"), "us-west-2" },
        { NULL, ENV(CREDS, "HOME", dir, "AWS_REGION", "", "AWS_DEFAULT_REGION", "us-east-2"), "us-east-2" },
        { NULL, ENV(CREDS, "HOME", dir), "eu-west-1" },
        { NULL, ENV("HOME", dir, "AWS_PROFILE", "p"), "eu-west-2" },
        { NULL, ENV(CREDS, "HOME", "/nonexistent"), NULL },
        { NULL, ENV(CREDS, "HOME", "/dev/null"), NULL },
        { NULL, ENV("HOME", dir, "AWS_DEFAULT_PROFILE", "p", "AWS_PROFILE", "default"), "eu-west-2" },
    };
    AUTO_ERROR err = { 0 };
    struct aws_config c = { 0 };
    ASSERT_OK(load(cases[_i].env, cases[_i].flag, &c, &err), &err);
    ck_assert_pstr_eq(c.region, cases[_i].want);
    aws_config_clear(&c);
}
END_TEST

START_TEST(files_are_read)
{
    AUTO_ERROR err = { 0 };
    struct aws_config c = { 0 };
    AUTO_FREE char *config = xasprintf("%s/.aws/config", dir);
    ASSERT_OK(load(ENV(CREDS, "AWS_CONFIG_FILE", config), NULL, &c, &err), &err);
    ck_assert_str_eq(c.endpoints[0], "http://127.0.0.1:7/");
    ck_assert_str_eq(c.ca_bundle, "/ca.pem");
    aws_config_clear(&c);
    ASSERT_OK(load(ENV("HOME", dir, "AWS_PROFILE", "p"), NULL, &c, &err), &err);
    ck_assert_str_eq(c.source.keys.access_key_id, "P");
    ck_assert_str_eq(c.source.where, "the profile `p`");
    aws_config_clear(&c);
    ASSERT_OK(load(ENV(CREDS, "HOME", dir, "AWS_CONFIG_FILE", "~/.aws/config"), NULL, &c, &err), &err);
    ck_assert_str_eq(c.ca_bundle, "/ca.pem");
    aws_config_clear(&c);
    ASSERT_OK(load(ENV(CREDS, "HERE", dir, "AWS_CONFIG_FILE", "${HERE}/.aws/config"), NULL, &c, &err), &err);
    ck_assert_str_eq(c.ca_bundle, "/ca.pem");
    aws_config_clear(&c);
    ASSERT_FAILS(load(ENV(CREDS), "us-east-1.evil.com", &c, &err), &err, "is not the name of an AWS region");
    ck_assert_ptr_null(c.region);
}
END_TEST

/* What is done otherwise than AWS's own tools do it, or is contradictory, is said. */
START_TEST(config_warnings)
{
    AUTO_FREE char *none = xasprintf("%s/none", dir);
    const struct {
        const char *const *env;
        const char *want; /* of the only warning; NULL: there is none */
    } cases[] = {
        { ENV(CREDS, "HOME", dir), NULL },
        { ENV(CREDS, "AWS_CONFIG_FILE", none), NULL },
        { ENV(CREDS, "AWS_CONFIG_FILE", dir), "reading the AWS configuration" },
        { ENV(CREDS, "HOME", none, "AWS_SHARED_CREDENTIALS_FILE", dir), "continuing without it" },
        { ENV(CREDS, "HOME", none, "AWS_CONFIG_FILE", "$NO_SUCH/x"), "AWS_CONFIG_FILE: `$NO_SUCH/x` does not exist" },
        { ENV(CREDS, "HOME", none, "AWS_CONFIG_FILE", "~else/x"), "AWS_CONFIG_FILE: `~else/x` does not exist" },
        { ENV("HOME", dir, "AWS_DEFAULT_PROFILE", "p", "AWS_PROFILE", "q"),
          "AWS_DEFAULT_PROFILE and AWS_PROFILE differ: using AWS_DEFAULT_PROFILE" },
        { ENV("HOME", dir, "AWS_DEFAULT_PROFILE", "p", "AWS_PROFILE", "p"), NULL },
        { ENV(CREDS, "HOME", dir, "AWS_REGION", "us-east-1", "AWS_DEFAULT_REGION", "us-east-2"),
          "AWS_REGION and AWS_DEFAULT_REGION differ: using AWS_REGION" },
        { ENV(CREDS, "HOME", dir, "AWS_SECURITY_TOKEN", "a", "AWS_SESSION_TOKEN", "b"),
          "AWS_SECURITY_TOKEN and AWS_SESSION_TOKEN differ: using AWS_SECURITY_TOKEN" },
        { ENV("HOME", dir, "AWS_PROFILE", "p", "AWS_SECURITY_TOKEN", "a", "AWS_SESSION_TOKEN", "b"), NULL },
        { ENV("HOME", none, "BOTO_CONFIG", "/x"), "BOTO_CONFIG is set, which Mayfly does not read" },
        { ENV("HOME", none, "AWS_CREDENTIAL_FILE", "/x"), "using the credentials from the instance's role" },
        { ENV(CREDS, "HOME", none, "AWS_CREDENTIAL_FILE", "/x"), NULL },
        { ENV(CREDS, "HOME", none, "AWS_STS_REGIONAL_ENDPOINTS", "legacy"), "using the region's STS" },
        { ENV(CREDS, "HOME", none, "AWS_STS_REGIONAL_ENDPOINTS", "regional"), NULL },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_ERROR err = { 0 };
        struct aws_config c = { 0 };
        ASSERT_OK(load(cases[i].env, NULL, &c, &err), &err);
        ck_assert_msg(warnings.n == (cases[i].want ? 1 : 0), "case %zu: %zu warnings: %s", i, warnings.n,
                      warnings.n ? warnings.v[0] : "");
        ck_assert_msg(!cases[i].want || strstr(warnings.v[0], cases[i].want), "case %zu: %s", i,
                      warnings.n ? warnings.v[0] : "");
        aws_config_clear(&c);
    }
    strlist_clear(&warnings);
    secret_forget_all();
}
END_TEST

static TCase *errors(void)
{
    TCase *t = tcase_create("errors");
    tcase_add_loop_test(t, classes, 0, 42);
    tcase_add_test(t, class_of_an_error);
    tcase_add_loop_test(t, words_for_every_code, 0, ARRAY_SIZE(reference));
    tcase_add_test(t, words_by_message);
    tcase_add_test(t, words_by_call);
    tcase_add_test(t, words_for_reasons);
    tcase_add_loop_test(t, refusals, 0, 7);
    tcase_add_test(t, refusing_codes);
    return t;
}

static TCase *requests(void)
{
    TCase *t = tcase_create("requests");
    tcase_add_loop_test(t, run_instances, 0, 7);
    tcase_add_test(t, describe_instances);
    tcase_add_test(t, filters_are_literal);
    tcase_add_loop_test(t, answers_are_compared, 0, ARRAY_SIZE(exact));
    tcase_add_test(t, other_requests);
    tcase_add_test(t, bodies_of_a_bake);
    tcase_add_test(t, network_requests);
    tcase_add_test(t, answer_of_route_tables);
    tcase_add_test(t, answer_of_groups);
    tcase_add_test(t, answers_of_subnets_and_offerings);
    tcase_add_loop_test(t, answers_of_encryption, 0, 2);
    tcase_add_test(t, console);
    tcase_add_test(t, decoded_message);
    tcase_add_test(t, answers_of_another_form);
    tcase_add_test(t, query_encodes);
    tcase_add_loop_test(t, ids, 0, 19);
    tcase_add_loop_test(t, states, 0, 9);
    return t;
}

static TCase *configuration(void)
{
    TCase *t = tcase_create("configuration");
    tcase_add_loop_test(t, endpoints, 0, 18);
    tcase_add_test(t, endpoint_of_a_service_wins);
    tcase_add_loop_test(t, partitions, 0, 7);
    tcase_add_loop_test(t, regions, 0, 16);
    return t;
}

static TCase *files(void)
{
    TCase *t = tcase_create("files");
    tcase_add_checked_fixture(t, make_files, remove_files);
    tcase_add_loop_test(t, region_precedence, 0, 8);
    tcase_add_test(t, files_are_read);
    tcase_add_test(t, config_warnings);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { errors, requests, configuration, files };
    return run_suite("aws", all, ARRAY_SIZE(all));
}
