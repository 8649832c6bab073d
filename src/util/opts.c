#include "mayfly/util/opts.h"

#include <ctype.h>
#include <inttypes.h>

#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/text.h"

enum { WORD_MIN = 4 }; /* shorter ones are part of too many names */

static char fold(char c)
{
    return c == '_' ? '-' : (char)tolower((unsigned char)c);
}

static bool same_name(const char *a, size_t len, const char *b)
{
    for (size_t i = 0; i < len; i++)
        if (b[i] == '\0' || fold(a[i]) != fold(b[i]))
            return false;
    return b[len] == '\0';
}

/* The next word of a space-separated list, or NULL; advances *at. */
static const char *next_word(const char **at, size_t *len)
{
    if (!*at)
        return NULL;
    *at += strspn(*at, " ");
    const char *word = *at;
    *len = strcspn(word, " ");
    *at += *len;
    return *len ? word : NULL;
}

struct alias {
    const char *name;
    size_t len;
    char unit; /* of its values, '\0' for none */
};

/* The next alias of a row; false at the end. */
static bool next_alias(const char **at, struct alias *ret)
{
    const char *word = next_word(at, &ret->len);
    if (!word)
        return false;
    const char *colon = memchr(word, ':', ret->len);
    ret->name = word;
    ret->unit = colon ? colon[1] : '\0';
    if (colon)
        ret->len = (size_t)(colon - word);
    return true;
}

/* Is `name` the row's, or an alias of it? Of an alias also says what its values are in. */
static bool is_named(const struct opt *o, const char *name, char *ret_unit)
{
    struct alias alias;
    *ret_unit = '\0';
    if (same_name(name, strlen(name), o->name))
        return true;
    for (const char *at = o->aliases; next_alias(&at, &alias);) {
        if (same_name(alias.name, alias.len, name)) {
            *ret_unit = alias.unit;
            return true;
        }
    }
    return false;
}

const struct opt *opts_find(const struct opt *opts, const char *name)
{
    char unit;
    for (const struct opt *o = opts; o->name; o++)
        if (is_named(o, name, &unit))
            return o;
    return NULL;
}

/* Levenshtein, on short words. */
static size_t distance(const char *a, const char *b)
{
    enum { MAX = 40 };
    size_t n = strnlen(a, MAX), m = strnlen(b, MAX), row[MAX + 1];
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t above = row[j], best = diagonal + (fold(a[i - 1]) != fold(b[j - 1]));
            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[m];
}

const char *opts_nearest(const char *word, const char *best, const char *candidate)
{
    size_t d = distance(word, candidate);
    if (d > (strlen(word) + 2) / 3 || (best && distance(word, best) <= d))
        return best;
    return candidate;
}

static bool is_choice(const struct opt *o, const char *value)
{
    return o->choices == NULL || str_is_one_of(value, o->choices);
}

/* Where the choices are words for true and false, any word for these is the one that means the same. Owned; NULL: it is
 * none. */
static char *choose(const struct opt *o, const char *value)
{
    const char *at = o->choices, *word;
    bool wanted, has;
    if (is_choice(o, value))
        return xstrdup(value);
    for (size_t n; parse_bool(value, &wanted) && (word = next_word(&at, &n)) != NULL;) {
        AUTO_FREE char *choice = xstrndup(word, n);
        if (parse_bool(choice, &has) && has == wanted)
            return STEAL(choice);
    }
    return NULL;
}

static bool bad_value(const struct opt *o, const char *value, const char *where, const char *want, struct error *err)
{
    return error_set(err, ERROR_USAGE, 0, "%s: `%.80s` is not %s", where, value, want ? want : o->arg);
}

