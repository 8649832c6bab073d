/* GitHub's runners and jobs. */
#include <inttypes.h>
#include <strings.h>

#include "rows.h"
#include "sim.h"
#include "world.h"
#include "world_instances.h"
#include "world_runners.h"

/* Times of GitHub, in simulated milliseconds. */
enum {
    LOCK_MS = 600 * 1000,             /* the job of a dead machine fails then */
    NEVER_CAME_MS = 24 * 3600 * 1000, /* a just-in-time record that nothing connected to goes */
};

struct runner *world_runner(const struct sim *s, int64_t id)
{
    size_t low = 0, high = s->n_runners; /* they are in the order of their ids */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->runners[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->n_runners && s->runners[low]->id == id ? s->runners[low] : NULL;
}

struct job *world_job(const struct sim *s, int64_t id)
{
    for (size_t i = 0; i < s->n_jobs; i++)
        if (s->jobs[i]->id == id)
            return s->jobs[i];
    return NULL;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

static void free_runner(struct runner *r)
{
    free(r->scope);
    free(r->name);
    free(r->secret);
    free(r->work_folder);
    strlist_clear(&r->labels);
    free(r);
}

void world_remove_runner(struct sim *s, struct runner *r)
{
    ROW_REMOVE(s->runners, s->n_runners, r, free_runner);
}

void world_connect(struct sim *s, struct runner *r)
{
    r->connected = r->online = true;
    r->offline_at = r->unlock_at = 0;
    r->idle_since = r->online_since = sim_now(s);
}

void world_finish_job(struct sim *s, struct job *j, const char *conclusion, bool remove)
{
    struct runner *r = world_runner(s, j->runner_id);
    j->status = "completed";
    j->conclusion = conclusion;
    j->completed = sim_now(s);
    if (!r || r->job != j->id)
        return;
    r->busy = false;
    r->job = 0;
    r->idle_since = sim_now(s);
    if (remove)
        world_remove_runner(s, r);
}

static bool has_label(const struct runner *r, const char *label)
{
    for (size_t i = 0; i < r->labels.n; i++)
        if (strcasecmp(r->labels.v[i], label) == 0)
            return true;
    return false;
}

/* A runner of an organization or an enterprise serves its repositories. */
static bool serves(const struct runner *r, const struct job *j)
{
    static const char *const owners[] = { "/orgs/", "/enterprises/" };
    if (str_eq(r->scope, j->scope))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
        if (!str_starts(r->scope, owners[i]) || !str_starts(j->scope, "/repos/"))
            continue;
        const char *owner = r->scope + strlen(owners[i]), *repo = j->scope + strlen("/repos/");
        return str_starts(repo, owner) && repo[strlen(owner)] == '/';
    }
    return false;
}

static bool fits(const struct runner *r, const struct job *j)
{
    if (!str_eq(j->status, "queued") || j->labels.n == 0)
        return false;
    for (size_t i = 0; i < j->labels.n; i++)
        if (!has_label(r, j->labels.v[i]))
            return false;
    return serves(r, j);
}

bool world_assign_job(struct sim *s, struct runner *r)
{
    for (size_t i = 0; i < s->n_jobs && r->online && !r->busy; i++) {
        struct job *j = s->jobs[i];
        if (!fits(r, j))
            continue;
        j->status = "in_progress";
        j->started = sim_now(s);
        j->runner_id = r->id;
        j->group = r->group;
        str_set(&j->runner_name, r->name);
        r->busy = true;
        r->busy_since = j->started;
        r->job = j->id;
        return true;
    }
    return false;
}

void world_lose_runner(struct sim *s, struct runner *r, int64_t seen_ms)
{
    int64_t now = sim_now(s);
    if (r->online && r->offline_at == 0)
        r->offline_at = now + seen_ms;
    if (r->busy && r->unlock_at == 0)
        r->unlock_at = now + LOCK_MS;
}

static void free_job(struct job *j)
{
    free(j->scope);
    free(j->name);
    free(j->runner_name);
    strlist_clear(&j->labels);
    strlist_clear(&j->commands);
    pairs_clear(&j->env);
    strbuf_clear(&j->log);
    free(j);
}

void world_note_killed(struct sim *s, const struct runner *r, const struct instance *i, const char *how)
{
    const struct job *j = r->job ? world_job(s, r->job) : NULL;
    if (!j)
        return;
    struct killed killed = { .job = j->id,
                             .runner = xstrdup(r->name),
                             .instance = i ? xstrdup(i->id) : NULL,
                             .age = i ? sim_now(s) - i->launched : 0,
                             .how = how };
    ROW_ADD(s->killed, s->n_killed, killed);
}

static void free_killed(struct killed k)
{
    free(k.runner);
    free(k.instance);
}

struct runner *world_copy_runner(struct sim *s, const struct runner *like)
{
    struct runner *r = xcalloc(1, sizeof(*r));
    const char *end = strrchr(like->name, '-');
    size_t begin = end ? (size_t)(end + 1 - like->name) : 0;
    *r = *like;
    r->id = ++s->next_runner;
    r->scope = xstrdup(like->scope);
    r->name = xasprintf("%.*s%0*" PRId64, (int)begin, like->name, (int)strlen(like->name + begin), r->id);
    r->secret = sim_random_id("", 64);
    r->work_folder = like->work_folder ? xstrdup(like->work_folder) : NULL;
    r->labels = (struct strlist){ 0 };
    strlist_copy(&r->labels, &like->labels);
    ROW_ADD(s->runners, s->n_runners, r);
    return r;
}

/* --- time --------------------------------------------------------------------------------------------------------- */

/* True when the record is gone. */
static bool tick_runner(struct sim *s, struct runner *r, int64_t now)
{
    if (r->offline_at && now >= r->offline_at) {
        r->online = false;
        r->offline_at = 0;
    }
    if (r->unlock_at && now >= r->unlock_at) {
        struct job *j = r->job ? world_job(s, r->job) : NULL;
        r->unlock_at = 0;
        if (j)
            world_finish_job(s, j, "failure", false);
        r->busy = false;
    }
    bool idle = r->online && !r->busy && s->options.idle_removal && now >= r->idle_since + s->options.idle_removal;
    if (!idle && (r->connected || now < r->created + NEVER_CAME_MS))
        return false;
    world_remove_runner(s, r);
    return true;
}

void runners_tick(struct sim *s, int64_t now)
{
    for (size_t i = 0; i < s->n_runners;)
        if (!tick_runner(s, s->runners[i], now))
            i++;
}

int64_t runners_next(const struct sim *s, int64_t now)
{
    int64_t next = INT64_MAX;
    for (size_t n = 0; n < s->n_jobs; n++)
        if (str_eq(s->jobs[n]->status, "in_progress"))
            next = world_earlier(next, now, s->jobs[n]->started + s->jobs[n]->duration);
    for (size_t n = 0; n < s->n_runners; n++) {
        const struct runner *r = s->runners[n];
        next = world_earlier(next, now, r->offline_at);
        next = world_earlier(next, now, r->unlock_at);
        if (!r->connected)
            next = world_earlier(next, now, r->created + NEVER_CAME_MS);
        if (s->options.idle_removal)
            next = world_earlier(next, now, r->idle_since + s->options.idle_removal);
    }
    return next;
}

void runners_clear(struct sim *s)
{
    ROW_CLEAR(s->runners, s->n_runners, free_runner);
    ROW_CLEAR(s->jobs, s->n_jobs, free_job);
    ROW_CLEAR(s->killed, s->n_killed, free_killed);
    strlist_clear(&s->runner_groups);
    strlist_clear(&s->labels);
}
