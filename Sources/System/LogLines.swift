/// Reads the lines of a log of any length in bounded memory.
package struct LogLines {
  /// A longer line is returned in pieces, none of which is a whole line of a log.
  package static let lineBytesMax = 1 << 20
  private static let readBytes = 256 << 10

  private let file: InputFile
  private var bytes: [UInt8] = []
  private var start = 0
  private var end = 0
  private var hasEnded = false
  /// Whether a newline followed the last line.
  package private(set) var isWhole = false
  /// The number of bytes read from the file.
  package private(set) var offset = 0

  package init(_ file: InputFile) { self.file = file }

  /// Moves to the next line; false if there is none.
  package mutating func next() throws(Errno) -> Bool {
    start = end + (isWhole ? 1 : 0)
    isWhole = false
    var index = start
    while true {
      while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
      if index < bytes.count {
        (end, isWhole) = (index, true)
        return true
      }
      if hasEnded || index - start > Self.lineBytesMax {
        end = index
        return end > start
      }
      index -= start
      try readMore()
    }
  }

  /// Calls `body` with the line, without its newline.
  package func withLine<Result>(_ body: (Span<UInt8>) -> Result) -> Result {
    body(bytes.span.extracting(start..<end))
  }

  private mutating func readMore() throws(Errno) {
    bytes.removeSubrange(..<start)
    (start, end) = (0, 0)
    let read = try file.read(Self.readBytes)
    hasEnded = read.isEmpty
    offset += read.count
    bytes += read
  }
}
