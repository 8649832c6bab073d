#include "mayfly/aws/config.h"

#include <errno.h>
#include <strings.h>
#include <unistd.h>

#include "mayfly/net/url.h"

static const size_t file_max = (size_t)1 << 20;

/* Parses one of the shared files; one that does not exist is empty, as for every tool of AWS. */
static bool load_file(const char *env_value, const char *home, const char *in_home, struct ini *ret, struct error *err)
{
    AUTO_STRBUF text = STRBUF_MAX(file_max);
    AUTO_FREE char *path = NULL;
    text.secret = true;
    if (home && home[0] != '/') /* it would be that of a checkout, whose credential_process is a command */
        home = NULL;
    if (!str_empty(env_value)) /* a workflow's `env:` expands no ~ */
        path = str_starts(env_value, "~/") && !str_empty(home) ? xasprintf("%s%s", home, env_value + 1)
                                                               : xstrdup(env_value);
    else if (!str_empty(home))
        path = xasprintf("%s/%s", home, in_home);
    if (!path || (access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)))
        return true;
    if (!strbuf_read_file(&text, path, "the AWS configuration", err)) {
        if (err->domain == ERROR_SYSTEM)
            err->domain = ERROR_CONFIG;
        return false;
    }
    return ini_parse(ret, strbuf_str(&text), text.len, path, err);
}

/* us-east-1a. */
static bool is_zone(const char *name, size_t n)
{
    return n >= 2 && name[n - 1] >= 'a' && name[n - 1] <= 'z' && name[n - 2] >= '0' && name[n - 2] <= '9';
}

bool aws_region_is_valid(const char *region)
{
    size_t n = strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return n >= 5 && n <= 32 && region[n] == '\0' && region[0] != '-' && region[n - 1] != '-' && strchr(region, '-') &&
           !is_zone(region, n);
}

bool aws_region_check(const char *region, const char *where, struct error *err)
{
    size_t n = strlen(region);
    if (aws_region_is_valid(region))
        return true;
    error_set(err, ERROR_USAGE, 0, "%s: `%.40s` is not the name of an AWS region", where, region);
    if (is_zone(region, n))
        error_hint(err, "it is a zone: without the letter it is a region, and the subnet says the zone");
    else
        error_hint(err, "regions look like us-east-1, several of them like us-east-1,eu-west-1");
    return false;
}

static const char *first_of(const char *a, const char *b, const char *c, const char *d)
{
    return !str_empty(a) ? a : !str_empty(b) ? b : !str_empty(c) ? c : !str_empty(d) ? d : NULL;
}

/* Requests carry session tokens and runner credentials. */
static bool check_endpoint(const char *url, const char *what, char **ret, struct error *err)
{
    AUTO_URL u = { 0 };
    if (str_empty(url))
        return true;
    if (!url_parse(url, what, &u, err))
        return false;
    if (!url_is_safe(&u)) {
        error_set(err, ERROR_CONFIG, 0, "%s: `%.200s` is neither https nor a loopback address", what, url);
        error_hint(err, "credentials would cross the network in the clear: use https://");
        return false;
    }
    if (!str_eq(u.path, "/"))
        return error_set(err, ERROR_CONFIG, 0, "%s: `%.200s` has a path, which no AWS endpoint has", what, url);
    AUTO_FREE char *host = url_host_header(&u);
    *ret = xasprintf("%s://%s/", u.scheme, host);
    return true;
}

static const struct {
    const char *service, *variable, *host; /* host: what stands before the region */
} services[AWS_SERVICES] = {
    { "ec2", "AWS_ENDPOINT_URL_EC2", "ec2" },
    { "ssm", "AWS_ENDPOINT_URL_SSM", "ssm" },
    { "sts", "AWS_ENDPOINT_URL_STS", "sts" },
    { "sso", "AWS_ENDPOINT_URL_SSO", "portal.sso" },
};

/* endpoint_url of a service in the [services NAME] that the profile names: "ec2 =\n  endpoint_url = URL", owned. */
static char *section_endpoint(const struct aws_creds_from *from, const char *service)
{
    const char *name = aws_profile_get(from, "services");
    const char *lines = name ? aws_section_get(from->config, "services", name, service) : NULL;
    AUTO_STRLIST l = { 0 };
    strlist_split(&l, lines ? lines : "", "\n");
    for (size_t i = 0; i < l.n; i++) {
        AUTO_STRLIST pair = { 0 };
        strlist_split(&pair, l.v[i], "=");
        if (pair.n >= 2 && str_eq(pair.v[0], "endpoint_url")) {
            const char *value = strchr(l.v[i], '=') + 1;
            return xstrdup(value + strspn(value, " \t"));
        }
    }
    return NULL;
}

