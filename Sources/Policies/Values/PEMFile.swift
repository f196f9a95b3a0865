import Digests

/// A file of certificates or a key, with its content when it was read: a later change of the file has no effect before
/// the next reload.
package struct PEMFile: Hashable, Sendable {
  package let path: String
  package let bytes: [UInt8]
  private let digest: Digest

  init(path: String, _ bytes: [UInt8]) {
    self.path = path
    self.bytes = bytes
    digest = SHA256.digest(of: bytes.span)
  }

  package static func == (left: PEMFile, right: PEMFile) -> Bool {
    left.digest == right.digest && left.path == right.path
  }

  package func hash(into hasher: inout Hasher) { hasher.combine(digest) }
}
