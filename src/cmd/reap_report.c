#include "reap_report.h"

#include <inttypes.h>

#include "mayfly/util/log.h"
#include "mayfly/util/text.h"

/* --- counts ------------------------------------------------------------------------------------------------------- */

const char *report_kind_name(size_t kind)
{
    return kind == REPORT_INSTANCE ? "instance"
           : kind == REPORT_RUNNER ? "runner"
                                   : ec2_kind_name((enum ec2_kind)(kind - REPORT_LEFTOVER));
}

/* Counts one by what was done: the words are those of the lines. */
static void count(struct report *r, size_t kind, const char *done)
{
    static const char *const gone[] = { "terminated", "deleted", "removed" };
    static const char *const left[] = { "failed", "held back", "not terminated", "not deleted", "not removed" };
    for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
        r->gone[kind] += str_eq(done, gone[i]);
    for (size_t i = 0; i < ARRAY_SIZE(left); i++)
        r->left[kind] += str_eq(done, left[i]);
}

static void count_rule(struct report *r, const char *done, const char *rule)
{
    size_t i = 0;
    while (i < r->n_counts && !(str_eq(r->counts[i].done, done) && str_eq(r->counts[i].rule, rule)))
        i++;
    if (i == r->n_counts) {
        r->counts = xreallocarray(r->counts, i + 1, sizeof(*r->counts));
        r->counts[r->n_counts++] = (struct report_count){ .done = done, .rule = rule };
    }
    r->counts[i].n++;
}

bool report_has_left(const struct report *r)
{
    size_t n = r->unseen;
    for (size_t k = 0; k < REPORT_KINDS; k++)
        n += r->left[k];
    return n > 0;
}

