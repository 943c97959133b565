/* The ring in C: one struct, filled by liburing, driven by the inline functions below.
 * liburing's inline functions do the barriers; nothing here knows what the bytes are for.
 * Every function is for the one thread that made the ring. Errors are negated errno values.
 * Constants that liburing 2.3 lacks stand here with the kernel version that brought them. */
#ifndef CURING_H
#define CURING_H

#include <liburing.h>
#include <stdint.h>

/* io_uring_enter flag: a wait for completions is not counted as iowait (6.15). */
#define CURING_ENTER_NO_IOWAIT (1U << 7)
/* Feature bit that says the flag above is known (6.15). */
#define CURING_FEAT_NO_IOWAIT (1U << 17)

/* Socket types under names of our own: which module they import from depends on who included
 * the system's header first. */
static const int32_t curing_stream = SOCK_STREAM;
static const int32_t curing_close_on_exec = SOCK_CLOEXEC;
static const int32_t curing_no_wait = SOCK_NONBLOCK;

/* What a ring could use of what the kernel offers; see KernelFeatures. */
enum curing_feature {
    CURING_HAS_SINGLE_ISSUER = 1 << 0,
    CURING_HAS_DEFER_TASKRUN = 1 << 1,
    CURING_HAS_COOP_TASKRUN = 1 << 2,
    CURING_HAS_TASKRUN_FLAG = 1 << 3,
    CURING_HAS_SUBMIT_ALL = 1 << 4,
    CURING_HAS_REGISTERED_RING = 1 << 5,
    CURING_HAS_NO_IOWAIT = 1 << 6,
    CURING_HAS_BUFFER_RING = 1 << 7,
    CURING_HAS_SKIP_SUCCESS = 1 << 8,
    CURING_HAS_MULTISHOT = 1 << 9,
};

/* A socket to shut down, and the completion that it is to have. */
struct curing_ending {
    uint64_t user_data;
    int32_t descriptor;
};

struct curing {
    struct io_uring ring;
    /* Provided buffers: the ring of entries, and the memory that they name. */
    struct io_uring_buf_ring *lent;
    uint8_t *buffers;
    uint32_t buffer_bytes;
    uint32_t buffer_mask;
    /* Flags of every enter. */
    uint32_t enter_flags;
    uint32_t features;
    /* Set when an operation could not be queued; the next submit reports it. */
    int32_t failure;
    int32_t wake_descriptor;
    /* Where the read of the eventfd lands; its value is not used. */
    uint64_t wake_word;
    /* System calls made to enter the ring. */
    uint64_t enters;
    /* One per submission slot: the kernel reads it when the slot is submitted. */
    struct __kernel_timespec *times;
    /* As many as there are submission slots. */
    struct curing_ending *endings;
    uint32_t ending_count;
    /* Takes the writes of an operation that could not be queued. */
    struct io_uring_sqe spare;
};

struct curing_completion {
    uint64_t user_data;
    int32_t result;
    uint32_t flags;
    /* 0: there was none. */
    uint32_t present;
};

/* Makes a ring with `entries` submission slots and at least `completions` completion slots.
 * NULL when refused, and then *code is the negated errno. */
struct curing *curing_make(uint32_t entries, uint32_t completions, int32_t *code);
/* Raises the soft limit of locked memory to the hard one; returns the limit in bytes.
 * *exempt: whether this process has the capability to lock more, as far as it can see. */
uint64_t curing_raise_locked_limit(int32_t *exempt);
/* Ends the ring; what is in flight is cancelled by the kernel. */
void curing_end(struct curing *c);
/* Registers `count` (a power of two) buffers of `bytes` each, with `ring_memory` (page aligned,
 * 16 bytes a buffer) as the ring that lends them. None is lent yet. */
int curing_provide(struct curing *c, void *ring_memory, void *buffers, uint32_t count,
                   uint32_t bytes);
/* Hands over all that is queued and takes what has completed, in one system call; with `waiting`
 * until a completion is there. 0, or a negated errno that no retry mends. */
int curing_submit(struct curing *c, int waiting);
/* Submits without waiting, because the submission queue is full. */
void curing_make_room(struct curing *c);
/* Brings in completions that did not fit into the completion queue. */
void curing_flush_overflow(struct curing *c);

/* The symbol of an errno, and what it means; NULL for an unknown one. */
const char *curing_errno_name(int code);
const char *curing_errno_text(int code);

static inline struct io_uring_sqe *curing_take(struct curing *c) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&c->ring);
    if (__builtin_expect(sqe != NULL, 1)) return sqe;
    curing_make_room(c);
    sqe = io_uring_get_sqe(&c->ring);
    return sqe != NULL ? sqe : &c->spare;
}

