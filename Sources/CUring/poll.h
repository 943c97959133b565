/* What CPoll.c and poll_sockets.c share: the state of a ring over epoll. Theirs alone. */
#ifndef CURING_POLL_H
#define CURING_POLL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "CPoll.h"
#include "reads.h"

enum {
    /* Sockets that one look tells of; the others come with the next. */
    events_max = 256,
    /* New connections, and full buffers of one socket, that one look takes. */
    accepts_max = 16,
    receives_max = 8,
    buckets = 1 << 12,
};

/* Bits of a completion's flags, as the kernel's ring has them. */
enum { has_buffer = 1 << 0, is_armed = 1 << 1, buffer_shift = 16 };

struct operation {
    uint64_t token;
    uint64_t number;
    void *bytes;
    int32_t fd;
    uint32_t count;
    uint32_t kind;
};

/* An operation that waits for its socket: in the list of the socket, and of its token's bucket. */
struct waiting {
    uint64_t token;
    void *bytes;
    uint32_t count;
    int32_t fd;
    uint32_t next;
    uint32_t link;
    uint32_t kind;
    /* A repeated wait for room has been told of it, and the socket has not been full since. */
    uint32_t is_told;
};

/* What is known of a descriptor: who waits for it, and what epoll was asked to tell. */
struct watched {
    uint32_t first;
    uint32_t events;
};

struct timer {
    uint64_t at;
    uint64_t token;
};

/* A table that grows: `count` entries are mapped, all zero at first. */
struct table {
    void *base;
    size_t bytes;
};

struct cpoll {
    int epoll;
    int wake;
    /* Told of reads that helper threads have done. */
    int done;
    int failure;
    int is_wake_armed;
    int is_wake_pending;
    uint64_t wake_token;
    uint64_t enters;

    struct operation *queue;
    uint32_t queued;
    uint32_t entries;

    struct curing_entry *completions;
    uint32_t completed;
    uint32_t taken;
    uint32_t completions_max;

    uint8_t *buffers;
    uint32_t buffer_bytes;
    uint32_t buffer_count;
    /* The lent buffers; the last one given back is the first to be used again. */
    uint16_t *lent;
    uint32_t lent_count;

    struct table watched;
    struct table waiting;
    uint32_t waiting_used;
    uint32_t waiting_free;
    uint32_t heads[buckets];

    struct timer *timers;
    uint32_t timer_count;
    uint32_t timers_max;

    struct readers *reads;
    struct epoll_event events[events_max];
};

/* Adds a completion; flags as the kernel's ring has them. */
void poll_complete(struct cpoll *p, uint64_t token, int32_t result, uint32_t flags);
/* Unmaps a table. */
void poll_forget(struct table *t);

struct waiting *poll_waiting(struct cpoll *p, uint32_t id);
/* The first of those that wait with tokens like this one; linked by `link`. */
uint32_t *poll_bucket(struct cpoll *p, uint64_t token);
/* An operation begins to wait for its socket. */
void poll_await(struct cpoll *p, const struct operation *o);
/* The last completion of one that waits. */
void poll_finish(struct cpoll *p, uint32_t id, int32_t result);
/* Asks epoll for what those want who wait; an errno if it refuses. */
int poll_watch(struct cpoll *p, int fd);

/* Epoll has told something of a socket. */
void poll_settle(struct cpoll *p, int fd, uint32_t events);
void poll_send_some(struct cpoll *p, const struct operation *o);
void poll_close_socket(struct cpoll *p, const struct operation *o);

#endif
