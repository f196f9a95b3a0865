// Tells ThreadSanitizer what it cannot see of the standard library's Mutex. The way without contention is inlined, and
// seen; the one with contention is in the library, which is not instrumented: a thread that had to wait looks as if it
// had never taken the lock. Preloaded by Tests/run.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

typedef __attribute__((swiftcall)) void Lock(uint32_t, __attribute__((swift_context)) void *);
typedef __attribute__((swiftcall)) void Unlock(__attribute__((swift_context)) void *);

// Not there in programs without the sanitizer, which inherit the preloading.
static void tell(const char *what, void *mutex) {
  void (*function)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, what);
  if (function) function(mutex);
}

Lock lock __asm__(LOCK);
Unlock unlock __asm__(UNLOCK);

__attribute__((swiftcall)) void lock(uint32_t thread, __attribute__((swift_context)) void *mutex) {
  static Lock *real;
  if (!real) real = (Lock *)dlsym(RTLD_NEXT, LOCK);
  real(thread, mutex);
  tell("__tsan_acquire", mutex);
}

__attribute__((swiftcall)) void unlock(__attribute__((swift_context)) void *mutex) {
  static Unlock *real;
  if (!real) real = (Unlock *)dlsym(RTLD_NEXT, UNLOCK);
  tell("__tsan_release", mutex);
  real(mutex);
}
