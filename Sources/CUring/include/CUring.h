/* The ring as Swift sees it: one struct, made by liburing, driven by the functions below.
 *
 * liburing.h is not included here: it defines _GNU_SOURCE, and then the types of the C library
 * are no longer those that other modules import. What the hot functions need is drawn below and
 * checked against liburing in CUring.c, with the kernel version that brought what 2.3 lacks.
 * Every function is for the one thread that made the ring. Errors are negated errno values. */
#ifndef CURING_H
#define CURING_H

#include <stddef.h>
#include <stdint.h>

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

/* The drawn structs may alias: CUring.c also writes them under liburing's names. */
#define CURING_DRAWN __attribute__((may_alias))

/* One submission:
 *
 * byte 0    1     2      4  8      16      24    28       32        40     42  44   48  64
 *      | op | fl. | prio | fd | offset | address | count | op fl. | user | group | … | … | */
struct CURING_DRAWN curing_submission {
    uint8_t opcode;
    uint8_t flags;
    uint16_t priority;
    int32_t descriptor;
    uint64_t offset;
    uint64_t address;
    uint32_t count;
    uint32_t operation_flags;
    uint64_t user_data;
    uint16_t buffer_group;
    uint16_t personality;
    uint32_t file_index;
    uint64_t more[2];
};

/* One completion, as the kernel writes it. */
struct CURING_DRAWN curing_entry {
    uint64_t user_data;
    int32_t result;
    uint32_t flags;
};

/* One lent buffer. The tail of the ring lies in the last two bytes of the first one. */
struct CURING_DRAWN curing_lent {
    uint64_t address;
    uint32_t count;
    uint16_t id;
    uint16_t tail;
};

/* A socket to shut down, and the completion that it is to have. */
struct curing_ending {
    uint64_t user_data;
    int32_t descriptor;
};

struct curing {
    /* The submission queue: words shared with the kernel, then our own. */
    uint32_t *submission_head;
    uint32_t *submission_tail;
    uint32_t *submission_flags;
    struct curing_submission *submissions;
    uint32_t submission_mask;
    /* Where the next submission goes; published by a submit. */
    uint32_t filled;
    /* The completion queue. */
    uint32_t *completion_head;
    uint32_t *completion_tail;
    struct curing_entry *completions;
    uint32_t completion_mask;
    /* Provided buffers: the ring of entries, and the memory that they name. */
    uint32_t buffer_mask;
    struct curing_lent *lent;
    uint8_t *buffers;
    uint32_t buffer_bytes;
    /* Bits of curing_feature. */
    uint32_t features;
    /* Set when an operation could not be queued; the next submit reports it. */
    int32_t failure;
    int32_t wake_descriptor;
    /* System calls made to enter the ring. */
    uint64_t enters;
    /* As many as there are submission slots. */
    struct curing_ending *endings;
    uint32_t ending_count;
    /* Takes the writes of an operation that could not be queued. */
    struct curing_submission spare;
};

struct curing_completion {
    uint64_t user_data;
    int32_t result;
    uint32_t flags;
    /* 0: there was none. */
    uint32_t present;
};

/* The kernel's numbers that the functions below use. */
enum {
    CURING_OP_SEND = 26,
    CURING_OP_RECEIVE = 27,
    CURING_BUFFER_SELECT = 1 << 5,
    CURING_SKIP_SUCCESS = 1 << 6,
    CURING_POLL_FIRST = 1 << 0,
    CURING_RECEIVE_MULTISHOT = 1 << 1,
    /* MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL */
    CURING_SEND_NOW = 0x40 | 0x100 | 0x4000,
    CURING_QUEUE_OVERFLOW = 1 << 1,
};

/* Makes a ring with `entries` submission slots and at least `completions` completion slots.
 * NULL when refused, and then *code is the negated errno. */
struct curing *curing_make(uint32_t entries, uint32_t completions, int32_t *code);
/* Ends the ring; what is in flight is cancelled by the kernel. */
void curing_end(struct curing *c);
/* Raises the soft limit of locked memory to the hard one; returns the limit in bytes.
 * *exempt: whether this process has the capability to lock more, as far as it can see. */
uint64_t curing_raise_locked_limit(int32_t *exempt);
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

void curing_accept(struct curing *c, int fd, uint64_t user_data);
void curing_receive_into(struct curing *c, int fd, void *bytes, uint32_t count,
                         uint64_t user_data);
/* Never waits, and always completes. */
void curing_send(struct curing *c, int fd, const void *bytes, uint32_t count, uint64_t user_data);
/* Completes once the socket has room, or has failed or was ended by its peer; with `repeatedly`
 * each time, until it is cancelled. */