/* One part of a list in JSON: a string, or a whole number, which is a text like any other. Moves *at past it. */
static bool next_part(const char **at, struct strlist *ret)
{
    const bool quoted = **at == '"';
    const char *part = *at + quoted;
    size_t n = quoted ? strcspn(part, "\"\\") : strspn(part, "0123456789");
    if (quoted ? part[n] != '"' : n == 0)
        return false;
    AUTO_FREE char *text = xstrndup(part, n);
    strlist_split(ret, text, ""); /* trimmed, and left out when empty, as between commas */
    *at = part + n + quoted;
    return true;
}

/* Splits A,B or lines or ["A", "B"], the way in which workflows hand lists on; no part of ours needs an escape. */
static bool split_list(const char *text, struct strlist *ret)
{
    static const char blank[] = " \t\r\n";
    if (*text != '[') {
        strlist_split(ret, text, ",\n");
        return true;
    }
    text++;
    text += strspn(text, blank);
    for (bool more = *text != ']'; more; text++) {
        text += strspn(text, blank);
        if (!next_part(&text, ret))
            return false;
        text += strspn(text, blank);
        if (*text == ']')
            break;
        if (*text != ',')
            return false;
    }
    text++;
    return text[strspn(text, blank)] == '\0';
}

/* Tags, names and JSON take no others; texts and lists have lines. */
static bool check_characters(const struct opt *o, const char *value, const char *where, struct error *err)
{
    for (const char *p = value; *p; p += text_char(p)) {
        if (text_char(p) == 0)
            return error_set(err, ERROR_USAGE, 0, "%s: the value is not UTF-8", where);
        int control = text_control(p);
        bool invisible = control > 0x9f; /* it steers a line's direction: a text may have it */
        if (control >= 0 && (o->type == OPT_STRING || !(strchr("\t\r\n", *p) || (invisible && o->type == OPT_TEXT))))
            return error_set(err, ERROR_USAGE, 0, "%s: the value holds a control character", where);
    }
    return true;
}

static bool set_value(const struct opt *o, void *base, const char *value, const char *where, struct error *err)
{
    void *field = (char *)base + o->offset;
    bool limited = o->min != 0 || o->max != 0;
    if (!check_characters(o, value, where, err))
        return false;
    switch (o->type) {
    case OPT_FLAG:
        if (!parse_bool(value, field))
            return bad_value(o, value, where, "true or false", err);
        return true;
    case OPT_STRING:
    case OPT_TEXT: {
        AUTO_FREE char *choice = choose(o, value);
        if (!choice) {
            AUTO_FREE char *want = xasprintf("one of: %s", o->choices);
            return bad_value(o, value, where, want, err);
        }
        str_set(field, choice);
        return true;
    }
    case OPT_LIST: {
        AUTO_STRLIST list = { 0 };
        if (!split_list(value, &list))
            return bad_value(o, value, where, "a list: A,B or [\"A\", \"B\"]", err);
        for (size_t i = 0; i < list.n; i++) {
            if (!is_choice(o, list.v[i])) {
                AUTO_FREE char *want = xasprintf("one of: %s", o->choices);
                return bad_value(o, list.v[i], where, want, err);
            }
        }
        strlist_clear(field);
        *(struct strlist *)field = list;
        list = (struct strlist){ 0 };
        return true;
    }
    case OPT_NUMBER: {
        uint64_t n;
        if (!parse_uint(value, UINT64_MAX, &n))
            return bad_value(o, value, where, "a number", err);
        if (limited && (n < o->min || n > o->max))
            return error_set(err, ERROR_USAGE, 0, "%s: %" PRIu64 " is not between %" PRIu64 " and %" PRIu64, where, n,
                             o->min, o->max);
        *(uint64_t *)field = n;
        return true;
    }
    case OPT_SECONDS: {
        int64_t n;
        if (!clock_parse_duration(value, &n))
            return bad_value(o, value, where, "a duration such as 90s, 10m or 6h", err);
        if (limited && ((uint64_t)n < o->min || (uint64_t)n > o->max)) {
            AUTO_FREE char *min = clock_format_duration((int64_t)o->min);
            AUTO_FREE char *max = clock_format_duration((int64_t)o->max);
            return error_set(err, ERROR_USAGE, 0, "%s: %s is not between %s and %s", where, value, min, max);
        }
        *(int64_t *)field = n;
        return true;
    }
    }
    return true;
}

