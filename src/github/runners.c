#include "mayfly/github/runners.h"

#include <inttypes.h>

#include "mayfly/codec/json.h"
#include "mayfly/util/encode.h"

enum { PER_PAGE = 100 };

bool github_runner_is_online(const struct github_runner *r)
{
    return str_eq(r->status, "online");
}

/* A name has no form: anybody who may register a runner chooses it, and none of them may keep the others' rows from
 * being read. It is only compared, and cleaned where it is printed. */
#define RUNNER(prefix, base)                                                                                           \
    {                                                                                                                  \
        .path = prefix "id", .type = FIELD_ID, .offset = (base) + offsetof(struct github_runner, id), .required = true \
    },                                                                                                                 \
        { .path = prefix "name",                                                                                       \
          .type = FIELD_STR,                                                                                           \
          .offset = (base) + offsetof(struct github_runner, name),                                                     \
          .required = true },                                                                                          \
        { .path = prefix "status",                                                                                     \
          .type = FIELD_STR,                                                                                           \
          .offset = (base) + offsetof(struct github_runner, status),                                                   \
          .form = FORM_WORD,                                                                                           \
          .required = true },                                                                                          \
    {                                                                                                                  \
        .path = prefix "busy", .type = FIELD_BOOL, .offset = (base) + offsetof(struct github_runner, busy),            \
        .required = true                                                                                               \
    }

static const struct field runner_fields[] = { RUNNER("", 0), { 0 } };

static const struct field jit_fields[] = {
    RUNNER("runner/", offsetof(struct github_jit, runner)),
    { .path = "encoded_jit_config",
      .type = FIELD_STR,
      .offset = offsetof(struct github_jit, encoded),
      .required = true },
    { 0 },
};

static const struct github_rows runner_rows = {
    .member = "runners",
    .row = runner_fields,
    .size = sizeof(struct github_runner),
    .unclear = offsetof(struct github_runner, unclear),
};

struct github_call *github_jit_call(struct github *g, const char *name, int64_t runner_group,
                                    const struct strlist *labels)
{
    AUTO_FREE char *path = xasprintf("%s/actions/runners/generate-jitconfig", g->config->path);
    AUTO_JSON *body = must(json_object_new_object());
    struct json_object *list = must(json_object_new_array());
    for (size_t i = 0; i < labels->n; i++)
        json_object_array_add(list, must(json_object_new_string(labels->v[i])));
    json_object_object_add(body, "name", must(json_object_new_string(name)));
    json_object_object_add(body, "runner_group_id", must(json_object_new_int64(runner_group)));
    json_object_object_add(body, "labels", list);
    json_object_object_add(body, "work_folder", must(json_object_new_string("_work")));
    return github_call_new(g, "POST", path, json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN));
}

/* One file of the configuration, itself base64 of JSON. */
struct runner_file {
    const char *agent_name, *ephemeral;
};
struct jit_files {
    const char *runner, *credentials, *rsa;
};
static const struct field jit_files_fields[] = {
    { .path = ".runner", .type = FIELD_STR, .offset = offsetof(struct jit_files, runner), .required = true },
    { .path = ".credentials", .type = FIELD_STR, .offset = offsetof(struct jit_files, credentials), .required = true },
    { .path = ".credentials_rsaparams",
      .type = FIELD_STR,
      .offset = offsetof(struct jit_files, rsa),
      .required = true },
    { 0 },
};
static const struct field runner_file_fields[] = {
    { .path = "AgentName", .type = FIELD_STR, .offset = offsetof(struct runner_file, agent_name), .required = true },
    { .path = "Ephemeral", .type = FIELD_STR, .offset = offsetof(struct runner_file, ephemeral) },
    { 0 },
};

/* A configuration that the runner could not read would cost a whole boot to find out. */
static bool check_jit(const char *encoded, const char *name, struct arena *arena, struct error *err)
{
    static const char what[] = "the just-in-time configuration";
    AUTO_STRBUF outer = STRBUF_INIT, inner = STRBUF_INIT;
    struct jit_files files = { 0 };
    struct runner_file runner = { 0 };
    outer.secret = inner.secret = true;
    if (!decode_base64(&outer, encoded, strlen(encoded)))
        return error_set(err, ERROR_PARSE, 0, "%s is not base64", what);
    if (!json_decode_text(strbuf_str(&outer), outer.len, jit_files_fields, &files, arena, what, err))
        return false;
    if (!decode_base64(&inner, files.runner, strlen(files.runner)))
        return error_set(err, ERROR_PARSE, 0, "%s: `.runner` is not base64", what);
    const char *json = strbuf_str(&inner); /* the runner writes its files with a byte order mark */
    size_t bom = str_starts(json, "\xef\xbb\xbf") ? 3 : 0;
    if (!json_decode_text(json + bom, inner.len - bom, runner_file_fields, &runner, arena, what, err))
        return false;
    if (!str_eq(runner.agent_name, name))
        return error_set(err, ERROR_PARSE, 0, "%s is for the runner `%.80s`, not `%s`", what, runner.agent_name, name);
    if (runner.ephemeral && strcasecmp(runner.ephemeral, "true") != 0)
        return error_set(err, ERROR_PARSE, 0, "%s is for a runner that takes more than one job", what);
    return true;
}

