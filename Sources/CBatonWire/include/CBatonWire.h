#pragma once

#include <stddef.h>
#include <stdint.h>

#include "baton/v1/error.pb-c.h"
#include "baton/v1/frame.pb-c.h"
#include "baton/v1/link.pb-c.h"
#include "baton/v1/peer.pb-c.h"
#include "baton/v1/request.pb-c.h"

/// CRC-32C (Castagnoli; RFC 3720 section 12.1, vectors in its B.4) of `length` bytes.
///
/// `crc` is 0, or the result for the bytes before these. Uses the SSE4.2 instruction where the
/// processor has it.
uint32_t baton_crc32c(uint32_t crc, const void *bytes, size_t length);

/// The same by tables alone, for processors without the instruction and for comparing.
uint32_t baton_crc32c_portable(uint32_t crc, const void *bytes, size_t length);

/// Memory of one message while it is packed or unpacked: allocations are cut from chunks that are
/// freed together, and their sum has a limit, because a few bytes on the wire can ask for many in
/// memory.
typedef struct baton_arena baton_arena;

/// An arena whose first chunk has room for `first` bytes and that gives out `limit` bytes at most.
/// Returns NULL where malloc(3) does.
baton_arena *baton_arena_create(size_t first, size_t limit);

/// `size` bytes aligned for any type, not zeroed; NULL past the limit.
void *baton_arena_allocate(baton_arena *arena, size_t size);

/// The arena as protobuf-c wants it; valid for as long as the arena.
ProtobufCAllocator *baton_arena_allocator(baton_arena *arena);

void baton_arena_destroy(baton_arena *arena);

/// The message that a frame of this `baton.v1.MessageType` carries; NULL for a number that is not
/// in the list. The table is generated with the messages.
const ProtobufCMessageDescriptor *baton_message_descriptor(uint32_t type);
