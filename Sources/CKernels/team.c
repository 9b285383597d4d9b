#define _GNU_SOURCE
#include "team.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/// The team's state is one word, so that a thread can join a call by one exchange:
/// the call's generation, whether threads may join it, and how many have joined.
enum {
    STATE_JOINED = 0x7f,
    STATE_OPEN = 0x80,
    STATE_GENERATION = 0x100,
};

/// How often a thread looks at the state before it parks: 5 to 20 microseconds, by the length of
/// the CPU's pause instruction. That is more than the time between two calls of one step and less
/// than what an idle engine would be blamed for.
enum { SPINS_BEFORE_PARKING = 500 };

struct ck_team {
    const ck_kernels *kernels;
    unsigned threads;
    unsigned started;
    pthread_t handles[CK_MAXIMUM_THREADS];
    /// Written by the caller while no thread has joined, read by those that have.
    ck_part part;
    const void *call;
    size_t count;
    _Alignas(64) atomic_uint state;
    _Alignas(64) atomic_size_t next;
    _Alignas(64) atomic_uint parked;
    atomic_bool ending;
};

typedef struct {
    ck_team *team;
    unsigned worker;
} worker_start;

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/// futex(2). Spurious returns are expected by every caller.
static void park(atomic_uint *word, unsigned seen) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void wake(atomic_uint *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void run_parts(ck_team *team, unsigned worker) {
    for (;;) {
        size_t index = atomic_fetch_add_explicit(&team->next, 1, memory_order_relaxed);
        if (index >= team->count) return;
        team->part(team->call, index, worker);
    }
}

/// The state once it differs from `seen`, or `seen` itself when the team ends.
static unsigned wait_for_change(ck_team *team, unsigned seen) {
    for (unsigned spins = 0;; spins++) {
        unsigned state = atomic_load_explicit(&team->state, memory_order_acquire);
        if (state != seen || atomic_load(&team->ending)) return state;
        if (spins < SPINS_BEFORE_PARKING) {
            pause_briefly();
        } else {
            // Sequentially consistent on both sides: either the caller sees a parked thread and
            // wakes it, or the futex finds a changed state and does not sleep.
            atomic_fetch_add(&team->parked, 1);
            park(&team->state, seen);
            atomic_fetch_sub(&team->parked, 1);
        }
    }
}

static void *work(void *argument) {
    worker_start start = *(worker_start *)argument;
    free(argument);
    ck_team *team = start.team;
    unsigned finished = 0;
    unsigned state = atomic_load_explicit(&team->state, memory_order_acquire);
    while (!atomic_load(&team->ending)) {
        unsigned generation = state / STATE_GENERATION;
        if (!(state & STATE_OPEN) || generation == finished) {
            state = wait_for_change(team, state);
            continue;
        }
        if (!atomic_compare_exchange_weak_explicit(&team->state, &state, state + 1,
                                                   memory_order_acquire, memory_order_acquire)) {
            continue;
        }
        run_parts(team, start.worker);
        finished = generation;
        unsigned before = atomic_fetch_sub_explicit(&team->state, 1, memory_order_acq_rel);
        // The caller parks on the state once it has closed the call.
        if (!(before & STATE_OPEN) && (before & STATE_JOINED) == 1) wake(&team->state);
        state = before - 1;
    }
    return NULL;
}

void ck_team_run(ck_team *team, ck_part part, const void *call, size_t count) {
    if (team->threads == 1 || count <= 1) {
        for (size_t index = 0; index < count; index++) part(call, index, 0);
        return;
    }
    team->part = part;
    team->call = call;
    team->count = count;
    atomic_store_explicit(&team->next, 0, memory_order_relaxed);
    unsigned state = atomic_load_explicit(&team->state, memory_order_relaxed);
    atomic_store(&team->state, (state & ~(STATE_GENERATION - 1u)) + STATE_GENERATION + STATE_OPEN);
    if (atomic_load(&team->parked) > 0) wake(&team->state);
    run_parts(team, 0);
    state = atomic_fetch_and_explicit(&team->state, ~(unsigned)STATE_OPEN, memory_order_acq_rel)
        & ~(unsigned)STATE_OPEN;
    // A thread that has not joined by now finds the call closed and is not waited for.
    for (unsigned spins = 0; state & STATE_JOINED; spins++) {
        if (spins < SPINS_BEFORE_PARKING) {
            pause_briefly();
        } else {
            park(&team->state, state);
        }
        state = atomic_load_explicit(&team->state, memory_order_acquire);
    }
}

const ck_kernels *ck_team_kernels(const ck_team *team) {
    return team->kernels;
}

unsigned ck_team_threads(const ck_team *team) {
    return team->threads;
}

static int start_worker(ck_team *team, unsigned worker) {
    worker_start *start = malloc(sizeof *start);
    if (start == NULL) return ENOMEM;
    *start = (worker_start){team, worker};
    // Signals are for the threads that the application has set up to take them.
    sigset_t all, previous;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &previous);
    int failure = pthread_create(&team->handles[team->started], NULL, work, start);
    pthread_sigmask(SIG_SETMASK, &previous, NULL);
    if (failure != 0) {
        free(start);
        return failure;
    }
    pthread_setname_np(team->handles[team->started], "baton-kernels");
    team->started++;
    return 0;
}

ck_team *ck_team_create(ck_path path, unsigned threads) {
    const ck_kernels *kernels = ck_kernels_for(path);
    if (kernels == NULL) {
        errno = ENOTSUP;
        return NULL;
    }
    if (threads < 1 || threads > CK_MAXIMUM_THREADS) {
        errno = EINVAL;
        return NULL;
    }
    ck_team *team = aligned_alloc(_Alignof(ck_team), sizeof *team);
    if (team == NULL) return NULL;
    *team = (ck_team){.kernels = kernels, .threads = threads};
    for (unsigned worker = 1; worker < threads; worker++) {
        int failure = start_worker(team, worker);
        if (failure != 0) {
            ck_team_destroy(team);
            errno = failure;
            return NULL;
        }
    }
    return team;
}

void ck_team_destroy(ck_team *team) {
    atomic_store(&team->ending, true);
    // A new generation that cannot be joined: whoever is about to park finds the state changed.
    atomic_fetch_add(&team->state, STATE_GENERATION);
    wake(&team->state);
    for (unsigned index = 0; index < team->started; index++) {
        pthread_join(team->handles[index], NULL);
    }
    free(team);
}
