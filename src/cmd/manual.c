#include "mayfly/cmd/manual.h"

#include <ctype.h>
#include <stdio.h>

#include "mayfly/version.h"

/* Both kinds of options of a command, one after the other; then those of every command. */
struct walk {
    const struct opt *tables[3];
    size_t table, row;
};

static struct walk walk_of(const struct command *c)
{
    static const struct opt none[] = { { 0 } };
    return (struct walk){ .tables = { c ? c->opts : none, c && c->more_opts ? c->more_opts : none, common_opts } };
}

/* The next that is shown, or NULL. */
static const struct opt *walk_next(struct walk *w)
{
    for (; w->table < ARRAY_SIZE(w->tables); w->table++, w->row = 0) {
        while (w->tables[w->table][w->row].name) {
            const struct opt *o = &w->tables[w->table][w->row++];
            if (!(o->bits & OPT_NO_EFFECT))
                return o;
        }
    }
    return NULL;
}

/* --- manual pages ------------------------------------------------------------------------------------------------- */

/* Text as roff takes it: no escapes and no requests in it, and hyphens that can be copied. */
static void roff(const char *text)
{
    bool begins = true;
    for (const char *p = text; *p; p++) {
        if (begins && (*p == '.' || *p == '\''))
            fputs("\\&", stdout);
        if (*p == '\\')
            fputs("\\e", stdout);
        else if (*p == '-')
            fputs("\\-", stdout);
        else if ((unsigned char)*p < 0x80)
            fputc(*p, stdout);
        else if (strncmp(p, "…", 3) == 0) {
            fputs("...", stdout);
            p += 2;
        }
        begins = *p == '\n';
    }
}

static void section(const char *name)
{
    printf(".SH %s\n", name);
}

static void variable(const char *name)
{
    fputs("MAYFLY_", stdout);
    for (const char *p = name; *p; p++)
        fputc(*p == '-' ? '_' : toupper((unsigned char)*p), stdout);
}

static void print_option(const struct opt *o)
{
    fputs(".TP\n\\fB\\-\\-", stdout);
    roff(o->name);
    fputs("\\fR", stdout);
    if (o->arg) {
        fputs(" \\fI", stdout);
        roff(o->arg);
        fputs("\\fR", stdout);
    }
    fputc('\n', stdout);
    roff(o->help);
    if (o->fallback && o->type != OPT_FLAG) {
        fputs(" (default: ", stdout);
        roff(o->fallback);
        fputc(')', stdout);
    }
    fputs(".\n", stdout);
    if (!(o->bits & OPT_FLAG_ONLY)) {
        fputs("Also ", stdout);
        variable(o->name);
        for (const char *p = o->vars; p && *p;) {
            size_t n = strcspn(p, " ");
            printf(", %.*s", (int)n, p);
            p += n + strspn(p + n, " ");
        }
        fputs(".\n", stdout);
    }
}

static void print_environment(void)
{
    section("ENVIRONMENT");
    roff("A flag overrides its variable, which overrides the configuration file.\n");
    fputs(".TP\nMAYFLY_GITHUB_TOKEN, GITHUB_TOKEN\n", stdout);
    roff("The GitHub token. It is never an argument.\n");
    fputs(".TP\nMAYFLY_APP_KEY\n", stdout);
    roff(
        "The private key of the GitHub App that --app-id names: the text of its .pem file. It is never an argument.\n");
    fputs(".TP\nAWS_*\n", stdout);
    roff("Credentials, region, endpoints and files, as for AWS's own tools.\n");
    fputs(".TP\nGITHUB_REPOSITORY, GITHUB_RUN_ID, GITHUB_OUTPUT, GITHUB_STEP_SUMMARY, GITHUB_API_URL, "
          "GITHUB_SERVER_URL\n",
          stdout);
    roff("Set in every workflow step.\n");
    section("FILES");
    fputs(".TP\n~/.config/mayfly/mayfly.ini, /etc/mayfly/mayfly.ini\n", stdout);
    roff("The configuration file, unless --config names another: the first one that exists. Its section [runner NAME], "
         "chosen by --runner, overrides [default]. A file in a checkout, which a pull request could change, may set "
         "only the options marked with * in --help, and may lower limits but not raise them.\n");
}

