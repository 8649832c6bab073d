#include "mayfly/util/log.h"

#include <errno.h>
#include <fcntl.h>

#include "mayfly/util/error.h"
#include "mayfly/util/secret.h"
#include "mayfly/util/strbuf.h"

static struct {
    enum log_level level;
    FILE *out;
    FILE *trace;
    bool actions;
} logger = { .level = LOG_INFO };

void log_init(enum log_level level, FILE *out, bool actions)
{
    logger.level = level;
    logger.out = out;
    logger.actions = actions;
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

static void write_log(enum log_level level, const char *fmt, va_list ap)
{
    static const char *const words[] = {
        [LOG_DEBUG] = "debug", [LOG_INFO] = "", [LOG_NOTICE] = "notice", [LOG_WARN] = "warning"
    };
    if (!log_enabled(level))
        return;
    AUTO_STRBUF sb = STRBUF_INIT;
    strbuf_vaddf(&sb, fmt, ap);
    secret_redact(&sb);
    for (size_t i = 0; i < sb.len; i++)
        if ((unsigned char)sb.data[i] < ' ' || sb.data[i] == 0x7f)
            sb.data[i] = ' ';
    FILE *out = logger.out ? logger.out : stderr;
    if (level >= LOG_NOTICE && logger.actions) {
        AUTO_FREE char *data = log_escape_command(strbuf_str(&sb));
        fprintf(out, "::%s::%s\n", words[level], data);
    } else {
        fprintf(out, "%s%s%s\n", words[level], *words[level] ? ": " : "", strbuf_str(&sb));
    }
    fflush(out);
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
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "opening the trace file `%s`", path);
    logger.trace = must(fdopen(fd, "w"));
    return true;
}

bool log_trace_enabled(void)
{
    return logger.trace != NULL;
}

void log_trace(const char *json)
{
    if (!logger.trace)
        return;
    AUTO_STRBUF sb = STRBUF_INIT;
    strbuf_adds(&sb, json);
    secret_redact(&sb);
    fprintf(logger.trace, "%s\n", strbuf_str(&sb));
    fflush(logger.trace); /* a killed process must leave what it did */
}

void log_close(void)
{
    if (logger.trace)
        fclose(STEAL(logger.trace));
}
