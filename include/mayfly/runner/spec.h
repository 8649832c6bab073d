/* What the user asked for, validated before anything has an effect. Pure. */
#ifndef MAYFLY_RUNNER_SPEC_H
#define MAYFLY_RUNNER_SPEC_H

#include "mayfly/aws/ec2.h"
#include "mayfly/runner/tags.h"

struct spec { /* the options of start; owned by opts_parse */
    char *image;
    struct strlist types, subnets, security_groups, market, labels;
    char *label, *name, *instance_profile, *runner_dir, *user, *pre_runner_file;
    uint64_t count, runner_group;
    int64_t timeout, max_lifetime, idle_limit;
    bool dry_run;
};

/* All that can be said without asking anybody. */
MUST_CHECK bool spec_check(const struct spec *s, struct error *err);
/* Does the image exist, can it be launched, and does every type fit its architecture? images: the answer of
 * DescribeImages. */
MUST_CHECK bool spec_check_image(const struct spec *s, const struct field_list *images, struct error *err);
/* "arm64" or "x86_64", from the name of an instance type: Graviton families have a g behind their generation (m7g,
 * c6gn, im4gn), and a1 is the first of them. Source: EC2 User Guide, "Instance type naming conventions". */
const char *spec_type_architecture(const char *type);
/* "x64" or "arm64": GitHub's word for EC2's architecture; NULL when the runner is not made for it. */
const char *spec_runner_architecture(const char *architecture);

#endif
