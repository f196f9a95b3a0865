/// Calls that are owed to registrations, in order; its capacity stays.
///
/// To append is a comparison and two moves, where an array takes 38 instructions to see that it has one owner.
@safe struct CallList: ~Copyable {
  struct Call {
    let registration: Registration
    let reason: UInt8
  }

  private(set) var count = 0
  private var capacity = 64
  private var storage: UnsafeMutablePointer<Call>

  init() { unsafe storage = .allocate(capacity: capacity) }

  deinit { unsafe storage.deallocate() }

  var isEmpty: Bool { count == 0 }

  subscript(index: Int) -> Call {
    precondition(index >= 0 && index < count)
    return unsafe storage[index]
  }

  @inline(__always)
  mutating func append(_ call: Call) {
    if count == capacity { grow() }
    unsafe storage[count] = call
    count &+= 1
  }

  mutating func removeAll() { count = 0 }

  @inline(never)
  private mutating func grow() {
    let larger = UnsafeMutablePointer<Call>.allocate(capacity: 2 * capacity)
    unsafe larger.update(from: storage, count: count)
    unsafe storage.deallocate()
    unsafe storage = larger
    capacity *= 2
  }
}
