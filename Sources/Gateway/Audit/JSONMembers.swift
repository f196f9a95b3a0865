import Bytes
import Digests
import HTTP1

/// Reads the members of a JSON object (RFC 8259) that the audit log shows, while its bytes pass in parts of any length.
///
/// Reads them as Core does, with Go's encoding/json: only the first value counts, names are case-insensitive, the last of
/// equal names counts, null changes nothing, and an object that Go rejects names nothing. Holds at most `textBytesMax` bytes
/// of each member, and one bit for each level of nesting.
final class JSONMembers {
  enum Name: Int, CaseIterable {
    case balanceID, identityID, ledgerID, transactionID, reference, status, source, destination, amount, preciseAmount
    case currency, identifier, distribution
    /// Arrays of objects.
    case sources, destinations, transactions
  }

  /// An array of objects. Its elements have texts only if the object has one such array: it is not certain how Core
  /// combines several.
  struct List {
    fileprivate(set) var elements: [[(name: Name, text: [UInt8])]] = []
    fileprivate(set) var count = 0
    fileprivate var valueCount = 0
  }

  /// Longer texts are not Core's, and are omitted.
  static let textBytesMax = 256
  /// Go rejects deeper nesting.
  static let depthMax = 10_000
  /// The elements of a list that are kept, and the bytes of their texts, except those of the last one.
  static let elementsMax = 20
  static let elementBytesMax = 4_096

  private enum State: UInt8 {
    case value, valueOrEnd, key, keyOrEnd, colon, afterValue
    case text, escape, unicode, literal
    // The parts of a number.
    case minus, zero, integer, point, fraction, exponent, sign, digits
    case ended, invalid
  }

  private var state = State.value
  private var depth = 0
  /// For each open value, whether it is an object; the lowest bit is that of the innermost.
  private var kinds: UInt64 = 0
  /// Those of 64 levels each.
  private var outerKinds: [UInt64] = []
  /// Whether the text is a name.
  private var isKey = false
  /// A name with escapes, or in parts; at most `keyBytesMax` bytes and a few.
  private var key: [UInt8] = []
  /// The name of the value that follows.
  private var member: Name?
  /// The member whose text is being read: the end of `texts`, from `start` on.
  private var captured: Name?
  private var start = 0
  private var isASCII = true
  /// The digits of an escape that have been read, and how many follow.
  private var unit: UInt32 = 0
  private var digitsLeft = 0
  /// The first half of a surrogate pair, or 0.
  private var highSurrogate: UInt32 = 0
  /// What is missing of `true`, `false` or `null`, the next byte lowest.
  private var literal: UInt32 = 0

  private(set) var texts: [UInt8] = []
  /// Which texts there are, a bit for each place.
  private var present: UInt32 = 0
  /// Where the texts are; those of the current element of a list follow those of the object.
  private var places = InlineArray<26, Place>(repeating: Place(start: 0, count: 0))
  /// The list at the top level that is being read.
  private var list: Name?
  private var lists: [List] = []

  private struct Place {
    var start: Int32
    var count: Int32
  }

  private static let textNames = 13
  private static let keyBytesMax = 32

  init() {}

  /// Forgets what was read, and keeps a little storage.
  func reset() {
    (state, depth, kinds, present) = (.value, 0, 0, 0)
    (member, captured, list, highSurrogate) = (nil, nil, nil, 0)
    key.removeAll(keepingCapacity: true)
    texts.removeAll(keepingCapacity: texts.capacity <= 512)
    if !outerKinds.isEmpty { outerKinds = [] }
    if !lists.isEmpty { lists = [] }
  }

  /// Reads a whole body; one that is not a complete object names nothing.
  convenience init(_ body: Span<UInt8>) {
    self.init()
    readWhole(body)
  }

  func readWhole(_ body: Span<UInt8>) {
    read(body)
    if state != .ended { state = .invalid }
  }

  // MARK: The result

  /// Where in `texts` a member's text is; nil: there is none.
  func range(of name: Name) -> Range<Int>? { state == .invalid ? nil : range(at: name.rawValue) }

  @inline(__always)
  private func range(at index: Int) -> Range<Int>? {
    guard present &>> UInt32(index) & 1 != 0 else { return nil }
    let place = places[index]
    return Int(place.start)..<Int(place.start) + Int(place.count)
  }

  /// The text of a string without its escapes, or a number as it is written.
  subscript(name: Name) -> [UInt8]? { range(of: name).map { Array(texts[$0]) } }

  func list(_ name: Name) -> List {
    state == .invalid || lists.isEmpty ? List() : lists[name.rawValue - Self.textNames]
  }

