#include "mayfly/codec/xml.h"

#include <inttypes.h>
#include <libxml/xmlreader.h>

#include "mayfly/util/encode.h"
#include "mayfly/util/strbuf.h"

/* EC2 nests to 12; deeper is not EC2. */
enum { DEPTH_MAX = 32, PATH_MAX_LEN = 512 };

struct decoder {
    xmlTextReader *reader;
    struct arena *arena;
    const char *what;
    size_t began; /* what was in the arena before */
};

static void free_reader(xmlTextReader **reader)
{
    if (*reader)
        xmlFreeTextReader(*reader);
}

/* libxml2 would print to stderr. */
static void keep_quiet(void *arg UNUSED, const char *msg UNUSED, xmlParserSeverities severity UNUSED,
                       xmlTextReaderLocatorPtr locator UNUSED)
{
}

static xmlTextReader *open_reader(const char *bytes, size_t len)
{
    if (len == 0 || len > INT32_MAX)
        return NULL;
    xmlTextReader *reader = must(xmlReaderForMemory(bytes, (int)len, NULL, NULL, XML_PARSE_NONET));
    xmlTextReaderSetErrorHandler(reader, keep_quiet, NULL);
    return reader;
}

static bool malformed(const struct decoder *d, struct error *err)
{
    error_set(err, ERROR_PARSE, 0, "%s is not well-formed XML (near line %d)", d->what,
              xmlTextReaderGetParserLineNumber(d->reader));
    error_hint(err, "the answer was cut off or did not come from AWS: check the endpoint and any proxy in between");
    return false;
}

/* The next node, skipping what carries nothing. False on malformed input and at an early end. */
static bool next_node(const struct decoder *d, int *ret_type, struct error *err)
{
    if (xmlTextReaderRead(d->reader) != 1)
        return malformed(d, err);
    *ret_type = xmlTextReaderNodeType(d->reader);
    if (*ret_type == XML_READER_TYPE_DOCUMENT_TYPE)
        return error_set(err, ERROR_PARSE, 0, "%s has a document type declaration, which is refused", d->what);
    if (xmlTextReaderDepth(d->reader) > DEPTH_MAX)
        return error_set(err, ERROR_PARSE, 0, "%s is nested too deeply", d->what);
    return true;
}

static const struct field *find_field(const struct field *fields, const char *path)
{
    for (const struct field *f = fields; f && f->path; f++)
        if (str_eq(f->path, path))
            return f;
    return NULL;
}

static bool store(const struct decoder *d, const struct field *f, void *out, const char *text, struct error *err)
{
    void *at = (char *)out + f->offset;
    switch (f->type) {
    case FIELD_STR:
    case FIELD_TEXT:
        if (!form_is(f->form, text))
            return true;
        *(const char **)at = arena_strdup(d->arena, text);
        return true;
    case FIELD_BOOL:
        *(bool *)at = str_eq(text, "true");
        return true;
    case FIELD_INT: {
        uint64_t n;
        if (!parse_uint(text, INT64_MAX, &n))
            return error_set(err, ERROR_PARSE, 0, "%s: <%s> is not a number", d->what, f->path);
        *(int64_t *)at = (int64_t)n;
        return true;
    }
    case FIELD_ID:
    case FIELD_LIST:
        break;
    }
    return true;
}

static bool close_leaf(const struct decoder *d, const struct field *leaf, void *out, const char *text,
                       struct error *err)
{
    if (leaf->type != FIELD_LIST)
        return store(d, leaf, out, text, err);
    if (form_is(leaf->form, text))
        *(const char **)field_list_add((void *)((char *)out + leaf->offset), leaf->item_size, d->arena) =
            arena_strdup(d->arena, text);
    return true;
}

