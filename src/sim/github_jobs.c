/* Runs and jobs, as GitHub lists them. */
#include <inttypes.h>
#include <strings.h>

#include "github_call.h"
#include "http.h"
#include "sim.h"
#include "to_json.h"
#include "world_instances.h"
#include "world_runners.h"

static void add_job(struct json_object *o, const struct sim *s, const struct job *j)
{
    bool seen = sim_is_seen(s, j->started, s->lag.github); /* else it is queued still */
    AUTO_FREE char *url = xasprintf("%s/api/v3%s/actions/jobs/%" PRId64, s->base_url, j->scope, j->id);
    AUTO_FREE char *run = xasprintf("%s/api/v3%s/actions/runs/%" PRId64, s->base_url, j->scope, j->run_id);
    AUTO_FREE char *html = xasprintf("%s%s/actions/runs/%" PRId64 "/job/%" PRId64, s->base_url,
                                     j->scope + strlen("/repos"), j->run_id, j->id);
    json_add_int(o, "id", j->id);
    json_add_int(o, "run_id", j->run_id);
    json_add_int(o, "run_attempt", j->attempt);
    json_add_text(o, "run_url", run);
    json_add_text(o, "node_id", "CR_simulated");
    json_add_text(o, "head_sha", "0a11ce0000000000000000000000000000000000");
    json_add_text(o, "head_branch", "main");
    json_add_text(o, "workflow_name", "CI");
    json_add_text(o, "name", j->name);
    json_add_text(o, "url", url);
    json_add_text(o, "html_url", html);
    json_add_text(o, "check_run_url", url);
    json_add_text(o, "status", seen ? j->status : "queued");
    json_add_text(o, "conclusion", seen ? j->conclusion : NULL);
    json_add_date(o, "created_at", j->created);
    json_add_date(o, "started_at", j->started ? j->started : j->created);
    json_add_date(o, "completed_at", j->completed);
    json_add_list(o, "labels", &j->labels);
    json_add_int(o, "runner_id", seen ? j->runner_id : 0);
    json_add_text(o, "runner_name", seen && j->runner_name ? j->runner_name : "");
    json_add_int(o, "runner_group_id", j->group);
    json_add_text(o, "runner_group_name", j->group ? s->runner_groups.v[j->group - 1] : "");
    json_add_array(o, "steps");
}

/* The last attempt of a run; 0: there is none such. */
static int64_t last_attempt(const struct github_call *c, int64_t run_id)
{
    int64_t last = 0;
    for (size_t i = 0; i < c->sim->n_jobs; i++) {
        const struct job *j = c->sim->jobs[i];
        if (j->run_id == run_id && str_eq(j->scope, c->scope) && j->attempt > last)
            last = j->attempt;
    }
    /* A workflow run that launched an instance is there, also when no job of it was queued here. */
    for (size_t i = 0; i < c->sim->n_instances; i++) {
        const struct pairs *tags = &c->sim->instances[i]->tags;
        const char *run = pairs_get(tags, "mayfly:run"), *repo = pairs_get(tags, "mayfly:repo");
        AUTO_FREE char *scope = xasprintf("/repos/%s", repo ? repo : "");
        AUTO_FREE char *begin = xasprintf("%" PRId64 "/", run_id);
        if (run && str_starts(run, begin) && strcasecmp(scope, c->scope) == 0)
            last = last > 0 ? last : 1;
    }
    return last;
}

void github_list_jobs(struct github_call *c)
{
    bool all = str_eq(pairs_get(&c->request->query, "filter"), "all");
    int64_t last = last_attempt(c, c->ids[0]);
    if (last == 0 || c->ids[1] > last) {
        github_refuse(c->res, 404, "Not Found");
        return;
    }
    struct github_page page = github_page_begin(c);
    int64_t attempt = c->ids[1] ? c->ids[1] : last;
    for (size_t i = 0; i < c->sim->n_jobs; i++) {
        const struct job *j = c->sim->jobs[i];
        if (j->run_id == c->ids[0] && str_eq(j->scope, c->scope) && (j->attempt == attempt || (all && !c->ids[1])) &&
            github_page_takes(&page))
            add_job(json_add_row(page.rows), c->sim, j);
    }
    github_page_end(c, &page, "jobs");
}

void github_get_job(struct github_call *c)
{
    const struct job *j = world_job(c->sim, c->ids[0]);
    if (!j || !str_eq(j->scope, c->scope)) {
        github_refuse(c->res, 404, "Not Found");
        return;
    }
    struct json_object *o = must(json_object_new_object());
    add_job(o, c->sim, j);
    respond_json(c->res, 200, o);
}
