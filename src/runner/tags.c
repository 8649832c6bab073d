#include "mayfly/runner/tags.h"

#include <ctype.h>
#include <inttypes.h>

#include "mayfly/crypto/crypto.h"
#include "mayfly/util/encode.h"

enum { RUN_ID_MAX = 60, ATTEMPT_MAX = 20 }; /* of a label */
#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

char *limits_format(const struct limits *l)
{
    return xasprintf("boot=%" PRId64 ",idle=%" PRId64 ",life=%" PRId64, l->boot, l->idle, l->life);
}

bool limits_parse(const char *s, struct limits *ret)
{
    struct limits l = *ret;
    const struct {
        const char *key;
        int64_t *field;
    } keys[] = { { "boot=", &l.boot }, { "idle=", &l.idle }, { "life=", &l.life } };
    AUTO_STRLIST parts = { 0 };
    strlist_split(&parts, s, ",");
    for (size_t i = 0; i < parts.n; i++) {
        for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
            uint64_t n;
            if (!str_starts(parts.v[i], keys[k].key))
                continue;
            if (!parse_uint(parts.v[i] + strlen(keys[k].key), INT32_MAX, &n))
                return false;
            *keys[k].field = (int64_t)n;
        }
    }
    *ret = l;
    return true;
}

static bool has_key(const struct ec2_tag *tags, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(tags[i].key, key))
            return true;
    return false;
}

/* The user's own, and those of ours that have a value; the first of ours is Name, where the user's wins. */
static void make_tags(const struct ec2_tag *ours, size_t n_ours, const struct field_list *more, struct arena *arena,
                      struct ec2_tag **ret, size_t *ret_n)
{
    size_t n_more = more ? more->n : 0, n = 0;
    struct ec2_tag *tags = arena_alloc(arena, (n_ours + n_more) * sizeof(*tags));
    for (size_t i = 0; i < n_more; i++)
        tags[n++] = *FIELD_ROW(more, const struct ec2_tag, i);
    for (size_t i = 0; i < n_ours; i++)
        if (!str_empty(ours[i].value) && !(i == 0 && has_key(tags, n_more, ours[i].key)))
            tags[n++] = (struct ec2_tag){ ours[i].key, arena_strdup(arena, ours[i].value) };
    *ret = tags;
    *ret_n = n;
}

void tags_of_runner(const struct tag_values *v, struct arena *arena, struct ec2_tag **ret, size_t *ret_n)
{
    AUTO_FREE char *limits = limits_format(&v->limits);
    AUTO_FREE char *id = xasprintf("%" PRId64, v->runner_id);
    const struct ec2_tag all[] = {
        { "Name", v->runner },   { TAG_FLEET, v->fleet },   { TAG_SCOPE, v->scope }, { TAG_REPO, v->repo },
        { TAG_LABEL, v->label }, { TAG_RUNNER, v->runner }, { TAG_RUNNER_ID, id },   { TAG_RUN, v->run },
        { TAG_ROLE, "runner" },  { TAG_NAME, v->name },     { TAG_LIMITS, limits },  { TAG_VERSION, v->version },
    };
    make_tags(all, ARRAY_SIZE(all), v->more, arena, ret, ret_n);
}

void tags_of_bake(const struct bake_tags *v, struct arena *arena, struct ec2_tag **ret, size_t *ret_n)
{
    AUTO_FREE char *limits = xasprintf("life=%" PRId64, v->life);
    AUTO_FREE char *source = v->source ? xstrndup(v->source, TAG_VALUE_MAX) : NULL;
    AUTO_FREE char *steps = v->steps ? xstrndup(v->steps, TAG_VALUE_MAX) : NULL;
    const struct ec2_tag all[] = {
        { "Name", v->title },        { TAG_FLEET, v->fleet },   { TAG_ROLE, v->role },
        { TAG_NAME, v->name },       { TAG_RUN, v->run },       { TAG_LIMITS, limits },
        { TAG_VERSION, v->version }, { TAG_SOURCE, source },    { TAG_RUNNER_VERSION, v->runner_version },
        { TAG_STEPS, steps },        { TAG_COMMIT, v->commit },
    };
    make_tags(all, ARRAY_SIZE(all), v->more, arena, ret, ret_n);
}

char *fleet_of_scope(const char *scope)
{
    char *fleet = xstrdup(scope);
    for (char *c = fleet; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return fleet;
}

char *runner_name_mark(const char *account, const char *fleet)
{
    AUTO_FREE char *input = xasprintf("%s\n%s", account, fleet);
    AUTO_STRBUF hash = STRBUF_INIT;
    crypto_sha256_hex(&hash, input, strlen(input));
    return xasprintf("mf-%.6s-", strbuf_str(&hash));
}

char *runner_name_prefix(const char *mark, const char *region, int64_t epoch)
{
    AUTO_STRBUF name = STRBUF_INIT;
    strbuf_addf(&name, "%s%s-", mark, region);
    encode_base36(&name, (uint64_t)epoch);
    return strbuf_steal(&name);
}

bool runner_name_parse(const char *name, const char *mark, char **ret_region, int64_t *ret_epoch)
{
    uint64_t epoch;
    if (!str_starts(name, mark))
        return false;
    AUTO_FREE char *region = xstrdup(name + strlen(mark));
    char *random = strrchr(region, '-');
    if (!random)
        return false;
    *random = '\0';
    char *when = strrchr(region, '-');
    if (!when || when == region || !decode_base36(when + 1, &epoch))
        return false;
    *when = '\0';
    *ret_epoch = (int64_t)epoch;
    *ret_region = STEAL(region);
    return true;
}

/* What a label may not hold becomes a dash: a label that start makes is one that stop takes. */
static void add_plain(struct strbuf *label, const char *s, size_t most)
{
    for (size_t i = 0; i < most && s[i]; i++)
        strbuf_addc(label, strchr(NAME_CHARACTERS, s[i]) ? s[i] : '-');
}

char *label_make(const char *run_id, const char *attempt, int64_t epoch, const uint8_t random[static 6])
{
    AUTO_STRBUF label = STRBUF_INIT;
    strbuf_adds(&label, "mayfly-");
    if (!str_empty(run_id)) {
        add_plain(&label, run_id, RUN_ID_MAX);
        strbuf_addc(&label, '-');
        add_plain(&label, str_empty(attempt) ? "1" : attempt, ATTEMPT_MAX);
        strbuf_addc(&label, '-');
    } else {
        encode_base36(&label, (uint64_t)epoch);
        strbuf_addc(&label, '-');
    }
    encode_random32(&label, random, 6);
    return strbuf_steal(&label);
}

char *image_parameter(const char *name)
{
    return xasprintf("/mayfly/ami/%s", name);
}

char *image_parameter_before(const char *parameter)
{
    return xasprintf("%s/previous", parameter);
}

static bool is_made_of(const char *s, const char *characters)
{
    size_t n = strlen(s);
    return n >= 1 && n <= 100 && strspn(s, characters) == n;
}

bool name_is_valid(const char *name)
{
    return is_made_of(name, NAME_CHARACTERS);
}

bool label_is_valid(const char *label)
{
    return is_made_of(label, NAME_CHARACTERS "/:@+=#~") && label[0] != '-';
}
