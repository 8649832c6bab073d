#include "mayfly/net/server.h"
#include "testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mayfly/util/clock.h"

/* A server and its one client in one process: talk() lets both go on by turns. */
static struct server *server;
static struct server_request *waiting; /* what the service has put off */
static int served, forgotten;          /* requests */
static struct strbuf seen;             /* what the service was given last */

enum { ANSWER_MAX = 1 << 20, PATIENCE_MS = 10000 };

static size_t five_bytes(void *ctx, uint64_t at, char *out, size_t max)
{
    ck_assert_ptr_eq(ctx, &seen);
    size_t n = at < 5 ? 5 - (size_t)at : 0;
    n = n < max ? n : max;
    memcpy(out, "abcde" + (n ? at : 0), n);
    return n;
}

static enum server_verdict serve(void *ctx, struct server_request *req, struct server_response *res)
{
    ck_assert_ptr_eq(ctx, &seen);
    served++;
    strbuf_truncate(&seen, 0);
    strbuf_addf(&seen, "%s %s %s", req->method, req->path, req->raw_path);
    for (size_t i = 0; i < req->query.n; i++)
        strbuf_addf(&seen, "\n?%s=%s", req->query.v[2 * i], req->query.v[2 * i + 1]);
    for (size_t i = 0; i < req->headers.n; i++)
        strbuf_addf(&seen, "\n%s: %s", req->headers.v[2 * i], req->headers.v[2 * i + 1]);
    strbuf_addf(&seen, "\n\n%s", strbuf_str(&req->body));
    if (str_eq(req->path, "/close"))
        return SERVER_CLOSE;
    if (str_eq(req->path, "/wait") && !req->state) {
        waiting = req;
        req->state = xstrdup("asked before");
        return SERVER_WAIT;
    }
    if (str_eq(req->path, "/none"))
        return SERVER_ANSWER;
    res->status = req->body.overflow ? 413 : 200;
    res->content_type = "text/plain";
    pairs_add(&res->headers, "X-One", "1");
    if (str_eq(req->path, "/read") || str_eq(req->path, "/broken")) {
        res->read = five_bytes;
        res->read_ctx = &seen;
        res->length = str_eq(req->path, "/read") ? 5 : 6;
    }
    strbuf_adds(&res->body, req->state ? "at last" : "hello");
    return SERVER_ANSWER;
}

static void forget(void *ctx UNUSED, struct server_request *req)
{
    forgotten++;
    free(req->state);
    waiting = waiting == req ? NULL : waiting;
}

static void open_server(struct server_config config)
{
    AUTO_ERROR err = { 0 };
    signal(SIGPIPE, SIG_IGN);
    seen = STRBUF_MAX(ANSWER_MAX);
    config.serve = serve;
    config.forget = forget;
    config.ctx = &seen;
    server = server_new(&config, &err);
    ck_assert_msg(server != NULL, "%s", err.message);
    ck_assert_uint_ne(server_port(server), 0);
}

static void close_server(void)
{
    server_free(server);
    strbuf_clear(&seen);
}

