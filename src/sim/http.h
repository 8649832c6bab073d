/* One request as the services see it, and its response. */
#ifndef MAYFLY_SIM_HTTP_H
#define MAYFLY_SIM_HTTP_H

#include <json-c/json.h>

#include "mayfly/util/pairs.h"
#include "mayfly/util/strbuf.h"

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

void respond_json(struct response *res, int status, struct json_object *object); /* takes the object */
void respond_text(struct response *res, int status, const char *body);

#endif
