/* Snapshots; only our own are seen. */
#include "aws.h"
#include "describe.h"
#include "ec2.h"
#include "sim.h"
#include "world_resources.h"

static const char *state_of(const struct sim *s, const struct snapshot *n)
{
    return sim_now(s) < n->completed_at ? "pending" : "completed";
}

static const struct pairs *snapshot_tags(const void *row)
{
    return &((const struct snapshot *)row)->tags;
}

static void snapshot_values(const struct call *c, const void *row, const char *name, struct strlist *ret)
{
    const struct snapshot *n = row;
    AUTO_FREE char *started = element_date(n->created);
    const struct fact known[] = { { "snapshot-id", n->id },          { "status", state_of(c->sim, n) },
                                  { "volume-id", n->volume },        { "owner-id", n->owner },
                                  { "description", n->description }, { "start-time", started } };
    facts_add(known, ARRAY_SIZE(known), name, ret);
}

static bool check_id(struct call *c, const char *id)
{
    const struct snapshot *n = world_snapshot(c->sim, id);
    if (str_empty(id))
        return call_refuse(c, 400, "MissingParameter", "The request must contain the parameter snapshotId");
    if (!aws_is_id(id, "snap-"))
        return call_refuse(c, 400, "InvalidParameterValue",
                           "Value (%s) for parameter snapshotId is invalid. Expected: 'snap-...'.", id);
    return (IS_HERE(c, n) && snapshot_is_own(n)) ||
           call_refuse(c, 400, "InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id);
}

static const struct resource snapshot_resource = {
    .ids = "SnapshotId",
    .set = "snapshotSet",
    .filters = "snapshot-id status volume-id owner-id description start-time",
    .values = snapshot_values,
    .tags = snapshot_tags,
    .check_id = check_id,
};

static void write_snapshot(const struct sim *s, struct strbuf *out, const struct snapshot *n)
{
    bool completed = str_eq(state_of(s, n), "completed");
    element_open(out, "item");
    element(out, "snapshotId", n->id);
    element(out, "volumeId", n->volume);
    element(out, "status", state_of(s, n));
    element_time(out, "startTime", n->created);
    element(out, "progress", completed ? "100%" : "42%");
    element(out, "ownerId", n->owner);
    element_int(out, "volumeSize", n->gib);
    element(out, "description", n->description);
    element_bool(out, "encrypted", n->encrypted);
    tags_write(out, &n->tags);
    element_close(out, "item");
}

void ec2_describe_snapshots(struct call *c)
{
    CLEANUP(listing_clear) struct listing l = { 0 };
    AUTO_STRLIST owners = { 0 };
    if (!owners_check(c, &owners) || !listing_begin(c, &snapshot_resource, &l))
        return;
    bool ours = owners.n == 0 || strlist_has(&owners, "self") || strlist_has(&owners, sim_account);
    listing_open(c, &l);
    for (size_t i = 0; ours && i < c->sim->n_snapshots; i++) {
        const struct snapshot *n = c->sim->snapshots[i];
        if (str_eq(n->region, c->region) && snapshot_is_own(n) && listing_takes(c, &l, n->id, n))
            write_snapshot(c->sim, &c->res->body, n);
    }
    listing_close(c, &l);
}

void ec2_delete_snapshot(struct call *c)
{
    const char *id = call_param(c, "SnapshotId");
    if (!check_id(c, id))
        return;
    const struct image *user = snapshot_user(c->sim, id);
    if (user) {
        call_refuse(c, 400, "InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", id, user->id);
        return;
    }
    if (!call_is_wet(c))
        return;
    world_remove_snapshot(c->sim, world_snapshot(c->sim, id));
    call_return_true(c);
}