static int dial(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(server_port(server)) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* One turn of the server. */
static void turn(int64_t most_ms)
{
    struct pollfd p = { .fd = server_fd(server), .events = POLLIN };
    int64_t wait = server_timeout(server);
    poll(&p, 1, (int)(wait < 0 || wait > most_ms ? most_ms : wait));
    server_run(server);
}

/* Sends what the connection takes, and reads until the text has come (true) or the connection has ended (false). */
static bool talk(int fd, const char *bytes, size_t len, const char *until, struct strbuf *answer)
{
    char buf[4096];
    int64_t end = env_mono(&env_system) + PATIENCE_MS;
    for (bool sending = true; env_mono(&env_system) < end;) {
        ssize_t n = len ? send(fd, bytes, len, MSG_DONTWAIT) : 0;
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
        sending = sending && (n >= 0 || errno == EAGAIN);
        turn(5);
        n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (n > 0)
            strbuf_add(answer, buf, (size_t)n);
        if (until && strstr(strbuf_str(answer), until))
            return true;
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return false;
    }
    ck_abort_msg("no end of it: %s", strbuf_str(answer));
    return false;
}

/* A request on a connection of its own; true: the text came. */
static bool ask(const char *request, const char *until, struct strbuf *answer)
{
    int fd = dial();
    bool came = talk(fd, request, strlen(request), until, answer);
    close(fd);
    return came;
}

#define HOST "Host: x\r\n"

START_TEST(requests_as_sent)
{
    static const struct {
        const char *request, *seen, *answer;
    } rows[] = {
        { "GET /a%20b?q=1&r&q=%32 HTTP/1.1\r\n" HOST "\r\n", "GET /a b /a%20b?q=1&r&q=%32\n?q=2\n?r=\nhost: x\n\n",
          "hello" },
        { "GET / HTTP/1.1\r\n" HOST "X-A: 1\r\nx-a: 2\r\nX-b:\r\n\r\n", "GET / /\nhost: x\nx-a: 1,2\nx-b: \n\n",
          "hello" },
        { "POST /p HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", "POST /p /p\nhost: x\ncontent-length: 3\n\nabc",
          "hello" },
        { "POST /p HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
          "POST /p /p\nhost: x\ntransfer-encoding: chunked\n\nabc", "hello" },
        { "GET /none HTTP/1.1\r\n" HOST "\r\n", "GET /none /none\nhost: x\n\n", "HTTP/1.1 404 " },
        { "GET /read HTTP/1.1\r\n" HOST "\r\n", "GET /read /read\nhost: x\n\n", "Content-Length: 5\r\n" },
        { "GET /read HTTP/1.1\r\n" HOST "\r\n", "GET /read /read\nhost: x\n\n", "\r\n\r\nabcde" },
        { "GET / HTTP/1.1\r\n" HOST "\r\n", "GET / /\nhost: x\n\n", "X-One: 1\r\n" },
    };
    AUTO_STRBUF answer = STRBUF_INIT;
    open_server((struct server_config){ .body_max = 100 });
    ck_assert(ask(rows[_i].request, rows[_i].answer, &answer));
    ck_assert_str_eq(strbuf_str(&seen), rows[_i].seen);
    ck_assert_ptr_nonnull(strstr(strbuf_str(&answer), "Date: "));
    close_server();
    ck_assert_int_eq(served, 1);
    ck_assert_int_eq(forgotten, 1);
}
END_TEST

/* The service never sees them, and the connection is closed. */
START_TEST(requests_refused)
{
    static const struct {
        const char *request, *answer;
    } rows[] = {
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 101\r\n\r\n", "HTTP/1.1 413 " }, /* before a byte of it */
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551616\r\n\r\n", "HTTP/1.1 4" },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n\r\n", "HTTP/1.1 413 " },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", "HTTP/1.1 400 " },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 3x\r\n\r\nabc", "HTTP/1.1 400 " },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "HTTP/1.1 400 " },
        { "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
          "HTTP/1.1 400 " },
        { "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400 " },
    };
    AUTO_STRBUF answer = STRBUF_INIT;
    open_server((struct server_config){ .body_max = 100 });
    ck_assert(!ask(rows[_i].request, NULL, &answer));
    ck_assert_msg(str_starts(strbuf_str(&answer), rows[_i].answer), "%s", strbuf_str(&answer));
    ck_assert_int_eq(served, 0);
    close_server();
    ck_assert_int_eq(forgotten, 0);
}
END_TEST

START_TEST(long_bodies)
{
    AUTO_STRBUF answer = STRBUF_INIT, request = STRBUF_INIT;
    open_server((struct server_config){ .body_max = 100, .long_bodies = _i == 1 });
    strbuf_adds(&request, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 1000; i++)
        strbuf_adds(&request, "4\r\nabcd\r\n");
    strbuf_adds(&request, "0\r\n\r\n");
    ck_assert(ask(strbuf_str(&request), "HTTP/1.1 413 ", &answer));
    ck_assert_int_eq(served, _i);
    close_server();
}
END_TEST

START_TEST(huge_heads)
{
    AUTO_STRBUF answer = STRBUF_INIT, request = STRBUF_INIT;
    open_server((struct server_config){ .head_max = 4096 });
    strbuf_adds(&request, "GET /");
    for (int i = 0; i < 100000; i++)
        strbuf_adds(&request, _i == 0 ? "aaaaaaaaaa" : i == 0 ? " HTTP/1.1\r\n" HOST : "a: b\r\n");
    ck_assert(!ask(strbuf_str(&request), NULL, &answer)); /* a status may be lost with the connection */
    ck_assert_msg(answer.len == 0 || str_starts(strbuf_str(&answer), "HTTP/1.1 4"), "%s", strbuf_str(&answer));
    strbuf_clear(&answer);
    ck_assert(ask("GET / HTTP/1.1\r\n" HOST "\r\n", "hello", &answer)); /* it lives */
    ck_assert_int_eq(served, 1);
    close_server();
}
END_TEST

