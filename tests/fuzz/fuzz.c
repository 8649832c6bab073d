/* One program with all harnesses: $MAYFLY_FUZZ names the one to run; `list` prints their names. */
#include "fuzz.h"

#include <stdio.h>

#include "mayfly/net/http.h"
#include "mayfly/util/log.h"
#include "mayfly/util/secret.h"
#include "mayfly/util/text.h"

static const struct harness harnesses[] = {
    { "agent", fuzz_agent },
    { "aws-config", fuzz_aws_config },
    { "aws-creds", fuzz_aws_creds },
    { "aws-error", fuzz_aws_error },
    { "aws-profile", fuzz_aws_profile },
    { "aws-sso", fuzz_aws_sso },
    { "aws-token", fuzz_aws_token },
    { "codec", fuzz_codec },
    { "console", fuzz_console },
    { "dates", fuzz_dates },
    { "ec2", fuzz_ec2 },
    { "encode", fuzz_encode },
    { "github", fuzz_github },
    { "github-app", fuzz_github_app },
    { "github-config", fuzz_github_config },
    { "ini", fuzz_ini },
    { "opts", fuzz_opts },
    { "rsa", fuzz_rsa },
    { "start", fuzz_start },
    { "tags", fuzz_tags },
    { "text", fuzz_text },
    { "url", fuzz_url },
    { "words", fuzz_words },
};
static const struct harness *harness;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc UNUSED, char ***argv UNUSED)
{
    const char *name = getenv("MAYFLY_FUZZ");
    for (size_t i = 0; i < ARRAY_SIZE(harnesses); i++) {
        if (str_eq(name, harnesses[i].name))
            harness = &harnesses[i];
        if (str_eq(name, "list"))
            puts(harnesses[i].name);
    }
    if (!harness)
        exit(str_eq(name, "list") ? 0 : 2);
    log_init(LOG_ERROR, stderr, LOG_TEXT, &fuzz_env);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { (const char *)data, (const char *)data + size };
    harness->run(&in);
    secret_forget_all();
    return 0;
}

_Noreturn void fuzz_broken(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

char *fuzz_part(struct input *in, size_t *ret_len)
{
    static const char mark[] = "\n==\n";
    size_t left = (size_t)(in->end - in->at), n = left;
    bool empty = left >= 3 && memcmp(in->at, mark + 1, 3) == 0;
    const char *stop = empty ? in->at - 1 : left ? memmem(in->at, left, mark, strlen(mark)) : NULL;
    if (stop)
        n = empty ? 0 : (size_t)(stop - in->at);
    char *part = xmalloc(n + 1);
    if (n)
        memcpy(part, in->at, n);
    part[n] = '\0';
    in->at = stop ? stop + strlen(mark) : in->end;
    if (ret_len)
        *ret_len = n;
    return part;
}

unsigned char fuzz_byte(struct input *in)
{
    return in->at < in->end ? (unsigned char)*in->at++ : 0;
}

struct strlist fuzz_lines(struct input *in)
{
    struct strlist lines = { 0 };
    AUTO_FREE char *part = fuzz_part(in, NULL);
    for (char *line = part, *next; *line; line = next) {
        size_t n = strcspn(line, "\n");
        next = line + n + (line[n] != '\0');
        line[n] = '\0';
        strlist_add(&lines, line);
    }
    return lines;
}

void fuzz_response(struct input *in, struct http_response *ret)
{
    size_t len;
    AUTO_FREE char *part = fuzz_part(in, &len);
    char *line = part, *end = part + len;
    *ret = (struct http_response){ .body = STRBUF_INIT };
    for (bool first = true; line < end; first = false) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        char *next = stop ? stop + 1 : end;
        if (stop)
            *stop = '\0';
        if (first)
            ret->status = 100 + (int)(strtoul(line, NULL, 10) + 400) % 500;
        else if (*line)
            strlist_add(&ret->headers, line);
        else {
            strbuf_add(&ret->body, next, (size_t)(end - next));
            break;
        }
        line = next;
    }
    if (ret->status == 0)
        ret->status = 500;
}

const struct strlist *fuzz_environment;

const char *fuzz_getenv(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < fuzz_environment->n; i++)
        if (str_starts(fuzz_environment->v[i], name) && fuzz_environment->v[i][n] == '=')
            return fuzz_environment->v[i] + n + 1;
    return NULL;
}

bool fuzz_is_one_line(const char *s)
{
    for (; s && *s; s++)
        if (text_control(s) >= 0)
            return false;
    return true;
}

/* A harness whose parser takes nothing at all proves nothing: run looks for this line. */
static size_t taken, refused;

static void tell_outcomes(void)
{
    fprintf(stderr, "outcomes: %zu taken, %zu refused\n", taken, refused);
}

void fuzz_outcome(bool ok, struct error *err)
{
    if (taken + refused == 0)
        atexit(tell_outcomes);
    taken += ok;
    refused += !ok;
    HOLDS(ok == (err->domain == ERROR_NONE));
    HOLDS(ok == (error_exit_status(err) == 0));
    HOLDS(ok || !str_empty(err->message));
    HOLDS(fuzz_is_one_line(err->message) && fuzz_is_one_line(err->context) && fuzz_is_one_line(err->hint));
    if (!ok) {
        AUTO_FREE char *all = error_format(err);
        HOLDS(strstr(all, err->message));
    }
    error_clear(err);
}

enum { FILLING = 0xa5 };

void fuzz_fill(void *ret, size_t size)
{
    memset(ret, FILLING, size);
}

bool fuzz_is_filled(const void *ret, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (((const unsigned char *)ret)[i] != FILLING)
            return false;
    return true;
}

static int64_t now(void *ctx UNUSED)
{
    return INT64_C(1767323045000);
}

static int64_t mono(void *ctx UNUSED)
{
    return 1000000;
}

static void no_random(void *ctx UNUSED, void *bytes, size_t len)
{
    memset(bytes, 0, len);
}

const struct env fuzz_env = { .now = now, .mono = mono, .random = no_random };
