#if defined(__x86_64__)
#include <cpuid.h>

/* Conversions of IEEE binary16, which `__builtin_cpu_supports` of clang 14 does not accept. */
static int has_f16c(void) {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C;
}
#endif

/* The widest kernel that this processor runs: 2, 3 or 4 for x86-64-v2, -v3 and -v4, 1 for aarch64, 0 for none.
 *
 * The features are named one by one, because gcc 11 and clang 14 know no `__builtin_cpu_supports("x86-64-v3")`.
 */
__attribute__((visibility("default"))) int attention_widest_kernel(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("popcnt")) return 0;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi") ||
        !__builtin_cpu_supports("bmi2") || !has_f16c())
        return 2;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl"))
        return 3;
    return 4;
#elif defined(__aarch64__)
    return 1;
#else
    return 0;
#endif
}
