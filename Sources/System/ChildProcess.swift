import Glibc

/// Starts a program. It gets the signals that are blocked in this process.
///
/// - Parameters:
///   - arguments: the name of the program first.
///   - variables: its whole environment.
///   - arrange: passes descriptors on to it.
func startProcess(
  _ program: String, _ arguments: [String], _ variables: [String],
  _ arrange: (inout posix_spawn_file_actions_t) -> Void
) throws(Errno) -> pid_t {
  var actions = unsafe posix_spawn_file_actions_t()
  var attributes = posix_spawnattr_t()
  unsafe posix_spawn_file_actions_init(&actions)
  unsafe posix_spawnattr_init(&attributes)
  defer {
    unsafe posix_spawn_file_actions_destroy(&actions)
    unsafe posix_spawnattr_destroy(&attributes)
  }
  var none = sigset_t()
  unsafe sigemptyset(&none)
  unsafe posix_spawnattr_setsigmask(&attributes, &none)
  unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
  unsafe arrange(&actions)
  var process: pid_t = 0
  let result = unsafe withCStrings(arguments) { arguments in
    unsafe withCStrings(variables) { variables in
      unsafe posix_spawn(&process, program, &actions, &attributes, arguments, variables)
    }
  }
  guard result == 0 else { throw Errno(result) }
  return process
}

struct Pipe: ~Copyable {
  let readEnd: FileDescriptor
  let writeEnd: FileDescriptor

  init() throws(Errno) {
    var ends: InlineArray<2, Int32> = [0, 0]
    var span = ends.mutableSpan
    guard unsafe span.withUnsafeMutableBufferPointer({ unsafe Glibc.pipe($0.baseAddress) }) == 0 else { throw .last }
    readEnd = FileDescriptor(owning: ends[0])
    writeEnd = FileDescriptor(owning: ends[1])
    for index in ends.indices { _ = fcntl(ends[index], F_SETFD, FD_CLOEXEC) }
  }
}

/// Calls `body` with the texts as an array that ends with nil.
func withCStrings<Result>(
  _ texts: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers: [UnsafeMutablePointer<CChar>?] = unsafe texts.map { unsafe strdup($0) }
  unsafe pointers.append(nil)
  defer { unsafe pointers.forEach { unsafe free($0) } }
  return unsafe pointers.withUnsafeBufferPointer { unsafe body($0.baseAddress!) }
}
