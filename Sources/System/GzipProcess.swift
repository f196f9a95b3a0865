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
    // Without variables: GZIP would add options.
    identifier = try unsafe startProcess(Self.program, ["gzip", "-dc"], []) { actions in
      unsafe posix_spawn_file_actions_adddup2(&actions, file.number, 0)
      unsafe posix_spawn_file_actions_adddup2(&actions, pipe.writeEnd.number, 1)
      // Its exit code says enough.
      unsafe posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    }
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
