/* What the unit tests share. */
#ifndef MAYFLY_TESTS_TESTING_H
#define MAYFLY_TESTS_TESTING_H

#include <check.h>

#include "mayfly/util/error.h"

/* Runs one suite; the exit status of main. */
static inline int run_suite(const char *name, TCase *(*const *cases)(void), size_t n)
{
    Suite *s = suite_create(name);
    for (size_t i = 0; i < n; i++)
        suite_add_tcase(s, cases[i]());
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}

/* The environment of a case: NAME, value, NAME, value, …, NULL; for functions that take a getenv. */
static const char *const *environment UNUSED;
#define ENV(...) ((const char *const[]){ __VA_ARGS__, NULL })

static inline const char *fake_getenv(const char *name)
{
    for (size_t i = 0; environment[i]; i += 2)
        if (str_eq(environment[i], name))
            return environment[i + 1];
    return NULL;
}

/* The call succeeded. */
#define ASSERT_OK(call, err)                                                                                           \
    do {                                                                                                               \
        bool ok_ = (call);                                                                                             \
        ck_assert_msg(ok_, "%s: %s", #call, (err)->message ? (err)->message : "no message");                           \
    } while (0)

/* The call failed with a message that holds the text; clears the error. */
#define ASSERT_FAILS(call, err, text)                                                                                  \
    do {                                                                                                               \
        ck_assert_msg(!(call), "%s succeeded", #call);                                                                 \
        ck_assert_msg(strstr((err)->message, text) != NULL, "%s: the message is: %s", #call, (err)->message);          \
        error_clear(err);                                                                                              \
    } while (0)

#endif
