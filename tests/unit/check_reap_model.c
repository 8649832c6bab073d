/* Deterministic simulation of the reaper: fleets that live, idle, work, hang and die, and passes over them, one or two
 * at a time, whose requests are lost, late and lied to; over many seeds (seeds.h). */
#include <inttypes.h>
#include <stdio.h>

#include "mayfly/runner/reap_pass.h"
#include "mayfly/util/encode.h"
#include "seeds.h"
#include "testing.h"

enum {
    SEEDS = 6000,
    CHUNKS = 1,
    MINUTE = 60000,
    PASS_LIMIT_MS = 20 * MINUTE,
    MAX_PASSES = 8,
    CALM_PASSES = 5, /* enough for a mark, its window, and the end of what began meanwhile */
    CALM_MS = 16 * MINUTE,
    MANY = 6,
    AT_MOST = MANY + MAX_PASSES,
    KINDS = 16, /* of instances; 7 are special */
    LONGEST_LIFE_S = 14400,
    CUT_S = 3,                  /* what is lost of the moment of a mark: it is told in whole seconds three times */
    CLOCK_SLACK_S = 30 + CUT_S, /* that a Date may lag, too */
};

static const char fleet[] = "o/r", home[] = "us-east-1", away[] = "eu-west-1", mark[] = "mf-abcdef-";

enum kind { OF_OTHER_FLEET, OF_OTHER_SCOPE, BUILDER, OF_OTHER_ROLE, KEPT, WITHOUT_ID, WITH_OTHERS_ID };

static const struct {
    const char *tag; /* or NULL: none */
    struct limits limits;
} limits[] = {
    { "boot=600,idle=1800,life=14400", { .boot = 600, .idle = 1800, .life = LONGEST_LIFE_S } },
    { "boot=300,idle=600,life=7200", { .boot = 300, .idle = 600, .life = 7200 } },
    { "boot=five,idle=1", { .boot = 900, .idle = 1200, .life = 10800 } },
    { NULL, { .boot = 900, .idle = 1200, .life = 10800 } },
};

/* What the design promises of each rule: no end sooner after the mark. The order is that of the counts. */
static const struct {
    const char *rule;
    int64_t window_s;
} promised[] = {
    { "stopped", 300 }, { "stopping", 600 }, { "job-over", 180 },  { "died", 900 },
    { "offline", 120 }, { "idle", 300 },     { "no-runner", 180 }, { "deadline", 0 },
};

struct counts {
    uint64_t ended[ARRAY_SIZE(promised)], marked, deregistered;
};

/* Its job is over, its runner's flag is not, and two passes see it so. */
static bool is_rare(size_t rule)
{
    return str_eq(promised[rule].rule, "died");
}

/* These take the registration only. */
static bool deregisters(size_t rule)
{
    return str_eq(promised[rule].rule, "offline") || str_eq(promised[rule].rule, "idle");
}

struct scene {
    struct model *model;
    struct strlist regions;
    struct reap_config config;
    const struct reap *reaps[2];
    bool is_dry, early[2][AT_MOST];
    size_t passes;
    struct counts *counts;
    bool suspicious; /* a pass was: it spared what it would have ended */
};

static int64_t age(const struct model *m, const struct model_instance *i)
{
    return m->now / 1000 - i->launched_at / 1000;
}

static enum kind kind_of(const struct model *m, size_t n)
{
    return (enum kind)model_pick(m, (uint64_t)(n + 1) << 32, KINDS);
}

static struct limits limits_of(const struct model *m, size_t n)
{
    return limits[model_pick(m, ((uint64_t)(n + 1) << 32) + 7, ARRAY_SIZE(limits))].limits;
}

/* The reaper's to end at all. */
static bool is_ours(const struct model *m, const struct model_instance *i)
{
    const struct scene *s = m->ctx;
    enum kind kind = kind_of(m, i->slot);
    return strlist_has(&s->regions, i->region) && kind != OF_OTHER_FLEET && kind != OF_OTHER_ROLE && kind != KEPT;
}

