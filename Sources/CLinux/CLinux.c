#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* Headers older than the running kernel lack these; the values are of include/uapi/linux. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

_Static_assert(CLINUX_SEAL_SEAL == F_SEAL_SEAL, "fcntl.h");
_Static_assert(CLINUX_SEAL_SHRINK == F_SEAL_SHRINK, "fcntl.h");
_Static_assert(CLINUX_SEAL_GROW == F_SEAL_GROW, "fcntl.h");
_Static_assert(CLINUX_SEAL_FUTURE_WRITE == F_SEAL_FUTURE_WRITE, "fcntl.h");

/* The result of `call`, called again while a signal interrupts it. */
#define RETRY(result, call)                                                                       \
    do {                                                                                          \
        (result) = (call);                                                                        \
    } while ((result) < 0 && errno == EINTR)

const char *clinux_error_text(int error)
{
    const char *text = strerrordesc_np(error);
    return text ? text : "unknown error";
}

int clinux_memory_file(const char *name, int huge)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    if (huge)
        flags |= MFD_HUGETLB | MFD_HUGE_2MB;
    int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create(name, flags);
    return fd < 0 ? -errno : fd;
}

int clinux_allocate(int fd, size_t length)
{
    int result;
    RETRY(result, fallocate(fd, 0, 0, (off_t)length));
    return result < 0 ? -errno : 0;
}

int clinux_add_seals(int fd, int seals)
{
    return fcntl(fd, F_ADD_SEALS, seals) < 0 ? -errno : 0;
}

int clinux_get_seals(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    return seals < 0 ? -errno : seals;
}

int clinux_map_shared(int fd, size_t length, int writable, size_t alignment, void **address)
{
    /* Whole pages, because a peer's file may end inside one and munmap(2) starts at none but a
     * page's boundary. */
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (length > SIZE_MAX - alignment - page)
        return -ENOMEM;
    length = (length + page - 1) / page * page;
    /* Addresses are reserved with room to align, then the ends that are not needed go back. */
    size_t reserved = length + alignment;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *start = mmap(NULL, reserved, PROT_NONE, flags, -1, 0);
    if (start == MAP_FAILED)
        return -errno;
    char *aligned = (char *)(((uintptr_t)start + alignment - 1) & ~(uintptr_t)(alignment - 1));
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    if (mmap(aligned, length, protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
        int error = errno;
        munmap(start, reserved);
        return -error;
    }
    size_t before = (size_t)(aligned - start);
    size_t after = reserved - before - length;
    if (before > 0)
        munmap(start, before);
    if (after > 0)
        munmap(aligned + length, after);
    *address = aligned;
    return 0;
}

void clinux_make_huge(void *address, size_t length, int writable, size_t page, size_t huge)
{
    madvise(address, length, MADV_HUGEPAGE);
    if (writable) {
        for (size_t offset = 0; offset < length; offset += huge)
            madvise((char *)address + offset, page, MADV_POPULATE_WRITE);
    }
    madvise(address, length, MADV_COLLAPSE);
}

int clinux_forbid_huge(void)
{
    return prctl(PR_SET_THP_DISABLE, 1L, 0L, 0L, 0L) < 0 ? -errno : 0;
}

int clinux_is_huge_forbidden(void)
{
    return prctl(PR_GET_THP_DISABLE, 0L, 0L, 0L, 0L) > 0;
}

int clinux_populate(void *address, size_t length, int writing, size_t page)
{
    int result, advice = writing ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
    RETRY(result, madvise(address, length, advice));
    if (result == 0)
        return 0;
    if (errno != EINVAL)
        return -errno;
    /* Of no memory at all EINVAL is said by a kernel that does not know the advice. */
    if (madvise(address, 0, advice) == 0)
        return -EFAULT;
    for (size_t offset = 0; offset < length; offset += page) {
        /* Volatile, or the compiler leaves out what changes nothing. */
        volatile unsigned char *byte = (volatile unsigned char *)address + offset;
        if (writing)
            __atomic_fetch_or(byte, 0, __ATOMIC_RELAXED);
        else
            (void)__atomic_load_n(byte, __ATOMIC_RELAXED);
    }
    return 0;
}

void clinux_name_thread(const char *name)
{
    /* A name that is too long is refused as a whole, so it is cut here. */
    char cut[16];
    strncpy(cut, name, sizeof cut - 1);
    cut[sizeof cut - 1] = '\0';
    pthread_setname_np(pthread_self(), cut);
}

int clinux_event(void)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int clinux_unix_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/* Fills `address`; its length in the sense of bind(2), or 0 for a name that does not fit. */
static socklen_t unix_address(struct sockaddr_un *address, const char *name, size_t length)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (length == 0 || length >= sizeof address->sun_path)
        return 0;
    memcpy(address->sun_path, name, length);
    size_t used = length + 1;
    if (name[0] == '@') {
        /* An abstract name starts with a zero byte and has exactly the length given. */
        address->sun_path[0] = '\0';
        used = length;
    }
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + used);
}

