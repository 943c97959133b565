/* The operations of a ring over epoll, for kernels and containers that refuse io_uring.
 *
 * One struct in CPoll.c holds what is queued, what waits for its socket, and what has completed.
 * Every function is for the one thread that made it. Errors are negated errno values; completions
 * have the form of those of CUring.h. */
#ifndef CPOLL_H
#define CPOLL_H

#include <stdint.h>

#include "CUring.h"

struct cpoll;

/* What an operation is; the arguments beside it that it does not need are zero. */
enum cpoll_kind {
    CPOLL_ACCEPT = 1,
    CPOLL_RECEIVE,
    CPOLL_RECEIVE_ONCE,
    CPOLL_RECEIVE_INTO,
    CPOLL_SEND_NOW,
    CPOLL_SEND,
    CPOLL_ROOM,
    CPOLL_ROOM_REPEATED,
    CPOLL_READ,
    CPOLL_CANCEL,
    CPOLL_SHUTDOWN,
    CPOLL_CLOSE,
    CPOLL_TIMEOUT,
    CPOLL_WAKE,
};

/* Makes one with room for `entries` queued operations; `count` receive buffers of `bytes` each lie
 * in `buffers`, and all of them are lent. NULL when refused, and then *code is the errno. */
struct cpoll *cpoll_make(uint32_t entries, uint32_t completions, void *buffers, uint32_t count,
                         uint32_t bytes, int32_t *code);
/* Ends it; a read that a helper thread has begun goes on, and is forgotten. */
void cpoll_end(struct cpoll *p);
int32_t cpoll_wake_descriptor(const struct cpoll *p);
/* Calls of epoll_wait made so far. */
uint64_t cpoll_enters(const struct cpoll *p);

/* Queues an operation. `number` is an offset, nanoseconds, or the token to cancel. */
void cpoll_queue(struct cpoll *p, uint32_t kind, int fd, const void *bytes, uint32_t count,
                 uint64_t number, uint64_t user_data);
void cpoll_lend(struct cpoll *p, uint16_t id);
/* Makes what is queued happen and takes what has completed; with `waiting` until something has.
 * 0, or a negated errno that no retry mends. */
int cpoll_submit(struct cpoll *p, int waiting);
struct curing_completion cpoll_next(struct cpoll *p);

#endif
