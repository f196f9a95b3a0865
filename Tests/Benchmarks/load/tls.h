// TLS on a connected socket.
#pragma once
#include <stddef.h>
#include <sys/types.h>

struct ssl_st;

// `authority`: PEM file; servers need a certificate of it. Ends the program when it cannot be read.
void tls_use(const char *authority);

// The handshake, on a socket that waits; afterwards it does not wait. Ends the program when it fails.
struct ssl_st *tls_connect(int fd);

// As send(2) and recv(2).
ssize_t tls_send(struct ssl_st *tls, const char *bytes, size_t length);
ssize_t tls_receive(struct ssl_st *tls, char *bytes, size_t length);
