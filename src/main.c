/* Dispatch, signals, and the one place that prints an error. */
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mayfly/cmd/cmd.h"
#include "mayfly/cmd/manual.h"
#include "mayfly/cmd/version.h"
#include "mayfly/util/home.h"
#include "mayfly/util/log.h"
#include "mayfly/util/secret.h"
#include "mayfly/util/signals.h"
#include "mayfly/util/trust.h"

enum { CONFIG_MAX = 1 << 20 };

static const char *get_env(const char *name)
{
    return getenv(name);
}

static void usage(FILE *out)
{
    fputs("mayfly gives every CI job its own EC2 machine.\n\nusage: mayfly COMMAND [OPTIONS]\n\ncommands:\n", out);
    for (const struct command *const *c = commands; *c; c++)
        fprintf(out, "  %-8s %s\n", (*c)->name, (*c)->summary);
    fputs("\nRun `mayfly COMMAND --help` for a command's options, `mayfly --version` for the version.\n", out);
}

static void command_usage(const struct command *c)
{
    printf("usage: mayfly %s %s%s[OPTIONS]\n\n%s\n\noptions:\n", c->name, c->arguments ? c->arguments : "",
           c->arguments ? " " : "", c->about);
    opts_help(stdout, c->opts);
    if (c->more_opts)
        opts_help(stdout, c->more_opts);
    printf("\noptions of every command:\n");
    opts_help(stdout, common_opts);
    printf("\n* can also be set by a configuration file in a checkout, which may only lower limits: docs/security.md.\n"
           "\nOptions can also be set by environment variable (--max-lifetime: MAYFLY_MAX_LIFETIME) or in the\n"
           "configuration file.\n"
           "Exit status: 0 done, 1 failed, 2 usage or configuration error, 3 partly done, 75 try again later.\n");
}

static void print_option(const char *command, const struct opt *o)
{
    static const char *const types[] = { [OPT_FLAG] = "flag", [OPT_STRING] = "string", [OPT_TEXT] = "text",
                                         [OPT_LIST] = "list", [OPT_NUMBER] = "number", [OPT_SECONDS] = "duration" };
    AUTO_JSON *object = must(json_object_new_object());
    const struct {
        const char *key, *value;
    } members[] = { { "command", command },    { "name", o->name },      { "type", types[o->type] },
                    { "arg", o->arg },         { "help", o->help },      { "fallback", o->fallback },
                    { "choices", o->choices }, { "aliases", o->aliases } };
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        if (members[i].value)
            json_object_object_add(object, members[i].key, must(json_object_new_string(members[i].value)));
    /* What a file in a checkout may give: nothing, any value, no more than the fallback, or what is said. */
    const char *checkout = !(o->bits & OPT_CHECKOUT)                              ? "no"
                           : (o->bits & OPT_CHECKOUT_LOWER) == OPT_CHECKOUT_LOWER ? "lower"
                           : o->checkout                                          ? o->checkout->what
                                                                                  : "any";
    json_object_object_add(object, "checkout", must(json_object_new_string(checkout)));
    json_object_object_add(object, "flag-only", must(json_object_new_boolean(o->bits & OPT_FLAG_ONLY)));
    json_object_object_add(object, "empty", must(json_object_new_boolean(o->empty != 0)));
    json_object_object_add(object, "no-effect", must(json_object_new_boolean(o->bits & OPT_NO_EFFECT)));
    print_json(object);
}

/* For programs: the tables, one JSON object a line. Options of every command have no `command`. */
static void print_options(void)
{
    for (const struct command *const *c = commands; *c; c++)
        for (const struct opt *o = (*c)->opts; o->name; o++)
            print_option((*c)->name, o);
    for (const struct command *const *c = commands; *c; c++)
        for (const struct opt *o = (*c)->more_opts; o && o->name; o++)
            print_option((*c)->name, o);
    for (const struct opt *o = common_opts; o->name; o++)
        print_option(NULL, o);
}

/* Behind each option that an input has set, that input: what its user wrote. Owned. */
static char *name_inputs(const char *message, const struct strlist *inputs)
{
    AUTO_STRBUF out = STRBUF_INIT;
    while (*message) {
        bool named = str_starts(message, "--") && !(out.len && strbuf_str(&out)[out.len - 1] == '(');
        size_t n = named ? 2 + strspn(message + 2, "abcdefghijklmnopqrstuvwxyz-") : 1;
        strbuf_add(&out, message, n);
        for (size_t i = 0; n > 2 && i + 1 < inputs->n && !str_starts(message + n, " ("); i += 2) {
            if (strncmp(message + 2, inputs->v[i], n - 2) != 0 || inputs->v[i][n - 2] != '\0')
                continue;
            strbuf_addf(&out, " (input %s)", inputs->v[i + 1]);
            break;
        }
        message += n;
    }
    return strbuf_steal(&out);
}

