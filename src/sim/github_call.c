/* GitHub's refusals and pages. */
#include <inttypes.h>

#include "github_call.h"
#include "http.h"
#include "to_json.h"

#include "mayfly/util/encode.h"

enum { PAGE_DEFAULT = 30, PAGE_LIMIT = 100 };

void github_fail(struct response *res, int status, const char *message)
{
    struct json_object *o = must(json_object_new_object());
    AUTO_FREE char *number = xasprintf("%d", status);
    json_add_text(o, "message", message);
    json_add_text(o, "documentation_url", "https://docs.github.com/rest/actions/self-hosted-runners");
    json_add_text(o, "status", number); /* a string, as GitHub has it */
    str_set(&res->code, message);
    respond_json(res, status, o);
}

void github_refuse(struct response *res, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *message = xvasprintf(fmt, ap);
    va_end(ap);
    github_fail(res, status, message);
}

/* --- pages -------------------------------------------------------------------------------------------------------- */

static uint64_t query_number(const struct request *r, const char *name, uint64_t fallback)
{
    uint64_t n;
    const char *value = pairs_get(&r->query, name);
    return value && parse_uint(value, UINT32_MAX, &n) && n > 0 ? n : fallback;
}

struct github_page github_page_begin(const struct github_call *c)
{
    struct github_page p = { .page = query_number(c->request, "page", 1),
                             .per_page = query_number(c->request, "per_page", PAGE_DEFAULT) };
    p.rows = must(json_object_new_array());
    p.empty = c->request->empty_page;
    if (c->request->loop)
        p.page = 1;
    if (p.per_page > PAGE_LIMIT)
        p.per_page = PAGE_LIMIT;
    return p;
}

bool github_page_takes(struct github_page *p)
{
    uint64_t n = p->total++;
    return !p->empty && n >= (p->page - 1) * p->per_page && n < p->page * p->per_page;
}

static void add_link(const struct github_call *c, struct strbuf *out, uint64_t page, const char *rel)
{
    const struct pairs *query = &c->request->query;
    strbuf_addf(out, "%s<%s%s?", out->len ? ", " : "", c->sim->base_url, c->request->path);
    for (size_t i = 0; i < query->n; i++) {
        if (str_eq(query->v[2 * i], "page"))
            continue;
        encode_percent(out, query->v[2 * i]);
        strbuf_addc(out, '=');
        encode_percent(out, query->v[2 * i + 1]);
        strbuf_addc(out, '&');
    }
    strbuf_addf(out, "page=%" PRIu64 ">; rel=\"%s\"", page, rel);
}

void github_page_end(struct github_call *c, struct github_page *p, const char *key)
{
    struct json_object *o = must(json_object_new_object());
    AUTO_STRBUF link = STRBUF_INIT;
    uint64_t last = p->total ? (p->total + p->per_page - 1) / p->per_page : 1;
    if (p->page > 1)
        add_link(c, &link, p->page - 1 < last ? p->page - 1 : last, "prev");
    if (c->request->loop || p->empty)
        add_link(c, &link, p->page, "next");
    else if (p->page < last) {
        add_link(c, &link, p->page + 1, "next");
        add_link(c, &link, last, "last");
    }
    if (p->page > 1)
        add_link(c, &link, 1, "first");
    if (link.len > 0)
        pairs_set(&c->res->headers, "Link", strbuf_str(&link));
    json_add_int(o, "total_count", (int64_t)p->total);
    json_object_object_add(o, key, p->rows);
    respond_json(c->res, 200, o);
}
