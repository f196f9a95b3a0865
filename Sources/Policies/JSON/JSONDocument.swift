/// A JSON text that was read strictly, as a flat list of its values: no byte of it is copied before it is asked for.
final class JSONDocument {
  struct Entry {
    let start: UInt32
    /// Behind its last byte.
    var end: UInt32
    /// Of a member: where its key begins, with its quote. Of an element: its place in the array.
    let place: UInt32
    /// The index of the object or array that it stands in; of the root: its own.
    let parent: UInt32
    /// The index behind it and all that stands in it.
    var next: UInt32
  }

  let bytes: [UInt8]
  /// In the order in which they begin; the root is the first.
  var entries: [Entry] = []
  private(set) lazy var lines = JSONLines(bytes)

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  /// The string whose opening quote is at `offset`, where the reader has met one.
  func string(at offset: Int) -> String {
    var cursor = JSONCursor(bytes, at: offset)
    do throws(JSONFault) {
      return try cursor.string()
    } catch {
      preconditionFailure("no string there: \(error.message)")
    }
  }

  /// The same as comparing `string(at:)`, without a copy where the text has no escape.
  func string(at offset: Int, is text: some StringProtocol) -> Bool {
    var index = offset + 1
    for byte in text.utf8 {
      guard bytes[index] != UInt8(ascii: "\\") else { return string(at: offset) == text }
      guard bytes[index] == byte else { return false }
      index += 1
    }
    return bytes[index] == UInt8(ascii: "\"") || bytes[index] == UInt8(ascii: "\\") && string(at: offset) == text
  }

  /// Whether two keys are the same one, however they are written: with escapes or without, composed or not.
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

  /// The keys and places that lead from the root to an entry.
  func path(of index: Int) -> String { path(of: index, isPattern: false) }

  /// The path with nothing of what tells one entry from another: `clients.*.tokens[].sha256`.
  func pattern(of index: Int) -> String { path(of: index, isPattern: true) }

  /// The path of the member of an object whose key begins at `offset`.
  func path(of object: Int, key offset: Int) -> String { joined(path(of: object), string(at: offset)) }

  private func path(of index: Int, isPattern: Bool) -> String {
    guard index > 0 else { return "" }
    let parent = Int(entries[index].parent)
    let place = Int(entries[index].place)
    let outer = path(of: parent, isPattern: isPattern)
    guard isObject(parent) else { return "\(outer)[\(isPattern ? "" : "\(place)")]" }
    // Names are given in the objects within the root.
    return joined(outer, isPattern && parent > 0 && entries[parent].parent == 0 ? "*" : string(at: place))
  }

  private func joined(_ path: String, _ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  private func isObject(_ index: Int) -> Bool { bytes[Int(entries[index].start)] == UInt8(ascii: "{") }
}

extension UInt8 {
  /// Stands for itself in a JSON string, and never joins with what comes behind it.
  fileprivate var isPlain: Bool { self < 0x80 && self != UInt8(ascii: "\\") }
}

/// Where the lines of a text begin; made for the first finding, since a text without any needs no lines.
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

/// What is not JSON, or not JSON that two readers would understand alike.
struct JSONFault: Error, Equatable {
  let line: Int
  /// The path of keys to the place, empty for faults of syntax.
  let keyPath: String
  let message: String
}
