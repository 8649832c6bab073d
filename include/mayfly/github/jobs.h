/* The jobs of a workflow run: which runner has which, and how far it is.
 * Source: GitHub REST API, "Workflow jobs", version 2022-11-28. Takes `Actions: read` on a private repository. */
#ifndef MAYFLY_GITHUB_JOBS_H
#define MAYFLY_GITHUB_JOBS_H

#include "mayfly/codec/field.h"
#include "mayfly/github/call.h"

struct github_job { /* strings live in the decoder's arena */
    int64_t id;
    const char *status;       /* "queued", "in_progress", "completed"; also "waiting", "requested", "pending" */
    const char *runner_name;  /* NULL or "" until a runner has it */
    struct field_list labels; /* const char *: what the job asks for */
    const char *unclear;      /* why GitHub's answer on it makes no sense: then what is not known is 0 or NULL; NULL: it
                                 makes sense */
};

bool github_job_has_label(const struct github_job *j, const char *label);

/* A page of jobs holds their steps, too: so many jobs of 400 steps with long names stay below HTTP_LIST_MAX and
 * JSON_MEMORY_MAX. */
enum { GITHUB_JOBS_PAGE = 30 };

/* Page 1, 2, … of GITHUB_JOBS_PAGE, of all attempts: a job that is run again may use the runners of an earlier attempt.
 * repo: "owner/name", checked by github_scope_path. */
struct github_call *github_list_jobs_call(struct github *g, const char *repo, int64_t run_id, unsigned page);
/* Rows of struct github_job; what makes no sense is a row that is `unclear`. */
MUST_CHECK bool github_list_jobs_result(const struct github_call *call, struct arena *arena,
                                        struct field_list *ret_rows, struct error *err);

#endif
