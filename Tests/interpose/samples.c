/* samples: small programs that the interposers are tested on.
 *
 *   samples allocate CONTROL   two threads, one named brim-worker-0, with known numbers of calls
 *                              between "start" and "stop"
 *   samples write DIRECTORY    one call of every kind that the file interposers know */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static void pause_ms(long ms) {
    struct timespec wait = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&wait, NULL);
}

static void *volatile sink;
static pthread_barrier_t barrier;

static void *churn(void *name) {
    prctl(PR_SET_NAME, name);
    sink = malloc(10);
    free(sink);
    pthread_barrier_wait(&barrier);
    /* Counting is on from here. */
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 1000; i++) {
        void *one = malloc(100);
        sink = one;
        one = realloc(one, 5000);
        sink = one;
        free(one);
    }
    for (int i = 0; i < 7; i++) {
        sink = calloc(3, 5);
        free(sink);
    }
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void put(const char *path, const char *word) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, word, strlen(word)) < 0) exit(2);
    close(fd);
}

static int allocate(const char *control) {
    pthread_t threads[2];
    pthread_barrier_init(&barrier, NULL, 3);
    pthread_create(&threads[0], NULL, churn, "brim-worker-0");
    pthread_create(&threads[1], NULL, churn, "other");
    pthread_barrier_wait(&barrier);
    if (strcmp(control, "signals")) put(control, "start");
    else kill(getpid(), SIGRTMIN);
    pause_ms(100);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    if (strcmp(control, "signals")) put(control, "stop");
    else kill(getpid(), SIGRTMIN + 1);
    pause_ms(100);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    return 0;
}

static void say(const char *what, long result) {
    printf("%s %ld %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static int write_all(const char *directory) {
    char first[4096], second[4096], notes[4096];
    snprintf(first, sizeof first, "%s/first", directory);
    snprintf(second, sizeof second, "%s/second", directory);
    int fd = open(first, O_RDWR | O_CREAT, 0600);
    say("open", fd < 0 ? -1 : 0);
    say("write", write(fd, "0123456789", 10));
    struct iovec parts[2] = {{"abc", 3}, {"defg", 4}};
    say("writev", writev(fd, parts, 2));
    say("pwrite", pwrite(fd, "PP", 2, 4));
    say("fdatasync", fdatasync(fd));
    say("pwritev", pwritev(fd, parts, 2, 100));
    say("ftruncate", ftruncate(fd, 105));
    char back[8];
    say("pread", pread(fd, back, 8, 0));
    int direct = open(first, O_RDWR | O_DSYNC);
    say("dsync", pwrite(direct, "D", 1, 0));
    say("rename", rename(first, second));
    int folder = open(directory, O_RDONLY | O_DIRECTORY);
    say("fsync", fsync(folder));
    if (getenv("POWERCUT_NOTES")) {
        snprintf(notes, sizeof notes, "%s", getenv("POWERCUT_NOTES"));
        int note = open(notes, O_WRONLY | O_CREAT | O_APPEND, 0600);
        say("note", write(note, "done\n", 5));
    }
    say("unlink", unlink(second));
    close(fd);
    close(direct);
    close(folder);
    return 0;
}

int main(int count, char **arguments) {
    if (count == 3 && !strcmp(arguments[1], "allocate")) return allocate(arguments[2]);
    if (count == 3 && !strcmp(arguments[1], "write")) return write_all(arguments[2]);
    fprintf(stderr, "see the head of the source\n");
    return 64;
}
