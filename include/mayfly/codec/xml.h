/* Decoding of AWS's XML answers by field tables, over libxml2's xmlTextReader. Pure.
 *
 * Names are matched without their namespace. A document type declaration is refused: no answer of AWS has one. */
#ifndef MAYFLY_CODEC_XML_H
#define MAYFLY_CODEC_XML_H

#include "mayfly/codec/field.h"

enum { XML_ELEMENTS_MAX = 200000, XML_ATTRIBUTES_MAX = 20000 }; /* of an answer; 200 instances have 60,000 and none */

/* Decodes one document. Paths of `fields` are relative to the root element. When `root` is not NULL the root element
 * must have that name. `what` names the document in errors ("the answer to DescribeInstances"). */
MUST_CHECK bool xml_decode(const char *bytes, size_t len, const char *root, const struct field *fields, void *out,
                           struct arena *arena, const char *what, struct error *err);

/* The name of the root element, in the arena; NULL when the bytes do not begin with one. */
const char *xml_root_name(const char *bytes, size_t len, struct arena *arena);

#endif
