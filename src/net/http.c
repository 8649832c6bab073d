#include "mayfly/net/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CONNECT_MS = 10000, TOTAL_MS = 60000, LOW_SPEED_SECONDS = 30, HOST_CONNECTIONS = 16 };

struct http {
    CURLM *multi;
    size_t held; /* bytes of answers that are being received */
    char *user_agent;
    char *ca_bundle;
    const char *system_bundle; /* where libcurl knows none */
};

/* Where systems keep the certificates that they trust, for a libcurl whose build did not say: a static one. */
static const char *find_bundle(void)
{
    static const char *const bundles[] = {
        "/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Alpine, Arch */
        "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL, Amazon Linux */
        "/etc/ssl/ca-bundle.pem",             /* SUSE */
        "/etc/ssl/cert.pem",                  /* the BSDs, small images */
    };
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    for (size_t i = 0; !curl->cainfo && !curl->capath && i < ARRAY_SIZE(bundles); i++)
        if (access(bundles[i], R_OK) == 0)
            return bundles[i];
    return NULL;
}

/* Why it is no file of certificates, or NULL. errno when it is "". */
static const char *doubt_of_bundle(int fd)
{
    struct stat st;
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    if (fd < 0 || fstat(fd, &st) != 0)
        return "";
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? "is a directory" : "is not a regular file";
    if (st.st_size == 0)
        return "is empty";
    FILE *file = must(fdopen(dup(fd), "r"));
    while (!found && getline(&line, &size, file) > 0)
        found = str_starts(line, "-----BEGIN ") && strstr(line, "CERTIFICATE-----");
    free(line);
    (void)fclose(file);
    return found ? NULL : "has no PEM certificate in it";
}

bool http_check_bundle(const char *path, const char *what, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a pipe may have no other end */
    const char *doubt = doubt_of_bundle(fd);
    if (doubt)
        error_set(err, ERROR_CONFIG, 0, "%s: `%.200s` %s%s", what, path,
                  *doubt ? doubt : "cannot be read: ", *doubt ? "" : strerror(errno));
    if (fd >= 0)
        close(fd);
    if (!doubt)
        return true;
    error_hint(err, "name a PEM file of trusted CA certificates, or remove the setting");
    return false;
}

/* libcurl leaves its requests, and the tokens in them, in what it frees. */
static void wipe_free(void *p)
{
    if (p)
        explicit_bzero(p, malloc_usable_size(p));
    free(p);
}

static void *wipe_realloc(void *p, size_t size)
{
    size_t had = p ? malloc_usable_size(p) : 0;
    void *new = malloc(size ? size : 1);
    if (new &&p) {
        memcpy(new, p, had < size ? had : size);
        wipe_free(p);
    }
    return new;
}

/* To this file libcurl would write the keys of each TLS connection, readable by everybody. */
static void forget_key_log(void)
{
    unsetenv("SSLKEYLOGFILE");
}

struct http *http_new(const char *user_agent, const char *ca_bundle)
{
    struct http *h = xcalloc(1, sizeof(*h));
    forget_key_log();
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, malloc, wipe_free, wipe_realloc, strdup, calloc) != CURLE_OK)
        oom();
    h->multi = must(curl_multi_init());
    curl_multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)HOST_CONNECTIONS);
    h->user_agent = xstrdup(user_agent);
    h->ca_bundle = ca_bundle ? xstrdup(ca_bundle) : NULL;
    h->system_bundle = find_bundle();
    return h;
}

void http_free(struct http *h)
{
    if (!h)
        return;
    curl_multi_cleanup(h->multi);
    curl_global_cleanup();
    free(h->user_agent);
    free(h->ca_bundle);
    free(h);
}

static size_t take_body(char *bytes, size_t size, size_t n, void *ctx)
{
    struct http_exchange *x = ctx;
    struct strbuf *body = &x->response.body;
    if (x->http->held + size * n > HTTP_FLIGHT_MAX) {
        x->ceiling = "with the other answers that are being received it";
        return 0;
    }
    strbuf_add(body, bytes, size * n);
    x->held += size * n;
    x->http->held += size * n;
    if (body->overflow)
        x->ceiling = "the answer";
    return body->overflow ? 0 : size * n;
}

static size_t take_header(char *bytes, size_t size, size_t n, void *ctx)
{
    struct http_exchange *x = ctx;
    struct http_response *r = &x->response;
    size_t len = size * n;
    r->head += len;
    if (r->head > HTTP_HEAD_MAX) {
        x->ceiling = "what comes before or after the answer";
        return 0;
    }
    while (len > 0 && (bytes[len - 1] == '\r' || bytes[len - 1] == '\n'))
        len--;
    if (len >= 5 && memcmp(bytes, "HTTP/", 5) == 0) /* the final answer begins anew after a 100 Continue */
        strlist_clear(&r->headers);
    else if (len > 0 && r->headers.n < HTTP_HEADERS_MAX) {
        AUTO_FREE char *line = xstrndup(bytes, len);
        strlist_add(&r->headers, line);
    }
    return size * n;
}

const char *http_header(const struct http_response *r, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < r->headers.n; i++) {
        const char *line = r->headers.v[i];
        if (strncasecmp(line, name, n) == 0 && line[n] == ':')
            return line + n + 1 + strspn(line + n + 1, " \t");
    }
    return NULL;
}

