#include "mayfly/util/base.h"

#include <stdio.h>

static char last_words[512];

void oom_explain(const char *text)
{
    snprintf(last_words, sizeof(last_words), "%s", text);
}

_Noreturn void oom(void)
{
    fputs("mayfly: out of memory\n", stderr);
    if (*last_words)
        fprintf(stderr, "hint: %s\n", last_words); /* stderr has no buffer to allocate */
    abort();
}

void *xmalloc(size_t size)
{
    return must(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return must(calloc(count ? count : 1, size ? size : 1));
}

void *xreallocarray(void *p, size_t count, size_t size)
{
    return must(reallocarray(p, count ? count : 1, size ? size : 1));
}

char *xstrdup(const char *s)
{
    return must(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
    return must(strndup(s, n));
}

char *xvasprintf(const char *fmt, va_list ap)
{
    char *s = NULL;
    if (vasprintf(&s, fmt, ap) < 0)
        oom();
    return s;
}

char *xasprintf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = xvasprintf(fmt, ap);
    va_end(ap);
    return s;
}

void str_set(char **p, const char *s)
{
    char *copy = s ? xstrdup(s) : NULL;
    free(*p);
    *p = copy;
}

bool str_eq(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

void base_free_pointer(void *p)
{
    void **pointer = p;
    free(*pointer);
    *pointer = NULL;
}

bool str_is_one_of(const char *s, const char *words)
{
    size_t len = strlen(s);
    while (words) {
        size_t n = strcspn(words, " ");
        if (n == len && len > 0 && memcmp(words, s, n) == 0)
            return true;
        words = words[n] ? words + n + 1 : NULL;
    }
    return false;
}
