/* Signature Version 4, checked. */
#ifndef MAYFLY_SIM_VERIFY_H
#define MAYFLY_SIM_VERIFY_H

#include "http.h"
#include "sim.h"

/* True when the request is signed as it should be; else *ret_code, *ret_message and *ret_status say what AWS would.
 * *ret_region is owned, and NULL when the credential names none. */
bool verify_signature(const struct sim *s, const struct request *r, char **ret_region, const char **ret_code,
                      const char **ret_message, int *ret_status);
/* A part of the credential scope, owned; NULL: there is none. */
enum scope_part { SCOPE_KEY = 0, SCOPE_REGION = 2, SCOPE_SERVICE = 3 };
char *verify_scope(const struct request *r, enum scope_part which);

#endif
