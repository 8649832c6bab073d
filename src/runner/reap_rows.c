#include "mayfly/runner/reap_rows.h"

#include "mayfly/util/encode.h"

enum { SUSPICIOUS_FROM = 5, SIZE_MIN = 64, LIMITS_MAX = 65535 };

/* FNV-1a: tells strings apart that nobody chose to be alike. */
uint64_t reap_fingerprint(uint64_t hash, const char *s)
{
    if (hash == 0)
        hash = 0xcbf29ce484222325u;
    do
        hash = (hash ^ (unsigned char)*s) * 0x100000001b3u;
    while (*s++);
    return hash;
}

struct reap_facts reap_read_instance(const struct ec2_instance *i, const char *fleet, struct limits default_limits,
                                     int64_t now)
{
    struct reap_facts f = { .state = ec2_instance_state(i), .limits = default_limits };
    const char *role = ec2_instance_tag(i, TAG_ROLE), *limits = ec2_instance_tag(i, TAG_LIMITS);
    int64_t launched = ec2_instance_launched(i);
    f.builder = str_eq(role, "bake") || str_eq(role, "smoke");
    f.ours = str_eq(ec2_instance_tag(i, TAG_FLEET), fleet) && (f.builder || str_eq(role, "runner")) && launched > 0 &&
             launched <= UINT32_MAX;
    f.keep = ec2_instance_tag(i, TAG_KEEP) != NULL;
    f.age = now - launched;
    if (limits && !limits_parse(limits, &f.limits))
        f.limits = default_limits;
    return f;
}

enum reap_record reap_read_record(const struct github_runner *r)
{
    if (github_runner_is_online(r))
        return r->busy ? REAP_RECORD_BUSY : REAP_RECORD_ONLINE;
    return r->busy ? REAP_RECORD_OFFLINE_BUSY : REAP_RECORD_OFFLINE;
}

static size_t keep_limits(struct reap_rows *rows, struct limits l)
{
    for (size_t i = 0; i < rows->n_limits; i++)
        if (memcmp(&rows->limits[i], &l, sizeof(l)) == 0)
            return i;
    rows->limits = xreallocarray(rows->limits, rows->n_limits + 1, sizeof(*rows->limits));
    rows->limits[rows->n_limits] = l;
    return rows->n_limits++;
}

size_t reap_rows_scope(struct reap_rows *rows, const char *scope)
{
    size_t i = 0;
    while (scope && i < rows->scopes.n && strcasecmp(rows->scopes.v[i], scope) != 0)
        i++;
    if (scope && i < rows->scopes.n)
        return i;
    AUTO_FREE char *path = scope ? github_scope_path(scope) : NULL;
    if (!path || rows->scopes.n == REAP_NO_SCOPE)
        return REAP_NO_SCOPE;
    strlist_add(&rows->scopes, scope);
    return rows->scopes.n - 1;
}

bool reap_rows_add(struct reap_rows *rows, const struct ec2_instance *i, const struct reap_facts *f, size_t region)
{
    uint64_t id = 0;
    const char *runner = ec2_instance_tag(i, TAG_RUNNER), *runner_id = ec2_instance_tag(i, TAG_RUNNER_ID);
    size_t scope = reap_rows_scope(rows, ec2_instance_tag(i, TAG_SCOPE)), limits = keep_limits(rows, f->limits);
    int64_t launched = ec2_instance_launched(i);
    struct reap_row row = { .launched = launched > 0 && launched <= UINT32_MAX ? (uint32_t)launched : 0,
                            .limits = (uint16_t)limits,
                            .scope = (uint16_t)scope,
                            .region = region & 0xff,
                            .state = f->state & 7,
                            .ours = f->ours,
                            .builder = f->builder,
                            .keep = f->keep,
                            .marked = ec2_instance_tag(i, TAG_MARK) != NULL };
    if (strlen(i->id) >= sizeof(row.id) || limits >= LIMITS_MAX)
        return false;
    memcpy(row.id, i->id, strlen(i->id) + 1);
    /* An id without its name could be anybody's. */
    if (scope != REAP_NO_SCOPE && !str_empty(runner) && runner_id && parse_uint(runner_id, FIELD_ID_MAX, &id)) {
        row.runner_id = (int64_t)id;
        row.runner = reap_fingerprint(0, runner);
    }
    if (rows->n == rows->size) {
        rows->size = rows->size ? 2 * rows->size : SIZE_MIN;
        rows->v = xreallocarray(rows->v, rows->size, sizeof(*rows->v));
    }
    rows->v[rows->n++] = row;
    return true;
}

