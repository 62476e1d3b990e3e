/* The backward pass of a tile: what it works on, and its products; included once for each type of number, by `kernel.c`.
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
