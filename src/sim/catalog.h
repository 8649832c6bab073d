/* What is there from the beginning. */
#ifndef MAYFLY_SIM_CATALOG_H
#define MAYFLY_SIM_CATALOG_H

#include <stdio.h>

#include "sim.h"

#define SIM_KEY "sim-key"
#define SIM_PLACEMENT_GROUP "sim-cluster"

/* Puts into an empty world what is there from the beginning. */
void catalog_seed(struct sim *s);
/* Tells what that is. */
void catalog_help(FILE *out);

struct type {
    const char *architecture, *zones; /* zones: the last letters of those that have it; NULL: all */
    int64_t vcpus, mib;
    bool burstable;
};

bool catalog_is_region(const char *name);
/* The region of this number; NULL: there are no more. */
const char *catalog_region(size_t n);
bool catalog_type(const char *name, struct type *ret);
/* Is the type to be had in this zone? */
bool catalog_offers(const struct type *type, const char *zone);
/* The one dedicated host of a region; owned. */
char *catalog_host(const char *region);
/* The name of type n, owned; NULL: there are no more. */
char *catalog_type_name(size_t n);

#endif
