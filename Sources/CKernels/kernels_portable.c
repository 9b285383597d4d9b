/// The path for any CPU. Without fused multiply-add instructions the compiler calls the C
/// library's fmaf, which IEEE 754 makes the same on every machine.
#include "kernels.h"

#define CK_TABLE ck_kernels_portable
#define CK_SUBTILE_ROWS 1
#define CK_SUBTILE_COLUMNS 2
#define CK_VALUE_ROWS 2
#define CK_VALUE_VECTORS 1
#include "checksum_template.h"
#include "kernels_template.h"
