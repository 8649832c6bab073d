/* Files that people name: what is opened to be read or written is a file, a device or a pipe that answers in time, and
 * nothing is written through a symbolic link that somebody else may have put there. */
#ifndef MAYFLY_UTIL_FILE_H
#define MAYFLY_UTIL_FILE_H

#include <sys/types.h>

#include "mayfly/util/strbuf.h"

enum { FILE_WAIT_MS = 5000 }; /* for the other end of a pipe, without a byte */

enum file_kind {
    FILE_NONE, /* there is none yet */
    FILE_REGULAR,
    FILE_STREAM, /* a device or a pipe: written as it is, neither replaced nor cut */
};

enum file_mode { FILE_APPEND, FILE_REPLACE };

/* What is at a path that will be written; *ret_target: the path itself, or where its symbolic link leads, owned. A
 * directory, a socket, a disk, and a link that is not to be followed are errors. */
MUST_CHECK bool file_look(const char *path, const char *what, enum file_kind *ret_kind, char **ret_target,
                          struct error *err);

/* Opens a file to be written, which is made with `mode` if there is none. A link is followed where it and the file
 * belong to this user, or the link to root and it leads to a device or a pipe (/dev/stdout). FILE_REPLACE empties a
 * regular file. Nobody reads a pipe: an error. The caller closes *ret_fd. */
MUST_CHECK bool file_open(const char *path, const char *what, enum file_mode how, mode_t mode, int *ret_fd,
                          struct error *err);
/* Writes all of it, with errno set where it returns false: ETIMEDOUT where a pipe took nothing for FILE_WAIT_MS. */
MUST_CHECK bool file_write(int fd, const void *bytes, size_t len);
/* Puts a file with these bytes and this mode in the place of what is there: nobody ever sees a part of it. Of a path
 * that file_look has resolved, or of a directory that only this user writes to. */
MUST_CHECK bool file_swap(const char *path, const char *what, mode_t mode, const void *bytes, size_t len,
                          struct error *err);
/* Opens, writes and closes. */
MUST_CHECK bool file_put(const char *path, const char *what, enum file_mode how, mode_t mode, const void *bytes,
                         size_t len, struct error *err);

#endif