/* A value as a source has it. */
struct given {
    const char *text;
    char unit;
    const char *where; /* for messages */
};

/* Another program's number, as JavaScript's parseInt() reads it: "7.5" is 7. False: it does not begin with a digit. */
static bool parse_int(const char *text, uint64_t *ret)
{
    AUTO_FREE char *digits = xstrndup(text, strspn(text, "0123456789"));
    return *digits && parse_uint(digits, UINT32_MAX, ret);
}

/* What is around a value is no part of it, whoever gives it: blanks, line breaks, an editor's byte order mark. Owned.
 */
static char *bare(const char *text)
{
    static const char blank[] = " \t\r\n";
    text += strspn(text, blank);
    text += text_mark(text, strlen(text));
    text += strspn(text, blank);
    size_t n = strlen(text);
    while (n > 0 && strchr(blank, text[n - 1]))
        n--;
    return xstrndup(text, n);
}

/* The value as the option itself takes it, owned; NULL: none, 0 of an alias with a unit. */
static bool convert(const struct opt *o, const struct given *g, char **ret, struct error *err)
{
    AUTO_FREE char *text = bare(g->text);
    uint64_t n = 0;
    if (g->unit && !parse_int(text, &n))
        return bad_value(o, text, g->where, "a whole number", err);
    *ret = n         ? xasprintf("%" PRIu64 "%c", n, g->unit)
           : g->unit ? (o->fallback ? xstrdup(o->fallback) : NULL)
                     : STEAL(text);
    return true;
}

/* A value that has no effect refuses none; one that asks for something else than there is makes a notice. */
static bool take_in_vain(const struct opt *o, const struct given *g, const char *value, const struct opts_source *src,
                         struct error *err)
{
    AUTO_ERROR ignored = { 0 };
    union {
        bool flag;
        uint64_t number;
    } given = { .number = 0 }, usual = { .number = 0 };
    if (o->fallback && !set_value(o, &usual, o->fallback, g->where, err))
        return false;
    if (!set_value(o, &given, value, g->where, &ignored))
        given.number = !usual.number;
    if (src->notices && given.number != usual.number) {
        AUTO_FREE char *notice = xasprintf("%s has no effect: %s", g->where, o->help);
        strlist_add(src->notices, notice);
    }
    return true;
}

static bool take(const struct opt *o, void *base, const struct given *g, const struct opts_source *src,
                 struct error *err)
{
    AUTO_FREE char *value = NULL;
    if (o->empty && str_blank(g->text)) {
        *(bool *)((char *)base + o->empty) = true;
        return true;
    }
    if (!convert(o, g, &value, err))
        return false;
    if (o->bits & OPT_NO_EFFECT)
        return take_in_vain(o, g, value ? value : "", src, err);
    return !value || set_value(o, base, value, g->where, err);
}

/* The value of prefix + NAME that is not blank, with dashes as they are and as underscores. */
static const char *env_value(const struct opts_source *src, const char *prefix, const char *name, size_t len)
{
    for (int dashes = 0; dashes < 2; dashes++) {
        AUTO_FREE char *var = xasprintf("%s%.*s", prefix, (int)len, name);
        for (char *p = var + strlen(prefix); *p; p++)
            *p = *p == '-' && !dashes ? '_' : (char)toupper((unsigned char)*p);
        const char *value = src->getenv(var);
        if (!str_blank(value) && !str_eq(value, OPT_NOT_GIVEN))
            return value;
    }
    return NULL;
}

static const char input_prefix[] = "INPUT_", own_prefix[] = "MAYFLY_";