void curing_await_room(struct curing *c, int fd, int repeatedly, uint64_t user_data);
/* Bytes that were sent and that the peer has not taken; 0 if the socket does not say. */
int64_t curing_held(int fd);
/* Bytes that a send would be taken of whole now; 0 if the socket does not say. */
int64_t curing_room(int fd);
/* Whether the connection is over on both sides, as after a reset. */
int curing_gone(int fd);
/* What has arrived, without waiting: bytes, 0 at the end of the stream, or a negated errno. */
int64_t curing_receive_now(int fd, void *bytes, uint32_t count);
void curing_read(struct curing *c, int fd, void *bytes, uint32_t count, uint64_t offset,
                 uint64_t user_data);
void curing_cancel(struct curing *c, uint64_t target, uint64_t user_data);
/* A shutdown in the kernel's ring always costs a worker thread of the kernel, and may reach the
 * descriptor after a close that was queued behind it. So it is a plain system call, made by the
 * next submit after what was queued before; the completion is that of an empty operation. */
void curing_shutdown(struct curing *c, int fd, uint64_t user_data);
void curing_close(struct curing *c, int fd, uint64_t user_data);
void curing_timeout(struct curing *c, uint64_t nanoseconds, uint64_t user_data);
void curing_arm_wake(struct curing *c, uint64_t user_data);

/* Types and flags of socket(2), under names of our own: which module the system's names import
 * from depends on who included their header first. */
extern const int32_t curing_stream;
extern const int32_t curing_close_on_exec;
extern const int32_t curing_no_wait;
/* The symbol of an errno, and what it means; NULL for an unknown one. */
const char *curing_errno_name(int code);
const char *curing_errno_text(int code);

/* MARK: the hot ones */

/* A zeroed submission slot. */
static inline struct curing_submission *curing_take(struct curing *c) {
    if (__builtin_expect(c->filled - __atomic_load_n(c->submission_head, __ATOMIC_ACQUIRE) >
                             c->submission_mask,
                         0)) {
        curing_make_room(c);
        if (c->failure != 0) return &c->spare;
    }
    struct curing_submission *slot = &c->submissions[c->filled & c->submission_mask];
    c->filled += 1;
    *slot = (struct curing_submission){0};
    return slot;
}

/* With `when_readable` no buffer is asked for before there is something to receive. */
static inline void curing_receive_once(struct curing *c, int fd, int when_readable,
                                       uint64_t user_data) {
    struct curing_submission *slot = curing_take(c);
    slot->opcode = CURING_OP_RECEIVE;
    slot->flags = CURING_BUFFER_SELECT;
    slot->priority = when_readable ? CURING_POLL_FIRST : 0;
    slot->descriptor = fd;
    slot->user_data = user_data;
}

static inline void curing_receive(struct curing *c, int fd, uint64_t user_data) {
    struct curing_submission *slot = curing_take(c);
    slot->opcode = CURING_OP_RECEIVE;
    slot->flags = CURING_BUFFER_SELECT;
    slot->priority = CURING_RECEIVE_MULTISHOT;
    slot->descriptor = fd;
    slot->user_data = user_data;
}

static inline void curing_send_now(struct curing *c, int fd, const void *bytes, uint32_t count,
                                   uint64_t user_data) {
    struct curing_submission *slot = curing_take(c);
    slot->opcode = CURING_OP_SEND;
    slot->flags = CURING_SKIP_SUCCESS;
    slot->descriptor = fd;
    slot->address = (uint64_t)(uintptr_t)bytes;
    slot->count = count;
    slot->operation_flags = CURING_SEND_NOW;
    slot->user_data = user_data;
}

static inline struct curing_completion curing_next(struct curing *c) {
    struct curing_completion out = {0, 0, 0, 0};
    uint32_t head = *c->completion_head;
    if (head == __atomic_load_n(c->completion_tail, __ATOMIC_ACQUIRE)) {
        uint32_t flags = __atomic_load_n(c->submission_flags, __ATOMIC_RELAXED);
        if (__builtin_expect((flags & CURING_QUEUE_OVERFLOW) == 0, 1)) return out;
        curing_flush_overflow(c);
        if (head == __atomic_load_n(c->completion_tail, __ATOMIC_ACQUIRE)) return out;
    }
    struct curing_entry *entry = &c->completions[head & c->completion_mask];
    out.user_data = entry->user_data;
    out.result = entry->result;
    out.flags = entry->flags;
    out.present = 1;
    /* The slot is the kernel's again only once it has been read. */
    __atomic_store_n(c->completion_head, head + 1, __ATOMIC_RELEASE);
    return out;
}

static inline void curing_lend(struct curing *c, uint16_t id) {
    uint16_t tail = c->lent[0].tail;
    struct curing_lent *entry = &c->lent[tail & c->buffer_mask];
    /* Field by field: the first entry's last two bytes are the tail. */
    entry->address = (uint64_t)(uintptr_t)(c->buffers + (size_t)id * c->buffer_bytes);
    entry->count = c->buffer_bytes;
    entry->id = id;
    __atomic_store_n(&c->lent[0].tail, (uint16_t)(tail + 1), __ATOMIC_RELEASE);
}

/* The other ring of this module. */
#include "CPoll.h"

#endif
