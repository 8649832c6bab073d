/* What the program tells a person while it works: to stderr, one line a message, secrets redacted, nothing in it that
 * commands a terminal.
 *
 * Libraries log at debug only; commands may use info, notice and warn. Errors are printed by main alone. */
#ifndef MAYFLY_UTIL_LOG_H
#define MAYFLY_UTIL_LOG_H

#include <stdio.h>

#include "mayfly/util/base.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARN, LOG_ERROR };
enum log_format {
    LOG_TEXT,
    LOG_ACTIONS, /* text, but workflow commands of GitHub Actions for what is a notice or worse: `::warning::…` */
    LOG_JSON,    /* {"time", "level", "message"} */
};

struct env;
/* level: what is below is not shown. `out`, often stderr, is borrowed. env: whose clock LOG_JSON writes. */
void log_init(enum log_level level, FILE *out, enum log_format format, const struct env *env);
bool log_enabled(enum log_level level);

void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_notice(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* An error as main prints it, with its hint (or NULL) on a line of its own, or as a member of LOG_JSON's object. */
void log_error(const char *message, const char *hint);

/* The data part of a workflow command: % CR LF become %25 %0D %0A. Owned by the caller. */
char *log_escape_command(const char *data);

/* --trace: one JSON object a line. Opens (truncating, mode 0600) the file that log_trace writes to. */
struct error;
MUST_CHECK bool log_trace_open(const char *path, struct error *err);
bool log_trace_enabled(void);
/* Writes one line, redacted; `json` is one JSON object without line breaks. */
void log_trace(const char *json);
/* Warns when the trace is not whole: of a full disk. */
void log_close(void);

#endif
