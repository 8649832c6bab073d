/* Temporary credentials that somebody was given: only these are accepted by the services, until they expire. */
#include "issued.h"
#include "sim.h"

enum { ISSUED_MAX = 1000, TOKEN_LEN = 900 };

const struct issued *issued_find(const struct sim *s, const char *access_key)
{
    for (size_t i = 0; i < s->n_issued; i++)
        if (str_eq(s->issued[i].access_key, access_key))
            return &s->issued[i];
    return NULL;
}

/* As long as a real one. */
char *issued_token(const char *prefix)
{
    AUTO_STRBUF token = STRBUF_INIT;
    strbuf_adds(&token, prefix);
    while (token.len < TOKEN_LEN) {
        AUTO_FREE char *part = sim_random_id("", 64);
        strbuf_adds(&token, part);
    }
    return strbuf_steal(&token);
}

const struct issued *issued_add(struct sim *s, const char *role, const char *session, int64_t seconds)
{
    if (s->n_issued == ISSUED_MAX)
        issued_clear(s);
    s->issued = xreallocarray(s->issued, s->n_issued + 1, sizeof(*s->issued));
    struct issued *i = &s->issued[s->n_issued++];
    *i = (struct issued){ .access_key = sim_random_id("ASIA", 16),
                          .secret_key = sim_random_id("", 40),
                          .session_token = issued_token("IQoJ"),
                          .arn = xasprintf("arn:aws:sts::%s:assumed-role/%s/%s", sim_account, role, session),
                          .expires =
                              sim_now(s) + (s->options.credential_life ? s->options.credential_life : seconds) * 1000 };
    return i;
}

void issued_clear(struct sim *s)
{
    for (size_t i = 0; i < s->n_issued; i++) {
        free(s->issued[i].access_key);
        free(s->issued[i].secret_key);
        free(s->issued[i].session_token);
        free(s->issued[i].arn);
    }
    free(s->issued);
    s->issued = NULL;
    s->n_issued = 0;
}
