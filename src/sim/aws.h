/* What the files of the simulated AWS share: one request with its answer, the rows that can be described, and what is
 * there from the beginning. */
#ifndef MAYFLY_SIM_AWS_H
#define MAYFLY_SIM_AWS_H

#include "sim.h"

enum { PAGE_MAX = 1000, TAGS_MAX = 50, ID_DIGITS = 17, SUBNET_SIZE = 250 };

extern const char aws_account[];

struct call { /* one request to a service */
    struct sim *sim;
    const struct request *request;
    const char *action;
    char *region;
    struct response *res;
};

/* A row of a service's table: an action, and the parameters it takes, numbers in their names written as N, since AWS
 * refuses unknown ones. `?` marks a boolean, `#` a number. DryRun goes with every action of EC2. */
struct action {
    const char *name; /* NULL ends a table */
    void (*serve)(struct call *);
    const char *parameters;
};
extern const struct action ec2_actions[], sts_actions[];

/* sts.c, issuer.c */
void sts_begin(struct call *c);
void sts_end(struct call *c);
void sts_assume_role(struct call *c);
void sts_assume_role_with_web_identity(struct call *c);

/* --- aws.c: answers ----------------------------------------------------------------------------------------------- */

/* <name>text</name>; NULL text writes nothing. */
void element(struct strbuf *out, const char *name, const char *text);
void element_int(struct strbuf *out, const char *name, int64_t n);
void element_bool(struct strbuf *out, const char *name, bool value);
void element_time(struct strbuf *out, const char *name, int64_t ms);
/* The text of element_time; owned. */
char *element_date(int64_t ms);
void element_open(struct strbuf *out, const char *name);
void element_close(struct strbuf *out, const char *name);
/* A new request id, as a header and, unless name is NULL, in the body. */
void aws_request_id(struct response *res, const char *name);

/* The answer becomes this error. Always false, so that a check can return it. */
bool call_refuse(struct call *c, int status, const char *code, const char *fmt, ...) PRINTF_LIKE(4, 5);
void call_begin(struct call *c);
void call_end(struct call *c);
/* The whole answer of an action that has nothing to tell. */
void call_return_true(struct call *c);

/* --- aws.c: parameters -------------------------------------------------------------------------------------------- */

