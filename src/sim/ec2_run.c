/* RunInstances: what it does once all is checked. */

#include "ec2_run.h"
#include "aws.h"
#include "ec2.h"
#include "rates.h"
#include "rows.h"
#include "sim.h"
#include "world_instances.h"
#include "world_resources.h"

static void answer_run(struct call *c, const char *reservation)
{
    struct strbuf *out = &c->res->body;
    call_begin(c);
    element(out, "reservationId", reservation);
    element(out, "ownerId", sim_account);
    strbuf_adds(out, "<groupSet/><instancesSet>");
    for (size_t n = 0; n < c->sim->n_instances; n++)
        if (str_eq(c->sim->instances[n]->reservation, reservation))
            instance_write(c->sim, out, c->sim->instances[n]);
    strbuf_adds(out, "</instancesSet>");
    call_end(c);
}

/* The token again: the same instances again. True: it was there, and the request is answered. */
static bool answer_token(struct call *c, const struct run *r)
{
    bool mismatch, there = false;
    const struct client_token *t = call_find_token(c, r->token_zone, r->parameters, &mismatch);
    if (!t)
        return mismatch;
    for (size_t i = 0; i < c->sim->n_instances; i++)
        there = there || (str_eq(c->sim->instances[i]->reservation, t->made) &&
                          !instance_is(c->sim->instances[i], "terminated"));
    if (there)
        answer_run(c, t->made);
    else
        call_refuse(c, 400, "IdempotentInstanceTerminated",
                    "The client token you have provided is associated with a resource that is already deleted.");
    return true;
}

static void add_volume(struct call *c, const struct run *r, const struct instance *i, const struct disk *d)
{
    struct volume *v = world_add_volume(c->sim, c->region, i->zone, i->id);
    str_set(&v->device, d->device);
    str_set(&v->type, d->type);
    str_set(&v->kms_key, d->kms_key);
    str_set(&v->snapshot, d->snapshot);
    v->size = d->size;
    v->iops = d->iops;
    v->throughput = d->throughput;
    v->rate = d->rate;
    v->encrypted = d->encrypted;
    v->delete_on_termination = !d->keep;
    pairs_copy(&v->tags, &r->volume_tags);
}

static char *add_spot_request(struct call *c, const struct run *r, const struct instance *i)
{
    struct sim *s = c->sim;
    struct spot_request *q = xcalloc(1, sizeof(*q));
    q->id = sim_random_id("sir-", 8);
    str_set(&q->region, c->region);
    str_set(&q->instance, i->id);
    str_set(&q->type, i->type);
    str_set(&q->image, i->image);
    q->created = sim_now(s);
    q->persistent = !r->one_time;
    q->price = spot_ceiling(call_param(c, "InstanceMarketOptions.SpotOptions.MaxPrice"), &r->type);
    pairs_copy(&q->tags, &r->spot_tags);
    ROW_ADD(s->spot_requests, s->n_spot_requests, q);
    return xstrdup(q->id);
}

static void set_or(char **p, const char *value, const char *fallback)
{
    str_set(p, value ? value : fallback);
}

/* What the request says, or what EC2 says when it says nothing. */
static void take_settings(const struct call *c, struct instance *i)
{
    const struct {
        char **at;
        const char *name, *fallback;
    } settings[] = {
        { &i->type, "InstanceType", NULL },
        { &i->client_token, "ClientToken", NULL },
        { &i->key_name, "KeyName", NULL },
        { &i->http_tokens, "MetadataOptions.HttpTokens", "optional" },
        { &i->http_endpoint, "MetadataOptions.HttpEndpoint", "enabled" },
        { &i->http_ipv6, "MetadataOptions.HttpProtocolIpv6", "disabled" },
        { &i->metadata_tags, "MetadataOptions.InstanceMetadataTags", "disabled" },
        { &i->tenancy, "Placement.Tenancy", "default" },
        { &i->placement_group, "Placement.GroupName", NULL },
        { &i->host, "Placement.HostId", NULL },
        { &i->credits, "CreditSpecification.CpuCredits", NULL },
    };
    for (size_t n = 0; n < ARRAY_SIZE(settings); n++)
        set_or(settings[n].at, call_param(c, settings[n].name), settings[n].fallback);
    i->protect = is_true(call_param(c, "DisableApiTermination"));
    i->monitoring = is_true(call_param(c, "Monitoring.Enabled"));
    i->ebs_optimized = is_true(call_param(c, "EbsOptimized"));
}

static void add_instance(struct call *c, const struct run *r, const char *reservation, int64_t index)
{
    struct sim *s = c->sim;
    struct instance *i = xcalloc(1, sizeof(*i));
    i->id = sim_random_id("i-", ID_DIGITS);
    i->address = 4 + s->next_instance++ % SUBNET_SIZE;
    i->index = index;
    str_set(&i->reservation, reservation);
    str_set(&i->region, c->region);
    str_set(&i->image, r->image->id);
    str_set(&i->subnet, r->subnet->id);
    str_set(&i->zone, r->subnet->zone);
    str_set(&i->profile, r->profile);
    str_set(&i->root_device, r->image->root_device);
    take_settings(c, i);
    strlist_copy(&i->groups, &r->groups);
    i->architecture = r->type.architecture;
    i->vcpus = r->type.vcpus;
    i->hops = (int64_t)r->hops;
    i->public_address = r->public_address;
    i->baked = r->image->baked;
    i->stop_on_shutdown = !r->one_time && !str_eq(call_param(c, "InstanceInitiatedShutdownBehavior"), "terminate");
    i->user_data = STRBUF_INIT;
    strbuf_add(&i->user_data, r->user_data.data, r->user_data.len);
    i->console = STRBUF_MAX(SIM_CONSOLE_MAX);
    i->console_fd = -1;
    i->state = "pending";
    i->reason_code = i->reason_message = "pending";
    i->launched = sim_now(s);
    i->running_at = i->launched + s->options.boot;
    pairs_copy(&i->tags, &r->tags);
    for (size_t d = 0; d < r->n_disks; d++)
        add_volume(c, r, i, &r->disks[d]);
    if (r->spot)
        i->spot_request = add_spot_request(c, r, i);
    ROW_ADD(s->instances, s->n_instances, i);
}

void ec2_run_instances(struct call *c)
{
    CLEANUP(run_clear) struct run r = { 0 };
    if (!rates_take_run(c->sim, c->region)) {
        call_refuse(c, 503, "RequestLimitExceeded",
                    "Request limit exceeded. Account %s has been throttled on ec2:RunInstances because it exceeded its "
                    "request rate limit.",
                    sim_account);
        return;
    }
    if (!run_check(c, &r) || answer_token(c, &r) || !call_is_wet(c))
        return;
    uint64_t room = subnet_free(c->sim, r.subnet);
    if (room < r.min) {
        call_refuse(c, 400, "InsufficientFreeAddressesInSubnet",
                    "There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.",
                    r.subnet->id);
        return;
    }
    AUTO_FREE char *reservation = sim_random_id("r-", ID_DIGITS);
    for (uint64_t n = 0; n < (r.max < room ? r.max : room); n++)
        add_instance(c, &r, reservation, (int64_t)n);
    call_keep_token(c, r.token_zone, r.parameters, reservation);
    answer_run(c, reservation);
}
