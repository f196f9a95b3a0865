import FoundationEssentials
import Glibc
import System

/// What the kernel says of this process; 0 for what it does not say.
struct ProcessReading {
  let cpuNanoseconds = Int(MonotonicClock.processNanoseconds)
  let openDescriptors: Int
  let descriptorsMax = DescriptorLimit.raise()
  let residentBytes: Int

  init() {
    openDescriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))?.count ?? 0
    // Pages: in all, resident, … (proc(5)).
    let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ") ?? []
    residentBytes = pages.count > 1 ? (Int(pages[1]) ?? 0) * Int(getpagesize()) : 0
  }
}
