#include "mayfly/cmd/cmd.h"

const struct command *const commands[] = { &command_start, &command_stop,   &command_reap,   &command_status,
                                           &command_bake,  &command_doctor, &command_policy, NULL };
