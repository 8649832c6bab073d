/* A lock file: one process at a time, until it releases the lock or dies, whatever the way. */
#ifndef MAYFLY_UTIL_LOCK_H
#define MAYFLY_UTIL_LOCK_H

#include "mayfly/util/error.h"

/* Takes the lock (flock(2)) of the file, which is made if need be (mode 0644), and writes our process id into it; never
 * waits, never deletes the file, follows no symbolic link. Refuses a file that is not this user's alone or that holds
 * something else than a process id. When another process has it: an error that is worth trying later and names that
 * process. *ret_fd: for lock_release. */
MUST_CHECK bool lock_take(const char *path, int *ret_fd, struct error *err);
/* For CLEANUP; a negative number is none. */
void lock_release(int *fd);

#endif
