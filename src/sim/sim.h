/* mayfly-sim: EC2, STS, SSM, IMDS and GitHub on one loopback port, with state that lives in this process.
 *
 * One thread: the loop in main.c serves requests and lets time pass (world_tick). Nothing here is shared with src/aws
 * or src/github, so that it judges them independently. */
#ifndef MAYFLY_SIM_H
#define MAYFLY_SIM_H

#include <json-c/json.h>
#include <stdio.h>
#include <sys/types.h>

#include "mayfly/util/pairs.h"
#include "mayfly/util/strbuf.h"

enum { SIM_TOKEN_LEN = 520, SIM_CONSOLE_MAX = 65536, SIM_FORM_MAX = 4096 };

/* Rows are pointers that an array owns. */
#define ROW_ADD(array, n, row)                                                                                         \
    do {                                                                                                               \
        (array) = xreallocarray((array), (n) + 1, sizeof(*(array)));                                                   \
        (array)[(n)++] = (row);                                                                                        \
    } while (0)
/* Takes a row out and gives it to drop(). */
#define ROW_REMOVE(array, n, row, drop)                                                                                \
    do {                                                                                                               \
        size_t at_ = 0;                                                                                                \
        while (at_ < (n) && (array)[at_] != (row))                                                                     \
            at_++;                                                                                                     \
        if (at_ < (n)) {                                                                                               \
            (n)--;                                                                                                     \
            memmove(&(array)[at_], &(array)[at_ + 1], ((n)-at_) * sizeof(*(array)));                                   \
            drop(row);                                                                                                 \
        }                                                                                                              \
    } while (0)
/* The row with this id, or NULL. */
#define ROW_FIND(array, n, key)                                                                                        \
    __extension__({                                                                                                    \
        __typeof__(*(array)) found_ = NULL;                                                                            \
        for (size_t at_ = 0; (key) && !found_ && at_ < (n); at_++)                                                     \
            if (str_eq((array)[at_]->id, (key)))                                                                       \
                found_ = (array)[at_];                                                                                 \
        found_;                                                                                                        \
    })

/* Sets what the object under `key` has, values as text; nothing when there is no such object. */
void pairs_take_json(struct pairs *p, struct json_object *parent, const char *key);

/* What one region has: subnets and groups from the beginning, images and snapshots that come and go. */
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

