#include <string.h>

#include "CBatonWire.h"

// The polynomial 0x1EDC6F41 with its bits reversed.
#define POLYNOMIAL 0x82F63B78u

static uint32_t table[8][256];

__attribute__((constructor)) static void fill_table(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) ? POLYNOMIAL : 0);
        table[0][byte] = crc;
    }
    for (int slice = 1; slice < 8; slice++)
        for (int byte = 0; byte < 256; byte++) {
            uint32_t before = table[slice - 1][byte];
            table[slice][byte] = (before >> 8) ^ table[0][before & 0xff];
        }
}

static uint64_t load64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return value;
}

uint32_t baton_crc32c_portable(uint32_t crc, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    crc = ~crc;
    // Slicing by 8: table[k] is the effect of a byte that k more bytes follow.
    for (; length >= 8; bytes += 8, length -= 8) {
        uint64_t word = load64(bytes) ^ crc;
        crc = table[7][word & 0xff] ^ table[6][(word >> 8) & 0xff] ^
              table[5][(word >> 16) & 0xff] ^ table[4][(word >> 24) & 0xff] ^
              table[3][(word >> 32) & 0xff] ^ table[2][(word >> 40) & 0xff] ^
              table[1][(word >> 48) & 0xff] ^ table[0][word >> 56];
    }
    for (; length > 0; bytes++, length--)
        crc = (crc >> 8) ^ table[0][(crc ^ *bytes) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(
    uint32_t crc, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    uint64_t state = (uint32_t)~crc;
    for (; length >= 8; bytes += 8, length -= 8)
        state = __builtin_ia32_crc32di(state, load64(bytes));
    uint32_t rest = (uint32_t)state;
    for (; length > 0; bytes++, length--)
        rest = __builtin_ia32_crc32qi(rest, *bytes);
    return ~rest;
}

uint32_t baton_crc32c(uint32_t crc, const void *data, size_t length)
{
    if (__builtin_cpu_supports("sse4.2"))
        return crc32c_sse42(crc, data, length);
    return baton_crc32c_portable(crc, data, length);
}

#else

uint32_t baton_crc32c(uint32_t crc, const void *data, size_t length)
{
    return baton_crc32c_portable(crc, data, length);
}

#endif
