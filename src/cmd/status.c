/* status: the instances of a fleet beside their runners, and what the reaper would do about each. It asks, and changes
 * nothing. */
#include <inttypes.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "reap_report.h"

#include "mayfly/util/arena.h"
#include "mayfly/util/log.h"
#include "mayfly/util/secret.h"
#include "mayfly/util/text.h"

enum { WIDTH_DEFAULT = 80, GAP = 2, WHY_MIN = 20, SUMMARY_MAX = 900 << 10 /* bytes; GitHub takes 1 MiB of a step */ };

struct status_options {
    struct fleet_options fleet;
    int64_t watch;
};

#define OPTIONS struct status_options

static const struct opt status_opts[] = {
    FLEET_OPTS(fleet),
    OPT_SECONDS("watch", watch, "DURATION", "refresh at this interval until interrupted", .min = 2, .max = 86400,
                .bits = OPT_FLAG_ONLY),
    { 0 },
};

#undef OPTIONS

/* --- what is told of each ----------------------------------------------------------------------------------------- */

enum column {
    INSTANCE,
    PHASE,
    AGE,
    LEFT,
    MARKET,
    TYPE,
    ZONE,
    RECORD,
    RUNNER,
    LABEL,
    VERDICT,
    WHY,
    COLUMNS,
};

/* A narrow terminal gets fewer: the last to go first. The reason is cut before that, to WHY_MIN. */
static const struct {
    const char *title;
    int goes;  /* 0: never */
    bool ours; /* the words in it are */
} columns[COLUMNS] = {
    [INSTANCE] = { "INSTANCE", 0, false }, [PHASE] = { "PHASE", 0, true },     [AGE] = { "AGE", 0, true },
    [LEFT] = { "LEFT", 1, true },          [MARKET] = { "MARKET", 3, false },  [TYPE] = { "TYPE", 2, false },
    [ZONE] = { "ZONE", 4, false },         [RECORD] = { "RECORD", 5, true },   [RUNNER] = { "RUNNER", 6, false },
    [LABEL] = { "LABEL", 7, false },       [VERDICT] = { "VERDICT", 0, true }, [WHY] = { "WHY", 0, false },
};

struct line {
    const char *cells[COLUMNS]; /* in the arena of the view */
    int64_t order;              /* the oldest first */
};

struct view { /* of one pass */
    const struct fleet *fleet;
    struct arena arena;
    struct line *lines;
    size_t n;
};

static void view_clear(struct view *v)
{
    arena_clear(&v->arena);
    free(v->lines);
}

/* Where it is in its life. GitHub's word counts while EC2 says that it runs. */
static const char *phase_of(const struct reap_facts *f)
{
    static const char *const by_record[] = {
        [REAP_RECORD_UNKNOWN] = "running",   [REAP_RECORD_ABSENT] = "finished", [REAP_RECORD_OFFLINE] = "offline",
        [REAP_RECORD_OFFLINE_BUSY] = "lost", [REAP_RECORD_ONLINE] = "idle",     [REAP_RECORD_BUSY] = "busy",
    };
    if (f->state != EC2_RUNNING)
        return ec2_state_format(f->state);
    if (f->builder)
        return "building";
    if (f->record == REAP_RECORD_OFFLINE && f->age < f->limits.boot)
        return "booting";
    if ((f->job == REAP_JOB_RUNNING || f->witness == REAP_WITNESS_WORKING) && f->record != REAP_RECORD_OFFLINE_BUSY)
        return "busy";
    return by_record[f->record];
}

static const char *verdict_of(const struct reap_target *t)
{
    static const char *const words[] = {
        [REAP_IGNORE] = "ignore",         [REAP_KEEP] = "keep",           [REAP_MARK] = "mark",
        [REAP_DEREGISTER] = "deregister", [REAP_TERMINATE] = "terminate",
    };
    return t->held ? "hold back" : words[t->ruling.verdict];
}

