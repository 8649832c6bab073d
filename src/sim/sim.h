/* mayfly-sim: EC2, STS, SSM, IMDS and GitHub on one loopback port, with state that lives in this process.
 *
 * One thread: the loop in main.c serves requests and lets time pass (world_tick). Nothing here is shared with src/aws
 * or src/github, so that it judges them independently. From below: world*.c, what there is and what time does to it;
 * the services, which know the world and never each other; main.c, which knows all. */
#ifndef MAYFLY_SIM_SIM_H
#define MAYFLY_SIM_SIM_H

#include <json-c/json.h>

#include "mayfly/util/pairs.h"
#include "mayfly/util/strbuf.h"

struct sim_options {
    bool sandbox, verbose, no_auth;
    int64_t boot, online, idle_removal, terminate_delay, image_delay, bake, rate_limit;
    int64_t app_token_life;                 /* ms */
    int64_t run_rate, run_burst, mint_rate; /* per second and at once; per minute; 0: no limit */
    struct strlist repos;
    int64_t credential_life; /* s; 0: as asked for */
};

struct encryption { /* of the account's new volumes, in every region */
    bool by_default;
    char *key; /* of those that name none; NULL: AWS's own */
};

struct lag { /* ms after which what changed is seen */
    int64_t ec2, github;
};

/* All that there is. What a member points to is described by the header of the file that owns it. */
struct sim {
    struct sim_options options;
    const struct world_hooks *hooks;
    uint16_t port;
    char *base_url, *self; /* self: path of this program */
    char *access_key, *secret_key, *session_token, *github_token, *work_dir;
    struct issued *issued; /* credentials that somebody was given */
    size_t n_issued;
    char *source_token; /* what a container, a job, an SSO session or an instance shows for its own */
    char *oidc_token;   /* the last one that was issued, for a web identity */
    int64_t oidc_until;
    char *runner_sha256;
    struct strbuf runner_tarball;
    int64_t offset;      /* ms that simulated time is ahead of the clock */
    int64_t quiet_until; /* simulated ms; nothing happens by itself before; 0: not known */
    struct subnet **subnets;
    size_t n_subnets;
    struct security_group **groups;
    size_t n_groups;
    struct image **images;
    size_t n_images;
    struct snapshot **snapshots;
    size_t n_snapshots;
    struct instance **instances;
    size_t n_instances;
    struct volume **volumes;
    size_t n_volumes;
    struct spot_request **spot_requests;
    size_t n_spot_requests;
    struct client_token *tokens;
    size_t n_tokens;
    struct parameter **parameters;
    size_t n_parameters;
    struct runner **runners;
    size_t n_runners;
    struct job **jobs;
    size_t n_jobs;
    struct killed *killed;
    size_t n_killed;
    struct fault *faults;
    size_t n_faults;
    struct exchange *held;        /* requests that wait: hold, delay, hang */
    struct strlist labels;        /* every label of a runner; its id is its place, from 1 */
    struct strlist runner_groups; /* of every organization; the id is the place, from 1 */
    struct app *app;              /* the GitHub App, or NULL */
    struct bucket *buckets;
    size_t n_buckets, next_mint;
    int64_t *mints; /* when the last just-in-time configurations were made: a ring */
    int64_t refused_runs, refused_mints;
    int64_t next_runner, next_job, next_request, next_instance, rate_used, rate_reset;
    struct lag lag;
    struct encryption encryption;
    struct json_object *log; /* of requests */
};

/* Of AWS. */
extern const char sim_account[];

/* Simulated milliseconds since 1970. */
int64_t sim_now(const struct sim *s);
/* Is it so long ago that it is seen? */
bool sim_is_seen(const struct sim *s, int64_t since, int64_t lag);
char *sim_random_id(const char *prefix, size_t hex_digits);

#endif
