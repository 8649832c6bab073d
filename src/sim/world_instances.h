/* Instances, from pending to terminated. */
#ifndef MAYFLY_SIM_WORLD_INSTANCES_H
#define MAYFLY_SIM_WORLD_INSTANCES_H

#include <sys/types.h>

#include "sim.h"

enum { SIM_CONSOLE_MAX = 65536 };

struct instance {
    char *id, *reservation, *region, *image, *type, *subnet, *zone, *client_token, *spot_request, *profile, *key_name;
    const char *architecture; /* static */
    char *http_tokens, *http_endpoint, *http_ipv6, *metadata_tags;
    char *root_device, *tenancy, *placement_group, *host, *credits;
    struct strlist groups;
    int64_t index, hops, vcpus, address; /* address: the host part of its IP */
    bool baked, public_address, stop_on_shutdown, protect, monitoring, ebs_optimized;
    struct pairs tags;
    struct strbuf user_data; /* raw */
    struct strbuf console;
    const char *state;                        /* static: "pending", … */
    const char *reason_code, *reason_message; /* static */
    char *transition;                         /* "User initiated (2026-…)", or NULL */
    int64_t launched, running_at, change_at;  /* simulated ms; change_at: of a state that passes, 0: none */
    int64_t runner;                           /* id, once model mode has read the user-data; 0: none */
    const char *interrupt_reason;             /* static: its StateReason */
    int64_t interrupt_at;                     /* simulated ms of the spot interruption; 0: none */
    char *imds_token;
    int64_t imds_until;
    pid_t sandbox; /* 0: none */
    int console_fd;
    char *sandbox_dir;
    int64_t dead_at; /* the machine died silently */
    char *nonce;     /* of a bake, or NULL */
    bool smoke;      /* it proves an image */
    struct strlist steps;
    size_t steps_done;
    int64_t step_at; /* simulated ms; the next step, or the end; 0: none */
};

struct instance *world_instance(const struct sim *s, const char *id);
bool instance_is(const struct instance *i, const char *state);
bool instance_is_live(const struct instance *i);
/* Is it so long ago that it is seen? */
bool instance_is_seen(const struct sim *s, const struct instance *i);
/* Its addresses, owned; NULL: it has none. */
char *instance_address(const struct sim *s, const struct instance *i);
char *instance_public_address(const struct instance *i);

/* The machine goes off; what follows depends on who asked (code) and on its shutdown behaviour. */
void world_shutdown(struct sim *s, struct instance *i, const char *code, const char *message);
void world_stop(struct sim *s, struct instance *i);
/* By itself. */
void world_power_off(struct sim *s, struct instance *i);
/* The machine is gone without a word: GitHub notices after 30 s. */
void world_kill(struct sim *s, struct instance *i);
/* A code of StateReason with which EC2 ends instances by itself, static; code NULL: a spot interruption's. NULL: no
 * such code. */
const char *world_end_reason(const char *code);
/* Adds n instances like this one, without volumes, each with a runner like its own; false: it has none, or runs in a
 * sandbox. */
bool world_copy(struct sim *s, const struct instance *like, size_t n);

void instances_tick(struct sim *s, int64_t now);
/* When they change next by themselves, after now; INT64_MAX: never. */
int64_t instances_next(const struct sim *s, int64_t now);
void instances_clear(struct sim *s);

#endif
