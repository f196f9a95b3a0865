import HTTP1

/// Paths that two patterns match, where the order of their segments, not the operator, decides what is asked for.
///
/// A pattern with a parameter matches more texts than others can name, so none is hidden whole but by the same pattern,
/// which is an error. `/proxy/balances/:id` beside `/proxy/balances/filter` is the usual way to write an exception. What is
/// told is a pair of which neither is the exception to the other, if they differ in the scope of a method.
extension RoutesFile {
  func noteConflicts(_ definitions: [RouteDefinition], in fields: [Field]) {
    let byPattern = Dictionary(grouping: definitions, by: \.pattern.text)
    let patterns = fields.compactMap { field in
      field.name.flatMap { name in byPattern[name].map { (field: field, routes: $0) } }
    }
    for (index, second) in patterns.enumerated() {
      for first in patterns[..<index] {
        guard let method = first.routes.disputed(with: second.routes),
          let path = first.routes[0].pattern.disputedPath(with: second.routes[0].pattern)
        else { continue }
        let (winner, loser) =
          first.routes[0].pattern.wins(over: second.routes[0].pattern) ? (first, second) : (second, first)
        loser.field.warning(
          "\(method.text.description) \(path) matches this and \(winner.routes[0].pattern.text), which wins and asks for "
            + "another scope")
      }
    }
    for pattern in patterns where pattern.routes[0].pattern.segments.first == .literal("instances") {
      pattern.field.warning("is reached under /proxy only: /instances/… names an instance, not a core path")
    }
  }
}

extension [RouteDefinition] {
  /// The first method that both have, with different scopes.
  fileprivate func disputed(with other: [RouteDefinition]) -> HTTP1.Method? {
    first { mine in other.contains { theirs in theirs.method == mine.method && theirs.scope != mine.scope } }?.method
  }
}

extension RoutePattern {
  /// A path that both match, unless one is the exception to the other; parameters stand as `x`.
  fileprivate func disputedPath(with other: RoutePattern) -> String? {
    guard segments.count == other.segments.count else { return nil }
    var (isNarrower, isWider) = (false, false)
    var path = "/proxy"
    for pair in zip(segments, other.segments) {
      switch pair {
      case (.literal(let mine), .literal(let theirs)):
        guard mine == theirs else { return nil }
        path += "/\(mine)"
      case (.literal(let mine), .parameter): (isNarrower, path) = (true, path + "/\(mine)")
      case (.parameter, .literal(let theirs)): (isWider, path) = (true, path + "/\(theirs)")
      case (.parameter, .parameter): path += "/x"
      }
    }
    return isNarrower && isWider ? path : nil
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
