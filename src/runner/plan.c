#include "mayfly/runner/plan.h"

#include "mayfly/codec/json.h"
#include "mayfly/runner/params.h"

enum { CELLS_MAX = 10000 };

/* The dimensions of --order, in the order that holds where it says nothing. */
static const char *const dimensions[PLAN_DIMENSIONS] = { "market", "region", "image", "type", "subnet" };
enum { AT_MARKET, AT_REGION, AT_IMAGE, AT_TYPE, AT_SUBNET };

/* "us-west-2/subnet-1": the region, in the arena, and the rest; without a region the default one. */
static const char *split_region(struct arena *arena, const char *s, const char *default_region, const char **ret_rest)
{
    size_t n = strcspn(s, "/");
    const char *region = s[n] == '/' ? arena_strndup(arena, s, n) : "";
    if (!aws_region_is_valid(region)) {
        *ret_rest = s;
        return default_region;
    }
    *ret_rest = s + n + 1;
    return region;
}

static bool check_region(const struct plan *plan, const char *region, const char *option, struct error *err)
{
    if (strlist_has(&plan->regions, region))
        return true;
    error_set(err, ERROR_USAGE, 0, "--%s names the region %s, which is not in the plan", option, region);
    error_hint(err, "the plan covers --regions, in that order, or else --region");
    return false;
}

static struct site *add_site(struct plan *plan, const char *region, const char *subnet)
{
    plan->sites = xreallocarray(plan->sites, plan->n_sites + 1, sizeof(*plan->sites));
    struct site *site = &plan->sites[plan->n_sites++];
    *site = (struct site){ .region = region, .subnet = arena_strdup(&plan->arena, subnet) };
    return site;
}

/* The place of a reference among all: that of the same in another region, or the next. */
static size_t image_at(const struct plan *plan, const char *ref)
{
    size_t next = 0;
    for (size_t i = 0; i < plan->n_images; i++) {
        if (str_eq(plan->images[i].ref, ref))
            return plan->images[i].at;
        if (plan->images[i].at >= next)
            next = plan->images[i].at + 1;
    }
    return next;
}

static bool add_image(struct plan *plan, const char *region, const char *ref, struct error *err)
{
    struct image image = { .region = region, .ref = arena_strdup(&plan->arena, ref), .at = image_at(plan, ref) };
    for (size_t i = 0; i < plan->n_images; i++)
        if (str_eq(plan->images[i].region, region) && str_eq(plan->images[i].ref, ref))
            return true;
    const char *parameter =
        str_starts(ref, "resolve:") ? image.ref + strlen("resolve:") : image.ref; /* RunInstances' */
    if (str_starts(parameter, "ssm:/") && strlen(ref) <= 1024) {
        image.kind = IMAGE_SSM;
        image.value = parameter + strlen("ssm:");
    } else if (str_starts(ref, "name:")) {
        const char *at = strrchr(ref, '@');
        size_t n = at ? (size_t)(at - ref) - strlen("name:") : 0;
        image.kind = IMAGE_NAME;
        image.value = arena_strndup(&plan->arena, ref + strlen("name:"), n);
        image.owner = at ? arena_strdup(&plan->arena, at + 1) : "";
        if (n < 3 || (!str_is_one_of(image.owner, "self amazon aws-marketplace") &&
                      (strlen(image.owner) != 12 || strspn(image.owner, "0123456789") != 12))) {
            error_set(err, ERROR_USAGE, 0, "--image: `%.120s` is not name:PATTERN@OWNER", ref);
            error_hint(err, "the owner is self, amazon or an account ID: anyone can give an image that name");
            return false;
        }
    } else if (!ec2_id_is_valid(ref, "ami")) {
        error_set(err, ERROR_USAGE, 0, "--image: `%.120s` is not an image", ref);
        error_hint(err, "give an id like ami-0123456789abcdef0, ssm:/parameter or name:PATTERN@OWNER");
        return false;
    }
    plan->images = xreallocarray(plan->images, plan->n_images + 1, sizeof(*plan->images));
    plan->images[plan->n_images++] = image;
    return true;
}

