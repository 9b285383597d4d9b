/// What Baton's checksums must equal: the xxHash library of the system (Debian: libxxhash-dev).
#pragma once

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// XXH3_64bits of xxhash.h; `data` may be null only where `count` is 0.
uint64_t xxhash_xxh3_64bits(const void *_Nullable data, size_t count);

#pragma clang assume_nonnull end
