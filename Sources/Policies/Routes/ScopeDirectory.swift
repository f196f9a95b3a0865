/// What each scope of a client or a token allows: the scopes of routes by their own names, and aliases for some of them.
package struct ScopeDirectory: Sendable {
  private struct Entry {
    let name: [UInt8]
    var set: ScopeSet
  }

  private var entries: [Entry] = []

  /// - Parameter scopes: of the route table; their indices are the bits of a set.
  init(scopes: [Scope], aliases: [ScopeAlias]) {
    for (bit, scope) in scopes.enumerated() {
      var set = ScopeSet()
      set.insert(bit: bit)
      entries.append(Entry(name: Array(scope.text.utf8), set: set))
    }
    for alias in aliases {
      var set = ScopeSet()
      for (bit, scope) in scopes.enumerated() where alias.scopes.contains(scope) { set.insert(bit: bit) }
      let name = Array(alias.name.text.utf8)
      // A route may require the alias itself, too.
      if let index = entries.firstIndex(where: { $0.name == name }) {
        entries[index].set.formUnion(set)
      } else {
        entries.append(Entry(name: name, set: set))
      }
    }
  }

  /// What a scope allows; nil: it is neither a route's scope nor an alias.
  package func set(of scope: Scope) -> ScopeSet? { set(named: scope.text.utf8Span.span) }

  func set(named name: Span<UInt8>) -> ScopeSet? {
    for index in entries.indices {
      let known = entries[index].name
      if isEqual(name, known.span) { return entries[index].set }
    }
    return nil
  }

  /// What a list of scopes, separated by single spaces, allows; unknown ones allow nothing, `*` allows everything. Does
  /// not allocate.
  func set(ofList list: Span<UInt8>) -> ScopeSet {
    var (set, start) = (ScopeSet(), 0)
    while start < list.count {
      var end = start
      while end < list.count, list[end] != UInt8(ascii: " ") { end += 1 }
      let name = list.extracting(start..<end)
      if name.count == 1, name[0] == UInt8(ascii: "*") { return .all }
      for index in entries.indices {
        let known = entries[index].name
        if isEqual(name, known.span) { set.formUnion(entries[index].set) }
      }
      start = end + 1
    }
    return set
  }

  /// The names that a policy file may use.
  package var names: [String] { entries.map { String(decoding: $0.name, as: UTF8.self) } }
}

/// A further name for some scopes: an entry of `scope_aliases`.
package struct ScopeAlias: Equatable, Sendable {
  package let name: Scope
  package let scopes: [Scope]
}

private func isEqual(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
  guard left.count == right.count else { return false }
  for index in left.indices where left[index] != right[index] { return false }
  return true
}
