import HTTP1

/// Warnings about paths that two patterns match with different scopes.
///
/// `/proxy/balances/:id` and `/proxy/balances/filter` are a rule and its exception, which is intended. A conflict is a
/// pair in which neither pattern is the exception to the other, such as `/proxy/:a/x` and `/proxy/y/:b`, and in which
/// the scopes of a method differ: the order of the segments, not the operator, decides which scope a path requires. Two
/// patterns that match the same paths are an error elsewhere.
extension RoutesFile {
  /// How many pairs are reported one by one.
  static let conflictsReportedMax = 20

  func warnOfConflicts(_ definitions: [RouteDefinition], of table: Field, in fields: [Field]) {
    let byPattern = Dictionary(grouping: definitions, by: \.pattern.text)
    let patterns = fields.compactMap { field in
      field.name.flatMap { name in byPattern[name].map { (field: field, routes: $0) } }
    }
    var search = RouteConflictSearch(patterns.map(\.routes), reportedMax: Self.conflictsReportedMax)
    search.run()
    for pair in search.first {
      let (first, second) = (patterns[pair.first], patterns[pair.second])
      guard let method = first.routes.conflictingMethod(with: second.routes) else { continue }
      let path = first.routes[0].pattern.commonPath(with: second.routes[0].pattern)
      let (winner, loser) =
        first.routes[0].pattern.takesPrecedence(over: second.routes[0].pattern) ? (first, second) : (second, first)
      loser.field.warning(
        "\(method.text.description) \(path) matches both this pattern and \(winner.routes[0].pattern.text), which takes "
          + "precedence and requires another scope")
    }
    if search.count > search.first.count {
      let count = search.count - search.first.count
      let more = "\(search.isComplete ? "" : "at least ")\(count) more"
      let pairs = count == 1 ? "pair of patterns matches" : "pairs of patterns match"
      table.warning(
        "\(more) \(pairs) the same path with different scopes; fix the \(search.first.count) pairs that are listed, then "
          + "check again")
    } else if !search.isComplete {
      table.warning(
        "has too many patterns to search for conflicts; use parameters at the same positions in more of them")
    }
    for pattern in patterns where pattern.routes[0].pattern.segments.first == .literal("instances") {
      pattern.field.warning("is reachable under /proxy only: /instances/… names an instance, not a core path")
    }
  }
}

/// Counts the pairs of patterns that conflict and finds the first of them, without comparing each pair.
///
/// Patterns with literals at the same positions have the same shape. If each of two shapes has a literal where the
/// other has a parameter, two of their patterns match a common path if their literals agree wherever both have one:
/// the search joins them by these literals. If many patterns have few shapes, as in a table with many conflicts, the
/// work grows with the number of patterns, not of pairs.
struct RouteConflictSearch {
  /// Two patterns by their index in the file; `first` is the lower one.
  struct Pair: Equatable {
    let first: Int
    let second: Int
  }

  /// The search stops after this number of steps, so that no table delays a reload by more than seconds.
  static let stepsMax = 1_000_000

  /// The first conflicts, ordered by the later pattern, then by the earlier one.
  private(set) var first: [Pair] = []
  /// The number of conflicts found.
  private(set) var count = 0
  /// Whether the search found all conflicts.
  private(set) var isComplete = true
  private let reportedMax: Int
  private let shapes: [Shape]
  /// The index in `requirements` of each pattern.
  private let requirementOfPattern: [Int]
  /// The different combinations of methods and scopes that patterns have.
  private let requirements: [[RouteDefinition]]
  private var steps = 0

  private struct Shape {
    let segmentCount: Int
    /// The positions of literals, as a bit set.
    let literals: UInt32
    /// In file order, with their index there.
    var members: [(index: Int, segments: [RoutePattern.Segment])] = []
  }

  private struct ShapeKey: Hashable {
    let segmentCount: Int
    let literals: UInt32
  }

  private struct Requirement: Hashable {
    let method: HTTP1.Method
    let scope: Scope
  }

