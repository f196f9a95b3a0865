import Bytes

/// Text for JSON, for who writes little of it.
extension ByteBuffer {
  /// A member of a JSON object whose value is a text; an empty one is left out.
  ///
  /// - Parameter beginning: name and quote, with what stands before them, as `,"peer":"`.
  func append(_ beginning: StaticString, _ text: Span<UInt8>) {
    let bytesMax = beginning.utf8CodeUnitCount + ByteWriter.jsonBytesMax(text.count)
    write(atMost: bytesMax) { $0.append(beginning, json: text) }
  }

  /// Any bytes as a JSON string.
  func append(json text: Span<UInt8>) {
    write(atMost: ByteWriter.jsonBytesMax(text.count)) { $0.append(json: text) }
  }

  /// The same for a text that a client has chosen: a token in it is masked.
  func append(_ beginning: StaticString, masked text: Span<UInt8>) {
    let bytesMax = beginning.utf8CodeUnitCount + ByteWriter.jsonBytesMax(text.count)
    write(atMost: bytesMax) { $0.append(beginning, maskedJSON: text) }
  }

  /// Any bytes of a client's as a JSON string: a token in them is masked.
  func append(maskedJSON text: Span<UInt8>) {
    write(atMost: ByteWriter.jsonBytesMax(text.count)) { $0.append(maskedJSON: text) }
  }
}
