/* What the stand-in for the runner program talks to. */
#include "broker.h"
#include "github_call.h"
#include "http.h"
#include "sim.h"
#include "to_json.h"
#include "world_runners.h"

static struct runner *runner_by_secret(struct sim *s, const struct request *r)
{
    const char *value = pairs_get(&r->headers, "authorization");
    for (size_t i = 0; value && str_starts(value, "Bearer ") && i < s->n_runners; i++)
        if (str_eq(s->runners[i]->secret, value + 7))
            return s->runners[i];
    return NULL;
}

static void send_job(const struct job *j, struct response *res)
{
    struct json_object *o = must(json_object_new_object());
    json_add_int(o, "id", j->id);
    json_add_text(o, "name", j->name);
    json_add_text(o, "repository", strchr(j->scope + 1, '/') + 1);
    json_add_int(o, "run_id", j->run_id);
    json_add_list(o, "commands", &j->commands);
    json_add_pairs(o, "env", &j->env);
    respond_json(res, 200, o);
}

void broker_serve(struct sim *s, const struct request *r, struct response *res)
{
    struct runner *runner = runner_by_secret(s, r);
    const char *what = r->path + strlen("/runner/");
    if (!runner) {
        github_refuse(res, 404, "The runner no longer exists on the server.");
        return;
    }
    struct job *job = runner->job ? world_job(s, runner->job) : NULL;
    res->status = 204;
    if (str_eq(what, "session")) {
        world_connect(s, runner);
    } else if (str_eq(what, "close")) {
        runner->online = false;
    } else if (str_eq(what, "message")) {
        if (job || world_assign_job(s, runner)) /* again, when the answer was lost */
            send_job(world_job(s, runner->job), res);
        else
            res->status = 202;
    } else if (str_eq(what, "console")) {
        res->status = 204; /* the instance's console is read from its pipe */
    } else if (str_eq(what, "log") && job) {
        strbuf_add(&job->log, strbuf_str(&r->body), r->body.len);
    } else if (str_eq(what, "complete") && job) {
        world_finish_job(s, job, str_eq(strbuf_str(&r->body), "Succeeded") ? "success" : "failure", true);
    } else {
        github_refuse(res, 404, "Not Found");
    }
}
