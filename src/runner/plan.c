#include "mayfly/runner/plan.h"

void plan_make(struct plan *ret, const char *region, const char *image, const struct strlist *markets,
               const struct strlist *types, const struct strlist *subnets)
{
    struct plan plan = { .cells = xcalloc(markets->n * types->n * subnets->n, sizeof(struct cell)) };
    for (size_t m = 0; m < markets->n; m++)
        for (size_t t = 0; t < types->n; t++)
            for (size_t s = 0; s < subnets->n; s++)
                plan.cells[plan.n++] = (struct cell){ .region = region,
                                                      .image = image,
                                                      .subnet = subnets->v[s],
                                                      .type = types->v[t],
                                                      .spot = str_eq(markets->v[m], "spot") };
    *ret = plan;
}

void plan_clear(struct plan *plan)
{
    free(plan->cells);
    *plan = (struct plan){ 0 };
}

const char *cell_market(const struct cell *c)
{
    return c->spot ? "spot" : "on-demand";
}
