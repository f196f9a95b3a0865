// The command line of the load generator.
#pragma once

enum { PIDS_MAX = 4 };

struct options {
  int port, connections, status, tolerated, pids[PIDS_MAX], pid_count;
  const char *targets, *method, *path, *authority;
  int body_bytes;
  double seconds, warm_up, rate;
  long requests;
  int close, idle, keyed;
};

// Ends the program when it cannot be understood.
struct options options_read(int count, char **arguments);
