#include "mayfly/runner/room.h"

#include "mayfly/util/encode.h"

enum { FAMILY_MAX = 12 };

void room_init(struct room *r, const struct plan *plan)
{
    *r = (struct room){ .plan = plan, .ruled_out = xcalloc(plan->n, sizeof(*r->ruled_out)) };
}

void room_clear(struct room *r)
{
    free(r->ruled_out);
    *r = (struct room){ 0 };
}

/* On-demand and spot vCPUs are granted by families of types: one quota for the standard ones, one for each other.
 * Source: Service Quotas, "Running On-Demand … instances". */
static const char *quota_family(const char *type, char family[static FAMILY_MAX])
{
    size_t n = strcspn(type, "0123456789.");
    if (n >= FAMILY_MAX)
        n = FAMILY_MAX - 1;
    memcpy(family, type, n);
    family[n] = '\0';
    return str_is_one_of(family, "a c d h i im is m r t z") ? "standard" : str_eq(family, "vt") ? "g" : family;
}

/* An order of sizes by their vCPUs: large has 2, xlarge 4, 2xlarge 8; the whole machine has the most. */
static uint64_t vcpus(const char *type)
{
    const char *size = strchr(type, '.');
    uint64_t n = 1;
    size = size ? size + 1 : "";
    if (str_starts(size, "metal-"))
        size += strlen("metal-");
    AUTO_FREE char *digits = xstrndup(size, strspn(size, "0123456789"));
    size += strlen(digits);
    if (str_eq(size, "large"))
        return 2;
    if (str_eq(size, "xl") || str_eq(size, "xlarge"))
        return *digits && !parse_uint(digits, UINT32_MAX, &n) ? UINT64_MAX : 4 * n;
    return str_is_one_of(size, "nano micro small medium") ? 1 : UINT64_MAX;
}

static bool is_same_quota(const struct cell *a, const struct cell *b)
{
    char x[FAMILY_MAX], y[FAMILY_MAX];
    return a->spot == b->spot && str_eq(a->region, b->region) &&
           str_eq(quota_family(a->type, x), quota_family(b->type, y));
}

void room_rule_out(struct room *r, size_t failed, enum outcome outcome)
{
    const struct cell *f = &r->plan->cells[failed];
    r->ruled_out[failed] = true;
    for (size_t i = 0; i < r->plan->n; i++) {
        const struct cell *c = &r->plan->cells[i];
        if (outcome == OUTCOME_QUOTA && is_same_quota(c, f) && vcpus(c->type) >= vcpus(f->type))
            r->ruled_out[i] = true;
        if (outcome == OUTCOME_SUBNET_FULL && str_eq(c->subnet, f->subnet))
            r->ruled_out[i] = true;
    }
}

bool room_find(const struct room *r, size_t *cell)
{
    size_t i = *cell;
    while (i < r->plan->n && r->ruled_out[i])
        i++;
    if (i == r->plan->n)
        return false;
    *cell = i;
    return true;
}
