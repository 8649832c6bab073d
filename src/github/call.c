#include "mayfly/github/call.h"

#include "mayfly/codec/json.h"
#include "mayfly/github/app.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/log.h"
#include "mayfly/util/secret.h"

enum { REFUSALS_MAX = 3, REFUSAL_MS = 1000 };
enum { TOTAL_MS = 30000, SECONDARY_LIMIT_MS = 60000, MESSAGE_MAX = 64 * 1024, MESSAGE_SHOWN = 1000 };

static const struct retry_policy policy = {
    .max_attempts = 4, .base_ms = 500, .throttle_ms = 1000, .cap_ms = 20000, .server_cap_ms = 120000
};

#define HINT_PERMISSION                                                                                                \
    "check the spelling, and that the token has `Administration: write` on the repository (or `Self-hosted "           \
    "runners: write` on the organization)"
#define HINT_APP_PERMISSION                                                                                            \
    "check the spelling, and that the App has `Administration: write` on the repository (or `Self-hosted runners: "    \
    "write` on the organization); after a change of its permissions, the owner has to accept them"
#define HINT_OURS "GitHub rejects Mayfly's request: check GITHUB_API_URL, otherwise report a bug"
#define HINT_OTHER "the answer did not come from GitHub: check GITHUB_API_URL and any proxy in between"
#define HINT_MOVED "it was renamed or moved: give its new name with --repo"
#define HINT_LIMIT "GitHub's rate limit is used up"
#define HINT_KEY "the key is not the App's, or --app-id is another App's: both are on the App's settings page"
#define HINT_SUSPENDED                                                                                                 \
    "its owner suspended the App's installation: unsuspend it in the settings, under GitHub Apps > Configure"

enum {
    TOKEN = GITHUB_AS_TOKEN,
    INSTALLATION = GITHUB_AS_INSTALLATION,
    APP = GITHUB_AS_APP,
    ANY = TOKEN | INSTALLATION | APP,
    RUNNERS = TOKEN | INSTALLATION,
};

/* What GitHub's answers mean and what to do: the first row that fits. part: what is in the message, NULL: anything.
 * status 500 stands for all above. Source: GitHub REST API, "Troubleshooting", "Self-hosted runners" and "GitHub Apps";
 * the words of the App's answers as users of it reported them. */
