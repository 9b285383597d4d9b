/// The steps of a transformer layer, cut into parts for the threads of a team.
#include <string.h>

#include "team.h"

/// Work below this many multiply-adds is not worth handing to another thread: it takes a few
/// microseconds, as long as waking one.
enum { SMALLEST_PART = 1 << 16 };

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/// Runs parts whose size follows from the model and the batch: on the calling thread alone when all
/// of them together, `cost` operations, are less than two parts should be.
static void run_parts_of(ck_team *team, ck_part part, const void *call, size_t count, size_t cost) {
    if (cost < 2 * SMALLEST_PART) {
        for (size_t index = 0; index < count; index++) part(call, index, 0);
    } else {
        ck_team_run(team, part, call, count);
    }
}

typedef struct {
    const ck_kernels *kernels;
    const float *x;
    size_t input_rows;
    size_t depth;
    const ck_matrix *matrices;
    size_t matrix_count;
    /// Rows of weights in one part; the parts of all matrices are numbered through.
    size_t part_rows;
} multiply_call;

static void multiply_part(const void *argument, size_t index, unsigned worker) {
    (void)worker;
    const multiply_call *call = argument;
    const ck_matrix *matrix = call->matrices;
    size_t parts;
    while (index >= (parts = (matrix->rows + call->part_rows - 1) / call->part_rows)) {
        index -= parts;
        matrix++;
    }
    size_t first = index * call->part_rows;
    call->kernels->multiply(call->x, call->input_rows, call->depth, matrix, first,
                            smaller(call->part_rows, matrix->rows - first));
}

void ck_multiply(ck_team *team, const float *x, size_t input_rows, size_t depth,
                 const ck_matrix *matrices, size_t matrix_count) {
    if (input_rows == 0) return;
    size_t total = 0;
    for (size_t i = 0; i < matrix_count; i++) total += matrices[i].rows;
    // Four parts a thread even out what other processes take of a core.
    size_t even = total / ((size_t)ck_team_threads(team) * 4) + 1;
    size_t least = SMALLEST_PART / (input_rows * larger(depth, 1)) + 1;
    size_t part_rows = (larger(even, least) + 15) / 16 * 16;
    size_t parts = 0;
    for (size_t i = 0; i < matrix_count; i++) {
        parts += (matrices[i].rows + part_rows - 1) / part_rows;
    }
    multiply_call call = {
        ck_team_kernels(team), x, input_rows, depth, matrices, matrix_count, part_rows,
    };
    ck_team_run(team, multiply_part, &call, parts);
}

/// Rows in one part of an elementwise step that does about `cost` operations for each number.
static size_t rows_per_part(const ck_team *team, size_t rows, size_t width, size_t cost) {
    size_t even = rows / ((size_t)ck_team_threads(team) * 4) + 1;
    return larger(even, SMALLEST_PART / larger(width * cost, 1) + 1);
}

typedef struct {
    const ck_kernels *kernels;
    const float *x;
    const float *weight;
    float epsilon;
    size_t rows;
    size_t width;
    float *y;
    size_t part_rows;
} row_call;

static void rms_norm_part(const void *argument, size_t index, unsigned worker) {
    (void)worker;
    const row_call *call = argument;
    size_t first = index * call->part_rows, end = smaller(first + call->part_rows, call->rows);
    for (size_t row = first; row < end; row++) {
        call->kernels->rms_norm(call->x + row * call->width, call->weight, call->epsilon,
                                call->width, call->y + row * call->width);
    }
}

void ck_rms_norm(ck_team *team, const float *x, const float *weight, float epsilon, size_t rows,
                 size_t width, float *y) {
    size_t part_rows = rows_per_part(team, rows, width, 4);
    row_call call = {ck_team_kernels(team), x, weight, epsilon, rows, width, y, part_rows};
    ck_team_run(team, rms_norm_part, &call, (rows + part_rows - 1) / part_rows);
}

