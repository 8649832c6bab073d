/* Options as tables: one row drives the flag, the MAYFLY_* and INPUT_* variables, the configuration file and --help.
 *
 * Precedence: flag; INPUT_NAME (a GitHub Action's input, dashes or underscores), also under the row's aliases;
 * MAYFLY_NAME, the same; the row's own variables; the configuration file's [runner X] section, then its [default]; the
 * row's fallback. A variable, file value or INPUT that is empty, or blank, counts as not given. Names compare without
 * regard to `-` and `_`. A list is written A,B or ["A", "B"].
 *
 * A value means the same whichever of them gives it, without what is around it: blanks, line breaks, a byte order mark.
 * An empty flag alone is a value: of a text or list the empty one, instead of what others say; of others an error.
 *
 * A file that somebody else could have written (trust.h) may set only the rows with OPT_CHECKOUT, as far as these say;
 * a row of which nothing is said is not among them. */
#ifndef MAYFLY_UTIL_OPTS_H
#define MAYFLY_UTIL_OPTS_H

#include <stdio.h>

#include "mayfly/util/ini.h"

enum opt_type {
    OPT_FLAG,    /* bool */
    OPT_STRING,  /* char *, owned; one line */
    OPT_TEXT,    /* char *, owned; line breaks and tabs may be in it */
    OPT_LIST,    /* struct strlist: parts between commas or line breaks; with `choices`, each must be one of them */
    OPT_NUMBER,  /* uint64_t, min to max */
    OPT_SECONDS, /* int64_t, written 90s, 10m, 6h; min to max seconds */
};

enum opt_bits {
    OPT_CHECKOUT = 1,  /* may be set by a configuration file in a checkout, which a pull request could have written */
    OPT_FLAG_ONLY = 2, /* from argv alone */
    /* Another program's option that means nothing here: it has no field, is not in --help, and refuses no value. One
     * that differs from the fallback adds to `notices`, with `help` for the reason. OPT_FLAG or OPT_NUMBER. */
    OPT_NO_EFFECT = 4,
    /* OPT_CHECKOUT, but no more than the fallback, which it has: such a file may lower a limit. OPT_NUMBER, OPT_SECONDS
     */
    OPT_CHECKOUT_LOWER = 16 | OPT_CHECKOUT,
    OPT_ONCE = 8, /* a second one in argv is refused, where the last would win: what it leaves out would stay alive */
};

/* Which values a file in a checkout may give to an OPT_CHECKOUT row; of a list each part. */
struct opt_values {
    bool (*fits)(const char *value);
    const char *what; /* "one of …", for messages */
};

/* What an input of an action has that nobody gave, where an empty one means something. */
#define OPT_NOT_GIVEN "(not given)"

struct opt {
    const char *name; /* "security-groups"; NULL ends a table */
    enum opt_type type;
    size_t offset;        /* of the field in the struct that the table fills */
    const char *arg;      /* "ID[,ID…]", for help; NULL for flags */
    const char *help;     /* one sentence without a full stop */
    const char *fallback; /* text, as a user would write it, or NULL */
    const char *choices;  /* space-separated, or NULL */
    const char *vars;     /* more environment variables, space-separated, in order; or NULL */
    const char *aliases; /* other names of this option, space-separated: inputs of machulav/ec2-github-runner; NAME:m of
                          * OPT_SECONDS takes minutes, as JavaScript's parseInt() reads them; 0 is what was not given */
    uint64_t min, max;   /* of OPT_NUMBER and OPT_SECONDS; both 0: no limits */
    unsigned bits;
    size_t empty; /* offset of a bool, which is set when the option or input was given and is empty; 0: none. Inputs of
                   * an action then have OPT_NOT_GIVEN for a default. */
    const struct opt_values *checkout; /* or NULL: any */
};

/* A row, by its type: name, field, argument, help, then what else it has. The file defines OPTIONS, the struct of the
 * fields. */
#define OPT_ROW(type_, name_, field_, arg_, ...)                                                                       \
    {                                                                                                                  \
        .name = name_, .type = type_, .offset = offsetof(OPTIONS, field_), .arg = arg_, .help = __VA_ARGS__            \
    }
#define OPT_FLAG(name_, field_, ...) OPT_ROW(OPT_FLAG, name_, field_, NULL, __VA_ARGS__)
#define OPT_STRING(name_, field_, arg_, ...) OPT_ROW(OPT_STRING, name_, field_, arg_, __VA_ARGS__)
#define OPT_TEXT(name_, field_, arg_, ...) OPT_ROW(OPT_TEXT, name_, field_, arg_, __VA_ARGS__)
#define OPT_LIST(name_, field_, arg_, ...) OPT_ROW(OPT_LIST, name_, field_, arg_, __VA_ARGS__)
#define OPT_NUMBER(name_, field_, arg_, ...) OPT_ROW(OPT_NUMBER, name_, field_, arg_, __VA_ARGS__)
#define OPT_SECONDS(name_, field_, arg_, ...) OPT_ROW(OPT_SECONDS, name_, field_, arg_, __VA_ARGS__)

/* A table with the struct that it fills; a command takes several (its own, the common ones). */
struct opt_set {
    const struct opt *opts; /* NULL ends the sets */
    void *base;
};

struct opts_source {
    const char *command; /* "mayfly start", for messages */
    char *const *args;   /* argv after the command's name, NULL-terminated */
    const char *(*getenv)(const char *name);
    const struct ini *file; /* or NULL */
    const char *file_name;  /* for messages */
    const char *file_doubt; /* why somebody else could have written it; NULL: it is trusted */
    const char *section;    /* NAME of [runner NAME], or NULL */
    /* The command that has an option or key of this name, "every command", or NULL: in the file that is refused. */
    const char *(*whose)(const char *key);
    struct strlist *rest;    /* takes what is not an option; NULL: such arguments are refused */
    struct strlist *inputs;  /* takes OPTION, INPUT for each option that an action's input has set; or NULL */
    struct strlist *notices; /* takes a sentence for each value that has no effect; or NULL */
};

/* Fills the structs of `sets`, whose bytes must be zero, from all sources. */
MUST_CHECK bool opts_parse(const struct opt_set *sets, const struct opts_source *source, struct error *err);
/* The value of one option as argv or the environment give it, before anything is parsed: for --config and --runner,
 * which decide what is parsed. Owned by the caller, or NULL. */
char *opts_peek(const struct opt *opt, const struct opts_source *source);
/* Is it given by a flag, or by an input of the action? */
bool opts_is_explicit(const struct opt *opt, const struct opts_source *source);
/* An input of the action that is no option, like github-token. Borrowed, or NULL. */
const char *opts_input(const struct opts_source *source, const char *name);
/* The option of this name or alias, or NULL. */
const struct opt *opts_find(const struct opt *opts, const char *name);
/* Frees what opts_parse allocated in *base. */
void opts_clear(const struct opt *opts, void *base);

/* Prints the table's rows for --help; those with OPT_CHECKOUT have a `*` at their end. */
void opts_help(FILE *out, const struct opt *opts);

/* The candidate nearest to word (by edit distance, at most a third of its length), or NULL. */
const char *opts_nearest(const char *word, const char *best, const char *candidate);

#endif