  var hasLists: Bool { !lists.isEmpty }

  /// Whether it may be a split payment, of which Core stores the parts, under other references.
  var hasParts: Bool { list(.sources).count > 0 || list(.destinations).count > 0 }

  // MARK: Reading

  /// Reads the next part.
  @_optimize(speed)
  func read(_ bytes: Span<UInt8>) {
    var offset = 0
    while offset < bytes.count {
      let byte = bytes[offset]
      switch state {
      case .text: offset = readText(bytes, from: offset)
      case .afterValue where byte == UInt8(ascii: ","):
        state = isInObject ? .key : .value
        offset &+= 1
      case .key where byte == UInt8(ascii: "\""), .keyOrEnd where byte == UInt8(ascii: "\""):
        isKey = true
        offset = readText(bytes, from: offset &+ 1)
      case .colon where byte == UInt8(ascii: ":"):
        state = .value
        offset &+= 1
      case .value where byte == UInt8(ascii: "\"") && depth > 0, .valueOrEnd where byte == UInt8(ascii: "\""):
        beginValue(byte)
        offset = readText(bytes, from: offset &+ 1)
      case .ended, .invalid: return
      case .value, .valueOrEnd, .key, .keyOrEnd, .colon, .afterValue:
        offset &+= 1
        if byte == 0x20 { offset = endOfSpaces(bytes, from: offset) } else { readStructure(byte) }
      default:
        offset &+= 1
        readOther(byte)
      }
    }
  }

  /// The end of the spaces that begin at `start`.
  @_optimize(speed)
  private func endOfSpaces(_ bytes: Span<UInt8>, from start: Int) -> Int {
    // A single one is usual.
    guard start < bytes.count, bytes[start] == 0x20 else { return start }
    return bytes.firstStop(in: start..<bytes.count) { word in
      let difference = word ^ 0x2020_2020_2020_2020
      return (difference | (difference & 0x7F7F_7F7F_7F7F_7F7F &+ 0x7F7F_7F7F_7F7F_7F7F)) & 0x8080_8080_8080_8080
    } where: {
      $0 != 0x20
    }
  }

  /// A byte between texts, numbers and literals.
  @_optimize(speed)
  private func readStructure(_ byte: UInt8) {
    switch (byte, state) {
    case (0x09, _), (0x0A, _), (0x0D, _): break
    case (UInt8(ascii: "}"), .afterValue) where isInObject, (UInt8(ascii: "}"), .keyOrEnd): close()
    case (UInt8(ascii: "]"), .afterValue) where !isInObject, (UInt8(ascii: "]"), .valueOrEnd): close()
    case (_, .value), (_, .valueOrEnd): beginValue(byte)
    default: state = .invalid
    }
  }

  private func readOther(_ byte: UInt8) {
    switch state {
    case .escape: readEscape(byte)
    case .unicode: readDigit(byte)
    case .literal: readLiteral(byte)
    default: readNumber(byte)
    }
  }

  @_optimize(speed)
  private func beginValue(_ byte: UInt8) {
    let member = member
    (self.member, isKey) = (nil, false)
    if let list, depth == 2 { lists[list.rawValue - Self.textNames].count += 1 }
    if let member, depth == 1, member.isList { beginList(member, byte) }
    switch byte {
    case UInt8(ascii: "{"): open(isObject: true)
    case _ where depth == 0: state = .invalid
    case UInt8(ascii: "\""):
      state = .text
      if let member, !member.isNumber, !member.isList { beginText(of: member) }
    case UInt8(ascii: "["): open(isObject: false)
    case UInt8(ascii: "t"): (state, literal) = (.literal, 0x65_7572)
    case UInt8(ascii: "f"): (state, literal) = (.literal, 0x6573_6c61)
    case UInt8(ascii: "n"):
      (state, literal) = (.literal, 0x6c_6c75)
      // Core holds it by reference, so that null removes it.
      if member == .preciseAmount { removeText(at: index(of: .preciseAmount)) }
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
      state = byte == UInt8(ascii: "-") ? .minus : byte == UInt8(ascii: "0") ? .zero : .integer
      if let member, member.isNumber {
        beginText(of: member)
        append(byte)
      }
    default: state = .invalid
    }
  }

  // MARK: Nesting

  @inline(__always)
  private var isInObject: Bool { kinds & 1 != 0 }

