#include "mayfly/runner/reap_pass.h"

#include "mayfly/aws/config.h"
#include "mayfly/util/encode.h"

enum {
    AT_ONCE = 16,    /* actions in flight: as many as connections to one host */
    BATCH = 100,     /* ids in one call */
    FLUSH_MS = 2000, /* what is ready does not wait longer for what is slow */
    HURRY_MS = 7000,
    MAX_DEFAULT = 20,
};

struct reap_batch {
    enum act_kind kind;
    size_t region;
    struct strlist ids; /* or names */
    size_t *members;    /* targets, or ghosts */
    size_t n;
    char *mark;
    struct ec2_filter filters[2];
};

struct reap_run {
    const char *repo; /* a target's */
    int64_t run_id;
    size_t first, n; /* targets */
};

static void free_batch(struct reap_batch *b)
{
    strlist_clear(&b->ids);
    free(b->members);
    free(b->mark);
    free(b);
}

static void clear_target(struct reap_target *t)
{
    char *const owned[] = {
        t->runner, t->label, t->repo, t->type, t->zone, t->lifecycle, t->mark_rule, t->launch_time
    };
    for (size_t i = 0; i < ARRAY_SIZE(owned); i++)
        free(owned[i]);
    error_clear(&t->error);
}

void reap_clear(struct reap *r)
{
    for (size_t i = 0; i < r->n; i++)
        clear_target(&r->targets[i]);
    for (size_t i = 0; i < r->n_ghosts; i++) {
        free(r->ghosts[i].name);
        error_clear(&r->ghosts[i].error);
    }
    for (size_t i = 0; i < r->rows.scopes.n && r->scopes; i++) {
        error_clear(&r->scopes[i].error);
        free(r->scopes[i].an_unclear);
    }
    for (size_t i = 0; i < r->n_batches; i++)
        free_batch(r->batches[i]);
    free(r->scopes);
    free(r->targets);
    free(r->runs);
    free(r->ghosts);
    free(r->batches);
    strlist_clear(&r->fleet);
    strlist_clear(&r->states);
    strlist_clear(&r->unread);
    free(r->name_mark);
    free(r->a_malformed);
    error_clear(&r->error);
    error_clear(&r->jobs_error);
    error_clear(&r->console_error);
    reap_rows_clear(&r->rows);
    *r = (struct reap){ 0 };
}

static const char *region_of(const struct reap *r, size_t region)
{
    return r->config->regions->v[region];
}

/* --- every instance, a little ------------------------------------------------------------------------------------- */

static bool begin_scan(struct reap *r, int64_t now UNUSED, struct acts *acts)
{
    if (r->next == r->config->regions->n)
        return false;
    acts_add(acts, (struct act){ .kind = ACT_SCAN,
                                 .who = r->next,
                                 .region = region_of(r, r->next),
                                 .filters = r->filters,
                                 .n_filters = ARRAY_SIZE(r->filters),
                                 .by_page = true });
    r->next++;
    return true;
}

static bool is_plain_id(const char *id)
{
    return str_starts(id, "i-") && id[strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

/* An instance of the fleet that says its id, its state and when it was launched, or one of another. */
static bool is_sound(const struct reap *r, const struct ec2_instance *i)
{
    int64_t launched = ec2_instance_launched(i);
    bool of_fleet = str_eq(ec2_instance_tag(i, TAG_FLEET), r->config->fleet);
    return is_plain_id(i->id) &&
           (!of_fleet || (launched > 0 && launched <= UINT32_MAX && ec2_instance_state(i) != EC2_UNKNOWN));
}

/* One that makes no sense must not keep the others from their ends. */
static void take_instance(struct reap *r, const struct ec2_instance *i, size_t region)
{
    const struct reap_facts f = reap_read_instance(i, r->config->fleet, r->config->limits, r->cloud_now);
    if (is_sound(r, i) && reap_rows_add(&r->rows, i, &f, region))
        return;
    r->malformed++;
    if (!r->a_malformed)
        r->a_malformed = xasprintf("`%.40s` in %s", i->id, region_of(r, region));
}

/* A fleet half seen is no ground for decisions. */
static void answer_scan(struct reap *r, const struct event *e)
{
    if (e->outcome != OUTCOME_OK) {
        if (r->error.domain == ERROR_NONE)
            error_copy(&r->error, e->error);
        return;
    }
    if (!r->name_mark && e->account)
        r->name_mark = runner_name_mark(e->account, r->config->fleet);
    for (size_t i = 0; i < e->n_instances; i++)
        take_instance(r, &e->instances[i], e->who);
    r->malformed += e->n_skipped;
    if (e->n_skipped && !r->a_malformed)
        r->a_malformed = xasprintf("one without an id in %s", region_of(r, e->who));
}

static void finish_scan(struct reap *r)
{
    reap_rows_scope(&r->rows, r->config->scope);
    reap_rows_sort(&r->rows);
    r->scopes = xcalloc(r->rows.scopes.n, sizeof(*r->scopes));
}

/* --- every record ------------------------------------------------------------------------------------------------- */

static bool begin_list(struct reap *r, int64_t now UNUSED, struct acts *acts)
{
    if (r->next == r->rows.scopes.n)
        return false;
    acts_add(acts,
             (struct act){ .kind = ACT_LIST, .who = r->next, .scope = r->rows.scopes.v[r->next], .by_page = true });
    r->next++;
    return true;
}

static size_t find_region(const struct reap *r, const char *name)
{
    size_t i = 0;
    while (i < r->config->regions->n && !str_eq(region_of(r, i), name))
        i++;
    return i;
}

/* Whoever set the reaper up may not know of it. */
static void note_unread(struct reap *r, const char *region)
{
    if (r->unread.n < REAP_UNREAD_MAX && aws_region_is_valid(region) && !strlist_has(&r->unread, region))
        strlist_add(&r->unread, region);
}

static void consider_ghost(struct reap *r, size_t scope, const struct github_runner *record)
{
    AUTO_FREE char *region = NULL;
    int64_t epoch;
    enum reap_record what = reap_read_record(record);
    if (!r->name_mark || !runner_name_parse(record->name, r->name_mark, &region, &epoch))
        return;
    size_t at = find_region(r, region);
    if (at == r->config->regions->n)
        note_unread(r, region);
    if (r->rows.no_time || at == r->config->regions->n || r->cloud_now - epoch <= REAP_GHOST_AGE)
        return;
    if (r->n_ghosts == REAP_GHOSTS_MAX) {
        r->more_ghosts = true;
        return;
    }
    r->ghosts = xreallocarray(r->ghosts, r->n_ghosts + 1, sizeof(*r->ghosts));
    r->ghosts[r->n_ghosts++] = (struct reap_ghost){ .name = xstrdup(record->name),
                                                    .region = at,
                                                    .scope = scope,
                                                    .runner_id = record->id,
                                                    .age = r->cloud_now - epoch,
                                                    .locked = what == REAP_RECORD_OFFLINE_BUSY,
                                                    .online = github_runner_is_online(record) };
}

/* What was seen of a scope that could not be read whole counts for nothing. */
static void forget_ghosts(struct reap *r, size_t scope)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->n_ghosts; i++) {
        if (r->ghosts[i].scope == scope)
            free(r->ghosts[i].name);
        else
            r->ghosts[kept++] = r->ghosts[i];
    }
    r->n_ghosts = kept;
}