/* The value of prefix + NAME or an alias; *ret_as says which of them. */
static const char *prefixed_value(const struct opt *o, const struct opts_source *src, const char *prefix,
                                  struct alias *ret_as)
{
    *ret_as = (struct alias){ o->name, strlen(o->name), '\0' };
    const char *at = o->aliases;
    do {
        const char *value = env_value(src, prefix, ret_as->name, ret_as->len);
        if (value)
            return value;
    } while (next_alias(&at, ret_as));
    return NULL;
}

/* Was an input of this name, or of an alias, given and left empty? Without an action there is no such variable. */
static bool is_empty_input(const struct opt *o, const struct opts_source *src)
{
    struct alias as = { o->name, strlen(o->name), '\0' };
    const char *at = o->aliases;
    do {
        AUTO_FREE char *var = xasprintf("%s%.*s", input_prefix, (int)as.len, as.name);
        for (char *p = var; *p; p++)
            *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
        const char *value = src->getenv(var);
        if (value && str_blank(value))
            return true;
    } while (next_alias(&at, &as));
    return false;
}

/* What the step says wins over what all steps have in common: INPUT_*, then MAYFLY_*, each also under every alias, then
 * the row's own variables; *where says which, as it was given. */
static const char *from_env(const struct opt *o, const struct opts_source *src, char *ret_unit, char **where)
{
    struct alias as;
    *ret_unit = '\0';
    if (o->bits & OPT_FLAG_ONLY)
        return NULL;
    const char *value = prefixed_value(o, src, input_prefix, &as);
    if (value) {
        *where = xasprintf("--%s (input %.*s)", o->name, (int)as.len, as.name);
        AUTO_FREE char *input = xstrndup(as.name, as.len);
        if (src->inputs) {
            strlist_add(src->inputs, o->name);
            strlist_add(src->inputs, input);
        }
    } else {
        value = prefixed_value(o, src, own_prefix, &as);
        if (value)
            *where = xasprintf("--%s (from the environment)", o->name);
    }
    if (value) {
        *ret_unit = as.unit;
        return value;
    }
    const char *at = o->vars, *word;
    for (size_t n; (word = next_word(&at, &n)) != NULL;) {
        AUTO_FREE char *var = xstrndup(word, n);
        value = src->getenv(var);
        if (!str_blank(value)) {
            *where = xasprintf("--%s (from %s)", o->name, var);
            return value;
        }
    }
    return NULL;
}

/* Looks under the option's name and aliases, keys compared as names are. */
static const struct ini_entry *file_entry(const struct ini *ini, const char *section, const struct opt *o)
{
    char unit;
    for (size_t i = 0; i < ini->n; i++)
        if (str_eq(ini->entries[i].section, section) && is_named(o, ini->entries[i].key, &unit))
            return &ini->entries[i];
    return NULL;
}

static const struct ini_entry *from_file(const struct opt *o, const struct opts_source *src)
{
    if (!src->file || (o->bits & OPT_FLAG_ONLY))
        return NULL;
    if (src->section) {
        AUTO_FREE char *section = xasprintf("runner %s", src->section);
        const struct ini_entry *e = file_entry(src->file, section, o);
        if (e && !str_empty(e->value))
            return e;
    }
    const struct ini_entry *e = file_entry(src->file, "default", o);
    return e && !str_empty(e->value) ? e : NULL;
}

/* The option whose name or alias is nearest; else one whose name has the word in it; or NULL. */
static const struct opt *guess(const struct opt_set *sets, const char *name)
{
    const struct opt *best = NULL, *part = NULL;
    size_t least = (strlen(name) + 2) / 3 + 1;
    for (const struct opt_set *s = sets; s->opts; s++)
        for (const struct opt *o = s->opts; o->name; o++) {
            struct alias alias = { o->name, strlen(o->name), '\0' };
            const char *at = o->aliases;
            do {
                AUTO_FREE char *word = xstrndup(alias.name, alias.len);
                size_t d = distance(name, word);
                if (d < least) {
                    least = d;
                    best = o;
                }
            } while (next_alias(&at, &alias));
            if (!part && strlen(name) >= WORD_MIN && strstr(o->name, name))
                part = o;
        }
    return best ? best : part;
}

