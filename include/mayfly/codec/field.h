/* One table of fields per decoded thing; xml.h and json.h fill structs from it.
 *
 * A path names elements or members from the thing inwards, joined by `/`: "placement/availabilityZone". Names of list
 * items count in XML ("tagSet/item") and are left out in JSON ("labels"). What the table does not name is skipped.
 * Strings and rows live in the arena that the decoder is given. */
#ifndef MAYFLY_CODEC_FIELD_H
#define MAYFLY_CODEC_FIELD_H

#include "mayfly/util/arena.h"
#include "mayfly/util/error.h"

enum field_type {
    FIELD_STR,  /* const char *; NULL when absent or null */
    FIELD_TEXT, /* the same, and JSON's numbers and booleans as text: for what a person wrote */
    FIELD_INT,  /* int64_t */
    FIELD_ID,   /* int64_t, from 1 to FIELD_ID_MAX: the number of a thing; JSON only */
    FIELD_BOOL, /* bool */
    FIELD_LIST, /* struct field_list of rows */
};

/* What a string of a server's may look like, so that what is printed or sent on holds no other characters. A string
 * that has not its form is absent in XML, and an error in JSON. */
enum form {
    FORM_ANY,      /* what a person may have chosen: it is only compared, or cleaned where it is printed */
    FORM_INSTANCE, /* "i-" and letters, digits, dashes; and so on */
    FORM_IMAGE,
    FORM_SNAPSHOT,
    FORM_VOLUME,
    FORM_SPOT_REQUEST,
    FORM_SUBNET,
    FORM_VPC,
    FORM_GROUP,
    FORM_ADDRESSES, /* "10.0.0.0/8", "2001:db8::/32" */
    FORM_ZONE,      /* "us-east-1a", "us-west-2-lax-1a" */
    FORM_TYPE,      /* "m7i.large", "u-6tb1.metal" */
    FORM_WORD,      /* "running", "in_progress", "Server.InternalError" */
    FORM_TIME,      /* "2026-01-31T01:02:03.000Z" */
    FORM_KEY,       /* "alias/aws/ebs", "arn:aws:kms:us-east-1:123456789012:key/1234abcd" */
};

MUST_CHECK bool form_is(enum form form, const char *s);

struct field {
    const char *path; /* NULL ends a table */
    enum field_type type;
    size_t offset;
    bool required;             /* absent or null is an error; JSON only, XML omits what is empty */
    const struct field *items; /* FIELD_LIST: the table of one row; NULL: rows are strings (const char *) */
    size_t item_size;          /* FIELD_LIST: sizeof one row */
    enum form form;            /* of a string; in XML also of the strings of a list */
};

/* A row, by its type. The file defines FIELDS, the struct of the members. */
#define F_ROW(type_, path_, member_)                                                                                   \
    {                                                                                                                  \
        .path = (path_), .type = (type_), .offset = offsetof(FIELDS, member_)                                          \
    }
#define F_STR(path_, member_) F_ROW(FIELD_STR, path_, member_)
#define F_INT(path_, member_) F_ROW(FIELD_INT, path_, member_)
#define F_BOOL(path_, member_) F_ROW(FIELD_BOOL, path_, member_)
#define F_REQUIRED(type_, path_, member_)                                                                              \
    {                                                                                                                  \
        .path = (path_), .type = (type_), .offset = offsetof(FIELDS, member_), .required = true                        \
    }
/* A list of strings. */
#define F_STRINGS(path_, member_)                                                                                      \
    {                                                                                                                  \
        .path = (path_), .type = FIELD_LIST, .offset = offsetof(FIELDS, member_), .item_size = sizeof(const char *)    \
    }

struct field_list { /* zero: empty */
    void *rows;
    size_t n;
    size_t size; /* of the allocation, in rows */
};

#define FIELD_ID_MAX (INT64_C(1) << 53) /* what every reader of JSON keeps exact */

enum { FIELD_DECODED_MAX = 16 << 20 }; /* bytes of strings and rows that one answer becomes */

/* Row i as a pointer to `type`. */
#define FIELD_ROW(list, type, i) (&((type *)(list)->rows)[i])

/* Appends a zeroed row and returns it; earlier row pointers become stale. */
void *field_list_add(struct field_list *list, size_t item_size, struct arena *arena);

#endif
