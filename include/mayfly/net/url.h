/* The few things asked of a URL, over libcurl's URL parser. Pure. */
#ifndef MAYFLY_NET_URL_H
#define MAYFLY_NET_URL_H

#include "mayfly/util/error.h"

struct url {      /* owned strings */
    char *scheme; /* "https" or "http" */
    char *host;   /* as written; an IPv6 address with its brackets */
    char *port;   /* NULL: the scheme's own */
    char *path;   /* "/" at least, as written */
};

#define AUTO_URL CLEANUP(url_clear) struct url

/* http and https only, of printable ASCII, the host without %; user names, queries and fragments are refused. `what`
 * names the setting in the error. */
MUST_CHECK bool url_parse(const char *s, const char *what, struct url *ret, struct error *err);
/* The same of a URL that may have a query, which is left out of *ret and of the error: it may be a secret. */
MUST_CHECK bool url_parse_with_query(const char *s, const char *what, struct url *ret, struct error *err);
void url_clear(struct url *u);

/* "host" or, with a port that is not the scheme's own, "host:port": the Host header, as SigV4 signs it. Owned. */
char *url_host_header(const struct url *u);
/* https, or a loopback address (127.0.0.0/8, ::1, localhost): a secret may be sent there. */
bool url_is_safe(const struct url *u);

#endif
