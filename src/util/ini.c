#include "mayfly/util/ini.h"

#include <ctype.h>

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

/* Drops a comment that a blank precedes. */
static struct line without_comment(struct line l)
{
    for (size_t i = 1; i < l.len; i++)
        if ((l.s[i] == '#' || l.s[i] == ';') && is_blank(l.s[i - 1]))
            return trim((struct line){ l.s, i });
    return trim(l);
}

static struct ini_entry *find(const struct ini *ini, const char *section, const char *key)
{
    for (size_t i = 0; i < ini->n; i++)
        if (str_eq(ini->entries[i].section, section) && str_eq(ini->entries[i].key, key))
            return &ini->entries[i];
    return NULL;
}

/* The credentials file holds secrets. */
static void wipe(char *value)
{
    if (value)
        explicit_bzero(value, strlen(value));
    free(value);
}

static size_t put(struct ini *ini, const char *section, struct line key, struct line value, unsigned line)
{
    AUTO_FREE char *k = xstrndup(key.s, key.len);
    for (char *p = k; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    struct ini_entry *e = find(ini, section, k);
    if (!e) {
        ini->entries = xreallocarray(ini->entries, ini->n + 1, sizeof(*ini->entries));
        e = &ini->entries[ini->n++];
        *e = (struct ini_entry){ .section = xstrdup(section), .key = STEAL(k) };
    }
    wipe(e->value);
    e->value = xstrndup(value.s, value.len);
    e->line = line;
    return (size_t)(e - ini->entries);
}

struct place { /* where the parser is */
    char *section;
    size_t last;   /* the entry that a line which is indented deeper continues; SIZE_MAX: none */
    size_t indent; /* of that entry */
};

static bool parse_line(struct ini *ini, struct line raw, unsigned number, struct place *at, const char *name,
                       struct error *err)
{
    struct line l = trim(raw);
    if (l.len == 0 || l.s[0] == '#' || l.s[0] == ';')
        return true;
    const size_t indent = (size_t)(l.s - raw.s);
    if (at->last < ini->n && indent > at->indent) { /* belongs to the key above */
        struct ini_entry *e = &ini->entries[at->last];
        struct line more = without_comment(l);
        char *joined = xasprintf("%s\n%.*s", e->value, (int)more.len, more.s);
        wipe(e->value);
        e->value = joined;
        return true;
    }
    if (l.s[0] == '[') {
        const char *end = memchr(l.s, ']', l.len);
        if (!end)
            return error_set(err, ERROR_CONFIG, 0, "%s:%u: a section without its `]`", name, number);
        struct line rest = trim((struct line){ end + 1, l.len - (size_t)(end + 1 - l.s) });
        if (rest.len > 0 && rest.s[0] != '#' && rest.s[0] != ';')
            return error_set(err, ERROR_CONFIG, 0, "%s:%u: text after the section's `]`", name, number);
        struct line title = trim((struct line){ l.s + 1, (size_t)(end - l.s - 1) });
        free(at->section);
        at->section = xstrndup(title.s, title.len);
        if (!strlist_has(&ini->sections, at->section))
            strlist_add(&ini->sections, at->section);
        at->last = SIZE_MAX;
        return true;
    }
    const char *eq = memchr(l.s, '=', l.len);
    if (!eq || eq == l.s)
        return error_set(err, ERROR_CONFIG, 0, "%s:%u: neither a section nor `key = value`", name, number);
    if (!at->section)
        return error_set(err, ERROR_CONFIG, 0, "%s:%u: a key before the first section", name, number);
    at->indent = indent;
    at->last = put(ini, at->section, trim((struct line){ l.s, (size_t)(eq - l.s) }),
                   without_comment((struct line){ eq + 1, l.len - (size_t)(eq + 1 - l.s) }), number);
    return true;
}

bool ini_parse(struct ini *ini, const char *text, size_t len, const char *name, struct error *err)
{
    struct place at = { .last = SIZE_MAX };
    bool ok = true;
    unsigned number = 0;
    const char *end = text + len;
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    if (memchr(text, '\0', (size_t)(end - text)))
        return error_set(err, ERROR_CONFIG, 0, "%s: holds a NUL byte, so it is not a text file", name);
    while (ok && text < end) {
        const char *eol = memchr(text, '\n', (size_t)(end - text));
        struct line l = { text, (size_t)((eol ? eol : end) - text) };
        text = eol ? eol + 1 : end;
        while (l.len > 0 && l.s[l.len - 1] == '\r')
            l.len--;
        ok = parse_line(ini, l, ++number, &at, name, err);
    }
    if (!ok)
        ini_clear(ini);
    free(at.section);
    return ok;
}

const char *ini_get(const struct ini *ini, const char *section, const char *key)
{
    const struct ini_entry *e = find(ini, section, key);
    return e ? e->value : NULL;
}

bool ini_has_section(const struct ini *ini, const char *section)
{
    return strlist_has(&ini->sections, section);
}

void ini_clear(struct ini *ini)
{
    for (size_t i = 0; i < ini->n; i++) {
        free(ini->entries[i].section);
        free(ini->entries[i].key);
        wipe(ini->entries[i].value);
    }
    free(ini->entries);
    strlist_clear(&ini->sections);
    *ini = (struct ini){ 0 };
}
