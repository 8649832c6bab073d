/* bake: builds an image, proves and publishes it. */
#include "mayfly/runner/bake.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "mayfly/aws/creds_fetch.h"
#include "mayfly/cmd/cmd.h"
#include "mayfly/crypto/crypto.h"
#include "mayfly/net/url.h"
#include "mayfly/runner/images.h"
#include "mayfly/runner/params.h"
#include "mayfly/runner/payload.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/file.h"
#include "mayfly/util/log.h"
#include "mayfly/util/text.h"
#include "mayfly/version.h"

enum {
    LIFE_MARGIN = 1800, /* seconds that a builder outlives --bake-timeout, for whoever looks at it */
    SMOKE_LIFE = 900,
    NAME_MAX_LEN = 40,
    ASK_MS = 60000, /* for all that is asked before the first effect */
};

struct bake_options {
    struct spec spec; /* what a start has as well */
    char *recipe, *base, *source_image, *parameter, *payload, *payload_url, *payload_sha256;
    struct strlist with, steps, share, copy_regions;
    uint64_t keep;
    int64_t copy_timeout, deprecate_after;
    bool no_smoke;
};

#define ROW(member) .offset = offsetof(struct bake_options, member)

static const struct opt bake_opts[] = {
    { .name = "recipe",
      .type = OPT_STRING,
      ROW(recipe),
      .arg = "NAME|FILE",
      .help = "same as the argument NAME: amd64, arm64, cuda, or your own sh script, such as ./tools.sh" },
    { .name = "base",
      .type = OPT_STRING,
      ROW(base),
      .arg = "amd64|arm64|cuda",
      .help = "image that your own script adds to",
      .fallback = "amd64",
      .choices = "amd64 arm64 cuda" },
    { .name = "with",
      .type = OPT_LIST,
      ROW(with),
      .arg = "STEP|FILE[,…]",
      .help = "additional steps: python (3.8 to 3.13), go, or your own scripts" },
    { .name = "steps",
      .type = OPT_LIST,
      ROW(steps),
      .arg = "STEP[,STEP…]",
      .help = "run only these steps, in this order; own-1 is your first script" },
    /* Not `image`, nor `timeout`: those of start, in a configuration file, mean something else. */
    { .name = "source-image",
      .type = OPT_STRING,
      ROW(source_image),
      .arg = "IMAGE",
      .help = "image to start from: ami-…, ssm:/PARAMETER, or name:PATTERN@OWNER (default: the latest Ubuntu 24.04)" },
    { .name = "types",
      .type = OPT_LIST,
      ROW(spec.types),
      .arg = "TYPE[,TYPE…]",
      .help = "instance types of the builder and the smoke test, in the order to try (default: chosen by image)",
      .bits = OPT_CHECKOUT },
    { .name = "subnets",
      .type = OPT_LIST,
      ROW(spec.subnets),
      .arg = "ID[,ID…]",
      .help = "subnets that reach the internet, in the order to try",
      .bits = OPT_CHECKOUT },
    { .name = "security-groups",
      .type = OPT_LIST,
      ROW(spec.security_groups),
      .arg = "ID[,ID…]",
      .help = "security groups; no inbound rule is needed",
      .bits = OPT_CHECKOUT },
    { .name = "public-ip",
      .type = OPT_STRING,
      ROW(spec.public_ip),
      .arg = "yes|no",
      .help = "assign a public IPv4 address (default: the subnet's setting)",
      .choices = "yes no" },
    { .name = "volume-size",
      .type = OPT_NUMBER,
      ROW(spec.volume_size),
      .arg = "GIB",
      .help = "root volume size of the image, in GiB (default: 20, or 30 for cuda)",
      .min = 8,
      .max = 65536,
      .bits = OPT_CHECKOUT },
    { .name = "volume-type",
      .type = OPT_STRING,
      ROW(spec.volume_type),
      .arg = "TYPE",
      .help = "root volume type of the image",
      .fallback = "gp3",
      .choices = "gp2 gp3",
      .bits = OPT_CHECKOUT },
    { .name = "tags",
      .type = OPT_TEXT,
      ROW(spec.tags),
      .arg = "KEY=VALUE,…|JSON",
      .help = "additional tags for the builder, the smoke test, the image and its snapshots" },
    { .name = "bake-timeout",
      .type = OPT_SECONDS,
      ROW(spec.timeout),
      .arg = "DURATION",
      .help = "time limit for building and testing the image",
      .fallback = "1h",
      .min = 5,
      .max = 4 * 3600,
      .bits = OPT_CHECKOUT_LOWER },
    { .name = "no-smoke", .type = OPT_FLAG, ROW(no_smoke), .help = "publish the image without booting it first" },
    { .name = "parameter",
      .type = OPT_STRING,
      ROW(parameter),
      .arg = "NAME|none",
      .help = "SSM parameter to write the image ID to; its previous value is kept in NAME/previous (default: "
              "/mayfly/ami/NAME)" },
    { .name = "keep",
      .type = OPT_NUMBER,
      ROW(keep),
      .arg = "N",
      .help = "number of images with this name to keep, including the new one; images that are published or in use "
              "always stay; 0 keeps all",
      .fallback = "3",
      .max = 1000 },
    { .name = "deprecate-after",
      .type = OPT_SECONDS,
      ROW(deprecate_after),
      .arg = "DURATION",
      .help = "time after this bake at which older images are deprecated: other accounts no longer find them by name, "
              "but can launch them; 0 means never",
      .fallback = "1d",
      .max = 366 * 86400 },
    { .name = "share",
      .type = OPT_LIST,
      ROW(share),
      .arg = "ACCOUNT[,ACCOUNT…]",
      .help = "AWS accounts that may launch the image" },
    { .name = "copy-regions",
      .type = OPT_LIST,
      ROW(copy_regions),
      .arg = "REGION[,REGION…]",
      .help =
          "additional regions: the tested image is copied, shared and published there, and older copies are removed" },
    { .name = "copy-timeout",
      .type = OPT_SECONDS,
      ROW(copy_timeout),
      .arg = "DURATION",
      .help = "time limit for the copies, counted from the end of the smoke test",
      .fallback = "1h",
      .min = 5,
      .max = 24 * 3600,
      .bits = OPT_CHECKOUT_LOWER },
    { .name = "payload",
      .type = OPT_STRING,
      ROW(payload),
      .arg = "FILE",
      .help = "write the recipe to FILE, for --payload-url, and exit" },
    { .name = "payload-url",
      .type = OPT_STRING,
      ROW(payload_url),
      .arg = "URL",
      .help = "URL from which the builder downloads what --payload wrote, for a recipe too large for user-data" },
    { .name = "payload-sha256",
      .type = OPT_STRING,
      ROW(payload_sha256),
      .arg = "HEX",
      .help = "SHA-256 of the file at --payload-url" },
    { .name = "dry-run",
      .type = OPT_FLAG,
      ROW(spec.dry_run),
      .help = "print steps, plan and payload without launching anything" },
    { 0 },
};

