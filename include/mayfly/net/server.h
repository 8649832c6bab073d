/* An HTTP/1.1 server in one thread, driven by its owner's loop.
 *
 * The owner polls server_fd() for reading, for at most server_timeout() milliseconds, and then calls server_run(),
 * which reads requests, calls the service and sends responses. Nothing here blocks. A request that cannot be answered
 * yet waits: serve() returns SERVER_WAIT, and after server_resume() it is called again for the same request.
 *
 * The server itself refuses a request whose headers exceed `head_max` (431), whose body exceeds `body_max` (413, unless
 * `long_bodies`) or whose length is ambiguous (400), so that serve() sees only whole requests. No TLS. */
#ifndef MAYFLY_NET_SERVER_H
#define MAYFLY_NET_SERVER_H

#include <sys/types.h>

#include "mayfly/util/pairs.h"
#include "mayfly/util/strbuf.h"

struct server;

struct server_request { /* the server's; valid until forget() returns */
    const char *method;
    const char *path;     /* percent-decoded, without the query */
    const char *raw_path; /* as it was sent, with the query */
    struct pairs query;   /* percent-decoded; of repeated names the last value */
    struct pairs headers; /* names in lower case; values of repeated ones joined by commas, in their order */
    struct strbuf body;   /* overflow: it was longer than `body_max` (with `long_bodies` only) */
    void *state;          /* the service's, NULL at first; released in forget() */
};

struct server_response { /* zero but for status 404 and an empty body when serve() is called first */
    int status;
    const char *content_type; /* static, or NULL; not sent with an empty body */
    struct strbuf body;
    struct pairs headers;
    /* When set, the body is what this returns, `length` bytes in all: up to max bytes from offset at, copied to out.
     * Returns how many; 0: the connection is closed in the middle of the body. */
    size_t (*read)(void *ctx, uint64_t at, char *out, size_t max);
    void *read_ctx; /* must live until forget() */
    uint64_t length;
};

enum server_verdict {
    SERVER_ANSWER, /* send the response */
    SERVER_WAIT,   /* nothing yet: call again after server_resume() */
    SERVER_CLOSE,  /* close the connection without a response */
};

struct server_config {
    const char *address;      /* IPv4 or IPv6, numeric; NULL: 127.0.0.1 */
    uint16_t port;            /* 0: a free one */
    size_t head_max;          /* bytes of a request line and its headers, roughly; 0: 32 KiB */
    size_t body_max;          /* bytes; 0: no body */
    unsigned connections_max; /* at once; what comes beyond is closed; 0: as many as libmicrohttpd allows */
    unsigned timeout_s;       /* for receiving a request, between two, and for sending a response; 0: none. A request
                                 that waits has no limit. */
    bool long_bodies;         /* serve() sees a body that is too long, cut, with body.overflow set */
    bool no_date;             /* serve() sets the Date header itself */
    enum server_verdict (*serve)(void *ctx, struct server_request *req, struct server_response *res);
    /* The request is over, answered or not; not called when serve() never saw it. May be NULL. */
    void (*forget)(void *ctx, struct server_request *req);
    void *ctx;
};

/* Listens. On failure NULL, with an error of ERROR_SYSTEM, or ERROR_CONFIG when the address is not one. */
struct server *server_new(const struct server_config *config, struct error *err);
/* Closes all connections, also those of requests that wait; forget() is called for each. NULL is harmless. */
void server_free(struct server *s);

uint16_t server_port(const struct server *s);
/* Readable when server_run() has something to do; may be polled, or added to another epoll. */
int server_fd(const struct server *s);
/* Milliseconds after which server_run() must be called even if server_fd() is not readable; -1: no limit. */
int64_t server_timeout(const struct server *s);
void server_run(struct server *s);

/* Lets a request that waits go on in the next server_run(). Harmless when it does not wait. */
void server_resume(struct server_request *req);
/* The descriptor of the connection; not to be closed. */
int server_socket(const struct server_request *req);

#endif