/* Two units at most: 45s, 12m, 5h12m, 3d4h. */
static char *span(int64_t seconds)
{
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
    size_t i = 0;
    while (i + 1 < ARRAY_SIZE(units) && seconds < units[i].seconds)
        i++;
    int64_t rest = i < 2 ? seconds % units[i].seconds / units[i + 1].seconds : 0;
    return rest ? xasprintf("%" PRId64 "%c%" PRId64 "%c", seconds / units[i].seconds, units[i].unit, rest,
                            units[i + 1].unit)
                : xasprintf("%" PRId64 "%c", seconds / units[i].seconds, units[i].unit);
}

/* Tags hold what anybody wrote there. */
static void put(struct view *v, struct line *l, enum column column, const char *value)
{
    char *cell = arena_strdup(&v->arena, str_empty(value) ? "-" : value);
    if (column == WHY)
        text_clean(cell);
    else
        text_narrow(cell);
    l->cells[column] = cell;
}

static struct line *add_line(struct view *v)
{
    struct line *l = &v->lines[v->n++];
    *l = (struct line){ 0 };
    for (size_t c = 0; c < COLUMNS; c++)
        l->cells[c] = "-";
    return l;
}

static void add_instance(struct view *v, const struct reap_target *t)
{
    const struct reap *r = &v->fleet->reap;
    const struct reap_row *row = &r->rows.v[t->row];
    struct line *l = add_line(v);
    int64_t left = t->facts.limits.life - t->facts.age;
    AUTO_FREE char *age = span(t->facts.age > 0 ? t->facts.age : 0), *rest = left < 0 ? xstrdup("over") : span(left);
    AUTO_FREE char *problem = t->error.domain ? error_format(&t->error) : NULL;
    AUTO_FREE char *since = t->facts.mark ? span(t->facts.marked_for) : NULL;
    AUTO_FREE char *why = xasprintf("%s%s%s%s%s", t->ruling.reason, problem ? ": " : "", problem ? problem : "",
                                    since && str_eq(t->facts.mark, t->ruling.rule) ? ", marked for " : "",
                                    since && str_eq(t->facts.mark, t->ruling.rule) ? since : "");
    const char *const cells[COLUMNS] = {
        [INSTANCE] = row->id,
        [PHASE] = phase_of(&t->facts),
        [AGE] = age,
        [LEFT] = rest,
        [MARKET] = t->lifecycle ? t->lifecycle : "on-demand",
        [TYPE] = t->type,
        [ZONE] = t->zone,
        [RECORD] = reap_record_name(t->facts.record),
        [RUNNER] = t->runner,
        [LABEL] = t->label,
        [VERDICT] = verdict_of(t),
        [WHY] = why,
    };
    for (size_t c = 0; c < COLUMNS; c++)
        put(v, l, (enum column)c, cells[c]);
    l->order = row->launched;
}

static const char *ghost_verdict(const struct reap_ghost *g)
{
    return g->absent && !g->online && !g->locked && !g->error.domain ? "delete" : "keep";
}

static const char *ghost_record(const struct reap_ghost *g)
{
    return reap_record_name(g->online   ? REAP_RECORD_ONLINE
                            : g->locked ? REAP_RECORD_OFFLINE_BUSY
                                        : REAP_RECORD_OFFLINE);
}

static void add_ghost(struct view *v, const struct reap_ghost *g)
{
    struct line *l = add_line(v);
    AUTO_FREE char *age = span(g->age), *why = report_ghost_reason(g);
    put(v, l, PHASE, "ghost");
    put(v, l, AGE, age);
    put(v, l, RECORD, ghost_record(g));
    put(v, l, RUNNER, g->name);
    put(v, l, VERDICT, ghost_verdict(g));
    put(v, l, WHY, why);
    l->order = INT64_MAX - g->age; /* after the instances */
}

static int by_order(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return strcmp(x->cells[INSTANCE], y->cells[INSTANCE]);
}

static void view_fill(struct view *v, const struct fleet *f)
{
    const struct reap *r = &f->reap;
    v->fleet = f;
    v->lines = xcalloc(r->n + r->n_ghosts + 1, sizeof(*v->lines));
    for (size_t i = 0; i < r->n; i++)
        add_instance(v, &r->targets[i]);
    for (size_t i = 0; i < r->n_ghosts; i++)
        add_ghost(v, &r->ghosts[i]);
    qsort(v->lines, v->n, sizeof(*v->lines), by_order);
}

