/* One table of members drives the check of what a user wrote as JSON, and its rendering. */
#include "mayfly/runner/params.h"

#include <inttypes.h>

#include "mayfly/codec/json.h"
#include "mayfly/util/encode.h"
#include "mayfly/util/opts.h"
#include "mayfly/util/text.h"

enum member_type { TEXT, NUMBER, BOOLEAN };

struct member {
    const char *path; /* "Ebs.VolumeSize"; NULL ends a table */
    enum member_type type;
    int64_t min, max;    /* of NUMBER */
    const char *choices; /* of TEXT, space-separated, or NULL */
};

#define VOLUME_TYPES "gp2 gp3 io1 io2 st1 sc1 standard"

/* Limits as of 2026: gp3 goes to 64 TiB, 80,000 IOPS and 2,000 MiB/s, io2 to 256,000 IOPS.
 * Source: EC2 API reference, EbsBlockDevice. */
static const struct member block_device_members[] = {
    { "DeviceName", TEXT, 0, 0, NULL },
    { "VirtualName", TEXT, 0, 0, NULL },
    { "NoDevice", TEXT, 0, 0, NULL },
    { "Ebs.VolumeSize", NUMBER, 1, 65536, NULL },
    { "Ebs.VolumeType", TEXT, 0, 0, VOLUME_TYPES },
    { "Ebs.Iops", NUMBER, 100, 256000, NULL },
    { "Ebs.Throughput", NUMBER, 125, 2000, NULL },
    { "Ebs.VolumeInitializationRate", NUMBER, 100, 300, NULL },
    { "Ebs.Encrypted", BOOLEAN, 0, 0, NULL },
    { "Ebs.KmsKeyId", TEXT, 0, 0, NULL },
    { "Ebs.SnapshotId", TEXT, 0, 0, NULL },
    { "Ebs.DeleteOnTermination", BOOLEAN, 0, 0, NULL },
    { 0 },
};

static const struct member metadata_members[] = {
    { "HttpTokens", TEXT, 0, 0, "required optional" },
    { "HttpPutResponseHopLimit", NUMBER, 1, 64, NULL },
    { "HttpEndpoint", TEXT, 0, 0, "enabled" },
    { "HttpProtocolIpv6", TEXT, 0, 0, "enabled disabled" },
    { "InstanceMetadataTags", TEXT, 0, 0, "enabled disabled" },
    { 0 },
};

static bool bad(const char *option, struct error *err, const char *fmt, ...) PRINTF_LIKE(3, 4);
static bool bad(const char *option, struct error *err, const char *fmt, ...)
{
    AUTO_STRBUF text = STRBUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    strbuf_vaddf(&text, fmt, ap);
    va_end(ap);
    return error_set(err, ERROR_USAGE, 0, "--%s: %s", option, strbuf_str(&text));
}

static void add(struct strlist *params, const char *prefix, const char *path, const char *value)
{
    AUTO_FREE char *name = xasprintf("%s.%s", prefix, path);
    strlist_add(params, name);
    strlist_add(params, value);
}

static void add_uint(struct strlist *params, const char *prefix, const char *path, uint64_t value)
{
    AUTO_FREE char *text = xasprintf("%" PRIu64, value);
    if (value)
        add(params, prefix, path, text);
}

static const char *get(const struct strlist *params, const char *prefix, const char *path)
{
    AUTO_FREE char *name = xasprintf("%s.%s", prefix, path);
    for (size_t i = 0; i + 1 < params->n; i += 2)
        if (str_eq(params->v[i], name))
            return params->v[i + 1];
    return NULL;
}