static void print_statuses(void)
{
    static const char *const statuses[][2] = {
        { "0", "Done." },
        { "1", "Failed." },
        { "2", "Usage or configuration error." },
        { "3", "Partly done." },
        { "75", "Try again later: capacity, throttling, no answer." },
    };
    section("EXIT STATUS");
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
        printf(".TP\n%s\n%s\n", statuses[i][0], statuses[i][1]);
}

static void print_others(const struct command *self)
{
    section("SEE ALSO");
    if (self)
        fputs(".BR mayfly (1)", stdout);
    for (const struct command *const *c = commands; *c; c++)
        if (*c != self)
            printf("%s.BR mayfly\\-%s (1)", self || c != commands ? ",\n" : "", (*c)->name);
    fputc('\n', stdout);
}

void manual_print(const struct command *c)
{
    struct walk w = walk_of(c);
    fputs(".TH MAYFLY", stdout);
    for (const char *p = c ? c->name : ""; *p; p++)
        printf("%s%c", p == c->name ? "\\-" : "", toupper((unsigned char)*p));
    printf(" 1 \"\" \"Mayfly %s\" \"Mayfly\"\n", MAYFLY_VERSION);
    section("NAME");
    printf("mayfly%s%s \\- ", c ? "\\-" : "", c ? c->name : "");
    roff(c ? c->summary : "gives every CI job its own EC2 machine");
    fputc('\n', stdout);
    section("SYNOPSIS");
    printf(".B mayfly %s\n", c ? c->name : "");
    if (c && c->arguments)
        printf(".I %s\n", c->arguments);
    fputs(c ? "[\\fIOPTIONS\\fR]\n" : ".I COMMAND\n[\\fIOPTIONS\\fR]\n", stdout);
    section("DESCRIPTION");
    if (c) {
        roff(c->about);
        fputc('\n', stdout);
    } else {
        roff("Launches EC2 instances that each run one just-in-time GitHub Actions runner, and removes them.\n");
        for (const struct command *const *k = commands; *k; k++) {
            printf(".TP\n.BR mayfly\\-%s (1)\n", (*k)->name);
            roff((*k)->summary);
            fputs(".\n", stdout);
        }
    }
    section("OPTIONS");
    if (!c) {
        fputs(".TP\n\\fB\\-\\-version\\fR\n", stdout);
        roff("Prints \"mayfly VERSION (COMMIT)\", then the version of each library, one per line.\n");
    }
    for (const struct opt *o; (o = walk_next(&w)) != NULL;)
        print_option(o);
    print_environment();
    print_statuses();
    print_others(c);
}

/* --- completions -------------------------------------------------------------------------------------------------- */

static void words_of(const struct command *c)
{
    struct walk w = walk_of(c);
    const char *sep = "";
    for (const struct opt *o; (o = walk_next(&w)) != NULL; sep = " ")
        printf("%s--%s", sep, o->name);
}

static void names_of_commands(const char *sep)
{
    for (const struct command *const *c = commands; *c; c++)
        printf("%s%s", c == commands ? "" : sep, (*c)->name);
}

/* "case" branches for the words that an option takes, where they are known. */
static void choices_in_bash(void)
{
    AUTO_STRLIST told = { 0 };
    for (const struct command *const *c = commands; *c; c++) {
        struct walk w = walk_of(*c);
        for (const struct opt *o; (o = walk_next(&w)) != NULL;) {
            if (!o->choices || strlist_has(&told, o->name))
                continue;
            strlist_add(&told, o->name);
            printf("\t--%s) words='%s' ;;\n", o->name, o->choices);
        }
    }
}

