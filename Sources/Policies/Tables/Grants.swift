/// Which of the scopes that routes ask for somebody has, by their index in the route table.
package struct ScopeSet: Equatable, Sendable {
  static let all = ScopeSet(bits: .max)

  private(set) var bits: UInt64 = 0

  mutating func insert(bit: Int) {
    bits |= 1 << UInt64(bit)
  }

  func contains(bit: Int) -> Bool {
    bits &>> UInt64(truncatingIfNeeded: bit) & 1 == 1
  }
}

/// Which instances a client may use.
enum InstanceGrant: Equatable, Sendable {
  case all
  /// Places in `Policy.instances`, ascending.
  case only([Int32])

  func contains(_ instance: Int32) -> Bool {
    switch self {
    case .all: true
    case .only(let instances): isMember(instance, ofAscending: instances, instances.indices)
    }
  }
}

/// Whether a number is among those of a range of places, which ascend.
func isMember(_ number: Int32, ofAscending numbers: [Int32], _ places: Range<Int>) -> Bool {
  var range = places
  while !range.isEmpty {
    let middle = range.lowerBound + range.count / 2
    if numbers[middle] == number { return true }
    range = numbers[middle] < number ? middle + 1..<range.upperBound : range.lowerBound..<middle
  }
  return false
}

/// Where a client may call from.
enum NetworkGrant: Equatable, Sendable {
  case all
  case only([Network])

  /// A list that has all of IPv4 and of IPv6 is no restriction.
  init(_ networks: [Network]) {
    self = networks.contains(.allIPv4) && networks.contains(.allIPv6) ? .all : .only(networks)
  }

  /// A peer on a Unix socket has no address, so a restricted client cannot be told to be within its networks.
  func contains(_ peer: PeerAddress) -> Bool {
    switch (self, peer) {
    case (.all, _): true
    case (.only, .unix): false
    case (.only(let networks), .ip(let address)): networks.contains { network in network.contains(address) }
    }
  }
}
