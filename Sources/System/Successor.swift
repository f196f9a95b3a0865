import CLinux
import Glibc

/// A new process of this program that takes over this one's sockets, until it serves.
///
/// It finds them from descriptor 3 on, with their names in an environment variable, and behind them a pipe into which it
/// writes one byte once it serves.
package struct Successor: ~Copyable {
  package enum Outcome: Equatable, Sendable {
    case ready
    /// It ended, with this exit code or signal.
    case exited(code: Int32)
    case signaled(Int32)
    /// It was not ready in time, and was killed.
    case late
  }

  /// The names of the sockets and of the pipe, separated by colons.
  package static let variable = "BLNK_GATEWAY_HANDOVER"
  package static let pipeName = "ready"

  package let identifier: Int32
  private let pipe: FileDescriptor

  /// Starts the program.
  ///
  /// - Parameters:
  ///   - program: its path.
  ///   - arguments: without the name of the program.
  ///   - environment: all variables except the one for the sockets.
  ///   - sockets: names without colons, and descriptors of this process.
  package init(
    program: String, arguments: [String], environment: [String: String], sockets: [(name: String, number: Int32)]
  ) throws(Errno) {
    var ends: InlineArray<2, Int32> = [0, 0]
    var span = ends.mutableSpan
    guard unsafe span.withUnsafeMutableBufferPointer({ unsafe Glibc.pipe($0.baseAddress) }) == 0 else { throw .last }
    let readEnd = FileDescriptor(owning: ends[0])
    let readyEnd = FileDescriptor(owning: ends[1])
    for index in ends.indices { _ = fcntl(ends[index], F_SETFD, FD_CLOEXEC) }
    let names = sockets.map(\.name) + [Self.pipeName]
    let variables =
      environment.map { "\($0)=\($1)" } + ["\(Self.variable)=\(names.joined(separator: ":"))"]
    identifier = try Self.spawn(
      program, [program] + arguments, variables, passing: sockets.map(\.number) + [readyEnd.number])
    pipe = readEnd
  }

  /// - Parameter numbers: descriptors of this process, for the numbers from 3 on.
  private static func spawn(
    _ program: String, _ arguments: [String], _ variables: [String], passing numbers: [Int32]
  ) throws(Errno) -> Int32 {
    var actions = unsafe posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    unsafe posix_spawn_file_actions_init(&actions)
    unsafe posix_spawnattr_init(&attributes)
    defer {
      unsafe posix_spawn_file_actions_destroy(&actions)
      unsafe posix_spawnattr_destroy(&attributes)
    }
    // Its threads must get the signals that are blocked in this one.
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    // Above all target numbers, so that no copy overwrites the source of another one.
    var copies: [Int32] = []
    defer { for copy in copies { close(copy) } }
    for number in numbers {
      let copy = fcntl(number, F_DUPFD_CLOEXEC, Int32(firstNumber + numbers.count))
      guard copy >= 0 else { throw .last }
      copies.append(copy)
    }
    for (index, copy) in copies.enumerated() {
      unsafe posix_spawn_file_actions_adddup2(&actions, copy, Int32(firstNumber + index))
    }
    var process: pid_t = 0
    let result = unsafe withCStrings(arguments) { arguments in
      unsafe withCStrings(variables) { variables in
        unsafe posix_spawn(&process, program, &actions, &attributes, arguments, variables)
      }
    }
    guard result == 0 else { throw Errno(result) }
    return process
  }

  private static let firstNumber = 3

  /// Waits until it serves. Otherwise it has ended when this returns.
  package consuming func waitUntilReady(milliseconds: Int) -> Outcome {
    var entry = pollfd(fd: pipe.number, events: Int16(POLLIN), revents: 0)
    let end = SystemClock.milliseconds + Int64(milliseconds)
    while true {
      let left = Int32(clamping: max(0, end - SystemClock.milliseconds))
      let count = unsafe poll(&entry, 1, left)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        kill(identifier, SIGKILL)
        _ = reap()
        return .late
      }
      var byte: UInt8 = 0
      return unsafe read(pipe.number, &byte, 1) == 1 ? .ready : reap()
    }
  }

  private func reap() -> Outcome {
    var status: Int32 = 0
    while unsafe waitpid(identifier, &status, 0) < 0, errno == EINTR {}
    let signal = status & 0x7f
    return signal == 0 ? .exited(code: status >> 8 & 0xff) : .signaled(signal)
  }
}

/// Calls `body` with the texts as an array that ends with nil.
private func withCStrings<Result>(
  _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers: [UnsafeMutablePointer<CChar>?] = unsafe texts.map { unsafe strdup($0) }
  unsafe pointers.append(nil)
  defer { unsafe pointers.forEach { unsafe free($0) } }
  return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress!) }
}
