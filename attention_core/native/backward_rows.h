/* The backward pass of a tile: products, and from logits and ∂weights to ∂scores, row by row; included once for each type
 * of number, by `kernel.c`.
 */

struct T(backward_workspace) {
    REAL *key_panels, *value_panels; /* (KEY_BLOCK, features) as panels */
    REAL *logits, *logit_gradients;  /* (TILE_ROWS, BLOCK): scores, then logits; ∂weights, then ∂logits */
    REAL *slopes;                    /* (TILE_ROWS, BLOCK): 1 − tanh² */
    REAL *scores;                    /* (BLOCK), of one row: before the soft cap */
    REAL *key_sums;                  /* additive: (KEY_BLOCK, features) as panels, Σ ∂score · (1 − tanh²) */
    REAL *weights, *score_gradients; /* (QUERY_BLOCK, PAIR_STRIDE); ∂scores times scale */
    REAL *keys, *queries, *output_gradients; /* copies of a block with 0 for NaN and ±∞ */
    struct T(row) *rows;             /* of the block of queries */
};

/* A block of queries against a block of keys. */
struct T(block) {
    int64_t group, chunk, matrix, first_query, begin; /* begin: first key */
    int rows, n;
    const REAL *queries, *output_gradients, *keys; /* as they are scored, keys with zeros for NaN and ±∞ */
    const REAL *finite_queries, *finite_output_gradients;
    int64_t query_stride, output_gradient_stride, key_stride, finite_query_stride, finite_output_gradient_stride;
    REAL *query_gradient, *value_gradient, *key_gradient;
    int low[QUERY_BLOCK], end[QUERY_BLOCK]; /* of each row: the keys that its tile is computed for */
};

INLINE VECTOR T(load_part)(const REAL *p, int64_t present) {
    if (present >= LANES) return T(load)(p);
    VECTOR x = {0};
    memcpy(&x, p, present * sizeof(REAL));
    return x;
}

INLINE VECTOR T(finite_or_zero)(VECTOR x) { return T(select)(x * 0 == 0, x, (VECTOR){0}); }

static REAL T(dot_rows)(const REAL *a, const REAL *b, int64_t width) {
    VECTOR sum = {0};
    for (int64_t c = 0; c < width; c += LANES) sum = T(fma)(T(load_part)(a + c, width - c), T(load_part)(b + c, width - c), sum);
    return T(sum_lanes)(sum);
}

/* Copy rows with 0 for NaN and ±∞. */
static void T(copy_finite)(const REAL *from, int64_t stride, int n, int64_t width, REAL *to) {
    for (int r = 0; r < n; r++)
        for (int64_t c = 0; c < width; c++) {
            const REAL x = from[r * stride + c];
            to[r * width + c] = x * 0 == 0 ? x : 0;
        }
}

/* −1, 0 or 1. */
INLINE VECTOR T(sign)(VECTOR x) {
    const VECTOR zero = {0}, one = T(all)((REAL)1);
    return T(select)(x > zero, one, T(select)(x < zero, -one, zero));
}

/* Vectors of numbers, each `stride` after the last. */
struct T(vectors) {
    const REAL *numbers;
    int64_t stride;
};

/* What b contributes to the gradient of `own`: itself for products, else b − own or its sign. */
INLINE VECTOR T(slope)(int score, VECTOR b, const REAL *own, int64_t present) {
    if (score == SQUARED_DISTANCE) return b - T(load_part)(own, present);
    if (score == ABSOLUTE_DISTANCE) return T(sign)(b - T(load_part)(own, present));
    return b;
}

