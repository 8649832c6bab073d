#include "mayfly/runner/doctor.h"

#include <inttypes.h>
#include <stdio.h>

#include "mayfly/util/encode.h"
#include "mayfly/util/text.h"

enum {
    SKEW_WARN = 60,   /* seconds; AWS takes five minutes */
    BOOT_USUAL = 120, /* seconds until a runner of a stock image is online */
    IDLE_SHORT = 120, /* seconds; GitHub hands a queued job out within a minute */
    AGE_WARN = 30,
    AGE_OLD = 60,      /* days */
    RATE_SCARCE = 500, /* requests: a start takes about 60 */
};

static const char *const check_names[] = {
    [CHECK_OPTIONS] = "options",
    [CHECK_LIMITS] = "limits",
    [CHECK_CREDENTIALS] = "credentials",
    [CHECK_CLOCK] = "clock",
    [CHECK_REGION] = "region",
    [CHECK_PERMISSION] = "permission",
    [CHECK_PARAMETER] = "parameter",
    [CHECK_IMAGE] = "image",
    [CHECK_IMAGE_AGE] = "image-age",
    [CHECK_RUNNER_VERSION] = "runner-version",
    [CHECK_SUBNET] = "subnet",
    [CHECK_ROUTE] = "route",
    [CHECK_EGRESS] = "egress",
    [CHECK_TYPE] = "type",
    [CHECK_ENCRYPTION] = "encryption",
    [CHECK_USER_DATA] = "user-data",
    [CHECK_LAUNCH] = "launch",
    [CHECK_PLACES] = "places",
    [CHECK_APP] = "app",
    [CHECK_TOKEN] = "token",
    [CHECK_GITHUB] = "github",
    [CHECK_RATE_LIMIT] = "rate-limit",
    [CHECK_RUNNER_GROUP] = "runner-group",
};

const char *check_name(enum check check)
{
    return check_names[check];
}

const char *finding_status_name(enum finding_status status)
{
    static const char *const names[] = {
        [FINDING_OK] = "ok",           [FINDING_WARNING] = "warning",         [FINDING_AVOIDABLE] = "warning",
        [FINDING_PROBLEM] = "problem", [FINDING_NOT_CHECKED] = "not checked",
    };
    return names[status];
}

/* --- findings ----------------------------------------------------------------------------------------------------- */

struct finding *finding_add(struct findings *f, enum check check, enum finding_status status, const char *did_fmt, ...)
{
    va_list ap;
    va_start(ap, did_fmt);
    f->v = xreallocarray(f->v, f->n + 1, sizeof(*f->v));
    struct finding *new = &f->v[f->n++];
    *new = (struct finding){ .check = check, .status = status, .did = xvasprintf(did_fmt, ap) };
    va_end(ap);
    return new;
}

/* One line, whatever a server put into it. */
static void append(char **at, const char *between, const char *fmt, va_list ap)
{
    AUTO_FREE char *more = xvasprintf(fmt, ap);
    text_clean(more);
    char *all = xasprintf("%s%s%s", *at ? *at : "", *at ? between : "", more);
    free(*at);
    *at = all;
}

void finding_result(struct finding *f, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    append(&f->result, ", ", fmt, ap);
    va_end(ap);
}

void finding_fix(struct finding *f, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    append(&f->fix, "; ", fmt, ap);
    va_end(ap);
}

static void finding_clear(struct finding *f)
{
    free(f->did);
    free(f->result);
    free(f->fix);
}

static bool is_told(const struct finding *told, size_t n, const struct finding *f)
{
    for (size_t i = 0; i < n; i++)
        if (told[i].check == f->check && str_eq(told[i].did, f->did) && str_eq(told[i].result, f->result))
            return true;
    return false;
}

void findings_settle(struct findings *f, size_t usable)
{
    struct finding *sorted = xcalloc(f->n + 1, sizeof(*sorted));
    size_t n = 0;
    for (size_t check = 0; check < ARRAY_SIZE(check_names); check++)
        for (size_t i = 0; i < f->n; i++) {
            if (f->v[i].check != check)
                continue;
            if (is_told(sorted, n, &f->v[i]))
                finding_clear(&f->v[i]);
            else
                sorted[n++] = f->v[i];
        }
    free(f->v);
    f->v = sorted;
    f->n = n;
    for (size_t i = 0; i < f->n; i++)
        if (f->v[i].status == FINDING_AVOIDABLE)
            f->v[i].status = usable > 0 ? FINDING_WARNING : FINDING_PROBLEM;
}

