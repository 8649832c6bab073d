/* What the harnesses of libFuzzer share. A harness is a function that gets any bytes and says what must hold of what
 * the parser makes of them; its row is in fuzz.c, its seeds are in corpus/NAME/. */
#ifndef MAYFLY_TESTS_FUZZ_H
#define MAYFLY_TESTS_FUZZ_H

#include "mayfly/codec/field.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/strbuf.h"

struct http_response;

/* The rest of an input. */
struct input {
    const char *at, *end;
};

/* Ends the process, which libFuzzer then reports with the input that led to it. */
#define HOLDS(what) ((what) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #what))
_Noreturn void fuzz_broken(const char *file, int line, const char *what);

/* The next part, up to a line `==` or the end; owned, with a NUL behind it. ret_len may be NULL. */
char *fuzz_part(struct input *in, size_t *ret_len);
/* The next byte, or 0. */
unsigned char fuzz_byte(struct input *in);
/* The lines of the next part. */
struct strlist fuzz_lines(struct input *in);
/* The next part as an answer: a line with the status, headers, an empty line, the body. The status is 100 to 599. */
void fuzz_response(struct input *in, struct http_response *ret);

/* What util/error.h promises of a call: an error exactly when it failed, of one line. Clears it. */
void fuzz_outcome(bool ok, struct error *err);
/* Bytes that a call must leave as they are when it fails: filled before, looked at behind it. */
void fuzz_fill(void *ret, size_t size);
bool fuzz_is_filled(const void *ret, size_t size);
/* Not a byte of it commands a terminal. */
bool fuzz_is_one_line(const char *s);

/* Makes `function`, which looks at each row that call_result gives of an answer. */
#define FUZZ_ROWS(call_type, function, call_result, row, type, look)                                                   \
    static bool function(const call_type *c, struct arena *arena, struct error *err)                                   \
    {                                                                                                                  \
        struct field_list rows;                                                                                        \
        fuzz_fill(&rows, sizeof(rows));                                                                                \
        if (!call_result(c, arena, &rows, err)) {                                                                      \
            HOLDS(fuzz_is_filled(&rows, sizeof(rows)));                                                                \
            return false;                                                                                              \
        }                                                                                                              \
        for (size_t i = 0; i < rows.n; i++) {                                                                          \
            const type *row = FIELD_ROW(&rows, const type, i); /* NOLINT(bugprone-macro-parentheses) */                \
            look;                                                                                                      \
        }                                                                                                              \
        return true;                                                                                                   \
    }

/* NAME=VALUE lines, and what is looked up in them. */
extern const struct strlist *fuzz_environment;
const char *fuzz_getenv(const char *name);

/* 2026-01-02T03:04:05Z, for ever. */
extern const struct env fuzz_env;

struct harness {
    const char *name;
    void (*run)(struct input *in);
};

void fuzz_agent(struct input *in);
void fuzz_aws_config(struct input *in);
void fuzz_aws_creds(struct input *in);
void fuzz_aws_error(struct input *in);
void fuzz_aws_profile(struct input *in);
void fuzz_aws_sso(struct input *in);
void fuzz_aws_token(struct input *in);
void fuzz_codec(struct input *in);
void fuzz_console(struct input *in);
void fuzz_dates(struct input *in);
void fuzz_ec2(struct input *in);
void fuzz_encode(struct input *in);
void fuzz_github(struct input *in);
void fuzz_github_app(struct input *in);
void fuzz_github_config(struct input *in);
void fuzz_ini(struct input *in);
void fuzz_opts(struct input *in);
void fuzz_rsa(struct input *in);
void fuzz_start(struct input *in);
void fuzz_tags(struct input *in);
void fuzz_text(struct input *in);
void fuzz_url(struct input *in);
void fuzz_words(struct input *in);

#endif
