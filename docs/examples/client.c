/* A client in C, with sockets alone: cc -o client client.c && ./client [HOST:PORT]
 *
 * Shows what a library does: a request in one write, and a reply read to its last byte, however it
 * was cut on its way. Ends with 1 if an answer is not as it should be. For programs that are to
 * last, libmemcached has all of this, and pools. */
#define _POSIX_C_SOURCE 200809L
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

/* A connection to "host:port"; every wait on it ends after five seconds. */
static int connect_to(const char *address)
{
    char host[256];
    const char *colon = strrchr(address, ':');
    if (colon == NULL || (size_t)(colon - address) >= sizeof host)
        fail("HOST:PORT is wanted");
    memcpy(host, address, colon - address);
    host[colon - address] = 0;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        fail("no such host");
    int fd = -1;
    for (struct addrinfo *each = found; each != NULL && fd < 0; each = each->ai_next) {
        fd = socket(each->ai_family, each->ai_socktype, each->ai_protocol);
        if (fd >= 0 && connect(fd, each->ai_addr, each->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0)
        fail("cannot connect");
    struct timeval limit = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return fd;
}

static void send_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
        if (sent <= 0)
            fail("cannot send");
        bytes += sent;
        count -= sent;
    }
}

/* The next bytes must be these. A reply may come in any number of pieces. */
static void expect(int fd, const char *wanted)
{
    size_t count = strlen(wanted), got = 0;
    char bytes[4096];
    if (count > sizeof bytes)
        fail("too long for this example");
    while (got < count) {
        ssize_t part = recv(fd, bytes + got, count - got, 0);
        if (part <= 0)
            fail("no answer");
        got += part;
    }
    if (memcmp(bytes, wanted, count) != 0) {
        fprintf(stderr, "expected:\n%s\ngot:\n%.*s\n", wanted, (int)count, bytes);
        exit(1);
    }
}

static void ask(int fd, const char *request, const char *reply)
{
    send_all(fd, request, strlen(request));
    expect(fd, reply);
}

int main(int argc, char **argv)
{
    int fd = connect_to(argc > 1 ? argv[1] : "127.0.0.1:11211");
    ask(fd, "set example:c:greeting 42 60 5\r\nhello\r\n", "STORED\r\n");
    /* 42 is the flags: a number that the server keeps for the client, unread. */
    ask(fd, "get example:c:greeting\r\n", "VALUE example:c:greeting 42 5\r\nhello\r\nEND\r\n");
    ask(fd, "set example:c:visits 0 60 1\r\n0\r\n", "STORED\r\n");
    ask(fd, "incr example:c:visits 5\r\n", "5\r\n");
    /* Several requests in one write are answered in their order. */
    ask(fd, "add example:c:visits 0 60 1\r\n9\r\ndelete example:c:greeting\r\n"
            "get example:c:greeting\r\n", "NOT_STORED\r\nDELETED\r\nEND\r\n");
    close(fd);
    puts("c: ok");
    return 0;
}
