// Replaces Cores: one thread that answers HTTP/1.1 requests on several ports of this machine.
//
// usage: upstream PORTS      (how many; the kernel chooses them, and they are printed in one line)
//
// GET is answered by 200 and POST by 201 with 400 bytes of JSON. In the path, "blob16k" and "blob1m" ask for bodies of that
// size, "echo" for the request's own head, and "slow" for an answer that begins 50 ms later. A request without X-Blnk-Key
// gets 500, so a proxy that forgets it shows.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORTS_MAX = 64, INPUT_BYTES_MAX = 16384, EVENTS_MAX = 256, DELAY_MS = 50 };

struct answer {
  char *bytes;
  size_t length;
};

struct connection {
  int fd;
  size_t input_length;
  size_t body_left;  // bytes of a request body that are still to be dropped
  const char *output;
  size_t output_left;
  char *echo;  // what output points into, when it is this connection's own
  uint64_t due;             // when a delayed answer begins, in milliseconds; 0: none is delayed
  struct connection *next;  // with a delayed answer that begins after this one's
  int is_gone;              // the other side has ended it before its delayed answer
  char input[INPUT_BYTES_MAX];
};

static int queue;
static struct connection *first_delayed, *last_delayed;
static struct answer ok, created, blob_16k, blob_1m, keyless;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static struct answer make_answer(const char *status, size_t body_bytes) {
  static const char begin[] = "{\"balance_id\":\"bln_0be360ca-86fe-457d-be43-daa3f966d8f0\",\"pad\":\"", end[] = "\"}";
  struct answer answer = {malloc(body_bytes + 512), 0};
  if (!answer.bytes) fail("malloc");
  int head = sprintf(answer.bytes,
                     "HTTP/1.1 %s\r\nContent-Type: application/json; charset=utf-8\r\n"
                     "Date: Thu, 20 Nov 2025 16:00:00 GMT\r\nContent-Length: %zu\r\n\r\n",
                     status, body_bytes);
  char *body = answer.bytes + head;
  memset(body, 'x', body_bytes);
  memcpy(body, begin, sizeof begin - 1);
  memcpy(body + body_bytes - (sizeof end - 1), end, sizeof end - 1);
  answer.length = head + body_bytes;
  return answer;
}

static void watch(struct connection *connection, int operation, unsigned events) {
  struct epoll_event event = {.events = events, .data.ptr = connection};
  if (epoll_ctl(queue, operation, connection->fd, &event)) fail("epoll_ctl");
}

static uint64_t now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000ull + time.tv_nsec / 1000000;
}

static void end(struct connection *connection) {
  close(connection->fd);
  free(connection->echo);
  free(connection);
}

static void delay(struct connection *connection) {
  connection->due = now_ms() + DELAY_MS;
  connection->next = NULL;
  if (first_delayed) last_delayed->next = connection;
  else first_delayed = connection;
  last_delayed = connection;
}

