import HTTP1

/// Paths that two patterns match, where the order of their segments, not the operator, decides what is asked for.
///
/// A pattern with a parameter matches more texts than others can name, so none is hidden whole but by the same pattern,
/// which is an error. `/proxy/balances/:id` beside `/proxy/balances/filter` is the usual way to write an exception. What is
/// told is a pair of which neither is the exception to the other, if they differ in the scope of a method.
extension RoutesFile {
  /// Pairs that are told one by one.
  static let conflictsToldMax = 20

  func noteConflicts(_ definitions: [RouteDefinition], of table: Field, in fields: [Field]) {
    let byPattern = Dictionary(grouping: definitions, by: \.pattern.text)
    let patterns = fields.compactMap { field in
      field.name.flatMap { name in byPattern[name].map { (field: field, routes: $0) } }
    }
    var search = RouteConflictSearch(patterns.map(\.routes), toldMax: Self.conflictsToldMax)
    search.run()
    for pair in search.first {
      let (first, second) = (patterns[pair.first], patterns[pair.second])
      guard let method = first.routes.disputed(with: second.routes) else { continue }
      let path = first.routes[0].pattern.commonPath(with: second.routes[0].pattern)
      let (winner, loser) =
        first.routes[0].pattern.wins(over: second.routes[0].pattern) ? (first, second) : (second, first)
      loser.field.warning(
        "\(method.text.description) \(path) matches this and \(winner.routes[0].pattern.text), which wins and asks for "
          + "another scope")
    }
    if search.count > search.first.count {
      let count = search.count - search.first.count
      let more = "\(search.isComplete ? "" : "at least ")\(count) more \(count == 1 ? "pair" : "pairs")"
      table.warning(
        "\(more) of patterns with one path and different scopes: repair the \(search.first.count) that "
          + "are named, and check again")
    } else if !search.isComplete {
      table.warning("has too many patterns to compare each with each: give patterns with parameters one form")
    }
    for pattern in patterns where pattern.routes[0].pattern.segments.first == .literal("instances") {
      pattern.field.warning("is reached under /proxy only: /instances/… names an instance, not a core path")
    }
  }
}

/// Counts the pairs of patterns that conflict, and finds the first of them, without looking at each pair.
///
/// Patterns with literals at the same places have one shape. Of two shapes of which neither has all literals of the other,
/// those patterns conflict that agree where both have literals: they are joined by these literals. Where many patterns
/// have few shapes, as where many conflict, the work grows with the patterns, not with their pairs.
struct RouteConflictSearch {
  /// Two places in the order of the file; `first` is the earlier one.
  struct Pair: Equatable {
    let first: Int
    let second: Int
  }

  /// Steps after which the search ends, so that no table holds up a reload: seconds at most.
  static let stepsMax = 1_000_000

  /// The first conflicts, by the later pattern, then by the earlier one.
  private(set) var first: [Pair] = []
  /// How many there are: of those that were found where the search is not complete.
  private(set) var count = 0
  /// Whether it came to its end.
  private(set) var isComplete = true
  private let toldMax: Int
  private let shapes: [Shape]
  /// Of each pattern, which of `demands` its routes are.
  private let demandOfPattern: [Int]
  /// What the routes of a pattern ask for: the scopes of its methods.
  private let demands: [[RouteDefinition]]
  private var steps = 0

  private struct Shape {
    /// Segments in all.
    let segmentCount: Int
    /// Places of literals as bits.
    let literals: UInt32
    /// Places in the order of the file.
    var members: [(place: Int, segments: [RoutePattern.Segment])] = []
  }

  private struct ShapeKey: Hashable {
    let segmentCount: Int
    let literals: UInt32
  }

  private struct Demand: Hashable {
    let method: HTTP1.Method
    let scope: Scope
  }

  /// - Parameters:
  ///   - patterns: the routes of each pattern, in the order of the file.
  ///   - toldMax: how many conflicts `first` holds at most.
  init(_ patterns: [[RouteDefinition]], toldMax: Int) {
    self.toldMax = toldMax
    var (shapes, shapeIndices): ([Shape], [ShapeKey: Int]) = ([], [:])
    var (demands, demandIndices): ([[RouteDefinition]], [[Demand]: Int]) = ([], [:])
    var demandOfPattern: [Int] = []
    for (place, routes) in patterns.enumerated() {
      let segments = routes[0].pattern.segments
      let key = ShapeKey(segmentCount: segments.count, literals: segments.literalPlaces)
      let shape = shapeIndices[key, default: shapes.count]
      if shape == shapes.count {
        shapeIndices[key] = shape
        shapes.append(Shape(segmentCount: key.segmentCount, literals: key.literals))
      }
      shapes[shape].members.append((place, segments))
      let asked = routes.map { Demand(method: $0.method, scope: $0.scope) }
      let demand = demandIndices[asked, default: demands.count]
      if demand == demands.count {
        demandIndices[asked] = demand
        demands.append(routes)
      }
      demandOfPattern.append(demand)
    }
    self.shapes = shapes
    self.demands = demands
    self.demandOfPattern = demandOfPattern
  }

