import Digests

/// The ids in a path, keyed by the parameters of its route: `balance_id` and `identity_id` for the `:id` of balances
/// and identities, else the parameter's name.
func auditedIDs(
  pattern: [UInt8], path: Span<UInt8>, corePath: Range<Int>
) -> [(key: [UInt8], value: [UInt8])] {
  var ids: [(key: [UInt8], value: [UInt8])] = []
  var before: ArraySlice<UInt8> = []
  var offset = corePath.lowerBound
  // The pattern begins with /proxy, the core path does not.
  for segment in pattern.split(separator: UInt8(ascii: "/")).dropFirst() {
    offset += 1
    let start = offset
    while offset < corePath.upperBound, path[offset] != UInt8(ascii: "/") { offset += 1 }
    if segment.first == UInt8(ascii: ":") {
      ids.append((key: key(segment.dropFirst(), after: before), value: unescaped(path, start..<offset)))
    }
    before = segment
  }
  return ids
}

private func key(_ name: ArraySlice<UInt8>, after literal: ArraySlice<UInt8>) -> [UInt8] {
  guard name.elementsEqual("id".utf8) else { return Array(name) }
  if literal.elementsEqual("balances".utf8) { return Array("balance_id".utf8) }
  return Array((literal.elementsEqual("identities".utf8) ? "identity_id" : "id").utf8)
}

/// Decodes percent-encoding (RFC 3986 §2.1). The path is well-formed.
private func unescaped(_ path: Span<UInt8>, _ range: Range<Int>) -> [UInt8] {
  var out: [UInt8] = []
  var offset = range.lowerBound
  while offset < range.upperBound {
    if path[offset] == UInt8(ascii: "%"), offset + 2 < range.upperBound, let high = hexValue(path[offset + 1]),
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
