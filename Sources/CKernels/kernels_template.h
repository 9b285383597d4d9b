/// The kernels, written once in vectors of 16 lanes and compiled for each instruction set.
///
/// The including file defines CK_TABLE, the name of the table to fill, and the sizes of what is
/// held in registers: CK_SUBTILE_ROWS x CK_SUBTILE_COLUMNS sums of a product (at most 16 of them)
/// and CK_VALUE_ROWS x CK_VALUE_VECTORS vectors of an attention output.
#include "vectors.h"

/// The products' sums of `rows` x `columns` dot products that fit the registers.
CK_INLINE void subtile(const float *const *x, const void *const *w, ck_data_type data_type,
                       size_t depth, int rows, int columns, int row_stride, ck_floats *sums) {
    ck_floats local[LANES] = {0};
    size_t k = 0;
    for (; k + LANES <= depth; k += LANES) {
        ck_floats weights[LANES];
#pragma clang loop unroll(full)
        for (int n = 0; n < columns; n++) weights[n] = load_stored(w[n], data_type, k);
#pragma clang loop unroll(full)
        for (int m = 0; m < rows; m++) {
            ck_floats input = load(x[m] + k);
#pragma clang loop unroll(full)
            for (int n = 0; n < columns; n++) {
                local[m * columns + n] = fused(input, weights[n], local[m * columns + n]);
            }
        }
    }
    if (k < depth) {
#pragma clang loop unroll(full)
        for (int n = 0; n < columns; n++) {
            ck_floats weight = load_some_stored(w[n], data_type, k, depth - k);
#pragma clang loop unroll(full)
            for (int m = 0; m < rows; m++) {
                ck_floats input = load_some(x[m] + k, depth - k);
                local[m * columns + n] = fused(input, weight, local[m * columns + n]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
#pragma clang loop unroll(full)
        for (int n = 0; n < columns; n++) sums[m * row_stride + n] = local[m * columns + n];
    }
}

/// The dot products of `rows` inputs with `16 / rows` rows of weights; lane m * (16 / rows) + n.
CK_INLINE ck_floats tile(const float *const *x, const void *const *w, ck_data_type data_type,
                         size_t depth, int rows) {
    const int columns = LANES / rows;
    const int step_rows = rows < CK_SUBTILE_ROWS ? rows : CK_SUBTILE_ROWS;
    const int step_columns = columns < CK_SUBTILE_COLUMNS ? columns : CK_SUBTILE_COLUMNS;
    ck_floats sums[LANES];
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m += step_rows) {
#pragma clang loop unroll(full)
        for (int n = 0; n < columns; n += step_columns) {
            subtile(x + m, w + n, data_type, depth, step_rows, step_columns, columns,
                    sums + m * columns + n);
        }
    }
    return sum_lanes_of(sums);
}

/// output[m][n] for the `row_count` inputs (at most `rows`) and `column_count` rows of weights that
/// lie `weight_stride` bytes apart. Tiles that reach past the end repeat the last row and keep
/// nothing of it, which changes no other row's bits.
CK_INLINE void dot_products(const float *const *x, size_t row_count, int rows,
                            const char *weights, size_t weight_stride, size_t column_count,
                            ck_data_type data_type, size_t depth, float *const *output) {
    const size_t columns = (size_t)(LANES / rows);
    const float *inputs[4];
    for (int m = 0; m < rows; m++) inputs[m] = x[(size_t)m < row_count ? (size_t)m : row_count - 1];
    for (size_t first = 0; first < column_count; first += columns) {
        size_t kept = column_count - first < columns ? column_count - first : columns;
        const void *w[LANES];
        for (size_t n = 0; n < columns; n++) {
            w[n] = weights + (first + (n < kept ? n : kept - 1)) * weight_stride;
        }
        ck_floats result = tile(inputs, w, data_type, depth, rows);
        for (size_t m = 0; m < row_count; m++) {
            const float *lanes = (const float *)&result + m * columns;
            if (kept == columns) {
                memcpy(output[m] + first, lanes, columns * sizeof(float));
            } else {
                memcpy(output[m] + first, lanes, kept * sizeof(float));
            }
        }
    }
}

/// As `dot_products`, for up to four inputs, in the tile that wastes least.
CK_INLINE void dot_products_of_some(const float *const *x, size_t row_count, const char *weights,
                                    size_t weight_stride, size_t column_count,
                                    ck_data_type data_type, size_t depth, float *const *output) {
    switch (row_count) {
    case 1:
        dot_products(x, row_count, 1, weights, weight_stride, column_count, data_type, depth,
                     output);
        break;
    case 2:
        dot_products(x, row_count, 2, weights, weight_stride, column_count, data_type, depth,
                     output);
        break;
    default:
        dot_products(x, row_count, 4, weights, weight_stride, column_count, data_type, depth,
                     output);
    }
}

/// The same with the type known to the compiler, so that the inner loop has no branch.
static void dot_products_of_type(const float *const *x, size_t row_count, const char *weights,
                                 size_t weight_stride, size_t column_count, ck_data_type data_type,
                                 size_t depth, float *const *output) {
    if (data_type == CK_FLOAT32) {
        dot_products_of_some(x, row_count, weights, weight_stride, column_count, CK_FLOAT32, depth,
                             output);
    } else {
        dot_products_of_some(x, row_count, weights, weight_stride, column_count, CK_BFLOAT16, depth,
                             output);
    }
}

static void multiply(const float *x, size_t input_rows, size_t depth, const ck_matrix *matrix,
                     size_t first, size_t count) {
    // Inputs that stay in half of a 1 MiB second-level cache while the weights stream by, and
    // weights of which a few rows stay in the first-level cache while those inputs pass.
    const size_t cached_floats = 128 << 10, panel = 16;
    size_t cached_rows = depth == 0 ? input_rows : cached_floats / depth / 4 * 4;
    if (cached_rows < 4) cached_rows = 4;
    size_t stride = depth * ck_element_bytes(matrix->data_type);
    const char *weights = (const char *)matrix->weights;
    for (size_t base = 0; base < input_rows; base += cached_rows) {
        size_t end = base + cached_rows < input_rows ? base + cached_rows : input_rows;
        for (size_t column = first; column < first + count; column += panel) {
            size_t left = first + count - column;
            size_t columns = left < panel ? left : panel;
            for (size_t row = base; row < end; row += 4) {
                size_t rows = end - row < 4 ? end - row : 4;
                const float *inputs[4];
                float *outputs[4];
                for (size_t m = 0; m < rows; m++) {
                    inputs[m] = x + (row + m) * depth;
                    outputs[m] = matrix->output + (row + m) * matrix->rows + column;
                }
                dot_products_of_type(inputs, rows, weights + column * stride, stride, columns,
                                     matrix->data_type, depth, outputs);
            }
        }
    }
}

static void rms_norm(const float *x, const float *weight, float epsilon, size_t width, float *y) {
    ck_floats sums = {0};
    size_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        ck_floats value = load(x + i);
        sums = fused(value, value, sums);
    }
    if (i < width) {
        ck_floats value = load_some(x + i, width - i);
        sums = fused(value, value, sums);
    }
    float scale = 1.0f / __builtin_sqrtf(sum_lanes(sums) / (float)width + epsilon);
    for (i = 0; i < width; i++) y[i] = weight[i] * (x[i] * scale);
}

static void silu_multiply(float *gate, const float *up, size_t count) {
    for (size_t i = 0; i < count; i += LANES) {
        size_t some = count - i < LANES ? count - i : LANES;
        ck_floats g = some == LANES ? load(gate + i) : load_some(gate + i, some);
        ck_floats u = some == LANES ? load(up + i) : load_some(up + i, some);
        ck_floats result = g / (1.0f + exponential(-g)) * u;
        if (some == LANES) {
            store(gate + i, result);
        } else {
            store_some(gate + i, result, some);
        }
    }
}

static void narrow(const float *source, ck_data_type data_type, size_t count, void *destination) {
    if (data_type == CK_FLOAT32) {
        memcpy(destination, source, count * sizeof(float));
        return;
    }
    for (size_t i = 0; i < count; i += LANES) {
        size_t some = count - i < LANES ? count - i : LANES;
        ck_floats value = some == LANES ? load(source + i) : load_some(source + i, some);
        ck_halves halves = narrowed(value);
        memcpy((uint16_t *)destination + i, &halves, some * sizeof(uint16_t));
    }
}

/// Scales `count` scores, replaces them with exp(score - largest), and returns their sum.
static float exponentials_of_scores(float *scores, size_t count, float scale) {
    ck_floats largest = fill(-__builtin_inff());
    for (size_t i = 0; i < count; i += LANES) {
        ck_floats value = load(scores + i) * scale;
        value = select(lanes_below(count - i), value, fill(-__builtin_inff()));
        store(scores + i, value);
        largest = select(value > largest, value, largest);
    }
    float maximum = largest[0];
    for (int lane = 1; lane < LANES; lane++) {
        if (largest[lane] > maximum) maximum = largest[lane];
    }
    ck_floats sums = {0};
    for (size_t i = 0; i < count; i += LANES) {
        ck_floats value = exponential(load(scores + i) - maximum);
        store(scores + i, value);
        sums += value;
    }
    return sum_lanes(sums);
}

/// Asks for what attention reads next: one head's keys or values in the block after `block`, where
/// positions below `end` reach it. Blocks lie anywhere, so the hardware cannot foresee the next.
CK_INLINE void prefetch_block_after(const ck_attention_run *run, size_t block, size_t offset,
                                    size_t end) {
    size_t tokens = run->shape->block_tokens, first = (block + 1) * tokens;
    if (first >= end) return;
    size_t count = end - first < tokens ? end - first : tokens;
    size_t bytes =
        count * run->shape->head_dimension * ck_element_bytes(run->shape->data_type);
    const char *start = (const char *)run->slice->blocks[block + 1] + offset;
    for (size_t line = 0; line < bytes; line += 64) __builtin_prefetch(start + line);
}

/// Adds weight[j] * V[j, d] to `rows` outputs for positions `begin ..< end`, in rising j, for
/// `vectors` vectors of the head's dimension from `first`. `tail` is how many lanes of the last
/// vector there are.
CK_INLINE void add_values(const ck_attention_run *run, const float *const *weights,
                          float *const *output, int rows, int vectors, ck_data_type data_type,
                          size_t first, size_t tail, size_t begin, size_t end) {
    const ck_attention_shape *shape = run->shape;
    size_t offset = ck_head_offset(shape, run->layer, run->kv_head, 1);
    size_t token_bytes = shape->head_dimension * ck_element_bytes(data_type);
    ck_floats sums[CK_VALUE_ROWS][CK_VALUE_VECTORS];
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            sums[m][v] = load_some(output[m] + first + (size_t)v * LANES,
                                   v == vectors - 1 ? tail : LANES);
        }
    }
    size_t position = begin;
    while (position < end) {
        size_t token = position % shape->block_tokens;
        size_t count = shape->block_tokens - token;
        if (count > end - position) count = end - position;
        size_t block = position / shape->block_tokens;
        const char *values =
            (const char *)run->slice->blocks[block] + offset + token * token_bytes;
        if (first == 0) prefetch_block_after(run, block, offset, end);
        for (size_t j = 0; j < count; j++, values += token_bytes) {
            ck_floats loaded[CK_VALUE_VECTORS];
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) {
                size_t index = first + (size_t)v * LANES;
                loaded[v] = v == vectors - 1 && tail < LANES
                    ? load_some_stored(values, data_type, index, tail)
                    : load_stored(values, data_type, index);
            }
#pragma clang loop unroll(full)
            for (int m = 0; m < rows; m++) {
                ck_floats weight = fill(weights[m][position + j]);
#pragma clang loop unroll(full)
                for (int v = 0; v < vectors; v++) {
                    sums[m][v] = fused(weight, loaded[v], sums[m][v]);
                }
            }
        }
        position += count;
    }
