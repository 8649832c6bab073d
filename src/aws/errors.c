#include "mayfly/aws/errors.h"

#define HINT_PERMISSION "`mayfly policy COMMAND` prints what the policy of these credentials must allow"
#define HINT_KEYS "check the access key, its secret and (for temporary ones) the session token"
#define HINT_SESSION "the session has expired: get new credentials; in a workflow, run configure-aws-credentials again"
#define HINT_CLOCK "this machine's clock is wrong: set it by NTP"
#define HINT_TRUST "`mayfly policy trust` prints what the role's trust policy must allow"
#define HINT_USER_DATA "shorten the pre-runner script, or do its work when the image is baked"
/* It takes seconds to become visible to EC2, so that it is asked again. */
#define HINT_PROFILE                                                                                                   \
    "--instance-profile: check the name, and that it is in this account; a new one takes some seconds to appear"
#define HINT_TERMS                                                                                                     \
    "accept the terms of the image: open the link in the message with this account, or use another --image"
/* A default VPC, or its subnet, is not there. */
#define HINT_NO_VPC "the region has no default VPC, or the VPC has no subnet: give --subnets and --security-groups"
#define HINT_REQUEST "the message names the value that this call rejects: check the option or the ID that it comes from"
#define HINT_OURS "this endpoint rejects Mayfly's request: check AWS_ENDPOINT_URL, otherwise report a bug"

/* What to do about a class, where its code does not know better. */
static const char *const class_hints[] = {
    [AWS_CAPACITY] = "add types or subnets with --types and --subnets, or on-demand to --market",
    [AWS_SUBNET_FULL] = "the subnet has no free address: add another with --subnets",
    [AWS_QUOTA] =
        "use the other market, or request a higher quota: aws service-quotas list-service-quotas --service-code ec2",
    [AWS_THROTTLE] = "AWS limits the rate of requests: try again in a minute",
    [AWS_SERVER] = "a server error at AWS or a proxy: try again in a minute",
    [AWS_NOT_FOUND] = "check the ID and the region; what was created a moment ago may not be visible everywhere yet",
    [AWS_BUSY] = "it is in a transitional state: try again in a minute",
    [AWS_EXPIRED] = HINT_KEYS,
    [AWS_TOKEN_USED] = "an earlier request used this client token: start again to use a new one",
    [AWS_DRY_RUN] = "a dry run: it would have been allowed",
};

struct row {
    const char *code;
    enum aws_class class;
    const char *hint; /* NULL: the class's */
};

