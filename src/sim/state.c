/* GET /_sim/state: all that is there, as JSON. */
#include "state.h"
#include "ec2.h"
#include "sim.h"
#include "to_json.h"
#include "world_instances.h"
#include "world_resources.h"
#include "world_runners.h"

#include "mayfly/util/clock.h"

static struct json_object *number(int64_t n)
{
    return must(json_object_new_int64(n));
}

struct json_object *state_job(const struct job *j)
{
    struct json_object *o = must(json_object_new_object());
    json_object_object_add(o, "id", number(j->id));
    json_object_object_add(o, "run_id", number(j->run_id));
    json_object_object_add(o, "name", sim_text(j->name));
    json_object_object_add(o, "run_attempt", number(j->attempt));
    json_object_object_add(o, "repository", sim_text(j->scope + strlen("/repos/")));
    json_object_object_add(o, "labels", list_json(&j->labels));
    json_object_object_add(o, "runner_id", number(j->runner_id));
    json_object_object_add(o, "status", sim_text(j->status));
    json_object_object_add(o, "conclusion", sim_text(j->conclusion));
    json_object_object_add(o, "runner_name", sim_text(j->runner_name));
    json_object_object_add(o, "log", sim_text(strbuf_str(&j->log)));
    return o;
}

static struct json_object *boolean(bool value)
{
    return must(json_object_new_boolean(value));
}

static struct json_object *placement_json(const struct instance *i)
{
    struct json_object *o = must(json_object_new_object());
    json_object_object_add(o, "zone", sim_text(i->zone));
    json_object_object_add(o, "tenancy", sim_text(i->tenancy));
    json_object_object_add(o, "group", sim_text(i->placement_group));
    json_object_object_add(o, "host", sim_text(i->host));
    return o;
}

static struct json_object *metadata_json(const struct instance *i)
{
    struct json_object *o = must(json_object_new_object());
    json_object_object_add(o, "tokens", sim_text(i->http_tokens));
    json_object_object_add(o, "endpoint", sim_text(i->http_endpoint));
    json_object_object_add(o, "ipv6", sim_text(i->http_ipv6));
    json_object_object_add(o, "tags", sim_text(i->metadata_tags));
    json_object_object_add(o, "hops", number(i->hops));
    return o;
}

static struct json_object *instance_json(const struct sim *s, const struct instance *i)
{
    struct json_object *o = must(json_object_new_object());
    AUTO_FREE char *address = instance_address(s, i), *open = instance_public_address(i);
    json_object_object_add(o, "id", sim_text(i->id));
    json_object_object_add(o, "state", sim_text(i->state));
    json_object_object_add(o, "reason", sim_text(i->reason_code));
    json_object_object_add(o, "dead", boolean(i->dead_at != 0));
    json_object_object_add(o, "reservation", sim_text(i->reservation));
    json_object_object_add(o, "profile", sim_text(i->profile));
    json_object_object_add(o, "runner_id", number(i->runner));
    json_object_object_add(o, "console", sim_text(strbuf_str(&i->console)));
    json_object_object_add(o, "image", sim_text(i->image));
    json_object_object_add(o, "type", sim_text(i->type));
    json_object_object_add(o, "zone", sim_text(i->zone));
    json_object_object_add(o, "placement", placement_json(i));
    json_object_object_add(o, "subnet", sim_text(i->subnet));
    json_object_object_add(o, "security_groups", list_json(&i->groups));
    json_object_object_add(o, "address", sim_text(address));
    json_object_object_add(o, "public_address", sim_text(open));
    json_object_object_add(o, "metadata_options", metadata_json(i));
    json_object_object_add(o, "key_name", sim_text(i->key_name));
    json_object_object_add(o, "credits", sim_text(i->credits));
    json_object_object_add(o, "monitoring", boolean(i->monitoring));
    json_object_object_add(o, "ebs_optimized", boolean(i->ebs_optimized));
    json_object_object_add(o, "protected", boolean(i->protect));
    json_object_object_add(o, "on_shutdown", sim_text(i->stop_on_shutdown ? "stop" : "terminate"));
    json_object_object_add(o, "lifecycle", sim_text(i->spot_request ? "spot" : "on-demand"));
    json_object_object_add(o, "client_token", sim_text(i->client_token));
    json_object_object_add(o, "launched", sim_text(clock_rfc3339(i->launched / 1000).s));
    json_object_object_add(o, "launched_ms", number(i->launched));
    json_object_object_add(o, "changed_ms", number(i->change_at)); /* 0: no state has passed */
    json_object_object_add(o, "user_data_bytes", number((int64_t)i->user_data.len));
    json_object_object_add(o, "tags", pairs_json(&i->tags));
    return o;
}