static bool add_images(struct plan *plan, const struct spec *s, const char *default_region, struct error *err)
{
    for (size_t i = 0; i < s->images.n; i++) {
        const char *ref;
        const char *region = split_region(&plan->arena, s->images.v[i], NULL, &ref);
        bool anywhere = !region && !str_starts(ref, "ami-");
        if (!anywhere) {
            region = region ? region : default_region;
            if (!check_region(plan, region, "image", err) || !add_image(plan, region, ref, err))
                return false;
            continue;
        }
        for (size_t r = 0; r < plan->regions.n; r++)
            if (!add_image(plan, plan->regions.v[r], ref, err))
                return false;
    }
    return true;
}

static bool check_id(const char *id, const char *option, const char *kind, struct error *err)
{
    if (ec2_id_is_valid(id, kind))
        return true;
    error_set(err, ERROR_USAGE, 0, "--%s: `%.60s` is not an id", option, id);
    error_hint(err, "ids look like %s-0123456789abcdef0, with commas between several", kind);
    return false;
}

static bool add_subnets(struct plan *plan, const struct spec *s, const char *default_region, struct error *err)
{
    for (size_t i = 0; i < s->subnets.n; i++) {
        const char *id, *region = split_region(&plan->arena, s->subnets.v[i], default_region, &id);
        if (!check_region(plan, region, "subnets", err) || !check_id(id, "subnets", "subnet", err))
            return false;
        add_site(plan, region, id);
    }
    for (size_t i = 0; i < s->security_groups.n; i++) {
        const char *id, *region = split_region(&plan->arena, s->security_groups.v[i], default_region, &id);
        if (!check_region(plan, region, "security-groups", err) || !check_id(id, "security-groups", "sg", err))
            return false;
        for (size_t n = 0; n < plan->n_sites; n++)
            if (str_eq(plan->sites[n].region, region))
                strlist_add(&plan->sites[n].security_groups, id);
    }
    return true;
}

/* --- --places: what machulav/ec2-github-runner calls availability-zones-config -------------------------------------
 */

struct place {
    const char *region, *image, *subnet, *security_groups;
};

static const struct field place_fields[] = {
    { .path = "region", .type = FIELD_STR, .offset = offsetof(struct place, region) },
    { .path = "imageId", .type = FIELD_STR, .offset = offsetof(struct place, image) },
    { .path = "subnetId", .type = FIELD_STR, .offset = offsetof(struct place, subnet), .required = true },
    { .path = "securityGroupId",
      .type = FIELD_STR,
      .offset = offsetof(struct place, security_groups),
      .required = true },
    { 0 },
};

static const char places_option[] = "--places";

static bool add_place(struct plan *plan, const struct place *p, const char *default_region, struct error *err)
{
    const char *region = str_empty(p->region) ? default_region : p->region;
    AUTO_STRLIST groups = { 0 };
    strlist_split(&groups, p->security_groups, ",");
    if (!aws_region_check(region, places_option, err))
        return false;
    if (!strlist_has(&plan->regions, region))
        strlist_add(&plan->regions, region);
    if (!check_id(p->subnet, "places", "subnet", err))
        return false;
    struct site *site = add_site(plan, region, p->subnet);
    for (size_t i = 0; i < groups.n; i++) {
        if (!check_id(groups.v[i], "places", "sg", err))
            return false;
        strlist_add(&site->security_groups, groups.v[i]);
    }
    if (str_empty(p->image))
        return true;
    site->image = p->image;
    return add_image(plan, region, p->image, err);
}

/* An empty list is what was not given. */
static bool parse_places(const char *text, struct json_object **ret, struct error *err)
{
    AUTO_JSON *list = NULL;
    if (!json_parse_option(text, places_option, &list, err))
        return false;
    if (!json_object_is_type(list, json_type_array)) {
        error_set(err, ERROR_USAGE, 0, "%s is not a list of places", places_option);
        error_hint(err, "[{\"region\": \"us-east-1\", \"imageId\": \"ami-…\", \"subnetId\": \"subnet-…\", "
                        "\"securityGroupId\": \"sg-…\"}, …]");
        return false;
    }
    *ret = STEAL(list);
    return true;
}

