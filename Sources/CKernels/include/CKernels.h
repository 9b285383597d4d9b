/// The measured kernels of the CPU engine, and of copies of its KV cache.
///
/// Every result is the same bits whatever the instruction set, the number of threads, the size of
/// the batch and the way a prompt is cut. Sums over a dimension k run in 16 lanes (k mod 16), each
/// a chain of fused multiply-adds in rising k, tails padded with zeros; the lanes are then added
/// as lane i + lane i+8, then +4, +2, +1. Everything else is elementwise IEEE 754 arithmetic.
/// No mathematical library is used: exponentials, sines and cosines are in here.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// How the numbers of a weight matrix or of a KV cache are stored.
typedef enum {
    CK_FLOAT32 = 1,
    CK_BFLOAT16 = 2,
} ck_data_type;

/// The instruction sets that there is a path for, from the slowest to the fastest.
typedef enum {
    CK_PORTABLE = 0,
    CK_AVX2 = 1,
    CK_AVX512 = 2,
} ck_path;

/// Whether this CPU and its kernel can run `path`.
bool ck_path_available(ck_path path);

/// The fastest path that this CPU can run.
ck_path ck_fastest_path(void);

/// The threads that share the work of each call. The thread that calls is one of them; the others
/// are parked in the kernel when there has been nothing to do for some microseconds.
typedef struct ck_team ck_team;

/// The most threads of one team.
enum { CK_MAXIMUM_THREADS = 64 };

/// The most rows of queries that attention works on together; see `ck_attention_scratch_floats`.
enum { CK_ATTENTION_ROWS = 16 };

/// Starts `threads - 1` threads (`1 <= threads <= CK_MAXIMUM_THREADS`) that run `path`.
/// Returns null and sets `errno` when memory or threads are exhausted, or with ENOTSUP when the CPU
/// cannot run `path`.
ck_team *_Nullable ck_team_create(ck_path path, unsigned threads);

/// Ends the threads and frees the team, which must be idle.
void ck_team_destroy(ck_team *team);

/// One matrix that the rows of an input are multiplied by.
typedef struct {
    /// `[rows, depth]`, row-major, as Hugging Face stores `[out_features, in_features]`; read in
    /// place, at least aligned to its elements.
    const void *weights;
    ck_data_type data_type;
    size_t rows;
    /// `[input rows, rows]`, row-major.
    float *output;
} ck_matrix;

/// output[m, n] = sum over k of x[m, k] * weights[n, k], for each of `matrix_count` matrices.
/// `x` is `[input_rows, depth]`.
void ck_multiply(ck_team *team, const float *x, size_t input_rows, size_t depth,
                 const ck_matrix *matrices, size_t matrix_count);

/// y[m, i] = x[m, i] / sqrt(mean over i of x[m, i]^2 + epsilon) * weight[i]; `[rows, width]`.
void ck_rms_norm(ck_team *team, const float *x, const float *weight, float epsilon, size_t rows,
                 size_t width, float *y);

/// gate[m, i] = gate[m, i] / (1 + exp(-gate[m, i])) * up[m, i]; `[rows, width]`.
void ck_silu_multiply(ck_team *team, float *gate, const float *up, size_t rows, size_t width);

/// x[i] += y[i].
void ck_add(float *x, const float *y, size_t count);

/// Widens stored numbers to float.
void ck_widen(const void *source, ck_data_type data_type, size_t count, float *destination);

/// Where the keys and values lie inside a block: for each layer K, then V, each
/// `[kv_heads, block_tokens, head_dimension]`.
typedef struct {
    ck_data_type data_type;
    size_t block_tokens;
    size_t kv_heads;
    size_t query_heads;
    size_t head_dimension;
} ck_attention_shape;

/// A run of tokens of one sequence.
typedef struct {
    /// The sequence's block table; block i holds positions from `i * block_tokens`.
    void *const _Nonnull *_Nonnull blocks;
    size_t first_position;
    size_t token_count;
    /// The row of the slice's first token in the batch.
    size_t first_row;
} ck_slice;

