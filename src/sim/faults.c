/* Scripted faults: which are due, and what they answer. */
#include "faults.h"
#include "aws.h"
#include "github_call.h"
#include "http.h"
#include "sim.h"
#include "sts.h"
#include "to_json.h"
#include "verify.h"

#include "mayfly/codec/json.h"
#include "mayfly/util/encode.h"

static const struct fault_kind fault_kinds[] = {
    { .name = "error",
      .effect = EFFECT_ERROR,
      .when = FAULT_BEFORE,
      .ec2 = { 500, "InternalError", "An internal error has occurred" },
      .sts = { 500, "InternalFailure", "An internal error has occurred" },
      .ssm = { 500, "InternalServerError", "An error occurred on the server side." },
      .github = { 500, NULL, "Server Error" } },
    { .name = "throttle",
      .effect = EFFECT_ERROR,
      .when = FAULT_BEFORE,
      .ec2 = { 503, "RequestLimitExceeded", "Request limit exceeded." },
      .sts = { 400, "Throttling", "Rate exceeded" },
      .ssm = { 400, "ThrottlingException", "Rate exceeded" },
      .github = { 403, NULL,
                  "You have exceeded a secondary rate limit. Please wait a few minutes before you try again." } },
    { .name = "capacity",
      .effect = EFFECT_ERROR,
      .when = FAULT_BEFORE,
      .ec2 = { 500, "InsufficientInstanceCapacity",
               "We currently do not have sufficient capacity in the Availability Zone you requested. Our system will "
               "be working on provisioning additional capacity." },
      .sts = { 500, "InternalFailure", "An internal error has occurred" },
      .ssm = { 500, "InternalServerError", "An error occurred on the server side." },
      .github = { 503, NULL, "Service unavailable" } },
    { .name = "unauthorized", /* AWS says to whom, what and why: aws_denial */
      .effect = EFFECT_ERROR,
      .when = FAULT_BEFORE,
      .ec2 = { 403, "UnauthorizedOperation", NULL },
      .sts = { 403, "AccessDenied", NULL },
      .ssm = { 400, "AccessDeniedException", NULL },
      .github = { 403, NULL, "Resource not accessible by personal access token" } },
    { .name = "status", .effect = EFFECT_STATUS, .when = FAULT_BEFORE },
    { .name = "not-found", .effect = EFFECT_HIDE, .when = FAULT_BEFORE, .github = { 404, NULL, "Not Found" } },
    { .name = "empty-page", .effect = EFFECT_EMPTY_PAGE, .when = FAULT_BEFORE },
    { .name = "loop", .effect = EFFECT_LOOP, .when = FAULT_BEFORE },
    { .name = "date", .effect = EFFECT_DATE, .when = FAULT_AFTER },
    { .name = "idle", .effect = EFFECT_LIE, .when = FAULT_BEFORE },
    { .name = "offline", .effect = EFFECT_LIE, .when = FAULT_BEFORE },
    { .name = "forgotten", .effect = EFFECT_LIE, .when = FAULT_BEFORE },
    { .name = "lost", .effect = EFFECT_CLOSE, .when = FAULT_AFTER },
    { .name = "reset", .effect = EFFECT_RESET, .when = FAULT_BEFORE },
    { .name = "hang", .effect = EFFECT_WAIT, .when = FAULT_BEFORE, .close = true },
    { .name = "delay", .effect = EFFECT_WAIT, .when = FAULT_BEFORE },
    { .name = "hold", .effect = EFFECT_WAIT, .when = FAULT_BEFORE },
    { .name = "cut", .effect = EFFECT_CUT, .when = FAULT_AFTER },
    { .name = "garbage", .effect = EFFECT_GARBAGE, .when = FAULT_AFTER },
};

void faults_help(FILE *out)
{
    fprintf(out, "\nfaults:");
    for (size_t i = 0; i < ARRAY_SIZE(fault_kinds); i++)
        fprintf(out, "%s %s", i ? "," : "", fault_kinds[i].name);
    fprintf(out,
            "\nof the service `builder` (a step, ok, smoke, image, copy): error, lost (off without a word), hang, "
            "garbage;\n"
            "delay: an image is pending so long\n"
            "date: the header Date is `seconds` ahead\n"
            "of the service `github`: idle, offline, forgotten: what it says of runners whose names have `runner`\n"
            "in them\n"
            "for_ms: a fault is there only so long\n"
            "`match` names parameters and their values; `path`, and `region` of a request to AWS\n"
            "`message` repeats what was sent: {authorization}, {body}, {PARAMETER}, {PARAMETER:N} its first N bytes\n");
}

static void fault_clear(struct fault *f)
{
    free(f->service);
    free(f->action);
    free(f->code);
    free(f->message);
    free(f->runner);
    pairs_clear(&f->match);
    pairs_clear(&f->headers);
}

