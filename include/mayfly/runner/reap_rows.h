/* The instances of a fleet and what GitHub says of their runners, in 48 bytes each: there may be a hundred thousand.
 * Pure. */
#ifndef MAYFLY_RUNNER_REAP_ROWS_H
#define MAYFLY_RUNNER_REAP_ROWS_H

#include "mayfly/github/runners.h"
#include "mayfly/runner/reap.h"

enum { REAP_NO_SCOPE = 65535 };

struct reap_row {
    int64_t runner_id;      /* 0: none that can be asked for */
    uint64_t runner;        /* a fingerprint of the runner's name */
    uint32_t launched;      /* seconds since 1970 */
    char id[20];            /* i- and 17 digits */
    uint16_t limits, scope; /* indexes; or REAP_NO_SCOPE */
    uint32_t region : 8, state : 3, record : 3;
    uint32_t ours : 1, builder : 1, keep : 1, marked : 1;
    uint32_t others : 1;   /* another runner has runner_id: its record is not this instance's */
    uint32_t unclear : 1;  /* a record that makes no sense may be its own */
    uint32_t targeted : 1; /* for the pass: it looks at it closely */
};

struct reap_rows { /* zero: empty */
    struct reap_row *v;
    size_t n, size;
    struct limits *limits;
    size_t n_limits;
    bool no_time;          /* of all: no two clocks agree */
    struct strlist scopes; /* GitHub's, that instances belong to */
};

/* What the tags and the state of an instance say. default_limits: for what TAG_LIMITS does not say. */
struct reap_facts reap_read_instance(const struct ec2_instance *i, const char *fleet, struct limits default_limits,
                                     int64_t now);
enum reap_record reap_read_record(const struct github_runner *r);
/* A fingerprint of a string, or of several in a row; begin with 0. */
uint64_t reap_fingerprint(uint64_t hash, const char *s);

/* region: below 256. False when a row cannot hold it. */
MUST_CHECK bool reap_rows_add(struct reap_rows *rows, const struct ec2_instance *i, const struct reap_facts *facts,
                              size_t region);
/* The index of a scope, in whatever case it is written; it is added if need be. REAP_NO_SCOPE when GitHub cannot be
 * asked of it. NULL-safe. */
size_t reap_rows_scope(struct reap_rows *rows, const char *scope);
/* Once all are added, before anything is matched; rows get other places. */
void reap_rows_sort(struct reap_rows *rows);

/* Tells the row, or rows, of this record. False: none has it. */
bool reap_rows_match(struct reap_rows *rows, size_t scope, const struct github_runner *record);
/* A record of the scope makes no sense: what it could be of stays unknown, unless another record is its own. */
void reap_rows_blur(struct reap_rows *rows, size_t scope, const struct github_runner *record);
/* The scope was read whole: what was not matched has no record. False when nothing was matched and 5 or more instances
 * must have a record: rather a wrong token than a finished fleet, and so the records are unknown. */
bool reap_rows_settle(struct reap_rows *rows, size_t scope, int64_t now);
/* The scope could not be read whole: its records are unknown. */
void reap_rows_forget(struct reap_rows *rows, size_t scope);

/* Without a job and without a mark. */
struct reap_facts reap_row_facts(const struct reap_rows *rows, const struct reap_row *row, int64_t now);
/* The name of its scope, or NULL. */
const char *reap_row_scope(const struct reap_rows *rows, const struct reap_row *row);
void reap_rows_clear(struct reap_rows *rows);

#endif
