/// The field lines of a head, in the order sent, and which fields are among them.
///
/// Public, as is what a line is read by, since nothing less is inlined into the modules that look at each line.
public struct FieldLines: ~Copyable, Sendable {
  @usableFromInline var held = 0
  /// Kinds as bits.
  @usableFromInline var kinds: UInt32 = 0
  /// The first `count` are held. Writing over one costs less than appending it does.
  @usableFromInline var storage = [FieldLine](repeating: FieldLine(), count: 16)

  init() {}

  @inlinable public var count: Int { held }
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

  /// Twice the capacity.
  mutating func grow() { storage += storage }

  mutating func markNamedByConnection(_ index: Int) {
    precondition(index < count)
    storage[index].isNamedByConnection = true
  }

  /// Keeps the capacity.
  mutating func removeAll() {
    held = 0
    kinds = 0
  }
}
