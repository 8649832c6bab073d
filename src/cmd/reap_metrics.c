#include "reap_metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mayfly/util/encode.h"
#include "mayfly/util/text.h"

enum { BEFORE_MAX = 1 << 20 };

#define PREFIX "mayfly_reap_"

/* --- text --------------------------------------------------------------------------------------------------------- */

struct page {
    const struct metrics *metrics;
    const char *fleet;
    struct strbuf text;
};

static void family(struct page *p, const char *name, const char *type, const char *help)
{
    strbuf_addf(&p->text, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

static void add_label(struct strbuf *out, const char *name, const char *value)
{
    AUTO_FREE char *clean = xstrdup(value);
    text_clean(clean);
    strbuf_addf(out, "%s=\"", name);
    for (const char *c = clean; *c; c++) {
        if (*c == '"' || *c == '\\')
            strbuf_addc(out, '\\');
        strbuf_addc(out, *c);
    }
    strbuf_addc(out, '"');
}

/* mayfly_reap_NAME{fleet="…",KEY="VALUE",…}, with up to two labels of its own (NULL: none); owned. The fleet tells
 * apart what the files of several fleets say. */
static char *series(const struct page *p, const char *name, const char *const labels[4])
{
    AUTO_STRBUF s = STRBUF_INIT;
    strbuf_addf(&s, PREFIX "%s{", name);
    add_label(&s, "fleet", p->fleet);
    for (size_t i = 0; i < 4 && labels[i]; i += 2) {
        strbuf_addc(&s, ',');
        add_label(&s, labels[i], labels[i + 1]);
    }
    strbuf_addc(&s, '}');
    return strbuf_steal(&s);
}

#define LABELS(...) ((const char *const[4]){ __VA_ARGS__ })
#define NO_LABELS LABELS(NULL)

static void add(struct page *p, const char *name, const char *const labels[4], int64_t value)
{
    AUTO_FREE char *s = series(p, name, labels);
    strbuf_addf(&p->text, "%s %" PRId64 "\n", s, value);
}

/* The whole number that the file said of a series, or 0. */
static uint64_t said_before(const struct page *p, const char *name, const char *const labels[4])
{
    uint64_t n;
    AUTO_FREE char *s = series(p, name, labels);
    AUTO_FREE char *key = xasprintf("\n%s ", s);
    const char *at = strstr(strbuf_str(&p->metrics->before), key);
    if (!at)
        return 0;
    at += strlen(key);
    AUTO_FREE char *value = xstrndup(at, strcspn(at, "\n"));
    return parse_uint(value, INT64_MAX / 2, &n) ? n : 0; /* what is added must not overflow */
}

static void count(struct page *p, const char *name, const char *const labels[4], uint64_t n)
{
    add(p, name, labels, (int64_t)(said_before(p, name, labels) + n));
}

/* --- what is told ------------------------------------------------------------------------------------------------- */

static void add_ending(struct page *p, int exit_status)
{
    const struct env *env = p->metrics->env;
    int64_t now = env_now(env) / 1000, took = env_mono(env) - p->metrics->began;
    uint64_t success = exit_status == 0 ? (uint64_t)now : said_before(p, "last_success_timestamp_seconds", NO_LABELS);
    family(p, "success", "gauge", "Whether the last pass succeeded (exit status 0).");
    add(p, "success", NO_LABELS, exit_status == 0);
    family(
        p, "exit_status", "gauge",
        "Exit status of the last pass: 1 failed, 2 usage or configuration error, 3 partly done, 75 try again later.");
    add(p, "exit_status", NO_LABELS, exit_status);
    family(p, "last_pass_timestamp_seconds", "gauge", "When the last pass ended, successful or not.");
    add(p, "last_pass_timestamp_seconds", NO_LABELS, now);
    if (success) {
        family(p, "last_success_timestamp_seconds", "gauge", "When the last pass with exit status 0 ended.");
        add(p, "last_success_timestamp_seconds", NO_LABELS, (int64_t)success);
    }
    AUTO_FREE char *seconds = series(p, "pass_seconds", NO_LABELS);
    family(p, "pass_seconds", "gauge", "How long the last pass took.");
    strbuf_addf(&p->text, "%s %" PRId64 ".%03d\n", seconds, took / 1000, (int)(took % 1000));
}

static void add_calls(struct page *p, const struct tally tally[SERVICE_COUNT])
{
    const struct {
        const char *name, *help;
        size_t offset;
    } counters[] = {
        { "api_requests_total", "Requests, counting each attempt.", offsetof(struct tally, requests) },
        { "api_retries_total", "Requests that were retries.", offsetof(struct tally, retries) },
        { "api_throttles_total", "Requests that were throttled.", offsetof(struct tally, throttles) },
    };
    for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
        family(p, counters[i].name, "counter", counters[i].help);
        for (size_t s = 0; s < SERVICE_COUNT; s++)
            count(p, counters[i].name, LABELS("service", service_name((enum service)s)),
                  *(const uint64_t *)((const char *)&tally[s] + counters[i].offset));
    }
}

static void add_gone(struct page *p, const struct report *report)
{
    family(p, "removed_total", "counter", "Instances terminated, runner registrations deleted, leftovers removed.");
    for (size_t k = 0; k < REPORT_KINDS; k++)
        count(p, "removed_total", LABELS("kind", report_kind_name(k)), report->gone[k]);
}

static void add_findings(struct page *p, const struct fleet *f, const struct report *report)
{
    family(p, "instances", "gauge", "Live instances by what the last pass did, and by which rule.");
    for (size_t i = 0; i < report->n_counts; i++)
        add(p, "instances", LABELS("done", report->counts[i].done, "rule", report->counts[i].rule),
            (int64_t)report->counts[i].n);
    family(p, "left", "gauge", "What the last pass should have removed and is still there.");
    for (size_t k = 0; k < REPORT_KINDS; k++)
        add(p, "left", LABELS("kind", report_kind_name(k)), (int64_t)report->left[k]);
    family(p, "clock_skew_seconds", "gauge", "How far EC2's clock is ahead of this machine's.");
    add(p, "clock_skew_seconds", NO_LABELS, f->skew);
    if (f->session.github.remaining >= 0) {
        family(p, "github_requests_remaining", "gauge", "Requests that GitHub's rate limit still allows the token.");
        add(p, "github_requests_remaining", NO_LABELS, f->session.github.remaining);
    }
}

/* --- the file ----------------------------------------------------------------------------------------------------- */

static const char the_file[] = "the metrics file";

static bool can_replace(const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    AUTO_FREE char *directory = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
    if (access(directory, W_OK | X_OK) == 0)
        return true;
    error_errno(err, errno, "the directory of the metrics file `%s`", path);
    err->domain = ERROR_CONFIG;
    error_hint(err, "a file beside it is written first: this user has to be able to write into the directory");
    return false;
}

bool metrics_open(struct metrics *m, const char *path, const struct env *env, struct error *err)
{
    if (str_empty(path))
        return true;
    struct metrics new = { .before = STRBUF_MAX(BEFORE_MAX), .env = env, .began = env_mono(env) };
    bool ok = file_look(path, the_file, &new.kind, &new.path, err) &&
              (new.kind == FILE_STREAM || can_replace(new.path, err)) &&
              (new.kind != FILE_REGULAR || strbuf_read_file(&new.before, new.path, the_file, err));
    if (ok && new.before.len && !str_starts(strbuf_str(&new.before), "# HELP " PREFIX)) {
        error_set(err, ERROR_CONFIG, 0, "the metrics file `%s` holds something else", path);
        error_hint(err, "it would be overwritten: use a file for this only, ending in .prom");
        ok = false;
    }
    if (ok)
        *m = new;
    else
        metrics_clear(&new);
    return ok;
}

bool metrics_write(const struct metrics *m, const struct fleet *f, const struct report *report, bool whole,
                   int exit_status, struct error *err)
{
    if (!m->path)
        return true;
    struct page p = { .metrics = m, .fleet = f->session.fleet ? f->session.fleet : "", .text = STRBUF_INIT };
    add_ending(&p, exit_status);
    add_calls(&p, f->session.cloud.tally);
    add_gone(&p, report);
    if (whole)
        add_findings(&p, f, report);
    bool ok = m->kind == FILE_STREAM
                  ? file_put(m->path, the_file, FILE_REPLACE, 0644, strbuf_str(&p.text), p.text.len, err)
                  : file_swap(m->path, the_file, 0644, strbuf_str(&p.text), p.text.len, err);
    strbuf_clear(&p.text);
    return ok;
}

void metrics_clear(struct metrics *m)
{
    free(m->path);
    strbuf_clear(&m->before);
    *m = (struct metrics){ 0 };
}
