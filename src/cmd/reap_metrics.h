/* What operators watch of the reaper: a file for the textfile collector of Prometheus' node_exporter.
 *
 * The program lives for a pass only, so counters go on from what the file says: losing it resets them, which Prometheus
 * knows how to take. Source: Prometheus, "Exposition formats", text format 0.0.4. */
#ifndef MAYFLY_CMD_REAP_METRICS_H
#define MAYFLY_CMD_REAP_METRICS_H

#include "mayfly/util/file.h"
#include "reap_report.h"

struct metrics { /* zero: none */
    char *path;  /* where a symbolic link leads */
    enum file_kind kind;
    struct strbuf before; /* what the file said */
    const struct env *env;
    int64_t began; /* monotonic, milliseconds */
};

/* Before the pass: reads the file, if there is one, and sees whether it can be replaced. Refuses a file that is
 * something else. path NULL or empty: no metrics. */
MUST_CHECK bool metrics_open(struct metrics *m, const char *path, const struct env *env, struct error *err);
/* After it: replaces the file as a whole (mode 0644), or writes to a device or a pipe. whole: the pass came to its end;
 * else the report is of a part, or empty. */
MUST_CHECK bool metrics_write(const struct metrics *m, const struct fleet *f, const struct report *report, bool whole,
                              int exit_status, struct error *err);
void metrics_clear(struct metrics *m);

#endif
