/* The backward pass of a tile, row by row: from scores and ∂weights to weights, ∂logits and ∂scores; included once for each
 * type of number, by `kernel.c`.
 */

/* Turn logits and ∂weights of one row into weights and ∂logits; return the row's part of the gradient of the normalizer's
 * parameter: Σ (z − maximum) · ∂z of softmax, which has the digits that a large maximum would cost Σ z · ∂z, or Σ ∂z. */
INLINE REAL T(differentiate_pairs)(int normalizer, const struct T(row) *row, int low, int padded, const REAL *logits,
                                   REAL *logit_gradients, VECTOR factor, REAL shift, REAL divisor, REAL mean,
                                   REAL *weights) {
    const VECTOR hidden = T(all)((REAL)-INFINITY), zero = {0}, one = T(all)((REAL)1);
    const VECTOR temperature = T(all)(row->temperature), shifts = T(all)(shift), means = T(all)(mean);
    const VECTOR inverse = T(all)(1 / divisor), divisors = T(all)(divisor);
    /* 1 / Σ z overflows, or has lost digits, where Σ z or its inverse is subnormal. */
    const int divides = normalizer == PROPORTIONAL && !(1 / divisor >= MIN_NORMAL && 1 / divisor < INFINITY);
    VECTOR sum = zero;
    for (int k = low; k < padded; k += LANES) {
        const VECTOR z = T(load)(logits + k) * factor, g = T(load)(logit_gradients + k);
        const T(mask) unseen = z == hidden;
        VECTOR weight = z, gradient = g;
        if (normalizer == SOFTMAX) {
            weight = T(exp)((z - shifts) * temperature) * inverse;
            gradient = weight * (g - means) * temperature;
        } else if (normalizer == PROPORTIONAL) {
            weight = divides ? z / divisors : z * inverse;
            gradient = divides ? (g - means) / divisors : (g - means) * inverse;
        } else if (normalizer == SIGMOID) {
            /* 1 − weight, as exact as the weight itself: the difference has no digits where the weight is nearly 1. */
            const VECTOR x = z + temperature, tail = T(exp)(-T(magnitude)(x));
            weight = T(weigh)(SIGMOID, z, temperature);
            gradient = g * weight * (T(select)(x >= zero, tail, one) / (one + tail));
        } else if (normalizer == RELU) {
            weight = T(max)(zero, z) * inverse;
            gradient = T(select)(z > zero, g * inverse, zero);
        }
        weight = T(select)(unseen, zero, weight);
        gradient = T(select)(unseen, zero, gradient);
        if (normalizer == SOFTMAX) sum = T(fma)(gradient, T(select)(unseen, zero, z - shifts), sum);
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
    if (g->dominant && T(has_dominant)(call, maximum, divided))
        T(defer_dominant)(call, block, row, low, n, weights, call->softcap != 0 ? slopes : 0,
                          g->score_dot ? space->scores : 0, gradient);
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
        /* As they are: a projection that is infinite is where tanh has no slope. */
        const REAL *query = block->queries + r * block->query_stride;
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
