/* HTTP over one CURLM: any number of requests in flight, one connection pool, every request with its limits.
 *
 * Nothing here retries: an exchange is one request and what came of it. Redirects are never followed. */
#ifndef MAYFLY_NET_HTTP_H
#define MAYFLY_NET_HTTP_H

#include "mayfly/util/error.h"
#include "mayfly/util/secret.h"

struct http; /* the CURLM */

enum {
    HTTP_BODY_MAX = 256 << 10,  /* of an answer about one thing */
    HTTP_LIST_MAX = 6 << 20,    /* of a page of a list: 200 instances have 1.6 MB, and 5.4 with 50 long tags each */
    HTTP_FLIGHT_MAX = 24 << 20, /* of all answers that are being received */
    HTTP_HEADERS_MAX = 200,     /* lines that are kept */
    HTTP_HEAD_MAX = 256 << 10,  /* of all lines before and after a body, those of 1xx answers among them */
};

struct http_request {   /* owned */
    const char *method; /* static: "GET", "POST", "PUT", "DELETE" */
    char *url;
    struct strlist headers; /* "Name: value" */
    struct strbuf body;     /* sent with POST and PUT */
    struct secret secret;   /* what in its headers an answer may not show, as long as the request is there */
    long connect_ms;        /* 0: 10 s */
    long total_ms;          /* 0: 60 s */
    size_t max_body;        /* of the response; 0: HTTP_BODY_MAX */
    bool no_proxy;          /* link-local services; what is not https has none either: a token stays on the machine */
    bool fresh;             /* on a new connection: libcurl sends a request again by itself, unseen, when a reused one
                               turns out dead, which a POST without an idempotency token must not suffer */
};

struct http_response {
    int status;          /* 0: no complete answer came */
    int curl_code;       /* CURLE_OK, or why none came */
    char *problem;       /* the same in words; NULL when status is not 0 */
    int proxy_status;    /* without an answer: what the proxy said to CONNECT, or 0 */
    bool no_descriptors; /* without an answer: no file could be opened any more */
    bool maybe_sent; /* without an answer: the request may have reached the server, so its effect may have happened */
    struct strlist headers;
    struct strbuf body;
    size_t head; /* bytes of all header lines that came */
    int64_t took_ms;
};

struct http_exchange { /* the storage is the caller's and must stay where it is while in flight */
    struct http_request request;
    struct http_response response;
    void *easy;  /* CURL *, while in flight */
    void *slist; /* its headers */
    struct http *http;
    size_t held;         /* of HTTP_FLIGHT_MAX */
    const char *ceiling; /* the one that it ran into, or NULL */
    char problem_buf[256];
};

/* Can it be read, and does it look like a PEM file of certificates? It is opened for each connection anew, so that it
 * has to be a regular file. what: names the setting in the error ("AWS_CA_BUNDLE"). */
MUST_CHECK bool http_check_bundle(const char *path, const char *what, struct error *err);

/* user_agent goes with every request. ca_bundle: a PEM file, or NULL for the system's. */
struct http *http_new(const char *user_agent, const char *ca_bundle);
/* Ends all exchanges in flight. */
void http_free(struct http *h);

/* Starts x->request; x->response is cleared first. */
void http_start(struct http *h, struct http_exchange *x);
/* Ends an exchange in flight; its response stays empty. Harmless when it is not in flight. */
void http_cancel(struct http *h, struct http_exchange *x);
/* Ends an exchange in flight as one that took too long. */
void http_expire(struct http *h, struct http_exchange *x);
/* Works on everything in flight for at most timeout_ms (0: looks only). Returns one finished exchange, or NULL when the
 * time is over or wake_fd (-1: none) is readable. */
struct http_exchange *http_wait(struct http *h, int64_t timeout_ms, int wake_fd);

/* Is the descriptor readable right now? */
bool http_readable(int fd);

/* The value of a response header, borrowed, or NULL. Names compare without case. */
const char *http_header(const struct http_response *r, const char *name);

void http_request_clear(struct http_request *r);
void http_response_clear(struct http_response *r);

#endif
