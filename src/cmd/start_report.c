/* What a person and a workflow get of a start. */
#include <inttypes.h>

#include "mayfly/cmd/start.h"
#include "mayfly/util/log.h"
#include "mayfly/util/text.h"

enum { CONSOLE_TAIL = 20 };

static struct json_object *text(const char *s)
{
    return must(json_object_new_string(s ? s : ""));
}

static struct json_object *cell_json(const struct cell *c)
{
    struct json_object *cell = must(json_object_new_object());
    json_object_object_add(cell, "region", text(c->region));
    json_object_object_add(cell, "type", text(c->type));
    json_object_object_add(cell, "subnet", text(c->subnet));
    json_object_object_add(cell, "market", text(cell_market(c)));
    json_object_object_add(cell, "image", text(c->image->id));
    return cell;
}

/* The script of one image, its secret and its name left open. *ret_size: what it will have, a configuration counted. */
static void render_script(const struct start *s, const struct image *image, struct strbuf *script, size_t *ret_size)
{
    struct userdata userdata = start_userdata(s, image);
    userdata.runner_name = "RUNNER-NAME";
    userdata.jit = "JIT-CONFIGURATION";
    userdata_render(script, &userdata);
    userdata.jit = NULL;
    *ret_size = userdata_size(&userdata);
}

static void print_plan_json(const struct start *s, const char *script, size_t size)
{
    AUTO_JSON *object = must(json_object_new_object());
    struct json_object *cells = must(json_object_new_array()), *params = must(json_object_new_object());
    const struct strlist *first = &s->params[s->plan.cells[0].image - s->plan.images];
    for (size_t i = 0; i < s->plan.n; i++)
        json_object_array_add(cells, cell_json(&s->plan.cells[i]));
    for (size_t i = 0; i + 1 < first->n; i += 2)
        json_object_object_add(params, first->v[i], text(first->v[i + 1]));
    json_object_object_add(object, "label", text(s->label));
    json_object_object_add(object, "count", must(json_object_new_int64((int64_t)s->spec->count)));
    json_object_object_add(object, "min-count", must(json_object_new_int64((int64_t)s->config.min_count)));
    json_object_object_add(object, "plan", cells);
    json_object_object_add(object, "parameters", params);
    json_object_object_add(object, "user-data", text(script));
    json_object_object_add(object, "user-data-bytes", must(json_object_new_int64((int64_t)size)));
    print_json(object);
}

void start_print_plan(const struct start *s)
{
    AUTO_STRBUF script = STRBUF_INIT;
    const struct strlist *params = &s->params[s->plan.cells[0].image - s->plan.images];
    size_t size;
    render_script(s, s->plan.cells[0].image, &script, &size);
    if (s->cmd->common.json) {
        print_plan_json(s, strbuf_str(&script), size);
        return;
    }
    print_line("label: %s", s->label);
    printf("count: %" PRIu64 "\nplan:\n", s->spec->count);
    for (size_t i = 0; i < s->plan.n; i++) {
        const struct cell *c = &s->plan.cells[i];
        print_line("  %zu. %s %s in %s of %s, image %s", i + 1, c->type, cell_market(c), c->subnet, c->region,
                   c->image->id);
    }
    printf("parameters:\n");
    for (size_t i = 0; i + 1 < params->n; i += 2)
        print_line("  %s=%s", params->v[i], params->v[i + 1]);
    printf("user-data (%zu of %d bytes, %d of them kept for the just-in-time configuration):\n", size, USERDATA_MAX,
           USERDATA_JIT_RESERVE);
    print_lines(strbuf_str(&script));
}

/* Are the slot's instance and runner part of the result? Before the end all that may yet be are. */
static bool is_part(const struct start *s, const struct launch_slot *slot)
{
    return slot->pair.instance_id && !slot->down && (launch_slot_is_up(slot) || !s->launch.machine.done);
}

size_t start_first(const struct start *s)
{
    for (size_t i = 0; i < s->spec->count; i++)
        if (is_part(s, &s->launch.slots[i]))
            return i;
    return 0;
}

