#include "CBuild.h"

#define TEXT_OF(tokens) #tokens
#define TEXT(macro) TEXT_OF(macro)

#ifndef GATEWAY_COMMIT
#define GATEWAY_COMMIT unknown
#endif
#ifndef GATEWAY_SWIFT
#define GATEWAY_SWIFT
#endif

const char *build_commit(void) { return TEXT(GATEWAY_COMMIT); }
const char *build_swift(void) { return TEXT(GATEWAY_SWIFT); }