static bool add_value(const struct member *m, struct json_object *value, const char *option, const char *prefix,
                      struct strlist *ret, struct error *err)
{
    AUTO_FREE char *text = json_as_text(value);
    uint64_t n;
    bool flag;
    if (!value) /* null is what was not given */
        return true;
    if (!text)
        return bad(option, err, "%s is a list", m->path);
    switch (m->type) {
    case TEXT:
        if (m->choices && !str_is_one_of(text, m->choices))
            return bad(option, err, "%s: `%.60s` is not one of: %s", m->path, text, m->choices);
        break;
    case NUMBER:
        if (!parse_uint(text, INT32_MAX, &n) || (int64_t)n < m->min || (int64_t)n > m->max)
            return bad(option, err, "%s: `%.60s` is not a number from %" PRId64 " to %" PRId64, m->path, text, m->min,
                       m->max);
        break;
    case BOOLEAN:
        if (!parse_bool(text, &flag))
            return bad(option, err, "%s: `%.60s` is not true or false", m->path, text);
        add(ret, prefix, m->path, flag ? "true" : "false");
        return true;
    }
    add(ret, prefix, m->path, text);
    return true;
}

static const struct member *find_member(const struct member *members, const char *path, const char **ret_nearest)
{
    for (const struct member *m = members; m->path; m++) {
        if (str_eq(m->path, path))
            return m;
        *ret_nearest = opts_nearest(path, *ret_nearest, m->path);
    }
    return NULL;
}

/* Walks an object; `outer` is the path to it, "" or "Ebs.". */
static bool add_object(struct json_object *object, const char *outer, const struct member *members, const char *option,
                       const char *prefix, struct strlist *ret, struct error *err)
{
    if (!json_object_is_type(object, json_type_object))
        return bad(option, err, "`%.60s` is not an object", json_object_to_json_string(object));
    json_object_object_foreach(object, key, value)
    {
        AUTO_FREE char *path = xasprintf("%s%s", outer, key);
        const char *nearest = NULL;
        if (json_object_is_type(value, json_type_object)) {
            AUTO_FREE char *inner = xasprintf("%s.", path);
            if (!add_object(value, inner, members, option, prefix, ret, err))
                return false;
            continue;
        }
        const struct member *m = strchr(key, '.') ? NULL : find_member(members, path, &nearest);
        if (!m) {
            bad(option, err, "there is no member `%.60s`", path);
            if (nearest)
                error_hint(err, "did you mean %s?", nearest);
            return false;
        }
        if (!add_value(m, value, option, prefix, ret, err))
            return false;
    }
    return true;
}

static bool parse(const char *text, const char *option, struct json_object **ret, struct error *err)
{
    AUTO_FREE char *what = xasprintf("--%s", option);
    return json_parse_option(text, what, ret, err);
}

/* --- volumes ------------------------------------------------------------------------------------------------------ */

static bool finish_device(struct strlist *params, const char *prefix, const char *option, struct error *err)
{
    const char *keep = get(params, prefix, "Ebs.DeleteOnTermination");
    bool ebs = false;
    AUTO_FREE char *ebs_prefix = xasprintf("%s.Ebs.", prefix);
    for (size_t i = 0; i < params->n; i += 2)
        ebs = ebs || str_starts(params->v[i], ebs_prefix);
    if (!get(params, prefix, "DeviceName"))
        return bad(option, err, "an entry has no DeviceName");
    if (str_eq(keep, "false")) {
        bad(option, err, "DeleteOnTermination is false, so that the volume would outlive its instance");
        error_hint(err, "volumes must not outlive the instance: keep artifacts in S3 or a registry");
        return false;
    }
    if (ebs && !keep)
        add(params, prefix, "Ebs.DeleteOnTermination", "true");
    return true;
}

static bool add_block_devices(const char *text, struct strlist *ret, size_t *ret_n, struct error *err)
{
    static const char option[] = "block-devices";
    AUTO_JSON *list = NULL;
    if (str_empty(text))
        return true;
    if (!parse(text, option, &list, err))
        return false;
    if (!json_object_is_type(list, json_type_array))
        return bad(option, err, "it is not a JSON list");
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        AUTO_FREE char *prefix = xasprintf("BlockDeviceMapping.%zu", ++*ret_n);
        if (!add_object(json_object_array_get_idx(list, i), "", block_device_members, option, prefix, ret, err) ||
            !finish_device(ret, prefix, option, err))
            return false;
    }
    return true;
}

