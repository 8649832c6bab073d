/* One signed request to an AWS service, retried as its answers ask for. */
#ifndef MAYFLY_AWS_CALL_H
#define MAYFLY_AWS_CALL_H

#include "mayfly/aws/config.h"
#include "mayfly/aws/errors.h"
#include "mayfly/net/call.h"
#include "mayfly/net/paging.h"

struct aws {                   /* config and env are borrowed; must outlive its calls */
    struct aws_config *config; /* its creds are renewed */
    const struct env *env;
    int64_t skew;  /* seconds that AWS's clock is ahead of ours; measured when a signature was refused for its time */
    int64_t date;  /* the Date header of the newest success, seconds since 1970; 0: none yet. For people: one Date may
                    * be a proxy's */
    int wake_fd;   /* as of struct call_loop, for fetching credentials */
    int64_t until; /* as of struct call_loop, for fetching credentials */
    bool hurry;    /* after a signal: those that are still good serve, and there is one short try to renew others */
    bool hurried;  /* that was it */
    int64_t renew_after;          /* monotonic ms: no try to renew credentials before */
    bool creds_refused;           /* as expired: they are to be renewed at once */
    unsigned creds_fetched;       /* how often they were */
    struct call_loop *creds_loop; /* while credentials are fetched */
    /* What the credentials in use were fetched with: an answer may repeat it as long as they are. */
    struct secrets shown;
    struct aws_denial denied; /* of the newest call that was refused for want of a permission */
};

struct aws_call {
    struct call call;
    struct aws *aws;
    const char *service;      /* "ec2", "ssm", "sts": static */
    const char *target;       /* of a JSON call: X-Amz-Target, static; NULL: Query protocol */
    char *region;             /* owned */
    struct strbuf body;       /* byte-identical on every attempt */
    struct secret secret;     /* what of it an answer may not show */
    int64_t signed_skew;      /* of the attempt in flight */
    unsigned signed_fetched;  /* of the attempt in flight: creds_fetched */
    bool anonymous;           /* not signed */
    size_t max_body;          /* of the answer */
    unsigned corrections;     /* of the clock */
    bool renewed;             /* once is enough: its credentials were refused as expired */
    struct aws_denial denial; /* of a call that was refused for want of a permission */
};

/* A call of the Query protocol. The body is taken over. `action` is also its name in logs. give_up: see struct call. */
struct aws_call *aws_call_new(struct aws *aws, const char *service, const char *region, const char *action,
                              struct strbuf *body);
/* A call of the JSON 1.1 protocol; target: "AmazonSSM.GetParameter", static, whose part behind the dot is its name in
 * logs. */
struct aws_call *aws_json_call_new(struct aws *aws, const char *service, const char *region, const char *target,
                                   struct strbuf *body);
/* Is there a page after this one, which has so many rows? *ret_more says so, by its token (NULL: none). False: the list
 * does not end. */
MUST_CHECK bool aws_call_turn(const struct call *call, struct paging *paging, size_t rows, const char *token,
                              bool *ret_more, struct error *err);
/* "the answer to NAME": what decoders call it. Owned by the caller. */
char *aws_call_what(const struct call *call);
/* The current time at AWS, as requests are signed with it: our clock, unless AWS has refused it. Seconds since 1970. */
int64_t aws_now(const struct aws *aws);
/* Frees what the calls left in it. */
void aws_clear(struct aws *aws);

#endif
