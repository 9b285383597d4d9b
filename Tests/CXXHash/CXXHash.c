#include "CXXHash.h"

// All of the library is in its header; nothing is linked.
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t xxhash_xxh3_64bits(const void *data, size_t count) {
    return XXH3_64bits(data, count);
}