int clinux_unix_listen(int fd, const char *name, size_t length, int backlog)
{
    struct sockaddr_un address;
    socklen_t size = unix_address(&address, name, length);
    if (size == 0)
        return -ENAMETOOLONG;
    if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, backlog) < 0)
        return -errno;
    return 0;
}

int clinux_unix_connect(int fd, const char *name, size_t length)
{
    struct sockaddr_un address;
    socklen_t size = unix_address(&address, name, length);
    if (size == 0)
        return -ENAMETOOLONG;
    int result;
    RETRY(result, connect(fd, (struct sockaddr *)&address, size));
    return result < 0 ? -errno : 0;
}

int clinux_unix_accept(int fd)
{
    int accepted;
    RETRY(accepted, accept4(fd, NULL, NULL, SOCK_CLOEXEC));
    return accepted < 0 ? -errno : accepted;
}

static struct timeval time_of(unsigned milliseconds)
{
    return (struct timeval){
        .tv_sec = milliseconds / 1000,
        .tv_usec = (suseconds_t)(milliseconds % 1000) * 1000,
    };
}

int clinux_set_timeouts(int fd, unsigned receiving, unsigned sending)
{
    struct timeval receive = time_of(receiving), send = time_of(sending);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive, sizeof receive) < 0
        || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send, sizeof send) < 0)
        return -errno;
    return 0;
}

int clinux_peer_credentials(int fd, pid_t *process, uid_t *user)
{
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
        return -errno;
    *process = credentials.pid;
    *user = credentials.uid;
    return 0;
}

ssize_t clinux_send(int fd, const void *bytes, size_t length, int passed)
{
    struct iovec piece = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    if (passed >= 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.space;
        message.msg_controllen = sizeof control.space;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof passed);
        memcpy(CMSG_DATA(header), &passed, sizeof passed);
    }
    ssize_t sent;
    RETRY(sent, sendmsg(fd, &message, MSG_NOSIGNAL));
    return sent < 0 ? -errno : sent;
}

ssize_t clinux_receive(int fd, void *bytes, size_t capacity, int *received)
{
    struct iovec piece = {.iov_base = bytes, .iov_len = capacity};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &piece,
        .msg_iovlen = 1,
        .msg_control = control.space,
        .msg_controllen = sizeof control.space,
    };
    *received = -1;
    ssize_t count;
    RETRY(count, recvmsg(fd, &message, MSG_CMSG_CLOEXEC));
    if (count < 0)
        return -errno;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        /* Alignment may leave room for a second descriptor, which nobody asked for. */
        size_t descriptors = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t index = 0; index < descriptors; ++index) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(header) + index * sizeof(int), sizeof descriptor);
            if (*received < 0)
                *received = descriptor;
            else
                close(descriptor);
        }
    }
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        if (*received >= 0)
            close(*received);
        *received = -1;
        return -EMSGSIZE;
    }
    return count;
}

void clinux_stamp_begin(clinux_block_line *line, uint64_t odd)
{
    __atomic_store_n(&line->stamp, odd, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
#if defined(__x86_64__)
    /* Non-temporal stores may pass earlier ones, which a release fence does not forbid here. */
    __builtin_ia32_sfence();
#endif
}

void clinux_stamp_end(clinux_block_line *line, uint64_t even)
{
#if defined(__x86_64__)
    /* Non-temporal stores are ordered by nothing else, a store with release included. */
    __builtin_ia32_sfence();
#endif
    __atomic_store_n(&line->stamp, even, __ATOMIC_RELEASE);
}

uint64_t clinux_stamp_load(const clinux_block_line *line)
{
    return __atomic_load_n(&line->stamp, __ATOMIC_ACQUIRE);
}
