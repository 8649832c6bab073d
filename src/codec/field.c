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
