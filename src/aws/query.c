#include "mayfly/aws/query.h"

#include <inttypes.h>

#include "mayfly/util/encode.h"

void query_begin(struct strbuf *body, const char *action, const char *version)
{
    strbuf_addf(body, "Action=%s&Version=%s", action, version);
}

static void add(struct strbuf *body, const char *value, const char *name_fmt, va_list ap)
{
    if (!value)
        return;
    strbuf_addc(body, '&');
    strbuf_vaddf(body, name_fmt, ap);
    strbuf_addc(body, '=');
    encode_percent(body, value);
}

void query_add(struct strbuf *body, const char *value, const char *name_fmt, ...)
{
    va_list ap;
    va_start(ap, name_fmt);
    add(body, value, name_fmt, ap);
    va_end(ap);
}

void query_add_uint(struct strbuf *body, uint64_t value, const char *name_fmt, ...)
{
    AUTO_FREE char *s = xasprintf("%" PRIu64, value);
    va_list ap;
    va_start(ap, name_fmt);
    add(body, s, name_fmt, ap);
    va_end(ap);
}

void query_add_bool(struct strbuf *body, bool value, const char *name_fmt, ...)
{
    va_list ap;
    va_start(ap, name_fmt);
    add(body, value ? "true" : "false", name_fmt, ap);
    va_end(ap);
}

void query_add_list(struct strbuf *body, const struct strlist *values, const char *prefix)
{
    for (size_t i = 0; i < values->n; i++)
        query_add(body, values->v[i], "%s.%zu", prefix, i + 1);
}