/* --- as a table --------------------------------------------------------------------------------------------------- */

/* What a terminal is wide and high; 0: there is none, and nothing is left out. */
static struct winsize find_window(void)
{
    struct winsize w = { 0 };
    if (!isatty(STDOUT_FILENO))
        return (struct winsize){ 0 };
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) != 0 || w.ws_col == 0)
        w.ws_col = WIDTH_DEFAULT;
    return w;
}

static void measure(const struct view *v, size_t widths[COLUMNS])
{
    for (size_t c = 0; c < COLUMNS; c++) {
        widths[c] = strlen(columns[c].title);
        for (size_t i = 0; i < v->n; i++)
            if (strlen(v->lines[i].cells[c]) > widths[c])
                widths[c] = strlen(v->lines[i].cells[c]);
    }
}

/* Makes widths 0 until the others fit. */
static void fit(size_t widths[COLUMNS], size_t room)
{
    for (;;) {
        size_t sum = 0, out = 0;
        for (size_t c = 0; c < WHY; c++) {
            sum += widths[c] ? widths[c] + GAP : 0;
            out = widths[c] && columns[c].goes > columns[out].goes ? c : out;
        }
        size_t rest = room > sum ? room - sum : 0;
        if (rest >= widths[WHY] || rest >= WHY_MIN || columns[out].goes == 0) {
            widths[WHY] = rest < widths[WHY] ? rest : widths[WHY];
            return;
        }
        widths[out] = 0;
    }
}

/* At most `room` characters of s; what is cut ends in an ellipsis. */
static void add_cut(struct strbuf *out, const char *s, size_t room)
{
    size_t n = 0, to_last = 0, bytes = 0;
    for (; s[bytes] && n < room; n++) {
        to_last = bytes;
        bytes += text_char(s + bytes);
    }
    if (s[bytes] == '\0') {
        strbuf_adds(out, s);
    } else {
        strbuf_add(out, s, to_last);
        strbuf_adds(out, room ? "…" : "");
    }
}

static void add_table_line(struct strbuf *out, const char *const cells[COLUMNS], const size_t widths[COLUMNS])
{
    for (size_t c = 0; c < WHY; c++)
        if (widths[c])
            strbuf_addf(out, "%-*s", (int)(widths[c] + GAP), cells[c]);
    add_cut(out, cells[WHY], widths[WHY]);
    strbuf_addc(out, '\n');
}

/* again: on a terminal, in the place of what was there before. */
static void print_table(const struct view *v, bool again)
{
    AUTO_STRBUF text = STRBUF_INIT;
    size_t widths[COLUMNS], shown = v->n;
    const char *titles[COLUMNS];
    struct winsize window = find_window();
    for (size_t c = 0; c < COLUMNS; c++)
        titles[c] = columns[c].title;
    measure(v, widths);
    if (window.ws_col) {
        fit(widths, window.ws_col);
        strbuf_adds(&text, again ? "\033[H\033[J" : "");
        if (again && window.ws_row > 6U && shown > window.ws_row - 6U)
            shown = window.ws_row - 6U; /* with the title, and what is told below */
    }
    if (v->n)
        add_table_line(&text, titles, widths);
    for (size_t i = 0; i < shown; i++)
        add_table_line(&text, v->lines[i].cells, widths);
    if (shown < v->n)
        strbuf_addf(&text, "… and %zu more\n", v->n - shown);
    secret_redact(&text); /* an answer may repeat what it was sent */
    fwrite(strbuf_str(&text), 1, text.len, stdout);
}

/* --- as JSON and Markdown ----------------------------------------------------------------------------------------- */