static struct json_object *volume_json(const struct volume *v)
{
    struct json_object *o = must(json_object_new_object());
    json_object_object_add(o, "id", sim_text(v->id));
    json_object_object_add(o, "instance", sim_text(v->instance));
    json_object_object_add(o, "state", sim_text(v->instance ? "in-use" : "available"));
    json_object_object_add(o, "device", sim_text(v->device));
    json_object_object_add(o, "type", sim_text(v->type));
    json_object_object_add(o, "size", number(v->size));
    json_object_object_add(o, "iops", number(v->iops));
    json_object_object_add(o, "throughput", number(v->throughput));
    json_object_object_add(o, "initialization_rate", number(v->rate));
    json_object_object_add(o, "encrypted", boolean(v->encrypted));
    json_object_object_add(o, "kms_key", sim_text(v->kms_key));
    json_object_object_add(o, "snapshot", sim_text(v->snapshot));
    json_object_object_add(o, "delete_on_termination", boolean(v->delete_on_termination));
    json_object_object_add(o, "tags", pairs_json(&v->tags));
    return o;
}

/* The array under key, made if there is none. */
static struct json_object *array_of(struct json_object *o, const char *key)
{
    struct json_object *array = NULL;
    if (!json_object_object_get_ex(o, key, &array)) {
        array = must(json_object_new_array());
        json_object_object_add(o, key, array);
    }
    return array;
}

/* The object of a region, made if there is none. */
static struct json_object *region_of(struct json_object *regions, const char *name)
{
    struct json_object *region = NULL;
    if (!json_object_object_get_ex(regions, name, &region)) {
        region = must(json_object_new_object());
        json_object_object_add(regions, name, region);
        array_of(region, "instances");
        array_of(region, "volumes");
        array_of(region, "spot_requests");
        array_of(region, "client_tokens");
        array_of(region, "images");
        array_of(region, "snapshots");
    }
    return region;
}

/* Our own images and snapshots. */
static void add_images(const struct sim *s, struct json_object *regions)
{
    for (size_t n = 0; n < s->n_images; n++) {
        const struct image *i = s->images[n];
        if (!image_is_own(i))
            continue;
        struct json_object *o = must(json_object_new_object());
        json_object_object_add(o, "id", sim_text(i->id));
        json_object_object_add(o, "name", sim_text(i->name));
        json_object_object_add(o, "state", sim_text(image_state(s, i)));
        json_object_object_add(o, "architecture", sim_text(i->architecture));
        json_object_object_add(o, "size", number(i->gib));
        json_object_object_add(o, "created", number(i->created));
        json_object_object_add(o, "deprecated", number(i->deprecated_at));
        json_object_object_add(o, "shared", list_json(&i->shared));
        json_object_object_add(o, "snapshot", sim_text(i->snapshot));
        json_object_object_add(o, "tags", pairs_json(&i->tags));
        json_object_array_add(array_of(region_of(regions, i->region), "images"), o);
    }
    for (size_t n = 0; n < s->n_snapshots; n++) {
        const struct snapshot *snapshot = s->snapshots[n];
        if (!snapshot_is_own(snapshot))
            continue;
        struct json_object *o = must(json_object_new_object());
        json_object_object_add(o, "id", sim_text(snapshot->id));
        json_object_object_add(o, "description", sim_text(snapshot->description));
        json_object_object_add(o, "size", number(snapshot->gib));
        json_object_object_add(o, "tags", pairs_json(&snapshot->tags));
        json_object_array_add(array_of(region_of(regions, snapshot->region), "snapshots"), o);
    }
}

