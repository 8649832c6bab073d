/* What reap and status share: the options that say which fleet, and one pass over it. */
#ifndef MAYFLY_CMD_REAP_H
#define MAYFLY_CMD_REAP_H

#include "mayfly/cmd/cmd.h"
#include "mayfly/runner/reap_pass.h"

struct fleet_options {
    struct strlist regions;
    char *places;
    int64_t boot_grace, idle_limit, max_lifetime;
};

/* Rows of a table of options for the member of OPTIONS that is a struct fleet_options. */
/* NOLINTBEGIN(bugprone-macro-parentheses): it names a member */
#define FLEET_OPTS(in_)                                                                                                \
    OPT_LIST("regions", in_.regions, "REGION[,REGION…]", "regions to check (default: --region)", .bits = OPT_ONCE),    \
        OPT_TEXT("places", in_.places, "JSON", "as for `start`; its regions are checked too",                          \
                 .aliases = "availability-zones-config"),                                                              \
        OPT_SECONDS("boot-grace", in_.boot_grace, "DURATION",                                                          \
                    "time for a runner to come online, for instances whose tags do not set one", .fallback = "10m",    \
                    .min = 120, .max = 86400),                                                                         \
        OPT_SECONDS("idle-limit", in_.idle_limit, "DURATION",                                                          \
                    "time that a runner may be idle, for instances whose tags do not set one", .fallback = "30m",      \
                    .min = 60, .max = 86400),                                                                          \
        OPT_SECONDS("max-lifetime", in_.max_lifetime, "DURATION",                                                      \
                    "time that an instance may live, for instances whose tags do not set one", .fallback = "6h",       \
                    .min = 600, .max = 30 * 86400)
/* NOLINTEND(bugprone-macro-parentheses) */

struct fleet {
    const char *command; /* its name */
    struct session session;
    char *name_mark;            /* NULL: STS did not say whose account it is */
    struct error account_error; /* why */
    struct strlist regions;
    struct reap_config config;
    struct reap reap;
    struct clock_times times; /* after the pass */
    int64_t skew;             /* seconds that EC2's clock is ahead of ours */
};
#define AUTO_FLEET CLEANUP(fleet_close) struct fleet

/* Connects, and fills the configuration but for what only one command knows. The fleet must not move. */
MUST_CHECK bool fleet_open(struct fleet *f, struct cmd *cmd, const struct fleet_options *o, struct error *err);
/* One pass; false: there was none. */
MUST_CHECK bool fleet_pass(struct fleet *f, struct error *err);
void fleet_close(struct fleet *f);

/* What keeps the pass from being whole, as warnings. True: nothing. */
bool fleet_warn(const struct fleet *f);

#endif