static void bash(void)
{
    fputs("# bash completion of mayfly\n_mayfly() {\n\tlocal word=${COMP_WORDS[COMP_CWORD]} words=\n"
          "\tcase ${COMP_WORDS[COMP_CWORD - 1]} in\n",
          stdout);
    choices_in_bash();
    fputs("\t--config | --*-file | --trace) COMPREPLY=($(compgen -f -- \"$word\")) && return ;;\n\tesac\n"
          "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\twords='",
          stdout);
    names_of_commands(" ");
    fputs(" --help --version'\n\telif [ -z \"$words\" ]; then\n\t\tcase ${COMP_WORDS[1]} in\n", stdout);
    for (const struct command *const *c = commands; *c; c++) {
        printf("\t\t%s) words='", (*c)->name);
        words_of(*c);
        fputs("' ;;\n", stdout);
    }
    fputs("\t\tesac\n\tfi\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\ncomplete -F _mayfly mayfly\n",
          stdout);
}

/* In single quotes, for zsh's _arguments and for fish; zsh's own marks are escaped. */
static void quoted(const char *text, const char *marks)
{
    fputc('\'', stdout);
    for (const char *p = text; *p; p++) {
        if (*p == '\'')
            fputs("'\\''", stdout);
        else {
            if (strchr(marks, *p))
                fputc('\\', stdout);
            fputc(*p, stdout);
        }
    }
    fputc('\'', stdout);
}

static void zsh(void)
{
    fputs("#compdef mayfly\n_mayfly() {\n\tlocal -a commands\n\tcommands=(\n", stdout);
    for (const struct command *const *c = commands; *c; c++) {
        AUTO_FREE char *row = xasprintf("%s:%s", (*c)->name, (*c)->summary);
        fputs("\t\t", stdout);
        quoted(row, "");
        fputc('\n', stdout);
    }
    fputs("\t)\n\tif ((CURRENT == 2)); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n\tcase $words[2] in\n",
          stdout);
    for (const struct command *const *c = commands; *c; c++) {
        struct walk w = walk_of(*c);
        printf("\t%s)\n\t\t_arguments", (*c)->name);
        for (const struct opt *o; (o = walk_next(&w)) != NULL;) {
            AUTO_STRBUF help = STRBUF_INIT;
            for (const char *p = o->help; *p; p++)
                strbuf_addf(&help, "%s%c", strchr("[]:", *p) ? "\\" : "", *p);
            AUTO_FREE char *values = o->choices ? xasprintf(":value:(%s)", o->choices)
                                     : o->arg   ? xstrdup(":value:_files")
                                                : xstrdup("");
            AUTO_FREE char *row = xasprintf("--%s[%s]%s", o->name, strbuf_str(&help), values);
            fputs(" \\\n\t\t\t", stdout);
            quoted(row, "");
        }
        fputs("\n\t\t;;\n", stdout);
    }
    fputs("\tesac\n}\n_mayfly \"$@\"\n", stdout);
}

static void fish(void)
{
    fputs("# fish completion of mayfly\ncomplete -c mayfly -f\n", stdout);
    for (const struct command *const *c = commands; *c; c++) {
        struct walk w = walk_of(*c);
        printf("complete -c mayfly -n __fish_use_subcommand -a %s -d ", (*c)->name);
        quoted((*c)->summary, "\\");
        fputc('\n', stdout);
        for (const struct opt *o; (o = walk_next(&w)) != NULL;) {
            printf("complete -c mayfly -n '__fish_seen_subcommand_from %s' -l %s%s", (*c)->name, o->name,
                   o->choices ? " -x -a "
                   : o->arg   ? " -r -F"
                              : "");
            if (o->choices)
                quoted(o->choices, "\\");
            fputs(" -d ", stdout);
            quoted(o->help, "\\");
            fputc('\n', stdout);
        }
    }
}

bool completion_print(const char *shell)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = { { "bash", bash }, { "zsh", zsh }, { "fish", fish } };
    for (size_t i = 0; i < ARRAY_SIZE(shells); i++) {
        if (!str_eq(shells[i].name, shell))
            continue;
        shells[i].print();
        return true;
    }
    return false;
}