/* Only what it could be of is unknown by it. */
static void take_unclear(struct reap *r, size_t scope, const struct github_runner *record)
{
    if (r->scopes[scope].unclear++ == 0)
        str_set(&r->scopes[scope].an_unclear, record->unclear);
    reap_rows_blur(&r->rows, scope, record);
}

static void answer_list(struct reap *r, const struct event *e)
{
    struct reap_scope *scope = &r->scopes[e->who];
    if (e->outcome != OUTCOME_OK) {
        error_copy(&scope->error, e->error);
        reap_rows_forget(&r->rows, e->who);
        forget_ghosts(r, e->who);
        return;
    }
    scope->records += e->n_runners;
    for (size_t i = 0; i < e->n_runners; i++)
        if (e->runners[i].unclear)
            take_unclear(r, e->who, &e->runners[i]);
        else if (!reap_rows_match(&r->rows, e->who, &e->runners[i]))
            consider_ghost(r, e->who, &e->runners[i]);
    if (e->kind == EVENT_ANSWER)
        scope->suspicious = !reap_rows_settle(&r->rows, e->who, r->cloud_now);
}

/* --- what does not simply stay, closely --------------------------------------------------------------------------- */

static void set_stage(struct reap *r, struct reap_target *t, enum reap_stage stage)
{
    r->staged[t->stage]--;
    r->staged[stage]++;
    t->stage = stage;
}

static bool wants_closeness(const struct reap *r, const struct reap_row *row)
{
    const struct reap_facts f = reap_row_facts(&r->rows, row, r->cloud_now);
    enum reap_verdict v = reap_decide(&f, true).verdict;
    return r->config->closely || v == REAP_MARK || v == REAP_TERMINATE || reap_needs_job(&f) ||
           reap_needs_witness(&f) || (row->marked && row->ours && f.record != REAP_RECORD_UNKNOWN);
}

static int by_region(const void *a, const void *b, void *ctx)
{
    const struct reap *r = ctx;
    const struct reap_target *x = a, *y = b;
    return (int)r->rows.v[x->row].region - (int)r->rows.v[y->row].region;
}

static void finish_list(struct reap *r)
{
    size_t size = 0;
    for (size_t i = 0; i < r->rows.n; i++) {
        if (!wants_closeness(r, &r->rows.v[i]))
            continue;
        if (r->n == size) {
            size = size ? 2 * size : BATCH;
            r->targets = xreallocarray(r->targets, size, sizeof(*r->targets));
        }
        r->targets[r->n++] =
            (struct reap_target){ .row = i, .facts = reap_row_facts(&r->rows, &r->rows.v[i], r->cloud_now) };
        r->rows.v[i].targeted = true;
    }
    r->staged[REAP_UNSEEN] = r->n;
    if (r->n)
        qsort_r(r->targets, r->n, sizeof(*r->targets), by_region, r);
}

static const char *target_id(const struct reap *r, const struct reap_target *t)
{
    return r->rows.v[t->row].id;
}

static size_t target_region(const struct reap *r, const struct reap_target *t)
{
    return r->rows.v[t->row].region;
}

static struct reap_batch *add_batch(struct reap *r, enum act_kind kind, size_t region)
{
    struct reap_batch *b = xcalloc(1, sizeof(*b));
    *b = (struct reap_batch){ .kind = kind, .region = region, .members = xcalloc(BATCH, sizeof(size_t)) };
    r->batches = xreallocarray(r->batches, r->n_batches + 1, sizeof(struct reap_batch *));
    r->batches[r->n_batches++] = b;
    return b;
}

