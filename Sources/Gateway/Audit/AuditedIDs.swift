import Audit
import Digests

extension AuditMembers {
  /// Appends the ids in a path, keyed by the parameters of its route: `balance_id` and `identity_id` for the `:id` of
  /// balances and identities, else the parameter's name.
  @_optimize(speed)
  mutating func append(idsIn path: Span<UInt8>, _ corePath: Range<Int>, of pattern: Span<UInt8>) {
    // The pattern begins with /proxy, the core path does not.
    var segment = pattern.segment(from: 1, until: pattern.count)
    var value = corePath.lowerBound..<corePath.lowerBound
    while segment.upperBound < pattern.count {
      let before = segment
      segment = pattern.segment(from: before.upperBound &+ 1, until: pattern.count)
      value = path.segment(from: min(value.upperBound &+ 1, corePath.upperBound), until: corePath.upperBound)
      guard !segment.isEmpty, pattern[segment.lowerBound] == UInt8(ascii: ":") else { continue }
      let name = pattern.extracting(segment.lowerBound &+ 1..<segment.upperBound)
      let (literal, id) = (pattern.extracting(before), path.extracting(value))
      if id.contains(UInt8(ascii: "%")) {
        append(name, after: literal, unescaped(id).span)
      } else {
        append(name, after: literal, id)
      }
    }
  }

  @_optimize(speed)
  private mutating func append(_ name: Span<UInt8>, after literal: Span<UInt8>, _ id: Span<UInt8>) {
    guard name.equals("id") else { return append(name, id) }
    append(literal.equals("balances") ? "balance_id" : literal.equals("identities") ? "identity_id" : "id", id)
  }
}

extension Span<UInt8> {
  /// From `start` to the next slash.
  fileprivate func segment(from start: Int, until limit: Int) -> Range<Int> {
    var end = start
    while end < limit, self[end] != UInt8(ascii: "/") { end &+= 1 }
    return start..<end
  }

  fileprivate func contains(_ byte: UInt8) -> Bool {
    for index in indices where self[index] == byte { return true }
    return false
  }
}

/// Decodes percent-encoding (RFC 3986 §2.1). The path is well-formed.
private func unescaped(_ path: Span<UInt8>) -> [UInt8] {
  var (out, offset): ([UInt8], Int) = ([], 0)
  while offset < path.count {
    if path[offset] == UInt8(ascii: "%"), offset + 2 < path.count, let high = hexValue(path[offset + 1]),
      let low = hexValue(path[offset + 2])
    {
      out.append(high << 4 | low)
      offset += 3
    } else {
      out.append(path[offset])
      offset += 1
    }
  }
  return out
}
