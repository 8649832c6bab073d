#include "mayfly/runner/bake_part.h"

#include "mayfly/aws/errors.h"
#include "mayfly/crypto/crypto.h"

enum {
    EASE_MIN_MS = 300,
    EASE_MAX_MS = 10000,
    UNSEEN_MS = 60000, /* what was made a moment ago may be unknown to a part of EC2 this long */
};

bool bake_is_copy(const struct bake_part *p)
{
    return p->n > 0;
}

void bake_tell(const struct bake_part *p, const char *what)
{
    p->config->tell(p->config->ctx, bake_is_copy(p) ? p->region : "image", what);
}

void bake_ask(const struct bake_part *p, struct acts *acts, struct act act)
{
    act.part = p->n;
    act.region = p->region;
    acts_add(acts, act);
}

void bake_wake_at(int64_t *wake, int64_t when)
{
    if (when < *wake)
        *wake = when;
}

bool bake_is_unseen(const char *call, const struct error *err, int64_t now, int64_t *until)
{
    if (!aws_is_unseen(call, err))
        return false;
    if (*until == 0)
        *until = now + UNSEEN_MS;
    return now < *until;
}

int64_t bake_ease(int64_t passed)
{
    return passed / 10 < EASE_MIN_MS ? EASE_MIN_MS : passed / 10 > EASE_MAX_MS ? EASE_MAX_MS : passed / 10;
}

char *bake_client_token(const char *input)
{
    AUTO_STRBUF token = STRBUF_INIT;
    crypto_sha256_hex(&token, input, strlen(input));
    strbuf_truncate(&token, 40);
    return xasprintf("mf-%s", strbuf_str(&token));
}

void bake_add_leftover(struct strbuf *text, const char *what, const char *id, const struct error *why)
{
    AUTO_FREE char *formatted = why->domain ? error_format(why) : NULL;
    strbuf_addf(text, "%s%s %s%s%s", text->len ? "; " : "", what, id, formatted ? ": " : "",
                formatted ? formatted : "");
}