static bool names_device(const struct strlist *params, const char *device)
{
    for (size_t i = 0; i + 1 < params->n; i += 2)
        if (str_ends(params->v[i], ".DeviceName") && str_eq(params->v[i + 1], device))
            return true;
    return false;
}

static bool wants_volume(const struct spec *s)
{
    return s->volume_size || s->volume_iops || s->volume_throughput || s->volume_initialization_rate ||
           s->volume_encrypted || !str_empty(s->volume_type) || !str_empty(s->volume_kms_key);
}

/* An entry of --block-devices for the same device wins over the options of the volume. */
static void add_volume(const struct spec *s, const char *root_device, struct strlist *ret, size_t *ret_n)
{
    const char *device = str_empty(s->device_name) ? root_device : s->device_name;
    AUTO_FREE char *prefix = xasprintf("BlockDeviceMapping.%zu", *ret_n + 1);
    if (!wants_volume(s) || names_device(ret, device))
        return;
    ++*ret_n;
    add(ret, prefix, "DeviceName", device);
    add_uint(ret, prefix, "Ebs.VolumeSize", s->volume_size);
    if (!str_empty(s->volume_type))
        add(ret, prefix, "Ebs.VolumeType", s->volume_type);
    add_uint(ret, prefix, "Ebs.Iops", s->volume_iops);
    add_uint(ret, prefix, "Ebs.Throughput", s->volume_throughput);
    add_uint(ret, prefix, "Ebs.VolumeInitializationRate", s->volume_initialization_rate);
    if (s->volume_encrypted || !str_empty(s->volume_kms_key))
        add(ret, prefix, "Ebs.Encrypted", "true");
    if (!str_empty(s->volume_kms_key))
        add(ret, prefix, "Ebs.KmsKeyId", s->volume_kms_key);
    add(ret, prefix, "Ebs.DeleteOnTermination", "true");
}

/* The image may keep them: one made of a machine whose volumes stay does. Nothing else of them changes: their size is
 * the image's. */
static void add_image_volumes(const struct field_list *volumes, struct strlist *ret, size_t *ret_n)
{
    for (size_t i = 0; volumes && i < volumes->n; i++) {
        const struct ec2_image_device *d = FIELD_ROW(volumes, const struct ec2_image_device, i);
        if (names_device(ret, d->name))
            continue;
        AUTO_FREE char *prefix = xasprintf("BlockDeviceMapping.%zu", ++*ret_n);
        add(ret, prefix, "DeviceName", d->name);
        if (d->size)
            add(ret, prefix, "Ebs.VolumeSize", d->size);
        add(ret, prefix, "Ebs.DeleteOnTermination", "true");
    }
}

static bool check_volume(const struct spec *s, struct error *err)
{
    const char *type = s->volume_type;
    if (str_empty(type))
        return true;
    if (s->volume_iops && !str_is_one_of(type, "gp3 io1 io2"))
        return bad("volume-iops", err, "volumes of type %s take none", type);
    if (!s->volume_iops && str_is_one_of(type, "io1 io2"))
        return bad("volume-iops", err, "volumes of type %s need it", type);
    if (s->volume_throughput && !str_eq(type, "gp3"))
        return bad("volume-throughput", err, "volumes of type %s take none", type);
    return true;
}

/* --- the rest ----------------------------------------------------------------------------------------------------- */

/* The instance's metadata by session token alone, and not from containers on it, unless the user says otherwise. */
static bool add_metadata_options(const char *text, struct strlist *ret, struct error *err)
{
    static const char option[] = "metadata-options", prefix[] = "MetadataOptions";
    static const struct {
        const char *member, *value;
    } defaults[] = { { "HttpEndpoint", "enabled" }, { "HttpTokens", "required" }, { "HttpPutResponseHopLimit", "1" } };
    AUTO_JSON *object = NULL;
    if (!str_empty(text) &&
        (!parse(text, option, &object, err) || !add_object(object, "", metadata_members, option, prefix, ret, err)))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
        if (!get(ret, prefix, defaults[i].member))
            add(ret, prefix, defaults[i].member, defaults[i].value);
    return true;
}

