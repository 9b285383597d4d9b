#include "CPoolAttacks.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* Headers older than the running kernel lack it; the value is of include/uapi/linux/fcntl.h. */
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

struct target {
    int fd;
    unsigned char *mapping;
    size_t length;
};

/* 0 if `isDone`, else why not. */
static int outcome(int isDone) { return isDone ? 0 : errno; }

static int map_writable(struct target it)
{
    void *address = mmap(NULL, it.length, PROT_READ | PROT_WRITE, MAP_SHARED, it.fd, 0);
    if (address == MAP_FAILED)
        return errno;
    munmap(address, it.length);
    return 0;
}

static int map_then_protect(struct target it)
{
    void *address = mmap(NULL, it.length, PROT_READ, MAP_SHARED, it.fd, 0);
    if (address == MAP_FAILED)
        return errno;
    int result = outcome(mprotect(address, it.length, PROT_READ | PROT_WRITE) == 0);
    munmap(address, it.length);
    return result;
}

static int protect_writable(struct target it)
{
    return outcome(mprotect(it.mapping, it.length, PROT_READ | PROT_WRITE) == 0);
}

static int shrink_to_nothing(struct target it) { return outcome(ftruncate(it.fd, 0) == 0); }

static int shrink_by_a_page(struct target it)
{
    return outcome(ftruncate(it.fd, (off_t)it.length - sysconf(_SC_PAGESIZE)) == 0);
}

static int grow(struct target it)
{
    return outcome(ftruncate(it.fd, (off_t)it.length * 2) == 0);
}

static int grow_by_allocation(struct target it)
{
    return outcome(fallocate(it.fd, 0, (off_t)it.length, 4096) == 0);
}

static int punch_hole(struct target it)
{
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return outcome(fallocate(it.fd, mode, 0, (off_t)it.length) == 0);
}

static int zero_range(struct target it)
{
    return outcome(fallocate(it.fd, FALLOC_FL_ZERO_RANGE, 0, (off_t)it.length) == 0);
}

static int collapse_range(struct target it)
{
    return outcome(fallocate(it.fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096) == 0);
}

static int remove_pages(struct target it)
{
    return outcome(madvise(it.mapping, it.length, MADV_REMOVE) == 0);
}

static int write_descriptor(struct target it)
{
    return outcome(lseek(it.fd, 0, SEEK_SET) == 0 && write(it.fd, "attack", 6) == 6);
}

static int pwrite_descriptor(struct target it)
{
    return outcome(pwrite(it.fd, "attack", 6, (off_t)it.length / 2) == 6);
}

static int sendfile_into(struct target it)
{
    int source = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int result = outcome(lseek(it.fd, 0, SEEK_SET) == 0
                         && sendfile(it.fd, source, NULL, 4096) == 4096);
    close(source);
    return result;
}

static int write_own_memory(struct target it)
{
    /* /proc/PID/mem writes where the page tables would not let a store through (proc(5)). */
    int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    if (memory < 0)
        return errno;
    int result = outcome(pwrite(memory, "attack", 6, (off_t)(uintptr_t)it.mapping) == 6);
    close(memory);
    return result;
}

static int seal_more(struct target it)
{
    return outcome(fcntl(it.fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
}

static int seal_again(struct target it)
{
    return outcome(fcntl(it.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
}

/* Opens the memory anew, as the descriptor's link in /proc allows, and attacks it through that. */
static int reopened(struct target it, int flags, int (*attack)(struct target))
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", it.fd);
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int result = attack ? attack((struct target){fd, it.mapping, it.length}) : 0;
    close(fd);
    return result;
}

static int reopen_truncating(struct target it) { return reopened(it, O_RDWR | O_TRUNC, NULL); }
static int reopen_and_map(struct target it) { return reopened(it, O_RDWR, map_writable); }
static int reopen_and_write(struct target it) { return reopened(it, O_RDWR, pwrite_descriptor); }
static int reopen_and_append(struct target it)
{
    return reopened(it, O_WRONLY | O_APPEND, write_descriptor);
}
static int reopen_and_shrink(struct target it) { return reopened(it, O_RDWR, shrink_to_nothing); }
static int reopen_and_punch(struct target it) { return reopened(it, O_RDWR, punch_hole); }

static const struct {
    const char *name;
    int (*run)(struct target);
} attacks[] = {
    {"mmap writable", map_writable},
    {"mmap read-only, then mprotect", map_then_protect},
    {"mprotect of the link's mapping", protect_writable},
    {"ftruncate to 0", shrink_to_nothing},
    {"ftruncate by a page", shrink_by_a_page},
    {"ftruncate to more", grow},
    {"fallocate past the end", grow_by_allocation},
    {"fallocate PUNCH_HOLE", punch_hole},
    {"fallocate ZERO_RANGE", zero_range},
    {"fallocate COLLAPSE_RANGE", collapse_range},
    {"madvise MADV_REMOVE", remove_pages},
    {"write", write_descriptor},
    {"pwrite", pwrite_descriptor},
    {"sendfile", sendfile_into},
    {"write to /proc/self/mem", write_own_memory},
    {"fcntl F_ADD_SEALS WRITE", seal_more},
    {"fcntl F_ADD_SEALS of one that is there", seal_again},
    {"open O_TRUNC of /proc/self/fd", reopen_truncating},
    {"open of /proc/self/fd, then mmap", reopen_and_map},
    {"open of /proc/self/fd, then pwrite", reopen_and_write},
    {"open of /proc/self/fd, then append", reopen_and_append},
    {"open of /proc/self/fd, then ftruncate", reopen_and_shrink},
    {"open of /proc/self/fd, then PUNCH_HOLE", reopen_and_punch},
};

const int pool_attack_count = sizeof attacks / sizeof attacks[0];

const char *pool_attack_name(int index) { return attacks[index].name; }

int pool_attack(int index, int fd, void *mapping, size_t length)
{
    return attacks[index].run((struct target){fd, mapping, length});
}

const char *pool_attack_error(int error)
{
    const char *name = strerrorname_np(error);
    return name ? name : "?";
}
