/* The AWS side's settings: credentials, region, endpoints; from flags, environment and the shared files. */
#ifndef MAYFLY_AWS_CONFIG_H
#define MAYFLY_AWS_CONFIG_H

#include "mayfly/aws/creds.h"

enum { AWS_SERVICES = 5 }; /* ec2, ssm, sts, sso, sso_oidc */

struct aws_config {             /* owned strings */
    struct creds_source source; /* where the credentials come from */
    struct aws_creds creds;     /* unset until they are fetched */
    const char *(*getenv)(const char *name);
    char *region;                  /* the default one */
    char *endpoints[AWS_SERVICES]; /* of a service, or NULL: AWS_ENDPOINT_URL_EC2, AWS_ENDPOINT_URL, … */
    char *ca_bundle;               /* a file, or NULL */
    const char *ca_setting;        /* static: what names that file, "AWS_CA_BUNDLE" */
    bool fips, dual_stack;
};

struct aws_flags { /* what was given by flag, or NULL */
    const char *profile, *region, *role_arn;
};

/* Regions come from the flag, AWS_REGION, AWS_DEFAULT_REGION, the profile. Reads the shared files and decides where the
 * credentials come from; fetches none: aws_creds_fetch(). warnings: to be shown, whether it fails or not. */
MUST_CHECK bool aws_config_load(const struct aws_flags *flags, const char *(*getenv_fn)(const char *),
                                struct aws_config *ret, struct strlist *warnings, struct error *err);
void aws_config_clear(struct aws_config *c);

/* The URL of a service ("ec2", "ssm", "sts", "sso", "sso_oidc") in a region, owned: the override, else the partition's
 * own. */
char *aws_endpoint(const struct aws_config *c, const char *service, const char *region);
/* The partition of a region, static: "aws", "aws-cn", … */
const char *aws_partition(const char *region);
/* The audience that STS of a region wants in an OIDC token, owned; region may be NULL. */
char *aws_oidc_audience(const char *region);
/* Is it spelled like a region (us-east-1)? What it names need not exist. */
bool aws_region_is_valid(const char *region);
/* The same; `where` is what it was given by. */
MUST_CHECK bool aws_region_check(const char *region, const char *where, struct error *err);

#endif
