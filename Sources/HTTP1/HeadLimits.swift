/// Bounds of a head; a head that passes one is refused as soon as that is seen.
package struct HeadLimits: Sendable {
  /// Bytes of the request line or status line, its CRLF not counted.
  package var requestLineBytesMax: Int
  /// Bytes of all field lines and of the empty line that ends them, each with its CRLF.
  package var headerBytesMax: Int
  /// Field lines.
  package var fieldsMax: Int

  /// Each bound is within 0...2^30.
  package init(requestLineBytesMax: Int = 8192, headerBytesMax: Int = 32768, fieldsMax: Int = 100) {
    let bounds = 0...1 << 30
    precondition(
      bounds.contains(requestLineBytesMax) && bounds.contains(headerBytesMax) && bounds.contains(fieldsMax))
    self.requestLineBytesMax = requestLineBytesMax
    self.headerBytesMax = headerBytesMax
    self.fieldsMax = fieldsMax
  }
}