/* Codes that mean something else at this call, or when this is in their message; the first that fits counts. */
static const struct {
    const char *call; /* NULL: any */
    const char *part; /* NULL: any message */
    struct row row;
} meanings[] = {
    /* What STS says for seconds after a role, its policy or a provider's keys were made, and while these are fetched.
     */
    { NULL,
      "retrieve verification key",
      { "InvalidIdentityToken", AWS_SERVER,
        "AWS could not fetch the keys of the token's issuer: try again in a minute; if that does not help, check the "
        "provider's URL in IAM" } },
    { NULL, "explicit deny", { "AccessDenied", AWS_FATAL, HINT_PERMISSION } },
    { NULL, "sts:AssumeRole", { "AccessDenied", AWS_BUSY, HINT_PERMISSION } },
    { NULL, "Invalid IAM Instance Profile", { "InvalidParameterValue", AWS_BUSY, HINT_PROFILE } },
    { NULL, "iamInstanceProfile.name is invalid", { "InvalidParameterValue", AWS_BUSY, HINT_PROFILE } },
    { NULL, "User data is limited", { "InvalidParameterValue", AWS_FATAL, HINT_USER_DATA } },
    { NULL, "Marketplace", { "OptInRequired", AWS_FATAL, HINT_TERMS } },
    { NULL, "accept terms", { "OptInRequired", AWS_FATAL, HINT_TERMS } },
    { NULL,
      "Free Tier",
      { "InvalidParameterCombination", AWS_FATAL,
        "the account's plan allows Free Tier types and images only: list the types with aws ec2 "
        "describe-instance-types --filters Name=free-tier-eligible,Values=true, or upgrade the plan" } },
    { NULL,
      "Not authorized for images",
      { "AuthFailure", AWS_FATAL, "--image: ask the image's owner to share it with this account, or use another" } },
    { NULL,
      "CMK can't be shared",
      { "InvalidParameter", AWS_FATAL,
        "--share: the image is encrypted with the AWS managed key, which other accounts cannot use: set a customer "
        "managed key as the region's default for EBS encryption, or drop --share" } },
    { "ModifyImageAttribute",
      NULL,
      { "InvalidParameter", AWS_FATAL, "--share: the message says why the image cannot be shared" } },
    { "ModifyImageAttribute",
      NULL,
      { "InvalidParameterValue", AWS_FATAL, "--share: the message says why the image cannot be shared" } },
    { "ModifyImageAttribute",
      NULL,
      { "InvalidAMIAttributeItemValue", AWS_FATAL, "--share: check the account ID, and that the account is open" } },
    { "ModifyImageAttribute", NULL, { "InvalidUserID.Malformed", AWS_FATAL, "--share: check the account ID" } },
    /* Of a launch only: elsewhere the code is about something else. */
    { "RunInstances",
      NULL,
      { "InvalidParameterValue", AWS_FATAL,
        "the message names the value: check --types, --image, --volume-…, --metadata-options and --instance-profile "
        "for it" } },
    { "RunInstances",
      NULL,
      { "InvalidParameterCombination", AWS_FATAL,
        "the message names the conflicting parameters: check --tenancy, --public-ip, --block-devices and --market" } },
    { "RunInstances",
      NULL,
      { "InvalidParameterDependency", AWS_FATAL, "the message names what else is needed: check --volume-…" } },
    { "RunInstances",
      NULL,
      { "InvalidParameter", AWS_FATAL, "check that --security-groups and --subnets are in the same VPC" } },
    { "RunInstances",
      NULL,
      { "MissingParameter", AWS_FATAL, "the message names what is missing: check --block-devices and --volume-…" } },
    { "RunInstances",
      NULL,
      { "UnsupportedOperation", AWS_FATAL, "check that types and image have the same architecture" } },
};

