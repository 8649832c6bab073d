#include "mayfly/net/server.h"
#include "mayfly/util/clock.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 32 << 10, READ_BLOCK = 4096 };

/* libmicrohttpd's own time-out starts anew with every byte, which a slow client can give for ever. */
struct link { /* one connection */
    struct link *next;
    struct MHD_Connection *connection;
    int64_t since; /* monotonic; of what timeout_s limits; 0: its request waits */
};

struct exchange {
    struct server_request request; /* first: server_resume() is given it */
    struct server_response response;
    struct server *server;
    struct MHD_Connection *connection;
    struct link *link;
    struct exchange *next; /* of those that wait */
    char *raw_path;
    bool begun, refused, arrived, waits;
};

struct server {
    struct server_config config;
    struct MHD_Daemon *daemon;
    struct link *links;
    struct exchange *waiting;
    uint16_t port;
    bool resumed; /* libmicrohttpd 0.9.75 goes on in its next run, and MHD_get_timeout does not ask for one */
    bool closing;
};

/* --- requests ----------------------------------------------------------------------------------------------------- */

static enum MHD_Result take_header(void *ctx, enum MHD_ValueKind kind UNUSED, const char *name, const char *value)
{
    struct pairs *headers = ctx;
    AUTO_FREE char *lower = xstrdup(name);
    for (char *p = lower; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    const char *before = pairs_get(headers, lower);
    AUTO_FREE char *all = before ? xasprintf("%s,%s", before, value ? value : "") : xstrdup(value ? value : "");
    pairs_set(headers, lower, all);
    return MHD_YES;
}

static enum MHD_Result take_parameter(void *ctx, enum MHD_ValueKind kind UNUSED, const char *name, const char *value)
{
    pairs_set(ctx, name, value ? value : "");
    return MHD_YES;
}

/* The status with which a request is refused by its headers alone; 0: none. */
static unsigned refuse_head(const struct server_config *config, const struct pairs *headers)
{
    const char *length = pairs_get(headers, "content-length");
    if (!length)
        return 0;
    /* Two lengths, or a length beside chunks, are how one request is smuggled in another. */
    if (*length == '\0' || length[strspn(length, "0123456789")] != '\0' || pairs_get(headers, "transfer-encoding"))
        return MHD_HTTP_BAD_REQUEST;
    errno = 0;
    bool too_long = strtoull(length, NULL, 10) > config->body_max || errno != 0;
    return too_long && !config->long_bodies ? MHD_HTTP_CONTENT_TOO_LARGE : 0;
}

static void move_to_waiting(struct exchange *x)
{
    x->waits = true;
    x->link->since = 0;
    x->next = x->server->waiting;
    x->server->waiting = x;
    MHD_suspend_connection(x->connection);
}

static void remove_from_waiting(const struct exchange *x)
{
    struct exchange **at = &x->server->waiting;
    while (*at && *at != x)
        at = &(*at)->next;
    if (*at)
        *at = x->next;
}

/* --- responses ---------------------------------------------------------------------------------------------------- */

static ssize_t read_body(void *ctx, uint64_t at, char *out, size_t max)
{
    const struct server_response *res = ctx;
    size_t n = res->read(res->read_ctx, at, out, max);
    return n > 0 ? (ssize_t)n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static enum MHD_Result send_response(struct exchange *x)
{
    struct server_response *res = &x->response;
    struct MHD_Response *out =
        res->read ? must(MHD_create_response_from_callback(res->length, READ_BLOCK, read_body, res, NULL))
                  : must(MHD_create_response_from_buffer(res->body.len, (void *)strbuf_str(&res->body),
                                                         MHD_RESPMEM_MUST_COPY));
    if (res->content_type && (res->read || res->body.len > 0))
        MHD_add_response_header(out, "Content-Type", res->content_type);
    for (size_t i = 0; i < res->headers.n; i++)
        MHD_add_response_header(out, res->headers.v[2 * i], res->headers.v[2 * i + 1]);
    enum MHD_Result queued = MHD_queue_response(x->connection, (unsigned)res->status, out);
    MHD_destroy_response(out);
    return queued;
}

/* Answers with a status alone, and closes: what follows on the connection may be the rest of the refused body. */
static enum MHD_Result refuse(struct exchange *x, unsigned status)
{
    x->refused = true;
    x->response.status = (int)status;
    pairs_set(&x->response.headers, "Connection", "close");
    return send_response(x);
}

/* --- what libmicrohttpd calls ------------------------------------------------------------------------------------- */

static struct link *link_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void *on_request_line(void *ctx, const char *uri, struct MHD_Connection *connection)
{
    struct server *s = ctx;
    struct exchange *x = xcalloc(1, sizeof(*x));
    x->server = s;
    x->connection = connection;
    x->link = link_of(connection);
    x->raw_path = xstrdup(uri);
    x->request.raw_path = x->raw_path;
    x->request.body = STRBUF_MAX(s->config.body_max);
    x->response = (struct server_response){ .status = 404, .body = STRBUF_INIT };
    return x;
}

static enum MHD_Result begin(struct exchange *x)
{
    x->begun = true;
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, take_header, &x->request.headers);
    unsigned status = refuse_head(&x->server->config, &x->request.headers);
    return status ? refuse(x, status) : MHD_YES;
}

/* Called when the headers are there, for each part of the body, at its end, and after a resume. */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version UNUSED, const char *bytes, size_t *len, void **state)
{
    struct server *s = ctx;
    struct exchange *x = *state;
    if (s->closing)
        return MHD_NO;
    if (!x->begun)
        return begin(x);
    if (*len > 0) {
        strbuf_add(&x->request.body, bytes, *len);
        *len = 0;
        return MHD_YES;
    }
    if (x->refused)
        return MHD_YES;
    if (x->request.body.overflow && !s->config.long_bodies)
        return refuse(x, MHD_HTTP_CONTENT_TOO_LARGE);
    if (!x->arrived) {
        x->arrived = true;
        x->request.method = method;
        x->request.path = url;
        MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, take_parameter, &x->request.query);
    }
    x->link->since = env_mono(&env_system);
    switch (s->config.serve(s->config.ctx, &x->request, &x->response)) {
    case SERVER_WAIT:
        move_to_waiting(x);
        return MHD_YES;
    case SERVER_CLOSE:
        return MHD_NO;
    case SERVER_ANSWER:
        break;
    }
    return send_response(x);
}

