import CLinux
import Glibc

/// The limit on open descriptors.
package enum DescriptorLimit {
  /// The soft limit, which is the one in effect; nil if the system does not report it.
  package static var current: Int? {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return nil }
    return Int(clamping: limit.rlim_cur)
  }

  /// Raises the soft limit to the hard limit and returns the limit now in effect.
  package static func raise() -> Int {
    var limit = rlimit()
    guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1_024 }
    let soft = limit.rlim_cur
    limit.rlim_cur = limit.rlim_max
    let isRaised = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0
    return Int(clamping: isRaised ? limit.rlim_max : soft)
  }
}

/// The number of processors this process may run on, as set by `taskset` or a service's CPUAffinity; not the machine's
/// total.
package var processorCount: Int {
  var set = cpu_set_t()
  guard unsafe sched_getaffinity(0, MemoryLayout<cpu_set_t>.size, &set) == 0 else { return 1 }
  return unsafe withUnsafeBytes(of: &set) { bytes in
    unsafe bytes.reduce(0) { count, byte in count + byte.nonzeroBitCount }
  }
}

/// Keeps keys and tokens out of core dumps, and the memory and descriptors of this process from other processes of its
/// user (prctl(2), PR_SET_DUMPABLE). A program that this process starts begins without this protection.
package func disableDumps() throws(Errno) {
  guard linux_set_dumpable(0) == 0 else { throw .last }
}

/// The resident memory of this process that no file backs, in bytes; nil: it is unknown, because there is no `/proc`.
package var residentHeapBytes: Int? {
  guard let file = try? InputFile(path: "/proc/self/statm"), let text = try? file.read(128) else { return nil }
  // proc(5): all pages, resident ones, and those of them that a file backs.
  let pages = text.split(separator: UInt8(ascii: " ")).prefix(3).compactMap { Int(String(decoding: $0, as: UTF8.self)) }
  return pages.count == 3 ? (pages[1] - pages[2]) * Int(sysconf(Int32(_SC_PAGESIZE))) : nil
}

/// The processor time of this process so far, in nanoseconds.
package var processorNanoseconds: Int64 {
  var time = timespec()
  unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// Returns freed heap memory to the system, including pages between blocks in use (malloc_trim(3)).
///
/// Takes a few milliseconds, during which other threads may block in malloc.
package func releaseFreedMemory() {
  _ = malloc_trim(0)
}
