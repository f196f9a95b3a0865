import CLinux
import Glibc

/// A new process of this program that takes over this one's sockets, until it serves.
///
/// It finds them from descriptor 3 on, with their names in an environment variable, and behind them a pipe into which it
/// writes a `Message`. If this process has a journal of idempotency keys, two more descriptors are before that: the lock of
/// its folder, and a pipe from which the new process gets the keys in flight once it asks for them. That pipe's end tells
/// it that this process has ended.
package struct Successor: ~Copyable {
  package enum Outcome: Equatable, Sendable {
    case ready
    /// It ended, with this exit code or signal.
    case exited(code: Int32)
    case signaled(Int32)
    /// It was not ready in time, and was killed.
    case late
    /// The keys could not be handed over, or it did not ask for them, and was killed.
    case keysNotHandedOver
  }

  /// What the new process tells this one.
  enum Message: UInt8 {
    case serves = 1
    case asksForKeys = 2

    /// If the older process has ended, nothing waits for this.
    func send(to pipe: Int32) {
      var byte = rawValue
      unsafe _ = write(pipe, &byte, 1)
    }
  }

  /// The names of the sockets and of the pipe, separated by colons.
  package static let variable = "BLNK_GATEWAY_HANDOVER"
  package static let pipeName = "ready"
  static let lockName = "journal-lock"
  static let keysName = "journal-keys"
  /// The keys follow their length in bytes.
  static let keysPrefixBytes = 8
  static let keysBytesMax = 128 << 20

  package let identifier: Int32
  private let pipe: FileDescriptor
  /// Where the keys are written.
  private let keysEnd: FileDescriptor
  private let hasJournal: Bool

  /// Starts the program.
  ///
  /// - Parameters:
  ///   - program: its path.
  ///   - arguments: without the name of the program.
  ///   - environment: all variables except the one for the sockets.
  ///   - sockets: names without colons, and descriptors of this process.
  ///   - journalLock: the descriptor of the lock of the journal's folder; nil: there is no journal.
  package init(
    program: String, arguments: [String], environment: [String: String], sockets: [(name: String, number: Int32)],
    journalLock: Int32? = nil
  ) throws(Errno) {
    let ready = try Pipe()
    let keys = try Pipe()
    // A process that reads nothing must not block this one.
    _ = fcntl(keys.writeEnd.number, F_SETFL, O_NONBLOCK)
    var passed = sockets
    if let journalLock { passed += [(Self.lockName, journalLock), (Self.keysName, keys.readEnd.number)] }
    passed.append((Self.pipeName, ready.writeEnd.number))
    let names = passed.map(\.name).joined(separator: ":")
    let variables = environment.map { "\($0)=\($1)" } + ["\(Self.variable)=\(names)"]
    identifier = try Self.spawn(program, [program] + arguments, variables, passing: passed.map(\.number))
    pipe = ready.readEnd
    keysEnd = keys.writeEnd
    hasJournal = journalLock != nil
  }

  /// - Parameter numbers: descriptors of this process, for the numbers from 3 on.
  private static func spawn(
    _ program: String, _ arguments: [String], _ variables: [String], passing numbers: [Int32]
  ) throws(Errno) -> Int32 {
    // Above all target numbers, so that no copy overwrites the source of another one.
    var copies: [Int32] = []
    defer { for copy in copies { close(copy) } }
    for number in numbers {
      let copy = fcntl(number, F_DUPFD_CLOEXEC, Int32(firstNumber + numbers.count))
      guard copy >= 0 else { throw .last }
      copies.append(copy)
    }
    return try unsafe startProcess(program, arguments, variables) { actions in
      for (index, copy) in copies.enumerated() {
        unsafe posix_spawn_file_actions_adddup2(&actions, copy, Int32(firstNumber + index))
      }
    }
  }

  private static let firstNumber = 3

  /// Waits until it serves. Otherwise it has ended when this returns.
  ///
  /// - Parameter handOver: called at most once, when it asks for the keys in flight. Nil: they cannot be handed over.
  package consuming func waitUntilReady(milliseconds: Int, handOver: () -> [UInt8]? = { nil }) -> Outcome {
    let end = SystemClock.milliseconds + Int64(milliseconds)
    var mustHandOver = hasJournal
    while true {
      guard Self.wait(for: POLLIN, of: pipe.number, until: end) else { return kill(.late) }
      var byte: UInt8 = 0
      guard unsafe read(pipe.number, &byte, 1) == 1 else {
        return waitForExit(until: end)
      }
      switch Message(rawValue: byte) {
      case .serves where !mustHandOver:
        // Stays open as long as this process runs.
        if hasJournal { _ = keysEnd.release() }
        return .ready
      case .asksForKeys where mustHandOver:
        mustHandOver = false
        guard let keys = handOver(), keys.count <= Self.keysBytesMax else { return kill(.keysNotHandedOver) }
        guard send(keys, until: end) else { return kill(.late) }
      case .serves, .asksForKeys, nil: return kill(.keysNotHandedOver)
      }
    }
  }

  /// False if it does not read them in time. If it has ended, its other pipe says so.
  private func send(_ keys: [UInt8], until end: Int64) -> Bool {
    let prefix = (0..<Self.keysPrefixBytes).map { UInt8(truncatingIfNeeded: keys.count >> (8 * $0)) }
    var rest = (prefix + keys)[...]
    while !rest.isEmpty {
      guard Self.wait(for: POLLOUT, of: keysEnd.number, until: end) else { return false }
      let count = unsafe rest.withUnsafeBytes { unsafe write(keysEnd.number, $0.baseAddress, $0.count) }
      if count < 0, errno == EPIPE { return true }
      rest = rest.dropFirst(max(0, count))
    }
    return true
  }

  /// Waits for an event of a descriptor, or its end; false if there is none until then.
  private static func wait(for event: Int32, of number: Int32, until end: Int64) -> Bool {
    var entry = pollfd(fd: number, events: Int16(event), revents: 0)
    while true {
      let count = unsafe poll(&entry, 1, Int32(clamping: max(0, end - SystemClock.milliseconds)))
      if count < 0, errno == EINTR { continue }
      return count > 0
    }
  }

  /// It has closed its pipe, as it does when it ends.
  private func waitForExit(until end: Int64) -> Outcome {
    while SystemClock.milliseconds < end {
      if let outcome = reap(WNOHANG) { return outcome }
      sleep(milliseconds: 10)
    }
    return kill(.late)
  }

  private func kill(_ outcome: Outcome) -> Outcome {
    Glibc.kill(identifier, SIGKILL)
    _ = reap()
    return outcome
  }

  /// Nil if it has not ended.
  private func reap(_ options: Int32 = 0) -> Outcome? {
    var status: Int32 = 0
    var result: Int32
    repeat { result = unsafe waitpid(identifier, &status, options) } while result < 0 && errno == EINTR
    guard result != 0 else { return nil }
    let signal = status & 0x7f
    return signal == 0 ? .exited(code: status >> 8 & 0xff) : .signaled(signal)
  }
}
