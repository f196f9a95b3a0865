import HTTP1
import Synchronization

/// A strictly parsed JSON text as a flat list of its values; strings are copied out only on access.
final class JSONDocument: Sendable {
  struct Entry {
    let start: UInt32
    /// The offset after its last byte.
    var end: UInt32
    /// For a member: the offset of its key's opening quote. For an element: its index in the array.
    let keyOrIndex: UInt32
    /// The index of the enclosing object or array; for the root, its own index.
    let parent: UInt32
    /// The index after the entry and everything in it.
    var next: UInt32
  }

  let bytes: [UInt8]
  /// In text order; the root is the first.
  let entries: [Entry]
  /// Whether any string has escapes or text that is not ASCII.
  private let hasEscapes: Bool
  /// nil: not computed yet.
  private let computedLines = Mutex<JSONLines?>(nil)

  init(_ bytes: [UInt8], _ entries: [Entry], hasEscapes: Bool) {
    self.bytes = bytes
    self.entries = entries
    self.hasEscapes = hasEscapes
  }

  /// The line of the byte at `offset`, from 1.
  func line(of offset: Int) -> Int {
    computedLines.withLock { lines in
      let known = lines ?? JSONLines(bytes)
      lines = known
      return known.line(of: offset, in: bytes)
    }
  }

  /// The string whose opening quote is at `offset`; the reader must have found one there.
  func string(at offset: Int) -> String { bytes.jsonString(at: offset) }

  /// Whether `string(at:)` has the bytes of `text`; makes no copy if the string has no escapes.
  @inline(__always)
  func string(at offset: Int, is text: String) -> Bool {
    // Most strings differ in their lengths, or in their first bytes.
    let end = offset &+ 1 &+ text.utf8.count
    guard hasEscapes || end < bytes.count && bytes[end] == UInt8(ascii: "\"") else { return false }
    guard hasEscapes || text.utf8.first.map({ $0 == bytes[offset &+ 1] }) ?? true else { return false }
    return bytes.isJSONString(at: offset, text)
  }

  /// The member of an object with this key; nil: it has none.
  @_optimize(speed)
  func member(named name: String, of object: Int) -> Int? {
    let end = Int(entries[object].next)
    var index = object &+ 1
    while index < end {
      if string(at: Int(entries[index].keyOrIndex), is: name) { return index }
      index = Int(entries[index].next)
    }
    return nil
  }

  /// The first member of an object, from the index `start` on, with none of these keys.
  @_optimize(speed)
  func member(notNamed names: [String], of object: Int, from start: Int) -> Int? {
    let end = Int(entries[object].next)
    var index = start
    while index < end {
      let key = Int(entries[index].keyOrIndex)
      if !names.contains(where: { string(at: key, is: $0) }) { return index }
      index = Int(entries[index].next)
    }
    return nil
  }

  /// The keys and indices from the root to an entry.
  func path(of index: Int) -> String { path(of: index, isPattern: false) }

  /// The path without entries' names and indices: `clients.*.tokens[].sha256`.
  func pattern(of index: Int) -> String { path(of: index, isPattern: true) }

  /// The path of the member of an object whose key starts at `offset`.
  func path(of object: Int, key offset: Int) -> String {
    let (path, key) = (path(of: object), string(at: offset))
    return path.isEmpty ? key : "\(path).\(key)"
  }

  private func path(of index: Int, isPattern: Bool) -> String {
    var path: [UInt8] = []
    path.reserveCapacity(96)
    append(index, isPattern: isPattern, to: &path)
    return String(decoding: path, as: UTF8.self)
  }

  private func append(_ index: Int, isPattern: Bool, to path: inout [UInt8]) {
    guard index > 0 else { return }
    let parent = Int(entries[index].parent)
    let keyOrIndex = Int(entries[index].keyOrIndex)
    append(parent, isPattern: isPattern, to: &path)
    guard isObject(parent) else {
      path += "[\(isPattern ? "" : "\(keyOrIndex)")]".utf8
      return
    }
    if !path.isEmpty { path.append(UInt8(ascii: ".")) }
    // The keys of the objects directly in the root are names chosen by the operator.
    if isPattern, parent > 0, entries[parent].parent == 0 {
      path.append(UInt8(ascii: "*"))
    } else if let key = bytes.plainJSONString(at: keyOrIndex) {
      path += bytes[key]
    } else {
      path += string(at: keyOrIndex).utf8
    }
  }

  private func isObject(_ index: Int) -> Bool { bytes[Int(entries[index].start)] == UInt8(ascii: "{") }
}

extension [UInt8] {
  /// The JSON string whose opening quote is at `offset`; a reader must have found one there.
  func jsonString(at offset: Int) -> String {
    if let plain = plainJSONString(at: offset) { return String(decoding: self[plain], as: UTF8.self) }
    var cursor = JSONCursor(self, at: offset)
    do throws(JSONFault) {
      return try cursor.string()
    } catch {
      preconditionFailure("no string at \(offset): \(error.message)")
    }
  }

