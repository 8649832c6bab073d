#include "mayfly/util/text.h"

static const char byte_order_mark[] = "\xef\xbb\xbf";

size_t text_mark(const char *bytes, size_t len)
{
    const size_t n = strlen(byte_order_mark);
    return len >= n && memcmp(bytes, byte_order_mark, n) == 0 ? n : 0;
}

/* By its mark, or by the other halves of two ASCII characters. */
static bool is_utf16(const char *bytes, size_t len)
{
    if (len >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0))
        return true;
    return len >= 4 && !bytes[0] == !bytes[2] && !bytes[1] == !bytes[3] && !bytes[0] != !bytes[1];
}

bool text_begin(const char **bytes, size_t *len, const char *what, struct error *err)
{
    size_t mark = text_mark(*bytes, *len);
    if (is_utf16(*bytes, *len)) {
        error_set(err, ERROR_CONFIG, 0, "%s is UTF-16, and UTF-8 is needed", what);
        error_hint(err, "Windows PowerShell writes it with `>`: use `Set-Content -Encoding utf8`, or `iconv -f UTF-16 "
                        "-t UTF-8`");
        return false;
    }
    if (memchr(*bytes, '\0', *len)) {
        error_set(err, ERROR_CONFIG, 0, "%s has a NUL byte in it, so it is not text", what);
        error_hint(err, "it is another file than the one that is meant, or its encoding is neither ASCII nor UTF-8");
        return false;
    }
    *bytes += mark;
    *len -= mark;
    return true;
}

bool text_drop_returns(struct strbuf *text)
{
    size_t n = 0;
    for (size_t i = 0; i < text->len; i++)
        if (text->data[i] != '\r' || i + 1 == text->len || text->data[i + 1] != '\n')
            text->data[n++] = text->data[i];
    bool dropped = n < text->len;
    strbuf_truncate(text, n);
    return dropped;
}

static bool follows(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

size_t text_char(const char *s)
{
    const unsigned char *p = (const unsigned char *)s;
    if (p[0] < 0x80)
        return p[0] != '\0';
    size_t n = p[0] >= 0xc2 && p[0] <= 0xdf ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : 0;
    for (size_t i = 1; i < n; i++)
        if (!follows(p[i]))
            return 0;
    /* Written longer than needed, half of a surrogate, or beyond the last character. */
    bool wrong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
                 (p[0] == 0xf4 && p[1] > 0x8f);
    return wrong ? 0 : n;
}

size_t text_length(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += !follows((unsigned char)*s);
    return n;
}

/* What changes the direction of the text around it, or ends a line: ALM, LRM, RLM, LS, PS, LRE to RLO, LRI to PDI. */
static int format_control(const unsigned char *p)
{
    if (p[0] == 0xd8 && p[1] == 0x9c)
        return 0x61c;
    if (p[0] != 0xe2 || (p[1] != 0x80 && p[1] != 0x81) || !follows(p[2]))
        return -1;
    int c = 0x2000 + (p[1] - 0x80) * 64 + (p[2] - 0x80);
    return c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ? c : -1;
}

int text_control(const char *s)
{
    const unsigned char *p = (const unsigned char *)s;
    if (p[0] < ' ' || p[0] == 0x7f)
        return p[0];
    return p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f ? p[1] : format_control(p);
}

bool text_is_command(const char *s)
{
    return str_starts(s, "##[");
}

/* GitHub's runner obeys ::command:: at the beginning of a line, blanks before it. */
static void disarm(char *s)
{
    s += strspn(s, " ");
    if (str_starts(s, "::"))
        s[1] = '.';
}

void text_clean(char *s)
{
    char *line = s;
    for (size_t n; *s; s += n) {
        n = text_char(s);
        if (n == 0)
            *s = '?';
        else if (text_control(s) >= 0)
            memset(s, ' ', n);
        else if (text_is_command(s))
            s[2] = '(';
        n = n ? n : 1;
    }
    disarm(line);
}

void text_narrow(char *s)
{
    for (; *s; s++)
        if (*s < ' ' || *s > '~')
            *s = '?';
        else if (text_is_command(s))
            s[2] = '(';
}

void text_add_json(struct strbuf *out, const char *s)
{
    strbuf_addc(out, '"');
    for (size_t n; *s; s += n) {
        n = text_char(s);
        if (n == 0)
            strbuf_adds(out, "\\ufffd");
        else if (text_control(s) >= 0)
            strbuf_addf(out, "\\u%04x", (unsigned)text_control(s));
        else if (*s == '"' || *s == '\\')
            strbuf_addf(out, "\\%c", *s);
        else if (text_is_command(s))
            strbuf_addf(out, "\\u%04x", (unsigned)*s);
        else
            strbuf_add(out, s, n);
        n = n ? n : 1;
    }
    strbuf_addc(out, '"');
}

/* A backtick ends the code and a bar the cell, and inside code neither can be escaped for good. */
void text_add_code(struct strbuf *out, const char *s)
{
    AUTO_FREE char *copy = xstrdup(s);
    text_clean(copy);
    for (char *p = copy; *p; p++)
        *p = *p == '`' ? '\'' : *p == '|' || *p == '\\' ? '?' : *p;
    strbuf_addf(out, "`%s`", *copy ? copy : " ");
}
