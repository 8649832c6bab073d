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
