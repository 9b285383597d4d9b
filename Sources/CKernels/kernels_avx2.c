/// The path for CPUs with AVX2 and FMA: a vector of 16 lanes is two registers of 16.
#include "kernels.h"

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define CK_TABLE ck_kernels_avx2
#define CK_SUBTILE_ROWS 2
#define CK_SUBTILE_COLUMNS 2
#define CK_VALUE_ROWS 2
#define CK_VALUE_VECTORS 2
#include "checksum_template.h"
#include "kernels_template.h"
#pragma clang attribute pop
#endif