bool findings_have_problem(const struct findings *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (f->v[i].status == FINDING_PROBLEM)
            return true;
    return false;
}

void findings_clear(struct findings *f)
{
    for (size_t i = 0; i < f->n; i++)
        finding_clear(&f->v[i]);
    free(f->v);
    *f = (struct findings){ 0 };
}

/* --- clock and limits --------------------------------------------------------------------------------------------- */

void doctor_clock(struct findings *f, int64_t skew)
{
    int64_t off = skew < 0 ? -skew : skew;
    struct finding *new =
        finding_add(f, CHECK_CLOCK, off > SKEW_WARN ? FINDING_WARNING : FINDING_OK, "compared with AWS's Date");
    finding_result(new, "%" PRId64 " s %s", off, skew > 0 ? "behind" : skew < 0 ? "ahead" : "apart");
    if (off > SKEW_WARN)
        finding_fix(new, "set this machine's clock by NTP: AWS rejects signatures that are 5 minutes off, which costs "
                         "a request each time");
}

void doctor_limits(struct findings *f, const struct spec *s)
{
    AUTO_FREE char *timeout = clock_format_duration(s->timeout), *idle = clock_format_duration(s->idle_limit);
    AUTO_FREE char *life = clock_format_duration(s->max_lifetime);
    struct finding *new = finding_add(f, CHECK_LIMITS, FINDING_OK, "compared with the time that a boot takes");
    finding_result(new, "--timeout %s, --idle-limit %s, --max-lifetime %s", timeout, idle, life);
    if (s->timeout < BOOT_USUAL) {
        new->status = FINDING_WARNING;
        finding_fix(new, "a stock image can take 2 minutes until its runner is online: allow more time with --timeout");
    }
    if (s->idle_limit < IDLE_SHORT) {
        new->status = FINDING_WARNING;
        finding_fix(new, "GitHub can take a minute to hand out a job: allow more time with --idle-limit");
    }
}

/* --- images ------------------------------------------------------------------------------------------------------- */

void doctor_image_age(struct findings *f, const struct image *image, int64_t now)
{
    int64_t created;
    struct finding *new =
        finding_add(f, CHECK_IMAGE_AGE, FINDING_OK, "checked when %s of %s was created", image->id, image->region);
    if (!image->created || !clock_parse_rfc3339(image->created, &created)) {
        new->status = FINDING_NOT_CHECKED;
        finding_result(new, "EC2 does not say");
        return;
    }
    int64_t days = now > created ? (now - created) / 86400 : 0;
    finding_result(new, "%" PRId64 " days old", days);
    if (days <= AGE_WARN)
        return;
    new->status = FINDING_WARNING;
    if (days > AGE_OLD)
        finding_fix(new, "build a new image: two months of security updates are missing, and GitHub rejects runners "
                         "that are a month behind");
    else
        finding_fix(new, "build a new image soon: a month of security updates is missing");
}

/* Numbers between dots; what is no number counts as 0. */
static int compare_versions(const char *a, const char *b)
{
    while (*a || *b) {
        char *rest_a, *rest_b;
        long x = strtol(a, &rest_a, 10), y = strtol(b, &rest_b, 10);
        if (x != y)
            return x < y ? -1 : 1;
        a = rest_a + strcspn(rest_a, "0123456789");
        b = rest_b + strcspn(rest_b, "0123456789");
    }
    return 0;
}

const char *doctor_newest_runner(const struct field_list *downloads, struct arena *arena)
{
    const char *newest = NULL;
    for (size_t i = 0; i < downloads->n; i++) {
        const struct github_download *row = FIELD_ROW(downloads, const struct github_download, i);
        const char *dash = row->url ? strrchr(row->url, '-') : NULL; /* …/actions-runner-linux-x64-2.337.0.tar.gz */
        size_t n = dash ? strspn(dash + 1, "0123456789.") : 0;
        while (n > 0 && dash[n] == '.')
            n--;
        const char *version = n > 0 ? arena_strndup(arena, dash + 1, n) : NULL;
        if (version && (!newest || compare_versions(newest, version) < 0))
            newest = version;
    }
    return newest;
}