static void silu_multiply_part(const void *argument, size_t index, unsigned worker) {
    (void)worker;
    const row_call *call = argument;
    size_t first = index * call->part_rows;
    size_t count = smaller(call->part_rows, call->rows - first) * call->width;
    call->kernels->silu_multiply(call->y + first * call->width, call->x + first * call->width,
                                 count);
}

void ck_silu_multiply(ck_team *team, float *gate, const float *up, size_t rows, size_t width) {
    size_t part_rows = rows_per_part(team, rows, width, 16);
    row_call call = {
        .kernels = ck_team_kernels(team), .x = up, .weight = up, .rows = rows, .width = width,
        .y = gate, .part_rows = part_rows,
    };
    ck_team_run(team, silu_multiply_part, &call, (rows + part_rows - 1) / part_rows);
}

void ck_add(float *x, const float *y, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] += y[i];
}

void ck_widen(const void *source, ck_data_type data_type, size_t count, float *destination) {
    if (data_type == CK_FLOAT32) {
        memcpy(destination, source, count * sizeof(float));
        return;
    }
    const uint16_t *halves = source;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)halves[i] << 16;
        memcpy(destination + i, &bits, sizeof bits);
    }
}

typedef struct {
    const ck_attention_shape *shape;
    size_t rows;
    const float *angles;
    float *queries;
    float *keys;
    size_t part_rows;
} rotate_call;

static void rotate_head(float *head, const float *cosines, const float *sines, size_t half) {
    for (size_t i = 0; i < half; i++) {
        float low = head[i], high = head[i + half];
        head[i] = low * cosines[i] - high * sines[i];
        head[i + half] = high * cosines[i] + low * sines[i];
    }
}

static void rotate_part(const void *argument, size_t index, unsigned worker) {
    (void)worker;
    const rotate_call *call = argument;
    const ck_attention_shape *shape = call->shape;
    size_t dimension = shape->head_dimension, half = dimension / 2;
    size_t first = index * call->part_rows, end = smaller(first + call->part_rows, call->rows);
    for (size_t row = first; row < end; row++) {
        const float *cosines = call->angles + row * dimension, *sines = cosines + half;
        float *queries = call->queries + row * shape->query_heads * dimension;
        float *keys = call->keys + row * shape->kv_heads * dimension;
        for (size_t head = 0; head < shape->query_heads; head++) {
            rotate_head(queries + head * dimension, cosines, sines, half);
        }
        for (size_t head = 0; head < shape->kv_heads; head++) {
            rotate_head(keys + head * dimension, cosines, sines, half);
        }
    }
}

void ck_rotate(ck_team *team, const ck_attention_shape *shape, size_t rows, const float *angles,
               float *queries, float *keys) {
    size_t width = (shape->query_heads + shape->kv_heads) * shape->head_dimension;
    size_t part_rows = rows_per_part(team, rows, width, 4);
    rotate_call call = {shape, rows, angles, queries, keys, part_rows};
    ck_team_run(team, rotate_part, &call, (rows + part_rows - 1) / part_rows);
}

typedef struct {
    const ck_kernels *kernels;
    const ck_attention_shape *shape;
    size_t layer;
    const ck_slice *slices;
    const float *keys;
    const float *values;
} store_call;

static void store_part(const void *argument, size_t index, unsigned worker) {
    (void)worker;
    const store_call *call = argument;
    const ck_attention_shape *shape = call->shape;
    const ck_slice *slice = call->slices + index;
    size_t dimension = shape->head_dimension;
    size_t token_bytes = dimension * ck_element_bytes(shape->data_type);
    for (size_t token = 0; token < slice->token_count; token++) {
        size_t position = slice->first_position + token;
        char *block = slice->blocks[position / shape->block_tokens];
        size_t place = position % shape->block_tokens * token_bytes;
        size_t row = slice->first_row + token;
        for (size_t head = 0; head < shape->kv_heads; head++) {
            size_t source = (row * shape->kv_heads + head) * dimension;
            call->kernels->narrow(call->keys + source, shape->data_type, dimension,
                                  block + ck_head_offset(shape, call->layer, head, 0) + place);
            call->kernels->narrow(call->values + source, shape->data_type, dimension,
                                  block + ck_head_offset(shape, call->layer, head, 1) + place);
        }
    }
}

