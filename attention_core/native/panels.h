/* Queries times keys and weights times values, for up to TILE_ROWS rows and a block of keys; included once for each
 * type of number, by `kernel.c`.
 *
 * A row's result does not depend on the height of its tile: its numbers pass through the same operations in the same
 * order at each height, features ascending, keys ascending, and one accumulator for each number.
 */
INLINE VECTOR T(load)(const REAL *p) { return *(const UNALIGNED *)p; }
INLINE void T(store)(REAL *p, VECTOR x) { *(UNALIGNED *)p = x; }
INLINE VECTOR T(magnitude)(VECTOR x) { return T(max)(x, -x); }

/* The sum and the largest of the lanes, by halves: lane i and lane i + LANES / 2 first. */
INLINE REAL T(sum_lanes)(VECTOR x) {
    if (LANES > 8) x += T(upper)(x, 8);
    if (LANES > 4) x += T(upper)(x, 4);
    if (LANES > 2) x += T(upper)(x, 2);
    return x[0] + x[1];
}

INLINE REAL T(max_lanes)(VECTOR x) {
    if (LANES > 8) x = T(max)(T(upper)(x, 8), x);
    if (LANES > 4) x = T(max)(T(upper)(x, 4), x);
    if (LANES > 2) x = T(max)(T(upper)(x, 2), x);
    return x[0] > x[1] ? x[0] : x[1];
}

/* Read n rows of `width` numbers in the order of their addresses, which a processor foresees as it does not foresee the
 * order in which `pack_keys` reads them. */
INLINE void T(read_ahead)(const REAL *rows, int64_t stride, int n, int64_t width) {
    for (int i = 0; i < n; i++)
        for (int64_t c = 0; c < width; c += 64 / sizeof(REAL)) (void)*(const volatile REAL *)(rows + i * stride + c);
}

/* Turn keys (n, features) into panels (features, PANEL), so that a vector holds one feature of LANES keys; lanes
 * without a key are 0. */
static void T(pack_keys)(const REAL *keys, int64_t stride, int n, int64_t n_features, REAL *panels) {
    for (int first = 0; first < n; first += PANEL) {
        REAL *panel = panels + (int64_t)first * n_features;
        const int present = n - first < PANEL ? n - first : PANEL;
        int64_t done = 0;
#if defined(__AVX512F__)
        if (sizeof(REAL) == 4 && present == PANEL)
            for (; done + 16 <= n_features; done += 16)
                for (int half = 0; half < PANEL; half += 16)
                    pack_square(COMPUTED, keys + (first + half) * stride + done, stride,
                                (float *)(panel + done * PANEL + half));
#endif
        for (int64_t begin = done; begin < n_features; begin += 8) {
            const int64_t end = begin + 8 < n_features ? begin + 8 : n_features;
            for (int i = 0; i < PANEL; i++)
                for (int64_t d = begin; d < end; d++)
                    panel[d * PANEL + i] = i < present ? keys[(first + i) * stride + d] : 0;
        }
    }
}

/* Widen `lanes` numbers of two bytes, and add 0 to `zeros` for each that is finite; less than a vector if `whole` is 0. */
INLINE void T(widen_vector)(int storage, int whole, int lanes, const uint16_t *from, float *to, float_vector *zeros) {
    uint16_vector x = {0};
    if (whole) memcpy(&x, from, sizeof x);
    else memcpy(&x, from, lanes * sizeof *from);
    const float_vector wide = storage == HALF ? widen_half(x) : widen_bfloat(x);
    *zeros += wide * 0;
    if (whole) memcpy(to, &wide, sizeof wide);
    else memcpy(to, &wide, lanes * sizeof *to);
}

INLINE int T(widen_rows_of)(int storage, const uint16_t *rows, int64_t stride, int n, int64_t width, float *out) {
    const int lanes = VECTOR_BYTES / sizeof(float);
    float_vector zeros[4] = {{0}};
    for (int k = 0; k < n; k++, rows += stride, out += width) {
        int64_t c = 0;
        for (; c + 4 * lanes <= width; c += 4 * lanes)
            for (int i = 0; i < 4; i++) T(widen_vector)(storage, 1, lanes, rows + c + i * lanes, out + c + i * lanes, zeros + i);
        for (; c + lanes <= width; c += lanes) T(widen_vector)(storage, 1, lanes, rows + c, out + c, zeros + k % 4);
        if (c < width) T(widen_vector)(storage, 0, (int)(width - c), rows + c, out + c, zeros + k % 4);
    }
    const float_vector sum = (zeros[0] + zeros[1]) + (zeros[2] + zeros[3]);
    int finite = 1;
    for (int i = 0; i < lanes; i++) finite &= sum[i] == 0;
    return finite;
}

