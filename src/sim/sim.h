/* mayfly-sim: EC2, STS, IMDS and GitHub on one loopback port, with state that lives in this process.
 *
 * One thread: the loop in main.c serves requests and lets time pass (world_tick). Nothing here is shared with src/aws
 * or src/github, so that it judges them independently. */
#ifndef MAYFLY_SIM_H
#define MAYFLY_SIM_H

#include <json-c/json.h>
#include <sys/types.h>

#include "mayfly/util/strbuf.h"

enum { SIM_TOKEN_LEN = 520 };

struct pairs { /* ordered names and values, owned */
    char **v;  /* name, value, name, value, … */
    size_t n;  /* of pairs */
};
const char *pairs_get(const struct pairs *p, const char *name);
void pairs_set(struct pairs *p, const char *name, const char *value);
void pairs_remove(struct pairs *p, const char *name);
void pairs_clear(struct pairs *p);

struct instance {
    char *id, *region, *image, *type, *subnet, *zone, *client_token, *parameters, *spot_request, *profile;
    char *volume; /* NULL: gone */
    bool baked;
    bool stop_on_shutdown, keep_volume;
    struct pairs tags, volume_tags;
    struct strbuf user_data; /* raw */
    struct strbuf console;
    const char *state;                        /* static: "pending", … */
    const char *reason_code, *reason_message; /* static */
    int64_t launched, running_at, change_at;  /* simulated ms; change_at: of a state that passes, 0: none */
    int64_t runner;                           /* id, once model mode has read the user-data; 0: none */
    pid_t sandbox;                            /* 0: none */
    int console_fd;
    char *sandbox_dir;
    int64_t dead_at; /* the machine died silently */
};

struct runner {
    int64_t id;
    char *scope, *name, *secret;
    struct strlist labels;
    bool online, busy;
    int64_t group, job; /* id of the job it runs, 0: none */
    int64_t offline_at; /* goes offline then; 0: no */
};

struct job {
    int64_t id, run_id;
    char *scope, *name;
    struct strlist labels, commands;
    struct pairs env;
    int64_t duration;                /* ms, of model mode */
    const char *status, *conclusion; /* static; conclusion NULL until completed */
    char *runner_name;
    int64_t runner_id, created, started, completed;
    struct strbuf log;
};

struct fault {
    char *service, *action, *kind, *code, *message;
    int64_t skip, times, status;
};

struct sim_options {
    bool sandbox, verbose, no_auth;
    int64_t boot, online, terminate_delay;
    struct strlist repos;
};

struct sim {
    struct sim_options options;
    uint16_t port;
    char *base_url, *self; /* self: path of this program */
    char *access_key, *secret_key, *session_token, *github_token, *work_dir;
    char *runner_sha256;
    struct strbuf runner_tarball;
    int64_t offset; /* ms that simulated time is ahead of the clock */
    struct instance **instances;
    size_t n_instances;
    struct runner **runners;
    size_t n_runners;
    struct job **jobs;
    size_t n_jobs;
    struct fault *faults;
    size_t n_faults;
    int64_t next_runner, next_job, next_request, rate_used;
    struct json_object *log; /* of requests */
};

struct request {
    const char *method, *path;   /* path without its query */
    struct pairs query, headers; /* header names in lower case */
    struct strbuf body;
};

struct response {
    int status;
    const char *content_type;
    struct strbuf body;
    struct pairs headers;
    bool drop;           /* close the connection instead of answering */
    const char *service; /* for the log: static */
    char *action, *code; /* for the log: owned */
};

/* Simulated milliseconds since 1970. */
int64_t sim_now(const struct sim *s);
char *sim_random_id(const char *prefix, size_t hex_digits);
/* A scripted fault for this action, if one is due; before: asked before the effect. */
struct fault *sim_fault(struct sim *s, const char *service, const char *action);
/* "a=b&c=d" into pairs, + and %XX decoded; false when malformed. */
bool form_parse(const char *text, size_t len, struct pairs *ret);

/* world.c */
void world_tick(struct sim *s);
/* The next moment at which something happens by itself, simulated ms; INT64_MAX: never. */
int64_t world_next(const struct sim *s);
struct instance *world_instance(struct sim *s, const char *id);
struct runner *world_runner(struct sim *s, int64_t id);
struct job *world_job(struct sim *s, int64_t id);
void world_remove_runner(struct sim *s, struct runner *r);
void world_shutdown(struct sim *s, struct instance *i, const char *code, const char *message);
void world_finish_job(struct sim *s, struct job *j, const char *conclusion);
bool world_assign_job(struct sim *s, struct runner *r);
void world_clear(struct sim *s);
bool instance_is(const struct instance *i, const char *state);
bool instance_is_live(const struct instance *i);

/* verify.c */
/* True when the request is signed as it should be; else *ret_code and *ret_status say what AWS would. */
bool verify_signature(const struct sim *s, const struct request *r, char **ret_service, char **ret_region,
                      const char **ret_code, int *ret_status);

/* ec2.c, github.c, control.c: fill *res */
void aws_serve(struct sim *s, const struct request *r, struct response *res);
void github_serve(struct sim *s, const struct request *r, struct response *res);
void control_serve(struct sim *s, const struct request *r, struct response *res);
void imds_serve(struct sim *s, const struct request *r, struct response *res);
void broker_serve(struct sim *s, const struct request *r, struct response *res);
void respond_json(struct response *res, int status, struct json_object *object); /* takes the object */

/* sandbox.c */
bool sandbox_prepare(struct sim *s, struct error *err); /* the runner's tarball */
void sandbox_start(struct sim *s, struct instance *i);
void sandbox_kill(struct sim *s, struct instance *i);
/* Reads consoles, notices ends. */
void sandbox_poll(struct sim *s);

/* standin.c: `mayfly-sim runner` */
int standin_main(void);

#endif
