import Glibc

/// A growable run of bytes that sockets read into and write from; it never moves unless it grows or is compacted.
///
/// A class, so that a connection and its exchange can pass it on without copies. What is `public` is so for the
/// compiler: what is only `package` is not inlined into other modules, which costs 5,000 instructions a request.
@safe public final class ByteBuffer {
  public private(set) var capacity: Int
  /// How many bytes it holds.
  @inlinable public var count: Int { held }
  @usableFromInline var held = 0
  @usableFromInline var storage: UnsafeMutablePointer<UInt8>
  private let pool: BufferPool?

  package init(capacity: Int) {
    self.capacity = capacity
    pool = nil
    unsafe storage = UnsafeMutablePointer.allocate(capacity: capacity)
  }

  /// A buffer that takes its storage from `pool` with its first byte, and keeps it until `giveBack`: it can belong to its
  /// user for good, and costs nothing while it is not used.
  package init(from pool: BufferPool) {
    capacity = 0
    self.pool = pool
    unsafe storage = Self.noStorage
  }

  /// Never read or written: its capacity is 0.
  private static var noStorage: UnsafeMutablePointer<UInt8> {
    unsafe UnsafeMutablePointer(bitPattern: 1).unsafelyUnwrapped
  }

  deinit { unsafe free(storage, capacity) }

  private func free(_ block: UnsafeMutablePointer<UInt8>, _ capacity: Int) {
    guard pool != nil else { return unsafe block.deallocate() }
    if capacity > 0 { unsafe pool?.give(back: block, capacity: capacity) }
  }

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
      unsafe append(copying: source, utf8.count)
    }
  }

  package func append(_ bytes: [UInt8]) { append(bytes.span) }

  /// Inlined, a short run that has as much behind it is two moves: half of all runs are.
  @inlinable @inline(__always)
  public func append(_ bytes: Span<UInt8>, _ range: Range<Int>) {
    let run = bytes.extracting(range)
    guard run.count <= 32, bytes.count &- range.lowerBound >= 32, freeCapacity >= 32 else { return append(run) }
    let target = unsafe UnsafeMutableRawPointer(storage + held)
    unsafe bytes.withUnsafeBytes { source in
      let piece = unsafe source.loadUnaligned(fromByteOffset: range.lowerBound, as: SIMD32<UInt8>.self)
      unsafe target.storeBytes(of: piece, as: SIMD32<UInt8>.self)
    }
    held &+= run.count
  }

  public func append(_ bytes: Span<UInt8>) {
    unsafe bytes.withUnsafeBufferPointer { source in
      guard let start = source.baseAddress else { return }
      unsafe append(copying: start, source.count)
    }
  }

  /// For a length that the compiler knows.
  @inlinable @inline(__always) func append(_ source: UnsafePointer<UInt8>, _ more: Int) {
    reserve(more)
    unsafe UnsafeMutableRawPointer(storage + held).copyMemory(from: source, byteCount: more)
    held &+= more
  }

  private func append(copying source: UnsafePointer<UInt8>, _ more: Int) {
    reserve(more)
    unsafe ByteWriter.copy(source, more, to: UnsafeMutableRawPointer(storage + held))
    held &+= more
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

  // MARK: Capacity

  /// Makes the free capacity at least `more` bytes, by doubling the capacity. Callers bound what they append.
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
    // Chained: binding the pool to a name would count its reference.
    guard let block = unsafe pool?.take() else { return }
    unsafe storage = block
    capacity = pool?.capacity ?? 0
  }

  /// Gives the storage back to its pool, and is empty then.
  package func giveBack() {
    held = 0
    guard capacity > 0, pool != nil else { return }
    unsafe pool?.give(back: storage, capacity: capacity)
    unsafe storage = Self.noStorage
    capacity = 0
  }

  /// Takes one of its pool's large blocks in place of its ordinary one, and is empty then.
  package func takeLargeStorage() {
    guard let pool, capacity == pool.capacity else { return }
    giveBack()
    let large = unsafe pool.takeLarge()
    unsafe storage = large.block
    capacity = unsafe large.capacity
  }

  // MARK: For system calls and libcurl

  /// The address of the byte at `offset`, valid until the buffer grows.
  @inlinable public func address(at offset: Int) -> UnsafeMutablePointer<UInt8> { unsafe storage + offset }

  /// Counts the bytes that a call has written behind the present ones.
  @inlinable public func didReceive(_ bytes: Int) {
    precondition(bytes >= 0 && bytes <= freeCapacity)
    held += bytes
  }
}