void faults_clear(struct sim *s)
{
    for (size_t i = 0; i < s->n_faults; i++)
        fault_clear(&s->faults[i]);
    free(s->faults);
    s->faults = NULL;
    s->n_faults = 0;
}

struct fault_text {
    const char *service, *action, *fault, *when, *code, *message, *runner;
    int64_t nth, skip, times, status, ms, for_ms, seconds;
};

#define FIELDS struct fault_text
static const struct field fault_fields[] = {
    F_STR("service", service), F_STR("action", action),   F_STR("fault", fault),
    F_STR("when", when),       F_STR("code", code),       F_STR("message", message),
    F_STR("runner", runner),   F_INT("nth", nth),         F_INT("skip", skip),
    F_INT("times", times),     F_INT("status", status),   F_INT("ms", ms),
    F_INT("for_ms", for_ms),   F_INT("seconds", seconds), { 0 },
};
#undef FIELDS

static bool fault_add(struct sim *s, struct json_object *json, struct error *err)
{
    AUTO_ARENA arena = { 0 };
    struct fault_text t = { .nth = 1, .times = 1, .ms = -1 };
    const struct fault_kind *kind = NULL;
    if (!json_object_is_type(json, json_type_object))
        return error_set(err, ERROR_PARSE, 0, "a fault is an object");
    if (!json_decode(json, fault_fields, &t, &arena, "a fault", err))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(fault_kinds); i++)
        if (str_eq(fault_kinds[i].name, t.fault))
            kind = &fault_kinds[i];
    if (!kind)
        return error_set(err, ERROR_PARSE, 0, "there is no fault `%s`", t.fault ? t.fault : "");
    if (t.when && !str_eq(t.when, "before") && !str_eq(t.when, "after"))
        return error_set(err, ERROR_PARSE, 0, "`when` is before or after");
    if (t.status && (t.status < 200 || t.status > 599))
        return error_set(err, ERROR_PARSE, 0, "status %lld is none", (long long)t.status);
    struct fault f = { .kind = kind,
                       .skip = t.skip > 0 ? t.skip : t.nth - 1,
                       .times = t.times == 0 ? -1 : t.times,
                       .status = t.status,
                       .ms = t.ms,
                       .until = t.for_ms > 0 ? sim_now(s) + t.for_ms : 0,
                       .seconds = t.seconds };
    f.when = !t.when ? kind->when : str_eq(t.when, "after") ? FAULT_AFTER : FAULT_BEFORE;
    str_set(&f.service, t.service ? t.service : "*");
    str_set(&f.action, t.action ? t.action : "*");
    str_set(&f.code, t.code);
    str_set(&f.message, t.message);
    str_set(&f.runner, t.runner);
    pairs_take_json(&f.match, json, "match");
    pairs_take_json(&f.headers, json, "headers");
    s->faults = xreallocarray(s->faults, s->n_faults + 1, sizeof(*s->faults));
    s->faults[s->n_faults++] = f;
    return true;
}

bool faults_add(struct sim *s, struct json_object *json, struct error *err)
{
    if (!json_object_is_type(json, json_type_array))
        return fault_add(s, json, err);
    for (size_t i = 0; i < json_object_array_length(json); i++)
        if (!fault_add(s, json_object_array_get_idx(json, i), err))
            return false;
    return true;
}

struct json_object *faults_json(const struct sim *s)
{
    struct json_object *rows = must(json_object_new_array());
    for (size_t i = 0; i < s->n_faults; i++) {
        const struct fault *f = &s->faults[i];
        struct json_object *o = json_add_row(rows);
        json_add_text(o, "service", f->service);
        json_add_text(o, "action", f->action);
        json_add_text(o, "fault", f->kind->name);
        json_add_text(o, "when", f->when == FAULT_AFTER ? "after" : "before");
        json_add_int(o, "skip", f->skip);
        json_add_int(o, "times", f->times);
    }
    return rows;
}

/* The value of a parameter: of the form, of the query, of a JSON body; "path" is the path itself, "region" the one that
 * it is signed for. Owned, or NULL. */
static char *request_value(const struct request *r, const char *name)
{
    AUTO_ERROR ignored = { 0 };
    AUTO_JSON *json = NULL;
    struct json_object *member = NULL;
    const char *value = str_eq(name, "path") ? r->path : pairs_get(&r->form, name);
    if (!value)
        value = pairs_get(&r->query, name);
    if (value)
        return xstrdup(value);
    if (str_eq(name, "region"))
        return verify_scope(r, SCOPE_REGION);
    if (!json_parse(strbuf_str(&r->body), r->body.len, "the body", &json, &ignored) ||
        !json_object_is_type(json, json_type_object) || !json_object_object_get_ex(json, name, &member) || !member)
        return NULL;
    return xstrdup(json_object_get_string(member));
}

