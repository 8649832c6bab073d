/* What is made of the option tables besides --help: manual pages and completions. */
#ifndef MAYFLY_CMD_MANUAL_H
#define MAYFLY_CMD_MANUAL_H

#include "mayfly/cmd/cmd.h"

/* Prints a page in man(7): of a command, or, for NULL, of the program. */
void manual_print(const struct command *command);
/* Prints the completion script of "bash", "zsh" or "fish". False: another shell. */
bool completion_print(const char *shell);

#endif