/* What the names stand for. */
static const struct kind {
    const char *name, *arch;
    const char *steps; /* before those of --with */
    const char *types;
    uint64_t gib;
} kinds[] = {
    { "amd64", "amd64", "base docker runner agent", "m7i.large m7a.large m6i.large t3.large", 20 },
    { "arm64", "arm64", "base docker runner agent", "m7g.large m6g.large t4g.large", 20 },
    { "cuda", "amd64", "base docker runner agent cuda", "g4dn.xlarge g5.xlarge g6.xlarge", 30 },
};
static const char last_steps[] = "prune seal";
#define UBUNTU "ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/%s/hvm/ebs-gp3/ami-id"

/* One bake, from its options to its result. */
struct bake_run {
    struct cmd *cmd;
    struct bake_options *o;
    struct spec *spec; /* the options' */
    const struct kind *kind;
    struct session session;
    struct plan plan;
    struct payload payload;
    struct strlist own, steps, boot_params, params; /* params: of RunInstances, of the smoke boot and of the builder */
    struct strlist copies;                          /* regions */
    struct field_list own_tags;
    struct bake_tags tags;
    struct bake_config config;
    struct bake bake;
    struct strbuf user_data, smoke_data; /* base64 */
    size_t payload_size;
    int64_t began; /* monotonic ms */
    char *name, *nonce, *image_name, *description, *parameter, *run, *source, *steps_text, *runner_version;
    struct arena arena;
};

static void run_clear(struct bake_run *r)
{
    struct strlist *const lists[] = { &r->own,    &r->steps,        &r->boot_params, &r->params,
                                      &r->copies, &r->spec->images, &r->spec->market };
    char *const texts[] = { r->name, r->nonce,  r->image_name, r->description,   r->parameter,
                            r->run,  r->source, r->steps_text, r->runner_version };
    bake_clear(&r->bake);
    plan_clear(&r->plan);
    session_close(&r->session);
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        strlist_clear(lists[i]);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        free(texts[i]);
    strbuf_clear(&r->user_data);
    strbuf_clear(&r->smoke_data);
    arena_clear(&r->arena);
}

/* --- the recipe -----------------------------------------------------------------------------------------------------
 */

static bool is_path(const char *s)
{
    return strchr(s, '/') || str_ends(s, ".sh");
}

static bool add_own(struct bake_run *r, const char *path, struct error *err)
{
    AUTO_STRBUF text = STRBUF_MAX(OWN_RECIPE_MAX);
    if (!strbuf_read_text(&text, path, "the recipe", err)) {
        err->domain = ERROR_CONFIG;
        return false;
    }
    if (text.len == 0)
        return error_set(err, ERROR_CONFIG, 0, "the recipe `%s` is empty", path);
    if (text_drop_returns(&text))
        log_warn("the recipe `%s` has Windows line endings, which are converted", path);
    strlist_add(&r->own, strbuf_str(&text));
    AUTO_FREE char *step = xasprintf("own-%zu", r->own.n);
    strlist_add(&r->steps, step);
    return true;
}