static bool fault_matches(const struct fault *f, const struct request *r)
{
    if ((!str_eq(f->service, "*") && !str_eq(f->service, r->service)) ||
        (!str_eq(f->action, "*") && !str_eq(f->action, r->action)))
        return false;
    for (size_t i = 0; i < f->match.n; i++) {
        AUTO_FREE char *value = request_value(r, f->match.v[2 * i]);
        if (!str_eq(value, f->match.v[2 * i + 1]))
            return false;
    }
    return true;
}

const struct fault *fault_due(struct sim *s, const struct request *r, enum fault_when when)
{
    int64_t now = sim_now(s);
    for (size_t i = 0; i < s->n_faults; i++) {
        struct fault *f = &s->faults[i];
        bool over = f->times == 0 || (f->until && now >= f->until);
        if (f->when != when || over || !fault_matches(f, r))
            continue;
        if (f->skip > 0) {
            f->skip--;
            continue;
        }
        if (f->times > 0)
            f->times--;
        return f;
    }
    return NULL;
}

/* What a service of AWS or GitHub says by itself; NULL: no such service. */
static const struct fault_answer *answer_of(const struct fault_kind *kind, const char *service)
{
    const struct {
        const char *service;
        const struct fault_answer *answer;
    } answers[] = { { "ec2", &kind->ec2 }, { "sts", &kind->sts }, { "ssm", &kind->ssm }, { "github", &kind->github } };
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
        if (str_eq(answers[i].service, service))
            return answers[i].answer;
    return NULL;
}

/* What a hole in a scripted message stands for: {authorization}, {body} as it was sent, {PARAMETER}; {…:N} are its
 * first N bytes. Owned; NULL: it is no hole. */
static char *fill_hole(const char *hole, const struct request *r)
{
    uint64_t n = UINT32_MAX;
    const char *colon = strchr(hole, ':');
    AUTO_FREE char *name = xstrndup(hole, colon ? (size_t)(colon - hole) : strlen(hole));
    AUTO_FREE char *parameter = request_value(r, name);
    const char *value = str_eq(name, "authorization") ? pairs_get(&r->headers, "authorization")
                        : str_eq(name, "body")        ? strbuf_str(&r->body)
                                                      : parameter;
    if (str_empty(name) || (colon && !parse_uint(colon + 1, UINT32_MAX, &n)))
        return NULL;
    return value || str_eq(name, "authorization") ? xstrndup(value ? value : "", (size_t)n) : NULL;
}

/* A server that repeats what it was sent. Owned. */
static char *fill_message(const char *message, const struct request *r)
{
    AUTO_STRBUF text = STRBUF_INIT;
    while (*message) {
        const char *end = *message == '{' ? strchr(message, '}') : NULL;
        AUTO_FREE char *hole = end ? xstrndup(message + 1, (size_t)(end - message) - 1) : NULL;
        AUTO_FREE char *value = hole ? fill_hole(hole, r) : NULL;
        if (value)
            strbuf_adds(&text, value);
        else
            strbuf_addc(&text, *message);
        message = value ? end + 1 : message + 1;
    }
    return strbuf_steal(&text);
}

void fault_answer(const struct fault *f, const struct request *r, struct response *res)
{
    const struct fault_answer *own = answer_of(f->kind, r->service);
    int status = f->status ? (int)f->status : own && own->status ? own->status : 502;
    const char *code = f->code ? f->code : own && own->code ? own->code : "InternalError";
    AUTO_FREE char *denial = own && !own->message && own->code ? aws_denial(r) : NULL;
    AUTO_FREE char *message = fill_message(f->message            ? f->message
                                           : denial              ? denial
                                           : own && own->message ? own->message
                                                                 : "scripted",
                                           r);
    strbuf_truncate(&res->body, 0);
    pairs_clear(&res->headers);
    if (f->kind->effect == EFFECT_STATUS) { /* NOLINT(clang-analyzer-core.NullDereference): each has a kind */
        res->status = status;
        res->content_type = "text/html";
        strbuf_addf(&res->body, "<html><body><h1>%d %s</h1></body></html>\n", status, message);
    } else if (str_eq(r->service, "github")) {
        github_fail(res, status, message);
        if (str_eq(f->kind->name, "throttle") && !pairs_get(&f->headers, "Retry-After"))
            pairs_set(&res->headers, "Retry-After", "1");
    } else if (own) {
        aws_fail(res, r->service, status, code, message);
    } else {
        respond_text(res, status, message);
    }
    for (size_t i = 0; i < f->headers.n; i++)
        pairs_set(&res->headers, f->headers.v[2 * i], f->headers.v[2 * i + 1]);
}