  mutating func run() {
    for index in shapes.indices {
      for other in shapes[..<index] {
        steps += 1
        let shape = shapes[index]
        let common = shape.literals & other.literals
        guard shape.segmentCount == other.segmentCount, common != shape.literals, common != other.literals else {
          continue
        }
        guard steps <= Self.stepsMax else { return isComplete = false }
        join(shape, other, by: common)
      }
    }
  }

  /// Joins the patterns of two shapes that have the same literals at the places `common`.
  private mutating func join(_ left: Shape, _ right: Shape, by common: UInt32) {
    steps += left.members.count + right.members.count
    var groups: [[RoutePattern.Segment]: (left: [Int], right: [Int])] = [:]
    for member in left.members { groups[member.segments.at(common), default: ([], [])].left.append(member.place) }
    for member in right.members { groups[member.segments.at(common)]?.right.append(member.place) }
    for group in groups.values where !group.right.isEmpty { add(group.left, group.right) }
  }

  /// Counts the conflicts between two lists of patterns of which each matches a path with each, and keeps the first.
  private mutating func add(_ left: [Int], _ right: [Int]) {
    let (leftCounts, rightCounts) = (demandCounts(left), demandCounts(right))
    steps += leftCounts.count * rightCounts.count
    var found = 0
    for (demand, count) in leftCounts {
      for (other, otherCount) in rightCounts where demands[demand].disputed(with: demands[other]) != nil {
        found += count * otherCount
      }
    }
    guard found > 0 else { return }
    count += found
    keepFirst(left, right)
  }

  private func demandCounts(_ places: [Int]) -> [Int: Int] {
    places.reduce(into: [:]) { counts, place in counts[demandOfPattern[place], default: 0] += 1 }
  }

  /// Looks at pairs in their order until there are enough of them, or until a later one comes behind all that is kept.
  private mutating func keepFirst(_ left: [Int], _ right: [Int]) {
    var found = 0
    let bound = first.count == toldMax ? first.last?.second : nil
    let places = (left.map { (place: $0, isLeft: true) } + right.map { (place: $0, isLeft: false) })
      .sorted { $0.place < $1.place }
    steps += places.count
    for second in places {
      if let bound, second.place > bound { break }
      for earlier in second.isLeft ? right : left {
        guard earlier < second.place, found < toldMax else { break }
        steps += 1
        guard demands[demandOfPattern[earlier]].disputed(with: demands[demandOfPattern[second.place]]) != nil else {
          continue
        }
        found += 1
        first.append(Pair(first: earlier, second: second.place))
      }
      if found == toldMax { break }
    }
    first.sort { ($0.second, $0.first) < ($1.second, $1.first) }
    first.removeLast(max(0, first.count - toldMax))
  }
}

extension [RouteDefinition] {
  /// The first method that both have, with different scopes.
  fileprivate func disputed(with other: [RouteDefinition]) -> HTTP1.Method? {
    first { mine in other.contains { theirs in theirs.method == mine.method && theirs.scope != mine.scope } }?.method
  }
}

extension [RoutePattern.Segment] {
  /// The places of literals, the first one lowest; a pattern has 32 segments at most.
  fileprivate var literalPlaces: UInt32 {
    enumerated().reduce(0) { places, segment in
      segment.element == .parameter ? places : places | 1 << UInt32(segment.offset)
    }
  }

  /// Those at the places that are set.
  fileprivate func at(_ places: UInt32) -> Self {
    enumerated().compactMap { places & 1 << UInt32($0.offset) == 0 ? nil : $0.element }
  }
}

extension RoutePattern {
  /// A path that both match, which have as many segments and the same literals where both have one; where neither has one
  /// it has `x`.
  fileprivate func commonPath(with other: RoutePattern) -> String {
    zip(segments, other.segments).reduce("/proxy") { path, pair in
      switch pair {
      case (.literal(let text), _), (.parameter, .literal(let text)): path + "/\(text)"
      case (.parameter, .parameter): path + "/x"
      }
    }
  }

  /// Of two patterns for one path: the one with a literal where they first differ.
  fileprivate func wins(over other: RoutePattern) -> Bool {
    for pair in zip(segments, other.segments) where pair.0 != pair.1 { return pair.0 != .parameter }
    return true
  }
}

extension Field {
  /// The last key of its path, which is a path itself here and holds dots.
  fileprivate var name: String? {
    keyPath.hasPrefix("routes.") ? String(keyPath.dropFirst("routes.".count)) : nil
  }
}
