#include <stdalign.h>
#include <stdlib.h>

#include "CBatonWire.h"

#define ALIGNMENT alignof(max_align_t)
#define MINIMUM_CHUNK 4096

typedef struct chunk {
    struct chunk *before;
    alignas(max_align_t) unsigned char bytes[];
} chunk;

struct baton_arena {
    ProtobufCAllocator allocator;
    // The chunk that is being filled and what is free in it; earlier ones hang behind it.
    chunk *last;
    unsigned char *next;
    size_t free;
    // What may still be given out.
    size_t limit;
};

static void *allocate(void *arena, size_t size)
{
    return baton_arena_allocate(arena, size);
}

// Everything is freed with the arena.
static void keep(void *arena, void *pointer)
{
    (void)arena;
    (void)pointer;
}

baton_arena *baton_arena_create(size_t first, size_t limit)
{
    // The first chunk and the arena share one allocation, as most messages need no more.
    baton_arena *arena = malloc(sizeof *arena + ALIGNMENT + first);
    if (!arena)
        return NULL;
    uintptr_t start = (uintptr_t)(arena + 1);
    start = (start + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);
    *arena = (baton_arena){
        .allocator = {.alloc = allocate, .free = keep, .allocator_data = arena},
        .last = NULL,
        .next = (unsigned char *)start,
        .free = first,
        .limit = limit,
    };
    return arena;
}

void *baton_arena_allocate(baton_arena *arena, size_t size)
{
    if (size > arena->limit)
        return NULL;
    size_t rounded = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (rounded > arena->limit)
        return NULL;
    if (rounded > arena->free) {
        size_t room = rounded > MINIMUM_CHUNK ? rounded : MINIMUM_CHUNK;
        chunk *added = malloc(sizeof *added + room);
        if (!added)
            return NULL;
        added->before = arena->last;
        arena->last = added;
        arena->next = added->bytes;
        arena->free = room;
    }
    unsigned char *pointer = arena->next;
    arena->next += rounded;
    arena->free -= rounded;
    arena->limit -= rounded;
    return pointer;
}

ProtobufCAllocator *baton_arena_allocator(baton_arena *arena)
{
    return &arena->allocator;
}

void baton_arena_destroy(baton_arena *arena)
{
    for (chunk *each = arena->last; each;) {
        chunk *before = each->before;
        free(each);
        each = before;
    }
    free(arena);
}
