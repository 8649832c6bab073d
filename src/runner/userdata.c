#include "mayfly/runner/userdata.h"

#include <inttypes.h>

#include "mayfly/codec/gzip.h"
#include "mayfly/util/encode.h"
#include "mayfly/version.h"

/* ami/boot.sh without its comments, made by the build. ISO C promises 4095 bytes a literal; gcc and clang take more. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverlength-strings"
static const char boot_sh[] =
#include "boot_sh.h"
    ;
#pragma GCC diagnostic pop

void userdata_quote(struct strbuf *out, const char *s)
{
    strbuf_addc(out, '\'');
    for (; *s; s++) {
        if (*s == '\'')
            strbuf_adds(out, "'\\''");
        else
            strbuf_addc(out, *s);
    }
    strbuf_addc(out, '\'');
}

static void assign(struct strbuf *out, const char *name, const char *value)
{
    strbuf_addf(out, "%s=", name);
    userdata_quote(out, value ? value : "");
    strbuf_addc(out, '\n');
}

static void assign_seconds(struct strbuf *out, const char *name, int64_t seconds)
{
    strbuf_addf(out, "%s='%" PRId64 "'\n", name, seconds);
}

void userdata_render(struct strbuf *out, const struct userdata *u)
{
    AUTO_STRBUF pre_runner = STRBUF_INIT;
    AUTO_FREE char *packages = u->packages ? strlist_join(u->packages, "\n") : NULL;
    if (u->pre_runner)
        encode_base64(&pre_runner, u->pre_runner, strlen(u->pre_runner));
    strbuf_adds(out, "#!/bin/sh\n");
    assign(out, "MAYFLY_VERSION", MAYFLY_VERSION);
    assign(out, "MAYFLY_JIT", u->jit);
    assign(out, "MAYFLY_RUNNER_NAME", u->runner_name);
    assign(out, "MAYFLY_RUNNER_URL", u->runner_url);
    assign(out, "MAYFLY_RUNNER_SHA256", u->runner_sha256);
    assign(out, "MAYFLY_RUNNER_DIR", u->runner_dir);
    assign(out, "MAYFLY_USER", u->user);
    assign_seconds(out, "MAYFLY_BOOT_SECONDS", u->limits.boot);
    assign_seconds(out, "MAYFLY_IDLE_SECONDS", u->limits.idle);
    assign_seconds(out, "MAYFLY_LIFE_SECONDS", u->limits.life);
    assign(out, "MAYFLY_PACKAGES", packages);
    assign(out, "MAYFLY_PRE_RUNNER", strbuf_str(&pre_runner));
    assign(out, "MAYFLY_DEBUG", u->debug ? "1" : "");
    strbuf_adds(out, boot_sh);
}

void userdata_pack(struct strbuf *out, const struct strbuf *script)
{
    if (script->len <= USERDATA_MAX)
        strbuf_add(out, strbuf_str(script), script->len);
    else
        gzip_compress(out, strbuf_str(script), script->len);
}

/* Of the script as it is, and compressed, what the configuration takes left open. */
struct sizes {
    size_t plain, packed;
};

static struct sizes measure(const struct userdata *u, const char *runner_name)
{
    AUTO_STRBUF script = STRBUF_INIT, packed = STRBUF_INIT;
    struct userdata bare = *u;
    bare.jit = NULL;
    bare.runner_name = runner_name;
    userdata_render(&script, &bare);
    gzip_compress(&packed, strbuf_str(&script), script.len);
    return (struct sizes){ script.len, packed.len };
}

/* A configuration is base64: six bits in a byte, which is all that gzip can save, but for its tables. */
static size_t jit_packed(size_t jit)
{
    return jit * 4 / 5;
}

size_t userdata_size(const struct userdata *u)
{
    struct sizes s = measure(u, u->runner_name);
    size_t jit = u->jit ? strlen(u->jit) : USERDATA_JIT_RESERVE;
    return s.plain + jit <= USERDATA_MAX ? s.plain + jit : s.packed + jit_packed(jit);
}

size_t userdata_room(const struct userdata *u)
{
    struct sizes s = measure(u, NULL);
    size_t plain = s.plain + RUNNER_NAME_MAX, packed = s.packed + RUNNER_NAME_MAX;
    size_t in_plain = plain < USERDATA_MAX ? USERDATA_MAX - plain : 0;
    size_t in_packed = packed < USERDATA_MAX ? (USERDATA_MAX - packed) * 5 / 4 : 0;
    return in_plain > in_packed ? in_plain : in_packed;
}

bool userdata_check(const struct userdata *u, struct error *err)
{
    size_t size = userdata_size(u);
    if (size <= USERDATA_MAX)
        return true;
    error_set(err, ERROR_CONFIG, 0, "the user-data would have %zu bytes compressed, and EC2 accepts %d", size,
              USERDATA_MAX);
    error_hint(err, "shorten the pre-runner script, or do its work when the image is baked");
    return false;
}
