package import Bytes

extension ByteBuffer {
  /// A buffer that holds a text.
  package convenience init(_ text: String) {
    self.init(capacity: max(1, text.utf8.count))
    append(text: text)
  }

  /// All its bytes as text.
  package var text: String { String(decoding: bytes, as: UTF8.self) }

  package var bytes: [UInt8] { withBytes { bytes in bytes.indices.map { bytes[$0] } } }
}
