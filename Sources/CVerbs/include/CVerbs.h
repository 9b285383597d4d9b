/*
 * What libibverbs has only as macros or inline functions, and what Swift cannot read of its
 * structures: unions and bit fields. Everything else of it is called as it is.
 *
 * Functions that can fail return 0 or a negative errno.
 */
#pragma once

#include <infiniband/verbs.h>
#include <stddef.h>
#include <stdint.h>

/* A port as ibv_query_port tells of it. */
typedef struct cverbs_port {
    int is_active;
    /* RoCE: peers are reached by GID and not by LID. */
    int is_ethernet;
    uint16_t lid;
    /* In bytes. */
    uint32_t mtu;
    int gid_count;
} cverbs_port;

int cverbs_query_port(struct ibv_context *_Nonnull context, uint8_t port,
                      cverbs_port *_Nonnull result);

#define CVERBS_GID_INFINIBAND 0
#define CVERBS_GID_ROCE_V1 1
#define CVERBS_GID_ROCE_V2 2

/* A GID that is set: 16 bytes, one of the types above, and its network interface or 0. */
int cverbs_query_gid(struct ibv_context *_Nonnull context, uint8_t port, uint32_t index,
                     uint8_t *_Nonnull gid, int *_Nonnull type, uint32_t *_Nonnull interface);

/* Limits of a device that callers heed; ibv_device_attr has them. */
typedef struct cverbs_limits {
    uint64_t region_bytes;
    int completions;
    int requests;
    /* READs of one queue pair that are on their way at once: asked for, and answered. */
    int outgoing_reads;
    int incoming_reads;
    /* Memory windows of type 2B can be bound. */
    int has_windows;
} cverbs_limits;

int cverbs_query_limits(struct ibv_context *_Nonnull context, cverbs_limits *_Nonnull result);

/*
 * ibv_reg_mr is a macro. `is_remote`: peers may read it; `has_windows`: windows may be bound to
 * parts of it; `is_local`: the device may write it; `is_relaxed`: in any order, which the library
 * leaves out where the kernel does not know of it.
 */
struct ibv_mr *_Nullable cverbs_register(struct ibv_pd *_Nonnull domain, void *_Nonnull address,
                                         size_t length, int is_remote, int has_windows,
                                         int is_local, int is_relaxed);

/* A reliably connected queue pair with one gather entry a request. */
struct ibv_qp *_Nullable cverbs_create_queue_pair(struct ibv_pd *_Nonnull domain,
                                                  struct ibv_cq *_Nonnull completions,
                                                  uint32_t requests);

/* How a queue pair reaches its peer. */
typedef struct cverbs_path {
    uint32_t queue_pair;
    /* The first packet sequence numbers of both sides, 24 bits. */
    uint32_t own_sequence;
    uint32_t peer_sequence;
    uint8_t port;
    uint32_t mtu;
    uint16_t lid;
    int is_global;
    uint8_t gid[16];
    uint8_t gid_index;
    uint8_t hop_limit;
    uint8_t traffic_class;
    uint8_t service_level;
    uint8_t source_path_bits;
    uint8_t outgoing_reads;
    uint8_t incoming_reads;
    /* 4.096 us * 2^timeout until a request is sent again, at most `retries` times. */
    uint8_t timeout;
    uint8_t retries;
    uint8_t receiver_retries;
    /* The code of how long a peer whose request comes too early is told to wait (IB 9.7.5.2.8). */
    uint8_t receiver_delay;
} cverbs_path;

/* ibv_modify_qp from RESET to INIT; to RTR and RTS; to ERR; to RESET. */
int cverbs_to_init(struct ibv_qp *_Nonnull pair, uint8_t port, uint16_t partition, int peer_reads);
int cverbs_to_ready(struct ibv_qp *_Nonnull pair, const cverbs_path *_Nonnull path);
int cverbs_to_error(struct ibv_qp *_Nonnull pair);
int cverbs_to_reset(struct ibv_qp *_Nonnull pair);

/* One READ. `id` comes back with its completion. */
typedef struct cverbs_read {
    uint64_t id;
    uint64_t local_address;
    uint64_t remote_address;
    uint32_t length;
    uint32_t local_key;
    uint32_t remote_key;
    int is_signalled;
} cverbs_read;

/* As many READs as one chain may have. */
#define CVERBS_CHAIN 64

/*
 * Posts READs with one doorbell; `count` is CVERBS_CHAIN at most. `posted` becomes how many the
 * queue pair took: all, unless an error is returned.
 */
int cverbs_post_reads(struct ibv_qp *_Nonnull pair, const cverbs_read *_Nonnull reads,
                      size_t count, size_t *_Nonnull posted);

/* A memory window of type 2 is bound to a part of `region` or, without one, invalidated. */
typedef struct cverbs_window_change {
    struct ibv_mw *_Nonnull window;
    struct ibv_mr *_Nullable region;
    uint64_t address;
    uint64_t length;
} cverbs_window_change;

struct ibv_mw *_Nullable cverbs_create_window(struct ibv_pd *_Nonnull domain);
int cverbs_destroy_window(struct ibv_mw *_Nonnull window);

/*
 * Posts changes with one doorbell, CVERBS_CHAIN at most; the last has a completion with `id`, as
 * has any that fails. A window that is bound has the next remote key from then on. After an error
 * some may have been posted.
 */
int cverbs_post_window_changes(struct ibv_qp *_Nonnull pair,
                               const cverbs_window_change *_Nonnull changes, size_t count,
                               uint64_t id);

typedef struct cverbs_completion {
    uint64_t id;
    /* enum ibv_wc_status */
    int status;
    uint32_t queue_pair;
} cverbs_completion;

/*
 * How many completions were there, at most `capacity`, when `looks` were taken or the first were
 * found; or a negative errno.
 */
int cverbs_poll(struct ibv_cq *_Nonnull queue, cverbs_completion *_Nonnull completions,
                int capacity, int looks);

/* ibv_req_notify_cq for any completion, solicited or not. */
int cverbs_arm(struct ibv_cq *_Nonnull queue);

/* Waits for an armed queue's event and acknowledges it: 1, or 0 when the time is up. */
int cverbs_wait(struct ibv_comp_channel *_Nonnull channel, int milliseconds);

/* What a device reports beside completions. */
typedef struct cverbs_event {
    /* enum ibv_event_type */
    uint32_t type;
    /* A port's or a queue pair's number, or the context of a completion queue; else 0. */
    uint64_t subject;
} cverbs_event;

/*
 * Makes reading events not block: one that poll(2) has told of is gone again when what it is about
 * is destroyed.
 */
int cverbs_unblock_events(struct ibv_context *_Nonnull context);

/* Waits for the next event and acknowledges it: 1, or 0 once `wake` is readable. */
int cverbs_next_event(struct ibv_context *_Nonnull context, int wake,
                      cverbs_event *_Nonnull result);
