package import System

/// Why the journal cannot be opened.
package enum JournalFault: Error, Equatable, CustomStringConvertible {
  case folder(String, Errno)
  /// Another process has the lock.
  case inUse(String)
  case file(String, Errno)
  case damaged(String, offset: Int, String)
  case version(String, UInt32)
  /// Two files are the same segment.
  case copied(String, String)
  /// What an upgrade cannot change.
  case restartNeeded(String)
  /// What the older process passed is not a list of keys.
  case keysUnreadable

  package var description: String {
    switch self {
    case .folder(let path, let error): "idempotency: cannot use the folder \(path): \(error)"
    case .inUse(let path):
      "idempotency: another gateway uses the folder \(path): give each gateway a folder, or stop the other one"
    case .file(let path, .notRegularFile): "idempotency: cannot read \(path): it is not a regular file"
    case .file(let path, let error): "idempotency: cannot read \(path): \(error)"
    case .version(let path, let version):
      "idempotency: \(path) has format version \(version), which this gateway cannot read: a newer gateway wrote it. "
        + Self.remedy(path)
    case .damaged(let path, let offset, let what):
      "idempotency: \(path) is damaged at byte \(offset): \(what). " + Self.remedy(path)
    case .copied(let first, let second):
      "idempotency: \(first) and \(second) are copies of one file: move the one that is older or shorter to another folder"
    case .restartNeeded(let what):
      "idempotency: \(what), and an upgrade cannot change that: restart the gateway, or undo the change in gateway.json"
    case .keysUnreadable:
      "idempotency: the older process did not pass its keys in flight in a form that this one can read: restart the gateway"
    }
  }

  private static func remedy(_ path: String) -> String {
    let bodies = path.hasSuffix(".keys") ? path.dropLast(5) + ".bodies" : path[...]
    return
      "Restore the file from a backup, or move it and \(bodies) to another folder: the gateway then starts, but has "
      + "forgotten their keys, so that a request repeated with one of them may be executed again"
  }
}
