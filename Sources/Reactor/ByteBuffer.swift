import Glibc

/// A growable run of bytes that sockets read into and write from; it never moves unless it grows or is compacted.
///
/// A class, so that a connection, its exchange and the loop's free list can pass it on without copies. What is `public`
/// is so for the compiler: it inlines nothing into another room that is `package`, and this costs 5,000 instructions a
/// request.
@safe public final class ByteBuffer {
  public private(set) var capacity: Int
  /// How many bytes it holds.
  @inlinable public var count: Int { held }
  @usableFromInline var held = 0
  @usableFromInline var storage: UnsafeMutablePointer<UInt8>

  package init(capacity: Int) {
    self.capacity = capacity
    unsafe storage = UnsafeMutablePointer.allocate(capacity: capacity)
  }

  deinit { unsafe storage.deallocate() }

  @inlinable public var isEmpty: Bool { count == 0 }
  @inlinable public var freeCapacity: Int { capacity - count }

  /// Lends the bytes from `offset` on to `body`.
  @inlinable
  public func withBytes<Result, Failure: Error>(
    from offset: Int = 0, _ body: (Span<UInt8>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    precondition(offset >= 0 && offset <= count)
    let span = unsafe Span(_unsafeStart: UnsafePointer(storage + offset), count: count - offset)
    return try body(span)
  }

  @inlinable
  public subscript(index: Int) -> UInt8 {
    precondition(index >= 0 && index < count)
    return unsafe storage[index]
  }

  // MARK: Appending

  @inlinable @inline(__always) public func append(_ byte: UInt8) {
    reserve(1)
    unsafe storage[held] = byte
    held &+= 1
  }

  /// Inlined, a literal is a few moves: half of all appends are of one.
  @inlinable @inline(__always) public func append(_ text: StaticString) {
    unsafe append(text.utf8Start, text.utf8CodeUnitCount)
  }

  package func append(text: String) {
    var text = text
    text.withUTF8 { utf8 in
      guard let source = utf8.baseAddress else { return }
      unsafe append(source, utf8.count)
    }
  }

  @inlinable public func append(_ bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBufferPointer { source in
      guard let start = source.baseAddress else { return }
      unsafe append(start, source.count)
    }
  }

  @inlinable public func append(_ bytes: Span<UInt8>, _ range: Range<Int>) { append(bytes.extracting(range)) }

  @inlinable public func append(_ bytes: [UInt8]) { append(bytes.span) }

  @inlinable @inline(__always) func append(_ source: UnsafePointer<UInt8>, _ more: Int) {
    reserve(more)
    unsafe (storage + held).update(from: source, count: more)
    held &+= more
  }

  /// Appends a number of at most 19 digits as decimal text.
  package func append(decimal value: Int) {
    if value < 0 { append(UInt8(ascii: "-")) }
    let magnitude = UInt64(value.magnitude)
    var digits = 1
    var bound: UInt64 = 10
    while digits < 19, magnitude >= bound {
      digits &+= 1
      bound &*= 10
    }
    append(digits: magnitude, count: digits)
  }

  /// Appends `value` as lower-case hexadecimal text without zeros in front.
  package func append(hex value: UInt64) {
    let digits = max(1, (64 - value.leadingZeroBitCount + 3) / 4)
    append(hex: value, digits: digits)
  }

  /// Appends the low `digits` hexadecimal digits of `value`, at most 16, in lower case.
  package func append(hex value: UInt64, digits: Int) {
    reserve(16)
    let left = value << UInt64(64 - digits * 4)
    let end = unsafe UnsafeMutableRawPointer(storage + count)
    unsafe end.storeBytes(of: UInt64(hexDigitsOf: UInt32(left >> 32)).littleEndian, as: UInt64.self)
    unsafe (end + 8).storeBytes(
      of: UInt64(hexDigitsOf: UInt32(truncatingIfNeeded: left)).littleEndian, as: UInt64.self)
    held &+= digits
  }

  /// Appends the last `count` decimal digits of `value`, at most 19, with zeros in front.
  package func append(digits value: UInt64, count digits: Int) {
    reserve(digits)
    var rest = value
    for place in stride(from: count + digits - 1, through: count, by: -1) {
      unsafe storage[place] = UInt8(truncatingIfNeeded: 48 &+ rest % 10)
      rest /= 10
    }
    held &+= digits
  }

  // MARK: Removing

  @inlinable public func removeAll() { held = 0 }

  /// Appends all to `bytes`, and is empty then.
  package func move(to bytes: inout [UInt8]) {
    unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: storage, count: count))
    held = 0
  }

  /// Takes `range` out; the bytes behind it move forward.
  package func remove(_ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    let behind = count - range.upperBound
    if behind > 0 { unsafe memmove(storage + range.lowerBound, storage + range.upperBound, behind) }
    held -= range.count
  }

  // MARK: Room

  /// Makes room for `more` bytes, by doubling; who appends bounds what he appends.
  @inlinable @inline(__always)
  public func reserve(_ more: Int) {
    if capacity &- count < more { makeRoom(for: more) }
  }

  @usableFromInline @inline(never)
  func makeRoom(for more: Int) { grow(to: max(capacity * 2, count + more)) }

  package func grow(to newCapacity: Int) {
    guard newCapacity > capacity else { return }
    let grown = UnsafeMutablePointer<UInt8>.allocate(capacity: newCapacity)
    unsafe grown.update(from: storage, count: count)
    unsafe storage.deallocate()
    unsafe storage = grown
    capacity = newCapacity
  }

  // MARK: For system calls and libcurl

  /// Where the bytes from `offset` on stand, until the buffer grows.
  package func address(at offset: Int) -> UnsafeMutablePointer<UInt8> { unsafe storage + offset }

  /// Counts in the bytes that a call wrote behind the present ones.
  package func didReceive(_ bytes: Int) {
    precondition(bytes >= 0 && bytes <= freeCapacity)
    held += bytes
  }
}
