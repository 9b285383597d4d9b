/*
 * What Baton uses of libzstd: one frame at a time, bounded. ZSTD_CONTENTSIZE_* and ZSTD_isError are
 * easier to use from C.
 */
#ifndef CZSTD_H
#define CZSTD_H

#include <stddef.h>
#include <stdint.h>

/* ZSTD_createCCtx and ZSTD_createDCtx; NULL without memory. */
typedef struct czstd_compressor czstd_compressor;
typedef struct czstd_decompressor czstd_decompressor;

czstd_compressor *_Nullable czstd_compressor_create(void);
void czstd_compressor_free(czstd_compressor *_Nullable compressor);

czstd_decompressor *_Nullable czstd_decompressor_create(void);
void czstd_decompressor_free(czstd_decompressor *_Nullable decompressor);

/*
 * One frame that declares its content's size, at most `capacity` bytes long; 0 if it would be
 * longer or fails otherwise.
 */
size_t czstd_compress(czstd_compressor *_Nonnull compressor, void *_Nonnull target,
                      size_t capacity, const void *_Nonnull source, size_t length);

/*
 * The size that the one zstd frame in `source` declares for its content: -1 if `source` is
 * anything else than one frame, -2 if it declares none. Reads the headers only.
 */
int64_t czstd_content_size(const void *_Nonnull source, size_t length);

/* Writes exactly `content` bytes; 0 on success, or what is wrong in words. */
const char *_Nullable czstd_decompress(czstd_decompressor *_Nonnull decompressor,
                                       void *_Nonnull target, size_t content,
                                       const void *_Nonnull source, size_t length);

#endif
