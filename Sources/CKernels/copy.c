#include "CKernels.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <emmintrin.h>

// Every x86-64 has SSE2, and wider stores are hardly faster here: memory is the limit.
void ck_copy_past_caches(void *target, const void *source, size_t count) {
    char *to = target;
    const char *from = source;
    // Streaming stores want their target on a multiple of 16.
    size_t head = (16 - ((uintptr_t)to & 15)) & 15;
    if (head > count)
        head = count;
    memcpy(to, from, head);
    to += head;
    from += head;
    count -= head;
    size_t whole = count & ~(size_t)63;
    for (size_t done = 0; done < whole; done += 64) {
        const char *line = from + done;
        __m128i a = _mm_loadu_si128((const __m128i *)line);
        __m128i b = _mm_loadu_si128((const __m128i *)(line + 16));
        __m128i c = _mm_loadu_si128((const __m128i *)(line + 32));
        __m128i d = _mm_loadu_si128((const __m128i *)(line + 48));
        // A prefetch past the end does nothing.
        _mm_prefetch((const char *)((uintptr_t)line + 1024), _MM_HINT_T0);
        __m128i *out = (__m128i *)(to + done);
        _mm_stream_si128(out, a);
        _mm_stream_si128(out + 1, b);
        _mm_stream_si128(out + 2, c);
        _mm_stream_si128(out + 3, d);
    }
    memcpy(to + whole, from + whole, count - whole);
    // Streaming stores may become visible after later ones, which would tell of them too early.
    _mm_sfence();
}

#else

void ck_copy_past_caches(void *target, const void *source, size_t count) {
    memcpy(target, source, count);
}

#endif
