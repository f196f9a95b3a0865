/// How a file that is to be appended to ends.
struct AuditTail {
  /// More than the longest entries there are.
  static let bytesMax = 1 << 20

  /// Its last whole entry.
  let head: AuditHead?
  /// Whether its last line has no newline: a write broke off.
  let isOpen: Bool

  /// - Parameter bytes: the last ones of the file.
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
