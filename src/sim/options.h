/* The options of mayfly-sim. */
#ifndef MAYFLY_SIM_OPTIONS_H
#define MAYFLY_SIM_OPTIONS_H

#include <stdio.h>

#include "mayfly/util/error.h"
#include "mayfly/util/strbuf.h"

struct options {
    char *instances, *port_file, *env_file, *state_dir, *faults, *run_rate, *app_key, *app_public_key;
    struct strlist repos;
    uint64_t port, boot, online, idle_removal, terminate_delay, image_delay, bake, rate_limit, mint_rate,
        credential_life;
    int64_t app_token_life;
    bool no_auth, verbose, help, version;
};

/* Fills what is all zero; args: argv without the program's name. */
bool options_parse(char *const *args, struct options *ret, struct error *err);
void options_help(FILE *out);
void options_clear(struct options *o);

#endif