static const struct row {
    unsigned auth; /* whose calls */
    int status;
    const char *part;
    enum github_class class;
    bool about_scope; /* the hint begins with the repository or organization */
    const char *hint;
} answers[] = {
    { ANY, 301, NULL, GITHUB_FATAL, true, HINT_MOVED },
    { ANY, 302, NULL, GITHUB_FATAL, true, HINT_MOVED },
    { ANY, 307, NULL, GITHUB_FATAL, true, HINT_MOVED },
    { ANY, 308, NULL, GITHUB_FATAL, true, HINT_MOVED },
    { ANY, 400, "API version", GITHUB_FATAL, false,
      "this GitHub is too old or too new for Mayfly: check GITHUB_API_URL" },
    { ANY, 400, NULL, GITHUB_FATAL, false, HINT_OURS },
    { APP, 401, "('exp')", GITHUB_FATAL, false, "this machine's clock is wrong: set it by NTP" },
    { APP, 401, "('iat')", GITHUB_FATAL, false, "this machine's clock is wrong: set it by NTP" },
    { APP, 401, "('iss')", GITHUB_FATAL, false, "this GitHub needs the App ID, a number: give it as --app-id" },
    { APP, 401, NULL, GITHUB_FATAL, false, HINT_KEY },
    { INSTALLATION, 401, NULL, GITHUB_FATAL, false,
      "GitHub rejects a token that it has just issued: check that the App is still installed and its key still valid" },
    { TOKEN, 401, NULL, GITHUB_FATAL, false,
      "the token is wrong, expired or revoked: create a new one and set MAYFLY_GITHUB_TOKEN (in the action "
      "github-token)" },
    { ANY, 403, "rate limit", GITHUB_THROTTLED, false, HINT_LIMIT },
    { ANY, 403, "SAML", GITHUB_FATAL, true,
      "authorize the token for the organization's single sign-on, in its settings" },
    { TOKEN, 403, "lifetime is greater than", GITHUB_FATAL, true,
      "its policy limits how long a token lives: create a token that expires earlier, or use a GitHub App" },
    { TOKEN, 403, "(classic)", GITHUB_FATAL, true,
      "it accepts no classic tokens: create a fine-grained token with `Administration: write`, or use a GitHub App" },
    { TOKEN, 403, "forbids access via", GITHUB_FATAL, true,
      "it accepts no tokens of this kind: use a GitHub App (--app-id)" },
    { ANY, 403, "IP allow list", GITHUB_FATAL, true,
      "the organization accepts requests from some addresses only, not from this one" },
    { ANY, 403, "suspended", GITHUB_FATAL, true, HINT_SUSPENDED },
    { ANY, 403, "disabled", GITHUB_FATAL, true,
      "self-hosted runners, or Actions, are disabled there: have them enabled, or give --repo ORG" },
    { INSTALLATION, 403, "by integration", GITHUB_FATAL, true, HINT_APP_PERMISSION },
    { TOKEN, 403, "by integration", GITHUB_FATAL, true,
      "the App or the workflow's GITHUB_TOKEN may not do this: use a token with `Administration: write`, or give the "
      "App that permission" },
    { ANY, 403, "User-Agent", GITHUB_FATAL, false, "a proxy in between drops the User-Agent header" },
    { INSTALLATION, 403, NULL, GITHUB_FATAL, true, HINT_APP_PERMISSION },
    { ANY, 403, NULL, GITHUB_FATAL, true, HINT_PERMISSION },
    { APP, 404, "Integration not found", GITHUB_FATAL, false,
      "there is no App with this ID: give --app-id the client ID on the App's settings page" },
    { APP, 404, NULL, GITHUB_NOT_FOUND, true,
      "the App is not installed there, or the name is misspelled: install it, on the App's page > Install App" },
    { INSTALLATION, 404, NULL, GITHUB_NOT_FOUND, true, HINT_APP_PERMISSION },
    { TOKEN, 404, NULL, GITHUB_NOT_FOUND, true, HINT_PERMISSION },
    { ANY, 409, NULL, GITHUB_CONFLICT, false, "a runner of this name exists already: start again to use a new name" },
    { ANY, 410, NULL, GITHUB_FATAL, false, "GitHub has retired this request: update Mayfly" },
    { APP, 422, "not granted", GITHUB_FATAL, true,
      "the App lacks the permissions that Mayfly needs: set them on the App's settings page, then accept them" },
    { APP, 422, NULL, GITHUB_FATAL, true, "the App is not installed on this repository: add it to the installation" },
    { RUNNERS, 422, "running a job", GITHUB_BUSY, false,
      "the runner is busy: wait for its job to finish, or cancel the job" },
    { RUNNERS, 422, "max limit", GITHUB_FATAL, true,
      "too many runners are registered: mayfly reap deletes those that are gone" },
    { RUNNERS, 422, "unner group", GITHUB_FATAL, true, "it has no such group: check --runner-group" },
    { RUNNERS, 422, NULL, GITHUB_FATAL, false, "GitHub rejects a value: check --label, --labels and --runner-group" },
    { ANY, 429, NULL, GITHUB_THROTTLED, false, HINT_LIMIT },
    { ANY, 500, NULL, GITHUB_SERVER, false,
      "a server error at GitHub: see https://www.githubstatus.com and try again in a minute" },
};

static const struct row *find_answer(unsigned auth, int http_status, const char *message)
{
    int status = http_status >= 500 ? 500 : http_status;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
        if ((answers[i].auth & auth) && answers[i].status == status &&
            (!answers[i].part || strstr(message, answers[i].part)))
            return &answers[i];
    return NULL;
}

enum github_class github_classify(enum github_auth auth, int http_status, const char *message, bool has_retry_after,
                                  bool out_of_quota)
{
    const struct row *row = find_answer(auth, http_status, message);
    if (http_status == 403 && (has_retry_after || out_of_quota))
        return GITHUB_THROTTLED;
    if (http_status == 0)
        return GITHUB_SERVER;
    return row ? row->class : GITHUB_FATAL;
}

const char *github_hint(enum github_auth auth, int http_status, const char *message)
{
    const struct row *row = find_answer(auth, http_status, message);
    return row ? row->hint : NULL;
}

/* --- one attempt -------------------------------------------------------------------------------------------------- */

static struct call *before(struct call *call)
{
    struct github_call *c = (struct github_call *)call;
    const struct github *g = c->github;
    return c->auth == GITHUB_AS_INSTALLATION ? github_app_before(g->app, g->config, &c->ticket) : NULL;
}

