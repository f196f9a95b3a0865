import HTTP1

extension RouteTable {
  /// Builds the table of these routes, of at most `scopesMax` scopes. If two define a method of the same paths,
  /// regardless of parameter names, the first counts.
  init(_ definitions: [RouteDefinition]) {
    var builder = RouteTableBuilder()
    for definition in definitions { builder.insert(definition) }
    self = builder.table()
  }
}

/// Builds the tree of segments, then flattens it.
private struct RouteTableBuilder {
  private struct Branch {
    var literals: [String: Int] = [:]
    var parameterChild = -1
    var endpoint = -1
  }

  private var branches = [Branch()]
  private var endpoints: [RouteTable.Endpoint] = []
  private var routes: [Route] = []
  private var scopes: [Scope] = []

  mutating func insert(_ definition: RouteDefinition) {
    let endpoint = endpoint(of: definition.pattern)
    guard endpoints[endpoint].routes[Int(definition.method.rawValue)] < 0 else { return }
    let index = Int32(routes.count)
    routes.append(
      Route(
        method: definition.method, pattern: Array(definition.pattern.text.utf8),
        operation: Array(definition.operation.utf8),
        scope: definition.scope, scopeBit: bit(of: definition.scope), isWrite: definition.isWrite,
        hasOwnTimes: definition.times != nil, keyRule: definition.keyRule,
        bodyBytesMax: definition.bodyBytesMax, times: definition.times))
    allow(definition.method, index, at: endpoint)
    if definition.method == .get { allow(.head, index, at: endpoint) }
  }

  func table() -> RouteTable {
    var nodes: [RouteTable.Node] = []
    var edges: [RouteTable.Edge] = []
    var literals: [UInt8] = []
    for branch in branches {
      let firstEdge = edges.count
      for (literal, child) in branch.literals.sorted(by: { left, right in left.key < right.key }) {
        let start = literals.count
        literals += literal.utf8
        let range = start..<literals.count
        edges.append(RouteTable.Edge(literal: range, start: literals.span.packed(range), child: child))
      }
      nodes.append(
        RouteTable.Node(
          edges: firstEdge..<edges.count, parameterChild: branch.parameterChild, endpoint: branch.endpoint))
    }
    return RouteTable(
      routes: routes, scopes: scopes, nodes: nodes, edges: edges, literals: literals, endpoints: endpoints,
      methods: endpoints.reduce(into: []) { $0.formUnion($1.allow) })
  }

  private mutating func allow(_ method: HTTP1.Method, _ route: Int32, at endpoint: Int) {
    endpoints[endpoint].allow.insert(MethodSet(method))
    endpoints[endpoint].routes[Int(method.rawValue)] = route
  }

  private mutating func endpoint(of pattern: RoutePattern) -> Int {
    var branch = 0
    for segment in pattern.segments { branch = child(segment, of: branch) }
    if branches[branch].endpoint < 0 {
      branches[branch].endpoint = endpoints.count
      endpoints.append(RouteTable.Endpoint())
    }
    return branches[branch].endpoint
  }

  private mutating func child(_ segment: RoutePattern.Segment, of branch: Int) -> Int {
    let new = branches.count
    let child =
      switch segment {
      case .literal(let text): branches[branch].literals[text] ?? -1
      case .parameter: branches[branch].parameterChild
      }
    guard child < 0 else { return child }
    switch segment {
    case .literal(let text): branches[branch].literals[text] = new
    case .parameter: branches[branch].parameterChild = new
    }
    branches.append(Branch())
    return new
  }

  private mutating func bit(of scope: Scope) -> Int {
    if let bit = scopes.firstIndex(of: scope) { return bit }
    precondition(scopes.count < RouteTable.scopesMax)
    scopes.append(scope)
    return scopes.count - 1
  }
}