#pragma clang loop unroll(full)
    for (int m = 0; m < rows; m++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            store_some(output[m] + first + (size_t)v * LANES, sums[m][v],
                       v == vectors - 1 ? tail : LANES);
        }
    }
}

CK_INLINE void add_values_of_head(const ck_attention_run *run, const float *const *weights,
                                  float *const *output, int rows, ck_data_type data_type,
                                  size_t begin, size_t end) {
    size_t dimension = run->shape->head_dimension;
    size_t first = 0;
    for (; first + LANES * CK_VALUE_VECTORS <= dimension; first += LANES * CK_VALUE_VECTORS) {
        add_values(run, weights, output, rows, CK_VALUE_VECTORS, data_type, first, LANES, begin,
                   end);
    }
    for (; first < dimension; first += LANES) {
        size_t tail = dimension - first < LANES ? dimension - first : LANES;
        if (tail == LANES) {
            add_values(run, weights, output, rows, 1, data_type, first, LANES, begin, end);
        } else {
            add_values(run, weights, output, rows, 1, data_type, first, tail, begin, end);
        }
    }
}

static void add_values_of_type(const ck_attention_run *run, const float *const *weights,
                               float *const *output, size_t rows, size_t begin, size_t end) {
    if (begin == end) return;
    bool together = rows == CK_VALUE_ROWS;
    if (run->shape->data_type == CK_FLOAT32) {
        if (together) {
            add_values_of_head(run, weights, output, CK_VALUE_ROWS, CK_FLOAT32, begin, end);
        } else {
            for (size_t m = 0; m < rows; m++) {
                add_values_of_head(run, weights + m, output + m, 1, CK_FLOAT32, begin, end);
            }
        }
    } else if (together) {
        add_values_of_head(run, weights, output, CK_VALUE_ROWS, CK_BFLOAT16, begin, end);
    } else {
        for (size_t m = 0; m < rows; m++) {
            add_values_of_head(run, weights + m, output + m, 1, CK_BFLOAT16, begin, end);
        }
    }
}

