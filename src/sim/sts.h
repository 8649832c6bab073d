/* STS: what its files share. */
#ifndef MAYFLY_SIM_STS_H
#define MAYFLY_SIM_STS_H

#include "aws.h"

extern const struct action sts_actions[];

void sts_begin(struct call *c);
void sts_end(struct call *c);
/* issuer.c */
void sts_assume_role(struct call *c);
void sts_assume_role_with_web_identity(struct call *c);

/* What AWS says to who may not do this, with what DecodeAuthorizationMessage decodes; owned. */
char *aws_denial(const struct request *r);

#endif
