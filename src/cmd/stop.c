#include "mayfly/runner/stop.h"

#include "mayfly/aws/ec2_network.h"
#include "mayfly/aws/errors.h"
#include "mayfly/cmd/cmd.h"
#include "mayfly/runner/tags.h"
#include "mayfly/util/log.h"

struct stop_options {
    struct strlist instances, regions;
    char *label, *name, *places;
    bool force, empty; /* empty: an output was handed on, and is empty */
};

#define OPTIONS struct stop_options

static const struct opt stop_opts[] = {
    OPT_LIST("instance", instances, "ID[,ID…]", "instances to terminate", .empty = offsetof(OPTIONS, empty),
             .aliases = "ec2-instance-id", .bits = OPT_ONCE),
    OPT_STRING("label", label, "LABEL", "terminate all instances with this label", .empty = offsetof(OPTIONS, empty)),
    OPT_STRING("name", name, "NAME",
               "without --instance and --label: only what `start --name NAME` of this workflow run launched"),
    OPT_LIST("regions", regions, "REGION[,REGION…]", "regions to search first (default: --region)",
             .bits = OPT_CHECKOUT | OPT_ONCE),
    OPT_TEXT("places", places, "JSON", "as for `start`; its regions are searched too",
             .aliases = "availability-zones-config", .bits = OPT_CHECKOUT),
    OPT_FLAG("force", force, "also terminate busy instances and those of other fleets"),
    { 0 },
};

#undef OPTIONS

static bool check(const struct stop_options *o, struct error *err)
{
    for (size_t i = 0; i < o->instances.n; i++) {
        if (ec2_id_is_valid(o->instances.v[i], "i"))
            continue;
        error_set(err, ERROR_USAGE, 0, "--instance: `%.60s` is not an id", o->instances.v[i]);
        error_hint(err, "instance ids look like i-0123456789abcdef0");
        return false;
    }
    if (str_empty(o->label) || label_is_valid(o->label))
        return true;
    error_set(err, ERROR_USAGE, 0, "--label: `%.120s` is not a label", o->label);
    error_hint(err, "1 to 100 " LABEL_CHARACTERS " make a label; it does not begin with -");
    return false;
}

static bool is_known(const struct stop *s, size_t n, const char *id)
{
    for (size_t i = 0; i < n; i++)
        if (stop_knows(&s[i], id))
            return true;
    return false;
}

/* The two searches of a stop: of the regions that are configured, then, if something is missing, of all. */
enum { SEARCHES = 2, ASK_MS = 30000 };

struct search_all {
    struct strlist regions;
    struct strlist named;  /* where runners are, as their names say */
    bool listed;           /* GitHub's runners could be listed */
    struct error unlisted; /* why the account's regions are not known */
};

static void search_all_clear(struct search_all *a)
{
    strlist_clear(&a->regions);
    strlist_clear(&a->named);
    error_clear(&a->unlisted);
}

static void add_region(struct strlist *regions, const char *region)
{
    if (region && aws_region_is_valid(region) && !strlist_has(regions, region))
        strlist_add(regions, region);
}

static bool ask(struct session *session, struct call *call, struct error *err)
{
    call->give_up = env_mono(session->loop.env) + ASK_MS;
    return call_run(&session->loop, call, err);
}

static void add_enabled_regions(struct session *session, struct search_all *ret)
{
    AUTO_ARENA arena = { 0 };
    struct field_list rows = { 0 };
    AUTO_CALL *call = &ec2_describe_regions_call(&session->aws, session->aws_config.region)->call;
    if (!ask(session, call, &ret->unlisted) ||
        !ec2_describe_regions_result((struct aws_call *)call, &arena, &rows, &ret->unlisted))
        return;
    for (size_t i = 0; i < rows.n; i++)
        add_region(&ret->regions, FIELD_ROW(&rows, const struct ec2_region, i)->name);
}

enum { RUNNER_PAGES = 20, MARK_LEN = 10 }; /* MARK_LEN: of "mf-" and the fleet's hash, "mf-0123ab-" */

/* The names of the runners that GitHub knows say in which region each is. */
static void add_named_regions(struct session *session, struct search_all *ret)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    struct paging paging = { 0 };
    bool more = true, unclear = false;
    for (unsigned page = 1; more && page <= RUNNER_PAGES; page++) {
        struct field_list rows = { 0 };
        AUTO_CALL *call = &github_list_runners_call(&session->github, page, NULL)->call;
        if (!ask(session, call, &err) || !github_list_runners_result((struct github_call *)call, &arena, &rows, &err))
            return;
        /* How old an instance is takes two clocks that agree, and a search of EC2 lacks this one. */
        drive_tell_time(&session->cloud, CLOCK_GITHUB, call);
        for (size_t i = 0; i < rows.n; i++) {
            const char *name = FIELD_ROW(&rows, const struct github_runner, i)->name;
            if (!name) { /* it may be anywhere */
                unclear = true;
                continue;
            }
            AUTO_FREE char *mark = xstrndup(name, MARK_LEN);
            AUTO_FREE char *region = NULL;
            int64_t epoch;
            if (str_starts(name, "mf-") && runner_name_parse(name, mark, &region, &epoch))
                add_region(&ret->named, region);
        }
        if (!github_call_turn((struct github_call *)call, &paging, rows.n, &more, &err))
            return;
    }
    ret->listed = !more && !unclear;
}