static bool add_step(struct bake_run *r, const char *step, struct error *err)
{
    if (strlist_has(&r->steps, step))
        return true;
    if (payload_has_step(step, r->own.n)) {
        strlist_add(&r->steps, step);
        return true;
    }
    AUTO_FREE char *all = payload_steps();
    error_set(err, ERROR_USAGE, 0, "unknown step `%.60s`", step);
    error_hint(err, "steps are %s; give your own script as a path, such as ./tools.sh", all);
    return false;
}

static bool add_steps(struct bake_run *r, const char *steps, struct error *err)
{
    AUTO_STRLIST list = { 0 };
    strlist_split(&list, steps, " ");
    for (size_t i = 0; i < list.n; i++)
        if (!add_step(r, list.v[i], err))
            return false;
    return true;
}

static const struct kind *find_kind(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (str_eq(kinds[i].name, name))
            return &kinds[i];
    return NULL;
}

/* "tools" of "./recipes/tools.sh". */
static char *name_of_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    return xstrndup(base, strlen(base) - (str_ends(base, ".sh") ? strlen(".sh") : 0));
}

static bool take_name(struct bake_run *r, const char *given, struct error *err)
{
    r->kind = is_path(given) ? find_kind(r->o->base) : find_kind(given);
    if (!r->kind) {
        error_set(err, ERROR_USAGE, 0, "unknown recipe `%.60s`", given);
        error_hint(err, "recipes are amd64, arm64 and cuda; give your own script as a path, such as ./tools.sh");
        return false;
    }
    r->name = is_path(given) ? name_of_path(given) : xstrdup(given);
    if (strlen(r->name) <= NAME_MAX_LEN && name_is_valid(r->name))
        return true;
    error_set(err, ERROR_USAGE, 0, "`%.60s` is not a valid image name", r->name);
    error_hint(err, "the script's name becomes the image's: at most %d letters, digits and - _ .", NAME_MAX_LEN);
    return false;
}

/* A script of one's own is the last before the disk is cleaned. */
static bool take_steps(struct bake_run *r, const char *given, struct error *err)
{
    if (!add_steps(r, r->kind->steps, err))
        return false;
    for (size_t i = 0; i < r->o->with.n; i++)
        if (!(is_path(r->o->with.v[i]) ? add_own(r, r->o->with.v[i], err) : add_step(r, r->o->with.v[i], err)))
            return false;
    if ((is_path(given) && !add_own(r, given, err)) || !add_steps(r, last_steps, err))
        return false;
    if (r->o->steps.n > 0)
        strlist_clear(&r->steps);
    for (size_t i = 0; i < r->o->steps.n; i++)
        if (!add_step(r, r->o->steps.v[i], err))
            return false;
    return true;
}

static bool take_recipe(struct bake_run *r, struct error *err)
{
    const struct strlist *rest = &r->cmd->rest;
    const char *given = rest->n ? rest->v[0] : r->o->recipe;
    if (str_empty(given) || rest->n > 1) {
        error_set(err, ERROR_USAGE, 0, rest->n > 1 ? "more than one image is named" : "no image is named");
        error_hint(err, "give one of amd64, arm64, cuda, or the path to your script: mayfly bake ./tools.sh");
        return false;
    }
    return take_name(r, given, err) && take_steps(r, given, err);
}

/* --- the other options ----------------------------------------------------------------------------------------------
 */

static bool is_hex64(const char *s)
{
    return strlen(s) == 64 && strspn(s, "0123456789abcdef") == 64;
}

static bool check_payload_url(const struct bake_options *o, struct error *err)
{
    AUTO_URL url = { 0 };
    if (str_empty(o->payload_url) != str_empty(o->payload_sha256)) {
        error_set(err, ERROR_USAGE, 0, "--payload-url and --payload-sha256 must be given together");
        error_hint(err, "--payload FILE writes the recipe and prints its SHA-256");
        return false;
    }
    if (str_empty(o->payload_url))
        return true;
    if (!is_hex64(o->payload_sha256))
        return error_set(err, ERROR_USAGE, 0, "--payload-sha256: `%.80s` is not 64 hexadecimal digits in lower case",
                         o->payload_sha256);
    if (!url_parse_with_query(o->payload_url, "--payload-url", &url, err)) { /* signed URLs have one */
        err->domain = ERROR_USAGE;
        return false;
    }
    return str_eq(url.scheme, "https") || error_set(err, ERROR_USAGE, 0, "--payload-url is not https");
}

/* A path as SSM takes it, to which /previous can be added; AWS keeps all that begins with aws or ssm, in any case.
 * Source: AWS Systems Manager API Reference, PutParameter. */
static bool is_parameter(const char *s)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/";
    size_t levels = 0;
    for (const char *slash = s; (slash = strchr(slash, '/')) != NULL; slash++)
        levels++;
    return s[0] == '/' && s[strspn(s, chars)] == '\0' && strlen(s) <= 900 && levels < 15 && !strstr(s, "//") &&
           !str_ends(s, "/") && strncasecmp(s, "/aws", 4) != 0 && strncasecmp(s, "/ssm", 4) != 0;
}

