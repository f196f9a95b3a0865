/// Scheduled calls in order; it keeps its capacity.
///
/// Appending is a comparison and two moves; an array takes 38 instructions to check that it is uniquely referenced.
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