static int by_record(const void *a, const void *b)
{
    const struct reap_row *x = a, *y = b;
    if (x->scope != y->scope)
        return x->scope < y->scope ? -1 : 1;
    return x->runner_id < y->runner_id ? -1 : x->runner_id > y->runner_id;
}

void reap_rows_sort(struct reap_rows *rows)
{
    if (rows->n)
        qsort(rows->v, rows->n, sizeof(*rows->v), by_record);
}

bool reap_rows_match(struct reap_rows *rows, size_t scope, const struct github_runner *record)
{
    const struct reap_row key = { .scope = (uint16_t)scope, .runner_id = record->id };
    struct reap_row *row = rows->n ? bsearch(&key, rows->v, rows->n, sizeof(key), by_record) : NULL;
    bool matched = false;
    while (row && row > rows->v && by_record(row - 1, &key) == 0)
        row--;
    for (; row && row < rows->v + rows->n && by_record(row, &key) == 0; row++) {
        /* Ids are counted per tenant: a record of the same id and another name is another runner. */
        row->others = row->runner != reap_fingerprint(0, record->name);
        if (row->others)
            continue;
        row->record = reap_read_record(record) & 7;
        matched = true;
    }
    return matched;
}

void reap_rows_blur(struct reap_rows *rows, size_t scope, const struct github_runner *record)
{
    uint64_t runner = str_empty(record->name) ? 0 : reap_fingerprint(0, record->name);
    for (size_t i = 0; i < rows->n; i++) {
        struct reap_row *row = &rows->v[i];
        if (row->scope == scope && (record->id ? row->runner_id == record->id : !runner || row->runner == runner))
            row->unclear = true;
    }
}

bool reap_rows_settle(struct reap_rows *rows, size_t scope, int64_t now)
{
    size_t without = 0;
    bool proved = false;
    for (size_t i = 0; i < rows->n; i++) {
        struct reap_row *row = &rows->v[i];
        if (row->scope != scope || row->runner_id == 0)
            continue;
        if (row->record == REAP_RECORD_UNKNOWN && !row->unclear)
            row->record = REAP_RECORD_ABSENT;
        const struct reap_facts f = reap_row_facts(rows, row, now);
        proved = proved || (f.record != REAP_RECORD_ABSENT && f.record != REAP_RECORD_UNKNOWN);
        without += f.ours && !f.keep && !f.builder && f.state == EC2_RUNNING && f.age > f.limits.boot;
    }
    if (proved || without < SUSPICIOUS_FROM)
        return true;
    reap_rows_forget(rows, scope);
    return false;
}

void reap_rows_forget(struct reap_rows *rows, size_t scope)
{
    for (size_t i = 0; i < rows->n; i++)
        if (rows->v[i].scope == scope)
            rows->v[i].record = REAP_RECORD_UNKNOWN;
}

struct reap_facts reap_row_facts(const struct reap_rows *rows, const struct reap_row *row, int64_t now)
{
    return (struct reap_facts){ .ours = row->ours,
                                .builder = row->builder,
                                .keep = row->keep,
                                .state = (enum ec2_state)row->state,
                                .record = (enum reap_record)row->record,
                                .no_time = rows->no_time,
                                .age = now - row->launched,
                                .limits = rows->limits[row->limits] };
}

const char *reap_row_scope(const struct reap_rows *rows, const struct reap_row *row)
{
    return row->scope == REAP_NO_SCOPE ? NULL : rows->scopes.v[row->scope];
}

void reap_rows_clear(struct reap_rows *rows)
{
    free(rows->v);
    free(rows->limits);
    strlist_clear(&rows->scopes);
    *rows = (struct reap_rows){ 0 };
}
