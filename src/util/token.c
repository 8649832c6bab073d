#include "mayfly/util/token.h"

#include "mayfly/util/text.h"

/* What is wrong with one, worst first; found by a character that is in it. */
enum complaint { FINE, BLANK, LINES, FOREIGN, CONTROL };

static const struct {
    const char *what, *hint;
} complaints[] = {
    [LINES] = { "has more than one line", "it has to be the token and nothing else, on one line" },
    [BLANK] = { "has a blank in it", "it has to be the token and nothing else: one word" },
    [FOREIGN] = { "has a character in it that is not ASCII",
                  "copying from a document brings quotation marks and blanks that look like others: set it again" },
    [CONTROL] = { "has a control character in it", "it is binary, or was copied from a terminal: set it again" },
};

static bool is_around(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static enum complaint judge_character(char c, enum token_form form)
{
    return c == '\r' || c == '\n'                  ? LINES
           : c == ' ' || c == '\t'                 ? (form == TOKEN_LINE ? FINE : BLANK)
           : (unsigned char)c > '~' && c != '\x7f' ? FOREIGN
           : c < ' ' || c == '\x7f'                ? CONTROL
                                                   : FINE;
}

static enum complaint judge(const char *token, size_t len, enum token_form form)
{
    enum complaint worst = FINE;
    for (size_t i = 0; i < len; i++) {
        enum complaint c = judge_character(token[i], form);
        worst = c > worst ? c : worst;
    }
    return worst;
}

bool token_is_word(const char *token)
{
    return !str_empty(token) && judge(token, strlen(token), TOKEN_WORD) == FINE;
}

bool token_parse(const char *bytes, size_t len, enum token_form form, const char *what, struct secret *ret,
                 struct error *err)
{
    if (!text_begin(&bytes, &len, what, err))
        return false;
    for (; len > 0 && is_around(bytes[len - 1]); len--)
        ;
    for (; len > 0 && is_around(*bytes); len--)
        bytes++;
    if (len == 0) {
        error_set(err, ERROR_CONFIG, 0, "%s is empty", what);
        error_hint(err, "what should have written the token there did not: set it again");
        return false;
    }
    enum complaint complaint = judge(bytes, len, form);
    if (complaint != FINE) {
        error_set(err, ERROR_CONFIG, 0, "%s %s", what, complaints[complaint].what);
        error_hint(err, "%s", complaints[complaint].hint);
        return false;
    }
    secret_set(ret, bytes, len);
    return true;
}

bool token_read(const char *path, enum token_form form, const char *what, struct secret *ret, struct error *err)
{
    AUTO_STRBUF text = STRBUF_MAX(TOKEN_MAX);
    AUTO_FREE char *named = xasprintf("%s `%s`", what, path);
    text.secret = true;
    if (strbuf_read_file(&text, path, what, err))
        return token_parse(strbuf_str(&text), text.len, form, named, ret, err);
    err->domain = ERROR_CONFIG;
    error_hint(err, "it has to be a file that this user can read, with the token and nothing else in it");
    return false;
}
