#include "mayfly/codec/field.h"

void *field_list_add(struct field_list *list, size_t item_size, struct arena *arena)
{
    if (list->n == list->size) {
        size_t size = list->size ? list->size * 2 : 4;
        void *rows = arena_alloc(arena, size * item_size);
        if (list->n)
            memcpy(rows, list->rows, list->n * item_size);
        list->rows = rows;
        list->size = size;
    }
    return (char *)list->rows + list->n++ * item_size;
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

static const struct {
    const char *prefix, *set; /* set: of what follows the prefix */
} forms[] = {
    [FORM_INSTANCE] = { "i-", LOWER DIGITS "-" },
    [FORM_IMAGE] = { "ami-", LOWER DIGITS "-" },
    [FORM_SNAPSHOT] = { "snap-", LOWER DIGITS "-" },
    [FORM_VOLUME] = { "vol-", LOWER DIGITS "-" },
    [FORM_SPOT_REQUEST] = { "sir-", LOWER DIGITS "-" },
    [FORM_SUBNET] = { "subnet-", LOWER DIGITS "-" },
    [FORM_ZONE] = { "", LOWER DIGITS "-" },
    [FORM_TYPE] = { "", LOWER DIGITS ".-" },
    [FORM_WORD] = { "", LOWER DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZ_.-" },
    [FORM_TIME] = { "", DIGITS "TZ:.+-" },
};

enum { FORM_LENGTH = 64, NAME_LENGTH = 255 };

/* C0, DEL, and C1 as UTF-8 has it. */
static bool has_control(const char *s)
{
    for (const unsigned char *p = (const unsigned char *)s; *p; p++)
        if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
            return true;
    return false;
}

bool form_is(enum form form, const char *s)
{
    if (form == FORM_ANY)
        return true;
    if (form == FORM_NAME)
        return strlen(s) <= NAME_LENGTH && !has_control(s);
    const size_t n = strlen(forms[form].prefix), len = strlen(s);
    return str_starts(s, forms[form].prefix) && len > n && len <= FORM_LENGTH &&
           s[n + strspn(s + n, forms[form].set)] == '\0';
}
