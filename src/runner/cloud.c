#include "mayfly/runner/cloud.h"

void acts_add(struct acts *acts, struct act act)
{
    acts->v = xreallocarray(acts->v, acts->n + 1, sizeof(*acts->v));
    acts->v[acts->n++] = act;
}

void acts_clear(struct acts *acts)
{
    free(acts->v);
    *acts = (struct acts){ 0 };
}

const char *act_name(enum act_kind kind)
{
    static const char *const names[] = {
        [ACT_NONE] = "none",
        [ACT_MINT] = "mint",
        [ACT_FIND] = "find",
        [ACT_GET] = "get",
        [ACT_LIST] = "list",
        [ACT_DELETE] = "delete",
        [ACT_RUN] = "run",
        [ACT_SETTLE] = "settle",
        [ACT_LOOK] = "look",
        [ACT_SCAN] = "scan",
        [ACT_TERMINATE] = "terminate",
        [ACT_CONSOLE] = "console",
        [ACT_MARK] = "mark",
        [ACT_JOBS] = "jobs",
        [ACT_LEFTOVERS] = "leftovers",
        [ACT_REMOVE] = "remove",
        [ACT_IMAGE] = "image",
        [ACT_COPY] = "copy",
        [ACT_SHARE] = "share",
        [ACT_DEPRECATE] = "deprecate",
        [ACT_GET_PARAMETER] = "get-parameter",
        [ACT_PUT_PARAMETER] = "put-parameter",
    };
    return names[kind];
}

enum outcome outcome_of_class(enum aws_class class)
{
    static const enum outcome outcomes[] = {
        [AWS_FATAL] = OUTCOME_FAILED,
        [AWS_CAPACITY] = OUTCOME_CAPACITY,
        [AWS_SUBNET_FULL] = OUTCOME_SUBNET_FULL,
        [AWS_QUOTA] = OUTCOME_QUOTA,
        [AWS_THROTTLE] = OUTCOME_THROTTLED,
        [AWS_SERVER] = OUTCOME_THROTTLED,
        [AWS_NOT_FOUND] = OUTCOME_NOT_FOUND,
        [AWS_BUSY] = OUTCOME_FAILED,
        [AWS_EXPIRED] = OUTCOME_FAILED,
        [AWS_TOKEN_USED] = OUTCOME_TOKEN_USED,
        [AWS_DRY_RUN] = OUTCOME_FAILED,
    };
    return outcomes[class];
}
