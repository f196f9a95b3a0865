// Preloaded into a gateway by StrayResponseTests. A read that returns "X-Hold: 1" blocks until more bytes are queued on
// the same socket, and says so on standard error. This makes a race of microseconds certain.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t hold(int descriptor, const void *bytes, ssize_t count) {
  static const char mark[] = "X-Hold: 1", said[] = "a read is held\n";
  if (count <= 0 || !memmem(bytes, (size_t)count, mark, sizeof mark - 1)) return count;
  if (write(STDERR_FILENO, said, sizeof said - 1) < 0) return count;
  struct pollfd entry = {.fd = descriptor, .events = POLLIN};
  poll(&entry, 1, 30000);
  return count;
}

ssize_t recv(int descriptor, void *bytes, size_t count, int flags) {
  ssize_t (*next)(int, void *, size_t, int) = (ssize_t (*)(int, void *, size_t, int))dlsym(RTLD_NEXT, "recv");
  return hold(descriptor, bytes, next(descriptor, bytes, count, flags));
}

ssize_t read(int descriptor, void *bytes, size_t count) {
  ssize_t (*next)(int, void *, size_t) = (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
  return hold(descriptor, bytes, next(descriptor, bytes, count));
}

ssize_t recvmsg(int descriptor, struct msghdr *message, int flags) {
  ssize_t (*next)(int, struct msghdr *, int) = (ssize_t (*)(int, struct msghdr *, int))dlsym(RTLD_NEXT, "recvmsg");
  ssize_t count = next(descriptor, message, flags);
  if (count <= 0 || message->msg_iovlen < 1) return count;
  size_t first = message->msg_iov[0].iov_len;
  hold(descriptor, message->msg_iov[0].iov_base, (size_t)count < first ? count : (ssize_t)first);
  return count;
}
