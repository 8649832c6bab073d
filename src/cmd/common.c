#include <errno.h>

#include "mayfly/aws/creds_fetch.h"
#include "mayfly/cmd/cmd.h"
#include "mayfly/runner/plan.h"
#include "mayfly/runner/policy.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/file.h"
#include "mayfly/util/log.h"
#include "mayfly/util/secret.h"
#include "mayfly/util/text.h"
#include "mayfly/version.h"

enum { DECODE_MS = 5000 }; /* an explanation is not waited for longer */

#define OPTIONS struct common

const struct opt common_opts[] = {
    OPT_STRING("config", config, "FILE",
               "configuration file (default: ~/.config/mayfly/mayfly.ini, then /etc/mayfly/mayfly.ini)"),
    OPT_STRING("runner", runner, "NAME", "use the section [runner NAME] of the configuration file"),
    OPT_STRING("region", region, "REGION", "AWS region (default: AWS_REGION, AWS_DEFAULT_REGION, or the profile's)",
               .bits = OPT_CHECKOUT),
    OPT_STRING("profile", profile, "NAME", "AWS profile; overrides keys in the environment"),
    OPT_STRING("role-arn", role_arn, "ARN",
               "AWS role to assume, with the job's OIDC token if it has `id-token: write` and no --profile is given, "
               "otherwise with the credentials found"),
    OPT_STRING("repo", repo, "OWNER/REPO|ORG|enterprises/NAME",
               "repository, organization or enterprise to register runners with (default: GITHUB_REPOSITORY)"),
    OPT_STRING("fleet", fleet, "NAME", "fleet name, kept in the tag mayfly:fleet (default: --repo in lowercase)"),
    OPT_STRING("github-token-file", github_token_file, "FILE",
               "file containing the GitHub token (default: MAYFLY_GITHUB_TOKEN or GITHUB_TOKEN)"),
    OPT_STRING("app-id", app_id, "ID", "client ID or app ID of a GitHub App to use instead of a token"),
    OPT_STRING("app-key-file", app_key_file, "FILE",
               "file containing the App's private key, PEM (default: the key in MAYFLY_APP_KEY)"),
    OPT_FLAG("json", json, "print the result as one JSON object"),
    OPT_FLAG("verbose", verbose, "log every request", .aliases = "runner-debug"),
    OPT_STRING("log-format", log_format, "text|json", "log format on standard error: text, or one JSON object per line",
               .choices = "text json"),
    OPT_STRING("trace", trace, "FILE",
               "write every call and decision to FILE, one JSON object per line, without secrets"),
    OPT_FLAG("help", help, "print this help", .bits = OPT_FLAG_ONLY),
    { 0 },
};

#undef OPTIONS

/* Whose the instances are: without a GitHub side, whose it would be. */
static char *find_fleet(const struct cmd *cmd, const struct github_config *github)
{
    const char *repo = str_empty(cmd->common.repo) ? cmd->getenv("GITHUB_REPOSITORY") : cmd->common.repo;
    const char *scope = github->scope ? github->scope : str_empty(repo) ? NULL : repo;
    if (!str_empty(cmd->common.fleet))
        return xstrdup(cmd->common.fleet);
    return scope ? fleet_of_scope(scope) : NULL;
}

