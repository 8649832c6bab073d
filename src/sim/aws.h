/* AWS's Query protocol, as the services see it: one request with its answer. */
#ifndef MAYFLY_SIM_AWS_H
#define MAYFLY_SIM_AWS_H

#include "http.h"
#include "sim.h"

enum { PAGE_MAX = 1000, TAGS_MAX = 50, ID_DIGITS = 17, SUBNET_SIZE = 250 };

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

void aws_fail(struct response *res, const char *service, int status, const char *code, const char *message);

/* --- answers ------------------------------------------------------------------------------------------------------ */

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

/* --- parameters --------------------------------------------------------------------------------------------------- */

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
struct client_token;
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

#endif