/* Takes targets of one stage and one region together, from the first on; NULL when there is none. */
static struct reap_batch *gather(struct reap *r, enum reap_stage stage, enum reap_stage next, enum act_kind kind,
                                 int64_t now)
{
    struct reap_batch *b = NULL;
    const struct reap_target *first = NULL;
    if (r->staged[stage] == 0)
        return NULL;
    for (size_t i = 0; i < r->n && !(b && (b->n == BATCH || first->alone)); i++) {
        struct reap_target *t = &r->targets[i];
        if (t->stage != stage || (b && (target_region(r, t) != b->region || t->alone)))
            continue;
        bool unmarks = t->ruling.verdict != REAP_MARK, first_unmarks = first && first->ruling.verdict != REAP_MARK;
        if (b && kind == ACT_MARK &&
            (unmarks != first_unmarks || (!unmarks && !str_eq(t->ruling.rule, first->ruling.rule))))
            continue;
        if (!b) {
            first = t;
            b = add_batch(r, kind, target_region(r, t));
            if (kind == ACT_MARK && !unmarks)
                b->mark = reap_mark_format(t->ruling.rule, (now + r->cloud_ahead) / 1000);
        }
        strlist_add(&b->ids, target_id(r, t));
        b->members[b->n++] = i;
        set_stage(r, t, next);
    }
    return b;
}

static bool begin_batch(struct reap *r, enum reap_stage stage, enum reap_stage next, enum act_kind kind, int64_t now,
                        struct acts *acts)
{
    const struct reap_batch *b = gather(r, stage, next, kind, now);
    if (!b)
        return false;
    acts_add(acts, (struct act){ .kind = kind,
                                 .who = r->n_batches - 1,
                                 .region = region_of(r, b->region),
                                 .ids = &b->ids,
                                 .mark = b->mark });
    return true;
}

static bool begin_close(struct reap *r, int64_t now, struct acts *acts)
{
    return begin_batch(r, REAP_UNSEEN, REAP_SEEN, ACT_LOOK, now, acts);
}

static uint64_t fingerprint_tags(const struct ec2_instance *i)
{
    uint64_t sum = 0; /* EC2 does not promise an order */
    for (size_t n = 0; n < i->tags.n; n++) {
        const struct ec2_tag *tag = FIELD_ROW(&i->tags, const struct ec2_tag, n);
        if (!str_eq(tag->key, TAG_MARK))
            sum += reap_fingerprint(reap_fingerprint(0, tag->key ? tag->key : ""), tag->value ? tag->value : "");
    }
    return sum;
}

/* "<run id>/<attempt>" */
static int64_t parse_run(const char *run)
{
    uint64_t id = 0;
    AUTO_FREE char *digits = run ? xstrndup(run, strcspn(run, "/")) : NULL;
    return digits && parse_uint(digits, FIELD_ID_MAX, &id) ? (int64_t)id : 0;
}

static void take_mark(struct reap *r, struct reap_target *t, const char *mark)
{
    int64_t epoch;
    t->has_mark = mark != NULL;
    if (!mark || !reap_mark_parse(mark, &t->mark_rule, &epoch) || epoch > r->cloud_now)
        return; /* from the future: nothing to rely on */
    t->facts.mark = t->mark_rule;
    t->facts.marked_for = r->cloud_now - epoch;
}

static void take_details(struct reap *r, struct reap_target *t, const struct ec2_instance *i)
{
    const char *scope = reap_row_scope(&r->rows, &r->rows.v[t->row]), *repo = ec2_instance_tag(i, TAG_REPO);
    enum reap_record record = t->facts.record;
    t->facts = reap_read_instance(i, r->config->fleet, r->config->limits, r->cloud_now);
    t->facts.record = record;
    t->facts.no_time = r->rows.no_time;
    str_set(&t->runner, ec2_instance_tag(i, TAG_RUNNER));
    str_set(&t->label, ec2_instance_tag(i, TAG_LABEL));
    str_set(&t->repo, str_empty(repo) ? scope : repo);
    str_set(&t->type, i->type);
    str_set(&t->zone, i->zone);
    str_set(&t->lifecycle, i->lifecycle);
    str_set(&t->launch_time, i->launch_time);
    t->run_id = parse_run(ec2_instance_tag(i, TAG_RUN));
    t->tags = fingerprint_tags(i);
    take_mark(r, t, ec2_instance_tag(i, TAG_MARK));
}

static const struct ec2_instance *find_instance(const struct event *e, const char *id)
{
    for (size_t i = 0; i < e->n_instances; i++)
        if (str_eq(e->instances[i].id, id))
            return &e->instances[i];
    return NULL;
}

static const struct reap_ruling changed = { REAP_KEEP, false, "changed", "changed since it was listed" };
static const struct reap_ruling unseen = { REAP_KEEP, false, "unseen", "could not be checked" };

static void give_up(struct reap *r, struct reap_target *t, const struct error *err)
{
    set_stage(r, t, REAP_DONE);
    error_copy(&t->error, err);
}

static void answer_close(struct reap *r, const struct event *e)
{
    const struct reap_batch *b = r->batches[e->who];
    for (size_t k = 0; k < b->n; k++) {
        struct reap_target *t = &r->targets[b->members[k]];
        const struct ec2_instance *i = find_instance(e, target_id(r, t));
        t->ruling = unseen;
        if (e->outcome != OUTCOME_OK) {
            give_up(r, t, e->error);
        } else if (!i || ec2_instance_launched(i) != r->rows.v[t->row].launched) {
            t->ruling = !i && e->n_skipped ? unseen : changed;
            set_stage(r, t, REAP_DONE);
        } else {
            take_details(r, t, i);
        }
    }
}

