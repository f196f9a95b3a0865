import Bytes

/// The audit entry of a policy that has replaced another one.
package struct AuditReload: Sendable {
  /// A file that is different.
  package struct File: Sendable {
    /// Relative to the policy folder.
    package let name: String
    /// nil: none of its content is in force.
    package let digest: String?
    /// The user who owns it, and when it was last changed (RFC 3339); nil: it is gone.
    package let owner: UInt32?
    package let modified: String?

    package init(name: String, digest: String?, owner: UInt32?, modified: String?) {
      self.name = name
      self.digest = digest
      self.owner = owner
      self.modified = modified
    }
  }

  package let generation: Int
  /// The policies' digests.
  package let before: String
  package let after: String
  /// Whether any client gains access; nil: the policies were not compared.
  package var givesAccess: Bool?
  /// Names and numbers, written in this order.
  package var counts: [(name: StaticString, count: Int)] = []
  /// At most `filesMax`.
  package var files: [File] = []
  package var moreFiles = 0
  /// Names of what is counted, written in this order: at most `namesMax` each. The first text is `,"MEMBER":["`.
  package var lists: [(opening: StaticString, names: [String])] = []

  package static let filesMax = 20
  package static let namesMax = 20

  package init(generation: Int, before: String, after: String) {
    self.generation = generation
    self.before = before
    self.after = after
  }

  func append(to out: inout [UInt8]) {
    let text = ByteBuffer(capacity: 4 << 10)
    text.append(text: #","generation":\#(generation),"before":"\#(before)","after":"\#(after)""#)
    if let givesAccess { text.append(text: #","gives_access":\#(givesAccess)"#) }
    for (name, count) in counts { text.append(text: ",\"\(name)\":\(count)") }
    text.append(text: #","files":["#)
    for (index, file) in files.enumerated() {
      append(index == 0 ? #"{"name":""# : #",{"name":""#, file.name, to: text)
      if let digest = file.digest { text.append(text: #","sha256":"\#(digest)""#) }
      if let owner = file.owner { text.append(text: #","owner":\#(owner)"#) }
      if let modified = file.modified { text.append(text: #","modified":"\#(modified)""#) }
      text.append(text: "}")
    }
    text.append(text: "]")
    if moreFiles > 0 { text.append(text: #","more_files":\#(moreFiles)"#) }
    for (opening, names) in lists where !names.isEmpty {
      for (index, name) in names.enumerated() { append(index == 0 ? opening : #",""#, name, to: text) }
      text.append(text: "]")
    }
    text.move(to: &out)
  }

  /// - Parameter opening: with the quote before the string.
  private func append(_ opening: StaticString, _ string: String, to text: ByteBuffer) {
    let string = Array(string.utf8)
    text.write(atMost: opening.utf8CodeUnitCount + ByteWriter.jsonBytesMax(string.count)) {
      $0.append(opening, json: string.span)
    }
  }
}
