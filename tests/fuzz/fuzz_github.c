/* What GitHub says. */
#include "fuzz.h"

#include <inttypes.h>

#include "mayfly/github/app.h"
#include "mayfly/github/jobs.h"
#include "mayfly/github/runners.h"
#include "mayfly/runner/doctor.h"
#include "mayfly/runner/reap_rows.h"
#include "mayfly/util/token.h"

static struct github_config config = {
    .api_url = (char *)"https://api.github.com",
    .scope = (char *)"o/r",
    .path = (char *)"/repos/o/r",
    .token = { (char *)"ghs_token" },
    .app_id = (char *)"12345",
};

/* --- answers by kind ---------------------------------------------------------------------------------------------- */

#define ROWS(...) FUZZ_ROWS(struct github_call, __VA_ARGS__)

/* One struct, whose required strings are there. */
#define ONE(function, call, type, member)                                                                              \
    static bool function(const struct github_call *c, struct arena *arena, struct error *err)                          \
    {                                                                                                                  \
        type one;                                                                                                      \
        fuzz_fill(&one, sizeof(one));                                                                                  \
        bool ok = call(c, arena, &one, err);                                                                           \
        HOLDS(ok ? (member) : fuzz_is_filled(&one, sizeof(one)));                                                      \
        return ok;                                                                                                     \
    }

/* A record is matched with an instance of its name. */
static void match(const struct github_runner *record)
{
    struct reap_rows rows = { 0 };
    AUTO_FREE char *id = xasprintf("%" PRId64, record->id);
    struct ec2_tag tags[] = { { TAG_FLEET, "o/r" },
                              { TAG_SCOPE, "o/r" },
                              { TAG_ROLE, "runner" },
                              { TAG_RUNNER, record->name },
                              { TAG_RUNNER_ID, id } };
    const struct ec2_instance instance = { .id = "i-00000000000000001",
                                           .launch_time = "2026-01-02T03:00:00Z",
                                           .state_name = "running",
                                           .tags = { tags, ARRAY_SIZE(tags), ARRAY_SIZE(tags) } };
    const struct reap_facts f = reap_read_instance(&instance, "o/r", LIMITS_DEFAULT, 1767323045);
    HOLDS(f.ours && reap_rows_add(&rows, &instance, &f, 0));
    reap_rows_sort(&rows);
    HOLDS(reap_rows_match(&rows, 0, record) == (record->id >= 0 && !str_empty(record->name)));
    reap_rows_clear(&rows);
}

ROWS(runners, github_list_runners_result, r, struct github_runner, {
    HOLDS(r->unclear || (r->name && r->status));
    if (r->unclear)
        continue;
    HOLDS(reap_read_record(r) < REAP_RECORD_COUNT);
    match(r);
})
ROWS(jobs, github_list_jobs_result, j, struct github_job, {
    HOLDS(j->unclear || j->status);
    (void)github_job_has_label(j, "mayfly-1");
})
ROWS(download_rows, github_downloads_result, d, struct github_download, HOLDS(d->os && d->architecture && d->url))
ROWS(groups, github_list_groups_result, g, struct github_group, HOLDS(g->unclear || g->name))

/* What doctor would make of it. */
static bool downloads(const struct github_call *c, struct arena *arena, struct error *err)
{
    struct field_list rows;
    if (!download_rows(c, arena, err) || !github_downloads_result(c, arena, &rows, err))
        return false;
    const char *newest = doctor_newest_runner(&rows, arena);
    struct findings findings = { 0 };
    const struct image image = { .id = "ami-1", .runner_version = newest ? newest : "2.330.0" };
    HOLDS(!newest || strspn(newest, "0123456789.") == strlen(newest));
    doctor_runner_version(&findings, &image, newest);
    findings_clear(&findings);
    return true;
}

ONE(runner, github_get_runner_result, struct github_runner, one.name &&one.status)
ONE(rate, github_rate_result, struct github_rate, one.limit != INT64_MIN)
ONE(about, github_app_result, struct github_app_about, !one.slug || strlen(one.slug) < SIZE_MAX)

