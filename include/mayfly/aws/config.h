/* The AWS side's settings: credentials, region, endpoints; from flags, environment and the shared files. */
#ifndef MAYFLY_AWS_CONFIG_H
#define MAYFLY_AWS_CONFIG_H

#include "mayfly/aws/creds.h"

enum { AWS_SERVICES = 3 }; /* ec2, ssm, sts */

struct aws_config { /* owned strings */
    struct aws_creds creds;
    char *region;                  /* the default one */
    char *endpoint;                /* for every service, or NULL: AWS_ENDPOINT_URL, endpoint_url */
    char *endpoints[AWS_SERVICES]; /* of one service, or NULL: AWS_ENDPOINT_URL_EC2, … */
    char *ca_bundle;               /* or NULL: AWS_CA_BUNDLE */
};

/* profile and region: given by flag, or NULL. Regions come from the flag, AWS_REGION, AWS_DEFAULT_REGION, the profile.
 */
MUST_CHECK bool aws_config_load(const char *profile, const char *region, const char *(*getenv_fn)(const char *),
                                struct aws_config *ret, struct error *err);
void aws_config_clear(struct aws_config *c);

/* The URL of a service ("ec2", "ssm", "sts") in a region, owned: the override, else the partition's own. */
char *aws_endpoint(const struct aws_config *c, const char *service, const char *region);
/* The partition of a region, static: "aws", "aws-cn", … */
const char *aws_partition(const char *region);
/* Is it spelled like a region (us-east-1)? What it names need not exist. */
bool aws_region_is_valid(const char *region);

#endif
