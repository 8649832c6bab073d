/* Spot requests, and what they cost. */
#include <ctype.h>

#include "aws.h"
#include "catalog.h"
#include "describe.h"
#include "ec2.h"
#include "sim.h"
#include "world_instances.h"
#include "world_resources.h"

/* Of a vCPU and an hour, in millionths of a dollar: simple, so that a test can compute it. */
enum { SPOT_PRICE = 15000, ON_DEMAND_PRICE = 50000, MILLION = 1000000 };

static char *format_price(int64_t micro)
{
    return xasprintf("%.6f", (double)micro / MILLION);
}

/* Millionths of a dollar; false: it is no price. */
static bool parse_price(const char *text, int64_t *ret)
{
    int64_t micro = 0, unit = MILLION;
    size_t whole = strspn(text, "0123456789");
    if (whole == 0 || whole > 6)
        return false;
    for (; isdigit((unsigned char)*text); text++)
        micro = micro * 10 + (*text - '0') * MILLION;
    if (*text == '.')
        for (text++; isdigit((unsigned char)*text); text++)
            micro += (*text - '0') * (unit /= 10);
    *ret = micro;
    return *text == '\0' && micro > 0;
}

bool spot_check_price(struct call *c, const struct type *type)
{
    const char *asked = call_param(c, "InstanceMarketOptions.SpotOptions.MaxPrice");
    int64_t micro, price = type->vcpus * SPOT_PRICE;
    if (!asked)
        return true;
    if (!parse_price(asked, &micro))
        return call_refuse(c, 400, "InvalidParameterValue", "Value (%s) for parameter maxPrice is invalid.", asked);
    AUTO_FREE char *least = format_price(price);
    return micro >= price ||
           call_refuse(c, 400, "SpotMaxPriceTooLow",
                       "Your Spot request price of %s is lower than the minimum required Spot request fulfillment "
                       "price of %s.",
                       asked, least);
}

char *spot_ceiling(const char *max_price, const struct type *type)
{
    int64_t micro = type->vcpus * ON_DEMAND_PRICE;
    return max_price && !parse_price(max_price, &micro) ? NULL : format_price(micro);
}

static const struct {
    const char *state, *code, *message;
} spot_statuses[] = {
    { "active", "fulfilled", "Your Spot request is fulfilled." },
    { "open", "pending-evaluation", "Your Spot request has been submitted for review, and is pending evaluation." },
    { "closed", "instance-terminated-by-user", "Your Spot Instance was terminated, or stopped by the user." },
    { "cancelled", "request-canceled-and-instance-running", "Your Spot request is canceled, the instance is running." },
};

/* A persistent request asks again when its instance is gone, although here nothing comes of it. */
static const char *spot_state(const struct sim *s, const struct spot_request *q)
{
    const struct instance *i = world_instance(s, q->instance);
    return q->cancelled ? "cancelled" : i && instance_is_live(i) ? "active" : q->persistent ? "open" : "closed";
}

static const struct pairs *spot_tags(const void *row)
{
    return &((const struct spot_request *)row)->tags;
}

static void spot_values(const struct call *c, const void *row, const char *name, struct strlist *ret)
{
    const struct spot_request *q = row;
    const struct fact known[] = { { "spot-instance-request-id", q->id },
                                  { "instance-id", q->instance },
                                  { "state", spot_state(c->sim, q) },
                                  { "type", q->persistent ? "persistent" : "one-time" } };
    facts_add(known, ARRAY_SIZE(known), name, ret);
}

static void write_spot_request(const struct sim *s, struct strbuf *out, const struct spot_request *q)
{
    size_t at = 0;
    while (!str_eq(spot_statuses[at].state, spot_state(s, q)))
        at++;
    element_open(out, "item");
    element(out, "spotInstanceRequestId", q->id);
    element(out, "spotPrice", q->price);
    element(out, "type", q->persistent ? "persistent" : "one-time");
    element(out, "state", spot_statuses[at].state);
    element_open(out, "status");
    element(out, "code", spot_statuses[at].code);
    element(out, "message", spot_statuses[at].message);
    element_close(out, "status");
    element_open(out, "launchSpecification");
    element(out, "imageId", q->image);
    element(out, "instanceType", q->type);
    element_close(out, "launchSpecification");
    element(out, "instanceId", q->instance);
    element_time(out, "createTime", q->created);
    element(out, "productDescription", "Linux/UNIX");
    tags_write(out, &q->tags);
    element(out, "instanceInterruptionBehavior", "terminate");
    element_close(out, "item");
}

static bool check_id(struct call *c, const char *id)
{
    return IS_HERE(c, world_spot_request(c->sim, id)) ||
           call_refuse(c, 400, "InvalidSpotInstanceRequestID.NotFound",
                       "The spot instance request ID '%s' does not exist", id);
}

static const struct resource spot_resource = {
    .ids = "SpotInstanceRequestId",
    .set = "spotInstanceRequestSet",
    .filters = "spot-instance-request-id instance-id state type",
    .values = spot_values,
    .tags = spot_tags,
    .check_id = check_id,
};

void ec2_describe_spot_requests(struct call *c)
{
    CLEANUP(listing_clear) struct listing l = { 0 };
    if (!listing_begin(c, &spot_resource, &l))
        return;
    listing_open(c, &l);
    for (size_t n = 0; n < c->sim->n_spot_requests; n++) {
        const struct spot_request *q = c->sim->spot_requests[n];
        if (str_eq(q->region, c->region) && listing_takes(c, &l, q->id, q))
            write_spot_request(c->sim, &c->res->body, q);
    }
    listing_close(c, &l);
}

/* What is active goes on without its request. */
void ec2_cancel_spot_requests(struct call *c)
{
    AUTO_STRLIST ids = { 0 };
    struct strbuf *out = &c->res->body;
    call_list(c, "SpotInstanceRequestId", &ids);
    if (ids.n == 0) {
        call_refuse(c, 400, "MissingParameter", "The request must contain the parameter SpotInstanceRequestId");
        return;
    }
    for (size_t n = 0; n < ids.n; n++)
        if (!check_id(c, ids.v[n]))
            return;
    if (!call_is_wet(c))
        return;
    call_begin(c);
    element_open(out, "spotInstanceRequestSet");
    for (size_t n = 0; n < ids.n; n++) {
        struct spot_request *q = world_spot_request(c->sim, ids.v[n]);
        q->cancelled = q->cancelled || !str_eq(spot_state(c->sim, q), "closed");
        element_open(out, "item");
        element(out, "spotInstanceRequestId", q->id);
        element(out, "state", spot_state(c->sim, q));
        element_close(out, "item");
    }
    element_close(out, "spotInstanceRequestSet");
    call_end(c);
}