void session_read(struct session *s, struct cmd *cmd, struct error *ret_aws, struct error *ret_github)
{
    *s = (struct session){ 0 };
    const struct aws_flags flags = { cmd->common.profile, cmd->common.region, cmd->common.role_arn };
    AUTO_STRLIST warnings = { 0 };
    bool aws = aws_config_load(&flags, cmd->getenv, &s->aws_config, &warnings, ret_aws);
    for (size_t i = 0; i < warnings.n; i++)
        log_warn("%s", warnings.v[i]);
    const struct github_settings settings = { .repo = cmd->common.repo,
                                              .token_file = cmd->common.github_token_file,
                                              .app_id = cmd->common.app_id,
                                              .app_key_file = cmd->common.app_key_file };
    bool github = github_config_load(&settings, cmd->getenv, &s->github_config, ret_github);
    if (aws && s->aws_config.ca_bundle)
        aws = http_check_bundle(s->aws_config.ca_bundle, s->aws_config.ca_setting, ret_aws);
    if (aws && !s->aws_config.region) {
        error_set(ret_aws, ERROR_CONFIG, 0, "no AWS region");
        error_hint(ret_aws, "give --region, or set AWS_REGION");
    }
    s->fleet = find_fleet(cmd, &s->github_config);
    s->aws = (struct aws){ .config = &s->aws_config, .env = cmd->env, .wake_fd = cmd->signal_fd, .until = cmd->until };
    if (s->github_config.app_id)
        s->app = github_app_new(&s->github_config, cmd->env, cmd->command->reads_jobs);
    s->github = (struct github){ .config = &s->github_config, .env = cmd->env, .app = s->app, .remaining = -1 };
    s->http = http_new("mayfly/" MAYFLY_VERSION, s->aws_config.ca_bundle);
    s->loop = (struct call_loop){ .http = s->http, .env = cmd->env, .wake_fd = cmd->signal_fd, .until = cmd->until };
    s->cloud = (struct cloud){
        .aws = &s->aws, .github = github ? &s->github : NULL, .loop = &s->loop, .signal_fd = cmd->signal_fd
    };
}

void session_open_each(struct session *s, struct cmd *cmd, struct error *ret_aws, struct error *ret_github)
{
    session_read(s, cmd, ret_aws, ret_github);
    if (ret_aws->domain == ERROR_NONE && !aws_creds_fetch(&s->aws, ret_aws))
        log_debug("no AWS credentials: continuing without AWS");
}

bool session_open(struct session *s, struct cmd *cmd, struct error *err)
{
    AUTO_ERROR aws = { 0 }, github = { 0 };
    session_read(s, cmd, &aws, &github);
    if (aws.domain != ERROR_NONE)
        return error_move(err, &aws);
    if (github.domain != ERROR_NONE)
        return error_move(err, &github);
    return aws_creds_fetch(&s->aws, err);
}

bool session_goes_on(const struct session *s, struct error *err)
{
    return !http_readable(s->cloud.signal_fd) || error_set(err, ERROR_CANCELLED, 0, "interrupted by a signal");
}

/* STS's words for the encoded part of a refusal, owned; NULL: it cannot be asked, or may not be. */
static char *decode_denial(struct session *s, const struct aws_denial *d)
{
    AUTO_ARENA arena = { 0 };
    AUTO_ERROR ignored = { 0 };
    struct sts_refusal refusal = { 0 };
    if (!d->encoded)
        return NULL;
    log_debug("the encoded message: %s", d->encoded);
    AUTO_CALL *call = &sts_decode_message_call(&s->aws, s->aws_config.region, d->encoded)->call;
    call->give_up = env_mono(s->aws.env) + DECODE_MS;
    if (!call_run(&s->loop, call, &ignored) ||
        !sts_decode_message_result((struct aws_call *)call, &arena, &refusal, &ignored))
        return NULL;
    return policy_decoded(&refusal);
}

void session_explain(struct session *s, const char *command, struct error *err)
{
    struct aws_denial d = { 0 };
    if (!aws_is_denial(err->code))
        return;
    const struct aws_denial *last = &s->aws.denied;
    if ((last->action && !strstr(err->message, last->action)) ||
        (last->resource && !strstr(err->message, last->resource)))
        return;                          /* another was denied since */
    aws_denial_copy(&d, &s->aws.denied); /* the question below may be denied too */
    AUTO_FREE char *what = policy_denied(&d), *decoded = decode_denial(s, &d);
    AUTO_FREE char *more = decoded ? NULL : policy_decode_command(&d);
    if (what)
        log_info("%s", what);
    if (decoded)
        log_info("%s", decoded);
    if (more)
        log_info("for more: %s", more);
    free(err->hint);
    err->hint = policy_advice(&d, command);
    aws_denial_clear(&d);
}

void session_close(struct session *s)
{
    call_loop_clear(&s->loop);
    http_free(s->http);
    for (size_t i = 0; i < SERVICE_COUNT; i++)
        tally_clear(&s->cloud.tally[i]);
    github_app_free(s->app);
    aws_clear(&s->aws);
    aws_config_clear(&s->aws_config);
    github_config_clear(&s->github_config);
    free(s->fleet);
    *s = (struct session){ 0 };
}

