/* Squares of 16 keys × 16 features, float, which registers of 64 bytes turn; included once, by `kernel.c`. */
#ifndef ATTENTION_SQUARES_H
#define ATTENTION_SQUARES_H
#if defined(__AVX512F__)

#define SQUARE 16
#define SQUARE_PANEL (2 * SQUARE) /* PANEL of the kernel in float */

/* Turn a square into vectors of one feature of its keys each.
 *
 * storage: of the keys; known to the compiler.
 * keys: feature 0 of key 0.
 * stride: from a key to the next, in numbers.
 */
INLINE void load_square(int storage, const void *keys, int64_t stride, __m512 *features) {
    __m512 rows[SQUARE];
    for (int i = 0; i < SQUARE; i++) {
        if (storage == COMPUTED) {
            rows[i] = _mm512_loadu_ps((const float *)keys + i * stride);
            continue;
        }
        uint16_vector x;
        memcpy(&x, (const uint16_t *)keys + i * stride, sizeof x);
        rows[i] = (__m512)(storage == HALF ? widen_half(x) : widen_bfloat(x));
    }
    transpose_16(rows, features);
}

/* Write a square as half of a panel. */
INLINE void pack_square(int storage, const void *keys, int64_t stride, float *panel) {
    __m512 features[SQUARE];
    load_square(storage, keys, stride, features);
    for (int i = 0; i < SQUARE; i++) _mm512_storeu_ps(panel + i * SQUARE_PANEL, features[i]);
}

/* The address of a number of keys of any storage. */
INLINE const void *number_at(int storage, const void *keys, int64_t at) {
    return storage == COMPUTED ? (const void *)((const float *)keys + at) : (const void *)((const uint16_t *)keys + at);
}

/* Read the keys of a panel in the order of their addresses, as `read_ahead` does. */
INLINE void read_panel_ahead(int storage, const void *keys, int64_t stride, int64_t n_features) {
    const int line = 64 / (storage == COMPUTED ? sizeof(float) : sizeof(uint16_t));
    for (int i = 0; i < SQUARE_PANEL; i++)
        for (int64_t c = 0; c < n_features; c += line)
            (void)*(const volatile char *)number_at(storage, keys, i * stride + c);
}

/* Turn the keys of a whole panel, of two bytes a number; the number of features is a multiple of SQUARE. */
INLINE void pack_stored_panel(int storage, const uint16_t *keys, int64_t stride, int64_t n_features, float *panel) {
    read_panel_ahead(storage, keys, stride, n_features);
    for (int64_t d = 0; d < n_features; d += SQUARE)
        for (int first = 0; first < SQUARE_PANEL; first += SQUARE)
            pack_square(storage, keys + first * stride + d, stride, panel + d * SQUARE_PANEL + first);
}

/* The products of one query and the keys of a whole panel, in the order of operations of `score_dot`, whose CHUNK is a
 * SQUARE: keys go from registers to the sums, and no panel is written. */
INLINE void score_square(int storage, const float *query, const void *keys, int64_t stride, int64_t n_features,
                         float *scores) {
    read_panel_ahead(storage, keys, stride, n_features);
    for (int first = 0; first < SQUARE_PANEL; first += SQUARE) {
        __m512 score = _mm512_setzero_ps();
        for (int64_t d = 0; d < n_features; d += SQUARE) {
            __m512 features[SQUARE], sum = _mm512_setzero_ps();
            load_square(storage, number_at(storage, keys, first * stride + d), stride, features);
            for (int i = 0; i < SQUARE; i++) sum = _mm512_fmadd_ps(_mm512_set1_ps(query[d + i]), features[i], sum);
            score = d ? _mm512_add_ps(score, sum) : sum;
        }
        _mm512_storeu_ps(scores + first, score);
    }
}

/* `score_square` for keys of any storage. */
static __attribute__((noinline)) void score_whole_panel(int64_t storage, const float *query, const void *keys, int64_t at,
                                                        int64_t stride, int64_t n_features, float *scores) {
    if (storage == COMPUTED) score_square(COMPUTED, query, number_at(COMPUTED, keys, at), stride, n_features, scores);
    else if (storage == HALF) score_square(HALF, query, number_at(HALF, keys, at), stride, n_features, scores);
    else score_square(BFLOAT, query, number_at(BFLOAT, keys, at), stride, n_features, scores);
}

#endif
#endif