static bool check_options(struct bake_run *r, struct error *err)
{
    const struct bake_options *o = r->o;
    const char *parameter = o->parameter;
    for (size_t i = 0; i < o->share.n; i++)
        if (strlen(o->share.v[i]) != 12 || strspn(o->share.v[i], "0123456789") != 12)
            return error_set(err, ERROR_USAGE, 0, "--share: `%.40s` is not an account's 12 digits", o->share.v[i]);
    if (str_empty(parameter))
        r->parameter = image_parameter(r->name);
    else if (!str_eq(parameter, "none"))
        r->parameter = xstrdup(parameter);
    if (r->parameter && !is_parameter(r->parameter)) {
        error_set(err, ERROR_USAGE, 0, "--parameter: `%.120s` is not the name of a parameter", r->parameter);
        error_hint(err,
                   "names look like /mayfly/ami/amd64, and do not begin with aws or ssm; `none` publishes nothing");
        return false;
    }
    return check_payload_url(o, err);
}

/* REGION/ID, as start takes them, but of the one region that a bake has. */
static bool check_region(const char *option, const char *id, const char *home, struct error *err)
{
    size_t n = strcspn(id, "/");
    AUTO_FREE char *region = xstrndup(id, n);
    if (id[n] == '\0' || !aws_region_is_valid(region) || str_eq(region, home))
        return true;
    error_set(err, ERROR_USAGE, 0, "--%s names the region %s, and the bake is in %s", option, region, home);
    error_hint(err, "give --%s in %s only, or --region %s to bake there", option, home, region);
    return false;
}

static bool check_regions(const struct spec *s, const char *home, struct error *err)
{
    for (size_t i = 0; i < s->subnets.n; i++)
        if (!check_region("subnets", s->subnets.v[i], home, err))
            return false;
    for (size_t i = 0; i < s->security_groups.n; i++)
        if (!check_region("security-groups", s->security_groups.v[i], home, err))
            return false;
    return check_region("source-image", s->images.v[0], home, err);
}

/* A bake goes wherever a start of these options would, on demand: a builder has to stop, which spot does not. */
static bool take_places(struct bake_run *r, struct error *err)
{
    struct spec *s = r->spec;
    AUTO_FREE char *ubuntu = xasprintf(UBUNTU, r->kind->arch);
    s->count = 1;
    s->max_lifetime = s->timeout + LIFE_MARGIN;
    if (s->volume_size == 0)
        s->volume_size = r->kind->gib;
    if (s->types.n == 0)
        strlist_split(&s->types, r->kind->types, " ");
    strlist_add(&s->images, str_empty(r->o->source_image) ? ubuntu : r->o->source_image);
    strlist_add(&s->market, "on-demand");
    return spec_check(s, err) && params_tags(s, &r->arena, &r->own_tags, NULL, err);
}

/* --- what is asked before the first effect --------------------------------------------------------------------------
 */

static bool ask(struct bake_run *r, struct call *call, struct error *err)
{
    call->give_up = r->cmd->until;
    return call_run(&r->session.loop, call, err);
}

static bool ask_image(struct bake_run *r, struct image *image, struct error *err)
{
    struct aws *aws = &r->session.aws;
    const char *id = image->ref;
    AUTO_CALL *first = &image_find_call(aws, image)->call;
    if (!ask(r, first, err))
        return false;
    if (image->kind != IMAGE_SSM)
        return image_take_answer(image, id, (struct aws_call *)first, &r->arena, err);
    if (!image_take_parameter(image, (struct aws_call *)first, &r->arena, &id, err))
        return false;
    AUTO_CALL *second = &image_describe_call(aws, image->region, id)->call;
    return ask(r, second, err) && image_take_answer(image, id, (struct aws_call *)second, &r->arena, err);
}

/* "2.337.0" of "https://…/actions-runner-linux-x64-2.337.0.tar.gz", owned, or NULL. */
static char *version_of_url(const char *url)
{
    const char *dash = strrchr(url, '-');
    size_t n = dash ? strspn(dash + 1, "0123456789.") : 0;
    return n > 1 && str_eq(dash + n, ".tar.gz") ? xstrndup(dash + 1, n - 1) : NULL;
}

/* The newest runner, where GitHub can be asked; else the one of ami/versions. */
static void ask_runner(struct bake_run *r, const struct image *image)
{
    AUTO_ERROR err = { 0 };
    struct field_list rows = { 0 };
    if (!strlist_has(&r->steps, "runner"))
        return;
    r->runner_version = payload_version("RUNNER_VERSION");
    if (!r->session.cloud.github) {
        log_info("no GitHub token, so the runner will be %s, the latest that this version of Mayfly knows",
                 r->runner_version);
        return;
    }
    const struct github_download *d = NULL;
    AUTO_CALL *call = &github_downloads_call(&r->session.github)->call;
    if (!ask(r, call, &err) || !github_downloads_result((struct github_call *)call, &r->arena, &rows, &err) ||
        !(d = image_find_download(image->architecture, &rows, &err))) {
        if (err.domain == ERROR_CANCELLED)
            return;
        AUTO_FREE char *why = error_format(&err);
        log_warn("could not find the latest runner version, using %s: %s", r->runner_version, why);
        return;
    }
    char *version = version_of_url(d->url);
    r->payload.runner_url = d->url;
    r->payload.runner_sha256 = d->sha256;
    free(r->runner_version);
    r->runner_version = version;
}

