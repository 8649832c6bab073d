/* What a region has besides instances: subnets and groups from the beginning, images, snapshots, volumes and spot
 * requests that come and go. */
#ifndef MAYFLY_SIM_WORLD_RESOURCES_H
#define MAYFLY_SIM_WORLD_RESOURCES_H

#include "sim.h"

struct subnet {
    char *id, *region, *zone, *vpc;
    int64_t net, room; /* room: addresses that it has, taken or not */
    bool map_public;   /* instances get a public address unless they say otherwise */
    const char *route; /* static: where 0.0.0.0/0 goes: "igw", "nat" or "none" */
    bool main;         /* by the main route table, not by one of its own */
    struct pairs tags;
};

struct security_group {
    char *id, *region, *vpc, *name;
    bool egress; /* all of it, or none */
    struct pairs tags;
};

enum { EXTRA_GIB = 8 };

struct image {
    char *id, *region, *name, *description, *owner, *snapshot, *root_device;
    const char *alias, *architecture, *failed; /* static; alias "amazon", or NULL; failed: why, or NULL */
    const char *platform;                      /* static; "windows", or NULL */
    int64_t gib, created, available_at;        /* simulated ms; until then it is pending */
    int64_t deprecated_at;                     /* simulated ms, a full minute; 0: never */
    bool baked;                                /* has a runner in it */
    bool is_copy;                              /* of CopyImage */
    bool keeps;                                /* its volumes stay when an instance ends, unless that says otherwise */
    struct strlist devices;                    /* of further volumes of EXTRA_GIB */
    struct strlist shared;                     /* accounts that may launch it */
    struct pairs tags;
};

struct snapshot {
    char *id, *region, *owner, *volume, *description;
    int64_t gib, created, completed_at;
    bool encrypted;
    struct pairs tags;
};

struct volume {
    char *id, *region, *zone, *instance, *device, *type; /* instance NULL: available */
    char *kms_key, *snapshot;                            /* or NULL */
    int64_t size, iops, throughput, rate;                /* GiB, per second, MiB/s, MiB/s; 0: none */
    int64_t created;                                     /* simulated ms */
    bool delete_on_termination, encrypted;
    struct pairs tags;
};

struct spot_request {
    char *id, *region, *instance, *type, *image;
    char *price; /* the most that is paid, dollars an hour */
    int64_t created;
    bool persistent, cancelled;
    struct pairs tags;
};

/* What a ClientToken stands for, remembered after its instances are gone. */
struct client_token {
    char *token, *region, *zone, *parameters, *made; /* zone "": the request named none; made: an id */
};

struct parameter { /* of SSM */
    char *region, *name, *value, *type, *data_type, *description;
    int64_t version, modified; /* simulated ms */
};

struct volume *world_volume(const struct sim *s, const char *id);
struct subnet *world_subnet(const struct sim *s, const char *id);
struct security_group *world_group(const struct sim *s, const char *id);
struct image *world_image(const struct sim *s, const char *id);
struct snapshot *world_snapshot(const struct sim *s, const char *id);
struct spot_request *world_spot_request(const struct sim *s, const char *id);
/* Static: "available", … */
const char *image_state(const struct sim *s, const struct image *image);
bool image_is_own(const struct image *image);
bool snapshot_is_own(const struct snapshot *snapshot);
/* An image that has the snapshot, or NULL. */
const struct image *snapshot_user(const struct sim *s, const char *id);
struct volume *world_add_volume(struct sim *s, const char *region, const char *zone, const char *instance);
void world_remove_volume(struct sim *s, struct volume *v);
/* The instance is gone: its volumes go with it, or become available. */
void world_detach_volumes(struct sim *s, const char *instance);
void world_remove_image(struct sim *s, struct image *image);
void world_remove_snapshot(struct sim *s, struct snapshot *snapshot);
struct parameter *world_parameter(const struct sim *s, const char *region, const char *name);
/* Makes a parameter, or gives it a new version; type NULL: the one it has. */
struct parameter *world_put_parameter(struct sim *s, const char *region, const char *name, const char *type,
                                      const char *value);
void world_remove_parameter(struct sim *s, struct parameter *p);
void resources_clear(struct sim *s);

#endif
