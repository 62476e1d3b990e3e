/* ∂logit of a key that has nearly all the weight of its row; included once for each type of number, by `kernel.c`.
 *
 * w · (∂w − Σ w ∂w) is the difference of two numbers that are nearly equal where w is nearly 1, each with the rounding
 * errors of a sum over all features of the value: the difference has an error of about ∂output · value · ε, although the
 * gradient is nearly 0.  The errors of all other keys are as small as their weights, and the sum of the gradients is
 * known: Σ ∂z = Σ w ∂w · (weight of the sink) / T under softmax, and Σ w ∂z = 0 under proportional.  So the backward
 * pass leaves the dominant key of a row out, and adds its gradient once all other keys of the row have theirs.
 */

/* Whether a key of a row weighs more than DOMINANT_WEIGHT, from the largest logit and the divisor of the forward pass. */
INLINE int T(has_dominant)(const struct call *call, REAL maximum, REAL divisor) {
    if (call->normalizer == SOFTMAX) return 1 / divisor > (REAL)DOMINANT_WEIGHT;
    return call->normalizer == PROPORTIONAL && maximum / divisor > (REAL)DOMINANT_WEIGHT;
}

/* Sum up the ∂logits of a row's other keys in a block; if the dominant key is in it, note it down with its slope and its
 * score, and set its ∂logit to 0. */
static __attribute__((noinline)) void T(defer_dominant)(const struct call *call, const struct T(block) *block,
                                                        const struct T(row) *row, int low, int n, const REAL *weights,
                                                        const REAL *slopes, const REAL *scores, REAL *gradient) {
    const struct gradients *g = call->gradients;
    const int64_t at = row->matrix * call->n_queries + row->query;
    const VECTOR zero = {0}, one = T(all)((REAL)1), bound = T(all)((REAL)DOMINANT_WEIGHT);
    VECTOR sum = zero, found = zero;
    for (int k = low; k < n; k += LANES) {
        const VECTOR weight = T(load)(weights + k);
        const T(mask) dominates = weight > bound;
        const VECTOR rest = T(select)(dominates, zero, T(load)(gradient + k));
        sum += call->normalizer == PROPORTIONAL ? weight * rest : rest;
        found += T(select)(dominates, one, zero);
        T(store)(gradient + k, rest);
    }
    ((REAL *)g->rest)[block->chunk * call->n_matrices * call->n_queries + at] += T(sum_lanes)(sum);
    if (T(sum_lanes)(found) == 0) return;
    int key = low;
    while (!(weights[key] > (REAL)DOMINANT_WEIGHT)) key++;
    ((struct dominant *)g->dominant)[at] = (struct dominant){
        .number = block->begin + key + 1,
        .slope = slopes ? slopes[key] : 1,
        .score = scores && scores[key] * 0 == 0 ? scores[key] : 0,
    };
}

/* ∂logit of the dominant key of a row. */
static REAL T(dominant_logit_gradient)(const struct call *call, int64_t matrix, int64_t query) {
    const struct gradients *g = call->gradients;
    const int64_t rows = call->n_matrices * call->n_queries, at = matrix * call->n_queries + query;
    const int64_t width = call->n_value_features;
    const REAL maximum = ((const REAL *)call->maximum)[at], divisor = ((const REAL *)call->divisor)[at];
    const REAL *output_gradient = (const REAL *)g->output_gradient + g->output_gradient_at[matrix] +
                                  query * g->output_gradient_stride;
    const REAL mean = T(dot_rows)(output_gradient, (const REAL *)call->output + at * width, width);
    REAL rest = 0;
    for (int64_t chunk = 0; chunk < g->n_chunks; chunk++) rest += ((const REAL *)g->rest)[chunk * rows + at];
    REAL total = mean * 0; /* NaN if ∂output is */
    if (call->normalizer == PROPORTIONAL) return total - rest / (maximum / divisor);
    if (call->sink) {
        const double exponent = call->sink[matrix] - (double)maximum * call->temperature[matrix];
        total += mean * (T(exp_of)((REAL)exponent) / divisor) * (REAL)call->temperature[matrix];
    }
    return total - rest;
}

