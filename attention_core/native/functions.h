/* exp and tanh of vectors, and of single numbers through the same operations. */
#ifndef ATTENTION_FUNCTIONS_H
#define ATTENTION_FUNCTIONS_H

#include "vectors.h"

/* 2^n as a factor, for integral n between −126 and 127 (−1022 and 1023). */
INLINE float_vector power_float(float_vector n) {
    return (float_vector)((__builtin_convertvector(n, int32_vector) + 127) << 23);
}
INLINE double_vector power_double(double_vector n) {
    /* n + 1.5·2^52 has n in its low bits: no instruction converts to 64-bit integers before AVX-512DQ. */
    int64_vector bits = (int64_vector)(n + (6755399441055744.0 + 1023.0));
    return (double_vector)(bits << 52);
}

/* exp(x) for x ≤ 0, 0 from −104 (−746) on; NaN stays NaN.  Relative error below 2 units in the last place.
 * x = n ln 2 + r with |r| ≤ ln 2 / 2; exp(r) is a polynomial of degree 6, fitted so that its largest relative error is
 * 3.1e-9 (or the Taylor polynomial of degree 13). */
INLINE float_vector exp_float(float_vector x) {
    x = max_float(all_float(-104.0f), x);
    const float_vector magic = all_float(12582912.0f); /* 1.5 · 2^23: adding it rounds to an integer */
    float_vector n = (x * 1.44269504088896341f + magic) - magic;
    float_vector r = fma_float(n, all_float(-0.693145751953125f), x);
    r = fma_float(n, all_float(-1.42860682030941723212e-6f), r);
    float_vector p = all_float(1.3814320587907e-3f);
    p = fma_float(p, r, all_float(8.3688511541096e-3f));
    p = fma_float(p, r, all_float(4.1668401089842e-2f));
    p = fma_float(p, r, all_float(1.6666519523356e-1f));
    p = fma_float(p, r, all_float(4.9999993373042e-1f));
    p = fma_float(p, r, all_float(1.0f));
    p = fma_float(p, r, all_float(1.0f));
#if defined(__AVX512F__)
    return (float_vector)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    float_vector half = (n * 0.5f + magic) - magic; /* in two steps, so that the result may be subnormal */
    return p * power_float(half) * power_float(n - half);
#endif
}

INLINE double_vector exp_double(double_vector x) {
    x = max_double(all_double(-746.0), x);
    const double_vector magic = all_double(6755399441055744.0); /* 1.5 · 2^52 */
    double_vector n = (x * 1.44269504088896340736 + magic) - magic;
    double_vector r = fma_double(n, all_double(-0.693147180369123816490), x);
    r = fma_double(n, all_double(-1.90821492927058770002e-10), r);
    static const double inverse_factorials[] = {
        1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720,
        1.0 / 120,       1.0 / 24,       1.0 / 6,       0.5,          1.0,         1.0};
    double_vector p = all_double(1.0 / 6227020800.0);
#pragma GCC unroll 13
    for (int i = 0; i < 13; i++) p = fma_double(p, r, all_double(inverse_factorials[i]));
#if defined(__AVX512F__)
    return (double_vector)_mm512_scalef_pd((__m512d)p, (__m512d)n);
#else
    double_vector half = (n * 0.5 + magic) - magic;
    return p * power_double(half) * power_double(n - half);
#endif
}

/* tanh(x): near 0 by the approximations of Moshier's Cephes library (tanhf.c, tanh.c), which keep the relative error
 * small, else 1 − 2e^−2|x| / (1 + e^−2|x|), of which only a small part is rounded before the end, with the sign of x. */
INLINE float_vector tanh_float(float_vector x) {
    const float_vector one = all_float(1.0f), size = max_float(x, -x), z = x * x;
    float_vector p = all_float(-5.70498872745e-3f);
    p = fma_float(p, z, all_float(2.06390887954e-2f));
    p = fma_float(p, z, all_float(-5.37397155531e-2f));
    p = fma_float(p, z, all_float(1.33314422036e-1f));
    p = fma_float(p, z, all_float(-3.33332819422e-1f));
    const float_vector near = fma_float(p * z, x, x), tail = exp_float(size * -2.0f);
    const float_vector far = one - (tail + tail) / (one + tail);
    const int32_vector sign = (int32_vector)x & (int32_vector)all_float(-0.0f);
    return select_float(size < 0.625f, near, (float_vector)((int32_vector)far | sign));
}
INLINE double_vector tanh_double(double_vector x) {
    const double_vector one = all_double(1.0), size = max_double(x, -x), z = x * x;
    double_vector p = all_double(-9.64399179425052238628e-1), q = z + 1.12811678491632931402e2;
    p = fma_double(p, z, all_double(-9.92877231001918586564e1));
    p = fma_double(p, z, all_double(-1.61468768441708447952e3));
    q = fma_double(q, z, all_double(2.23548839060100448583e3));
    q = fma_double(q, z, all_double(4.84406305325125486048e3));
    const double_vector near = fma_double(x * z, p / q, x), tail = exp_double(size * -2.0);
    const double_vector far = one - (tail + tail) / (one + tail);
    const int64_vector sign = (int64_vector)x & (int64_vector)all_double(-0.0);
    return select_double(size < 0.625, near, (double_vector)((int64_vector)far | sign));
}

INLINE float exp_of_float(float x) { return exp_float(all_float(x))[0]; }
INLINE double exp_of_double(double x) { return exp_double(all_double(x))[0]; }
INLINE float fma_of_float(float a, float b, float c) { return fma_float(all_float(a), all_float(b), all_float(c))[0]; }
INLINE double fma_of_double(double a, double b, double c) {
    return fma_double(all_double(a), all_double(b), all_double(c))[0];
}
#endif
