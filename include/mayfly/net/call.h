/* A call: one operation of a service, of as many HTTP exchanges as it takes; and the loop that runs many at once.
 *
 * aws/call.c and github/call.c say through call_ops how a request is made (anew for every attempt, so that it is signed
 * with a fresh date) and what an answer means. One call or a hundred take the same path. */
#ifndef MAYFLY_NET_CALL_H
#define MAYFLY_NET_CALL_H

#include "mayfly/net/http.h"
#include "mayfly/net/retry.h"
#include "mayfly/util/clock.h"

struct call;

struct call_ops {
    /* Returns a call that must finish before the next attempt, such as a token request, or NULL. Another object owns
     * it; the loop starts it if it is new. Called again when a call with `done` has finished. May be NULL. */
    struct call *(*before)(struct call *call);
    /* Fills *request, which is empty, for the next attempt. False ends the call with the error. */
    bool (*prepare)(struct call *call, struct http_request *request, struct error *err);
    /* Looks at call->exchange.response. RETRY_NEVER without an error: the call succeeded. Else *err is set, and what
     * comes back says whether trying again can help. *ret_server_ms, -1 at first, takes a Retry-After. Sets
     * call->refused. */
    enum retry_class (*judge)(struct call *call, int64_t *ret_server_ms, struct error *err);
    /* Frees the call's own parts and the call itself. */
    void (*free)(struct call *call);
    /* Only of calls that others wait for: takes the result when the call is done, and may free it. call_loop_next does
     * not return such calls. */
    void (*done)(struct call *call);
};

struct call { /* the head of a bigger struct */
    const struct call_ops *ops;
    const struct retry_policy *policy;
    char *name; /* "RunInstances", "DELETE /repos/…": for logs and errors */
    struct http_exchange exchange;
    unsigned attempts;
    int64_t due;        /* on the monotonic clock, of the next attempt */
    int64_t not_before; /* on the monotonic clock, of the first attempt; 0: at once */
    int64_t give_up; /* deadline for starting attempts, on the monotonic clock, except to resolve an ambiguous one; 0:
                        none. The owner may change it. */
    int64_t until;   /* on the monotonic clock: the call ends then, as one without an answer; 0: none. May change. */
    enum { CALL_NEW, CALL_WAITING, CALL_BLOCKED, CALL_FLYING, CALL_DONE } state;
    bool makes;         /* it makes something that stays: what its attempts may have made together is its outcome, and
                           each goes out once (http_request.fresh) */
    bool refused;       /* the newest answer is the service's own word that this attempt had no effect */
    bool ambiguous;     /* some attempt may have had its effect without our seeing the answer; a later refusal, which
                           speaks of its own attempt alone, does not take that back */
    struct error error; /* of a call that is done and failed */
    void *tag;          /* the owner's */
    struct call *next;
};

struct call_loop {
    struct http *http;
    const struct env *env;
    int wake_fd; /* ends call_loop_next early when readable; -1: none */
    struct call *calls;
    int64_t until;       /* of all calls, as of struct call */
    int64_t quiet_until; /* on the monotonic clock: that a service has calls wait was told, for all of them */
};

/* call_free for CLEANUP. */
#define AUTO_CALL CLEANUP(call_free_pointer) struct call

/* Starts a call that was made by one of the service modules. The loop borrows it until it is done or cancelled. */
void call_start(struct call_loop *loop, struct call *call);
/* Takes a call out of the loop, its exchange ended. */
void call_cancel(struct call_loop *loop, struct call *call);
/* Cancels all that is left in the loop, also calls that others waited for. */
void call_loop_clear(struct call_loop *loop);
/* The next call that is done, or NULL at `until` (monotonic milliseconds) or when wake_fd is readable; calls whose
 * answer is there are returned first. With nothing in the loop it waits all the same. */
struct call *call_loop_next(struct call_loop *loop, int64_t until);
/* Runs n calls at once, to their ends or to the first failure, whose error *err takes; the others are then cancelled.
 */
MUST_CHECK bool call_run_all(struct call_loop *loop, struct call *const *calls, size_t n, struct error *err);
/* One call to its end. */
MUST_CHECK bool call_run(struct call_loop *loop, struct call *call, struct error *err);

/* Frees what struct call itself owns; for call_ops.free. */
void call_clear(struct call *call);
void call_free(struct call *call);
void call_free_pointer(struct call **call);

/* The error of an exchange that got no answer at all, ERROR_NET, naming the URL's host, with what to do about it. */
enum retry_class call_no_answer(const struct call *call, struct error *err);
/* Pure: whether trying again can help, and what to do, static. proxy_status: what a proxy said to CONNECT, or 0; proxy:
 * it was a proxy that could not be reached; problem: libcurl's words. */
enum retry_class call_trouble(int curl_code, int proxy_status, bool proxy, const char *problem, const char **ret_hint);

#endif