void doctor_runner_version(struct findings *f, const struct image *image, const char *newest)
{
    struct finding *new =
        finding_add(f, CHECK_RUNNER_VERSION, FINDING_OK, "compared the runner of %s with GitHub's latest", image->id);
    if (!image->has_runner) {
        finding_result(new, "the image has none: %s is downloaded at boot", newest ? newest : "the latest");
        return;
    }
    finding_result(new, "%s", image->runner_version);
    if (!newest) {
        new->status = FINDING_NOT_CHECKED;
        finding_result(new, "GitHub does not say which is the latest");
    } else if (compare_versions(image->runner_version, newest) < 0) {
        new->status = FINDING_WARNING;
        finding_result(new, "behind %s", newest);
        finding_fix(new, "build a new image: GitHub rejects runners 30 days after the next version is out");
    } else {
        finding_result(new, "it is the latest");
    }
}

/* --- the network -------------------------------------------------------------------------------------------------- */

const struct ec2_subnet *doctor_find_subnet(const struct field_list *subnets, const char *id)
{
    for (size_t i = 0; i < subnets->n; i++)
        if (str_eq(FIELD_ROW(subnets, const struct ec2_subnet, i)->id, id))
            return FIELD_ROW(subnets, const struct ec2_subnet, i);
    return NULL;
}

bool doctor_subnet(struct findings *f, const struct site *site, const struct ec2_subnet *subnet, uint64_t count)
{
    struct finding *new = finding_add(f, CHECK_SUBNET, FINDING_OK, "described %s of %s", site->subnet, site->region);
    if (!subnet) {
        new->status = FINDING_PROBLEM;
        finding_result(new, "there is no such subnet in this region and account");
        finding_fix(new, "give another with --subnets; aws ec2 describe-subnets --region %s lists them", site->region);
        return false;
    }
    finding_result(new, "zone %s", subnet->zone ? subnet->zone : "unknown");
    finding_result(new, "%" PRId64 " addresses free", subnet->free);
    if (subnet->free <= 0) {
        new->status = FINDING_AVOIDABLE;
        finding_fix(new, "give another subnet with --subnets, or free some of its addresses");
    } else if ((uint64_t)subnet->free < count) {
        new->status = FINDING_WARNING;
        finding_fix(new, "--count %" PRIu64 " does not fit: add subnets with --subnets", count);
    }
    return subnet->free > 0;
}

static const struct ec2_route_table *find_table(const struct field_list *tables, const struct ec2_subnet *subnet)
{
    const struct ec2_route_table *main = NULL;
    for (size_t i = 0; i < tables->n; i++) {
        const struct ec2_route_table *table = FIELD_ROW(tables, const struct ec2_route_table, i);
        for (size_t n = 0; n < table->associations.n; n++) {
            const struct ec2_association *a = FIELD_ROW(&table->associations, const struct ec2_association, n);
            if (str_eq(a->subnet, subnet->id))
                return table;
            if (a->main && str_eq(table->vpc, subnet->vpc))
                main = table;
        }
    }
    return main;
}

static const struct ec2_route *find_way_out(const struct ec2_route_table *table)
{
    for (size_t i = 0; table && i < table->routes.n; i++)
        if (str_eq(FIELD_ROW(&table->routes, const struct ec2_route, i)->to, "0.0.0.0/0"))
            return FIELD_ROW(&table->routes, const struct ec2_route, i);
    return NULL;
}

static void no_way_out(struct finding *f, const char *fix)
{
    f->status = FINDING_PROBLEM;
    finding_result(f, "so GitHub cannot be reached");
    finding_fix(f, "%s", fix);
}

void doctor_route(struct findings *f, const struct site *site, const struct ec2_subnet *subnet,
                  const struct field_list *tables, enum ec2_public_ip public_ip)
{
    const struct ec2_route *route = find_way_out(find_table(tables, subnet));
    bool public = public_ip == EC2_PUBLIC_IP_YES || (public_ip == EC2_PUBLIC_IP_DEFAULT && subnet->maps_public);
    struct finding *new = finding_add(f, CHECK_ROUTE, FINDING_OK, "followed the default route of %s", site->subnet);
    if (!route || !route->target) {
        finding_result(new, "it has none");
        no_way_out(new,
                   "add a route to 0.0.0.0/0 through a NAT gateway or an internet gateway, or give another subnet");
        return;
    }
    finding_result(new, "by %s", route->target);
    if (str_eq(route->state, "blackhole")) {
        finding_result(new, "which is gone");
        no_way_out(new, "point the route to a gateway that exists");
    } else if (str_starts(route->target, "igw-")) {
        finding_result(new, "%s public address", public ? "with a" : "without a");
        if (!public)
            no_way_out(new, "give --public-ip yes, let the subnet map public addresses, or route by a NAT gateway");
    } else if (!str_starts(route->target, "nat-")) {
        finding_result(new, "beyond which nothing can be checked from here");
    }
}

