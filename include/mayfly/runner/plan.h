/* The plan of a launch: where instances may go, what images they may have, and the cells to try, in order. Pure.
 *
 * plan_sites reads the options, image_take what EC2 says of each image, plan_cells multiplies. */
#ifndef MAYFLY_RUNNER_PLAN_H
#define MAYFLY_RUNNER_PLAN_H

#include "mayfly/runner/spec.h"

struct site { /* a place in the network */
    const char *region, *subnet;
    struct strlist security_groups;
    const char *image; /* the reference that belongs to it alone, or NULL: any image of the region */
};

enum image_kind {
    IMAGE_ID,   /* ami-… */
    IMAGE_SSM,  /* ssm:/parameter, or resolve:ssm:/parameter as RunInstances takes it, whose value is an id */
    IMAGE_NAME, /* name:PATTERN@OWNER, the newest */
};

struct image { /* a reference in one region, and what came of it */
    const char *region, *ref;
    enum image_kind kind;
    const char *value, *owner;                   /* the part behind ssm: or name:; owner of IMAGE_NAME */
    const char *id, *architecture, *root_device; /* NULL until it is known */
    struct field_list volumes;                   /* struct ec2_image_device: those that it keeps, name and size */
    bool has_runner;                             /* baked: tagged with the runner's version */
    const char *name, *created, *runner_version; /* for a person; NULL: it does not say */
    size_t at;                                   /* among the references, whatever their region */
};

enum { PLAN_DIMENSIONS = 5 };

struct cell { /* one place to try; strings are the plan's */
    const char *region, *subnet, *type;
    const struct strlist *security_groups;
    const struct image *image;
    bool spot;
    size_t at[PLAN_DIMENSIONS]; /* where each of the options stands that made it: what cells are sorted by */
};

struct plan {
    struct strlist regions; /* in the order to try */
    struct site *sites;
    size_t n_sites;
    struct image *images;
    size_t n_images;
    bool dropped; /* some images were */
    struct cell *cells;
    size_t n;
    struct strlist warnings; /* sentences about what was given and is ignored */
    struct arena arena;
};

/* The sites and the images to look up. Ids may be prefixed with their region ("us-west-2/subnet-…"); without one they
 * belong to default_region. References by ssm: and name: without one are looked up in every region. */
MUST_CHECK bool plan_sites(struct plan *plan, const struct spec *s, const char *default_region, struct error *err);

/* The regions that --places names, for whoever has to find what was launched there: added to *ret. */
MUST_CHECK bool plan_place_regions(const char *places, struct strlist *ret, struct error *err);

/* Is it this account that says which image it is: a parameter of its own, or its newest of a name? An id may be that of
 * a stranger's public image. Pure. */
bool image_is_own(const char *ref);
/* The same of every image in --places; what is no JSON names none. Pure. */
bool places_are_own(const char *places);

/* Takes what DescribeImages says of an image: the one of the id, or the newest that is available and proven. Refuses
 * what cannot run a runner. id: of an IMAGE_SSM, the parameter's value. */
MUST_CHECK bool image_take(struct image *image, const char *id, const struct field_list *images, struct arena *arena,
                           struct error *err);

/* Takes out the images that image_take did not fill in: places that cannot be used now. */
void plan_drop_images(struct plan *plan);

/* The cells: every market in every subnet with every image of its region and every type of the image's architecture,
 * sorted by --order, by default markets outermost, so that `spot, on-demand` tries spot everywhere first; then regions,
 * images, types and subnets. A type or an image that fits nothing is refused,
 * unless images were dropped. */
MUST_CHECK bool plan_cells(struct plan *plan, const struct spec *s, struct error *err);

void plan_clear(struct plan *plan);
/* "spot" or "on-demand". */
const char *cell_market(const struct cell *c);

#endif
