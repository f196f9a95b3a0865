import Digests
import HTTP1

private let instanceIDName = ShortText("instance_id")

/// The one pair of a query that names the instance; its value is not empty.
func requiredInstanceParameter(_ query: Range<Int>?, _ bytes: Span<UInt8>) throws(Rejection)
  -> QueryParameters.Parameter
{
  var found: QueryParameters.Parameter?
  var parameters = QueryParameters(query ?? 0..<0)
  while let parameter = parameters.next(bytes) {
    switch QueryParameters.match(bytes, key: parameter.key, instanceIDName) {
    case .different: continue
    case .literal:
      guard found == nil, !parameter.value.isEmpty else { throw .instanceMalformed }
      found = parameter
    case .disguised: throw .instanceMalformed
    }
  }
  guard let found else { throw .instanceRequired }
  return found
}

/// Where the path names the instance, the query must not.
func refuseInstanceParameter(_ query: Range<Int>?, _ bytes: Span<UInt8>) throws(Rejection) {
  do throws(Rejection) {
    _ = try requiredInstanceParameter(query, bytes)
  } catch {
    guard error == .instanceRequired else { throw error }
    return
  }
  throw .instanceMalformed
}

/// Room for the longest id and one byte, by which longer names are told from ids.
struct DecodedName {
  static let byteCountMax = InstanceID.byteCountMax + 1

  var bytes = InlineArray<65, UInt8>(repeating: 0)
  var count = 0

  fileprivate mutating func append(_ byte: UInt8) {
    guard count < Self.byteCountMax else { return }
    bytes[count] = byte
    count += 1
  }
}

/// A value with its percent escapes decoded, once; cut off where it is too long to name an instance.
func decodedName(_ value: Range<Int>, _ bytes: Span<UInt8>) throws(Rejection) -> DecodedName {
  var name = DecodedName()
  var index = value.lowerBound
  while index < value.upperBound {
    guard bytes[index] == UInt8(ascii: "%") else {
      name.append(bytes[index])
      index += 1
      continue
    }
    guard value.upperBound - index >= 3, let high = hexValue(bytes[index + 1]), let low = hexValue(bytes[index + 2])
    else { throw .instanceMalformed }
    name.append(high << 4 | low)
    index += 3
  }
  return name
}