bool plan_place_regions(const char *places, struct strlist *ret, struct error *err)
{
    AUTO_JSON *list = NULL;
    if (!parse_places(places, &list, err))
        return false;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *region = NULL;
        json_object_object_get_ex(json_object_array_get_idx(list, i), "region", &region);
        const char *name = json_object_is_type(region, json_type_string) ? json_object_get_string(region) : "";
        if (aws_region_is_valid(name) && !strlist_has(ret, name))
            strlist_add(ret, name);
    }
    return true;
}

static bool add_places(struct plan *plan, const char *text, const char *default_region, struct error *err)
{
    AUTO_JSON *list = NULL;
    if (!parse_places(text, &list, err))
        return false;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *entry = json_object_array_get_idx(list, i);
        struct place place = { 0 };
        if (!json_check_members(entry, place_fields, places_option, &plan->warnings, err) ||
            !json_decode(entry, place_fields, &place, &plan->arena, places_option, err)) {
            err->domain = ERROR_USAGE;
            return false;
        }
        if (!add_place(plan, &place, default_region, err))
            return false;
    }
    return true;
}

/* --- whose images ---------------------------------------------------------------------------------------------------
 */

bool image_is_own(const char *ref)
{
    size_t n = strcspn(ref, "/");
    AUTO_FREE char *region = xstrndup(ref, n);
    if (ref[n] == '/' && aws_region_is_valid(region))
        ref += n + 1;
    /* Below /aws/ are those of Amazon and of the marketplace. */
    return (str_starts(ref, "ssm:/") && !str_starts(ref, "ssm:/aws/")) ||
           (str_starts(ref, "name:") && str_eq(strrchr(ref, '@'), "@self"));
}

bool places_are_own(const char *places)
{
    AUTO_JSON *list = NULL;
    AUTO_ERROR err = { 0 };
    bool ok = json_parse(places, strlen(places), places_option, &list, &err);
    size_t n = ok && json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *image = NULL;
        json_object_object_get_ex(json_object_array_get_idx(list, i), "imageId", &image);
        const char *ref = image ? json_object_get_string(image) : "";
        if (*ref && !image_is_own(ref))
            return false;
    }
    return true;
}

/* --- the options as a whole --------------------------------------------------------------------------------------- */

static bool missing(const char *option, const char *region, const char *example, struct error *err)
{
    if (region)
        error_set(err, ERROR_USAGE, 0, "--%s names nothing in the region %s", option, region);
    else
        error_set(err, ERROR_USAGE, 0, "--%s is missing", option);
    error_hint(err, "give --%s %s%s%s, or set it in the configuration file", option, region ? region : "",
               region ? "/" : "", example);
    return false;
}

static bool check_region_is_whole(const struct plan *plan, const char *region, const struct spec *s, struct error *err)
{
    bool images = false, sites = false;
    for (size_t i = 0; i < plan->n_images; i++)
        images = images || str_eq(plan->images[i].region, region);
    if (!images)
        return missing("image", s->images.n ? region : NULL, "ami-0123456789abcdef0", err);
    for (size_t i = 0; i < plan->n_sites; i++) {
        if (!str_eq(plan->sites[i].region, region))
            continue;
        sites = true;
        if (plan->sites[i].security_groups.n == 0)
            return missing("security-groups", s->security_groups.n ? region : NULL, "sg-0123456789abcdef0", err);
    }
    return sites || missing("subnets", s->subnets.n ? region : NULL, "subnet-0123456789abcdef0", err);
}

/* Is there a site that comes without an image of its own? */
static bool needs_images(const struct plan *plan)
{
    size_t n = 0;
    while (n < plan->n_sites && plan->sites[n].image)
        n++;
    return n < plan->n_sites || n == 0;
}

