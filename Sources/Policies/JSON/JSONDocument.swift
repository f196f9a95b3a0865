/// A strictly parsed JSON text as a flat list of its values; strings are copied out only on access.
final class JSONDocument {
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
  var entries: [Entry] = []
  private(set) lazy var lines = JSONLines(bytes)

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  /// The string whose opening quote is at `offset`; the reader must have found one there.
  func string(at offset: Int) -> String {
    var cursor = JSONCursor(bytes, at: offset)
    do throws(JSONFault) {
      return try cursor.string()
    } catch {
      preconditionFailure("no string at \(offset): \(error.message)")
    }
  }

  /// Whether `string(at:)` has the bytes of `text`; makes no copy if the string has no escapes.
  func string(at offset: Int, is text: some StringProtocol) -> Bool {
    var index = offset + 1
    for byte in text.utf8 {
      guard bytes[index] != UInt8(ascii: "\\") else { return string(at: offset).utf8.elementsEqual(text.utf8) }
      guard bytes[index] == byte else { return false }
      index += 1
    }
    if bytes[index] == UInt8(ascii: "\"") { return true }
    return bytes[index] == UInt8(ascii: "\\") && string(at: offset).utf8.elementsEqual(text.utf8)
  }

  /// Whether two keys are equal as strings, regardless of escapes and of Unicode composition.
  func keysAreEqual(_ left: Int, _ right: Int) -> Bool {
    var distance = 1
    while true {
      let (leftByte, rightByte) = (bytes[left + distance], bytes[right + distance])
      guard leftByte.isPlain, rightByte.isPlain else { return string(at: left) == string(at: right) }
      guard leftByte == rightByte else { return false }
      if leftByte == UInt8(ascii: "\"") { return true }
      distance += 1
    }
  }

  /// The keys and indices from the root to an entry.
  func path(of index: Int) -> String { path(of: index, isPattern: false) }

  /// The path without entries' names and indices: `clients.*.tokens[].sha256`.
  func pattern(of index: Int) -> String { path(of: index, isPattern: true) }

  /// The path of the member of an object whose key starts at `offset`.
  func path(of object: Int, key offset: Int) -> String { joined(path(of: object), string(at: offset)) }

  private func path(of index: Int, isPattern: Bool) -> String {
    guard index > 0 else { return "" }
    let parent = Int(entries[index].parent)
    let keyOrIndex = Int(entries[index].keyOrIndex)
    let outer = path(of: parent, isPattern: isPattern)
    guard isObject(parent) else { return "\(outer)[\(isPattern ? "" : "\(keyOrIndex)")]" }
    // The keys of the objects directly in the root are names chosen by the operator.
    return joined(outer, isPattern && parent > 0 && entries[parent].parent == 0 ? "*" : string(at: keyOrIndex))
  }

  private func joined(_ path: String, _ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  private func isObject(_ index: Int) -> Bool { bytes[Int(entries[index].start)] == UInt8(ascii: "{") }
}

extension UInt8 {
  /// Whether the byte is unescaped ASCII, which compares bytewise; other text may have escapes or Unicode composition.
  fileprivate var isPlain: Bool { self < 0x80 && self != UInt8(ascii: "\\") }
}

/// The offsets at which the lines of a text start; computed for the first finding only.
struct JSONLines {
  private var starts: [UInt32] = [0]

  init(_ bytes: [UInt8]) {
    for (offset, byte) in bytes.enumerated() where byte == 0x0a { starts.append(UInt32(offset) + 1) }
  }

  /// From 1.
  func line(of offset: Int) -> Int {
    var range = 0..<starts.count
    while range.count > 1 {
      let middle = range.lowerBound + range.count / 2
      range = Int(starts[middle]) <= offset ? middle..<range.upperBound : range.lowerBound..<middle
    }
    return range.lowerBound + 1
  }

  /// From 1, in bytes.
  func column(of offset: Int) -> Int { offset - Int(starts[line(of: offset) - 1]) + 1 }
}

/// A syntax error in a JSON text, or something in it that parsers interpret differently.
struct JSONFault: Error, Equatable {
  let line: Int
  /// Empty for syntax errors.
  let keyPath: String
  let message: String
}
