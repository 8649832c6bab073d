/* Bodies of the EC2 and STS Query protocol: application/x-www-form-urlencoded, names as the API has them. Pure. */
#ifndef MAYFLY_AWS_QUERY_H
#define MAYFLY_AWS_QUERY_H

#include "mayfly/util/strbuf.h"

/* Begins a body: "Action=…&Version=…". */
void query_begin(struct strbuf *body, const char *action, const char *version);
/* Appends "&NAME=value"; the name is a printf format, the value is percent-encoded. A NULL value appends nothing. */
void query_add(struct strbuf *body, const char *value, const char *name_fmt, ...) PRINTF_LIKE(3, 4);
void query_add_uint(struct strbuf *body, uint64_t value, const char *name_fmt, ...) PRINTF_LIKE(3, 4);
void query_add_bool(struct strbuf *body, bool value, const char *name_fmt, ...) PRINTF_LIKE(3, 4);
/* Appends "&PREFIX.1=…&PREFIX.2=…". */
void query_add_list(struct strbuf *body, const struct strlist *values, const char *prefix);

#endif
