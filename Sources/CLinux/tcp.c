#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* What a data connection always has: no waiting for more to send, and a peer that is looked for. */
static int prepare(int fd)
{
    int on = 1, idle = 15, interval = 5, probes = 3;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0
        || setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0
        || setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle) != 0
        || setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval) != 0
        || setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes) != 0)
        return -errno;
    return 0;
}

static int open_socket(const struct addrinfo *address, int flags)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | flags, IPPROTO_TCP);
    return fd < 0 ? -errno : fd;
}

/* Waits until a socket that does not block is connected. */
static int finish_connecting(int fd, unsigned milliseconds)
{
    struct pollfd polled = {.fd = fd, .events = POLLOUT};
    int error = 0;
    socklen_t length = sizeof error;
    int ready;
    do
        ready = poll(&polled, 1, (int)milliseconds);
    while (ready < 0 && errno == EINTR);
    if (ready < 0)
        return -errno;
    if (ready == 0)
        return -ETIMEDOUT;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        return -errno;
    return -error;
}

static int connect_one(const struct addrinfo *address, unsigned milliseconds)
{
    int fd = open_socket(address, SOCK_NONBLOCK);
    if (fd < 0)
        return fd;
    int result = 0;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0)
        result = errno == EINPROGRESS ? finish_connecting(fd, milliseconds) : -errno;
    if (result == 0 && fcntl(fd, F_SETFL, 0) != 0)
        result = -errno;
    if (result == 0)
        result = prepare(fd);
    if (result == 0)
        result = clinux_set_timeouts(fd, milliseconds, milliseconds);
    if (result == 0)
        return fd;
    close(fd);
    return result;
}

static int resolve(const char *host, uint16_t port, int flags, struct addrinfo **found)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | flags};
    char service[6];
    int digits = 0;
    char reversed[5];
    unsigned rest = port;
    do
        reversed[digits++] = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    for (int index = 0; index < digits; ++index)
        service[index] = reversed[digits - 1 - index];
    service[digits] = 0;
    switch (getaddrinfo(host, service, &hints, found)) {
    case 0: return 0;
    case EAI_MEMORY: return -ENOMEM;
    case EAI_SYSTEM: return -errno;
    default: return -EADDRNOTAVAIL;
    }
}

int clinux_tcp_connect(const char *host, uint16_t port, unsigned milliseconds)
{
    struct addrinfo *found = NULL;
    int result = resolve(host, port, 0, &found);
    if (result != 0)
        return result;
    result = -EADDRNOTAVAIL;
    for (const struct addrinfo *address = found; address != NULL; address = address->ai_next) {
        result = connect_one(address, milliseconds);
        if (result >= 0)
            break;
    }
    freeaddrinfo(found);
    return result;
}

int clinux_tcp_listen(const char *host, uint16_t *port, int backlog)
{
    struct addrinfo *found = NULL;
    int result = resolve(host, *port, AI_PASSIVE, &found);
    if (result != 0)
        return result;
    int on = 1;
    int fd = open_socket(found, 0);
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    result = fd;
    if (fd >= 0
        && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0
            || bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, backlog) != 0
            || getsockname(fd, (struct sockaddr *)&bound, &length) != 0)) {
        result = -errno;
        close(fd);
    }
    if (result >= 0)
        *port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                  : ((struct sockaddr_in *)&bound)->sin_port);
    freeaddrinfo(found);
    return result;
}

int clinux_tcp_accept(int listener)
{
    int fd;
    do
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    int result = prepare(fd);
    if (result == 0)
        return fd;
    close(fd);
    return result;
}

/* Leaves out the first `done` bytes of `parts`; how many of them then stand at the front. */
static void advance(struct iovec **parts, size_t *count, size_t done)
{
    while (*count > 0 && done >= (*parts)->iov_len) {
        done -= (*parts)->iov_len;
        ++*parts;
        --*count;
    }
    if (*count > 0) {
        (*parts)->iov_base = (char *)(*parts)->iov_base + done;
        (*parts)->iov_len -= done;
    }
}

int clinux_send_all(int fd, struct iovec *parts, size_t count)
{
    while (count > 0) {
        struct msghdr message = {
            .msg_iov = parts,
            .msg_iovlen = count < CLINUX_MAXIMUM_PARTS ? count : CLINUX_MAXIMUM_PARTS,
        };
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return -errno;
        advance(&parts, &count, (size_t)sent);
    }
    return 0;
}

ssize_t clinux_receive_some(int fd, void *bytes, size_t capacity)
{
    ssize_t received;
    do
        received = recv(fd, bytes, capacity, 0);
    while (received < 0 && errno == EINTR);
    return received > 0 ? received : received == 0 ? -ECONNRESET : -errno;
}

int clinux_receive_all(int fd, struct iovec *parts, size_t count)
{
    while (count > 0) {
        struct msghdr message = {
            .msg_iov = parts,
            .msg_iovlen = count < CLINUX_MAXIMUM_PARTS ? count : CLINUX_MAXIMUM_PARTS,
        };
        ssize_t received = recvmsg(fd, &message, 0);
        if (received < 0 && errno == EINTR)
            continue;
        if (received < 0)
            return -errno;
        if (received == 0)
            return -ECONNRESET;
        advance(&parts, &count, (size_t)received);
    }
    return 0;
}