static void print_instance_json(const struct reap *r, const struct reap_target *t)
{
    const struct reap_row *row = &r->rows.v[t->row];
    AUTO_FREE char *problem = t->error.domain ? error_format(&t->error) : NULL;
    struct json_object *o = row_new(r->cloud_now, "instance");
    row_text(o, "instance", row->id);
    row_text(o, "region", r->config->regions->v[row->region]);
    row_text(o, "zone", t->zone);
    row_text(o, "type", t->type);
    row_text(o, "market", t->lifecycle ? t->lifecycle : "on-demand");
    row_text(o, "state", ec2_state_format(t->facts.state));
    row_text(o, "phase", phase_of(&t->facts));
    row_text(o, "runner", t->runner);
    row_text(o, "label", t->label);
    row_text(o, "repo", t->repo);
    row_text(o, "record", reap_record_name(t->facts.record));
    if (t->run_id) {
        row_number(o, "run-id", t->run_id);
        row_text(o, "job", reap_job_name(t->facts.job));
    }
    row_text(o, "console", reap_witness_name(t->facts.witness));
    row_number(o, "age", t->facts.age);
    row_text(o, "deadline", clock_rfc3339(row->launched + t->facts.limits.life).s);
    row_number(o, "left", t->facts.limits.life - t->facts.age);
    if (t->facts.mark) {
        row_text(o, "mark", t->facts.mark);
        row_number(o, "marked-for", t->facts.marked_for);
    }
    row_text(o, "verdict", verdict_of(t));
    row_text(o, "rule", t->ruling.rule);
    row_text(o, "reason", problem ? problem : t->ruling.reason);
    row_print(o);
}

static void print_ghost_json(const struct reap *r, const struct reap_ghost *g)
{
    AUTO_FREE char *why = report_ghost_reason(g);
    struct json_object *o = row_new(r->cloud_now, "runner");
    row_text(o, "runner", g->name);
    row_number(o, "runner-id", g->runner_id);
    row_text(o, "region", r->config->regions->v[g->region]);
    row_text(o, "record", ghost_record(g));
    row_number(o, "age", g->age);
    row_text(o, "verdict", ghost_verdict(g));
    row_text(o, "rule", "ghost");
    row_text(o, "reason", why);
    row_print(o);
}

static void print_json_lines(const struct fleet *f, bool whole)
{
    const struct reap *r = &f->reap;
    for (size_t i = 0; i < r->n; i++)
        print_instance_json(r, &r->targets[i]);
    for (size_t i = 0; i < r->n_ghosts; i++)
        print_ghost_json(r, &r->ghosts[i]);
    struct json_object *o = row_new(r->cloud_now, "pass");
    row_text(o, "fleet", f->config.fleet);
    row_number(o, "instances", (int64_t)r->n);
    row_number(o, "runners", (int64_t)r->n_ghosts);
    json_object_object_add(o, "whole", must(json_object_new_boolean(whole)));
    row_print(o);
}

static void add_markdown_line(struct strbuf *md, const struct line *l)
{
    for (size_t c = 0; c < COLUMNS; c++) {
        strbuf_adds(md, "| ");
        if (columns[c].ours)
            strbuf_adds(md, l->cells[c]);
        else
            text_add_code(md, l->cells[c]);
        strbuf_addc(md, ' ');
    }
    strbuf_adds(md, "|\n");
}

static void write_summary(struct cmd *cmd, const struct view *v)
{
    AUTO_STRBUF md = STRBUF_INIT;
    size_t i = 0;
    strbuf_adds(&md, "### Mayfly: fleet ");
    text_add_code(&md, v->fleet->config.fleet);
    strbuf_addf(&md, ", %zu live instances\n\n", v->fleet->reap.n);
    for (size_t c = 0; c < COLUMNS && v->n; c++)
        strbuf_addf(&md, "| %s ", columns[c].title);
    strbuf_adds(&md, v->n ? "|\n" : "");
    for (size_t c = 0; c < COLUMNS && v->n; c++)
        strbuf_adds(&md, "|---");
    strbuf_adds(&md, v->n ? "|\n" : "");
    for (; i < v->n && md.len < SUMMARY_MAX; i++)
        add_markdown_line(&md, &v->lines[i]);
    if (i < v->n)
        strbuf_addf(&md, "\nand %zu more\n", v->n - i);
    secret_redact(&md);
    summary_write(cmd, strbuf_str(&md));
}