static bool check_file(const struct opt_set *sets, const struct opts_source *src, struct error *err)
{
    for (size_t i = 0; i < src->file->sections.n; i++) {
        const char *section = src->file->sections.v[i];
        if (!str_eq(section, "default") && !str_starts(section, "runner "))
            return error_set(err, ERROR_CONFIG, 0, "%s: unknown section [%s]: there are [default] and [runner NAME]",
                             src->file_name, section);
    }
    for (size_t i = 0; i < src->file->n; i++) {
        const struct ini_entry *e = &src->file->entries[i];
        if (src->whose(e->key))
            continue;
        const struct opt *best = guess(sets, e->key);
        error_set(err, ERROR_CONFIG, 0, "%s:%u: unknown key `%s`", src->file_name, e->line, e->key);
        if (best)
            error_hint(err, "did you mean %s?", best->name);
        return false;
    }
    if (src->section) {
        AUTO_FREE char *section = xasprintf("runner %s", src->section);
        if (!ini_has_section(src->file, section))
            return error_set(err, ERROR_CONFIG, 0, "%s has no section [%s], which --runner asks for", src->file_name,
                             section);
    }
    return true;
}

/* Does argv before `end` (NULL: all of it) give it? A value never looks like an option. */
static bool was_given(const struct opt *opt, char *const *args, char *const *end)
{
    for (char unit; args != end && *args; args++) {
        if (!str_starts(*args, "--"))
            continue;
        AUTO_FREE char *name = xstrndup(*args + 2, strcspn(*args + 2, "="));
        if (is_named(opt, name, &unit))
            return true;
    }
    return false;
}

/* --- what a file that somebody else could have written may set ------------------------------------------------------
 */

static bool refuse(const struct opt *o, const struct opts_source *src, const struct ini_entry *e, const char *what,
                   struct error *err)
{
    AUTO_FREE char *variable = xasprintf("MAYFLY_%s", o->name);
    for (char *p = variable; *p; p++)
        *p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
    error_set(err, ERROR_CONFIG, 0, "%s:%u: `%s` may not be set by a file in the workspace (%s)%s", src->file_name,
              e->line, o->name, src->file_doubt, what);
    error_hint(err,
               "a pull request could change that file: take the line out, and give --%s as a flag, an input of the "
               "step or the variable %s",
               o->name, variable);
    return false;
}

/* Are all parts of the value among those it may have there? */
static bool fits(const struct opt *o, const char *value)
{
    AUTO_STRLIST parts = { 0 };
    if (o->type != OPT_LIST)
        return o->checkout->fits(value);
    if (!split_list(value, &parts))
        return true; /* another error says so */
    for (size_t i = 0; i < parts.n; i++)
        if (!o->checkout->fits(parts.v[i]))
            return false;
    return true;
}

static bool check_doubtful(const struct opt *o, const struct opts_source *src, const struct ini_entry *e,
                           const struct given *g, struct error *err)
{
    uint64_t asked = 0, most = 0; /* or int64_t, of the same size, and not negative */
    AUTO_FREE char *value = NULL;
    AUTO_FREE char *what = NULL;
    if (!(o->bits & OPT_CHECKOUT))
        return refuse(o, src, e, "", err);
    if (!convert(o, g, &value, err))
        return false;
    if (o->checkout && value && !fits(o, value)) {
        what = xasprintf(" to `%.80s`, only to %s", g->text, o->checkout->what);
        return refuse(o, src, e, what, err);
    }
    if ((o->bits & OPT_CHECKOUT_LOWER) != OPT_CHECKOUT_LOWER || was_given(o, src->args, NULL))
        return true; /* a flag is what counts, and says how much */
    struct opt alone = *o;
    alone.offset = 0;
    if (!set_value(&alone, &asked, value ? value : o->fallback, g->where, err) ||
        !set_value(&alone, &most, o->fallback, o->name, err))
        return false;
    if (asked <= most)
        return true;
    what = xasprintf(" to `%.80s`, more than %s", g->text, o->fallback);
    return refuse(o, src, e, what, err);
}

