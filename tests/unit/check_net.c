#include "mayfly/codec/json.h"
#include "mayfly/codec/xml.h"
#include "mayfly/net/call.h"
#include "mayfly/net/paging.h"
#include "mayfly/net/retry.h"
#include "mayfly/net/url.h"
#include "mayfly/util/file.h"
#include "testing.h"

#include <curl/curl.h>
#include <curl/mprintf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- when to try again -------------------------------------------------------------------------------------------- */

static const struct retry_policy policy = {
    .max_attempts = 4, .base_ms = 500, .throttle_ms = 1000, .cap_ms = 3000, .server_cap_ms = 60000
};

enum { FULL = 1 }; /* the greatest jitter, which is just short of the limit; 0 is the least */

START_TEST(decisions)
{
    static const struct {
        enum retry_class class;
        unsigned attempt;
        int64_t server_ms;
        bool full;
        int64_t want;
    } cases[] = {
        { RETRY_NEVER, 1, -1, FULL, -1 },        { RETRY_NEVER, 1, 0, FULL, -1 },
        { RETRY_NOW, 1, -1, FULL, 0 },           { RETRY_NOW, 3, -1, FULL, 0 },
        { RETRY_NOW, 4, -1, FULL, -1 },          { RETRY_TRANSIENT, 1, -1, 0, 0 },
        { RETRY_TRANSIENT, 1, -1, FULL, 499 },   { RETRY_TRANSIENT, 2, -1, FULL, 999 },
        { RETRY_TRANSIENT, 3, -1, FULL, 1999 },  { RETRY_TRANSIENT, 4, -1, FULL, -1 },
        { RETRY_TRANSIENT, 5, -1, FULL, -1 },    { RETRY_THROTTLE, 1, -1, FULL, 999 },
        { RETRY_THROTTLE, 2, -1, FULL, 1999 },   { RETRY_THROTTLE, 3, -1, FULL, 2999 }, /* the cap */
        { RETRY_THROTTLE, 4, -1, FULL, 2999 },                                          /* twice as many attempts */
        { RETRY_THROTTLE, 7, -1, FULL, 2999 },   { RETRY_THROTTLE, 8, -1, FULL, -1 },
        { RETRY_THROTTLE, 1, 0, 0, 0 },          { RETRY_THROTTLE, 1, 5000, 0, 5000 },
        { RETRY_THROTTLE, 1, 5000, FULL, 5999 }, { RETRY_THROTTLE, 1, 60000, 0, 60000 },
        { RETRY_THROTTLE, 1, 60001, 0, -1 }, /* longer than anybody waits */
        { RETRY_TRANSIENT, 1, 700, 0, 700 },     { RETRY_TRANSIENT, 4, 700, 0, -1 },
        { RETRY_WAIT, 1, 1000, FULL, 1000 },     { RETRY_WAIT, 9, 3000, 0, 3000 },
    };
    ck_assert_int_eq(
        retry_decide(&policy, cases[_i].class, cases[_i].attempt, cases[_i].server_ms, cases[_i].full ? UINT32_MAX : 0),
        cases[_i].want);
}
END_TEST

/* For every class, attempt and demand of the server: within the limits, and more with more randomness. */
START_TEST(delays_stay_in_their_limits)
{
    static const int64_t demands[] = { -1, 0, 1, 999, 60000 };
    static const uint32_t randoms[] = { 0, 1, 1u << 20, 1u << 31, UINT32_MAX };
    for (int class = RETRY_NEVER; class <= RETRY_THROTTLE; class ++)
        for (unsigned attempt = 1; attempt < 70; attempt++)
            for (size_t d = 0; d < ARRAY_SIZE(demands); d++) {
                int64_t last = -1;
                for (size_t r = 0; r < ARRAY_SIZE(randoms); r++) {
                    int64_t ms = retry_decide(&policy, (enum retry_class) class, attempt, demands[d], randoms[r]);
                    ck_assert_int_ge(ms, last);
                    ck_assert(ms == -1 || class == RETRY_NOW || ms >= demands[d]);
                    ck_assert_int_lt(ms, policy.cap_ms + (demands[d] > 0 ? demands[d] : 0));
                    last = ms;
                }
            }
}
END_TEST

/* --- URLs --------------------------------------------------------------------------------------------------------- */

