/* What a machine does whose user-data bakes an image, or proves one: modelled, also where others run in a sandbox. It
 * reads the nonce and the steps, and says on its console what the real ones say. */
#include "builder.h"
#include "faults.h"
#include "http.h"
#include "imds.h"
#include "sim.h"
#include "text.h"
#include "world_instances.h"

/* The value of an assignment that the user-data has, owned, or NULL. */
static char *read_value(const char *script, const char *name)
{
    AUTO_FREE char *mark = xasprintf("\nexport %s='", name);
    const char *at = strstr(script, mark);
    return at ? xstrndup(at + strlen(mark), strcspn(at + strlen(mark), "'")) : NULL;
}

void builder_boot(struct sim *s, struct instance *i)
{
    AUTO_STRBUF script = STRBUF_MAX(USER_SCRIPT_MAX);
    const char *role = pairs_get(&i->tags, "mayfly:role");
    if (!str_eq(role, "bake") && !str_eq(role, "smoke"))
        return;
    if (!instance_script(i, &script))
        return;
    AUTO_FREE char *steps = read_value(strbuf_str(&script), "MAYFLY_STEPS");
    free(i->nonce);
    i->nonce = read_value(strbuf_str(&script), "MAYFLY_NONCE");
    i->smoke = str_eq(role, "smoke");
    strlist_clear(&i->steps);
    if (steps && !i->smoke)
        strlist_split(&i->steps, steps, " ");
    i->steps_done = 0;
    i->step_at = i->nonce ? sim_now(s) : 0;
}

static void say(struct instance *i, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(struct instance *i, const char *fmt, ...)
{
    AUTO_STRBUF line = STRBUF_INIT;
    va_list ap;
    strbuf_adds(&line, "mayfly: ");
    va_start(ap, fmt);
    strbuf_vaddf(&line, fmt, ap);
    va_end(ap);
    strbuf_adds(&line, "\r\n");
    strbuf_add_tail(&i->console, strbuf_str(&line), line.len);
}

/* A scripted fault of the service "builder", whose actions are the steps, "ok" and "smoke". */
static const struct fault *fault_of(struct sim *s, const char *action)
{
    struct request r = { .service = "builder", .action = (char *)action };
    const struct fault *f = fault_due(s, &r, FAULT_BEFORE);
    return f ? f : fault_due(s, &r, FAULT_AFTER);
}

/* True: it goes on no further. */
static bool suffer(struct sim *s, struct instance *i, const struct fault *f, const char *what)
{
    if (!f)
        return false;
    switch (f->kind->effect) {
    case EFFECT_ERROR:
        say(i, "| E: %s", f->message ? f->message : "scripted");
        say(i, "%s failed: %s (exit 1)", i->smoke ? "smoke" : "bake", what);
        break;
    case EFFECT_GARBAGE:
        say(i, "%s ok %s", i->smoke ? "smoke" : "bake", "not-this-nonce");
        break;
    case EFFECT_WAIT:
        i->step_at = 0;
        return true;
    default:
        break; /* off without a word */
    }
    i->step_at = 0;
    world_power_off(s, i);
    return true;
}

void builder_tick(struct sim *s, struct instance *i, int64_t now)
{
    while (i->step_at && now >= i->step_at && instance_is(i, "running") && !i->dead_at) {
        bool last = i->steps_done == i->steps.n;
        const char *step = !last ? i->steps.v[i->steps_done] : i->smoke ? "smoke" : "ok";
        if (!last)
            say(i, "phase bake-%s (%.1fs)", step, (double)(now - i->running_at) / 1000);
        else if (i->smoke)
            say(i, "smoke kernel: 6.8.0-sim");
        if (suffer(s, i, fault_of(s, step), step))
            return;
        i->steps_done++;
        i->step_at += s->options.bake / (int64_t)(i->steps.n + 1);
        if (!last)
            continue;
        say(i, "%s ok %s", i->smoke ? "smoke" : "bake", i->nonce);
        i->step_at = 0;
        world_power_off(s, i);
    }
}