void ck_store(ck_team *team, const ck_attention_shape *shape, size_t layer, const ck_slice *slices,
              size_t slice_count, const float *keys, const float *values) {
    store_call call = {ck_team_kernels(team), shape, layer, slices, keys, values};
    size_t tokens = 0;
    for (size_t i = 0; i < slice_count; i++) tokens += slices[i].token_count;
    run_parts_of(team, store_part, &call, slice_count,
                 tokens * shape->kv_heads * shape->head_dimension * 4);
}

typedef struct {
    const ck_kernels *kernels;
    ck_attention_run run;
    const ck_slice *slices;
    /// The runs of one slice are its tokens by `run_tokens`, times its KV heads, times the groups
    /// of `run_heads` heads that share one.
    size_t run_tokens;
    size_t run_heads;
    size_t head_runs;
    float *scratch;
} attend_call;

static void attend_part(const void *argument, size_t index, unsigned worker) {
    const attend_call *call = argument;
    const ck_attention_shape *shape = call->run.shape;
    size_t group = shape->query_heads / shape->kv_heads;
    ck_attention_run run = call->run;
    run.slice = call->slices;
    size_t runs;
    for (;; run.slice++) {
        runs = (run.slice->token_count + call->run_tokens - 1) / call->run_tokens
            * shape->kv_heads * call->head_runs;
        if (index < runs) break;
        index -= runs;
    }
    run.first_head = index % call->head_runs * call->run_heads;
    run.head_count = smaller(call->run_heads, group - run.first_head);
    index /= call->head_runs;
    run.kv_head = index % shape->kv_heads;
    run.first_token = index / shape->kv_heads * call->run_tokens;
    run.token_count = smaller(call->run_tokens, run.slice->token_count - run.first_token);
    run.scores = call->scratch + worker * CK_ATTENTION_ROWS * run.score_stride;
    call->kernels->attend(&run);
}

/// Whole vectors, because a row's last scores are read and written in one.
static size_t score_stride(size_t context_tokens) {
    return (context_tokens + 15) / 16 * 16;
}

size_t ck_attention_scratch_floats(unsigned threads, size_t context_tokens) {
    return threads * CK_ATTENTION_ROWS * score_stride(context_tokens);
}

void ck_attend(ck_team *team, const ck_attention_shape *shape, size_t layer, const ck_slice *slices,
               size_t slice_count, const float *queries, float scale, float *scratch,
               size_t context_tokens, float *output) {
    size_t group = shape->query_heads / shape->kv_heads;
    size_t run_heads = smaller(group, CK_ATTENTION_ROWS);
    attend_call call = {
        .kernels = ck_team_kernels(team),
        .run = {
            .shape = shape, .layer = layer, .queries = queries, .scale = scale,
            .score_stride = score_stride(context_tokens), .output = output,
            .slice = slices, .scores = scratch,
        },
        .slices = slices,
        .run_tokens = CK_ATTENTION_ROWS / run_heads,
        .run_heads = run_heads,
        .head_runs = (group + run_heads - 1) / run_heads,
        .scratch = scratch,
    };
    size_t parts = 0, products = 0;
    for (size_t i = 0; i < slice_count; i++) {
        size_t tokens = slices[i].token_count;
        parts += (tokens + call.run_tokens - 1) / call.run_tokens * shape->kv_heads
            * call.head_runs;
        products += tokens * (slices[i].first_position + tokens);
    }
    run_parts_of(team, attend_part, &call, parts,
                 products * shape->query_heads * shape->head_dimension * 2);
}