/* --- the jobs of their runs --------------------------------------------------------------------------------------- */

static int by_run(const void *a, const void *b)
{
    const struct reap_target *x = a, *y = b;
    if (x->run_id != y->run_id)
        return x->run_id < y->run_id ? -1 : 1;
    return strcmp(x->repo ? x->repo : "", y->repo ? y->repo : "");
}

/* Of a run in a repository that nobody named, or whose name is none, nothing can be known. */
static bool is_repo(const char *repo)
{
    AUTO_FREE char *path = repo && github_scope_kind(repo) == GITHUB_REPOSITORY ? github_scope_path(repo) : NULL;
    return path != NULL;
}

static void finish_close(struct reap *r)
{
    if (r->n)
        qsort(r->targets, r->n, sizeof(*r->targets), by_run);
    for (size_t i = 0; i < r->n; i++) {
        struct reap_target *t = &r->targets[i];
        struct reap_run *last = r->n_runs ? &r->runs[r->n_runs - 1] : NULL;
        if (t->stage != REAP_SEEN || t->run_id == 0 || !reap_needs_job(&t->facts))
            continue;
        if (!is_repo(t->repo)) {
            t->facts.job = REAP_JOB_UNKNOWN;
        } else if (last && last->run_id == t->run_id && str_eq(last->repo, t->repo)) {
            last->n = i + 1 - last->first;
        } else {
            r->runs = xreallocarray(r->runs, r->n_runs + 1, sizeof(*r->runs));
            r->runs[r->n_runs++] = (struct reap_run){ .repo = t->repo, .run_id = t->run_id, .first = i, .n = 1 };
        }
    }
}

static bool begin_jobs(struct reap *r, int64_t now UNUSED, struct acts *acts)
{
    if (r->next == r->n_runs)
        return false;
    const struct reap_run *run = &r->runs[r->next];
    acts_add(acts, (struct act){
                       .kind = ACT_JOBS, .who = r->next, .repo = run->repo, .run_id = run->run_id, .by_page = true });
    r->next++;
    return true;
}

/* The name is unique; the label binds what is queued to the runners of one start. A job that runs outweighs another of
 * the same runner that is over. */
static void take_job(struct reap_target *t, const struct github_job *job)
{
    if (job->unclear) { /* unless it has another runner it may be its own */
        if (t->facts.job != REAP_JOB_RUNNING && (str_empty(job->runner_name) || str_eq(job->runner_name, t->runner)))
            t->facts.job = REAP_JOB_UNKNOWN;
        return;
    }
    bool mine = !str_empty(t->runner) && str_eq(job->runner_name, t->runner), over = str_eq(job->status, "completed");
    bool waits = str_eq(job->status, "queued") && str_empty(job->runner_name) && github_job_has_label(job, t->label);
    if (mine && !over)
        t->facts.job = REAP_JOB_RUNNING;
    else if (mine && t->facts.job != REAP_JOB_RUNNING && t->facts.job != REAP_JOB_UNKNOWN)
        t->facts.job = REAP_JOB_COMPLETED;
    else if (waits && t->facts.job == REAP_JOB_NONE)
        t->facts.job = REAP_JOB_QUEUED;
}

/* This run launched the instance: where GitHub does not know it, it does not know what else it is asked for either (the
 * repository was renamed, or deleted; an incident; a token without the right). */
static void take_jobs(struct reap *r, struct reap_target *t, const struct event *e)
{
    if (e->outcome != OUTCOME_OK)
        t->facts.job = REAP_JOB_UNKNOWN;
    for (size_t k = 0; k < e->n_jobs && e->outcome == OUTCOME_OK; k++) {
        take_job(t, &e->jobs[k]);
        if (t->facts.job == REAP_JOB_UNKNOWN && e->jobs[k].unclear && r->jobs_error.domain == ERROR_NONE)
            error_set(&r->jobs_error, ERROR_PARSE, 0, "%s", e->jobs[k].unclear);
    }
    if (e->outcome != OUTCOME_OK && r->jobs_error.domain == ERROR_NONE)
        error_copy(&r->jobs_error, e->error);
}

static void answer_jobs(struct reap *r, const struct event *e)
{
    const struct reap_run *run = &r->runs[e->who];
    for (size_t i = run->first; i < run->first + run->n; i++)
        take_jobs(r, &r->targets[i], e);
}

/* --- their consoles ----------------------------------------------------------------------------------------------- */

static void ask_console(struct reap *r, const struct reap_target *t, struct acts *acts)
{
    acts_add(acts, (struct act){ .kind = ACT_CONSOLE,
                                 .who = (size_t)(t - r->targets),
                                 .region = region_of(r, target_region(r, t)),
                                 .instance_id = target_id(r, t) });
}

/* Where there are more than one pass reads, each begins elsewhere. */
static bool begin_consoles(struct reap *r, int64_t now UNUSED, struct acts *acts)
{
    const size_t first = r->n ? (size_t)(r->cloud_now / 60) % r->n : 0;
    for (; r->next < r->n && r->consoles < REAP_CONSOLES_MAX; r->next++) {
        const struct reap_target *t = &r->targets[(first + r->next) % r->n];
        if (t->stage != REAP_SEEN || !reap_needs_witness(&t->facts))
            continue;
        ask_console(r, t, acts);
        r->consoles++;
        r->next++;
        return true;
    }
    return false;
}

