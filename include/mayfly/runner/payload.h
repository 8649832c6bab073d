/* The user-data of a bake: for the builder one script, gzipped, that unpacks the recipe (ami/, which the build embeds)
 * and runs it; for the smoke boot a script that looks at the image. Pure. */
#ifndef MAYFLY_RUNNER_PAYLOAD_H
#define MAYFLY_RUNNER_PAYLOAD_H

#include "mayfly/runner/userdata.h"

enum { OWN_RECIPE_MAX = 65536 /* bytes of a recipe of one's own */, NONCE_CHARS = 26 };

struct payload {                 /* borrowed; NULL counts as empty */
    const char *nonce;           /* characters that nobody can guess; the builder's console says it when all is done */
    const char *name, *arch;     /* of the image; "amd64" or "arm64" */
    const struct strlist *steps; /* in order; "own-1" is the first recipe of one's own */
    const struct strlist *own;   /* the recipes of one's own: sh scripts */
    const char *runner_url, *runner_sha256; /* else those of ami/versions */
    int64_t life;                           /* seconds, after which the builder powers off */
    bool debug;
};

/* Is it a step of the recipe, or of one's own? */
bool payload_has_step(const char *step, size_t n_own);
/* The names of the recipe's steps, for a person; owned. */
char *payload_steps(void);
/* A value of ami/versions, owned; NULL: there is none of this name. */
char *payload_version(const char *name);

/* The recipe as gzipped sh script that wants the assignments from its environment: what --payload writes. */
void payload_recipe(struct strbuf *out, const struct payload *p);
/* The whole, gzipped. */
void payload_render(struct strbuf *out, const struct payload *p);
/* A script that has the assignments, and fetches and checks a recipe that payload_recipe wrote. url: https. sha256: 64
 * hexadecimal digits. */
void payload_fetch(struct strbuf *out, const struct payload *p, const char *url, const char *sha256);
/* The script of the smoke boot. */
void payload_smoke(struct strbuf *out, const struct payload *p);

#endif
