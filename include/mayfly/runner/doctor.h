/* The doctor's judgements: what was found, whether it is well, and what to do about it. Pure; cmd/doctor.c asks. */
#ifndef MAYFLY_RUNNER_DOCTOR_H
#define MAYFLY_RUNNER_DOCTOR_H

#include "mayfly/aws/ec2_network.h"
#include "mayfly/github/runners.h"
#include "mayfly/runner/plan.h"

/* In the order in which they are told. */
enum check {
    CHECK_OPTIONS,
    CHECK_LIMITS,
    CHECK_CREDENTIALS,
    CHECK_CLOCK,
    CHECK_REGION,
    CHECK_PERMISSION,
    CHECK_PARAMETER,
    CHECK_IMAGE,
    CHECK_IMAGE_AGE,
    CHECK_RUNNER_VERSION,
    CHECK_SUBNET,
    CHECK_ROUTE,
    CHECK_EGRESS,
    CHECK_TYPE,
    CHECK_ENCRYPTION,
    CHECK_USER_DATA,
    CHECK_LAUNCH,
    CHECK_PLACES,
    CHECK_APP,
    CHECK_TOKEN,
    CHECK_GITHUB,
    CHECK_RATE_LIMIT,
    CHECK_RUNNER_GROUP,
};
/* "image-age". */
const char *check_name(enum check check);

enum finding_status {
    FINDING_OK,
    FINDING_WARNING,     /* a launch would go on, and a person should know */
    FINDING_AVOIDABLE,   /* a launch goes elsewhere: a warning, or a problem where there is no elsewhere */
    FINDING_PROBLEM,     /* a launch would fail */
    FINDING_NOT_CHECKED, /* what it depends on failed, or it may not be looked at */
};
/* "not checked". */
const char *finding_status_name(enum finding_status status);

struct finding { /* owned strings */
    enum check check;
    enum finding_status status;
    char *did, *result;
    char *fix; /* what to do, or NULL */
};

struct findings { /* all zero: empty */
    struct finding *v;
    size_t n;
};
#define AUTO_FINDINGS CLEANUP(findings_clear) struct findings

/* Adds one; did: what was done, as words that a colon follows. The result comes by finding_result, the fix by
 * finding_fix; both add to what is there. */
struct finding *finding_add(struct findings *f, enum check check, enum finding_status status, const char *did_fmt, ...)
    PRINTF_LIKE(4, 5);
void finding_result(struct finding *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
void finding_fix(struct finding *f, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Puts them into the order of enum check, drops repetitions, and gives what is avoidable its final state. usable:
 * places of the plan that would take an instance. */
void findings_settle(struct findings *f, size_t usable);
/* Would a launch fail? Of findings that are settled. */
bool findings_have_problem(const struct findings *f);
void findings_clear(struct findings *f);

/* --- judgements, each of which adds a finding --------------------------------------------------------------------- */

/* skew: seconds that AWS's clock is ahead of ours. */
void doctor_clock(struct findings *f, int64_t skew);
/* Limits that fight each other or the time that a boot takes. */
void doctor_limits(struct findings *f, const struct spec *s);
/* now: seconds since 1970. */
void doctor_image_age(struct findings *f, const struct image *image, int64_t now);
/* newest: of what GitHub offers ("2.337.0"). */
void doctor_runner_version(struct findings *f, const struct image *image, const char *newest);
/* The highest version among the downloads (struct github_download), in the arena; NULL: none tells. */
const char *doctor_newest_runner(const struct field_list *downloads, struct arena *arena);

/* subnet NULL: EC2 does not know it. count: runners of a start. True when an instance fits. */
bool doctor_subnet(struct findings *f, const struct site *site, const struct ec2_subnet *subnet, uint64_t count);
/* Has it a way out to GitHub? tables: struct ec2_route_table. public_ip: what start asks for. */
void doctor_route(struct findings *f, const struct site *site, const struct ec2_subnet *subnet,
                  const struct field_list *tables, enum ec2_public_ip public_ip);
/* Do the groups let HTTPS out? groups: struct ec2_group. subnet: NULL when unknown. */
void doctor_egress(struct findings *f, const struct site *site, const struct ec2_subnet *subnet,
                   const struct field_list *groups);
/* Is the type offered in the subnet's zone? offerings: struct ec2_offering. */
bool doctor_type(struct findings *f, const struct ec2_subnet *subnet, const char *region, const char *type,
                 const struct field_list *offerings);
/* How the account encrypts volumes that do not say so. */
struct volume_encryption {
    bool by_default;
    const char *key;    /* of those that name none; NULL: not known */
    const char *number; /* the account's own; NULL: not known */
};
/* May the keys be used that the volumes of a launch in the region are encrypted with? keys: those that the options
 * name, as params_keys has them. */
void doctor_encryption(struct findings *f, const char *region, const struct strlist *keys,
                       const struct volume_encryption *account);
/* now: seconds since 1970. */
void doctor_rate(struct findings *f, const struct github_rate *rate, int64_t now);

/* The row of this id, or NULL. */
const struct ec2_subnet *doctor_find_subnet(const struct field_list *subnets, const char *id);

/* At most `most` cells for a trial, in the plan's order, such that as many as possible of its subnets, types, images
 * and markets are among them. Returns how many. */
size_t doctor_pick(const struct plan *plan, size_t most, size_t *ret_cells);

#endif