static void find_regions(struct session *session, const struct strlist *first, struct search_all *ret)
{
    for (size_t i = 0; i < first->n; i++)
        add_region(&ret->regions, first->v[i]);
    add_enabled_regions(session, ret);
    add_named_regions(session, ret);
    for (size_t i = 0; i < ret->named.n; i++)
        add_region(&ret->regions, ret->named.v[i]);
}

/* Is what was not found gone? A region that could not be searched may have it, unless GitHub has no runner there: then
 * nobody's runner is in it. An instance that is named has no runner that is known. */
static bool is_proof(const struct stop *s, const struct search_all *a)
{
    if ((s->unread.n == 0 && a->unlisted.domain == ERROR_NONE) || !stop_misses(s))
        return true;
    if (s->config->instances->n > 0 && str_empty(s->config->label))
        return false;
    for (size_t i = 0; i < a->named.n; i++)
        if (strlist_has(&s->unread, a->named.v[i]))
            return false;
    return a->listed;
}

static void warn_of_unread(const struct stop *s, const struct search_all *a)
{
    if (a->unlisted.domain != ERROR_NONE) {
        AUTO_FREE char *why = error_format_hinted(&a->unlisted);
        log_warn("the account's regions could not be listed (`mayfly policy stop` prints what the role needs), so an "
                 "instance elsewhere would not be found: %s",
                 why);
    }
    if (s->unread.n > 0) {
        AUTO_FREE char *regions = strlist_join(&s->unread, ", ");
        AUTO_FREE char *why = error_format(&s->unread_why);
        log_warn("could not be searched, so an instance there would not be found: %s: %s", regions, why);
    }
}

/* Where it was looked for: in the wrong region, too, nothing is left. */
static void tell_of_missing(const struct stop *s, size_t n)
{
    const struct stop *last = &s[n - 1];
    const struct strlist *ids = last->config->instances;
    AUTO_FREE char *regions = strlist_join(last->config->regions, ", ");
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        found += s[i].n + s[i].starting.n;
    if (found == 0)
        log_info("nothing to stop: no such instance in %s", regions);
    for (size_t i = 0; i < ids->n; i++)
        if (!is_known(s, n, ids->v[i]))
            log_warn("EC2 does not know %s in any region that was searched: it was terminated over an hour ago, or was "
                     "never in this account",
                     ids->v[i]);
}

static void tell_target(const struct stop *s, const struct stop_target *t)
{
    const char *id = t->pair.instance_id;
    bool gone = t->pair.instance == INSTANCE_GONE;
    if (gone && t->pair.record == RECORD_BUSY)
        log_warn("terminated %s, although GitHub says that its runner %s is busy: it was named explicitly", id,
                 t->pair.name ? t->pair.name : "");
    else if (gone)
        log_info("%s %s%s%s", t->already_gone ? "already gone:" : "terminated", id, s->config->wide ? " in " : "",
                 s->config->wide ? t->pair.region : "");
    else if (s->several_labels)
        log_warn("left alone: %s (label %s)", id, t->label ? t->label : "none");
    else if (t->pair.record == RECORD_BUSY)
        log_warn("left alone: %s is busy; `mayfly stop --force` terminates it", id);
    else if (t->pair.record == RECORD_STUCK && t->pair.must_fence)
        log_warn("left alone: %s may be busy, because GitHub could not be asked; `mayfly stop --force` terminates it",
                 id);
    else
        log_warn("left behind, until its deadline or the reaper: %s", id);
}

static void tell_spared(const struct stop *s, struct json_object *kept)
{
    for (size_t i = 0; i < s->handed.n; i++)
        log_info("left alone: %s was handed out by a start of this run; stop it with that start's outputs",
                 s->handed.v[i]);
    for (size_t i = 0; i < s->starting.n; i++) {
        log_warn(
            "left alone: %s was launched by this run a short while ago, and its start may still be running; if that "
            "has failed, the instance terminates itself without a job, or `mayfly stop --instance %s` terminates it",
            s->starting.v[i], s->starting.v[i]);
        json_object_array_add(kept, must(json_object_new_string(s->starting.v[i])));
    }
}

