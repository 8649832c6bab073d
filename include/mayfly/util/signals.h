/* Which signals end a command in good order, and which do nothing. */
#ifndef MAYFLY_UTIL_SIGNALS_H
#define MAYFLY_UTIL_SIGNALS_H

#include <signal.h>

#include "mayfly/util/base.h"

/* Blocks the signals that end a command, ignores those that mean nothing to it, and returns a descriptor that is
 * readable once one of the former has come; -1: there is none. */
int signals_open(void);
/* Those that signals_open ignores: a child that is started gets their defaults again. */
void signals_ignored(sigset_t *ret);

#endif
