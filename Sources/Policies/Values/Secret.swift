import Digests

/// Bytes that never appear in a message, description or dump.
package struct Secret: Sendable {
  private let bytes: [UInt8]

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  /// The bytes themselves: 1 to 4096 of visible ASCII and spaces, no space at either end.
  package func reveal() -> [UInt8] {
    bytes
  }
}

extension Secret: Equatable {
  /// Compares digests, so that the time does not reveal where the two differ.
  package static func == (left: Secret, right: Secret) -> Bool {
    SHA256.digest(of: left.bytes.span) == SHA256.digest(of: right.bytes.span)
  }
}

extension Secret: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  package var description: String { "<secret>" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
