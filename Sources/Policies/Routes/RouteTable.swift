package import HTTP1

/// Finds the route of a request: a tree of segments in flat arrays.
package struct RouteTable: Sendable {
  static let scopesMax = 64

  /// In the order of their definition; `Admission.routeIndex` is an index in it.
  package let routes: [Route]
  /// Every scope that a route requires, at most 64.
  package let scopes: [Scope]
  let nodes: [Node]
  let edges: [Edge]
  /// The literals of all edges, one after the other.
  let literals: [UInt8]
  let endpoints: [Endpoint]
  /// The methods of all routes together.
  package let methods: MethodSet

  struct Node: Sendable {
    /// The literal segments that may follow.
    var edges = 0..<0
    /// The node after a parameter; -1: none.
    var parameterChild = -1
    /// The endpoint of a path that ends here; -1: none.
    var endpoint = -1
  }

  struct Edge: Sendable {
    let literal: Range<Int>
    /// Its first eight bytes.
    let start: UInt64
    let child: Int
  }

  /// A path that exists, with its routes by method.
  struct Endpoint: Sendable {
    var allow: MethodSet = []
    /// By the raw value of each of the ten methods; -1: none.
    var routes = InlineArray<10, Int32>(repeating: -1)
  }

  /// A path that exists, regardless of the method.
  package struct Match: Sendable {
    let endpoint: Int
  }

  /// Matches a core path with the patterns, which have `/proxy` before it; nil: none matches. Literals take precedence
  /// over parameters, from the left.
  @inline(__always)
  package func match(_ bytes: Span<UInt8>, corePath: Range<Int>) -> Match? {
    guard !corePath.isEmpty, bytes[corePath.lowerBound] == UInt8(ascii: "/") else { return nil }
    return find(bytes, corePath.lowerBound + 1..<corePath.upperBound, below: 0).map(Match.init)
  }

  /// The index in `routes` of a method on a path; HEAD uses the route of GET.
  @inline(__always)
  package func route(_ method: Method, at match: Match) throws(Rejection) -> Int32 {
    let route = endpoints[match.endpoint].routes[Int(method.rawValue)]
    guard route >= 0 else { throw .methodNotAllowed(allow: endpoints[match.endpoint].allow) }
    return route
  }

  /// Visits each node at most once, so the operator's table bounds the work.
  @_optimize(speed)
  private func find(_ bytes: Span<UInt8>, _ rest: Range<Int>, below node: Int) -> Int? {
    let segment = rest.lowerBound..<(bytes.first(UInt8(ascii: "/"), in: rest) ?? rest.upperBound)
    guard !segment.isEmpty else { return nil }
    if let child = literalChild(bytes, segment, of: node), let found = endpoint(bytes, segment, rest, at: child) {
      return found
    }
    let parameterChild = nodes[node].parameterChild
    return parameterChild < 0 ? nil : endpoint(bytes, segment, rest, at: parameterChild)
  }

  private func endpoint(_ bytes: Span<UInt8>, _ segment: Range<Int>, _ rest: Range<Int>, at node: Int) -> Int? {
    guard segment.upperBound == rest.upperBound else {
      return find(bytes, segment.upperBound + 1..<rest.upperBound, below: node)
    }
    let endpoint = nodes[node].endpoint
    return endpoint < 0 ? nil : endpoint
  }

  @inline(__always)
  private func literalChild(_ bytes: Span<UInt8>, _ segment: Range<Int>, of node: Int) -> Int? {
    let start = bytes.packed(segment)
    for index in nodes[node].edges where edges[index].start == start {
      let literal = edges[index].literal
      guard literal.count == segment.count else { continue }
      var offset = 8
      while offset < segment.count, literals[literal.lowerBound + offset] == bytes[segment.lowerBound + offset] {
        offset &+= 1
      }
      if offset >= segment.count { return edges[index].child }
    }
    return nil
  }
}