/* Write n rows of numbers of two bytes as rows of `width` floats; return whether none is NaN or infinite. */
static int T(widen_rows)(const uint16_t *rows, int64_t stride, int64_t storage, int n, int64_t width, REAL *widened) {
    if (storage == HALF) return T(widen_rows_of)(HALF, rows, stride, n, width, (float *)widened);
    return T(widen_rows_of)(BFLOAT, rows, stride, n, width, (float *)widened);
}

/* `pack_keys` of keys of two bytes a number; by way of the rows of one panel, unless registers turn all of it. */
static void T(pack_stored_keys)(const uint16_t *keys, int64_t stride, int64_t storage, int n, int64_t n_features,
                                REAL *rows, REAL *panels) {
    for (int first = 0; first < n; first += PANEL) {
        const int present = n - first < PANEL ? n - first : PANEL;
        const uint16_t *from = keys + first * stride;
        REAL *panel = panels + (int64_t)first * n_features;
#if defined(__AVX512F__)
        if (present == PANEL && n_features % 16 == 0) {
            if (storage == HALF) pack_stored_panel(HALF, from, stride, n_features, (float *)panel);
            else pack_stored_panel(BFLOAT, from, stride, n_features, (float *)panel);
            continue;
        }
#endif
        T(widen_rows)(from, stride, storage, present, n_features, rows);
        T(pack_keys)(rows, n_features, present, n_features, panel);
    }
}

/* The pair function of `rows` queries and one panel, to scores[row * BLOCK + 0 … PANEL − 1].
 *
 * Each CHUNK features are summed from 0 and their sums added up, as rounding errors grow with the number of summands;
 * those of products of either sign grow more slowly. */
#define SCORE_PANEL(NAME, CHUNK, UPDATE)                                                                               \
    INLINE void T(NAME)(int rows, const REAL *queries, int64_t stride, const REAL *panel, int64_t n_features,          \
                        const REAL *vector, REAL *scores) {                                                            \
        int64_t d = 0;                                                                                                 \
        (void)vector;                                                                                                  \
        do {                                                                                                           \
            const int64_t begin = d, end = n_features - d > CHUNK ? d + CHUNK : n_features;                            \
            VECTOR sums[TILE_ROWS][2];                                                                                 \
            _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) sums[r][0] = sums[r][1] = (VECTOR){0};             \
            for (; d < end; d++) {                                                                                     \
                VECTOR k0 = T(load)(panel + d * PANEL), k1 = T(load)(panel + d * PANEL + LANES);                       \
                _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) {                                              \
                    VECTOR q = T(all)(queries[r * stride + d]);                                                        \
                    UPDATE(sums[r][0], q, k0)                                                                          \
                    UPDATE(sums[r][1], q, k1)                                                                          \
                }                                                                                                      \
            }                                                                                                          \
            _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) {                                                  \
                REAL *score = scores + r * BLOCK;                                                                      \
                T(store)(score, begin ? T(load)(score) + sums[r][0] : sums[r][0]);                                     \
                T(store)(score + LANES, begin ? T(load)(score + LANES) + sums[r][1] : sums[r][1]);                     \
            }                                                                                                          \
        } while (d < n_features);                                                                                      \
    }
#define UPDATE_DOT(sum, q, k) sum = T(fma)(q, k, sum);
#define UPDATE_SQUARED(sum, q, k) { VECTOR difference = q - k; sum = T(fma)(difference, difference, sum); }
#define UPDATE_ABSOLUTE(sum, q, k) sum += T(magnitude)(q - k);
#define UPDATE_ADDITIVE(sum, q, k) sum = T(fma)(T(all)(vector[d]), T(tanh)(q + k), sum);
SCORE_PANEL(score_dot, 16, UPDATE_DOT)
SCORE_PANEL(score_squared, 16, UPDATE_SQUARED)
SCORE_PANEL(score_absolute, 16, UPDATE_ABSOLUTE)
SCORE_PANEL(score_additive, 8, UPDATE_ADDITIVE)
SCORE_PANEL(score_projection, 8, UPDATE_DOT)
#undef SCORE_PANEL

