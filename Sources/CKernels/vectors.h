/// Vectors of 16 floats, the unit in which every kernel computes on every instruction set.
///
/// Included once by each path, inside its target attribute, which is why it includes no header of
/// the system itself.
#pragma once

#include "kernels.h"

// Vectors wider than the registers have no calling convention; every function that takes or returns
// one is inlined always, so none is called.
#pragma clang diagnostic ignored "-Wpsabi"

#define CK_INLINE static inline __attribute__((always_inline))

enum { LANES = 16 };

typedef float ck_floats __attribute__((vector_size(64)));
typedef int32_t ck_ints __attribute__((vector_size(64)));
typedef uint32_t ck_words __attribute__((vector_size(64)));
typedef uint16_t ck_halves __attribute__((vector_size(32)));

CK_INLINE ck_floats fill(float value) {
    return value - (ck_floats){0};
}

CK_INLINE ck_floats fused(ck_floats a, ck_floats b, ck_floats c) {
    return __builtin_elementwise_fma(a, b, c);
}

CK_INLINE ck_floats select(ck_ints mask, ck_floats yes, ck_floats no) {
    return (ck_floats)((mask & (ck_ints)yes) | (~mask & (ck_ints)no));
}

/// All ones in the lanes below `count`.
CK_INLINE ck_ints lanes_below(size_t count) {
    const ck_ints lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return lane < (int32_t)count;
}

CK_INLINE ck_floats load(const float *source) {
    ck_floats result;
    memcpy(&result, source, sizeof result);
    return result;
}

CK_INLINE void store(float *destination, ck_floats value) {
    memcpy(destination, &value, sizeof value);
}

/// The first `count` numbers, and zeros.
CK_INLINE ck_floats load_some(const float *source, size_t count) {
    ck_floats result = {0};
    memcpy(&result, source, count * sizeof(float));
    return result;
}

CK_INLINE void store_some(float *destination, ck_floats value, size_t count) {
    memcpy(destination, &value, count * sizeof(float));
}

CK_INLINE ck_floats widened(ck_halves halves) {
    return (ck_floats)(__builtin_convertvector(halves, ck_words) << 16);
}

/// 16 numbers at element `index` of stored numbers.
CK_INLINE ck_floats load_stored(const void *source, ck_data_type data_type, size_t index) {
    if (data_type == CK_FLOAT32) return load((const float *)source + index);
    ck_halves halves;
    memcpy(&halves, (const uint16_t *)source + index, sizeof halves);
    return widened(halves);
}

CK_INLINE ck_floats load_some_stored(const void *source, ck_data_type data_type, size_t index,
                                     size_t count) {
    if (data_type == CK_FLOAT32) return load_some((const float *)source + index, count);
    ck_halves halves = {0};
    memcpy(&halves, (const uint16_t *)source + index, count * sizeof(uint16_t));
    return widened(halves);
}

/// Rounds to the nearest bfloat16, ties to even; what is not a number stays so.
CK_INLINE ck_halves narrowed(ck_floats value) {
    ck_words bits = (ck_words)value;
    ck_words rounded = bits + 0x7fff + ((bits >> 16) & 1);
    ck_words quiet = bits | 0x400000;
    ck_words mask = (ck_words)(value != value);
    return __builtin_convertvector(((mask & quiet) | (~mask & rounded)) >> 16, ck_halves);
}

/// Lane i of the result is the sum of the lanes of `sums[i]`, added as lane j + lane j+8, then
/// +4, +2, +1: sixteen trees at once.
CK_INLINE ck_floats sum_lanes_of(const ck_floats sums[LANES]) {
    ck_floats eight[8], four[4], two[2];
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i++) {
        ck_floats a = sums[i], b = sums[i + 8];
        eight[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21,
                                           22, 23)
            + __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29,
                                      30, 31);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
        ck_floats a = eight[i], b = eight[i + 4];
        four[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25,
                                          26, 27)
            + __builtin_shufflevector(a, b, 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29,
                                      30, 31);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 2; i++) {
        ck_floats a = four[i], b = four[i + 2];
        two[i] = __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13,
                                         28, 29)
            + __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15,
                                      30, 31);
    }
    return __builtin_shufflevector(two[0], two[1], 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12,
                                   28, 14, 30)
        + __builtin_shufflevector(two[0], two[1], 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13,
                                  29, 15, 31);
}

/// The sum of all lanes, by the same tree.
CK_INLINE float sum_lanes(ck_floats value) {
    ck_floats sums[LANES] = {value};
    return sum_lanes_of(sums)[0];
}

/// exp(x) with a relative error below 2 units in the last place; 0 below -87.33, infinity above
/// 88.72.
///
/// Cody and Waite's reduction to |r| <= ln(2)/2 and the Taylor polynomial of degree 7, whose
/// remainder there is below 6e-9.
CK_INLINE ck_floats exponential(ck_floats x) {
    const float largest = 88.72f, smallest = -87.33f;
    // Adding and taking away 1.5 * 2^23 rounds to an integer.
    const float rounder = 0x1.8p23f;
    ck_floats bounded = select(x < largest, x, fill(largest));
    bounded = select(bounded > smallest, bounded, fill(smallest));
    ck_floats n = (bounded * 0x1.715476p0f + rounder) - rounder;
    ck_floats r = fused(n, fill(-0x1.62e400p-1f), bounded);
    r = fused(n, fill(-0x1.7f7d1cp-20f), r);
    ck_floats p = fused(r, fill(0x1.a01a02p-13f), fill(0x1.6c16c2p-10f));
    p = fused(p, r, fill(0x1.111112p-7f));
    p = fused(p, r, fill(0x1.555556p-5f));
    p = fused(p, r, fill(0x1.555556p-3f));
    p = fused(p, r, fill(0.5f));
    p = fused(p, r, fill(1.0f));
    p = fused(p, r, fill(1.0f));
    // 2^n in two factors, because n = 128 has no float of its own.
    ck_ints whole = __builtin_convertvector(n, ck_ints);
    ck_ints half = whole >> 1;
    ck_floats first = (ck_floats)((half + 127) << 23);
    ck_floats second = (ck_floats)((whole - half + 127) << 23);
    ck_floats scaled = p * first * second;
    scaled = select(x > largest, fill(__builtin_inff()), scaled);
    scaled = select(x < smallest, fill(0), scaled);
    // A comparison with what is not a number is false everywhere above.
    return select(x == x, scaled, x);
}
