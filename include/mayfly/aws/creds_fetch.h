/* Fetching and renewing the credentials that aws_creds_find decided for. */
#ifndef MAYFLY_AWS_CREDS_FETCH_H
#define MAYFLY_AWS_CREDS_FETCH_H

#include "mayfly/aws/call.h"

/* Asks the source now, on connections of its own, and puts what came into aws->config->creds. Blocks for as long as the
 * provider's limits, some seconds each, allow. What was there stays on an error. */
MUST_CHECK bool aws_creds_fetch(struct aws *aws, struct error *err);
/* Before a request is signed: fetches when the credentials were refused as expired, or end within 5 minutes, and then
 * not more than once a minute. Credentials that are still good serve when that fails or takes 10 s, and after a signal
 * (struct aws). One fetch is for all requests in flight, since they are all signed here. */
MUST_CHECK bool aws_creds_renew(struct aws *aws, struct error *err);

#endif
