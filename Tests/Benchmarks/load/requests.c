#define _GNU_SOURCE
#include "requests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char key_field[] = "Idempotency-Key: \"0000000000000000\"\r\n";

static struct request make(const struct options *options, const char *token, const char *instance, const char *body) {
  char fields[128] = "";
  if (options->body_bytes)
    sprintf(fields, "Content-Type: application/json\r\nContent-Length: %d\r\n", options->body_bytes);
  struct request request;
  int length = asprintf(&request.bytes,
                        "%s /proxy/balances%s?limit=20&instance_id=%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                        "User-Agent: load/1.0\r\nAccept: application/json\r\nAuthorization: Bearer %s\r\n%s%s%s\r\n%s",
                        options->method, options->path, instance, options->port, token,
                        options->close ? "Connection: close\r\n" : "", options->keyed ? key_field : "", fields, body);
  if (length < 0) abort();
  request.length = length;
  request.key = options->keyed ? strchr(strstr(request.bytes, "Idempotency-Key"), '"') + 1 : NULL;
  return request;
}

static void append(struct requests *requests, struct request request) {
  // Full at each power of two.
  if (!(requests->count & (requests->count - 1))) {
    size_t capacity = requests->count ? 2 * (size_t)requests->count : 1;
    requests->list = realloc(requests->list, capacity * sizeof request);
    if (!requests->list) abort();
  }
  requests->list[requests->count++] = request;
}

struct requests requests_make(const struct options *options) {
  FILE *file = fopen(options->targets, "r");
  if (!file) {
    perror(options->targets);
    exit(1);
  }
  char token[256], instance[128], *body = calloc(1, options->body_bytes + 1);
  if (!body) abort();
  memset(body, ' ', options->body_bytes);
  if (options->body_bytes >= 2) body[0] = '{', body[options->body_bytes - 1] = '}';
  struct requests requests = {0};
  while (fscanf(file, "%255s %127s", token, instance) == 2)
    append(&requests, make(options, token, instance, body));
  fclose(file);
  free(body);
  if (!requests.count) {
    fprintf(stderr, "load: %s: no targets\n", options->targets);
    exit(1);
  }
  return requests;
}