/* --- the command -------------------------------------------------------------------------------------------------- */

static void tell_counts(const struct view *v)
{
    const struct reap *r = &v->fleet->reap;
    size_t verdicts[REAP_TERMINATE + 1] = { 0 }, busy = 0;
    for (size_t i = 0; i < r->n; i++) {
        verdicts[r->targets[i].ruling.verdict]++;
        busy += str_eq(phase_of(&r->targets[i].facts), "busy");
    }
    log_info("fleet %s: %zu live instances, %zu of them busy; the reaper would now terminate %zu and mark %zu; %zu "
             "runner registrations without an instance",
             v->fleet->config.fleet, r->n, busy, verdicts[REAP_TERMINATE] + verdicts[REAP_DEREGISTER],
             verdicts[REAP_MARK], r->n_ghosts);
}

/* One pass, told. *ret_whole: nothing kept it from being so. */
static bool look(struct cmd *cmd, struct fleet *f, bool watching, bool *ret_whole, struct error *err)
{
    CLEANUP(view_clear) struct view v = { 0 };
    if (!fleet_pass(f, err))
        return false;
    view_fill(&v, f);
    if (!cmd->common.json)
        print_table(&v, watching);
    fflush(stdout); /* before what comes by the other stream */
    bool whole = fleet_warn(f);
    if (cmd->common.json)
        print_json_lines(f, whole);
    else
        tell_counts(&v);
    if (!watching)
        write_summary(cmd, &v);
    if (fflush(stdout) != 0 || ferror(stdout))
        return error_set(err, ERROR_SYSTEM, 0, "standard output was closed");
    *ret_whole = whole;
    return true;
}

/* As watch(1): a signal ends it, well; what fails for a while does not. */
static bool keep_looking(struct cmd *cmd, struct fleet *f, int64_t seconds, struct error *err)
{
    bool whole;
    bool seen = look(cmd, f, true, &whole, err);
    while (seen && !http_readable(cmd->signal_fd)) {
        AUTO_ERROR passing = { 0 };
        call_loop_next(&f->session.loop, env_mono(cmd->env) + seconds * 1000);
        if (http_readable(cmd->signal_fd) || look(cmd, f, true, &whole, &passing))
            continue;
        if (ferror(stdout))
            return error_move(err, &passing);
        AUTO_FREE char *why = error_format(&passing);
        if (passing.domain != ERROR_CANCELLED)
            log_warn("%s", why);
    }
    if (err->domain == ERROR_CANCELLED)
        error_clear(err);
    return err->domain == ERROR_NONE;
}

static bool run(struct cmd *cmd, void *options, struct error *err)
{
    const struct status_options *o = options;
    AUTO_FLEET fleet = { 0 };
    bool whole = false;
    if (o->watch)
        cmd->until = 0; /* it ends by a signal */
    if (!fleet_open(&fleet, cmd, &o->fleet, err))
        return false;
    fleet.config.dry_run = fleet.config.closely = true;
    if (o->watch)
        return keep_looking(cmd, &fleet, o->watch, err);
    if (!look(cmd, &fleet, false, &whole, err))
        return false;
    cmd->exit_status = whole ? 0 : EXIT_PARTIAL;
    return true;
}

const struct command command_status = {
    .name = "status",
    .summary = "list the fleet's instances and their runners",
    .about = "Prints a line for each live instance of the fleet: phase, age, time left until its deadline,\n"
             "market, type, zone, the state of its runner at GitHub, and what the reaper would do about it now,\n"
             "and why; and a line for each runner registration without an instance. On a terminal, only the\n"
             "columns that fit; otherwise all of them. With --json, each line is an object; the last one\n"
             "describes the pass. In a workflow, also writes a step summary. Changes nothing. Exit status 3 if\n"
             "something could not be checked.",
    .opts = status_opts,
    .options_size = sizeof(struct status_options),
    .reads_jobs = true,
    .limit_s = 300,
    .run = run,
};
