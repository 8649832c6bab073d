/* sign [SECONDS]: signs requests as Mayfly does, for tests/contract/signatures: reads one JSON object a line from
 * stdin, prints each one's Authorization header. With SECONDS, for tests/bench, it signs each one for so long, and
 * prints how many a second of processor time as well. Test only. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "mayfly/aws/sigv4.h"
#include "mayfly/codec/json.h"
#include "mayfly/util/encode.h"

struct line {
    const char *key, *secret, *token, *host, *content_type, *target, *body, *region, *service;
    int64_t time;
};

#define FIELD(member, type_, required_)                                                                                \
    {                                                                                                                  \
        .path = #member, .type = (type_), .offset = offsetof(struct line, member), .required = (required_)             \
    }

static const struct field fields[] = {
    FIELD(key, FIELD_STR, true),
    FIELD(secret, FIELD_STR, true),
    FIELD(token, FIELD_STR, false),
    FIELD(host, FIELD_STR, true),
    FIELD(target, FIELD_STR, false),
    FIELD(content_type, FIELD_STR, true),
    FIELD(body, FIELD_STR, true),
    FIELD(region, FIELD_STR, true),
    FIELD(service, FIELD_STR, true),
    FIELD(time, FIELD_INT, true),
    { 0 },
};

/* Signs until so many seconds of processor time are spent, once if it is none; how many a second. */
static double sign_for(double seconds, struct strlist *headers, const struct sigv4_key *key,
                       const struct sigv4_request *request, const struct sigv4_scope *scope)
{
    enum { BATCH = 100 }; /* asking for the time takes time */
    clock_t start = clock();
    for (int n = 1;; n++) {
        strlist_clear(headers);
        sigv4_sign(headers, key, request, scope);
        if (seconds == 0)
            return 0;
        double spent = n % BATCH == 0 ? (double)(clock() - start) / CLOCKS_PER_SEC : 0;
        if (spent >= seconds)
            return n / spent;
    }
}

static bool sign(const char *json, size_t len, double seconds, struct error *err)
{
    AUTO_ARENA arena = { 0 };
    AUTO_STRBUF body = STRBUF_INIT;
    AUTO_STRLIST headers = { 0 };
    struct line l = { 0 };
    if (!json_decode_text(json, len, fields, &l, &arena, "the line", err))
        return false;
    if (!decode_base64(&body, l.body, strlen(l.body)))
        return error_set(err, ERROR_PARSE, 0, "the body is not base64");
    const struct sigv4_key key = { l.key, l.secret, l.token };
    const struct sigv4_request request = { .method = "POST",
                                           .path = "/",
                                           .query = "",
                                           .host = l.host,
                                           .content_type = l.content_type,
                                           .target = l.target,
                                           .body = strbuf_str(&body),
                                           .body_len = body.len };
    const struct sigv4_scope scope = { l.region, l.service, l.time };
    double rate = sign_for(seconds, &headers, &key, &request, &scope);
    for (size_t i = 0; i < headers.n; i++)
        if (str_starts(headers.v[i], "Authorization: "))
            puts(headers.v[i] + strlen("Authorization: "));
    if (seconds > 0)
        printf("%.0f\n", rate);
    return true;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0;
    AUTO_FREE char *line = NULL;
    size_t size = 0;
    for (ssize_t n; (n = getline(&line, &size, stdin)) > 0;) {
        AUTO_ERROR err = { 0 };
        if (!sign(line, (size_t)n, seconds, &err)) {
            fprintf(stderr, "sign: %s\n", err.message);
            return 1;
        }
    }
    return 0;
}