void http_start(struct http *h, struct http_exchange *x)
{
    struct http_request *q = &x->request;
    CURL *easy = must(curl_easy_init());
    struct curl_slist *headers = NULL;
    http_response_clear(&x->response);
    x->response.body = STRBUF_MAX(q->max_body ? q->max_body : (size_t)HTTP_BODY_MAX);
    x->response.body.secret = true; /* a JIT configuration or credentials may be in it */
    for (size_t i = 0; i < q->headers.n; i++)
        headers = must(curl_slist_append(headers, q->headers.v[i]));
    headers = must(curl_slist_append(headers, "Expect:"));
    if (q->body.len == 0) /* libcurl would say that nothing is a form */
        headers = must(curl_slist_append(headers, "Content-Type:"));
    x->easy = easy;
    x->slist = headers;
    x->problem_buf[0] = '\0';
    x->http = h;
    x->held = 0;
    x->ceiling = NULL;
    curl_easy_setopt(easy, CURLOPT_URL, q->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a resolver that hangs is not waited for */
#endif
    curl_easy_setopt(easy, CURLOPT_USERAGENT, h->user_agent);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, q->connect_ms ? q->connect_ms : (long)CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, q->total_ms ? q->total_ms : (long)TOTAL_MS);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)LOW_SPEED_SECONDS);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, x->problem_buf);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, x);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, NULL);
    if (h->ca_bundle || h->system_bundle)
        curl_easy_setopt(easy, CURLOPT_CAINFO, h->ca_bundle ? h->ca_bundle : h->system_bundle);
    if (h->system_bundle)
        curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, h->system_bundle);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)q->fresh);
    if (q->no_proxy || strncasecmp(q->url, "https:", 6) != 0)
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    if (str_eq(q->method, "POST") || str_eq(q->method, "PUT")) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, strbuf_str(&q->body));
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, q->method);
    if (curl_multi_add_handle(h->multi, easy) != CURLM_OK)
        oom();
}

static void detach(struct http *h, struct http_exchange *x)
{
    h->held -= x->held;
    x->held = 0;
    curl_multi_remove_handle(h->multi, x->easy);
    curl_easy_cleanup(x->easy);
    for (const struct curl_slist *line = x->slist; line; line = line->next)
        explicit_bzero(line->data, strlen(line->data)); /* a token may be in it */
    curl_slist_free_all(x->slist);
    x->easy = NULL;
    x->slist = NULL;
}

void http_cancel(struct http *h, struct http_exchange *x)
{
    if (x->easy)
        detach(h, x);
}

/* Failures that come before a byte of the request has left. */
static bool before_sending(CURLcode code)
{
    return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_COULDNT_CONNECT ||
           code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_URL_MALFORMAT ||
           code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_SSL_CACERT_BADFILE;
}

/* libcurl says that it could not connect, resolve or read certificates. */
static bool is_out_of_descriptors(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE;
    close(fd);
    return false;
}

static void finish(struct http *h, struct http_exchange *x, CURLcode code)
{
    struct http_response *r = &x->response;
    curl_off_t took = 0, pretransfer = 0;
    long status = 0;
    curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(x->easy, CURLINFO_TOTAL_TIME_T, &took);
    curl_easy_getinfo(x->easy, CURLINFO_PRETRANSFER_TIME_T, &pretransfer);
    r->curl_code = (int)code;
    r->took_ms = (int64_t)took / 1000;
    if (code == CURLE_OK) {
        r->status = (int)status;
    } else {
        /* pretransfer stays 0 until the connection stands and the request is about to go out */
        long proxy_status = 0;
        curl_easy_getinfo(x->easy, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
        r->proxy_status = (int)proxy_status;
        r->maybe_sent =
            !before_sending(code) && !(code == CURLE_OPERATION_TIMEDOUT && pretransfer == 0) && proxy_status < 300;
        r->no_descriptors = before_sending(code) && is_out_of_descriptors();
        if (x->ceiling)
            r->problem = xasprintf("%s is larger than %zu bytes", x->ceiling,
                                   r->body.overflow          ? r->body.max
                                   : r->head > HTTP_HEAD_MAX ? (size_t)HTTP_HEAD_MAX
                                                             : (size_t)HTTP_FLIGHT_MAX);
        else
            r->problem = xstrdup(x->problem_buf[0] ? x->problem_buf : curl_easy_strerror(code));
    }
    detach(h, x);
}

void http_expire(struct http *h, struct http_exchange *x)
{
    finish(h, x, CURLE_OPERATION_TIMEDOUT);
}

struct http_exchange *http_wait(struct http *h, int64_t timeout_ms, int wake_fd)
{
    for (bool waited = false;; waited = true) {
        int running, left;
        curl_multi_perform(h->multi, &running);
        for (CURLMsg *m; (m = curl_multi_info_read(h->multi, &left)) != NULL;) {
            if (m->msg != CURLMSG_DONE)
                continue;
            struct http_exchange *x = NULL;
            CURLcode code = m->data.result;
            curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&x);
            finish(h, x, code);
            return x; /* what else is done waits in libcurl's queue for the next call */
        }
        if (waited || timeout_ms <= 0)
            return NULL;
        struct curl_waitfd extra = { .fd = wake_fd, .events = CURL_WAIT_POLLIN };
        int ready;
        curl_multi_poll(h->multi, &extra, wake_fd >= 0, timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms, &ready);
    }
}

bool http_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 0) > 0;
}

void http_request_clear(struct http_request *r)
{
    free(r->url);
    for (size_t i = 0; i < r->headers.n; i++)
        explicit_bzero(r->headers.v[i], strlen(r->headers.v[i]));
    strlist_clear(&r->headers);
    r->body.secret = true;
    strbuf_clear(&r->body);
    secret_clear(&r->secret);
    *r = (struct http_request){ 0 };
}

void http_response_clear(struct http_response *r)
{
    free(r->problem);
    strlist_clear(&r->headers);
    strbuf_clear(&r->body);
    *r = (struct http_response){ 0 };
}