static void report(struct cmd *cmd, const struct stop *s, size_t n)
{
    AUTO_JSON *object = must(json_object_new_object());
    struct json_object *terminated = must(json_object_new_array()), *kept = must(json_object_new_array());
    for (size_t k = 0; k < n; k++) {
        for (size_t i = 0; i < s[k].n; i++) {
            const struct stop_target *t = &s[k].targets[i];
            if (k > 0 && stop_knows(&s[0], t->pair.instance_id)) /* a second look at what is gone */
                continue;
            bool gone = t->pair.instance == INSTANCE_GONE;
            json_object_array_add(gone ? terminated : kept, must(json_object_new_string(t->pair.instance_id)));
            tell_target(&s[k], t);
        }
    }
    tell_spared(&s[n - 1], kept);
    if (s[0].several_labels || s[n - 1].several_labels) {
        log_warn("this workflow run has instances under several labels: give --name, --label or --instance");
        cmd->exit_status = EXIT_PARTIAL;
    } else if (s[0].error.domain == ERROR_NONE && s[n - 1].error.domain == ERROR_NONE) {
        tell_of_missing(s, n);
    }
    json_object_object_add(object, "terminated", terminated);
    json_object_object_add(object, "kept", kept);
    if (cmd->common.json)
        print_json(object);
}

static bool finish(const struct stop *s, struct error *err)
{
    if (s->error.domain != ERROR_NONE) {
        error_copy(err, &s->error);
        return false;
    }
    for (size_t i = 0; i < s->n; i++) {
        const struct pair *p = &s->targets[i].pair;
        if (p->instance == INSTANCE_STUCK) {
            error_copy(err, &p->error);
            error_hint(err,
                       "run stop again; otherwise the instance terminates itself at its deadline, or the reaper does");
            return error_prefix(err, "instance %s still exists", p->instance_id);
        }
        if (p->record == RECORD_STUCK && p->must_fence) {
            error_copy(err, &p->error);
            error_hint(err, "run stop again: the instance was left alone, since its runner may be busy");
            return error_prefix(err, "instance %s still exists", p->instance_id);
        }
        if (p->record == RECORD_STUCK) {
            AUTO_FREE char *why = error_format(&p->error);
            log_warn("the registration of the runner on %s still exists: %s", p->instance_id, why);
        }
    }
    if (s->stranger && s->n == 0) {
        error_set(err, ERROR_CONFIG, 0, "instance %s matches, but belongs to the fleet `%s`, not to `%s`", s->stranger,
                  s->strange_fleet, s->config->fleet);
        error_hint(err, "give `stop` the same --repo (input repo) or --fleet as `start`");
        return false;
    }
    return true;
}

static void stops_clear(struct stop (*s)[SEARCHES])
{
    for (size_t i = 0; i < SEARCHES; i++)
        stop_clear(&(*s)[i]);
}

static bool run(struct cmd *cmd, void *options, struct error *err)
{
    const struct stop_options *o = options;
    AUTO_SESSION session = { 0 };
    CLEANUP(stops_clear) struct stop stops[SEARCHES] = { 0 };
    CLEANUP(search_all_clear) struct search_all all = { 0 };
    AUTO_STRLIST regions = { 0 };
    size_t n = 1;
    if (!check(o, err) || !session_open(&session, cmd, err))
        return false;
    if (!regions_find(&o->regions, o->places, session.aws_config.region, &regions, err))
        return false;
    struct stop_config config = {
        .fleet = session.fleet,
        .scope = session.github_config.scope,
        .regions = &regions,
        .instances = &o->instances,
        .label = o->label,
        .run_id = cmd->getenv("GITHUB_RUN_ID"),
        .run_attempt = cmd->getenv("GITHUB_RUN_ATTEMPT"),
        .repo = cmd->getenv("GITHUB_REPOSITORY"),
        .name = o->name,
        .force = o->force,
        .empty = o->empty && o->instances.n == 0 && str_empty(o->label),
    };
    if (!stop_init(&stops[0], &config, err))
        return false;
    drive(&session.cloud, &stops[0].machine);
    struct stop_config everywhere = config;
    everywhere.wide = true;
    everywhere.regions = &all.regions;
    if (stop_misses(&stops[0])) {
        n = SEARCHES;
        find_regions(&session, &regions, &all);
        if (!stop_init(&stops[1], &everywhere, err))
            return false;
        drive(&session.cloud, &stops[1].machine);
        if (stop_misses(&stops[1]))
            warn_of_unread(&stops[1], &all);
        if (!is_proof(&stops[1], &all))
            cmd->exit_status = EXIT_PARTIAL;
    }
    report(cmd, stops, n);
    for (size_t i = 0; i < n; i++)
        if (!finish(&stops[i], err))
            return false;
    return true;
}

const struct command command_stop = {
    .name = "stop",
    .summary = "terminate what `start` launched",
    .about = "Terminates instances by --instance or --label, after deleting their runner registrations. Without\n"
             "either, it searches for what this workflow run launched, so that it also works after a start that\n"
             "died before it wrote its outputs; a busy runner is then left alone. If --label or --instance is\n"
             "given but empty, only what no finished start of this run has handed out is terminated. What is not\n"
             "found is searched for in every region of the account; what is already gone counts as success.",
    .opts = stop_opts,
    .options_size = sizeof(struct stop_options),
    .limit_s = 300,
    .run = run,
};
