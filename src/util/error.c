#include "mayfly/util/error.h"

#include <assert.h>

#include "mayfly/util/secret.h"
#include "mayfly/util/text.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_TRY_LATER = 75 };

/* Cuts, in place, at a character's boundary. */
static void cut(char *text)
{
    static const char mark[] = " [cut]";
    size_t at = 0, n;
    if (strlen(text) <= ERROR_TEXT_MAX)
        return;
    while ((n = text_char(text + at) ? text_char(text + at) : 1) + at <= ERROR_TEXT_MAX - strlen(mark))
        at += n;
    memcpy(text + at, mark, sizeof(mark));
}

/* A server may write as much as it likes, and what it was sent. An error may be printed when the secret is gone, and
 * a part of one is harder to know than the whole. */
static char *make_fit(char *owned)
{
    AUTO_STRBUF text = STRBUF_INIT;
    text.secret = true;
    strbuf_adds(&text, owned);
    explicit_bzero(owned, text.len);
    free(owned);
    secret_redact(&text);
    char *fit = strbuf_steal(&text);
    cut(fit);
    text_clean(fit);
    return fit;
}

bool error_set(struct error *err, enum error_domain domain, int status, const char *fmt, ...)
{
    assert(err->domain == ERROR_NONE);
    va_list ap;
    va_start(ap, fmt);
    char *message = make_fit(xvasprintf(fmt, ap));
    va_end(ap);
    *err = (struct error){ .domain = domain, .status = status, .message = message };
    return false;
}

bool error_errno(struct error *err, int errnum, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *what = xvasprintf(fmt, ap);
    va_end(ap);
    return error_set(err, ERROR_SYSTEM, errnum, "%s: %s", what, strerror(errnum));
}

bool error_prefix(struct error *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *what = xvasprintf(fmt, ap);
    va_end(ap);
    char *context = make_fit(xasprintf("%s: %s", what, err->context ? err->context : ""));
    free(err->context);
    err->context = context;
    return false;
}

void error_hint(struct error *err, const char *fmt, ...)
{
    if (err->hint)
        return;
    va_list ap;
    va_start(ap, fmt);
    err->hint = make_fit(xvasprintf(fmt, ap));
    va_end(ap);
}

void error_code(struct error *err, const char *code, const char *request_id)
{
    free(err->code);
    free(err->request_id);
    err->code = code ? make_fit(xstrdup(code)) : NULL;
    err->request_id = request_id ? make_fit(xstrdup(request_id)) : NULL;
}

bool error_move(struct error *to, struct error *from)
{
    assert(to->domain == ERROR_NONE);
    *to = *from;
    *from = (struct error){ 0 };
    return false;
}

void error_copy(struct error *to, const struct error *from)
{
    assert(to->domain == ERROR_NONE);
    *to = *from;
    to->context = from->context ? xstrdup(from->context) : NULL;
    to->code = from->code ? xstrdup(from->code) : NULL;
    to->message = from->message ? xstrdup(from->message) : NULL;
    to->hint = from->hint ? xstrdup(from->hint) : NULL;
    to->request_id = from->request_id ? xstrdup(from->request_id) : NULL;
}

void error_clear(struct error *err)
{
    free(err->context);
    free(err->code);
    free(err->message);
    free(err->hint);
    free(err->request_id);
    *err = (struct error){ 0 };
}

char *error_format(const struct error *err)
{
    char *text = xasprintf("%s%s%s%s%s%s%s", err->context ? err->context : "", err->code ? err->code : "",
                           err->code ? ": " : "", err->message, err->request_id ? " (request " : "",
                           err->request_id ? err->request_id : "", err->request_id ? ")" : "");
    cut(text);
    return text;
}

char *error_format_hinted(const struct error *err)
{
    char *formatted = error_format(err);
    if (!err->hint)
        return formatted;
    char *hinted = xasprintf("%s; %s", formatted, err->hint);
    free(formatted);
    return hinted;
}

int error_exit_status(const struct error *err)
{
    if (err->domain == ERROR_NONE)
        return 0;
    if (err->domain == ERROR_USAGE || err->domain == ERROR_CONFIG)
        return EXIT_USAGE;
    return err->try_later ? EXIT_TRY_LATER : EXIT_FAILED;
}