static bool is_all(const struct field_list *cidrs)
{
    for (size_t i = 0; i < cidrs->n; i++)
        if (str_eq(*FIELD_ROW(cidrs, const char *, i), "0.0.0.0/0"))
            return true;
    return false;
}

/* Does a rule let TCP to port 443 out? */
static bool lets_https(const struct ec2_permission *p)
{
    uint64_t from = 0, to = 65535;
    if (str_eq(p->protocol, "-1"))
        return true;
    if (!str_eq(p->protocol, "tcp") && !str_eq(p->protocol, "6"))
        return false;
    return (!p->from || parse_uint(p->from, 65535, &from)) && (!p->to || parse_uint(p->to, 65535, &to)) &&
           from <= 443 && to >= 443;
}

static const struct ec2_group *find_group(const struct field_list *groups, const char *id)
{
    for (size_t i = 0; i < groups->n; i++)
        if (str_eq(FIELD_ROW(groups, const struct ec2_group, i)->id, id))
            return FIELD_ROW(groups, const struct ec2_group, i);
    return NULL;
}

void doctor_egress(struct findings *f, const struct site *site, const struct ec2_subnet *subnet,
                   const struct field_list *groups)
{
    AUTO_FREE char *names = strlist_join(&site->security_groups, ", ");
    struct finding *new = finding_add(f, CHECK_EGRESS, FINDING_OK, "read the egress rules of %s", names);
    bool all = false, some = false;
    for (size_t i = 0; i < site->security_groups.n; i++) {
        const char *id = site->security_groups.v[i];
        const struct ec2_group *g = find_group(groups, id);
        if (!g && find_group(groups, NULL)) {
            new->status = FINDING_NOT_CHECKED;
            finding_result(new, "EC2's answer has a group without an id, which may be %s", id);
            return;
        }
        if (!g || (subnet && g->vpc && subnet->vpc && !str_eq(g->vpc, subnet->vpc))) {
            new->status = FINDING_PROBLEM;
            finding_result(new, g ? "%s is of another VPC than %s" : "there is no %s in this region and account", id,
                           site->subnet);
            finding_fix(new, "give a group of the subnet's VPC with --security-groups");
            return;
        }
        for (size_t n = 0; n < g->egress.n; n++) {
            const struct ec2_permission *p = FIELD_ROW(&g->egress, const struct ec2_permission, n);
            all = all || (lets_https(p) && is_all(&p->cidrs));
            some = some || (lets_https(p) && p->cidrs.n + p->others.n > 0);
        }
    }
    if (all) {
        finding_result(new, "outbound HTTPS is allowed everywhere");
    } else if (some) {
        new->status = FINDING_WARNING;
        finding_result(new, "outbound HTTPS is allowed to some addresses only");
        finding_fix(new, "make sure that GitHub's are among them: https://api.github.com/meta lists them as `actions`");
    } else {
        finding_result(new, "no security group allows outbound HTTPS");
        no_way_out(new, "allow TCP to port 443 of 0.0.0.0/0, or give another group with --security-groups");
    }
}

bool doctor_type(struct findings *f, const struct ec2_subnet *subnet, const char *region, const char *type,
                 const struct field_list *offerings)
{
    bool here = false, anywhere = false, unclear = false;
    for (size_t i = 0; i < offerings->n; i++) {
        const struct ec2_offering *o = FIELD_ROW(offerings, const struct ec2_offering, i);
        anywhere = anywhere || str_eq(o->type, type);
        here = here || (str_eq(o->type, type) && str_eq(o->zone, subnet->zone));
        unclear = unclear || ((!o->type || str_eq(o->type, type)) && (!o->zone || str_eq(o->zone, subnet->zone)));
    }
    struct finding *new = finding_add(f, CHECK_TYPE, here ? FINDING_OK : FINDING_AVOIDABLE,
                                      "checked that %s is offered in %s", type, subnet->zone);
    if (here) {
        finding_result(new, "it is");
    } else if (unclear) {
        new->status = FINDING_NOT_CHECKED;
        finding_result(new, "EC2's answer has an offering without a type or a zone, which may be this one");
    } else if (anywhere) {
        finding_result(new, "not offered there, but in other zones of %s", region);
        finding_fix(new, "give subnets in other zones with --subnets, or other --types");
    } else {
        finding_result(new, "not offered there, nor anywhere in %s", region);
        finding_fix(new, "check the spelling, or give other --types or another region");
    }
    return here || unclear;
}

