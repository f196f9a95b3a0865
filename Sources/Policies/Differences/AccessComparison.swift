import HTTP1

/// What a credential admits under one policy: the instances of a row of its client table, and scopes.
struct AccessGrant: Equatable {
  let row: Int
  let scopes: ScopeSet
}

/// Compares what two policies admit, with the functions with which admission decides.
final class AccessComparison {
  let old: Policy
  let new: Policy
  let paths: PathClasses
  /// The instances of both.
  let instances: [(name: String, old: Int32, new: Int32)]
  /// For each of `instances`: what it admits under each policy.
  private let states: [InstanceState]
  /// Indices in `instances`.
  private let ofOld: [Int32]
  private let ofNew: [Int32]

  /// Sets of cells, of instances, and of changes, each once.
  private(set) var cellSets = Interned()
  private(set) var instanceSets = Interned()
  private(set) var contents = Interned()
  private var changedCells: [CellKey: (gained: Int32, lost: Int32)] = [:]
  /// For pairs of rows without a list of instances.
  private var groupsOfAll: [Int: [Group]] = [:]

  /// Whether it takes reads and writes under the old and the new policy.
  private struct InstanceState: OptionSet, Hashable {
    let rawValue: UInt8
    static let oldReads = InstanceState(rawValue: 1)
    static let oldWrites = InstanceState(rawValue: 2)
    static let newReads = InstanceState(rawValue: 4)
    static let newWrites = InstanceState(rawValue: 8)
  }

  /// Instances that a pair of rows treats alike.
  private struct Group {
    let state: InstanceState
    let instances: Int32
  }

  private struct CellKey: Hashable {
    let old: UInt64
    let new: UInt64
    let state: InstanceState
  }

  init(_ old: Policy, _ new: Policy) {
    self.old = old
    self.new = new
    paths = PathClasses(old.routes, new.routes)
    var instances: [(name: String, old: Int32, new: Int32)] = []
    var ofOld: [Int32] = []
    for (index, instance) in old.instances.enumerated() {
      ofOld.append(Int32(instances.count))
      instances.append((instance.id.text, Int32(index), new.directory.index(of: instance.id.bytes.span) ?? -1))
    }
    var ofNew: [Int32] = []
    for (index, instance) in new.instances.enumerated() {
      if let known = old.directory.index(of: instance.id.bytes.span) {
        ofNew.append(ofOld[Int(known)])
      } else {
        ofNew.append(Int32(instances.count))
        instances.append((instance.id.text, -1, Int32(index)))
      }
    }
    self.instances = instances
    self.ofOld = ofOld
    self.ofNew = ofNew
    states = instances.map { instance in
      var state: InstanceState = []
      if old.takes(isWrite: false, at: instance.old) { state.insert(.oldReads) }
      if old.takes(isWrite: true, at: instance.old) { state.insert(.oldWrites) }
      if new.takes(isWrite: false, at: instance.new) { state.insert(.newReads) }
      if new.takes(isWrite: true, at: instance.new) { state.insert(.newWrites) }
      return state
    }
  }

  /// What changes for a credential, as a number in `contents`: of each part a set of gained cells, one of lost cells, and
  /// one of instances. nil: nothing.
  ///
  /// - Parameters:
  ///   - before: nil: the old policy does not accept the credential.
  ///   - after: likewise.
  func change(from before: AccessGrant?, to after: AccessGrant?) -> Int32? {
    var content: [Int32] = []
    for group in groups(before?.row, after?.row) {
      let key = CellKey(old: before?.scopes.bits ?? 0, new: after?.scopes.bits ?? 0, state: group.state)
      let (gained, lost) = changedCells[key] ?? compare(before, after, group.state, key)
      if gained != 0 || lost != 0 { content += [gained, lost, group.instances] }
    }
    return content.isEmpty ? nil : contents.number(of: content)
  }

