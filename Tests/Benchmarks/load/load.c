// Load on one port of this machine: a closed or an open loop, or idle connections. See options.c for its flags.
//
// A request counts if it is answered in the window, so that long ones count as often as short ones; with --requests the
// window holds exactly N, and nothing is under way at its begin and at its end.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "answer.h"
#include "cpu.h"
#include "options.h"
#include "requests.h"
#include "tls.h"

enum { EVENTS_MAX = 256, ERRORS_MAX = 1000, LATENCIES_MAX = 4000000, INPUT_BYTES = 262144 };

struct connection {
  int fd;
  struct ssl_st *tls;  // NULL: plain
  enum { FREE, CONNECTING, WAITING, CLOSING } state;  // CLOSING: answered, and the other side is to close
  uint64_t due;
  struct answer answer;
};

static struct options options;
static struct requests requests;
static unsigned next_request;
static uint64_t next_key;
static struct sockaddr_in address;
static int queue;
static struct connection *connections, **unused;
static int unused_count;
static enum { WARM_UP, DRAIN, WINDOW, OVER } phase;
static uint64_t phase_end, window_begin, next_due;
static double window_cpu;
static long left, answered, tolerated, errors;
static uint64_t *latencies;

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static void fail(const char *what) {
  fprintf(stderr, "load: %s\n", what);
  exit(1);
}

static void fail_with_errno(const char *what) {
  perror(what);
  exit(1);
}

static void count_error(const char *what) {
  fprintf(stderr, "load: %s\n", what);
  if (++errors == ERRORS_MAX) fail("too many errors");
}

static void set_interest(struct connection *connection, int operation, unsigned events) {
  struct epoll_event event = {.events = events, .data.ptr = connection};
  if (epoll_ctl(queue, operation, connection->fd, &event)) fail_with_errno("epoll_ctl");
}

// Without waiting when each request has its own, else connected when it returns.
static void open_connection(struct connection *connection) {
  connection->fd = socket(AF_INET, SOCK_STREAM | (options.close ? SOCK_NONBLOCK : 0), 0);
  if (connection->fd < 0) fail_with_errno("socket");
  setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
  if (connect(connection->fd, (void *)&address, sizeof address) && errno != EINPROGRESS) fail_with_errno("connect");
  if (options.authority) connection->tls = tls_connect(connection->fd);
  set_interest(connection, EPOLL_CTL_ADD, options.close ? EPOLLOUT : EPOLLIN);
}

static ssize_t send_bytes(struct connection *connection, const char *bytes, size_t length) {
  if (connection->tls) return tls_send(connection->tls, bytes, length);
  return send(connection->fd, bytes, length, MSG_NOSIGNAL);
}

static ssize_t receive_bytes(struct connection *connection, char *bytes, size_t length) {
  if (connection->tls) return tls_receive(connection->tls, bytes, length);
  return recv(connection->fd, bytes, length, MSG_DONTWAIT);
}

static void set_key(char *digits) {
  uint64_t key = next_key++;
  for (int i = KEY_DIGITS; i--; key >>= 4) digits[i] = "0123456789abcdef"[key & 15];
}

static void send_request(struct connection *connection) {
  struct request *request = &requests.list[next_request++ % requests.count];
  if (request->key) set_key(request->key);
  answer_clear(&connection->answer);
  connection->state = WAITING;
  if (send_bytes(connection, request->bytes, request->length) != (ssize_t)request->length)
    count_error("a request could not be sent");
}

static void begin_request(struct connection *connection, uint64_t due) {
  connection->due = due;
  if (!options.close) return send_request(connection);
  open_connection(connection);
  connection->state = CONNECTING;
}

// Whether a request is to be sent now, and since when it is due.
static int take_turn(uint64_t *due) {
  if (phase != WARM_UP && phase != WINDOW) return 0;
  if (phase == WINDOW && options.requests && left-- <= 0) return 0;
  *due = now();
  if (!options.rate) return 1;
  if (next_due > *due) return 0;
  *due = next_due;
  next_due += 1e9 / options.rate;
  return 1;
}

static void offer(struct connection *connection) {
  uint64_t due;
  if (take_turn(&due)) return begin_request(connection, due);
  connection->state = FREE;
  unused[unused_count++] = connection;
}

static void use_unused(void) {
  for (uint64_t due; unused_count && take_turn(&due);) begin_request(unused[--unused_count], due);
}

static void count_answer(struct connection *connection) {
  int status = connection->answer.status;
  if (status == options.tolerated) {
    tolerated++;
    return;
  }
  if (options.status ? status != options.status : status / 100 != 2) {
    char what[64];
    sprintf(what, "an answer with status %d", status);
    count_error(what);
  }
  if (phase == WINDOW) {
    if (answered < LATENCIES_MAX) latencies[answered] = now() - connection->due;
    answered++;
  }
}

static void finish(struct connection *connection) {
  count_answer(connection);
  if (options.close) close(connection->fd);
  offer(connection);
}

static void lose(struct connection *connection, const char *what) {
  if (connection->tls) fail("a connection with TLS was lost");
  count_error(what);
  close(connection->fd);
  if (!options.close) open_connection(connection);
  offer(connection);
}

