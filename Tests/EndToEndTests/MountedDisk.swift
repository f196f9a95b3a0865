import Foundation

/// A small disk that only the gateway sees.
enum MountedDisk {
  /// Executes the words that follow with a tmpfs of this size in place of a folder.
  static func command(at path: String, kibibytes: Int) -> [String] {
    let script = #"mount -t tmpfs -o size=\#(kibibytes)k tmpfs "$0" && exec "$@""#
    return ["/usr/bin/unshare", "-rm", "/bin/sh", "-c", script, path]
  }

  static let isPossible: Bool = {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/unshare")
    process.arguments = ["-rm", "/bin/mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    process.standardInput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return false }
    process.waitUntilExit()
    return process.terminationStatus == 0
  }()
}