static bool from_elsewhere(const struct opt *o, void *base, const struct opts_source *src, struct error *err)
{
    AUTO_FREE char *where = NULL;
    char unit;
    const char *value = from_env(o, src, &unit, &where);
    if (o->empty && is_empty_input(o, src))
        *(bool *)((char *)base + o->empty) = true;
    if (value) {
        return take(o, base, &(struct given){ value, unit, where }, src, err);
    }
    const struct ini_entry *e = from_file(o, src);
    if (e) {
        where = xasprintf("%s:%u: %s", src->file_name, e->line, e->key);
        is_named(o, e->key, &unit);
        const struct given given = { e->value, unit, where };
        return (!src->file_doubt || check_doubtful(o, src, e, &given, err)) && take(o, base, &given, src, err);
    }
    if (o->fallback && !(o->bits & OPT_NO_EFFECT))
        return set_value(o, base, o->fallback, o->name, err);
    return true;
}

static const struct opt *find_in_sets(const struct opt_set *sets, const char *name, void **ret_base)
{
    for (const struct opt_set *s = sets; s->opts; s++) {
        const struct opt *o = opts_find(s->opts, name);
        if (o) {
            *ret_base = s->base;
            return o;
        }
    }
    return NULL;
}

static bool unknown_option(const struct opt_set *sets, const struct opts_source *src, const char *name,
                           struct error *err)
{
    const struct opt *best = guess(sets, name);
    const char *owner = src->whose(name);
    error_set(err, ERROR_USAGE, 0, "unknown option `--%.60s`", name);
    if (owner)
        error_hint(err, "`mayfly %s` has such an option; `%s --help` lists those of this command", owner, src->command);
    else if (best)
        error_hint(err, "did you mean --%s? `%s --help` lists all options", best->name, src->command);
    else
        error_hint(err, "`%s --help` lists all options", src->command);
    return false;
}

struct argument {
    const struct opt *opt; /* NULL: it is no option */
    void *base;
    char *value; /* owned */
    char unit;
};

/* One argument, or two. *at moves past what was taken. */
static bool next_argument(const struct opt_set *sets, const struct opts_source *src, char *const **at,
                          struct argument *ret, struct error *err)
{
    const char *arg = *(*at)++;
    if (!str_starts(arg, "--") || arg[2] == '\0') {
        if (!src->rest || (arg[0] == '-' && arg[1] != '\0' && arg[1] != '-')) {
            error_set(err, ERROR_USAGE, 0, "unexpected argument `%.60s`", arg);
            error_hint(
                err,
                "options are written --name VALUE or --name=VALUE, switches --name or --name=false; see `%s --help`",
                src->command);
            return false;
        }
        ret->value = xstrdup(arg);
        return true;
    }
    const char *eq = strchr(arg, '=');
    AUTO_FREE char *name = eq ? xstrndup(arg + 2, (size_t)(eq - arg - 2)) : xstrdup(arg + 2);
    const struct opt *o = find_in_sets(sets, name, &ret->base);
    if (!o)
        return unknown_option(sets, src, name, err);
    if (eq)
        ret->value = xstrdup(eq + 1);
    else if (o->type == OPT_FLAG)
        ret->value = xstrdup("true");
    else if (**at && !str_starts(**at, "--")) /* else `--label $UNSET --dry-run` would lose both */
        ret->value = xstrdup(*(*at)++);
    else {
        error_set(err, ERROR_USAGE, 0, "--%s needs a value: %s", o->name, o->arg);
        if (**at)
            error_hint(err, "`%.60s` looks like an option; to pass it as a value: --%s=%.60s", **at, o->name, **at);
        return false;
    }
    ret->opt = o;
    is_named(o, name, &ret->unit);
    return true;
}

