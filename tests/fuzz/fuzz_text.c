/* What people write, and the small forms: dates, encodings, URLs, tags. */
#include "fuzz.h"

#include <ctype.h>
#include <inttypes.h>

#include "mayfly/aws/config.h"
#include "mayfly/cmd/start.h"
#include "mayfly/codec/gzip.h"
#include "mayfly/codec/json.h"
#include "mayfly/codec/xml.h"
#include "mayfly/net/url.h"
#include "mayfly/runner/params.h"
#include "mayfly/runner/plan.h"
#include "mayfly/runner/policy.h"
#include "mayfly/runner/reap.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/text.h"
#include "mayfly/util/words.h"

/* --- files and lines ---------------------------------------------------------------------------------------------- */

void fuzz_ini(struct input *in)
{
    AUTO_INI ini = { 0 };
    AUTO_ERROR err = { 0 };
    size_t len;
    AUTO_FREE char *text = fuzz_part(in, &len);
    bool ok = ini_parse(&ini, text, len, "mayfly.ini", &err);
    fuzz_outcome(ok, &err);
    HOLDS(ok || (ini.n == 0 && ini.sections.n == 0));
    for (size_t i = 0; i < ini.n; i++) {
        const struct ini_entry *e = &ini.entries[i];
        HOLDS(e->line >= 1 && e->line <= len + 1);
        HOLDS(ini_has_section(&ini, e->section));
        HOLDS(str_eq(ini_get(&ini, e->section, e->key), e->value)); /* each key once */
        for (const char *k = e->key; *k; k++)
            HOLDS(!(*k >= 'A' && *k <= 'Z'));
    }
}

/* Words that are quoted again are the same words. */
void fuzz_words(struct input *in)
{
    AUTO_FREE char *line = fuzz_part(in, NULL);
    AUTO_STRLIST words = { 0 };
    AUTO_STRLIST again = { 0 };
    AUTO_STRBUF quoted = STRBUF_INIT;
    if (!words_split(&words, line))
        return;
    for (size_t i = 0; i < words.n; i++) {
        userdata_quote(&quoted, words.v[i]);
        strbuf_addc(&quoted, i % 2 ? '\n' : ' ');
    }
    HOLDS(words_split(&again, strbuf_str(&quoted)));
    HOLDS(again.n == words.n);
    for (size_t i = 0; i < words.n; i++)
        HOLDS(str_eq(words.v[i], again.v[i]));
}

/* --- options ------------------------------------------------------------------------------------------------------ */

static const char *whose(const char *key)
{
    return opts_find(start_opts, key) ? "start" : NULL;
}

/* What the row promises of the value. */
static void check_value(const struct opt *o, const void *base)
{
    const char *field = (const char *)base + o->offset;
    const char *s = o->type == OPT_STRING || o->type == OPT_TEXT ? *(char *const *)field : NULL;
    bool limited = o->min || o->max;
    HOLDS(!s || o->type == OPT_TEXT || fuzz_is_one_line(s));
    HOLDS(!s || !o->choices || str_is_one_of(s, o->choices));
    if (o->type == OPT_LIST)
        for (size_t i = 0; i < ((const struct strlist *)field)->n; i++) {
            const char *word = ((const struct strlist *)field)->v[i];
            HOLDS(*word && (!o->choices || str_is_one_of(word, o->choices)));
        }
    uint64_t n = o->type == OPT_NUMBER    ? *(const uint64_t *)field
                 : o->type == OPT_SECONDS ? (uint64_t) * (const int64_t *)field
                                          : 0;
    HOLDS(!limited || n == 0 || (n >= o->min && n <= o->max));
}

/* Arguments, environment, configuration file, section: true when they are taken, *spec is to be cleared then. */
static bool parse_options(struct input *in, struct spec *spec)
{
    AUTO_STRLIST args = fuzz_lines(in);
    AUTO_STRLIST env = fuzz_lines(in);
    AUTO_STRLIST notices = { 0 };
    AUTO_INI file = { 0 };
    AUTO_ERROR err = { 0 };
    size_t len;
    AUTO_FREE char *text = fuzz_part(in, &len);
    AUTO_FREE char *section = fuzz_part(in, NULL);
    if (!ini_parse(&file, text, len, "mayfly.ini", &err))
        return false;
    char **argv = xcalloc(args.n + 1, sizeof(*argv));
    for (size_t i = 0; i < args.n; i++)
        argv[i] = args.v[i];
    fuzz_environment = &env;
    const struct opt_set sets[] = { { start_opts, spec }, { NULL, NULL } };
    const struct opts_source source = { .command = "mayfly start",
                                        .args = argv,
                                        .getenv = fuzz_getenv,
                                        .file = &file,
                                        .file_name = "mayfly.ini",
                                        .file_doubt = "anybody may write it",
                                        .section = *section ? section : NULL,
                                        .whose = whose,
                                        .notices = &notices };
    bool ok = opts_parse(sets, &source, &err);
    fuzz_outcome(ok, &err);
    free(argv);
    if (!ok)
        opts_clear(start_opts, spec);
    return ok;
}

