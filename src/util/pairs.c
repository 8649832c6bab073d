#include "mayfly/util/pairs.h"
#include "mayfly/util/base.h"

const char *pairs_get(const struct pairs *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->v[2 * i], name))
            return p->v[2 * i + 1];
    return NULL;
}

void pairs_add(struct pairs *p, const char *name, const char *value)
{
    p->v = xreallocarray(p->v, 2 * (p->n + 1), sizeof(*p->v));
    p->v[2 * p->n] = xstrdup(name);
    p->v[2 * p->n + 1] = xstrdup(value);
    p->n++;
}

void pairs_set(struct pairs *p, const char *name, const char *value)
{
    for (size_t i = 0; i < p->n; i++) {
        if (str_eq(p->v[2 * i], name)) {
            str_set(&p->v[2 * i + 1], value);
            return;
        }
    }
    pairs_add(p, name, value);
}

void pairs_remove(struct pairs *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++) {
        if (!str_eq(p->v[2 * i], name))
            continue;
        free(p->v[2 * i]);
        free(p->v[2 * i + 1]);
        p->n--;
        memmove(&p->v[2 * i], &p->v[2 * i + 2], 2 * (p->n - i) * sizeof(*p->v));
        return;
    }
}

void pairs_clear(struct pairs *p)
{
    for (size_t i = 0; i < 2 * p->n; i++)
        free(p->v[i]);
    free(p->v);
    *p = (struct pairs){ 0 };
}

void pairs_copy(struct pairs *to, const struct pairs *from)
{
    for (size_t i = 0; i < from->n; i++)
        pairs_add(to, from->v[2 * i], from->v[2 * i + 1]);
}
