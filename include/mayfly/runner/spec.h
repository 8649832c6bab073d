/* What the user asked for, validated before anything has an effect. Pure. */
#ifndef MAYFLY_RUNNER_SPEC_H
#define MAYFLY_RUNNER_SPEC_H

#include "mayfly/aws/ec2.h"
#include "mayfly/runner/tags.h"

struct spec { /* the options of start; owned by opts_parse */
    struct strlist images, types, regions, subnets, security_groups, market, order, labels;
    char *places; /* JSON: instead of images, subnets and security groups */
    char *label, *name, *fallback_label, *runner_group, *runner_dir, *user, *packages;
    char *pre_runner_file, *pre_runner_script, *use_jit;
    char *instance_profile, *tags, *public_ip, *placement_group, *tenancy, *cpu_credits, *max_price;
    char *volume_type, *volume_kms_key, *device_name, *block_devices, *metadata_options;
    uint64_t count, min_count, volume_size, volume_iops, volume_throughput, volume_initialization_rate;
    int64_t timeout, max_lifetime, idle_limit;
    bool volume_encrypted, dry_run;
};

/* All that can be said without asking anybody, but for the plan (plan_sites). */
MUST_CHECK bool spec_check(const struct spec *s, struct error *err);

/* Is it a label that jobs ask for anyway? Of GitHub's own runners (ubuntu-latest) and what config.sh gives all others
 * (self-hosted, Linux, X64). GitHub takes labels in any case. */
bool spec_label_is_common(const char *label);
/* What --public-ip says. */
enum ec2_public_ip spec_public_ip(const struct spec *s);
/* "arm64" or "x86_64", from the name of an instance type: Graviton families have a g behind their generation (m7g,
 * c6gn, im4gn), and a1 is the first of them. Source: EC2 User Guide, "Instance type naming conventions". */
const char *spec_type_architecture(const char *type);
/* "x64" or "arm64": GitHub's word for EC2's architecture; NULL when the runner is not made for it. */
const char *spec_runner_architecture(const char *architecture);

#endif
