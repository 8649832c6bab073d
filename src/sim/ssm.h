/* SSM's parameters. */
#ifndef MAYFLY_SIM_SSM_H
#define MAYFLY_SIM_SSM_H

#include "http.h"
#include "sim.h"

struct parameter {
    char *region, *name, *value, *type, *data_type, *description;
    int64_t version, modified; /* simulated ms */
};

struct parameter *ssm_find(const struct sim *s, const char *region, const char *name);
/* Makes a parameter, or gives it a new version; type NULL: the one it has. */
struct parameter *ssm_put(struct sim *s, const char *region, const char *name, const char *type, const char *value);
void ssm_remove(struct sim *s, struct parameter *p);
void ssm_clear(struct sim *s);
void ssm_serve(struct sim *s, const struct request *r, struct response *res);

#endif
