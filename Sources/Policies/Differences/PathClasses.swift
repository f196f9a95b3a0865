import HTTP1

/// The paths that two route tables together tell apart: one example of each class of paths that both treat alike.
struct PathClasses {
  /// A method on a class of paths.
  struct Cell: Equatable {
    let method: Method
    /// Indices in the routes of each table; -1: it has none.
    let old: Int32
    let new: Int32
    /// As a pattern: `/proxy/balances/:id`.
    let pattern: String
  }

  /// Each combination of an old and a new route once.
  private(set) var cells: [Cell] = []
  /// Whether all classes were found. Overlapping patterns can have very many.
  private(set) var isComplete = true

  private let old: RouteTable
  private let new: RouteTable
  /// Replaces parameters in examples: a segment that differs from every literal.
  private let parameter: [UInt8]
  private var visits = 0
  private var known: Set<[Int32]> = []

  private static let visitsMax = 200_000
  private static let methods: [Method] = [.get, .post, .put, .patch, .delete]

  init(_ old: RouteTable, _ new: RouteTable) {
    self.old = old
    self.new = new
    let literals = Set(old.literalTexts + new.literalTexts)
    var parameter = Array("x".utf8)
    while literals.contains(parameter) { parameter += Array("x".utf8) }
    self.parameter = parameter
    visit([0], [0], [])
  }

  /// - Parameter path: literals, or nil for a segment that differs from all of them.
  private mutating func visit(_ oldNodes: [Int], _ newNodes: [Int], _ path: [[UInt8]?]) {
    guard visits < Self.visitsMax else { return isComplete = false }
    visits += 1
    if old.hasEndpoint(oldNodes) || new.hasEndpoint(newNodes) { insert(path) }
    // First the class with most paths, which gives a cell its pattern.
    let (oldRest, newRest) = (old.children(of: oldNodes, nil), new.children(of: newNodes, nil))
    if !oldRest.isEmpty || !newRest.isEmpty { visit(oldRest, newRest, path + [nil]) }
    let literals = Set(old.literals(of: oldNodes) + new.literals(of: newNodes))
    for literal in literals.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      visit(old.children(of: oldNodes, literal), new.children(of: newNodes, literal), path + [literal])
    }
  }

  private mutating func insert(_ path: [[UInt8]?]) {
    let example = path.flatMap { segment in [UInt8(ascii: "/")] + (segment ?? parameter) }
    let (oldMatch, newMatch) = (match(example, in: old), match(example, in: new))
    for method in Self.methods {
      let oldRoute = oldMatch.flatMap { match in try? old.route(method, at: match) } ?? -1
      let newRoute = newMatch.flatMap { match in try? new.route(method, at: match) } ?? -1
      guard oldRoute >= 0 || newRoute >= 0, known.insert([oldRoute, newRoute]).inserted else { continue }
      cells.append(
        Cell(method: method, old: oldRoute, new: newRoute, pattern: pattern(path, oldRoute, newRoute)))
    }
  }

  private func match(_ path: [UInt8], in table: RouteTable) -> RouteTable.Match? {
    table.match(path.span, corePath: 0..<path.count)
  }

  /// The new table's pattern, or else the old one's, if it is about this class and no other.
  private func pattern(_ path: [[UInt8]?], _ oldRoute: Int32, _ newRoute: Int32) -> String {
    let routes = [newRoute < 0 ? nil : new.routes[Int(newRoute)], oldRoute < 0 ? nil : old.routes[Int(oldRoute)]]
    for route in routes.compactMap(\.self) {
      let text = String(decoding: route.pattern, as: UTF8.self)
      if let pattern = RoutePattern(text), Self.isAbout(path, pattern.segments) { return text }
    }
    return "/proxy"
      + path.map { segment in "/\(segment.map { String(decoding: $0, as: UTF8.self) } ?? ":any")" }.joined()
  }

  private static func isAbout(_ path: [[UInt8]?], _ segments: [RoutePattern.Segment]) -> Bool {
    path.count == segments.count
      && zip(path, segments).allSatisfy { segment, pattern in
        switch pattern {
        case .literal(let text): segment.map { $0.elementsEqual(text.utf8) } ?? false
        case .parameter: segment == nil
        }
      }
  }
}

extension RouteTable {
  fileprivate var literalTexts: [[UInt8]] { edges.map { edge in Array(literals[edge.literal]) } }

  fileprivate func hasEndpoint(_ nodes: [Int]) -> Bool { nodes.contains { self.nodes[$0].endpoint >= 0 } }

  fileprivate func literals(of nodes: [Int]) -> [[UInt8]] {
    nodes.flatMap { node in self.nodes[node].edges.map { Array(literals[edges[$0].literal]) } }
  }

  /// The nodes that a path may reach with one more segment.
  ///
  /// - Parameter literal: nil: a segment that differs from all of them.
  fileprivate func children(of nodes: [Int], _ literal: [UInt8]?) -> [Int] {
    nodes.flatMap { node in
      let named = self.nodes[node].edges.first { Array(literals[edges[$0].literal]) == literal }
      let rest = self.nodes[node].parameterChild
      return (named.map { [edges[$0].child] } ?? []) + (rest < 0 ? [] : [rest])
    }
  }
}