bool github_jit_result(const struct github_call *call, const char *name, struct arena *arena, struct github_jit *ret,
                       struct error *err)
{
    struct github_jit jit = { 0 };
    if (!github_call_decode(call, jit_fields, &jit, arena, err) || !check_jit(jit.encoded, name, arena, err))
        return false;
    /* The record's id is what stop and reap delete by. */
    if (!str_eq(jit.runner.name, name))
        return error_set(err, ERROR_PARSE, 0, "GitHub's answer names the runner `%.80s`, not `%s`", jit.runner.name,
                         name);
    *ret = jit;
    return true;
}

struct github_call *github_get_runner_call(struct github *g, int64_t id)
{
    AUTO_FREE char *path = xasprintf("%s/actions/runners/%" PRId64, g->config->path, id);
    return github_call_new(g, "GET", path, NULL);
}

bool github_get_runner_result(const struct github_call *call, struct arena *arena, struct github_runner *ret,
                              struct error *err)
{
    struct github_runner runner = { 0 };
    if (!github_call_decode(call, runner_fields, &runner, arena, err))
        return false;
    *ret = runner;
    return true;
}

struct github_call *github_list_runners_call(struct github *g, unsigned page, const char *name)
{
    AUTO_STRBUF path = STRBUF_INIT;
    strbuf_addf(&path, "%s/actions/runners?per_page=%d&page=%u", g->config->path, PER_PAGE, page);
    if (name) {
        strbuf_adds(&path, "&name=");
        encode_percent(&path, name);
    }
    return github_call_new(g, "GET", strbuf_str(&path), NULL);
}

bool github_list_runners_result(const struct github_call *call, struct arena *arena, struct field_list *ret_rows,
                                struct error *err)
{
    return github_call_rows(call, &runner_rows, arena, ret_rows, err);
}

struct github_call *github_delete_runner_call(struct github *g, int64_t id)
{
    AUTO_FREE char *path = xasprintf("%s/actions/runners/%" PRId64, g->config->path, id);
    return github_call_new(g, "DELETE", path, NULL);
}

static const struct field download_fields[] = {
    { .path = "os", .type = FIELD_STR, .offset = offsetof(struct github_download, os), .required = true },
    { .path = "architecture",
      .type = FIELD_STR,
      .offset = offsetof(struct github_download, architecture),
      .required = true },
    { .path = "download_url", .type = FIELD_STR, .offset = offsetof(struct github_download, url), .required = true },
    { .path = "sha256_checksum", .type = FIELD_STR, .offset = offsetof(struct github_download, sha256) },
    { 0 },
};

static const struct github_rows download_rows = {
    .row = download_fields,
    .size = sizeof(struct github_download),
    .unclear = offsetof(struct github_download, unclear),
};

struct github_call *github_downloads_call(struct github *g)
{
    AUTO_FREE char *path = xasprintf("%s/actions/runners/downloads", g->config->path);
    return github_call_new(g, "GET", path, NULL);
}

bool github_downloads_result(const struct github_call *call, struct arena *arena, struct field_list *ret_rows,
                             struct error *err)
{
    struct field_list rows = { 0 };
    size_t kept = 0;
    if (!github_call_rows(call, &download_rows, arena, &rows, err))
        return false;
    struct github_download *v = rows.rows;
    for (size_t i = 0; i < rows.n; i++)
        if (!v[i].unclear)
            v[kept++] = v[i];
    rows.n = kept;
    *ret_rows = rows;
    return true;
}

/* A name has no form: it is compared alone. */
static const struct field group_fields[] = {
    { .path = "id", .type = FIELD_ID, .offset = offsetof(struct github_group, id), .required = true },
    { .path = "name", .type = FIELD_STR, .offset = offsetof(struct github_group, name), .required = true },
    { 0 },
};

static const struct github_rows group_rows = {
    .member = "runner_groups",
    .row = group_fields,
    .size = sizeof(struct github_group),
    .unclear = offsetof(struct github_group, unclear),
};

struct github_call *github_list_groups_call(struct github *g, unsigned page, const char *visible_to)
{
    AUTO_STRBUF path = STRBUF_INIT;
    strbuf_addf(&path, "%s/actions/runner-groups?per_page=%d&page=%u", g->config->path, PER_PAGE, page);
    if (visible_to) {
        strbuf_adds(&path, "&visible_to_repository=");
        encode_percent(&path, visible_to);
    }
    return github_call_new(g, "GET", strbuf_str(&path), NULL);
}

bool github_list_groups_result(const struct github_call *call, struct arena *arena, struct field_list *ret_rows,
                               struct error *err)
{
    return github_call_rows(call, &group_rows, arena, ret_rows, err);
}

static const struct field rate_fields[] = {
    { .path = "resources/core/limit",
      .type = FIELD_INT,
      .offset = offsetof(struct github_rate, limit),
      .required = true },
    { .path = "resources/core/remaining",
      .type = FIELD_INT,
      .offset = offsetof(struct github_rate, remaining),
      .required = true },
    { .path = "resources/core/reset", .type = FIELD_INT, .offset = offsetof(struct github_rate, reset) },
    { 0 },
};

struct github_call *github_rate_call(struct github *g)
{
    return github_call_new(g, "GET", "/rate_limit", NULL);
}

bool github_rate_result(const struct github_call *call, struct arena *arena, struct github_rate *ret, struct error *err)
{
    struct github_rate rate = { 0 };
    if (!github_call_decode(call, rate_fields, &rate, arena, err))
        return false;
    *ret = rate;
    return true;
}

struct github_call *github_try_jit_call(struct github *g)
{
    AUTO_FREE char *path = xasprintf("%s/actions/runners/generate-jitconfig", g->config->path);
    return github_call_new(g, "POST", path, "{}");
}
