#include "CLinux.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Headers older than the running kernel lack it; one number on every architecture. */
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

struct clinux_liveness {
    struct robust_list_head head;
    struct robust_list_head *previous;
    size_t previous_length;
    clinux_liveness_word *words;
    struct robust_list nodes[CLINUX_LIVENESS_WORDS];
};

/* One offset leads the kernel from every node to its word. */
_Static_assert(sizeof(struct robust_list) == sizeof(clinux_liveness_word), "the same stride");

clinux_liveness *clinux_liveness_make(clinux_liveness_word *words)
{
    clinux_liveness *liveness = calloc(1, sizeof *liveness);
    if (liveness != NULL)
        liveness->words = words;
    return liveness;
}

void clinux_liveness_free(clinux_liveness *liveness)
{
    free(liveness);
}

int clinux_liveness_hold(clinux_liveness *liveness)
{
    struct robust_list *last = &liveness->head.list;
    for (size_t index = 0; index < CLINUX_LIVENESS_WORDS; ++index) {
        last->next = &liveness->nodes[index];
        last = last->next;
    }
    last->next = &liveness->head.list;
    liveness->head.futex_offset = (char *)&liveness->words[0].value - (char *)liveness->nodes;
    if (syscall(SYS_get_robust_list, 0, &liveness->previous, &liveness->previous_length) < 0
        || syscall(SYS_set_robust_list, &liveness->head, sizeof liveness->head) < 0)
        return -errno;
    uint32_t held = (uint32_t)syscall(SYS_gettid) | FUTEX_WAITERS;
    for (size_t index = 0; index < CLINUX_LIVENESS_WORDS; ++index)
        __atomic_store_n(&liveness->words[index].value, held, __ATOMIC_RELEASE);
    return 0;
}

void clinux_liveness_let_go(clinux_liveness *liveness)
{
    syscall(SYS_set_robust_list, liveness->previous, liveness->previous_length);
    for (size_t index = 0; index < CLINUX_LIVENESS_WORDS; ++index) {
        uint32_t *word = &liveness->words[index].value;
        __atomic_store_n(word, FUTEX_OWNER_DIED, __ATOMIC_RELEASE);
        syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    }
}

int clinux_is_held(uint32_t value)
{
    return (value & FUTEX_OWNER_DIED) == 0 && (value & FUTEX_TID_MASK) != 0;
}

uint32_t clinux_word_load(const uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

void clinux_word_advance(uint32_t *word)
{
    __atomic_fetch_add(word, 1, __ATOMIC_RELEASE);
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

int clinux_wait_any(const uint32_t *const *words, const uint32_t *values, size_t count)
{
    if (count == 1)
        return syscall(SYS_futex, words[0], FUTEX_WAIT, values[0], NULL, NULL, 0) < 0 ? -errno : 0;
    struct futex_waitv waits[CLINUX_WAIT_MAXIMUM];
    if (count > CLINUX_WAIT_MAXIMUM)
        return -EINVAL;
    for (size_t index = 0; index < count; ++index) {
        waits[index] = (struct futex_waitv){
            .val = values[index],
            .uaddr = (uintptr_t)words[index],
            .flags = FUTEX_32,
        };
    }
    long woken = syscall(SYS_futex_waitv, waits, (unsigned)count, 0, NULL, 0);
    return woken < 0 ? -errno : (int)woken;
}
