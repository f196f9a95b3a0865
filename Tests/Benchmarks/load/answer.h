// Reads one HTTP/1.1 answer from bytes as they come.
#pragma once
#include <stddef.h>

struct answer {
  int status;  // 0 until the head is whole
  size_t body_left;
  size_t head_length;
  char head[4096];
};

enum progress { ANSWER_MORE, ANSWER_WHOLE, ANSWER_BAD };

// Prepares for the next response.
void answer_clear(struct answer *answer);

// Takes the next bytes. Bad are: no HTTP, a head over 4 KiB, one without Content-Length, bytes behind the body.
enum progress answer_take(struct answer *answer, const char *bytes, size_t length);
