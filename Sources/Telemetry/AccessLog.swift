import Dispatch
import Synchronization
import System

/// The access log: a writer thread that appends the loops' buffers to a file.
package final class AccessLog: Sendable {
  private let channels = Mutex<[AccessLogChannel]>([])
  private let wake = DispatchSemaphore(value: 0)
  private let finished = DispatchSemaphore(value: 0)
  private let isClosing = Atomic<Bool>(false)
  private let mustReopen = Atomic<Bool>(false)
  private let report: @Sendable (String) -> Void

  /// Opens the file and starts the writer.
  ///
  /// - Parameters:
  ///   - path: the file to append to, created with mode 0640 if missing; `-` is standard output.
  ///   - report: called on the writer's thread when writing or reopening fails, and when writing works again.
  package init(path: String, report: @escaping @Sendable (String) -> Void) throws(LogFileFault) {
    self.report = report
    // Handed off so that only the writer holds the file, and a rotation closes it.
    let file = Handoff(try LogFile(path: path))
    startThread(named: "access-log") { [self] in write(to: file.take()) }
  }

  /// Makes the buffer of one loop; callable on any thread.
  package func makeBuffer() -> sending AccessLogBuffer {
    let channel = AccessLogChannel()
    channels.withLock { $0.append(channel) }
    let wake = wake
    return AccessLogBuffer(channel) { wake.signal() }
  }

  /// The number of lines lost because the writer fell behind or could not write.
  package var droppedLines: Int { channels.withLock { $0.reduce(0) { $0 + $1.droppedLines } } }

  /// Reopens the path after a rotation has moved the file; if this fails, the old file stays in use.
  package func reopen() {
    mustReopen.store(true, ordering: .releasing)
    wake.signal()
  }

  /// Writes the buffers that the loops have handed over and ends the writer; false if it did not end in time.
  ///
  /// - Parameter seconds: how long to wait for a slow reader of the log.
  @discardableResult
  package func close(within seconds: Double = 2) -> Bool {
    isClosing.store(true, ordering: .releasing)
    wake.signal()
    return finished.wait(timeout: .now() + seconds) == .success
  }

  private func write(to file: consuming LogFile) {
    var writer = AccessLogWriter(file: file, report: report)
    var isLast = false
    while !isLast {
      wake.wait()
      isLast = isClosing.load(ordering: .acquiring)
      if mustReopen.exchange(false, ordering: .acquiring) { writer.reopen() }
      for channel in channels.withLock({ $0 }) { writer.drain(channel) }
    }
    finished.signal()
  }
}

/// The writer thread's state.
private struct AccessLogWriter {
  private var file: LogFile
  private var isFailing = false
  private var bytes: [UInt8] = []
  private let report: @Sendable (String) -> Void

  init(file: LogFile, report: @escaping @Sendable (String) -> Void) {
    self.file = file
    self.report = report
  }

  mutating func drain(_ channel: AccessLogChannel) {
    let lines = channel.take(&bytes)
    guard lines > 0 else { return }
    do {
      try file.write(bytes)
      if isFailing { report("access log: writing to \(file.path) works again") }
      isFailing = false
    } catch {
      // The number of lines written before the fault is unknown, so all are counted.
      channel.countDropped(lines)
      if !isFailing { report("access log: \(error); lines are dropped") }
      isFailing = true
    }
    bytes.removeAll(keepingCapacity: true)
  }

  mutating func reopen() {
    do { file = try LogFile(path: file.path) } catch { report("access log: \(error); the old file stays in use") }
  }
}