  private func open(isObject: Bool) {
    guard depth < Self.depthMax else { return state = .invalid }
    if depth & 63 == 0, depth > 0 {
      outerKinds.append(kinds)
      kinds = 0
    }
    kinds = kinds << 1 | (isObject ? 1 : 0)
    depth &+= 1
    state = isObject ? .keyOrEnd : .valueOrEnd
  }

  private func close() {
    let isElement = isInObject && depth == 3
    depth &-= 1
    kinds >>= 1
    if depth & 63 == 0, depth > 0 { kinds = outerKinds.removeLast() }
    state = depth == 0 ? .ended : .afterValue
    guard let list else { return }
    if isElement { endElement(of: list) }
    if depth == 1 { self.list = nil }
  }

  private func beginList(_ name: Name, _ byte: UInt8) {
    let index = name.rawValue - Self.textNames
    if lists.isEmpty { lists = [List(), List(), List()] }
    lists[index].valueCount += 1
    if lists[index].valueCount > 1 { lists[index].elements = [] }
    switch byte {
    case UInt8(ascii: "["): list = name
    case UInt8(ascii: "n"): break
    default: lists[index].count += 1
    }
  }

  private func endElement(of name: Name) {
    let index = name.rawValue - Self.textNames
    defer { for index in Self.textNames..<places.count { removeText(at: index) } }
    guard lists[index].valueCount == 1, lists[index].elements.count < Self.elementsMax else { return }
    let size = lists[index].elements.joined().reduce(0) { $0 + $1.text.count }
    guard size < Self.elementBytesMax else { return }
    let element = Self.elementNames.compactMap { name in
      range(at: Self.textNames + name.rawValue).map { (name, Array(texts[$0])) }
    }
    lists[index].elements.append(element)
  }

  private static let elementNames: [Name] = [
    .identifier, .distribution, .reference, .source, .destination, .amount, .preciseAmount, .currency,
  ]

  // MARK: Texts

  /// Whether the names of the innermost object matter.
  @inline(__always)
  private var readsKeys: Bool { depth == 1 || depth == 3 && list != nil }

  private func index(of name: Name) -> Int { name.rawValue + (depth == 1 ? 0 : Self.textNames) }

  private func beginText(of name: Name) { (captured, start, isASCII) = (name, texts.count, true) }

  /// - Returns: where the text ends, after its quote, or where it is interrupted.
  @_optimize(speed)
  private func readText(_ bytes: Span<UInt8>, from begin: Int) -> Int {
    let end = bytes.firstStop(in: begin..<bytes.count) { word in
      let control = (word &- 0x2020_2020_2020_2020) & ~word & 0x8080_8080_8080_8080
      return word.marks(of: UInt8(ascii: "\"")) | word.marks(of: UInt8(ascii: "\\")) | control
    } where: {
      $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") || $0 < 0x20
    }
    let run = bytes.extracting(begin..<end)
    guard end < bytes.count, bytes[end] == UInt8(ascii: "\"") else {
      append(run)
      guard end < bytes.count else {
        state = .text
        return end
      }
      state = bytes[end] == UInt8(ascii: "\\") ? .escape : .invalid
      return end &+ 1
    }
    if isKey {
      endKey(run)
      state = .colon
    } else {
      if captured != nil {
        append(run)
        endText()
      }
      highSurrogate = 0
      state = .afterValue
    }
    return end &+ 1
  }

  /// - Parameter run: the rest of the name, mostly all of it.
  @_optimize(speed)
  private func endKey(_ run: Span<UInt8>) {
    guard readsKeys else { return highSurrogate = 0 }
    if key.isEmpty, highSurrogate == 0 {
      member = Name(run)
      if member != nil || run.count > Self.keyBytesMax || !Self.hasBytesBeyondASCII(run) { return }
    }
    append(run)
    endSurrogate()
    member = Name(folding: key)
    key.removeAll(keepingCapacity: true)
  }

  @_optimize(speed)
  private func append(_ run: Span<UInt8>) {
    guard !run.isEmpty else { return }
    endSurrogate()
    if isKey {
      if readsKeys { key.append(copying: run.extracting(first: min(run.count, max(0, Self.keyBytesMax - key.count)))) }
    } else if captured != nil {
      let capacity = Self.textBytesMax + 1 - (texts.count - start)
      let taken = run.extracting(first: min(run.count, max(0, capacity)))
      if Self.hasBytesBeyondASCII(taken) { isASCII = false }
      texts.append(copying: taken)
    }
  }

  private func append(_ byte: UInt8) {
    let bytes: InlineArray<1, UInt8> = [byte]
    append(bytes.span)
  }

