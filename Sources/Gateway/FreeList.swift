/// What a free list holds.
protocol Reusable: AnyObject {
  /// Makes ready for the next use; false where it is not worth keeping.
  func reset() -> Bool
}

/// Objects that a loop uses again. What is given back in a turn is given out from the next turn on: somebody further up
/// the stack may still be in the midst of it.
struct FreeList<Object: Reusable> {
  private static var keptMax: Int { 1_024 }

  private var objects: [Object] = []
  /// Those in front of this were given back in earlier turns.
  private var usableCount = 0

  mutating func take() -> Object? {
    guard usableCount > 0 else { return nil }
    usableCount -= 1
    objects.swapAt(usableCount, objects.count - 1)
    return objects.removeLast()
  }

  mutating func giveBack(_ object: Object) { objects.append(object) }

  /// Nobody uses what was given back in this turn any more.
  mutating func turnEnded() {
    guard usableCount < objects.count else { return }
    var index = usableCount
    while index < objects.count {
      if objects[index].reset(), index < Self.keptMax {
        index += 1
      } else {
        objects.swapAt(index, objects.count - 1)
        objects.removeLast()
      }
    }
    usableCount = objects.count
  }

  mutating func removeAll() {
    objects.removeAll()
    usableCount = 0
  }
}
