/* Just-in-time configurations: checked as GitHub's schema does, made in the shape and size of GitHub's. */
#include <inttypes.h>
#include <strings.h>

#include "github_call.h"
#include "http.h"
#include "rates.h"
#include "rows.h"
#include "sim.h"
#include "to_json.h"
#include "world_runners.h"

#include "mayfly/codec/json.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"

enum { NAME_MAX_LEN = 64, LABELS_MAX = 100, LABEL_MAX_LEN = 256 };

static struct json_object *encoded(struct json_object *file)
{
    AUTO_STRBUF out = STRBUF_INIT;
    const char *json = json_object_to_json_string_ext(file, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    encode_base64(&out, json, strlen(json));
    json_object_put(file);
    return sim_text(strbuf_str(&out));
}

static struct json_object *random_number(size_t bytes)
{
    if (bytes == 3)
        return sim_text("AQAB"); /* the exponent, 65537 */
    uint8_t random[256];
    AUTO_STRBUF out = STRBUF_INIT;
    env_system.random(NULL, random, sizeof(random));
    encode_base64(&out, random, bytes);
    return sim_text(strbuf_str(&out));
}

/* base64(JSON{file: base64(content)}), in the shape and size of GitHub's. */
static struct json_object *jit_config(const struct sim *s, const struct runner *r)
{
    static const struct {
        const char *name;
        size_t bytes;
    } numbers[] = { { "d", 256 },        { "dp", 128 },      { "dq", 128 }, { "exponent", 3 },
                    { "inverseQ", 128 }, { "modulus", 256 }, { "p", 128 },  { "q", 128 } };
    struct json_object *files = must(json_object_new_object()), *runner = must(json_object_new_object());
    struct json_object *credentials = must(json_object_new_object()), *rsa = must(json_object_new_object());
    AUTO_FREE char *id = xasprintf("%" PRId64, r->id), *broker = xasprintf("%s/runner/", s->base_url);
    json_add_text(runner, "AgentId", id);
    json_add_text(runner, "AgentName", r->name);
    json_add_text(runner, "DisableUpdate", "True");
    json_add_text(runner, "Ephemeral", "True");
    json_add_text(runner, "PoolId", "1");
    json_add_null(runner, "PoolName");
    json_add_text(runner, "ServerUrl", broker);
    json_add_text(runner, "WorkFolder", r->work_folder);
    json_add_text(runner, "GitHubUrl", s->base_url);
    json_add_text(runner, "ServerUrlV2", broker);
    json_add_text(runner, "UseV2Flow", "true");
    json_add_text(credentials, "Scheme", "OAuth");
    struct json_object *data = json_add_object(credentials, "Data");
    json_add_text(data, "ClientId", r->secret);
    json_add_text(data, "AuthorizationUrl", broker);
    json_add_text(data, "RequireFipsCryptography", "True");
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        json_object_object_add(rsa, numbers[i].name, random_number(numbers[i].bytes));
    json_object_object_add(files, ".runner", encoded(runner));
    json_object_object_add(files, ".credentials", encoded(credentials));
    json_object_object_add(files, ".credentials_rsaparams", encoded(rsa));
    return encoded(files);
}

struct mint {
    const char *name, *work_folder;
    int64_t group;
    struct json_object *labels;
};

/* The complaints, one a line; empty: none. */
static void check_mint(struct json_object *body, struct mint *ret, struct strbuf *wrong)
{
    static const struct {
        const char *key, *kind;
        enum json_type type;
    } members[] = { { "name", "a string", json_type_string },
                    { "runner_group_id", "an integer", json_type_int },
                    { "labels", "an array", json_type_array } };
    struct json_object *values[ARRAY_SIZE(members)] = { 0 }, *folder = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        if (!json_object_object_get_ex(body, members[i].key, &values[i]))
            strbuf_addf(wrong, "\n\n\"%s\" wasn't supplied.", members[i].key);
        else if (!json_object_is_type(values[i], members[i].type))
            strbuf_addf(wrong, "\n\nFor 'properties/%s', %s is not %s.", members[i].key,
                        values[i] ? json_object_to_json_string(values[i]) : "nil", members[i].kind);
    }
    if (json_object_object_get_ex(body, "work_folder", &folder) && !json_object_is_type(folder, json_type_string))
        strbuf_adds(wrong, "\n\nFor 'properties/work_folder', it is not a string.");
    if (wrong->len > 0)
        return;
    ret->name = json_object_get_string(values[0]);
    ret->group = json_object_get_int64(values[1]);
    ret->labels = values[2];
    ret->work_folder = folder ? json_object_get_string(folder) : "_work";
    size_t n = json_object_array_length(ret->labels);
    if (*ret->name == '\0' || strlen(ret->name) > NAME_MAX_LEN)
        strbuf_addf(wrong, "\n\nFor 'properties/name', its length is not between 1 and %d.", NAME_MAX_LEN);
    if (ret->group < 1)
        strbuf_adds(wrong, "\n\nFor 'properties/runner_group_id', it is less than 1.");
    if (n == 0 || n > LABELS_MAX)
        strbuf_addf(wrong, "\n\nFor 'properties/labels', it has %zu items, not 1 to %d.", n, LABELS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct json_object *label = json_object_array_get_idx(ret->labels, i);
        int len = json_object_is_type(label, json_type_string) ? json_object_get_string_len(label) : 0;
        if (len == 0 || len > LABEL_MAX_LEN)
            strbuf_addf(wrong, "\n\nFor 'items', label %zu is not a string of 1 to %d characters.", i, LABEL_MAX_LEN);
    }
}

