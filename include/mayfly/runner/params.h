/* The launch options that become parameters of RunInstances, or tags, or packages. Pure. */
#ifndef MAYFLY_RUNNER_PARAMS_H
#define MAYFLY_RUNNER_PARAMS_H

#include "mayfly/runner/spec.h"

/* The parameters of RunInstances that the options ask for beside the cell, as name, value, name, value, …: volumes,
 * metadata options, placement, price. root_device: of the image; it is what the options of the volume are about, unless
 * --device-name names another. volumes: struct ec2_image_device, those that the image would keep, or NULL. Volumes
 * always go with their instance, also those of an image that says otherwise. */
MUST_CHECK bool params_make(const struct spec *s, const char *root_device, const struct field_list *volumes,
                            struct strlist *ret, struct error *err);

/* Adds the keys that params_make's volumes are encrypted with, each once, as they were given; "" for the account's
 * default key. */
void params_keys(const struct strlist *params, struct strlist *ret);

/* --tags, as KEY=VALUE,… or as AWS's JSON list of Key and Value, in the arena. warnings: takes a sentence for each part
 * that is ignored; may be NULL. */
MUST_CHECK bool params_tags(const struct spec *s, struct arena *arena, struct field_list *ret, struct strlist *warnings,
                            struct error *err);

/* --packages, as a list or as a JSON list. */
MUST_CHECK bool params_packages(const struct spec *s, struct strlist *ret, struct error *err);

#endif