static const struct row codes[] = {
    { "InsufficientInstanceCapacity", AWS_CAPACITY, NULL },
    { "InsufficientCapacity", AWS_CAPACITY, NULL },
    { "InsufficientHostCapacity", AWS_CAPACITY, NULL },
    { "InsufficientCapacityOnHost", AWS_CAPACITY, NULL },
    { "InsufficientReservedInstanceCapacity", AWS_CAPACITY, NULL },
    { "InsufficientReservedInstancesCapacity", AWS_CAPACITY, NULL },
    { "ReservationCapacityExceeded", AWS_CAPACITY, NULL },
    { "UnfulfillableCapacity", AWS_CAPACITY, NULL },
    { "InsufficientVolumeCapacity", AWS_CAPACITY, "the zone has no capacity for the volume: give other --subnets" },
    { "SpotMaxPriceTooLow", AWS_CAPACITY, "raise or drop --max-price" },
    { "Unsupported", AWS_CAPACITY,
      "this zone does not offer the type: add --types or --subnets; if no zone does, check its spelling" },
    { "InsufficientFreeAddressesInSubnet", AWS_SUBNET_FULL, NULL },
    { "VcpuLimitExceeded", AWS_QUOTA,
      "other subnets will not help: use the other market or smaller types, or request more vCPUs (on demand: quota "
      "L-1216C47A for standard types, L-DB2E81BA for G and VT, L-417A185B for P; spot: L-34B43A08, L-3819A6DF, "
      "L-7212CCBC)" },
    { "InstanceLimitExceeded", AWS_QUOTA, NULL },
    { "MaxSpotInstanceCountExceeded", AWS_QUOTA,
      "add on-demand to --market, or request more spot vCPUs (quota L-34B43A08 for standard types, L-3819A6DF for G "
      "and VT, L-7212CCBC for P)" },
    { "VolumeLimitExceeded", AWS_QUOTA, "request a higher EBS volume quota, or delete volumes that nothing uses" },
    { "MaxIOPSLimitExceeded", AWS_QUOTA, "request a higher EBS IOPS quota, or lower --volume-iops" },
    { "MaxFleetCountExceeded", AWS_QUOTA, NULL },
    { "NetworkInterfaceLimitExceeded", AWS_QUOTA, "request a higher network interface quota" },
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
    { "InternalServerError", AWS_SERVER, NULL },
    { "ServiceUnavailable", AWS_SERVER, NULL },
    { "Unavailable", AWS_SERVER, NULL },
    { "RequestTimeout", AWS_SERVER, NULL },
    { "RequestTimeoutException", AWS_SERVER, NULL },
    { "PriorRequestNotComplete", AWS_SERVER, NULL },
    { "InvalidInstanceID.NotFound", AWS_NOT_FOUND, "check the id and the region" },
    { "InvalidSpotInstanceRequestID.NotFound", AWS_NOT_FOUND, NULL },
    { "InvalidVolume.NotFound", AWS_NOT_FOUND, NULL },
    { "InvalidSnapshot.NotFound", AWS_NOT_FOUND, NULL },
    { "IncorrectInstanceState", AWS_BUSY, NULL },
    { "IncorrectState", AWS_BUSY, NULL },
    { "ConcurrentTagAccess", AWS_BUSY, NULL },
    { "TooManyUpdates", AWS_BUSY, NULL }, /* of a parameter: another bake publishes */
    { "ConcurrentCreateImageNoRebootLimitExceeded", AWS_BUSY, NULL },
    { "InvalidSnapshot.InUse", AWS_BUSY, "an image uses the snapshot: deregister the image first" },
    { "SnapshotCreationPerVolumeRateExceeded", AWS_BUSY, NULL },
    { "ResourceLimitExceeded", AWS_BUSY, "too many snapshots are being copied: try again when others are done" },
    { "VolumeInUse", AWS_FATAL, "the volume is attached: it can be deleted when its instance has terminated" },
    { "ExpiredToken", AWS_EXPIRED, HINT_SESSION },
    { "ExpiredTokenException", AWS_EXPIRED, HINT_SESSION },
    { "RequestExpired", AWS_EXPIRED, "the session has expired or this machine's clock is wrong" },
    { "RequestTimeTooSkewed", AWS_EXPIRED, HINT_CLOCK },
    { "RequestInTheFuture", AWS_EXPIRED, HINT_CLOCK },
    { "InvalidSecurity.RequestHasExpired", AWS_EXPIRED, HINT_CLOCK },
    { "AuthFailure", AWS_EXPIRED, HINT_KEYS "; this is also the answer where a region is not enabled for the account" },
    { "SignatureDoesNotMatch", AWS_EXPIRED, HINT_KEYS },
    { "InvalidSignatureException", AWS_EXPIRED, HINT_KEYS },
    { "InvalidClientTokenId", AWS_FATAL, HINT_KEYS },
    { "UnrecognizedClientException", AWS_FATAL, HINT_KEYS },
    { "IncompleteSignature", AWS_FATAL, HINT_KEYS },
    { "MissingAuthenticationToken", AWS_FATAL, HINT_KEYS },
    { "InvalidIdentityToken", AWS_FATAL, HINT_TRUST },
    { "IDPRejectedClaim", AWS_FATAL, HINT_TRUST },
    { "IDPCommunicationError", AWS_SERVER, "AWS could not reach GitHub's identity provider: try again in a minute" },
    { "RegionDisabledException", AWS_FATAL,
      "STS is not active in this region for the account: give another --region, or activate it in IAM's account "
      "settings" },
    { "UnauthorizedOperation", AWS_FATAL, HINT_PERMISSION },
    { "AccessDenied", AWS_FATAL, HINT_PERMISSION },
    { "AccessDeniedException", AWS_FATAL, HINT_PERMISSION },
    { "InvalidAuthorizationMessageException", AWS_FATAL, "the encoded message belongs to another account, or was cut" },
    { "OptInRequired", AWS_FATAL, "this account is not enabled for the region or service: see the AWS console" },
    { "PendingVerification", AWS_FATAL, "AWS is still verifying this account: wait for its email" },
    { "Blocked", AWS_FATAL, "AWS has blocked this account: contact AWS Support" },
    { "AuthFailure.ServiceLinkedRoleCreationNotPermitted", AWS_FATAL,
      "create the role once: aws iam create-service-linked-role --aws-service-name spot.amazonaws.com" },
    { "InvalidAMIID.NotFound", AWS_FATAL,
      "--image: no such image in this region, or it is not shared with this account" },
    { "InvalidAMIID.Malformed", AWS_FATAL, "--image: image ids look like ami-0123456789abcdef0" },
    { "InvalidAMIID.Unavailable", AWS_FATAL, "--image: the image is not available (yet)" },
    { "InvalidUserID.Malformed", AWS_FATAL, "--image: the owner is self, amazon or an account ID" },
    { "ParameterNotFound", AWS_FATAL, "--image: no such parameter in this region" },
    { "ParameterVersionNotFound", AWS_FATAL, "--image: the parameter has no such version" },
    { "InvalidBlockDeviceMapping", AWS_FATAL,
      "--volume-… and --block-devices: a volume must be at least as large as the image's, and each device name may be "
      "used once" },
    { "InvalidKeyPair.NotFound", AWS_FATAL, "no such key pair in this region" },
    { "InvalidPlacementGroup.Unknown", AWS_FATAL, "--placement-group: no such group in this region" },
    { "InvalidSubnetID.NotFound", AWS_FATAL, "--subnets: no such subnet in this region" },
    { "InvalidSubnetID.Malformed", AWS_FATAL, "--subnets: subnet ids look like subnet-0123456789abcdef0" },
    { "InvalidGroup.NotFound", AWS_FATAL, "--security-groups: no such group in this VPC" },
    { "InvalidGroupId.Malformed", AWS_FATAL, "--security-groups: group ids look like sg-0123456789abcdef0" },
    { "InvalidSecurityGroupID.NotFound", AWS_FATAL, "--security-groups: no such group in this VPC" },
    { "InvalidInstanceID.Malformed", AWS_FATAL, "instance ids look like i-0123456789abcdef0" },
    { "InvalidInstanceType", AWS_FATAL, "--types: check the spelling; types look like m7i.xlarge" },
    { "InstanceCreditSpecification.NotSupported", AWS_FATAL,
      "--cpu-credits applies to burstable types (t3, t4g) only" },
    { "InvalidParameterValue", AWS_FATAL, HINT_REQUEST },
    { "InvalidParameterCombination", AWS_FATAL, HINT_REQUEST },
    { "InvalidParameterDependency", AWS_FATAL, HINT_REQUEST },
    { "InvalidParameter", AWS_FATAL, HINT_REQUEST },
    { "MissingParameter", AWS_FATAL, HINT_REQUEST },
    { "InvalidUserData.Malformed", AWS_FATAL, HINT_USER_DATA },
    { "UnsupportedOperation", AWS_FATAL, HINT_REQUEST },
    { "OperationNotPermitted", AWS_FATAL, "the instance has termination protection: turn that off first" },
    { "VPCIdNotSpecified", AWS_FATAL, HINT_NO_VPC },
    { "VPCResourceNotSpecified", AWS_FATAL, HINT_NO_VPC },
    { "DefaultVpcDoesNotExist", AWS_FATAL, HINT_NO_VPC },
    { "MissingInput", AWS_FATAL, HINT_NO_VPC },
    { "InvalidAMIAttributeItemValue", AWS_FATAL, HINT_REQUEST },
    { "TagLimitExceeded", AWS_FATAL, "a resource can have 50 tags: remove some of --tags" },
    { "InvalidTagKey.Malformed", AWS_FATAL, "--tags: keys have at most 127 characters and do not begin with aws:" },
    { "ValidationError", AWS_FATAL, HINT_OURS },
    { "ValidationException", AWS_FATAL, HINT_OURS },
    { "UnknownParameter", AWS_FATAL, HINT_OURS },
    { "InvalidAction", AWS_FATAL, HINT_OURS },
    { "IdempotentParameterMismatch", AWS_TOKEN_USED, NULL },
    { "IdempotentInstanceTerminated", AWS_TOKEN_USED, NULL },
    { "DryRunOperation", AWS_DRY_RUN, NULL },
};

