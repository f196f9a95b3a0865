// The bytes that are sent, made once.
#pragma once
#include <stddef.h>

#include "options.h"

enum { KEY_DIGITS = 16 };

struct request {
  char *bytes;
  size_t length;
  char *key;  // in the bytes: KEY_DIGITS that are to be replaced each time; NULL: it has no key
};

struct requests {
  unsigned count;
  struct request *list;
};

// One for each line of the targets' file; ends the program when it cannot be read.
struct requests requests_make(const struct options *options);
