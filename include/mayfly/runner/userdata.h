/* The user-data of a runner's instance: a block of shell-quoted assignments, then ami/boot.sh; compressed where it
 * would be too long, which cloud-init and mayfly-agent undo. Pure. */
#ifndef MAYFLY_RUNNER_USERDATA_H
#define MAYFLY_RUNNER_USERDATA_H

#include "mayfly/runner/tags.h"

enum {
    USERDATA_MAX = 16384,        /* EC2's limit, in bytes before base64 */
    USERDATA_JIT_RESERVE = 6144, /* counted for the configuration before it is known; 4 to 4.7 KB are seen */
};

struct userdata {    /* borrowed; NULL counts as empty */
    const char *jit; /* the encoded configuration */
    const char *runner_name;
    const char *runner_url, *runner_sha256; /* for an image without the runner */
    const char *runner_dir, *user;
    const char *pre_runner;         /* a bash script, as it is */
    const struct strlist *packages; /* or NULL */
    struct limits limits;
    bool debug;
};

/* Appends the script. */
void userdata_render(struct strbuf *out, const struct userdata *u);
/* Appends what EC2 gets of a script: itself, or, when it is longer than EC2 takes, gzip of it. */
void userdata_pack(struct strbuf *out, const struct strbuf *script);
/* The size of what EC2 gets, at most; a configuration of USERDATA_JIT_RESERVE bytes is counted when u->jit is NULL. */
size_t userdata_size(const struct userdata *u);
/* The longest configuration, in base64, that there is room for with the longest of runner names, in bytes. */
size_t userdata_room(const struct userdata *u);
/* Does it fit, by userdata_size? */
MUST_CHECK bool userdata_check(const struct userdata *u, struct error *err);
/* Appends s as one single-quoted word of POSIX shell. */
void userdata_quote(struct strbuf *out, const char *s);

#endif