/* call, message: NULL where they are not known. */
static const struct row *find(const char *call, const char *code, const char *message)
{
    for (size_t i = 0; i < ARRAY_SIZE(meanings); i++)
        if (str_eq(meanings[i].row.code, code) && (!meanings[i].call || str_eq(meanings[i].call, call)) &&
            (!meanings[i].part || (message && strstr(message, meanings[i].part))))
            return &meanings[i].row;
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (str_eq(codes[i].code, code))
            return &codes[i];
    return NULL;
}

enum aws_class aws_classify(const char *code, const char *message, int http_status)
{
    const struct row *row = find(NULL, code, message);
    if (row)
        return row->class;
    if (http_status == 429)
        return AWS_THROTTLE;
    return http_status >= 500 ? AWS_SERVER : AWS_FATAL;
}

static const char *row_hint(const struct row *row)
{
    return !row ? NULL : row->hint ? row->hint : class_hints[row->class];
}

const char *aws_hint(const char *call, const char *code, const char *message)
{
    return row_hint(find(call, code, message));
}

const char *aws_class_hint(enum aws_class class)
{
    return (size_t) class < ARRAY_SIZE(class_hints) ? class_hints[class] : NULL;
}

enum aws_class aws_error_class(const struct error *err)
{
    if (err->domain == ERROR_NET)
        return AWS_SERVER;
    return aws_classify(err->code ? err->code : "", err->message, err->status);
}

