/* What the files of EC2's operations share. */
#ifndef MAYFLY_SRC_AWS_EC2_CALL_H
#define MAYFLY_SRC_AWS_EC2_CALL_H

#include "mayfly/aws/ec2.h"

#define EC2_VERSION "2016-11-15"
enum { EC2_PAGE_MAX = 200 };

/* The body is taken over. */
struct aws_call *ec2_call_new(struct aws *aws, const char *region, const char *action, struct strbuf *body);
/* The same of what makes something that stays: struct call's `makes`. */
struct aws_call *ec2_make_call_new(struct aws *aws, const char *region, const char *action, struct strbuf *body);
/* Appends "&Filter.1.Name=…&Filter.1.Value.1=…", n of them, each with at least one value, escaped but for patterns. */
void ec2_add_filters(struct strbuf *body, const struct ec2_filter *filters, size_t n);
/* Decodes the answer of a call by a table, its root element being ACTION + "Response". */
MUST_CHECK bool ec2_decode(const struct aws_call *c, const struct field *fields, void *out, struct arena *arena,
                           struct error *err);

#endif