void report_clear(struct report *r)
{
    free(r->counts);
    *r = (struct report){ 0 };
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

void row_text(struct json_object *row, const char *key, const char *value)
{
    if (value)
        json_object_object_add(row, key, must(json_object_new_string(value)));
}

void row_number(struct json_object *row, const char *key, int64_t value)
{
    json_object_object_add(row, key, must(json_object_new_int64(value)));
}

struct json_object *row_new(int64_t now, const char *kind)
{
    struct json_object *row = must(json_object_new_object());
    row_text(row, "time", clock_rfc3339(now).s);
    row_text(row, "kind", kind);
    return row;
}

void row_print(struct json_object *row)
{
    print_json(row);
    json_object_put(row);
}

/* --- instances ---------------------------------------------------------------------------------------------------- */

static const char *done(const struct reap *r, const struct reap_target *t, enum reap_verdict v)
{
    const bool dry = r->config->dry_run;
    if (t && t->error.domain)
        return "failed";
    if (t && t->ended)
        return "terminated";
    if (t && t->held)
        return "held back";
    if (t && t->deregistered)
        return "deregistered";
    switch (v) {
    case REAP_DEREGISTER:
        return dry ? "would deregister" : "not terminated";
    case REAP_TERMINATE:
        return dry ? "would terminate" : "not terminated";
    case REAP_MARK:
        return dry ? "would mark" : "marked";
    default:
        return "kept";
    }
}

static void report_instance(struct cmd *cmd, const struct reap *r, const struct reap_row *row,
                            const struct reap_target *t, struct report *ret)
{
    const struct reap_facts f = t ? t->facts : reap_row_facts(&r->rows, row, r->cloud_now);
    const struct reap_ruling ruling = t ? t->ruling : reap_decide(&f, r->config->confirm);
    const char *what = done(r, t, ruling.verdict), *state = ec2_state_format((enum ec2_state)row->state);
    AUTO_FREE char *problem = t && t->error.domain ? error_format(&t->error) : NULL;
    const char *why = problem ? problem : ruling.reason;
    int64_t age = r->cloud_now - row->launched;
    count(ret, REPORT_INSTANCE, what);
    count_rule(ret, what, ruling.rule);
    if (row->keep && row->ours && age > r->rows.limits[row->limits].life)
        log_warn("%s is past its deadline, and tagged %s", row->id, TAG_KEEP);
    if (!cmd->common.json) {
        print_line("%s %s: %s (%s, %s, age %" PRId64 " s)", what, row->id, why, ruling.rule, state, age);
        return;
    }
    struct json_object *o = row_new(r->cloud_now, "instance");
    row_text(o, "instance", row->id);
    row_text(o, "region", r->config->regions->v[row->region]);
    row_text(o, "runner", t ? t->runner : NULL);
    row_text(o, "state", state);
    row_text(o, "record", reap_record_name(f.record));
    if (t && t->run_id)
        row_text(o, "job", reap_job_name(f.job));
    row_text(o, "console", reap_witness_name(f.witness));
    row_number(o, "age", age);
    row_text(o, "done", what);
    row_text(o, "rule", ruling.rule);
    row_text(o, "reason", why);
    row_print(o);
}

/* Targets by the row that they are of: they stand in another order. */
static const struct reap_target **sort_targets(const struct reap *r)
{
    const struct reap_target **by_row = xcalloc(r->rows.n + 1, sizeof(*by_row));
    for (size_t i = 0; i < r->n; i++)
        by_row[r->targets[i].row] = &r->targets[i];
    return by_row;
}

/* --- records without instance ------------------------------------------------------------------------------------- */

char *report_ghost_reason(const struct reap_ghost *g)
{
    return g->error.domain          ? error_format(&g->error)
           : !g->absent             ? xstrdup("an instance uses it after all")
           : g->online              ? xstrdup("online, but no instance of the fleet uses it")
           : g->locked && !g->ended ? xstrdup("offline, no instance uses it, and GitHub deletes none that it says runs "
                                              "a job: force-cancel that workflow run; its deletion is tried daily")
                                    : xstrdup("no instance uses it");
}

static void report_ghost(struct cmd *cmd, const struct reap *r, const struct reap_ghost *g, struct report *ret)
{
    const char *what = g->error.domain                        ? "failed"
                       : g->ended                             ? "deleted"
                       : !g->absent || g->online || g->locked ? "kept"
                       : r->config->dry_run                   ? "would delete"
                                                              : "not deleted";
    AUTO_FREE char *why = report_ghost_reason(g);
    count(ret, REPORT_RUNNER, what);
    if (g->online && g->absent)
        log_warn("runner %s is online, but no instance of the fleet uses it: was its instance's tag taken off?",
                 g->name);
    if (!cmd->common.json) {
        print_line("%s runner %s: %s (ghost, age %" PRId64 " s)", what, g->name, why, g->age);
        return;
    }
    struct json_object *o = row_new(r->cloud_now, "runner");
    row_text(o, "runner", g->name);
    row_number(o, "runner-id", g->runner_id);
    row_text(o, "region", r->config->regions->v[g->region]);
    row_number(o, "age", g->age);
    row_text(o, "done", what);
    row_text(o, "rule", "ghost");
    row_text(o, "reason", why);
    row_print(o);
}

void report_pass(struct cmd *cmd, const struct fleet *f, struct report *ret)
{
    const struct reap *r = &f->reap;
    AUTO_FREE const struct reap_target **targets = sort_targets(r);
    for (size_t i = 0; i < r->rows.n; i++)
        report_instance(cmd, r, &r->rows.v[i], targets[i], ret);
    for (size_t i = 0; i < r->n_ghosts; i++)
        report_ghost(cmd, r, &r->ghosts[i], ret);
    ret->unseen = ret->unseen || r->more_ghosts;
}

/* --- leftovers ---------------------------------------------------------------------------------------------------- */

static void report_leftover(struct cmd *cmd, const struct leftovers *l, const struct leftover *o, struct report *ret)
{
    const char *kind = ec2_kind_name(o->facts.kind);
    const char *what = o->error.domain      ? "failed"
                       : o->removed         ? "removed"
                       : !o->ruling.remove  ? "kept"
                       : l->config->dry_run ? "would remove"
                                            : "not removed";
    AUTO_FREE char *why = o->error.domain ? error_format_hinted(&o->error) : xstrdup(o->ruling.reason);
    count(ret, (size_t)REPORT_LEFTOVER + o->facts.kind, what);
    if (!cmd->common.json) {
        print_line("%s %s %s: %s (%s, age %" PRId64 " s)", what, kind, o->id, why, o->ruling.rule, o->facts.age);
        return;
    }
    struct json_object *row = row_new(l->cloud_now, kind);
    row_text(row, "id", o->id);
    row_text(row, "region", l->config->regions->v[o->region]);
    row_number(row, "age", o->facts.age);
    row_text(row, "done", what);
    row_text(row, "rule", o->ruling.rule);
    row_text(row, "reason", why);
    row_print(row);
}

void report_leftovers(struct cmd *cmd, const struct leftovers *l, struct report *ret)
{
    for (size_t i = 0; i < l->n; i++)
        report_leftover(cmd, l, &l->v[i], ret);
    for (size_t k = 0; k < EC2_KIND_COUNT; k++) {
        ret->unseen = ret->unseen || l->errors[k].domain || l->more[k];
        if (l->more[k])
            log_warn("more than %d leftovers of the kind %s: the next passes remove the rest", REAP_LEFTOVERS_MAX,
                     ec2_kind_name((enum ec2_kind)k));
        if (l->errors[k].domain == ERROR_NONE)
            continue;
        AUTO_FREE char *why = error_format_hinted(&l->errors[k]);
        log_warn("leftovers of the kind %s could not be listed everywhere: %s", ec2_kind_name((enum ec2_kind)k), why);
    }
}
