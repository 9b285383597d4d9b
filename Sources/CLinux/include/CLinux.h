/*
 * What Baton needs of Linux and Swift cannot call by itself: functions behind feature macros,
 * variadic ones (fcntl), macros (CMSG_*), and atomics on memory that is shared between processes.
 *
 * Every function retries when a signal interrupts it, and returns a negative errno on failure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define CLINUX_SEAL_SEAL 0x0001         /* F_SEAL_SEAL */
#define CLINUX_SEAL_SHRINK 0x0002       /* F_SEAL_SHRINK */
#define CLINUX_SEAL_GROW 0x0004         /* F_SEAL_GROW */
#define CLINUX_SEAL_FUTURE_WRITE 0x0010 /* F_SEAL_FUTURE_WRITE */

/* The text of an errno; strerror(3) may share its buffer between threads. */
const char *_Nonnull clinux_error_text(int error);

/*
 * memfd_create(2) with sealing allowed, closed on exec, not executable where the kernel knows
 * MFD_NOEXEC_SEAL (Linux 6.3); on 2 MiB hugetlb pages if `huge`. Behind _GNU_SOURCE.
 */
int clinux_memory_file(const char *_Nonnull name, int huge);

/* fallocate(2): takes the pages now, so that a lack of huge pages is an error and no SIGBUS. */
int clinux_allocate(int fd, size_t length);

/* fcntl(2) F_ADD_SEALS and F_GET_SEALS: variadic. */
int clinux_add_seals(int fd, int seals);
int clinux_get_seals(int fd);

/*
 * mmap(2), shared, at an address that is a multiple of `alignment` (a power of two of at least
 * one page): the kernel maps a huge page as one only where address and file offset agree.
 */
int clinux_map_shared(int fd, size_t length, int writable, size_t alignment,
                      void *_Nullable *_Nonnull address);

/*
 * Asks for huge pages of `huge` bytes in a mapping that is aligned to them and not yet populated.
 *
 * madvise(2) MADV_HUGEPAGE works where the system's shmem_enabled allows it; MADV_COLLAPSE
 * (Linux 6.1) whatever that says, but only where a page is present already, so a writable mapping
 * gets the first page of each huge one before. Best effort: what cannot be huge stays as it is.
 */
void clinux_make_huge(void *_Nonnull address, size_t length, int writable, size_t page,
                      size_t huge);

/*
 * prctl(2) PR_SET_THP_DISABLE and PR_GET_THP_DISABLE: variadic. The first lets the process have no
 * transparent huge page from now on, whatever is asked for.
 */
int clinux_forbid_huge(void);
int clinux_is_huge_forbidden(void);

/*
 * Makes every page present: MADV_POPULATE_READ or _WRITE (Linux 5.14), before that a touch of
 * each page. Where it can, it fails with an errno instead of a SIGBUS; -EFAULT for memory that
 * cannot be touched so.
 */
int clinux_populate(void *_Nonnull address, size_t length, int writing, size_t page);

/* pthread_setname_np(3) of the calling thread, at most 15 bytes: behind _GNU_SOURCE. */
void clinux_name_thread(const char *_Nonnull name);

/* eventfd(2), closed on exec and not blocking: not in Swift's module map. */
int clinux_event(void);

/*
 * Unix sockets of type SOCK_SEQPACKET: connections, but every send arrives as one message.
 * A name that starts with '@' is in the abstract namespace (unix(7)), any other is a path.
 */
int clinux_unix_socket(void);
int clinux_unix_listen(int fd, const char *_Nonnull name, size_t length, int backlog);
int clinux_unix_connect(int fd, const char *_Nonnull name, size_t length);
int clinux_unix_accept(int fd);

/*
 * SO_RCVTIMEO and SO_SNDTIMEO (socket(7)), in milliseconds, 0 for none: take a struct timeval
 * through a void pointer.
 */
int clinux_set_timeouts(int fd, unsigned receiving, unsigned sending);

/* SO_PEERCRED (unix(7)): struct ucred is behind _GNU_SOURCE. */
int clinux_peer_credentials(int fd, pid_t *_Nonnull process, uid_t *_Nonnull user);

/*
 * sendmsg(2) of one message, with `passed` as SCM_RIGHTS unless it is negative: CMSG_* are macros.
 */
ssize_t clinux_send(int fd, const void *_Nonnull bytes, size_t length, int passed);

/*
 * recvmsg(2) of one message; `received` becomes the descriptor that came with it or -1. A message
 * or control data that does not fit is -EMSGSIZE, and what came with it is closed.
 */
ssize_t clinux_receive(int fd, void *_Nonnull bytes, size_t capacity, int *_Nonnull received);

/*
 * One cache line per KV block, in memory that peers map: Swift's Atomic cannot live there.
 *
 * The stamp is odd while the block is written and even when it is final; 0 is never written.
 */
typedef struct clinux_block_line {
    uint64_t stamp;
    uint64_t reserved[7];
} clinux_block_line;

_Static_assert(sizeof(clinux_block_line) == 64, "one cache line per block");

/* Writer, before the data: the odd stamp, then a fence that non-temporal stores do not pass. */
void clinux_stamp_begin(clinux_block_line *_Nonnull line, uint64_t odd);

