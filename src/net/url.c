#include "mayfly/net/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>

static void free_curlu(CURLU **u)
{
    curl_url_cleanup(*u);
}

/* An owned copy of one part, or NULL. */
static char *part(CURLU *u, CURLUPart which, unsigned flags)
{
    char *s = NULL;
    if (curl_url_get(u, which, &s, flags) != CURLUE_OK)
        return NULL;
    char *copy = xstrdup(s);
    curl_free(s);
    return copy;
}

/* Of other characters libcurl would make another name than the one that is signed and shown. */
static bool is_plain(const char *s)
{
    while (s && *s > ' ' && *s <= '~')
        s++;
    return s && *s == '\0';
}

/* libcurl decodes %33 once an address has been looked for: "3" would be 0.0.0.3 when it is read again. */
static bool is_host_encoded(const char *s)
{
    s += strcspn(s, ":");
    s += strspn(s, ":/");
    return s[strcspn(s, "/?#%")] == '%';
}

bool url_parse(const char *s, const char *what, struct url *ret, struct error *err)
{
    CLEANUP(free_curlu) CURLU *u = must(curl_url());
    AUTO_FREE char *user = NULL, *query = NULL, *fragment = NULL;
    CURLUcode rc = curl_url_set(u, CURLUPART_URL, s, 0);
    if (rc != CURLUE_OK)
        return error_set(err, ERROR_CONFIG, 0, "%s: `%.200s` is not a URL: %s", what, s, curl_url_strerror(rc));
    AUTO_URL url = { .scheme = part(u, CURLUPART_SCHEME, 0),
                     .host = part(u, CURLUPART_HOST, 0),
                     .port = part(u, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT),
                     .path = part(u, CURLUPART_PATH, 0) };
    user = part(u, CURLUPART_USER, 0);
    query = part(u, CURLUPART_QUERY, 0);
    fragment = part(u, CURLUPART_FRAGMENT, 0);
    if (!str_eq(url.scheme, "https") && !str_eq(url.scheme, "http"))
        return error_set(err, ERROR_CONFIG, 0, "%s: `%.200s` is neither http:// nor https://", what, s);
    if (user || query || fragment)
        return error_set(err, ERROR_CONFIG, 0, "%s: a URL of scheme, host, port and path is expected", what);
    if (is_host_encoded(s))
        return error_set(err, ERROR_CONFIG, 0, "%s: `%.200s` has a %% in its host: write the name as it is", what, s);
    if (!is_plain(url.host) || !is_plain(url.path))
        return error_set(err, ERROR_CONFIG, 0, "%s: `%.200s` holds what is not printable ASCII: write a name as xn--…",
                         what, s);
    *ret = url;
    url = (struct url){ 0 };
    return true;
}

bool url_parse_with_query(const char *s, const char *what, struct url *ret, struct error *err)
{
    AUTO_FREE char *bare = xstrndup(s, strcspn(s, "?"));
    return url_parse(bare, what, ret, err);
}

void url_clear(struct url *u)
{
    free(u->scheme);
    free(u->host);
    free(u->port);
    free(u->path);
    *u = (struct url){ 0 };
}

char *url_host_header(const struct url *u)
{
    return xasprintf("%s%s%s", u->host, u->port ? ":" : "", u->port ? u->port : "");
}

bool url_is_safe(const struct url *u)
{
    struct in_addr v4;
    if (str_eq(u->scheme, "https") || str_eq(u->host, "localhost") || str_eq(u->host, "[::1]"))
        return true;
    return inet_pton(AF_INET, u->host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}