/* Takes what is in argv from *at on; *at moves past it. */
static bool from_argv(const struct opt_set *sets, const struct opts_source *src, char *const **at, struct error *err)
{
    char *const *begin = *at;
    struct argument a = { 0 };
    bool ok = next_argument(sets, src, at, &a, err);
    AUTO_FREE char *value = a.value;
    if (ok && !a.opt)
        strlist_add(src->rest, value);
    if (!ok || !a.opt)
        return ok;
    AUTO_FREE char *where = xasprintf("--%s", a.opt->name);
    if ((a.opt->bits & OPT_ONCE) && was_given(a.opt, src->args, begin)) {
        error_set(err, ERROR_USAGE, 0, "%s is given twice", where);
        error_hint(err, "give several values as one list: %s A,B", where);
        return false;
    }
    return take(a.opt, a.base, &(struct given){ value, a.unit, where }, src, err);
}

bool opts_parse(const struct opt_set *sets, const struct opts_source *source, struct error *err)
{
    if (source->file && !check_file(sets, source, err))
        return false;
    for (const struct opt_set *s = sets; s->opts; s++)
        for (const struct opt *o = s->opts; o->name; o++)
            if (!from_elsewhere(o, s->base, source, err))
                return false;
    for (char *const *at = source->args; *at;)
        if (!from_argv(sets, source, &at, err))
            return false;
    return true;
}

char *opts_peek(const struct opt *opt, const struct opts_source *source)
{
    const struct opt one[] = { *opt, { 0 } };
    const char *found = NULL;
    for (char *const *a = source->args; *a; a++) {
        if (!str_starts(*a, "--"))
            continue;
        const char *eq = strchr(*a, '=');
        AUTO_FREE char *name = eq ? xstrndup(*a + 2, (size_t)(eq - *a - 2)) : xstrdup(*a + 2);
        if (opts_find(one, name))
            found = eq ? eq + 1 : a[1] && !str_starts(a[1], "--") ? a[1] : NULL;
    }
    AUTO_FREE char *where = NULL;
    char unit;
    found = found ? found : from_env(opt, source, &unit, &where);
    return found ? bare(found) : NULL;
}

bool opts_is_explicit(const struct opt *opt, const struct opts_source *source)
{
    struct alias as;
    return was_given(opt, source->args, NULL) || prefixed_value(opt, source, input_prefix, &as);
}

const char *opts_input(const struct opts_source *source, const char *name)
{
    return env_value(source, input_prefix, name, strlen(name));
}

void opts_clear(const struct opt *opts, void *base)
{
    for (const struct opt *o = opts; o->name; o++) {
        void *field = (char *)base + o->offset;
        if (o->bits & OPT_NO_EFFECT)
            continue;
        if (o->type == OPT_STRING || o->type == OPT_TEXT)
            base_free_pointer(field);
        else if (o->type == OPT_LIST)
            strlist_clear(field);
    }
}

void opts_help(FILE *out, const struct opt *opts)
{
    for (const struct opt *o = opts; o->name; o++) {
        if (o->bits & OPT_NO_EFFECT)
            continue;
        AUTO_FREE char *left = xasprintf("--%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
        fprintf(out, "  %s%*s %s", left, (int)(text_length(left) < 34 ? 34 - text_length(left) : 0), "", o->help);
        if (o->fallback && o->type != OPT_FLAG)
            fprintf(out, " (default: %s)", o->fallback);
        if (o->bits & OPT_CHECKOUT)
            fputs(" *", out);
        fputc('\n', out);
    }
}