static bool is_late(const struct model *m, const struct model_instance *i)
{
    return age(m, i) > limits_of(m, i->slot).life;
}

/* A job runs on it, and something works on it: what GitHub says of it meanwhile does not matter. */
static bool works(const struct model_instance *i)
{
    const struct model_record *r = i->record;
    return r && r->took_job && !r->job_over && !i->hung && !i->halted;
}

static bool lies(const struct model *m, enum fault f)
{
    return m->per_mille && (m->swarm >> f & 1);
}

/* Its runner comes, or waits for its job, and GitHub says nothing wrong of it. */
static bool is_awaited(const struct model *m, const struct model_instance *i)
{
    const struct model_record *r = i->record;
    const struct limits l = limits_of(m, i->slot);
    bool told_wrong =
        lies(m, FAULT_LIST_SKIPS) || lies(m, FAULT_GET_404) || lies(m, FAULT_RECORD_DROPPED) || lies(m, FAULT_FORGETS);
    if (!r || r->took_job || i->hung || i->halted || !model_is_live(m, i))
        return false;
    if (age(m, i) < l.boot)
        return r->exists;
    bool has_queue = model_waits(m, i) && i->queued_at < m->began_at && ec2_instance_tag(&i->view, TAG_RUN);
    return r->exists && r->online && !told_wrong && (age(m, i) < l.idle || has_queue);
}

/* --- what a reaper may do ----------------------------------------------------------------------------------------- */

static const struct reap_target *find_target(const struct reap *r, const char *id)
{
    for (size_t i = 0; i < r->n; i++)
        if (str_eq(r->rows.v[r->targets[i].row].id, id))
            return &r->targets[i];
    return NULL;
}

/* Was it marked by the rule that ends it now, for as long as is promised? It may have been unmarked since we saw it. */
static bool is_confirmed(const struct model *m, const struct model_instance *i, const char *rule)
{
    int64_t window = INT64_MAX / 2000;
    for (size_t p = 0; p < ARRAY_SIZE(promised); p++)
        if (str_eq(promised[p].rule, rule))
            window = promised[p].window_s;
    window -= lies(m, FAULT_DATE_LAGS) ? CLOCK_SLACK_S : CUT_S;
    for (size_t n = 0; n < i->n_marks && n < ARRAY_SIZE(i->marks); n++)
        if (str_eq(i->marks[n].rule, rule) && m->now - i->marks[n].asked_at >= window * 1000 &&
            i->marks[n].gone_at > m->began_at - MINUTE)
            return true;
    return false;
}

static const char *never(const struct model *m, size_t of, const struct model_instance *i)
{
    const struct scene *s = m->ctx;
    return s->is_dry                                      ? "the pass is a dry run"
           : m->blind[of]                                 ? "not every region could be read"
           : !is_ours(m, i)                               ? "it is foreign, or kept"
           : i->kept_at && i->looked_at[of] >= i->kept_at ? "it is seen to be kept"
                                                          : NULL;
}

/* There jobs say nothing. */
static bool has_no_word_of_jobs(const struct model_instance *i, size_t of)
{
    return i->record->told[of].busy_offline || str_eq(i->halted, "stopped") || !ec2_instance_tag(&i->view, TAG_RUN);
}

/* What holds of an end before the deadline, and of the deletion of the record, its first step. */
static const char *not_yet(const struct model *m, size_t of, const struct model_instance *i)
{
    const struct scene *s = m->ctx;
    const struct reap_target *t = find_target(s->reaps[of], i->view.id);
    const struct model_told *told = i->record ? &i->record->told[of] : NULL;
    if (kind_of(m, i->slot) == BUILDER || kind_of(m, i->slot) == WITHOUT_ID)
        return "it builds, or has no runner that could be asked for";
    if (told && (!told->listed || !told->read))
        return "GitHub did not say what its runner does";
    if (told && told->busy)
        return "GitHub says that it is busy";
    if (told && !told->jobs_read && !has_no_word_of_jobs(i, of))
        return "the jobs of its run could not be read";
    if (!t || !is_confirmed(m, i, t->ruling.rule))
        return "no pass marked it by this rule, long enough ago";
    return is_awaited(m, i) ? "its runner is awaited" : NULL;
}

