/// Objects that a loop reuses. An object recycled in one turn is available from the next turn on, because a caller
/// further up the stack may still be using it.
struct FreeList<Object: AnyObject> {
  private static var keptMax: Int { 1_024 }

  private var objects: [Object] = []
  /// The objects before this index were recycled in earlier turns.
  private var usableCount = 0

  @_optimize(speed)
  mutating func take() -> Object? {
    guard usableCount > 0 else { return nil }
    usableCount -= 1
    if usableCount < objects.count - 1 { objects.swapAt(usableCount, objects.count - 1) }
    return objects.removeLast()
  }

  mutating func recycle(_ object: consuming Object) { objects.append(object) }

  /// Makes the objects recycled in this turn available.
  mutating func turnEnded() {
    if objects.count > Self.keptMax { objects.removeLast(objects.count - Self.keptMax) }
    usableCount = objects.count
  }

  mutating func removeAll() {
    objects.removeAll()
    usableCount = 0
  }
}