/* The additive pair function row by row: tanh takes so long that loading keys once for several rows gains nothing. */
static __attribute__((noinline)) void T(score_rows_additive)(int rows, const REAL *queries, int64_t stride,
                                                             const REAL *panel, int64_t n_features, const REAL *vector,
                                                             REAL *scores) {
    for (int r = 0; r < rows; r++)
        T(score_additive)(1, queries + r * stride, stride, panel, n_features, vector, scores + r * BLOCK);
}
#undef UPDATE_DOT
#undef UPDATE_SQUARED
#undef UPDATE_ABSOLUTE
#undef UPDATE_ADDITIVE

/* A vector of values, of any storage; two bytes: the kernel in float alone. */
INLINE VECTOR T(load_stored)(int storage, const void *values, int64_t at) {
    if (storage == COMPUTED) return T(load)((const REAL *)values + at);
    uint16_vector x;
    memcpy(&x, (const uint16_t *)values + at, sizeof x);
    return (VECTOR)(storage == HALF ? widen_half(x) : widen_bfloat(x));
}

/* The part of `add_values` for `vectors` vectors of columns at a time; return the first column that is left. */
INLINE int64_t T(add_columns)(int rows, int vectors, int storage, int64_t column, int low, int n, const REAL *weights,
                              const void *values, int64_t stride, int64_t width, REAL *outputs, const REAL *rescale) {
    for (; column + vectors * LANES <= width; column += vectors * LANES) {
        VECTOR sums[TILE_ROWS][MAX_COLUMN_VECTORS];
        _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++)
            _Pragma("GCC unroll 8") for (int i = 0; i < vectors; i++) sums[r][i] = (VECTOR){0};
        for (int k = low; k < n; k++) {
            VECTOR v[MAX_COLUMN_VECTORS];
            _Pragma("GCC unroll 8") for (int i = 0; i < vectors; i++)
                v[i] = T(load_stored)(storage, values, k * stride + column + i * LANES);
            _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) {
                VECTOR w = T(all)(weights[r * BLOCK + k]);
                _Pragma("GCC unroll 8") for (int i = 0; i < vectors; i++) sums[r][i] = T(fma)(w, v[i], sums[r][i]);
            }
        }
        _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) {
            REAL *output = outputs + r * width + column;
            VECTOR factor = T(all)(rescale[r]);
            _Pragma("GCC unroll 8") for (int i = 0; i < vectors; i++)
                T(store)(output + i * LANES, T(fma)(T(load)(output + i * LANES), factor, sums[r][i]));
        }
    }
    return column;
}

/* outputs = outputs · rescale + weights · values, the product summed over the keys from `low` to `n` first.
 *
 * A sum waits for the one before it: one row has eight at a time, two rows four each. */
INLINE void T(add_values)(int rows, int low, int n, const REAL *weights, const REAL *values, int64_t stride,
                          int64_t width, REAL *outputs, const REAL *rescale) {
    int64_t column = 0;
    if (rows <= 2)
        column = T(add_columns)(rows, MAX_COLUMN_VECTORS / rows, COMPUTED, 0, low, n, weights, values, stride, width,
                                outputs, rescale);
    column = T(add_columns)(rows, 2, COMPUTED, column, low, n, weights, values, stride, width, outputs, rescale);
    for (; column < width; column += LANES) {
        const int present = width - column < LANES ? (int)(width - column) : LANES;
        VECTOR sums[TILE_ROWS];
        _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) sums[r] = (VECTOR){0};
        for (int k = low; k < n; k++) {
            VECTOR v = {0};
            if (present == LANES) v = T(load)(values + k * stride + column);
            else memcpy(&v, values + k * stride + column, present * sizeof(REAL));
            _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++)
                sums[r] = T(fma)(T(all)(weights[r * BLOCK + k]), v, sums[r]);
        }
        _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) {
            REAL *output = outputs + r * width + column;
            VECTOR before = {0};
            memcpy(&before, output, present * sizeof(REAL));
            before = T(fma)(before, T(all)(rescale[r]), sums[r]);
            memcpy(output, &before, present * sizeof(REAL));
        }
    }
}

/* The same for one row and values of two bytes; `width` is a multiple of PANEL. */
static __attribute__((noinline)) void T(add_stored_values)(int64_t storage, int low, int n, const REAL *weights,
                                                           const uint16_t *values, int64_t stride, int64_t width,
                                                           REAL *outputs, const REAL *rescale) {
#define ADD(STORAGE, VECTORS, COLUMN)                                                                                  \
    T(add_columns)(1, VECTORS, STORAGE, COLUMN, low, n, weights, values, stride, width, outputs, rescale)
    if (storage == HALF) ADD(HALF, 2, ADD(HALF, MAX_COLUMN_VECTORS, 0));
    else ADD(BFLOAT, 2, ADD(BFLOAT, MAX_COLUMN_VECTORS, 0));
#undef ADD
}