static const char *may_end(struct model *m, size_t of, const struct model_instance *i)
{
    struct scene *s = m->ctx;
    const char *why = never(m, of, i);
    if (why)
        return why;
    if (age(m, i) < REAP_LAUNCH_GRACE)
        return "it was launched moments ago";
    if (is_late(m, i))
        return NULL;
    if ((why = not_yet(m, of, i)))
        return why;
    s->early[of][i->slot] = true;
    if (i->record && !i->record->told[of].fenced)
        return "its runner was not deregistered";
    if (i->record && !i->record->told[of].jobs_read_again && !has_no_word_of_jobs(i, of))
        return "nobody asked for its job behind the fence";
    if (i->record && i->record->told[of].job_runs && !has_no_word_of_jobs(i, of))
        return "GitHub says that its job is running";
    return works(i) ? "it works, and is not past its deadline" : NULL;
}

static const char *may_mark(struct model *m, size_t of, const struct model_instance *i, const char *text)
{
    const char *why = never(m, of, i);
    if (!text && kind_of(m, i->slot) != OF_OTHER_FLEET && kind_of(m, i->slot) != OF_OTHER_ROLE)
        return NULL; /* an old mark is taken away of what is kept, too */
    return !why && text && age(m, i) < REAP_LAUNCH_GRACE ? "it was launched moments ago" : why;
}

/* Once a day of its age, within what the reaper's clock may be off. */
static bool is_hour_of_locked(const struct model *m, const struct model_record *r)
{
    int64_t age = m->now - r->born_at, off = 15 * MINUTE;
    return age > 23 * 60 * MINUTE && (age + off) % (24 * 60 * MINUTE) < 60 * MINUTE + 2 * off;
}

static const char *may_delete(struct model *m, size_t of, const struct model_record *r)
{
    const struct scene *s = m->ctx;
    const bool strange = r->stranger && !model_forgets(m, m->now); /* what GitHub denies has no name */
    if (strange || s->is_dry || m->blind[of])
        return strange ? "it is not the fleet's" : "the pass is to do nothing";
    if (r->stranger)
        return NULL;
    for (size_t n = 0; n < m->n_instances; n++) {
        const struct model_instance *i = m->instances[n];
        if (i->record != r)
            continue;
        if (!model_is_live(m, i))
            return NULL;
        if (!is_ours(m, i) || age(m, i) < REAP_LAUNCH_GRACE)
            return "its instance lives and is not to be ended";
        return is_late(m, i) ? NULL : not_yet(m, of, i);
    }
    return !r->told[of].listed                   ? "GitHub's list was not read whole"
           : m->now - r->born_at <= 60 * MINUTE  ? "its instance may be about to come"
           : r->busy && !is_hour_of_locked(m, r) ? "GitHub would refuse it, and it is not the hour to try"
                                                 : NULL;
}

/* --- the world ---------------------------------------------------------------------------------------------------- */

static int64_t within(const struct model *m, uint64_t place, int64_t most)
{
    return (int64_t)model_pick(m, place, (uint64_t)most + 1);
}

static char *name_of(const char *its_mark, const char *region, int64_t epoch, size_t n)
{
    AUTO_STRBUF name = STRBUF_INIT;
    strbuf_addf(&name, "%s%s-", its_mark, region);
    encode_base36(&name, (uint64_t)epoch);
    strbuf_addf(&name, "-abcdefghi%zu", n);
    return strbuf_steal(&name);
}