static void on_completed(void *ctx, struct MHD_Connection *connection UNUSED, void **state,
                         enum MHD_RequestTerminationCode why UNUSED)
{
    const struct server *s = ctx;
    struct exchange *x = *state;
    if (!x)
        return;
    remove_from_waiting(x);
    if (x->arrived && s->config.forget)
        s->config.forget(s->config.ctx, &x->request);
    x->link->since = env_mono(&env_system);
    strbuf_clear(&x->request.body);
    pairs_clear(&x->request.headers);
    pairs_clear(&x->request.query);
    strbuf_clear(&x->response.body);
    pairs_clear(&x->response.headers);
    free(x->raw_path);
    free(x);
    *state = NULL;
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode what)
{
    struct server *s = ctx;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        struct link *l = xcalloc(1, sizeof(*l));
        l->connection = connection;
        l->since = env_mono(&env_system);
        l->next = s->links;
        s->links = l;
        *state = l;
        return;
    }
    struct link **at = &s->links;
    while (*at != *state)
        at = &(*at)->next;
    *at = (*at)->next;
    base_free_pointer(state);
    *state = NULL;
}

/* --- the server --------------------------------------------------------------------------------------------------- */

/* Without SO_REUSEPORT, which libmicrohttpd's own socket has and with which two processes share a port unseen. */
static int listen_on(const struct server_config *config, uint16_t *ret_port, struct error *err)
{
    const char *name = config->address ? config->address : "127.0.0.1";
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = { .v4 = { .sin_family = AF_INET, .sin_port = htons(config->port) } };
    socklen_t size = sizeof(a.v4);
    if (inet_pton(AF_INET, name, &a.v4.sin_addr) != 1) {
        a.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(config->port) };
        size = sizeof(a.v6);
        if (inet_pton(AF_INET6, name, &a.v6.sin6_addr) != 1) {
            error_set(err, ERROR_CONFIG, 0, "%s is not an IP address", name);
            return -1;
        }
    }
    int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 && bind(fd, &a.any, size) == 0 &&
        listen(fd, SOMAXCONN) == 0 && getsockname(fd, &a.any, &size) == 0) {
        *ret_port = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
        return fd;
    }
    error_errno(err, errno, "listening on %s:%u", name, (unsigned)config->port);
    if (fd >= 0)
        close(fd);
    return -1;
}

