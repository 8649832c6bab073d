/* GitHub's REST API. */
#ifndef MAYFLY_SIM_GITHUB_H
#define MAYFLY_SIM_GITHUB_H

#include "http.h"
#include "sim.h"

enum { SIM_TOKEN_LEN = 520 };

/* "ghs_…", opaque, of the length GitHub's have had since 2026: with dots and underscores. Owned. */
char *github_new_token(void);
void github_serve(struct sim *s, const struct request *r, struct response *res);
/* What every answer of GitHub carries. */
void github_finish(struct sim *s, const struct request *r, struct response *res);
/* The name by which faults and the log know a request to GitHub; owned. */
char *github_action(const struct request *r);

#endif
