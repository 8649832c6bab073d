#include "mayfly/aws/config.h"

#include <errno.h>
#include <stdarg.h>
#include <strings.h>
#include <unistd.h>

#include "mayfly/net/url.h"
#include "mayfly/util/home.h"

static const size_t file_max = (size_t)1 << 20;

static void warn(struct strlist *warnings, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void warn(struct strlist *warnings, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *text = xvasprintf(fmt, ap);
    va_end(ap);
    strlist_add(warnings, text);
}

/* Parses one of the shared files. One that does not exist, or that this user cannot read, is empty, as for every tool
 * of AWS: the environment may have all that is needed. */
static bool load_file(const struct aws_creds_from *from, const char *variable, const char *in_home, struct ini *ret,
                      struct strlist *warnings, struct error *err)
{
    AUTO_STRBUF text = STRBUF_MAX(file_max);
    AUTO_ERROR problem = { 0 };
    const char *named = from->getenv(variable);
    AUTO_FREE char *home = home_directory(from->getenv);
    /* a workflow's `env:` expands neither ~ nor $HOME */
    AUTO_FREE char *path = !str_empty(named) ? home_expand(named, from->getenv)
                           : home            ? xasprintf("%s/%s", home, in_home)
                                             : NULL;
    text.secret = true;
    if (!path)
        return true;
    if (access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR)) {
        if (!str_empty(named) && (strchr(path, '$') || path[0] == '~'))
            warn(warnings, "%s: `%s` does not exist and is treated as empty", variable, path);
        return true;
    }
    if (!strbuf_read_file(&text, path, "the AWS configuration", &problem)) {
        if (problem.domain != ERROR_SYSTEM)
            return error_move(err, &problem);
        warn(warnings, "%s: continuing without it", problem.message);
        return true;
    }
    if (!ini_parse(ret, strbuf_str(&text), text.len, path, err))
        return false;
    if (ini_has_section(ret, "DEFAULT"))
        warn(warnings, "%s: [DEFAULT] is ignored: the default profile is [default]", path);
    if (ini_has_section(ret, "default") && aws_section_exists(ret, "profile", "default") &&
        str_eq(from->profile, "default"))
        warn(warnings, "%s: has both [profile default] and [default]: for keys in both, the first wins", path);
    return true;
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
        error_hint(err, "this is an availability zone: drop the letter for its region; the subnet determines the zone");
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
    { "sso_oidc", "AWS_ENDPOINT_URL_SSO_OIDC", "oidc" },
};

/* What the profile names has to be there: without it requests, with their credentials, would go to AWS itself. */
static bool check_services(const struct aws_creds_from *from, const char *name, struct error *err)
{
    if (!aws_section_exists(from->config, "services", name)) {
        error_set(err, ERROR_CONFIG, 0, "services = %.60s: the configuration file has no section [services %.60s]",
                  name, name);
        error_hint(err, "add the section, or remove `services` from the profile");
        return false;
    }
    if (aws_section_get(from->config, "services", name, "endpoint_url")) {
        error_set(err, ERROR_CONFIG, 0, "[services %.60s]: `endpoint_url` belongs to no service", name);
        error_hint(err, "write it below its service and indented: `ec2 =`, then `  endpoint_url = URL`");
        return false;
    }
    return true;
}

/* endpoint_url of a service in the [services NAME] that the profile names: "ec2 =\n  endpoint_url = URL", owned. As
 * everywhere, the last of several counts. */
static char *section_endpoint(const struct aws_creds_from *from, const char *name, const char *service)
{
    char *ret = NULL;
    const char *lines = name ? aws_section_get(from->config, "services", name, service) : NULL;
    AUTO_STRLIST l = { 0 };
    strlist_split(&l, lines ? lines : "", "\n");
    for (size_t i = 0; i < l.n; i++) {
        AUTO_STRLIST pair = { 0 };
        strlist_split(&pair, l.v[i], "=");
        if (pair.n >= 2 && str_eq(pair.v[0], "endpoint_url")) {
            const char *value = strchr(l.v[i], '=') + 1;
            str_set(&ret, value + strspn(value, " \t"));
        }
    }
    return ret;
}

