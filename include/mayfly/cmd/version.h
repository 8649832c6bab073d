/* What `mayfly --version` prints. */
#ifndef MAYFLY_CMD_VERSION_H
#define MAYFLY_CMD_VERSION_H

/*
 * Prints a line "mayfly VERSION (COMMIT)", for programs too: the commit is left out where the build did not know it,
 * and ends in -dirty where files differed from it. Then a line "LIBRARY VERSION" for each library, as it is loaded now.
 */
void version_print(void);

#endif
