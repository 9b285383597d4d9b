#include "CVerbs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

static uint32_t bytes_of(enum ibv_mtu mtu)
{
    return 128u << mtu;
}

static enum ibv_mtu mtu_of(uint32_t bytes)
{
    int mtu = IBV_MTU_256;
    while (mtu < IBV_MTU_4096 && bytes_of((enum ibv_mtu)(mtu + 1)) <= bytes)
        ++mtu;
    return (enum ibv_mtu)mtu;
}

int cverbs_query_port(struct ibv_context *context, uint8_t port, cverbs_port *result)
{
    struct ibv_port_attr attributes;
    int error = ibv_query_port(context, port, &attributes);
    if (error != 0)
        return -error;
    *result = (cverbs_port){
        .is_active = attributes.state == IBV_PORT_ACTIVE,
        .is_ethernet = attributes.link_layer == IBV_LINK_LAYER_ETHERNET,
        .lid = attributes.lid,
        .mtu = bytes_of(attributes.active_mtu),
        .gid_count = attributes.gid_tbl_len,
    };
    return 0;
}

int cverbs_query_gid(struct ibv_context *context, uint8_t port, uint32_t index, uint8_t *gid,
                     int *type, uint32_t *interface)
{
    struct ibv_gid_entry entry;
    int error = ibv_query_gid_ex(context, port, index, &entry, 0);
    if (error != 0)
        return -error;
    memcpy(gid, entry.gid.raw, sizeof entry.gid.raw);
    *type = entry.gid_type == IBV_GID_TYPE_ROCE_V2   ? CVERBS_GID_ROCE_V2
            : entry.gid_type == IBV_GID_TYPE_ROCE_V1 ? CVERBS_GID_ROCE_V1
                                                     : CVERBS_GID_INFINIBAND;
    *interface = entry.ndev_ifindex;
    return 0;
}

int cverbs_query_limits(struct ibv_context *context, cverbs_limits *result)
{
    struct ibv_device_attr attributes;
    int error = ibv_query_device(context, &attributes);
    if (error != 0)
        return -error;
    *result = (cverbs_limits){
        .region_bytes = attributes.max_mr_size,
        .completions = attributes.max_cqe,
        .requests = attributes.max_qp_wr,
        .outgoing_reads = attributes.max_qp_init_rd_atom,
        .incoming_reads = attributes.max_qp_rd_atom,
        .has_windows = (attributes.device_cap_flags & IBV_DEVICE_MEM_WINDOW_TYPE_2B) != 0,
    };
    return 0;
}

struct ibv_mr *cverbs_register(struct ibv_pd *domain, void *address, size_t length, int is_remote,
                               int has_windows, int is_local, int is_relaxed)
{
    int access = (is_remote ? IBV_ACCESS_REMOTE_READ : 0) | (has_windows ? IBV_ACCESS_MW_BIND : 0)
                 | (is_local ? IBV_ACCESS_LOCAL_WRITE : 0)
                 | (is_relaxed ? IBV_ACCESS_RELAXED_ORDERING : 0);
    return ibv_reg_mr(domain, address, length, access);
}

struct ibv_qp *cverbs_create_queue_pair(struct ibv_pd *domain, struct ibv_cq *completions,
                                        uint32_t requests)
{
    struct ibv_qp_init_attr attributes = {
        .send_cq = completions,
        .recv_cq = completions,
        .qp_type = IBV_QPT_RC,
        .cap = {.max_send_wr = requests, .max_recv_wr = 1, .max_send_sge = 1, .max_recv_sge = 1},
    };
    return ibv_create_qp(domain, &attributes);
}