void fuzz_opts(struct input *in)
{
    struct spec spec = { 0 };
    if (!parse_options(in, &spec))
        return;
    for (const struct opt *o = start_opts; o->name; o++)
        if (!(o->bits & OPT_NO_EFFECT))
            check_value(o, &spec);
    opts_clear(start_opts, &spec);
}

/* What start makes of its options before it asks anybody. */
static void prepare(const struct spec *spec)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    AUTO_STRLIST params = { 0 };
    AUTO_STRLIST packages = { 0 };
    struct field_list tags = { 0 };
    CLEANUP(plan_clear) struct plan plan = { 0 };
    bool ok = spec_check(spec, &err) && params_make(spec, "/dev/xvda", NULL, &params, &err) &&
              params_tags(spec, &arena, &tags, NULL, &err) && params_packages(spec, &packages, &err) &&
              plan_sites(&plan, spec, "us-east-1", &err);
    fuzz_outcome(ok, &err);
    if (!ok)
        return;
    HOLDS(params.n % 2 == 0 && tags.n <= TAGS_FOR_USERS && plan.n_sites > 0);
    for (size_t i = 0; i < tags.n; i++) {
        const struct ec2_tag *t = FIELD_ROW(&tags, const struct ec2_tag, i);
        HOLDS(!str_empty(t->key) && !str_starts(t->key, TAG_PREFIX) && t->value);
    }
    for (size_t i = 0; i < plan.n_sites; i++)
        HOLDS(ec2_id_is_valid(plan.sites[i].subnet, "subnet") && aws_region_is_valid(plan.sites[i].region));
}

void fuzz_start(struct input *in)
{
    struct spec spec = { 0 };
    if (!parse_options(in, &spec))
        return;
    prepare(&spec);
    opts_clear(start_opts, &spec);
}

/* --- dates -------------------------------------------------------------------------------------------------------- */

void fuzz_dates(struct input *in)
{
    AUTO_FREE char *s = fuzz_part(in, NULL);
    int64_t t = -77, again = 0, http = -77, seconds = -77;
    const int64_t year_10000 = INT64_C(253402300800);
    if (!clock_parse_rfc3339(s, &t))
        HOLDS(t == -77);
    else if (t >= 0 && t < year_10000) /* an offset leads out of the years that can be written */
        HOLDS(clock_parse_rfc3339(clock_rfc3339(t).s, &again) && again == t);
    else
        HOLDS(t > -86400 && t < year_10000 + 86400 && strlen(clock_rfc3339(t).s) <= 20);
    HOLDS(clock_parse_http(s, &http) ? http >= 0 && http <= year_10000 : http == -77);
    if (clock_parse_duration(s, &seconds)) {
        AUTO_FREE char *words = clock_format_duration(seconds);
        HOLDS(seconds >= 0 && seconds <= 366 * 86400);
        HOLDS(clock_parse_duration(words, &again) && again == seconds);
    } else {
        HOLDS(seconds == -77);
    }
}

/* --- encodings ---------------------------------------------------------------------------------------------------- */

static void check_numbers(const char *s)
{
    uint64_t n = 77, again = 0;
    AUTO_STRBUF text = STRBUF_INIT;
    if (decode_base36(s, &n)) {
        encode_base36(&text, n);
        HOLDS(str_eq(strbuf_str(&text), s + strspn(s, "0")) || (n == 0 && str_eq(strbuf_str(&text), "0")));
    } else {
        HOLDS(n == 77);
    }
    if (parse_uint(s, UINT64_MAX, &n)) {
        AUTO_FREE char *digits = xasprintf("%" PRIu64, n);
        HOLDS(str_eq(digits, s + strspn(s, "0")) || n == 0);
        HOLDS(n == 0 || !parse_uint(s, n - 1, &again));
    }
}

static void check_base64(const char *bytes, size_t len)
{
    AUTO_STRBUF text = STRBUF_INIT;
    AUTO_STRBUF back = STRBUF_INIT;
    encode_base64(&text, bytes, len);
    HOLDS(text.len == (len + 2) / 3 * 4);
    HOLDS(decode_base64(&back, strbuf_str(&text), text.len));
    HOLDS(back.len == len && (len == 0 || memcmp(back.data, bytes, len) == 0));
    strbuf_clear(&back);
    if (decode_base64(&back, bytes, len))
        HOLDS(back.len <= len / 4 * 3);
    else
        HOLDS(back.len == 0);
}

