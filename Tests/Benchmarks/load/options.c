#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: load --port PORT --targets FILE [flags]\n"
    "\n"
    "Sends requests to a port of this machine and prints one line of JSON: requests, errors, requests per second, CPU\n"
    "microseconds per request of the processes --pid, latencies in microseconds, and the number of tolerated answers.\n"
    "\n"
    "  --port PORT        where to\n"
    "  --targets FILE     lines with a token and an instance, used in turn\n"
    "  --connections N    at once (64)\n"
    "  --warm-up SECONDS  of load before the window that is measured (0.5)\n"
    "  --seconds SECONDS  how long that window is (2, at most 60)\n"
    "  --requests N       instead: after the warm-up prints \"ready\", waits for a line on standard input, sends exactly\n"
    "                     N requests, prints its line, and holds its connections until standard input ends\n"
    "  --rate N           an open loop of N requests per second; latencies count from the time a request was due\n"
    "  --close            a new connection for each request\n"
    "  --idle             one request on each connection; then prints \"ready\" and holds them until standard input ends\n"
    "  --tls FILE         TLS, with servers that have a certificate of the authority in this file; not with --close\n"
    "  --method METHOD    (GET)\n"
    "  --body BYTES       of a request body (0)\n"
    "  --keyed            a new Idempotency-Key in each request\n"
    "  --path SUFFIX      behind /proxy/balances\n"
    "  --status CODE      what counts as right (any of 2xx)\n"
    "  --tolerate CODE    counts these answers apart, from the start on: neither as right nor as errors\n"
    "  --pid PID          whose CPU time is read over the window, all threads; up to four times, for their sum\n";

static double number(const char *flag, const char *text, double least, double most) {
  char *end;
  double value = strtod(text, &end);
  if (*text && !*end && value >= least && value <= most) return value;
  fprintf(stderr, "load: --%s %s: not a number from %g to %g\n", flag, text, least, most);
  exit(2);
}

struct options options_read(int count, char **arguments) {
  struct options options = {.connections = 64, .seconds = 2, .warm_up = 0.5, .method = "GET", .path = ""};
  static const struct option flags[] = {
      {"port", 1, 0, 'p'},         {"targets", 1, 0, 't'},      {"connections", 1, 0, 'c'},  {"warm-up", 1, 0, 'w'},
      {"seconds", 1, 0, 's'},      {"requests", 1, 0, 'n'},     {"rate", 1, 0, 'r'},         {"close", 0, 0, 'C'},
      {"idle", 0, 0, 'I'},         {"keyed", 0, 0, 'k'},        {"tls", 1, 0, 'A'},          {"method", 1, 0, 'm'},
      {"body", 1, 0, 'b'},         {"path", 1, 0, 'P'},         {"status", 1, 0, 'e'},       {"tolerate", 1, 0, 'T'},
      {"pid", 1, 0, 'i'},          {"help", 0, 0, 'h'},         {0, 0, 0, 0}};
  for (int flag, index; (flag = getopt_long(count, arguments, "", flags, &index)) != -1;) {
    const char *name = flag == '?' ? "" : flags[index].name;
    switch (flag) {
      case 'p': options.port = number(name, optarg, 1, 65535); break;
      case 't': options.targets = optarg; break;
      case 'c': options.connections = number(name, optarg, 1, 20000); break;
      case 'w': options.warm_up = number(name, optarg, 0, 60); break;
      case 's': options.seconds = number(name, optarg, 0.01, 60); break;
      case 'n': options.requests = number(name, optarg, 1, 1e7); break;
      case 'r': options.rate = number(name, optarg, 1, 1e6); break;
      case 'C': options.close = 1; break;
      case 'I': options.idle = 1; break;
      case 'k': options.keyed = 1; break;
      case 'm': options.method = optarg; break;
      case 'b': options.body_bytes = number(name, optarg, 0, 65536); break;
      case 'P': options.path = optarg; break;
      case 'e': options.status = number(name, optarg, 100, 599); break;
      case 'A': options.authority = optarg; break;
      case 'T': options.tolerated = number(name, optarg, 100, 599); break;
      case 'i':
        options.pids[options.pid_count++ % PIDS_MAX] = number(name, optarg, 1, 1 << 30);
        break;
      case 'h': fputs(usage, stdout); exit(0);
      default: fputs(usage, stderr); exit(2);
    }
  }
  int is_possible = options.pid_count <= PIDS_MAX && !(options.close && options.authority);
  if (options.port && options.targets && is_possible && optind == count) return options;
  fputs(usage, stderr);
  exit(2);
}
