/* One request to /_sim, and what serves it, as the rows of control.c say. */
#ifndef MAYFLY_SIM_CONTROL_CALL_H
#define MAYFLY_SIM_CONTROL_CALL_H

#include <json-c/json.h>

#include "http.h"
#include "sim.h"

#include "mayfly/codec/field.h"

struct control_call {
    struct sim *sim;
    const char *rest; /* the path behind its row's */
    const struct request *request;
    struct response *res; /* 200 and empty, unless whoever serves it says otherwise */
    struct arena arena;   /* of what was taken from the body */
};

/* Always false, so that a check can return it. */
bool control_refuse(struct control_call *c, int status, const char *message);
/* Parses the body, which `what` names; the caller owns *ret. False: refused. */
bool control_parse(struct control_call *c, const char *what, struct json_object **ret);
/* Fills *ret from the body; what the body does not name stays. False: refused. */
bool control_take(struct control_call *c, const struct field *fields, void *ret, const char *what);
/* The same, but an empty body changes nothing. */
bool control_take_some(struct control_call *c, const struct field *fields, void *ret);
bool control_is(const struct control_call *c, const char *method);

void control_add_job(struct control_call *c);
void control_one_job(struct control_call *c);
void control_one_instance(struct control_call *c);
void control_copies(struct control_call *c);
void control_runner(struct control_call *c);
void control_runner_groups(struct control_call *c);
void control_app(struct control_call *c);
void control_ssm(struct control_call *c);
void control_image(struct control_call *c);
void control_subnet(struct control_call *c);
void control_security_group(struct control_call *c);
void control_encryption(struct control_call *c);

#endif
