package import Foundation
import Glibc

/// A temporary folder, removed when it is freed or when the process exits.
package final class TemporaryFolder: Sendable {
  package let path: String
  package var url: URL { URL(filePath: path) }

  package init() throws {
    path = "\(try TestRoot.shared.get())/\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of an entry, which does not need to exist.
  package func path(_ name: String) -> String { "\(path)/\(name)" }

  package func write(_ text: String, to name: String) throws {
    try Data(text.utf8).write(to: URL(filePath: path(name)))
  }

  package func makeFolder(_ name: String) throws {
    try FileManager.default.createDirectory(atPath: path(name), withIntermediateDirectories: true)
  }

  /// The names of its entries.
  package var entries: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path) } }
}

/// Passes a folder to `body` and removes it afterwards.
package func withTemporaryFolder<Result>(_ body: (TemporaryFolder) throws -> Result) throws -> Result {
  try withExtendedLifetime(TemporaryFolder(), body)
}

/// The parent of all temporary folders of this process.
private enum TestRoot {
  private static let prefix = "blnk-gateway-tests-"
  private static let path = NSTemporaryDirectory() + prefix + "\(getpid())"

  static let shared = Result {
    removeThoseOfTheDead()
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    // Static values are never freed.
    atexit { try? FileManager.default.removeItem(atPath: TestRoot.path) }
    return path
  }

  /// A process that was killed could not remove its folders.
  private static func removeThoseOfTheDead() {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: NSTemporaryDirectory())) ?? []
    for name in names where name.hasPrefix(prefix) {
      guard let process = Int32(name.dropFirst(prefix.count)), kill(process, 0) != 0, errno == ESRCH else { continue }
      try? FileManager.default.removeItem(atPath: NSTemporaryDirectory() + name)
    }
  }
}