// Chooses the answer to the request whose head the input begins with.
static void answer_request(struct connection *connection, size_t head, int has_key) {
  const char *input = connection->input;
  size_t line = (const char *)memchr(input, '\n', head) - input;
  const struct answer *answer = input[0] == 'P' && input[1] == 'O' ? &created : &ok;
  if (!has_key) answer = &keyless;
  else if (memmem(input, line, "blob16k", 7)) answer = &blob_16k;
  else if (memmem(input, line, "blob1m", 6)) answer = &blob_1m;
  else if (memmem(input, line, "echo", 4)) {
    connection->echo = malloc(head + 256);
    if (!connection->echo) fail("malloc");
    int length = sprintf(connection->echo, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", head);
    memcpy(connection->echo + length, input, head);
    connection->output = connection->echo;
    connection->output_left = length + head;
    return;
  }
  if (memmem(input, line, "slow", 4)) delay(connection);
  connection->output = answer->bytes;
  connection->output_left = answer->length;
}

static void drop_input(struct connection *connection, size_t bytes) {
  connection->input_length -= bytes;
  memmove(connection->input, connection->input + bytes, connection->input_length);
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// Takes the next whole head out of the input and chooses its answer; 0 if none is there.
static int take_request(struct connection *connection) {
  size_t dropped = least(connection->body_left, connection->input_length);
  drop_input(connection, dropped);
  connection->body_left -= dropped;
  char *input = connection->input, *blank = memmem(input, connection->input_length, "\r\n\r\n", 4);
  if (connection->body_left || !blank) return 0;
  size_t head = blank + 4 - input;
  int has_key = 0;
  for (char *line = memchr(input, '\n', head); line && line < blank; line = memchr(line, '\n', blank + 2 - line)) {
    line++;
    if (!strncasecmp(line, "content-length:", 15)) connection->body_left = strtoul(line + 15, NULL, 10);
    if (!strncasecmp(line, "x-blnk-key:", 11)) has_key = 1;
  }
  answer_request(connection, head, has_key);
  drop_input(connection, head);
  return 1;
}

// 1: all is out. 0: the kernel takes no more now. -1: the connection is broken.
static int send_output(struct connection *connection) {
  while (connection->output_left) {
    ssize_t sent = send(connection->fd, connection->output, connection->output_left, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN ? 0 : -1;
    connection->output += sent;
    connection->output_left -= sent;
  }
  free(connection->echo);
  connection->echo = NULL;
  return 1;
}

// Sends what there is to send, and chooses the answers to further requests, until nothing is left or an answer is delayed.
static void advance(struct connection *connection, unsigned events) {
  int sent;
  while ((sent = send_output(connection)) == 1 && take_request(connection) && !connection->due) {}
  if (sent < 0) return end(connection);
  if (sent == 0) watch(connection, EPOLL_CTL_MOD, EPOLLOUT);
  else if (events & EPOLLOUT) watch(connection, EPOLL_CTL_MOD, EPOLLIN);
}

static void begin_delayed(void) {
  for (uint64_t time = now_ms(); first_delayed && first_delayed->due <= time;) {
    struct connection *connection = first_delayed;
    first_delayed = connection->next;
    connection->due = 0;
    if (connection->is_gone) end(connection);
    else advance(connection, 0);
  }
}

// Milliseconds until the next delayed answer begins; -1: none is delayed.
static int wait_ms(void) {
  if (!first_delayed) return -1;
  uint64_t time = now_ms();
  return first_delayed->due > time ? (int)(first_delayed->due - time) : 0;
}

static void serve(struct connection *connection, unsigned events) {
  // No proxy sends a second request before the answer to the first.
  if (connection->due) {
    connection->is_gone = 1;
    if (epoll_ctl(queue, EPOLL_CTL_DEL, connection->fd, NULL)) fail("epoll_ctl");
    return;
  }
  if (!connection->output_left) {
    ssize_t got = recv(connection->fd, connection->input + connection->input_length,
                       sizeof connection->input - connection->input_length, 0);
    if (got < 0 && errno == EAGAIN) return;
    // A head that does not fit gets no answer either.
    if (got <= 0) return end(connection);
    connection->input_length += got;
  }
  advance(connection, events);
}

static void accept_all(int listener) {
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection) fail("calloc");
    connection->fd = fd;
    watch(connection, EPOLL_CTL_ADD, EPOLLIN);
  }
}

static int listen_somewhere(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (fd < 0 || bind(fd, (void *)&address, length) || listen(fd, 4096)) fail("listen");
  if (getsockname(fd, (void *)&address, &length)) fail("getsockname");
  printf("%d ", ntohs(address.sin_port));
  return fd;
}

int main(int count, char **arguments) {
  int ports = count == 2 ? atoi(arguments[1]) : 0;
  if (ports < 1 || ports > PORTS_MAX) {
    fprintf(stderr, "usage: upstream PORTS   (1 to %d)\n", PORTS_MAX);
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct rlimit descriptors;
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);
  ok = make_answer("200 OK", 400);
  created = make_answer("201 Created", 400);
  blob_16k = make_answer("200 OK", 16384);
  blob_1m = make_answer("200 OK", 1048576);
  keyless = make_answer("500 Internal Server Error", 100);
  queue = epoll_create1(0);
  int listeners[PORTS_MAX];
  for (int i = 0; i < ports; i++) {
    listeners[i] = listen_somewhere();
    // A pointer into the array of listeners distinguishes them from connections.
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listeners[i]};
    if (epoll_ctl(queue, EPOLL_CTL_ADD, listeners[i], &event)) fail("epoll_ctl");
  }
  printf("\n");
  fflush(stdout);
  for (;;) {
    struct epoll_event events[EVENTS_MAX];
    int ready = epoll_wait(queue, events, EVENTS_MAX, wait_ms());
    for (int i = 0; i < ready; i++) {
      int *listener = events[i].data.ptr;
      if (listener >= listeners && listener < listeners + ports) accept_all(*listener);
      else serve(events[i].data.ptr, events[i].events);
    }
    begin_delayed();
  }
}
