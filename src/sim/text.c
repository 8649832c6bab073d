/* Text that came from outside. */
#include <ctype.h>

#include "text.h"

size_t utf8_length(const char *bytes, size_t left)
{
    const unsigned char *s = (const unsigned char *)bytes;
    static const struct {
        unsigned char mask, lead;
        size_t len;
        uint32_t least;
    } forms[] = { { 0x80, 0x00, 1, 1 }, { 0xe0, 0xc0, 2, 0x80 }, { 0xf0, 0xe0, 3, 0x800 }, { 0xf8, 0xf0, 4, 0x10000 } };
    for (size_t f = 0; f < ARRAY_SIZE(forms); f++) {
        if ((s[0] & forms[f].mask) != forms[f].lead || forms[f].len > left)
            continue;
        uint32_t c = s[0] & (uint32_t)(unsigned char)~forms[f].mask;
        for (size_t i = 1; i < forms[f].len; i++) {
            if ((s[i] & 0xc0) != 0x80)
                return 0;
            c = c << 6 | (s[i] & 0x3f);
        }
        return c < forms[f].least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? 0 : forms[f].len;
    }
    return 0;
}

bool is_utf8(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = utf8_length(bytes + i, len - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

void strbuf_add_tail(struct strbuf *sb, const char *bytes, size_t len)
{
    if (len > sb->max) {
        bytes += len - sb->max;
        len = sb->max;
    }
    if (sb->len + len > sb->max) {
        size_t drop = sb->len + len - sb->max;
        memmove(sb->data, sb->data + drop, sb->len - drop);
        strbuf_truncate(sb, sb->len - drop);
    }
    strbuf_add(sb, bytes, len);
}

bool form_parse(const char *text, size_t len, struct pairs *ret)
{
    const char *end = text + len;
    while (text < end) {
        AUTO_STRBUF name = STRBUF_INIT, value = STRBUF_INIT;
        struct strbuf *side = &name;
        for (; text < end && *text != '&'; text++) {
            char hex[3] = { 0 };
            if (*text == '=' && side == &name) {
                side = &value;
            } else if (*text == '%') {
                if (end - text < 3 || !isxdigit((unsigned char)text[1]) || !isxdigit((unsigned char)text[2]))
                    return false;
                memcpy(hex, text + 1, 2);
                strbuf_addc(side, (char)strtol(hex, NULL, 16));
                text += 2;
            } else {
                strbuf_addc(side, *text == '+' ? ' ' : *text);
            }
        }
        if (ret->n == SIM_FORM_MAX || !is_utf8(strbuf_str(&name), name.len) || !is_utf8(strbuf_str(&value), value.len))
            return false;
        if (name.len > 0)
            pairs_add(ret, strbuf_str(&name), strbuf_str(&value));
        text += text < end;
    }
    return true;
}