/* A client that stops, or gives a byte now and then, is gone when its time is over. */
START_TEST(slow_clients)
{
    static const char *const beginnings[] = { "", "GET / HT",
                                              "POST / HTTP/1.1\r\n" HOST "Content-Length: 999999\r\n\r\n" };
    AUTO_STRBUF answer = STRBUF_INIT;
    open_server((struct server_config){ .body_max = 999999, .timeout_s = 1 });
    int fd = dial();
    int64_t begin = env_mono(&env_system), took = 0;
    char byte;
    talk(fd, beginnings[_i], strlen(beginnings[_i]), "", &answer);
    while ((took = env_mono(&env_system) - begin) < PATIENCE_MS) {
        if (_i > 0 && send(fd, "a", 1, MSG_DONTWAIT) < 0)
            break;
        turn(20);
        ssize_t n = recv(fd, &byte, 1, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            break;
    }
    ck_assert_int_ge(took, 500); /* the clock that libmicrohttpd counts its second by is a coarse one */
    ck_assert_int_lt(took, PATIENCE_MS);
    ck_assert_int_eq(served, 0);
    close(fd);
    close_server();
}
END_TEST

/* A request that waits has no limit, goes on when it is told to, and the connection can be used again. */
START_TEST(waiting_and_resuming)
{
    AUTO_STRBUF answer = STRBUF_INIT;
    static const char ask_wait[] = "GET /wait HTTP/1.1\r\n" HOST "\r\n", again[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
    open_server((struct server_config){ .timeout_s = 1 });
    int fd = dial();
    ck_assert_int_eq(send(fd, ask_wait, strlen(ask_wait), 0), (ssize_t)strlen(ask_wait));
    for (int64_t end = env_mono(&env_system) + PATIENCE_MS; !waiting && env_mono(&env_system) < end;)
        turn(5);
    ck_assert_ptr_nonnull(waiting);
    for (int64_t end = env_mono(&env_system) + 1200; env_mono(&env_system) < end;)
        turn(50);
    ck_assert_int_eq(served, 1);
    server_resume(waiting);
    server_resume(waiting); /* harmless */
    ck_assert_int_eq(server_timeout(server), 0);
    ck_assert(talk(fd, "", 0, "at last", &answer));
    ck_assert_int_eq(served, 2);
    ck_assert(talk(fd, again, strlen(again), "hello", &answer));
    ck_assert_int_eq(forgotten, 2);
    close(fd);
    close_server();
}
END_TEST

START_TEST(ends_in_the_middle)
{
    AUTO_STRBUF answer = STRBUF_INIT;
    open_server((struct server_config){ 0 });
    ck_assert(!ask("GET /close HTTP/1.1\r\n" HOST "\r\n", NULL, &answer));
    ck_assert_uint_eq(answer.len, 0);
    ck_assert(!ask("GET /broken HTTP/1.1\r\n" HOST "\r\n", NULL, &answer));
    ck_assert_ptr_nonnull(strstr(strbuf_str(&answer), "\r\n\r\nabcde"));
    /* And the server's own, with a request that waits. */
    int fd = dial();
    static const char ask_wait[] = "GET /wait HTTP/1.1\r\n" HOST "\r\n";
    ck_assert_int_eq(send(fd, ask_wait, strlen(ask_wait), 0), (ssize_t)strlen(ask_wait));
    for (int64_t end = env_mono(&env_system) + PATIENCE_MS; !waiting && env_mono(&env_system) < end;)
        turn(5);
    ck_assert_ptr_nonnull(waiting);
    close_server();
    ck_assert_int_eq(served, 3);
    ck_assert_int_eq(forgotten, 3);
    ck_assert_ptr_null(waiting);
    close(fd);
}
END_TEST

START_TEST(more_connections_than_allowed)
{
    AUTO_STRBUF answer = STRBUF_INIT;
    static const char request[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
    open_server((struct server_config){ .connections_max = 2 });
    int a = dial(), b = dial();
    ck_assert(talk(a, request, strlen(request), "hello", &answer));
    strbuf_truncate(&answer, 0);
    ck_assert(talk(b, request, strlen(request), "hello", &answer));
    close(a);
    strbuf_truncate(&answer, 0);
    int c = dial(); /* waits in the kernel, or is closed, until a's end was seen */
    bool came = talk(c, request, strlen(request), "hello", &answer);
    ck_assert_int_eq(served, came ? 3 : 2);
    close(b);
    close(c);
    close_server();
}
END_TEST

START_TEST(addresses)
{
    AUTO_ERROR err = { 0 };
    struct server_config config = { .address = "nowhere", .serve = serve };
    ck_assert_ptr_null(server_new(&config, &err));
    ck_assert_str_eq(err.message, "nowhere is not an IP address");
    error_clear(&err);
    open_server((struct server_config){ .address = "127.0.0.1" });
    config = (struct server_config){ .port = server_port(server), .serve = serve };
    ck_assert_ptr_null(server_new(&config, &err)); /* a port has one owner */
    ck_assert_int_eq(err.domain, ERROR_SYSTEM);
    ck_assert_int_eq(err.status, EADDRINUSE);
    close_server();
}
END_TEST

static TCase *cases(void)
{
    TCase *t = tcase_create("server");
    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, requests_as_sent, 0, 8);
    tcase_add_loop_test(t, requests_refused, 0, 8);
    tcase_add_loop_test(t, long_bodies, 0, 2);
    tcase_add_loop_test(t, huge_heads, 0, 2);
    tcase_add_loop_test(t, slow_clients, 0, 3);
    tcase_add_test(t, waiting_and_resuming);
    tcase_add_test(t, ends_in_the_middle);
    tcase_add_test(t, more_connections_than_allowed);
    tcase_add_test(t, addresses);
    return t;
}

int main(void)
{
    TCase *(*const all[])(void) = { cases };
    return run_suite("server", all, ARRAY_SIZE(all));
}
