/// Edits of a JSON text that was read strictly; every other byte stays as it is.
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

  /// Appends an element to an array in the style of the last one: on its own line with the same indentation, or not.
  ///
  /// - Parameter member: the array with its key.
  /// - Parameter parent: the object that contains the array, with its key; gives the indentation step.
  mutating func append(_ element: String, to member: JSONMember, in parent: JSONMember) {
    guard case .array(let elements) = member.node.value else { preconditionFailure("\(member.key) is not an array") }
    if let last = elements.last {
      return insert(",\(gap(before: last.bytes.lowerBound))\(element)", at: last.bytes.upperBound)
    }
    let inside = text(member.node.bytes.lowerBound + 1..<member.node.bytes.upperBound - 1)
    let outer = gap(before: member.offset)
    guard hasLineBreak(outer), inside.isEmpty || hasLineBreak(inside) else {
      return insert("\(inside)\(element)", at: member.node.bytes.lowerBound + 1)
    }
    let end = inside.isEmpty ? outer : ""
    insert("\(outer)\(step(from: parent, to: outer))\(element)\(end)", at: member.node.bytes.lowerBound + 1)
  }

  /// Appends a key with a list of one element to a non-empty object, in the style of its last member.
  mutating func appendList(_ key: String, of element: String, to parent: JSONMember) {
    guard case .object(let members) = parent.node.value, let last = members.last else {
      preconditionFailure("\(parent.key) is not a non-empty object")
    }
    let outer = gap(before: last.offset)
    let list = hasLineBreak(outer) ? "[\(outer)\(step(from: parent, to: outer))\(element)\(outer)]" : "[\(element)]"
    insert(",\(outer)\"\(key)\": \(list)", at: last.node.bytes.upperBound)
  }

  /// Appends a key with an object whose only member is a list of one element, in the style of the last member.
  mutating func appendList(_ key: String, of element: String, inNew outerKey: String, to parent: JSONMember) {
    guard case .object(let members) = parent.node.value, let last = members.last else {
      preconditionFailure("\(parent.key) is not a non-empty object")
    }
    let outer = gap(before: last.offset)
    guard hasLineBreak(outer) else {
      return insert(
        ",\(outer)\"\(outerKey)\": { \"\(key)\": [\(element)] }", at: last.node.bytes.upperBound)
    }
    let step = step(from: parent, to: outer)
    let (inner, innermost) = (outer + step, outer + step + step)
    insert(
      ",\(outer)\"\(outerKey)\": {\(inner)\"\(key)\": [\(innermost)\(element)\(inner)]\(outer)}",
      at: last.node.bytes.upperBound)
  }

  /// Removes an element of an array, with the comma and the whitespace that separate it from its neighbors.
  mutating func remove(_ element: JSONNode, from array: JSONNode) {
    guard case .array(let sequence) = array.value else { preconditionFailure("\(array.path) is not an array") }
    let elements = Array(sequence)
    guard let index = elements.firstIndex(where: { $0.index == element.index }) else {
      preconditionFailure("\(element.path) is not in \(array.path)")
    }
    let range: Range<Int>
    if index > 0 {
      range = elements[index - 1].bytes.upperBound..<element.bytes.upperBound
    } else if elements.count > 1 {
      range = element.bytes.lowerBound..<elements[1].bytes.lowerBound
    } else {
      range = array.bytes.lowerBound + 1..<array.bytes.upperBound - 1
    }
    splices.append(Splice(range: range, text: ""))
  }

  /// Appends an entry to an object of entries, in the style of the last one: on one line, or with a line for each key.
  mutating func append(_ entry: NewEntry, to parent: JSONMember) {
    guard case .object(let entries) = parent.node.value else { preconditionFailure("\(parent.key) is not an object") }
    if let last = entries.last {
      let outer = gap(before: last.offset)
      let hasLines = hasLineBreak(outer) && first(in: last).map { hasLineBreak(gap(before: $0.offset)) } ?? true
      let member = entry.member(after: hasLines ? outer : nil, step: step(from: parent, to: outer))
      return insert(",\(outer)\(member)", at: last.node.bytes.upperBound)
    }
    let inside = text(parent.node.bytes.lowerBound + 1..<parent.node.bytes.upperBound - 1)
    let outer = gap(before: parent.offset)
    guard hasLineBreak(outer), inside.isEmpty || hasLineBreak(inside) else {
      return insert("\(inside)\(entry.member(after: nil, step: ""))", at: parent.node.bytes.lowerBound + 1)
    }
    let step = indent(outer).isEmpty ? "  " : indent(outer)
    let member = entry.member(after: outer + step, step: step)
    insert("\(outer)\(step)\(member)\(inside.isEmpty ? outer : "")", at: parent.node.bytes.lowerBound + 1)
  }

  private func first(in member: JSONMember) -> JSONMember? {
    guard case .object(let members) = member.node.value else { return nil }
    return members.first { _ in true }
  }

  /// Inserts a member after another one of the same object, on the same line unless that one has its own line.
  mutating func insert(_ key: String, _ value: String, after member: JSONMember) {
    let outer = gap(before: member.offset)
    insert(",\(outer.isEmpty ? " " : outer)\"\(key)\": \(value)", at: member.node.bytes.upperBound)
  }

  private mutating func insert(_ text: String, at offset: Int) {
    splices.append(Splice(range: offset..<offset, text: text))
  }

  /// The whitespace before an offset: all that JSON allows between a comma or bracket and the next token.
  private func gap(before offset: Int) -> String {
    let start = bytes[..<offset].lastIndex { byte in ![0x20, 0x09, 0x0a, 0x0d].contains(byte) }.map { $0 + 1 } ?? 0
    return text(start..<offset)
  }

  private func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

  private func hasLineBreak(_ gap: String) -> Bool { gap.utf8.contains(0x0a) }

  /// The indentation of `inner` beyond that of the object's key; two spaces if it is unclear.
  private func step(from parent: JSONMember, to inner: String) -> String {
    let (outerIndent, innerIndent) = (indent(gap(before: parent.offset)), indent(inner))
    guard innerIndent.utf8.count > outerIndent.utf8.count, innerIndent.hasPrefix(outerIndent) else { return "  " }
    return String(innerIndent.dropFirst(outerIndent.count))
  }

  /// The text after the last line feed. Searches UTF-8, because Swift takes CR LF for one character.
  private func indent(_ gap: String) -> String {
    guard let feed = gap.utf8.lastIndex(of: 0x0a) else { return "" }
    return String(decoding: gap.utf8[gap.utf8.index(after: feed)...], as: UTF8.self)
  }
}

/// A JSON string of text without control characters.
package func jsonString(_ text: String) -> String {
  "\"\(text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\""
}

/// A JSON string of any text (RFC 8259 §7).
package func escapedJSONString(_ text: String) -> String {
  let string = jsonString(text)
  guard string.utf8.contains(where: { $0 < 0x20 }) else { return string }
  let digits = Array("0123456789abcdef")
  return string.unicodeScalars.reduce(into: "") { result, scalar in
    if scalar.value < 0x20 {
      result += "\\u00\(scalar.value >> 4)\(digits[Int(scalar.value & 15)])"
    } else {
      result.unicodeScalars.append(scalar)
    }
  }
}
