/* The instance metadata service, version 2. */
#include <inttypes.h>

#include "http.h"
#include "imds.h"
#include "sim.h"
#include "world_instances.h"

#include "mayfly/codec/gzip.h"
#include "mayfly/util/clock.h"
#include "mayfly/util/encode.h"

static void plain(struct response *res, const char *body)
{
    respond_text(res, 200, body);
    res->content_type = "text/plain";
}

void imds_user_data(const struct instance *i, struct response *res)
{
    respond_text(res, 200, "");
    res->content_type = "application/octet-stream";
    strbuf_add(&res->body, strbuf_str(&i->user_data), i->user_data.len);
}

bool instance_script(const struct instance *i, struct strbuf *script)
{
    if (gzip_is(i->user_data.data, i->user_data.len))
        return gzip_decompress(script, i->user_data.data, i->user_data.len);
    strbuf_add(script, strbuf_str(&i->user_data), i->user_data.len);
    return true;
}

static void new_token(struct sim *s, struct instance *i, const struct request *r, struct response *res)
{
    const char *ttl = pairs_get(&r->headers, "x-aws-ec2-metadata-token-ttl-seconds");
    uint64_t seconds;
    if (pairs_get(&r->headers, "x-forwarded-for")) {
        respond_text(res, 403, "");
    } else if (!ttl || !parse_uint(ttl, 21600, &seconds) || seconds == 0) {
        respond_text(res, 400, "");
    } else {
        free(i->imds_token);
        i->imds_token = sim_random_id("AQAEA", 51);
        i->imds_until = sim_now(s) + (int64_t)seconds * 1000;
        pairs_set(&res->headers, "X-aws-ec2-metadata-token-ttl-seconds", ttl);
        plain(res, i->imds_token);
    }
}

static void metadata(const struct instance *i, const char *path, struct response *res)
{
    AUTO_FREE char *index = xasprintf("%" PRId64, i->index);
    AUTO_FREE char *action = i->interrupt_at ? xasprintf("{\"action\":\"terminate\",\"time\":\"%s\"}",
                                                         clock_rfc3339(i->interrupt_at / 1000).s)
                                             : NULL;
    AUTO_FREE char *recommendation =
        i->interrupt_at ? xasprintf("{\"noticeTime\":\"%s\"}", clock_rfc3339(i->interrupt_at / 1000 - 120).s) : NULL;
    AUTO_FREE char *document = xasprintf(
        "{\"accountId\":\"123456789012\",\"architecture\":\"%s\",\"availabilityZone\":\"%s\",\"imageId\":\"%s\","
        "\"instanceId\":\"%s\",\"instanceType\":\"%s\",\"pendingTime\":\"%s\",\"region\":\"%s\"}",
        i->architecture, i->zone, i->image, i->id, i->type, clock_rfc3339(i->launched / 1000).s, i->region);
    const struct {
        const char *path, *value;
    } known[] = {
        { "meta-data/", "ami-id\nami-launch-index\ninstance-id\ninstance-life-cycle\ninstance-type\nplacement/\n" },
        { "meta-data/ami-id", i->image },
        { "meta-data/ami-launch-index", index },
        { "meta-data/instance-id", i->id },
        { "meta-data/instance-type", i->type },
        { "meta-data/instance-life-cycle", i->spot_request ? "spot" : "on-demand" },
        { "meta-data/placement/availability-zone", i->zone },
        { "meta-data/placement/region", i->region },
        { "meta-data/spot/instance-action", action },
        { "meta-data/events/recommendations/rebalance", recommendation },
        { "dynamic/instance-identity/document", document },
    };
    if (str_eq(path, "user-data") && i->user_data.len > 0) {
        imds_user_data(i, res);
        return;
    }
    for (size_t n = 0; n < ARRAY_SIZE(known); n++) {
        if (!str_eq(known[n].path, path) || !known[n].value)
            continue;
        plain(res, known[n].value);
        return;
    }
    respond_text(res, 404, "");
}

void imds_serve(struct sim *s, const struct request *r, struct response *res)
{
    const char *rest = r->path + strlen("/imds/");
    AUTO_FREE char *id = xstrndup(rest, strcspn(rest, "/"));
    struct instance *i = world_instance(s, id);
    const char *path = rest + strlen(id), *token = pairs_get(&r->headers, "x-aws-ec2-metadata-token");
    if (!i || !instance_is(i, "running") || !str_starts(path, "/latest/"))
        respond_text(res, 404, "");
    else if (str_eq(i->http_endpoint, "disabled"))
        respond_text(res, 403, "");
    else if (str_eq(path, "/latest/api/token") && str_eq(r->method, "PUT"))
        new_token(s, i, r, res);
    else if (str_eq(path, "/latest/api/token") || !str_eq(r->method, "GET"))
        respond_text(res, 405, "");
    else if (!token || !str_eq(token, i->imds_token) || sim_now(s) >= i->imds_until)
        respond_text(res, 401, "");
    else
        metadata(i, path + strlen("/latest/"), res);
}