/* Add ∂logit of the dominant key of a row to the gradient of the bias, as `add_bias_gradient` adds those of a block. */
static void T(add_dominant_bias)(const struct call *call, int64_t matrix, int64_t query, int64_t key, REAL gradient) {
    const struct gradients *g = call->gradients;
    if (g->bias_pairs) ((REAL *)g->bias_pairs)[g->bias_at[matrix] + query * g->bias_row_stride + key] += gradient;
    else if (g->bias_keys) ((REAL *)g->bias_keys)[matrix * call->n_keys + key] += gradient;
    else ((REAL *)g->bias_rows)[matrix * call->n_queries + query] += gradient;
}

/* Add what the dominant key of a row, if it has one, contributes to all gradients but ∂value; sums that there are of each
 * chunk have it in chunk 0. */
static void T(add_dominant)(const struct call *call, int64_t group, int64_t matrix, int64_t query, REAL *of_query) {
    const struct gradients *g = call->gradients;
    const int64_t at = matrix * call->n_queries + query, features = call->n_features;
    const struct dominant *dominant = (const struct dominant *)g->dominant + at;
    if (!dominant->number) return;
    const int64_t key = dominant->number - 1;
    const REAL of_logit = T(dominant_logit_gradient)(call, matrix, query);
    if (call->bias) T(add_dominant_bias)(call, matrix, query, key, of_logit);
    const REAL of_score = call->softcap != 0 ? of_logit * (REAL)dominant->slope : of_logit;
    if (g->score_dot) ((REAL *)g->score_dot)[at] = T(fma_of)((REAL)dominant->score, of_score, ((REAL *)g->score_dot)[at]);
    if (g->query_terms) ((REAL *)g->query_terms)[at] += of_score;
    if (g->key_terms) ((REAL *)g->key_terms)[group * call->n_keys + key] += of_score;
    const VECTOR gradient = T(all)(of_score * (REAL)call->scale[matrix]), one = T(all)((REAL)1);
    const REAL *queries = (const REAL *)call->query + call->query_at[matrix] + query * call->query_stride;
    const REAL *keys = (const REAL *)call->key + call->key_at[matrix] + key * call->key_stride;
    REAL *of_key = (REAL *)g->key + (group * call->n_keys + key) * features;
    for (int64_t c = 0; c < features; c += LANES) {
        const int64_t present = features - c < LANES ? features - c : LANES;
        const VECTOR q = T(finite_or_zero)(T(load_part)(queries + c, present));
        const VECTOR k = T(finite_or_zero)(T(load_part)(keys + c, present));
        VECTOR by_query = k, by_key = q;
        if (call->score == SQUARED_DISTANCE) {
            by_query = T(finite_or_zero)(k - q);
            by_key = -by_query;
        } else if (call->score == ABSOLUTE_DISTANCE) {
            by_query = T(sign)(k - q);
            by_key = -by_query;
        } else if (call->score == ADDITIVE) {
            REAL *of_vector = (REAL *)g->score_vector + matrix * features + c;
            /* Projections may be infinite, where tanh has no slope. */
            const VECTOR sum = T(load_part)(queries + c, present) + T(load_part)(keys + c, present);
            const VECTOR hidden = T(finite_or_zero)(T(tanh)(sum));
            by_query = by_key = (one - hidden * hidden) * T(load_part)(T(score_vector)(call, matrix) + c, present);
            const VECTOR total = T(fma)(gradient, hidden, T(load_part)(of_vector, present));
            memcpy(of_vector, &total, present * sizeof(REAL));
        }
        by_query = T(fma)(gradient, by_query, T(load_part)(of_query + c, present));
        by_key = T(fma)(gradient, by_key, T(load_part)(of_key + c, present));
        memcpy(of_query + c, &by_query, present * sizeof(REAL));
        memcpy(of_key + c, &by_key, present * sizeof(REAL));
    }
}