/* Of a clock that was off, or of nobody. */
static const char *const strange_marks[] = {
    "no-runner@1900000000", "offline@1900000000", "job-over@1900000000", "idle@1900000000", "idle@", ""
};

static struct model_instance *launch(struct scene *s, size_t n, struct model_record *r)
{
    struct model *m = s->model;
    const uint64_t place = (uint64_t)(n + 1) << 32;
    const enum kind kind = kind_of(m, n);
    const char *region = model_pick(m, place + 1, 3) ? home : away, *scope = kind == OF_OTHER_SCOPE ? "o/other" : fleet,
               *limits_tag = limits[model_pick(m, place + 7, ARRAY_SIZE(limits))].tag;
    AUTO_FREE char *id = xasprintf("%" PRId64, r->id), *run = xasprintf("%zu/1", 70 + n / 2),
                   *label = xasprintf("label-%zu", n);
    struct ec2_tag tags[13] = {
        { TAG_FLEET, kind == OF_OTHER_FLEET ? "other/fleet" : fleet },
        { TAG_SCOPE, scope },
        { TAG_ROLE, kind == BUILDER         ? "bake"
                    : kind == OF_OTHER_ROLE ? "other"
                                            : "runner" },
        { TAG_RUNNER, kind == WITH_OTHERS_ID ? "mf-abcdef-us-east-1-s44we8-gone" : r->name },
        { TAG_REPO, scope },
        { TAG_LABEL, label },
    };
    size_t n_tags = 6;
    if (model_pick(m, place + 11, 8))
        tags[n_tags++] = (struct ec2_tag){ TAG_RUN, run };
    if (model_pick(m, place + 12, 10) == 0)
        tags[n_tags++] =
            (struct ec2_tag){ TAG_MARK, strange_marks[model_pick(m, place + 13, ARRAY_SIZE(strange_marks))] };
    if (kind != WITHOUT_ID)
        tags[n_tags++] = (struct ec2_tag){ TAG_RUNNER_ID, id };
    if (limits_tag)
        tags[n_tags++] = (struct ec2_tag){ TAG_LIMITS, limits_tag };
    if (kind == KEPT)
        tags[n_tags++] = (struct ec2_tag){ TAG_KEEP, "" };
    struct model_instance *i = model_add_instance(m, region, "subnet-a", NULL, tags, n_tags);
    i->slot = n;
    i->record = kind == WITH_OTHERS_ID ? NULL : r;
    return i;
}

/* One instance, near to ours or ours; its runner comes, works, or hangs at moments of the seed. */
static void add_one(struct scene *s, size_t n)
{
    struct model *m = s->model;
    const uint64_t place = (uint64_t)(n + 1) << 32;
    const enum kind kind = kind_of(m, n);
    AUTO_FREE char *name = name_of(kind == OF_OTHER_FLEET || kind == WITH_OTHERS_ID ? "mf-others-" : mark,
                                   model_pick(m, place + 1, 3) ? home : away, MODEL_EPOCH + m->now / 1000, n);
    struct model_record *r = model_add_record(m, name, n);
    r->scope = kind == OF_OTHER_SCOPE ? "o/other" : NULL;
    r->stranger = kind == OF_OTHER_FLEET || kind == WITH_OTHERS_ID;
    struct model_instance *i = launch(s, n, r);
    if (i->at[AT_ONLINE] < INT64_MAX && i->record && model_pick(m, place + 2, 3)) {
        i->at[AT_JOB] = i->at[AT_ONLINE] + within(m, place + 3, 90 * MINUTE);
        if (model_pick(m, place + 8, 3) == 0)
            i->queued_at = i->at[AT_JOB] - within(m, place + 9, 60 * MINUTE);
    }
    if (model_fault(m, FAULT_HANGS, place, m->per_mille * 2, i->view.id))
        i->at[AT_HANG] = m->now + within(m, place + 4, 90 * MINUTE);
    i->stays = model_pick(m, place + 6, 2);
    if (!model_fault(m, FAULT_NO_IDLE_LIMIT, place, m->per_mille * 2, i->view.id))
        i->idle_ms = limits_of(m, n).idle * 1000;
    if (model_pick(m, place + 5, 10) == 0) {
        i->halted = model_pick(m, place + 10, 2) ? "stopped" : "stopping";
        i->at[AT_ONLINE] = INT64_MAX;
    }
}

