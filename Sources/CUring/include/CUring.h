#ifndef CURING_H
#define CURING_H
#include <liburing.h>
#endif
