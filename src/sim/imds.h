/* The instance metadata service. */
#ifndef MAYFLY_SIM_IMDS_H
#define MAYFLY_SIM_IMDS_H

#include "http.h"
#include "sim.h"
#include "world_instances.h"

void imds_serve(struct sim *s, const struct request *r, struct response *res);
/* As it was given, be it gzipped. */
void imds_user_data(const struct instance *i, struct response *res);
enum { USER_SCRIPT_MAX = 1 << 20 };
/* What cloud-init or mayfly-agent make of the user-data; false: it cannot be decompressed into the buffer. */
bool instance_script(const struct instance *i, struct strbuf *script);

#endif