/* Each once; the home region has it anyway. */
static bool take_copies(struct bake_run *r, const char *home, struct error *err)
{
    const struct strlist *given = &r->o->copy_regions;
    for (size_t i = 0; i < given->n; i++) {
        const char *region = given->v[i];
        if (!aws_region_check(region, "--copy-regions", err))
            return false;
        if (!str_eq(aws_partition(region), aws_partition(home))) {
            error_set(err, ERROR_USAGE, 0, "--copy-regions: EC2 cannot copy an image from %s to %s", home, region);
            error_hint(err, "bake in each of them: they are in different partitions, %s and %s", aws_partition(home),
                       aws_partition(region));
            return false;
        }
        if (!str_eq(region, home) && !strlist_has(&r->copies, region))
            strlist_add(&r->copies, region);
    }
    return true;
}

/* A region that does not answer, or that these credentials may not look into, is told before anything is launched. */
static bool ask_copies(struct bake_run *r, struct error *err)
{
    AUTO_STRLIST name = { 0 };
    strlist_add(&name, r->image_name);
    const struct ec2_filter by_name = { .name = "name", .values = &name };
    for (size_t i = 0; i < r->copies.n; i++) {
        const char *region = r->copies.v[i];
        AUTO_CALL *call = &ec2_list_leftovers_call(&r->session.aws, region, EC2_IMAGE, &by_name, 1, NULL)->call;
        if (ask(r, call, err))
            continue;
        if (str_eq(err->code, "AuthFailure")) { /* EC2's word for a region that is not enabled; the keys are good */
            AUTO_FREE char *hint = xasprintf("the home region takes these credentials: is %s spelled right, and "
                                             "enabled for this account?",
                                             region);
            str_set(&err->hint, hint);
        }
        return error_prefix(err, "--copy-regions: %s", region);
    }
    return true;
}

static bool read_session(struct bake_run *r, struct error *err)
{
    AUTO_ERROR aws = { 0 }, github = { 0 };
    session_read(&r->session, r->cmd, &aws, &github);
    if (aws.domain != ERROR_NONE)
        return error_move(err, &aws);
    if (r->session.fleet)
        return true;
    error_set(err, ERROR_CONFIG, 0, "no fleet name, so the image would have no owner");
    error_hint(err, "give --repo OWNER/REPO or --fleet NAME, or set GITHUB_REPOSITORY");
    return false;
}

/* --- the payload ----------------------------------------------------------------------------------------------------
 */

static char *random_text(struct bake_run *r, size_t n)
{
    uint8_t random[NONCE_CHARS];
    AUTO_STRBUF text = STRBUF_INIT;
    r->cmd->env->random(r->cmd->env->ctx, random, n);
    encode_random32(&text, random, n);
    return strbuf_steal(&text);
}

static void make_payload(struct bake_run *r)
{
    r->nonce = random_text(r, NONCE_CHARS);
    r->steps_text = strlist_join(&r->steps, " ");
    r->payload = (struct payload){ .nonce = r->nonce,
                                   .name = r->name,
                                   .arch = r->kind->arch,
                                   .steps = &r->steps,
                                   .own = &r->own,
                                   .life = r->spec->timeout + LIFE_MARGIN,
                                   .debug = r->cmd->common.verbose };
}

static bool write_payload(struct bake_run *r, struct error *err)
{
    const char *path = r->o->payload;
    AUTO_STRBUF recipe = STRBUF_INIT, sha256 = STRBUF_INIT;
    payload_recipe(&recipe, &r->payload);
    crypto_sha256_hex(&sha256, strbuf_str(&recipe), recipe.len);
    if (!file_put(path, "the payload", FILE_REPLACE, 0644, strbuf_str(&recipe), recipe.len, err))
        return false;
    printf("%s has %zu bytes, steps: %s\n--payload-sha256 %s\n", path, recipe.len, r->steps_text, strbuf_str(&sha256));
    return true;
}

static bool render_payload(struct bake_run *r, struct error *err)
{
    AUTO_STRBUF script = STRBUF_INIT, smoke = STRBUF_INIT;
    struct payload of_smoke = r->payload;
    of_smoke.life = SMOKE_LIFE;
    if (str_empty(r->o->payload_url))
        payload_render(&script, &r->payload);
    else
        payload_fetch(&script, &r->payload, r->o->payload_url, r->o->payload_sha256);
    payload_smoke(&smoke, &of_smoke);
    r->payload_size = script.len;
    if (script.len > USERDATA_MAX) {
        error_set(err, ERROR_CONFIG, 0, "the recipe has %zu bytes, compressed, and EC2 takes %d as user-data",
                  script.len, USERDATA_MAX);
        error_hint(err, "write it with --payload FILE, put that where the builder can fetch it, and give --payload-url "
                        "and --payload-sha256");
        return false;
    }
    encode_base64(&r->user_data, strbuf_str(&script), script.len);
    encode_base64(&r->smoke_data, strbuf_str(&smoke), smoke.len);
    return true;
}