/* Writer, after the data: drains non-temporal stores, then the even stamp with release. */
void clinux_stamp_end(clinux_block_line *_Nonnull line, uint64_t even);

/* The stamp, with acquire. */
uint64_t clinux_stamp_load(const clinux_block_line *_Nonnull line);

/*
 * Reader, before and after the data: how many of the lines, from the first on, have the expected
 * final stamp; `count` if all. An expected stamp that is odd or 0 never matches. The acquire
 * fences keep the reads of the data on their side of the check.
 *
 * In the header, because a sequence of blocks that lie apart is as many calls.
 */
static inline size_t clinux_stamps_match(const clinux_block_line *_Nonnull lines,
                                         const uint64_t *_Nonnull expected, size_t count)
{
    size_t index = 0;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    while (index < count) {
        uint64_t stamp = expected[index];
        if (stamp == 0 || (stamp & 1) != 0
            || __atomic_load_n(&lines[index].stamp, __ATOMIC_ACQUIRE) != stamp)
            break;
        ++index;
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return index;
}

/* Brings a line nearer that will be read soon; any address will do. */
static inline void clinux_prefetch(const clinux_block_line *_Nonnull line)
{
    __builtin_prefetch(line);
}

/*
 * Words of shared memory that the kernel marks when the thread that holds them ends, however it
 * ends: a robust list (get_robust_list(2), Documentation/locking/robust-futex-ABI.rst). That
 * happens before the address space of a killed process is taken down.
 *
 * A word that is held has the holder's thread id, as the holder's own pid namespace counts it, and
 * the bit for waiters, without which the kernel wakes nobody. Only the holder writes it, so that a
 * peer needs no more than a read-only mapping to wait for it.
 */
typedef struct clinux_liveness_word {
    uint32_t value;
    uint32_t reserved;
} clinux_liveness_word;

/* The kernel follows 2,048 entries of a robust list and no more. */
#define CLINUX_LIVENESS_WORDS 255

/* The holder's list, in memory of its own that no peer sees. */
typedef struct clinux_liveness clinux_liveness;

/* NULL without memory. `words` has room for CLINUX_LIVENESS_WORDS. */
clinux_liveness *_Nullable clinux_liveness_make(clinux_liveness_word *_Nonnull words);
void clinux_liveness_free(clinux_liveness *_Nonnull liveness);

/*
 * Makes the calling thread the holder of all words, in place of the mutexes that the C library
 * keeps in its robust list: a thread that holds words must use none of those.
 */
int clinux_liveness_hold(clinux_liveness *_Nonnull liveness);

/* The holder lets go: peers see the same as if it had died. Called on the thread that holds. */
void clinux_liveness_let_go(clinux_liveness *_Nonnull liveness);

/* Whether a word with this value has a holder that lives. */
int clinux_is_held(uint32_t value);

uint32_t clinux_word_load(const uint32_t *_Nonnull word);

/* Adds one to a word of this process and wakes all that wait for it. */
void clinux_word_advance(uint32_t *_Nonnull word);

/* How many words one thread can wait for: FUTEX_WAITV_MAX. */
#define CLINUX_WAIT_MAXIMUM 128

/*
 * Waits while every word has the value beside it: futex(2) for one word, futex_waitv (Linux 5.16)
 * for more. The place of a word that somebody was woken for, which may have its value still; or
 * -EAGAIN when one had another value already, -EINTR for a signal, -ENOSYS where the kernel cannot
 * wait for more than one.
 */
int clinux_wait_any(const uint32_t *_Nonnull const *_Nonnull words,
                    const uint32_t *_Nonnull values, size_t count);

/*
 * Blocking TCP sockets for bulk data: no delay, keepalive after 15 s, closed on exec.
 * `milliseconds` is how long connecting to each address may take, and then each send and receive.
 */
int clinux_tcp_connect(const char *_Nonnull host, uint16_t port, unsigned milliseconds);

/* Listens on the first address of `host`; `port` 0 takes a free one and becomes it. */
int clinux_tcp_listen(const char *_Nonnull host, uint16_t *_Nonnull port, int backlog);
int clinux_tcp_accept(int listener);

/* The most parts that one system call takes: IOV_MAX. */
#define CLINUX_MAXIMUM_PARTS 1024

/*
 * Sends all parts, takes what there is of up to `capacity` bytes, or fills all parts; `parts`
 * change on the way. 0 or how many bytes; or -EAGAIN when nothing could be sent or came for as long
 * as the socket's timeout says, -ECONNRESET when the other side has closed.
 */
int clinux_send_all(int fd, struct iovec *_Nonnull parts, size_t count);
ssize_t clinux_receive_some(int fd, void *_Nonnull bytes, size_t capacity);
int clinux_receive_all(int fd, struct iovec *_Nonnull parts, size_t count);

/*
 * Addresses as 16 bytes, IPv4 ones as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2).
 *
 * The one that packets to `peer` are sent from by the routing table: that of a connected datagram
 * socket, which sends nothing.
 */
int clinux_route_source(const uint8_t *_Nonnull peer, uint8_t *_Nonnull source);

/*
 * How many of the first bits of an address of a network interface all of its subnet have, by the
 * interface's netmask; -EADDRNOTAVAIL if it is not the interface's. For IPv4 96 more than usual.
 */
int clinux_prefix_bits(const uint8_t *_Nonnull address, uint32_t interface);