/* sums[r] += Σ a(r, k) · slope(b[k], own[r]) over k from `low` to `n`, where a(r, k) = a[r · row_step + k · step]. */
INLINE void T(add_product)(int score, int rows, int low, int n, const REAL *a, int64_t row_step, int64_t step,
                           struct T(vectors) others, struct T(vectors) owns, int64_t width, REAL *sums) {
    const REAL *b = others.numbers;
    const int64_t stride = others.stride;
    int64_t column = 0;
    for (; column + PANEL <= width; column += PANEL) {
        VECTOR product[TILE_ROWS][2];
        _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) product[r][0] = product[r][1] = (VECTOR){0};
        for (int k = low; k < n; k++) {
            const VECTOR b0 = T(load)(b + k * stride + column), b1 = T(load)(b + k * stride + column + LANES);
            _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) {
                const VECTOR factor = T(all)(a[r * row_step + k * step]);
                const REAL *own = owns.numbers + r * owns.stride + column;
                product[r][0] = T(fma)(factor, T(slope)(score, b0, own, LANES), product[r][0]);
                product[r][1] = T(fma)(factor, T(slope)(score, b1, own + LANES, LANES), product[r][1]);
            }
        }
        _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) {
            REAL *sum = sums + r * width + column;
            T(store)(sum, T(load)(sum) + product[r][0]);
            T(store)(sum + LANES, T(load)(sum + LANES) + product[r][1]);
        }
    }
    for (; column < width; column += LANES) {
        const int64_t present = width - column < LANES ? width - column : LANES;
        VECTOR product[TILE_ROWS];
        _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) product[r] = (VECTOR){0};
        for (int k = low; k < n; k++) {
            const VECTOR b0 = T(load_part)(b + k * stride + column, present);
            _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) {
                const VECTOR slope = T(slope)(score, b0, owns.numbers + r * owns.stride + column, present);
                product[r] = T(fma)(T(all)(a[r * row_step + k * step]), slope, product[r]);
            }
        }
        _Pragma("GCC unroll 14") for (int r = 0; r < rows; r++) {
            REAL *sum = sums + r * width + column;
            const VECTOR total = T(load_part)(sum, present) + product[r];
            memcpy(sum, &total, present * sizeof(REAL));
        }
    }
}

/* Run a function of a height that the compiler knows; rows are as many as fit. */
#if TILE_ROWS > 8
#define FOR_HEIGHT(left, RUN)                                                                                          \
    if (left >= TILE_ROWS) RUN(TILE_ROWS)                                                                              \
    else if (left >= 8) RUN(8)                                                                                         \
    else if (left >= 4) RUN(4)                                                                                         \
    else if (left >= 2) RUN(2)                                                                                         \
    else RUN(1)
#else
#define FOR_HEIGHT(left, RUN)                                                                                          \
    if (left >= TILE_ROWS) RUN(TILE_ROWS)                                                                              \
    else if (left >= 4) RUN(4)                                                                                         \
    else if (left >= 2) RUN(2)                                                                                         \
    else RUN(1)
#endif

