/* When to try again: one pure decision for AWS and GitHub. */
#ifndef MAYFLY_NET_RETRY_H
#define MAYFLY_NET_RETRY_H

#include "mayfly/util/base.h"

enum retry_class {
    RETRY_NEVER,     /* the answer is final */
    RETRY_NOW,       /* something was corrected (clock, credentials): once, at once */
    RETRY_TRANSIENT, /* no answer, or the server's own failure */
    RETRY_THROTTLE,  /* too many requests */
    RETRY_WAIT,      /* a refusal that contradicts what is known: after server_ms; whoever says it counts them */
};

struct retry_policy {
    unsigned max_attempts; /* in all, the first included; for RETRY_THROTTLE twice as many */
    int64_t base_ms;       /* of RETRY_TRANSIENT */
    int64_t throttle_ms;   /* base of RETRY_THROTTLE */
    int64_t cap_ms;        /* of one delay of our own making */
    int64_t server_cap_ms; /* a server that asks for more than this is not waited for */
};

/* Milliseconds to wait before attempt + 1, or -1: give up. attempt counts from 1. server_ms: what the server asked for,
 * -1 when it did not. The delay is full jitter, random/2^32 * min(cap, base * 2^(attempt-1)), but never less than what
 * the server asked for. */
int64_t retry_decide(const struct retry_policy *policy, enum retry_class class, unsigned attempt, int64_t server_ms,
                     uint32_t random);

#endif