static struct json_object *instance_ids(const struct start *s)
{
    struct json_object *ids = must(json_object_new_array());
    for (size_t i = 0; i < s->spec->count; i++)
        if (is_part(s, &s->launch.slots[i]))
            json_object_array_add(ids, text(s->launch.slots[i].pair.instance_id));
    return ids;
}

bool start_write_outputs(struct start *s, struct error *err)
{
    AUTO_JSON *ids = instance_ids(s);
    size_t n = start_first(s);
    const struct launch_slot *first = &s->launch.slots[n];
    const struct {
        const char *name, *value;
    } outputs[] = {
        { "ec2-instance-id", first->pair.instance_id },
        { "ec2-instance-ids", json_object_to_json_string_ext(ids, JSON_C_TO_STRING_PLAIN) },
        { "runner-name", first->pair.name },
        { "instance-type", start_cell(s, n)->type },
        { "market", cell_market(start_cell(s, n)) },
        { "fallback", "false" },
    };
    const char *region = start_cell(s, n)->region;
    if (!str_eq(region, s->plan.cells[0].region) && /* which was written before the launch */
        !output_write(s->cmd, "region", region, err))
        return error_prefix(err, "the output region");
    for (size_t i = 0; i < ARRAY_SIZE(outputs); i++)
        if (!output_write(s->cmd, outputs[i].name, outputs[i].value, err))
            return error_prefix(err, "the output %s", outputs[i].name);
    return true;
}

char *start_seconds(const struct start *s, int64_t mono)
{
    return mono ? xasprintf("%.1f s", (double)(mono - s->began) / 1000) : xstrdup("-");
}

static void add_cell(struct strbuf *md, const char *text)
{
    strbuf_adds(md, "| ");
    if (text)
        text_add_code(md, text);
    else
        strbuf_addc(md, '-');
    strbuf_addc(md, ' ');
}

void start_write_summary(struct start *s, bool ok, const struct error *why)
{
    AUTO_STRBUF md = STRBUF_INIT;
    strbuf_addf(&md, "### Mayfly: %s ", ok ? "started" : "could not start");
    text_add_code(&md, s->label);
    strbuf_adds(&md, "\n\n");
    strbuf_adds(&md, "| runner | instance | type | market | zone | configured | launched | running | online |\n"
                     "|---|---|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < s->spec->count; i++) {
        const struct launch_slot *slot = &s->launch.slots[i];
        const struct cell *c = start_cell(s, i);
        AUTO_FREE char *minted = start_seconds(s, slot->minted_at), *launched = start_seconds(s, slot->launched_at);
        AUTO_FREE char *running = start_seconds(s, slot->running_at), *online = start_seconds(s, slot->online_at);
        const char *const cells[] = { slot->pair.name, slot->pair.instance_id, c->type, cell_market(c), slot->zone };
        for (size_t k = 0; k < ARRAY_SIZE(cells); k++)
            add_cell(&md, cells[k]);
        strbuf_addf(&md, "| %s | %s | %s | %s |\n", minted, launched, running, online);
    }
    strbuf_adds(&md, "\nSeconds since the start of this command.\n");
    if (why && why->domain != ERROR_NONE) {
        AUTO_FREE char *message = error_format(why);
        strbuf_addf(&md, "\n%s: ", ok ? "Not all of it" : "It failed");
        text_add_code(&md, message);
        strbuf_addc(&md, '\n');
    }
    secret_redact(&md);
    summary_write(s->cmd, strbuf_str(&md));
}

static struct json_object *runner_json(const struct start *s, size_t n)
{
    const struct launch_slot *slot = &s->launch.slots[n];
    const struct cell *c = start_cell(s, n);
    struct json_object *r = must(json_object_new_object());
    const struct {
        const char *key;
        int64_t mono;
    } times[] = { { "configured", slot->minted_at },
                  { "launched", slot->launched_at },
                  { "running", slot->running_at },
                  { "online", slot->online_at } };
    json_object_object_add(r, "runner-name", text(slot->pair.name));
    json_object_object_add(r, "runner-id", must(json_object_new_int64(slot->pair.runner_id)));
    json_object_object_add(r, "ec2-instance-id", text(slot->pair.instance_id));
    json_object_object_add(r, "region", text(c->region));
    json_object_object_add(r, "instance-type", text(c->type));
    json_object_object_add(r, "market", text(cell_market(c)));
    json_object_object_add(r, "zone", text(slot->zone));
    for (size_t t = 0; t < ARRAY_SIZE(times); t++)
        if (times[t].mono)
            json_object_object_add(r, times[t].key,
                                   must(json_object_new_double((double)(times[t].mono - s->began) / 1000)));
    return r;
}

