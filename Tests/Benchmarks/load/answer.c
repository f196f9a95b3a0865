#define _GNU_SOURCE
#include "answer.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void answer_clear(struct answer *answer) { answer->status = 0, answer->head_length = 0; }

static enum progress take_body(struct answer *answer, size_t length) {
  if (length > answer->body_left) return ANSWER_BAD;
  answer->body_left -= length;
  return answer->body_left ? ANSWER_MORE : ANSWER_WHOLE;
}

// Of a head that ends in a blank line: its Content-Length, or -1.
static long long content_length(const char *head, const char *end) {
  for (const char *line = head; line && line < end; line = memchr(line, '\n', end - line)) {
    if (*line == '\n') line++;
    if (!strncasecmp(line, "content-length:", 15)) return atoll(line + 15);
  }
  return -1;
}

enum progress answer_take(struct answer *answer, const char *bytes, size_t length) {
  if (answer->status) return take_body(answer, length);
  size_t room = sizeof answer->head - answer->head_length, copied = length < room ? length : room;
  memcpy(answer->head + answer->head_length, bytes, copied);
  size_t before = answer->head_length;
  answer->head_length += copied;
  const char *blank = memmem(answer->head, answer->head_length, "\r\n\r\n", 4);
  if (!blank) return copied < length || copied == room ? ANSWER_BAD : ANSWER_MORE;
  if (strncmp(answer->head, "HTTP/1.1 ", 9)) return ANSWER_BAD;
  long long body = content_length(answer->head, blank);
  if (body < 0) return ANSWER_BAD;
  answer->status = atoi(answer->head + 9);
  answer->body_left = body;
  return take_body(answer, length - (blank + 4 - answer->head - before));
}