bool aws_is_refusal(const struct error *err)
{
    switch (aws_error_class(err)) {
    case AWS_SERVER:
        return false;
    case AWS_THROTTLE:
        return true;
    case AWS_TOKEN_USED:
        return aws_clears_token(err);
    default:
        return !str_empty(err->code);
    }
}

bool aws_clears_token(const struct error *err)
{
    return str_eq(err->code, "IdempotentInstanceTerminated");
}

/* part: of the message, where the code alone says less; NULL: any.
 * Source: what packer-plugin-amazon asks for again (step_create_ami, step_create_tags), about a minute each. */
static const struct {
    const char *calls, *codes, *part;
} unseen[] = {
    { "CreateImage", "InvalidParameterValue", "not in state" }, /* "Instance is not in state running or stopped" */
    { "CreateImage", "InvalidInstanceID.NotFound", NULL },
    { "RunInstances CopyImage ModifyImageAttribute CreateTags DeleteTags",
      "InvalidAMIID.NotFound InvalidAMIID.Unavailable InvalidSnapshot.NotFound", NULL },
    { "CreateTags DeleteTags", "InvalidID", NULL },
};

bool aws_is_unseen(const char *call, const struct error *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(unseen) && !str_empty(err->code); i++)
        if (str_is_one_of(call, unseen[i].calls) && str_is_one_of(err->code, unseen[i].codes) &&
            (!unseen[i].part || (err->message && strstr(err->message, unseen[i].part))))
            return true;
    return false;
}

const char *aws_known_code(size_t i)
{
    return i < ARRAY_SIZE(codes) ? codes[i].code : NULL;
}

static bool is_side(const char *code, const char *dot)
{
    AUTO_FREE char *side = xstrndup(code, (size_t)(dot - code));
    return str_is_one_of(side, "Server Client");
}

static bool is_about_room(enum aws_class class)
{
    return class == AWS_CAPACITY || class == AWS_SUBNET_FULL || class == AWS_QUOTA;
}

#define HINT_KMS                                                                                                       \
    "most often a KMS key that EC2 may not use, which `mayfly doctor` names: allow these credentials kms:CreateGrant " \
    "and the rest that `mayfly policy start --volume-kms-key KEY` prints, and the key to the spot service's role"
#define HINT_SPOT "EC2 reclaimed the spot instance: add on-demand to --market, or more --types and --subnets"