static bool add_authorization(struct github_call *c, struct http_request *q, struct error *err)
{
    const struct github *g = c->github;
    AUTO_STRBUF line = STRBUF_INIT;
    const char *token = g->config->token.value;
    line.secret = true;
    if (c->auth == GITHUB_AS_APP) {
        github_app_sign(g->app, &q->secret);
        token = q->secret.value;
    } else if (c->auth == GITHUB_AS_INSTALLATION) {
        token = github_app_token(g->app, g->config, &c->ticket, &c->class, err);
        if (!token)
            return false;
    }
    if (token != q->secret.value) /* an answer may repeat it after another has taken its place */
        secret_set(&q->secret, token, strlen(token));
    strbuf_adds(&line, "Authorization: Bearer ");
    strbuf_adds(&line, token);
    strlist_add(&q->headers, strbuf_str(&line));
    return true;
}

static bool prepare(struct call *call, struct http_request *q, struct error *err)
{
    struct github_call *c = (struct github_call *)call;
    const struct github_config *config = c->github->config;
    q->method = c->method;
    q->url = xasprintf("%s%s", config->api_url, c->path);
    q->total_ms = TOTAL_MS;
    q->max_body = strstr(c->path, "per_page=") ? HTTP_LIST_MAX : HTTP_BODY_MAX;
    strlist_add(&q->headers, "Accept: application/vnd.github+json");
    strlist_add(&q->headers, "X-GitHub-Api-Version: 2022-11-28");
    if (!add_authorization(c, q, err))
        return false;
    if (c->etag) {
        AUTO_FREE char *match = xasprintf("If-None-Match: %s", c->etag);
        strlist_add(&q->headers, match);
    }
    q->body = STRBUF_INIT;
    if (c->body) {
        strlist_add(&q->headers, "Content-Type: application/json");
        strbuf_adds(&q->body, c->body);
    }
    return true;
}

/* The error's message, and whatever "errors" holds: a string, strings, or objects with a message. Owned; NULL: it is
 * not GitHub's. */
static char *decode_message(const struct http_response *r)
{
    AUTO_ERROR bad = { 0 };
    AUTO_JSON *object = NULL;
    AUTO_STRBUF text = STRBUF_MAX(MESSAGE_MAX);
    struct json_object *message = NULL, *errors = NULL;
    if (!json_parse(strbuf_str(&r->body), r->body.len, "", &object, &bad) ||
        !json_object_is_type(object, json_type_object))
        return NULL;
    if (json_object_object_get_ex(object, "message", &message) && json_object_is_type(message, json_type_string))
        strbuf_adds(&text, json_object_get_string(message));
    if (json_object_object_get_ex(object, "errors", &errors))
        strbuf_addf(&text, " %s", json_object_to_json_string_ext(errors, JSON_C_TO_STRING_PLAIN));
    secret_redact(&text); /* before it is cut: what is left of a secret then would not be known as one */
    strbuf_truncate(&text, MESSAGE_SHOWN);
    return text.len ? strbuf_steal(&text) : NULL;
}

static int64_t header_number(const struct http_response *r, const char *name)
{
    const char *value = http_header(r, name);
    uint64_t n;
    return value && parse_uint(value, INT64_MAX / 1000000, &n) ? (int64_t)n : -1;
}

/* GitHub's order: Retry-After; else, with nothing left, the reset, by GitHub's own clock; else a minute. */
static int64_t wait_ms(const struct github_call *c, const struct http_response *r)
{
    int64_t seconds = header_number(r, "Retry-After"), reset = header_number(r, "x-ratelimit-reset"), now;
    const char *date = http_header(r, "Date");
    if (seconds >= 0)
        return seconds * 1000;
    if (header_number(r, "x-ratelimit-remaining") != 0 || reset < 0)
        return SECONDARY_LIMIT_MS;
    if (!date || !clock_parse_http(date, &now))
        now = env_now(c->github->env) / 1000;
    return reset > now ? (reset - now) * 1000 : 1000;
}

static void add_hint(struct error *err, const struct github_call *c, const char *message)
{
    const struct http_response *r = &c->call.exchange.response;
    const struct row *row = find_answer(c->auth, r->status, message);
    const char *needs = http_header(r, "X-Accepted-GitHub-Permissions"), *scope = c->github->config->scope;
    bool permission = row && row->class != GITHUB_SERVER && (r->status == 403 || r->status == 404);
    if (row)
        error_hint(err, "%s%s%s%s%s%s", row->about_scope ? "`" : "", row->about_scope ? scope : "",
                   row->about_scope ? "`: " : "", row->hint, permission && needs ? " GitHub asks for: " : "",
                   permission && needs ? needs : "");
}