struct server *server_new(const struct server_config *config, struct error *err)
{
    uint16_t port;
    int fd = listen_on(config, &port, err);
    if (fd < 0)
        return NULL;
    struct server *s = xcalloc(1, sizeof(*s));
    s->config = *config;
    s->config.address = NULL; /* the caller's, and done with */
    s->port = port;
    struct MHD_OptionItem options[] = {
        { MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)(config->head_max ? config->head_max : HEAD_MAX), NULL },
        { config->connections_max ? MHD_OPTION_CONNECTION_LIMIT : MHD_OPTION_END, (intptr_t)config->connections_max,
          NULL },
        { MHD_OPTION_END, 0, NULL },
    };
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (config->no_date ? MHD_USE_SUPPRESS_DATE_NO_CLOCK : 0), 0, NULL,
        NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_URI_LOG_CALLBACK, on_request_line, s,
        MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (s->daemon)
        return s;
    error_errno(err, errno, "starting the HTTP server");
    free(s); /* fd is libmicrohttpd's, whether it has closed it or not */
    return NULL;
}

void server_free(struct server *s)
{
    if (!s)
        return;
    s->closing = true;
    while (s->waiting) /* libmicrohttpd wants nothing suspended at its end */
        server_resume(&s->waiting->request);
    MHD_run(s->daemon);
    MHD_stop_daemon(s->daemon);
    free(s);
}

uint16_t server_port(const struct server *s)
{
    return s->port;
}

int server_fd(const struct server *s)
{
    return MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

int64_t server_timeout(const struct server *s)
{
    MHD_UNSIGNED_LONG_LONG ms;
    if (s->resumed)
        return 0;
    int64_t wait = MHD_get_timeout(s->daemon, &ms) == MHD_YES ? (int64_t)ms : -1;
    for (const struct link *l = s->config.timeout_s ? s->links : NULL; l; l = l->next) {
        int64_t left = l->since + (int64_t)s->config.timeout_s * 1000 - env_mono(&env_system);
        if (l->since && (wait < 0 || left < wait))
            wait = left < 0 ? 0 : left;
    }
    return wait;
}

/* Shuts the connections whose time is over; libmicrohttpd then sees their end and closes them. */
static void expire(const struct server *s)
{
    int64_t oldest = env_mono(&env_system) - (int64_t)s->config.timeout_s * 1000;
    for (struct link *l = s->links; l; l = l->next) {
        if (!l->since || l->since > oldest)
            continue;
        shutdown(MHD_get_connection_info(l->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd, SHUT_RDWR);
        l->since = 0;
    }
}

void server_run(struct server *s)
{
    if (s->config.timeout_s)
        expire(s);
    s->resumed = false;
    MHD_run(s->daemon);
}

void server_resume(struct server_request *req)
{
    struct exchange *x = (struct exchange *)(void *)req;
    if (!x->waits)
        return;
    remove_from_waiting(x);
    x->waits = false;
    x->link->since = env_mono(&env_system);
    x->server->resumed = true;
    MHD_resume_connection(x->connection);
}

int server_socket(const struct server_request *req)
{
    const struct exchange *x = (const struct exchange *)(const void *)req;
    return MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}
