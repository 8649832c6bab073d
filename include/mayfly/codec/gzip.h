/* gzip (RFC 1952), by zlib. Pure. */
#ifndef MAYFLY_CODEC_GZIP_H
#define MAYFLY_CODEC_GZIP_H

#include "mayfly/util/strbuf.h"

/* Appends the bytes, compressed as well as zlib can; the same bytes always give the same, without a date in them. */
void gzip_compress(struct strbuf *out, const void *bytes, size_t len);
/* Do they begin like gzip's? */
bool gzip_is(const void *bytes, size_t len);
/* Appends what one gzip member holds, at most to the ceiling of the buffer. False when it is malformed, cut, or more.
 */
MUST_CHECK bool gzip_decompress(struct strbuf *out, const void *bytes, size_t len);

#endif
