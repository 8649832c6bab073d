#include "mayfly/util/log.h"

#include <unistd.h>

#include "mayfly/util/clock.h"
#include "mayfly/util/file.h"
#include "mayfly/util/secret.h"
#include "mayfly/util/text.h"

static struct {
    enum log_level level;
    enum log_format format;
    FILE *out;
    const struct env *env;
    int trace; /* -1: none */
    bool trace_failed;
} logger = { .level = LOG_INFO, .trace = -1 };

void log_init(enum log_level level, FILE *out, enum log_format format, const struct env *env)
{
    logger.level = level;
    logger.format = format;
    logger.out = out;
    logger.env = env;
}

bool log_enabled(enum log_level level)
{
    return level >= logger.level;
}

char *log_escape_command(const char *data)
{
    AUTO_STRBUF sb = STRBUF_INIT;
    for (; *data; data++) {
        if (*data == '%' || *data == '\r' || *data == '\n')
            strbuf_addf(&sb, "%%%02X", (unsigned)*data);
        else
            strbuf_addc(&sb, *data);
    }
    return strbuf_steal(&sb);
}

static const char *const words[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_NOTICE] = "notice", [LOG_WARN] = "warning", [LOG_ERROR] = "error"
};

/* Without secrets and control characters; owned. */
static char *make_fit(const char *s)
{
    AUTO_STRBUF sb = STRBUF_INIT;
    strbuf_adds(&sb, s);
    secret_redact(&sb);
    char *fit = strbuf_steal(&sb);
    text_clean(fit);
    return fit;
}

static void print_object(FILE *out, enum log_level level, const char *message, const char *hint)
{
    AUTO_STRBUF sb = STRBUF_INIT;
    const struct {
        const char *key, *value;
    } members[] = { { "level", words[level] }, { "message", message }, { "hint", hint } };
    strbuf_addf(&sb, "{\"time\":\"%s\"", clock_rfc3339(env_now(logger.env) / 1000).s);
    for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
        if (!members[i].value)
            continue;
        strbuf_addf(&sb, ",\"%s\":", members[i].key);
        text_add_json(&sb, members[i].value);
    }
    fprintf(out, "%s}\n", strbuf_str(&sb));
}

/* An error names its command, so it needs no word before it. */
static void print_text(FILE *out, enum log_level level, const char *message, const char *hint)
{
    bool bare = level == LOG_INFO || level == LOG_ERROR;
    if (level >= LOG_NOTICE && logger.format == LOG_ACTIONS) {
        AUTO_FREE char *data = log_escape_command(message);
        fprintf(out, "::%s::%s\n", words[level], data);
    } else {
        fprintf(out, "%s%s%s\n", bare ? "" : words[level], bare ? "" : ": ", message);
    }
    if (hint)
        fprintf(out, "hint: %s\n", hint);
}

static void print(enum log_level level, const char *message, const char *hint)
{
    FILE *out = logger.out ? logger.out : stderr;
    AUTO_FREE char *fit = make_fit(message), *fit_hint = hint ? make_fit(hint) : NULL;
    if (logger.format == LOG_JSON)
        print_object(out, level, fit, fit_hint);
    else
        print_text(out, level, fit, fit_hint);
    fflush(out);
}

static void write_log(enum log_level level, const char *fmt, va_list ap)
{
    if (!log_enabled(level))
        return;
    AUTO_FREE char *message = xvasprintf(fmt, ap);
    print(level, message, NULL);
}

void log_error(const char *message, const char *hint)
{
    print(LOG_ERROR, message, hint);
}

void log_debug(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    write_log(LOG_DEBUG, fmt, ap);
    va_end(ap);
}

void log_info(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    write_log(LOG_INFO, fmt, ap);
    va_end(ap);
}

void log_notice(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    write_log(LOG_NOTICE, fmt, ap);
    va_end(ap);
}

void log_warn(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    write_log(LOG_WARN, fmt, ap);
    va_end(ap);
}

bool log_trace_open(const char *path, struct error *err)
{
    logger.trace_failed = false;
    return file_open(path, "the trace file", FILE_REPLACE, 0600, &logger.trace, err);
}

bool log_trace_enabled(void)
{
    return logger.trace >= 0 && !logger.trace_failed;
}

void log_trace(const char *json)
{
    if (!log_trace_enabled())
        return;
    AUTO_STRBUF sb = STRBUF_INIT;
    strbuf_adds(&sb, json);
    secret_redact(&sb);
    strbuf_addc(&sb, '\n');
    /* A killed process must leave what it did; a pipe that takes no more must not be waited for again. */
    logger.trace_failed = !file_write(logger.trace, strbuf_str(&sb), sb.len);
}

void log_close(void)
{
    int trace = logger.trace;
    logger.trace = -1;
    if (trace >= 0 && (close(trace) != 0 || logger.trace_failed))
        log_warn("not all of the trace could be written");
}
