#include "mayfly/github/jobs.h"

#include <inttypes.h>

enum { PER_PAGE = GITHUB_JOBS_PAGE };

/* Labels and names have no form: they are compared alone. */
static const struct field job_fields[] = {
    { .path = "id", .type = FIELD_ID, .offset = offsetof(struct github_job, id), .required = true },
    { .path = "status",
      .type = FIELD_STR,
      .offset = offsetof(struct github_job, status),
      .required = true,
      .form = FORM_WORD },
    { .path = "runner_name", .type = FIELD_STR, .offset = offsetof(struct github_job, runner_name) },
    { .path = "labels",
      .type = FIELD_LIST,
      .offset = offsetof(struct github_job, labels),
      .item_size = sizeof(const char *) },
    { 0 },
};

static const struct github_rows job_rows = {
    .member = "jobs",
    .row = job_fields,
    .size = sizeof(struct github_job),
    .unclear = offsetof(struct github_job, unclear),
};

bool github_job_has_label(const struct github_job *j, const char *label)
{
    for (size_t i = 0; i < j->labels.n; i++)
        if (str_eq(*FIELD_ROW(&j->labels, const char *const, i), label))
            return true;
    return false;
}

struct github_call *github_list_jobs_call(struct github *g, const char *repo, int64_t run_id, unsigned page)
{
    AUTO_FREE char *path = xasprintf("/repos/%s/actions/runs/%" PRId64 "/jobs?filter=all&per_page=%d&page=%u", repo,
                                     run_id, PER_PAGE, page);
    return github_call_new(g, "GET", path, NULL);
}

bool github_list_jobs_result(const struct github_call *call, struct arena *arena, struct field_list *ret_rows,
                             struct error *err)
{
    return github_call_rows(call, &job_rows, arena, ret_rows, err);
}