static int print_error(const char *command, const struct error *err, const struct strlist *set_by)
{
    static const char inputs[] = "in the action, --NAME is the input NAME, and an empty one counts as not given";
    AUTO_FREE char *message = error_format(err);
    AUTO_FREE char *named = name_inputs(message, set_by);
    AUTO_FREE char *line = xasprintf("mayfly%s%s: %s", command ? " " : "", command ? command : "", named);
    bool options = str_eq(named, message) && (err->domain == ERROR_USAGE || err->domain == ERROR_CONFIG) &&
                   (strstr(message, "--") || (err->hint && strstr(err->hint, "--")));
    bool action = !str_empty(getenv("INPUT_MODE")); /* whose users wrote inputs */
    AUTO_FREE char *both = err->hint ? xasprintf("%s (%s)", err->hint, inputs) : xstrdup(inputs);
    log_error(line, options && action ? both : err->hint);
    return error_exit_status(err);
}

/* Whoever asks for a format wins over GitHub Actions. */
static void open_log(const struct common *common)
{
    bool actions = str_eq(getenv("GITHUB_ACTIONS"), "true");
    bool debug = common->verbose || str_eq(getenv("RUNNER_DEBUG"), "1");
    enum log_format format = str_eq(common->log_format, "json")         ? LOG_JSON
                             : actions && str_empty(common->log_format) ? LOG_ACTIONS
                                                                        : LOG_TEXT;
    log_init(debug ? LOG_DEBUG : LOG_INFO, stderr, format, &env_system);
}

static const char *whose_key(const char *key)
{
    if (opts_find(common_opts, key))
        return "every command";
    for (const struct command *const *c = commands; *c; c++)
        if (opts_find((*c)->opts, key) || ((*c)->more_opts && opts_find((*c)->more_opts, key)))
            return (*c)->name;
    return NULL;
}

/* The first that exists; owned, or NULL. One that is named must exist. */
static char *find_config(const char *named, const char *(*getenv_fn)(const char *))
{
    /* A relative one is to be ignored, says the XDG specification: it would be that of the directory we happen to be
     * in. */
    const char *xdg = getenv_fn("XDG_CONFIG_HOME");
    AUTO_FREE char *home = home_directory(getenv_fn);
    AUTO_FREE char *user = xdg && xdg[0] == '/' ? xasprintf("%s/mayfly/mayfly.ini", xdg)
                           : home               ? xasprintf("%s/.config/mayfly/mayfly.ini", home)
                                                : NULL;
    if (!str_empty(named))
        return xstrdup(named);
    if (user && access(user, F_OK) == 0)
        return STEAL(user);
    return access("/etc/mayfly/mayfly.ini", F_OK) == 0 ? xstrdup("/etc/mayfly/mayfly.ini") : NULL;
}

/* A token or key that the step gives as an input wins over a file that a variable or the configuration file names. */
static void prefer_inputs(struct cmd *cmd, const struct opts_source *source)
{
    const struct {
        const char *input, *option;
        char **file;
    } rows[] = { { "github-token", "github-token-file", &cmd->common.github_token_file },
                 { "app-key", "app-key-file", &cmd->common.app_key_file } };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (opts_input(source, rows[i].input) && !opts_is_explicit(opts_find(common_opts, rows[i].option), source))
            str_set(rows[i].file, NULL);
}

static bool parse_options(struct cmd *cmd, void *options, char *const *args, struct strlist *notices, struct error *err)
{
    const struct opt_set sets[] = {
        { cmd->command->opts, options }, { common_opts, &cmd->common }, { cmd->command->more_opts, options }, { 0 }
    };
    AUTO_INI ini = { 0 };
    AUTO_STRBUF text = STRBUF_MAX(CONFIG_MAX);
    AUTO_FREE char *name = xasprintf("mayfly %s", cmd->command->name);
    struct opts_source source = { .command = name,
                                  .args = args,
                                  .getenv = cmd->getenv,
                                  .whose = whose_key,
                                  .notices = notices,
                                  .inputs = &cmd->inputs };
    AUTO_FREE char *doubt = NULL;
    AUTO_FREE char *named = opts_peek(opts_find(common_opts, "config"), &source);
    AUTO_FREE char *section = opts_peek(opts_find(common_opts, "runner"), &source);
    AUTO_FREE char *file = find_config(named, cmd->getenv);
    source.section = section;
    source.rest = cmd->command->arguments ? &cmd->rest : NULL;
    if (file) {
        if (!strbuf_read_file(&text, file, "the configuration file", err)) {
            err->domain = ERROR_CONFIG;
            error_hint(err, "in a workflow, actions/checkout must run before a step that names one of its files");
            return false;
        }
        if (!ini_parse(&ini, strbuf_str(&text), text.len, file, err))
            return false;
        source.file = &ini;
        source.file_name = file;
        source.file_doubt = doubt = trust_doubt(file, cmd->getenv);
    } else if (source.section) {
        error_set(err, ERROR_CONFIG, 0, "--runner %s needs a configuration file, and there is none", source.section);
        error_hint(err, "name it with --config or MAYFLY_CONFIG");
        return false;
    }
    if (!opts_parse(sets, &source, err))
        return false;
    prefer_inputs(cmd, &source);
    return true;
}