START_TEST(urls)
{
    static const struct {
        const char *s, *scheme, *host_header, *path;
        bool safe;
    } cases[] = {
        { "https://api.github.com", "https", "api.github.com", "/", true },
        { "https://api.github.com:443/", "https", "api.github.com", "/", true },
        { "https://api.github.com:8443/api/v3", "https", "api.github.com:8443", "/api/v3", true },
        { "http://api.github.com:80", "http", "api.github.com", "/", false },
        { "HTTPS://api.github.com", "https", "api.github.com", "/", true },
        { "http://127.0.0.1:4566", "http", "127.0.0.1:4566", "/", true },
        { "http://127.255.255.255", "http", "127.255.255.255", "/", true },
        { "http://localhost:3000/x", "http", "localhost:3000", "/x", true },
        { "http://[::1]:3000", "http", "[::1]:3000", "/", true },
        { "https://10.0.0.1", "https", "10.0.0.1", "/", true },
        { "http://126.255.255.255", "http", "126.255.255.255", "/", false },
        { "http://128.0.0.1", "http", "128.0.0.1", "/", false },
        { "http://0.0.0.0", "http", "0.0.0.0", "/", false },
        { "http://10.0.0.1", "http", "10.0.0.1", "/", false },
        { "http://[::2]", "http", "[::2]", "/", false },
        { "http://[::ffff:10.0.0.1]", "http", NULL, "/", false },
        { "http://127.0.0.1.example.com", "http", "127.0.0.1.example.com", "/", false },
        { "http://localhost.example.com", "http", "localhost.example.com", "/", false },
        { "http://example.com/127.0.0.1", "http", "example.com", "/127.0.0.1", false },
    };
    AUTO_URL u = { 0 };
    AUTO_ERROR err = { 0 };
    ASSERT_OK(url_parse(cases[_i].s, "X", &u, &err), &err);
    AUTO_FREE char *host = url_host_header(&u);
    ck_assert_str_eq(u.scheme, cases[_i].scheme);
    ck_assert_str_eq(u.path, cases[_i].path);
    if (cases[_i].host_header)
        ck_assert_str_eq(host, cases[_i].host_header);
    ck_assert_int_eq(url_is_safe(&u), cases[_i].safe);
}
END_TEST

START_TEST(urls_refused)
{
    static const struct {
        const char *s, *why;
    } cases[] = {
        { "", "X: `` is not a URL" },
        { "example.com", "is not a URL" },
        { "//example.com", "is not a URL" },
        { "https://", "is not a URL" },
        { "https://exa mple.com", "is not a URL" },
        { "https://example.com:99999", "is not a URL" },
        { "https://example.com:port", "is not a URL" },
        { "https://[::1", "is not a URL" },
        { "https://example.com/\r\nX-Evil:1", "is not a URL" },
        { "ftp://127.0.0.1/", "neither http:// nor https://" },
        { "file:///etc/passwd", "neither http:// nor https://" },
        { "https://user@example.com", "a URL of scheme, host, port and path is expected" },
        { "https://user:pw@example.com", "a URL of scheme, host, port and path is expected" },
        { "https://:pw@example.com", "a URL of scheme, host, port and path is expected" },
        { "http://127.0.0.1@example.com", "a URL of scheme, host, port and path is expected" },
        { "https://example.com/?a=b", "a URL of scheme, host, port and path is expected" },
        { "https://example.com?a", "a URL of scheme, host, port and path is expected" },
        { "https://ex\xc3\xa4mple.com", "not printable ASCII" },
        { "https://ex%c2%9dmple.com", "has a % in its host" },
        { "http:/%33", "has a % in its host" }, /* decoded "3", which read again is 0.0.0.3: found by fuzzing */
        { "http://[fe80::1%25eth0]/", "has a % in its host" },
        { "https://example.com/\xc2\x9d", "not printable ASCII" },
        { "https://example.com/#f", "a URL of scheme, host, port and path is expected" },
    };
    AUTO_URL u = { 0 };
    AUTO_ERROR err = { 0 };
    ASSERT_FAILS(url_parse(cases[_i].s, "X", &u, &err), &err, cases[_i].why);
    ck_assert(u.scheme == NULL && u.host == NULL);
}
END_TEST

START_TEST(url_with_query)
{
    AUTO_ERROR err = { 0 };
    AUTO_URL u = { 0 };
    ASSERT_FAILS(url_parse("https://h/p?q=1", "X", &u, &err), &err, "a URL of scheme, host, port and path");
    ASSERT_OK(url_parse_with_query("https://h/p?q=secret?x", "X", &u, &err), &err);
    ck_assert_str_eq(u.host, "h");
    ck_assert_str_eq(u.path, "/p");
    url_clear(&u);
    ck_assert(!url_parse_with_query("ftp://h/p?q=secret", "X", &u, &err));
    ck_assert_ptr_null(strstr(err.message, "secret"));
}
END_TEST

/* --- where no answer came -------------------------------------------------------------------------------------------
 */

