#include <string.h>

#include "checksum.h"

void ck_copy_past_caches(void *target, const void *source, size_t count) {
    uint8_t *to = target;
    const uint8_t *from = source;
    size_t head = -(uintptr_t)to % CK_STRIPE_BYTES;
    if (head > count) head = count;
    memcpy(to, from, head);
    to += head;
    from += head;
    count -= head;
    size_t stripes = count / CK_STRIPE_BYTES, whole = stripes * CK_STRIPE_BYTES;
    ck_stripes_for(ck_fastest_path())->copy((char *)to, (const char *)from, stripes);
    memcpy(to + whole, from + whole, count - whole);
    // Other threads must not hear of these bytes, by a later store, before they see them.
    ck_fence_past_caches();
}
