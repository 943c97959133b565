/* Reads of files that would block whoever asks: two threads of the process make them. */
#ifndef CURING_READS_H
#define CURING_READS_H

#include <stdint.h>

/* The reads of one asker, and what became of them. */
struct readers;

/* `done` is an eventfd that is written when there is something to take. NULL without memory, or
 * if no thread can be started. */
struct readers *readers_make(int done);
/* What no thread has begun is dropped; what one has begun is forgotten when it ends. */
void readers_end(struct readers *r);
/* 0, or an errno. The bytes are the reader's until the result has been taken. */
int readers_add(struct readers *r, int fd, void *bytes, uint32_t count, uint64_t offset,
                uint64_t token);
/* Takes the next one that is done; 0 if none is. */
int readers_take(struct readers *r, uint64_t *token, int32_t *result);

#endif