  /// The range of the same string without its quotes; nil: it has escapes.
  @_optimize(speed)
  func plainJSONString(at offset: Int) -> Range<Int>? {
    let bytes = span
    let end = bytes.endOfPlainText(from: offset &+ 1)
    return bytes[end] == UInt8(ascii: "\"") ? offset &+ 1..<end : nil
  }

  /// The offset after the closing quote of a string; nil: it has escapes or bytes that are not ASCII, or does not end.
  @_optimize(speed)
  func endOfPlainASCIIString(at offset: Int) -> Int? {
    let bytes = span
    let end = bytes.endOfPlainASCII(from: offset &+ 1)
    return end < bytes.count && bytes[end] == UInt8(ascii: "\"") ? end &+ 1 : nil
  }

  /// Whether `jsonString(at:)` has the bytes of `text`; makes no copy if the string has no escapes.
  @_optimize(speed)
  func isJSONString(at offset: Int, _ text: String) -> Bool {
    let bytes = span
    // Most strings differ in their first bytes.
    let text = text.utf8Span.span
    var index = 0
    while index < text.count {
      let byte = bytes[offset &+ 1 &+ index]
      guard byte == text[index], byte != UInt8(ascii: "\\") else {
        return byte == UInt8(ascii: "\\") && isEscapedJSONString(at: offset, text)
      }
      index &+= 1
    }
    let byte = bytes[offset &+ 1 &+ index]
    return byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") && isEscapedJSONString(at: offset, text)
  }

  /// The same for a string with escapes.
  @inline(never)
  private func isEscapedJSONString(at offset: Int, _ text: Span<UInt8>) -> Bool {
    let bytes = Array(jsonString(at: offset).utf8)
    return bytes.count == text.count && bytes.indices.allSatisfy { bytes[$0] == text[$0] }
  }
}

extension Span<UInt8> {
  /// The first index, from `start` on, of a quote, a backslash or a control character; the end if there is none.
  @inline(__always)
  func endOfPlainText(from start: Int) -> Int {
    firstStop(
      in: start..<count,
      marks: { $0.marks(of: UInt8(ascii: "\"")) | $0.marks(of: UInt8(ascii: "\\")) | $0.marksOfControl },
      where: { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") || $0 < 0x20 })
  }
}

extension Span<UInt8> {
  /// The same, but also ends before a byte that is not ASCII.
  @inline(__always)
  func endOfPlainASCII(from start: Int) -> Int {
    firstStop(
      in: start..<count,
      marks: {
        $0.marks(of: UInt8(ascii: "\"")) | $0.marks(of: UInt8(ascii: "\\")) | $0.marksOfControl
          | $0 & 0x8080_8080_8080_8080
      },
      where: { $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") || $0 < 0x20 || $0 >= 0x80 })
  }
}

extension UInt64 {
  /// Marks the bytes below a space; some that are not ASCII may be marked as well.
  @inline(__always)
  fileprivate var marksOfControl: UInt64 { (self &- 0x2020_2020_2020_2020) & ~self & 0x8080_8080_8080_8080 }

  /// The number of its bytes that equal `byte`.
  @inline(__always)
  fileprivate func count(of byte: UInt8) -> Int {
    let (low, difference) = (0x7f7f_7f7f_7f7f_7f7f as UInt64, self ^ UInt64(byte) &* 0x0101_0101_0101_0101)
    return 8 &- (((difference & low) &+ low | difference) & ~low).nonzeroBitCount
  }
}

/// Finds the line of an offset in a text, with the line breaks before each block of it.
struct JSONLines {
  private static let blockBytes = 512

  private var breaksBefore: [UInt32] = []

  @_optimize(speed)
  init(_ bytes: [UInt8]) {
    breaksBefore.reserveCapacity(bytes.count / Self.blockBytes + 1)
    let bytes = bytes.span
    var (start, breaks) = (0, UInt32(0))
    while true {
      breaksBefore.append(breaks)
      let end = min(start + Self.blockBytes, bytes.count)
      breaks &+= UInt32(truncatingIfNeeded: bytes.extracting(start..<end).lineBreaks)
      start = end
      if end == bytes.count { return }
    }
  }

  /// From 1.
  func line(of offset: Int, in bytes: [UInt8]) -> Int {
    let block = min(offset / Self.blockBytes, breaksBefore.count - 1)
    return Int(breaksBefore[block]) + bytes.span.extracting(block * Self.blockBytes..<offset).lineBreaks + 1
  }
}

extension Span<UInt8> {
  @_optimize(speed)
  fileprivate var lineBreaks: Int {
    var (rest, count) = (self, 0)
    while let word = rest.firstWord {
      count &+= word.count(of: 0x0a)
      rest = rest.extracting(droppingFirst: 8)
    }
    for index in rest.indices where rest[index] == 0x0a { count &+= 1 }
    return count
  }
}

/// A syntax error in a JSON text, or something in it that parsers interpret differently.
struct JSONFault: Error, Equatable {
  let line: Int
  /// Empty for syntax errors.
  let keyPath: String
  let message: String
}
