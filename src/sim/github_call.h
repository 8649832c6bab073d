/* One request to GitHub, its refusals and its pages; and what serves it, as the routes of github.c say. */
#ifndef MAYFLY_SIM_GITHUB_CALL_H
#define MAYFLY_SIM_GITHUB_CALL_H

#include <json-c/json.h>

#include "http.h"
#include "sim.h"
#include "world_runners.h"

struct github_call {
    struct sim *sim;
    const char *scope;
    const struct request *request;
    struct response *res;
    int64_t ids[2]; /* the numbers in the path */
};

/* The answer becomes this error; the message is what the log has for a code. */
void github_fail(struct response *res, int status, const char *message);
void github_refuse(struct response *res, int status, const char *fmt, ...) PRINTF_LIKE(3, 4);

struct github_page {
    uint64_t page, per_page, total;
    bool empty; /* a scripted fault */
    struct json_object *rows;
};

/* As the query says. */
struct github_page github_page_begin(const struct github_call *c);
/* Is the next row on this page? */
bool github_page_takes(struct github_page *p);
/* Answers with the rows under `key`, and the Link header. */
void github_page_end(struct github_call *c, struct github_page *p, const char *key);

/* q NULL: as it is, whatever a scripted fault says of it. */
void github_add_runner(struct json_object *o, const struct sim *s, const struct request *q, const struct runner *r);

void github_list_runners(struct github_call *c);
void github_get_runner(struct github_call *c);
void github_delete_runner(struct github_call *c);
void github_list_downloads(struct github_call *c);
void github_list_groups(struct github_call *c);
void github_generate_jitconfig(struct github_call *c);
void github_list_jobs(struct github_call *c);
void github_get_job(struct github_call *c);

#endif
