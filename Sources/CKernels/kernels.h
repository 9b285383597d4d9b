/// What the three instruction sets' paths offer to the functions that share work over threads.
#pragma once

#include <string.h>

#include "CKernels.h"

#pragma clang assume_nonnull begin

/// The attention of some queries that share one KV head.
typedef struct {
    const ck_attention_shape *shape;
    size_t layer;
    size_t kv_head;
    const ck_slice *slice;
    /// The first token of the run, counted from the slice's first, and how many there are.
    size_t first_token;
    size_t token_count;
    /// The run's heads, counted from the first that shares the KV head.
    size_t first_head;
    size_t head_count;
    const float *queries;
    float scale;
    /// `[token_count * head_count, score_stride]`.
    float *scores;
    size_t score_stride;
    float *output;
} ck_attention_run;

typedef struct {
    /// Rows `first ..< first + count` of one matrix.
    void (*multiply)(const float *x, size_t input_rows, size_t depth, const ck_matrix *matrix,
                     size_t first, size_t count);
    void (*rms_norm)(const float *x, const float *weight, float epsilon, size_t width, float *y);
    void (*silu_multiply)(float *gate, const float *up, size_t count);
    void (*narrow)(const float *source, ck_data_type data_type, size_t count, void *destination);
    void (*attend)(const ck_attention_run *run);
    void (*exponentials)(const float *x, size_t count, float maximum, float temperature, float *y);
    /// Checksums and copies.
    const struct ck_stripe_kernels *stripes;
} ck_kernels;

extern const ck_kernels ck_kernels_portable;
#if defined(__x86_64__)
extern const ck_kernels ck_kernels_avx2;
extern const ck_kernels ck_kernels_avx512;
#endif

/// The kernels of `path`, or null when the CPU cannot run them.
const ck_kernels *_Nullable ck_kernels_for(ck_path path);

static inline size_t ck_element_bytes(ck_data_type data_type) {
    return data_type == CK_BFLOAT16 ? 2 : 4;
}

/// The bytes from the start of a block to K (0) or V (1) of a layer's KV head.
static inline size_t ck_head_offset(const ck_attention_shape *shape, size_t layer, size_t kv_head,
                                    size_t key_or_value) {
    size_t head_bytes =
        shape->block_tokens * shape->head_dimension * ck_element_bytes(shape->data_type);
    return ((layer * 2 + key_or_value) * shape->kv_heads + kv_head) * head_bytes;
}

#pragma clang assume_nonnull end
