/* Vectors of one instruction set: float and double, as wide as its registers.
 *
 * Every operation rounds in one way whatever the height of a tile is: a product and a sum are fused only where `fma` is
 * written, and lanes are summed in one order.  x86-64-v2 has no fused product; there `fma` rounds twice.
 */
#ifndef ATTENTION_VECTORS_H
#define ATTENTION_VECTORS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* Rows of a tile: their sums (two vectors a row), two vectors of keys and a broadcast fill the registers. */
#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define TILE_ROWS 14
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#define TILE_ROWS 6
#elif defined(__aarch64__)
#define VECTOR_BYTES 16
#define TILE_ROWS 12
#else
#define VECTOR_BYTES 16
#define TILE_ROWS 6
#endif

#define INLINE static inline __attribute__((always_inline))

typedef float float_vector __attribute__((vector_size(VECTOR_BYTES)));
typedef double double_vector __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t int32_vector __attribute__((vector_size(VECTOR_BYTES)));
typedef int64_t int64_vector __attribute__((vector_size(VECTOR_BYTES)));
typedef float unaligned_float_vector __attribute__((vector_size(VECTOR_BYTES), aligned(4)));
typedef double unaligned_double_vector __attribute__((vector_size(VECTOR_BYTES), aligned(8)));
typedef uint32_t uint32_vector __attribute__((vector_size(VECTOR_BYTES)));
typedef uint16_t uint16_vector __attribute__((vector_size(VECTOR_BYTES / 2)));
typedef uint16_t whole_uint16_vector __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_vector mask_float;
typedef int64_vector mask_double;

INLINE float_vector select_float(int32_vector mask, float_vector yes, float_vector no) {
    return (float_vector)(((int32_vector)yes & mask) | ((int32_vector)no & ~mask));
}
INLINE double_vector select_double(int64_vector mask, double_vector yes, double_vector no) {
    return (double_vector)(((int64_vector)yes & mask) | ((int64_vector)no & ~mask));
}