START_TEST(troubles)
{
    static const struct {
        int code, proxy_status;
        bool proxy;
        const char *problem;
        enum retry_class class;
        const char *hint;
    } cases[] = {
        { CURLE_RECV_ERROR, 407, false, "CONNECT tunnel failed, response 407", RETRY_NEVER, "a user and a password" },
        { CURLE_RECV_ERROR, 403, false, "CONNECT tunnel failed, response 403", RETRY_NEVER,
          "refuses to connect there" },
        { CURLE_RECV_ERROR, 502, false, "CONNECT tunnel failed, response 502", RETRY_TRANSIENT, "refuses to connect" },
        { CURLE_COULDNT_CONNECT, 0, true, "Failed to connect to p port 1", RETRY_TRANSIENT,
          "the proxy does not answer" },
        { CURLE_COULDNT_CONNECT, 0, false, "Failed to connect to h port 1", RETRY_TRANSIENT, "check the endpoint" },
        { CURLE_COULDNT_RESOLVE_HOST, 0, false, "Could not resolve host: h", RETRY_TRANSIENT, "the region" },
        { CURLE_COULDNT_RESOLVE_PROXY, 0, false, "Could not resolve proxy: p", RETRY_TRANSIENT, "HTTPS_PROXY" },
        { CURLE_SSL_CACERT_BADFILE, 0, false, "error adding trust anchors", RETRY_NEVER, "AWS_CA_BUNDLE" },
        { CURLE_SSL_CONNECT_ERROR, 0, false, "wrong version number", RETRY_TRANSIENT, "TLS could not be negotiated" },
        { CURLE_PEER_FAILED_VERIFICATION, 0, false, "SSL certificate problem: self-signed certificate", RETRY_NEVER,
          "AWS_CA_BUNDLE" },
        { CURLE_PEER_FAILED_VERIFICATION, 0, false, "SSL certificate problem: unable to get local issuer certificate",
          RETRY_NEVER, "AWS_CA_BUNDLE" },
        { CURLE_PEER_FAILED_VERIFICATION, 0, false, "SSL certificate problem: certificate has expired", RETRY_NEVER,
          "this machine's clock" },
        { CURLE_PEER_FAILED_VERIFICATION, 0, false, "SSL certificate problem: certificate is not yet valid",
          RETRY_NEVER, "set it by NTP" },
        { CURLE_PEER_FAILED_VERIFICATION, 0, false,
          "SSL: no alternative certificate subject name matches target host name 'h'", RETRY_NEVER,
          "for another server" },
        { CURLE_PEER_FAILED_VERIFICATION, 0, false, "SSL: certificate subject name 'x' does not match target host",
          RETRY_NEVER, "for another server" },
        { CURLE_OPERATION_TIMEDOUT, 0, false, "Connection timed out", RETRY_TRANSIENT, "check the network" },
        { CURLE_RECV_ERROR, 0, false, "Connection reset by peer", RETRY_TRANSIENT, "check the network" },
    };
    const char *hint = NULL;
    ck_assert_int_eq(call_trouble(cases[_i].code, cases[_i].proxy_status, cases[_i].proxy, cases[_i].problem, &hint),
                     cases[_i].class);
    ck_assert_msg(strstr(hint, cases[_i].hint) != NULL, "%s", hint);
}
END_TEST

/* --- files of certificates ------------------------------------------------------------------------------------------
 */

static char bundle[] = "/tmp/mayfly-check-net.XXXXXX";

static void write_bundle(const char *text)
{
    AUTO_ERROR err = { 0 };
    ASSERT_OK(file_swap(bundle, "x", 0600, text, strlen(text), &err), &err);
}

START_TEST(bundles)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "", "is empty" },
        { "hello\n", "has no PEM certificate in it" },
        { "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "has no PEM certificate in it" },
        { " -----BEGIN CERTIFICATE-----\n", "has no PEM certificate in it" },
        { "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", NULL },
        { "# Our CA\n-----BEGIN TRUSTED CERTIFICATE-----\r\nAAAA\n", NULL },
    };
    AUTO_ERROR err = { 0 };
    int fd = mkstemp(bundle);
    ck_assert_int_ge(fd, 0);
    close(fd);
    write_bundle(cases[_i].text);
    bool ok = http_check_bundle(bundle, "AWS_CA_BUNDLE", &err);
    unlink(bundle);
    ck_assert_msg(ok == !cases[_i].why, "%s", ok ? "taken" : err.message);
    if (ok)
        return;
    AUTO_FREE char *want = xasprintf("AWS_CA_BUNDLE: `%s` %s", bundle, cases[_i].why);
    ck_assert_str_eq(err.message, want);
    ck_assert_int_eq(err.domain, ERROR_CONFIG);
    ck_assert_ptr_nonnull(err.hint);
}
END_TEST

