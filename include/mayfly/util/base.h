/* Memory, cleanup and the few macros that every module uses.
 *
 * Running out of memory ends the process, here and nowhere else: no caller checks an allocation. Constructors of
 * libraries that return NULL only for lack of memory are wrapped in must(). */
#ifndef MAYFLY_UTIL_BASE_H
#define MAYFLY_UTIL_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Run `fn(&variable)` when the variable goes out of scope. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))
/* free() at the end of the scope. */
#define AUTO_FREE CLEANUP(base_free_pointer)

/* The value of an owning pointer, which is NULL afterwards: hands ownership over. */
#define STEAL(p)                                                                                                       \
    __extension__({                                                                                                    \
        __typeof__(p) *steal_from_ = &(p);                                                                             \
        __typeof__(p) stolen_ = *steal_from_;                                                                          \
        *steal_from_ = NULL;                                                                                           \
        stolen_;                                                                                                       \
    })

/* Prints one line and aborts. */
_Noreturn void oom(void);
/* What a person has to know if memory runs out from now on: it can be printed, and nothing can be undone. "": nothing.
 */
void oom_explain(const char *text);

/* The pointer itself; NULL means out of memory and ends the process. For library constructors. */
#define must(p)                                                                                                        \
    __extension__({                                                                                                    \
        __typeof__(p) must_ = (p);                                                                                     \
        if (must_ == NULL)                                                                                             \
            oom();                                                                                                     \
        must_;                                                                                                         \
    })

/* The libc functions of the same names that never return NULL; sizes that overflow end the process too. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xreallocarray(void *p, size_t count, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) PRINTF_LIKE(1, 2);
char *xvasprintf(const char *fmt, va_list ap) PRINTF_LIKE(1, 0);

/* Replaces the owned string at *p by a copy of s (s may be NULL, or *p itself). */
void str_set(char **p, const char *s);

/* NULL-safe: two NULLs are equal. */
bool str_eq(const char *a, const char *b);
/* NULL counts as empty. */
static inline bool str_empty(const char *s)
{
    return s == NULL || *s == '\0';
}
/* Nothing but blanks and line breaks counts as not given, wherever a setting comes from. */
static inline bool str_blank(const char *s)
{
    return s == NULL || s[strspn(s, " \t\r\n")] == '\0';
}
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
/* Is s one of the words, which are separated by single spaces? */
bool str_is_one_of(const char *s, const char *words);

/* For CLEANUP: frees *(void **)p. */
void base_free_pointer(void *p);

#include "mayfly/util/banned.h"

#endif
