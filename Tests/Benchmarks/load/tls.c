#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

static SSL_CTX *context;

static void fail(const char *what) {
  fprintf(stderr, "load: %s\n", what);
  ERR_print_errors_fp(stderr);
  exit(1);
}

void tls_use(const char *authority) {
  context = SSL_CTX_new(TLS_client_method());
  if (!context || SSL_CTX_load_verify_file(context, authority) != 1) fail(authority);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  // Header and content of a record with one receive.
  SSL_CTX_set_read_ahead(context, 1);
}

struct ssl_st *tls_connect(int fd) {
  SSL *tls = SSL_new(context);
  if (!tls || SSL_set_fd(tls, fd) != 1 || SSL_connect(tls) != 1) fail("a TLS handshake failed");
  if (fcntl(fd, F_SETFL, O_NONBLOCK)) fail("fcntl");
  return tls;
}

// What send(2) and recv(2) would return.
static ssize_t as_system_call(SSL *tls, int result) {
  if (result > 0) return result;
  int error = SSL_get_error(tls, result);
  ERR_clear_error();
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
  return -1;
}

ssize_t tls_send(SSL *tls, const char *bytes, size_t length) { return as_system_call(tls, SSL_write(tls, bytes, length)); }

ssize_t tls_receive(SSL *tls, char *bytes, size_t length) { return as_system_call(tls, SSL_read(tls, bytes, length)); }
