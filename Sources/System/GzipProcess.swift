import Glibc

/// A gzip process that decompresses a file into a pipe. It gets an open file and no name, so no name can be an option.
package final class GzipProcess {
  package static let program = "/usr/bin/gzip"

  package let output: InputFile
  private let identifier: pid_t
  private var hasEnded = false

  /// - Parameter file: regular; read from its current offset, which moves.
  package init(decompressing file: InputFile) throws(Errno) {
    let pipe = try Pipe()
    var actions = unsafe posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    unsafe posix_spawn_file_actions_init(&actions)
    unsafe posix_spawnattr_init(&attributes)
    defer {
      unsafe posix_spawn_file_actions_destroy(&actions)
      unsafe posix_spawnattr_destroy(&attributes)
    }
    unsafe posix_spawn_file_actions_adddup2(&actions, file.number, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, pipe.writeEnd.number, 1)
    // Its exit code says enough.
    unsafe posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    var none = sigset_t()
    unsafe sigemptyset(&none)
    unsafe posix_spawnattr_setsigmask(&attributes, &none)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var process: pid_t = 0
    let result = unsafe withCStrings(["gzip", "-dc"]) { arguments in
      // Without variables: GZIP would add options.
      unsafe withCStrings([]) { variables in
        unsafe posix_spawn(&process, Self.program, &actions, &attributes, arguments, variables)
      }
    }
    guard result == 0 else { throw Errno(result) }
    identifier = process
    output = InputFile(pipe.readEnd)
  }

  deinit {
    guard !hasEnded else { return }
    kill(identifier, SIGKILL)
    _ = exitStatus()
  }

  /// Waits for its end, after the end of `output`; false if the file is damaged or incomplete.
  package func end() -> Bool {
    hasEnded = true
    return exitStatus() == 0
  }

  private func exitStatus() -> Int32 {
    var status: Int32 = 0
    var result: pid_t
    repeat { result = unsafe waitpid(identifier, &status, 0) } while result < 0 && errno == EINTR
    return result < 0 ? -1 : status
  }
}