const char *call_param(const struct call *c, const char *name);
const char *call_param_n(const struct call *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Is there a parameter below this name, such as "NetworkInterface.1."? */
bool call_has(const struct call *c, const char *prefix);
/* NAME.1, NAME.2, … */
void call_list(const struct call *c, const char *name, struct strlist *ret);
/* ClientToken; absent is allowed. */
bool call_check_token(struct call *c);
/* Every parameter but the token and DryRun: what must be the same when a token comes again. Owned. */
char *call_fingerprint(const struct call *c);
/* What the token of this request stands for, in this region (and zone, or ""), or NULL. Another request with the same
 * token is refused: *ret_mismatch. */
const struct client_token *call_find_token(struct call *c, const char *zone, const char *fingerprint,
                                           bool *ret_mismatch);
/* made: the id of what it stands for from now on. */
void call_keep_token(struct call *c, const char *zone, const char *fingerprint, const char *made);
/* What must be one of some words; absent is allowed. */
bool call_one_of(struct call *c, const char *name, const char *choices);
/* DryRun, at the point where all is checked and nothing has happened. True: go on. */
bool call_is_wet(struct call *c);
bool is_true(const char *value);
/* Ids of one kind: "i-" and 8 or 17 hexadecimal digits. */
bool aws_is_id(const char *id, const char *prefix);
/* Is a row of this region seen? */
#define IS_HERE(c, row) ((row) && str_eq((row)->region, (c)->region) && !(c)->request->hide)

/* --- describe.c: filters and pages -------------------------------------------------------------------------------- */

/* What can be described. */
struct resource {
    const char *ids;     /* the parameter that names them, "VolumeId" */
    const char *set;     /* the element around the rows */
    const char *filters; /* their names, besides tag:KEY and tag-key */
    /* Appends what the filter `name` looks at in a row. */
    void (*values)(const struct call *c, const void *row, const char *name, struct strlist *ret);
    const struct pairs *(*tags)(const void *row);     /* NULL: has none */
    bool (*check_id)(struct call *c, const char *id); /* NULL: they are checked elsewhere */
    uint64_t most;                                    /* of MaxResults; 0: 1000 */
};

struct listing { /* one Describe action under way */
    const struct resource *resource;
    struct strlist ids; /* that were asked for; empty: all */
    struct filter *filters;
    size_t n_filters;
    uint64_t max, from, seen; /* max 0: all */
};

/* Checks ids, page and filters; false: the request is refused. */
bool listing_begin(struct call *c, const struct resource *resource, struct listing *ret);
void listing_open(struct call *c, const struct listing *l);
/* Is this row asked for, and on this page? */
bool listing_takes(struct call *c, struct listing *l, const char *id, const void *row);
void listing_close(struct call *c, const struct listing *l);
void listing_clear(struct listing *l);

struct fact { /* what a filter may look at */
    const char *name, *value;
};
/* The value of the fact of this name, unless it is NULL. */
void facts_add(const struct fact *facts, size_t n, const char *name, struct strlist *ret);

/* --- ec2_tags.c --------------------------------------------------------------------------------------------------- */

void tags_write(struct strbuf *out, const struct pairs *tags);
/* The tags that the request gives to one kind of resource, all of them checked; kinds: those it may tag. */
bool tags_take(struct call *c, const char *kinds, const char *kind, struct pairs *ret);

/* --- catalog.c: what is there from the beginning ------------------------------------------------------------------ */

#define SIM_KEY "sim-key"
#define SIM_PLACEMENT_GROUP "sim-cluster"

struct type {
    const char *architecture, *zones; /* zones: the last letters of those that have it; NULL: all */
    int64_t vcpus, mib;
    bool burstable;
};

bool catalog_is_region(const char *name);
bool catalog_type(const char *name, struct type *ret);
/* Is the type to be had in this zone? */
bool catalog_offers(const struct type *type, const char *zone);
/* The one dedicated host of a region; owned. */
char *catalog_host(const char *region);
/* The name of type n, owned; NULL: there are no more. */
char *catalog_type_name(size_t n);

/* --- ec2_*.c ------------------------------------------------------------------------------------------------------ */

void instance_write(const struct sim *s, struct strbuf *out, const struct instance *i);
/* The ids that are malformed, or not there, are named all at once, as EC2 does. */
bool instances_check(struct call *c, const struct strlist *ids);
/* Is there this image in the region? */
bool image_check(struct call *c, const char *id);
/* The owners that the request names; false: one is none. */
bool owners_check(struct call *c, struct strlist *ret);
/* An image that has the snapshot, or NULL. */
const struct image *snapshot_user(const struct sim *s, const char *id);
/* Addresses that nothing has. */
uint64_t subnet_free(const struct sim *s, const struct subnet *subnet);
bool subnet_check(struct call *c, const char *id);
bool group_check(struct call *c, const char *id);
/* MaxPrice, if any, must reach what spot costs now. */
bool spot_check_price(struct call *c, const struct type *type);
/* The most that a request pays, dollars an hour; owned. */
char *spot_ceiling(const char *max_price, const struct type *type);

void ec2_run_instances(struct call *c);
void ec2_describe_instances(struct call *c);
void ec2_change_states(struct call *c);
void ec2_get_console_output(struct call *c);
void ec2_change_tags(struct call *c);
void ec2_describe_tags(struct call *c);
void ec2_describe_volumes(struct call *c);
void ec2_delete_volume(struct call *c);
void ec2_describe_spot_requests(struct call *c);
void ec2_describe_images(struct call *c);
void ec2_describe_subnets(struct call *c);
void ec2_describe_groups(struct call *c);
void ec2_create_group(struct call *c);
void ec2_describe_types(struct call *c);
void ec2_describe_offerings(struct call *c);
void ec2_describe_regions(struct call *c);
void ec2_describe_route_tables(struct call *c);
void ec2_describe_snapshots(struct call *c);
void ec2_delete_snapshot(struct call *c);
void ec2_deregister_image(struct call *c);
void ec2_create_image(struct call *c);
void ec2_copy_image(struct call *c);
void ec2_modify_image_attribute(struct call *c);
void ec2_enable_image_deprecation(struct call *c);
void ec2_cancel_spot_requests(struct call *c);

#endif