/* fma(a, b, c) = a · b + c.  max(a, b) is b where either is NaN. */
#define FLOATS float_vector a, float_vector b
#define DOUBLES double_vector a, double_vector b
#if defined(__AVX512F__)
INLINE float_vector fma_float(FLOATS, float_vector c) {
    return (float_vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
INLINE double_vector fma_double(DOUBLES, double_vector c) {
    return (double_vector)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
INLINE float_vector max_float(FLOATS) { return (float_vector)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE double_vector max_double(DOUBLES) { return (double_vector)_mm512_max_pd((__m512d)a, (__m512d)b); }
#elif defined(__AVX2__)
INLINE float_vector fma_float(FLOATS, float_vector c) {
    return (float_vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
INLINE double_vector fma_double(DOUBLES, double_vector c) {
    return (double_vector)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
INLINE float_vector max_float(FLOATS) { return (float_vector)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE double_vector max_double(DOUBLES) { return (double_vector)_mm256_max_pd((__m256d)a, (__m256d)b); }
#elif defined(__aarch64__)
INLINE float_vector fma_float(FLOATS, float_vector c) {
    return (float_vector)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
INLINE double_vector fma_double(DOUBLES, double_vector c) {
    return (double_vector)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
INLINE float_vector max_float(FLOATS) { return select_float(a > b, a, b); }
INLINE double_vector max_double(DOUBLES) { return select_double(a > b, a, b); }
#else
INLINE float_vector fma_float(FLOATS, float_vector c) { return a * b + c; }
INLINE double_vector fma_double(DOUBLES, double_vector c) { return a * b + c; }
INLINE float_vector max_float(FLOATS) { return (float_vector)_mm_max_ps((__m128)a, (__m128)b); }
INLINE double_vector max_double(DOUBLES) { return (double_vector)_mm_max_pd((__m128d)a, (__m128d)b); }
#endif
#undef FLOATS
#undef DOUBLES

/* Numbers of two bytes as floats, exactly: the upper halves of floats, and IEEE binary16. */
#if defined(__AVX512F__)
INLINE float_vector widen_bfloat(uint16_vector x) { return (float_vector)((uint32_vector)_mm512_cvtepu16_epi32((__m256i)x) << 16); }
INLINE float_vector widen_half(uint16_vector x) { return (float_vector)_mm512_cvtph_ps((__m256i)x); }
#elif defined(__F16C__) && defined(__AVX2__)
INLINE float_vector widen_bfloat(uint16_vector x) { return (float_vector)((uint32_vector)_mm256_cvtepu16_epi32((__m128i)x) << 16); }
INLINE float_vector widen_half(uint16_vector x) { return (float_vector)_mm256_cvtph_ps((__m128i)x); }
#elif defined(__aarch64__)
INLINE float_vector widen_bfloat(uint16_vector x) { return (float_vector)vshll_n_u16((uint16x4_t)x, 16); }
INLINE float_vector widen_half(uint16_vector x) { return (float_vector)vcvt_f32_f16((float16x4_t)x); }
#else
INLINE float_vector widen_bfloat(uint16_vector x) { return (float_vector)(__builtin_convertvector(x, uint32_vector) << 16); }
INLINE float_vector widen_half(uint16_vector x) {
    const uint32_vector bits = __builtin_convertvector(x, uint32_vector), size = bits & 0x7fff;
    /* The exponent is biased by 127 instead of 15; that of infinity and NaN goes from 31 to 255. */
    const uint32_vector special = (uint32_vector)(size >= 0x7c00) & (112u << 23);
    const float_vector normal = (float_vector)((size << 13) + (112u << 23) + special);
    const float_vector subnormal = __builtin_convertvector((int32_vector)size, float_vector) * 0x1p-24f;
    const float_vector magnitude = select_float((int32_vector)(size < 0x400), subnormal, normal);
    return (float_vector)((uint32_vector)magnitude | (bits & 0x8000) << 16);
}
#endif

INLINE float_vector all_float(float x) { return x - (float_vector){0}; }
INLINE double_vector all_double(double x) { return x - (double_vector){0}; }

/* The lanes from `width` on, moved down to lane 0; `width` is a power of two and known to the compiler. */
#define SHUFFLED(TYPE, MASK, LANES)                                                                                    \
    MASK index;                                                                                                        \
    for (int i = 0; i < (LANES); i++) index[i] = (i + width) % (LANES);                                                \
    return __builtin_shuffle(x, index);
#if defined(__clang__)
INLINE float_vector upper_float(float_vector x, int width) {
    float_vector moved = x;
    for (int i = 0; i + width < VECTOR_BYTES / 4; i++) moved[i] = x[i + width];
    return moved;
}
INLINE double_vector upper_double(double_vector x, int width) {
    double_vector moved = x;
    for (int i = 0; i + width < VECTOR_BYTES / 8; i++) moved[i] = x[i + width];
    return moved;
}
#else
INLINE float_vector upper_float(float_vector x, int width) { SHUFFLED(float_vector, int32_vector, VECTOR_BYTES / 4) }
INLINE double_vector upper_double(double_vector x, int width) { SHUFFLED(double_vector, int64_vector, VECTOR_BYTES / 8) }
#endif
#undef SHUFFLED

#if defined(__AVX512F__)
/* Turn 16 rows of 16 floats into columns: in registers, which the rows lose. */
INLINE void transpose_16(__m512 *r, __m512 *column) {
    __m512 t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = (__m512)_mm512_unpacklo_pd((__m512d)t[i], (__m512d)t[i + 2]);
        r[i + 1] = (__m512)_mm512_unpackhi_pd((__m512d)t[i], (__m512d)t[i + 2]);
        r[i + 2] = (__m512)_mm512_unpacklo_pd((__m512d)t[i + 1], (__m512d)t[i + 3]);
        r[i + 3] = (__m512)_mm512_unpackhi_pd((__m512d)t[i + 1], (__m512d)t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        column[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
        column[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
        column[i + 4] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0x88);
        column[i + 12] = _mm512_shuffle_f32x4(t[i + 4], t[i + 12], 0xdd);
    }
}
#endif
#endif