/* --- what is sent ---------------------------------------------------------------------------------------------------
 */

static void make_names(struct bake_run *r, const struct image *image)
{
    struct rfc3339_date now = clock_rfc3339(env_now(r->cmd->env) / 1000);
    const char *run_id = r->cmd->getenv("GITHUB_RUN_ID"), *attempt = r->cmd->getenv("GITHUB_RUN_ATTEMPT");
    AUTO_FREE char *random = random_text(r, 6);
    AUTO_STRBUF date = STRBUF_INIT;
    for (const char *p = now.s; *p; p++)
        if (isdigit((unsigned char)*p))
            strbuf_addc(&date, *p);
    r->image_name = xasprintf("mayfly-%s-%s-%s", r->name, strbuf_str(&date), random);
    r->source = xasprintf("%s %s", image->id, image->name ? image->name : "");
    r->description = xasprintf("baked by Mayfly %s from %s: %.120s", MAYFLY_VERSION, image->id, r->steps_text);
    if (!str_empty(run_id))
        r->run = xasprintf("%s/%s", run_id, str_empty(attempt) ? "1" : attempt);
    r->tags = (struct bake_tags){ .role = "bake",
                                  .title = r->image_name,
                                  .fleet = r->session.fleet,
                                  .name = r->name,
                                  .run = r->run,
                                  .version = MAYFLY_VERSION,
                                  .life = r->payload.life,
                                  .more = &r->own_tags };
}

static void render(void *ctx, enum bake_role role, const struct cell *cell, const char *image, struct arena *arena,
                   struct ec2_run *ret)
{
    const struct bake_run *r = ctx;
    bool smoke = role == BAKE_SMOKE;
    struct bake_tags values = r->tags;
    struct ec2_tag *tags;
    size_t n;
    values.role = smoke ? "smoke" : "bake";
    tags_of_bake(&values, arena, &tags, &n);
    *ret = (struct ec2_run){
        .region = cell->region,
        .image = image ? image : cell->image->id,
        .type = cell->type,
        .subnet = cell->subnet,
        .security_groups = cell->security_groups,
        .stops = !smoke,
        .user_data = strbuf_str(smoke ? &r->smoke_data : &r->user_data),
        .public_ip = spec_public_ip(r->spec),
        .params = smoke ? &r->boot_params : &r->params,
        .tags = tags,
        .n_tags = n,
    };
}

static void tell(void *ctx UNUSED, const char *who, const char *what)
{
    log_info("%s: %s", who, what);
}

static bool make_config(struct bake_run *r, struct error *err)
{
    struct spec boot = *r->spec;
    const struct image *image = &r->plan.images[0];
    struct bake_tags values;
    struct ec2_tag *tags;
    boot.volume_size = 0;
    boot.volume_type = NULL;
    if (!plan_cells(&r->plan, r->spec, err) ||
        !params_make(r->spec, image->root_device, &image->volumes, &r->params, err) ||
        !params_make(&boot, image->root_device, NULL, &r->boot_params, err))
        return false;
    make_names(r, image);
    values = r->tags;
    values.source = r->source;
    values.steps = r->steps_text;
    values.runner_version = r->runner_version ? r->runner_version : image->runner_version;
    values.commit = r->cmd->getenv("GITHUB_SHA");
    if (r->copies.n > 0 && values.life < r->o->copy_timeout + LIFE_MARGIN)
        values.life = r->o->copy_timeout + LIFE_MARGIN;
    r->config = (struct bake_config){
        .name = r->name,
        .fleet = r->session.fleet,
        .nonce = r->nonce,
        .image = { .region = image->region, .name = r->image_name, .description = r->description },
        .plan = &r->plan,
        .smoke = !r->o->no_smoke,
        .parameter = r->parameter,
        .share = &r->o->share,
        .keep = r->o->keep,
        .deprecate_after = r->o->deprecate_after,
        .timeout_s = r->spec->timeout,
        .timeout_ms = r->spec->timeout * 1000 - (env_mono(r->cmd->env) - r->began),
        .copies = &r->copies,
        .copy_timeout_ms = r->o->copy_timeout * 1000,
        .render = render,
        .tell = tell,
        .ctx = r,
    };
    tags_of_bake(&values, &r->arena, &tags, &r->config.image.n_tags);
    r->config.image.tags = tags;
    return true;
}

/* Everything that must be known before the first effect; what nobody has to be asked for comes first. */
static bool prepare(struct bake_run *r, struct error *err)
{
    if (!take_places(r, err) || !read_session(r, err) || !take_copies(r, r->session.aws_config.region, err))
        return false;
    if (!check_regions(r->spec, r->session.aws_config.region, err) ||
        !plan_sites(&r->plan, r->spec, r->session.aws_config.region, err) || !aws_creds_fetch(&r->session.aws, err))
        return false;
    struct image *image = &r->plan.images[0];
    if (!ask_image(r, image, err))
        return false;
    ask_runner(r, image);
    return render_payload(r, err) && make_config(r, err) && ask_copies(r, err) && session_goes_on(&r->session, err);
}

