#include "mayfly/runner/spec.h"

#include "mayfly/runner/params.h"

enum { TYPE_MAX_LEN = 40, NAME_MAX_LEN = 64 };

const char *spec_type_architecture(const char *type)
{
    size_t family = strcspn(type, "0123456789.");
    size_t generation = strspn(type + family, "0123456789");
    size_t attributes = strcspn(type + family + generation, ".");
    bool arm = generation > 0 && memchr(type + family + generation, 'g', attributes) != NULL;
    return arm || str_starts(type, "a1.") ? "arm64" : "x86_64";
}

const char *spec_runner_architecture(const char *architecture)
{
    if (str_eq(architecture, "x86_64"))
        return "x64";
    return str_eq(architecture, "arm64") ? "arm64" : NULL;
}

bool spec_label_is_common(const char *label)
{
    static const char *const common[] = { "self-hosted", "linux", "windows", "macos",  "x64",
                                          "arm",         "arm64", "ubuntu-", "macos-", "windows-" };
    for (size_t i = 0; i < ARRAY_SIZE(common); i++)
        if (str_ends(common[i], "-") ? strncasecmp(label, common[i], strlen(common[i])) == 0
                                     : strcasecmp(label, common[i]) == 0)
            return true;
    return false;
}

enum ec2_public_ip spec_public_ip(const struct spec *s)
{
    return str_empty(s->public_ip)       ? EC2_PUBLIC_IP_DEFAULT
           : str_eq(s->public_ip, "yes") ? EC2_PUBLIC_IP_YES
                                         : EC2_PUBLIC_IP_NO;
}

static bool check_types(const struct strlist *types, struct error *err)
{
    for (size_t i = 0; i < types->n; i++) {
        const char *dot = strchr(types->v[i], '.');
        size_t n = strspn(types->v[i], "abcdefghijklmnopqrstuvwxyz0123456789.-");
        if (dot && dot != types->v[i] && dot[1] != '\0' && n <= TYPE_MAX_LEN && types->v[i][n] == '\0')
            continue;
        error_set(err, ERROR_USAGE, 0, "--types: `%.60s` is not an instance type", types->v[i]);
        error_hint(err, "instance types look like m7i.xlarge, with commas between several");
        return false;
    }
    return true;
}

static bool check_label(const char *label, const char *option, struct error *err)
{
    if (str_empty(label) || label_is_valid(label))
        return true;
    error_set(err, ERROR_USAGE, 0, "--%s: `%.120s` is not a label", option, label);
    error_hint(err, "1 to 100 " LABEL_CHARACTERS " make a label; it does not begin with -");
    return false;
}

static bool check_labels(const struct spec *s, struct error *err)
{
    for (size_t i = 0; i < s->labels.n; i++)
        if (!check_label(s->labels.v[i], "labels", err))
            return false;
    return check_label(s->label, "label", err) && check_label(s->fallback_label, "fallback-label", err);
}

/* A price in dollars: "0.05". */
static bool is_price(const char *s)
{
    size_t whole = strspn(s, "0123456789"), rest = s[whole] == '.' ? strspn(s + whole + 1, "0123456789") : 0;
    size_t len = whole + (s[whole] == '.' ? 1 + rest : 0);
    return whole + rest > 0 && len <= 20 && s[len] == '\0' && strpbrk(s, "123456789");
}

static bool check_names(const struct spec *s, struct error *err)
{
    if (!str_empty(s->name) && (strlen(s->name) > NAME_MAX_LEN || !name_is_valid(s->name)))
        return error_set(err, ERROR_USAGE, 0, "--name: at most %d letters, digits and - _ . make a name", NAME_MAX_LEN);
    if (!str_empty(s->user) && (strlen(s->user) > 32 || !name_is_valid(s->user) || s->user[0] == '-'))
        return error_set(err, ERROR_USAGE, 0, "--user: `%.60s` is not a user's name", s->user);
    if (!str_empty(s->runner_dir) && s->runner_dir[0] != '/')
        return error_set(err, ERROR_USAGE, 0, "--runner-dir: `%.120s` is not an absolute path", s->runner_dir);
    if (!str_empty(s->device_name) && !str_starts(s->device_name, "/dev/") && !str_starts(s->device_name, "xvd"))
        return error_set(err, ERROR_USAGE, 0, "--device-name: `%.60s` is not a device like /dev/sda1", s->device_name);
    if (!str_empty(s->max_price) && !is_price(s->max_price))
        return error_set(err, ERROR_USAGE, 0, "--max-price: `%.30s` is not a price in dollars per hour, like 0.05",
                         s->max_price);
    return true;
}

static bool check_together(const struct spec *s, struct error *err)
{
    if (s->max_lifetime <= s->timeout)
        return error_set(err, ERROR_USAGE, 0, "--max-lifetime must be longer than --timeout");
    if (s->min_count > s->count)
        return error_set(err, ERROR_USAGE, 0, "--min-count must not be larger than --count");
    if (!str_empty(s->max_price) && !strlist_has(&s->market, "spot"))
        return error_set(err, ERROR_USAGE, 0, "--max-price applies to spot, which is not in --market");
    if (!str_empty(s->pre_runner_file) && !str_empty(s->pre_runner_script))
        return error_set(err, ERROR_USAGE, 0, "--pre-runner-file and --pre-runner-script exclude each other");
    return true;
}

bool spec_check(const struct spec *s, struct error *err)
{
    AUTO_STRLIST params = { 0 }, packages = { 0 };
    AUTO_ARENA arena = { 0 };
    struct field_list tags = { 0 };
    if (s->types.n == 0) {
        error_set(err, ERROR_USAGE, 0, "--types is missing");
        error_hint(err, "give --types m7i.xlarge,m7a.xlarge, or set it in the configuration file");
        return false;
    }
    if (s->market.n == 0)
        return error_set(err, ERROR_USAGE, 0, "--market names none: spot, on-demand, or both in the order to try");
    return check_types(&s->types, err) && check_labels(s, err) && check_names(s, err) && check_together(s, err) &&
           params_make(s, "/dev/sda1", NULL, &params, err) && params_tags(s, &arena, &tags, NULL, err) &&
           params_packages(s, &packages, err);
}
