/* What AWS's error codes mean and what to do about each: one table. Pure.
 * Source: EC2 API error codes, STS and SSM common errors; the code decides before the HTTP status, because capacity
 * errors come as 500 and throttling as 503. */
#ifndef MAYFLY_AWS_ERRORS_H
#define MAYFLY_AWS_ERRORS_H

#include "mayfly/util/error.h"

enum aws_class {
    AWS_FATAL,       /* wrong request, permission, account: trying again cannot help */
    AWS_CAPACITY,    /* not here, maybe elsewhere */
    AWS_SUBNET_FULL, /* not in this subnet */
    AWS_QUOTA,       /* not in this market */
    AWS_THROTTLE,    /* later */
    AWS_SERVER,      /* AWS's own failure: the effect may have happened */
    AWS_NOT_FOUND,   /* gone, or too young to be seen */
    AWS_BUSY,        /* in a state that passes */
    AWS_EXPIRED,     /* credentials or clock: correct and try once more */
    AWS_TOKEN_USED,  /* the client token belongs to another request or a dead instance */
    AWS_DRY_RUN,     /* would have been allowed */
};

/* The class of an error answer. code may be "" (then the status decides); message is looked at where one code has
 * several meanings. */
enum aws_class aws_classify(const char *code, const char *message, int http_status);
/* Is the answer AWS's own word that its request had no effect? A failure of theirs is not, nor an error of whoever
 * stands between, nor that a client token belongs to another request: ours may be the one that took it. */
bool aws_is_refusal(const struct error *err);
/* Does the answer prove that nothing is left of what earlier requests with the same client token made? */
bool aws_clears_token(const struct error *err);
/* May a call ("CreateImage") be refused so only because not every part of EC2 has seen what was made or changed a
 * moment ago? To be asked of what is fresh: of anything else the same refusal is final. */
bool aws_is_unseen(const char *call, const struct error *err);
/* The codes that are known, one by one; NULL behind the last. */
const char *aws_known_code(size_t i);
/* Why EC2 ended an instance by itself before it was of use, by its stateReason ("Server.SpotInstanceTermination"; may
 * be NULL): AWS_CAPACITY, AWS_SUBNET_FULL or AWS_QUOTA, as RunInstances would have refused it; AWS_FATAL: another would
 * end the same way, somebody wanted it so, or the reason is not known. */
enum aws_class aws_state_reason_class(const char *code);
/* What to do about such an end, static; NULL: nothing is known of it, or the instance's console says more. */
const char *aws_state_reason_hint(const char *code);
/* What to do about a code that `call` ("RunInstances") answered, static; NULL: the code is unknown. message: as for
 * aws_classify. */
const char *aws_hint(const char *call, const char *code, const char *message);
/* What to do about a class, whatever the code, static, or NULL. */
const char *aws_class_hint(enum aws_class class);
/* What a refusal for want of a permission says; owned, NULL: it does not say.
 * Source: IAM User Guide, "Troubleshoot access denied error messages". */
struct aws_denial {
    char *action;   /* "ec2:RunInstances" */
    char *resource; /* an ARN, which may end in a * */
    char *reason;   /* "no identity-based policy allows the … action", "with an explicit deny in a … policy" */
    char *encoded;  /* what sts:DecodeAuthorizationMessage explains; up to 10 KB */
};
/* Does the code refuse for want of a permission? */
bool aws_is_denial(const char *code);
/* Takes the message of such a refusal apart; *ret is empty before. Returns what a person should read of it, the message
 * without its encoded part; owned. */
char *aws_denial_parse(const char *message, struct aws_denial *ret);
/* Does some policy forbid it, so that no other can allow it? */
bool aws_denial_is_explicit(const struct aws_denial *d);
/* *to is overwritten, its strings freed. */
void aws_denial_copy(struct aws_denial *to, const struct aws_denial *from);
void aws_denial_clear(struct aws_denial *d);

/* aws_classify for an error of domain ERROR_AWS or ERROR_NET. */
enum aws_class aws_error_class(const struct error *err);

#endif
