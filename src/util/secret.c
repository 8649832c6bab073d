#include "mayfly/util/secret.h"

#include <openssl/crypto.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* Shorter values are common substrings: replacing them would garble every log line and hide nothing. */
enum { REDACT_MIN = 6 };

static struct strlist registered;

static void wipe(char *s)
{
    if (s) {
        OPENSSL_cleanse(s, strlen(s));
        free(s);
    }
}

/* The longest first: where one secret begins another, the rest of the longer one must not stay to be read. */
static void enlist(const char *value)
{
    strlist_add(&registered, value);
    for (size_t i = registered.n - 1; i > 0 && strlen(registered.v[i - 1]) < strlen(registered.v[i]); i--) {
        char *longer = registered.v[i];
        registered.v[i] = registered.v[i - 1];
        registered.v[i - 1] = longer;
    }
}

void secret_set(struct secret *s, const char *value, size_t len)
{
    char *copy = xstrndup(value, len);
    secret_clear(s);
    s->value = copy;
    secret_hide(copy);
}

void secret_hide(const char *value)
{
    if (strlen(value) >= REDACT_MIN && !strlist_has(&registered, value))
        enlist(value);
}

bool secret_is_set(const struct secret *s)
{
    return !str_empty(s->value);
}

void secret_clear(struct secret *s)
{
    wipe(STEAL(s->value));
}

void secret_redact(struct strbuf *sb)
{
    for (size_t i = 0; i < registered.n && sb->len > 0; i++) {
        const char *value = registered.v[i];
        size_t n = strlen(value);
        for (char *at = sb->data; (at = memmem(at, sb->len - (size_t)(at - sb->data), value, n)) != NULL; at += 3) {
            memcpy(at, "***", 3);
            memmove(at + 3, at + n, sb->len - (size_t)(at - sb->data) - n + 1);
            sb->len -= n - 3;
        }
    }
}

void secret_protect_process(void)
{
    const struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

void secret_forget_all(void)
{
    for (size_t i = 0; i < registered.n; i++)
        OPENSSL_cleanse(registered.v[i], strlen(registered.v[i]));
    strlist_clear(&registered);
}
