/// Limits of a head; a head that exceeds one is rejected as soon as this is known.
package struct HeadLimits: Sendable {
  /// Bytes of the request line or status line, without its CRLF.
  package var requestLineBytesMax: Int
  /// Bytes of all field lines and the empty line that ends them, each with its CRLF.
  package var headerBytesMax: Int
  /// Number of field lines.
  package var fieldsMax: Int

  /// Each limit must be within 0...2^30.
  package init(requestLineBytesMax: Int = 8192, headerBytesMax: Int = 32768, fieldsMax: Int = 100) {
    let bounds = 0...1 << 30
    precondition(
      bounds.contains(requestLineBytesMax) && bounds.contains(headerBytesMax) && bounds.contains(fieldsMax))
    self.requestLineBytesMax = requestLineBytesMax
    self.headerBytesMax = headerBytesMax
    self.fieldsMax = fieldsMax
  }
}