/* --places wins over what it is given instead of. */
static void warn_of_ignored(struct plan *plan, const struct spec *s)
{
    const struct {
        const char *option;
        bool ignored;
    } options[] = { { "image", s->images.n && !needs_images(plan) },
                    { "subnets", s->subnets.n },
                    { "security-groups", s->security_groups.n } };
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        AUTO_FREE char *warning = xasprintf("--%s is ignored: --places is given", options[i].option);
        if (options[i].ignored)
            strlist_add(&plan->warnings, warning);
    }
}

/* A key is of one region, which its ARN names, and EC2 takes it in no other. */
static bool check_key(const struct plan *plan, const char *key, struct error *err)
{
    for (size_t i = 0; str_starts(key, "arn:") && i < plan->regions.n; i++) {
        AUTO_FREE char *here = xasprintf(":kms:%s:", plan->regions.v[i]);
        if (strstr(key, here))
            continue;
        error_set(err, ERROR_USAGE, 0, "the KMS key `%.200s` is not one of %s, where the plan launches", key,
                  plan->regions.v[i]);
        error_hint(err,
                   "name a key as alias/NAME that each region has, or drop %s from --region, --regions or --places",
                   plan->regions.v[i]);
        return false;
    }
    return true;
}

static bool check_keys(const struct plan *plan, const struct spec *s, struct error *err)
{
    AUTO_STRLIST params = { 0 }, keys = { 0 };
    if (!params_make(s, "/dev/sda1", NULL, &params, err))
        return false;
    params_keys(&params, &keys);
    for (size_t i = 0; i < keys.n; i++)
        if (!check_key(plan, keys.v[i], err))
            return false;
    return true;
}

bool plan_sites(struct plan *plan, const struct spec *s, const char *default_region, struct error *err)
{
    for (size_t i = 0; i < s->regions.n; i++) {
        if (!aws_region_check(s->regions.v[i], "--regions", err))
            return false;
        if (!strlist_has(&plan->regions, s->regions.v[i]))
            strlist_add(&plan->regions, s->regions.v[i]);
    }
    if (!str_empty(s->places) && !add_places(plan, s->places, default_region, err))
        return false;
    bool placed = plan->n_sites > 0;
    if (!placed && plan->regions.n == 0)
        strlist_add(&plan->regions, default_region);
    if (placed)
        warn_of_ignored(plan, s);
    if (!check_keys(plan, s, err))
        return false;
    if ((needs_images(plan) && !add_images(plan, s, default_region, err)) ||
        (!placed && !add_subnets(plan, s, default_region, err)))
        return false;
    for (size_t i = 0; i < plan->regions.n; i++)
        if (!check_region_is_whole(plan, plan->regions.v[i], s, err))
            return false;
    return true;
}

/* --- images ------------------------------------------------------------------------------------------------------- */

static bool is_newer(const struct ec2_image *a, const struct ec2_image *b)
{
    return !b || strcmp(a->created ? a->created : "", b->created ? b->created : "") > 0;
}

/* One that a bake has not proven yet says how long that may take. */
static bool is_ready(const struct ec2_image *row)
{
    const struct ec2_instance tagged = { .tags = row->tags };
    return str_eq(row->state, "available") && !ec2_instance_tag(&tagged, TAG_LIMITS);
}

static const struct ec2_image *choose(const struct image *image, const char *id, const struct field_list *images)
{
    const struct ec2_image *best = NULL;
    for (size_t i = 0; i < images->n; i++) {
        const struct ec2_image *row = FIELD_ROW(images, const struct ec2_image, i);
        bool wanted = image->kind == IMAGE_NAME ? is_ready(row) : str_eq(row->id, id);
        if (wanted && row->id && is_newer(row, best)) /* dates are RFC 3339 in UTC: they sort as text */
            best = row;
    }
    return best;
}

