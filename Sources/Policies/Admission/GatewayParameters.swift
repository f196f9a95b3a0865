import Digests
import HTTP1

private let accessTokenName = ShortText("access_token")
private let instanceIDName = ShortText("instance_id")

/// What a query says to the gateway, found in one walk over its pairs.
struct GatewayParameters {
  enum Instance {
    case none
    /// With a value that is not empty.
    case one(QueryParameters.Parameter)
    /// Named twice, in disguise or not at all.
    case malformed
  }

  /// Whether there is an `access_token`, however it is written.
  private(set) var hasToken = false
  /// What `instance_id` says.
  private(set) var instance = Instance.none

  init(_ query: Range<Int>?, _ bytes: Span<UInt8>) {
    guard let query else { return }
    var parameters = QueryParameters(query)
    while let parameter = parameters.next(bytes) { note(parameter, bytes) }
  }

  private mutating func note(_ parameter: QueryParameters.Parameter, _ bytes: Span<UInt8>) {
    switch QueryParameters.match(bytes, key: parameter.key, instanceIDName) {
    case .different: break
    case .literal:
      if case .none = instance, !parameter.value.isEmpty {
        instance = .one(parameter)
      } else {
        instance = .malformed
      }
    case .disguised: instance = .malformed
    }
    switch QueryParameters.match(bytes, key: parameter.key, accessTokenName) {
    case .different: break
    case .literal, .disguised: hasToken = true
    }
  }

  /// The one pair that names the instance.
  func requiredInstance() throws(Rejection) -> QueryParameters.Parameter {
    switch instance {
    case .none: throw .instanceRequired
    case .one(let parameter): return parameter
    case .malformed: throw .instanceMalformed
    }
  }

  /// Where the path names the instance, the query must not.
  func refuseInstance() throws(Rejection) {
    guard case .none = instance else { throw .instanceMalformed }
  }
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
