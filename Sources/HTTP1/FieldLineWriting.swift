public import Bytes

/// Writing field lines (RFC 9112 §5) into reserved capacity: the name, a colon, a space, the value, CRLF.
///
/// Inlined for the same reason as `ByteBuffer`.
extension ByteWriter {
  /// The bytes of a field line apart from its name and value.
  @inlinable package static var fieldDelimiterByteCount: Int { 4 }

  /// Appends a field line; `value` appends its value, which must have no control byte except HTAB.
  @inlinable @inline(__always)
  package mutating func append(field name: StaticString, _ value: (inout ByteWriter) -> Void) {
    append(name)
    append(": ")
    value(&self)
    append("\r\n")
  }

  /// Appends the empty line that ends a head (RFC 9112 §2.1).
  @inlinable @inline(__always)
  package mutating func appendHeadEnd() { append("\r\n") }
}

/// Writing field lines into a buffer that grows.
extension ByteBuffer {
  @inlinable @inline(__always)
  package func append(field name: StaticString, _ value: StaticString) {
    append(name)
    append(": ")
    append(value)
    append("\r\n")
  }

  /// Appends a field line; `value` appends its value to this buffer, without control bytes except HTAB.
  @inlinable @inline(__always)
  package func append(field name: StaticString, value: (ByteBuffer) -> Void) {
    append(fieldName: name)
    value(self)
    appendFieldEnd()
  }

  /// Starts a field line; its value and `appendFieldEnd` must follow.
  @inlinable @inline(__always)
  package func append(fieldName name: StaticString) {
    append(name)
    append(": ")
  }

  @inlinable @inline(__always)
  package func appendFieldEnd() { append("\r\n") }

  /// Appends a field line; traps if the value has a control byte except HTAB.
  package func append(field name: String, text value: String) {
    precondition(value.utf8.allSatisfy(\.isFieldContent), "a control byte in the value of \(name)")
    append(text: name)
    append(": ")
    append(text: value)
    append("\r\n")
  }

  package func append(field name: StaticString, decimal value: Int) {
    append(field: name) { $0.append(decimal: value) }
  }

  /// Appends the empty line that ends a head (RFC 9112 §2.1).
  @inlinable @inline(__always)
  package func appendHeadEnd() { append("\r\n") }
}

/// The fields for body framing and connection persistence.
extension ByteBuffer {
  /// Appends the framing field of a body (RFC 9112 §6.1, §6.2); nothing for `.none` and `.untilClose`.
  package func append(framing: BodyFraming) {
    switch framing {
    case .none, .untilClose: break
    case .length(let count): append(contentLength: count)
    case .chunked: append("Transfer-Encoding: chunked\r\n")
    }
  }

  /// Appends Content-Length (RFC 9110 §8.6), also for length 0 and for a body that is not sent, as after HEAD.
  package func append(contentLength count: Int) { append(field: "Content-Length", decimal: count) }

  /// Appends `Connection: close`, or `keep-alive` for HTTP/1.0, where it is not the default (RFC 9112 §9.3).
  package func appendConnection(keepsAlive: Bool, version: Version) {
    switch (keepsAlive, version) {
    case (false, _): append("Connection: close\r\n")
    case (true, .http10): append("Connection: keep-alive\r\n")
    case (true, .http11): break
    }
  }
}

extension [UInt8] {
  /// Prepared field lines in one allocation; traps if a value has a control byte except HTAB.
  package init(fields: KeyValuePairs<String, [UInt8]>) {
    self = []
    reserveCapacity(fields.reduce(0) { $0 + $1.key.utf8.count + $1.value.count + ByteWriter.fieldDelimiterByteCount })
    for (name, value) in fields { append(field: name, value) }
  }

  /// Appends a field line; traps if the value has a control byte except HTAB.
  package mutating func append(field name: String, _ value: some Sequence<UInt8>) {
    append(contentsOf: name.utf8)
    append(contentsOf: ": ".utf8)
    let start = count
    append(contentsOf: value)
    precondition(self[start...].allSatisfy(\.isFieldContent), "a control byte in the value of \(name)")
    append(contentsOf: "\r\n".utf8)
  }
}
