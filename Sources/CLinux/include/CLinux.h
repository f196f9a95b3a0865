// The Linux calls that Swift's Glibc overlay does not show.
#pragma once
#define _GNU_SOURCE 1
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

// accept4 is a GNU extension: its declaration depends on _GNU_SOURCE, which an importer cannot set.
int accept4(int socket, struct sockaddr *address, socklen_t *length, int flags);
