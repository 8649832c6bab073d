#include "mayfly/github/jobs.h"

#include <inttypes.h>

enum { PER_PAGE = GITHUB_JOBS_PAGE };

struct rows {
    struct field_list list;
};

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

static const struct field jobs_fields[] = {
    { .path = "jobs",
      .type = FIELD_LIST,
      .offset = offsetof(struct rows, list),
      .required = true,
      .items = job_fields,
      .item_size = sizeof(struct github_job) },
    { 0 },
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
    struct rows rows = { 0 };
    if (!github_call_decode(call, jobs_fields, &rows, arena, err))
        return false;
    *ret_rows = rows.list;
    return true;
}