/* Records that no instance belongs to; only those of a name that is ours, old enough and of a region that is read are
 * to be deleted. */
static void add_ghost(struct scene *s, size_t n)
{
    static const struct {
        const char *mark, *region;
        int64_t age_s;
        bool online, is_others, locked;
    } kinds[] = {
        { mark, home, 7200, false, false, false },        { mark, home, 30, false, false, false },
        { mark, home, 7200, true, true, false },          { mark, "ap-south-1", 7200, false, true, false },
        { "mf-others-", home, 7200, false, true, false }, { "my-", home, 7200, false, true, false },
        { mark, home, 7200, false, false, true },         { mark, home, 87600, false, false, true },
    };
    struct model *m = s->model;
    size_t k = (size_t)model_pick(m, 'g' + n * 256, ARRAY_SIZE(kinds));
    AUTO_FREE char *name =
        name_of(kinds[k].mark, kinds[k].region, MODEL_EPOCH + m->now / 1000 - kinds[k].age_s, 100 + n);
    struct model_record *r = model_add_record(m, name, 0);
    r->stranger = kinds[k].is_others;
    r->online = kinds[k].online;
    r->busy = kinds[k].locked;
    r->born_at -= kinds[k].age_s * 1000;
}

/* --- a pass ------------------------------------------------------------------------------------------------------- */

struct before { /* the pass */
    bool late[AT_MOST], working[AT_MOST];
};

static void look_before(const struct model *m, struct before *b)
{
    for (size_t n = 0; n < m->n_instances; n++) {
        const struct model_record *r = m->instances[n]->record;
        b->working[n] = is_ours(m, m->instances[n]) && kind_of(m, n) != WITHOUT_ID && works(m->instances[n]) &&
                        r->online && m->now >= r->lies_to;
        b->late[n] = model_is_live(m, m->instances[n]) && is_ours(m, m->instances[n]) &&
                     age(m, m->instances[n]) > limits_of(m, n).life + CLOCK_SLACK_S &&
                     m->now >= m->instances[n]->visible_at;
    }
}

static void count_rule(struct scene *s, const char *rule)
{
    for (size_t p = 0; p < ARRAY_SIZE(promised); p++)
        s->counts->ended[p] += str_eq(promised[p].rule, rule);
}

/* What was past its deadline is gone, or told; and nothing is told that is not so. */
static void check_pass(struct scene *s, size_t of, const struct before *b, bool calm)
{
    struct model *m = s->model;
    const struct reap *r = s->reaps[of];
    size_t early = 0;
    for (size_t n = 0; n < AT_MOST; n++)
        early += s->early[of][n];
    if (s->config.max && early > s->config.max)
        model_break(m, 13, "%zu are ended early, and no more than %zu may be", early, (size_t)s->config.max);
    if (r->error.domain != ERROR_NONE || s->is_dry)
        return;
    for (size_t n = 0; n < m->n_instances; n++) {
        const struct model_instance *i = m->instances[n];
        const struct reap_target *t = find_target(r, i->view.id);
        bool told = t && t->error.domain;
        if (b->late[n] && model_is_live(m, i) && !i->kept_at && !(told && m->ec2_failed[of]))
            model_break(m, 9, "%s is past its deadline, and lives: %s", i->view.id,
                        told ? t->error.message : "nobody says why");
        if (t && t->ended && model_is_live(m, i))
            model_break(m, 9, "the pass says that %s has ended, and it lives", i->view.id);
        if (t && t->ended)
            count_rule(s, t->ruling.rule);
        s->counts->deregistered += t && t->deregistered;
        if (calm && b->working[n] && model_is_live(m, i) && works(i) && i->unheard_at < m->began_at &&
            ec2_instance_tag(&i->view, TAG_MARK))
            model_break(m, 14, "%s works, and is still suspected", i->view.id);
        s->counts->marked += t && t->ruling.verdict == REAP_MARK;
    }
}

