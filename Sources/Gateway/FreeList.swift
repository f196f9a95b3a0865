/// Objects that a loop uses again. What is given back in a turn is given out from the next turn on: somebody further up
/// the stack may still be in the midst of it.
struct FreeList<Object: AnyObject> {
  private static var keptMax: Int { 1_024 }

  private var objects: [Object] = []
  /// Those in front of this were given back in earlier turns.
  private var usableCount = 0

  mutating func take() -> Object? {
    guard usableCount > 0 else { return nil }
    usableCount -= 1
    if usableCount < objects.count - 1 { objects.swapAt(usableCount, objects.count - 1) }
    return objects.removeLast()
  }

  mutating func giveBack(_ object: consuming Object) { objects.append(object) }

  /// Nobody uses what was given back in this turn any more.
  mutating func turnEnded() {
    if objects.count > Self.keptMax { objects.removeLast(objects.count - Self.keptMax) }
    usableCount = objects.count
  }

  mutating func removeAll() {
    objects.removeAll()
    usableCount = 0
  }
}
