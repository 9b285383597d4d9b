/// What the paths offer to checksums and copies: work on stripes, the 64 bytes that XXH3 takes in
/// at a time.
#pragma once

#include "kernels.h"

#pragma clang assume_nonnull begin

enum {
    CK_STRIPE_BYTES = 64,
    /// Stripes of what XXH3 calls a block, after which its lanes are scrambled.
    CK_ROUND_STRIPES = 16,
    CK_SECRET_BYTES = 192,
};

/// XXH3's default secret.
extern const uint8_t ck_secret[CK_SECRET_BYTES] __attribute__((visibility("hidden")));

struct ck_stripe_kernels {
    /// Takes `count` stripes into XXH3's lanes; `first` is the place of the first one in its round.
    void (*hash)(uint64_t lanes[_Nonnull 8], size_t first, const char *from, size_t count);
    /// Copies `count` stripes while it takes them into the lanes, from a round's start on; each is
    /// loaded once. Past the caches, `to` must be a multiple of 64 and a fence must follow.
    void (*copy_hashed)(uint64_t lanes[_Nonnull 8], char *to, const char *from, size_t count,
                        bool past_caches);
    /// Copies `count` stripes past the caches; `to` must be a multiple of 64, a fence must follow.
    void (*copy)(char *to, const char *from, size_t count);
};

/// The kernels of `path`, or the portable ones when the CPU cannot run those.
const struct ck_stripe_kernels *ck_stripes_for(ck_path path);

/// Makes stores that went past the caches visible before later ones.
static inline void ck_fence_past_caches(void) {
#if defined(__x86_64__)
    __builtin_ia32_sfence();
#else
    __atomic_thread_fence(__ATOMIC_RELEASE);
#endif
}

#pragma clang assume_nonnull end