/* 401: with another token of the installation, or with the App's own at the time that GitHub has. */
static bool may_come_again(struct github_call *c, const char *message)
{
    const struct github *g = c->github;
    if (c->auth == GITHUB_AS_INSTALLATION)
        return github_app_renew(g->app, g->config, &c->ticket);
    if (c->auth != GITHUB_AS_APP || c->corrected || !(strstr(message, "('exp')") || strstr(message, "('iat')")))
        return false;
    c->corrected = github_app_set_clock(g->app, http_header(&c->call.exchange.response, "Date"));
    return c->corrected;
}

static bool is_about_runners(const struct github_call *c)
{
    return strstr(c->path, "/actions/runner") != NULL;
}

static void note_success(const struct github_call *c)
{
    c->github->worked = true;
    c->github->managed = c->github->managed || is_about_runners(c);
}

/* A token that was given out a moment ago, or that GitHub has taken before in this run, is refused: as a rule one of
 * its servers is behind, and knows better in some seconds. *ret_ms as octokit's auth-app waits: 1, 2, 3 s. */
static bool may_pass(struct github_call *c, int64_t *ret_ms)
{
    const int status = c->call.exchange.response.status;
    const bool contradicts = status == 401 ? c->github->worked || c->ticket.renewed
                                           : status == 403 && c->github->managed && is_about_runners(c);
    if (!contradicts || c->refusals >= REFUSALS_MAX)
        return false;
    *ret_ms = (int64_t)REFUSAL_MS * ++c->refusals;
    return true;
}

/* A deletion has no answer that would be read: the 200 of somebody else must not prove that a record is gone. */
static bool is_success(const struct github_call *c, int status)
{
    if (str_eq(c->method, "DELETE"))
        return status == 204;
    return (status >= 200 && status < 300) || (status == 304 && c->etag);
}

static enum retry_class judge(struct call *call, int64_t *ret_server_ms, struct error *err)
{
    struct github_call *c = (struct github_call *)call;
    const struct http_response *r = &call->exchange.response;
    if (r->status == 0) {
        enum retry_class class = call_no_answer(call, err);
        error_prefix(err, "GitHub: %s", call->name);
        c->class = GITHUB_SERVER;
        return call->makes && r->maybe_sent ? RETRY_NEVER : class;
    }
    int64_t remaining = header_number(r, "x-ratelimit-remaining");
    if (remaining >= 0)
        c->github->remaining = remaining;
    if (is_success(c, r->status)) {
        note_success(c);
        return RETRY_NEVER;
    }
    AUTO_FREE char *theirs = decode_message(r);
    const char *message = theirs ? theirs : "no GitHub error is in the answer";
    error_set(err, ERROR_GITHUB, r->status, "HTTP %d: %s", r->status, message);
    error_prefix(err, "GitHub: %s", call->name);
    error_code(err, NULL, http_header(r, "X-GitHub-Request-Id"));
    c->class = github_classify(c->auth, r->status, message, http_header(r, "Retry-After"), remaining == 0);
    call->refused = c->class != GITHUB_SERVER;
    if (!theirs && c->class != GITHUB_THROTTLED && c->class != GITHUB_SERVER) {
        c->class = GITHUB_FATAL; /* a 404 of somebody else says nothing of a runner */
        error_hint(err, HINT_OTHER);
        return RETRY_NEVER;
    }
    if (r->status == 401 && may_come_again(c, message))
        return RETRY_NOW;
    if (c->class == GITHUB_THROTTLED) {
        err->try_later = err->no_room = true;
        *ret_server_ms = wait_ms(c, r);
        error_hint(err, HINT_LIMIT ": try again in %lld s", (long long)(*ret_server_ms + 999) / 1000);
        return RETRY_THROTTLE;
    }
    if (c->class == GITHUB_SERVER) {
        err->try_later = true;
        add_hint(err, c, message);
        return call->makes ? RETRY_NEVER : RETRY_TRANSIENT;
    }
    add_hint(err, c, message);
    return may_pass(c, ret_server_ms) ? RETRY_WAIT : RETRY_NEVER;
}

static void free_call(struct call *call)
{
    struct github_call *c = (struct github_call *)call;
    call_clear(call);
    free(c->path);
    free(c->body);
    free(c->etag);
    free(c);
}

static const struct call_ops ops = { .before = before, .prepare = prepare, .judge = judge, .free = free_call };