static bool jit(const struct github_call *c, struct arena *arena, struct error *err)
{
    struct github_jit one;
    fuzz_fill(&one, sizeof(one));
    bool ok = github_jit_result(c, "mf-1", arena, &one, err);
    HOLDS(ok ? !str_empty(one.encoded) && str_eq(one.runner.name, "mf-1") : fuzz_is_filled(&one, sizeof(one)));
    return ok;
}

/* The first byte of the input, from `a` on, is the row; what follows is the answer. */
static const struct {
    const char *method, *path;
    bool (*result)(const struct github_call *c, struct arena *arena, struct error *err);
} operations[] = {
    { "GET", "/repos/o/r/actions/runners?per_page=100&page=1", runners },
    { "GET", "/repos/o/r/actions/runners/7", runner },
    { "POST", "/repos/o/r/actions/runners/generate-jitconfig", jit },
    { "GET", "/repos/o/r/actions/runs/1/jobs", jobs },
    { "GET", "/repos/o/r/actions/runners/downloads", downloads },
    { "GET", "/orgs/o/actions/runner-groups", groups },
    { "GET", "/rate_limit", rate },
    { "GET", "/app", about },
};

void fuzz_github(struct input *in)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct github g = { .config = &config, .env = &fuzz_env, .remaining = -1 };
    size_t i = (unsigned char)(fuzz_byte(in) - 'a') % ARRAY_SIZE(operations);
    struct github_call *c = github_call_new(&g, operations[i].method, operations[i].path, NULL);
    int64_t server_ms = -1;
    struct http_response *r = &c->call.exchange.response;
    fuzz_response(in, r);
    bool ok = r->status >= 200 && r->status < 300;
    enum retry_class class = c->call.ops->judge(&c->call, &server_ms, &err);
    HOLDS(server_ms >= -1 && g.remaining >= -1);
    HOLDS(!(ok && class != RETRY_NEVER));
    /* A POST that may have had its effect is not repeated. */
    HOLDS(!c->call.makes || r->status < 500 || class == RETRY_NEVER);
    fuzz_outcome(ok, &err);
    struct paging paging = { 0 };
    AUTO_ERROR endless = { 0 };
    bool more = false;
    HOLDS(github_call_turn(c, &paging, 1, &more, &endless) == (endless.domain == ERROR_NONE));
    if (ok)
        fuzz_outcome(operations[i].result(c, &arena, &err), &err);
    call_free(&c->call);
}

/* --- the App ------------------------------------------------------------------------------------------------------ */

/* Gives a call of the App its answer, and the end that it leads to. False: it comes again. */
static bool answer(struct call *call, struct input *in)
{
    AUTO_ERROR err = { 0 };
    int64_t server_ms = -1;
    http_response_clear(&call->exchange.response);
    fuzz_response(in, &call->exchange.response);
    enum retry_class class = call->ops->judge(call, &server_ms, &err);
    bool failed = err.domain != ERROR_NONE;
    if (class != RETRY_NEVER && in->at < in->end)
        return false;
    if (failed)
        error_move(&call->error, &err);
    call->ops->done(call);
    return true;
}

/* Answers in the order in which the App asks: for its installation, for tokens. */
void fuzz_github_app(struct input *in)
{
    AUTO_ERROR err = { 0 };
    struct github_ticket ticket = { 0 };
    enum github_class class = GITHUB_FATAL;
    struct github_app *app = github_app_new(&config, &fuzz_env, fuzz_byte(in) & 1);
    struct call *call;
    for (int i = 0; i < 8 && (call = github_app_before(app, &config, &ticket)); i++)
        for (int k = 0; k < 8 && !answer(call, in); k++)
            ;
    while ((call = github_app_before(app, &config, &ticket))) {
        error_set(&call->error, ERROR_NET, 7, "no answer");
        call->ops->done(call);
    }
    const char *token = github_app_token(app, &config, &ticket, &class, &err);
    HOLDS(!token || token_is_word(token));
    fuzz_outcome(token != NULL, &err);
    struct github_installation i = github_app_installation(app, &config);
    HOLDS(!token || i.token_may);
    github_app_free(app);
}