START_TEST(bundles_that_are_no_files)
{
    AUTO_ERROR err = { 0 };
    ck_assert_ptr_nonnull(mkdtemp(bundle));
    AUTO_FREE char *fifo = xasprintf("%s/fifo", bundle);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    bool ok = http_check_bundle(fifo, "X", &err);
    unlink(fifo);
    ASSERT_FAILS(ok, &err, "is not a regular file");
    ASSERT_FAILS(http_check_bundle(bundle, "X", &err), &err, "is a directory");
    rmdir(bundle);
    ASSERT_FAILS(http_check_bundle(bundle, "X", &err), &err, "cannot be read: No such file");
    ASSERT_FAILS(http_check_bundle("/dev/null", "X", &err), &err, "is not a regular file");
}
END_TEST

/* --- lists -------------------------------------------------------------------------------------------------------- */

/* Asks as long as the list goes on, whose page i is named by mark(i); the number of pages that were asked for. */
static unsigned turn_pages(size_t rows, unsigned first, unsigned cycle, struct error *err)
{
    struct paging p = { 0 };
    unsigned pages = 0;
    do {
        AUTO_FREE char *mark = xasprintf("token-%u", pages < first + cycle ? pages : first + (pages - first) % cycle);
        pages++;
        if (!paging_next(&p, rows, mark, strlen(mark), "the answer to X", err))
            break;
    } while (pages < 100000);
    return pages;
}

START_TEST(list_that_comes_back)
{
    for (unsigned first = 0; first < 20; first++)
        for (unsigned cycle = 1; cycle < 20; cycle++) {
            AUTO_ERROR err = { 0 };
            unsigned pages = turn_pages(1, first, cycle, &err);
            ck_assert_str_eq(err.message, "the answer to X does not end: the same page came again");
            ck_assert_uint_gt(pages, first + cycle);
            ck_assert_uint_le(pages, 4 * (first + cycle) + 1);
        }
}
END_TEST

START_TEST(list_without_an_end)
{
    static const struct {
        size_t rows;
        unsigned pages;
        const char *why;
    } cases[] = { { 0, PAGING_EMPTY, "100 pages in a row were empty" },
                  { 1, PAGING_PAGES, "1000 pages came" },
                  { 1000, PAGING_ROWS / 1000 + 1, "101000 rows came" } };
    AUTO_ERROR err = { 0 };
    ck_assert_uint_eq(turn_pages(cases[_i].rows, 0, 1000000, &err), cases[_i].pages);
    ck_assert_int_eq(err.domain, ERROR_PARSE);
    ck_assert_ptr_nonnull(strstr(err.message, cases[_i].why));
    ck_assert_ptr_nonnull(err.hint);
}
END_TEST

/* EC2 filters after it has cut pages: some are empty, and a row among them begins the count anew. */
START_TEST(list_with_empty_pages)
{
    struct paging p = { 0 };
    AUTO_ERROR err = { 0 };
    for (unsigned i = 1; i < PAGING_PAGES; i++)
        ASSERT_OK(paging_next(&p, i % PAGING_EMPTY == 0, &i, sizeof(i), "x", &err), &err);
    struct paging unnamed = { 0 };
    for (unsigned i = 1; i < PAGING_EMPTY; i++) /* pages that nothing names are not compared */
        ASSERT_OK(paging_next(&unnamed, 0, "", 0, "x", &err), &err);
}
END_TEST

/* How often the n bytes are in what this process can write to. The pattern is one's complement, so that it is not. */
static unsigned find_in_memory(const unsigned char *complement, size_t n)
{
    FILE *maps = must(fopen("/proc/self/maps", "re"));
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    char line[512];
    unsigned found = 0;
    ck_assert_int_ge(mem, 0);
    while (fgets(line, sizeof(line), maps)) {
        unsigned long from, to;
        char mode[5] = "";
        /* NOLINTNEXTLINE(cert-err34-c): the kernel wrote it */
        if (sscanf(line, "%lx-%lx %4s", &from, &to, mode) != 3 || mode[1] != 'w' || to - from > 64UL << 20)
            continue;
        unsigned char *bytes = malloc(to - from);
        ssize_t got = bytes ? pread(mem, bytes, to - from, (off_t)from) : 0;
        for (ssize_t i = 0; i + (ssize_t)n <= got; i++) {
            size_t same = 0;
            while (same < n && bytes[i + (ssize_t)same] == (unsigned char)~complement[same])
                same++;
            found += same == n;
        }
        if (bytes && got > 0)
            explicit_bzero(bytes, (size_t)got);
        free(bytes);
    }
    close(mem);
    fclose(maps);
    return found;
}

