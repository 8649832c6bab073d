#include "mayfly/util/ini.h"

#include <ctype.h>

#include "mayfly/util/text.h"

struct line {
    const char *s;
    size_t len;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct line trim(struct line l)
{
    while (l.len > 0 && is_blank(l.s[0]))
        l.s++, l.len--;
    while (l.len > 0 && is_blank(l.s[l.len - 1]))
        l.len--;
    return l;
}

/* Where the quoted part that begins at l.s[i] ends; l.len: it is never closed; 0: none begins, as in "don't". */
static size_t quoted_to(struct line l, size_t i)
{
    const char quote = l.s[i];
    if ((quote != '"' && quote != '\'') || (quote == '\'' && i > 0 && isalnum((unsigned char)l.s[i - 1])))
        return 0;
    size_t n = i + 1;
    for (; n < l.len && l.s[n] != quote; n++)
        if (l.s[n] == '\\' && quote == '"' && n + 1 < l.len)
            n++;
    return n;
}

/* Drops a comment that a blank precedes and that is not within quotes. A quote that is never closed is a character like
 * others, and looked for once only. */
static struct line without_comment(struct line l)
{
    char open = '\0';
    for (size_t i = 0; i < l.len; i++) {
        size_t end = l.s[i] == open ? 0 : quoted_to(l, i);
        if (end >= l.len)
            open = l.s[i];
        else if (end)
            i = end;
        else if (i > 0 && (l.s[i] == '#' || l.s[i] == ';') && is_blank(l.s[i - 1]))
            return trim((struct line){ l.s, i });
    }
    return trim(l);
}

/* A command's words are its own, # and ; among them: all tools of AWS pass them on. */
static bool is_command(const char *key)
{
    return str_eq(key, "credential_process");
}

/* The credentials file holds secrets. */
static void wipe(char *value)
{
    if (value)
        explicit_bzero(value, strlen(value));
    free(value);
}

static void entry_clear(struct ini_entry *e)
{
    free(e->key);
    wipe(e->value);
    *e = (struct ini_entry){ 0 };
}

/* Adds a row; one of the same key is dealt with at the end. `section` is borrowed. */
static struct ini_entry *put(struct ini *ini, const char *section, struct line key, struct line value, unsigned line)
{
    if ((ini->n & (ini->n - 1)) == 0) /* the capacity is the next power of two */
        ini->entries = xreallocarray(ini->entries, ini->n ? 2 * ini->n : 1, sizeof(*ini->entries));
    struct ini_entry *e = &ini->entries[ini->n++];
    *e = (struct ini_entry){ .section = section, .key = xstrndup(key.s, key.len), .line = line };
    for (char *p = e->key; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    value = is_command(e->key) ? trim(value) : without_comment(value);
    e->value = xstrndup(value.s, value.len);
    return e;
}

/* --- what comes again: sorted, since a file of somebody else may have any number of keys and sections --------------
 */

struct title {
    char **at; /* in ini->sections */
    size_t n;  /* its place in the file */
};

static int by_title(const void *a, const void *b)
{
    const struct title *x = a, *y = b;
    int order = strcmp(*x->at, *y->at);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

static int by_address(const void *a, const void *b)
{
    const struct ini_entry *const *x = a, *const *y = b;
    return (*x > *y) - (*x < *y);
}

static int by_key(const void *a, const void *b)
{
    const struct ini_entry *const *x = a, *const *y = b;
    uintptr_t s = (uintptr_t)(*x)->section, t = (uintptr_t)(*y)->section;
    int order = (s > t) - (s < t);
    if (order == 0)
        order = strcmp((*x)->key, (*y)->key);
    return order ? order : by_address(a, b);
}

/* Every title stays once, where it was first; entries point to that. */
static void merge_sections(struct ini *ini)
{
    struct strlist *all = &ini->sections;
    AUTO_FREE struct title *titles = xcalloc(all->n + 1, sizeof(*titles));
    AUTO_FREE char **first = xcalloc(all->n + 1, sizeof(*first)); /* of each title, which one stays */
    size_t e = 0, n = 0;
    for (size_t i = 0; i < all->n; i++)
        titles[i] = (struct title){ &all->v[i], i };
    qsort(titles, all->n, sizeof(*titles), by_title);
    for (size_t i = 0; i < all->n; i++) {
        bool same = i > 0 && str_eq(*titles[i].at, first[titles[i - 1].n]);
        first[titles[i].n] = same ? first[titles[i - 1].n] : *titles[i].at;
    }
    for (size_t i = 0; i < all->n; i++)
        for (; e < ini->n && ini->entries[e].section == all->v[i]; e++) /* entries are in the order of the file */
            ini->entries[e].section = first[i];
    for (size_t i = 0; i < all->n; i++) {
        if (first[i] == all->v[i])
            all->v[n++] = all->v[i];
        else
            free(all->v[i]);
    }
    all->n = n;
}

/* Of a key that comes again the last value counts, in the place of the first. */
static void merge_keys(struct ini *ini)
{
    AUTO_FREE struct ini_entry **rows = xcalloc(ini->n + 1, sizeof(*rows));
    size_t n = 0;
    for (size_t i = 0; i < ini->n; i++)
        rows[i] = &ini->entries[i];
    qsort(rows, ini->n, sizeof(*rows), by_key);
    struct ini_entry *first = NULL;
    for (size_t i = 0; i < ini->n; i++) {
        struct ini_entry *e = rows[i];
        if (!first || first->section != e->section || !str_eq(first->key, e->key)) {
            first = e;
            continue;
        }
        wipe(first->value);
        first->value = STEAL(e->value);
        first->line = e->line;
        entry_clear(e);
    }
    for (size_t i = 0; i < ini->n; i++)
        if (ini->entries[i].key)
            ini->entries[n++] = ini->entries[i];
    ini->n = n;
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

struct place {              /* where the parser is */
    char *section;          /* borrowed, or NULL */
    struct ini_entry *last; /* the entry that a line which is indented deeper continues, or NULL */
    size_t indent;          /* of that entry */
    struct strbuf value;    /* of that entry, once it is continued */
};

/* The entry is over. */
static void finish_entry(struct place *at)
{
    if (at->last && at->value.len > 0) {
        wipe(at->last->value);
        at->last->value = strbuf_steal(&at->value);
    }
    at->last = NULL;
}

static bool parse_line(struct ini *ini, struct line raw, unsigned number, struct place *at, const char *name,
                       struct error *err)
{
    struct line l = trim(raw);
    if (l.len == 0 || l.s[0] == '#' || l.s[0] == ';')
        return true;
    const size_t indent = (size_t)(l.s - raw.s);
    if (at->last && indent > at->indent) { /* belongs to the key above */
        struct line more = is_command(at->last->key) ? l : without_comment(l);
        if (at->value.len == 0)
            strbuf_adds(&at->value, at->last->value);
        strbuf_addc(&at->value, '\n');
        strbuf_add(&at->value, more.s, more.len);
        return true;
    }
    finish_entry(at);
    if (l.s[0] == '[') {
        const char *end = memchr(l.s, ']', l.len);
        if (!end)
            return error_set(err, ERROR_CONFIG, 0, "%s:%u: a section without its `]`", name, number);
        struct line rest = trim((struct line){ end + 1, l.len - (size_t)(end + 1 - l.s) });
        if (rest.len > 0 && rest.s[0] != '#' && rest.s[0] != ';')
            return error_set(err, ERROR_CONFIG, 0, "%s:%u: text after the section's `]`", name, number);
        struct line title = trim((struct line){ l.s + 1, (size_t)(end - l.s - 1) });
        AUTO_FREE char *text = xstrndup(title.s, title.len);
        strlist_add(&ini->sections, text);
        at->section = ini->sections.v[ini->sections.n - 1];
        return true;
    }
    size_t at_eq = 0;
    while (at_eq < l.len && l.s[at_eq] != '=' && l.s[at_eq] != ':')
        at_eq++;
    const char *eq = l.s + at_eq;
    if (at_eq == 0 || at_eq == l.len)
        return error_set(err, ERROR_CONFIG, 0, "%s:%u: neither a section nor `key = value`", name, number);
    if (!at->section)
        return error_set(err, ERROR_CONFIG, 0, "%s:%u: a key before the first section", name, number);
    at->indent = indent;
    struct line value = { eq + 1, l.len - at_eq - 1 };
    at->last = put(ini, at->section, trim((struct line){ l.s, at_eq }), value, number);
    return true;
}

bool ini_parse(struct ini *ini, const char *text, size_t len, const char *name, struct error *err)
{
    struct place at = { .value = STRBUF_INIT };
    bool ok = true;
    unsigned number = 0;
    if (!text_begin(&text, &len, name, err))
        return false;
    const char *end = text + len;
    at.value.secret = true;
    while (ok && text < end) {
        const char *eol = memchr(text, '\n', (size_t)(end - text));
        struct line l = { text, (size_t)((eol ? eol : end) - text) };
        text = eol ? eol + 1 : end;
        while (l.len > 0 && l.s[l.len - 1] == '\r')
            l.len--;
        ok = parse_line(ini, l, ++number, &at, name, err);
    }
    finish_entry(&at);
    strbuf_clear(&at.value);
    merge_sections(ini);
    merge_keys(ini);
    if (!ok)
        ini_clear(ini);
    return ok;
}

const char *ini_get(const struct ini *ini, const char *section, const char *key)
{
    for (size_t i = 0; i < ini->n; i++)
        if (str_eq(ini->entries[i].section, section) && str_eq(ini->entries[i].key, key))
            return ini->entries[i].value;
    return NULL;
}

bool ini_has_section(const struct ini *ini, const char *section)
{
    return strlist_has(&ini->sections, section);
}

void ini_clear(struct ini *ini)
{
    for (size_t i = 0; i < ini->n; i++)
        entry_clear(&ini->entries[i]);
    free(ini->entries);
    strlist_clear(&ini->sections);
    *ini = (struct ini){ 0 };
}
