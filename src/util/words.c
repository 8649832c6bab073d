#include "mayfly/util/words.h"

bool words_split(struct strlist *ret, const char *line)
{
    AUTO_STRBUF word = STRBUF_INIT;
    bool in_word = false;
    char quote = '\0';
    for (const char *p = line; *p; p++) {
        if (quote ? *p == quote : *p == '\'' || *p == '"') {
            quote = quote ? '\0' : *p;
            in_word = true;
        } else if (*p == '\\' && (!quote || (quote == '"' && (p[1] == '"' || p[1] == '\\')))) {
            if (*++p == '\0')
                return false;
            strbuf_addc(&word, *p);
            in_word = true;
        } else if (!quote && strchr(" \t\r\n", *p)) {
            if (in_word)
                strlist_add(ret, strbuf_str(&word));
            strbuf_truncate(&word, 0);
            in_word = false;
        } else {
            strbuf_addc(&word, *p);
            in_word = true;
        }
    }
    if (in_word)
        strlist_add(ret, strbuf_str(&word));
    return !quote;
}
