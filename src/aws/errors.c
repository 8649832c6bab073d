#include "mayfly/aws/errors.h"

#define HINT_CAPACITY "name more types or subnets with --types and --subnets, or add on-demand to --market"
#define HINT_QUOTA "ask for a higher vCPU quota in the Service Quotas console, or use the other market"
#define HINT_KEYS "check the access key, its secret and (for temporary ones) the session token"
#define HINT_PERMISSION "`mayfly policy COMMAND` prints what the policy of these credentials has to allow"

static const struct {
    const char *code;
    enum aws_class class;
    const char *hint;
} codes[] = {
    { "InsufficientInstanceCapacity", AWS_CAPACITY, HINT_CAPACITY },
    { "InsufficientCapacity", AWS_CAPACITY, HINT_CAPACITY },
    { "InsufficientHostCapacity", AWS_CAPACITY, HINT_CAPACITY },
    { "InsufficientCapacityOnHost", AWS_CAPACITY, HINT_CAPACITY },
    { "InsufficientReservedInstanceCapacity", AWS_CAPACITY, HINT_CAPACITY },
    { "InsufficientReservedInstancesCapacity", AWS_CAPACITY, HINT_CAPACITY },
    { "ReservationCapacityExceeded", AWS_CAPACITY, HINT_CAPACITY },
    { "UnfulfillableCapacity", AWS_CAPACITY, HINT_CAPACITY },
    { "InsufficientVolumeCapacity", AWS_CAPACITY, HINT_CAPACITY },
    { "SpotMaxPriceTooLow", AWS_CAPACITY, "raise or drop the maximum spot price" },
    { "Unsupported", AWS_CAPACITY, "this zone does not offer the type: name more --types or --subnets" },
    { "InsufficientFreeAddressesInSubnet", AWS_SUBNET_FULL, "the subnet has no free address: name another --subnets" },
    { "VcpuLimitExceeded", AWS_QUOTA, HINT_QUOTA },
    { "InstanceLimitExceeded", AWS_QUOTA, HINT_QUOTA },
    { "MaxSpotInstanceCountExceeded", AWS_QUOTA, HINT_QUOTA },
    { "VolumeLimitExceeded", AWS_QUOTA, "ask for a higher EBS volume quota" },
    { "MaxIOPSLimitExceeded", AWS_QUOTA, "ask for a higher EBS IOPS quota" },
    { "MaxFleetCountExceeded", AWS_QUOTA, "ask for a higher quota in the Service Quotas console" },
    { "NetworkInterfaceLimitExceeded", AWS_QUOTA, "ask for a higher network interface quota" },
    { "RequestLimitExceeded", AWS_THROTTLE, NULL },
    { "Throttling", AWS_THROTTLE, NULL },
    { "ThrottlingException", AWS_THROTTLE, NULL },
    { "ThrottledException", AWS_THROTTLE, NULL },
    { "RequestThrottled", AWS_THROTTLE, NULL },
    { "RequestThrottledException", AWS_THROTTLE, NULL },
    { "EC2ThrottledException", AWS_THROTTLE, NULL },
    { "TooManyRequestsException", AWS_THROTTLE, NULL },
    { "BandwidthLimitExceeded", AWS_THROTTLE, NULL },
    { "SlowDown", AWS_THROTTLE, NULL },
    { "InternalError", AWS_SERVER, NULL },
    { "InternalFailure", AWS_SERVER, NULL },
    { "ServiceUnavailable", AWS_SERVER, NULL },
    { "Unavailable", AWS_SERVER, NULL },
    { "RequestTimeout", AWS_SERVER, NULL },
    { "RequestTimeoutException", AWS_SERVER, NULL },
    { "PriorRequestNotComplete", AWS_SERVER, NULL },
    { "InvalidInstanceID.NotFound", AWS_NOT_FOUND, "check the id and the region" },
    { "InvalidSpotInstanceRequestID.NotFound", AWS_NOT_FOUND, NULL },
    { "IncorrectInstanceState", AWS_BUSY, NULL },
    { "IncorrectState", AWS_BUSY, NULL },
    { "ConcurrentTagAccess", AWS_BUSY, NULL },
    { "ConcurrentCreateImageNoRebootLimitExceeded", AWS_BUSY, "wait until the other images are made" },
    { "SnapshotCreationPerVolumeRateExceeded", AWS_BUSY, "wait half a minute between snapshots of one volume" },
    { "IDPCommunicationError", AWS_BUSY, "AWS could not reach the identity provider: try again" },
    { "ExpiredToken", AWS_EXPIRED, "the session has expired: get new credentials" },
    { "ExpiredTokenException", AWS_EXPIRED, "the session has expired: get new credentials" },
    { "RequestExpired", AWS_EXPIRED, "the session has expired or this machine's clock is wrong" },
    { "RequestTimeTooSkewed", AWS_EXPIRED, "this machine's clock is wrong" },
    { "RequestInTheFuture", AWS_EXPIRED, "this machine's clock is wrong" },
    { "InvalidSecurity.RequestHasExpired", AWS_EXPIRED, "this machine's clock is wrong" },
    { "AuthFailure", AWS_EXPIRED, HINT_KEYS },
    { "SignatureDoesNotMatch", AWS_EXPIRED, HINT_KEYS },
    { "InvalidSignatureException", AWS_EXPIRED, HINT_KEYS },
    { "InvalidClientTokenId", AWS_FATAL, HINT_KEYS },
    { "UnrecognizedClientException", AWS_FATAL, HINT_KEYS },
    { "IncompleteSignature", AWS_FATAL, HINT_KEYS },
    { "MissingAuthenticationToken", AWS_FATAL, HINT_KEYS },
    { "UnauthorizedOperation", AWS_FATAL, HINT_PERMISSION },
    { "AccessDenied", AWS_FATAL, HINT_PERMISSION },
    { "AccessDeniedException", AWS_FATAL, HINT_PERMISSION },
    { "InvalidIdentityToken", AWS_FATAL, "the identity token is not of the provider that the role trusts" },
    { "IDPRejectedClaim", AWS_FATAL, "the identity provider refused the token: is it of this run, and not expired?" },
    { "OptInRequired", AWS_FATAL, "this account is not enabled for the region or service: see the AWS console" },
    { "PendingVerification", AWS_FATAL, "AWS is still verifying this account: wait for its mail" },
    { "Blocked", AWS_FATAL, "AWS has blocked this account: contact AWS Support" },
    { "AuthFailure.ServiceLinkedRoleCreationNotPermitted", AWS_FATAL,
      "create the role once: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com" },
    { "InvalidAMIID.NotFound", AWS_FATAL,
      "--image: no such image in this region, or it is not shared with this account" },
    { "InvalidAMIID.Malformed", AWS_FATAL, "--image: image ids look like ami-0123456789abcdef0" },
    { "InvalidAMIID.Unavailable", AWS_FATAL, "--image: the image is not available (yet)" },
    { "InvalidParameterCombination", AWS_FATAL, "two options do not go together: AWS names them" },
    { "InvalidParameterValue", AWS_FATAL, "AWS refuses the value of an option: it names which" },
    { "InvalidParameter", AWS_FATAL, "AWS refuses the value of an option: it names which" },
    { "MissingParameter", AWS_FATAL, "AWS misses a value: it names which" },
    { "InvalidTagKey.Malformed", AWS_FATAL, "--tags: AWS refuses a key" },
    { "InvalidKeyPair.NotFound", AWS_FATAL, "no such key pair in this region" },
    { "InvalidUserData.Malformed", AWS_FATAL, "the user-data is too long: shorten the pre-runner script" },
    { "InvalidSnapshot.InUse", AWS_FATAL, "an image still uses the snapshot: deregister it first" },
    { "InvalidUserID.Malformed", AWS_FATAL, "--image: the owner is self, amazon or an account's 12 digits" },
    { "ParameterNotFound", AWS_FATAL, "--image: no such parameter in this region" },
    { "InvalidBlockDeviceMapping", AWS_FATAL,
      "--volume-… and --block-devices: a volume is at least as large as the image's, and its device one of its own" },
    { "InvalidPlacementGroup.Unknown", AWS_FATAL, "--placement-group: no such group in this region" },
    { "InvalidSubnetID.NotFound", AWS_FATAL, "--subnets: no such subnet in this region" },
    { "InvalidSubnetID.Malformed", AWS_FATAL, "--subnets: subnet ids look like subnet-0123456789abcdef0" },
    { "InvalidGroup.NotFound", AWS_FATAL, "--security-groups: no such group in this VPC" },
    { "InvalidGroupId.Malformed", AWS_FATAL, "--security-groups: group ids look like sg-0123456789abcdef0" },
    { "InvalidSecurityGroupID.NotFound", AWS_FATAL, "--security-groups: no such group in this VPC" },
    { "InvalidInstanceID.Malformed", AWS_FATAL, "instance ids look like i-0123456789abcdef0" },
    { "UnsupportedOperation", AWS_FATAL, "does the type's architecture fit the image?" },
    { "OperationNotPermitted", AWS_FATAL,
      "the instance has termination protection: switch it off yourself if you mean it" },
    { "TagLimitExceeded", AWS_FATAL, "a resource takes 50 tags: drop some" },
    { "IdempotentParameterMismatch", AWS_TOKEN_USED, NULL },
    { "IdempotentInstanceTerminated", AWS_TOKEN_USED, NULL },
    { "DryRunOperation", AWS_DRY_RUN, NULL },
};

static size_t find(const char *code)
{
    size_t i = 0;
    while (i < ARRAY_SIZE(codes) && !str_eq(codes[i].code, code))
        i++;
    return i;
}

enum aws_class aws_classify(const char *code, const char *message, int http_status)
{
    size_t i = find(code);
    /* An instance profile takes seconds to become visible to EC2. */
    if (str_eq(code, "InvalidParameterValue") && message &&
        (strstr(message, "Invalid IAM Instance Profile") || strstr(message, "iamInstanceProfile.name is invalid")))
        return AWS_BUSY;
    if (i < ARRAY_SIZE(codes))
        return codes[i].class;
    if (http_status == 429)
        return AWS_THROTTLE;
    return http_status >= 500 ? AWS_SERVER : AWS_FATAL;
}

const char *aws_hint(const char *code)
{
    size_t i = find(code);
    return i < ARRAY_SIZE(codes) ? codes[i].hint : NULL;
}

enum aws_class aws_error_class(const struct error *err)
{
    if (err->domain == ERROR_NET)
        return AWS_SERVER;
    return aws_classify(err->code ? err->code : "", err->message, err->status);
}
