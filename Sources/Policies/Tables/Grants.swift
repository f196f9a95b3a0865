import Digests

/// A set of scopes, by their index in the route table's `scopes`.
package struct ScopeSet: Equatable, Sendable {
  static let all = ScopeSet(bits: .max)

  private(set) var bits: UInt64 = 0

  mutating func insert(bit: Int) {
    bits |= 1 << UInt64(bit)
  }

  mutating func formUnion(_ other: ScopeSet) { bits |= other.bits }

  func intersection(_ other: ScopeSet) -> ScopeSet { ScopeSet(bits: bits & other.bits) }

  var isEmpty: Bool { bits == 0 }

  func contains(bit: Int) -> Bool {
    bits &>> UInt64(truncatingIfNeeded: bit) & 1 == 1
  }
}

/// Which instances a client may use.
enum InstanceGrant: Equatable, Sendable {
  case all
  /// Ascending indices in `Policy.instances`.
  case only([Int32])

  func contains(_ instance: Int32) -> Bool {
    switch self {
    case .all: true
    case .only(let instances): isMember(instance, ofAscending: instances, instances.indices)
    }
  }
}

extension [Int32] {
  /// Its numbers, each once, in ascending order.
  consuming func ascending() -> [Int32] {
    sort()
    var count = 0
    for index in indices where index == 0 || self[index] != self[count - 1] {
      self[count] = self[index]
      count += 1
    }
    removeLast(self.count - count)
    return self
  }
}

/// Binary search in a sorted slice: whether it contains the number.
func isMember(_ number: Int32, ofAscending numbers: [Int32], _ part: Range<Int>) -> Bool {
  var range = part
  while !range.isEmpty {
    let middle = range.lowerBound + range.count / 2
    if numbers[middle] == number { return true }
    range = numbers[middle] < number ? middle + 1..<range.upperBound : range.lowerBound..<middle
  }
  return false
}

/// Where a client may call from, and with which certificates.
struct CallerGrant: Equatable, Sendable {
  var networks = NetworkGrant.all
  /// SHA-256 of certificates in DER form; empty: none is required.
  var certificates: [Digest] = []

  func check(_ caller: Caller) throws(Rejection) {
    guard networks.contains(caller.address) else { throw .networkForbidden }
    guard !certificates.isEmpty else { return }
    // No early end: `==` of digests takes constant time.
    guard let presented = caller.certificate, certificates.reduce(false, { $1 == presented || $0 }) else {
      throw .certificateMismatch
    }
  }
}

/// The networks that a client may call from.
enum NetworkGrant: Equatable, Sendable {
  case all
  case only([Network])

  /// A list with all of IPv4 and all of IPv6 restricts nothing.
  init(_ networks: [Network]) {
    self = networks.contains(.allIPv4) && networks.contains(.allIPv6) ? .all : .only(networks)
  }

  /// A peer without an address is in none of a restricted client's networks.
  func contains(_ peer: PeerAddress) -> Bool {
    switch (self, peer) {
    case (.all, _): true
    case (.only, .unix), (.only, .unknown): false
    case (.only(let networks), .ip(let address)): networks.contains { network in network.contains(address) }
    }
  }
}
