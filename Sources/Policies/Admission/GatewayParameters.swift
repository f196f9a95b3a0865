import Digests
import HTTP1

/// In one constant, since each is a call to look at.
private let names = (instanceID: ShortText("instance_id"), accessToken: ShortText("access_token"))

/// What a query says to the gateway, found in one walk over its pairs.
struct GatewayParameters {
  enum Instance {
    case none
    /// The pair, with a value that is not empty.
    case one(Range<Int>)
    /// Repeated, empty, or with a percent-encoded key.
    case malformed
  }

  /// Whether there is an `access_token`, however it is written.
  private(set) var hasToken = false
  /// What `instance_id` says.
  private(set) var instance = Instance.none

  init(_ query: Range<Int>?, _ bytes: Span<UInt8>) {
    guard let query else { return }
    var parameters = QueryParameters(query)
    while let pair = parameters.next(bytes) {
      // Most pairs are not for the gateway, and show it with their first byte: of the two names, or of an escape.
      switch pair.isEmpty ? 0 : bytes[pair.lowerBound] {
      case UInt8(ascii: "i"), UInt8(ascii: "a"), UInt8(ascii: "%"): note(pair, bytes)
      default: break
      }
    }
  }

  // Inlined, it would make the walk carry the instance along in registers: 200 instructions a request.
  @inline(never)
  private mutating func note(_ pair: Range<Int>, _ bytes: Span<UInt8>) {
    switch QueryParameters.match(bytes, keyOf: pair, names.instanceID) {
    case .literal: noteInstance(pair)
    case .disguised: instance = .malformed
    case .different:
      if QueryParameters.match(bytes, keyOf: pair, names.accessToken) != .different { hasToken = true }
    }
  }

  private mutating func noteInstance(_ pair: Range<Int>) {
    if case .none = instance, !Self.value(ofInstance: pair).isEmpty {
      instance = .one(pair)
    } else {
      instance = .malformed
    }
  }

  /// What follows `instance_id=` in the pair that names the instance.
  static func value(ofInstance pair: Range<Int>) -> Range<Int> {
    min(pair.lowerBound + 12, pair.upperBound)..<pair.upperBound
  }

  /// The one pair that names the instance; nil: none does.
  @inline(__always)
  func instancePair() throws(Rejection) -> Range<Int>? {
    switch instance {
    case .none: return nil
    case .one(let pair): return pair
    case .malformed: throw .instanceMalformed
    }
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
