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

struct session { /* one request of the stand-in */
    struct sim *sim;
    struct runner *runner;
    struct job *job; /* or NULL */
    const struct request *request;
    struct response *res; /* 204, unless whoever serves it says otherwise */
};

static void connect_runner(struct session *x)
{
    world_connect(x->sim, x->runner);
}

static void close_session(struct session *x)
{
    x->runner->online = false;
}

static void give_job(struct session *x)
{
    if (x->job || world_assign_job(x->sim, x->runner)) /* again, when the answer was lost */
        send_job(world_job(x->sim, x->runner->job), x->res);
    else
        x->res->status = 202;
}

/* The instance's console is read from its pipe. */
static void take_console(struct session *x UNUSED)
{
}

static void take_log(struct session *x)
{
    strbuf_add(&x->job->log, strbuf_str(&x->request->body), x->request->body.len);
}

static void complete(struct session *x)
{
    bool succeeded = str_eq(strbuf_str(&x->request->body), "Succeeded");
    world_finish_job(x->sim, x->job, succeeded ? "success" : "failure", true);
}

static const struct {
    const char *what;
    bool of_job; /* only while the runner has one */
    void (*serve)(struct session *);
} routes[] = {
    { "session", false, connect_runner }, { "close", false, close_session }, { "message", false, give_job },
    { "console", false, take_console },   { "log", true, take_log },         { "complete", true, complete },
};

void broker_serve(struct sim *s, const struct request *r, struct response *res)
{
    struct session x = { .sim = s, .runner = runner_by_secret(s, r), .request = r, .res = res };
    const char *what = r->path + strlen("/runner/");
    if (!x.runner) {
        github_refuse(res, 404, "The runner no longer exists on the server.");
        return;
    }
    x.job = x.runner->job ? world_job(s, x.runner->job) : NULL;
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        if (str_eq(routes[i].what, what) && (x.job || !routes[i].of_job)) {
            res->status = 204;
            routes[i].serve(&x);
            return;
        }
    }
    github_refuse(res, 404, "Not Found");
}