/* A type whose newest console cannot be had (it is not built on Nitro) has none; nothing can be done about that. */
static void take_console(struct reap *r, struct reap_target *t, const struct event *e)
{
    t->facts.witness = e->outcome == OUTCOME_OK ? reap_read_console(e->text) : REAP_WITNESS_UNKNOWN;
    if (e->outcome != OUTCOME_OK && e->outcome != OUTCOME_NOT_FOUND &&
        !str_eq(e->error->code, "UnsupportedOperation") && r->console_error.domain == ERROR_NONE)
        error_copy(&r->console_error, e->error);
}

/* --- judgement ---------------------------------------------------------------------------------------------------- */

static bool is_known(const struct reap_target *t)
{
    return t->facts.record != REAP_RECORD_UNKNOWN && t->facts.job != REAP_JOB_UNKNOWN && !t->facts.no_time &&
           !(t->facts.witness == REAP_WITNESS_UNKNOWN && reap_needs_witness(&t->facts));
}

static enum reap_stage first_stage(const struct reap *r, const struct reap_target *t)
{
    if (r->config->dry_run || t->held)
        return REAP_DONE;
    switch (t->ruling.verdict) {
    case REAP_DEREGISTER:
    case REAP_TERMINATE:
        return REAP_TODO;
    case REAP_MARK:
        return str_eq(t->facts.mark, t->ruling.rule) ? REAP_DONE : REAP_TO_MARK;
    case REAP_KEEP: /* what made an earlier pass suspect it is over; what is not known changes nothing */
        return t->has_mark && t->facts.ours && is_known(t) ? REAP_TO_MARK : REAP_DONE;
    case REAP_IGNORE:
        break;
    }
    return REAP_DONE;
}

static bool ends(const struct reap_ruling *ruling)
{
    return ruling->verdict == REAP_TERMINATE || ruling->verdict == REAP_DEREGISTER;
}

static void finish_consoles(struct reap *r)
{
    uint64_t early = 0, live = 0;
    for (size_t i = 0; i < r->rows.n; i++)
        live += r->rows.v[i].ours;
    for (size_t i = 0; i < r->n; i++) {
        struct reap_target *t = &r->targets[i];
        if (t->stage != REAP_SEEN)
            continue;
        t->ruling = reap_decide(&t->facts, r->config->confirm);
        early += ends(&t->ruling) && !t->ruling.late;
    }
    uint64_t max = r->config->max ? r->config->max : live / 2 > MAX_DEFAULT ? live / 2 : MAX_DEFAULT;
    r->over_max = early > max;
    for (size_t i = 0; i < r->n; i++) {
        struct reap_target *t = &r->targets[i];
        if (t->stage != REAP_SEEN)
            continue;
        t->held = r->over_max && ends(&t->ruling) && !t->ruling.late;
        set_stage(r, t, first_stage(r, t));
    }
}

/* --- one end ------------------------------------------------------------------------------------------------------ */

static void fence(struct reap *r, struct reap_target *t, struct acts *acts)
{
    set_stage(r, t, REAP_FENCING);
    acts_add(acts, (struct act){ .kind = ACT_DELETE,
                                 .who = (size_t)(t - r->targets),
                                 .scope = reap_row_scope(&r->rows, &r->rows.v[t->row]),
                                 .runner_id = r->rows.v[t->row].runner_id });
}

static void set_fenced(struct reap *r, struct reap_target *t, int64_t now)
{
    if (r->staged[REAP_FENCED] == 0)
        r->flush_at = now + FLUSH_MS;
    set_stage(r, t, REAP_FENCED);
}

/* It stays after all. */
static void spare(struct reap *r, struct reap_target *t, struct reap_ruling ruling)
{
    t->ruling = ruling;
    t->ruling.verdict = REAP_KEEP;
    set_stage(r, t, t->has_mark && is_known(t) && !r->hurry_until ? REAP_TO_MARK : REAP_DONE);
}

/* Judged anew with what was read just now: it must come to the same. */
static bool still_ends(struct reap *r, struct reap_target *t)
{
    struct reap_ruling now = reap_decide(&t->facts, r->config->confirm);
    if (ends(&now) && str_eq(now.rule, t->ruling.rule))
        return true;
    spare(r, t, now);
    return false;
}

/* Its console is read again behind the fence: what it shows now is not older than the last job that could begin. */
static void hear_again(struct reap *r, struct reap_target *t, int64_t now, struct acts *acts)
{
    if (t->ruling.late || !reap_needs_witness(&t->facts)) {
        set_fenced(r, t, now);
        return;
    }
    set_stage(r, t, REAP_HEARING);
    ask_console(r, t, acts);
}

static void answer_hearing(struct reap *r, struct reap_target *t, const struct event *e)
{
    take_console(r, t, e);
    if (still_ends(r, t))
        set_fenced(r, t, e->now);
}

/* A job that began before its runner's record went may be known to its workflow run alone, and none begins now. */
static void ask_again(struct reap *r, struct reap_target *t, int64_t now, struct acts *acts)
{
    if (t->ruling.late || t->run_id == 0 || !is_repo(t->repo) || !reap_needs_job(&t->facts)) {
        hear_again(r, t, now, acts);
        return;
    }
    set_stage(r, t, REAP_ASKING);
    t->facts.job = REAP_JOB_NONE;
    acts_add(
        acts,
        (struct act){
            .kind = ACT_JOBS, .who = (size_t)(t - r->targets), .repo = t->repo, .run_id = t->run_id, .by_page = true });
}

