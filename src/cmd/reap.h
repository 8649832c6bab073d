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

/* Rows of a command's table for its member of type struct fleet_options. */
#define FLEET_ROW(owner_, in_, field) .offset = offsetof(owner_, in_) + offsetof(struct fleet_options, field)
#define FLEET_OPTS(owner_, in_)                                                                                        \
    { .name = "regions",                                                                                               \
      .type = OPT_LIST,                                                                                                \
      FLEET_ROW(owner_, in_, regions),                                                                                 \
      .arg = "REGION[,REGION…]",                                                                                       \
      .help = "regions to look at; else the one of --region",                                                          \
      .bits = OPT_ONCE },                                                                                              \
        { .name = "places",                                                                                            \
          .type = OPT_TEXT,                                                                                            \
          FLEET_ROW(owner_, in_, places),                                                                              \
          .arg = "JSON",                                                                                               \
          .help = "as of start: its regions are looked at too",                                                        \
          .aliases = "availability-zones-config" },                                                                    \
        { .name = "boot-grace",                                                                                        \
          .type = OPT_SECONDS,                                                                                         \
          FLEET_ROW(owner_, in_, boot_grace),                                                                          \
          .arg = "DURATION",                                                                                           \
          .help = "for a runner to come, where the instance's tag does not say",                                       \
          .fallback = "10m",                                                                                           \
          .min = 120,                                                                                                  \
          .max = 86400 },                                                                                              \
        { .name = "idle-limit",                                                                                        \
          .type = OPT_SECONDS,                                                                                         \
          FLEET_ROW(owner_, in_, idle_limit),                                                                          \
          .arg = "DURATION",                                                                                           \
          .help = "without a job, where the instance's tag does not say",                                              \
          .fallback = "30m",                                                                                           \
          .min = 60,                                                                                                   \
          .max = 86400 },                                                                                              \
    {                                                                                                                  \
        .name = "max-lifetime", .type = OPT_SECONDS, FLEET_ROW(owner_, in_, max_lifetime), .arg = "DURATION",          \
        .help = "of an instance, where its tag does not say", .fallback = "6h", .min = 600, .max = 30 * 86400          \
    }

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