  /// - Parameters:
  ///   - patterns: the routes of each pattern, in file order.
  ///   - reportedMax: how many conflicts `first` holds at most.
  init(_ patterns: [[RouteDefinition]], reportedMax: Int) {
    self.reportedMax = reportedMax
    var (shapes, shapeIndices): ([Shape], [ShapeKey: Int]) = ([], [:])
    var (requirements, requirementIndices): ([[RouteDefinition]], [[Requirement]: Int]) = ([], [:])
    var requirementOfPattern: [Int] = []
    for (index, routes) in patterns.enumerated() {
      let segments = routes[0].pattern.segments
      let key = ShapeKey(segmentCount: segments.count, literals: segments.literalPositions)
      let shape = shapeIndices[key, default: shapes.count]
      if shape == shapes.count {
        shapeIndices[key] = shape
        shapes.append(Shape(segmentCount: key.segmentCount, literals: key.literals))
      }
      shapes[shape].members.append((index, segments))
      let required = routes.map { Requirement(method: $0.method, scope: $0.scope) }
      let requirement = requirementIndices[required, default: requirements.count]
      if requirement == requirements.count {
        requirementIndices[required] = requirement
        requirements.append(routes)
      }
      requirementOfPattern.append(requirement)
    }
    self.shapes = shapes
    self.requirements = requirements
    self.requirementOfPattern = requirementOfPattern
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

  /// Joins the patterns of two shapes that have the same literals at the positions `common`.
  private mutating func join(_ left: Shape, _ right: Shape, by common: UInt32) {
    steps += left.members.count + right.members.count
    var groups: [[RoutePattern.Segment]: (left: [Int], right: [Int])] = [:]
    for member in left.members { groups[member.segments.at(common), default: ([], [])].left.append(member.index) }
    for member in right.members { groups[member.segments.at(common)]?.right.append(member.index) }
    for group in groups.values where !group.right.isEmpty { countConflicts(group.left, group.right) }
  }

  /// Counts the conflicts between two lists of patterns, in which each pattern of one shares a path with each of the
  /// other, and keeps the first.
  private mutating func countConflicts(_ left: [Int], _ right: [Int]) {
    let (leftCounts, rightCounts) = (requirementCounts(left), requirementCounts(right))
    steps += leftCounts.count * rightCounts.count
    var found = 0
    for (requirement, count) in leftCounts {
      for (other, otherCount) in rightCounts
      where requirements[requirement].conflictingMethod(with: requirements[other]) != nil {
        found += count * otherCount
      }
    }
    guard found > 0 else { return }
    count += found
    keepFirst(left, right)
  }

  private func requirementCounts(_ patterns: [Int]) -> [Int: Int] {
    patterns.reduce(into: [:]) { counts, pattern in counts[requirementOfPattern[pattern], default: 0] += 1 }
  }

  private func areInConflict(_ first: Int, _ second: Int) -> Bool {
    let (first, second) = (requirements[requirementOfPattern[first]], requirements[requirementOfPattern[second]])
    return first.conflictingMethod(with: second) != nil
  }

  /// Goes through pairs in order until there are enough, or until the rest come after all pairs kept so far.
  private mutating func keepFirst(_ left: [Int], _ right: [Int]) {
    var found = 0
    let bound = first.count == reportedMax ? first.last?.second : nil
    let patterns = (left.map { (index: $0, isLeft: true) } + right.map { (index: $0, isLeft: false) })
      .sorted { $0.index < $1.index }
    steps += patterns.count
    for second in patterns {
      if let bound, second.index > bound { break }
      for earlier in second.isLeft ? right : left {
        guard earlier < second.index, found < reportedMax else { break }
        steps += 1
        guard areInConflict(earlier, second.index) else { continue }
        found += 1
        first.append(Pair(first: earlier, second: second.index))
      }
      if found == reportedMax { break }
    }
    first.sort { ($0.second, $0.first) < ($1.second, $1.first) }
    first.removeLast(max(0, first.count - reportedMax))
  }
}

extension [RouteDefinition] {
  /// The first method that both have, with different scopes.
  fileprivate func conflictingMethod(with other: [RouteDefinition]) -> HTTP1.Method? {
    first { mine in other.contains { theirs in theirs.method == mine.method && theirs.scope != mine.scope } }?.method
  }
}

extension [RoutePattern.Segment] {
  /// The positions of literals as a bit set, the first in the lowest bit; a pattern has 32 segments at most.
  fileprivate var literalPositions: UInt32 {
    enumerated().reduce(0) { positions, segment in
      segment.element == .parameter ? positions : positions | 1 << UInt32(segment.offset)
    }
  }

  /// The segments at the positions that are set.
  fileprivate func at(_ positions: UInt32) -> Self {
    enumerated().compactMap { positions & 1 << UInt32($0.offset) == 0 ? nil : $0.element }
  }
}

extension RoutePattern {
  /// An example of a path that both patterns match; `x` where both have a parameter. Requires as many segments in both,
  /// and the same literals where both have one.
  fileprivate func commonPath(with other: RoutePattern) -> String {
    zip(segments, other.segments).reduce("/proxy") { path, pair in
      switch pair {
      case (.literal(let text), _), (.parameter, .literal(let text)): path + "/\(text)"
      case (.parameter, .parameter): path + "/x"
      }
    }
  }

  /// Whether this pattern has the literal where the two first differ.
  fileprivate func takesPrecedence(over other: RoutePattern) -> Bool {
    for pair in zip(segments, other.segments) where pair.0 != pair.1 { return pair.0 != .parameter }
    return true
  }
}

extension Field {
  /// The last key of the key path: a route's path, which may contain dots itself.
  fileprivate var name: String? {
    keyPath.hasPrefix("routes.") ? String(keyPath.dropFirst("routes.".count)) : nil
  }
}