bool params_make(const struct spec *s, const char *root_device, const struct field_list *volumes, struct strlist *ret,
                 struct error *err)
{
    const struct {
        const char *value, *prefix, *path;
    } scalars[] = {
        { s->placement_group, "Placement", "GroupName" },
        { s->tenancy, "Placement", "Tenancy" },
        { s->cpu_credits, "CreditSpecification", "CpuCredits" },
    };
    AUTO_STRLIST params = { 0 };
    size_t n = 0;
    if (!check_volume(s, err) || !add_block_devices(s->block_devices, &params, &n, err) ||
        !add_metadata_options(s->metadata_options, &params, err))
        return false;
    add_volume(s, root_device, &params, &n);
    add_image_volumes(volumes, &params, &n);
    for (size_t i = 0; i < ARRAY_SIZE(scalars); i++)
        if (!str_empty(scalars[i].value))
            add(&params, scalars[i].prefix, scalars[i].path, scalars[i].value);
    *ret = params;
    params = (struct strlist){ 0 };
    return true;
}

void params_keys(const struct strlist *params, struct strlist *ret)
{
    static const char suffix[] = ".Ebs.Encrypted";
    for (size_t i = 0; i + 1 < params->n; i += 2) {
        const char *name = params->v[i], *key = str_ends(name, ".Ebs.KmsKeyId") ? params->v[i + 1] : NULL;
        if (str_ends(name, suffix) && str_eq(params->v[i + 1], "true")) {
            AUTO_FREE char *prefix = xstrndup(name, strlen(name) - strlen(suffix));
            key = get(params, prefix, "Ebs.KmsKeyId");
            key = key ? key : "";
        }
        if (key && !strlist_has(ret, key))
            strlist_add(ret, key);
    }
}

/* --- tags and packages -------------------------------------------------------------------------------------------- */

static const struct field tag_fields[] = {
    { .path = "Key", .type = FIELD_TEXT, .offset = offsetof(struct ec2_tag, key), .required = true },
    { .path = "Value", .type = FIELD_TEXT, .offset = offsetof(struct ec2_tag, value) },
    { 0 },
};

/* EC2's limits, which count characters; tags of ours would mislead the reaper. */
static bool check_tag(const struct field_list *tags, const struct ec2_tag *tag, struct error *err)
{
    if (str_empty(tag->key) || text_length(tag->key) > 127 || text_length(tag->value) > 256)
        return bad("tags", err, "`%.60s`: keys have 1 to 127 characters, values at most 256", tag->key);
    if (str_starts(tag->key, "aws:") || str_starts(tag->key, TAG_PREFIX))
        return bad("tags", err, "`%.60s`: tags that begin with aws: or %s are reserved", tag->key, TAG_PREFIX);
    for (size_t i = 0; i < tags->n; i++)
        if (str_eq(FIELD_ROW(tags, const struct ec2_tag, i)->key, tag->key))
            return bad("tags", err, "`%.60s` is there twice", tag->key);
    return true;
}

static bool add_tag(struct field_list *tags, struct ec2_tag tag, struct arena *arena, struct error *err)
{
    if (!tag.value)
        tag.value = "";
    if (!check_tag(tags, &tag, err))
        return false;
    if (tags->n >= TAGS_FOR_USERS)
        return bad("tags", err, "there are more than %d", TAGS_FOR_USERS);
    *(struct ec2_tag *)field_list_add(tags, sizeof(tag), arena) = tag;
    return true;
}

