#include "mayfly/util/secret.h"

#include <openssl/crypto.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* Shorter values are common substrings: replacing them would garble every log line and hide nothing. */
enum { REDACT_MIN = 6 };

enum {
    GRAM = 12,     /* what is looked up of a secret at once, and how far apart the looked-up parts of one are */
    PART_MIN = 16, /* a part of a secret this long is hidden, wherever a server cut it; its beginning from GRAM on */
    RUN_MIN = 16,  /* shorter words are not read as base64 */
    LAYERS = 4,    /* base64 in base64, escaped for a URL and for JSON */
    HASH_BASE = 0x01000193,
};
/* Longer texts are read in windows, so that memory is bounded; a secret across their border is within the overlap. */
static const size_t window = (size_t)256 << 10, overlap = (size_t)64 << 10;

struct entry {
    char *value; /* NULL: the place is free */
    size_t len;
    size_t users; /* secrets that have this value */
};

/* A part of a secret, GRAM bytes long. */
struct gram {
    uint32_t hash;
    uint32_t entry; /* its number plus 1; 0: the place is free */
    uint32_t offset;
};

static struct {
    struct entry *entries;
    size_t n, n_used;   /* free places and those that are taken */
    struct gram *grams; /* a hash table, open addressing */
    size_t n_grams, size;
} registry;

static void wipe(char *s)
{
    if (s) {
        OPENSSL_cleanse(s, strlen(s));
        free(s);
    }
}

/* --- the registry ------------------------------------------------------------------------------------------------- */

static uint32_t hash_of(const unsigned char *bytes)
{
    uint32_t h = 0;
    for (size_t i = 0; i < GRAM; i++)
        h = h * HASH_BASE + bytes[i];
    return h;
}

