/* STS. */
#include "aws.h"

void sts_get_caller_identity(struct call *c)
{
    strbuf_addf(&c->res->body,
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
                "<GetCallerIdentityResult><Arn>arn:aws:sts::%s:assumed-role/mayfly/simulator</Arn>"
                "<UserId>AROASIMULATED00000001:simulator</UserId><Account>%s</Account></GetCallerIdentityResult>"
                "<ResponseMetadata>",
                aws_account, aws_account);
    aws_request_id(c->res, "RequestId");
    strbuf_adds(&c->res->body, "</ResponseMetadata></GetCallerIdentityResponse>");
}

const struct action sts_actions[] = {
    { "GetCallerIdentity", sts_get_caller_identity, "" },
    { 0 },
};