/* --- what a person and a workflow get
 * --------------------------------------------------------------------------------- */

static struct json_object *text(const char *s)
{
    return must(json_object_new_string(s ? s : ""));
}

static struct json_object *number(int64_t n)
{
    return must(json_object_new_int64(n));
}

static void print_plan_json(const struct bake_run *r)
{
    const struct plan *plan = &r->plan;
    AUTO_JSON *object = must(json_object_new_object());
    struct json_object *cells = must(json_object_new_array()), *copies = must(json_object_new_array());
    for (size_t i = 0; i < plan->n; i++) {
        struct json_object *cell = must(json_object_new_object());
        json_object_object_add(cell, "type", text(plan->cells[i].type));
        json_object_object_add(cell, "subnet", text(plan->cells[i].subnet));
        json_object_array_add(cells, cell);
    }
    for (size_t i = 0; i < r->copies.n; i++)
        json_object_array_add(copies, text(r->copies.v[i]));
    json_object_object_add(object, "name", text(r->name));
    json_object_object_add(object, "steps", text(r->steps_text));
    json_object_object_add(object, "source", text(plan->images[0].id));
    json_object_object_add(object, "runner-version", text(r->runner_version));
    json_object_object_add(object, "parameter", text(r->parameter));
    json_object_object_add(object, "copy-regions", copies);
    json_object_object_add(object, "keep", number((int64_t)r->o->keep));
    json_object_object_add(object, "deprecate-after", number(r->o->deprecate_after));
    json_object_object_add(object, "plan", cells);
    json_object_object_add(object, "user-data-bytes", number((int64_t)r->payload_size));
    print_json(object);
}

static void print_plan(const struct bake_run *r)
{
    const struct plan *plan = &r->plan;
    if (r->cmd->common.json) {
        print_plan_json(r);
        return;
    }
    print_line("image: %s", r->image_name);
    print_line("from: %s", r->source);
    print_line("steps: %s", r->steps_text);
    print_line("runner: %s", r->runner_version ? r->runner_version : "none");
    printf("builder%s:\n", r->o->no_smoke ? "" : " and smoke boot");
    for (size_t i = 0; i < plan->n; i++)
        print_line("  %zu. %s in %s", i + 1, plan->cells[i].type, plan->cells[i].subnet);
    print_line("root volume: %" PRIu64 " GiB, %s", r->spec->volume_size, r->spec->volume_type);
    printf("user-data: %zu of %d bytes\n", r->payload_size, USERDATA_MAX);
    print_line("published in: %s", r->parameter ? r->parameter : "nothing");
    AUTO_FREE char *copies = strlist_join(&r->copies, ", ");
    if (r->copies.n > 0)
        print_line("copied to: %s", copies);
    printf("kept of this name: ");
    if (r->o->keep)
        printf("%" PRIu64, r->o->keep);
    else
        printf("all");
    AUTO_FREE char *after = clock_format_duration(r->o->deprecate_after);
    printf(", older ones deprecated %s%s\n", r->o->deprecate_after ? "after " : "never",
           r->o->deprecate_after ? after : "");
}

/* The image is there for good: the proven one, and copies with which all went well. */
static bool has_image(const struct bake *b, const struct bake_region *region)
{
    return region == b->home ? bake_is_proven(b) : region->phase == REGION_DONE && region->error.domain == ERROR_NONE;
}

/* {"us-east-1": "ami-…"} */
static struct json_object *images_json(const struct bake *b)
{
    struct json_object *images = must(json_object_new_object());
    for (size_t i = 0; i < b->n_regions; i++)
        if (has_image(b, &b->regions[i]))
            json_object_object_add(images, b->regions[i].new_image.region, text(b->regions[i].image.id));
    return images;
}

static void write_summary(const struct bake_run *r)
{
    const struct bake *b = &r->bake;
    AUTO_STRBUF md = STRBUF_INIT;
    strbuf_adds(&md, "### Mayfly: baked ");
    text_add_code(&md, r->name);
    strbuf_adds(&md, "\n\n| region | image | from | steps | runner | published in | before |\n"
                     "|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < b->n_regions; i++) {
        const struct bake_region *region = &b->regions[i];
        const char *const cells[] = { region->new_image.region,
                                      has_image(b, region) ? region->image.id : "failed",
                                      i ? b->home->image.id : r->source,
                                      r->steps_text,
                                      r->runner_version ? r->runner_version : "-",
                                      region->published ? r->parameter : "-",
                                      region->previous ? region->previous : "-" };
        for (size_t k = 0; k < ARRAY_SIZE(cells); k++) {
            strbuf_adds(&md, "| ");
            text_add_code(&md, cells[k]);
            strbuf_addc(&md, ' ');
        }
        strbuf_adds(&md, "|\n");
    }
    summary_write(r->cmd, strbuf_str(&md));
}

