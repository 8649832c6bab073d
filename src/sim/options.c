/* The options of mayfly-sim. */
#include "options.h"

#include "mayfly/util/opts.h"

enum { DAY_MS = 86400000 };

#define OPTIONS struct options
#define MS(name, field, help, most, usual) OPT_NUMBER(name, field, "MS", help, .max = (most), .fallback = (usual))

static const struct opt options[] = {
    OPT_NUMBER("port", port, "N", "port on 127.0.0.1; 0 takes a free one", .fallback = "0", .max = 65535),
    OPT_STRING("port-file", port_file, "FILE", "write the port there"),
    OPT_STRING("env-file", env_file, "FILE", "write the settings there, for a shell to source"),
    OPT_STRING("instances", instances, "model|sandbox", "model only lets time pass, sandbox runs the user-data",
               .fallback = "model", .choices = "model sandbox"),
    OPT_LIST("repos", repos, "OWNER[/REPO][,…]", "repositories and organizations that exist besides octo/demo and octo",
             .aliases = "repo"),
    MS("boot", boot, "milliseconds from pending to running", DAY_MS, "1000"),
    MS("online", online, "milliseconds from running to a runner online (model)", DAY_MS, "1000"),
    MS("idle-removal", idle_removal, "milliseconds after which GitHub forgets an idle runner; 0: never", UINT32_MAX,
       "0"),
    MS("terminate-delay", terminate_delay, "milliseconds from shutting-down to terminated", DAY_MS, "500"),
    MS("image-delay", image_delay, "milliseconds from CreateImage to an available image", DAY_MS, "1000"),
    OPT_NUMBER("credential-life", credential_life, "SECONDS",
               "life of temporary credentials; 0: as asked for, else an hour", .fallback = "0", .max = 86400),
    MS("bake", bake, "milliseconds that a builder takes, which is always modelled", DAY_MS, "1000"),
    OPT_NUMBER("rate-limit", rate_limit, "N", "requests an hour that GitHub allows", .fallback = "5000",
               .max = UINT32_MAX),
    OPT_STRING("run-rate", run_rate, "PER_SECOND,BURST",
               "RunInstances that EC2 allows in a region, as its 2,5; else any number"),
    OPT_NUMBER("mint-rate", mint_rate, "PER_MINUTE", "just-in-time configurations that GitHub makes; 0: any number",
               .fallback = "0", .max = 1000000),
    OPT_STRING("app-key", app_key, "FILE",
               "play a GitHub App, installed everywhere: make its private key and write it there"),
    OPT_STRING("app-public-key", app_public_key, "FILE", "play one whose public key is there, PEM"),
    OPT_SECONDS("app-token-life", app_token_life, "DURATION", "how long the tokens of the App work", .fallback = "1h",
                .min = 1, .max = 86400),
    OPT_STRING("faults", faults, "FILE", "scripted faults, as PUT /_sim/faults takes them"),
    OPT_STRING("state-dir", state_dir, "DIR", "where sandboxes live; else a temporary directory"),
    OPT_FLAG("no-auth", no_auth, "accept any signature"),
    OPT_FLAG("verbose", verbose, "tell every request, and every one that waits"),
    OPT_FLAG("help", help, "print this help"),
    OPT_FLAG("version", version, "print the version"),
    { 0 },
};

#undef MS
#undef OPTIONS

static const char *no_env(const char *name UNUSED)
{
    return NULL;
}

bool options_parse(char *const *args, struct options *ret, struct error *err)
{
    const struct opt_set sets[] = { { options, ret }, { 0 } };
    const struct opts_source source = { .command = "mayfly-sim", .args = args, .getenv = no_env };
    return opts_parse(sets, &source, err);
}

void options_help(FILE *out)
{
    fprintf(out,
            "usage: mayfly-sim [OPTIONS]\n\nPlays EC2, STS, SSM, IMDS and GitHub on a loopback port.\n\noptions:\n");
    opts_help(out, options);
}

void options_clear(struct options *o)
{
    opts_clear(options, o);
}
