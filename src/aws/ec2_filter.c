#include "mayfly/aws/ec2_filter.h"

#include <assert.h>

#include "ec2_call.h"
#include "mayfly/aws/ec2_fleet.h"
#include "mayfly/aws/query.h"

/* "A filter value of \*amazon\?\\ specifies the literal string *amazon?\": API reference, "Filter". */
void ec2_escape(struct strbuf *ret, const char *value)
{
    for (; *value; value++) {
        if (strchr("*?\\", *value))
            strbuf_addc(ret, '\\');
        strbuf_addc(ret, *value);
    }
}

void ec2_add_filters(struct strbuf *body, const struct ec2_filter *filters, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct strlist *values = filters[i].values;
        assert(values->n > 0);
        query_add(body, filters[i].name, "Filter.%zu.Name", i + 1);
        for (size_t v = 0; v < values->n; v++) {
            AUTO_STRBUF literal = STRBUF_INIT;
            ec2_escape(&literal, values->v[v]);
            query_add(body, filters[i].pattern ? values->v[v] : strbuf_str(&literal), "Filter.%zu.Value.%zu", i + 1,
                      v + 1);
        }
    }
}

static const char *tag_of(const struct field_list *tags, const char *key)
{
    for (size_t n = 0; n < tags->n; n++) {
        const struct ec2_tag *tag = FIELD_ROW(tags, const struct ec2_tag, n);
        if (str_eq(tag->key, key))
            return tag->value ? tag->value : "";
    }
    return NULL;
}

/* facts: name, value, name, value, …, NULL: what of a row says whose it is. States are EC2's to judge: they change. */
static bool takes(const struct ec2_filter *filters, size_t n, const struct field_list *tags, const char *const *facts)
{
    for (size_t i = 0; i < n; i++) {
        const char *name = filters[i].name, *value = NULL;
        const char *const *fact = facts;
        if (filters[i].pattern)
            continue;
        while (*fact && !str_eq(fact[0], name))
            fact += 2;
        if (str_starts(name, "tag:")) {
            value = tag_of(tags, name + strlen("tag:"));
        } else if (str_eq(name, "tag-key")) {
            for (size_t k = 0; k < filters[i].values->n && !value; k++)
                value = tag_of(tags, filters[i].values->v[k]) ? filters[i].values->v[k] : NULL;
        } else if (*fact) {
            value = fact[1];
        } else {
            continue;
        }
        if (!value || !strlist_has(filters[i].values, value))
            return false;
    }
    return true;
}

bool ec2_filters_take(const struct ec2_filter *filters, size_t n, const struct ec2_instance *i)
{
    const char *const facts[] = { "instance-id", i->id, "client-token", i->client_token, "image-id", i->image, NULL };
    return takes(filters, n, &i->tags, facts);
}

bool ec2_filters_take_leftover(const struct ec2_filter *filters, size_t n, const struct ec2_leftover *l)
{
    const char *const facts[] = { "name", l->name, NULL };
    return takes(filters, n, &l->tags, facts);
}
