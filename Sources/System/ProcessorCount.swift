import CLinux
import Glibc

/// How many processors this process may run on: as `taskset` or a service's CPUAffinity has it, not all of the machine's.
package var processorCount: Int {
  var set = cpu_set_t()
  guard unsafe sched_getaffinity(0, MemoryLayout<cpu_set_t>.size, &set) == 0 else { return 1 }
  return unsafe withUnsafeBytes(of: &set) { bytes in
    unsafe bytes.reduce(0) { count, byte in count + byte.nonzeroBitCount }
  }
}
