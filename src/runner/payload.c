#include "mayfly/runner/payload.h"

#include <inttypes.h>

#include "mayfly/codec/gzip.h"
#include "mayfly/version.h"

#define DIRECTORY "/run/mayfly-bake"

/* ISO C promises 4095 bytes a literal; gcc and clang take more. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
/* "main.sh", "versions", "steps/docker.sh", "units/…", "agent/…", and what is user-data by itself: "smoke.sh" */
static const struct recipe_file {
    const char *name, *text;
} files[] = {
#include "recipe.h"
};
#pragma GCC diagnostic pop

/* What is unpacked beside the steps, and which step needs it; NULL: always. */
static const struct {
    const char *prefix, *step;
} needs[] = { { "main.sh", NULL }, { "versions", NULL }, { "units/", "agent" }, { "agent/", "agent" } };

static const char *find_file(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (str_eq(files[i].name, name))
            return files[i].text;
    return NULL;
}

/* Its number from 1, 0: it is none of one's own. */
static size_t own_number(const char *step, size_t n_own)
{
    for (size_t i = 1; i <= n_own; i++) {
        AUTO_FREE char *name = xasprintf("own-%zu", i);
        if (str_eq(name, step))
            return i;
    }
    return 0;
}

static const char *find_step(const char *step)
{
    AUTO_FREE char *name = xasprintf("steps/%s.sh", step);
    return find_file(name);
}

bool payload_has_step(const char *step, size_t n_own)
{
    return find_step(step) || own_number(step, n_own) > 0;
}

char *payload_steps(void)
{
    AUTO_STRLIST names = { 0 };
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        const char *name = files[i].name;
        if (!str_starts(name, "steps/"))
            continue;
        name += strlen("steps/");
        AUTO_FREE char *step = xstrndup(name, strlen(name) - strlen(".sh"));
        strlist_add(&names, step);
    }
    return strlist_join(&names, ", ");
}

char *payload_version(const char *name)
{
    AUTO_STRLIST lines = { 0 };
    AUTO_FREE char *prefix = xasprintf("%s=", name);
    strlist_split(&lines, find_file("versions"), "\n");
    for (size_t i = 0; i < lines.n; i++)
        if (str_starts(lines.v[i], prefix))
            return xstrdup(lines.v[i] + strlen(prefix));
    return NULL;
}

/* --- the parts of a script ---------------------------------------------------------------------------------------- */

static void assign(struct strbuf *out, const char *name, const char *value)
{
    strbuf_addf(out, "export %s=", name);
    userdata_quote(out, value ? value : "");
    strbuf_addc(out, '\n');
}

static void add_assignments(struct strbuf *out, const struct payload *p)
{
    AUTO_FREE char *steps = strlist_join(p->steps, " ");
    AUTO_FREE char *life = xasprintf("%" PRId64, p->life);
    const struct {
        const char *name, *value;
    } values[] = {
        { "MAYFLY_NONCE", p->nonce },
        { "MAYFLY_VERSION", MAYFLY_VERSION },
        { "MAYFLY_IMAGE", p->name },
        { "MAYFLY_ARCH", p->arch },
        { "MAYFLY_STEPS", steps },
        { "MAYFLY_LIFE_SECONDS", life },
        { "MAYFLY_RUNNER_URL", p->runner_url },
        { "MAYFLY_RUNNER_SHA256", p->runner_sha256 },
        { "MAYFLY_DEBUG", p->debug ? "1" : "" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(values); i++)
        assign(out, values[i].name, values[i].value);
}

/* A here-document that the shell takes as it is. Its end has the nonce in it, so that no text can hold it by chance or
 * by intent. dash loses a byte above 127 behind what the end begins with, at the begin of a line: "Eé" would come out
 * broken, and no script has a line that begins with % and such a byte. */
static void add_file(struct strbuf *out, const struct payload *p, const char *name, const char *text)
{
    size_t n = strlen(text);
    strbuf_addf(out, "cat >%s <<'%%END-%s'\n%s%s%%END-%s\n", name, p->nonce, text, n && text[n - 1] != '\n' ? "\n" : "",
                p->nonce);
}

static void add_recipe(struct strbuf *out, const struct payload *p)
{
    strbuf_adds(out, "set -eu\numask 022\nmkdir -p " DIRECTORY "/steps " DIRECTORY "/units " DIRECTORY "/agent\n"
                     "cd " DIRECTORY "\n");
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        for (size_t n = 0; n < ARRAY_SIZE(needs); n++)
            if (str_starts(files[i].name, needs[n].prefix) && (!needs[n].step || strlist_has(p->steps, needs[n].step)))
                add_file(out, p, files[i].name, files[i].text);
    for (size_t i = 0; i < p->steps->n; i++) {
        size_t own = own_number(p->steps->v[i], p->own ? p->own->n : 0);
        AUTO_FREE char *name = xasprintf("steps/%s.sh", p->steps->v[i]);
        add_file(out, p, name, own ? p->own->v[own - 1] : find_step(p->steps->v[i]));
    }
    strbuf_adds(out, "exec sh " DIRECTORY "/main.sh\n");
}

/* --- the scripts -------------------------------------------------------------------------------------------------- */

static const char shebang[] = "#!/bin/sh\n";

void payload_recipe(struct strbuf *out, const struct payload *p)
{
    AUTO_STRBUF script = STRBUF_INIT;
    strbuf_adds(&script, shebang);
    add_recipe(&script, p);
    gzip_compress(out, strbuf_str(&script), script.len);
}

void payload_render(struct strbuf *out, const struct payload *p)
{
    AUTO_STRBUF script = STRBUF_INIT;
    strbuf_adds(&script, shebang);
    add_assignments(&script, p);
    add_recipe(&script, p);
    gzip_compress(out, strbuf_str(&script), script.len);
}

void payload_fetch(struct strbuf *out, const struct payload *p, const char *url, const char *sha256)
{
    strbuf_adds(out, shebang);
    add_assignments(out, p);
    assign(out, "MAYFLY_PAYLOAD_URL", url);
    assign(out, "MAYFLY_PAYLOAD_SHA256", sha256);
    strbuf_adds(out, find_file("fetch.sh"));
}

void payload_smoke(struct strbuf *out, const struct payload *p)
{
    strbuf_adds(out, shebang);
    add_assignments(out, p);
    strbuf_adds(out, find_file("smoke.sh"));
}
