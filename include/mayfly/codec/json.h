/* Decoding of JSON by field tables, over json-c. Pure. */
#ifndef MAYFLY_CODEC_JSON_H
#define MAYFLY_CODEC_JSON_H

#include <json-c/json.h>

#include "mayfly/codec/field.h"
#include "mayfly/util/strbuf.h"

enum { JSON_MEMORY_MAX = 32 << 20 }; /* bytes that a parsed text may take */

#define AUTO_JSON CLEANUP(json_put) struct json_object

/* For AUTO_JSON: drops one reference. */
void json_put(struct json_object **object);

/* Parses a whole text, an object, a list or a string; the caller owns *ret. `what` names it in errors ("the answer to
 * GET /repos/…/runners"). */
MUST_CHECK bool json_parse(const char *bytes, size_t len, const char *what, struct json_object **ret,
                           struct error *err);

/* The same of an option's value, whose error is ERROR_USAGE: what \u escapes write is checked as what stands there. */
MUST_CHECK bool json_parse_option(const char *text, const char *what, struct json_object **ret, struct error *err);

/* A string, a number or a boolean as text, as JavaScript's String() makes it, which is what AWS's SDK for it sends;
 * whole numbers stay exact. Owned; NULL: it is an object, a list or null. */
char *json_as_text(struct json_object *value);

/* Fills out from an object. A path that ends in a JSON array gives FIELD_LIST rows; a value of another type than the
 * table says is an error that names the path; absent and null leave zero, or are an error when required. */
MUST_CHECK bool json_decode(struct json_object *object, const struct field *fields, void *out, struct arena *arena,
                            const char *what, struct error *err);

/* json_parse and json_decode in one. */
MUST_CHECK bool json_decode_text(const char *bytes, size_t len, const struct field *fields, void *out,
                                 struct arena *arena, const char *what, struct error *err);

/* For what a person wrote: a member that no path of the table begins with is refused when it looks like a misspelled
 * one; any other adds a sentence to *warnings (which may be NULL). */
MUST_CHECK bool json_check_members(struct json_object *object, const struct field *fields, const char *what,
                                   struct strlist *warnings, struct error *err);

#endif
