/// XXH3 with 64 bits, as Yann Collet's specification has it, with seed 0 and the default secret:
/// https://github.com/Cyan4973/xxHash (BSD 2-clause), doc/xxhash_spec.md.
///
/// Names of constants and steps are the specification's.
#include "checksum.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "XXH3 reads little-endian numbers");

#define PRIME32_1 UINT32_C(0x9E3779B1)
#define PRIME32_2 UINT32_C(0x85EBCA77)
#define PRIME32_3 UINT32_C(0xC2B2AE3D)
#define PRIME64_1 UINT64_C(0x9E3779B185EBCA87)
#define PRIME64_2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define PRIME64_3 UINT64_C(0x165667B19E3779F9)
#define PRIME64_4 UINT64_C(0x85EBCA77C2B2AE63)
#define PRIME64_5 UINT64_C(0x27D4EB2F165667C5)
#define PRIME_MX1 UINT64_C(0x165667919E3779F9)
#define PRIME_MX2 UINT64_C(0x9FB21C651E98DF25)

/// Up to here XXH3 has rules of its own, by length; above, everything goes through stripes.
enum { LONGEST_SHORT_INPUT = 240 };

_Static_assert(CK_CHECKSUM_BUFFER_BYTES >= LONGEST_SHORT_INPUT
                   && CK_CHECKSUM_BUFFER_BYTES % CK_STRIPE_BYTES == 0,
               "the buffer holds every input that has its own rules, and whole stripes");

_Alignas(64) const uint8_t ck_secret[CK_SECRET_BYTES] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

static const uint64_t initial_lanes[8] = {PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3,
                                          PRIME64_4, PRIME32_2, PRIME64_5, PRIME32_1};

static uint32_t read32(const uint8_t *from) {
    uint32_t result;
    memcpy(&result, from, sizeof result);
    return result;
}

static uint64_t read64(const uint8_t *from) {
    uint64_t result;
    memcpy(&result, from, sizeof result);
    return result;
}

static uint64_t rotated(uint64_t value, int bits) {
    return value << bits | value >> (64 - bits);
}