/* ∂query of a tile: sums[r] += Σ pairs[r][k] · slope(keys[k], queries[r]); return its height. */
#define ADD_KEYS(NAME, SCORE)                                                                                          \
    static __attribute__((noinline)) int T(NAME)(int left, int low, int n, const REAL *pairs, struct T(vectors) keys,  \
                                                 struct T(vectors) queries, int64_t width, REAL *sums) {               \
        FOR_HEIGHT(left, RUN_##SCORE)                                                                                  \
    }
#define RUN_SCORE(SCORE, rows) { T(add_product)(SCORE, rows, low, n, pairs, PAIR_STRIDE, 1, keys, queries, width, sums); return rows; }
#define RUN_DOT(rows) RUN_SCORE(DOT, rows)
#define RUN_SQUARED_DISTANCE(rows) RUN_SCORE(SQUARED_DISTANCE, rows)
#define RUN_ABSOLUTE_DISTANCE(rows) RUN_SCORE(ABSOLUTE_DISTANCE, rows)
ADD_KEYS(add_keys, DOT)
ADD_KEYS(add_keys_squared, SQUARED_DISTANCE)
ADD_KEYS(add_keys_absolute, ABSOLUTE_DISTANCE)
#undef ADD_KEYS
#undef RUN_SCORE

/* ∂key or ∂value of some keys: sums[k] += Σ pairs[r][k] · slope(vectors[r], keys[k]); return the number of keys. */
#define ADD_QUERIES(NAME, SCORE)                                                                                       \
    static __attribute__((noinline)) int T(NAME)(int left, int low, int n, const REAL *pairs,                          \
                                                 struct T(vectors) vectors, struct T(vectors) keys, int64_t width,     \
                                                 REAL *sums) {                                                         \
        FOR_HEIGHT(left, RUN_##SCORE)                                                                                  \
    }
#define RUN_SCORE(SCORE, rows) { T(add_product)(SCORE, rows, low, n, pairs, 1, PAIR_STRIDE, vectors, keys, width, sums); return rows; }
ADD_QUERIES(add_queries, DOT)
ADD_QUERIES(add_queries_squared, SQUARED_DISTANCE)
ADD_QUERIES(add_queries_absolute, ABSOLUTE_DISTANCE)
#undef ADD_QUERIES
#undef RUN_SCORE
#undef RUN_DOT
#undef RUN_SQUARED_DISTANCE
#undef RUN_ABSOLUTE_DISTANCE

/* Scores and ∂weights of a tile: queries times keys, ∂output times values. */
static __attribute__((noinline)) int T(score_pairs)(const struct call *call, const struct T(backward_workspace) *space,
                                                    const struct T(block) *block, int r, int left, int low, int n) {
    const int64_t features = call->n_features, width = call->n_value_features;
    const REAL *queries = block->queries + r * block->query_stride;
    const REAL *gradients = block->output_gradients + r * block->output_gradient_stride;
    const REAL *vector = call->score == ADDITIVE ? T(score_vector)(call, block->matrix) : 0;
#define SCORE(NAME, rows)                                                                                              \
    for (int k = low; k < n; k += PANEL)                                                                               \
        T(NAME)(rows, queries, block->query_stride, space->key_panels + k * features, features, vector, space->logits + k);
#define RUN(rows)                                                                                                      \
    {                                                                                                                  \
        if (call->score == DOT) SCORE(score_dot, rows)                                                                 \
        else if (call->score == SQUARED_DISTANCE) SCORE(score_squared, rows)                                           \
        else if (call->score == ABSOLUTE_DISTANCE) SCORE(score_absolute, rows)                                         \
        else SCORE(score_rows_additive, rows)                                                                          \
        for (int k = low; k < n; k += PANEL)                                                                           \
            T(score_dot)(rows, gradients, block->output_gradient_stride, space->value_panels + k * width, width, 0,    \
                         space->logit_gradients + k);                                                                  \
        return rows;                                                                                                   \
    }
    FOR_HEIGHT(left, RUN)
#undef RUN
#undef SCORE
}

/* Turn logits and ∂weights of one row into weights, ∂logits and ∂scores · scale; return the sum of the row's part of
 * the gradient of the normalizer's parameter. */
INLINE REAL T(differentiate_pairs)(int normalizer, const struct T(row) *row, int low, int padded, const REAL *logits,
                                   REAL *logit_gradients, VECTOR factor, REAL shift, REAL divisor, REAL mean,
                                   REAL *weights) {
    const VECTOR hidden = T(all)((REAL)-INFINITY), zero = {0}, one = T(all)((REAL)1);
    const VECTOR temperature = T(all)(row->temperature), shifts = T(all)(shift), means = T(all)(mean);
    const VECTOR inverse = T(all)(1 / divisor);
    VECTOR sum = zero;
    for (int k = low; k < padded; k += LANES) {
        const VECTOR z = T(load)(logits + k) * factor, g = T(load)(logit_gradients + k);
        const T(mask) unseen = z == hidden;
        VECTOR weight = z, gradient = g;
        if (normalizer == SOFTMAX) {
            weight = T(exp)((z - shifts) * temperature) * inverse;
            gradient = weight * (g - means) * temperature;
        } else if (normalizer == PROPORTIONAL) {
            weight = z * inverse;
            gradient = (g - means) * inverse;
        } else if (normalizer == SIGMOID) {
            weight = T(weigh)(SIGMOID, z, temperature);
            gradient = g * weight * (one - weight);
        } else if (normalizer == RELU) {
            weight = T(max)(zero, z) * inverse;
            gradient = T(select)(z > zero, g * inverse, zero);
        }
        weight = T(select)(unseen, zero, weight);
        gradient = T(select)(unseen, zero, gradient);
        if (normalizer == SOFTMAX) sum = T(fma)(gradient, T(select)(unseen, zero, z), sum);
        else sum += gradient;
        T(store)(weights + k, weight);
        T(store)(logit_gradients + k, gradient);
    }
    return T(sum_lanes)(sum);
}

/* Add ∂logits of one row to the gradient of the bias. */
static void T(add_bias_gradient)(const struct call *call, const struct T(block) *block, const struct T(row) *row, int low,
                                 int n, const REAL *gradient) {
    const struct gradients *g = call->gradients;
    if (g->bias_pairs) {
        REAL *bias = (REAL *)g->bias_pairs + g->bias_at[row->matrix] + row->query * g->bias_row_stride + block->begin;
        for (int k = low; k < n; k++) bias[k] += gradient[k];
    } else if (g->bias_keys) {
        REAL *bias = (REAL *)g->bias_keys + row->matrix * call->n_keys + block->begin;
        for (int k = low; k < n; k++) bias[k] += gradient[k];
    } else {
        REAL sum = 0;
        for (int k = low; k < n; k++) sum += gradient[k];
        ((REAL *)g->bias_rows)[(block->chunk * call->n_matrices + row->matrix) * call->n_queries + row->query] += sum;
    }
}

/* Add weights · ∂output of a row with NaN or ±∞ to ∂value of the keys it sees, and none of it to the others. */
static void T(add_non_finite)(const struct call *call, const struct T(block) *block, int low, int n, const REAL *logits,
                              const REAL *output_gradient, REAL *weights) {
    const int64_t width = call->n_value_features;
    for (int k = low; k < n; k++) {
        if (logits[k] != -INFINITY)
            for (int64_t c = 0; c < width; c++)
                block->value_gradient[k * width + c] =
                    T(fma_of)(weights[k], output_gradient[c], block->value_gradient[k * width + c]);
        weights[k] = 0;
    }
}

/* The scores of one row from its pair function, as `finish_logits` has them before the soft cap. */
static void T(write_scores)(const struct call *call, const struct T(row) *row, int64_t begin, int low, int n, int padded,
                            const REAL *pairs, REAL *scores) {
    const VECTOR scale = T(all)(row->scale);
    for (int k = low; k < padded; k += LANES) T(store)(scores + k, T(load)(pairs + k) * scale);
    if (!call->query_terms) return;
    const REAL term = ((const REAL *)call->query_terms)[call->query_terms_at[row->matrix] + row->query];
    const REAL *terms = (const REAL *)call->key_terms + call->key_terms_at[row->matrix] + begin;
    for (int k = low; k < n; k++) scores[k] = (scores[k] + term) + terms[k];
}

/* 1 − tanh² of the scores of one row; 0 where it is not finite, for then the key is hidden. */
static void T(softcap_slopes)(const struct call *call, int low, int padded, const REAL *scores, REAL *slopes) {
    const VECTOR cap = T(all)((REAL)call->softcap), one = T(all)((REAL)1);
    for (int k = low; k < padded; k += LANES) {
        const VECTOR capped = T(tanh)(T(load)(scores + k) / cap);
        T(store)(slopes + k, T(finite_or_zero)(one - capped * capped));
    }
}

/* Add ∂scores of one row to the sums that the gradients of terms and of scale are made of. */
static void T(add_score_sums)(const struct call *call, const struct T(block) *block, const struct T(row) *row, int low,
                              int n, int padded, const REAL *scores, const REAL *gradient) {
    const struct gradients *g = call->gradients;
    const int64_t at = (block->chunk * call->n_matrices + row->matrix) * call->n_queries + row->query;
    VECTOR sum = {0}, product = {0};
    if (g->score_dot) {
        for (int k = low; k < padded; k += LANES)
            product = T(fma)(T(finite_or_zero)(T(load)(scores + k)), T(load)(gradient + k), product);
        ((REAL *)g->score_dot)[at] += T(sum_lanes)(product);
    }
    if (g->query_terms) {
        for (int k = low; k < padded; k += LANES) sum += T(load)(gradient + k);
        ((REAL *)g->query_terms)[at] += T(sum_lanes)(sum);
    }
    if (g->key_terms) {
        REAL *terms = (REAL *)g->key_terms + block->group * call->n_keys + block->begin;
        for (int k = low; k < n; k++) terms[k] += gradient[k];
    }
}

/* From scores and ∂weights of one row to its weights and ∂scores · scale. */
static __attribute__((noinline)) void T(differentiate_row)(const struct call *call,
                                                           const struct T(backward_workspace) *space,
                                                           const struct T(block) *block, int slot, int in_tile, int low,
                                                           int n) {
    const struct gradients *g = call->gradients;
    const struct T(row) *row = space->rows + slot;
    const int64_t at = row->matrix * call->n_queries + row->query, width = call->n_value_features;
    const int padded = (n + PANEL - 1) / PANEL * PANEL;
    REAL *logits = space->logits + in_tile * BLOCK, *gradient = space->logit_gradients + in_tile * BLOCK;
    REAL *weights = space->weights + slot * PAIR_STRIDE, *scored = space->score_gradients + slot * PAIR_STRIDE;
    const REAL *slopes = space->slopes + in_tile * BLOCK;
    const REAL *output_gradient = block->output_gradients + slot * block->output_gradient_stride;
    VECTOR factor = T(all)(row->scale);
    if (call->softcap != 0 || g->score_dot)
        T(write_scores)(call, row, block->begin, low, n, padded, logits, space->scores);
    if (call->softcap != 0) T(softcap_slopes)(call, low, padded, space->scores, space->slopes + in_tile * BLOCK);
    if (!call->plain || row->first > block->begin + low || row->end < block->begin + n || n % PANEL) {
        T(finish_logits)(call, row, block->begin, low, n, logits);
        factor = T(all)((REAL)1);
    }
    const REAL maximum = ((const REAL *)call->maximum)[at], divisor = ((const REAL *)call->divisor)[at];
    const REAL mean = T(dot_rows)(output_gradient, (const REAL *)call->output + at * width, width);
    /* All logits of a row of zeros are 0, and proportions have no slope there. */
    const REAL divided = call->normalizer == PROPORTIONAL && !(maximum > 0) ? (REAL)INFINITY : divisor;
    REAL sum = 0;
#define DIFFERENTIATE(NORMALIZER)                                                                                      \
    sum = T(differentiate_pairs)(NORMALIZER, row, low, padded, logits, gradient, factor, maximum, divided, mean, weights)
    if (call->normalizer == SOFTMAX) DIFFERENTIATE(SOFTMAX);
    else if (call->normalizer == PROPORTIONAL) DIFFERENTIATE(PROPORTIONAL);
    else if (call->normalizer == SIGMOID) DIFFERENTIATE(SIGMOID);
    else if (call->normalizer == RELU) DIFFERENTIATE(RELU);
    else DIFFERENTIATE(NONE);
#undef DIFFERENTIATE
    if (g->parameter)
        ((REAL *)g->parameter)[(block->chunk * call->n_matrices + row->matrix) * call->n_queries + row->query] += sum;
    if (call->bias) T(add_bias_gradient)(call, block, row, low, n, gradient);
    const VECTOR scale = T(all)(row->scale);
    if (call->softcap != 0)
        for (int k = low; k < padded; k += LANES) T(store)(gradient + k, T(load)(gradient + k) * T(load)(slopes + k));
    T(add_score_sums)(call, block, row, low, n, padded, space->scores, gradient);
    for (int k = low; k < padded; k += LANES) T(store)(scored + k, T(load)(gradient + k) * scale);
    if (!g->finite && !T(all_finite)(output_gradient, 0, 1, width))
        T(add_non_finite)(call, block, low, n, logits, output_gradient, weights);
    for (int k = 0; k < low; k++) weights[k] = scored[k] = 0;
    for (int k = padded; k < block->n; k++) weights[k] = scored[k] = 0;
}

/* ∂query and the sums of ∂key and ∂score vector of a tile of the additive pair function, before the factor v of each
 * feature: v · tanh(q + k) has the slope v · (1 − tanh²). */
static __attribute__((noinline)) void T(differentiate_additive)(const struct call *call,
                                                                const struct T(backward_workspace) *space,
                                                                const struct T(block) *block, int first_row, int rows,
                                                                int low, int n) {
    const struct gradients *g = call->gradients;
    const int64_t features = call->n_features;
    const REAL *vector = T(score_vector)(call, block->matrix);
    REAL *of_vector = (REAL *)g->score_vector + (block->chunk * call->n_matrices + block->matrix) * features;
    const VECTOR one = T(all)((REAL)1);
    for (int r = first_row; r < first_row + rows; r++) {
        const REAL *query = block->finite_queries + r * block->finite_query_stride;
        const REAL *scored = space->score_gradients + r * PAIR_STRIDE;
        REAL *of_query = block->query_gradient + (block->first_query + r) * features;
        for (int64_t u = 0; u < features; u++) {
            const VECTOR q = T(all)(query[u]);
            VECTOR by_query = {0}, by_vector = {0};
            for (int k = low; k < n; k += LANES) {
                /* Two vectors side by side make a panel. */
                const int64_t at = (k / PANEL * features + u) * PANEL + k % PANEL;
                const VECTOR hidden = T(finite_or_zero)(T(tanh)(q + T(load)(space->key_panels + at)));
                const VECTOR gradient = T(load)(scored + k), slope = gradient * (one - hidden * hidden);
                by_query += slope;
                by_vector = T(fma)(gradient, hidden, by_vector);
                T(store)(space->key_sums + at, T(load)(space->key_sums + at) + slope);
            }
            of_query[u] = T(fma_of)(T(sum_lanes)(by_query), vector[u], of_query[u]);
            of_vector[u] += T(sum_lanes)(by_vector);
        }
    }
}

/* ∂key of a block from the sums of all its queries. */
static void T(write_key_sums)(const struct call *call, const struct T(backward_workspace) *space,
                              const struct T(block) *block) {
    const int64_t features = call->n_features;
    const REAL *vector = T(score_vector)(call, block->group * call->group);
    for (int64_t k = 0; k < block->n; k++)
        for (int64_t u = 0; u < features; u++)
            block->key_gradient[k * features + u] =
                space->key_sums[(k / PANEL * features + u) * PANEL + k % PANEL] * vector[u];
}