/* The first step to its end. False: it asked for nothing. */
static bool begin_end(struct reap *r, struct reap_target *t, int64_t now, struct acts *acts)
{
    const struct reap_row *row = &r->rows.v[t->row];
    const size_t before = acts->n;
    if (t->facts.record == REAP_RECORD_UNKNOWN || row->others) { /* past its deadline; or there is none to delete */
        ask_again(r, t, now, acts);
        return acts->n > before;
    }
    set_stage(r, t, REAP_READING);
    acts_add(acts, (struct act){ .kind = ACT_GET,
                                 .who = (size_t)(t - r->targets),
                                 .scope = reap_row_scope(&r->rows, row),
                                 .runner_id = row->runner_id });
    return true;
}

static bool begin_next_end(struct reap *r, int64_t now, struct acts *acts)
{
    for (; r->next < r->n && r->staged[REAP_TODO] > 0; r->next++)
        if (r->targets[r->next].stage == REAP_TODO && begin_end(r, &r->targets[r->next], now, acts)) {
            r->next++;
            return true;
        }
    return false;
}

static void answer_reading(struct reap *r, struct reap_target *t, const struct event *e, struct acts *acts)
{
    const struct github_runner *found = e->outcome == OUTCOME_OK && e->n_runners ? e->runners : NULL;
    if (e->outcome != OUTCOME_OK && e->outcome != OUTCOME_NOT_FOUND) {
        if (t->ruling.late)
            set_fenced(r, t, e->now);
        else
            give_up(r, t, e->error);
        return;
    }
    bool is_other = found && !str_eq(found->name, t->runner);
    t->facts.record = found && !is_other ? reap_read_record(found) : REAP_RECORD_ABSENT;
    if (!still_ends(r, t))
        return;
    if (is_other) /* the record of this id is somebody else's */
        ask_again(r, t, e->now, acts);
    else /* also what is not there: one look may be an old one */
        fence(r, t, acts);
}

static void answer_asking(struct reap *r, struct reap_target *t, const struct event *e, struct acts *acts)
{
    take_jobs(r, t, e);
    if (e->kind == EVENT_ANSWER && still_ends(r, t))
        hear_again(r, t, e->now, acts);
}

static void answer_fencing(struct reap *r, struct reap_target *t, const struct event *e, struct acts *acts)
{
    static const struct reap_ruling refused = { REAP_KEEP, false, "refused",
                                                "its runner is busy and cannot be deleted" };
    static const struct reap_ruling deregistered = {
        REAP_MARK, false, "no-runner",
        "its registration is deleted; it is terminated once its console still shows no job later"
    };
    t->fenced = e->outcome == OUTCOME_OK;
    if (t->ruling.verdict == REAP_DEREGISTER && (t->fenced || e->outcome == OUTCOME_NOT_FOUND)) {
        t->deregistered = true;
        t->ruling = deregistered;
        set_stage(r, t, r->hurry_until ? REAP_DONE : REAP_TO_MARK);
    } else if (t->ruling.late || e->outcome == OUTCOME_OK || e->outcome == OUTCOME_NOT_FOUND) {
        ask_again(r, t, e->now, acts); /* past the deadline nothing that GitHub says holds the end back */
    } else if (e->outcome == OUTCOME_BUSY) {
        t->has_mark = t->has_mark && t->facts.record != REAP_RECORD_OFFLINE_BUSY; /* GitHub lets go of it later */
        spare(r, t, refused);
    } else {
        give_up(r, t, e->error);
    }
}

/* Is it still what was judged? maybe: it may be one that could not be read. Without its record a runner exits, and its
 * machine may power off before we come. */
static void look_again(struct reap *r, struct reap_target *t, const struct ec2_instance *i, bool maybe)
{
    if (!i && maybe) {
        spare(r, t, unseen);
        return;
    }
    if (t->fenced && (!i || !ec2_state_is_live(ec2_instance_state(i)))) {
        t->ended = true;
        set_stage(r, t, REAP_DONE);
        return;
    }
    if (!i || !str_eq(i->launch_time, t->launch_time) || fingerprint_tags(i) != t->tags) {
        spare(r, t, changed);
        return;
    }
    t->facts.state = ec2_instance_state(i);
    if (still_ends(r, t))
        set_stage(r, t, REAP_CLEARED);
}

/* One id that EC2 does not take must not spoil what the others of its batch are in for. */
static bool part(struct reap *r, const struct reap_batch *b, enum reap_stage again, enum outcome outcome)
{
    bool parted = b->n > 1 && outcome != OUTCOME_OK && outcome != OUTCOME_THROTTLED;
    for (size_t k = 0; k < b->n && parted; k++) {
        r->targets[b->members[k]].alone = true;
        set_stage(r, &r->targets[b->members[k]], again);
    }
    return parted;
}

static const char *state_after(const struct event *e, const char *id)
{
    for (size_t i = 0; i < e->n_changes; i++)
        if (str_eq(e->changes[i].id, id))
            return e->changes[i].state_name;
    return NULL;
}

static void answer_ending(struct reap *r, struct reap_target *t, const struct event *e)
{
    const char *state = state_after(e, target_id(r, t));
    set_stage(r, t, REAP_DONE);
    t->ended = e->outcome == OUTCOME_NOT_FOUND ||
               (e->outcome == OUTCOME_OK && state && !ec2_state_is_live(ec2_state_parse(state)));
    if (t->ended)
        return;
    if (e->outcome != OUTCOME_OK)
        error_copy(&t->error, e->error);
    else
        error_set(&t->error, ERROR_AWS, 200, "TerminateInstances answers that it is %s",
                  state ? state : "none of those asked for");
}

/* After a signal nothing is waited for for long. */
static bool is_unanswered(enum outcome outcome)
{
    return outcome == OUTCOME_AMBIGUOUS || outcome == OUTCOME_THROTTLED;
}

