/// New text at places of a JSON text that the strict reader found; every other byte stays as it is.
struct JSONSplices {
  private struct Splice {
    let range: Range<Int>
    let text: String
  }

  private let bytes: [UInt8]
  private var splices: [Splice] = []

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  var result: [UInt8] {
    splices.sorted { left, right in left.range.lowerBound > right.range.lowerBound }.reduce(into: bytes) {
      text, splice in
      text.replaceSubrange(splice.range, with: splice.text.utf8)
    }
  }

  mutating func replace(_ node: JSONNode, with text: String) {
    splices.append(Splice(range: node.bytes, text: text))
  }

  /// Appends an element to an array, as the last one stands: on a line of its own with the same indentation, or not.
  ///
  /// - Parameter member: the key of the array.
  /// - Parameter parent: the key of the object that holds it, for the width of one step of indentation.
  mutating func append(_ element: String, to member: JSONMember, in parent: JSONMember) {
    guard case .array(let elements) = member.node.value else { preconditionFailure("\(member.key) is no array") }
    if let last = elements.last {
      return insert(",\(gap(before: last.bytes.lowerBound))\(element)", at: last.bytes.upperBound)
    }
    let inside = text(member.node.bytes.lowerBound + 1..<member.node.bytes.upperBound - 1)
    let outer = gap(before: member.offset)
    guard isBroken(outer), inside.isEmpty || isBroken(inside) else {
      return insert("\(inside)\(element)", at: member.node.bytes.lowerBound + 1)
    }
    let end = inside.isEmpty ? outer : ""
    insert("\(outer)\(step(from: parent, to: outer))\(element)\(end)", at: member.node.bytes.lowerBound + 1)
  }

  /// Appends a key with a list of one element to an object that has members, in the style of its last one.
  mutating func appendList(_ key: String, of element: String, to parent: JSONMember) {
    guard case .object(let members) = parent.node.value, let last = members.last else {
      preconditionFailure("\(parent.key) is no object with members")
    }
    let outer = gap(before: last.offset)
    let list = isBroken(outer) ? "[\(outer)\(step(from: parent, to: outer))\(element)\(outer)]" : "[\(element)]"
    insert(",\(outer)\"\(key)\": \(list)", at: last.node.bytes.upperBound)
  }

  /// Puts a member behind another one of the same object, on the same line unless that one stands on a line of its own.
  mutating func insert(_ key: String, _ value: String, behind member: JSONMember) {
    let outer = gap(before: member.offset)
    insert(",\(outer.isEmpty ? " " : outer)\"\(key)\": \(value)", at: member.node.bytes.upperBound)
  }

  private mutating func insert(_ text: String, at offset: Int) {
    splices.append(Splice(range: offset..<offset, text: text))
  }

  /// The white space that ends at an offset; JSON has nothing else between a comma or bracket and what follows.
  private func gap(before offset: Int) -> String {
    let start = bytes[..<offset].lastIndex { byte in ![0x20, 0x09, 0x0a, 0x0d].contains(byte) }.map { $0 + 1 } ?? 0
    return text(start..<offset)
  }

  private func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

  private func isBroken(_ gap: String) -> Bool { gap.utf8.contains(0x0a) }

  /// How much further `inner` is indented than the object's key; two spaces where that cannot be told.
  private func step(from parent: JSONMember, to inner: String) -> String {
    let (outerIndent, innerIndent) = (indent(gap(before: parent.offset)), indent(inner))
    guard innerIndent.utf8.count > outerIndent.utf8.count, innerIndent.hasPrefix(outerIndent) else { return "  " }
    return String(innerIndent.dropFirst(outerIndent.count))
  }

  /// What stands behind the last line feed, which Swift's characters would join with a carriage return.
  private func indent(_ gap: String) -> String {
    guard let feed = gap.utf8.lastIndex(of: 0x0a) else { return "" }
    return String(decoding: gap.utf8[gap.utf8.index(after: feed)...], as: UTF8.self)
  }
}

/// A JSON string of text without control characters.
func jsonString(_ text: String) -> String {
  "\"\(text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
}
