/*
 * What a process that was handed a pool's descriptor could try in order to change the pool: every
 * way into shared memory that Linux has, in C because most of them are variadic or behind
 * _GNU_SOURCE.
 */
#pragma once

#include <stddef.h>

/* How many attacks there are. */
extern const int pool_attack_count;

/* What attack `index` does, in a word or two that name the call. */
const char *_Nonnull pool_attack_name(int index);

/*
 * Runs attack `index` against the memory of `fd`, `length` bytes long and mapped read-only at
 * `mapping`. The errno with which the kernel refused it, or 0 if it was not refused.
 */
int pool_attack(int index, int fd, void *_Nonnull mapping, size_t length);

/* The text of an errno's name, for example EPERM. */
const char *_Nonnull pool_attack_error(int error);
