// The Linux calls that Swift's Glibc module lacks.
#pragma once
#include <linux/filter.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// glibc declares these for _GNU_SOURCE only, which would make this module's C types differ from the Glibc module's.
int accept4(int socket, struct sockaddr *address, socklen_t *length, int flags);
int pthread_setname_np(pthread_t thread, const char *name);
int sched_getaffinity(pid_t process, size_t byteCount, cpu_set_t *processors);

// recv(2) and send(2) without glibc's cancellation points: threads are never cancelled here, and a cancellation point
// costs 190 instructions per request.
static inline long linux_receive(int socket, void *bytes, size_t count) {
  return syscall(SYS_recvfrom, socket, bytes, count, 0, NULL, NULL);
}
static inline long linux_send(int socket, const void *bytes, size_t count, int flags) {
  return syscall(SYS_sendto, socket, bytes, count, flags, NULL, 0);
}

// ioctl(2) is variadic. For a socket FIONREAD is SIOCINQ: tcp(7).
static inline int linux_bytes_waiting(int socket, int *count) { return ioctl(socket, FIONREAD, count); }

// The columns of a terminal; 0: it is none, or its size is unknown.
static inline int linux_terminal_columns(int number) {
  struct winsize size;
  return ioctl(number, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static inline int linux_terminal_rows(int number) {
  struct winsize size;
  return ioctl(number, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

// prctl(2) is variadic.
static inline int linux_set_dumpable(int value) { return prctl(PR_SET_DUMPABLE, value, 0, 0, 0); }
static inline int linux_dumpable(void) { return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0); }

// The arguments of main. Swift's own CommandLine finds them with the help of /proc, and has none where that is missing.
int linux_argument_count(void);
const char *linux_argument(int index);
