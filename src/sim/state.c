/* GET /_sim/state: all that is there, as JSON. */
#include "state.h"
#include "sim.h"
#include "to_json.h"
#include "world_instances.h"
#include "world_resources.h"
#include "world_runners.h"

struct json_object *state_job(const struct job *j)
{
    struct json_object *o = must(json_object_new_object());
    json_add_int(o, "id", j->id);
    json_add_int(o, "run_id", j->run_id);
    json_add_text(o, "name", j->name);
    json_add_int(o, "run_attempt", j->attempt);
    json_add_text(o, "repository", j->scope + strlen("/repos/"));
    json_add_list(o, "labels", &j->labels);
    json_add_int(o, "runner_id", j->runner_id);
    json_add_text(o, "status", j->status);
    json_add_text(o, "conclusion", j->conclusion);
    json_add_text(o, "runner_name", j->runner_name);
    json_add_text(o, "log", strbuf_str(&j->log));
    return o;
}

static void add_placement(struct json_object *o, const struct instance *i)
{
    json_add_text(o, "zone", i->zone);
    json_add_text(o, "tenancy", i->tenancy);
    json_add_text(o, "group", i->placement_group);
    json_add_text(o, "host", i->host);
}

static void add_metadata(struct json_object *o, const struct instance *i)
{
    json_add_text(o, "tokens", i->http_tokens);
    json_add_text(o, "endpoint", i->http_endpoint);
    json_add_text(o, "ipv6", i->http_ipv6);
    json_add_text(o, "tags", i->metadata_tags);
    json_add_int(o, "hops", i->hops);
}

static void add_instance(struct json_object *o, const struct sim *s, const struct instance *i)
{
    AUTO_FREE char *address = instance_address(s, i), *open = instance_public_address(i);
    json_add_text(o, "id", i->id);
    json_add_text(o, "state", i->state);
    json_add_text(o, "reason", i->reason_code);
    json_add_bool(o, "dead", i->dead_at != 0);
    json_add_text(o, "reservation", i->reservation);
    json_add_text(o, "profile", i->profile);
    json_add_int(o, "runner_id", i->runner);
    json_add_text(o, "console", strbuf_str(&i->console));
    json_add_text(o, "image", i->image);
    json_add_text(o, "type", i->type);
    json_add_text(o, "zone", i->zone);
    add_placement(json_add_object(o, "placement"), i);
    json_add_text(o, "subnet", i->subnet);
    json_add_list(o, "security_groups", &i->groups);
    json_add_text(o, "address", address);
    json_add_text(o, "public_address", open);
    add_metadata(json_add_object(o, "metadata_options"), i);
    json_add_text(o, "key_name", i->key_name);
    json_add_text(o, "credits", i->credits);
    json_add_bool(o, "monitoring", i->monitoring);
    json_add_bool(o, "ebs_optimized", i->ebs_optimized);
    json_add_bool(o, "protected", i->protect);
    json_add_text(o, "on_shutdown", i->stop_on_shutdown ? "stop" : "terminate");
    json_add_text(o, "lifecycle", i->spot_request ? "spot" : "on-demand");
    json_add_text(o, "client_token", i->client_token);
    json_add_date(o, "launched", i->launched);
    json_add_int(o, "launched_ms", i->launched);
    json_add_int(o, "changed_ms", i->change_at); /* 0: no state has passed */
    json_add_int(o, "user_data_bytes", (int64_t)i->user_data.len);
    json_add_pairs(o, "tags", &i->tags);
}

static void add_volume(struct json_object *o, const struct volume *v)
{
    json_add_text(o, "id", v->id);
    json_add_text(o, "instance", v->instance);
    json_add_text(o, "state", v->instance ? "in-use" : "available");
    json_add_text(o, "device", v->device);
    json_add_text(o, "type", v->type);
    json_add_int(o, "size", v->size);
    json_add_int(o, "iops", v->iops);
    json_add_int(o, "throughput", v->throughput);
    json_add_int(o, "initialization_rate", v->rate);
    json_add_bool(o, "encrypted", v->encrypted);
    json_add_text(o, "kms_key", v->kms_key);
    json_add_text(o, "snapshot", v->snapshot);
    json_add_bool(o, "delete_on_termination", v->delete_on_termination);
    json_add_pairs(o, "tags", &v->tags);
}

/* A new row of an array in the object of a region, which is made if there is none. */
static struct json_object *add_row(struct json_object *regions, const char *region, const char *kind)
{
    static const char *const kinds[] = {
        "instances", "volumes", "spot_requests", "client_tokens", "images", "snapshots"
    };
    struct json_object *o = NULL, *rows = NULL;
    if (!json_object_object_get_ex(regions, region, &o)) {
        o = json_add_object(regions, region);
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
            json_add_array(o, kinds[i]);
    }
    json_object_object_get_ex(o, kind, &rows);
    return json_add_row(rows);
}