/* Neighbors of the rolling hash differ in their lowest bits alone. */
static size_t place_of(uint32_t hash)
{
    return (size_t)(((uint64_t)hash * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (registry.size - 1);
}

static size_t next_place(size_t at)
{
    return (at + 1) & (registry.size - 1);
}

static void put_gram(const struct gram *g)
{
    size_t at = place_of(g->hash);
    while (registry.grams[at].entry)
        at = next_place(at);
    registry.grams[at] = *g;
}

static struct gram gram_of(size_t entry, size_t offset)
{
    const unsigned char *value = (const unsigned char *)registry.entries[entry].value;
    return (struct gram){ hash_of(value + offset), (uint32_t)entry + 1, (uint32_t)offset };
}

static void add_gram(size_t entry, size_t offset)
{
    if (registry.n_grams * 2 >= registry.size) {
        struct gram *old = registry.grams;
        size_t n = registry.size;
        registry.size = n ? n * 2 : 256;
        registry.grams = xcalloc(registry.size, sizeof(*old));
        for (size_t i = 0; i < n; i++)
            if (old[i].entry)
                put_gram(&old[i]);
        free(old);
    }
    const struct gram g = gram_of(entry, offset);
    put_gram(&g);
    registry.n_grams++;
}

/* Those behind it that found their places taken move up. */
static void drop_gram(size_t entry, size_t offset)
{
    const struct gram g = gram_of(entry, offset);
    size_t at = place_of(g.hash);
    while (registry.grams[at].entry != g.entry || registry.grams[at].offset != g.offset)
        at = next_place(at);
    registry.grams[at] = (struct gram){ 0 };
    registry.n_grams--;
    for (at = next_place(at); registry.grams[at].entry; at = next_place(at)) {
        const struct gram moved = registry.grams[at];
        registry.grams[at] = (struct gram){ 0 };
        put_gram(&moved);
    }
}

/* Behind the line "-----BEGIN …-----", which is no secret. */
static size_t first_secret_byte(const char *value)
{
    const char *end = str_starts(value, "-----BEGIN ") ? strchr(value, '\n') : NULL;
    return end ? (size_t)(end + 1 - value) : 0;
}

/* The entry's number, or the number of entries. */
static size_t find_entry(const char *value, size_t len)
{
    size_t i = 0;
    while (i < registry.n && !(registry.entries[i].value && registry.entries[i].len == len &&
                               memcmp(registry.entries[i].value, value, len) == 0))
        i++;
    return i;
}

static size_t free_entry(void)
{
    size_t i = 0;
    while (i < registry.n && registry.entries[i].value)
        i++;
    if (i == registry.n)
        registry.entries = xreallocarray(registry.entries, ++registry.n, sizeof(*registry.entries));
    return i;
}

/* The entry of a value, which it may be first to have; NULL: it is too short. */
static struct entry *enter(const char *value)
{
    const size_t len = strlen(value);
    if (len < REDACT_MIN || len > UINT32_MAX / 2)
        return NULL;
    size_t i = find_entry(value, len);
    if (i < registry.n)
        return &registry.entries[i];
    i = free_entry();
    registry.entries[i] = (struct entry){ .value = xstrdup(value), .len = len };
    registry.n_used++;
    for (size_t at = first_secret_byte(value); at + GRAM <= len; at += GRAM)
        add_gram(i, at);
    return &registry.entries[i];
}

/* A secret of this value is gone. */
static void leave(const char *value)
{
    size_t i = find_entry(value, strlen(value));
    if (i == registry.n)
        return;
    struct entry *e = &registry.entries[i];
    e->users -= e->users > 0;
    if (e->users > 0)
        return;
    for (size_t at = first_secret_byte(e->value); at + GRAM <= e->len; at += GRAM)
        drop_gram(i, at);
    wipe(STEAL(e->value));
    if (--registry.n_used == 0)
        secret_forget_all();
}

void secret_set(struct secret *s, const char *value, size_t len)
{
    char *copy = xstrndup(value, len);
    struct entry *e = enter(copy);
    if (e)
        e->users++;
    secret_clear(s);
    s->value = copy;
}

bool secret_is_set(const struct secret *s)
{
    return !str_empty(s->value);
}

void secret_clear(struct secret *s)
{
    if (s->value)
        leave(s->value);
    wipe(STEAL(s->value));
}

void secrets_add(struct secrets *list, const char *value)
{
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(list->v[i].value, value))
            return;
    list->v = xreallocarray(list->v, list->n + 1, sizeof(*list->v));
    list->v[list->n] = (struct secret){ 0 };
    secret_set(&list->v[list->n++], value, strlen(value));
}

void secrets_clear(struct secrets *list)
{
    for (size_t i = 0; i < list->n; i++)
        secret_clear(&list->v[i]);
    free(list->v);
    *list = (struct secrets){ 0 };
}

size_t secret_count(void)
{
    return registry.n_used;
}

/* --- looking for them --------------------------------------------------------------------------------------------- */

/* The text, or what a part of it stands for: byte i is made of the text's bytes from[i] to to[i]. */
struct view {
    unsigned char *bytes;
    uint32_t *from, *to; /* NULL: the text itself */
    size_t n;
};

static struct view view_new(size_t size)
{
    return (struct view){ xmalloc(size + 1), xreallocarray(NULL, size + 1, sizeof(uint32_t)),
                          xreallocarray(NULL, size + 1, sizeof(uint32_t)), 0 };
}

static void view_add(struct view *v, const struct view *of, unsigned byte, size_t first, size_t last)
{
    v->bytes[v->n] = (unsigned char)byte;
    v->from[v->n] = of->from ? of->from[first] : (uint32_t)first;
    v->to[v->n] = of->to ? of->to[last] : (uint32_t)last;
    v->n++;
}

static void view_free(struct view *v)
{
    OPENSSL_cleanse(v->bytes, v->n);
    free(v->bytes);
    free(v->from);
    free(v->to);
}

static void mark(const struct view *v, size_t first, size_t end, char *marks)
{
    size_t from = v->from ? v->from[first] : first, to = v->to ? v->to[end - 1] : end - 1;
    memset(marks + from, 1, to - from + 1);
}

/* The end of the longest part of a secret that covers the GRAM bytes at `at`, which it marks; `at`: there is none. */
static size_t mark_parts(const struct view *v, size_t at, uint32_t hash, char *marks)
{
    size_t longest = at;
    for (size_t p = place_of(hash); registry.grams[p].entry; p = (p + 1) & (registry.size - 1)) {
        const struct gram *g = &registry.grams[p];
        const struct entry *e = &registry.entries[g->entry - 1];
        if (g->hash != hash || memcmp(e->value + g->offset, v->bytes + at, GRAM) != 0)
            continue;
        size_t before = 0, end = GRAM;
        while (before < at && before < g->offset &&
               v->bytes[at - before - 1] == (unsigned char)e->value[g->offset - before - 1])
            before++;
        while (at + end < v->n && g->offset + end < e->len &&
               v->bytes[at + end] == (unsigned char)e->value[g->offset + end])
            end++;
        if (before + end < PART_MIN && before + end < e->len && before < g->offset)
            continue;
        mark(v, at - before, at + end, marks);
        longest = at + end > longest ? at + end : longest;
    }
    return longest;
}

static void look(const struct view *v, char *marks)
{
    uint32_t hash = 0, power = 1;
    for (size_t i = 0; i < registry.n; i++) {
        const struct entry *e = &registry.entries[i];
        const unsigned char *at = v->bytes, *found;
        while (e->value && e->len < GRAM &&
               (found = memmem(at, v->n - (size_t)(at - v->bytes), e->value, e->len)) != NULL) {
            mark(v, (size_t)(found - v->bytes), (size_t)(found - v->bytes) + e->len, marks);
            at = found + e->len;
        }
    }
    if (v->n < GRAM || registry.n_grams == 0)
        return;
    for (size_t i = 0; i < GRAM; i++)
        power *= HASH_BASE;
    hash = hash_of(v->bytes);
    for (size_t at = 0; at + GRAM <= v->n;) {
        size_t end = mark_parts(v, at, hash, marks);
        if (end > at + GRAM) { /* another secret may begin in the last bytes of this one */
            at = end - GRAM + 1;
            if (at + GRAM <= v->n)
                hash = hash_of(v->bytes + at);
            continue;
        }
        if (at + GRAM < v->n)
            hash = hash * HASH_BASE + v->bytes[at + GRAM] - v->bytes[at] * power;
        at++;
    }
}

static int hex_value(unsigned char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* The number that n digits of hexadecimal are, or -1. */
static int hex_number(const struct view *v, size_t at, size_t n)
{
    int number = 0;
    for (size_t i = 0; i < n; i++) {
        int digit = at + i < v->n ? hex_value(v->bytes[at + i]) : -1;
        if (digit < 0)
            return -1;
        number = number * 16 + digit;
    }
    return number;
}

/* The character that an escape of a URL (%2F), of JSON (\/, \u002f) or of XML (&#47;, &#x2f;, &amp;) at `at` stands
 * for, or -1. *ret_len: of the escape. */
static int escaped(const struct view *v, size_t at, size_t *ret_len)
{
    static const struct {
        const char *name;
        int c;
    } names[] = { { "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' }, { "&quot;", '"' }, { "&apos;", '\'' } };
    const unsigned char *s = v->bytes + at;
    size_t left = v->n - at;
    int number = -1;
    if (*s == '%') {
        *ret_len = 3;
        return hex_number(v, at + 1, 2);
    }
    if (*s == '\\' && left > 1) {
        *ret_len = s[1] == 'u' ? 6 : 2;
        return s[1] == 'u' ? hex_number(v, at + 2, 4) : s[1] == 'n' ? '\n' : s[1] == 't' ? '\t' : s[1];
    }
    for (size_t i = 0; *s == '&' && i < ARRAY_SIZE(names); i++) {
        *ret_len = strlen(names[i].name);
        if (left >= *ret_len && memcmp(s, names[i].name, *ret_len) == 0)
            return names[i].c;
    }
    if (*s != '&' || left < 4 || s[1] != '#')
        return -1;
    bool hex = (s[2] | 0x20) == 'x';
    size_t end = hex ? 3 : 2;
    for (; end < left && end < 10 && s[end] != ';'; end++) {
        int digit = hex_value(s[end]);
        if (digit < 0 || (!hex && digit > 9))
            return -1;
        number = (number < 0 ? 0 : number) * (hex ? 16 : 10) + digit;
    }
    *ret_len = end + 1;
    return end < left && s[end] == ';' && number < 128 ? number : -1;
}

static void look_deeper(const struct view *v, char *marks, unsigned layers);

static void look_behind_escapes(const struct view *v, char *marks, unsigned layers)
{
    size_t escapes = 0, len = 0;
    for (size_t i = 0; i < v->n; i++)
        escapes += v->bytes[i] == '%' || v->bytes[i] == '\\' || v->bytes[i] == '&';
    if (escapes == 0)
        return;
    struct view plain = view_new(v->n);
    for (size_t i = 0; i < v->n; i += len) {
        int c = escaped(v, i, &len);
        if (c < 0 || c > 255) {
            c = v->bytes[i];
            len = 1;
        }
        view_add(&plain, v, (unsigned)c, i, i + len - 1);
    }
    if (plain.n < v->n)
        look_deeper(&plain, marks, layers);
    view_free(&plain);
}

/* Both alphabets of RFC 4648. */
static int base64_value(unsigned char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+' || c == '-' ? 62
           : c == '/' || c == '_' ? 63
                                  : -1;
}

/* A word of base64, read from each of the four places in which a part of one can begin. */
static void look_into_base64(const struct view *v, size_t start, size_t end, char *marks, unsigned layers)
{
    for (size_t skip = 0; skip < 4; skip++) {
        struct view plain = view_new((end - start) / 4 * 3 + 3);
        unsigned bits = 0, held = 0;
        for (size_t i = start + skip; i < end; i++) {
            bits = (bits << 6 | (unsigned)base64_value(v->bytes[i])) & 0xffff;
            held += 6;
            if (held >= 8) {
                held -= 8;
                view_add(&plain, v, bits >> held & 0xff, i - 1, i);
            }
        }
        look_deeper(&plain, marks, layers);
        view_free(&plain);
    }
}

static void look_deeper(const struct view *v, char *marks, unsigned layers)
{
    look(v, marks);
    if (layers == 0)
        return;
    look_behind_escapes(v, marks, layers - 1);
    for (size_t start = 0, end; start < v->n; start = end + 1) {
        for (end = start; end < v->n && base64_value(v->bytes[end]) >= 0; end++)
            ;
        if (end - start >= RUN_MIN)
            look_into_base64(v, start, end, marks, layers - 1);
    }
}

void secret_redact(struct strbuf *sb)
{
    if (registry.n_used == 0 || sb->len == 0)
        return;
    AUTO_FREE char *marks = xcalloc(sb->len, 1);
    for (size_t start = 0;; start += window - overlap) {
        size_t left = sb->len - start;
        const struct view text = { .bytes = (unsigned char *)sb->data + start, .n = left < window ? left : window };
        look_deeper(&text, marks + start, LAYERS);
        if (left <= window)
            break;
    }
    size_t at = 0;
    for (size_t i = 0; i < sb->len;) {
        if (!marks[i]) {
            sb->data[at++] = sb->data[i++];
            continue;
        }
        for (size_t stars = 0; i < sb->len && marks[i]; i++)
            if (stars++ < 3)
                sb->data[at++] = '*';
    }
    memset(sb->data + at, 0, sb->len - at);
    sb->len = at;
}

void secret_protect_process(void)
{
    const struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

void secret_forget_all(void)
{
    for (size_t i = 0; i < registry.n; i++)
        wipe(registry.entries[i].value);
    free(registry.entries);
    free(registry.grams);
    memset(&registry, 0, sizeof(registry));
}