/* The service's variable, AWS_ENDPOINT_URL, the service's of the profile's [services], the profile's endpoint_url. */
static bool fill_endpoints(const struct aws_creds_from *from, struct aws_config *c, struct error *err)
{
    const char *all = from->getenv("AWS_ENDPOINT_URL"), *profile = aws_profile_get(from, "endpoint_url");
    for (size_t i = 0; i < AWS_SERVICES; i++) {
        AUTO_FREE char *section = section_endpoint(from, services[i].service);
        const char *own = from->getenv(services[i].variable);
        const char *what = !str_empty(own)   ? services[i].variable
                           : !str_empty(all) ? "AWS_ENDPOINT_URL"
                                             : "endpoint_url";
        if (!check_endpoint(first_of(own, all, section, profile), what, &c->endpoints[i], err))
            return false;
    }
    return true;
}

static bool is_true(const struct aws_creds_from *from, const char *variable, const char *key)
{
    const char *value = first_of(from->getenv(variable), aws_profile_get(from, key), NULL, NULL);
    return value && strcasecmp(value, "true") == 0;
}

static bool fill(const struct aws_creds_from *from, const char *region, struct aws_config *c, struct error *err)
{
    const char *where = !str_empty(region)                               ? "--region"
                        : !str_empty(from->getenv("AWS_REGION"))         ? "AWS_REGION"
                        : !str_empty(from->getenv("AWS_DEFAULT_REGION")) ? "AWS_DEFAULT_REGION"
                                                                         : "region of the profile";
    region = first_of(region, from->getenv("AWS_REGION"), from->getenv("AWS_DEFAULT_REGION"),
                      aws_profile_get(from, "region"));
    if (region && !aws_region_check(region, where, err))
        return false;
    str_set(&c->region, region);
    const char *ca = first_of(from->getenv("AWS_CA_BUNDLE"), aws_profile_get(from, "ca_bundle"), NULL, NULL);
    str_set(&c->ca_bundle, ca);
    c->fips = is_true(from, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
    c->dual_stack = is_true(from, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");
    c->getenv = from->getenv;
    if (!is_true(from, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls") &&
        !fill_endpoints(from, c, err))
        return false;
    return aws_creds_find(from, &c->source, err);
}

bool aws_config_load(const struct aws_flags *flags, const char *(*getenv_fn)(const char *), struct aws_config *ret,
                     struct error *err)
{
    AUTO_INI config = { 0 }, credentials = { 0 };
    const char *home = getenv_fn("HOME");
    if (!load_file(getenv_fn("AWS_CONFIG_FILE"), home, ".aws/config", &config, err) ||
        !load_file(getenv_fn("AWS_SHARED_CREDENTIALS_FILE"), home, ".aws/credentials", &credentials, err))
        return false;
    struct aws_creds_from from = {
        .getenv = getenv_fn,
        .config = &config,
        .credentials = &credentials,
        .profile = first_of(flags->profile, getenv_fn("AWS_PROFILE"), "default", NULL),
        .profile_given = !str_empty(flags->profile),
        .role_arn = flags->role_arn,
    };
    struct aws_config c = { 0 };
    if (!fill(&from, flags->region, &c, err)) {
        aws_config_clear(&c);
        return false;
    }
    *ret = c;
    return true;
}

void aws_config_clear(struct aws_config *c)
{
    aws_creds_clear(&c->creds);
    creds_source_clear(&c->source);
    free(c->region);
    for (size_t i = 0; i < AWS_SERVICES; i++)
        free(c->endpoints[i]);
    free(c->ca_bundle);
    *c = (struct aws_config){ 0 };
}

/* Partitions by the prefix of their regions' names; the last row takes the rest.
 * Source: botocore's partitions.json, and its endpoint rules of EC2, SSM, STS and SSO. */
static const struct partition {
    const char *prefix, *name, *suffix, *dual_suffix;
    bool plain_fips; /* without dual stack the plain name is the one with FIPS */
} partitions[] = {
    { "cn-", "aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn", false },
    { "us-gov-", "aws-us-gov", "amazonaws.com", "api.aws", true },
    { "eusc-", "aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu", false },
    { "us-iso-", "aws-iso", "c2s.ic.gov", "api.aws.ic.gov", false },
    { "us-isob-", "aws-iso-b", "sc2s.sgov.gov", "api.aws.scloud", false },
    { "eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", false },
    { "us-isof-", "aws-iso-f", "csp.hci.ic.gov", "api.aws.hci.ic.gov", false },
    { "", "aws", "amazonaws.com", "api.aws", false },
};

static const struct partition *find_partition(const char *region)
{
    size_t i = 0;
    while (!str_starts(region, partitions[i].prefix))
        i++;
    return &partitions[i];
}

const char *aws_partition(const char *region)
{
    return find_partition(region)->name;
}

char *aws_oidc_audience(const char *region)
{
    return xasprintf("sts.%s", find_partition(region ? region : "")->suffix);
}

char *aws_endpoint(const struct aws_config *c, const char *service, const char *region)
{
    const struct partition *p = find_partition(region);
    size_t n = 0;
    while (!str_eq(services[n].service, service))
        n++;
    if (c->endpoints[n])
        return xstrdup(c->endpoints[n]);
    return xasprintf("https://%s%s.%s.%s/", services[n].host,
                     c->fips && (c->dual_stack || !p->plain_fips) ? "-fips" : "", region,
                     c->dual_stack ? p->dual_suffix : p->suffix);
}
