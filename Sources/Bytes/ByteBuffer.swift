import Glibc

/// A growable byte buffer for socket I/O; its bytes move only when it grows or `remove` is called.
///
/// A class, so that a connection and its exchange can share it without copies. Members are `public` for the compiler only:
/// `package` members are not inlined into other modules, which costs 5,000 instructions per request.
@safe public final class ByteBuffer {
  public private(set) var capacity: Int
  /// The number of bytes in the buffer.
  @inlinable public var count: Int { used }
  @usableFromInline var used = 0
  @usableFromInline var storage: UnsafeMutablePointer<UInt8>
  private let pool: BufferPool?

  package init(capacity: Int) {
    self.capacity = capacity
    pool = nil
    unsafe storage = UnsafeMutablePointer.allocate(capacity: capacity)
  }

  /// A buffer that takes storage from `pool` for its first byte and keeps it until `releaseStorage`; it takes no storage
  /// while unused, so its owner can keep it.
  package init(from pool: BufferPool) {
    capacity = 0
    self.pool = pool
    unsafe storage = Self.noStorage
  }

  /// A placeholder that is never accessed: the capacity is 0.
  private static var noStorage: UnsafeMutablePointer<UInt8> {
    unsafe UnsafeMutablePointer(bitPattern: 1).unsafelyUnwrapped
  }

  deinit { unsafe free(storage, capacity) }

  private func free(_ block: UnsafeMutablePointer<UInt8>, _ capacity: Int) {
    guard pool != nil else { return unsafe block.deallocate() }
    if capacity > 0 { unsafe pool?.put(block, capacity: capacity) }
  }

  @inlinable public var isEmpty: Bool { count == 0 }
  @inlinable public var freeCapacity: Int { capacity - count }

  /// Calls `body` with the bytes from `offset` on.
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
    unsafe storage[used] = byte
    used &+= 1
  }

  /// Inlined because half of all appends are literals, each a few moves.
  @inlinable @inline(__always) public func append(_ text: StaticString) {
    unsafe append(text.utf8Start, text.utf8CodeUnitCount)
  }

  package func append(text: String) {
    var text = text
    text.withUTF8 { utf8 in
      guard let source = utf8.baseAddress else { return }
      unsafe append(copying: source, utf8.count)
    }
  }

  package func append(_ bytes: [UInt8]) { append(bytes.span) }

  /// Inlined because half of all runs are short and followed by enough bytes to copy them with two moves.
  @inlinable @inline(__always)
  public func append(_ bytes: Span<UInt8>, _ range: Range<Int>) {
    let run = bytes.extracting(range)
    guard run.count <= 32, bytes.count &- range.lowerBound >= 32, freeCapacity >= 32 else { return append(run) }
    let destination = unsafe UnsafeMutableRawPointer(storage + used)
    unsafe bytes.withUnsafeBytes { source in
      let piece = unsafe source.loadUnaligned(fromByteOffset: range.lowerBound, as: SIMD32<UInt8>.self)
      unsafe destination.storeBytes(of: piece, as: SIMD32<UInt8>.self)
    }
    used &+= run.count
  }

  public func append(_ bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBufferPointer { source in
      guard let start = source.baseAddress else { return }
      unsafe append(copying: start, source.count)
    }
  }

  /// For a length known at compile time.
  @inlinable @inline(__always) func append(_ source: UnsafePointer<UInt8>, _ more: Int) {
    reserve(more)
    unsafe UnsafeMutableRawPointer(storage + used).copyMemory(from: source, byteCount: more)
    used &+= more
  }

  private func append(copying source: UnsafePointer<UInt8>, _ more: Int) {
    reserve(more)
    unsafe ByteWriter.copy(source, more, to: UnsafeMutableRawPointer(storage + used))
    used &+= more
  }

  // MARK: Removing

  @inlinable public func removeAll() { used = 0 }

  /// Moves all bytes to the end of `bytes`.
  package func move(to bytes: inout [UInt8]) {
    unsafe bytes.append(contentsOf: UnsafeBufferPointer(start: storage, count: count))
    used = 0
  }

  /// Removes `range` and moves the bytes after it forward.
  package func remove(_ range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    let following = count - range.upperBound
    if following > 0 { unsafe memmove(storage + range.lowerBound, storage + range.upperBound, following) }
    used -= range.count
  }

  // MARK: Capacity

  /// Makes the free capacity at least `more` bytes, at least doubling the capacity if it grows. Callers bound what they
  /// append.
  @inlinable @inline(__always)
  public func reserve(_ more: Int) {
    if capacity &- count < more { grow(for: more) }
  }

  @usableFromInline @inline(never)
  func grow(for more: Int) {
    if capacity == 0 { takeStorage() }
    if freeCapacity < more { grow(to: max(capacity * 2, count + more)) }
  }

  package func grow(to newCapacity: Int) {
    if capacity == 0 { takeStorage() }
    guard newCapacity > capacity else { return }
    let grown = UnsafeMutablePointer<UInt8>.allocate(capacity: newCapacity)
    unsafe grown.update(from: storage, count: count)
    unsafe free(storage, capacity)
    unsafe storage = grown
    capacity = newCapacity
  }

  private func takeStorage() {
    // Optional chaining: binding the pool to a variable would retain it.
    guard let block = unsafe pool?.take() else { return }
    unsafe storage = block
    capacity = pool?.capacity ?? 0
  }

  /// Empties the buffer and returns its storage to the pool.
  package func releaseStorage() {
    used = 0
    guard capacity > 0, pool != nil else { return }
    unsafe pool?.put(storage, capacity: capacity)
    unsafe storage = Self.noStorage
    capacity = 0
  }

  /// Empties the buffer and replaces its ordinary block with one of the pool's large blocks.
  package func takeLargeStorage() {
    guard let pool, capacity == pool.capacity else { return }
    releaseStorage()
    let large = unsafe pool.takeLarge()
    unsafe storage = large.block
    capacity = unsafe large.capacity
  }

  // MARK: For system calls and libcurl

  /// The address of the byte at `offset`, valid until the buffer grows.
  @inlinable public func address(at offset: Int) -> UnsafeMutablePointer<UInt8> { unsafe storage + offset }

  /// Adds bytes that a call has written to the free capacity.
  @inlinable public func didReceive(_ bytes: Int) {
    precondition(bytes >= 0 && bytes <= freeCapacity)
    used += bytes
  }
}
