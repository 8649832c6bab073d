/* STS. */
#ifndef MAYFLY_SIM_STS_H
#define MAYFLY_SIM_STS_H

#include "aws.h"

extern const struct action sts_actions[];

/* What AWS says to who may not do this, with what DecodeAuthorizationMessage decodes; owned. */
char *aws_denial(const struct request *r);

#endif