static void disturb(struct scene *s, uint64_t place)
{
    struct model *m = s->model;
    if (model_fault(m, FAULT_SIGNAL, place + 1, 100, "a pass"))
        m->signal_at = m->now + within(m, place + 2, 20000);
    if (model_fault(m, FAULT_CRASH, place + 1, 200, "a pass"))
        m->crash_after = 1 + within(m, place + 3, 60);
    if (m->now >= m->forgets_to && model_fault(m, FAULT_FORGETS, place + 1, 200, "a pass")) {
        m->forgets_from = m->now + within(m, place + 8, 4000);
        m->forgets_to = m->forgets_from + within(m, place + 9, 180 * MINUTE);
    }
    if (model_fault(m, FAULT_OUTAGE, place + 1, 200, "a pass")) {
        m->outage_from = m->now + within(m, place + 5, 4000);
        m->outage_to = m->outage_from + within(m, place + 6, MINUTE);
    }
}

static void run_pass(struct scene *s, bool calm)
{
    struct model *m = s->model;
    CLEANUP(reap_clear) struct reap one = { 0 };
    CLEANUP(reap_clear) struct reap two = { 0 };
    struct before before = { 0 };
    const uint64_t place = (uint64_t)(++s->passes) << 24;
    bool both = !calm && model_pick(m, place, 3) == 0;
    m->phase = (unsigned)(s->passes % PHASE_COUNT);
    m->end_by = m->now + PASS_LIMIT_MS;
    m->signal_at = m->crash_after = INT64_MAX;
    m->outage_from = m->outage_to = 0;
    if (!calm && m->per_mille)
        disturb(s, place);
    s->is_dry = s->config.dry_run = !calm && model_pick(m, place + 7, 10) == 0;
    memset(s->early, 0, sizeof(s->early));
    look_before(m, &before);
    reap_init(&one, &s->config);
    reap_init(&two, &s->config);
    s->reaps[0] = &one;
    s->reaps[1] = &two;
    model_trace(m, "pass %zu%s%s%s", s->passes, both ? ", two at once" : "", calm ? ", calm" : "",
                s->is_dry ? ", dry" : "");
    model_run_two(m, &one.machine, both ? &two.machine : NULL, within(m, place + 4, 8000));
    for (size_t i = 0; one.scopes && i < one.rows.scopes.n; i++)
        s->suspicious = s->suspicious || one.scopes[i].suspicious;
    if (!m->broken && one.machine.done)
        check_pass(s, 0, &before, calm);
    if (!m->broken && both && two.machine.done)
        check_pass(s, 1, &before, calm);
}

/* --- afterwards --------------------------------------------------------------------------------------------------- */

/* A machine that hangs in a job of which its own run knows nothing: nobody can say that the job is over. */
static bool is_unprovable(const struct model_instance *i)
{
    const struct model_record *r = i->record;
    return r && r->took_job && i->hung && (r->other_run || !ec2_instance_tag(&i->view, TAG_RUN));
}

/* When nothing fails any more, a few passes leave nothing that does not work, build, boot, wait for a job, or is kept;
 * or of which nothing but its deadline can be known. */
