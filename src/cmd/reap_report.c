#include "reap_report.h"

#include <inttypes.h>

#include "mayfly/util/log.h"

void counts_add(struct counts *c, const char *name)
{
    size_t i = 0;
    while (i < c->n && !str_eq(c->v[i].name, name))
        i++;
    if (i == ARRAY_SIZE(c->v))
        return;
    c->v[i].name = name;
    c->v[i].n++;
    c->n = i == c->n ? i + 1 : c->n;
}

size_t counts_of(const struct counts *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (str_eq(c->v[i].name, name))
            return c->v[i].n;
    return 0;
}

static void add_text(struct json_object *row, const char *key, const char *value)
{
    if (value)
        json_object_object_add(row, key, must(json_object_new_string(value)));
}

static void add_number(struct json_object *row, const char *key, int64_t value)
{
    json_object_object_add(row, key, must(json_object_new_int64(value)));
}

static struct json_object *new_row(int64_t now, const char *kind)
{
    struct json_object *row = must(json_object_new_object());
    add_text(row, "time", clock_rfc3339(now).s);
    add_text(row, "kind", kind);
    return row;
}

static void print_row(struct json_object *row)
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
        return "ended";
    if (t && t->held)
        return "held back";
    switch (v) {
    case REAP_TERMINATE:
        return dry ? "would end" : "not ended";
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
    counts_add(&ret->instances, what);
    counts_add(&ret->rules, ruling.rule);
    ret->left = ret->left || str_is_one_of(what, "failed") || str_eq(what, "held back") || str_eq(what, "not ended");
    if (row->keep && row->ours && age > r->rows.limits[row->limits].life)
        log_warn("%s is past its deadline, and tagged %s", row->id, TAG_KEEP);
    if (!cmd->common.json) {
        print_line("%s %s: %s (%s, %s, age %" PRId64 " s)", what, row->id, why, ruling.rule, state, age);
        return;
    }
    struct json_object *o = new_row(r->cloud_now, "instance");
    add_text(o, "instance", row->id);
    add_text(o, "region", r->config->regions->v[row->region]);
    add_text(o, "runner", t ? t->runner : NULL);
    add_text(o, "state", state);
    add_text(o, "record", reap_record_name(f.record));
    if (t && t->run_id)
        add_text(o, "job", reap_job_name(f.job));
    add_number(o, "age", age);
    add_text(o, "done", what);
    add_text(o, "rule", ruling.rule);
    add_text(o, "reason", why);
    print_row(o);
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

static void report_ghost(struct cmd *cmd, const struct reap *r, const struct reap_ghost *g, struct report *ret)
{
    const char *what = g->error.domain           ? "failed"
                       : g->ended                ? "deleted"
                       : !g->absent || g->online ? "kept"
                       : r->config->dry_run      ? "would delete"
                                                 : "not deleted";
    AUTO_FREE char *why = g->error.domain ? error_format(&g->error)
                          : !g->absent    ? xstrdup("an instance has it after all")
                          : g->online     ? xstrdup("online, and no instance of the fleet has it")
                                          : xstrdup("no instance has it");
    counts_add(&ret->runners, what);
    ret->left = ret->left || g->error.domain || str_eq(what, "not deleted");
    if (g->online && g->absent)
        log_warn("runner %s is online, and no instance of the fleet has it: was its instance's tag taken off?",
                 g->name);
    if (!cmd->common.json) {
        print_line("%s runner %s: %s (ghost, age %" PRId64 " s)", what, g->name, why, g->age);
        return;
    }
    struct json_object *o = new_row(r->cloud_now, "runner");
    add_text(o, "runner", g->name);
    add_number(o, "runner-id", g->runner_id);
    add_text(o, "region", r->config->regions->v[g->region]);
    add_number(o, "age", g->age);
    add_text(o, "done", what);
    add_text(o, "rule", "ghost");
    add_text(o, "reason", why);
    print_row(o);
}

void report_pass(struct cmd *cmd, const struct fleet *f, struct report *ret)
{
    const struct reap *r = &f->reap;
    AUTO_FREE const struct reap_target **targets = sort_targets(r);
    for (size_t i = 0; i < r->rows.n; i++)
        report_instance(cmd, r, &r->rows.v[i], targets[i], ret);
    for (size_t i = 0; i < r->n_ghosts; i++)
        report_ghost(cmd, r, &r->ghosts[i], ret);
    if (r->over_max)
        log_warn("more instances than --max allows would have been ended, so only deadlines were enforced: look at "
                 "reap --dry-run, then raise --max");
    if (r->more_ghosts)
        log_warn("more than %d runner records have no instance: the next passes delete the others", REAP_GHOSTS_MAX);
    ret->left = ret->left || r->more_ghosts;
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
    AUTO_FREE char *why = o->error.domain ? error_format(&o->error) : xstrdup(o->ruling.reason);
    counts_add(&ret->leftovers[o->facts.kind], what);
    ret->left = ret->left || str_eq(what, "failed") || str_eq(what, "not removed");
    if (!cmd->common.json) {
        print_line("%s %s %s: %s (%s, age %" PRId64 " s)", what, kind, o->id, why, o->ruling.rule, o->facts.age);
        return;
    }
    struct json_object *row = new_row(l->cloud_now, kind);
    add_text(row, "id", o->id);
    add_text(row, "region", l->config->regions->v[o->region]);
    add_number(row, "age", o->facts.age);
    add_text(row, "done", what);
    add_text(row, "rule", o->ruling.rule);
    add_text(row, "reason", why);
    print_row(row);
}

void report_leftovers(struct cmd *cmd, const struct leftovers *l, struct report *ret)
{
    for (size_t i = 0; i < l->n; i++)
        report_leftover(cmd, l, &l->v[i], ret);
    for (size_t k = 0; k < EC2_KIND_COUNT; k++) {
        ret->left = ret->left || l->errors[k].domain || l->more[k];
        if (l->more[k])
            log_warn("more than %d of the kind %s are left: the next passes remove the others", REAP_LEFTOVERS_MAX,
                     ec2_kind_name((enum ec2_kind)k));
        if (l->errors[k].domain == ERROR_NONE)
            continue;
        AUTO_FREE char *why = error_format(&l->errors[k]);
        log_warn("what is left of the kind %s could not be read everywhere: %s", ec2_kind_name((enum ec2_kind)k), why);
    }
}
