import Foundation

/// strace(1), attached to a running process until that ends.
enum Strace {
  /// Returns once it is attached to all threads.
  static func attach(to identifier: Int32, _ arguments: [String]) throws -> Process {
    let strace = Process()
    strace.executableURL = URL(filePath: "/usr/bin/strace")
    strace.arguments = ["-f", "-p", "\(identifier)", "-o", "/dev/null"] + arguments
    let errors = Pipe()
    strace.standardError = errors
    strace.standardInput = FileHandle.nullDevice
    try strace.run()
    // It writes to standard error when it is attached.
    _ = errors.fileHandleForReading.availableData
    return strace
  }

  /// Does something in place of, or at, the `number`th call of each thread from now on.
  static func inject(
    _ what: String, into name: String, at number: Int, of identifier: Int32
  ) throws -> Process {
    try attach(to: identifier, ["-e", "trace=\(name)", "-e", "inject=\(name):\(what):when=\(number)"])
  }
}
