/// The field lines of a head in the order sent, and the set of their kinds.
///
/// Public like the members of a line, because only public code is inlined into the modules that visit each line.
public struct FieldLines: ~Copyable, Sendable {
  @usableFromInline var lineCount = 0
  /// One bit per kind that is present.
  @usableFromInline var kinds: UInt32 = 0
  /// The first `count` elements are valid. Overwriting an element costs less than appending one.
  @usableFromInline var storage = [FieldLine](repeating: FieldLine(), count: 16)

  init() {}

  @inlinable public var count: Int { lineCount }
  @inlinable public var isEmpty: Bool { count == 0 }
  @inlinable public var indices: Range<Int> { 0..<count }

  @inlinable
  public subscript(index: Int) -> FieldLine {
    precondition(index < count)
    return storage[index]
  }

  /// Whether there is a field of this kind.
  @inlinable @inline(__always)
  public func has(_ kind: FieldName) -> Bool { kinds & 1 &<< UInt32(kind.rawValue) != 0 }

  package func map<Result>(_ transform: (FieldLine) -> Result) -> [Result] { indices.map { transform(self[$0]) } }

  /// Doubles the capacity.
  mutating func grow() { storage += storage }

  mutating func markNamedByConnection(_ index: Int) {
    precondition(index < count)
    storage[index].isNamedByConnection = true
  }

  /// Keeps the capacity.
  mutating func removeAll() {
    lineCount = 0
    kinds = 0
  }
}