/* The reasons that are no codes of RunInstances; a code that ends in a dot is the beginning of several.
 * Source: EC2 API, StateReason; EC2 User Guide, "Troubleshoot instance launch issues". */
static const struct row reasons[] = {
    { "Server.SpotInstanceTermination", AWS_CAPACITY, HINT_SPOT }, /* interrupted */
    { "Server.SpotInstanceShutdown", AWS_CAPACITY, HINT_SPOT },
    { "Server.InternalError", AWS_CAPACITY, "EC2's host failed: start again, or add --types and --subnets" },
    { "Server.ScheduledStop", AWS_FATAL, "EC2 retired the host: start again" },
    { "Client.InternalError", AWS_FATAL, HINT_KMS },
    { "Client.InvalidKMSKey.", AWS_FATAL, HINT_KMS }, /* InvalidState, InvalidKeyState, … */
    { "Client.InvalidSnapshot.NotFound", AWS_FATAL,
      "a snapshot of the image or of --block-devices is gone: use another --image" },
    { "Client.UserInitiatedShutdown", AWS_FATAL,
      "somebody terminated or stopped it: TerminateInstances and StopInstances in CloudTrail say who" },
    { "Client.InstanceInitiatedShutdown", AWS_FATAL, NULL }, /* its console says why */
};

static const struct row *find_reason(const char *code)
{
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        if (str_ends(reasons[i].code, ".") ? str_starts(code, reasons[i].code) : str_eq(reasons[i].code, code))
            return &reasons[i];
    return NULL;
}

/* What RunInstances would have said. */
static const struct row *find_refusal(const char *code)
{
    const char *dot = strchr(code, '.');
    return dot && is_side(code, dot) ? find("RunInstances", dot + 1, NULL) : NULL;
}

enum aws_class aws_state_reason_class(const char *code)
{
    const struct row *row = code ? find_reason(code) : NULL;
    if (row)
        return row->class;
    row = code ? find_refusal(code) : NULL;
    return row && is_about_room(row->class) ? row->class : AWS_FATAL;
}

const char *aws_state_reason_hint(const char *code)
{
    const struct row *row = code ? find_reason(code) : NULL;
    return row ? row->hint : code ? row_hint(find_refusal(code)) : NULL;
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

bool aws_is_denial(const char *code)
{
    return code && str_is_one_of(code, "UnauthorizedOperation AccessDenied AccessDeniedException");
}

/* The word behind `mark`, owned, or NULL; *at moves behind it. */
static char *word_after(const char **at, const char *mark)
{
    const char *found = strstr(*at, mark);
    if (!found)
        return NULL;
    found += strlen(mark);
    size_t n = strcspn(found, " ");
    *at = found + n;
    return xstrndup(found, n);
}

char *aws_denial_parse(const char *message, struct aws_denial *ret)
{
    static const char mark[] = "Encoded authorization failure message: ", because[] = " because ";
    const char *encoded = strstr(message, mark);
    size_t n = encoded ? (size_t)(encoded - message) : strlen(message);
    while (n > 0 && strchr(" .", message[n - 1]))
        n--;
    char *plain = xstrndup(message, n);
    const char *at = plain;
    if (encoded) {
        encoded += strlen(mark);
        ret->encoded = xstrndup(encoded, strcspn(encoded, " "));
    }
    ret->action = word_after(&at, "not authorized to perform: ");
    if (ret->action)
        ret->resource = word_after(&at, " on resource: ");
    if (ret->resource && *at)
        ret->reason = xstrdup(str_starts(at, because) ? at + strlen(because) : at + 1);
    return plain;
}

bool aws_denial_is_explicit(const struct aws_denial *d)
{
    return d->reason && strstr(d->reason, "explicit deny");
}

void aws_denial_copy(struct aws_denial *to, const struct aws_denial *from)
{
    str_set(&to->action, from->action);
    str_set(&to->resource, from->resource);
    str_set(&to->reason, from->reason);
    str_set(&to->encoded, from->encoded);
}

void aws_denial_clear(struct aws_denial *d)
{
    free(d->action);
    free(d->resource);
    free(d->reason);
    free(d->encoded);
    *d = (struct aws_denial){ 0 };
}
