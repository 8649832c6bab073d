/* Hexadecimal, base64, base32 and percent encoding; pure. */
#ifndef MAYFLY_UTIL_ENCODE_H
#define MAYFLY_UTIL_ENCODE_H

#include "mayfly/util/strbuf.h"

/* Lower-case hexadecimal. */
void encode_hex(struct strbuf *out, const void *bytes, size_t len);

/* RFC 4648 section 4, padded. */
void encode_base64(struct strbuf *out, const void *bytes, size_t len);
/* RFC 4648 section 5, without padding: as JSON web tokens are written. */
void encode_base64url(struct strbuf *out, const void *bytes, size_t len);
/* Decodes RFC 4648 section 4. Blanks and line breaks between characters are skipped; padding is required.
 * False, with nothing appended, for anything else. */
MUST_CHECK bool decode_base64(struct strbuf *out, const char *s, size_t len);

/* RFC 3986: all but A-Z a-z 0-9 - _ . ~ becomes %XX with upper-case digits, as SigV4 wants it. */
void encode_percent(struct strbuf *out, const char *s);

/* len characters of a-z2-7 (RFC 4648 base32, lower case), taken from random bytes. */
void encode_random32(struct strbuf *out, const uint8_t *random, size_t len);

/* Lower-case base 36 of n. */
void encode_base36(struct strbuf *out, uint64_t n);
/* 1 to 12 digits of base 36, lower case. False for anything else. */
MUST_CHECK bool decode_base36(const char *s, uint64_t *ret);

/* A decimal number without sign or blanks, of at most `max`. False for anything else. */
MUST_CHECK bool parse_uint(const char *s, uint64_t max, uint64_t *ret);
/* true, yes, on, 1; false, no, off, 0; in any case. False for anything else. */
MUST_CHECK bool parse_bool(const char *s, bool *ret);

#endif