/* Not instance stores, nor what the image leaves out, nor what goes by itself. */
static void take_volumes(struct image *image, const struct ec2_image *row, struct arena *arena)
{
    image->volumes = (struct field_list){ 0 };
    for (size_t i = 0; i < row->devices.n; i++) {
        const struct ec2_image_device *d = FIELD_ROW(&row->devices, const struct ec2_image_device, i);
        if (str_empty(d->name) || d->virtual_name || d->no_device || !(d->snapshot || d->size || d->type || d->deletes))
            continue;
        if (str_eq(d->deletes, "true"))
            continue;
        *(struct ec2_image_device *)field_list_add(&image->volumes, sizeof(*d), arena) =
            (struct ec2_image_device){ .name = arena_strdup(arena, d->name),
                                       .size = d->size ? arena_strdup(arena, d->size) : NULL };
    }
}

bool image_take(struct image *image, const char *id, const struct field_list *images, struct arena *arena,
                struct error *err)
{
    const struct ec2_image *row = choose(image, id, images);
    if (!row) {
        error_set(err, ERROR_CONFIG, 0, "--image: there is no image %s%s%s in %s", image->ref,
                  image->kind == IMAGE_SSM ? " = " : "", image->kind == IMAGE_SSM ? id : "", image->region);
        error_hint(err, "images are regional, and other accounts see them only if shared");
        return false;
    }
    if (!str_eq(row->state, "available")) {
        error_set(err, ERROR_CONFIG, 0, "--image: %s is %s, not available", row->id,
                  row->state ? row->state : "in no state");
        error_hint(err, "wait until it is, or give another");
        return false;
    }
    if (!str_empty(row->platform)) {
        error_set(err, ERROR_CONFIG, 0, "--image: %s is a %s image, and Mayfly runs Linux only", row->id,
                  row->platform);
        error_hint(err, "give an x86_64 or arm64 Linux image");
        return false;
    }
    if (!spec_runner_architecture(row->architecture)) {
        error_set(err, ERROR_CONFIG, 0, "--image: there is no runner for the architecture %s of %s",
                  row->architecture ? row->architecture : "(none)", row->id);
        error_hint(err, "give an x86_64 or arm64 Linux image");
        return false;
    }
    const struct ec2_instance tagged = { .tags = row->tags };
    image->id = arena_strdup(arena, row->id);
    image->architecture = arena_strdup(arena, row->architecture);
    image->root_device = str_empty(row->root_device) ? "/dev/sda1" : arena_strdup(arena, row->root_device);
    take_volumes(image, row, arena);
    const char *version = ec2_instance_tag(&tagged, TAG_RUNNER_VERSION);
    image->has_runner = version != NULL;
    image->runner_version = version ? arena_strdup(arena, version) : NULL;
    image->name = row->name ? arena_strdup(arena, row->name) : NULL;
    image->created = row->created ? arena_strdup(arena, row->created) : NULL;
    return true;
}

void plan_drop_images(struct plan *plan)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->n_images; i++)
        if (plan->images[i].id)
            plan->images[n++] = plan->images[i];
    plan->dropped = plan->dropped || n < plan->n_images;
    plan->n_images = n;
}

/* --- cells -------------------------------------------------------------------------------------------------------- */

static bool read_order(const struct strlist *order, size_t ret[static PLAN_DIMENSIONS], struct error *err)
{
    bool used[PLAN_DIMENSIONS] = { false };
    size_t n = 0;
    for (size_t i = 0; i < order->n; i++) {
        for (size_t d = 0; d < PLAN_DIMENSIONS; d++) {
            if (!str_eq(order->v[i], dimensions[d]))
                continue;
            if (used[d])
                return error_set(err, ERROR_USAGE, 0, "--order names %s twice", dimensions[d]);
            used[d] = true;
            ret[n++] = d;
        }
    }
    for (size_t d = 0; d < PLAN_DIMENSIONS; d++)
        if (!used[d])
            ret[n++] = d;
    return true;
}

static int by_order(const void *a, const void *b, void *order)
{
    const struct cell *x = a, *y = b;
    for (size_t i = 0; i < PLAN_DIMENSIONS; i++) {
        size_t d = ((const size_t *)order)[i];
        if (x->at[d] != y->at[d])
            return x->at[d] < y->at[d] ? -1 : 1;
    }
    return 0;
}

static size_t region_index(const struct plan *plan, const char *region)
{
    size_t i = 0;
    while (!str_eq(plan->regions.v[i], region))
        i++;
    return i;
}

