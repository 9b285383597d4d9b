/// The path for CPUs with AVX-512: a vector of 16 lanes is one register of 32.
#include "kernels.h"

#if defined(__x86_64__)
#pragma clang attribute push( \
    __attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#define CK_TABLE ck_kernels_avx512
#define CK_SUBTILE_ROWS 4
#define CK_SUBTILE_COLUMNS 16
#define CK_VALUE_ROWS 4
#define CK_VALUE_VECTORS 4
#include "checksum_template.h"
#include "kernels_template.h"
#pragma clang attribute pop
#endif
