/* Time and ids. */
#include "sim.h"

#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"

const char sim_account[] = "123456789012";

int64_t sim_now(const struct sim *s)
{
    return env_now(&env_system) + s->offset;
}

char *sim_random_id(const char *prefix, size_t hex_digits)
{
    uint8_t random[32];
    AUTO_STRBUF id = STRBUF_INIT;
    env_system.random(NULL, random, sizeof(random));
    strbuf_adds(&id, prefix);
    encode_hex(&id, random, (hex_digits + 1) / 2);
    strbuf_truncate(&id, strlen(prefix) + hex_digits);
    return strbuf_steal(&id);
}

bool sim_is_seen(const struct sim *s, int64_t since, int64_t lag)
{
    return since == 0 || sim_now(s) >= since + lag;
}
