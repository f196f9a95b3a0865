// What the build passes to the compiler: deploy/build does, "swift build" alone does not.
#pragma once

// The commit of the source, with "-dirty" if files differ from it; "unknown" if the build does not pass it.
const char *build_commit(void);
// The version of the Swift toolchain, such as 6.3.1; "" if the build does not pass it.
const char *build_swift(void);