static void check_leaks(struct scene *s)
{
    struct model *m = s->model;
    for (size_t n = 0; n < m->n_instances; n++) {
        const struct model_instance *i = m->instances[n];
        const struct limits l = limits_of(m, n);
        int64_t since = i->launched_at + (l.boot + l.idle + REAP_IDLE_GRACE) * 1000;
        bool asked_for = !i->kept_at && kind_of(m, n) != BUILDER && kind_of(m, n) != WITHOUT_ID && !model_waits(m, i);
        since = i->done_at > since ? i->done_at : since;
        since += i->hung ? 160 * MINUTE : 0; /* until GitHub gives its job up, and then its flag */
        if (model_is_live(m, i) && is_ours(m, i) && asked_for && !works(i) && !is_unprovable(i) &&
            m->now - since > (CALM_PASSES - 1) * CALM_MS)
            model_break(m, 10, "%s does nothing, and passes that nothing disturbs leave it", i->view.id);
    }
}

static void check_end(struct scene *s)
{
    struct model *m = s->model;
    for (size_t n = 0; n < m->n_instances; n++) {
        const struct model_instance *i = m->instances[n];
        if (model_is_live(m, i) && is_ours(m, i) && !i->kept_at)
            model_break(m, 11, "%s is past its deadline, and one pass leaves it", i->view.id);
        if (!is_ours(m, i) && (i->ended || i->n_marks > 0))
            model_break(m, 8, "%s was not the reaper's", i->view.id);
    }
}

/* GitHub lets go of what was busy after a while: a second pass finds the records. */
static void check_ghosts(struct scene *s)
{
    struct model *m = s->model;
    for (size_t n = 0; n < m->n_records; n++) {
        const struct model_record *r = m->records[n];
        const struct model_instance *of = NULL;
        for (size_t k = 0; k < m->n_instances && !of; k++)
            of = m->instances[k]->record == r ? m->instances[k] : NULL;
        bool read = !r->scope && (!of || strlist_has(&s->regions, of->region));
        if (r->exists && read && !r->stranger && !r->busy && !r->online && !(of && model_is_live(m, of)))
            model_break(m, 12, "the record %s has no instance, and is left", r->name);
        if (!r->exists && r->stranger && !of)
            model_break(m, 8, "the record %s was not the reaper's", r->name);
    }
}

static void live(struct scene *s)
{
    struct model *m = s->model;
    size_t many = 1 + (size_t)model_pick(m, 'k', MANY), passes = 2 + (size_t)model_pick(m, 'p', MAX_PASSES - 1);
    int64_t pause = model_pick(m, 'q', 2) ? 20 * MINUTE : 4 * MINUTE;
    for (size_t n = 0; n < many; n++) {
        add_one(s, n);
        model_pass(m, within(m, 'w' + n * 256, 5 * MINUTE));
    }
    model_pass(m, within(m, 'W', 60 * MINUTE));
    for (size_t p = 0; p < passes && !m->broken; p++) {
        if (model_pick(m, 'G' + p * 256, 3) == 0)
            add_ghost(s, p);
        run_pass(s, false);
        if (m->broken)
            return;
        if (model_pick(m, 'n' + p * 256, 4) == 0)
            add_one(s, m->n_instances);
        model_pass(m, within(m, 'P' + p * 256, pause));
    }
}

/* Nothing fails any more, and nobody wants less than everything. */
static void settle(struct scene *s)
{
    struct model *m = s->model;
    m->swarm = 0;
    m->forgets_to = 0;
    s->suspicious = false;
    s->config.max = 0;
    for (size_t p = 0; p < CALM_PASSES && !m->broken; p++) {
        model_pass(m, CALM_MS);
        run_pass(s, true);
    }
    if (!m->broken && !s->suspicious)
        check_leaks(s);
}

static void pass_away(struct scene *s)
{
    struct model *m = s->model;
    model_pass(m, (int64_t)LONGEST_LIFE_S * 1000);
    run_pass(s, true);
    if (!m->broken)
        check_end(s);
    for (size_t n = 0; n < m->n_instances; n++) /* GitHub's lock on what died at work */
        if (m->instances[n]->record)
            m->instances[n]->record->busy = m->instances[n]->record->online = false;
    for (size_t n = 0; n < m->n_records; n++) /* and on what nothing is left of */
        m->records[n]->busy = m->records[n]->busy && m->records[n]->online;
    model_pass(m, 70 * MINUTE);
    if (!m->broken)
        run_pass(s, true);
    if (!m->broken)
        check_ghosts(s);
}