/* The service's variable, AWS_ENDPOINT_URL, the service's of the profile's [services], the profile's endpoint_url. */
static bool fill_endpoints(const struct aws_creds_from *from, struct aws_config *c, struct error *err)
{
    const char *all = from->getenv("AWS_ENDPOINT_URL"), *profile = aws_profile_get(from, "endpoint_url");
    const char *name = aws_profile_get(from, "services");
    if (name && str_empty(all) && !check_services(from, name, err))
        return false;
    for (size_t i = 0; i < AWS_SERVICES; i++) {
        AUTO_FREE char *section = section_endpoint(from, name, services[i].service);
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
    c->ca_setting = str_empty(from->getenv("AWS_CA_BUNDLE")) ? "ca_bundle of the profile" : "AWS_CA_BUNDLE";
    c->fips = is_true(from, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
    c->dual_stack = is_true(from, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");
    c->getenv = from->getenv;
    if (!is_true(from, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls") &&
        !fill_endpoints(from, c, err))
        return false;
    return aws_creds_find(from, &c->source, err);
}

const char *aws_profile_variable(const char *(*getenv_fn)(const char *))
{
    return !str_empty(getenv_fn("AWS_DEFAULT_PROFILE")) ? "AWS_DEFAULT_PROFILE"
           : !str_empty(getenv_fn("AWS_PROFILE"))       ? "AWS_PROFILE"
                                                        : NULL;
}

/* Two variables of one meaning, of which the first counts. */
static void compare(const struct aws_creds_from *from, const char *first, const char *second, struct strlist *warnings)
{
    const char *a = from->getenv(first), *b = from->getenv(second);
    if (!str_empty(a) && !str_empty(b) && !str_eq(a, b))
        warn(warnings, "%s and %s differ: using %s, as the AWS CLI does", first, second, first);
}

/* Where AWS's own tools would do something else, or two settings contradict each other, somebody has to hear of it. The
 * tools' settings that nothing here depends on are in docs/credentials.md. */
static void look_around(const struct aws_creds_from *from, const char *region, const struct aws_config *c,
                        struct strlist *warnings)
{
    static const char *const old[] = { "AWS_CREDENTIAL_FILE", "BOTO_CONFIG" };
    const char *source = creds_source_name(&c->source);
    const char *sts = first_of(from->getenv("AWS_STS_REGIONAL_ENDPOINTS"),
                               aws_profile_get(from, "sts_regional_endpoints"), NULL, NULL);
    if (!from->profile_given)
        compare(from, "AWS_DEFAULT_PROFILE", "AWS_PROFILE", warnings);
    if (str_empty(region))
        compare(from, "AWS_REGION", "AWS_DEFAULT_REGION", warnings);
    if (str_eq(source, "environment"))
        compare(from, "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN", warnings);
    for (size_t i = 0; i < ARRAY_SIZE(old); i++)
        if (!str_empty(from->getenv(old[i])) && (str_eq(source, "container") || str_eq(source, "instance metadata")))
            warn(warnings, "%s is set, which Mayfly does not read: using the credentials from %s", old[i],
                 c->source.where);
    if (sts && strcasecmp(sts, "legacy") == 0)
        warn(warnings, "sts_regional_endpoints is legacy, which Mayfly does not support: using the region's STS");
}

bool aws_config_load(const struct aws_flags *flags, const char *(*getenv_fn)(const char *), struct aws_config *ret,
                     struct strlist *warnings, struct error *err)
{
    AUTO_INI config = { 0 }, credentials = { 0 };
    const char *variable = aws_profile_variable(getenv_fn);
    struct aws_creds_from from = {
        .getenv = getenv_fn,
        .config = &config,
        .credentials = &credentials,
        .profile = first_of(flags->profile, variable ? getenv_fn(variable) : NULL, "default", NULL),
        .profile_given = !str_empty(flags->profile),
        .role_arn = flags->role_arn,
    };
    if (!load_file(&from, "AWS_CONFIG_FILE", ".aws/config", &config, warnings, err) ||
        !load_file(&from, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials", &credentials, warnings, err))
        return false;
    struct aws_config c = { 0 };
    if (!fill(&from, flags->region, &c, err)) {
        aws_config_clear(&c);
        return false;
    }
    look_around(&from, flags->region, &c, warnings);
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
