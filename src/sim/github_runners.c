/* Runners, their groups and their program, as GitHub lists them. */
#include <inttypes.h>
#include <strings.h>

#include "github_call.h"
#include "http.h"
#include "sim.h"
#include "to_json.h"
#include "world_runners.h"

static int64_t label_id(const struct sim *s, const char *label)
{
    size_t i = 0;
    while (i < s->labels.n && !str_eq(s->labels.v[i], label))
        i++;
    return (int64_t)i + 1;
}

/* GitHub's own labels cannot be removed. */
static bool is_own_label(const char *label)
{
    static const char *const own[] = { "self-hosted", "linux", "x64", "arm64" };
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        if (strcasecmp(own[i], label) == 0)
            return true;
    return false;
}

/* Is this runner lied about in this way? */
static bool is_lie(const struct request *q, const struct runner *r, const char *kind)
{
    return str_eq(q->lie, kind) && (!q->liar || strstr(r->name, q->liar));
}

/* Does the replica that answers know of it? */
static bool is_known(const struct sim *s, const struct request *q, const struct runner *r)
{
    return sim_is_seen(s, r->created, s->lag.github) && !is_lie(q, r, "forgotten");
}

void github_add_runner(struct json_object *o, const struct sim *s, const struct request *q, const struct runner *r)
{
    bool online = r->online, busy = r->busy;
    if (q) {
        online = (online || is_lie(q, r, "idle")) && sim_is_seen(s, r->online_since, s->lag.github) &&
                 !is_lie(q, r, "offline");
        busy =
            busy && sim_is_seen(s, r->busy_since, s->lag.github) && !is_lie(q, r, "idle") && !is_lie(q, r, "offline");
    }
    json_add_int(o, "id", r->id);
    json_add_int(o, "runner_group_id", r->group);
    json_add_text(o, "name", r->name);
    json_add_text(o, "os", r->connected ? "linux" : "unknown");
    json_add_text(o, "status", online ? "online" : "offline");
    json_add_bool(o, "busy", busy);
    json_add_bool(o, "ephemeral", true);
    json_add_text(o, "version", r->connected ? "2.337.0" : NULL);
    struct json_object *labels = json_add_array(o, "labels");
    for (size_t i = 0; i < r->labels.n; i++) {
        struct json_object *label = json_add_row(labels);
        json_add_int(label, "id", label_id(s, r->labels.v[i]));
        json_add_text(label, "name", r->labels.v[i]);
        json_add_text(label, "type", is_own_label(r->labels.v[i]) ? "read-only" : "custom");
    }
}

void github_list_runners(struct github_call *c)
{
    struct github_page page = github_page_begin(c);
    const char *name = pairs_get(&c->request->query, "name");
    for (size_t i = 0; i < c->sim->n_runners; i++) {
        const struct runner *r = c->sim->runners[i];
        if (str_eq(r->scope, c->scope) && (!name || strcasecmp(r->name, name) == 0) &&
            is_known(c->sim, c->request, r) && github_page_takes(&page))
            github_add_runner(json_add_row(page.rows), c->sim, c->request, r);
    }
    github_page_end(c, &page, "runners");
}

static struct runner *runner_of(struct github_call *c)
{
    struct runner *r = world_runner(c->sim, c->ids[0]);
    if (r && str_eq(r->scope, c->scope))
        return r;
    github_refuse(c->res, 404, "Not Found");
    return NULL;
}

void github_get_runner(struct github_call *c)
{
    const struct runner *r = runner_of(c);
    if (!r)
        return;
    if (!is_known(c->sim, c->request, r)) {
        github_refuse(c->res, 404, "Not Found");
        return;
    }
    struct json_object *o = must(json_object_new_object());
    github_add_runner(o, c->sim, c->request, r);
    respond_json(c->res, 200, o);
}

void github_delete_runner(struct github_call *c)
{
    struct runner *r = runner_of(c);
    if (!r)
        return;
    if (is_lie(c->request, r, "forgotten")) {
        github_refuse(c->res, 404, "Not Found");
        return;
    }
    if (r->busy && !is_lie(c->request, r, "idle")) {
        github_refuse(c->res, 422, "Bad request - Runner \"%s\" is currently running a job and cannot be deleted.",
                      r->name);
        return;
    }
    world_note_killed(c->sim, r, NULL, "DELETE");
    world_remove_runner(c->sim, r);
    c->res->status = 204;
}

void github_list_downloads(struct github_call *c)
{
    const struct sim *s = c->sim;
    static const char *const architectures[] = { "x64", "arm64" };
    struct json_object *rows = must(json_object_new_array());
    for (size_t i = 0; i < ARRAY_SIZE(architectures); i++) {
        AUTO_FREE char *file = xasprintf("actions-runner-linux-%s-2.337.0.tar.gz", architectures[i]);
        AUTO_FREE char *url = xasprintf("%s/dist/%s", s->base_url, file);
        struct json_object *o = json_add_row(rows);
        json_add_text(o, "os", "linux");
        json_add_text(o, "architecture", architectures[i]);
        json_add_text(o, "download_url", url);
        json_add_text(o, "filename", file);
        json_add_text(o, "sha256_checksum", s->runner_sha256);
    }
    respond_json(c->res, 200, rows);
}

static void add_group(struct json_object *o, const struct github_call *c, int64_t id)
{
    AUTO_FREE char *url =
        xasprintf("%s/api/v3%s/actions/runner-groups/%" PRId64 "/runners", c->sim->base_url, c->scope, id);
    json_add_int(o, "id", id);
    json_add_text(o, "name", c->sim->runner_groups.v[id - 1]);
    json_add_text(o, "visibility", "all");
    json_add_bool(o, "default", id == 1);
    json_add_text(o, "runners_url", url);
    json_add_bool(o, "inherited", false);
    json_add_bool(o, "allows_public_repositories", false);
    json_add_bool(o, "restricted_to_workflows", false);
    json_add_array(o, "selected_workflows");
    json_add_bool(o, "workflow_restrictions_read_only", false);
}

void github_list_groups(struct github_call *c)
{
    if (str_starts(c->scope, "/repos/")) {
        github_refuse(c->res, 404, "Not Found");
        return;
    }
    struct github_page page = github_page_begin(c);
    for (size_t i = 0; i < c->sim->runner_groups.n; i++)
        if (github_page_takes(&page))
            add_group(json_add_row(page.rows), c, (int64_t)i + 1);
    github_page_end(c, &page, "runner_groups");
}