/// Adds the values to `rows` (at most CK_VALUE_ROWS) outputs: first for the positions that all
/// of them see, then for what only the later tokens see. A row's sums pass through memory in
/// between, which changes no bit.
static void add_values_of_rows(const ck_attention_run *run, const float *const *weights,
                               float *const *output, const size_t *ends, size_t rows) {
    size_t common = ends[0];
    for (size_t m = 1; m < rows; m++) common = ends[m] < common ? ends[m] : common;
    add_values_of_type(run, weights, output, rows, 0, common);
    for (size_t m = 0; m < rows; m++) {
        add_values_of_type(run, weights + m, output + m, 1, common, ends[m]);
    }
}

static void attend(const ck_attention_run *run) {
    const ck_attention_shape *shape = run->shape;
    size_t dimension = shape->head_dimension, row_count = run->token_count * run->head_count;
    size_t group = shape->query_heads / shape->kv_heads;
    const float *queries[CK_ATTENTION_ROWS];
    float *scores[CK_ATTENTION_ROWS], *outputs[CK_ATTENTION_ROWS];
    size_t ends[CK_ATTENTION_ROWS];
    for (size_t m = 0; m < row_count; m++) {
        size_t token = run->first_token + m / run->head_count;
        size_t head = run->kv_head * group + run->first_head + m % run->head_count;
        size_t index =
            ((run->slice->first_row + token) * shape->query_heads + head) * dimension;
        queries[m] = run->queries + index;
        outputs[m] = run->output + index;
        scores[m] = run->scores + m * run->score_stride;
        ends[m] = run->slice->first_position + token + 1;
    }
    size_t token_bytes = dimension * ck_element_bytes(shape->data_type);
    size_t offset = ck_head_offset(shape, run->layer, run->kv_head, 0);
    size_t end = ends[row_count - 1];
    for (size_t base = 0; base < end; base += shape->block_tokens) {
        size_t count = end - base < shape->block_tokens ? end - base : shape->block_tokens;
        size_t block = base / shape->block_tokens;
        const char *keys = (const char *)run->slice->blocks[block] + offset;
        prefetch_block_after(run, block, offset, end);
        for (size_t m = 0; m < row_count; m += 4) {
            size_t rows = row_count - m < 4 ? row_count - m : 4;
            float *destinations[4];
            for (size_t i = 0; i < rows; i++) destinations[i] = scores[m + i] + base;
            dot_products_of_type(queries + m, rows, keys, token_bytes, count, shape->data_type,
                                 dimension, destinations);
        }
    }
    float sums[CK_ATTENTION_ROWS];
    for (size_t m = 0; m < row_count; m++) {
        sums[m] = exponentials_of_scores(scores[m], ends[m], run->scale);
        memset(outputs[m], 0, dimension * sizeof(float));
    }
    for (size_t m = 0; m < row_count; m += CK_VALUE_ROWS) {
        size_t rows = row_count - m < CK_VALUE_ROWS ? row_count - m : CK_VALUE_ROWS;
        add_values_of_rows(run, (const float *const *)scores + m, outputs + m, ends + m, rows);
    }
    for (size_t m = 0; m < row_count; m++) {
        for (size_t i = 0; i < dimension; i++) outputs[m][i] /= sums[m];
    }
}

static void exponentials(const float *x, size_t count, float maximum, float temperature, float *y) {
    for (size_t i = 0; i < count; i += LANES) {
        size_t some = count - i < LANES ? count - i : LANES;
        ck_floats value = some == LANES ? load(x + i) : load_some(x + i, some);
        store_some(y + i, exponential((value - maximum) / temperature), some);
    }
}

const ck_kernels CK_TABLE = {
    .multiply = multiply,
    .rms_norm = rms_norm,
    .silu_multiply = silu_multiply,
    .narrow = narrow,
    .attend = attend,
    .exponentials = exponentials,
    .stripes = &stripe_kernels,
};
