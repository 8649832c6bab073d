/* Where the user's own files are. */
#ifndef MAYFLY_UTIL_HOME_H
#define MAYFLY_UTIL_HOME_H

#include "mayfly/util/base.h"

/* HOME; where that is unset, as in services and cron jobs, or not an absolute path, the home of the password database;
 * owned, or NULL. */
char *home_directory(const char *(*getenv_fn)(const char *));
/* A path as a shell reads it that splits no words: $NAME and ${NAME} of variables that are set, and then `~/` in front;
 * owned. */
char *home_expand(const char *path, const char *(*getenv_fn)(const char *));

#endif