static void answer_batch(struct reap *r, const struct event *e)
{
    const struct reap_batch *b = r->batches[e->who];
    if ((b->kind == ACT_TERMINATE && part(r, b, REAP_CLEARED, e->outcome)) ||
        (b->kind == ACT_MARK && part(r, b, REAP_TO_MARK, e->outcome)))
        return;
    bool again = r->hurry_until && b->kind == ACT_TERMINATE && is_unanswered(e->outcome);
    for (size_t k = 0; k < b->n && again; k++)
        set_stage(r, &r->targets[b->members[k]], REAP_CLEARED);
    if (again)
        return;
    for (size_t k = 0; k < b->n; k++) {
        struct reap_target *t = &r->targets[b->members[k]];
        if (b->kind == ACT_TERMINATE)
            answer_ending(r, t, e);
        else if (e->outcome != OUTCOME_OK && !(b->kind == ACT_MARK && e->outcome == OUTCOME_NOT_FOUND))
            give_up(r, t, e->error);
        else if (b->kind == ACT_MARK)
            set_stage(r, t, REAP_DONE);
        else
            look_again(r, t, find_instance(e, target_id(r, t)), e->n_skipped > 0);
    }
}

/* --- ghosts ------------------------------------------------------------------------------------------------------- */

/* Its first day is not over when its job may still be. */
bool reap_ghost_is_due(const struct reap_ghost *g)
{
    return !g->locked || (g->age >= REAP_LOCKED_EVERY && g->age % REAP_LOCKED_EVERY < REAP_LOCKED_FOR);
}

/* Between the first reading and GitHub's list an instance may have been launched: EC2 is asked for it by name. */
static bool begin_ghost_look(struct reap *r, struct acts *acts)
{
    struct reap_batch *b = NULL;
    for (size_t i = 0; i < r->n_ghosts && !(b && b->n == BATCH); i++) {
        struct reap_ghost *g = &r->ghosts[i];
        if (g->stage != REAP_GHOST_FOUND || (b && g->region != b->region))
            continue;
        if (!b)
            b = add_batch(r, ACT_SCAN, g->region);
        strlist_add(&b->ids, g->name);
        b->members[b->n++] = i;
        g->stage = REAP_GHOST_LOOKING;
    }
    if (!b)
        return false;
    b->filters[0] = (struct ec2_filter){ .name = "tag:" TAG_RUNNER, .values = &b->ids };
    b->filters[1] = r->filters[1];
    acts_add(acts, (struct act){ .kind = ACT_SCAN,
                                 .who = r->n_batches - 1,
                                 .region = region_of(r, b->region),
                                 .filters = b->filters,
                                 .n_filters = ARRAY_SIZE(b->filters) });
    return true;
}

static void answer_ghost_look(struct reap *r, const struct event *e)
{
    const struct reap_batch *b = r->batches[e->who];
    for (size_t k = 0; k < b->n; k++) {
        struct reap_ghost *g = &r->ghosts[b->members[k]];
        AUTO_ERROR no_id = { 0 };
        g->stage = REAP_GHOST_DONE;
        if (e->outcome != OUTCOME_OK || (e->n_skipped && !ec2_no_id(&no_id))) {
            error_copy(&g->error, e->outcome != OUTCOME_OK ? e->error : &no_id);
            continue;
        }
        g->absent = true;
        for (size_t i = 0; i < e->n_instances && g->absent; i++)
            g->absent = !str_eq(ec2_instance_tag(&e->instances[i], TAG_RUNNER), g->name);
        if (g->absent && !g->online && reap_ghost_is_due(g) && !r->config->dry_run)
            g->stage = REAP_GHOST_ABSENT;
    }
}

static bool begin_ghost_end(struct reap *r, struct acts *acts)
{
    for (size_t i = 0; i < r->n_ghosts; i++) {
        struct reap_ghost *g = &r->ghosts[i];
        if (g->stage != REAP_GHOST_ABSENT)
            continue;
        g->stage = REAP_GHOST_DELETING;
        acts_add(acts, (struct act){ .kind = ACT_DELETE,
                                     .who = r->n + i,
                                     .scope = r->rows.scopes.v[g->scope],
                                     .runner_id = g->runner_id });
        return true;
    }
    return false;
}

