/* Could somebody else have written this file: a pull request, another user? */
#ifndef MAYFLY_UTIL_TRUST_H
#define MAYFLY_UTIL_TRUST_H

#include "mayfly/util/base.h"

/* Why the file cannot be trusted, owned, for a message ("it is in $GITHUB_WORKSPACE"); NULL: it can. Not trusted is
 *   - what is in the directory that a CI system checks out to, or, where CI is set, in the current directory;
 *   - what is in a work tree: .git, .hg or .svn is in a directory above it (but for files of root in /etc, which some
 *     keep in git);
 *   - what belongs to a user other than this one and root, or can be written by its group or others, as the directory
 *     that it is in (unless that is sticky, or on a read-only file system, as those of a ConfigMap);
 *   - what nobody can find, like a pipe.
 * Every symbolic link on the way counts like the file that it leads to. */
char *trust_doubt(const char *path, const char *(*getenv_fn)(const char *name));

#endif