static void check_gzip(const char *bytes, size_t len)
{
    AUTO_STRBUF packed = STRBUF_INIT;
    AUTO_STRBUF back = STRBUF_MAX(1 << 16);
    (void)!gzip_decompress(&back, bytes, len);
    HOLDS(back.len <= 1 << 16);
    strbuf_clear(&back);
    gzip_compress(&packed, bytes, len);
    HOLDS(gzip_is(packed.data, packed.len));
    HOLDS(gzip_decompress(&back, packed.data, packed.len));
    HOLDS(back.len == len && (len == 0 || memcmp(back.data, bytes, len) == 0));
}

void fuzz_encode(struct input *in)
{
    size_t len = (size_t)(in->end - in->at);
    const char *bytes = in->at;
    check_base64(bytes, len);
    check_gzip(bytes, len);
    AUTO_FREE char *s = fuzz_part(in, NULL);
    AUTO_STRBUF percent = STRBUF_INIT;
    check_numbers(s);
    encode_percent(&percent, s);
    for (const char *p = strbuf_str(&percent); *p; p++)
        HOLDS(isalnum((unsigned char)*p) || strchr("-_.~%", *p));
}

/* --- codecs ------------------------------------------------------------------------------------------------------- */

struct thing {
    const char *name, *deep;
    int64_t count;
    bool flag;
    struct field_list words; /* const char * */
};
#define THING(where, kind, member)                                                                                     \
    {                                                                                                                  \
        .path = (where), .type = (kind), .offset = offsetof(struct thing, member), .item_size = sizeof(const char *)   \
    }
static const struct field xml_fields[] = {
    THING("name", FIELD_STR, name),  THING("a/b/c", FIELD_STR, deep),          THING("count", FIELD_INT, count),
    THING("flag", FIELD_BOOL, flag), THING("wordSet/item", FIELD_LIST, words), { 0 },
};
static const struct field json_fields[] = {
    THING("name", FIELD_STR, name),  THING("a/b/c", FIELD_STR, deep),   THING("count", FIELD_INT, count),
    THING("flag", FIELD_BOOL, flag), THING("words", FIELD_LIST, words), { 0 },
};

/* What was read, written as JSON, is read again as the same. */
static void check_round(const char *s)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF json = STRBUF_INIT;
    struct thing t = { 0 };
    if (!s)
        return;
    strbuf_adds(&json, "{\"name\":");
    text_add_json(&json, s);
    strbuf_adds(&json, "}");
    HOLDS(fuzz_is_one_line(strbuf_str(&json)) && !strstr(strbuf_str(&json), "##["));
    HOLDS(json_decode_text(strbuf_str(&json), json.len, json_fields, &t, &arena, "it", &err));
    bool utf8 = true;
    for (const char *p = s; *p && utf8; p += text_char(p) ? text_char(p) : 1)
        utf8 = text_char(p) > 0;
    HOLDS(!utf8 || str_eq(t.name, s));
}

static void check_thing(const struct thing *t)
{
    check_round(t->name);
    check_round(t->deep);
    for (size_t i = 0; i < t->words.n; i++)
        check_round(*FIELD_ROW(&t->words, const char *const, i));
}

void fuzz_codec(struct input *in)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR err = { 0 };
    size_t len = (size_t)(in->end - in->at);
    struct thing from_xml = { 0 }, from_json = { 0 };
    bool ok = xml_decode(in->at, len, NULL, xml_fields, &from_xml, &arena, "it", &err);
    fuzz_outcome(ok, &err);
    HOLDS(!ok || xml_root_name(in->at, len, &arena));
    HOLDS(from_xml.count >= 0);
    check_thing(&from_xml);
    ok = json_decode_text(in->at, len, json_fields, &from_json, &arena, "it", &err);
    fuzz_outcome(ok, &err);
    check_thing(&from_json);
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static void check_limits(const char *s)
{
    struct limits l = { -1, -2, -3 }, again = l;
    if (!limits_parse(s, &l)) {
        HOLDS(l.boot == -1 && l.idle == -2 && l.life == -3);
        return;
    }
    AUTO_FREE char *text = limits_format(&l);
    if (l.boot >= 0 && l.idle >= 0 && l.life >= 0)
        HOLDS(limits_parse(text, &again) && memcmp(&l, &again, sizeof(l)) == 0);
}

static void check_mark(const char *s)
{
    char *rule = NULL, *rule2 = NULL;
    int64_t epoch = -77, epoch2;
    if (!reap_mark_parse(s, &rule, &epoch)) {
        HOLDS(!rule && epoch == -77);
        return;
    }
    AUTO_FREE char *mark = reap_mark_format(rule, epoch);
    HOLDS(reap_mark_parse(mark, &rule2, &epoch2) && str_eq(rule, rule2) && epoch == epoch2);
    free(rule);
    free(rule2);
}

