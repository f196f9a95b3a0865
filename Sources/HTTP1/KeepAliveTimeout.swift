/// The idle timeout in seconds of a `Keep-Alive` field such as `timeout=5, max=100`; nil if it has none.
///
/// The field is not in RFC 9110; servers follow RFC 2068 §19.7.1.
package func keepAliveTimeout(_ bytes: Span<UInt8>, _ value: Range<Int>) -> Int? {
  var start = value.lowerBound
  while start < value.upperBound {
    var end = start
    while end < value.upperBound, bytes[end] != UInt8(ascii: ",") { end += 1 }
    if let seconds = timeout(bytes, start..<end) { return seconds }
    start = end + 1
  }
  return nil
}

private func timeout(_ bytes: Span<UInt8>, _ member: Range<Int>) -> Int? {
  var index = member.lowerBound
  while index < member.upperBound, bytes[index] == UInt8(ascii: " ") || bytes[index] == UInt8(ascii: "\t") {
    index += 1
  }
  for letter in "timeout=".utf8 {
    // Ignores the case of letters; `=` has this bit set already.
    guard index < member.upperBound, bytes[index] | 0x20 == letter | 0x20 else { return nil }
    index += 1
  }
  var seconds = 0
  let digits = index
  while index < member.upperBound, (48...57).contains(bytes[index]), index - digits < 9 {
    seconds = seconds * 10 + Int(bytes[index] - 48)
    index += 1
  }
  return index > digits ? seconds : nil
}
