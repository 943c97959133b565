#include <lmdb.h>
#include <sys/types.h>

/* fallocate(2), which glibc declares for GNU sources only. */
int fallocate(int descriptor, int mode, off_t offset, off_t byteCount);
