/* EC2 over its Query protocol, API version 2016-11-15.
 *
 * Each operation is a pair: NAME_call makes the call, NAME_result decodes the answer of one that succeeded. */
#ifndef MAYFLY_AWS_EC2_H
#define MAYFLY_AWS_EC2_H

#include "mayfly/aws/call.h"
#include "mayfly/aws/ec2_filter.h"
#include "mayfly/codec/field.h"

struct ec2_tag {
    const char *key, *value;
};

enum ec2_state {
    EC2_UNKNOWN,
    EC2_PENDING,
    EC2_RUNNING,
    EC2_SHUTTING_DOWN,
    EC2_TERMINATED,
    EC2_STOPPING,
    EC2_STOPPED,
};

/* "running" to EC2_RUNNING; anything else than the six names is EC2_UNKNOWN. */
enum ec2_state ec2_state_parse(const char *name);
const char *ec2_state_format(enum ec2_state state);
/* Pending, running, stopping or stopped: it exists and may cost money. */
bool ec2_state_is_live(enum ec2_state state);

struct ec2_instance { /* strings live in the arena of the decoder; NULL when absent */
    const char *id, *image, *type, *zone, *subnet, *lifecycle, *client_token, *state_name, *launch_time;
    const char *reason_code, *reason_message;
    struct field_list tags; /* struct ec2_tag */
};

enum ec2_state ec2_instance_state(const struct ec2_instance *i);
/* Seconds since 1970, or 0 when absent or malformed. */
int64_t ec2_instance_launched(const struct ec2_instance *i);
/* The value of a tag, or NULL. */
const char *ec2_instance_tag(const struct ec2_instance *i, const char *key);

enum ec2_public_ip { /* the subnet's setting decides, or we do */
                     EC2_PUBLIC_IP_DEFAULT,
                     EC2_PUBLIC_IP_YES,
                     EC2_PUBLIC_IP_NO,
};

struct ec2_run { /* what RunInstances is asked for; all borrowed; NULL leaves a parameter out */
    const char *region, *image, *type, *subnet, *client_token;
    const struct strlist *security_groups;
    bool spot;
    bool stops;            /* when it powers itself off, and does not terminate; not of spot */
    const char *max_price; /* of spot, in dollars an hour, or NULL: the on-demand price, which interrupts least */
    const char *user_data; /* base64 */
    enum ec2_public_ip public_ip;
    const struct strlist *params; /* further parameters: name, value, name, value, …; or NULL */
    const struct ec2_tag *tags;
    size_t n_tags;
    const char *instance_profile; /* a name, or an ARN */
};

/* Makes a call that has not been started ask only whether it would be allowed: it then fails, with DryRunOperation when
 * it would. EC2 checks the parameters too. */
void ec2_make_dry(struct aws_call *call);

/* Launches exactly one instance: terminates on shutdown unless it stops, tags on instance, volumes and spot request in
 * the same call.
 */
struct aws_call *ec2_run_instances_call(struct aws *aws, const struct ec2_run *run);
MUST_CHECK bool ec2_run_instances_result(const struct aws_call *call, struct arena *arena, struct ec2_instance *ret,
                                         struct error *err);

/* One page of at most 1000. token: of the page before, or NULL. n must be at least 1: an unfiltered description would
 * be of everything. */
struct aws_call *ec2_describe_instances_call(struct aws *aws, const char *region, const struct ec2_filter *filters,
                                             size_t n, const char *token);
struct ec2_page {
    struct field_list instances; /* struct ec2_instance */
    const char *owner;           /* the account of one of them, or NULL */
    const char *next_token;      /* NULL: the last page. A page may be empty and still have one. */
};
MUST_CHECK bool ec2_describe_instances_result(const struct aws_call *call, struct arena *arena, struct ec2_page *ret,
                                              struct error *err);

/* The error of an answer with such an instance; false. */
bool ec2_no_id(struct error *err);
/* The same for who can do with less: an instance without an id is left out; *ret_skipped: of so many. */
MUST_CHECK bool ec2_describe_instances_rows(const struct aws_call *call, struct arena *arena, struct ec2_page *ret,
                                            size_t *ret_skipped, struct error *err);

/* At least one id. */
struct aws_call *ec2_terminate_instances_call(struct aws *aws, const char *region, const struct strlist *ids);
/* The states that EC2 reports afterwards: struct ec2_change rows. */
struct ec2_change {
    const char *id, *state_name;
};
MUST_CHECK bool ec2_terminate_instances_result(const struct aws_call *call, struct arena *arena,
                                               struct field_list *ret_changes, struct error *err);

struct ec2_image {
    const char *id, *name, *state, *architecture, *root_device, *created;
    const char *platform;      /* "windows", or NULL */
    struct field_list tags;    /* struct ec2_tag */
    struct field_list devices; /* struct ec2_image_device */
};
struct ec2_image_device { /* NULL: not said */
    const char *name, *virtual_name, *no_device;
    const char *snapshot, *size, *type, *deletes; /* of a volume: one of them is there */
};
/* By ids (at least one), or by owner ("self", "amazon", an account's number) and name (with * and ?), whichever is not
 * NULL. */
struct aws_call *ec2_describe_images_call(struct aws *aws, const char *region, const struct strlist *ids,
                                          const char *owner, const char *name);
MUST_CHECK bool ec2_describe_images_result(const struct aws_call *call, struct arena *arena,
                                           struct field_list *ret_images, struct error *err);

/* latest: as it is now, which types without Nitro refuse with UnsupportedOperation; else as of the last start or stop.
 */
struct aws_call *ec2_get_console_output_call(struct aws *aws, const char *region, const char *id, bool latest);
/* Appends the decoded text, with spaces for null bytes; nothing when EC2 has none yet. */
MUST_CHECK bool ec2_get_console_output_result(const struct aws_call *call, struct strbuf *ret, struct error *err);

/* Sets one tag on one resource; value NULL removes the tag. */
struct aws_call *ec2_tag_call(struct aws *aws, const char *region, const char *id, const char *key, const char *value);

/* Does it look like an id of this kind ("i", "ami", "subnet", "sg"): the prefix, a dash and 8 or 17 hexadecimal digits?
 */
bool ec2_id_is_valid(const char *id, const char *kind);

#endif
