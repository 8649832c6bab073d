#include "mayfly/util/strbuf.h"

#include <openssl/crypto.h>

static void wipe_free(struct strbuf *sb)
{
    if (sb->secret && sb->data)
        OPENSSL_cleanse(sb->data, sb->size);
    free(sb->data);
}

static void grow(struct strbuf *sb, size_t need)
{
    if (need <= sb->size)
        return;
    size_t size = sb->size ? sb->size : 64;
    while (size < need)
        size *= 2;
    char *data;
    if (sb->secret) { /* realloc would leave a copy behind */
        data = xmalloc(size);
        if (sb->len)
            memcpy(data, sb->data, sb->len);
        wipe_free(sb);
    } else {
        data = xreallocarray(sb->data, size, 1);
    }
    sb->data = data;
    sb->size = size;
}

void strbuf_add(struct strbuf *sb, const void *bytes, size_t len)
{
    if (len > sb->max - sb->len) {
        sb->overflow = true;
        len = sb->max - sb->len;
    }
    grow(sb, sb->len + len + 1);
    if (len)
        memcpy(sb->data + sb->len, bytes, len);
    sb->len += len;
    sb->data[sb->len] = '\0';
}

void strbuf_adds(struct strbuf *sb, const char *s)
{
    strbuf_add(sb, s, strlen(s));
}

void strbuf_addc(struct strbuf *sb, char c)
{
    strbuf_add(sb, &c, 1);
}

void strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list ap)
{
    AUTO_FREE char *s = xvasprintf(fmt, ap);
    strbuf_adds(sb, s);
    if (sb->secret)
        OPENSSL_cleanse(s, strlen(s));
}

void strbuf_addf(struct strbuf *sb, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    strbuf_vaddf(sb, fmt, ap);
    va_end(ap);
}

void strbuf_truncate(struct strbuf *sb, size_t len)
{
    if (len < sb->len) {
        sb->len = len;
        sb->data[len] = '\0';
    }
}

const char *strbuf_str(const struct strbuf *sb)
{
    return sb->data ? sb->data : "";
}

char *strbuf_steal(struct strbuf *sb)
{
    if (!sb->data)
        strbuf_add(sb, "", 0);
    char *s = STEAL(sb->data);
    sb->len = sb->size = 0;
    return s;
}

void strbuf_clear(struct strbuf *sb)
{
    wipe_free(sb);
    *sb = (struct strbuf){ .max = sb->max, .secret = sb->secret };
}

void strlist_add(struct strlist *l, const char *s)
{
    if ((l->n & (l->n - 1)) == 0) /* the capacity is at least the next power of two */
        l->v = xreallocarray(l->v, l->n ? 2 * l->n : 1, sizeof(*l->v));
    l->v[l->n++] = xstrdup(s);
}

void strlist_copy(struct strlist *to, const struct strlist *from)
{
    for (size_t i = 0; i < from->n; i++)
        strlist_add(to, from->v[i]);
}

void strlist_split(struct strlist *l, const char *s, const char *seps)
{
    while (*s) {
        size_t n = strcspn(s, seps);
        size_t from = 0, to = n;
        while (from < to && strchr(" \t\r\n", s[from]))
            from++;
        while (to > from && strchr(" \t\r\n", s[to - 1]))
            to--;
        if (to > from) {
            AUTO_FREE char *part = xstrndup(s + from, to - from);
            strlist_add(l, part);
        }
        s += n;
        if (*s)
            s++;
    }
}

bool strlist_has(const struct strlist *l, const char *s)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_eq(l->v[i], s))
            return true;
    return false;
}

char *strlist_join(const struct strlist *l, const char *sep)
{
    AUTO_STRBUF sb = STRBUF_INIT;
    for (size_t i = 0; i < l->n; i++) {
        if (i)
            strbuf_adds(&sb, sep);
        strbuf_adds(&sb, l->v[i]);
    }
    return strbuf_steal(&sb);
}

void strlist_clear(struct strlist *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
    *l = (struct strlist){ 0 };
}