/* Reads the element the reader stands on, to its end tag, into out. */
static bool decode_element(const struct decoder *d, const struct field *fields, void *out, struct error *err)
{
    AUTO_STRBUF path = STRBUF_MAX(PATH_MAX_LEN);
    AUTO_STRBUF text = STRBUF_INIT;
    const struct field *leaf = NULL; /* of the element that is open, if nothing was in it but text */
    const int base = xmlTextReaderDepth(d->reader);
    if (xmlTextReaderIsEmptyElement(d->reader))
        return true;
    for (;;) {
        int type;
        if (!next_node(d, &type, err))
            return false;
        if (arena_size(d->arena) - d->began > FIELD_DECODED_MAX)
            return error_set(err, ERROR_PARSE, 0, "%s holds more than %d bytes", d->what, FIELD_DECODED_MAX);
        if (type == XML_READER_TYPE_END_ELEMENT && xmlTextReaderDepth(d->reader) == base)
            return true;
        if (type == XML_READER_TYPE_TEXT || type == XML_READER_TYPE_CDATA) {
            strbuf_adds(&text, (const char *)xmlTextReaderConstValue(d->reader));
        } else if (type == XML_READER_TYPE_ELEMENT) {
            size_t parent = path.len;
            bool empty = xmlTextReaderIsEmptyElement(d->reader);
            strbuf_truncate(&text, 0);
            if (parent)
                strbuf_addc(&path, '/');
            strbuf_adds(&path, (const char *)xmlTextReaderConstLocalName(d->reader));
            if (path.overflow)
                return error_set(err, ERROR_PARSE, 0, "%s has element names that are too long", d->what);
            const struct field *f = find_field(fields, strbuf_str(&path));
            bool rows = f && f->type == FIELD_LIST && f->items;
            leaf = empty || rows ? NULL : f;
            if (rows) {
                void *row = field_list_add((void *)((char *)out + f->offset), f->item_size, d->arena);
                if (!decode_element(d, f->items, row, err))
                    return false;
                strbuf_truncate(&path, parent);
            } else if (empty) {
                if (f && f->type != FIELD_INT && f->type != FIELD_LIST && !store(d, f, out, "", err))
                    return false;
                strbuf_truncate(&path, parent);
            }
        } else if (type == XML_READER_TYPE_END_ELEMENT) {
            if (leaf && !close_leaf(d, leaf, out, strbuf_str(&text), err))
                return false;
            leaf = NULL;
            strbuf_truncate(&text, 0);
            const char *slash = strrchr(strbuf_str(&path), '/');
            strbuf_truncate(&path, slash ? (size_t)(slash - path.data) : 0);
        }
    }
}

/* libxml2 keeps each name that it meets, and the attributes of an element. */
static bool is_small(const char *bytes, size_t len)
{
    size_t elements = 0, attributes = 0;
    for (size_t i = 0; i < len; i++) {
        elements += bytes[i] == '<' && i + 1 < len && bytes[i + 1] != '/';
        attributes += (bytes[i] == '"' || bytes[i] == '\'') && i > 0 && (bytes[i - 1] == '=' || bytes[i - 1] == ' ');
    }
    return elements <= XML_ELEMENTS_MAX && attributes <= XML_ATTRIBUTES_MAX;
}

bool xml_decode(const char *bytes, size_t len, const char *root, const struct field *fields, void *out,
                struct arena *arena, const char *what, struct error *err)
{
    CLEANUP(free_reader) xmlTextReader *reader = open_reader(bytes, len);
    struct decoder d = { .reader = reader, .arena = arena, .what = what, .began = arena_size(arena) };
    if (reader && !is_small(bytes, len))
        return error_set(err, ERROR_PARSE, 0, "%s has more than %d elements or %d attributes", what, XML_ELEMENTS_MAX,
                         XML_ATTRIBUTES_MAX);
    if (!reader) {
        error_set(err, ERROR_PARSE, 0, "%s is empty", what);
        error_hint(err, "check the endpoint and any proxy in between");
        return false;
    }
    int type;
    do {
        if (!next_node(&d, &type, err))
            return false;
    } while (type != XML_READER_TYPE_ELEMENT);
    const char *name = (const char *)xmlTextReaderConstLocalName(reader);
    if (root && !str_eq(name, root)) {
        error_set(err, ERROR_PARSE, 0, "%s is a <%s>, not a <%s>", what, name, root);
        error_hint(err, "check the endpoint: the answer did not come from AWS");
        return false;
    }
    if (!decode_element(&d, fields, out, err))
        return false;
    /* Reading on proves that nothing follows the root element. */
    int more;
    while ((more = xmlTextReaderRead(reader)) == 1)
        ;
    return more == 0 ? true : malformed(&d, err);
}

const char *xml_root_name(const char *bytes, size_t len, struct arena *arena)
{
    CLEANUP(free_reader) xmlTextReader *reader = open_reader(bytes, len);
    while (reader && xmlTextReaderRead(reader) == 1) {
        if (xmlTextReaderNodeType(reader) == XML_READER_TYPE_DOCUMENT_TYPE)
            return NULL;
        if (xmlTextReaderNodeType(reader) == XML_READER_TYPE_ELEMENT)
            return arena_strdup(arena, (const char *)xmlTextReaderConstLocalName(reader));
    }
    return NULL;
}