static void add_regions(const struct sim *s, struct json_object *regions)
{
    for (size_t n = 0; n < s->n_instances; n++)
        json_object_array_add(array_of(region_of(regions, s->instances[n]->region), "instances"),
                              instance_json(s, s->instances[n]));
    for (size_t n = 0; n < s->n_volumes; n++)
        json_object_array_add(array_of(region_of(regions, s->volumes[n]->region), "volumes"),
                              volume_json(s->volumes[n]));
    for (size_t n = 0; n < s->n_spot_requests; n++) {
        const struct spot_request *q = s->spot_requests[n];
        struct json_object *o = must(json_object_new_object());
        json_object_object_add(o, "id", sim_text(q->id));
        json_object_object_add(o, "instance", sim_text(q->instance));
        json_object_object_add(o, "price", sim_text(q->price));
        json_object_object_add(o, "tags", pairs_json(&q->tags));
        json_object_array_add(array_of(region_of(regions, q->region), "spot_requests"), o);
    }
    for (size_t n = 0; n < s->n_tokens; n++) {
        const struct client_token *t = &s->tokens[n];
        struct json_object *o = must(json_object_new_object());
        json_object_object_add(o, "token", sim_text(t->token));
        json_object_object_add(o, "zone", sim_text(t->zone));
        json_object_object_add(o, "made", sim_text(t->made));
        json_object_array_add(array_of(region_of(regions, t->region), "client_tokens"), o);
    }
}

static void add_killed(const struct sim *s, struct json_object *rows)
{
    for (size_t n = 0; n < s->n_killed; n++) {
        const struct killed *k = &s->killed[n];
        struct json_object *o = must(json_object_new_object());
        json_object_object_add(o, "job", number(k->job));
        json_object_object_add(o, "runner", sim_text(k->runner));
        json_object_object_add(o, "instance", sim_text(k->instance));
        json_object_object_add(o, "age_ms", k->instance ? number(k->age) : NULL);
        json_object_object_add(o, "how", sim_text(k->how));
        json_object_array_add(rows, o);
    }
}

struct json_object *state_json(const struct sim *s)
{
    struct json_object *o = must(json_object_new_object()), *regions = must(json_object_new_object());
    json_object_object_add(o, "time", sim_text(clock_rfc3339(sim_now(s) / 1000).s));
    json_object_object_add(o, "time_ms", number(sim_now(s)));
    json_object_object_add(o, "regions", regions);
    add_images(s, regions);
    add_regions(s, regions);
    struct json_object *refused = must(json_object_new_object());
    json_object_object_add(refused, "RunInstances", number(s->refused_runs));
    json_object_object_add(refused, "generate-jitconfig", number(s->refused_mints));
    json_object_object_add(o, "refused", refused);
    add_killed(s, array_of(o, "killed"));
    struct json_object *runners = array_of(o, "runners"), *jobs = array_of(o, "jobs");
    for (size_t n = 0; n < s->n_runners; n++) {
        const struct runner *r = s->runners[n];
        struct json_object *row = must(json_object_new_object());
        json_object_object_add(row, "id", number(r->id));
        json_object_object_add(row, "name", sim_text(r->name));
        json_object_object_add(row, "scope", sim_text(r->scope));
        json_object_object_add(row, "group", number(r->group));
        json_object_object_add(row, "status", sim_text(r->online ? "online" : "offline"));
        json_object_object_add(row, "busy", boolean(r->busy));
        json_object_object_add(row, "labels", list_json(&r->labels));
        json_object_array_add(runners, row);
    }
    for (size_t n = 0; n < s->n_jobs; n++)
        json_object_array_add(jobs, state_job(s->jobs[n]));
    return o;
}
