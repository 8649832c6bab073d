/* What every Describe action does alike: ids, filters and pages. */
#include <fnmatch.h>
#include <inttypes.h>

#include "aws.h"
#include "describe.h"

#include "mayfly/util/encode.h"

enum { PAGE_MIN = 5 };

struct filter {
    const char *name;
    struct strlist patterns;
};

static bool take_filters(struct call *c, const struct resource *resource, struct listing *ret)
{
    AUTO_STRLIST known = { 0 };
    const char *name, *pattern;
    strlist_split(&known, resource->filters, " ");
    for (unsigned f = 1; (name = call_param_n(c, "Filter.%u.Name", f)) != NULL; f++) {
        bool tag = resource->tags && (str_starts(name, "tag:") || str_eq(name, "tag-key"));
        if (!tag && !strlist_has(&known, name))
            return call_refuse(c, 400, "InvalidParameterValue", "The filter '%s' is invalid", name);
        if (!call_param_n(c, "Filter.%u.Value.1", f))
            return call_refuse(c, 400, "InvalidParameterValue", "The filter '%s' has no values", name);
        ret->filters = xreallocarray(ret->filters, ret->n_filters + 1, sizeof(*ret->filters));
        struct filter *filter = &ret->filters[ret->n_filters++];
        *filter = (struct filter){ .name = name };
        for (unsigned v = 1; (pattern = call_param_n(c, "Filter.%u.Value.%u", f, v)) != NULL; v++)
            strlist_add(&filter->patterns, pattern);
    }
    return true;
}

static void row_values(const struct call *c, const struct resource *resource, const void *row, const char *name,
                       struct strlist *ret)
{
    const struct pairs *tags = resource->tags ? resource->tags(row) : NULL;
    const char *value = tags && str_starts(name, "tag:") ? pairs_get(tags, name + strlen("tag:")) : NULL;
    if (value)
        strlist_add(ret, value);
    for (size_t i = 0; tags && str_eq(name, "tag-key") && i < tags->n; i++)
        strlist_add(ret, tags->v[2 * i]);
    if (!str_starts(name, "tag"))
        resource->values(c, row, name, ret);
}

/* * and ? are wildcards, \ takes away their meaning, and nothing else has one. */
static bool matches(const char *pattern, const char *value)
{
    AUTO_STRBUF glob = STRBUF_INIT;
    for (; *pattern; pattern++) {
        if (*pattern == '[')
            strbuf_addc(&glob, '\\');
        strbuf_addc(&glob, *pattern);
    }
    return fnmatch(strbuf_str(&glob), value, 0) == 0;
}

static bool passes(const struct call *c, const struct listing *l, const void *row)
{
    if (c->request->hide)
        return false;
    for (const struct filter *f = l->filters; f < l->filters + l->n_filters; f++) {
        AUTO_STRLIST values = { 0 };
        bool hit = false;
        row_values(c, l->resource, row, f->name, &values);
        for (size_t v = 0; !hit && v < f->patterns.n; v++)
            for (size_t i = 0; !hit && i < values.n; i++)
                hit = matches(f->patterns.v[v], values.v[i]);
        if (!hit)
            return false;
    }
    return true;
}

static const char page_mark[] = "AQIC+/"; /* what a token begins with, so that it has to be encoded in a request */

static bool check_page(struct call *c, struct listing *l)
{
    const char *max = call_param(c, "MaxResults"), *token = call_param(c, "NextToken");
    uint64_t most = l->resource->most ? l->resource->most : PAGE_MAX;
    AUTO_STRBUF text = STRBUF_INIT;
    AUTO_FREE char *want = xasprintf("%s/%s/", c->region, c->action);
    if (max && l->ids.n > 0)
        return call_refuse(c, 400, "InvalidParameterCombination",
                           "The parameter maxResults cannot be used with the parameter ids");
    if (max && (!parse_uint(max, most, &l->max) || l->max < PAGE_MIN))
        return call_refuse(c, 400, "InvalidParameterValue",
                           "Value ( %s ) for parameter maxResults is invalid. Expecting a value between %d and %" PRIu64
                           ".",
                           max, PAGE_MIN, most);
    size_t skip = strlen(page_mark);
    if (token &&
        !(str_starts(token, page_mark) && decode_base64(&text, token + skip, strlen(token + skip)) &&
          str_starts(strbuf_str(&text), want) && parse_uint(strbuf_str(&text) + strlen(want), UINT32_MAX, &l->from)))
        return call_refuse(c, 400, "InvalidParameterValue", "Unable to parse pagination token");
    if (c->request->loop)
        l->from = 0;
    return true;
}

bool listing_begin(struct call *c, const struct resource *resource, struct listing *ret)
{
    ret->resource = resource;
    if (resource->ids)
        call_list(c, resource->ids, &ret->ids);
    if (!check_page(c, ret) || !take_filters(c, resource, ret))
        return false;
    for (size_t i = 0; resource->check_id && i < ret->ids.n; i++)
        if (!resource->check_id(c, ret->ids.v[i]))
            return false;
    return call_is_wet(c);
}

void listing_open(struct call *c, const struct listing *l)
{
    call_begin(c);
    element_open(&c->res->body, l->resource->set);
}

bool listing_takes(struct call *c, struct listing *l, const char *id, const void *row)
{
    bool is_full = l->max > 0 && l->seen > l->from + l->max; /* and known to go on */
    if (is_full || (l->ids.n > 0 && !strlist_has(&l->ids, id)) || !passes(c, l, row))
        return false;
    uint64_t n = l->seen++;
    return !c->request->empty_page && n >= l->from && (l->max == 0 || n < l->from + l->max);
}

void listing_close(struct call *c, const struct listing *l)
{
    uint64_t next = c->request->empty_page || c->request->loop ? l->from : l->from + l->max;
    element_close(&c->res->body, l->resource->set);
    if (c->request->empty_page || c->request->loop || (l->max > 0 && l->seen > next)) {
        AUTO_FREE char *text = xasprintf("%s/%s/%" PRIu64, c->region, c->action, next);
        AUTO_STRBUF token = STRBUF_INIT;
        strbuf_adds(&token, page_mark);
        encode_base64(&token, text, strlen(text));
        element(&c->res->body, "nextToken", strbuf_str(&token));
    }
    call_end(c);
}

void listing_clear(struct listing *l)
{
    strlist_clear(&l->ids);
    for (size_t f = 0; f < l->n_filters; f++)
        strlist_clear(&l->filters[f].patterns);
    free(l->filters);
}

void facts_add(const struct fact *facts, size_t n, const char *name, struct strlist *ret)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(facts[i].name, name) && facts[i].value)
            strlist_add(ret, facts[i].value);
}