/* --- encryption --------------------------------------------------------------------------------------------------- */

/* AWS's own key of the account, which all of its principals may use for volumes. */
static bool is_aws_key(const char *key)
{
    return str_eq(key, "alias/aws/ebs") || str_ends(key, ":alias/aws/ebs");
}

/* Keys of other accounts are named by ARN. */
static bool is_shared(const char *key, const char *number)
{
    AUTO_FREE char *own = xasprintf(":%s:", number ? number : "");
    return number && str_starts(key, "arn:") && !strstr(key, own);
}

/* EC2 accepts a launch with a key that may not be used, and terminates the instance then. */
static void judge_key(struct findings *f, const char *region, const char *key, const char *number)
{
    struct finding *new =
        finding_add(f, CHECK_ENCRYPTION, FINDING_OK, "checked which key encrypts volumes in %s", region);
    finding_result(new, "%s", key ? key : "the account's default key");
    if (key && is_aws_key(key)) {
        finding_result(new, "AWS's own key of the account, which needs no permission");
        return;
    }
    new->status = FINDING_NOT_CHECKED;
    finding_result(new, "a dry run does not ask KMS whether it may be used");
    finding_fix(new,
                "where a launch ends with Client.InternalError: `mayfly policy start --volume-kms-key %s` prints what "
                "to allow",
                key ? key : "KEY");
    if (key && is_shared(key, number))
        finding_fix(new, "the key is of another account: its key policy has to let the account %s use it", number);
}

void doctor_encryption(struct findings *f, const char *region, const struct strlist *keys,
                       const struct volume_encryption *account)
{
    if (account->by_default)
        judge_key(f, region, account->key, account->number);
    for (size_t i = 0; i < keys->n; i++)
        judge_key(f, region, str_empty(keys->v[i]) ? account->key : keys->v[i], account->number);
    if (!account->by_default && keys->n == 0)
        finding_result(finding_add(f, CHECK_ENCRYPTION, FINDING_OK, "checked which key encrypts volumes in %s", region),
                       "the account encrypts none by default");
}

/* --- GitHub ------------------------------------------------------------------------------------------------------- */

void doctor_rate(struct findings *f, const struct github_rate *rate, int64_t now)
{
    struct finding *new = finding_add(f, CHECK_RATE_LIMIT, FINDING_OK, "asked GitHub for the rate limit");
    finding_result(new, "%" PRId64 " of %" PRId64 " requests", rate->remaining, rate->limit);
    if (rate->remaining >= RATE_SCARCE)
        return;
    new->status = rate->remaining > 0 ? FINDING_WARNING : FINDING_PROBLEM;
    finding_fix(new, "wait %" PRId64 " s, or use a token that nothing else uses: limits are per token",
                rate->reset > now ? rate->reset - now : 0);
}

/* --- trials ------------------------------------------------------------------------------------------------------- */

/* Does the cell show something that none of the picked ones does? */
static bool shows_more(const struct plan *plan, const struct cell *c, const size_t *picked, size_t n)
{
    bool subnet = true, type = true, image = true, market = true;
    for (size_t i = 0; i < n; i++) {
        const struct cell *p = &plan->cells[picked[i]];
        subnet = subnet && !str_eq(p->subnet, c->subnet);
        type = type && !(str_eq(p->type, c->type) && str_eq(p->region, c->region));
        image = image && p->image != c->image;
        market = market && (p->spot != c->spot || !str_eq(p->region, c->region));
    }
    return subnet || type || image || market;
}

static bool is_picked(size_t cell, const size_t *picked, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (picked[i] == cell)
            return true;
    return false;
}

static int by_number(const void *a, const void *b)
{
    const size_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

size_t doctor_pick(const struct plan *plan, size_t most, size_t *ret_cells)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->n && n < most; i++)
        if (shows_more(plan, &plan->cells[i], ret_cells, n))
            ret_cells[n++] = i;
    for (size_t i = 0; i < plan->n && n < most; i++)
        if (!is_picked(i, ret_cells, n))
            ret_cells[n++] = i;
    qsort(ret_cells, n, sizeof(*ret_cells), by_number);
    return n;
}