static void receive(struct connection *connection) {
  static char input[INPUT_BYTES];
  ssize_t got = receive_bytes(connection, input, sizeof input);
  if (got < 0 && errno == EAGAIN) return;
  if (connection->state == CLOSING) return got == 0 ? finish(connection) : lose(connection, "bytes behind an answer");
  if (got <= 0) return lose(connection, "a connection was lost");
  switch (answer_take(&connection->answer, input, got)) {
    case ANSWER_MORE: return;
    case ANSWER_BAD: return lose(connection, "an answer that cannot be read");
    case ANSWER_WHOLE:
      if (!options.close) return finish(connection);
      connection->state = CLOSING;
  }
}

static void handle(struct connection *connection, unsigned events) {
  if (connection->state != CONNECTING) return receive(connection);
  if (events & (EPOLLERR | EPOLLHUP)) return lose(connection, "a connection was refused");
  set_interest(connection, EPOLL_CTL_MOD, EPOLLIN);
  send_request(connection);
}

// Handles what comes until `end`, or for the time until the next request is due.
static void turn(uint64_t end) {
  uint64_t time = now(), until = options.rate && next_due < end ? next_due : end;
  uint64_t nanoseconds = until > time ? until - time : 0;
  struct timespec wait = {nanoseconds / 1000000000, nanoseconds % 1000000000};
  struct epoll_event events[EVENTS_MAX];
  int ready = epoll_pwait2(queue, events, EVENTS_MAX, &wait, NULL);
  for (int i = 0; i < ready; i++) handle(events[i].data.ptr, events[i].events);
  use_unused();
}

static void say_ready_and_wait(void) {
  printf("ready\n");
  fflush(stdout);
  char line[16];
  if (!fgets(line, sizeof line, stdin)) exit(0);
}

static void drain(void) {
  uint64_t end = now() + 60000000000ull;
  while (unused_count < options.connections) {
    if (now() > end) fail("requests stay without an answer");
    turn(end);
  }
}

static int by_size(const void *a, const void *b) {
  uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
  return (first > second) - (first < second);
}

static double quantile(double part) {
  long count = answered < LATENCIES_MAX ? answered : LATENCIES_MAX;
  return count ? latencies[(long)((count - 1) * part)] / 1000.0 : 0;
}

static void report(double seconds, double cpu) {
  qsort(latencies, answered < LATENCIES_MAX ? answered : LATENCIES_MAX, sizeof *latencies, by_size);
  printf("{\"requests\": %ld, \"errors\": %ld, \"rate\": %.0f, \"cpu_us\": %.3f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
         "\"tolerated\": %ld}\n",
         answered, errors, answered / seconds, answered ? cpu / 1000 / answered : 0, quantile(0.5), quantile(0.99), tolerated);
  fflush(stdout);
}

static double cpu_of_all(void) {
  double sum = 0;
  for (int i = 0; i < options.pid_count; i++) sum += cpu_nanoseconds(options.pids[i]);
  return sum;
}

static void measure(void) {
  next_due = now();
  phase_end = next_due + (uint64_t)(options.warm_up * 1e9);
  for (int i = 0; i < options.connections; i++) offer(&connections[i]);
  while (now() < phase_end) turn(phase_end);
  if (options.requests) {
    phase = DRAIN;
    drain();
    say_ready_and_wait();
  }
  phase = WINDOW;
  left = options.requests;
  window_cpu = cpu_of_all();
  window_begin = now();
  phase_end = window_begin + (options.requests ? 300000000000ull : (uint64_t)(options.seconds * 1e9));
  use_unused();
  while (now() < phase_end && !(options.requests && answered == options.requests)) turn(phase_end);
  double seconds = (now() - window_begin) / 1e9;
  double cpu = cpu_of_all() - window_cpu;
  phase = OVER;
  report(seconds, cpu);
  if (options.requests) getchar();
}

static void hold_idle(void) {
  phase = DRAIN;
  for (int i = 0; i < options.connections; i++) {
    connections[i].due = now();
    send_request(&connections[i]);
    while (connections[i].state == WAITING) turn(now() + 1000000000);
  }
  printf("ready\n");
  report(1, 0);
  getchar();
}

int main(int count, char **arguments) {
  options = options_read(count, arguments);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  alarm(400);
  struct rlimit descriptors;
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);
  address = (struct sockaddr_in){AF_INET, htons(options.port), {htonl(INADDR_LOOPBACK)}, {0}};
  requests = requests_make(&options);
  next_key = now();  // nanoseconds pass faster than requests: no run repeats the keys of another
  if (options.authority) tls_use(options.authority);
  queue = epoll_create1(0);
  connections = calloc(options.connections, sizeof *connections);
  unused = calloc(options.connections, sizeof *unused);
  latencies = malloc(LATENCIES_MAX * sizeof *latencies);
  if (queue < 0 || !connections || !unused || !latencies) fail("no memory");
  for (int i = 0; i < options.connections && !options.close; i++) open_connection(&connections[i]);
  if (options.idle) hold_idle();
  else measure();
}
