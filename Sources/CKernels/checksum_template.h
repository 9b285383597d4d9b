/// XXH3's lanes and copies, in vectors of one stripe; included by each path inside its target
/// attribute.
#include "checksum.h"
#include "vectors.h"

typedef uint64_t ck_lanes __attribute__((vector_size(64)));

/// What becomes of a stripe beside its part in the checksum.
typedef enum { STAYS, IS_STORED, IS_STORED_PAST_CACHES } ck_fate;

/// How far ahead of a copy its source is fetched: measured as good from half to twice as much.
enum { PREFETCH_BYTES = 1024 };

CK_INLINE ck_lanes load_stripe(const void *source) {
    ck_lanes result;
    memcpy(&result, source, sizeof result);
    return result;
}

CK_INLINE void store_stripe(char *to, ck_lanes stripe, ck_fate fate) {
    if (fate == IS_STORED_PAST_CACHES) {
        __builtin_nontemporal_store(stripe, (ck_lanes *)to);
    } else if (fate == IS_STORED) {
        memcpy(to, &stripe, sizeof stripe);
    }
}

CK_INLINE void prefetch(const char *from) {
    // A prefetch past the end does nothing, so the address need not be in the source.
    __builtin_prefetch((const char *)((uintptr_t)from + PREFETCH_BYTES));
}

/// XXH3's accumulation of one stripe; `place` counts in its round.
CK_INLINE ck_lanes accumulated(ck_lanes lanes, ck_lanes stripe, size_t place) {
    ck_lanes keyed = stripe ^ load_stripe(ck_secret + 8 * place);
    lanes += __builtin_shufflevector(stripe, stripe, 1, 0, 3, 2, 5, 4, 7, 6);
    return lanes + (keyed & UINT32_MAX) * (keyed >> 32);
}

/// XXH3's scrambling at the end of a round.
CK_INLINE ck_lanes scrambled(ck_lanes lanes) {
    lanes ^= lanes >> 47;
    lanes ^= load_stripe(ck_secret + CK_SECRET_BYTES - CK_STRIPE_BYTES);
    return lanes * UINT32_C(0x9E3779B1);
}

CK_INLINE void take_stripes(uint64_t *state, size_t place, char *to, const char *from,
                            size_t count, ck_fate fate) {
    ck_lanes lanes = load_stripe(state);
    while (count > 0) {
        size_t some = place == 0 && count >= CK_ROUND_STRIPES ? CK_ROUND_STRIPES : 1;
        if (some == CK_ROUND_STRIPES) {
#pragma clang loop unroll(full)
            for (size_t i = 0; i < CK_ROUND_STRIPES; i++) {
                ck_lanes stripe = load_stripe(from + i * CK_STRIPE_BYTES);
                if (fate != STAYS) prefetch(from + i * CK_STRIPE_BYTES);
                store_stripe(to + i * CK_STRIPE_BYTES, stripe, fate);
                lanes = accumulated(lanes, stripe, i);
            }
        } else {
            ck_lanes stripe = load_stripe(from);
            store_stripe(to, stripe, fate);
            lanes = accumulated(lanes, stripe, place);
        }
        place += some;
        if (place == CK_ROUND_STRIPES) {
            lanes = scrambled(lanes);
            place = 0;
        }
        from += some * CK_STRIPE_BYTES;
        if (fate != STAYS) to += some * CK_STRIPE_BYTES;
        count -= some;
    }
    memcpy(state, &lanes, sizeof lanes);
}

static void hash_stripes(uint64_t lanes[8], size_t first, const char *from, size_t count) {
    char nowhere;
    take_stripes(lanes, first, &nowhere, from, count, STAYS);
}

static void copy_stripes_hashed(uint64_t lanes[8], char *to, const char *from, size_t count,
                                bool past_caches) {
    if (past_caches) {
        take_stripes(lanes, 0, to, from, count, IS_STORED_PAST_CACHES);
    } else {
        take_stripes(lanes, 0, to, from, count, IS_STORED);
    }
}

static void copy_stripes(char *to, const char *from, size_t count) {
#pragma clang loop unroll_count(4)
    for (size_t i = 0; i < count; i++) {
        ck_lanes stripe = load_stripe(from + i * CK_STRIPE_BYTES);
        prefetch(from + i * CK_STRIPE_BYTES);
        store_stripe(to + i * CK_STRIPE_BYTES, stripe, IS_STORED_PAST_CACHES);
    }
}

static const struct ck_stripe_kernels stripe_kernels = {
    .hash = hash_stripes,
    .copy_hashed = copy_stripes_hashed,
    .copy = copy_stripes,
};
