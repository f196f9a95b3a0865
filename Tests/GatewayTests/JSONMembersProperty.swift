@testable import Gateway

/// What holds for any bytes: the tests check it on the corpus, the fuzzer on mutations of it.
enum JSONMembersProperty {
  struct Broken: Error {
    let what: String
  }

  private typealias Name = JSONMembers.Name

  /// A body is read as by the reference, in one part and in any two or all single bytes.
  static func check(_ bytes: [UInt8]) throws {
    let whole = JSONMembers(bytes.span)
    let expected = ReferenceJSON.members(bytes) ?? []
    try compare(whole, expected, isTop: true)
    for name in [Name.sources, .destinations, .transactions] { try compare(whole.list(name), name, expected) }
    let parts = JSONMembers()
    parts.read(bytes.span)
    let seen = description(parts)
    let step = max(1, bytes.count / 200)
    for cut in stride(from: 0, through: bytes.count, by: step) {
      let split = JSONMembers()
      split.read(bytes.span.extracting(0..<cut))
      split.read(bytes.span.extracting(cut..<bytes.count))
      guard description(split) == seen else { throw Broken(what: "cut at \(cut): \(description(split)), not \(seen)") }
    }
    let single = JSONMembers()
    for index in bytes.indices { single.read(bytes.span.extracting(index..<index + 1)) }
    guard description(single) == seen else { throw Broken(what: "by bytes: \(description(single)), not \(seen)") }
    guard parts.texts.count <= 26 * (Name.textBytesMax + 1) else {
      throw Broken(what: "\(parts.texts.count) bytes held")
    }
  }

  private static func description(_ members: JSONMembers) -> String {
    let texts = Name.allCases.filter { !$0.isList }.map { members[$0].map { String(decoding: $0, as: UTF8.self) } }
    let lists = [Name.sources, .destinations, .transactions].map(members.list).map { list in
      "\(list.count)\(list.elements.map { $0.map { "\($0.name)\($0.text)" } })"
    }
    return "\(texts)\(lists)"
  }

  private static func compare(
    _ members: JSONMembers, _ expected: [(name: String, value: ReferenceJSON)], isTop: Bool
  ) throws {
    for name in Name.allCases where !name.isList {
      let found = members[name].map { String(decoding: $0, as: UTF8.self) }
      let text = text(name, in: expected)
      guard found == text else { throw Broken(what: "\(name) is \(found ?? "nil"), not \(text ?? "nil")") }
    }
  }

  private static func text(_ name: Name, in members: [(name: String, value: ReferenceJSON)]) -> String? {
    var text: String?
    let isNumber = name == .amount || name == .preciseAmount
    for member in members where ReferenceJSON.folded(member.name) == name.text.description {
      switch member.value {
      case .string(let new) where !isNumber: text = new.utf8.count > Name.textBytesMax ? nil : new
      case .number(let new) where isNumber: text = new.utf8.count > Name.textBytesMax ? nil : new
      case .word("null") where name == .preciseAmount: text = nil
      default: break
      }
    }
    return text
  }

  private static func compare(
    _ list: JSONMembers.List, _ name: Name, _ expected: [(name: String, value: ReferenceJSON)]
  ) throws {
    let values = expected.filter { ReferenceJSON.folded($0.name) == name.text.description }.map(\.value)
    var count = 0
    for value in values {
      switch value {
      case .array(let elements): count += elements.count
      case .word("null"): break
      default: count += 1
      }
    }
    guard list.count == count else { throw Broken(what: "\(name) has \(list.count) elements, not \(count)") }
    guard values.count == 1, case .array(let elements) = values[0] else {
      if !list.elements.isEmpty { throw Broken(what: "\(name) has elements") }
      return
    }
    var kept: [[String]] = []
    for case .object(let members) in elements
    where kept.count < JSONMembers.elementsMax
      && kept.joined().reduce(0, { $0 + $1.utf8.count }) < JSONMembers.elementBytesMax
    {
      let names: [Name] = [
        .identifier, .distribution, .reference, .source, .destination, .amount, .preciseAmount, .currency,
      ]
      kept.append(names.compactMap { text($0, in: members) })
    }
    let found = list.elements.map { $0.map { String(decoding: $0.text, as: UTF8.self) } }
    guard found == kept else { throw Broken(what: "\(name) has \(found), not \(kept)") }
  }
}

extension JSONMembers.Name {
  fileprivate static var textBytesMax: Int { JSONMembers.textBytesMax }
}