  /// Ends the text of `captured`: the last one counts.
  @_optimize(speed)
  private func endText() {
    endSurrogate()
    guard let name = captured else { return }
    captured = nil
    let index = index(of: name)
    removeText(at: index)
    if !isASCII {
      // Go, too, replaces what is not UTF-8.
      let repaired = String(decoding: texts[start...], as: UTF8.self)
      texts.replaceSubrange(start..., with: repaired.utf8)
    }
    guard texts.count - start <= Self.textBytesMax else { return texts.removeSubrange(start...) }
    places[index] = Place(start: Int32(start), count: Int32(texts.count - start))
    present |= 1 &<< UInt32(index)
  }

  @inline(__always)
  private static func hasBytesBeyondASCII(_ text: Span<UInt8>) -> Bool {
    text.firstStop(in: text.indices, marks: { $0 & 0x8080_8080_8080_8080 }, where: { $0 >= 0x80 }) < text.count
  }

  @inline(__always)
  private func removeText(at index: Int) {
    if let range = range(at: index) { removeText(at: index, range) }
  }

  private func removeText(at index: Int, _ range: Range<Int>) {
    texts.removeSubrange(range)
    start -= range.count
    present &= ~(1 &<< UInt32(index))
    for other in places.indices where Int(places[other].start) > range.lowerBound {
      places[other].start -= Int32(range.count)
    }
  }

  // MARK: Escapes

  private func readEscape(_ byte: UInt8) {
    state = .text
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): append(byte)
    case UInt8(ascii: "b"): append(0x08)
    case UInt8(ascii: "f"): append(0x0C)
    case UInt8(ascii: "n"): append(0x0A)
    case UInt8(ascii: "r"): append(0x0D)
    case UInt8(ascii: "t"): append(0x09)
    case UInt8(ascii: "u"): (state, unit, digitsLeft) = (.unicode, 0, 4)
    default: state = .invalid
    }
  }

  private func readDigit(_ byte: UInt8) {
    guard let digit = hexValue(byte) else { return state = .invalid }
    unit = unit << 4 | UInt32(digit)
    digitsLeft -= 1
    guard digitsLeft == 0 else { return }
    state = .text
    if highSurrogate != 0, (0xDC00..<0xE000).contains(unit) {
      let scalar = 0x10000 + (highSurrogate - 0xD800) << 10 + (unit - 0xDC00)
      highSurrogate = 0
      return append(scalar: scalar)
    }
    endSurrogate()
    if (0xD800..<0xDC00).contains(unit) { highSurrogate = unit } else { append(scalar: unit) }
  }

  /// A lone half counts as U+FFFD, as in Go.
  private func endSurrogate() {
    guard highSurrogate != 0 else { return }
    highSurrogate = 0
    append(scalar: 0xFFFD)
  }

  private func append(scalar: UInt32) {
    for byte in String(Character(Unicode.Scalar(scalar) ?? "\u{FFFD}")).utf8 { append(byte) }
  }

  // MARK: Numbers and literals

  @_optimize(speed)
  private func readNumber(_ byte: UInt8) {
    let isDigit = byte &- UInt8(ascii: "0") < 10
    let next: State? =
      switch (state, byte) {
      case (.minus, UInt8(ascii: "0")): .zero
      case (.minus, _): isDigit ? .integer : .invalid
      case (.integer, _) where isDigit: .integer
      case (.zero, UInt8(ascii: ".")), (.integer, UInt8(ascii: ".")): .point
      case (.point, _): isDigit ? .fraction : .invalid
      case (.fraction, _) where isDigit: .fraction
      case (.zero, UInt8(ascii: "e")), (.integer, UInt8(ascii: "e")), (.fraction, UInt8(ascii: "e")): .exponent
      case (.zero, UInt8(ascii: "E")), (.integer, UInt8(ascii: "E")), (.fraction, UInt8(ascii: "E")): .exponent
      case (.exponent, UInt8(ascii: "+")), (.exponent, UInt8(ascii: "-")): .sign
      case (.exponent, _), (.sign, _): isDigit ? .digits : .invalid
      case (.digits, _) where isDigit: .digits
      default: nil
      }
    if let next {
      if captured != nil { append(byte) }
      return state = next
    }
    endText()
    state = .afterValue
    // The byte after the number.
    switch byte {
    case UInt8(ascii: ","): state = isInObject ? .key : .value
    case 0x20: break
    default: readStructure(byte)
    }
  }

  private func readLiteral(_ byte: UInt8) {
    guard UInt32(byte) == literal & 0xFF else { return state = .invalid }
    literal >>= 8
    if literal == 0 { state = .afterValue }
  }
}
