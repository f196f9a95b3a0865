public import Bytes

/// Field lines (RFC 9112 §5), written into reserved capacity: the name, a colon, a space, the value, CRLF.
///
/// Inlined for the reason that `ByteBuffer` gives.
extension ByteWriter {
  /// Bytes of a field line besides its name and value.
  @inlinable package static var fieldMarksByteCount: Int { 4 }

  /// Appends a field line whose value `value` appends: no control byte but HTAB.
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

/// Field lines that make room for themselves.
extension ByteBuffer {
  @inlinable @inline(__always)
  package func append(field name: StaticString, _ value: StaticString) {
    append(name)
    append(": ")
    append(value)
    append("\r\n")
  }

  /// Appends a field line whose value `value` appends to this buffer: no control byte but HTAB.
  @inlinable @inline(__always)
  package func append(field name: StaticString, value: (ByteBuffer) -> Void) {
    append(fieldName: name)
    value(self)
    appendFieldEnd()
  }

  /// Begins a field line; its value and `appendFieldEnd` follow.
  @inlinable @inline(__always)
  package func append(fieldName name: StaticString) {
    append(name)
    append(": ")
  }

  @inlinable @inline(__always)
  package func appendFieldEnd() { append("\r\n") }

  /// Appends a field line; a value that would end the line early ends the process.
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

extension [UInt8] {
  /// Field lines to be kept ready, in one allocation; a value that would end its line early ends the process.
  package init(fields: KeyValuePairs<String, [UInt8]>) {
    self = []
    reserveCapacity(fields.reduce(0) { $0 + $1.key.utf8.count + $1.value.count + ByteWriter.fieldMarksByteCount })
    for (name, value) in fields {
      precondition(value.allSatisfy(\.isFieldContent), "a control byte in the value of \(name)")
      append(contentsOf: name.utf8)
      append(contentsOf: ": ".utf8)
      append(contentsOf: value)
      append(contentsOf: "\r\n".utf8)
    }
  }
}
