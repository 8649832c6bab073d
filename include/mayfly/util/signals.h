/* Which signals end a command in good order, and which do nothing. */
#ifndef MAYFLY_UTIL_SIGNALS_H
#define MAYFLY_UTIL_SIGNALS_H

#include <signal.h>

#include "mayfly/util/base.h"

/* Blocks the signals that end a command, ignores those that mean nothing to it, and returns a descriptor that is
 * readable once one of the former has come; -1: there is none. */
int signals_open(void);
/* Takes what has come, so that the descriptor is readable again only by what comes later. Returns the last, 0: none. */
int signals_take(int fd);
/* Makes the descriptor readable as if this one had just come. */
void signals_put_back(int signal);
/* Those that signals_open ignores: a child that is started gets their defaults again. */
void signals_ignored(sigset_t *ret);

#endif
