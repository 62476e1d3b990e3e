/* From scores to weights, row by row: soft cap, bias, ALiBi, masks, normalizers with their running state, and the merge
 * of spans; included once for each type of number, by `kernel.c`.
 *
 * Milakov & Gimelshein 2018, "Online normalizer calculation for softmax"; Dao et al. 2022, "FlashAttention".
 */

/* What a task carries from block to block for one row; a span starts from (−∞, 0, 0). */
struct T(row) {
    REAL maximum, sum;             /* of the span so far; sum: of exponentials, logits (proportional), visible keys (relu) */
    REAL total_maximum, total_sum; /* of the spans before */
    int64_t matrix, query;
    int64_t first, end;            /* range of visible keys */
    REAL scale, temperature;
    int few;                       /* whether at most FEW_KEYS keys are visible */
    int not_finite;                /* NaN or +∞ among the visible logits */
    int negative;                  /* a negative visible logit */
};

/* Where the numbers of one row and block are in a matrix of the result. */
INLINE REAL *T(in_matrix)(const struct call *call, void *matrix, const struct T(row) *row, int64_t key) {
    return (REAL *)matrix + (row->matrix * call->n_queries + row->query) * call->matrix_keys + key;
}

/* The score vector of the additive pair function. */
INLINE const REAL *T(score_vector)(const struct call *call, int64_t matrix) {
    return (const REAL *)call->score_vector + call->score_vector_at[matrix];
}

/* Hide keys of one row and block: those outside its range, those that are not allowed, and the padding of the panel. */
static void T(hide_keys)(const struct call *call, const struct T(row) *row, int64_t begin, int low, int n, REAL *logits) {
    if (call->allowed) {
        const uint8_t *allowed = call->allowed + call->allowed_at[row->matrix] + row->query * call->allowed_row_stride +
                                 begin * call->allowed_key_stride;
        for (int k = low; k < n; k++)
            if (!allowed[k * call->allowed_key_stride]) logits[k] = -INFINITY;
    }
    for (int64_t k = low; k < n && begin + k < row->first; k++) logits[k] = -INFINITY;
    for (int64_t k = row->end > begin + low ? row->end - begin : low; k < n; k++) logits[k] = -INFINITY;
    for (int k = n; k % PANEL; k++) logits[k] = -INFINITY;
}

/* Turn the pair function of one row and block into logits; steps that are absent cost nothing. */
static void T(finish_logits)(const struct call *call, const struct T(row) *row, int64_t begin, int low, int n,
                             REAL *scores) {
    const VECTOR scale = T(all)(row->scale);
    const int padded = (n + LANES - 1) / LANES * LANES;
    const size_t size = (n - low) * sizeof(REAL);
    for (int k = low; k < padded; k += LANES) T(store)(scores + k, T(load)(scores + k) * scale);
    if (call->query_terms) {
        const REAL term = ((const REAL *)call->query_terms)[call->query_terms_at[row->matrix] + row->query];
        const REAL *terms = (const REAL *)call->key_terms + call->key_terms_at[row->matrix] + begin;
        for (int k = low; k < n; k++) scores[k] = (scores[k] + term) + terms[k];
    }
    if (call->scores) memcpy(T(in_matrix)(call, call->scores, row, begin + low), scores + low, size);
    if (call->softcap != 0) {
        const VECTOR cap = T(all)((REAL)call->softcap);
        for (int k = low; k < padded; k += LANES) T(store)(scores + k, cap * T(tanh)(T(load)(scores + k) / cap));
    }
    if (call->capped_scores) memcpy(T(in_matrix)(call, call->capped_scores, row, begin + low), scores + low, size);
    if (call->bias) {
        const REAL *bias = (const REAL *)call->bias + call->bias_at[row->matrix] + row->query * call->bias_row_stride +
                           begin * call->bias_key_stride;
        for (int k = low; k < n; k++) {
            const REAL added = bias[k * call->bias_key_stride];
            scores[k] = added == -INFINITY ? -INFINITY : scores[k] + added;
        }
    }
    if (call->slopes) {
        const int64_t position = call->query_position[call->query_position_at[row->matrix] + row->query];
        const int64_t *keys = call->key_position ? call->key_position + call->key_position_at[row->matrix] + begin : 0;
        const double slope = -call->slopes[row->matrix];
        for (int k = low; k < n; k++) {
            const int64_t distance = position - (keys ? keys[k] : begin + k);
            scores[k] += (REAL)(slope * (double)(distance < 0 ? -distance : distance));
        }
    }
    T(hide_keys)(call, row, begin, low, n, scores);
    if (call->weights) memcpy(T(in_matrix)(call, call->weights, row, begin + low), scores + low, size);
    if (call->logits) memcpy(T(in_matrix)(call, call->logits, row, begin + low), scores + low, size);
}