  private func compare(
    _ before: AccessGrant?, _ after: AccessGrant?, _ state: InstanceState, _ key: CellKey
  ) -> (Int32, Int32) {
    var (gained, lost) = ([Int32](), [Int32]())
    for (index, cell) in paths.cells.enumerated() {
      let was = before.map { old.admits($0.scopes, cell.old, state.contains(.oldReads), state.contains(.oldWrites)) }
      let now = after.map { new.admits($0.scopes, cell.new, state.contains(.newReads), state.contains(.newWrites)) }
      switch (was ?? false, now ?? false) {
      case (false, true): gained.append(Int32(index))
      case (true, false): lost.append(Int32(index))
      case (true, true), (false, false): break
      }
    }
    let result = (cellSets.number(of: gained), cellSets.number(of: lost))
    changedCells[key] = result
    return result
  }

  /// The instances of two rows, by what they admit. What a row may not use admits nothing.
  private func groups(_ oldRow: Int?, _ newRow: Int?) -> [Group] {
    let oldList = oldRow.map { old.clients.instances(of: $0) } ?? []
    let newList = newRow.map { new.clients.instances(of: $0) } ?? []
    let isOfAll = (oldList ?? []).isEmpty && (newList ?? []).isEmpty
    let key = (oldList == nil ? 1 : 0) + (newList == nil ? 2 : 0)
    if isOfAll, let known = groupsOfAll[key] { return known }
    var members: [InstanceState: [Int32]] = [:]
    for index in candidates(oldList, newList) {
      let instance = instances[Int(index)]
      var state = states[Int(index)]
      if oldRow.map({ instance.old >= 0 && old.clients.mayUse(instance.old, $0) }) != true {
        state.subtract([.oldReads, .oldWrites])
      }
      if newRow.map({ instance.new >= 0 && new.clients.mayUse(instance.new, $0) }) != true {
        state.subtract([.newReads, .newWrites])
      }
      if !state.isEmpty { members[state, default: []].append(index) }
    }
    let groups = members.sorted { $0.key.rawValue < $1.key.rawValue }
      .map { Group(state: $0.key, instances: instanceSets.number(of: $0.value)) }
    if isOfAll { groupsOfAll[key] = groups }
    return groups
  }

  /// - Parameter oldList: nil: all.
  private func candidates(_ oldList: [Int32]?, _ newList: [Int32]?) -> [Int32] {
    guard let oldList, let newList else { return instances.indices.map(Int32.init) }
    let before = oldList.map { ofOld[Int($0)] }
    let after = newList.map { ofNew[Int($0)] }
    return before == after ? before : Set(before + after).sorted()
  }
}

extension Policy {
  /// Whether an instance takes requests.
  ///
  /// - Parameter index: negative: there is no such instance.
  fileprivate func takes(isWrite: Bool, at index: Int32) -> Bool {
    guard index >= 0 else { return false }
    let instance = instances[Int(index)]
    return !instance.isRestricted || (try? checkRestrictions(of: instance, isWrite: isWrite)) != nil
  }

  /// - Parameters:
  ///   - route: negative: there is no such route.
  ///   - takesReads: whether the instance does.
  fileprivate func admits(_ scopes: ScopeSet, _ route: Int32, _ takesReads: Bool, _ takesWrites: Bool) -> Bool {
    guard route >= 0, allows(scopes, Int(route)) else { return false }
    return routes.routes[Int(route)].isWrite ? takesWrites : takesReads
  }
}

/// Lists of numbers, each once. The empty one is number 0.
struct Interned {
  private(set) var lists: [[Int32]] = [[]]
  private var numbers: [[Int32]: Int32] = [[]: 0]

  mutating func number(of list: [Int32]) -> Int32 {
    if let known = numbers[list] { return known }
    numbers[list] = Int32(lists.count)
    lists.append(list)
    return Int32(lists.count - 1)
  }

  subscript(number: Int32) -> [Int32] { lists[Int(number)] }
}