static void answer_ghost_end(struct reap_ghost *g, const struct event *e)
{
    g->stage = REAP_GHOST_DONE;
    g->ended = e->outcome == OUTCOME_OK || e->outcome == OUTCOME_NOT_FOUND;
    if (!g->ended && !(g->locked && e->outcome == OUTCOME_BUSY)) /* which was to be expected */
        error_copy(&g->error, e->error);
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

static bool is_due(const struct reap *r, int64_t now)
{
    size_t coming = r->staged[REAP_TODO] + r->staged[REAP_READING] + r->staged[REAP_FENCING] + r->staged[REAP_ASKING] +
                    r->staged[REAP_HEARING];
    return r->hurry_until || coming == 0 || r->staged[REAP_FENCED] >= BATCH || now >= r->flush_at;
}

/* What is near its end goes first. After a signal nothing is begun that was not begun before it. */
static bool begin_act(struct reap *r, int64_t now, struct acts *acts)
{
    if (begin_batch(r, REAP_CLEARED, REAP_ENDING, ACT_TERMINATE, now, acts))
        return true;
    if (!r->hurry_until && begin_next_end(r, now, acts))
        return true;
    if (is_due(r, now) && begin_batch(r, REAP_FENCED, REAP_LOOKING, ACT_LOOK, now, acts))
        return true;
    return !r->hurry_until && (begin_batch(r, REAP_TO_MARK, REAP_MARKING, ACT_MARK, now, acts) ||
                               begin_ghost_look(r, acts) || begin_ghost_end(r, acts));
}

static void answer_act(struct reap *r, const struct event *e, struct acts *acts)
{
    if (e->act == ACT_SCAN)
        answer_ghost_look(r, e);
    else if (e->act == ACT_LOOK || e->act == ACT_TERMINATE || e->act == ACT_MARK)
        answer_batch(r, e);
    else if (e->who >= r->n)
        answer_ghost_end(&r->ghosts[e->who - r->n], e);
    else if (e->act == ACT_GET)
        answer_reading(r, &r->targets[e->who], e, acts);
    else if (e->act == ACT_JOBS)
        answer_asking(r, &r->targets[e->who], e, acts);
    else if (e->act == ACT_CONSOLE)
        answer_hearing(r, &r->targets[e->who], e);
    else
        answer_fencing(r, &r->targets[e->who], e, acts);
}

static void answer(struct reap *r, const struct event *e, struct acts *acts)
{
    if (r->phase <= REAP_LISTING && e->cloud_now > 0) { /* later the rows are judged by it */
        r->cloud_now = e->cloud_now;
        r->rows.no_time = e->no_time;
        r->cloud_ahead = e->cloud_now * 1000 - e->now;
    }
    switch (r->phase) {
    case REAP_SCANNING:
        answer_scan(r, e);
        break;
    case REAP_LISTING:
        answer_list(r, e);
        break;
    case REAP_CLOSE:
        answer_close(r, e);
        break;
    case REAP_JOBS:
        answer_jobs(r, e);
        break;
    case REAP_CONSOLES:
        take_console(r, &r->targets[e->who], e);
        break;
    case REAP_ACTING:
        answer_act(r, e, acts);
        break;
    }
}

static const struct {
    bool (*begin)(struct reap *r, int64_t now, struct acts *acts); /* the next action, if there is one */
    void (*finish)(struct reap *r);
} phases[] = {
    [REAP_SCANNING] = { begin_scan, finish_scan },         [REAP_LISTING] = { begin_list, finish_list },
    [REAP_CLOSE] = { begin_close, finish_close },          [REAP_JOBS] = { begin_jobs, NULL },
    [REAP_CONSOLES] = { begin_consoles, finish_consoles }, [REAP_ACTING] = { begin_act, NULL },
};

/* Begins what there is room for, and the next phase when one is over. */
static void go_on(struct reap *r, int64_t now, struct acts *acts)
{
    for (;;) {
        while (r->in_flight < AT_ONCE && phases[r->phase].begin(r, now, acts))
            r->in_flight = r->in_flight + 1;
        if (r->in_flight > 0)
            return;
        if (r->phase == REAP_ACTING || r->error.domain != ERROR_NONE) {
            r->machine.done = true;
            return;
        }
        if (phases[r->phase].finish)
            phases[r->phase].finish(r);
        r->phase++;
        r->next = 0;
    }
}

/* What had no effect yet is not waited for. */
static bool is_under_way(const struct reap *r)
{
    static const enum reap_stage stages[] = { REAP_FENCING, REAP_ASKING,  REAP_HEARING, REAP_FENCED,
                                              REAP_LOOKING, REAP_CLEARED, REAP_ENDING };
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(stages); i++)
        n += r->staged[stages[i]];
    for (size_t i = 0; i < r->n_ghosts; i++)
        n += r->ghosts[i].stage == REAP_GHOST_DELETING;
    return n > 0;
}

static void step(struct machine *m, const struct event *e, struct acts *acts)
{
    struct reap *r = (struct reap *)m;
    if (e->kind == EVENT_SIGNAL) { /* what is under way to its end is ended, if it can be soon */
        r->hurry_until = e->now + HURRY_MS;
        if (r->error.domain == ERROR_NONE)
            error_set(&r->error, ERROR_CANCELLED, 0, "interrupted by a signal");
        m->done = r->phase != REAP_ACTING;
        if (m->done)
            return;
    } else if (e->kind == EVENT_PAGE || e->kind == EVENT_ANSWER) {
        size_t before = acts->n;
        answer(r, e, acts);
        r->in_flight += acts->n - before;
        r->in_flight -= e->kind == EVENT_ANSWER;
    }
    go_on(r, e->now, acts);
    /* What is due already waits for an answer. */
    m->wake = r->hurry_until                                       ? r->hurry_until
              : r->staged[REAP_FENCED] > 0 && r->flush_at > e->now ? r->flush_at
                                                                   : INT64_MAX;
    m->done = m->done || (r->hurry_until && (e->now >= r->hurry_until || !is_under_way(r)));
}

void reap_init(struct reap *r, const struct reap_config *config)
{
    static const char *const live[] = { "pending", "running", "stopping", "stopped" };
    *r = (struct reap){ .machine = { .step = step, .wake = INT64_MAX }, .config = config };
    r->name_mark = config->name_mark ? xstrdup(config->name_mark) : NULL;
    strlist_add(&r->fleet, config->fleet);
    for (size_t i = 0; i < ARRAY_SIZE(live); i++)
        strlist_add(&r->states, live[i]);
    r->filters[0] = (struct ec2_filter){ .name = "tag:" TAG_FLEET, .values = &r->fleet };
    r->filters[1] = (struct ec2_filter){ .name = "instance-state-name", .values = &r->states };
}
