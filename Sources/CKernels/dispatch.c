#include "checksum.h"

bool ck_path_available(ck_path path) {
#if defined(__x86_64__)
    // The compiler's run-time asks CPUID, and XGETBV whether the kernel saves the registers.
    switch (path) {
    case CK_PORTABLE:
        return true;
    case CK_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case CK_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
            && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    }
    return false;
#else
    return path == CK_PORTABLE;
#endif
}

ck_path ck_fastest_path(void) {
    if (ck_path_available(CK_AVX512)) return CK_AVX512;
    if (ck_path_available(CK_AVX2)) return CK_AVX2;
    return CK_PORTABLE;
}

const ck_kernels *ck_kernels_for(ck_path path) {
    if (!ck_path_available(path)) return NULL;
    switch (path) {
    case CK_PORTABLE:
        return &ck_kernels_portable;
#if defined(__x86_64__)
    case CK_AVX2:
        return &ck_kernels_avx2;
    case CK_AVX512:
        return &ck_kernels_avx512;
#else
    case CK_AVX2:
    case CK_AVX512:
        return NULL;
#endif
    }
    return NULL;
}

const struct ck_stripe_kernels *ck_stripes_for(ck_path path) {
    const ck_kernels *kernels = ck_kernels_for(path);
    return (kernels == NULL ? &ck_kernels_portable : kernels)->stripes;
}

void ck_exponentials(ck_path path, const float *x, size_t count, float maximum, float temperature,
                     float *y) {
    const ck_kernels *kernels = ck_kernels_for(path);
    if (kernels == NULL) kernels = &ck_kernels_portable;
    kernels->exponentials(x, count, maximum, temperature, y);
}