/// Rotates queries `[rows, query_heads, head_dimension]` and keys `[rows, kv_heads,
/// head_dimension]` in place, the first half of a head against the second. `angles` is `[rows, 2,
/// head_dimension / 2]`: cosines, then sines.
void ck_rotate(ck_team *team, const ck_attention_shape *shape, size_t rows, const float *angles,
               float *queries, float *keys);

/// Writes the keys and values `[rows, kv_heads, head_dimension]` of all slices into their blocks,
/// rounded to the nearest even bfloat16 where the blocks hold that.
void ck_store(ck_team *team, const ck_attention_shape *shape, size_t layer, const ck_slice *slices,
              size_t slice_count, const float *keys, const float *values);

/// How many floats of scratch attention needs with a context of `context_tokens`.
size_t ck_attention_scratch_floats(unsigned threads, size_t context_tokens);

/// Causal attention of all slices over what their blocks hold, the slices' own tokens included.
/// `queries` and `output` are `[rows, query_heads, head_dimension]`; no position may reach the
/// `context_tokens` that `scratch` was sized for.
void ck_attend(ck_team *team, const ck_attention_shape *shape, size_t layer, const ck_slice *slices,
               size_t slice_count, const float *queries, float scale, float *scratch,
               size_t context_tokens, float *output);

/// y[i] = exp((x[i] - maximum) / temperature). Below exp(-87.33) the result is zero.
void ck_exponentials(ck_path path, const float *x, size_t count, float maximum, float temperature,
                     float *y);

/// The inverse frequencies of rotary position embedding: base^(-2i / head_dimension) for i below
/// head_dimension / 2, rounded to float once (Su et al., RoFormer, arXiv:2104.09864).
void ck_inverse_frequencies(double base, size_t head_dimension, float *frequencies);

/// Cosines, then sines, of `position * frequencies[i]`; the product is rounded to float first, as
/// Hugging Face's implementation does. `output` holds `2 * count` floats.
void ck_rotary_angles(size_t position, const float *frequencies, size_t count, float *output);

/// Copies `count` bytes that do not overlap with stores that go past the caches: quicker than
/// memcpy(3) for more than the caches hold, and it leaves in them what is there. Other threads see
/// the bytes before anything that is stored afterwards.
void ck_copy_past_caches(void *target, const void *source, size_t count);

/// The XXH3 checksum with 64 bits, of seed 0, of `count` bytes: equal to XXH3_64bits of xxhash.h.
/// Every path gives the same.
uint64_t ck_checksum(ck_path path, const void *data, size_t count);

/// What `ck_checksum_feed` keeps back at most.
enum { CK_CHECKSUM_BUFFER_BYTES = 256 };

/// A checksum whose bytes come in pieces.
typedef struct {
    uint64_t lanes[8];
    /// Bytes fed.
    uint64_t count;
    /// The place of the next stripe in its round.
    size_t place;
    /// Bytes in `buffer`.
    size_t held;
    uint8_t buffer[CK_CHECKSUM_BUFFER_BYTES];
} ck_checksum_state;

ck_checksum_state ck_checksum_begin(void);

/// Takes in the next `count` bytes.
void ck_checksum_feed(ck_path path, ck_checksum_state *state, const void *data, size_t count);

/// The checksum of everything that was fed; more may be fed afterwards.
uint64_t ck_checksum_finish(ck_path path, const ck_checksum_state *state);

/// Copies `block_count` blocks of `block_bytes` that lie one after the other on both sides and do
/// not overlap, computes each block's checksum in the same pass over memory, and stops after the
/// first block whose checksum is not `expected`.
///
/// A checksum is that of the bytes in the target, whatever is done to the source meanwhile. Other
/// threads see the bytes before anything that is stored afterwards. `past_caches` stores as
/// `ck_copy_past_caches` does, for blocks whose target is a multiple of 64.
///
/// Returns how many blocks were as expected, and in `found` the checksum of the last block copied.
size_t ck_copy_verified(ck_path path, void *target, const void *source, size_t block_bytes,
                        size_t block_count, const uint64_t *expected, bool past_caches,
                        uint64_t *found);

#pragma clang assume_nonnull end