bool regions_find(const struct strlist *given, const char *places, const char *fallback, struct strlist *ret,
                  struct error *err)
{
    for (size_t i = 0; i < given->n; i++) {
        if (!aws_region_check(given->v[i], "--regions", err))
            return false;
        if (!strlist_has(ret, given->v[i]))
            strlist_add(ret, given->v[i]);
    }
    if (ret->n == 0 && fallback)
        strlist_add(ret, fallback);
    return str_empty(places) || plan_place_regions(places, ret, err);
}

/* What went wrong earlier is gone. */
bool output_flush(struct error *err)
{
    if (fflush(stdout) != 0)
        return error_errno(err, errno, "writing to standard output");
    return !ferror(stdout) || error_set(err, ERROR_SYSTEM, 0, "writing to standard output failed");
}

bool output_write(struct cmd *cmd, const char *name, const char *value, struct error *err)
{
    const char *path = cmd->getenv("GITHUB_OUTPUT");
    AUTO_STRBUF text = STRBUF_INIT;
    if (str_empty(path)) {
        if (cmd->common.json)
            return true;
        print_line("%s=%s", name, value);
        return output_flush(err);
    }
    AUTO_FREE char *clean = xstrdup(value); /* what comes of it, a later step prints */
    text_clean(clean);
    /* A delimiter that no value can guess keeps a value from adding outputs of its own. */
    uint8_t random[20];
    AUTO_STRBUF delimiter = STRBUF_INIT;
    cmd->env->random(cmd->env->ctx, random, sizeof(random));
    strbuf_adds(&delimiter, "mayfly_");
    encode_random32(&delimiter, random, sizeof(random));
    strbuf_addf(&text, "%s<<%s\n%s\n%s\n", name, strbuf_str(&delimiter), clean, strbuf_str(&delimiter));
    if (file_put(path, "GITHUB_OUTPUT", FILE_APPEND, 0644, strbuf_str(&text), text.len, err))
        return true;
    err->domain = ERROR_SYSTEM; /* no usage of anybody's is wrong */
    return false;
}

void summary_write(struct cmd *cmd, const char *markdown)
{
    const char *path = cmd->getenv("GITHUB_STEP_SUMMARY");
    AUTO_ERROR err = { 0 };
    AUTO_STRBUF text = STRBUF_INIT;
    strbuf_adds(&text, markdown);
    secret_redact(&text);
    if (str_empty(path) || file_put(path, "GITHUB_STEP_SUMMARY", FILE_APPEND, 0644, strbuf_str(&text), text.len, &err))
        return;
    AUTO_FREE char *why = error_format(&err);
    log_warn("no step summary: %s", why);
}

void print_line(const char *fmt, ...)
{
    AUTO_STRBUF line = STRBUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    strbuf_vaddf(&line, fmt, ap);
    va_end(ap);
    secret_redact(&line);
    AUTO_FREE char *text = strbuf_steal(&line);
    text_clean(text);
    printf("%s\n", text);
}

void print_lines(const char *text)
{
    AUTO_STRBUF all = STRBUF_INIT;
    strbuf_adds(&all, text);
    secret_redact(&all);
    for (const char *s = strbuf_str(&all); *s;) {
        size_t n = strcspn(s, "\n");
        AUTO_FREE char *line = xstrndup(s, n);
        text_clean(line);
        for (size_t i = 0; i < n; i++)
            line[i] = s[i] == '\t' ? '\t' : line[i];
        printf("%s\n", line);
        s += n + (s[n] == '\n');
    }
}

/* json-c escapes the control characters of C0 alone; a terminal obeys others too, and GitHub's runner ##[…]. */
void print_json(struct json_object *object)
{
    const char *s = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    AUTO_STRBUF line = STRBUF_INIT;
    for (size_t n; *s; s += n) {
        int c = text_is_command(s) ? '#' : text_control(s);
        n = text_char(s) ? text_char(s) : 1;
        if (c >= 0)
            strbuf_addf(&line, "\\u%04x", (unsigned)c);
        else
            strbuf_add(&line, s, n);
    }
    print_line("%s", strbuf_str(&line));
}