/* Turn logits into exponentials relative to the span's new maximum; return the factor for what the span has so far. */
static __attribute__((noinline)) REAL T(update_softmax)(struct T(row) *row, int low, int padded, REAL *logits, VECTOR scale) {
    /* The running maximum is the second operand where a number is NaN, and its sum is NaN then. */
    VECTOR m0 = T(all)((REAL)-INFINITY), m1 = m0;
    for (int k = low; k < padded; k += PANEL) {
        m0 = T(max)(m0, T(load)(logits + k) * scale);
        m1 = T(max)(m1, T(load)(logits + k + LANES) * scale);
    }
    const REAL block = T(max_lanes)(T(max)(m0, m1)), before = row->maximum;
    const REAL maximum = block > before ? block : before;
    const VECTOR factor = T(all)(row->temperature), shift = T(all)(maximum == -INFINITY ? 0 : maximum);
    VECTOR s0 = {0}, s1 = {0};
    for (int k = low; k < padded; k += PANEL) {
        VECTOR a = T(exp)((T(load)(logits + k) * scale - shift) * factor);
        VECTOR b = T(exp)((T(load)(logits + k + LANES) * scale - shift) * factor);
        T(store)(logits + k, a);
        T(store)(logits + k + LANES, b);
        s0 += a;
        s1 += b;
    }
    const REAL rescale = before == maximum ? 1 : T(exp_of)((before - maximum) * row->temperature);
    row->maximum = maximum;
    row->sum = row->sum * rescale + T(sum_lanes)(s0 + s1);
    return rescale;
}

/* The weight of visible logits by a function of each alone, before the row's factor. */
INLINE VECTOR T(weigh)(int normalizer, VECTOR z, VECTOR bias) {
    const VECTOR zero = {0}, one = T(all)((REAL)1);
    if (normalizer == RELU) return T(max)(zero, z);
    if (normalizer != SIGMOID) return z;
    const VECTOR x = z + bias, tail = T(exp)(-T(magnitude)(x));
    return T(select)(x >= zero, one, tail) / (one + tail);
}

/* Turn logits into weights by a function of each alone; hidden keys weigh 0. */
static __attribute__((noinline)) void T(update_elementwise)(int normalizer, struct T(row) *row, int low, int padded, REAL *logits, VECTOR scale) {
    const VECTOR hidden = T(all)((REAL)-INFINITY), zero = {0}, one = T(all)((REAL)1), bias = T(all)(row->temperature);
    VECTOR maximum = hidden, sum = {0}, not_finite = {0}, negative = {0};
    for (int k = low; k < padded; k += LANES) {
        const VECTOR z = T(load)(logits + k) * scale;
        const T(mask) unseen = z == hidden;
        const VECTOR visible = T(select)(unseen, zero, z);
        maximum = T(max)(maximum, z);
        not_finite += visible * 0;
        negative += T(select)(visible < zero, one, zero);
        sum += normalizer == RELU ? T(select)(unseen, zero, one) : visible;
        T(store)(logits + k, T(select)(unseen, zero, T(weigh)(normalizer, visible, bias)));
    }
    const REAL block = T(max_lanes)(maximum);
    row->maximum = block > row->maximum ? block : row->maximum;
    row->sum += T(sum_lanes)(sum);
    row->not_finite |= T(sum_lanes)(not_finite) != 0;
    row->negative |= T(sum_lanes)(negative) != 0;
}

/* Merge a span, with its sums, into the spans before it: softmax keeps the numbers of the larger maximum. */
static void T(merge_span)(const struct call *call, struct T(row) *row, const REAL *sums, REAL *totals) {
    const int64_t width = call->output ? call->n_value_features : 0;
    if (row->maximum == -INFINITY && row->sum == 0) return; /* no visible key */
    if (row->total_maximum == -INFINITY && row->total_sum == 0) {
        row->total_maximum = row->maximum;
        row->total_sum = row->sum;
        memcpy(totals, sums, width * sizeof(REAL));
        return;
    }
    const REAL maximum = row->maximum > row->total_maximum ? row->maximum : row->total_maximum;
    REAL before = 1, added = 1;
    if (call->normalizer == SOFTMAX) {
        before = T(exp_of)((row->total_maximum - maximum) * row->temperature);
        added = T(exp_of)((row->maximum - maximum) * row->temperature);
    }
    row->total_maximum = maximum;
    row->total_sum = row->total_sum * before + row->sum * added;
    for (int64_t c = 0; c < width; c++) totals[c] = totals[c] * before + sums[c] * added;
}

/* The weights of visible logits of a row whose spans are merged. */
INLINE VECTOR T(final_weight)(const struct call *call, const struct T(row) *row, VECTOR z, REAL factor, REAL divisor) {
    const VECTOR temperature = T(all)(row->temperature), shift = T(all)(row->total_maximum);
    const int normalizer = (int)call->normalizer;
    const VECTOR weight = normalizer == SOFTMAX ? T(exp)((z - shift) * temperature) : T(weigh)(normalizer, z, temperature);
    return weight * T(all)(factor) / T(all)(divisor);
}

