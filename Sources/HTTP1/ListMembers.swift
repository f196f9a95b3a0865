/// The members of a comma-separated field value, without OWS, empty ones left out (RFC 9110 §5.6.1).
struct ListMembers {
  private var rest: Range<Int>

  init(of value: Range<Int>) { rest = value }

  mutating func next(_ bytes: Span<UInt8>) -> Range<Int>? {
    while !rest.isEmpty {
      let comma = bytes.first(UInt8(ascii: ","), in: rest) ?? rest.upperBound
      let member = bytes.trimmed(rest.lowerBound..<comma)
      rest = min(comma + 1, rest.upperBound)..<rest.upperBound
      if !member.isEmpty { return member }
    }
    return nil
  }
}