static bool add_json_tags(const char *text, struct arena *arena, struct field_list *ret, struct strlist *warnings,
                          struct error *err)
{
    AUTO_JSON *list = NULL;
    if (!parse(text, "tags", &list, err))
        return false;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        struct ec2_tag tag = { 0 };
        if (!json_check_members(entry, tag_fields, "--tags", warnings, err) ||
            !json_decode(entry, tag_fields, &tag, arena, "--tags", err)) {
            err->domain = ERROR_USAGE;
            return false;
        }
        if (!add_tag(ret, tag, arena, err))
            return false;
    }
    return true;
}

/* Key=NAME,Value=VALUE is how the AWS CLI writes one tag, and would be two here. */
static bool is_cli_tag(const struct strlist *parts)
{
    bool key = false, value = false;
    for (size_t i = 0; i < parts->n; i++) {
        key = key || str_starts(parts->v[i], "Key=");
        value = value || str_starts(parts->v[i], "Value=");
    }
    return key && value;
}

bool params_tags(const struct spec *s, struct arena *arena, struct field_list *ret, struct strlist *warnings,
                 struct error *err)
{
    const char *text = s->tags ? s->tags + strspn(s->tags, " \t\r\n") : "";
    AUTO_STRLIST parts = { 0 };
    if (*text == '[')
        return add_json_tags(text, arena, ret, warnings, err);
    strlist_split(&parts, text, ",\n");
    if (is_cli_tag(&parts)) {
        bad("tags", err, "`%.60s` is how the AWS CLI writes a tag", text);
        error_hint(err, "write team=ci,env=test or [{\"Key\": \"team\", \"Value\": \"ci\"}]");
        return false;
    }
    for (size_t i = 0; i < parts.n; i++) {
        char *equals = strchr(parts.v[i], '=');
        if (!equals) {
            bad("tags", err, "`%.60s` is not KEY=VALUE", parts.v[i]);
            error_hint(err, "write team=ci,env=test or [{\"Key\": \"team\", \"Value\": \"ci\"}]");
            return false;
        }
        const struct ec2_tag tag = { arena_strndup(arena, parts.v[i], (size_t)(equals - parts.v[i])),
                                     arena_strdup(arena, equals + 1) };
        if (!add_tag(ret, tag, arena, err))
            return false;
    }
    return true;
}

/* Names of Debian's and Fedora's packages, with a version if wanted; @GROUP is dnf's. */
static bool is_package(const char *name)
{
    name += name[0] == '@';
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_:=~");
    return n > 0 && n <= 128 && name[n] == '\0' && name[0] != '-' && name[n - 1] != '-'; /* apt-get: remove it */
}

/* An entry as cloud-init takes it: "NAME", or ["NAME", "VERSION"]; what is neither, as JSON. Owned. */
static char *package_of(struct json_object *entry)
{
    if (json_object_is_type(entry, json_type_array) && json_object_array_length(entry) == 2) {
        AUTO_FREE char *name = json_as_text(json_object_array_get_idx(entry, 0));
        AUTO_FREE char *version = json_as_text(json_object_array_get_idx(entry, 1));
        if (name && version)
            return xasprintf("%s=%s", name, version);
    }
    return json_object_is_type(entry, json_type_string) ? xstrdup(json_object_get_string(entry))
                                                        : xstrdup(json_object_to_json_string(entry));
}

bool params_packages(const struct spec *s, struct strlist *ret, struct error *err)
{
    static const char option[] = "packages";
    const char *text = s->packages ? s->packages + strspn(s->packages, " \t\r\n") : "";
    AUTO_STRLIST packages = { 0 };
    AUTO_JSON *list = NULL;
    if (*text != '[') {
        strlist_split(&packages, text, ", \n");
    } else {
        if (!parse(text, option, &list, err))
            return false;
        for (size_t i = 0; i < json_object_array_length(list); i++) {
            AUTO_FREE char *name = package_of(json_object_array_get_idx(list, i));
            strlist_add(&packages, name);
        }
    }
    for (size_t i = 0; i < packages.n; i++)
        if (!is_package(packages.v[i]))
            return bad(option, err, "`%.60s` is not the name of a package", packages.v[i]);
    *ret = packages;
    packages = (struct strlist){ 0 };
    return true;
}