/* Whether no number of n rows of two bytes a number is NaN or infinite; `width` is a multiple of VECTOR_BYTES / 2. */
static int T(all_stored_finite)(const uint16_t *rows, int64_t stride, int64_t storage, int n, int64_t width) {
    /* Bit 15 of a magnitude plus this is set from infinity on. */
    const uint16_t rest = storage == HALF ? 0x8000 - 0x7c00 : 0x8000 - 0x7f80;
    whole_uint16_vector reached = {0};
    for (int k = 0; k < n; k++, rows += stride)
        for (int64_t c = 0; c < width; c += VECTOR_BYTES / 2) {
            whole_uint16_vector x;
            memcpy(&x, rows + c, sizeof x);
            reached |= (x & 0x7fff) + rest;
        }
    int largest = 0;
    for (int i = 0; i < VECTOR_BYTES / 2; i++) largest |= reached[i];
    return largest < 0x8000;
}

/* The same as `add_values` for one row.  Keys that `logits`, if given, hides are left out: 0 · NaN would be NaN.  A row that sees few
 * keys has the rounding errors of products and sums added at the end, since few numbers even nothing out.  Ogita, Rump &
 * Oishi 2005, "Accurate Sum and Dot Product", algorithm Dot2. */
#define ADD_VALUES_OF_ROW(NAME, LOAD)                                                                                  \
    INLINE VECTOR T(NAME)(int few, int low, int n, const REAL *weights, const REAL *logits, const REAL *values,        \
                          int64_t stride, size_t size) {                                                               \
        VECTOR sum = {0}, error = {0};                                                                                 \
        (void)size;                                                                                                    \
        for (int k = low; k < n; k++) {                                                                                \
            if (logits && logits[k] == -INFINITY) continue;                                                            \
            VECTOR v = {0};                                                                                            \
            LOAD                                                                                                       \
            const VECTOR w = T(all)(weights[k]);                                                                       \
            if (!few) {                                                                                                \
                sum = T(fma)(w, v, sum);                                                                               \
                continue;                                                                                              \
            }                                                                                                          \
            const VECTOR product = w * v, next = sum + product, added = next - sum;                                    \
            error += T(fma)(w, v, -product) + ((sum - (next - added)) + (product - added));                            \
            sum = next;                                                                                                \
        }                                                                                                              \
        /* The error is NaN where the sum is infinite. */                                                              \
        return few ? sum + T(select)(error - error == 0, error, (VECTOR){0}) : sum;                                    \
    }
ADD_VALUES_OF_ROW(sum_whole_vectors, v = T(load)(values + k * stride);)
ADD_VALUES_OF_ROW(sum_parts_of_vectors, memcpy(&v, values + k * stride, size);)
#undef ADD_VALUES_OF_ROW

static void T(add_values_of_row)(int few, int low, int n, const REAL *weights, const REAL *logits, const REAL *values,
                                 int64_t stride, int64_t width, REAL *output, REAL rescale) {
    const VECTOR factor = T(all)(rescale);
    int64_t column = 0;
    for (; column + LANES <= width; column += LANES) {
        const VECTOR sum = T(sum_whole_vectors)(few, low, n, weights, logits, values + column, stride, 0);
        T(store)(output + column, T(fma)(T(load)(output + column), factor, sum));
    }
    if (column == width) return;
    const size_t size = (width - column) * sizeof(REAL);
    VECTOR before = {0};
    memcpy(&before, output + column, size);
    before = T(fma)(before, factor, T(sum_parts_of_vectors)(few, low, n, weights, logits, values + column, stride, size));
    memcpy(output + column, &before, size);
}

/* Whether no number of n rows of values is NaN or infinite. */
static int T(all_finite)(const REAL *values, int64_t stride, int n, int64_t width) {
    VECTOR zeros[4] = {{0}};
    REAL rest = 0;
    for (int k = 0; k < n; k++) {
        const REAL *row = values + k * stride;
        int64_t c = 0;
        for (; c + 4 * LANES <= width; c += 4 * LANES)
            for (int i = 0; i < 4; i++) zeros[i] += T(load)(row + c + i * LANES) * 0;
        for (; c + LANES <= width; c += LANES) zeros[k % 4] += T(load)(row + c) * 0;
        for (; c < width; c++) rest += row[c] * 0;
    }
    return T(sum_lanes)((zeros[0] + zeros[1]) + (zeros[2] + zeros[3])) + rest == 0;
}
