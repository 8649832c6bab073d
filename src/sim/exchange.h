/* A request on its way through the simulator: which service it is for, what scripted faults do to it, and how it
 * leaves. */
#ifndef MAYFLY_SIM_EXCHANGE_H
#define MAYFLY_SIM_EXCHANGE_H

#include "http.h"
#include "sim.h"

#include "mayfly/net/server.h"

enum ending { END_ANSWER, END_CLOSE, END_RESET, END_CUT };

struct exchange {
    struct request request;
    struct response response;
    struct server_request *http;
    bool judged_before, served, judged_after;
    enum ending ending;
    const char *fault; /* static: what happened to it, for the log */
    /* While it waits: */
    struct exchange *next;
    int64_t n, until; /* until: simulated ms, INT64_MAX: until it is released */
    int64_t date;     /* seconds that its Date is ahead */
    bool waits, close_then;
};

/* For the server's config, whose ctx is the simulator. */
enum server_verdict exchange_serve(void *ctx, struct server_request *http, struct server_response *out);
void exchange_forget(void *ctx, struct server_request *http);

#endif