static void check_runner_name(const char *s)
{
    char *region = NULL;
    int64_t epoch = -77;
    if (!runner_name_parse(s, "mf-a1b2c3-", &region, &epoch)) {
        HOLDS(!region && epoch == -77);
        return;
    }
    AUTO_FREE char *prefix = runner_name_prefix("mf-a1b2c3-", region, epoch);
    HOLDS(epoch >= 0 && str_starts(prefix, "mf-a1b2c3-"));
    free(region);
}

static void check_region(const char *s)
{
    const struct aws_config config = { .fips = false };
    if (!aws_region_is_valid(s))
        return;
    AUTO_FREE char *url = aws_endpoint(&config, "ec2", s);
    AUTO_ERROR err = { 0 };
    AUTO_URL parts = { 0 };
    HOLDS(url_parse(url, "it", &parts, &err) && strstr(parts.host, s) && url_is_safe(&parts));
}

void fuzz_tags(struct input *in)
{
    AUTO_FREE char *s = fuzz_part(in, NULL);
    check_limits(s);
    check_mark(s);
    check_runner_name(s);
    check_region(s);
    AUTO_FREE char *path = github_scope_path(s);
    HOLDS(!path ||
          (fuzz_is_one_line(path) && !strpbrk(path, " ?#%\\") && !strstr(path, "/../") && !str_ends(path, "/..")));
    HOLDS(!label_is_valid(s) || (strlen(s) <= 100 && !strpbrk(s, " \"'$`\\\n")));
    HOLDS(!ec2_id_is_valid(s, "ami") || strlen(s) == 12 || strlen(s) == 21);
}

/* --- text of others ----------------------------------------------------------------------------------------------- */

void fuzz_text(struct input *in)
{
    AUTO_FREE char *s = fuzz_part(in, NULL);
    AUTO_FREE char *clean = xstrdup(s);
    AUTO_FREE char *narrow = xstrdup(s);
    AUTO_STRBUF code = STRBUF_INIT;
    struct aws_denial d = { 0 };
    text_clean(clean);
    HOLDS(strlen(clean) <= strlen(s) && fuzz_is_one_line(clean));
    for (const char *p = clean; *p; p += text_char(p))
        HOLDS(text_char(p) > 0);
    text_narrow(narrow);
    HOLDS(strlen(narrow) == strlen(s) && !strstr(clean, "##[") && !strstr(narrow, "##["));
    for (const char *p = narrow; *p; p++)
        HOLDS(*p >= ' ' && *p <= '~');
    text_add_code(&code, s);
    HOLDS(!strpbrk(strbuf_str(&code), "\r\n"));
    check_round(s);
    AUTO_FREE char *plain = aws_denial_parse(s, &d);
    HOLDS(strlen(plain) <= strlen(s) && (!d.resource || d.action) && (!d.reason || d.resource));
    AUTO_FREE char *denied = policy_denied(&d), *advice = policy_advice(&d, "start"), *how = policy_decode_command(&d);
    HOLDS((denied != NULL) == (d.action != NULL) && !str_empty(advice));
    HOLDS((how != NULL) == !str_empty(d.encoded) && (!how || strlen(how) < 2300));
    aws_denial_clear(&d);
}

/* Printable, without blanks. */
static bool is_ascii(const char *s)
{
    for (; *s; s++)
        if (*s <= ' ' || *s > '~')
            return false;
    return true;
}

void fuzz_url(struct input *in)
{
    AUTO_FREE char *s = fuzz_part(in, NULL);
    AUTO_URL u = { 0 };
    AUTO_URL again = { 0 };
    AUTO_ERROR err = { 0 };
    bool ok = url_parse(s, "--api-url", &u, &err);
    fuzz_outcome(ok, &err);
    if (!ok) {
        HOLDS(!u.scheme && !u.host && !u.port && !u.path);
        return;
    }
    AUTO_FREE char *host = url_host_header(&u);
    HOLDS(str_eq(u.scheme, "https") || str_eq(u.scheme, "http"));
    HOLDS(!str_empty(host) && !strpbrk(host, "/?#@\"'`$\\"));
    HOLDS(u.path[0] == '/' && is_ascii(host) && is_ascii(u.path));
    AUTO_FREE char *whole = xasprintf("%s://%s%s", u.scheme, host, u.path);
    HOLDS(url_parse(whole, "--api-url", &again, &err));
    HOLDS(str_eq(again.host, u.host) && str_eq(again.port, u.port) && str_eq(again.path, u.path));
    HOLDS(url_is_safe(&again) == url_is_safe(&u));
}