/* A header, as libcurl makes and frees one. */
START_TEST(freed_memory_is_wiped)
{
    unsigned char complement[40];
    char token[41] = "";
    for (size_t i = 0; i < 40; i++)
        complement[i] = (unsigned char)~('A' + i * 7 % 26);
    struct http *http = http_new("test", NULL);
    for (size_t i = 0; i < 40; i++)
        token[i] = (char)~complement[i];
    char *line = curl_maprintf("Authorization: Bearer %s", token);
    struct curl_slist *list = curl_slist_append(NULL, line);
    ck_assert_uint_ge(find_in_memory(complement, 40), 3); /* it is found where it is */
    explicit_bzero(token, sizeof(token));
    curl_slist_free_all(list);
    curl_free(line);
    ck_assert_uint_eq(find_in_memory(complement, 40), 0);
    http_free(http);
}
END_TEST

/* docs/security.md says what the code does. */
START_TEST(ceilings_as_documented)
{
    AUTO_STRBUF text = STRBUF_INIT;
    AUTO_ERROR err = { 0 };
    const char *top = getenv("srcdir");
    AUTO_FREE char *path = xasprintf("%s/docs/security.md", top ? top : ".");
    char *rows[] = {
        xasprintf("| an answer about one thing | %d bytes |", HTTP_BODY_MAX),
        xasprintf("| a page of a list | %d bytes |", HTTP_LIST_MAX),
        xasprintf("| all answers that are being received at once | %d bytes |", HTTP_FLIGHT_MAX),
        xasprintf(" | %d bytes, %d lines kept |", HTTP_HEAD_MAX, HTTP_HEADERS_MAX),
        xasprintf("| memory of a JSON text, counted before it is read | %d bytes |", JSON_MEMORY_MAX),
        xasprintf("| %d and %d, 32 levels |", XML_ELEMENTS_MAX, XML_ATTRIBUTES_MAX),
        xasprintf("| strings and rows that an answer becomes | %d bytes |", FIELD_DECODED_MAX),
        xasprintf("| %d, %d of them without rows in a row, %d rows;", PAGING_PAGES, PAGING_EMPTY, PAGING_ROWS),
        xasprintf("| a pipe named as a file | %d s without a byte |", FILE_WAIT_MS / 1000),
    };
    ASSERT_OK(strbuf_read_file(&text, path, "the table", &err), &err);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        ck_assert_msg(strstr(strbuf_str(&text), rows[i]) != NULL, "not in the table: %s", rows[i]);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        free(rows[i]);
}
END_TEST

/* A signal ends a wait; what was answered before it is returned all the same, and nothing new begins. */
START_TEST(done_before_a_signal)
{
    static const struct call_ops ops = { 0 };
    struct call open = { .ops = &ops }, first = { .ops = &ops }, second = { .ops = &ops };
    struct call_loop loop = { .env = &env_system };
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    loop.wake_fd = ends[0];
    call_start(&loop, &first);
    call_start(&loop, &open);
    call_start(&loop, &second);
    first.state = second.state = CALL_DONE;
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    ck_assert_ptr_eq(call_loop_next(&loop, INT64_MAX), &second);
    ck_assert_ptr_eq(call_loop_next(&loop, INT64_MAX), &first);
    ck_assert_ptr_null(call_loop_next(&loop, INT64_MAX));
    ck_assert_ptr_eq(loop.calls, &open);
    ck_assert_uint_eq(open.attempts, 0);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

static TCase *cases(void)
{
    TCase *t = tcase_create("net");
    tcase_add_loop_test(t, decisions, 0, 26);
    tcase_add_test(t, delays_stay_in_their_limits);
    tcase_add_loop_test(t, urls, 0, 19);
    tcase_add_loop_test(t, urls_refused, 0, 23);
    tcase_add_test(t, url_with_query);
    tcase_add_loop_test(t, troubles, 0, 17);
    tcase_add_loop_test(t, bundles, 0, 6);
    tcase_add_test(t, bundles_that_are_no_files);
    tcase_add_test(t, done_before_a_signal);
    tcase_add_test(t, list_that_comes_back);
    tcase_add_loop_test(t, list_without_an_end, 0, 3);
    tcase_add_test(t, list_with_empty_pages);
    tcase_add_test(t, ceilings_as_documented);
    tcase_add_test(t, freed_memory_is_wiped);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { cases };
    return run_suite("net", all, ARRAY_SIZE(all));
}