/* Turn the logits of a whole row into weights. */
static void T(finish_weights)(const struct call *call, const struct T(row) *row, REAL factor, REAL divisor, int nan_row,
                              REAL *weights) {
    const VECTOR hidden = T(all)((REAL)-INFINITY), zero = {0}, nan = T(all)((REAL)NAN);
    for (int64_t k = 0; k < call->n_keys; k += LANES) {
        const int64_t left = call->n_keys - k, present = left < LANES ? left : LANES;
        VECTOR z = {0};
        memcpy(&z, weights + k, present * sizeof(REAL));
        const T(mask) unseen = z == hidden;
        VECTOR weight = nan_row ? nan : T(final_weight)(call, row, z, factor, divisor);
        weight = T(select)(unseen, zero, weight);
        memcpy(weights + k, &weight, present * sizeof(REAL));
    }
}

#include "ranking.h"

/* Write maximum, logsumexp, output, weights and ranking of a row whose spans are merged. */
static void T(finish_row)(struct call *call, const struct T(row) *row, const REAL *totals) {
    const int64_t at = row->matrix * call->n_queries + row->query, width = call->output ? call->n_value_features : 0;
    REAL maximum = row->total_maximum, factor = 1, divisor = 1;
    const REAL sum = row->total_sum;
    int nan_row = row->not_finite && call->nan_rows, unsafe = 0;
    if (row->not_finite && maximum < INFINITY) maximum = NAN;
    if (call->normalizer == SOFTMAX) {
        nan_row = sum != sum;
        if (nan_row && maximum < INFINITY) maximum = NAN;
        /* In double: rounding 1/T and each step would cost the logsumexp two units in the last place. */
        const double exponent = (double)maximum * call->temperature[row->matrix];
        double largest = exponent;
        divisor = sum;
        if (call->sink) {
            const double sink = call->sink[row->matrix];
            largest = sink > exponent ? sink : exponent;
            factor = T(exp_of)((REAL)(exponent - largest));
            divisor = sum * factor + T(exp_of)((REAL)(sink - largest));
        }
        if (call->logsumexp)
            ((REAL *)call->logsumexp)[at] = nan_row        ? maximum
                                            : divisor == 0 ? (REAL)-INFINITY
                                                           : (REAL)(largest + log((double)divisor));
        if (divisor == 0) divisor = 1; /* no visible key: all sums are 0 */
    } else if (call->normalizer == PROPORTIONAL || call->normalizer == RELU) {
        divisor = sum == 0 ? 1 : sum;
        unsafe = !nan_row && !(divisor < INFINITY);
        unsafe |= call->normalizer == PROPORTIONAL && row->negative;
    }
    ((REAL *)call->maximum)[at] = maximum;
    if (call->divisor) ((REAL *)call->divisor)[at] = divisor / factor;
    REAL *output = (REAL *)call->output + at * width, zeros = 0;
    for (int64_t c = 0; c < width; c++) {
        output[c] = nan_row ? (REAL)NAN : totals[c] * factor / divisor;
        zeros += output[c] * 0;
    }
    /* What becomes of NaN and infinity among sums of either sign is NumPy's to say. */
    unsafe |= nan_row || row->not_finite || zeros != 0 || !(maximum < INFINITY);
    call->unsafe[at] = unsafe;
    if (unsafe) __atomic_fetch_add(&call->unsafe_rows, 1, __ATOMIC_RELAXED);
    if (!(maximum - maximum == 0)) __atomic_fetch_add(&call->notable_rows, 1, __ATOMIC_RELAXED);
    if (call->weights) T(finish_weights)(call, row, factor, divisor, nan_row, T(in_matrix)(call, call->weights, row, 0));
    if (call->n_ranked) T(rank_row)(call, row, factor, divisor);
}

/* Whether a row sees at most FEW_KEYS keys, however its mask is written. */
static int T(sees_few_keys)(const struct call *call, const struct T(row) *row) {
    const int64_t first = row->first > 0 ? row->first : 0, end = row->end < call->n_keys ? row->end : call->n_keys;
    if (end - first <= FEW_KEYS) return 1;
    if (!call->allowed) return 0;
    const uint8_t *allowed = call->allowed + call->allowed_at[row->matrix] + row->query * call->allowed_row_stride;
    int64_t seen = 0;
    for (int64_t k = first; k < end && seen <= FEW_KEYS; k++) seen += allowed[k * call->allowed_key_stride] != 0;
    return seen <= FEW_KEYS;
}

/* Start a row: its matrix and query, its range and its parameters. */
static void T(place_row)(const struct call *call, int64_t matrix, int64_t query, struct T(row) *row) {
    *row = (struct T(row)){.matrix = matrix, .query = query, .end = call->n_keys, .total_maximum = -INFINITY};
    row->scale = (REAL)call->scale[matrix];
    row->temperature = (REAL)call->temperature[matrix];
    if (call->first_key) {
        const int64_t at = call->range_at[matrix] + query;
        row->first = call->first_key[at];
        row->end = call->end_key[at];
    }
}

/* Start a row of the forward pass. */
static void T(start_row)(const struct call *call, int64_t matrix, int64_t query, struct T(row) *row) {
    T(place_row)(call, matrix, query, row);
    row->few = T(sees_few_keys)(call, row);
}
