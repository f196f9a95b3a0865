#include "CLinux.h"

static int argument_count;
static char **arguments;

// glibc passes the arguments of main to the program's constructors.
__attribute__((constructor)) static void keep_arguments(int count, char **values) {
  argument_count = count;
  arguments = values;
}

int linux_argument_count(void) { return argument_count; }
const char *linux_argument(int index) { return arguments[index]; }
