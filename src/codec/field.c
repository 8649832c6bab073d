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
    [FORM_VPC] = { "vpc-", LOWER DIGITS "-" },
    [FORM_GROUP] = { "sg-", LOWER DIGITS "-" },
    [FORM_ADDRESSES] = { "", LOWER DIGITS ".:/" },
    [FORM_ZONE] = { "", LOWER DIGITS "-" },
    [FORM_TYPE] = { "", LOWER DIGITS ".-" },
    [FORM_WORD] = { "", LOWER DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZ_.-" },
    [FORM_KEY] = { "", LOWER DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZ_:/-" },
    [FORM_TIME] = { "", DIGITS "TZ:.+-" },
};

enum { FORM_LENGTH = 64, KEY_LENGTH = 2048 };

bool form_is(enum form form, const char *s)
{
    if (form == FORM_ANY)
        return true;
    const size_t n = strlen(forms[form].prefix), len = strlen(s);
    return str_starts(s, forms[form].prefix) && len > n && len <= (form == FORM_KEY ? KEY_LENGTH : FORM_LENGTH) &&
           s[n + strspn(s + n, forms[form].set)] == '\0';
}
