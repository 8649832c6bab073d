/* A RunInstances on its way through the checks. */
#ifndef MAYFLY_SIM_EC2_RUN_H
#define MAYFLY_SIM_EC2_RUN_H

#include "catalog.h"
#include "ec2.h"

struct disk { /* a volume to be made; its strings are the request's and the image's */
    const char *device, *type, *kms_key, *snapshot;
    int64_t size, iops, throughput, rate; /* GiB, per second, MiB/s, MiB/s; 0: not given */
    bool encrypted, keep;                 /* keep: after its instance is terminated */
};

struct run { /* all zero at first */
    const struct image *image;
    const struct subnet *subnet;
    struct type type;
    struct strlist groups;
    struct strbuf user_data;
    struct pairs tags, volume_tags, spot_tags;
    uint64_t min, max, hops;
    bool spot, one_time, public_address;
    char *token_zone, *parameters, *profile; /* token_zone "": the request names none */
    struct disk *disks;                      /* the root first */
    size_t n_disks;
};

/* Reads and checks the request; false: it is refused. */
bool run_check(struct call *c, struct run *r);
void run_clear(struct run *r);

/* ec2_run_disks.c: the part on block devices. */
bool run_check_disks(struct call *c, struct run *r);

#endif
