#include "CZstd.h"

#include <zstd.h>

/* The fastest level that still has an entropy stage (zstd manual, "compression levels"). */
enum { LEVEL = 1 };

czstd_compressor *czstd_compressor_create(void) { return (czstd_compressor *)ZSTD_createCCtx(); }

void czstd_compressor_free(czstd_compressor *compressor) { ZSTD_freeCCtx((ZSTD_CCtx *)compressor); }

czstd_decompressor *czstd_decompressor_create(void) {
    return (czstd_decompressor *)ZSTD_createDCtx();
}

void czstd_decompressor_free(czstd_decompressor *decompressor) {
    ZSTD_freeDCtx((ZSTD_DCtx *)decompressor);
}

size_t czstd_compress(czstd_compressor *compressor, void *target, size_t capacity,
                      const void *source, size_t length) {
    size_t written =
        ZSTD_compressCCtx((ZSTD_CCtx *)compressor, target, capacity, source, length, LEVEL);
    return ZSTD_isError(written) ? 0 : written;
}

int64_t czstd_content_size(const void *source, size_t length) {
    /* Neither skippable frames nor the formats of before 2016, which libraries may still read. */
    const unsigned char *bytes = source;
    if (length < 4 ||
        (bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (unsigned)bytes[3] << 24) != ZSTD_MAGICNUMBER)
        return -1;
    size_t frame = ZSTD_findFrameCompressedSize(source, length);
    if (ZSTD_isError(frame) || frame != length) return -1;
    unsigned long long content = ZSTD_getFrameContentSize(source, length);
    if (content == ZSTD_CONTENTSIZE_UNKNOWN) return -2;
    if (content == ZSTD_CONTENTSIZE_ERROR || content > INT64_MAX) return -1;
    return (int64_t)content;
}

const char *czstd_decompress(czstd_decompressor *decompressor, void *target, size_t content,
                             const void *source, size_t length) {
    size_t written =
        ZSTD_decompressDCtx((ZSTD_DCtx *)decompressor, target, content, source, length);
    if (ZSTD_isError(written)) return ZSTD_getErrorName(written);
    return written == content ? NULL : "fewer bytes than it declares";
}
