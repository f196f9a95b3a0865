import Dispatch
import Synchronization
import System

/// The access log: one writer thread that takes the loops' full buffers and appends them to a file.
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
  ///   - path: appended to, made with mode 0640 where it is missing; `-` is standard output.
  ///   - report: told, on the writer's thread, when writing or reopening fails and when it works again.
  package init(path: String, report: @escaping @Sendable (String) -> Void) throws(LogFileFault) {
    self.report = report
    // The writer alone holds it, so that a rotation closes it.
    let file = HandedOver(try LogFile(path: path))
    startThread(named: "access-log") { [self] in write(to: file.take()) }
  }

  /// A buffer for one loop, made on any thread and used by that loop alone.
  package func makeBuffer() -> sending AccessLogBuffer {
    let channel = AccessLogChannel()
    channels.withLock { $0.append(channel) }
    let wake = wake
    return AccessLogBuffer(channel) { wake.signal() }
  }

  /// Lines that were lost because the writer was behind or could not write.
  package var droppedLines: Int { channels.withLock { $0.reduce(0) { $0 + $1.droppedLines } } }

  /// Opens the path anew, after a rotation has moved the file; the old file stays in use where that fails.
  package func reopen() {
    mustReopen.store(true, ordering: .releasing)
    wake.signal()
  }

  /// Writes what the loops have handed over and ends the writer; false where it did not end in time.
  ///
  /// - Parameter seconds: how long a reader that does not read may hold this up.
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
      if isFailing { report("access log: writes to \(file.path) again") }
      isFailing = false
    } catch {
      // How many of the lines got through is not known; all are counted.
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