/* Of SSM. */
struct parameter {
    char *region, *name, *value, *type, *data_type, *description;
    int64_t version, modified; /* simulated ms */
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

struct runner {
    int64_t id;
    char *scope, *name, *secret, *work_folder;
    struct strlist labels;
    bool connected, online, busy;     /* connected: was online at least once */
    int64_t group, job;               /* id of the job it runs, 0: none */
    int64_t created, idle_since;      /* simulated ms */
    int64_t online_since, busy_since; /* simulated ms; 0: whoever looks knows */
    int64_t offline_at;               /* goes offline then; 0: no */
    int64_t unlock_at;                /* the lock of a busy machine that died lapses then; 0: no */
};

struct job {
    int64_t id, run_id, attempt;
    char *scope, *name;
    struct strlist labels, commands;
    struct pairs env;
    int64_t duration;                /* ms, of model mode */
    const char *status, *conclusion; /* static; conclusion NULL until completed */
    char *runner_name;
    int64_t runner_id, group, created, started, completed; /* group: of its runner */
    struct strbuf log;
};

enum fault_when { FAULT_DEFAULT, FAULT_BEFORE, FAULT_AFTER }; /* before or after the effect */

enum effect {
    EFFECT_ERROR,      /* an error of the service's own form */
    EFFECT_STATUS,     /* a status with a page that is of no service */
    EFFECT_CLOSE,      /* no answer: the connection is closed */
    EFFECT_RESET,      /* no answer: the connection is reset */
    EFFECT_CUT,        /* half the body */
    EFFECT_GARBAGE,    /* bytes that mean nothing */
    EFFECT_WAIT,       /* for ms, or until it is let go on */
    EFFECT_HIDE,       /* what exists is not seen yet */
    EFFECT_EMPTY_PAGE, /* no rows, but a token */
    EFFECT_LOOP,       /* the first page, and a token for it */
    EFFECT_DATE,       /* a header Date that is wrong */
    EFFECT_LIE,        /* GitHub says of a runner what is not so */
};

struct fault_answer {
    int status;
    const char *code, *message;
};

struct fault_kind {
    const char *name;
    enum effect effect;
    enum fault_when when; /* unless the fault says so itself */
    bool close;           /* EFFECT_WAIT: at the end of it there is no answer */
    struct fault_answer ec2, sts, ssm, github;
};

struct fault {
    char *service, *action, *code, *message;
    const struct fault_kind *kind;
    enum fault_when when;
    int64_t skip, times, status, ms; /* times < 0: for ever; ms < 0: without end */
    int64_t until, seconds;          /* simulated ms, 0: no end; seconds: that the Date is ahead */
    char *runner;                    /* a part of the names that a lie is about; NULL: every one */
    struct pairs match, headers;
};

struct sim_options {
    bool sandbox, verbose, no_auth;
    int64_t boot, online, idle_removal, terminate_delay, image_delay, bake, rate_limit;
    int64_t app_token_life;                 /* ms */
    int64_t run_rate, run_burst, mint_rate; /* per second and at once; per minute; 0: no limit */
    struct strlist repos;
    int64_t credential_life; /* s; 0: as asked for */
};

struct lag { /* ms after which what changed is seen */
    int64_t ec2, github;
};

struct bucket { /* of a region's RunInstances */
    char *region;
    int64_t tokens, at; /* thousandths; simulated ms */
};

struct sim {
    struct sim_options options;
    uint16_t port;
    char *base_url, *self; /* self: path of this program */
    char *access_key, *secret_key, *session_token, *github_token, *work_dir;
    struct issued { /* temporary credentials that somebody was given */
        char *access_key, *secret_key, *session_token, *arn;
        int64_t expires; /* simulated ms */
    } * issued;
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
    struct fault *faults;
    size_t n_faults;
    struct exchange *held;        /* requests that wait: hold, delay, hang */
    struct strlist labels;        /* every label of a runner; its id is its place, from 1 */
    struct strlist runner_groups; /* of every organisation; the id is the place, from 1 */
    struct app *app;              /* the GitHub App, or NULL */
    struct bucket *buckets;
    size_t n_buckets, next_mint;
    int64_t *mints; /* when the last just-in-time configurations were made: a ring */
    int64_t refused_runs, refused_mints;
    int64_t next_runner, next_job, next_request, next_instance, rate_used, rate_reset;
    struct lag lag;
    struct json_object *log;    /* of requests */
    struct json_object *killed; /* jobs whose machine or record somebody took away */
};

struct request {
    /* The server's, as mayfly/net/server.h describes them: borrowed. */
    const char *method, *path, *raw_path;
    struct pairs query, headers;
    struct strbuf body;
    /* What the simulator found out. */
    struct pairs form; /* the body of a request to AWS */
    bool form_ok;
    const char *service; /* static: "ec2", "sts", "ssm", "github", "imds", "issuer", "runner", "dist", "_sim" */
    char *action;        /* "RunInstances", "generate-jitconfig", "GET /imds/…" */
    bool hide;           /* a scripted fault: what exists is not seen yet */
    bool empty_page;     /* a scripted fault: a page without rows and with a token */
    bool loop;           /* a scripted fault: the next page is the first, whatever is asked for */
    const char *lie;     /* a scripted fault: its kind, static; NULL: none */
    const char *liar;    /* whose names have this in them; while the request is served */
};

struct response {
    int status;
    const char *content_type;
    struct strbuf body;
    struct pairs headers;
    char *code; /* for the log */
};

/* Simulated milliseconds since 1970. */
int64_t sim_now(const struct sim *s);
char *sim_random_id(const char *prefix, size_t hex_digits);
/* text.c: "a=b&c=d" into pairs, + and %XX decoded; false when malformed, too long, or not UTF-8 text. */
bool form_parse(const char *text, size_t len, struct pairs *ret);
bool is_utf8(const char *bytes, size_t len);
/* A JSON string of any bytes: what is not UTF-8 becomes '?'. NULL stays NULL. */
struct json_object *sim_text(const char *s);
/* Appends to a buffer that keeps its last bytes when full, as EC2 keeps a console. */
void strbuf_add_tail(struct strbuf *sb, const char *bytes, size_t len);

/* faults.c. JSON is one fault or a list: {"service", "action", "nth": 1 | "skip": 0, "times": 1,
 * "fault", "when": "before" | "after", "status", "code", "message", "headers", "ms", "for_ms", "seconds", "runner",
 * "match": {parameter: value}}. */
bool faults_add(struct sim *s, struct json_object *json, struct error *err);
struct json_object *faults_json(const struct sim *s);
void faults_clear(struct sim *s);
/* Names the kinds. */
void faults_help(FILE *out);
/* The first fault that is due for this request, at this moment; it is used up by that. */
const struct fault *fault_due(struct sim *s, const struct request *r, enum fault_when when);
/* The answer that a fault puts in the place of the real one. */
void fault_answer(const struct fault *f, const struct request *r, struct response *res);

/* main.c: the requests that wait, and letting one (n) or all (0) of them go on; drop: their connection is closed
 * instead, and what has had no effect has none. Returns how many. */
struct json_object *held_json(const struct sim *s);
size_t held_release(struct sim *s, int64_t n, bool drop);

/* world.c */
void world_tick(struct sim *s);
/* The next moment at which something happens by itself, simulated ms; INT64_MAX: never. */
int64_t world_next(const struct sim *s);
struct instance *world_instance(const struct sim *s, const char *id);
struct volume *world_volume(const struct sim *s, const char *id);
struct subnet *world_subnet(const struct sim *s, const char *id);
struct security_group *world_group(const struct sim *s, const char *id);
struct image *world_image(const struct sim *s, const char *id);
struct snapshot *world_snapshot(const struct sim *s, const char *id);
struct spot_request *world_spot_request(const struct sim *s, const char *id);
struct runner *world_runner(const struct sim *s, int64_t id);
struct job *world_job(const struct sim *s, int64_t id);
struct volume *world_add_volume(struct sim *s, const char *region, const char *zone, const char *instance);
void world_remove_volume(struct sim *s, struct volume *v);
void world_remove_image(struct sim *s, struct image *image);
void world_remove_snapshot(struct sim *s, struct snapshot *snapshot);
void world_remove_runner(struct sim *s, struct runner *r);
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
void world_connect(struct sim *s, struct runner *r);
/* Adds n instances like this one, without volumes, each with a runner like its own; false: it has none, or runs in a
 * sandbox. */
bool world_copy(struct sim *s, const struct instance *like, size_t n);
/* conclusion: static. remove: its just-in-time runner has done its job. */
void world_finish_job(struct sim *s, struct job *j, const char *conclusion, bool remove);
bool world_assign_job(struct sim *s, struct runner *r);
void world_clear(struct sim *s);
bool instance_is(const struct instance *i, const char *state);
/* Is it so long ago that it is seen? */
bool instance_is_seen(const struct sim *s, const struct instance *i);
bool world_is_seen(const struct sim *s, int64_t since, int64_t lag);
/* Somebody took from a job what it ran on. how: static. */
void world_note_killed(struct sim *s, const struct runner *r, const struct instance *i, const char *how);
bool instance_is_live(const struct instance *i);
/* Its addresses, owned; NULL: it has none. */
char *instance_address(const struct sim *s, const struct instance *i);
char *instance_public_address(const struct instance *i);

/* catalog.c: puts into an empty world what is there from the beginning. */
void catalog_seed(struct sim *s);
/* Tells what that is. */
void catalog_help(FILE *out);

/* ec2_images.c, ec2_snapshots.c */
const char *image_state(const struct sim *s, const struct image *image); /* static: "available", … */
bool image_is_own(const struct image *image);
bool snapshot_is_own(const struct snapshot *snapshot);

/* rates.c: may it be done now? If not, that is counted. */
bool rates_take_run(struct sim *s, const char *region);
/* *ret_wait: seconds until it may. */
bool rates_take_mint(struct sim *s, int64_t *ret_wait);
/* "PER_SECOND,BURST". */
bool rates_parse(const char *text, struct sim_options *ret, struct error *err);
void rates_clear(struct sim *s);

/* state.c */
struct json_object *state_json(const struct sim *s);
struct json_object *state_job(const struct job *j);
struct json_object *pairs_json(const struct pairs *p); /* an object of strings */
struct json_object *list_json(const struct strlist *l);

/* ssm.c */
struct parameter *ssm_find(const struct sim *s, const char *region, const char *name);
/* Makes a parameter, or gives it a new version; type NULL: the one it has. */
struct parameter *ssm_put(struct sim *s, const char *region, const char *name, const char *type, const char *value);
void ssm_remove(struct sim *s, struct parameter *p);
void ssm_clear(struct sim *s);
/* The region of this number; NULL: there are no more. */
const char *catalog_region(size_t n);

/* verify.c */
/* True when the request is signed as it should be; else *ret_code, *ret_message and *ret_status say what AWS would.
 * *ret_region is owned, and NULL when the credential names none. */
bool verify_signature(const struct sim *s, const struct request *r, char **ret_region, const char **ret_code,
                      const char **ret_message, int *ret_status);
/* A part of the credential scope, owned; NULL: there is none. */
enum scope_part { SCOPE_KEY = 0, SCOPE_REGION = 2, SCOPE_SERVICE = 3 };
char *verify_scope(const struct request *r, enum scope_part which);

/* issuer.c: the credentials with this key, or NULL */
const struct issued *issuer_find(const struct sim *s, const char *access_key);
void issuer_clear(struct sim *s);
void issuer_serve(struct sim *s, const struct request *r, struct response *res);

/* aws.c, ssm.c, github.c, control.c: fill *res */
void aws_serve(struct sim *s, const struct request *r, struct response *res);
void ssm_serve(struct sim *s, const struct request *r, struct response *res);
/* What AWS says to who may not do this, with what DecodeAuthorizationMessage decodes; owned. */
char *aws_denial(const struct request *r);
void aws_fail(struct response *res, const char *service, int status, const char *code, const char *message);
void github_serve(struct sim *s, const struct request *r, struct response *res);
void github_fail(struct response *res, int status, const char *message);
/* What every answer of GitHub carries. */
void github_finish(struct sim *s, const struct request *r, struct response *res);
/* The name by which faults and the log know a request to GitHub; owned. */
char *github_action(const struct request *r);

/* github_app.c: the App, when one of the two files is named: the private key is written to the first, or the public one
 * read from the second. */
struct app_token;
bool app_open(struct sim *s, const char *key_file, const char *public_key_file, struct error *err);
void app_reset(struct sim *s);
void app_close(struct sim *s);
const char *app_client_id(void);
/* The name of a request to the App's own part of the API, static; NULL: it is none. */
const char *app_action(const char *method, const char *path);
/* Serves it. bearer: what stood behind Bearer, or NULL. False: it is none, or there is no App. */
bool app_serve(struct sim *s, const char *path, const char *bearer, const struct request *r, struct response *res);
/* A token that works; NULL: it does not. */
const struct app_token *app_token(const struct sim *s, const char *token);
/* scope: "/repos/octo/demo"; permission: "administration=write". */
bool app_token_opens(const struct app_token *t, const char *scope);
bool app_token_may(const struct app_token *t, const char *permission);
struct json_object *app_json(const struct sim *s);
bool app_change(struct sim *s, struct json_object *body, struct error *err);

/* Tells what /_sim knows. */
void control_help(FILE *out);
void control_serve(struct sim *s, const struct request *r, struct response *res);
void imds_serve(struct sim *s, const struct request *r, struct response *res);
/* As it was given, be it gzipped. */
void imds_user_data(const struct instance *i, struct response *res);
enum { USER_SCRIPT_MAX = 1 << 20 };
/* What cloud-init or mayfly-agent make of the user-data; false: it cannot be decompressed into the buffer. */
bool instance_script(const struct instance *i, struct strbuf *script);
void broker_serve(struct sim *s, const struct request *r, struct response *res);
void respond_json(struct response *res, int status, struct json_object *object); /* takes the object */
void respond_text(struct response *res, int status, const char *body);

/* sandbox.c */
bool sandbox_prepare(struct sim *s, struct error *err); /* the runner's tarball */
void sandbox_start(struct sim *s, struct instance *i);
void sandbox_kill(struct sim *s, struct instance *i);
/* Reads consoles, notices ends. */
void sandbox_poll(struct sim *s);

/* builder.c: machines that bake or prove an image, which no sandbox can */
void builder_boot(struct sim *s, struct instance *i);
void builder_tick(struct sim *s, struct instance *i, int64_t now);

/* standin.c: `mayfly-sim runner` */
int standin_main(void);

#endif