void start_print_result(const struct start *s)
{
    AUTO_JSON *object = must(json_object_new_object());
    struct json_object *runners = must(json_object_new_array());
    size_t first = start_first(s);
    for (size_t i = 0; i < s->spec->count; i++)
        if (is_part(s, &s->launch.slots[i]))
            json_object_array_add(runners, runner_json(s, i));
    json_object_object_add(object, "label", text(s->label));
    json_object_object_add(object, "fallback", must(json_object_new_boolean(false)));
    json_object_object_add(object, "region", text(start_cell(s, first)->region));
    json_object_object_add(object, "ec2-instance-id", text(s->launch.slots[first].pair.instance_id));
    json_object_object_add(object, "ec2-instance-ids", instance_ids(s));
    json_object_object_add(object, "runners", runners);
    print_json(object);
}

/* The first of these that the console has says most. */
static void hint_by_console(const char *console, struct error *err)
{
    AUTO_FREE char *phase = launch_console_phase(console);
    AUTO_FREE char *failure = launch_console_failure(console);
    AUTO_FREE char *status = launch_console_exit(console);
    if (launch_console_is_deprecated(console))
        error_hint(err,
                   "the image's runner is too old for GitHub: bake the image again, or use one with a newer runner");
    else if (launch_console_is_second_boot(console))
        error_hint(
            err, "it is a second boot of a disk that had a job: the instance was rebooted, or the image was made of a "
                 "machine that had run one; use another image, or bake one");
    else if (failure)
        error_hint(err, "its console says what failed: %s", failure);
    else if (status)
        error_hint(err, "its runner ended with exit status %s: the console's lines before `runner-exited` say why",
                   status);
    else if (phase)
        error_hint(err, "the last phase its console shows is `%s`", phase);
    else
        error_hint(err, "its console shows no phase of Mayfly's: the image may not run user-data (no cloud-init?)");
}

/* A launch that ran out of time because a service did not answer: the cause is there, and not on the instance. */
static bool explain_by_trouble(const struct start *s, struct error *err)
{
    const struct tally *tally = s->session->cloud.tally;
    for (size_t i = 0; i < SERVICE_COUNT && err->domain == ERROR_TIMEOUT; i++) {
        if (tally[i].trouble.domain == ERROR_NONE)
            continue;
        AUTO_FREE char *before = error_format(err), *why = error_format(&tally[i].trouble);
        const char *hint = tally[i].trouble.hint;
        error_clear(err);
        error_set(err, ERROR_TIMEOUT, 0, "%s; the last answer: %s", before, why);
        error_hint(err, "%s", hint ? hint : "the service is not answering properly: try again later");
        return true;
    }
    return false;
}

void start_explain(const struct start *s, struct error *err)
{
    if (!s->launch.console) {
        if (!explain_by_trouble(s, err) && err->domain == ERROR_TIMEOUT)
            error_hint(err, "the console shows nothing yet: allow more time with --timeout, and check that the subnet "
                            "has a route to GitHub");
        return;
    }
    AUTO_STRLIST lines = { 0 };
    strlist_split(&lines, s->launch.console, "\n");
    size_t from = lines.n > CONSOLE_TAIL ? lines.n - CONSOLE_TAIL : 0;
    log_info("the end of the console of %s:", s->launch.slots[s->launch.console_of].pair.instance_id);
    for (size_t i = from; i < lines.n; i++)
        log_info("  | %s", lines.v[i]);
    if (!explain_by_trouble(s, err))
        hint_by_console(s->launch.console, err);
}