/// Both halves of the product, folded into one.
static uint64_t folded_product(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t avalanche(uint64_t value) {
    value ^= value >> 37;
    value *= PRIME_MX1;
    return value ^ value >> 32;
}

static uint64_t avalanche_of_xxh64(uint64_t value) {
    value ^= value >> 33;
    value *= PRIME64_2;
    value ^= value >> 29;
    value *= PRIME64_3;
    return value ^ value >> 32;
}

/// 16 bytes of the input under 16 bytes of the secret.
static uint64_t mixed(const uint8_t *data, size_t secret) {
    return folded_product(read64(data) ^ read64(ck_secret + secret),
                          read64(data + 8) ^ read64(ck_secret + secret + 8));
}

static uint64_t of_1_to_3(const uint8_t *data, size_t count) {
    uint32_t combined = (uint32_t)data[0] << 16 | (uint32_t)data[count >> 1] << 24
        | (uint32_t)data[count - 1] | (uint32_t)count << 8;
    return avalanche_of_xxh64(combined ^ (read32(ck_secret) ^ read32(ck_secret + 4)));
}

static uint64_t of_4_to_8(const uint8_t *data, size_t count) {
    uint64_t value = (uint64_t)read32(data) << 32 | read32(data + count - 4);
    value ^= read64(ck_secret + 8) ^ read64(ck_secret + 16);
    value ^= rotated(value, 49) ^ rotated(value, 24);
    value *= PRIME_MX2;
    value ^= (value >> 35) + count;
    value *= PRIME_MX2;
    return value ^ value >> 28;
}

static uint64_t of_9_to_16(const uint8_t *data, size_t count) {
    uint64_t low = read64(data) ^ read64(ck_secret + 24) ^ read64(ck_secret + 32);
    uint64_t high = read64(data + count - 8) ^ read64(ck_secret + 40) ^ read64(ck_secret + 48);
    return avalanche(count + __builtin_bswap64(low) + high + folded_product(low, high));
}

static uint64_t of_17_to_128(const uint8_t *data, size_t count) {
    uint64_t sum = count * PRIME64_1;
    // Pairs of 16 bytes, from both ends inwards.
    for (size_t i = 0; i <= (count - 1) / 32; i++) {
        sum += mixed(data + 16 * i, 32 * i);
        sum += mixed(data + count - 16 * (i + 1), 32 * i + 16);
    }
    return avalanche(sum);
}

static uint64_t of_129_to_240(const uint8_t *data, size_t count) {
    uint64_t sum = count * PRIME64_1;
    for (size_t i = 0; i < 8; i++) sum += mixed(data + 16 * i, 16 * i);
    sum = avalanche(sum);
    for (size_t i = 8; i < count / 16; i++) sum += mixed(data + 16 * i, 16 * (i - 8) + 3);
    sum += mixed(data + count - 16, 136 - 17);
    return avalanche(sum);
}

static uint64_t of_short_input(const uint8_t *data, size_t count) {
    if (count == 0) return avalanche_of_xxh64(read64(ck_secret + 56) ^ read64(ck_secret + 64));
    if (count <= 3) return of_1_to_3(data, count);
    if (count <= 8) return of_4_to_8(data, count);
    if (count <= 16) return of_9_to_16(data, count);
    if (count <= 128) return of_17_to_128(data, count);
    return of_129_to_240(data, count);
}

/// Whole stripes that go into the lanes one after the other; at least one byte stays behind them.
static size_t stripes_before_last(size_t count) {
    return (count - 1) / CK_STRIPE_BYTES;
}

/// The checksum of `count` bytes whose stripes are in the lanes but for the last 64 bytes, `last`.
static uint64_t finished(const uint64_t lanes[8], const uint8_t *last, uint64_t count) {
    uint64_t sums[8];
    memcpy(sums, lanes, sizeof sums);
    for (size_t i = 0; i < 8; i++) {
        uint64_t data = read64(last + 8 * i);
        uint64_t keyed = data ^ read64(ck_secret + CK_SECRET_BYTES - CK_STRIPE_BYTES - 7 + 8 * i);
        sums[i ^ 1] += data;
        sums[i] += (keyed & UINT32_MAX) * (keyed >> 32);
    }
    uint64_t result = count * PRIME64_1;
    for (size_t i = 0; i < 8; i += 2) {
        result += folded_product(sums[i] ^ read64(ck_secret + 11 + 8 * i),
                                 sums[i + 1] ^ read64(ck_secret + 19 + 8 * i));
    }
    return avalanche(result);
}

uint64_t ck_checksum(ck_path path, const void *data, size_t count) {
    if (count <= LONGEST_SHORT_INPUT) return of_short_input(data, count);
    uint64_t lanes[8];
    memcpy(lanes, initial_lanes, sizeof lanes);
    ck_stripes_for(path)->hash(lanes, 0, data, stripes_before_last(count));
    return finished(lanes, (const uint8_t *)data + count - CK_STRIPE_BYTES, count);
}

ck_checksum_state ck_checksum_begin(void) {
    ck_checksum_state state = {0};
    memcpy(state.lanes, initial_lanes, sizeof state.lanes);
    return state;
}

static void take(const struct ck_stripe_kernels *kernels, ck_checksum_state *state,
                 const uint8_t *data, size_t count) {
    kernels->hash(state->lanes, state->place, (const char *)data, count);
    state->place = (state->place + count) % CK_ROUND_STRIPES;
}

static void hold(ck_checksum_state *state, const uint8_t *data, size_t count) {
    memcpy(state->buffer + state->held, data, count);
    state->held += count;
}

void ck_checksum_feed(ck_path path, ck_checksum_state *state, const void *data, size_t count) {
    const struct ck_stripe_kernels *kernels = ck_stripes_for(path);
    const uint8_t *from = data;
    state->count += count;
    if (count <= CK_CHECKSUM_BUFFER_BYTES - state->held) {
        hold(state, from, count);
        return;
    }
    // From here on there are more bytes than the buffer holds, so that the lanes are used. The last
    // 64 bytes stay out of them, in the buffer, until more has come.
    size_t missing = -state->held % CK_STRIPE_BYTES;
    hold(state, from, missing);
    from += missing;
    count -= missing;
    size_t stripes = state->held / CK_STRIPE_BYTES;
    if (count < CK_STRIPE_BYTES) {
        take(kernels, state, state->buffer, stripes - 1);
        memcpy(state->buffer, state->buffer + (stripes - 1) * CK_STRIPE_BYTES, CK_STRIPE_BYTES);
        state->held = CK_STRIPE_BYTES;
    } else {
        take(kernels, state, state->buffer, stripes);
        state->held = 0;
        stripes = (count - CK_STRIPE_BYTES) / CK_STRIPE_BYTES;
        take(kernels, state, from, stripes);
        from += stripes * CK_STRIPE_BYTES;
        count -= stripes * CK_STRIPE_BYTES;
    }
    hold(state, from, count);
}

uint64_t ck_checksum_finish(ck_path path, const ck_checksum_state *state) {
    if (state->count <= LONGEST_SHORT_INPUT) return of_short_input(state->buffer, state->held);
    uint64_t lanes[8];
    memcpy(lanes, state->lanes, sizeof lanes);
    ck_stripes_for(path)->hash(lanes, state->place, (const char *)state->buffer,
                           stripes_before_last(state->held));
    return finished(lanes, state->buffer + state->held - CK_STRIPE_BYTES, state->count);
}

/// Copies `count` bytes; returns the checksum of what is in the target afterwards, whatever is done
/// to the source meanwhile.
static uint64_t copy_hashed(const struct ck_stripe_kernels *kernels, uint8_t *to,
                            const uint8_t *from, size_t count, bool past_caches) {
    if (count <= LONGEST_SHORT_INPUT) {
        memcpy(to, from, count);
        return of_short_input(to, count);
    }
    uint64_t lanes[8];
    memcpy(lanes, initial_lanes, sizeof lanes);
    size_t stripes = stripes_before_last(count), whole = stripes * CK_STRIPE_BYTES;
    // A vector can be stored past the caches only where it is aligned.
    bool is_aligned = (uintptr_t)to % CK_STRIPE_BYTES == 0;
    kernels->copy_hashed(lanes, (char *)to, (const char *)from, stripes, past_caches && is_aligned);
    memcpy(to + whole, from + whole, count - whole);
    return finished(lanes, to + count - CK_STRIPE_BYTES, count);
}

size_t ck_copy_verified(ck_path path, void *target, const void *source, size_t block_bytes,
                        size_t block_count, const uint64_t *expected, bool past_caches,
                        uint64_t *found) {
    const struct ck_stripe_kernels *kernels = ck_stripes_for(path);
    size_t done = 0;
    for (; done < block_count; done++) {
        *found = copy_hashed(kernels, (uint8_t *)target + done * block_bytes,
                             (const uint8_t *)source + done * block_bytes, block_bytes,
                             past_caches);
        if (*found != expected[done]) break;
    }
    if (past_caches) ck_fence_past_caches();
    return done;
}
