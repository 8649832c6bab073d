#include "mayfly/net/retry.h"

int64_t retry_decide(const struct retry_policy *policy, enum retry_class class, unsigned attempt, int64_t server_ms,
                     uint32_t random)
{
    if (class == RETRY_WAIT)
        return server_ms;
    unsigned max = class == RETRY_THROTTLE ? policy->max_attempts * 2 : policy->max_attempts;
    if (class == RETRY_NEVER || attempt >= max || server_ms > policy->server_cap_ms)
        return -1;
    if (class == RETRY_NOW)
        return 0;
    int64_t base = class == RETRY_THROTTLE ? policy->throttle_ms : policy->base_ms;
    int64_t limit = base;
    for (unsigned i = 1; i < attempt && limit < policy->cap_ms; i++)
        limit *= 2;
    if (limit > policy->cap_ms)
        limit = policy->cap_ms;
    int64_t jitter = (int64_t)((uint64_t)limit * random >> 32);
    return server_ms > 0 ? server_ms + jitter : jitter;
}
