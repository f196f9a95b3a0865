// The bytes that are sent, made once.
#pragma once
#include <stddef.h>

#include "options.h"

struct request {
  char *bytes;
  size_t length;
};

struct requests {
  unsigned count;
  struct request *list;
};

// One for each line of the targets' file; ends the program when it cannot be read.
struct requests requests_make(const struct options *options);
