// The Linux calls that Swift's Glibc module lacks.
#pragma once
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

// accept4 is declared for _GNU_SOURCE only, which would make this module's C types differ from Glibc's.
int accept4(int socket, struct sockaddr *address, socklen_t *length, int flags);