/* Our own images and snapshots. */
static void add_images(struct json_object *regions, const struct sim *s)
{
    for (size_t n = 0; n < s->n_images; n++) {
        const struct image *i = s->images[n];
        if (!image_is_own(i))
            continue;
        struct json_object *o = add_row(regions, i->region, "images");
        json_add_text(o, "id", i->id);
        json_add_text(o, "name", i->name);
        json_add_text(o, "state", image_state(s, i));
        json_add_text(o, "architecture", i->architecture);
        json_add_int(o, "size", i->gib);
        json_add_int(o, "created", i->created);
        json_add_int(o, "deprecated", i->deprecated_at);
        json_add_list(o, "shared", &i->shared);
        json_add_text(o, "snapshot", i->snapshot);
        json_add_pairs(o, "tags", &i->tags);
    }
    for (size_t n = 0; n < s->n_snapshots; n++) {
        const struct snapshot *snapshot = s->snapshots[n];
        if (!snapshot_is_own(snapshot))
            continue;
        struct json_object *o = add_row(regions, snapshot->region, "snapshots");
        json_add_text(o, "id", snapshot->id);
        json_add_text(o, "description", snapshot->description);
        json_add_int(o, "size", snapshot->gib);
        json_add_pairs(o, "tags", &snapshot->tags);
    }
}

static void add_regions(struct json_object *regions, const struct sim *s)
{
    for (size_t n = 0; n < s->n_instances; n++)
        add_instance(add_row(regions, s->instances[n]->region, "instances"), s, s->instances[n]);
    for (size_t n = 0; n < s->n_volumes; n++)
        add_volume(add_row(regions, s->volumes[n]->region, "volumes"), s->volumes[n]);
    for (size_t n = 0; n < s->n_spot_requests; n++) {
        const struct spot_request *q = s->spot_requests[n];
        struct json_object *o = add_row(regions, q->region, "spot_requests");
        json_add_text(o, "id", q->id);
        json_add_text(o, "instance", q->instance);
        json_add_text(o, "price", q->price);
        json_add_pairs(o, "tags", &q->tags);
    }
    for (size_t n = 0; n < s->n_tokens; n++) {
        const struct client_token *t = &s->tokens[n];
        struct json_object *o = add_row(regions, t->region, "client_tokens");
        json_add_text(o, "token", t->token);
        json_add_text(o, "zone", t->zone);
        json_add_text(o, "made", t->made);
    }
}

static void add_killed(struct json_object *rows, const struct sim *s)
{
    for (size_t n = 0; n < s->n_killed; n++) {
        const struct killed *k = &s->killed[n];
        struct json_object *o = json_add_row(rows);
        json_add_int(o, "job", k->job);
        json_add_text(o, "runner", k->runner);
        json_add_text(o, "instance", k->instance);
        if (k->instance)
            json_add_int(o, "age_ms", k->age);
        else
            json_add_null(o, "age_ms");
        json_add_text(o, "how", k->how);
    }
}

static void add_runners(struct json_object *rows, const struct sim *s)
{
    for (size_t n = 0; n < s->n_runners; n++) {
        const struct runner *r = s->runners[n];
        struct json_object *o = json_add_row(rows);
        json_add_int(o, "id", r->id);
        json_add_text(o, "name", r->name);
        json_add_text(o, "scope", r->scope);
        json_add_int(o, "group", r->group);
        json_add_text(o, "status", r->online ? "online" : "offline");
        json_add_bool(o, "busy", r->busy);
        json_add_list(o, "labels", &r->labels);
    }
}

struct json_object *state_json(const struct sim *s)
{
    struct json_object *o = must(json_object_new_object());
    json_add_date(o, "time", sim_now(s));
    json_add_int(o, "time_ms", sim_now(s));
    struct json_object *regions = json_add_object(o, "regions");
    add_images(regions, s);
    add_regions(regions, s);
    struct json_object *refused = json_add_object(o, "refused");
    json_add_int(refused, "RunInstances", s->refused_runs);
    json_add_int(refused, "generate-jitconfig", s->refused_mints);
    add_killed(json_add_array(o, "killed"), s);
    add_runners(json_add_array(o, "runners"), s);
    struct json_object *jobs = json_add_array(o, "jobs");
    for (size_t n = 0; n < s->n_jobs; n++)
        json_object_array_add(jobs, state_job(s->jobs[n]));
    return o;
}
