#include "mayfly/util/encode.h"

#include <strings.h>

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void encode_hex(struct strbuf *out, const void *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = bytes;
    for (size_t i = 0; i < len; i++) {
        strbuf_addc(out, digits[p[i] >> 4]);
        strbuf_addc(out, digits[p[i] & 15]);
    }
}

void encode_base64(struct strbuf *out, const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    for (; len > 0; p += 3) {
        size_t n = len < 3 ? len : 3;
        uint32_t v = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);
        char q[4] = { base64_digits[v >> 18], base64_digits[v >> 12 & 63], n > 1 ? base64_digits[v >> 6 & 63] : '=',
                      n > 2 ? base64_digits[v & 63] : '=' };
        strbuf_add(out, q, sizeof(q));
        len -= n;
    }
}

void encode_base64url(struct strbuf *out, const void *bytes, size_t len)
{
    size_t from = out->len;
    encode_base64(out, bytes, len);
    while (out->len > from && out->data[out->len - 1] == '=')
        strbuf_truncate(out, out->len - 1);
    for (size_t i = from; i < out->len; i++)
        out->data[i] = out->data[i] == '+' ? '-' : out->data[i] == '/' ? '_' : out->data[i];
}

static int base64_value(char c)
{
    const char *p = c ? strchr(base64_digits, c) : NULL;
    return p ? (int)(p - base64_digits) : -1;
}

bool decode_base64(struct strbuf *out, const char *s, size_t len)
{
    size_t start = out->len, digits = 0, pads = 0;
    uint32_t v = 0;
    for (size_t i = 0; i < len; i++) {
        if (s[i] != '\0' && strchr(" \t\r\n", s[i]))
            continue;
        int d = s[i] == '=' ? 0 : base64_value(s[i]);
        if (s[i] == '=')
            pads++;
        if (d < 0 || pads > 2 || (pads && s[i] != '=')) {
            strbuf_truncate(out, start);
            return false;
        }
        v = v << 6 | (uint32_t)d;
        if (++digits % 4 == 0) {
            char b[3] = { (char)(v >> 16), (char)(v >> 8), (char)v };
            strbuf_add(out, b, 3 - pads);
            v = 0;
        }
    }
    if (digits % 4 != 0) {
        strbuf_truncate(out, start);
        return false;
    }
    return true;
}

void encode_percent(struct strbuf *out, const char *s)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    for (;;) {
        size_t n = strspn(s, plain);
        strbuf_add(out, s, n);
        s += n;
        if (!*s)
            return;
        strbuf_addf(out, "%%%02X", (unsigned)(unsigned char)*s++);
    }
}

void encode_random32(struct strbuf *out, const uint8_t *random, size_t len)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    for (size_t i = 0; i < len; i++)
        strbuf_addc(out, digits[random[i] & 31]);
}

void encode_base36(struct strbuf *out, uint64_t n)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    char s[16];
    size_t at = sizeof(s);
    do {
        s[--at] = digits[n % 36];
        n /= 36;
    } while (n);
    strbuf_add(out, s + at, sizeof(s) - at);
}

bool decode_base36(const char *s, uint64_t *ret)
{
    uint64_t n = 0;
    size_t len = strspn(s, "0123456789abcdefghijklmnopqrstuvwxyz");
    if (len < 1 || len > 12 || s[len] != '\0') /* 36^12 is below 2^63 */
        return false;
    for (; *s; s++)
        n = n * 36 + (uint64_t)(*s <= '9' ? *s - '0' : *s - 'a' + 10);
    *ret = n;
    return true;
}

bool parse_uint(const char *s, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;
    if (str_empty(s))
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return false;
        uint64_t d = (uint64_t)(*s - '0');
        if (n > (max - d) / 10 || d > max)
            return false;
        n = n * 10 + d;
    }
    *ret = n;
    return true;
}

bool parse_bool(const char *s, bool *ret)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = { { "true", true },   { "1", true },  { "yes", true }, { "on", true },
                  { "false", false }, { "0", false }, { "no", false }, { "off", false } };
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcasecmp(s, words[i].word) == 0) {
            *ret = words[i].value;
            return true;
        }
    }
    return false;
}
