#include "mayfly/codec/gzip.h"

#define ZLIB_CONST
#include <zlib.h>

enum { WINDOW = 15, GZIP = 16 /* added to the window: gzip's header, not zlib's */, MEM_LEVEL = 9, CHUNK = 16384 };

/* What is compressed here has kilobytes, so that the 32 bits of zlib's lengths are no limit. */
static void set_input(z_stream *z, const void *bytes, size_t len)
{
    z->next_in = bytes;
    z->avail_in = len < UINT32_MAX ? (uInt)len : UINT32_MAX;
}

void gzip_compress(struct strbuf *out, const void *bytes, size_t len)
{
    z_stream z = { 0 };
    int status;
    if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, WINDOW + GZIP, MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        oom();
    set_input(&z, bytes, len);
    do {
        unsigned char chunk[CHUNK];
        z.next_out = chunk;
        z.avail_out = sizeof(chunk);
        status = deflate(&z, Z_FINISH);
        strbuf_add(out, chunk, sizeof(chunk) - z.avail_out);
    } while (status == Z_OK);
    deflateEnd(&z);
}

bool gzip_is(const void *bytes, size_t len)
{
    return len >= 2 && memcmp(bytes, "\x1f\x8b", 2) == 0;
}

bool gzip_decompress(struct strbuf *out, const void *bytes, size_t len)
{
    z_stream z = { 0 };
    int status;
    if (inflateInit2(&z, WINDOW + GZIP) != Z_OK)
        oom();
    set_input(&z, bytes, len);
    do {
        unsigned char chunk[CHUNK];
        z.next_out = chunk;
        z.avail_out = sizeof(chunk);
        status = inflate(&z, Z_NO_FLUSH);
        strbuf_add(out, chunk, sizeof(chunk) - z.avail_out);
    } while (status == Z_OK && !out->overflow);
    inflateEnd(&z);
    return status == Z_STREAM_END && !out->overflow;
}
