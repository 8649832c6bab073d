/* The pure parts of mayfly-agent: it is one file, so it is included. */
#include "testing.h"

int agent_main(int argc, char *argv[]);
#define main agent_main
#include "../../src/agent/agent.c" /* NOLINT(bugprone-suspicious-include) */
#undef main

#include "mayfly/util/base.h"

/* Answers, whole and up to their end. */
static const struct {
    const char *text;
    enum http at_end;
    int status;
    const char *body;
} answers[] = {
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", HTTP_DONE, 200, "hello" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, and more", HTTP_DONE, 200, "hello" },
    { "HTTP/1.0 200 OK\r\n\r\nup to the end", HTTP_DONE, 200, "up to the end" },
    { "HTTP/1.1 404 Not Found\r\ncontent-length:\t0 \r\nServer: EC2ws\r\n\r\n", HTTP_DONE, 404, "" },
    { "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", HTTP_DONE, 200, "ok" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", HTTP_DONE, 200, "ok" },
    { "HTTP/1.1 200 OK\r\n\r\n", HTTP_DONE, 200, "" },
    /* cut short */
    { "", HTTP_BAD, 0, NULL },
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", HTTP_BAD, 0, NULL },
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", HTTP_BAD, 0, NULL },
    /* not HTTP, or not as IMDS speaks it */
    { "SSH-2.0-OpenSSH_9.6\r\n\r\n", HTTP_BAD, 0, NULL },
    { "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n", HTTP_BAD, 0, NULL },
    { "HTTP/1.1 2000\r\n\r\n", HTTP_BAD, 0, NULL },
    { "HTTP/1.1 20\r\n\r\n", HTTP_BAD, 0, NULL },
    { "HTTP/1.1 099 X\r\n\r\n", HTTP_BAD, 0, NULL },
    { "HTTP/1.1 200 OK\n\nbare", HTTP_BAD, 0, NULL },
    { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", HTTP_BAD, 0, NULL },
    { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello", HTTP_BAD, 0, NULL },
    { "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", HTTP_BAD, 0, NULL },
    { "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", HTTP_BAD, 0, NULL },
    { "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello", HTTP_BAD, 0, NULL },
    { "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", HTTP_BAD, 0, NULL },
    { "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n", HTTP_BAD, 0, NULL },
    { "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551621\r\n\r\nhello", HTTP_BAD, 0, NULL },
    { "HTTP/1.1 200 OK\r\nX: y\r\n Content-Length: 5\r\n\r\nhello", HTTP_BAD, 0, NULL },
};

/* Parses a copy on the heap that ends where the bytes end, so that the sanitizer sees a read beyond. */
static enum http parse(const char *text, size_t len, bool eof, struct answer *ret, char **ret_copy)
{
    char *copy = malloc(len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    *ret_copy = copy;
    return http_parse(copy, len, eof, ret);
}

START_TEST(http_answers)
{
    struct answer a = { 0 };
    AUTO_FREE char *copy = NULL;
    size_t len = strlen(answers[_i].text);
    ck_assert_int_eq(parse(answers[_i].text, len, true, &a, &copy), answers[_i].at_end);
    if (answers[_i].at_end != HTTP_DONE)
        return;
    ck_assert_int_eq(a.status, answers[_i].status);
    ck_assert_uint_eq(a.len, strlen(answers[_i].body));
    ck_assert(memcmp(a.body, answers[_i].body, a.len) == 0);
}
END_TEST

/* However the bytes come, the end is the same: until the answer is whole there is more to come, or it is bad. */
START_TEST(http_in_pieces)
{
    const char *text = answers[_i].text;
    enum http state = HTTP_MORE;
    for (size_t n = 0; n <= strlen(text) && state == HTTP_MORE; n++) {
        struct answer a = { 0 };
        AUTO_FREE char *copy = NULL;
        state = parse(text, n, false, &a, &copy);
        if (state == HTTP_DONE)
            ck_assert_int_eq(a.status, answers[_i].status);
    }
    ck_assert(state == HTTP_MORE || state == answers[_i].at_end);
}
END_TEST

START_TEST(http_limits)
{
    struct answer a;
    /* headers without an end */
    AUTO_FREE char *head = malloc(HEAD_MAX + 1), *copy = NULL;
    memset(head, 'x', HEAD_MAX + 1);
    memcpy(head, "HTTP/1.1 200 OK\r\nX: ", 20);
    ck_assert_int_eq(parse(head, HEAD_MAX - 1, false, &a, &copy), HTTP_MORE);
    free(copy);
    ck_assert_int_eq(parse(head, HEAD_MAX, false, &a, &copy), HTTP_BAD);
    free(copy);
    /* a body without an end */
    AUTO_FREE char *body = calloc(1, BODY_MAX + 100);
    memcpy(body, "HTTP/1.1 200 OK\r\n\r\n", 19);
    ck_assert_int_eq(parse(body, 19 + BODY_MAX, true, &a, &copy), HTTP_DONE);
    ck_assert_uint_eq(a.len, BODY_MAX);
    free(copy);
    ck_assert_int_eq(parse(body, 20 + BODY_MAX, false, &a, &copy), HTTP_BAD);
    free(copy);
    ck_assert_int_eq(parse("HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", 26, true, &a, &copy), HTTP_BAD);
}
END_TEST

/* Bytes changed at random: no read beyond the end, no answer outside of what came. */
START_TEST(http_garbled)
{
    unsigned state = 4711;
    for (int round = 0; round < 40000; round++) {
        const char *text = answers[(unsigned)round % ARRAY_SIZE(answers)].text;
        char buf[128];
        size_t len = strlen(text);
        ck_assert_uint_lt(len, sizeof buf);
        memcpy(buf, text, len);
        for (int change = 0; change < 1 + round % 3 && len; change++) {
            state = state * 1664525 + 1013904223;
            buf[(state >> 8) % len] = (char)(state >> 24);
        }
        if (len)
            len -= (state >> 4) % 5 % len;
        struct answer a = { 0 };
        AUTO_FREE char *copy = NULL;
        if (parse(buf, len, round % 2, &a, &copy) == HTTP_DONE)
            ck_assert(a.status >= 100 && a.status <= 599 && a.body >= copy && a.body + a.len <= copy + len);
    }
}
END_TEST

static const struct {
    const char *json, *value;
} strings[] = {
    { "{\"action\":\"terminate\",\"time\":\"2026-11-21T08:22:00Z\"}", "2026-11-21T08:22:00Z" },
    { "{ \"time\" :\t\"now\" ,\n\"action\": \"stop\" }", "now" },
    { "{\"time\":\"\"}", NULL },
    { "{\"time\":12}", NULL },
    { "{\"time\":\"a\\\"b\"}", NULL },
    { "{\"time\":\"cut", NULL },
    { "{\"time\":", NULL },
    { "{\"time\"", NULL },
    { "{\"time\":\"a b\"}", NULL },
    { "{\"time\":\"\x1b[2J\"}", NULL },
    { "{\"time\":\"0123456789012345678901234567890\"}", "0123456789012345678901234567890" },
    { "{\"time\":\"01234567890123456789012345678901\"}", NULL },
    { "", NULL },
};

START_TEST(notices)
{
    char value[32] = "untouched";
    AUTO_FREE char *copy = strdup(strings[_i].json);
    ck_assert_int_eq(json_string(copy, "time", value, sizeof value), strings[_i].value != NULL);
    ck_assert_str_eq(value, strings[_i].value ? strings[_i].value : "untouched");
}
END_TEST

static const struct {
    const char *url, *address;
    unsigned port;
} endpoints[] = {
    { "http://169.254.169.254", "169.254.169.254", 80 },
    { "http://127.0.0.1:8080/", "127.0.0.1", 8080 },
    { "http://127.0.0.1:65535", "127.0.0.1", 65535 },
    { "http://127.0.0.1:65536", NULL, 0 },
    { "http://127.0.0.1:0", NULL, 0 },
    { "http://127.0.0.1:", NULL, 0 },
    { "http://127.0.0.1/latest", NULL, 0 },
    { "http://localhost", NULL, 0 },
    { "http://1234567890.1234567890", NULL, 0 },
    { "https://127.0.0.1", NULL, 0 },
    { "", NULL, 0 },
};

START_TEST(endpoints_parsed)
{
    struct sockaddr_in e = { 0 };
    char address[INET_ADDRSTRLEN];
    ck_assert_int_eq(endpoint_parse(endpoints[_i].url, &e), endpoints[_i].address != NULL);
    if (!endpoints[_i].address)
        return;
    ck_assert_str_eq(inet_ntop(AF_INET, &e.sin_addr, address, sizeof address), endpoints[_i].address);
    ck_assert_uint_eq(ntohs(e.sin_port), endpoints[_i].port);
}
END_TEST

START_TEST(options_parsed)
{
    struct options o = { .limit = 120 };
    int status = -1;
    char *good[] = { "agent", "--limit", "7", "--run-dir", "/x", "--endpoint", "http://127.0.0.1:9", NULL };
    ck_assert(parse_options(7, good, &o, &status));
    ck_assert_int_eq(o.limit, 7);
    ck_assert_str_eq(o.run_dir, "/x");
    ck_assert_uint_eq(ntohs(o.endpoint.sin_port), 9);
    static char *const bad[][2] = {
        { "--limit", NULL }, { "--limit", "-1" }, { "--endpoint", "ftp://x" }, { "--x", "y" }, { "x", NULL }
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char *argv[] = { "agent", bad[i][0], bad[i][1], NULL };
        ck_assert(!parse_options(bad[i][1] ? 3 : 2, argv, &o, &status));
        ck_assert_int_eq(status, 2);
    }
}
END_TEST

static TCase *cases(void)
{
    TCase *t = tcase_create("agent");
    tcase_add_loop_test(t, http_answers, 0, ARRAY_SIZE(answers));
    tcase_add_loop_test(t, http_in_pieces, 0, ARRAY_SIZE(answers));
    tcase_add_test(t, http_limits);
    tcase_add_test(t, http_garbled);
    tcase_add_loop_test(t, notices, 0, ARRAY_SIZE(strings));
    tcase_add_loop_test(t, endpoints_parsed, 0, ARRAY_SIZE(endpoints));
    tcase_add_test(t, options_parsed);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { cases };
    return run_suite("agent", all, ARRAY_SIZE(all));
}
