/* The App's JSON web tokens. */
#ifndef MAYFLY_SIM_GITHUB_JWT_H
#define MAYFLY_SIM_GITHUB_JWT_H

#include "sim.h"

extern const char app_client_id[];

/* NULL when the token is as it should be; else what GitHub says, static, and *ret_status. */
const char *jwt_judge(const struct sim *s, const char *jwt, int *ret_status);

#endif
