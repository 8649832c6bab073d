/* What the program tells a person while it works: to stderr, one line a message, secrets redacted.
 *
 * Libraries log at debug only; commands may use info, notice and warn. Errors are printed by main alone.
 * In GitHub Actions a notice becomes `::notice::`, a warning `::warning::`. */
#ifndef MAYFLY_UTIL_LOG_H
#define MAYFLY_UTIL_LOG_H

#include <stdio.h>

#include "mayfly/util/base.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARN };

/* level: what is below is not shown. `out`, often stderr, is borrowed. actions: write GitHub workflow commands. */
void log_init(enum log_level level, FILE *out, bool actions);
bool log_enabled(enum log_level level);

void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_notice(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* The data part of a workflow command: % CR LF become %25 %0D %0A. Owned by the caller. */
char *log_escape_command(const char *data);

/* --trace: one JSON object a line. Opens (truncating, mode 0600) the file that log_trace writes to. */
struct error;
MUST_CHECK bool log_trace_open(const char *path, struct error *err);
bool log_trace_enabled(void);
/* Writes one line, redacted; `json` is one JSON object without line breaks. */
void log_trace(const char *json);
void log_close(void);

#endif