struct github_call *github_call_new(struct github *github, const char *method, const char *path, const char *body)
{
    struct github_call *c = xcalloc(1, sizeof(*c));
    size_t bare = strcspn(path, "?");
    c->call = (struct call){ .ops = &ops, .policy = &policy, .name = xasprintf("%s %.*s", method, (int)bare, path) };
    c->github = github;
    c->method = method;
    c->path = xstrdup(path);
    c->body = body ? xstrdup(body) : NULL;
    c->auth = github->app ? GITHUB_AS_INSTALLATION : GITHUB_AS_TOKEN;
    c->call.makes = str_eq(method, "POST");
    return c;
}

bool github_call_unchanged(const struct github_call *call)
{
    return call->call.exchange.response.status == 304;
}

/* A page without rows says nothing that could be compared. */
bool github_call_turn(const struct github_call *call, struct paging *paging, size_t rows, bool *ret_more,
                      struct error *err)
{
    const struct http_response *r = &call->call.exchange.response;
    const char *link = http_header(r, "Link");
    bool more = link && strstr(link, "rel=\"next\"");
    AUTO_FREE char *what = xasprintf("GitHub's answer to %s", call->call.name);
    if (more && !paging_next(paging, rows, strbuf_str(&r->body), rows ? r->body.len : 0, what, err))
        return false;
    *ret_more = more;
    return true;
}

bool github_call_decode(const struct github_call *call, const struct field *fields, void *out, struct arena *arena,
                        struct error *err)
{
    const struct strbuf *body = &call->call.exchange.response.body;
    AUTO_FREE char *what = xasprintf("GitHub's answer to %s", call->call.name);
    if (json_decode_text(strbuf_str(body), body->len, fields, out, arena, what, err))
        return true;
    error_hint(err, HINT_OTHER);
    return false;
}

/* What can be known of a row that makes no sense: each field by itself. */
static void read_unclear(struct json_object *item, const struct github_rows *what, struct arena *arena, char *row,
                         const char *why)
{
    memset(row, 0, what->size);
    for (const struct field *f = what->row; f->path; f++) {
        struct field one[] = { *f, { 0 } };
        AUTO_ERROR ignored = { 0 };
        one[0].required = false;
        if (!json_decode(item, one, row, arena, "", &ignored) && f->type == FIELD_LIST)
            *(struct field_list *)(void *)(row + f->offset) = (struct field_list){ 0 };
    }
    *(const char **)(void *)(row + what->unclear) = arena_strdup(arena, why);
}

static bool read_rows(struct json_object *list, const struct github_rows *what, const char *name, struct arena *arena,
                      struct field_list *ret, struct error *err)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *item = json_object_array_get_idx(list, i);
        char *row = field_list_add(ret, what->size, arena);
        AUTO_ERROR bad = { 0 };
        if (arena_size(arena) > 2 * (size_t)FIELD_DECODED_MAX)
            return error_set(err, ERROR_PARSE, 0, "%s holds more than %d bytes", name, FIELD_DECODED_MAX);
        if (!json_decode(item, what->row, row, arena, name, &bad))
            read_unclear(item, what, arena, row, bad.message);
    }
    return true;
}

static struct json_object *find_list(struct json_object *answer, const char *member)
{
    struct json_object *list = answer;
    if (member && (!json_object_is_type(answer, json_type_object) || !json_object_object_get_ex(answer, member, &list)))
        return NULL;
    return json_object_is_type(list, json_type_array) ? list : NULL;
}

bool github_call_rows(const struct github_call *call, const struct github_rows *what, struct arena *arena,
                      struct field_list *ret_rows, struct error *err)
{
    const struct strbuf *body = &call->call.exchange.response.body;
    AUTO_FREE char *name = xasprintf("GitHub's answer to %s", call->call.name);
    AUTO_JSON *answer = NULL;
    struct field_list rows = { 0 };
    if (!json_parse(strbuf_str(body), body->len, name, &answer, err)) {
        error_hint(err, HINT_OTHER);
        return false;
    }
    struct json_object *list = find_list(answer, what->member);
    if (!list) {
        error_set(err, ERROR_PARSE, 0, "%s has the wrong form: %s%s%s", name,
                  what->member ? "`" : "a list was expected", what->member ? what->member : "",
                  what->member ? "` is missing" : "");
        error_hint(err, HINT_OTHER);
        return false;
    }
    if (!read_rows(list, what, name, arena, &rows, err))
        return false;
    *ret_rows = rows;
    return true;
}