static int run_command(const struct command *command, char *const *args)
{
    AUTO_ERROR err = { 0 };
    AUTO_FREE void *options = xcalloc(1, command->options_size);
    AUTO_STRLIST notices = { 0 };
    struct cmd cmd = { .command = command, .env = &env_system, .getenv = get_env };
    int status;
    for (char *const *a = args; *a; a++) {
        if (str_eq(*a, "--help") || str_eq(*a, "-h")) {
            command_usage(command);
            return 0;
        }
    }
    bool ok = parse_options(&cmd, options, args, &notices, &err);
    if (ok) {
        open_log(&cmd.common);
        for (size_t i = 0; i < notices.n; i++)
            log_notice("%s", notices.v[i]);
        cmd.signal_fd = signals_open(); /* no handler: nothing is interrupted halfway */
        cmd.until = command->limit_s ? env_mono(cmd.env) + command->limit_s * 1000 : 0;
        ok = (str_empty(cmd.common.trace) || log_trace_open(cmd.common.trace, &err)) &&
             command->run(&cmd, options, &err);
    }
    status = ok && output_flush(&err) ? cmd.exit_status : print_error(command->name, &err, &cmd.inputs);
    opts_clear(command->opts, options);
    opts_clear(common_opts, &cmd.common);
    strlist_clear(&cmd.rest);
    strlist_clear(&cmd.inputs);
    log_close();
    secret_forget_all();
    return status;
}

static const struct command *find_command(const char *name)
{
    for (const struct command *const *c = commands; *c; c++)
        if (str_eq((*c)->name, name))
            return *c;
    return NULL;
}

static int dispatch(char **argv)
{
    AUTO_ERROR err = { 0 };
    const char *name = argv[0] ? argv[1] : NULL;
    if (str_eq(name, "--version") || str_eq(name, "version")) {
        version_print();
        return 0;
    }
    if (str_eq(name, "--options")) {
        print_options();
        return 0;
    }
    if (str_eq(name, "--manual") && (!argv[2] || find_command(argv[2]))) {
        manual_print(argv[2] ? find_command(argv[2]) : NULL);
        return 0;
    }
    if (str_eq(name, "--completion") && completion_print(argv[2]))
        return 0;
    const struct command *explained = str_eq(name, "help") && argv[2] ? find_command(argv[2]) : NULL;
    if (explained) {
        command_usage(explained);
        return 0;
    }
    if (!name || str_eq(name, "--help") || str_eq(name, "-h") || str_eq(name, "help")) {
        usage(name ? stdout : stderr);
        return name ? 0 : 2;
    }
    const struct command *command = find_command(name);
    const char *best = NULL;
    if (command)
        return run_command(command, argv + 2);
    for (const struct command *const *c = commands; *c; c++)
        best = opts_nearest(name, best, (*c)->name);
    error_set(&err, ERROR_USAGE, 0, "there is no command `%.40s`", name);
    if (best)
        error_hint(&err, "did you mean `mayfly %s`? `mayfly --help` lists all commands", best);
    else
        error_hint(&err, "`mayfly --help` lists all commands");
    return print_error(NULL, &err, &(struct strlist){ 0 });
}

/* What is opened in the place of a stream that was closed (>&-) would take what is printed: a lock, a socket. To this
 * nothing can be written either. */
static void keep_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc UNUSED, char **argv)
{
    AUTO_ERROR err = { 0 };
    keep_streams();
    secret_protect_process();
    /* Big answers go back to the system when they are freed: glibc would raise this limit with the first of them, and
     * keep the heap that the next ones need. */
#ifdef M_MMAP_THRESHOLD
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
#endif
    open_log(&(struct common){ 0 }); /* for what is wrong with the options themselves */
    int status = dispatch(argv);
    return status == 0 && !output_flush(&err) ? print_error(NULL, &err, &(struct strlist){ 0 }) : status;
}
