/* Rows are pointers that an array owns. */
#ifndef MAYFLY_SIM_ROWS_H
#define MAYFLY_SIM_ROWS_H

#include <string.h>

#include "mayfly/util/base.h"

/* Adds a row. */
#define ROW_ADD(array, n, row)                                                                                         \
    do {                                                                                                               \
        (array) = xreallocarray((array), (n) + 1, sizeof(*(array)));                                                   \
        (array)[(n)++] = (row);                                                                                        \
    } while (0)
/* Takes a row out and gives it to drop(). */
#define ROW_REMOVE(array, n, row, drop)                                                                                \
    do {                                                                                                               \
        size_t at_ = 0;                                                                                                \
        while (at_ < (n) && (array)[at_] != (row))                                                                     \
            at_++;                                                                                                     \
        if (at_ < (n)) {                                                                                               \
            (n)--;                                                                                                     \
            memmove(&(array)[at_], &(array)[at_ + 1], ((n)-at_) * sizeof(*(array)));                                   \
            drop(row);                                                                                                 \
        }                                                                                                              \
    } while (0)
/* The row with this id, or NULL. */
#define ROW_FIND(array, n, key)                                                                                        \
    __extension__({                                                                                                    \
        __typeof__(*(array)) found_ = NULL;                                                                            \
        for (size_t at_ = 0; (key) && !found_ && at_ < (n); at_++)                                                     \
            if (str_eq((array)[at_]->id, (key)))                                                                       \
                found_ = (array)[at_];                                                                                 \
        found_;                                                                                                        \
    })

/* Gives every row to drop(), and makes the array empty. */
#define ROW_CLEAR(array, n, drop)                                                                                      \
    do {                                                                                                               \
        for (size_t at_ = 0; at_ < (n); at_++)                                                                         \
            drop((array)[at_]);                                                                                        \
        base_free_pointer(&(array));                                                                                   \
        (array) = NULL;                                                                                                \
        (n) = 0;                                                                                                       \
    } while (0)

#endif