static inline struct curing_completion curing_next(struct curing *c) {
    struct curing_completion out = {0, 0, 0, 0};
    struct io_uring_cq *cq = &c->ring.cq;
    unsigned head = *cq->khead;
    if (head == io_uring_smp_load_acquire(cq->ktail)) {
        if (__builtin_expect(!io_uring_cq_has_overflow(&c->ring), 1)) return out;
        curing_flush_overflow(c);
        if (head == io_uring_smp_load_acquire(cq->ktail)) return out;
    }
    struct io_uring_cqe *cqe = &cq->cqes[head & cq->ring_mask];
    out.user_data = cqe->user_data;
    out.result = cqe->res;
    out.flags = cqe->flags;
    out.present = 1;
    io_uring_smp_store_release(cq->khead, head + 1);
    return out;
}

static inline void curing_lend(struct curing *c, uint16_t id) {
    void *address = c->buffers + (size_t)id * c->buffer_bytes;
    io_uring_buf_ring_add(c->lent, address, c->buffer_bytes, id, (int)c->buffer_mask, 0);
    io_uring_buf_ring_advance(c->lent, 1);
}

/* MARK: operations */

static inline void curing_accept(struct curing *c, int fd, uint64_t user_data) {
    struct io_uring_sqe *sqe = curing_take(c);
    io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
    sqe->user_data = user_data;
}

static inline void curing_receive(struct curing *c, int fd, uint64_t user_data) {
    struct io_uring_sqe *sqe = curing_take(c);
    io_uring_prep_rw(IORING_OP_RECV, sqe, fd, NULL, 0, 0);
    sqe->ioprio = IORING_RECV_MULTISHOT;
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    sqe->user_data = user_data;
}

static inline void curing_receive_into(struct curing *c, int fd, void *bytes, uint32_t count,
                                       uint64_t user_data) {
    struct io_uring_sqe *sqe = curing_take(c);
    io_uring_prep_rw(IORING_OP_RECV, sqe, fd, bytes, count, 0);
    sqe->user_data = user_data;
}

static inline void curing_send_now(struct curing *c, int fd, const void *bytes, uint32_t count,
                                   uint64_t user_data) {
    struct io_uring_sqe *sqe = curing_take(c);
    io_uring_prep_rw(IORING_OP_SEND, sqe, fd, bytes, count, 0);
    sqe->msg_flags = MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL;
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = user_data;
}

static inline void curing_send(struct curing *c, int fd, const void *bytes, uint32_t count,
                               uint64_t user_data) {
    struct io_uring_sqe *sqe = curing_take(c);
    io_uring_prep_rw(IORING_OP_SEND, sqe, fd, bytes, count, 0);
    sqe->msg_flags = MSG_WAITALL | MSG_NOSIGNAL;
    sqe->user_data = user_data;
}

static inline void curing_read(struct curing *c, int fd, void *bytes, uint32_t count,
                               uint64_t offset, uint64_t user_data) {
    struct io_uring_sqe *sqe = curing_take(c);
    io_uring_prep_rw(IORING_OP_READ, sqe, fd, bytes, count, offset);
    sqe->user_data = user_data;
}

static inline void curing_cancel(struct curing *c, uint64_t target, uint64_t user_data) {
    struct io_uring_sqe *sqe = curing_take(c);
    io_uring_prep_cancel64(sqe, target, 0);
    sqe->user_data = user_data;
}

/* A shutdown in the kernel's ring always costs a worker thread of the kernel, and may reach the
 * descriptor after a close that was queued behind it. So it is a plain system call, made by the
 * next submit after what was queued before; the completion is that of an empty operation. */
static inline void curing_shutdown(struct curing *c, int fd, uint64_t user_data) {
    if (c->ending_count == c->ring.sq.ring_entries) curing_make_room(c);
    if (c->failure != 0) return;
    c->endings[c->ending_count++] = (struct curing_ending){user_data, fd};
}

static inline void curing_close(struct curing *c, int fd, uint64_t user_data) {
    if (c->ending_count != 0) curing_make_room(c);
    struct io_uring_sqe *sqe = curing_take(c);
    io_uring_prep_rw(IORING_OP_CLOSE, sqe, fd, NULL, 0, 0);
    sqe->user_data = user_data;
}

void curing_timeout(struct curing *c, uint64_t nanoseconds, uint64_t user_data);

static inline void curing_arm_wake(struct curing *c, uint64_t user_data) {
    struct io_uring_sqe *sqe = curing_take(c);
    io_uring_prep_rw(IORING_OP_READ, sqe, c->wake_descriptor, &c->wake_word,
                     sizeof c->wake_word, 0);
    sqe->user_data = user_data;
}

#endif
