#include "mayfly/runner/spec.h"

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

static bool missing(const char *option, const char *example, struct error *err)
{
    error_set(err, ERROR_USAGE, 0, "--%s is missing", option);
    error_hint(err, "give --%s %s, or set it in the configuration file", option, example);
    return false;
}

static bool check_ids(const struct strlist *ids, const char *option, const char *kind, struct error *err)
{
    for (size_t i = 0; i < ids->n; i++) {
        if (ec2_id_is_valid(ids->v[i], kind))
            continue;
        error_set(err, ERROR_USAGE, 0, "--%s: `%.60s` is not an id", option, ids->v[i]);
        error_hint(err, "ids look like %s-0123456789abcdef0", kind);
        return false;
    }
    return true;
}

static bool check_types(const struct strlist *types, struct error *err)
{
    for (size_t i = 0; i < types->n; i++) {
        const char *dot = strchr(types->v[i], '.');
        size_t n = strspn(types->v[i], "abcdefghijklmnopqrstuvwxyz0123456789.-");
        if (dot && dot != types->v[i] && dot[1] != '\0' && n <= TYPE_MAX_LEN && types->v[i][n] == '\0')
            continue;
        error_set(err, ERROR_USAGE, 0, "--types: `%.60s` is not an instance type", types->v[i]);
        error_hint(err, "instance types look like m7i.xlarge");
        return false;
    }
    return true;
}

bool spec_check(const struct spec *s, struct error *err)
{
    if (str_empty(s->image))
        return missing("image", "ami-0123456789abcdef0", err);
    if (s->types.n == 0)
        return missing("types", "m7i.xlarge,m7a.xlarge", err);
    if (s->subnets.n == 0)
        return missing("subnets", "subnet-0123456789abcdef0", err);
    if (s->security_groups.n == 0)
        return missing("security-groups", "sg-0123456789abcdef0", err);
    const struct strlist image = { .v = (char *[]){ s->image }, .n = 1 };
    if (!check_ids(&image, "image", "ami", err) || !check_ids(&s->subnets, "subnets", "subnet", err) ||
        !check_ids(&s->security_groups, "security-groups", "sg", err) || !check_types(&s->types, err))
        return false;
    for (size_t i = 1; i < s->types.n; i++) {
        if (!str_eq(spec_type_architecture(s->types.v[i]), spec_type_architecture(s->types.v[0])))
            return error_set(err, ERROR_USAGE, 0,
                             "--types: %s and %s have different architectures: one image cannot fit both",
                             s->types.v[0], s->types.v[i]);
    }
    if (!str_empty(s->label) && !label_is_valid(s->label)) {
        error_set(err, ERROR_USAGE, 0, "--label: `%.120s` is not a label", s->label);
        error_hint(err, "1 to 100 letters, digits and - _ . make a label");
        return false;
    }
    for (size_t i = 0; i < s->labels.n; i++)
        if (!label_is_valid(s->labels.v[i]))
            return error_set(err, ERROR_USAGE, 0, "--labels: `%.120s` is not a label", s->labels.v[i]);
    if (!str_empty(s->name) && (strlen(s->name) > NAME_MAX_LEN || !label_is_valid(s->name)))
        return error_set(err, ERROR_USAGE, 0, "--name: at most %d letters, digits and - _ . make a name", NAME_MAX_LEN);
    if (!str_empty(s->user) && (strlen(s->user) > 32 || !label_is_valid(s->user) || s->user[0] == '-'))
        return error_set(err, ERROR_USAGE, 0, "--user: `%.60s` is not a user's name", s->user);
    if (!str_empty(s->runner_dir) && s->runner_dir[0] != '/')
        return error_set(err, ERROR_USAGE, 0, "--runner-dir: `%.120s` is not an absolute path", s->runner_dir);
    if (s->max_lifetime <= s->timeout)
        return error_set(err, ERROR_USAGE, 0, "--max-lifetime must be longer than --timeout");
    return true;
}

bool spec_check_image(const struct spec *s, const struct field_list *images, struct error *err)
{
    const struct ec2_image *image = images->n == 1 ? FIELD_ROW(images, const struct ec2_image, 0) : NULL;
    if (!image || !str_eq(image->id, s->image)) {
        error_set(err, ERROR_CONFIG, 0, "--image: there is no image %s in this region", s->image);
        error_hint(err, "images belong to one region, and others see them only when shared");
        return false;
    }
    if (!str_eq(image->state, "available")) {
        error_set(err, ERROR_CONFIG, 0, "--image: %s is %s, not available", s->image,
                  image->state ? image->state : "in no state");
        error_hint(err, "wait until it is, or name another");
        return false;
    }
    if (!spec_runner_architecture(image->architecture)) {
        error_set(err, ERROR_CONFIG, 0, "--image: there is no runner for the architecture %s of %s",
                  image->architecture ? image->architecture : "(none)", s->image);
        error_hint(err, "name an x86_64 or arm64 Linux image");
        return false;
    }
    if (!str_eq(spec_type_architecture(s->types.v[0]), image->architecture)) {
        error_set(err, ERROR_CONFIG, 0, "--types: %s is %s, and the image %s is %s", s->types.v[0],
                  spec_type_architecture(s->types.v[0]), s->image, image->architecture);
        error_hint(err, "name types of the image's architecture, or the image of theirs");
        return false;
    }
    return true;
}