int cverbs_to_init(struct ibv_qp *pair, uint8_t port, uint16_t partition, int peer_reads)
{
    struct ibv_qp_attr attributes = {
        .qp_state = IBV_QPS_INIT,
        .pkey_index = partition,
        .port_num = port,
        .qp_access_flags = peer_reads ? IBV_ACCESS_REMOTE_READ : 0,
    };
    return -ibv_modify_qp(pair, &attributes,
                          IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
}

int cverbs_to_ready(struct ibv_qp *pair, const cverbs_path *path)
{
    struct ibv_qp_attr receive = {
        .qp_state = IBV_QPS_RTR,
        .path_mtu = mtu_of(path->mtu),
        .dest_qp_num = path->queue_pair,
        .rq_psn = path->peer_sequence,
        .max_dest_rd_atomic = path->incoming_reads,
        .min_rnr_timer = path->receiver_delay,
        .ah_attr = {.dlid = path->lid,
                    .sl = path->service_level,
                    .src_path_bits = path->source_path_bits,
                    .port_num = path->port,
                    .is_global = path->is_global != 0},
    };
    if (path->is_global) {
        memcpy(receive.ah_attr.grh.dgid.raw, path->gid, sizeof path->gid);
        receive.ah_attr.grh.sgid_index = path->gid_index;
        receive.ah_attr.grh.hop_limit = path->hop_limit;
        receive.ah_attr.grh.traffic_class = path->traffic_class;
    }
    int error = ibv_modify_qp(pair, &receive,
                              IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN
                                  | IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC
                                  | IBV_QP_MIN_RNR_TIMER);
    if (error != 0)
        return -error;
    struct ibv_qp_attr send = {
        .qp_state = IBV_QPS_RTS,
        .timeout = path->timeout,
        .retry_cnt = path->retries,
        .rnr_retry = path->receiver_retries,
        .sq_psn = path->own_sequence,
        .max_rd_atomic = path->outgoing_reads,
    };
    return -ibv_modify_qp(pair, &send,
                          IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY
                              | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC);
}

int cverbs_to_error(struct ibv_qp *pair)
{
    struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_ERR};
    return -ibv_modify_qp(pair, &attributes, IBV_QP_STATE);
}

int cverbs_to_reset(struct ibv_qp *pair)
{
    struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_RESET};
    return -ibv_modify_qp(pair, &attributes, IBV_QP_STATE);
}

int cverbs_post_reads(struct ibv_qp *pair, const cverbs_read *reads, size_t count, size_t *posted)
{
    struct ibv_send_wr requests[CVERBS_CHAIN];
    struct ibv_sge entries[CVERBS_CHAIN];
    struct ibv_send_wr *bad = NULL;
    *posted = 0;
    if (count == 0 || count > CVERBS_CHAIN)
        return -EINVAL;
    for (size_t index = 0; index < count; ++index) {
        const cverbs_read *read = &reads[index];
        entries[index] = (struct ibv_sge){
            .addr = read->local_address, .length = read->length, .lkey = read->local_key};
        requests[index] = (struct ibv_send_wr){
            .wr_id = read->id,
            .next = index + 1 < count ? &requests[index + 1] : NULL,
            .sg_list = &entries[index],
            .num_sge = 1,
            .opcode = IBV_WR_RDMA_READ,
            .send_flags = read->is_signalled ? IBV_SEND_SIGNALED : 0,
            .wr.rdma = {.remote_addr = read->remote_address, .rkey = read->remote_key},
        };
    }
    int error = ibv_post_send(pair, requests, &bad);
    *posted = error == 0 ? count : bad == NULL ? 0 : (size_t)(bad - requests);
    return error > 0 ? -error : error;
}

struct ibv_mw *cverbs_create_window(struct ibv_pd *domain)
{
    return ibv_alloc_mw(domain, IBV_MW_TYPE_2);
}

int cverbs_destroy_window(struct ibv_mw *window)
{
    return -ibv_dealloc_mw(window);
}

int cverbs_post_window_changes(struct ibv_qp *pair, const cverbs_window_change *changes,
                               size_t count, uint64_t id)
{
    struct ibv_send_wr requests[CVERBS_CHAIN];
    struct ibv_send_wr *bad = NULL;
    if (count == 0 || count > CVERBS_CHAIN)
        return -EINVAL;
    for (size_t index = 0; index < count; ++index) {
        const cverbs_window_change *change = &changes[index];
        int is_last = index + 1 == count;
        struct ibv_send_wr *request = &requests[index];
        /* All of it: Soft-RoCE refuses a binding that has a key to invalidate. */
        memset(request, 0, sizeof *request);
        request->wr_id = id;
        request->next = is_last ? NULL : request + 1;
        request->send_flags = is_last ? IBV_SEND_SIGNALED : 0;
        if (change->region == NULL) {
            request->opcode = IBV_WR_LOCAL_INV;
            request->invalidate_rkey = change->window->rkey;
            continue;
        }
        request->opcode = IBV_WR_BIND_MW;
        request->bind_mw.mw = change->window;
        request->bind_mw.rkey = ibv_inc_rkey(change->window->rkey);
        request->bind_mw.bind_info = (struct ibv_mw_bind_info){
            .mr = change->region,
            .addr = change->address,
            .length = change->length,
            .mw_access_flags = IBV_ACCESS_REMOTE_READ,
        };
    }
    int error = ibv_post_send(pair, requests, &bad);
    if (error != 0)
        return error > 0 ? -error : error;
    for (size_t index = 0; index < count; ++index)
        if (changes[index].region != NULL)
            changes[index].window->rkey = requests[index].bind_mw.rkey;
    return 0;
}

