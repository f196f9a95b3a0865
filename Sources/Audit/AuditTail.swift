/// The end of a file that is about to be appended to.
struct AuditTail {
  /// More than the longest entry.
  static let bytesMax = 1 << 20

  /// The last complete entry.
  let head: AuditHead?
  /// Whether the last line has no newline: a write was interrupted.
  let isOpen: Bool

  /// - Parameter bytes: the last bytes of the file.
  init(_ bytes: [UInt8]) {
    isOpen = bytes.last.map { $0 != UInt8(ascii: "\n") } ?? false
    var end = bytes.count
    while end > 0 {
      var start = end
      while start > 0, bytes[start - 1] != UInt8(ascii: "\n") { start -= 1 }
      if let entry = AuditEntry(bytes.span.extracting(start..<end)) {
        head = entry.head
        return
      }
      end = start - 1
    }
    head = nil
  }
}