static bool write_outputs(struct bake_run *r, struct error *err)
{
    const struct bake *b = &r->bake;
    AUTO_JSON *images = images_json(b);
    const struct {
        const char *name, *value;
    } outputs[] = {
        { "image-id", b->home->image.id },
        { "image-name", r->image_name },
        { "images", json_object_to_json_string_ext(images, JSON_C_TO_STRING_PLAIN) },
        { "previous-image-id", b->home->previous },
        { "parameter", b->home->published ? r->parameter : NULL },
    };
    AUTO_JSON *object = must(json_object_new_object());
    for (size_t i = 0; i < ARRAY_SIZE(outputs); i++) {
        const char *value = outputs[i].value ? outputs[i].value : "";
        json_object_object_add(object, outputs[i].name, text(value));
        if (!output_write(r->cmd, outputs[i].name, value, err))
            return error_prefix(err, "the output %s", outputs[i].name);
    }
    json_object_object_add(object, "images", json_object_get(images));
    if (r->cmd->common.json)
        print_json(object);
    write_summary(r);
    return true;
}

/* One line. */
static void warn_of(struct bake_run *r, const char *what, struct error *why)
{
    session_explain(&r->session, "bake", why);
    AUTO_FREE char *formatted = error_format_hinted(why);
    log_warn("%s%s%s", what, *what ? ": " : "", formatted);
    r->cmd->exit_status = EXIT_PARTIAL;
}

/* What failed of a region, or of its older images, is no reason to fail: the new image is there. */
static void report_region(struct bake_run *r, struct bake_region *region)
{
    const char *name = region->new_image.region;
    bool copy = region != r->bake.home;
    AUTO_FREE char *gone = xasprintf("%s has no copy", name);
    AUTO_FREE char *stays = bake_region_is_named(region) ? xasprintf("%s has the copy %s, which %s may name", name,
                                                                     region->image.id, r->parameter)
                                                         : NULL;
    if (copy && region->error.domain)
        warn_of(r, stays ? stays : gone, &region->error);
    if (region->pruning.domain)
        warn_of(r, copy ? name : "", &region->pruning);
}

static void report_rest(struct bake_run *r)
{
    AUTO_FREE char *left = bake_leftovers(&r->bake);
    for (size_t i = 0; i < r->bake.n_regions; i++)
        report_region(r, &r->bake.regions[i]);
    if (!left)
        return;
    log_warn("left behind, until its deadline or the reaper: %s", left);
    r->cmd->exit_status = EXIT_PARTIAL;
}

static bool bake(struct bake_run *r, struct error *err)
{
    r->session.loop.until = r->session.aws.until = 0; /* it has limits of its own, and has to undo what it did */
    bake_init(&r->bake, &r->config);
    log_info("image: %s from %s, steps: %s", r->image_name, r->source, r->steps_text);
    drive(&r->session.cloud, &r->bake.machine);
    report_rest(r);
    if (bake_is_proven(&r->bake) && !write_outputs(r, err))
        return false;
    if (r->bake.error.domain == ERROR_NONE)
        return true;
    error_copy(err, &r->bake.error);
    return false;
}

static bool run(struct cmd *cmd, void *options, struct error *err)
{
    CLEANUP(run_clear)
    struct bake_run r = { .cmd = cmd,
                          .o = options,
                          .began = env_mono(cmd->env),
                          .spec = &((struct bake_options *)options)->spec,
                          .user_data = STRBUF_INIT,
                          .smoke_data = STRBUF_INIT };
    if (!take_recipe(&r, err) || !check_options(&r, err))
        return false;
    const int64_t limit = r.spec->timeout * 1000;
    cmd->until = r.began + (limit < ASK_MS ? limit : ASK_MS);
    make_payload(&r);
    if (!str_empty(r.o->payload))
        return write_payload(&r, err);
    if (!prepare(&r, err)) {
        session_explain(&r.session, "bake", err);
        return false;
    }
    if (r.spec->dry_run) {
        print_plan(&r);
        return true;
    }
    if (bake(&r, err))
        return true;
    session_explain(&r.session, "bake", err);
    return false;
}

const struct command command_bake = {
    .name = "bake",
    .arguments = "NAME",
    .summary = "build, test and publish an image",
    .about = "Builds the image amd64, arm64 or cuda, or one made by your own script on top of these: launches a\n"
             "builder from Ubuntu, which sets itself up and powers off; creates an image of its disk; boots that\n"
             "image once as a smoke test; writes its ID to the SSM parameter that\n"
             "`start --image ssm:/mayfly/ami/NAME` reads; deprecates older images and removes those beyond --keep.\n"
             "With --copy-regions, the tested image is also copied to and published in other regions, without\n"
             "booting it there; a copy that fails is undone and reported, and the exit status is 3. Needs no SSH,\n"
             "no key and no open port. A failure, timeout or signal undoes everything. The output\n"
             "`images` is a JSON object of IDs by region.\n"
             "Outputs: image-id, image-name, images, previous-image-id, parameter.",
    .opts = bake_opts,
    .options_size = sizeof(struct bake_options),
    .run = run,
};