int cverbs_poll(struct ibv_cq *queue, cverbs_completion *completions, int capacity, int looks)
{
    struct ibv_wc found[CVERBS_CHAIN];
    if (capacity > CVERBS_CHAIN)
        capacity = CVERBS_CHAIN;
    int count;
    do
        count = ibv_poll_cq(queue, capacity, found);
    while (count == 0 && --looks > 0);
    if (count < 0)
        return -EIO;
    for (int index = 0; index < count; ++index)
        completions[index] = (cverbs_completion){
            .id = found[index].wr_id,
            .status = (int)found[index].status,
            .queue_pair = found[index].qp_num,
        };
    return count;
}

int cverbs_arm(struct ibv_cq *queue)
{
    return -ibv_req_notify_cq(queue, 0);
}

int cverbs_wait(struct ibv_comp_channel *channel, int milliseconds)
{
    struct pollfd polled = {.fd = channel->fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&polled, 1, milliseconds);
    while (ready < 0 && errno == EINTR);
    if (ready < 0)
        return -errno;
    if (ready == 0)
        return 0;
    struct ibv_cq *queue;
    void *context;
    if (ibv_get_cq_event(channel, &queue, &context) != 0)
        return -errno;
    ibv_ack_cq_events(queue, 1);
    return 1;
}

int cverbs_unblock_events(struct ibv_context *context)
{
    int flags = fcntl(context->async_fd, F_GETFL);
    if (flags < 0 || fcntl(context->async_fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

static uint64_t subject_of(const struct ibv_async_event *event)
{
    switch (event->event_type) {
    case IBV_EVENT_QP_FATAL:
    case IBV_EVENT_QP_REQ_ERR:
    case IBV_EVENT_QP_ACCESS_ERR:
    case IBV_EVENT_QP_LAST_WQE_REACHED:
    case IBV_EVENT_COMM_EST:
    case IBV_EVENT_SQ_DRAINED:
    case IBV_EVENT_PATH_MIG:
    case IBV_EVENT_PATH_MIG_ERR:
        return event->element.qp->qp_num;
    case IBV_EVENT_CQ_ERR:
        return (uintptr_t)event->element.cq->cq_context;
    case IBV_EVENT_PORT_ACTIVE:
    case IBV_EVENT_PORT_ERR:
    case IBV_EVENT_LID_CHANGE:
    case IBV_EVENT_PKEY_CHANGE:
    case IBV_EVENT_SM_CHANGE:
    case IBV_EVENT_CLIENT_REREGISTER:
    case IBV_EVENT_GID_CHANGE:
        return (uint64_t)event->element.port_num;
    default:
        return 0;
    }
}

int cverbs_next_event(struct ibv_context *context, int wake, cverbs_event *result)
{
    struct pollfd polled[2] = {
        {.fd = wake, .events = POLLIN},
        {.fd = context->async_fd, .events = POLLIN},
    };
    for (;;) {
        if (poll(polled, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        if (polled[0].revents != 0)
            return 0;
        struct ibv_async_event event;
        errno = 0;
        if (ibv_get_async_event(context, &event) != 0) {
            if (errno == EAGAIN || errno == EINTR)
                continue;
            return errno != 0 ? -errno : -EIO;
        }
        *result = (cverbs_event){.type = event.event_type, .subject = subject_of(&event)};
        /* What the event is about is not destroyed before this. */
        ibv_ack_async_event(&event);
        return 1;
    }
}