static bool image_is_for(const struct image *image, const struct site *site)
{
    return str_eq(image->region, site->region) && (!site->image || str_eq(image->ref, site->image));
}

/* A type that no image fits is a mistake, and so is an image that no type fits. */
static bool check_fit(const struct plan *plan, const struct spec *s, struct error *err)
{
    for (size_t t = 0; t < s->types.n; t++) {
        const char *architecture = spec_type_architecture(s->types.v[t]);
        size_t i = 0;
        while (i < plan->n_images && !str_eq(plan->images[i].architecture, architecture))
            i++;
        if (i < plan->n_images)
            continue;
        error_set(err, ERROR_CONFIG, 0, "--types: %s is %s, and the image %s is %s", s->types.v[t], architecture,
                  plan->images[0].id, plan->images[0].architecture);
        error_hint(err, "give types of the image's architecture, or an image of theirs");
        return false;
    }
    for (size_t i = 0; i < plan->n_images; i++) {
        size_t t = 0;
        while (t < s->types.n && !str_eq(plan->images[i].architecture, spec_type_architecture(s->types.v[t])))
            t++;
        if (t < s->types.n)
            continue;
        error_set(err, ERROR_CONFIG, 0, "--image: %s is %s, and no type is", plan->images[i].id,
                  plan->images[i].architecture);
        error_hint(err, "add a type of that architecture to --types, or drop the image");
        return false;
    }
    return true;
}

bool plan_cells(struct plan *plan, const struct spec *s, struct error *err)
{
    size_t order[PLAN_DIMENSIONS];
    if (!read_order(&s->order, order, err) || (!plan->dropped && !check_fit(plan, s, err)))
        return false;
    size_t pairs = 0;
    for (size_t n = 0; n < plan->n_sites; n++)
        for (size_t i = 0; i < plan->n_images; i++)
            pairs += image_is_for(&plan->images[i], &plan->sites[n]);
    size_t most = s->market.n * s->types.n * pairs;
    if (most > CELLS_MAX)
        return error_set(err, ERROR_USAGE, 0, "the plan would have up to %zu places to try, more than %d", most,
                         CELLS_MAX);
    plan->cells = xcalloc(most, sizeof(*plan->cells));
    for (size_t m = 0; m < s->market.n; m++)
        for (size_t n = 0; n < plan->n_sites; n++)
            for (size_t i = 0; i < plan->n_images; i++)
                for (size_t t = 0; t < s->types.n; t++) {
                    const struct site *site = &plan->sites[n];
                    const struct image *image = &plan->images[i];
                    if (!image_is_for(image, site) ||
                        !str_eq(image->architecture, spec_type_architecture(s->types.v[t])))
                        continue;
                    plan->cells[plan->n++] = (struct cell){ .region = site->region,
                                                            .subnet = site->subnet,
                                                            .type = s->types.v[t],
                                                            .security_groups = &site->security_groups,
                                                            .image = image,
                                                            .spot = str_eq(s->market.v[m], "spot"),
                                                            .at = { [AT_MARKET] = m,
                                                                    [AT_REGION] = region_index(plan, site->region),
                                                                    [AT_IMAGE] = image->at,
                                                                    [AT_TYPE] = t,
                                                                    [AT_SUBNET] = n } };
                }
    if (plan->n == 0)
        return error_set(err, ERROR_USAGE, 0, "the plan is empty: no market, subnet, image and type fit together");
    qsort_r(plan->cells, plan->n, sizeof(*plan->cells), by_order, order);
    return true;
}

void plan_clear(struct plan *plan)
{
    strlist_clear(&plan->regions);
    strlist_clear(&plan->warnings);
    for (size_t i = 0; i < plan->n_sites; i++)
        strlist_clear(&plan->sites[i].security_groups);
    free(plan->sites);
    free(plan->images);
    free(plan->cells);
    arena_clear(&plan->arena);
    *plan = (struct plan){ 0 };
}

const char *cell_market(const struct cell *c)
{
    return c->spot ? "spot" : "on-demand";
}
