import Reactor

extension ByteBuffer {
  /// All its bytes as text.
  var text: String {
    withBytes { bytes in String(decoding: bytes.indices.map { index in bytes[index] }, as: UTF8.self) }
  }
}
