/* What a region has besides instances. */
#include <stdlib.h>

#include "rows.h"
#include "sim.h"
#include "world_resources.h"

/* --- looking up --------------------------------------------------------------------------------------------------- */

struct volume *world_volume(const struct sim *s, const char *id)
{
    return ROW_FIND(s->volumes, s->n_volumes, id);
}

struct subnet *world_subnet(const struct sim *s, const char *id)
{
    return ROW_FIND(s->subnets, s->n_subnets, id);
}

struct security_group *world_group(const struct sim *s, const char *id)
{
    return ROW_FIND(s->groups, s->n_groups, id);
}

struct image *world_image(const struct sim *s, const char *id)
{
    return ROW_FIND(s->images, s->n_images, id);
}

struct snapshot *world_snapshot(const struct sim *s, const char *id)
{
    return ROW_FIND(s->snapshots, s->n_snapshots, id);
}

struct spot_request *world_spot_request(const struct sim *s, const char *id)
{
    return ROW_FIND(s->spot_requests, s->n_spot_requests, id);
}

const char *image_state(const struct sim *s, const struct image *image)
{
    return sim_now(s) < image->available_at ? "pending" : image->failed ? "failed" : "available";
}

bool image_is_own(const struct image *image)
{
    return str_eq(image->owner, sim_account);
}

bool snapshot_is_own(const struct snapshot *n)
{
    return str_eq(n->owner, sim_account);
}

const struct image *snapshot_user(const struct sim *s, const char *id)
{
    for (size_t i = 0; i < s->n_images; i++)
        if (str_eq(s->images[i]->snapshot, id))
            return s->images[i];
    return NULL;
}

struct parameter *world_parameter(const struct sim *s, const char *region, const char *name)
{
    for (size_t i = 0; i < s->n_parameters; i++)
        if (str_eq(s->parameters[i]->region, region) && str_eq(s->parameters[i]->name, name))
            return s->parameters[i];
    return NULL;
}

/* --- from their beginning to their end ---------------------------------------------------------------------------- */

struct volume *world_add_volume(struct sim *s, const char *region, const char *zone, const char *instance)
{
    struct volume *v = xcalloc(1, sizeof(*v));
    v->id = sim_random_id("vol-", 17);
    str_set(&v->region, region);
    str_set(&v->zone, zone);
    str_set(&v->instance, instance);
    v->size = 8;
    v->created = sim_now(s);
    v->delete_on_termination = true;
    ROW_ADD(s->volumes, s->n_volumes, v);
    return v;
}

static void free_strings(char *const *owned, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(owned[i]);
}

static void free_volume(struct volume *v)
{
    char *owned[] = { v->id, v->region, v->zone, v->instance, v->device, v->type, v->kms_key, v->snapshot };
    free_strings(owned, ARRAY_SIZE(owned));
    pairs_clear(&v->tags);
    free(v);
}

void world_remove_volume(struct sim *s, struct volume *v)
{
    ROW_REMOVE(s->volumes, s->n_volumes, v, free_volume);
}

void world_detach_volumes(struct sim *s, const char *instance)
{
    for (size_t n = 0; n < s->n_volumes;) {
        struct volume *v = s->volumes[n];
        if (!str_eq(v->instance, instance)) {
            n++;
        } else if (v->delete_on_termination) {
            world_remove_volume(s, v);
        } else {
            str_set(&v->instance, NULL);
            n++;
        }
    }
}

static void free_subnet(struct subnet *n)
{
    char *owned[] = { n->id, n->region, n->zone, n->vpc };
    free_strings(owned, ARRAY_SIZE(owned));
    pairs_clear(&n->tags);
    free(n);
}

static void free_group(struct security_group *g)
{
    char *owned[] = { g->id, g->region, g->vpc, g->name };
    free_strings(owned, ARRAY_SIZE(owned));
    pairs_clear(&g->tags);
    free(g);
}

static void free_image(struct image *i)
{
    char *owned[] = { i->id, i->region, i->name, i->description, i->owner, i->snapshot, i->root_device };
    free_strings(owned, ARRAY_SIZE(owned));
    strlist_clear(&i->shared);
    strlist_clear(&i->devices);
    pairs_clear(&i->tags);
    free(i);
}

static void free_snapshot(struct snapshot *n)
{
    char *owned[] = { n->id, n->region, n->owner, n->volume, n->description };
    free_strings(owned, ARRAY_SIZE(owned));
    pairs_clear(&n->tags);
    free(n);
}

struct parameter *world_put_parameter(struct sim *s, const char *region, const char *name, const char *type,
                                      const char *value)
{
    struct parameter *p = world_parameter(s, region, name);
    if (!p) {
        p = xcalloc(1, sizeof(*p));
        str_set(&p->region, region);
        str_set(&p->name, name);
        str_set(&p->data_type, "text");
        ROW_ADD(s->parameters, s->n_parameters, p);
    }
    if (type)
        str_set(&p->type, type);
    str_set(&p->value, value);
    p->version++;
    p->modified = sim_now(s);
    return p;
}

static void free_parameter(struct parameter *p)
{
    char *owned[] = { p->region, p->name, p->value, p->type, p->data_type, p->description };
    for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
        free(owned[i]);
    free(p);
}

void world_remove_parameter(struct sim *s, struct parameter *p)
{
    ROW_REMOVE(s->parameters, s->n_parameters, p, free_parameter);
}

void world_remove_image(struct sim *s, struct image *image)
{
    ROW_REMOVE(s->images, s->n_images, image, free_image);
}

void world_remove_snapshot(struct sim *s, struct snapshot *snapshot)
{
    ROW_REMOVE(s->snapshots, s->n_snapshots, snapshot, free_snapshot);
}

static void free_spot_request(struct spot_request *r)
{
    char *owned[] = { r->id, r->region, r->instance, r->type, r->image, r->price };
    free_strings(owned, ARRAY_SIZE(owned));
    pairs_clear(&r->tags);
    free(r);
}

static void free_token(struct client_token t)
{
    char *owned[] = { t.token, t.region, t.zone, t.parameters, t.made };
    free_strings(owned, ARRAY_SIZE(owned));
}

void resources_clear(struct sim *s)
{
    ROW_CLEAR(s->subnets, s->n_subnets, free_subnet);
    ROW_CLEAR(s->groups, s->n_groups, free_group);
    ROW_CLEAR(s->images, s->n_images, free_image);
    ROW_CLEAR(s->snapshots, s->n_snapshots, free_snapshot);
    ROW_CLEAR(s->volumes, s->n_volumes, free_volume);
    ROW_CLEAR(s->spot_requests, s->n_spot_requests, free_spot_request);
    ROW_CLEAR(s->tokens, s->n_tokens, free_token);
    ROW_CLEAR(s->parameters, s->n_parameters, free_parameter);
}
