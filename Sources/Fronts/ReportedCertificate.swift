package import Digests
package import HTTP1

extension RequestHead {
  /// The SHA-256 of the client's certificate that a trusted proxy reports in a field; nil: the field is missing, repeated, or
  /// not 64 hexadecimal digits.
  ///
  /// - Parameter name: in lower case; a name of kind `.forwarding`.
  package func certificateDigest(inField name: String, _ bytes: Span<UInt8>) -> Digest? {
    var value: Range<Int>?
    for index in fields.indices where fields[index].kind == .forwarding {
      guard bytes.extracting(fields[index].name).isEqual(toLowerCase: name) else { continue }
      guard value == nil else { return nil }
      value = fields[index].value
    }
    return value.flatMap { Digest(hex: bytes.extracting($0)) }
  }
}

extension Span<UInt8> {
  /// Whether a field name equals one in lower case.
  fileprivate func isEqual(toLowerCase name: String) -> Bool {
    guard count == name.utf8.count else { return false }
    var index = 0
    for byte in name.utf8 {
      let isLetter = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self[index])
      guard (isLetter ? self[index] | 0x20 : self[index]) == byte else { return false }
      index += 1
    }
    return true
  }
}
