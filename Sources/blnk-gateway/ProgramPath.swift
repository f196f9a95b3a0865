import FoundationEssentials
import System

/// Where this program is, without `/proc`.
enum ProgramPath {
  /// The path by which it was started; nil if it is not found in `$PATH`.
  ///
  /// Read it at the start, since a command may change the working directory and the environment.
  static var current: String? {
    guard let name = CommandLineArguments.all.first else { return nil }
    let manager = FileManager.default
    if name.hasPrefix("/") { return name }
    if name.contains("/") { return manager.currentDirectoryPath + "/" + name }
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
    return folders.map { "\($0)/\(name)" }.first { manager.isExecutableFile(atPath: $0) }
  }
}
