#include "CLinux.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* RFC 4291, 2.5.5.2: an IPv4 address in the last four bytes. */
static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

/* The 16 bytes of an address, and how many bits of them are the same for its whole family. */
static int as_ipv6(const struct sockaddr *address, uint8_t bytes[16], int *fixed)
{
    if (address == NULL)
        return 0;
    if (address->sa_family == AF_INET6) {
        memcpy(bytes, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
        *fixed = 0;
        return 1;
    }
    if (address->sa_family != AF_INET)
        return 0;
    memcpy(bytes, mapped, sizeof mapped);
    memcpy(bytes + sizeof mapped, &((const struct sockaddr_in *)address)->sin_addr, 4);
    *fixed = 8 * sizeof mapped;
    return 1;
}

int clinux_route_source(const uint8_t *peer, uint8_t *source)
{
    struct sockaddr_storage address = {0};
    socklen_t length;
    /* Connecting a datagram socket sends nothing, so any port will do: 9 is discard (RFC 863). */
    if (memcmp(peer, mapped, sizeof mapped) == 0) {
        struct sockaddr_in *to = (struct sockaddr_in *)&address;
        to->sin_family = AF_INET;
        to->sin_port = htons(9);
        memcpy(&to->sin_addr, peer + sizeof mapped, 4);
        length = sizeof *to;
    } else {
        struct sockaddr_in6 *to = (struct sockaddr_in6 *)&address;
        to->sin6_family = AF_INET6;
        to->sin6_port = htons(9);
        memcpy(&to->sin6_addr, peer, 16);
        length = sizeof *to;
    }
    int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int result = 0, fixed;
    if (connect(fd, (struct sockaddr *)&address, length) != 0)
        result = -errno;
    length = sizeof address;
    if (result == 0 && getsockname(fd, (struct sockaddr *)&address, &length) != 0)
        result = -errno;
    if (result == 0 && !as_ipv6((struct sockaddr *)&address, source, &fixed))
        result = -EAFNOSUPPORT;
    close(fd);
    return result;
}

int clinux_prefix_bits(const uint8_t *address, uint32_t interface)
{
    char name[IF_NAMESIZE];
    struct ifaddrs *all;
    if (if_indextoname(interface, name) == NULL || getifaddrs(&all) != 0)
        return -errno;
    int result = -EADDRNOTAVAIL;
    for (const struct ifaddrs *entry = all; entry != NULL; entry = entry->ifa_next) {
        uint8_t own[16], mask[16];
        int bits;
        if (strcmp(entry->ifa_name, name) != 0 || !as_ipv6(entry->ifa_addr, own, &bits)
            || memcmp(own, address, sizeof own) != 0 || !as_ipv6(entry->ifa_netmask, mask, &bits))
            continue;
        while (bits < 128 && (mask[bits / 8] & (0x80 >> bits % 8)) != 0)
            ++bits;
        result = bits;
        break;
    }
    freeifaddrs(all);
    return result;
}