/* GitHub does not document either answer: an organization's groups are looked up, a repository has but its own. */
static bool check_group(struct github_call *c, int64_t group)
{
    bool repository = str_starts(c->scope, "/repos/");
    if (group == 1 || (!repository && (size_t)group <= c->sim->runner_groups.n))
        return true;
    if (repository)
        github_refuse(c->res, 422, "Invalid Argument - Runner group %" PRId64 " does not exist.", group);
    else
        github_refuse(c->res, 404, "Not Found");
    return false;
}

/* The limit on what creates content. */
static bool check_rate(struct github_call *c)
{
    int64_t wait = 0;
    if (rates_take_mint(c->sim, &wait))
        return true;
    AUTO_FREE char *seconds = xasprintf("%" PRId64, wait);
    github_refuse(c->res, 403,
                  "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.");
    pairs_set(&c->res->headers, "Retry-After", seconds);
    return false;
}

static struct runner *add_runner(struct github_call *c, const struct mint *mint)
{
    struct sim *s = c->sim;
    struct runner *r = xcalloc(1, sizeof(*r));
    r->id = ++s->next_runner;
    r->group = mint->group;
    r->created = sim_now(s);
    r->scope = xstrdup(c->scope);
    r->name = xstrdup(mint->name);
    r->work_folder = xstrdup(mint->work_folder);
    r->secret = sim_random_id("", 64);
    for (size_t i = 0; i < json_object_array_length(mint->labels); i++)
        strlist_add(&r->labels, json_object_get_string(json_object_array_get_idx(mint->labels, i)));
    for (size_t i = 0; i < r->labels.n; i++)
        if (!strlist_has(&s->labels, r->labels.v[i]))
            strlist_add(&s->labels, r->labels.v[i]);
    ROW_ADD(s->runners, s->n_runners, r);
    return r;
}

void github_generate_jitconfig(struct github_call *c)
{
    AUTO_ERROR err = { 0 };
    AUTO_JSON *body = NULL;
    AUTO_STRBUF wrong = STRBUF_MAX(4096);
    struct mint mint = { 0 };
    if (!check_rate(c))
        return;
    if (!json_parse(strbuf_str(&c->request->body), c->request->body.len, "the body", &body, &err)) {
        github_refuse(c->res, 400, "Problems parsing JSON");
        return;
    }
    if (!json_object_is_type(body, json_type_object)) {
        github_refuse(c->res, 400, "Body should be a JSON object");
        return;
    }
    check_mint(body, &mint, &wrong);
    if (wrong.len > 0) {
        github_refuse(c->res, 422, "Invalid request.%s", strbuf_str(&wrong));
        return;
    }
    if (!check_group(c, mint.group))
        return;
    for (size_t i = 0; i < c->sim->n_runners; i++) {
        const struct runner *r = c->sim->runners[i];
        if (strcasecmp(r->name, mint.name) == 0 && str_eq(r->scope, c->scope)) {
            github_refuse(c->res, 409, "Already exists - A runner with the name *** already exists.");
            return;
        }
    }
    const struct runner *runner = add_runner(c, &mint);
    struct json_object *o = must(json_object_new_object());
    github_add_runner(json_add_object(o, "runner"), c->sim, NULL, runner);
    json_object_object_add(o, "encoded_jit_config", jit_config(c->sim, runner));
    respond_json(c->res, 201, o);
}