static void play(struct model *m, void *counts)
{
    struct counts c = { 0 };
    struct scene s = { .model = m, .counts = counts ? counts : &c };
    m->reaps = true;
    m->ctx = &s;
    m->reap_may_end = may_end;
    m->reap_may_mark = may_mark;
    m->reap_may_delete = may_delete;
    m->jobs = SIZE_MAX;
    m->job_ms = 150 * MINUTE;
    strlist_add(&s.regions, home);
    if (model_pick(m, 'R', 6))
        strlist_add(&s.regions, away);
    s.config = (struct reap_config){ .fleet = fleet,
                                     .scope = fleet,
                                     .name_mark = mark,
                                     .regions = &s.regions,
                                     .limits = limits[ARRAY_SIZE(limits) - 1].limits,
                                     .max = model_pick(m, 'M', 4) ? 0 : 1 + model_pick(m, 'm', 3),
                                     .confirm = true };
    live(&s);
    if (!m->broken)
        settle(&s);
    if (!m->broken)
        pass_away(&s);
    strlist_clear(&s.regions);
}

/* --- the suite ---------------------------------------------------------------------------------------------------- */

static bool happens_to_reapers(enum fault f)
{
    static const enum fault others[] = { FAULT_AMBIGUOUS_LATE, FAULT_CAPACITY,   FAULT_SUBNET_FULL,
                                         FAULT_QUOTA,          FAULT_TOKEN_USED, FAULT_TOKEN_USED_BUSY,
                                         FAULT_STRANGER,       FAULT_NO_RIGHTS,  FAULT_SILENCE,
                                         FAULT_REFUSED };
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (others[i] == f)
            return false;
    return true;
}

START_TEST(seeds)
{
    struct counts c = { 0 };
    struct seeds s = { .play = play, .counts = &c };
    bool enough = seeds_play(&s, SEEDS, (uint64_t)_i, CHUNKS);
    for (size_t p = 0; p < ARRAY_SIZE(promised) && getenv("MAYFLY_MODEL_STATS"); p++)
        printf("ended as %-10s %" PRIu64 "\n", promised[p].rule, c.ended[p]);
    if (!enough)
        return;
    /* A model whose faults never happen, or whose reapers end nothing, proves nothing. */
    for (enum fault f = FAULT_NONE + 1; f < FAULT_COUNT; f++)
        ck_assert_msg(s.faults[f] > 0 || !happens_to_reapers(f), "%s never happened", fault_name(f));
    for (size_t p = 0; p < ARRAY_SIZE(promised); p++)
        ck_assert_msg(deregisters(p) ? c.ended[p] == 0 : c.ended[p] > 0 || is_rare(p),
                      "%" PRIu64 " were ended by the rule %s", c.ended[p], promised[p].rule);
    ck_assert_uint_gt(c.deregistered, 0);
    ck_assert_uint_gt(c.marked, s.n);
}
END_TEST

static const struct seeds uncounted = { .play = play };

START_TEST(replay)
{
    seeds_replay(&uncounted);
}
END_TEST

START_TEST(seeds_are_deterministic)
{
    seeds_compare(&uncounted, 50);
}
END_TEST

static TCase *model_case(void)
{
    TCase *tc = tcase_create("reap_model");
    tcase_set_timeout(tc, 0); /* as long as the seeds take */
    tcase_add_loop_test(tc, seeds, 0, CHUNKS);
    tcase_add_test(tc, replay);
    tcase_add_test(tc, seeds_are_deterministic);
    return tc;
}

int main(void)
{
    static TCase *(*const cases[])(void) = { model_case };
    return run_suite("reap_model", cases, ARRAY_SIZE(cases));
}
